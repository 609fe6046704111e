//! What the house owes, asset by asset: a tree that adds up, in which each customer can find his own part.
//!
//! A leaf is what is owed to one customer in one asset: available, held, maturing, and the refund value of what he has
//! paid for and not been given. Its key is a salted hash of whose it is, so that two customers cannot be shown one leaf
//! (each finds his own id in it) and nobody else learns whose it is. Other debts of the books (rewards that nobody's
//! account shows yet, payouts under way) are leaves too, of the house's own kind: the root is all of it. Leaves stand in
//! the order of their keys, which is another in every statement. Leaves of nothing fill the tree up to a power of two, so
//! that its size tells the number of customers to a factor of two only; nothing can be taken off by them, because a sum
//! is never negative.
//!
//! ```text
//! key  = SHA-256("gruve owed 1\0" ‖ salt (32) ‖ statement (8) ‖ length ‖ asset ‖ kind (1) ‖ id (16))
//! leaf = SHA-256(00 ‖ sum (16) ‖ key (32) ‖ available ‖ held ‖ maturing ‖ prepaid (16 each))
//! node = SHA-256(02 ‖ left sum (16) ‖ left hash ‖ right sum (16) ‖ right hash)
//! kept = "GRUVOWE1" ‖ leaves (8) ‖ leaves (96: key and amounts) ‖ nodes above (48: sum, hash), lowest level first
//! ```
//!
//! The kept file is private: it is what proofs are made of, some twenty short reads each.

use crate::sum_tree::SumNode;
use crate::wire::Wire;
use crate::{Hash, sha256};
use gruve_units::AccountId;
use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: [u8; 8] = *b"GRUVOWE1";
const HEAD: u64 = 16;
const LEAF_BYTES: usize = 32 + 4 * 16;
const NODE_BYTES: usize = 16 + 32;
/// Leaves of a tree at least: so that a young house does not tell how few customers it has.
pub const LEAVES_MIN: u64 = 64;
/// Leaves of a tree at most: 2.4 GB kept. Building holds the file in memory.
pub const LEAVES_MAX: u64 = 1 << 24;
/// Bytes of an asset's name at most.
pub const ASSET_MAX: usize = 32;

/// What is owed to somebody, in minor units of the asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owed {
    /// To be withdrawn or spent at any time.
    #[serde(with = "crate::sold::decimal")]
    pub available: u128,
    /// Set aside for something under way.
    #[serde(with = "crate::sold::decimal")]
    pub held: u128,
    /// Earned and not settled yet, rounded down.
    #[serde(with = "crate::sold::decimal")]
    pub maturing: u128,
    /// What would be refunded of work paid for and not delivered.
    #[serde(with = "crate::sold::decimal")]
    pub prepaid: u128,
}

impl Owed {
    /// All of it; `None` when it does not fit.
    #[must_use]
    pub fn sum(&self) -> Option<u128> {
        let parts = [self.held, self.maturing, self.prepaid];
        parts.iter().try_fold(self.available, |sum, part| sum.checked_add(*part))
    }

    /// Both together; `None` when a part does not fit.
    #[must_use]
    pub fn checked_add(&self, other: &Owed) -> Option<Owed> {
        Some(Owed {
            available: self.available.checked_add(other.available)?,
            held: self.held.checked_add(other.held)?,
            maturing: self.maturing.checked_add(other.maturing)?,
            prepaid: self.prepaid.checked_add(other.prepaid)?,
        })
    }

    fn to_bytes(self) -> [u8; 64] {
        let mut out = [0; 64];
        let parts = [self.available, self.held, self.maturing, self.prepaid];
        for (to, v) in out.as_chunks_mut::<16>().0.iter_mut().zip(parts) {
            *to = v.to_be_bytes();
        }
        out
    }
}

/// Who is owed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A customer.
    Customer(AccountId),
    /// An account of the books that is no single customer's, by name.
    House(String),
}

impl Whose {
    fn parts(&self) -> (u8, [u8; 16]) {
        match self {
            Whose::Customer(id) => (0, id.to_bytes()),
            Whose::House(name) => (1, first_half(&sha256(&[name.as_bytes()]))),
        }
    }
}

fn first_half(hash: &Hash) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

/// A statement's tree of one asset, by what its keys are made of.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The statement's number.
    pub statement: u64,
    /// The asset's name, at most [`ASSET_MAX`] bytes.
    pub asset: &'a str,
}

