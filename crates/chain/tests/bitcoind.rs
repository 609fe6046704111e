//! What this room builds, a real Bitcoin node takes: whole blocks, and the empty one on a tip that it
//! has just told of. How it is waited for, on new and old nodes, and what its death costs.
#![allow(clippy::unwrap_used, missing_docs)]

mod real_node;

use gruve_chain::{
    BlockRef, ChainParams, GroupOptions, Job, JobSpec, Node, NodeGroup, RpcNode, Standing,
    SubmitOutcome, Template, address_for_script, hash_from_text, parse_block,
};
use gruve_pow::pow_hash;
use gruve_units::{Class, Duration, EpochNumber, JobId};
use real_node::{Mweb, Program, RealNode, RealPair, wait_until};
use serde_json::json;
use std::sync::Arc;

const EXTRANONCE: [u8; 12] = *b"extra-nonce!";

fn params() -> ChainParams {
    Program::Bitcoind.params()
}

fn our_script() -> Vec<u8> {
    [&[0, 20][..], &[0x51; 20]].concat()
}

fn our_address() -> String {
    address_for_script(&params(), &our_script()).unwrap()
}

/// The block of the first nonce whose hash meets the target.
fn solve(template: Template) -> Vec<u8> {
    let spec = JobSpec {
        id: JobId(7),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [0xc0; 32],
        tag: b"/gruve/".to_vec(),
        pay_to: vec![(our_script(), template.coinbase_value)],
        extranonce_len: EXTRANONCE.len(),
    };
    let job = Job::build(Arc::new(template), spec).unwrap();
    let class = Class::new(1).unwrap();
    let header = (0..)
        .map(|nonce| job.header(class, &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| job.network_target().is_met_by(&pow_hash(params().algorithm, h)));
    job.block(class, &EXTRANONCE, &header.unwrap())
}

async fn take(node: &dyn Node, block: &[u8]) -> BlockRef {
    assert_eq!(node.submit_block(block).await.unwrap(), SubmitOutcome::Accepted);
    let tip = node.tip().await.unwrap();
    assert_eq!(tip.hash, parse_block(block, &params()).unwrap().hash);
    tip
}

#[tokio::test]
async fn our_blocks_are_accepted_and_a_known_one_is_a_duplicate() {
    let real = RealNode::start(Program::Bitcoind, None).await;
    let node = real.rpc();
    node.check_chain().await.unwrap();
    let mut last = Vec::new();
    for height in 1..=20 {
        last = solve(node.template(None).await.unwrap());
        assert_eq!(take(&node, &last).await.height, height);
    }
    assert_eq!(node.submit_block(&last).await.unwrap(), SubmitOutcome::Duplicate);
    let mut greedy = node.template(None).await.unwrap();
    greedy.coinbase_value += 1;
    let refused = node.submit_block(&solve(greedy)).await.unwrap();
    assert_eq!(refused, SubmitOutcome::Rejected("bad-cb-amount".into()));
}

/// Halvings come every 150 blocks on regtest: the foreseen subsidy is tried on both sides of one.
#[tokio::test]
async fn the_empty_block_on_a_tip_just_told_of_is_a_block() {
    let real = RealNode::start(Program::Bitcoind, None).await;
    let node = real.rpc();
    let ours = our_address();
    real.generate(146, &ours).await;
    for _ in 0..4 {
        let last = node.template(None).await.unwrap();
        let known = last.tip();
        let (told, ()) = tokio::join!(node.next_tip(&known), real.generate(1, &ours));
        let notice = told.unwrap().unwrap();
        assert_eq!(notice.tip.height, known.height + 1);
        let empty = last.empty_on(&notice, Duration::ZERO, &params()).unwrap();
        let whole = node.template(None).await.unwrap();
        let same = Template {
            cur_time: whole.cur_time,
            longpoll_id: whole.longpoll_id.clone(),
            ..empty.clone()
        };
        assert_eq!(same, whole, "the node offers the same block");
        assert_eq!(take(&node, &solve(empty)).await.height, known.height + 2);
    }
    assert!(node.tip().await.unwrap().height > 151);
}

#[tokio::test]
async fn a_block_between_two_waits_is_told_at_once() {
    let bitcoin = RealNode::start(Program::Bitcoind, None).await;
    let litecoin = RealNode::start(Mweb::Never, None).await;
    // As an old Bitcoin Core: 0.21 knows `waitfornewblock` without the tip that the caller knows.
    let mut old = Program::Litecoind(Mweb::Never).params();
    old.mweb = false;
    let address = address_for_script(&old, &our_script()).unwrap();
    for (real, rpc, address) in
        [(&bitcoin, bitcoin.rpc(), our_address()), (&litecoin, litecoin.rpc_with(old), address)]
    {
        let known = rpc.tip().await.unwrap();
        real.generate(2, &address).await;
        let told = tokio::time::timeout(Duration::from_secs(5), rpc.next_tip(&known)).await;
        let notice = told.expect("not told").unwrap().unwrap();
        assert_eq!(notice.tip, rpc.tip().await.unwrap());
        assert_eq!(notice.bits, 0x207f_ffff);
        let header = real
            .call("getblockheader", json!([real.call("getbestblockhash", json!([])).await]))
            .await;
        assert_eq!(u64::from(notice.median_time), header["mediantime"].as_u64().unwrap());
    }
    let litecoin = litecoin.rpc();
    let tip = litecoin.tip().await.unwrap();
    assert_eq!(litecoin.next_tip(&tip).await.unwrap(), None, "no block is foreseen there");
}

#[tokio::test]
async fn one_of_two_nodes_may_die_and_a_block_goes_to_both() {
    let mut pair = RealPair::start(Program::Bitcoind).await;
    let seat = |node: &RealNode| (node.url(), Arc::new(node.rpc()) as Arc<dyn Node>);
    let options = GroupOptions { look: Duration::from_millis(50), ..GroupOptions::default() };
    let group = NodeGroup::start(params(), vec![seat(&pair.node), seat(&pair.peer)], options);
    group.check_chain().await.unwrap();
    let first = take(&group, &solve(group.template(None).await.unwrap())).await;
    let is_at = async |node: RpcNode| node.tip().await.is_ok_and(|tip| tip == first);
    wait_until("both have the block", async || {
        is_at(pair.node.rpc()).await && is_at(pair.peer.rpc()).await
    })
    .await;

    pair.node.kill();
    let second = take(&group, &solve(group.template(None).await.unwrap())).await;
    assert_eq!((first.height, second.height), (1, 2));
    wait_until("the death is seen", async || group.health()[0].standing == Standing::Down).await;
    assert!(group.health()[1].is_chosen);
    let ours = our_address();
    let (told, ()) = tokio::join!(group.next_tip(&second), pair.peer.generate(1, &ours));
    let hash = pair.peer.call("getblockhash", json!([3])).await;
    assert_eq!(Some(told.unwrap().unwrap().tip.hash), hash_from_text(hash.as_str().unwrap()));
}
