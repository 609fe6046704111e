//! Opening a database, and beginning transactions in it.

use crate::error::sort;
use crate::retry::Attempts;
use crate::tx::{Connection, Tx};
use crate::{Result, StoreError, Work};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, Postgres};
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Pool, SqlSafeStr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        })
    }
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Connections to a server at most; of a file, connections that read (one more writes).
    pub connections_max: u32,
    /// The schema to work in, made when missing; `PostgreSQL` only.
    pub schema: Option<String>,
    /// How long to wait for a connection, and for another process' lock.
    pub wait_max: Duration,
}

impl Default for OpenOptions {
    /// 8 connections: reads are short, and each connection costs a server some 10 MB and a file
    /// three descriptors. 30 seconds: longer than any transaction of the house, shorter than a
    /// client's patience.
    fn default() -> Self {
        OpenOptions { connections_max: 8, schema: None, wait_max: Duration::from_secs(30) }
    }
}

/// A transaction left idle longer than this is ended by the server (`PostgreSQL`), so that a hung
/// process does not hold locks for ever.
const IDLE_TRANSACTION_MAX_MS: &str = "120000";

/// How long a server that refuses connections may be about to start: a machine starts both together.
const STARTING_MAX: Duration = Duration::from_secs(5);

/// How often it is tried meanwhile.
const STARTING_LOOK: Duration = Duration::from_millis(200);

#[derive(Debug)]
enum Pools {
    Sqlite { writer: Pool<Sqlite>, readers: Pool<Sqlite> },
    Postgres(Pool<Postgres>),
}

/// An open database. Cloning it is cheap and gives the same one.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pools: Pools,
    attempts: Attempts,
}

impl Store {
    /// Opens the database at `url`: `sqlite:/path/gruve.db` (made when missing) or
    /// `postgres://user:password@host/database`.
    ///
    /// # Errors
    /// [`StoreError::Address`] when the address cannot be used, [`StoreError::Unavailable`] when
    /// nothing answers there, [`StoreError::Broken`] when what is there is not a sound database.
    pub async fn open(url: &str) -> Result<Store> {
        Store::open_with(url, OpenOptions::default()).await
    }

    /// Opens a `PostgreSQL` database in a schema of its own, made when missing.
    ///
    /// # Errors
    /// As [`Store::open`]; also when the address is not a server's.
    pub async fn open_in_schema(url: &str, schema: &str) -> Result<Store> {
        let schema = Some(schema.to_owned());
        Store::open_with(url, OpenOptions { schema, ..OpenOptions::default() }).await
    }

    /// Opens a database, all options said.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(url: &str, options: OpenOptions) -> Result<Store> {
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            if options.schema.is_some() {
                return Err(StoreError::Address("a database file has no schemas".to_owned()));
            }
            open_file(&file_path(path)?, &options).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Pools::Postgres(open_server(url, &options).await?)
        } else {
            return Err(StoreError::Address(
                "write the database's address as sqlite:/path/to/file.db or \
                 postgres://user@host/database"
                    .to_owned(),
            ));
        };
        Ok(Store(Arc::new(Inner { pools, attempts: Attempts::default() })))
    }

    /// Which engine it is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.0.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins a transaction that may write. On a file there is one writer at a time: a task that
    /// holds one and begins another waits for itself until [`OpenOptions::wait_max`] is over.
    ///
    /// Most callers want [`transact!`](crate::transact), which also runs it again after a conflict.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`].
    pub fn begin(&self) -> Work<'_, Tx> {
        Box::pin(async move {
            self.begin_as("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL SERIALIZABLE").await
        })
    }

    /// Begins a transaction that sees one state of the database and cannot write. Never blocks a
    /// writer nor waits for one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::Unavailable`].
    pub fn read(&self) -> Work<'_, Tx> {
        Box::pin(async move {
            let connection = match &self.0.pools {
                Pools::Sqlite { readers, .. } => readers.begin().await.map(Connection::Sqlite),
                Pools::Postgres(pool) => {
                    begin_whole(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
                }
            };
            connection.map(Tx::new).map_err(|e| sort(self.engine(), e))
        })
    }

    pub(crate) async fn begin_as(
        &self,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Result<Tx> {
        let connection = match &self.0.pools {
            Pools::Sqlite { writer, .. } => writer.begin_with(sqlite).await.map(Connection::Sqlite),
            Pools::Postgres(pool) => begin_whole(pool, postgres).await,
        };
        connection.map(Tx::new).map_err(|e| sort(self.engine(), e))
    }

    #[doc(hidden)]
    #[must_use]
    pub fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// Closes all connections, after the transactions under way are over.
    pub async fn close(&self) {
        match &self.0.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                // The writer last, so that it folds the write-ahead log into the file.
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction in a task of its own. The driver does not count a transaction as begun before the server
/// has said so: were its future dropped in between, the connection would go back to the pool with the
/// transaction open, and the next one would find itself in it. A task that nobody waits for ends, and what it
/// began is rolled back.
async fn begin_whole(
    pool: &Pool<Postgres>,
    sql: &'static str,
) -> std::result::Result<Connection, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(sql).await }).await;
    // Only the end of the runtime, or a panic in the driver, ends it otherwise.
    begun.unwrap_or(Err(sqlx::Error::WorkerCrashed)).map(Connection::Postgres)
}

