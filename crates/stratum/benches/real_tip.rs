//! From a block at a real `bitcoind` to the job on it at the last of a thousand miners, part by part:
//! the gateway as it is, with its share log; the node with two thousand transactions waiting.
//!
//! `cargo bench -p gruve-stratum --bench real_tip` (after `scripts/bitcoind-for-tests`). Node, gateway
//! and miners share the machine, so on few cores most of the times are waits for each other.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub, dead_code)]

#[path = "../../chain/tests/real_blocks/locks.rs"]
mod locks;
#[path = "../../chain/tests/real_blocks/mine.rs"]
mod mine;
#[path = "../../chain/tests/real_node/mod.rs"]
mod real_node;

use async_trait::async_trait;
use gruve_chain::template::witness_commitment_script;
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, Node, NodeError, RpcNode, SendOutcome,
    SubmitOutcome, Template, TipNotice, TransactionPlace, hash_to_text,
};
use gruve_sharelog::{Options, Owner, ShareLog};
use gruve_stratum::{
    Authorized, Gateway, GatewayOptions, LaneWork, LaneWorkOptions, Machines, Refused, Stamps,
};
use gruve_units::{
    AccountId, Class, Clock, Duration, EpochNumber, EpochRule, LaneId, MachineId, SystemClock,
    SystemEntropy,
};
use locks::Lock;
use mine::{Mine, coins_of};
use real_node::{Program, RealNode};
use serde_json::json;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const MINERS: usize = 1_000;
const ROUNDS: usize = 25;
/// Transactions that wait at the node.
const WAITING: usize = 2_000;
/// How much later the template is asked for in every second round.
const HELD: Duration = Duration::from_millis(3);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The node, with the times of its answers.
struct Timed {
    node: RpcNode,
    told: Mutex<Option<Instant>>,
    template: Mutex<Option<Instant>>,
    /// Whether the template after a notice is asked for some milliseconds later, for comparison.
    holds: AtomicBool,
}

#[async_trait]
impl Node for Timed {
    fn params(&self) -> &ChainParams {
        self.node.params()
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        if self.holds.load(Ordering::Relaxed) {
            tokio::time::sleep(HELD).await;
        }
        let answer = self.node.template(longpoll).await;
        *self.template.lock().unwrap() = Some(Instant::now());
        answer
    }

    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        let answer = self.node.next_tip(known).await;
        *self.told.lock().unwrap() = Some(Instant::now());
        answer
    }

    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        self.node.submit_block(block).await
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.node.tip().await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.node.block_hash(height).await
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.node.block(hash).await
    }

    async fn send_transaction(&self, transaction: &[u8]) -> Result<SendOutcome, NodeError> {
        self.node.send_transaction(transaction).await
    }

    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        self.node.transaction_in_mempool_or_block(txid).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError> {
        self.node.fee_rate(blocks).await
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.node.info().await
    }
}

struct OneStamp;

impl Stamps for OneStamp {
    fn stamp(&self, _: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        (epoch.back(2), [7; 32])
    }
}

struct Everybody;

#[async_trait]
impl Machines for Everybody {
    async fn authorize(&self, _: &LaneId, user: &str, _: &str) -> Result<Authorized, Refused> {
        let hash = gruve_pow::sha256d(user.as_bytes());
        let id: [u8; 16] = std::array::from_fn(|i| hash[i]);
        let owner = Owner::Account(AccountId::from_bytes(id));
        Ok(Authorized { owner, machine: MachineId::from_bytes(id) })
    }
}

/// A job at a miner: the block it stands on, and whether it has transactions.
struct Heard {
    prev: String,
    is_full: bool,
    at: Instant,
}

/// One miner that only listens.
async fn listen(
    address: SocketAddr,
    number: usize,
    heard: mpsc::Sender<Heard>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(tokio::net::TcpStream::connect(address).await?);
    let hello = format!(
        "{{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}}\n\
         {{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"m{number}.a\",\"\"]}}\n"
    );
    stream.get_mut().write_all(hello.as_bytes()).await?;
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).await? > 0 {
        let at = Instant::now();
        let said: serde_json::Value = serde_json::from_slice(&line)?;
        line.clear();
        if said["method"] == "mining.notify" {
            let prev = said["params"][1].as_str().unwrap_or_default().to_owned();
            let is_full = said["params"][4].as_array().is_some_and(|branch| !branch.is_empty());
            // Nobody listens any more at the end.
            let _ = heard.send(Heard { prev, is_full, at });
        }
    }
    Ok(())
}

