//! The demo, as a stranger runs it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use gruve_store::testing::PostgresSchema;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use support::{free_ports, run};

fn demo(data: &Path, ports: u16, more: &[&str]) -> (bool, Value, String) {
    let ports = ports.to_string();
    let mut args = vec!["demo", "--once", "--json", "--epoch", "2s", "--spacing", "5s"];
    args.extend(["--data", data.to_str().unwrap(), "--ports", &ports]);
    args.extend(more);
    let out = run(&args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let summary = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
    (out.status.success(), summary, said)
}

fn assert_reconciles(summary: &Value, said: &str) {
    assert_eq!(summary["reconciles"], true, "{summary:#}\n{said}");
    for asset in summary["assets"].as_array().unwrap() {
        let n = |key: &str| asset[key].as_i64().unwrap();
        let parts =
            n("customers") + n("operator") + n("window_reserve") + n("maturing") + n("remainder");
        assert_eq!(n("block_rewards"), parts, "{asset:#}");
        assert_eq!(n("wallet_on_chain"), n("wallet_in_books"), "{asset:#}");
        let wei = (&asset["wei_below_on_chain"], &asset["wei_below_in_books"]);
        assert_eq!(wei.0, wei.1, "{asset:#}");
        assert_eq!(wei.0.is_null(), asset["asset"] != "ETC", "{asset:#}");
        assert!(n("block_rewards") > 0, "{asset:#}");
    }
}

/// Buy, pay, earn, settle and withdraw on every lane, with the books in this database.
fn the_line_is_complete(data: &Path, ports: u16, database: &[&str]) -> Value {
    let (ok, first, said) = demo(data, ports, database);
    assert!(ok, "{said}");
    assert_reconciles(&first, &said);
    let lanes = first["journeys"].as_array().unwrap().iter().map(|j| j["lane"].as_str().unwrap());
    assert_eq!(lanes.collect::<Vec<_>>(), ["btc", "ltc", "etc"], "a contract on each");
    let withdrawn: Vec<_> = first["journeys"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|j| j["payouts"].as_array().unwrap())
        .map(|p| p["asset"].as_str().unwrap())
        .collect();
    assert_eq!(withdrawn, ["BTC", "LTC", "DOGE", "ETC"], "each family pays, LTC's lane both coins");
    // The customer's pay-in paid gas at no whole number of gwei, to the house's blocks.
    assert!(first["assets"][3]["wei_below_on_chain"].as_u64().unwrap() > 0, "{first:#}");
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_reconciles_with_its_books_on_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let schema = PostgresSchema::new().await;
    let (data, url, ports) = (dir.path().to_owned(), schema.url.clone(), free_ports(8));
    let lived = tokio::task::spawn_blocking(move || {
        the_line_is_complete(&data, ports, &["--database", &url]);
        assert!(!data.join("house/gruve.db").exists(), "nothing is in a file");
        let config = data.join("gruve.toml");
        let audit = run(&["admin", "audit", "--json", "--config", config.to_str().unwrap()]);
        assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    });
    lived.await.unwrap();
    schema.remove().await;
}

#[test]
fn the_demo_reconciles_and_a_second_start_goes_on_with_the_same_folder() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports(8);
    let first = the_line_is_complete(dir.path(), ports, &[]);

    let (ok, second, said) = demo(dir.path(), ports, &[]);
    assert!(ok, "{said}");
    assert_reconciles(&second, &said);
    for (before, after) in
        first["assets"].as_array().unwrap().iter().zip(second["assets"].as_array().unwrap())
    {
        let rewards = |v: &Value| v["block_rewards"].as_i64().unwrap();
        assert!(rewards(after) > rewards(before), "the second start went on from the first");
    }
    let span = Duration::from_secs(support::rounds(0, 600).into());
    if !span.is_zero() {
        it_runs_on_for(span, dir.path(), ports);
    }
    the_record_of_what_ran_is_true(dir.path());
}

/// A third start, which nobody stops before every lane has published epochs of so long a time.
fn it_runs_on_for(span: Duration, data: &Path, ports: u16) {
    let folder = data.join("house/record");
    let before = record::last_epochs(&folder);
    assert_eq!(before.len(), 3, "{before:?}");
    let (ports, log) = (ports.to_string(), data.join("third.log"));
    let args = ["demo", "--epoch", "2s", "--spacing", "5s", "--ports", &ports, "--data"];
    let args = [&args[..], &[data.to_str().unwrap()]].concat();
    let mut running = support::Running::start(&args, &log);
    let epochs = span.as_secs() / 2;
    let waiting = tokio::runtime::Runtime::new().unwrap();
    let is_over = support::until("the record has so many epochs more", 3 * span, async || {
        assert!(running.is_running(), "{}", support::tail(&log));
        let now = record::last_epochs(&folder);
        let has =
            |(lane, last): (&String, &u64)| now.get(lane).is_some_and(|n| *n >= last + epochs);
        before.iter().all(has).then_some(())
    });
    waiting.block_on(is_over).unwrap_or_else(|e| panic!("{e}\n{}", support::tail(&log)));
    let ended = waiting.block_on(running.stop());
    assert!(ended.success(), "{ended}\n{}", support::tail(&log));
}

