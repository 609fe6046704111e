//! Counting an epoch's shares. Pure.
//!
//! Shares are sorted by their canonical bytes, late ones behind the epoch's own; the same work standing twice in the log counts once (the
//! first, in the log's order) and is reported. An owner's work is the exact sum of 2^class.

use crate::capacity::square;
use crate::fpps::JobWork;
use crate::{MarketError, units};
use gruve_proof::merkle::{RootBuilder, leaf_hash};
use gruve_proof::share::{self, Canonical, ShareLeaf};
use gruve_sharelog::{Owner, ShareRecord};
use gruve_units::{AccountId, Asset, Class, Hashes};
use ruint::aliases::U256;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A share as kept until its epoch closes: 64 bytes, so that ten minutes of a hundred thousand machines
/// at a share every five seconds fit 770 MB; classes keep real farms far below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    canonical: Canonical,
    bits: u32,
    /// Which of the epoch's [`JobTargets`].
    aux: u32,
    /// How many epochs before the one that it counts in its own was.
    late: u8,
    /// The threshold by which it is opened; 0 where all are.
    opened: u8,
}

/// What jobs were for: of the lane's own chain and of each merge-mined one the target, compact, and the height.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) own: (u32, u64),
    pub(crate) aux: Vec<(Asset, u32, u64)>,
}

/// What an epoch's jobs were for, each distinct set of targets once.
#[derive(Clone, Debug)]
pub(crate) struct JobTargets(Vec<Targets>);

impl Default for JobTargets {
    fn default() -> Self {
        JobTargets(vec![Targets::default()])
    }
}

impl JobTargets {
    /// The number of a set.
    pub(crate) fn number(&mut self, set: Targets) -> u32 {
        // The newest are the likeliest.
        let known = self.0.iter().rposition(|s| *s == set);
        let at = known.unwrap_or_else(|| {
            self.0.push(set);
            self.0.len() - 1
        });
        u32::try_from(at).unwrap_or(0)
    }

    /// The set of that number.
    pub(crate) fn of(&self, number: u32) -> Option<&Targets> {
        usize::try_from(number).ok().and_then(|n| self.0.get(n))
    }
}

impl Counted {
    pub(crate) fn canonical(&self) -> &Canonical {
        &self.canonical
    }

    pub(crate) fn new(record: &ShareRecord, bits: u32, aux: u32) -> Counted {
        let leaf = ShareLeaf {
            job: record.job,
            class: record.class,
            extranonce: record.extranonce.as_slice(),
            ntime: record.ntime,
            nonce: record.nonce,
            version: record.version,
            owner: match record.owner {
                Owner::House => None,
                Owner::Account(a) => Some(a),
            },
        };
        Counted { canonical: leaf.canonical(), bits, aux, late: 0, opened: 0 }
    }

    /// The same, counted so many epochs after its own.
    pub(crate) fn late(self, epochs: u64) -> Counted {
        Counted { late: u8::try_from(epochs).unwrap_or(u8::MAX), ..self }
    }

    /// The same, opened by this threshold.
    pub(crate) fn opened_at(self, threshold: u8) -> Counted {
        Counted { opened: threshold, ..self }
    }

    /// The class that it counts at.
    fn counts_at(&self) -> Option<Class> {
        let class = share::class(&self.canonical)?;
        Some(Class::new(self.opened).map_or(class, |threshold| class.max(threshold)))
    }

    /// How many epochs after its own it counts.
    pub(crate) fn epochs_late(&self) -> u8 {
        self.late
    }

    /// Where in the record: the epoch's own work first, then late work, the oldest first; each by its bytes.
    fn place(&self) -> (bool, Reverse<u8>, &[u8]) {
        (self.late > 0, Reverse(self.late), share::identity(&self.canonical))
    }
}

/// Whose work and at which network target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkKey {
    /// `None` for the house.
    pub(crate) owner: Option<AccountId>,
    pub(crate) bits: u32,
}

