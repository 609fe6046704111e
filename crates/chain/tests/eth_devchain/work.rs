//! Work given out, solutions taken, over HTTP as a real node's client asks.

use crate::{CLASSIC, Rig, someone, wide};
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDevWork, EthDifficulty};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light};
use gruve_units::{Algorithm, Duration, SeededEntropy};
use ruint::aliases::U256;
use serde_json::{Value, json};

fn bytes32(value: &Value) -> [u8; 32] {
    hex::decode(&value.as_str().unwrap()[2..]).unwrap().try_into().unwrap()
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The first nonce from `from` on that reaches the work's target, with its mix hash.
fn solve(work: &Value, from: u64) -> (u64, [u8; 32]) {
    let cache = LightCache::new(EthashEpoch::new(Algorithm::Etchash, 0).unwrap());
    let (seal, target) = (bytes32(&work[0]), bytes32(&work[2]));
    let mut nonces = from..;
    let found = nonces.find_map(|nonce| {
        let (mix, hash) = hash_light(&cache, &seal, nonce);
        (hash <= target).then_some((nonce, mix))
    });
    found.unwrap()
}

#[test]
fn a_solution_is_taken_by_the_epochs_real_cache_and_a_wrong_mix_is_not() {
    let params = EthDevParams { difficulty: EthDifficulty::fixed(20), ..EthDevParams::classic() };
    let rig = Rig::with(params);
    rig.chain.pay_blocks_to(someone(9));
    let work = rig.call("eth_getWork", json!([]));
    assert_eq!(work.as_array().unwrap().len(), 4);
    assert_eq!((&work[1], &work[3]), (&json!(hex_of(&[0; 32])), &json!("0x1")));
    let (nonce, mix) = solve(&work, 0);
    let submit = |nonce: u64, mix: [u8; 32]| {
        rig.call("eth_submitWork", json!([hex_of(&nonce.to_be_bytes()), work[0], hex_of(&mix)]))
    };
    let mut wrong = mix;
    wrong[0] ^= 1;
    assert_eq!(submit(nonce, wrong), json!(false), "a mix hash that is not the nonce's");
    // What the claimed mix reaches is not what the work reaches.
    let claim = (0u64..).find(|n| {
        let hash = gruve_pow::ethash::claimed_hash(&bytes32(&work[0]), *n, &[7; 32]);
        hash <= bytes32(&work[2])
    });
    assert_eq!(submit(claim.unwrap(), [7; 32]), json!(false), "a mix hash that was made up");
    assert_eq!(rig.chain.height(), 0);
    assert_eq!(submit(nonce, mix), json!(true));
    assert_eq!(rig.chain.height(), 1);
    assert_eq!(rig.balance(&someone(9)), CLASSIC.block(1));
    assert_eq!(submit(nonce, mix), json!(false), "once only");
    let tip = rig.tip();
    assert_eq!(
        (&tip["nonce"], &tip["mixHash"]),
        (&json!(hex_of(&nonce.to_be_bytes())), &json!(hex_of(&mix)))
    );
}

#[test]
fn a_chain_that_takes_work_as_claimed_asks_for_a_claim_that_reaches_and_for_nothing_more() {
    let claimed = EthDevParams {
        difficulty: EthDifficulty::fixed(20),
        work: EthDevWork::Claimed,
        ..EthDevParams::classic()
    };
    let rig = Rig::with(claimed);
    let work = rig.call("eth_getWork", json!([]));
    let reaches = |nonce: &u64| {
        gruve_pow::ethash::claimed_hash(&bytes32(&work[0]), *nonce, &[7; 32]) <= bytes32(&work[2])
    };
    let submit = |nonce: u64| {
        rig.call("eth_submitWork", json!([hex_of(&nonce.to_be_bytes()), work[0], hex_of(&[7; 32])]))
    };
    assert_eq!(submit((0..).find(|nonce| !reaches(nonce)).unwrap()), json!(false));
    assert_eq!(submit((0..).find(reaches).unwrap()), json!(true));
    rig.chain.mine(5).unwrap();
    assert_eq!(rig.chain.height(), 6);
    // Who opens it otherwise would refuse its blocks.
    let Rig { dir, clock, params, chain } = rig;
    drop(chain);
    let done = EthDevParams { work: EthDevWork::Done, ..params.clone() };
    let open = |params: &EthDevParams| {
        let entropy = SeededEntropy::new(7);
        EthDevChain::open(dir.path(), params.clone(), clock.clone(), &entropy).map(drop)
    };
    assert!(open(&done).is_err());
    assert!(open(&params).is_ok());
}

#[test]
fn work_stays_the_same_until_the_tip_or_the_pool_changes_or_it_is_old() {
    let rig = Rig::easy();
    let seal = || rig.call("eth_getWork", json!([]))[0].clone();
    let first = seal();
    rig.clock.advance(Duration::from_secs(5));
    assert_eq!(seal(), first);
    rig.pay(&someone(3), 1);
    let with_payment = seal();
    assert_ne!(with_payment, first);
    rig.clock.advance(Duration::from_secs(60));
    let later = seal();
    assert_ne!(later, with_payment);
    rig.chain.mine(1).unwrap();
    assert_ne!(seal(), later);
}

#[test]
fn late_work_stands_aside_and_its_miner_is_paid_as_an_uncle() {
    let rig = Rig::easy();
    rig.chain.pay_blocks_to(someone(8));
    let late = rig.call("eth_getWork", json!([]));
    rig.chain.pay_blocks_to(someone(9));
    rig.chain.mine(1).unwrap();
    let (nonce, mix) = solve(&late, 0);
    let solution = json!([hex_of(&nonce.to_be_bytes()), late[0], hex_of(&mix)]);
    assert_eq!(rig.call("eth_submitWork", solution), json!(true));
    assert_eq!(rig.chain.height(), 1);
    assert_eq!(rig.balance(&someone(8)), U256::ZERO);
    rig.chain.mine(1).unwrap();
    let tip = rig.tip();
    assert_eq!(tip["uncles"].as_array().unwrap().len(), 1);
    let uncle = rig.call("eth_getUncleByBlockNumberAndIndex", json!(["0x2", "0x0"]));
    assert_eq!(uncle["hash"], tip["uncles"][0]);
    assert_eq!(rig.call("eth_getUncleCountByBlockHash", json!([tip["hash"]])), json!("0x1"));
    assert_eq!(rig.balance(&someone(8)), CLASSIC.uncle(2, 1));
    let own = CLASSIC.block(1) + CLASSIC.block(2) + CLASSIC.nephew(2);
    assert_eq!(rig.balance(&someone(9)), own);
    // Once, and never again.
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.tip()["uncles"], json!([]));
}

