//! What can be checked without trusting anybody: stamps, Merkle trees, epoch summaries.
//!
//! For: the accountant, which builds roots and checkpoints; the gateway, which stamps jobs; the
//! verifier, which rebuilds all of it from public bytes.
//!
//! Promises:
//! - everything is pure, and bounded by the length of its input;
//! - parsing is strict: one set of bytes has one meaning, and no offset is taken from outside;
//! - leaves, nodes and sum nodes are hashed under different first bytes, and a node of a sum tree
//!   hashes *each* child's sum (a tree that hashes only totals is forgeable).
//!
//! Must not know: databases, customers, the operator's side of anything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod epoch;
pub mod merkle;
pub mod share;
pub mod stamp;
pub mod sum_tree;

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
