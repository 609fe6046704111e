//! From accruals to whole minor units, and back when a mature block is orphaned. Pure.

use crate::MarketError;
use gruve_units::{Accrual, Asset, Bps, Hashes, mul_div_floor};
use ruint::aliases::U256;

/// Hashes of one TH·day.
pub const TH_DAY: u128 = 1_000_000_000_000 * 86_400;

/// What a beneficiary has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Accruals of mature blocks, all together.
    pub matured: Accrual,
    /// Whole minor units settled of them, before fees.
    pub settled: i64,
    /// Of those, what the beneficiary was credited.
    pub net: i64,
    /// Ten-thousandths of a minor unit of fee carried from earlier settlements.
    pub fee_carry: u32,
}

/// One settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Whole minor units that are settled.
    pub gross: i64,
    /// The operator's part of them.
    pub fee: i64,
    /// Maintenance taken.
    pub maintenance: i64,
    /// Maintenance due that the earnings did not cover: the operator's loss, not carried.
    pub waived: i64,
    /// The rest: the beneficiary's. `gross = fee + maintenance + net`, none negative.
    pub net: i64,
    /// Fee fraction carried on.
    pub fee_carry: u32,
    /// Maintenance fraction carried on.
    pub maintenance_carry: Accrual,
}

impl Standing {
    fn settled_accrual(&self) -> Result<Accrual, MarketError> {
        Accrual::from_minor(self.settled)
            .ok_or_else(|| MarketError::Broken("a negative amount was settled".into()))
    }

    /// Whole minor units that wait for a settlement, and the fraction beyond them.
    ///
    /// # Errors
    /// [`MarketError::Broken`] when more was settled than matured.
    pub fn unsettled(&self) -> Result<(i64, Accrual), MarketError> {
        let open = self
            .matured
            .checked_sub(self.settled_accrual()?)
            .ok_or_else(|| MarketError::Broken("more was settled than matured".into()))?;
        open.split().map_err(|_| MarketError::Overflow("an unsettled amount"))
    }

    /// What a settlement now would be; `None` when nothing whole waits, and fees then wait too.
    ///
    /// Fees are exact over time: fractions are carried, not dropped. Maintenance is taken after the fee
    /// and never makes the settlement negative.
    ///
    /// # Errors
    /// [`MarketError::Broken`], [`MarketError::Overflow`].
    pub fn settle(&self, fee: Bps, due: Accrual) -> Result<Option<Settlement>, MarketError> {
        let (gross, _) = self.unsettled()?;
        if gross == 0 {
            return Ok(None);
        }
        let scaled = i128::from(gross) * i128::from(fee.get()) + i128::from(self.fee_carry);
        let (fee, carry) = (scaled / 10_000, scaled % 10_000);
        let fee = i64::try_from(fee).map_err(|_| MarketError::Overflow("a fee"))?.min(gross);
        let (owed, maintenance_carry) =
            due.split().map_err(|_| MarketError::Overflow("a maintenance fee"))?;
        let maintenance = owed.min(gross - fee);
        Ok(Some(Settlement {
            gross,
            fee,
            maintenance,
            waived: owed - maintenance,
            net: gross - fee - maintenance,
            fee_carry: u32::try_from(carry).unwrap_or(0),
            maintenance_carry,
        }))
    }

    /// What must come back after `matured` shrank below what was settled: whole minor units, and of them
    /// what the beneficiary had been credited (in the proportion of all it was credited, rounded down).
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn take_back(&self) -> Result<Option<TakeBack>, MarketError> {
        let Some(over) = self.settled_accrual()?.checked_sub(self.matured) else { return Ok(None) };
        if over == Accrual::ZERO {
            return Ok(None);
        }
        let (whole, fraction) =
            over.split().map_err(|_| MarketError::Overflow("an amount taken back"))?;
        let gross = whole + i64::from(fraction > Accrual::ZERO);
        let net = i128::from(self.net) * i128::from(gross) / i128::from(self.settled.max(1));
        let net = i64::try_from(net).map_err(|_| MarketError::Overflow("an amount taken back"))?;
        Ok(Some(TakeBack { gross, net }))
    }
}

