//! Merge-mining proofs: real ones of Dogecoin and Namecoin, and each rule broken by itself.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_chain::auxpow::tag::{MAGIC, count, tag};
use gruve_chain::auxpow::tree::fold;
use gruve_chain::auxpow::{
    AuxBlock, AuxFault, AuxProof, AuxTree, AuxWork, VERSION_AUXPOW, chain_id, expected_index,
};
use gruve_chain::job::header_bytes;
use gruve_chain::{Job, JobError, JobSpec, Template};
use gruve_pow::{pow_hash, sha256d};
use gruve_units::{Algorithm, Asset, Class, EpochNumber, JobId, Target};
use serde_json::Value;
use std::sync::Arc;

fn data(name: &str) -> Value {
    let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    hex::decode(v.as_str().unwrap()).unwrap()
}

fn branch(v: &Value) -> Vec<[u8; 32]> {
    v.as_array().unwrap().iter().map(|t| bytes(t).try_into().unwrap()).collect()
}

fn number(v: &Value) -> u32 {
    u32::try_from(v.as_u64().unwrap()).unwrap()
}

/// A real proof as the vectors describe its parts, with the block's header and the parent's algorithm.
struct Real {
    name: String,
    proof: AuxProof,
    header: [u8; 80],
    algorithm: Algorithm,
    whole: Option<Vec<u8>>,
}

fn real_proofs() -> Vec<Real> {
    let auxpow = data("auxpow.json");
    let mut all: Vec<Value> = auxpow["vectors"].as_array().unwrap().clone();
    let blocks = data("blocks.json");
    all.extend(blocks.as_array().unwrap().iter().filter(|v| v.get("auxpow").is_some()).cloned());
    let real = |v: &Value| {
        let p = &v["auxpow"];
        let mut parent_hash: [u8; 32] = bytes(&p["hash_block"]).try_into().unwrap();
        parent_hash.reverse();
        Real {
            name: v["name"].as_str().unwrap().to_owned(),
            proof: AuxProof {
                coinbase: bytes(&p["parent_coinbase"]),
                parent_hash,
                coinbase_branch: branch(&p["coinbase_branch_internal"]),
                coinbase_index: number(&p["coinbase_index"]),
                chain_branch: branch(&p["chain_branch_internal"]),
                chain_index: number(&p["chain_index"]),
                parent_header: bytes(&p["parent_header"]).try_into().unwrap(),
            },
            header: bytes(&v["header"]).try_into().unwrap(),
            algorithm: if v["network"] == "nmc" { Algorithm::Sha256d } else { Algorithm::Scrypt },
            whole: v.get("hex").map(bytes),
        }
    };
    all.iter().map(real).collect()
}

fn id_of(header: &[u8; 80]) -> u32 {
    chain_id(u32::from_le_bytes(header[..4].try_into().unwrap()))
}

#[test]
fn real_proofs_hold_and_survive_writing_and_reading() {
    let all = real_proofs();
    assert!(all.len() >= 4, "only {} proofs in the vectors", all.len());
    for r in all {
        let hash = sha256d(&r.header);
        let version = u32::from_le_bytes(r.header[..4].try_into().unwrap());
        assert_ne!(version & VERSION_AUXPOW, 0, "{}", r.name);
        // Namecoin's rule about the parent's id is the same: its parents are Bitcoin blocks.
        assert_eq!(r.proof.check(&hash, id_of(&r.header), true), Ok(()), "{}", r.name);
        let bits = u32::from_le_bytes(r.header[72..76].try_into().unwrap());
        let found = pow_hash(r.algorithm, &r.proof.parent_header);
        assert!(Target::from_compact(bits).unwrap().is_met_by(&found), "{}", r.name);
        let written = r.proof.to_bytes();
        assert_eq!(AuxProof::from_bytes(&written).unwrap(), r.proof, "{}", r.name);
        if let Some(whole) = r.whole {
            assert_eq!(whole, [&r.header[..], &written].concat(), "{}", r.name);
        }
        for cut in 0..written.len() {
            assert!(AuxProof::from_bytes(&written[..cut]).is_err(), "{} cut at {cut}", r.name);
        }
        // Another block, or another chain, is not what the work was for.
        assert_eq!(r.proof.check(&[1; 32], 98, true), Err(AuxFault::RootMissing), "{}", r.name);
        let other = r.proof.check(&hash, id_of(&r.header) + 1, true);
        if !r.proof.chain_branch.is_empty() {
            assert_eq!(other, Err(AuxFault::WrongIndex), "{}", r.name);
        }
    }
}

