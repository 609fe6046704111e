//! The statements of the earning schemes, one source for both engines.

use gruve_store::statements;

statements! {
    // SOLO
    SOLO = "SELECT work FROM market_solo
        WHERE lane = $1 AND epoch = $2 AND kind = $3 AND beneficiary = $4";
    SOLO_FROM = "SELECT kind, beneficiary, work FROM market_solo WHERE lane = $1 AND epoch = $2
        AND (kind, beneficiary) > ($3, $4) ORDER BY kind, beneficiary LIMIT $5";
    FOUND_BY = "SELECT owner, machine, epoch FROM market_found WHERE lane = $1 AND block_hash = $2";
    HOUSE_WORK = "SELECT house_work FROM market_epochs WHERE lane = $1 AND epoch = $2";
    PUT_OWN_SCHEME = "INSERT INTO market_own_schemes (lane, account, from_epoch, scheme)
        VALUES ($1, $2, $3, $4) ON CONFLICT (lane, account, from_epoch) DO UPDATE
        SET scheme = excluded.scheme";
    /// The owners whose own machines earn by SOLO in an epoch.
    SOLO_OWNERS = "SELECT account AS id FROM market_own_schemes m WHERE lane = $1 AND scheme = 'solo'
        AND from_epoch = (SELECT MAX(from_epoch) FROM market_own_schemes x
        WHERE x.lane = m.lane AND x.account = m.account AND x.from_epoch <= $2)
        AND account > $3 ORDER BY account LIMIT $4";
    OWN_SCHEME = "SELECT from_epoch, scheme FROM market_own_schemes
        WHERE lane = $1 AND account = $2 AND from_epoch <= $3 ORDER BY from_epoch DESC LIMIT 1";

    // FPPS
    INSERT_FPPS_EPOCH = "INSERT INTO market_fpps_epochs (lane, asset, epoch, house_work, is_open)
        VALUES ($1, $2, $3, $4, 1)";
    OPEN_FPPS_EPOCHS = "SELECT epoch, house_work FROM market_fpps_epochs
        WHERE lane = $1 AND asset = $2 AND is_open = 1 ORDER BY epoch LIMIT $3";
    /// The lowest height of the jobs of epochs that have no price yet.
    OLDEST_OPEN_FPPS = "SELECT MIN(w.height) AS height FROM market_fpps_epochs e
        JOIN market_fpps_work w ON w.lane = e.lane AND w.asset = e.asset AND w.epoch = e.epoch
        WHERE e.lane = $1 AND e.asset = $2 AND e.is_open = 1";
    COUNT_OPEN_FPPS = "SELECT COUNT(*) AS n FROM market_fpps_epochs
        WHERE lane = $1 AND asset = $2 AND is_open = 1";
    CLOSE_FPPS_EPOCH = "UPDATE market_fpps_epochs SET is_open = 0
        WHERE lane = $1 AND asset = $2 AND epoch = $3";
    INSERT_FPPS_WORK = "INSERT INTO market_fpps_work (lane, asset, epoch, height, bits, work)
        VALUES ($1, $2, $3, $4, $5, $6)";
    FPPS_WORK = "SELECT height, bits, work FROM market_fpps_work
        WHERE lane = $1 AND asset = $2 AND epoch = $3 ORDER BY height, bits";
    /// By which figures contracts were paid in an epoch.
    FPPS_TERMS_OF_EPOCH = "SELECT DISTINCT COALESCE(c.fpps, m.fpps) AS fpps FROM market_fpps_lines l
        LEFT JOIN market_contracts c ON c.id = l.contract
        LEFT JOIN market_metered m ON m.id = l.contract
        WHERE l.lane = $1 AND l.asset = $2 AND l.epoch = $3";
    FPPS_LINES_OF_EPOCH = "SELECT l.contract AS id, l.work AS work, COALESCE(c.fpps, m.fpps) AS fpps,
        COALESCE(c.fee_bps, m.fee_bps) AS fee_bps FROM market_fpps_lines l
        LEFT JOIN market_contracts c ON c.id = l.contract
        LEFT JOIN market_metered m ON m.id = l.contract
        WHERE l.lane = $1 AND l.asset = $2 AND l.epoch = $3 AND l.contract > $4
        ORDER BY l.contract LIMIT $5";
    FPPS_LINES = "SELECT asset, epoch, work, minor, fraction_high, fraction_low FROM market_fpps_lines
        WHERE contract = $1 ORDER BY epoch DESC, asset LIMIT $2";
    INSERT_FPPS_PRICE = "INSERT INTO market_fpps_prices (lane, asset, epoch, height, window_blocks,
        cap_minor, subsidy, fee_average) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (lane, asset, epoch, height, window_blocks, cap_minor) DO NOTHING";
    FPPS_PRICES = "SELECT w.height AS height, w.bits AS bits, w.work AS work,
        p.window_blocks AS window_blocks, p.cap_minor AS cap_minor, p.subsidy AS subsidy,
        p.fee_average AS fee_average FROM market_fpps_work w JOIN market_fpps_prices p
        ON p.lane = w.lane AND p.asset = w.asset AND p.epoch = w.epoch AND p.height = w.height
        WHERE w.lane = $1 AND w.asset = $2 AND w.epoch = $3
        ORDER BY w.height, w.bits, p.window_blocks, p.cap_minor LIMIT $4";
    FPPS_SUMS = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor,
        CAST(COALESCE(SUM(fraction_high), 0) AS BIGINT) AS high,
        CAST(COALESCE(SUM(fraction_low), 0) AS BIGINT) AS low FROM market_fpps_lines
        WHERE lane = $1 AND asset = $2";
    FPPS_SUMS_OF = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor,
        CAST(COALESCE(SUM(fraction_high), 0) AS BIGINT) AS high,
        CAST(COALESCE(SUM(fraction_low), 0) AS BIGINT) AS low FROM market_fpps_lines
        WHERE contract = $1 AND asset = $2";
    FPPS_WAITING = "SELECT CAST(COALESCE(SUM(waiting_minor), 0) AS BIGINT) AS minor
        FROM market_standings WHERE lane = $1 AND asset = $2 AND kind = 6";
    INSERT_CAPITAL = "INSERT INTO market_fpps_capital (asset, reason, minor, at)
        VALUES ($1, $2, $3, $4)";
    CAPITAL = "SELECT minor FROM market_fpps_capital WHERE asset = $1 AND reason = $2";
    CAPITAL_SUM = "SELECT CAST(COALESCE(SUM(minor), 0) AS BIGINT) AS minor
        FROM market_fpps_capital WHERE asset = $1";

    // The chain's figures
    CHAIN_TIP = "SELECT MAX(height) AS height FROM market_chain WHERE lane = $1 AND asset = $2";
    SUBSIDY_AT = "SELECT subsidy FROM market_chain WHERE lane = $1 AND asset = $2 AND height = $3";
    FEES_BETWEEN = "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(CASE WHEN fees > $5 THEN $5 ELSE fees END), 0)
        AS BIGINT) AS fees FROM market_chain
        WHERE lane = $1 AND asset = $2 AND height >= $3 AND height < $4";
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use crate::METERED_MIGRATIONS;
    use crate::sql::{CHAIN_MIGRATIONS, MIGRATIONS};
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_of_the_schemes_prepares(store: Store) {
        store.migrate("market", MIGRATIONS).await.unwrap();
        store.migrate("market_chain", CHAIN_MIGRATIONS).await.unwrap();
        store.migrate("market_metered", METERED_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_of_the_schemes_prepares] }
}
