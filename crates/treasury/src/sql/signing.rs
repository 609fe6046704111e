//! Transactions of ours, what a signer elsewhere is asked for, and what withdraws them.

gruve_store::statements! {
    // Transactions of ours.
    INSERT_FORM = "INSERT INTO treasury_forms (batch, txid, fee, signed_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING";
    SIGN_AGAIN = "UPDATE treasury_batches
        SET unsigned_tx = $2, signed_tx = $3, txid = $4, fee = $5, operator_fee = $6
        WHERE id = $1 AND state IN ('signed', 'broadcast')";
    /// Those whose newest form is older than a moment.
    BUMPS_DUE = "SELECT b.id FROM treasury_batches b
        WHERE b.asset = $1 AND b.state IN ('signed', 'broadcast') AND b.signed_tx IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM treasury_forms f WHERE f.batch = b.id AND f.signed_at > $2)
        AND NOT EXISTS (SELECT 1 FROM treasury_batches w WHERE w.replaces = b.id
            AND w.state <> 'void')
        AND b.created_at <= $2 ORDER BY b.created_at, b.id LIMIT $3";
    PAYMENTS_OF_BATCH = "SELECT script, amount - fee AS value FROM treasury_payouts WHERE batch = $1
        UNION ALL SELECT script, amount AS value FROM treasury_moves
        WHERE batch = $1 AND script IS NOT NULL";
    SHARES_OF_BATCH = "SELECT CAST(COALESCE(SUM(fee), 0) AS BIGINT) AS minor
        FROM treasury_payouts WHERE batch = $1";
    INSERT_BATCH = "INSERT INTO treasury_batches (id, asset, state, unsigned_tx, fee, operator_fee,
        created_at) VALUES ($1, $2, 'funded', $3, $4, $5, $6)";
    BATCH = "SELECT id, asset, state, unsigned_tx, signed_tx, txid, fee, operator_fee, replaces
        FROM treasury_batches WHERE id = $1";
    OPEN_BATCHES = "SELECT id, state FROM treasury_batches
        WHERE asset = $1 AND state IN ('funded', 'signed', 'broadcast') ORDER BY created_at, id
        LIMIT $2";
    OPEN_TRANSACTIONS = "SELECT b.id, b.state, b.txid, b.fee, b.created_at, b.last_answer,
        (SELECT COUNT(*) FROM treasury_payouts p WHERE p.batch = b.id) AS payouts,
        (SELECT COUNT(*) FROM treasury_reservations r LEFT JOIN treasury_utxos u
            ON u.asset = r.asset AND u.txid = r.txid AND u.vout = r.vout
            WHERE r.batch = b.id AND (u.txid IS NULL OR u.spent_height IS NOT NULL)) AS coins_missing
        FROM treasury_batches b
        WHERE b.asset = $1 AND b.state IN ('funded', 'signed', 'broadcast')
        ORDER BY b.created_at, b.id LIMIT $2";
    SIGN_BATCH = "UPDATE treasury_batches SET state = 'signed', signed_tx = $2, txid = $3
        WHERE id = $1 AND state = 'funded'";
    BATCH_SENT = "UPDATE treasury_batches SET state = 'broadcast', last_answer = $2
        WHERE id = $1 AND state = 'signed'";
    BATCH_ANSWER = "UPDATE treasury_batches SET last_answer = $2 WHERE id = $1
        AND (last_answer IS NULL OR last_answer <> $2)";
    CONFIRM_BATCH = "UPDATE treasury_batches
        SET state = 'confirmed', height = $2, conflict_height = NULL, txid = $3, fee = $4,
        operator_fee = $5 WHERE id = $1 AND state IN ('funded', 'signed', 'broadcast')";
    BATCHES_CONFIRMED_AT = "SELECT id, operator_fee FROM treasury_batches
        WHERE asset = $1 AND height = $2 AND state = 'confirmed' ORDER BY id";
    UNCONFIRM_BATCH = "UPDATE treasury_batches SET state = 'broadcast', height = NULL
        WHERE id = $1";
    VOID_BATCH = "UPDATE treasury_batches SET state = 'void', conflict_height = NULL WHERE id = $1
        AND state IN ('funded', 'signed', 'broadcast')";
    BATCH_CONFLICT = "UPDATE treasury_batches SET conflict_height = $2 WHERE id = $1
        AND conflict_height IS NULL AND state IN ('funded', 'signed', 'broadcast')";
    CONFLICT_GONE = "UPDATE treasury_batches SET conflict_height = NULL
        WHERE asset = $1 AND conflict_height = $2";
    DEAD_BATCHES = "SELECT id FROM treasury_batches WHERE asset = $1 AND conflict_height <= $2
        AND state IN ('signed', 'broadcast') ORDER BY id";

    // What a signer elsewhere is asked for.
    ORDER_BATCH = "UPDATE treasury_batches SET state = 'signed' WHERE id = $1 AND state = 'funded'";
    INSERT_ORDER = "INSERT INTO treasury_orders (batch, form, asset, plan, fee, operator_fee, psbt,
        state, ordered_at) VALUES ($1, $2, $3, $4, $5, $6, NULL, 'waiting', $7)";
    LAST_ORDER = "SELECT CAST(COALESCE(MAX(form), -1) AS BIGINT) AS form,
        COUNT(CASE WHEN state = 'waiting' THEN 1 END) AS waiting
        FROM treasury_orders WHERE batch = $1";
    SET_OPERATOR_FEE = "UPDATE treasury_batches SET operator_fee = $2 WHERE id = $1";
    ORDERS_UNWRITTEN = "SELECT o.batch, o.form, o.plan FROM treasury_orders o
        JOIN treasury_batches b ON b.id = o.batch
        WHERE o.asset = $1 AND o.state = 'waiting' AND o.psbt IS NULL
        AND b.state IN ('signed', 'broadcast') ORDER BY o.ordered_at, o.batch LIMIT $2";
    WRITE_ORDER = "UPDATE treasury_orders SET psbt = $3
        WHERE batch = $1 AND form = $2 AND psbt IS NULL";
    /// Not those that are being withdrawn: the longer they stay unsigned the better.
    ORDERS_WAITING = "SELECT o.batch, o.form FROM treasury_orders o
        JOIN treasury_batches b ON b.id = o.batch
        WHERE o.asset = $1 AND o.state = 'waiting' AND o.psbt IS NOT NULL
        AND b.state IN ('signed', 'broadcast')
        AND NOT EXISTS (SELECT 1 FROM treasury_batches w WHERE w.replaces = o.batch
            AND w.state <> 'void')
        ORDER BY o.ordered_at, o.batch, o.form LIMIT $2";
    ORDER_PSBT = "SELECT psbt FROM treasury_orders WHERE batch = $1 AND form = $2";
    ORDER_WAITING = "SELECT plan, fee, operator_fee FROM treasury_orders
        WHERE batch = $1 AND form = $2 AND state = 'waiting'";
    END_ORDER = "UPDATE treasury_orders SET state = 'signed', answered_at = $3, answer = NULL
        WHERE batch = $1 AND form = $2";
    NOTE_ANSWER = "UPDATE treasury_orders SET answer = $3, answered_at = $4
        WHERE batch = $1 AND form = $2 AND (answer IS NULL OR answer <> $3)";
    NO_PAYOUT_REASON = "UPDATE treasury_payouts SET reason = NULL WHERE batch = $1";
    SET_BATCH_PAYOUTS_WITH = "UPDATE treasury_payouts SET state = $2, updated_at = $3, reason = $4
        WHERE batch = $1";
    ORDERS = "SELECT o.batch, o.form, o.asset, o.fee, o.state, o.ordered_at, o.answer,
        b.state AS batch_state, b.replaces,
        (SELECT COUNT(*) FROM treasury_payouts p WHERE p.batch = o.batch) AS payouts,
        (SELECT CAST(COALESCE(SUM(p.amount - p.fee), 0) AS BIGINT) FROM treasury_payouts p
            WHERE p.batch = o.batch)
        + (SELECT CAST(COALESCE(SUM(m.amount), 0) AS BIGINT) FROM treasury_moves m
            WHERE m.batch = o.batch) AS pays
        FROM treasury_orders o JOIN treasury_batches b ON b.id = o.batch
        ORDER BY CASE WHEN o.state = 'waiting' AND b.state IN ('signed', 'broadcast')
            THEN 0 ELSE 1 END, o.ordered_at DESC, o.batch, o.form LIMIT $1";
    MADE_IN = "SELECT k.hash FROM treasury_utxos u
        JOIN treasury_blocks k ON k.asset = u.asset AND k.height = u.height
        WHERE u.asset = $1 AND u.txid = $2 AND u.vout = $3";
    ADDRESS_INDEX = "SELECT key_index FROM treasury_addresses
        WHERE asset = $1 AND script = $2 AND keychain = $3";
    // Withdrawals: transactions of ours that spend what others of ours spend.
    SET_REPLACES = "UPDATE treasury_batches SET replaces = $2 WHERE id = $1";
    WITHDRAWAL_OF = "SELECT id FROM treasury_batches WHERE replaces = $1 AND state <> 'void' LIMIT 1";
    DEAREST_FORM = "SELECT CAST(COALESCE(MAX(f.fee), 0) AS BIGINT) AS fee FROM (
        SELECT fee FROM treasury_forms WHERE batch = $1
        UNION ALL SELECT fee FROM treasury_orders WHERE batch = $1) f";
    /// Open transactions that stand against one: what it withdraws, or what withdraws it.
    RIVALS = "SELECT id FROM treasury_batches WHERE (id = $2 OR replaces = $1) AND id <> $1
        AND state IN ('funded', 'signed', 'broadcast')";
    WAS_WITHDRAWN = "SELECT 1 AS one FROM treasury_batches
        WHERE replaces = $1 AND state = 'confirmed'";
}
