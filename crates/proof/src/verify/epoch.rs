//! One epoch: its record, its sums, its sold tree.

use super::accepted::{Accepted, Compared};
use super::budget::{Budget, COMMITMENT_COST, KNOWN_COST, SHARE_COST};
use super::data::{is_file, open_data, read};
use super::dating::{Covered, Dated};
use super::destinations::Destinations;
use super::entries::{EpochEntry, Log};
use super::highest::Highest;
use super::places::{ForOwner, Lists, read_places};
use super::source::Source;
use super::sums::{Work, check_sums};
use super::work::{self, Hasher, JobSays};
use super::{Options, VerifyError, lie};
use crate::aux::{self, AuxBlock};
use crate::places::Places;
use crate::publish::data_path;
use crate::record::{Block, LATE_MAX, RecordHeader, RecordReader, Section};
use crate::stamp;
use crate::summary::{FileRef, GENESIS, Rules};
use crate::{Hash, WireError};
use gruve_units::{Class, EpochNumber, Hashes, LaneId, Target};
use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// How many entries with work may stand behind a job's checkpoint, up to two epochs before the job's: an accountant
/// that is late does not make work false, only dated less well. The verdict counts such work. Entries without work
/// are like epochs without an entry: nothing was done in them.
pub const SLACK_ENTRIES: usize = 6;

/// Of how many of the Ethash family's epochs the jobs of a record may be: each takes seconds and memory, and none ends twice in
/// a record's time.
const DATASETS_MAX: usize = 2;

/// Shares handed to the threads at once.
const BATCH_SHARES: usize = 1 << 15;
/// Blocks handed to the threads at once: small ones, each of its own job and class.
const BATCH_BLOCKS: usize = 4_096;

/// What checking an epoch found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Shares by class.
    pub(super) classes: BTreeMap<u8, u64>,
    /// Shares of late sections.
    pub(super) late: u64,
    /// The earliest epoch of these.
    pub(super) late_from: Option<EpochNumber>,
    /// Shares that stand for others which are not opened.
    pub(super) sampled: u64,
    /// Blocks that should have been found, by the work and the network's targets.
    pub(super) expected_blocks: f64,
    /// How many blocks were solved, and how many of them the chain has.
    pub(super) solved: u64,
    pub(super) on_chain: u64,
    /// Shares whose block was the chain's tip in their epoch, and their work.
    pub(super) dated: u64,
    pub(super) dated_work: Hashes,
    /// Shares whose job held an older checkpoint than it could have, or one of long before.
    pub(super) loosely_dated: u64,
    /// Shares whose job held none: of the log's first epochs.
    pub(super) unbegun: u64,
    /// Scripts that a block would have paid.
    pub(super) destinations: Destinations,
    /// Bytes of the record.
    pub(super) record_bytes: u64,
    /// Other chains' blocks, by chain and coin: found, and expected by the targets that the operator says.
    pub(super) aux: BTreeMap<(u32, String), (u64, f64)>,
    /// Shares of jobs that commit to other chains' blocks and do not say which.
    pub(super) hides_aux: u64,
    /// Shares that count at a class harder than a block of a chain that they were for: blocks among the hashes that do not reach
    /// it stand in no record.
    pub(super) hides_blocks: u64,
    /// Shares of jobs for which no places of rewards had been published.
    pub(super) unbound: u64,
    /// Shares whose block would have paid the machine's owner itself.
    pub(super) to_owners: u64,
}

/// What an epoch is held against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) log: &'a Log,
    pub(super) options: &'a Options,
}

/// What is remembered of each lane.
#[derive(Default)]
pub(super) struct Lanes(BTreeMap<LaneId, Lane>);

