//! What every transaction and every value may rely on, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_store::testing::{self, run_raw};
use gruve_store::{
    Batch, Engine, Migration, MigrationError, Result, Store, StoreError, Value, laws, params,
    transact,
};
use gruve_units::{Blame, Blamed, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;

const TABLES: &[Migration] = &[Migration {
    number: 1,
    name: "things",
    sqlite: "CREATE TABLE test_things (id INTEGER NOT NULL PRIMARY KEY, name TEXT UNIQUE,
                 bytes BLOB, minor INTEGER NOT NULL CHECK (minor >= 0), UNIQUE (name, minor)) STRICT;
             CREATE TABLE test_parts (thing INTEGER NOT NULL REFERENCES test_things (id)) STRICT;",
    postgres: "CREATE TABLE test_things (id BIGINT NOT NULL PRIMARY KEY, name TEXT UNIQUE,
                 bytes BYTEA, minor BIGINT NOT NULL CHECK (minor >= 0), UNIQUE (name, minor));
             CREATE TABLE test_parts (thing BIGINT NOT NULL REFERENCES test_things (id));",
}];

const INSERT: &str = "INSERT INTO test_things (id, name, bytes, minor) VALUES ($1, $2, $3, $4)";

async fn ready(store: &Store) {
    store.migrate("test", TABLES).await.unwrap();
}

async fn insert(store: &Store, id: i64, minor: i64) -> Result<u64> {
    transact!(store, tx => {
        tx.execute(INSERT, &params![id, format!("t{id}"), [id.to_be_bytes()[7]; 3], minor]).await
    })
}

async fn count(store: &Store) -> i64 {
    let mut tx = store.read().await.unwrap();
    let row = tx.fetch_one("SELECT COUNT(*) AS n FROM test_things", &[]).await.unwrap();
    row.get("n").unwrap()
}

async fn minor_of(store: &Store, id: i64) -> i64 {
    let mut tx = store.read().await.unwrap();
    let sql = "SELECT minor FROM test_things WHERE id = $1";
    tx.fetch_one(sql, &params![id]).await.unwrap().get("minor").unwrap()
}

async fn values_come_back_as_they_went_in(store: Store) {
    ready(&store).await;
    let mut tx = store.begin().await.unwrap();
    for (id, name, bytes, minor) in [
        (1_i64, Some("Ærø — 採掘 'quoted' $1 ; --"), Some(vec![0_u8, 255, 39]), i64::MAX),
        (2, None, None, 0),
        (i64::MIN, Some(""), Some(vec![]), 1),
    ] {
        assert_eq!(tx.execute(INSERT, &params![id, name, bytes.clone(), minor]).await.unwrap(), 1);
        let sql = "SELECT id, name, bytes, minor FROM test_things WHERE id = $1";
        let row = tx.fetch_one(sql, &params![id]).await.unwrap();
        assert_eq!(row.get::<i64>("id").unwrap(), id);
        assert_eq!(row.get::<Option<String>>("name").unwrap().as_deref(), name);
        assert_eq!(row.get::<Option<Vec<u8>>>("bytes").unwrap(), bytes);
        assert_eq!(row.get::<Timestamp>("minor").unwrap(), Timestamp(minor));
    }
}

/// A long transaction that has a table alone is not undone by short ones that began later.
async fn who_has_a_table_alone_is_not_undone_by_others(store: Store) {
    ready(&store).await;
    insert(&store, 1, 5).await.unwrap();
    let mut long = store.begin().await.unwrap();
    long.alone_in(&["test_things"]).await.unwrap();
    let read = "SELECT minor FROM test_things WHERE id = 1";
    let seen: i64 = long.fetch_one(read, &[]).await.unwrap().get("minor").unwrap();
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let other = store.clone();
    let short = tokio::spawn(async move {
        transact!(other, tx => {
            begun.send(()).unwrap();
            tx.execute("UPDATE test_things SET minor = minor + 1 WHERE id = 1", &[]).await
        })
    });
    if store.engine() == Engine::Postgres {
        has_begun.recv().await.unwrap();
    }
    // Time enough for one that does not wait.
    for _ in 0..200 {
        assert_eq!(long.fetch_one(read, &[]).await.unwrap().get::<i64>("minor").unwrap(), seen);
    }
    let double = "UPDATE test_things SET minor = minor * 2 WHERE id = 1";
    assert_eq!(long.execute(double, &[]).await.unwrap(), 1);
    long.commit().await.unwrap();
    assert_eq!(short.await.unwrap().unwrap(), 1);
    assert_eq!(minor_of(&store, 1).await, 11);
}

