//! Going through a lane's contracts: for what they claim, and for what they get. A page of leases is held at once.

use super::Closing;
use super::deliver::{Close, Delivered, claim_of, deliver_one};
use super::deliveries::Writing;
use super::epoch_row::AllocationTree;
use super::pool::EarnedUnits;
use crate::allocate::{Claimed, Entitlement, Share, Sharing, Step};
use crate::bulk;
use crate::bulk::progress::{Reading, Rewriting};
use crate::contract::{Contract, Running};
use crate::freeze::Freezes;
use crate::losing::AllRates;
use crate::metered::{Asking, MeterGot, MeteredEpoch};
use crate::pause::{Paused, PausedWork};
use crate::record::{self, SoldTo, SoldTree};
use crate::{
    AfterRefund, Beneficiary, ContractState, LaneConfig, Market, Result, Scheme, dollars, end_near,
    fpps, pause, short, solo,
};
use gruve_proof::summary::AllocationLeaf;
use gruve_store::{Batch, Tx, params};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes, Timestamp};
use std::collections::BTreeSet;

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
        metered: &mut MeteredEpoch<'_>,
    ) -> Result<(Hashes, Sharing)> {
        metered.claims(|claim| claimed.add(claim))?;
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
            metered.claims(|claim| pass.look(claim))?;
            match pass.step()? {
                Step::On(next) => search = Some(next),
                Step::Found(found) => sharing.learn(found),
            }
        }
        Ok((entitled, sharing))
    }
}

/// What is known when everything is given.
pub(super) struct Given<'a> {
    /// What metered contracts got.
    pub(super) metered: MeterGot<'a>,
    /// Contracts that earn by SOLO and by FPPS, with what they got, on their way into the books.
    pub(super) solo: solo::Recording,
    pub(super) fpps: fpps::Recording<'a>,
    /// The tree over all contracts' parts.
    pub(super) tree: AllocationTree,
    /// What everybody is told of each, where a record is published.
    pub(super) sold: Option<SoldTree>,
}

impl<'a> Given<'a> {
    /// Nothing yet.
    pub(super) fn of(
        market: &'a Market,
        lane: &'a LaneConfig,
        (closing, house): (&'a Closing, Hashes),
    ) -> Result<Given<'a>> {
        Ok(Given {
            metered: MeterGot::of(market),
            solo: solo::Recording::of(lane, closing.epoch),
            fpps: fpps::Recording::of(lane, closing, house),
            tree: AllocationTree::default(),
            sold: market.sold_tree(lane, closing.epoch)?,
        })
    }

    async fn tell(&mut self, tx: &mut Tx, told: Option<SoldTo>) -> Result<()> {
        match (&mut self.sold, told) {
            (Some(sold), Some(told)) => sold.push(tx, &told).await,
            _ => Ok(()),
        }
    }
}

/// How it is given.
pub(super) struct Giving<'a, 'b> {
    going: Going<'a>,
    how: Close<'a>,
    sharing: Sharing,
    earned: &'b mut [EarnedUnits],
    /// Metered contracts that come after those that have been given something.
    metered: Asking<'b>,
    /// Units of those that earn by PPLNS.
    units: Batch,
    given: Given<'a>,
}

impl<'a, 'b> Giving<'a, 'b> {
    pub(super) fn of(
        going: Going<'a>,
        how: Close<'a>,
        sharing: Sharing,
        earned: &'b mut [EarnedUnits],
        metered: Asking<'b>,
        mut given: Given<'a>,
    ) -> Result<Self> {
        given.tree.push(AllocationLeaf::Surplus, sharing.surplus())?;
        let units = Batch::new(&bulk::sql::INSERT_UNITS);
        Ok(Giving { going, how, sharing, earned, metered, units, given })
    }

