//! Reading a record that somebody else wrote.

use super::{
    BLOCK_SHARES, BRANCH_MAX, JOB_BYTES_MAX, JOBS_MAX, LATE_MAX, MAGIC, MAGIC_MERGED, OWNERS_MAX,
    PREFIX_MAX, RecordJob, RecordOf, SHARES_MAX, SUFFIX_MAX, Section, unfold_time, unfold_version,
    width_of,
};
use crate::aux::{self, AuxBlock};
use crate::share::{Canonical, EXTRANONCE_MAX, ShareLeaf};
use crate::wire::{Wire, WireError, take_varint};
use gruve_units::{AccountId, Class, EpochNumber, JobId, LaneId};
use std::cmp::Ordering;
use std::io::Read;
use std::sync::Arc;

/// What stands before the shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Whose record.
    pub of: RecordOf,
    /// Owners other than the house, sorted.
    pub owners: Vec<AccountId>,
    /// Jobs, sorted by number.
    pub jobs: Vec<RecordJob>,
    /// How many sections follow.
    pub sections: u8,
    /// Whether its jobs name the blocks of other chains that they are for.
    pub is_merged: bool,
}

/// A share as it stands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareRow {
    /// Extranonce 1 and 2 together; as many bytes as the block says, zeros behind.
    pub extranonce: [u8; EXTRANONCE_MAX],
    /// Header time.
    pub ntime: u32,
    /// Header nonce.
    pub nonce: u32,
    /// Header version.
    pub version: u32,
    /// 0 for the house, else one more than the owner's place among the owners.
    pub owner: u32,
}

/// Shares of one job and one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The job's place among the jobs.
    pub job: usize,
    /// Their class.
    pub class: Class,
    /// Bytes of their extranonces.
    pub extranonce_len: usize,
    /// The shares, sorted.
    pub shares: Vec<ShareRow>,
}

impl Block {
    /// The canonical bytes of one of its shares.
    #[must_use]
    pub fn canonical(&self, row: &ShareRow, header: &RecordHeader) -> Canonical {
        let owner = row.owner.checked_sub(1).and_then(|i| header.owners.get(i as usize));
        ShareLeaf {
            job: header.jobs.get(self.job).map_or(JobId(0), |j| j.job),
            class: self.class,
            extranonce: &row.extranonce[..self.extranonce_len],
            ntime: row.ntime,
            nonce: row.nonce,
            version: row.version,
            owner: owner.copied(),
        }
        .canonical()
    }
}

/// A record being read from its beginning.
pub struct RecordReader<R> {
    wire: Wire<R>,
    header: Arc<RecordHeader>,
    /// Shares of the current section that are still to come.
    left: u64,
    sections_left: u8,
    last_section: Option<EpochNumber>,
    last: Option<Last>,
}

/// The block before, for what may follow it.
struct Last {
    key: (usize, Class),
    is_full: bool,
    tail: ([u8; EXTRANONCE_MAX], u32, u32, u32),
}

const fn bad<T>(why: &'static str) -> Result<T, WireError> {
    Err(WireError::Malformed(why))
}

impl<R: Read> RecordReader<R> {
    /// Reads what stands before the shares.
    ///
    /// # Errors
    /// When the bytes are no such record, or say more than the limits allow.
    pub fn open(from: R) -> Result<Self, WireError> {
        let mut wire = Wire::new(from);
        let header = Arc::new(read_header(&mut wire)?);
        let sections_left = header.sections;
        Ok(RecordReader { wire, header, left: 0, sections_left, last_section: None, last: None })
    }

    /// What stands before the shares.
    #[must_use]
    pub fn header(&self) -> &RecordHeader {
        &self.header
    }

    /// The same, to be kept while the blocks are read.
    #[must_use]
    pub fn shared(&self) -> Arc<RecordHeader> {
        Arc::clone(&self.header)
    }

