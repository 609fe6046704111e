//! The miner's loop: one header, many nonces.

use crate::lanes::{self, ScryptLanes, Variant, Work, sha256::Single};
use crate::sha256d;
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
    scrypt: ScryptLanes,
}

/// A nonce and the hash it gives.
type Found = (u32, [u8; 32]);

/// Steps of five (SHA extensions), eight and sixteen nonces go into it.
const SHA256D_BATCH: u32 = 80;

/// scrypt hashes between two looks at the results: some steps of any variant.
const SCRYPT_BATCH: u32 = 24;

impl HeaderScanner {
    /// A scanner of this header; its nonce (the last four bytes) does not matter.
    #[must_use]
    pub fn new(algorithm: Algorithm, header: [u8; 80]) -> Self {
        Self::by(Variant::best(Work::Nonces), algorithm, header)
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
            scrypt: ScryptLanes::new(),
        }
    }

    /// Goes over to another header of the same algorithm; what was made for the last one, such
    /// as scrypt's scratchpads, is used again.
    pub fn set_header(&mut self, header: [u8; 80]) {
        self.common = Single::new(&header);
        self.header = header;
    }

    /// How many nonces are tried side by side, whatever the variant: scans of a multiple of it
    /// waste nothing.
    #[must_use]
    pub const fn batch(algorithm: Algorithm) -> u32 {
        match algorithm {
            Algorithm::Sha256d => SHA256D_BATCH,
            Algorithm::Scrypt => SCRYPT_BATCH,
            Algorithm::Ethash | Algorithm::Etchash => 1,
        }
    }

    /// Tries the `count` nonces from `from` on (wrapping) and adds to `found` each that meets the
    /// target, with its hash, in the order of trial.
    /// The Ethash family has no such headers: for it this finds nothing.
    pub fn scan(&mut self, from: u32, count: u32, target: &Target, found: &mut Vec<Found>) {
        match self.algorithm {
            Algorithm::Sha256d => self.scan_sha256d(from, count, target, found),
            Algorithm::Scrypt => self.scan_scrypt(from, count, target, found),
            Algorithm::Ethash | Algorithm::Etchash => {}
        }
    }

    fn scan_sha256d(&mut self, from: u32, count: u32, target: &Target, found: &mut Vec<Found>) {
        // No hash with a greater top word can meet the target; the rest decides exactly.
        let top = u32::try_from(target.0 >> 224_usize & U256::from(u32::MAX)).unwrap_or(u32::MAX);
        self.sieved.clear();
        lanes::candidates(self.variant, &self.common, from, count, top, &mut self.sieved);
        for &nonce in &self.sieved {
            self.header[76..].copy_from_slice(&nonce.to_le_bytes());
            let hash = sha256d(&self.header);
            if target.is_met_by(&hash) {
                found.push((nonce, hash));
            }
        }
    }

    fn scan_scrypt(&mut self, from: u32, count: u32, target: &Target, found: &mut Vec<Found>) {
        let mut headers = [self.header; SCRYPT_BATCH as usize];
        let mut hashes = [[0; 32]; SCRYPT_BATCH as usize];
        let mut done = 0;
        while done < count {
            let batch = SCRYPT_BATCH.min(count - done);
            let first = from.wrapping_add(done);
            for (i, header) in (0..batch).zip(&mut headers) {
                header[76..].copy_from_slice(&first.wrapping_add(i).to_le_bytes());
            }
            self.scrypt.hash(&headers[..batch as usize], &mut hashes);
            for (i, hash) in (0..batch).zip(&hashes) {
                if target.is_met_by(hash) {
                    found.push((first.wrapping_add(i), *hash));
                }
            }
            done += batch;
        }
    }
}
