//! What stands in the public log: its head, changes of the operator's key, epochs, statements of funds.
//!
//! The first entry names origin, operator key and recovery key. A key is followed by another through an entry that
//! the old key (or the recovery key, kept elsewhere, when the old one was lost or stolen) and the new one have both signed;
//! whoever knows the first entry knows every key after it.

use crate::funds::{FUNDS, FundsEntry};
use crate::summary::EpochSummary;
use crate::wire::{Wire, WireError};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

const HEAD: &[u8; 12] = b"gruve log 1\0";
const KEYS: &[u8; 13] = b"gruve keys 1\0";
/// Keys of a log at most, the first among them: one a month for twenty years. A stamp may hold any of them, so a reader tries
/// them all.
pub const KEYS_MAX: usize = 256;
/// Bytes of an origin at most.
pub const ORIGIN_MAX: usize = 255;

/// The first entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's name.
    pub origin: String,
    /// The key that signs checkpoints and stands in stamps.
    pub operator_key: [u8; 32],
    /// The key that may appoint another when that one is lost or stolen; zeros when there is none.
    pub recovery_key: [u8; 32],
}

impl LogHead {
    /// The entry.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = HEAD.to_vec();
        let origin = &self.origin.as_bytes()[..self.origin.len().min(ORIGIN_MAX)];
        out.push(u8::try_from(origin.len()).unwrap_or(u8::MAX));
        out.extend(origin);
        out.extend(self.operator_key);
        out.extend(self.recovery_key);
        out
    }
}

/// A change of the operator's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key that appoints: the one in force or the recovery key.
    pub by: [u8; 32],
    /// The key in force from the next entry on.
    pub to: [u8; 32],
    by_signature: [u8; 64],
    to_signature: [u8; 64],
}

impl KeyChange {
    /// What both keys sign.
    fn text(origin: &str, at: u64, by: &[u8; 32], to: &[u8; 32]) -> Vec<u8> {
        let len = u8::try_from(origin.len()).unwrap_or(u8::MAX);
        [KEYS.as_slice(), &[len], origin.as_bytes(), &at.to_be_bytes(), by, to].concat()
    }

    /// A change that stands at place `at` of the log.
    #[must_use]
    pub fn sign(origin: &str, at: u64, by: &SigningKey, to: &SigningKey) -> KeyChange {
        let (old, new) = (by.verifying_key().to_bytes(), to.verifying_key().to_bytes());
        let text = KeyChange::text(origin, at, &old, &new);
        let (by_signature, to_signature) = (by.sign(&text).to_bytes(), to.sign(&text).to_bytes());
        KeyChange { by: old, to: new, by_signature, to_signature }
    }

    /// The entry.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let parts = [&self.by[..], &self.to, &self.by_signature, &self.to_signature];
        [KEYS.as_slice(), &parts.concat()].concat()
    }

    /// Whether both have signed it for this place of this log.
    #[must_use]
    pub fn is_signed(&self, origin: &str, at: u64) -> bool {
        let text = KeyChange::text(origin, at, &self.by, &self.to);
        let good = |key: &[u8; 32], signature: &[u8; 64]| {
            let key = VerifyingKey::from_bytes(key);
            key.is_ok_and(|k| k.verify_strict(&text, &Signature::from_bytes(signature)).is_ok())
        };
        good(&self.by, &self.by_signature) && good(&self.to, &self.to_signature)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The first.
    Head(LogHead),
    /// Another key.
    Keys(KeyChange),
    /// An epoch.
    Epoch(Box<EpochSummary>),
    /// What the house owes and has.
    Funds(Box<FundsEntry>),
}

impl Entry {
    /// From an entry's bytes.
    ///
    /// # Errors
    /// When they are none of them.
    pub fn parse(bytes: &[u8]) -> Result<Entry, WireError> {
        if let Some(rest) = bytes.strip_prefix(HEAD.as_slice()) {
            let mut w = Wire::new(rest);
            let len = usize::from(w.u8("the origin")?);
            let origin = String::from_utf8(w.bytes(len, "the origin")?);
            let origin = origin.map_err(|_| WireError::Malformed("an origin that is no text"))?;
            let (operator_key, recovery_key) = (w.array("a key")?, w.array("a key")?);
            w.end()?;
            return Ok(Entry::Head(LogHead { origin, operator_key, recovery_key }));
        }
        if let Some(rest) = bytes.strip_prefix(KEYS.as_slice()) {
            let mut w = Wire::new(rest);
            let change = KeyChange {
                by: w.array("a key")?,
                to: w.array("a key")?,
                by_signature: w.array("a signature")?,
                to_signature: w.array("a signature")?,
            };
            w.end()?;
            return Ok(Entry::Keys(change));
        }
        if let Some(rest) = bytes.strip_prefix(FUNDS.as_slice()) {
            return Ok(Entry::Funds(Box::new(FundsEntry::parse(rest)?)));
        }
        match EpochSummary::parse(bytes)? {
            Some(summary) => Ok(Entry::Epoch(Box::new(summary))),
            None => Err(WireError::Malformed("an entry of no known kind")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_keys_holds_at_its_place_of_its_log_alone() {
        let (old, new) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let change = KeyChange::sign("log", 5, &old, &new);
        assert!(change.is_signed("log", 5));
        assert!(!change.is_signed("log", 6) && !change.is_signed("lob", 5));
        let bytes = change.canonical();
        assert_eq!(Entry::parse(&bytes).unwrap(), Entry::Keys(change));
        for at in KEYS.len() * 8..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let Ok(Entry::Keys(other)) = Entry::parse(&changed) else { continue };
            assert!(!other.is_signed("log", 5), "bit {at}");
        }
    }

    #[test]
    fn a_head_has_one_form() {
        let head = LogHead { origin: "a".into(), operator_key: [1; 32], recovery_key: [0; 32] };
        let bytes = head.canonical();
        assert_eq!(Entry::parse(&bytes).unwrap(), Entry::Head(head));
        assert!(Entry::parse(&[bytes, vec![0]].concat()).is_err());
    }
}
