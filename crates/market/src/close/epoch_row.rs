//! An epoch's own row, and the root over everyone who has work in it.

use super::Closing;
use crate::{LaneConfig, MarketError, Result, sql};
use gruve_proof::sum_tree::SumNode;
use gruve_proof::summary::AllocationLeaf;
use gruve_store::{Tx, params};
use gruve_units::{Hashes, Timestamp};

/// The tree over everyone with work in the epoch, sorted by leaf; of what stands there only whole trees are held.
#[derive(Default)]
pub(super) struct AllocationTree {
    /// Trees of a power of two of leaves, each smaller than the one before it.
    whole: Vec<(u64, SumNode)>,
    last: Option<AllocationLeaf>,
}

fn too_much() -> MarketError {
    MarketError::Overflow("the work of an epoch")
}

impl AllocationTree {
    /// Adds a leaf behind the others; without work it has none.
    pub(super) fn push(&mut self, leaf: AllocationLeaf, work: Hashes) -> Result<()> {
        if self.last.is_some_and(|last| last >= leaf) {
            return Err(MarketError::Broken("work was allocated out of order".into()));
        }
        self.last = Some(leaf);
        if work == Hashes::ZERO {
            return Ok(());
        }
        let (mut size, mut node) = (1, leaf.node(work));
        while let Some((_, left)) = self.whole.pop_if(|(other, _)| *other == size) {
            node = SumNode::parent(&left, &node).ok_or_else(too_much)?;
            size *= 2;
        }
        self.whole.push((size, node));
        Ok(())
    }

    /// The root.
    pub(super) fn root(mut self) -> Result<SumNode> {
        let Some((_, mut node)) = self.whole.pop() else { return Ok(SumNode::empty()) };
        while let Some((_, left)) = self.whole.pop() {
            node = SumNode::parent(&left, &node).ok_or_else(too_much)?;
        }
        Ok(node)
    }
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
    units: u128,
    written: &Written,
    now: Timestamp,
) -> Result<()> {
    let (tally, epoch) = (&closing.tally, closing.epoch);
    for (key, sum) in &tally.work {
        let owner = key.owner.map_or_else(Vec::new, |a| a.to_bytes().to_vec());
        let row = params![lane.lane.clone(), epoch, owner, key.bits, sum.shares, sum.work];
        tx.execute(sql::INSERT_WORK, &row).await?;
    }
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
        units.to_be_bytes(),
        tally.share_root,
        written.root.hash,
        written.checkpoint,
        closing.last_job.map(|(bits, _)| bits),
        closing.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_EPOCH, &row).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_proof::sum_tree;
    use gruve_units::{AccountId, ContractId};

    #[test]
    fn the_root_is_that_of_all_leaves_with_work() {
        for count in 0..70_u8 {
            let leaf = |n: u8| match n {
                0 => AllocationLeaf::Surplus,
                1..50 => AllocationLeaf::Contract(ContractId::from_bytes([n; 16])),
                _ => AllocationLeaf::Account(AccountId::from_bytes([n; 16])),
            };
            let work = |n: u8| Hashes(u128::from(n % 5) << 100);
            let mut tree = AllocationTree::default();
            let mut nodes = Vec::new();
            for n in 0..count {
                tree.push(leaf(n), work(n)).unwrap();
                nodes.extend((work(n) > Hashes::ZERO).then(|| leaf(n).node(work(n))));
            }
            assert_eq!(Some(tree.root().unwrap()), sum_tree::root(&nodes), "{count} leaves");
        }
    }

    #[test]
    fn leaves_out_of_order_or_beyond_all_numbers_are_refused() {
        let contract = |n| AllocationLeaf::Contract(ContractId::from_bytes([n; 16]));
        let mut tree = AllocationTree::default();
        tree.push(contract(2), Hashes(u128::MAX)).unwrap();
        assert!(tree.push(contract(2), Hashes(1)).is_err());
        assert!(tree.push(contract(1), Hashes(1)).is_err());
        assert!(tree.push(contract(3), Hashes(1)).is_err());
    }
}
