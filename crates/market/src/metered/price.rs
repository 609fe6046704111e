//! What work costs by the meter. Pure.
//!
//! A price is so many minor units for a hashrate over a day of 86,400 seconds. An epoch's cost is fixed point,
//! rounded down to 2^-64 minor units; whole minor units are charged, the fraction is carried to the next epoch.
//! For the worst case the whole cost is held, rounded up: with a carried fraction below one minor unit no
//! epoch is charged more than is held for it.

use crate::{MarketError, Result};
use gruve_units::{Accrual, Hashes, Hashrate};
use ruint::aliases::U512;

/// The price of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPrice {
    /// Minor units for the hashrate over a day, above zero.
    pub minor: i64,
    /// That hashrate, above zero.
    pub hashrate: Hashrate,
}

impl UnitPrice {
    fn unit_work(self) -> U512 {
        U512::from(self.hashrate.0.max(1)) * U512::from(86_400u32)
    }

    fn per_unit(self) -> Result<U512> {
        let minor = u64::try_from(self.minor);
        minor.map(U512::from).map_err(|_| MarketError::Broken("a negative price".into()))
    }

    /// The cost of work in fixed point, rounded down.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn cost(self, work: Hashes) -> Result<Accrual> {
        let fixed = ((U512::from(work.0) * self.per_unit()?) << 64usize) / self.unit_work();
        u128::try_from(fixed).map(Accrual).map_err(|_| MarketError::Overflow("a cost"))
    }

    /// What is held for work: its cost in whole minor units, rounded up.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn hold(self, work: Hashes) -> Result<i64> {
        let whole: U512 = (U512::from(work.0) * self.per_unit()?).div_ceil(self.unit_work());
        i64::try_from(whole).map_err(|_| MarketError::Overflow("a cost"))
    }

    /// The most work that a hold covers.
    ///
    /// # Errors
    /// [`MarketError::Broken`] for a negative price or hold.
    pub fn covered(self, held: i64) -> Result<Hashes> {
        let held =
            u64::try_from(held).map_err(|_| MarketError::Broken("a negative hold".into()))?;
        let price = self.per_unit()?;
        if price.is_zero() {
            return Err(MarketError::Broken("work without a price".into()));
        }
        let work = U512::from(held) * self.unit_work() / price;
        Ok(Hashes(u128::try_from(work).unwrap_or(u128::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_at_the_priced_rate_costs_the_price() {
        let p = UnitPrice { minor: 1_000, hashrate: Hashrate(50) };
        let day = Hashes(50 * 86_400);
        assert_eq!(p.cost(day).unwrap(), Accrual::from_minor(1_000).unwrap());
        assert_eq!((p.hold(day).unwrap(), p.covered(1_000).unwrap()), (1_000, day));
        assert_eq!(p.hold(Hashes(1)).unwrap(), 1);
        assert!(UnitPrice { minor: 0, ..p }.covered(5).is_err());
        assert!(UnitPrice { minor: i64::MAX, ..p }.hold(Hashes(u128::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn no_epoch_is_charged_above_its_hold(
            minor in 1i64..1 << 50, rate in 1u128..1 << 60, work in 0u128..1 << 80, part in 0u128..1000, carry: u64,
        ) {
            let p = UnitPrice { minor, hashrate: Hashrate(rate) };
            if let Ok(held) = p.hold(Hashes(work)) {
                let done = Hashes(work / 1000 * part);
                let charged = (p.cost(done).unwrap().0 + u128::from(carry)) >> 64;
                prop_assert!(charged <= u128::try_from(held).unwrap());
            }
        }

        #[test]
        fn a_small_hold_covers_no_more_than_it_pays(
            minor in 1i64..1 << 50, rate in 1u128..1 << 60, held in 0i64..1 << 40, carry: u64,
        ) {
            let p = UnitPrice { minor, hashrate: Hashrate(rate) };
            let work = p.covered(held).unwrap();
            let charged = (p.cost(work).unwrap().0 + u128::from(carry)) >> 64;
            prop_assert!(charged <= u128::try_from(held).unwrap());
        }
    }
}
