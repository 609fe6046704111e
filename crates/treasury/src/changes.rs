//! What changed for an account between two instants, told by the rows themselves: nothing is written for it, so
//! nothing can be lost between a change and its being told.

use crate::payouts::read_payout;
use crate::{Payout, Result, Treasury, sql};
use gruve_store::params;
use gruve_units::{AccountId, ContractId, InvoiceId, Timestamp};

/// An invoice that was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedInvoice {
    /// Its id.
    pub id: InvoiceId,
    /// `confirmed` or `expired`.
    pub state: String,
    /// The contract that it paid, if one.
    pub contract: Option<ContractId>,
    /// When.
    pub closed: Timestamp,
}

impl Treasury {
    /// The account's payouts whose state changed last from `from` to before `until`, in that order.
    ///
    /// # Errors
    /// The database's.
    pub async fn payouts_changed(
        &self,
        account: AccountId,
        (from, until): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<Payout>> {
        let mut tx = self.0.store.read().await?;
        let given = params![account, from, until, limit];
        let rows = tx.fetch_all(sql::PAYOUTS_CHANGED, &given).await?;
        rows.iter().map(read_payout).collect()
    }

    /// The account's invoices that were closed from `from` to before `until`, in that order.
    ///
    /// # Errors
    /// The database's.
    pub async fn invoices_closed(
        &self,
        account: AccountId,
        (from, until): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<ClosedInvoice>> {
        let mut tx = self.0.store.read().await?;
        let given = params![account, from, until, limit];
        let rows = tx.fetch_all(sql::INVOICES_CLOSED, &given).await?;
        let read = |row: &gruve_store::Row| {
            Ok(ClosedInvoice {
                id: row.get("id")?,
                state: row.get("state")?,
                contract: row.get("contract")?,
                closed: row.get("closed_at")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
