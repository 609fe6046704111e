//! The sold tree: every contract that had a claim on an epoch, under one root whose sums are the promises made.
//!
//! Leaves are sorted by contract id. What a leaf says of *work* is public under the contract's id, which only its
//! customer knows to be his; what it says of *money*, and the customer's own nonce, stands behind a salted hash that the
//! receipt opens. Nodes add three sums up and hash each child's (see [`crate::sum_tree`] for why): hashrate under
//! contract, work allocated, work still owed.
//!
//! ```text
//! private = SHA-256("gruve sold 1\0" ‖ salt (32) ‖ nonce (32) ‖ terms (32) ‖ units (16) ‖ refund (8) ‖ length ‖ asset)
//! leaf    = SHA-256(00 ‖ hashrate ‖ allocated ‖ owed ‖ id (16) ‖ kind (1) ‖ entitled (16) ‖ private (32))
//! node    = SHA-256(02 ‖ left sums (48) ‖ left hash ‖ right sums (48) ‖ right hash)
//! ```

mod kept;

pub use kept::{FoundLeaf, SoldFiles, SoldWriter, find};

use crate::wire::{Wire, WireError};
use crate::{Hash, sha256};
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::io::Read;

/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"GRUVSLD1";
/// Contracts in an epoch at most: a reader holds one hash for each level, not the leaves.
pub const CONTRACTS_MAX: u64 = 1 << 26;
/// The highest kind of a contract: 0 a lease, 1 a metered contract.
pub const KIND_MAX: u8 = 1;
/// Bytes of a leaf in the file.
pub const LEAF_BYTES: usize = 16 + 1 + 16 * 4 + 32;

/// What is added up. All in hashes, the rate in hashes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sums {
    /// Hashrate under contract.
    #[serde(with = "decimal")]
    pub hashrate: u128,
    /// Work of the epoch that was allocated.
    #[serde(with = "decimal")]
    pub allocated: u128,
    /// Work bought and not delivered yet, after the epoch.
    #[serde(with = "decimal")]
    pub owed: u128,
}

impl Sums {
    /// Both together; `None` when one does not fit.
    #[must_use]
    pub fn checked_add(&self, other: &Sums) -> Option<Sums> {
        Some(Sums {
            hashrate: self.hashrate.checked_add(other.hashrate)?,
            allocated: self.allocated.checked_add(other.allocated)?,
            owed: self.owed.checked_add(other.owed)?,
        })
    }

    /// 48 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 48] {
        let mut out = [0; 48];
        for (to, v) in
            out.as_chunks_mut::<16>().0.iter_mut().zip([self.hashrate, self.allocated, self.owed])
        {
            *to = v.to_be_bytes();
        }
        out
    }
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the leaves below add up to.
    pub sums: Sums,
    /// The hash.
    pub hash: Hash,
}

impl Node {
    /// The empty tree.
    #[must_use]
    pub fn empty() -> Node {
        Node { sums: Sums::default(), hash: sha256(&[]) }
    }

    /// The parent of two; `None` when a sum does not fit.
    #[must_use]
    pub fn parent(left: &Node, right: &Node) -> Option<Node> {
        let sums = left.sums.checked_add(&right.sums)?;
        let (l, r) = (left.sums.to_bytes(), right.sums.to_bytes());
        Some(Node { sums, hash: sha256(&[&[2], &l, &left.hash, &r, &right.hash]) })
    }
}

/// A contract in an epoch, as everybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoldLeaf {
    /// The contract.
    pub contract: ContractId,
    /// What kind: 0 a lease, 1 a metered contract.
    pub kind: u8,
    /// Rate, allocation, debt.
    pub sums: Sums,
    /// Work that it had a claim on in this epoch.
    pub entitled: u128,
    /// The hash of [`Private`].
    pub private: Hash,
}

