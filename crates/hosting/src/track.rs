//! What became of a plan's machines: figures that nobody writes, read from the rows that bills and proofs rest on.
//!
//! A machine that was handed on counts with its plan until then; what its next owner agreed to names no plan.

use crate::contract::{Contract, HostingState};
use crate::service::Hosting;
use crate::view::CLAIM_EPOCHS;
use crate::{Result, sql};
use gruve_statement::hosting::EndedBy;
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, Asset, ContractId, Duration, EpochNumber, Hashes, Timestamp};
use std::collections::BTreeMap;

/// Contracts of a plan that are looked at, the newest: each has a bill for every settlement and proofs for every epoch.
pub const TRACKED_MAX: u32 = 200;

/// What became of the newest machines of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostedTrack {
    /// Machines that were taken by it.
    pub taken: u64,
    /// Of them, those that are still their owners', or will be from the next border on.
    pub running: u64,
    /// Of them, those whose term is over.
    pub by_term: u64,
    /// Of them, those that their owners ended.
    pub by_owner: u64,
    /// Of them, those that the operator ended.
    pub by_operator: u64,
    /// Of them, those that were handed on.
    pub handed_on: u64,
    /// When the first of them was taken.
    pub since: Option<Timestamp>,
    /// The time that is billed, in microseconds.
    pub billed_us: u64,
    /// Of it, the time that the machines were up.
    pub up_us: u64,
    /// Hosting fees of it, before credits, by asset.
    pub fees: Vec<Amount>,
    /// What was credited for time below the promised level.
    pub credited: Vec<Amount>,
    /// What bills could not take from earnings, and nobody owes.
    pub waived: Vec<Amount>,
    /// What was paid for machines, by asset.
    pub paid: Vec<Amount>,
    /// What of it came back where the operator ended a lease.
    pub given_back: Vec<Amount>,
    /// Epochs of machines among the last [`CLAIM_EPOCHS`] that are wholly counted.
    pub epochs: u64,
    /// What machines at their nameplate do in them.
    pub nameplate: Hashes,
    /// What shares prove in them.
    pub proven: Hashes,
}

#[derive(Default)]
struct Sums(BTreeMap<Asset, i64>);

impl Sums {
    fn add(&mut self, asset: Asset, minor: i64) {
        if minor != 0 {
            let sum = self.0.entry(asset).or_default();
            *sum = sum.saturating_add(minor);
        }
    }

    fn amounts(self) -> Vec<Amount> {
        self.0.into_iter().map(|(asset, minor)| Amount::new(asset, minor)).collect()
    }
}

impl HostedTrack {
    /// Without a running epoch, on a lane that is not configured any more, what has an end is over.
    fn count(&mut self, c: &Contract, now: Option<EpochNumber>) {
        self.taken += 1;
        let has_ended = |until: EpochNumber| now.is_none_or(|now| until <= now);
        let is_over = c.state != HostingState::Active || c.until.is_some_and(has_ended);
        let place = match c.ended {
            _ if !is_over => &mut self.running,
            None => &mut self.by_term,
            Some((EndedBy::Owner, ..)) => &mut self.by_owner,
            Some((EndedBy::Operator | EndedBy::ChargedBack, ..)) => &mut self.by_operator,
            Some((EndedBy::HandedOn, ..)) => &mut self.handed_on,
        };
        *place += 1;
        self.since = [self.since, c.accepted_at].into_iter().flatten().min();
    }
}

