//! The miner against a server that the test plays.

#![allow(clippy::unwrap_used, missing_docs)]

use gruve_miner::{AcceptedShare, Miner, MinerError, MinerOptions};
use gruve_pow::{merkle_root_from_branch, pow_hash, sha256d};
use gruve_units::{Algorithm, Class, Hashrate};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(60);
const PREFIX: &str = "0100";
const SUFFIX: &str = "ffff";
const BRANCH: [u8; 32] = [0x11; 32];
const PREV_WIRE: &str = "000000010000000200000003000000040000000500000006000000070000000800";

struct Server {
    listener: TcpListener,
}

struct Peer {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    extranonce1: String,
}

#[derive(Debug, Clone)]
struct Submit {
    id: Value,
    job: String,
    header: [u8; 80],
    extranonce2: String,
    /// The rolled bits, if any were sent.
    bits: Option<u32>,
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("the event came before the deadline")
}

impl Server {
    async fn start() -> (Server, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("stratum+tcp://{}", listener.local_addr().unwrap());
        (Server { listener }, url)
    }

    /// Takes the next connection through the handshake; no version bit may be rolled.
    async fn peer(&self, extranonce1: &str) -> Peer {
        let unknown = json!([20, "unknown method", null]);
        self.peer_that(extranonce1, Some((Value::Null, unknown))).await
    }

    /// The same with this result and error to `mining.configure`, or with silence.
    async fn peer_that(&self, extranonce1: &str, configured: Option<(Value, Value)>) -> Peer {
        let mut peer = self.accept(extranonce1).await;
        let configure = peer.line().await;
        assert_eq!(configure["method"], "mining.configure");
        assert_eq!(configure["params"][0], json!(["version-rolling"]));
        if let Some((result, error)) = configured {
            let id = &configure["id"];
            peer.send(&json!({"id": id, "result": result, "error": error})).await;
        }
        peer.log_in().await;
        peer
    }

    async fn accept(&self, extranonce1: &str) -> Peer {
        let (stream, _): (TcpStream, _) = within(self.listener.accept()).await.unwrap();
        let (read, write) = stream.into_split();
        let lines = BufReader::new(read).lines();
        Peer { lines, write, extranonce1: extranonce1.to_owned() }
    }
}

impl Peer {
    async fn log_in(&mut self) {
        let subscribe = self.line().await;
        assert_eq!(subscribe["method"], "mining.subscribe");
        let result = json!([[["mining.notify", "s"]], self.extranonce1, 4]);
        self.reply(&subscribe["id"], &result).await;
        let authorize = self.line().await;
        assert_eq!(authorize["method"], "mining.authorize");
        assert_eq!(authorize["params"], json!(["alice.cpu", "x"]));
        self.reply(&authorize["id"], &json!(true)).await;
    }

    async fn line(&mut self) -> Value {
        let line = within(self.lines.next_line()).await.unwrap().expect("the miner stays");
        serde_json::from_str(&line).unwrap()
    }

