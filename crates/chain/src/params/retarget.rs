//! How hard the next block is, by each chain's own rule: pure, integers only.
//!
//! Sources: `pow.cpp` of Bitcoin Core and Litecoin Core (Litecoin goes back one block further but
//! the first time); `dogecoin.cpp` of Dogecoin Core 1.14; yellow paper and EIP-2, EIP-100
//! (`ethash`), ECIP-1041 (the bomb removed).
//!
//! What this module must not know: nodes, how long a block will take. An estimate of what is not
//! decided yet stands in [`crate::forecast`].

use gruve_units::{Hashes, Target};
use ruint::aliases::U320;

/// How hard a block is, in the chain's own form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardness {
    /// The compact target of the header.
    Bits(u32),
    /// The difficulty in the header: expected tries.
    Difficulty(u128),
}

impl Hardness {
    /// Expected tries for one block; `None` for bits that are no target.
    #[must_use]
    pub fn work(self) -> Option<Hashes> {
        match self {
            Hardness::Bits(bits) => Target::from_compact(bits).map(Target::expected_hashes),
            Hardness::Difficulty(0) => None,
            Hardness::Difficulty(tries) => Some(Hashes(tries)),
        }
    }
}

/// What of a block the hardness of the next one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFacts {
    /// Its height.
    pub height: u64,
    /// Its header's time, seconds.
    pub time: u64,
    /// How hard it was.
    pub hardness: Hardness,
    /// Whether it names uncles (account chains).
    pub names_uncles: bool,
}

/// A rule that changes the target every so many blocks, by the time they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Blocks between changes, above zero.
    pub blocks: u64,
    /// Seconds they should take.
    pub span_secs: u64,
    /// Whether the time counts from the last block of the period before, so that it spans `blocks`
    /// intervals (Litecoin, Dogecoin; not in the first period, whose predecessor there is not).
    /// Bitcoin counts from the period's first block: one interval less, for the same span.
    pub is_whole: bool,
    /// The easiest compact target.
    pub limit_bits: u32,
    /// Whether a block that is late may be of the easiest target (public test networks): then the
    /// tip does not tell how hard the next one is.
    pub eases: bool,
}

/// How the target of the next block follows from the blocks before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retarget {
    /// Always the same (regtest).
    Never,
    /// Every so many blocks, at most to a quarter or to four times (Bitcoin, Litecoin).
    Every(Period),
    /// Dogecoin: a period with other bounds in its first ten thousand blocks, and from the block
    /// after `from` on at every block, an eighth of the way, at most to 3/4 or 3/2.
    Digishield {
        /// The rule before.
        before: Period,
        /// The block after which every block changes the target.
        from: u64,
    },
    /// The Ethash family: each block's difficulty follows from its parent's and from both times.
    Ethash {
        /// The first block without the difficulty bomb; before it nothing is said here.
        bomb_free_from: u64,
        /// The first block whose difficulty counts its parent's uncles (EIP-100).
        uncles_from: u64,
        /// Never below this.
        least: u128,
    },
    /// By no rule known here (the development chain has its own; signet needs a signature).
    Elsewhere,
}

/// EIP-2: the difficulty moves in steps of one 2048th.
const STEP_PARTS: u128 = 2_048;
/// EIP-2: at most so many steps down at once.
const STEPS_DOWN_MAX: i128 = 99;

impl Retarget {
    /// The block whose time, beside the parent's, decides how hard the block at `height` is; `None`
    /// when the parent alone does.
    #[must_use]
    pub fn looks_back_to(&self, height: u64) -> Option<u64> {
        match self {
            Retarget::Every(period) => period.first_of(height),
            Retarget::Digishield { before, from } => {
                if height > *from {
                    height.checked_sub(2)
                } else {
                    before.first_of(height)
                }
            }
            Retarget::Never | Retarget::Ethash { .. } | Retarget::Elsewhere => None,
        }
    }