impl Hosting {
    /// What became of the newest [`TRACKED_MAX`] machines of a plan, in all its versions.
    ///
    /// # Errors
    /// The farm's.
    pub async fn track_record(&self, plan: &str) -> Result<HostedTrack> {
        let mut tx = self.store.read().await?;
        let given = params![plan, TRACKED_MAX];
        let rows = tx.fetch_all(sql::OF_PLAN, &given).await?;
        let mut track = HostedTrack::default();
        let (mut paid, mut back) = (Sums::default(), Sums::default());
        for row in &rows {
            let c = Contract::read(row)?;
            let now = self.running(&c);
            track.count(&c, now);
            paid.add(c.price.asset, c.price.minor);
            back.add(c.back_asset(), c.ended.map_or(0, |(_, _, minor)| minor));
            if let Some(now) = now {
                self.add_proven(&mut tx, &c, now, &mut track).await?;
            }
        }
        let (mut fees, mut credited, mut waived) = <(Sums, Sums, Sums)>::default();
        for row in tx.fetch_all(sql::BILLED_OF_PLAN, &given).await? {
            let asset = row.get("asset")?;
            let (span_us, up_us): (i64, i64) = (row.get("span_us")?, row.get("up_us")?);
            track.billed_us = track.billed_us.saturating_add(span_us.unsigned_abs());
            track.up_us = track.up_us.saturating_add(up_us.unsigned_abs());
            fees.add(asset, row.get("fee")?);
            credited.add(asset, row.get("credit")?);
            waived.add(asset, row.get("waived")?);
        }
        (track.paid, track.given_back) = (paid.amounts(), back.amounts());
        (track.fees, track.credited, track.waived) =
            (fees.amounts(), credited.amounts(), waived.amounts());
        Ok(track)
    }

    /// The running epoch of a contract's lane; none where that is not configured any more.
    fn running(&self, c: &Contract) -> Option<EpochNumber> {
        let rule = self.farm.rule(&c.lane).ok()?;
        Some(rule.at(self.clock.now()))
    }

    /// What a contract's machine proved of its nameplate lately. An epoch in which the whole house stood still counts
    /// like any other: its owner had nothing of it.
    async fn add_proven(
        &self,
        tx: &mut Tx,
        c: &Contract,
        now: EpochNumber,
        track: &mut HostedTrack,
    ) -> Result<()> {
        let (Some(begin), Some(counted)) = (c.from, self.farm.proven_until(tx, &c.lane).await?)
        else {
            return Ok(());
        };
        let last = counted.next().min(now);
        let until = c.until.map_or(last, |until| until.min(last));
        let from = begin.max(last.back(CLAIM_EPOCHS));
        let Some(epochs) = until.0.checked_sub(from.0).filter(|n| *n > 0) else { return Ok(()) };
        let length = Duration::from_micros(self.farm.rule(&c.lane)?.length_us);
        let at_best = c.agreed()?.nameplate.work_in(length).0.saturating_mul(epochs.into());
        let proven = self.farm.proven(tx, c.machine, from, until).await?;
        let work = proven.values().fold(0u128, |sum, p| sum.saturating_add(p.work.0));
        track.epochs = track.epochs.saturating_add(epochs);
        track.nameplate = Hashes(track.nameplate.0.saturating_add(at_best));
        track.proven = Hashes(track.proven.0.saturating_add(work));
        Ok(())
    }

    /// By which plan an account has or had a machine, once its first epoch has begun; `None` where there is no such
    /// contract, or no plan.
    ///
    /// # Errors
    /// The farm's.
    pub async fn held_plan(&self, account: AccountId, id: ContractId) -> Result<Option<String>> {
        let mut tx = self.store.read().await?;
        let row = tx.fetch_optional(sql::CONTRACT, &params![id]).await?;
        let c = row.as_ref().map(Contract::read).transpose()?;
        let Some(c) = c.filter(|c| c.account == account && c.accepted_at.is_some()) else {
            return Ok(None);
        };
        let ran = match self.running(&c) {
            // One that was ended or handed on before it began never ran.
            Some(now) => {
                c.from.is_some_and(|from| from <= now && c.until.is_none_or(|end| end > from))
            }
            None => c.bills > 0,
        };
        Ok(c.plan.filter(|_| ran).map(|plan| plan.id))
    }
}
