//! Statements of conversions; one source for both engines.

gruve_store::many_statements! {
    CONVERSIONS_OF_MANY (pays Bytes) = "SELECT c.pays AS pays, c.invoice AS invoice
        FROM treasury_conversions c JOIN given ON given.pays = c.pays
        ORDER BY c.pays, c.invoice DESC";
}

gruve_store::statements! {
    INSERT_CONVERSION = "INSERT INTO treasury_conversions (invoice, pays, price_asset, price,
        coin_usd_micro, price_usd_micro, spread_bps, priced_at, counts_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    OPEN_CONVERSION = "SELECT i.id FROM treasury_conversions c
        JOIN treasury_invoices i ON i.id = c.invoice WHERE c.pays = $1 AND i.asset = $2
        AND i.closed_at IS NULL AND i.expires_at > $3 ORDER BY i.id LIMIT 1";
    CONVERSIONS_OF = "SELECT invoice FROM treasury_conversions WHERE pays = $1
        ORDER BY invoice DESC LIMIT $2";
    CONVERSIONS_AFTER = "SELECT invoice, pays, price_asset, price, coin_usd_micro, price_usd_micro,
        spread_bps, priced_at, counts_until, back_price, back_coin
        FROM treasury_conversions WHERE invoice > $1
        ORDER BY invoice LIMIT $2";
    // A payment that a reorganisation has taken out of its block stands in none just now: until the coin's own chain
    // has closed the conversion, what came in time may come again.
    CONVERSION_WAITS = "SELECT 1 AS one FROM treasury_conversions c
        JOIN treasury_invoices i ON i.id = c.invoice
        WHERE c.pays = $1 AND i.closed_at IS NULL AND (i.state = 'paid'
            OR EXISTS (SELECT 1 FROM treasury_receipts r
                WHERE r.invoice = i.id AND r.seen_at <= c.counts_until)) LIMIT 1";
    /// The next look at the clock closes them; those that stand in blocks whole wait for these.
    END_CONVERSIONS = "UPDATE treasury_invoices SET expires_at = $2
        WHERE closed_at IS NULL AND expires_at > $2
        AND id IN (SELECT invoice FROM treasury_conversions WHERE pays = $1)";
    /// Nothing that comes from now on counts at their rates.
    END_RATES = "UPDATE treasury_conversions SET counts_until = $2
        WHERE pays = $1 AND counts_until > $2";
    /// Those that paid for a contract of an account in a currency.
    PAID_CONTRACT = "SELECT i.id AS id, i.asset AS coin, i.amount AS coins, c.price AS price,
        c.back_price AS back_price FROM treasury_invoices p
        JOIN treasury_conversions c ON c.pays = p.id JOIN treasury_invoices i ON i.id = c.invoice
        WHERE p.contract = $1 AND p.account = $2 AND c.price_asset = $3 AND i.state = 'confirmed'
        ORDER BY i.id";
    HAS_CONVERTED = "SELECT 1 AS one FROM treasury_payments
        WHERE invoice = $1 AND method = 'conversion' LIMIT 1";
    BACK = "UPDATE treasury_conversions SET back_price = $2, back_coin = $3
        WHERE invoice = $1 AND back_price = 0";
    COUNT_PAYMENTS_BY = "SELECT COUNT(*) AS n FROM treasury_payments WHERE method = $1";
}
