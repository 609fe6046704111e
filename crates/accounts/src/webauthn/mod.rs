//! What an authenticator says, read and checked: the pure part of signing in with passkeys
//! (W3C Web Authentication, level 3, sections 6.1, 7.1 and 7.2).
//!
//! # For what
//! [`registered`] gives the key of a new passkey; [`asserted`] says whether a signature is a passkey's.
//!
//! # Promises
//! - No input panics; everything is bounded before it is read.
//! - Only what was said to this site ([`Site`]), for the purpose and challenge asked, counts.
//! - Attestation is neither asked for nor believed: who made the authenticator plays no part here, so
//!   nothing of its format is read.
//!
//! # What it must not know
//! Accounts, the database, the time. Challenges are compared by whoever made them.

mod cbor;
mod keys;

use cbor::Reader;
pub(crate) use keys::{Algorithm, PublicKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of what the browser says, at most; some three hundred are usual.
const CLIENT_BYTES_MAX: usize = 4 * 1024;
/// Bytes of what the authenticator says, at most: an RSA key of 4096 bits, an id of 1023 bytes and some
/// extensions fit.
const AUTHENTICATOR_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a signature at most: RSA's of 4096 bits.
const SIGNATURE_BYTES_MAX: usize = 512;
/// Bytes of a credential's id at most, as the standard has it.
pub(crate) const ID_BYTES_MAX: usize = 1023;

/// Whose answers count: the site as browsers know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// `scheme://host[:port]`.
    pub(crate) origin: &'a str,
    /// The host alone.
    pub(crate) host: &'a str,
}

/// Why an answer does not count; said to nobody but the log and its sender.
pub(crate) type Refused = &'static str;

/// What was asked of the authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ceremony {
    /// Make a passkey.
    Create,
    /// Sign with one.
    Get,
}

/// A browser's account of what was asked.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

/// What an authenticator says with every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its count of signatures; nothing where it keeps none.
    pub(crate) count: u32,
    /// Whether it made sure who sits there (finger, face, PIN).
    pub(crate) is_verified: bool,
    /// Whether the passkey is kept in more than one device.
    pub(crate) is_synced: bool,
}

/// A new passkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) id: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) said: Said,
}

/// The challenge that a browser answers, in its text form, after checking for whom and for what it was.
pub(crate) fn challenge(
    json: &[u8],
    ceremony: Ceremony,
    site: Site<'_>,
) -> Result<String, Refused> {
    if json.len() > CLIENT_BYTES_MAX {
        return Err("what the browser says is too long");
    }
    let said: ClientData =
        serde_json::from_slice(json).map_err(|_| "what the browser says cannot be read")?;
    let kind = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    if said.kind != kind {
        return Err("the answer is to another question");
    }
    if said.origin != site.origin || said.cross_origin {
        return Err("the answer was given to another site");
    }
    Ok(said.challenge)
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const MAY_SYNC: u8 = 0x08;
const SYNCED: u8 = 0x10;
const HAS_KEY: u8 = 0x40;

/// The part that every answer has: whose site, flags, count; and what stands behind it.
fn head<'a>(data: &'a [u8], site: Site<'_>) -> Result<(u8, Said, &'a [u8]), Refused> {
    if data.len() > AUTHENTICATOR_BYTES_MAX {
        return Err("what the authenticator says is too long");
    }
    let (host, rest) = data.split_at_checked(32).ok_or("what the authenticator says is cut off")?;
    let (head, rest) = rest.split_at_checked(5).ok_or("what the authenticator says is cut off")?;
    let wanted: [u8; 32] = Sha256::digest(site.host.as_bytes()).into();
    if !bool::from(host.ct_eq(&wanted)) {
        return Err("the passkey is another site's");
    }
    let flags = head[0];
    if flags & PRESENT == 0 {
        return Err("nobody was there");
    }
    if flags & SYNCED != 0 && flags & MAY_SYNC == 0 {
        return Err("what the authenticator says contradicts itself");
    }
    let count = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let said = Said { count, is_verified: flags & VERIFIED != 0, is_synced: flags & SYNCED != 0 };
    Ok((flags, said, rest))
}

/// The passkey that an authenticator has made.
pub(crate) fn registered(data: &[u8], site: Site<'_>) -> Result<Made, Refused> {
    let (flags, said, rest) = head(data, site)?;
    if flags & HAS_KEY == 0 {
        return Err("there is no key in the answer");
    }
    // The model of the authenticator, which is not looked at.
    let (_, rest) = rest.split_at_checked(16).ok_or("the key is cut off")?;
    let (length, rest) = rest.split_at_checked(2).ok_or("the key is cut off")?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if length == 0 || length > ID_BYTES_MAX {
        return Err("the passkey's id has a wrong length");
    }
    let (id, rest) = rest.split_at_checked(length).ok_or("the key is cut off")?;
    let key = PublicKey::read(&mut Reader::new(rest))?;
    Ok(Made { id: id.to_vec(), key, said })
}

/// Whether a passkey has signed this answer.
pub(crate) fn asserted(
    key: &PublicKey,
    data: &[u8],
    client: &[u8],
    signature: &[u8],
    site: Site<'_>,
) -> Result<Said, Refused> {
    let (_, said, _) = head(data, site)?;
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err("the signature is too long");
    }
    let signed = [data, Sha256::digest(client).as_slice()].concat();
    if !key.has_signed(&signed, signature) {
        return Err("the signature is not the passkey's");
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