#[test]
fn a_farms_difficulty_finds_its_pace() {
    let params =
        EthDevParams { difficulty: EthDifficulty::for_farm(1, 16), ..EthDevParams::classic() };
    let rig = Rig::with(params);
    let difficulty = |rig: &Rig| {
        wide(&rig.call("eth_getBlockByNumber", json!(["pending", false]))["difficulty"])
    };
    let start = difficulty(&rig);
    for _ in 0..6 {
        rig.clock.advance(Duration::from_secs(1));
        rig.chain.mine(1).unwrap();
    }
    let faster = difficulty(&rig);
    assert!(faster > start, "{start} {faster}");
    rig.clock.advance(Duration::from_secs(3_600));
    assert!(difficulty(&rig) < faster);
}

#[tokio::test]
async fn words_that_are_set_stand_in_the_header_that_is_mined_on_and_shown() {
    use gruve_chain::{EthNode as _, EthRpcNode, EthRpcOptions};
    let rig = Rig::easy();
    rig.chain.pay_blocks_to(someone(9));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = rig.chain.serve(listener, None).unwrap();
    let node = EthRpcNode::new(&server.url(), None, EthRpcOptions::default()).unwrap();
    let before = node.get_work().await.unwrap();
    let words = "+/v7".repeat(8);
    assert!(node.set_extra(&words).await.unwrap());
    let work = node.get_work().await.unwrap();
    assert_ne!(work.header_hash, before.header_hash, "it makes another block at once");
    let header = node.pending_header().await.unwrap().unwrap();
    assert_eq!((header.seal_hash(), header.coinbase), (work.header_hash, someone(9)));
    assert_eq!(header.extra_data, words.as_bytes());
    let long = node.set_extra(&"x".repeat(33)).await;
    assert!(!matches!(long, Ok(true)), "no room for more than 32 bytes");
    // A payment comes in: another block is made, and that one is shown.
    rig.pay(&someone(3), 1);
    let work = node.get_work().await.unwrap();
    assert_eq!(node.pending_header().await.unwrap().unwrap().seal_hash(), work.header_hash);
    server.stop().await;
    assert!(node.set_extra(&words).await.is_err(), "that nobody answers does not mean no");
}

#[tokio::test]
async fn a_client_of_real_nodes_mines_on_it_over_http() {
    use gruve_chain::{EthNode as _, EthRpcNode, EthRpcOptions};
    let rig = Rig::easy();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = rig.chain.serve(listener, Some(("miner", "secret"))).unwrap();
    let node = |login| EthRpcNode::new(&server.url(), login, EthRpcOptions::default()).unwrap();
    assert!(node(None).get_work().await.is_err(), "it asks who calls");
    let node = node(Some(("miner", "secret")));
    let work = node.get_work().await.unwrap();
    assert_eq!(work.height, Some(1));
    assert_eq!(node.pending_time().await.unwrap().unwrap().secs(), 1_700_000_000);
    let cache = LightCache::new(EthashEpoch::new(Algorithm::Etchash, 0).unwrap());
    let (mix, _) = hash_light(&cache, &work.header_hash, 5);
    assert!(!node.submit_work(5, &work.header_hash, &[1; 32]).await.unwrap());
    assert!(node.submit_work(5, &work.header_hash, &mix).await.unwrap());
    assert_eq!(node.get_work().await.unwrap().height, Some(2));
    server.stop().await;
}
