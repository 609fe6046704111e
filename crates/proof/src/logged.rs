//! That an entry stands in the log that the operator has signed: the part that all of a customer's proofs share.

use crate::note::{Checkpoint, NoteKey};
use crate::{Hash, merkle};
use serde::{Deserialize, Serialize};

/// Siblings of a proof at most: more levels than any tree here has.
pub(crate) const PROOF_MAX: usize = 64;

/// An entry, its place, and the way to a signed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// The operator's log.
    pub origin: String,
    /// The entry, hex.
    pub entry: String,
    /// Its place in the log.
    pub entry_index: u64,
    /// Its siblings in the log, hex, lowest first.
    pub log_proof: Vec<String>,
    /// The signed head that they lead to.
    pub checkpoint: String,
}

/// Why an entry is not shown to be in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoggedError {
    /// A field is not of the form.
    #[error("the proof's {0} is not of the form")]
    Malformed(&'static str),
    /// No good signature.
    #[error("the operator's key has not signed this head")]
    NotSigned,
    /// The entry is not in the log.
    #[error("the entry is not in the log that was signed")]
    NotInLog,
}

impl Logged {
    /// The proof for entry `index` of a log with these leaves under a signed head; `None` when it has no such entry.
    #[must_use]
    pub fn new(leaves: &[Hash], index: u64, entry: &[u8], checkpoint: &str) -> Option<Logged> {
        let head = Checkpoint::read(checkpoint).ok()?;
        let leaves = leaves.get(..usize::try_from(head.size).ok()?)?;
        let proof = merkle::inclusion_proof(leaves, usize::try_from(index).ok()?)?;
        Some(Logged {
            origin: head.origin,
            entry: hex::encode(entry),
            entry_index: index,
            log_proof: proof.iter().map(hex::encode).collect(),
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The head and the entry's bytes, when every step holds.
    ///
    /// # Errors
    /// The first that does not.
    pub fn open(&self, key: &NoteKey) -> Result<(Checkpoint, Vec<u8>), LoggedError> {
        let Logged { origin, entry, entry_index, log_proof, checkpoint } = self;
        Steps { origin, entry, entry_index: *entry_index, log_proof, checkpoint }.open(key)
    }
}

/// The same fields, wherever they stand: a receipt has them beside its own.
pub(crate) struct Steps<'a> {
    pub(crate) origin: &'a str,
    pub(crate) entry: &'a str,
    pub(crate) entry_index: u64,
    pub(crate) log_proof: &'a [String],
    pub(crate) checkpoint: &'a str,
}

impl Steps<'_> {
    /// As [`Logged::open`].
    pub(crate) fn open(&self, key: &NoteKey) -> Result<(Checkpoint, Vec<u8>), LoggedError> {
        let malformed = LoggedError::Malformed;
        if self.log_proof.len() > PROOF_MAX {
            return Err(malformed("log_proof"));
        }
        let head = Checkpoint::open(self.checkpoint, key).map_err(|_| LoggedError::NotSigned)?;
        if head.origin != self.origin {
            return Err(malformed("origin"));
        }
        let entry = hex::decode(self.entry).map_err(|_| malformed("entry"))?;
        let mut proof = Vec::new();
        for text in self.log_proof {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map_err(|_| malformed("log_proof"))?;
            proof.push(hash);
        }
        let leaf = merkle::leaf_hash(&entry);
        match merkle::verify_inclusion(&head.root, head.size, self.entry_index, &leaf, &proof) {
            true => Ok((head, entry)),
            false => Err(LoggedError::NotInLog),
        }
    }
}
