//! Who an epoch's work went to: owner by owner, contract by contract, to the last hash.

use super::data::{is_file, open_data, read};
use super::source::Source;
use super::{VerifyError, lie};
use crate::merkle::RootBuilder;
use crate::publish::data_path;
use crate::sold;
use crate::sum_tree::{self, SumNode};
use crate::summary::{AllocationLeaf, EpochSummary};
use gruve_units::{AccountId, Class, ContractId, Duration, Hashes, Hashrate, mul_div_floor};
use std::collections::BTreeMap;

/// The work of an epoch by owner.
#[derive(Default)]
pub(super) struct Work {
    pub(super) shares: u64,
    pub(super) root: RootBuilder,
    /// By place among the owners: 0 is the house.
    owners: BTreeMap<u32, Hashes>,
    pub(super) names: Vec<AccountId>,
}

impl Work {
    pub(super) fn add(&mut self, owner: u32, n: u64, class: Class) -> Option<()> {
        let work = class.work().0.checked_mul(n.into())?;
        let sum = self.owners.entry(owner).or_default();
        *sum = sum.checked_add(Hashes(work))?;
        Some(())
    }

    pub(super) fn sums(&self) -> Result<(Hashes, Hashes), VerifyError> {
        let house = self.owners.get(&0).copied().unwrap_or_default();
        let mut other = Hashes::ZERO;
        for (_, w) in self.owners.range(1..) {
            match other.checked_add(*w) {
                Some(sum) => other = sum,
                None => return lie("overflow", "an epoch's work", "the sum does not fit"),
            }
        }
        Ok((house, other))
    }

    /// Whether an owner, by its place from 1 on, has a share.
    pub(super) fn has(&self, owner: usize) -> bool {
        u32::try_from(owner).is_ok_and(|o| self.owners.contains_key(&o))
    }
}

/// Allocation tree and sold tree: every hash stands for somebody, and contracts come before the surplus.
pub(super) fn check_sums(
    source: &dyn Source,
    s: &EpochSummary,
    work: &Work,
) -> Result<(), VerifyError> {
    let place = format!("lane {}, epoch {}", s.lane, s.epoch);
    let path = data_path(&s.sold.hash);
    let mut file = open_data(source, s.sold, "sold-missing")?;
    let (mut short, mut above) = (None, None);
    let mut tree = SumBuilder::default();
    let length = Duration::from_micros(s.length_us);
    if s.surplus > Hashes::ZERO {
        tree.push(AllocationLeaf::Surplus.node(s.surplus));
    }
    let read = sold::read(&mut file, &s.lane, s.epoch, |leaf| {
        if leaf.sums.allocated < leaf.entitled {
            short = short.or(Some(leaf.contract));
        }
        if leaf.entitled > Hashrate(leaf.sums.hashrate).work_in(length).0 {
            above = above.or(Some(leaf.contract));
        }
        if leaf.sums.allocated > 0 {
            tree.push(AllocationLeaf::Contract(leaf.contract).node(Hashes(leaf.sums.allocated)));
        }
    });
    let sold = read!("sold-malformed", &path, read);
    is_file(file, s.sold)?;
    if (sold.contracts, sold.root) != (s.contracts, s.sold_root) {
        return lie(
            "sold-root",
            place,
            "another root or number of contracts than in the sold tree",
        );
    }
    let given = Hashes(sold.root.sums.allocated).checked_add(s.surplus);
    if given != Some(s.house_work) {
        let what = format!(
            "{} went to contracts and {} is surplus, of {} proven",
            sold.root.sums.allocated, s.surplus, s.house_work
        );
        return lie("allocated-not-proven", place, what);
    }
    // What dilutes others stands in the sum of the rates, where everybody sees it.
    if let Some(contract) = above {
        let what =
            format!("contract {contract} has a claim on more than its rate makes in an epoch");
        return lie("claim-above-rate", place, what);
    }
    if let (Some(contract), true) = (short, s.surplus > Hashes::ZERO) {
        return lie(
            "surplus-before-contract",
            place,
            format!("contract {contract} got less than its part while the operator kept work"),
        );
    }
    if short.is_some()
        && let Some(contract) = uneven(source, s, sold.entitled)?
    {
        let what = format!(
            "contract {contract} did not get its part of the {} that all had to share, who had a claim on {}",
            s.house_work, sold.entitled
        );
        return lie("shared-unevenly", place, what);
    }
    if !s.is_proven {
        return Ok(());
    }
    // Owners are sorted, and so are the leaves.
    for (i, name) in work.names.iter().enumerate() {
        let own = u32::try_from(i + 1).ok().and_then(|i| work.owners.get(&i)).copied();
        tree.push(AllocationLeaf::Account(*name).node(own.unwrap_or_default()));
    }
    if tree.root() != Some(s.allocation_root) {
        return lie("allocation-root", place, "another root over who got the work");
    }
    Ok(())
}

/// A contract that got something else than its part, where the work does not suffice for all claims: whoever gets too little
/// does so because another got too much. Of the hashes that no part has room for each contract may have one.
fn uneven(
    source: &dyn Source,
    s: &EpochSummary,
    entitled: u128,
) -> Result<Option<ContractId>, VerifyError> {
    let path = data_path(&s.sold.hash);
    let mut file = open_data(source, s.sold, "sold-missing")?;
    let mut found = None;
    let read = sold::read(&mut file, &s.lane, s.epoch, |leaf| {
        let part = mul_div_floor(s.house_work.0, leaf.entitled, entitled).ok();
        let is_even = part.is_some_and(|(part, rest)| {
            let over = leaf.sums.allocated.checked_sub(part);
            over == Some(0) || (over == Some(1) && rest > 0)
        });
        if !is_even {
            found = found.or(Some(leaf.contract));
        }
    });
    read!("sold-malformed", &path, read);
    // The same bytes as before: else the first reading was of something else.
    is_file(file, s.sold)?;
    Ok(found)
}

/// The allocation tree's root, leaf by leaf.
#[derive(Default)]
struct SumBuilder {
    peaks: Vec<Option<SumNode>>,
    size: u64,
}

impl SumBuilder {
    fn push(&mut self, leaf: SumNode) {
        let mut node = Some(leaf);
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().flatten();
            node = left.zip(node).and_then(|(l, r)| SumNode::parent(&l, &r));
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// `None` when a sum does not fit.
    fn root(&self) -> Option<SumNode> {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sum_tree::root(&[]) };
        peaks.try_fold((*last)?, |right, left| SumNode::parent(left.as_ref()?, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_fit_is_a_lie_and_not_less_work() {
        // No record brings it about: that takes shares of 2^100 hashes by the million.
        let highest = Class::new(Class::MAX).unwrap();
        let mut work = Work::default();
        let most = (1 << (128 - Class::MAX)) - 1;
        assert_eq!(work.add(1, most, highest), Some(()));
        assert_eq!(work.add(1, 1, highest), None, "in a sum");
        assert_eq!(work.add(2, most + 1, highest), None, "at once");
        work.owners.insert(2, Hashes(u128::MAX));
        match work.sums() {
            Err(VerifyError::Lie(lie)) => assert_eq!(lie.name, "overflow"),
            other => panic!("{other:?}"),
        }
    }
}
