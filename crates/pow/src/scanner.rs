//! The miner's loop: one header, many nonces.

use crate::pow_hash;
use gruve_units::{Algorithm, Target};

/// Tries nonces on one header.
#[derive(Clone, Debug)]
pub struct HeaderScanner {
    algorithm: Algorithm,
    header: [u8; 80],
}

impl HeaderScanner {
    /// A scanner of this header; its nonce (the last four bytes) does not matter.
    #[must_use]
    pub fn new(algorithm: Algorithm, header: [u8; 80]) -> Self {
        HeaderScanner { algorithm, header }
    }

    /// Tries the `count` nonces from `from` on (wrapping) and adds to `found` each that meets the
    /// target, with its hash, in ascending order of trial.
    pub fn scan(
        &mut self,
        from: u32,
        count: u32,
        target: &Target,
        found: &mut Vec<(u32, [u8; 32])>,
    ) {
        for i in 0..count {
            let nonce = from.wrapping_add(i);
            self.header[76..].copy_from_slice(&nonce.to_le_bytes());
            let hash = pow_hash(self.algorithm, &self.header);
            if target.is_met_by(&hash) {
                found.push((nonce, hash));
            }
        }
    }
}
