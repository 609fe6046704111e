//! Times, counted by size: 64 steps to each power of two, so a quantile is at most 1.6 % too high.

use serde::Serialize;

/// Steps to a power of two.
const STEPS: u64 = 64;
/// Buckets: times of up to 2^40 ns (18 minutes).
const BUCKETS: usize = 64 * 36;

/// Counts of times in nanoseconds. 18 KB.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max: u64,
    sum: u128,
}

/// What is told of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many times were taken.
    pub count: u64,
    /// The mean, microseconds.
    pub mean_us: f64,
    /// Half are not above it, microseconds.
    pub p50_us: f64,
    /// Nine in ten.
    pub p90_us: f64,
    /// 99 in a hundred.
    pub p99_us: f64,
    /// 999 in a thousand.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS].into(), count: 0, max: 0, sum: 0 }
    }
}

impl Histogram {
    /// Counts a time.
    pub fn record(&mut self, ns: u64) {
        let last = self.counts.len() - 1;
        self.counts[bucket(ns).min(last)] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
        self.sum += u128::from(ns);
    }

    /// Both together.
    #[must_use]
    pub fn with(mut self, other: &Histogram) -> Histogram {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self
    }

    /// The time that this part (0 to 1) of all does not exceed, nanoseconds; 0 when there is none.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile(&self, part: f64) -> u64 {
        // A float chooses which bucket is shown; counts stay far below 2^53.
        let rank = ((self.count as f64 * part).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        for (i, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return upper(i).min(self.max);
            }
        }
        self.max
    }

    /// All that is told of it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // for display
    pub fn quantiles(&self) -> Quantiles {
        let us = |ns: u64| ns as f64 / 1e3;
        let mean = if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 };
        Quantiles {
            count: self.count,
            mean_us: mean / 1e3,
            p50_us: us(self.quantile(0.5)),
            p90_us: us(self.quantile(0.9)),
            p99_us: us(self.quantile(0.99)),
            p999_us: us(self.quantile(0.999)),
            max_us: us(self.max),
        }
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS {
        return usize::try_from(ns).unwrap_or(0);
    }
    // The top seven bits: one that is always set, and six that choose the step.
    let shift = 57 - ns.leading_zeros();
    let step = (ns >> shift) - STEPS;
    usize::try_from(u64::from(shift + 1) * STEPS + step).unwrap_or(usize::MAX)
}

/// The greatest time in a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((STEPS + bucket % STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for i in 0..BUCKETS {
            assert_eq!(bucket(upper(i)), i);
            assert_eq!(bucket(upper(i) + 1), i + 1);
        }
    }

    #[test]
    fn quantiles_are_within_a_step_of_the_truth() {
        let mut h = Histogram::default();
        (1..=100_000u64).for_each(|ns| h.record(ns * 10));
        for (part, truth) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let given = h.quantile(part);
            assert!(given >= truth && given <= truth + truth / 60, "{part}: {given}");
        }
        assert_eq!(Histogram::default().quantile(0.99), 0);
    }

    #[test]
    fn two_together_are_as_one_that_has_all() {
        let (mut all, mut halves) =
            (Histogram::default(), [Histogram::default(), Histogram::default()]);
        for (n, ns) in [5, 70_000, 12, 1 << 30, 9_999].into_iter().enumerate() {
            all.record(ns);
            halves[n % 2].record(ns);
        }
        let [one, other] = halves;
        assert_eq!(one.with(&other).quantiles(), all.quantiles());
    }

    #[test]
    fn a_time_beyond_the_last_bucket_is_not_lost() {
        let mut h = Histogram::default();
        h.record(u64::MAX);
        assert_eq!(h.quantile(0.5), upper(BUCKETS - 1));
    }
}
