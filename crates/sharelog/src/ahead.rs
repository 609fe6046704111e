//! The next segment, made before it is needed.
//!
//! To begin a segment takes three waits for the disk: for the end of the last one, for the new one's header, and for its name
//! in the folder. The thread that appends (which talks to miners) has to wait for the first alone, because only the last
//! segment may ever be torn; the thread that syncs makes the header ahead, and sees to the name before it says that
//! anything in the segment is on the disk. Where it has not come to that (or an epoch was sealed since, which the header
//! tells) the appending thread does all three itself.
//!
//! Locks: the writer may hold its own, *try* that of what is made and take that of the name; whoever holds the name's takes no other.

use crate::LogError;
use crate::recovery::{create_aside, put_in_place, sync_dir};
use gruve_units::EpochNumber;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

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
    name: Mutex<Name>,
}

/// The last segment's name in the folder.
#[derive(Debug, Default)]
struct Name {
    /// It may not be on the disk yet.
    is_owed: bool,
    /// How often it was seen to, for tests.
    #[cfg(test)]
    seen_to: u32,
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
        self.name().is_owed = true;
        Ok(Some(own.file))
    }

    fn name(&self) -> MutexGuard<'_, Name> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that the last segment's name is on the disk: before anything in it counts as synced. Whoever comes while
    /// another does so waits for it.
    pub(crate) fn see_to_name(&self, dir: &Path) -> Result<(), LogError> {
        let mut name = self.name();
        if name.is_owed {
            sync_dir(dir)?;
            name.is_owed = false;
            #[cfg(test)]
            {
                name.seen_to += 1;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn owes_name(&self) -> bool {
        self.name().is_owed
    }

    #[cfg(test)]
    pub(crate) fn names_seen_to(&self) -> u32 {
        self.name().seen_to
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
        let mut nonce = 0;
        while !Ahead::is_due(log.end().offset, SEGMENT) {
            log.append_shares(&[share(nonce)], &mut Vec::new()).unwrap();
            nonce += 1;
        }
        log.look_ahead();
        let epoch = share(0).epoch;
        log.seal(epoch, Timestamp(1)).unwrap();
        assert_eq!(log.end().segment, 1, "the seal stands in the segment that was there");
        let mut one = share(nonce);
        one.epoch = epoch.next();
        while log.end().segment == 1 {
            log.append_shares(&[one], &mut Vec::new()).unwrap();
        }
        assert!(!log.owes_name(), "made by the writer");
        log.trim_before(log.end()).unwrap();
        drop(log);
        assert_eq!(open(dir.path()).sealed(), Some(epoch), "the header alone tells");
    }

    #[test]
    fn before_a_segment_is_left_for_the_next_its_name_is_seen_to() {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let mut next = 0;
        for number in 1..=3 {
            next = fill(&log, number, next);
            log.look_ahead();
            // What is left counts as synced from then on, and no sync has been asked for.
            log.append_shares(&[share(next)], &mut Vec::new()).unwrap();
            next += 1;
            assert_eq!(log.names_seen_to(), u32::try_from(number).unwrap() - 1);
            assert!(log.owes_name());
        }
        drop(log);
        assert_eq!(nonces(&open(dir.path())), (0..next).collect::<Vec<_>>());
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
