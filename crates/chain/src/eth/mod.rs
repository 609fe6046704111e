//! Account-based chains (Ethereum Classic, and by the same rules any other chain id): what a block,
//! a transaction and an address are.
//!
//! | module | for |
//! |---|---|
//! | [`rlp`] | recursive length prefix: written canonically, read strictly |
//! | [`address`] | addresses with their checksum |
//! | [`transaction`] | legacy transactions bound to a chain id: hashed, signed, read |
//! | [`header`] | block headers: their hash, and the hash that is mined on |
//! | [`trie`] | roots of transactions, receipts and accounts |
//! | [`reward`] | what a block and its uncles pay, by era |
//!
//! Promises: pure; nothing here panics whatever the input. Hashes are as they are written, most
//! significant byte first (not reversed as Bitcoin's are). Values are in wei (10⁻¹⁸) and 256 bits
//! wide; what of them is a minor unit of the books is decided elsewhere.
//!
//! What this room must not know: contracts' code; it runs none.

pub mod address;
pub mod header;
pub mod reward;
pub mod rlp;
pub mod transaction;
pub mod trie;

pub use address::{EthAddress, EthAddressError};
pub use header::EthHeader;
pub use transaction::{LegacyTx, SignedTx, TxError};

use sha3::{Digest, Keccak256};

/// Gas that a plain transfer of value to an account without code takes (yellow paper, appendix G:
/// `G_transaction`).
pub const TRANSFER_GAS: u64 = 21_000;

/// Keccak-256 with its original padding, as this family uses it.
#[must_use]
pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}
