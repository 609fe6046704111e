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
mod model;
mod numbers;
mod settlement;
mod window;

pub use books::{Account, Balances};
pub use contract::{Line, State, Terms};
pub use model::{Input, Lane, Model, Shares, Standing};
pub use num_bigint::BigInt;
pub use settlement::SettlementLine;

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
}
