//! What an epoch did to leases, written down: their lines, prices recognised, refunds, capacity given back.

use super::deliver::Delivered;
use crate::bulk::lines::{Line, Lines};
use crate::contract::Contract;
use crate::renew::Follower;
use crate::{
    AfterRefund, ContractState, LaneConfig, MarketError, Refund, Result, bulk, owed, renew, sale,
};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Batch, Tx, params};
use gruve_units::{Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, Timestamp};
use std::collections::BTreeMap;

/// Contracts whose postings stand in one entry at most: half of what an entry may hold.
pub(crate) const ENTRY_CONTRACTS: usize = gruve_ledger::POSTINGS_MAX / 2;

/// Entries that are posted at once: ten thousand postings, some megabytes. A server goes through its balances by pages for
/// many of them, and one by one for few.
const ENTRIES_AT_ONCE: usize = 10;

/// Stores what contracts got, and what became of them, a page of them at a time.
pub(super) struct Writing<'a> {
    lane: &'a LaneConfig,
    epoch: EpochNumber,
    now: Timestamp,
    after_refund: Option<&'a dyn AfterRefund>,
    lines: Lines,
    rows: Batch,
    recognised: Recognised<'a>,
    /// Rates that are for sale again.
    released: Hashrate,
}

impl<'a> Writing<'a> {
    pub(super) fn of(
        lane: &'a LaneConfig,
        epoch: EpochNumber,
        (assets, after_refund): (&[Asset], Option<&'a dyn AfterRefund>),
        now: Timestamp,
    ) -> Writing<'a> {
        Writing {
            lane,
            epoch,
            now,
            after_refund,
            lines: Lines::of(&lane.lane, epoch, assets),
            rows: Batch::new(&bulk::sql::DELIVER),
            recognised: Recognised::of(lane, epoch, now),
            released: Hashrate::ZERO,
        }
    }

    /// Stores some, sorted by id and behind those before.
    pub(super) async fn write(&mut self, tx: &mut Tx, deliveries: &mut [Delivered]) -> Result<()> {
        let is_active = |d: &&Delivered| d.contract.state == ContractState::Active;
        let ended = deliveries.iter().filter(|d| !is_active(d)).map(|d| d.contract.id);
        let followers = renew::followers(tx, ended).await?;
        for d in deliveries.iter_mut() {
            let follower = followers.get(&d.contract.id).copied();
            self.write_one(tx, d, follower).await?;
        }
        let joined = deliveries.iter().filter(|d| is_active(d) && !d.contract.enrolled);
        let left = deliveries.iter().filter(|d| !is_active(d) && d.contract.enrolled);
        let joined: Vec<&Contract> = joined.map(|d| &d.contract).collect();
        let left: Vec<ContractId> = left.map(|d| d.contract.id).collect();
        bulk::roll::change(tx, &self.lane.lane, joined, left).await
    }

    async fn write_one(
        &mut self,
        tx: &mut Tx,
        d: &mut Delivered,
        follower: Option<Follower>,
    ) -> Result<()> {
        let (c, epoch) = (&d.contract, self.epoch);
        if let Some(s) = d.share {
            let line = Line {
                contract: c.id,
                entitled: s.entitled,
                delivered: s.allocated,
                made_good: s.made_good,
                shortfall: d.shortfall,
                units: std::mem::take(&mut d.units),
            };
            self.lines.push(tx, &line).await?;
        }
        if d.recognise > 0 {
            self.recognised.push(tx, c.id, Amount::new(c.price.asset, d.recognise)).await?;
        }
        if c.refunded > 0 {
            self.refund(tx, c).await?;
        }
        if d.kept > 0 {
            keep(tx, c, d.kept, self.now).await?;
        }
        if d.aside > Hashes::ZERO {
            owed::set_aside(tx, c, epoch, d.aside).await?;
        }
        let ended = (c.state != ContractState::Active).then_some(epoch);
        if ended.is_some() {
            let kept = renew::follow(tx, follower.as_ref(), epoch).await?;
            let free = c.hashrate.0.saturating_sub(kept.0);
            self.released = Hashrate(self.released.0.saturating_add(free));
        }
        if d.is_changed {
            let row = params![
                c.id,
                c.state.name(),
                c.delivered,
                c.short_since,
                c.maintenance_due,
                c.recognised,
                c.refunded,
                ended,
                ended.is_none()
            ];
            self.rows.push(tx, row).await?;
        }
        Ok(())
    }

