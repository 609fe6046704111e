//! What the books take: closing an epoch with many contracts, settling them, and posting, on both databases.
//!
//! `cargo bench -p gruve-market --bench books -- [--contracts N] [--postings N] [--no-sqlite]
//! [--postgres URL [--server PROCESS]] [--dir FOLDER]`
//!
//! Without `--postgres` only a file is measured, in a new folder within `--dir` (the temporary one without).
//! With `--server` the processor time of that process's children is counted: the number is in the first line of the
//! server's `postmaster.pid`. A server's tables are made in a schema of their own, `bench_books`, which is removed before and after.
#![allow(clippy::unwrap_used, missing_docs, clippy::cast_precision_loss)]

mod farm;
mod meter;
mod postings;
mod pure;

use gruve_store::{OpenOptions, Store, params};
use std::path::PathBuf;
use std::time::Duration;

struct Options {
    contracts: u64,
    postings: u64,
    sqlite: bool,
    postgres: Option<String>,
    dir: PathBuf,
}

fn options() -> Options {
    let mut o = Options {
        contracts: 1_000_000,
        postings: 200_000,
        sqlite: true,
        postgres: None,
        dir: std::env::temp_dir(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} takes a value"));
        match arg.as_str() {
            "--contracts" => o.contracts = value().parse().unwrap(),
            "--postings" => o.postings = value().parse().unwrap(),
            "--no-sqlite" => o.sqlite = false,
            "--postgres" => o.postgres = Some(value()),
            "--server" => meter::count_server(value().parse().unwrap()),
            "--dir" => o.dir = value().into(),
            // Given by `cargo bench`.
            "--bench" => {}
            other => panic!("unknown option {other}; see the head of benches/books/main.rs"),
        }
    }
    o
}

const SCHEMA: &str = "bench_books";

async fn open(url: &str, schema: Option<&str>) -> Store {
    let schema = schema.map(str::to_owned);
    let wait_max = Duration::from_secs(600);
    Store::open_with(url, OpenOptions { connections_max: 4, schema, wait_max }).await.unwrap()
}

/// Removes what an earlier run left.
async fn drop_schema(url: &str) {
    let store = open(url, None).await;
    let mut tx = store.begin().await.unwrap();
    tx.execute("DROP SCHEMA IF EXISTS bench_books CASCADE", &params![]).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
}

async fn measure(name: &str, store: &Store, o: &Options) {
    println!("\n## {name}");
    postings::measure(store, o.postings).await;
    farm::measure(store, o.contracts).await;
}

fn main() {
    let o = options();
    pure::measure(o.contracts);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if o.sqlite {
            let dir = tempfile::tempdir_in(&o.dir).unwrap();
            let url = format!("sqlite:{}", dir.path().join("books.db").display());
            let store = open(&url, None).await;
            measure("SQLite", &store, &o).await;
            store.close().await;
        }
        if let Some(url) = &o.postgres {
            drop_schema(url).await;
            let store = open(url, Some(SCHEMA)).await;
            measure("PostgreSQL", &store, &o).await;
            store.close().await;
            drop_schema(url).await;
        }
    });
}