fn file_path(text: &str) -> Result<PathBuf> {
    let text = text.strip_prefix("//").unwrap_or(text);
    if text.is_empty() || text.contains([':', '?', '\0']) {
        return Err(StoreError::Address(format!(
            "{text:?} is not a path for a database file (one in memory would not outlive the \
             process; ':' and '?' cannot stand in the path)"
        )));
    }
    Ok(PathBuf::from(text))
}

/// Makes the file if it is missing, readable by its owner only: it holds customers' addresses. The
/// write-ahead log takes over the file's permissions.
fn make_private(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| {
        StoreError::Address(format!("cannot open the database file {}: {e}", path.display()))
    })
}

async fn open_file(path: &Path, options: &OpenOptions) -> Result<Pools> {
    make_private(path)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(options.wait_max)
        .pragma("trusted_schema", "OFF")
        .statement_cache_capacity(512);
    let pool = |connections| {
        PoolOptions::<Sqlite>::new()
            .max_connections(connections)
            .acquire_timeout(options.wait_max)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // SQLite ends a transaction by itself when the disk is full; the driver then still
            // counts it as open and would refuse every later one. Such a connection is replaced.
            .before_acquire(|connection, _| {
                let sound = !connection.is_in_transaction();
                Box::pin(async move { Ok(sound) })
            })
    };
    let failed = |e| sort(Engine::Sqlite, e);
    // The writer first: it turns the file to WAL, which the readers then find.
    let writer = pool(1).connect_with(connect.clone()).await.map_err(failed)?;
    let readers = pool(options.connections_max.max(1))
        .connect_with(connect.pragma("query_only", "ON"))
        .await
        .map_err(failed)?;
    Ok(Pools::Sqlite { writer, readers })
}

async fn open_server(url: &str, options: &OpenOptions) -> Result<Pool<Postgres>> {
    let failed = |e| sort(Engine::Postgres, e);
    let mut connect = PgConnectOptions::from_str(url)
        .map_err(|e| StoreError::Address(format!("not a PostgreSQL address: {e}")))?
        .application_name("gruve")
        .statement_cache_capacity(512)
        .options([
            ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_MAX_MS),
            ("lock_timeout", &options.wait_max.as_millis().to_string()),
        ]);
    if let Some(schema) = &options.schema {
        let plain = schema.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !plain || !(1..=63).contains(&schema.len()) {
            return Err(StoreError::Address(format!(
                "{schema:?} is not a schema name: 1 to 63 of a-z, 0-9 and _"
            )));
        }
    }
    // One by itself first: it says why it cannot be had, where a pool says only that none came in time.
    let mut one = connect_once(&connect, options.wait_max).await?;
    let synced: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut one).await.map_err(failed)?;
    if synced == "off" {
        return Err(StoreError::Address(
            "the server has synchronous_commit off, so a crash could undo a commit: set it on for \
             this role or database (ALTER ROLE … SET synchronous_commit = on)"
                .to_owned(),
        ));
    }
    if let Some(schema) = &options.schema {
        let sql = sqlx::AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""));
        sqlx::raw_sql(sql.into_sql_str()).execute(&mut one).await.map_err(failed)?;
        connect = connect.options([("search_path", schema)]);
    }
    one.close().await.map_err(failed)?;
    let pool = PoolOptions::<Postgres>::new()
        .max_connections(options.connections_max.max(1))
        .acquire_timeout(options.wait_max);
    pool.connect_with(connect).await.map_err(failed)
}

/// A connection to a server that may be starting just now.
async fn connect_once(connect: &PgConnectOptions, wait_max: Duration) -> Result<PgConnection> {
    let starts_until = Instant::now() + STARTING_MAX.min(wait_max);
    loop {
        let tried = tokio::time::timeout(wait_max, PgConnection::connect_with(connect)).await;
        let error = match tried {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => sort(Engine::Postgres, error),
            Err(_) => StoreError::Unavailable("the server does not answer".to_owned()),
        };
        let may_start = matches!(error, StoreError::Unavailable(_));
        if !may_start || Instant::now() >= starts_until {
            return Err(error);
        }
        tokio::time::sleep(STARTING_LOOK).await;
    }
}
