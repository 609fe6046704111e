//! Contracts that cost more than they earn.
//!
//! At every scheduled settlement a contract that has begun and whose plan has the rule `pause` is looked at,
//! with the price recorded for the settlement *before*: nobody can wait for a price that suits. When what a
//! TH·day is expected to earn, after the plan's fee, is below what it costs in maintenance by more than the hysteresis, the contract is told, and
//! paused when the notice is over; when it is above by as much, it runs again. A contract is never ended for
//! it. Its owner may have it run on; whoever has paid for a renewal does ([`crate::renew`]).
//!
//! While it is paused its clock and its hard end stand still. What the house's machines do meanwhile beyond
//! all other contracts is the operator's surplus; the contract is owed what that work earns above its
//! measured energy ([`crate::owed`], [`crate::energy`]). So a pause is worth nothing to the operator.
//!
//! A contract whose payment is disputed ([`crate::freeze`]) is looked at like any other: a pause may be announced, begin and end
//! meanwhile. Told is what then is true of it: not that it runs while it is frozen, and of a pause that began so once it is thawed.

mod kept;
mod standing;

pub(crate) use kept::Kept;
pub use standing::part_of_surplus;
pub(crate) use standing::{Paused, PausedWork, is_paused, stop_clocks};

use crate::bulk::progress::Reading;
use crate::contract::{Contract, Running};
use crate::freeze::Freezes;
use crate::notices::{NoticeKind, tell_of};
use crate::read::NO_EPOCH;
use crate::rules::Unprofitable;
use crate::settle::TH_DAY;
use crate::{ContractState, LaneConfig, Market, MarketError, Result, life_sql};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Bps, ContractId, EpochNumber, Hashes, Timestamp, mul_div_floor};

/// Blocks whose pay is averaged: a day of Bitcoin's.
const PAY_BLOCKS: u32 = 144;

/// A decision about a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseDecision {
    /// The epoch at whose end it was made.
    pub epoch: EpochNumber,
    /// The instant whose price it was made with.
    pub price_instant: Timestamp,
    /// Millionths of a dollar that a TH·day is expected to earn, after the plan's fee.
    pub earns_micro: i64,
    /// What it costs in maintenance.
    pub costs_micro: i64,
    /// `run`, `pause` or `override`.
    pub decision: String,
    /// From which epoch on.
    pub effective: EpochNumber,
}

/// What the figures say. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pays,
    DoesNotPay,
    /// Within the hysteresis: as before.
    AsBefore,
}

pub(crate) fn verdict(earns: u128, costs: u128, hysteresis: Bps) -> Verdict {
    let earns = earns.saturating_mul(10_000);
    let bound = |bps: u32| costs.saturating_mul(bps.into());
    let h = u32::from(hysteresis.get());
    if earns < bound(10_000_u32.saturating_sub(h)) {
        Verdict::DoesNotPay
    } else if earns >= bound(10_000 + h) {
        Verdict::Pays
    } else {
        Verdict::AsBefore
    }
}

/// Whether a contract's plan pauses and it has begun by an epoch: a statement begins with the first one.
pub(crate) fn may_pause(c: &Contract, epoch: EpochNumber) -> bool {
    c.life.rules.unprofitable == Unprofitable::Pause && c.start.is_some_and(|s| s <= epoch)
}

impl Market {
    /// Looks at every contract whose plan pauses, at a scheduled settlement, a page at a time.
    pub(crate) async fn decide_pauses(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        freezes: &Freezes,
    ) -> Result<()> {
        let before = epoch.back(lane.settle_every_epochs);
        let instant = lane.epoch_rule.end(before);
        let Some(price) = self.price_at(tx, lane.asset, instant).await? else {
            return Ok(());
        };
        let Some(pays) = pays_per_th_day(tx, lane, 1).await? else { return Ok(()) };
        let seen = Seen { epoch, instant, price, pays, freezes };
        let (mut kept, lane) = (Kept::of(&lane.lane), &lane.lane);
        let (mut running, mut reading) = (Running::of(lane), Reading::of(lane));
        while let Some(some) = running.next(tx, &mut reading).await? {
            for c in some.into_iter().filter(|c| may_pause(c, epoch)) {
                let keeps = kept.has(tx, c.id).await?;
                self.decide(tx, c, &seen, keeps).await?;
            }
        }
        Ok(())
    }

    async fn decide(
        &self,
        tx: &mut Tx,
        mut c: Contract,
        seen: &Seen<'_>,
        keeps: bool,
    ) -> Result<()> {
        let (earns, costs) = figures(&c, seen)?;
        let verdict = verdict(earns, costs, c.life.rules.hysteresis_bps);
        let is_told = c.life.paused_since.is_some();
        let next = seen.epoch.next();
        let (decision, effective, notice) = match (verdict, is_told) {
            (Verdict::DoesNotPay, _) if keeps => ("override", next, NoticeKind::Unprofitable),
            (Verdict::DoesNotPay, false) => {
                let from = next.0.saturating_add(c.life.rules.notice_epochs);
                c.life.paused_since = Some(EpochNumber(from));
                ("pause", EpochNumber(from), NoticeKind::PauseAhead)
            }
            (Verdict::Pays, true) => {
                c.life.paused_since = None;
                ("run", next, NoticeKind::Resumed)
            }
            _ => return Ok(()),
        };
        let row = params![
            c.id,
            seen.epoch,
            seen.instant,
            micro(earns),
            micro(costs),
            decision,
            effective
        ];
        tx.execute(life_sql::PUT_DECISION, &row).await?;
        c.store_life(tx).await?;
        // A frozen contract does not run, whatever its plan says: of that its thaw tells.
        if notice != NoticeKind::PauseAhead && seen.freezes.is_frozen(&c, next) {
            return Ok(());
        }
        tell_of(tx, &c, notice, effective, self.now()).await
    }

