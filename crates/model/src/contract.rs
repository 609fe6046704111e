//! A contract and how far it is.

use crate::model::{Freeze, Missed};
use crate::numbers::{ceil, floor, int, less};
use crate::{Id, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

/// How work earns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By the window.
    Pplns,
    /// At its expectation, by these figures.
    Fpps(Vec<FppsTerms>),
    /// The block's finder gets all of it.
    Solo,
}

/// By which figures FPPS pays an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FppsTerms {
    /// Which.
    pub asset: usize,
    /// Blocks whose fees are averaged.
    pub window: u64,
    /// What of a block's fees counts at most.
    pub cap: u64,
    /// Blocks above a height before it has a price.
    pub depth: u64,
}

/// When a contract that does not pay stands still.
#[derive(Clone, Copy, Debug)]
pub struct PauseTerms {
    /// How far costs must be from earnings, in ten-thousandths of them.
    pub hysteresis_bps: u16,
    /// Epochs between the decision and the pause.
    pub notice: u64,
    /// Millionths of a dollar that a terahash-day's electricity costs.
    pub energy_micro: u64,
}

/// What was agreed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How it earns.
    pub scheme: Scheme,
    /// Millionths of a dollar for a terahash-day.
    pub usd_micro: u64,
    /// When it pauses; nothing for one that never does.
    pub pause: Option<PauseTerms>,
    /// Hashes a second.
    pub hashrate: u128,
    /// Epochs.
    pub term: u64,
    /// Epochs after the term.
    pub extension: u64,
    /// How far above the rate shortfalls are made good, in ten-thousandths.
    pub catch_up_bps: u32,
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
    /// Epochs in which its owner may decide about work that was missed by the operator's doing.
    pub choice_epochs: u64,
    /// Whole minor units of the first asset that must wait before anything of a running contract is paid.
    pub minimum_minor: u64,
}

/// The first epoch of a contract whose predecessor has not ended.
pub(crate) const NOT_YET: u64 = u64::MAX / 2;

/// What became of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not paid.
    Waiting,
    /// Not paid in time.
    Expired,
    /// Paid, and not at its end.
    Running,
    /// All delivered.
    Completed,
    /// At its hard end with something missing.
    Refunded,
    /// Its payment was taken back.
    ChargedBack,
}

/// What it got in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which epoch.
    pub epoch: u64,
    /// What it should get.
    pub entitled: BigInt,
    /// What it got.
    pub delivered: BigInt,
    /// Of that, for earlier epochs.
    pub made_good: BigInt,
    /// What is missing after it.
    pub shortfall: BigInt,
    /// Units of the lane's own asset.
    pub units: BigInt,
}

#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) id: Id,
    pub(crate) account: Id,
    pub(crate) terms: Terms,
    pub(crate) epoch_work: BigInt,
    pub(crate) work: BigInt,
    pub(crate) price: BigInt,
    pub(crate) state: State,
    pub(crate) start: u64,
    pub(crate) short_since: Option<u64>,
    /// From when on it stands still, and for how many epochs it has.
    pub(crate) paused_since: Option<u64>,
    pub(crate) stood: u64,
    /// Whether its owner wants it to run although it does not pay.
    pub(crate) keeps: bool,
    /// Disputes about its payments.
    pub(crate) freezes: BTreeMap<u64, Freeze>,
    /// In 2^-64 minor units of the first asset of `terms.maintenance`.
    pub(crate) maintenance_due: BigInt,
    pub(crate) recognised: BigInt,
    pub(crate) refunded: BigInt,
    pub(crate) lines: Vec<Line>,
    /// The contract that it follows without a gap.
    pub(crate) follows: Option<Id>,
    /// Work that was paid for in coins instead, and missed work that waits for a judgement or a choice.
    pub(crate) compensated: BigInt,
    pub(crate) undecided: BigInt,
    pub(crate) missed: Vec<Missed>,
    /// Fees in dollars: the epoch they are up to, 2^-64 millionths, and whether they became coins.
    pub(crate) dues: Vec<(u64, BigInt, bool)>,
}

impl Contract {
    pub(crate) fn new(
        id: Id,
        account: Id,
        terms: Terms,
        epoch_us: u64,
        wrong: Option<Wrong>,
    ) -> Self {
        let epoch_work = floor(&(int(terms.hashrate) * epoch_us), &int(1_000_000));
        let work = &epoch_work * terms.term;
        let cost = &work * terms.price_minor;
        let a_day = int(terms.price_hashrate) * 86_400;
        let price = if wrong == Some(Wrong::PriceRoundedDown) {
            floor(&cost, &a_day)
        } else {
            ceil(&cost, &a_day)
        };
        Contract {
            id,
            account,
            epoch_work,
            work,
            price: price.max(int(1)),
            terms,
            state: State::Waiting,
            start: 0,
            short_since: None,
            paused_since: None,
            stood: 0,
            keeps: false,
            freezes: BTreeMap::new(),
            maintenance_due: int(0),
            recognised: int(0),
            refunded: int(0),
            lines: Vec::new(),
            follows: None,
            compensated: int(0),
            undecided: int(0),
            missed: Vec::new(),
            dues: Vec::new(),
        }
    }

    /// All that was delivered: what its lines say.
    pub(crate) fn delivered(&self) -> BigInt {
        self.lines.iter().map(|l| l.delivered.clone()).sum()
    }

    /// What is not owed any more.
    pub(crate) fn given(&self) -> BigInt {
        self.delivered() + &self.compensated
    }

    /// What is not to be delivered now.
    pub(crate) fn spoken_for(&self) -> BigInt {
        self.given() + &self.undecided
    }

    /// When it would have begun, had it never stood still.
    pub(crate) fn begin(&self) -> u64 {
        self.start + self.stood
    }

    pub(crate) fn is_paused(&self, epoch: u64) -> bool {
        self.paused_since.is_some_and(|since| since <= epoch) && self.start <= epoch
    }

    pub(crate) fn hard_end(&self, wrong: Option<Wrong>) -> u64 {
        let end = self.begin() + self.terms.term + self.terms.extension;
        if wrong == Some(Wrong::HardEndEarly) { end - 1 } else { end }
    }

    /// What is missing at the end of an epoch, given what is not owed any more.
    pub(crate) fn shortfall(&self, epoch: u64, given: &BigInt) -> BigInt {
        let passed = (epoch + 1).saturating_sub(self.begin()).min(self.terms.term);
        less(&(&self.epoch_work * passed), given)
    }

    /// What it should get of an epoch, and what of earlier ones it may get.
    pub(crate) fn claim(&self, epoch: u64, wrong: Option<Wrong>) -> (BigInt, BigInt) {
        let spoken_for = self.spoken_for();
        let entitled = self.epoch_work.clone().min(less(&self.work, &spoken_for));
        let missing = less(&self.shortfall(epoch, &spoken_for), &entitled);
        let round = if wrong == Some(Wrong::CatchUpRoundedUp) { ceil } else { floor };
        let above = round(&(&self.epoch_work * self.terms.catch_up_bps), &int(10_000));
        match wrong {
            Some(Wrong::CatchUpUnbounded) => (entitled, missing),
            Some(Wrong::ShortfallForgotten) => (entitled, int(0)),
            _ => (entitled, missing.min(above)),
        }
    }
}
