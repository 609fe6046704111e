//! The statements about what waits for a block; one source for both engines.

gruve_store::statements! {
    /// Whether anybody owes something in a coin.
    IS_ANY_OPEN = "SELECT 1 AS one FROM treasury_invoices
        WHERE asset = $1 AND closed_at IS NULL LIMIT 1";
    /// What the customer of an invoice has waiting in blocks; from the customer's invoices to their receipts, as in
    /// `WAITING_BESIDE`.
    WAITING_WITH = "SELECT CAST(COALESCE(SUM(r.value), 0) AS BIGINT) AS minor
        FROM treasury_invoices own CROSS JOIN treasury_invoices i CROSS JOIN treasury_receipts r
        WHERE own.id = $1 AND i.account = own.account AND i.asset = own.asset
        AND r.invoice = i.id AND r.credit = 'none' AND r.height IS NOT NULL";
}
