//! What a verification says: in words and numbers, with what it does not say.

use super::Options;
use super::destinations::{self, Destinations};
use super::entries::{self, Log, ReceiptChecker, Visit};
use super::found::Found;
use super::funds::FundsVerdict;
use super::work::is_ethash;
use crate::note::NoteKey;
use crate::summary::EpochSummary;
use crate::witness::Cosigned;
use gruve_units::{Duration, EpochNumber, Hashes, Hashrate, LaneId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// Epochs over which what is sold is compared with what was proven: a day of ten minutes.
const CAPACITY_EPOCHS: usize = 144;

/// Epochs, and microseconds, that may be over without an entry before it is remarked on: an accountant may be late.
const SILENT_MIN: u64 = 2;
/// The latter: two hours.
const SILENT_US: u64 = 2 * 3_600 * 1_000_000;

/// Chains of merge-mined blocks that are told of a lane at most.
const CHAINS_TOLD: usize = 64;

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
    /// One standard deviation of it, in percent: 100 / √(effective number of shares).
    pub error_percent: f64,
    /// `(ΣW)² / ΣW²`.
    pub effective_shares: f64,
    /// Hashrate under contract in the last epoch.
    pub sold: Hashrate,
    /// Its mean over the entries of the last epochs, as many as of [`LaneVerdict::house_hashrate`].
    pub sold_mean: Hashrate,
    /// Mean of the house's proven hashrate over the last epochs (144 at most, a day of ten minutes each); epochs
    /// without an entry or without proof count as zero.
    pub house_hashrate: Hashrate,
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
    /// The hashrate that these show, over the same time as [`LaneVerdict::hashrate`].
    pub dated_hashrate: Option<Hashrate>,
    /// Found by expected; with headers, of dated work alone: of other work nothing shows that its targets are the chain's.
    pub luck: Option<f64>,
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

#[derive(Clone, Debug, Default)]
struct Running {
    algorithm: String,
    is_of_headers: bool,
    length_us: u64,
    first: Option<EpochNumber>,
    /// The epoch that the earliest work is of: late work of the first entries is of epochs before them.
    since: Option<EpochNumber>,
    last: EpochNumber,
    epochs: u64,
    unproven: u64,
    shares: u64,
    classes: BTreeMap<u8, u64>,
    house: Hashes,
    other: Hashes,
    allocated: Hashes,
    owed: u128,
    sold: u128,
    recent: VecDeque<(EpochNumber, Hashes)>,
    recent_sold: VecDeque<(EpochNumber, u128)>,
    silent: u64,
    expected: f64,
    solved: u64,
    destinations: Destinations,
    loose: u64,
    unbegun: u64,
    late: u64,
    sampled: u64,
    bytes: u64,
    on_chain: u64,
    dated: u64,
    dated_work: Hashes,
    has_headers: bool,
    aux: BTreeMap<(u32, String), (u64, f64)>,
    hides_aux: u64,
    hides_blocks: u64,
    unbound: u64,
    to_owners: u64,
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
        let r = self.running.entry(s.lane.clone()).or_default();
        r.has_headers = self.with_headers.contains(&s.lane);
        r.algorithm = s.algorithm.to_string();
        r.is_of_headers = is_ethash(s.algorithm);
        r.length_us = s.length_us;
        // What stands before the first entry that was checked now: epochs without one count as zero there, too.
        let begun = if s.prev_epoch.0 == 0 { s.epoch } else { s.prev_epoch.next() };
        r.first.get_or_insert(begun);
        let since = found.late_from.unwrap_or(begun).min(begun);
        r.since = Some(r.since.map_or(since, |before| before.min(since)));
        (r.last, r.epochs) = (s.epoch, r.epochs + 1);
        (r.sold, r.owed) = (s.sold_root.sums.hashrate, s.sold_root.sums.owed);
        let from = s.epoch.back(CAPACITY_EPOCHS as u64 - 1);
        r.recent.retain(|(e, _)| *e >= from);
        r.recent_sold.retain(|(e, _)| *e >= from);
        r.recent_sold.push_back((s.epoch, s.sold_root.sums.hashrate));
        if !s.is_proven {
            r.unproven += 1;
            return;
        }
        let add = |a: Hashes, b: Hashes| a.checked_add(b).unwrap_or(Hashes(u128::MAX));
        r.house = add(r.house, s.house_work);
        r.other = add(r.other, s.other_work);
        r.allocated = add(r.allocated, Hashes(s.sold_root.sums.allocated));
        r.shares += s.shares;
        self.shares += s.shares;
        for (class, n) in &found.classes {
            *r.classes.entry(*class).or_default() += n;
        }
        r.recent.push_back((s.epoch, s.house_work));
        r.expected += found.expected_blocks;
        r.solved += found.solved;
        let room = destinations::ALL_BYTES_MAX.saturating_sub(self.listed);
        self.listed += r.destinations.extend(&found.destinations, room);
        r.loose += found.loosely_dated;
        r.unbegun += found.unbegun;
        r.late += found.late;
        r.sampled += found.sampled;
        (r.on_chain, r.dated) = (r.on_chain + found.on_chain, r.dated + found.dated);
        r.dated_work = add(r.dated_work, found.dated_work);
        r.bytes += found.record_bytes;
        r.hides_aux += found.hides_aux;
        r.hides_blocks += found.hides_blocks;
        (r.unbound, r.to_owners) = (r.unbound + found.unbound, r.to_owners + found.to_owners);
        for (chain, (solved, expected)) in &found.aux {
            // As many as a lane of some years has, however many names a record makes up.
            if r.aux.len() < CHAINS_TOLD || r.aux.contains_key(chain) {
                let of = r.aux.entry(chain.clone()).or_default();
                *of = (of.0 + solved, of.1 + expected);
            }
        }
    }

    pub(super) fn end(&mut self, now_us: Option<u64>) {
        for (lane, mut r) in std::mem::take(&mut self.running) {
            r.silent = now_us.map_or(0, |now| r.silent(now));
            if r.silent > SILENT_MIN && r.silent.saturating_mul(r.length_us) > SILENT_US {
                self.remarks.push(format!(
                    "lane {lane}: nothing was published of the {} epochs since its last entry; what is said here of its hashrate is of \
                     the time before",
                    r.silent
                ));
            }
            let v = r.verdict(lane);
            if let Some(ratio) = v.sold_by_proven.filter(|r| *r > 1.0) {
                let share = format!(
                    "lane {}: {:.0} % of the proven house hashrate is under contract",
                    v.lane,
                    ratio * 100.0
                );
                self.remarks.push(share);
            }
            if v.sold.max(v.sold_mean) > Hashrate::ZERO && v.house_hashrate == Hashrate::ZERO {
                self.remarks.push(format!(
                    "lane {}: {} is under contract, and nothing of it is proven",
                    v.lane,
                    v.sold.max(v.sold_mean)
                ));
            }
            if v.has_more_destinations {
                self.remarks.push(format!(
                    "lane {}: blocks would have paid to more places than are listed",
                    v.lane
                ));
            }
            if v.unproven_epochs > 0 {
                self.not_proven.push(format!(
                    "lane {}: the work of {} epochs, whose jobs carry no stamp",
                    v.lane, v.unproven_epochs
                ));
            }
            if v.dated_shares.is_none() && (v.expected_blocks > 0.0 || v.hides_blocks > 0) {
                self.not_proven.push(format!(
                    "lane {}: that the targets in its jobs are its chain's, and with them blocks and luck: block headers (--headers) show it",
                    v.lane
                ));
            }
            if v.is_of_headers && v.shares > 0 {
                self.not_proven.push(format!(
                    "lane {}: that its headers stand on its chain: their heights, which say what a hash costs, and the blocks before them",
                    v.lane
                ));
            }
            if v.hides_blocks > 0 {
                self.not_proven.push(format!(
                    "lane {}: that {} of its shares hide no block: they are of classes harder than a block, and whoever publishes only \
                     these can keep blocks to himself",
                    v.lane, v.hides_blocks
                ));
            }
            if v.blocks_on_chain.is_some_and(|there| there < v.found_blocks) {
                self.remarks.push(format!(
                    "lane {}: {} blocks that its shares made are not on the chain: lost to others, or kept back",
                    v.lane,
                    v.found_blocks - v.blocks_on_chain.unwrap_or(0)
                ));
            }
            if v.hides_aux > 0 {
                self.not_proven.push(format!(
                    "lane {}: for which other chains {} of its shares were merge-mined",
                    v.lane, v.hides_aux
                ));
            }
            if v.unbound > 0 {
                self.not_proven.push(format!(
                    "lane {}: that {} of its shares would have paid where the operator had said beforehand: for their jobs nothing was said",
                    v.lane, v.unbound
                ));
            }
            if v.to_owners > 0 {
                self.remarks.push(format!(
                    "lane {}: blocks of {} shares would have paid the machines' owners themselves, at places published before",
                    v.lane, v.to_owners
                ));
            }
            if !v.aux.is_empty() {
                self.not_proven.push(format!(
                    "lane {}: targets of merge-mined chains, and whom their blocks pay: look a found one up on its chain",
                    v.lane
                ));
            }
            if v.sampled > 0 {
                self.remarks.push(format!(
                    "lane {}: {} shares stand for others that are not opened, by thresholds that were fixed before the work; its work is an \
                     estimate, off by {:.2} % on average",
                    v.lane, v.sampled, v.error_percent
                ));
            }
            if v.loosely_dated > 0 {
                self.remarks.push(format!(
                    "lane {}: {} shares hold an older checkpoint than they could, or one of long before them",
                    v.lane, v.loosely_dated
                ));
            }
            if v.unbegun > 0 {
                self.not_proven.push(format!(
                    "lane {}: when {} shares of the log's first epochs were begun: they hold no checkpoint",
                    v.lane, v.unbegun
                ));
            }
            self.lanes.push(v);
        }
        if !self.is_key_from_elsewhere {
            self.remarks.push("the operator's key was taken from the record itself: compare it with what you know from elsewhere, or pass it with --key".to_owned());
        }
        let undated = self.lanes.iter().filter(|l| l.shares > l.dated_shares.unwrap_or(0));
        let undated: Vec<String> = undated
            .map(|l| {
                let n = l.shares - l.dated_shares.unwrap_or(0);
                format!(
                    "lane {}: when {n} of its shares were made: after the checkpoints in their stamps and before you read them; the \
                     borders of epochs inside that are the operator's word unless block headers (--headers) date them",
                    l.lane
                )
            })
            .collect();
        self.not_proven.extend(undated);
        let always = [
            "that work was not done later than its epoch, on blocks of then: only who has seen the log grow (an earlier visit, --witness) knows",
            "that this is the only history, beyond what you saw before and what others hand you (--seen): ask somebody else for their checkpoint",
            "that every accepted share is in the record: beyond the acceptance roots that are still there, an omission is shown by who kept them",
            "whose the machines are, and that found blocks were not withheld (see luck)",
        ];
        self.not_proven.extend(always.map(str::to_owned));
        match &self.funds {
            None => self
                .not_proven
                .push("balances and reserves: the log has no statement of funds".to_owned()),
            Some(funds) => {
                self.remarks.extend(funds.short());
                self.not_proven.extend(funds.not_proven());
            }
        }
    }
}

