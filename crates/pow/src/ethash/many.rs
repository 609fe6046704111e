//! Many light verifications at once.
//!
//! A verification is a chain of 16,384 accesses to two items of the cache at unforeseeable
//! places, each after the other, and waits for memory almost all of its time. Some verifications
//! are therefore interleaved: while the memory of one is fetched, others go on.

use super::{
    ACCESSES, CacheItem, DATASET_PARENTS, ITEM_WORDS, Item, LightCache, MIX_WORDS, bytes, fnv,
    keccak512,
};
use sha3::{Digest, Keccak256};

/// Verifications interleaved, and the items that they make at the same time.
const LANES: usize = 8;
const ITEMS: usize = 2 * LANES;

/// The mix hash and the final hash of each pair of a header hash and a nonce, in order: what
/// [`super::hash_light`] gives for each.
#[must_use]
pub fn hash_light_many(cache: &LightCache, seals: &[([u8; 32], u64)]) -> Vec<([u8; 32], [u8; 32])> {
    hash_light_many_between(cache, seals, &mut || {})
}

/// The same, with `between` done again and again on the way, 64 times for every eight pairs: for who may have something more
/// urgent to do than these, and no other thread to do it on.
pub fn hash_light_many_between(
    cache: &LightCache,
    seals: &[([u8; 32], u64)],
    between: &mut dyn FnMut(),
) -> Vec<([u8; 32], [u8; 32])> {
    let mut out = Vec::with_capacity(seals.len());
    for group in seals.chunks(LANES) {
        let mut tries = [Try::default(); LANES];
        for (t, (header_hash, nonce)) in tries.iter_mut().zip(group) {
            *t = Try::new(header_hash, *nonce);
        }
        let tries = &mut tries[..group.len()];
        for access in 0..ACCESSES {
            between();
            let mut places = [0u32; ITEMS];
            for (t, places) in tries.iter().zip(places.as_chunks_mut::<2>().0) {
                let page = t.page(access, cache.pages);
                *places = [2 * page, 2 * page + 1];
            }
            let mut items = [[0; ITEM_WORDS]; ITEMS];
            cache.dataset_items(&places[..2 * tries.len()], &mut items);
            for (t, items) in tries.iter_mut().zip(items.as_chunks::<2>().0) {
                t.mix_in(items);
            }
        }
        out.extend(tries.iter().map(Try::finish));
    }
    out
}

/// One header hash and nonce under way.
#[derive(Clone, Copy, Default)]
pub(super) struct Try {
    seed: Item,
    mix: [u32; MIX_WORDS],
}

impl Try {
    pub(super) fn new(header_hash: &[u8; 32], nonce: u64) -> Self {
        let mut start = [0; 40];
        start[..32].copy_from_slice(header_hash);
        start[32..].copy_from_slice(&nonce.to_le_bytes());
        let seed = keccak512(&start);
        let mut mix = [0; MIX_WORDS];
        mix[..ITEM_WORDS].copy_from_slice(&seed);
        mix[ITEM_WORDS..].copy_from_slice(&seed);
        Try { seed, mix }
    }

    /// The page of an access.
    pub(super) fn page(&self, access: u32, pages: u32) -> u32 {
        fnv(access ^ self.seed[0], self.mix[access as usize % MIX_WORDS]) % pages
    }

    pub(super) fn mix_in(&mut self, page: &[Item; 2]) {
        for (a, b) in self.mix.iter_mut().zip(page.as_flattened()) {
            *a = fnv(*a, *b);
        }
    }

    /// Mix hash and final hash.
    pub(super) fn finish(&self) -> ([u8; 32], [u8; 32]) {
        let mut mix_hash = [0; 32];
        for (out, w) in mix_hash.chunks_exact_mut(4).zip(self.mix.as_chunks::<4>().0) {
            out.copy_from_slice(&fnv(fnv(fnv(w[0], w[1]), w[2]), w[3]).to_le_bytes());
        }
        let mut last = Keccak256::new();
        last.update(bytes(&self.seed));
        last.update(mix_hash);
        (mix_hash, last.finalize().into())
    }
}

