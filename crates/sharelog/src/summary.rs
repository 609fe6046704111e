//! Summaries of closed segments: what the log's records add up to at a segment's end, so that
//! opening a log reads its last segment only.
//!
//! A summary is a convenience, never the truth: it stands in `NUMBER.sum` beside `NUMBER.seg`, is
//! believed only where its checksum holds and length and last bytes of the segment are those it was
//! made of, and is made again from the segment otherwise. It need not be synced for that.
//!
//! | bytes | content (little-endian) |
//! |---|---|
//! | 8 | `GRUVESM1` |
//! | 8 | number of the segment |
//! | 8 | its length |
//! | 4 | CRC-32C of its last 4096 bytes (of all, when it is shorter) |
//! | 8 | last epoch sealed, plus one; 0 when none |
//! | 1 + 8 | whether there was a job; the highest job number |
//! | 1 + 8 | whether there was a job or seal; the latest time of one |
//! | 4 | number *n* of found blocks without an answer |
//! | *n* · (32 + 8 + 8) | hash, segment and offset of each |
//! | 4 | CRC-32C of all before |

use crate::frame::{self, SEGMENT_HEADER};
use crate::recovery::{Tally, io, segment_path};
use crate::{LogError, Position};
use gruve_units::{EpochNumber, JobId, Timestamp};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"GRUVESM1";

/// How much of a segment's end a summary is bound to: any cut and any frame written later changes
/// it.
const TAIL_BYTES: u64 = 4_096;

/// Unanswered blocks that a summary holds at most. With more (the node has been away for weeks) it is
/// not made, and opening reads the segment.
const UNCONFIRMED_MAX: usize = 1_024;

/// Bytes of the largest summary.
const BYTES_MAX: u64 = 54 + UNCONFIRMED_MAX as u64 * 48;

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.sum"))
}

/// Writes the summary of a closed segment, whose end is on the disk.
pub(crate) fn store(dir: &Path, number: u64, file: &File, tally: &Tally) -> Result<(), LogError> {
    if tally.unconfirmed.len() > UNCONFIRMED_MAX {
        return Ok(());
    }
    let segment = segment_path(dir, number);
    let (length, tail) = ends(file).map_err(io("reading", &segment))?;
    let (path, aside) = (path_of(dir, number), dir.join("summary.tmp"));
    fs::write(&aside, encode(number, length, tail, tally)).map_err(io("writing", &aside))?;
    fs::rename(&aside, &path).map_err(io("renaming", &aside))
}

/// What a closed segment's summary says; `None` when there is none that fits the segment.
pub(crate) fn load(dir: &Path, number: u64) -> Option<Tally> {
    let path = path_of(dir, number);
    if fs::metadata(&path).ok()?.len() > BYTES_MAX {
        return None;
    }
    let bytes = fs::read(&path).ok()?;
    let segment = File::open(segment_path(dir, number)).ok()?;
    let mut header = [0; SEGMENT_HEADER];
    segment.read_exact_at(&mut header, 0).ok()?;
    frame::check_segment_header(&header, number).ok()?;
    let (length, tail) = ends(&segment).ok()?;
    decode(&bytes, number, length, tail)
}

/// How long a segment was when it was closed, by a summary that is whole; one that is shorter now has
/// lost its end, even where what is left is good.
pub(crate) fn length_when_closed(dir: &Path, number: u64) -> Option<u64> {
    let path = path_of(dir, number);
    if fs::metadata(&path).ok()?.len() > BYTES_MAX {
        return None;
    }
    let bytes = fs::read(&path).ok()?;
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let mut rest = Rest(body);
    let is_whole = crc32c::crc32c(body) == u32::from_le_bytes(*crc)
        && rest.take()? == MAGIC
        && rest.u64()? == number;
    if is_whole { rest.u64() } else { None }
}

/// Removes the summary of a segment that is gone.
pub(crate) fn remove(dir: &Path, number: u64) {
    // One that stays behind fits no segment.
    let _ = fs::remove_file(path_of(dir, number));
}

/// A segment's length and the checksum of its last bytes.
fn ends(file: &File) -> std::io::Result<(u64, u32)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; usize::try_from(length - from).unwrap_or_default()];
    file.read_exact_at(&mut tail, from)?;
    Ok((length, crc32c::crc32c(&tail)))
}

fn encode(number: u64, length: u64, tail: u32, tally: &Tally) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(number.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(tail.to_le_bytes());
    out.extend(tally.sealed.map_or(0, |e| e.0.saturating_add(1)).to_le_bytes());
    out.push(tally.last_job.is_some().into());
    out.extend(tally.last_job.map_or(0, |j| j.0).to_le_bytes());
    out.push(tally.latest.is_some().into());
    out.extend(tally.latest.map_or(0, |t| t.0).to_le_bytes());
    let n = u32::try_from(tally.unconfirmed.len()).unwrap_or(u32::MAX);
    out.extend(n.to_le_bytes());
    for (hash, at) in &tally.unconfirmed {
        out.extend(hash);
        out.extend(at.segment.to_le_bytes());
        out.extend(at.offset.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out.extend(crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8], number: u64, length: u64, tail: u32) -> Option<Tally> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut rest = Rest(body);
    let is_of_segment = rest.take()? == MAGIC
        && rest.u64()? == number
        && rest.u64()? == length
        && u32::from_le_bytes(rest.take()?) == tail;
    if !is_of_segment {
        return None;
    }
    let sealed = rest.u64()?.checked_sub(1).map(EpochNumber);
    let last_job = rest.optional()?.map(JobId);
    let latest = rest.optional()?.map(|t| Timestamp(i64::from_le_bytes(t.to_le_bytes())));
    let mut tally = Tally { sealed, last_job, latest, ..Tally::default() };
    for _ in 0..u32::from_le_bytes(rest.take()?) {
        let hash = rest.take()?;
        let at = Position { segment: rest.u64()?, offset: rest.u64()? };
        tally.unconfirmed.insert(hash, at);
    }
    rest.0.is_empty().then_some(tally)
}

/// What is still to be decoded.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number that may be missing; `None` outside when the bytes are.
    fn optional(&mut self) -> Option<Option<u64>> {
        let [is_there] = self.take()?;
        let value = self.u64()?;
        Some((is_there == 1).then_some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_anything_else_is_not_believed() {
        let mut tally = Tally {
            sealed: Some(EpochNumber(7)),
            last_job: Some(JobId(u64::MAX)),
            latest: Some(Timestamp(-5)),
            ..Tally::default()
        };
        for n in 0..3 {
            tally.unconfirmed.insert([n; 32], Position { segment: 2, offset: n.into() });
        }
        for tally in [Tally::default(), tally] {
            let bytes = encode(3, 1_000, 42, &tally);
            assert_eq!(decode(&bytes, 3, 1_000, 42), Some(tally));
            for (number, length, tail) in [(4, 1_000, 42), (3, 1_001, 42), (3, 1_000, 43)] {
                assert_eq!(decode(&bytes, number, length, tail), None);
            }
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut], 3, 1_000, 42), None);
                let mut changed = bytes.clone();
                changed[cut] ^= 1;
                assert_eq!(decode(&changed, 3, 1_000, 42), None);
            }
        }
    }
}