#[derive(Default)]
struct Lane {
    /// Its entries, oldest first.
    entries: Vec<Known>,
    /// The places of those that have work, ascending: a log of many that have none is not walked through for each job.
    worked: Vec<usize>,
    /// What its gateways say that they accepted.
    accepted: Accepted,
    /// What of its work is in the time of the headers at hand.
    covered: Covered,
    /// The entries whose shares were not all seen, ascending.
    blind: Vec<EpochNumber>,
    /// Hashes of the shares of the last epochs: epoch of the stamp, sorted.
    recent: VecDeque<(EpochNumber, Vec<u128>)>,
}

/// What is to be said of accepted shares.
#[derive(Default)]
pub(super) struct LeftOut {
    pub(super) remarks: Vec<String>,
    pub(super) not_proven: Vec<String>,
}

/// What is remembered of an entry.
#[derive(Clone, Copy)]
struct Known {
    epoch: EpochNumber,
    checkpoint: Hash,
    /// What it sets for later epochs.
    rules: Rules,
    /// Where their jobs may pay.
    places: FileRef,
}

impl Lanes {
    /// Lanes with what their gateways accepted.
    pub(super) fn holding(accepted: BTreeMap<LaneId, Accepted>) -> Lanes {
        let lane = |(id, accepted)| (id, Lane { accepted, ..Lane::default() });
        Lanes(accepted.into_iter().map(lane).collect())
    }

    /// Refuses a lane most of whose work is on blocks of another chain than that of the headers, or of none.
    pub(super) fn elsewhere(&self) -> Result<(), VerifyError> {
        match self.0.iter().find(|(_, lane)| lane.covered.is_elsewhere()) {
            None => Ok(()),
            Some((id, _)) => lie(
                "not-on-the-chain",
                format!("lane {id}"),
                "most of its work in the time of the headers is on blocks that are not among them",
            ),
        }
    }

    /// Refuses a record in which an accepted share is missing; tells how many are there, and of how many nobody can say.
    pub(super) fn left_out(&self) -> Result<LeftOut, VerifyError> {
        let mut told = LeftOut::default();
        for (id, lane) in &self.0 {
            let last = lane.entries.last().map(|k| k.epoch).unwrap_or_default();
            let thresholds = Highest::of(lane.entries.iter().map(|k| k.rules.opened));
            let threshold = |epochs| thresholds.within(lane.binding(epochs));
            let Compared { due, missing, unseen, skipped } =
                lane.accepted.compared(last, &lane.blind, threshold);
            if missing > 0 {
                let what =
                    format!("{missing} shares that a gateway signed for are not in the record");
                return lie("share-left-out", format!("lane {id}"), what);
            }
            if due > 0 {
                told.remarks.push(format!(
                    "lane {id}: of {due} shares that its gateways signed for lately, none is missing"
                ));
            }
            if unseen > 0 {
                told.not_proven.push(format!(
                    "lane {id}: that {unseen} shares that its gateways signed for were counted: their epochs are unproven, were not read \
                     now, or open a sample that these need not be in"
                ));
            }
            if skipped > 0 {
                told.not_proven.push(format!(
                    "lane {id}: that {skipped} shares that its gateways signed for were counted: there are more notes than are held"
                ));
            }
        }
        Ok(told)
    }

