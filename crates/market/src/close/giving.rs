//! Going through a lane's contracts: for what they claim, and for what they get. A page of leases is held at once.

use super::deliver::{Close, Delivered, claim_of, deliver_one};
use super::deliveries::Writing;
use super::epoch_row::AllocationTree;
use super::pool::EarnedUnits;
use crate::allocate::{Allocation, Claimed, Entitlement, Share, Sharing, Step};
use crate::bulk::progress::{Reading, Rewriting};
use crate::contract::{Contract, Running};
use crate::freeze::Freezes;
use crate::losing::AllRates;
use crate::metered::{MeterSold, MeteredEpoch};
use crate::pause::{Paused, PausedWork};
use crate::record::{self, SoldTo, SoldTree};
use crate::settlement::Owing;
use crate::{
    AfterRefund, Beneficiary, ContractState, LaneConfig, Result, Scheme, dollars, end_near, pause,
    short,
};
use gruve_proof::summary::AllocationLeaf;
use gruve_store::Tx;
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

/// Whose contracts are gone through, and for which epoch.
#[derive(Clone, Copy)]
pub(super) struct Going<'a> {
    pub(super) lane: &'a LaneConfig,
    pub(super) epoch: EpochNumber,
    /// Epochs before it that have no row.
    pub(super) skipped: u64,
    pub(super) operators: &'a BTreeSet<AccountId>,
    /// Disputed payments of contracts.
    pub(super) freezes: &'a Freezes,
    /// Who is told of refunds.
    pub(super) after_refund: Option<&'a dyn AfterRefund>,
}

/// What is known of an epoch's leases before anything is shared out.
#[derive(Default)]
pub(super) struct Ahead {
    /// What they should get.
    pub(super) claimed: Claimed,
    /// What those would get whose clock stands still.
    pub(super) paused: PausedWork,
    /// Whether there are any whose plan pauses.
    pub(super) may_pause: bool,
    /// What those earn and cost by that run on whatever they earn.
    pub(super) rates: AllRates,
}

impl Going<'_> {
    async fn page(
        &self,
        tx: &mut Tx,
        running: &mut Running,
        progress: &mut Reading,
    ) -> Result<Option<Vec<Contract>>> {
        let mut some = running.next(tx, progress).await?;
        if let Some(some) = &mut some {
            pause::stop_clocks(some, self.freezes, self.epoch, self.skipped);
            self.freezes.stop_clocks(some, self.epoch, self.skipped);
        }
        Ok(some)
    }

    fn claim(&self, c: &Contract) -> Result<Option<Entitlement>> {
        claim_of(c, self.epoch, self.operators, self.freezes)
    }

    /// Goes through a lane's leases without changing any.
    pub(super) async fn look_ahead(&self, tx: &mut Tx) -> Result<Ahead> {
        let mut ahead = Ahead::default();
        let lane = &self.lane.lane;
        let (mut running, mut reading) = (Running::of(lane), Reading::of(lane));
        while let Some(some) = self.page(tx, &mut running, &mut reading).await? {
            for c in &some {
                if let Some(claim) = self.claim(c)? {
                    ahead.claimed.add(&claim)?;
                }
                ahead.paused.add(c, self.freezes, self.epoch)?;
                ahead.may_pause |= pause::may_pause(c, self.epoch);
                ahead.rates.add(c, self.epoch);
            }
        }
        Ok(ahead)
    }

    /// What all but the operator's own contracts are entitled to, leases and metered ones, and by what the house's work is
    /// shared out.
    pub(super) async fn share_out(
        &self,
        tx: &mut Tx,
        done: Hashes,
        mut claimed: Claimed,
        metered: &MeteredEpoch,
    ) -> Result<(Hashes, Sharing)> {
        for claim in metered.claims() {
            claimed.add(claim)?;
        }
        let entitled = claimed.entitled();
        let mut sharing = claimed.share_out(done)?;
        let mut search = sharing.search();
        while let Some(mut pass) = search.take() {
            let lane = &self.lane.lane;
            let (mut running, mut reading) = (Running::of(lane), Reading::of(lane));
            while let Some(some) = self.page(tx, &mut running, &mut reading).await? {
                for c in &some {
                    if let Some(claim) = self.claim(c)? {
                        pass.look(&claim)?;
                    }
                }
            }
            for claim in metered.claims() {
                pass.look(claim)?;
            }
            match pass.step()? {
                Step::On(next) => search = Some(next),
                Step::Found(found) => sharing.learn(found),
            }
        }
        Ok((entitled, sharing))
    }
}

