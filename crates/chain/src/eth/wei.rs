//! Wei (10⁻¹⁸ of a coin) into gwei (10⁻⁹), the books' minor unit of the family's coins. What an amount
//! has below a gwei is never dropped: [`split`] gives both parts.

use ruint::aliases::U256;

/// Wei in one gwei.
pub const GWEI: u64 = 1_000_000_000;

/// Whole gwei, and the wei below; `None` when the gwei do not fit 63 bits.
#[must_use]
pub fn split(wei: U256) -> Option<(i64, u32)> {
    let (gwei, below) = wei.div_rem(U256::from(GWEI));
    Some((i64::try_from(gwei).ok()?, u32::try_from(below).ok()?))
}

/// From whole gwei; `None` below zero.
#[must_use]
pub fn from_gwei(gwei: i64) -> Option<U256> {
    u64::try_from(gwei).ok().map(|g| U256::from(g) * U256::from(GWEI))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn splitting_loses_nothing(gwei in 0..=i64::MAX, below in 0u32..1_000_000_000) {
            let wei = from_gwei(gwei).unwrap() + U256::from(below);
            prop_assert_eq!(split(wei), Some((gwei, below)));
        }
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(split(U256::MAX), None);
        assert_eq!(split(from_gwei(i64::MAX).unwrap() + U256::from(GWEI)), None);
        assert_eq!(from_gwei(-1), None);
    }
}
