//! What the books promise, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_ledger::{
    Account, AccountKind, Entry, Finding, GENESIS, LedgerError, MIGRATIONS, Posted, Posting, audit,
    balance, balances_of, customer_balances, lines_of, moved_since, post, post_all, totals,
};
use gruve_store::testing::run_raw;
use gruve_store::{Store, StoreError, laws, matches_on_both_engines, params, transact};
use gruve_units::{AccountId, Amount, Asset, Blame, Blamed, Timestamp};
use std::sync::Arc;
use tokio::sync::Barrier;

type Result<T> = gruve_ledger::Result<T>;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

fn customer(n: u8) -> Account {
    Account::CustomerAvailable(AccountId::from_bytes([n; 16]))
}

fn btc(minor: i64) -> Amount {
    Amount::new(Asset::Btc, minor)
}

fn pay_in(reason: &str, n: u8, minor: i64) -> Entry {
    Entry::transfer(reason, "pay-in", NOW, Account::ChainHot, customer(n), btc(minor))
}

fn pay_out(reason: &str, n: u8, minor: i64) -> Entry {
    Entry::transfer(reason, "payout", NOW, customer(n), Account::ChainHot, btc(minor))
}

async fn ready(store: &Store) {
    store.migrate("ledger", MIGRATIONS).await.unwrap();
}

async fn post_alone(store: &Store, entry: &Entry) -> Result<Posted> {
    transact!(store, tx => { post(tx, entry).await })
}

async fn holds(store: &Store, account: &Account) -> i64 {
    balance(&mut store.read().await.unwrap(), account, Asset::Btc).await.unwrap().minor
}

async fn assert_sound(store: &Store) -> gruve_ledger::AuditReport {
    let report = audit(&mut store.read().await.unwrap()).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    report
}

async fn a_post_moves_both_sides_and_the_audit_agrees(store: Store) {
    ready(&store).await;
    assert_eq!(assert_sound(&store).await.head, GENESIS);
    assert_eq!(post_alone(&store, &pay_in("in:1", 1, 700)).await.unwrap(), Posted::New);
    assert_eq!(post_alone(&store, &pay_out("out:1", 1, 200)).await.unwrap(), Posted::New);
    assert_eq!(holds(&store, &customer(1)).await, 500);
    assert_eq!(holds(&store, &Account::ChainHot).await, 500);
    assert_eq!(holds(&store, &customer(2)).await, 0);
    let report = assert_sound(&store).await;
    assert_eq!((report.entries, report.postings, report.balances), (2, 4, 2));
    assert_ne!(report.head, GENESIS);
}

async fn a_reason_is_posted_once(store: Store) {
    ready(&store).await;
    let entry = pay_in("in:1", 1, 700);
    assert_eq!(post_alone(&store, &entry).await.unwrap(), Posted::New);
    // The lines in another order, at another time, with a line of nothing: the same effect.
    let mut again = Entry { at: Timestamp(5), ..entry.clone() };
    again.postings.reverse();
    again.postings.push(Posting::debit(Account::Loss, btc(0)));
    assert_eq!(post_alone(&store, &again).await.unwrap(), Posted::Already);
    assert_eq!(holds(&store, &customer(1)).await, 700);
    assert_eq!(assert_sound(&store).await.entries, 1);
}

async fn a_reason_never_stands_for_something_else(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 700)).await.unwrap();
    let others = [
        pay_in("in:1", 1, 701),
        pay_in("in:1", 2, 700),
        Entry { kind: "other", ..pay_in("in:1", 1, 700) },
        Entry {
            postings: vec![
                Posting::debit(Account::ChainHot, btc(700)),
                Posting::credit(customer(1), btc(600)),
                Posting::credit(customer(2), btc(100)),
            ],
            ..pay_in("in:1", 1, 700)
        },
    ];
    for other in others {
        let refused = post_alone(&store, &other).await.unwrap_err();
        assert!(matches!(refused, LedgerError::ReasonReused { .. }), "{refused}");
        assert_eq!(refused.blame(), Blame::Fatal);
    }
    assert_eq!(holds(&store, &customer(1)).await, 700);
    assert_sound(&store).await;
}

