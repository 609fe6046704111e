//! A new block is told to miners before the node has a template on it.

use crate::miner::EASY;
use crate::node::{BITS, FakeNode, lane_options, soon};
use gruve_chain::devchain::{DevChain, DevParams, Difficulty};
use gruve_chain::{Node, RpcNode, TemplateTx, parse_block};
use gruve_sharelog::{Options, ShareLog};
use gruve_stratum::{LaneWork, WorkState};
use gruve_units::{Algorithm, Asset, Class, SeededEntropy, SystemClock};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::watch;

type Jobs = watch::Receiver<Option<Arc<WorkState>>>;

fn lane(dir: &Path, node: Arc<dyn Node>) -> (LaneWork, Jobs) {
    let log = ShareLog::open(dir, Options::default()).unwrap();
    let work = LaneWork::start(lane_options(node, &log, Arc::new(SystemClock))).unwrap();
    let jobs = work.jobs();
    (work, jobs)
}

async fn state(jobs: &mut Jobs, wanted: impl Fn(&WorkState) -> bool) -> Arc<WorkState> {
    let found = soon(jobs.wait_for(|s| s.as_ref().is_some_and(|s| wanted(s)))).await;
    found.unwrap().clone().unwrap()
}

fn on(prev: [u8; 32]) -> impl Fn(&WorkState) -> bool {
    move |s| *s.current.job().prev_hash() == prev
}

fn has_transactions(state: &WorkState) -> bool {
    !state.current.job().template().txs.is_empty()
}

fn a_transaction() -> TemplateTx {
    TemplateTx { data: vec![1; 60], txid: [0x11; 32], wtxid: [0x11; 32] }
}

fn teller() -> Arc<FakeNode> {
    let node = FakeNode::with(Arc::new(SystemClock), true, BITS);
    node.tells_tips.store(true, Ordering::SeqCst);
    node.txs.lock().unwrap().push(a_transaction());
    node
}

#[tokio::test]
async fn an_empty_job_on_a_new_tip_does_not_wait_for_its_template() {
    let dir = tempfile::tempdir().unwrap();
    let node = teller();
    let (_work, mut jobs) = lane(dir.path(), node.clone());
    state(&mut jobs, |s| on([7; 32])(s) && has_transactions(s)).await;

    node.gate.send_replace(false);
    node.move_tip(9);
    let early = state(&mut jobs, on([9; 32])).await;
    let template = early.current.job().template();
    assert!(template.txs.is_empty() && early.current.job().branch().is_empty());
    assert_eq!((template.height, template.coinbase_value), (12, 5_000_000_000));
    assert_eq!(template.bits, BITS);
    assert!(template.min_time > template.cur_time - 700 && template.min_time < template.cur_time);

    node.gate.send_replace(true);
    let full = state(&mut jobs, |s| on([9; 32])(s) && has_transactions(s)).await;
    assert!(!full.is_stale(early.current.job()), "work on the empty job still counts");
    assert!(full.holds(early.current.job().id()));
}

#[tokio::test]
async fn a_template_that_is_the_foreseen_block_makes_no_second_job() {
    let dir = tempfile::tempdir().unwrap();
    let node = teller();
    node.txs.lock().unwrap().clear();
    let (_work, mut jobs) = lane(dir.path(), node.clone());
    state(&mut jobs, on([7; 32])).await;
    node.move_tip(9);
    let early = state(&mut jobs, on([9; 32])).await;
    node.move_tip(10);
    let later = state(&mut jobs, on([10; 32])).await;
    let between = later.live.iter().filter(|l| *l.job().prev_hash() == [9; 32]);
    assert_eq!(between.count(), 1);
    assert!(later.holds(early.current.job().id()));
}

#[tokio::test]
async fn a_node_that_stops_telling_is_long_polled() {
    let dir = tempfile::tempdir().unwrap();
    let node = teller();
    let (_work, mut jobs) = lane(dir.path(), node.clone());
    state(&mut jobs, on([7; 32])).await;
    node.tells_tips.store(false, Ordering::SeqCst);
    for tip in [8, 9, 10] {
        node.move_tip(tip);
        state(&mut jobs, |s| on([tip; 32])(s) && has_transactions(s)).await;
    }
}

/// The development chain with a fixed target, whose node speaks of new tips as Bitcoin Core does.
#[tokio::test]
async fn a_block_found_on_the_empty_job_is_taken_by_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = DevParams::new(Asset::Btc, Algorithm::Sha256d);
    params.difficulty = Difficulty::Fixed { bits: EASY };
    params.premine_coins = 0;
    let chain_params = params.chain_params().unwrap();
    let entropy = Arc::new(SeededEntropy::new(3));
    let chain = DevChain::open(&dir.path().join("chain"), params, Arc::new(SystemClock), entropy);
    let chain = chain.unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = chain.serve(listener, "user", "secret").unwrap();
    let node = Arc::new(RpcNode::new(&server.url(), "user", "secret", chain_params).unwrap());
    let (work, mut jobs) = lane(&dir.path().join("log"), node.clone());
    state(&mut jobs, |s| s.current.job().height() == 1).await;
    let address = chain.call("getnewaddress", &json!([])).unwrap();

    for height in [1, 3, 5] {
        chain.call("generatetoaddress", &json!([1, address])).unwrap();
        let state = state(&mut jobs, |s| s.current.job().height() == height + 1).await;
        let job = state.current.job();
        assert!(job.template().txs.is_empty());
        assert!(job.template().witness_commitment.is_some());
        let (class, extranonce) = (Class::new(0).unwrap(), [5; 12]);
        let header = (0..)
            .map(|nonce| job.header(class, &extranonce, job.version(), job.ntime(), nonce))
            .find(|h| job.network_target().is_met_by(&gruve_pow::sha256d(h)));
        let block = job.block(class, &extranonce, &header.unwrap());
        let outcome = node.submit_block(&block).await.unwrap();
        assert_eq!(outcome, gruve_chain::SubmitOutcome::Accepted);
        let tip = node.tip().await.unwrap();
        assert_eq!(tip.hash, parse_block(&block, &chain_params).unwrap().hash);
    }
    work.stop().await;
    server.stop().await;
}
