//! The room's statements.

gruve_store::statements! {
    INSERT_ACCOUNT = "INSERT INTO accounts_accounts (id, name, email, password, created_at) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    SIGN_UPS_SINCE = "SELECT COUNT(*) AS n FROM accounts_accounts WHERE created_at > $1";
    CREDENTIALS_BY_NAME = "SELECT id, name, password, unconfirmed_since FROM accounts_accounts WHERE name = $1";
    CREDENTIALS_BY_EMAIL = "SELECT id, name, password, unconfirmed_since FROM accounts_accounts WHERE email = $1";
    CREDENTIALS_BY_ID = "SELECT password FROM accounts_accounts WHERE id = $1";
    SET_PASSWORD = "UPDATE accounts_accounts SET password = $2 WHERE id = $1";
    ACCOUNT_BY_NAME = "SELECT id FROM accounts_accounts WHERE name = $1";
    NAME_OF = "SELECT name FROM accounts_accounts WHERE id = $1";
    INSERT_SESSION = "INSERT INTO accounts_sessions \
        (token_hash, account, created_at, seen_at, expires_at, about) VALUES ($1, $2, $3, $4, $5, $6)";
    SESSIONS_OF = "SELECT token_hash, created_at, seen_at, expires_at, about FROM accounts_sessions \
        WHERE account = $1 AND expires_at > $2 ORDER BY seen_at DESC, token_hash";
    REMOVE_OWN_SESSION = "DELETE FROM accounts_sessions WHERE account = $1 AND token_hash = $2";
    REMOVE_OTHER_SESSIONS = "DELETE FROM accounts_sessions WHERE account = $1 AND token_hash <> $2";
    SESSION = "SELECT s.account, s.created_at, s.seen_at, s.expires_at, a.name, a.language, f.role, \
         l.due_at AS lost_due_at, l.done_at AS lost_done_at, l.free_at AS lost_free_at, \
         l.asked_at AS lost_asked_at \
        FROM accounts_sessions s JOIN accounts_accounts a ON a.id = s.account \
        LEFT JOIN accounts_lost_factors l ON l.account = s.account \
        LEFT JOIN accounts_staff f ON f.account = s.account WHERE s.token_hash = $1";
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
    /// What lies in the past counts as now.
    GIVE_BACK_ATTEMPT = "UPDATE accounts_attempts SET worked_off_at = worked_off_at - $2 \
        WHERE subject = $1";
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
    /// Lines of the chain, and those from before there was one.
    AUDIT_OF = "SELECT t.at AS at, t.seq AS seq, p.account AS account, p.actor AS actor, \
         t.action AS action, p.detail AS detail \
         FROM accounts_particulars p JOIN accounts_trail t ON t.seq = p.seq WHERE p.account = $1 \
         AND (t.at < $2 OR (t.at = $2 AND t.seq < $3)) \
        UNION ALL SELECT at, 0 AS seq, account, NULL AS actor, action, detail \
         FROM accounts_audit WHERE account = $1 AND (at < $2 OR (at = $2 AND 0 < $3)) \
        ORDER BY at DESC, seq DESC LIMIT $4";
    LOG_PAGE = "SELECT t.seq, t.at, t.action, p.account, p.actor, p.detail, \
         a.name AS account_name, b.name AS actor_name \
        FROM accounts_trail t LEFT JOIN accounts_particulars p ON p.seq = t.seq \
        LEFT JOIN accounts_accounts a ON a.id = p.account \
        LEFT JOIN accounts_accounts b ON b.id = p.actor \
        WHERE t.seq < $1 ORDER BY t.seq DESC LIMIT $2";
    FORGET_AUDIT = "DELETE FROM accounts_audit WHERE at < $1";

    TOTP = "SELECT secret, key_id, confirmed_at, last_step FROM accounts_codes WHERE account = $1";
    /// One that counts already stays as it is.
    SET_TOTP = "INSERT INTO accounts_codes (account, secret, key_id, made_at, confirmed_at, last_step) \
        VALUES ($1, $2, $3, $4, NULL, 0) ON CONFLICT (account) DO UPDATE \
        SET secret = excluded.secret, key_id = excluded.key_id, made_at = excluded.made_at \
        WHERE accounts_codes.confirmed_at IS NULL";
    OPEN_CODES = "SELECT account, secret FROM accounts_codes WHERE key_id IS NULL \
        ORDER BY account LIMIT $1";
    SEAL_CODES = "UPDATE accounts_codes SET secret = $3, key_id = $4 \
        WHERE account = $1 AND secret = $2 AND key_id IS NULL";
    STRANGE_CODES = "SELECT COUNT(*) AS n FROM accounts_codes \
        WHERE key_id IS NOT NULL AND key_id <> $1 AND confirmed_at IS NOT NULL";
    SET_LANGUAGE = "UPDATE accounts_accounts SET language = $2 WHERE id = $1";
    LANGUAGE_OF = "SELECT language FROM accounts_accounts WHERE id = $1";
    CONFIRM_TOTP = "UPDATE accounts_codes SET confirmed_at = $2, last_step = $3 WHERE account = $1";
    USE_TOTP = "UPDATE accounts_codes SET last_step = $2 WHERE account = $1 AND last_step < $2";
    REMOVE_TOTP = "DELETE FROM accounts_codes WHERE account = $1";
    ADD_RECOVERY = "INSERT INTO accounts_recovery (account, code_hash) VALUES ($1, $2)";
    TAKE_RECOVERY = "DELETE FROM accounts_recovery WHERE account = $1 AND code_hash = $2";
    REMOVE_RECOVERY = "DELETE FROM accounts_recovery WHERE account = $1";
    COUNT_RECOVERY = "SELECT COUNT(*) AS n FROM accounts_recovery WHERE account = $1";

    ADD_KEY = "INSERT INTO accounts_keys \
        (id, account, name, token_hash, scopes, created_at, expires_at, used_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)";
    KEY = "SELECT id, account, name, scopes, created_at, expires_at, used_at FROM accounts_keys \
        WHERE token_hash = $1";
    KEYS_OF = "SELECT id, account, name, scopes, created_at, expires_at, used_at \
        FROM accounts_keys WHERE account = $1 ORDER BY created_at DESC, id";
    COUNT_KEYS = "SELECT COUNT(*) AS n FROM accounts_keys WHERE account = $1";
    TOUCH_KEY = "UPDATE accounts_keys SET used_at = $2 WHERE id = $1";
    REMOVE_KEY = "DELETE FROM accounts_keys WHERE account = $1 AND id = $2";
    REMOVE_KEYS_OF = "DELETE FROM accounts_keys WHERE account = $1";
    REMOVE_OLD_KEYS = "DELETE FROM accounts_keys WHERE account = $1 AND expires_at <= $2";

    ADD_PASSKEY = "INSERT INTO accounts_passkeys (id, account, name, algorithm, public_key, sign_count, \
         is_synced, transports, made_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL) \
        ON CONFLICT DO NOTHING";
    PASSKEYS_OF = "SELECT id, name, is_synced, transports, made_at, used_at FROM accounts_passkeys \
        WHERE account = $1 ORDER BY made_at, id";
    COUNT_PASSKEYS = "SELECT COUNT(*) AS n FROM accounts_passkeys WHERE account = $1";
    PASSKEY = "SELECT account, algorithm, public_key, sign_count FROM accounts_passkeys WHERE id = $1";
    /// Guarded by the count itself: of two with the same one, one finds it used.
    USE_PASSKEY = "UPDATE accounts_passkeys SET sign_count = $2, used_at = $3, is_synced = $4 \
        WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0))";
    RENAME_PASSKEY = "UPDATE accounts_passkeys SET name = $3 WHERE account = $1 AND id = $2";
    REMOVE_PASSKEY = "DELETE FROM accounts_passkeys WHERE account = $1 AND id = $2";
    UNCONFIRMED_OF = "SELECT unconfirmed_since FROM accounts_accounts WHERE id = $1";
    CHALLENGE_KEY = "SELECT secret FROM accounts_challenge_key WHERE id = 1";
    ADD_CHALLENGE_KEY = "INSERT INTO accounts_challenge_key (id, secret) VALUES (1, $1) \
        ON CONFLICT DO NOTHING";
    USE_CHALLENGE = "INSERT INTO accounts_challenges_used (hash, ends_at) VALUES ($1, $2) \
        ON CONFLICT DO NOTHING";
    FORGET_CHALLENGES = "DELETE FROM accounts_challenges_used WHERE ends_at <= $1";

    CLOSING_OF = "SELECT account, asked_at, due_at, sealed_at, closed_at FROM accounts_closings \
        WHERE account = $1";
    PUT_CLOSING = "INSERT INTO accounts_closings (account, asked_at, due_at, sealed_at, closed_at) \
        VALUES ($1, $2, $3, NULL, NULL) ON CONFLICT DO NOTHING";
    REMOVE_CLOSING = "DELETE FROM accounts_closings WHERE account = $1 AND closed_at IS NULL";
    CLOSINGS_DUE = "SELECT account, asked_at, due_at, sealed_at, closed_at FROM accounts_closings \
        WHERE due_at <= $1 AND closed_at IS NULL ORDER BY due_at LIMIT $2";
    SET_SEALED = "UPDATE accounts_closings SET sealed_at = $2 WHERE account = $1 AND sealed_at IS NULL";
    SET_CLOSED = "UPDATE accounts_closings SET closed_at = $2 WHERE account = $1";
    ERASE_KEYS = "DELETE FROM accounts_keys WHERE account = $1";
    ERASE_TICKETS = "DELETE FROM accounts_tickets WHERE account = $1";
    ERASE_NETWORKS = "DELETE FROM accounts_networks WHERE account = $1";
    ERASE_PASSKEYS = "DELETE FROM accounts_passkeys WHERE account = $1";
    ERASE_CHANGES = "DELETE FROM accounts_changes WHERE account = $1";
    ERASE_ADDRESSES = "DELETE FROM accounts_addresses WHERE account = $1";
    ERASE_BOOK_ONLY = "DELETE FROM accounts_book_only WHERE account = $1";
    ERASE_PARTICULARS = "DELETE FROM accounts_particulars WHERE account = $1";
    ERASE_AUDIT = "DELETE FROM accounts_audit WHERE account = $1";
    ANONYMISE = "UPDATE accounts_accounts SET name = $2, email = $3, password = $4, \
        unconfirmed_since = NULL, language = NULL WHERE id = $1";

    INSERT_TICKET = "INSERT INTO accounts_tickets \
        (token_hash, account, purpose, detail, expires_at) VALUES ($1, $2, $3, $4, $5)";
    TICKET = "SELECT account, detail FROM accounts_tickets \
        WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3";
    TAKE_TICKET = "DELETE FROM accounts_tickets \
        WHERE token_hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING account, detail";
    TICKETS_OF = "SELECT COUNT(*) AS n, MIN(expires_at) AS first_end FROM accounts_tickets \
        WHERE account = $1 AND purpose = $2 AND detail LIKE $3";
    REMOVE_TICKETS_OF = "DELETE FROM accounts_tickets WHERE account = $1 AND purpose = $2";
    REMOVE_OLD_TICKETS = "DELETE FROM accounts_tickets WHERE expires_at <= $1";

    MARK_UNCONFIRMED = "UPDATE accounts_accounts SET unconfirmed_since = $2 WHERE id = $1";
    CONFIRM_ACCOUNT = "UPDATE accounts_accounts SET unconfirmed_since = NULL WHERE id = $1";
    /// None that has a role, and none that is being closed.
    UNCONFIRMED_DUE = "SELECT id FROM accounts_accounts WHERE unconfirmed_since IS NOT NULL \
        AND unconfirmed_since <= $1 AND id NOT IN (SELECT account FROM accounts_staff) \
        AND id NOT IN (SELECT account FROM accounts_closings) ORDER BY unconfirmed_since LIMIT $2";
    SPARE_UNCONFIRMED = "UPDATE accounts_accounts SET unconfirmed_since = $2 \
        WHERE id = $1 AND unconfirmed_since IS NOT NULL";
    HAS_NETWORKS = "SELECT seen_at FROM accounts_networks WHERE account = $1 LIMIT 1";
    ACCOUNT_BY_EMAIL = "SELECT id, name, language FROM accounts_accounts WHERE email = $1";
    WHOSE_MAIL = "SELECT name, email, language FROM accounts_accounts WHERE id = $1";
    SET_EMAIL = "UPDATE accounts_accounts SET email = $2 WHERE id = $1 \
        AND NOT EXISTS (SELECT 1 FROM accounts_accounts WHERE email = $2)";
    INSERT_MAIL = "INSERT INTO accounts_mail \
        (id, account, recipient, subject, body, made_at, tries, due_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    COUNT_DUE_MAIL = "SELECT COUNT(*) AS n FROM \
        (SELECT 1 AS one FROM accounts_mail WHERE due_at <= $1 LIMIT $2) AS due";
    COUNT_MAIL = "SELECT COUNT(*) AS n FROM accounts_mail WHERE account = $1";
    DUE_MAIL = "SELECT id, account, recipient, subject, body, tries FROM accounts_mail \
        WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    TRY_MAIL = "UPDATE accounts_mail SET tries = tries + 1, due_at = $3 \
        WHERE id = $1 AND tries = $2";
    REMOVE_MAIL = "DELETE FROM accounts_mail WHERE id = $1";
    PUT_CHANGE = "INSERT INTO accounts_changes (account, value, made_at, due_at, confirmed) \
        VALUES ($1, $2, $3, $4, 0) ON CONFLICT (account) DO UPDATE SET value = excluded.value, \
        made_at = excluded.made_at, due_at = excluded.due_at, confirmed = 0";
    SET_CHANGE_CONFIRMED = "UPDATE accounts_changes SET confirmed = 1 \
        WHERE account = $1 AND value = $2 RETURNING due_at";
    EMAIL_CHANGE_OF = "SELECT value, due_at, confirmed FROM accounts_changes WHERE account = $1";
    CHANGES_DUE = "SELECT account, value FROM accounts_changes \
        WHERE due_at <= $1 AND confirmed = 1 ORDER BY due_at LIMIT $2";
    REMOVE_CHANGES_OF = "DELETE FROM accounts_changes WHERE account = $1";
    REMOVE_CHANGE = "DELETE FROM accounts_changes WHERE account = $1 AND value = $2";
    ADD_ADDRESS = "INSERT INTO accounts_addresses \
        (account, asset, address, label, added_at, usable_at) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT DO NOTHING";
    ADDRESS = "SELECT usable_at FROM accounts_addresses \
        WHERE account = $1 AND asset = $2 AND address = $3";
    ADDRESSES_OF = "SELECT asset, address, label, usable_at FROM accounts_addresses \
        WHERE account = $1 ORDER BY asset, label, address";
    COUNT_ADDRESSES = "SELECT COUNT(*) AS n FROM accounts_addresses WHERE account = $1";
    REMOVE_ADDRESS = "DELETE FROM accounts_addresses \
        WHERE account = $1 AND asset = $2 AND address = $3";
    REMOVE_NEW_ADDRESSES = "DELETE FROM accounts_addresses WHERE account = $1 AND usable_at > $2";
    STAY_BOOK_ONLY = "UPDATE accounts_book_only SET ends_at = NULL WHERE account = $1 AND ends_at > $2";
    BOOK_ONLY = "SELECT ends_at FROM accounts_book_only WHERE account = $1";
    SET_BOOK_ONLY = "INSERT INTO accounts_book_only (account, since, ends_at) VALUES ($1, $2, $3) \
        ON CONFLICT (account) DO UPDATE SET since = excluded.since, ends_at = excluded.ends_at";

    TRAIL_ENDS = "SELECT seq, hash, cut_seq, cut_hash FROM accounts_trail_ends WHERE id = 1";
    SET_TRAIL_ENDS = "INSERT INTO accounts_trail_ends (id, seq, hash, cut_seq, cut_hash) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, \
        hash = excluded.hash, cut_seq = excluded.cut_seq, cut_hash = excluded.cut_hash";
    INSERT_TRAIL = "INSERT INTO accounts_trail (seq, at, action, digest, hash) \
        VALUES ($1, $2, $3, $4, $5)";
    INSERT_PARTICULARS = "INSERT INTO accounts_particulars (seq, salt, account, actor, detail) \
        VALUES ($1, $2, $3, $4, $5)";
    /// The one before the first that is young enough; where none is, the last of all.
    LAST_BEFORE = "SELECT seq, hash FROM accounts_trail WHERE seq < COALESCE( \
        (SELECT seq FROM accounts_trail WHERE at >= $1 ORDER BY seq LIMIT 1), 9223372036854775807) \
        ORDER BY seq DESC LIMIT 1";
    CUT_TRAIL = "DELETE FROM accounts_trail WHERE seq <= $1";
    CUT_PARTICULARS = "DELETE FROM accounts_particulars WHERE seq <= $1";
    TRAIL_PAGE = "SELECT t.seq, t.at, t.action, t.digest, t.hash, p.salt, p.account, p.actor, \
        p.detail FROM accounts_trail t LEFT JOIN accounts_particulars p ON p.seq = t.seq \
        WHERE t.seq > $1 ORDER BY t.seq LIMIT $2";

    LOST_OF = "SELECT account, asked_at, due_at, done_at, free_at FROM accounts_lost_factors \
        WHERE account = $1";
    LOST_WAITING = "SELECT l.account, l.asked_at, l.due_at, l.done_at, l.free_at, a.name \
        FROM accounts_lost_factors l JOIN accounts_accounts a ON a.id = l.account \
        WHERE l.done_at IS NULL ORDER BY l.due_at, l.account LIMIT $1";
    LOST_DUE = "SELECT account FROM accounts_lost_factors \
        WHERE due_at <= $1 AND done_at IS NULL ORDER BY due_at LIMIT $2";
    LOST_TO_TELL = "SELECT account FROM accounts_lost_factors \
        WHERE told_at <= $1 AND done_at IS NULL ORDER BY told_at LIMIT $2";
    LOST_FREE = "SELECT account FROM accounts_lost_factors \
        WHERE free_at <= $1 AND done_at IS NOT NULL ORDER BY free_at LIMIT $2";
    BEGIN_LOST = "INSERT INTO accounts_lost_factors \
        (account, asked_at, due_at, told_at, done_at, free_at) VALUES ($1, $2, $3, $4, NULL, $5) \
        ON CONFLICT DO NOTHING";
    TOLD_LOST = "UPDATE accounts_lost_factors SET told_at = $2 WHERE account = $1";
    FREE_LOST = "UPDATE accounts_lost_factors SET done_at = $2, free_at = $3 \
        WHERE account = $1 AND done_at IS NULL";
    STOP_LOST = "DELETE FROM accounts_lost_factors WHERE account = $1 AND done_at IS NULL";
    END_LOST = "DELETE FROM accounts_lost_factors WHERE account = $1";
    NEW_ADDRESS_OF = "SELECT value FROM accounts_changes WHERE account = $1";

    STAFF = "SELECT f.account, a.name, f.role, f.since FROM accounts_staff f \
        JOIN accounts_accounts a ON a.id = f.account ORDER BY a.name LIMIT $1";
    ROLE_OF = "SELECT role FROM accounts_staff WHERE account = $1";
    OWNERS = "SELECT COUNT(*) AS n FROM accounts_staff WHERE role = 'owner'";
    SET_STAFF = "INSERT INTO accounts_staff (account, role, since) VALUES ($1, $2, $3) \
        ON CONFLICT (account) DO UPDATE SET role = excluded.role, since = excluded.since";
    REMOVE_STAFF = "DELETE FROM accounts_staff WHERE account = $1";
    REMOVE_SESSIONS_OF = "DELETE FROM accounts_sessions WHERE account = $1";
    CUSTOMERS = "SELECT a.id, a.name, a.email, a.created_at, f.role FROM accounts_accounts a \
        LEFT JOIN accounts_staff f ON f.account = a.id WHERE a.id > $1 ORDER BY a.id LIMIT $2";
    CUSTOMER = "SELECT a.id, a.name, a.email, a.created_at, f.role FROM accounts_accounts a \
        LEFT JOIN accounts_staff f ON f.account = a.id WHERE a.id = $1";
}

gruve_store::many_statements! {
    NAMES_OF (id Bytes) = "SELECT a.id AS id, a.name AS name FROM given g \
        JOIN accounts_accounts a ON a.id = g.id";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        crate::Accounts::migrate(&store).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
        testing::prepare_all_many(&store, super::MANY_STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
