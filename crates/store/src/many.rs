//! Many rows with one statement.
//!
//! A [`Many`] is a statement over a relation called `given`, whose rows the caller hands over: an insert of
//! them, an update or a query joined with them. Its text is one for both engines; only where `given` comes
//! from differs. On `PostgreSQL` each column travels as one array; on `SQLite` rows stand in a `VALUES`
//! list. A row then costs a fraction of a statement's round trip.

use crate::error::sort;
use crate::tx::{Connection, FETCH_ROWS_MAX, read};
use crate::value::{Kind, Value};
use crate::{Engine, Result, Row, StoreError, Tx, Work};
use futures_util::TryStreamExt;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Encode, Type};
use std::fmt::Write;

/// Rows sent to `PostgreSQL` at once.
const POSTGRES_ROWS: usize = 10_000;

/// Bytes that a [`Batch`] gathers: of rows of some numbers their count comes first, or nearly so. Of rows that are pages of
/// others, two thousand bytes each, as many as are counted would be twenty megabytes, held three times over on their way.
const BATCH_BYTES: usize = 1 << 20;

/// Rows of one `SQLite` statement at most. What is left over goes in pieces of half, a quarter, …, so that
/// a statement has eight texts at most and each stays prepared. Twice as many are no faster.
const SQLITE_ROWS: usize = 128;

/// `SQLite` takes this many parameters (`SQLITE_MAX_VARIABLE_NUMBER` since 3.32).
const SQLITE_PARAMETERS: usize = 32_766;

/// A statement over the relation `given`. Declare it with [`many_statements!`](crate::many_statements).
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// The columns of `given`.
    pub columns: &'static [(&'static str, Kind)],
    /// The statement without parameters of its own, as `INSERT INTO t (a, b) SELECT a, b FROM given`.
    pub sql: &'static str,
}

impl Many {
    /// The text for an engine; `rows` are those of a `VALUES` list.
    pub(crate) fn text(&self, engine: Engine, rows: usize) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        let mut text = format!("WITH given ({}) AS (", names.join(", "));
        match engine {
            Engine::Postgres => {
                text.push_str("SELECT * FROM UNNEST(");
                for (at, (_, kind)) in (1..).zip(self.columns) {
                    let array = match kind {
                        Kind::Int => "BIGINT[]",
                        Kind::Text => "TEXT[]",
                        Kind::Bytes => "BYTEA[]",
                    };
                    let comma = if at > 1 { ", " } else { "" };
                    // Writing to a string cannot fail.
                    let _ = write!(text, "{comma}${at}::{array}");
                }
                text.push(')');
            }
            Engine::Sqlite => {
                let row = vec!["?"; self.columns.len()].join(", ");
                text.push_str("VALUES ");
                text.push_str(&vec![format!("({row})"); rows].join(", "));
            }
        }
        text.push_str(") ");
        text.push_str(self.sql);
        text
    }

    /// How many of the rows that are left go at once.
    fn piece(&self, engine: Engine, left: usize) -> usize {
        let columns = self.columns.len().max(1);
        match engine {
            Engine::Postgres => left.min(POSTGRES_ROWS),
            Engine::Sqlite => {
                let most = SQLITE_ROWS.min(SQLITE_PARAMETERS / columns);
                1 << left.min(most).max(1).ilog2()
            }
        }
    }
}

/// Rows gathered for a [`Many`] and sent when enough are there, so that memory stays bounded. Nothing of
/// the last ones is written before [`Batch::finish`].
#[derive(Debug)]
#[must_use = "the last rows are written by `finish`"]
pub struct Batch {
    many: &'static Many,
    given: Vec<Value>,
    /// What is gathered holds so much.
    bytes: usize,
    changed: u64,
}

impl Batch {
    /// An empty one.
    pub const fn new(many: &'static Many) -> Batch {
        Batch { many, given: Vec::new(), bytes: 0, changed: 0 }
    }

    /// Adds a row; sends what is gathered when that is enough.
    ///
    /// # Errors
    /// See [`Tx::execute_many`].
    pub async fn push<const N: usize>(&mut self, tx: &mut Tx, row: [Value; N]) -> Result<()> {
        if self.gather(row) {
            self.bytes = 0;
            self.changed += tx.execute_many(self.many, std::mem::take(&mut self.given)).await?;
        }
        Ok(())
    }

    /// Adds a row; whether enough are there.
    fn gather<const N: usize>(&mut self, row: [Value; N]) -> bool {
        self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        self.given.extend(row);
        self.given.len() >= POSTGRES_ROWS * self.many.columns.len() || self.bytes >= BATCH_BYTES
    }

    /// Sends the last rows; how many rows all of them changed.
    ///
    /// # Errors
    /// See [`Tx::execute_many`].
    pub async fn finish(self, tx: &mut Tx) -> Result<u64> {
        Ok(self.changed + tx.execute_many(self.many, self.given).await?)
    }
}