#[test]
fn slots_are_those_of_known_blocks() {
    let rules = data("auxpow.json");
    let known = rules["rules"]["expected_index"].as_array().unwrap();
    assert!(known.len() >= 4);
    for v in known {
        let n = |name: &str| number(&v[name]);
        assert_eq!(expected_index(n("nonce"), n("chain_id"), n("height")), n("index"), "{v}");
    }
}

const HASH: [u8; 32] = [0xd0; 32];
const DOGE: u32 = 98;

/// A proof whose coinbase has this script, right in all else.
fn proof_with(script: &[u8], tree: &AuxTree, version: u32) -> AuxProof {
    let mut coinbase = vec![1, 0, 0, 0, 1];
    coinbase.extend([0; 32]);
    coinbase.extend([0xff; 4]);
    coinbase.push(u8::try_from(script.len()).unwrap());
    coinbase.extend(script);
    coinbase.extend([0xff; 4]);
    coinbase.push(1);
    coinbase.extend([9, 0, 0, 0, 0, 0, 0, 0, 1, 0x51]);
    coinbase.extend([0; 4]);
    let coinbase_branch = vec![[3; 32], [4; 32]];
    let root = fold(sha256d(&coinbase), &coinbase_branch, 0);
    let (chain_index, chain_branch) = tree.places()[0].clone();
    AuxProof {
        coinbase,
        parent_hash: [0; 32],
        coinbase_branch,
        coinbase_index: 0,
        chain_branch,
        chain_index,
        parent_header: header_bytes(version, &[5; 32], &root, 1, 0x1e0f_ffff, 2),
    }
}

fn tree() -> AuxTree {
    AuxTree::build(&[(DOGE, HASH), (3, [0xe0; 32]), (5, [0xe1; 32])], 0).unwrap()
}

#[test]
fn each_rule_refuses_what_breaks_it_and_nothing_else() {
    let (tree, version) = (tree(), 0x2000_0000);
    let tag = tag(&tree);
    let (root, size) = (&tag[4..36], &tag[36..]);
    let ahead = |n: usize| vec![7u8; n];
    let made = |parts: &[&[u8]]| proof_with(&parts.concat(), &tree, version);
    let good = made(&[&ahead(40), &tag, b"more"]);
    assert_eq!(good.check(&HASH, DOGE, true), Ok(()));
    // Rules that the script decides.
    for (proof, expected) in [
        (made(&[&ahead(20), root, size]), Ok(())),
        (made(&[&ahead(21), root, size]), Err(AuxFault::RootTooLate)),
        (made(&[&MAGIC, &ahead(1), root, size]), Err(AuxFault::TagNotBeforeRoot)),
        (made(&[root, size, &MAGIC]), Err(AuxFault::TagNotBeforeRoot)),
        (made(&[&tag, &ahead(3), &MAGIC]), Err(AuxFault::SecondTag)),
        (made(&[&MAGIC, &ahead(3), &tag]), Err(AuxFault::SecondTag)),
        (made(&[&tag[..40], &size[4..7]]), Err(AuxFault::SizeMissing)),
        (made(&[&MAGIC, &root[..31], size]), Err(AuxFault::RootMissing)),
        (made(&[&MAGIC, root, &[8, 0, 0, 0], &[0; 4]]), Err(AuxFault::WrongSize)),
        (made(&[&MAGIC, root, &size[..4], &[1, 0, 0, 0]]), Err(AuxFault::WrongIndex)),
    ] {
        assert_eq!(proof.check(&HASH, DOGE, true), expected);
    }
    // Rules about the rest.
    let with = |change: &dyn Fn(&mut AuxProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.check(&HASH, DOGE, true)
    };
    assert_eq!(with(&|p| p.coinbase_index = 1), Err(AuxFault::NotGenerate));
    assert_eq!(with(&|p| p.coinbase_branch[1][0] ^= 1), Err(AuxFault::NotInParent));
    assert_eq!(with(&|p| p.parent_header[40] ^= 1), Err(AuxFault::NotInParent));
    assert_eq!(with(&|p| p.chain_branch = vec![[0; 32]; 31]), Err(AuxFault::BranchTooLong));
    assert_eq!(with(&|p| p.chain_index ^= 1), Err(AuxFault::RootMissing));
    let ours = proof_with(&tag, &tree, DOGE << 16 | 4);
    assert_eq!(ours.check(&HASH, DOGE, true), Err(AuxFault::ParentHasOurChainId));
    assert_eq!(ours.check(&HASH, DOGE, false), Ok(()));
    let mut inputless = good;
    inputless.coinbase = [&[1, 0, 0, 0, 0, 0][..], &[0; 4]].concat();
    let root = fold(sha256d(&inputless.coinbase), &inputless.coinbase_branch, 0);
    inputless.parent_header[36..68].copy_from_slice(&root);
    assert_eq!(AuxProof::from_bytes(&inputless.to_bytes()).unwrap(), inputless);
    assert_eq!(inputless.check(&HASH, DOGE, true), Err(AuxFault::NoInput));
}

