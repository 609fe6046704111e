//! The statements of webhooks.

gruve_store::statements! {
    ADD_WEBHOOK = "INSERT INTO web_webhooks (id, account, url, label, events, secret, key_id, old_secret, \
        old_key_id, old_until, made_at, place, looked_at, failures, failing_since, rests_until, ended_at, ended_for) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, NULL, NULL, $8, $9, $8, 0, NULL, $8, NULL, NULL)";
    COUNT_WEBHOOKS = "SELECT COUNT(*) AS n FROM web_webhooks WHERE account = $1";
    WEBHOOKS_OF = "SELECT id, account, url, label, events, secret, key_id, old_secret, old_key_id, old_until, \
        made_at, place, failures, failing_since, rests_until, ended_at, ended_for FROM web_webhooks \
        WHERE account = $1 ORDER BY made_at, id";
    WEBHOOK = "SELECT id, account, url, label, events, secret, key_id, old_secret, old_key_id, old_until, \
        made_at, place, failures, failing_since, rests_until, ended_at, ended_for FROM web_webhooks WHERE id = $1";
    REMOVE_WEBHOOK = "DELETE FROM web_webhooks WHERE id = $1";
    REMOVE_MESSAGES_OF = "DELETE FROM web_webhook_messages WHERE webhook = $1";
    REMOVE_ATTEMPTS_OF = "DELETE FROM web_webhook_attempts WHERE message IN \
        (SELECT id FROM web_webhook_messages WHERE webhook = $1)";
    SET_WEBHOOK_SECRET = "UPDATE web_webhooks SET old_secret = secret, old_key_id = key_id, old_until = $4, \
        secret = $2, key_id = $3 WHERE id = $1";
    END_WEBHOOK = "UPDATE web_webhooks SET ended_at = $2, ended_for = $3 WHERE id = $1 AND ended_at IS NULL";
    BEGIN_WEBHOOK = "UPDATE web_webhooks SET ended_at = NULL, ended_for = NULL, failures = 0, \
        failing_since = NULL, rests_until = $2, looked_at = $2 WHERE id = $1 AND ended_at IS NOT NULL";
    END_WEBHOOKS_OF = "UPDATE web_webhooks SET ended_at = $2, ended_for = $3 \
        WHERE account = $1 AND ended_at IS NULL";

    TO_LOOK_FOR = "SELECT id, account, url, label, events, secret, key_id, old_secret, old_key_id, old_until, \
        made_at, place, failures, failing_since, rests_until, ended_at, ended_for FROM web_webhooks \
        WHERE ended_at IS NULL AND looked_at <= $1 ORDER BY looked_at, id LIMIT $2";
    LOOKED = "UPDATE web_webhooks SET looked_at = $2 WHERE id = $1";
    COUNT_WAITING = "SELECT COUNT(*) AS n FROM web_webhook_messages WHERE webhook = $1 AND due_at IS NOT NULL";
    COUNT_TESTS = "SELECT COUNT(*) AS n FROM web_webhook_messages \
        WHERE webhook = $1 AND kind = $2 AND made_at > $3";
    /// Guarded by the place itself: of two that look at once, one finds it moved.
    MOVE_PLACE = "UPDATE web_webhooks SET place = $3, looked_at = $4 \
        WHERE id = $1 AND place = $2 AND ended_at IS NULL";
    ADD_MESSAGE = "INSERT INTO web_webhook_messages (id, webhook, kind, body, made_at, round, tries, due_at, taken_at) \
        VALUES ($1, $2, $3, $4, $5, 0, 0, $5, NULL) ON CONFLICT DO NOTHING";

    /// One message of each address that is not resting: its oldest that is due.
    DUE_MESSAGES = "SELECT MIN(m.id) AS id, m.webhook AS webhook FROM web_webhook_messages m \
        JOIN web_webhooks w ON w.id = m.webhook \
        WHERE m.due_at <= $1 AND w.rests_until <= $1 AND w.ended_at IS NULL \
        GROUP BY m.webhook ORDER BY MIN(m.due_at), m.webhook LIMIT $2";
    MESSAGE = "SELECT id, webhook, kind, body, made_at, round, tries, due_at, taken_at FROM web_webhook_messages \
        WHERE id = $1";
    MESSAGES_OF = "SELECT id, webhook, kind, body, made_at, round, tries, due_at, taken_at \
        FROM web_webhook_messages WHERE webhook = $1 AND (made_at < $2 OR (made_at = $2 AND id < $3)) \
        ORDER BY made_at DESC, id DESC LIMIT $4";
    /// Guarded by the count of tries: of two senders, one has it.
    TRY_MESSAGE = "UPDATE web_webhook_messages SET round = round + 1, tries = tries + 1, due_at = $3 \
        WHERE id = $1 AND tries = $2 AND due_at IS NOT NULL";
    TAKEN = "UPDATE web_webhook_messages SET due_at = NULL, taken_at = $2 WHERE id = $1";
    GIVEN_UP = "UPDATE web_webhook_messages SET due_at = NULL WHERE id = $1 AND taken_at IS NULL";
    AGAIN_FROM_HAND = "UPDATE web_webhook_messages SET due_at = $2, round = 0, taken_at = NULL \
        WHERE id = $1 AND due_at IS NULL AND tries < $3";
    ADD_ATTEMPT = "INSERT INTO web_webhook_attempts (message, number, at, status, fault, took_ms) \
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    ATTEMPTS_OF = "SELECT number, at, status, fault, took_ms FROM web_webhook_attempts \
        WHERE message = $1 ORDER BY number";
    WORKED = "UPDATE web_webhooks SET failures = 0, failing_since = NULL, rests_until = $2 WHERE id = $1";
    FAILED = "UPDATE web_webhooks SET failures = failures + 1, \
        failing_since = COALESCE(failing_since, $2), rests_until = $3 WHERE id = $1";
    FORGET_ATTEMPTS = "DELETE FROM web_webhook_attempts WHERE message IN \
        (SELECT id FROM web_webhook_messages WHERE made_at < $1 AND due_at IS NULL)";
    FORGET_MESSAGES = "DELETE FROM web_webhook_messages WHERE made_at < $1 AND due_at IS NULL";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, matches_on_both_engines, testing};

    #[test]
    fn both_engines_get_the_same_tables() {
        crate::WEBHOOK_MIGRATIONS.iter().for_each(|m| matches_on_both_engines(m).unwrap());
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("web_webhooks", crate::WEBHOOK_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { webhooks: [every_statement_prepares] }
}
