//! A node made for tests, with the trait and over HTTP; a lane on it; waiting with a deadline.

use crate::rig::{caches, class, node_work};
use async_trait::async_trait;
use gruve_chain::{EthNode, NodeError, NodeWork};
use gruve_sharelog::{Owner, Position, Record, ShareLog};
use gruve_stratum::eth::verify::Caches;
use gruve_stratum::eth::{EpochForm, EthLane, EthLaneOptions, EthState};
use gruve_stratum::protocol::{Lane as _, Work};
use gruve_stratum::{Authorized, Machines, Refused};
use gruve_units::{
    Clock, Duration, EpochRule, Hashrate, LaneId, MachineId, SeededEntropy, Timestamp,
};
use std::future::Future;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Everything a test waits for must happen within this.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("nothing happened in time")
}

/// Nonce, header hash and mix digest.
type Sent = (u64, [u8; 32], [u8; 32]);

/// A node whose work is what the test says.
pub(crate) struct FakeNode {
    pub(crate) work: Mutex<Result<NodeWork, NodeError>>,
    pub(crate) time: Mutex<Option<Timestamp>>,
    /// Whether it takes solutions, or fails.
    pub(crate) takes: Mutex<Result<bool, NodeError>>,
    pub(crate) solutions: watch::Sender<Vec<Sent>>,
    /// How often it was asked for work.
    pub(crate) asked: watch::Sender<u64>,
}

impl FakeNode {
    pub(crate) fn new(work: NodeWork) -> Arc<FakeNode> {
        Arc::new(FakeNode {
            work: Mutex::new(Ok(work)),
            time: Mutex::new(None),
            takes: Mutex::new(Ok(true)),
            solutions: watch::Sender::default(),
            asked: watch::Sender::default(),
        })
    }

    pub(crate) fn give(&self, work: NodeWork) {
        *self.work.lock().unwrap() = Ok(work);
    }

    /// Until it has been asked often enough that whatever was given before has been seen.
    pub(crate) async fn asked_again(&self) {
        let mut asked = self.asked.subscribe();
        let from = *asked.borrow_and_update();
        soon(asked.wait_for(|n| *n >= from + 3)).await.unwrap();
    }
}

#[async_trait]
impl EthNode for FakeNode {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        self.asked.send_modify(|n| *n += 1);
        self.work.lock().unwrap().clone()
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        self.asked.send_modify(|n| *n += 1);
        Ok(*self.time.lock().unwrap())
    }

    async fn submit_work(
        &self,
        nonce: u64,
        header: &[u8; 32],
        mix: &[u8; 32],
    ) -> Result<bool, NodeError> {
        let takes = self.takes.lock().unwrap().clone();
        self.solutions.send_modify(|all| all.push((nonce, *header, *mix)));
        takes
    }

    async fn submit_hashrate(&self, _: Hashrate, _: &[u8; 32]) -> Result<bool, NodeError> {
        Ok(true)
    }
}

pub(crate) fn lane_options(
    node: Arc<dyn EthNode>,
    log: &ShareLog,
    clock: Arc<dyn Clock>,
    caches: Caches,
) -> EthLaneOptions {
    EthLaneOptions {
        lane: "etc".parse().unwrap(),
        node,
        form: EpochForm::ETHASH,
        epoch_rule: EpochRule::new(Duration::from_secs(100), Duration::from_secs(10)).unwrap(),
        poll: Duration::from_millis(5),
        caches,
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        share_log: log.clone(),
    }
}

pub(crate) fn easy_work(header: u8, height: u64) -> NodeWork {
    node_work(header, Some(height), class(crate::rig::HARD))
}

pub(crate) fn shared_lane(
    node: Arc<dyn EthNode>,
    log: &ShareLog,
    clock: Arc<dyn Clock>,
) -> EthLane {
    EthLane::start(lane_options(node, log, clock, caches())).unwrap()
}

/// The first state that satisfies.
pub(crate) async fn state(lane: &EthLane, wanted: impl Fn(&EthState) -> bool) -> Arc<EthState> {
    let of = |work: &Option<Work>| match work {
        Some(Work::Ethash(state)) => Some(Arc::clone(state)),
        _ => None,
    };
    let mut jobs = lane.jobs();
    let found = soon(jobs.wait_for(|w| of(w).is_some_and(|s| wanted(&s)))).await.unwrap();
    of(&found).unwrap()
}

pub(crate) fn all_records(log: &ShareLog) -> Vec<Record> {
    let mut reader = log.reader(Position::START);
    std::iter::from_fn(|| reader.next().unwrap().map(|(_, r)| r)).collect()
}

/// The first record that satisfies, waiting for it.
pub(crate) async fn record(log: &ShareLog, wanted: impl Fn(&Record) -> bool) -> Record {
    let mut reader = log.reader(Position::START);
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

/// Lets everybody in, for the house.
pub(crate) struct Everybody;

#[async_trait]
impl Machines for Everybody {
    async fn authorize(&self, _: &LaneId, _: &str, _: &str) -> Result<Authorized, Refused> {
        Ok(Authorized { owner: Owner::House, machine: MachineId::from_bytes([1; 16]) })
    }
}