    pub(super) fn take(
        &mut self,
        against: Against<'_>,
        entry: &EpochEntry,
        is_checked: bool,
        budget: &mut Budget,
        tick: &mut dyn FnMut(u64),
    ) -> Result<Found, VerifyError> {
        let s = &entry.summary;
        let lane = self.0.entry(s.lane.clone()).or_default();
        let mut found = Found::default();
        // The same list as before is there as it was before.
        let before = lane.entries.last().map_or(FileRef::default(), |k| k.places);
        if is_checked && s.places != FileRef::default() && s.places != before {
            read_places(against.source, &s.lane, s.places)?;
        }
        if is_checked {
            let place = format!("lane {}, epoch {}", s.lane, s.epoch);
            let mut work = Work::default();
            if s.is_proven {
                check_record(against, entry, lane, budget, tick, &mut work, &mut found)?;
                let (house, other) = work.sums()?;
                if work.shares != s.shares {
                    let what =
                        format!("{} shares in the record, {} in the entry", work.shares, s.shares);
                    return lie("share-count", place, what);
                }
                if (house, other) != (s.house_work, s.other_work) {
                    let what = format!(
                        "the shares prove {house} of the house and {other} of others, the entry says {} and {}",
                        s.house_work, s.other_work
                    );
                    return lie("work-not-proven", place, what);
                }
                if work.root.root() != s.share_root {
                    return lie("share-root", place, "another root over the shares");
                }
            } else if s.record != FileRef::default() {
                return lie("entry-malformed", place, "an unproven epoch with a record");
            }
            check_sums(against.source, s, &work)?;
        }
        if !is_checked || !s.is_proven {
            lane.blind.push(s.epoch);
        }
        // An unproven entry says what it likes of its shares: what it says of work is as good.
        let has_work = s.shares > 0 || (s.house_work, s.other_work) != (Hashes::ZERO, Hashes::ZERO);
        let checkpoint = s.checkpoint();
        if has_work {
            lane.worked.push(lane.entries.len());
        }
        let (epoch, rules, places) = (s.epoch, s.rules, s.places);
        lane.entries.push(Known { epoch, checkpoint, rules, places });
        Ok(found)
    }
}