    async fn send(&mut self, message: &Value) {
        self.write.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn reply(&mut self, id: &Value, result: &Value) {
        self.send(&json!({"id": id, "result": result, "error": null})).await;
    }

    async fn difficulty(&mut self, algorithm: Algorithm, k: u8) {
        let d = Class::new(k).unwrap().wire_difficulty(algorithm);
        self.send(&json!({"id": null, "method": "mining.set_difficulty", "params": [d]})).await;
    }

    async fn job(&mut self, id: &str, clean: bool) {
        let params = json!([
            id,
            &PREV_WIRE[..64],
            PREFIX,
            SUFFIX,
            [hex::encode(BRANCH)],
            "20000000",
            "207fffff",
            "65000000",
            clean
        ]);
        self.send(&json!({"id": null, "method": "mining.notify", "params": params})).await;
    }

    /// The next share, its header rebuilt from what was sent.
    async fn submit(&mut self) -> Submit {
        let line = self.line().await;
        assert_eq!(line["method"], "mining.submit");
        let p: Vec<&str> =
            line["params"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        let bits = p.get(5).map(|t| u32::from_str_radix(t, 16).unwrap());
        assert_eq!(p[0], "alice.cpu");
        assert_eq!(p[2].len(), 8);
        let coinbase = hex::decode([PREFIX, &self.extranonce1, p[2], SUFFIX].concat()).unwrap();
        let root = merkle_root_from_branch(sha256d(&coinbase), &[BRANCH]);
        let mut header = [0; 80];
        let version = 0x2000_0000 | bits.unwrap_or(0);
        header[..4].copy_from_slice(&version.to_le_bytes());
        for (i, word) in header[4..36].chunks_exact_mut(4).enumerate() {
            word.copy_from_slice(&u32::try_from(i + 1).unwrap().to_le_bytes());
        }
        header[36..68].copy_from_slice(&root);
        let number = |t: &str| u32::from_str_radix(t, 16).unwrap().to_le_bytes();
        header[68..72].copy_from_slice(&number(p[3]));
        header[72..76].copy_from_slice(&0x207f_ffffu32.to_le_bytes());
        header[76..].copy_from_slice(&number(p[4]));
        Submit {
            id: line["id"].clone(),
            job: p[1].to_owned(),
            header,
            extranonce2: p[2].to_owned(),
            bits,
        }
    }
}

fn options(url: &str, algorithm: Algorithm) -> MinerOptions {
    let mut options = MinerOptions::new(url, "alice.cpu", algorithm);
    options.threads = 2;
    options
}

fn logged(path: &std::path::Path) -> Vec<AcceptedShare> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[tokio::test]
async fn shares_meet_the_jobs_difficulty_and_only_accepted_ones_are_logged() {
    for (algorithm, k) in [(Algorithm::Sha256d, 16), (Algorithm::Scrypt, 6)] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("accepted.jsonl");
        let (server, url) = Server::start().await;
        let mut options = options(&url, algorithm);
        options.accepted_log = Some(log.clone());
        let miner = Miner::start(options).unwrap();
        let mut peer = server.peer("aabbccdd").await;
        peer.difficulty(algorithm, k).await;
        peer.job("j1", true).await;
        let mut accepted = Vec::new();
        let mut seen = HashSet::new();
        for i in 0..20 {
            let share = peer.submit().await;
            assert!(Class::new(k).unwrap().target().is_met_by(&pow_hash(algorithm, &share.header)));
            assert!(seen.insert(share.header), "the same share twice");
            assert_eq!(share.bits, None, "nothing was granted");
            if i % 2 == 0 {
                // Nothing of it is in the log before the answer.
                let mut hash = sha256d(&share.header);
                hash.reverse();
                let hash = hex::encode(hash);
                assert!(logged(&log).iter().all(|line| line.block_hash != hash));
                peer.reply(&share.id, &json!(true)).await;
                accepted.push((hash, share.extranonce2));
            } else {
                let error = json!([23, "Low difficulty share", null]);
                peer.send(&json!({"id": share.id, "result": null, "error": error})).await;
            }
        }
        drop(peer);
        let stats = miner.stop().await;
        assert_eq!((stats.accepted, stats.rejected), (10, 10), "{stats:?}");
        assert_eq!(stats.connections, 1);
        let lines = logged(&log);
        let line_of = |l: &AcceptedShare| (l.block_hash.clone(), l.extranonce2.clone());
        assert_eq!(lines.iter().map(line_of).collect::<Vec<_>>(), accepted);
        assert!(lines.iter().all(|l| l.extranonce1 == "aabbccdd" && l.job_id == "j1"));
        assert!(lines.iter().all(|l| l.version == "20000000" && l.ntime == "65000000"));
    }
}

#[tokio::test]
async fn after_a_reconnection_the_same_job_and_extranonce_give_new_shares() {
    let (server, url) = Server::start().await;
    let miner = Miner::start(options(&url, Algorithm::Sha256d)).unwrap();
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let mut peer = server.peer("00000001").await;
        peer.difficulty(Algorithm::Sha256d, 14).await;
        peer.job("same", true).await;
        for _ in 0..10 {
            let share = peer.submit().await;
            assert!(seen.insert(share.header), "the same share twice");
            peer.reply(&share.id, &json!(true)).await;
        }
    }
    let stats = miner.stop().await;
    assert_eq!(stats.connections, 3, "{stats:?}");
}

#[tokio::test]
async fn after_a_clean_job_nothing_of_the_old_one_is_begun() {
    let (server, url) = Server::start().await;
    let miner = Miner::start(options(&url, Algorithm::Sha256d)).unwrap();
    let mut peer = server.peer("00000001").await;
    peer.difficulty(Algorithm::Sha256d, 16).await;
    for round in 0..5 {
        let id = format!("job{round}");
        peer.job(&id, true).await;
        let sent = Instant::now();
        // What was on its way may still arrive; then only the new job comes.
        let first = loop {
            let share = peer.submit().await;
            peer.reply(&share.id, &json!(true)).await;
            if share.job == id {
                break sent.elapsed();
            }
        };
        // 50 ms is the aim; a loaded machine may take longer, but never half an eternity.
        assert!(first < Duration::from_secs(20), "{first:?}");
        for _ in 0..5 {
            let share = peer.submit().await;
            peer.reply(&share.id, &json!(true)).await;
            assert_eq!(share.job, id);
        }
    }
    miner.stop().await;
}

