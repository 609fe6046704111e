//! Databases for tests: `SQLite` in a file of its own, `PostgreSQL` in a schema of its own.
//!
//! A room writes what its tables promise as *laws*, async functions that take a [`Store`], and
//! [`laws!`](crate::laws) makes one test of each law and engine.

use crate::{OpenOptions, Result, Store};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The variable that holds the address of the server for tests.
pub const POSTGRES_VARIABLE: &str = "GRUVE_TEST_POSTGRES";

/// How long a law may take: far above what any needs, so that one that hangs says so.
const LAW_MAX: Duration = Duration::from_secs(120);

/// A folder for a test, removed with all it holds when dropped.
#[derive(Debug)]
pub struct TestDir(PathBuf);

impl TestDir {
    /// A new folder.
    ///
    /// # Panics
    /// When it cannot be made: a test cannot go on.
    #[must_use]
    pub fn new() -> TestDir {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("gruve-test-{}-{n}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return TestDir(path),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => panic!("cannot make the test folder {}: {e}", path.display()),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for TestDir {
    fn default() -> Self {
        TestDir::new()
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        // Another test's leftovers harm nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn options(schema: Option<String>) -> OpenOptions {
    // Few connections: a server is shared by all tests that run at once.
    OpenOptions { connections_max: 4, schema, ..OpenOptions::default() }
}

/// A `SQLite` database in the file `test.db` of a folder.
///
/// # Panics
/// When it cannot be opened: a test cannot go on.
pub async fn sqlite(dir: &Path) -> Store {
    let url = format!("sqlite:{}", dir.join("test.db").display());
    match Store::open_with(&url, options(None)).await {
        Ok(store) => store,
        Err(e) => panic!("cannot open {url}: {e}"),
    }
}

/// The address of the server for tests.
///
/// # Panics
/// When none is set, saying how to start one: a test that needs it is never skipped in silence.
#[must_use]
pub fn postgres_url() -> String {
    std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "this test needs PostgreSQL: install it with `apt-get install -y \
             --no-install-recommends postgresql`, then `export {POSTGRES_VARIABLE}=$(scripts/\
             postgres-for-tests)`; end it with `scripts/postgres-for-tests stop`"
        )
    })
}

/// A `PostgreSQL` database in a fresh schema of the server for tests.
///
/// # Panics
/// When no server is set (see [`postgres_url`]) or it cannot be used.
pub async fn postgres() -> Store {
    postgres_in(&fresh_schema()).await
}

fn fresh_schema() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A fresh schema of the server for tests, for a program that is given an address.
#[derive(Debug)]
pub struct PostgresSchema {
    name: String,
    /// The address of a database whose tables stand in that schema.
    pub url: String,
}

impl PostgresSchema {
    /// Makes one.
    ///
    /// # Panics
    /// When no server is set (see [`postgres_url`]) or it cannot be used.
    pub async fn new() -> PostgresSchema {
        let (name, server) = (fresh_schema(), postgres_url());
        postgres_in(&name).await.close().await;
        let more = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{more}options[search_path]={name}");
        PostgresSchema { name, url }
    }

    /// Removes it with everything in it.
    ///
    /// # Panics
    /// When the server cannot be used.
    pub async fn remove(self) {
        drop_schema(&postgres_url(), &self.name).await;
    }
}

async fn postgres_in(schema: &str) -> Store {
    let url = postgres_url();
    // A killed process with the same number may have left one.
    drop_schema(&url, schema).await;
    match Store::open_with(&url, options(Some(schema.to_owned()))).await {
        Ok(store) => store,
        Err(e) => panic!("cannot use the PostgreSQL server for tests: {e}"),
    }
}

async fn drop_schema(url: &str, schema: &str) {
    use sqlx::Connection;
    let sql = sqlx::AssertSqlSafe(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE"));
    let outcome = async {
        let mut c = sqlx::PgConnection::connect(url).await?;
        sqlx::raw_sql(sql).execute(&mut c).await?;
        c.close().await
    };
    if let Err(e) = outcome.await {
        panic!("cannot use the PostgreSQL server for tests: {e}");
    }
}

/// Runs SQL that a room itself would never run, such as tampering with its tables; several
/// statements may stand in it.
///
/// # Errors
/// As any statement.
pub async fn run_raw(store: &Store, sql: &'static str) -> Result<()> {
    let mut tx = store.begin().await?;
    tx.run_script(sql).await?;
    tx.commit().await
}

/// Checks that the engine understands every statement; see [`statements!`](crate::statements).
///
/// # Panics
/// With the name of the first that it does not understand.
pub async fn prepare_all(store: &Store, statements: &[(&str, &'static str)]) {
    for (name, sql) in statements {
        let outcome = async { store.begin().await?.prepare(sql).await }.await;
        if let Err(e) = outcome {
            panic!("{name} does not prepare on {}: {e}\n{sql}", store.engine());
        }
    }
}

/// Checks that the engine understands every statement over many rows; see
/// [`many_statements!`](crate::many_statements).
///
/// # Panics
/// With the name of the first that it does not understand.
pub async fn prepare_all_many(store: &Store, statements: &[(&str, crate::Many)]) {
    for (name, many) in statements {
        for rows in [1, 2] {
            let sql = many.text(store.engine(), rows);
            let outcome = async { store.begin().await?.prepare_text(sql.clone()).await }.await;
            if let Err(e) = outcome {
                panic!("{name} does not prepare on {}: {e}\n{sql}", store.engine());
            }
        }
    }
}

/// Runs a law on a fresh `SQLite` file; called by [`laws!`](crate::laws).
pub fn on_sqlite<F: Future<Output = ()>>(law: impl FnOnce(Store) -> F) {
    let dir = TestDir::new();
    run(async {
        let store = sqlite(dir.path()).await;
        law(store.clone()).await;
        store.close().await;
    });
}

/// Runs a law in a fresh `PostgreSQL` schema; called by [`laws!`](crate::laws).
pub fn on_postgres<F: Future<Output = ()>>(law: impl FnOnce(Store) -> F) {
    run(async {
        let schema = fresh_schema();
        let store = postgres_in(&schema).await;
        law(store.clone()).await;
        store.close().await;
        drop_schema(&postgres_url(), &schema).await;
    });
}

fn run(law: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(r) => r,
        Err(e) => panic!("cannot start a runtime: {e}"),
    };
    runtime.block_on(async {
        if tokio::time::timeout(LAW_MAX, law).await.is_err() {
            panic!("the law did not come to an end within {LAW_MAX:?}");
        }
    });
}

/// Makes one test of each law and engine: `laws! { tables: [law_a, law_b] }` gives
/// `tables::sqlite::law_a`, `tables::postgres::law_a`, …. A law is `async fn law(store: Store)`.
#[macro_export]
macro_rules! laws {
    ($name:ident: [$($law:ident),* $(,)?]) => {
        mod $name {
            mod sqlite {
                $(#[test]
                fn $law() {
                    $crate::testing::on_sqlite(super::super::$law);
                })*
            }
            mod postgres {
                $(#[test]
                fn $law() {
                    $crate::testing::on_postgres(super::super::$law);
                })*
            }
        }
    };
}
