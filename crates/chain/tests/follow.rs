//! The follower against a node and a sink that do their worst.
#![allow(clippy::unwrap_used, missing_docs)]

use async_trait::async_trait;
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::job::{header_bytes, merkle_root};
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, ChainSink, ChainStanding, FeeRate, FollowError,
    FollowedBlock, Follower, NetworkName, Node, NodeError, SendOutcome, SinkError, SubmitOutcome,
    Template, TransactionPlace, params_for,
};
use gruve_pow::sha256d;
use gruve_units::{Asset, Blame, Blamed, Duration};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

fn params() -> ChainParams {
    params_for(Asset::Btc, NetworkName::Regtest).unwrap()
}

/// The bytes of a block with one transaction, told apart by its salt.
fn block(prev: [u8; 32], height: u64, salt: u32) -> Vec<u8> {
    let mut coinbase = vec![2, 0, 0, 0, 1];
    coinbase.extend([0; 32]);
    coinbase.extend([0xff; 4]);
    coinbase.extend([8]);
    coinbase.extend(height.to_le_bytes());
    coinbase.extend([0xff; 4]);
    coinbase.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x51, 0, 0, 0, 0]);
    let root = merkle_root(vec![sha256d(&coinbase)]);
    let mut block = header_bytes(1, &prev, &root, 0, 0x207f_ffff, salt).to_vec();
    block.push(1);
    block.extend(coinbase);
    block
}

/// A node whose chain a test writes.
#[derive(Default)]
struct FakeNode {
    chain: Mutex<Vec<[u8; 32]>>,
    blocks: Mutex<HashMap<[u8; 32], Vec<u8>>>,
    failing: Mutex<bool>,
    refusals: watch::Sender<u64>,
}

impl FakeNode {
    /// Cuts the chain to a length and lays blocks on it.
    fn rewrite(&self, keep: usize, add: usize, salt: u32) {
        let mut chain = self.chain.lock().unwrap();
        chain.truncate(keep);
        for _ in 0..add {
            let prev = chain.last().copied().unwrap_or_default();
            let bytes = block(prev, chain.len() as u64, salt);
            let hash = sha256d(&bytes[..80]);
            self.blocks.lock().unwrap().insert(hash, bytes);
            chain.push(hash);
        }
    }

