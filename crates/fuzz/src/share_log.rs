//! A share log's folder, damaged in whatever way, opened and read.
//!
//! What must hold: no panic; what is read is what was written, from the beginning (or from where
//! segments are missing) and without a gap, up to an error that tells of the damage or to where a
//! torn tail was cut; opened once more it is the same; it takes a record again, which is then the
//! last. Where checksums were mended after the damage only the first of these, and that it ends.

use crate::input::Input;
use gruve_sharelog::{
    BlockRecord, EthWorkRecord, Extranonce, JobRecord, LogError, Options, Owner, Position, Record,
    ShareLog, ShareRecord,
};
use gruve_units::{AccountId, Class, EpochNumber, JobId, MachineId, Target, Timestamp};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Damages of one input.
const STEPS_MAX: usize = 24;

/// A frame's header, as the log's format has it: mark, length, synced, checksum.
const FRAME: usize = 20;

/// A segment's header.
const SEGMENT: usize = 32;

/// A whole log: its files by name, and what stands in it.
struct Written {
    files: Vec<(String, Vec<u8>)>,
    records: Vec<Record>,
}

fn share(n: u32) -> ShareRecord {
    ShareRecord {
        job: JobId(7),
        epoch: EpochNumber(u64::from(n / 8)),
        class: Class::new(u8::try_from(n % 20).unwrap()).unwrap(),
        owner: if n.is_multiple_of(2) {
            Owner::House
        } else {
            Owner::Account(AccountId::from_bytes([3; 16]))
        },
        machine: MachineId::from_bytes([5; 16]),
        extranonce: Extranonce::new(&n.to_be_bytes()).unwrap(),
        ntime: n,
        nonce: n,
        version: 0x2000_0000,
        at: Timestamp(i64::from(n)),
    }
}

fn records() -> Vec<Record> {
    let job = JobRecord {
        job: JobId(7),
        epoch: EpochNumber(0),
        checkpoint_epoch: EpochNumber(0),
        commitment: [1; 32],
        issued_at: Timestamp(1),
        height: 100,
        prev_hash: [2; 32],
        bits: 0x1d00_ffff,
        version: 0x2000_0000,
        ntime: 1,
        coinbase_prefix: vec![9; 40],
        coinbase_suffix: vec![8; 60],
        class_offset: 3,
        branch: vec![[4; 32]; 2],
    };
    let work = EthWorkRecord {
        job: JobId(8),
        epoch: EpochNumber(1),
        issued_at: Timestamp(2),
        is_etchash: true,
        algorithm_epoch: 5,
        height: Some(9),
        header_hash: [6; 32],
        network_target: Target::MAX,
    };
    let mut all = vec![Record::Job(job), Record::EthWork(work)];
    for n in 0..24 {
        all.push(Record::Share(share(n)));
        if n % 8 == 7 {
            let hash = [u8::try_from(n).unwrap(); 32];
            let block =
                BlockRecord { share: share(n), block_hash: hash, height: 1, block: vec![1; 90] };
            all.push(Record::Block(block));
            if n > 8 {
                let at = Timestamp(i64::from(n));
                all.push(Record::BlockOutcome { block_hash: hash, accepted: true, at });
            }
            all.push(Record::Seal {
                epoch: EpochNumber(u64::from(n / 8)),
                at: Timestamp(i64::from(n)),
            });
        }
    }
    all
}

const OPTIONS: Options = Options {
    segment_bytes: 400,
    durability: gruve_sharelog::Durability::Group(gruve_units::Duration::from_secs(3600)),
};

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let log = ShareLog::open(dir.path(), OPTIONS).expect("a new log");
        for chunk in records().chunks(3) {
            for record in chunk {
                if let Record::Seal { epoch, at } = record {
                    log.seal(*epoch, *at).expect("sealed");
                }
            }
            let others: Vec<Record> =
                chunk.iter().filter(|r| !matches!(r, Record::Seal { .. })).cloned().collect();
            // What an epoch's seal keeps out is simply not there.
            let _ = log.append(&others);
        }
        let records = read(&log).0;
        assert!(records.len() > 20, "{}", records.len());
        drop(log);
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .expect("the folder")
            .map(|f| f.expect("a file"))
            .filter(|f| f.file_type().is_ok_and(|t| t.is_file()))
            .map(|f| (f.file_name().into_string().unwrap(), fs::read(f.path()).unwrap()))
            .collect();
        files.sort();
        assert!(files.len() > 4, "{}", files.len());
        Written { files, records }
    })
}

