//! What survives a crash, and what does not pass for a crash.

use crate::support::*;
use gruve_sharelog::{JobRecord, LogError, Position, Record, ShareLog};
use gruve_units::{Blame, Blamed as _, EpochNumber, JobId, Timestamp};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn batches() -> impl Strategy<Value = Vec<Vec<Record>>> {
    let mixed = proptest::collection::vec(any_record(), 1..4);
    proptest::collection::vec(prop_oneof![mixed, alike()], 1..6)
}

proptest! {
    // Each cut is a folder with its own syncs: few cases, many cuts.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn cut_at_any_byte_a_prefix_of_whole_batches_survives(batches in batches()) {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        let mut whole = vec![(log.start().offset, 0)];
        for batch in &batches {
            let end = log.append(batch).unwrap();
            whole.push((end.offset, whole.last().unwrap().1 + batch.len()));
        }
        drop(log);
        let all = batches.concat();
        let bytes = fs::read(&segments(dir.path())[0]).unwrap();
        // Every byte near a border, and a spread of the rest.
        let near = |at: u64| whole.iter().any(|(b, _)| at.abs_diff(*b) < 24);
        for cut in (32..=bytes.len() as u64).filter(|at| near(*at) || at % 37 == 0) {
            let other = tempfile::tempdir().unwrap();
            let file = other.path().join("00000000000000000001.seg");
            let mut left = bytes[..usize::try_from(cut).unwrap()].to_vec();
            // Half of them with the room that the log had made behind its end.
            left.resize(left.len() + usize::from(cut % 2 == 0) * 5000, 0);
            fs::write(&file, &left).unwrap();
            let log = open(other.path());
            // Zeros may happen to be what was cut off.
            let stands = left.iter().zip(&bytes).take_while(|(a, b)| a == b).count() as u64;
            let (end, count) = *whole.iter().rev().find(|(end, _)| *end <= stands).unwrap();
            prop_assert_eq!(records(&log), all[..count].to_vec());
            prop_assert_eq!(log.end().offset, end);
            // And it goes on from there.
            log.append(&[outcome(9)]).unwrap();
            prop_assert_eq!(records(&log).len(), count + 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_appended_is_read_back_in_order(batches in batches(), segment in 33u64..2000) {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), small_segments(segment)).unwrap();
        let mut ends = Vec::new();
        for batch in &batches {
            ends.push(log.append(batch).unwrap());
        }
        prop_assert!(ends.is_sorted_by(|a, b| a < b));
        let all: Vec<Record> = batches.concat();
        prop_assert_eq!(records(&log), all.clone());
        // From every record's own position the rest is read, and a cursor put down anywhere goes on
        // there.
        let placed = read_from(&log, Position::START).unwrap();
        for (i, (position, _)) in placed.iter().enumerate() {
            prop_assert_eq!(read_from(&log, *position).unwrap(), placed[i..].to_vec());
        }
        drop(log);
        let log = ShareLog::open(dir.path(), small_segments(segment)).unwrap();
        prop_assert_eq!(records(&log), all);
    }

    #[test]
    fn a_flipped_bit_never_passes_for_a_record(batches in batches(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        for batch in &batches {
            log.append(batch).unwrap();
        }
        drop(log);
        let all = batches.concat();
        let path = &segments(dir.path())[0];
        let mut bytes = fs::read(path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        match ShareLog::open(dir.path(), small_segments(1 << 20)) {
            // Cut as a torn tail: what is left is what was written.
            Ok(log) => {
                let left = records(&log);
                prop_assert!(left.len() < all.len());
                prop_assert_eq!(&left[..], &all[..left.len()]);
            }
            Err(e) => prop_assert!(matches!(e, LogError::Damaged { .. }), "{}", e),
        }
    }

    #[test]
    fn a_running_reader_finds_a_flipped_bit(batch in proptest::collection::vec(any_record(), 1..4), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        log.append(&batch).unwrap();
        let path = &segments(dir.path())[0];
        let mut bytes = fs::read(path).unwrap();
        let at = 32 + at.index(bytes.len() - 32);
        bytes[at] ^= 1 << bit;
        fs::write(path, &bytes).unwrap();
        let e = read_from(&log, Position::START).unwrap_err();
        prop_assert!(matches!(e, LogError::Damaged { .. } | LogError::NoRecord(_)), "{}", e);
        prop_assert_eq!(e.blame(), Blame::Fatal);
    }

    #[test]
    fn arbitrary_bytes_in_a_segment_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep_header in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let path = &segments(dir.path())[0];
        let mut content = if keep_header { fs::read(path).unwrap() } else { Vec::new() };
        content.extend(bytes);
        fs::write(path, content).unwrap();
        let _ = ShareLog::open(dir.path(), small_segments(1 << 20)).map(|log| records(&log));
    }
}

#[tokio::test]
async fn damage_before_what_was_synced_is_fatal_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = log.append(&[Record::Share(share(1, 5))]).unwrap();
    log.synced(first).await.unwrap();
    // This frame knows that the first had been synced.
    log.append(&[Record::Share(share(2, 5))]).unwrap();
    drop(log);
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let e = ShareLog::open(dir.path(), small_segments(1 << 20)).unwrap_err();
    assert!(matches!(&e, LogError::Damaged { path: p, offset: 32, .. } if *p == path), "{e}");
    assert_eq!(e.blame(), Blame::Fatal);
}

