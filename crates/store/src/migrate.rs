//! Bringing a room's tables to what the program expects.

mod compare;

use crate::error::MigrationError;
use crate::{Engine, Result, Store, Tx, Work, params};
use sha2::{Digest, Sha256};

pub use compare::matches_on_both_engines;

/// One step of a room's tables. Once released its text never changes; a change is a new step.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3, … within the room.
    pub number: u32,
    /// A short name, as in its files' names `NNNN_name.{sqlite,postgres}.sql`.
    pub name: &'static str,
    /// The text for `SQLite`.
    pub sqlite: &'static str,
    /// The text for `PostgreSQL`.
    pub postgres: &'static str,
}

const CREATE_SQLITE: &str = "CREATE TABLE IF NOT EXISTS store_migrations (
    room TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, checksum BLOB NOT NULL,
    PRIMARY KEY (room, number)) STRICT";
const CREATE_POSTGRES: &str = "CREATE TABLE IF NOT EXISTS store_migrations (
    room TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, checksum BYTEA NOT NULL,
    PRIMARY KEY (room, number))";

/// Any number that nobody else takes as an advisory lock in this database: "gruve" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(444234692197)";

impl Store {
    /// Applies a room's migrations that have not been applied yet, all in one transaction.
    ///
    /// # Errors
    /// [`MigrationError`] when an applied one has changed, the database is from a newer program,
    /// or the list is not numbered 1, 2, 3, …; otherwise as any statement.
    pub fn migrate<'a>(&'a self, room: &'a str, migrations: &'a [Migration]) -> Work<'a, ()> {
        Box::pin(async move {
            for (at, m) in migrations.iter().enumerate() {
                if usize::try_from(m.number).ok() != Some(at + 1) {
                    let (room, number) = (room.to_owned(), m.number);
                    return Err(MigrationError::Misnumbered { room, number, place: at + 1 }.into());
                }
            }
            // Read committed: a second process waits at the lock and must then see what the first did.
            let mut tx =
                self.begin_as("BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            if tx.engine() == Engine::Postgres {
                tx.run_script(LOCK).await?;
            }
            tx.run_script(match tx.engine() {
                Engine::Sqlite => CREATE_SQLITE,
                Engine::Postgres => CREATE_POSTGRES,
            })
            .await?;
            let applied = applied(&mut tx, room, migrations).await?;
            for m in &migrations[applied..] {
                tx.run_script(m.text(tx.engine())).await?;
                tx.execute(
                "INSERT INTO store_migrations (room, number, name, checksum) VALUES ($1, $2, $3, $4)",
                &params![room, m.number, m.name, m.checksum(tx.engine())],
            )
            .await?;
                tracing::debug!(room, number = m.number, name = m.name, "applied a migration");
            }
            tx.commit().await
        })
    }
}

/// How many of the room's migrations are applied, each checked to be the one the program knows.
async fn applied(tx: &mut Tx, room: &str, migrations: &[Migration]) -> Result<usize> {
    let rows = tx
        .fetch_all(
            "SELECT number, name, checksum FROM store_migrations WHERE room = $1 ORDER BY number",
            &params![room],
        )
        .await?;
    for (at, row) in rows.iter().enumerate() {
        let (number, name) = (row.get::<u32>("number")?, row.get::<String>("name")?);
        let room = room.to_owned();
        match migrations.get(at) {
            Some(m) if m.number == number => {
                if row.get::<[u8; 32]>("checksum")? != m.checksum(tx.engine()) {
                    return Err(MigrationError::Changed { room, number, name }.into());
                }
            }
            _ => return Err(MigrationError::Newer { room, number, name }.into()),
        }
    }
    Ok(rows.len())
}

impl Migration {
    fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    fn checksum(&self, engine: Engine) -> [u8; 32] {
        Sha256::digest(self.text(engine).as_bytes()).into()
    }
}
