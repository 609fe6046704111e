//! A node that gives no work, told when it begins and when it is over: its first sync lasts for days, and nobody wants to
//! read of it every few seconds.

use gruve_units::Duration;
use tokio::time::Instant;

/// What is told of work that does not come: a fault once, and once that it is over.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// The fault that was told last; none when none, or when its end was told.
    told: Option<String>,
    /// When it was last seen.
    failed_at: Option<Instant>,
}

impl Outage {
    /// For how long a node must not have failed before it is said to give templates again: one that gives some and fails in
    /// between goes on to be in one and the same fault.
    const OVER_AFTER: Duration = Duration::from_secs(60);

    /// Whether the fault is to be told: it is another than the one before.
    pub(crate) fn failed(&mut self, fault: &str, now: Instant) -> bool {
        self.failed_at = Some(now);
        let is_news = self.told.as_deref() != Some(fault);
        if is_news {
            self.told = Some(fault.to_owned());
        }
        is_news
    }

    /// Whether it is to be told that a fault is over.
    pub(crate) fn worked(&mut self, now: Instant) -> bool {
        let is_over = self.failed_at.is_none_or(|at| now.duration_since(at) >= Self::OVER_AFTER);
        is_over && self.told.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_once_and_its_end_once_however_often_it_comes_and_goes() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert!(!outage.worked(at(0)));
        let told = (1..100_000).step_by(10).filter(|s| outage.failed("in initial sync", at(*s)));
        assert_eq!(told.count(), 1);
        assert!(outage.failed("connection refused", at(100_000)));
        // Now and then a template between: neither an end nor a new beginning.
        for s in (100_010..100_500).step_by(10) {
            assert!(!outage.worked(at(s)));
            assert!(!outage.failed("connection refused", at(s + 1)));
        }
        let ends: Vec<u64> = (100_500..101_000).filter(|s| outage.worked(at(*s))).collect();
        assert_eq!(ends, [100_551]);
        assert!(outage.failed("connection refused", at(101_000)));
    }
}
