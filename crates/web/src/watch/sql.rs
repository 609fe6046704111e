//! The statements of the watch.

gruve_store::statements! {
    COUNT_PROBE = "INSERT INTO web_probes (part, hour, good, bad) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (part, hour) DO UPDATE SET good = web_probes.good + excluded.good, \
        bad = web_probes.bad + excluded.bad";
    FORGET_PROBES = "DELETE FROM web_probes WHERE hour < $1";
    PROBES = "SELECT part, hour, good, bad FROM web_probes WHERE hour >= $1 ORDER BY part, hour";
    OPEN_ALERTS = "SELECT id, rule, subject, opened_at, closed_at, reading, worst, seen_by, seen_at \
        FROM web_alerts WHERE open_key IS NOT NULL ORDER BY opened_at, id";
    ALERTS_BEFORE = "SELECT id, rule, subject, opened_at, closed_at, reading, worst, seen_by, seen_at \
        FROM web_alerts WHERE (opened_at, id) < ($1, $2) ORDER BY opened_at DESC, id DESC LIMIT $3";
    OPEN_ALERT = "INSERT INTO web_alerts \
        (id, rule, subject, open_key, opened_at, closed_at, reading, worst, seen_by, seen_at) \
        VALUES ($1, $2, $3, $4, $5, NULL, $6, $6, NULL, NULL) ON CONFLICT DO NOTHING";
    READ_ALERT = "UPDATE web_alerts SET reading = $2, \
        worst = CASE WHEN worst < $2 THEN $2 ELSE worst END WHERE open_key = $1";
    CLOSE_ALERT = "UPDATE web_alerts SET open_key = NULL, closed_at = $2, reading = $3 \
        WHERE open_key = $1";
    SEE_ALERT = "UPDATE web_alerts SET seen_by = $2, seen_at = $3 WHERE id = $1 AND seen_at IS NULL";
    FORGET_ALERTS = "DELETE FROM web_alerts WHERE open_key IS NULL AND opened_at < $1";
    PUT_BULLETIN = "INSERT INTO web_bulletins (id, made_at, ended_at, title, body) \
        VALUES ($1, $2, NULL, $3, $4)";
    END_BULLETIN = "UPDATE web_bulletins SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    BULLETINS = "SELECT id, made_at, ended_at, title, body FROM web_bulletins \
        WHERE made_at >= $1 OR ended_at IS NULL ORDER BY made_at DESC, id LIMIT $2";
    PUT_HOOK = "INSERT INTO web_hook_outbox (id, body, tries, due_at) VALUES ($1, $2, 0, $3)";
    COUNT_HOOKS = "SELECT COUNT(*) AS n FROM web_hook_outbox";
    DUE_HOOKS = "SELECT id, body, tries FROM web_hook_outbox WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2";
    TRY_HOOK = "UPDATE web_hook_outbox SET tries = tries + 1, due_at = $3 WHERE id = $1 AND tries = $2";
    REMOVE_HOOK = "DELETE FROM web_hook_outbox WHERE id = $1";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("web_watch", crate::watch::WATCH_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