fn check_record(
    against: Against<'_>,
    entry: &EpochEntry,
    lane: &mut Lane,
    budget: &mut Budget,
    tick: &mut dyn FnMut(u64),
    work: &mut Work,
    found: &mut Found,
) -> Result<(), VerifyError> {
    let Against { source, options, .. } = against;
    let s = &entry.summary;
    let path = data_path(&s.record.hash);
    let file = open_data(source, s.record, "record-missing")?;
    let mut record = read!("record-malformed", &path, RecordReader::open(file));
    let header = record.shared();
    if header.of.lane != s.lane || header.of.epoch != s.epoch {
        return lie("other-record", path, "the record of another lane or epoch");
    }
    let headers_of = options.headers.get(&s.lane).filter(|_| !work::is_ethash(s.algorithm));
    let is_covered = |epoch| headers_of.is_some_and(|h| h.cover(epoch, s.length_us));
    let Jobs { stands: jobs, mut for_owners, taken } =
        check_jobs(against, entry, lane, &header, budget, found)?;
    work.names.clone_from(&header.owners);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if options.threads == 0 { cores } else { options.threads };
    let mut hashers: Vec<Hasher> = (0..threads).map(|_| Hasher::new(s.algorithm)).collect();
    let mut used = BTreeSet::new();
    let mut sections: Vec<(EpochNumber, Vec<u128>)> = Vec::new();
    let (mut covered, mut unknown) = (0u128, 0u128);
    while let Some(section) = read!("record-malformed", &path, record.next_section()) {
        let mut ids: Vec<u128> = Vec::new();
        loop {
            let blocks = read!("record-malformed", &path, batch(&mut record));
            if blocks.is_empty() {
                break;
            }
            let count: usize = blocks.iter().map(|b| b.shares.len()).sum();
            budget.take(SHARE_COST.0 * count as u64, &path)?;
            for block in &blocks {
                let job = jobs.get(block.job).copied().unwrap_or_default();
                check_block(block, section, job.rules, &header, &path)?;
                used.insert(block.job);
                let n = block.shares.len() as u64;
                let counted = job.counted(block.class);
                *found.classes.entry(counted.k()).or_default() += n;
                found.late += if section.epoch == s.epoch { 0 } else { n };
                found.sampled += if counted > block.class { n } else { 0 };
                found.loosely_dated += if job.is_loose { n } else { 0 };
                found.unbegun += if job.is_first { n } else { 0 };
                found.unbound += if job.is_bound { 0 } else { n };
                let worth = Hashes(counted.work().0.saturating_mul(n.into()));
                if job.is_dated {
                    found.dated += n;
                    found.dated_work = Hashes(found.dated_work.0.saturating_add(worth.0));
                }
                // Late work, too: else it would be the place for what is on no chain.
                if is_covered(section.epoch) {
                    covered = covered.saturating_add(worth.0);
                    unknown = unknown.saturating_add(if job.is_unknown { worth.0 } else { 0 });
                }
                found.hides_aux += if job.hides_aux { n } else { 0 };
                found.expect(&header, block, counted, job.is_of_chain);
            }
            let counted = |block: &Block| {
                jobs.get(block.job).map_or(block.class, |job| job.counted(block.class))
            };
            let checked = work::check_all(&mut hashers, &header, &blocks, &counted)?;
            tick(count as u64);
            for (block, checked) in blocks.iter().zip(checked) {
                let house = (checked.house > 0).then_some((0, checked.house));
                let mut for_owner = for_owners.get_mut(&block.job);
                for (owner, n) in house.into_iter().chain(checked.owners) {
                    if let Some(own) = &mut for_owner {
                        own.check(&header.owners, owner, &path)?;
                        found.to_owners += n;
                    }
                    if work.add(owner, n, counted(block)).is_none() {
                        return lie("overflow", path, "the work does not fit");
                    }
                    work.shares += n;
                }
                checked.leaves.iter().for_each(|leaf| lane.accepted.found(leaf));
                work.root.extend(&checked.leaves);
                ids.extend(checked.ids);
                let is_there = |b: &&Hash| headers_of.is_some_and(|h| h.has(b));
                let solved = checked.solved;
                let counted = counted(block);
                for (aux, n) in of_job(&header, block).iter().zip(checked.aux_solved) {
                    let n = if shows_blocks(counted, aux.bits) { n } else { 0 };
                    found.aux.entry((aux.chain_id, aux.coin.clone())).or_default().0 += n;
                }
                let bits = header.jobs.get(block.job).map_or(0, |j| j.bits);
                let is_of_chain = jobs.get(block.job).is_some_and(|job| job.is_of_chain);
                if is_of_chain && shows_blocks(counted, bits) {
                    found.on_chain += solved.iter().filter(is_there).count() as u64;
                    found.solved += solved.len() as u64;
                }
            }
        }
        lane.once(section, &mut ids, &path)?;
        ids.shrink_to_fit();
        budget.give((SHARE_COST.0 - SHARE_COST.1) * ids.len() as u64);
        if section.epoch < s.epoch {
            found.late_from = found.late_from.min(Some(section.epoch)).or(Some(section.epoch));
        }
        sections.push((section.epoch, ids));
    }
    if used.len() != header.jobs.len() || (1..=header.owners.len()).any(|o| !work.has(o)) {
        return lie("record-padded", path, "jobs or owners without a share");
    }
    budget.give(taken);
    is_file(record.into_inner(), s.record)?;
    let length_us = if is_covered(s.epoch) { s.length_us } else { 0 };
    lane.covered.add(length_us, Hashes(covered), Hashes(unknown));
    found.record_bytes = s.record.bytes;
    budget.give(SHARE_COST.1 * lane.remember(s.epoch, sections));
    Ok(())
}

fn batch<R: Read>(record: &mut RecordReader<R>) -> Result<Vec<Block>, WireError> {
    let (mut blocks, mut shares) = (Vec::new(), 0);
    while shares < BATCH_SHARES && blocks.len() < BATCH_BLOCKS {
        let Some(block) = record.next_block()? else { break };
        shares += block.shares.len();
        blocks.push(block);
    }
    Ok(blocks)
}

