//! Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), signed with Ed25519.
//!
//! A note is text, an empty line and signature lines; a checkpoint's text is the log's origin, its size, its root.
//! What anybody's tool can verify, this room writes; nothing of the form is its own.

use crate::{Hash, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// The longest note that is read: a checkpoint with some dozens of witnesses.
pub const NOTE_BYTES_MAX: usize = 16_384;

/// The type byte of an Ed25519 key.
const ED25519: u8 = 1;

/// Why a note or key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form.
    #[error("not a signed note of the C2SP form")]
    Malformed,
    /// Not a key of the form `name+hash+base64`.
    #[error("not a verifier key of the form name+hash+base64")]
    BadKey,
    /// No good signature by the key.
    #[error("not signed by the operator's key")]
    NotSigned,
    /// A line of a witness that the witness has not signed.
    #[error("a witness's line that is not good")]
    NotWitnessed,
}

/// Whether a text can name a key: something, without white space, plus or control characters.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
}

/// The first four bytes of `SHA-256(name ‖ 0A ‖ kind ‖ key)`: how a line of signature names its key.
pub(crate) fn key_id(name: &str, kind: u8, key: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[kind], key]);
    let mut id = [0; 4];
    id.copy_from_slice(&hash[..4]);
    id
}

/// Name and key of a text `name+hash+base64` of this kind.
pub(crate) fn parse_key(text: &str, kind: u8) -> Result<(&str, [u8; 32]), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::BadKey);
    };
    let bytes = STANDARD.decode(key).map_err(|_| NoteError::BadKey)?;
    let (first, rest) = bytes.split_first().ok_or(NoteError::BadKey)?;
    let key: [u8; 32] = rest.try_into().map_err(|_| NoteError::BadKey)?;
    if !is_name(name) || *first != kind || hex::encode(key_id(name, kind, &key)) != id {
        return Err(NoteError::BadKey);
    }
    Ok((name, key))
}

/// The text that [`parse_key`] reads.
pub(crate) fn write_key(name: &str, kind: u8, key: &[u8; 32]) -> String {
    let bytes = [&[kind][..], key].concat();
    format!("{name}+{}+{}", hex::encode(key_id(name, kind, key)), STANDARD.encode(bytes))
}

/// A name and a public key, written `name+hash+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    /// The name: here the log's origin.
    pub name: String,
    /// The public key.
    pub key: [u8; 32],
}

impl NoteKey {
    /// A key; `None` when the name has white space, a plus or nothing in it.
    #[must_use]
    pub fn new(name: &str, key: [u8; 32]) -> Option<NoteKey> {
        is_name(name).then(|| NoteKey { name: name.to_owned(), key })
    }

    /// The first four bytes of `SHA-256(name ‖ 0A ‖ 01 ‖ key)`.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519, &self.key)
    }

    /// From its text.
    ///
    /// # Errors
    /// [`NoteError::BadKey`].
    pub fn parse(text: &str) -> Result<NoteKey, NoteError> {
        let (name, key) = parse_key(text, ED25519)?;
        Ok(NoteKey { name: name.to_owned(), key })
    }

    /// The signature of `body` among those of a note.
    fn verify(&self, body: &str, signatures: &[SignatureLine<'_>]) -> Result<(), NoteError> {
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| NoteError::BadKey)?;
        let mut own = signatures.iter().filter(|s| s.name == self.name && s.id == self.id());
        // Each line of this key must be good: a bad one beside a good one is nobody's honest note.
        let first = own.next().ok_or(NoteError::NotSigned)?;
        let is_good = |s: &SignatureLine<'_>| {
            let signature = Signature::from_slice(&s.bytes);
            signature.is_ok_and(|s| key.verify_strict(body.as_bytes(), &s).is_ok())
        };
        if is_good(first) && own.all(is_good) { Ok(()) } else { Err(NoteError::NotSigned) }
    }
}

impl std::fmt::Display for NoteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&write_key(&self.name, ED25519, &self.key))
    }
}

/// A line under a note.
pub(crate) struct SignatureLine<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: [u8; 4],
    /// What follows the key's id.
    pub(crate) bytes: Vec<u8>,
}

