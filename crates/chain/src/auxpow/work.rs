//! The auxiliary blocks that a job's work is for.

use super::proof::AuxProof;
use super::tag::{self, TAG_BYTES};
use super::tree::{AuxTree, AuxTreeError};
use gruve_units::{Asset, Target};
use serde::{Deserialize, Serialize};

/// Nonces tried until a tag does not contain its own beginning a second time: each does with a chance of
/// one in a hundred million.
const NONCES: u32 = 16;

/// An auxiliary chain's next block, complete but for its proof, as its node offers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuxBlock {
    /// The chain's coin.
    pub asset: Asset,
    /// The chain's id in merge-mining.
    pub chain_id: u32,
    /// The block's hash, internal byte order: fixed, whatever the proof will be.
    pub hash: [u8; 32],
    /// The block it stands on, internal byte order.
    pub prev_hash: [u8; 32],
    /// The target a parent's hash must meet, compact form.
    pub bits: u32,
    /// Its height.
    pub height: u64,
    /// What its coinbase pays, minor units.
    pub value: i64,
}

/// A block in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxLeaf {
    /// The block.
    pub block: AuxBlock,
    /// Its target.
    pub target: Target,
    /// Its slot.
    pub index: u32,
    /// Its siblings up to the root.
    pub branch: Vec<[u8; 32]>,
}

/// Auxiliary blocks in their tree, at least one. Immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxWork {
    leaves: Vec<AuxLeaf>,
    tag: [u8; TAG_BYTES],
}

impl AuxWork {
    /// Puts blocks into a tree.
    ///
    /// # Errors
    /// When there are none, too many, or two of one chain. Blocks whose bits are no target are left out
    /// before, by whoever reads them.
    pub fn of(blocks: Vec<AuxBlock>) -> Result<AuxWork, AuxTreeError> {
        let named: Vec<_> = blocks.iter().map(|b| (b.chain_id, b.hash)).collect();
        let mut nonce = 0;
        let (tree, tag) = loop {
            let tree = AuxTree::build(&named, nonce)?;
            let tag = tag::tag(&tree);
            nonce += 1;
            if tag::count(&tag) == 1 || nonce == NONCES {
                break (tree, tag);
            }
        };
        let leaf = |(block, (index, branch)): (AuxBlock, &(u32, Vec<[u8; 32]>))| AuxLeaf {
            // No target is one that no hash meets.
            target: Target::from_compact(block.bits).unwrap_or(Target::from_be_bytes([0; 32])),
            block,
            index: *index,
            branch: branch.clone(),
        };
        let leaves = blocks.into_iter().zip(tree.places()).map(leaf).collect();
        Ok(AuxWork { leaves, tag })
    }

    /// What goes into the parent's coinbase script.
    #[must_use]
    pub const fn tag(&self) -> &[u8; TAG_BYTES] {
        &self.tag
    }

    /// The blocks.
    #[must_use]
    pub fn leaves(&self) -> &[AuxLeaf] {
        &self.leaves
    }

    /// The blocks as they were given, to be kept.
    #[must_use]
    pub fn blocks(&self) -> Vec<AuxBlock> {
        self.leaves.iter().map(|leaf| leaf.block.clone()).collect()
    }
}

impl AuxLeaf {
    /// The proof that a parent's coinbase and header make for this block.
    #[must_use]
    pub fn proof(
        &self,
        coinbase: Vec<u8>,
        coinbase_branch: &[[u8; 32]],
        parent_header: &[u8; 80],
    ) -> AuxProof {
        AuxProof {
            coinbase,
            parent_hash: gruve_pow::sha256d(parent_header),
            coinbase_branch: coinbase_branch.to_vec(),
            coinbase_index: 0,
            chain_branch: self.branch.clone(),
            chain_index: self.index,
            parent_header: *parent_header,
        }
    }
}
