//! Contracts that run on although they cost more than they earn: who is told, and when.
//!
//! A contract whose plan has the rule `run` is looked at with every scheduled settlement from its first epoch on, as one whose
//! plan pauses is ([`crate::pause`]): what a TH·day is expected to earn after the plan's fee is held against its maintenance,
//! with the same hysteresis. Nothing is decided: it runs on, and what is deducted never exceeds what it earns. Its owner is told
//! when it begins to cost more than it earns, and when it earns more again. Where maintenance is charged in coins alone both are
//! counted in the coin, and no price is needed; else in dollars, by the price recorded for the settlement before.
//!
//! Promises: a stretch of loss begins with one notice and ends with one, in the transaction that finds it. Where nothing is lost
//! and nothing was, no contract is read for it, however many there are.
//!
//! Left out, as where plans pause: what merge-mined coins earn besides. A contract whose payment is disputed neither runs nor
//! earns: it is told when that is over, if it is still true.

use crate::bulk::progress::Reading;
use crate::contract::{Contract, Running};
use crate::freeze::Freezes;
use crate::notices::NoticeKind;
use crate::pages::Pages;
use crate::pause::{Verdict, pays_per_th_day, verdict};
use crate::read::NO_EPOCH;
use crate::rules::Unprofitable;
use crate::{LaneConfig, Market, MarketError, Result, bulk, life_sql};
use gruve_store::{Batch, Row, Tx, params};
use gruve_units::{Amount, Asset, Bps, ContractId, EpochNumber, LaneId, Timestamp, mul_div_floor};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Parts of a minor unit that figures are held against each other in: a TH·day of Bitcoin's earns some tens of minor units.
const PARTS: u128 = 1 << 32;

/// What a TH·day earns after the plan's fee, and what it costs in maintenance, in the same asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThDay {
    /// Earned.
    pub earns: Amount,
    /// Charged.
    pub costs: Amount,
    /// The instant whose price they are reckoned by; `None` where both are in the coin.
    pub price_instant: Option<Timestamp>,
}

impl std::fmt::Display for ThDay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "A TH·day earns {} and costs {}.", self.earns, self.costs)
    }
}

/// A time in which a contract cost more than it earned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LosingStretch {
    /// From the epoch at whose end that was seen.
    pub from: EpochNumber,
    /// What was seen then.
    pub began: ThDay,
    /// Until the epoch at whose end it was seen to be over; `None` while it lasts.
    pub until: Option<EpochNumber>,
    /// What was seen then; `None` where the contract ended.
    pub over: Option<ThDay>,
}

/// Contracts of one version of a plan that cost more than they earn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LosingPlan {
    /// Of which lane.
    pub lane: LaneId,
    /// Which plan.
    pub plan: String,
    /// Which version of it they were sold under.
    pub version: u32,
    /// How many of them were found so at the last settlement.
    pub contracts: u64,
    /// The epoch at whose end the first of them was.
    pub since: EpochNumber,
    /// What a TH·day earns and costs now, by the price recorded last; `None` where that cannot be said.
    pub now: Option<ThDay>,
}

/// What decides about a contract: those of one version of a plan have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rates {
    fee_bps: u16,
    /// Minor units of the lane's own coin for a TH·day, and millionths of a dollar.
    coins: u64,
    dollars: u64,
    hysteresis_bps: u16,
}

impl Rates {
    /// `None` of a contract that has not begun by an epoch, that pauses, or that costs nothing.
    fn of(c: &Contract, epoch: EpochNumber) -> Option<Rates> {
        let rules = &c.life.rules;
        let (coins, dollars) = (c.maintenance, rules.maintenance_usd_micro_per_th_day);
        let has_begun = c.start.is_some_and(|start| start <= epoch);
        let may_lose = rules.unprofitable == Unprofitable::Run && (coins > 0 || dollars > 0);
        (has_begun && may_lose).then(|| Rates {
            fee_bps: c.fee.get(),
            coins,
            dollars,
            hysteresis_bps: rules.hysteresis_bps.get(),
        })
    }
}

