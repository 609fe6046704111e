//! What became of a plan's contracts: figures that nobody writes, read from the same rows that the books rest on.

use crate::contract::Contract;
use crate::foretell::QuoteForecast;
use crate::metered::{MeteredState, sql as meter_sql};
use crate::{ContractState, Market, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{
    AccountId, Amount, Asset, ContractId, Duration, EpochNumber, Hashes, LaneId, Timestamp,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// Contracts of a plan that are looked at: the newest.
pub const TRACKED_MAX: u32 = 1_000;

/// Contracts by the meter of a plan that are looked at: the newest, each an epoch's row for every epoch.
pub const METERED_TRACKED_MAX: u32 = 100;

/// How far back their epochs are counted.
pub const METERED_TRACKED_FOR: Duration = Duration::from_secs(7 * 86_400);

/// What became of the newest contracts by the meter of a plan, in the last week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MeteredTrack {
    /// Contracts that were started.
    pub started: u64,
    /// Of them, those that work, or will from their next epoch on.
    pub running: u64,
    /// Of them, those that stand still for want of a balance.
    pub stopped: u64,
    /// Of them, those that were ended.
    pub ended: u64,
    /// When the first of them was started.
    pub since: Option<Timestamp>,
    /// Epochs that work was held for.
    pub epochs: u64,
    /// Of them, those in which any was delivered.
    pub epochs_worked: u64,
    /// Work that was held for.
    pub sold: Hashes,
    /// Work delivered.
    pub delivered: Hashes,
    /// What was charged for it from the beginning on, by asset.
    pub charged: Vec<Amount>,
}

/// What became of the newest contracts of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrackRecord {
    /// Contracts that were paid for.
    pub sold: u64,
    /// Of them, those that run or are about to.
    pub running: u64,
    /// Of them, those that delivered all their work.
    pub completed: u64,
    /// Of them, those that ended with work missing, which was refunded.
    pub refunded: u64,
    /// When the first of them was sold.
    pub since: Option<Timestamp>,
    /// Work bought.
    pub bought: Hashes,
    /// Work that should have been delivered by now.
    pub entitled: Hashes,
    /// Work delivered.
    pub delivered: Hashes,
    /// What was paid, by asset.
    pub paid: Vec<Amount>,
    /// What was given back for work that was not delivered, by asset.
    pub given_back: Vec<Amount>,
    /// Ended contracts whose forecast at the purchase is kept.
    pub foretold: u64,
    /// Of them, those that brought less than nineteen in twenty futures did.
    pub below: u64,
    /// Of them, those that brought more than nineteen in twenty futures did.
    pub above: u64,
    /// What was foretold for them in the mean, minor units of the plan's coin.
    pub foretold_minor: i128,
    /// What they brought.
    pub brought_minor: i128,
    /// Epochs of the lane since the first was sold, of the last week at most.
    pub epochs: u64,
    /// Of them, those in which the house's machines proved work.
    pub epochs_worked: u64,
}

/// Of which plan a contract is that runs or ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldPlan {
    /// The plan.
    pub plan: String,
    /// Whether the contract is by the meter.
    pub is_metered: bool,
}

impl TrackRecord {
    fn count(&mut self, state: ContractState) -> bool {
        let place = match state {
            ContractState::Starting | ContractState::Active => &mut self.running,
            ContractState::Completed => &mut self.completed,
            ContractState::Refunded => &mut self.refunded,
            // What was not paid for in the end says nothing of the plan.
            ContractState::AwaitingPayment
            | ContractState::Expired
            | ContractState::Cancelled
            | ContractState::ChargedBack => return false,
        };
        *place += 1;
        self.sold += 1;
        true
    }

    /// An ended contract's forecast beside what it brought.
    fn compare(&mut self, forecast: &QuoteForecast, asset: Asset, brought: i64) {
        let Some(f) = forecast.assets.iter().find(|a| a.asset == asset) else { return };
        self.foretold += 1;
        self.below += u64::from(brought < f.low_minor);
        self.above += u64::from(brought > f.high_minor);
        self.foretold_minor += i128::from(f.expected_minor);
        self.brought_minor += i128::from(brought);
    }
}

