//! The log: one signed history.

use super::budget::{Budget, ENTRY_COST};
use super::source::{Source, whole};
use super::{Options, Verdict, VerifyError, lie};
use crate::funds::{FundsEntry, OwedError, OwedProof, OwedShown};
use crate::log::{Entry, KEYS_MAX, LogHead};
use crate::logged::LoggedError;
use crate::note::{Checkpoint, NOTE_BYTES_MAX, NoteKey};
use crate::publish::{CHECKPOINT_FILE, KEY_FILE};
use crate::receipt::{Receipt, ReceiptError, Shown};
use crate::series::{InSeries, SeriesError, SeriesReader};
use crate::sold::SoldLeaf;
use crate::summary::{EpochSummary, FileRef, GENESIS};
use crate::tiles::{self, BUNDLE_MAX, ENTRIES_MAX};
use crate::witness::{self, Cosigned};
use crate::{Hash, merkle};
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::collections::BTreeMap;
use std::io::Read;

/// What a visitor remembers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Visit {
    /// The first operator key, in text.
    pub key: String,
    /// The head seen.
    pub checkpoint: Checkpoint,
}

/// An epoch and its place.
#[derive(Clone, Debug)]
pub(super) struct EpochEntry {
    pub(super) at: u64,
    pub(super) summary: EpochSummary,
}

/// The log, checked.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) head: LogHead,
    pub(super) first_key: NoteKey,
    /// Keys and the entries from which on each is in force.
    pub(super) keys: Vec<(u64, [u8; 32])>,
    pub(super) checkpoint: Checkpoint,
    pub(super) epochs: Vec<EpochEntry>,
    /// Statements of funds, with their places.
    pub(super) funds: Vec<(u64, FundsEntry)>,
    /// Hashes of all entries.
    pub(super) leaves: Vec<Hash>,
    /// Who has signed the head beside the operator.
    pub(super) witnessed: Vec<Cosigned>,
    pub(super) is_key_from_elsewhere: bool,
}

impl Log {
    /// Keys that stamps of an epoch at this place may hold: those in force up to it.
    pub(super) fn keys_at(&self, at: u64) -> impl Iterator<Item = &[u8; 32]> {
        self.keys.iter().filter(move |(from, _)| *from <= at).map(|(_, key)| key)
    }
}

/// Reads and checks the whole log.
pub(super) fn read(
    source: &dyn Source,
    options: &Options,
    budget: &mut Budget,
) -> Result<Log, VerifyError> {
    let note = whole(source, CHECKPOINT_FILE, NOTE_BYTES_MAX, "checkpoint-missing")?;
    let Ok(note) = String::from_utf8(note) else {
        return lie("checkpoint-malformed", CHECKPOINT_FILE, "not text");
    };
    let claimed = match Checkpoint::read(&note) {
        Ok(claimed) => claimed,
        Err(e) => return lie("checkpoint-malformed", CHECKPOINT_FILE, e),
    };
    if claimed.size == 0 || claimed.size > ENTRIES_MAX {
        return lie("checkpoint-malformed", CHECKPOINT_FILE, "an impossible number of entries");
    }
    let entries = bundles(source, claimed.size, budget)?;
    let leaves: Vec<Hash> = entries.iter().map(|e| merkle::leaf_hash(e)).collect();
    if merkle::root(&leaves) != claimed.root {
        return lie("log-altered", "tile/entries", "the entries are not those of the checkpoint");
    }
    for (path, bytes) in tiles::tiles(&leaves, 0) {
        if whole(source, &path, 8_192, "tile-missing")? != bytes {
            return lie("tile-wrong", path, "the tile does not hold the hashes of the entries");
        }
    }
    let (first_key, known) = first_key(source, options, &claimed.origin)?;
    let mut log = replay(&entries, &claimed, first_key, known.is_some())?;
    if let Some(known) = known.filter(|known| !log_keys(&log).iter().any(|(_, key)| key == known)) {
        let what = format!("{known} was told, and the log never had it");
        return lie("other-key", KEY_FILE, what);
    }
    let key = log.keys.last().map_or(log.head.operator_key, |(_, key)| *key);
    let key = NoteKey { name: log.head.origin.clone(), key };
    if let Err(e) = Checkpoint::open(&note, &key) {
        return lie("checkpoint-unsigned", CHECKPOINT_FILE, e);
    }
    log.witnessed = match witness::cosigned(&note, &options.witnesses) {
        Ok(witnessed) => witnessed,
        Err(e) => return lie("witness-forged", CHECKPOINT_FILE, e),
    };
    if log.witnessed.len() < options.witnesses_min {
        let what = format!(
            "{} of the witnesses named have signed, {} are asked for",
            log.witnessed.len(),
            options.witnesses_min
        );
        return lie("witnesses-missing", CHECKPOINT_FILE, what);
    }
    if let Some(last) = &options.last {
        is_beginning(&last.checkpoint, &leaves, &claimed, "what you saw last time")?;
    }
    for other in &options.seen_elsewhere {
        check_note(other, &log_keys(&log), &leaves, &claimed)?;
    }
    log.leaves = leaves;
    Ok(log)
}

