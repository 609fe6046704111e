//! Wallets on account chains, against the development chain behind its RPC, on both engines. The
//! last word on who has what is the chain's own.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod ether;
mod faults;
mod payins;
mod payouts;
#[path = "../fake/people.rs"]
mod people;
mod points;
mod prices;
mod restored;
mod rig;