#[test]
fn damage_in_an_earlier_segment_is_fatal_even_at_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(64)).unwrap();
    for n in 0..3 {
        log.append(&[Record::Share(share(n, 5))]).unwrap();
    }
    drop(log);
    let path = &segments(dir.path())[1];
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    let e = ShareLog::open(dir.path(), small_segments(64)).unwrap_err();
    assert!(matches!(&e, LogError::Damaged { path: p, .. } if p == path), "{e}");
    fs::remove_file(path).unwrap();
    let e = ShareLog::open(dir.path(), small_segments(64)).unwrap_err();
    assert!(matches!(&e, LogError::Damaged { what: "the segment is missing", .. }), "{e}");
}

#[tokio::test]
async fn what_is_written_into_the_room_ahead_outlives_the_program_and_the_power() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut ends = Vec::new();
    for n in 0..20 {
        let end = log.append(&[Record::Share(share(n, 5))]).unwrap();
        log.synced(end).await.unwrap();
        ends.push(usize::try_from(end.offset).unwrap());
    }
    let path = segments(dir.path()).remove(0);
    let file = path.file_name().unwrap();
    let bytes = fs::read(&path).unwrap();
    let end = ends[19];
    assert!(bytes.len() >= end + 4096, "there is room");
    assert!(bytes[end..].iter().all(|b| *b == 0), "and nothing else");
    drop(log);
    assert_eq!(fs::metadata(&path).unwrap().len(), end as u64, "at rest there is none");
    let begin_with = |bytes: &[u8]| {
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join(file), bytes).unwrap();
        let log = open(other.path());
        let count = records(&log).len();
        log.append(&[outcome(9)]).unwrap();
        assert_eq!(records(&log).len(), count + 1, "and it goes on from there");
        (log.end().segment, count)
    };
    assert_eq!(begin_with(&bytes), (1, 20), "as `kill -9` leaves it");
    // A power cut may leave what was written last and not what was before it: nobody had been told
    // that either is on the disk.
    let mut cut = bytes.clone();
    let known = u64::from_le_bytes(bytes[ends[18] + 8..ends[18] + 16].try_into().unwrap());
    assert!(known >= ends[17] as u64, "the last frame was written when the one before was synced");
    cut[ends[18]..end].fill(0);
    assert_eq!(begin_with(&cut), (1, 19));
    let tail = ends[18]..end;
    cut.copy_within(ends[17]..ends[18], end);
    cut[tail].fill(0);
    assert_eq!(begin_with(&cut), (1, 19), "a frame in another place is none");
}