/// The miner that is given every job first, on a thread that nobody on this machine keeps waiting (where
/// we may say so): as one on a machine of its own, whose reading costs the gateway's cores nothing.
fn first_miner(address: SocketAddr) -> mpsc::Receiver<Heard> {
    let (heard_in, heard) = mpsc::channel();
    let (ready_in, ready) = mpsc::channel();
    std::thread::spawn(move || {
        let task = std::fs::read_link("/proc/thread-self").unwrap();
        let task = task.file_name().unwrap().to_str().unwrap().to_owned();
        let raised = std::process::Command::new("chrt").args(["-f", "-p", "50", &task]).status();
        if !raised.is_ok_and(|status| status.success()) {
            println!("the first miner's thread has no priority: its times hold waits of its own");
        }
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let hello = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n\
            {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"first.a\",\"\"]}\n";
        std::io::Write::write_all(&mut stream, hello).unwrap();
        let mut lines = std::io::BufReader::new(stream);
        let mut line = String::new();
        while std::io::BufRead::read_line(&mut lines, &mut line).is_ok_and(|n| n > 0) {
            let at = Instant::now();
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            line.clear();
            if said["method"] == "mining.notify" {
                let prev = said["params"][1].as_str().unwrap_or_default().to_owned();
                let is_full = said["params"][4].as_array().is_some_and(|b| !b.is_empty());
                let _ = ready_in.send(());
                let _ = heard_in.send(Heard { prev, is_full, at });
            }
        }
    });
    ready.recv().unwrap();
    heard
}

/// Miners on a thread of their own.
fn miners(address: SocketAddr) -> mpsc::Receiver<Heard> {
    let (heard_in, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all = (0..MINERS).map(|n| tokio::spawn(listen(address, n, heard_in.clone())));
            for one in all.collect::<Vec<_>>() {
                one.await.unwrap().expect("a miner's connection");
            }
        });
    });
    heard
}

/// Has transactions wait at the node that never get into a block here.
async fn crowd(mine: &mut Mine) {
    let fee = 1_000;
    let locks = vec![Lock::P2wpkh; WAITING / 2];
    let mut all = Vec::new();
    for height in [1, 2] {
        let coin = mine.coinbase(height).await;
        let part = 5_000_000_000 / u64::try_from(locks.len()).unwrap() - fee;
        let outputs = locks.iter().map(|lock| mine.holder.output(*lock, part)).collect();
        let made = mine.holder.spend(&[coin], outputs);
        mine.send(&made).await;
        all.extend(coins_of(&made, &locks));
    }
    mine.mine(&[Lock::P2wpkh]).await;
    for coin in all {
        let out = mine.holder.output(Lock::P2wpkh, coin.out.value.to_sat() - fee);
        let tx = mine.holder.spend(&[coin], vec![out]);
        mine.send(&tx).await;
    }
}

/// A block without transactions on the tip, so that they go on waiting.
async fn empty_block(mine: &Mine) -> Vec<u8> {
    let mut template = mine.node.template(None).await.unwrap();
    assert_eq!(template.txs.len(), WAITING);
    template.txs.clear();
    template.coinbase_value = mine.params.subsidy(template.height).unwrap();
    template.witness_commitment = Some(witness_commitment_script(&[]));
    let pay_to = vec![(mine.holder.script(Lock::P2wpkh).into_bytes(), template.coinbase_value)];
    mine::solve(&mine::job(template, pay_to), &mine.params)
}