async fn what_is_out_of_balance_or_malformed_is_refused(store: Store) {
    ready(&store).await;
    let debit = |minor| Posting::debit(Account::ChainHot, btc(minor));
    let credit = |minor| Posting::credit(customer(1), btc(minor));
    let ltc = |minor| Posting::credit(customer(1), Amount::new(Asset::Ltc, minor));
    let with = |postings| Entry { postings, ..pay_in("in:1", 1, 1) };
    for entry in [
        with(vec![debit(5), credit(4)]),
        with(vec![debit(5), ltc(5)]),
        with(vec![debit(5)]),
        with(vec![debit(i64::MAX), debit(1), credit(i64::MIN)]),
    ] {
        let refused = post_alone(&store, &entry).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Unbalanced { .. }), "{refused}");
        assert_eq!(refused.blame(), Blame::Fatal);
    }
    let good = vec![debit(5), credit(5)];
    let many = (0..1_001).flat_map(|_| [debit(1), credit(1)]).collect();
    for entry in [
        with(vec![]),
        with(vec![debit(0), credit(0)]),
        with(many),
        Entry { reason: String::new(), ..with(good.clone()) },
        Entry { reason: "x".repeat(201), ..with(good.clone()) },
        Entry { reason: "a\nb".to_owned(), ..with(good.clone()) },
        Entry { reason: "é".to_owned(), ..with(good.clone()) },
        Entry { kind: "Pay In", ..with(good.clone()) },
        with(vec![debit(5), Posting::credit(Account::Clearing("a:b".to_owned()), btc(5))]),
    ] {
        let refused = post_alone(&store, &entry).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Malformed { .. }), "{refused}");
    }
    assert_eq!(assert_sound(&store).await.entries, 0);
}

async fn every_asset_of_an_entry_balances_by_itself(store: Store) {
    ready(&store).await;
    let ltc = |minor| Amount::new(Asset::Ltc, minor);
    let doge = |minor| Amount::new(Asset::Doge, minor);
    let rewards = Account::Rewards("scrypt".parse().unwrap());
    let entry = Entry {
        reason: "block:1".to_owned(),
        kind: "reward",
        at: NOW,
        postings: vec![
            Posting::debit(Account::ChainMaturing, ltc(625)),
            Posting::debit(Account::ChainMaturing, doge(10_000)),
            Posting::credit(rewards.clone(), doge(10_000)),
            Posting::credit(rewards.clone(), ltc(625)),
        ],
    };
    post_alone(&store, &entry).await.unwrap();
    let mut tx = store.read().await.unwrap();
    assert_eq!(balance(&mut tx, &rewards, Asset::Ltc).await.unwrap(), ltc(625));
    assert_eq!(balance(&mut tx, &rewards, Asset::Doge).await.unwrap(), doge(10_000));
    assert_eq!(
        totals(&mut tx, Asset::Ltc).await.unwrap(),
        [(AccountKind::ChainMaturing, ltc(625)), (AccountKind::Rewards, ltc(625))]
    );
    drop(tx);
    assert_sound(&store).await;
}

async fn a_refused_debit_says_what_is_there_and_harms_nothing(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 700)).await.unwrap();
    transact!(store, tx -> Result<()> => {
        let refused = post(tx, &pay_out("out:1", 1, 701)).await.unwrap_err();
        assert_eq!(refused.blame(), Blame::Rejected);
        match refused {
            LedgerError::InsufficientFunds { available, missing, .. } => {
                assert_eq!((available, missing), (btc(700), btc(1)));
            }
            other => panic!("{other}"),
        }
        // The same transaction can go on.
        post(tx, &pay_out("out:2", 1, 700)).await.map(drop)
    })
    .unwrap();
    assert_eq!(holds(&store, &customer(1)).await, 0);
    assert_eq!(assert_sound(&store).await.entries, 2);
}

async fn only_accounts_without_a_floor_go_below_zero(store: Store) {
    ready(&store).await;
    let spend = |reason: &str, from: Account| {
        Entry::transfer(reason, "test", NOW, from, customer(1), btc(10))
    };
    post_alone(&store, &spend("1", Account::OperatorRevenue)).await.unwrap();
    assert_eq!(holds(&store, &Account::OperatorRevenue).await, -10);
    post_alone(&store, &spend("2", Account::Loss)).await.unwrap();
    assert_eq!(holds(&store, &Account::Loss).await, 10);
    let refused = post_alone(&store, &spend("3", Account::WindowReserve)).await;
    assert!(matches!(refused, Err(LedgerError::InsufficientFunds { .. })));
    let hot = Entry::transfer("4", "test", NOW, Account::Loss, Account::ChainHot, btc(1));
    let refused = post_alone(&store, &hot).await;
    assert!(matches!(refused, Err(LedgerError::InsufficientFunds { .. })));
    assert_sound(&store).await;
}

