//! Sharing out when nobody's claim is held: contracts are gone through once for what all of them claim, and once more for
//! what each gets. Pure.
//!
//! What decides about everyone's part is small: the sum of the entitlements; of shortfalls the sum for each epoch since when
//! they are open, because the oldest are made good first; and where there is too little work, how large a remainder must be
//! for the hash that is left over. That comes out of how often each entitlement occurs, as long as there are few different
//! ones. Where there are many, contracts are gone through some times more ([`Search`]).

use super::{Entitlement, Share};
use crate::MarketError;
use gruve_units::{EpochNumber, Hashes, mul_div_floor};
use std::collections::BTreeMap;

/// Different entitlements that are counted, at most: some megabytes. In the unit tests so few that both ways are gone.
#[cfg(not(test))]
const RATES_MAX: usize = 65_536;
#[cfg(test)]
const RATES_MAX: usize = 3;

/// Counters of a search: some megabytes, and five passes for the work of a whole network. In the unit tests so few that several
/// passes are needed.
#[cfg(not(test))]
const COUNTERS: usize = 1 << 18;
#[cfg(test)]
const COUNTERS: usize = 5;

type Result<T> = std::result::Result<T, MarketError>;

/// What claims come to, whoever has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claimed {
    others: Rank,
    /// The operator's own contracts.
    own: Rank,
}

#[derive(Clone, Debug, Default)]
struct Rank {
    total: u128,
    /// Open shortfalls that may be made good, by the epoch since when they are open.
    short: BTreeMap<EpochNumber, u128>,
    rates: BTreeMap<u128, u64>,
    /// Whether there are more different entitlements than are counted.
    are_many: bool,
}

/// Contracts without a shortfall come last.
fn since(claim: &Entitlement) -> EpochNumber {
    claim.short_since.unwrap_or(EpochNumber(u64::MAX))
}

fn pro_rata(done: u128, entitled: u128, total: u128) -> Result<(u128, u128)> {
    mul_div_floor(done, entitled, total).map_err(|_| MarketError::Overflow("a pro rata part"))
}

impl Claimed {
    /// Adds a claim; in any order.
    ///
    /// # Errors
    /// [`MarketError::Overflow`] when the entitlements do not fit 128 bits together.
    pub(crate) fn add(&mut self, claim: &Entitlement) -> Result<()> {
        let rank = if claim.is_operators { &mut self.own } else { &mut self.others };
        let entitled = claim.entitled.0;
        let total = rank.total.checked_add(entitled);
        rank.total = total.ok_or(MarketError::Overflow("the sum of all entitlements"))?;
        if claim.catch_up > Hashes::ZERO {
            // What does not fit is above all that could be given.
            let sum = rank.short.entry(since(claim)).or_default();
            *sum = sum.saturating_add(claim.catch_up.0);
        }
        if !rank.are_many {
            *rank.rates.entry(entitled).or_default() += 1;
            if rank.rates.len() > RATES_MAX {
                (rank.are_many, rank.rates) = (true, BTreeMap::new());
            }
        }
        Ok(())
    }

    /// What all but the operator's own are entitled to.
    pub(crate) fn entitled(&self) -> Hashes {
        Hashes(self.others.total)
    }

    /// By what each part of the house's work `done` is found.
    ///
    /// # Errors
    /// [`MarketError::Broken`] where the sums contradict each other.
    pub(crate) fn share_out(self, done: Hashes) -> Result<Sharing> {
        let (others, left) = self.others.part(done.0)?;
        let (own, surplus) = self.own.part(left)?;
        Ok(Sharing { others, own, surplus: Hashes(surplus) })
    }
}

