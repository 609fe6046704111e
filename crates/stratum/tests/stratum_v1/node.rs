//! A node made for tests: one chain tip, long polling, blocks taken when their work is good. And
//! what goes with it: a lane on it, a gateway, waiting with a deadline.

use crate::miner::{HARD, class, template};
use async_trait::async_trait;
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, NetworkName, Node, NodeError, SendOutcome,
    SubmitOutcome, Template, TemplateTx, TipNotice, TransactionPlace, params_for,
};
use gruve_pow::sha256d;
use gruve_sharelog::{LogReader, Options, Owner, Position, Record, ShareLog};
use gruve_stratum::{
    Authorized, Gateway, GatewayOptions, LaneWork, LaneWorkOptions, Machines, Refused, Stamps,
};
use gruve_units::{
    AccountId, Asset, Clock, Duration, EpochNumber, EpochRule, LaneId, SeededEntropy, SystemClock,
    Target,
};
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A block in 2^12 tries.
pub(crate) const BITS: u32 = 0x1f0f_ffff;

/// Everything a test waits for must happen within this.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("nothing happened in time")
}

pub(crate) struct FakeNode {
    params: ChainParams,
    clock: Arc<dyn Clock>,
    tip: watch::Sender<BlockRef>,
    pub(crate) blocks: Mutex<Vec<Vec<u8>>>,
    /// Whether it answers at all.
    pub(crate) is_up: AtomicBool,
    has_long_poll: bool,
    /// Whether it tells of a new tip before it has a template.
    pub(crate) tells_tips: AtomicBool,
    /// Closed, no template comes out.
    pub(crate) gate: watch::Sender<bool>,
    /// Its blocks' version.
    pub(crate) version: AtomicU32,
    /// What waits in its memory pool.
    pub(crate) txs: Mutex<Vec<TemplateTx>>,
    bits: u32,
}

impl FakeNode {
    /// On which no share is a block by chance, which would end the job under a test.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<FakeNode> {
        Self::with(clock, true, HARD)
    }

    pub(crate) fn with(clock: Arc<dyn Clock>, has_long_poll: bool, bits: u32) -> Arc<FakeNode> {
        Arc::new(FakeNode {
            params: params_for(Asset::Btc, NetworkName::Regtest).unwrap(),
            clock,
            tip: watch::Sender::new(BlockRef { height: 10, hash: [7; 32] }),
            blocks: Mutex::default(),
            is_up: AtomicBool::new(true),
            has_long_poll,
            tells_tips: AtomicBool::new(false),
            gate: watch::Sender::new(true),
            version: AtomicU32::new(0x2000_0000),
            txs: Mutex::default(),
            bits,
        })
    }

    /// Somebody else found a block.
    pub(crate) fn move_tip(&self, to: u8) {
        self.tip.send_modify(|t| *t = BlockRef { height: t.height + 1, hash: [to; 32] });
    }

    fn check_up(&self) -> Result<(), NodeError> {
        if self.is_up.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(NodeError::NotReady("down".to_owned()))
        }
    }
}

#[async_trait]
impl Node for FakeNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        self.check_up()?;
        let mut seen = self.tip.subscribe();
        let asked = longpoll.map(str::to_owned);
        let tip = *seen
            .wait_for(|t| asked.as_deref() != Some(&hex::encode(t.hash)))
            .await
            .map_err(|_| NodeError::NotReady("gone".to_owned()))?;
        let _ = self.gate.subscribe().wait_for(|is_open| *is_open).await;
        let tip = if longpoll.is_some() { tip } else { *self.tip.borrow() };
        let mut template = template(0, self.bits);
        template.version = self.version.load(Ordering::SeqCst);
        template.txs = self.txs.lock().unwrap().clone();
        template.height = tip.height + 1;
        template.prev_hash = tip.hash;
        template.cur_time = u32::try_from(self.clock.now().secs()).unwrap();
        template.min_time = template.cur_time - 600;
        template.longpoll_id = self.has_long_poll.then(|| hex::encode(tip.hash));
        Ok(template)
    }

    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        if !self.tells_tips.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let mut seen = self.tip.subscribe();
        let gone = |_| NodeError::NotReady("gone".to_owned());
        let tip = *seen.wait_for(|t| t.hash != known.hash).await.map_err(gone)?;
        let median_time = u32::try_from(self.clock.now().secs()).unwrap() - 601;
        Ok(Some(TipNotice { tip, bits: self.bits, median_time }))
    }

    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        self.check_up()?;
        let hash = sha256d(&block[..80]);
        if !Target::from_compact(self.bits).unwrap().is_met_by(&hash) {
            return Ok(SubmitOutcome::Rejected("high-hash".to_owned()));
        }
        let mut blocks = self.blocks.lock().unwrap();
        if blocks.iter().any(|b| b == block) {
            return Ok(SubmitOutcome::Duplicate);
        }
        blocks.push(block.to_vec());
        self.tip.send_if_modified(|t| {
            let extends = block[4..36] == t.hash;
            if extends {
                *t = BlockRef { height: t.height + 1, hash };
            }
            extends
        });
        Ok(SubmitOutcome::Accepted)
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.check_up()?;
        Ok(*self.tip.borrow())
    }

    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        Ok(None)
    }

    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        Err(NodeError::NotReady("not asked here".to_owned()))
    }

    async fn send_transaction(&self, _: &[u8]) -> Result<SendOutcome, NodeError> {
        Ok(SendOutcome::Rejected("not asked here".to_owned()))
    }

    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        Ok(TransactionPlace::Unknown)
    }

    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(None)
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        Err(NodeError::NotReady("not asked here".to_owned()))
    }
}