/// Takes maintenance out of what is settled of several assets at once, in the order that the terms name: `order`
/// has each asset with the whole fee in it, `due` is in the first one's minor units. What one asset does not cover
/// is taken from the next, rounded down; what the last one present does not cover is waived. Gives the
/// fraction to carry, or `None` when none of these assets is settled now: fees then wait.
///
/// # Errors
/// [`MarketError::Overflow`].
pub fn take_maintenance(
    parts: &mut [(Asset, Settlement)],
    due: Accrual,
    order: &[(Asset, u64)],
) -> Result<Option<Accrual>, MarketError> {
    let overflow = || MarketError::Overflow("a maintenance fee");
    let (owed, carry) = due.split().map_err(|_| overflow())?;
    let first_fee = i128::from(order.first().map_or(0, |(_, fee)| *fee).max(1));
    let (mut rest, mut last) = (i128::from(owed), None);
    for (asset, fee) in order {
        let Some((_, part)) = parts.iter_mut().find(|(a, _)| a == asset) else { continue };
        let fee = i128::from((*fee).max(1));
        let wanted = rest.checked_mul(fee).ok_or_else(overflow)? / first_fee;
        let taken = wanted.min(i128::from(part.net));
        // Below a net that fits.
        part.maintenance = i64::try_from(taken).map_err(|_| overflow())?;
        part.net -= part.maintenance;
        rest = if taken == wanted {
            0
        } else {
            let covered = taken.checked_mul(first_fee).ok_or_else(overflow)?;
            (rest - (covered + fee - 1) / fee).max(0)
        };
        last = Some((*asset, wanted - taken));
    }
    let Some((asset, uncovered)) = last else { return Ok(None) };
    if let Some((_, part)) = parts.iter_mut().find(|(a, _)| *a == asset) {
        part.waived = i64::try_from(uncovered).unwrap_or(i64::MAX);
    }
    Ok(Some(carry))
}

/// What an orphaned block takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeBack {
    /// Whole minor units that were settled and are not earned any more.
    pub gross: i64,
    /// Of them, what the beneficiary had been credited; the rest the operator had taken as fees.
    pub net: i64,
}

/// The maintenance for delivered work: `⌊work · fee · 2^64 / (TH·day)⌋`.
///
/// # Errors
/// [`MarketError::Overflow`].
pub fn maintenance(delivered: Hashes, minor_per_th_day: u64) -> Result<Accrual, MarketError> {
    let product = U256::from(delivered.0)
        .checked_mul(U256::from(u128::from(minor_per_th_day) << 64))
        .ok_or(MarketError::Overflow("a maintenance fee"))?;
    u128::try_from(product / U256::from(TH_DAY))
        .map(Accrual)
        .map_err(|_| MarketError::Overflow("a maintenance fee"))
}

