//! The books once more, naively.
//!
//! For: comparing. What the market does in fixed widths, page by page and with what it kept from before, this
//! does with integers of any size, from the beginning, in the plainest way that the rules allow. The test of
//! this crate lives both through the same generated history and compares every balance, standing,
//! settlement and line.
//!
//! Promises: no arithmetic in common with the house: nothing of `gruve-units` or of the market, no fixed
//! width, no multiply-and-divide. Speed is no aim.
//!
//! Must not know: databases, rows, logs, the house's types. Ids are bytes, assets are numbers in the order in
//! which the lane names them.
//!
//! A [`Wrong`] rule, given on purpose, makes one rounding or one rule another. Each must be found out by the
//! comparison, else that would prove little.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod allocation;
mod books;
mod contract;
mod fpps;
pub mod hosting;
mod meter;
mod model;
mod numbers;
mod prices;
mod settlement;
mod window;

pub use books::{Account, Balances};
pub use contract::{FppsTerms, Line, PauseTerms, Scheme, State, Terms};
pub use meter::{MeterState, MeterTerms};
pub use model::{Act, Input, Lane, Model, Shares, Standing, Word, part_of_surplus};
pub use num_bigint::BigInt;
pub use prices::{PriceRules, Report};
pub use settlement::{SettlementLine, part_of_due};

/// An id's bytes.
pub type Id = [u8; 16];

/// Who earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The operator, for work that no contract got.
    Operator,
    /// A contract.
    Contract(Id),
    /// An account, for its own machines.
    Account(Id),
    /// What an underfilled window leaves over.
    WindowReserve,
    /// What rounding leaves over.
    Remainder,
    /// The operator's reserve, for work that it pays.
    FppsReserve,
    /// A contract, for what that reserve pays it.
    Fpps(Id),
}

