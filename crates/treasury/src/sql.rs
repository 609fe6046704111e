//! Every statement of the room, in one place; one source for both engines.

use gruve_store::{Migration, Tx, Value, params};
use gruve_units::Asset;
use std::sync::LazyLock;

/// The room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "treasury",
        sqlite: include_str!("../migrations/0001_treasury.sqlite.sql"),
        postgres: include_str!("../migrations/0001_treasury.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "account_chains",
        sqlite: include_str!("../migrations/0002_account_chains.sqlite.sql"),
        postgres: include_str!("../migrations/0002_account_chains.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "methods",
        sqlite: include_str!("../migrations/0003_methods.sqlite.sql"),
        postgres: include_str!("../migrations/0003_methods.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "checkouts",
        sqlite: include_str!("../migrations/0004_checkouts.sqlite.sql"),
        postgres: include_str!("../migrations/0004_checkouts.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "approvals",
        sqlite: include_str!("../migrations/0005_approvals.sqlite.sql"),
        postgres: include_str!("../migrations/0005_approvals.postgres.sql"),
    },
    Migration {
        number: 6,
        name: "safety",
        sqlite: include_str!("../migrations/0006_safety.sqlite.sql"),
        postgres: include_str!("../migrations/0006_safety.postgres.sql"),
    },
    Migration {
        number: 7,
        name: "orders",
        sqlite: include_str!("../migrations/0007_orders.sqlite.sql"),
        postgres: include_str!("../migrations/0007_orders.postgres.sql"),
    },
    Migration {
        number: 8,
        name: "unspent",
        sqlite: include_str!("../migrations/0008_unspent.sqlite.sql"),
        postgres: include_str!("../migrations/0008_unspent.postgres.sql"),
    },
    Migration {
        number: 9,
        name: "conversions",
        sqlite: include_str!("../migrations/0009_conversions.sqlite.sql"),
        postgres: include_str!("../migrations/0009_conversions.postgres.sql"),
    },
];

gruve_store::statements! {
    // The chain.
    NEXT_CONNECTION = "INSERT INTO treasury_chains (asset, connections) VALUES ($1, 1)
        ON CONFLICT (asset) DO UPDATE SET connections = treasury_chains.connections + 1
        RETURNING connections";
    INSERT_BLOCK = "INSERT INTO treasury_blocks (asset, height, hash, connection)
        VALUES ($1, $2, $3, $4)";
    DELETE_BLOCK = "DELETE FROM treasury_blocks WHERE asset = $1 AND height = $2";
    BLOCK_AT = "SELECT hash, connection FROM treasury_blocks WHERE asset = $1 AND height = $2";
    BLOCKS = "SELECT height, hash, connection FROM treasury_blocks WHERE asset = $1
        ORDER BY height DESC LIMIT $2";

    // Addresses.
    NEXT_INDEX = "INSERT INTO treasury_keychains (asset, keychain, next_index) VALUES ($1, $2, $3)
        ON CONFLICT (asset, keychain) DO UPDATE SET next_index = treasury_keychains.next_index + 1
        RETURNING next_index";
    ADDRESS_AT = "SELECT script FROM treasury_addresses
        WHERE asset = $1 AND keychain = $2 AND key_index = $3";
    LAST_ADDRESS = "SELECT CAST(COALESCE(MAX(key_index), -1) AS BIGINT) AS last
        FROM treasury_addresses WHERE asset = $1 AND keychain = $2";
    /// An address is in use that was given out by a life this database does not know.
    USED_INDEX = "INSERT INTO treasury_keychains (asset, keychain, next_index) VALUES ($1, $2, $3)
        ON CONFLICT (asset, keychain) DO UPDATE SET next_index = $3
        WHERE treasury_keychains.next_index < $3";
    INSERT_ADDRESS = "INSERT INTO treasury_addresses (asset, script, keychain, key_index)
        VALUES ($1, $2, $3, $4)";

    // Invoices.
    INSERT_INVOICE = "INSERT INTO treasury_invoices (id, account, asset, amount, contract, address,
        key_index, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'new', $8, $9)";
    INVOICE = "SELECT i.id, i.account, i.asset, i.amount, i.contract, i.address, i.state, i.created_at,
        i.expires_at, c.pays, c.price_asset, c.price, c.coin_usd_micro, c.price_usd_micro,
        c.spread_bps, c.priced_at, c.counts_until
        FROM treasury_invoices i LEFT JOIN treasury_conversions c ON c.invoice = i.id
        WHERE i.id = $1";
    INVOICES_OF = "SELECT i.id, i.account, i.asset, i.amount, i.contract, i.address, i.state,
        i.created_at, i.expires_at, c.pays, c.price_asset, c.price, c.coin_usd_micro,
        c.price_usd_micro, c.spread_bps, c.priced_at, c.counts_until
        FROM treasury_invoices i LEFT JOIN treasury_conversions c ON c.invoice = i.id
        WHERE i.account = $1 ORDER BY i.created_at DESC, i.id DESC LIMIT $2";
    LATEST_INVOICES = "SELECT id FROM treasury_invoices WHERE id < $1 ORDER BY id DESC LIMIT $2";
    INVOICES_BEFORE = "SELECT id FROM treasury_invoices WHERE account = $1 AND id < $2
        ORDER BY id DESC LIMIT $3";
    INVOICE_BY_INDEX = "SELECT id FROM treasury_invoices WHERE asset = $1 AND key_index = $2";
    COUNT_OPEN_INVOICES = "SELECT COUNT(*) AS n FROM treasury_invoices
        WHERE account = $1 AND closed_at IS NULL";
    DUE_INVOICES = "SELECT id FROM treasury_invoices
        WHERE asset = $1 AND closed_at IS NULL AND expires_at < $2 ORDER BY expires_at LIMIT 500";
    SET_INVOICE_STATE = "UPDATE treasury_invoices SET state = $2
        WHERE id = $1 AND closed_at IS NULL";
    /// The next look at the clock closes it.
    END_INVOICE = "UPDATE treasury_invoices SET expires_at = $2
        WHERE id = $1 AND closed_at IS NULL AND expires_at > $2";
    CLOSE_INVOICE = "UPDATE treasury_invoices SET state = $2, closed_at = $3
        WHERE id = $1 AND closed_at IS NULL";
    // What came to its address, and what came by other methods. Late is what a conversion's rate no longer counts for.
    INVOICE_SUMS = "SELECT
        CAST(COALESCE(SUM(CASE WHEN s.late = 0 THEN s.value ELSE 0 END), 0) AS BIGINT) AS in_chain,
        CAST(COALESCE(SUM(CASE WHEN s.late = 1 OR s.credit = 'none' THEN 0 ELSE s.value END), 0)
            AS BIGINT) AS confirmed,
        CAST(COALESCE(SUM(CASE WHEN s.credit = 'held' THEN s.credited ELSE 0 END), 0) AS BIGINT)
            AS held,
        CAST(COALESCE(SUM(CASE WHEN s.late = 1 THEN s.value ELSE 0 END), 0) AS BIGINT) AS late
        FROM (SELECT r.value, r.credit, r.credited,
            CASE WHEN r.seen_at > c.counts_until THEN 1 ELSE 0 END AS late
            FROM treasury_receipts r LEFT JOIN treasury_conversions c ON c.invoice = r.invoice
            WHERE r.invoice = $1 AND r.height IS NOT NULL
            UNION ALL
            SELECT amount - taken AS value, credit, amount - taken AS credited, 0 AS late
            FROM treasury_payments WHERE invoice = $1) s";
    RELEASE_HELD_PAYMENTS = "UPDATE treasury_payments SET credit = 'available'
        WHERE invoice = $1 AND credit = 'held'";
    RELEASE_HELD = "UPDATE treasury_receipts SET credit = 'available'
        WHERE invoice = $1 AND credit = 'held'";

    // What a room above writes when told of an invoice, undone when it refuses.
    SAVE = "SAVEPOINT treasury_sink";
    BACK_TO_SAVED = "ROLLBACK TO SAVEPOINT treasury_sink";
    FORGET_SAVED = "RELEASE SAVEPOINT treasury_sink";

    // Payments by other methods.
    INSERT_PAYMENT = "INSERT INTO treasury_payments (id, method, external, asset, amount, invoice,
        account, credit, taken, arrived_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)";
    PAYMENT = "SELECT id, method, external, asset, amount, invoice, account, credit, taken, arrived_at
        FROM treasury_payments WHERE id = $1";
    PAYMENT_BY_NAME = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE method = $1 AND external = $2";
    PAYMENTS_OF = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE account = $1 ORDER BY arrived_at DESC, id DESC
        LIMIT 200";
    PAYMENTS_BEFORE = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    MATCH_PAYMENT = "UPDATE treasury_payments SET invoice = $2, account = $3, credit = $4
        WHERE id = $1 AND account IS NULL AND taken = 0";
    TAKE_BACK = "UPDATE treasury_payments SET taken = $3 WHERE id = $1 AND taken = $2";
    TAKING = "SELECT amount FROM treasury_takings WHERE payment = $1 AND event = $2";
    INSERT_TAKING = "INSERT INTO treasury_takings (payment, event, amount, taken_at)
        VALUES ($1, $2, $3, $4)";

    DELETE_TAKING = "DELETE FROM treasury_takings WHERE payment = $1 AND event = $2";
    TAKEN_SO_FAR = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS minor FROM treasury_takings
        WHERE payment = $1 AND event LIKE $2";

    // Places to pay at other services.
    INSERT_CHECKOUT = "INSERT INTO treasury_checkouts (method, external, invoice, attempt, url,
        state, came, opened_at, look_at) VALUES ($1, $2, $3, $4, $5, 'open', 0, $6, $7)
        ON CONFLICT DO NOTHING";
    CHECKOUTS_OF = "SELECT external, url, state, opened_at FROM treasury_checkouts
        WHERE method = $1 AND invoice = $2 ORDER BY attempt";
    CHECKOUT = "SELECT invoice, state, came, opened_at FROM treasury_checkouts
        WHERE method = $1 AND external = $2";
    CHECKOUTS_DUE = "SELECT method, external, opened_at FROM treasury_checkouts
        WHERE state = 'open' AND look_at <= $1 ORDER BY look_at LIMIT $2";
    LOOK_LATER = "UPDATE treasury_checkouts SET look_at = $3, state = $4
        WHERE method = $1 AND external = $2 AND state = 'open'";
    COUNT_CHECKOUT = "UPDATE treasury_checkouts SET came = $4, state = $5, look_at = $6
        WHERE method = $1 AND external = $2 AND came = $3";
    HEARD = "SELECT heard_at FROM treasury_heard WHERE method = $1 AND event = $2";
    HEAR = "INSERT INTO treasury_heard (method, event, heard_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    FORGET_HEARD = "DELETE FROM treasury_heard WHERE heard_at < $1";
    OPEN_DISPUTE = "INSERT INTO treasury_disputes (external, payment, account, asset, amount, state,
        opened_at, looked_at) VALUES ($1, $2, $3, $4, $5, 'open', $6, $6) ON CONFLICT DO NOTHING";
    DISPUTE = "SELECT state FROM treasury_disputes WHERE external = $1";
    /// Those that are open and were not looked at since a moment.
    DISPUTES_DUE = "SELECT external FROM treasury_disputes WHERE state = 'open' AND looked_at < $1
        ORDER BY looked_at, external LIMIT $2";
    DISPUTE_LOOKED_AT = "UPDATE treasury_disputes SET looked_at = $2 WHERE external = $1";
    CLOSE_DISPUTE = "UPDATE treasury_disputes SET state = $2, closed_at = $3
        WHERE external = $1 AND state = 'open'";
    OWE_DISPUTE = "UPDATE treasury_disputes SET state = 'owing' WHERE external = $1 AND state = 'lost'";
    RELEASE_DISPUTES = "UPDATE treasury_disputes SET state = 'lost'
        WHERE account = $1 AND state = 'owing'";
    DISPUTED = "SELECT external FROM treasury_disputes
        WHERE account = $1 AND state IN ('open', 'owing') LIMIT 1";
    /// What is planned and not signed goes no further, either.
    DISPUTED_IN_BATCH = "SELECT 1 AS one FROM treasury_payouts p
        JOIN treasury_disputes d ON d.account = p.account
        WHERE p.batch = $1 AND d.state IN ('open', 'owing') LIMIT 1";
    /// The invoice that a payment paid for: one that came after its closing paid for nothing of it.
    PAID_WITH = "SELECT i.id AS id FROM treasury_payments p JOIN treasury_invoices i ON i.id = p.invoice
        WHERE p.id = $1 AND (i.closed_at IS NULL OR p.arrived_at <= i.closed_at)";
    INSERT_REFUND = "INSERT INTO treasury_refunds (id, payment, amount, state, reason, asked_at)
        VALUES ($1, $2, $3, 'asked', $4, $5)";
    REFUNDS_ASKED = "SELECT r.id, r.payment, r.amount, r.asked_at, p.external, p.asset FROM treasury_refunds r
        JOIN treasury_payments p ON p.id = r.payment WHERE r.state = 'asked'
        ORDER BY r.asked_at LIMIT $1";
    REFUND = "SELECT r.payment, r.amount, p.asset FROM treasury_refunds r
        JOIN treasury_payments p ON p.id = r.payment WHERE r.id = $1";
    /// Also one whose answer has not come yet: asked again by its key, the service would say what it said at first.
    FAIL_REFUND = "UPDATE treasury_refunds SET state = 'refused'
        WHERE id = $1 AND state IN ('asked', 'done')";
    END_REFUND = "UPDATE treasury_refunds SET state = $2 WHERE id = $1 AND state = 'asked'";

    // Bank statements.
    BANK_FILE = "SELECT imported_at FROM treasury_bank_files WHERE hash = $1";
    INSERT_BANK_FILE = "INSERT INTO treasury_bank_files (hash, name, entries, imported_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO NOTHING";
    BANK_FILES = "SELECT hash, name, entries, imported_at FROM treasury_bank_files
        ORDER BY imported_at DESC, hash LIMIT 50";
    BANK_ENTRIES_ALIKE = "SELECT own_ref, content, statement, number FROM treasury_bank_entries
        WHERE bank = $1 AND (content = $2 OR own_ref = $3)";
    INSERT_BANK_ENTRY = "INSERT INTO treasury_bank_entries (id, bank, statement, own_ref, content,
        number, place, asset, amount, booked_on, payer, payer_account, note, state, reason, payment,
        arrived_at, decided_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, NULL)";
    BANK_ENTRY = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at FROM treasury_bank_entries
        WHERE id = $1";
    BANK_ENTRIES_WAITING = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at FROM treasury_bank_entries
        WHERE state = 'waiting' ORDER BY arrived_at, place, id LIMIT $1";
    BANK_ENTRIES_AFTER = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at FROM treasury_bank_entries
        WHERE state = 'waiting' AND id > $1 ORDER BY id LIMIT $2";
    COUNT_BANK_WAITING = "SELECT COUNT(*) AS n FROM treasury_bank_entries WHERE state = 'waiting'";
    DECIDE_BANK_ENTRY = "UPDATE treasury_bank_entries
        SET state = $2, payment = $3, reason = $4, decided_at = $5
        WHERE id = $1 AND state = 'waiting'";
    OPEN_INVOICES_OF = "SELECT id FROM treasury_invoices
        WHERE asset = $1 AND amount > $2 AND amount <= $3 AND closed_at IS NULL
        ORDER BY created_at LIMIT 5";

    // Receipts.
    RECEIPT = "SELECT value, arrival_lost, height FROM treasury_receipts
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    INSERT_RECEIPT = "INSERT INTO treasury_receipts (asset, txid, vout, value, keychain, invoice,
        height, ripe_height, credit, credited, arrival_lost, credit_lost, seen_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'none', 0, 0, 0, $9)";
    RECEIPT_RETURNED = "UPDATE treasury_receipts SET height = $4, ripe_height = $5, arrival_lost = 0
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    RECEIPT_GONE = "UPDATE treasury_receipts
        SET height = NULL, ripe_height = NULL, arrival_lost = $4
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    RIPE_RECEIPTS = "SELECT txid, vout, value, invoice, credit_lost, seen_at FROM treasury_receipts
        WHERE asset = $1 AND ripe_height <= $2 AND credit = 'none' AND height IS NOT NULL
        AND invoice IS NOT NULL ORDER BY ripe_height, txid, vout";
    /// What the customer of an address has waiting on the chain. From the customer's invoices to their receipts, in
    /// this order: all that waits may be ten thousand.
    WAITING_BESIDE = "SELECT CAST(COALESCE(SUM(r.value), 0) AS BIGINT) AS minor
        FROM treasury_invoices own CROSS JOIN treasury_invoices i CROSS JOIN treasury_receipts r
        WHERE own.asset = $1 AND own.key_index = $2 AND i.account = own.account AND i.asset = own.asset
        AND r.invoice = i.id AND r.credit = 'none' AND r.height IS NOT NULL";
    CREDIT_RECEIPT = "UPDATE treasury_receipts
        SET credit = $4, credited = $5, credit_height = $6, credit_lost = 0
        WHERE asset = $1 AND txid = $2 AND vout = $3 AND credit = 'none'";
    RECEIPTS_CREDITED_AT = "SELECT r.txid, r.vout, r.value, r.credit, r.credited, r.invoice,
        i.account FROM treasury_receipts r JOIN treasury_invoices i ON i.id = r.invoice
        WHERE r.asset = $1 AND r.credit_height = $2 ORDER BY r.txid, r.vout";
    UNCREDIT_RECEIPT = "UPDATE treasury_receipts
        SET credit = 'none', credited = 0, credit_height = NULL, credit_lost = $4
        WHERE asset = $1 AND txid = $2 AND vout = $3";

    // Coins.
    INSERT_UTXO = "INSERT INTO treasury_utxos (asset, txid, vout, value, keychain, key_index, origin,
        height, ripe_height, spent_outside) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)";
    UTXOS_AT = "SELECT u.txid, u.vout, u.value, u.keychain, u.origin, r.invoice
        FROM treasury_utxos u LEFT JOIN treasury_receipts r
        ON r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout
        WHERE u.asset = $1 AND u.height = $2 ORDER BY u.txid, u.vout";
    DELETE_UTXOS_AT = "DELETE FROM treasury_utxos WHERE asset = $1 AND height = $2";
    SPEND_UTXO = "UPDATE treasury_utxos SET spent_height = $4, spent_outside = $5
        WHERE asset = $1 AND txid = $2 AND vout = $3 AND spent_height IS NULL";
    SPENT_OUTSIDE_AT = "SELECT txid, vout, value FROM treasury_utxos
        WHERE asset = $1 AND spent_height = $2 AND spent_outside = 1 ORDER BY txid, vout";
    UNSPEND_UTXOS_AT = "UPDATE treasury_utxos SET spent_height = NULL, spent_outside = 0
        WHERE asset = $1 AND spent_height = $2";
    SPENDABLE = "SELECT u.txid, u.vout, u.value, u.keychain, u.key_index FROM treasury_utxos u
        WHERE u.asset = $1 AND u.spent_height IS NULL AND u.ripe_height <= $2
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r
            WHERE r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout)
        ORDER BY u.value DESC, u.txid DESC, u.vout DESC LIMIT $3";
    UNSPENT = "SELECT txid, vout, value, keychain, key_index FROM treasury_utxos
        WHERE asset = $1 AND spent_height IS NULL ORDER BY txid, vout";
    ACCOUNTS_HELD = "SELECT address, keychain, key_index, wei FROM treasury_account_balances
        WHERE asset = $1 ORDER BY address";
    WALLET_SUMS = "SELECT
        CAST(COALESCE(SUM(u.value), 0) AS BIGINT) AS total,
        CAST(COALESCE(SUM(CASE WHEN r.batch IS NULL AND u.ripe_height <= $2
            THEN u.value ELSE 0 END), 0) AS BIGINT) AS spendable,
        CAST(COALESCE(SUM(CASE WHEN r.batch IS NOT NULL THEN u.value ELSE 0 END), 0) AS BIGINT)
            AS reserved,
        CAST(COALESCE(SUM(CASE WHEN r.batch IS NULL AND u.ripe_height > $2 AND u.origin = 'reward'
            THEN u.value ELSE 0 END), 0) AS BIGINT) AS maturing
        FROM treasury_utxos u LEFT JOIN treasury_reservations r
        ON r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout
        WHERE u.asset = $1 AND u.spent_height IS NULL";

    // Reservations.
    RESERVE = "INSERT INTO treasury_reservations (asset, txid, vout, value, keychain, key_index,
        batch) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    RESERVED_BY = "SELECT r.txid, r.vout, r.value, r.keychain, r.key_index,
        CASE WHEN u.txid IS NOT NULL AND u.spent_height IS NULL AND u.ripe_height <= $2
            THEN 1 ELSE 0 END AS usable
        FROM treasury_reservations r LEFT JOIN treasury_utxos u
        ON u.asset = r.asset AND u.txid = r.txid AND u.vout = r.vout
        WHERE r.batch = $1 ORDER BY r.txid, r.vout";
    BATCH_RESERVING = "SELECT batch FROM treasury_reservations
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    RELEASE = "DELETE FROM treasury_reservations WHERE batch = $1";

    SMALLEST = "SELECT u.txid, u.vout, u.value, u.keychain, u.key_index FROM treasury_utxos u
        WHERE u.asset = $1 AND u.spent_height IS NULL AND u.ripe_height <= $2 AND u.value > $3
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r
            WHERE r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout)
        ORDER BY u.value, u.txid, u.vout LIMIT $4";
    COUNT_SPENDABLE = "SELECT COUNT(*) AS n FROM treasury_utxos u
        WHERE u.asset = $1 AND u.spent_height IS NULL AND u.ripe_height <= $2
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r
            WHERE r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout)";
    UNPROMISED = "SELECT u.txid, u.vout FROM treasury_utxos u
        WHERE u.asset = $1 AND u.spent_height IS NULL
        AND NOT EXISTS (SELECT 1 FROM treasury_reservations r
            WHERE r.asset = u.asset AND r.txid = u.txid AND r.vout = u.vout)
        ORDER BY u.value DESC, u.txid DESC, u.vout DESC LIMIT $2";
    RESERVING_ANY = "SELECT batch FROM treasury_reservations WHERE txid = $1 AND vout = $2";
    RESERVED_POINTS = "SELECT txid, vout, value FROM treasury_reservations WHERE batch = $1";

    // What nothing of ours explains.
    ANY_LOCK = "SELECT 1 AS one FROM treasury_strangers WHERE asset = $1 AND verdict IS NULL
        UNION ALL SELECT 1 AS one FROM treasury_doubted_coins WHERE asset = $1 LIMIT 1";
    INSERT_STRANGER = "INSERT INTO treasury_strangers (asset, txid, height, value, form, seen_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (asset, txid) DO UPDATE SET height = $3";
    STRANGERS_GONE = "UPDATE treasury_strangers SET height = NULL WHERE asset = $1 AND height = $2";
    STRANGERS = "SELECT txid, height, value, seen_at FROM treasury_strangers
        WHERE asset = $1 AND verdict IS NULL ORDER BY seen_at, txid LIMIT 50";
    STRANGER = "SELECT height, form FROM treasury_strangers
        WHERE asset = $1 AND txid = $2 AND verdict IS NULL";
    JUDGE_STRANGER = "UPDATE treasury_strangers SET verdict = $3, decided_by = $4, decided_at = $5
        WHERE asset = $1 AND txid = $2 AND verdict IS NULL";
    DOUBT = "INSERT INTO treasury_doubted_coins (asset, txid, vout, seen_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    DOUBTED = "SELECT txid, vout, seen_at FROM treasury_doubted_coins WHERE asset = $1
        ORDER BY seen_at, txid, vout LIMIT 50";
    DOUBT_DECIDED = "DELETE FROM treasury_doubted_coins
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    CLEAR_DOUBTS = "DELETE FROM treasury_doubted_coins WHERE asset = $1";
    SPENT_OUTSIDE = "SELECT value, keychain, key_index FROM treasury_utxos
        WHERE asset = $1 AND txid = $2 AND vout = $3 AND spent_outside = 1";
    NOT_OUTSIDE = "UPDATE treasury_utxos SET spent_outside = 0
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    NOW_CHANGE = "UPDATE treasury_utxos SET origin = 'change'
        WHERE asset = $1 AND txid = $2 AND vout = $3";
    DELETE_RECEIPT = "DELETE FROM treasury_receipts WHERE asset = $1 AND txid = $2 AND vout = $3";
    PAYOUTS_EXPLAINED = "SELECT id, account, amount, attempt, batch FROM treasury_payouts
        WHERE asset = $1 AND script = $2 AND state IN ('requested', 'approved', 'funded')
        AND amount >= $3 AND amount - fee_max <= $3 ORDER BY created_at, id LIMIT 50";
    PAYOUT_MADE = "UPDATE treasury_payouts
        SET state = $5, batch = $2, fee = $3, reason = NULL, updated_at = $4
        WHERE id = $1 AND state IN ('requested', 'approved')";

    // Moves of our own coins.
    INSERT_MOVE = "INSERT INTO treasury_moves (batch, asset, kind, amount, script)
        VALUES ($1, $2, $3, $4, $5)";
    MOVE = "SELECT amount FROM treasury_moves WHERE batch = $1";
    OPEN_MOVE = "SELECT m.batch FROM treasury_moves m JOIN treasury_batches b ON b.id = m.batch
        WHERE b.asset = $1 AND m.kind = $2 AND b.state IN ('funded', 'signed', 'broadcast') LIMIT 1";
    OPEN_COSTS = "SELECT CAST(COALESCE(SUM(b.operator_fee + COALESCE(m.amount, 0)), 0) AS BIGINT)
        AS minor FROM treasury_batches b LEFT JOIN treasury_moves m ON m.batch = b.id
        WHERE b.asset = $1 AND b.state IN ('funded', 'signed', 'broadcast')";
    PENDING_PAYOUTS = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS minor
        FROM treasury_payouts WHERE asset = $1 AND state IN ('requested', 'approved')";

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

    // Payouts.
    INSERT_PAYOUT = "INSERT INTO treasury_payouts (id, account, asset, amount, address, script,
        rate_max, fee_max, state, attempt, request_key, reason, created_at, updated_at, takes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $12, $11, $11, $13)";
    PAYOUT = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch WHERE p.id = $1";
    PAYOUT_BY_KEY = "SELECT id, amount, asset, address FROM treasury_payouts
        WHERE account = $1 AND request_key = $2";
    PAYOUTS_OF = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 ORDER BY p.created_at DESC, p.id DESC LIMIT $2";
    PAYOUTS_BEFORE = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 AND p.id < $2 ORDER BY p.id DESC LIMIT $3";
    PAYOUTS_CHANGED = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee, p.state,
        p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.account = $1 AND p.updated_at >= $2 AND p.updated_at < $3
        ORDER BY p.updated_at, p.id LIMIT $4";
    INVOICES_CLOSED = "SELECT id, state, contract, closed_at FROM treasury_invoices
        WHERE account = $1 AND closed_at >= $2 AND closed_at < $3 ORDER BY closed_at, id LIMIT $4";
    PAYOUTS_IN_STATE = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee,
        p.state, p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
        FROM treasury_payouts p LEFT JOIN treasury_batches b ON b.id = p.batch
        WHERE p.state = $1 ORDER BY p.created_at, p.id LIMIT $2";
    PAYOUTS_IN_STATE_AFTER = "SELECT p.id, p.account, p.asset, p.amount, p.address, p.fee_max, p.fee,
        p.state, p.reason, p.attempt, p.batch, p.created_at, p.updated_at, p.takes, b.txid, b.height
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
    ANY_APPROVED = "SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved' LIMIT 1";
    // What cannot be paid now is left out before the limit, so that it holds up nobody behind it.
    PAYABLE = "SELECT id, account, amount, address, script, fee_max, attempt, created_at
        FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max >= $2 AND amount <= $3 AND (created_at, id) > ($4, $5)
        AND NOT EXISTS (SELECT 1 FROM treasury_disputes d
            WHERE d.account = treasury_payouts.account AND d.state IN ('open', 'owing'))
        ORDER BY created_at, id LIMIT $6";
    WAIT_FOR_FEES = "UPDATE treasury_payouts SET reason = $3 WHERE id IN (
        SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max < $2 AND (reason IS NULL OR reason <> $3)
        ORDER BY created_at, id LIMIT $4)";
    WAIT_FOR_COINS = "UPDATE treasury_payouts SET reason = $4 WHERE id IN (
        SELECT id FROM treasury_payouts WHERE asset = $1 AND state = 'approved'
        AND rate_max >= $2 AND amount > $3 AND (reason IS NULL OR reason <> $4)
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

