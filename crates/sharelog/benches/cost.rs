//! What the log costs a thread that works beside it: `cargo bench -p gruve-sharelog`, held to one core by
//! `taskset -c 0` or the like.
//!
//! A thread does what a gateway's does, in processor time: rounds of shares, an append each, and work in between. All is
//! counted in processor time (the thread's own within appends, the syncing thread's whole), so that whatever else runs on
//! the machine is not in it, and neither is waiting for the disk.
//!
//! The log's part is that of a core which does nothing else. Appends come with the shares, so theirs is a part of what
//! the thread has had of the core; syncs come with time, so theirs is a part of the time that has passed. (Both held against what the
//! two threads have had of a core, a program that took half of it would double the part of the syncs.) What others leave in the
//! caches, and rounds that take longer beside them, are still in it: it wants a core of its own all the same.
#![allow(missing_docs, clippy::unwrap_used)]

use gruve_sharelog::{Extranonce, Options, Owner, ShareLog, ShareRecord};
use gruve_units::{Class, EpochNumber, JobId, MachineId, Timestamp};
use std::time::{Duration, Instant};

/// How long each row.
const ROW: Duration = Duration::from_secs(4);

/// What the work between rounds goes through, so that caches are no better than a gateway's: one megabyte.
const WORDS: usize = 1 << 17;

/// As the syncing thread is called.
const SYNC_THREAD: &str = "sharelog-sync";

fn main() {
    // Miners, shares of each in a round, nanoseconds of work a share: what a gateway takes.
    for (miners, each, work_ns) in [(100, 1, 10_000), (1_000, 1, 10_000), (100, 16, 2_500)] {
        row(miners, each, work_ns);
    }
}

fn row(miners: u32, each: u32, work_ns: u64) {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let mut shares: Vec<_> = (0..miners * each).map(|n| share(n / each)).collect();
    let mut memory = vec![1u64; WORDS];
    let (mut stored, mut number, mut rounds, mut appends_ns) = (Vec::new(), 0u32, 0u64, 0u64);
    let (begun, cpu_before) = (Instant::now(), cpu_ns());
    while begun.elapsed() < ROW {
        for share in &mut shares {
            number += 1;
            let first = &share.extranonce.as_slice()[..4];
            share.extranonce = Extranonce::join(first, &u64::from(number).to_be_bytes()).unwrap();
            (share.nonce, share.at) = (number, Timestamp(i64::try_from(rounds).unwrap()));
        }
        let from = cpu_ns();
        log.append_shares(&shares, &mut stored).unwrap();
        appends_ns += cpu_ns() - from;
        rounds += 1;
        work(&mut memory, work_ns * u64::from(miners * each));
    }
    let wall = begun.elapsed().as_secs_f64();
    let (all_ns, sync_ns) = (cpu_ns() - cpu_before, sync_ns());
    let (syncs, count) = (log.sync_times().total(), rounds * u64::from(miners * each));
    let syncing = sync_ns as f64 / 1e9 / wall;
    let appending = (1.0 - syncing) * appends_ns as f64 / all_ns as f64;
    println!(
        "{miners} x {each}: {:.0} shares/s; append {:.1} ns a share, {:.1} µs a round; {:.0} syncs/s of {:.0} µs; the log's part {:.2} % (appends {:.2}, syncs {:.2})",
        count as f64 / wall,
        appends_ns as f64 / count as f64,
        appends_ns as f64 / rounds as f64 / 1e3,
        syncs as f64 / wall,
        sync_ns as f64 / syncs.max(1) as f64 / 1e3,
        100.0 * (appending + syncing),
        100.0 * appending,
        100.0 * syncing,
    );
}

fn share(miner: u32) -> ShareRecord {
    let mut machine = [0x5a; 16];
    machine[..4].copy_from_slice(&miner.wrapping_mul(2_654_435_761).to_be_bytes());
    ShareRecord {
        job: JobId(7),
        epoch: EpochNumber(3),
        class: Class::ZERO,
        owner: Owner::House,
        machine: MachineId::from_bytes(machine),
        extranonce: Extranonce::join(&miner.to_be_bytes(), &[0; 8]).unwrap(),
        ntime: 5,
        nonce: 0,
        version: 0x2000_0000,
        at: Timestamp(0),
    }
}

/// So much processor time of something else.
fn work(memory: &mut [u64], ns: u64) {
    let until = cpu_ns() + ns;
    let mut x = until;
    while cpu_ns() < until {
        for _ in 0..1_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(x >> 33).unwrap() % memory.len();
            memory[place] ^= x;
        }
    }
}

/// Processor time of this thread.
fn cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(t.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap()
}

/// Processor time of the thread that syncs (Linux).
fn sync_ns() -> u64 {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap().path())
        .filter(|task| std::fs::read_to_string(task.join("comm")).unwrap().trim() == SYNC_THREAD)
        .map(|task| {
            let times = std::fs::read_to_string(task.join("schedstat")).unwrap();
            times.split(' ').next().unwrap().parse::<u64>().unwrap()
        })
        .sum()
}