/// A note of this text, signed under this name.
pub(crate) fn sign(body: &str, name: &str, key: &SigningKey) -> String {
    let id = NoteKey { name: name.to_owned(), key: key.verifying_key().to_bytes() }.id();
    let signature = [&id[..], &key.sign(body.as_bytes()).to_bytes()].concat();
    format!("{body}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
}

/// The text of a note that carries a good signature by this key.
pub(crate) fn open<'a>(note: &'a str, key: &NoteKey) -> Result<&'a str, NoteError> {
    let (body, signatures) = split(note)?;
    key.verify(body, &signatures)?;
    Ok(body)
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    /// Entries in it.
    pub size: u64,
    /// The root over them.
    #[serde(with = "crate::sold::hex32")]
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        sign(&self.body(), &self.origin, key)
    }

    /// The checkpoint of a note that carries a good signature by `key`, whose name is the log's origin.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, key: &NoteKey) -> Result<Checkpoint, NoteError> {
        let (body, signatures) = split(note)?;
        key.verify(body, &signatures)?;
        let checkpoint = Checkpoint::of_body(body)?;
        if checkpoint.origin == key.name { Ok(checkpoint) } else { Err(NoteError::Malformed) }
    }

    /// What a note says, whoever has signed it.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn read(note: &str) -> Result<Checkpoint, NoteError> {
        Checkpoint::of_body(split(note)?.0)
    }

    fn of_body(body: &str) -> Result<Checkpoint, NoteError> {
        let mut lines = body.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Malformed);
        };
        let number: u64 = size.parse().map_err(|_| NoteError::Malformed)?;
        let root = STANDARD.decode(root).ok().and_then(|r| r.try_into().ok());
        let (Some(root), true) = (root, number.to_string() == size) else {
            return Err(NoteError::Malformed);
        };
        // Further lines are allowed to others' logs. Here they would be signed words that nobody reads.
        if lines.next().is_some() || !is_name(origin) {
            return Err(NoteError::Malformed);
        }
        Ok(Checkpoint { origin: origin.to_owned(), size: number, root })
    }
}

/// Text and signatures of a note.
pub(crate) fn split(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    if note.len() > NOTE_BYTES_MAX || note.contains(|c: char| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed);
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (body, lines) = (&note[..=at], &note[at + 2..]);
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let signature = |line: &'_ str| -> Option<(usize, [u8; 4], Vec<u8>)> {
        let rest = line.strip_prefix("\u{2014} ")?;
        let (name, data) = rest.split_once(' ')?;
        let bytes = STANDARD.decode(data).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !bytes.is_empty()).then(|| (name.len(), *id, bytes.to_vec()))
    };
    let mut all = Vec::new();
    for line in lines.split('\n') {
        let (len, id, bytes) = signature(line).ok_or(NoteError::Malformed)?;
        let start = "\u{2014} ".len();
        all.push(SignatureLine { name: &line[start..start + len], id, bytes });
    }
    Ok((body, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "gruve.example/log".to_owned(), size: 42, root: [9; 32] }
    }

    fn public() -> NoteKey {
        NoteKey::new("gruve.example/log", key().verifying_key().to_bytes()).unwrap()
    }

    #[test]
    fn a_checkpoint_is_opened_by_its_key_alone() {
        let note = checkpoint().sign(&key());
        assert_eq!(Checkpoint::open(&note, &public()), Ok(checkpoint()));
        let other = NoteKey::new("gruve.example/log", [8; 32]).unwrap();
        assert!(Checkpoint::open(&note, &other).is_err());
        let renamed = NoteKey { name: "other.example/log".to_owned(), ..public() };
        assert_eq!(Checkpoint::open(&note, &renamed), Err(NoteError::NotSigned));
    }

    #[test]
    fn every_changed_bit_of_a_note_and_of_a_key_is_refused() {
        let note = checkpoint().sign(&key());
        for at in 0..note.len() * 8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(Checkpoint::open(&text, &public()).is_err(), "bit {at}");
            }
        }
        let text = public().to_string();
        assert_eq!(NoteKey::parse(&text), Ok(public()));
        for at in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                assert_ne!(NoteKey::parse(&text), Ok(public()), "bit {at}");
            }
        }
    }

    #[test]
    fn what_is_signed_has_three_lines_plain_characters_and_its_length() {
        let body = checkpoint().body();
        let opened = |body: &str, name: &str| {
            let public = NoteKey { name: name.to_owned(), ..public() };
            Checkpoint::open(&sign(body, name, &key()), &public)
        };
        let own = "gruve.example/log";
        assert_eq!(opened(&body, own), Ok(checkpoint()));
        let further = [format!("{body}and more\n"), format!("{body}\n"), format!("{body}\t\n")];
        let control = [body.replace('/', "/\r"), format!("\0{body}")];
        for bad in further.iter().chain(&control) {
            assert_eq!(opened(bad, own), Err(NoteError::Malformed), "{bad:?}");
        }
        let spaced = body.replace(own, "two words");
        assert_eq!(opened(&spaced, "two words"), Err(NoteError::Malformed));
        // Lines of others, until it is too long.
        let line = "\u{2014} witness.example AAAAAAAA\n";
        let note = checkpoint().sign(&key());
        let most = (NOTE_BYTES_MAX - note.len()) / line.len();
        let with =
            |lines: usize| Checkpoint::open(&(note.clone() + &line.repeat(lines)), &public());
        assert_eq!(with(most), Ok(checkpoint()));
        assert_eq!(with(most + 1), Err(NoteError::Malformed));
    }

    #[test]
    fn other_signatures_beside_it_do_no_harm() {
        let note = checkpoint().sign(&key());
        let witness = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(Checkpoint::open(&witness, &public()), Ok(checkpoint()));
    }
}
