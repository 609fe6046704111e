//! Acceptance roots: what a gateway says, minute by minute, that it has accepted.
//!
//! A signed note (C2SP) names lane, minute, number of shares and the RFC 6962 root over their leaves, in the order in
//! which they were accepted; a file beside it has the leaves. Whoever keeps the two, and own shares that stand in them, can
//! show anybody that a share was accepted and is not in the record.
//!
//! | file | content |
//! |---|---|
//! | `accepted/LANE/NUMBER` | the note |
//! | `accepted/LANE/NUMBER.leaves` | the leaves, 32 bytes each |
//! | `accepted/LANE/range` | numbers of the first and the last note that are there, for who cannot list files |

use crate::merkle;
use crate::note::{NoteError, NoteKey, open, sign};
use crate::{Hash, WireError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use gruve_units::{EpochNumber, LaneId};

/// The folder of all.
pub const FOLDER: &str = "accepted";
/// Shares of one note at most: 32 MiB of leaves.
pub const LEAVES_MAX: usize = 1 << 20;
/// What ends the name of a file of leaves.
pub const LEAVES: &str = ".leaves";

/// The path of the file that says which of a lane's notes are there.
#[must_use]
pub fn range_path(lane: &LaneId) -> String {
    format!("{FOLDER}/{lane}/range")
}

/// What it says.
#[must_use]
pub fn range_text(first: u64, last: u64) -> String {
    format!("{first} {last}\n")
}

/// The numbers in such a file, ascending; `None` when it is none.
#[must_use]
pub fn read_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_suffix('\n')?.split_once(' ')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && range_text(first, last) == text).then_some((first, last))
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The log.
    pub origin: String,
    /// The lane.
    pub lane: LaneId,
    /// Its number: one more than that of the lane's note before.
    pub number: u64,
    /// The first and the last epoch in whose entries its shares may be counted.
    pub epochs: (EpochNumber, EpochNumber),
    /// From when to when, microseconds since 1970.
    pub time_us: (u64, u64),
    /// How many shares.
    pub shares: u64,
    /// The root over their leaves.
    pub root: Hash,
}

impl Acceptance {
    /// The path of its note.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{FOLDER}/{}/{}", self.lane, self.number)
    }

    fn body(&self) -> String {
        let ((from, to), (first, last)) = (self.time_us, self.epochs);
        format!(
            "gruve accepted 1\n{}\n{}\n{}\n{first} {last}\n{from} {to}\n{}\n{}\n",
            self.origin,
            self.lane,
            self.number,
            self.shares,
            STANDARD.encode(self.root)
        )
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        sign(&self.body(), &self.origin, key)
    }

    /// What a note says that carries a good signature by this key, whose name is the log's origin.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(note: &str, key: &NoteKey) -> Result<Acceptance, NoteError> {
        let body = open(note, key)?;
        let own = Acceptance::read(body).ok_or(NoteError::Malformed)?;
        // One form alone, signature lines included: whoever changes anything at all is noticed.
        if own.body() == body && own.origin == key.name && note.lines().count() == 10 {
            Ok(own)
        } else {
            Err(NoteError::Malformed)
        }
    }

    fn read(body: &str) -> Option<Acceptance> {
        let mut lines = body.lines();
        let mut line = || lines.next();
        if line()? != "gruve accepted 1" {
            return None;
        }
        let (origin, lane) = (line()?.to_owned(), line()?.parse().ok()?);
        let number = line()?.parse().ok()?;
        let (first, last) = line()?.split_once(' ')?;
        let epochs = (EpochNumber(first.parse().ok()?), EpochNumber(last.parse().ok()?));
        let (from, to) = line()?.split_once(' ')?;
        let time_us = (from.parse().ok()?, to.parse().ok()?);
        let shares = line()?.parse().ok()?;
        let root = STANDARD.decode(line()?).ok()?.try_into().ok()?;
        Some(Acceptance { origin, lane, number, epochs, time_us, shares, root })
    }

    /// The leaves in a file, which must be those of the root.
    ///
    /// # Errors
    /// When they are not.
    pub fn leaves(&self, bytes: &[u8]) -> Result<Vec<Hash>, WireError> {
        let (all, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || all.len() as u64 != self.shares || merkle::root(all) != self.root {
            return Err(WireError::Malformed("other leaves than those of the signed root"));
        }
        Ok(all.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_of_a_note_or_its_leaves_is_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = NoteKey::new("log.example", key.verifying_key().to_bytes()).unwrap();
        let leaves = [[1; 32], [2; 32], [3; 32]];
        let own = Acceptance {
            origin: "log.example".into(),
            lane: "btc".parse().unwrap(),
            number: 7,
            epochs: (EpochNumber(11), EpochNumber(12)),
            time_us: (5, 65),
            shares: 3,
            root: merkle::root(&leaves),
        };
        let note = own.sign(&key);
        assert_eq!(Acceptance::open(&note, &public), Ok(own.clone()));
        for at in 0..note.len() * 8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(Acceptance::open(&text, &public).is_err(), "bit {at}");
            }
        }
        let bytes = leaves.concat();
        assert_eq!(own.leaves(&bytes).unwrap(), leaves);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(own.leaves(&changed).is_err());
        }
        assert!(
            own.leaves(&bytes[..64]).is_err() && own.leaves(&[&bytes[..], &[0]].concat()).is_err()
        );
    }
}
