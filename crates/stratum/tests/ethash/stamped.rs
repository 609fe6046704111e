//! Stamps in headers: a node that lets its blocks' words be set, and what becomes of its works.

use crate::node::{all_records, lane_options, soon, state};
use crate::rig::{START, caches, class};
use async_trait::async_trait;
use gruve_chain::eth::{EthAddress, EthHeader};
use gruve_chain::{EthNode, NodeError, NodeWork};
use gruve_sharelog::{JobRecord, Options, Record, ShareLog};
use gruve_stratum::Stamps;
use gruve_stratum::eth::EthLane;
use gruve_units::{
    Class, Duration, EpochNumber, EpochRule, Hashrate, LaneId, ManualClock, Timestamp,
};
use ruint::aliases::U256;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Its block says the words that it was told, if it takes any.
struct WordyNode {
    header: Mutex<EthHeader>,
    takes: watch::Sender<bool>,
    told: watch::Sender<Vec<String>>,
}

impl WordyNode {
    fn new() -> Arc<WordyNode> {
        let header = EthHeader {
            parent_hash: [7; 32],
            uncles_hash: [1; 32],
            coinbase: EthAddress([5; 20]),
            state_root: [2; 32],
            transactions_root: [3; 32],
            receipts_root: [4; 32],
            logs_bloom: Box::new([0; 256]),
            difficulty: U256::from(1_000_000),
            number: 100,
            gas_limit: 8_000_000,
            gas_used: 0,
            timestamp: START.try_into().unwrap(),
            extra_data: b"somebody".to_vec(),
            mix_hash: [0; 32],
            nonce: [0; 8],
            later_fields: Vec::new(),
        };
        Arc::new(WordyNode {
            header: Mutex::new(header),
            takes: watch::Sender::new(true),
            told: watch::Sender::default(),
        })
    }

    fn say(&self, words: &[u8]) {
        let mut header = self.header.lock().unwrap();
        header.extra_data = words.to_vec();
        header.timestamp += 1;
    }
}

#[async_trait]
impl EthNode for WordyNode {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        let header = self.header.lock().unwrap();
        let (header_hash, target) = (header.seal_hash(), header.target());
        Ok(NodeWork { header_hash, seed_hash: [0; 32], target, height: Some(header.number) })
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        Ok(None)
    }

    async fn set_extra(&self, words: &str) -> Result<bool, NodeError> {
        let takes = *self.takes.borrow();
        if takes {
            self.say(words.as_bytes());
        }
        self.told.send_modify(|told| told.push(words.to_owned()));
        Ok(takes)
    }

    async fn pending_header(&self) -> Result<Option<EthHeader>, NodeError> {
        Ok(Some(self.header.lock().unwrap().clone()))
    }

    async fn submit_work(&self, _: u64, _: &[u8; 32], _: &[u8; 32]) -> Result<bool, NodeError> {
        Ok(false)
    }

    async fn submit_hashrate(&self, _: Hashrate, _: &[u8; 32]) -> Result<bool, NodeError> {
        Ok(true)
    }
}

/// Another commitment for each epoch.
struct OnePerEpoch;

fn commitment(epoch: EpochNumber) -> [u8; 32] {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&epoch.0.to_be_bytes());
    bytes
}

impl Stamps for OnePerEpoch {
    fn stamp(&self, _: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        (epoch.back(2), commitment(epoch))
    }

    fn class_max(&self, _: &LaneId, _: EpochNumber) -> Class {
        class(3)
    }
}

fn rule() -> EpochRule {
    EpochRule::new(Duration::from_secs(100), Duration::from_secs(10)).unwrap()
}

struct Stand {
    node: Arc<WordyNode>,
    clock: Arc<ManualClock>,
    log: ShareLog,
    lane: EthLane,
    _dir: tempfile::TempDir,
}