/// The rates of a lane's contracts: as few as its plans have versions.
#[derive(Default)]
pub(crate) struct AllRates {
    all: BTreeSet<Rates>,
    last: Option<Rates>,
}

impl AllRates {
    pub(crate) fn add(&mut self, c: &Contract, epoch: EpochNumber) {
        let rates = Rates::of(c, epoch);
        // Mostly those of the contract before.
        if rates != self.last {
            self.last = rates;
            self.all.extend(rates);
        }
    }
}

/// What contracts are looked at with.
struct Seen {
    asset: Asset,
    /// What a TH·day earns before fees, in [`PARTS`] of a minor unit.
    pays: u128,
    /// Millionths of a dollar for a coin, and of which instant.
    price: Option<(Timestamp, i64)>,
}

impl Seen {
    /// What a TH·day earns and costs at some rates; `None` where that takes a price which there is not.
    fn figures(&self, rates: Rates) -> Result<Option<(ThDay, Verdict)>> {
        let overflow = || MarketError::Overflow("what a contract earns");
        let part = |n: u128, of: u128, all: u128| {
            mul_div_floor(n, of, all).map(|(part, _)| part).map_err(|_| overflow())
        };
        let fee = u128::from(rates.fee_bps.min(10_000));
        let mut earns = part(self.pays, 10_000 - fee, 10_000)?;
        let mut costs = u128::from(rates.coins) * PARTS;
        let (mut asset, mut price_instant) = (self.asset, None);
        if rates.dollars > 0 {
            let Some((instant, price)) = self.price else { return Ok(None) };
            let price = u128::try_from(price).map_err(|_| overflow())?;
            let coin = u128::try_from(self.asset.unit()).map_err(|_| overflow())?;
            earns = part(earns, price, coin)?;
            let coins = part(costs, price, coin)?;
            costs = coins.checked_add(u128::from(rates.dollars) * PARTS).ok_or_else(overflow)?;
            (asset, price_instant) = (Asset::Usd, Some(instant));
        }
        let hysteresis = Bps::new(rates.hysteresis_bps).unwrap_or(Bps::ZERO);
        let shown =
            |parts: u128| Amount::new(asset, i64::try_from(parts / PARTS).unwrap_or(i64::MAX));
        let day = ThDay { earns: shown(earns), costs: shown(costs), price_instant };
        Ok(Some((day, verdict(earns, costs, hysteresis))))
    }
}

/// A lane's contracts that are told to lose, in the order of their ids, read as far as contracts are asked for.
struct Told {
    pages: Pages,
    ahead: VecDeque<(ContractId, EpochNumber)>,
}

impl Told {
    fn of(lane: &LaneId) -> Told {
        let pages = Pages::by_id(life_sql::OPEN_LOSSES, &params![lane.clone()]);
        Told { pages, ahead: VecDeque::new() }
    }

    /// The next one, which stays the next.
    async fn peek(&mut self, tx: &mut Tx) -> Result<Option<(ContractId, EpochNumber)>> {
        while self.ahead.is_empty() {
            let Some(rows) = self.pages.next(tx).await? else { return Ok(None) };
            for row in &rows {
                self.ahead.push_back((row.get("id")?, row.get("from_epoch")?));
            }
        }
        Ok(self.ahead.front().copied())
    }

    /// The next one that comes before a contract, or any.
    async fn before(
        &mut self,
        tx: &mut Tx,
        id: Option<ContractId>,
    ) -> Result<Option<(ContractId, EpochNumber)>> {
        let next = self.peek(tx).await?.filter(|(next, _)| id.is_none_or(|id| *next < id));
        if next.is_some() {
            self.ahead.pop_front();
        }
        Ok(next)
    }
}

/// What begins and ends with an epoch, many at once: a price falls for all contracts of a plan in the same moment.
struct Writing {
    epoch: EpochNumber,
    now: Timestamp,
    begun: Batch,
    ended: Batch,
    notices: Batch,
}

