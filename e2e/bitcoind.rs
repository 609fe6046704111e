//! The whole line on `bitcoind`, on two nodes of which the first is killed on the way.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/devchain_support/mod.rs"]
mod devchain_support;
mod line;
mod purse;
#[path = "../crates/chain/tests/real_node/mod.rs"]
mod real_node;
mod support;

use line::{First, play};
use real_node::Program;

#[tokio::test(flavor = "multi_thread")]
async fn blocks_payments_and_payouts_are_real_to_bitcoind_though_one_of_two_nodes_dies() {
    play(Program::Bitcoind, First::Dies).await;
}
