//! Bounds by whom: how many of something each address or account has at once, and how often.
//!
//! All is kept in memory and never more than the callers there are (or [`PACED_MAX`]); a restart forgets it.

use gruve_units::{Duration, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many of something each has; never more entries than there are of it.
#[derive(Debug)]
pub(crate) struct Crowd<K: Ord>(Arc<Mutex<BTreeMap<K, usize>>>);

impl<K: Ord> Clone for Crowd<K> {
    fn clone(&self) -> Self {
        Crowd(Arc::clone(&self.0))
    }
}

impl<K: Ord> Default for Crowd<K> {
    fn default() -> Self {
        Crowd(Arc::default())
    }
}

/// One of somebody's, while it lasts.
#[derive(Debug)]
pub(crate) struct Seat<K: Ord> {
    of: Crowd<K>,
    whose: K,
}

impl<K: Ord + Clone> Crowd<K> {
    /// One more of somebody's; `None` where there are `most` already.
    pub(crate) fn admit(&self, whose: &K, most: usize) -> Option<Seat<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(whose.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { of: self.clone(), whose: whose.clone() })
    }
}

impl<K: Ord> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}

/// Whom a pace is kept of at once: above it those who have worked theirs off are forgotten, and if that is not enough
/// nobody new is heard for a moment.
const PACED_MAX: usize = 10_000;

/// How often each address or account may do something: so many times at once, then once in an interval.
#[derive(Debug)]
pub(crate) struct Pace<K: Ord = IpAddr> {
    at_once: u32,
    interval: Duration,
    worked_off: Mutex<BTreeMap<K, Timestamp>>,
}

/// How many calls of the API an account may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPace {
    /// So many at once.
    pub at_once: u32,
    /// Then one in each of these.
    pub interval: Duration,
}

impl Default for CallPace {
    /// A thousand at once: a program that looks after its house once a day reads five hundred contracts with their
    /// statements. Then ten a second: the dearest call, a page of five hundred contracts, takes a tenth of a second, so
    /// that no account keeps more than one core busy.
    fn default() -> CallPace {
        CallPace { at_once: 1_000, interval: Duration::from_millis(100) }
    }
}

impl CallPace {
    /// How often pages are looked at in an account's name: a thousand at once, then twenty a second. A page that is in view
    /// refreshes itself once a second at the most, so that is a room of people with twenty pages open on screens; and the
    /// dearest page, an overview of two hundred contracts, may take 50 ms, so that no account keeps more than one core busy.
    pub const PAGES: CallPace = CallPace { at_once: 1_000, interval: Duration::from_millis(50) };
}

impl<K: Ord> Pace<K> {
    pub(crate) const fn new(at_once: u32, interval: Duration) -> Pace<K> {
        Pace { at_once, interval, worked_off: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one more of somebody's; how long to wait where it is too often.
    pub(crate) fn count(&self, whose: K, now: Timestamp) -> Result<(), Duration> {
        let most = self.interval * self.at_once;
        let mut all = self.worked_off.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PACED_MAX && !all.contains_key(&whose) {
            all.retain(|_, at| *at > now);
            if all.len() >= PACED_MAX {
                return Err(self.interval);
            }
        }
        // A clock that has gone back holds nobody up for longer than the pace itself.
        let begins = all.get(&whose).copied().unwrap_or(now).clamp(now, now.plus(most));
        let ends = begins.plus(self.interval);
        if ends > now.plus(most) {
            all.insert(whose, begins);
            return Err(ends.since(now.plus(most)));
        }
        all.insert(whose, ends);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::default();
        let held: Vec<_> = (0..3).map(|_| crowd.admit(&"anna", 3).unwrap()).collect();
        assert!(crowd.admit(&"anna", 3).is_none());
        assert!(crowd.admit(&"bert", 3).is_some());
        drop(held);
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_pace_is_kept_by_household_and_worked_off_with_time() {
        let pace = Pace::new(2, Duration::from_secs(10));
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let at = Timestamp::from_secs;
        assert!(pace.count(one, at(100)).is_ok() && pace.count(one, at(100)).is_ok());
        assert_eq!(pace.count(one, at(100)), Err(Duration::from_secs(10)));
        assert_eq!(pace.count(one, at(104)), Err(Duration::from_secs(6)));
        assert!(pace.count(other, at(100)).is_ok());
        assert!(pace.count(one, at(110)).is_ok());
        assert!(pace.count(one, at(10)).is_err(), "the clock went back");
        assert!(pace.count(one, at(20)).is_ok());
    }

    #[test]
    fn those_who_have_worked_theirs_off_are_forgotten() {
        let pace = Pace::new(1, Duration::from_secs(10));
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        for n in 0..PACED_MAX {
            assert!(pace.count(address(n), Timestamp::from_secs(100)).is_ok());
        }
        let late = address(PACED_MAX);
        assert!(pace.count(late, Timestamp::from_secs(100)).is_err());
        assert!(pace.count(late, Timestamp::from_secs(111)).is_ok());
        assert_eq!(pace.worked_off.lock().unwrap().len(), 1);
    }
}
