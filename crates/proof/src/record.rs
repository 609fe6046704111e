//! The record of an epoch: every share, and the jobs that are needed to hash each of them again.
//!
//! The bytes are defined in `docs/record-format.md`. A record stands alone: with the epochs' checkpoints from the
//! log, nothing else is needed to check it. Jobs are written once; shares stand in *blocks*, each of one job and one
//! class, in columns.
//!
//! Promises: one epoch has one encoding, and any other is refused; reading allocates nothing for a count that the
//! limits below do not allow, and holds the jobs and owners and one block at a time.
//!
//! | limit | why |
//! |---|---|
//! | [`JOBS_MAX`] | a job every ten seconds for a week in one epoch |
//! | [`OWNERS_MAX`] | every account of a large service with machines of its own |
//! | [`PREFIX_MAX`], [`SUFFIX_MAX`] | the coinbase before the extranonce ends inside a script of 100 bytes; after it, two thousand payees |
//! | [`BRANCH_MAX`] | 2^32 transactions |
//! | [`JOB_BYTES_MAX`] | what all jobs may take in memory |
//! | [`SHARES_MAX`] | at 16 bytes each the verifier's list against repeats stays at 128 MiB an epoch |

mod read;
mod write;

pub use read::{Block, RecordHeader, RecordReader, ShareRow};
pub use write::write_record;

use crate::Hash;
use crate::aux::AuxBlock;
use gruve_units::{EpochNumber, JobId, LaneId};

/// The first bytes of a record.
pub const MAGIC: [u8; 8] = *b"GRUVREC1";
/// Those of one whose jobs name the blocks of other chains that they are for, too.
pub const MAGIC_MERGED: [u8; 8] = *b"GRUVREC2";
/// Jobs in a record at most.
pub const JOBS_MAX: usize = 60_480;
/// Owners in a record at most, the house not counted.
pub const OWNERS_MAX: usize = 1 << 20;
/// Bytes of a coinbase before its extranonce at most.
pub const PREFIX_MAX: usize = 160;
/// Bytes of a coinbase after its extranonce at most.
pub const SUFFIX_MAX: usize = 1 << 16;
/// Siblings in a coinbase's branch at most.
pub const BRANCH_MAX: usize = 32;
/// Bytes of all jobs together at most.
pub const JOB_BYTES_MAX: usize = 64 << 20;
/// Shares in a section at most.
pub const SHARES_MAX: u64 = 1 << 23;
/// Shares in a block at most.
pub const BLOCK_SHARES: usize = 4_096;
/// Late sections in a record at most: work counts late for two epochs.
pub const LATE_MAX: u8 = 2;

/// A job: with a share, enough to make coinbase and header again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordJob {
    /// Its number.
    pub job: JobId,
    /// The epoch in its stamp.
    pub epoch: EpochNumber,
    /// The epoch whose checkpoint its stamp commits to; 0 when there was none.
    pub checkpoint_epoch: EpochNumber,
    /// When it was given out, microseconds since 1970.
    pub issued_us: u64,
    /// Height of the block it would make.
    pub height: u64,
    /// Hash of the block before, internal byte order.
    pub prev_hash: Hash,
    /// The network's target, compact.
    pub bits: u32,
    /// Header version before rolling.
    pub version: u32,
    /// Header time as given out.
    pub ntime: u32,
    /// Bytes of the extranonces that the coinbase has room for, at most twelve.
    pub extranonce_len: u8,
    /// Coinbase before the extranonce, legacy serialisation.
    pub prefix: Vec<u8>,
    /// Coinbase after the extranonce, the stamp's class byte zero.
    pub suffix: Vec<u8>,
    /// The coinbase's siblings, internal byte order.
    pub branch: Vec<Hash>,
    /// Blocks of other chains that the coinbase commits to, ascending by chain. A record in which no job has any is one of the
    /// form that names none.
    pub aux: Vec<AuxBlock>,
}

impl RecordJob {
    /// How many it has in a record, of the form that names the blocks of other chains or of the other one.
    fn bytes(&self, is_merged: bool) -> usize {
        const NUMBERS: usize = 8 * 5 + 32 + 4 * 3 + 1 + 1 + 4 + 1;
        let named = 1 + self.aux.iter().map(AuxBlock::bytes).sum::<usize>();
        let others = if is_merged { named } else { 0 };
        NUMBERS + self.prefix.len() + self.suffix.len() + 32 * self.branch.len() + others
    }
}

/// A section: shares of one epoch. The first is the record's own epoch, others are late work of epochs before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// The epoch in its shares' stamps.
    pub epoch: EpochNumber,
    /// How many shares.
    pub shares: u64,
}

/// Whose record: lane and epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOf {
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: EpochNumber,
}

/// The bytes that a value needs.
fn width_of(v: u32) -> u8 {
    u8::try_from((32 - v.leading_zeros()).div_ceil(8)).unwrap_or(4)
}

/// A header time beside its job's: small for both directions.
fn fold_time(ntime: u32, job: u32) -> u32 {
    let d = ntime.wrapping_sub(job).cast_signed();
    (d.wrapping_shl(1) ^ (d >> 31)).cast_unsigned()
}

fn unfold_time(folded: u32, job: u32) -> u32 {
    let d = (folded >> 1).cast_signed() ^ -((folded & 1).cast_signed());
    job.wrapping_add(d.cast_unsigned())
}

/// The bits that a miner rolled (BIP 320's sixteen, from bit 13) come lowest.
const fn fold_version(version: u32, job: u32) -> u32 {
    (version ^ job).rotate_right(13)
}

const fn unfold_version(folded: u32, job: u32) -> u32 {
    folded.rotate_left(13) ^ job
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn folding_is_undone(v: u32, job: u32) {
            prop_assert_eq!(unfold_time(fold_time(v, job), job), v);
            prop_assert_eq!(unfold_version(fold_version(v, job), job), v);
        }
    }

    #[test]
    fn what_a_miner_changes_takes_two_bytes() {
        assert_eq!(width_of(fold_version(0x2000_0000 | 0x1fff_e000, 0x2000_0000)), 2);
        assert_eq!(width_of(fold_time(1_000, 900)), 1);
        assert_eq!(width_of(fold_time(900, 1_000)), 1);
        assert_eq!(width_of(0), 0);
        assert_eq!(width_of(u32::MAX), 4);
    }
}
