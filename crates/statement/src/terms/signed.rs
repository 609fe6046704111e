//! The file of terms that a customer takes home: the exact bytes, their hash, and the operator's signature.

use super::{BYTES_MAX, FORMAT_1, Terms, TermsError, unreadable};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use gruve_units::ContractId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The file a customer downloads.
pub const SIGNED_FORMAT: &str = "gruve signed terms 1";
/// What stands before the hash in what is signed, so that the key's signature under anything else is none here.
const SIGNED_PREFIX: &[u8] = b"gruve terms 1\n";

/// SHA-256 of canonical bytes.
#[must_use]
pub fn hash(canonical: &[u8]) -> [u8; 32] {
    Sha256::digest(canonical).into()
}

fn signed_message(hash: &[u8; 32]) -> Vec<u8> {
    [SIGNED_PREFIX, hash].concat()
}

/// The operator's signature (Ed25519) over the text `gruve terms 1`, a line feed and the 32 bytes of the hash.
#[must_use]
pub fn sign(key: &SigningKey, hash: &[u8; 32]) -> [u8; 64] {
    key.sign(&signed_message(hash)).to_bytes()
}

/// The file that a customer downloads: the exact bytes with hash, signature and key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTerms {
    /// [`SIGNED_FORMAT`].
    pub format: String,
    /// The contract.
    pub contract: ContractId,
    /// The canonical bytes, which are text.
    pub terms: String,
    /// Their SHA-256.
    pub sha256: String,
    /// The operator's key, hexadecimal; absent for sales from before terms were signed.
    pub operator_key: Option<String>,
    /// Its signature, hexadecimal; see [`sign`].
    pub signature: Option<String>,
}

impl SignedTerms {
    /// The file of a contract.
    ///
    /// # Errors
    /// [`TermsError::Unreadable`] when the bytes are no text.
    pub fn new(
        contract: ContractId,
        canonical: Vec<u8>,
        signed: Option<([u8; 32], [u8; 64])>,
    ) -> Result<SignedTerms, TermsError> {
        Ok(SignedTerms {
            format: SIGNED_FORMAT.to_owned(),
            contract,
            sha256: hex::encode(hash(&canonical)),
            terms: String::from_utf8(canonical).map_err(|e| unreadable(&e))?,
            operator_key: signed.map(|(key, _)| hex::encode(key)),
            signature: signed.map(|(_, signature)| hex::encode(signature)),
        })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`TermsError::Unreadable`].
    pub fn parse(json: &str) -> Result<SignedTerms, TermsError> {
        // The bytes stand escaped in it.
        if json.len() > 2 * BYTES_MAX {
            return Err(unreadable(&format!("the file has more than {} bytes", 2 * BYTES_MAX)));
        }
        let signed: SignedTerms = serde_json::from_str(json).map_err(|e| unreadable(&e))?;
        if signed.format != SIGNED_FORMAT {
            return Err(unreadable(&format!("the format {:?} is not known here", signed.format)));
        }
        Ok(signed)
    }

    /// Checks hash and signature, by `key` where one is given; whose it is, in hexadecimal. What the bytes say is
    /// another question.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verified(&self, key: Option<&[u8; 32]>) -> Result<&str, TermsError> {
        let hash = hash(self.terms.as_bytes());
        if self.sha256 != hex::encode(hash) {
            return Err(TermsError::WrongHash);
        }
        let (Some(by), Some(signature)) = (&self.operator_key, &self.signature) else {
            return Err(TermsError::WrongSignature);
        };
        verify(by, signature, &hash)?;
        match key {
            Some(asked) if hex::encode(asked) != *by => Err(TermsError::OtherKey(by.clone())),
            _ => Ok(by),
        }
    }

    /// Checks hash and signature and gives the terms. Terms of the first format are not signed; all others must
    /// be, and by `key` where one is given.
    ///
    /// # Errors
    /// What does not fit.
    pub fn open(&self, key: Option<&[u8; 32]>) -> Result<Terms, TermsError> {
        let hash = hash(self.terms.as_bytes());
        if self.sha256 != hex::encode(hash) {
            return Err(TermsError::WrongHash);
        }
        let terms = Terms::parse(self.terms.as_bytes())?;
        if terms.contract.is_some_and(|of| of != self.contract) {
            return Err(unreadable(&"they are another contract's than the file says"));
        }
        match (&self.operator_key, &self.signature) {
            (None, None) if terms.format == FORMAT_1 && key.is_none() => Ok(terms),
            (Some(by), Some(signature)) => {
                verify(by, signature, &hash)?;
                match key {
                    Some(asked) if hex::encode(asked) != *by => {
                        Err(TermsError::OtherKey(by.clone()))
                    }
                    _ => Ok(terms),
                }
            }
            _ => Err(TermsError::WrongSignature),
        }
    }
}

fn verify(key: &str, signature: &str, hash: &[u8; 32]) -> Result<(), TermsError> {
    let wrong = || TermsError::WrongSignature;
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(key, &mut bytes).map_err(|_| wrong())?;
    let mut signed = [0u8; 64];
    hex::decode_to_slice(signature, &mut signed).map_err(|_| wrong())?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
    key.verify_strict(&signed_message(hash), &Signature::from_bytes(&signed)).map_err(|_| wrong())
}