impl Running {
    /// Whole epochs between the last entry's and the one that a clock is in.
    fn silent(&self, now_us: u64) -> u64 {
        let now = now_us.checked_div(self.length_us).unwrap_or(0);
        now.saturating_sub(self.last.0).saturating_sub(1)
    }

    #[allow(clippy::cast_precision_loss)]
    fn verdict(self, lane: LaneId) -> LaneVerdict {
        let first = self.first.unwrap_or_default();
        let span = self.last.0.saturating_sub(first.0).saturating_add(1);
        let time = |epochs: u64| Duration::from_micros(self.length_us.saturating_mul(epochs));
        let since = self.since.unwrap_or(first);
        let worked = time(self.last.0.saturating_sub(since.0).saturating_add(1));
        let all = self.house.checked_add(self.other).unwrap_or(Hashes(u128::MAX));
        let effective = effective_shares(&self.classes);
        let recent: u128 = self.recent.iter().map(|(_, w)| w.0).fold(0, u128::saturating_add);
        // Epochs in which nothing was proven count as zero.
        let begun = since.max(self.last.back(CAPACITY_EPOCHS as u64 - 1));
        let house = Hashrate::of(Hashes(recent), time(self.last.0.saturating_sub(begun.0) + 1));
        let entries = self.recent_sold.len().max(1) as u128;
        let sold_mean =
            self.recent_sold.iter().fold(0, |sum: u128, (_, s)| sum.saturating_add(*s)) / entries;
        let most = self.sold.max(sold_mean);
        LaneVerdict {
            lane,
            algorithm: self.algorithm,
            is_of_headers: self.is_of_headers,
            epochs: (first, self.last),
            missing_epochs: span.saturating_sub(self.epochs),
            silent_epochs: self.silent,
            unproven_epochs: self.unproven,
            shares: self.shares,
            record_bytes: self.bytes,
            house_work: self.house,
            other_work: self.other,
            hashrate: Hashrate::of(all, worked),
            error_percent: error_percent(effective),
            effective_shares: effective,
            sold: Hashrate(self.sold),
            house_hashrate: house,
            sold_mean: Hashrate(sold_mean),
            sold_by_proven: (house.0 > 0).then(|| most as f64 / house.0 as f64),
            allocated: self.allocated,
            owed: Hashes(self.owed),
            expected_blocks: self.expected,
            found_blocks: self.solved,
            blocks_on_chain: self.has_headers.then_some(self.on_chain),
            dated_shares: self.has_headers.then_some(self.dated),
            dated_hashrate: self.has_headers.then(|| Hashrate::of(self.dated_work, worked)),
            luck: (self.expected > 0.0).then(|| self.solved as f64 / self.expected),
            destinations: self.destinations.told(),
            has_more_destinations: self.destinations.is_cut,
            loosely_dated: self.loose,
            unbegun: self.unbegun,
            late: self.late,
            sampled: self.sampled,
            aux: self.aux.into_iter().map(AuxVerdict::of).collect(),
            hides_aux: self.hides_aux,
            hides_blocks: self.hides_blocks,
            unbound: self.unbound,
            to_owners: self.to_owners,
        }
    }
}

