//! Segments that an earlier version of the program wrote.

use crate::support::*;
use gruve_sharelog::{Record, ShareLog};
use std::fs;

/// Bytes of a frame's header, and of a share of the house with twelve bytes of extranonce that stands for
/// itself.
const FRAME: u64 = 20;
const WHOLE: u64 = 77;

/// A log whose only segment is of version 1: a job and fifteen shares of two machines, as the program wrote
/// them before there was a short form (commit f2b151d).
fn of_version_1() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let bytes = include_bytes!("../../testdata/version1.seg");
    fs::write(dir.path().join("00000000000000000001.seg"), bytes).unwrap();
    dir
}

fn three() -> Vec<Record> {
    (1..4).map(|n| Record::Share(share(n, 1 << 40))).collect()
}

#[test]
fn a_segment_of_version_1_is_read_and_ended_in_its_own_form() {
    let dir = of_version_1();
    let log = open(dir.path());
    let old = records(&log);
    assert!(matches!(old[0], Record::Job(_)));
    assert_eq!(old[1..].iter().filter(|r| matches!(r, Record::Share(_))).count(), 15);
    assert_eq!(old.len(), 16);
    let before = log.end();
    let after = log.append(&three()).unwrap();
    assert_eq!((after.segment, after.offset - before.offset), (1, FRAME + 3 * WHOLE));
    let mut accepted = Vec::new();
    let shares: Vec<_> = (4..6).map(|n| share(n, 1 << 40)).collect();
    let end = log.append_shares(&shares, &mut accepted).unwrap();
    assert_eq!(end.offset - after.offset, FRAME + 2 * WHOLE);
    drop(log);
    let log = open(dir.path());
    assert_eq!(records(&log).len(), 21);
    assert_eq!(&fs::read(&segments(dir.path())[0]).unwrap()[..8], b"GRUVELG1");
}

#[test]
fn the_segment_after_one_of_version_1_has_short_shares() {
    let dir = of_version_1();
    let small = small_segments(2_000);
    let log = ShareLog::open(dir.path(), small).unwrap();
    let old = records(&log);
    let first = log.append(&three()).unwrap();
    assert_eq!(first.segment, 2);
    let second = log.append(&three()).unwrap();
    // Each differs in its nonce and its time alone.
    assert_eq!(second.offset - first.offset, FRAME + WHOLE + 2 * (4 + 2 + 4 + 8));
    assert_eq!(&fs::read(&segments(dir.path())[1]).unwrap()[..8], b"GRUVELG2");
    drop(log);
    let log = ShareLog::open(dir.path(), small).unwrap();
    assert_eq!(records(&log), [old, three(), three()].concat());
}