/// Keys, each with the size of the log from which on it signs.
pub(super) fn log_keys(log: &Log) -> Vec<(u64, NoteKey)> {
    let named = |key| NoteKey { name: log.head.origin.clone(), key };
    log.keys.iter().map(|(from, key)| (*from, named(*key))).collect()
}

/// The key that signs a head of the size that a note says: one that was replaced before, and may be in a thief's hands, signs no
/// more.
fn in_force<'a>(note: &str, keys: &'a [(u64, NoteKey)]) -> Option<&'a NoteKey> {
    let size = Checkpoint::read(note).ok()?.size;
    keys.iter().rev().find(|(from, _)| *from <= size).map(|(_, key)| key)
}

/// Holds a checkpoint that somebody else was given against this log. One that no key of the log has signed is told
/// as unreadable, not as a lie: anybody could have made it up.
///
/// # Errors
/// The lie of two histories.
pub(super) fn check_note(
    note: &str,
    keys: &[(u64, NoteKey)],
    leaves: &[Hash],
    own: &Checkpoint,
) -> Result<(), VerifyError> {
    let signed = in_force(note, keys).and_then(|key| Checkpoint::open(note, key).ok());
    let Some(other) = signed else {
        let source = std::io::Error::other("no key that signs heads of this size has signed it");
        return Err(VerifyError::Unreadable {
            path: "the checkpoint from elsewhere".into(),
            source,
        });
    };
    is_beginning(&other, leaves, own, "what somebody else was shown")
}

/// Holds receipts against a verified log.
#[derive(Debug)]
pub struct ReceiptChecker {
    keys: Vec<(u64, NoteKey)>,
    leaves: Vec<Hash>,
    own: Checkpoint,
    /// The epochs of each lane that the log has.
    epochs: BTreeMap<LaneId, Vec<EpochNumber>>,
    /// What receipts are of, by contract and lane.
    of: BTreeMap<(ContractId, LaneId), BTreeMap<EpochNumber, SoldLeaf>>,
    /// The last head that was a beginning of this log: receipts of one file have few.
    known: Option<String>,
}

impl ReceiptChecker {
    pub(super) fn new(verdict: &Verdict, leaves: &[Hash]) -> ReceiptChecker {
        let keys = verdict.log_keys.clone();
        let own = verdict.visit.checkpoint.clone();
        let (epochs, of) = (verdict.entries_of.clone(), BTreeMap::new());
        ReceiptChecker { keys, leaves: leaves.to_vec(), own, epochs, of, known: None }
    }

