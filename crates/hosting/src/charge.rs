//! What a span of hosting costs. Pure, in whole numbers.
//!
//! | part | formula |
//! |---|---|
//! | energy | `⌊(price per kWh × µJ + carry) / 3.6·10¹²⌋`, the rest carried |
//! | hosting fee | `⌊(fee per day × µs of the span + carry) / 8.64·10¹⁰⌋`, the rest carried |
//! | service-level credit | `⌈fee × (level × span − up × 10,000) / (level × span)⌉` where that is above zero |
//! | due | energy + fee − credit, never negative: the credit is never above the fee |
//!
//! How long an epoch is up: [`crate::uptime`].

use crate::{HostingError, Result};
use gruve_farm::energy::UJ_PER_KWH;
use gruve_units::Bps;

/// Microseconds of a day.
pub const US_PER_DAY: u64 = 86_400_000_000;

/// Prices, in minor units of one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Of a kilowatt-hour, not negative.
    pub energy_minor_per_kwh: i64,
    /// Of a day, not negative.
    pub fee_minor_per_day: i64,
    /// The part of the time that the machine is promised to be up, in basis points; zero promises nothing.
    pub level: Bps,
}

/// What a span was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Energy in microjoules.
    pub energy_uj: u64,
    /// Its length in microseconds.
    pub span_us: u64,
    /// Of it, the time that the machine was up.
    pub up_us: u64,
}

/// Fractions of minor units carried from bill to bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carry {
    /// Of energy, in minor units divided by 3.6·10¹².
    pub energy: u64,
    /// Of the fee, in minor units divided by 8.64·10¹⁰.
    pub fee: u64,
}

/// What a span costs, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The energy.
    pub energy: i64,
    /// The hosting fee.
    pub fee: i64,
    /// The service-level credit, at most the fee.
    pub credit: i64,
    /// What is to pay: energy + fee − credit.
    pub due: i64,
    /// Fractions carried on.
    pub carry: Carry,
}

/// What a span costs.
///
/// # Errors
/// [`HostingError::Overflow`], [`HostingError::Broken`] for a negative price.
pub fn charge(rates: Rates, carry: Carry, span: Span) -> Result<Charge> {
    let (energy, energy_carry) =
        parts(rates.energy_minor_per_kwh, span.energy_uj, carry.energy, UJ_PER_KWH)?;
    let (fee, fee_carry) = parts(rates.fee_minor_per_day, span.span_us, carry.fee, US_PER_DAY)?;
    let credit = credit(fee, rates.level, span)?;
    let due = energy.checked_add(fee - credit).ok_or(HostingError::Overflow("a bill"))?;
    Ok(Charge { energy, fee, credit, due, carry: Carry { energy: energy_carry, fee: fee_carry } })
}

fn parts(price: i64, amount: u64, carry: u64, unit: u64) -> Result<(i64, u64)> {
    let price = u64::try_from(price).map_err(|_| HostingError::Broken("a negative price"))?;
    // Below 2^63 · 2^64 + 2^64.
    let sum = u128::from(price) * u128::from(amount) + u128::from(carry);
    let whole = i64::try_from(sum / u128::from(unit));
    let whole = whole.map_err(|_| HostingError::Overflow("a bill"))?;
    Ok((whole, u64::try_from(sum % u128::from(unit)).unwrap_or(0)))
}

/// The missing part of the promised time, of the fee, rounded in the customer's favour.
fn credit(fee: i64, level: Bps, span: Span) -> Result<i64> {
    let promised = u128::from(level.get()) * u128::from(span.span_us);
    let missing = promised.saturating_sub(u128::from(span.up_us) * 10_000);
    if missing == 0 {
        return Ok(0);
    }
    let fee = u128::try_from(fee).map_err(|_| HostingError::Broken("a negative fee"))?;
    let credit = fee.checked_mul(missing).ok_or(HostingError::Overflow("a credit"))?;
    let credit = credit.div_ceil(promised);
    i64::try_from(credit).map_err(|_| HostingError::Overflow("a credit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates(energy: i64, fee: i64, level: u16) -> Rates {
        let level = Bps::new(level).unwrap();
        Rates { energy_minor_per_kwh: energy, fee_minor_per_day: fee, level }
    }

    #[test]
    fn a_day_at_a_kilowatt_costs_twenty_four_units_of_energy_and_one_fee() {
        let span = Span { energy_uj: 24 * UJ_PER_KWH, span_us: US_PER_DAY, up_us: US_PER_DAY };
        let c = charge(rates(7, 500, 9_800), Carry::default(), span).unwrap();
        assert_eq!((c.energy, c.fee, c.credit, c.due), (168, 500, 0, 668));
    }

    #[test]
    fn what_is_missing_of_the_promised_time_is_credited_and_never_more_than_the_fee() {
        let of = |up_us| {
            let span = Span { energy_uj: 0, span_us: US_PER_DAY, up_us };
            charge(rates(7, 1_000, 9_800), Carry::default(), span).unwrap().credit
        };
        assert_eq!(of(US_PER_DAY), 0);
        assert_eq!(of(US_PER_DAY / 100 * 98), 0, "just as promised");
        assert_eq!(of(US_PER_DAY / 100 * 49), 500, "half of what was promised");
        assert_eq!(of(0), 1_000, "nothing of it");
        let none = Span { energy_uj: 0, span_us: US_PER_DAY, up_us: 0 };
        let c = charge(rates(7, 1_000, 0), Carry::default(), none).unwrap();
        assert_eq!((c.credit, c.due), (0, 1_000), "nothing was promised");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let much = Span { energy_uj: u64::MAX, span_us: u64::MAX, up_us: 0 };
        assert!(charge(rates(i64::MAX, 0, 0), Carry::default(), much).is_err());
        assert!(charge(rates(0, i64::MAX, 0), Carry::default(), much).is_err());
        assert!(charge(rates(-1, 0, 0), Carry::default(), Span::default()).is_err());
    }

    proptest! {
        /// Cutting a time into bills changes nothing but when the units fall due.
        #[test]
        fn bills_add_up_however_they_are_cut(
            spans in proptest::collection::vec((0u64..1 << 45, 0u64..1 << 40), 1..30),
            energy in 0i64..1 << 30, fee in 0i64..1 << 30,
        ) {
            let (mut carry, mut sum) = (Carry::default(), (0i64, 0i64));
            let mut whole = Span::default();
            for (energy_uj, span_us) in spans {
                let span = Span { energy_uj, span_us, up_us: span_us };
                let c = charge(rates(energy, fee, 9_900), carry, span).unwrap();
                prop_assert!(c.energy >= 0 && c.fee >= 0 && c.due >= 0);
                carry = c.carry;
                sum = (sum.0 + c.energy, sum.1 + c.fee);
                whole.energy_uj += energy_uj;
                whole.span_us += span_us;
            }
            let all = charge(rates(energy, fee, 0), Carry::default(), whole).unwrap();
            prop_assert_eq!(sum, (all.energy, all.fee));
            prop_assert_eq!(carry, all.carry);
        }

        #[test]
        fn a_credit_is_between_nothing_and_the_fee(
            fee in 0i64..1 << 40, level in 0u16..=10_000, span_us in 0u64..1 << 50, part in 0u64..=100,
        ) {
            let span = Span { energy_uj: 0, span_us, up_us: span_us / 100 * part };
            let c = charge(rates(0, fee, level), Carry::default(), span).unwrap();
            prop_assert!(c.credit >= 0 && c.credit <= c.fee);
        }
    }
}