/// A sum of shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkSum {
    pub(crate) shares: u64,
    pub(crate) work: Hashes,
}

/// What an epoch's shares come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) shares: u64,
    pub(crate) duplicates: u64,
    pub(crate) work: BTreeMap<WorkKey, WorkSum>,
    /// The same work at the targets of merge-mined chains.
    pub(crate) aux: BTreeMap<(Asset, WorkKey), Hashes>,
    /// The house's work by height and target of its jobs, of the lane's own chain (no asset) and the others.
    pub(crate) heights: BTreeMap<(Option<Asset>, u64, u32), Hashes>,
    pub(crate) house_squares: U256,
    pub(crate) share_root: [u8; 32],
}

/// Counts shares given in the log's order.
pub(crate) fn tally(shares: &mut [Counted], aux: &JobTargets) -> Result<Tally, MarketError> {
    let overflow = || MarketError::Overflow("the work of an epoch");
    // Stable: of two alike the one logged first is counted.
    shares.sort_by(|a, b| a.place().cmp(&b.place()));
    let mut tally = Tally::default();
    let mut root = RootBuilder::new();
    let mut last: Option<&Counted> = None;
    let mut house: BTreeMap<u32, Hashes> = BTreeMap::new();
    for one in shares.iter() {
        let same = |l: &Counted| share::identity(&l.canonical) == share::identity(&one.canonical);
        if last.is_some_and(same) {
            tally.duplicates += 1;
            continue;
        }
        last = Some(one);
        root.push(leaf_hash(&one.canonical));
        tally.shares += 1;
        let class = one.counts_at().ok_or_else(overflow)?;
        let key = WorkKey { owner: share::owner(&one.canonical), bits: one.bits };
        let sum = tally.work.entry(key).or_default();
        sum.shares += 1;
        sum.work = sum.work.checked_add(class.work()).ok_or_else(overflow)?;
        let targets = aux.of(one.aux).ok_or_else(overflow)?;
        for (asset, bits, _) in &targets.aux {
            let key = WorkKey { bits: *bits, ..key };
            let sum = tally.aux.entry((*asset, key)).or_default();
            *sum = sum.checked_add(class.work()).ok_or_else(overflow)?;
        }
        if key.owner.is_none() {
            tally.house_squares = tally.house_squares.saturating_add(square(class.work()));
            // Below the house's sum, which fits.
            let of = house.entry(one.aux).or_insert(Hashes::ZERO);
            *of = of.checked_add(class.work()).ok_or_else(overflow)?;
        }
    }
    for (number, work) in house {
        let Some(targets) = aux.of(number) else { continue };
        let (bits, height) = targets.own;
        let others = targets.aux.iter().map(|(asset, bits, height)| (Some(*asset), *height, *bits));
        for key in std::iter::once((None, height, bits)).chain(others) {
            let of = tally.heights.entry(key).or_insert(Hashes::ZERO);
            *of = of.checked_add(work).ok_or_else(overflow)?;
        }
    }
    tally.share_root = root.root();
    Ok(tally)
}

impl Tally {
    /// The house's work, and all others'.
    pub(crate) fn house_and_other(&self) -> Result<(Hashes, Hashes), MarketError> {
        let mut sums = [Hashes::ZERO; 2];
        for (key, sum) in &self.work {
            let of = &mut sums[usize::from(key.owner.is_some())];
            *of = of.checked_add(sum.work).ok_or(MarketError::Overflow("the work of an epoch"))?;
        }
        Ok((sums[0], sums[1]))
    }

    /// Work of each owner.
    pub(crate) fn by_owner(&self) -> BTreeMap<Option<AccountId>, Hashes> {
        let mut owners = BTreeMap::new();
        for (key, sum) in &self.work {
            let of: &mut Hashes = owners.entry(key.owner).or_default();
            // Cannot overflow: `house_and_other` sums more.
            *of = of.checked_add(sum.work).unwrap_or(*of);
        }
        owners
    }

