//! The next segment, made before it is needed.
//!
//! To begin a segment takes three waits for the disk: for the end of the last one, for the new one's header, and for its name
//! in the folder. The thread that appends (which talks to miners) has to wait for the first alone, because only the last
//! segment may ever be torn; the thread that syncs makes the header ahead, and sees to the name before it says that
//! anything in the segment is on the disk. Where it has not come to that (or an epoch was sealed since, which the header
//! tells) the appending thread does all three itself.
//!
//! Locks: the writer may hold its own and *try* this one; whoever holds this one takes no other.

use crate::LogError;
use crate::recovery::{create_aside, put_in_place};
use gruve_units::EpochNumber;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// The next segment is made when this part of the present one is left.
const LEFT_FROM: u64 = 16;

#[derive(Debug)]
struct Made {
    number: u64,
    sealed: Option<EpochNumber>,
    file: File,
}

/// The next segment, if it is made.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    made: Mutex<Option<Made>>,
    /// The last segment's name may not be on the disk yet.
    owes_name: AtomicBool,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("ahead.tmp")
}

impl Ahead {
    /// Whether it is time: so much of a segment of this size is written.
    pub(crate) fn is_due(written: u64, segment_bytes: u64) -> bool {
        written >= segment_bytes - segment_bytes / LEFT_FROM
    }

    /// Makes it, unless it is there as it is to be. Without it (a full disk) its time comes once more.
    pub(crate) fn make(&self, dir: &Path, number: u64, sealed: Option<EpochNumber>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.as_ref().is_none_or(|m| m.number != number || m.sealed != sealed) {
            // The old one's file is written over.
            *made = None;
            let file = create_aside(&path(dir), number, sealed);
            *made = file.ok().map(|file| Made { number, sealed, file });
        }
    }

    /// Puts it in place, if it is there as it is to be and nobody is making it.
    pub(crate) fn take(
        &self,
        dir: &Path,
        number: u64,
        sealed: Option<EpochNumber>,
    ) -> Result<Option<File>, LogError> {
        let mut made = match self.made.try_lock() {
            Ok(made) => made,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let Some(own) = made.take().filter(|m| m.number == number && m.sealed == sealed) else {
            return Ok(None);
        };
        put_in_place(dir, number, &path(dir))?;
        self.owes_name.store(true, Ordering::SeqCst);
        Ok(Some(own.file))
    }

    /// Whether the folder is to be synced before anything in the last segment counts as synced; asked once.
    pub(crate) fn takes_debt(&self) -> bool {
        self.owes_name.swap(false, Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(crate) fn owes_name(&self) -> bool {
        self.owes_name.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full_disk::{nonces, share};
    use crate::{Durability, Options, ShareLog};
    use gruve_units::{Duration, Timestamp};

    const SEGMENT: u64 = 2_048;

    fn open(dir: &Path) -> ShareLog {
        // The thread syncs when it is asked, and not before.
        let durability = Durability::Group(Duration::from_secs(3_600));
        ShareLog::open(dir, Options { segment_bytes: SEGMENT, durability }).unwrap()
    }

    fn segment(dir: &Path, number: u64) -> PathBuf {
        crate::recovery::segment_path(dir, number)
    }

    /// Appends shares until that segment is full; gives the next nonce.
    fn fill(log: &ShareLog, number: u64, from: u32) -> u32 {
        let mut nonce = from;
        while log.end().segment < number || log.end().offset < SEGMENT {
            log.append_shares(&[share(nonce)], &mut Vec::new()).unwrap();
            nonce += 1;
        }
        nonce
    }

    #[tokio::test]
    async fn a_segment_made_ahead_is_taken_and_counts_as_synced_with_its_name_only() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let mut next = fill(&log, 1, 0);
        log.look_ahead();
        assert!(path(dir.path()).exists() && !segment(dir.path(), 2).exists());
        let end = log.append_shares(&[share(next)], &mut Vec::new()).unwrap();
        next += 1;
        assert_eq!(end.segment, 2);
        assert!(!path(dir.path()).exists() && segment(dir.path(), 2).exists());
        assert!(log.owes_name(), "the appending thread has not waited for it");
        log.synced(end).await.unwrap();
        assert!(!log.owes_name(), "whoever was told that it is on the disk finds it there");
        drop(log);
        let log = open(dir.path());
        assert_eq!(nonces(&log), (0..next).collect::<Vec<_>>());
    }

    #[test]
    fn a_segment_made_before_a_seal_is_not_taken_because_its_header_would_not_tell_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let next = fill(&log, 1, 0);
        log.look_ahead();
        log.seal(share(0).epoch, Timestamp(1)).unwrap();
        // The seal itself was the first in the next segment: the one ahead was as it had to be.
        assert_eq!(log.end().segment, 2);
        let next = fill_open(&log, 2, next);
        log.look_ahead();
        log.seal(share(0).epoch.next(), Timestamp(2)).unwrap();
        let next = fill_open(&log, 3, next);
        // Made for the seal before, and now there is another.
        log.look_ahead();
        log.seal(share(0).epoch.next().next(), Timestamp(3)).unwrap();
        fill_open(&log, 4, next);
        let sealed = log.sealed();
        let start = log.end();
        log.trim_before(start).unwrap();
        drop(log);
        assert_eq!(open(dir.path()).sealed(), sealed, "the header alone tells");
    }

    /// As [`fill`], with shares of an epoch that is never sealed here.
    fn fill_open(log: &ShareLog, number: u64, from: u32) -> u32 {
        let mut nonce = from;
        while log.end().segment < number || log.end().offset < SEGMENT {
            let mut one = share(nonce);
            one.epoch = gruve_units::EpochNumber(1_000);
            log.append_shares(&[one], &mut Vec::new()).unwrap();
            nonce += 1;
        }
        nonce
    }

    #[test]
    fn what_a_life_that_was_killed_had_made_ahead_is_no_segment() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let next = fill(&log, 1, 0);
        log.look_ahead();
        drop(log);
        // As after a power failure that took the name: what was written there counts for nothing.
        std::fs::write(path(dir.path()), b"a header of another life, and frames").unwrap();
        let log = open(dir.path());
        assert_eq!(log.end().segment, 1);
        log.append_shares(&[share(next)], &mut Vec::new()).unwrap();
        assert_eq!((log.end().segment, log.owes_name()), (2, false), "made by the writer");
        assert_eq!(nonces(&log), (0..=next).collect::<Vec<_>>());
    }

    #[test]
    fn where_it_cannot_be_put_in_place_nothing_is_written_and_the_next_try_makes_another() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let next = fill(&log, 1, 0);
        log.look_ahead();
        std::fs::remove_file(path(dir.path())).unwrap();
        let mut accepted = vec![true];
        log.append_shares(&[share(next)], &mut accepted).unwrap_err();
        assert!(accepted.is_empty());
        log.append_shares(&[share(next)], &mut accepted).unwrap();
        assert_eq!(nonces(&log), (0..=next).collect::<Vec<_>>());
        drop(log);
        assert_eq!(nonces(&open(dir.path())), (0..=next).collect::<Vec<_>>());
    }
}
