//! The whole line on a real node: `gruve serve` and `gruve miner` with a node on regtest, from the
//! first hash to a payout in somebody else's wallet. Played by `litecoind.rs` and `bitcoind.rs`.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs)]

use crate::purse::Purse;
use crate::real_node::{Mweb, Program, RealNode, RealPair};
use crate::support::{Running, free_ports, run, tail, until};
use gruve::demo::Api;
use gruve_units::{Algorithm, Amount, Asset};
use serde_json::{Value, json};
use std::time::Duration;

pub const MACHINE_PASSWORD: &str = "sixteen characters";

pub fn config(asset: Asset, nodes: &[&RealNode], http: u16, stratum: u16) -> String {
    let lane = asset.code().to_lowercase();
    let section = if nodes.len() == 1 { "[lane.node]" } else { "[[lane.nodes]]" };
    let of = |node: &&RealNode| {
        let (url, user, password) = (node.url(), node.user(), node.password());
        format!("{section}\nurl = \"{url}\"\nuser = \"{user}\"\npassword = \"{password}\"\n")
    };
    let nodes: String = nodes.iter().map(of).collect();
    format!(
        r#"
[house]
name = "Regtest house"
origin = "regtest.gruve.example/log"
data = "house"
machine_password = "{MACHINE_PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
[accounts]
payout_delay = "0s"
[[lane]]
id = "{lane}"
asset = "{asset}"
network = "regtest"
epoch = "2s"
grace = "500ms"
confirmations = 3
capacity_epochs = 5
settle_every = 1
auto_approve_minor = 1
{nodes}[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 0
class_max = 20
class_start = 1
[[plan]]
id = "test"
lane = "{lane}"
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
lane = "{lane}"
nameplate = "10 H/s"
"#
    )
}

/// What becomes of the first node on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    Lives,
    /// The house is told of both nodes; the first is killed once work is delivered.
    Dies,
}

pub async fn play(program: Program, first: First) {
    let mut pair = RealPair::start(program).await;
    let asset = program.params().asset;
    let purse = Purse::new(program, &pair.node).await;
    purse.fill(&pair.node).await;
    if program == Program::Litecoind(Mweb::Activates) {
        // The extension block begins at 432, with a transaction into it.
        let more = 431 - pair.node.call("getblockcount", json!([])).await.as_u64().unwrap();
        let own = pair.node.new_address("bech32").await;
        pair.node.generate(u32::try_from(more).unwrap(), &own).await;
        let hidden = pair.node.new_address("mweb").await;
        pair.node.call("sendtoaddress", json!([hidden, "3.5"])).await;
    }
    let begins_at = pair.node.call("getblockcount", json!([])).await.as_u64().unwrap();

    let dir = tempfile::tempdir().unwrap();
    let (http, stratum) = {
        let p = free_ports(2);
        (p, p + 1)
    };
    let file = dir.path().join("gruve.toml");
    let nodes = [&pair.node, &pair.peer];
    let nodes = if first == First::Dies { &nodes[..] } else { &nodes[..1] };
    std::fs::write(&file, config(asset, nodes, http, stratum)).unwrap();
    let file = file.to_str().unwrap();
    let checked = run(&["config", "check", "--config", file]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let log = dir.path().join("house.log");
    let house = Running::start(&["serve", "--config", file], &log);
    let url = format!("stratum+tcp://127.0.0.1:{stratum}");
    let algorithm =
        if program.params().algorithm == Algorithm::Scrypt { "scrypt" } else { "sha256d" };
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
            algorithm,
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
    let order = json!({"plan": "test", "hashrate": "1", "term_epochs": 100});
    let bought = until("there is capacity to sell", minute, async || {
        let quote = liv.post("/api/v1/quotes", &order).await.ok()?;
        // A new customer's unpaid order may hold a part of what is free only.
        liv.post("/api/v1/contracts", &json!({"quote": quote["quote"]})).await.ok()
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let (contract, invoice) = (bought["contract"].as_str().unwrap(), &bought["invoice"]);

    // A payment by somebody else's wallet is seen, confirmed three deep, and starts the contract.
    let due = invoice["amount"]["minor"].as_i64().unwrap();
    purse.pay(&pair.node, invoice["address"].as_str().unwrap(), Amount::new(asset, due)).await;
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

    let node = if first == First::Dies {
        pair.node.kill();
        &pair.peer
    } else {
        &pair.node
    };

    // A hundred blocks later its earnings are mature and settled.
    let available = until("earnings are available", Duration::from_secs(240), async || {
        let balances = liv.get("/api/v1/balances").await.ok()?;
        let coins =
            balances["items"].as_array()?.iter().find(|b| b["asset"] == asset.code())?.clone();
        coins["available"]["minor"].as_i64().filter(|minor| *minor > 1_000_000)
    })
    .await
    .unwrap_or_else(|e| panic!("{}", said(e)));
    let height = node.call("getblockcount", json!([])).await;
    assert!(height.as_u64().unwrap() > begins_at + 100, "{height}");
    let tip = node.call("getbestblockhash", json!([])).await;
    let block = node.call("getblock", json!([tip, 2])).await;
    let outputs = block["tx"][0]["vout"].as_array().unwrap();
    let script = |o: &Value| o["scriptPubKey"]["hex"].as_str().unwrap().to_owned();
    assert!(outputs.iter().any(|o| script(o).starts_with("6a24aa21a9ed")), "witness commitment");
    assert!(outputs.iter().any(|o| script(o).starts_with("6a2667727576")), "the stamp");
    let is_extended = program == Program::Litecoind(Mweb::Activates);
    assert_eq!(block.get("mweb").is_some(), is_extended, "the extension block");
    if first == First::Dies {
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(said.contains("templates come from another node now"), "{said}");
    }

    // A payout arrives in somebody else's wallet, less exactly the fee that is stated.
    let amount = Amount::new(asset, available);
    let mine = purse.new_address(node).await;
    let password = "correct horse battery";
    let order = json!({
        "asset": asset.code(), "amount": amount.decimal(), "address": mine, "password": password,
    });
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
    let received = purse.received(node, &mine, asset).await;
    assert_eq!(received.minor + paid["fee"]["minor"].as_i64().unwrap(), available);

    let books = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(books["adds_up"], true, "{books:#}");
    assert!(miner.stop().await.success());
    assert!(house.stop().await.success(), "{}", tail(&log));
    let audit = run(&["admin", "audit", "--config", file]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}