macro_rules! wrong {
    ($($(#[$doc:meta])* $rule:ident,)*) => {
        /// A rule changed on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Wrong {
            $($(#[$doc])* $rule,)*
        }

        impl Wrong {
            /// All of them.
            pub const ALL: &[Wrong] = &[$(Wrong::$rule,)*];
        }
    };
}

wrong! {
    /// The price is rounded down.
    PriceRoundedDown,
    /// Hashes left over go to the smallest remainders.
    SmallestRemainderFirst,
    /// Of equal remainders the highest id comes first.
    TiesByHighestId,
    /// Hashes left over stay with the operator.
    NoLargestRemainder,
    /// The youngest shortfall is made good first.
    YoungestShortfallFirst,
    /// Shortfalls are made good without a bound.
    CatchUpUnbounded,
    /// What may be made good of an epoch is rounded up.
    CatchUpRoundedUp,
    /// The operator's own contracts stand among all others.
    OperatorNotLast,
    /// A contract begins an epoch late.
    StartsLate,
    /// The hard end comes an epoch early.
    HardEndEarly,
    /// Units are rounded up.
    UnitsRoundedUp,
    /// A contract's part of the house's units is rounded to the nearest.
    UnitPartsToNearest,
    /// The window holds seven blocks' work.
    WindowOfSeven,
    /// The window holds the block's own epoch too.
    WindowWithOwnEpoch,
    /// The epoch at the window's edge counts whole.
    EdgeWhole,
    /// An underfilled window is divided by what is there.
    UnderfilledDividedByItself,
    /// A part of a reward is rounded to the nearest.
    AccrualsToNearest,
    /// A part of a reward is rounded up.
    AccrualsRoundedUp,
    /// A fee is rounded up at each settlement.
    FeeRoundedUp,
    /// A fee's fraction is dropped at each settlement.
    FeeFractionDropped,
    /// Maintenance of an epoch is rounded down to a whole minor unit.
    MaintenanceInWholeUnits,
    /// Maintenance that is not covered stays due.
    MaintenanceNotWaived,
    /// Maintenance comes before the fee.
    MaintenanceBeforeFee,
    /// What one asset does not cover is not taken from the next.
    MaintenanceFromFirstOnly,
    /// What one asset does not cover is taken from the next rounded up.
    NextMaintenanceRoundedUp,
    /// The earned part of a price is rounded up.
    EarnedPriceRoundedUp,
    /// A reward matures a block early.
    MaturesEarly,
    /// An orphaned block of which something was settled takes the fraction only.
    TakeBackRoundedDown,
    /// What the customer does not have any more is taken back all the same.
    TakeBackBelowZero,
    /// The operator's fee is not given back with an orphan.
    FeeKeptAtOrphan,
    /// What was delivered short does not extend a contract.
    ShortfallForgotten,
    /// FPPS rounds up.
    FppsRoundedUp,
    /// The average of fees is rounded up.
    FeeAverageRoundedUp,
    /// A block's fees count without the cap.
    FeesNotCapped,
    /// Half of FPPS's fee is taken again at the settlement.
    FppsFeeTwice,
    /// The minimum payout is forgotten.
    MinimumForgotten,
    /// A height is priced as soon as its own block is there.
    PricedTooSoon,
    /// What FPPS pays stands in the window for nobody.
    FppsNotInWindow,
    /// A used-up reserve rounds everybody's part up.
    ShortReserveRoundedUp,
    /// What a used-up reserve lacks is not paid by the operator.
    OperatorDoesNotHelp,
    /// A block found under SOLO is shared out all the same.
    SoloShared,
    /// Work under SOLO stands in the window.
    SoloInWindow,
    /// A block's place counts the work in front of it whole.
    SoloPlaceShifted,
    /// An epoch by the meter costs a whole minor unit more than begun ones.
    MeterRoundedUp,
    /// The fraction of an epoch's cost is dropped.
    MeterFractionDropped,
    /// The worst case is held rounded down.
    HoldRoundedDown,
    /// Less than the worst case pays for as much work.
    SmallHoldPaysAll,
    /// What was held is kept.
    HoldKept,
    /// Dollars become whole minor units of coins.
    DollarsInWholeUnits,
    /// Dollars become coins at the newest price.
    NewestPrice,
    /// Of an even number the upper middle price counts.
    UpperMedian,
    /// One source's word is a price.
    QuorumOfOne,
    /// Old words count.
    StaleWords,
    /// Words far from the middle one count.
    FarWordsCount,
    /// Words far from the middle one do not count, but make a quorum.
    FarWordsMakeQuorum,
    /// Who waits for a price is settled without the fee.
    SettledWithoutPrice,
    /// The clock of a paused contract goes on.
    ClockRunsWhilePaused,
    /// A paused contract gets work all the same.
    PausedGetsWork,
    /// A pause begins without its notice.
    PausedAtOnce,
    /// A contract pauses and goes on at once when costs pass earnings.
    NoHysteresis,
    /// A pause is decided with the price of the settlement itself.
    PauseByTodaysPrice,
    /// Whoever wants to run although it does not pay is paused all the same.
    KeepForgotten,
    /// A contract is paused although its renewal is paid for.
    PausedThoughRenewed,
    /// Whoever wants to run while disputed is heard when that is settled.
    KeepHeardAfterThaw,
    /// The clock of a disputed contract goes on.
    ClockRunsWhileFrozen,
    /// A disputed contract gets work all the same.
    FrozenGetsWork,
    /// A dispute counts from the running epoch on.
    FrozenAtOnce,
    /// What was paid for undelivered work is refunded, whatever was lost of the payment.
    LossForgotten,
    /// Whatever was lost of the payment, nothing is refunded.
    LossKeepsAll,
    /// What the work of a paused contract earns is the operator's.
    PausedWorkKept,
    /// A paused contract is paid for its part of the surplus rounded up.
    PausedPartRoundedUp,
    /// The electricity of a paused contract's work is not taken off.
    EnergyForgotten,
    /// An epoch at a window's edge earned whole.
    OwedEdgeWhole,
    /// What contracts miss is never the operator's doing.
    OperatorNeverAtFault,
    /// All that was missed while he idled machines is.
    AllMissedIsCaused,
    /// A contract's part of what he caused is rounded up.
    CausedPartRoundedUp,
    /// Whoever does not choose is waited for.
    ChoiceNeverLapses,
    /// A contract whose owner may still choose ends all the same.
    EndedWhileUndecided,
    /// What was paid for in coins is delivered, too.
    PaidAndDelivered,
    /// Missed work is paid for without the fee.
    MissedPaidWithoutFee,
    /// Whoever follows begins an epoch late.
    FollowsWithGap,
}
