//! Litecoin's real node as the parent: its blocks with a merge-mining tag, and proofs made on its templates.
#![allow(clippy::unwrap_used, missing_docs)]

mod devchain_support;
mod real_node;

use devchain_support::merge::AuxStandIn;
use gruve_chain::auxpow::{AuxNode, AuxWork};
use gruve_chain::{Job, JobSpec, Node, SubmitOutcome, parse_block};
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Class, EpochNumber, JobId};
use real_node::{Mweb, RealPair};
use serde_json::json;
use std::sync::Arc;

const EXTRANONCE: [u8; 12] = *b"extra-nonce!";
const CLASS: Class = Class::ZERO;

#[tokio::test]
async fn one_hash_makes_a_block_that_litecoind_takes_and_one_of_the_auxiliary_chain() {
    let pair = RealPair::start(Mweb::Activates).await;
    let (litecoin, doge) = (pair.node.rpc(), AuxStandIn::start());
    pair.node.make_wallet().await;
    let address = pair.node.new_address("bech32").await;
    // Up to the extension block, so that it stands behind our coinbase too.
    pair.node.generate(431, &address).await;
    let hidden = pair.node.new_address("mweb").await;
    pair.node.call("sendtoaddress", json!([hidden, "3.5"])).await;
    let pay_to = doge.node.call("getnewaddress", json!([])).await.unwrap();
    let pay_to = pay_to.as_str().unwrap();
    let begin = doge.node.tip().await.unwrap().height;
    for n in 1..=6u64 {
        // With transactions, so that the coinbase's branch is not empty.
        pair.node.call("sendtoaddress", json!([address, "0.25"])).await;
        let template = Arc::new(litecoin.template(None).await.unwrap());
        let aux = doge.node.aux_block(pay_to).await.unwrap();
        let spec = JobSpec {
            id: JobId(7),
            epoch: EpochNumber(3),
            checkpoint_epoch: EpochNumber(1),
            commitment: [0xc0; 32],
            tag: b"/gruve/".to_vec(),
            pay_to: vec![([&[0, 20][..], &[0x51; 20]].concat(), template.coinbase_value)],
            extranonce_len: EXTRANONCE.len(),
        };
        let work = Some(Arc::new(AuxWork::of(vec![aux.clone()]).unwrap()));
        let branch = template.coinbase_branch();
        let job = Job::build_merged(template, branch, spec, work).unwrap();
        let leaf = &job.aux().unwrap().leaves()[0];
        // Regtest's target is met by every second hash, the stand-in's by fewer.
        let header = (0..)
            .map(|nonce| job.header(CLASS, &EXTRANONCE, job.version(), job.ntime(), nonce))
            .find(|h| {
                let found = pow_hash(Algorithm::Scrypt, h);
                job.network_target().is_met_by(&found) && leaf.target.is_met_by(&found)
            })
            .unwrap();
        let block = job.block(CLASS, &EXTRANONCE, &header);
        assert_eq!(litecoin.submit_block(&block).await.unwrap(), SubmitOutcome::Accepted);
        assert_eq!(
            litecoin.tip().await.unwrap().hash,
            parse_block(&block, litecoin.params()).unwrap().hash
        );
        let proof = job.aux_proof(leaf, CLASS, &EXTRANONCE, &header).to_bytes();
        let outcome = doge.node.submit_aux_block(&aux.hash, &proof).await.unwrap();
        assert_eq!(outcome, SubmitOutcome::Accepted);
        let tip = doge.node.tip().await.unwrap();
        assert_eq!((tip.height, tip.hash), (begin + n, aux.hash));
    }
    assert_eq!(litecoin.tip().await.unwrap().height, 437);
}
