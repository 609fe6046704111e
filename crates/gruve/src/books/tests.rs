use super::*;
use gruve_ledger::{Account, Entry, post};
use gruve_store::testing::{TestDir, on_postgres, on_sqlite, run_raw, sqlite};
use gruve_store::transact;
use gruve_units::{AccountId, Amount, Asset, LaneId, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// A database as text: of each table its columns and rows.
async fn dump(store: &Store) -> BTreeMap<String, (Vec<String>, Vec<Vec<Value>>)> {
    let mut out = Vec::new();
    transfer::export(&mut store.read().await.unwrap(), &mut out).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    let head = lines.next().unwrap();
    let mut all = BTreeMap::new();
    for table in head["tables"].as_array().unwrap() {
        let columns = table["columns"].as_array().unwrap();
        let names = columns.iter().map(|c| c[0].as_str().unwrap().to_owned()).collect();
        all.insert(table["name"].as_str().unwrap().to_owned(), (names, Vec::new()));
    }
    let mut open = String::new();
    for line in lines {
        match line {
            Value::Array(cells) => {
                let (_, rows): &mut (Vec<String>, Vec<Vec<Value>>) = all.get_mut(&open).unwrap();
                rows.push(cells);
            }
            mark => open = mark["table"].as_str().unwrap_or_default().to_owned(),
        }
    }
    for (_, rows) in all.values_mut() {
        rows.sort_by_key(|row| serde_json::to_string(row).unwrap());
    }
    all
}

/// One row into every table, within its rules.
async fn fill(store: &Store) {
    let mut out = Vec::new();
    transfer::export(&mut store.read().await.unwrap(), &mut out).await.unwrap();
    let head: Value = serde_json::from_slice(out.split(|b| *b == b'\n').next().unwrap()).unwrap();
    let is_postgres = store.engine() == gruve_store::Engine::Postgres;
    for table in head["tables"].as_array().unwrap() {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for column in table["columns"].as_array().unwrap() {
            let name = column[0].as_str().unwrap();
            let bytes = match name {
                "hash" | "token_hash" | "code_hash" | "cut_hash" | "terms_hash" => "07".repeat(32),
                "digest" | "squares" => "07".repeat(32),
                "secret" if table["name"] == "accounts_challenge_key" => "07".repeat(32),
                "secret" => "07".repeat(20),
                "signature" => "07".repeat(64),
                "network" => "0707".to_owned(),
                "key_id" => "07".repeat(8),
                _ => "07".repeat(16),
            };
            names.push(name.to_owned());
            values.push(match column[1].as_str().unwrap() {
                "int" => "1".to_owned(),
                "text" if name == "role" => "'owner'".to_owned(),
                "text" => "'LTC'".to_owned(),
                _ if is_postgres => format!(r"'\x{bytes}'"),
                _ => format!("X'{bytes}'"),
            });
        }
        let (table, names, values) =
            (table["name"].as_str().unwrap(), names.join(", "), values.join(", "));
        let sql = format!("INSERT INTO {table} ({names}) VALUES ({values})");
        run_raw(store, sql.leak()).await.unwrap_or_else(|e| panic!("{table}: {e}"));
    }
}

/// Rooms before this one as they are now, this one at an earlier step, those after it not yet there.
async fn as_it_was(store: &Store, room: &str, steps: usize) {
    for (name, migrations) in ROOMS {
        if name == room {
            return store.migrate(name, &migrations[..steps]).await.unwrap();
        }
        store.migrate(name, migrations).await.unwrap();
    }
}

/// Tables whose rows stand under another name since a step: SQLite cannot widen a check in place.
const NAMED_ANEW: [(&str, &str); 1] = [("accounts_totp", "accounts_codes")];

/// From every earlier step of every room, with rows in every table, to what the program expects now: no row and no
/// column of one is lost or changed, whichever the engine.
async fn came_here_from(store: Store, room: &'static str, steps: usize) {
    as_it_was(&store, room, steps).await;
    fill(&store).await;
    let before = dump(&store).await;
    for (name, migrations) in ROOMS {
        store.migrate(name, migrations).await.unwrap();
    }
    let after = dump(&store).await;
    for (table, (columns, rows)) in &before {
        let moved = NAMED_ANEW.iter().find(|(old, _)| !after.contains_key(*old) && table == old);
        let named = moved.map_or(table.as_str(), |(_, new)| new);
        let (now, kept) = after.get(named).unwrap_or_else(|| panic!("{room} {steps}: {table}"));
        assert_eq!(kept.len(), rows.len(), "{room} {steps}: {table}");
        for (column, cell) in columns.iter().zip(&rows[0]) {
            let at = now.iter().position(|c| c == column);
            let at = at.unwrap_or_else(|| panic!("{room} {steps}: {table}.{column} is gone"));
            assert_eq!(&kept[0][at], cell, "{room} {steps}: {table}.{column}");
        }
    }
}

fn earlier() -> Vec<(&'static str, usize)> {
    let steps =
        |(room, all): (&'static str, &'static [Migration])| (1..=all.len()).map(move |n| (room, n));
    ROOMS.into_iter().flat_map(steps).collect()
}

#[test]
fn books_of_every_earlier_schema_are_brought_up_whole_on_sqlite() {
    for (room, steps) in earlier() {
        on_sqlite(|store| came_here_from(store, room, steps));
    }
}

/// Each takes seconds on a server, so here are those before the newest step of each room; with `GRUVE_LONG=1` all, as
/// always on a file.
#[test]
fn books_of_earlier_schemas_are_brought_up_whole_on_postgres() {
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    let newest = |room: &str| ROOMS.into_iter().find(|(name, _)| *name == room).unwrap().1.len();
    for (room, steps) in earlier() {
        if is_long || steps + 1 == newest(room) {
            on_postgres(|store| came_here_from(store, room, steps));
        }
    }
}

#[test]
fn every_step_makes_the_same_tables_on_both_engines() {
    for (_, migrations) in ROOMS {
        for m in migrations {
            gruve_store::matches_on_both_engines(m).unwrap();
        }
    }
}

/// A journal of some entries, and rows in the tables that have none of it.
async fn some_books(store: &Store) {
    for (room, migrations) in ROOMS {
        store.migrate(room, migrations).await.unwrap();
    }
    let lane: LaneId = "btc".parse().unwrap();
    for n in 0..200i64 {
        let amount = Amount::new(Asset::Btc, 1_000 + n);
        let to =
            Account::CustomerAvailable(AccountId::from_bytes([u8::try_from(n % 7).unwrap(); 16]));
        let at = Timestamp(n);
        let reward = Account::Rewards(lane.clone());
        let seen =
            Entry::transfer(format!("a/{n}"), "reward", at, Account::ChainHot, reward, amount);
        let reward = Account::Rewards(lane.clone());
        let paid = Entry::transfer(format!("b/{n}"), "settlement", at, reward, to, amount);
        transact!(store, tx => {
            post(tx, &seen).await?;
            post(tx, &paid).await
        })
        .unwrap();
    }
}

async fn go_over_and_back(other: Store) {
    let dir = TestDir::new();
    let here = sqlite(dir.path()).await;
    some_books(&here).await;
    let (there, back) = (dir.path().join("there.books"), dir.path().join("back.books"));
    let out = export_store(&here, &there).await.unwrap();
    let across = import_store(&other, &there).await.unwrap();
    assert_eq!((across.journal_head, across.entries), (out.journal_head, 400));
    assert_eq!(across.transferred, out.transferred);
    assert_eq!(dump(&here).await, dump(&other).await);
    let again = export_store(&other, &back).await.unwrap();
    assert_eq!(again.journal_head, out.journal_head);
    let folder = TestDir::new();
    let home = sqlite(folder.path()).await;
    let returned = import_store(&home, &back).await.unwrap();
    assert_eq!(returned.journal_head, out.journal_head);
    assert_eq!(dump(&here).await, dump(&home).await);
    // The next entry goes on where the journal stands.
    let amount = Amount::new(Asset::Btc, 5);
    let to = Account::OperatorRevenue;
    let more = Entry::transfer("c", "x", Timestamp(1), Account::ChainHot, to, amount);
    for store in [&here, &other, &home] {
        transact!(store, tx => { post(tx, &more).await }).unwrap();
    }
    let head =
        |store: Store| async move { audited(&mut store.read().await.unwrap()).await.unwrap() };
    assert_eq!(head(here.clone()).await, head(other.clone()).await);
    // Whoever has rows is not written into, and a file that is there is not written over.
    let refused = import_store(&home, &back).await.err().unwrap();
    assert!(refused.contains("not empty"), "{refused}");
    let kept = std::fs::read(&there).unwrap();
    assert!(export_store(&here, &there).await.is_err());
    assert_eq!(std::fs::read(&there).unwrap(), kept);
}

#[test]
fn books_go_to_postgres_and_back_with_the_same_journal() {
    on_postgres(go_over_and_back);
}

#[test]
fn books_go_from_one_file_to_another_with_the_same_journal() {
    on_sqlite(go_over_and_back);
}

async fn a_changed_file_is_refused_and_leaves_nothing(store: Store) {
    let dir = TestDir::new();
    let here = sqlite(dir.path()).await;
    some_books(&here).await;
    let file = dir.path().join("books");
    export_store(&here, &file).await.unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    let bad = dir.path().join("bad");
    let amount = whole.lines().find(|l| l.starts_with("[\"") && l.contains("1050")).unwrap();
    let cut = whole.len() / 2;
    let changes = [
        whole.replace(amount, &amount.replace("1050", "1051")),
        whole[..cut].to_owned(),
        whole.replacen(&format!("{amount}\n"), "", 1),
        whole.replacen(&format!("{amount}\n"), &format!("{amount}\n{amount}\n"), 1),
        whole.replacen("gruve books 1", "gruve books 9", 1),
        whole.replacen("[\"web\",1,", "[\"web\",2,", 1),
        String::new(),
    ];
    for (n, text) in changes.into_iter().enumerate() {
        assert_ne!(text, whole, "{n}");
        std::fs::write(&bad, text).unwrap();
        assert!(import_store(&store, &bad).await.is_err(), "{n}");
    }
    // Nothing was kept of them: the sound file still goes in.
    import_store(&store, &file).await.unwrap();
}

#[test]
fn a_damaged_file_is_refused_on_sqlite() {
    on_sqlite(a_changed_file_is_refused_and_leaves_nothing);
}

#[test]
fn a_damaged_file_is_refused_on_postgres() {
    on_postgres(a_changed_file_is_refused_and_leaves_nothing);
}
