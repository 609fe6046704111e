//! How much memory a verification may take: counted before it is taken, whatever a record says of itself.
//!
//! | what | counted as |
//! |---|---|
//! | an entry of the log | its bytes and [`ENTRY_COST`]: its hash, what stands in it, the names of its files |
//! | a lane | 16 KiB: what is told of it, but for the places that its blocks pay to |
//! | a share that a gateway signed for | 49 bytes |
//! | a stamp that jobs of the record at hand may hold | 32 bytes for each key, 128 for each checkpoint |
//! | a list of places that binds jobs of the record at hand | 64 KiB |
//! | a share of the last three epochs of its lane | 16 bytes; 32 while its section is read |
//!
//! What is not counted is bounded by the format, and stays below [`BESIDE`]: the jobs of one record (64 MiB and as much
//! again for what is known of them), its owners (16 MiB, and their sums), the shares of two batches, one file of reserves
//! (32 MiB), places that blocks pay to (16 MiB of all lanes), two caches of the Ethash family (150 MB each at the highest epoch that is hashed, 66 MB today's Classic), scratch for
//! each thread.

use super::VerifyError;

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

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    of: u64,
}

impl Budget {
    /// Of so many bytes; 0 for [`MEMORY_MAX`].
    pub(super) fn new(of: u64) -> Budget {
        let of = if of == 0 { MEMORY_MAX } else { of };
        Budget { left: of, of }
    }

    /// Counts what is about to be taken.
    pub(super) fn take(&mut self, bytes: u64, at: &str) -> Result<(), VerifyError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(VerifyError::TooLarge { at: at.to_owned(), allowed: self.of }),
        }
    }

    /// Counts what was given back.
    pub(super) fn give(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes).min(self.of);
    }
}
