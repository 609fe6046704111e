//! Six blocks of ours leave a real chain: their rewards are taken back by new entries, what the books
//! had stays written, and mining goes on.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/devchain_support/mod.rs"]
mod devchain_support;
mod line;
mod purse;
#[path = "../crates/chain/tests/real_node/mod.rs"]
mod real_node;
mod support;

use gruve::demo::Api;
use gruve_chain::{Node, hash_to_text};
use gruve_units::Asset;
use line::MACHINE_PASSWORD;
use real_node::{Program, RealPair};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);
const DEPTH: u64 = 6;

fn miner(stratum: u16, log: &Path) -> Running {
    let url = format!("stratum+tcp://127.0.0.1:{stratum}");
    let who = ["miner", "--url", &url, "--user", "house.rig", "--password", MACHINE_PASSWORD];
    Running::start(&[&who[..], &["--threads", "1", "--limit", "8 H/s"]].concat(), log)
}

/// The highest first: the times in headers, by which the API lists them, are the miner's and need not grow.
async fn blocks(api: &Api) -> Vec<Value> {
    let list = api.get("/api/v1/blocks?limit=500").await.unwrap();
    let mut list = list["items"].as_array().unwrap().clone();
    list.sort_by_key(|b| std::cmp::Reverse(b["height"].as_u64()));
    list
}

/// Heights of those that were in the chain: a sibling that lost never was, and has no reward.
fn in_state(blocks: &[Value], state: &str) -> Vec<u64> {
    let of = blocks.iter().filter(|b| b["state"] == state && !b["reward"].is_null());
    of.map(|b| b["height"].as_u64().unwrap()).collect()
}

fn rewards(books: &Value) -> i64 {
    books["assets"][0]["block_rewards"]["minor"].as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn six_blocks_of_ours_leave_the_chain_and_their_rewards_the_books_by_new_entries() {
    let pair = RealPair::start(Program::Bitcoind).await;
    let (node, peer) = (pair.node.rpc(), pair.peer.rpc());
    let elsewhere = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    pair.node.generate(3, elsewhere).await;
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(2);
    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, line::config(Asset::Btc, &[&pair.node], http, http + 1)).unwrap();
    let file = file.to_str().unwrap();
    let (log, miner_log) = (dir.path().join("house.log"), dir.path().join("miner.log"));
    let house = Running::start(&["serve", "--config", file], &log);
    let api = Api::new(format!("http://127.0.0.1:{http}"));
    let said = |e: String| format!("{e}\n{}\n{}", tail(&log), tail(&miner_log));
    until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| panic!("{}", said(e)));
    let mining = miner(http + 1, &miner_log);
    until("blocks are found", MINUTE, async || {
        (in_state(&blocks(&api).await, "maturing").len() > 8).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    assert!(mining.stop().await.success());
    let followed = async || {
        let lanes = api.get("/api/v1/lanes").await.ok()?;
        let height = node.tip().await.ok()?.height;
        (lanes["items"][0]["chain"]["height"] == height).then_some(height)
    };
    let tip = until("the books have the whole chain", MINUTE, followed)
        .await
        .unwrap_or_else(|e| panic!("{}", said(e)));
    let before = blocks(&api).await;
    let lost: Vec<u64> = (tip - DEPTH + 1..=tip).rev().collect();
    assert_eq!(in_state(&before, "maturing")[..6], lost, "the newest six are ours");
    let books = api.get("/api/v1/reconciliation").await.unwrap();
    let (had, gone) = (
        rewards(&books),
        before[..6].iter().map(|b| b["reward"]["minor"].as_i64().unwrap()).sum::<i64>(),
    );

    // The other node takes a chain without them for the good one, and makes it the longer.
    until("both nodes are at one", MINUTE, async || {
        (peer.tip().await.ok()? == node.tip().await.ok()?).then_some(())
    })
    .await
    .unwrap();
    let first = hash_to_text(&peer.block_hash(tip - DEPTH + 1).await.unwrap().unwrap());
    pair.peer.call("invalidateblock", json!([first])).await;
    pair.peer.generate(u32::try_from(DEPTH).unwrap() + 1, elsewhere).await;
    let taken_back = async || {
        let now = blocks(&api).await;
        (in_state(&now, "orphaned") == lost).then_some(now)
    };
    let after = until("six rewards are taken back", MINUTE, taken_back)
        .await
        .unwrap_or_else(|e| panic!("{}", said(e)));
    assert_eq!(in_state(&after, "maturing"), in_state(&before, "maturing")[6..]);
    until("the longer chain is followed", MINUTE, followed).await.unwrap();
    assert_eq!(node.tip().await.unwrap().height, tip + 1);
    let books = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(books["adds_up"], true, "{books:#}");
    assert_eq!(rewards(&books), had - gone);

    // On the new chain mining goes on.
    let mining = miner(http + 1, &miner_log);
    until("a block is found on the longer chain", MINUTE, async || {
        in_state(&blocks(&api).await, "maturing")
            .first()
            .is_some_and(|&h| h > tip + 1)
            .then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    assert!(mining.stop().await.success());
    assert!(house.stop().await.success(), "{}", tail(&log));
    // The journal's chain of hashes holds: nothing written before was changed.
    let audit = run(&["admin", "audit", "--config", file]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