impl Tx {
    /// Runs a statement over rows, given one after the other in `given`; the number of rows it changed. No
    /// rows, no statement. Rows of one call must not change the same row of a table twice: what then
    /// happens differs between the engines.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error the transaction can only be rolled back.
    pub fn execute_many<'a>(&'a mut self, many: &'a Many, given: Vec<Value>) -> Work<'a, u64> {
        Box::pin(async move {
            self.begin_many()?;
            let outcome = self.run_many(many, given).await;
            self.done(outcome)
        })
    }

    async fn run_many(&mut self, many: &Many, given: Vec<Value>) -> Result<u64> {
        let engine = self.engine();
        let mut pieces = Pieces::new(many, engine, given)?;
        let mut changed = 0;
        while let Some((text, piece)) = pieces.next(many) {
            let sql = AssertSqlSafe(text);
            let done = match &mut self.connection {
                Connection::Sqlite(c) => {
                    let args = sqlite_arguments(piece)?;
                    let done = sqlx::query_with(sql, args).execute(&mut **c).await;
                    done.map(|d| d.rows_affected())
                }
                Connection::Postgres(c) => {
                    let args = postgres_arguments(many, piece)?;
                    let done = sqlx::query_with(sql, args).execute(&mut **c).await;
                    done.map(|d| d.rows_affected())
                }
            };
            changed += done.map_err(|e| sort(engine, e))?;
        }
        Ok(changed)
    }

    /// Runs a query over rows and gives all its rows, [`FETCH_ROWS_MAX`] at most. The rows given are taken
    /// in pieces: an order that the statement asks for holds within a piece only.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error the transaction can only be rolled back.
    pub fn fetch_many<'a>(&'a mut self, many: &'a Many, given: Vec<Value>) -> Work<'a, Vec<Row>> {
        Box::pin(async move {
            self.begin_many()?;
            let outcome = self.query_many(many, given).await;
            self.done(outcome)
        })
    }

    async fn query_many(&mut self, many: &Many, given: Vec<Value>) -> Result<Vec<Row>> {
        let engine = self.engine();
        let mut pieces = Pieces::new(many, engine, given)?;
        let (mut rows, mut names) = (Vec::new(), None);
        while let Some((text, piece)) = pieces.next(many) {
            let sql = AssertSqlSafe(text);
            let too_many = |have: usize| {
                let limit = FETCH_ROWS_MAX;
                if have < limit { Ok(()) } else { Err(StoreError::TooManyRows { limit }) }
            };
            match &mut self.connection {
                Connection::Sqlite(c) => {
                    let args = sqlite_arguments(piece)?;
                    let mut found = sqlx::query_with(sql, args).fetch(&mut **c);
                    while let Some(row) = found.try_next().await.map_err(|e| sort(engine, e))? {
                        too_many(rows.len())?;
                        rows.push(read(&row, &mut names)?);
                    }
                }
                Connection::Postgres(c) => {
                    let args = postgres_arguments(many, piece)?;
                    let mut found = sqlx::query_with(sql, args).fetch(&mut **c);
                    while let Some(row) = found.try_next().await.map_err(|e| sort(engine, e))? {
                        too_many(rows.len())?;
                        rows.push(read(&row, &mut names)?);
                    }
                }
            }
        }
        Ok(rows)
    }
}

/// The rows in pieces of what an engine takes at once.
struct Pieces {
    engine: Engine,
    given: std::vec::IntoIter<Value>,
    rows: usize,
}

impl Pieces {
    fn new(many: &Many, engine: Engine, given: Vec<Value>) -> Result<Pieces> {
        let columns = many.columns.len().max(1);
        crate::tx::refuse_unstorable(&given)?;
        if !given.len().is_multiple_of(columns) {
            let message = format!("{} values are no rows of {columns} columns", given.len());
            return Err(StoreError::Broken { engine, message });
        }
        Ok(Pieces { engine, rows: given.len() / columns, given: given.into_iter() })
    }

    fn next(&mut self, many: &Many) -> Option<(String, Vec<Value>)> {
        if self.rows == 0 {
            return None;
        }
        let piece = many.piece(self.engine, self.rows);
        self.rows -= piece;
        let values = self.given.by_ref().take(piece * many.columns.len()).collect();
        Some((many.text(self.engine, piece), values))
    }
}

fn sqlite_arguments(given: Vec<Value>) -> Result<SqliteArguments> {
    let mut args = SqliteArguments::default();
    for value in given {
        match value {
            Value::Int(v) => args.add(v),
            Value::Text(v) => args.add(v),
            Value::Bytes(v) => args.add(v),
            Value::Null(_) | Value::TooLarge(_) => args.add(None::<i64>),
        }
        .map_err(|e| broken(Engine::Sqlite, &e.to_string()))?;
    }
    Ok(args)
}

fn broken(engine: Engine, message: &str) -> StoreError {
    StoreError::Broken { engine, message: message.to_owned() }
}