fn check_block(
    block: &Block,
    section: Section,
    rules: Rules,
    header: &RecordHeader,
    path: &str,
) -> Result<(), VerifyError> {
    if header.jobs.get(block.job).map(|j| j.epoch) != Some(section.epoch) {
        return lie("other-epoch", path, "a share of a job of another epoch");
    }
    if block.class.k() < rules.class_min || block.class.k() > rules.class_max {
        let what = format!(
            "class {}, while {} to {} was fixed before",
            block.class, rules.class_min, rules.class_max
        );
        return lie("class-out-of-range", path, what);
    }
    Ok(())
}

/// The blocks of other chains that a block of shares is for.
fn of_job<'a>(header: &'a RecordHeader, block: &Block) -> &'a [AuxBlock] {
    header.jobs.get(block.job).map_or(&[], |j| &j.aux)
}

/// Whether a hash that makes a block of this target would stand among shares that count at this class, whatever it is above.
fn shows_blocks(counted: Class, bits: u32) -> bool {
    Target::from_compact(bits).is_some_and(|block| counted.target().0 >= block.0)
}

impl Found {
    /// Counts the blocks that this work should have found. Floats: they decide nothing.
    #[allow(clippy::cast_precision_loss)]
    fn expect(&mut self, header: &RecordHeader, block: &Block, counted: Class, is_of_chain: bool) {
        let work = counted.work().0 as f64 * block.shares.len() as f64;
        let blocks = |bits: u32| {
            let target = Target::from_compact(bits);
            let per_block = target.map_or(Hashes(u128::MAX), Target::expected_hashes);
            work / per_block.0 as f64
        };
        let own = header.jobs.get(block.job).map_or(0, |j| j.bits);
        let mut hides = !shows_blocks(counted, own);
        if is_of_chain && !hides {
            self.expected_blocks += blocks(own);
        }
        for other in of_job(header, block) {
            let shows = shows_blocks(counted, other.bits);
            hides |= !shows;
            let of = self.aux.entry((other.chain_id, other.coin.clone())).or_default();
            of.1 += if shows { blocks(other.bits) } else { 0.0 };
        }
        self.hides_blocks += if hides { block.shares.len() as u64 } else { 0 };
    }
}

/// What is to be said of a job that holds.
#[derive(Clone, Copy, Default)]
struct JobStands {
    /// Its stamp holds an older checkpoint than it could, or one of long before.
    is_loose: bool,
    /// Its stamp holds none.
    is_first: bool,
    /// The chain dates it.
    is_dated: bool,
    /// There are headers, and its block is not among them.
    is_unknown: bool,
    /// What blocks it finds says something of the lane's luck: there are no headers, or they show its target.
    is_of_chain: bool,
    /// What the entry fixed whose checkpoint its stamp holds.
    rules: Rules,
    /// It commits to other chains' blocks and does not say which.
    hides_aux: bool,
    /// Where it may pay was published before.
    is_bound: bool,
}

/// What is to be said of a record's jobs.
struct Jobs {
    stands: Vec<JobStands>,
    /// Those that pay to others than the house, by their places.
    for_owners: BTreeMap<usize, ForOwner>,
    /// What is to be given back of the budget when the record is read.
    taken: u64,
}

/// What jobs of an epoch are bound by that hold a checkpoint.
struct Binding {
    /// The commitments that may stand in their stamps.
    commitments: Vec<Hash>,
    rules: Rules,
    is_loose: bool,
    /// Where they may pay, if that was said.
    places: Option<Arc<Places>>,
}

impl JobStands {
    /// At which class a share of its own class counts: a share that is opened only because it reached the threshold
    /// stands for those that did not.
    fn counted(&self, class: Class) -> Class {
        Class::new(self.rules.opened).map_or(class, |threshold| class.max(threshold))
    }
}

