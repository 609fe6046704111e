//! Every statement of the room that is not kept with its module; one source for both engines.

mod methods;
mod migrations;
mod payouts;
mod signing;

pub(crate) use methods::*;
pub use migrations::MIGRATIONS;
pub(crate) use payouts::*;
pub(crate) use signing::*;

use gruve_store::{Tx, Value, params};
use gruve_units::Asset;
use std::sync::LazyLock;

/// Invoices with what came to their addresses and by other methods, and what they convert. Late is what a conversion's rate no
/// longer counts for.
macro_rules! invoices {
    ($which:literal, $order:literal, $limit:literal) => {
        concat!(
            "WITH page AS (SELECT i.id, i.account, i.asset, i.amount, i.contract, i.address, i.state, i.created_at,
                i.expires_at FROM treasury_invoices i ",
            $which,
            $order,
            $limit,
            "), came AS (SELECT r.invoice, r.value, r.credit, r.credited,
                CASE WHEN r.seen_at > c.counts_until THEN 1 ELSE 0 END AS late
                FROM page p JOIN treasury_receipts r ON r.invoice = p.id
                LEFT JOIN treasury_conversions c ON c.invoice = r.invoice
                WHERE r.height IS NOT NULL
                UNION ALL
                SELECT y.invoice, y.amount - y.taken AS value, y.credit, y.amount - y.taken AS credited, 0 AS late
                FROM page p JOIN treasury_payments y ON y.invoice = p.id),
            sums AS (SELECT invoice,
                SUM(CASE WHEN late = 0 THEN value ELSE 0 END) AS in_chain,
                SUM(CASE WHEN late = 1 OR credit = 'none' THEN 0 ELSE value END) AS confirmed,
                SUM(CASE WHEN credit = 'held' THEN credited ELSE 0 END) AS held,
                SUM(CASE WHEN late = 1 THEN value ELSE 0 END) AS late
                FROM came GROUP BY invoice)
            SELECT i.id, i.account, i.asset, i.amount, i.contract, i.address, i.state, i.created_at, i.expires_at,
                c.pays, c.price_asset, c.price, c.coin_usd_micro, c.price_usd_micro, c.spread_bps, c.priced_at,
                c.counts_until,
                CAST(COALESCE(s.in_chain, 0) AS BIGINT) AS in_chain,
                CAST(COALESCE(s.confirmed, 0) AS BIGINT) AS confirmed,
                CAST(COALESCE(s.held, 0) AS BIGINT) AS held,
                CAST(COALESCE(s.late, 0) AS BIGINT) AS late
                FROM page i LEFT JOIN treasury_conversions c ON c.invoice = i.id
                LEFT JOIN sums s ON s.invoice = i.id",
            $order
        )
    };
}

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
    /// The last number of an invoice of an asset.
    LAST_INVOICED = "SELECT CAST(COALESCE(MAX(key_index), -1) AS BIGINT) AS last
        FROM treasury_invoices WHERE asset = $1";
    GIVEN_INDEX = "SELECT next_index FROM treasury_keychains WHERE asset = $1 AND keychain = $2";
    INSERT_ADDRESS = "INSERT INTO treasury_addresses (asset, script, keychain, key_index)
        VALUES ($1, $2, $3, $4)";

    // Invoices.
    INSERT_INVOICE = "INSERT INTO treasury_invoices (id, account, asset, amount, contract, address,
        key_index, state, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 'new', $8, $9)";
    INVOICE = invoices!("WHERE i.id = $1", "", "");
    INVOICES_OF = invoices!("WHERE i.account = $1", " ORDER BY i.created_at DESC, i.id DESC", " LIMIT $2");
    LATEST_INVOICES = invoices!("WHERE i.id < $1", " ORDER BY i.id DESC", " LIMIT $2");
    INVOICES_BEFORE = invoices!("WHERE i.account = $1 AND i.id < $2", " ORDER BY i.id DESC", " LIMIT $3");
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
    RELEASE_HELD_PAYMENTS = "UPDATE treasury_payments SET credit = 'available'
        WHERE invoice = $1 AND credit = 'held'";
    RELEASE_HELD = "UPDATE treasury_receipts SET credit = 'available'
        WHERE invoice = $1 AND credit = 'held'";

    // What a room above writes when told of an invoice, undone when it refuses.
    SAVE = "SAVEPOINT treasury_sink";
    BACK_TO_SAVED = "ROLLBACK TO SAVEPOINT treasury_sink";
    FORGET_SAVED = "RELEASE SAVEPOINT treasury_sink";

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
    /// One that spends nothing of ours and may have made payouts holds up these alone.
    ANY_LOCK = "SELECT 1 AS one FROM treasury_strangers s WHERE s.asset = $1 AND s.verdict IS NULL
        AND NOT (s.value = 0 AND EXISTS (SELECT 1 FROM treasury_paid_unseen h
            WHERE h.asset = s.asset AND h.txid = s.txid))
        UNION ALL SELECT 1 AS one FROM treasury_doubted_coins WHERE asset = $1 LIMIT 1";
    INSERT_STRANGER = "INSERT INTO treasury_strangers (asset, txid, height, value, form, seen_at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (asset, txid) DO UPDATE SET height = $3";
    STRANGERS_GONE = "UPDATE treasury_strangers SET height = NULL WHERE asset = $1 AND height = $2";
    STRANGERS = "SELECT s.txid AS txid, s.height AS height, s.value AS value, s.seen_at AS seen_at,
        (SELECT COUNT(*) FROM treasury_paid_unseen h WHERE h.asset = s.asset AND h.txid = s.txid) AS payouts
        FROM treasury_strangers s WHERE s.asset = $1 AND s.verdict IS NULL
        ORDER BY s.seen_at, s.txid LIMIT 50";
    PUT_PAID_UNSEEN = "INSERT INTO treasury_paid_unseen (asset, txid, payout) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    PAID_UNSEEN = "SELECT 1 AS one FROM treasury_paid_unseen h
        JOIN treasury_strangers s ON s.asset = h.asset AND s.txid = h.txid AND s.verdict IS NULL
        WHERE h.payout = $1 LIMIT 1";
    PAID_UNSEEN_IN_BATCH = "SELECT 1 AS one FROM treasury_payouts p
        JOIN treasury_paid_unseen h ON h.payout = p.id
        JOIN treasury_strangers s ON s.asset = h.asset AND s.txid = h.txid AND s.verdict IS NULL
        WHERE p.batch = $1 LIMIT 1";
    STRANGER = "SELECT height, value, form FROM treasury_strangers
        WHERE asset = $1 AND txid = $2 AND verdict IS NULL";
    JUDGE_STRANGER = "UPDATE treasury_strangers SET verdict = $3, decided_by = $4, decided_at = $5
        WHERE asset = $1 AND txid = $2 AND verdict IS NULL";
    PUT_HOLD = "INSERT INTO treasury_strangers (asset, txid, value, form, seen_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (asset, txid) DO UPDATE
        SET value = $3, seen_at = $5, verdict = NULL, decided_by = NULL, decided_at = NULL";
    /// What was decided and is not signed.
    ANY_DECIDED = "SELECT id FROM treasury_payouts
        WHERE asset = $1 AND state IN ('approved', 'funded') LIMIT 1";
    WAITING_SCRIPTS = "SELECT script FROM treasury_payouts
        WHERE asset = $1 AND state IN ('requested', 'approved', 'funded')
        ORDER BY created_at, id LIMIT $2";
    PAYOUT_PAID_UNSEEN = "UPDATE treasury_payouts
        SET state = $2, batch = NULL, fee = $3, reason = $4, updated_at = $5
        WHERE id = $1 AND state IN ('requested', 'approved')";
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
    let turnover = crate::remote::turnover::sql::STATEMENTS.iter().copied();
    let unconfirmed = crate::unconfirmed::sql::STATEMENTS.iter().copied();
    let parts = [
        STATEMENTS,
        methods::STATEMENTS,
        payouts::STATEMENTS,
        signing::STATEMENTS,
        crate::news::STATEMENTS,
    ];
    let own = parts.into_iter().flatten().copied();
    own.chain(accounts).chain(conversions).chain(turnover).chain(unconfirmed).chain(lists).collect()
}

/// Every statement over many rows with its name, for the same test.
#[doc(hidden)]
#[must_use]
pub fn many_statements() -> Vec<(&'static str, gruve_store::Many)> {
    let conversions = crate::conversion::sql::MANY_STATEMENTS.iter();
    conversions.chain(crate::unconfirmed::sql::MANY_STATEMENTS).copied().collect()
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