/// One array for each column.
fn postgres_arguments(many: &Many, given: Vec<Value>) -> Result<PgArguments> {
    let columns = many.columns.len();
    let rows = given.len() / columns.max(1);
    let mut arrays: Vec<Array> =
        many.columns.iter().map(|(_, kind)| Array::new(*kind, rows)).collect();
    for (at, value) in given.into_iter().enumerate() {
        arrays[at % columns].push(value, many.columns[at % columns].0)?;
    }
    let mut args = PgArguments::default();
    for array in arrays {
        match array {
            Array::Int(v) => add(&mut args, v),
            Array::Text(v) => add(&mut args, v),
            Array::Bytes(v) => add(&mut args, v),
        }?;
    }
    Ok(args)
}

fn add<'q, T>(args: &mut PgArguments, array: T) -> Result<()>
where
    T: Encode<'q, sqlx::Postgres> + Type<sqlx::Postgres>,
{
    args.add(array).map_err(|e| broken(Engine::Postgres, &e.to_string()))
}

enum Array {
    Int(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Array {
    fn new(kind: Kind, rows: usize) -> Array {
        match kind {
            Kind::Int => Array::Int(Vec::with_capacity(rows)),
            Kind::Text => Array::Text(Vec::with_capacity(rows)),
            Kind::Bytes => Array::Bytes(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, value: Value, column: &str) -> Result<()> {
        match (self, value) {
            (Array::Int(all), Value::Int(v)) => all.push(Some(v)),
            (Array::Text(all), Value::Text(v)) => all.push(Some(v)),
            (Array::Bytes(all), Value::Bytes(v)) => all.push(Some(v)),
            (Array::Int(all), Value::Null(_)) => all.push(None),
            (Array::Text(all), Value::Null(_)) => all.push(None),
            (Array::Bytes(all), Value::Null(_)) => all.push(None),
            _ => {
                let message = format!("the column {column} was given a value of another kind");
                return Err(broken(Engine::Postgres, &message));
            }
        }
        Ok(())
    }
}

/// Declares a room's statements over many rows, and `MANY_STATEMENTS`, the list of all of them with their
/// names, which a law hands to [`testing::prepare_all_many`](crate::testing::prepare_all_many).
///
/// ```
/// gruve_store::many_statements! {
///     /// Balances of accounts.
///     BALANCES (account Text, asset Text) = "SELECT b.account AS account, b.minor AS minor
///         FROM given g JOIN ledger_balances b ON b.account = g.account AND b.asset = g.asset";
/// }
/// assert_eq!(MANY_STATEMENTS[0].0, "BALANCES");
/// assert_eq!(BALANCES.columns.len(), 2);
/// ```
#[macro_export]
macro_rules! many_statements {
    ($($(#[$doc:meta])* $name:ident ($($column:ident $kind:ident),* $(,)?) = $sql:expr;)*) => {
        $($(#[$doc])* pub(crate) const $name: $crate::Many = $crate::Many {
            columns: &[$((stringify!($column), $crate::Kind::$kind)),*],
            sql: $sql,
        };)*

        /// Every statement over many rows with its name.
        #[allow(dead_code)] // read by the test that prepares them all
        pub(crate) const MANY_STATEMENTS: &[(&str, $crate::Many)] =
            &[$((stringify!($name), $name)),*];
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: Many = Many {
        columns: &[("a", Kind::Int), ("b", Kind::Bytes)],
        sql: "INSERT INTO t (a, b) SELECT a, b FROM given",
    };

    #[test]
    fn one_statement_has_a_text_for_each_engine() {
        assert_eq!(
            MANY.text(Engine::Postgres, 7),
            "WITH given (a, b) AS (SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[])) \
             INSERT INTO t (a, b) SELECT a, b FROM given"
        );
        assert_eq!(
            MANY.text(Engine::Sqlite, 2),
            "WITH given (a, b) AS (VALUES (?, ?), (?, ?)) \
             INSERT INTO t (a, b) SELECT a, b FROM given"
        );
    }

    #[test]
    fn a_batch_is_sent_when_it_has_many_rows_or_many_bytes() {
        let gathered = |len: usize| {
            let mut batch = Batch::new(&MANY);
            let row = || [Value::Int(1), Value::Bytes(vec![7; len])];
            (1..).find(|_| batch.gather(row())).unwrap()
        };
        assert_eq!(gathered(90), POSTGRES_ROWS);
        assert_eq!(gathered(BATCH_BYTES / 4), 4);
        assert_eq!(gathered(BATCH_BYTES), 1);
        // Pages: some hundred.
        assert!((200..1_000).contains(&gathered(2_000)));
    }

    #[test]
    fn a_statement_has_few_texts_however_many_rows_there_are() {
        let mut texts = std::collections::BTreeSet::new();
        for rows in 0..700 {
            let given = vec![Value::Int(1); rows * 2];
            let mut pieces = Pieces::new(&MANY, Engine::Sqlite, given).unwrap();
            let mut sent = 0;
            while let Some((text, piece)) = pieces.next(&MANY) {
                sent += piece.len() / 2;
                texts.insert(text);
            }
            assert_eq!(sent, rows);
        }
        assert_eq!(texts.len(), 8);
    }
}
