use super::*;
use crate::house::Parts;
use crate::house::files::Holding;
use gruve_proof::publish::{DataFolder, data_path};
use gruve_proof::sold::{Node, Sums};
use gruve_proof::sum_tree::SumNode;
use gruve_proof::summary::{EpochSummary, FileRef, Rules};
use gruve_store::testing::{on_postgres, on_sqlite};
use gruve_units::{Algorithm, EpochNumber, Hashes, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const CONFIG: &str = r#"
[house]
name = "House"
origin = "house.example/log"
data = "house"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
[lane.node]
url = "http://127.0.0.1:1"
[lane.stratum]
listen = "127.0.0.1:0"
"#;

fn config(dir: &TempDir) -> Config {
    Config::parse(CONFIG, dir.path()).unwrap()
}

async fn begin(config: &Config) -> Result<Parts, StartError> {
    Parts::begin(config, Holding::Alone, Arc::new(SystemClock), Arc::new(SystemEntropy)).await
}

/// A folder in which a house has been.
async fn used() -> (TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    begin(&config).await.unwrap().store.close().await;
    (dir, config)
}

#[tokio::test]
async fn real_coins_lie_under_a_plain_seed_only_where_the_operator_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let real = CONFIG.replace("\"dev\"", "\"mainnet\"");
    let parse = |more: &str| Config::parse(&format!("{real}{more}"), dir.path()).unwrap();
    let refused = begin(&parse("")).await;
    assert!(matches!(refused, Err(StartError::PlainSeed(Asset::Btc))), "{:?}", refused.err());
    assert!(!dir.path().join("house/wallet.seed").exists(), "none was made");

    std::fs::write(dir.path().join("words"), "six words of some length, taken at random\n")
        .unwrap();
    let under = parse("[keys]\npassphrase_file = \"words\"\n");
    begin(&under).await.unwrap().store.close().await;
    assert!(gruve_treasury::Seed::is_encrypted(&dir.path().join("house/wallet.seed")).unwrap());

    // Found again without a word of it in the configuration, it is the passphrase that is missed.
    let locked = begin(&parse("")).await.err().unwrap();
    assert!(matches!(locked, StartError::Seed(gruve_treasury::SeedError::Locked(_))), "{locked:?}");

    let (other, said) = (tempfile::tempdir().unwrap(), "[keys]\nplain_on_mainnet = true\n");
    let said = Config::parse(&format!("{real}{said}"), other.path()).unwrap();
    begin(&said).await.unwrap().store.close().await;

    // A house from before is told what to do, step by step, and nothing of it has changed.
    let seed = other.path().join("house/wallet.seed");
    let was = std::fs::read(&seed).unwrap();
    let silent = Config::parse(&real, other.path()).unwrap();
    let told = begin(&silent).await.err().unwrap();
    assert!(matches!(told, StartError::PlainSeedThere(Asset::Btc)), "{told:?}");
    for step in ["passphrase_file", "gruve admin keys encrypt", "plain_on_mainnet"] {
        assert!(told.to_string().contains(step), "{told}");
    }
    assert_eq!(std::fs::read(&seed).unwrap(), was);
}

#[tokio::test]
async fn a_command_that_looks_after_a_house_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir);
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let opened = Parts::open(&config, Holding::Beside, clock.clone(), entropy.clone()).await;
    assert!(matches!(opened, Err(StartError::NoHouse(path)) if path == dir.path().join("house")));
    assert!(!dir.path().join("house").exists(), "nothing was made");

    begin(&config).await.unwrap().store.close().await;
    let opened = Parts::open(&config, Holding::Beside, clock, entropy).await;
    opened.unwrap().store.close().await;
}

#[tokio::test]
async fn a_house_does_not_begin_again_with_an_empty_database() {
    let (dir, mut config) = used().await;
    config.database.url = Some(format!("sqlite:{}", dir.path().join("other.db").display()));
    let opened = begin(&config).await;
    assert!(matches!(opened, Err(StartError::NoBooks(_))), "{:?}", opened.err());
    // Filled, as by an import, it is the house's.
    config.database.url = None;
    begin(&config).await.unwrap().store.close().await;
}

#[tokio::test]
async fn a_damaged_database_is_told_with_what_to_do() {
    let (dir, config) = used().await;
    std::fs::write(dir.path().join("house/gruve.db"), "no database of any kind ".repeat(400))
        .unwrap();
    for beside in ["gruve.db-wal", "gruve.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join("house").join(beside));
    }
    let told = begin(&config).await.err().unwrap().to_string();
    assert!(told.contains("gruve admin import"), "{told}");
}

#[tokio::test]
async fn a_house_with_books_gets_no_new_seed() {
    let (dir, config) = used().await;
    let (seed, away) = (dir.path().join("house/wallet.seed"), dir.path().join("away"));
    std::fs::rename(&seed, &away).unwrap();
    let opened = begin(&config).await;
    assert!(matches!(opened, Err(StartError::NoSeed(_))), "{:?}", opened.err());
    assert!(!seed.exists(), "none was made in its place");
    std::fs::rename(&away, &seed).unwrap();
    begin(&config).await.unwrap().store.close().await;
}

