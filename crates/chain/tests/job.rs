//! Jobs: what is built is a block, and nothing that a miner sends changes more of it than it may.
//! Judged by another implementation's parser (crate `bitcoin`).
#![allow(clippy::unwrap_used, missing_docs)]

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash;
use bitcoin::{Block, Transaction};
use gruve_chain::template::witness_commitment_script;
use gruve_chain::{
    ChainParams, Job, JobError, JobSpec, NetworkName, Template, TemplateTx, params_for,
    parse_block, stamp,
};
use gruve_pow::{merkle_root_from_branch, sha256d};
use gruve_units::{Algorithm, Asset, Class, EpochNumber, JobId};
use proptest::prelude::*;
use std::sync::Arc;

fn params(asset: Asset) -> ChainParams {
    params_for(asset, NetworkName::Regtest).unwrap()
}

/// Some transaction with or without a witness.
fn tx(n: u8, witness: bool) -> TemplateTx {
    let mut data = vec![2, 0, 0, 0];
    if witness {
        data.extend([0, 1]);
    }
    let body =
        [&[1][..], &[n; 32], &[0; 4], &[0], &[255; 4], &[1], &[n, 0, 0, 0, 0, 0, 0, 0], &[0]];
    data.extend(body.concat());
    if witness {
        data.extend([1, 3, n, n, n]);
    }
    data.extend([0; 4]);
    let tx: Transaction = deserialize(&data).unwrap();
    TemplateTx {
        txid: tx.compute_txid().to_byte_array(),
        wtxid: tx.compute_wtxid().to_byte_array(),
        data,
    }
}

fn template(height: u64, txs: Vec<TemplateTx>, segwit: bool) -> Template {
    let wtxids: Vec<_> = txs.iter().map(|tx| tx.wtxid).collect();
    Template {
        height,
        prev_hash: [0x11; 32],
        version: 0x2000_0000,
        bits: 0x207f_ffff,
        min_time: 1_700_000_000,
        cur_time: 1_700_000_100,
        coinbase_value: 5_000_000_123,
        txs,
        witness_commitment: segwit.then(|| witness_commitment_script(&wtxids)),
        mweb: None,
        longpoll_id: None,
    }
}

fn spec(tag: Vec<u8>, pay_to: Vec<(Vec<u8>, i64)>, extranonce_len: usize) -> JobSpec {
    JobSpec {
        id: JobId(1),
        epoch: EpochNumber(9),
        checkpoint_epoch: EpochNumber(7),
        commitment: [0xcc; 32],
        tag,
        pay_to,
        extranonce_len,
    }
}

fn usual_spec() -> JobSpec {
    spec(b"tag".to_vec(), vec![(vec![0x51], 5_000_000_123)], 8)
}

fn class(k: u8) -> Class {
    Class::new(k).unwrap()
}

