//! A transaction: the one place where the two engines differ in driver types.

use crate::error::sort;
use crate::row::Names;
use crate::value::{Kind, Value};
use crate::{Engine, Result, Row, StoreError, Work};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Arguments, Column, Executor, Row as _, SqlSafeStr, TypeInfo, ValueRef};
use std::sync::Arc;

/// Rows one fetch gives at most: some 100 MB of the widest rows of the house. Read more in pages.
pub const FETCH_ROWS_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// How a transaction failed, which decides what may still be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    None,
    Conflict,
    Other,
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx {
    pub(crate) connection: Connection,
    failure: Failure,
}

/// Runs `$body` for the engine at hand, and remembers a failure.
macro_rules! on_engine {
    ($tx:expr, $params:expr, |$conn:ident, $args:ident| $body:expr) => {{
        $tx.check_usable()?;
        let engine = $tx.engine();
        let outcome: Result<_> = match &mut $tx.connection {
            Connection::Sqlite(c) => {
                let ($conn, $args) = (&mut **c, sqlite_arguments($params)?);
                $body.await
            }
            Connection::Postgres(c) => {
                let ($conn, $args) = (&mut **c, postgres_arguments($params)?);
                $body.await
            }
        }
        .map_err(|e: Stopped| e.sorted(engine));
        $tx.remember(outcome)
    }};
}

/// Why a statement stopped.
enum Stopped {
    Driver(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Stopped {
    fn from(e: sqlx::Error) -> Self {
        Stopped::Driver(e)
    }
}

impl Stopped {
    fn sorted(self, engine: Engine) -> StoreError {
        match self {
            Stopped::Driver(e) => sort(engine, e),
            Stopped::Store(e) => e,
        }
    }
}

impl Tx {
    pub(crate) fn new(connection: Connection) -> Tx {
        Tx { connection, failure: Failure::None }
    }

    /// Which engine it runs on.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.connection {
            Connection::Sqlite(_) => Engine::Sqlite,
            Connection::Postgres(_) => Engine::Postgres,
        }
    }