async fn a_missing_row_or_column_or_another_kind_is_told(store: Store) {
    ready(&store).await;
    insert(&store, 1, 5).await.unwrap();
    let mut tx = store.read().await.unwrap();
    let sql = "SELECT id, name FROM test_things WHERE id = $1";
    assert!(tx.fetch_optional(sql, &params![9_i64]).await.unwrap().is_none());
    assert!(matches!(tx.fetch_one(sql, &params![9_i64]).await, Err(StoreError::NoRow)));
    let row = tx.fetch_one(sql, &params![1_i64]).await.unwrap();
    assert!(matches!(row.get::<i64>("nme"), Err(StoreError::NoColumn { .. })));
    assert!(matches!(row.get::<i64>("name"), Err(StoreError::Misread { .. })));
}

async fn what_no_column_can_hold_is_refused_before_it_is_sent(store: Store) {
    ready(&store).await;
    let mut tx = store.begin().await.unwrap();
    let nul = tx.execute(INSERT, &params![1_i64, "a\0b", None::<Vec<u8>>, 0_i64]).await;
    assert!(matches!(nul, Err(StoreError::NotStorable { position: 2, .. })));
    let large = tx.execute(INSERT, &params![u64::MAX, "a", None::<Vec<u8>>, 0_i64]).await;
    assert!(matches!(large, Err(StoreError::NotStorable { position: 1, .. })));
    // Nothing reached the engine, so the transaction is unharmed.
    tx.execute(INSERT, &params![1_i64, "a", None::<Vec<u8>>, 0_i64]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&store).await, 1);
}

async fn broken_rules_are_named_alike_and_are_the_callers(store: Store) {
    ready(&store).await;
    insert(&store, 1, 5).await.unwrap();
    let first = insert(&store, 1, 5).await.unwrap_err();
    assert!(
        matches!(&first, StoreError::Unique { constraint } if constraint == "test_things.id"),
        "{first}"
    );
    let mut tx = store.begin().await.unwrap();
    let named = tx.execute(INSERT, &params![2_i64, "t1", None::<Vec<u8>>, 7_i64]).await;
    assert!(
        matches!(&named, Err(StoreError::Unique { constraint }) if constraint == "test_things.name")
    );
    drop(tx);
    let check = insert(&store, 3, -1).await.unwrap_err();
    assert!(matches!(check, StoreError::Check { .. }), "{check}");
    let mut tx = store.begin().await.unwrap();
    let missing = tx.execute(INSERT, &params![4_i64, "x", None::<Vec<u8>>, None::<i64>]).await;
    assert!(
        matches!(&missing, Err(StoreError::NotNull { column }) if column == "test_things.minor")
    );
    drop(tx);
    let foreign = transact!(store, tx => {
        tx.execute("INSERT INTO test_parts (thing) VALUES ($1)", &params![77_i64]).await
    });
    assert!(matches!(foreign, Err(StoreError::ForeignKey { .. })), "{foreign:?}");
    for e in [first, check, foreign.unwrap_err()] {
        assert_eq!(e.blame(), Blame::Rejected);
    }
}

