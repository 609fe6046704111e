//! Hashing shares: a cache for each of the algorithm's epochs, made ahead of need; and, if so wished,
//! the whole dataset of the epoch in use.
//!
//! | event | what happens |
//! |---|---|
//! | work of an epoch comes | its cache is begun, unless it is there or under way; then its dataset |
//! | a share comes whose cache is not ready | it is set aside until then; shares of other epochs go on |
//! | the epoch ends within [`ETH_CACHE_AHEAD_BLOCKS`] blocks | the next one's cache is begun |
//! | work of another epoch comes | the old dataset is dropped; late shares are hashed from the cache |
//! | more than [`ETH_CACHES_MAX`] caches | the lowest that no live work needs is dropped |
//!
//! Promises: a share whose cache is not ready waits for it and is not refused, and no thread waits with
//! it ([`EpochPow::when_ready`]); a cache is made once however many ask, and one at a time; a node that
//! jumps between epochs cannot fill the memory; one dataset is held at the most, and one is made at a
//! time.

use super::work::EthWork;
use crate::limits::{ETH_CACHE_AHEAD_BLOCKS, ETH_CACHES_MAX};
use crate::protocol::Solved;
use gruve_pow::ethash::{Dataset, EthashEpoch, LightCache, hash_full, hash_light_many_between};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Instant;

/// Mix digest and final hash.
type Hashes = ([u8; 32], [u8; 32]);

/// What is to be done once a cache is there.
type Then = Box<dyn FnOnce() + Send>;

/// What one epoch's works are hashed with.
pub struct EpochPow {
    epoch: EthashEpoch,
    sizes: Option<Sizes>,
    light: OnceLock<LightCache>,
    full: RwLock<Option<Arc<Dataset>>>,
    /// Whether a thread makes the cache, or has made it.
    is_begun: AtomicBool,
    /// Held by whoever makes a cache: one at a time.
    making: Arc<Mutex<()>>,
    /// Who waits for the cache: at most one of each connection.
    waiting: Mutex<Vec<Then>>,
}

impl EpochPow {
    fn new(epoch: EthashEpoch, sizes: Option<Sizes>, making: Arc<Mutex<()>>) -> EpochPow {
        EpochPow {
            epoch,
            sizes,
            light: OnceLock::new(),
            full: RwLock::default(),
            is_begun: AtomicBool::new(false),
            making,
            waiting: Mutex::default(),
        }
    }

    /// Has a thread make the cache, if none does; false where no thread is to be had.
    fn begin(self: &Arc<Self>) -> bool {
        if self.is_begun.swap(true, Ordering::SeqCst) {
            return true;
        }
        let own = Arc::clone(self);
        let is_begun = begin("ethash-cache", move || {
            let began = Instant::now();
            own.make();
            let (algorithm, epoch) = (own.epoch.algorithm(), own.epoch.number());
            let took_ms = began.elapsed().as_millis();
            tracing::info!(%algorithm, epoch, took_ms, "made a cache");
        });
        if !is_begun {
            self.is_begun.store(false, Ordering::SeqCst);
        }
        is_begun
    }

    /// Makes the cache when no other is being made, and tells those who wait for it.
    fn make(&self) {
        {
            let _one_at_a_time = lock(&self.making);
            self.light();
        }
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(|then| then());
    }

    /// Gives `then` back where hashing can go on at once: the cache is there, or nobody can be found to
    /// make it but who hashes. Else it is done when the cache is there, by the thread that made it.
    pub(crate) fn when_ready(self: &Arc<Self>, then: Then) -> Option<Then> {
        if self.is_ready() || !self.begin() {
            return Some(then);
        }
        let mut waiting = lock(&self.waiting);
        // Whoever makes it takes the list after it is there.
        if self.is_ready() {
            return Some(then);
        }
        waiting.push(then);
        None
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(&self) -> EthashEpoch {
        self.epoch
    }

    /// Whether hashing could begin at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.light.get().is_some()
    }

