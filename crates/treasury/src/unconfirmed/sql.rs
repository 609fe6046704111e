//! The statements about what waits for a block; one source for both engines.

gruve_store::statements! {
    /// Whether anybody owes something in a coin.
    IS_ANY_OPEN = "SELECT 1 AS one FROM treasury_invoices
        WHERE asset = $1 AND closed_at IS NULL LIMIT 1";
}

gruve_store::many_statements! {
    /// What customers have waiting in blocks, each in a coin; from a customer's invoices to their receipts, as in
    /// `WAITING_BESIDE`.
    WAITING_OF (account Bytes, asset Text) = "SELECT i.account AS account, i.asset AS asset,
        CAST(COALESCE(SUM(r.value), 0) AS BIGINT) AS minor
        FROM given CROSS JOIN treasury_invoices i CROSS JOIN treasury_receipts r
        WHERE i.account = given.account AND i.asset = given.asset
        AND r.invoice = i.id AND r.credit = 'none' AND r.height IS NOT NULL
        GROUP BY i.account, i.asset";
    /// Which outputs stand in blocks.
    IN_BLOCKS (asset Text, txid Bytes, vout Int) = "SELECT r.asset AS asset, r.txid AS txid,
        r.vout AS vout FROM given CROSS JOIN treasury_receipts r
        WHERE r.asset = given.asset AND r.txid = given.txid AND r.vout = given.vout
        AND r.height IS NOT NULL";
}
