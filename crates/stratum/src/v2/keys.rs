//! The authority key pair: what clients pin, and what signs the certificate of each connection.
//!
//! Text forms are those of the V2 reference software, so that keys may be carried over: Base58Check
//! of the 32 secret bytes, and of `01 00` with the 32 bytes of the x coordinate of the public key.

use crate::hexes;
use gruve_units::Entropy;
use secp256k1::{Keypair, Secp256k1, SecretKey};
use std::fmt;
use zeroize::Zeroize as _;

/// Before the public key in its text form: version 1, least significant byte first.
const PUBLIC_VERSION: [u8; 2] = [1, 0];

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not Base58Check, or not of the right length.
    #[error("an authority key is 32 secret bytes, in Base58Check or as 64 hex digits")]
    Form,
    /// Zero, or not below the curve's order.
    #[error("the authority key is no number of the curve")]
    Range,
}

/// A Noise authority's key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorityKey {
    secret: [u8; 32],
    public: [u8; 32],
}

impl fmt::Debug for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityKey({})", self.public_text())
    }
}

impl Drop for AuthorityKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl AuthorityKey {
    /// From the secret bytes.
    ///
    /// # Errors
    /// [`KeyError::Range`] for zero and for numbers not below the curve's order.
    pub fn from_secret(secret: [u8; 32]) -> Result<AuthorityKey, KeyError> {
        let key = SecretKey::from_slice(&secret).map_err(|_| KeyError::Range)?;
        let pair = Keypair::from_secret_key(&Secp256k1::signing_only(), &key);
        Ok(AuthorityKey { secret, public: pair.x_only_public_key().0.serialize() })
    }

    /// A new one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> AuthorityKey {
        loop {
            let mut secret = [0; 32];
            entropy.fill(&mut secret);
            // Of 2^128 random numbers one is refused.
            if let Ok(key) = AuthorityKey::from_secret(secret) {
                return key;
            }
        }
    }

    /// From the secret's text form, or 64 hex digits; white space around it is passed over.
    ///
    /// # Errors
    /// When it is neither, or no key.
    pub fn from_secret_text(text: &str) -> Result<AuthorityKey, KeyError> {
        if let Some(bytes) = hexes::array(text.trim()) {
            return AuthorityKey::from_secret(bytes);
        }
        let bytes = base58ck::decode_check(text.trim()).map_err(|_| KeyError::Form)?;
        AuthorityKey::from_secret(bytes.try_into().map_err(|_| KeyError::Form)?)
    }

    /// The secret's text form.
    #[must_use]
    pub fn secret_text(&self) -> String {
        base58ck::encode_check(&self.secret)
    }

    /// What clients pin, 32 bytes.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What clients pin, as they write it in their configurations.
    #[must_use]
    pub fn public_text(&self) -> String {
        base58ck::encode_check(&[&PUBLIC_VERSION[..], &self.public].concat())
    }

    pub(crate) const fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SystemEntropy;

    /// The pair that the configuration examples of the reference pool publish.
    const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";
    const PUBLIC: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

    #[test]
    fn keys_have_the_text_forms_of_the_reference_software() {
        let key = AuthorityKey::from_secret_text(SECRET).unwrap();
        assert_eq!(key.public_text(), PUBLIC);
        assert_eq!(key.secret_text(), SECRET);
        assert_eq!(AuthorityKey::from_secret_text(&format!(" {SECRET}\n")), Ok(key.clone()));
        let hex = hex::encode(key.secret());
        assert_eq!(AuthorityKey::from_secret_text(&hex), Ok(key));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(AuthorityKey::from_secret([0; 32]), Err(KeyError::Range));
        assert_eq!(AuthorityKey::from_secret([0xff; 32]), Err(KeyError::Range));
        let mistyped = SECRET.replace("mkD", "mkE");
        for text in ["", "0OIl", &mistyped, PUBLIC] {
            assert_eq!(AuthorityKey::from_secret_text(text), Err(KeyError::Form), "{text}");
        }
    }

    #[test]
    fn a_key_shows_its_public_half_only() {
        let key = AuthorityKey::generate(&SystemEntropy);
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public_text()) && !shown.contains(&key.secret_text()));
    }
}
