//! Room ahead of the log's end: zeros that the next frames are written over.
//!
//! A write that makes its file longer waits for the file system's own bookkeeping, and with it for a sync
//! that is under way: milliseconds now and then, in which the thread that talks to miners answers nobody.
//! A write over bytes that are there already waits for nothing, and its sync needs no journal. So the
//! thread that syncs writes zeros ahead, and the writer seldom meets their end. Where there are none (a
//! full disk, a log just opened) it makes the file longer itself, as if this were not here.
//!
//! What stands behind the last frame is only ever zeros, or the torn tail of a life that ended there.
//! Closed segments and logs at rest have no room.
//!
//! Locks: the writer may hold its own and take this one; whoever holds this one takes no other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The least that is made at a time, and what is written in one go: short enough that a share written
/// meanwhile does not wait for it.
static PIECE: [u8; 64 << 10] = [0; 64 << 10];

/// The most that is made at a time: what a lane writes at its highest rate in a third of a second.
const ROOM_BYTES_MAX: u64 = 1 << 20;

/// Room is made for so many times what was written since the last sync: a sixth of a second's, so that
/// a file seldom grows.
const SYNCS_AHEAD: u64 = 16;

/// What a file has, its frames and the room behind them.
#[derive(Debug)]
struct Held {
    file: Arc<File>,
    length: u64,
}

/// The room of the segment that is being written.
#[derive(Debug)]
pub(crate) struct Room(Mutex<Held>);

impl Room {
    /// None yet, in a file of this length.
    pub(crate) fn new(file: &Arc<File>, length: u64) -> Room {
        Room(Mutex::new(Held { file: Arc::clone(file), length }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Whatever panicked, the length is below what the file has or equal to it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer will write up to `to`, further than it knew of: gives how far it may write without
    /// asking again. Waits while zeros are being written there.
    pub(crate) fn reach(&self, to: u64) -> u64 {
        let mut held = self.lock();
        held.length = held.length.max(to);
        held.length
    }

    /// Writes zeros behind the end of this file if there is little room left; never beyond `most`.
    /// Where the disk does not take them there is no more room, and nothing else is wrong.
    pub(crate) fn make(&self, file: &Arc<File>, end: u64, written: u64, most: u64) {
        let mut held = self.lock();
        let ahead = written.saturating_mul(SYNCS_AHEAD).clamp(PIECE.len() as u64, ROOM_BYTES_MAX);
        let to = end.saturating_add(ahead).min(most);
        // The segment may have been closed meanwhile.
        if !Arc::ptr_eq(file, &held.file) || held.length.saturating_sub(end) > ahead / 2 {
            return;
        }
        let mut at = held.length;
        while at < to {
            let piece = usize::try_from(to - at).map_or(PIECE.len(), |left| left.min(PIECE.len()));
            if file.write_all_at(&PIECE[..piece], at).is_err() {
                // What others need of the disk is given back.
                let _ = file.set_len(held.length);
                return;
            }
            at += piece as u64;
        }
        held.length = held.length.max(at);
    }

    /// Cuts a file off behind its last frame.
    pub(crate) fn cut(&self, end: u64) -> io::Result<()> {
        let mut held = self.lock();
        held.file.set_len(end)?;
        held.length = end;
        Ok(())
    }

    /// Another file is written from now on.
    pub(crate) fn begin(&self, file: &Arc<File>, length: u64) {
        *self.lock() = Held { file: Arc::clone(file), length };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(bytes: &[u8]) -> (Arc<File>, Room) {
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.write_all_at(bytes, 0).unwrap();
        let room = Room::new(&file, bytes.len() as u64);
        (file, room)
    }

    fn content(file: &File) -> Vec<u8> {
        let mut all = vec![0xff; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut all, 0).unwrap();
        all
    }

    #[test]
    fn there_is_room_behind_the_end_and_never_over_what_was_written() {
        let (file, room) = room(b"frames");
        room.make(&file, 6, 100, u64::MAX);
        let least = 6 + PIECE.len() as u64;
        assert_eq!(file.metadata().unwrap().len(), least);
        assert_eq!(room.reach(10), least, "the writer may go on to there");
        // It wrote further than there was room.
        file.write_all_at(b"more", least).unwrap();
        assert_eq!(room.reach(least + 4), least + 4);
        room.make(&file, least + 4, 1 << 30, u64::MAX);
        let all = content(&file);
        assert_eq!(all.len() as u64, least + 4 + ROOM_BYTES_MAX);
        assert_eq!(all[..6], *b"frames");
        let (zeros, rest) = all[6..].split_at(PIECE.len());
        assert!(zeros.iter().chain(&rest[4..]).all(|b| *b == 0));
        assert_eq!(rest[..4], *b"more");
        room.cut(least + 4).unwrap();
        assert_eq!(file.metadata().unwrap().len(), least + 4);
    }

    #[test]
    fn there_is_none_beyond_a_segments_size_nor_in_a_closed_one() {
        let (file, room) = room(b"frames");
        room.make(&file, 6, 100, 50);
        assert_eq!(file.metadata().unwrap().len(), 50);
        room.make(&file, 60, 100, 50);
        assert_eq!(file.metadata().unwrap().len(), 50);
        let next = Arc::new(tempfile::tempfile().unwrap());
        room.begin(&next, 0);
        room.make(&file, 6, 100, u64::MAX);
        assert_eq!(file.metadata().unwrap().len(), 50, "closed");
        room.make(&next, 0, 100, u64::MAX);
        assert_eq!(next.metadata().unwrap().len(), PIECE.len() as u64);
    }
}
