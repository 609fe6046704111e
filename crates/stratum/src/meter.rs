//! A session's hashrate over the last ten minutes, from the work of its accepted shares.

use gruve_units::{Duration, Hashes, HashesSum as _, Hashrate, Timestamp};

/// Ten whole buckets of a minute, and the one being filled.
const BUCKETS: usize = 11;
const BUCKET_SECS: u64 = 60;

/// Work by time: 16 bytes until the first share, 200 more from then on.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    since: Timestamp,
    buckets: Option<Box<Buckets>>,
}

#[derive(Clone, Debug)]
struct Buckets {
    /// The number of the newest bucket, counted from 1970.
    newest: u64,
    work: [Hashes; BUCKETS],
}

impl Meter {
    pub(crate) const fn new(now: Timestamp) -> Meter {
        Meter { since: now, buckets: None }
    }

    pub(crate) fn add(&mut self, work: Hashes, now: Timestamp) {
        let new = || Box::new(Buckets { newest: number(now), work: [Hashes::ZERO; BUCKETS] });
        let buckets = self.buckets.get_or_insert_with(new);
        buckets.advance(now);
        let slot = slot(buckets.newest);
        buckets.work[slot] = Hashes(buckets.work[slot].0.saturating_add(work.0));
    }

    /// The rate over the last ten minutes and what has passed of the next, or since the beginning
    /// when that is less.
    pub(crate) fn rate(&mut self, now: Timestamp) -> Hashrate {
        let Some(buckets) = &mut self.buckets else { return Hashrate::ZERO };
        buckets.advance(now);
        let oldest = buckets.newest.saturating_sub(BUCKETS as u64 - 1) * BUCKET_SECS;
        let oldest = Timestamp::from_secs(i64::try_from(oldest).unwrap_or(i64::MAX));
        let elapsed = now.since(self.since.max(oldest));
        let held = Duration::from_secs(BUCKET_SECS * BUCKETS as u64);
        let work = buckets.work.into_iter().checked_sum().unwrap_or(Hashes(u128::MAX));
        Hashrate::of(work, elapsed.clamp(Duration::from_secs(1), held))
    }
}

impl Buckets {
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
    u64::try_from(at.secs()).unwrap_or(0) / BUCKET_SECS
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
        assert_eq!(meter.rate(at(5)), Hashrate::ZERO);
        for s in 0..1500 {
            meter.add(Hashes(1_000_000), at(s));
            if s == 60 {
                assert_eq!(meter.rate(at(61)), Hashrate(1_000_000), "since the beginning");
            }
        }
        assert_eq!(meter.rate(at(1500)), Hashrate(1_000_000), "over the last ten minutes");
        // Half of the work in the last ten minutes, a fifth of it in the last two.
        assert!(meter.rate(at(1800)) < Hashrate(600_000));
        assert_eq!(meter.rate(at(2400)), Hashrate::ZERO);
        meter.add(Hashes(6_000_000), at(10));
        assert!(meter.rate(at(2400)) > Hashrate::ZERO, "a clock that goes back loses nothing");
    }

    #[test]
    fn a_meter_that_has_measured_nothing_is_small() {
        assert!(size_of::<Meter>() <= 16);
    }
}
