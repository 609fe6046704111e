//! Pages of invoices and payouts, for the operator's people and for lists that go on.

use crate::invoices::read_invoice;
use crate::payouts::read_payout;
use crate::{Invoice, Payout, PayoutState, Result, Treasury, sql};
use gruve_store::params;
use gruve_units::{AccountId, InvoiceId, PayoutId};

/// Invoices of a page at most: as many as anybody looks at together.
pub const INVOICES_PAGE_MAX: u32 = 100;

impl Treasury {
    /// Invoices of all accounts before one, newest first: at most `limit`, at most [`INVOICES_PAGE_MAX`].
    ///
    /// # Errors
    /// The database's.
    pub async fn latest_invoices(
        &self,
        before: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Vec<Invoice>> {
        let before = before.unwrap_or(InvoiceId::from_bytes([0xff; 16]));
        let mut tx = self.0.store.read().await?;
        let given = params![before, limit.min(INVOICES_PAGE_MAX)];
        let rows = tx.fetch_all(sql::LATEST_INVOICES, &given).await?;
        rows.iter().map(|row| read_invoice(self, row)).collect()
    }

    /// Invoices of an account before one, newest first: at most `limit`, at most [`INVOICES_PAGE_MAX`].
    ///
    /// # Errors
    /// The database's.
    pub async fn invoices_before(
        &self,
        account: AccountId,
        before: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Vec<Invoice>> {
        let before = before.unwrap_or(InvoiceId::from_bytes([0xff; 16]));
        let mut tx = self.0.store.read().await?;
        let given = params![account, before, limit.min(INVOICES_PAGE_MAX)];
        let rows = tx.fetch_all(sql::INVOICES_BEFORE, &given).await?;
        rows.iter().map(|row| read_invoice(self, row)).collect()
    }

    /// Payouts in a state that were asked for after one of them, oldest first, `limit` at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts_in_state_after(
        &self,
        state: PayoutState,
        after: Option<PayoutId>,
        limit: u32,
    ) -> Result<Vec<Payout>> {
        let after = after.unwrap_or(PayoutId::from_bytes([0; 16]));
        let mut tx = self.0.store.read().await?;
        let given = params![state.word(), after, limit];
        let rows = tx.fetch_all(sql::PAYOUTS_IN_STATE_AFTER, &given).await?;
        rows.iter().map(read_payout).collect()
    }
}
