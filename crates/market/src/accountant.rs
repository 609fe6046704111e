//! Reading a lane's share log and closing its epochs.
//!
//! # The cursor
//! The log's records of an epoch stand between the first of them and its seal, mixed with those of the
//! next epoch (they overlap by the grace). Closing epoch *n* stores, in the same transaction as everything
//! else, the place of the first record of an epoch whose work may still count (a later one, and the two
//! closed last, of which late work may come), and never one behind the seal. After a crash reading begins there again,
//! and what was counted is passed over: a job is always logged before its shares and has their epoch, so every job that
//! is still needed stands after the cursor. Before the transaction the log is synced up to the seal: a power cut must not leave books of
//! shares that the log has lost.
//!
//! # Late work
//! A share that stands behind its epoch's seal counts in the epoch sealed next ([`gruve_sharelog::counts_in`]), in a
//! section of its own of that epoch's record. It is the one epoch's work like any other: allocated, paid, in its sums.
//! What of it was counted before is found in the log.
//!
//! # Gaps
//! After downtime one seal may cover many epochs. Those with work are closed one by one; a run of empty ones
//! is closed one by one up to [`EMPTY_ROWS_MAX`] and beyond that skipped: the next row counts them and its
//! summary names the epoch before the gap. Missing epochs count as zero work everywhere, and contracts are
//! owed their work for them.

mod gaps;
mod reading;

pub use gaps::EMPTY_ROWS_MAX;

use crate::close::LaneState;
use crate::stamps::StampSource;
use crate::{Market, Result};
use gruve_sharelog::{Position, ShareLog};
use gruve_units::{Blame, Blamed, Duration, LaneId};
use reading::Reading;
use std::sync::Arc;

/// The longest wait before trying again when database or disk are not available.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Turns share logs into closed epochs. Cloning is cheap. One accountant a lane is enough; the guard on the
/// lane's row sees to it that a second one only wastes its work.
#[derive(Clone)]
pub struct Accountant {
    market: Market,
}

impl Accountant {
    /// The accountant of a market.
    #[must_use]
    pub fn new(market: Market) -> Accountant {
        Accountant { market }
    }

    /// The checkpoints in memory, for stamping jobs.
    #[must_use]
    pub fn stamp_source(&self) -> Arc<StampSource> {
        self.market.stamp_source()
    }

    /// Where reading a lane's log goes on after a restart: what stands before it is in closed epochs
    /// and is read again by nobody but an audit.
    ///
    /// # Errors
    /// The database's.
    pub async fn cursor(&self, lane: &LaneId) -> Result<Position> {
        let mut tx = self.market.store().read().await?;
        let state = LaneState::read(&mut tx, lane).await?;
        tx.rollback().await?;
        Ok(state.cursor)
    }

    /// Reads a lane's log for ever, closing each epoch that is sealed; ends when `shutdown` does. While
    /// database or disk are not available it waits and tries again.
    ///
    /// # Errors
    /// The first fatal error: the log or the books contradict themselves.
    pub async fn run(
        &self,
        lane: LaneId,
        log: ShareLog,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        tokio::pin!(shutdown);
        let mut wait = Duration::from_millis(100);
        loop {
            let outcome = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                outcome = self.follow(&lane, &log) => outcome,
            };
            match outcome {
                Err(e) if e.blame() == Blame::Transient => {
                    tracing::warn!(%lane, error = %e, "the accountant tries again");
                    tokio::select! {
                        biased;
                        () = &mut shutdown => return Ok(()),
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(WAIT_MAX);
                }
                other => return other,
            }
        }
    }

    /// Reads what stands in a lane's log, from the stored cursor to the end, closing each epoch that is
    /// sealed, and returns.
    ///
    /// # Errors
    /// As [`Accountant::run`], and transient ones.
    pub async fn catch_up(&self, lane: &LaneId, log: &ShareLog) -> Result<()> {
        let mut reading = Reading::begin(&self.market, lane, log).await?;
        while reading.step().await? {}
        Ok(())
    }

    async fn follow(&self, lane: &LaneId, log: &ShareLog) -> Result<()> {
        let mut reading = Reading::begin(&self.market, lane, log).await?;
        loop {
            while reading.step().await? {}
            log.wait_past(reading.position).await;
        }
    }
}
