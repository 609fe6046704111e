//! Two database engines behind one SQL source: `SQLite` in a file, or `PostgreSQL`.
//!
//! # For what
//! Every room keeps its own tables and its own SQL. This room opens the database, begins and ends
//! transactions, carries values in and rows out, retries what may be retried, and applies each
//! room's migrations. A transaction that spans rooms is one [`Tx`] handed down.
//!
//! # How one source serves two engines
//! SQL text is the same for both: `$1` parameters, `ON CONFLICT … RETURNING`, 64-bit integers, text
//! and bytes, nothing else. Parameters are dynamic [`Value`]s and results dynamic [`Row`]s of the
//! same three kinds, so a room is compiled once, knows no driver type, and can be handed a [`Tx`]
//! without being generic over an engine. (The other way, including each SQL module twice with
//! different driver types, needs a dispatch at every public function of every room; this has one,
//! in `tx.rs`.) What that costs is an allocation a value, far below a synced commit.
//!
//! # Promises
//! | | `SQLite` | `PostgreSQL` |
//! |---|---|---|
//! | writing transaction | `BEGIN IMMEDIATE` on the one writer connection | `SERIALIZABLE` |
//! | reading transaction | a snapshot (WAL), `query_only` | `REPEATABLE READ READ ONLY` |
//! | commit | synced (`synchronous=FULL`) | synced (`synchronous_commit` off is refused at opening) |
//! | a conflict | waits for its turn | rolled back and run again by [`transact!`], a bounded number of times |
//!
//! - A [`Tx`] that is dropped, or whose future is cancelled, is rolled back.
//! - After a failed statement nothing more can be done with a [`Tx`] on either engine, and it cannot
//!   be committed; `PostgreSQL` works so, and `SQLite` is made to. Expect a conflict with `ON CONFLICT
//!   DO NOTHING`, not by catching the error.
//! - Errors say whose they are; see [`StoreError`].
//!
//! # Writing SQL for both engines
//! - `CAST(SUM(x) AS BIGINT)`: `PostgreSQL` sums to a decimal otherwise.
//! - No `SELECT *`, no booleans, no floats, no `NOW()`; times are parameters.
//! - `INSERT … SELECT … ON CONFLICT` needs `WHERE true` before `ON CONFLICT` on `SQLite`.
//! - Declare statements with [`statements!`], so that a test can prepare each on both engines.
//! - Rows by the thousand go with one statement: [`many_statements!`], [`Tx::execute_many`].
//!
//! # What this room must not know
//! Any room's tables. It knows `gruve-units`, so that ids and amounts are values.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod many;
mod migrate;
mod open;
mod retry;
mod row;
mod statements;
pub mod testing;
pub mod transfer;
mod tx;
mod value;

pub use error::{MigrationError, StoreError};
pub use many::{Batch, Many};
pub use migrate::{Migration, matches_on_both_engines};
pub use open::{Engine, OpenOptions, Store};
#[doc(hidden)]
pub use retry::{Attempt, Attempts};
pub use row::Row;
pub use tx::{FETCH_ROWS_MAX, Tx};
pub use value::{FromValue, Kind, Storable, Unfit, Value};

use std::pin::Pin;

/// A result with this room's error.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Something under way, on the heap.
///
/// An `async fn` is compiled anew in every crate that waits for it, and lies whole inside the future of whoever
/// does. Behind this the drivers are compiled once, and the futures of the rooms above stay small; a query
/// costs one allocation more.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The same of something that may fail.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;