/// What of a price is earned when `delivered` of `bought` is: rounded down, so that a refund of the rest
/// is rounded up. All of it once all is delivered.
///
/// # Errors
/// [`MarketError::Broken`] when nothing was bought or more was delivered.
pub fn earned_of_price(price: i64, delivered: Hashes, bought: Hashes) -> Result<i64, MarketError> {
    let broken = || MarketError::Broken("a contract was delivered more than it bought".into());
    if delivered > bought {
        return Err(broken());
    }
    let price = u128::try_from(price).map_err(|_| broken())?;
    let (earned, _) = mul_div_floor(price, delivered.0, bought.0).map_err(|_| broken())?;
    i64::try_from(earned).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(matured_minor: i64, settled: i64) -> Standing {
        Standing {
            matured: Accrual::from_minor(matured_minor).unwrap(),
            settled,
            net: settled,
            fee_carry: 0,
        }
    }

    fn bps(n: u16) -> Bps {
        Bps::new(n).unwrap()
    }

    #[test]
    fn nothing_whole_settles_nothing_and_fees_wait() {
        let s = Standing { matured: Accrual((1 << 64) - 1), ..Standing::default() };
        assert_eq!(s.settle(bps(100), Accrual::from_minor(5).unwrap()).unwrap(), None);
    }

    #[test]
    fn a_fee_never_makes_a_settlement_negative() {
        let due = Accrual::from_minor(500).unwrap();
        let s = standing(100, 0).settle(bps(1_000), due).unwrap().unwrap();
        assert_eq!((s.gross, s.fee, s.maintenance, s.waived, s.net), (100, 10, 90, 410, 0));
        let s = standing(100, 0).settle(bps(10_000), due).unwrap().unwrap();
        assert_eq!((s.fee, s.maintenance, s.waived, s.net), (100, 0, 500, 0));
    }

    #[test]
    fn maintenance_is_taken_from_the_assets_in_their_order() {
        // The whole fee is 500 of the one or 2,000 of the other.
        let order = [(Asset::Ltc, 500), (Asset::Doge, 2_000)];
        let taken = |ltc: i64, doge: i64, due: i64, order: &[(Asset, u64)]| {
            let part = |minor| standing(minor, 0).settle(Bps::ZERO, Accrual::ZERO).unwrap();
            let mut parts: Vec<_> = [(Asset::Ltc, part(ltc)), (Asset::Doge, part(doge))]
                .into_iter()
                .filter_map(|(asset, part)| Some((asset, part?)))
                .collect();
            let carry =
                take_maintenance(&mut parts, Accrual::from_minor(due).unwrap(), order).unwrap();
            let shown = parts.iter().map(|(_, p)| (p.maintenance, p.waived, p.net)).collect();
            (carry.is_some(), shown)
        };
        let all = |parts: &[(i64, i64, i64)]| (true, parts.to_vec());
        assert_eq!(taken(900, 900, 500, &order), all(&[(500, 0, 400), (0, 0, 900)]));
        // 200 are left of 500: 800 of 2,000.
        assert_eq!(taken(300, 900, 500, &order), all(&[(300, 0, 0), (800, 0, 100)]));
        assert_eq!(taken(300, 700, 500, &order), all(&[(300, 0, 0), (700, 100, 0)]));
        assert_eq!(taken(0, 3_000, 500, &order), all(&[(2_000, 0, 1_000)]));
        assert_eq!(taken(300, 0, 500, &order), all(&[(300, 200, 0)]));
        // Terms that name one asset take it from no other: with nothing of it settled, it waits.
        assert_eq!(taken(300, 900, 500, &order[..1]), all(&[(300, 200, 0), (0, 0, 900)]));
        assert_eq!(taken(0, 900, 500, &order[..1]), (false, vec![(0, 0, 900)]));
    }

    #[test]
    fn an_orphan_takes_back_what_was_settled_too_much() {
        let s = Standing {
            matured: Accrual::from_minor(60).unwrap(),
            settled: 100,
            net: 90,
            fee_carry: 0,
        };
        assert_eq!(s.take_back().unwrap(), Some(TakeBack { gross: 40, net: 36 }));
        assert_eq!(standing(100, 100).take_back().unwrap(), None);
        // A fraction short is a whole minor unit back: nobody keeps what was not earned.
        let s = Standing { matured: Accrual((60 << 64) - 1), ..standing(0, 60) };
        assert_eq!(s.take_back().unwrap().unwrap().gross, 1);
    }

    #[test]
    fn a_days_terahash_costs_its_fee() {
        assert_eq!(maintenance(Hashes(TH_DAY), 7).unwrap(), Accrual::from_minor(7).unwrap());
        assert_eq!(maintenance(Hashes(TH_DAY / 2), 1).unwrap(), Accrual(1 << 63));
        assert!(maintenance(Hashes(u128::MAX), u64::MAX).is_err());
    }

    #[test]
    fn the_price_is_earned_by_delivery_and_in_full_at_the_end() {
        assert_eq!(earned_of_price(100, Hashes(1), Hashes(3)).unwrap(), 33);
        assert_eq!(earned_of_price(100, Hashes(3), Hashes(3)).unwrap(), 100);
        assert!(earned_of_price(100, Hashes(4), Hashes(3)).is_err());
        assert!(earned_of_price(100, Hashes(0), Hashes(0)).is_err());
    }

    proptest! {
        #[test]
        fn settlements_add_up_however_they_are_cut(parts in proptest::collection::vec(0u128..1 << 80, 1..20), fee in 0u16..=10_000) {
            let (mut s, mut fees) = (Standing::default(), 0i64);
            for p in &parts {
                s.matured = Accrual(s.matured.0 + p);
                if let Some(t) = s.settle(bps(fee), Accrual::ZERO).unwrap() {
                    prop_assert_eq!(t.gross, t.fee + t.maintenance + t.net);
                    prop_assert!(t.net >= 0 && t.fee >= 0);
                    s.settled += t.gross;
                    s.net += t.net;
                    s.fee_carry = t.fee_carry;
                    fees += t.fee;
                }
            }
            prop_assert_eq!(i128::from(s.settled), (s.matured.0 >> 64).cast_signed());
            prop_assert_eq!(i128::from(fees), i128::from(s.settled) * i128::from(fee) / 10_000);
            prop_assert_eq!(fees + s.net, s.settled);
        }

        #[test]
        fn a_take_back_leaves_nothing_over_and_nothing_negative(matured in 0u128..1 << 80, more in 0i64..1 << 40, net_part in 0i64..=100) {
            let whole = i64::try_from(matured >> 64).unwrap();
            let settled = whole + more;
            let s = Standing { matured: Accrual(matured), settled, net: settled / 100 * net_part, fee_carry: 0 };
            if let Some(t) = s.take_back().unwrap() {
                let after = Standing { settled: settled - t.gross, net: s.net - t.net, ..s };
                prop_assert!(t.net <= t.gross && after.net >= 0 && after.net <= after.settled);
                prop_assert_eq!(after.take_back().unwrap(), None);
                prop_assert!(after.unsettled().unwrap().0 == 0);
            }
        }
    }
}
