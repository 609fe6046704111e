//! How much memory a verification may take: counted before it is taken, whatever a record says of itself.
//!
//! | what | counted as |
//! |---|---|
//! | an entry of the log | its bytes and [`ENTRY_COST`]: its hash, what stands in it, the names of its files |
//! | a lane | 16 KiB: what is told of it, but for the places that its blocks pay to |
//! | a share that a gateway signed for | 49 bytes |
//! | a stamp that jobs of the record at hand may hold | 32 bytes for each key, 128 for each checkpoint |
//! | a list of places that binds jobs of the record at hand | 64 KiB |
//! | a script that such a job pays and that is not the house's | its bytes and 128 |
//! | a name in the folder, while all are listed | its path twice and 128 bytes |
//! | a share of the last three epochs of its lane | 16 bytes; 32 while its section is read |
//!
//! What is not counted is bounded by the format, and stays below [`BESIDE`]: the jobs of one record (64 MiB and as much
//! again for what is known of them), its owners (16 MiB, and their sums), the shares of two batches, one file of reserves
//! (32 MiB), places that blocks pay to (16 MiB of all lanes), caches of the Ethash family (302 MB: two of the highest epoch that is hashed, four
//! of today's Classic), scratch for each thread.
//!
//! Time is not bounded, but by what there is to read: no byte asks for more than some thousand hashes. Only caches of the Ethash family
//! would take seconds for each few hundred bytes, so these are counted as well ([`CACHES_MAX`]).

use super::{VerifyError, ethash};
use gruve_pow::ethash::EthashEpoch;

/// What may be taken if nothing else is said, bytes.
pub const MEMORY_MAX: u64 = 2 << 30;
/// What is taken beside what is counted, bytes at most.
pub const BESIDE: u64 = 512 << 20;
/// What an entry takes beside its own bytes, bytes.
pub(super) const ENTRY_COST: u64 = 2_560;
/// What a lane takes in the verdict and while it is made, bytes: 144 epochs, 101 classes, 64 other chains of some 100 bytes.
pub(super) const LANE_COST: u64 = 16 << 10;
/// What a share takes while its section is read, and as long as late work may repeat it; bytes.
pub(super) const SHARE_COST: (u64, u64) = (32, 16);

/// What a stamp that jobs of a record may hold takes, for each key; and for each checkpoint beside, bytes.
pub(super) const COMMITMENT_COST: u64 = 32;
/// The latter.
pub(super) const KNOWN_COST: u64 = 128;

/// Caches of the Ethash family that a verification makes at most: each takes seconds, and a file that asks for one a few hundred bytes. A
/// lane needs some forty a year; as many of them as are held at once need no more by turns.
pub(super) const CACHES_MAX: u32 = 4_096;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    of: u64,
    /// Of which of the family's epochs caches are held, the last used first.
    caches: Vec<EthashEpoch>,
    caches_left: u32,
}

impl Budget {
    /// Of so many bytes; 0 for [`MEMORY_MAX`].
    pub(super) fn new(of: u64) -> Budget {
        let of = if of == 0 { MEMORY_MAX } else { of };
        Budget { left: of, of, caches: Vec::new(), caches_left: CACHES_MAX }
    }

    /// Counts the cache that hashes of this epoch take, where it is not held.
    pub(super) fn cache(&mut self, epoch: EthashEpoch, at: &str) -> Result<(), VerifyError> {
        match self.caches.iter().position(|held| *held == epoch) {
            Some(place) => {
                self.caches.remove(place);
            }
            None => {
                let left = self.caches_left.checked_sub(1);
                self.caches_left =
                    left.ok_or_else(|| VerifyError::TooLong { at: at.to_owned() })?;
                let staying = ethash::staying(self.caches.iter().copied(), epoch);
                self.caches.truncate(staying);
            }
        }
        self.caches.insert(0, epoch);
        Ok(())
    }

    /// Counts what is about to be taken.
    pub(super) fn take(&mut self, bytes: u64, at: &str) -> Result<(), VerifyError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.spent(at)),
        }
    }

    /// What there is room for now.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    /// That there was no room for more.
    pub(super) fn spent(&self, at: &str) -> VerifyError {
        VerifyError::TooLarge { at: at.to_owned(), allowed: self.of }
    }

    /// Counts what was given back.
    pub(super) fn give(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes).min(self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::Algorithm;

    /// How many caches by turns are too many; `None` where there is no end.
    fn too_many(epochs: &[u64]) -> Option<u32> {
        let mut budget = Budget::new(0);
        let by_turns = epochs.iter().cycle().zip(0..2 * CACHES_MAX);
        by_turns.into_iter().find_map(|(number, n)| {
            let epoch = EthashEpoch::new(Algorithm::Etchash, *number).unwrap();
            match budget.cache(epoch, "job 1") {
                Ok(()) => None,
                Err(VerifyError::TooLong { at }) if at == "job 1" => Some(n),
                Err(e) => panic!("{e}"),
            }
        })
    }

    #[test]
    fn caches_by_turns_without_end_are_too_many_but_not_those_that_are_held() {
        assert_eq!(too_many(&[1_022, 1_023]), None, "the two of a border");
        assert_eq!(too_many(&[390, 391, 392, 393]), None, "four lanes of these years");
        assert_eq!(too_many(&[1_021, 1_022, 1_023]), Some(CACHES_MAX));
        assert_eq!(too_many(&[0, 300, 600, 900]), Some(CACHES_MAX));
    }
}
