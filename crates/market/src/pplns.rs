//! PPLNS in unit form: a found block pays the last units up to a fixed sum. Pure.
//!
//! A block of reward *B* pays `B·u/X` for each *u* units among the last *X* before it; the epoch in which
//! the sum is reached pays in part, every piece of it in the same proportion. Time does not enter. An
//! underfilled window still divides by *X*; what is left over is the window reserve's. Each beneficiary's
//! part is rounded down once, at the end, to 2^-64 minor units; what that leaves over is named too, so
//! that all parts add up to *B* exactly. (Source: Rosenfeld, *Analysis of Bitcoin Pooled Mining Reward
//! Systems*, section 3.1, unit-based form.)

use crate::units::ONE_BLOCK;
use crate::{Beneficiary, MarketError};
use gruve_units::{Accrual, EpochNumber};
use ruint::Uint;
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Blocks' work in a window.
pub const WINDOW_BLOCKS: u64 = 8;
/// The size of a window in units.
pub const WINDOW_UNITS: u128 = WINDOW_BLOCKS as u128 * ONE_BLOCK;

/// Wide enough for reward × 2^64 × units × units of an epoch: 63 + 64 + 128 + 128 bits.
type Wide = Uint<512, 8>;

/// The units of one epoch (or of several whole ones together).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochUnits {
    /// Which epoch.
    pub epoch: EpochNumber,
    /// Who has how many.
    pub pieces: Vec<(Beneficiary, u128)>,
}

/// How a reward is shared out. All parts together are the reward, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    /// Everyone with a part of the window.
    pub parts: BTreeMap<Beneficiary, Accrual>,
    /// What an underfilled window leaves over.
    pub unfilled: Accrual,
    /// What rounding leaves over: below 2^-64 minor units for each part.
    pub remainder: Accrual,
}

/// Where a window begins: it holds the epochs after `boundary` whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The epoch that pays in part, and how many of its units count.
    pub boundary: Option<(EpochNumber, u128)>,
    /// Units missing to a full window.
    pub missing: u128,
}

/// Finds the boundary while totals are read from the newest epoch back.
#[derive(Clone, Copy, Debug)]
pub struct Filling {
    missing: u128,
}

impl Filling {
    /// An empty window of this size.
    #[must_use]
    pub const fn new(size: u128) -> Self {
        Filling { missing: size }
    }

    /// Takes the next older epoch's total; a cut when the window is full with it.
    pub fn take(&mut self, epoch: EpochNumber, total: u128) -> Option<Cut> {
        if total < self.missing {
            self.missing -= total;
            return None;
        }
        let boundary = Some((epoch, self.missing));
        self.missing = 0;
        Some(Cut { boundary, missing: 0 })
    }

    /// The cut of a window that no more epochs can fill.
    #[must_use]
    pub const fn underfilled(self) -> Cut {
        Cut { boundary: None, missing: self.missing }
    }
}

/// Shares out `reward` whole minor units over the last `size` units of `window` (oldest first).
///
/// # Errors
/// [`MarketError::Broken`] for a negative reward, [`MarketError::Overflow`] for units that do not fit.
pub fn unit_pplns(
    window: &[EpochUnits],
    reward_minor: i64,
    size: u128,
) -> Result<Payout, MarketError> {
    let overflow = || MarketError::Overflow("the units of a window");
    let mut filling = Filling::new(size);
    let mut cut = None;
    let mut whole: BTreeMap<Beneficiary, u128> = BTreeMap::new();
    let mut partial: (&[(Beneficiary, u128)], u128, u128) = (&[], 0, 1);
    for e in window.iter().rev() {
        let total = e.pieces.iter().try_fold(0u128, |s, (_, u)| s.checked_add(*u));
        let total = total.ok_or_else(overflow)?;
        cut = filling.take(e.epoch, total);
        if let Some(Cut { boundary: Some((_, take)), .. }) = cut {
            // A size of zero takes nothing of an epoch that may be empty.
            partial = (&e.pieces, take, total.max(1));
            break;
        }
        for (who, units) in &e.pieces {
            // Fits: whole epochs together stay below the window's size.
            *whole.entry(*who).or_insert(0) += units;
        }
    }
    let cut = cut.unwrap_or_else(|| filling.underfilled());
    share_out(&whole, partial, cut.missing, reward_minor, size)
}

/// Each part is `⌊B · 2^64 · (whole · total + piece · take) / (size · total)⌋`.
fn share_out(
    whole: &BTreeMap<Beneficiary, u128>,
    (pieces, take, total): (&[(Beneficiary, u128)], u128, u128),
    missing: u128,
    reward_minor: i64,
    size: u128,
) -> Result<Payout, MarketError> {
    let reward = Accrual::from_minor(reward_minor)
        .ok_or_else(|| MarketError::Broken("a block with a negative reward".into()))?;
    let size = Wide::from(size.max(1));
    let wide_total = Wide::from(total);
    let mut credit: BTreeMap<Beneficiary, Wide> =
        whole.iter().map(|(who, units)| (*who, Wide::from(*units) * wide_total)).collect();
    for (who, piece) in pieces {
        *credit.entry(*who).or_default() += Wide::from(*piece) * Wide::from(take);
    }
    let part = |units: Wide, denominator: Wide| -> Result<Accrual, MarketError> {
        let exact = quotient(Wide::from(reward.0) * units, denominator);
        u128::try_from(exact).map(Accrual).map_err(|_| MarketError::Overflow("an accrual"))
    };
    let mut parts = BTreeMap::new();
    for (who, units) in credit {
        parts.insert(who, part(units, size * wide_total)?);
    }
    let unfilled = part(Wide::from(missing), size)?;
    let given = parts.values().try_fold(unfilled, |s, a| s.checked_add(*a));
    let remainder = given
        .and_then(|g| reward.checked_sub(g))
        .ok_or_else(|| MarketError::Broken("a reward was shared out above itself".into()))?;
    parts.retain(|_, a| *a > Accrual::ZERO);
    Ok(Payout { parts, unfilled, remainder })
}

/// Half as wide where that is enough, which takes a third of the time.
fn quotient(a: Wide, b: Wide) -> Wide {
    if a.bit_len() > 256 || b.bit_len() > 256 {
        return a / b;
    }
    let narrow = |n: &Wide| U256::from_limbs_slice(&n.as_limbs()[..4]);
    Wide::from(narrow(&a) / narrow(&b))
}

#[cfg(test)]
mod tests;
