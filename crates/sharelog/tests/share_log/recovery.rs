//! What survives a crash, and what does not pass for a crash.

use crate::support::*;
use gruve_sharelog::{LogError, Position, Record, ShareLog};
use gruve_units::{Blame, Blamed as _, EpochNumber, Timestamp};
use proptest::prelude::*;
use std::fs;

fn batches() -> impl Strategy<Value = Vec<Vec<Record>>> {
    proptest::collection::vec(proptest::collection::vec(any_record(), 1..4), 1..6)
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
            fs::write(&file, &bytes[..usize::try_from(cut).unwrap()]).unwrap();
            let log = open(other.path());
            let (end, count) = *whole.iter().rev().find(|(end, _)| *end <= cut).unwrap();
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
        log.append(&[Record::Share(share(1, 8))]),
        Err(LogError::Sealed(EpochNumber(8)))
    ));
}