/// The parts of one round, all from the moment the block was handed to the node.
#[derive(Default)]
struct Parts(Vec<(&'static str, Vec<std::time::Duration>)>);

impl Parts {
    fn note(&mut self, what: &'static str, took: std::time::Duration) {
        match self.0.iter_mut().find(|(name, _)| *name == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
    }

    fn print(&mut self) {
        println!("{:>44} {:>10} {:>10}", "", "median ms", "p90 ms");
        for (what, all) in &mut self.0 {
            all.sort();
            let at = |part: usize| all[(all.len() - 1) * part / 100].as_secs_f64() * 1e3;
            println!("{what:>44} {:>10.2} {:>10.2}", at(50), at(90));
        }
    }
}

async fn measure() {
    let real = RealNode::start(Program::Bitcoind, None).await;
    let mut mine = Mine::new(Program::Bitcoind, real);
    mine.generate(110).await;
    crowd(&mut mine).await;

    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let (told, template) = (Mutex::default(), Mutex::default());
    let holds = AtomicBool::new(false);
    let node = Arc::new(Timed { node: mine.real.rpc(), told, template, holds });
    let work = LaneWork::start(LaneWorkOptions {
        lane: "btc".parse().unwrap(),
        node: Arc::<Timed>::clone(&node),
        epoch_rule: EpochRule::new(DAY, Duration::from_secs(10)).unwrap(),
        stamps: Arc::new(OneStamp),
        pay_to: vec![0x51],
        tag: b"/bench/".to_vec(),
        refresh: DAY,
        poll: Duration::from_secs(1),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
        share_log: log,
        kept_jobs: None,
        aux: Vec::new(),
    })
    .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let class = Class::new(30).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let options = GatewayOptions::new(listener, (class, class), class, clock, entropy);
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(Everybody)).unwrap();
    let first_heard = first_miner(gateway.address());
    let heard = miners(gateway.address());
    // Everybody has the first job.
    for _ in 0..MINERS {
        heard.recv().unwrap();
    }

    let mut both = [Parts::default(), Parts::default()];
    let mut jobs = work.jobs();
    for round in 0..2 * ROUNDS {
        let parts = &mut both[round % 2];
        node.holds.store(round % 2 == 1, Ordering::Relaxed);
        let block = empty_block(&mine).await;
        let hash = gruve_pow::sha256d(&block[..80]);
        let made = tokio::spawn({
            let mut jobs = jobs.clone();
            async move {
                let mut at = [None; 2];
                while at.contains(&None) {
                    let is_there = |txs: usize| {
                        jobs.borrow().as_ref().is_some_and(|state| {
                            let job = state.current.job();
                            *job.prev_hash() == hash && job.template().txs.len() >= txs
                        })
                    };
                    let [empty, full] = [0, 1].map(is_there);
                    for (at, is_there) in at.iter_mut().zip([empty, full]) {
                        if is_there && at.is_none() {
                            *at = Some(Instant::now());
                        }
                    }
                    if at.contains(&None) {
                        jobs.changed().await.unwrap();
                    }
                }
                at.map(Option::unwrap)
            }
        });
        let begun = Instant::now();
        let outcome = mine.node.submit_block(&block).await.unwrap();
        parts.note("the node has answered for the block", begun.elapsed());
        assert_eq!(outcome, SubmitOutcome::Accepted);
        let made = made.await.unwrap();
        let told = node.told.lock().unwrap().unwrap();
        let template = node.template.lock().unwrap().unwrap();
        let mut times: HashMap<bool, Vec<Instant>> = HashMap::new();
        let mut prev = None;
        while times.get(&true).is_none_or(|full| full.len() < MINERS) {
            let job = heard.recv().unwrap();
            if prev.get_or_insert_with(|| job.prev.clone()) == &job.prev {
                times.entry(job.is_full).or_default().push(job.at);
            }
        }
        let first_at = first_heard
            .try_iter()
            .find(|job| Some(&job.prev) == prev.as_ref() && !job.is_full)
            .expect("the first miner was told")
            .at;
        let since = |at: Instant| at.saturating_duration_since(begun);
        let last = |full: bool| times[&full].iter().max().copied().unwrap();
        let first = |full: bool| times[&full].iter().min().copied().unwrap();
        parts.note("notice and header are here", since(told));
        parts.note("the empty job is made and logged", since(made[0]));
        parts.note("the first miner has the empty job", since(first_at));
        parts
            .note("(from the notice to the first miner)", first_at.saturating_duration_since(told));
        parts.note("the first of the thousand has it", since(first(false)));
        parts.note("the last miner has the empty job", since(last(false)));
        parts.note("the template is here", since(template));
        parts.note("the job with its transactions is made", since(made[1]));
        parts.note("the last miner has the job with transactions", since(last(true)));
        let asked = Instant::now();
        node.node.call("getblockheader", json!([hash_to_text(&hash)])).await.unwrap();
        parts.note("(a header alone, asked for now)", asked.elapsed());
        jobs.borrow_and_update();
        // Nothing is asked of a node more often than every tenth of a second.
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    println!(
        "{MINERS} miners, {WAITING} transactions waiting, {ROUNDS} blocks; the template is asked for at once"
    );
    both[0].print();
    println!("and {HELD:?} later");
    both[1].print();
    gateway.shutdown().await;
    work.stop().await;
}

fn main() {
    // `cargo test --all-targets` runs benches with this argument: there is nothing to test.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}
