//! The ownership certificate: which machine is whose from which epoch on, signed by the operator.
//!
//! Its canonical bytes are its JSON with the fields in the order below and no spaces. The operator's Ed25519 key
//! signs [`DOMAIN`] followed by them. Each names the SHA-256 of the canonical bytes of the machine's certificate
//! before it, so that the operator cannot have signed two histories of a machine without leaving both behind.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashrate, LaneId, MachineId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What stands before the bytes that are signed, so that no signature for anything else is one for this.
pub const DOMAIN: &[u8] = b"gruve ownership certificate 1\n";

/// The form of the bytes.
pub const FORMAT: &str = "gruve-ownership-1";

/// What is certified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`FORMAT`].
    pub format: String,
    /// The operator's log.
    pub origin: String,
    /// The machine's number among its certificates, from 1.
    pub number: u64,
    /// SHA-256 of the machine's certificate before, in hex; empty for the first.
    pub previous: String,
    /// The machine, as its work is recorded.
    pub machine: MachineId,
    /// The maker's number.
    pub serial: String,
    /// The maker's name for it.
    pub model: String,
    /// Where it stands.
    pub site: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// What its maker promises.
    pub nameplate: Hashrate,
    /// What its maker says it draws, in watts.
    pub watts: u32,
    /// `sold` or `leased`.
    pub kind: String,
    /// Whose it is.
    pub owner: AccountId,
    /// The hosting contract.
    pub contract: ContractId,
    /// SHA-256 of the contract's terms, in hex.
    pub terms: String,
    /// The first epoch of the lane whose work is the owner's.
    pub from_epoch: EpochNumber,
    /// When it was signed, in microseconds since 1970.
    pub signed_at_us: i64,
}

/// Why a certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text is no certificate, or not in its canonical form.
    #[error("this is no certificate of ownership in its canonical form")]
    Malformed,
    /// It is signed by nobody, or by somebody else.
    #[error("the signature is not this operator's")]
    NotSigned,
}

/// A certificate with its signature, as it is handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The canonical bytes: ASCII JSON, but for what stands on labels.
    pub certificate: String,
    /// Ed25519 over [`DOMAIN`] and the canonical bytes, in hex.
    pub signature: String,
    /// The operator's public key, in hex.
    pub operator_key: String,
}

impl Certificate {
    /// The canonical bytes.
    ///
    /// # Errors
    /// Never for what this type can hold; said all the same.
    pub fn canonical(&self) -> Result<String, CertificateError> {
        serde_json::to_string(self).map_err(|_| CertificateError::Malformed)
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`Certificate::canonical`].
    pub fn sign(&self, key: &SigningKey) -> Result<(String, [u8; 64]), CertificateError> {
        let text = self.canonical()?;
        let signature = key.sign(&signed_bytes(&text)).to_bytes();
        Ok((text, signature))
    }
}

/// What the next certificate of a machine names as the one before.
#[must_use]
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

impl Signed {
    /// The certificate, if `operator` has signed it. The key that stands in the file is not believed.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check(&self, operator: &[u8; 32]) -> Result<Certificate, CertificateError> {
        let mut signature = [0; 64];
        hex::decode_to_slice(&self.signature, &mut signature)
            .map_err(|_| CertificateError::NotSigned)?;
        let key = VerifyingKey::from_bytes(operator).map_err(|_| CertificateError::NotSigned)?;
        key.verify_strict(&signed_bytes(&self.certificate), &Signature::from_bytes(&signature))
            .map_err(|_| CertificateError::NotSigned)?;
        let read: Certificate =
            serde_json::from_str(&self.certificate).map_err(|_| CertificateError::Malformed)?;
        if read.format != FORMAT || read.canonical()? != self.certificate {
            return Err(CertificateError::Malformed);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        Certificate {
            format: FORMAT.to_owned(),
            origin: "example.org/gruve".to_owned(),
            number: 1,
            previous: String::new(),
            machine: MachineId::from_bytes([1; 16]),
            serial: "SN\"1\"".to_owned(),
            model: "S19 Pro – 110T".to_owned(),
            site: "oslo".to_owned(),
            lane: "btc".parse().unwrap(),
            nameplate: Hashrate(110_000_000_000_000),
            watts: 3_250,
            kind: "sold".to_owned(),
            owner: AccountId::from_bytes([2; 16]),
            contract: ContractId::from_bytes([3; 16]),
            terms: "00".repeat(32),
            from_epoch: EpochNumber(7),
            signed_at_us: 1_700_000_000_000_000,
        }
    }

    fn signed(by: &SigningKey) -> Signed {
        let (certificate, signature) = certificate().sign(by).unwrap();
        let operator_key = hex::encode(by.verifying_key().to_bytes());
        Signed { certificate, signature: hex::encode(signature), operator_key }
    }

    #[test]
    fn a_certificate_is_believed_from_the_operator_only_and_unchanged_only() {
        let (key, other) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
        let operator = key.verifying_key().to_bytes();
        assert_eq!(signed(&key).check(&operator), Ok(certificate()));
        assert_eq!(signed(&other).check(&operator), Err(CertificateError::NotSigned));
        let mut changed = signed(&key);
        changed.certificate = changed.certificate.replace("3250", "3251");
        assert_eq!(changed.check(&operator), Err(CertificateError::NotSigned));
        let mut cut = signed(&key);
        cut.signature.pop();
        assert_eq!(cut.check(&operator), Err(CertificateError::NotSigned));
    }

    #[test]
    fn another_writing_of_the_same_content_is_not_the_canonical_one() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let spaced = certificate().canonical().unwrap().replacen(':', ": ", 1);
        let signature = hex::encode(key.sign(&signed_bytes(&spaced)).to_bytes());
        let odd = Signed { certificate: spaced, signature, operator_key: String::new() };
        let operator = key.verifying_key().to_bytes();
        assert_eq!(odd.check(&operator), Err(CertificateError::Malformed));
    }
}
