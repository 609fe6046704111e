//! The room's statements.

gruve_store::statements! {
    INSERT_ACCOUNT = "INSERT INTO accounts_accounts (id, name, email, password, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    SIGN_UPS_SINCE = "SELECT COUNT(*) AS n FROM accounts_accounts WHERE created_at > $1";
    CREDENTIALS_BY_NAME = "SELECT id, name, password FROM accounts_accounts WHERE name = $1";
    CREDENTIALS_BY_EMAIL = "SELECT id, name, password FROM accounts_accounts WHERE email = $1";
    ACCOUNT_BY_NAME = "SELECT id FROM accounts_accounts WHERE name = $1";
    NAME_OF = "SELECT name FROM accounts_accounts WHERE id = $1";
    INSERT_SESSION = "INSERT INTO accounts_sessions \
        (token_hash, account, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
    SESSION = "SELECT s.account, s.created_at, s.seen_at, s.expires_at, a.name \
        FROM accounts_sessions s JOIN accounts_accounts a ON a.id = s.account \
        WHERE s.token_hash = $1";
    TOUCH_SESSION = "UPDATE accounts_sessions SET seen_at = $2, expires_at = $3 \
        WHERE token_hash = $1";
    REMOVE_SESSION = "DELETE FROM accounts_sessions WHERE token_hash = $1 RETURNING account";
    REMOVE_EXPIRED_SESSIONS = "DELETE FROM accounts_sessions WHERE expires_at <= $1";
    REMOVE_OLDEST_SESSIONS = "DELETE FROM accounts_sessions WHERE account = $1 AND token_hash NOT IN \
        (SELECT token_hash FROM accounts_sessions WHERE account = $1 \
         ORDER BY seen_at DESC, token_hash LIMIT $2)";
    ATTEMPTS_OF = "SELECT worked_off_at FROM accounts_attempts WHERE subject = $1";
    SET_ATTEMPTS = "INSERT INTO accounts_attempts (subject, worked_off_at) VALUES ($1, $2) \
        ON CONFLICT (subject) DO UPDATE SET worked_off_at = excluded.worked_off_at";
    CLEAR_ATTEMPTS = "DELETE FROM accounts_attempts WHERE subject = $1";
    FORGET_WORKED_OFF = "DELETE FROM accounts_attempts WHERE subject IN \
        (SELECT subject FROM accounts_attempts WHERE worked_off_at <= $1 \
         ORDER BY worked_off_at LIMIT $2)";
    IS_KNOWN_NETWORK = "SELECT seen_at FROM accounts_networks \
        WHERE account = $1 AND network = $2 AND seen_at > $3";
    KNOW_NETWORK = "INSERT INTO accounts_networks (account, network, seen_at) \
        VALUES ($1, $2, $3) \
        ON CONFLICT (account, network) DO UPDATE SET seen_at = excluded.seen_at";
    FORGET_NETWORKS = "DELETE FROM accounts_networks WHERE account = $1 AND (seen_at <= $2 \
        OR network NOT IN (SELECT network FROM accounts_networks WHERE account = $1 \
         ORDER BY seen_at DESC, network LIMIT $3))";
    INSERT_AUDIT = "INSERT INTO accounts_audit (id, at, account, action, detail) \
        VALUES ($1, $2, $3, $4, $5)";
    AUDIT_OF = "SELECT at, account, action, detail FROM accounts_audit WHERE account = $1 \
        ORDER BY at DESC, id DESC LIMIT $2";
    FORGET_AUDIT = "DELETE FROM accounts_audit WHERE at < $1";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("accounts", crate::MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
