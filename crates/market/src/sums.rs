//! Sums by beneficiary, kept in one sorted list.
//!
//! For: windows of many epochs, each read in the order of beneficiaries. A map would cost a search for every
//! line; here a run of rising keys walks along the list and adds in place, and what is new is merged in at
//! the run's end.

use crate::Beneficiary;

/// Somebody's units.
pub(crate) type Piece = (Beneficiary, u128);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Sorted, each beneficiary once.
    all: Vec<Piece>,
    /// Of the running run: those not in `all`, sorted.
    fresh: Vec<Piece>,
    /// How far the run is in `all`.
    at: usize,
    last: Option<Beneficiary>,
}

impl Sums {
    /// Adds units; `None` when a sum passes 128 bits.
    pub(crate) fn add(&mut self, who: Beneficiary, units: u128) -> Option<()> {
        if self.last.is_some_and(|last| who < last) {
            self.end_run();
        }
        self.last = Some(who);
        while self.all.get(self.at).is_some_and(|(other, _)| *other < who) {
            self.at += 1;
        }
        let known = match self.all.get_mut(self.at) {
            Some(piece) if piece.0 == who => Some(piece),
            _ => self.fresh.last_mut().filter(|piece| piece.0 == who),
        };
        if let Some((_, sum)) = known {
            *sum = sum.checked_add(units)?;
        } else {
            self.fresh.push((who, units));
        }
        Some(())
    }

    /// How many have something.
    pub(crate) const fn len(&self) -> usize {
        self.all.len() + self.fresh.len()
    }

    /// Who stands in the middle.
    pub(crate) fn middle(&mut self) -> Option<Beneficiary> {
        self.end_run();
        self.all.get(self.all.len() / 2).map(|(who, _)| *who)
    }

    /// Forgets somebody and all who come after him.
    pub(crate) fn end_before(&mut self, who: Beneficiary) {
        self.end_run();
        self.all.truncate(self.all.partition_point(|(other, _)| *other < who));
    }

    fn end_run(&mut self) {
        (self.at, self.last) = (0, None);
        if self.fresh.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        if self.all.last().is_none_or(|(last, _)| *last < fresh[0].0) {
            if self.all.is_empty() {
                self.all = fresh;
            } else {
                self.all.extend(fresh);
            }
            return;
        }
        self.all.extend(fresh);
        // Two sorted runs: a stable sort merges them.
        self.all.sort_by_key(|(who, _)| *who);
    }

    /// All sums, sorted, each beneficiary once.
    pub(crate) fn finish(mut self) -> Vec<Piece> {
        self.end_run();
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::ContractId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn sums_are_those_of_a_map_in_whatever_order_they_come(pieces in proptest::collection::vec((0u8..12, 0u128..1 << 100), 0..60)) {
            let (mut sums, mut map) = (Sums::default(), BTreeMap::new());
            for (n, units) in pieces {
                let who = match n {
                    0 => Beneficiary::Operator,
                    n => Beneficiary::Contract(ContractId::from_bytes([n; 16])),
                };
                sums.add(who, units).unwrap();
                *map.entry(who).or_insert(0) += units;
            }
            prop_assert_eq!(sums.finish(), map.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_sum_that_does_not_fit_is_refused() {
        let mut sums = Sums::default();
        assert!(sums.add(Beneficiary::Operator, u128::MAX).is_some());
        assert!(sums.add(Beneficiary::Operator, 1).is_none());
    }
}
