//! How hard the next block is: a pure function of earlier headers and the block's own time.
//!
//! Two parts, so that the chain neither runs away when a farm starts nor gets stuck when it
//! stops:
//!
//! * The *base* follows from the parents alone. After a block that took `t` seconds it is
//!   multiplied by `(t + 9·T) / (10·T)`, `T` being the spacing and `t` held between 0 and `31·T`:
//!   each block changes the target by a factor between 0.9 and 4. In equilibrium `t` averages `T`
//!   and the factor averages one.
//! * A block that is late may be *eased*: when its time is `6·T` or more after its parent's, it may
//!   use the base doubled once, and once more for every further `T`. Easing is a permission, not a
//!   duty, so rolling the time in a header forward never makes it wrong. It does not enter the
//!   next block's base; there the long wait itself counts, up to the factor 4.
//!
//! In a steady state a block is late by `6·T` once in e⁶ ≈ 400 blocks. A farm that shrinks
//! a thousandfold waits at most about `16·T` for its next block. Times are the headers' own, so a
//! miner may ease its block by as much as the clock's tolerance: this is a chain for
//! development, where all miners are one's own.

use super::params::{DevParams, Difficulty, POW_LIMIT_BITS, pow_limit};
use gruve_units::Target;
use ruint::aliases::U320;

/// Blocks that one measurement is spread over.
pub const SMOOTHING_BLOCKS: u32 = 10;
/// The longest time between two blocks that counts, in spacings: `(31 + 9) / 10 = 4`.
pub const LONGEST_SPACINGS: u32 = 31;
/// A block later than this many spacings after its parent may be easier.
pub const EASE_AFTER_SPACINGS: u32 = 6;
/// More doublings than this reach the limit from any target.
const MOST_DOUBLINGS: u32 = 256;

/// The base of the block after one with base `parent_base` that took `solve_secs`.
#[must_use]
pub fn next_base(parent_base: u32, solve_secs: i64, spacing_secs: u32) -> u32 {
    let spacing = u64::from(spacing_secs.max(1));
    let longest = spacing * u64::from(LONGEST_SPACINGS);
    let taken = u64::try_from(solve_secs).unwrap_or(0).min(longest);
    let numerator = taken + spacing * u64::from(SMOOTHING_BLOCKS - 1);
    let denominator = spacing * u64::from(SMOOTHING_BLOCKS);
    let Some(target) = Target::from_compact(parent_base) else { return POW_LIMIT_BITS };
    // 2²⁵⁶ · 2²² fits 320 bits: a spacing is at most a day.
    let wide = U320::from(target.0) * U320::from(numerator) / U320::from(denominator);
    let limit = U320::from(pow_limit().0);
    if wide >= limit {
        return POW_LIMIT_BITS;
    }
    let bits = Target(wide.wrapping_to()).to_compact();
    // Never so hard that the mantissa vanishes: such a target could not be multiplied back.
    if Target::from_compact(bits).is_some() { bits } else { parent_base }
}

/// The base of the block at `height`, whose parent has `parent_base` and took `solve_secs`.
#[must_use]
pub fn base_at(params: &DevParams, height: u32, parent_base: u32, solve_secs: i64) -> u32 {
    match params.difficulty {
        Difficulty::Fixed { bits } => bits,
        Difficulty::Adjusting { start_bits } => {
            let first = params.premine_blocks().saturating_add(1);
            match height.cmp(&first) {
                std::cmp::Ordering::Less => POW_LIMIT_BITS,
                std::cmp::Ordering::Equal => start_bits,
                std::cmp::Ordering::Greater => {
                    next_base(parent_base, solve_secs, params.spacing_secs)
                }
            }
        }
    }
}

/// `base` doubled `level` times, at most the easiest target.
#[must_use]
pub fn eased(base: u32, level: u32) -> u32 {
    let Some(target) = Target::from_compact(base) else { return POW_LIMIT_BITS };
    let limit = pow_limit().0;
    let shift = level.min(MOST_DOUBLINGS) as usize;
    if target.0.bit_len() + shift >= 256 || (target.0 << shift) >= limit {
        POW_LIMIT_BITS
    } else {
        Target(target.0 << shift).to_compact()
    }
}

/// The doublings a block with `time` may take.
#[must_use]
pub fn ease_level(parent_time: u32, time: u32, spacing_secs: u32) -> u32 {
    let late = time.saturating_sub(parent_time) / spacing_secs.max(1);
    if late < EASE_AFTER_SPACINGS {
        0
    } else {
        (late - EASE_AFTER_SPACINGS + 1).min(MOST_DOUBLINGS)
    }
}

