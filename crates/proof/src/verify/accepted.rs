//! What gateways signed that they accepted, held against what the record counts.

use super::budget::Budget;
use super::entries::Log;
use super::source::{Source, whole};
use super::{VerifyError, lie};
use crate::Hash;
use crate::acceptance::{Acceptance, FOLDER, LEAVES, LEAVES_MAX, range_path, read_range};
use crate::note::{NOTE_BYTES_MAX, NoteKey};
use gruve_units::{EpochNumber, LaneId};
use std::collections::{BTreeMap, BTreeSet};

/// Notes of a lane that are asked for where files cannot be listed, the newest: four hours. Each takes two requests.
const ASKED_MAX: u64 = 240;
/// Bytes of the file that says which there are.
const RANGE_BYTES_MAX: usize = 64;
/// Accepted shares that are held against the record at most.
const HELD_MAX: usize = 1 << 22;
/// Bytes that one takes while the list of them grows.
const LEAF_COST: u64 = 2 * 32 + 1;

/// Accepted shares of one lane, and which of them were found.
#[derive(Default)]
pub(super) struct Accepted {
    /// The first 16 bytes of each leaf, and the epochs in which it may be counted; sorted.
    leaves: Vec<([u8; 16], (EpochNumber, EpochNumber))>,
    found: Vec<bool>,
}

fn short(leaf: &Hash) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&leaf[..16]);
    id
}

/// Reads the acceptance roots that are there.
pub(super) fn read(
    source: &dyn Source,
    log: &Log,
    budget: &mut Budget,
) -> Result<BTreeMap<LaneId, Accepted>, VerifyError> {
    let mut all: BTreeMap<LaneId, Accepted> = BTreeMap::new();
    let mut held = 0;
    for path in &notes(source, log)? {
        let Some(own) = note(source, log, path)? else { continue };
        let beside = format!("{path}{LEAVES}");
        let bytes = match whole(source, &beside, 32 * LEAVES_MAX, "acceptance-missing") {
            Ok(bytes) => bytes,
            // Old ones go while they are read.
            Err(_) if note(source, log, path)?.is_none() => continue,
            Err(e) => return Err(e),
        };
        let leaves = match own.leaves(&bytes) {
            Ok(leaves) => leaves,
            Err(e) => return lie("acceptance-malformed", path, e),
        };
        held += leaves.len();
        if held <= HELD_MAX {
            budget.take(LEAF_COST * leaves.len() as u64, path)?;
            let of = all.entry(own.lane).or_default();
            of.leaves.extend(leaves.iter().map(|leaf| (short(leaf), own.epochs)));
        }
    }
    for of in all.values_mut() {
        of.leaves.sort_unstable();
        of.found = vec![false; of.leaves.len()];
    }
    Ok(all)
}

/// Paths of the notes that are there, or may be.
fn notes(source: &dyn Source, log: &Log) -> Result<Vec<String>, VerifyError> {
    let unreadable = |source| VerifyError::Unreadable { path: FOLDER.to_owned(), source };
    if let Some(mut files) = source.list().map_err(unreadable)? {
        // Leaves without a note claim nothing: the note is written after them, and goes before them. Names that begin with a
        // dot are no part of the record.
        let is_note = |f: &str| {
            is_own(f) && !f.ends_with(LEAVES) && !f.contains("/.") && !f.ends_with("/range")
        };
        files.retain(|f| is_note(f));
        return Ok(files);
    }
    let lanes: BTreeSet<&LaneId> = log.epochs.iter().map(|e| &e.summary.lane).collect();
    let mut all = Vec::new();
    for lane in lanes {
        let path = range_path(lane);
        if source.open(&path).map_err(unreadable)?.is_none() {
            continue;
        }
        let bytes = whole(source, &path, RANGE_BYTES_MAX, "acceptance-missing")?;
        let Some((first, last)) = std::str::from_utf8(&bytes).ok().and_then(read_range) else {
            return lie("acceptance-malformed", path, "not the numbers of two notes");
        };
        let from = first.max(last.saturating_sub(ASKED_MAX - 1));
        all.extend((from..=last).map(|n| format!("{FOLDER}/{lane}/{n}")));
    }
    Ok(all)
}

/// Whether a file is one of acceptance roots.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// A note; nothing when it is gone.
fn note(source: &dyn Source, log: &Log, path: &str) -> Result<Option<Acceptance>, VerifyError> {
    let unreadable = |source| VerifyError::Unreadable { path: path.to_owned(), source };
    if source.open(path).map_err(unreadable)?.is_none() {
        return Ok(None);
    }
    let bytes = whole(source, path, NOTE_BYTES_MAX, "acceptance-missing")?;
    let note = String::from_utf8(bytes).unwrap_or_default();
    let opened = log.keys.iter().find_map(|(_, key)| {
        let key = NoteKey::new(&log.head.origin, *key)?;
        Acceptance::open(&note, &key).ok()
    });
    match opened {
        Some(own) if own.path() == path => Ok(Some(own)),
        _ => lie("acceptance-malformed", path, "no signed acceptance root of this place"),
    }
}

impl Accepted {
    /// A share's leaf stands in the record.
    pub(super) fn found(&mut self, leaf: &Hash) {
        let id = short(leaf);
        let from = self.leaves.partition_point(|(l, _)| *l < id);
        let same = self.leaves[from..].iter().take_while(|(l, _)| *l == id).count();
        self.found[from..from + same].fill(true);
    }

    /// How many accepted shares the record should hold, and how many of them it does not. `last` is the last entry's
    /// epoch; `blind` the last one whose shares were not all seen (unproven, sampled, or not checked now).
    pub(super) fn left_out(&self, last: EpochNumber, blind: Option<EpochNumber>) -> (u64, u64) {
        let should = |(from, to): (EpochNumber, EpochNumber)| {
            to <= last && blind.is_none_or(|blind| blind < from)
        };
        let all = self.leaves.iter().zip(&self.found).filter(|((_, epochs), _)| should(*epochs));
        all.fold((0, 0), |(all, missing), (_, found)| (all + 1, missing + u64::from(!found)))
    }
}
