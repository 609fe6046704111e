//! What stands in the log.

use gruve_units::{AccountId, Asset, Class, EpochNumber, JobId, MachineId, Target, Timestamp};
use std::fmt;

/// Whose the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The operator's machines.
    House,
    /// A hosted machine's owner or an outside miner.
    Account(AccountId),
}

/// Extranonce 1 and 2 together: at most 12 bytes (the stamp's rule, proven in the coinbase).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Extranonce {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Extranonce {
    /// The most bytes the two extranonces may have together.
    pub const MAX: usize = 12;

    /// From its bytes; `None` above [`Extranonce::MAX`].
    #[must_use]
    #[inline]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok().filter(|l| usize::from(*l) <= Self::MAX)?;
        let mut own = [0; Self::MAX];
        own.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Extranonce { len, bytes: own })
    }

    /// From extranonce 1 and 2; `None` above [`Extranonce::MAX`] together.
    #[must_use]
    #[inline]
    pub fn join(first: &[u8], second: &[u8]) -> Option<Self> {
        let total = first.len().checked_add(second.len()).filter(|t| *t <= Self::MAX)?;
        let mut own = [0; Self::MAX];
        own[..first.len()].copy_from_slice(first);
        own[first.len()..total].copy_from_slice(second);
        Some(Extranonce { len: u8::try_from(total).ok()?, bytes: own })
    }

    /// The bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The bytes as a number, the first the least; zeros behind the end.
    #[inline]
    pub(crate) fn as_number(&self) -> u128 {
        let mut wide = [0; 16];
        wide[..Self::MAX].copy_from_slice(&self.bytes);
        u128::from_le_bytes(wide)
    }
}

impl AsRef<[u8]> for Extranonce {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Extranonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_slice()))
    }
}

/// One accepted share: what is needed to rebuild its header, and whose it is.
///
/// A share of the Ethash family has no header of its own: `extranonce` then holds the eight bytes
/// of its nonce, most significant first, and time, nonce and version are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareRecord {
    /// The job it solves.
    pub job: JobId,
    /// The job's epoch, which is the share's.
    pub epoch: EpochNumber,
    /// The class it was issued at: counts exactly 2^class hashes.
    pub class: Class,
    /// Whose work it is.
    pub owner: Owner,
    /// The machine that found it.
    pub machine: MachineId,
    /// Extranonce 1 and 2.
    pub extranonce: Extranonce,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The header's version, rolled bits included.
    pub version: u32,
    /// When it came in.
    pub at: Timestamp,
}

/// A job as it was given out: with a share, enough to rebuild coinbase and header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRecord {
    /// Its number.
    pub job: JobId,
    /// The epoch in its stamp.
    pub epoch: EpochNumber,
    /// The epoch whose checkpoint the stamp commits to.
    pub checkpoint_epoch: EpochNumber,
    /// The stamp's commitment.
    pub commitment: [u8; 32],
    /// When it was made.
    pub issued_at: Timestamp,
    /// Height of the block it would make.
    pub height: u64,
    /// Hash of the block before, internal byte order.
    pub prev_hash: [u8; 32],
    /// The network's target, compact form.
    pub bits: u32,
    /// Header version before rolling.
    pub version: u32,
    /// Header time as given out.
    pub ntime: u32,
    /// The coinbase up to the extranonce, legacy serialisation.
    pub coinbase_prefix: Vec<u8>,
    /// The coinbase after the extranonce, the class byte zero.
    pub coinbase_suffix: Vec<u8>,
    /// Where in the suffix the class byte stands.
    pub class_offset: u32,
    /// Merkle siblings of the coinbase, internal byte order.
    pub branch: Vec<[u8; 32]>,
}

