//! The books against a model in memory, on generated business.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_ledger::{
    Account, Entry, Floor, LedgerError, MIGRATIONS, Posted, Posting, Side, audit, balance, post,
};
use gruve_store::{Store, testing, transact};
use gruve_units::{AccountId, Amount, Asset, ContractId, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

const ASSETS: [Asset; 2] = [Asset::Ltc, Asset::Doge];

fn accounts() -> Vec<Account> {
    vec![
        Account::CustomerAvailable(AccountId::from_bytes([1; 16])),
        Account::CustomerHeld(AccountId::from_bytes([1; 16])),
        Account::PrepaidWork(ContractId::from_bytes([2; 16])),
        Account::Rewards("scrypt".parse().unwrap()),
        Account::OperatorRevenue,
        Account::Loss,
        Account::ChainHot,
    ]
}

/// Lines of (account, asset, minor), balanced afterwards by a line to a chosen account.
#[derive(Clone, Debug)]
struct Business {
    reason: u8,
    lines: Vec<(usize, usize, i64)>,
    against: usize,
    keep: bool,
}

fn business() -> impl Strategy<Value = Business> {
    let line = (0..7_usize, 0..2_usize, -50..50_i64);
    (0..40_u8, prop::collection::vec(line, 1..5), 0..7_usize, prop::bool::weighted(0.85))
        .prop_map(|(reason, lines, against, keep)| Business { reason, lines, against, keep })
}

impl Business {
    fn entry(&self) -> Entry {
        let accounts = accounts();
        let mut postings = Vec::new();
        let mut sums = [0_i64; 2];
        for &(account, asset, minor) in &self.lines {
            sums[asset] += minor;
            let amount = Amount::new(ASSETS[asset], minor);
            postings.push(Posting::debit(accounts[account].clone(), amount));
        }
        for (asset, sum) in ASSETS.into_iter().zip(sums) {
            let amount = Amount::new(asset, sum);
            postings.push(Posting::credit(accounts[self.against].clone(), amount));
        }
        Entry { reason: format!("r:{}", self.reason), kind: "test", at: Timestamp(1), postings }
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    New,
    Already,
    Reused,
    Poor,
    Nothing,
}

/// What the books should do, without any of their code: sorted lines by reason, sums by account.
#[derive(Default)]
struct Model {
    entries: HashMap<String, Vec<(String, Asset, i64)>>,
    balances: BTreeMap<(String, Asset), i64>,
}

impl Model {
    fn apply(&mut self, entry: &Entry, keep: bool) -> Outcome {
        let mut lines: Vec<_> = entry.postings.iter().filter(|p| p.amount.minor != 0).collect();
        if lines.is_empty() {
            return Outcome::Nothing;
        }
        lines.sort_by_key(|p| (p.account.key(), p.amount.asset, p.amount.minor));
        let flat: Vec<_> =
            lines.iter().map(|p| (p.account.key(), p.amount.asset, p.amount.minor)).collect();
        if let Some(old) = self.entries.get(&entry.reason) {
            return if *old == flat { Outcome::Already } else { Outcome::Reused };
        }
        let mut after = self.balances.clone();
        let mut moved: BTreeMap<(String, Asset), (i64, bool)> = BTreeMap::new();
        for p in &lines {
            let sign = if p.account.kind().side() == Side::Debit { 1 } else { -1 };
            let by = sign * p.amount.minor;
            let key = (p.account.key(), p.amount.asset);
            *after.entry(key.clone()).or_default() += by;
            moved.entry(key).or_insert((0, p.account.kind().floor() == Floor::Zero)).0 += by;
        }
        if moved.iter().any(|(key, (by, floored))| *floored && *by < 0 && after[key] < 0) {
            return Outcome::Poor;
        }
        if keep {
            self.balances = after;
            self.entries.insert(entry.reason.clone(), flat);
        }
        Outcome::New
    }
}

async fn apply(store: &Store, entry: &Entry, keep: bool) -> Outcome {
    let posted = if keep {
        transact!(store, tx => { post(tx, entry).await })
    } else {
        // As if the process had ended between the post and the commit.
        post(&mut store.begin().await.unwrap(), entry).await
    };
    match posted {
        Ok(Posted::New) => Outcome::New,
        Ok(Posted::Already) => Outcome::Already,
        Err(LedgerError::ReasonReused { .. }) => Outcome::Reused,
        Err(LedgerError::InsufficientFunds { .. }) => Outcome::Poor,
        Err(LedgerError::Malformed { .. }) => Outcome::Nothing,
        Err(e) => panic!("{e}"),
    }
}

async fn check(store: Store, business: Vec<Business>) {
    store.migrate("ledger", MIGRATIONS).await.unwrap();
    let mut model = Model::default();
    for b in &business {
        let entry = b.entry();
        assert_eq!(apply(&store, &entry, b.keep).await, model.apply(&entry, b.keep), "{b:?}");
    }
    let mut tx = store.read().await.unwrap();
    for account in accounts() {
        for asset in ASSETS {
            let want = model.balances.get(&(account.key(), asset)).copied().unwrap_or(0);
            assert_eq!(balance(&mut tx, &account, asset).await.unwrap().minor, want, "{account}");
        }
    }
    let report = audit(&mut tx).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.entries, model.entries.len() as u64);
}

proptest! {
    // Each case is a database of its own with some forty synced commits.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_books_do_what_the_model_does(business in prop::collection::vec(business(), 1..60)) {
        testing::on_sqlite(|store| check(store, business));
    }
}
