//! The log as its writer and its reader see it.

use crate::support::*;
use gruve_sharelog::{
    Durability, LogError, MAX_FRAME_BYTES, Options, Position, Record, ShareLog, counts_in,
};
use gruve_units::{Duration, EpochNumber, Timestamp};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_sealed_epoch_takes_late_shares_until_two_more_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut accepted = Vec::new();
    log.append_shares(&[share(1, 4), share(2, 5)], &mut accepted).unwrap();
    assert_eq!(accepted, [true, true]);
    log.seal(EpochNumber(4), Timestamp(1)).unwrap();
    let later = [share(3, 4), share(4, 5), share(5, 3), share(6, 2)];
    log.append_shares(&later, &mut accepted).unwrap();
    assert_eq!(accepted, [true, true, true, false]);
    let end = log.end();
    log.append_shares(&[share(7, 2)], &mut accepted).unwrap();
    assert_eq!((accepted, log.end()), (vec![false], end), "nothing to write, nothing written");
    log.seal(EpochNumber(4), Timestamp(2)).unwrap();
    log.seal(EpochNumber(2), Timestamp(2)).unwrap();
    assert_eq!(log.end(), end, "sealing again does nothing");
    let expected = [
        Record::Share(share(1, 4)),
        Record::Share(share(2, 5)),
        Record::Seal { epoch: EpochNumber(4), at: Timestamp(1) },
        Record::Share(share(3, 4)),
        Record::Share(share(4, 5)),
        Record::Share(share(5, 3)),
    ];
    assert_eq!(records(&log), expected);
}

#[test]
fn a_seal_races_with_shares_and_none_that_counts_nowhere_comes_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    std::thread::scope(|s| {
        for writer in 0..3 {
            let log = log.clone();
            s.spawn(move || {
                let mut accepted = Vec::new();
                for n in 0..400u32 {
                    let epoch = u64::from(n / 100);
                    let one = share(writer * 1000 + n, epoch);
                    log.append_shares(&[one], &mut accepted).unwrap();
                }
            });
        }
        let log = log.clone();
        s.spawn(move || {
            for epoch in 0..4 {
                log.seal(EpochNumber(epoch), Timestamp(0)).unwrap();
                std::thread::yield_now();
            }
        });
    });
    let mut sealed = None;
    for record in records(&log) {
        match record {
            Record::Seal { epoch, .. } => sealed = Some(epoch),
            Record::Share(s) => assert!(counts_in(sealed, s.epoch).is_some()),
            _ => {}
        }
    }
    assert_eq!(sealed, Some(EpochNumber(3)));
}

#[test]
fn readers_see_whole_batches_while_writers_write() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(5000)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            let mut accepted = Vec::new();
            for batch in 0..300u32 {
                let shares: Vec<_> = (0..5).map(|n| share(batch * 5 + n, 1)).collect();
                log.append_shares(&shares, &mut accepted).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut reader = log.reader(Position::START);
        let mut next = 0;
        loop {
            let was_done = done.load(Ordering::SeqCst);
            while let Some((_, record)) = reader.next().unwrap() {
                assert!(matches!(record, Record::Share(s) if s.nonce == next));
                next += 1;
            }
            if was_done {
                break;
            }
        }
        assert_eq!(next, 1500);
    });
}

#[tokio::test]
async fn waiting_ends_when_something_is_written_and_when_it_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(
        dir.path(),
        // A group interval that would fail the test's deadline: whoever waits is not kept waiting.
        Options { durability: Durability::Group(Duration::from_secs(3600)), ..Options::default() },
    )
    .unwrap();
    let (start, other) = (log.end(), log.clone());
    let waiting = tokio::spawn(async move { other.wait_past(start).await });
    let end = log.append(&[outcome(1)]).unwrap();
    let deadline = Duration::from_secs(20);
    tokio::time::timeout(deadline, waiting).await.unwrap().unwrap();
    tokio::time::timeout(deadline, log.synced(end)).await.unwrap().unwrap();
}