impl Writing {
    fn of(epoch: EpochNumber, now: Timestamp) -> Writing {
        let (begun, ended) =
            (Batch::new(&bulk::sql::BEGIN_LOSSES), Batch::new(&bulk::sql::END_LOSSES));
        Writing { epoch, now, begun, ended, notices: Batch::new(&bulk::sql::INSERT_LETTERS) }
    }

    /// Tells a contract's owner what has changed; nothing while it is as it was.
    async fn tell(
        &mut self,
        tx: &mut Tx,
        c: &Contract,
        since: Option<EpochNumber>,
        (day, verdict): (ThDay, Verdict),
    ) -> Result<()> {
        let kind = match (verdict, since) {
            (Verdict::DoesNotPay, None) => {
                self.begin(tx, c, day).await?;
                NoticeKind::Losing
            }
            (Verdict::Pays, Some(from)) => {
                self.end(tx, (c.id, from), Some(day)).await?;
                NoticeKind::EarnsAgain
            }
            _ => return Ok(()),
        };
        let about = self.epoch.next();
        let row = params![c.account, c.id, kind.key(), about, self.now, day.to_string()];
        Ok(self.notices.push(tx, row).await?)
    }

    async fn begin(&mut self, tx: &mut Tx, c: &Contract, day: ThDay) -> Result<()> {
        let row = params![
            c.id,
            c.lane.clone(),
            &*c.plan,
            c.plan_version,
            self.epoch,
            day.earns.asset,
            day.earns.minor,
            day.costs.minor,
            day.price_instant
        ];
        Ok(self.begun.push(tx, row).await?)
    }

    /// Ends a stretch, with what was seen then; without, where the contract has ended.
    async fn end(
        &mut self,
        tx: &mut Tx,
        (contract, from): (ContractId, EpochNumber),
        day: Option<ThDay>,
    ) -> Result<()> {
        let (earns, costs) = (day.map(|d| d.earns.minor), day.map(|d| d.costs.minor));
        let price = day.and_then(|d| d.price_instant);
        let row = params![contract, from, self.epoch, earns, costs, price];
        Ok(self.ended.push(tx, row).await?)
    }

    async fn finish(self, tx: &mut Tx) -> Result<()> {
        for batch in [self.begun, self.ended, self.notices] {
            batch.finish(tx).await?;
        }
        Ok(())
    }
}

impl Market {
    /// Tells owners of contracts that run on when these begin to cost more than they earn, and when they earn more again, at a
    /// scheduled settlement.
    pub(crate) async fn tell_of_losses(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        (rates, freezes): (&AllRates, &Freezes),
    ) -> Result<()> {
        let mut told = Told::of(&lane.lane);
        let mut found = BTreeMap::new();
        if !rates.all.is_empty()
            && let Some(seen) = self.seen(tx, lane, epoch, rates).await?
        {
            for rates in &rates.all {
                found.extend(seen.figures(*rates)?.map(|found| (*rates, found)));
            }
        }
        let some_lose = found.values().any(|(_, verdict)| *verdict == Verdict::DoesNotPay);
        if !some_lose && told.peek(tx).await?.is_none() {
            return Ok(());
        }
        let mut writing = Writing::of(epoch, self.now());
        let (mut running, mut reading) = (Running::of(&lane.lane), Reading::of(&lane.lane));
        while let Some(some) = running.next(tx, &mut reading).await? {
            for c in &some {
                while let Some(stretch) = told.before(tx, Some(c.id)).await? {
                    writing.end(tx, stretch, None).await?;
                }
                let since =
                    told.peek(tx).await?.filter(|(id, _)| *id == c.id).map(|(_, from)| from);
                if since.is_some() {
                    told.ahead.pop_front();
                }
                let figures = Rates::of(c, epoch).and_then(|rates| found.get(&rates));
                if let Some(figures) = figures.filter(|_| !freezes.is_frozen(c, epoch.next())) {
                    writing.tell(tx, c, since, *figures).await?;
                }
            }
        }
        while let Some(stretch) = told.before(tx, None).await? {
            writing.end(tx, stretch, None).await?;
        }
        writing.finish(tx).await
    }