impl Rank {
    /// The rule of a rank, and what it leaves.
    fn part(self, done: u128) -> Result<(Part, u128)> {
        let total = self.total;
        if done >= total {
            let (mut left, mut good) = (done - total, self.short);
            for sum in good.values_mut() {
                *sum = left.min(*sum);
                left -= *sum;
            }
            return Ok((Part::InFull { good }, left));
        }
        let bar = match (done, self.are_many) {
            // Nothing is left over.
            (0, _) => Some(Bar::NOBODY),
            (_, true) => None,
            (_, false) => Some(Bar::of(done, total, &self.rates)?),
        };
        Ok((Part::ProRata { done, total, bar }, 0))
    }
}

/// Who gets one of the hashes left over: whoever's remainder is greater, and the first ones, by id, of those whose is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bar {
    remainder: u128,
    first: u64,
}

impl Bar {
    /// A remainder is below the sum of entitlements, so below this.
    const NOBODY: Bar = Bar { remainder: u128::MAX, first: 0 };

    fn of(done: u128, total: u128, rates: &BTreeMap<u128, u64>) -> Result<Bar> {
        let overflow = || MarketError::Overflow("a pro rata part");
        let (mut left, mut remainders) = (done, BTreeMap::<u128, u64>::new());
        for (entitled, count) in rates {
            let (part, remainder) = pro_rata(done, *entitled, total)?;
            let parts = part.checked_mul(u128::from(*count)).ok_or_else(overflow)?;
            left = left.checked_sub(parts).ok_or_else(overflow)?;
            *remainders.entry(remainder).or_default() += count;
        }
        let mut wanted = u64::try_from(left).map_err(|_| overflow())?;
        for (remainder, count) in remainders.into_iter().rev() {
            if wanted <= count {
                return Ok(Bar { remainder, first: wanted });
            }
            wanted -= count;
        }
        Ok(Bar::NOBODY)
    }
}

#[derive(Clone, Debug)]
enum Part {
    /// What may still be made good of shortfalls, by the epoch since when they are open.
    InFull { good: BTreeMap<EpochNumber, u128> },
    /// Without a bar while it is looked for.
    ProRata { done: u128, total: u128, bar: Option<Bar> },
}

impl Part {
    fn share(&mut self, claim: &Entitlement) -> Result<Share> {
        let share = |made_good, allocated: Option<u128>| {
            let allocated = allocated.ok_or(MarketError::Overflow("a contract's allocation"))?;
            let (contract, entitled) = (claim.contract, claim.entitled);
            Ok(Share { contract, entitled, made_good, allocated: Hashes(allocated) })
        };
        let entitled = claim.entitled.0;
        match self {
            Part::InFull { good } => {
                let open = claim.catch_up.0;
                let made = match good.get_mut(&since(claim)) {
                    Some(left) if open > 0 => {
                        let made = open.min(*left);
                        *left -= made;
                        made
                    }
                    _ => 0,
                };
                share(Hashes(made), entitled.checked_add(made))
            }
            Part::ProRata { done, total, bar } => {
                let (part, remainder) = pro_rata(*done, entitled, *total)?;
                let unknown = || MarketError::Broken("hashes left over are nobody's yet".into());
                let bar = bar.as_mut().ok_or_else(unknown)?;
                let is_first = remainder == bar.remainder && bar.first > 0;
                bar.first -= u64::from(is_first);
                let more = u128::from(is_first || remainder > bar.remainder);
                share(Hashes::ZERO, part.checked_add(more))
            }
        }
    }
}

/// By what everyone's part is found, one after the other in the order of contracts' ids.
#[derive(Clone, Debug)]
pub(crate) struct Sharing {
    others: Part,
    own: Part,
    surplus: Hashes,
}

impl Sharing {
    /// What contracts leave.
    pub(crate) const fn surplus(&self) -> Hashes {
        self.surplus
    }

    /// Whether the work does not suffice for what contracts are entitled to.
    pub(crate) fn is_short(&self) -> bool {
        [&self.others, &self.own].into_iter().any(|p| matches!(p, Part::ProRata { .. }))
    }

