//! Contracts by the meter: held for before, charged after.

use crate::contract::Scheme;
use crate::numbers::{ceil, floor, int};
use crate::{Id, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// What was agreed.
#[derive(Clone, Debug)]
pub struct MeterTerms {
    /// Hashes a second.
    pub hashrate: u128,
    /// What it is paid in.
    pub price_asset: usize,
    /// The price of a day of `price_hashrate`.
    pub price_minor: u64,
    /// See `price_minor`.
    pub price_hashrate: u128,
    /// The operator's part, in ten-thousandths.
    pub fee_bps: u16,
    /// Where maintenance is taken from, in order, and the whole fee for a terahash-day in each.
    pub maintenance: Vec<(usize, u64)>,
    /// How it earns.
    pub scheme: Scheme,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterState {
    /// It works.
    Active,
    /// Nothing is left to work for.
    Stopped,
    /// Its owner ended it; the running epoch is its last.
    Ending,
    /// Over.
    Ended,
}

#[derive(Clone, Debug)]
pub(crate) struct Meter {
    pub(crate) account: Id,
    pub(crate) terms: MeterTerms,
    pub(crate) epoch_work: BigInt,
    pub(crate) state: MeterState,
    pub(crate) start: u64,
    /// By epoch: the most work, and what is held.
    pub(crate) holds: BTreeMap<u64, (BigInt, BigInt)>,
    /// 2^-64 minor units.
    pub(crate) carry: BigInt,
    pub(crate) charged: BigInt,
    pub(crate) delivered: BigInt,
    pub(crate) maintenance_due: BigInt,
}

impl Meter {
    pub(crate) fn new(account: Id, terms: MeterTerms, epoch_us: u64, start: u64) -> Meter {
        let epoch_work = floor(&(int(terms.hashrate) * epoch_us), &int(1_000_000));
        Meter {
            account,
            terms,
            epoch_work,
            state: MeterState::Active,
            start,
            holds: BTreeMap::new(),
            carry: int(0),
            charged: int(0),
            delivered: int(0),
            maintenance_due: int(0),
        }
    }

    /// What a day of the priced rate is, in hashes.
    fn a_day(&self) -> BigInt {
        int(self.terms.price_hashrate) * 86_400
    }

    /// What is held for an epoch at most.
    pub(crate) fn worst(&self, wrong: Option<Wrong>) -> BigInt {
        let round = if wrong == Some(Wrong::HoldRoundedDown) { floor } else { ceil };
        round(&(&self.epoch_work * self.terms.price_minor), &self.a_day())
    }

    /// What may be held of what is there, and the work that it pays.
    pub(crate) fn hold(&self, there: &BigInt, wrong: Option<Wrong>) -> Option<(BigInt, BigInt)> {
        let worst = self.worst(wrong);
        let held = worst.clone().min(there.clone());
        let cap = if held == worst || wrong == Some(Wrong::SmallHoldPaysAll) {
            self.epoch_work.clone()
        } else {
            floor(&(&held * self.a_day()), &int(self.terms.price_minor))
        };
        (held > int(0) && cap > int(0)).then_some((cap, held))
    }

    /// What work costs, in whole minor units, with the fraction carried from before.
    pub(crate) fn cost(&mut self, work: &BigInt, wrong: Option<Wrong>) -> BigInt {
        let exact = floor(&((work * self.terms.price_minor) << 64), &self.a_day()) + &self.carry;
        let one = int(1) << 64;
        let whole = match wrong {
            Some(Wrong::MeterRoundedUp) => ceil(&exact, &one),
            _ => floor(&exact, &one),
        };
        self.carry = match wrong {
            Some(Wrong::MeterRoundedUp | Wrong::MeterFractionDropped) => int(0),
            _ => exact % one,
        };
        whole
    }
}
