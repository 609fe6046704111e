//! The summary of a closed epoch and the chain of checkpoints.
//!
//! | bytes | field (integers big-endian) |
//! |---|---|
//! | 14 | `gruve epoch 1` and a zero |
//! | 1 + *n* | length and name of the lane |
//! | 8 | epoch |
//! | 8 | the epoch closed before it on this lane; 0 for the first |
//! | 32 | that epoch's checkpoint; zeros for the first |
//! | 8 | number of shares |
//! | 16 | the house's work |
//! | 16 | work of hosted and outside machines |
//! | 32 | share root: RFC 6962 over the sorted canonical shares ([`crate::share`]) |
//! | 16 + 32 | sum and hash of the allocation tree ([`AllocationLeaf`]); the sum is all proven work |
//!
//! `checkpoint = SHA-256("gruve checkpoint 1\0" ‖ those bytes)`. Epochs between the two numbers had no
//! work: they count as zero and have no summary of their own.

use crate::sum_tree::SumNode;
use crate::{Hash, sha256};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes, LaneId};

/// The checkpoint before the first closed epoch.
pub const GENESIS: Hash = [0; 32];

/// What an epoch comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochSummary {
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// The epoch closed before it; 0 for the first.
    pub prev_epoch: EpochNumber,
    /// That epoch's checkpoint; [`GENESIS`] for the first.
    pub prev_checkpoint: Hash,
    /// Number of shares.
    pub shares: u64,
    /// The house's work.
    pub house_work: Hashes,
    /// Work of hosted and outside machines.
    pub other_work: Hashes,
    /// Root over the shares.
    pub share_root: Hash,
    /// Root over who got the work; its sum is all of it.
    pub allocation_root: SumNode,
}

impl EpochSummary {
    /// The canonical bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let lane = self.lane.as_str().as_bytes();
        let mut out = Vec::with_capacity(200 + lane.len());
        out.extend(b"gruve epoch 1\0");
        // A lane's name has at most 16 bytes by its type.
        out.push(u8::try_from(lane.len()).unwrap_or(u8::MAX));
        out.extend(lane);
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(self.prev_epoch.0.to_be_bytes());
        out.extend(self.prev_checkpoint);
        out.extend(self.shares.to_be_bytes());
        out.extend(self.house_work.to_be_bytes());
        out.extend(self.other_work.to_be_bytes());
        out.extend(self.share_root);
        out.extend(self.allocation_root.sum.to_be_bytes());
        out.extend(self.allocation_root.hash);
        out
    }

    /// The checkpoint: what the next summaries and, two epochs later, the stamps commit to.
    #[must_use]
    pub fn checkpoint(&self) -> Hash {
        sha256(&[b"gruve checkpoint 1\0", &self.canonical()])
    }
}

/// Who a part of an epoch's work stands for. The order is the order of the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AllocationLeaf {
    /// The house's work that no contract got.
    Surplus,
    /// A contract's delivered work.
    Contract(ContractId),
    /// Work of an account's own machines.
    Account(AccountId),
}

impl AllocationLeaf {
    /// One byte of kind (0, 1, 2) and the id's 16 bytes, zeros for the surplus.
    #[must_use]
    pub fn canonical(&self) -> [u8; 17] {
        let (kind, id) = match self {
            AllocationLeaf::Surplus => (0, [0; 16]),
            AllocationLeaf::Contract(c) => (1, c.to_bytes()),
            AllocationLeaf::Account(a) => (2, a.to_bytes()),
        };
        let mut out = [kind; 17];
        out[1..].copy_from_slice(&id);
        out
    }

    /// The leaf with this much work.
    #[must_use]
    pub fn node(&self, work: Hashes) -> SumNode {
        SumNode::leaf(work.0, &self.canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> EpochSummary {
        EpochSummary {
            lane: "btc".parse().unwrap(),
            epoch: EpochNumber(10),
            prev_epoch: EpochNumber(9),
            prev_checkpoint: [1; 32],
            shares: 3,
            house_work: Hashes(48),
            other_work: Hashes(16),
            share_root: [2; 32],
            allocation_root: SumNode { sum: 64, hash: [3; 32] },
        }
    }

    #[test]
    fn every_field_changes_the_checkpoint() {
        let s = summary();
        let changed = [
            EpochSummary { lane: "ltc".parse().unwrap(), ..s.clone() },
            EpochSummary { epoch: EpochNumber(11), ..s.clone() },
            EpochSummary { prev_epoch: EpochNumber(8), ..s.clone() },
            EpochSummary { prev_checkpoint: [9; 32], ..s.clone() },
            EpochSummary { shares: 4, ..s.clone() },
            EpochSummary { house_work: Hashes(49), ..s.clone() },
            EpochSummary { other_work: Hashes(17), ..s.clone() },
            EpochSummary { share_root: [9; 32], ..s.clone() },
            EpochSummary { allocation_root: SumNode { sum: 65, hash: [3; 32] }, ..s.clone() },
            EpochSummary { allocation_root: SumNode { sum: 64, hash: [4; 32] }, ..s.clone() },
        ];
        for c in changed {
            assert_ne!(c.checkpoint(), s.checkpoint(), "{c:?}");
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let bytes = summary().canonical();
        assert_eq!(bytes.len(), 14 + 4 + 8 + 8 + 32 + 8 + 16 + 16 + 32 + 48);
        assert_eq!(&bytes[..18], b"gruve epoch 1\0\x03btc");
        assert_eq!(bytes[18..26], 10u64.to_be_bytes());
    }
}
