//! The whole line on a real node: `gruve serve` and `gruve miner` with `litecoind` on regtest.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/litecoin_node/mod.rs"]
mod litecoin_node;
mod support;

use gruve::demo::Api;
use gruve_units::{Amount, Asset};
use litecoin_node::{LitecoinPair, Mweb};
use serde_json::{Value, json};
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MACHINE_PASSWORD: &str = "sixteen characters";

fn config(node: &litecoin_node::LitecoinNode, http: u16, stratum: u16) -> String {
    format!(
        r#"
[house]
name = "Regtest house"
origin = "regtest.gruve.example/log"
data = "house"
machine_password = "{MACHINE_PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
[[lane]]
id = "ltc"
asset = "LTC"
network = "regtest"
epoch = "2s"
grace = "500ms"
confirmations = 3
capacity_epochs = 5
settle_every = 1
auto_approve_minor = 1
[lane.node]
url = "{url}"
user = "{user}"
password = "{password}"
[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 0
class_max = 20
class_start = 1
[[plan]]
id = "ltc-test"
lane = "ltc"
title = "Regtest lease"
hashrate_min = "1"
hashrate_max = "100"
hashrate_step = "1"
terms_epochs = [100]
price_minor = 10000000000
price_hashrate = "1"
fee_bps = 200
[[site]]
name = "bench"
[[site.machine]]
name = "rig"
lane = "ltc"
nameplate = "10 H/s"
"#,
        url = node.url(),
        user = node.user(),
        password = node.password(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_payments_and_payouts_are_real_to_litecoind() {
    let pair = LitecoinPair::start(Mweb::Activates).await;
    let node = &pair.node;
    node.make_wallet().await;
    let own = node.new_address("bech32").await;
    node.generate(101, &own).await;

    let dir = tempfile::tempdir().unwrap();
    let (http, stratum) = {
        let p = free_ports(2);
        (p, p + 1)
    };
    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, config(node, http, stratum)).unwrap();
    let file = file.to_str().unwrap();
    let checked = run(&["config", "check", "--config", file]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let log = dir.path().join("house.log");
    let house = Running::start(&["serve", "--config", file], &log);
    let url = format!("stratum+tcp://127.0.0.1:{stratum}");
    let miner_log = dir.path().join("miner.log");
    let miner = Running::start(
        &[
            "miner",
            "--url",
            &url,
            "--user",
            "house.rig",
            "--password",
            MACHINE_PASSWORD,
            "--algorithm",
            "scrypt",
            "--threads",
            "1",
            "--limit",
            "8 H/s",
        ],
        &miner_log,
    );
    let api = Api::new(format!("http://127.0.0.1:{http}"));
    let said = |e: String| format!("{e}\n{}\n{}", tail(&log), tail(&miner_log));
    let minute = Duration::from_secs(60);

    until("the house answers", minute, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| panic!("{}", said(e)));
    let account =
        json!({"name": "liv", "email": "liv@example.org", "password": "correct horse battery"});
    api.post("/api/v1/accounts", &account).await.unwrap();
    let login = json!({"login": "liv", "password": "correct horse battery"});
    let session = api.post("/api/v1/sessions", &login).await.unwrap();
    let liv = api.signed_in(session["token"].as_str().unwrap());

    // Hashpower is for sale once the machine has proven some.
    let order = json!({"plan": "ltc-test", "hashrate": "1", "term_epochs": 100});
    let quote = until("there is capacity to sell", minute, async || {
        liv.post("/api/v1/quotes", &order).await.ok()
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let bought = liv.post("/api/v1/contracts", &json!({"quote": quote["quote"]})).await.unwrap();
    let (contract, invoice) = (bought["contract"].as_str().unwrap(), &bought["invoice"]);

    // A payment by the node's own wallet is seen, confirmed three deep, and starts the contract.
    let due: Value = serde_json::from_str(invoice["amount"]["decimal"].as_str().unwrap()).unwrap();
    node.call("sendtoaddress", json!([invoice["address"], due])).await;
    let invoice = format!("/api/v1/invoices/{}", invoice["id"].as_str().unwrap());
    until("the payment is confirmed", minute, async || {
        liv.get(&invoice).await.ok().filter(|i| i["state"] == "confirmed")
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let path = format!("/api/v1/contracts/{contract}");
    until("work is delivered", minute, async || {
        liv.get(&path).await.ok().filter(|c| c["delivered"].as_str().is_some_and(|d| d != "0"))
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));

    // A hundred blocks later its earnings are mature and settled.
    let available = until("earnings are available", Duration::from_secs(240), async || {
        let balances = liv.get("/api/v1/balances").await.ok()?;
        let ltc = balances.as_array()?.iter().find(|b| b["asset"] == "LTC")?.clone();
        ltc["available"]["minor"].as_i64().filter(|minor| *minor > 1_000_000)
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let height = node.call("getblockcount", json!([])).await;
    assert!(height.as_u64().unwrap() > 201, "{height}");
    let tip = node.call("getbestblockhash", json!([])).await;
    let block = node.call("getblock", json!([tip, 2])).await;
    let outputs = block["tx"][0]["vout"].as_array().unwrap();
    let script = |o: &Value| o["scriptPubKey"]["hex"].as_str().unwrap().to_owned();
    assert!(outputs.iter().any(|o| script(o).starts_with("6a24aa21a9ed")), "witness commitment");
    assert!(outputs.iter().any(|o| script(o).starts_with("6a2667727576")), "the stamp");

    // A payout arrives in the node's own wallet, less exactly the fee that is stated.
    let amount = Amount::new(Asset::Ltc, available);
    let mine = node.new_address("bech32").await;
    let order = json!({"asset": "LTC", "amount": amount.decimal(), "address": mine});
    let payout = liv.post("/api/v1/payouts", &order).await.unwrap();
    let id = payout["payout"].as_str().unwrap();
    assert_eq!(payout["state"], "requested", "above the limit a person must approve");
    let approved = run(&["admin", "payouts", "--config", file, "--approve", id]);
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    let path = format!("/api/v1/payouts/{id}");
    let paid = until("the payout is confirmed", minute, async || {
        liv.get(&path).await.ok().filter(|p| p["state"] == "confirmed")
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let received = node.call("getreceivedbyaddress", json!([mine, 1])).await.to_string();
    let received = Amount::parse_decimal(Asset::Ltc, &received).unwrap();
    assert_eq!(received.minor + paid["fee"]["minor"].as_i64().unwrap(), available);

    let books = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(books["adds_up"], true, "{books:#}");
    assert!(miner.stop().await.success());
    assert!(house.stop().await.success(), "{}", tail(&log));
    let audit = run(&["admin", "audit", "--config", file]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