/// Keys looked up by one statement. A full block needs some tens of rounds; the statement's text is
/// the same each time.
const CHUNK: usize = 200;

fn with_list(head: &str, tail: &str) -> String {
    let list: Vec<String> = (2..CHUNK + 2).map(|n| format!("${n}")).collect();
    format!("{head} IN ({}){tail}", list.join(", "))
}

/// Our addresses among some scripts.
pub(crate) static ADDRESSES_AMONG: LazyLock<String> = LazyLock::new(|| {
    with_list(
        "SELECT script, keychain, key_index FROM treasury_addresses WHERE asset = $1 AND script",
        "",
    )
});

/// Our unspent coins made by some transactions.
pub(crate) static UNSPENT_AMONG: LazyLock<String> = LazyLock::new(|| {
    with_list(
        "SELECT txid, vout, value FROM treasury_utxos WHERE asset = $1 AND txid",
        " AND spent_height IS NULL",
    )
});

/// Every statement with its name, for the test that prepares them all on both engines.
#[doc(hidden)]
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static str)> {
    let lists = [("ADDRESSES_AMONG", ADDRESSES_AMONG.as_str()), ("UNSPENT_AMONG", &UNSPENT_AMONG)];
    let accounts = crate::account::sql::STATEMENTS.iter().copied();
    let conversions = crate::conversion::sql::STATEMENTS.iter().copied();
    let unconfirmed = crate::unconfirmed::sql::STATEMENTS.iter().copied();
    let own = STATEMENTS.iter().copied().chain(accounts).chain(conversions);
    own.chain(unconfirmed).chain(lists).collect()
}

/// Runs one of the two statements above for any number of keys.
pub(crate) async fn among(
    tx: &mut Tx,
    sql: &'static LazyLock<String>,
    asset: Asset,
    keys: &[&[u8]],
) -> gruve_store::Result<Vec<gruve_store::Row>> {
    let mut rows = Vec::new();
    for chunk in keys.chunks(CHUNK) {
        let mut params: Vec<Value> = params![asset].to_vec();
        params.extend(chunk.iter().map(|&k| Value::from(k)));
        // The list is filled up with its first key, so that the text stays the same.
        params.resize(CHUNK + 1, Value::from(chunk[0]));
        rows.extend(tx.fetch_all(sql.as_str(), &params).await?);
    }
    Ok(rows)
}
