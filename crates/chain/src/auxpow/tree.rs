//! The tree of auxiliary blocks. Each chain has one slot, found from its id, the tree's size and a nonce, so
//! that one proof of work cannot stand for two blocks of one chain.
//!
//! Two chains share a slot exactly when their ids agree modulo the size, whatever the nonce: the formula
//! multiplies by odd numbers only. So the size is the smallest power of two at which all ids differ.

use gruve_pow::sha256d;
use gruve_units::{Blame, Blamed};
use std::collections::BTreeMap;

/// Most auxiliary chains in one tree: each costs every share a comparison of its hash.
pub const CHAINS_MAX: usize = 32;
/// The longest branch the chains take (`auxpow.cpp`), and so the highest tree.
pub const HEIGHT_MAX: u32 = 30;

/// The slot of a chain in a tree of 2^`height` leaves; `height` is at most [`HEIGHT_MAX`].
#[must_use]
pub const fn expected_index(nonce: u32, chain_id: u32, height: u32) -> u32 {
    const FACTOR: u32 = 1_103_515_245;
    const STEP: u32 = 12_345;
    let first = nonce.wrapping_mul(FACTOR).wrapping_add(STEP).wrapping_add(chain_id);
    let second = first.wrapping_mul(FACTOR).wrapping_add(STEP);
    second & ((1 << height) - 1)
}

/// Folds a leaf with its siblings up to the root; bit *n* of `index` says that the node at level *n* is
/// the right one.
#[must_use]
pub fn fold(leaf: [u8; 32], branch: &[[u8; 32]], index: u32) -> [u8; 32] {
    let (mut hash, mut index) = (leaf, index);
    for sibling in branch {
        hash = if index & 1 == 0 {
            sha256d(&[hash, *sibling].concat())
        } else {
            sha256d(&[*sibling, hash].concat())
        };
        index >>= 1;
    }
    hash
}

/// Why blocks cannot stand in one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuxTreeError {
    /// No chain, or too many.
    #[error("an auxiliary tree has 1 to {CHAINS_MAX} chains, not {0}")]
    Count(usize),
    /// One chain twice, or two chains whose ids no tree of the allowed height tells apart.
    #[error("two auxiliary chains have the id {0} and cannot stand in one tree")]
    SameId(u32),
}

impl Blamed for AuxTreeError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// A tree of auxiliary blocks. Slots without a block hold zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxTree {
    height: u32,
    nonce: u32,
    root: [u8; 32],
    places: Vec<(u32, Vec<[u8; 32]>)>,
}

impl AuxTree {
    /// The smallest tree for blocks given as chain id and hash (internal byte order).
    ///
    /// # Errors
    /// When there are no or too many blocks, or two of one chain.
    pub fn build(blocks: &[(u32, [u8; 32])], nonce: u32) -> Result<AuxTree, AuxTreeError> {
        if blocks.is_empty() || blocks.len() > CHAINS_MAX {
            return Err(AuxTreeError::Count(blocks.len()));
        }
        let height = height_for(blocks)?;
        let index = |id: u32| expected_index(nonce, id, height);
        let mut places: Vec<_> =
            blocks.iter().map(|(id, _)| (index(*id), Vec::with_capacity(30))).collect();
        let mut level: BTreeMap<u32, [u8; 32]> =
            blocks.iter().map(|(id, hash)| (index(*id), *hash)).collect();
        // What a slot without blocks below it holds, level by level.
        let mut empty = [0; 32];
        for depth in 0..height {
            let node = |at: u32| level.get(&at).copied().unwrap_or(empty);
            for (index, branch) in &mut places {
                branch.push(node((*index >> depth) ^ 1));
            }
            let above: BTreeMap<u32, [u8; 32]> = level
                .keys()
                .map(|at| at >> 1)
                .map(|at| (at, sha256d(&[node(at << 1), node(at << 1 | 1)].concat())))
                .collect();
            empty = sha256d(&[empty, empty].concat());
            level = above;
        }
        let root = level.get(&0).copied().unwrap_or(empty);
        Ok(AuxTree { height, nonce, root, places })
    }

    /// The root, internal byte order.
    #[must_use]
    pub const fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// Leaves, filled or not.
    #[must_use]
    pub const fn size(&self) -> u32 {
        1 << self.height
    }

    /// The nonce the slots were found with.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        self.nonce
    }

    /// Slot and branch of each block, in the order they were given.
    #[must_use]
    pub fn places(&self) -> &[(u32, Vec<[u8; 32]>)] {
        &self.places
    }
}

/// The smallest height at which no two ids fall into one slot.
fn height_for(blocks: &[(u32, [u8; 32])]) -> Result<u32, AuxTreeError> {
    for height in 0..=HEIGHT_MAX {
        let mask = (1 << height) - 1;
        let mut slots: Vec<u32> = blocks.iter().map(|(id, _)| id & mask).collect();
        slots.sort_unstable();
        if slots.windows(2).all(|pair| pair[0] != pair[1]) {
            return Ok(height);
        }
    }
    let mut ids: Vec<u32> = blocks.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable_by_key(|id| id & ((1 << HEIGHT_MAX) - 1));
    let mask = (1 << HEIGHT_MAX) - 1;
    let twice = ids.windows(2).find(|pair| pair[0] & mask == pair[1] & mask);
    Err(AuxTreeError::SameId(twice.map_or(0, |pair| pair[0])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn every_chain_has_a_slot_of_its_own_and_its_branch_leads_to_the_root(
            ids in proptest::collection::btree_set(0u32..1 << 16, 1..=CHAINS_MAX),
            nonce: u32,
        ) {
            let blocks: Vec<_> = ids.iter().map(|id| (*id, sha256d(&id.to_le_bytes()))).collect();
            let tree = AuxTree::build(&blocks, nonce).unwrap();
            let mut slots = BTreeSet::new();
            for ((id, hash), (index, branch)) in blocks.iter().zip(tree.places()) {
                prop_assert_eq!(branch.len(), tree.size().ilog2() as usize);
                prop_assert_eq!(*index, expected_index(nonce, *id, tree.size().ilog2()));
                prop_assert_eq!(&fold(*hash, branch, *index), tree.root());
                prop_assert!(slots.insert(*index));
            }
        }

        #[test]
        fn no_smaller_tree_keeps_the_chains_apart(
            ids in proptest::collection::btree_set(0u32..1 << 12, 2..10), nonce: u32,
        ) {
            let blocks: Vec<_> = ids.iter().map(|id| (*id, [1; 32])).collect();
            let height = AuxTree::build(&blocks, 0).unwrap().size().ilog2();
            let slots: BTreeSet<_> =
                ids.iter().map(|id| expected_index(nonce, *id, height - 1)).collect();
            prop_assert!(slots.len() < ids.len());
        }
    }

    #[test]
    fn one_chain_alone_is_its_own_root() {
        let tree = AuxTree::build(&[(98, [7; 32])], 0).unwrap();
        assert_eq!((tree.size(), *tree.root()), (1, [7; 32]));
        assert_eq!(tree.places(), [(0, vec![])]);
    }

    #[test]
    fn no_chain_twice_and_not_more_than_the_limit() {
        assert_eq!(AuxTree::build(&[], 0), Err(AuxTreeError::Count(0)));
        let twice = [(98, [1; 32]), (1, [2; 32]), (98, [3; 32])];
        assert_eq!(AuxTree::build(&twice, 0), Err(AuxTreeError::SameId(98)));
        let many: Vec<_> = (0..33).map(|id| (id, [0; 32])).collect();
        assert_eq!(AuxTree::build(&many, 0), Err(AuxTreeError::Count(33)));
    }
}