impl Of<'_> {
    /// A leaf's key.
    fn key(&self, salt: &Hash, kind: u8, id: &[u8; 16]) -> Hash {
        let asset = self.asset.as_bytes();
        let len = u8::try_from(asset.len()).unwrap_or(u8::MAX);
        let at = self.statement.to_be_bytes();
        sha256(&[b"gruve owed 1\0", salt, &at, &[len], asset, &[kind], id])
    }

    /// A leaf's salt: what the operator alone can make again, in a form that needs no storing.
    #[must_use]
    pub fn salt(&self, secret: &[u8; 32], whose: &Whose) -> Hash {
        let (kind, id) = whose.parts();
        self.salt_of(secret, kind, &id)
    }

    fn salt_of(&self, secret: &[u8; 32], kind: u8, id: &[u8; 16]) -> Hash {
        let at = self.statement.to_be_bytes();
        sha256(&[b"gruve owed salt 1\0", secret, &at, &[kind], id, self.asset.as_bytes()])
    }
}

/// A customer's leaf.
#[must_use]
pub fn leaf(of: &Of<'_>, salt: &Hash, account: AccountId, owed: &Owed) -> Option<SumNode> {
    let (kind, id) = Whose::Customer(account).parts();
    node(&of.key(salt, kind, &id), owed)
}

fn node(key: &Hash, owed: &Owed) -> Option<SumNode> {
    let data = [&key[..], &owed.to_bytes()].concat();
    Some(SumNode::leaf(owed.sum()?, &data))
}

/// A built tree.
#[derive(Clone, Debug)]
pub struct Built {
    /// All that is owed, and the hash that stands for it.
    pub root: SumNode,
    /// Leaves, those of nothing included.
    pub leaves: u64,
    /// What proofs are made of; private.
    pub kept: Vec<u8>,
}

/// Builds the tree. `None` when somebody is named twice, there are too many, or a sum does not fit.
#[must_use]
pub fn build(of: &Of<'_>, secret: &[u8; 32], owed: &[(Whose, Owed)]) -> Option<Built> {
    let count = (owed.len() as u64).max(LEAVES_MIN).next_power_of_two();
    if count > LEAVES_MAX || of.asset.len() > ASSET_MAX {
        return None;
    }
    let key = |kind: u8, id: &[u8; 16]| of.key(&of.salt_of(secret, kind, id), kind, id);
    let mut leaves: Vec<(Hash, Owed)> = Vec::with_capacity(usize::try_from(count).ok()?);
    for (whose, amounts) in owed {
        let (kind, id) = whose.parts();
        leaves.push((key(kind, &id), *amounts));
    }
    for n in owed.len() as u64..count {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        leaves.push((key(2, &id), Owed::default()));
    }
    leaves.sort_unstable_by_key(|(key, _)| *key);
    if leaves.windows(2).any(|w| w[0].0 == w[1].0) {
        return None;
    }
    let mut kept = Vec::with_capacity(16 + leaves.len() * (LEAF_BYTES + NODE_BYTES));
    kept.extend(MAGIC);
    kept.extend(count.to_be_bytes());
    let mut level = Vec::with_capacity(leaves.len());
    for (key, amounts) in &leaves {
        kept.extend(key);
        kept.extend(amounts.to_bytes());
        level.push(node(key, amounts)?);
    }
    while level.len() > 1 {
        // A power of two: every node has its sibling.
        let parents = level.as_chunks::<2>().0.iter().map(|[l, r]| SumNode::parent(l, r));
        level = parents.collect::<Option<Vec<_>>>()?;
        for node in &level {
            kept.extend(node.sum.to_be_bytes());
            kept.extend(node.hash);
        }
    }
    Some(Built { root: *level.first()?, leaves: count, kept })
}

/// A customer's part, found in a kept file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundOwed {
    /// The leaf's place.
    pub index: u64,
    /// What is owed.
    pub owed: Owed,
    /// Its siblings, lowest first.
    pub proof: Vec<SumNode>,
}

