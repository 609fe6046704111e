//! Witnesses: others who have seen that the log has one history, and sign that they have (C2SP tlog-cosignature).
//!
//! A witness remembers the last head of a log that it was shown and signs another only after a proof that the old one is
//! its beginning. So an operator who would show two histories needs the witnesses' help for one of them. A cosignature
//! is one more line under the signed checkpoint; it says when it was made, and so dates the work before it.
//!
//! Pure. Must not know how a witness is reached: [`request`] makes what is sent, [`Answer::read`] reads what comes
//! back (C2SP tlog-witness), whoever carries it.

use crate::Hash;
use crate::merkle;
use crate::note::{NoteError, SignatureLine, key_id, parse_key, split, write_key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt::Write as _;

/// The type byte of a key that makes timestamped Ed25519 cosignatures.
const COSIGNATURE_V1: u8 = 4;
/// Witnesses of a log at most: more lines than these do not fit a note ([`crate::note::NOTE_BYTES_MAX`]) beside others.
pub const WITNESSES_MAX: usize = 64;
/// Bytes of a witness's answer that are read: one line, or a size.
pub const ANSWER_BYTES_MAX: usize = 4_096;

/// A witness's name and public key, written `name+hash+base64`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WitnessKey {
    /// The witness's name.
    pub name: String,
    /// The public key.
    #[serde(with = "crate::sold::hex32")]
    pub key: [u8; 32],
}

/// That a witness has seen a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cosigned {
    /// The witness's name.
    pub witness: String,
    /// When, by the witness's clock: seconds since 1970. Zero says that it only holds the history to be one.
    pub time: u64,
}

impl WitnessKey {
    /// A key; `None` when the name has white space, a plus or nothing in it.
    #[must_use]
    pub fn new(name: &str, key: [u8; 32]) -> Option<WitnessKey> {
        crate::note::is_name(name).then(|| WitnessKey { name: name.to_owned(), key })
    }

    /// The first four bytes of `SHA-256(name ‖ 0A ‖ 04 ‖ key)`.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, COSIGNATURE_V1, &self.key)
    }

    /// From its text.
    ///
    /// # Errors
    /// [`NoteError::BadKey`].
    pub fn parse(text: &str) -> Result<WitnessKey, NoteError> {
        let (name, key) = parse_key(text, COSIGNATURE_V1)?;
        Ok(WitnessKey { name: name.to_owned(), key })
    }

    /// When this witness has signed `body`; `None` when it has not.
    fn seen(&self, body: &str, lines: &[SignatureLine<'_>]) -> Result<Option<u64>, NoteError> {
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| NoteError::BadKey)?;
        let mut last = None;
        // As with the operator's own: a bad line of a known key is nobody's honest note.
        for line in lines.iter().filter(|l| l.name == self.name && l.id == self.id()) {
            let (time, signature) =
                line.bytes.split_first_chunk::<8>().ok_or(NoteError::NotWitnessed)?;
            let time = u64::from_be_bytes(*time);
            let signature =
                Signature::from_slice(signature).map_err(|_| NoteError::NotWitnessed)?;
            key.verify_strict(text(time, body).as_bytes(), &signature)
                .map_err(|_| NoteError::NotWitnessed)?;
            last = last.max(Some(time));
        }
        Ok(last)
    }
}

impl std::fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&write_key(&self.name, COSIGNATURE_V1, &self.key))
    }
}

/// What is signed.
fn text(time: u64, body: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{body}")
}

/// The line that a witness of this name and key puts under a note.
///
/// # Errors
/// [`NoteError`] when it is no note, or the name cannot name a key.
pub fn cosign(note: &str, name: &str, key: &SigningKey, time: u64) -> Result<String, NoteError> {
    let (body, _) = split(note)?;
    let own = WitnessKey::new(name, key.verifying_key().to_bytes()).ok_or(NoteError::BadKey)?;
    let signature = key.sign(text(time, body).as_bytes()).to_bytes();
    let bytes = [&own.id()[..], &time.to_be_bytes(), &signature].concat();
    Ok(format!("\u{2014} {name} {}\n", STANDARD.encode(bytes)))
}

/// Which of the witnesses have signed a note, in their order.
///
/// # Errors
/// [`NoteError::NotWitnessed`] when a line of one of them is not good.
pub fn cosigned(note: &str, witnesses: &[WitnessKey]) -> Result<Vec<Cosigned>, NoteError> {
    let (body, lines) = split(note)?;
    let mut seen = Vec::new();
    for w in witnesses {
        if let Some(time) = w.seen(body, &lines)? {
            seen.push(Cosigned { witness: w.name.clone(), time });
        }
    }
    Ok(seen)
}

/// What is sent to a witness that last signed `old` entries: the proof that they are the beginning of this log, and the
/// checkpoint. `None` when the log has fewer.
#[must_use]
pub fn request(leaves: &[Hash], old: u64, checkpoint: &str) -> Option<String> {
    let old = usize::try_from(old).ok()?;
    let proof = match old {
        0 => Vec::new(),
        n => merkle::consistency_proof(leaves, n)?,
    };
    let mut out = format!("old {old}\n");
    for hash in proof {
        let _ = writeln!(out, "{}", STANDARD.encode(hash));
    }
    out.push('\n');
    out.push_str(checkpoint);
    Some(out)
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its line, good for this checkpoint.
    Signed(String),
    /// It has signed a head of another size last; ask again from there.
    Knows(u64),
    /// It does not sign: in its words.
    Refused(String),
}

