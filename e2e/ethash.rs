//! A lane of the Ethash family, whole: the reference miner on our Stratum, blocks taken by the node,
//! rewards in the books. Once on the development chain, once on `py-evm`, which validates seals with the
//! C++ implementation of Ethash and runs the EVM.
#![allow(clippy::unwrap_used, missing_docs)]

mod ethash_house;
mod support;

use ethash_house::{CHAIN_ID, DIFFICULTY, MINUTES, PASSWORD, Place, REWARD_WEI};
use gruve::demo::Api;
use gruve_chain::eth::{AccountAt, AccountNode as _, EthNode as _, EthRpcNode, wei};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_units::{Algorithm, Target};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{run, until};

/// The whole line: work, shares, blocks, rewards, books against the chain.
async fn play(place: &Place) {
    let node = place.node();
    until("the node answers", MINUTES, async || node.height().await.ok())
        .await
        .unwrap_or_else(|e| place.fail(&e));
    assert_eq!(node.chain_id().await.unwrap(), CHAIN_ID);
    wrong_mixes_are_refused(place, &node).await;
    let house = place.house();
    let api = Api::new(format!("http://127.0.0.1:{}", place.base));
    until("the house answers", MINUTES, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| place.fail(&e));
    let height = place.mine(&node, 4).await;
    a_share_that_says_another_mix_is_refused(place);
    until("the blocks are in the books", MINUTES, async || {
        let blocks = api.get("/api/v1/blocks?lane=eth-class&limit=200").await.ok()?;
        let paid =
            blocks["items"].as_array()?.iter().filter(|b| !b["reward"].is_null()).count() as u64;
        (paid >= height).then_some(())
    })
    .await
    .unwrap_or_else(|e| place.fail(&e));
    figures_are_the_chains(place, &api, node.height().await.unwrap()).await;
    assert!(house.stop().await.success());
    let config = place.path("gruve.toml");
    let audit = run(&["admin", "audit", "--json", "--config", config.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&audit.stdout).unwrap_or_default();
    assert!(audit.status.success(), "{report:#}");
    let lane = &report["lanes"][0];
    let held = node.balance(&place.pays, AccountAt::Latest).await.unwrap();
    let (gwei, _) = wei::split(held).unwrap();
    let coins = &lane["wallets"][0];
    assert_eq!(coins["wallet_minor"], gwei, "{report:#}");
    assert_eq!(coins["books_minor"], gwei, "{report:#}");
    let least = i64::try_from(u128::from(height) * REWARD_WEI / 1_000_000_000).unwrap();
    assert!(gwei >= least, "{height} blocks and their uncles: {gwei}");
    assert!(lane["shares"].as_u64().unwrap() + lane["open_shares"].as_u64().unwrap() >= height);
}

/// Difficulty, subsidy and hashprice are on the lane as soon as its blocks are followed.
async fn figures_are_the_chains(place: &Place, api: &Api, tip: u64) {
    let chain = until("the network's figures are there", MINUTES, async || {
        let lanes = api.get("/api/v1/lanes").await.ok()?;
        (lanes["items"][0]["chain"]["height"].as_u64()? == tip).then(|| lanes["items"][0].clone())
    })
    .await
    .unwrap_or_else(|e| place.fail(&e));
    assert_eq!(chain["difficulty"], DIFFICULTY.to_string(), "as the header has it");
    let figures = &chain["chain"];
    assert_eq!(figures["work_per_block"], DIFFICULTY.to_string());
    let gwei = u64::try_from(REWARD_WEI / 1_000_000_000).unwrap();
    assert_eq!(figures["subsidy"]["minor"], gwei, "{figures:#}");
    assert_eq!(figures["fees"]["total"]["minor"], 0, "nobody paid anybody: {figures:#}");
    let hashprice = u128::from(gwei) * 86_400 * 1_000_000_000_000 / u128::from(DIFFICULTY);
    assert_eq!(figures["hashprice_minor_per_th_day"], format!("{hashprice}.000000"));
}

/// The node takes no solution whose mix digest is another than its nonce's.
async fn wrong_mixes_are_refused(place: &Place, node: &EthRpcNode) {
    let work = node.get_work().await.unwrap();
    let epoch = EthashEpoch::new(place.algorithm, 0).unwrap();
    assert_eq!(epoch.seed_hash(), work.seed_hash);
    let cache = LightCache::new(epoch);
    let solved = (0..100_000_u64).find_map(|nonce| {
        let (mix, hash) = hash_light(&cache, &work.header_hash, nonce);
        (Target::from_be_bytes(hash).0 <= work.target.0).then_some((nonce, mix))
    });
    let (nonce, mix) = solved.unwrap();
    let mut wrong = mix;
    wrong[31] ^= 1;
    let before = node.height().await.unwrap();
    assert!(!node.submit_work(nonce, &work.header_hash, &wrong).await.unwrap());
    assert!(!node.submit_work(nonce ^ 1 << 63, &work.header_hash, &mix).await.unwrap());
    assert_eq!(node.height().await.unwrap(), before);
    assert!(node.submit_work(nonce, &work.header_hash, &mix).await.unwrap());
    assert_eq!(node.height().await.unwrap(), before + 1);
}

/// Over eth-proxy, where the miner says the mix digest itself.
fn a_share_that_says_another_mix_is_refused(place: &Place) {
    let stream = std::net::TcpStream::connect(("127.0.0.1", place.base + 1)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |text: String| {
        writeln!(&stream, "{text}").unwrap();
        loop {
            let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            // New work comes with id 0.
            if answer["id"] != 0 {
                return answer;
            }
        }
    };
    let login = say(format!(
        r#"{{"id":1,"method":"eth_submitLogin","params":["house.rack1","{PASSWORD}"]}}"#
    ));
    assert_eq!(login["result"], true, "{login}");
    let work = say(r#"{"id":2,"method":"eth_getWork","params":[]}"#.to_owned());
    let header = work["result"][0].as_str().unwrap().to_owned();
    let mix = "11".repeat(32);
    let answer = say(format!(
        r#"{{"id":3,"method":"eth_submitWork","params":["0x00000000deadbeef","{header}","0x{mix}"]}}"#
    ));
    assert_eq!(answer["result"], false, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_our_stratum_are_taken_and_credited_on_the_development_chain() {
    let place = Place::new(Algorithm::Etchash);
    let _server = place.dev_chain().serve(place.node_listener(), None).unwrap();
    play(&place).await;
}

/// The chain in Python; killed when dropped.
struct PyEvm(Child);

impl Drop for PyEvm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl PyEvm {
    fn start(place: &Place) -> PyEvm {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Installs it into the cache the first time.
        let python = Command::new(root.join("scripts/py-evm-for-tests")).output().unwrap();
        let why = String::from_utf8_lossy(&python.stderr);
        assert!(python.status.success(), "scripts/py-evm-for-tests: {why}");
        let python = String::from_utf8(python.stdout).unwrap();
        let log = std::fs::File::create(place.path("node.log")).unwrap();
        let child = Command::new(python.trim())
            .arg(root.join("e2e/py_evm/node.py"))
            .args(["--port", &(place.base + 2).to_string()])
            .args(["--chain-id", &CHAIN_ID.to_string()])
            .args(["--difficulty", &DIFFICULTY.to_string()])
            .args(["--coinbase", &place.pays.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        PyEvm(child)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_our_stratum_are_taken_and_credited_on_py_evm() {
    let place = Place::new(Algorithm::Ethash);
    let _node = PyEvm::start(&place);
    play(&place).await;
}
