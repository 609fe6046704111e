//! How likely an honest farm is as unlucky: whoever keeps blocks back shows nothing else. Floats: they decide nothing.

/// The chance that work which should find so many blocks finds no more than these: Poisson's probabilities of all counts up to it,
/// summed from the last one down. 1 where nothing was expected.
#[allow(clippy::cast_precision_loss)]
pub(super) fn chance_of_so_few(found: u64, expected: f64) -> f64 {
    if !expected.is_finite() || expected <= 0.0 {
        return 1.0;
    }
    let count = found as f64;
    // Far above the mean all that matters lies below.
    if count > expected + 40.0 * (expected.sqrt() + 1.0) {
        return 1.0;
    }
    let mut part = (count * expected.ln() - expected - log_of_factorial(count)).exp();
    let (mut sum, mut n) = (part, count);
    while n > 0.0 && (n > expected || part > sum * f64::EPSILON) {
        part *= n / expected;
        sum += part;
        n -= 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// The logarithm of *n*!: a sum of few, Stirling's series of more (its next part is below 10^-10).
fn log_of_factorial(n: f64) -> f64 {
    if n < 16.0 {
        let (mut sum, mut k) = (0.0, 2.0);
        while k <= n {
            sum += f64::ln(k);
            k += 1.0;
        }
        return sum;
    }
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1_260.0 * n.powi(5));
    (n + 0.5) * n.ln() - n + 0.5 * std::f64::consts::TAU.ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_of_few_blocks_are_poissons() {
        for (found, expected, chance) in [
            (0, 1.0, 0.367_879_441),
            (2, 2.5, 0.543_813_116),
            (0, 6.907_755_279, 0.001),
            (10, 10.0, 0.583_039_750),
            (75, 100.0, 0.005_472_664),
            (20, 10.0, 0.998_411_7),
            (1_000_000, 1_000_000.0, 0.500_266),
            (5, 0.0, 1.0),
            (9_000_000, 3.0, 1.0),
        ] {
            let own = chance_of_so_few(found, expected);
            assert!((own - chance).abs() < 1e-6, "{found} of {expected}: {own}");
        }
        // A farm that keeps half of a hundred back is one in millions.
        assert!(chance_of_so_few(50, 100.0) < 1e-7);
        assert!(chance_of_so_few(0, 1e9) < 1e-300);
    }
}