/// All records from the beginning, up to the end or an error.
fn read(log: &ShareLog) -> (Vec<Record>, Option<LogError>) {
    let mut reader = log.reader(Position::START);
    let mut records = Vec::new();
    loop {
        match reader.next() {
            Ok(Some((_, record))) => records.push(record),
            Ok(None) => return (records, None),
            Err(e) => return (records, Some(e)),
        }
    }
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let written = written();
    let mut files = written.files.clone();
    let (mut is_mended, mut lost_summary) = (false, false);
    for _ in 0..STEPS_MAX {
        if input.is_empty() || files.is_empty() {
            break;
        }
        // The last segment is where a crash leaves its traces.
        let n = if input.flag() { files.len() - 1 } else { input.below(files.len()) };
        lost_summary |= files[n].0.ends_with(".sum");
        is_mended |= damage(&mut files, n, &mut input);
    }
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &files {
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    check(dir.path(), written, is_mended, lost_summary);
}

/// True when a checksum was made to fit.
fn damage(files: &mut Vec<(String, Vec<u8>)>, n: usize, input: &mut Input<'_>) -> bool {
    let segment = files[n].0.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0);
    let bytes = &mut files[n].1;
    let at = usize::from(input.u16()) % (bytes.len() + 1);
    match input.below(8) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << input.below(8),
        2 => {
            let with = input.bytes();
            bytes.extend_from_slice(with);
        }
        3 => {
            let with = input.take(8);
            let end = (at + with.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&with[..end - at]);
        }
        4 => {
            // A piece of the file a second time.
            let end = (at + usize::from(input.u16())).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            bytes.extend(piece);
        }
        5 => drop(files.remove(n)),
        6 => return mend(bytes, segment, input),
        _ => bytes.resize(bytes.len() + usize::from(input.byte()), 0),
    }
    false
}

/// Changes a byte of a frame's payload or length and makes its checksum fit.
fn mend(bytes: &mut [u8], segment: u64, input: &mut Input<'_>) -> bool {
    let mut at = SEGMENT;
    for _ in 0..input.below(6) {
        let Some(length) = payload(bytes, at) else { return false };
        at += FRAME + length;
    }
    let Some(length) = payload(bytes, at) else { return false };
    for _ in 0..=input.below(3) {
        let place = at + FRAME + usize::from(input.u16()) % length.max(1);
        let Some(byte) = bytes.get_mut(place) else { return false };
        *byte = input.byte();
    }
    let Some(frame) = bytes.get(at..at + FRAME + length) else { return false };
    let crc = crc32c::crc32c(&segment.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &(at as u64).to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &frame[..16]);
    let crc = crc32c::crc32c_append(crc, &frame[FRAME..]);
    bytes[at + 16..at + FRAME].copy_from_slice(&crc.to_le_bytes());
    true
}

fn payload(bytes: &[u8], at: usize) -> Option<usize> {
    let header = bytes.get(at..at + FRAME)?;
    let length = u32::from_le_bytes(header[4..8].try_into().unwrap());
    usize::try_from(length).ok().filter(|l| at + FRAME + l <= bytes.len())
}

/// Whether all of `some` stand in `all` in their order.
fn in_order(some: &[Record], all: &[Record]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.any(|other| other == one))
}

fn check(dir: &Path, written: &Written, is_mended: bool, lost_summary: bool) {
    let Ok(log) = ShareLog::open(dir, OPTIONS) else { return };
    let (records, problem) = read(&log);
    let _ = log.unconfirmed_blocks();
    if is_mended {
        return;
    }
    // From wherever the first segment begins, without a gap. That a segment was cut between two
    // frames is known from its summary alone.
    let is_part = records.is_empty()
        || (0..written.records.len()).any(|from| {
            if lost_summary {
                in_order(&records, &written.records[from..])
            } else {
                written.records[from..].starts_with(&records)
            }
        });
    assert!(is_part, "read what was not written: {} records", records.len());
    let end = log.end();
    drop(log);

    let log = ShareLog::open(dir, OPTIONS).expect("opened once, opened again");
    assert_eq!(log.end(), end, "the second opening cuts more");
    let again = read(&log);
    assert_eq!((again.0.len(), again.1.is_some()), (records.len(), problem.is_some()));
    let epoch = log.sealed().map_or(EpochNumber(0), EpochNumber::next);
    let one = ShareRecord { epoch, ..share(99) };
    log.append(&[Record::Share(one)]).expect("a good share is taken");
    if problem.is_none() {
        let (all, problem) = read(&log);
        assert!(problem.is_none(), "{problem:?}");
        assert_eq!(all.len(), records.len() + 1);
        assert_eq!(all.last(), Some(&Record::Share(one)));
    }
}