/// Remainders by a fixed divisor without division (Lemire, Kaser, Kurz 2019, "Faster remainder
/// by direct computation").
#[derive(Clone, Copy)]
struct Remainder {
    by: u32,
    inverse: u64,
}

impl Remainder {
    fn new(by: u32) -> Self {
        // For 1 the sum wraps to 0, which gives the right remainder, 0.
        Remainder { by, inverse: (u64::MAX / u64::from(by)).wrapping_add(1) }
    }

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // below `by`, which has 32 bits
    fn of(self, x: u32) -> u32 {
        let low = self.inverse.wrapping_mul(u64::from(x));
        ((u128::from(low) * u128::from(self.by)) >> 64) as u32
    }
}

impl LightCache {
    /// The items of the dataset at these places, [`ITEMS`] at most, made side by side.
    pub(super) fn dataset_items(&self, places: &[u32], out: &mut [Item; ITEMS]) {
        #[cfg(target_arch = "x86_64")]
        crate::lanes::x86::with_avx2(
            #[inline(always)]
            || self.make_items(places, out),
        );
        #[cfg(not(target_arch = "x86_64"))]
        self.make_items(places, out);
    }

    #[inline(always)]
    fn make_items(&self, places: &[u32], out: &mut [Item; ITEMS]) {
        // The cache of any epoch up to the highest has fewer than 2^23 items.
        let n = Remainder::new(u32::try_from(self.items.len()).unwrap_or(u32::MAX));
        let mut from = [0u32; ITEMS];
        for (from, place) in from.iter_mut().zip(places) {
            *from = n.of(*place);
            prefetch(&self.items[*from as usize]);
        }
        for ((mix, place), from) in out.iter_mut().zip(places).zip(from) {
            *mix = self.items[from as usize].0;
            mix[0] ^= *place;
            *mix = keccak512(&bytes(mix));
        }
        for parent in 0..DATASET_PARENTS {
            let word = parent as usize % ITEM_WORDS;
            for ((from, mix), place) in from.iter_mut().zip(&*out).zip(places) {
                *from = n.of(fnv(place ^ parent, mix[word]));
                prefetch(&self.items[*from as usize]);
            }
            for ((mix, _), from) in out.iter_mut().zip(places).zip(from) {
                let CacheItem(other) = &self.items[from as usize];
                for (a, b) in mix.iter_mut().zip(other) {
                    *a = fnv(*a, *b);
                }
            }
        }
        for (mix, _) in out.iter_mut().zip(places) {
            *mix = keccak512(&bytes(mix));
        }
    }
}

#[inline(always)]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    crate::lanes::x86::prefetch(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethash::{Dataset, EthashEpoch, hash_full, hash_light};
    use gruve_units::Algorithm;
    use proptest::prelude::*;

    fn small(cache_items: u32, pages: u32) -> LightCache {
        let epoch = EthashEpoch::new(Algorithm::Etchash, 1).unwrap();
        LightCache::with_sizes(epoch, cache_items, pages)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn many_at_once_and_the_whole_dataset_hash_like_one_by_one(
            seals in proptest::collection::vec(any::<([u8; 32], u64)>(), 0..20),
            cache_items in 1u32..200,
            pages in 1u32..300,
            threads in 1usize..4,
        ) {
            let cache = small(cache_items, pages);
            let single: Vec<_> = seals.iter().map(|(h, n)| hash_light(&cache, h, *n)).collect();
            let mut times = 0;
            let many = hash_light_many_between(&cache, &seals, &mut || times += 1);
            prop_assert_eq!(&many, &single);
            prop_assert_eq!(times, ACCESSES as usize * seals.len().div_ceil(LANES));
            let dataset = Dataset::generate(&cache, threads, u64::MAX, &|_, _| {}).unwrap();
            let full: Vec<_> = seals.iter().map(|(h, n)| hash_full(&dataset, h, *n)).collect();
            prop_assert_eq!(&full, &single);
        }

        #[test]
        fn a_remainder_without_division_is_the_remainder(x: u32, by in 1u32..) {
            prop_assert_eq!(Remainder::new(by).of(x), x % by);
        }
    }
}
