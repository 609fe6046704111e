//! All of a database's rows as a file, and back into an empty one of either engine.
//!
//! # The file
//! UTF-8, one JSON value a line.
//!
//! | line | what |
//! |---|---|
//! | the first | `format`; `migrations`, the steps of each room as `[room, number, name]`; `tables` in the order of the rows, each with `name`, `columns` as `[name, "int" \| "text" \| "bytes"]` and `key` |
//! | `{"table": name}` | the rows of this table follow, sorted by its key |
//! | `[…]` | a row: numbers, text, bytes in hexadecimal, null |
//! | the last | `rows`, the number of each table's, and `sha256` over every byte before this line |
//!
//! A file is read into tables of exactly the same steps; nothing is converted. Rows are read and written some
//! thousand at a time, so memory does not grow with the database.

use crate::value::{Kind, Value};
use crate::{Engine, Row, StoreError, Tx};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read as _, Write};

/// The format that is written and read.
pub const FORMAT: &str = "gruve books 1";
/// Rows read at once.
const ROWS_AT_ONCE: i64 = 2_000;
/// Rows of one insert.
const ROWS_OF_INSERT: usize = 64;
/// Bytes of a line at most: a hundred times the longest there is (a mined block's transactions).
const LINE_MAX: u64 = 256 << 20;

/// Why a database was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file.
    #[error("the file: {0}")]
    File(#[from] std::io::Error),
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// The file says something that cannot be.
    #[error("line {line} of the file: {why}")]
    Line {
        /// Counted from one.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The database is not empty.
    #[error("the database is not empty: {0} has rows")]
    NotEmpty(String),
    /// The tables are those of another version of the program.
    #[error("the file's tables are not this program's: {0}")]
    OtherVersion(String),
    /// A table cannot be written to a file.
    #[error("the table {0}")]
    Table(String),
}

/// What was written or read: rows by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transferred {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Table {
    name: String,
    columns: Vec<(String, String)>,
    key: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    migrations: Vec<(String, i64, String)>,
    tables: Vec<Table>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    table: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct End {
    rows: BTreeMap<String, u64>,
    sha256: String,
}

const COLUMNS_SQLITE: &str = "SELECT m.name AS table_name, c.name AS column_name, c.type AS type,
    c.pk AS pk FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY m.name, c.cid";
// The server's own tables: its `information_schema` takes seconds over some hundred tables.
const COLUMNS_POSTGRES: &str = "SELECT CAST(t.relname AS TEXT) AS table_name,
    CAST(c.attname AS TEXT) AS column_name, format_type(c.atttypid, c.atttypmod) AS type,
    CAST(COALESCE(k.place, 0) AS BIGINT) AS pk FROM pg_class t
    JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
    LEFT JOIN (SELECT i.indrelid, u.number, u.place FROM pg_index i,
    unnest(CAST(i.indkey AS SMALLINT[])) WITH ORDINALITY AS u (number, place) WHERE i.indisprimary) k
    ON k.indrelid = t.oid AND k.number = c.attnum
    WHERE t.relkind IN ('r', 'p') AND t.relnamespace =
    (SELECT n.oid FROM pg_namespace n WHERE n.nspname = current_schema())
    ORDER BY t.relname, c.attnum";
const PARENTS_SQLITE: &str = "SELECT m.name AS table_name, f.\"table\" AS parent
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'";
const PARENTS_POSTGRES: &str = "SELECT CAST(r.relname AS TEXT) AS table_name,
    CAST(p.relname AS TEXT) AS parent FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace n ON n.oid = k.connamespace
    WHERE k.contype = 'f' AND n.nspname = current_schema()";
const MIGRATIONS: &str = "SELECT room, number, name FROM store_migrations ORDER BY room, number";
/// The table that each database keeps for itself.
const OWN: &str = "store_migrations";

fn kind_of(table: &str, declared: &str) -> Result<&'static str, TransferError> {
    match declared.to_ascii_uppercase().as_str() {
        "INTEGER" | "BIGINT" => Ok("int"),
        "TEXT" => Ok("text"),
        "BLOB" | "BYTEA" => Ok("bytes"),
        other => Err(TransferError::Table(format!("{table} has a column of type {other}"))),
    }
}