    /// The epochs of which a contract has no receipt among those checked, though of one before and of one after it has: in
    /// words. A contract may have had no claim in them (the clock of some stands still now and then); one that was left out looks so,
    /// too.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut all = Vec::new();
        for ((contract, lane), own) in &self.of {
            let keys = own.keys().next().zip(own.keys().next_back());
            let Some((first, last)) = keys else { continue };
            let of = self.epochs.get(lane).map_or(&[][..], Vec::as_slice);
            let within = of.iter().filter(|e| *e > first && *e < last);
            let mut missing = within.filter(|e| !own.contains_key(*e));
            if let Some(one) = missing.next() {
                all.push(format!(
                    "contract {contract}, lane {lane}: no receipt of {} epochs between {first} and {last} that the log has, the first \
                     of them {one}: ask whether it was in their sold trees",
                    1 + missing.count()
                ));
            }
        }
        all
    }

    /// Where what a lease is owed fell by more than it got, from one epoch's receipt to that of the next: in words, the first of each
    /// contract. Something may have been refunded; who only cut the debt looks so, too.
    #[must_use]
    pub fn debts_cut(&self) -> Vec<String> {
        let mut all = Vec::new();
        for ((contract, lane), own) in &self.of {
            let of = self.epochs.get(lane).map_or(&[][..], Vec::as_slice);
            let both = of
                .windows(2)
                .filter_map(|two| Some((two[1], own.get(&two[0])?, own.get(&two[1])?)));
            let cut = |(_, before, after): &(EpochNumber, &SoldLeaf, &SoldLeaf)| {
                let (before, after) = (before.sums, after.sums);
                before.owed.saturating_sub(after.owed) > after.allocated
            };
            let mut cut = both.filter(|(_, _, after)| after.kind == 0).filter(cut);
            if let Some((epoch, before, after)) = cut.next() {
                all.push(format!(
                    "contract {contract}, lane {lane}: in epoch {epoch} it got {} hashes, and what is owed fell from {} to {}: ask \
                     what was refunded",
                    after.sums.allocated, before.sums.owed, after.sums.owed
                ));
            }
        }
        all
    }

    /// Checks a receipt: its head must be a beginning of this log, and every step to it hold.
    ///
    /// # Errors
    /// The step that does not hold.
    pub fn check(&mut self, receipt: &Receipt) -> Result<Shown, VerifyError> {
        let shown = match in_force(&receipt.checkpoint, &self.keys).map(|key| receipt.check(key)) {
            Some(Ok(shown)) => shown,
            None | Some(Err(ReceiptError::NotSigned)) => {
                return lie("receipt", "its head", ReceiptError::NotSigned);
            }
            Some(Err(e)) => return lie("receipt", format!("contract {}", receipt.contract), e),
        };
        self.check_head(&receipt.checkpoint)?;
        let of = self.of.entry((receipt.contract, shown.lane.clone())).or_default();
        of.insert(shown.epoch, receipt.leaf());
        Ok(shown)
    }

    /// Checks the receipts of a series, as [`ReceiptChecker::check`] does one, and tells each to `seen`; how many there are.
    ///
    /// # Errors
    /// The step that does not hold; a file that is no series is unreadable.
    pub fn check_series<R: Read>(
        &mut self,
        from: R,
        mut seen: impl FnMut(&InSeries),
    ) -> Result<u64, VerifyError> {
        let refuse = |whose: String, e: SeriesError| match e {
            SeriesError::Receipt(e) => lie("receipt", whose, e),
            SeriesError::Wire(e) => Err(VerifyError::Unreadable {
                path: "the receipts".into(),
                source: std::io::Error::other(e.to_string()),
            }),
        };
        let opened = SeriesReader::open(from, |note| in_force(note, &self.keys).cloned());
        let mut series = match opened {
            Ok(series) => series,
            Err(e) => return refuse("its head".into(), e),
        };
        self.check_head(&series.of().checkpoint)?;
        let contract = series.of().contract;
        let whose = format!("contract {contract}");
        let mut n = 0;
        loop {
            let one = match series.next_receipt() {
                Ok(Some(one)) => one,
                Ok(None) => return Ok(n),
                Err(e) => return refuse(whose, e),
            };
            // What is told here may be believed before the series has come to its end.
            let place = usize::try_from(one.entry_index).ok();
            if place.and_then(|at| self.leaves.get(at)) != Some(&one.entry_leaf) {
                return lie("receipt", whose, ReceiptError::NotInLog);
            }
            let of = self.of.entry((contract, one.shown.lane.clone())).or_default();
            of.insert(one.shown.epoch, one.leaf);
            seen(&one);
            n += 1;
        }
    }

    /// Checks a proof that a statement of funds counts what is owed to somebody, likewise.
    ///
    /// # Errors
    /// The step that does not hold.
    pub fn check_owed(&mut self, proof: &OwedProof) -> Result<OwedShown, VerifyError> {
        let not_signed = OwedError::Logged(LoggedError::NotSigned);
        let checked = in_force(&proof.logged.checkpoint, &self.keys).map(|key| proof.check(key));
        let shown = match checked {
            Some(Ok(shown)) => shown,
            Some(Err(e)) if e != not_signed => {
                return lie("owed", format!("account {}", proof.account), e);
            }
            _ => return lie("owed", "its head", not_signed),
        };
        self.check_head(&proof.logged.checkpoint)?;
        Ok(shown)
    }

    fn check_head(&mut self, note: &str) -> Result<(), VerifyError> {
        if self.known.as_deref() != Some(note) {
            check_note(note, &self.keys, &self.leaves, &self.own)?;
            self.known = Some(note.to_owned());
        }
        Ok(())
    }
}

