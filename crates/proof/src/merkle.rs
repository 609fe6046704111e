//! RFC 6962 Merkle trees over SHA-256: root, inclusion, consistency.
//!
//! Leaves are `SHA-256(0x00 ‖ data)`, nodes `SHA-256(0x01 ‖ left ‖ right)`, the empty tree is
//! `SHA-256("")`; a tree splits at the largest power of two below its size, and no leaf is ever doubled
//! (RFC 6962, section 2.1). Functions take leaf hashes.

mod grown;
mod pruned;

pub use grown::GrownTree;
pub use pruned::{PrunedTree, between};

use crate::{Hash, sha256};
use gruve_pow::lanes::sha256_tagged_pairs;

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    sha256(&[&[0], data])
}

/// The hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root of the empty tree.
#[must_use]
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Leaves whose subtree is hashed side by side at most: its nodes stay in the processor's nearest memory.
const TOGETHER: usize = 256;

/// The root of a full subtree: as many leaves as a power of two, [`TOGETHER`] at most.
fn full_root(leaves: &[Hash]) -> Hash {
    if let [one] = leaves {
        return *one;
    }
    let (mut one, mut other) = ([[0; 32]; TOGETHER / 2], [[0; 32]; TOGETHER / 2]);
    let (mut level, mut above) = (&mut one, &mut other);
    let mut n = leaves.len() / 2;
    sha256_tagged_pairs(1, leaves, &mut level[..n]);
    while n > 1 {
        sha256_tagged_pairs(1, &level[..n], &mut above[..n / 2]);
        std::mem::swap(&mut level, &mut above);
        n /= 2;
    }
    level[0]
}

/// A root built leaf by leaf in memory of one hash per level.
#[derive(Clone, Debug, Default)]
pub struct RootBuilder {
    /// Roots of full subtrees, largest first; their sizes are the binary digits of `size`.
    peaks: Vec<Hash>,
    size: u64,
}

impl RootBuilder {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        RootBuilder { peaks: Vec::new(), size: 0 }
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_full(leaf, 1);
    }

    /// Adds the next leaves, hashed side by side.
    pub fn extend(&mut self, leaves: &[Hash]) {
        let mut rest = leaves;
        while !rest.is_empty() {
            // The largest full subtree that may begin here and that they fill.
            let may = match self.size {
                0 => TOGETHER,
                size => TOGETHER.min(1 << size.trailing_zeros().min(usize::BITS - 1)),
            };
            let (now, later) = rest.split_at(may.min(1 << rest.len().ilog2()));
            self.push_full(full_root(now), now.len() as u64);
            rest = later;
        }
    }

    /// Adds the root of a full subtree of so many leaves, a power of two of which the size is a multiple.
    fn push_full(&mut self, root: Hash, leaves: u64) {
        let mut node = root;
        for _ in 0..(self.size / leaves).trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += leaves;
    }

    /// How many leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of what was added so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The root over leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut b = RootBuilder::new();
    b.extend(leaves);
    b.root()
}

/// The largest power of two below `n`, for `n` above one.
fn split_point(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// The siblings from leaf `index` to the root, lowest first; `None` when there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut rest, mut at, mut proof) = (leaves, index, Vec::new());
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split_point(rest.len()));
        if at < left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            at -= left.len();
            rest = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows `leaf` at `index` in the tree of `size` leaves with this root
/// (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn verify_inclusion(root: &Hash, size: u64, index: u64, leaf: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut fnode, mut snode, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            hash = node_hash(sibling, &hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && hash == *root
}

/// The proof that the tree of the first `old_size` leaves is a beginning of this one; `None` when
/// `old_size` is zero or above the size. Empty when they are the same tree.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old_size: usize) -> Option<Vec<Hash>> {
    if old_size == 0 || old_size > leaves.len() {
        return None;
    }
    let (mut rest, mut old, mut whole, mut proof) = (leaves, old_size, true, Vec::new());
    while old != rest.len() {
        let (left, right) = rest.split_at(split_point(rest.len()));
        if old <= left.len() {
            proof.push(root(right));
            rest = left;
        } else {
            proof.push(root(left));
            old -= left.len();
            rest = right;
            whole = false;
        }
    }
    if !whole {
        proof.push(root(rest));
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the tree of `old_size` leaves with `old_root` is a beginning of the tree of
/// `size` leaves with `root` (RFC 9162, section 2.1.4.2). Two trees of one size must be equal and need
/// no proof; the empty tree proves nothing and is refused.
#[must_use]
pub fn verify_consistency(
    old_root: &Hash,
    old_size: u64,
    root: &Hash,
    size: u64,
    proof: &[Hash],
) -> bool {
    if old_size == 0 || old_size > size {
        return false;
    }
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    let (mut fnode, mut snode) = (old_size - 1, size - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    // When the old tree is full, its root is the first node and is not sent.
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in path {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && old_hash == *old_root && new_hash == *root
}
