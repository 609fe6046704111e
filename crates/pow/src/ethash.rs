//! Light verification of Ethash and Etchash.

use gruve_units::Algorithm;

/// The epoch of a block. `None` for an algorithm outside the family.
#[must_use]
pub fn epoch_of_block(algorithm: Algorithm, block: u64) -> Option<u64> {
    match algorithm {
        Algorithm::Ethash => Some(block / 30_000),
        Algorithm::Etchash => Some(block / 60_000),
        Algorithm::Sha256d | Algorithm::Scrypt => None,
    }
}