    /// PPLNS units of each owner's work, each at its own network target.
    pub(crate) fn units_by_owner(&self) -> Result<BTreeMap<Option<AccountId>, u128>, MarketError> {
        units_by_owner(self.work.iter().map(|(key, sum)| (*key, sum.work)))
    }

    /// The house's work by the jobs' heights and targets, of the lane's own chain or a merge-mined one.
    pub(crate) fn jobs_of(&self, asset: Option<Asset>) -> impl Iterator<Item = JobWork> {
        let of = self.heights.iter().filter(move |((a, _, _), _)| *a == asset);
        of.map(|((_, height, bits), work)| JobWork { height: *height, bits: *bits, work: *work })
    }

    /// The same in units of a merge-mined chain.
    pub(crate) fn aux_units_by_owner(
        &self,
        asset: Asset,
    ) -> Result<BTreeMap<Option<AccountId>, u128>, MarketError> {
        let of = self.aux.iter().filter(|((a, _), _)| *a == asset);
        units_by_owner(of.map(|((_, key), work)| (*key, *work)))
    }
}

fn units_by_owner(
    work: impl Iterator<Item = (WorkKey, Hashes)>,
) -> Result<BTreeMap<Option<AccountId>, u128>, MarketError> {
    let mut owners = BTreeMap::new();
    for (key, work) in work {
        let of: &mut u128 = owners.entry(key.owner).or_default();
        *of = of
            .checked_add(units::units_of(work, key.bits)?)
            .ok_or(MarketError::Overflow("the units of an epoch"))?;
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_sharelog::Extranonce;
    use gruve_units::{Class, EpochNumber, JobId, MachineId, Timestamp};
    use proptest::prelude::*;

    const BITS: u32 = 0x1d00_ffff;

    fn share(nonce: u32, class: u8, owner: Owner) -> Counted {
        let record = ShareRecord {
            job: JobId(1),
            epoch: EpochNumber(1),
            class: Class::new(class).unwrap(),
            owner,
            machine: MachineId::from_bytes([1; 16]),
            extranonce: Extranonce::new(&[1, 2]).unwrap(),
            ntime: 5,
            nonce,
            version: 4,
            at: Timestamp(0),
        };
        Counted::new(&record, BITS, 0)
    }

    fn someone() -> Owner {
        Owner::Account(AccountId::from_bytes([3; 16]))
    }

    #[test]
    fn the_same_work_counts_once_for_whoever_came_first() {
        let mut shares =
            [share(1, 10, Owner::House), share(2, 10, someone()), share(1, 10, someone())];
        let t = tally(&mut shares, &JobTargets::default()).unwrap();
        assert_eq!((t.shares, t.duplicates), (2, 1));
        assert_eq!(t.house_and_other().unwrap(), (Hashes(1024), Hashes(1024)));
    }

    #[test]
    fn an_empty_epoch_has_the_root_of_the_empty_tree() {
        let t = tally(&mut [], &JobTargets::default()).unwrap();
        assert_eq!(t.share_root, gruve_proof::merkle::empty_root());
        assert_eq!(t.house_and_other().unwrap(), (Hashes::ZERO, Hashes::ZERO));
    }

    proptest! {
        #[test]
        fn the_order_of_the_log_does_not_matter(nonces in proptest::collection::btree_set(0u32..1000, 0..40), turn: usize) {
            let all: Vec<_> = nonces.iter().map(|n| share(*n, u8::try_from(n % 30).unwrap(), if n % 3 == 0 { someone() } else { Owner::House })).collect();
            let mut turned = all.clone();
            let len = turned.len().max(1);
            turned.rotate_left(turn % len);
            let t = tally(&mut all.clone(), &JobTargets::default()).unwrap();
            prop_assert_eq!(&t, &tally(&mut turned, &JobTargets::default()).unwrap());
            let work: u128 = nonces.iter().map(|n| 1u128 << (n % 30)).sum();
            let (house, other) = t.house_and_other().unwrap();
            prop_assert_eq!(house.0 + other.0, work);
        }
    }
}