    /// Lets nobody else write to these tables until this transaction ends: who wants to waits, and so does this one
    /// for those who have begun to. Reading goes on. On a file a writer is alone anyway.
    ///
    /// For long transactions, whose work would be lost when a short one that began later commits before them.
    /// It must be the first thing in the transaction: what that sees is settled with its first statement, and
    /// a lock that came later would be waited for in vain.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Busy`] when two wait for each other.
    pub fn alone_in<'a>(&'a mut self, tables: &'a [&'static str]) -> Work<'a, ()> {
        Box::pin(async move {
            if self.engine() == Engine::Sqlite {
                return Ok(());
            }
            let sql = format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
            let sql = sqlx::AssertSqlSafe(sql);
            on_engine!(self, &[], |conn, _args| async {
                sqlx::raw_sql(sql).execute(conn).await.map(drop).map_err(Stopped::Driver)
            })
        })
    }

    /// Runs a statement; the number of rows it changed.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error the transaction can only be rolled back.
    pub fn execute<'a>(&'a mut self, sql: &'static str, params: &'a [Value]) -> Work<'a, u64> {
        Box::pin(async move {
            on_engine!(self, params, |conn, args| async {
                Ok(sqlx::query_with(sql, args).execute(conn).await?.rows_affected())
            })
        })
    }

    /// Runs a statement and gives all its rows, [`FETCH_ROWS_MAX`] at most.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error the transaction can only be rolled back.
    pub fn fetch_all<'a>(
        &'a mut self,
        sql: &'static str,
        params: &'a [Value],
    ) -> Work<'a, Vec<Row>> {
        Box::pin(async move {
            on_engine!(self, params, |conn, args| async {
                let mut rows = Vec::new();
                let mut names = None;
                let mut stream = sqlx::query_with(sql, args).fetch(conn);
                while let Some(row) = stream.try_next().await? {
                    if rows.len() == FETCH_ROWS_MAX {
                        let limit = FETCH_ROWS_MAX;
                        return Err(Stopped::Store(StoreError::TooManyRows { limit }));
                    }
                    rows.push(read(&row, &mut names).map_err(Stopped::Store)?);
                }
                Ok(rows)
            })
        })
    }

    /// The same of a text that was put together. It must hold no value that somebody gave.
    pub(crate) async fn fetch_text(&mut self, sql: String, params: &[Value]) -> Result<Vec<Row>> {
        let sql = sqlx::AssertSqlSafe(sql);
        on_engine!(self, params, |conn, args| async {
            let (mut rows, mut names) = (Vec::new(), None);
            let mut stream = sqlx::query_with(sql, args).fetch(conn);
            while let Some(row) = stream.try_next().await? {
                rows.push(read(&row, &mut names).map_err(Stopped::Store)?);
            }
            Ok(rows)
        })
    }

    /// The same of a statement that gives no rows.
    pub(crate) async fn execute_text(&mut self, sql: String, params: &[Value]) -> Result<u64> {
        let sql = sqlx::AssertSqlSafe(sql);
        on_engine!(self, params, |conn, args| async {
            Ok(sqlx::query_with(sql, args).execute(conn).await?.rows_affected())
        })
    }

    /// Runs a statement and gives its first row, if there is one.
    ///
    /// # Errors
    /// See [`StoreError`]. After an error the transaction can only be rolled back.
    pub fn fetch_optional<'a>(
        &'a mut self,
        sql: &'static str,
        params: &'a [Value],
    ) -> Work<'a, Option<Row>> {
        Box::pin(async move {
            on_engine!(self, params, |conn, args| async {
                match sqlx::query_with(sql, args).fetch_optional(conn).await? {
                    Some(row) => read(&row, &mut None).map(Some).map_err(Stopped::Store),
                    None => Ok(None),
                }
            })
        })
    }

    /// Runs a statement and gives its first row, which must be there.
    ///
    /// # Errors
    /// [`StoreError::NoRow`] when there is none; otherwise see [`StoreError`].
    pub fn fetch_one<'a>(&'a mut self, sql: &'static str, params: &'a [Value]) -> Work<'a, Row> {
        Box::pin(async move { self.fetch_optional(sql, params).await?.ok_or(StoreError::NoRow) })
    }

    /// Makes everything done in it last: when this returns, it has been synced.
    ///
    /// # Errors
    /// [`StoreError::AlreadyFailed`] after a failed statement; [`StoreError::Busy`] when another
    /// transaction got in the way (nothing has happened); [`StoreError::OutcomeUnknown`] when the
    /// connection broke.
    pub fn commit(self) -> Work<'static, ()> {
        Box::pin(async move { self.finish().await.1 })
    }

    /// Undoes everything done in it. Dropping it does the same, later.
    ///
    /// # Errors
    /// When the connection broke; then the engine undoes it by itself.
    pub fn rollback(self) -> Work<'static, ()> {
        Box::pin(async move {
            let engine = self.engine();
            let outcome = match self.connection {
                Connection::Sqlite(c) => c.rollback().await,
                Connection::Postgres(c) => c.rollback().await,
            };
            outcome.map_err(|e| sort(engine, e))
        })
    }

    /// Makes the transaction unusable but for rolling back, for a room that finds itself half-way
    /// through something and cannot finish it: what stands written must not be committed.
    pub fn abandon(&mut self) {
        if self.failure == Failure::None {
            self.failure = Failure::Other;
        }
    }

    /// Commits, saying also whether a conflict with another transaction stood in the way, so that
    /// running it again is right.
    pub(crate) async fn finish(self) -> (bool, Result<()>) {
        if self.failure != Failure::None {
            return (self.met_conflict(), Err(StoreError::AlreadyFailed));
        }
        let engine = self.engine();
        let outcome = match self.connection {
            Connection::Sqlite(c) => c.commit().await,
            Connection::Postgres(c) => c.commit().await,
        };
        match outcome {
            Ok(()) => (false, Ok(())),
            // The engine said that it did not commit.
            Err(e @ sqlx::Error::Database(_)) => {
                let e = sort(engine, e);
                (matches!(e, StoreError::Busy(_)), Err(e))
            }
            Err(e) => (false, Err(StoreError::OutcomeUnknown(e.to_string()))),
        }
    }

    /// Whether a conflict with another transaction ended it.
    pub(crate) fn met_conflict(&self) -> bool {
        self.failure == Failure::Conflict
    }

    /// Runs a migration's text, which may hold several statements.
    pub(crate) async fn run_script(&mut self, sql: &'static str) -> Result<()> {
        on_engine!(self, &[], |conn, _args| async {
            sqlx::raw_sql(sql).execute(conn).await.map(drop).map_err(Stopped::Driver)
        })
    }

    /// Checks that the engine understands a statement, without running it.
    pub(crate) async fn prepare(&mut self, sql: &'static str) -> Result<()> {
        self.prepare_text(sql.to_owned()).await
    }

    /// The same of a text that was put together.
    pub(crate) async fn prepare_text(&mut self, sql: String) -> Result<()> {
        let sql = sqlx::AssertSqlSafe(sql);
        on_engine!(self, &[], |conn, _args| async {
            conn.prepare(sql.into_sql_str()).await.map(drop).map_err(Stopped::Driver)
        })
    }

    /// Begins something of several statements: until [`Tx::done`] it counts as failed, so that one that
    /// is cut off half-way cannot be committed.
    pub(crate) fn begin_many(&mut self) -> Result<()> {
        self.check_usable()?;
        self.failure = Failure::Other;
        Ok(())
    }

    /// Ends what [`Tx::begin_many`] began.
    pub(crate) fn done<T>(&mut self, outcome: Result<T>) -> Result<T> {
        self.failure = Failure::None;
        self.remember(outcome)
    }

    fn check_usable(&self) -> Result<()> {
        if self.failure == Failure::None { Ok(()) } else { Err(StoreError::AlreadyFailed) }
    }

    fn remember<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(e) = &outcome {
            self.failure = match e {
                StoreError::Busy(_) => Failure::Conflict,
                _ => Failure::Other,
            };
        }
        outcome
    }
}