/// Names are put into statements: only those that need no quoting are.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// All tables but the migrations', those that others refer to first.
async fn tables(tx: &mut Tx) -> Result<Vec<Table>, TransferError> {
    let sql = match tx.engine() {
        Engine::Sqlite => COLUMNS_SQLITE,
        Engine::Postgres => COLUMNS_POSTGRES,
    };
    let mut found: BTreeMap<String, (Table, BTreeMap<i64, String>)> = BTreeMap::new();
    for row in tx.fetch_all(sql, &[]).await? {
        let (name, column): (String, String) = (row.get("table_name")?, row.get("column_name")?);
        if name == OWN {
            continue;
        }
        if !is_plain(&name) || !is_plain(&column) {
            return Err(TransferError::Table(format!("{name} has a name that is not the house's")));
        }
        let kind = kind_of(&name, &row.get::<String>("type")?)?;
        let empty = Table { name: name.clone(), columns: Vec::new(), key: Vec::new() };
        let (table, key) = found.entry(name).or_insert((empty, BTreeMap::new()));
        table.columns.push((column.clone(), kind.to_owned()));
        let at: i64 = row.get("pk")?;
        if at > 0 {
            key.insert(at, column);
        }
    }
    let mut all = BTreeMap::new();
    for (name, (mut table, key)) in found {
        if key.is_empty() {
            return Err(TransferError::Table(format!("{name} has no key")));
        }
        table.key = key.into_values().collect();
        // Steps that added columns may have done so in another order.
        table.columns.sort();
        all.insert(name, table);
    }
    sorted(tx, all).await
}

async fn sorted(
    tx: &mut Tx,
    mut all: BTreeMap<String, Table>,
) -> Result<Vec<Table>, TransferError> {
    let sql = match tx.engine() {
        Engine::Sqlite => PARENTS_SQLITE,
        Engine::Postgres => PARENTS_POSTGRES,
    };
    let mut parents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in tx.fetch_all(sql, &[]).await? {
        let parent: String = row.get("parent")?;
        parents.entry(row.get("table_name")?).or_default().insert(parent);
    }
    let mut order: Vec<Table> = Vec::new();
    while !all.is_empty() {
        let is_free = |name: &String| {
            parents.get(name).is_none_or(|of| of.iter().all(|p| p == name || !all.contains_key(p)))
        };
        let next = all.keys().find(|name| is_free(name)).cloned();
        let next = next.ok_or_else(|| TransferError::Table("references go in a circle".into()))?;
        order.extend(all.remove(&next));
    }
    Ok(order)
}

async fn migrations(tx: &mut Tx) -> Result<Vec<(String, i64, String)>, TransferError> {
    let rows = tx.fetch_all(MIGRATIONS, &[]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        all.push((row.get("room")?, row.get("number")?, row.get("name")?));
    }
    all.sort();
    Ok(all)
}

/// A file that is hashed as it is written.
struct Hashed<'a, W> {
    out: &'a mut W,
    hash: Sha256,
}

impl<W: Write> Hashed<'_, W> {
    fn line(&mut self, value: &impl Serialize) -> Result<(), TransferError> {
        let mut text = serde_json::to_vec(value).map_err(std::io::Error::from)?;
        text.push(b'\n');
        self.hash.update(&text);
        Ok(self.out.write_all(&text)?)
    }
}

/// Writes every row that a reading transaction sees.
///
/// # Errors
/// The database's and the file's; [`TransferError::Table`].
pub async fn export(tx: &mut Tx, out: &mut impl Write) -> Result<Transferred, TransferError> {
    let tables = tables(tx).await?;
    let head = Head {
        format: FORMAT.to_owned(),
        migrations: migrations(tx).await?,
        tables: tables.clone(),
    };
    let mut file = Hashed { out, hash: Sha256::new() };
    file.line(&head)?;
    let mut done = Transferred::default();
    for table in &tables {
        file.line(&Mark { table: table.name.clone() })?;
        let count = export_table(tx, table, &mut file).await?;
        done.rows.insert(table.name.clone(), count);
    }
    let end = End { rows: done.rows.clone(), sha256: hex(&file.hash.clone().finalize()) };
    file.line(&end)?;
    file.out.flush()?;
    Ok(done)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

async fn export_table<W: Write>(
    tx: &mut Tx,
    table: &Table,
    file: &mut Hashed<'_, W>,
) -> Result<u64, TransferError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let (columns, key) = (columns.join(", "), table.key.join(", "));
    let places: Vec<String> = (1..=table.key.len()).map(|n| format!("${n}")).collect();
    let name = &table.name;
    let first = format!("SELECT {columns} FROM {name} ORDER BY {key} LIMIT {ROWS_AT_ONCE}");
    let next = format!(
        "SELECT {columns} FROM {name} WHERE ({key}) > ({}) ORDER BY {key} LIMIT {ROWS_AT_ONCE}",
        places.join(", ")
    );
    let (mut count, mut after): (u64, Option<Vec<Value>>) = (0, None);
    loop {
        let rows = match &after {
            None => tx.fetch_text(first.clone(), &[]).await?,
            Some(key) => tx.fetch_text(next.clone(), key).await?,
        };
        for row in &rows {
            let cells: Vec<serde_json::Value> = row.values.iter().map(cell).collect();
            file.line(&cells)?;
            count += 1;
        }
        match rows.last() {
            Some(last) if i64::try_from(rows.len()) == Ok(ROWS_AT_ONCE) => {
                after = Some(key_of(table, last));
            }
            _ => return Ok(count),
        }
    }
}

