//! The miner's loop: one header, many nonces.

use crate::lanes::{self, Variant, sha256::Single};
use crate::pow_hash;
use gruve_units::{Algorithm, Target};
use ruint::aliases::U256;

/// Tries nonces on one header.
#[derive(Clone, Debug)]
pub struct HeaderScanner {
    algorithm: Algorithm,
    header: [u8; 80],
    variant: Variant,
    /// The part of SHA-256d that all nonces share.
    common: Single,
    sieved: Vec<u32>,
}

impl HeaderScanner {
    /// A scanner of this header; its nonce (the last four bytes) does not matter.
    #[must_use]
    pub fn new(algorithm: Algorithm, header: [u8; 80]) -> Self {
        Self::by(Variant::best(), algorithm, header)
    }

    /// A scanner with a chosen variant; the plain one where the processor lacks it.
    #[must_use]
    pub fn by(variant: Variant, algorithm: Algorithm, header: [u8; 80]) -> Self {
        HeaderScanner {
            algorithm,
            header,
            variant: lanes::usable(variant),
            common: Single::new(&header),
            sieved: Vec::new(),
        }
    }

    /// Tries the `count` nonces from `from` on (wrapping) and adds to `found` each that meets the
    /// target, with its hash, in the order of trial.
    pub fn scan(
        &mut self,
        from: u32,
        count: u32,
        target: &Target,
        found: &mut Vec<(u32, [u8; 32])>,
    ) {
        if self.algorithm == Algorithm::Sha256d {
            // No hash with a greater top word can meet the target; the rest decides exactly.
            let top = u32::try_from(target.0 >> 224_usize & U256::from(u32::MAX));
            let mut sieved = std::mem::take(&mut self.sieved);
            sieved.clear();
            let top = top.unwrap_or(u32::MAX);
            lanes::candidates(self.variant, &self.common, from, count, top, &mut sieved);
            for &nonce in &sieved {
                self.try_one(nonce, target, found);
            }
            self.sieved = sieved;
        } else {
            for i in 0..count {
                self.try_one(from.wrapping_add(i), target, found);
            }
        }
    }

    fn try_one(&mut self, nonce: u32, target: &Target, found: &mut Vec<(u32, [u8; 32])>) {
        self.header[76..].copy_from_slice(&nonce.to_le_bytes());
        let hash = pow_hash(self.algorithm, &self.header);
        if target.is_met_by(&hash) {
            found.push((nonce, hash));
        }
    }
}