fn add(sums: &mut BTreeMap<Asset, i64>, a: Amount) {
    if a.minor != 0 {
        let sum = sums.entry(a.asset).or_default();
        *sum = sum.saturating_add(a.minor);
    }
}

fn amounts(sums: BTreeMap<Asset, i64>) -> Vec<Amount> {
    sums.into_iter().map(|(asset, minor)| Amount::new(asset, minor)).collect()
}

impl Market {
    /// What became of the newest [`TRACKED_MAX`] contracts of a plan, in all its versions.
    ///
    /// # Errors
    /// The database's.
    pub async fn track_record(&self, plan: &str) -> Result<TrackRecord> {
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(sql::CONTRACTS_OF_PLAN, &params![plan, TRACKED_MAX]).await?;
        let (mut r, mut ended) = (TrackRecord::default(), Vec::new());
        let (mut paid, mut back) = (BTreeMap::new(), BTreeMap::new());
        let plus = |a: Hashes, b: Hashes| Hashes(a.0.saturating_add(b.0));
        let mut all = rows.iter().map(Contract::read).collect::<Result<Vec<_>>>()?;
        // What a running one has delivered stands beside its row.
        Contract::catch_up_all(&mut tx, &mut all).await?;
        for view in self.views(&mut tx, &all).await? {
            if !r.count(view.state) {
                continue;
            }
            r.since = Some(r.since.map_or(view.created, |s| s.min(view.created)));
            r.bought = plus(r.bought, view.bought);
            r.entitled = plus(r.entitled, view.entitled);
            r.delivered = plus(r.delivered, view.delivered);
            add(&mut paid, view.price);
            add(&mut back, view.refunded);
            if matches!(view.state, ContractState::Completed | ContractState::Refunded) {
                ended.push((view.account, view.id, view.credited));
            }
        }
        if let (Some(since), Some(row)) = (r.since, rows.first()) {
            (r.epochs, r.epochs_worked) = self.uptime(&mut tx, &row.get("lane")?, since).await?;
        }
        tx.rollback().await?;
        (r.paid, r.given_back) = (amounts(paid), amounts(back));
        for (account, id, credited) in ended {
            if let Some(forecast) = self.forecast_of(account, id).await? {
                r.compare(&forecast, credited.asset, credited.minor);
            }
        }
        Ok(r)
    }

    /// The closed epochs of a lane since an instant, of the last week at most, and those in which the house's machines
    /// proved work. Epochs without a row had none.
    async fn uptime(&self, tx: &mut Tx, lane: &LaneId, since: Timestamp) -> Result<(u64, u64)> {
        // A lane that is not configured any more has no epochs to come.
        let Ok(lane) = self.lane(lane) else { return Ok((0, 0)) };
        let row = tx.fetch_one(sql::LANE, &params![lane.lane.clone()]).await?;
        let Some(closed) = row.get::<Option<EpochNumber>>("closed_epoch")? else {
            return Ok((0, 0));
        };
        let from = lane.epoch_rule.at(since.max(self.now().minus(METERED_TRACKED_FOR))).next();
        let given = params![lane.lane.clone(), from, closed, Hashes::ZERO];
        let worked: i64 = tx.fetch_one(sql::EPOCHS_WITH_WORK, &given).await?.get("n")?;
        Ok((closed.next().0.saturating_sub(from.0), worked.unsigned_abs()))
    }

