//! Stratum V2 as a client sees it: the client's side is made of the reference crates.
#![allow(clippy::unwrap_used, missing_docs)]

mod channels;
mod client;
mod hostile;
mod noise;
mod shares;