fn key_of(table: &Table, row: &Row) -> Vec<Value> {
    let at = |column: &String| row.names.find(column);
    let value = |column| at(column).and_then(|i| row.values.get(i)).cloned();
    table.key.iter().map(|c| value(c).unwrap_or(Value::Null(Kind::Int))).collect()
}

fn cell(value: &Value) -> serde_json::Value {
    match value {
        Value::Int(n) => (*n).into(),
        Value::Text(t) => t.clone().into(),
        Value::Bytes(b) => hex(b).into(),
        Value::Null(_) | Value::TooLarge(_) => serde_json::Value::Null,
    }
}

/// A file read line by line, hashed as it is read.
struct Lines<'a, R> {
    input: &'a mut R,
    number: u64,
    hash: Sha256,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line and the hash of everything before it.
    fn next(&mut self) -> Result<(Vec<u8>, [u8; 32]), TransferError> {
        let before = self.hash.clone().finalize().into();
        let mut line = Vec::new();
        self.number += 1;
        self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(self.wrong("the file ends within it, or it is too long"));
        }
        self.hash.update(&line);
        Ok((line, before))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> TransferError {
        TransferError::Line { line: self.number, why: why.to_string() }
    }
}

/// Reads a file into a database whose tables are made and empty, within one writing transaction.
///
/// # Errors
/// [`TransferError::NotEmpty`], [`TransferError::OtherVersion`], [`TransferError::Line`]; the database's. After an error
/// the transaction must be rolled back.
pub async fn import(tx: &mut Tx, input: &mut impl BufRead) -> Result<Transferred, TransferError> {
    let mut lines = Lines { input, number: 0, hash: Sha256::new() };
    let (first, _) = lines.next()?;
    let head: Head = serde_json::from_slice(&first).map_err(|e| lines.wrong(e))?;
    if head.format != FORMAT {
        return Err(lines.wrong(format!("the format {:?} is not known here", head.format)));
    }
    let here = tables(tx).await?;
    check_version(&head, &migrations(tx).await?, &here)?;
    for table in &here {
        let rows = tx.fetch_text(format!("SELECT 1 AS n FROM {} LIMIT 1", table.name), &[]).await?;
        if !rows.is_empty() {
            return Err(TransferError::NotEmpty(table.name.clone()));
        }
    }
    let mut done = Transferred::default();
    let mut open: Option<Filling<'_>> = None;
    loop {
        let (line, before) = lines.next()?;
        if line.first() == Some(&b'[') {
            let filling = open.as_mut().ok_or_else(|| lines.wrong("a row before any table"))?;
            let cells: Vec<serde_json::Value> =
                serde_json::from_slice(&line).map_err(|e| lines.wrong(e))?;
            filling.push(tx, cells).await.map_err(|e| e.at(lines.number))?;
            continue;
        }
        if let Some(filling) = open.take() {
            let (name, count) = filling.finish(tx).await.map_err(|e| e.at(lines.number))?;
            done.rows.insert(name, count);
        }
        if let Ok(mark) = serde_json::from_slice::<Mark>(&line) {
            let table = here.iter().find(|t| t.name == mark.table);
            let table = table.ok_or_else(|| lines.wrong("a table that its head does not name"))?;
            if done.rows.contains_key(&table.name) {
                return Err(lines.wrong("the table stands there twice"));
            }
            open = Some(Filling::of(table));
            continue;
        }
        let end: End = serde_json::from_slice(&line).map_err(|e| lines.wrong(e))?;
        if end.rows != done.rows || end.rows.len() != here.len() {
            return Err(lines.wrong("it has other rows than its end says"));
        }
        if end.sha256 != hex(&before) {
            return Err(lines.wrong("the file is damaged: its SHA-256 is another one"));
        }
        return Ok(done);
    }
}