/// Finds a customer in a kept file; `None` when nothing is owed to him there.
///
/// # Errors
/// When the file cannot be read or is not one.
pub fn find(
    kept: &mut (impl Read + Seek),
    of: &Of<'_>,
    salt: &Hash,
    account: AccountId,
) -> io::Result<Option<FoundOwed>> {
    let (kind, id) = Whose::Customer(account).parts();
    let wanted = of.key(salt, kind, &id);
    kept.seek(SeekFrom::Start(0))?;
    let mut w = Wire::new(&mut *kept);
    let magic: [u8; 8] = w.array("the head").map_err(broken)?;
    let count = w.u64("the head").map_err(broken)?;
    if magic != MAGIC || !count.is_power_of_two() || count > LEAVES_MAX {
        return Err(broken("not a kept tree of liabilities"));
    }
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        let (key, owed) = read_leaf(kept, middle)?;
        match key.cmp(&wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                let proof = siblings(kept, count, middle)?;
                return Ok(Some(FoundOwed { index: middle, owed, proof }));
            }
        }
    }
    Ok(None)
}

fn siblings(kept: &mut (impl Read + Seek), count: u64, index: u64) -> io::Result<Vec<SumNode>> {
    let (key, owed) = read_leaf(kept, index ^ 1)?;
    let mut proof = vec![node(&key, &owed).ok_or_else(|| broken("a sum that does not fit"))?];
    let mut level_at = HEAD + count * LEAF_BYTES as u64;
    let (mut width, mut at) = (count / 2, index / 2);
    while width > 1 {
        kept.seek(SeekFrom::Start(level_at + (at ^ 1) * NODE_BYTES as u64))?;
        let mut w = Wire::new(&mut *kept);
        let sum = w.u128("a node").map_err(broken)?;
        proof.push(SumNode { sum, hash: w.array("a node").map_err(broken)? });
        level_at += width * NODE_BYTES as u64;
        (width, at) = (width / 2, at / 2);
    }
    Ok(proof)
}

fn read_leaf(kept: &mut (impl Read + Seek), at: u64) -> io::Result<(Hash, Owed)> {
    kept.seek(SeekFrom::Start(HEAD + at * LEAF_BYTES as u64))?;
    let mut w = Wire::new(&mut *kept);
    let mut amount = || w.u128("a leaf").map_err(broken);
    // The key is read as two halves, so that one reader serves.
    let (high, low) = (amount()?, amount()?);
    let owed =
        Owed { available: amount()?, held: amount()?, maturing: amount()?, prepaid: amount()? };
    let mut key = [0; 32];
    key[..16].copy_from_slice(&high.to_be_bytes());
    key[16..].copy_from_slice(&low.to_be_bytes());
    Ok((key, owed))
}