/// What is known when everything is given.
pub(super) struct Given {
    /// What metered contracts got.
    pub(super) metered: Allocation,
    /// Contracts that earn by SOLO and by FPPS, with what they got.
    pub(super) solo: Vec<(ContractId, Hashes)>,
    pub(super) fpps: Vec<(ContractId, Hashes)>,
    /// The tree over all contracts' parts.
    pub(super) tree: AllocationTree,
    /// What everybody is told of each, where a record is published.
    pub(super) sold: Option<SoldTree>,
    /// Where a settlement falls on the epoch, what each lease that runs on owes.
    pub(super) owing: Vec<Owing>,
}

/// How it is given.
pub(super) struct Giving<'a> {
    going: Going<'a>,
    how: Close<'a>,
    sharing: Sharing,
    earned: &'a mut [EarnedUnits],
    /// Metered contracts that come after those that have been given something, and the claims of these.
    metered: Peekable<std::slice::Iter<'a, MeterSold>>,
    claims: Peekable<std::slice::Iter<'a, Entitlement>>,
    /// Of those which do not earn by PPLNS.
    schemes: BTreeMap<ContractId, Scheme>,
    given: Given,
}

impl<'a> Giving<'a> {
    pub(super) fn of(
        going: Going<'a>,
        how: Close<'a>,
        sharing: Sharing,
        earned: &'a mut [EarnedUnits],
        metered: &'a MeteredEpoch,
        sold: Option<SoldTree>,
    ) -> Result<Giving<'a>> {
        let mut tree = AllocationTree::default();
        tree.push(AllocationLeaf::Surplus, sharing.surplus())?;
        let given = Given {
            metered: Allocation { shares: Vec::new(), surplus: sharing.surplus() },
            solo: Vec::new(),
            fpps: Vec::new(),
            tree,
            sold,
            owing: Vec::new(),
        };
        let (schemes, claims) =
            (metered.other_schemes().collect(), metered.claims().iter().peekable());
        let metered = metered.sold().iter().peekable();
        Ok(Giving { going, how, sharing, earned, metered, claims, schemes, given })
    }

    /// Gives everyone his part, a page of leases at a time, and writes down what becomes of them.
    pub(super) async fn give_out(
        mut self,
        tx: &mut Tx,
        mut paused: Paused<'_>,
        is_scheduled: bool,
        now: Timestamp,
    ) -> Result<Given> {
        let Going { lane, epoch, skipped, after_refund, .. } = self.going;
        let mut missed = short::Missed::in_epoch(epoch);
        let assets: Vec<_> = self.earned.iter().map(|e| e.asset).collect();
        let mut writing = Writing::of(lane, epoch, (&assets, after_refund), now);
        let (mut running, mut progress) = (Running::of(&lane.lane), Rewriting::of(&lane.lane));
        while let Some(some) = self.going.page(tx, &mut running, progress.reading()).await? {
            self.going.freezes.note(tx, &some, epoch, skipped).await?;
            let (mut some, told) = self.page(some)?;
            if let Some(sold) = &mut self.given.sold {
                sold.push(tx, &told).await?;
            }
            writing.write(tx, &mut some).await?;
            paused.close(tx, &some).await?;
            dollars::close_dues(tx, lane, &some, is_scheduled, epoch).await?;
            self.going.freezes.end(tx, &some, epoch, now).await?;
            let near = end_near::came_near_now(&some, (epoch, skipped));
            if !near.is_empty() {
                let followers = writing.followers(tx).await?;
                end_near::tell_all(tx, near, followers, now).await?;
            }
            for d in &some {
                let (hashes, since) = d.missed();
                missed.add(hashes, since);
            }
            for c in some.iter().map(|d| &d.contract).filter(|c| c.state == ContractState::Active) {
                progress.push(tx, c.progress()).await?;
                if self.how.settle {
                    let owes = Owing::of(c, self.given.owing.last());
                    self.given.owing.push(owes);
                }
            }
            progress.give_back(tx).await?;
        }
        let mut told = Vec::new();
        self.meter(None, &mut told)?;
        if let Some(sold) = &mut self.given.sold {
            sold.push(tx, &told).await?;
        }
        writing.finish(tx).await?;
        self.going.freezes.close_thawed(tx, lane, epoch).await?;
        progress.finish(tx).await?;
        missed.note(tx, lane, epoch).await?;
        Ok(self.given)
    }

    /// What becomes of some leases, and what everybody is told of them and of metered contracts between them.
    fn page(&mut self, some: Vec<Contract>) -> Result<(Vec<Delivered>, Vec<SoldTo>)> {
        let (mut all, mut told) = (Vec::with_capacity(some.len()), Vec::new());
        for c in some {
            self.meter(Some(c.id), &mut told)?;
            let (mut share, mut units, mut is_operators) = (None, Vec::new(), false);
            if let Some(claim) = self.going.claim(&c)? {
                let got = self.give(&claim, c.scheme)?;
                for earned in self.earned.iter_mut() {
                    units.push((earned.asset, earned.part(c.scheme, got.allocated)?));
                }
                (share, is_operators) = (Some(got), claim.is_operators);
            }
            if c.start.is_some_and(|start| start <= self.going.epoch) {
                let own = units.first().map_or(0, |(_, units)| *units);
                let d = Delivered { units, ..deliver_one(c, share, self.how)? };
                if self.given.sold.is_some() {
                    told.push(record::lease(&d.contract, share, own)?.of_operator(is_operators));
                }
                all.push(d);
            }
        }
        Ok((all, told))
    }

    /// Metered contracts that come before a lease, or all that are left.
    fn meter(&mut self, before: Option<ContractId>, told: &mut Vec<SoldTo>) -> Result<()> {
        while let Some(c) = self.metered.next_if(|c| before.is_none_or(|id| c.id < id)) {
            let (mut share, mut own, mut is_operators) = (None, 0, false);
            if let Some(claim) = self.claims.next_if(|claim| claim.contract == c.id) {
                let scheme = self.schemes.get(&c.id).copied().unwrap_or(Scheme::Pplns);
                let got = self.give(claim, scheme)?;
                for (n, earned) in self.earned.iter_mut().enumerate() {
                    let who = Beneficiary::Contract(c.id);
                    let units = earned.meter(who, scheme, got.allocated)?;
                    own = if n == 0 { units } else { own };
                }
                self.given.metered.shares.push(got);
                (share, is_operators) = (Some(got), claim.is_operators);
            }
            if self.given.sold.is_some() {
                let sold = record::metered(c, share, own);
                told.extend(sold.map(|sold| sold.of_operator(is_operators)));
            }
        }
        Ok(())
    }

    fn give(&mut self, claim: &Entitlement, scheme: Scheme) -> Result<Share> {
        let share = self.sharing.share(claim)?;
        let (contract, got) = (claim.contract, share.allocated);
        self.given.tree.push(AllocationLeaf::Contract(contract), got)?;
        match scheme {
            Scheme::Solo => self.given.solo.push((contract, got)),
            Scheme::Fpps if got > Hashes::ZERO => self.given.fpps.push((contract, got)),
            Scheme::Fpps | Scheme::Pplns => {}
        }
        Ok(share)
    }
}
