//! The market's statements, one source for both engines.

use gruve_store::{Migration, statements};

/// This room's tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "market",
        sqlite: include_str!("../migrations/0001_market.sqlite.sql"),
        postgres: include_str!("../migrations/0001_market.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "assets",
        sqlite: include_str!("../migrations/0002_assets.sqlite.sql"),
        postgres: include_str!("../migrations/0002_assets.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "schemes",
        sqlite: include_str!("../migrations/0003_schemes.sqlite.sql"),
        postgres: include_str!("../migrations/0003_schemes.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "beside",
        sqlite: include_str!("../migrations/0004_beside.sqlite.sql"),
        postgres: include_str!("../migrations/0004_beside.postgres.sql"),
    },
];

/// The tables of contracts' life, counted by themselves.
pub const LIFE_MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "life",
        sqlite: include_str!("../migrations/0001_life.sqlite.sql"),
        postgres: include_str!("../migrations/0001_life.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "reinvesting",
        sqlite: include_str!("../migrations/0002_life.sqlite.sql"),
        postgres: include_str!("../migrations/0002_life.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "freezes",
        sqlite: include_str!("../migrations/0003_life.sqlite.sql"),
        postgres: include_str!("../migrations/0003_life.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "letters",
        sqlite: include_str!("../migrations/0004_life.sqlite.sql"),
        postgres: include_str!("../migrations/0004_life.postgres.sql"),
    },
    Migration {
        number: 5,
        name: "losses",
        sqlite: include_str!("../migrations/0005_life.sqlite.sql"),
        postgres: include_str!("../migrations/0005_life.postgres.sql"),
    },
];

/// The tables of `chain`, counted by themselves.
pub const CHAIN_MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "chain",
        sqlite: include_str!("../migrations/0001_chain.sqlite.sql"),
        postgres: include_str!("../migrations/0001_chain.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "blocks_by_time",
        sqlite: include_str!("../migrations/0002_blocks_by_time.sqlite.sql"),
        postgres: include_str!("../migrations/0002_blocks_by_time.postgres.sql"),
    },
];

macro_rules! contract_columns {
    () => {
        "id, account, plan, plan_version, title, lane, asset, epoch_us, hashrate, term_epochs, \
         extension_epochs, catch_up_bps, epoch_work, work, price_asset, price_minor, fee_bps, \
         maintenance, maintenance_also, scheme, terms_hash, state, created_at, paid_at, start_epoch, delivered, short_since, \
          maintenance_due, recognised_minor, refunded_minor, \
          holds, renews, compensated, undecided, paused_epochs, paused_since, frozen_since, rules, enrolled"
    };
}

statements! {
    // Plans
    LATEST_PLAN = "SELECT version, body FROM market_plans WHERE id = $1
        ORDER BY version DESC LIMIT 1";
    INSERT_PLAN = "INSERT INTO market_plans (id, version, body, stored_at)
        VALUES ($1, $2, $3, $4)";

    // Lanes and capacity
    INSERT_LANE = "INSERT INTO market_lanes
        (lane, closed_epoch, checkpoint, cursor_segment, cursor_offset, shares)
        VALUES ($1, NULL, $2, 0, 0, 0) ON CONFLICT (lane) DO NOTHING";
    LANE = "SELECT closed_epoch, checkpoint, cursor_segment, cursor_offset, shares
        FROM market_lanes WHERE lane = $1";
    /// Guarded by the epoch that was closed before, and the first thing a close writes: of two
    /// accountants one waits here and then finds that it came too late.
    CLAIM_EPOCH = "UPDATE market_lanes SET closed_epoch = $2
        WHERE lane = $1 AND COALESCE(closed_epoch, -1) = $3";
    ADVANCE_LANE = "UPDATE market_lanes SET checkpoint = $2, cursor_segment = $3,
        cursor_offset = $4, shares = shares + $5 WHERE lane = $1";
    INSERT_CAPACITY = "INSERT INTO market_capacity (lane, sold, version) VALUES ($1, $2, 0)
        ON CONFLICT (lane) DO NOTHING";
    CAPACITY = "SELECT sold, version FROM market_capacity WHERE lane = $1";
    /// Compare and swap: of two sales that saw the same row only one goes through.
    SWAP_CAPACITY = "UPDATE market_capacity SET sold = $2, version = version + 1
        WHERE lane = $1 AND version = $3";
    /// Changes nothing; waits until no close is under way.
    TOUCH_CAPACITY = "UPDATE market_capacity SET version = version WHERE lane = $1";
    WINDOW_WORK = "SELECT house_work, other_work, house_squares FROM market_epochs
        WHERE lane = $1 AND epoch > $2 AND epoch <= $3";
    EPOCHS_WITH_WORK = "SELECT COUNT(*) AS n FROM market_epochs
        WHERE lane = $1 AND epoch >= $2 AND epoch <= $3 AND house_work > $4";

    // Quotes
    DELETE_OLD_QUOTES = "DELETE FROM market_quotes
        WHERE account = $1 AND expires_at <= $2 AND used = 0";
    COUNT_QUOTES = "SELECT COUNT(*) AS n FROM market_quotes
        WHERE account = $1 AND expires_at > $2 AND used = 0";
    INSERT_QUOTE = "INSERT INTO market_quotes (id, account, plan, plan_version, hashrate, term_epochs,
        epoch_work, work, price_asset, price_minor, created_at, expires_at, used)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)";
    QUOTE = "SELECT plan, plan_version, hashrate, term_epochs, epoch_work, work, price_asset,
        price_minor, expires_at, used FROM market_quotes WHERE id = $1 AND account = $2";
    USE_QUOTE = "UPDATE market_quotes SET used = 1 WHERE id = $1 AND used = 0";

    // Contracts
    INSERT_CONTRACT = "INSERT INTO market_contracts (id, account, quote, plan, plan_version, title,
        lane, asset, epoch_us, hashrate, term_epochs, extension_epochs, catch_up_bps, epoch_work, work,
        price_asset, price_minor, fee_bps, maintenance, terms, terms_hash, state, created_at,
        delivered, maintenance_due, maintenance_also, scheme, fpps, recognised_minor, refunded_minor)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25, $26, $27, $28, 0, 0)";
    COUNT_UNPAID = "SELECT COUNT(*) AS n FROM market_contracts
        WHERE account = $1 AND state = 'awaiting_payment'";
    /// Whether an account has ever paid for a contract.
    COUNT_PAID = "SELECT COUNT(*) AS n FROM market_contracts
        WHERE account = $1 AND state NOT IN ('awaiting_payment', 'expired', 'cancelled', 'charged_back')";
    /// What unpaid contracts hold whose accounts have never paid for one.
    HELD_BY_NEW = "SELECT c.hashrate FROM market_contracts c
        WHERE c.lane = $1 AND c.state = 'awaiting_payment' AND c.holds = 1 AND NOT EXISTS
        (SELECT 1 FROM market_contracts p WHERE p.account = c.account
         AND p.state NOT IN ('awaiting_payment', 'expired', 'cancelled', 'charged_back'))";
    CONTRACT = concat!("SELECT ", contract_columns!(), " FROM market_contracts WHERE id = $1");
    CONTRACTS_OF_ACCOUNT = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE account = $1 ORDER BY created_at DESC, id DESC LIMIT $2");
    CONTRACTS_OF_ACCOUNT_BEFORE = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    LATEST_CONTRACTS = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE id < $1 ORDER BY id DESC LIMIT $2");
    CONTRACTS_OF_PLAN = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE plan = $1 ORDER BY id DESC LIMIT $2");
    PLAN_OF_CONTRACT = "SELECT plan, state FROM market_contracts WHERE id = $1 AND account = $2";
    /// Those that run and are not on the roll.
    RUNNING_CONTRACTS = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE lane = $1 AND state IN ('starting', 'active') AND enrolled = 0 AND id > $2
        ORDER BY id LIMIT $3");
    ENROLLED = concat!("SELECT ", contract_columns!(), " FROM market_contracts
        WHERE lane = $1 AND state = 'active' AND enrolled = 1 AND id > $2 ORDER BY id LIMIT $3");
    TERMS_OF_CONTRACT = "SELECT terms FROM market_contracts WHERE id = $1 AND account = $2";
    PAY_CONTRACT = "UPDATE market_contracts SET state = 'starting', paid_at = $2, start_epoch = $3
        WHERE id = $1 AND state = 'awaiting_payment'";
    EXPIRE_CONTRACT = "UPDATE market_contracts SET state = 'expired'
        WHERE id = $1 AND state = 'awaiting_payment'";

    // Rows from before lanes earned several assets
    NAME_UNITS = "UPDATE market_units SET asset = $2 WHERE lane = $1 AND asset = ''";
    NAME_WINDOWS = "UPDATE market_windows SET asset = $2 WHERE lane = $1 AND asset = ''";
    NAME_STANDINGS = "UPDATE market_standings SET asset = $2 WHERE lane = $1 AND asset = ''";
    NAME_SETTLEMENTS = "UPDATE market_settlements SET asset = $2 WHERE lane = $1 AND asset = ''";
    NAME_FOUND = "UPDATE market_found SET asset = $2 WHERE lane = $1 AND asset = ''";

    // Epochs
    INSERT_EPOCH = "INSERT INTO market_epochs (lane, epoch, skipped, closed_at, shares, duplicates,
        house_work, other_work, house_squares, allocated, surplus, units, share_root,
        allocation_root, checkpoint, network_bits, height)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    EPOCHS = "SELECT epoch, skipped, closed_at, shares, house_work, other_work, allocated, surplus,
        share_root, checkpoint FROM market_epochs WHERE lane = $1 ORDER BY epoch DESC LIMIT $2";
    EPOCHS_BEFORE = "SELECT epoch, skipped, closed_at, shares, house_work, other_work, allocated, surplus,
        share_root, checkpoint FROM market_epochs WHERE lane = $1 AND epoch < $2
        ORDER BY epoch DESC LIMIT $3";
    EPOCHS_FROM = "SELECT epoch, shares, duplicates, house_work, other_work, share_root, allocated, surplus, units
        FROM market_epochs WHERE lane = $1 AND epoch > $2 ORDER BY epoch LIMIT $3";
    LAST_JOB = "SELECT network_bits, height FROM market_windows
        WHERE lane = $1 AND asset = $2 AND network_bits IS NOT NULL ORDER BY epoch DESC LIMIT 1";
    FIRST_EPOCH = "SELECT MIN(epoch) AS epoch FROM market_epochs WHERE lane = $1";
    CHECKPOINTS = "SELECT epoch, checkpoint FROM market_epochs WHERE lane = $1
        ORDER BY epoch DESC LIMIT $2";
    INSERT_WORK = "INSERT INTO market_work (lane, epoch, owner, bits, shares, work)
        VALUES ($1, $2, $3, $4, $5, $6)";
    WORK_OF_EPOCH = "SELECT owner, bits, shares, work FROM market_work
        WHERE lane = $1 AND epoch = $2";
    INSERT_WINDOW = "INSERT INTO market_windows (lane, asset, epoch, units, network_bits, height)
        VALUES ($1, $2, $3, $4, $5, $6)";
    /// Totals before an epoch, newest first; the window's boundary is found in them.
    UNIT_TOTALS = "SELECT epoch, units FROM market_windows WHERE lane = $1 AND asset = $2
        AND epoch < $3 AND epoch >= $4 ORDER BY epoch DESC LIMIT $5";
    /// Of all but contracts.
    UNITS = "SELECT epoch, kind, beneficiary, units FROM market_units WHERE lane = $1 AND asset = $2
        AND epoch < $3 AND (epoch, kind, beneficiary) > ($4, $5, $6) AND kind <> 1
        ORDER BY epoch, kind, beneficiary LIMIT $7";
    /// The next epoch in which contracts have some.
    NEXT_CONTRACT_UNITS = "SELECT epoch FROM market_units WHERE lane = $1 AND asset = $2
        AND epoch > $3 AND epoch < $4 AND kind = 1 ORDER BY epoch LIMIT 1";
    CONTRACT_UNITS = "SELECT beneficiary, units FROM market_units WHERE lane = $1 AND asset = $2
        AND epoch = $3 AND kind = 1 AND beneficiary >= $4 AND beneficiary < $5
        ORDER BY beneficiary LIMIT $6";

    // Found blocks
    INSERT_FOUND = "INSERT INTO market_found
        (lane, block_hash, epoch, height, owner, machine, found_at, asset, accepted)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL) ON CONFLICT (lane, block_hash) DO NOTHING";
    SET_OUTCOME = "UPDATE market_found SET accepted = $3 WHERE lane = $1 AND block_hash = $2";
    FOUND_BLOCKS = "SELECT f.block_hash AS block_hash, f.epoch AS epoch, f.height AS height,
        f.found_at AS found_at, f.accepted AS accepted, f.asset AS asset, r.state AS state,
        r.minor AS minor, o.block_hash AS beside, c.hash AS stands, (SELECT MIN(k.height) FROM market_chain k
        WHERE k.lane = f.lane AND k.asset = f.asset) AS kept_from FROM market_found f LEFT JOIN market_rewards r
        ON r.block_hash = f.block_hash AND r.lane = f.lane AND r.asset = f.asset
        LEFT JOIN market_beside o ON o.asset = f.asset AND o.block_hash = f.block_hash
        LEFT JOIN market_chain c ON c.lane = f.lane AND c.asset = f.asset AND c.height = f.height
        WHERE f.lane = $1 ORDER BY f.found_at DESC, f.height DESC LIMIT $2";
    FOUND_BLOCKS_BEFORE = "SELECT f.block_hash AS block_hash, f.epoch AS epoch, f.height AS height,
        f.found_at AS found_at, f.accepted AS accepted, f.asset AS asset, r.state AS state,
        r.minor AS minor, o.block_hash AS beside, c.hash AS stands, (SELECT MIN(k.height) FROM market_chain k
        WHERE k.lane = f.lane AND k.asset = f.asset) AS kept_from FROM market_found f LEFT JOIN market_rewards r
        ON r.block_hash = f.block_hash AND r.lane = f.lane AND r.asset = f.asset
        LEFT JOIN market_beside o ON o.asset = f.asset AND o.block_hash = f.block_hash
        LEFT JOIN market_chain c ON c.lane = f.lane AND c.asset = f.asset AND c.height = f.height
        WHERE f.lane = $1 AND (f.found_at, f.height, f.block_hash) < ($2, $3, $4)
        ORDER BY f.found_at DESC, f.height DESC, f.block_hash DESC LIMIT $5";
    OTHER_BLOCKS_BEFORE = "SELECT asset, block_hash, height, block_time, state, minor, window_epoch
        FROM market_rewards r WHERE lane = $1 AND NOT EXISTS (SELECT 1 FROM market_found f
        WHERE f.lane = r.lane AND f.block_hash = r.block_hash)
        AND (block_time, height, block_hash) < ($2, $3, $4) AND block_time >= $6
        ORDER BY block_time DESC, height DESC, block_hash DESC LIMIT $5";
    /// Rewards of blocks that the log has no record of, down to an instant: there are few, and without it every block
    /// that was ever found would be looked at for them.
    OTHER_BLOCKS = "SELECT asset, block_hash, height, block_time, state, minor, window_epoch
        FROM market_rewards r WHERE lane = $1 AND block_time >= $3 AND NOT EXISTS (SELECT 1 FROM market_found f
        WHERE f.lane = r.lane AND f.block_hash = r.block_hash) ORDER BY block_time DESC, height DESC LIMIT $2";
    COUNT_BLOCKS = "SELECT COUNT(*) AS n FROM market_rewards
        WHERE lane = $1 AND asset = $2 AND state IN ('maturing', 'mature')";

    // Chains
    INSERT_CHAIN_BLOCK = "INSERT INTO market_chain (lane, asset, height, hash, time, bits, work,
        uncles, subsidy, fees) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    CUT_CHAIN = "DELETE FROM market_chain WHERE lane = $1 AND asset = $2 AND height >= $3";
    TRIM_CHAIN = "DELETE FROM market_chain WHERE lane = $1 AND asset = $2 AND height <= $3";
    CHAIN_BLOCKS = "SELECT height, hash, time, bits, work, uncles, subsidy, fees FROM market_chain
        WHERE lane = $1 AND asset = $2 ORDER BY height DESC LIMIT $3";

    // Rewards
    REWARD = "SELECT lane, height, minor, generation, state, window_epoch, accrued, credited
        FROM market_rewards WHERE asset = $1 AND block_hash = $2";
    INSERT_REWARD = "INSERT INTO market_rewards (asset, block_hash, lane, height, minor, block_time,
        seen_epoch, generation, state, window_epoch, accrued, credited)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 'maturing', NULL, 0, 0)";
    REINSTATE_REWARD = "UPDATE market_rewards SET state = 'maturing', generation = generation + 1,
        accrued = 0, credited = 0, seen_epoch = $3 WHERE asset = $1 AND block_hash = $2";
    ORPHAN_REWARD = "UPDATE market_rewards SET state = 'orphaned', accrued = 0, credited = 0
        WHERE asset = $1 AND block_hash = $2";
    DEEP_REWARDS = "SELECT block_hash, minor, generation FROM market_rewards
        WHERE lane = $1 AND asset = $2 AND state = 'maturing' AND height <= $3
        ORDER BY height, block_hash";
    MATURE_REWARD = "UPDATE market_rewards SET state = 'mature' WHERE asset = $1 AND block_hash = $2";
    PUT_BESIDE = "INSERT INTO market_beside (asset, block_hash, lane) VALUES ($1, $2, $3)
        ON CONFLICT (asset, block_hash) DO NOTHING";
    BESIDE = "SELECT lane FROM market_beside WHERE asset = $1 AND block_hash = $2 AND lane = $3";
    DELETE_BESIDE = "DELETE FROM market_beside WHERE asset = $1 AND block_hash = $2 AND lane = $3";
    /// Rewards to share out, with the epoch of their stamp where the log has it.
    UNACCRUED = "SELECT r.block_hash AS block_hash, r.minor AS minor, r.block_time AS block_time,
        r.seen_epoch AS seen_epoch, r.generation AS generation, r.window_epoch AS window_epoch,
        f.epoch AS found_epoch FROM market_rewards r LEFT JOIN market_found f
        ON f.lane = r.lane AND f.block_hash = r.block_hash
        WHERE r.lane = $1 AND r.asset = $2 AND r.state IN ('maturing', 'mature')
        AND r.credited = 0 AND r.accrued = 0
        ORDER BY r.height, r.block_hash";
    SET_ACCRUED = "UPDATE market_rewards SET accrued = 1, window_epoch = $3
        WHERE asset = $1 AND block_hash = $2";
    REWARDS_AT = "SELECT block_hash FROM market_rewards
        WHERE lane = $1 AND height = $2 AND state <> 'orphaned' ORDER BY block_hash";
    UNCREDITED = "SELECT block_hash, generation FROM market_rewards
        WHERE lane = $1 AND asset = $2 AND state = 'mature' AND credited = 0 AND accrued = 1
        ORDER BY height, block_hash";
    SET_CREDITED = "UPDATE market_rewards SET credited = 1 WHERE asset = $1 AND block_hash = $2";
    ACCRUALS_OF_BLOCK = "SELECT kind, beneficiary, minor, fraction_high, fraction_low
        FROM market_accruals WHERE asset = $1 AND block_hash = $2 AND generation = $3 AND reversal = 0
        AND (kind, beneficiary) > ($4, $5) ORDER BY kind, beneficiary LIMIT $6";

    /// The same with the sign turned, of a block shared out before there were pages.
    REVERSE_OLD_ACCRUALS = "INSERT INTO market_accruals (asset, block_hash, generation, reversal, kind,
        beneficiary, lane, minor, fraction_high, fraction_low, at)
        SELECT asset, block_hash, generation, 1, kind, beneficiary, lane, -minor, -fraction_high,
        -fraction_low, $4 FROM market_accruals
        WHERE asset = $1 AND block_hash = $2 AND generation = $3 AND reversal = 0";

    // Standings and settlements
    STANDING = "SELECT account, accrued, matured, settled_minor, net_minor, fee_carry, settlements,
        settled_to FROM market_standings
        WHERE lane = $1 AND asset = $2 AND kind = $3 AND beneficiary = $4";
    WAITING = "SELECT DISTINCT kind, beneficiary FROM market_standings WHERE lane = $1 AND waiting_minor > 0
        AND (kind, beneficiary) > ($2, $3) ORDER BY kind, beneficiary LIMIT $4";
    /// Who may have earned something for an account: its contracts.
    EARNERS_OF_ACCOUNT = "SELECT lane, id FROM market_contracts
        WHERE account = $1 AND start_epoch IS NOT NULL
        UNION ALL SELECT lane, id FROM market_metered WHERE account = $1";
    STANDINGS_OF_ACCOUNT = "SELECT asset, accrued, settled_minor FROM market_standings
        WHERE account = $1";
    EARNED_OF_ACCOUNT = "SELECT asset, CAST(SUM(minor) AS BIGINT) AS minor FROM (
        SELECT asset, net_minor AS minor FROM market_standings WHERE account = $1
        UNION ALL SELECT p.asset AS asset, p.minor AS minor FROM market_contracts c
        JOIN market_owed_paid p ON p.contract = c.id WHERE c.account = $1) AS parts
        GROUP BY asset ORDER BY asset";
    STANDINGS_FROM = "SELECT kind, beneficiary, accrued, matured, settled_minor, net_minor
        FROM market_standings WHERE lane = $1 AND asset = $2 AND (kind, beneficiary) > ($3, $4)
        ORDER BY kind, beneficiary LIMIT $5";
    SETTLEMENTS = "SELECT from_epoch, to_epoch, gross_minor, fee_minor, maintenance_minor,
        waived_minor, net_minor, at FROM market_settlements
        WHERE lane = $1 AND asset = $2 AND kind = $3 AND beneficiary = $4
        ORDER BY number DESC LIMIT $5";
    SETTLEMENTS_BEFORE = "SELECT number, from_epoch, to_epoch, gross_minor, fee_minor,
        maintenance_minor, waived_minor, net_minor, at FROM market_settlements
        WHERE lane = $1 AND asset = $2 AND kind = $3 AND beneficiary = $4
        AND (at < $5 OR (at = $5 AND number < $6)) ORDER BY at DESC, number DESC LIMIT $7";
    SETTLEMENTS_BETWEEN = "SELECT from_epoch, to_epoch, gross_minor, fee_minor, maintenance_minor,
        waived_minor, net_minor, at FROM market_settlements
        WHERE lane = $1 AND asset = $2 AND kind = $3 AND beneficiary = $4 AND at >= $5 AND at < $6
        ORDER BY number DESC LIMIT $7";

    // Reconciliation
    REWARD_SUMS = "SELECT state, accrued, credited, CAST(SUM(minor) AS BIGINT) AS minor
        FROM market_rewards WHERE lane = $1 AND asset = $2 AND state IN ('maturing', 'mature')
        GROUP BY state, accrued, credited";
    SETTLEMENT_SUMS = "SELECT kind, CAST(SUM(gross_minor) AS BIGINT) AS gross,
        CAST(SUM(net_minor) AS BIGINT) AS net FROM market_settlements
        WHERE lane = $1 AND asset = $2 GROUP BY kind";
    ACCRUAL_SUMS = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor,
        CAST(COALESCE(SUM(fraction_high), 0) AS BIGINT) AS high,
        CAST(COALESCE(SUM(fraction_low), 0) AS BIGINT) AS low FROM market_accruals
        WHERE lane = $1 AND asset = $2";
    ACCRUAL_SUMS_OF = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor,
        CAST(COALESCE(SUM(fraction_high), 0) AS BIGINT) AS high,
        CAST(COALESCE(SUM(fraction_low), 0) AS BIGINT) AS low FROM market_accruals
        WHERE lane = $1 AND asset = $2 AND kind = $3 AND beneficiary = $4";
    /// For the audit of what is sold.
    HOLDING_CONTRACTS = "SELECT id, hashrate FROM market_contracts WHERE lane = $1
        AND holds = 1
        AND state IN ('awaiting_payment', 'starting', 'active') AND id > $2 ORDER BY id LIMIT $3";
}

#[cfg(test)]
mod tests {
    use super::{CHAIN_MIGRATIONS, LIFE_MIGRATIONS, MIGRATIONS, STATEMENTS};
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        store.migrate("market", MIGRATIONS).await.unwrap();
        store.migrate("market_chain", CHAIN_MIGRATIONS).await.unwrap();
        store.migrate("market_life", LIFE_MIGRATIONS).await.unwrap();
        store.migrate("market_metered", crate::METERED_MIGRATIONS).await.unwrap();
        store.migrate("market_pages", crate::PAGE_MIGRATIONS).await.unwrap();
        store.migrate("market_papers", crate::PAPER_MIGRATIONS).await.unwrap();
        store.migrate("market_bulk", crate::BULK_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
        prepare_all(&store, crate::life_sql::STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
