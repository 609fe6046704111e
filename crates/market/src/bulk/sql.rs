//! Statements about pages, one source for both engines.

use gruve_store::{many_statements, statements};

statements! {
    /// The page in which a contract's line of each epoch would stand, newest first.
    LINE_PAGES_OF = "SELECT e.epoch AS epoch, (SELECT p.body FROM market_line_pages p
        WHERE p.lane = e.lane AND p.epoch = e.epoch AND p.first <= $2
        ORDER BY p.first DESC LIMIT 1) AS body
        FROM market_epochs e WHERE e.lane = $1 AND e.epoch >= $3 AND e.epoch < $4
        ORDER BY e.epoch DESC LIMIT $5";
    /// The first and last epoch in which a contract may have a line.
    SPAN_OF = "SELECT lane, start_epoch, ended_epoch FROM market_contracts WHERE id = $1";
    LINE_PAGES = "SELECT epoch, first, body FROM market_line_pages
        WHERE lane = $1 AND epoch < $2 AND (epoch, first) > ($3, $4)
        ORDER BY epoch, first LIMIT $5";
    /// The pages on which contracts between two ids stand, in epochs of a span.
    LINE_PAGES_BETWEEN = "SELECT p.epoch AS epoch, p.first AS first, p.body AS body FROM market_line_pages p
        WHERE p.lane = $1 AND p.epoch < $2 AND (p.epoch, p.first) > ($3, $4) AND p.first <= $5
        AND p.first >= COALESCE((SELECT q.first FROM market_line_pages q WHERE q.lane = p.lane AND q.epoch = p.epoch
        AND q.first <= $6 ORDER BY q.first DESC LIMIT 1), $6)
        ORDER BY p.epoch, p.first LIMIT $7";
    /// The same of pages that begin before an id.
    LINE_PAGES_BELOW = "SELECT epoch, first, body FROM market_line_pages
        WHERE lane = $1 AND epoch < $2 AND (epoch, first) > ($3, $4) AND first < $5
        ORDER BY epoch, first LIMIT $6";
    NEXT_LINES = "SELECT epoch FROM market_line_pages WHERE lane = $1 AND epoch > $2 AND epoch < $3
        ORDER BY epoch, first LIMIT 1";
    /// The page of an epoch on which a contract stands, or would.
    LINE_PAGE = "SELECT first, body FROM market_line_pages
        WHERE lane = $1 AND epoch = $2 AND first <= $3 ORDER BY first DESC LIMIT 1";
    LINE_PAGES_WITHIN = "SELECT first, body FROM market_line_pages
        WHERE lane = $1 AND epoch = $2 AND first > $3 AND first < $4 ORDER BY first LIMIT $5";
    /// Lines of before there were pages.
    OLD_LINES = "SELECT epoch, entitled, delivered, made_good, shortfall, units FROM market_lines
        WHERE contract = $1 AND epoch < $2 ORDER BY epoch DESC LIMIT $3";
    PROGRESS_PAGE = "SELECT first, body FROM market_progress
        WHERE lane = $1 AND first <= $2 ORDER BY first DESC LIMIT 1";
    PROGRESS_PAGES = "SELECT first, body FROM market_progress
        WHERE lane = $1 AND first > $2 ORDER BY first LIMIT $3";
    ROLL_PAGES = "SELECT first, body FROM market_roll
        WHERE lane = $1 AND first > $2 ORDER BY first LIMIT $3";
    /// The page on which a contract stands, or would.
    ROLL_PAGE = "SELECT first, body FROM market_roll
        WHERE lane = $1 AND first <= $2 ORDER BY first DESC LIMIT 1";
    NEXT_ROLL_PAGE = "SELECT first, body FROM market_roll
        WHERE lane = $1 AND first > $2 ORDER BY first LIMIT 1";
    DELETE_ROLL_PAGE = "DELETE FROM market_roll WHERE lane = $1 AND first = $2";
    /// What changed of enrolled contracts' life beside delivery.
    LIVED = "SELECT id, compensated, undecided, paused_epochs, paused_since FROM market_contracts
        WHERE lane = $1 AND enrolled = 1 AND compensated IS NOT NULL AND id > $2
        ORDER BY id LIMIT $3";
    /// The same of those between two.
    LIVED_WITHIN = "SELECT id, compensated, undecided, paused_epochs, paused_since FROM market_contracts
        WHERE lane = $1 AND enrolled = 1 AND compensated IS NOT NULL AND id > $2 AND id <= $3
        ORDER BY id";
    ACCRUAL_PAGES = "SELECT first, body FROM market_accrual_pages
        WHERE asset = $1 AND block_hash = $2 AND generation = $3 AND first > $4
        ORDER BY first LIMIT $5";
    /// Pages of all lives of blocks that are not reversed.
    LIVE_ACCRUAL_PAGES = "SELECT p.block_hash AS block_hash, p.generation AS generation,
        p.first AS first, p.body AS body FROM market_accrual_pages p
        JOIN market_lives f ON f.asset = p.asset AND f.block_hash = p.block_hash
        AND f.generation = p.generation
        WHERE f.lane = $1 AND p.asset = $2 AND f.reversed_at IS NULL
        AND (p.block_hash, p.generation, p.first) > ($3, $4, $5)
        ORDER BY p.block_hash, p.generation, p.first LIMIT $6";
    PENDING_PAGES = "SELECT first, body FROM market_pending
        WHERE lane = $1 AND asset = $2 AND first > $3 ORDER BY first LIMIT $4";
    /// The page on which a beneficiary stands, or would.
    PENDING_PAGE = "SELECT first, body FROM market_pending
        WHERE lane = $1 AND asset = $2 AND first <= $3 ORDER BY first DESC LIMIT 1";
    PENDING_BETWEEN = "SELECT first, body FROM market_pending
        WHERE lane = $1 AND asset = $2 AND first >= $3 AND first <= $4 ORDER BY first LIMIT $5";
    CLEAR_PENDING = "DELETE FROM market_pending WHERE lane = $1 AND asset = $2";
    /// Pages that were read.
    DELETE_PENDING = "DELETE FROM market_pending
        WHERE lane = $1 AND asset = $2 AND first > $3 AND first <= $4";
    DELETE_PROGRESS = "DELETE FROM market_progress WHERE lane = $1 AND first > $2 AND first <= $3";
}

