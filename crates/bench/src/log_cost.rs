//! What the share log costs the gateway, by what it did and what one append takes.
//!
//! The gateway cannot be run without its log, and should not: nothing is acknowledged that is not in
//! it. So its part is measured from both ends: how many appends a run made (the log's own frames are
//! counted), and how long an append of as many shares takes on the same core and the same disk, with
//! the syncs that go with it. The product over the run's time is the log's part of it.

use crate::BenchError;
use gruve_sharelog::{Extranonce, Options, Owner, ShareLog, ShareRecord};
use gruve_units::{Class, EpochNumber, JobId, MachineId, Timestamp};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes before a segment's first frame, and before a frame's payload: the log's documented format.
const SEGMENT_HEADER: usize = 32;
const FRAME_HEADER: usize = 20;

/// Appends to a log so far: its frames.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn frames(dir: &Path) -> Result<u64, BenchError> {
    let mut frames = 0;
    for entry in std::fs::read_dir(dir).map_err(BenchError::Poll)? {
        let path = entry.map_err(BenchError::Poll)?.path();
        if path.extension().is_some_and(|e| e == "seg") {
            frames += frames_in(&path).map_err(BenchError::Poll)?;
        }
    }
    Ok(frames)
}

fn frames_in(path: &Path) -> io::Result<u64> {
    let bytes = std::fs::read(path)?;
    let (mut at, mut frames) = (SEGMENT_HEADER, 0);
    while let Some(head) = bytes.get(at..at + 8).filter(|h| h.starts_with(b"GVFR")) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        at += FRAME_HEADER + usize::try_from(length).unwrap_or(usize::MAX / 2);
        frames += 1;
    }
    Ok(frames)
}

/// What one append of this many shares costs, nanoseconds of processor time with the syncs that go
/// with it, over about `span` of appends to a log of its own in a new folder within `dir`.
///
/// # Errors
/// When the log cannot be written.
pub(crate) fn append_ns(dir: &Path, shares: usize, span: Duration) -> Result<u64, BenchError> {
    let folder = tempfile::tempdir_in(dir).map_err(BenchError::Poll)?;
    let log = ShareLog::open(folder.path(), Options::default()).map_err(BenchError::Log)?;
    let batch: Vec<_> = (0..u32::try_from(shares).unwrap_or(u32::MAX)).map(share).collect();
    let mut accepted = Vec::new();
    let (begun, cpu_before) = (Instant::now(), cpu_ns());
    let mut appends: u64 = 0;
    while begun.elapsed() < span {
        log.append_shares(&batch, &mut accepted).map_err(BenchError::Log)?;
        appends += 1;
    }
    drop(log);
    Ok((cpu_ns() - cpu_before) / appends.max(1))
}

/// Processor time of this process, all threads.
fn cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (s, ns) = (u64::try_from(t.tv_sec), u64::try_from(t.tv_nsec));
    s.unwrap_or(0) * 1_000_000_000 + ns.unwrap_or(0)
}

fn share(n: u32) -> ShareRecord {
    ShareRecord {
        job: JobId(1),
        epoch: EpochNumber(1),
        class: Class::ZERO,
        owner: Owner::House,
        machine: MachineId::from_bytes([7; 16]),
        extranonce: Extranonce::join(&[1; 4], &[2; 8]).unwrap_or_default(),
        ntime: 0x6600_0000,
        nonce: n,
        version: 0x2000_0000,
        at: Timestamp::from_secs(1_700_000_000),
    }
}
