//! The room's statements.

gruve_store::statements! {
    HEAD = "SELECT seq, hash FROM ledger_head WHERE id = 1";
    START_HEAD = "INSERT INTO ledger_head (id, seq, hash) VALUES (1, $1, $2)";
    ADVANCE_HEAD = "UPDATE ledger_head SET seq = $1, hash = $2 \
        WHERE id = 1 AND seq = $3 AND hash = $4";
    HASH_OF_ENTRY = "SELECT hash FROM ledger_entries WHERE seq = $1";
    POSTINGS_OF_ENTRY = "SELECT account, asset, minor FROM ledger_postings \
        WHERE seq = $1 ORDER BY line";
    BALANCE = "SELECT minor FROM ledger_balances WHERE account = $1 AND asset = $2";
    BALANCES_OF_ACCOUNT = "SELECT account, asset, minor FROM ledger_balances \
        WHERE account = $1 ORDER BY asset";
    BALANCES_OF_KIND = "SELECT account, asset, minor FROM ledger_balances \
        WHERE kind = $1 AND asset = $2 AND account > $3 ORDER BY account LIMIT $4";
    TOTALS = "SELECT kind, CAST(SUM(minor) AS BIGINT) AS minor FROM ledger_balances \
        WHERE asset = $1 GROUP BY kind ORDER BY kind";
    LINES_OF_ACCOUNT = "SELECT p.seq, p.line, p.minor, e.reason, e.kind, e.at \
        FROM ledger_postings p JOIN ledger_entries e ON e.seq = p.seq \
        WHERE p.account = $1 AND p.asset = $2 AND (p.seq, p.line) < ($3, $4) \
        ORDER BY p.seq DESC, p.line DESC LIMIT $5";
    MOVED_BEFORE = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor FROM ledger_postings \
        WHERE account = $1 AND asset = $2 AND (seq, line) < ($3, $4)";
    MOVED_LATELY = "SELECT kind, \
        CAST(SUM(CASE WHEN at > $3 THEN minor ELSE 0 END) AS BIGINT) AS a, \
        CAST(SUM(CASE WHEN at > $4 THEN minor ELSE 0 END) AS BIGINT) AS b, \
        CAST(SUM(CASE WHEN at > $5 THEN minor ELSE 0 END) AS BIGINT) AS c, \
        COUNT(*) AS lines, MIN(at) AS oldest FROM (SELECT e.kind AS kind, e.at AS at, p.minor AS minor \
        FROM ledger_postings p JOIN ledger_entries e ON e.seq = p.seq \
        WHERE p.account = $1 AND p.asset = $2 ORDER BY p.seq DESC LIMIT $6) AS latest GROUP BY kind";
    AUDIT_ENTRIES = "SELECT seq, reason, kind, at, hash FROM ledger_entries \
        WHERE seq > $1 ORDER BY seq LIMIT $2";
    AUDIT_POSTINGS = "SELECT seq, line, account, asset, minor FROM ledger_postings \
        WHERE seq > $1 AND seq <= $2 ORDER BY seq, line";
    BROWSE_ENTRIES = "SELECT seq, reason, kind, at, hash FROM ledger_entries \
        WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    BROWSE_POSTINGS = "SELECT seq, line, account, asset, minor FROM ledger_postings \
        WHERE seq >= $1 AND seq <= $2 ORDER BY seq, line";
    SUMS_OF_KIND = "SELECT p.account AS account, p.asset AS asset, \
        CAST(SUM(p.minor) AS BIGINT) AS minor FROM ledger_entries e \
        JOIN ledger_postings p ON p.seq = e.seq WHERE e.kind = $1 \
        AND (p.account > $2 OR (p.account = $2 AND p.asset > $3)) \
        GROUP BY p.account, p.asset ORDER BY p.account, p.asset LIMIT $4";
    AUDIT_STRAY_POSTINGS = "SELECT COUNT(*) AS stray FROM ledger_postings \
        WHERE seq NOT IN (SELECT seq FROM ledger_entries)";
    AUDIT_BALANCES = "SELECT account, asset, kind, minor FROM ledger_balances \
        WHERE account > $1 OR (account = $1 AND asset > $2) ORDER BY account, asset LIMIT $3";
}

gruve_store::many_statements! {
    ENTRIES_BY_REASON (reason Text) = "SELECT e.seq AS seq, e.reason AS reason, e.kind AS kind \
        FROM given g JOIN ledger_entries e ON e.reason = g.reason";
    INSERT_ENTRIES (seq Int, reason Text, kind Text, at Int, hash Bytes) =
        "INSERT INTO ledger_entries (seq, reason, kind, at, hash) \
        SELECT seq, reason, kind, at, hash FROM given";
    INSERT_POSTINGS (seq Int, line Int, account Text, asset Text, minor Int) =
        "INSERT INTO ledger_postings (seq, line, account, asset, minor) \
        SELECT seq, line, account, asset, minor FROM given";
    BALANCES (account Text, asset Text) = "SELECT b.account AS account, b.asset AS asset, \
        b.minor AS minor FROM given g JOIN ledger_balances b \
        ON b.account = g.account AND b.asset = g.asset";
    INSERT_BALANCES (account Text, asset Text, kind Text, minor Int) =
        "INSERT INTO ledger_balances (account, asset, kind, minor) \
        SELECT account, asset, kind, minor FROM given WHERE true ON CONFLICT (account, asset) DO NOTHING";
    MOVE_BALANCES (account Text, asset Text, before Int, minor Int) =
        "UPDATE ledger_balances SET minor = given.minor FROM given \
        WHERE ledger_balances.account = given.account AND ledger_balances.asset = given.asset \
        AND ledger_balances.minor = given.before";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("ledger", crate::MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
        testing::prepare_all_many(&store, super::MANY_STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
