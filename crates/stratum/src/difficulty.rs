//! The wire's difficulty: floats at the protocol's edge, classes and targets inside.

use gruve_units::{Algorithm, Class, Target};
use ruint::aliases::{U256, U512};

/// The target a miner derives from a wire difficulty, `⌊difficulty_one / d⌋`, exactly (the float is
/// a mantissa times a power of two). `None` unless `d` is finite and above zero.
#[must_use]
pub fn target_of_wire_difficulty(algorithm: Algorithm, d: f64) -> Option<Target> {
    let (mantissa, exponent) = parts(d)?;
    let one = U512::from(algorithm.difficulty_one().0);
    let mantissa = U512::from(mantissa);
    let quotient = if exponent <= 0 {
        // one / (m · 2^e) = one · 2^−e / m. Beyond 2^255 easier than one the answer is the easiest.
        let up = usize::try_from(-exponent).ok()?;
        if up >= 512 || one.bit_len() + up > 512 { U512::MAX } else { (one << up) / mantissa }
    } else {
        let down = usize::try_from(exponent).ok()?;
        if down >= 512 { U512::ZERO } else { (one >> down) / mantissa }
    };
    Some(Target(if quotient.bit_len() > 256 {
        U256::MAX
    } else {
        U256::from_limbs_slice(quotient.as_limbs().get(..4)?)
    }))
}

/// The hardest class whose wire difficulty is not above `d`, clamped into `range`. `None` unless
/// `d` is finite and above zero.
#[must_use]
pub fn class_of_wire_difficulty(
    algorithm: Algorithm,
    d: f64,
    range: (Class, Class),
) -> Option<Class> {
    let (mantissa, exponent) = parts(d)?;
    // ⌊log2 d⌋ is exact: the position of the mantissa's top bit.
    let log2 = i64::from(exponent) + i64::from(63 - mantissa.leading_zeros());
    // A network easier than the easiest class leaves a range upside down: its upper end counts.
    let (easiest, hardest) = (range.0.min(range.1), range.1);
    let k = (log2 + i64::from(algorithm.unit_class()))
        .clamp(i64::from(easiest.k()), i64::from(hardest.k()));
    u8::try_from(k).ok().and_then(Class::new)
}

/// The easiest class whose wire difficulty is not below `d`. `None` unless `d` is finite and above
/// zero, or beyond the hardest class.
pub(crate) fn class_at_least(algorithm: Algorithm, d: f64) -> Option<Class> {
    let (mantissa, exponent) = parts(d)?;
    let log2 = i64::from(exponent) + i64::from(63 - mantissa.leading_zeros());
    // Without trailing zeros only one is a power of two.
    let k = log2 + i64::from(mantissa != 1) + i64::from(algorithm.unit_class());
    u8::try_from(k.max(0)).ok().and_then(Class::new)
}

/// `d` as `mantissa · 2^exponent`, exactly.
fn parts(d: f64) -> Option<(u64, i32)> {
    if !d.is_finite() || d <= 0.0 {
        return None;
    }
    let bits = d.to_bits();
    let raw = i32::try_from(bits >> 52 & 0x7ff).ok()?;
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) =
        if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
    let spare = mantissa.trailing_zeros();
    Some((mantissa >> spare, exponent + i32::try_from(spare).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_easier_than_the_easiest_class_breaks_no_session() {
        let upside_down = (Class::new(32).unwrap(), Class::new(1).unwrap());
        let class = class_of_wire_difficulty(Algorithm::Sha256d, 1000.0, upside_down);
        assert_eq!(class, Class::new(1));
    }

    #[test]
    fn the_class_for_a_least_difficulty_is_the_easiest_one_that_is_not_below_it() {
        let class = |d| class_at_least(Algorithm::Sha256d, d).map(|c| c.k());
        assert_eq!([1.0, 1.0001, 2.0, 3.0].map(class), [Some(32), Some(33), Some(33), Some(34)]);
        assert_eq!([0.5, 0.0001, 1e-300].map(class), [Some(31), Some(19), Some(0)]);
        assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY, 1e300].map(class), [None; 5]);
    }

    use proptest::prelude::*;

    const RANGE: (u8, u8) = (0, 80);

    fn range() -> (Class, Class) {
        (Class::new(RANGE.0).unwrap(), Class::new(RANGE.1).unwrap())
    }

    #[test]
    fn difficulties_that_are_no_numbers_give_nothing() {
        for d in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(target_of_wire_difficulty(Algorithm::Sha256d, d), None);
            assert_eq!(class_of_wire_difficulty(Algorithm::Sha256d, d, range()), None);
        }
    }

    #[test]
    fn extreme_difficulties_are_clamped() {
        let sha = Algorithm::Sha256d;
        assert_eq!(class_of_wire_difficulty(sha, 1e300, range()), Class::new(80));
        assert_eq!(class_of_wire_difficulty(sha, 1e-300, range()), Class::new(0));
        assert_eq!(class_of_wire_difficulty(sha, f64::MIN_POSITIVE / 4.0, range()), Class::new(0));
        assert_eq!(target_of_wire_difficulty(sha, 1.0), Some(sha.difficulty_one()));
        assert_eq!(target_of_wire_difficulty(sha, 1e-300), Some(Target::MAX));
        assert_eq!(target_of_wire_difficulty(sha, 1e300), Some(Target(U256::ZERO)));
    }

    proptest! {
        #[test]
        fn the_miners_own_filter_is_stricter_never_looser(k in 0u8..=80) {
            let class = Class::new(k).unwrap();
            for algorithm in [Algorithm::Sha256d, Algorithm::Scrypt] {
                let d = class.wire_difficulty(algorithm);
                let target = target_of_wire_difficulty(algorithm, d).unwrap();
                prop_assert!(target <= class.target());
                // By 1.5e-5 at most (1/65536), and one for the floor.
                prop_assert!(class.target().0 - target.0 <= (class.target().0 >> 16) + U256::from(1));
                prop_assert_eq!(class_of_wire_difficulty(algorithm, d, range()), Some(class));
                let less = f64::from_bits(d.to_bits() - 1);
                prop_assert_eq!(
                    class_of_wire_difficulty(algorithm, less, range()).map(Class::k),
                    Some(k.saturating_sub(1))
                );
            }
        }
    }
}
