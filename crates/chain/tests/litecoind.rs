//! What this room builds, a real Litecoin node takes; what it should not take, it refuses for the
//! reason expected.
#![allow(clippy::unwrap_used, missing_docs)]

mod real_node;

use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::{
    BlockRef, ChainParams, ChainSink, FollowedBlock, Follower, Job, JobSpec, NetworkName, Node,
    NodeError, RpcNode, SendOutcome, SinkError, SubmitOutcome, Template, TransactionPlace,
    address_for_script, hash_from_text, hash_to_text, params_for, parse_block, script_for_address,
};
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Asset, Blame, Blamed, Class, EpochNumber, JobId};
use real_node::{Mweb, RealNode, RealPair};
use serde_json::json;
use std::sync::{Arc, Mutex};

const EXTRANONCE: [u8; 12] = *b"extra-nonce!";

fn params() -> ChainParams {
    params_for(Asset::Ltc, NetworkName::Regtest).unwrap()
}

fn class() -> Class {
    Class::new(1).unwrap()
}

fn our_script() -> Vec<u8> {
    [&[0, 20][..], &[0x51; 20]].concat()
}

fn job(template: Template) -> Job {
    let pay_to = vec![(our_script(), template.coinbase_value)];
    let spec = JobSpec {
        id: JobId(7),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [0xc0; 32],
        tag: b"/gruve/".to_vec(),
        pay_to,
        extranonce_len: EXTRANONCE.len(),
    };
    Job::build(Arc::new(template), spec).unwrap()
}