/// Holds every job's stamp against this log, and its block against the chain where that is known.
fn check_jobs(
    Against { source, log, options }: Against<'_>,
    entry: &EpochEntry,
    lane: &Lane,
    header: &RecordHeader,
    budget: &mut Budget,
    found: &mut Found,
) -> Result<Jobs, VerifyError> {
    let keys = log.keys_at(entry.at).count() as u64;
    let mut taken = 0;
    let algorithm = entry.summary.algorithm;
    let headers = options.headers.get(&header.of.lane);
    let allowed = options.destinations.get(&header.of.lane);
    let mut all = Vec::with_capacity(header.jobs.len());
    let mut known: BTreeMap<(EpochNumber, EpochNumber), Binding> = BTreeMap::new();
    let (mut lists, mut for_owners) = (Lists::default(), BTreeMap::new());
    let (mut datasets, mut chains) = (BTreeSet::new(), BTreeSet::new());
    for (place, job) in header.jobs.iter().enumerate() {
        let at = format!("job {}", job.job);
        // Of these few only, so that what follows is bounded.
        let own = header.of.epoch;
        if job.epoch > own || job.epoch < own.back(LATE_MAX.into()) {
            return lie("other-epoch", at, "a job of an epoch that has no section here");
        }
        let key = (job.epoch, job.checkpoint_epoch);
        if let btree_map::Entry::Vacant(unknown) = known.entry(key) {
            let Some((checkpoint, rules, places, is_loose)) =
                lane.checkpoint(job.epoch, job.checkpoint_epoch)
            else {
                return lie(
                    "stale-checkpoint",
                    at,
                    "its stamp holds no checkpoint that it should hold",
                );
            };
            // A log of many keys and many checkpoints would make a list without end.
            let cost = keys.saturating_mul(COMMITMENT_COST) + KNOWN_COST;
            budget.take(cost, &at)?;
            taken += cost;
            let commit = |key: &[u8; 32]| {
                stamp::commitment(&log.head.origin, key, &header.of.lane, job.epoch, &checkpoint)
            };
            let commitments = log.keys_at(entry.at).map(commit).collect();
            let places = lists.of(source, &header.of.lane, places, budget)?;
            unknown.insert(Binding { commitments, rules, is_loose, places });
        }
        let Some(Binding { commitments, rules, is_loose, places }) = known.get(&key) else {
            continue;
        };
        let JobSays { stamped, paid, values, dataset, hides_aux } =
            work::read_job(algorithm, job, header.is_merged)?;
        chains.extend(job.aux.iter().map(|b| (b.chain_id, &b.coin)));
        if chains.len() > aux::BLOCKS_MAX {
            return lie("aux-not-committed", at, "jobs for more chains than one record may name");
        }
        if !commitments.iter().any(|c| stamped.is_of(c)) {
            return lie("other-stamp", at, "its stamp is of another log, lane, epoch or history");
        }
        // One header serves machines of every class: that a try has the same expected credit for whoever picks shares,
        // one class for all that are opened must have been fixed before.
        if dataset.is_some() && (rules.opened == 0 || rules.opened < rules.class_max) {
            return lie(
                "class-not-fixed",
                at,
                "no one class was fixed for all shares of its header",
            );
        }
        datasets.extend(dataset);
        if datasets.len() > DATASETS_MAX {
            return lie(
                "header-malformed",
                at,
                "headers of more of the algorithm's epochs than one can see",
            );
        }
        let dated = headers.map(|h| h.date(&job.prev_hash, job.epoch, entry.summary.length_us));
        if dated == Some(Dated::No) {
            return lie("not-the-tip", at, "its block was not the chain's tip in its epoch");
        }
        if headers.is_some_and(|h| !h.takes(algorithm, job)) {
            return lie("other-target", at, "its target is not the one that its chain asks for");
        }
        let elsewhere = paid.iter().find(|to| allowed.is_some_and(|a| !a.contains(*to)));
        if let Some(script) = elsewhere {
            let what = format!("a block would have paid to {}", hex::encode(script));
            return lie("paid-elsewhere", at, what);
        }
        if let Some(places) = places
            && let Some(own) = ForOwner::of(places, (&paid, &values), &at)?
        {
            for_owners.insert(place, own);
        }
        let is_dated = dated == Some(Dated::Yes);
        let (is_loose, is_first) = (*is_loose, job.checkpoint_epoch == EpochNumber(0));
        all.push(JobStands {
            is_loose,
            is_first,
            is_dated,
            is_unknown: dated == Some(Dated::Unknown),
            is_of_chain: is_dated || dated.is_none(),
            rules: *rules,
            hides_aux,
            is_bound: places.is_some(),
        });
        paid.iter().for_each(|script| found.destinations.add(script));
    }
    budget.give(taken);
    Ok(Jobs { stands: all, for_owners, taken: lists.taken })
}