impl SoldLeaf {
    /// The node.
    #[must_use]
    pub fn node(&self) -> Node {
        let hash = sha256(&[
            &[0],
            &self.sums.to_bytes(),
            &self.contract.to_bytes(),
            &[self.kind],
            &self.entitled.to_be_bytes(),
            &self.private,
        ]);
        Node { sums: self.sums, hash }
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEAF_BYTES);
        out.extend(self.contract.to_bytes());
        out.push(self.kind);
        out.extend(self.sums.to_bytes());
        out.extend(self.entitled.to_be_bytes());
        out.extend(self.private);
        out
    }

    fn from_bytes(b: &[u8; LEAF_BYTES]) -> Option<SoldLeaf> {
        let mut w = Wire::new(b.as_slice());
        let mut read = || -> Result<SoldLeaf, WireError> {
            let (contract, kind) = (ContractId::from_bytes(w.array("")?), w.u8("")?);
            let sums = Sums { hashrate: w.u128("")?, allocated: w.u128("")?, owed: w.u128("")? };
            Ok(SoldLeaf { contract, kind, sums, entitled: w.u128("")?, private: w.array("")? })
        };
        read().ok().filter(|leaf| leaf.kind <= KIND_MAX)
    }
}

/// What only the customer is shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Private {
    /// Random for whoever does not have the receipt.
    #[serde(with = "hex32")]
    pub salt: Hash,
    /// The customer's own, zeros when none was given: two customers cannot be shown one leaf.
    #[serde(with = "hex32")]
    pub nonce: Hash,
    /// The hash of the contract's terms.
    #[serde(with = "hex32")]
    pub terms: Hash,
    /// The accrual: reward units that the contract earned in the epoch.
    #[serde(with = "decimal")]
    pub units: u128,
    /// What would be refunded of the price if the operator stopped now, in minor units.
    pub refund_minor: i64,
    /// Of this asset, at most 255 bytes.
    pub refund_asset: String,
}

impl Private {
    /// What the leaf holds of it.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let asset = self.refund_asset.as_bytes();
        let len = u8::try_from(asset.len()).unwrap_or(u8::MAX);
        sha256(&[
            b"gruve sold 1\0",
            &self.salt,
            &self.nonce,
            &self.terms,
            &self.units.to_be_bytes(),
            &self.refund_minor.to_be_bytes(),
            &[len],
            &asset[..usize::from(len)],
        ])
    }
}

/// A contract's salt of an epoch: what is known to the operator alone, in a form that needs no storing.
#[must_use]
pub fn salt(secret: &[u8; 32], lane: &LaneId, epoch: EpochNumber, contract: ContractId) -> Hash {
    // A secret of the hash's own size before everything else, and all parts but the last of fixed length.
    let id = contract.to_bytes();
    sha256(&[b"gruve salt 1\0", secret, &id, &epoch.0.to_be_bytes(), lane.as_str().as_bytes()])
}

/// Roots of full subtrees, largest first: a root in memory of one node a level.
#[derive(Clone, Debug, Default)]
pub struct SoldBuilder {
    peaks: Vec<Node>,
    size: u64,
}

impl SoldBuilder {
    /// Adds the next leaf; `None` when a sum does not fit.
    pub fn push(&mut self, leaf: Node) -> Option<()> {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop()?;
            node = Node::parent(&left, &node)?;
        }
        self.peaks.push(node);
        self.size += 1;
        Some(())
    }

    /// How many leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root; `None` when a sum does not fit.
    #[must_use]
    pub fn root(&self) -> Option<Node> {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Some(Node::empty()) };
        peaks.try_fold(*last, |right, left| Node::parent(left, &right))
    }
}

/// The whole tree, for many proofs: each level once.
#[derive(Clone, Debug)]
pub struct SoldTree {
    /// Full subtrees of 2^level leaves, and at the end of a level what is left over.
    levels: Vec<Vec<Node>>,
}

impl SoldTree {
    /// Over leaves; `None` when a sum does not fit.
    #[must_use]
    pub fn new(leaves: Vec<Node>) -> Option<SoldTree> {
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|l| l.len() > 1) {
            // A node without a partner goes up as it is: that is RFC 6962's shape.
            let parents: Option<Vec<Node>> = last
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => Node::parent(left, right),
                    rest => rest.first().copied(),
                })
                .collect();
            levels.push(parents?);
        }
        Some(SoldTree { levels })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Node {
        self.levels.last().and_then(|l| l.first()).copied().unwrap_or_else(Node::empty)
    }

    /// Siblings from a leaf to the root, lowest first; `None` when there is no such leaf.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<Node>> {
        self.levels.first()?.get(index)?;
        let mut proof = Vec::new();
        for (level, nodes) in self.levels.iter().enumerate() {
            if let Some(sibling) = nodes.get((index >> level) ^ 1) {
                proof.push(*sibling);
            }
        }
        Some(proof)
    }
}

