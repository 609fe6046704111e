//! The beginnings of extranonces: each belongs to one living connection or channel at a time.
//!
//! They are counted up, over restarts that hand the count on and over the end of the four bytes; a program that was killed
//! leaves none, and then the jobs' numbers, which stand in the coinbase, tell headers apart. Counting alone would give the
//! prefix of a connection that has lived through 2^32 of them to another, and both would search the
//! same headers: a share could count for both. So those that live are passed over. One that is let go
//! comes again only after all others, long after the jobs given under it have died.

use crate::limits::EXTRANONCE1_BYTES;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a session's miners put before what they choose themselves.
pub(crate) type Prefix = [u8; EXTRANONCE1_BYTES];

/// All prefixes of a gateway.
#[derive(Debug, Default)]
pub struct Prefixes {
    next: AtomicU32,
    living: Mutex<HashSet<Prefix>>,
}

impl From<u32> for Prefixes {
    /// Counts from there.
    fn from(next: u32) -> Prefixes {
        Prefixes { next: AtomicU32::new(next), living: Mutex::default() }
    }
}

impl Prefixes {
    fn living(&self) -> MutexGuard<'_, HashSet<Prefix>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the next program goes on to count.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    /// The next one that nobody has. There are far fewer connections and channels than prefixes.
    pub(crate) fn next(&self) -> Prefix {
        loop {
            let prefix = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            if !self.living().contains(&prefix) {
                return prefix;
            }
        }
    }

    /// Holds one until what comes back is dropped.
    pub(crate) fn hold(self: &Arc<Prefixes>, prefix: Prefix) -> Lease {
        let is_holder = self.living().insert(prefix);
        Lease { prefixes: Arc::clone(self), prefix, is_holder }
    }
}

/// A prefix that lives.
#[derive(Debug)]
pub(crate) struct Lease {
    prefixes: Arc<Prefixes>,
    pub(crate) prefix: Prefix,
    /// Whether nobody had it before.
    is_holder: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_holder {
            self.prefixes.living().remove(&self.prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_lives_is_passed_over_when_counting_comes_to_it_again() {
        let prefixes = Arc::new(Prefixes::from(u32::MAX));
        let take = || {
            let next = prefixes.next();
            prefixes.hold(next)
        };
        let (last, first) = (take(), take());
        assert_eq!((last.prefix, first.prefix), ([0xff; 4], [0; 4]));
        prefixes.next.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(take().prefix, [0, 0, 0, 1]);
        // Held twice it is let go once, by who had it first.
        drop(prefixes.hold([0xff; 4]));
        prefixes.next.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(prefixes.next(), [0, 0, 0, 1]);
        drop((last, first));
        prefixes.next.store(u32::MAX, Ordering::Relaxed);
        assert_eq!(prefixes.next(), [0xff; 4]);
    }
}
