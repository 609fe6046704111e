//! The durable stream of accepted shares: one log per lane, a folder of segment files.
//!
//! For: the gateway, which may say "accepted" only after [`ShareLog::append_shares`] returned,
//! and the accountant, which reads the same records in the same order and keeps a cursor.
//!
//! Promises:
//! - an append is one `write(2)` under the writer's lock; it is visible to readers when the call
//!   returns and synced by a background thread within the group interval (10 ms by default), so
//!   `kill -9` at any instant loses nothing that was appended;
//! - recovery cuts a torn tail, and only there: at the end of the last segment, beyond what any
//!   later frame knows to have been synced. Any other damage is fatal and says where;
//! - after [`ShareLog::seal`] of an epoch no share of that or an earlier epoch enters, but for late ones, which
//!   count in the next ([`counts_in`]): the check is made under the same lock as the write;
//! - a failed append (disk full) leaves no half frame behind: the file is cut back to the last
//!   whole frame, and if that fails too the log refuses everything from then on;
//! - a segment is begun when all before it is on the disk, and nothing in it counts as synced before its name is (`ahead`);
//! - what stands behind the last frame of the last segment is zeros (`room`) or a torn tail, never a record;
//! - records never change under a reader: a bit that flips is found by the checksum.
//!
//! Must not know: jobs' meaning, customers, databases, the network.
//!
//! # Format (version 2, integers little-endian)
//!
//! A segment is `<number, 20 decimal digits>.seg`; numbers begin at 1 and have no gaps.
//!
//! | bytes | segment header (32 bytes, written aside, synced, then renamed: never torn) |
//! |---|---|
//! | 8 | `GRUVELG2`; `GRUVELG1` where no share is in the short form |
//! | 8 | the segment's number |
//! | 8 | the last epoch sealed before the segment, plus one; 0 when none |
//! | 4 | zero |
//! | 4 | CRC-32C of the 28 bytes before |
//!
//! | bytes | frame: one append |
//! |---|---|
//! | 4 | `GVFR` |
//! | 4 | length *n* of the payload, 1 to [`MAX_FRAME_BYTES`] |
//! | 8 | offset in this segment that was synced when the frame was written |
//! | 4 | CRC-32C of segment number (8), the frame's offset (8), the 16 bytes before, the payload |
//! | *n* | records |
//!
//! | bytes | record |
//! |---|---|
//! | 4 | distance from the frame's first byte to this record's first byte (lets a reader start at any record) |
//! | 4 | length of what follows |
//! | 1 | version of the record's encoding: 1 |
//! | 1 | kind: 1 job, 2 share, 3 block, 4 block outcome, 5 seal, 6 Ethash work, 7 auxiliary blocks of a job, 8 auxiliary block |
//! | … | the fields in the order of the struct; `Vec`s with a 4-byte count, extranonces with a 1-byte length, owners as 0 (house) or 1 and the account's 16 bytes |
//!
//! A share that stands behind another in its frame is written shortly: the distance with its highest bit
//! set, then what differs from the share before (`short`).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ahead;
mod codec;
mod cost;
mod error;
mod frame;
#[cfg(test)]
mod full_disk;
mod late;
mod log;
mod reader;
mod record;
mod records;
mod recovery;
mod room;
mod short;
mod summary;
mod sync;
mod trim;
mod unread;
mod writer;

pub use error::LogError;
pub use frame::MAX_FRAME_BYTES;
pub use late::{LATE_EPOCHS, counts_in};
pub use log::{Durability, Options, ShareLog};
pub use reader::LogReader;
pub use record::{
    AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, EthWorkRecord, Extranonce,
    JobRecord, Owner, Position, Record, ShareRecord,
};
pub use unread::Unread;