impl Lane {
    /// The entries whose checkpoints jobs of these epochs may hold.
    fn binding(&self, (first, last): (EpochNumber, EpochNumber)) -> Range<usize> {
        let of = |epoch: EpochNumber| self.entries.partition_point(|k| k.epoch <= epoch.back(2));
        let before = self.worked.partition_point(|at| *at < of(first));
        let from = before.checked_sub(SLACK_ENTRIES + 1).map_or(0, |n| self.worked[n]);
        from..of(last).max(from)
    }

    /// How many of these entries have work.
    fn worked_within(&self, places: Range<usize>) -> usize {
        let before = |place: usize| self.worked.partition_point(|at| *at < place);
        before(places.end).saturating_sub(before(places.start))
    }

    /// The checkpoint that a job may hold, what its entry fixed, where it may pay, and whether it is older than need be. The job's own
    /// entry binds it and not the newest one: whoever made the job knew that one, and has hashed it.
    fn checkpoint(
        &self,
        epoch: EpochNumber,
        of: EpochNumber,
    ) -> Option<(Hash, Rules, FileRef, bool)> {
        let to = self.entries.partition_point(|k| k.epoch <= epoch.back(2));
        let known = &self.entries[..to];
        let (hash, rules, places, after) = if of == EpochNumber(0) {
            (GENESIS, Rules::default(), FileRef::default(), 0)
        } else {
            let at = known.binary_search_by_key(&of, |k| k.epoch).ok()?;
            let own = known[at];
            (own.checkpoint, own.rules, own.places, at + 1)
        };
        let behind = self.worked_within(after..to);
        // Where nothing was published for long, nothing says when work was begun.
        let gap = epoch.0.saturating_sub(of.0) > 2 + SLACK_ENTRIES as u64;
        let is_loose = behind > 0 || (of != EpochNumber(0) && (after < to || gap));
        (behind <= SLACK_ENTRIES).then_some((hash, rules, places, is_loose))
    }

    /// Refuses a hash that stands twice: in the section, or in one of the same epoch before it.
    fn once(&self, section: Section, ids: &mut [u128], path: &str) -> Result<(), VerifyError> {
        ids.sort_unstable();
        if ids.windows(2).any(|w| w[0] == w[1]) {
            return lie("share-twice", path, "one hash stands under two shares");
        }
        for (_, before) in self.recent.iter().filter(|(e, _)| *e == section.epoch) {
            if ids.iter().any(|id| before.binary_search(id).is_ok()) {
                return lie("late-share-twice", path, "late work that was counted before");
            }
        }
        Ok(())
    }

    /// Keeps what late work could repeat; how many shares were forgotten.
    fn remember(&mut self, epoch: EpochNumber, sections: Vec<(EpochNumber, Vec<u128>)>) -> u64 {
        self.recent.extend(sections);
        let kept = |lane: &Lane| lane.recent.iter().map(|(_, ids)| ids.len() as u64).sum::<u64>();
        let before = kept(self);
        // What can come late is of the last epochs only.
        self.recent.retain(|(e, _)| *e > epoch.back(u64::from(LATE_MAX)));
        before - kept(self)
    }
}
