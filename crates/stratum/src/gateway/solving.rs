//! The hashes of a round's candidates.

use crate::check::HeaderParts;
use crate::protocol::{Candidate, Puzzle, Solved};
use gruve_pow::pow_hash;
use gruve_units::Algorithm;

/// Hashes candidates; kept for its memory.
pub(super) struct Solver {
    algorithm: Algorithm,
    coinbase: Vec<u8>,
}

impl Solver {
    pub(super) const fn new(algorithm: Algorithm) -> Solver {
        Solver { algorithm, coinbase: Vec::new() }
    }

    /// Appends one answer for each candidate, in order.
    pub(super) fn solve(&mut self, candidates: &[Candidate], solved: &mut Vec<Solved>) {
        for candidate in candidates {
            let share = &candidate.share;
            let one = match &candidate.puzzle {
                Puzzle::Header(live) => {
                    let header = HeaderParts::of(live.job(), share.class).header(
                        share.extranonce.as_slice(),
                        share.version,
                        share.ntime,
                        share.nonce,
                        &mut self.coinbase,
                    );
                    let pow_hash = pow_hash(self.algorithm, &header);
                    Solved { pow_hash, header, mix: [0; 32] }
                }
                // No lane gives such work yet; all ones meets no target.
                Puzzle::Ethash(..) => {
                    Solved { pow_hash: [0xff; 32], header: [0; 80], mix: [0; 32] }
                }
            };
            solved.push(one);
        }
    }
}