fn is_beginning(
    other: &Checkpoint,
    leaves: &[Hash],
    own: &Checkpoint,
    what: &str,
) -> Result<(), VerifyError> {
    let at = format!("{what}: {} entries", other.size);
    if other.origin != own.origin {
        return lie("other-log", at, "a log of another name");
    }
    if other.size > own.size {
        return lie("history-cut", at, format!("this log has {} entries only", own.size));
    }
    let part = usize::try_from(other.size).ok().and_then(|n| leaves.get(..n));
    if part.map(merkle::root) == Some(other.root) {
        return Ok(());
    }
    let name = if other.size == own.size { "split-view" } else { "history-rewritten" };
    lie(name, at, "its entries were others than this log's")
}

fn bundles(
    source: &dyn Source,
    size: u64,
    budget: &mut Budget,
) -> Result<Vec<Vec<u8>>, VerifyError> {
    let mut entries = Vec::new();
    for (n, width) in tiles::pieces(size) {
        let path = tiles::bundle_path(n, width);
        let bytes = whole(source, &path, BUNDLE_MAX, "entries-missing")?;
        budget.take(bytes.len() as u64 + width * ENTRY_COST, &path)?;
        match tiles::decode_bundle(&bytes, width) {
            Some(some) => entries.extend(some),
            None => return lie("entries-malformed", path, "not so many entries"),
        }
    }
    Ok(entries)
}

/// The first key, from the folder, and the one that is known from elsewhere: from the caller, or from the last visit. That one may be
/// any that the log has had: whoever has it signed that it follows the one before, and appoints those behind it.
fn first_key(
    source: &dyn Source,
    options: &Options,
    origin: &str,
) -> Result<(NoteKey, Option<NoteKey>), VerifyError> {
    let text = whole(source, KEY_FILE, 1_024, "key-missing")?;
    let text = String::from_utf8(text).unwrap_or_default();
    let own = text.strip_suffix('\n').map(NoteKey::parse);
    let Some(Ok(own)) = own else { return lie("key-malformed", KEY_FILE, "not a verifier key") };
    if own.name != origin {
        return lie("key-malformed", KEY_FILE, "the key of another log");
    }
    let last = options.last.as_ref().map(|l| NoteKey::parse(&l.key));
    Ok((own, options.key.clone().or_else(|| last.and_then(Result::ok))))
}