impl Answer {
    /// From the status and body of its reply. A line that is not the witness's own, or not good, is a refusal: nothing
    /// that a witness sends can spoil the checkpoint.
    #[must_use]
    pub fn read(status: u16, body: &str, witness: &WitnessKey, checkpoint: &str) -> Answer {
        match status {
            200 => {
                let lines = body.lines().filter(|l| l.starts_with("\u{2014} "));
                for line in lines {
                    let line = format!("{line}\n");
                    let note = format!("{checkpoint}{line}");
                    let own = std::slice::from_ref(witness);
                    let is_own = line
                        .strip_prefix("\u{2014} ")
                        .and_then(|l| l.split_once(' '))
                        .is_some_and(|(name, _)| name == witness.name);
                    if is_own && cosigned(&note, own).is_ok_and(|c| !c.is_empty()) {
                        return Answer::Signed(line);
                    }
                }
                Answer::Refused("it answered without a good cosignature".to_owned())
            }
            409 => match body.trim().parse() {
                Ok(size) => Answer::Knows(size),
                Err(_) => {
                    Answer::Refused("it knows another head and does not say which".to_owned())
                }
            },
            other => {
                let words: String = body.chars().filter(|c| !c.is_control()).take(200).collect();
                Answer::Refused(format!("status {other}: {words}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Checkpoint, NoteKey};

    fn operator() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn leaves() -> Vec<Hash> {
        (0..9u8).map(|n| merkle::leaf_hash(&[n])).collect()
    }

    fn note() -> String {
        let root = merkle::root(&leaves());
        Checkpoint { origin: "log.example".into(), size: 9, root }.sign(&operator())
    }

    fn witness(n: u8) -> (SigningKey, WitnessKey) {
        let key = SigningKey::from_bytes(&[n; 32]);
        let public = key.verifying_key().to_bytes();
        let name = format!("witness{n}.example");
        (key, WitnessKey::new(&name, public).unwrap())
    }

    #[test]
    fn a_cosignature_is_found_by_its_witness_and_leaves_the_operators_signature_good() {
        let (key, own) = witness(1);
        let both = note() + &cosign(&note(), &own.name, &key, 1_700_000_000).unwrap();
        let seen = cosigned(&both, &[witness(2).1, own.clone()]).unwrap();
        assert_eq!(seen, [Cosigned { witness: own.name.clone(), time: 1_700_000_000 }]);
        let operator = NoteKey::new("log.example", operator().verifying_key().to_bytes()).unwrap();
        assert_eq!(Checkpoint::open(&both, &operator).unwrap().size, 9);
        assert_eq!(WitnessKey::parse(&own.to_string()), Ok(own));
    }

    #[test]
    fn every_changed_bit_of_a_cosigned_note_is_refused_or_changes_what_is_seen() {
        let (key, own) = witness(1);
        let both = note() + &cosign(&note(), &own.name, &key, 1_700_000_000).unwrap();
        let seen = cosigned(&both, std::slice::from_ref(&own)).unwrap();
        let body_ends = note().rfind("\n\n").unwrap();
        let line_begins = note().len();
        let places = (0..body_ends).chain(line_begins..both.len());
        for at in places.flat_map(|b| (0..8).map(move |bit| b * 8 + bit)) {
            let mut bytes = both.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let still = cosigned(&text, std::slice::from_ref(&own));
            assert!(still.is_err() || still.as_ref() != Ok(&seen), "bit {at}: {still:?}");
        }
    }

    #[test]
    fn what_is_sent_proves_that_the_old_head_is_a_beginning() {
        for old in 0..=9u64 {
            let sent = request(&leaves(), old, &note()).unwrap();
            let (head, checkpoint) = sent.split_once("\n\n").unwrap();
            assert_eq!(checkpoint, note());
            let mut lines = head.lines();
            assert_eq!(lines.next(), Some(format!("old {old}").as_str()));
            let proof: Vec<Hash> =
                lines.map(|l| STANDARD.decode(l).unwrap().try_into().unwrap()).collect();
            if old == 0 {
                assert!(proof.is_empty());
                continue;
            }
            let n = usize::try_from(old).unwrap();
            let (before, after) = (merkle::root(&leaves()[..n]), merkle::root(&leaves()));
            assert!(merkle::verify_consistency(&before, old, &after, 9, &proof), "from {old}");
        }
        assert_eq!(request(&leaves(), 10, &note()), None);
    }

    #[test]
    fn an_answer_is_taken_only_when_it_is_this_witnesses_and_good() {
        let (key, own) = witness(1);
        let line = cosign(&note(), &own.name, &key, 5).unwrap();
        assert_eq!(Answer::read(200, &line, &own, &note()), Answer::Signed(line.clone()));
        let (strange, other) = witness(2);
        let foreign = cosign(&note(), &other.name, &strange, 5).unwrap();
        let forged = cosign(&note(), &own.name, &strange, 5).unwrap();
        for bad in [foreign, forged, String::new(), line.replace('A', "B"), "x".repeat(9_000)] {
            assert!(matches!(Answer::read(200, &bad, &own, &note()), Answer::Refused(_)), "{bad}");
        }
        assert_eq!(Answer::read(409, "4\n", &own, &note()), Answer::Knows(4));
        for (status, body) in [(409, "four"), (403, "no"), (422, ""), (500, "\u{7}")] {
            assert!(matches!(Answer::read(status, body, &own, &note()), Answer::Refused(_)));
        }
    }
}