async fn a_dropped_transaction_leaves_nothing(store: Store) {
    ready(&store).await;
    let mut tx = store.begin().await.unwrap();
    tx.execute(INSERT, &params![1_i64, "a", None::<Vec<u8>>, 0_i64]).await.unwrap();
    drop(tx);
    assert_eq!(count(&store).await, 0);
    insert(&store, 1, 5).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

async fn a_cancelled_future_leaves_nothing_and_harms_nobody(store: Store) {
    ready(&store).await;
    for patience_us in (0..3_000).step_by(100) {
        let work = async {
            let mut tx = store.begin().await?;
            for id in 0..50_i64 {
                tx.execute(INSERT, &params![id, format!("t{id}"), None::<Vec<u8>>, 0_i64]).await?;
            }
            // Never committed, wherever it is cut off.
            std::future::pending::<Result<()>>().await
        };
        let cut = tokio::time::timeout(Duration::from_micros(patience_us), work).await;
        assert!(cut.is_err());
        assert_eq!(count(&store).await, 0);
    }
    insert(&store, 1, 5).await.unwrap();
}

async fn a_begin_that_is_cut_off_leaves_no_transaction_to_the_next(store: Store) {
    ready(&store).await;
    for n in 0..300_u64 {
        // At every moment of beginning one that only reads.
        let cut = Duration::from_micros(n * 7 % 700);
        drop(tokio::time::timeout(cut, store.read()).await);
        // The next writes, on whichever connection it gets; with the other's still open it could not.
        let id = n.cast_signed();
        assert_eq!(insert(&store, id, id).await.unwrap(), 1);
    }
    assert_eq!(count(&store).await, 300);
}

async fn a_commit_that_is_cut_off_is_whole_or_nothing(store: Store) {
    ready(&store).await;
    for (round, patience_us) in (0_i64..).zip((0..2_000).step_by(50)) {
        let mut tx = store.begin().await.unwrap();
        for part in 0..2_i64 {
            let id = round * 2 + part;
            let row = params![id, format!("t{id}"), None::<Vec<u8>>, 0_i64];
            tx.execute(INSERT, &row).await.unwrap();
        }
        drop(tokio::time::timeout(Duration::from_micros(patience_us), tx.commit()).await);
        // The next writer waits until the cut-off one has come to its end.
        let mut next = store.begin().await.unwrap();
        let sql = "SELECT COUNT(*) AS n FROM test_things WHERE id >= $1";
        let row = next.fetch_one(sql, &params![round * 2]).await.unwrap();
        assert!([0, 2].contains(&row.get::<i64>("n").unwrap()));
    }
}

async fn a_failed_transaction_cannot_go_on_or_commit(store: Store) {
    ready(&store).await;
    let mut tx = store.begin().await.unwrap();
    tx.execute(INSERT, &params![1_i64, "a", None::<Vec<u8>>, 0_i64]).await.unwrap();
    let again = tx.execute(INSERT, &params![1_i64, "b", None::<Vec<u8>>, 0_i64]).await;
    assert!(matches!(again, Err(StoreError::Unique { .. })));
    let further = tx.execute(INSERT, &params![2_i64, "c", None::<Vec<u8>>, 0_i64]).await;
    assert!(matches!(further, Err(StoreError::AlreadyFailed)));
    assert!(matches!(tx.commit().await, Err(StoreError::AlreadyFailed)));
    assert_eq!(count(&store).await, 0);
}

async fn an_abandoned_transaction_cannot_commit(store: Store) {
    ready(&store).await;
    let swallowed: Result<()> = transact!(store, tx => {
        tx.execute(INSERT, &params![1_i64, "a", None::<Vec<u8>>, 0_i64]).await?;
        tx.abandon();
        Ok(())
    });
    assert!(matches!(swallowed, Err(StoreError::AlreadyFailed)));
    assert_eq!(count(&store).await, 0);
}

async fn a_reader_sees_one_state_and_cannot_write(store: Store) {
    ready(&store).await;
    insert(&store, 1, 5).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let sql = "SELECT COUNT(*) AS n FROM test_things";
    assert_eq!(reader.fetch_one(sql, &[]).await.unwrap().get::<i64>("n").unwrap(), 1);
    insert(&store, 2, 5).await.unwrap();
    assert_eq!(reader.fetch_one(sql, &[]).await.unwrap().get::<i64>("n").unwrap(), 1);
    let write = reader.execute(INSERT, &params![3_i64, "x", None::<Vec<u8>>, 0_i64]).await;
    assert_eq!(write.unwrap_err().blame(), Blame::Fatal);
    drop(reader);
    assert_eq!(count(&store).await, 2);
}

async fn racing_writers_lose_no_update(store: Store) {
    const TASKS: usize = 8;
    const EACH: i64 = 10;
    ready(&store).await;
    insert(&store, 1, 0).await.unwrap();
    let start = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, start) = (store.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                for _ in 0..EACH {
                    transact!(store, tx -> Result<()> => {
                        let sql = "SELECT minor FROM test_things WHERE id = 1";
                        let minor: i64 = tx.fetch_one(sql, &[]).await?.get("minor")?;
                        let sql = "UPDATE test_things SET minor = $1 WHERE id = 1";
                        tx.execute(sql, &params![minor + 1]).await?;
                        Ok(())
                    })
                    .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(minor_of(&store, 1).await, i64::try_from(TASKS).unwrap() * EACH);
}

/// Each takes what it sees is there, from the other row: without serialisation both succeed.
async fn two_that_each_rely_on_what_the_other_changes_do_not_both_succeed(store: Store) {
    ready(&store).await;
    insert(&store, 1, 1).await.unwrap();
    insert(&store, 2, 1).await.unwrap();
    let start = Arc::new(Barrier::new(2));
    let withdraw = |id: i64| {
        let (store, start) = (store.clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            transact!(store, tx -> Result<bool> => {
                let sql = "SELECT CAST(SUM(minor) AS BIGINT) AS total FROM test_things";
                if tx.fetch_one(sql, &[]).await?.get::<i64>("total")? < 2 {
                    return Ok(false);
                }
                tx.execute("UPDATE test_things SET minor = 0 WHERE id = $1", &params![id]).await?;
                Ok(true)
            })
        })
    };
    let (a, b) = (withdraw(1), withdraw(2));
    let (a, b) = (a.await.unwrap().unwrap(), b.await.unwrap().unwrap());
    assert!(a ^ b, "one of them must have seen the other");
}

async fn an_error_of_the_body_rolls_back_and_is_the_answer(store: Store) {
    ready(&store).await;
    let mut runs = 0;
    let outcome: Result<()> = transact!(store, tx => {
        runs += 1;
        tx.execute(INSERT, &params![1_i64, "a", None::<Vec<u8>>, 0_i64]).await?;
        Err(StoreError::NoRow)
    });
    assert!(matches!(outcome, Err(StoreError::NoRow)));
    assert_eq!((runs, count(&store).await), (1, 0));
}

async fn a_sum_is_an_integer_and_truth_is_one(store: Store) {
    ready(&store).await;
    insert(&store, 1, 40).await.unwrap();
    insert(&store, 2, 2).await.unwrap();
    let sql = "SELECT CAST(SUM(minor) AS BIGINT) AS total, COUNT(*) AS n, 7 AS seven, \
               EXISTS (SELECT id FROM test_things WHERE id = 2) AS there FROM test_things";
    let row = store.read().await.unwrap().fetch_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<i64>("total").unwrap(), 42);
    assert_eq!(row.get::<u32>("seven").unwrap(), 7);
    assert!(row.get::<bool>("there").unwrap());
}

