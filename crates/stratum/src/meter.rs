//! A session's hashrate over the last ten minutes, from the work of its accepted shares.

use gruve_units::{Duration, Hashes, HashesSum as _, Hashrate, Timestamp};

/// Buckets of ten seconds: ten minutes, 1 KB a session.
const BUCKETS: usize = 60;
const BUCKET: Duration = Duration::from_secs(10);

/// Work by time.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    since: Timestamp,
    /// The number of the newest bucket, counted from 1970.
    newest: u64,
    work: [Hashes; BUCKETS],
}

impl Meter {
    pub(crate) fn new(now: Timestamp) -> Meter {
        Meter { since: now, newest: number(now), work: [Hashes::ZERO; BUCKETS] }
    }

    pub(crate) fn add(&mut self, work: Hashes, now: Timestamp) {
        self.advance(now);
        let slot = slot(self.newest);
        self.work[slot] = Hashes(self.work[slot].0.saturating_add(work.0));
    }

    /// The rate over the last ten minutes, or since the beginning when that is less.
    pub(crate) fn rate(&mut self, now: Timestamp) -> Hashrate {
        self.advance(now);
        let held = BUCKET * 60;
        let elapsed = now.since(self.since).clamp(Duration::from_secs(1), held);
        let work = self.work.into_iter().checked_sum().unwrap_or(Hashes(u128::MAX));
        Hashrate::of(work, elapsed)
    }

    fn advance(&mut self, now: Timestamp) {
        let target = number(now);
        if target.saturating_sub(self.newest) > BUCKETS as u64 {
            self.newest = target - BUCKETS as u64;
        }
        // A clock that goes back adds to the newest bucket.
        while self.newest < target {
            self.newest += 1;
            self.work[slot(self.newest)] = Hashes::ZERO;
        }
    }
}

fn number(at: Timestamp) -> u64 {
    u64::try_from(at.secs()).unwrap_or(0) / BUCKET.as_secs()
}

fn slot(number: u64) -> usize {
    usize::try_from(number % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_work_and_forgets_it() {
        let at = |s: i64| Timestamp::from_secs(1_700_000_000 + s);
        let mut meter = Meter::new(at(0));
        for s in 0..600 {
            meter.add(Hashes(1_000_000), at(s));
        }
        assert_eq!(meter.rate(at(600)), Hashrate(983_333), "the oldest bucket has just gone");
        assert_eq!(meter.rate(at(2000)), Hashrate::ZERO);
        meter.add(Hashes(600), at(10));
        assert!(meter.rate(at(2000)) > Hashrate::ZERO, "a clock that goes back loses nothing");
    }
}
