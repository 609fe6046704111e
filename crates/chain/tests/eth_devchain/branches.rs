//! Branches, and what a killed process leaves behind.

use crate::{CLASSIC, COIN, Rig, someone};
use gruve_chain::devchain::eth::EthDevParams;
use gruve_chain::eth::EthHeader;
use gruve_chain::eth::header::BLOOM_BYTES;
use ruint::aliases::U256;
use serde_json::{Value, json};

#[test]
fn blocks_taken_back_return_their_payments_to_the_pool() {
    let rig = Rig::easy();
    rig.chain.mine(2).unwrap();
    let paid = rig.pay(&someone(2), COIN);
    rig.chain.mine(3).unwrap();
    let old_tip = rig.tip()["hash"].clone();
    rig.chain.take_back(3).unwrap();
    assert_eq!(rig.chain.height(), 2);
    assert_eq!(rig.balance(&someone(2)), U256::ZERO);
    let waiting = rig.call("eth_getTransactionByHash", json!([paid]));
    assert!(waiting["blockNumber"].is_null() && waiting["hash"] == json!(paid));
    rig.chain.pay_blocks_to(someone(9));
    rig.chain.mine(4).unwrap();
    assert_eq!(rig.balance(&someone(2)), U256::from(COIN));
    assert_ne!(rig.tip()["hash"], old_tip);
    // The old branch is still told by its hash.
    let told = rig.call("eth_getBlockByHash", json!([old_tip, false]));
    assert_eq!(told["number"], json!("0x5"));
}

#[test]
fn a_chain_taken_back_stands_below_the_blocks_beside_those_it_lost_too() {
    let rig = Rig::easy();
    rig.chain.mine(3).unwrap();
    let beside = rig.tip()["hash"].clone();
    rig.call("dev_invalidate", json!([beside]));
    rig.chain.mine(2).unwrap();
    assert_eq!(rig.call("dev_reconsider", json!([beside])), json!(true));
    assert_ne!(rig.tip()["parentHash"], beside);
    rig.chain.take_back(2).unwrap();
    assert_eq!(rig.chain.height(), 2);
}

#[test]
fn a_longer_branch_that_comes_back_wins() {
    let rig = Rig::easy();
    rig.chain.mine(5).unwrap();
    let old_tip = rig.tip()["hash"].clone();
    let fourth = rig.call("eth_getBlockByNumber", json!(["0x4", false]))["hash"].clone();
    rig.call("dev_invalidate", json!([fourth]));
    rig.chain.pay_blocks_to(someone(9));
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.chain.height(), 4);
    assert_eq!(rig.balance(&someone(9)), CLASSIC.block(4));
    assert_eq!(rig.call("dev_reconsider", json!([fourth])), json!(true));
    assert_eq!(rig.tip()["hash"], old_tip);
    assert_eq!(rig.balance(&someone(9)), U256::ZERO);
}

#[test]
fn a_chain_is_the_same_after_its_process_was_killed() {
    let rig = Rig::easy();
    rig.chain.pay_blocks_to(someone(9));
    rig.pay(&someone(2), COIN);
    rig.chain.mine(4).unwrap();
    rig.chain.take_back(2).unwrap();
    rig.chain.pay_blocks_to(someone(8));
    rig.chain.mine(3).unwrap();
    let before = (rig.tip(), rig.balance(&someone(9)), rig.balance(&someone(2)));
    let rig = rig.reopen();
    assert_eq!((rig.tip(), rig.balance(&someone(9)), rig.balance(&someone(2))), before);
    assert_eq!(rig.chain.height(), 5);
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.chain.height(), 6);
}

#[test]
fn a_torn_end_of_the_file_is_cut_and_other_rules_are_refused() {
    let rig = Rig::easy();
    rig.chain.mine(3).unwrap();
    let Rig { dir, clock, params, chain } = rig;
    drop(chain);
    let path = dir.path().join("chain.dat");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    let entropy = gruve_units::SeededEntropy::new(7);
    let open = |params| {
        gruve_chain::devchain::eth::EthDevChain::open(dir.path(), params, clock.clone(), &entropy)
    };
    let chain = open(params.clone()).unwrap();
    assert_eq!(chain.height(), 2);
    drop(chain);
    let mut other = params;
    other.chain_id = 62;
    assert!(open(other).err().unwrap().to_string().contains("other rules"));
}

fn data(value: &Value) -> Vec<u8> {
    hex::decode(&value.as_str().unwrap()[2..]).unwrap()
}

#[test]
fn a_block_as_told_has_the_hash_it_is_told_by() {
    let rig = Rig::easy();
    rig.pay(&someone(2), COIN);
    rig.chain.mine(1).unwrap();
    let tip = rig.tip();
    let number = |key: &str| u64::from_str_radix(&tip[key].as_str().unwrap()[2..], 16).unwrap();
    let hash = |key: &str| -> [u8; 32] { data(&tip[key]).try_into().unwrap() };
    let header = EthHeader {
        parent_hash: hash("parentHash"),
        uncles_hash: hash("sha3Uncles"),
        coinbase: gruve_chain::eth::EthAddress(data(&tip["miner"]).try_into().unwrap()),
        state_root: hash("stateRoot"),
        transactions_root: hash("transactionsRoot"),
        receipts_root: hash("receiptsRoot"),
        logs_bloom: Box::new(<[u8; BLOOM_BYTES]>::try_from(data(&tip["logsBloom"])).unwrap()),
        difficulty: crate::wide(&tip["difficulty"]),
        number: number("number"),
        gas_limit: number("gasLimit"),
        gas_used: number("gasUsed"),
        timestamp: number("timestamp"),
        extra_data: data(&tip["extraData"]),
        mix_hash: hash("mixHash"),
        nonce: data(&tip["nonce"]).try_into().unwrap(),
        later_fields: Vec::new(),
    };
    assert_eq!(header.hash(), hash("hash"));
}

#[test]
fn nothing_asked_breaks_it_and_what_is_too_hard_is_refused() {
    let rig = Rig::easy();
    rig.chain.mine(1).unwrap();
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!([null, null, null]),
        json!(["0x", "0x", "0x"]),
        json!(["latest", true]),
        json!(["0xffffffffffffffff", "0xffffffffffffffff"]),
        json!([format!("0x{}", "f".repeat(64)), format!("0x{}", "f".repeat(65)), 7]),
        json!([format!("0x{}", "0".repeat(40)), "pending"]),
        json!([{ "from": 1, "to": [], "value": "-0x1" }]),
        json!(["0xc0", "0xf8ff", "é"]),
    ];
    for method in [
        "eth_getWork",
        "eth_submitWork",
        "eth_getBlockByNumber",
        "eth_getBlockByHash",
        "eth_getUncleByBlockNumberAndIndex",
        "eth_getUncleCountByBlockHash",
        "eth_getBalance",
        "eth_getTransactionCount",
        "eth_sendRawTransaction",
        "eth_sendTransaction",
        "eth_getTransactionByHash",
        "eth_getTransactionReceipt",
        "eth_getCode",
        "dev_invalidate",
        "miner_setEtherbase",
        "eth_nothing",
        "",
    ] {
        for params in &odd {
            let _ = rig.chain.call(method, params);
        }
    }
    assert_eq!(rig.chain.height(), 1);
    assert!(rig.chain.call("dev_mine", &json!([u64::MAX])).is_err());
    let hard = Rig::with(EthDevParams::classic());
    let refused = hard.refusal("dev_mine", json!([1]));
    assert_eq!(refused, "too hard to be mined here: let miners do it");
}
