//! Difficulty of a hash, for people.

use gruve_units::Algorithm;
use ruint::aliases::{U256, U512};

/// The difficulty a hash reaches: `difficulty_one / hash`, correctly rounded; infinite for the
/// hash zero. For display: nothing is decided by it (compare with a target instead).
#[must_use]
pub fn share_difficulty(algorithm: Algorithm, hash: &[u8; 32]) -> f64 {
    ratio(algorithm.difficulty_one().0, U256::from_le_bytes(*hash))
}

/// `numerator / denominator` rounded once, to nearest, ties to even.
fn ratio(numerator: U256, denominator: U256) -> f64 {
    if denominator == U256::ZERO {
        return f64::INFINITY;
    }
    // Scaled by 2^256 the quotient has the 53 bits of a float and more, for any numerator that
    // is not below the denominator by more than 2^200; what is left becomes the sticky bit.
    let scaled: U512 = U512::from(numerator) << 256;
    let divisor = U512::from(denominator);
    let quotient: U512 = scaled / divisor;
    let inexact = scaled % divisor != U512::ZERO;
    let bits = quotient.bit_len();
    let drop = bits.saturating_sub(62);
    let head = quotient >> drop;
    let lost = inexact || (head << drop) != quotient;
    let Ok(head) = u64::try_from(head) else { return f64::INFINITY };
    // 62 bits and a sticky bit: the conversion of a u64 rounds to nearest, ties to even.
    #[allow(clippy::cast_precision_loss)]
    let mantissa = ((head << 1) | u64::from(lost)) as f64;
    let exponent = i32::try_from(drop).unwrap_or(i32::MAX) - 1 - 256;
    mantissa * 2f64.powi(exponent)
}