    async fn refund(&self, tx: &mut Tx, c: &Contract) -> Result<()> {
        let (now, reason) = (self.now, format!("market/refund/{}", c.id));
        let (from, to) = (Account::PrepaidWork(c.id), Account::CustomerAvailable(c.account));
        let amount = Amount::new(c.price.asset, c.refunded);
        let entry = Entry::transfer(reason, "market-refund", now, from, to, amount);
        gruve_ledger::post(tx, &entry).await?;
        let Some(after) = self.after_refund else { return Ok(()) };
        let refund = Refund {
            contract: c.id,
            account: c.account,
            price: c.price,
            undelivered: c.price.minor - c.recognised,
            refunded: c.refunded,
            now,
        };
        after.refunded(tx, &refund).await
    }

    /// Stores what is left.
    pub(super) async fn finish(self, tx: &mut Tx) -> Result<()> {
        self.lines.finish(tx).await?;
        self.rows.finish(tx).await?;
        self.recognised.finish(tx).await?;
        if self.released > Hashrate::ZERO {
            sale::release(tx, self.lane, self.released).await?;
        }
        Ok(())
    }
}

/// What of contracts' prices is earned now becomes the operator's revenue, many contracts an entry. Entries are filled in
/// the order of contracts, however many are given at once.
struct Recognised<'a> {
    lane: &'a LaneConfig,
    epoch: EpochNumber,
    now: Timestamp,
    /// Of each asset how many entries were made, and what is in the next one.
    open: BTreeMap<Asset, (u64, Vec<(ContractId, i64)>)>,
    /// Made, and not posted yet.
    full: Vec<Entry>,
}

impl<'a> Recognised<'a> {
    const fn of(lane: &'a LaneConfig, epoch: EpochNumber, now: Timestamp) -> Recognised<'a> {
        Recognised { lane, epoch, now, open: BTreeMap::new(), full: Vec::new() }
    }

    async fn push(&mut self, tx: &mut Tx, id: ContractId, amount: Amount) -> Result<()> {
        let (_, parts) = self.open.entry(amount.asset).or_default();
        parts.push((id, amount.minor));
        if parts.len() == ENTRY_CONTRACTS {
            self.close(amount.asset)?;
        }
        if self.full.len() == ENTRIES_AT_ONCE { self.post(tx).await } else { Ok(()) }
    }

    /// Makes an entry of what is there of an asset.
    fn close(&mut self, asset: Asset) -> Result<()> {
        let (lane, epoch) = (&self.lane.lane, self.epoch);
        let Some((n, parts)) = self.open.get_mut(&asset) else { return Ok(()) };
        let parts = std::mem::take(parts);
        if parts.is_empty() {
            return Ok(());
        }
        *n += 1;
        let sum = parts.iter().try_fold(0_i64, |sum, (_, minor)| sum.checked_add(*minor));
        let sum = sum.ok_or(MarketError::Overflow("the prices of an epoch's work"))?;
        let mut postings = vec![Posting::credit(Account::OperatorRevenue, Amount::new(asset, sum))];
        postings.extend(parts.iter().map(|(id, minor)| {
            Posting::debit(Account::PrepaidWork(*id), Amount::new(asset, *minor))
        }));
        let reason = format!("market/delivered/{lane}/{epoch}/{asset}/{n}");
        self.full.push(Entry { reason, kind: "market-delivered", at: self.now, postings });
        Ok(())
    }

    async fn post(&mut self, tx: &mut Tx) -> Result<()> {
        gruve_ledger::post_all(tx, &std::mem::take(&mut self.full)).await?;
        Ok(())
    }

    async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        let assets: Vec<Asset> = self.open.keys().copied().collect();
        for asset in assets {
            self.close(asset)?;
        }
        self.post(tx).await
    }
}

/// What was paid for work never delivered makes up for the payment that was taken back.
async fn keep(tx: &mut Tx, c: &Contract, minor: i64, now: Timestamp) -> Result<()> {
    let reason = format!("market/charged-back/{}", c.id);
    let (from, to) = (Account::PrepaidWork(c.id), Account::ChargeBacks);
    let amount = Amount::new(c.price.asset, minor);
    let entry = Entry::transfer(reason, "market-charged-back", now, from, to, amount);
    gruve_ledger::post(tx, &entry).await?;
    Ok(())
}
