//! Light verification of Ethash and Etchash: epochs, seeds, sizes, caches, seals.
//!
//! From the Ethash specification (revision 23) and ECIP-1099. *Etchash* is Ethash with epochs of
//! 60,000 blocks: its sizes are those of Ethash for the same epoch number, but its seed has been
//! hashed once for every 30,000 blocks, so it is Ethash's seed of *twice* the epoch number.
//!
//! Hashes of this family are written as they come, most significant byte first.
//!
//! ```
//! use gruve_pow::ethash::EthashEpoch;
//! use gruve_units::Algorithm;
//! let epoch = EthashEpoch::of_block(Algorithm::Ethash, 5_000_000).unwrap();
//! assert_eq!((epoch.number(), epoch.cache_bytes()), (166, 38_535_104));
//! ```

mod dataset;
mod many;

pub use dataset::{Dataset, hash_full};
pub use many::{hash_light_many, hash_light_many_between};

use gruve_units::{Algorithm, Blame, Blamed};
use sha3::{Digest, Keccak256, Keccak512};

/// Bytes of a cache and of a dataset at epoch 0 (before the search for a prime), and how much
/// they grow with every epoch.
const CACHE_BYTES_INIT: u64 = 1 << 24;
const CACHE_BYTES_GROWTH: u64 = 1 << 17;
const DATASET_BYTES_INIT: u64 = 1 << 30;
const DATASET_BYTES_GROWTH: u64 = 1 << 23;

/// Bytes of a cache item and of a dataset page (two dataset items).
const ITEM_BYTES: u64 = 64;
const PAGE_BYTES: u64 = 128;

const CACHE_ROUNDS: usize = 3;
const DATASET_PARENTS: u32 = 256;
const ACCESSES: u32 = 64;

/// Words of an item and of the mix.
const ITEM_WORDS: usize = 16;
const MIX_WORDS: usize = 32;

/// 64 bytes as 16 little-endian words.
type Item = [u32; ITEM_WORDS];

/// What cannot be asked of Ethash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EthashError {
    /// The algorithm has no epochs.
    #[error("{0} has no Ethash epochs: ask for ethash or etchash")]
    Algorithm(Algorithm),
    /// The epoch is above [`EthashEpoch::MAX`].
    #[error("epoch {0} is above {max}, the highest known here", max = EthashEpoch::MAX)]
    EpochTooHigh(u64),
    /// A dataset does not fit into the memory that it may take.
    #[error("the dataset takes {needed} bytes, more than the {limit} bytes there are for it")]
    Memory {
        /// Bytes of the dataset.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
    },
}

impl Blamed for EthashError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// An epoch of Ethash or Etchash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EthashEpoch {
    algorithm: Algorithm,
    number: u32,
}

impl EthashEpoch {
    /// The highest epoch served: the reference tables of the specification end there, decades
    /// away for any chain, and a cache then takes 285 MB; a wild number must not take more.
    pub const MAX: u32 = 2047;

    /// Epoch `number`.
    ///
    /// # Errors
    /// When the algorithm is not of the family or the number above [`EthashEpoch::MAX`].
    pub fn new(algorithm: Algorithm, number: u64) -> Result<Self, EthashError> {
        Self::length(algorithm).ok_or(EthashError::Algorithm(algorithm))?;
        match u32::try_from(number) {
            Ok(number) if number <= Self::MAX => Ok(EthashEpoch { algorithm, number }),
            _ => Err(EthashError::EpochTooHigh(number)),
        }
    }

    /// The epoch of a block.
    ///
    /// # Errors
    /// As [`EthashEpoch::new`].
    pub fn of_block(algorithm: Algorithm, block: u64) -> Result<Self, EthashError> {
        let length = Self::length(algorithm).ok_or(EthashError::Algorithm(algorithm))?;
        Self::new(algorithm, block / length)
    }

