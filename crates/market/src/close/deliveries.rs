//! What an epoch did to leases, written down: their lines, prices recognised, refunds, capacity given back.

use super::deliver::Delivered;
use super::pool::EarnedUnits;
use crate::bulk::lines::{Line, Lines};
use crate::contract::Contract;
use crate::{Beneficiary, ContractState, LaneConfig, MarketError, Result, bulk, owed, renew, sale};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Batch, Tx, params};
use gruve_units::{Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, Timestamp};
use std::collections::BTreeMap;

/// Contracts whose postings stand in one entry at most: half of what an entry may hold.
pub(crate) const ENTRY_CONTRACTS: usize = gruve_ledger::POSTINGS_MAX / 2;

/// Stores what contracts got, and what became of them.
pub(super) async fn write_deliveries(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    deliveries: &[Delivered],
    earned: &[EarnedUnits],
    now: Timestamp,
) -> Result<()> {
    recognise(tx, lane, epoch, deliveries, now).await?;
    let assets: Vec<Asset> = earned.iter().map(|e| e.asset).collect();
    let mut lines = Lines::of(&lane.lane, epoch, &assets);
    let mut rows = Batch::new(&bulk::sql::DELIVER);
    let mut released = Hashrate::ZERO;
    let any_ended = deliveries.iter().any(|d| d.contract.state != ContractState::Active);
    let followers =
        if any_ended { renew::followers(tx, &lane.lane).await? } else { BTreeMap::new() };
    for d in deliveries {
        let c = &d.contract;
        if let Some(s) = d.share {
            let who = Beneficiary::Contract(c.id);
            let units = |e: &EarnedUnits| (e.asset, e.units.get(&who).copied().unwrap_or(0));
            let line = Line {
                contract: c.id,
                entitled: s.entitled,
                delivered: s.allocated,
                made_good: s.made_good,
                shortfall: d.shortfall,
                units: earned.iter().map(units).collect(),
            };
            lines.push(tx, &line).await?;
        }
        if c.refunded > 0 {
            refund(tx, c, now).await?;
        }
        if d.kept > 0 {
            keep(tx, c, d.kept, now).await?;
        }
        if d.aside > Hashes::ZERO {
            owed::set_aside(tx, c, epoch, d.aside).await?;
        }
        let ended = (c.state != ContractState::Active).then_some(epoch);
        if ended.is_some() {
            let kept = renew::follow(tx, followers.get(&c.id), epoch).await?;
            let free = c.hashrate.0.saturating_sub(kept.0);
            released = Hashrate(released.0.saturating_add(free));
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
            rows.push(tx, row).await?;
        }
    }
    lines.finish(tx).await?;
    rows.finish(tx).await?;
    let is_active = |d: &&Delivered| d.contract.state == ContractState::Active;
    let joined = deliveries.iter().filter(|d| is_active(d) && !d.contract.enrolled);
    let left = deliveries.iter().filter(|d| !is_active(d) && d.contract.enrolled);
    let joined: Vec<&Contract> = joined.map(|d| &d.contract).collect();
    let left: Vec<ContractId> = left.map(|d| d.contract.id).collect();
    bulk::roll::change(tx, &lane.lane, joined, left).await?;
    if released > Hashrate::ZERO {
        sale::release(tx, lane, released).await?;
    }
    Ok(())
}

/// What of contracts' prices is earned now becomes the operator's revenue, many contracts an entry.
async fn recognise(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    deliveries: &[Delivered],
    now: Timestamp,
) -> Result<()> {
    let mut by_asset: BTreeMap<Asset, Vec<(ContractId, i64)>> = BTreeMap::new();
    for d in deliveries.iter().filter(|d| d.recognise > 0) {
        by_asset.entry(d.contract.price.asset).or_default().push((d.contract.id, d.recognise));
    }
    for (asset, parts) in by_asset {
        for (n, part) in (1..).zip(parts.chunks(ENTRY_CONTRACTS)) {
            let sum = part.iter().try_fold(0_i64, |sum, (_, minor)| sum.checked_add(*minor));
            let sum = sum.ok_or(MarketError::Overflow("the prices of an epoch's work"))?;
            let mut postings =
                vec![Posting::credit(Account::OperatorRevenue, Amount::new(asset, sum))];
            postings.extend(part.iter().map(|(id, minor)| {
                Posting::debit(Account::PrepaidWork(*id), Amount::new(asset, *minor))
            }));
            let reason = format!("market/delivered/{}/{epoch}/{asset}/{n}", lane.lane);
            let entry = Entry { reason, kind: "market-delivered", at: now, postings };
            gruve_ledger::post(tx, &entry).await?;
        }
    }
    Ok(())
}

async fn refund(tx: &mut Tx, c: &Contract, now: Timestamp) -> Result<()> {
    let reason = format!("market/refund/{}", c.id);
    let (from, to) = (Account::PrepaidWork(c.id), Account::CustomerAvailable(c.account));
    let amount = Amount::new(c.price.asset, c.refunded);
    gruve_ledger::post(tx, &Entry::transfer(reason, "market-refund", now, from, to, amount))
        .await?;
    Ok(())
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