fn stand(node: Arc<WordyNode>) -> Stand {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let options = lane_options(node.clone(), &log, clock.clone(), caches());
    let lane = EthLane::start_stamped(options, Arc::new(OnePerEpoch)).unwrap();
    Stand { node, clock, log, lane, _dir: dir }
}

fn jobs(log: &ShareLog) -> Vec<JobRecord> {
    let job = |r| if let Record::Job(job) = r { Some(job) } else { None };
    all_records(log).into_iter().filter_map(job).collect()
}

#[tokio::test]
async fn a_header_with_the_epochs_stamp_is_in_the_log_before_its_work() {
    let Stand { node, clock, log, lane, _dir } = stand(WordyNode::new());
    let first = state(&lane, |s| s.current.is_stamped()).await;
    let epoch = first.current.epoch;
    assert_eq!(epoch, rule().at(Timestamp::from_secs(START)));
    assert_eq!(first.current.class_max(), class(3), "no harder than was fixed for its stamp");
    let records = all_records(&log);
    let [.., Record::Job(job), Record::EthWork(work)] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((job.job, job.epoch, work.job), (work.job, epoch, first.current.id));
    assert_eq!((job.checkpoint_epoch, job.commitment), (epoch.back(2), commitment(epoch)));
    assert_eq!(job.coinbase_suffix, node.header.lock().unwrap().unsealed());
    assert_eq!(work.header_hash, node.header.lock().unwrap().seal_hash());
    assert_eq!(
        (job.height, job.prev_hash, job.bits),
        (100, [7; 32], work.network_target.to_compact())
    );
    // The next epoch's work has the next epoch's stamp.
    clock.set(rule().end(epoch));
    let second = state(&lane, |s| s.current.epoch == epoch.next()).await;
    assert!(second.current.is_stamped() && second.current.name() != first.current.name());
    assert_eq!(jobs(&log).last().unwrap().commitment, commitment(epoch.next()));
}

#[tokio::test]
async fn a_node_that_lets_nobody_set_its_words_gives_unstamped_work() {
    let node = WordyNode::new();
    node.takes.send_replace(false);
    let Stand { lane, log, _dir, .. } = stand(node);
    let first = state(&lane, |_| true).await;
    assert!(!first.current.is_stamped() && jobs(&log).is_empty());
}

#[tokio::test]
async fn a_stamped_header_keeps_its_epoch_while_the_node_gives_no_other_but_not_for_ever() {
    let Stand { node, clock, log, lane, _dir } = stand(WordyNode::new());
    let first = state(&lane, |s| s.current.is_stamped()).await;
    let epoch = first.current.epoch;
    node.takes.send_replace(false);
    let mut told = node.told.subscribe();
    let before = told.borrow_and_update().len();
    clock.set(rule().end(epoch));
    soon(told.wait_for(|told| told.len() > before)).await.unwrap();
    assert_eq!(lane_epoch(&lane).await, epoch, "its shares come late, and are proven");
    clock.set(Timestamp(rule().end(epoch).0 + 50_000_000));
    let after = state(&lane, |s| s.current.epoch == epoch.next()).await;
    assert!(!after.current.is_stamped());
    assert_eq!(after.current.name(), first.current.name(), "miners notice nothing");
    assert_eq!(jobs(&log).len(), 1);
}

async fn lane_epoch(lane: &EthLane) -> EpochNumber {
    state(lane, |_| true).await.current.epoch
}

#[tokio::test]
async fn a_node_that_was_started_again_is_told_again() {
    let Stand { node, lane, _dir, .. } = stand(WordyNode::new());
    let first = state(&lane, |s| s.current.is_stamped()).await;
    let mut told = node.told.subscribe();
    let before = told.borrow_and_update().len();
    node.say(b"the node's own words");
    soon(told.wait_for(|told| told.len() > before)).await.unwrap();
    let again = |s: &gruve_stratum::eth::EthState| {
        s.current.is_stamped() && s.current.id > first.current.id
    };
    assert_eq!(state(&lane, again).await.current.epoch, first.current.epoch);
}
