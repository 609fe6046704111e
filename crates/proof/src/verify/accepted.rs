//! What gateways signed that they accepted, held against what the record counts.

use super::budget::Budget;
use super::entries::Log;
use super::source::{Source, if_there, listed, whole};
use super::{VerifyError, lie};
use crate::Hash;
use crate::acceptance::{
    Acceptance, AcceptedLeaf, AcceptedRange, FOLDER, LEAF_BYTES, LEAVES, LEAVES_MAX, range_path,
    read_plain_range,
};
use crate::note::{NOTE_BYTES_MAX, NoteKey};
use gruve_units::{EpochNumber, LaneId};
use std::collections::{BTreeMap, BTreeSet};

/// Notes of a lane that are asked for where files cannot be listed, the newest: four hours. Each takes two requests.
const ASKED_MAX: u64 = 240;
/// Those of all lanes together: ten of them have four hours, a log that names lanes without end does not have its server asked without end.
const ASKED_ALL_MAX: u64 = 10 * ASKED_MAX;
/// Accepted shares that are held against the record at most.
const HELD_MAX: usize = 1 << 22;
/// Bytes that one takes while the list of them grows.
const LEAF_COST: u64 = 2 * 24 + 1;
/// How far ahead of a reader's clock a note may be, microseconds.
const CLOCK_SLACK_US: u64 = 2 * 3_600 * 1_000_000;

/// Accepted shares of one lane, and which of them were found.
#[derive(Default)]
pub(super) struct Accepted {
    /// Sorted by their beginnings.
    leaves: Vec<Leaf>,
    found: Vec<bool>,
    /// The epochs in which shares of each note may be counted.
    notes: Vec<(EpochNumber, EpochNumber)>,
    /// Shares of notes that were not looked at, because there are more than are held.
    skipped: u64,
}

/// An accepted share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Leaf {
    /// The first 16 bytes of its leaf.
    id: [u8; 16],
    /// Its note's place.
    note: u32,
    /// What its hash reached at least.
    level: u8,
}

/// What became of a lane's accepted shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Those that the record must have.
    pub(super) due: u64,
    /// Those of them that it has not.
    pub(super) missing: u64,
    /// Those of which nobody can say: their epochs are not proven, or open a sample that they need not be in.
    pub(super) unseen: u64,
    /// Those that were not looked at.
    pub(super) skipped: u64,
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
    now_us: Option<u64>,
    budget: &mut Budget,
) -> Result<BTreeMap<LaneId, Accepted>, VerifyError> {
    let mut all: BTreeMap<LaneId, Accepted> = BTreeMap::new();
    let mut held = 0;
    for path in &newest_first(notes(source, log, budget)?, log) {
        let Some(own) = note(source, log, path)? else { continue };
        in_its_time(&own, log, now_us, path)?;
        let of = all.entry(own.lane.clone()).or_default();
        if held + usize::try_from(own.shares).unwrap_or(usize::MAX).min(LEAVES_MAX) > HELD_MAX {
            of.skipped = of.skipped.saturating_add(own.shares);
            continue;
        }
        let beside = format!("{path}{LEAVES}");
        let bytes = match whole(source, &beside, LEAF_BYTES * LEAVES_MAX, "acceptance-missing") {
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
        budget.take(LEAF_COST * leaves.len() as u64, path)?;
        let note = u32::try_from(of.notes.len()).unwrap_or(u32::MAX);
        of.notes.push(own.epochs);
        let leaf = |l: &AcceptedLeaf| Leaf { id: short(&l.hash), note, level: l.level };
        of.leaves.extend(leaves.iter().map(leaf));
    }
    for of in all.values_mut() {
        of.leaves.sort_unstable();
        of.found = vec![false; of.leaves.len()];
    }
    Ok(all)
}

/// The newest of each lane first, those of lanes that the log does not have last: where there are more than are held, whoever
/// writes many cannot choose which are.
fn newest_first(mut paths: Vec<String>, log: &Log) -> Vec<String> {
    let lanes: BTreeSet<String> =
        log.epochs.iter().map(|e| format!("{FOLDER}/{}", e.summary.lane)).collect();
    let key = |path: &str| {
        let (lane, number) = path.rsplit_once('/').unwrap_or((path, ""));
        let number = number.parse::<u64>().unwrap_or(0);
        (!lanes.contains(lane), lane.to_owned(), std::cmp::Reverse(number))
    };
    paths.sort_by_cached_key(|path| key(path));
    // One of each lane, then the next of each.
    let (mut lane, mut n) = (String::new(), 0usize);
    let mut ranked: Vec<(bool, usize, String)> = Vec::with_capacity(paths.len());
    for path in paths {
        let (is_unknown, own, _) = key(&path);
        n = if own == lane { n + 1 } else { 0 };
        lane = own;
        ranked.push((is_unknown, n, path));
    }
    ranked.sort();
    ranked.into_iter().map(|(_, _, path)| path).collect()
}

/// Refuses a note whose shares would never be due: of a time that has not come, or to be counted long after its time. One that
/// would have them counted in epochs of before its time, too: whoever may choose the epochs takes some in which nobody could say
/// what is missing.
fn in_its_time(
    own: &Acceptance,
    log: &Log,
    now_us: Option<u64>,
    path: &str,
) -> Result<(), VerifyError> {
    let (from, to) = own.time_us;
    let length = log.epochs.iter().rev().find(|e| e.summary.lane == own.lane);
    // The gateway's clock may go back a little.
    let at_end = length.map(|e| EpochNumber(to / e.summary.length_us));
    let is_late = at_end.is_some_and(|at| own.epochs.1 > at.next());
    let is_early = at_end.is_some_and(|at| own.epochs.1 < at);
    let is_ahead = now_us.is_some_and(|now| to > now.saturating_add(CLOCK_SLACK_US));
    if is_late || is_early || is_ahead || from > to || own.epochs.0 > own.epochs.1 {
        return lie("acceptance-malformed", path, "its shares are said to be due at another time");
    }
    Ok(())
}

/// Paths of the notes that are there, or may be.
fn notes(source: &dyn Source, log: &Log, budget: &Budget) -> Result<Vec<String>, VerifyError> {
    if let Some(mut files) = listed(source, budget)? {
        // Leaves without a note claim nothing: the note is written after them, and goes before them. Names that begin with a
        // dot are no part of the record.
        files.retain(|f| is_own(f) && !f.ends_with(LEAVES) && !f.contains("/."));
        let (ranges, notes): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|f| f.ends_with("/range"));
        // What they say is seen here; that it was changed is told all the same: who reads without a list would believe it.
        for path in ranges {
            range(source, log, &path)?;
        }
        return Ok(notes);
    }
    let lanes: BTreeSet<&LaneId> = log.epochs.iter().map(|e| &e.summary.lane).collect();
    let mut all = Vec::new();
    let each = ASKED_ALL_MAX.checked_div(lanes.len() as u64).unwrap_or(0).clamp(1, ASKED_MAX);
    for lane in lanes {
        let path = range_path(lane);
        let Some((first, last)) = range(source, log, &path)? else { continue };
        let from = first.max(last.saturating_sub(each - 1));
        all.extend((from..=last).map(|n| format!("{FOLDER}/{lane}/{n}")));
    }
    Ok(all)
}

