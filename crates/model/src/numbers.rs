//! Division of integers of any size. Divisors are above zero everywhere.

use num_bigint::BigInt;

/// An integer.
pub(crate) fn int(n: impl Into<BigInt>) -> BigInt {
    n.into()
}

/// The largest integer that is not above *a / b*.
pub(crate) fn floor(a: &BigInt, b: &BigInt) -> BigInt {
    let (q, r) = (a / b, a % b);
    if r < int(0) { q - 1 } else { q }
}

/// The smallest integer that is not below *a / b*.
pub(crate) fn ceil(a: &BigInt, b: &BigInt) -> BigInt {
    -floor(&-a, b)
}

/// The nearest integer to *a / b*, half upwards.
pub(crate) fn nearest(a: &BigInt, b: &BigInt) -> BigInt {
    floor(&(a * 2 + b), &(b * 2))
}

/// Two to the power of *n*.
pub(crate) fn power_of_two(n: u32) -> BigInt {
    int(1) << n
}

/// The sum.
pub(crate) fn sum<'a>(all: impl Iterator<Item = &'a BigInt>) -> BigInt {
    all.fold(int(0), |s, n| s + n)
}

/// *a − b*, or zero when that is below it.
pub(crate) fn less(a: &BigInt, b: &BigInt) -> BigInt {
    if a > b { a - b } else { int(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_where_its_name_says() {
        let to = |a: i32, b: i32| {
            let (a, b) = (int(a), int(b));
            (floor(&a, &b), nearest(&a, &b), ceil(&a, &b))
        };
        assert_eq!(to(7, 2), (int(3), int(4), int(4)));
        assert_eq!(to(-7, 2), (int(-4), int(-3), int(-3)));
        assert_eq!(to(8, 2), (int(4), int(4), int(4)));
        assert_eq!(to(4, 3), (int(1), int(1), int(2)));
    }
}
