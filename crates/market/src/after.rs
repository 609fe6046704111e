//! Who is told of settlements: bills of machines that customers own are written with them.

use crate::{Market, Result};
use async_trait::async_trait;
use gruve_store::Tx;
use gruve_units::{AccountId, Amount, EpochNumber, LaneId, Timestamp};
use std::sync::Arc;

/// A settlement of a lane that is being made.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// The lane.
    pub lane: &'a LaneId,
    /// The last epoch that it settles.
    pub to: EpochNumber,
    /// The time.
    pub now: Timestamp,
    /// What accounts are credited for their own machines' work.
    pub credited: &'a [(AccountId, Amount)],
}

/// Is told of settlements within their transaction, after everybody has been credited.
#[async_trait]
pub trait AfterSettlement: Send + Sync {
    /// Does what is to be done with it. What is not the database's error is the listener's own: an error
    /// from here undoes the whole epoch.
    async fn settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<()>;
}

impl Market {
    /// Has settlements told to `who`, for ever; the first to ask is the only one.
    pub fn tell_settlements_to(&self, who: Arc<dyn AfterSettlement>) {
        // Wiring, done once before the accountant runs.
        let _ = self.inner.after.set(who);
    }

    pub(crate) async fn tell_settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<()> {
        match self.inner.after.get() {
            Some(after) => after.settled(tx, settled).await,
            None => Ok(()),
        }
    }
}
