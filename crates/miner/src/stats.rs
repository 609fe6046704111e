//! What a miner has done.

use gruve_units::{Hashes, Hashrate};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far back the rate looks.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The least time between two samples of the rate, so that the window holds a handful.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What a miner has done so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerStats {
    /// Whether the server has taken the login and the connection stands.
    pub connected: bool,
    /// Nonces tried.
    pub hashes: Hashes,
    /// The rate over the last ten seconds or so.
    pub hashrate: Hashrate,
    /// Shares the server accepted.
    pub accepted: u64,
    /// Shares the server refused, without the stale ones.
    pub rejected: u64,
    /// Shares that came too late: refused as such, or found on a job dropped meanwhile.
    pub stale: u64,
    /// Shares sent to which no answer came: the connection ended first.
    pub unanswered: u64,
    /// Times a connection was made and the login taken.
    pub connections: u64,
    /// The share difficulty in force, as the server sent it.
    pub difficulty: Option<f64>,
    /// The last thing that went wrong, for people.
    pub last_error: Option<String>,
}

/// The figures while they grow.
#[derive(Debug)]
pub(crate) struct Counters {
    hashes: AtomicU64,
    rest: Mutex<Rest>,
}

#[derive(Debug)]
struct Rest {
    stats: MinerStats,
    samples: VecDeque<(Instant, u64)>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let samples = VecDeque::from([(Instant::now(), 0)]);
        let rest = Rest { stats: MinerStats::default(), samples };
        Counters { hashes: AtomicU64::new(0), rest: Mutex::new(rest) }
    }

    pub(crate) fn add_hashes(&self, n: u32) {
        self.hashes.fetch_add(u64::from(n), Ordering::Relaxed);
    }

    /// Changes the figures that are not counted by the mining threads.
    pub(crate) fn note(&self, change: impl FnOnce(&mut MinerStats)) {
        change(&mut self.rest.lock().unwrap_or_else(PoisonError::into_inner).stats);
    }

    /// Takes a sample for the rate; called about every second.
    pub(crate) fn sample(&self) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if rest.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE_EVERY) {
            rest.samples.push_back((now, self.hashes.load(Ordering::Relaxed)));
        }
        // The oldest sample kept is the last one outside the window, so that the window is full.
        while rest.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW) {
            rest.samples.pop_front();
        }
    }

    pub(crate) fn stats(&self) -> MinerStats {
        let hashes = self.hashes.load(Ordering::Relaxed);
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let hashrate = rest.samples.front().map_or(Hashrate::ZERO, |(at, before)| {
            Hashrate::of(Hashes(hashes.saturating_sub(*before).into()), at.elapsed())
        });
        MinerStats { hashes: Hashes(hashes.into()), hashrate, ..rest.stats.clone() }
    }
}
