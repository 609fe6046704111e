//! An epoch's own row, and the root over everyone who has work in it.

use super::Closing;
use super::pool::all_units;
use crate::allocate::Allocation;
use crate::tally::Tally;
use crate::{Beneficiary, LaneConfig, MarketError, Result, sql};
use gruve_proof::sum_tree::{self, SumNode};
use gruve_proof::summary::AllocationLeaf;
use gruve_store::{Tx, params};
use gruve_units::{Hashes, Timestamp};
use std::collections::BTreeMap;

/// The tree over everyone with work in the epoch, sorted by leaf.
pub(super) fn allocation_root(tally: &Tally, allocation: &Allocation) -> Result<SumNode> {
    let mut leaves: BTreeMap<AllocationLeaf, Hashes> = BTreeMap::new();
    leaves.insert(AllocationLeaf::Surplus, allocation.surplus);
    for s in &allocation.shares {
        leaves.insert(AllocationLeaf::Contract(s.contract), s.allocated);
    }
    for (owner, work) in tally.by_owner() {
        if let Some(account) = owner {
            leaves.insert(AllocationLeaf::Account(account), work);
        }
    }
    let nodes: Vec<SumNode> =
        leaves.iter().filter(|(_, w)| **w > Hashes::ZERO).map(|(l, w)| l.node(*w)).collect();
    sum_tree::root(&nodes).ok_or(MarketError::Overflow("the work of an epoch"))
}

/// What of an epoch is computed.
pub(super) struct Written {
    pub(super) house: Hashes,
    pub(super) other: Hashes,
    pub(super) surplus: Hashes,
    pub(super) root: SumNode,
    pub(super) checkpoint: [u8; 32],
}

/// Stores it.
pub(super) async fn write_epoch(
    tx: &mut Tx,
    lane: &LaneConfig,
    closing: &Closing,
    units: &BTreeMap<Beneficiary, u128>,
    written: &Written,
    now: Timestamp,
) -> Result<()> {
    let (tally, epoch) = (&closing.tally, closing.epoch);
    for (key, sum) in &tally.work {
        let owner = key.owner.map_or_else(Vec::new, |a| a.to_bytes().to_vec());
        let row = params![lane.lane.clone(), epoch, owner, key.bits, sum.shares, sum.work];
        tx.execute(sql::INSERT_WORK, &row).await?;
    }
    let total = all_units(units)?;
    let row = params![
        lane.lane.clone(),
        epoch,
        closing.skipped,
        now,
        tally.shares,
        tally.duplicates,
        written.house,
        written.other,
        tally.house_squares.to_be_bytes::<32>(),
        written.house.saturating_sub(written.surplus),
        written.surplus,
        total.to_be_bytes(),
        tally.share_root,
        written.root.hash,
        written.checkpoint,
        closing.last_job.map(|(bits, _)| bits),
        closing.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_EPOCH, &row).await?;
    Ok(())
}