/// The number of rows of each table.
///
/// # Errors
/// The database's.
pub async fn count_rows(tx: &mut Tx) -> Result<Transferred, TransferError> {
    let mut done = Transferred::default();
    for table in tables(tx).await? {
        let sql = format!("SELECT COUNT(*) AS n FROM {}", table.name);
        let rows = tx.fetch_text(sql, &[]).await?;
        let row = rows.first().ok_or(StoreError::NoRow)?;
        done.rows.insert(table.name, row.get("n")?);
    }
    Ok(done)
}

fn check_version(
    head: &Head,
    migrations: &[(String, i64, String)],
    here: &[Table],
) -> Result<(), TransferError> {
    let other = |what: String| Err(TransferError::OtherVersion(what));
    let theirs: BTreeSet<_> = head.migrations.iter().collect();
    let ours: BTreeSet<_> = migrations.iter().collect();
    if let Some((room, number, name)) = theirs.symmetric_difference(&ours).next() {
        return other(format!("the step {number} ({name}) of {room} is in one of them only"));
    }
    for table in &head.tables {
        if !here.contains(table) {
            return other(format!("the table {} differs", table.name));
        }
    }
    match here.iter().find(|t| !head.tables.contains(t)) {
        Some(table) => other(format!("the table {} is not in the file", table.name)),
        None => Ok(()),
    }
}

/// Why a row was not taken.
enum RowError {
    Wrong(String),
    Store(StoreError),
}

impl From<StoreError> for RowError {
    fn from(e: StoreError) -> Self {
        RowError::Store(e)
    }
}

impl RowError {
    fn at(self, line: u64) -> TransferError {
        match self {
            RowError::Wrong(why) => TransferError::Line { line, why },
            // What breaks a table's rule stands in the file.
            RowError::Store(e) => TransferError::Line { line, why: e.to_string() },
        }
    }
}

/// A table being filled.
struct Filling<'a> {
    table: &'a Table,
    kinds: Vec<Kind>,
    waiting: Vec<Value>,
    count: u64,
}

impl<'a> Filling<'a> {
    fn of(table: &'a Table) -> Filling<'a> {
        let kind = |(_, kind): &(String, String)| match kind.as_str() {
            "int" => Kind::Int,
            "text" => Kind::Text,
            _ => Kind::Bytes,
        };
        let kinds = table.columns.iter().map(kind).collect();
        Filling { table, kinds, waiting: Vec::new(), count: 0 }
    }

    async fn push(&mut self, tx: &mut Tx, cells: Vec<serde_json::Value>) -> Result<(), RowError> {
        if cells.len() != self.kinds.len() {
            return Err(RowError::Wrong("a row of another length than its table".into()));
        }
        for (cell, kind) in cells.into_iter().zip(&self.kinds) {
            let value = match (kind, cell) {
                (kind, serde_json::Value::Null) => Some(Value::Null(*kind)),
                (Kind::Int, cell) => cell.as_i64().map(Value::Int),
                (Kind::Text, serde_json::Value::String(text)) => Some(Value::Text(text)),
                (Kind::Bytes, serde_json::Value::String(text)) => unhex(&text).map(Value::Bytes),
                _ => None,
            };
            let wrong = || RowError::Wrong(format!("a cell that is not {kind:?}"));
            self.waiting.push(value.ok_or_else(wrong)?);
        }
        self.count += 1;
        if self.waiting.len() == self.kinds.len() * ROWS_OF_INSERT {
            let values = std::mem::take(&mut self.waiting);
            tx.execute_text(self.insert(ROWS_OF_INSERT), &values).await?;
        }
        Ok(())
    }

    fn insert(&self, rows: usize) -> String {
        let columns: Vec<&str> = self.table.columns.iter().map(|(name, _)| name.as_str()).collect();
        let width = columns.len();
        let row = |r: usize| {
            let places: Vec<_> = (1..=width).map(|c| format!("${}", r * width + c)).collect();
            format!("({})", places.join(", "))
        };
        let places: Vec<_> = (0..rows).map(row).collect();
        let (name, columns) = (&self.table.name, columns.join(", "));
        format!("INSERT INTO {name} ({columns}) VALUES {}", places.join(", "))
    }

    async fn finish(self, tx: &mut Tx) -> Result<(String, u64), RowError> {
        let one = self.insert(1);
        for row in self.waiting.chunks(self.kinds.len().max(1)) {
            tx.execute_text(one.clone(), row).await?;
        }
        Ok((self.table.name.clone(), self.count))
    }
}
