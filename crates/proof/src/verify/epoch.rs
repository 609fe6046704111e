//! One epoch: its record, its sums, its sold tree.

use super::budget::{Budget, SHARE_COST};
use super::data::{is_file, open_data, read};
use super::entries::{EpochEntry, Log};
use super::found::{Found, of_job, shows_blocks};
use super::jobs::{Jobs, check_jobs};
use super::lanes::{Lane, Lanes};
use super::places::read_places;
use super::source::Source;
use super::sums::{Work, check_sums};
use super::work::{self, Hasher};
use super::{Options, VerifyError, lie};
use crate::publish::data_path;
use crate::record::{Block, RecordHeader, RecordReader, Section};
use crate::summary::{FileRef, Rules};
use crate::{Hash, WireError};
use gruve_units::{EpochNumber, Hashes};
use std::collections::BTreeSet;
use std::io::Read;

/// Shares handed to the threads at once.
const BATCH_SHARES: usize = 1 << 15;
/// Blocks handed to the threads at once: small ones, each of its own job and class.
const BATCH_BLOCKS: usize = 4_096;

/// What an epoch is held against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) log: &'a Log,
    pub(super) options: &'a Options,
}

impl Lanes {
    /// Checks an entry's epoch, or only remembers it.
    pub(super) fn take(
        &mut self,
        against: Against<'_>,
        entry: &EpochEntry,
        is_checked: bool,
        budget: &mut Budget,
        tick: &mut dyn FnMut(u64),
    ) -> Result<Found, VerifyError> {
        let s = &entry.summary;
        let lane = self.of(&s.lane);
        let mut found = Found::default();
        // The same list as before is there as it was before.
        if is_checked && s.places != FileRef::default() && s.places != lane.last_places() {
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
        lane.add(s, is_checked);
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
        let mut blocks = read!("record-malformed", &path, batch(&mut record));
        while !blocks.is_empty() {
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
            // What comes next is read while this is hashed.
            let next = || batch(&mut record);
            let (checked, next) = work::check_all(&mut hashers, &header, &blocks, &counted, next);
            let checked = checked?;
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
            blocks = read!("record-malformed", &path, next);
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
