//! The verifier: from public files alone, is this operator's record true?
//!
//! | step | what a lie meets |
//! |---|---|
//! | [`log`](self) | signature, one history (every entry hashed again, the last visit's root inside it), keys, chain of epochs |
//! | record | every coinbase parsed from its first byte, one stamp, this log's, this epoch's; every hash against its class; nothing twice |
//! | accepted | every signed acceptance root that is there: its leaves, and whether the record counts them |
//! | funds | every statement's reserves: every signature, for this log, this statement, these holdings |
//! | sums | owners' work, share root, allocation tree, sold tree, contracts before surplus |
//!
//! It names the first lie and stops. Memory: what log and shares take is counted against a bound that the caller sets
//! ([`MEMORY_MAX`]), everything else stays below [`BESIDE`]. It uses all cores. It knows nothing of the operator's side.

mod accepted;
mod budget;
mod data;
mod dating;
mod destinations;
mod entries;
mod epoch;
mod ethash;
mod found;
mod funds;
mod highest;
mod jobs;
mod lanes;
mod places;
mod source;
mod sums;
mod verdict;
pub(crate) mod work;

pub use budget::{BESIDE, MEMORY_MAX};
pub use dating::{HEADER_SLACK_SECS, HEADERS_MAX, Headers, MEDIAN_SLACK_SECS};
pub use entries::{ReceiptChecker, Visit};
pub use funds::{AssetVerdict, FundsVerdict};
pub use lanes::SLACK_ENTRIES;
pub use places::paid;
pub use source::{FolderSource, Source};
pub use verdict::{LaneVerdict, Verdict, coins, effective_shares, error_percent, utc};

use crate::note::NoteKey;
use crate::record::LATE_MAX;
use crate::summary::EpochSummary;
use crate::witness::WitnessKey;
use gruve_units::{EpochNumber, LaneId};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// How wrong a reader's clock may be, microseconds.
const CLOCK_SLACK_US: u64 = 2 * 3_600 * 1_000_000;

/// What is not true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {what} ({at})")]
pub struct Lie {
    /// A name for it that does not change.
    pub name: &'static str,
    /// What is wrong, in words.
    pub what: String,
    /// Where.
    pub at: String,
}

/// Why there is no verdict of *yes*.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The record lies.
    #[error("{0}")]
    Lie(Lie),
    /// It could not be read: that proves nothing either way.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is larger than what may be held of it: that proves nothing either way.
    #[error(
        "checking {at} takes more memory than the {allowed} bytes that are allowed for the log and the shares"
    )]
    TooLarge {
        /// Where it became too much.
        at: String,
        /// Bytes allowed.
        allowed: u64,
    },
    /// It would take hours for a few bytes: that proves nothing either way.
    #[error(
        "checking {at} takes one more of the Ethash family's caches than the {} that are made: each takes seconds, and no honest record needs so many",
        budget::CACHES_MAX
    )]
    TooLong {
        /// Where it became too much.
        at: String,
    },
}

impl From<Lie> for VerifyError {
    fn from(lie: Lie) -> Self {
        VerifyError::Lie(lie)
    }
}

/// A lie's beginning: `lie("share-twice", …)`.
#[allow(clippy::needless_pass_by_value)] // callers hand over what they have made
fn lie<T>(name: &'static str, at: impl ToString, what: impl ToString) -> Result<T, VerifyError> {
    Err(Lie { name, what: plain(&what.to_string()), at: plain(&at.to_string()) }.into())
}

/// Text for a terminal: what a record or the names of its files say must not move the cursor, turn the direction of writing, hide, nor
/// look like a line of ours.
#[must_use]
pub fn plain(text: &str) -> String {
    let is_plain = |c: char| {
        let is_unseen = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !c.is_control() && !is_unseen
    };
    text.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

/// What to verify against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The operator's first key, from elsewhere. Without it, and without an earlier visit, the folder's own is believed,
    /// and the verdict says so.
    pub key: Option<NoteKey>,
    /// What was seen last time.
    pub last: Option<Visit>,
    /// Block headers of lanes, by which their work is dated.
    pub headers: BTreeMap<LaneId, Headers>,
    /// Output scripts that blocks of a lane may pay to, where the reader knows all of them.
    pub destinations: BTreeMap<LaneId, BTreeSet<Vec<u8>>>,
    /// Checkpoints that others have seen.
    pub seen_elsewhere: Vec<String>,
    /// Witnesses whose cosignatures are looked for.
    pub witnesses: Vec<WitnessKey>,
    /// How many of them must have signed.
    pub witnesses_min: usize,
    /// Check the shares of entries from this one on; entries before are held against the log only, but for those of the
    /// last two epochs, whose shares late work could repeat.
    pub from_entry: u64,
    /// The reader's clock, microseconds since 1970; nothing is held against it without.
    pub now_us: Option<u64>,
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
    /// Bytes that log and shares may take in memory; 0 for [`MEMORY_MAX`].
    pub memory_max: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Epochs checked.
    pub epochs: u64,
    /// Of so many.
    pub of: u64,
    /// Shares hashed again.
    pub shares: u64,
}