proptest! {
    #[test]
    fn every_job_makes_a_block_that_another_parser_accepts(
        height in 1u64..2_000_000,
        txs in prop::collection::vec((any::<u8>(), any::<bool>()), 0..20),
        segwit: bool,
        tag in prop::collection::vec(any::<u8>(), 0..=75),
        split in 0i64..5_000_000_123,
        scripts in prop::array::uniform2(prop::collection::vec(any::<u8>(), 1..40)),
        extranonce in prop::collection::vec(any::<u8>(), 1..=12),
        k in 0u8..=100,
        nonce: u32,
        version: u32,
    ) {
        let txs: Vec<_> = txs.into_iter().map(|(n, witness)| tx(n, witness && segwit)).collect();
        let template = Arc::new(template(height, txs.clone(), segwit));
        let [a, b] = scripts;
        let pay_to = vec![(a.clone(), split), (b.clone(), template.coinbase_value - split)];
        let spec = spec(tag.clone(), pay_to, extranonce.len());
        let job = Job::build(template.clone(), spec).unwrap();
        let class = class(k);
        let header = job.header(class, &extranonce, version, job.ntime(), nonce);
        let bytes = job.block(class, &extranonce, &header);

        let block: Block = deserialize(&bytes).unwrap();
        prop_assert_eq!(&serialize(&block), &bytes);
        prop_assert!(block.check_merkle_root());
        prop_assert!(block.check_witness_commitment());
        prop_assert_eq!(block.txdata.len(), txs.len() + 1);
        prop_assert_eq!(block.header.nonce, nonce);
        prop_assert_eq!(block.header.version.to_consensus().cast_unsigned(), version);

        let coinbase = &block.txdata[0];
        prop_assert!(coinbase.is_coinbase());
        let script = coinbase.input[0].script_sig.as_bytes();
        prop_assert!(script.len() <= 100);
        prop_assert!(script.ends_with(&extranonce));
        prop_assert_eq!(gruve_chain::script::read_height(script), Some(height));
        prop_assert_eq!(coinbase.output[0].script_pubkey.as_bytes(), &a[..]);
        prop_assert_eq!(coinbase.output[1].script_pubkey.as_bytes(), &b[..]);
        let paid: u64 = coinbase.output.iter().map(|o| o.value.to_sat()).sum();
        prop_assert_eq!(paid, 5_000_000_123);
        let last = coinbase.output.last().unwrap();
        prop_assert_eq!(
            last.script_pubkey.as_bytes(),
            &stamp::output_script(&[0xcc; 32], class)[..]
        );

        // What miners are sent makes the same header.
        let sent = [job.coinbase_prefix(), &extranonce, &job.coinbase_suffix(class)].concat();
        prop_assert_eq!(&sent, &job.coinbase(class, &extranonce));
        prop_assert_eq!(sha256d(&sent), coinbase.compute_txid().to_byte_array());
        let root = merkle_root_from_branch(sha256d(&sent), job.branch());
        prop_assert_eq!(&header[36..68], &root[..]);

        // What a record keeps gives the suffix back.
        let mut suffix = job.coinbase_suffix_class_zero().to_vec();
        prop_assert_eq!(suffix[job.class_offset()], 0);
        suffix[job.class_offset()] = k;
        prop_assert_eq!(suffix, job.coinbase_suffix(class));

        // And our own parser agrees.
        let lean = parse_block(&bytes, &params(Asset::Btc)).unwrap();
        for (ours, theirs) in lean.txs.iter().zip(&block.txdata) {
            prop_assert_eq!(ours.txid, theirs.compute_txid().to_byte_array());
            prop_assert_eq!(ours.inputs.len(), theirs.input.len());
            for (ours, theirs) in ours.outputs.iter().zip(&theirs.output) {
                prop_assert_eq!(ours.value.cast_unsigned(), theirs.value.to_sat());
                prop_assert_eq!(&ours.script[..], theirs.script_pubkey.as_bytes());
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_built_keeps_to_what_nodes_leave_free_or_is_not_built(
        height in 1u64..(1 << 40),
        scripts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 1..40),
        tag in prop::collection::vec(any::<u8>(), 0..=80),
        extranonce_len in 0usize..=14,
        segwit: bool,
    ) {
        let template = Arc::new(template(height, vec![], segwit));
        let mut pay_to: Vec<_> = scripts.into_iter().map(|script| (script, 0)).collect();
        pay_to[0].1 = template.coinbase_value;
        let Ok(job) = Job::build(template, spec(tag, pay_to, extranonce_len)) else { return Ok(()) };
        let extranonce = vec![7; extranonce_len];
        let header = job.header(class(1), &extranonce, 0, 0, 0);
        let block: Block = deserialize(&job.block(class(1), &extranonce, &header)).unwrap();
        let coinbase = &block.txdata[0];
        prop_assert!((2..=100).contains(&coinbase.input[0].script_sig.len()));
        prop_assert!(block.weight().to_wu() <= 4_000);
        prop_assert!(coinbase.total_sigop_cost(|_| None) <= 400);
    }
}

#[test]
fn the_stamp_is_no_part_of_what_the_branch_depends_on() {
    let template = Arc::new(template(700, vec![tx(1, true), tx(2, false)], true));
    let job = Job::build(template, usual_spec()).unwrap();
    let [low, high] = [1, 40].map(|k| job.coinbase(class(k), &[5; 8]));
    let differing = low.iter().zip(&high).filter(|(a, b)| a != b).count();
    assert_eq!((low.len(), differing), (high.len(), 1), "only the class byte differs");
}

#[test]
fn the_header_time_is_never_below_the_earliest_allowed() {
    let mut late = template(700, vec![], false);
    late.cur_time = late.min_time - 50; // a node whose clock went back
    let job = Job::build(Arc::new(late.clone()), usual_spec()).unwrap();
    assert_eq!(job.ntime(), late.min_time);
}

#[test]
fn the_extension_block_follows_the_transactions_after_a_one() {
    let mut with = template(700, vec![tx(1, false)], true);
    with.mweb = Some(vec![0xee; 9]);
    let job = Job::build(Arc::new(with), usual_spec()).unwrap();
    let header = job.header(class(1), &[0; 8], 0, 0, 0);
    let block = job.block(class(1), &[0; 8], &header);
    let mut tail = tx(1, false).data;
    tail.push(1);
    tail.extend([0xee; 9]);
    assert!(block.ends_with(&tail));
    // The last transaction is no HogEx here, so the rest is not taken for an extension block.
    assert!(parse_block(&block, &params(Asset::Ltc)).is_err());
}

#[test]
fn a_coinbase_that_no_node_would_take_is_not_built() {
    let template = Arc::new(template(700, vec![], true));
    let refused = |change: &dyn Fn(&mut JobSpec)| {
        let mut spec = usual_spec();
        change(&mut spec);
        Job::build(template.clone(), spec).unwrap_err()
    };
    let earned = template.coinbase_value;
    assert_eq!(
        refused(&|s| s.pay_to[0].1 += 1),
        JobError::Value { paid: i128::from(earned) + 1, earned }
    );
    assert_eq!(
        refused(&|s| s.pay_to[0].1 -= 1),
        JobError::Value { paid: i128::from(earned) - 1, earned },
        "paying less destroys coins"
    );
    assert_eq!(refused(&|s| s.pay_to.clear()), JobError::Value { paid: 0, earned });
    assert_eq!(refused(&|s| s.pay_to.push((vec![1], -1))), JobError::Output(1));
    assert_eq!(refused(&|s| s.pay_to.push((vec![], 0))), JobError::Output(1));
    assert_eq!(refused(&|s| s.extranonce_len = 0), JobError::ExtranonceLength(0));
    assert_eq!(refused(&|s| s.extranonce_len = 13), JobError::ExtranonceLength(13));
    assert_eq!(refused(&|s| s.tag = vec![1; 76]), JobError::TagLength(76));
    let many = refused(&|s| s.pay_to.extend(vec![(vec![0x51; 34], 0); 30]));
    assert!(matches!(many, JobError::TooHeavy(_)), "{many}");
    // Twenty operations each, as nodes count OP_CHECKMULTISIG without looking at the keys.
    let costly = refused(&|s| s.pay_to.extend(vec![(vec![0xae], 0); 6]));
    assert_eq!(costly, JobError::Sigops(120));
    let mut no_target = Template::clone(&template);
    no_target.bits = 0;
    assert_eq!(Job::build(Arc::new(no_target), usual_spec()).unwrap_err(), JobError::Bits(0));
}

#[test]
fn a_job_mined_at_the_network_target_meets_it() {
    let job = Job::build(Arc::new(template(700, vec![], true)), usual_spec()).unwrap();
    let found = (0..10_000)
        .map(|n| job.header(class(1), &[0; 8], 4, job.ntime(), n))
        .find(|h| job.network_target().is_met_by(&gruve_pow::pow_hash(Algorithm::Sha256d, h)));
    let block = job.block(class(1), &[0; 8], &found.unwrap());
    let block: Block = deserialize(&block).unwrap();
    assert!(block.header.validate_pow(block.header.target()).is_ok());
}
