//! Merge-mining against the development chain, through the house's own client and jobs.

use crate::devchain_support::merge::AuxStandIn;
use gruve_chain::auxpow::{AuxBlock, AuxGroup, AuxNode, AuxProof, AuxWork};
use gruve_chain::{
    Job, JobSpec, Node, NodeError, RpcNode, SubmitOutcome, Template, hash_to_text, parse_block,
};
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Class, EpochNumber, JobId, Target};
use serde_json::json;
use std::sync::Arc;

const EXTRANONCE: [u8; 12] = [9; 12];
const CLASS: Class = Class::ZERO;

/// A job of a parent chain (which needs no node here) for an auxiliary block.
fn job(block: &AuxBlock) -> Job {
    let template = Template {
        height: 3_000_000,
        prev_hash: [2; 32],
        version: 0x2000_0000,
        bits: 0x1d00_ffff,
        min_time: 1,
        cur_time: 2,
        coinbase_value: 5,
        txs: vec![],
        witness_commitment: None,
        mweb: None,
        longpoll_id: None,
    };
    let spec = JobSpec {
        id: JobId(1),
        epoch: EpochNumber(7),
        checkpoint_epoch: EpochNumber(5),
        commitment: [0xcd; 32],
        tag: b"/gruve/".to_vec(),
        pay_to: vec![(vec![0x51; 22], 5)],
        extranonce_len: 12,
    };
    let aux = AuxWork::of(vec![block.clone()]).unwrap();
    Job::build_merged(Arc::new(template), vec![[9; 32]], spec, Some(Arc::new(aux))).unwrap()
}

/// The proof of the first nonce whose hash meets the auxiliary target, or of the first that does not.
fn solve(job: &Job, meets: bool) -> AuxProof {
    let leaf = &job.aux().unwrap().leaves()[0];
    let header = (0..)
        .map(|nonce| job.header(CLASS, &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| leaf.target.is_met_by(&pow_hash(Algorithm::Scrypt, h)) == meets);
    job.aux_proof(leaf, CLASS, &EXTRANONCE, &header.unwrap())
}

async fn address(node: &RpcNode) -> String {
    node.call("getnewaddress", json!([])).await.unwrap().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn merge_mined_blocks_are_taken_by_their_proof_and_read_back_with_it() {
    let doge = AuxStandIn::start();
    let node = &doge.node;
    node.check_chain().await.unwrap();
    let pay_to = address(node).await;
    let begin = node.tip().await.unwrap();
    for n in 1..=3 {
        let block = node.aux_block(&pay_to).await.unwrap();
        assert_eq!(node.aux_block(&pay_to).await.unwrap(), block, "the same while nothing changes");
        assert_eq!((block.height, block.chain_id), (begin.height + n, 98));
        let proof = solve(&job(&block), true);
        let outcome = node.submit_aux_block(&block.hash, &proof.to_bytes()).await.unwrap();
        assert_eq!(outcome, SubmitOutcome::Accepted);
        let tip = node.tip().await.unwrap();
        assert_eq!((tip.height, tip.hash), (block.height, block.hash));
        let bytes = node.block(&tip.hash).await.unwrap();
        let lean = parse_block(&bytes, node.params()).unwrap();
        assert_eq!((lean.hash, lean.prev), (block.hash, block.prev_hash));
        assert_eq!(lean.txs[0].outputs[0].value, block.value);
        let proof_bytes = proof.to_bytes();
        assert_eq!(bytes[80..80 + proof_bytes.len()], proof_bytes);
        // The same block in the form that nodes send each other.
        assert_eq!(node.submit_block(&bytes).await.unwrap(), SubmitOutcome::Duplicate);
        // Known as a block of the chain, though no longer as one to be proven.
        let again = node.submit_aux_block(&block.hash, &proof_bytes).await.unwrap();
        assert_eq!(again, SubmitOutcome::Duplicate);
    }
}

#[tokio::test]
async fn proofs_that_break_a_rule_are_refused_beside_a_good_one() {
    let doge = AuxStandIn::start();
    let node = &doge.node;
    let pay_to = address(node).await;
    let block = node.aux_block(&pay_to).await.unwrap();
    let good = solve(&job(&block), true);
    let changed = |change: &dyn Fn(&mut AuxProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof
    };
    let another = AuxBlock { hash: [8; 32], ..block.clone() };
    let wrong = [
        solve(&job(&block), false),
        solve(&job(&another), true),
        changed(&|p| p.coinbase_index = 1),
        changed(&|p| p.chain_index = 1),
        changed(&|p| p.coinbase[50] ^= 1),
        changed(&|p| p.chain_branch.push([0; 32])),
    ];
    for (n, proof) in wrong.iter().enumerate() {
        let outcome = node.submit_aux_block(&block.hash, &proof.to_bytes()).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Rejected(_)), "{n}: {outcome:?}");
    }
    let cut = &good.to_bytes()[..60];
    let outcome = node.submit_aux_block(&block.hash, cut).await.unwrap();
    assert_eq!(outcome, SubmitOutcome::Rejected("AuxPow decode failed".into()));
    let unknown = node.submit_aux_block(&[1; 32], &good.to_bytes()).await.unwrap();
    assert_eq!(unknown, SubmitOutcome::Rejected("block hash unknown".into()));
    let outcome = node.submit_aux_block(&block.hash, &good.to_bytes()).await.unwrap();
    assert_eq!(outcome, SubmitOutcome::Accepted);
}

