//! A secret shared with another service: compared in constant time, never shown.

use ring::hmac;
use std::fmt;
use zeroize::Zeroizing;

/// Text that only the house and the service know.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(Zeroizing::new(text.trim().to_owned()))
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Whether `hex` is the HMAC-SHA256 of the parts, one behind the other, under this secret.
    pub(crate) fn has_signed(&self, parts: &[&[u8]], hex: &str) -> bool {
        let Ok(tag) = hex::decode(hex) else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        hmac::verify(&key, &parts.concat(), &tag).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(d)?);
        Ok(Secret::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256_as_in_rfc_4231() {
        // Test case 2 of RFC 4231.
        let jefe = Secret::new("Jefe");
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(jefe.has_signed(&[b"what do ya want ", b"for nothing?"], tag));
        assert!(!jefe.has_signed(&[b"what do ya want for something?"], tag));
        assert!(!jefe.has_signed(&[b"what do ya want for nothing?"], &tag[..62]));
        assert!(!jefe.has_signed(&[b"what do ya want for nothing?"], ""));
        assert!(!jefe.has_signed(&[b"what do ya want for nothing?"], "zz"));
        assert_eq!(format!("{jefe:?}"), "Secret");
    }
}