    /// Has a contract run although it does not pay, or leaves it to its plan again. A pause that is announced
    /// does not come then; one that has begun ends with the epoch that runs. The same again does nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], [`MarketError::WrongState`] for one that has ended or whose plan never
    /// pauses; the database's.
    pub async fn keep_running(
        &self,
        account: AccountId,
        contract: ContractId,
        keep: bool,
    ) -> Result<()> {
        transact!(self.store(), tx -> Result<()> => {
            let mut c = Contract::find(tx, contract).await?;
            if c.account != account {
                return Err(MarketError::UnknownContract);
            }
            if c.life.rules.unprofitable != Unprofitable::Pause || is_over(c.state) {
                return Err(MarketError::WrongState { state: c.state.name() });
            }
            let mut wishes = crate::wishes::Wishes::find(tx, contract).await?;
            wishes.keep_running = keep;
            // Before the contract's row: a close that runs is waited for here.
            wishes.put(tx, contract).await?;
            let running = self.lane(&c.lane)?.epoch_rule.at(self.now());
            if keep && c.life.paused_since.is_some_and(|since| since > running) {
                c.life.paused_since = None;
                c.store_life(tx).await?;
            }
            Ok(())
        })
    }

    /// What was decided about a contract, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn pause_decisions(
        &self,
        contract: ContractId,
        limit: u32,
    ) -> Result<Vec<PauseDecision>> {
        self.pause_decisions_before(contract, None, limit).await
    }

    /// A page of them: those of epochs before one.
    ///
    /// # Errors
    /// The database's.
    pub async fn pause_decisions_before(
        &self,
        contract: ContractId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<PauseDecision>> {
        let mut tx = self.store().read().await?;
        let before = before.unwrap_or(NO_EPOCH);
        let given = params![contract, before, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::DECISIONS, &given).await?;
        tx.rollback().await?;
        let read = |row: &Row| {
            Ok(PauseDecision {
                epoch: row.get("epoch")?,
                price_instant: row.get("price_instant")?,
                earns_micro: row.get("earns_micro")?,
                costs_micro: row.get("costs_micro")?,
                decision: row.get("decision")?,
                effective: row.get("effective_epoch")?,
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Whether a contract has come to its end.
pub(crate) const fn is_over(state: ContractState) -> bool {
    !matches!(
        state,
        ContractState::AwaitingPayment | ContractState::Starting | ContractState::Active
    )
}

/// What a decision is made with.
struct Seen<'a> {
    epoch: EpochNumber,
    instant: Timestamp,
    /// Millionths of a dollar for a coin.
    price: i64,
    /// Minor units that a TH·day is expected to earn, before fees.
    pays: u128,
    freezes: &'a Freezes,
}

/// What a TH·day of a contract earns after its fee, and costs, in millionths of a dollar. Maintenance in the coin
/// is valued at the same price.
fn figures(c: &Contract, seen: &Seen<'_>) -> Result<(u128, u128)> {
    let overflow = || MarketError::Overflow("what a contract earns");
    let unit = u128::try_from(c.asset.unit()).map_err(|_| overflow())?;
    let price = u128::try_from(seen.price).map_err(|_| overflow())?;
    let value = |minor: u128| mul_div_floor(minor, price, unit).map(|(v, _)| v);
    let fee = u128::from(10_000 - c.fee.get().min(10_000));
    let gross = value(seen.pays).map_err(|_| overflow())?;
    let (earns, _) = mul_div_floor(gross, fee, 10_000).map_err(|_| overflow())?;
    let coins = value(c.maintenance.into()).map_err(|_| overflow())?;
    let dollars = u128::from(c.life.rules.maintenance_usd_micro_per_th_day);
    Ok((earns, coins.saturating_add(dollars)))
}

/// What a TH·day is expected to earn at the newest block's difficulty, by what the last blocks paid, in so many parts of a
/// minor unit of the lane's own coin; `None` while no block is known.
pub(crate) async fn pays_per_th_day(
    tx: &mut Tx,
    lane: &LaneConfig,
    parts: u128,
) -> Result<Option<u128>> {
    let given = params![lane.lane.clone(), lane.asset, PAY_BLOCKS];
    let rows = tx.fetch_all(life_sql::CHAIN_PAYS, &given).await?;
    let Some(newest) = rows.first() else { return Ok(None) };
    let work: Hashes = newest.get("work")?;
    let mut sum = 0u128;
    for row in &rows {
        let (subsidy, fees): (i64, i64) = (row.get("subsidy")?, row.get("fees")?);
        let pay = u128::try_from(subsidy.saturating_add(fees)).unwrap_or(0);
        sum = sum.saturating_add(pay);
    }
    let average = sum / u128::try_from(rows.len()).unwrap_or(1).max(1);
    let paid = mul_div_floor(average.saturating_mul(parts), TH_DAY, work.0.max(1));
    Ok(Some(paid.map_err(|_| MarketError::Overflow("what a TH·day earns"))?.0))
}

fn micro(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_within_the_hysteresis_stays_as_it_is() {
        let h = Bps::new(500).unwrap();
        assert_eq!(verdict(94, 100, h), Verdict::DoesNotPay);
        assert_eq!(verdict(95, 100, h), Verdict::AsBefore);
        assert_eq!(verdict(104, 100, h), Verdict::AsBefore);
        assert_eq!(verdict(105, 100, h), Verdict::Pays);
        // What costs nothing always pays.
        assert_eq!(verdict(0, 0, h), Verdict::Pays);
    }
}
