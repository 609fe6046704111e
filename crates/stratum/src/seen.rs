//! Which shares of one job and class a session has sent: exact, by decoded integers, and bounded.
//!
//! Promises: a share that was noted is found again until its job is forgotten; the memory of all
//! sessions of a gateway together is bounded by one [`SeenBudget`].

use crate::limits::{SEEN_PER_JOB_MAX, SEEN_TOTAL_MAX};
use gruve_sharelog::ShareRecord;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What makes two shares of one session, job and class the same: 20 bytes. Of the extranonce the
/// last eight bytes, which are all that a session's miners choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ShareKey([u32; 5]);

impl ShareKey {
    /// From the integers of a share.
    #[must_use]
    pub fn new(extranonce: u64, ntime: u32, nonce: u32, version: u32) -> ShareKey {
        let [a, b, c, d, e, f, g, h] = extranonce.to_be_bytes();
        ShareKey([
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            ntime,
            nonce,
            version,
        ])
    }

    /// Of a share as it will stand in the log.
    #[must_use]
    pub fn of(share: &ShareRecord) -> ShareKey {
        let mut extranonce = [0; 8];
        let own = share.extranonce.as_slice();
        let last = &own[own.len().saturating_sub(8)..];
        extranonce[8 - last.len()..].copy_from_slice(last);
        ShareKey::new(u64::from_be_bytes(extranonce), share.ntime, share.nonce, share.version)
    }
}

/// How many keys all sessions of a gateway hold together.
#[derive(Debug)]
pub struct SeenBudget {
    held: AtomicUsize,
    each: usize,
    max: usize,
}

impl Default for SeenBudget {
    fn default() -> Self {
        SeenBudget::new(SEEN_PER_JOB_MAX, SEEN_TOTAL_MAX)
    }
}

impl SeenBudget {
    /// With other bounds than [`SEEN_PER_JOB_MAX`] and [`SEEN_TOTAL_MAX`].
    #[must_use]
    pub const fn new(each: usize, max: usize) -> SeenBudget {
        SeenBudget { held: AtomicUsize::new(0), each, max }
    }

    /// Keys held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Keys held at most.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Whether there is room for another.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.held() >= self.max
    }

    /// Whether old jobs should be forgotten, so that new ones have room.
    #[must_use]
    pub fn is_nearly_spent(&self) -> bool {
        self.held() >= self.max / 8 * 7
    }
}

/// The shares of one job and class. Empty ones own nothing.
#[derive(Debug)]
pub struct Seen {
    budget: Arc<SeenBudget>,
    keys: HashSet<ShareKey>,
}

impl Seen {
    /// None yet.
    #[must_use]
    pub fn new(budget: Arc<SeenBudget>) -> Seen {
        Seen { budget, keys: HashSet::new() }
    }

    /// Whether this share was noted.
    #[must_use]
    pub fn has(&self, key: &ShareKey) -> bool {
        self.keys.contains(key)
    }

    /// How many were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// All of them, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &ShareKey> {
        self.keys.iter()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether no more fit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.keys.len() >= self.budget.each || self.budget.is_spent()
    }

    /// Notes a share; false if it was noted before.
    pub fn note(&mut self, key: ShareKey) -> bool {
        let is_new = self.keys.insert(key);
        if is_new {
            self.budget.held.fetch_add(1, Ordering::Relaxed);
        }
        is_new
    }

    /// Takes a share back that could not be stored; whether it was there.
    pub fn forget(&mut self, key: &ShareKey) -> bool {
        let was = self.keys.remove(key);
        self.budget.held.fetch_sub(usize::from(was), Ordering::Relaxed);
        was
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.keys.len(), Ordering::Relaxed);
    }
}

/// The same for a job that most sessions never send a share of: nothing but a place until the first.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Option<Box<Seen>>);

impl Remembered {
    /// Those of an earlier program.
    pub(crate) fn of(keys: &[ShareKey], budget: &Arc<SeenBudget>) -> Remembered {
        let mut all = Remembered::default();
        for key in keys {
            all.note(*key, budget);
        }
        all
    }

    /// Whether this share was noted.
    pub(crate) fn has(&self, key: &ShareKey) -> bool {
        self.0.as_ref().is_some_and(|seen| seen.has(key))
    }

    /// Whether no more shares can be told from earlier ones.
    pub(crate) fn is_full(&self, budget: &SeenBudget) -> bool {
        self.0.as_ref().map_or(budget.is_spent(), |seen| seen.is_full())
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |seen| seen.len())
    }

    /// All of them, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ShareKey> {
        self.0.iter().flat_map(|seen| seen.keys())
    }

    /// Remembers a share; false if it was remembered before.
    pub(crate) fn note(&mut self, key: ShareKey, budget: &Arc<SeenBudget>) -> bool {
        self.0.get_or_insert_with(|| Box::new(Seen::new(Arc::clone(budget)))).note(key)
    }

    /// Takes a share back that could not be stored; whether it was there.
    pub(crate) fn forget(&mut self, key: &ShareKey) -> bool {
        self.0.as_mut().is_some_and(|seen| seen.forget(key))
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_counts_what_is_held_and_gets_it_back() {
        let budget = Arc::new(SeenBudget::new(100, 8));
        let mut seen = Seen::new(Arc::clone(&budget));
        for nonce in 0..8 {
            assert!(!seen.is_full());
            assert!(seen.note(ShareKey::new(1, 2, nonce, 4)));
            assert!(!seen.note(ShareKey::new(1, 2, nonce, 4)));
        }
        assert!(seen.is_full() && budget.is_spent());
        assert!(seen.forget(&ShareKey::new(1, 2, 0, 4)));
        assert!(!seen.forget(&ShareKey::new(1, 2, 0, 4)));
        assert_eq!((seen.len(), budget.held()), (7, 7));
        drop(seen);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn every_field_of_a_share_tells_it_from_others() {
        let keys = [
            ShareKey::new(1, 2, 3, 4),
            ShareKey::new(1 << 32, 2, 3, 4),
            ShareKey::new(2, 2, 3, 4),
            ShareKey::new(1, 3, 3, 4),
            ShareKey::new(1, 2, 4, 4),
            ShareKey::new(1, 2, 3, 5),
        ];
        let different: HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }

    #[test]
    fn keys_are_small() {
        assert_eq!(size_of::<ShareKey>(), 20);
    }
}