    /// Blocks in an epoch: 30,000 for Ethash, 60,000 for Etchash, `None` for others.
    #[must_use]
    pub const fn length(algorithm: Algorithm) -> Option<u64> {
        match algorithm {
            Algorithm::Ethash => Some(30_000),
            Algorithm::Etchash => Some(60_000),
            Algorithm::Sha256d | Algorithm::Scrypt => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Ethash or Etchash.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// The seed of the cache: zero bytes, hashed once for every 30,000 blocks before the epoch.
    #[must_use]
    pub fn seed_hash(self) -> [u8; 32] {
        let steps = match self.algorithm {
            Algorithm::Etchash => 2 * self.number,
            _ => self.number,
        };
        (0..steps).fold([0; 32], |seed, _| Keccak256::digest(seed).into())
    }

    /// The epoch with this seed: of the work of a node that does not say its block.
    #[must_use]
    pub fn of_seed(algorithm: Algorithm, seed_hash: &[u8; 32]) -> Option<Self> {
        let steps = if algorithm == Algorithm::Etchash { 2 } else { 1 };
        let mut own = [0; 32];
        for number in 0..=Self::MAX {
            if own == *seed_hash {
                return Self::new(algorithm, u64::from(number)).ok();
            }
            own = (0..steps).fold(own, |seed, _| Keccak256::digest(seed).into());
        }
        None
    }

    /// Items (of 64 bytes) in the cache: a prime.
    #[must_use]
    pub fn cache_items(self) -> u32 {
        self.items(CACHE_BYTES_INIT, CACHE_BYTES_GROWTH, ITEM_BYTES)
    }

    /// Bytes of the cache.
    #[must_use]
    pub fn cache_bytes(self) -> u64 {
        u64::from(self.cache_items()) * ITEM_BYTES
    }

    /// Pages (of 128 bytes, 1024 bits) in the dataset: a prime.
    #[must_use]
    pub fn dataset_pages(self) -> u32 {
        self.items(DATASET_BYTES_INIT, DATASET_BYTES_GROWTH, PAGE_BYTES)
    }

    /// Bytes of the dataset.
    #[must_use]
    pub fn dataset_bytes(self) -> u64 {
        u64::from(self.dataset_pages()) * PAGE_BYTES
    }

    /// The greatest prime below the linear growth, going down in steps of two.
    fn items(self, init: u64, growth: u64, unit: u64) -> u32 {
        let linear = (init + growth * u64::from(self.number)) / unit - 1;
        // At most 18 billion bytes of dataset, 1.4e8 pages: it fits.
        let mut items = u32::try_from(linear).unwrap_or(u32::MAX);
        while !is_prime(items) {
            items = items.saturating_sub(2);
        }
        items
    }
}

/// For odd numbers above 2, as all sizes are.
fn is_prime(n: u32) -> bool {
    let n = u64::from(n);
    (3u64..).step_by(2).take_while(|d| d * d <= n).all(|d| n % d != 0)
}

/// Keccak-256 with its original padding. It stands here because this room is optimised in every build: the hash is generic
/// code, compiled where it is called, and a tenth as fast in a build for tests.
#[must_use]
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

fn keccak512(data: &[u8]) -> Item {
    words(&Keccak512::digest(data).into())
}

fn words(bytes: &[u8; 64]) -> Item {
    let mut out = [0; ITEM_WORDS];
    for (word, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*b);
    }
    out
}

fn bytes(item: &Item) -> [u8; 64] {
    let mut out = [0; 64];
    for (b, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(item) {
        *b = word.to_le_bytes();
    }
    out
}

/// FNV-1's mixing step, on words.
fn fnv(a: u32, b: u32) -> u32 {
    a.wrapping_mul(0x0100_0193) ^ b
}

/// The cache of one epoch, from which any dataset item can be made. 16 MB at epoch 0 and 128 kB
/// more with each; making it takes the better part of a second to some seconds.
#[derive(Clone)]
pub struct LightCache {
    epoch: EthashEpoch,
    /// Pages of the dataset that goes with it.
    pages: u32,
    items: Vec<CacheItem>,
}

/// An item in a line of the processor's cache of its own: half the memory traffic of one that
/// stands across two.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheItem(Item);

impl std::fmt::Debug for LightCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LightCache").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl LightCache {
    /// Makes the cache of an epoch.
    #[must_use]
    pub fn new(epoch: EthashEpoch) -> Self {
        Self::with_sizes(epoch, epoch.cache_items(), epoch.dataset_pages())
    }

    /// A cache of other sizes than the epoch's own, at least 1 each: for tests and private chains
    /// that must not wait for a gigabyte. Its hashes are not those of the epoch.
    #[must_use]
    pub fn with_sizes(epoch: EthashEpoch, cache_items: u32, dataset_pages: u32) -> Self {
        let n = cache_items.max(1) as usize;
        let pages = dataset_pages.max(1);
        let mut items = Vec::with_capacity(n);
        let mut item = keccak512(&epoch.seed_hash());
        for _ in 0..n {
            items.push(CacheItem(item));
            item = keccak512(&bytes(&item));
        }
        // Strict memory-hard "RandMemoHash" (Lerner 2014), as the specification has it.
        for _ in 0..CACHE_ROUNDS {
            for i in 0..n {
                let before = items[(i + n - 1) % n].0;
                let other = items[items[i].0[0] as usize % n].0;
                let mut mixed = before;
                for (a, b) in mixed.iter_mut().zip(other) {
                    *a ^= b;
                }
                items[i] = CacheItem(keccak512(&bytes(&mixed)));
            }
        }
        LightCache { epoch, pages, items }
    }

    /// The epoch it is for.
    #[must_use]
    pub const fn epoch(&self) -> EthashEpoch {
        self.epoch
    }

    /// Its items in order, 64 bytes each.
    pub fn items(&self) -> impl ExactSizeIterator<Item = [u8; 64]> + '_ {
        self.items.iter().map(|item| bytes(&item.0))
    }