async fn migrations_are_applied_once_and_kept_as_they_are(store: Store) {
    ready(&store).await;
    ready(&store).await;
    let added = Migration {
        number: 2,
        name: "more",
        sqlite: "CREATE TABLE test_more (id INTEGER) STRICT;",
        postgres: "CREATE TABLE test_more (id BIGINT);",
    };
    store.migrate("test", &[TABLES[0], added]).await.unwrap();
    let older = store.migrate("test", TABLES).await.unwrap_err();
    assert!(
        matches!(&older, StoreError::Migration(MigrationError::Newer { number: 2, .. })),
        "{older}"
    );
    let edited = Migration {
        sqlite: "CREATE TABLE test_things (id INTEGER) STRICT;",
        postgres: "CREATE TABLE test_things (id BIGINT);",
        ..TABLES[0]
    };
    let changed = store.migrate("test", &[edited, added]).await.unwrap_err();
    assert!(matches!(&changed, StoreError::Migration(MigrationError::Changed { number: 1, .. })));
    assert_eq!(changed.blame(), Blame::Fatal);
    let gap = store.migrate("other", &[added]).await.unwrap_err();
    assert!(matches!(gap, StoreError::Migration(MigrationError::Misnumbered { .. })));
}

async fn a_migration_that_fails_leaves_nothing(store: Store) {
    let half = Migration {
        number: 1,
        name: "half",
        sqlite: "CREATE TABLE test_half (id INTEGER) STRICT; INSERT INTO test_nowhere VALUES (1);",
        postgres: "CREATE TABLE test_half (id BIGINT); INSERT INTO test_nowhere VALUES (1);",
    };
    assert_eq!(store.migrate("half", &[half]).await.unwrap_err().blame(), Blame::Fatal);
    run_raw(&store, "CREATE TABLE test_half (id BIGINT)").await.unwrap();
}

