//! A swarm that attacks a port of the Ethash family in every way a stranger can, and honest miners beside
//! it. Hashing is slow here, so what costs most is a share that is worth nothing.

use crate::gateway::{HttpNode, Wire, serve_with};
use crate::node::all_records;
use crate::rig::{HARD, class, code, mine_some};
use gruve_sharelog::Record;
use serde_json::json;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const HEADER: u8 = 0x7c;

/// Shares that each honest miner sends while it is attacked.
const SHARES: usize = 12;

/// Tells when to stop, and counts what was done.
#[derive(Clone)]
struct Swarm {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    blows: Arc<AtomicU64>,
}

impl Swarm {
    /// Repeats a blow until all is over; what fails, or takes long, is the attacker's own affair.
    fn attack<F: Future<Output = Option<()>> + Send + 'static>(
        &self,
        tasks: &mut JoinSet<()>,
        blow: impl Fn(Swarm) -> F + Send + 'static,
    ) {
        let swarm = self.clone();
        tasks.spawn(async move {
            while !swarm.over.load(Ordering::Relaxed) {
                let _ = tokio::time::timeout(Duration::from_secs(2), blow(swarm.clone())).await;
                swarm.blows.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// A connection, and these lines on it.
    async fn say(&self, lines: &[u8]) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        stream.write_all(lines).await.ok()?;
        Some(stream)
    }
}

const NICEHASH: &str = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"m/1\",\"EthereumStratum/1.0.0\"]}\n{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"house.bad\",\"x\"]}\n";
const PROXY: &str = "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitLogin\",\"params\":[\"house.bad\",\"x\"]}\n{\"id\":5,\"jsonrpc\":\"2.0\",\"method\":\"eth_getWork\",\"params\":[]}\n";

/// Solutions of eth-proxy's dialect that no hash was spent on: a mix of zeros has to be hashed to be known.
fn worthless(count: u64) -> String {
    let (header, zeros) = (hex::encode([HEADER; 32]), "0".repeat(64));
    let line = |n: u64| {
        format!(
            "{{\"id\":4,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitWork\",\"params\":[\"0xffffffff{n:08x}\",\"0x{header}\",\"0x{zeros}\"]}}\n"
        )
    };
    (0..count).map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_ethash_miners_lose_nothing_while_a_swarm_attacks_in_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let node = HttpNode::start(HEADER, HARD).await;
    let (log, lane, gateway) = serve_with(&node, dir.path(), (class(2), class(2)));
    let address = gateway.address();
    // One of each dialect.
    let mut proxy = Wire::connect(address).await;
    proxy.proxy(HEADER).await;
    let mut buyer = Wire::connect(address).await;
    let subscribe =
        r#"{"id":1,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#;
    buyer.say(subscribe).await.unwrap();
    let reply = buyer.hear(|v| v["id"] == 1).await.unwrap();
    let part = reply["result"][1].as_str().unwrap().to_owned();
    buyer.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#).await.unwrap();
    let notify = buyer.hear(|v| v["method"] == "mining.notify").await.unwrap();
    let job = notify["params"][0].as_str().unwrap().to_owned();
    let first = u64::from_str_radix(&part, 16).unwrap() << (64 - 4 * part.len());
    let of_buyer = mine_some(HEADER, first, 2, SHARES);
    // Away from where the swarm guesses, and from the other's part.
    let of_proxy = mine_some(HEADER, first ^ (1 << 63), 2, SHARES);

    let swarm = Swarm { address, over: Arc::default(), blows: Arc::default() };
    let mut tasks = JoinSet::new();
    // Half a line, kept.
    swarm.attack(&mut tasks, |s| async move {
        let mut all = Vec::new();
        for _ in 0..50 {
            all.push(s.say(b"{\"id\":1,").await?);
        }
        all.iter().for_each(|stream| drop(stream.try_write(b"\"method\"")));
        Some(())
    });
    // Sixteen megabytes of one line.
    swarm.attack(&mut tasks, |s| async move {
        let mut stream = s.say(b"[").await?;
        for _ in 0..256 {
            stream.write_all(&[b'['; 64 << 10]).await.ok()?;
        }
        Some(())
    });
    // Garbage, and shares without a login or a job.
    swarm.attack(&mut tasks, |s| async move {
        s.say(&b"\xff\x00}{\n".repeat(5000)).await?;
        let share = b"{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"w\",\"1\",\"2\"]}\n";
        s.say(&share.repeat(2000)).await.map(drop)
    });
    // Asks much and never reads.
    swarm.attack(&mut tasks, |s| async move {
        let mut stream = s.say(PROXY.as_bytes()).await?;
        for _ in 0..2000 {
            stream.write_all(PROXY.as_bytes()).await.ok()?;
        }
        Some(())
    });
    // Shares that cost a hash and are worth nothing, from many connections, each below what closes it.
    for _ in 0..2 {
        swarm.attack(&mut tasks, |s| async move {
            let mut all = Vec::new();
            for _ in 0..8 {
                let lines = PROXY.to_owned() + &worthless(60);
                all.push(s.say(lines.as_bytes()).await?);
            }
            tokio::task::yield_now().await;
            Some(())
        });
    }
    // Nonces of the wrong length, and jobs that there are not.
    swarm.attack(&mut tasks, |s| async move {
        let line = "{\"id\":4,\"method\":\"mining.submit\",\"params\":[\"house.bad\",\"000000000000000102\",\"00112233\"]}\n";
        s.say((NICEHASH.to_owned() + &line.repeat(400)).as_bytes()).await.map(drop)
    });
    // Rates, without end.
    swarm.attack(&mut tasks, |s| async move {
        let line = "{\"id\":6,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitHashrate\",\"params\":[\"0xffffffffffffffff\",\"0x1\"]}\n";
        s.say((PROXY.to_owned() + &line.repeat(1000)).as_bytes()).await.map(drop)
    });
    const BLOWS: u64 = 40;
    let mut sent = Vec::new();
    for (n, (own, other)) in of_buyer.iter().zip(&of_proxy).enumerate() {
        // As long as the swarm strikes: a pair for so many blows.
        let struck = async {
            while swarm.blows.load(Ordering::Relaxed) < BLOWS * n as u64 / of_proxy.len() as u64 {
                tokio::task::yield_now().await;
            }
        };
        crate::node::soon(struck).await;
        let id = 100 + n as u64;
        let rest = &format!("{:016x}", own.0)[part.len()..];
        let share = json!({"id": id, "method": "mining.submit", "params": ["w", job, rest]});
        buyer.say(&share.to_string()).await.unwrap();
        proxy.submit_work(id, HEADER, *other).await;
        let mine = |v: &serde_json::Value| v["id"] == id;
        assert_eq!(code(&buyer.hear(mine).await.unwrap()), 0, "share {n}");
        assert_eq!(code(&proxy.hear(mine).await.unwrap()), 0, "share {n}");
        sent.extend([own.0, other.0]);
    }
    swarm.over.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let nonce = |record: &Record| match record {
        Record::Share(s) => s.extranonce.as_slice().try_into().ok().map(u64::from_be_bytes),
        _ => None,
    };
    let logged: Vec<u64> = all_records(&log).iter().filter_map(nonce).collect();
    let different: HashSet<_> = logged.iter().copied().collect();
    assert_eq!(different.len(), logged.len(), "nothing twice");
    assert!(sent.iter().all(|n| different.contains(n)), "what was accepted is in the log");
    crate::node::soon(gateway.shutdown()).await;
    lane.stop().await;
}
