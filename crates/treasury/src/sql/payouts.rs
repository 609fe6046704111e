//! Payouts.

gruve_store::statements! {
    // Payouts.
    INSERT_PAYOUT = "INSERT INTO treasury_payouts (id, account, asset, amount, address, script,
        rate_max, fee_max, state, attempt, request_key, reason, created_at, updated_at, takes,
        held_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $12, $11, $11, $13, $14)";
    PAYOUT = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch WHERE p.id = $1";
    PAYOUT_BY_KEY = "SELECT id, amount, asset, address FROM treasury_payouts
        WHERE account = $1 AND request_key = $2";
    PAYOUTS_OF = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 ORDER BY p.created_at DESC, p.id DESC LIMIT $2";
    PAYOUTS_BEFORE = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3";
    PAYOUTS_CHANGED = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 AND p.updated_at >= $2 AND p.updated_at < $3
        ORDER BY p.updated_at, p.id LIMIT $4";
    INVOICES_CLOSED = "SELECT id, state, contract, closed_at FROM treasury_invoices
        WHERE account = $1 AND closed_at >= $2 AND closed_at < $3 ORDER BY closed_at, id LIMIT $4";
    PAYOUTS_IN_STATE = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee,
        p.state, p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.state = $1 ORDER BY p.created_at, p.id LIMIT $2";
    PAYOUTS_IN_STATE_AFTER = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee,
        p.state, p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, p.held_until,
        b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.state = $1 AND p.id > $2 ORDER BY p.id LIMIT $3";
    ASKED_SINCE = "SELECT
        CAST(COALESCE(SUM(CASE WHEN account = $3 THEN amount ELSE 0 END), 0) AS BIGINT) AS own,
        CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS everybody
        FROM treasury_payouts WHERE asset = $1 AND created_at > $2
        AND state NOT IN ('cancelled', 'refused')";
    APPROVE = "INSERT INTO treasury_approvals (payout, approver, approved_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    COUNT_APPROVALS = "SELECT COUNT(*) AS n FROM treasury_approvals WHERE payout = $1";
    APPROVERS = "SELECT approver FROM treasury_approvals WHERE payout = $1
        ORDER BY approved_at, approver";
    OWN_ADDRESS = "SELECT keychain FROM treasury_addresses WHERE asset = $1 AND script = $2";
    COUNT_OPEN_PAYOUTS = "SELECT COUNT(*) AS n FROM treasury_payouts
        WHERE account = $1 AND state NOT IN ('confirmed', 'cancelled', 'refused')";
    ANY_APPROVED = "SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND (held_until IS NULL OR held_until <= $2) LIMIT 1";
    PAID_TO = "SELECT id FROM treasury_payouts WHERE account = $1 AND asset = $2 AND address = $3
        AND state IN ('signed', 'broadcast', 'confirmed') LIMIT 1";
    /// Two are as good as many: whose it is, is not known then.
    PAID_BEFORE = "SELECT DISTINCT account FROM treasury_payouts WHERE asset = $1 AND script = $2
        ORDER BY account LIMIT 2";
    HELD_PAYOUTS = "SELECT id FROM treasury_payouts WHERE account = $1 AND held_until > $2
        AND state IN ('requested', 'approved') ORDER BY created_at, id";
    // What cannot be paid now is left out before the limit, so that it holds up nobody behind it.
    PAYABLE = "SELECT id, account, amount, address, script, fee_max, attempt, created_at
        FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max >= $2 AND amount <= $3 AND (created_at, id) > ($4, $5)
        AND (held_until IS NULL OR held_until <= $7)
        AND NOT EXISTS (SELECT 1 FROM treasury_disputes d
            WHERE d.account = treasury_payouts.account AND d.state IN ('open', 'owing'))
        AND NOT EXISTS (SELECT 1 FROM treasury_paid_unseen h
            JOIN treasury_strangers s ON s.asset = h.asset AND s.txid = h.txid AND s.verdict IS NULL
            WHERE h.payout = treasury_payouts.id)
        ORDER BY created_at, id LIMIT $6";
    WAIT_FOR_FEES = "UPDATE treasury_payouts SET reason = $3 WHERE id IN (
        SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max < $2 AND (reason IS NULL OR reason <> $3)
        AND (held_until IS NULL OR held_until <= $5)
        ORDER BY created_at, id LIMIT $4)";
    WAIT_FOR_COINS = "UPDATE treasury_payouts SET reason = $4 WHERE id IN (
        SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max >= $2 AND amount > $3 AND (reason IS NULL OR reason <> $4)
        AND (held_until IS NULL OR held_until <= $6)
        ORDER BY created_at, id LIMIT $5)";
    PAYOUTS_OF_BATCH = "SELECT id, account, amount, fee, attempt FROM treasury_payouts
        WHERE batch = $1 ORDER BY created_at, id";
    SET_PAYOUT_STATE = "UPDATE treasury_payouts SET state = $2, reason = $3, updated_at = $4
        WHERE id = $1";
    SET_PAYOUT_REASON = "UPDATE treasury_payouts SET reason = $2 WHERE id = $1
        AND (reason IS NULL OR reason <> $2)";
    FUND_PAYOUT = "UPDATE treasury_payouts
        SET state = 'funded', batch = $2, fee = $3, reason = NULL, updated_at = $4
        WHERE id = $1 AND state = 'approved'";
    UNFUND_PAYOUTS = "UPDATE treasury_payouts
        SET state = 'approved', batch = NULL, fee = NULL, attempt = attempt + 1, reason = $2,
        updated_at = $3 WHERE batch = $1";
    SET_BATCH_PAYOUTS = "UPDATE treasury_payouts SET state = $2, updated_at = $3
        WHERE batch = $1 AND state <> $2";
}
