//! Passkeys' public keys: the three kinds that authenticators have (RFC 9053; the numbers are IANA's
//! "COSE Algorithms"), and their signatures, checked by `ring`.

use super::Refused;
use super::cbor::{Reader, Value};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// ECDSA over P-256 with SHA-256: phones, security keys.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA with SHA-256: Windows with older chips.
    Rs256,
}

impl Algorithm {
    /// All of them, the most wanted first.
    pub(crate) const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

    /// Its number.
    pub(crate) const fn number(self) -> i64 {
        match self {
            Algorithm::Es256 => -7,
            Algorithm::EdDsa => -8,
            Algorithm::Rs256 => -257,
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    algorithm: Algorithm,
    /// ES256: the point, uncompressed. EdDSA: its 32 bytes. RS256: two bytes with the modulus' length, the
    /// modulus, the exponent.
    bytes: Vec<u8>,
}

const WRONG: Refused = "the key is of no kind that is taken";

/// The numbers of a key's map that the three kinds use.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<Value<'a>>,
    algorithm: Option<Value<'a>>,
    first: Option<Value<'a>>,
    second: Option<Value<'a>>,
    third: Option<Value<'a>>,
}

impl PublicKey {
    /// A key as it is stored.
    pub(crate) fn stored(number: i64, bytes: Vec<u8>) -> Option<PublicKey> {
        let algorithm = Algorithm::ALL.into_iter().find(|a| a.number() == number)?;
        Some(PublicKey { algorithm, bytes })
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key that stands there as a `COSE_Key`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<PublicKey, Refused> {
        let mut f = Fields::default();
        for _ in 0..reader.map()? {
            let place = match reader.value()? {
                Value::Int(1) => &mut f.kind,
                Value::Int(3) => &mut f.algorithm,
                Value::Int(-1) => &mut f.first,
                Value::Int(-2) => &mut f.second,
                Value::Int(-3) => &mut f.third,
                _ => return Err(WRONG),
            };
            if place.replace(reader.value()?).is_some() {
                return Err("the key says something twice");
            }
        }
        use Value::{Bytes, Int};
        let (algorithm, bytes) = match (f.kind, f.algorithm, f.first, f.second, f.third) {
            (Some(Int(2)), Some(Int(-7)), Some(Int(1)), Some(Bytes(x)), Some(Bytes(y)))
                if x.len() == 32 && y.len() == 32 =>
            {
                (Algorithm::Es256, [&[4], x, y].concat())
            }
            (Some(Int(1)), Some(Int(-8)), Some(Int(6)), Some(Bytes(x)), None) if x.len() == 32 => {
                (Algorithm::EdDsa, x.to_vec())
            }
            (Some(Int(3)), Some(Int(-257)), Some(Bytes(n)), Some(Bytes(e)), None)
                if (256..=512).contains(&n.len()) && (1..=8).contains(&e.len()) =>
            {
                let length = u16::try_from(n.len()).map_err(|_| WRONG)?.to_be_bytes();
                (Algorithm::Rs256, [&length, n, e].concat())
            }
            _ => return Err(WRONG),
        };
        Ok(PublicKey { algorithm, bytes })
    }

    /// Whether a signature is this key's.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.bytes)
                .verify(message, signature)
                .is_ok(),
            Algorithm::EdDsa => {
                UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature).is_ok()
            }
            Algorithm::Rs256 => self.rsa().is_some_and(|key| {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }),
        }
    }

    fn rsa(&self) -> Option<RsaPublicKeyComponents<&[u8]>> {
        let (length, rest) = self.bytes.split_at_checked(2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (n, e) = rest.split_at_checked(length)?;
        Some(RsaPublicKeyComponents { n, e })
    }
}
