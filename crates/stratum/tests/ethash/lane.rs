//! Works, epochs, seals and solutions of a lane, with a clock moved by hand.

use crate::node::{
    FakeNode, all_records, easy_work, lane_options, record, shared_lane, soon, state,
};
use crate::rig::{HARD, START, class, mine_some, node_work, pow};
use gruve_chain::NodeError;
use gruve_sharelog::{BlockRecord, Extranonce, Options, Owner, Record, ShareLog, ShareRecord};
use gruve_stratum::eth::verify::Caches;
use gruve_stratum::eth::{EpochForm, EthLane, EthState, EthWork};
use gruve_stratum::protocol::Lane as _;
use gruve_units::{Clock as _, Duration, EpochRule, MachineId, ManualClock, Timestamp};
use std::path::Path;
use std::sync::Arc;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(START)))
}

fn open(dir: &Path) -> ShareLog {
    ShareLog::open(dir, Options::default()).unwrap()
}

fn rule() -> EpochRule {
    EpochRule::new(Duration::from_secs(100), Duration::from_secs(10)).unwrap()
}

fn share(work: &EthWork, nonce: u64) -> ShareRecord {
    ShareRecord {
        job: work.id,
        epoch: work.epoch,
        class: class(2),
        owner: Owner::House,
        machine: MachineId::from_bytes([1; 16]),
        extranonce: Extranonce::new(&nonce.to_be_bytes()).unwrap(),
        ntime: 0,
        nonce: 0,
        version: 0,
        at: Timestamp(0),
    }
}

fn on(header: u8) -> impl Fn(&EthState) -> bool {
    move |s| s.current.header_hash == [header; 32]
}

#[tokio::test]
async fn a_work_is_in_the_log_before_anybody_sees_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let node = FakeNode::new(easy_work(1, 100));
    let lane = shared_lane(node.clone(), &log, clock());
    let first = state(&lane, on(1)).await;
    assert_eq!(all_records(&log), [Record::EthWork(first.current.record())]);
    node.give(easy_work(2, 101));
    let second = state(&lane, on(2)).await;
    assert!(second.current.id > first.current.id);
    assert!(second.is_stale(&first.current) && second.on_header(&[1; 32]).is_some());
    assert_eq!(all_records(&log)[1], Record::EthWork(second.current.record()));
}

#[tokio::test]
async fn an_epoch_border_logs_the_same_header_anew_and_the_log_is_sealed_after_the_grace() {
    let dir = tempfile::tempdir().unwrap();
    let (log, clock) = (open(dir.path()), clock());
    let lane = shared_lane(FakeNode::new(easy_work(1, 100)), &log, clock.clone());
    let first = state(&lane, on(1)).await;
    let epoch = first.current.epoch;
    clock.set(rule().end(epoch));
    let second = state(&lane, |s| s.current.epoch == epoch.next()).await;
    assert_eq!(second.current.name(), first.current.name());
    assert_eq!(second.live.len(), 1);
    assert!(second.current.id > first.current.id);
    let mut accepted = Vec::new();
    log.append_shares([&share(&first.current, 1)], &mut accepted).unwrap();
    assert_eq!(accepted, [true], "late, but within the grace");
    clock.set(rule().seal_at(epoch));
    record(&log, |r| matches!(r, Record::Seal { epoch: e, .. } if *e == epoch)).await;
    log.append_shares([&share(&first.current, 2)], &mut accepted).unwrap();
    assert_eq!(accepted, [true], "late, for the next epoch");
    let last = epoch.next().next();
    clock.set(rule().seal_at(last));
    record(&log, |r| matches!(r, Record::Seal { epoch, .. } if *epoch == last)).await;
    log.append_shares([&share(&first.current, 3)], &mut accepted).unwrap();
    assert_eq!(accepted, [false], "too late for any");
}

