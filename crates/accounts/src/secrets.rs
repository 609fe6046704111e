//! Secrets that the house hands out: 32 random bytes, of which only a hash is kept, by purpose.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gruve_units::Entropy;
use sha2::{Digest, Sha256};

/// Characters of a secret.
const CHARS: usize = 43;

/// A new secret as text, and the hash that is kept of it.
pub(crate) fn new(purpose: &[u8], entropy: &dyn Entropy) -> (String, [u8; 32]) {
    let mut secret = [0_u8; 32];
    entropy.fill(&mut secret);
    (URL_SAFE_NO_PAD.encode(secret), hashed(purpose, &secret))
}

/// The hash of a secret that somebody shows; `None` when it has not the form of one.
pub(crate) fn hash_of(purpose: &[u8], text: &str) -> Option<[u8; 32]> {
    Some(hashed(purpose, &bytes(text)?))
}

/// The 32 bytes of a secret, `None` when it has not the form of one.
pub(crate) fn bytes(text: &str) -> Option<[u8; 32]> {
    if text.len() != CHARS {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The hash of a secret under a purpose: one for another purpose has another hash.
pub(crate) fn hashed(purpose: &[u8], secret: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(secret).finalize().into()
}
