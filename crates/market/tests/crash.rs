//! `kill -9` in the middle of a settlement of many: nothing of it stands, and what the next life makes of the
//! same epoch is to the last bit what it would have been.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use async_trait::async_trait;
use gruve_ledger::Account;
use gruve_market::{Accountant, AfterSettlement, Market, Result, Settled};
use gruve_sharelog::{Options, Owner, ShareLog};
use gruve_store::testing::{self, TestDir};
use gruve_store::{OpenOptions, Store, Tx, testing::run_raw};
use gruve_units::{ManualClock, SeededEntropy, Timestamp};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use world::{World, lane, someone};

const CHILD: &str = "GRUVE_TEST_SETTLING_CHILD";
const LEASES: u8 = 60;

/// Says that everybody has been credited, and holds on to the transaction.
struct Held;

#[async_trait]
impl AfterSettlement for Held {
    async fn settled(&self, _tx: &mut Tx, settled: &Settled<'_>) -> Result<()> {
        println!("settled up to epoch {}", settled.to);
        std::io::stdout().flush().unwrap();
        std::future::pending().await
    }
}

async fn open(url: &str, schema: Option<&str>) -> Store {
    let schema = schema.map(str::to_owned);
    let options = OpenOptions { connections_max: 4, schema, ..OpenOptions::default() };
    Store::open_with(url, options).await.unwrap()
}

/// The process that is killed: this test's own binary, asked to run only this. Without the variable it is no
/// test.
#[test]
fn child_that_settles() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split('\n').collect();
    let [url, schema, log, now] = told[..] else { panic!("{told:?}") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(url, Some(schema).filter(|s| !s.is_empty())).await;
        let clock = Arc::new(ManualClock::new(Timestamp(now.parse().unwrap())));
        let entropy = Arc::new(SeededEntropy::new(9));
        let market = Market::new(store, clock, entropy, config()).unwrap();
        market.prepare().await.unwrap();
        market.tell_settlements_to(Arc::new(Held));
        let log = ShareLog::open(log, Options::default()).unwrap();
        Accountant::new(market).catch_up(&lane(), &log).await.unwrap();
        panic!("it came to the end");
    });
}

fn config() -> gruve_market::MarketConfig {
    let mut config = world::config();
    config.unpaid_per_account_max = 100;
    // One settlement, of everybody.
    config.lanes[0].settle_every_epochs = 8;
    config
}

/// Many contracts with something to settle, up to the seal of the epoch that settles them.
async fn world(store: Store) -> World {
    let w = World::with(store, config()).await;
    w.prove(100_000).await;
    for n in 0..LEASES {
        w.lease(someone(n % 20), 1_000, 20).await;
    }
    for _ in 4..6 {
        w.work(Owner::Account(someone(200)), 15, 3);
        w.epoch_at(90_000).await;
    }
    let block = w.find_block(100);
    w.see(block, 100, 5_000_000_000).await;
    w.height(200).await;
    w.epoch_at(90_000).await;
    w.house_rate(90_000);
    w.seal();
    w
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    let mut tx = store.read().await.unwrap();
    tx.fetch_one(sql, &[]).await.unwrap().get("n").unwrap()
}

const SETTLEMENTS: &str = "SELECT COUNT(*) AS n FROM market_settlements";
const ENTRIES: &str = "SELECT seq AS n FROM ledger_head";

async fn journal(store: &Store) -> ([u8; 32], i64) {
    let mut tx = store.read().await.unwrap();
    let row = tx.fetch_one("SELECT seq, hash FROM ledger_head", &[]).await.unwrap();
    (row.get("hash").unwrap(), row.get("seq").unwrap())
}

/// Lets another process settle, kills it in the middle, and does so again.
async fn killed_while_settling(url: &str, schema: &str, store: Store) {
    let w = world(store.clone()).await;
    let before = journal(&store).await;
    for _ in 0..3 {
        let dir = TestDir::new();
        copy(&w.log_dir(), dir.path());
        let now = w.clock_now().0.to_string();
        let told = [url, schema, dir.path().to_str().unwrap(), &now].join("\n");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_settles", "--nocapture"])
            .env(CHILD, told)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let settled = tokio::task::spawn_blocking(move || {
            said.lines().any(|line| line.unwrap().contains("settled up to epoch"))
        });
        assert!(settled.await.unwrap(), "the child did not come to settle");
        // It holds everybody's settlement in its transaction.
        assert_eq!(count(&store, SETTLEMENTS).await, 0);
        child.kill().unwrap();
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
        assert_eq!((count(&store, SETTLEMENTS).await, journal(&store).await), (0, before));
    }
    w.account().await;
    let settled = count(&store, SETTLEMENTS).await;
    assert!(settled > i64::from(LEASES), "{settled}");
    assert!(w.holds(&Account::CustomerAvailable(someone(1))).await > 0);
    let entries = count(&store, ENTRIES).await;
    // Again: nothing is left to do.
    w.account().await;
    assert_eq!(count(&store, ENTRIES).await, entries);
    w.assert_all_sound().await;

    // The same without anybody being killed.
    let dir = TestDir::new();
    let other = testing::sqlite(dir.path()).await;
    let calm = world(other.clone()).await;
    calm.account().await;
    assert_eq!(journal(&other).await, journal(&store).await);
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_settlement_on_a_file_it_is_made_once() {
    let dir = TestDir::new();
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    let store = open(&url, None).await;
    killed_while_settling(&url, "", store.clone()).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_settlement_on_a_server_it_is_made_once() {
    let (url, schema) = (testing::postgres_url(), format!("crash_{}", std::process::id()));
    let drop: &'static str =
        Box::leak(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE").into_boxed_str());
    let store = open(&url, Some(&schema)).await;
    killed_while_settling(&url, &schema, store.clone()).await;
    run_raw(&store, drop).await.unwrap();
    store.close().await;
}
