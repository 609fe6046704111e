//! Whether anything has moved that customers see of their payments: for who watches for changes, again and again.
//!
//! Bounds: counts of what is open, each by an index that holds nothing else.

use crate::{Result, Treasury};
use gruve_store::{Tx, statements};

statements! {
    CONNECTIONS = "SELECT CAST(COALESCE(SUM(connections), 0) AS BIGINT) AS n FROM treasury_chains";
    OPEN_INVOICES = "SELECT state AS what, COUNT(*) AS n, MAX(created_at) AS newest FROM treasury_invoices
        WHERE closed_at IS NULL GROUP BY state ORDER BY state";
    WAITING_RECEIPTS = "SELECT COUNT(*) AS n FROM treasury_receipts WHERE credit = 'none' AND height IS NOT NULL";
    OPEN_PAYOUTS = "SELECT state AS what, COUNT(*) AS n, MAX(updated_at) AS newest FROM treasury_payouts
        WHERE state IN ('requested', 'approved', 'funded', 'signed', 'broadcast') GROUP BY state ORDER BY state";
}

/// How payments stand altogether; another one when something has moved, beside what the journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PaymentNews {
    connections: i64,
    waiting: i64,
    open: Vec<(String, i64, i64)>,
    unconfirmed: usize,
}

impl Treasury {
    /// How payments stand altogether.
    ///
    /// # Errors
    /// The database's.
    pub async fn news(&self, tx: &mut Tx) -> Result<PaymentNews> {
        let mut news = PaymentNews {
            connections: tx.fetch_one(CONNECTIONS, &[]).await?.get("n")?,
            waiting: tx.fetch_one(WAITING_RECEIPTS, &[]).await?.get("n")?,
            open: Vec::new(),
            unconfirmed: self.marks_count(),
        };
        for sql in [OPEN_INVOICES, OPEN_PAYOUTS] {
            for row in tx.fetch_all(sql, &[]).await? {
                news.open.push((row.get("what")?, row.get("n")?, row.get("newest")?));
            }
        }
        Ok(news)
    }
}