/// Starts of three families have left one record, and no bit of it can be changed.
fn the_record_of_what_ran_is_true(data: &Path) {
    let folder = data.join("house/record");
    let (yes, verdict) = record::said(&folder, &[]);
    assert!(yes, "{verdict:#}");
    let lanes: Vec<_> = verdict["lanes"].as_array().unwrap().iter().collect();
    let named: Vec<_> = lanes.iter().map(|l| l["lane"].as_str().unwrap()).collect();
    assert_eq!(named, ["btc", "etc", "ltc"]);
    for lane in lanes {
        // What is hashed in the first epochs of a chain without coinbases has no one class that was fixed before.
        let is_whole = lane["lane"] != "etc";
        assert_eq!(lane["unproven_epochs"] == 0, is_whole, "{lane:#}");
        assert!(lane["shares"].as_u64().unwrap() > 0, "{lane:#}");
        // What the work was merge-mined for is named, and nothing else is in the coinbases.
        let merged: Vec<_> =
            lane["aux"].as_array().unwrap().iter().map(|a| a["coin"].as_str().unwrap()).collect();
        let expected: &[&str] = if lane["lane"] == "ltc" { &["DOGE"] } else { &[] };
        assert_eq!(
            (merged.as_slice(), &lane["hides_aux"]),
            (expected, &Value::from(0)),
            "{lane:#}"
        );
    }
    what_is_owed_is_there(&verdict["funds"]);
    let said = record::python_says(&folder);
    assert!(said.starts_with("yes "), "{said}");
    let mut chance = support::Chance::new();
    // The record of ten minutes takes seconds each time: its Ethash shares a hundredth of one each.
    let flips = u64::from(support::rounds(40, 200));
    record::every_changed_bit_is_a_lie(&folder, flips, |n| chance.below(n));
    assert_eq!(record::lie(&folder), "none");
}

/// The last statement of funds: every chain's coins, signed for, and no less than is owed.
fn what_is_owed_is_there(funds: &Value) {
    let minor = |v: &Value| v.as_str().unwrap().parse::<u128>().unwrap();
    let assets = funds["assets"].as_array().unwrap_or_else(|| panic!("no statement: {funds:#}"));
    let shown: Vec<_> = assets.iter().map(|a| a["asset"].as_str().unwrap()).collect();
    assert_eq!(shown, ["BTC", "DOGE", "ETC", "LTC"], "{funds:#}");
    for a in assets {
        assert!(minor(&a["owed"]) > 0, "{a:#}");
        assert!(minor(&a["reserves"]) >= minor(&a["owed"]), "{a:#}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_way_to_choose_another() {
    let dir = tempfile::tempdir().unwrap();
    let ports = free_ports(8);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", ports + 1)).unwrap();
    let (ok, _, said) = demo(dir.path(), ports, &[]);
    assert!(!ok);
    assert!(said.contains(&(ports + 1).to_string()) && said.contains("--ports"), "{said}");
}

#[test]
fn fresh_refuses_a_folder_that_no_demo_made() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "keep").unwrap();
    let (ok, _, said) = demo(dir.path(), free_ports(8), &["--fresh"]);
    assert!(!ok && precious.exists(), "{said}");
}

#[test]
fn fresh_refuses_the_folder_of_a_demo_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("demo");
    let first = free_ports(16);
    let second = first + 8;
    let log = dir.path().join("log");
    let args = |ports: &str| {
        ["demo", "--data", data.to_str().unwrap(), "--ports", ports].map(str::to_owned)
    };
    let running = args(&first.to_string());
    let running: Vec<&str> = running.iter().map(String::as_str).collect();
    let mut running = support::Running::start(&running, &log);
    let seed = data.join("house/wallet.seed");
    let waiting = tokio::runtime::Runtime::new().unwrap();
    waiting
        .block_on(support::until("the demo has its wallet", Duration::from_secs(60), async || {
            assert!(running.is_running(), "{}", support::tail(&log));
            seed.exists().then_some(())
        }))
        .unwrap_or_else(|e| panic!("{e}\n{}", support::tail(&log)));
    let (ok, _, said) = demo(&data, second, &["--fresh"]);
    assert!(!ok && said.contains("in use") && seed.exists(), "{said}");
}