    fn up(&self) -> Result<(), NodeError> {
        if *self.failing.lock().unwrap() {
            self.refusals.send_modify(|n| *n += 1);
            return Err(NodeError::NotReady("a test says so".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Node for FakeNode {
    fn params(&self) -> &ChainParams {
        unreachable!("a follower does not ask this")
    }
    async fn template(&self, _: Option<&str>) -> Result<Template, NodeError> {
        unreachable!("a follower does not ask this")
    }
    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        unreachable!("a follower does not ask this")
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.up()?;
        let chain = self.chain.lock().unwrap();
        Ok(BlockRef { height: chain.len() as u64 - 1, hash: *chain.last().unwrap() })
    }
    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.up()?;
        Ok(self.chain.lock().unwrap().get(usize::try_from(height).unwrap()).copied())
    }
    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.up()?;
        Ok(self.blocks.lock().unwrap()[hash].clone())
    }
    async fn send_transaction(&self, _: &[u8]) -> Result<SendOutcome, NodeError> {
        unreachable!("a follower does not ask this")
    }
    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        unreachable!("a follower does not ask this")
    }
    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        unreachable!("a follower does not ask this")
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        unreachable!("a follower does not ask this")
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the sink says no")]
struct SinkSaysNo(Blame);

impl Blamed for SinkSaysNo {
    fn blame(&self) -> Blame {
        self.0
    }
}

/// Remembers, and fails when told, before or *after* having stored.
#[derive(Default)]
struct Memory {
    blocks: Mutex<Vec<BlockRef>>,
    fail_before: Mutex<Option<Blame>>,
    fail_after: Mutex<Option<Blame>>,
    changed: watch::Sender<u64>,
}

impl Memory {
    fn heights(&self) -> Vec<u64> {
        self.blocks.lock().unwrap().iter().map(|b| b.height).collect()
    }

    fn change(&self, f: impl FnOnce(&mut Vec<BlockRef>)) -> Result<(), SinkError> {
        let no = |blame| Err(SinkError::new(SinkSaysNo(blame)));
        if let Some(blame) = self.fail_before.lock().unwrap().take() {
            return no(blame);
        }
        f(&mut self.blocks.lock().unwrap());
        if let Some(blame) = self.fail_after.lock().unwrap().take() {
            return no(blame);
        }
        self.changed.send_modify(|n| *n += 1);
        Ok(())
    }
}

#[async_trait]
impl ChainSink for Memory {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        Ok(self.blocks.lock().unwrap().iter().rev().take(limit).copied().collect())
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        self.change(|blocks| {
            if let Some(last) = blocks.last() {
                assert_eq!((block.height, block.block.prev), (last.height + 1, last.hash));
            }
            blocks.push(block.to_ref());
        })
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.change(|blocks| assert_eq!(blocks.pop(), Some(*block), "only the newest leaves"))
    }
}

struct House {
    node: Arc<FakeNode>,
    sink: Arc<Memory>,
    follower: Arc<Follower>,
}

const LIMIT: usize = 5;

fn options() -> Options {
    Options { reorg_limit: LIMIT, poll: Duration::from_secs(3600), start: Start::Height(0) }
}

fn house(options: Options) -> House {
    let (node, sink) = (Arc::new(FakeNode::default()), Arc::new(Memory::default()));
    node.rewrite(0, 10, 0);
    let follower = Follower::new(node.clone(), params(), sink.clone(), options);
    House { node, sink, follower }
}

impl House {
    async fn catch_up(&self) -> Result<(), FollowError> {
        loop {
            match self.follower.step().await? {
                Progress::Connected(_) | Progress::Disconnected(_) => {}
                Progress::UpToDate(_) | Progress::NodeBehind { .. } | Progress::Waiting => {
                    return Ok(());
                }
            }
        }
    }

    /// The process is started again: only what the sink stored is left.
    fn restart(&mut self, options: Options) {
        self.follower = Follower::new(self.node.clone(), params(), self.sink.clone(), options);
    }

