//! Many hashes at once.

use crate::{scrypt_1024_1_1, sha256d};

/// SHA-256d of every header, in order.
#[must_use]
pub fn sha256d_headers(headers: &[[u8; 80]]) -> Vec<[u8; 32]> {
    headers.iter().map(|h| sha256d(h)).collect()
}

/// scrypt of every header, in order.
#[must_use]
pub fn scrypt_headers(headers: &[[u8; 80]]) -> Vec<[u8; 32]> {
    headers.iter().map(scrypt_1024_1_1).collect()
}