#[tokio::test]
async fn the_older_call_gives_and_takes_blocks_too() {
    let doge = AuxStandIn::start();
    let block = doge.node.own_aux_block().await.unwrap();
    let proof = solve(&job(&block), true);
    let given = json!([hash_to_text(&block.hash), hex::encode(proof.to_bytes())]);
    assert_eq!(doge.node.call("getauxblock", given).await.unwrap(), json!(true));
    assert_eq!(doge.node.tip().await.unwrap().hash, block.hash);
}

#[tokio::test]
async fn the_chain_is_the_same_after_a_restart_and_mines_by_itself_as_well() {
    use crate::devchain_support::{easy_params, open};
    let dir = tempfile::tempdir().unwrap();
    let mut params = easy_params();
    params.asset = gruve_units::Asset::Doge;
    params.segwit = false;
    params.aux_chain_id = Some(98);
    let (chain, _) = open(dir.path(), params.clone());
    let call =
        |chain: &gruve_chain::devchain::DevChain, method: &str, p| chain.call(method, &p).unwrap();
    let own = call(&chain, "getnewaddress", json!([]));
    call(&chain, "generatetoaddress", json!([2, own]));
    let offer = call(&chain, "createauxblock", json!([own]));
    let hash = gruve_chain::hash_from_text(offer["hash"].as_str().unwrap()).unwrap();
    let bits = u32::from_str_radix(offer["bits"].as_str().unwrap(), 16).unwrap();
    let block = AuxBlock {
        asset: gruve_units::Asset::Doge,
        chain_id: 98,
        hash,
        prev_hash: [0; 32],
        bits,
        height: 3,
        value: 1,
    };
    let job = job(&block);
    let leaf = &job.aux().unwrap().leaves()[0];
    let header = (0..)
        .map(|nonce| job.header(CLASS, &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| Target::from_compact(bits).unwrap().is_met_by(&pow_hash(Algorithm::Sha256d, h)));
    let proof = job.aux_proof(leaf, CLASS, &EXTRANONCE, &header.unwrap());
    let given = json!([offer["hash"], hex::encode(proof.to_bytes())]);
    assert_eq!(call(&chain, "submitauxblock", given), json!(true));
    let stored = call(&chain, "getblock", json!([offer["hash"], 0]));
    call(&chain, "generatetoaddress", json!([1, own]));
    drop(chain);
    let (chain, _) = open(dir.path(), params);
    assert_eq!(chain.height(), 4);
    assert_eq!(call(&chain, "getblock", json!([offer["hash"], 0])), stored);
}

#[tokio::test]
async fn of_several_nodes_one_that_answers_gives_blocks_and_the_one_that_gave_it_takes_the_proof() {
    let (first, second) = (AuxStandIn::start(), AuxStandIn::start());
    let client = |s: &AuxStandIn| -> Arc<dyn AuxNode> {
        Arc::new(RpcNode::new(&s.server.url(), "user", "secret", *s.node.params()).unwrap())
    };
    let nodes = vec![("first".to_owned(), client(&first)), ("second".to_owned(), client(&second))];
    let group = AuxGroup::new(nodes);
    let pay_to = address(&first.node).await;
    let block = group.block(&pay_to).await.unwrap();
    assert_eq!(block.prev_hash, first.node.tip().await.unwrap().hash);
    let proof = solve(&job(&block), true).to_bytes();
    assert_eq!(group.submit(&block.hash, &proof).await.unwrap(), SubmitOutcome::Accepted);
    let lost = group.block(&pay_to).await.unwrap();
    first.server.stop().await;
    let block = group.block(&pay_to).await.unwrap();
    assert_eq!(block.prev_hash, second.node.tip().await.unwrap().hash);
    let proof = solve(&job(&block), true).to_bytes();
    assert_eq!(group.submit(&block.hash, &proof).await.unwrap(), SubmitOutcome::Accepted);
    // The node that gave this one may yet come back: it is not refused for good.
    let proof = solve(&job(&lost), true).to_bytes();
    let outcome = group.submit(&lost.hash, &proof).await;
    assert!(matches!(outcome, Err(NodeError::Unreachable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_block_is_not_refused_while_one_of_its_nodes_refuses_us() {
    let doge = AuxStandIn::start();
    let client = |password: &str| -> (String, Arc<dyn AuxNode>) {
        let url = doge.server.url();
        let node = RpcNode::new(&url, "user", password, *doge.node.params()).unwrap();
        (password.to_owned(), Arc::new(node))
    };
    let block = doge.node.own_aux_block().await.unwrap();
    let proof = solve(&job(&block), true).to_bytes();
    let alone = AuxGroup::new(vec![client("secret")]);
    let refused = alone.submit(&[1; 32], &proof).await.unwrap();
    assert_eq!(refused, SubmitOutcome::Rejected("block hash unknown".into()));
    let both = AuxGroup::new(vec![client("secret"), client("another")]);
    let waits = both.submit(&[1; 32], &proof).await;
    assert!(matches!(waits, Err(NodeError::Unauthorised { .. })), "{waits:?}");
    assert_eq!(both.submit(&block.hash, &proof).await.unwrap(), SubmitOutcome::Accepted);
}