    fn agrees(&self) -> bool {
        let chain = self.node.chain.lock().unwrap();
        let blocks = self.sink.blocks.lock().unwrap();
        blocks.len() == chain.len() && blocks.iter().zip(chain.iter()).all(|(b, c)| b.hash == *c)
    }
}

#[tokio::test]
async fn blocks_come_once_and_in_order() {
    let house = house(options());
    house.catch_up().await.unwrap();
    assert_eq!(house.sink.heights(), (0..10).collect::<Vec<_>>());
    let tip = house.follower.step().await.unwrap();
    assert!(matches!(tip, Progress::UpToDate(BlockRef { height: 9, .. })));
}

#[tokio::test]
async fn a_new_house_begins_a_little_under_the_tip() {
    let house = house(Options { start: Start::NearTip, ..options() });
    house.catch_up().await.unwrap();
    assert_eq!(house.sink.heights(), (3..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_start_above_the_tip_waits() {
    let house = house(Options { start: Start::Height(12), ..options() });
    assert_eq!(house.follower.step().await.unwrap(), Progress::Waiting);
    house.node.rewrite(10, 4, 0);
    house.catch_up().await.unwrap();
    assert_eq!(house.sink.heights(), [12, 13]);
}

#[tokio::test]
async fn reorganisations_up_to_the_limit_are_followed_and_deeper_ones_take_nothing_back() {
    for depth in 1..=7 {
        let house = house(options());
        house.catch_up().await.unwrap();
        house.node.rewrite(10 - depth, depth + 1, 1);
        let result = house.catch_up().await;
        if depth <= LIMIT {
            result.unwrap();
            assert!(house.agrees(), "depth {depth}");
        } else {
            let error = result.unwrap_err();
            assert!(matches!(error, FollowError::ReorgTooDeep { limit: LIMIT, .. }), "{error}");
            assert_eq!(error.blame(), Blame::Fatal);
            assert!(error.to_string().contains("reorg_limit"), "it says what to do: {error}");
            assert_eq!(house.sink.heights().len(), 10, "depth {depth}");
        }
    }
}

#[tokio::test]
async fn a_deep_reorganisation_stays_refused_after_a_restart_in_the_middle_of_a_shallow_one() {
    let mut house = house(options());
    house.catch_up().await.unwrap();
    house.node.rewrite(6, 5, 1);
    house.follower.step().await.unwrap();
    house.follower.step().await.unwrap();
    assert_eq!(house.sink.heights().len(), 8, "two of four taken back");
    house.restart(options());
    house.catch_up().await.unwrap();
    assert!(house.agrees());
    house.node.rewrite(2, 20, 2);
    house.restart(options());
    assert!(matches!(house.catch_up().await, Err(FollowError::ReorgTooDeep { .. })));
}

#[tokio::test]
async fn a_reorganisation_of_everything_ever_seen_begins_again_at_the_same_height() {
    let house = house(Options { start: Start::Height(8), ..options() });
    house.catch_up().await.unwrap();
    assert_eq!(house.sink.heights(), [8, 9]);
    house.node.rewrite(5, 9, 1);
    house.catch_up().await.unwrap();
    assert_eq!(house.sink.heights(), (8..14).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_node_that_is_behind_takes_nothing_back() {
    let mut house = house(options());
    house.catch_up().await.unwrap();
    for (keep, left) in [(9, 9), (7, 7), (1, 1)] {
        house.node.rewrite(keep, 0, 0);
        let behind = Progress::NodeBehind { node: left - 1, ours: 9 };
        assert_eq!(house.follower.step().await.unwrap(), behind);
        house.restart(options());
        assert_eq!(house.follower.step().await.unwrap(), behind);
    }
    house.node.rewrite(1, 11, 0);
    house.catch_up().await.unwrap();
    assert!(house.agrees());
}

#[tokio::test]
async fn a_shorter_chain_of_other_blocks_is_followed() {
    let house = house(options());
    house.catch_up().await.unwrap();
    house.node.rewrite(7, 1, 1);
    house.catch_up().await.unwrap();
    assert!(house.agrees());
    assert_eq!(house.sink.heights().len(), 8);
}

#[tokio::test]
async fn a_sink_that_fails_before_or_after_storing_loses_and_repeats_nothing() {
    let house = house(options());
    house.catch_up().await.unwrap();
    house.node.rewrite(7, 5, 1);
    for _ in 0..16 {
        *house.sink.fail_before.lock().unwrap() = Some(Blame::Transient);
        let _ = house.follower.step().await;
        *house.sink.fail_before.lock().unwrap() = None;
        *house.sink.fail_after.lock().unwrap() = Some(Blame::Transient);
        let _ = house.follower.step().await;
        *house.sink.fail_after.lock().unwrap() = None;
    }
    assert!(house.agrees());
}

#[tokio::test]
async fn another_block_than_was_asked_for_is_fatal() {
    let house = house(options());
    let hash = house.node.chain.lock().unwrap()[0];
    house.node.blocks.lock().unwrap().insert(hash, block([7; 32], 0, 7));
    let error = house.follower.step().await.unwrap_err();
    assert!(matches!(error, FollowError::BadBlock { height: 0, .. }), "{error}");
    house.node.blocks.lock().unwrap().insert(hash, vec![1, 2, 3]);
    let error = house.follower.step().await.unwrap_err();
    assert_eq!(error.blame(), Blame::Fatal);
    assert!(house.sink.heights().is_empty());
}

#[tokio::test]
async fn a_gap_in_what_the_sink_knows_is_fatal() {
    let house = house(options());
    house.catch_up().await.unwrap();
    house.sink.blocks.lock().unwrap().remove(7);
    let follower = Follower::new(house.node.clone(), params(), house.sink.clone(), options());
    assert!(matches!(follower.step().await, Err(FollowError::Gap(7))));
}

#[tokio::test]
async fn a_nudge_leads_to_a_look_at_once_and_shutdown_ends_the_run() {
    let house = house(options());
    let (stop, stopped) = watch::channel(false);
    let mut changes = house.sink.changed.subscribe();
    let run = tokio::spawn({
        let follower = house.follower.clone();
        async move { follower.run(stopped).await }
    });
    let deadline = Duration::from_secs(20);
    tokio::time::timeout(deadline, changes.wait_for(|&n| n == 10)).await.unwrap().unwrap();
    // The poll is an hour away, so only the nudge can bring the next block.
    house.node.rewrite(10, 1, 0);
    house.follower.nudge();
    tokio::time::timeout(deadline, changes.wait_for(|&n| n == 11)).await.unwrap().unwrap();
    // A node that fails is asked again, not given up.
    let mut refusals = house.node.refusals.subscribe();
    *house.node.failing.lock().unwrap() = true;
    house.node.rewrite(11, 1, 0);
    house.follower.nudge();
    tokio::time::timeout(deadline, refusals.wait_for(|&n| n > 0)).await.unwrap().unwrap();
    *house.node.failing.lock().unwrap() = false;
    house.follower.nudge();
    tokio::time::timeout(deadline, changes.wait_for(|&n| n == 12)).await.unwrap().unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(deadline, run).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_reorganisation_too_deep_halts_the_chain_and_not_the_run_until_the_node_is_right_again() {
    let house = house(options());
    house.catch_up().await.unwrap();
    let before = house.sink.heights();
    let right = house.node.chain.lock().unwrap().clone();
    house.node.rewrite(10 - LIMIT - 1, LIMIT + 3, 5);
    let mut standing = house.follower.standing();
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn({
        let follower = house.follower.clone();
        async move { follower.run(stopped).await }
    });
    let deadline = Duration::from_secs(20);
    let halted = |s: &ChainStanding| matches!(s, ChainStanding::Halted { .. });
    tokio::time::timeout(deadline, standing.wait_for(halted)).await.unwrap().unwrap();
    assert!(!standing.borrow().is_sound(), "nothing is to be settled");
    assert_eq!(house.sink.heights(), before, "nothing is taken back");
    *house.node.chain.lock().unwrap() = right;
    house.node.rewrite(10, 1, 0);
    house.follower.nudge();
    let at_the_tip = |s: &ChainStanding| s.at().is_some_and(|at| at.height == 10);
    tokio::time::timeout(deadline, standing.wait_for(at_the_tip)).await.unwrap().unwrap();
    assert_eq!(standing.borrow().problem(), None);
    stop.send(true).unwrap();
    tokio::time::timeout(deadline, run).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_fatal_error_of_the_sink_ends_the_run() {
    let house = house(options());
    *house.sink.fail_before.lock().unwrap() = Some(Blame::Fatal);
    let (_stop, stopped) = watch::channel(false);
    let error = house.follower.run(stopped).await.unwrap_err();
    assert!(matches!(error, FollowError::Sink(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the node does within the limit and however often the house restarts, the sink ends
    /// with the node's chain.
    #[test]
    fn the_sink_always_ends_with_the_nodes_chain(
        moves in prop::collection::vec((0usize..=LIMIT, 1usize..4, 0usize..6, any::<bool>()), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut house = house(options());
            house.catch_up().await.unwrap();
            for (n, (depth, more, steps, restart)) in moves.into_iter().enumerate() {
                let length = house.node.chain.lock().unwrap().len();
                let keep = length.saturating_sub(depth);
                house.node.rewrite(keep, depth + more, u32::try_from(n).unwrap() + 1);
                for _ in 0..steps {
                    house.follower.step().await.unwrap();
                }
                if restart {
                    house.restart(options());
                }
                house.catch_up().await.unwrap();
                assert!(house.agrees());
            }
        });
    }
}
