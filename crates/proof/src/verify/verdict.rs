//! What a verification says: in words and numbers, with what it does not say.

mod luck;
mod plain;
mod running;
mod said;
mod words;

use super::Options;
use super::destinations;
use super::entries::{self, Log, ReceiptChecker, Visit};
use super::found::Found;
use super::funds::FundsVerdict;
use crate::note::NoteKey;
use crate::summary::EpochSummary;
use crate::witness::Cosigned;
pub use plain::{coins, utc};

use gruve_units::{EpochNumber, Hashes, Hashrate, LaneId};
use running::Running;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything held. Floats are for people to read; each was decided by integers before.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The log.
    pub origin: String,
    /// The operator's first key.
    pub key: String,
    /// Whether that key was known from elsewhere or from an earlier visit.
    pub is_key_from_elsewhere: bool,
    /// Entries of the log.
    pub entries: u64,
    /// Whether the log was held against an earlier visit.
    pub is_continued: bool,
    /// Shares hashed again.
    pub shares: u64,
    /// Each lane.
    pub lanes: Vec<LaneVerdict>,
    /// What is no lie and still to be known.
    pub remarks: Vec<String>,
    /// What was not proven.
    pub not_proven: Vec<String>,
    /// Which of the witnesses named have signed the head, and when.
    pub witnessed: Vec<Cosigned>,
    /// The last statement of funds, when there is one.
    pub funds: Option<FundsVerdict>,
    /// To be remembered for the next visit.
    pub visit: Visit,
    /// Every key that was in force.
    pub keys: Vec<String>,
    #[serde(skip)]
    running: BTreeMap<LaneId, Running>,
    #[serde(skip)]
    with_headers: BTreeSet<LaneId>,
    /// Bytes of all lists of places.
    #[serde(skip)]
    listed: usize,
    #[serde(skip)]
    leaves: Vec<crate::Hash>,
    #[serde(skip)]
    pub(super) entries_of: BTreeMap<LaneId, Vec<EpochNumber>>,
    #[serde(skip)]
    pub(super) log_keys: Vec<(u64, NoteKey)>,
}

/// What was proven of a lane.
#[derive(Clone, Debug, Serialize)]
pub struct LaneVerdict {
    /// The lane.
    pub lane: LaneId,
    /// What it hashes.
    pub algorithm: String,
    /// First and last epoch.
    pub epochs: (EpochNumber, EpochNumber),
    /// Whether its jobs are headers without a coinbase (the Ethash family).
    pub is_of_headers: bool,
    /// Epochs between them without an entry: they count as zero. Where only new entries were checked, those since the last
    /// one before them are among these.
    pub missing_epochs: u64,
    /// Whole epochs since the last entry's, by the reader's clock: nothing is proven of them (yet). 0 without a clock.
    pub silent_epochs: u64,
    /// The length of an epoch, microseconds.
    pub epoch_us: u64,
    /// Epochs whose work is claimed without proof.
    pub unproven_epochs: u64,
    /// Shares hashed again.
    pub shares: u64,
    /// Bytes of its records.
    pub record_bytes: u64,
    /// The house's work, proven.
    pub house_work: Hashes,
    /// Owners' work, proven.
    pub other_work: Hashes,
    /// Proven hashrate, house and owners, over all the time from the first epoch that work is of to the last.
    pub hashrate: Hashrate,
    /// What it is at least if no work was begun before its epoch: over the time from the first of these epochs (or from the first
    /// block that dated work is on, as far off as that may be) until a witness saw the head, or a clock says that it is read. Work
    /// may have been done later than its epoch, on the blocks of then, and no headers show it. `None` without either.
    pub hashrate_at_least: Option<Hashrate>,
    /// One standard deviation of it, in percent: 100 / √(effective number of shares).
    pub error_percent: f64,
    /// `(ΣW)² / ΣW²`.
    pub effective_shares: f64,
    /// Hashrate under contract in the last epoch.
    pub sold: Hashrate,
    /// Its mean over the entries of the same time as [`LaneVerdict::house_hashrate`].
    pub sold_mean: Hashrate,
    /// Mean of the house's proven hashrate over the last day, and over the last 144 epochs where these are longer; epochs
    /// without an entry or without proof count as zero. Of a lane that began later, or of which less was hashed: since then.
    pub house_hashrate: Hashrate,
    /// Over how many seconds.
    pub house_secs: u64,
    /// What is under contract by that: the last epoch's or the mean, whichever is more. What is sold in between and not when
    /// somebody looks counts, too.
    pub sold_by_proven: Option<f64>,
    /// Work that contracts got.
    pub allocated: Hashes,
    /// Work that contracts have paid for and not got.
    pub owed: Hashes,
    /// Blocks that the work should have found.
    pub expected_blocks: f64,
    /// Hashes in the record that solve one.
    pub found_blocks: u64,
    /// How many of them are in the block headers that were given; `None` without headers.
    pub blocks_on_chain: Option<u64>,
    /// Shares whose block was the chain's tip in their epoch, by the headers; `None` without headers.
    pub dated_shares: Option<u64>,
    /// The hashrate that these show, over all the time that their blocks leave open: from when the first was found until the one after the
    /// last was, each as far off as it may be, and no less than [`LaneVerdict::hashrate`] is over.
    pub dated_hashrate: Option<Hashrate>,
    /// Found by expected; with headers, of dated work alone: of other work nothing shows that its targets are the chain's.
    pub luck: Option<f64>,
    /// The chance that an honest farm finds as few with this work.
    pub chance_of_so_few: Option<f64>,
    /// Where blocks would have paid to: output scripts.
    pub destinations: Vec<String>,
    /// Whether there were more than are listed.
    pub has_more_destinations: bool,
    /// Shares that are dated less well, because their stamps hold an older checkpoint.
    pub loosely_dated: u64,
    /// Shares whose stamps hold no checkpoint, because there was none yet.
    pub unbegun: u64,
    /// Shares that came late.
    pub late: u64,
    /// Shares that stand for others which are not opened: they reached a threshold that was fixed before.
    pub sampled: u64,
    /// Other chains that the same work was for.
    pub aux: Vec<AuxVerdict>,
    /// Shares of jobs that commit to other chains' blocks and do not say which.
    pub hides_aux: u64,
    /// Shares of classes (or below thresholds) harder than a block of a chain that they were for: of the hashes that do not reach
    /// these nobody sees whether one made a block. They are not in blocks, expected blocks and luck.
    pub hides_blocks: u64,
    /// Shares of jobs for which no places of rewards had been published before.
    pub unbound: u64,
    /// Shares whose block would have paid the machine's owner itself.
    pub to_owners: u64,
}

