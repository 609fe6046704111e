//! Extranonces of gateways that know nothing of each other. (Of one that was killed, `kill.rs`; of one clock that goes back, `lane.rs`.)

use crate::miner::class;
use crate::node::{FakeMachines, FakeNode, gateway_options, lane_options, soon};
use crate::peer::Peer;
use gruve_sharelog::{Options, ShareLog};
use gruve_stratum::{Gateway, LaneWork};
use gruve_units::{ManualClock, SeededEntropy, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// A gateway of its own on the same node, started in the same microsecond.
async fn gateway(
    dir: &Path,
    node: Arc<FakeNode>,
    clock: Arc<ManualClock>,
    seed: u64,
) -> (LaneWork, Gateway) {
    let log = ShareLog::open(dir, Options::default()).unwrap();
    let mut lane = lane_options(node, &log, clock);
    lane.entropy = Arc::new(SeededEntropy::new(seed));
    let work = LaneWork::start(lane).unwrap();
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(4), class(4)), class(4));
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
    (work, gateway)
}

/// Both draw the same extranonce 1 (from equal seeds here, by chance elsewhere), and all else that a miner is given is
/// the same: the node's template, the stamp, the time. What tells their headers apart is the job's number in the coinbase.
#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_that_give_the_same_extranonce_1_give_no_header_twice() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let node = FakeNode::new(clock.clone());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut houses = Vec::new();
    let mut jobs = Vec::new();
    for (dir, seed) in [(&one, 1), (&other, 2)] {
        let (work, gateway) = gateway(dir.path(), node.clone(), clock.clone(), seed).await;
        let mut peer = Peer::connect(gateway.address());
        peer.begin("house.m1");
        jobs.push(peer.job.clone().unwrap());
        houses.push((work, gateway, peer));
    }
    let [first, second] = &jobs[..] else { unreachable!() };
    assert_eq!(first.extranonce1, second.extranonce1, "what this is about");
    assert_eq!(first.coinbase_prefix.len(), second.coinbase_prefix.len());
    let mut alike = second.clone();
    alike.coinbase_prefix.clone_from(&first.coinbase_prefix);
    alike.id.clone_from(&first.id);
    assert_eq!(&alike, first, "nothing else differs");
    assert_ne!(first.coinbase_prefix, second.coinbase_prefix);
    assert_ne!(first.id, second.id);
    for (work, gateway, peer) in houses {
        drop(peer);
        soon(gateway.shutdown()).await;
        soon(work.stop()).await;
    }
}