fn aux_block(chain_id: u32, hash: [u8; 32]) -> AuxBlock {
    AuxBlock {
        asset: Asset::Doge,
        chain_id,
        hash,
        prev_hash: [1; 32],
        bits: 0x207f_ffff,
        height: 5,
        value: 7,
    }
}

fn merged_job(tag: Vec<u8>, height: u64, aux: AuxWork) -> Result<Job, JobError> {
    let template = Template {
        height,
        prev_hash: [2; 32],
        version: 0x2000_0000,
        bits: 0x1e0f_ffff,
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
        tag,
        pay_to: vec![(vec![0x51; 22], 5)],
        extranonce_len: 12,
    };
    Job::build_merged(Arc::new(template), vec![[9; 32]], spec, Some(Arc::new(aux)))
}

#[test]
fn a_merged_job_proves_each_of_its_auxiliary_blocks() {
    let blocks: Vec<_> = (0..9u8).map(|n| aux_block(u32::from(n) * 7 + 1, [n; 32])).collect();
    // The highest height that four bytes push, the longest tag allowed beside it.
    let job =
        merged_job(vec![b'/'; 36], (1 << 23) - 1, AuxWork::of(blocks.clone()).unwrap()).unwrap();
    assert_eq!(job.coinbase_prefix()[41], 99, "the script's length");
    let (class, extranonce) = (Class::new(4).unwrap(), [8; 12]);
    let header = job.header(class, &extranonce, job.version(), job.ntime(), 77);
    assert_eq!(job.solved_aux(&[0; 32]).count(), 9);
    assert_eq!(job.solved_aux(&[0xff; 32]).count(), 0);
    for (leaf, block) in job.aux().unwrap().leaves().iter().zip(&blocks) {
        let proof = job.aux_proof(leaf, class, &extranonce, &header);
        let proof = AuxProof::from_bytes(&proof.to_bytes()).unwrap();
        assert_eq!(proof.check(&block.hash, block.chain_id, true), Ok(()));
    }
}

#[test]
fn no_merged_job_has_two_tags_in_its_coinbase() {
    let aux = || AuxWork::of(vec![aux_block(98, [7; 32])]).unwrap();
    let tagged = merged_job([&b"/x"[..], &MAGIC].concat(), 5, aux());
    assert_eq!(tagged.unwrap_err(), JobError::SecondTag);
    let too_long = merged_job(vec![b'/'; 38], 1 << 23, aux());
    assert_eq!(too_long.unwrap_err(), JobError::ScriptLength(101 + 1));
    let job = merged_job(b"/x".to_vec(), 5, aux()).unwrap();
    assert_eq!(count(job.coinbase_prefix()), 1);
    for at in 0..=8 {
        let mut extranonce = [0xfa; 12];
        extranonce[at..at + 4].copy_from_slice(&MAGIC);
        assert!(job.is_second_tag(&extranonce));
        let header = job.header(Class::ZERO, &extranonce, 0x2000_0000, 2, 3);
        let leaf = &job.aux().unwrap().leaves()[0];
        let proof = job.aux_proof(leaf, Class::ZERO, &extranonce, &header);
        assert_eq!(proof.check(&[7; 32], 98, true), Err(AuxFault::SecondTag), "at {at}");
    }
    assert!(!job.is_second_tag(&[0xfa; 12]));
}