/// What the work of a lane was for beside its own chain. Its targets are the operator's word.
#[derive(Clone, Debug, Serialize)]
pub struct AuxVerdict {
    /// The coin, as the operator calls it.
    pub coin: String,
    /// The chain's id in merge-mining.
    pub chain_id: u32,
    /// Shares that reach its target.
    pub found_blocks: u64,
    /// Blocks that the work should have found.
    pub expected_blocks: f64,
}

/// `(ΣW)² / ΣW²` of shares by the class that they count at: as many shares of one class tell as much of the hashing
/// behind them.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn effective_shares(classes: &BTreeMap<u8, u64>) -> f64 {
    let (mut sum, mut squares) = (0f64, 0f64);
    for (class, n) in classes {
        let work = 2f64.powi(i32::from(*class));
        sum += work * *n as f64;
        squares += work * work * *n as f64;
    }
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// One standard deviation of the work that they show, in percent of it.
#[must_use]
pub fn error_percent(effective_shares: f64) -> f64 {
    if effective_shares > 0.0 { 100.0 / effective_shares.sqrt() } else { 100.0 }
}

impl Verdict {
    pub(super) fn begin(log: &Log, options: &Options) -> Verdict {
        let key = log.first_key.to_string();
        let mut entries_of: BTreeMap<LaneId, Vec<EpochNumber>> = BTreeMap::new();
        for e in &log.epochs {
            entries_of.entry(e.summary.lane.clone()).or_default().push(e.summary.epoch);
        }
        Verdict {
            entries_of,
            origin: log.head.origin.clone(),
            key: key.clone(),
            is_key_from_elsewhere: log.is_key_from_elsewhere,
            entries: log.checkpoint.size,
            is_continued: options.last.is_some(),
            shares: 0,
            lanes: Vec::new(),
            remarks: Vec::new(),
            not_proven: Vec::new(),
            funds: None,
            witnessed: log.witnessed.clone(),
            visit: Visit { key, checkpoint: log.checkpoint.clone() },
            keys: entries::log_keys(log).iter().map(|(_, key)| key.to_string()).collect(),
            log_keys: entries::log_keys(log),
            running: BTreeMap::new(),
            with_headers: options.headers.keys().cloned().collect(),
            listed: 0,
            leaves: log.leaves.clone(),
        }
    }

    /// Checks receipts against the log that was verified. What was read of it is kept: the log may have grown since.
    #[must_use]
    pub fn receipts(&self) -> ReceiptChecker {
        ReceiptChecker::new(self, &self.leaves)
    }

    pub(super) fn add(&mut self, s: &EpochSummary, found: &Found) {
        let room = destinations::ALL_BYTES_MAX.saturating_sub(self.listed);
        let r = self.running.entry(s.lane.clone()).or_default();
        self.listed += r.add(s, found, self.with_headers.contains(&s.lane), room);
        if s.is_proven {
            self.shares += s.shares;
        }
    }

    pub(super) fn end(&mut self, now_us: Option<u64>) {
        let witnessed = self.witnessed.iter().map(|seen| seen.time.saturating_mul(1_000_000));
        let seen_us = witnessed.filter(|time| *time > 0).chain(now_us).min();
        for (lane, running) in std::mem::take(&mut self.running) {
            let lane = running.verdict(lane, now_us, seen_us);
            said::of_lane(&lane, &mut self.remarks, &mut self.not_proven);
            self.lanes.push(lane);
        }
        self.say_of_the_whole();
    }
}
