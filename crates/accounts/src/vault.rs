//! Sealing what the house must be able to read again, but nobody who reads only its database: secrets of codes by
//! time, and of webhooks.
//!
//! One key, in a file of the house beside its others. What is sealed is bound to what it is of (a purpose and an
//! owner), so that a row put in another's place does not open. Losing the key loses what is sealed under it and
//! nothing else: whoever uses it says so ([`AccountsError::CodesUnreadable`]) and has another way in.
//!
//! Must not know what is sealed.

use crate::AccountsError;
use gruve_units::Entropy;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// Seals and opens under one key. Cloning it is cheap.
#[derive(Clone)]
pub struct Vault {
    key: Arc<LessSafeKey>,
    digesting: Arc<hmac::Key>,
    id: [u8; 8],
}

impl fmt::Debug for Vault {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

/// Something sealed, or open where the house has no vault, as it stands in a row.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes: a nonce, what is sealed, and its tag; or what is open.
    pub bytes: Vec<u8>,
    /// Which key sealed it; none where it is open.
    pub key_id: Option<[u8; 8]>,
}

impl fmt::Debug for Sealed {
    /// Without the bytes: they may be open.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Purpose and owner, of unambiguous length.
fn bound(purpose: &str, owner: &[u8]) -> Vec<u8> {
    let length = u64::try_from(purpose.len()).unwrap_or(u64::MAX).to_be_bytes();
    [length.as_slice(), purpose.as_bytes(), owner].concat()
}

impl Vault {
    /// The vault of a key; `None` where the library refuses it.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Option<Vault> {
        let sealing = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        let hash = Sha256::new().chain_update(b"gruve vault id 1").chain_update(key).finalize();
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        let digesting =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"gruve vault digest 1");
        let digesting = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, digesting.as_ref()));
        Some(Vault { key: Arc::new(LessSafeKey::new(sealing)), digesting, id })
    }

    /// What tells equal bytes from others to who has the key, and nothing to anybody else: of what may be guessed.
    #[must_use]
    pub fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.digesting, bytes).as_ref());
        digest
    }

    /// Which key it is; tells nothing of it.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        self.id
    }

    fn seal(
        &self,
        purpose: &str,
        owner: &[u8],
        open: &[u8],
        entropy: &dyn Entropy,
    ) -> Option<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut text = open.to_vec();
        let by = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(by, Aad::from(bound(purpose, owner)), &mut text).ok()?;
        Some(Sealed { bytes: [nonce.to_vec(), text].concat(), key_id: Some(self.id) })
    }

    fn open(&self, purpose: &str, owner: &[u8], sealed: &Sealed) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let by = Nonce::assume_unique_for_key(*nonce);
        let open = self.key.open_in_place(by, Aad::from(bound(purpose, owner)), &mut text);
        Some(open.ok()?.to_vec())
    }
}

/// Seals for a row; as it is where the house has no vault.
///
/// # Errors
/// [`AccountsError::Damaged`] where the library refuses, which it does for no input of ours.
pub fn seal(
    vault: Option<&Vault>,
    purpose: &str,
    owner: &[u8],
    open: &[u8],
    entropy: &dyn Entropy,
) -> Result<Sealed, AccountsError> {
    match vault {
        None => Ok(Sealed { bytes: open.to_vec(), key_id: None }),
        Some(vault) => vault
            .seal(purpose, owner, open, entropy)
            .ok_or(AccountsError::Damaged("a secret that cannot be sealed")),
    }
}

/// Opens what a row holds; `None` where the key is another or the row is not what was sealed.
#[must_use]
pub fn unseal(
    vault: Option<&Vault>,
    purpose: &str,
    owner: &[u8],
    sealed: &Sealed,
) -> Option<Vec<u8>> {
    match sealed.key_id {
        None => Some(sealed.bytes.clone()),
        Some(id) => vault.filter(|v| v.id == id)?.open(purpose, owner, sealed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SeededEntropy;

    #[test]
    fn what_is_sealed_opens_for_its_owner_and_purpose_under_its_key_alone() {
        let (one, other) = (Vault::new(&[1; 32]).unwrap(), Vault::new(&[2; 32]).unwrap());
        let entropy = SeededEntropy::new(1);
        let sealed = seal(Some(&one), "codes", b"anna", b"twenty bytes of text", &entropy).unwrap();
        assert!(!sealed.bytes.windows(6).any(|w| w == b"twenty"));
        let open = |vault: &Vault, purpose, owner: &[u8], sealed: &Sealed| {
            unseal(Some(vault), purpose, owner, sealed)
        };
        let right = open(&one, "codes", b"anna", &sealed);
        assert_eq!(right.as_deref(), Some(b"twenty bytes of text".as_slice()));
        assert_eq!(open(&other, "codes", b"anna", &sealed), None);
        assert_eq!(open(&one, "hooks", b"anna", &sealed), None);
        assert_eq!(open(&one, "codes", b"bert", &sealed), None);
        assert_eq!(unseal(None, "codes", b"anna", &sealed), None);
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert_eq!(open(&one, "codes", b"anna", &changed), None, "{at}");
        }
        let short = Sealed { bytes: vec![0; 5], key_id: sealed.key_id };
        assert_eq!(open(&one, "codes", b"anna", &short), None);
    }

    #[test]
    fn two_seals_of_the_same_differ_and_neither_shows_its_key() {
        let vault = Vault::new(&[1; 32]).unwrap();
        let entropy = SeededEntropy::new(1);
        let of = || seal(Some(&vault), "codes", b"anna", b"secret", &entropy).unwrap();
        assert_ne!(of(), of());
        assert_eq!(format!("{vault:?}"), "Vault");
        assert_ne!(vault.id(), Vault::new(&[2; 32]).unwrap().id());
    }
}