    /// Whether the whole dataset is there.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full().is_some()
    }

    fn full(&self) -> Option<Arc<Dataset>> {
        self.full.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_full(&self, dataset: Option<Arc<Dataset>>) {
        let mut full = self.full.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *full, dataset);
        drop(full);
        // Giving gigabytes back takes a while: not while others want to hash.
        if let Some(old) = old {
            begin("ethash-dataset-end", move || drop(old));
        }
    }

    /// The cache; makes it, or waits for whoever does.
    fn light(&self) -> &LightCache {
        self.light.get_or_init(|| match self.sizes {
            None => LightCache::new(self.epoch),
            Some(Sizes { items, pages }) => LightCache::with_sizes(self.epoch, items, pages),
        })
    }

    /// Mix digest and final hash of each pair of header hash and nonce.
    #[must_use]
    pub fn hash_many(&self, tries: &[([u8; 32], u64)]) -> Vec<Hashes> {
        self.hash_many_between(tries, &mut || {})
    }

    /// The same, with `between` done on the way: some 64 times for eight from the cache, once for each
    /// from the dataset.
    fn hash_many_between(
        &self,
        tries: &[([u8; 32], u64)],
        between: &mut dyn FnMut(),
    ) -> Vec<Hashes> {
        let Some(full) = self.full() else {
            return hash_light_many_between(self.light(), tries, between);
        };
        let one = |(header, nonce): &([u8; 32], u64)| {
            between();
            hash_full(&full, header, *nonce)
        };
        tries.iter().map(one).collect()
    }
}

impl fmt::Debug for EpochPow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochPow({} {}", self.epoch.algorithm(), self.epoch.number())?;
        f.write_str(if self.is_ready() { ")" } else { ", not ready)" })
    }
}

/// Sizes other than an epoch's own, the same for all: for tests and private chains, because the hashes
/// are not those of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Items of 64 bytes in the cache.
    pub items: u32,
    /// Pages of 128 bytes in the dataset.
    pub pages: u32,
}

/// Whether and how the whole dataset is held. It is for lanes with many shares: see
/// `docs/stratum.md` for where it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullDataset {
    /// Memory it may take. One that needs more is not made, and shares are hashed from the cache.
    pub bytes_max: u64,
    /// Threads that make it.
    pub threads: usize,
}

impl FullDataset {
    /// Within so much memory, made by all cores but one.
    #[must_use]
    pub fn within(bytes_max: u64) -> FullDataset {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        FullDataset { bytes_max, threads: cores.saturating_sub(1).max(1) }
    }
}

/// Which epoch's dataset is wanted, and whether a thread is at it.
#[derive(Debug, Default)]
struct Wanted {
    pow: Option<Arc<EpochPow>>,
    is_made: bool,
}

#[derive(Debug, Default)]
struct Held {
    caches: Mutex<Vec<Arc<EpochPow>>>,
    full: Option<FullDataset>,
    sizes: Option<Sizes>,
    wanted: Mutex<Wanted>,
    /// Held by whoever makes a cache.
    making: Arc<Mutex<()>>,
}

/// The caches of a lane. Cloning gives the same ones.
#[derive(Clone, Debug, Default)]
pub struct Caches(Arc<Held>);

impl Caches {
    /// With the whole dataset of the epoch in use.
    #[must_use]
    pub fn with_dataset(full: FullDataset) -> Caches {
        Caches(Arc::new(Held { full: Some(full), ..Held::default() }))
    }

    /// The same with sizes of one's own.
    #[must_use]
    pub fn of_sizes(sizes: Sizes, full: Option<FullDataset>) -> Caches {
        Caches(Arc::new(Held { full, sizes: Some(sizes), ..Held::default() }))
    }

    /// What to hash an epoch's works with; begins to make it where it is not there. `None` when as
    /// many epochs as may be held are in use.
    #[must_use]
    pub fn of(&self, epoch: EthashEpoch) -> Option<Arc<EpochPow>> {
        let (pow, is_new) = {
            let mut held = lock(&self.0.caches);
            if let Some(pow) = held.iter().find(|p| p.epoch == epoch) {
                (Arc::clone(pow), false)
            } else {
                if held.len() >= ETH_CACHES_MAX {
                    let unused = |p: &&Arc<EpochPow>| Arc::strong_count(p) == 1;
                    let lowest = held.iter().filter(unused).map(|p| p.epoch.number()).min()?;
                    held.retain(|p| p.epoch.number() != lowest || Arc::strong_count(p) > 1);
                }
                let making = Arc::clone(&self.0.making);
                let pow = Arc::new(EpochPow::new(epoch, self.0.sizes, making));
                held.push(Arc::clone(&pow));
                (pow, true)
            }
        };
        if is_new {
            // Without a thread the first share's makes it.
            pow.begin();
        }
        Some(pow)
    }

