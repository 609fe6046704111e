//! How large a reserve FPPS needs. Pure, and in integers, so that every machine decides a sale alike.
//!
//! Between two found blocks an FPPS reserve pays `(1 − f)` of a block for each block's worth of work; the
//! work is exponentially distributed with a mean of one block, and the block then brings 1. Such a reserve of
//! *R* blocks is used up some day with a chance below `e^(−θR)`, where *θ*, the adjustment coefficient, is the
//! root above zero of `e^(−θ) = 1 − (1 − f)θ`. For a chance of δ it takes `R = ln(1/δ)/θ` (Rosenfeld,
//! *Analysis of Bitcoin Pooled Mining Reward Systems*, section 2.2, has θ ≈ 2f, which is a little too large a
//! reserve). With `f ≤ 0` there is no such root, and no reserve lasts.
//!
//! All is fixed point with 64 fractional bits; reserves are rounded up. What was paid before its window has
//! brought it back stands out for half a window on average: [`OUTSTANDING_BLOCKS`] come on top.

use gruve_units::Bps;
use ruint::aliases::U256;

/// One.
const ONE: u128 = 1 << 64;

/// Work that is paid for and still stands in the PPLNS window, in blocks: half of a full window, because a
/// piece of it has brought in half of what it will, on average.
pub const OUTSTANDING_BLOCKS: u64 = 4;

/// `⌊a·b / 2^64⌋`; factors are below 2^75.
fn times(a: u128, b: u128) -> u128 {
    let wide: U256 = (U256::from(a) * U256::from(b)) >> 64usize;
    u128::try_from(wide).unwrap_or(u128::MAX)
}

/// `e^(−x)` for `0 ≤ x < 8`, to some units of 2^-64.
fn exp_minus(x: u128) -> u128 {
    // Of a 256th the series is below 2^-64 after eight terms; squared eight times.
    let small = x >> 8;
    let (mut sum, mut term) = (ONE, ONE);
    for n in 1..=10u32 {
        term = times(term, small) / u128::from(n);
        sum = if n % 2 == 1 { sum.saturating_sub(term) } else { sum + term };
    }
    (0..8).fold(sum, |s, _| times(s, s))
}

/// The adjustment coefficient of a fee, in units of 2^-64, rounded down; `None` where none is above zero.
///
/// Exact to some 10^-12 for fees of a basis point and more.
#[must_use]
pub fn adjustment_coefficient(fee: Bps) -> Option<u128> {
    let fee = u128::from(fee.get());
    if fee == 0 || fee > u128::from(crate::scheme::FPPS_FEE_MAX_BPS) {
        return None;
    }
    let keeps = ONE / 10_000 * (10_000 - fee);
    // 1 − (1−f)θ − e^(−θ) is above zero before the root and below it after. The root is above 2f and, for fees
    // up to a half, below 2.
    let is_before = |theta: u128| {
        let line = ONE.saturating_sub(times(keeps, theta));
        line > exp_minus(theta)
    };
    let (mut low, mut high) = (ONE / 10_000 * fee, 2 * ONE);
    while high - low > 1 {
        let middle = u128::midpoint(low, high);
        if is_before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

/// `ln(1/δ)` for δ in millionths (1 to 1,000,000), in units of 2^-64, rounded up.
fn ln_of_one_in(ppm: u32) -> u128 {
    let target = ONE / 1_000_000 * u128::from(ppm.clamp(1, 1_000_000));
    // e^(−x) falls: the least x at which it is no longer above δ. ln(10^6) is below 14; halves fit the series.
    let (mut low, mut high) = (0, 14 * ONE);
    while high - low > 1 {
        let middle = u128::midpoint(low, high);
        let half = exp_minus(middle / 2);
        if times(half, half) > target {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The blocks that a reserve must hold for a chance of ruin of `ppm` millionths at most, in units of 2^-64,
/// rounded up, without [`OUTSTANDING_BLOCKS`]; `None` where no reserve suffices.
#[must_use]
pub fn reserve_blocks(fee: Bps, ppm: u32) -> Option<u128> {
    let theta = adjustment_coefficient(fee)?;
    let ln: U256 = U256::from(ln_of_one_in(ppm)) << 64usize;
    u128::try_from(ln.div_ceil(U256::from(theta.max(1)))).ok()
}

/// The reserve that a lane's FPPS sales stop below, in minor units, when a block pays `block_minor`; rounded
/// up. `None` where no reserve suffices, or it does not fit 63 bits.
#[must_use]
pub fn floor_minor(fee: Bps, ppm: u32, block_minor: i64) -> Option<i64> {
    let blocks = reserve_blocks(fee, ppm)?.checked_add(u128::from(OUTSTANDING_BLOCKS) << 64)?;
    let block = u128::try_from(block_minor).ok()?;
    let minor: U256 = (U256::from(blocks) * U256::from(block)).div_ceil(U256::from(ONE));
    i64::try_from(minor).ok()
}

/// The coefficient for people to read; zero where there is none. Nothing is decided with it.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn shown_theta(fee: Bps) -> f64 {
    adjustment_coefficient(fee).map_or(0.0, |theta| theta as f64 / ONE as f64)
}

#[cfg(test)]
mod tests;
