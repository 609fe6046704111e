//! An owner and a partner are paid by the block itself that a hosted machine finds, less the house's fee: the wish, the published
//! place, jobs of its own, the chain, the page's figures, the statement, the verifiers, the books.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use bitcoin::Block;
use bitcoin::consensus::encode::deserialize_hex;
use gruve::demo::{Api, Rpc};
use gruve_chain::devchain::{DevChain, DevParams};
use gruve_miner::{Miner, MinerOptions};
use gruve_units::{Algorithm, Asset, Duration, Hashrate, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use support::{Running, free_ports, run, tail, until};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
const PASSWORD: &str = "correct horse battery";
const MACHINE_PASSWORD: &str = "sixteen characters";
const RATE: Hashrate = Hashrate(500_000);

fn toml(http: u16) -> String {
    let (stratum, node) = (http + 1, http + 2);
    format!(
        r#"
[house]
name = "Nordlys Mining"
origin = "block.gruve.example/log"
data = "house"
machine_password = "{MACHINE_PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
[accounts]
payout_delay = "0s"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
epoch = "4s"
grace = "500ms"
tag = "/Nordlys/"
confirmations = 1
maturity = 2
settle_every = 1
outside_fee_bps = 150
[lane.node]
url = "http://127.0.0.1:{node}"
user = "gruve"
password = "secret"
[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 8
class_max = 40
class_start = 17
share_interval = "300ms"
[[site]]
name = "narvik"
[[site.machine]]
name = "rack1-01"
lane = "btc"
nameplate = "{}"
"#,
        RATE.0
    )
}

/// Runs a command of the house.
fn admin(config: &str, args: &[&str]) {
    let (what, order) = args.split_first().unwrap();
    let out = run(&[&["admin", what, "--config", config], order].concat());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_a_hosted_machine_finds_pays_its_owner_and_a_partner_itself() {
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(3);
    let spacing = Duration::from_secs(2);
    let mut params = DevParams::new(Asset::Btc, Algorithm::Sha256d)
        .with_start_work(Hashrate(2 * RATE.0).work_in(spacing));
    params.spacing_secs = 2;
    params.coinbase_maturity = 2;
    let chain = dir.path().join("chain");
    std::fs::create_dir_all(&chain).unwrap();
    let chain =
        DevChain::open(&chain, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", http + 2)).unwrap();
    let _chain = chain.serve(listener, "gruve", "secret").unwrap();
    let node = Rpc::new(format!("http://127.0.0.1:{}", http + 2), "gruve", "secret");

    let config = dir.path().join("gruve.toml");
    std::fs::write(&config, toml(http)).unwrap();
    let config = config.to_str().unwrap();
    let log = dir.path().join("house.log");
    let house = Running::start(&["serve", "--config", config], &log);
    let api = Api::new(format!("http://127.0.0.1:{http}"));
    let said = |e: String| -> Value { panic!("{e}\n{}", tail(&log)) };
    until("the house answers", PATIENCE, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(said);
    let machine = |name: &str| {
        let url = format!("stratum+tcp://127.0.0.1:{}", http + 1);
        let mut options = MinerOptions::new(url, format!("house.{name}"), Algorithm::Sha256d);
        options.password = MACHINE_PASSWORD.to_owned();
        options.limit = Some(RATE);
        Miner::start(options).unwrap()
    };
    let _rack = machine("rack1-01");

    let new = json!({"name": "kari", "email": "kari@example.org", "password": PASSWORD});
    api.post("/api/v1/accounts", &new).await.unwrap();
    let login = json!({"login": "kari", "password": PASSWORD});
    let session = api.post("/api/v1/sessions", &login).await.unwrap();
    let kari = api.signed_in(session["token"].as_str().unwrap());
    let add = ["machine", "add", "--site", "narvik", "--name", "own-1", "--lane", "btc"];
    let what = ["--serial", "SN1", "--model", "S19", "--rack", "A-1"];
    let rated = ["--hashrate", "500 kH/s", "--watts", "3000"];
    admin(config, &[&add[..], &what, &rated].concat());
    admin(config, &["machine", "state", "--serial", "SN1", "--state", "running"]);
    let offer = ["hosting", "offer", "--serial", "SN1", "--to", "kari", "--kind", "sold"];
    let terms = ["--scheme", "solo", "--asset", "BTC", "--energy", "0", "--fee", "0"];
    let paid = ["--level", "0", "--pay-from", "balance", "--price", "0"];
    admin(config, &[&offer[..], &terms, &paid].concat());
    let all = kari.get("/api/v1/machines").await.unwrap();
    let path = format!("/api/v1/machines/{}", all["items"][0]["id"].as_str().unwrap());
    kari.post(&format!("{path}/accept"), &json!({})).await.unwrap();
    let address = node.call("getnewaddress", json!([])).await.unwrap();
    let partner = node.call("getnewaddress", json!([])).await.unwrap();
    let partners = json!([{"address": partner, "bps": 3_000}]);
    let order = json!({"address": address, "partners": partners, "password": PASSWORD});
    kari.post(&format!("{path}/address"), &order).await.unwrap();
    let in_block = format!("{path}/in-block");
    let wish = json!({"wanted": true, "password": PASSWORD});
    let wished = kari.post(&in_block, &wish).await.unwrap();
    assert_eq!((&wished["wanted"], &wished["paid"]), (&json!(true), &json!([])));
    let shared = json!([{"address": address, "bps": 7_000}, {"address": partner, "bps": 3_000}]);
    assert_eq!(wished["shared"][0]["parts"], shared, "{wished:#}");
    let _own = machine("own-1");

    let mature = until("a block that pays the owner is mature", PATIENCE, async || {
        let shown = kari.get(&in_block).await.ok()?;
        let all = shown["paid"].as_array()?;
        all.iter().find(|p| p["state"] == "mature" && p["output"] == 0).cloned()
    })
    .await
    .unwrap_or_else(said);
    assert_eq!(mature["address"], address);
    let hash = mature["block"].as_str().unwrap();
    let raw = node.call("getblock", json!([hash, 0])).await.unwrap();
    let block: Block = deserialize_hex(raw.as_str().unwrap()).unwrap();
    let outputs = &block.txdata[0].output;
    let minor = mature["amount"]["minor"].to_string().replace('"', "");
    assert_eq!(outputs[0].value.to_sat().to_string(), minor);
    let worth: Vec<u64> = outputs.iter().map(|o| o.value.to_sat()).filter(|v| *v > 0).collect();
    let whole: u64 = worth.iter().sum();
    let fee = whole * 150 / 10_000;
    let second = (whole - fee) * 3_000 / 10_000;
    assert_eq!(worth, [whole - fee - second, second, fee], "less the fee, to the last unit");
    let shown = kari.get(&in_block).await.unwrap();
    let mut rows = shown["paid"].as_array().unwrap().iter();
    let other = rows.find(|p| p["block"] == hash && p["output"] == 1).unwrap();
    assert_eq!(other["address"], partner);
    let signed = kari.get(&format!("{path}/signed-terms")).await.unwrap();
    let statement = kari.get(&format!("{path}/statement")).await.unwrap();
    let lines = statement["blocks"].as_array().unwrap();
    let line = lines.iter().find(|line| line["output"] == 1).unwrap();
    let part = json!({"number": 1, "others_bps": [3_000]});
    assert_eq!((&line["fee_bps"], &line["part"]), (&json!(150), &part), "{statement:#}");
    let checked = |name: &str, statement: &Value| {
        let [terms, bills] = ["terms.json", name].map(|name| dir.path().join(name));
        std::fs::write(&terms, signed.to_string()).unwrap();
        std::fs::write(&bills, statement.to_string()).unwrap();
        let out = run(&["statement", "check", terms.to_str().unwrap(), bills.to_str().unwrap()]);
        (out.status.success(), String::from_utf8(out.stdout).unwrap())
    };
    let (holds, printed) = checked("statement.json", &statement);
    assert!(holds && printed.contains("blocks paid the owner themselves"), "{printed}");
    let mut forged = statement.clone();
    forged["blocks"][0]["house_minor"] = json!(1);
    assert!(!checked("forged.json", &forged).0);
    let mut forged = statement.clone();
    forged["blocks"][0]["part"]["others_bps"] = json!([2_999]);
    assert!(!checked("forged.json", &forged).0);

    // The house goes on to find its own.
    until("the house has a mature block", PATIENCE, async || {
        let books = api.get("/api/v1/reconciliation").await.ok()?;
        (books["adds_up"] == true).then_some(books)
    })
    .await
    .unwrap_or_else(said);
    assert!(house.stop().await.success(), "{}", tail(&log));
    let record = dir.path().join("house").join("record");
    let (is_good, verdict) = record::said(&record, &[]);
    assert!(is_good, "{verdict:#}");
    let lane = &verdict["lanes"][0];
    assert!(lane["to_owners"].as_u64().unwrap() > 0, "{lane:#}");
    for output in &outputs[..2] {
        let script = hex::encode(output.script_pubkey.as_bytes());
        assert!(lane["destinations"].as_array().unwrap().contains(&json!(script)), "{lane:#}");
    }
    let python = record::python_says(&record);
    assert!(python.starts_with("yes "), "{python}");
    let audit = run(&["admin", "audit", "--json", "--config", config]);
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    let report: Value = serde_json::from_slice(&audit.stdout).unwrap();
    assert!(report["hosting"]["own_blocks"].as_u64().unwrap() > 0, "{report:#}");
    assert_eq!(report["not_compared"], json!([]), "the chain was asked: {report:#}");
}
