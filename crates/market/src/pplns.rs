//! PPLNS in unit form: a found block pays the last units up to a fixed sum. Pure.
//!
//! A block of reward *B* pays `B·u/X` for each *u* units among the last *X* before it; the epoch in which
//! the sum is reached pays in part, every piece of it in the same proportion. Time does not enter. An
//! underfilled window still divides by *X*; what is left over is the window reserve's. Each beneficiary's
//! part is rounded down once, at the end, to 2^-64 minor units; what that leaves over is named too, so
//! that all parts add up to *B* exactly. (Source: Rosenfeld, *Analysis of Bitcoin Pooled Mining Reward
//! Systems*, section 3.1, unit-based form.)

use crate::sums::{Piece, Sums};
use crate::units::ONE_BLOCK;
use crate::{Beneficiary, MarketError};
use gruve_units::{Accrual, EpochNumber, mul_div_floor};
use ruint::Uint;
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
    let mut whole = Sums::default();
    let mut edge = Edge { pieces: Vec::new(), take: 0, total: 1 };
    for e in window.iter().rev() {
        let total = e.pieces.iter().try_fold(0u128, |s, (_, u)| s.checked_add(*u));
        let total = total.ok_or_else(overflow)?;
        cut = filling.take(e.epoch, total);
        if let Some(Cut { boundary: Some((_, take)), .. }) = cut {
            // A size of zero takes nothing of an epoch that may be empty.
            edge = Edge { pieces: sorted(&e.pieces)?, take, total: total.max(1) };
            break;
        }
        for (who, units) in &e.pieces {
            whole.add(*who, *units).ok_or_else(overflow)?;
        }
    }
    let cut = cut.unwrap_or_else(|| filling.underfilled());
    share_out(&whole.finish(), &edge, cut.missing, reward_minor, size)
}

/// The pieces of an epoch, sorted, each beneficiary once.
fn sorted(pieces: &[Piece]) -> Result<Vec<Piece>, MarketError> {
    let mut sums = Sums::default();
    for (who, units) in pieces {
        sums.add(*who, *units).ok_or(MarketError::Overflow("the units of a window"))?;
    }
    Ok(sums.finish())
}

/// The epoch at a window's edge: `take` of its `total` units count, of each piece in the same proportion.
struct Edge {
    pieces: Vec<Piece>,
    take: u128,
    total: u128,
}

/// Each part is `⌊B · 2^64 · (whole · total + piece · take) / (size · total)⌋`. Both lists are sorted.
fn share_out(
    whole: &[Piece],
    edge: &Edge,
    missing: u128,
    reward_minor: i64,
    size: u128,
) -> Result<Payout, MarketError> {
    let mut reward = Reward::over(reward_minor, edge.take, edge.total, missing, size)?;
    let mut parts = Vec::with_capacity(whole.len().max(edge.pieces.len()));
    both(whole, &edge.pieces, |who, whole, piece| {
        let amount = reward.part(whole, piece)?;
        if amount > Accrual::ZERO {
            parts.push((who, amount));
        }
        Ok(())
    })?;
    // Sorted already, which a map takes over without searching.
    let parts = parts.into_iter().collect();
    Ok(Payout { parts, unfilled: reward.unfilled, remainder: reward.remainder()? })
}

/// Gives each of two sorted lists' beneficiaries once, in their order, with the units in both.
pub(crate) fn both(
    whole: &[Piece],
    pieces: &[Piece],
    mut each: impl FnMut(Beneficiary, u128, u128) -> Result<(), MarketError>,
) -> Result<(), MarketError> {
    let (mut whole, mut pieces) = (whole.iter().peekable(), pieces.iter().peekable());
    loop {
        // Whoever comes first in either list.
        let next = [whole.peek(), pieces.peek()];
        let Some(who) = next.into_iter().flatten().map(|(who, _)| *who).min() else {
            return Ok(());
        };
        let units = |list: &mut std::iter::Peekable<std::slice::Iter<'_, Piece>>| {
            list.next_if(|(other, _)| *other == who).map_or(0, |(_, units)| *units)
        };
        let (whole, piece) = (units(&mut whole), units(&mut pieces));
        each(who, whole, piece)?;
    }
}