#[tokio::test]
async fn version_bits_are_rolled_within_the_mask_that_the_server_grants_and_no_further() {
    let (server, url) = Server::start().await;
    let miner = Miner::start(options(&url, Algorithm::Sha256d)).unwrap();
    // Fewer bits than were asked for, and later others.
    let granted = json!({"version-rolling": true, "version-rolling.mask": "0000e000"});
    let mut peer = server.peer_that("00000001", Some((granted, Value::Null))).await;
    peer.difficulty(Algorithm::Sha256d, 12).await;
    peer.job("j", true).await;
    for _ in 0..10 {
        let share = peer.submit().await;
        let bits = share.bits.expect("bits are sent where rolling was granted");
        assert_eq!(bits & !0xe000, 0, "{bits:08x}");
        assert!(Class::new(12).unwrap().target().is_met_by(&sha256d(&share.header)));
        peer.reply(&share.id, &json!(true)).await;
    }
    let other = json!({"id": null, "method": "mining.set_version_mask", "params": ["00000000"]});
    peer.send(&other).await;
    // What was on its way may still come with bits.
    loop {
        let share = peer.submit().await;
        peer.reply(&share.id, &json!(true)).await;
        if share.bits.is_none() {
            break;
        }
    }
    miner.stop().await;
}

#[tokio::test]
async fn a_server_that_is_silent_about_version_rolling_or_closes_on_it_is_mined_for_without() {
    let (server, url) = Server::start().await;
    let miner = Miner::start(options(&url, Algorithm::Sha256d)).unwrap();
    for closes in [false, true] {
        let mut peer = if closes {
            let mut peer = server.accept("00000001").await;
            assert_eq!(peer.line().await["method"], "mining.configure");
            drop(peer);
            let mut peer = server.accept("00000001").await;
            peer.log_in().await;
            peer
        } else {
            server.peer_that("00000001", None).await
        };
        peer.difficulty(Algorithm::Sha256d, 12).await;
        peer.job("j", true).await;
        let share = peer.submit().await;
        assert_eq!(share.bits, None);
        peer.reply(&share.id, &json!(true)).await;
    }
    miner.stop().await;
}

#[tokio::test]
async fn a_limit_is_not_exceeded() {
    let (server, url) = Server::start().await;
    let mut options = options(&url, Algorithm::Sha256d);
    options.limit = Some(Hashrate(50_000));
    let started = Instant::now();
    let miner = Miner::start(options).unwrap();
    let mut peer = server.peer("00000001").await;
    peer.difficulty(Algorithm::Sha256d, 12).await;
    peer.job("j", true).await;
    for _ in 0..20 {
        let share = peer.submit().await;
        peer.reply(&share.id, &json!(true)).await;
    }
    let hashes = miner.stats().hashes.0;
    let allowed = 50_000.0 * started.elapsed().as_secs_f64();
    // Each thread may be one step of 20 ms ahead.
    #[allow(clippy::cast_precision_loss)]
    let hashes = hashes as f64;
    assert!(hashes <= allowed + 2.0 * 1_000.0, "{hashes} hashes where {allowed} were allowed");
    miner.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_the_answer_to_a_share_already_sent() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("accepted.jsonl");
    let (server, url) = Server::start().await;
    let mut options = options(&url, Algorithm::Sha256d);
    options.accepted_log = Some(log.clone());
    let miner = Miner::start(options).unwrap();
    let mut peer = server.peer("00000001").await;
    peer.difficulty(Algorithm::Sha256d, 20).await;
    peer.job("j", true).await;
    let share = peer.submit().await;
    let stopping = tokio::spawn(miner.stop());
    tokio::task::yield_now().await;
    peer.reply(&share.id, &json!(true)).await;
    let stats = within(stopping).await.unwrap();
    assert!(stats.accepted >= 1, "{stats:?}");
    assert_eq!(logged(&log).len(), usize::try_from(stats.accepted).unwrap());
}

#[tokio::test]
async fn a_hostile_server_does_not_end_the_miner() {
    let (server, url) = Server::start().await;
    let miner = Miner::start(options(&url, Algorithm::Sha256d)).unwrap();
    for garbage in ["not json\n", "{\"method\":\"mining.notify\",\"params\":[1]}\n", "[[[[[[[\n"] {
        let mut peer = server.peer("00000001").await;
        peer.write.write_all(garbage.as_bytes()).await.unwrap();
        // The miner leaves; it comes back in the next round.
        while let Ok(Some(_)) = within(peer.lines.next_line()).await {}
    }
    let mut peer = server.peer("00000001").await;
    peer.difficulty(Algorithm::Sha256d, 10).await;
    peer.job("j", true).await;
    let share = peer.submit().await;
    peer.reply(&share.id, &json!(true)).await;
    miner.stop().await;
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_with_the_reason() {
    let start = |change: &dyn Fn(&mut MinerOptions)| {
        let mut options = options("127.0.0.1:1", Algorithm::Sha256d);
        change(&mut options);
        Miner::start(options).map(|_| ()).unwrap_err()
    };
    assert!(matches!(start(&|o| o.threads = 0), MinerError::Threads(0)));
    assert!(matches!(start(&|o| o.limit = Some(Hashrate::ZERO)), MinerError::Limit));
    assert!(matches!(start(&|o| o.url = "nowhere".to_owned()), MinerError::Url(_)));
    let log = start(&|o| o.accepted_log = Some("/no/such/folder/log".into()));
    assert!(matches!(log, MinerError::AcceptedLog { .. }));
}
