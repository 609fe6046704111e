//! Ether, which nobody mines: a contract priced in it is bought and paid, a balance filled, and a payout arrives, in a
//! house whose lane mines another chain of the family.
#![allow(clippy::unwrap_used, missing_docs)]

mod ethash_house;
mod support;

use ethash_house::{MINUTES, Place};
use gruve::demo::Api;
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDifficulty};
use gruve_chain::eth::wei;
use gruve_units::{Algorithm, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use support::{run, until};

/// The number of the chain whose coin is Ether here.
const ETHER: u64 = 4_242;

/// Somebody's address outside.
const OUTSIDE: &str = "0x7171717171717171717171717171717171717171";

fn sections(node: &str) -> String {
    format!(
        r#"
[[pay_in_chain]]
asset = "ETH"
network = "regtest"
chain_id = {ETHER}
confirmations = 2
auto_approve_minor = 10000000000
[pay_in_chain.node]
url = "{node}"
[[plan]]
id = "ether"
lane = "eth-class"
title = "Paid in Ether"
pay_asset = "ETH"
hashrate_min = "1"
hashrate_max = "100"
hashrate_step = "1"
terms_epochs = [100]
price_minor = 10000000000
price_hashrate = "1"
fee_bps = 200
"#
    )
}

/// Its wallet pays somebody; gives the transaction's hash.
fn pay(chain: &EthDevChain, to: &str, gwei: i64) -> String {
    let (from, wei) = (chain.wallet_address().to_string(), wei::from_gwei(gwei).unwrap());
    let order = json!([{ "from": from, "to": to, "value": format!("{wei:#x}") }]);
    let sent = chain.call("eth_sendTransaction", &order).unwrap_or_else(|e| panic!("{e}"));
    sent.as_str().unwrap().to_owned()
}

fn on_chain(chain: &EthDevChain, address: &str) -> i64 {
    let text = chain.call("eth_getBalance", &json!([address, "latest"]));
    let text = text.unwrap_or_else(|e| panic!("{e}"));
    wei::split(text.as_str().unwrap().parse().unwrap()).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_priced_in_ether_is_paid_and_a_balance_of_it_withdrawn() {
    let place = Place::new(Algorithm::Etchash);
    let _server = place.dev_chain().serve(place.node_listener(), None).unwrap();
    let params = EthDevParams {
        chain_id: ETHER,
        difficulty: EthDifficulty::fixed(1),
        ..EthDevParams::classic()
    };
    let clock = Arc::new(SystemClock);
    let ether = EthDevChain::open(&place.path("ether"), params, clock, &SystemEntropy).unwrap();
    // The wallet's coins mature, and the chain is long enough to be begun at.
    ether.mine(20).unwrap();
    let node = ether.serve(TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
    let config = place.path("gruve.toml");
    let mut file = std::fs::File::options().append(true).open(&config).unwrap();
    file.write_all(sections(&node.url()).as_bytes()).unwrap();
    let config = config.to_str().unwrap();
    let checked = run(&["config", "check", "--config", config]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let house = place.house();
    let miner = place.miner_with(&["--limit", "40 H/s"]);
    let api = Api::new(format!("http://127.0.0.1:{}", place.base));
    let fail = |e: String| -> Value { place.fail(&e) };
    until("the house answers", MINUTES, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(fail);
    let account =
        json!({"name": "liv", "email": "liv@example.org", "password": "correct horse battery"});
    api.post("/api/v1/accounts", &account).await.unwrap();
    let login = json!({"login": "liv", "password": "correct horse battery"});
    let session = api.post("/api/v1/sessions", &login).await.unwrap();
    let liv = api.signed_in(session["token"].as_str().unwrap());

    let order = json!({"plan": "ether", "hashrate": "1", "term_epochs": 100});
    let bought = until("there is capacity to sell", MINUTES, async || {
        let quote = liv.post("/api/v1/quotes", &order).await.ok()?;
        liv.post("/api/v1/contracts", &json!({"quote": quote["quote"]})).await.ok()
    })
    .await
    .unwrap_or_else(fail);
    let invoice = &bought["invoice"];
    assert_eq!(invoice["amount"]["asset"], "ETH", "{invoice:#}");
    assert_eq!(invoice["blocks_needed"], 2);
    let (address, due) =
        (invoice["address"].as_str().unwrap(), invoice["amount"]["minor"].as_i64().unwrap());
    let uri = invoice["uri"].as_str().unwrap();
    assert!(uri.starts_with(&format!("ethereum:{address}@{ETHER}?value=")), "{uri}");

    // It shows before any block, and counts for nothing; then it is confirmed.
    let sent = pay(&ether, address, due);
    let path = format!("/api/v1/invoices/{}", invoice["id"].as_str().unwrap());
    let seen = until("the payment shows", MINUTES, async || {
        liv.get(&path).await.ok().filter(|i| i["unconfirmed"][0]["transaction"] == sent.as_str())
    })
    .await
    .unwrap_or_else(fail);
    assert_eq!((&seen["state"], &seen["received"]["minor"]), (&json!("new"), &json!(0)));
    ether.mine(2).unwrap();
    let paid = until("the payment is confirmed", MINUTES, async || {
        liv.get(&path).await.ok().filter(|i| i["state"] == "confirmed")
    })
    .await
    .unwrap_or_else(fail);
    assert_eq!(paid["unconfirmed"], json!([]), "it stands in a block");

    let top_up = json!({"asset": "ETH", "amount": "1"});
    let top_up = liv.post("/api/v1/top-ups", &top_up).await.unwrap();
    pay(&ether, top_up["address"].as_str().unwrap(), 1_000_000_000);
    ether.mine(2).unwrap();
    let has = async || {
        let balances = liv.get("/api/v1/balances").await.ok()?;
        let all = balances["items"].as_array()?;
        all.iter().find(|b| b["asset"] == "ETH")?["available"]["minor"].as_i64()
    };
    until("the balance is filled", MINUTES, async || has().await.filter(|m| *m == 1_000_000_000))
        .await
        .unwrap_or_else(|e| place.fail(&e));

    // What came is swept to the hot address; from there half of it leaves.
    let password = "correct horse battery";
    let order = json!({"asset": "ETH", "amount": "0.5", "address": OUTSIDE, "password": password});
    let payout = liv.post("/api/v1/payouts", &order).await.unwrap();
    let path = format!("/api/v1/payouts/{}", payout["payout"].as_str().unwrap());
    let payout = until("the payout is confirmed", MINUTES, async || {
        ether.mine(1).unwrap();
        liv.get(&path).await.ok().filter(|p| p["state"] == "confirmed")
    })
    .await
    .unwrap_or_else(fail);
    assert_eq!(payout["receives"]["minor"].as_i64().unwrap(), on_chain(&ether, OUTSIDE));
    assert_eq!(has().await, Some(500_000_000));

    let health = page(&place, "/healthz/lanes").await;
    assert!(health.contains("pay-in-eth chain=following nodes_ready=1/1"), "{health}");
    let books = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(books["adds_up"], true, "{books:#}");
    assert!(miner.stop().await.success());
    assert!(house.stop().await.success());
    let audit = run(&["admin", "audit", "--json", "--config", config]);
    let report: Value = serde_json::from_slice(&audit.stdout).unwrap_or_default();
    assert!(audit.status.success(), "{report:#}");
    let wallet = &report["pay_in_chains"][0];
    assert_eq!(wallet["asset"], "ETH", "{report:#}");
    assert_eq!(wallet["wallet_minor"], wallet["books_minor"], "{report:#}");
    assert_eq!(report["not_compared"], json!([]), "the node was asked for every balance");
}

/// A page of the house as it is written.
async fn page(place: &Place, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", place.base)).await.unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
