//! What can be checked without trusting anybody: stamps, trees, the public record, its log, receipts; and the
//! verifier that checks them.
//!
//! For: the accountant, which builds record, roots and checkpoints; the gateway, which stamps jobs; and
//! [`verify`], which rebuilds all of it from public bytes. `docs/record-format.md` defines every byte.
//!
//! Promises:
//! - everything but [`publish`] and the verifier's reading of files is pure; what is read from outside is bounded by
//!   stated limits before anything is allocated for it;
//! - parsing is strict: one set of bytes has one meaning, and no offset is taken from outside;
//! - leaves, nodes and sum nodes are hashed under different first bytes, and a node of a sum tree
//!   hashes *each* child's sum (a tree that hashes only totals is forgeable).
//!
//! Must not know: databases, customers, the operator's side of anything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod acceptance;
pub mod aux;
pub mod bip322;
pub mod epoch;
pub mod funds;
pub mod liabilities;
pub mod log;
pub mod logged;
pub mod merkle;
pub mod note;
pub mod opened;
pub mod places;
pub mod publish;
pub mod receipt;
pub mod record;
pub mod reserves;
pub mod series;
pub mod share;
pub mod sold;
pub mod stamp;
pub mod sum_tree;
pub mod summary;
pub mod tiles;
pub mod verify;
mod wire;
pub mod witness;

pub use wire::WireError;

use sha2::{Digest, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// SHA-256 over the parts, one after the other.
fn sha256(parts: &[&[u8]]) -> Hash {
    let mut h = Sha256::new();
    for part in parts {
        h.update(part);
    }
    h.finalize().into()
}
