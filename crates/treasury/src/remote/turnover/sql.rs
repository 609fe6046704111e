//! Statements of what services book; one source for both engines.

gruve_store::statements! {
    INSERT = "INSERT INTO treasury_turnover (method, external, kind, about, invoice, asset, amount,
        fee, price_asset, price, made_at, state)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'read') ON CONFLICT DO NOTHING";
    UNBOOKED = "SELECT external, kind, about, asset, amount, fee, price_asset, price, made_at
        FROM treasury_turnover WHERE method = $1 AND state = 'read' AND (made_at, external) > ($2, $3)
        ORDER BY made_at, external LIMIT $4";
    /// The kind is what it was booked as.
    BOOKED = "UPDATE treasury_turnover SET state = 'booked', kind = $3
        WHERE method = $1 AND external = $2 AND state = 'read'";
    STATE = "SELECT state FROM treasury_turnover WHERE method = $1 AND external = $2";
    IS_OURS = "SELECT 1 AS one FROM treasury_payments WHERE method = $1 AND external = $2
        UNION ALL SELECT 1 AS one FROM treasury_turnover t JOIN treasury_invoices i ON i.id = t.invoice
        WHERE t.method = $1 AND t.about = $2 LIMIT 1";
    READ_UNTIL = "SELECT read_until FROM treasury_turnover_readings WHERE method = $1";
    PUT_READ_UNTIL = "INSERT INTO treasury_turnover_readings (method, read_until) VALUES ($1, $2)
        ON CONFLICT (method) DO UPDATE SET read_until = $2";
    UNBOOKED_SUM = "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(amount - fee), 0) AS BIGINT) AS minor
        FROM treasury_turnover WHERE method = $1 AND asset = $2 AND state = 'read'";
    BOOKED_SUM = "SELECT CAST(COALESCE(SUM(amount - fee), 0) AS BIGINT) AS minor
        FROM treasury_turnover WHERE method = $1 AND asset = $2 AND state = 'booked'";
    /// What of customers' payments has arrived, in the currency in which they paid.
    ARRIVED_SUM = "SELECT CAST(COALESCE(SUM(COALESCE(price, amount)), 0) AS BIGINT) AS minor
        FROM treasury_turnover WHERE method = $1 AND COALESCE(price_asset, asset) = $2
        AND state = 'booked' AND kind = 'customer'";
    TOLD_SUM = "SELECT CAST(COALESCE(SUM(amount - taken), 0) AS BIGINT) AS minor
        FROM treasury_payments WHERE method = $1 AND asset = $2";
    /// Payments that the service told of, and that its own account should have by now.
    NOT_ARRIVED = "SELECT p.id, p.external FROM treasury_payments p
        WHERE p.method = $1 AND p.arrived_at < $2 AND p.external NOT LIKE '%/%'
        AND NOT EXISTS (SELECT 1 FROM treasury_turnover t
            WHERE t.method = p.method AND t.about = p.external AND t.state = 'booked')
        ORDER BY p.id LIMIT $3";
}