/// Work of the Ethash family as it was given out: with a share's nonce, enough to hash it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EthWorkRecord {
    /// Its number.
    pub job: JobId,
    /// The epoch its shares count in.
    pub epoch: EpochNumber,
    /// When it was made.
    pub issued_at: Timestamp,
    /// Whether the algorithm's epochs are Etchash's (60,000 blocks), not Ethash's (30,000).
    pub is_etchash: bool,
    /// The algorithm's epoch, which says what cache and dataset to hash with.
    pub algorithm_epoch: u32,
    /// Height of the block it would make, where the node says.
    pub height: Option<u64>,
    /// Hash of the header without nonce and mix, as the node writes it.
    pub header_hash: [u8; 32],
    /// The network's target.
    pub network_target: Target,
}

/// A solution of a block, written before it is sent to the node.
///
/// For the Ethash family `block` holds nonce (8 bytes, most significant first), header hash and mix
/// digest (32 each): what `eth_submitWork` takes. `block_hash` is then the proof-of-work hash,
/// because the node alone knows the block; and `height` is zero where the node did not say it.
///
/// The share inside says who found it. It counts as work only where it also stands as a
/// [`Record::Share`]: a stale solution is sent, but not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The share that solves it.
    pub share: ShareRecord,
    /// The block's hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// The whole block, to send again after a crash.
    pub block: Vec<u8>,
}

/// What a job is merge-mined for, written together with its [`JobRecord`]: with a share, enough to rebuild the
/// proof for each auxiliary block. The tree's root, size and nonce stand in the job's coinbase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxJobRecord {
    /// The job.
    pub job: JobId,
    /// Its epoch.
    pub epoch: EpochNumber,
    /// The auxiliary blocks: one a chain.
    pub chains: Vec<AuxChainRecord>,
}

/// One auxiliary block of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxChainRecord {
    /// Its chain's coin.
    pub asset: Asset,
    /// Its chain's id in merge-mining.
    pub chain_id: u32,
    /// Its hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its target, compact form.
    pub bits: u32,
    /// Its height.
    pub height: u64,
    /// Its slot in the auxiliary tree.
    pub index: u32,
    /// Its siblings there, internal byte order.
    pub branch: Vec<[u8; 32]>,
}

/// A solution of an auxiliary block, written before it is sent. In `found` the block's hash and height are
/// the auxiliary chain's, and its bytes are the merge-mining proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuxBlockRecord {
    /// Of which chain.
    pub asset: Asset,
    /// The block, its proof, and the share that solves it.
    pub found: BlockRecord,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A job was given out.
    Job(JobRecord),
    /// Work of the Ethash family was given out.
    EthWork(EthWorkRecord),
    /// A share was accepted.
    Share(ShareRecord),
    /// A block was found.
    Block(BlockRecord),
    /// A job was given out that is merge-mined; stands right after its [`Record::Job`].
    AuxJob(AuxJobRecord),
    /// A block of an auxiliary chain was found.
    AuxBlock(AuxBlockRecord),
    /// The node answered for a found block, auxiliary ones included.
    BlockOutcome {
        /// Which block, internal byte order.
        block_hash: [u8; 32],
        /// Whether the node took it (or had it already).
        accepted: bool,
        /// When it answered.
        at: Timestamp,
    },
    /// This epoch and those before it are counted: a share of them that comes after is late.
    Seal {
        /// The last sealed epoch.
        epoch: EpochNumber,
        /// When it was sealed.
        at: Timestamp,
    },
}

/// A place in the log: where a record begins, or its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number, from 1.
    pub segment: u64,
    /// Bytes from the segment's beginning.
    pub offset: u64,
}

impl Position {
    /// Before everything: a reader from here begins at the oldest record held.
    pub const START: Position = Position { segment: 0, offset: 0 };

    /// As two columns of a database.
    #[must_use]
    pub fn to_i64s(self) -> (i64, i64) {
        (
            i64::try_from(self.segment).unwrap_or(i64::MAX),
            i64::try_from(self.offset).unwrap_or(i64::MAX),
        )
    }

    /// From two columns of a database; `None` when negative.
    #[must_use]
    pub fn from_i64s(segment: i64, offset: i64) -> Option<Position> {
        Some(Position {
            segment: u64::try_from(segment).ok()?,
            offset: u64::try_from(offset).ok()?,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