    /// What became of the newest [`METERED_TRACKED_MAX`] contracts by the meter of a plan, in all its versions: of the
    /// epochs of [`METERED_TRACKED_FOR`] before now.
    ///
    /// # Errors
    /// [`crate::MarketError::UnknownLane`]; the database's.
    pub async fn metered_track(&self, plan: &str, lane: &LaneId) -> Result<MeteredTrack> {
        let rule = self.lane(lane)?.epoch_rule;
        let from = rule.at(self.now().minus(METERED_TRACKED_FOR));
        let mut tx = self.store().read().await?;
        let (mut t, mut charged) = (MeteredTrack::default(), BTreeMap::new());
        let rows = tx.fetch_all(meter_sql::OF_PLAN, &params![plan, METERED_TRACKED_MAX]).await?;
        for row in &rows {
            let state: String = row.get("state")?;
            let place = match MeteredState::ALL.into_iter().find(|s| s.name() == state) {
                Some(MeteredState::Active | MeteredState::Ending) => &mut t.running,
                Some(MeteredState::Stopped) => &mut t.stopped,
                Some(MeteredState::Ended) | None => &mut t.ended,
            };
            *place += 1;
            t.started += 1;
            let created: Timestamp = row.get("created_at")?;
            t.since = Some(t.since.map_or(created, |s| s.min(created)));
            let minor: i64 = row.get("charged_minor")?;
            add(&mut charged, Amount::new(row.get("pay_asset")?, minor));
        }
        let times = |work: Hashes, n: i64| work.0.saturating_mul(n.unsigned_abs().into());
        let given = params![plan, METERED_TRACKED_MAX, from, Hashes::ZERO];
        for row in tx.fetch_all(meter_sql::WORKED_OF_PLAN, &given).await? {
            let (n, worked): (i64, i64) = (row.get("n")?, row.get("worked")?);
            t.epochs = t.epochs.saturating_add(n.unsigned_abs());
            t.epochs_worked = t.epochs_worked.saturating_add(worked.unsigned_abs());
            t.sold = Hashes(t.sold.0.saturating_add(times(row.get("cap")?, n)));
        }
        let given = params![plan, METERED_TRACKED_MAX, from];
        for row in tx.fetch_all(meter_sql::DELIVERED_OF_PLAN, &given).await? {
            let more = times(row.get("delivered")?, row.get("n")?);
            t.delivered = Hashes(t.delivered.0.saturating_add(more));
        }
        tx.rollback().await?;
        t.charged = amounts(charged);
        Ok(t)
    }

    /// On which lane the contracts by the meter of a plan work, on sale or not any more; `None` where there are none.
    ///
    /// # Errors
    /// The database's.
    pub async fn metered_lane(&self, plan: &str) -> Result<Option<LaneId>> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(meter_sql::LANE_OF_PLAN, &params![plan]).await?;
        let lane: Option<LaneId> = row.map(|r| r.get("lane")).transpose()?;
        // One that is not configured any more has no epochs to count by.
        Ok(lane.filter(|lane| self.lane(lane).is_ok()))
    }

    /// Of which plan a contract of an account is, a lease or one by the meter, while it runs or when it has ended after
    /// running; `None` when there is no such contract, or it never ran.
    ///
    /// # Errors
    /// The database's.
    pub async fn held_plan(&self, account: AccountId, id: ContractId) -> Result<Option<HeldPlan>> {
        let mut tx = self.store().read().await?;
        let given = params![id, account];
        if let Some(row) = tx.fetch_optional(sql::PLAN_OF_CONTRACT, &given).await? {
            let state: String = row.get("state")?;
            let ran = [ContractState::Active, ContractState::Completed, ContractState::Refunded];
            let ran = ran.iter().any(|s| s.name() == state);
            let plan = row.get("plan")?;
            return Ok(ran.then_some(HeldPlan { plan, is_metered: false }));
        }
        let Some(row) = tx.fetch_optional(meter_sql::PLAN_OF, &given).await? else {
            return Ok(None);
        };
        let lane: LaneId = row.get("lane")?;
        let first: EpochNumber = row.get("first_epoch")?;
        let ended: Option<EpochNumber> = row.get("ended_epoch")?;
        let ran = match self.lane(&lane) {
            // One that was ended before its first epoch never worked.
            Ok(lane) => {
                let now = lane.epoch_rule.at(self.now());
                first <= now && ended.is_none_or(|last| last >= first)
            }
            // One that is not configured any more has no epochs to count by.
            Err(_) => row.get::<Hashes>("delivered")? > Hashes::ZERO,
        };
        let plan = row.get("plan")?;
        Ok(ran.then_some(HeldPlan { plan, is_metered: true }))
    }
}