/// Behind the first append that a sync owes readers are told by that sync.
#[tokio::test]
async fn who_waits_hears_of_every_append_whatever_came_right_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..100 {
        let first = log.append(&[outcome(n)]).unwrap();
        let other = log.clone();
        let waiting = tokio::spawn(async move { other.wait_past(first).await });
        tokio::task::yield_now().await;
        log.append(&[outcome(n)]).unwrap();
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_a_log_takes_of_the_processor_is_counted_once_somebody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut accepted = Vec::new();
    let end = log.append_shares(&[share(1, 4)], &mut accepted).unwrap();
    log.synced(end).await.unwrap();
    assert_eq!(log.cost(), (Duration::ZERO, Duration::ZERO));
    log.count_cost();
    let mut before = Duration::ZERO;
    for n in 2..20 {
        log.append_shares(&[share(n, 4)], &mut accepted).unwrap();
        assert!(log.cost().0 > before);
        before = log.cost().0;
    }
    let counted = async {
        while log.cost().1 == Duration::ZERO {
            log.synced(log.append(&[outcome(1)]).unwrap()).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap();
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    assert!(matches!(ShareLog::open(dir.path(), Options::default()), Err(LogError::InUse(_))));
    drop(log);
    open(dir.path());
}

#[test]
fn what_is_too_large_or_not_for_append_is_refused_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut big = block(1);
    if let Record::Block(b) = &mut big {
        b.block = vec![0; MAX_FRAME_BYTES];
    }
    assert!(matches!(log.append(&[big]), Err(LogError::TooLarge { .. })));
    let seal = Record::Seal { epoch: EpochNumber(1), at: Timestamp(1) };
    assert!(matches!(log.append(&[seal]), Err(LogError::SealInAppend)));
    assert!(records(&log).is_empty());
    log.append(&[outcome(1)]).unwrap();
    assert_eq!(records(&log), [outcome(1)]);
}

#[test]
fn trimming_keeps_unanswered_blocks_and_tells_late_readers() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(64)).unwrap();
    log.append(&[Record::Share(share(1, 1))]).unwrap();
    log.append(&[block(1)]).unwrap();
    for n in 0..4 {
        log.append(&[Record::Share(share(n, 1))]).unwrap();
    }
    let old = log.start();
    log.trim_before(log.end()).unwrap();
    assert_eq!(log.unconfirmed_blocks().unwrap().len(), 1, "its segment is still there");
    assert!(matches!(log.reader(old).next(), Err(LogError::Trimmed { .. })));
    log.append(&[outcome(1)]).unwrap();
    log.trim_before(log.end()).unwrap();
    assert_eq!(log.start().segment, log.end().segment);
    assert!(read_from(&log, Position::START).is_ok());
}

#[test]
fn a_reader_whose_next_segment_was_trimmed_meanwhile_hears_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(64)).unwrap();
    log.append(&[0, 1].map(|n| Record::Share(share(n, 1)))).unwrap();
    let mut reader = log.reader(Position::START);
    let nonce = |read| match read {
        Ok(Some((_, Record::Share(s)))) => s.nonce,
        other => panic!("{other:?}"),
    };
    assert_eq!(nonce(reader.next()), 0);
    for n in 2..6 {
        log.append(&[Record::Share(share(n, 1))]).unwrap();
    }
    log.trim_before(log.end()).unwrap();
    assert_eq!(nonce(reader.next()), 1, "what was open is read to its end");
    let asked = reader.next().unwrap_err();
    let LogError::Trimmed { asked, start } = asked else { panic!("{asked}") };
    assert_eq!((asked.segment, start), (2, log.start()));
    assert_eq!(nonce(log.reader(start).next()), 5, "that is where to go on");
}

#[test]
fn a_segment_that_is_gone_without_having_been_trimmed_is_a_fault_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(64)).unwrap();
    for n in 0..3 {
        log.append(&[Record::Share(share(n, 1))]).unwrap();
    }
    std::fs::remove_file(&segments(dir.path())[0]).unwrap();
    for from in [Position::START, log.start()] {
        assert!(matches!(log.reader(from).next(), Err(LogError::Io { .. })), "from {from}");
    }
}

#[test]
fn whoever_wants_all_there_is_gets_it_while_it_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), small_segments(64)).unwrap();
    log.append(&[Record::Share(share(0, 1))]).unwrap();
    std::thread::scope(|s| {
        let writer = s.spawn(|| {
            for n in 1..300 {
                log.append(&[Record::Share(share(n, 1))]).unwrap();
                log.trim_before(log.end()).unwrap();
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let (_, record) =
                log.reader(Position::START).next().unwrap().expect("one is always there");
            let Record::Share(s) = record else { panic!("{record:?}") };
            assert!(s.nonce >= last, "{} after {last}", s.nonce);
            last = s.nonce;
        }
    });
}

#[test]
fn positions_where_no_record_begins_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(&[Record::Share(share(1, 1)), Record::Share(share(2, 1))]).unwrap();
    let good: Vec<u64> =
        read_from(&log, Position::START).unwrap().iter().map(|(p, _)| p.offset).collect();
    for offset in 33..log.end().offset {
        let found = log.reader(Position { segment: 1, offset }).next();
        assert_eq!(found.is_ok(), good.contains(&offset), "at {offset}: {found:?}");
    }
    assert!(log.reader(log.end()).next().unwrap().is_none());
    let (segment, offset) = log.end().to_i64s();
    assert_eq!(Position::from_i64s(segment, offset), Some(log.end()));
    assert_eq!(Position::from_i64s(-1, 0), None);
}
