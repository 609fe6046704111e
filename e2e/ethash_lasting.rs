//! What a lane of the Ethash family has, it keeps: over a reorganisation, a kill between journal and
//! node, and restarts under working machines.
#![allow(clippy::unwrap_used, missing_docs)]

mod ethash_house;
mod support;

use bytes::Bytes;
use ethash_house::{MINUTES, Place};
use gruve::demo::Api;
use gruve_chain::devchain::eth::EthDevChain;
use gruve_chain::eth::EthAddress;
use gruve_units::Algorithm;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{run, tail, until};

/// Blocks that leave the chain.
const DEPTH: u64 = 4;

async fn answers(place: &Place) -> Api {
    let api = Api::new(format!("http://127.0.0.1:{}", place.base));
    until("the house answers", MINUTES, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| place.fail(&e));
    api
}

async fn blocks(api: &Api) -> Vec<Value> {
    let list = api.get("/api/v1/blocks?limit=500").await.unwrap();
    list["items"].as_array().unwrap().clone()
}

fn in_state(blocks: &[Value], state: &str) -> Vec<u64> {
    let of = blocks.iter().filter(|b| b["state"] == state);
    of.map(|b| b["height"].as_u64().unwrap()).collect()
}

/// Until the books have the chain's tip.
async fn followed(place: &Place, api: &Api, chain: &EthDevChain) -> u64 {
    until("the books have the whole chain", MINUTES, async || {
        let (height, lanes) = (chain.height(), api.get("/api/v1/lanes").await.ok()?);
        (lanes["items"][0]["chain"]["height"] == height && chain.height() == height)
            .then_some(height)
    })
    .await
    .unwrap_or_else(|e| place.fail(&e))
}

/// The chain's tip when nothing is on its way any more: a block found last is sent while its miner stops, so two
/// epochs go by without one.
async fn settled(place: &Place, api: &Api, chain: &EthDevChain) -> u64 {
    let closed =
        async || api.get("/api/v1/lanes").await.ok()?["items"][0]["last_closed_epoch"].as_u64();
    let stopped = until("an epoch closes", MINUTES, &closed).await;
    let stopped = stopped.unwrap_or_else(|e| place.fail(&e));
    until("two more close", MINUTES, async || closed().await.filter(|now| *now >= stopped + 2))
        .await
        .unwrap_or_else(|e| place.fail(&e));
    followed(place, api, chain).await
}

/// What all blocks have paid by the books, minor units.
async fn rewards(api: &Api) -> i64 {
    let all = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(all["adds_up"], true, "{all:#}");
    all["assets"][0]["block_rewards"]["minor"].as_i64().unwrap()
}

/// What some of the blocks told of have paid.
fn paid(blocks: &[Value], which: impl Fn(&Value) -> bool) -> i64 {
    blocks.iter().filter(|b| which(b)).filter_map(|b| b["reward"]["minor"].as_i64()).sum()
}

/// The journal's chain of hashes holds (nothing written before was changed), and wallet, books and node are
/// at one.
fn audited(place: &Place, more: &[&str]) -> Value {
    let config = place.path("gruve.toml");
    let args = ["admin", "audit", "--json", "--config", config.to_str().unwrap()];
    let out = run(&[&args[..], more].concat());
    let report: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| place.fail(&String::from_utf8_lossy(&out.stderr)));
    assert!(out.status.success(), "{report:#}");
    assert_eq!(report["not_compared"], json!([]), "the node was asked: {report:#}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_ours_leave_the_chain_and_their_rewards_the_books_by_new_entries() {
    let place = Place::maturing(Algorithm::Etchash, 40);
    let chain = place.dev_chain();
    let _server = chain.serve(place.node_listener(), None).unwrap();
    let house = place.house();
    let api = answers(&place).await;
    place.mine(&place.node(), DEPTH + 2).await;
    let tip = settled(&place, &api, &chain).await;
    let before = blocks(&api).await;
    // An uncle's reward is a line of its own, at the height of the block that names it.
    let is_orphaned = |b: &Value| b["state"] == "orphaned";
    let is_above = |b: &Value| b["height"].as_u64().unwrap() > tip - DEPTH;
    let gone = paid(&before, |b| is_above(b) && !is_orphaned(b));
    assert!(gone > 0, "{before:#?}");
    assert_eq!(rewards(&api).await, paid(&before, |b| !is_orphaned(b)), "{before:#?}");

    // Somebody else's blocks take the place of ours, and one more.
    chain.pay_blocks_to(EthAddress([9; 20]));
    chain.take_back(DEPTH).unwrap();
    chain.mine(u32::try_from(DEPTH).unwrap() + 1).unwrap();
    chain.pay_blocks_to(place.pays);
    assert_eq!(followed(&place, &api, &chain).await, tip + 1);
    let after = blocks(&api).await;
    // A sibling that never was in the chain paid nothing.
    let left = after.iter().filter(|b| is_orphaned(b) && !b["reward"].is_null());
    let orphaned: BTreeSet<u64> = left.map(|b| b["height"].as_u64().unwrap()).collect();
    assert_eq!(orphaned, (tip - DEPTH + 1..=tip).collect(), "{after:#?}");
    let kept = |all: &[Value]| -> Vec<u64> {
        let kept = in_state(all, "maturing").into_iter();
        kept.filter(|height| *height <= tip - DEPTH).collect()
    };
    assert_eq!(kept(&after), kept(&before), "below the fork nothing moved");
    // Blocks of ours that were beside the chain may be uncles of the new ones: they pay us anew.
    assert_eq!(paid(&after, is_orphaned), paid(&before, is_orphaned) + gone, "{after:#?}");
    assert_eq!(rewards(&api).await, paid(&after, |b| !is_orphaned(b)), "{after:#?}");

    // On the new chain mining goes on.
    place.mine(&place.node(), 1).await;
    let height = followed(&place, &api, &chain).await;
    let found = in_state(&blocks(&api).await, "maturing");
    assert!(found.iter().any(|newest| *newest > tip + 1), "{height}: {found:?}");
    assert!(house.stop().await.success(), "{}", tail(&place.path("house.log")));
    audited(&place, &[]);
}