many_statements! {
    INSERT_LINE_PAGES (lane Text, epoch Int, first Bytes, body Bytes) =
        "INSERT INTO market_line_pages (lane, epoch, first, body)
        SELECT lane, epoch, first, body FROM given";
    INSERT_PROGRESS (lane Text, first Bytes, body Bytes) =
        "INSERT INTO market_progress (lane, first, body) SELECT lane, first, body FROM given";
    INSERT_ROLL (lane Text, first Bytes, body Bytes) =
        "INSERT INTO market_roll (lane, first, body) SELECT lane, first, body FROM given";
    /// What a close changed of contracts beside their progress.
    DELIVER (id Bytes, state Text, delivered Bytes, short_since Int, due Bytes, recognised Int,
        refunded Int, ended Int, enrolled Int) =
        "UPDATE market_contracts SET state = given.state, delivered = given.delivered,
        short_since = given.short_since, maintenance_due = given.due,
        recognised_minor = given.recognised, refunded_minor = given.refunded,
        ended_epoch = given.ended, enrolled = given.enrolled FROM given WHERE market_contracts.id = given.id";
    INSERT_UNITS (lane Text, asset Text, epoch Int, kind Int, beneficiary Bytes, units Bytes) =
        "INSERT INTO market_units (lane, asset, epoch, kind, beneficiary, units)
        SELECT lane, asset, epoch, kind, beneficiary, units FROM given";
    INSERT_ACCRUAL_PAGES (asset Text, block_hash Bytes, generation Int, first Bytes, body Bytes) =
        "INSERT INTO market_accrual_pages (asset, block_hash, generation, first, body)
        SELECT asset, block_hash, generation, first, body FROM given";
    INSERT_PENDING (lane Text, asset Text, first Bytes, body Bytes) =
        "INSERT INTO market_pending (lane, asset, first, body)
        SELECT lane, asset, first, body FROM given";
    STANDINGS (lane Text, asset Text, kind Int, beneficiary Bytes) =
        "SELECT s.kind AS kind, s.beneficiary AS beneficiary, s.account AS account,
        s.accrued AS accrued, s.matured AS matured, s.settled_minor AS settled_minor,
        s.net_minor AS net_minor, s.fee_carry AS fee_carry, s.settlements AS settlements,
        s.settled_to AS settled_to FROM given g JOIN market_standings s ON s.lane = g.lane
        AND s.asset = g.asset AND s.kind = g.kind AND s.beneficiary = g.beneficiary";
    INSERT_STANDINGS (lane Text, asset Text, kind Int, beneficiary Bytes, account Bytes,
        accrued Bytes, matured Bytes, settled Int, net Int, fee_carry Int, waiting Int,
        settlements Int, settled_to Int) =
        "INSERT INTO market_standings (lane, asset, kind, beneficiary, account, accrued, matured,
        settled_minor, net_minor, fee_carry, waiting_minor, settlements, settled_to)
        SELECT lane, asset, kind, beneficiary, account, accrued, matured, settled, net, fee_carry,
        waiting, settlements, settled_to FROM given";
    UPDATE_STANDINGS (lane Text, asset Text, kind Int, beneficiary Bytes, account Bytes,
        accrued Bytes, matured Bytes, settled Int, net Int, fee_carry Int, waiting Int,
        settlements Int, settled_to Int) =
        "UPDATE market_standings SET accrued = given.accrued, matured = given.matured,
        settled_minor = given.settled, net_minor = given.net, fee_carry = given.fee_carry,
        waiting_minor = given.waiting, settlements = given.settlements,
        settled_to = given.settled_to FROM given WHERE market_standings.lane = given.lane
        AND market_standings.asset = given.asset AND market_standings.kind = given.kind
        AND market_standings.beneficiary = given.beneficiary";
    /// Whose contracts are, metered ones too.
    OWNERS (contract Bytes) = "SELECT c.id AS id, c.account AS account
        FROM given g JOIN market_contracts c ON c.id = g.contract
        UNION ALL SELECT m.id AS id, m.account AS account
        FROM given g JOIN market_metered m ON m.id = g.contract";
    INSERT_SETTLEMENTS (lane Text, asset Text, kind Int, beneficiary Bytes, number Int,
        from_epoch Int, to_epoch Int, gross Int, fee Int, maintenance Int, waived Int, net Int,
        at Int) =
        "INSERT INTO market_settlements (lane, asset, kind, beneficiary, number, from_epoch, to_epoch,
        gross_minor, fee_minor, maintenance_minor, waived_minor, net_minor, at) SELECT lane, asset,
        kind, beneficiary, number, from_epoch, to_epoch, gross, fee, maintenance, waived, net, at
        FROM given";
    /// What is taken of contracts' earnings, metered ones too.
    PARTIES (contract Bytes) = "SELECT c.id AS id, c.asset AS asset, c.fee_bps AS fee_bps,
        c.maintenance AS maintenance, c.maintenance_also AS maintenance_also,
        c.maintenance_due AS maintenance_due, c.start_epoch AS start_epoch, CAST(0 AS BIGINT) AS is_metered,
        CAST(0 AS BIGINT) AS minimum_minor
        FROM given g JOIN market_contracts c ON c.id = g.contract
        UNION ALL SELECT m.id AS id, m.asset AS asset, m.fee_bps AS fee_bps,
        m.maintenance AS maintenance, m.maintenance_also AS maintenance_also,
        m.maintenance_due AS maintenance_due, m.first_epoch AS start_epoch, CAST(1 AS BIGINT) AS is_metered,
        CASE WHEN m.state = 'ended' THEN CAST(0 AS BIGINT) ELSE m.minimum_minor END AS minimum_minor
        FROM given g JOIN market_metered m ON m.id = g.contract";
    SET_MAINTENANCE (id Bytes, due Bytes) = "UPDATE market_contracts SET maintenance_due = given.due
        FROM given WHERE market_contracts.id = given.id";
    SET_MAINTENANCE_METERED (id Bytes, due Bytes) = "UPDATE market_metered
        SET maintenance_due = given.due FROM given WHERE market_metered.id = given.id";
    INSERT_FPPS_LINES (lane Text, asset Text, epoch Int, contract Bytes, work Bytes) =
        "INSERT INTO market_fpps_lines (lane, asset, epoch, contract, work)
        SELECT lane, asset, epoch, contract, work FROM given";
    PRICE_FPPS_LINES (lane Text, asset Text, epoch Int, contract Bytes, minor Int, high Int, low Int) =
        "UPDATE market_fpps_lines SET minor = given.minor, fraction_high = given.high,
        fraction_low = given.low FROM given WHERE market_fpps_lines.lane = given.lane
        AND market_fpps_lines.asset = given.asset AND market_fpps_lines.epoch = given.epoch
        AND market_fpps_lines.contract = given.contract";
    INSERT_SOLO (lane Text, epoch Int, kind Int, beneficiary Bytes, work Bytes) =
        "INSERT INTO market_solo (lane, epoch, kind, beneficiary, work)
        SELECT lane, epoch, kind, beneficiary, work FROM given";
    /// The last due in dollars of each contract that has one.
    LAST_USD_DUES (contract Bytes) = "SELECT d.contract AS contract, d.total AS total FROM given g
        JOIN market_usd_dues d ON d.contract = g.contract WHERE d.to_epoch =
        (SELECT MAX(l.to_epoch) FROM market_usd_dues l WHERE l.contract = g.contract)";
    INSERT_USD_DUES (contract Bytes, epoch Int, lane Text, instant Int, total Bytes, due Bytes) =
        "INSERT INTO market_usd_dues (contract, to_epoch, lane, instant, total, due, usd_micro)
        SELECT contract, epoch, lane, instant, total, due, NULL FROM given";
    /// Those contracts of which a due in dollars, of an epoch or a later one, has no price.
    WAITING_USD_DUES (contract Bytes, since Int) = "SELECT g.contract AS id FROM given g WHERE EXISTS
        (SELECT 1 FROM market_usd_dues d WHERE d.contract = g.contract AND d.to_epoch >= g.since
        AND d.usd_micro IS NULL)";
    /// Notices that a letter tells.
    INSERT_LETTERS (account Bytes, contract Bytes, kind Text, about Int, at Int, detail Text) =
        "INSERT INTO market_notices (account, contract, kind, about, at, detail, letter)
        SELECT account, contract, kind, about, at, detail, 1 FROM given
        WHERE 1 = 1 ON CONFLICT (contract, kind, about) DO NOTHING";
    BEGIN_LOSSES (contract Bytes, lane Text, plan Text, plan_version Int, from_epoch Int, asset Text,
        earns Int, costs Int, price_instant Int) =
        "INSERT INTO market_losses (contract, lane, plan, plan_version, from_epoch, asset,
        earns_minor, costs_minor, price_instant) SELECT contract, lane, plan, plan_version,
        from_epoch, asset, earns, costs, price_instant FROM given";
    END_LOSSES (contract Bytes, from_epoch Int, until_epoch Int, earns Int, costs Int, price_instant Int) =
        "UPDATE market_losses SET until_epoch = given.until_epoch, until_earns_minor = given.earns,
        until_costs_minor = given.costs, until_price_instant = given.price_instant FROM given
        WHERE market_losses.contract = given.contract AND market_losses.from_epoch = given.from_epoch
        AND market_losses.until_epoch IS NULL";
    CONVERT_USD_DUES (contract Bytes, epoch Int, price Int) = "UPDATE market_usd_dues
        SET usd_micro = given.price FROM given WHERE market_usd_dues.contract = given.contract
        AND market_usd_dues.to_epoch = given.epoch AND market_usd_dues.usd_micro IS NULL";
    /// Those that wait for the end of some contracts; each is followed by one at most.
    FOLLOWERS (contract Bytes) = "SELECT c.id AS id, c.renews AS renews, c.state AS state,
        c.hashrate AS hashrate FROM given g JOIN market_contracts c ON c.renews = g.contract
        WHERE c.state IN ('awaiting_payment', 'starting') AND c.holds = 0 ORDER BY c.id";
    /// Progress back into the contracts' own rows.
    FLUSH_PROGRESS (id Bytes, delivered Bytes, short_since Int, due Bytes, recognised Int) =
        "UPDATE market_contracts SET delivered = given.delivered, short_since = given.short_since,
        maintenance_due = given.due, recognised_minor = given.recognised
        FROM given WHERE market_contracts.id = given.id";
}

#[cfg(test)]
mod tests {
    use super::{MANY_STATEMENTS, STATEMENTS};
    use crate::world::World;
    use gruve_store::testing::{prepare_all, prepare_all_many};
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
        prepare_all_many(&w.store, MANY_STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
