//! Who is told of settlements: bills of machines that customers own are written with them. And of refunds: what was paid with is
//! not known here.

use crate::{Market, Result};
use async_trait::async_trait;
use gruve_store::Tx;
use gruve_units::{AccountId, Amount, Bps, ContractId, EpochNumber, LaneId, Timestamp};
use std::collections::BTreeMap;
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

/// Is asked and told of settlements within their transaction.
#[async_trait]
pub trait AfterSettlement: Send + Sync {
    /// Before anybody is credited: the most that may be kept of what accounts' own machines earn on a lane, of those that the
    /// operator has agreed on it with. Of others the lane's fee is.
    async fn agreed_fees(
        &self,
        _tx: &mut Tx,
        _lane: &LaneId,
        _now: Timestamp,
    ) -> Result<BTreeMap<AccountId, Bps>> {
        Ok(BTreeMap::new())
    }

    /// After everybody has been credited: does what is to be done with it. What is not the database's error is the
    /// listener's own: an error from here undoes the whole epoch.
    async fn settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<()>;
}

/// A refund at a contract's end.
#[derive(Clone, Copy, Debug)]
pub struct Refund {
    /// The contract.
    pub contract: ContractId,
    /// Whose balance it went to.
    pub account: AccountId,
    /// The whole price.
    pub price: Amount,
    /// What of the price was for work that was not given, in minor units.
    pub undelivered: i64,
    /// What of that came back: all of it, but for what was kept for a payment that was taken back.
    pub refunded: i64,
    /// The time.
    pub now: Timestamp,
}

/// Is told of refunds within their transaction, once the money is in the balance.
#[async_trait]
pub trait AfterRefund: Send + Sync {
    /// Does what is to be done with it. An error undoes the whole epoch.
    async fn refunded(&self, tx: &mut Tx, refund: &Refund) -> Result<()>;
}

impl Market {
    /// Has refunds told to `who`, for ever; the first to ask is the only one.
    pub fn tell_refunds_to(&self, who: Arc<dyn AfterRefund>) {
        // Wiring, done once before the accountant runs.
        let _ = self.inner.refunds.set(who);
    }

    pub(crate) fn after_refund(&self) -> Option<&dyn AfterRefund> {
        self.inner.refunds.get().map(AsRef::as_ref)
    }

    /// Has settlements told to `who`, for ever; the first to ask is the only one.
    pub fn tell_settlements_to(&self, who: Arc<dyn AfterSettlement>) {
        // Wiring, done once before the accountant runs.
        let _ = self.inner.after.set(who);
    }

    /// What own machines' owners have agreed on, see [`AfterSettlement::agreed_fees`].
    pub(crate) async fn agreed_fees(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        now: Timestamp,
    ) -> Result<BTreeMap<AccountId, Bps>> {
        match self.inner.after.get() {
            Some(after) => after.agreed_fees(tx, lane, now).await,
            None => Ok(BTreeMap::new()),
        }
    }

    pub(crate) async fn tell_settled(&self, tx: &mut Tx, settled: &Settled<'_>) -> Result<()> {
        match self.inner.after.get() {
            Some(after) => after.settled(tx, settled).await,
            None => Ok(()),
        }
    }
}