/// Verifies a public record; tells its progress after each epoch, and within one after each batch of shares.
///
/// # Errors
/// The first lie; or that something cannot be read.
pub fn verify(
    source: &dyn Source,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verdict, VerifyError> {
    let mut budget = budget::Budget::new(options.memory_max);
    let log = entries::read(source, options, &mut budget)?;
    let lanes: BTreeSet<&LaneId> = log.epochs.iter().map(|e| &e.summary.lane).collect();
    budget.take(budget::LANE_COST * lanes.len() as u64, "the log's lanes")?;
    let mut verdict = Verdict::begin(&log, options);
    let of = log.epochs.iter().filter(|e| e.at >= options.from_entry).count() as u64;
    let accepted = accepted::read(source, &log, options.now_us, &mut budget)?;
    let mut lanes = lanes::Lanes::holding(accepted);
    not_yet(&log, options)?;
    let again = seen_again(&log, options.from_entry);
    let mut done = 0;
    for entry in &log.epochs {
        let is_new = entry.at >= options.from_entry;
        let is_checked = is_new || again.contains(&entry.at);
        let against = epoch::Against { source, log: &log, options };
        let (before, mut hashed) = (verdict.shares, 0);
        let mut tick = |shares| {
            hashed += shares;
            progress(Progress { epochs: done, of, shares: before + hashed });
        };
        let found = lanes.take(against, entry, is_checked, &mut budget, &mut tick)?;
        if is_new {
            verdict.add(&entry.summary, &found);
            done += 1;
            progress(Progress { epochs: done, of, shares: verdict.shares });
        }
    }
    lanes.elsewhere()?;
    let left_out = lanes.left_out()?;
    verdict.remarks.extend(left_out.remarks);
    verdict.not_proven.extend(left_out.not_proven);
    verdict.funds = funds::check(source, &log, options)?;
    verdict.remarks.extend(source::unknown_files(source, &log, &budget)?);
    verdict.end(options.now_us);
    Ok(verdict)
}

/// Entries before the first new one of their lane whose shares late work of that one may repeat: they are hashed again, and
/// count no more.
fn seen_again(log: &entries::Log, from: u64) -> BTreeSet<u64> {
    let mut first: BTreeMap<&LaneId, EpochNumber> = BTreeMap::new();
    for e in log.epochs.iter().filter(|e| e.at >= from) {
        first.entry(&e.summary.lane).or_insert(e.summary.epoch);
    }
    let is_late_by = |e: &&entries::EpochEntry| {
        let new = first.get(&e.summary.lane);
        new.is_some_and(|new| e.summary.epoch >= new.back(LATE_MAX.into()))
    };
    log.epochs.iter().filter(|e| e.at < from).filter(is_late_by).map(|e| e.at).collect()
}

/// Refuses an epoch that has not begun, by more than clocks are wrong.
fn not_yet(log: &entries::Log, options: &Options) -> Result<(), VerifyError> {
    let Some(now) = options.now_us.map(|now| now.saturating_add(CLOCK_SLACK_US)) else {
        return Ok(());
    };
    if let Some((_, f)) = log.funds.iter().find(|(_, f)| f.at_us > now) {
        return lie("not-yet", format!("statement {}", f.statement), "it speaks of a time to come");
    }
    let begins = |s: &EpochSummary| s.epoch.0.saturating_mul(s.length_us);
    match log.epochs.iter().map(|e| &e.summary).find(|s| begins(s) > now) {
        None => Ok(()),
        Some(s) => {
            lie("not-yet", format!("lane {}, epoch {}", s.lane, s.epoch), "it has not begun yet")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_neither_commands_a_terminal_nor_turns_nor_hides_on_it() {
        assert_eq!(plain("btc, epoch 12: \u{b1} 3 %"), "btc, epoch 12: \u{b1} 3 %");
        let told = plain("a\u{1b}[2J\n\u{9b}b\u{202e}c\u{200b}d\u{2066}e\u{feff}\u{61c}\u{2028}");
        assert_eq!(told.matches('\u{fffd}').count(), 9, "{told:?}");
        assert!(told.chars().all(|c| c.is_ascii_graphic() || c == '\u{fffd}'), "{told:?}");
    }
}
