//! Postings a second, against plain inserts of the same rows in the same run.

use crate::meter::Meter;
use gruve_ledger::{Account, Entry, post, post_all};
use gruve_store::{Kind, Many, Store, Value, params};
use gruve_units::{AccountId, Amount, Asset, Timestamp};

/// Entries of one transaction, and of one call of `post_all`.
const AT_ONCE: u64 = 1_000;

/// Customers that they go round.
const CUSTOMERS: u64 = 50_000;

const TABLES: [&str; 2] = [
    "CREATE TABLE bench_entries (seq BIGINT NOT NULL PRIMARY KEY, reason TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, at BIGINT NOT NULL)",
    "CREATE TABLE bench_postings (seq BIGINT NOT NULL, line BIGINT NOT NULL, account TEXT NOT NULL,
        asset TEXT NOT NULL, minor BIGINT NOT NULL, PRIMARY KEY (seq, line))",
];
const ENTRY: &str = "INSERT INTO bench_entries (seq, reason, kind, at) VALUES ($1, $2, $3, $4)";
const POSTING: &str = "INSERT INTO bench_postings (seq, line, account, asset, minor)
    VALUES ($1, $2, $3, $4, $5)";
const ENTRIES: Many = Many {
    columns: &[("seq", Kind::Int), ("reason", Kind::Text), ("kind", Kind::Text), ("at", Kind::Int)],
    sql: "INSERT INTO bench_entries (seq, reason, kind, at) SELECT seq, reason, kind, at FROM given",
};
const POSTINGS: Many = Many {
    columns: &[
        ("seq", Kind::Int),
        ("line", Kind::Int),
        ("account", Kind::Text),
        ("asset", Kind::Text),
        ("minor", Kind::Int),
    ],
    sql: "INSERT INTO bench_postings (seq, line, account, asset, minor)
        SELECT seq, line, account, asset, minor FROM given",
};

fn customer(n: u64) -> Account {
    let mut bytes = [0x11; 16];
    bytes[..8].copy_from_slice(&(n % CUSTOMERS).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Account::CustomerAvailable(AccountId::from_bytes(bytes))
}

fn entry(how: &str, n: u64) -> Entry {
    let amount = Amount::new(Asset::Ltc, 1 + i64::try_from(n % 1_000).unwrap());
    let reason = format!("bench/{how}/{n}");
    Entry::transfer(reason, "bench", Timestamp(1), Account::ChainHot, customer(n), amount)
}

fn told(what: &str, postings: u64, m: &Meter) -> f64 {
    let rate = postings as f64 / m.taken().wall.as_secs_f64();
    println!("{what}: {rate:.0} postings/s");
    rate
}

pub(crate) async fn measure(store: &Store, postings: u64) {
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for sql in TABLES {
        tx.execute(sql, &[]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let entries = (postings / 2).next_multiple_of(AT_ONCE);
    println!("{} postings in {entries} entries, {AT_ONCE} entries a transaction", entries * 2);

    let m = Meter::begin();
    for from in (0..entries).step_by(1_000) {
        let mut tx = store.begin().await.unwrap();
        for n in from..from + AT_ONCE {
            plain(&mut tx, n).await;
        }
        tx.commit().await.unwrap();
    }
    let plain = told("plain inserts, a row a statement", entries * 2, &m);

    let m = Meter::begin();
    for from in (entries..entries * 2).step_by(1_000) {
        let mut tx = store.begin().await.unwrap();
        let (mut heads, mut lines) = (Vec::new(), Vec::new());
        for n in from..from + AT_ONCE {
            heads.extend(head(n));
            lines.extend(rows(n).concat());
        }
        tx.execute_many(&ENTRIES, heads).await.unwrap();
        tx.execute_many(&POSTINGS, lines).await.unwrap();
        tx.commit().await.unwrap();
    }
    let plain_many = told("plain inserts, many rows a statement", entries * 2, &m);

    let m = Meter::begin();
    for from in (0..entries).step_by(1_000) {
        let mut tx = store.begin().await.unwrap();
        for n in from..from + AT_ONCE {
            post(&mut tx, &entry("one", n)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let one = told("the ledger, an entry a call", entries * 2, &m);

    let m = Meter::begin();
    for from in (0..entries).step_by(1_000) {
        let mut tx = store.begin().await.unwrap();
        let all: Vec<Entry> = (from..from + AT_ONCE).map(|n| entry("many", n)).collect();
        post_all(&mut tx, &all).await.unwrap();
        tx.commit().await.unwrap();
    }
    let many = told("the ledger, a thousand entries a call", entries * 2, &m);
    println!(
        "ledger to plain: {:.2} an entry a call, {:.2} together (to many rows a statement {:.2})",
        one / plain,
        many / plain,
        many / plain_many
    );
}

fn head(n: u64) -> [Value; 4] {
    params![n, format!("bench/plain/{n}"), "bench", 1_i64]
}

fn rows(n: u64) -> [[Value; 5]; 2] {
    let minor = 1 + i64::try_from(n % 1_000).unwrap();
    [
        params![n, 0_i64, Account::ChainHot.key(), Asset::Ltc, minor],
        params![n, 1_i64, customer(n).key(), Asset::Ltc, -minor],
    ]
}

async fn plain(tx: &mut gruve_store::Tx, n: u64) {
    tx.execute(ENTRY, &head(n)).await.unwrap();
    for row in rows(n) {
        tx.execute(POSTING, &row).await.unwrap();
    }
}
