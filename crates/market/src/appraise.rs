//! What an offer of hashpower would have earned, day by day over a coin's real history, and what it may
//! earn from here.
//!
//! For: buyers who hold any cloud-mining offer, ours or another service's, against what difficulty and
//! price really did; the command line and the public page that show it.
//!
//! # Promises
//! - [`backtest`] is arithmetic on integers, the same for every reader of the same history: earnings in
//!   fixed point of a minor unit, money in micro-dollars, every quotient rounded down, fees rounded up
//!   (both against the buyer, by less than a millionth of a dollar a day);
//! - earnings are *expected* earnings: hashes times what a hash earned on average that day. Luck is left
//!   out, since a fee on every share or a large pool takes it out; a lone miner's own luck is wider;
//! - what the history does not know (a day without fees) counts as nothing and is counted.
//!
//! # Must not know
//! The database, the market's plans and customers. Nothing here sells anything.

pub mod date;
pub mod forecast;
pub mod history;
pub mod money;
pub mod offer;
mod own;
pub mod plot;
pub mod run;
pub mod summary;

pub use date::Date;
pub use forecast::{Forecast, Model, forecast};
pub use history::{Day, History};
pub use money::Money;
pub use offer::{Fee, Given, Offer, Per, Price, Unprofitable};
pub use run::{Along, Ended, Outcome, backtest};
pub use summary::{Summary, summarise};

/// What is wrong with an offer, a history or the dates asked for. All are the caller's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppraiseError {
    /// The offer cannot be read or makes no sense.
    #[error("the offer: {0}")]
    Offer(String),
    /// A line of the history.
    #[error("the history, line {line}: {why}")]
    History {
        /// Counted from one.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The history says nothing of the days asked for.
    #[error("the history runs from {first} to {last}; {asked}")]
    OutOfHistory {
        /// The first day it knows.
        first: Date,
        /// The last one.
        last: Date,
        /// What was asked.
        asked: String,
    },
    /// A number does not fit.
    #[error("{0} is too large to be worked with")]
    TooLarge(&'static str),
}

/// Micro-dollars in a dollar.
pub const USD: i128 = 1_000_000;
