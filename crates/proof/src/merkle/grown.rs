//! A tree that grows and gives proofs without hashing itself again.

use super::{empty_root, node_hash, split_point};
use crate::Hash;

/// Leaves and the roots of all full subtrees: two hashes of memory for a leaf.
#[derive(Clone, Debug, Default)]
pub struct GrownTree {
    /// Level *k*: roots of full subtrees of 2^k leaves.
    levels: Vec<Vec<Hash>>,
}

impl GrownTree {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else { return };
            nodes.push(node);
            let [.., left, right] = nodes.as_slice() else { return };
            if nodes.len() % 2 == 1 {
                return;
            }
            node = node_hash(left, right);
        }
    }

    /// How many leaves.
    #[must_use]
    pub fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.of(0, self.size())
    }

    /// The root over the first `size` leaves; `None` when there are fewer.
    #[must_use]
    pub fn root_of_first(&self, size: usize) -> Option<Hash> {
        (size <= self.size()).then(|| self.of(0, size))
    }

    /// The root over `size` leaves from `from` on; `None` when there are fewer, or they are no subtree of any tree.
    #[must_use]
    pub fn over(&self, from: usize, size: usize) -> Option<Hash> {
        let is_there = size > 0 && from.checked_add(size).is_some_and(|end| end <= self.size());
        let is_subtree = is_there && from.is_multiple_of(size.checked_next_power_of_two()?);
        is_subtree.then(|| self.of(from, size))
    }

    /// The root over `size` leaves from `from` on, which is a multiple of the next power of two.
    fn of(&self, from: usize, size: usize) -> Hash {
        if size == 0 {
            return empty_root();
        }
        if size.is_power_of_two() {
            let level = size.trailing_zeros() as usize;
            let known = self.levels.get(level).and_then(|l| l.get(from >> level));
            return known.copied().unwrap_or_else(empty_root);
        }
        let left = split_point(size);
        node_hash(&self.of(from, left), &self.of(from + left, size - left))
    }

    /// The siblings from a leaf to the root, lowest first; `None` when there is no such leaf.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<Hash>> {
        if index >= self.size() {
            return None;
        }
        let (mut from, mut size, mut proof) = (0, self.size(), Vec::new());
        while size > 1 {
            let left = split_point(size);
            if index < from + left {
                proof.push(self.of(from + left, size - left));
                size = left;
            } else {
                proof.push(self.of(from, left));
                (from, size) = (from + left, size - left);
            }
        }
        proof.reverse();
        Some(proof)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{inclusion_proof, leaf_hash, root};
    use super::*;

    #[test]
    fn it_gives_the_roots_and_proofs_of_the_tree_that_is_hashed_at_once() {
        let leaves: Vec<Hash> = (0..70u8).map(|n| leaf_hash(&[n])).collect();
        let mut grown = GrownTree::default();
        assert_eq!(grown.root(), empty_root());
        for n in 1..=leaves.len() {
            grown.push(leaves[n - 1]);
            assert_eq!((grown.size(), grown.root()), (n, root(&leaves[..n])));
            for index in 0..=n {
                assert_eq!(
                    grown.proof(index),
                    inclusion_proof(&leaves[..n], index),
                    "{index} of {n}"
                );
            }
        }
    }
}
