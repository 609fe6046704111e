//! Proof of work: SHA-256d, scrypt, Ethash and Etchash.
//!
//! Promises: every variant of an algorithm gives the same bytes as the plain one; nothing here
//! panics whatever the input; hashes are in *internal* byte order (as the hash function gives
//! them; only text is reversed).
//!
//! | module | for |
//! |---|---|
//! | this one | one hash at a time, merkle branches, difficulty for people |
//! | [`lanes`] | many headers at once: the verifier |
//! | [`HeaderScanner`] | one header, many nonces: the miner |
//! | [`ethash`] | light verification of Ethash and Etchash |
//!
//! What this room must not know: blocks, transactions, jobs, protocols.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod difficulty;
pub mod ethash;
pub mod lanes;
mod merkle;
mod scanner;
mod scrypt;

pub use difficulty::{Difficulty, DifficultyError, share_difficulty};
pub use merkle::merkle_root_from_branch;
pub use scanner::HeaderScanner;
pub use scrypt::scrypt_1024_1_1;

use gruve_units::Algorithm;
use sha2::{Digest, Sha256};

/// SHA-256.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// SHA-256 of the SHA-256: Bitcoin's hash of transactions, blocks and merkle nodes.
#[must_use]
pub fn sha256d(data: &[u8]) -> [u8; 32] {
    sha256(&sha256(data))
}

/// The proof-of-work hash of an 80-byte header.
///
/// The Ethash family has no such header (see [`ethash`]): for it the answer is all ones, which
/// meets no target but the easiest.
#[must_use]
pub fn pow_hash(algorithm: Algorithm, header: &[u8; 80]) -> [u8; 32] {
    match algorithm {
        Algorithm::Sha256d => sha256d(header),
        Algorithm::Scrypt => scrypt_1024_1_1(header),
        Algorithm::Ethash | Algorithm::Etchash => [0xff; 32],
    }
}
