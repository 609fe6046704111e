//! What can go wrong with a database, and whose it is.

use crate::Engine;
use gruve_units::{Blame, Blamed};

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with the same key exists.
    #[error("a row with the same {constraint} exists")]
    Unique {
        /// The columns, as `table.column, table.column`, alike on both engines.
        constraint: String,
    },
    /// A row refers to another that does not exist, or is referred to.
    #[error("a reference does not hold ({constraint})")]
    ForeignKey {
        /// The constraint's name where the engine gives it.
        constraint: String,
    },
    /// A value breaks a table's rule.
    #[error("a value breaks the rule {constraint}")]
    Check {
        /// The constraint's name.
        constraint: String,
    },
    /// A value that must be there is not.
    #[error("a value is missing ({column})")]
    NotNull {
        /// The column.
        column: String,
    },
    /// A parameter that no column can hold: text with a NUL, or an integer above 63 bits.
    #[error("parameter {position} cannot be stored: {what}")]
    NotStorable {
        /// Which, from 1.
        position: usize,
        /// Why not.
        what: &'static str,
    },
    /// Not the address of a database that can be used.
    #[error("{0}")]
    Address(String),
    /// Another transaction was in the way; this one was rolled back and may be run again.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The database could not be reached or has no room.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The connection broke during the commit: whether it happened is not known.
    #[error("the connection broke during a commit, its outcome is unknown: {0}")]
    OutcomeUnknown(String),
    /// The transaction had already failed; nothing more can be done with it, nor can it be committed.
    #[error("the transaction has failed before and cannot be used further")]
    AlreadyFailed,
    /// A row that must exist was not found.
    #[error("no row where one must be")]
    NoRow,
    /// More rows than one fetch may give; read them in pages.
    #[error("more than {limit} rows in one answer")]
    TooManyRows {
        /// [`FETCH_ROWS_MAX`](crate::FETCH_ROWS_MAX).
        limit: usize,
    },
    /// The answer has no column of that name.
    #[error("the answer has no column {column}")]
    NoColumn {
        /// The name asked for.
        column: String,
    },
    /// A column holds something else than expected.
    #[error("column {column} does not hold {wanted}")]
    Misread {
        /// The column.
        column: String,
        /// What was expected of it.
        wanted: &'static str,
    },
    /// A guard inside the database (a trigger) refused: the house broke its own rule.
    #[error("the database's own guard refused: {0}")]
    Guarded(String),
    /// The data or the statement is wrong: damage, missing tables, bad SQL.
    #[error("{engine} reports: {message}")]
    Broken {
        /// Which engine.
        engine: Engine,
        /// Its words.
        message: String,
    },
    /// The tables are not as this program expects them.
    #[error(transparent)]
    Migration(#[from] MigrationError),
}

/// Why the tables cannot be brought to what this program expects.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// A migration that has been applied reads differently now.
    #[error(
        "migration {number:04}_{name} of {room} was applied with another text than this program \
         has: it must not be edited after release; run the version that made this database, or \
         restore a backup"
    )]
    Changed {
        /// The room.
        room: String,
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The database is from a newer program.
    #[error(
        "the database has migration {number:04}_{name} of {room}, which this program does not \
         know: it was written by a newer version; run that version, or restore a backup made \
         before it"
    )]
    Newer {
        /// The room.
        room: String,
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// The program's own list is not 1, 2, 3, ….
    #[error(
        "the migrations of {room} are not numbered 1, 2, 3, …: {number} stands at place {place}"
    )]
    Misnumbered {
        /// The room.
        room: String,
        /// The number found.
        number: u32,
        /// Its place in the list, from 1.
        place: usize,
    },
}

impl Blamed for StoreError {
    fn blame(&self) -> Blame {
        match self {
            StoreError::Unique { .. }
            | StoreError::ForeignKey { .. }
            | StoreError::Check { .. }
            | StoreError::NotNull { .. }
            | StoreError::NotStorable { .. }
            | StoreError::Address(_) => Blame::Rejected,
            StoreError::Busy(_) | StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) => {
                Blame::Transient
            }
            StoreError::AlreadyFailed
            | StoreError::NoRow
            | StoreError::TooManyRows { .. }
            | StoreError::NoColumn { .. }
            | StoreError::Misread { .. }
            | StoreError::Guarded(_)
            | StoreError::Broken { .. }
            | StoreError::Migration(_) => Blame::Fatal,
        }
    }
}

