//! The group sync: one thread that makes written bytes durable within the interval.

use crate::LogError;
use crate::log::Durability;
use crate::writer::Shared;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct Wish {
    /// Since when there are unsynced bytes; a moment too early where the last sync has taken what came first.
    dirty_since: Option<Instant>,
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
    /// There are unsynced bytes; whether they are the first that the next sync owes.
    pub(crate) fn dirty(&self) -> bool {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = wish.dirty_since.is_none();
        if is_first {
            wish.dirty_since = Some(Instant::now());
            self.bell.notify_one();
        }
        is_first
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

    /// Waits for work, and then for more of it until `when`, which is asked with the moment from which
    /// on there are unsynced bytes; whether to go on after it.
    fn wait(&self, when: impl Fn(Instant) -> Instant) -> bool {
        let guard = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = self
            .bell
            .wait_while(guard, |w| w.dirty_since.is_none() && !w.urgent && !w.stop)
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let left = when(guard.dirty_since.unwrap_or(now)).saturating_duration_since(now);
        let (mut guard, _) = self
            .bell
            .wait_timeout_while(guard, left, |w| !w.urgent && !w.stop)
            .unwrap_or_else(PoisonError::into_inner);
        guard.dirty_since = None;
        guard.urgent = false;
        !guard.stop
    }
}

/// When to sync, so that what is written first is on the disk within the interval, and no sooner: the
/// fewer syncs the less they cost (each 0.1 to 0.3 ms of processor time). Counted from that first write and not from the last
/// sync, because between the two nothing was owed. A disk whose syncs take long cannot keep
/// the interval; then half of it passes between two of them, so that they do not follow each other.
fn due(first: Instant, rested_since: Instant, interval: Duration, usual_sync: Duration) -> Instant {
    let left = interval.saturating_sub(usual_sync);
    // The system wakes nobody on the dot.
    let collecting = left.clamp(interval / 2, interval - interval / 20);
    (first + collecting).max(rested_since + interval / 2)
}

/// The thread's loop.
pub(crate) fn run(shared: &Arc<Shared>, durability: Durability) {
    let mut usual = Duration::ZERO;
    let mut rested_since = Instant::now();
    loop {
        let go_on = shared.bell.wait(|first| match durability {
            Durability::Group(interval) => due(first, rested_since, interval, usual),
            Durability::Fsync => first,
        });
        let begun = Instant::now();
        let synced = shared.sync_now();
        // Whatever became of it: it was written.
        shared.tell_readers();
        shared.cost.synced();
        rested_since = Instant::now();
        // Quick to rise and slow to fall.
        usual = (rested_since - begun).max(usual - usual / 16);
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
    use crate::full_disk::share;
    use crate::{Options, ShareLog};

    #[test]
    fn a_share_is_synced_within_the_interval_where_the_disk_can_and_seldom_more_often_than_needed()
    {
        let ms = Duration::from_millis;
        let interval = ms(10);
        let begun = Instant::now();
        for sync in 0..=2 {
            // A sync has begun; the first share that it does not take comes so much later.
            for gap in 0..=4 {
                let (first, ended) = (begun + ms(gap), begun + ms(sync));
                let on_the_disk = due(first, ended, interval, ms(sync)) + ms(sync);
                assert!(on_the_disk <= first + interval, "{sync}, {gap}");
                assert!(on_the_disk >= first + ms(9), "{sync}, {gap}: as late as may be");
            }
        }
        let since = |at: Instant| at.duration_since(begun);
        assert_eq!(since(due(begun, begun + ms(3), interval, ms(3))), ms(8), "half to rest");
        assert_eq!(since(due(begun, begun + ms(50), interval, ms(50))), ms(55), "a slow disk");
        assert_eq!(due(begun, begun, Duration::ZERO, ms(1)), begun);
    }

    #[tokio::test]
    async fn of_a_thousand_appends_that_one_sync_takes_a_reader_is_woken_twice() {
        let dir = tempfile::tempdir().unwrap();
        // Syncs when it is stopped, and not before.
        let durability = Durability::Group(Duration::from_secs(3_600));
        let options = Options { durability, ..Options::default() };
        let log = ShareLog::open(dir.path(), options).unwrap();
        let mut wakes = log.wakes();
        for nonce in 0..1_000 {
            let end = log.append_shares(&[share(nonce)], &mut Vec::new()).unwrap();
            assert_eq!(wakes.has_changed().unwrap(), nonce == 0, "of the first at once");
            assert_eq!(*wakes.borrow_and_update(), end, "who looks sees all");
        }
        log.synced(log.end()).await.unwrap();
        let told = tokio::time::timeout(Duration::from_secs(20), wakes.changed()).await;
        assert!(told.is_ok_and(|t| t.is_ok()), "and when all is synced");
    }

    #[test]
    fn what_is_written_while_others_are_synced_is_owed_from_then_on() {
        let bell = SyncBell::default();
        let asked = |bell: &SyncBell| {
            let first = std::cell::Cell::new(None);
            assert!(bell.wait(|at| {
                first.set(Some(at));
                at
            }));
            first.get().unwrap()
        };
        let before = Instant::now();
        assert!(bell.dirty());
        let after = Instant::now();
        assert!(!bell.dirty());
        let first = asked(&bell);
        assert!(before <= first && first <= after, "the first of the two");
        assert!(bell.dirty());
        assert!(asked(&bell) >= after, "the sync has taken the others");
    }
}