/// How many siblings a proof of this place has; `None` when there is no such place.
#[must_use]
pub fn siblings(size: u64, index: u64) -> Option<usize> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut n) = (index, size - 1, 0);
    while last > 0 {
        n += 1;
        while at == last && at & 1 == 0 && at != 0 {
            at >>= 1;
            last >>= 1;
        }
        at >>= 1;
        last >>= 1;
    }
    Some(n)
}

/// The root that a proof leads to; `None` when its length does not fit or a sum overflows.
#[must_use]
pub fn climb(size: u64, index: u64, leaf: &Node, proof: &[Node]) -> Option<Node> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut node) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            node = Node::parent(sibling, &node)?;
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = Node::parent(&node, sibling)?;
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(node)
}

/// The public file: whose it is, and the leaves in their order.
#[must_use]
pub fn encode(lane: &LaneId, epoch: EpochNumber, leaves: &[SoldLeaf]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let name = lane.as_str().as_bytes();
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend(name);
    out.extend(epoch.0.to_be_bytes());
    out.extend((leaves.len() as u64).to_be_bytes());
    for leaf in leaves {
        out.extend(leaf.to_bytes());
    }
    out
}

/// What a sold file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sold {
    /// How many contracts.
    pub contracts: u64,
    /// The root.
    pub root: Node,
    /// The sum of entitlements.
    pub entitled: u128,
}

/// Reads a sold file in memory of one node a level, showing each leaf to `seen`.
///
/// # Errors
/// When it is not this lane's and epoch's file, leaves are not sorted by id or have equal ones, sums overflow.
pub fn read(
    from: impl Read,
    lane: &LaneId,
    epoch: EpochNumber,
    mut seen: impl FnMut(&SoldLeaf),
) -> Result<Sold, WireError> {
    let bad = |why| Err(WireError::Malformed(why));
    let mut w = Wire::new(from);
    if w.array::<8>("the beginning")? != MAGIC {
        return bad("not a sold tree of this version");
    }
    let len = usize::from(w.u8("the lane's length")?);
    if w.bytes(len, "the lane")? != lane.as_str().as_bytes() || w.u64("the epoch")? != epoch.0 {
        return bad("a sold tree of another lane or epoch");
    }
    let contracts = w.u64("the number of contracts")?;
    if contracts > CONTRACTS_MAX {
        return bad("more contracts than the limit");
    }
    let (mut tree, mut entitled, mut last) = (SoldBuilder::default(), 0u128, None);
    for _ in 0..contracts {
        let Some(leaf) = SoldLeaf::from_bytes(&w.array("a contract")?) else {
            return bad("not a contract");
        };
        let id = leaf.contract.to_bytes();
        match last {
            Some(before) if before == id => return bad("two contracts with one id"),
            Some(before) if before > id => return bad("contracts that are not sorted by id"),
            _ => last = Some(id),
        }
        let sum = entitled.checked_add(leaf.entitled);
        let (Some(sum), Some(())) = (sum, tree.push(leaf.node())) else {
            return bad("sums of contracts that overflow");
        };
        entitled = sum;
        seen(&leaf);
    }
    w.end()?;
    let Some(root) = tree.root() else { return bad("sums of contracts that overflow") };
    Ok(Sold { contracts, root, entitled })
}

