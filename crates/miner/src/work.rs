//! What the mining threads mine now, and the extranonces they have used.
//!
//! No header is tried twice: every take gets an extranonce 2 that this miner has not used before,
//! whatever the job and the connection; when a short extranonce 2 has run through all its values,
//! the header's time moves on by a second for each round.

use gruve_stratum::client::ClientJob;
use gruve_units::Target;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A job to mine.
#[derive(Debug)]
pub(crate) struct Work {
    /// Ascending over the life of the miner: which share belongs to which job, and which jobs
    /// are worthless after a clean one.
    pub(crate) number: u64,
    pub(crate) job: Arc<ClientJob>,
    pub(crate) target: Target,
    /// The bits of the version that may be rolled (BIP 310); 0 for none.
    pub(crate) version_mask: u32,
}

impl Work {
    /// Versions a header can have.
    pub(crate) fn versions(&self) -> u64 {
        1 << self.version_mask.count_ones()
    }
}

/// Headers that differ in nothing but their version's rolled bits and their nonce.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    pub(crate) work: Arc<Work>,
    pub(crate) extranonce2: Vec<u8>,
    pub(crate) ntime: u32,
    /// The rolled bits, within the mask.
    pub(crate) version_bits: u32,
}

impl Take {
    pub(crate) fn header(&self, nonce: u32) -> [u8; 80] {
        self.work.job.header(&self.extranonce2, self.version(), self.ntime, nonce)
    }

    pub(crate) fn version(&self) -> u32 {
        self.work.job.version & !self.work.version_mask | self.version_bits
    }

    /// Goes over to version `n` of [`Work::versions`]: its bits are put into the mask's places.
    pub(crate) fn roll(&mut self, n: u64) {
        let mut left = self.work.version_mask;
        let mut rest = n;
        self.version_bits = 0;
        while left != 0 {
            let lowest = left & left.wrapping_neg();
            if rest & 1 == 1 {
                self.version_bits |= lowest;
            }
            left ^= lowest;
            rest >>= 1;
        }
    }
}

/// A share found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) take: Take,
    pub(crate) nonce: u32,
}

/// Where the threads fetch their work.
#[derive(Debug)]
pub(crate) struct Bench {
    current: Mutex<Option<Arc<Work>>>,
    changed: Condvar,
    /// The number of the current work; 0 when there is none. Read in the mining loop.
    number: AtomicU64,
    stopped: AtomicBool,
    next_extranonce: AtomicU64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Bench {
            current: Mutex::new(None),
            changed: Condvar::new(),
            number: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            next_extranonce: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Work>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other work (or none) before the threads.
    pub(crate) fn set(&self, work: Option<Arc<Work>>) {
        let mut current = self.lock();
        self.number.store(work.as_ref().map_or(0, |w| w.number), Ordering::SeqCst);
        *current = work;
        self.changed.notify_all();
    }

    /// Sends the threads home.
    pub(crate) fn stop(&self) {
        let _current = self.lock();
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// Whether this work is still the one to mine.
    pub(crate) fn is_current(&self, work: &Work) -> bool {
        self.number.load(Ordering::Relaxed) == work.number && !self.stopped.load(Ordering::Relaxed)
    }

    /// Waits for work and takes a header of it; `None` when the miner stops.
    pub(crate) fn take(&self) -> Option<Take> {
        let mut current = self.lock();
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(work) = &*current {
                let n = self.next_extranonce.fetch_add(1, Ordering::Relaxed);
                return Some(header_of(work, n));
            }
            current = self.changed.wait(current).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `until`, or until the miner stops.
    pub(crate) fn rest_until(&self, until: Instant) {
        let mut current = self.lock();
        while !self.stopped.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(current, left);
            current = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The `n`-th header of this miner, for this work.
fn header_of(work: &Arc<Work>, n: u64) -> Take {
    let size = work.job.extranonce2_size;
    let mut extranonce2 = vec![0; size];
    // Little-endian, so that the first bytes change; what does not fit goes into the time.
    let low = size.min(8);
    extranonce2[..low].copy_from_slice(&n.to_le_bytes()[..low]);
    let rounds = if size >= 8 { 0 } else { n >> (8 * size) };
    let ntime = work.job.ntime.wrapping_add(u32::try_from(rounds & 0xffff_ffff).unwrap_or(0));
    let mut take = Take { work: Arc::clone(work), extranonce2, ntime, version_bits: 0 };
    take.roll(0);
    take
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::HashSet;

    pub(crate) fn job(extranonce2_size: usize) -> Arc<ClientJob> {
        Arc::new(ClientJob {
            id: "j".to_owned(),
            prev_hash: [1; 32],
            coinbase_prefix: vec![1, 2],
            coinbase_suffix: vec![3],
            branch: vec![[5; 32]],
            version: 0x2000_0000,
            bits: 0x207f_ffff,
            ntime: 1_700_000_000,
            clean: true,
            difficulty: 1.0,
            extranonce1: vec![9],
            extranonce2_size,
        })
    }

    #[test]
    fn no_header_is_handed_out_twice_even_when_a_short_extranonce_has_run_through() {
        for size in [1, 2, 4, 8, 12] {
            let bench = Bench::new();
            let work = |number| {
                Arc::new(Work { number, job: job(size), target: Target::MAX, version_mask: 0 })
            };
            let mut headers = HashSet::new();
            // The same job again under another number, as a server may send it.
            for number in 1..=3 {
                bench.set(Some(work(number)));
                for _ in 0..300 {
                    assert!(headers.insert(bench.take().unwrap().header(0)), "size {size}");
                }
            }
        }
    }

    #[test]
    fn rolling_goes_through_every_version_of_the_mask_once_and_touches_no_other_bit() {
        let mask = 0x0a00_e000;
        let bench = Bench::new();
        let work = Work { number: 1, job: job(4), target: Target::MAX, version_mask: mask };
        bench.set(Some(Arc::new(work)));
        let mut take = bench.take().unwrap();
        let mut versions = HashSet::new();
        for n in 0..take.work.versions() {
            take.roll(n);
            assert_eq!(take.version() & !mask, take.work.job.version & !mask);
            assert_eq!(take.version() & mask, take.version_bits);
            assert_eq!(take.header(0)[..4], take.version().to_le_bytes());
            versions.insert(take.version());
        }
        assert_eq!(versions.len(), 32);
    }

    #[test]
    fn work_that_was_replaced_is_not_current() {
        let bench = Bench::new();
        let old = Arc::new(Work { number: 1, job: job(4), target: Target::MAX, version_mask: 0 });
        bench.set(Some(Arc::clone(&old)));
        assert!(bench.is_current(&old));
        bench.set(None);
        assert!(!bench.is_current(&old));
        bench.stop();
        assert!(bench.take().is_none());
    }
}