    /// A work of this height was given: begins with the next epoch's cache when it is near.
    pub fn look_ahead(&self, epoch: EthashEpoch, height: u64) {
        let Some(length) = EthashEpoch::length(epoch.algorithm()) else { return };
        let is_near = height % length + ETH_CACHE_AHEAD_BLOCKS >= length;
        if is_near
            && let Ok(next) = EthashEpoch::new(epoch.algorithm(), u64::from(epoch.number()) + 1)
        {
            // Where there is no room the cache is made when it is needed.
            let _ = self.of(next);
        }
    }

    /// A work of this epoch is the newest: begins with its dataset, if datasets are held, and drops
    /// another's.
    pub fn work_on(&self, pow: &Arc<EpochPow>) {
        let Some(full) = self.0.full else { return };
        {
            let mut wanted = lock(&self.0.wanted);
            if wanted.pow.as_ref().is_some_and(|p| Arc::ptr_eq(p, pow)) {
                return;
            }
            if let Some(old) = wanted.pow.replace(Arc::clone(pow)) {
                old.set_full(None);
            }
            if std::mem::replace(&mut wanted.is_made, true) {
                return;
            }
        }
        let held = Arc::downgrade(&self.0);
        begin("ethash-dataset", move || {
            // Until what was made is what is still wanted.
            while let Some(pow) = held.upgrade().and_then(|h| lock(&h.wanted).pow.clone()) {
                let made = make(&pow, full);
                let Some(held) = held.upgrade() else { return };
                let mut wanted = lock(&held.wanted);
                if wanted.pow.as_ref().is_some_and(|p| Arc::ptr_eq(p, &pow)) {
                    wanted.is_made = false;
                    pow.set_full(made);
                    return;
                }
            }
        });
    }

    /// The epochs held, and which are ready.
    #[must_use]
    pub fn held(&self) -> Vec<(EthashEpoch, bool)> {
        lock(&self.0.caches).iter().map(|p| (p.epoch, p.is_ready())).collect()
    }
}

