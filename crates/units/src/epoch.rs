//! Epochs: fixed slices of a lane's time.

use crate::{Duration, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of an epoch: whole epoch lengths since 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EpochNumber(pub u64);

impl EpochNumber {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        EpochNumber(self.0.saturating_add(1))
    }

    /// The epoch `n` before this one; stays at zero.
    #[must_use]
    pub const fn back(self, n: u64) -> Self {
        EpochNumber(self.0.saturating_sub(n))
    }
}

impl fmt::Display for EpochNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a lane's time is cut. Borders are by the clock only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRule {
    /// Length of an epoch in microseconds, above zero.
    pub length_us: u64,
    /// How long after its end work of an epoch is still taken, in microseconds, below the length.
    pub grace_us: u64,
}

impl EpochRule {
    /// A rule; `None` when the length is zero or the grace is not below the length.
    #[must_use]
    pub fn new(length: Duration, grace: Duration) -> Option<Self> {
        let length_us = u64::try_from(length.as_micros()).ok()?;
        let grace_us = u64::try_from(grace.as_micros()).ok()?;
        (length_us > 0 && grace_us < length_us && length_us < 1 << 50)
            .then_some(EpochRule { length_us, grace_us })
    }

    /// The epoch that `at` lies in; times before 1970 lie in epoch zero.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> EpochNumber {
        EpochNumber(u64::try_from(at.0).unwrap_or(0) / self.length_us)
    }

    /// When an epoch begins.
    #[must_use]
    pub fn start(&self, epoch: EpochNumber) -> Timestamp {
        Timestamp(i64::try_from(epoch.0.saturating_mul(self.length_us)).unwrap_or(i64::MAX))
    }

    /// When an epoch ends, which is when the next begins.
    #[must_use]
    pub fn end(&self, epoch: EpochNumber) -> Timestamp {
        self.start(epoch.next())
    }

    /// When an epoch may be sealed: its end and the grace.
    #[must_use]
    pub fn seal_at(&self, epoch: EpochNumber) -> Timestamp {
        self.end(epoch).plus(Duration::from_micros(self.grace_us))
    }

    /// The last epoch that may be sealed at `now`, if any.
    #[must_use]
    pub fn last_sealable(&self, now: Timestamp) -> Option<EpochNumber> {
        let current = self.at(now.minus(Duration::from_micros(self.grace_us)));
        current.0.checked_sub(1).map(EpochNumber)
    }

    /// The length.
    #[must_use]
    pub const fn length(&self) -> Duration {
        Duration::from_micros(self.length_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_instant_lies_in_exactly_its_epoch(t in 0i64..4_000_000_000_000_000, len in 1u64..1_000_000_000) {
            let rule = EpochRule { length_us: len, grace_us: 0 };
            let e = rule.at(Timestamp(t));
            prop_assert!(rule.start(e).0 <= t && t < rule.end(e).0);
        }

        #[test]
        fn only_epochs_past_their_grace_are_sealable(t in 0i64..4_000_000_000_000_000, len in 2u64..1_000_000_000, g in 0u64..1_000_000_000) {
            let rule = EpochRule { length_us: len, grace_us: g % len };
            if let Some(e) = rule.last_sealable(Timestamp(t)) {
                prop_assert!(rule.seal_at(e).0 <= t);
                prop_assert!(rule.seal_at(e.next()).0 > t);
            }
        }
    }
}
