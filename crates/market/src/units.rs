//! PPLNS units: what a piece of work is worth in blocks.
//!
//! Work done at a network target carries `p = work / expected hashes of a block` at *that* target, so that
//! difficulty changes cannot be hopped. `p` is fixed point: 2^64 is one block's work.

use crate::sums::Sums;
use crate::{Beneficiary, MarketError};
use gruve_units::{Hashes, Target, mul_div_floor};
use std::collections::BTreeMap;

/// One block's work in units.
pub const ONE_BLOCK: u128 = 1 << 64;

/// The units of work done at the network's target `bits`, rounded down.
///
/// # Errors
/// [`MarketError::Broken`] when `bits` is no target, [`MarketError::Overflow`].
pub fn units_of(work: Hashes, bits: u32) -> Result<u128, MarketError> {
    let target = Target::from_compact(bits)
        .ok_or_else(|| MarketError::Broken(format!("{bits:08x} is not a network target")))?;
    let (units, _) = mul_div_floor(work.0, ONE_BLOCK, target.expected_hashes().0)
        .map_err(|_| MarketError::Overflow("the units of an epoch"))?;
    Ok(units)
}

/// The house's units while they are shared out, one contract after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HouseUnits {
    house: u128,
    done: Hashes,
    /// What nobody got so far: the operator's.
    pub(crate) rest: u128,
}

impl HouseUnits {
    pub(crate) const fn of(house: u128, done: Hashes) -> HouseUnits {
        HouseUnits { house, done, rest: house }
    }

    /// The units of a contract's work.
    ///
    /// # Errors
    /// [`MarketError::Broken`] when more was allocated than done.
    pub(crate) fn part(&mut self, work: Hashes) -> Result<u128, MarketError> {
        if work == Hashes::ZERO {
            return Ok(0);
        }
        let (part, _) = mul_div_floor(self.house, work.0, self.done.0)
            .map_err(|_| MarketError::Broken("work was allocated that was not done".into()))?;
        let rest = self.rest.checked_sub(part);
        self.rest =
            rest.ok_or_else(|| MarketError::Broken("more work was allocated than done".into()))?;
        Ok(part)
    }
}

/// Shares out the house's units `house` in proportion to allocated work: each contract's
/// `⌊house · allocated / done⌋`, the operator the rest, so that they add up to `house` exactly.
///
/// # Errors
/// [`MarketError::Broken`] when more was allocated than done.
pub fn share_house_units(
    house: u128,
    done: Hashes,
    allocated: &[(Beneficiary, Hashes)],
) -> Result<BTreeMap<Beneficiary, u128>, MarketError> {
    let (mut parts, mut units) = (Sums::default(), HouseUnits::of(house, done));
    for (who, work) in allocated {
        let part = units.part(*work)?;
        if part > 0 {
            parts.add(*who, part).ok_or(MarketError::Overflow("an epoch's units"))?;
        }
    }
    if units.rest > 0 {
        let sum = parts.add(Beneficiary::Operator, units.rest);
        sum.ok_or(MarketError::Overflow("an epoch's units"))?;
    }
    // Sorted already, which a map takes over without searching.
    Ok(parts.finish().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::ContractId;
    use proptest::prelude::*;

    #[test]
    fn the_work_of_one_block_is_one_unit() {
        let bits = 0x1d00_ffff;
        let block = Target::from_compact(bits).unwrap().expected_hashes();
        assert_eq!(units_of(block, bits).unwrap(), ONE_BLOCK);
        assert_eq!(units_of(Hashes(block.0 * 2), bits).unwrap(), ONE_BLOCK * 2);
        assert!(units_of(block, 0).is_err());
    }

    #[test]
    fn harder_targets_give_fewer_units_for_the_same_work() {
        let work = Hashes(1 << 40);
        assert!(units_of(work, 0x1c00_ffff).unwrap() < units_of(work, 0x1d00_ffff).unwrap());
    }

    proptest! {
        #[test]
        fn house_units_add_up(house in 0u128..1 << 100, parts in proptest::collection::vec(0u128..1 << 80, 0..10), extra in 0u128..1 << 80) {
            let done = Hashes(parts.iter().sum::<u128>() + extra);
            let allocated: Vec<_> = (0u8..).zip(&parts)
                .map(|(n, w)| (Beneficiary::Contract(ContractId::from_bytes([n; 16])), Hashes(*w)))
                .collect();
            let shared = share_house_units(house, done, &allocated).unwrap();
            prop_assert_eq!(shared.values().sum::<u128>(), house);
            let mut turned = allocated;
            turned.reverse();
            prop_assert_eq!(shared, share_house_units(house, done, &turned).unwrap());
        }
    }
}