async fn racing_migrations_are_applied_once(store: Store) {
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.migrate("test", TABLES).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    insert(&store, 1, 1).await.unwrap();
}

async fn missing_tables_and_bad_sql_are_the_houses_fault(store: Store) {
    for sql in ["SELECT a FROM test_nowhere", "SELEC 1"] {
        let outcome = store.read().await.unwrap().fetch_all(sql, &[]).await;
        assert_eq!(outcome.unwrap_err().blame(), Blame::Fatal, "{sql}");
    }
}

async fn rows_beyond_the_limit_are_refused(store: Store) {
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001) \
               SELECT i FROM n";
    let outcome = store.read().await.unwrap().fetch_all(sql, &[]).await;
    assert!(matches!(outcome, Err(StoreError::TooManyRows { limit: gruve_store::FETCH_ROWS_MAX })));
}

mod many {
    gruve_store::many_statements! {
        INSERT (id Int, name Text, bytes Bytes, minor Int) =
            "INSERT INTO test_things (id, name, bytes, minor) SELECT id, name, bytes, minor FROM given";
        ADD (id Int, more Int) = "UPDATE test_things SET minor = minor + given.more FROM given
            WHERE test_things.id = given.id";
        FIND (id Int) = "SELECT t.id AS id, t.name AS name, t.bytes AS bytes, t.minor AS minor
            FROM given g JOIN test_things t ON t.id = g.id";
    }
    pub(crate) const ALL: &[(&str, gruve_store::Many)] = MANY_STATEMENTS;
}

fn many_rows(ids: std::ops::Range<i64>) -> Vec<Value> {
    let row = |id: i64| {
        let name = (id % 3 > 0).then(|| format!("t{id}"));
        params![id, name, (id % 2 > 0).then_some(vec![7_u8; 3]), id]
    };
    ids.flat_map(row).collect()
}

async fn many_rows_are_written_changed_and_found_with_one_statement(store: Store) {
    ready(&store).await;
    testing::prepare_all_many(&store, many::ALL).await;
    // More than either engine takes at once, and no multiple of it.
    let n = 10_131_i64;
    let changed = transact!(store, tx => { tx.execute_many(&many::INSERT, many_rows(0..n)).await });
    assert_eq!(changed.unwrap(), n.cast_unsigned());
    assert_eq!(count(&store).await, n);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.execute_many(&many::ADD, vec![]).await.unwrap(), 0);
    let mut batch = Batch::new(&many::ADD);
    for id in 0..n + 50 {
        batch.push(&mut tx, params![id, 1_000_000_i64]).await.unwrap();
    }
    assert_eq!(
        batch.finish(&mut tx).await.unwrap(),
        n.cast_unsigned(),
        "only those that are there"
    );
    let wanted: Vec<Value> = (n - 300..n + 300).map(Value::from).collect();
    let found = tx.fetch_many(&many::FIND, wanted).await.unwrap();
    assert_eq!(found.len(), 300);
    for row in &found {
        let id: i64 = row.get("id").unwrap();
        let name = (id % 3 > 0).then(|| format!("t{id}"));
        assert_eq!(row.get::<Option<String>>("name").unwrap(), name);
        assert_eq!(row.get::<Option<Vec<u8>>>("bytes").unwrap().is_some(), id % 2 > 0);
        assert_eq!(row.get::<i64>("minor").unwrap(), id + 1_000_000);
    }
    tx.commit().await.unwrap();
}

