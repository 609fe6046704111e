//! What a found block pays to whom.

use crate::numbers::{ceil, floor, int, nearest, power_of_two, sum};
use crate::{Who, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// Units of an epoch.
pub(crate) type Units = BTreeMap<Who, BigInt>;

/// Expected hashes of a block at a compact target: 2^256 / (target + 1), rounded down.
pub(crate) fn hashes_of_a_block(bits: u32) -> BigInt {
    let (exponent, mantissa) = (bits >> 24, bits & 0x007f_ffff);
    let target = if exponent > 3 {
        int(mantissa) << (8 * (exponent - 3))
    } else {
        int(mantissa) >> (8 * (3 - exponent))
    };
    floor(&power_of_two(256), &(target + 1))
}

/// The units of work at a target: 2^64 for a block's.
pub(crate) fn units_of(work: &BigInt, bits: u32, wrong: Option<Wrong>) -> BigInt {
    let (a, b) = (work << 64, hashes_of_a_block(bits));
    if wrong == Some(Wrong::UnitsRoundedUp) { ceil(&a, &b) } else { floor(&a, &b) }
}

/// What everyone gets of a reward, in 2^-64 minor units. `epochs` are the window's, the newest first.
pub(crate) fn pay<'a>(
    epochs: impl Iterator<Item = &'a Units>,
    reward: &BigInt,
    wrong: Option<Wrong>,
) -> BTreeMap<Who, BigInt> {
    let blocks = if wrong == Some(Wrong::WindowOfSeven) { 7 } else { 8 };
    let size: BigInt = power_of_two(64) * int(blocks);
    let mut left = size.clone();
    // Fractions: units times this denominator, which is the total of the one epoch that counts in part.
    let (mut whole, mut part, mut edge) = (Units::new(), Units::new(), int(1));
    for units in epochs {
        let total = sum(units.values());
        if total == int(0) {
            continue;
        }
        let take = total.clone().min(left.clone());
        let is_whole = take == total || wrong == Some(Wrong::EdgeWhole);
        for (who, n) in units {
            if is_whole {
                *whole.entry(*who).or_default() += n;
            } else {
                edge.clone_from(&total);
                *part.entry(*who).or_default() += n * &take;
            }
        }
        left -= take;
        if left == int(0) {
            break;
        }
    }
    let filled = &size - &left;
    let divisor = match wrong {
        Some(Wrong::UnderfilledDividedByItself) if filled > int(0) => filled,
        _ => size.clone(),
    };
    let scaled = reward << 64;
    let round = match wrong {
        Some(Wrong::AccrualsToNearest) => nearest,
        Some(Wrong::AccrualsRoundedUp) => ceil,
        _ => floor,
    };
    let mut paid = BTreeMap::new();
    for who in whole.keys().chain(part.keys()) {
        let units = whole.get(who).cloned().unwrap_or_default() * &edge
            + part.get(who).cloned().unwrap_or_default();
        paid.insert(*who, round(&(&scaled * units), &(&divisor * &edge)));
    }
    paid.insert(Who::WindowReserve, floor(&(&scaled * &left), &size));
    let given = sum(paid.values());
    paid.insert(Who::Remainder, scaled - given);
    paid.retain(|_, n| *n != int(0));
    paid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difficulty_of_bitcoin_is_2_to_32_and_a_bit() {
        // 2^32 · 65536 / 65535, rounded down.
        assert_eq!(hashes_of_a_block(0x1d00_ffff), int(4_295_032_833_u64));
    }

    #[test]
    fn a_window_pays_the_whole_reward() {
        let units =
            |n: u128| Units::from([(Who::Operator, int(n)), (Who::Account([1; 16]), int(3))]);
        for n in [1, 1 << 64, 5 << 64, 7 << 65] {
            let epochs = [units(n), units(n + 1), units(n / 3)];
            let paid = pay(epochs.iter(), &int(1_000_001), None);
            assert_eq!(sum(paid.values()), int(1_000_001) << 64);
        }
    }
}
