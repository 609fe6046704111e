//! The whole line on `bitcoind`, on two nodes of which the first is killed on the way; and what becomes
//! of blocks when the house dies between finding and sending them.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/devchain_support/mod.rs"]
mod devchain_support;
mod gate;
mod line;
mod purse;
#[path = "../crates/chain/tests/real_node/mod.rs"]
mod real_node;
mod support;

use gate::Gate;
use gruve_chain::{Node, hash_to_text, parse_block};
use gruve_units::Asset;
use line::{First, MACHINE_PASSWORD, play};
use real_node::{Program, RealNode};
use serde_json::json;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn blocks_payments_and_payouts_are_real_to_bitcoind_though_one_of_two_nodes_dies() {
    play(Program::Bitcoind, First::Dies).await;
}

/// What is found is journalled before it is sent, so a killed house sends it when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_no_node_has_heard_of_when_the_house_is_killed_are_sent_when_it_is_back() {
    let real = RealNode::start(Program::Bitcoind, None).await;
    let node = real.rpc();
    real.generate(3, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080").await;
    let before = node.tip().await.unwrap();
    let gate = Gate::closed_before(&real.url()).await;

    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(2);
    let config = line::config(Asset::Btc, &[&real], http, http + 1);
    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, config.replace(&real.url(), &gate.url)).unwrap();
    let file = file.to_str().unwrap();
    let (log, miner_log) = (dir.path().join("house.log"), dir.path().join("miner.log"));
    let house = Running::start(&["serve", "--config", file], &log);
    let url = format!("stratum+tcp://127.0.0.1:{}", http + 1);
    let miner = Running::start(
        &[
            "miner",
            "--url",
            &url,
            "--user",
            "house.rig",
            "--password",
            MACHINE_PASSWORD,
            "--threads",
            "1",
            "--limit",
            "8 H/s",
        ],
        &miner_log,
    );
    let said = || format!("{}\n{}", tail(&log), tail(&miner_log));
    let found = tokio::time::timeout(MINUTE, gate.held(3)).await;
    assert!(found.is_ok(), "no blocks\n{}", said());
    house.kill();
    miner.kill();
    // Some may have been found after the third.
    let found = gate.held(3).await;
    assert_eq!(node.tip().await.unwrap(), before, "the node has heard of none");

    gate.open();
    let house = Running::start(&["serve", "--config", file], &log);
    for block in &found {
        let hash = hash_to_text(&parse_block(block, node.params()).unwrap().hash);
        let known = async || node.call("getblockheader", json!([hash])).await.ok();
        let header = until("the node has the block", MINUTE, known).await;
        let header = header.unwrap_or_else(|e| panic!("{e}\n{}", said()));
        assert_eq!(header["height"], before.height + 1);
    }
    assert_eq!(node.tip().await.unwrap().height, before.height + 1);
    let answered = || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.matches("the node took the block").count()
    };
    until("every block is answered", MINUTE, async || (answered() >= found.len()).then_some(()))
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", said()));
    assert!(house.stop().await.success(), "{}", tail(&log));

    // Answered, they are not sent a third time.
    let house = Running::start(&["serve", "--config", file], &log);
    until("the house is back", MINUTE, async || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        (text.matches("dashboards on").count() >= 3).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", said()));
    assert!(house.stop().await.success(), "{}", tail(&log));
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("sending a block again").count(), found.len(), "{text}");
    let audit = run(&["admin", "audit", "--config", file]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