/// Holds an epoch's entry against its lane's entry before it.
fn follows(
    summary: &EpochSummary,
    before: Option<&EpochSummary>,
    place: &str,
) -> Result<(), VerifyError> {
    let (epoch, checkpoint) =
        before.map_or((EpochNumber(0), GENESIS), |b| (b.epoch, b.checkpoint()));
    if summary.epoch <= epoch {
        let what = format!("lane {}, epoch {}", summary.lane, summary.epoch);
        return lie("epoch-twice", place, what);
    }
    if (summary.prev_epoch, summary.prev_checkpoint) != (epoch, checkpoint) {
        return lie("chain-broken", place, "it does not follow the lane's entry before it");
    }
    // Another algorithm would make other work of the same count of hashes, another length another time of the same
    // number of epochs.
    if before.is_some_and(|b| (b.algorithm, b.length_us) != (summary.algorithm, summary.length_us))
    {
        let what = "a lane keeps the algorithm and the epoch's length that it began with";
        return lie("lane-changed", place, what);
    }
    // Who has published where rewards go cannot stop to say it.
    let has_places = |s: &EpochSummary| s.places != FileRef::default();
    if before.is_some_and(has_places) && !has_places(summary) {
        let what = "a lane that has published the places of its rewards goes on to";
        return lie("places-withdrawn", place, what);
    }
    Ok(())
}

/// Follows keys and epochs through the entries.
fn replay(
    entries: &[Vec<u8>],
    checkpoint: &Checkpoint,
    first_key: NoteKey,
    is_key_from_elsewhere: bool,
) -> Result<Log, VerifyError> {
    let mut head = None;
    let mut keys: Vec<(u64, [u8; 32])> = Vec::new();
    let mut epochs = Vec::new();
    let mut funds: Vec<(u64, FundsEntry)> = Vec::new();
    let mut last: BTreeMap<LaneId, EpochSummary> = BTreeMap::new();
    for (at, bytes) in entries.iter().enumerate() {
        let at = at as u64;
        let place = format!("entry {at}");
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(e) => return lie("entry-malformed", place, e),
        };
        match (entry, &head) {
            (Entry::Head(h), None) if at == 0 => {
                if h.origin != checkpoint.origin || h.operator_key != first_key.key {
                    return lie("other-key", place, "the log begins with another name or key");
                }
                keys.push((0, h.operator_key));
                head = Some(h);
            }
            (Entry::Keys(change), Some(h)) => {
                let current = keys.last().map_or(h.operator_key, |(_, key)| *key);
                let may = change.by == current
                    || (change.by == h.recovery_key && h.recovery_key != [0; 32]);
                if !may || !change.is_signed(&h.origin, at) {
                    return lie(
                        "key-change-unsigned",
                        place,
                        "a change of keys that nobody may make",
                    );
                }
                if keys.len() == KEYS_MAX {
                    let what = format!("more than {KEYS_MAX} keys, one after the other");
                    return lie("too-many-keys", place, what);
                }
                keys.push((at + 1, change.to));
            }
            (Entry::Epoch(summary), Some(_)) => {
                follows(&summary, last.get(&summary.lane), &place)?;
                last.insert(summary.lane.clone(), (*summary).clone());
                epochs.push(EpochEntry { at, summary: *summary });
            }
            (Entry::Funds(f), Some(_)) => {
                let before = funds.last().map(|(_, f)| (f.statement, f.at_us)).unwrap_or_default();
                if f.statement != before.0 + 1 || f.at_us < before.1 {
                    return lie("funds-order", place, "statements are numbered by one, in time");
                }
                funds.push((at, *f));
            }
            _ => {
                return lie("entry-malformed", place, "the log does not begin with its head, once");
            }
        }
    }
    let Some(head) = head else { return lie("entry-malformed", "entry 0", "no head") };
    let checkpoint = checkpoint.clone();
    let (leaves, witnessed) = (Vec::new(), Vec::new());
    Ok(Log {
        head,
        first_key,
        keys,
        checkpoint,
        epochs,
        funds,
        leaves,
        witnessed,
        is_key_from_elsewhere,
    })
}