    /// What must be looked for before parts can be given; all claims are to be shown to it, and it is to be learnt from, until
    /// nothing is to be looked for.
    pub(crate) fn search(&self) -> Option<Search> {
        // Where the others are short nothing is left for the operator's own, so there is one at most.
        let of = |part: &Part, of_operators| match part {
            Part::ProRata { done, total, bar: None } => {
                Some(Search::begin(*done, *total, of_operators))
            }
            _ => None,
        };
        of(&self.others, false).or_else(|| of(&self.own, true))
    }

    /// Takes what was found.
    pub(crate) fn learn(&mut self, found: Found) {
        let part = if found.of_operators { &mut self.own } else { &mut self.others };
        if let Part::ProRata { bar, .. } = part {
            *bar = Some(found.bar);
        }
    }

    /// What a contract gets; contracts must come in the order of their ids.
    ///
    /// # Errors
    /// [`MarketError::Broken`] while something is to be looked for.
    pub(crate) fn share(&mut self, claim: &Entitlement) -> Result<Share> {
        if claim.is_operators { self.own.share(claim) } else { self.others.share(claim) }
    }
}

/// Looks for the bar among remainders of which no more than a count by their size is held: each pass through the claims
/// divides where it lies by the number of counters.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    done: u128,
    total: u128,
    of_operators: bool,
    /// Where it lies: from here on as far as this, in steps of `width`.
    from: u128,
    range: u128,
    width: u128,
    counts: Vec<u64>,
    /// What is left of the work; then the hashes that are left over for remainders here.
    left: u128,
    is_first: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    bar: Bar,
    of_operators: bool,
}

/// What comes after a pass.
pub(crate) enum Step {
    /// Another one.
    On(Search),
    /// Nothing: it is found.
    Found(Found),
}

impl Search {
    fn begin(done: u128, total: u128, of_operators: bool) -> Search {
        let begin = (width_of(total), vec![0; COUNTERS]);
        let (from, range, (width, counts), left) = (0, total, begin, done);
        Search { done, total, of_operators, from, range, width, counts, left, is_first: true }
    }

    /// Looks at a claim; in any order, each once in a pass.
    ///
    /// # Errors
    /// [`MarketError::Overflow`] when other claims are shown than were added up.
    pub(crate) fn look(&mut self, claim: &Entitlement) -> Result<()> {
        if claim.is_operators != self.of_operators {
            return Ok(());
        }
        let (part, remainder) = pro_rata(self.done, claim.entitled.0, self.total)?;
        if self.is_first {
            let left = self.left.checked_sub(part);
            self.left = left.ok_or(MarketError::Overflow("the pro rata parts of an epoch"))?;
        }
        let above = remainder.checked_sub(self.from).filter(|above| *above < self.range);
        let place = above.and_then(|above| usize::try_from(above / self.width).ok());
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
        Ok(())
    }

    /// Ends a pass.
    ///
    /// # Errors
    /// [`MarketError::Broken`] when other claims were shown than were added up.
    pub(crate) fn step(self) -> Result<Step> {
        let of_operators = self.of_operators;
        let found = |bar| Ok(Step::Found(Found { bar, of_operators }));
        let mut left = self.left;
        if left == 0 {
            return found(Bar::NOBODY);
        }
        for (place, count) in self.counts.iter().enumerate().rev() {
            if u128::from(*count) < left {
                left -= u128::from(*count);
                continue;
            }
            let from = self.from.saturating_add(self.width.saturating_mul(place as u128));
            if self.width == 1 || u128::from(*count) == left {
                // The first ones of those with this very remainder, or all that lie here.
                let first = u64::try_from(left).unwrap_or(*count);
                return found(Bar { remainder: from, first });
            }
            let (range, width, counts) = (self.width, width_of(self.width), vec![0; COUNTERS]);
            return Ok(Step::On(Search {
                from,
                range,
                width,
                counts,
                left,
                is_first: false,
                ..self
            }));
        }
        Err(MarketError::Broken("more hashes are left over than there are remainders".into()))
    }
}

/// How much of a range a counter stands for.
const fn width_of(range: u128) -> u128 {
    range.div_ceil(COUNTERS as u128)
}
