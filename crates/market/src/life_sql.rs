//! The statements of contracts' life, one source for both engines.

use gruve_store::statements;

statements! {
    // Contracts
    /// What a sale fixes beside the contract's row.
    SET_RULES = "UPDATE market_contracts SET rules = $2, holds = $3, renews = $4 WHERE id = $1";
    SET_LIFE = "UPDATE market_contracts SET compensated = $2, undecided = $3, paused_epochs = $4,
        paused_since = $5 WHERE id = $1";
    CANCEL_UNPAID = "UPDATE market_contracts SET state = 'cancelled'
        WHERE id = $1 AND state = 'awaiting_payment'";
    CANCEL_PAID = "UPDATE market_contracts SET state = 'cancelled', refunded_minor = price_minor
        WHERE id = $1 AND state = 'starting'";
    HELD_BY_ACCOUNT = "SELECT hashrate FROM market_contracts
        WHERE lane = $1 AND account = $2 AND state = 'awaiting_payment' AND holds = 1";

    // Quotes
    MARK_QUOTE = "UPDATE market_quotes SET job_bits = $2, chain_work = $3, price_usd_micro = $4,
        renews = $5 WHERE id = $1";
    QUOTE_MARKS = "SELECT job_bits, chain_work, price_usd_micro, renews FROM market_quotes
        WHERE id = $1";
    NEWEST_CHAIN_WORK = "SELECT work FROM market_chain WHERE lane = $1 AND asset = $2
        ORDER BY height DESC LIMIT 1";

    // Prices
    PUT_REPORT = "INSERT INTO market_price_reports (source, asset, at, usd_micro)
        VALUES ($1, $2, $3, $4) ON CONFLICT (source, asset, at) DO NOTHING";
    REPORTS = "SELECT source, at, usd_micro FROM market_price_reports
        WHERE asset = $1 AND at > $2 AND at <= $3 ORDER BY source, at";
    LAST_REPORT = "SELECT at, usd_micro FROM market_price_reports
        WHERE source = $1 AND asset = $2 ORDER BY at DESC LIMIT 1";
    TRIM_REPORTS = "DELETE FROM market_price_reports WHERE asset = $1 AND at < $2";
    PUT_PRICE = "INSERT INTO market_prices (asset, instant, usd_micro, sources, recorded_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (asset, instant) DO NOTHING";
    PRICE = "SELECT usd_micro FROM market_prices WHERE asset = $1 AND instant = $2";
    PRICE_BEFORE = "SELECT instant, usd_micro FROM market_prices
        WHERE asset = $1 AND instant < $2 ORDER BY instant DESC LIMIT 1";
    PRICES = "SELECT instant, usd_micro, sources, recorded_at FROM market_prices
        WHERE asset = $1 ORDER BY instant DESC LIMIT $2";
    PRICES_BEFORE = "SELECT instant, usd_micro, sources, recorded_at FROM market_prices
        WHERE asset = $1 AND instant < $2 ORDER BY instant DESC LIMIT $3";

    // Notices
    NOTICE = "INSERT INTO market_notices (account, contract, kind, about, at, detail, letter)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (contract, kind, about) DO NOTHING";
    NOTICES = "SELECT contract, kind, about, at, detail FROM market_notices
        WHERE account = $1 ORDER BY at DESC, kind LIMIT $2";
    NOTICES_BEFORE = "SELECT contract, kind, about, at, detail FROM market_notices
        WHERE account = $1 AND (at, contract, kind, about) < ($2, $3, $4, $5)
        ORDER BY at DESC, contract DESC, kind DESC, about DESC LIMIT $6";
    NOTICES_BETWEEN = "SELECT contract, kind, about, at, detail FROM market_notices
        WHERE account = $1 AND at >= $2 AND at < $3 ORDER BY at, contract, kind, about LIMIT $4";
    NOTICES_OF_CONTRACT = "SELECT contract, kind, about, at, detail FROM market_notices
        WHERE account = $1 AND contract = $2 ORDER BY at DESC, kind LIMIT $3";

    // Letters that tell of them
    LAST_LETTER = "SELECT at FROM market_notices WHERE contract = $1 AND kind = $2 AND letter > 0
        ORDER BY about DESC LIMIT 1";
    TO_WRITE_TO = "SELECT DISTINCT account FROM market_notices WHERE letter = 1
        ORDER BY account LIMIT $1";
    UNWRITTEN = "SELECT contract, kind, at, detail FROM market_notices
        WHERE account = $1 AND letter = 1
        ORDER BY at, contract, kind, about LIMIT $2";
    NONE_TO_WRITE = "UPDATE market_notices SET letter = 0 WHERE letter = 1";
    WRITTEN = "UPDATE market_notices SET letter = 2 WHERE account = $1 AND letter = 1";

    // Shortfall by the operator's doing
    PUT_SHORT = "INSERT INTO market_short (lane, epoch, since_epoch, missing, judged)
        VALUES ($1, $2, $3, $4, 0)";
    UNJUDGED = "SELECT epoch, since_epoch, missing FROM market_short
        WHERE judged = 0 AND lane = $1 ORDER BY epoch LIMIT $2";
    JUDGE = "UPDATE market_short SET judged = 1, declared = $3, elsewhere = $4, caused = $5
        WHERE lane = $1 AND epoch = $2";
    SHORT_EPOCHS = "SELECT epoch, since_epoch, missing, judged, declared, elsewhere, caused
        FROM market_short WHERE lane = $1 ORDER BY epoch DESC LIMIT $2";
    SHORT_EPOCHS_BEFORE = "SELECT epoch, since_epoch, missing, judged, declared, elsewhere, caused
        FROM market_short WHERE lane = $1 AND epoch < $2 ORDER BY epoch DESC LIMIT $3";
    NEXT_ACT = "SELECT COALESCE(MAX(id), 0) + 1 AS id FROM market_acts WHERE lane = $1";
    PUT_ACT = "INSERT INTO market_acts (id, lane, what, hashrate, from_epoch, until_epoch, note,
        recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    END_ACT = "UPDATE market_acts SET until_epoch = $3
        WHERE lane = $1 AND id = $2 AND until_epoch IS NULL AND from_epoch < $3";
    ACTS = "SELECT id, what, hashrate, from_epoch, until_epoch, note, recorded_at
        FROM market_acts WHERE lane = $1 ORDER BY id DESC LIMIT $2";
    ACTS_BEFORE = "SELECT id, what, hashrate, from_epoch, until_epoch, note, recorded_at
        FROM market_acts WHERE lane = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    ACTS_AT = "SELECT hashrate FROM market_acts WHERE lane = $1 AND from_epoch <= $2
        AND (until_epoch IS NULL OR until_epoch > $2)";
    WORK_BETWEEN = "SELECT epoch, house_work, house_squares FROM market_epochs
        WHERE lane = $1 AND epoch >= $2 AND epoch <= $3";

    // Work whose earnings a contract may be owed
    PUT_OWED = "INSERT INTO market_owed (contract, epoch, kind, lane, hashes, state, deadline_epoch,
        decided_at, fee_bps, energy_micro, final_epoch)
        VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $9, NULL)";
    OPEN_OWED = "SELECT contract AS id, hashes FROM market_owed
        WHERE lane = $1 AND epoch = $2 AND state = 'open' AND contract > $3
        ORDER BY contract LIMIT $4";
    OPEN_UNTIL = "SELECT MAX(deadline_epoch) AS epoch FROM market_owed
        WHERE lane = $1 AND epoch = $2 AND state = 'open'";
    LAPSED_OWED = "SELECT contract AS id, epoch, hashes FROM market_owed
        WHERE lane = $1 AND state = 'undecided' AND deadline_epoch <= $2
        ORDER BY contract, epoch LIMIT 10000";
    SET_OWED = "UPDATE market_owed SET state = $4, hashes = $5, deadline_epoch = $6, decided_at = $7
        WHERE contract = $1 AND epoch = $2 AND kind = $3";
    OWED = "SELECT epoch, kind, hashes, state, deadline_epoch, decided_at FROM market_owed
        WHERE contract = $1 AND epoch = $2 AND kind = $3";
    OWED_OF_CONTRACT = "SELECT epoch, kind, hashes, state, deadline_epoch, decided_at
        FROM market_owed WHERE contract = $1 AND (epoch < $2 OR (epoch = $2 AND kind > $3))
        ORDER BY epoch DESC, kind LIMIT $4";
    PAYABLE = "SELECT contract, epoch, kind, hashes, fee_bps, energy_micro FROM market_owed
        WHERE lane = $1 AND state IN ('earnings', 'paused') AND final_epoch IS NULL
        AND (epoch, contract, kind) > ($2, $3, $4) ORDER BY epoch, contract, kind LIMIT $5";
    FINISH_OWED = "UPDATE market_owed SET final_epoch = $4
        WHERE contract = $1 AND epoch = $2 AND kind = $3";
    OWED_PAID = "SELECT minor, payments FROM market_owed_paid
        WHERE contract = $1 AND epoch = $2 AND kind = $3 AND asset = $4";
    PUT_OWED_PAID = "INSERT INTO market_owed_paid (contract, epoch, kind, asset, minor, payments)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (contract, epoch, kind, asset)
        DO UPDATE SET minor = excluded.minor, payments = excluded.payments";
    OWED_PAID_OF_CONTRACT = "SELECT epoch, kind, asset, minor FROM market_owed_paid
        WHERE contract = $1 ORDER BY epoch, kind, asset";
    UNITS_FROM = "SELECT epoch, units FROM market_windows WHERE lane = $1 AND asset = $2
        AND epoch >= $3 ORDER BY epoch LIMIT $4";
    BITS_AT = "SELECT network_bits FROM market_windows WHERE lane = $1 AND asset = $2
        AND epoch <= $3 AND network_bits IS NOT NULL ORDER BY epoch DESC LIMIT 1";
    CREDITED_REWARDS = "SELECT minor, window_epoch FROM market_rewards
        WHERE lane = $1 AND asset = $2 AND state = 'mature' AND credited = 1
        AND window_epoch > $3 AND window_epoch <= $4 ORDER BY window_epoch, block_hash";
    OPEN_REWARDS = "SELECT COUNT(*) AS n FROM market_rewards
        WHERE lane = $1 AND asset = $2 AND state IN ('maturing', 'mature') AND credited = 0
        AND (window_epoch IS NULL OR (window_epoch > $3 AND window_epoch <= $4))";

    // Fees in dollars
    OPEN_USD_DUES = "SELECT contract, to_epoch, instant, due FROM market_usd_dues
        WHERE lane = $1 AND usd_micro IS NULL AND (instant, contract, to_epoch) > ($2, $3, $4)
        ORDER BY instant, contract, to_epoch LIMIT $5";
    USD_DUES = "SELECT to_epoch, instant, due, usd_micro FROM market_usd_dues
        WHERE contract = $1 AND to_epoch < $2 ORDER BY to_epoch DESC LIMIT $3";

    // Unprofitability
    PUT_DECISION = "INSERT INTO market_pause_decisions (contract, epoch, price_instant, earns_micro,
        costs_micro, decision, effective_epoch) VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (contract, epoch) DO NOTHING";
    DECISIONS = "SELECT epoch, price_instant, earns_micro, costs_micro, decision, effective_epoch
        FROM market_pause_decisions WHERE contract = $1 AND epoch < $2
        ORDER BY epoch DESC LIMIT $3";
    CHAIN_PAYS = "SELECT subsidy, fees, work FROM market_chain WHERE lane = $1 AND asset = $2
        ORDER BY height DESC LIMIT $3";
    /// By their owners' word, or because a renewal is paid for that begins when they end.
    KEPT_RUNNING = "SELECT c.id AS id FROM market_wishes w
        JOIN market_contracts c ON c.id = w.contract
        WHERE c.lane = $1 AND w.keep_running = 1 AND c.state IN ('starting', 'active')
        AND c.id > $2
        UNION SELECT renews AS id FROM market_contracts WHERE lane = $1 AND state = 'starting'
        AND holds = 0 AND renews IS NOT NULL AND renews > $2 ORDER BY id LIMIT $3";

    // Contracts that run on although they do not pay
    OPEN_LOSSES = "SELECT contract AS id, from_epoch FROM market_losses
        WHERE lane = $1 AND until_epoch IS NULL AND contract > $2 ORDER BY contract LIMIT $3";
    LOSSES = "SELECT from_epoch, asset, earns_minor, costs_minor, price_instant, until_epoch,
        until_earns_minor, until_costs_minor, until_price_instant
        FROM market_losses WHERE contract = $1 AND from_epoch < $2
        ORDER BY from_epoch DESC LIMIT $3";
    LOSING_PLANS = "SELECT lane, plan, plan_version, COUNT(*) AS contracts,
        MIN(from_epoch) AS since FROM market_losses WHERE until_epoch IS NULL
        GROUP BY lane, plan, plan_version ORDER BY lane, plan, plan_version";
    ONE_LOSING = "SELECT contract FROM market_losses WHERE lane = $1 AND plan = $2
        AND plan_version = $3 AND until_epoch IS NULL ORDER BY from_epoch DESC LIMIT 1";

    // What customers want
    WISHES = "SELECT keep_running, renew_max_minor, reinvest, reinvest_from_minor, reinvested_minor
        FROM market_wishes WHERE contract = $1";
    PUT_WISHES = "INSERT INTO market_wishes (contract, keep_running, renew_max_minor, reinvest,
        reinvest_from_minor, reinvested_minor) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (contract) DO UPDATE SET keep_running = excluded.keep_running,
        renew_max_minor = excluded.renew_max_minor, reinvest = excluded.reinvest,
        reinvest_from_minor = excluded.reinvest_from_minor,
        reinvested_minor = excluded.reinvested_minor";
    TO_RENEW = "SELECT c.id AS id FROM market_wishes w JOIN market_contracts c ON c.id = w.contract
        WHERE c.lane = $1 AND w.renew_max_minor IS NOT NULL AND c.state IN ('active', 'starting')
        AND c.start_epoch IS NOT NULL AND c.id > $2 ORDER BY c.id LIMIT $3";
    TO_REINVEST = "SELECT c.id AS id FROM market_wishes w JOIN market_contracts c ON c.id = w.contract
        WHERE c.lane = $1 AND w.reinvest = 1 AND (c.state IN ('active', 'starting') OR c.ended_epoch >= $2)
        AND c.id > $3 ORDER BY c.id LIMIT $4";
    FOLLOWER = "SELECT id, state, hashrate FROM market_contracts
        WHERE renews = $1 AND state IN ('awaiting_payment', 'starting') ORDER BY id";
    FOLLOW = "UPDATE market_contracts SET holds = 1, start_epoch = $2
        WHERE id = $1 AND state IN ('awaiting_payment', 'starting')";
}