async fn many_rows_are_written_all_or_none(store: Store) {
    ready(&store).await;
    let mut rows = many_rows(0..10_500);
    rows.extend(many_rows(3..4));
    let twice = transact!(store, tx => { tx.execute_many(&many::INSERT, rows.clone()).await });
    assert!(matches!(twice, Err(StoreError::Unique { .. })), "{twice:?}");
    assert_eq!(count(&store).await, 0);
    let mut tx = store.begin().await.unwrap();
    let nul = [many_rows(0..1), params![1_i64, "a\0b", None::<Vec<u8>>, 1_i64].to_vec()].concat();
    let refused = tx.execute_many(&many::INSERT, nul).await;
    assert!(matches!(refused, Err(StoreError::NotStorable { position: 6, .. })), "{refused:?}");
    assert!(matches!(tx.commit().await, Err(StoreError::AlreadyFailed)));
    let mut tx = store.begin().await.unwrap();
    let odd = tx.execute_many(&many::INSERT, params![1_i64].to_vec()).await;
    assert_eq!(odd.unwrap_err().blame(), Blame::Fatal);
    drop(tx);
    // Cut off in the middle, what stands written is not committed.
    let mut tx = store.begin().await.unwrap();
    let writing = tx.execute_many(&many::INSERT, many_rows(0..40_000));
    drop(tokio::time::timeout(Duration::from_millis(1), writing).await);
    assert!(tx.commit().await.is_err());
    assert_eq!(count(&store).await, 0);
}

/// A store of the same engine with one place for reading and little patience.
async fn impatient(store: &Store) -> (Store, testing::TestDir) {
    let dir = testing::TestDir::new();
    let url = match store.engine() {
        Engine::Sqlite => format!("sqlite:{}", dir.path().join("own.db").display()),
        Engine::Postgres => testing::postgres_url(),
    };
    let wait_max = Duration::from_millis(500);
    let options = gruve_store::OpenOptions { connections_max: 1, schema: None, wait_max };
    (Store::open_with(&url, options).await.unwrap(), dir)
}

async fn who_waits_too_long_for_a_place_is_told_what_is_in_the_way(store: Store) {
    let (own, _dir) = impatient(&store).await;
    let held = own.begin().await.unwrap();
    let written = own.begin().await.map(drop).unwrap_err();
    drop(held);
    let held = own.read().await.unwrap();
    let read = own.read().await.map(drop).unwrap_err();
    drop(held);
    for told in [written, read] {
        assert_eq!(told.blame(), Blame::Transient, "{told}");
        let names_a_server = told.to_string().contains("server");
        match store.engine() {
            Engine::Sqlite => {
                assert!(matches!(told, StoreError::Busy(_)) && !names_a_server, "{told}");
            }
            // A server may as well be gone: both are said.
            Engine::Postgres => {
                assert!(matches!(told, StoreError::Unavailable(_)) && names_a_server, "{told}");
                assert!(told.to_string().contains("transactions are held"), "{told}");
            }
        }
    }
    own.close().await;
}

laws! { many_rows: [
    many_rows_are_written_changed_and_found_with_one_statement,
    many_rows_are_written_all_or_none,
] }

