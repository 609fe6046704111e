//! Leaving: everything the house has of a customer as one file, and closing an account.

pub(crate) mod close;
pub(crate) mod export;