/// Stamps that say which epoch they are for.
pub(crate) struct FakeStamps;

impl Stamps for FakeStamps {
    fn stamp(&self, _: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        let mut commitment = [0xcd; 32];
        commitment[..8].copy_from_slice(&epoch.0.to_be_bytes());
        (epoch.back(2), commitment)
    }
}

/// Lets everybody in but `nobody`: `house.…` for the house, others for an account.
pub(crate) struct FakeMachines;

#[async_trait]
impl Machines for FakeMachines {
    async fn authorize(&self, _: &LaneId, user: &str, _: &str) -> Result<Authorized, Refused> {
        if user == "nobody" {
            return Err(Refused("no such login".to_owned()));
        }
        let owner = match user.split('.').next() {
            Some("house") => Owner::House,
            name => Owner::Account(AccountId::from_bytes(
                crate::miner::machine(name.unwrap_or_default()).to_bytes(),
            )),
        };
        Ok(Authorized { owner, machine: crate::miner::machine(user) })
    }
}

pub(crate) fn lane_options(
    node: Arc<dyn Node>,
    log: &ShareLog,
    clock: Arc<dyn Clock>,
) -> LaneWorkOptions {
    LaneWorkOptions {
        lane: "btc".parse().unwrap(),
        node,
        epoch_rule: EpochRule::new(Duration::from_secs(3600), Duration::from_secs(10)).unwrap(),
        stamps: Arc::new(FakeStamps),
        pay_to: vec![0x51],
        tag: b"/test/".to_vec(),
        refresh: Duration::from_secs(3600),
        poll: Duration::from_millis(20),
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        share_log: log.clone(),
        aux: Vec::new(),
        kept_jobs: None,
    }
}

pub(crate) fn gateway_options() -> GatewayOptions {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let entropy = Arc::new(SeededEntropy::new(2));
    GatewayOptions::new(listener, (class(4), class(4)), class(4), Arc::new(SystemClock), entropy)
}

/// A whole line on a fake node.
pub(crate) struct House {
    pub(crate) node: Arc<FakeNode>,
    pub(crate) log: ShareLog,
    pub(crate) work: LaneWork,
    pub(crate) gateway: Gateway,
}

impl House {
    pub(crate) fn open(dir: &Path) -> House {
        Self::open_with(dir, gateway_options())
    }

    pub(crate) fn open_with(dir: &Path, options: GatewayOptions) -> House {
        Self::open_on(FakeNode::new(Arc::new(SystemClock)), dir, options)
    }

    pub(crate) fn open_on(node: Arc<FakeNode>, dir: &Path, options: GatewayOptions) -> House {
        Self::open_on_refreshing(node, dir, options, Duration::from_secs(3600))
    }

    pub(crate) fn open_on_refreshing(
        node: Arc<FakeNode>,
        dir: &Path,
        options: GatewayOptions,
        refresh: Duration,
    ) -> House {
        let log = ShareLog::open(dir, Options::default()).unwrap();
        let mut lane = lane_options(node.clone(), &log, Arc::new(SystemClock));
        lane.refresh = refresh;
        let work = LaneWork::start(lane).unwrap();
        let gateway =
            Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
        House { node, log, work, gateway }
    }
}

/// The next record that satisfies, waiting for it.
pub(crate) async fn record(
    log: &ShareLog,
    reader: &mut LogReader,
    mut wanted: impl FnMut(&Record) -> bool,
) -> Record {
    soon(async {
        loop {
            while let Some((_, record)) = reader.next().unwrap() {
                if wanted(&record) {
                    return record;
                }
            }
            log.wait_past(reader.position()).await;
        }
    })
    .await
}

pub(crate) fn all_records(log: &ShareLog) -> Vec<Record> {
    let mut reader = log.reader(Position::START);
    std::iter::from_fn(|| reader.next().unwrap().map(|(_, r)| r)).collect()
}
