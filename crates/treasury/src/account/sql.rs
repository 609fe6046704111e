//! The statements of account chains; one source for both engines.

gruve_store::statements! {
    // Balances.
    BELOW = "SELECT wei_below FROM treasury_account_chains WHERE asset = $1";
    SET_BELOW = "INSERT INTO treasury_account_chains (asset, wei_below) VALUES ($1, $2)
        ON CONFLICT (asset) DO UPDATE SET wei_below = $2";
    HOLDS = "SELECT wei FROM treasury_account_balances WHERE asset = $1 AND address = $2";
    SET_HOLDS = "INSERT INTO treasury_account_balances (asset, address, keychain, key_index, wei)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (asset, address) DO UPDATE SET wei = $5";
    ALL_HOLD = "SELECT address, keychain, key_index, wei FROM treasury_account_balances
        WHERE asset = $1 ORDER BY address";
    INSERT_UNDO = "INSERT INTO treasury_account_undo (asset, height, address, wei)
        VALUES ($1, $2, $3, $4) ON CONFLICT (asset, height, address) DO NOTHING";
    UNDO_AT = "SELECT address, wei FROM treasury_account_undo WHERE asset = $1 AND height = $2";
    RESTORE_HOLDS = "UPDATE treasury_account_balances SET wei = $3
        WHERE asset = $1 AND address = $2";
    DELETE_UNDO_AT = "DELETE FROM treasury_account_undo WHERE asset = $1 AND height = $2";
    INSERT_CARRY = "INSERT INTO treasury_account_carries (asset, height, below_before, carried)
        VALUES ($1, $2, $3, $4)";
    CARRY_AT = "SELECT below_before, carried FROM treasury_account_carries
        WHERE asset = $1 AND height = $2";
    DELETE_CARRY_AT = "DELETE FROM treasury_account_carries WHERE asset = $1 AND height = $2";
    INSERT_COST = "INSERT INTO treasury_account_costs (asset, height, txid, minor, sender, nonce)
        VALUES ($1, $2, $3, $4, $5, $6)";
    COSTS_AT = "SELECT txid, minor, sender, nonce FROM treasury_account_costs
        WHERE asset = $1 AND height = $2 ORDER BY txid";
    DELETE_COST = "DELETE FROM treasury_account_costs WHERE asset = $1 AND txid = $2";
    DELETE_COSTS_AT = "DELETE FROM treasury_account_costs WHERE asset = $1 AND height = $2";
    RECEIPTS_AT = "SELECT txid, vout, value, keychain, invoice FROM treasury_receipts
        WHERE asset = $1 AND height = $2 ORDER BY txid, vout";

    // Nonces.
    NONCE = "SELECT next_nonce FROM treasury_account_nonces WHERE asset = $1 AND sender = $2";
    SET_NONCE = "INSERT INTO treasury_account_nonces (asset, sender, next_nonce)
        VALUES ($1, $2, $3)
        ON CONFLICT (asset, sender) DO UPDATE SET next_nonce = $3";
    LOWEST_HOLE = "SELECT nonce FROM treasury_account_holes WHERE asset = $1 AND sender = $2
        ORDER BY nonce LIMIT 1";
    INSERT_HOLE = "INSERT INTO treasury_account_holes (asset, sender, nonce) VALUES ($1, $2, $3)
        ON CONFLICT (asset, sender, nonce) DO NOTHING";
    DELETE_HOLE = "DELETE FROM treasury_account_holes
        WHERE asset = $1 AND sender = $2 AND nonce = $3";

    // Transactions of ours.
    INSERT_TX = "INSERT INTO treasury_account_txs (batch, asset, sender, keychain, key_index, nonce,
        kind, recipient, gas_price, wei) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    DELETE_TX = "DELETE FROM treasury_account_txs WHERE batch = $1";
    TX = "SELECT t.batch, t.sender, t.keychain, t.key_index, t.nonce, t.kind, t.recipient,
        t.gas_price, t.wei, b.state, b.fee, b.unsigned_tx FROM treasury_account_txs t
        JOIN treasury_batches b ON b.id = t.batch WHERE t.batch = $1";
    TX_OF_NONCE = "SELECT batch FROM treasury_account_txs
        WHERE asset = $1 AND sender = $2 AND nonce = $3";
    OPEN_TXS = "SELECT t.batch, b.state FROM treasury_account_txs t
        JOIN treasury_batches b ON b.id = t.batch
        WHERE t.asset = $1 AND b.state IN ('funded', 'signed', 'broadcast')
        ORDER BY CASE WHEN t.kind = 'sweep' THEN 1 ELSE 0 END, t.sender, t.nonce LIMIT $2";
    COUNT_OPEN_OF = "SELECT COUNT(*) AS n FROM treasury_account_txs t
        JOIN treasury_batches b ON b.id = t.batch
        WHERE t.asset = $1 AND t.sender = $2 AND b.state IN ('funded', 'signed', 'broadcast')";
    // The forms of what else is under way from an address: what was never signed counts as it was planned.
    OTHERS_OPEN = "SELECT t.batch, COALESCE(f.gas_price, t.gas_price) AS gas_price,
        COALESCE(f.wei, t.wei) AS wei FROM treasury_account_txs t
        JOIN treasury_batches b ON b.id = t.batch
        LEFT JOIN treasury_account_forms f ON f.batch = t.batch
        WHERE t.asset = $1 AND t.sender = $2 AND t.batch <> $3
        AND b.state IN ('funded', 'signed', 'broadcast')";
    COSTS_OF_OPEN = "SELECT CAST(COALESCE(SUM(b.fee + COALESCE(p.amount, 0) - COALESCE(p.fee, 0)
        + COALESCE(m.amount, 0)), 0)
        AS BIGINT) AS minor FROM treasury_account_txs t
        JOIN treasury_batches b ON b.id = t.batch
        LEFT JOIN treasury_payouts p ON p.batch = b.id
        LEFT JOIN treasury_moves m ON m.batch = b.id
        WHERE t.asset = $1 AND t.sender = $2 AND b.state IN ('funded', 'signed', 'broadcast')";
    INSERT_FORM = "INSERT INTO treasury_account_forms (asset, txid, batch, gas_price, wei, signed_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    FORM_BY_TXID = "SELECT batch, gas_price, wei FROM treasury_account_forms
        WHERE asset = $1 AND txid = $2";
    NEWEST_FORM = "SELECT gas_price, wei, signed_at FROM treasury_account_forms
        WHERE batch = $1 ORDER BY signed_at DESC, gas_price DESC LIMIT 1";
    SIGN_AGAIN = "UPDATE treasury_batches SET signed_tx = $2, txid = $3, fee = $4
        WHERE id = $1 AND state IN ('signed', 'broadcast')";
    SET_FEES = "UPDATE treasury_batches SET fee = $2, operator_fee = $3 WHERE id = $1";
    FAIL_TX = "UPDATE treasury_batches SET state = 'failed', height = $2, txid = $3
        WHERE id = $1 AND state IN ('signed', 'broadcast')";
    FAILED_AT = "SELECT id FROM treasury_batches
        WHERE asset = $1 AND height = $2 AND state = 'failed' ORDER BY id";
    DEAD_FAILED = "SELECT b.id FROM treasury_batches b WHERE b.asset = $1 AND b.state = 'failed'
        AND b.height <= $2 AND EXISTS (SELECT 1 FROM treasury_payouts p WHERE p.batch = b.id)
        ORDER BY b.id";
    VOID_FAILED = "UPDATE treasury_batches SET state = 'void' WHERE id = $1 AND state = 'failed'";
    SET_PAYOUT_FEE = "UPDATE treasury_payouts SET fee = $2 WHERE batch = $1";
    PAYOUT_OF = "SELECT id, amount, fee_max, attempt, account FROM treasury_payouts
        WHERE batch = $1";

    // What may be swept: addresses of pay-ins without a receipt that is not deep enough, and
    // without a transaction under way.
    SWEEPABLE = "SELECT a.address, a.keychain, a.key_index, a.wei
        FROM treasury_account_balances a WHERE a.asset = $1 AND a.keychain = $2 AND a.wei >= $3
        AND NOT EXISTS (SELECT 1 FROM treasury_receipts r
            JOIN treasury_invoices i ON i.id = r.invoice
            WHERE r.asset = a.asset AND i.key_index = a.key_index
            AND r.height IS NOT NULL AND r.ripe_height > $4)
        AND NOT EXISTS (SELECT 1 FROM treasury_account_txs t
            JOIN treasury_batches b ON b.id = t.batch
            WHERE t.asset = a.asset AND t.sender = a.address
            AND b.state IN ('funded', 'signed', 'broadcast'))
        ORDER BY a.wei DESC, a.address LIMIT $5";
}
