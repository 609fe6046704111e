//! Transactions: which are taken, what they do, how they are told.

use crate::{CLASSIC, COIN, GWEI, Rig, address_of, key, someone, transfer, wide};
use gruve_chain::eth::{EthAddress, LegacyTx, TRANSFER_GAS};
use ruint::aliases::U256;
use serde_json::json;

/// A rig whose account of key `n` has ten coins.
fn funded(n: u8) -> Rig {
    let rig = Rig::easy();
    rig.chain.pay_blocks_to(someone(9));
    rig.pay(&address_of(n), 10 * COIN);
    rig.chain.mine(1).unwrap();
    rig
}

#[test]
fn a_transfer_moves_its_value_and_pays_its_gas_to_the_miner() {
    let rig = funded(1);
    let before = rig.balance(&someone(9));
    let signed = transfer(1, 0, someone(2), 3 * COIN);
    let hash = rig.send(&signed).unwrap();
    assert_eq!(hash, json!(format!("0x{}", hex::encode(signed.hash))));
    let waiting = rig.call("eth_getTransactionByHash", json!([hash]));
    assert!(waiting["blockNumber"].is_null() && waiting["nonce"] == "0x0");
    assert!(rig.call("eth_getTransactionReceipt", json!([hash])).is_null());
    rig.chain.mine(1).unwrap();
    let fee = U256::from(TRANSFER_GAS * 2 * GWEI);
    assert_eq!(rig.balance(&someone(2)), U256::from(3 * COIN));
    assert_eq!(rig.balance(&address_of(1)), U256::from(7 * COIN) - fee);
    assert_eq!(rig.balance(&someone(9)) - before, CLASSIC.block(2) + fee);
    let receipt = rig.call("eth_getTransactionReceipt", json!([hash]));
    assert_eq!((&receipt["status"], &receipt["gasUsed"]), (&json!("0x1"), &json!("0x5208")));
    assert_eq!(receipt["blockHash"], rig.tip()["hash"]);
    let told = rig.call("eth_getTransactionByHash", json!([hash]));
    assert_eq!((&told["blockNumber"], &told["chainId"]), (&json!("0x2"), &json!("0x3d")));
    assert_eq!(told, rig.tip()["transactions"][0]);
}

#[test]
fn each_refusal_has_the_words_of_real_nodes() {
    let rig = funded(1);
    let price = U256::from(2 * GWEI);
    let own = |tx: LegacyTx| tx.sign(61, &key(1));
    let base = || LegacyTx::transfer(0, someone(2), U256::from(COIN), price);
    for (signed, words) in [
        (base().sign(1, &key(1)), "invalid sender: invalid chain id for signer"),
        (transfer(1, 0, someone(2), 11 * COIN), "insufficient funds for gas * price + value"),
        (transfer(5, 0, someone(2), 1), "insufficient funds for gas * price + value"),
        (own(LegacyTx { gas_limit: 20_999, ..base() }), "intrinsic gas too low"),
        (own(LegacyTx { gas_limit: 9_000_000, ..base() }), "exceeds block gas limit"),
        (own(LegacyTx { gas_price: U256::from(1), ..base() }), "transaction underpriced"),
        (own(LegacyTx { nonce: 5_000, ..base() }), "nonce too high"),
        (
            own(LegacyTx { to: None, ..base() }),
            "this chain runs no contracts: a transaction needs a recipient",
        ),
        (
            own(LegacyTx { data: vec![1], ..base() }),
            "this chain runs no contracts: a transaction carries no data",
        ),
    ] {
        assert_eq!(rig.send(&signed).unwrap_err(), words);
    }
    let good = own(base());
    rig.send(&good).unwrap();
    assert_eq!(rig.send(&good).unwrap_err(), "already known");
    let same_price = transfer(1, 0, someone(3), COIN);
    assert_eq!(rig.send(&same_price).unwrap_err(), "replacement transaction underpriced");
    let both = transfer(1, 1, someone(3), 9 * COIN);
    assert_eq!(rig.send(&both).unwrap_err(), "insufficient funds for gas * price + value");
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.send(&good).unwrap_err(), "already known");
    assert_eq!(rig.send(&same_price).unwrap_err(), "nonce too low");
    let message = rig.refusal("eth_sendRawTransaction", json!(["0x00"]));
    assert_eq!(message, "transaction type 0 is not supported: legacy transactions only");
}

#[test]
fn a_replacement_that_pays_a_tenth_more_takes_the_place() {
    let rig = funded(1);
    let first = transfer(1, 0, someone(2), COIN);
    rig.send(&first).unwrap();
    let price = U256::from(2 * GWEI * 11 / 10);
    let second = LegacyTx::transfer(0, someone(2), U256::from(COIN), price).sign(61, &key(1));
    rig.send(&second).unwrap();
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.balance(&someone(2)), U256::from(COIN));
    let gone =
        rig.call("eth_getTransactionByHash", json!([format!("0x{}", hex::encode(first.hash))]));
    assert!(gone.is_null());
}

#[test]
fn nonces_wait_for_the_one_before() {
    let rig = funded(1);
    let sender = address_of(1).to_string();
    let pending = || rig.call("eth_getTransactionCount", json!([sender, "pending"]));
    rig.send(&transfer(1, 1, someone(2), 7)).unwrap();
    assert_eq!(pending(), json!("0x0"));
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.balance(&someone(2)), U256::ZERO);
    rig.send(&transfer(1, 0, someone(2), 5)).unwrap();
    assert_eq!(pending(), json!("0x2"));
    rig.chain.mine(1).unwrap();
    assert_eq!(rig.balance(&someone(2)), U256::from(12));
    assert_eq!(rig.call("eth_getTransactionCount", json!([sender, "latest"])), json!("0x2"));
}

#[test]
fn an_account_is_told_as_of_any_height() {
    let rig = funded(1);
    rig.send(&transfer(1, 0, someone(2), 5)).unwrap();
    rig.chain.mine(1).unwrap();
    rig.send(&transfer(1, 1, someone(2), 7)).unwrap();
    rig.chain.mine(2).unwrap();
    let at =
        |height: &str| wide(&rig.call("eth_getBalance", json!([someone(2).to_string(), height])));
    assert_eq!([at("0x1"), at("0x2"), at("0x3"), at("0x4")], [0, 5, 12, 12].map(U256::from));
    let count =
        |height| rig.call("eth_getTransactionCount", json!([address_of(1).to_string(), height]));
    assert_eq!(
        [count("0x1"), count("0x2"), count("latest")],
        [json!("0x0"), json!("0x1"), json!("0x2")]
    );
    assert_eq!(
        rig.refusal("eth_getBalance", json!([someone(2).to_string(), "0x9"])),
        "header not found"
    );
}

#[test]
fn the_wallet_gives_accounts_and_pays_from_them() {
    let rig = Rig::easy();
    let own = rig.call("personal_newAccount", json!(["any"]));
    let own: EthAddress = own.as_str().unwrap().parse().unwrap();
    rig.pay(&own, COIN);
    rig.chain.mine(1).unwrap();
    let order = json!({ "from": own.to_string(), "to": someone(4).to_string(), "value": "0x10" });
    rig.call("eth_sendTransaction", json!([order]));
    let rig = rig.reopen();
    assert_eq!(rig.call("eth_accounts", json!([])).as_array().unwrap().len(), 2);
    // What waited was forgotten; what was mined was not.
    assert_eq!(rig.balance(&own), U256::from(COIN));
}