    /// Goes on to the next section, when all blocks of the one before were read; `None` after the last, where
    /// nothing more may stand.
    ///
    /// # Errors
    /// Whatever is not as the format says.
    pub fn next_section(&mut self) -> Result<Option<Section>, WireError> {
        if self.left > 0 {
            return bad("a section was left before its end");
        }
        if self.sections_left == 0 {
            self.wire.end()?;
            return Ok(None);
        }
        self.sections_left -= 1;
        let section = Section {
            epoch: EpochNumber(self.wire.u64("a section's epoch")?),
            shares: self.wire.u64("a section's number of shares")?,
        };
        let own = self.header.of.epoch;
        let is_in_place = match self.last_section {
            None => section.epoch == own,
            Some(before) => {
                let is_after = before == own || section.epoch > before;
                let is_late = section.epoch < own && section.epoch >= own.back(LATE_MAX.into());
                section.epoch > EpochNumber(0) && is_late && is_after
            }
        };
        if !is_in_place {
            return bad("a section of an epoch that does not belong there");
        }
        if section.shares > SHARES_MAX {
            return bad("a section with more shares than the limit");
        }
        if self.last_section.is_some() && section.shares == 0 {
            return bad("a late section without shares");
        }
        (self.left, self.last) = (section.shares, None);
        self.last_section = Some(section.epoch);
        Ok(Some(section))
    }

    /// The next block of the section; `None` after its last.
    ///
    /// # Errors
    /// Whatever is not as the format says.
    pub fn next_block(&mut self) -> Result<Option<Block>, WireError> {
        if self.left == 0 {
            return Ok(None);
        }
        let block = self.read_block()?;
        self.follows(&block)?;
        self.left -= block.shares.len() as u64;
        Ok(Some(block))
    }

    fn read_block(&mut self) -> Result<Block, WireError> {
        let w = &mut self.wire;
        let job = w.u32("a block's job")? as usize;
        let class = w.u8("a block's class")?;
        let n = usize::from(w.u16("a block's number of shares")?);
        let column = w.u32("the length of a block's extranonces")? as usize;
        let Some(class) = Class::new(class) else { return bad("a class above the highest") };
        let Some(of) = self.header.jobs.get(job) else { return bad("a block of an unknown job") };
        let extranonce_len = usize::from(of.extranonce_len);
        if n == 0 || n > BLOCK_SHARES || n as u64 > self.left {
            return bad("a block with an impossible count");
        }
        if column > n * 14 {
            return bad("a block whose extranonces are too long");
        }
        let extranonces = w.bytes(column, "a block's extranonces")?;
        let nonces = w.bytes(4 * n, "a block's nonces")?;
        let times = read_column(w, n)?;
        let versions = read_column(w, n)?;
        let owners = read_column(w, n)?;
        let mut shares: Vec<ShareRow> = Vec::with_capacity(n);
        let (mut rest, mut sum) = (extranonces.as_slice(), 0u128);
        // Its bytes first, zeros behind.
        let leading = u32::try_from(128 - 8 * extranonce_len).unwrap_or(u32::BITS);
        let limit = 1u128 << (8 * extranonce_len);
        let mut before: Option<(u32, u32, u32)> = None;
        let columns = nonces.as_chunks::<4>().0.iter().zip(times).zip(versions).zip(owners);
        for (((nonce, time), version), owner) in columns {
            let step = take_varint(&mut rest);
            let next = step.and_then(|s| sum.checked_add(s)).filter(|s| *s < limit);
            let Some(next) = next else { return bad("an extranonce that does not fit") };
            let is_same = sum == next;
            sum = next;
            let shifted = sum.checked_shl(leading).unwrap_or(0).to_be_bytes();
            let Some(&extranonce) = shifted.first_chunk::<EXTRANONCE_MAX>() else {
                return bad("an extranonce that does not fit");
            };
            if owner as usize > self.header.owners.len() {
                return bad("a share of an unknown owner");
            }
            let row = ShareRow {
                extranonce,
                ntime: unfold_time(time, of.ntime),
                nonce: u32::from_be_bytes(*nonce),
                version: unfold_version(version, of.version),
                owner,
            };
            // Extranonces do not descend: each is written as what it is above the one before.
            let own = (row.ntime, row.nonce, row.version);
            if is_same && let Some(before) = before {
                ascends(before.cmp(&own))?;
            }
            before = Some(own);
            shares.push(row);
        }
        if !rest.is_empty() {
            return bad("bytes are left over behind a block's extranonces");
        }
        Ok(Block { job, class, extranonce_len, shares })
    }

