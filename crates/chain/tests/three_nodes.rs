//! Three real nodes, one killed, one stopped, one on a fork of its own: mining goes on, and how long it
//! is without fresh work is measured, printed and bounded.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stderr)]

mod real_node;

use gruve_chain::{
    GroupOptions, Job, JobSpec, Node, NodeGroup, RpcNode, Standing, SubmitOutcome, Template,
    address_for_script, hash_to_text, parse_block,
};
use gruve_pow::pow_hash;
use gruve_units::{Class, EpochNumber, JobId};
use real_node::{Program, RealNode, wait_until};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXTRANONCE: [u8; 12] = *b"extra-nonce!";

/// A refused connection is known at once; a template of a small regtest chain takes milliseconds. The
/// rest is for a loaded machine.
const WITHOUT_WORK_AFTER_A_DEATH: Duration = Duration::from_secs(3);
/// [`GroupOptions::patience`] once for the template, then as above.
const WITHOUT_WORK_AFTER_A_STALL: Duration = Duration::from_secs(8);

/// The block of the first nonce whose hash meets the target.
fn solve(template: Template) -> Vec<u8> {
    let script = [&[0, 20][..], &[0x51; 20]].concat();
    let spec = JobSpec {
        id: JobId(7),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [0xc0; 32],
        tag: b"/gruve/".to_vec(),
        pay_to: vec![(script, template.coinbase_value)],
        extranonce_len: EXTRANONCE.len(),
    };
    let job = Job::build(Arc::new(template), spec).unwrap();
    let class = Class::new(1).unwrap();
    let algorithm = Program::Bitcoind.params().algorithm;
    let header = (0..)
        .map(|nonce| job.header(class, &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| job.network_target().is_met_by(&pow_hash(algorithm, h)));
    job.block(class, &EXTRANONCE, &header.unwrap())
}

/// Mines on what the group gives; every block must be taken. Remembers all of them, and the longest
/// time between asking for work and having it.
struct Mine<'a> {
    group: &'a NodeGroup,
    found: Vec<[u8; 32]>,
}

impl Mine<'_> {
    async fn blocks(&mut self, count: usize) -> Duration {
        let mut longest = Duration::ZERO;
        for _ in 0..count {
            let asked = Instant::now();
            let template = self.group.template(None).await.unwrap();
            longest = longest.max(asked.elapsed());
            let block = solve(template);
            let outcome = self.group.submit_block(&block).await.unwrap();
            // A node that has it from another one already may answer first.
            let is_taken = matches!(outcome, SubmitOutcome::Accepted | SubmitOutcome::Duplicate);
            assert!(is_taken, "{outcome:?}");
            self.found.push(parse_block(&block, &Program::Bitcoind.params()).unwrap().hash);
        }
        longest
    }
}

async fn are_at_one(a: &RpcNode, b: &RpcNode) -> bool {
    match (a.tip().await, b.tip().await) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Another than `theirs`, so that the blocks differ.
fn fork_script() -> Vec<u8> {
    [&[0, 20][..], &[8; 20]].concat()
}

fn chosen(group: &NodeGroup) -> usize {
    group.health().iter().position(|node| node.is_chosen).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mining_goes_on_though_one_node_dies_one_is_stopped_and_one_is_on_a_fork() {
    let first = RealNode::start(Program::Bitcoind, None).await;
    let second = RealNode::start(Program::Bitcoind, Some(&first)).await;
    let to_second = format!("-addnode={}", second.p2p_address());
    let third = RealNode::start_with(Program::Bitcoind, Some(&first), &[&to_second]).await;
    let mut nodes = [first, second, third];
    wait_until("all are connected", async || {
        nodes[1].rpc().info().await.is_ok_and(|info| info.peers > 1)
    })
    .await;
    // As the house uses them.
    let options = GroupOptions::default();
    let seat = |node: &RealNode| (node.url(), Arc::new(node.rpc()) as Arc<dyn Node>);
    let seats = nodes.iter().map(seat).collect();
    let group = NodeGroup::start(Program::Bitcoind.params(), seats, options);
    group.check_chain().await.unwrap();
    let mut mine = Mine { group: &group, found: Vec::new() };
    mine.blocks(5).await;
    wait_until("all have our blocks", async || {
        are_at_one(&nodes[0].rpc(), &nodes[1].rpc()).await
            && are_at_one(&nodes[0].rpc(), &nodes[2].rpc()).await
    })
    .await;

    let dead = chosen(&group);
    nodes[dead].kill();
    let without = mine.blocks(5).await;
    eprintln!("without fresh work after the chosen node was killed: {without:?}");
    assert!(without < WITHOUT_WORK_AFTER_A_DEATH, "{without:?}");

    // Somebody else's three blocks; then one node is alone on a fork without them, one block behind.
    let good = chosen(&group);
    let alone = 3 - dead - good;
    let (b, c) = (&nodes[good], &nodes[alone]);
    let (of_b, of_c) = (b.rpc(), c.rpc());
    let theirs = [&[0, 20][..], &[9; 20]].concat();
    let theirs = address_for_script(&Program::Bitcoind.params(), &theirs).unwrap();
    b.generate(3, &theirs).await;
    wait_until("both have them", async || are_at_one(&of_b, &of_c).await).await;
    c.call("setnetworkactive", json!([false])).await;
    let height = of_c.tip().await.unwrap().height;
    let first = of_c.block_hash(height - 2).await.unwrap().unwrap();
    c.call("invalidateblock", json!([hash_to_text(&first)])).await;
    c.generate(2, &address_for_script(&Program::Bitcoind.params(), &fork_script()).unwrap()).await;
    assert!(!are_at_one(&of_b, &of_c).await);
    wait_until("the group has seen where the nodes are", async || {
        let health = group.health();
        (health[good].height, health[alone].height) == (Some(height), Some(height - 1))
    })
    .await;
    assert_eq!(chosen(&group), good, "the node on the fork is not the one to follow");

    b.pause();
    let without = mine.blocks(5).await;
    eprintln!("without fresh work after the chosen node was stopped: {without:?}");
    assert!(without < WITHOUT_WORK_AFTER_A_STALL, "{without:?}");
    assert_eq!(chosen(&group), alone);
    assert_eq!(group.health()[good].standing, Standing::Down);
    // Only the first call waits for the silent node.
    let again = mine.blocks(3).await;
    eprintln!("and after that: {again:?}");
    assert!(again < options.patience, "{again:?}");

    b.resume();
    c.call("setnetworkactive", json!([true])).await;
    c.call("addnode", json!([b.p2p_address(), "onetry"])).await;
    wait_until("both are on one chain again", async || are_at_one(&of_b, &of_c).await).await;
    wait_until("the stopped node is used again", async || {
        group.health()[good].standing == Standing::Ready
    })
    .await;
    mine.blocks(2).await;
    let mut on_chain = Vec::new();
    for height in 1..=of_c.tip().await.unwrap().height {
        on_chain.push(of_c.block_hash(height).await.unwrap().unwrap());
    }
    let lost: Vec<_> = mine.found.iter().filter(|hash| !on_chain.contains(hash)).collect();
    assert_eq!((mine.found.len(), lost.len()), (20, 0), "a block of ours was lost");
}
