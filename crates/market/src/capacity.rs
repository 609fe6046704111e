//! How much hashrate is proven, and so may be sold. Pure.
//!
//! Shares come by chance: work *W* proven by shares of works *w* has the standard deviation `√Σw²` (each
//! share a Poisson event of size *w*). The proven work of a window is `W − z·√Σw²`, rounded down, *z*
//! stated by the lane (three by default); epochs without a row count as zero. Few heavy shares prove less
//! than many light ones of the same sum: the effective number of shares is `W²/Σw²`.

use gruve_units::{Bps, Duration, Hashes, Hashrate};
use ruint::aliases::U256;

/// The work of a window of closed epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowWork {
    /// Σw over the house's shares.
    pub work: Hashes,
    /// Σw².
    pub squares: U256,
}

/// The square of a share's work, as summed in [`WindowWork::squares`].
#[must_use]
pub fn square(work: Hashes) -> U256 {
    let w = U256::from(work.0);
    // A share's work is at most 2^100 by its class.
    w.saturating_mul(w)
}

/// The work proven with `z` tenths of standard deviations to spare.
#[must_use]
pub fn proven_work(window: WindowWork, z_tenths: u32) -> Hashes {
    let z = U256::from(z_tenths);
    // z²·Σw²/100, each step rounded up: the bound is never above the exact one.
    let variance = window.squares.saturating_mul(z).saturating_mul(z).div_ceil(U256::from(100u8));
    let mut deviation = variance.root(2);
    if deviation.saturating_mul(deviation) < variance {
        deviation = deviation.saturating_add(U256::from(1u8));
    }
    let deviation = u128::try_from(deviation).unwrap_or(u128::MAX);
    window.work.saturating_sub(Hashes(deviation))
}

/// The rate proven over a window of this length.
#[must_use]
pub fn proven_rate(window: WindowWork, z_tenths: u32, length: Duration) -> Hashrate {
    Hashrate::of(proven_work(window, z_tenths), length)
}

/// What of a proven rate may be under contract.
#[must_use]
pub fn for_sale(proven: Hashrate, reserve: Bps) -> Hashrate {
    Hashrate(proven.0.saturating_sub(reserve.of(proven.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(shares: u128, class: u32) -> WindowWork {
        let work = Hashes(1 << class);
        WindowWork { work: Hashes(shares << class), squares: square(work) * U256::from(shares) }
    }

    #[test]
    fn a_hundred_equal_shares_prove_seventy_at_three_deviations() {
        assert_eq!(proven_work(window(100, 20), 30), Hashes(70 << 20));
        assert_eq!(proven_work(window(9, 20), 30), Hashes::ZERO);
        assert_eq!(proven_work(WindowWork::default(), 30), Hashes::ZERO);
    }

    #[test]
    fn the_reserve_is_never_for_sale() {
        assert_eq!(for_sale(Hashrate(1000), Bps::new(1_000).unwrap()), Hashrate(900));
    }

    proptest! {
        #[test]
        fn heavier_shares_prove_less(n in 1u128..10_000, class in 4u32..40) {
            let light = proven_work(window(n * 4, class), 30);
            let heavy = proven_work(window(n, class + 2), 30);
            prop_assert!(heavy <= light);
        }

        #[test]
        fn the_bound_is_below_the_work_and_falls_with_confidence(n in 0u128..100_000, z in 0u32..100) {
            let w = window(n, 20);
            prop_assert!(proven_work(w, z) <= w.work);
            prop_assert!(proven_work(w, z + 1) <= proven_work(w, z));
        }
    }
}
