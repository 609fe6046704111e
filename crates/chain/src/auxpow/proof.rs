//! A merge-mining proof: made from a parent's coinbase and header, read, and checked by every rule of the
//! auxiliary chains.
//!
//! Promises: nothing from outside panics or reserves memory that was not sent; [`AuxProof::check`] says
//! yes only where Dogecoin Core would.

use super::tag::{self, MAGIC};
use super::tree::{HEIGHT_MAX, expected_index, fold};
use super::{VERSION_AUXPOW, chain_id};
use crate::ParseError;
use crate::wire::{Reader, write_compact_size};
use gruve_pow::sha256d;
use gruve_units::{Blame, Blamed};

/// Longest branch of the parent's coinbase that is read: a block of a billion transactions.
const COINBASE_BRANCH_MAX: usize = 32;
/// Longest chain branch that is read; longer than the rule allows, so that the rule can say so.
const CHAIN_BRANCH_MAX: usize = 64;
/// A root without a tag before it must begin within so many bytes of the script.
const UNTAGGED_ROOT_WITHIN: usize = 20;
/// Bytes of size and nonce after the root.
const SIZE_AND_NONCE: usize = 8;

/// A proof that work on a parent's block was work on an auxiliary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxProof {
    /// The parent's coinbase without witness.
    pub coinbase: Vec<u8>,
    /// The parent's block hash; carried, never looked at by the rules.
    pub parent_hash: [u8; 32],
    /// The coinbase's siblings in the parent's block.
    pub coinbase_branch: Vec<[u8; 32]>,
    /// Its place there: zero.
    pub coinbase_index: u32,
    /// The auxiliary block's siblings in the auxiliary tree.
    pub chain_branch: Vec<[u8; 32]>,
    /// Its slot there.
    pub chain_index: u32,
    /// The parent's header, which has the work.
    pub parent_header: [u8; 80],
}

/// Which rule a proof breaks. The words are those of the chains' own logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuxFault {
    /// The coinbase does not stand first in its block.
    #[error("AuxPow is not a generate")]
    NotGenerate,
    /// The parent claims to be a block of the auxiliary chain itself.
    #[error("Aux POW parent has our chain ID")]
    ParentHasOurChainId,
    /// The auxiliary tree is higher than allowed.
    #[error("Aux POW chain merkle branch too long")]
    BranchTooLong,
    /// The coinbase is not under the parent's merkle root.
    #[error("Aux POW merkle root incorrect")]
    NotInParent,
    /// The coinbase has no input, or is no transaction.
    #[error("Aux POW coinbase has no inputs")]
    NoInput,
    /// The root does not stand in the coinbase's script.
    #[error("Aux POW missing chain merkle root in parent coinbase")]
    RootMissing,
    /// More than one tag.
    #[error("Multiple merged mining headers in coinbase")]
    SecondTag,
    /// The tag and the root do not stand together.
    #[error("Merged mining header is not just before chain merkle root")]
    TagNotBeforeRoot,
    /// Without a tag the root stands too late.
    #[error("Aux POW chain merkle root must start in the first 20 bytes of the parent coinbase")]
    RootTooLate,
    /// The script ends before size and nonce.
    #[error("Aux POW missing chain merkle tree size and nonce in parent coinbase")]
    SizeMissing,
    /// The size is not that of the branch.
    #[error("Aux POW merkle branch size does not match parent coinbase")]
    WrongSize,
    /// The block stands in another chain's slot.
    #[error("Aux POW wrong index")]
    WrongIndex,
}

impl Blamed for AuxFault {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

impl AuxProof {
    /// Checks every rule but the proof of work itself, for the auxiliary block `hash` (internal byte order) of
    /// the chain `id`. `is_strict` is so on all of Dogecoin's networks.
    ///
    /// # Errors
    /// The first rule broken, in Dogecoin Core's order.
    pub fn check(&self, hash: &[u8; 32], id: u32, is_strict: bool) -> Result<(), AuxFault> {
        if self.coinbase_index != 0 {
            return Err(AuxFault::NotGenerate);
        }
        if is_strict && chain_id(self.parent_version()) == id {
            return Err(AuxFault::ParentHasOurChainId);
        }
        let height = u32::try_from(self.chain_branch.len()).unwrap_or(u32::MAX);
        if height > HEIGHT_MAX {
            return Err(AuxFault::BranchTooLong);
        }
        let mut root = fold(*hash, &self.chain_branch, self.chain_index);
        root.reverse();
        let in_parent = fold(sha256d(&self.coinbase), &self.coinbase_branch, self.coinbase_index);
        if in_parent != self.parent_header[36..68] {
            return Err(AuxFault::NotInParent);
        }
        let script = first_script(&self.coinbase).ok_or(AuxFault::NoInput)?;
        let (size, nonce) = size_and_nonce(script, &root)?;
        if size != 1 << height {
            return Err(AuxFault::WrongSize);
        }
        if self.chain_index != expected_index(nonce, id, height) {
            return Err(AuxFault::WrongIndex);
        }
        Ok(())
    }