impl AuxVerdict {
    fn of(
        ((chain_id, coin), (found_blocks, expected_blocks)): ((u32, String), (u64, f64)),
    ) -> AuxVerdict {
        AuxVerdict { coin, chain_id, found_blocks, expected_blocks }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log {}: {} entries, signed, one history", self.origin, self.entries)?;
        writeln!(f, "first key {}", self.key)?;
        for lane in &self.lanes {
            write!(f, "{lane}")?;
        }
        for seen in &self.witnessed {
            writeln!(f, "witnessed by {} at {} s since 1970", seen.witness, seen.time)?;
        }
        if let Some(funds) = &self.funds {
            write!(f, "{funds}")?;
        }
        for remark in &self.remarks {
            writeln!(f, "remark: {remark}")?;
        }
        for what in &self.not_proven {
            writeln!(f, "not proven: {what}")?;
        }
        let shares = self.shares;
        write!(
            f,
            "YES: {shares} shares hashed again; every one is this operator's, of its epoch, counted once and to its owner"
        )
    }
}

impl fmt::Display for LaneVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = self.epochs;
        writeln!(
            f,
            "lane {} ({}), epochs {from} to {to} ({} missing)",
            self.lane, self.algorithm, self.missing_epochs
        )?;
        writeln!(
            f,
            "  proven    {} \u{b1} {:.2} %, from {} shares",
            self.hashrate, self.error_percent, self.shares
        )?;
        writeln!(
            f,
            "  work      {} hashes of the house, {} of owners",
            self.house_work, self.other_work
        )?;
        let ratio =
            self.sold_by_proven.map_or_else(|| "-".to_owned(), |r| format!("{:.1} %", r * 100.0));
        writeln!(
            f,
            "  sold      {} under contract, {ratio} of the house's proven {}",
            self.sold, self.house_hashrate
        )?;
        writeln!(
            f,
            "  allocated {} hashes to contracts; {} still owed",
            self.allocated, self.owed
        )?;
        let luck = self.luck.map_or_else(|| "-".to_owned(), |l| format!("{:.0} %", l * 100.0));
        writeln!(
            f,
            "  blocks    {} found, {:.2} expected, luck {luck}",
            self.found_blocks, self.expected_blocks
        )?;
        for aux in &self.aux {
            writeln!(
                f,
                "  merged    {} (chain {}): {} blocks found, {:.2} expected",
                aux.coin, aux.chain_id, aux.found_blocks, aux.expected_blocks
            )?;
        }
        let dated = (self.dated_shares, self.dated_hashrate, self.blocks_on_chain);
        if let (Some(dated), Some(rate), Some(there)) = dated {
            writeln!(
                f,
                "  chain     {dated} of {} shares ({rate}) dated to a block interval, a quarter of an hour around it (two hours where the headers end); {there} of the found blocks are on it",
                self.shares
            )?;
        }
        Ok(())
    }
}