/// Numbers beyond JSON's as decimal text.
pub(crate) mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(v: &u128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(v)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u128, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

/// Hashes as hex.
pub(crate) mod hex32 {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(v: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(v))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let mut out = [0; 32];
        let text = String::deserialize(d)?;
        hex::decode_to_slice(text, &mut out).map_err(D::Error::custom)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(n: u8) -> SoldLeaf {
        SoldLeaf {
            contract: ContractId::from_bytes([n; 16]),
            kind: 0,
            sums: Sums { hashrate: 10 + u128::from(n), allocated: 5, owed: 100 },
            entitled: 6,
            private: [n; 32],
        }
    }

    fn lane() -> LaneId {
        "btc".parse().unwrap()
    }

    fn read_all(leaves: &[SoldLeaf]) -> Result<Sold, String> {
        let bytes = encode(&lane(), EpochNumber(7), leaves);
        read(bytes.as_slice(), &lane(), EpochNumber(7), |_| ()).map_err(|e| e.to_string())
    }

    proptest! {
        #[test]
        fn every_leaf_is_proven_and_no_other(n in 1usize..70, at in 0usize..70) {
            let leaves: Vec<_> = (0..n).map(|i| leaf(u8::try_from(i).unwrap())).collect();
            let nodes: Vec<_> = leaves.iter().map(SoldLeaf::node).collect();
            let tree = SoldTree::new(nodes.clone()).unwrap();
            prop_assert_eq!(read_all(&leaves).unwrap().root, tree.root());
            let at = at % n;
            let proof = tree.proof(at).unwrap();
            let (size, index) = (n as u64, at as u64);
            prop_assert_eq!(siblings(size, index), Some(proof.len()));
            prop_assert_eq!(siblings(size, size), None);
            prop_assert_eq!(climb(size, index, &nodes[at], &proof), Some(tree.root()));
            prop_assert_ne!(climb(size, (index + 1) % size.max(2), &nodes[at], &proof), Some(tree.root()));
            let other = SoldLeaf { entitled: 7, ..leaves[at] }.node();
            prop_assert_ne!(climb(size, index, &other, &proof), Some(tree.root()));
            if let Some(first) = proof.first() {
                // The forgery of trees that hash only totals: another sum beside the leaf.
                let mut forged = proof.clone();
                forged[0] = Node { sums: Sums { hashrate: 0, ..first.sums }, ..*first };
                prop_assert_ne!(climb(size, index, &nodes[at], &forged), Some(tree.root()));
            }
        }
    }

    #[test]
    fn a_tree_of_more_contracts_than_it_says_shows_none_of_them() {
        // The last leaf of a larger tree has all its siblings on its left, as if it stood above the root.
        for levels in 1..5u8 {
            let nodes: Vec<_> = (0..1 << levels).map(|n| leaf(n).node()).collect();
            let tree = SoldTree::new(nodes.clone()).unwrap();
            let at = nodes.len() - 1;
            let proof = tree.proof(at).unwrap();
            for smaller in 0..levels {
                let size = 1u64 << smaller;
                assert_eq!(climb(size, size - 1, &nodes[at], &proof), None, "{levels}, {size}");
            }
        }
    }

    #[test]
    fn equal_ids_wrong_order_and_overflow_are_named() {
        assert!(read_all(&[leaf(1), leaf(2)]).is_ok());
        assert_eq!(read_all(&[leaf(1), leaf(1)]).unwrap_err(), "two contracts with one id");
        let unsorted = read_all(&[leaf(2), leaf(1)]).unwrap_err();
        assert_eq!(unsorted, "contracts that are not sorted by id");
        let mut huge = leaf(2);
        huge.sums.owed = u128::MAX - 50;
        assert_eq!(read_all(&[leaf(1), huge]).unwrap_err(), "sums of contracts that overflow");
        let mut bytes = encode(&lane(), EpochNumber(7), &[leaf(1)]);
        bytes.push(0);
        assert!(read(bytes.as_slice(), &lane(), EpochNumber(7), |_| ()).is_err());
        bytes[8 + 4 + 8..][..8].fill(0xff);
        let absurd = read(bytes.as_slice(), &lane(), EpochNumber(7), |_| ()).unwrap_err();
        assert_eq!(absurd.to_string(), "more contracts than the limit");
    }

    #[test]
    fn the_private_part_binds_nonce_terms_and_money() {
        let p = Private {
            salt: [1; 32],
            nonce: [2; 32],
            terms: [3; 32],
            units: 4,
            refund_minor: 5,
            refund_asset: "BTC".to_owned(),
        };
        let all = [
            p.clone(),
            Private { salt: [9; 32], ..p.clone() },
            Private { nonce: [9; 32], ..p.clone() },
            Private { terms: [9; 32], ..p.clone() },
            Private { units: 9, ..p.clone() },
            Private { refund_minor: 9, ..p.clone() },
            Private { refund_asset: "LTC".to_owned(), ..p },
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().map(Private::hash).collect();
        assert_eq!(distinct.len(), all.len());
    }
}
