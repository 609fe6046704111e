//! The room's statements.

macro_rules! contracts {
    ($rest:literal) => {
        concat!(
            "SELECT id, machine, lane, account, state, kind, scheme, pay_from, asset, energy_minor_per_kwh, \
             fee_minor_per_day, level_bps, price_asset, price_minor, replaces, terms, terms_hash, address, \
             next_address, next_address_from, offered_at, accepted_at, from_epoch, to_epoch, billed_to, \
             energy_carry, fee_carry, arrears, bills, term_epochs, minimum_minor, plan, plan_version, terms_key, \
             terms_signature, term_end, ended_by, ended_at, back_minor, earnings_fee_bps, agreed_at, (SELECT COUNT(*) FROM hosting_disputes d \
             WHERE d.contract = hosting_contracts.id AND d.state = 'open') AS disputes FROM hosting_contracts ",
            $rest
        )
    };
}

gruve_store::statements! {
    INSERT_CONTRACT = "INSERT INTO hosting_contracts (id, machine, lane, account, state, kind, scheme, pay_from, \
        asset, energy_minor_per_kwh, fee_minor_per_day, level_bps, price_asset, price_minor, replaces, terms, \
        terms_hash, offered_at, term_epochs, minimum_minor, plan, plan_version, request_key, term_end, \
        earnings_fee_bps, energy_carry, fee_carry, arrears, bills) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
        $18, $19, $20, $21, $22, $23, $24, $25, 0, 0, 0, 0) ON CONFLICT DO NOTHING";
    OF_REQUEST = contracts!("WHERE account = $1 AND request_key = $2");
    CONTRACT = contracts!("WHERE id = $1");
    OF_ACCOUNT = contracts!("WHERE account = $1 ORDER BY offered_at DESC, id DESC LIMIT $2");
    OF_MACHINE = contracts!("WHERE machine = $1 ORDER BY offered_at, id");
    /// Whose it is beyond a border, until a term ends or for good.
    HOLDER = contracts!("WHERE machine = $1 AND state = 'active' AND (to_epoch IS NULL OR to_epoch > $2) \
        ORDER BY accepted_at DESC, id DESC LIMIT 1");
    OPEN_OFFER = contracts!("WHERE machine = $1 AND (state = 'offered' OR state = 'ordered')");
    TO_BILL = contracts!("WHERE lane = $1 AND (state = 'active' OR state = 'closing') AND id > $2 \
        ORDER BY id LIMIT $3");
    /// Over, and something is owed; those that ended before an epoch are let go.
    OWING = contracts!("WHERE lane = $1 AND state = 'ended' AND arrears > 0 AND to_epoch >= $4 AND id > $2 \
        ORDER BY id LIMIT $3");
    ALL_AFTER = contracts!("WHERE id > $1 ORDER BY id LIMIT $2");
    ALL = contracts!("ORDER BY offered_at, id");
    OF_ACCOUNT_BEFORE = contracts!("WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    ALL_BEFORE = contracts!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
    /// The newest that were taken by a plan, whoever's.
    OF_PLAN = contracts!("WHERE plan = $1 AND accepted_at IS NOT NULL ORDER BY accepted_at DESC, id DESC LIMIT $2");
    COUNT_OF_ACCOUNT = "SELECT COUNT(*) AS n FROM hosting_contracts WHERE account = $1 \
        AND (state = 'active' OR state = 'offered' OR state = 'ordered')";
    /// Whose machines are at work in an epoch, or were to be.
    COUNT_IN_EPOCH = "SELECT COUNT(*) AS n FROM hosting_contracts WHERE account = $1 AND lane = $2 \
        AND accepted_at IS NOT NULL AND from_epoch <= $3 AND (to_epoch IS NULL OR to_epoch > $3)";
    COUNT_ORDERED = "SELECT COUNT(*) AS n FROM hosting_contracts WHERE account = $1 AND state = 'ordered'";
    COUNT_HAD = "SELECT COUNT(*) AS n FROM hosting_contracts WHERE account = $1 AND accepted_at IS NOT NULL";
    /// Machines of a plan that wait for accounts which never had one.
    ORDERED_BY_NEW = "SELECT COUNT(*) AS n FROM hosting_contracts c WHERE c.plan = $1 AND c.state = 'ordered' \
        AND NOT EXISTS (SELECT 1 FROM hosting_contracts p WHERE p.account = c.account \
        AND p.accepted_at IS NOT NULL)";
    ACCEPT = "UPDATE hosting_contracts SET state = 'active', accepted_at = $2, from_epoch = $3, address = $4, \
        terms_key = $5, terms_signature = $6, to_epoch = $7, term_end = $7 \
        WHERE id = $1 AND (state = 'offered' OR state = 'ordered')";
    AGREE = "UPDATE hosting_contracts SET agreed_at = $2 WHERE id = $1 AND state = 'offered' AND agreed_at IS NULL";
    /// Offers of an owner's.
    DROP_HANDED = "UPDATE hosting_contracts SET state = 'withdrawn' WHERE state = 'offered' AND replaces IN \
        (SELECT id FROM hosting_contracts WHERE account = $1)";
    DROP_AGREED = "UPDATE hosting_contracts SET agreed_at = NULL WHERE account = $1 AND state = 'offered' \
        AND agreed_at IS NOT NULL";
    HANDED_OVER = "SELECT \
        CAST(COALESCE(SUM(CASE WHEN account = $3 THEN price_minor ELSE 0 END), 0) AS BIGINT) AS own, \
        CAST(COALESCE(SUM(price_minor), 0) AS BIGINT) AS everybody \
        FROM hosting_contracts WHERE price_asset = $1 AND accepted_at > $2 AND replaces IS NOT NULL";
    WITHDRAW = "UPDATE hosting_contracts SET state = 'withdrawn' \
        WHERE id = $1 AND (state = 'offered' OR state = 'ordered')";
    SET_END = "UPDATE hosting_contracts SET to_epoch = $2, ended_by = $3, ended_at = $4, back_minor = $5 \
        WHERE id = $1 AND state = 'active' AND (to_epoch IS NULL OR to_epoch > $2)";
    PUT_DISPUTE = "INSERT INTO hosting_disputes (contract, cause, state, lost_minor, at) \
        VALUES ($1, $2, 'open', 0, $3) ON CONFLICT (contract, cause) DO NOTHING";
    SETTLE_DISPUTE = "UPDATE hosting_disputes SET state = $3, lost_minor = $4 \
        WHERE contract = $1 AND cause = $2 AND state = 'open'";
    DISPUTES = "SELECT CAST(COALESCE(SUM(CASE WHEN state = 'open' THEN 1 ELSE 0 END), 0) AS BIGINT) AS open, \
        CAST(COALESCE(SUM(lost_minor), 0) AS BIGINT) AS lost FROM hosting_disputes WHERE contract = $1";
    SET_NEXT_ADDRESS = "UPDATE hosting_contracts SET address = $2, next_address = $3, next_address_from = $4 \
        WHERE id = $1";
    DROP_NEXT_ADDRESSES = "UPDATE hosting_contracts SET next_address = NULL, next_address_from = NULL \
        WHERE account = $1 AND next_address_from > $2";
    BILLED = "UPDATE hosting_contracts SET state = $2, billed_to = $3, energy_carry = $4, fee_carry = $5, \
        arrears = $6, bills = $7 WHERE id = $1";

    LAST_CERTIFICATE = "SELECT n, hash FROM hosting_certificates WHERE machine = $1 ORDER BY n DESC LIMIT 1";
    INSERT_CERTIFICATE = "INSERT INTO hosting_certificates (machine, n, contract, text, hash, signature) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    CERTIFICATE = "SELECT text, signature FROM hosting_certificates WHERE contract = $1";
    CERTIFICATES = "SELECT text, signature FROM hosting_certificates WHERE machine = $1 ORDER BY n";

    ADDRESSES = "SELECT address, next_address, next_address_from, minimum_minor FROM hosting_contracts \
        WHERE account = $1 AND lane = $2 AND (state = 'active' OR state = 'closing') \
        AND (address IS NOT NULL OR next_address_from <= $3) ORDER BY accepted_at DESC, id DESC LIMIT 1";
    PAYABLE = "SELECT account, lane, asset, minor, n, pending_minor, pending_address FROM hosting_payables \
        WHERE account = $1 AND lane = $2 AND asset = $3";
    PAYABLES = "SELECT account, lane, asset, minor, n, pending_minor, pending_address FROM hosting_payables \
        WHERE minor > 0 AND (account, lane, asset) > ($1, $2, $3) ORDER BY account, lane, asset LIMIT $4";
    SET_PAYABLE = "INSERT INTO hosting_payables (account, lane, asset, minor, n, pending_minor, pending_address) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account, lane, asset) DO UPDATE SET \
        minor = excluded.minor, n = excluded.n, pending_minor = excluded.pending_minor, \
        pending_address = excluded.pending_address";

    /// The lowest that an account has agreed to with a contract of the lane that runs, or whose last epoch is not before one.
    AGREED_FEES = "SELECT account, CAST(MIN(earnings_fee_bps) AS BIGINT) AS bps FROM hosting_contracts \
        WHERE lane = $1 AND earnings_fee_bps IS NOT NULL AND (state = 'active' OR state = 'closing' \
        OR (state = 'ended' AND to_epoch >= $2)) GROUP BY account";

    PUT_IN_BLOCK = "INSERT INTO hosting_in_block (contract, wanted) VALUES ($1, $2) \
        ON CONFLICT (contract) DO UPDATE SET wanted = excluded.wanted";
    IN_BLOCK = "SELECT wanted FROM hosting_in_block WHERE contract = $1";
    ALL_IN_BLOCK = contracts!("WHERE lane = $1 AND state = 'active' AND id IN \
        (SELECT contract FROM hosting_in_block WHERE wanted = 1) ORDER BY accepted_at, id");
    PAID_AT = "SELECT DISTINCT c.account AS account FROM hosting_in_block w \
        JOIN hosting_contracts c ON c.id = w.contract \
        WHERE c.lane = $1 AND (c.address = $2 OR c.next_address = $2 OR EXISTS \
        (SELECT 1 FROM hosting_parts p WHERE p.contract = c.id AND p.address = $2))";
    PARTS = "SELECT counts_from, address, bps FROM hosting_parts WHERE contract = $1 ORDER BY counts_from, n";
    PARTS_OF_LANE = "SELECT p.contract AS contract, p.counts_from AS counts_from, p.address AS address, p.bps AS bps \
        FROM hosting_in_block w JOIN hosting_contracts c ON c.id = w.contract \
        JOIN hosting_parts p ON p.contract = c.id WHERE c.lane = $1 AND c.state = 'active' AND w.wanted = 1 \
        ORDER BY p.contract, p.counts_from, p.n";
    /// What does not count yet, and what counts no more.
    FORGET_PARTS = "DELETE FROM hosting_parts WHERE contract = $1 AND (counts_from > $2 OR counts_from < $3)";
    DROP_NEXT_PARTS = "DELETE FROM hosting_parts WHERE counts_from > $2 \
        AND contract IN (SELECT id FROM hosting_contracts WHERE account = $1)";
    PUT_PART = "INSERT INTO hosting_parts (contract, counts_from, n, address, bps) VALUES ($1, $2, $3, $4, $5)";
    PUT_OWN_BLOCK = "INSERT INTO hosting_own_blocks (asset, block_hash, vout, account, lane, height, at, address, minor, \
        house, fee_bps, fee_least, whole, part, others, is_orphaned) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0) \
        ON CONFLICT (asset, block_hash, vout, account) DO UPDATE SET is_orphaned = 0";
    ORPHAN_OWN_BLOCK = "UPDATE hosting_own_blocks SET is_orphaned = 1 WHERE asset = $1 AND block_hash = $2";
    OWN_BLOCKS = "SELECT asset, block_hash, vout, account, lane, height, at, address, minor, house, fee_bps, fee_least, \
        COALESCE(whole, minor + house) AS whole, part, others, is_orphaned FROM hosting_own_blocks WHERE account = $1 ORDER BY at DESC, height DESC, block_hash, vout LIMIT $2";
    OWN_BLOCKS_BEFORE = "SELECT asset, block_hash, vout, account, lane, height, at, address, minor, house, fee_bps, fee_least, \
        COALESCE(whole, minor + house) AS whole, part, others, is_orphaned FROM hosting_own_blocks WHERE account = $1 AND lane = $2 \
        AND (height < $3 OR (height = $3 AND (block_hash > $4 OR (block_hash = $4 AND vout > $5)))) \
        ORDER BY height DESC, block_hash, vout LIMIT $6";
    NEWEST_OWN_BLOCKS = "SELECT asset, block_hash, vout, account, lane, height, at, address, minor, house, fee_bps, fee_least, \
        COALESCE(whole, minor + house) AS whole, part, others, is_orphaned FROM hosting_own_blocks WHERE lane = $1 ORDER BY height DESC, block_hash, vout, account LIMIT $2";

    INSERT_BILL = "INSERT INTO hosting_bills (contract, n, at, from_epoch, until_epoch, energy_uj, span_us, up_us, \
        energy, fee, credit, due, paid, waived, arrears) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    BILLS = "SELECT n, at, from_epoch, until_epoch, energy_uj, span_us, up_us, energy, fee, credit, due, paid, \
        waived, arrears FROM hosting_bills WHERE contract = $1 AND n < $2 ORDER BY n DESC LIMIT $3";
    BILLS_AFTER = "SELECT n, at, from_epoch, until_epoch, energy_uj, span_us, up_us, energy, fee, credit, due, paid, \
        waived, arrears FROM hosting_bills WHERE contract = $1 AND n > $2 ORDER BY n LIMIT $3";
    /// Of the same contracts as `OF_PLAN`.
    BILLED_OF_PLAN = "SELECT c.asset AS asset, CAST(SUM(b.span_us) AS BIGINT) AS span_us, \
        CAST(SUM(b.up_us) AS BIGINT) AS up_us, CAST(SUM(b.fee) AS BIGINT) AS fee, \
        CAST(SUM(b.credit) AS BIGINT) AS credit, CAST(SUM(b.waived) AS BIGINT) AS waived \
        FROM (SELECT id, asset FROM hosting_contracts WHERE plan = $1 AND accepted_at IS NOT NULL \
        ORDER BY accepted_at DESC, id DESC LIMIT $2) c JOIN hosting_bills b ON b.contract = c.id \
        GROUP BY c.asset ORDER BY c.asset";
}

#[cfg(test)]
mod tests {
    use crate::MIGRATIONS;
    use gruve_store::{Store, matches_on_both_engines, testing};

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("hosting", MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
