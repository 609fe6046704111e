//! What FPPS pays, from the public chain's blocks.

use crate::contract::FppsTerms;
use crate::numbers::{ceil, floor, int, power_of_two};
use crate::window::hashes_of_a_block;
use crate::{Id, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// A chain's blocks: what each made, what its transactions paid, and what it took.
pub(crate) type Chain = BTreeMap<u64, (u64, u64, u128)>;

/// An epoch of an asset that has no price yet.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) asset: usize,
    /// All work of the house.
    pub(crate) done: BigInt,
    /// Of it, by height and target of its jobs.
    pub(crate) jobs: Vec<(u64, u32, BigInt)>,
    /// What contracts got of it.
    pub(crate) got: Vec<(Id, BigInt)>,
}

/// What a block at a height is worth; nothing while it cannot be known.
fn worth(chain: &Chain, height: u64, terms: &FppsTerms, wrong: Option<Wrong>) -> Option<BigInt> {
    let depth = if wrong == Some(Wrong::PricedTooSoon) { 0 } else { terms.depth };
    let (tip, _) = chain.last_key_value()?;
    if *tip < height + depth {
        return None;
    }
    let (subsidy, ..) = chain.get(&height)?;
    let from = height.saturating_sub(terms.window).max(1);
    let mut fees = int(0);
    for h in from..height {
        let (_, paid, _) = chain.get(&h)?;
        fees += if wrong == Some(Wrong::FeesNotCapped) { *paid } else { (*paid).min(terms.cap) };
    }
    let count = int((height - from).max(1));
    let round = if wrong == Some(Wrong::FeeAverageRoundedUp) { ceil } else { floor };
    Some(int(*subsidy) + round(&fees, &count))
}

/// What some of an open epoch's work earns by these terms, in 2^-64 minor units.
pub(crate) fn earned(
    open: &Open,
    allocated: &BigInt,
    chain: &Chain,
    (terms, fee_bps): (&FppsTerms, u16),
    wrong: Option<Wrong>,
) -> Option<BigInt> {
    let mut by_target: BTreeMap<u32, BigInt> = BTreeMap::new();
    for (height, bits, work) in &open.jobs {
        let worth = worth(chain, *height, terms, wrong)?;
        *by_target.entry(*bits).or_default() += work * worth;
    }
    let round = if wrong == Some(Wrong::FppsRoundedUp) { ceil } else { floor };
    let kept = int(10_000 - u32::from(fee_bps));
    let part = |(bits, value): (&u32, &BigInt)| {
        let above = power_of_two(64) * allocated * value * &kept;
        round(&above, &(&open.done * hashes_of_a_block(*bits) * 10_000))
    };
    Some(by_target.iter().map(part).sum())
}
