//! How much of a log somebody who reads it has before him.

use crate::{Position, Record, ShareLog, summary};
use gruve_units::Timestamp;

/// Records that are looked through for a time. A lane has a job each minute at least; a log of more shares than that in between
/// is told of by the segment before.
const LOOKED_THROUGH_MAX: usize = 100_000;

/// What stands in a log behind a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Bytes of it, as they stand on the disk.
    pub bytes: u64,
    /// When the oldest of it was written: the time of the first job or seal in it, so up to a job's time too late. Where
    /// that cannot be read, or stands too far behind, of the last one before its segment. `None` where nothing stands behind the place, or nothing
    /// that has a time.
    pub since: Option<Timestamp>,
}

impl ShareLog {
    /// What stands behind a place. It reads a little from the disk.
    #[must_use]
    pub fn unread(&self, from: Position) -> Unread {
        let (from, end) = (from.max(self.start()), self.end());
        if from >= end {
            return Unread::default();
        }
        let length = |segment| match segment == end.segment {
            true => end.offset,
            // One that has gone meanwhile was read by all.
            false => std::fs::metadata(self.segment_path(segment)).map_or(0, |file| file.len()),
        };
        let whole: u64 = (from.segment..=end.segment).map(length).sum();
        Unread { bytes: whole.saturating_sub(from.offset), since: self.written_behind(from) }
    }

    fn written_behind(&self, from: Position) -> Option<Timestamp> {
        let mut reader = self.reader(from);
        for _ in 0..LOOKED_THROUGH_MAX {
            let at = match reader.next() {
                Ok(Some((_, Record::Job(job)))) => job.issued_at,
                Ok(Some((_, Record::EthWork(work)))) => work.issued_at,
                Ok(Some((_, Record::Seal { at, .. }))) => at,
                Ok(Some(_)) => continue,
                Ok(None) => return None,
                Err(_) => break,
            };
            return Some(at);
        }
        summary::load(self.dir(), from.segment.checked_sub(1)?)?.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, ShareLog};
    use gruve_units::EpochNumber;

    #[test]
    fn what_is_unread_is_told_in_bytes_and_since_when_over_all_segments() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 64, ..Options::default() };
        let log = ShareLog::open(dir.path(), options).unwrap();
        let mut places = vec![log.end()];
        for n in 1..=4 {
            log.seal(EpochNumber(n), Timestamp::from_secs(100 * n.cast_signed())).unwrap();
            places.push(log.end());
        }
        assert!(log.end().segment > 2, "in several segments: {}", log.end());
        let length = |n| std::fs::metadata(log.segment_path(n)).unwrap().len();
        let all = (1..log.end().segment).map(length).sum::<u64>() + log.end().offset;
        for (n, at) in (0_i64..).zip(&places) {
            let unread = log.unread(*at);
            let next = (n < 4).then(|| Timestamp::from_secs(100 * (n + 1)));
            assert_eq!(unread.since, next, "{at}");
            let read = (1..at.segment).map(length).sum::<u64>() + at.offset;
            assert_eq!(unread.bytes, all - read, "{at}");
        }
        assert_eq!(log.unread(log.end()), Unread::default());
        assert_eq!(log.unread(Position::START).since, Some(Timestamp::from_secs(100)));
    }

    #[test]
    fn where_the_place_cannot_be_read_the_segment_before_says_since_when() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 64, ..Options::default() };
        let log = ShareLog::open(dir.path(), options).unwrap();
        for n in 1..=4 {
            log.seal(EpochNumber(n), Timestamp::from_secs(100 * n.cast_signed())).unwrap();
        }
        let amid = Position { segment: 3, offset: 41 };
        assert!(log.reader(amid).next().is_err(), "no record begins there");
        let before = summary::load(log.dir(), 2).unwrap().latest;
        assert!(before.is_some());
        assert_eq!(log.unread(amid).since, before);
    }
}
