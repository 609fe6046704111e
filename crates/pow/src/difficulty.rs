//! Difficulties: of a hash, for people; and as people write them, exactly.

use gruve_units::{Algorithm, Blame, Blamed};
use ruint::Uint;
use ruint::aliases::{U256, U512};
use std::fmt;
use std::str::FromStr;

/// Room for a difficulty of [`DIGITS_MAX`] digits and an exponent of [`EXPONENT_MAX`], times a
/// hash: 10^200 has 665 bits, the hash 256.
type Wide = Uint<1024, 16>;

/// Digits of a written difficulty at most; no one needs more than a float's or a target's.
const DIGITS_MAX: usize = 100;

/// The exponent's size at most: targets end at 10^77.
const EXPONENT_MAX: i32 = 100;

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
    let drop = quotient.bit_len().saturating_sub(62);
    let head = quotient >> drop;
    let lost = inexact || (head << drop) != quotient;
    let Ok(head) = u64::try_from(head) else { return f64::INFINITY };
    // 62 bits and a sticky bit: the conversion of a u64 rounds to nearest, ties to even.
    #[allow(clippy::cast_precision_loss)]
    let mantissa = ((head << 1) | u64::from(lost)) as f64;
    let exponent = i32::try_from(drop).unwrap_or(i32::MAX) - 1 - 256;
    mantissa * 2f64.powi(exponent)
}

/// A difficulty as it was written, an exact fraction above zero.
///
/// ```
/// use gruve_pow::Difficulty;
/// let easy: Difficulty = "0.001".parse().unwrap();
/// assert!(easy.is_reached_by(gruve_units::Algorithm::Sha256d, &[0; 32]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difficulty {
    text: String,
    numerator: Wide,
    denominator: Wide,
}

/// Text that is not a difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a difficulty: write a decimal number above zero, as 512, 0.25 or 1.5e-7, \
     with at most {DIGITS_MAX} digits and an exponent within ±{EXPONENT_MAX}"
)]
pub struct DifficultyError;

impl Blamed for DifficultyError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

impl Difficulty {
    /// Whether a hash (internal byte order) reaches the difficulty: `hash · d ≤ difficulty one`
    /// of the algorithm (see [`Algorithm::difficulty_one`]), without rounding.
    #[must_use]
    pub fn is_reached_by(&self, algorithm: Algorithm, hash: &[u8; 32]) -> bool {
        self.bounds(U256::from_le_bytes(*hash), Wide::from(algorithm.difficulty_one().0))
    }

    /// Whether an Ethash final hash (most significant byte first) reaches the difficulty as
    /// nodes of Ethash chains count it, in expected hashes: `hash · d ≤ 2^256`.
    #[must_use]
    pub fn is_reached_by_ethash(&self, final_hash: &[u8; 32]) -> bool {
        self.bounds(U256::from_be_bytes(*final_hash), Wide::from(1u8) << 256)
    }

    fn bounds(&self, hash: U256, one: Wide) -> bool {
        Wide::from(hash) * self.numerator <= one * self.denominator
    }
}

impl FromStr for Difficulty {
    type Err = DifficultyError;

    fn from_str(text: &str) -> Result<Self, DifficultyError> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((number, e)) => {
                let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
                let plain = (1..=3).contains(&digits.len()) && is_digits(digits);
                (number, e.parse::<i32>().ok().filter(|_| plain).ok_or(DifficultyError)?)
            }
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let count = whole.len() + fraction.len();
        let well_formed = !whole.is_empty()
            && !fraction.is_empty()
            && is_digits(whole)
            && is_digits(fraction)
            && count <= DIGITS_MAX + 1
            && exponent.abs() <= EXPONENT_MAX;
        if !well_formed {
            return Err(DifficultyError);
        }
        let ten = Wide::from(10u8);
        let value = whole
            .bytes()
            .chain(fraction.bytes())
            .fold(Wide::ZERO, |v, digit| v * ten + Wide::from(digit - b'0'));
        if value == Wide::ZERO {
            return Err(DifficultyError);
        }
        let up = usize::try_from(exponent.max(0)).unwrap_or(0);
        let down = usize::try_from((-exponent).max(0)).unwrap_or(0) + fraction.len();
        Ok(Difficulty {
            text: text.to_owned(),
            numerator: value * ten.pow(Wide::from(up)),
            denominator: ten.pow(Wide::from(down)),
        })
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hash_of(value: U256) -> [u8; 32] {
        value.to_le_bytes()
    }

    #[test]
    fn a_difficulty_is_reached_exactly_at_its_border() {
        let one = Algorithm::Sha256d.difficulty_one().0;
        let reached = |d: &str, hash: U256| {
            d.parse::<Difficulty>().unwrap().is_reached_by(Algorithm::Sha256d, &hash_of(hash))
        };
        assert!(reached("1", one) && !reached("1", one + U256::from(1)));
        assert!(reached("1.0", one) && reached("1e0", one) && reached("10e-1", one));
        let third = one / U256::from(3);
        assert!(reached("3", third) && !reached("3", third + U256::from(1)));
        // A float would round this away.
        assert!(!reached("1.0000000000000000000000000000000000001", one));
        assert!(reached("0.9999999999999999999999999999999999999", one));
        assert!(reached("1e-100", U256::MAX) && !reached("9e100", U256::from(1)));
        assert!(reached("9e100", U256::ZERO));
    }

    #[test]
    fn scrypt_counts_in_its_own_unit() {
        let one = Algorithm::Scrypt.difficulty_one().0;
        let d: Difficulty = "1".parse().unwrap();
        assert!(d.is_reached_by(Algorithm::Scrypt, &hash_of(one)));
        assert!(!d.is_reached_by(Algorithm::Sha256d, &hash_of(one)));
    }

    #[test]
    fn an_ethash_difficulty_counts_hashes() {
        let d: Difficulty = "4".parse().unwrap();
        let border: U256 = U256::from(1) << 254;
        assert!(d.is_reached_by_ethash(&border.to_be_bytes()));
        assert!(!d.is_reached_by_ethash(&(border + U256::from(1)).to_be_bytes()));
    }

    #[test]
    fn text_that_is_no_difficulty_is_refused() {
        let long = "9".repeat(102);
        for bad in [
            "", "0", "0.0", "-1", "+1", ".5", "5.", "1e", "e5", "1e+", "1e1000", "1e101", "1e-101",
            "0x10", " 1", "1 ", "1_000", "NaN", "inf", "1.2.3", "1e5e5", "１", "1e--5", &long,
        ] {
            assert_eq!(bad.parse::<Difficulty>(), Err(DifficultyError), "{bad:?}");
        }
        assert!("9".repeat(100).parse::<Difficulty>().is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Difficulty>();
        }

        #[test]
        fn the_ratio_is_the_float_division_where_that_is_exact(a in 1u32.., b in 1u32..) {
            let expected = f64::from(a) / f64::from(b);
            let given = ratio(U256::from(a), U256::from(b));
            prop_assert_eq!(given.to_bits(), expected.to_bits());
        }
    }
}
