//! Counts by size, for figures that are watched: how long something took, how many came at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds for times from a share's answer to a disk's worst day, in nanoseconds: 50 µs to 1 s.
pub const TIME_BOUNDS_NS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
];

/// Counts by size; threads may add at the same time. Two atomic additions an entry, so that it may
/// stand on a path that is taken a hundred thousand times a second.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than bounds: the last is for what is above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// With these upper bounds, which must rise.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Histogram {
        debug_assert!(bounds.is_sorted(), "bounds rise");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts `times` values of this size.
    pub fn add(&self, value: u64, times: u64) {
        let place = self.bounds.iter().take_while(|bound| value > **bound).count();
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(times, Ordering::Relaxed);
        }
        self.sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
    }

    /// Counts a time.
    pub fn add_time(&self, took: std::time::Duration) {
        self.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), 1);
    }

    /// What was counted. Not one moment's: others may be adding.
    #[must_use]
    pub fn read(&self) -> HistogramCounts {
        HistogramCounts {
            bounds: self.bounds,
            counts: self.counts.iter().map(|c| c.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// What a [`Histogram`] counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    /// Upper bounds, each within its step.
    pub bounds: &'static [u64],
    /// Values in each step alone; one more than bounds, the last for what is above them all.
    pub counts: Vec<u64>,
    /// Of all values.
    pub sum: u64,
}

impl HistogramCounts {
    /// How many values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_step_that_holds_it() {
        let histogram = Histogram::new(&[10, 20]);
        for (value, times) in [(0, 1), (10, 1), (11, 2), (20, 1), (21, 4)] {
            histogram.add(value, times);
        }
        let read = histogram.read();
        assert_eq!((read.counts.as_slice(), read.total()), ([2, 3, 4].as_slice(), 9));
        assert_eq!(read.sum, 10 + 22 + 20 + 84);
    }
}
