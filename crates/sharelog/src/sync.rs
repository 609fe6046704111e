//! The group sync: one thread that makes written bytes durable within the interval.

use crate::LogError;
use crate::log::{Durability, Shared};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// How long to collect, so that what is written just after a sync began is on the disk within the
/// interval: it waits for that sync, for the collecting and for its own sync. The fewer syncs the less
/// they cost (each some 0.1 ms of processor time). A disk whose syncs take longer cannot keep the
/// interval; then half of it is left for collecting, so that syncs do not follow each other.
fn collecting(interval: Duration, usual_sync: Duration) -> Duration {
    let left = interval.saturating_sub(usual_sync * 2);
    left.clamp(interval / 2, interval / 10 * 9)
}

/// The thread's loop.
pub(crate) fn run(shared: &Arc<Shared>, durability: Durability) {
    let mut usual = Duration::ZERO;
    loop {
        let group = match durability {
            Durability::Group(interval) => collecting(interval, usual),
            Durability::Fsync => Duration::ZERO,
        };
        let go_on = shared.bell.wait(group);
        let begun = Instant::now();
        let synced = shared.sync_now();
        // Quick to rise and slow to fall.
        usual = begun.elapsed().max(usual - usual / 16);
        match synced {
            Ok(()) if go_on => shared.look_ahead(),
            Ok(()) => {}
            Err(e @ LogError::Stopped(_)) => {
                tracing::error!("{e}");
                return;
            }
            Err(e) => tracing::error!("{e}"),
        }
        if !go_on {
            shared.rest();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_synced_within_the_interval_where_the_disk_can_and_seldom_more_often_than_needed()
    {
        let ms = Duration::from_millis;
        let interval = ms(10);
        for sync in 0..3 {
            let collect = collecting(interval, ms(sync));
            assert!(ms(sync) + collect + ms(sync) <= interval, "{sync}: {collect:?}");
            assert!(collect >= ms(5));
        }
        assert_eq!(collecting(interval, ms(1)), ms(8));
        assert_eq!(collecting(interval, ms(50)), ms(5), "a slow disk");
        assert_eq!(collecting(Duration::ZERO, ms(1)), Duration::ZERO);
    }
}
