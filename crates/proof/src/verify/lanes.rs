//! What is remembered of each lane: its entries, what bound later jobs, hashes that late work could repeat, accepted shares.

use super::accepted::{Accepted, Compared};
use super::dating::Covered;
use super::highest::Highest;
use super::{VerifyError, lie};
use crate::Hash;
use crate::record::{LATE_MAX, Section};
use crate::summary::{EpochSummary, FileRef, GENESIS, Rules};
use gruve_units::{EpochNumber, Hashes, LaneId};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// How many entries with work may stand behind a job's checkpoint, up to two epochs before the job's: an accountant
/// that is late does not make work false, only dated less well. The verdict counts such work. Entries without work
/// are like epochs without an entry: nothing was done in them.
pub const SLACK_ENTRIES: usize = 6;

/// What is remembered of each lane.
#[derive(Default)]
pub(super) struct Lanes(BTreeMap<LaneId, Lane>);

/// What is remembered of one.
#[derive(Default)]
pub(super) struct Lane {
    /// Its entries, oldest first.
    entries: Vec<Known>,
    /// The places of those that have work, ascending: a log of many that have none is not walked through for each job.
    worked: Vec<usize>,
    /// What its gateways say that they accepted.
    pub(super) accepted: Accepted,
    /// What of its work is in the time of the headers at hand.
    pub(super) covered: Covered,
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

    /// A lane, remembered from now on.
    pub(super) fn of(&mut self, lane: &LaneId) -> &mut Lane {
        self.0.entry(lane.clone()).or_default()
    }
}

impl Lane {
    /// The list that its newest entry names.
    pub(super) fn last_places(&self) -> FileRef {
        self.entries.last().map_or(FileRef::default(), |k| k.places)
    }

    /// Adds its next entry; `is_checked` says whether its shares were looked at, if it has a record.
    pub(super) fn add(&mut self, s: &EpochSummary, is_checked: bool) {
        if !is_checked || !s.is_proven {
            self.blind.push(s.epoch);
        }
        // An unproven entry says what it likes of its shares: what it says of work is as good.
        let has_work = s.shares > 0 || (s.house_work, s.other_work) != (Hashes::ZERO, Hashes::ZERO);
        if has_work {
            self.worked.push(self.entries.len());
        }
        let (epoch, checkpoint, rules, places) = (s.epoch, s.checkpoint(), s.rules, s.places);
        self.entries.push(Known { epoch, checkpoint, rules, places });
    }

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
    pub(super) fn checkpoint(
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
    pub(super) fn once(
        &self,
        section: Section,
        ids: &mut [u128],
        path: &str,
    ) -> Result<(), VerifyError> {
        sort(ids);
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
    pub(super) fn remember(
        &mut self,
        epoch: EpochNumber,
        sections: Vec<(EpochNumber, Vec<u128>)>,
    ) -> u64 {
        self.recent.extend(sections);
        let kept = |lane: &Lane| lane.recent.iter().map(|(_, ids)| ids.len() as u64).sum::<u64>();
        let before = kept(self);
        // What can come late is of the last epochs only.
        self.recent.retain(|(e, _)| *e > epoch.back(u64::from(LATE_MAX)));
        before - kept(self)
    }
}

/// From so many on numbers are put into 256 parts before these are sorted.
const PARTED_MIN: usize = 1 << 12;

/// Sorts hashes: many by their first byte at first, of which there are about as many each, so that what is compared stays in the
/// processor's nearest memory. Whoever makes many of one first byte gets them sorted as any numbers are.
fn sort(ids: &mut [u128]) {
    if ids.len() < PARTED_MIN {
        return ids.sort_unstable();
    }
    let first = |id: &u128| usize::from(id.to_be_bytes()[0]);
    let mut ends = [0usize; 256];
    ids.iter().for_each(|id| ends[first(id)] += 1);
    let (mut next, mut sum) = ([0usize; 256], 0);
    for (next, end) in next.iter_mut().zip(&mut ends) {
        *next = sum;
        sum += *end;
        *end = sum;
    }
    let begins = next;
    for (part, end) in ends.iter().enumerate() {
        while next[part] < *end {
            let at = next[part];
            let of = first(&ids[at]);
            if of != part {
                ids.swap(at, next[of]);
            }
            next[of] += 1;
        }
    }
    for (begin, end) in begins.iter().zip(ends) {
        ids[*begin..end].sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sorted_however_many_and_whatever_they_begin_with() {
        let noise = |n: u64, spread: u128| {
            let hash = gruve_pow::sha256(&n.to_be_bytes());
            u128::from_be_bytes(hash[..16].try_into().unwrap()) / spread
        };
        for (n, spread) in [(0, 1), (1, 1), (4_095, 1), (4_096, 1), (9_000, 1), (9_000, 1 << 13)] {
            // Some twice.
            let mut ids: Vec<u128> = (0..n).map(|n| noise(n / 3 * 2, spread)).collect();
            let mut plain = ids.clone();
            plain.sort_unstable();
            sort(&mut ids);
            assert!(ids == plain, "{n} of {spread}");
        }
    }
}