#[tokio::test]
async fn a_restart_neither_repeats_a_number_nor_forgets_a_nonce_of_the_header_it_finds_again() {
    let dir = tempfile::tempdir().unwrap();
    let (log, clock) = (open(dir.path()), clock());
    let node = FakeNode::new(easy_work(0x51, 100));
    let lane = shared_lane(node.clone(), &log, clock.clone());
    let before = state(&lane, on(0x51)).await;
    let counted = mine_some(0x51, 0, 2, 2);
    log.append_shares([&share(&before.current, counted[0].0)], &mut Vec::new()).unwrap();
    lane.stop().await;
    drop((lane, log));
    // The clock has gone back meanwhile.
    clock.set(Timestamp::from_secs(START - 5));
    let log = open(dir.path());
    let lane = shared_lane(node, &log, clock);
    let after = state(&lane, on(0x51)).await;
    assert!(after.current.id > before.current.id);
    let mut hall = crate::rig::Hall::new();
    hall.state = Some(after);
    let mut rig = hall.connect();
    rig.proxy();
    assert_eq!(rig.submit_work(0x51, counted[0]), 22);
    assert_eq!(rig.submit_work(0x51, counted[1]), 0);
}

#[tokio::test]
async fn a_header_that_was_given_before_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let node = FakeNode::new(easy_work(1, 100));
    let lane = shared_lane(node.clone(), &log, clock());
    state(&lane, on(1)).await;
    node.give(easy_work(2, 101));
    state(&lane, on(2)).await;
    node.give(easy_work(1, 100));
    node.asked_again().await;
    node.give(easy_work(3, 102));
    let third = state(&lane, on(3)).await;
    let headers: Vec<u8> = third.live.iter().map(|w| w.header_hash[0]).collect();
    assert_eq!(headers, [1, 2, 3]);
    assert_eq!(all_records(&log).len(), 3);
}

#[tokio::test]
async fn a_solution_is_journalled_first_and_sent_again_after_a_crash_until_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let node = FakeNode::new(node_work(1, Some(100), class(2)));
    *node.takes.lock().unwrap() = Err(NodeError::NotReady("down".to_owned()));
    let lane = shared_lane(node.clone(), &log, clock());
    let work = state(&lane, on(1)).await;
    let mut solutions = node.solutions.subscribe();
    let block = [&7u64.to_be_bytes()[..], &[1; 32], &[9; 32]].concat();
    lane.found(BlockRecord {
        share: share(&work.current, 7),
        block_hash: [0; 32],
        height: 100,
        block: block.clone(),
    });
    assert!(all_records(&log).iter().any(|r| matches!(r, Record::Block(b) if b.block == block)));
    soon(solutions.wait_for(|s| !s.is_empty())).await.unwrap();
    assert_eq!(lane.blocks_found(), 1);
    drop(lane);
    assert_eq!(log.unconfirmed_blocks().unwrap().len(), 1);
    node.solutions.send_modify(Vec::clear);
    *node.takes.lock().unwrap() = Ok(true);
    let lane = shared_lane(node.clone(), &log, clock());
    soon(solutions.wait_for(|s| s.first() == Some(&(7, [1; 32], [9; 32])))).await.unwrap();
    record(&log, |r| matches!(r, Record::BlockOutcome { accepted: true, .. })).await;
    assert!(log.unconfirmed_blocks().unwrap().is_empty());
    drop(lane);
}

#[tokio::test]
async fn a_node_that_talks_nonsense_gives_no_work_and_is_listened_to_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut wrong_seed = easy_work(1, 100);
    wrong_seed.seed_hash = [7; 32];
    let node = FakeNode::new(wrong_seed);
    let lane = shared_lane(node.clone(), &log, clock());
    node.asked_again().await;
    // Also an epoch beyond any chain's, and a seed that nobody knows.
    let mut wild = wrong_seed;
    wild.height = Some(u64::MAX);
    node.give(wild);
    node.asked_again().await;
    wild.height = None;
    node.give(wild);
    node.asked_again().await;
    *node.work.lock().unwrap() = Err(NodeError::NotReady("syncing".to_owned()));
    node.asked_again().await;
    assert!(lane.jobs().borrow().is_none() && all_records(&log).is_empty());
    node.give(easy_work(2, 100));
    state(&lane, on(2)).await;
}

