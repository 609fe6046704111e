//! What an account has at this moment, as the overview shows it.

use crate::api::{Money, Rate, Time, amount, rate, time};
use crate::extract::Customer;
use crate::failure::Failure;
use crate::openapi::{Answer, Fine, answers};
use crate::state::AppState;
use axum::extract::State;
use gruve_units::{Amount, Asset, LaneId};
use std::collections::BTreeMap;

answers! {
    /// What the account has now, apart from its lists.
    struct OverviewBody {
        /// What leases and metered contracts got in the last closed epoch, by lane.
        proven: Vec<LaneRateBody>,
        /// What the account's hosted machines proved in the last epoch that is wholly counted, by lane.
        proven_by_hosted: Vec<HostedRateBody>,
        /// What was credited for work, fees off, by asset.
        earned: Vec<EarnedSumsBody>,
        /// Whether older lines of the month were left out of the sums of days, because there are very many.
        is_cut: bool,
        /// Leases and metered contracts that work, of the newest 500 of each.
        running: usize,
        /// All of them that were ever bought or started, of the newest 500 leases and the newest 500 by the meter.
        contracts: usize,
        /// When the next settlement of any of them or of a machine, hosted or connected, is due; null where nothing works.
        next_settlement: Option<Time>,
        /// The account's own machines that are connected.
        machines: Vec<OwnMachineBody>,
    }

    /// The rate that running contracts of a lane got in its last closed epoch.
    struct LaneRateBody {
        /// Which lane.
        lane: LaneId,
        /// How many run.
        contracts: u64,
        /// The rate bought, or asked for by the meter.
        bought: Rate,
        /// What they got.
        got: Rate,
        /// How far off that may be on either side, in nineteen epochs of twenty.
        spread: Rate,
    }

    /// The rate that the shares of an account's hosted machines prove on a lane.
    struct HostedRateBody {
        /// Which lane.
        lane: LaneId,
        /// Which epoch.
        epoch: u64,
        /// Hosted machines that were the account's in it.
        machines: u64,
        /// Shares that they handed in.
        shares: u64,
        /// The rate behind them.
        rate: Rate,
        /// The lower end of the interval that holds the true rate, 95 times in 100.
        low: Rate,
        /// The upper end.
        high: Rate,
    }

    /// What was credited in an asset.
    struct EarnedSumsBody {
        /// Which.
        asset: Asset,
        /// Within 24 hours.
        day: Money,
        /// Within 7 days.
        week: Money,
        /// Within 30 days.
        month: Money,
        /// Since the account was opened.
        in_all: Money,
    }

    /// An own machine that is connected.
    struct OwnMachineBody {
        /// Its name, or its number where it has none.
        name: String,
        /// Where it mines.
        lane: LaneId,
        /// The rate behind its shares of the last minutes.
        hashrate: Rate,
        /// Shares accepted on this connection.
        accepted: u64,
        /// Shares refused on it.
        rejected: u64,
    }
}

/// `GET /api/v1/overview`
pub(crate) async fn overview(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<OverviewBody>, Failure> {
    let leases = state.market().contracts(customer.account).await?;
    let metered = state.market().metered_contracts(customer.account).await?;
    let own = state.overview(customer.account, &leases, &metered).await?;
    let mut earned: BTreeMap<Asset, ([Amount; 3], Amount)> = BTreeMap::new();
    let none = |asset| Amount::new(asset, 0);
    for (asset, sums) in &own.lately.sums {
        earned.insert(*asset, (*sums, none(*asset)));
    }
    for all in &own.earned {
        let of = earned.entry(all.asset).or_insert(([none(all.asset); 3], *all));
        of.1 = *all;
    }
    Ok(Answer(OverviewBody {
        proven: own
            .rates
            .into_iter()
            .map(|r| LaneRateBody {
                lane: r.lane,
                contracts: r.contracts,
                bought: rate(r.bought),
                got: rate(r.got),
                spread: rate(r.spread),
            })
            .collect(),
        proven_by_hosted: own
            .hosted_rates
            .into_iter()
            .map(|r| HostedRateBody {
                lane: r.lane,
                epoch: r.epoch.0,
                machines: r.machines,
                shares: r.shares,
                rate: rate(r.rate),
                low: rate(r.between.0),
                high: rate(r.between.1),
            })
            .collect(),
        earned: earned
            .into_iter()
            .map(|(asset, ([day, week, month], in_all))| EarnedSumsBody {
                asset,
                day: amount(day),
                week: amount(week),
                month: amount(month),
                in_all: amount(in_all),
            })
            .collect(),
        is_cut: own.lately.is_cut,
        running: own.running,
        contracts: own.contracts,
        next_settlement: own.next_settlement.map(time),
        machines: own
            .machines
            .into_iter()
            .map(|m| OwnMachineBody {
                name: m.name,
                lane: m.lane,
                hashrate: rate(m.hashrate),
                accepted: m.accepted,
                rejected: m.rejected,
            })
            .collect(),
    }))
}
