//! What the gateway's rounds promise to each connection, whatever others do.

use crate::miner::{class, code};
use crate::node::{FakeMachines, FakeNode, House, gateway_options, lane_options, soon};
use crate::peer::Peer;
use async_trait::async_trait;
use gruve_sharelog::{Durability, Options, Record, ShareLog};
use gruve_stratum::{Authorized, Gateway, GatewayOptions, LaneWork, Machines, Refused, limits};
use gruve_units::{LaneId, SystemClock};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

pub(crate) struct Miner {
    pub(crate) stream: BufReader<TcpStream>,
    user: String,
    pub(crate) job: String,
    ntime: String,
}

impl Miner {
    pub(crate) async fn connect(address: SocketAddr, user: &str) -> Miner {
        let stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        let user = user.to_owned();
        let mut miner = Miner { stream, user, job: String::new(), ntime: String::new() };
        miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1"]}"#).await;
        assert_eq!(miner.hear().await["id"], 1);
        miner
    }

    /// With the first job.
    pub(crate) async fn ready(address: SocketAddr, user: &str) -> Miner {
        let mut miner = Miner::connect(address, user).await;
        miner.log_in().await;
        while miner.job.is_empty() {
            let heard = miner.hear().await;
            if heard["method"] == "mining.notify" {
                miner.job = heard["params"][0].as_str().unwrap().to_owned();
                miner.ntime = heard["params"][7].as_str().unwrap().to_owned();
            }
        }
        miner
    }

    async fn log_in(&mut self) {
        let login = json!({"id": 2, "method": "mining.authorize", "params": [self.user, "x"]});
        self.say(&login.to_string()).await;
    }

