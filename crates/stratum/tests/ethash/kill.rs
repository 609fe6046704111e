//! `kill -9` while shares are being accepted: what was accepted is in the log, and counts once.

use crate::gateway::{HttpNode, Wire, serve};
use crate::node::{all_records, soon};
use crate::rig::{HARD, mine_some};
use gruve_sharelog::{Options, Record, ShareLog};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const CHILD_DIR: &str = "GRUVE_TEST_ETHASH_KILL_DIR";
const HEADER: u8 = 0x71;

/// The process that is killed: this test's own binary, asked to run only this. Without the variable
/// it is no test.
#[test]
fn child_gateway() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = HttpNode::start(HEADER, HARD).await;
        let (_log, _lane, gateway) = serve(&node, dir.as_ref());
        println!("listening on {}", gateway.address());
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn no_accepted_share_is_lost_or_counted_again_when_the_gateway_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_gateway", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open: a child that cannot print would end by itself.
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = said
        .find_map(|l| l.unwrap().split_once("listening on ").map(|(_, a)| a.to_owned()))
        .unwrap();
    let mut miner = Wire::connect(address.parse().unwrap()).await;
    miner.proxy(HEADER).await;
    let shares = mine_some(HEADER, 0, 2, 60);
    for (id, share) in shares.iter().enumerate() {
        miner.submit_work(1000 + id as u64, HEADER, *share).await;
    }
    let mut accepted = Vec::new();
    while let Some(reply) = miner.hear(|v| v["id"].as_u64() >= Some(1000)).await {
        if reply["result"] == true {
            accepted.push(usize::try_from(reply["id"].as_u64().unwrap() - 1000).unwrap());
        }
        // The axe falls in the middle.
        if accepted.len() == 20 {
            child.kill().unwrap();
        }
    }
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    drop(said);
    assert!(accepted.len() >= 20);
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let written: Vec<u64> = all_records(&log)
        .into_iter()
        .filter_map(|r| match r {
            Record::Share(s) => {
                Some(u64::from_be_bytes(s.extranonce.as_slice().try_into().unwrap()))
            }
            _ => None,
        })
        .collect();
    for id in &accepted {
        let nonce = shares[*id].0;
        assert_eq!(written.iter().filter(|n| **n == nonce).count(), 1, "{nonce:x}");
    }
    drop(log);
    // The next life finds the same header, and knows what was counted of it.
    let node = HttpNode::start(HEADER, HARD).await;
    let (_log, lane, gateway) = serve(&node, dir.path());
    let mut miner = Wire::connect(gateway.address()).await;
    miner.proxy(HEADER).await;
    for (id, share) in shares.iter().enumerate() {
        let reply_id = 2000 + id as u64;
        miner.submit_work(reply_id, HEADER, *share).await;
        let reply = miner.hear(|v| v["id"] == reply_id).await.unwrap();
        let want = if written.contains(&share.0) { 22 } else { 0 };
        assert_eq!(reply["error"]["code"].as_i64().unwrap_or(0), want, "{reply}");
    }
    soon(gateway.shutdown()).await;
    lane.stop().await;
}
