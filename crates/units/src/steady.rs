//! A clock whose jumps forward are not believed.
//!
//! A machine's clock may be stepped: by hand, by a time server at boot, by a suspended machine that
//! wakes. A step forward would let epochs end, contracts run out and invoices expire that had no time
//! to be worked or paid. [`SteadyClock`] therefore runs on at most as fast as a clock that cannot be
//! set, plus a stated slack since it was started. After a larger step it runs on at its own pace,
//! behind the machine's clock, until that comes back or the process is started again.
//!
//! Steps back are passed on: callers bear them (see [`Clock::now`]).

use crate::{Clock, Duration, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Time that only runs on and that nobody can set.
pub trait Monotonic: Send + Sync {
    /// The time since some fixed instant. Never goes back. Time in which the machine was suspended
    /// may not count.
    fn elapsed(&self) -> Duration;
}

/// The machine's, counted from when this value was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemMonotonic(Instant);

impl SystemMonotonic {
    /// Counts from now on.
    #[must_use]
    pub fn start() -> Self {
        SystemMonotonic(Instant::now())
    }
}

impl Monotonic for SystemMonotonic {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// One that a test moves by hand.
#[derive(Debug, Default)]
pub struct ManualMonotonic(AtomicU64);

impl ManualMonotonic {
    /// Moves it on.
    pub fn advance(&self, d: Duration) {
        let micros = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Monotonic for ManualMonotonic {
    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// How far the machine's clock may run ahead of monotonic time over a process's whole life: leap
/// seconds, small steps of a time server, pauses of a virtual machine. What a customer can lose by
/// them is a minute of a contract's time.
pub const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// A clock that is never ahead of its start by more than monotonic time and a slack.
#[derive(Clone)]
pub struct SteadyClock {
    wall: Arc<dyn Clock>,
    monotonic: Arc<dyn Monotonic>,
    slack: Duration,
    started: Timestamp,
    started_elapsed: Duration,
}

impl SteadyClock {
    /// Starts at what `wall` says now; the slack is [`CLOCK_SLACK`] except in tests.
    #[must_use]
    pub fn start(wall: Arc<dyn Clock>, monotonic: Arc<dyn Monotonic>, slack: Duration) -> Self {
        let (started, started_elapsed) = (wall.now(), monotonic.elapsed());
        SteadyClock { wall, monotonic, slack, started, started_elapsed }
    }

    /// The latest time that is believed.
    fn latest(&self) -> Timestamp {
        let ran = self.monotonic.elapsed().saturating_sub(self.started_elapsed);
        self.started.plus(ran).plus(self.slack)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.wall.now().min(self.latest())
    }

    fn held_back(&self) -> Duration {
        self.wall.now().since(self.latest())
    }
}

impl fmt::Debug for SteadyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteadyClock").field("started", &self.started).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock() -> (Arc<ManualClock>, Arc<ManualMonotonic>, SteadyClock) {
        let wall = Arc::new(ManualClock::new(Timestamp::from_secs(1_000)));
        let monotonic = Arc::new(ManualMonotonic::default());
        monotonic.advance(SECOND * 77);
        let (w, m) = (Arc::<ManualClock>::clone(&wall), Arc::<ManualMonotonic>::clone(&monotonic));
        (wall, monotonic, SteadyClock::start(w, m, SECOND * 60))
    }

    #[test]
    fn a_clock_that_agrees_with_monotonic_time_is_believed() {
        let (wall, monotonic, steady) = clock();
        for _ in 0..1_000 {
            wall.advance(SECOND * 3_600);
            monotonic.advance(SECOND * 3_600);
            assert_eq!(steady.now(), wall.now());
            assert_eq!(steady.held_back(), Duration::ZERO);
        }
    }

    #[test]
    fn a_jump_forward_is_held_at_the_slack_and_time_runs_on_at_its_pace() {
        let (wall, monotonic, steady) = clock();
        wall.advance(SECOND * 86_400);
        assert_eq!(steady.now(), Timestamp::from_secs(1_060));
        assert_eq!(steady.held_back(), SECOND * 86_340);
        wall.advance(SECOND * 10);
        monotonic.advance(SECOND * 10);
        assert_eq!(steady.now(), Timestamp::from_secs(1_070));
    }

    #[test]
    fn many_small_jumps_have_one_slack_together() {
        let (wall, _, steady) = clock();
        for _ in 0..50 {
            wall.advance(SECOND * 5);
        }
        assert_eq!(steady.now(), Timestamp::from_secs(1_060));
    }

    #[test]
    fn a_clock_that_comes_back_is_believed_again() {
        let (wall, monotonic, steady) = clock();
        wall.advance(SECOND * 86_400);
        monotonic.advance(SECOND * 10);
        wall.set(Timestamp::from_secs(1_010));
        assert_eq!(steady.now(), Timestamp::from_secs(1_010));
        assert_eq!(steady.held_back(), Duration::ZERO);
        wall.set(Timestamp::from_secs(7));
        assert_eq!(steady.now(), Timestamp::from_secs(7), "steps back are the callers' to bear");
    }
}