async fn balances_do_not_wrap_around(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, i64::MAX)).await.unwrap();
    let refused = post_alone(&store, &pay_in("in:2", 2, 1)).await.unwrap_err();
    assert!(matches!(refused, LedgerError::Overflow { .. }), "{refused}");
    assert_sound(&store).await;
}

async fn racing_debits_never_pass_the_floor(store: Store) {
    const RACERS: usize = 12;
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 500)).await.unwrap();
    let start = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                post_alone(&store, &pay_out(&format!("out:{n}"), 1, 100)).await
            })
        })
        .collect();
    let mut paid = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(posted) => {
                assert_eq!(posted, Posted::New);
                paid += 1;
            }
            Err(e) => assert!(matches!(e, LedgerError::InsufficientFunds { .. }), "{e}"),
        }
    }
    assert_eq!(paid, 5);
    assert_eq!(holds(&store, &customer(1)).await, 0);
    assert_eq!(assert_sound(&store).await.entries, 6);
}

async fn racing_posts_of_one_reason_have_one_effect(store: Store) {
    const RACERS: usize = 8;
    ready(&store).await;
    let start = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|_| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                post_alone(&store, &pay_in("in:1", 1, 70)).await.unwrap()
            })
        })
        .collect();
    let mut new = 0;
    for racer in racers {
        new += usize::from(racer.await.unwrap() == Posted::New);
    }
    assert_eq!((new, holds(&store, &customer(1)).await), (1, 70));
    assert_sound(&store).await;
}

async fn entries_posted_together_are_as_if_posted_one_by_one(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:0", 1, 100)).await.unwrap();
    // The second spends what the first brings; one stood there before, one comes twice.
    let all = [
        pay_in("in:1", 2, 700),
        pay_out("out:1", 2, 650),
        pay_in("in:0", 1, 100),
        pay_in("in:1", 2, 700),
        pay_out("out:2", 1, 30),
    ];
    let posted = transact!(store, tx => { post_all(tx, &all).await }).unwrap();
    use Posted::{Already, New};
    assert_eq!(posted, [New, New, Already, Already, New]);
    assert_eq!((holds(&store, &customer(1)).await, holds(&store, &customer(2)).await), (70, 50));
    let together = assert_sound(&store).await;
    assert_eq!((together.entries, together.postings), (4, 8));

    // The journal says where it was: one by one the head is the same.
    let other = gruve_store::testing::TestDir::new();
    let alone = gruve_store::testing::sqlite(other.path()).await;
    ready(&alone).await;
    for entry in [pay_in("in:0", 1, 100)].iter().chain(&all) {
        post_alone(&alone, entry).await.unwrap();
    }
    assert_eq!(assert_sound(&alone).await.head, together.head);
    alone.close().await;

    // What one of them may not do keeps all of them out, and the transaction goes on.
    let mut tx = store.begin().await.unwrap();
    let poor = [pay_in("in:3", 3, 5), pay_out("out:3", 3, 6)];
    let outcome = post_all(&mut tx, &poor).await;
    assert!(matches!(outcome, Err(LedgerError::InsufficientFunds { .. })), "{outcome:?}");
    post(&mut tx, &pay_in("in:4", 4, 1)).await.unwrap();
    tx.commit().await.unwrap();
    let other = [pay_in("in:5", 5, 1), pay_in("in:5", 5, 2)];
    let reused = transact!(store, tx => { post_all(tx, &other).await });
    assert!(matches!(reused, Err(LedgerError::ReasonReused { .. })), "{reused:?}");
    assert_eq!(holds(&store, &customer(3)).await, 0);
    assert_eq!(assert_sound(&store).await.entries, 5);
}

