//! The whole dataset of an epoch: what a miner of the family keeps in memory, a gigabyte and
//! more. One try then reads 64 pages in place of making 128 items.

use super::many::Try;
use super::{ACCESSES, EthashError, ITEM_WORDS, Item, LightCache, PAGE_BYTES};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A page: two items.
#[derive(Clone, Copy)]
#[repr(align(128))]
struct Page([Item; 2]);

/// Pages that a thread makes at a time: some megabytes' worth would make progress jump, single
/// ones would make the threads meet too often.
const CHUNK_PAGES: usize = 1024;

/// Pages made side by side: half the items that the cache makes at once.
const PAGES_AT_ONCE: usize = 8;

/// The dataset of one epoch.
pub struct Dataset {
    pages: Vec<Page>,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("pages", &self.pages.len()).finish()
    }
}

impl Dataset {
    /// Makes the dataset that goes with a cache, on `threads` threads (at least one), and calls
    /// `progress` now and then, from any of them, with the pages made and all pages.
    ///
    /// # Errors
    /// When it takes more than `bytes_max` bytes, or more than there are.
    pub fn generate(
        cache: &LightCache,
        threads: usize,
        bytes_max: u64,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self, EthashError> {
        let count = cache.pages as usize;
        let needed = u64::from(cache.pages) * PAGE_BYTES;
        if needed > bytes_max {
            return Err(EthashError::Memory { needed, limit: bytes_max });
        }
        let mut pages = Vec::new();
        if pages.try_reserve_exact(count).is_err() {
            return Err(EthashError::Memory { needed, limit: bytes_max });
        }
        pages.resize(count, Page([[0; ITEM_WORDS]; 2]));
        let done = AtomicUsize::new(0);
        let chunks = std::sync::Mutex::new(pages.chunks_mut(CHUNK_PAGES).enumerate());
        let work = || {
            loop {
                let next = chunks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                let Some((number, chunk)) = next else { return };
                make(cache, number * CHUNK_PAGES, chunk);
                let made = done.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
                progress(made, count);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        Ok(Dataset { pages })
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE_BYTES
    }
}

/// Makes the pages from number `first` on.
fn make(cache: &LightCache, first: usize, pages: &mut [Page]) {
    // Any dataset up to the highest epoch has fewer than 2^28 pages.
    let mut item = u32::try_from(2 * first).unwrap_or(u32::MAX);
    for group in pages.chunks_mut(PAGES_AT_ONCE) {
        let mut places = [0; 2 * PAGES_AT_ONCE];
        for place in &mut places[..2 * group.len()] {
            *place = item;
            item = item.wrapping_add(1);
        }
        let mut items = [[0; ITEM_WORDS]; 2 * PAGES_AT_ONCE];
        cache.dataset_items(&places[..2 * group.len()], &mut items);
        for (page, made) in group.iter_mut().zip(items.as_chunks::<2>().0) {
            page.0 = *made;
        }
    }
}

/// The mix hash and the final hash of a header hash with a nonce, from the whole dataset: what
/// [`super::hash_light`] gives.
#[must_use]
pub fn hash_full(dataset: &Dataset, header_hash: &[u8; 32], nonce: u64) -> ([u8; 32], [u8; 32]) {
    let mut t = Try::new(header_hash, nonce);
    // A dataset has at least one page, and as many as a number of 32 bits says.
    let pages = u32::try_from(dataset.pages.len()).unwrap_or(u32::MAX);
    for access in 0..ACCESSES {
        t.mix_in(&dataset.pages[t.page(access, pages) as usize].0);
    }
    t.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ethash::EthashEpoch;
    use gruve_units::Algorithm;
    use std::sync::Mutex;

    #[test]
    fn a_dataset_keeps_to_its_memory_and_tells_how_far_it_is() {
        let epoch = EthashEpoch::new(Algorithm::Ethash, 0).unwrap();
        let cache = LightCache::with_sizes(epoch, 31, 2500);
        let limit = 2500 * PAGE_BYTES - 1;
        let refused = Dataset::generate(&cache, 2, limit, &|_, _| {}).unwrap_err();
        assert_eq!(refused, EthashError::Memory { needed: limit + 1, limit });
        let seen = Mutex::new(Vec::new());
        let note = |made, of| seen.lock().unwrap().push((made, of));
        let dataset = Dataset::generate(&cache, 2, limit + 1, &note).unwrap();
        assert_eq!(dataset.bytes(), limit + 1);
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.len(), 3);
        assert_eq!(seen.iter().max(), Some(&(2500, 2500)));
    }
}