/// A node that does not get to hear of solutions as long as it is deaf.
struct DeafNode {
    is_deaf: AtomicBool,
    lost: AtomicU64,
}

impl DeafNode {
    fn serve(chain: EthDevChain, listener: std::net::TcpListener) -> Arc<DeafNode> {
        let node = Arc::new(DeafNode { is_deaf: AtomicBool::new(true), lost: AtomicU64::new(0) });
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let served = Arc::clone(&node);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (node, chain) = (Arc::clone(&served), chain.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                        let (node, chain) = (Arc::clone(&node), chain.clone());
                        async move {
                            let body = request.into_body().collect().await;
                            let body = body.map_err(io::Error::other)?.to_bytes();
                            node.answer(&chain, &serde_json::from_slice(&body)?)
                        }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    // Ends when the node is deaf, or the house is killed.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        node
    }

    fn answer(
        &self,
        chain: &EthDevChain,
        call: &Value,
    ) -> io::Result<hyper::Response<Full<Bytes>>> {
        let method = call["method"].as_str().unwrap_or_default();
        if method == "eth_submitWork" && self.is_deaf.load(Ordering::SeqCst) {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let id = &call["id"];
        let reply = match chain.call(method, &call["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(e) => json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": e.code, "message": e.message } }),
        };
        Ok(hyper::Response::new(Full::new(Bytes::from(reply.to_string()))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_journalled_and_not_sent_when_the_house_was_killed_is_sent_by_the_next_life() {
    let place = Place::new(Algorithm::Etchash);
    let chain = place.dev_chain();
    let node = DeafNode::serve(chain.clone(), place.node_listener());
    let house = place.house();
    let miner = place.miner();
    until("a solution is on its way to the node", MINUTES, async || {
        (node.lost.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await
    .unwrap_or_else(|e| place.fail(&e));
    house.kill();
    miner.kill();
    assert_eq!(chain.height(), 0, "the node knows nothing of it");

    // Nobody mines any more: what becomes a block now was found before.
    node.is_deaf.store(false, Ordering::SeqCst);
    let house = place.house();
    let api = answers(&place).await;
    until("the node has the block", MINUTES, async || (chain.height() > 0).then_some(()))
        .await
        .unwrap_or_else(|e| place.fail(&e));
    until("its reward is in the books", MINUTES, async || {
        let all = blocks(&api).await;
        all.iter()
            .any(|b| b["height"] == 1 && b["reward"]["minor"].as_i64() > Some(0))
            .then_some(())
    })
    .await
    .unwrap_or_else(|e| place.fail(&e));
    assert!(house.stop().await.success(), "{}", tail(&place.path("house.log")));
    audited(&place, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_under_working_machines_lose_no_acknowledged_share_and_count_none_twice() {
    let place = Place::new(Algorithm::Etchash);
    let chain = place.dev_chain();
    let _server = chain.serve(place.node_listener(), None).unwrap();
    let mut house = place.house();
    let api = answers(&place).await;
    let accepted = place.path("accepted");
    let accepted = accepted.to_str().unwrap();
    let miner = place.miner_with(&["--limit", "60 H/s", "--accepted-log", accepted]);
    let lines = || std::fs::read_to_string(accepted).unwrap_or_default().lines().count();
    let log = place.path("house.log");
    for round in 1..=2 {
        let before = lines();
        until("shares are acknowledged", MINUTES, async || (lines() > before + 5).then_some(()))
            .await
            .unwrap_or_else(|e| place.fail(&e));
        kill_process(house.pid(), Signal::USR2).unwrap();
        until("the program is a new one", MINUTES, async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            (text.matches("dashboards on").count() > round).then_some(())
        })
        .await
        .unwrap_or_else(|e| place.fail(&e));
        assert!(house.is_running(), "it is the same process");
    }
    let before = lines();
    until("shares are acknowledged at the end", MINUTES, async || {
        (lines() > before + 5).then_some(())
    })
    .await
    .unwrap_or_else(|e| place.fail(&e));
    assert!(miner.stop().await.success());
    let epoch = async || {
        let epochs = api.get("/api/v1/epochs?limit=1").await.ok()?;
        epochs["items"][0]["epoch"].as_u64()
    };
    let at_end = until("an epoch", MINUTES, epoch).await.unwrap();
    until("two further epochs", MINUTES, async || epoch().await.filter(|e| *e >= at_end + 3))
        .await
        .unwrap();
    followed(&place, &api, &chain).await;
    assert!(house.stop().await.success(), "{}", tail(&log));
    let report = audited(&place, &["--accepted", accepted]);
    assert_eq!(report["accepted"]["in_exactly_one_epoch"], lines(), "{report:#}");
}