/// A reward while it is shared out over its window, one beneficiary after the other.
pub(crate) struct Reward {
    rule: Rule,
    reward: Accrual,
    given: Accrual,
    /// What an underfilled window leaves over.
    pub(crate) unfilled: Accrual,
}

impl Reward {
    /// A reward of whole minor units over a window of `size` units, of which so many are missing; of the epoch at its edge so
    /// many of all its units count.
    pub(crate) fn over(
        reward_minor: i64,
        take: u128,
        total: u128,
        missing: u128,
        size: u128,
    ) -> Result<Reward, MarketError> {
        let reward = Accrual::from_minor(reward_minor)
            .ok_or_else(|| MarketError::Broken("a block with a negative reward".into()))?;
        let rule = Rule::new(reward, take, total, size.max(1));
        let unfilled = rule.part(missing, 0)?;
        Ok(Reward { rule, reward, given: unfilled, unfilled })
    }

    /// The part of somebody with so many units in the window's whole epochs and in the one at its edge.
    pub(crate) fn part(&mut self, whole: u128, piece: u128) -> Result<Accrual, MarketError> {
        let amount = self.rule.part(whole, piece)?;
        let sum = self.given.checked_add(amount);
        self.given = sum.ok_or_else(|| MarketError::Broken(ABOVE.into()))?;
        Ok(amount)
    }

    /// What rounding leaves over, when everybody has his part.
    pub(crate) fn remainder(&self) -> Result<Accrual, MarketError> {
        let remainder = self.reward.checked_sub(self.given);
        remainder.ok_or_else(|| MarketError::Broken(ABOVE.into()))
    }
}

const ABOVE: &str = "a reward was shared out above itself";

/// What units of a window are worth, with what is the same for all of them counted once.
///
/// `⌊(n · whole + n · take · piece / total) / d⌋` with *n / d* the reward over the window's size. The inner
/// division may be rounded down by itself: what stands beside it is whole, and so is *d*, so that the outer
/// floor is the same.
struct Rule {
    numerator: u128,
    denominator: u128,
    take: u128,
    total: u128,
}

impl Rule {
    fn new(reward: Accrual, take: u128, total: u128, size: u128) -> Rule {
        // Both are multiples of 2^64 as a rule, and then fit 64 bits.
        let common = reward.0.trailing_zeros().min(size.trailing_zeros()).min(64);
        let (numerator, denominator) = (reward.0 >> common, size >> common);
        Rule { numerator, denominator, take, total }
    }

    fn part(&self, whole: u128, piece: u128) -> Result<Accrual, MarketError> {
        match self.narrow(whole, piece) {
            Some(part) => Ok(Accrual(part)),
            None => self.wide(whole, piece),
        }
    }

    /// In 128 bits where that is enough, with one product of 256.
    fn narrow(&self, whole: u128, piece: u128) -> Option<u128> {
        let mut sum = self.numerator.checked_mul(whole)?;
        if piece > 0 {
            let taken = self.numerator.checked_mul(self.take)?;
            sum = sum.checked_add(mul_div_floor(taken, piece, self.total).ok()?.0)?;
        }
        Some(match self.denominator.is_power_of_two() {
            true => sum >> self.denominator.trailing_zeros(),
            false => sum / self.denominator,
        })
    }

    fn wide(&self, whole: u128, piece: u128) -> Result<Accrual, MarketError> {
        let total = Wide::from(self.total);
        let units = Wide::from(whole) * total + Wide::from(piece) * Wide::from(self.take);
        let above = Wide::from(self.numerator) * units;
        let exact = above / (Wide::from(self.denominator) * total);
        u128::try_from(exact).map(Accrual).map_err(|_| MarketError::Overflow("an accrual"))
    }
}

#[cfg(test)]
mod tests;
