//! A mining thread: scan, report, keep to the limit.

use crate::stats::Counters;
use crate::work::{Bench, Found, Take};
use gruve_pow::HeaderScanner;
use gruve_units::{Algorithm, Hashrate};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long one scan should take: well below the 50 ms within which a new job is taken up, even
/// when the processor is shared, and long enough that its overhead does not show.
const SCAN_TIME: Duration = Duration::from_millis(10);

/// The length of one step under a limit: short, so that many limited miners interleave smoothly.
const STEP_TIME: Duration = Duration::from_millis(20);

/// How much a limited thread may catch up after it was kept from the processor.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Nonces of one scan at most.
const SCAN_MAX: u32 = 1 << 24;

/// Everything a mining thread needs.
pub(crate) struct MiningThread {
    pub(crate) algorithm: Algorithm,
    /// Hashes per second of this thread at most.
    pub(crate) limit: Option<u64>,
    pub(crate) bench: Arc<Bench>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) found: mpsc::Sender<Found>,
}

/// The part of the miner's limit that thread `number` may use, in hashes per second. The parts
/// add up to the limit; a limit below the number of threads leaves some with nothing to do.
pub(crate) fn share_of_limit(
    limit: Option<Hashrate>,
    threads: usize,
    number: usize,
) -> Option<u64> {
    let limit = limit?.0;
    let (threads, number) = (threads.max(1) as u128, number as u128);
    let part = limit / threads + u128::from(number < limit % threads);
    Some(u64::try_from(part).unwrap_or(u64::MAX))
}

impl MiningThread {
    /// Mines until the bench is stopped.
    pub(crate) fn run(self) {
        if self.limit == Some(0) {
            return;
        }
        let mut pace = Pace::new(self.algorithm, self.limit);
        let mut scanner = HeaderScanner::new(self.algorithm, [0; 80]);
        while let Some(mut take) = self.bench.take() {
            for n in 0..take.work.versions() {
                take.roll(n);
                scanner.set_header(take.header(0));
                if self.mine(&take, &mut scanner, &mut pace).is_none() {
                    return;
                }
                if !self.bench.is_current(&take.work) {
                    break;
                }
            }
        }
    }

    /// Tries the nonces of one header while its work is current; `None` when nobody wants the
    /// shares any more.
    fn mine(&self, take: &Take, scanner: &mut HeaderScanner, pace: &mut Pace) -> Option<()> {
        let mut hits = Vec::new();
        let mut next = 0u64;
        while next <= u64::from(u32::MAX) {
            if let Some(until) = pace.next_start {
                self.bench.rest_until(until);
            }
            if !self.bench.is_current(&take.work) {
                break;
            }
            let from = u32::try_from(next).ok()?;
            let count = pace.scan.min(u32::MAX - from).max(1);
            let started = Instant::now();
            scanner.scan(from, count, &take.work.target, &mut hits);
            self.counters.add_hashes(count);
            pace.done(count, started);
            for (nonce, _) in hits.drain(..) {
                self.found.blocking_send(Found { take: take.clone(), nonce }).ok()?;
            }
            next += u64::from(count);
        }
        Some(())
    }
}

/// How much to do at once, and when.
#[derive(Debug)]
struct Pace {
    limit: Option<u64>,
    /// Longer scans are multiples of this, so that no lane of the last step is idle.
    grain: u32,
    /// Nonces of the next scan.
    scan: u32,
    /// When the next scan may begin, under a limit.
    next_start: Option<Instant>,
}

impl Pace {
    fn new(algorithm: Algorithm, limit: Option<u64>) -> Self {
        // A first guess that is short on any machine.
        let scan = if algorithm == Algorithm::Scrypt { 4 } else { 4096 };
        let grain = HeaderScanner::batch(algorithm);
        let mut pace = Pace { limit, grain, scan, next_start: None };
        pace.scan = pace.scan.min(pace.step_max());
        pace
    }

    /// Nonces of one step under the limit.
    fn step_max(&self) -> u32 {
        let step = self.limit.map_or(u64::from(SCAN_MAX), |limit| {
            limit.saturating_mul(u64::try_from(STEP_TIME.as_millis()).unwrap_or(u64::MAX)) / 1000
        });
        u32::try_from(step).unwrap_or(SCAN_MAX).clamp(1, SCAN_MAX)
    }

    /// Takes account of a scan of `count` nonces that began at `started`.
    fn done(&mut self, count: u32, started: Instant) {
        let now = Instant::now();
        let took = now.duration_since(started).max(Duration::from_micros(1));
        // Towards SCAN_TIME, at most doubling, so that one odd measurement does little harm.
        let ideal = u128::from(count) * SCAN_TIME.as_nanos() / took.as_nanos();
        let ideal = u32::try_from(ideal).unwrap_or(SCAN_MAX);
        self.scan = ideal.clamp(self.scan / 2, self.scan.saturating_mul(2));
        self.scan = self.scan.clamp(1, self.step_max());
        if self.scan > self.grain {
            self.scan -= self.scan % self.grain;
        }
        if let Some(limit) = self.limit {
            let nanos = u128::from(count) * 1_000_000_000 / u128::from(limit.max(1));
            let span = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            let due = self.next_start.unwrap_or(started);
            let floor = now.checked_sub(CATCH_UP).unwrap_or(now);
            self.next_start = due.max(floor).checked_add(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_shares_of_the_limit_add_up_to_it() {
        for (limit, threads) in [(0u128, 1usize), (7, 3), (2, 4), (1_000_000, 7)] {
            let sum: u64 = (0..threads)
                .map(|n| share_of_limit(Some(Hashrate(limit)), threads, n).unwrap())
                .sum();
            assert_eq!(u128::from(sum), limit);
        }
        assert_eq!(share_of_limit(None, 3, 0), None);
    }

    #[test]
    fn a_limit_is_kept_in_short_steps() {
        let mut pace = Pace::new(Algorithm::Sha256d, Some(100_000));
        let start = Instant::now();
        pace.next_start = Some(start);
        let mut hashes = 0u64;
        // A processor so fast that a scan takes no time.
        while pace.next_start.unwrap().duration_since(start) < Duration::from_secs(1) {
            assert!(pace.scan <= 2000, "a step is at most 20 ms of the limit");
            hashes += u64::from(pace.scan);
            let count = pace.scan;
            pace.done(count, Instant::now());
        }
        assert!((100_000..=102_000).contains(&hashes), "{hashes} hashes in a second");
    }

    #[test]
    fn time_lost_is_not_caught_up_beyond_a_short_burst() {
        let mut pace = Pace::new(Algorithm::Sha256d, Some(1000));
        let now = Instant::now();
        let Some(long_ago) = now.checked_sub(Duration::from_secs(5)) else { return };
        pace.next_start = Some(long_ago);
        pace.done(1, now);
        assert!(pace.next_start.unwrap() + CATCH_UP >= now);
    }
}
