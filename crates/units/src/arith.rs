//! Multiply-and-divide 256 bits wide, with one floor at the end.

use ruint::aliases::U256;

/// The quotient does not fit, or the divisor is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DivError {
    /// Division by zero.
    #[error("division by zero")]
    Zero,
    /// The quotient is above `u128::MAX`.
    #[error("the quotient does not fit 128 bits")]
    Overflow,
}

/// `⌊a·b / d⌋` and the remainder `a·b mod d`, the product taken 256 bits wide.
///
/// # Errors
/// [`DivError::Zero`] when `d` is zero, [`DivError::Overflow`] when the quotient passes 128 bits.
pub fn mul_div_floor(a: u128, b: u128, d: u128) -> Result<(u128, u128), DivError> {
    if d == 0 {
        return Err(DivError::Zero);
    }
    // What fits is divided at once: a tenth of the time, for nearly all amounts there are.
    if let Some(product) = a.checked_mul(b) {
        let quotient = product / d;
        // Cheaper than a second division.
        return Ok((quotient, product - quotient * d));
    }
    let product = U256::from(a) * U256::from(b);
    let (q, r) = product.div_rem(U256::from(d));
    let q = u128::try_from(q).map_err(|_| DivError::Overflow)?;
    let r = u128::try_from(r).map_err(|_| DivError::Overflow)?;
    Ok((q, r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotient_and_remainder_rebuild_the_product(a: u64, b: u64, d in 1u64..) {
            let (q, r) = mul_div_floor(a.into(), b.into(), d.into()).unwrap();
            prop_assert!(r < u128::from(d));
            prop_assert_eq!(q * u128::from(d) + r, u128::from(a) * u128::from(b));
        }
    }

    proptest! {
        #[test]
        fn the_short_way_and_the_long_way_agree(a: u128, b: u128, shift in 0u32..128, d in 1u128..) {
            let (a, b) = (a >> shift, b >> (127 - shift));
            let (q, r) = (U256::from(a) * U256::from(b)).div_rem(U256::from(d));
            match mul_div_floor(a, b, d) {
                Ok((short_q, short_r)) => {
                    prop_assert_eq!((U256::from(short_q), U256::from(short_r)), (q, r));
                }
                Err(e) => prop_assert!(e == DivError::Overflow && q > U256::from(u128::MAX)),
            }
        }
    }

    #[test]
    fn products_past_128_bits_are_exact() {
        let (q, r) = mul_div_floor(u128::MAX, u128::MAX, u128::MAX).unwrap();
        assert_eq!((q, r), (u128::MAX, 0));
        assert_eq!(mul_div_floor(u128::MAX, 2, 1), Err(DivError::Overflow));
        assert_eq!(mul_div_floor(1, 1, 0), Err(DivError::Zero));
    }
}
