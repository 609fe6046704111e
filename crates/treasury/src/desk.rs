//! Invoices of all accounts, for the operator's people.

use crate::{Invoice, Result, Treasury, sql};
use gruve_store::params;
use gruve_units::InvoiceId;

/// Invoices of a page at most: each takes two small questions more.
const PAGE_MAX: u32 = 100;

impl Treasury {
    /// Invoices of all accounts before one, newest first: at most `limit`, at most 100.
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
        let given = params![before, limit.min(PAGE_MAX)];
        let mut invoices = Vec::new();
        for row in tx.fetch_all(sql::LATEST_INVOICES, &given).await? {
            invoices.extend(self.invoice_row(&mut tx, row.get("id")?).await?);
        }
        Ok(invoices)
    }
}
