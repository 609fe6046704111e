//! Terms and statements of contracts, and checking one against the other without the house.
//!
//! For: the customer, who holds two files, the signed terms of a sale and a statement, and wants every line of
//! the second recomputed from the first; the market, which writes both.
//!
//! # Promises
//! - terms are exact bytes, hashed and signed; what they leave open is no rule of the sale;
//! - every number of a statement is either recomputed from others by a rule that the terms name, or is a fact of
//!   the lane that is said to be taken as given;
//! - the first line that is wrong is named; nothing here panics on what a file says;
//! - the arithmetic stands here by itself: it shares nothing with the house's own but big integers.
//!
//! # Must not know
//! The database, the market, the network, the clock. Pure functions over two texts.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod check;
pub mod csv;
mod days;
pub mod document;
mod earn;
pub mod hosting;
mod life;
pub mod metered;
mod replay;
mod schemes;
pub mod terms;
mod usage;

pub use check::{Checker, Report, Wrong, check_terms};
pub use days::{by_day, by_hour};
pub use document::Statement;
pub use metered::MeteredTerms;
pub use replay::Replay;
pub use terms::{SignedTerms, Terms, TermsError};