    /// Holds a block against the one before: sorted, and no block cut without need.
    fn follows(&mut self, block: &Block) -> Result<(), WireError> {
        let key = (block.job, block.class);
        let mut before = None;
        if let Some(last) = &self.last {
            if key < last.key {
                return bad("blocks that are not sorted");
            }
            if key == last.key {
                if !last.is_full {
                    return bad("a block cut where none ends");
                }
                before = Some(last.tail);
            }
        }
        // Within a block they ascend since it was read.
        let place = |s: &ShareRow| (s.extranonce, s.ntime, s.nonce, s.version);
        if let (Some(before), Some(first)) = (before, block.shares.first()) {
            ascends(before.cmp(&place(first)))?;
        }
        let is_full = block.shares.len() == BLOCK_SHARES;
        self.last = block.shares.last().map(|last| Last { key, is_full, tail: place(last) });
        Ok(())
    }

    /// What it was read from.
    pub fn into_inner(self) -> R {
        self.wire.into_inner()
    }
}

/// Refuses shares that do not stand in their order, by how one compares with the next.
fn ascends(order: Ordering) -> Result<(), WireError> {
    match order {
        Ordering::Less => Ok(()),
        Ordering::Equal => bad("a share that stands twice"),
        Ordering::Greater => bad("shares that are not sorted"),
    }
}

fn read_column<R: Read>(w: &mut Wire<R>, n: usize) -> Result<Vec<u32>, WireError> {
    let width = w.u8("a column's width")?;
    // At most a megabyte; what is wider than four bytes is wider than any value needs.
    let bytes = w.bytes(n * usize::from(width), "a column")?;
    if width == 0 {
        return Ok(vec![0; n]);
    }
    let column: Vec<u32> = match width {
        1 => bytes.iter().map(|b| u32::from(*b)).collect(),
        2 => {
            let both = |b: &[u8; 2]| u32::from(u16::from_be_bytes(*b));
            bytes.as_chunks().0.iter().map(both).collect()
        }
        _ => {
            let one = |b: &[u8]| b.iter().fold(0u32, |v, b| v << 8 | u32::from(*b));
            bytes.chunks_exact(usize::from(width)).map(one).collect()
        }
    };
    if column.iter().copied().map(width_of).max() != Some(width) {
        return bad("a column wider than it needs");
    }
    Ok(column)
}