/// The numbers of the first and the last note that are there; nothing when nobody says so.
fn range(source: &dyn Source, log: &Log, path: &str) -> Result<Option<(u64, u64)>, VerifyError> {
    let Some(bytes) = if_there(source, path, NOTE_BYTES_MAX)? else { return Ok(None) };
    let text = String::from_utf8(bytes).unwrap_or_default();
    let signed = log.keys.iter().find_map(|(_, key)| {
        let key = NoteKey::new(&log.head.origin, *key)?;
        AcceptedRange::open(&text, &key).ok()
    });
    match (signed, read_plain_range(&text)) {
        (Some(own), _) if range_path(&own.lane) == path => Ok(Some((own.first, own.last))),
        (None, Some(plain)) if is_of_a_lane(path) => Ok(Some(plain)),
        _ => lie("acceptance-malformed", path, "not the signed numbers of two notes of this lane"),
    }
}

/// Whether the numbers of a lane's notes stand there.
fn is_of_a_lane(path: &str) -> bool {
    let name =
        path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/')?.strip_suffix("/range"));
    name.is_some_and(|name| name.parse::<LaneId>().is_ok())
}

/// Whether a file is one of acceptance roots.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
}

/// A note; nothing when it is gone.
fn note(source: &dyn Source, log: &Log, path: &str) -> Result<Option<Acceptance>, VerifyError> {
    let Some(bytes) = if_there(source, path, NOTE_BYTES_MAX)? else { return Ok(None) };
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
        let from = self.leaves.partition_point(|l| l.id < id);
        let same = self.leaves[from..].iter().take_while(|l| l.id == id).count();
        self.found[from..from + same].fill(true);
    }

    /// What became of them. `last` is the last entry's epoch, `blind` the epochs whose shares were not all seen (unproven, or
    /// not checked now), ascending; `threshold` is the highest by which work of some epochs may be opened.
    pub(super) fn compared(
        &self,
        last: EpochNumber,
        blind: &[EpochNumber],
        threshold: impl Fn((EpochNumber, EpochNumber)) -> u8,
    ) -> Compared {
        let is_blind = |(from, to): (EpochNumber, EpochNumber)| {
            blind.get(blind.partition_point(|b| *b < from)).is_some_and(|b| *b <= to)
        };
        // Nothing is due of a note that ends after the last entry.
        let least: Vec<Option<Option<u8>>> = self
            .notes
            .iter()
            .map(|n| (n.1 <= last).then(|| (!is_blind(*n)).then(|| threshold(*n))))
            .collect();
        let mut told = Compared { skipped: self.skipped, ..Compared::default() };
        for (leaf, found) in self.leaves.iter().zip(&self.found) {
            match least.get(leaf.note as usize).copied().flatten() {
                None => {}
                Some(Some(least)) if leaf.level >= least => {
                    told.due += 1;
                    told.missing += u64::from(!found);
                }
                Some(_) => told.unseen += u64::from(!found),
            }
        }
        told
    }
}