    pub(crate) fn submit(&self, id: u64, job: &str, extranonce2: u64) -> String {
        let (user, ntime) = (&self.user, &self.ntime);
        format!(
            r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{extranonce2:016x}","{ntime}","00000001"]}}"#
        )
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let mut line = String::new();
        soon(self.stream.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }
}

/// Every kind of line, in a mixture that depends on who asks.
fn mixture(miner: &Miner, seed: u64) -> Vec<String> {
    (0..300u64)
        .map(|n| match (n * 7 + seed * 3) % 11 {
            0 => format!(r#"{{"id":{n},"method":"mining.ping"}}"#),
            1 => format!(r#"{{"id":{n},"method":"no.such.method"}}"#),
            2 => miner.submit(n, "gone", n),
            3 => miner.submit(n, &miner.job, n / 2),
            4 => format!(r#"{{"id":{n},"method":"mining.configure","params":[[],{{}}]}}"#),
            _ => miner.submit(n, &miner.job, n + (seed << 32)),
        })
        .collect()
}

/// Every hash is a share.
pub(crate) fn easy() -> GatewayOptions {
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(0)), class(0));
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_keep_their_order_on_every_connection_of_a_round_and_tell_the_truth() {
    for (durability, threads) in
        [(Options::default().durability, 1), (Durability::Fsync, 1), (Durability::Fsync, 3)]
    {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options { durability, ..Options::default() }).unwrap();
        let node = FakeNode::new(Arc::new(SystemClock));
        let lane = lane_options(node, &log, Arc::new(SystemClock));
        let work = LaneWork::start(lane).unwrap();
        let mut options = easy();
        options.threads = threads;
        let gateway =
            Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for seed in 0..40 {
            let address = gateway.address();
            tasks.spawn(async move {
                let mut miner = Miner::ready(address, &format!("house.m{seed}")).await;
                let lines = mixture(&miner, seed);
                // More than one visit holds, in pieces that do not end with lines.
                for piece in lines.join("\n").as_bytes().chunks(5000) {
                    miner.stream.get_mut().write_all(piece).await.unwrap();
                }
                miner.say("").await;
                let mut accepted = 0u64;
                for (n, line) in lines.iter().enumerate() {
                    let mut reply = miner.hear().await;
                    while reply["method"].is_string() {
                        reply = miner.hear().await;
                    }
                    assert_eq!(reply["id"], n, "{reply}");
                    accepted += u64::from(line.contains("submit") && code(&reply) == 0);
                }
                (accepted, miner)
            });
        }
        let (accepted, _miners): (Vec<u64>, Vec<Miner>) =
            tasks.join_all().await.into_iter().unzip();
        let accepted: u64 = accepted.into_iter().sum();
        assert!(accepted > 5000, "{accepted}");
        let mut reader = log.reader(gruve_sharelog::Position::START);
        let mut written = HashSet::new();
        while let Some((_, record)) = reader.next().unwrap() {
            if let Record::Share(s) = record {
                assert!(written.insert((s.job, s.extranonce, s.nonce)), "credited twice");
            }
        }
        assert_eq!(written.len() as u64, accepted, "accepted is what is in the log");
        assert_eq!(gateway.totals().accepted, accepted);
        assert_eq!(gateway.snapshot().iter().map(|s| s.accepted).sum::<u64>(), accepted);
        gateway.shutdown().await;
        work.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_brings_nothing_is_read_slowly_and_delays_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let node = FakeNode::new(Arc::new(SystemClock));
    let house = House::open_on(node, dir.path(), easy());
    let address = house.gateway.address();
    let started = std::time::Instant::now();
    let flooding = tokio::spawn(async move {
        let hostile = Miner::ready(address, "house.hostile").await;
        let lines: String = (0..500).map(|n| hostile.submit(n, "gone", n) + "\n").collect();
        let mut stream = hostile.stream.into_inner();
        let (mut read, mut write) = stream.split();
        let sink = &mut tokio::io::sink();
        tokio::join!(
            async { while write.write_all(lines.as_bytes()).await.is_ok() {} },
            tokio::io::copy(&mut read, sink),
        )
        .1
    });
    // Once the flood's credit is used up, it gets a hundred lines a second.
    let line_bytes = 100u64;
    let burst = u64::from(limits::FRUITLESS_BYTES_MAX) / line_bytes;
    let mut honest = Miner::ready(address, "house.honest").await;
    for n in 0..2000u64 {
        let line = honest.submit(n, &honest.job, n);
        honest.say(&line).await;
        let reply = honest.hear().await;
        assert_eq!((reply["id"].as_u64(), code(&reply)), (Some(n), 0));
    }
    let seconds = started.elapsed().as_secs() + 2;
    let per_second = u64::from(limits::FRUITLESS_BYTES_PER_SECOND) / line_bytes;
    let refused = house.gateway.totals().rejected;
    // And one read more than it has credit for.
    let most = burst + per_second * seconds + 2 * 16 * 1024 / line_bytes;
    assert!(refused <= most, "{refused} lines were answered, at most {most} should be");
    flooding.abort();
}

/// Looks `slow` up only when it is let.
struct SlowMachines {
    may_answer: Semaphore,
    answered: Semaphore,
}

#[async_trait]
impl Machines for SlowMachines {
    async fn authorize(
        &self,
        lane: &LaneId,
        user: &str,
        pass: &str,
    ) -> Result<Authorized, Refused> {
        if user == "house.slow" {
            self.may_answer.acquire().await.unwrap().forget();
            self.answered.add_permits(1);
        }
        FakeMachines.authorize(lane, user, pass).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_login_never_reaches_who_took_the_place_of_the_one_that_left() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let node = FakeNode::new(Arc::new(SystemClock));
    let work = LaneWork::start(lane_options(node, &log, Arc::new(SystemClock))).unwrap();
    let machines =
        Arc::new(SlowMachines { may_answer: Semaphore::new(0), answered: Semaphore::new(0) });
    let gateway =
        Gateway::start(gateway_options(), Arc::new(work.clone()), machines.clone()).unwrap();
    let mut left = Miner::connect(gateway.address(), "house.slow").await;
    left.log_in().await;
    drop(left);
    // It is asked for while it is looked up, and not read: the end is seen afterwards. So others
    // come and go until one of them has its place.
    let mut others = Vec::new();
    for n in 0..20 {
        let mut other = Miner::connect(gateway.address(), &format!("house.o{n}")).await;
        if n == 10 {
            machines.may_answer.add_permits(1);
            soon(machines.answered.acquire()).await.unwrap().forget();
            soon(async {
                while gateway.totals().connections > 11 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        other
            .say(r#"{"id":9,"method":"mining.submit","params":["house.slow","0","0","0","0"]}"#)
            .await;
        assert_eq!(code(&other.hear().await), 24, "{n} never logged in");
        others.push(other);
    }
    assert!(gateway.snapshot().is_empty(), "nobody has logged in");
    gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_only_hostile_is_turned_away() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open(dir.path());
    let address = house.gateway.address();
    let mut tries = 0;
    while house.gateway.totals().turned_away == 0 {
        let mut peer = Peer::connect(address);
        // The gateway may have closed it already.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            peer.say(&"?\n".repeat(20));
        }));
        assert!(peer.try_hear().is_none());
        tries += 1;
        assert!(tries < 200, "never turned away");
    }
    assert!(tries > limits::HOSTILE_CLOSES_MAX / 2);
}