/// The block of the first nonce whose hash meets the target, or of the first that does not.
fn solve(job: &Job, meets: bool) -> Vec<u8> {
    let header = (0..)
        .map(|nonce| job.header(class(), &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| job.network_target().is_met_by(&pow_hash(Algorithm::Scrypt, h)) == meets);
    job.block(class(), &EXTRANONCE, &header.unwrap())
}

async fn mine(node: &RpcNode) -> (Job, Vec<u8>) {
    let job = job(node.template(None).await.unwrap());
    let block = solve(&job, true);
    assert_eq!(node.submit_block(&block).await.unwrap(), SubmitOutcome::Accepted);
    let tip = node.tip().await.unwrap();
    let parsed = parse_block(&block, &params()).unwrap();
    assert_eq!(tip, BlockRef { height: job.height(), hash: parsed.hash });
    assert_eq!(node.block(&tip.hash).await.unwrap(), block, "the node keeps the same bytes");
    (job, block)
}

#[tokio::test]
async fn our_blocks_are_accepted_and_a_known_one_is_a_duplicate() {
    let pair = RealPair::start(Mweb::Activates).await;
    let node = pair.node.rpc();
    node.check_chain().await.unwrap();
    let mut last = Vec::new();
    for height in 1..=20 {
        let (job, block) = mine(&node).await;
        assert_eq!(job.height(), height);
        last = block;
    }
    assert_eq!(node.submit_block(&last).await.unwrap(), SubmitOutcome::Duplicate);
    let info = node.info().await.unwrap();
    assert_eq!((info.chain.as_str(), info.blocks, info.headers), ("regtest", 20, 20));
    assert_eq!(node.block_hash(21).await.unwrap(), None);
    assert_eq!(node.fee_rate(6).await.unwrap(), None);
    real_node::wait_until("the peer has our blocks", async || {
        pair.peer.rpc().tip().await.is_ok_and(|tip| tip.height == 20)
    })
    .await;
}

#[tokio::test]
async fn wrong_blocks_are_refused_for_their_reason_beside_a_good_one() {
    let pair = RealPair::start(Mweb::Never).await;
    let node = pair.node.rpc();
    // Regtest asks for the height in the coinbase from block 500 on.
    let address = address_for_script(&params(), &our_script()).unwrap();
    pair.node.generate(500, &address).await;
    let template = node.template(None).await.unwrap();

    let mut overpaying = template.clone();
    overpaying.coinbase_value += 1;
    let mut misplaced = template.clone();
    misplaced.height += 1;
    let mut uncommitted = template.clone();
    let commitment = uncommitted.witness_commitment.as_mut().unwrap();
    *commitment.last_mut().unwrap() ^= 1;
    let mut early = template.clone();
    early.cur_time = template.min_time - 1;
    early.min_time = template.min_time - 1;

    let good = job(template);
    let refused = [
        (solve(&job(overpaying), true), "bad-cb-amount"),
        (solve(&job(misplaced), true), "bad-cb-height"),
        (solve(&job(uncommitted), true), "bad-witness-merkle-match"),
        (solve(&job(early), true), "time-too-old"),
        (solve(&good, false), "high-hash"),
        (solve(&good, true)[..100].to_vec(), "Block decode failed"),
    ];
    for (block, reason) in refused {
        let outcome = node.submit_block(&block).await.unwrap();
        assert_eq!(outcome, SubmitOutcome::Rejected(reason.to_owned()));
    }
    let block = solve(&good, true);
    assert_eq!(node.submit_block(&block).await.unwrap(), SubmitOutcome::Accepted);
}

#[tokio::test]
async fn blocks_with_and_before_the_extension_block_are_accepted() {
    let pair = RealPair::start(Mweb::Activates).await;
    let node = pair.node.rpc();
    pair.node.make_wallet().await;
    let address = pair.node.new_address("bech32").await;
    pair.node.generate(431, &address).await;
    let hidden = pair.node.new_address("mweb").await;
    assert!(script_for_address(&params(), &hidden).is_err(), "no output script: {hidden}");
    pair.node.call("sendtoaddress", json!([hidden, "3.5"])).await;

    for height in 432..=436 {
        // The wallet pays a transparent address as well, so that witnesses stand in the block.
        pair.node.call("sendtoaddress", json!([address, "0.25"])).await;
        let (job, block) = mine(&node).await;
        assert_eq!(job.height(), height);
        assert!(job.template().mweb.is_some(), "no extension block at {height}");
        let parsed = parse_block(&block, &params()).unwrap();
        assert!(parsed.txs.last().unwrap().hogex);
        for (ours, theirs) in parsed.txs.iter().skip(1).zip(&job.template().txs) {
            assert_eq!(ours.txid, theirs.txid);
        }
        let mut bare = Template::clone(job.template());
        bare.mweb = None;
        bare.prev_hash = parsed.hash;
        bare.height += 1;
        let refused = node.submit_block(&solve(&self::job(bare), true)).await.unwrap();
        assert_eq!(refused, SubmitOutcome::Rejected("Block decode failed".into()));
    }
}

#[tokio::test]
async fn blocks_with_witness_transactions_are_accepted_without_the_extension_block() {
    let pair = RealPair::start(Mweb::Never).await;
    let node = pair.node.rpc();
    pair.node.make_wallet().await;
    let address = pair.node.new_address("bech32").await;
    pair.node.generate(435, &address).await;
    let mut sent = Vec::new();
    for _ in 0..6 {
        let id = pair.node.call("sendtoaddress", json!([address, "0.25"])).await;
        sent.push(hash_from_text(id.as_str().unwrap()).unwrap());
    }
    for id in &sent {
        let place = node.transaction_in_mempool_or_block(id).await.unwrap();
        assert_eq!(place, TransactionPlace::Mempool);
    }
    pair.node.generate(1, &address).await; // a new tip makes the node's cached template fresh
    for _ in 0..2 {
        let id = pair.node.call("sendtoaddress", json!([address, "0.25"])).await;
        sent.push(hash_from_text(id.as_str().unwrap()).unwrap());
    }
    let (job, block) = mine(&node).await;
    assert!(job.template().mweb.is_none());
    assert!(job.template().txs.len() >= 2);
    assert!(job.template().txs.iter().all(|tx| tx.txid != tx.wtxid), "witnesses are there");
    let parsed = parse_block(&block, &params()).unwrap();
    assert_eq!(parsed.txs[0].outputs[0].value, job.template().coinbase_value);
    let place = node.transaction_in_mempool_or_block(&[9; 32]).await.unwrap();
    assert_eq!(place, TransactionPlace::Unknown);
}

#[tokio::test]
async fn a_transaction_sent_twice_is_known_and_a_bad_one_refused() {
    let pair = RealPair::start(Mweb::Never).await;
    let node = pair.node.rpc();
    pair.node.make_wallet().await;
    let address = pair.node.new_address("bech32").await;
    pair.node.generate(101, &address).await;
    let outputs = json!([[], [{ address.as_str(): "1.5" }]]);
    let raw = pair.node.call("createrawtransaction", outputs).await;
    let fund = async || pair.node.call("fundrawtransaction", json!([raw])).await;
    let funded = fund().await;
    let signed = pair.node.call("signrawtransactionwithwallet", json!([funded["hex"]])).await;
    let bytes = hex::decode(signed["hex"].as_str().unwrap()).unwrap();
    assert_eq!(node.send_transaction(&bytes).await.unwrap(), SendOutcome::Accepted);
    let again = node.send_transaction(&bytes).await.unwrap();
    assert!(matches!(again, SendOutcome::Accepted | SendOutcome::AlreadyKnown), "{again:?}");
    pair.node.generate(1, &address).await;
    assert_eq!(node.send_transaction(&bytes).await.unwrap(), SendOutcome::AlreadyKnown);

    let unsigned = hex::decode(fund().await["hex"].as_str().unwrap()).unwrap();
    let refused = node.send_transaction(&unsigned).await.unwrap();
    assert!(matches!(refused, SendOutcome::Rejected(_)), "{refused:?}");
    let garbage = node.send_transaction(&[1, 2, 3]).await.unwrap();
    assert!(matches!(garbage, SendOutcome::Rejected(_)), "{garbage:?}");
}

#[tokio::test]
async fn a_node_alone_or_a_wrong_password_is_told_apart() {
    let alone = RealNode::start(Mweb::Never, None).await;
    let error = alone.rpc().template(None).await.unwrap_err();
    assert!(matches!(error, NodeError::NotReady(_)), "{error}");
    assert_eq!(error.blame(), Blame::Transient);

    let stranger = RpcNode::new(&alone.url(), "gruve", "guess", params()).unwrap();
    let error = stranger.tip().await.unwrap_err();
    assert!(matches!(error, NodeError::Unauthorised { status: 401, .. }), "{error}");
    assert_eq!(error.blame(), Blame::Fatal);

    let main = params_for(Asset::Ltc, NetworkName::Mainnet).unwrap();
    let bitcoin = params_for(Asset::Btc, NetworkName::Regtest).unwrap();
    for params in [main, bitcoin] {
        let node = RpcNode::new(&alone.url(), alone.user(), alone.password(), params).unwrap();
        let error = node.check_chain().await.unwrap_err();
        assert!(matches!(error, NodeError::WrongChain { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_long_poll_ends_when_a_block_arrives() {
    let pair = RealPair::start(Mweb::Never).await;
    let node = Arc::new(pair.node.rpc());
    mine(&node).await;
    let first = node.template(None).await.unwrap();
    let waiting = tokio::spawn({
        let (node, id) = (node.clone(), first.longpoll_id.clone().unwrap());
        async move { node.template(Some(&id)).await }
    });
    mine(&node).await;
    let second = waiting.await.unwrap().unwrap();
    assert_eq!(second.height, first.height + 1);
    assert_ne!(second.prev_hash, first.prev_hash);
}

#[tokio::test]
async fn addresses_are_those_of_the_node() {
    let node = RealNode::start(Mweb::Never, None).await;
    node.make_wallet().await;
    for kind in ["legacy", "p2sh-segwit", "bech32"] {
        let address = node.new_address(kind).await;
        let told = node.call("validateaddress", json!([address])).await;
        let script = script_for_address(&params(), &address).unwrap();
        assert_eq!(told["scriptPubKey"], json!(hex::encode(&script)), "{address}");
        assert_eq!(address_for_script(&params(), &script), Some(address));
    }
    let taproot = [&[0x51, 32][..], &[7; 32]].concat();
    let address = address_for_script(&params(), &taproot).unwrap();
    let told = node.call("validateaddress", json!([address])).await;
    assert_eq!(told["scriptPubKey"], json!(hex::encode(&taproot)), "{address}");
}

/// Remembers what it was told.
#[derive(Default)]
struct Memory(Mutex<Vec<BlockRef>>);

#[async_trait::async_trait]
impl ChainSink for Memory {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        Ok(self.0.lock().unwrap().iter().rev().take(limit).copied().collect())
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(block.to_ref());
        Ok(())
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        assert_eq!(self.0.lock().unwrap().pop(), Some(*block));
        Ok(())
    }
}

#[tokio::test]
async fn the_follower_goes_along_with_a_real_reorganisation() {
    let node = RealNode::start(Mweb::Never, None).await;
    node.make_wallet().await;
    let (ours, theirs) = (node.new_address("bech32").await, node.new_address("bech32").await);
    node.generate(10, &ours).await;
    let memory = Arc::new(Memory::default());
    let options =
        Options { reorg_limit: 8, start: Start::Height(1), ..Options::for_chain(&params()) };
    let follower = Follower::new(Arc::new(node.rpc()), params(), memory.clone(), options);
    let catch_up = async || {
        let mut steps = 0;
        while !matches!(follower.step().await.unwrap(), Progress::UpToDate(_)) {
            steps += 1;
        }
        steps
    };
    assert_eq!(catch_up().await, 10);

    let fork = node.rpc().block_hash(7).await.unwrap().unwrap();
    node.call("invalidateblock", json!([hash_to_text(&fork)])).await;
    assert_eq!(
        follower.step().await.unwrap(),
        Progress::NodeBehind { node: 6, ours: 10 },
        "a shorter chain alone takes nothing back"
    );
    node.generate(5, &theirs).await;
    assert_eq!(catch_up().await, 4 + 5);
    let blocks = memory.0.lock().unwrap().clone();
    assert_eq!(blocks.len(), 11);
    assert_eq!(Some(blocks[10].hash), node.rpc().block_hash(11).await.unwrap());
    assert_eq!(Some(blocks[6].hash), node.rpc().block_hash(7).await.unwrap());
}
