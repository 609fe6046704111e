//! The room's statements.

gruve_store::statements! {
    HEAD = "SELECT seq, hash FROM ledger_head WHERE id = 1";
    START_HEAD = "INSERT INTO ledger_head (id, seq, hash) VALUES (1, $1, $2)";
    ADVANCE_HEAD = "UPDATE ledger_head SET seq = $1, hash = $2 \
        WHERE id = 1 AND seq = $3 AND hash = $4";
    ENTRY_BY_REASON = "SELECT seq, kind FROM ledger_entries WHERE reason = $1";
    INSERT_ENTRY = "INSERT INTO ledger_entries (seq, reason, kind, at, hash) \
        VALUES ($1, $2, $3, $4, $5)";
    INSERT_POSTING = "INSERT INTO ledger_postings (seq, line, account, asset, minor) \
        VALUES ($1, $2, $3, $4, $5)";
    POSTINGS_OF_ENTRY = "SELECT account, asset, minor FROM ledger_postings \
        WHERE seq = $1 ORDER BY line";
    BALANCE = "SELECT minor FROM ledger_balances WHERE account = $1 AND asset = $2";
    INSERT_BALANCE = "INSERT INTO ledger_balances (account, asset, kind, minor) \
        VALUES ($1, $2, $3, $4) ON CONFLICT (account, asset) DO NOTHING";
    MOVE_BALANCE = "UPDATE ledger_balances SET minor = minor + $3 \
        WHERE account = $1 AND asset = $2 AND minor = $4";
    BALANCES_OF_ACCOUNT = "SELECT account, asset, minor FROM ledger_balances \
        WHERE account = $1 ORDER BY asset";
    BALANCES_OF_KIND = "SELECT account, asset, minor FROM ledger_balances \
        WHERE kind = $1 AND asset = $2 AND account > $3 ORDER BY account LIMIT $4";
    TOTALS = "SELECT kind, CAST(SUM(minor) AS BIGINT) AS minor FROM ledger_balances \
        WHERE asset = $1 GROUP BY kind ORDER BY kind";
    LINES_OF_ACCOUNT = "SELECT p.seq, p.line, p.minor, e.reason, e.kind, e.at \
        FROM ledger_postings p JOIN ledger_entries e ON e.seq = p.seq \
        WHERE p.account = $1 AND p.asset = $2 AND p.seq < $3 ORDER BY p.seq DESC, p.line DESC LIMIT $4";
    AUDIT_ENTRIES = "SELECT seq, reason, kind, at, hash FROM ledger_entries \
        WHERE seq > $1 ORDER BY seq LIMIT $2";
    AUDIT_POSTINGS = "SELECT seq, line, account, asset, minor FROM ledger_postings \
        WHERE seq > $1 AND seq <= $2 ORDER BY seq, line";
    AUDIT_STRAY_POSTINGS = "SELECT COUNT(*) AS stray FROM ledger_postings \
        WHERE seq NOT IN (SELECT seq FROM ledger_entries)";
    AUDIT_BALANCES = "SELECT account, asset, kind, minor FROM ledger_balances \
        WHERE account > $1 OR (account = $1 AND asset > $2) ORDER BY account, asset LIMIT $3";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("ledger", crate::MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
