//! Which shares of an epoch are opened, where not all are.
//!
//! A lane's entry fixes a threshold *s* for jobs that hold its checkpoint. A share is opened when its hash reaches 2^*s*,
//! and then counts 2^max(*k*, *s*) hashes for its class *k*: of the shares of class *k* < *s* one in 2^(*s*−*k*) is, so that the
//! sum's mean is the work done, whoever did it. Nobody can choose: the threshold stands behind the checkpoint that is in the
//! stamp, and so was hashed.
//!
//! For whoever makes a record; the verifier does this by itself.

use crate::record::{Block, RecordJob, ShareRow};
use crate::share::{self, Canonical, EXTRANONCE_MAX};
use crate::verify::work::Hasher;
use gruve_units::{Algorithm, Class};

/// Hashes shares again, to see how good they are.
pub struct Opener(Hasher);

impl Opener {
    /// For lanes that hash this.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Opener {
        Opener(Hasher::new(algorithm))
    }

    /// Of how many hashes each share of a job, all of one class, was the best on average: as a power of two. `None` when
    /// the job's coinbase is none.
    #[must_use]
    pub fn levels(
        &mut self,
        job: &RecordJob,
        class: Class,
        shares: &[&Canonical],
    ) -> Option<Vec<u8>> {
        let shares = shares.iter().map(|s| row(s)).collect();
        let block = Block { job: 0, class, extranonce_len: job.extranonce_len.into(), shares };
        self.0.levels(job, &block).ok()
    }
}

fn row(share: &Canonical) -> ShareRow {
    let word =
        |at: usize| u32::from_be_bytes([share[at], share[at + 1], share[at + 2], share[at + 3]]);
    let mut extranonce = [0; EXTRANONCE_MAX];
    let bytes = share::extranonce(share);
    extranonce[..bytes.len()].copy_from_slice(bytes);
    ShareRow { extranonce, ntime: word(22), nonce: word(26), version: word(30), owner: 0 }
}
