//! The whole line on `litecoind`, with its extension block and without.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/devchain_support/mod.rs"]
mod devchain_support;
mod line;
mod purse;
#[path = "../crates/chain/tests/real_node/mod.rs"]
mod real_node;
mod support;

use line::{First, play};
use real_node::{Mweb, Program};

#[tokio::test(flavor = "multi_thread")]
async fn blocks_payments_and_payouts_are_real_to_litecoind_with_its_extension_block() {
    play(Program::Litecoind(Mweb::Activates), First::Lives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_payments_and_payouts_are_real_to_litecoind_without_its_extension_block() {
    play(Program::Litecoind(Mweb::Never), First::Lives).await;
}