async fn a_transaction_dropped_after_posting_leaves_nothing(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 100)).await.unwrap();
    let before = assert_sound(&store).await;
    let mut tx = store.begin().await.unwrap();
    post(&mut tx, &pay_in("in:2", 1, 100)).await.unwrap();
    post(&mut tx, &pay_out("out:1", 1, 150)).await.unwrap();
    drop(tx);
    assert_eq!(assert_sound(&store).await, before);
    assert_eq!(post_alone(&store, &pay_in("in:2", 1, 100)).await.unwrap(), Posted::New);
}

async fn a_post_cut_off_anywhere_leaves_nothing(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 100)).await.unwrap();
    let before = assert_sound(&store).await;
    for patience_us in (0..4_000).step_by(125) {
        let work = async {
            let mut tx = store.begin().await.unwrap();
            post(&mut tx, &pay_out("out:1", 1, 60)).await.unwrap();
            std::future::pending::<()>().await;
        };
        let patience = std::time::Duration::from_micros(patience_us);
        assert!(tokio::time::timeout(patience, work).await.is_err());
        assert_eq!(assert_sound(&store).await, before);
    }
    assert_eq!(post_alone(&store, &pay_out("out:1", 1, 60)).await.unwrap(), Posted::New);
}

async fn the_journal_cannot_be_changed_or_shortened(store: Store) {
    ready(&store).await;
    post_alone(&store, &pay_in("in:1", 1, 100)).await.unwrap();
    for sql in [
        "UPDATE ledger_entries SET reason = 'x'",
        "UPDATE ledger_postings SET minor = minor * 2",
        "DELETE FROM ledger_postings",
        "DELETE FROM ledger_entries",
    ] {
        let refused = run_raw(&store, sql).await.unwrap_err();
        assert_eq!(refused.blame(), Blame::Fatal, "{sql}: {refused}");
        assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
    }
    assert_sound(&store).await;
}

async fn a_posting_without_its_entry_is_refused(store: Store) {
    three_entries(&store).await;
    for sql in [
        "INSERT INTO ledger_postings (seq, line, account, asset, minor)
         VALUES (4, 0, 'chain.hot', 'BTC', 5)",
        // One of a statement is enough.
        "INSERT INTO ledger_postings (seq, line, account, asset, minor)
         VALUES (3, 7, 'chain.hot', 'BTC', 5), (4, 0, 'chain.hot', 'BTC', -5)",
    ] {
        let refused = run_raw(&store, sql).await.unwrap_err();
        assert!(matches!(refused, StoreError::ForeignKey { .. }), "{sql}: {refused}");
    }
    assert_eq!(assert_sound(&store).await.postings, 6);
}

/// Does what only somebody with the database's own password can do.
async fn tamper(store: &Store, sql: &'static str) -> Vec<Finding> {
    let off = match store.engine() {
        gruve_store::Engine::Sqlite => {
            "DROP TRIGGER ledger_entries_not_changed; DROP TRIGGER ledger_entries_not_removed;
             DROP TRIGGER ledger_postings_not_changed; DROP TRIGGER ledger_postings_not_removed;"
        }
        gruve_store::Engine::Postgres => {
            "ALTER TABLE ledger_entries DISABLE TRIGGER ALL;
             ALTER TABLE ledger_postings DISABLE TRIGGER ALL;"
        }
    };
    run_raw(store, off).await.unwrap();
    run_raw(store, sql).await.unwrap();
    audit(&mut store.read().await.unwrap()).await.unwrap().findings
}

async fn three_entries(store: &Store) {
    ready(store).await;
    post_alone(store, &pay_in("in:1", 1, 100)).await.unwrap();
    post_alone(store, &pay_in("in:2", 2, 200)).await.unwrap();
    post_alone(store, &pay_out("out:1", 2, 50)).await.unwrap();
}

async fn the_audit_finds_a_changed_balance(store: Store) {
    three_entries(&store).await;
    let sql = "UPDATE ledger_balances SET minor = minor + 1 WHERE account = 'chain.hot'";
    let found = tamper(&store, sql).await;
    assert!(
        matches!(
            &found[..],
            [Finding::Balance { stored: 251, posted: 250, .. }, Finding::Sum { sum: 1, .. }]
        ),
        "{found:?}"
    );
}