/// The earliest time at which a block may take `level` doublings.
#[must_use]
pub fn level_start(parent_time: u32, level: u32, spacing_secs: u32) -> u32 {
    if level == 0 {
        return 0;
    }
    let spacings = EASE_AFTER_SPACINGS.saturating_add(level - 1);
    parent_time.saturating_add(spacings.saturating_mul(spacing_secs.max(1)))
}

/// Whether a block with `bits` and `time` may stand on a parent with `parent_time`, `base` being
/// its base.
#[must_use]
pub fn is_allowed(params: &DevParams, base: u32, bits: u32, parent_time: u32, time: u32) -> bool {
    if bits == base {
        return true;
    }
    if matches!(params.difficulty, Difficulty::Fixed { .. }) {
        return false;
    }
    let most = ease_level(parent_time, time, params.spacing_secs);
    (1..=most).any(|level| eased(base, level) == bits)
}

/// The easiest bits allowed at `time`, and the earliest time at which they are.
#[must_use]
pub fn easiest(params: &DevParams, base: u32, parent_time: u32, time: u32) -> (u32, u32) {
    if matches!(params.difficulty, Difficulty::Fixed { .. }) {
        return (base, 0);
    }
    let most = ease_level(parent_time, time, params.spacing_secs);
    let bits = eased(base, most);
    // Several levels may end at the limit: the first of them will do.
    let level = (0..=most).find(|&level| eased(base, level) == bits).unwrap_or(most);
    (bits, level_start(parent_time, level, params.spacing_secs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devchain::bits_for_work;
    use gruve_units::{Algorithm, Asset, Entropy, Hashes, SeededEntropy};
    use proptest::prelude::*;

    const SPACING: u32 = 20;
    const START: u32 = 1_700_000_000;

    fn work(bits: u32) -> f64 {
        #[allow(clippy::cast_precision_loss)] // a simulated hashrate, which decides no amount
        let hashes = Target::from_compact(bits).unwrap().expected_hashes().0 as f64;
        hashes
    }

    /// A farm mining at some hashrates, one after the other.
    struct Farm {
        params: DevParams,
        entropy: SeededEntropy,
        base: u32,
        parent_time: u32,
        /// The true time; headers hold whole seconds.
        now: f64,
        solve_secs: i64,
    }

    impl Farm {
        fn new(start_work: u128) -> Farm {
            let mut params =
                DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(start_work));
            params.spacing_secs = SPACING;
            Farm {
                base: bits_for_work(Hashes(start_work)),
                entropy: SeededEntropy::new(7),
                params,
                parent_time: START,
                now: f64::from(START),
                solve_secs: i64::from(SPACING),
            }
        }

        /// An exponentially distributed amount of luck with mean one.
        fn luck(&self) -> f64 {
            let mut bytes = [0u8; 4];
            self.entropy.fill(&mut bytes);
            let uniform = (f64::from(u32::from_le_bytes(bytes)) + 1.0) / 4_294_967_297.0;
            -uniform.ln()
        }

        /// Finds the next block at a hashrate; gives the seconds it took. The miner takes every
        /// easing as soon as it is allowed.
        fn block(&mut self, hashrate: f64) -> f64 {
            let base = next_base(self.base, self.solve_secs, SPACING);
            let mut luck = self.luck();
            let started = self.now;
            loop {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let second = (self.now as u32).max(self.parent_time);
                let (bits, _) = easiest(&self.params, base, self.parent_time, second);
                assert!(is_allowed(&self.params, base, bits, self.parent_time, second));
                let needed = luck * work(bits) / hashrate;
                let left = f64::from(second) + 1.0 - self.now;
                if needed <= left {
                    self.now += needed;
                    self.solve_secs = i64::from(second) - i64::from(self.parent_time);
                    self.parent_time = second;
                    self.base = base;
                    return self.now - started;
                }
                luck -= left * hashrate / work(bits);
                self.now += left;
            }
        }
    }

    #[test]
    fn the_spacing_settles_at_the_target_whatever_the_hashrate() {
        for hashrate in [1e3, 3e5, 1e8, 1e12] {
            let mut farm = Farm::new(1 << 14);
            for _ in 0..400 {
                farm.block(hashrate);
            }
            let blocks = 2_000;
            let took: f64 = (0..blocks).map(|_| farm.block(hashrate)).sum();
            let mean = took / f64::from(blocks);
            assert!((17.0..24.0).contains(&mean), "{hashrate} H/s: {mean} s a block");
        }
    }

    #[test]
    fn a_farm_that_shrinks_a_thousandfold_is_not_stuck() {
        let mut farm = Farm::new(1 << 24);
        for _ in 0..300 {
            farm.block(1e9);
        }
        let mut longest: f64 = 0.0;
        let mut first_forty = 0.0;
        for _ in 0..40 {
            let took = farm.block(1e6);
            longest = longest.max(took);
            first_forty += took;
        }
        assert!(longest < 25.0 * f64::from(SPACING), "a block took {longest} s");
        assert!(first_forty < 150.0 * f64::from(SPACING), "forty blocks took {first_forty} s");
        let settled: f64 = (0..500).map(|_| farm.block(1e6)).sum::<f64>() / 500.0;
        assert!((16.0..25.0).contains(&settled), "{settled} s a block afterwards");
    }

    #[test]
    fn a_farm_that_grows_a_thousandfold_is_reined_in_within_a_hundred_blocks() {
        let mut farm = Farm::new(1 << 14);
        for _ in 0..300 {
            farm.block(1e3);
        }
        for _ in 0..100 {
            farm.block(1e6);
        }
        let mean: f64 = (0..500).map(|_| farm.block(1e6)).sum::<f64>() / 500.0;
        assert!((16.0..25.0).contains(&mean), "{mean} s a block afterwards");
    }

    #[test]
    fn after_a_night_without_miners_the_base_has_eased_fourfold_at_most() {
        let base = bits_for_work(Hashes(1 << 24));
        let after = next_base(base, 8 * 3600, SPACING);
        assert_eq!(after, next_base(base, i64::from(LONGEST_SPACINGS * SPACING), SPACING));
        let ratio = work(base) / work(after);
        assert!((3.99..4.01).contains(&ratio), "{ratio}");
        assert_eq!(eased(base, ease_level(START, START + 8 * 3600, SPACING)), POW_LIMIT_BITS);
    }

    #[test]
    fn easing_is_allowed_from_its_time_on_and_not_before() {
        let params = DevParams::new(Asset::Btc, Algorithm::Sha256d);
        let base = bits_for_work(Hashes(1 << 20));
        for level in 1..10 {
            let from = level_start(START, level, params.spacing_secs);
            let bits = eased(base, level);
            assert!(is_allowed(&params, base, bits, START, from));
            assert!(is_allowed(&params, base, bits, START, from + 1_000), "later is as good");
            assert!(!is_allowed(&params, base, bits, START, from - 1));
            assert!(is_allowed(&params, base, base, START, from), "easing is no duty");
            assert_eq!(easiest(&params, base, START, from), (bits, from));
        }
    }

    proptest! {
        #[test]
        fn one_block_moves_the_base_within_its_bounds(
            bits in 0x0500_8000u32..0x2000_ffff,
            took in -10_000i64..1_000_000,
            spacing in 1u32..=86_400,
        ) {
            let Some(before) = Target::from_compact(bits) else { return Ok(()) };
            prop_assume!(bits & 0x0080_0000 == 0 && before <= pow_limit());
            let after = Target::from_compact(next_base(bits, took, spacing)).unwrap();
            prop_assert!(after <= pow_limit());
            let (small, large) = (U320::from(before.0), U320::from(after.0));
            // Rounding to a compact form loses less than one part in 2¹⁵.
            prop_assert!(large * U320::from(10) * U320::from(32_768) >= small * U320::from(9) * U320::from(32_767));
            prop_assert!(large <= small * U320::from(4));
        }

        #[test]
        fn the_easiest_bits_are_always_allowed(
            work in 1u128..(1 << 60),
            late in 0u32..200_000,
            spacing in 1u32..=600,
        ) {
            let mut params = DevParams::new(Asset::Ltc, Algorithm::Scrypt);
            params.spacing_secs = spacing;
            let base = bits_for_work(Hashes(work));
            let (bits, from) = easiest(&params, base, START, START + late);
            prop_assert!(from <= START + late);
            prop_assert!(is_allowed(&params, base, bits, START, START + late));
            prop_assert!(is_allowed(&params, base, bits, START, from.max(START)));
        }
    }
}
