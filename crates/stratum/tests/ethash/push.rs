//! New heads over a WebSocket: by an independent server in front of the py-evm chain, and by servers
//! that mean harm.

use crate::node::{FakeNode, easy_work, lane_options, soon, state};
use crate::rig::caches;
use async_trait::async_trait;
use gruve_chain::eth::AccountNode as _;
use gruve_chain::{EthNode, EthRpcNode, EthRpcOptions, NodeError, NodeWork};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_sharelog::{Options, ShareLog};
use gruve_stratum::eth::EthLane;
use gruve_units::{Algorithm, Duration, Hashrate, ManualClock, SystemClock, Target, Timestamp};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A Python program; killed when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The Python that a script in `scripts` has installed into the cache.
fn python(script: &str) -> String {
    let asked = Command::new(format!("{ROOT}/scripts/{script}")).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

/// The WebSocket server, and where it listens.
fn heads(way: &[&str]) -> (Program, String) {
    let mut child = Command::new(python("push-for-tests"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ethash/newheads.py"))
        .args(way)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (Program(child), format!("ws://127.0.0.1:{}", port.trim()))
}

fn py_evm() -> (Program, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new(python("py-evm-for-tests"))
        .arg(format!("{ROOT}/e2e/py_evm/node.py"))
        .args(["--port", &port.to_string(), "--chain-id", "1337", "--difficulty", "16"])
        .args(["--coinbase", "0x00000000000000000000000000000000000000aa"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "listening\n");
    // Who writes to a pipe that is closed ends.
    child.stdout = Some(said.into_inner());
    (Program(child), format!("http://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_head_brings_new_work_long_before_the_node_would_be_polled() {
    let (_chain, url) = py_evm();
    let node = EthRpcNode::new(&url, None, EthRpcOptions::default()).unwrap();
    soon(node.height()).await.unwrap();
    let (_server, address) = heads(&["heads", &url]);
    let node = Arc::new(node.with_heads(&address, None).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let mut options = lane_options(node.clone(), &log, Arc::new(SystemClock), caches());
    // Nothing but what is told can bring the work of the next block.
    options.poll = Duration::from_secs(600);
    let lane = EthLane::start(options).unwrap();
    let cache = LightCache::new(EthashEpoch::new(Algorithm::Ethash, 0).unwrap());
    for _ in 0..3 {
        let work = node.get_work().await.unwrap();
        state(&lane, |s| s.current.header_hash == work.header_hash).await;
        let solved = (0..u64::MAX).find_map(|nonce| {
            let (mix, hash) = hash_light(&cache, &work.header_hash, nonce);
            (Target::from_be_bytes(hash).0 <= work.target.0).then_some((nonce, mix))
        });
        let (nonce, mix) = solved.unwrap();
        assert!(node.submit_work(nonce, &work.header_hash, &mix).await.unwrap());
        let solved_at = Instant::now();
        state(&lane, |s| s.current.header_hash != work.header_hash).await;
        assert!(solved_at.elapsed() < Duration::from_secs(60));
    }
    lane.stop().await;
}

/// What a test says, and what a server tells beside it.
struct Beside {
    fake: Arc<FakeNode>,
    heads: EthRpcNode,
}

#[async_trait]
impl EthNode for Beside {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        self.fake.get_work().await
    }

    async fn news(&self) {
        self.heads.news().await;
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        self.fake.pending_time().await
    }

    async fn submit_work(
        &self,
        nonce: u64,
        header: &[u8; 32],
        mix: &[u8; 32],
    ) -> Result<bool, NodeError> {
        self.fake.submit_work(nonce, header, mix).await
    }

    async fn submit_hashrate(&self, rate: Hashrate, id: &[u8; 32]) -> Result<bool, NodeError> {
        self.fake.submit_hashrate(rate, id).await
    }
}

fn beside(address: &str) -> (Arc<FakeNode>, Arc<Beside>) {
    let fake = FakeNode::new(easy_work(1, 100));
    let heads = EthRpcNode::new("http://127.0.0.1:1", None, EthRpcOptions::default()).unwrap();
    let heads = heads.with_heads(address, None).unwrap();
    (Arc::clone(&fake), Arc::new(Beside { fake, heads }))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tells_without_end_has_the_node_asked_no_more_than_polling_would() {
    let (_server, address) = heads(&["flood"]);
    let (fake, node) = beside(&address);
    // It is heard, and every word of it is news.
    soon(async {
        for _ in 0..5 {
            node.news().await;
        }
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(crate::rig::START)));
    let mut options = lane_options(node, &log, clock, caches());
    options.poll = Duration::from_secs(600);
    let begun = Instant::now();
    let lane = EthLane::start(options).unwrap();
    let mut asked = fake.asked.subscribe();
    soon(asked.wait_for(|n| *n >= 20)).await.unwrap();
    // Two questions at the start and six for what is told, four times a second.
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    lane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_is_silent_or_talks_nonsense_keeps_nobody_from_polling() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut servers = vec![(None, "dead", format!("ws://{dead}"))];
    for way in ["refuse", "nonsense", "huge", "silent"] {
        let (server, address) = heads(&[way]);
        servers.push((Some(server), way, address));
    }
    for (_server, way, address) in servers {
        let (fake, node) = beside(&address);
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(crate::rig::START)));
        let lane = EthLane::start(lane_options(node, &log, clock, caches())).unwrap();
        for header in 1..6 {
            fake.give(easy_work(header, 100 + u64::from(header)));
            let given = state(&lane, |s| s.current.header_hash == [header; 32]).await;
            assert_eq!(given.current.header_hash, [header; 32], "{way}");
        }
        lane.stop().await;
    }
}