/// Sorts a driver's error.
pub(crate) fn sort(engine: Engine, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(e) => match engine {
            Engine::Sqlite => sort_sqlite(e.as_ref()),
            Engine::Postgres => sort_postgres(e.as_ref()),
        },
        sqlx::Error::RowNotFound => StoreError::NoRow,
        sqlx::Error::PoolTimedOut => no_place(engine),
        e @ (sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed) => StoreError::Unavailable(e.to_string()),
        e => StoreError::Broken { engine, message: e.to_string() },
    }
}

/// No connection came within the time. A file always answers: there transactions of this process are in the way, or the disk. Of
/// a server it cannot be told whether it is gone or all connections to it are held.
fn no_place(engine: Engine) -> StoreError {
    match engine {
        Engine::Sqlite => StoreError::Busy(
            "no place in the file came free in time: other transactions of this process are held too long, or the \
             disk is very slow"
                .to_owned(),
        ),
        Engine::Postgres => StoreError::Unavailable(
            "no connection came in time: the server does not answer or has no more to give, or transactions are \
             held too long"
                .to_owned(),
        ),
    }
}

/// By extended result code (<https://www.sqlite.org/rescode.html>); the low byte is the primary code.
fn sort_sqlite(e: &dyn sqlx::error::DatabaseError) -> StoreError {
    let code: i32 = e.code().and_then(|c| c.parse().ok()).unwrap_or(0);
    let message = e.message().to_owned();
    // "UNIQUE constraint failed: t.a, t.b" and the like: what stands after the colon.
    let about =
        || message.split_once("failed: ").map_or_else(|| message.clone(), |(_, t)| t.to_owned());
    match (code, code & 0xff) {
        (2067 | 1555 | 2579, _) => StoreError::Unique { constraint: about() },
        (787, _) => StoreError::ForeignKey { constraint: about() },
        (275, _) => StoreError::Check { constraint: about() },
        (1299, _) => StoreError::NotNull { column: about() },
        (1811, _) => StoreError::Guarded(message),
        (_, 5 | 6) => StoreError::Busy(message),
        // No room on the disk, and files that cannot be opened just now.
        (_, 13 | 14) => StoreError::Unavailable(message),
        _ => StoreError::Broken { engine: Engine::Sqlite, message: e.to_string() },
    }
}

/// By SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn sort_postgres(e: &dyn sqlx::error::DatabaseError) -> StoreError {
    let code = e.code().unwrap_or_default().into_owned();
    let message = e.message().to_owned();
    let constraint = || e.constraint().unwrap_or(&message).to_owned();
    match code.as_str() {
        "23505" => StoreError::Unique { constraint: unique_columns(e).unwrap_or_else(constraint) },
        "23503" => StoreError::ForeignKey { constraint: constraint() },
        "23514" => StoreError::Check { constraint: constraint() },
        "23502" => {
            let e = e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
            let column = e.and_then(|e| Some(format!("{}.{}", e.table()?, e.column()?)));
            StoreError::NotNull { column: column.unwrap_or(message) }
        }
        "P0001" => StoreError::Guarded(message),
        // Serialisation failure, deadlock, lock not available in time.
        "40001" | "40P01" | "55P03" => StoreError::Busy(message),
        "25P02" => StoreError::AlreadyFailed,
        // Cancelled by a time-out or an operator, idle too long, shut down, not yet up.
        "57014" | "25P03" | "57P01" | "57P02" | "57P03" => StoreError::Unavailable(message),
        // Class 08 is the connection's, class 53 insufficient resources.
        c if c.starts_with("08") || c.starts_with("53") => StoreError::Unavailable(message),
        _ => {
            StoreError::Broken { engine: Engine::Postgres, message: format!("({code}) {message}") }
        }
    }
}

/// `t.a, t.b` from a unique violation's table and its detail `Key (a, b)=(…) already exists.`, the
/// form that `SQLite` gives. The values in the detail are not kept: they may be personal.
fn unique_columns(e: &dyn sqlx::error::DatabaseError) -> Option<String> {
    let e = e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let (table, detail) = (e.table()?, e.detail()?);
    let columns = detail.strip_prefix("Key (")?.split_once(")=(")?.0;
    let named: Vec<String> = columns.split(", ").map(|c| format!("{table}.{c}")).collect();
    Some(named.join(", "))
}
