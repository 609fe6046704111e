//! Merkle trees whose nodes also add up.
//!
//! Leaves are `SHA-256(0x00 ‖ sum ‖ data)`, nodes `SHA-256(0x02 ‖ left sum ‖ left hash ‖ right sum ‖
//! right hash)`, sums are 16 bytes big-endian and may not overflow; the shape is RFC 6962's. Each
//! child's sum is hashed: a node that hashes only the total lets the operator show each customer
//! another sibling sum (the data in `testdata/merkle-sum-forgery.json` does it).

use crate::{Hash, sha256};

/// A node: what stands below it adds up to `sum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumNode {
    /// The sum of the leaves below.
    pub sum: u128,
    /// The hash.
    pub hash: Hash,
}

impl SumNode {
    /// The empty tree: nothing, and the hash of nothing.
    #[must_use]
    pub fn empty() -> SumNode {
        SumNode { sum: 0, hash: sha256(&[]) }
    }

    /// A leaf.
    #[must_use]
    pub fn leaf(sum: u128, data: &[u8]) -> SumNode {
        SumNode { sum, hash: sha256(&[&[0], &sum.to_be_bytes(), data]) }
    }

    /// The parent of two nodes; `None` when the sum does not fit.
    #[must_use]
    pub fn parent(left: &SumNode, right: &SumNode) -> Option<SumNode> {
        let sum = left.sum.checked_add(right.sum)?;
        let (l, r) = (left.sum.to_be_bytes(), right.sum.to_be_bytes());
        Some(SumNode { sum, hash: sha256(&[&[2], &l, &left.hash, &r, &right.hash]) })
    }
}

/// The root over leaves; `None` when the sum does not fit.
#[must_use]
pub fn root(leaves: &[SumNode]) -> Option<SumNode> {
    match leaves {
        [] => Some(SumNode::empty()),
        [one] => Some(*one),
        many => {
            let (left, right) = many.split_at(split_point(many.len()));
            SumNode::parent(&root(left)?, &root(right)?)
        }
    }
}

fn split_point(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// The siblings from leaf `index` to the root, lowest first; `None` when there is no such leaf or a sum
/// does not fit.
#[must_use]
pub fn inclusion_proof(leaves: &[SumNode], index: usize) -> Option<Vec<SumNode>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut rest, mut at, mut proof) = (leaves, index, Vec::new());
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split_point(rest.len()));
        if at < left.len() {
            proof.push(root(right)?);
            rest = left;
        } else {
            proof.push(root(left)?);
            at -= left.len();
            rest = right;
        }
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows a leaf of this sum and data at `index` in the tree of `size` leaves with this
/// root.
#[must_use]
pub fn verify_inclusion(
    root: &SumNode,
    size: u64,
    index: u64,
    leaf: &SumNode,
    proof: &[SumNode],
) -> bool {
    climb(size, index, leaf, proof).is_some_and(|top| top == *root)
}

/// The root a proof leads to; `None` when its length does not fit or a sum overflows.
fn climb(size: u64, index: u64, leaf: &SumNode, proof: &[SumNode]) -> Option<SumNode> {
    if index >= size {
        return None;
    }
    let (mut fnode, mut snode, mut node) = (index, size - 1, *leaf);
    for sibling in proof {
        if snode == 0 {
            return None;
        }
        if fnode & 1 == 1 || fnode == snode {
            node = SumNode::parent(sibling, &node)?;
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            node = SumNode::parent(&node, sibling)?;
        }
        fnode >>= 1;
        snode >>= 1;
    }
    (snode == 0).then_some(node)
}
