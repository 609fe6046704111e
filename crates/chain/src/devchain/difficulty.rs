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
            let first = params.premine_blocks.saturating_add(1);
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
