//! Going through a lane's contracts: for what they claim, and for what they get. A page of leases is held at once.

use super::deliver::{Close, Delivered, claim_of, deliver_one};
use super::deliveries::Writing;
use super::epoch_row::AllocationTree;
use super::pool::EarnedUnits;
use crate::allocate::{Allocation, Claimed, Entitlement, Share, Sharing, Step};
use crate::bulk::progress::{Reading, Rewriting};
use crate::contract::{Contract, Running};
use crate::metered::MeteredEpoch;
use crate::record::{self, SoldTo};
use crate::settlement::Owing;
use crate::{
    Beneficiary, ContractState, LaneConfig, Result, Scheme, dollars, end_near, pause, short,
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
}

/// What is known of an epoch's leases before anything is shared out.
#[derive(Default)]
pub(super) struct Ahead {
    /// What they should get.
    pub(super) claimed: Claimed,
    /// Those whose clock stands still, as they are before the epoch.
    pub(super) paused: Vec<Contract>,
    /// Those whose plan pauses.
    pub(super) pausing: Vec<ContractId>,
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
            pause::stop_clocks(some, self.epoch, self.skipped);
        }
        Ok(some)
    }

    fn claim(&self, c: &Contract) -> Result<Option<Entitlement>> {
        claim_of(c, self.epoch, self.operators)
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
            }
            ahead.pausing.extend(pause::pausing(&some, self.epoch));
            ahead.paused.extend(pause::paused(&some, self.epoch));
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
    /// What everybody is told of each lease, where a record is published.
    pub(super) sold: Vec<SoldTo>,
    /// Where a settlement falls on the epoch, what each lease that runs on owes.
    pub(super) owing: Vec<Owing>,
}

/// How it is given.
pub(super) struct Giving<'a> {
    going: Going<'a>,
    how: Close<'a>,
    sharing: Sharing,
    earned: &'a mut [EarnedUnits],
    /// Metered contracts that come after those that have been given something.
    metered: Peekable<std::slice::Iter<'a, Entitlement>>,
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
    ) -> Result<Giving<'a>> {
        let mut tree = AllocationTree::default();
        tree.push(AllocationLeaf::Surplus, sharing.surplus())?;
        let given = Given {
            metered: Allocation { shares: Vec::new(), surplus: sharing.surplus() },
            solo: Vec::new(),
            fpps: Vec::new(),
            tree,
            sold: Vec::new(),
            owing: Vec::new(),
        };
        let (schemes, metered) =
            (metered.other_schemes().collect(), metered.claims().iter().peekable());
        Ok(Giving { going, how, sharing, earned, metered, schemes, given })
    }

    /// Gives everyone his part, a page of leases at a time, and writes down what becomes of them.
    pub(super) async fn give_out(
        mut self,
        tx: &mut Tx,
        (is_scheduled, is_published): (bool, bool),
        now: Timestamp,
    ) -> Result<Given> {
        let Going { lane, epoch, skipped, .. } = self.going;
        let mut missed = short::Missed::in_epoch(epoch);
        let assets: Vec<_> = self.earned.iter().map(|e| e.asset).collect();
        let mut writing = Writing::of(lane, epoch, &assets, now);
        let (mut running, mut progress) = (Running::of(&lane.lane), Rewriting::of(&lane.lane));
        while let Some(some) = self.going.page(tx, &mut running, progress.reading()).await? {
            let (mut some, own) = self.page(some)?;
            if is_published {
                let units = |d: &Delivered| d.units.first().map_or(0, |(_, units)| *units);
                let of = some.iter().map(|d| (&d.contract, d.share, units(d)));
                let mut sold = record::leases(of)?;
                record::operators_last(&mut sold, &own);
                self.given.sold.extend(sold);
            }
            writing.write(tx, &mut some).await?;
            dollars::close_dues(tx, lane, &some, is_scheduled, epoch).await?;
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
        self.meter(None)?;
        writing.finish(tx).await?;
        progress.finish(tx).await?;
        missed.note(tx, lane, epoch).await?;
        Ok(self.given)
    }

    /// What becomes of some leases, and which of them are the operator's own.
    fn page(&mut self, some: Vec<Contract>) -> Result<(Vec<Delivered>, BTreeSet<ContractId>)> {
        let (mut all, mut own) = (Vec::with_capacity(some.len()), BTreeSet::new());
        for c in some {
            let (mut share, mut units) = (None, Vec::new());
            if let Some(claim) = self.going.claim(&c)? {
                self.meter(Some(c.id))?;
                let got = self.give(&claim, c.scheme)?;
                for earned in self.earned.iter_mut() {
                    units.push((earned.asset, earned.part(c.scheme, got.allocated)?));
                }
                share = Some(got);
                own.extend(claim.is_operators.then_some(c.id));
            }
            if c.delivery().is_some_and(|d| d.start <= self.going.epoch) {
                all.push(Delivered { units, ..deliver_one(c, share, self.how)? });
            }
        }
        Ok((all, own))
    }

    /// Metered contracts that come before a lease, or all that are left.
    fn meter(&mut self, before: Option<ContractId>) -> Result<()> {
        while let Some(claim) =
            self.metered.next_if(|claim| before.is_none_or(|id| claim.contract < id))
        {
            let scheme = self.schemes.get(&claim.contract).copied().unwrap_or(Scheme::Pplns);
            let share = self.give(claim, scheme)?;
            for earned in self.earned.iter_mut() {
                let who = Beneficiary::Contract(claim.contract);
                earned.meter(who, scheme, share.allocated)?;
            }
            self.given.metered.shares.push(share);
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