    /// How hard the block after `parent` is. `first_time` is the time of the block that
    /// [`Retarget::looks_back_to`] names, where it names one; `time` the new block's own, of which
    /// only the Ethash family's depends. `None` where no rule here says it, or numbers are missing
    /// or not of this chain.
    #[must_use]
    pub fn next(
        &self,
        parent: &HeaderFacts,
        first_time: Option<u64>,
        time: u64,
    ) -> Option<Hardness> {
        let height = parent.height.checked_add(1)?;
        match (self, parent.hardness) {
            (Retarget::Never, same) => Some(same),
            (Retarget::Every(period), Hardness::Bits(bits)) => {
                if period.first_of(height).is_none() {
                    return (!period.eases).then_some(parent.hardness);
                }
                let took = span(parent.time, first_time?);
                let bounded =
                    took.clamp(signed(period.span_secs / 4), signed(period.span_secs * 4));
                scaled(bits, bounded, period.span_secs, period.limit_bits)
            }
            (Retarget::Digishield { before, from }, Hardness::Bits(bits)) => {
                if height > *from {
                    let spacing = before.span_secs / before.blocks.max(1);
                    let took = damped(span(parent.time, first_time?), signed(spacing));
                    return scaled(bits, took, spacing, before.limit_bits);
                }
                if before.first_of(height).is_none() {
                    return (!before.eases).then_some(parent.hardness);
                }
                let least = before.span_secs / dogecoin_divisor(height);
                let took = span(parent.time, first_time?);
                let bounded = took.clamp(signed(least), signed(before.span_secs * 4));
                scaled(bits, bounded, before.span_secs, before.limit_bits)
            }
            (
                Retarget::Ethash { bomb_free_from, uncles_from, least },
                Hardness::Difficulty(difficulty),
            ) => {
                if height < *bomb_free_from {
                    return None;
                }
                let steps = ethash_steps(parent, height >= *uncles_from, time);
                moved(difficulty, steps).map(|d| Hardness::Difficulty(d.max(*least)))
            }
            _ => None,
        }
    }
}

impl Period {
    /// The block from which the time counts that sets the target of the block at `height`; `None`
    /// when that block does not begin a period.
    #[must_use]
    pub fn first_of(&self, height: u64) -> Option<u64> {
        let blocks = self.blocks.max(1);
        if height == 0 || !height.is_multiple_of(blocks) {
            return None;
        }
        let first = height - blocks;
        Some(if self.is_whole { first.saturating_sub(1) } else { first })
    }

    /// Intervals between the block named by [`Period::first_of`] and the last of the period.
    #[must_use]
    pub fn intervals(&self, height: u64) -> u64 {
        let first = self.first_of(height).unwrap_or(0);
        height.saturating_sub(1).saturating_sub(first).max(1)
    }

    /// The compact target after a period that took `took_secs`.
    #[must_use]
    pub fn after(&self, bits: u32, took_secs: u64) -> Option<u32> {
        let bounded = took_secs.clamp(self.span_secs / 4, self.span_secs * 4);
        match scaled(bits, signed(bounded), self.span_secs, self.limit_bits)? {
            Hardness::Bits(bits) => Some(bits),
            Hardness::Difficulty(_) => None,
        }
    }
}

/// Times of headers need not rise.
fn span(later: u64, earlier: u64) -> i64 {
    signed(later).saturating_sub(signed(earlier))
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Dogecoin's first blocks could become harder faster.
const fn dogecoin_divisor(height: u64) -> u64 {
    match height {
        0..=5_000 => 16,
        5_001..=10_000 => 8,
        _ => 4,
    }
}

/// An eighth of the way from the intended to the actual time, within a quarter less and a half more.
fn damped(took: i64, spacing: i64) -> i64 {
    // Rounded towards zero, as the chain does.
    let step = took.saturating_sub(spacing) / 8;
    (spacing.saturating_add(step)).clamp(spacing - spacing / 4, spacing + spacing / 2)
}

/// `target · took / span`, at most the limit. Wide enough that nothing overflows; Litecoin's own
/// arithmetic drops a target's last bit to make room (`fShift`), at targets so easy that no bit
/// of the compact form depends on it.
fn scaled(bits: u32, took: i64, span_secs: u64, limit_bits: u32) -> Option<Hardness> {
    let target = Target::from_compact(bits)?;
    let limit = easiest(limit_bits)?;
    let took = u64::try_from(took).ok()?;
    let wide = U320::from(target.0) * U320::from(took) / U320::from(span_secs.max(1));
    let target = if wide > U320::from(limit.0) { limit } else { Target(wide.wrapping_to()) };
    let bits = target.to_compact();
    Target::from_compact(bits).map(|_| Hardness::Bits(bits))
}

/// The chains' limits are all ones below their first bit; their compact form leaves most of them out.
fn easiest(limit_bits: u32) -> Option<Target> {
    Target::from_compact(limit_bits)
}

/// Steps of a 2048th that the difficulty goes up.
fn ethash_steps(parent: &HeaderFacts, counts_uncles: bool, time: u64) -> i128 {
    let took = i128::from(time) - i128::from(parent.time);
    let steps = if counts_uncles {
        let at_once = if parent.names_uncles { 2 } else { 1 };
        at_once - took.div_euclid(9)
    } else {
        1 - took.div_euclid(10)
    };
    steps.max(-STEPS_DOWN_MAX)
}

fn moved(difficulty: u128, steps: i128) -> Option<u128> {
    let size = (difficulty / STEP_PARTS).checked_mul(steps.unsigned_abs())?;
    if steps < 0 { Some(difficulty.saturating_sub(size)) } else { difficulty.checked_add(size) }
}
