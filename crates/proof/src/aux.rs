//! Merge-mining: the blocks of other chains that a job's coinbase commits to.
//!
//! The coinbase's script holds a tag: `fabe6d6d`, the root of a tree of auxiliary blocks (its bytes reversed), the tree's size
//! and a nonce. Each chain has one slot, found from its id, the size and the nonce; slots without a block hold zeros. The
//! record names every block in the tree, so a reader makes the tree himself: it holds what is named and nothing else. That is
//! more than a branch to each block would show.
//!
//! A tag is Namecoin's and Dogecoin's (`auxpow.cpp`).

use crate::Hash;
use gruve_pow::sha256d;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a tag begins with.
pub const TAG: [u8; 4] = [0xfa, 0xbe, 0x6d, 0x6d];
/// Bytes of a tag.
pub const TAG_LEN: usize = 4 + 32 + 4 + 4;
/// Auxiliary blocks of a job at most, and chains of a record.
pub const BLOCKS_MAX: usize = 32;
/// Letters of a coin's name at most.
pub const NAME_MAX: usize = 16;
/// The longest branch that the chains take, and so the highest tree.
const HEIGHT_MAX: u32 = 30;

/// A block that a job's work is for beside its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuxBlock {
    /// Its chain's id in merge-mining.
    pub chain_id: u32,
    /// Its chain's coin, as the operator calls it: 1 to [`NAME_MAX`] of A–Z and 0–9.
    pub coin: String,
    /// Its hash, internal byte order.
    pub hash: Hash,
    /// Its target, compact, as the operator says it.
    pub bits: u32,
    /// Its height, likewise.
    pub height: u64,
}

impl AuxBlock {
    pub(crate) fn bytes(&self) -> usize {
        4 + 1 + self.coin.len() + 32 + 4 + 8
    }
}

pub(crate) fn is_name(name: &[u8]) -> bool {
    let is_letter = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    (1..=NAME_MAX).contains(&name.len()) && name.iter().all(is_letter)
}

/// How often a tag begins in bytes. (It cannot overlap itself.)
#[must_use]
pub fn tags(bytes: &[u8]) -> usize {
    bytes.windows(TAG.len()).filter(|w| **w == TAG).count()
}

/// How often a whole tag stands in a script, which alone says to a chain what work is for.
#[must_use]
pub fn whole_tags(script: &[u8]) -> usize {
    script.windows(TAG_LEN).filter(|w| w.starts_with(&TAG)).count()
}

/// Why a script does not commit to the blocks that a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuxError {
    /// Blocks are named and there is no tag.
    #[error("its script commits to no other chain's blocks")]
    Missing,
    /// A tag is there and no blocks are named.
    #[error("its script commits to other chains' blocks that are not named")]
    NotNamed,
    /// More than one tag.
    #[error("two merge-mining tags in one coinbase")]
    Several,
    /// The tag does not stand in the script as it is given, or its size is none.
    #[error("its merge-mining tag is cut or of no size that a tree has")]
    Malformed,
    /// Two chains have one slot.
    #[error("two chains have one slot of the tree")]
    SameSlot,
    /// Another tree.
    #[error("its script commits to other blocks than those that are named")]
    OtherRoot,
}

/// Holds the blocks of a job, ascending by chain, against the script of its coinbase; `rolled` is the part of the script that
/// miners change.
///
/// # Errors
/// Where they disagree.
pub fn check(script: &[u8], rolled: Range<usize>, blocks: &[AuxBlock]) -> Result<(), AuxError> {
    let at = script.windows(TAG.len()).position(|w| *w == TAG);
    let at = match (at, blocks) {
        (None, []) => return Ok(()),
        (None, _) => return Err(AuxError::Missing),
        (Some(_), []) => return Err(AuxError::NotNamed),
        (Some(_), _) if tags(script) > 1 => return Err(AuxError::Several),
        (Some(at), _) => at,
    };
    let tag: &[u8; TAG_LEN] =
        script.get(at..).and_then(|s| s.first_chunk()).ok_or(AuxError::Malformed)?;
    // What a miner can change commits to nothing.
    if at < rolled.end && rolled.start < at + TAG_LEN {
        return Err(AuxError::Malformed);
    }
    let word = |at: usize| u32::from_le_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
    let (size, nonce) = (word(36), word(40));
    if !size.is_power_of_two() || size.ilog2() > HEIGHT_MAX {
        return Err(AuxError::Malformed);
    }
    let mut root: Hash = [0; 32];
    root.copy_from_slice(&tag[4..36]);
    root.reverse();
    match self::root(blocks, nonce, size.ilog2()) {
        None => Err(AuxError::SameSlot),
        Some(own) if own == root => Ok(()),
        Some(_) => Err(AuxError::OtherRoot),
    }
}

/// The slot of a chain in a tree of 2^`height` leaves.
const fn slot(nonce: u32, chain_id: u32, height: u32) -> u32 {
    const FACTOR: u32 = 1_103_515_245;
    const STEP: u32 = 12_345;
    let first = nonce.wrapping_mul(FACTOR).wrapping_add(STEP).wrapping_add(chain_id);
    first.wrapping_mul(FACTOR).wrapping_add(STEP) & ((1 << height) - 1)
}

/// The root over blocks in their slots; `None` when two have one.
fn root(blocks: &[AuxBlock], nonce: u32, height: u32) -> Option<Hash> {
    let mut level = BTreeMap::new();
    for block in blocks {
        if level.insert(slot(nonce, block.chain_id, height), block.hash).is_some() {
            return None;
        }
    }
    let mut empty = [0; 32];
    for _ in 0..height {
        let node = |at: u32| level.get(&at).copied().unwrap_or(empty);
        let pair = |at: u32| sha256d(&[node(at << 1), node(at << 1 | 1)].concat());
        let above = level.keys().map(|at| at >> 1).map(|at| (at, pair(at))).collect();
        empty = sha256d(&[empty, empty].concat());
        level = above;
    }
    Some(level.get(&0).copied().unwrap_or(empty))
}

/// The tag of a tree over blocks: for whoever makes a record to test with. `None` when two blocks have one slot.
#[must_use]
pub fn tag(blocks: &[AuxBlock], nonce: u32, height: u32) -> Option<[u8; TAG_LEN]> {
    let mut out = [0; TAG_LEN];
    out[..4].copy_from_slice(&TAG);
    out[4..36].copy_from_slice(&root(blocks, nonce, height)?);
    out[4..36].reverse();
    out[36..40].copy_from_slice(&(1u32 << height.min(HEIGHT_MAX)).to_le_bytes());
    out[40..].copy_from_slice(&nonce.to_le_bytes());
    Some(out)
}
