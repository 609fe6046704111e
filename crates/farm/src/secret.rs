//! The secret by which the house's own machines are known.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// The farm's secret, of which only a hash is kept in memory.
#[derive(Clone)]
pub struct HouseSecret([u8; 32]);

impl HouseSecret {
    /// From the configuration. `None` when it is shorter than 16 bytes: machines guess fast.
    #[must_use]
    pub fn new(secret: &str) -> Option<HouseSecret> {
        (secret.len() >= 16).then(|| HouseSecret(hash(secret)))
    }

    /// Whether `password` is the secret; takes the same time for all passwords of a length.
    #[must_use]
    pub fn admits(&self, password: &str) -> bool {
        self.0.ct_eq(&hash(password)).into()
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl fmt::Debug for HouseSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HouseSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_is_admitted() {
        let secret = HouseSecret::new("sixteen bytes ok").unwrap();
        assert!(secret.admits("sixteen bytes ok"));
        for wrong in ["", "sixteen bytes o", "sixteen bytes ok ", "Sixteen bytes ok"] {
            assert!(!secret.admits(wrong), "{wrong:?}");
        }
        assert!(HouseSecret::new("fifteen bytes !").is_none());
        assert_eq!(format!("{secret:?}"), "HouseSecret");
    }
}