    async fn seen(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        rates: &AllRates,
    ) -> Result<Option<Seen>> {
        let Some(pays) = pays_per_th_day(tx, lane, PARTS).await? else { return Ok(None) };
        let instant = lane.epoch_rule.end(epoch.back(lane.settle_every_epochs));
        let price = match rates.all.iter().any(|r| r.dollars > 0) {
            true => self.price_at(tx, lane.asset, instant).await?.map(|price| (instant, price)),
            false => None,
        };
        Ok(Some(Seen { asset: lane.asset, pays, price }))
    }

    /// The times in which a contract whose plan runs on cost more than it earned, newest first: those that began before an
    /// epoch.
    ///
    /// # Errors
    /// The database's.
    pub async fn losing_stretches(
        &self,
        contract: ContractId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<LosingStretch>> {
        let mut tx = self.store().read().await?;
        let given = params![contract, before.unwrap_or(NO_EPOCH), limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::LOSSES, &given).await?;
        tx.rollback().await?;
        rows.iter().map(read_stretch).collect()
    }

    /// The plans that run at a loss now, by what was found of their contracts at the last settlement.
    ///
    /// # Errors
    /// The database's.
    pub async fn losing_plans(&self) -> Result<Vec<LosingPlan>> {
        let mut tx = self.store().read().await?;
        let mut plans = Vec::new();
        for row in tx.fetch_all(life_sql::LOSING_PLANS, &params![]).await? {
            let mut plan = LosingPlan {
                lane: row.get("lane")?,
                plan: row.get("plan")?,
                version: row.get("plan_version")?,
                contracts: row.get("contracts")?,
                since: row.get("since")?,
                now: None,
            };
            plan.now = self.figures_now(&mut tx, &plan).await?;
            plans.push(plan);
        }
        tx.rollback().await?;
        Ok(plans)
    }

    /// What a TH·day of a plan's version earns and costs by the newest block and the price recorded last.
    async fn figures_now(&self, tx: &mut Tx, plan: &LosingPlan) -> Result<Option<ThDay>> {
        let given = params![plan.lane.clone(), plan.plan.as_str(), plan.version];
        let row = tx.fetch_optional(life_sql::ONE_LOSING, &given).await?;
        let (Some(row), Ok(lane)) = (row, self.lane(&plan.lane)) else { return Ok(None) };
        let one = Contract::find(tx, row.get("contract")?).await?;
        let Some(rates) = one.start.and_then(|start| Rates::of(&one, start)) else {
            return Ok(None);
        };
        let Some(pays) = pays_per_th_day(tx, lane, PARTS).await? else { return Ok(None) };
        let given = params![lane.asset, Timestamp(i64::MAX)];
        let price = match tx.fetch_optional(life_sql::PRICE_BEFORE, &given).await? {
            Some(row) => Some((row.get("instant")?, row.get("usd_micro")?)),
            None => None,
        };
        let seen = Seen { asset: lane.asset, pays, price };
        Ok(seen.figures(rates)?.map(|(day, _)| day))
    }
}

fn read_stretch(row: &Row) -> Result<LosingStretch> {
    let asset: Asset = row.get("asset")?;
    let day = |earns, costs, price_instant| ThDay {
        earns: Amount::new(asset, earns),
        costs: Amount::new(asset, costs),
        price_instant,
    };
    let over: (Option<i64>, Option<i64>) =
        (row.get("until_earns_minor")?, row.get("until_costs_minor")?);
    let until_price = row.get("until_price_instant")?;
    Ok(LosingStretch {
        from: row.get("from_epoch")?,
        began: day(row.get("earns_minor")?, row.get("costs_minor")?, row.get("price_instant")?),
        until: row.get("until_epoch")?,
        over: match over {
            (Some(earns), Some(costs)) => Some(day(earns, costs, until_price)),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests;
