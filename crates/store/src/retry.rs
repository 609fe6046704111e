//! Running a transaction again after a conflict.

use crate::{Boxed, Result, Store, StoreError, Tx, Work};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// How often a transaction is run at most. Those that met a conflict run one at a time within a
/// process, so more than a few conflicts in a row mean that other processes keep writing the same
/// rows; the caller then hears that the database is busy.
const ATTEMPTS_MAX: u32 = 12;

/// The longest wait before running again. Waits double from 1 ms.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// What the retries of one store share.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Attempts {
    turn: Mutex<()>,
    spread: AtomicU64,
}

/// One run of [`transact!`](crate::transact).
#[doc(hidden)]
#[derive(Debug)]
pub struct Attempt<'a> {
    store: &'a Store,
    number: u32,
    turn: Option<MutexGuard<'a, ()>>,
}

#[doc(hidden)]
impl<'a> Attempt<'a> {
    #[must_use]
    pub fn first(store: &'a Store) -> Attempt<'a> {
        Attempt { store, number: 1, turn: None }
    }

    /// # Errors
    /// When no transaction could be begun.
    pub fn begin(&self) -> Work<'_, Tx> {
        // Not repeated when busy: it has then waited for the writer's place as long as it may.
        self.store.begin()
    }

    /// Ends a run: commits it when its body succeeded. `None` when it met a conflict and is to be
    /// run again.
    pub async fn end<T, E: From<StoreError>>(
        &mut self,
        tx: Tx,
        outcome: Result<T, E>,
    ) -> Option<Result<T, E>> {
        let committed = self.end_as(tx, outcome.is_ok()).await?;
        Some(outcome.and_then(|value| committed.map(|()| value).map_err(E::from)))
    }

    /// The same without the body's result; what the commit said, if there was one.
    fn end_as(&mut self, tx: Tx, has_succeeded: bool) -> Boxed<'_, Option<Result<()>>> {
        Box::pin(async move {
            let (conflict, committed) = if has_succeeded {
                tx.finish().await
            } else {
                let conflict = tx.met_conflict();
                // The body's error is what the caller must hear; a broken connection rolls back too.
                if let Err(rollback) = tx.rollback().await {
                    tracing::warn!(error = %rollback, "a rollback failed");
                }
                (conflict, Ok(()))
            };
            let is_done = has_succeeded && committed.is_ok();
            if is_done || !conflict || self.number >= ATTEMPTS_MAX {
                return Some(committed);
            }
            self.wait().await;
            None
        })
    }

    async fn wait(&mut self) {
        let attempts = self.store.attempts();
        // Spread by a counter: waits must differ, not be secret.
        let n = attempts.spread.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let most = Duration::from_millis(1 << self.number.min(8)).min(WAIT_MAX);
        let part = u32::try_from(n >> 56).unwrap_or(0) + 128;
        self.number += 1;
        tokio::time::sleep(most * part / 384).await;
        if self.turn.is_none() {
            self.turn = Some(attempts.turn.lock().await);
        }
    }
}

/// Runs a block in a transaction, commits when it gives `Ok`, rolls back when it gives `Err`, and
/// runs it again, a bounded number of times, when another transaction got in the way.
///
/// The block is an async block giving `Result<T, E>` with `E: From<StoreError>`; `tx` in it is a
/// `&mut Tx`. `?` and `return` leave the block, not the function around it. As it may run more than
/// once, it must clone what it would give away, and do nothing outside the transaction that cannot
/// be done twice.
///
/// ```
/// # use gruve_store::{Store, StoreError, params, transact};
/// # async fn example(store: &Store) -> Result<(), StoreError> {
/// let number = transact!(store, tx => {
///     tx.execute("UPDATE farm_sites SET name = $1 WHERE id = $2", &params!["a", 1_i64]).await?;
///     Ok::<_, StoreError>(1)
/// })?;
/// # Ok(()) }
/// ```
///
/// Where the result's type cannot be inferred, say it: `transact!(store, tx -> Result<_, MyError> => {…})`.
#[macro_export]
macro_rules! transact {
    ($store:expr, $tx:ident => $body:block) => {
        $crate::transact!($store, $tx -> ::std::result::Result<_, _> => $body)
    };
    ($store:expr, $tx:ident -> $result:ty => $body:block) => {{
        let store: &$crate::Store = &$store;
        let mut attempt = $crate::Attempt::first(store);
        let outcome: $result = loop {
            let mut transaction = match attempt.begin().await {
                Ok(tx) => tx,
                Err(e) => break Err(::std::convert::From::from(e)),
            };
            let outcome: $result = {
                #[allow(unused_variables)]
                let $tx: &mut $crate::Tx = &mut transaction;
                async { $body }.await
            };
            if let Some(outcome) = attempt.end(transaction, outcome).await {
                break outcome;
            }
        };
        outcome
    }};
}
