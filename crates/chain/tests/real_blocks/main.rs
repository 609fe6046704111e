//! Blocks of ours at real nodes: with everything in them that blocks of the real chains have, none is
//! refused; with anything wrong in them, each is refused for the reason expected, beside a good one.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod btc;
#[path = "../devchain_support/mod.rs"]
mod devchain_support;
mod limits;
mod locks;
mod ltc;
mod mine;
#[path = "../real_node/mod.rs"]
mod real_node;
mod traffic;
mod wrong;
