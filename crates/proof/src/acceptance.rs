//! Acceptance roots: what a gateway says, minute by minute, that it has accepted.
//!
//! A signed note (C2SP) names lane, minute, number of shares and the RFC 6962 root over their leaves and levels, in the order in
//! which they were accepted; a file beside it has these. Whoever keeps the two, and own shares that stand in them, can
//! show anybody that a share was accepted and is not in the record.
//!
//! A share's *level* is the power of two that its hash reached at least: its class, or more. Where a sample is opened, those
//! whose level is not below the threshold must be in it; without the level nobody could tell them from the others.
//!
//! | file | content |
//! |---|---|
//! | `accepted/LANE/NUMBER` | the note |
//! | `accepted/LANE/NUMBER.leaves` | leaf (32 bytes) and level (1) of each; of notes of the first form the leaves alone |
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
/// Shares of one note at most: 33 MiB of leaves.
pub const LEAVES_MAX: usize = 1 << 20;
/// Bytes of a leaf with its level.
pub const LEAF_BYTES: usize = 33;
/// The first lines of notes: without levels, with them.
const FORMS: [&str; 2] = ["gruve accepted 1", "gruve accepted 2"];
/// The first line of the file that says which notes are there.
const RANGE_FORM: &str = "gruve accepted range 1";
/// What ends the name of a file of leaves.
pub const LEAVES: &str = ".leaves";

/// The path of the file that says which of a lane's notes are there.
#[must_use]
pub fn range_path(lane: &LaneId) -> String {
    format!("{FOLDER}/{lane}/range")
}

/// Which notes of a lane are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedRange {
    /// The log.
    pub origin: String,
    /// The lane.
    pub lane: LaneId,
    /// The number of the first note that is there.
    pub first: u64,
    /// The number of the last one, not below the first.
    pub last: u64,
}

impl AcceptedRange {
    fn body(&self) -> String {
        let AcceptedRange { origin, lane, first, last } = self;
        format!("{RANGE_FORM}\n{origin}\n{lane}\n{first} {last}\n")
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
    pub fn open(note: &str, key: &NoteKey) -> Result<AcceptedRange, NoteError> {
        let body = open(note, key)?;
        let own = AcceptedRange::read(body).ok_or(NoteError::Malformed)?;
        // One form alone, signature lines included: whoever changes anything at all is noticed.
        if own.body() == body && own.origin == key.name && note.lines().count() == 6 {
            Ok(own)
        } else {
            Err(NoteError::Malformed)
        }
    }

    fn read(body: &str) -> Option<AcceptedRange> {
        let mut lines = body.lines();
        if lines.next()? != RANGE_FORM {
            return None;
        }
        let (origin, lane) = (lines.next()?.to_owned(), lines.next()?.parse().ok()?);
        let (first, last) = numbers(lines.next()?)?;
        Some(AcceptedRange { origin, lane, first, last })
    }
}

fn numbers(line: &str) -> Option<(u64, u64)> {
    let (first, last) = line.split_once(' ')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// The numbers in such a file, ascending, whoever signed it; `None` when it is none. The first form was the numbers alone.
#[must_use]
pub fn read_range(text: &str) -> Option<(u64, u64)> {
    match AcceptedRange::read(text) {
        Some(own) => Some((own.first, own.last)),
        None => read_plain_range(text),
    }
}

/// The numbers in a file of the first form, which nobody signed.
#[must_use]
pub fn read_plain_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = numbers(text.strip_suffix('\n')?)?;
    (format!("{first} {last}\n") == text).then_some((first, last))
}

/// An accepted share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedLeaf {
    /// Its leaf of the share tree.
    pub hash: Hash,
    /// The power of two that its hash reached at least.
    pub level: u8,
}

impl AcceptedLeaf {
    /// As it stands in the file.
    #[must_use]
    pub fn to_bytes(self) -> [u8; LEAF_BYTES] {
        let mut out = [self.level; LEAF_BYTES];
        out[..32].copy_from_slice(&self.hash);
        out
    }

