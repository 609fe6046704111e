//! Hashing shares: a cache for each of the algorithm's epochs, made ahead of need.
//!
//! | event | what happens |
//! |---|---|
//! | work of an epoch comes | its cache is begun, unless it is there or under way |
//! | the epoch ends within [`ETH_CACHE_AHEAD_BLOCKS`] blocks | the next one's is begun |
//! | more than [`ETH_CACHES_MAX`] | the lowest that no live work needs is dropped |
//!
//! Promises: a share whose cache is not ready waits for it and is not refused; a cache is made once
//! however many ask; a node that jumps between epochs cannot fill the memory.

use super::work::EthWork;
use crate::limits::{ETH_CACHE_AHEAD_BLOCKS, ETH_CACHES_MAX};
use crate::protocol::Solved;
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What one epoch's works are hashed with.
pub struct EpochPow {
    epoch: EthashEpoch,
    light: OnceLock<LightCache>,
}

impl EpochPow {
    fn new(epoch: EthashEpoch) -> EpochPow {
        EpochPow { epoch, light: OnceLock::new() }
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

    /// The cache; makes it, or waits for whoever does.
    fn light(&self) -> &LightCache {
        self.light.get_or_init(|| LightCache::new(self.epoch))
    }

    /// Mix digest and final hash of each pair of header hash and nonce.
    #[must_use]
    pub fn hash_many(&self, tries: &[([u8; 32], u64)]) -> Vec<([u8; 32], [u8; 32])> {
        let light = self.light();
        tries.iter().map(|(header, nonce)| hash_light(light, header, *nonce)).collect()
    }
}

impl fmt::Debug for EpochPow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochPow({} {}", self.epoch.algorithm(), self.epoch.number())?;
        f.write_str(if self.is_ready() { ")" } else { ", not ready)" })
    }
}

/// The caches of a lane. Cloning gives the same ones.
#[derive(Clone, Debug, Default)]
pub struct Caches(Arc<Mutex<Vec<Arc<EpochPow>>>>);

impl Caches {
    /// What to hash an epoch's works with; begins to make it where it is not there. `None` when as
    /// many epochs as may be held are in use.
    #[must_use]
    pub fn of(&self, epoch: EthashEpoch) -> Option<Arc<EpochPow>> {
        let (pow, is_new) = {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pow) = held.iter().find(|p| p.epoch == epoch) {
                (Arc::clone(pow), false)
            } else {
                if held.len() >= ETH_CACHES_MAX {
                    let unused = |p: &&Arc<EpochPow>| Arc::strong_count(p) == 1;
                    let lowest = held.iter().filter(unused).map(|p| p.epoch.number()).min()?;
                    held.retain(|p| p.epoch.number() != lowest || Arc::strong_count(p) > 1);
                }
                let pow = Arc::new(EpochPow::new(epoch));
                held.push(Arc::clone(&pow));
                (pow, true)
            }
        };
        if is_new {
            begin(&pow);
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

    /// The epochs held, and which are ready.
    #[must_use]
    pub fn held(&self) -> Vec<(EthashEpoch, bool)> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|p| (p.epoch, p.is_ready())).collect()
    }
}

/// Makes a cache on a thread of its own.
fn begin(pow: &Arc<EpochPow>) {
    let own = Arc::clone(pow);
    let made = std::thread::Builder::new().name("ethash-cache".to_owned()).spawn(move || {
        let began = std::time::Instant::now();
        own.light();
        let (epoch, took_ms) = (own.epoch.number(), began.elapsed().as_millis());
        tracing::info!(algorithm = %own.epoch.algorithm(), epoch, took_ms, "made a cache");
    });
    if let Err(error) = made {
        // The first share makes it then, on the thread that hashes it.
        tracing::error!(%error, "no thread to make a cache with");
    }
}

/// The answers to these tries, in order. Takes a millisecond or so each and, where a cache is not
/// ready, as long as it takes: not for a thread that others wait for.
#[must_use]
pub fn solve_many(tries: &[(Arc<EthWork>, u64)]) -> Vec<Solved> {
    let mut solved = Vec::with_capacity(tries.len());
    let same_epoch =
        |a: &(Arc<EthWork>, u64), b: &(Arc<EthWork>, u64)| Arc::ptr_eq(a.0.pow(), b.0.pow());
    for run in tries.chunk_by(same_epoch) {
        let Some((first, _)) = run.first() else { continue };
        let pairs: Vec<_> = run.iter().map(|(work, nonce)| (work.header_hash, *nonce)).collect();
        solved.extend(first.pow().hash_many(&pairs).into_iter().map(|(mix, mut pow_hash)| {
            // Written most significant byte first; internal byte order is the other.
            pow_hash.reverse();
            Solved { pow_hash, header: [0; 80], mix }
        }));
    }
    solved
}