    /// The parent header's version.
    #[must_use]
    pub fn parent_version(&self) -> u32 {
        let [a, b, c, d, ..] = self.parent_header;
        u32::from_le_bytes([a, b, c, d])
    }

    /// As it stands between a header and its transactions.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let siblings = self.coinbase_branch.len() + self.chain_branch.len();
        let mut out = Vec::with_capacity(self.coinbase.len() + 32 * siblings + 160);
        out.extend_from_slice(&self.coinbase);
        out.extend_from_slice(&self.parent_hash);
        write_branch(&mut out, &self.coinbase_branch, self.coinbase_index);
        write_branch(&mut out, &self.chain_branch, self.chain_index);
        out.extend_from_slice(&self.parent_header);
        out
    }

    /// Reads a proof and goes on behind it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn read(r: &mut Reader<'_>) -> Result<AuxProof, ParseError> {
        let start = r.position();
        pass_transaction(r)?;
        let coinbase = r.since(start).to_vec();
        let parent_hash = r.array()?;
        let (coinbase_branch, coinbase_index) = read_branch(r, COINBASE_BRANCH_MAX)?;
        let (chain_branch, chain_index) = read_branch(r, CHAIN_BRANCH_MAX)?;
        let parent_header = r.array()?;
        Ok(AuxProof {
            coinbase,
            parent_hash,
            coinbase_branch,
            coinbase_index,
            chain_branch,
            chain_index,
            parent_header,
        })
    }

    /// Reads exactly one proof.
    ///
    /// # Errors
    /// When the bytes are none, or more.
    pub fn from_bytes(bytes: &[u8]) -> Result<AuxProof, ParseError> {
        let mut r = Reader::new(bytes);
        let proof = AuxProof::read(&mut r)?;
        if r.remaining() > 0 {
            return Err(ParseError::Shape("bytes follow the merge-mining proof"));
        }
        Ok(proof)
    }
}

/// Whether a header says that a proof follows it.
#[must_use]
pub fn announces_proof(header: &[u8; 80]) -> bool {
    let [a, b, c, d, ..] = *header;
    u32::from_le_bytes([a, b, c, d]) & VERSION_AUXPOW != 0
}

/// The tree's size and nonce as they stand after its root (reversed) in a coinbase's script.
fn size_and_nonce(script: &[u8], root: &[u8; 32]) -> Result<(u32, u32), AuxFault> {
    let at = tag::find(script, root).ok_or(AuxFault::RootMissing)?;
    match tag::find(script, &MAGIC) {
        Some(_) if tag::count(script) > 1 => return Err(AuxFault::SecondTag),
        Some(head) if head + MAGIC.len() != at => return Err(AuxFault::TagNotBeforeRoot),
        Some(_) => {}
        None if at > UNTAGGED_ROOT_WITHIN => return Err(AuxFault::RootTooLate),
        None => {}
    }
    let behind = &script[at + root.len()..];
    let (size, rest) = behind.split_first_chunk::<4>().ok_or(AuxFault::SizeMissing)?;
    let nonce = rest.first_chunk::<4>().ok_or(AuxFault::SizeMissing)?;
    debug_assert!(behind.len() >= SIZE_AND_NONCE, "both were there");
    Ok((u32::from_le_bytes(*size), u32::from_le_bytes(*nonce)))
}

/// The script of a transaction's first input; `None` when there is none.
fn first_script(transaction: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(transaction);
    r.take(4).ok()?;
    if r.compact_size().ok()? == 0 {
        return None;
    }
    r.take(36).ok()?;
    r.bytes().ok()
}

/// Passes over a transaction without witness; one without inputs as well, so that the rule against it can
/// say so.
fn pass_transaction(r: &mut Reader<'_>) -> Result<(), ParseError> {
    r.take(4)?;
    for _ in 0..r.count(41)? {
        r.take(36)?;
        r.bytes()?;
        r.take(4)?;
    }
    for _ in 0..r.count(9)? {
        r.take(8)?;
        r.bytes()?;
    }
    r.take(4)?;
    Ok(())
}

fn read_branch(r: &mut Reader<'_>, most: usize) -> Result<(Vec<[u8; 32]>, u32), ParseError> {
    let count = r.count(32)?;
    if count > most {
        return Err(ParseError::Shape("a merge-mining branch is too long"));
    }
    let branch = (0..count).map(|_| r.array()).collect::<Result<_, _>>()?;
    Ok((branch, r.u32()?))
}

fn write_branch(out: &mut Vec<u8>, branch: &[[u8; 32]], index: u32) {
    write_compact_size(out, u64::try_from(branch.len()).unwrap_or(u64::MAX));
    out.extend(branch.iter().flatten());
    out.extend_from_slice(&index.to_le_bytes());
}