#[allow(clippy::needless_pass_by_value)] // errors are handed over by map_err
fn broken(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sum_tree;
    use proptest::prelude::*;
    use std::io::Cursor;

    const SECRET: [u8; 32] = [3; 32];
    const OF: Of<'static> = Of { statement: 4, asset: "BTC" };

    fn customer(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    fn debts(n: u8) -> Vec<(Whose, Owed)> {
        let mut all: Vec<_> = (0..n)
            .map(|i| {
                let v = u128::from(i) * 10;
                let owed = Owed { available: v, held: 1, maturing: 2, prepaid: 3 };
                (Whose::Customer(customer(i)), owed)
            })
            .collect();
        let rest = Owed { maturing: 500, ..Owed::default() };
        all.push((Whose::House("rewards:btc".into()), rest));
        all
    }

    fn shown(built: &Built, n: u8) -> Option<(FoundOwed, SumNode)> {
        let salt = OF.salt(&SECRET, &Whose::Customer(customer(n)));
        let found = find(&mut Cursor::new(&built.kept), &OF, &salt, customer(n)).unwrap()?;
        let leaf = leaf(&OF, &salt, customer(n), &found.owed).unwrap();
        Some((found, leaf))
    }

    proptest! {
        #[test]
        fn everybody_finds_what_is_owed_to_him_and_nothing_else_is_shown(n in 1u8..150, at in 0u8..150) {
            let all = debts(n);
            let built = build(&OF, &SECRET, &all).unwrap();
            let sum: u128 = all.iter().map(|(_, o)| o.sum().unwrap()).sum();
            prop_assert_eq!(built.root.sum, sum);
            prop_assert!(built.leaves >= all.len() as u64 && built.leaves.is_power_of_two());
            let found = shown(&built, at);
            prop_assert_eq!(found.is_some(), at < n);
            let Some((found, leaf)) = found else { return Ok(()) };
            prop_assert_eq!(found.owed, all[usize::from(at)].1);
            let good = |leaf: &SumNode, index: u64, proof: &[SumNode]| {
                sum_tree::verify_inclusion(&built.root, built.leaves, index, leaf, proof)
            };
            prop_assert!(good(&leaf, found.index, &found.proof));
            // Less owed, somebody else's leaf, another place, a sibling that hides a debt.
            let salt = OF.salt(&SECRET, &Whose::Customer(customer(at)));
            let less = Owed { held: 0, ..found.owed };
            let less = super::leaf(&OF, &salt, customer(at), &less).unwrap();
            prop_assert!(!good(&less, found.index, &found.proof));
            let other = super::leaf(&OF, &salt, customer(at ^ 1), &found.owed).unwrap();
            prop_assert!(!good(&other, found.index, &found.proof));
            prop_assert!(!good(&leaf, found.index ^ 1, &found.proof));
            for level in 0..found.proof.len() {
                let mut proof = found.proof.clone();
                proof[level].sum = proof[level].sum.wrapping_sub(1);
                prop_assert!(!good(&leaf, found.index, &proof), "level {}", level);
            }
        }
    }

    #[test]
    fn nobody_stands_in_it_twice_and_sums_do_not_turn_over() {
        let mut twice = debts(3);
        twice.push(twice[0].clone());
        assert!(build(&OF, &SECRET, &twice).is_none());
        let huge = Owed { available: u128::MAX, ..Owed::default() };
        let one = Owed { available: 1, ..Owed::default() };
        let both = [(Whose::Customer(customer(1)), huge), (Whose::Customer(customer(2)), one)];
        assert!(build(&OF, &SECRET, &both).is_none());
        let over = Owed { held: 1, ..huge };
        assert!(build(&OF, &SECRET, &[(Whose::Customer(customer(1)), over)]).is_none());
        assert!(build(&OF, &SECRET, &both[..1]).is_some());
    }

    #[test]
    fn places_and_salts_of_a_customer_differ_from_statement_to_statement() {
        let place = |statement: u64| {
            let of = Of { statement, asset: "BTC" };
            let built = build(&of, &SECRET, &debts(40)).unwrap();
            let salt = of.salt(&SECRET, &Whose::Customer(customer(7)));
            find(&mut Cursor::new(&built.kept), &of, &salt, customer(7)).unwrap().unwrap().index
        };
        let places: std::collections::BTreeSet<u64> = (1..9).map(place).collect();
        assert!(places.len() > 2, "{places:?}");
    }

    #[test]
    fn a_name_longer_than_a_statement_may_have_has_no_tree() {
        for (len, is_built) in [(ASSET_MAX, true), (ASSET_MAX + 1, false)] {
            let of = Of { statement: 4, asset: &"A".repeat(len) };
            assert_eq!(build(&of, &SECRET, &debts(1)).is_some(), is_built, "{len}");
        }
    }

    #[test]
    fn another_file_in_place_of_the_kept_one_is_named() {
        let built = build(&OF, &SECRET, &debts(5)).unwrap();
        let salt = OF.salt(&SECRET, &Whose::Customer(customer(1)));
        for (at, bytes) in [
            (0, *b"GRUVOWE2"),
            (8, 65u64.to_be_bytes()),
            (8, (2 * LEAVES_MAX).to_be_bytes()),
            (8, 0u64.to_be_bytes()),
        ] {
            let mut kept = built.kept.clone();
            kept[at..at + 8].copy_from_slice(&bytes);
            let said = find(&mut Cursor::new(kept), &OF, &salt, customer(1)).unwrap_err();
            assert_eq!(said.to_string(), "not a kept tree of liabilities", "{at}: {bytes:?}");
        }
    }

    #[test]
    fn a_damaged_kept_file_is_an_error_or_does_not_lead_to_the_root() {
        let built = build(&OF, &SECRET, &debts(5)).unwrap();
        assert!(built.kept.len() == 16 + 64 * LEAF_BYTES + 63 * NODE_BYTES);
        for cut in [0, 8, 15, 16, 100, built.kept.len() - 100] {
            let salt = OF.salt(&SECRET, &Whose::Customer(customer(1)));
            let mut file = Cursor::new(&built.kept[..cut]);
            let found = find(&mut file, &OF, &salt, customer(1));
            assert!(found.is_err() || cut > 16 + 64 * LEAF_BYTES, "cut at {cut}");
        }
    }
}
