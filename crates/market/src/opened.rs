//! Which shares are opened to the public, and what later jobs are bound to. Pure.
//!
//! An epoch's entry fixes bounds of classes and a threshold for jobs whose stamp holds its checkpoint
//! ([`gruve_proof::opened`]). Where the threshold is above a share's class, the share is opened only when its hash
//! reaches it, and then stands for those that do not: so the record stays small however many shares come in, and what is
//! counted, allocated and paid is exactly what the record proves.

use crate::record::record_job;
use crate::tally::Counted;
use crate::{MarketError, Result};
use gruve_proof::opened::Opener;
use gruve_proof::record::RecordJob;
use gruve_proof::share;
use gruve_proof::summary::Rules;
use gruve_sharelog::JobRecord;
use gruve_units::{Algorithm, Class, EpochNumber, JobId};
use std::collections::{BTreeMap, HashMap};

/// What is wanted of a lane's shares and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The easiest class that its gateways give: the highest is never capped below it.
    pub class_min: Class,
    /// The effective number of shares that an epoch is to have at least; the highest class is capped for it. 0 caps
    /// nothing.
    pub shares_min: u64,
    /// About how many shares of an epoch are opened at the most; 0 opens all.
    pub shares_max: u64,
    /// Where a job's header says no class (the Ethash family): all its shares count at one that is fixed before, this or a
    /// harder one.
    pub one_class: Option<Class>,
}

/// About how many shares of an epoch count at the one class, where nobody says how many: hashed again in some seconds.
const ONE_CLASS_SHARES: u64 = 1_024;

/// Nothing.
impl Default for Sampling {
    fn default() -> Self {
        Sampling { class_min: Class::ZERO, shares_min: 0, shares_max: 0, one_class: None }
    }
}

impl Sampling {
    /// What jobs are bound to that hold the checkpoint of an epoch in which so many shares of each class came in;
    /// `before` is what the entry before it said.
    #[must_use]
    pub fn rules(self, accepted: &BTreeMap<u8, u64>, before: Rules) -> Rules {
        if let Some(floor) = self.one_class {
            return self.one(floor, accepted, before);
        }
        if accepted.is_empty() {
            return Rules { class_min: 0, ..before };
        }
        // It falls by one an epoch at the most: an epoch in which the farm stood still must not open a later one's
        // shares by the million.
        let falls = if self.shares_max == 0 { 0 } else { before.opened.saturating_sub(1) };
        let opened = threshold(accepted, self.shares_max).max(falls);
        Rules { class_min: 0, class_max: self.cap(accepted, before.class_max), opened }
    }

    /// One class for all shares: that at which an epoch's work makes so many. It is the hardest that machines get, too, and
    /// falls by one an epoch at the most; below `floor`, at which machines begin, more would come than can be hashed.
    fn one(self, floor: Class, accepted: &BTreeMap<u8, u64>, before: Rules) -> Rules {
        let was_fixed = is_one_class(before);
        if accepted.is_empty() {
            // Before anybody has worked nothing is known that would suit them.
            return if was_fixed { before } else { Rules::default() };
        }
        let wanted = if self.shares_max == 0 { ONE_CLASS_SHARES } else { self.shares_max };
        let each = work_of_all(accepted) / u128::from(wanted);
        let fits = u8::try_from(each.max(1).ilog2()).unwrap_or(Class::MAX);
        let falls = if was_fixed { before.opened.saturating_sub(1) } else { 0 };
        let class = fits.max(falls).max(floor.k()).clamp(1, Class::MAX);
        Rules { class_min: 0, class_max: class, opened: class }
    }

    /// The highest class at which an epoch's work makes so many shares. It falls by one an epoch at the most, so as not to
    /// flood the gateways in a later one.
    fn cap(self, accepted: &BTreeMap<u8, u64>, before: u8) -> u8 {
        if self.shares_min == 0 {
            return Class::MAX;
        }
        let each = work_of_all(accepted) / u128::from(self.shares_min);
        let fits = u8::try_from(each.max(1).ilog2()).unwrap_or(Class::MAX);
        let falls = if before >= Class::MAX { 0 } else { before.saturating_sub(1) };
        fits.max(falls).clamp(self.class_min.k(), Class::MAX)
    }
}

fn work_of(class: u8) -> u128 {
    Class::new(class).map_or(0, |c| c.work().0)
}

fn work_of_all(accepted: &BTreeMap<u8, u64>) -> u128 {
    accepted.iter().fold(0, |sum, (class, n)| {
        sum.saturating_add(work_of(*class).saturating_mul(u128::from(*n)))
    })
}

/// Whether all opened shares count at one class.
pub(crate) fn is_one_class(rules: Rules) -> bool {
    rules.opened > 0 && rules.opened >= rules.class_max
}

/// The lowest threshold at which about so many of them are opened.
fn threshold(accepted: &BTreeMap<u8, u64>, most: u64) -> u8 {
    let opened = |at: u8| {
        accepted.iter().fold(0u64, |sum, (class, n)| {
            sum.saturating_add(n >> at.saturating_sub(*class).min(63))
        })
    };
    if most == 0 { 0 } else { (0..Class::MAX).find(|at| opened(*at) <= most).unwrap_or(Class::MAX) }
}

