//! The built-in wallet.

use crate::devchain_support::{Bench, Key, easy_params, open};
use gruve_chain::devchain::{DevParams, Difficulty, POW_LIMIT_BITS};
use gruve_units::{Algorithm, Asset};
use serde_json::{Value, json};

fn premined(asset: Asset) -> DevParams {
    let mut params = DevParams::new(asset, Algorithm::Sha256d);
    params.difficulty = Difficulty::Fixed { bits: POW_LIMIT_BITS };
    params
}

fn address(bench: &Bench) -> Value {
    bench.get("getnewaddress", json!([]))
}

#[test]
fn the_premine_pays_at_once_and_the_payment_confirms() {
    for asset in [Asset::Btc, Asset::Ltc, Asset::Doge] {
        let bench = Bench::new(premined(asset));
        let spendable = 20 * bench.params.subsidy;
        let decimal = |minor| gruve_units::Amount::new(asset, minor).decimal();
        assert_eq!(bench.get("getbalance", json!([])).to_string(), decimal(spendable));
        let to = address(&bench);
        let txid = bench.get("sendtoaddress", json!([to, 1.25]));
        let sent = bench.get("gettransaction", json!([txid]));
        assert_eq!(sent["confirmations"], 0);
        assert_eq!(bench.get("getreceivedbyaddress", json!([to])).to_string(), "0.00000000");
        let unconfirmed = bench.get("getreceivedbyaddress", json!([to, 0]));
        assert_eq!(unconfirmed.to_string(), "1.25000000");
        bench.get("generatetoaddress", json!([2, to]));
        assert_eq!(bench.get("gettransaction", json!([txid]))["confirmations"], 2);
        assert_eq!(bench.get("getreceivedbyaddress", json!([to, 2])).to_string(), "1.25000000");
        let coin = bench.get("gettxout", json!([txid, 0]));
        assert_eq!(coin["scriptPubKey"]["address"], to);
        assert_eq!(coin["value"].to_string(), "1.25000000");
        let wanted = format!("raw({})", coin["scriptPubKey"]["hex"].as_str().unwrap());
        let found = bench.get("scantxoutset", json!(["start", [wanted]]));
        let sent = |c: &&Value| c["txid"] == txid && c["vout"] == 0;
        let unspents = found["unspents"].as_array().unwrap();
        assert_eq!(unspents.iter().find(sent).unwrap()["amount"], coin["value"]);
        assert_eq!((unspents.len(), &found["bestblock"]), (3, &coin["bestblock"]), "{found:#}");
    }
}

#[test]
fn many_payments_in_a_row_spend_their_own_change() {
    let mut params = premined(Asset::Btc);
    params.premine_coins = 2;
    let bench = Bench::new(params);
    let to = address(&bench);
    for _ in 0..20 {
        bench.get("sendtoaddress", json!([to, "0.1"]));
    }
    assert_eq!(bench.mempool().len(), 20);
    bench.get("generatetoaddress", json!([1, to]));
    assert!(bench.mempool().is_empty());
}

#[test]
fn what_the_wallet_has_not_got_it_does_not_send() {
    let bench = Bench::new(premined(Asset::Btc));
    let to = address(&bench);
    let code = |args: Value| bench.call("sendtoaddress", args).unwrap_err().code;
    assert_eq!(code(json!([to, 100_000])), -6);
    assert_eq!(code(json!([to, 0])), -3);
    assert_eq!(code(json!([to, "1e-8"])), -3);
    assert_eq!(code(json!([to, -1])), -3);
    assert_eq!(code(json!(["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1])), -5);
    assert_eq!(
        code(json!([to, "0.00000100"])),
        -26,
        "dust is refused by the same rules as others'"
    );
    bench.get("sendtoaddress", json!([to, "0.00001000"]));
}

#[test]
fn all_of_a_balance_can_be_sent_but_the_fee() {
    let bench = Bench::new(premined(Asset::Btc));
    let elsewhere = Bench::new(easy_params());
    let to = address(&elsewhere);
    assert_eq!(bench.call("sendtoaddress", json!([to, 1000])).unwrap_err().code, -6);
    let txid = bench.get("sendtoaddress", json!([to, "999.99984"]));
    let sent = bench.get("gettransaction", json!([txid]));
    assert_eq!(sent["amount"].to_string(), "-999.99984000");
    assert_eq!(bench.get("getbalance", json!([])).to_string(), "0.00000000");
    assert_eq!(bench.get("validateaddress", json!([to]))["isvalid"], true);
}

#[test]
fn addresses_and_coins_survive_a_restart() {
    let bench = Bench::new(premined(Asset::Btc));
    let (first, second) = (address(&bench), address(&bench));
    assert_ne!(first, second);
    bench.get("sendtoaddress", json!([second, 3]));
    bench.get("generatetoaddress", json!([1, second]));
    let (dir, params) = (bench.dir, bench.params);
    drop(bench.chain);
    let (chain, _) = open(dir.path(), params);
    let received = chain.call("getreceivedbyaddress", &json!([second])).unwrap();
    assert_eq!(received.to_string(), "3.00000000");
    let third = chain.call("getnewaddress", &json!([])).unwrap();
    assert!(third != first && third != second);
    chain.call("sendtoaddress", &json!([third, 1])).unwrap();
}

#[test]
fn addresses_of_others_are_said_to_be_invalid() {
    let bench = Bench::new(easy_params());
    let own = address(&bench);
    let good = bench.get("validateaddress", json!([own]));
    assert_eq!((&good["isvalid"], &good["iswitness"]), (&json!(true), &json!(true)));
    for other in ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "", "nonsense"] {
        assert_eq!(bench.get("validateaddress", json!([other]))["isvalid"], false, "{other}");
    }
    let key = Key::new(3);
    let script = key.pkh();
    let error = bench.call("getreceivedbyaddress", json!([hex::encode(script.as_bytes())]));
    assert_eq!(error.unwrap_err().code, -5);
}