#[tokio::test]
async fn a_database_in_which_a_later_version_made_tables_is_refused() {
    let (_dir, config) = used().await;
    let store = Store::open(&config.database_url()).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let sql = "INSERT INTO store_migrations (room, number, name, checksum) VALUES ($1, $2, $3, $4)";
    let row = gruve_store::params!["lending", 1_u32, "loans", [0_u8; 32]];
    tx.execute(sql, &row).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let opened = begin(&config).await;
    assert!(
        matches!(&opened, Err(StartError::Newer(room)) if room == "lending"),
        "{:?}",
        opened.err()
    );
}

/// An epoch that was closed, and the list of places that its entry names.
async fn closed(parts: &Parts, number: u64) -> PathBuf {
    let record = parts.folder.join("record");
    let places = DataFolder::open(&record).unwrap().put(&number.to_be_bytes()).unwrap();
    let entry = EpochSummary {
        lane: "btc".parse().unwrap(),
        algorithm: Algorithm::Sha256d,
        is_proven: false,
        epoch: EpochNumber(number),
        prev_epoch: EpochNumber(number - 1),
        prev_checkpoint: [1; 32],
        length_us: 600_000_000,
        shares: 0,
        house_work: Hashes(0),
        other_work: Hashes(0),
        share_root: [0; 32],
        allocation_root: SumNode { sum: 0, hash: [0; 32] },
        surplus: Hashes(0),
        contracts: 0,
        sold_root: Node { sums: Sums { hashrate: 0, allocated: 0, owed: 0 }, hash: [0; 32] },
        record: FileRef::default(),
        sold: FileRef::default(),
        rules: Rules::default(),
        places,
    };
    let mut tx = parts.store.begin().await.unwrap();
    let sql = "INSERT INTO market_log (lane, epoch, entry) VALUES ($1, $2, $3)";
    let given = gruve_store::params!["btc", EpochNumber(number), entry.canonical()];
    tx.execute(sql, &given).await.unwrap();
    tx.commit().await.unwrap();
    record.join(data_path(&places.hash))
}

/// Starts as `gruve serve` does, as far as the public record.
async fn published(config: &Config) -> Result<(), StartError> {
    let parts = begin(config).await.unwrap();
    let record = parts.publish(config).await.map(drop);
    parts.store.close().await;
    record
}

#[tokio::test]
async fn a_house_whose_record_is_gone_does_not_start_without_it() {
    let (dir, config) = used().await;
    let (record, away) = (dir.path().join("house/record"), dir.path().join("away"));
    // A new house has no record, and one that has closed no epoch loses nothing with it.
    assert!(!record.exists());
    published(&config).await.unwrap();
    std::fs::remove_dir_all(&record).unwrap();
    published(&config).await.unwrap();

    let parts = begin(&config).await.unwrap();
    closed(&parts, 7).await;
    let newest = closed(&parts, 8).await;
    parts.store.close().await;
    drop(parts);
    published(&config).await.unwrap();

    std::fs::rename(&record, &away).unwrap();
    let told = published(&config).await.unwrap_err();
    assert!(matches!(told, StartError::RecordGone { .. }), "{told:?}");
    let told = told.to_string();
    assert!(told.contains(newest.to_str().unwrap()), "{told}");
    assert!(told.contains("epoch 8 of lane btc") && told.contains("mirror"), "{told}");
    assert!(!record.exists(), "no empty one was made in its place");
    // One file of it is as bad, and all of it is enough.
    std::fs::rename(&away, &record).unwrap();
    published(&config).await.unwrap();
    std::fs::rename(&newest, &away).unwrap();
    assert!(matches!(published(&config).await, Err(StartError::RecordGone { .. })));
}

#[tokio::test]
async fn a_record_that_is_lost_for_good_is_gone_on_without_once_the_operator_says_so() {
    let (dir, config) = used().await;
    let parts = begin(&config).await.unwrap();
    closed(&parts, 7).await;
    parts.store.close().await;
    drop(parts);
    let record = dir.path().join("house/record");
    std::fs::remove_dir_all(&record).unwrap();
    let told = published(&config).await.unwrap_err().to_string();
    assert!(told.contains("lost_files = true"), "{told}");
    assert!(!record.exists());

    let said = format!("{CONFIG}[record]\nlost_files = true\n");
    let said = Config::parse(&said, dir.path()).unwrap();
    published(&said).await.unwrap();
    // The list of places of today is there again: an entry that names the same is whole.
    assert_eq!(std::fs::read_dir(record.join("data")).unwrap().count(), 1);
}

async fn tells_empty_from_used(store: Store) {
    assert!(!has_tables(&store).await.unwrap());
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    assert!(has_tables(&store).await.unwrap());
}

#[test]
fn an_empty_database_is_told_from_a_used_one_on_sqlite() {
    on_sqlite(tells_empty_from_used);
}

#[test]
fn an_empty_database_is_told_from_a_used_one_on_postgres() {
    on_postgres(tells_empty_from_used);
}
