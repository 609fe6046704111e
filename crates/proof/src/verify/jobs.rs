//! Whether a record's jobs hold: each one's stamp against this log, its block against the chain, its places against the list.

use super::budget::{Budget, COMMITMENT_COST, KNOWN_COST};
use super::dating::Dated;
use super::entries::EpochEntry;
use super::epoch::Against;
use super::found::Found;
use super::lanes::Lane;
use super::places::{ForOwner, Lists};
use super::work::{self, JobSays};
use super::{VerifyError, lie};
use crate::places::Places;
use crate::record::{LATE_MAX, RecordHeader};
use crate::summary::Rules;
use crate::{Hash, aux, stamp};
use gruve_pow::ethash::EthashEpoch;
use gruve_units::{Class, EpochNumber};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::sync::Arc;

/// Of how many of the Ethash family's epochs the jobs of a record may be: each takes seconds and memory, and none ends twice in
/// a record's time.
const DATASETS_MAX: usize = 2;

/// What is to be said of a job that holds.
#[derive(Clone, Copy, Default)]
pub(super) struct JobStands {
    /// Its stamp holds an older checkpoint than it could, or one of long before.
    pub(super) is_loose: bool,
    /// Its stamp holds none.
    pub(super) is_first: bool,
    /// The chain dates it.
    pub(super) is_dated: bool,
    /// There are headers, and its block is not among them.
    pub(super) is_unknown: bool,
    /// What blocks it finds says something of the lane's luck: there are no headers, or they show its target.
    pub(super) is_of_chain: bool,
    /// What the entry fixed whose checkpoint its stamp holds.
    pub(super) rules: Rules,
    /// It commits to other chains' blocks and does not say which.
    pub(super) hides_aux: bool,
    /// Where it may pay was published before.
    pub(super) is_bound: bool,
}

/// What is to be said of a record's jobs.
pub(super) struct Jobs {
    pub(super) stands: Vec<JobStands>,
    /// Those that pay to others than the house, by their places.
    pub(super) for_owners: BTreeMap<usize, ForOwner>,
    /// What is to be given back of the budget when the record is read.
    pub(super) taken: u64,
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
    pub(super) fn counted(&self, class: Class) -> Class {
        Class::new(self.rules.opened).map_or(class, |threshold| class.max(threshold))
    }
}

/// Holds every job's stamp against this log, and its block against the chain where that is known.
pub(super) fn check_jobs(
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
        let new = dataset.filter(|number| datasets.insert(*number));
        if datasets.len() > DATASETS_MAX {
            return lie(
                "header-malformed",
                at,
                "headers of more of the algorithm's epochs than one can see",
            );
        }
        if let Some(Ok(epoch)) = new.map(|number| EthashEpoch::new(algorithm, number.into())) {
            budget.cache(epoch, &at)?;
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
            // Jobs of little else would keep millions.
            budget.take(own.cost(), &at)?;
            lists.taken += own.cost();
            for_owners.insert(place, own);
        }
        let is_dated = dated == Some(Dated::Yes);
        if let Some(headers) = headers.filter(|_| is_dated)
            && let Some(span) = headers.span(&job.prev_hash, job.epoch, entry.summary.length_us)
        {
            found.dated_span = Some(found.dated_span.map_or(span, |before| before.with(span)));
        }
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