    /// Its leaf under a note's root.
    fn node(&self) -> Hash {
        merkle::leaf_hash(&self.to_bytes())
    }
}

/// The root of a note.
#[must_use]
pub fn root(leaves: &[AcceptedLeaf]) -> Hash {
    let nodes: Vec<Hash> = leaves.iter().map(AcceptedLeaf::node).collect();
    merkle::root(&nodes)
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Whether its leaves have levels: those of the first form have none.
    pub has_levels: bool,
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
            "{}\n{}\n{}\n{}\n{first} {last}\n{from} {to}\n{}\n{}\n",
            FORMS[usize::from(self.has_levels)],
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
        let form = line()?;
        let has_levels = FORMS.iter().position(|own| *own == form)? == 1;
        let (origin, lane) = (line()?.to_owned(), line()?.parse().ok()?);
        let number = line()?.parse().ok()?;
        let (first, last) = line()?.split_once(' ')?;
        let epochs = (EpochNumber(first.parse().ok()?), EpochNumber(last.parse().ok()?));
        let (from, to) = line()?.split_once(' ')?;
        let time_us = (from.parse().ok()?, to.parse().ok()?);
        let shares = line()?.parse().ok()?;
        let root = STANDARD.decode(line()?).ok()?.try_into().ok()?;
        Some(Acceptance { has_levels, origin, lane, number, epochs, time_us, shares, root })
    }

    /// The leaves in a file, which must be those of the root.
    ///
    /// # Errors
    /// When they are not.
    pub fn leaves(&self, bytes: &[u8]) -> Result<Vec<AcceptedLeaf>, WireError> {
        const OTHERS: WireError =
            WireError::Malformed("other leaves than those of the signed root");
        let is_good = |rest: &[u8], n: usize, root: &dyn Fn() -> Hash| {
            rest.is_empty() && n as u64 == self.shares && root() == self.root
        };
        if !self.has_levels {
            let (all, rest) = bytes.as_chunks::<32>();
            let plain = |hash: &Hash| AcceptedLeaf { hash: *hash, level: 0 };
            let good = is_good(rest, all.len(), &|| merkle::root(all));
            return if good { Ok(all.iter().map(plain).collect()) } else { Err(OTHERS) };
        }
        let (all, rest) = bytes.as_chunks::<LEAF_BYTES>();
        let one = |bytes: &[u8; LEAF_BYTES]| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&bytes[..32]);
            AcceptedLeaf { hash, level: bytes[32] }
        };
        let leaves: Vec<AcceptedLeaf> = all.iter().map(one).collect();
        if is_good(rest, all.len(), &|| root(&leaves)) { Ok(leaves) } else { Err(OTHERS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_of_a_note_or_its_leaves_is_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = NoteKey::new("log.example", key.verifying_key().to_bytes()).unwrap();
        let leaf = |n: u8| AcceptedLeaf { hash: [n; 32], level: 30 + n };
        let leaves = [leaf(1), leaf(2), leaf(3)];
        let own = Acceptance {
            has_levels: true,
            origin: "log.example".into(),
            lane: "btc".parse().unwrap(),
            number: 7,
            epochs: (EpochNumber(11), EpochNumber(12)),
            time_us: (5, 65),
            shares: 3,
            root: root(&leaves),
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
        let bytes = leaves.map(AcceptedLeaf::to_bytes).concat();
        assert_eq!(own.leaves(&bytes).unwrap(), leaves);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(own.leaves(&changed).is_err());
        }
        assert!(
            own.leaves(&bytes[..66]).is_err() && own.leaves(&[&bytes[..], &[0]].concat()).is_err()
        );
        let plain = leaves.map(|l| l.hash);
        let first = Acceptance { has_levels: false, root: merkle::root(&plain), ..own };
        assert_eq!(Acceptance::open(&first.sign(&key), &public), Ok(first.clone()));
        assert_eq!(
            first.leaves(&plain.concat()).unwrap(),
            leaves.map(|l| AcceptedLeaf { level: 0, ..l })
        );
        assert!(first.leaves(&bytes).is_err());
    }
}