/// How many shares of each class there are.
pub(crate) fn by_class(shares: &[Counted]) -> BTreeMap<u8, u64> {
    let mut all = BTreeMap::new();
    for class in shares.iter().filter_map(|s| share::class(s.canonical())) {
        *all.entry(class.k()).or_default() += 1;
    }
    all
}

/// Leaves those shares that are opened, each at the class it counts at. `thresholds` are those of the epochs whose
/// checkpoints jobs hold, where they are not 0. Hashes every share below one.
pub(crate) fn open(
    algorithm: Algorithm,
    jobs: &HashMap<JobId, JobRecord>,
    thresholds: &BTreeMap<EpochNumber, u8>,
    shares: &mut Vec<Counted>,
) -> Result<()> {
    if thresholds.is_empty() {
        return Ok(());
    }
    let mut opener = Opener::new(algorithm);
    let mut groups: BTreeMap<(JobId, Class), Vec<usize>> = BTreeMap::new();
    for (at, s) in shares.iter().enumerate() {
        if let Some(class) = share::class(s.canonical()) {
            groups.entry((share::job(s.canonical()), class)).or_default().push(at);
        }
    }
    let mut is_open = vec![true; shares.len()];
    for ((job, class), places) in groups {
        let Some(record) = jobs.get(&job) else { continue };
        let threshold = thresholds.get(&record.checkpoint_epoch).copied().unwrap_or(0);
        let (Some(first), true) = (places.first(), threshold > class.k()) else { continue };
        let record: RecordJob = record_job(record, shares[*first].canonical());
        let all: Vec<_> = places.iter().map(|at| shares[*at].canonical()).collect();
        let levels = opener.levels(&record, class, &all);
        let levels = levels.ok_or_else(|| {
            MarketError::Broken(format!("the coinbase of job {job} in the share log is none"))
        })?;
        for (at, level) in places.into_iter().zip(levels) {
            is_open[at] = level >= threshold;
            shares[at] = shares[at].opened_at(threshold);
        }
    }
    let mut kept = is_open.into_iter();
    shares.retain(|_| kept.next().unwrap_or(true));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sampling: Sampling, accepted: &[(u8, u64)], before: u8) -> (u8, u8) {
        let before = Rules { class_min: 0, class_max: before, opened: 0 };
        let rules = sampling.rules(&accepted.iter().copied().collect(), before);
        (rules.class_max, rules.opened)
    }

    #[test]
    fn where_nothing_is_wanted_nothing_is_bound() {
        assert_eq!(rules(Sampling::default(), &[(20, 1_000_000)], 100), (100, 0));
    }

    #[test]
    fn the_highest_class_leaves_as_many_shares_as_are_wanted_and_falls_slowly() {
        let of =
            Sampling { class_min: Class::new(10).unwrap(), shares_min: 100, ..Sampling::default() };
        // 1,000 shares of 2^20 are 100 of 2^23 and some more.
        assert_eq!(rules(of, &[(20, 1_000)], 100).0, 23);
        assert_eq!(rules(of, &[(20, 800)], 23).0, 23);
        assert_eq!(rules(of, &[(20, 10)], 23).0, 22, "ten fell away at once");
        assert_eq!(rules(of, &[], 23).0, 23, "nobody worked");
        assert_eq!(rules(of, &[(20, 100_000)], 22).0, 29, "up at once");
        assert_eq!(rules(of, &[(1, 1)], 10).0, 10, "never below what gateways give");
    }

    #[test]
    fn where_a_header_says_no_class_one_is_fixed_for_all() {
        let of = Sampling { one_class: Class::new(10), ..Sampling::default() };
        let none = Rules::default();
        let all = |accepted: &[(u8, u64)], before| {
            let rules = of.rules(&accepted.iter().copied().collect(), before);
            assert!(rules == none || is_one_class(rules), "{rules:?}");
            rules.opened
        };
        assert_eq!(all(&[], none), 0, "nobody has worked yet");
        assert_eq!(all(&[(20, 1_024)], none), 20);
        assert_eq!(all(&[(16, 1_024), (22, 16)], none), 17);
        let fixed = |class| Rules { class_min: 0, class_max: class, opened: class };
        assert_eq!(all(&[(20, 1_024)], fixed(25)), 24, "slowly down");
        assert_eq!(all(&[], fixed(25)), 25, "nobody worked");
        assert_eq!(all(&[(3, 1)], fixed(10)), 10, "not below what machines begin with");
        let few = Sampling { shares_max: 64, ..of };
        assert_eq!(few.rules(&BTreeMap::from([(20, 1_024)]), none).opened, 24);
    }

    #[test]
    fn the_threshold_opens_about_as_many_as_are_wanted() {
        let of = Sampling { shares_max: 1_000, ..Sampling::default() };
        assert_eq!(rules(of, &[(20, 1_000)], 100).1, 0);
        assert_eq!(rules(of, &[(20, 2_000)], 100).1, 21);
        assert_eq!(rules(of, &[(20, 16_000), (24, 500)], 100).1, 25);
        let before = Rules { class_min: 0, class_max: 100, opened: 25 };
        assert_eq!(of.rules(&BTreeMap::from([(20, 5)]), before).opened, 24, "slowly down");
        assert_eq!(of.rules(&BTreeMap::new(), before).opened, 25, "nobody worked");
    }
}