#[tokio::test]
async fn nothing_is_given_while_the_clock_is_hours_ahead_of_the_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, clock) = (open(dir.path()), clock());
    let node = FakeNode::new(easy_work(1, 100));
    *node.time.lock().unwrap() = Some(Timestamp::from_secs(START - 3 * 3_600));
    let lane = shared_lane(node.clone(), &log, clock.clone());
    node.asked_again().await;
    assert!(lane.jobs().borrow().is_none());
    *node.time.lock().unwrap() = Some(clock.now());
    state(&lane, on(1)).await;
}

#[tokio::test]
async fn the_next_epochs_cache_is_made_ahead_and_no_more_are_held_than_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let seed = |epoch: u64| {
        use gruve_pow::ethash::EthashEpoch;
        EthashEpoch::new(gruve_units::Algorithm::Ethash, epoch).unwrap().seed_hash()
    };
    let at = |header: u8, height: u64| {
        let mut work = easy_work(header, height);
        work.seed_hash = seed(height / 30_000);
        work
    };
    let caches = Caches::default();
    let node = FakeNode::new(at(1, 29_000));
    let options = lane_options(node.clone(), &log, clock(), caches.clone());
    assert_eq!(options.form, EpochForm::ETHASH);
    let lane = EthLane::start(options).unwrap();
    let held = || {
        let mut held: Vec<u32> = caches.held().iter().map(|(e, _)| e.number()).collect();
        held.sort_unstable();
        held
    };
    state(&lane, on(1)).await;
    assert_eq!(held(), [0]);
    node.give(at(2, 29_700));
    state(&lane, on(2)).await;
    assert_eq!(held(), [0, 1], "the border is near");
    node.give(at(3, 30_000));
    let third = state(&lane, on(3)).await;
    assert_eq!(third.current.algorithm_epoch().number(), 1);
    // Works of epoch 0 live still, so its cache stays; a third may come, a fourth not.
    node.give(at(4, 60_000));
    state(&lane, on(4)).await;
    assert_eq!(held(), [0, 1, 2]);
    node.give(at(5, 90_000));
    node.asked_again().await;
    assert_eq!(held(), [0, 1, 2]);
    node.give(at(6, 60_001));
    state(&lane, on(6)).await;
}

#[test]
fn hashes_come_in_the_order_they_were_asked_for_and_agree_with_the_vectors() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/ethash.json"));
    let vectors: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let bytes = |v: &serde_json::Value| {
        let mut out = [0; 32];
        hex::decode_to_slice(v.as_str().unwrap(), &mut out).unwrap();
        out
    };
    let of_epoch_0: Vec<_> =
        vectors["ethash"].as_array().unwrap().iter().filter(|v| v["epoch"] == 0).collect();
    assert!(of_epoch_0.len() > 1);
    let tries: Vec<_> = of_epoch_0
        .iter()
        .map(|v| {
            let mut node = node_work(0, Some(0), class(HARD));
            node.header_hash = bytes(&v["header_hash"]);
            let nonce = u64::from_str_radix(v["nonce"].as_str().unwrap(), 16).unwrap();
            let id = gruve_units::JobId(1);
            let epoch = gruve_units::EpochNumber(1);
            (Arc::new(EthWork::new(id, epoch, &node, Timestamp(0), pow())), nonce)
        })
        .collect();
    for (v, solved) in of_epoch_0.iter().zip(gruve_stratum::eth::verify::solve_many(&tries)) {
        let mut last = bytes(&v["final_hash"]);
        last.reverse();
        assert_eq!((solved.mix, solved.pow_hash), (bytes(&v["mix_hash"]), last));
    }
}