    /// Gives everyone his part, a page of leases at a time, and writes down what becomes of them.
    pub(super) async fn give_out(
        mut self,
        tx: &mut Tx,
        mut paused: Paused<'_>,
        is_scheduled: bool,
        now: Timestamp,
    ) -> Result<Given<'a>> {
        let Going { lane, epoch, skipped, after_refund, .. } = self.going;
        let mut missed = short::Missed::in_epoch(epoch);
        let assets: Vec<_> = self.earned.iter().map(|e| e.asset).collect();
        let mut writing = Writing::of(lane, epoch, (&assets, after_refund), now);
        let (mut running, mut progress) = (Running::of(&lane.lane), Rewriting::of(&lane.lane));
        while let Some(some) = self.going.page(tx, &mut running, progress.reading()).await? {
            self.going.freezes.note(tx, &some, epoch, skipped).await?;
            let mut some = self.page(tx, some).await?;
            writing.write(tx, &mut some).await?;
            paused.close(tx, &some).await?;
            dollars::close_dues(tx, lane, &some, is_scheduled, epoch).await?;
            self.going.freezes.end(tx, &some, epoch, now).await?;
            let near = end_near::came_near_now(&some, (epoch, skipped));
            end_near::tell_all(tx, near, now).await?;
            for d in &some {
                let (hashes, since) = d.missed();
                missed.add(hashes, since);
            }
            for c in some.iter().map(|d| &d.contract).filter(|c| c.state == ContractState::Active) {
                progress.push(tx, c.progress()).await?;
            }
            progress.give_back(tx).await?;
        }
        self.meter(tx, None).await?;
        self.units.finish(tx).await?;
        writing.finish(tx).await?;
        self.going.freezes.close_thawed(tx, lane, epoch).await?;
        progress.finish(tx).await?;
        missed.note(tx, lane, epoch).await?;
        Ok(self.given)
    }

    /// What becomes of some leases; everybody is told of them and of metered contracts between them.
    async fn page(&mut self, tx: &mut Tx, some: Vec<Contract>) -> Result<Vec<Delivered>> {
        let mut all = Vec::with_capacity(some.len());
        for c in some {
            self.meter(tx, Some(c.id)).await?;
            let (mut share, mut units, mut is_operators) = (None, Vec::new(), false);
            if let Some(claim) = self.going.claim(&c)? {
                let got = self.give(tx, &claim, c.scheme).await?;
                for earned in self.earned.iter_mut() {
                    units.push((earned.asset, earned.part(c.scheme, got.allocated)?));
                }
                (share, is_operators) = (Some(got), claim.is_operators);
            }
            if c.start.is_some_and(|start| start <= self.going.epoch) {
                let own = units.first().map_or(0, |(_, units)| *units);
                let d = Delivered { units, ..deliver_one(c, share, self.how)? };
                if self.given.sold.is_some() {
                    let told = record::lease(&d.contract, share, own)?.of_operator(is_operators);
                    self.given.tell(tx, Some(told)).await?;
                }
                all.push(d);
            }
        }
        Ok(all)
    }

    /// Metered contracts that come before a lease, or all that are left.
    async fn meter(&mut self, tx: &mut Tx, before: Option<ContractId>) -> Result<()> {
        while let Some(asks) = self.metered.before(before)? {
            let (id, scheme) = (asks.sold.id, asks.scheme);
            let (mut share, mut own, mut is_operators) = (None, 0, false);
            if let Some(claim) = &asks.claim {
                let got = self.give(tx, claim, scheme).await?;
                for (n, earned) in self.earned.iter_mut().enumerate() {
                    let units = earned.part(scheme, got.allocated)?;
                    own = if n == 0 { units } else { own };
                    if units > 0 {
                        let (lane, epoch) = (self.going.lane.lane.clone(), self.going.epoch);
                        let (kind, id) = Beneficiary::Contract(id).columns();
                        let row = params![lane, earned.asset, epoch, kind, id, units.to_be_bytes()];
                        self.units.push(tx, row).await?;
                    }
                }
                self.given.metered.push(id, got.allocated)?;
                (share, is_operators) = (Some(got), claim.is_operators);
            }
            let told = record::metered(&asks.sold, share, own);
            self.given.tell(tx, told.map(|told| told.of_operator(is_operators))).await?;
        }
        Ok(())
    }

    async fn give(&mut self, tx: &mut Tx, claim: &Entitlement, scheme: Scheme) -> Result<Share> {
        let share = self.sharing.share(claim)?;
        let (contract, got) = (claim.contract, share.allocated);
        self.given.tree.push(AllocationLeaf::Contract(contract), got)?;
        match scheme {
            Scheme::Solo => {
                self.given.solo.push(tx, Beneficiary::Contract(contract), got).await?;
            }
            Scheme::Fpps if got > Hashes::ZERO => {
                self.given.fpps.push(tx, contract, got).await?;
            }
            Scheme::Fpps | Scheme::Pplns => {}
        }
        Ok(share)
    }
}
