//! The statements of metered contracts, one source for both engines.

use gruve_store::{Migration, many_statements, statements};

/// The tables of metered contracts, counted by themselves.
pub const METERED_MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "metered",
        sqlite: include_str!("../../migrations/0001_metered.sqlite.sql"),
        postgres: include_str!("../../migrations/0001_metered.postgres.sql"),
    },
    Migration {
        number: 2,
        name: "metered_minimum",
        sqlite: include_str!("../../migrations/0002_metered_minimum.sqlite.sql"),
        postgres: include_str!("../../migrations/0002_metered_minimum.postgres.sql"),
    },
    Migration {
        number: 3,
        name: "metered_by_plan",
        sqlite: include_str!("../../migrations/0003_metered_by_plan.sqlite.sql"),
        postgres: include_str!("../../migrations/0003_metered_by_plan.postgres.sql"),
    },
    Migration {
        number: 4,
        name: "metered_letters",
        sqlite: include_str!("../../migrations/0004_metered_letters.sqlite.sql"),
        postgres: include_str!("../../migrations/0004_metered_letters.postgres.sql"),
    },
];

macro_rules! columns {
    () => {
        "id, account, plan, plan_version, title, lane, asset, pay_asset, epoch_us, hashrate, epoch_work, \
         scheme, fpps, fee_bps, maintenance, maintenance_also, low_epochs, terms_hash, state, is_low, \
         created_at, first_epoch, ended_epoch, delivered, cost_carry, charged_minor, maintenance_due, minimum_minor"
    };
}

