//! Faults that come again and again, told now and then.

use gruve_units::Duration;
use std::time::Instant;

/// A fault that comes again and again, told at once and then every [`Seldom::EVERY`].
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    told: Option<Instant>,
    /// Since it was told last.
    times: u64,
}

impl Seldom {
    /// How long a fault that goes on is not told again.
    const EVERY: Duration = Duration::from_secs(10);

    /// The fault has come: how often since it was told last, when it is to be told now.
    pub(crate) fn due(&mut self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&mut self, now: Instant) -> Option<u64> {
        self.times = self.times.saturating_add(1);
        if self.told.is_some_and(|told| now.duration_since(told) < Self::EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_goes_on_is_told_once_in_ten_seconds_with_its_count() {
        let (mut fault, start) = (Seldom::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(fault.due_at(at(0)), Some(1));
        let told: Vec<u64> = (1..=250).filter_map(|n| fault.due_at(at(n * 100))).collect();
        assert_eq!(told, [100, 100]);
    }
}
