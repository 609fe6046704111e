//! The group sync: one thread that makes written bytes durable within the interval.

use crate::LogError;
use crate::log::{Durability, Shared};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Wish {
    dirty: bool,
    urgent: bool,
    stop: bool,
}

/// Wakes the thread.
#[derive(Debug, Default)]
pub(crate) struct SyncBell {
    wish: Mutex<Wish>,
    bell: Condvar,
}

impl SyncBell {
    /// There are unsynced bytes.
    pub(crate) fn dirty(&self) {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        if !wish.dirty {
            wish.dirty = true;
            self.bell.notify_one();
        }
    }

    /// Somebody waits: do not wait for more to group.
    pub(crate) fn urgent(&self) {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).urgent = true;
        self.bell.notify_one();
    }

    /// Sync what is there and end.
    pub(crate) fn stop(&self) {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.bell.notify_one();
    }

    /// Waits for work; whether to go on after it.
    fn wait(&self, group: Duration) -> bool {
        let guard = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self
            .bell
            .wait_while(guard, |w| !w.dirty && !w.urgent && !w.stop)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut guard, _) = self
            .bell
            .wait_timeout_while(guard, group, |w| !w.urgent && !w.stop)
            .unwrap_or_else(PoisonError::into_inner);
        guard.dirty = false;
        guard.urgent = false;
        !guard.stop
    }
}

/// The thread's loop.
pub(crate) fn run(shared: &Arc<Shared>, durability: Durability) {
    // Half of the interval is for collecting, half for the sync itself.
    let group = match durability {
        Durability::Group(interval) => interval / 2,
        Durability::Fsync => Duration::ZERO,
    };
    loop {
        let go_on = shared.bell.wait(group);
        match shared.sync_now() {
            Ok(()) => {}
            Err(e @ LogError::Stopped(_)) => {
                tracing::error!("{e}");
                return;
            }
            Err(e) => tracing::error!("{e}"),
        }
        if !go_on {
            return;
        }
    }
}
