//! What survives.

use crate::devchain_support::{Bench, Funds, Key, START, easy_params, open};
use gruve_chain::devchain::{DevChain, DevChainError, DevParams};
use gruve_units::{Algorithm, Asset, ManualClock, SeededEntropy, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

pub(crate) fn reopen(dir: &Path, params: DevParams) -> Result<DevChain, DevChainError> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    DevChain::open(dir, params, clock, Arc::new(SeededEntropy::new(2)))
}

fn failure(opened: Result<DevChain, DevChainError>) -> DevChainError {
    opened.err().unwrap()
}

/// Everything that can be asked about the chain and its coins.
pub(crate) fn picture(chain: &DevChain) -> Vec<serde_json::Value> {
    let mut found = vec![];
    for method in ["getblockchaininfo", "getchaintips", "getbalance", "getmininginfo"] {
        let mut answer = chain.call(method, &json!([])).unwrap();
        // Files differ in frames cut, mempools are forgotten.
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("size_on_disk");
            fields.remove("pooledtx");
        }
        found.push(answer);
    }
    for height in 0..=chain.height() {
        let hash = chain.call("getblockhash", &json!([height])).unwrap();
        let block = chain.call("getblock", &json!([hash, 2])).unwrap();
        for tx in block["tx"].as_array().unwrap() {
            for n in 0..tx["vout"].as_array().unwrap().len() {
                let args = json!([tx["txid"], n, false]);
                found.push(chain.call("gettxout", &args).unwrap());
            }
        }
        found.push(block);
    }
    found
}

#[test]
fn a_reopened_chain_is_the_same_with_its_branches_and_marks() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(8, &key);
    let coin = Funds::mined(&bench.mine(&key.wpkh(), &[]));
    for _ in 0..6 {
        bench.mine(&key.wpkh(), &[]);
    }
    bench.mine(&key.wpkh(), &[key.pay(&coin, &key.pkh(), 500)]);
    let twelfth = bench.get("getblockhash", json!([12]));
    bench.get("invalidateblock", json!([twelfth]));
    bench.clock.advance(gruve_units::Duration::from_secs(9));
    bench.mine(&key.pkh(), &[]);
    let before = picture(&bench.chain);
    let (dir, params) = (bench.dir, bench.params);
    drop(bench.chain);
    let again = reopen(dir.path(), params.clone()).unwrap();
    assert_eq!(picture(&again), before);
    // The mark can still be taken back.
    again.call("reconsiderblock", &json!([twelfth])).unwrap();
    assert_eq!(again.height(), 16);
    drop(again);
    assert_eq!(reopen(dir.path(), params).unwrap().height(), 16);
}

#[test]
fn a_torn_tail_is_cut_and_all_before_it_kept() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(6, &key);
    let tip = bench.tip();
    let path = bench.dir.path().join("chain.dat");
    let whole = std::fs::metadata(&path).unwrap().len();
    bench.mine(&key.wpkh(), &[]);
    let (dir, params) = (bench.dir, bench.params);
    drop(bench.chain);
    let full = std::fs::metadata(&path).unwrap().len();
    for cut in [full - 1, full - 40, whole + 9, whole + 8, whole + 3, whole + 1] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let chain = reopen(dir.path(), params.clone()).unwrap();
        assert_eq!(chain.call("getbestblockhash", &json!([])).unwrap(), json!(tip));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole, "the tail is gone");
    }
    // And goes on from there.
    let (chain, _) = open(dir.path(), params);
    let hash = chain.call("generatetoaddress", &json!([1, own_address(&chain)])).unwrap();
    assert_eq!(hash.as_array().unwrap().len(), 1);
    assert_eq!(chain.height(), 7);
}

fn own_address(chain: &DevChain) -> String {
    chain.call("getnewaddress", &json!([])).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn damage_before_the_end_is_reported_and_not_cut() {
    let bench = Bench::with_blocks(6, &Key::new(1));
    let path = bench.dir.path().join("chain.dat");
    let (dir, params) = (bench.dir, bench.params);
    drop(bench.chain);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let error = failure(reopen(dir.path(), params.clone()));
    assert!(matches!(error, DevChainError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bad, "nothing was touched");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(reopen(dir.path(), params).unwrap().height(), 6);
}

#[test]
fn a_folder_is_for_one_process_and_one_set_of_rules() {
    let bench = Bench::with_blocks(2, &Key::new(1));
    let error = failure(reopen(bench.dir.path(), bench.params.clone()));
    assert!(matches!(error, DevChainError::InUse(_)), "{error}");
    drop(bench.chain);
    let mut other = bench.params.clone();
    other.spacing_secs += 1;
    let error = failure(reopen(bench.dir.path(), other));
    assert!(matches!(error, DevChainError::OtherRules { .. }), "{error}");
    assert_eq!(reopen(bench.dir.path(), bench.params).unwrap().height(), 2);
}

#[test]
fn a_premine_that_was_interrupted_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = DevParams::new(Asset::Ltc, Algorithm::Scrypt);
    params.premine_coins = 5;
    drop(open(dir.path(), params.clone()));
    let path = dir.path().join("chain.dat");
    let half = std::fs::metadata(&path).unwrap().len() / 2;
    OpenOptions::new().write(true).open(&path).unwrap().set_len(half).unwrap();
    let chain = reopen(dir.path(), params).unwrap();
    assert_eq!(chain.height(), 14);
    let balance = chain.call("getbalance", &json!([])).unwrap();
    assert_eq!(balance.to_string(), "250.00000000", "5 of 14 coinbases are 10 deep");
}

const CHILD_DIR: &str = "GRUVE_DEVCHAIN_CHILD_DIR";

/// Run by the test below in a process of its own: mines, and says so, until it is killed.
#[test]
fn child_that_mines_until_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let (chain, _) = open(Path::new(&dir), easy_params());
    let to = own_address(&chain);
    for _ in 0..100_000 {
        let mined = chain.call("generatetoaddress", &json!([1, to])).unwrap();
        println!("accepted {}", mined[0].as_str().unwrap());
    }
}

#[test]
fn a_killed_process_has_lost_no_block_it_acknowledged() {
    for rounds in [1, 7, 40] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "file::child_that_mines_until_killed", "--nocapture"])
            .env(CHILD_DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut accepted = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some((_, hash)) = line.unwrap().split_once("accepted ") {
                accepted.push(hash.to_owned());
            }
            if accepted.len() == rounds {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(accepted.len(), rounds);
        let chain = reopen(dir.path(), easy_params()).unwrap();
        for hash in accepted {
            let header = chain.call("getblockheader", &json!([hash])).unwrap();
            assert!(header["confirmations"].as_i64().unwrap() > 0, "{hash}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_opened_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("chain.dat"), bytes).unwrap();
        let _ = reopen(dir.path(), easy_params());
    }
}