fn make(pow: &EpochPow, full: FullDataset) -> Option<Arc<Dataset>> {
    let (algorithm, epoch) = (pow.epoch.algorithm(), pow.epoch.number());
    let began = Instant::now();
    let made = Dataset::generate(pow.light(), full.threads, full.bytes_max, &|_, _| {});
    match made {
        Ok(dataset) => {
            let took_ms = began.elapsed().as_millis();
            tracing::info!(%algorithm, epoch, took_ms, bytes = dataset.bytes(), "made a dataset");
            Some(Arc::new(dataset))
        }
        Err(error) => {
            tracing::warn!(%algorithm, epoch, %error, "no dataset: shares are hashed from the cache");
            None
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something long on a thread of its own; whether there is one.
fn begin(name: &str, what: impl FnOnce() + Send + 'static) -> bool {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(what);
    spawned.inspect_err(|error| tracing::error!(%error, name, "no thread to be had")).is_ok()
}

/// The answers to these tries, in order. Takes a millisecond or so each and, where a cache is not
/// ready, as long as it takes: not for a thread that others wait for.
#[must_use]
pub fn solve_many(tries: &[(Arc<EthWork>, u64)]) -> Vec<Solved> {
    solve_many_between(tries, &mut || {})
}

/// The same, with `between` done on the way again and again.
pub(crate) fn solve_many_between(
    tries: &[(Arc<EthWork>, u64)],
    between: &mut dyn FnMut(),
) -> Vec<Solved> {
    let mut solved = Vec::with_capacity(tries.len());
    let same_epoch =
        |a: &(Arc<EthWork>, u64), b: &(Arc<EthWork>, u64)| Arc::ptr_eq(a.0.pow(), b.0.pow());
    for run in tries.chunk_by(same_epoch) {
        let Some((first, _)) = run.first() else { continue };
        let pairs: Vec<_> = run.iter().map(|(work, nonce)| (work.header_hash, *nonce)).collect();
        let hashes = first.pow().hash_many_between(&pairs, between);
        solved.extend(hashes.into_iter().map(|(mix, mut pow_hash)| {
            // Written most significant byte first; internal byte order is the other.
            pow_hash.reverse();
            Solved { pow_hash, header: [0; 80], mix }
        }));
    }
    solved
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gruve_units::Algorithm;
    use std::time::Duration;

    const SIZES: Sizes = Sizes { items: 509, pages: 1021 };

    /// An epoch whose cache is as if it were being made, until [`finish`].
    pub(crate) fn unready(number: u64) -> Arc<EpochPow> {
        let pow = EpochPow::new(epoch(number), Some(SIZES), Arc::default());
        pow.is_begun.store(true, Ordering::SeqCst);
        Arc::new(pow)
    }

    pub(crate) fn finish(pow: &EpochPow) {
        pow.make();
    }

    #[test]
    fn who_waits_for_a_cache_is_told_once_and_later_nobody_waits() {
        let pow = unready(1);
        let (told, heard) = std::sync::mpsc::channel();
        for n in 0..3 {
            let told = told.clone();
            assert!(pow.when_ready(Box::new(move || told.send(n).unwrap())).is_none());
        }
        assert!(heard.try_recv().is_err(), "not before it is there");
        finish(&pow);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(pow.when_ready(Box::new(|| {})).is_some(), "it is there");
    }

    #[test]
    fn caches_are_made_one_at_a_time_and_all_in_the_end() {
        let caches = Caches::of_sizes(SIZES, None);
        let busy = lock(&caches.0.making);
        let both = [caches.of(epoch(1)).unwrap(), caches.of(epoch(2)).unwrap()];
        assert!(both.iter().all(|p| p.is_begun.load(Ordering::SeqCst) && !p.is_ready()));
        drop(busy);
        until(|| both.iter().all(|p| p.is_ready()));
    }
    const NEEDED: u64 = 1021 * 128;

    fn epoch(number: u64) -> EthashEpoch {
        EthashEpoch::new(Algorithm::Ethash, number).unwrap()
    }

    /// Until it is so, for ten seconds at the most.
    fn until(what: impl Fn() -> bool) {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing happened in time");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_whole_dataset_gives_what_the_cache_gives() {
        let full = FullDataset { bytes_max: NEEDED, threads: 2 };
        let caches = Caches::of_sizes(SIZES, Some(full));
        let pow = caches.of(epoch(0)).unwrap();
        let tries: Vec<_> = (0..40u8).map(|n| ([n; 32], u64::from(n) << 32)).collect();
        let light = pow.hash_many(&tries);
        assert!(!pow.is_full());
        caches.work_on(&pow);
        until(|| pow.is_full());
        assert_eq!(pow.hash_many(&tries), light);
    }

    #[test]
    fn one_dataset_is_held_at_the_most_and_the_newest_epochs() {
        let full = FullDataset { bytes_max: NEEDED, threads: 1 };
        let caches = Caches::of_sizes(SIZES, Some(full));
        let all: Vec<_> = (0..3).map(|n| caches.of(epoch(n)).unwrap()).collect();
        // As fast as a node may jump.
        for n in [0, 1, 0, 2, 1] {
            caches.work_on(&all[n]);
        }
        until(|| all[1].is_full());
        assert!(!all[0].is_full() && !all[2].is_full());
        caches.work_on(&all[2]);
        assert!(!all[1].is_full(), "late shares are hashed from the cache");
        until(|| all[2].is_full());
    }

    #[test]
    fn a_dataset_beyond_the_memory_for_it_is_not_made_and_shares_are_hashed_all_the_same() {
        let full = FullDataset { bytes_max: NEEDED - 1, threads: 1 };
        let caches = Caches::of_sizes(SIZES, Some(full));
        let pow = caches.of(epoch(0)).unwrap();
        caches.work_on(&pow);
        until(|| !lock(&caches.0.wanted).is_made);
        assert!(!pow.is_full());
        assert_eq!(pow.hash_many(&[([1; 32], 1)]).len(), 1);
    }
}
