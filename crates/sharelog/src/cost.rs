//! What a log takes of the processor, for who measures it.
//!
//! The processor's time and not the clock's: an append on a thread that has to give the core to somebody else in the
//! middle (to the thread that syncs, say, whose own time is counted beside it) costs no more for that.

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Counted from when somebody has asked for it: to look at the clock costs two calls of the system an append.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    is_counted: AtomicBool,
    appends_ns: AtomicU64,
    /// Of the whole life of the thread that syncs.
    syncs_ns: AtomicU64,
}

impl Cost {
    pub(crate) fn count(&self) {
        self.is_counted.store(true, Ordering::Relaxed);
    }

    /// An append begins: to be handed to [`Cost::appended`].
    pub(crate) fn begin(&self) -> Option<u64> {
        self.is_counted.load(Ordering::Relaxed).then(thread_ns)
    }

    pub(crate) fn appended(&self, begun: Option<u64>) {
        if let Some(begun) = begun {
            self.appends_ns.fetch_add(thread_ns().saturating_sub(begun), Ordering::Relaxed);
        }
    }

    /// Said by the thread that syncs, after each sync.
    pub(crate) fn synced(&self) {
        if self.is_counted.load(Ordering::Relaxed) {
            self.syncs_ns.store(thread_ns(), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> (Duration, Duration) {
        let of = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        (of(&self.appends_ns), of(&self.syncs_ns))
    }
}

/// Processor time of this thread, nanoseconds.
fn thread_ns() -> u64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, ns) = (u64::try_from(t.tv_sec), u64::try_from(t.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(ns.unwrap_or(0))
}