    /// Item `index` of the dataset.
    fn dataset_item(&self, index: u32) -> Item {
        // The cache of any epoch up to the highest has fewer than 2^23 items.
        let n = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let mut mix = self.items[(index % n) as usize].0;
        mix[0] ^= index;
        mix = keccak512(&bytes(&mix));
        for parent in 0..DATASET_PARENTS {
            let word = mix[parent as usize % ITEM_WORDS];
            let other = &self.items[(fnv(index ^ parent, word) % n) as usize].0;
            for (a, b) in mix.iter_mut().zip(other) {
                *a = fnv(*a, *b);
            }
        }
        keccak512(&bytes(&mix))
    }
}

/// The mix hash and the final hash of a header hash with a nonce, from the cache alone.
/// The final hash, read as a big-endian number, is what a target bounds.
#[must_use]
pub fn hash_light(cache: &LightCache, header_hash: &[u8; 32], nonce: u64) -> ([u8; 32], [u8; 32]) {
    let mut start = [0; 40];
    start[..32].copy_from_slice(header_hash);
    start[32..].copy_from_slice(&nonce.to_le_bytes());
    let seed = keccak512(&start);
    let mut mix = [0u32; MIX_WORDS];
    mix[..ITEM_WORDS].copy_from_slice(&seed);
    mix[ITEM_WORDS..].copy_from_slice(&seed);
    let pages = cache.pages;
    for access in 0..ACCESSES {
        let page = fnv(access ^ seed[0], mix[access as usize % MIX_WORDS]) % pages;
        for (half, item) in mix.chunks_exact_mut(ITEM_WORDS).zip([2 * page, 2 * page + 1]) {
            for (a, b) in half.iter_mut().zip(cache.dataset_item(item)) {
                *a = fnv(*a, b);
            }
        }
    }
    let mut mix_hash = [0; 32];
    for (out, w) in mix_hash.chunks_exact_mut(4).zip(mix.as_chunks::<4>().0) {
        out.copy_from_slice(&fnv(fnv(fnv(w[0], w[1]), w[2]), w[3]).to_le_bytes());
    }
    (mix_hash, final_of(&seed, &mix_hash))
}

/// The final hash of a header hash with a nonce and a mix hash that somebody *claims* for them. Cheap:
/// what a claim does not reach, the truth does not reach either, unless the claim is wrong.
#[must_use]
pub fn claimed_hash(header_hash: &[u8; 32], nonce: u64, mix_hash: &[u8; 32]) -> [u8; 32] {
    let mut start = [0; 40];
    start[..32].copy_from_slice(header_hash);
    start[32..].copy_from_slice(&nonce.to_le_bytes());
    final_of(&keccak512(&start), mix_hash)
}

fn final_of(seed: &Item, mix_hash: &[u8; 32]) -> [u8; 32] {
    let mut last = Keccak256::new();
    last.update(bytes(seed));
    last.update(mix_hash);
    last.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etchash_seed_is_the_ethash_seed_of_twice_the_epoch() {
        let seed = |a, n| EthashEpoch::new(a, n).unwrap().seed_hash();
        assert_eq!(seed(Algorithm::Etchash, 195), seed(Algorithm::Ethash, 390));
    }

    #[test]
    fn a_seed_says_its_epoch() {
        for (algorithm, number) in
            [(Algorithm::Ethash, 0), (Algorithm::Ethash, 89), (Algorithm::Etchash, 191)]
        {
            let epoch = EthashEpoch::new(algorithm, number).unwrap();
            assert_eq!(EthashEpoch::of_seed(algorithm, &epoch.seed_hash()), Some(epoch));
        }
        let odd = EthashEpoch::new(Algorithm::Ethash, 3).unwrap().seed_hash();
        assert_eq!(EthashEpoch::of_seed(Algorithm::Etchash, &odd), None);
        assert_eq!(EthashEpoch::of_seed(Algorithm::Ethash, &[7; 32]), None);
    }

    #[test]
    fn only_known_epochs_of_the_family_exist() {
        assert_eq!(
            EthashEpoch::new(Algorithm::Scrypt, 0),
            Err(EthashError::Algorithm(Algorithm::Scrypt))
        );
        assert_eq!(
            EthashEpoch::of_block(Algorithm::Ethash, u64::MAX),
            Err(EthashError::EpochTooHigh(u64::MAX / 30_000))
        );
        let last = EthashEpoch::new(Algorithm::Etchash, 2047).unwrap();
        assert_eq!((last.cache_bytes(), last.dataset_bytes()), (285_081_536, 18_245_220_736));
    }
}