async fn the_audit_finds_a_changed_posting(store: Store) {
    three_entries(&store).await;
    let sql = "UPDATE ledger_postings SET minor = minor + 1 WHERE seq = 2 AND line = 0";
    let found = tamper(&store, sql).await;
    assert!(found.contains(&Finding::Chain { seq: 2 }), "{found:?}");
    assert!(found.contains(&Finding::Unbalanced { seq: 2, asset: Asset::Btc, by: 1 }), "{found:?}");
}

async fn the_audit_finds_a_changed_entry(store: Store) {
    three_entries(&store).await;
    let found = tamper(&store, "UPDATE ledger_entries SET at = at + 1 WHERE seq = 1").await;
    assert_eq!(found, [Finding::Chain { seq: 1 }]);
}

async fn the_audit_finds_a_cut_off_end(store: Store) {
    three_entries(&store).await;
    let sql =
        "DELETE FROM ledger_postings WHERE seq = 3; DELETE FROM ledger_entries WHERE seq = 3;";
    let found = tamper(&store, sql).await;
    assert!(found.contains(&Finding::Head { head: 3, last: 2 }), "{found:?}");
}

async fn the_audit_finds_a_gap(store: Store) {
    three_entries(&store).await;
    let sql =
        "DELETE FROM ledger_postings WHERE seq = 2; DELETE FROM ledger_entries WHERE seq = 2;";
    let found = tamper(&store, sql).await;
    assert!(found.contains(&Finding::Gap { after: 1, found: 3 }), "{found:?}");
    assert!(found.contains(&Finding::Chain { seq: 3 }), "{found:?}");
}

async fn the_audit_finds_money_out_of_nothing(store: Store) {
    three_entries(&store).await;
    let sql = "INSERT INTO ledger_balances (account, asset, kind, minor)
               VALUES ('capital', 'BTC', 'capital', 5), ('nobody', 'BTC', 'nobody', 5)";
    let found = tamper(&store, sql).await;
    assert!(
        found.iter().any(|f| matches!(f, Finding::Balance { stored: 5, posted: 0, .. })),
        "{found:?}"
    );
    assert!(found.iter().any(|f| matches!(f, Finding::Unknown { .. })), "{found:?}");
}

async fn balances_and_lines_read_as_they_were_posted(store: Store) {
    three_entries(&store).await;
    let mut tx = store.read().await.unwrap();
    let of_customer = customer_balances(&mut tx, AccountId::from_bytes([2; 16])).await.unwrap();
    assert_eq!(of_customer, [(customer(2), btc(150))]);
    let kind = AccountKind::CustomerAvailable;
    let all = balances_of(&mut tx, kind, Asset::Btc, None).await.unwrap();
    assert_eq!(all, [(customer(1), btc(100)), (customer(2), btc(150))]);
    let rest = balances_of(&mut tx, kind, Asset::Btc, Some(&customer(1))).await.unwrap();
    assert_eq!(rest, all[1..]);
    let lines = lines_of(&mut tx, &customer(2), Asset::Btc, None, 10).await.unwrap();
    let short: Vec<_> = lines.iter().map(|l| (l.reason.as_str(), l.amount.minor)).collect();
    assert_eq!(short, [("out:1", -50), ("in:2", 200)]);
    let older =
        lines_of(&mut tx, &customer(2), Asset::Btc, Some((lines[0].seq, lines[0].line)), 10)
            .await
            .unwrap();
    assert_eq!(older, lines[1..]);
}