/// Why a value cannot be sent, found before it is.
pub(crate) fn refuse_unstorable(params: &[Value]) -> Result<()> {
    for (at, value) in params.iter().enumerate() {
        let what = match value {
            Value::TooLarge(_) => "the number is above 63 bits",
            Value::Text(t) if t.contains('\0') => "the text holds a NUL character",
            _ => continue,
        };
        return Err(StoreError::NotStorable { position: at + 1, what });
    }
    Ok(())
}

macro_rules! arguments {
    ($name:ident, $arguments:ty, $engine:expr) => {
        fn $name(params: &[Value]) -> Result<$arguments> {
            refuse_unstorable(params)?;
            let mut args = <$arguments>::default();
            args.reserve(params.len(), params.len() * 16);
            for value in params {
                match value {
                    Value::Int(v) => args.add(*v),
                    Value::Text(v) => args.add(v.clone()),
                    Value::Bytes(v) => args.add(v.clone()),
                    Value::Null(Kind::Int) | Value::TooLarge(_) => args.add(None::<i64>),
                    Value::Null(Kind::Text) => args.add(None::<String>),
                    Value::Null(Kind::Bytes) => args.add(None::<Vec<u8>>),
                }
                .map_err(|e| StoreError::Broken { engine: $engine, message: e.to_string() })?;
            }
            Ok(args)
        }
    };
}
arguments!(sqlite_arguments, SqliteArguments, Engine::Sqlite);
arguments!(postgres_arguments, PgArguments, Engine::Postgres);

/// A driver's row whose values are turned into ours.
pub(crate) trait DriverRow: sqlx::Row {
    fn value(&self, at: usize) -> Result<Value, sqlx::Error>;
    const ENGINE: Engine;
}

impl DriverRow for SqliteRow {
    const ENGINE: Engine = Engine::Sqlite;
    fn value(&self, at: usize) -> Result<Value, sqlx::Error> {
        let raw = self.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Value::Null(Kind::Int));
        }
        let info = raw.type_info();
        // Its type is known then: it need not be looked at once more.
        match info.name() {
            "INTEGER" => self.try_get_unchecked(at).map(Value::Int),
            "TEXT" => self.try_get_unchecked(at).map(Value::Text),
            "BLOB" => self.try_get_unchecked(at).map(Value::Bytes),
            other => Err(unknown_kind(other)),
        }
    }
}

impl DriverRow for PgRow {
    const ENGINE: Engine = Engine::Postgres;
    fn value(&self, at: usize) -> Result<Value, sqlx::Error> {
        let raw = self.try_get_raw(at)?;
        if raw.is_null() {
            return Ok(Value::Null(Kind::Int));
        }
        let info = raw.type_info();
        match info.name() {
            "INT8" => self.try_get_unchecked(at).map(Value::Int),
            "INT4" => self.try_get_unchecked::<i32, _>(at).map(|v| Value::Int(i64::from(v))),
            "BOOL" => self.try_get_unchecked::<bool, _>(at).map(|v| Value::Int(i64::from(v))),
            "TEXT" | "VARCHAR" | "NAME" => self.try_get_unchecked(at).map(Value::Text),
            "BYTEA" => self.try_get_unchecked(at).map(Value::Bytes),
            other => Err(unknown_kind(other)),
        }
    }
}

fn unknown_kind(kind: &str) -> sqlx::Error {
    let hint = "only 64-bit integers, text and bytes are read; cast sums with CAST(… AS BIGINT)";
    sqlx::Error::Decode(format!("a column of type {kind}: {hint}").into())
}

pub(crate) fn read<R: DriverRow>(row: &R, names: &mut Option<Arc<Names>>) -> Result<Row> {
    let names = names
        .get_or_insert_with(|| Names::new(row.columns().iter().map(|c| c.name().to_owned())))
        .clone();
    let values = (0..names.len()).map(|at| row.value(at)).collect::<Result<Vec<_>, _>>();
    let values = values.map_err(|e| sort(R::ENGINE, e))?;
    Ok(Row { names, values })
}