#[test]
fn an_earlier_segment_cut_between_two_frames_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(400)).unwrap();
    let mut ends = Vec::new();
    for n in 0..12 {
        log.append(&[Record::Share(share(n, 5))]).unwrap();
        ends.push(log.end());
    }
    drop(log);
    let path = &segments(dir.path())[1];
    let cut = ends.iter().find(|e| e.segment == 2).unwrap();
    let bytes = fs::read(path).unwrap();
    assert!(cut.offset < bytes.len() as u64, "the segment holds several frames");
    fs::write(path, &bytes[..usize::try_from(cut.offset).unwrap()]).unwrap();
    let e = ShareLog::open(dir.path(), small_segments(400)).unwrap_err();
    assert!(matches!(&e, LogError::Damaged { path: p, .. } if p == path), "{e}");
}

#[test]
fn what_the_log_knows_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(200)).unwrap();
    log.append(&[block(1), block(2), outcome(1)]).unwrap();
    log.append(&[Record::Share(share(1, 5))]).unwrap();
    log.seal(EpochNumber(5), Timestamp(9)).unwrap();
    log.append(&[block(3)]).unwrap();
    let end = log.end();
    drop(log);
    let log = ShareLog::open(dir.path(), small_segments(200)).unwrap();
    assert_eq!(log.end(), end);
    assert_eq!(log.sealed(), Some(EpochNumber(5)));
    let open: Vec<u64> = log.unconfirmed_blocks().unwrap().iter().map(|b| b.height).collect();
    assert_eq!(open, [2, 3]);
    log.append(&[outcome(2), outcome(3)]).unwrap();
    assert!(log.unconfirmed_blocks().unwrap().is_empty());
}

#[test]
fn a_trimmed_log_still_knows_its_seal() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(100)).unwrap();
    log.seal(EpochNumber(8), Timestamp(9)).unwrap();
    for n in 0..6 {
        log.append(&[Record::Share(share(n, 9))]).unwrap();
    }
    log.trim_before(log.end()).unwrap();
    assert_eq!(segments(dir.path()).len(), 1);
    drop(log);
    let log = ShareLog::open(dir.path(), small_segments(100)).unwrap();
    assert_eq!(log.sealed(), Some(EpochNumber(8)));
    assert!(matches!(
        log.append(&[Record::Share(share(1, 6))]),
        Err(LogError::Sealed(EpochNumber(6)))
    ));
}

fn job(number: u64, epoch: u64) -> Record {
    Record::Job(JobRecord {
        job: JobId(number),
        epoch: EpochNumber(epoch),
        checkpoint_epoch: EpochNumber(epoch.saturating_sub(2)),
        commitment: [1; 32],
        issued_at: Timestamp(i64::try_from(epoch).unwrap()),
        height: 1,
        prev_hash: [2; 32],
        bits: 0x1d00_ffff,
        version: 1,
        ntime: 1,
        coinbase_prefix: Vec::new(),
        coinbase_suffix: Vec::new(),
        class_offset: 0,
        branch: Vec::new(),
    })
}

/// All that a log knows without being read, and what stands in it.
fn knowledge(log: &ShareLog) -> (Option<EpochNumber>, Option<JobId>, Vec<u64>, Position, usize) {
    let blocks = log.unconfirmed_blocks().unwrap().iter().map(|b| b.height).collect();
    (log.sealed(), log.last_job(), blocks, log.end(), records(log).len())
}

/// A log of several segments with something of every kind.
fn long_log(dir: &Path) -> ShareLog {
    let log = ShareLog::open(dir, small_segments(600)).unwrap();
    for n in 0..6u8 {
        let epoch = u64::from(n) + 10;
        log.append(&[job(u64::from(n) + 1, epoch), Record::Share(share(n.into(), epoch))]).unwrap();
        log.append(&[block(n)]).unwrap();
        if n % 2 == 0 {
            log.append(&[outcome(n)]).unwrap();
        }
        log.seal(EpochNumber(epoch), Timestamp(i64::from(n) * 100)).unwrap();
    }
    assert!(segments(dir).len() > 4);
    log
}