fn read_header<R: Read>(w: &mut Wire<R>) -> Result<RecordHeader, WireError> {
    let is_merged = match w.array::<8>("the beginning")? {
        MAGIC => false,
        MAGIC_MERGED => true,
        _ => return bad("not a record of this version"),
    };
    let len = usize::from(w.u8("the lane's length")?);
    let lane = w.bytes(len.min(17), "the lane")?;
    let lane = std::str::from_utf8(&lane).ok().and_then(|l| l.parse::<LaneId>().ok());
    let Some(lane) = lane else { return bad("not the name of a lane") };
    let epoch = EpochNumber(w.u64("the epoch")?);
    let jobs = w.u32("the number of jobs")? as usize;
    let owners = w.u32("the number of owners")? as usize;
    if jobs > JOBS_MAX || owners > OWNERS_MAX {
        return bad("more jobs or owners than the limit");
    }
    // What is read so far bounds what is allocated: an owner needs 16 bytes, a job well over 100.
    let mut all_owners: Vec<AccountId> = Vec::new();
    for _ in 0..owners {
        let owner = AccountId::from_bytes(w.array("an owner")?);
        if all_owners.last().is_some_and(|last| last.to_bytes() >= owner.to_bytes()) {
            return bad("owners that are not sorted");
        }
        all_owners.push(owner);
    }
    let (mut all, mut bytes): (Vec<RecordJob>, usize) = (Vec::new(), 0);
    for _ in 0..jobs {
        let mut job = read_job(w)?;
        if is_merged {
            job.aux = read_aux(w)?;
        }
        bytes += job.bytes(is_merged);
        if bytes > JOB_BYTES_MAX {
            return bad("jobs that are longer than the limit");
        }
        if all.last().is_some_and(|last| last.job >= job.job) {
            return bad("jobs that are not sorted");
        }
        all.push(job);
    }
    // One form: what names nothing is of the one without names.
    if is_merged && all.iter().all(|job| job.aux.is_empty()) {
        return bad("no job names a block of another chain");
    }
    let sections = w.u8("the number of sections")?;
    if sections == 0 || sections > LATE_MAX + 1 {
        return bad("an impossible number of sections");
    }
    let of = RecordOf { lane, epoch };
    Ok(RecordHeader { of, owners: all_owners, jobs: all, sections, is_merged })
}

fn read_job<R: Read>(w: &mut Wire<R>) -> Result<RecordJob, WireError> {
    const IN: &str = "a job";
    let (job, epoch) = (JobId(w.u64(IN)?), EpochNumber(w.u64(IN)?));
    let (checkpoint_epoch, issued_us, height) = (EpochNumber(w.u64(IN)?), w.u64(IN)?, w.u64(IN)?);
    let prev_hash = w.array(IN)?;
    let (bits, version, ntime) = (w.u32(IN)?, w.u32(IN)?, w.u32(IN)?);
    let extranonce_len = w.u8(IN)?;
    if usize::from(extranonce_len) > EXTRANONCE_MAX {
        return bad("an extranonce that is longer than the limit");
    }
    let prefix_len = usize::from(w.u8(IN)?);
    if prefix_len > PREFIX_MAX {
        return bad("a coinbase that is longer than the limit");
    }
    let prefix = w.bytes(prefix_len, IN)?;
    let suffix_len = w.u32(IN)? as usize;
    if suffix_len > SUFFIX_MAX {
        return bad("a coinbase that is longer than the limit");
    }
    let suffix = w.bytes(suffix_len, IN)?;
    let siblings = usize::from(w.u8(IN)?);
    if siblings > BRANCH_MAX {
        return bad("a branch that is longer than the limit");
    }
    let branch = (0..siblings).map(|_| w.array(IN)).collect::<Result<_, _>>()?;
    Ok(RecordJob {
        job,
        epoch,
        checkpoint_epoch,
        issued_us,
        height,
        prev_hash,
        bits,
        version,
        ntime,
        extranonce_len,
        prefix,
        suffix,
        branch,
        aux: Vec::new(),
    })
}

fn read_aux<R: Read>(w: &mut Wire<R>) -> Result<Vec<AuxBlock>, WireError> {
    const IN: &str = "a block of another chain";
    let n = usize::from(w.u8(IN)?);
    if n > aux::BLOCKS_MAX {
        return bad("a job for more chains than the limit");
    }
    let mut all: Vec<AuxBlock> = Vec::new();
    for _ in 0..n {
        let chain_id = w.u32(IN)?;
        let len = usize::from(w.u8(IN)?);
        let coin = w.bytes(len.min(aux::NAME_MAX + 1), IN)?;
        if !aux::is_name(&coin) {
            return bad("not the name of a coin");
        }
        if all.last().is_some_and(|last| last.chain_id >= chain_id) {
            return bad("chains of a job that are not sorted");
        }
        let coin = String::from_utf8(coin).unwrap_or_default();
        all.push(AuxBlock {
            chain_id,
            coin,
            hash: w.array(IN)?,
            bits: w.u32(IN)?,
            height: w.u64(IN)?,
        });
    }
    Ok(all)
}
