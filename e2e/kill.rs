//! `kill -9` at random moments loses nothing that was acknowledged.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use gruve::demo::Api;
use gruve_store::testing::PostgresSchema;
use gruve_units::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Chance, Running, free_ports, rounds, run, tail, until};

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_moments_it_reconciles_and_every_acknowledged_share_counts_once() {
    killed_at_random_moments(None, rounds(6, 200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_the_books_on_a_server() {
    let schema = PostgresSchema::new().await;
    killed_at_random_moments(Some(&schema.url), rounds(2, 100)).await;
    schema.remove().await;
}

async fn killed_at_random_moments(database: Option<&str>, kills: u32) {
    let dir = tempfile::tempdir().unwrap();
    let base = free_ports(8);
    let (data, ports) = (dir.path().join("demo"), base.to_string());
    let log = dir.path().join("house.log");
    let demo = || {
        let data = data.to_str().unwrap();
        let mut args = vec!["demo", "--data", data, "--ports", &ports, "--epoch", "1s"];
        args.extend(["--spacing", "3s"]);
        args.extend(database.iter().flat_map(|url| ["--database", url]));
        Running::start(&args, &log)
    };
    let api = Api::new(format!("http://127.0.0.1:{base}"));
    let mut chance = Chance::new();

    let mut house = demo();
    until("the house answers", Duration::from_secs(60), async || {
        api.get("/api/v1/lanes").await.ok()
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    let account =
        json!({"name": "ola", "email": "ola@example.org", "password": "correct horse battery"});
    api.post("/api/v1/accounts", &account).await.unwrap();

    let accepted = dir.path().join("accepted");
    let url = format!("stratum+tcp://127.0.0.1:{}", base + 1);
    let accepted_arg = accepted.to_str().unwrap().to_owned();
    let miner_log = dir.path().join("miner.log");
    let miner = Running::start(
        &[
            "miner",
            "--url",
            &url,
            "--user",
            "ola.outside",
            "--threads",
            "1",
            "--limit",
            "200 kH/s",
            "--accepted-log",
            &accepted_arg,
        ],
        &miner_log,
    );
    let lines = async || std::fs::read_to_string(&accepted).unwrap_or_default().lines().count();

    for _ in 0..kills {
        let before = lines().await;
        until("shares are acknowledged again", Duration::from_secs(60), async || {
            (lines().await > before + 2).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", tail(&miner_log), tail(&log)));
        let moment = Duration::from_millis(chance.below(2_500));
        // The random moment is the point of the test: nothing is being waited for.
        let _ = tokio::time::timeout(moment, std::future::pending::<()>()).await;
        assert!(house.is_running(), "the house stopped by itself\n{}", tail(&log));
        house.kill();
        house = demo();
    }
    let before = lines().await;
    until("shares are acknowledged at the end", Duration::from_secs(60), async || {
        (lines().await > before).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}\n{}", tail(&miner_log), tail(&log)));
    assert!(miner.stop().await.success());
    // Until the last share's epoch is closed: epochs are seconds here, and a busy machine closes them late.
    let now = gruve_units::SystemClock.now().0;
    let last = u64::try_from(now / 1_000_000).unwrap() + 1;
    until("the last share's epoch is closed", Duration::from_secs(90), async || {
        let epochs = api.get("/api/v1/epochs?lane=btc&limit=1").await.ok()?;
        epochs["items"][0]["epoch"].as_u64().filter(|e| *e >= last)
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    let books = api.get("/api/v1/reconciliation").await.unwrap();
    assert_eq!(books["adds_up"], true, "{books:#}");
    assert!(house.stop().await.success(), "{}", tail(&log));

    let config = data.join("gruve.toml");
    let out = run(&[
        "admin",
        "audit",
        "--json",
        "--config",
        config.to_str().unwrap(),
        "--accepted",
        &accepted_arg,
    ]);
    let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&out.stderr));
    });
    assert!(out.status.success(), "{report:#}");
    let acknowledged = lines().await;
    assert_eq!(report["accepted"]["lines"], acknowledged, "{report:#}");
    assert_eq!(report["accepted"]["in_exactly_one_epoch"], acknowledged, "{report:#}");
    println!("{acknowledged} acknowledged shares, each in exactly one epoch");

    // Killed between close and publishing or not: one history, every epoch once, the outside miner's work in it.
    let folder = data.join("house/record");
    let (yes, verdict) = record::said(&folder, &[]);
    assert!(yes, "{verdict:#}");
    let lane = verdict["lanes"].as_array().unwrap().iter().find(|l| l["lane"] == "btc").unwrap();
    assert_eq!(lane["unproven_epochs"], 0, "{lane:#}");
    assert!(lane["shares"].as_u64().unwrap() >= acknowledged as u64, "{lane:#}");
    let said = record::python_says(&folder);
    assert!(said.starts_with("yes "), "{said}");

    // Another operator key: the log goes on under it, and what was stamped before keeps counting.
    let rotated = run(&["admin", "rotate-key", "--config", config.to_str().unwrap()]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let house = demo();
    let entries = verdict["entries"].as_u64().unwrap();
    until("epochs are published under the new key", Duration::from_secs(60), async || {
        let note = std::fs::read_to_string(folder.join("checkpoint")).ok()?;
        let size: u64 = note.lines().nth(1)?.parse().ok()?;
        (size > entries + 8).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    house.kill();
    let (yes, verdict) = record::said(&folder, &[]);
    assert!(yes && verdict["keys"].as_array().unwrap().len() == 2, "{verdict:#}");
    let said = record::python_says(&folder);
    assert!(said.starts_with("yes "), "{said}");
}