async fn what_was_moved_lately_is_added_up_by_kind_and_span(store: Store) {
    ready(&store).await;
    let days = |n: i64| Timestamp(NOW.0 - n * 86_400_000_000);
    let mut entries = Vec::new();
    for (n, (ago, minor)) in [(40, 5_000), (8, 400), (2, 30), (0, 2)].into_iter().enumerate() {
        entries.push(Entry { at: days(ago), ..pay_in(&format!("in:{n}"), 1, minor) });
        entries.push(Entry { at: days(ago), ..pay_in(&format!("other:{n}"), 2, 9) });
    }
    entries.push(Entry { at: days(0), ..pay_out("out:1", 1, 1) });
    for entry in &entries {
        post_alone(&store, entry).await.unwrap();
    }
    let since = [days(1), days(7), days(30)];
    let mut tx = store.read().await.unwrap();
    let all = moved_since(&mut tx, &customer(1), Asset::Btc, since, 6).await.unwrap();
    let sums = |v: [i64; 3]| v.map(btc);
    let expected = [("pay-in", sums([2, 32, 432])), ("payout", sums([-1, -1, -1]))];
    let found: Vec<_> = all.sums.iter().map(|(kind, sums)| (kind.as_str(), *sums)).collect();
    assert_eq!(found, expected);
    assert!(all.is_whole);
    // The fourth newest line is of the span, and whether a fifth is, was not read.
    let few = moved_since(&mut tx, &customer(1), Asset::Btc, since, 4).await.unwrap();
    assert_eq!((few.sums["pay-in"], few.is_whole), (sums([2, 32, 432]), false));
    let fewer = moved_since(&mut tx, &customer(1), Asset::Btc, since, 3).await.unwrap();
    assert_eq!((fewer.sums["pay-in"], fewer.is_whole), (sums([2, 32, 32]), false));
    // The fifth is older than all spans.
    let enough = moved_since(&mut tx, &customer(1), Asset::Btc, since, 5).await.unwrap();
    assert!(enough.is_whole);
    // A debit account's own direction is the other one.
    let hot = moved_since(&mut tx, &Account::ChainHot, Asset::Btc, since, 100).await.unwrap();
    assert_eq!(hot.sums["payout"], sums([-1, -1, -1]));
    assert_eq!(hot.sums["pay-in"], sums([11, 50, 459]));
    let none = moved_since(&mut tx, &customer(3), Asset::Btc, since, 100).await.unwrap();
    assert!(none.is_whole && none.sums.is_empty());
}

async fn a_long_journal_is_audited_whole(store: Store) {
    ready(&store).await;
    transact!(store, tx -> Result<()> => {
        for n in 0..130_u8 {
            post(tx, &pay_in(&format!("in:{n}"), n, 1 + i64::from(n))).await?;
        }
        Ok(())
    })
    .unwrap();
    let report = assert_sound(&store).await;
    assert_eq!((report.entries, report.postings, report.balances), (130, 260, 131));
}

async fn the_books_join_the_callers_own_effects(store: Store) {
    ready(&store).await;
    run_raw(&store, "CREATE TABLE test_effects (id BIGINT PRIMARY KEY)").await.unwrap();
    let insert = "INSERT INTO test_effects (id) VALUES ($1)";
    let outcome: Result<()> = transact!(store, tx => {
        post(tx, &pay_in("in:1", 1, 100)).await?;
        tx.execute(insert, &params![1_i64]).await?;
        tx.execute(insert, &params![1_i64]).await?;
        Ok(())
    });
    assert!(outcome.is_err());
    assert_eq!(assert_sound(&store).await.entries, 0);
}

laws! { books: [
    a_post_moves_both_sides_and_the_audit_agrees,
    a_reason_is_posted_once,
    a_reason_never_stands_for_something_else,
    what_is_out_of_balance_or_malformed_is_refused,
    every_asset_of_an_entry_balances_by_itself,
    a_refused_debit_says_what_is_there_and_harms_nothing,
    only_accounts_without_a_floor_go_below_zero,
    balances_do_not_wrap_around,
    racing_debits_never_pass_the_floor,
    racing_posts_of_one_reason_have_one_effect,
    a_transaction_dropped_after_posting_leaves_nothing,
    entries_posted_together_are_as_if_posted_one_by_one,
    a_post_cut_off_anywhere_leaves_nothing,
    balances_and_lines_read_as_they_were_posted,
    what_was_moved_lately_is_added_up_by_kind_and_span,
    a_long_journal_is_audited_whole,
    the_books_join_the_callers_own_effects,
] }

laws! { journal: [
    the_journal_cannot_be_changed_or_shortened,
    a_posting_without_its_entry_is_refused,
    the_audit_finds_a_changed_balance,
    the_audit_finds_a_changed_posting,
    the_audit_finds_a_changed_entry,
    the_audit_finds_a_cut_off_end,
    the_audit_finds_a_gap,
    the_audit_finds_money_out_of_nothing,
] }

#[test]
fn the_tables_are_the_same_on_both_engines() {
    for m in MIGRATIONS {
        matches_on_both_engines(m).unwrap();
    }
}
