//! A tree of which some leaves are shown, in their order; of what stands between them the roots of subtrees only.
//!
//! What a proof of inclusion is for one leaf, this is for many: each hash that is needed stands once.

use super::{RootBuilder, node_hash};
use crate::Hash;

/// The subtrees (first leaf, number of leaves) of the tree over `size` leaves that together are its leaves from `from` up to `to`:
/// as few as can be. Full ones, and at the end of the tree all of the rest in one where that is a subtree.
#[must_use]
pub fn between(size: u64, from: u64, to: u64) -> Vec<(u64, u64)> {
    let (mut at, mut all) = (from, Vec::new());
    while at < to {
        // The largest power of two that divides the place; of the first place every one does.
        let aligned = if at == 0 { u64::MAX } else { 1 << at.trailing_zeros() };
        let left = to - at;
        let leaves = match to == size && left < aligned {
            true => left,
            false => aligned.min(1 << left.ilog2()),
        };
        all.push((at, leaves));
        at += leaves;
    }
    all
}

/// Such a tree, rebuilt by whoever is shown it: one hash of memory a level.
#[derive(Clone, Debug)]
pub struct PrunedTree {
    size: u64,
    full: RootBuilder,
    /// The root over all that is behind the full subtrees.
    rest: Option<Hash>,
}

impl PrunedTree {
    /// Of so many leaves.
    #[must_use]
    pub const fn new(size: u64) -> PrunedTree {
        PrunedTree { size, full: RootBuilder::new(), rest: None }
    }

    /// Adds what stands before leaf `to`, taking the root of each of [`between`]'s subtrees from `next`.
    ///
    /// # Errors
    /// What `next` says.
    pub fn skip_to<E>(
        &mut self,
        to: u64,
        mut next: impl FnMut() -> Result<Hash, E>,
    ) -> Result<(), E> {
        for (at, leaves) in between(self.size, self.full.size(), to) {
            let root = next()?;
            match leaves.is_power_of_two() {
                true => self.full.push_full(root, leaves),
                false => self.rest = Some(root),
            }
            debug_assert!(at < self.size, "a subtree outside the tree");
        }
        Ok(())
    }

    /// Adds the next leaf.
    pub fn show(&mut self, leaf: Hash) {
        self.full.push(leaf);
    }

    /// The root; `None` while leaves are missing, or when more were shown than it has.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        match self.rest {
            None => (self.full.size() == self.size).then(|| self.full.root()),
            Some(rest) => {
                let peaks = self.full.peaks.iter().rev();
                Some(peaks.fold(rest, |right, left| node_hash(left, &right)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GrownTree, inclusion_proof, leaf_hash, root};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shown_leaves_and_the_subtrees_between_them_make_the_root(
            size in 1u64..140,
            shown in proptest::collection::btree_set(0u64..140, 0..12),
        ) {
            let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut grown = GrownTree::default();
            leaves.iter().for_each(|leaf| grown.push(*leaf));
            let part = |at: u64, len: u64| {
                let (at, len) = (usize::try_from(at).unwrap(), usize::try_from(len).unwrap());
                assert_eq!(grown.over(at, len), Some(root(&leaves[at..at + len])));
                root(&leaves[at..at + len])
            };
            let mut pruned = PrunedTree::new(size);
            let (mut at, mut hashes) = (0, 0);
            let shown: Vec<u64> = shown.into_iter().filter(|n| *n < size).collect();
            for place in shown.iter().copied().chain([size]) {
                let mut roots = between(size, at, place).into_iter().map(|(a, n)| part(a, n));
                hashes += between(size, at, place).len();
                pruned.skip_to(place, || roots.next().ok_or(())).unwrap();
                if place < size {
                    prop_assert_eq!(pruned.root(), None);
                    pruned.show(leaves[usize::try_from(place).unwrap()]);
                }
                at = place + 1;
            }
            prop_assert_eq!(pruned.root(), Some(root(&leaves)));
            if let [one] = shown[..] {
                // As many as a proof of inclusion has.
                let proof = inclusion_proof(&leaves, usize::try_from(one).unwrap()).unwrap();
                prop_assert_eq!(hashes, proof.len());
            }
        }
    }

    #[test]
    fn a_leaf_too_many_is_no_root() {
        let mut pruned = PrunedTree::new(1);
        pruned.show([1; 32]);
        assert_eq!(pruned.root(), Some([1; 32]));
        pruned.show([2; 32]);
        assert_eq!(pruned.root(), None);
    }
}