#[test]
fn opening_reads_no_closed_segment_and_readers_tell_what_is_wrong_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let known = knowledge(&long_log(dir.path()));
    let path = &segments(dir.path())[1];
    let mut bytes = fs::read(path).unwrap();
    // Damaged, with a summary that says it is as it should be: only reading it finds out.
    bytes[40] ^= 1;
    fs::write(path, &bytes).unwrap();
    let sum = path.with_extension("sum");
    let mut summary = fs::read(&sum).unwrap();
    let tail = crc32c::crc32c(&bytes);
    summary[24..28].copy_from_slice(&tail.to_le_bytes());
    let body = summary.len() - 4;
    let crc = crc32c::crc32c(&summary[..body]);
    summary[body..].copy_from_slice(&crc.to_le_bytes());
    fs::write(&sum, &summary).unwrap();
    let log = ShareLog::open(dir.path(), small_segments(600)).unwrap();
    assert_eq!((log.sealed(), log.last_job(), log.end()), (known.0, known.1, known.3));
    let e = read_from(&log, Position::START).unwrap_err();
    assert!(matches!(&e, LogError::Damaged { path: p, .. } if p == path), "{e}");
}

#[test]
fn summaries_that_are_missing_torn_or_of_something_else_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let known = knowledge(&long_log(dir.path()));
    let sums: Vec<_> = segments(dir.path()).iter().map(|p| p.with_extension("sum")).collect();
    let (last, closed) = sums.split_last().unwrap();
    assert!(!last.exists() && closed.iter().all(|p| p.exists()));
    let good: Vec<_> = closed.iter().map(|p| fs::read(p).unwrap()).collect();
    for round in 0..4 {
        for (n, path) in closed.iter().enumerate() {
            match round {
                0 => fs::remove_file(path).unwrap(),
                1 => fs::write(path, &good[n][..good[n].len() / 2]).unwrap(),
                2 => fs::write(path, &good[(n + 1) % good.len()]).unwrap(),
                _ if n % 2 == 0 => fs::write(path, b"").unwrap(),
                _ => {}
            }
        }
        let log = ShareLog::open(dir.path(), small_segments(600)).unwrap();
        assert_eq!(knowledge(&log), known);
        drop(log);
        let made: Vec<_> = closed.iter().map(|p| fs::read(p).unwrap()).collect();
        assert_eq!(made, good);
    }
}

#[test]
fn segments_older_than_asked_go_and_none_that_is_still_to_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = long_log(dir.path());
    log.append(&[outcome(1), outcome(3), outcome(5)]).unwrap();
    let known = (log.sealed(), log.last_job(), log.end());
    let cursor = Position { segment: 2, offset: 32 };
    assert_eq!(log.trim_older(Timestamp(i64::MAX), cursor).unwrap().segment, 2, "up to the cursor");
    assert_eq!(log.trim_older(Timestamp(-1), log.end()).unwrap().segment, 2, "nothing is so old");
    log.trim_older(Timestamp(301), log.end()).unwrap();
    let oldest = records(&log).iter().find_map(|r| match r {
        Record::Seal { at, .. } => Some(*at),
        _ => None,
    });
    assert!(oldest >= Some(Timestamp(301)), "{oldest:?}");
    assert!(log.start().segment > 2 && log.start() < log.end());
    drop(log);
    let log = ShareLog::open(dir.path(), small_segments(600)).unwrap();
    assert_eq!((log.sealed(), log.last_job(), log.end()), known);
    let sums = fs::read_dir(dir.path()).unwrap();
    let sums = sums.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "sum"));
    assert_eq!(sums.count(), segments(dir.path()).len() - 1);
}
