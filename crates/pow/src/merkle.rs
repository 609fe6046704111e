//! Bitcoin's merkle branch of a coinbase.

use crate::sha256d;

/// The root above a leaf whose siblings all stand on the right, as those of a coinbase do.
#[must_use]
pub fn merkle_root_from_branch(leaf: [u8; 32], branch: &[[u8; 32]]) -> [u8; 32] {
    branch.iter().fold(leaf, |left, right| {
        let mut pair = [0u8; 64];
        pair[..32].copy_from_slice(&left);
        pair[32..].copy_from_slice(right);
        sha256d(&pair)
    })
}
