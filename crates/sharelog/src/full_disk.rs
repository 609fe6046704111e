//! Tests of the full disk: only inside the room can a write be made to fail.

use crate::{
    Durability, Extranonce, LogError, Options, Owner, Position, Record, ShareLog, ShareRecord,
};
use gruve_units::{Blame, Blamed as _, Class, Duration, EpochNumber, JobId, MachineId, Timestamp};

pub(crate) fn share(nonce: u32) -> ShareRecord {
    ShareRecord {
        job: JobId(1),
        epoch: EpochNumber(1),
        class: Class::new(10).unwrap(),
        owner: Owner::House,
        machine: MachineId::from_bytes([1; 16]),
        extranonce: Extranonce::new(&[1, 2, 3]).unwrap(),
        ntime: 1,
        nonce,
        version: 1,
        at: Timestamp(1),
    }
}

pub(crate) fn nonces(log: &ShareLog) -> Vec<u32> {
    let mut reader = log.reader(Position::START);
    let mut all = Vec::new();
    while let Some((_, record)) = reader.next().unwrap() {
        if let Record::Share(s) = record {
            all.push(s.nonce);
        }
    }
    all
}

#[test]
fn on_a_full_disk_shares_are_refused_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let mut accepted = Vec::new();
    log.append_shares(&[share(1)], &mut accepted).unwrap();
    let end = log.end();
    // One share for itself (68 bytes), one short (10), the frame's header (20).
    for left in 0..98 {
        log.leave_on_disk(Some(left));
        let e = log.append_shares(&[share(2), share(3)], &mut accepted).unwrap_err();
        assert!(matches!(e, LogError::Io { .. }), "{e}");
        assert_eq!(e.blame(), Blame::Transient);
        assert!(accepted.is_empty(), "no answer may pass for yes");
        assert_eq!(log.end(), end);
        let file = dir.path().join("00000000000000000001.seg");
        assert_eq!(std::fs::metadata(file).unwrap().len(), end.offset, "cut back");
    }
    // A seal or a block that could not be written has not happened.
    log.leave_on_disk(Some(10));
    assert!(log.seal(EpochNumber(1), Timestamp(1)).is_err());
    assert_eq!(log.sealed(), None);
    log.leave_on_disk(None);
    log.append_shares(&[share(4)], &mut accepted).unwrap();
    assert_eq!(nonces(&log), [1, 4]);
    drop(log);
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    assert_eq!(nonces(&log), [1, 4]);
}

/// What was written before is good, and its miners wait for the word that it is on the disk.
#[tokio::test]
async fn a_log_that_can_take_no_more_still_syncs_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let durability = Durability::Fsync;
    let log = ShareLog::open(dir.path(), Options { durability, ..Options::default() }).unwrap();
    let mut accepted = Vec::new();
    for nonce in 0..50 {
        let end = log.append_shares(&[share(nonce)], &mut accepted).unwrap();
        log.stop_writing();
        let synced = tokio::time::timeout(Duration::from_secs(20), log.synced(end)).await;
        assert!(matches!(synced, Ok(Ok(()))), "{synced:?}");
        let e = log.append_shares(&[share(nonce)], &mut accepted).unwrap_err();
        assert!(matches!(e, LogError::Stopped("cut after a failed write")), "{e}");
        log.go_on_writing();
    }
}