statements! {
    INSERT = "INSERT INTO market_metered (id, account, plan, plan_version, title, lane, asset, pay_asset,
        epoch_us, hashrate, epoch_work, scheme, fpps, fee_bps, maintenance, maintenance_also, low_epochs,
        terms, terms_hash, state, is_low, created_at, first_epoch, ended_epoch, delivered, cost_carry,
        charged_minor, maintenance_due, request_key, minimum_minor)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        'active', 0, $20, $21, NULL, $22, $23, 0, $23, $24, $25)";
    FIND = concat!("SELECT ", columns!(), " FROM market_metered WHERE id = $1");
    OF_REQUEST = "SELECT m.id AS id, m.plan AS plan, m.hashrate AS hashrate, m.first_epoch AS first_epoch,
        m.pay_asset AS pay_asset, h.held_minor AS held_minor FROM market_metered m JOIN market_holds h
        ON h.contract = m.id AND h.epoch = m.first_epoch WHERE m.account = $1 AND m.request_key = $2";
    OF_ACCOUNT = concat!("SELECT ", columns!(), " FROM market_metered
        WHERE account = $1 ORDER BY created_at DESC, id DESC LIMIT $2");
    OF_ACCOUNT_BEFORE = concat!("SELECT ", columns!(), " FROM market_metered
        WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    /// Contracts that work or would, by id.
    LIVE = concat!("SELECT ", columns!(), " FROM market_metered
        WHERE lane = $1 AND state IN ('active', 'stopped', 'ending') AND id > $2 ORDER BY id LIMIT $3");
    /// The newest of a plan, whoever's.
    OF_PLAN = "SELECT state, pay_asset, charged_minor, created_at FROM market_metered
        WHERE plan = $1 ORDER BY id DESC LIMIT $2";
    /// Of which plan an account's contract is, when it worked and how much.
    PLAN_OF = "SELECT plan, lane, first_epoch, ended_epoch, delivered FROM market_metered
        WHERE id = $1 AND account = $2";
    LANE_OF_PLAN = "SELECT lane FROM market_metered WHERE plan = $1 ORDER BY id DESC LIMIT 1";
    /// What was held for of them since an epoch, by what each hold covered, and how many were worked in. What was held
    /// for epochs after a contract's end came back, and was asked of nobody.
    WORKED_OF_PLAN = "SELECT h.cap AS cap, COUNT(*) AS n,
        CAST(SUM(CASE WHEN h.delivered = $4 THEN 0 ELSE 1 END) AS BIGINT) AS worked
        FROM (SELECT id, state, ended_epoch FROM market_metered WHERE plan = $1 ORDER BY id DESC LIMIT $2) m
        JOIN market_holds h ON h.contract = m.id
        WHERE h.is_open = 0 AND h.epoch >= $3 AND (m.ended_epoch IS NULL OR h.epoch <= m.ended_epoch)
        AND (m.state <> 'ending' OR h.delivered <> $4) GROUP BY h.cap ORDER BY h.cap";
    DELIVERED_OF_PLAN = "SELECT h.delivered AS delivered, COUNT(*) AS n
        FROM (SELECT id FROM market_metered WHERE plan = $1 ORDER BY id DESC LIMIT $2) m
        JOIN market_holds h ON h.contract = m.id
        WHERE h.is_open = 0 AND h.epoch >= $3 GROUP BY h.delivered ORDER BY h.delivered";
    COUNT_LIVE = "SELECT COUNT(*) AS n FROM market_metered
        WHERE account = $1 AND state IN ('active', 'stopped', 'ending')";
    TERMS = "SELECT terms FROM market_metered WHERE id = $1 AND account = $2";
    SET_STATE = "UPDATE market_metered SET state = $2, ended_epoch = $3 WHERE id = $1";
    SET_LOW = "UPDATE market_metered SET is_low = $2 WHERE id = $1";
    /// For the audit of what is sold.
    HOLDING = "SELECT id, hashrate FROM market_metered WHERE lane = $1
        AND state IN ('active', 'ending') AND id > $2 ORDER BY id LIMIT $3";

    OPEN_HOLDS = "SELECT contract AS id, epoch, price_minor, price_hashrate, cap, held_minor
        FROM market_holds WHERE contract = $1 AND is_open = 1 ORDER BY epoch";
    CLOSE_HOLD = "UPDATE market_holds SET is_open = 0, delivered = $3, charged_minor = $4
        WHERE contract = $1 AND epoch = $2 AND is_open = 1";
    USAGE = "SELECT epoch, price_minor, price_hashrate, cap, held_minor, is_open, delivered, charged_minor
        FROM market_holds WHERE contract = $1 AND epoch >= $2 AND epoch <= $3 ORDER BY epoch DESC LIMIT $4";
    HELD_OF = "SELECT CAST(COALESCE(SUM(held_minor), 0) AS BIGINT) AS minor
        FROM market_holds WHERE contract = $1 AND is_open = 1";

    COUNT_NOTICES = "SELECT COUNT(*) AS n FROM market_metered_notices WHERE contract = $1";
    INSERT_NOTICE = "INSERT INTO market_metered_notices (contract, number, kind, epoch, at, letter)
        VALUES ($1, $2, $3, $4, $5, $6)";
    NOTICES = "SELECT kind, epoch, at FROM market_metered_notices
        WHERE contract = $1 ORDER BY number DESC LIMIT $2";
    TO_WRITE_TO = "SELECT DISTINCT c.account AS account FROM market_metered_notices n
        JOIN market_metered c ON c.id = n.contract WHERE n.letter = 1 ORDER BY c.account LIMIT $1";
    UNWRITTEN = "SELECT n.contract AS contract, n.kind AS kind, n.at AS at
        FROM market_metered_notices n JOIN market_metered c ON c.id = n.contract
        WHERE c.account = $1 AND n.letter = 1 ORDER BY n.at, n.contract, n.number LIMIT $2";
    NONE_TO_WRITE = "UPDATE market_metered_notices SET letter = 0 WHERE letter = 1";
    WRITTEN = "UPDATE market_metered_notices SET letter = 2 WHERE letter = 1
        AND contract IN (SELECT id FROM market_metered WHERE account = $1)";
}

many_statements! {
    /// Contracts' open holds.
    OPEN_HOLDS_OF (contract Bytes) = "SELECT h.contract AS id, h.epoch AS epoch,
        h.price_minor AS price_minor, h.price_hashrate AS price_hashrate, h.cap AS cap,
        h.held_minor AS held_minor FROM given g JOIN market_holds h ON h.contract = g.contract
        WHERE h.is_open = 1 ORDER BY h.contract, h.epoch";
    INSERT_HOLDS (contract Bytes, epoch Int, lane Text, version Int, price Int, rate Bytes, cap Bytes,
        held Int, none Bytes) = "INSERT INTO market_holds (contract, epoch, lane, plan_version,
        price_minor, price_hashrate, cap, held_minor, is_open, delivered, charged_minor)
        SELECT contract, epoch, lane, version, price, rate, cap, held, 1, none, 0 FROM given";
    CLOSE_HOLDS (contract Bytes, epoch Int, delivered Bytes, charged Int) = "UPDATE market_holds
        SET is_open = 0, delivered = given.delivered, charged_minor = given.charged FROM given
        WHERE market_holds.contract = given.contract AND market_holds.epoch = given.epoch
        AND market_holds.is_open = 1";
    /// What was delivered and charged.
    DELIVER (id Bytes, delivered Bytes, carry Bytes, charged Int, due Bytes) = "UPDATE market_metered
        SET delivered = given.delivered, cost_carry = given.carry, charged_minor = given.charged,
        maintenance_due = given.due FROM given WHERE market_metered.id = given.id";
}

#[cfg(test)]
mod tests {
    use super::{MANY_STATEMENTS, METERED_MIGRATIONS, STATEMENTS};
    use gruve_store::testing::{prepare_all, prepare_all_many};
    use gruve_store::{Store, laws};

    async fn every_statement_of_metered_contracts_prepares(store: Store) {
        store.migrate("market_metered", METERED_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
        prepare_all_many(&store, MANY_STATEMENTS).await;
    }

    laws! { statements: [every_statement_of_metered_contracts_prepares] }
}
