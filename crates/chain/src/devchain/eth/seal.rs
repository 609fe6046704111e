//! Whether a header's work was done: Ethash with its real caches, or as it is claimed.

use super::params::{EthDevParams, EthDevWork};
use crate::eth::EthHeader;
pub(super) use crate::eth::header::bound;
use gruve_pow::ethash::{EthashEpoch, LightCache, claimed_hash, hash_light};
use gruve_units::Algorithm;
use ruint::aliases::U256;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// The cache of epoch 0, in which every young chain stands; Ethash's and Etchash's are the same.
/// Sixteen megabytes and half a second, once for all chains of the process.
static FIRST: LazyLock<Option<Arc<LightCache>>> = LazyLock::new(|| {
    let epoch = EthashEpoch::new(Algorithm::Ethash, 0).ok()?;
    Some(Arc::new(LightCache::new(epoch)))
});

/// The caches of the epoch that is mined in.
#[derive(Default)]
pub(super) struct Seals(Mutex<Option<Arc<LightCache>>>);

impl Seals {
    /// The cache of a block's epoch; `None` beyond the highest.
    fn cache(&self, algorithm: Algorithm, number: u64) -> Option<Arc<LightCache>> {
        let epoch = EthashEpoch::of_block(algorithm, number).ok()?;
        if epoch.number() == 0 {
            return FIRST.clone();
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cache) = kept.as_ref().filter(|cache| cache.epoch() == epoch) {
            return Some(Arc::clone(cache));
        }
        let cache = Arc::new(LightCache::new(epoch));
        *kept = Some(Arc::clone(&cache));
        Some(cache)
    }

    /// A nonce that is good for a header, by counting from `first`, with its mix hash: for tests, where difficulty is
    /// low. `None` beyond the highest epoch.
    pub(super) fn find(
        &self,
        params: &EthDevParams,
        header: &EthHeader,
        first: u64,
    ) -> Option<(u64, [u8; 32])> {
        let (seal, bound) = (header.seal_hash(), bound(header.difficulty));
        let reaches = |hash: [u8; 32]| U256::from_be_bytes(hash) <= bound;
        if params.work == EthDevWork::Claimed {
            let mix = [0; 32];
            let found = (first..).find(|nonce| reaches(claimed_hash(&seal, *nonce, &mix)));
            return found.map(|nonce| (nonce, mix));
        }
        let cache = self.cache(params.algorithm, header.number)?;
        (first..).find_map(|nonce| {
            let (mix, hash) = hash_light(&cache, &seal, nonce);
            reaches(hash).then_some((nonce, mix))
        })
    }

    /// Whether a header's nonce and mix hash are good; why not.
    pub(super) fn check(
        &self,
        params: &EthDevParams,
        header: &EthHeader,
    ) -> Result<(), &'static str> {
        let (seal, nonce) = (header.seal_hash(), u64::from_be_bytes(header.nonce));
        let bound = bound(header.difficulty);
        let reaches = |hash: [u8; 32]| U256::from_be_bytes(hash) <= bound;
        // Cheap: what a claim does not reach, the truth does not either.
        if !reaches(claimed_hash(&seal, nonce, &header.mix_hash)) {
            return Err("invalid proof-of-work");
        }
        if params.work == EthDevWork::Claimed {
            return Ok(());
        }
        let cache = self.cache(params.algorithm, header.number).ok_or("no such epoch")?;
        let (mix, hash) = hash_light(&cache, &seal, nonce);
        if mix != header.mix_hash {
            return Err("invalid mix digest");
        }
        if reaches(hash) { Ok(()) } else { Err("invalid proof-of-work") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_two_to_the_256_divided_down() {
        let two_254 = U256::from(1) << 254;
        assert_eq!(bound(U256::from(4)), two_254);
        assert_eq!(bound(U256::from(3)), U256::MAX / U256::from(3));
        assert_eq!(bound(U256::from(1)), U256::MAX);
        assert_eq!(bound(U256::MAX), U256::from(1));
    }
}