laws! { transactions: [
    who_waits_too_long_for_a_place_is_told_what_is_in_the_way,
    values_come_back_as_they_went_in,
    who_has_a_table_alone_is_not_undone_by_others,
    a_missing_row_or_column_or_another_kind_is_told,
    what_no_column_can_hold_is_refused_before_it_is_sent,
    broken_rules_are_named_alike_and_are_the_callers,
    a_dropped_transaction_leaves_nothing,
    a_cancelled_future_leaves_nothing_and_harms_nobody,
    a_begin_that_is_cut_off_leaves_no_transaction_to_the_next,
    a_commit_that_is_cut_off_is_whole_or_nothing,
    a_failed_transaction_cannot_go_on_or_commit,
    an_abandoned_transaction_cannot_commit,
    a_reader_sees_one_state_and_cannot_write,
    racing_writers_lose_no_update,
    two_that_each_rely_on_what_the_other_changes_do_not_both_succeed,
    an_error_of_the_body_rolls_back_and_is_the_answer,
    a_sum_is_an_integer_and_truth_is_one,
    missing_tables_and_bad_sql_are_the_houses_fault,
    rows_beyond_the_limit_are_refused,
] }

laws! { migrations: [
    migrations_are_applied_once_and_kept_as_they_are,
    a_migration_that_fails_leaves_nothing,
    racing_migrations_are_applied_once,
] }

#[test]
fn the_two_texts_of_a_migration_match() {
    for m in TABLES {
        gruve_store::matches_on_both_engines(m).unwrap();
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_refused_with_a_reason() {
    for url in ["", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:a?mode=memory", "/tmp/x.db"]
    {
        let refused = Store::open(url).await.unwrap_err();
        assert!(matches!(refused, StoreError::Address(_)), "{url}: {refused}");
    }
    let schema = Store::open_in_schema("postgres://nobody@localhost/x", "a\"; DROP").await;
    assert!(matches!(schema, Err(StoreError::Address(_))));
}

#[tokio::test]
async fn a_server_that_refuses_or_says_nothing_is_named_as_that() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/x", listener.local_addr().unwrap());
    let options =
        || gruve_store::OpenOptions { wait_max: Duration::from_millis(100), ..Default::default() };
    let silent = Store::open_with(&url, options()).await.unwrap_err();
    assert!(silent.to_string().contains("does not answer"), "{silent}");
    drop(listener);
    let refused = Store::open_with(&url, options()).await.unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
    for error in [silent, refused] {
        assert_eq!(error.blame(), Blame::Transient);
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_the_houses_fault() {
    let dir = testing::TestDir::new();
    std::fs::write(dir.path().join("x.db"), vec![b'x'; 4096]).unwrap();
    let url = format!("sqlite:{}", dir.path().join("x.db").display());
    let refused = Store::open(&url).await.unwrap_err();
    assert_eq!(refused.blame(), Blame::Fatal, "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_file_is_its_owners_alone_and_fully_synced() {
    use std::os::unix::fs::PermissionsExt;
    let dir = testing::TestDir::new();
    let store = testing::sqlite(dir.path()).await;
    assert_eq!(store.engine(), Engine::Sqlite);
    ready(&store).await;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
    let mut tx = store.begin().await.unwrap();
    for (pragma, column, want) in
        [("PRAGMA synchronous", "synchronous", 2_i64), ("PRAGMA foreign_keys", "foreign_keys", 1)]
    {
        assert_eq!(tx.fetch_one(pragma, &[]).await.unwrap().get::<i64>(column).unwrap(), want);
    }
    let mode = tx.fetch_one("PRAGMA journal_mode", &[]).await.unwrap();
    assert_eq!(mode.get::<String>("journal_mode").unwrap(), "wal");
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let dir = testing::TestDir::new();
    let store = testing::sqlite(dir.path()).await;
    ready(&store).await;
    insert(&store, 1, 5).await.unwrap();
    // Not closed: as after a crash, the write-ahead log is still beside the file.
    let again = testing::sqlite(dir.path()).await;
    assert_eq!(minor_of(&again, 1).await, 5);
}
