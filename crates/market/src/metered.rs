//! Metered contracts: hashrate by the meter, out of the customer's balance.
//!
//! | event | what happens |
//! |---|---|
//! | started | capacity is taken; for the next epoch its worst case is held, at the plan's price now |
//! | an epoch is closed | the work delivered is charged at the price fixed by the hold, the rest of the hold comes back; then the worst case of the next epoch that has not begun is held, at the price of that moment |
//! | the balance does not cover an epoch | what there is, is held, and no more work is given than it pays; with nothing left the contract stops and gives its capacity back |
//! | topped up | it goes on at an epoch border, if capacity is still for sale |
//! | ended by the customer | holds of epochs that have not begun come back; the running epoch is the last |
//!
//! # Promises
//! - no hold, no hashes: work is never given that was not held for before its epoch began;
//! - an epoch's price never changes after its hold, and no epoch is charged more than its hold;
//! - what is charged over a contract's life is the exact cost, rounded down once to a whole minor unit.

mod close;
mod epoch;
mod price;
pub(crate) mod sql;
mod start;
mod terms;
mod usage;

pub use price::UnitPrice;
pub use start::Started;
pub use usage::{Period, SettledSum, USAGE_ROWS_MAX, UsageLine};

pub(crate) use epoch::{Asking, MeterGot, MeterSold, MeteredEpoch};

use crate::contract::{read_also, write_also};
use crate::scheme::{FppsAsset, read_fpps};
use crate::{MarketError, Result, Scheme};
use gruve_store::{Row, Tx, params};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Hashrate, LaneId,
    Timestamp,
};

/// Metered contracts that one account may have at once, ended ones aside: each is looked at in every close.
pub const METERED_PER_ACCOUNT_MAX: u32 = 20;
/// Notices shown with a contract at most.
const NOTICES_MAX: u32 = 50;

/// Where a metered contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeteredState {
    /// It works, or will from its next held epoch on.
    Active,
    /// Its balance was used up (or its plan or capacity is gone); it goes on by itself when that is mended.
    Stopped,
    /// Ended by the customer; the running epoch is its last.
    Ending,
    /// Over.
    Ended,
}

impl MeteredState {
    /// All states.
    pub const ALL: [MeteredState; 4] =
        [MeteredState::Active, MeteredState::Stopped, MeteredState::Ending, MeteredState::Ended];

    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MeteredState::Active => "active",
            MeteredState::Stopped => "stopped",
            MeteredState::Ending => "ending",
            MeteredState::Ended => "ended",
        }
    }

    /// Whether its hashrate counts as sold.
    #[must_use]
    pub const fn holds_capacity(self) -> bool {
        matches!(self, MeteredState::Active | MeteredState::Ending)
    }
}

/// What a customer is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `low`, `stopped`, `resumed` or `ended`.
    pub kind: NoticeKind,
    /// The epoch at whose close it happened.
    pub epoch: EpochNumber,
    /// When.
    pub at: Timestamp,
}

/// The kinds of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The balance will soon be used up.
    Low,
    /// It is: no work is given.
    Stopped,
    /// Work goes on.
    Resumed,
    /// The contract is over.
    Ended,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [NoticeKind; 4] =
        [NoticeKind::Low, NoticeKind::Stopped, NoticeKind::Resumed, NoticeKind::Ended];

    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NoticeKind::Low => "low",
            NoticeKind::Stopped => "stopped",
            NoticeKind::Resumed => "resumed",
            NoticeKind::Ended => "ended",
        }
    }

    /// A sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            NoticeKind::Low => {
                "The balance that pays for this metered contract will soon be used up. Top it up in \
                 time, or no work is given."
            }
            NoticeKind::Stopped => {
                "This metered contract has stopped: nothing could be held for the next epoch. It goes on \
                 by itself once the balance covers an epoch and its hashrate is for sale."
            }
            NoticeKind::Resumed => "This metered contract goes on.",
            NoticeKind::Ended => "This metered contract has ended.",
        }
    }
}

/// A metered contract as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeteredView {
    /// Its id.
    pub id: ContractId,
    /// Whose.
    pub account: AccountId,
    /// Under which plan.
    pub plan: String,
    /// The version it was started under; prices are those of the plan at each hold.
    pub plan_version: u32,
    /// The plan's title then.
    pub title: String,
    /// The lane.
    pub lane: LaneId,
    /// What it earns.
    pub asset: Asset,
    /// How it earns.
    pub scheme: Scheme,
    /// Where it stands.
    pub state: MeteredState,
    /// Whether the balance will soon be used up.
    pub is_low: bool,
    /// The rate asked for.
    pub hashrate: Hashrate,
    /// Length of an epoch in microseconds.
    pub epoch_us: u64,
    /// SHA-256 of the terms agreed at the start.
    pub terms_hash: [u8; 32],
    /// When it was started.
    pub created: Timestamp,
    /// Its first epoch.
    pub first_epoch: EpochNumber,
    /// Its last epoch, once it is over.
    pub ended_epoch: Option<EpochNumber>,
    /// Work delivered.
    pub delivered: Hashes,
    /// Charged so far.
    pub charged: Amount,
    /// Held for epochs that are not closed.
    pub held: Amount,
    /// The plan's price now; `None` when it is no longer on offer.
    pub price: Option<UnitPrice>,
    /// What it earned, asset by asset, its own first.
    pub earnings: Vec<crate::Earnings>,
    /// The last notices, newest first.
    pub notices: Vec<Notice>,
}

/// A metered contract as stored.
#[derive(Clone, Debug)]
pub(crate) struct Metered {
    pub(crate) id: ContractId,
    pub(crate) account: AccountId,
    pub(crate) plan: String,
    pub(crate) plan_version: u32,
    pub(crate) title: String,
    pub(crate) lane: LaneId,
    pub(crate) asset: Asset,
    pub(crate) pay_asset: Asset,
    pub(crate) epoch_us: u64,
    pub(crate) hashrate: Hashrate,
    pub(crate) epoch_work: Hashes,
    pub(crate) scheme: Scheme,
    pub(crate) fpps: Vec<FppsAsset>,
    pub(crate) fee: Bps,
    pub(crate) maintenance: u64,
    pub(crate) maintenance_also: Vec<(Asset, u64)>,
    pub(crate) low_epochs: u64,
    pub(crate) terms_hash: [u8; 32],
    pub(crate) state: MeteredState,
    pub(crate) is_low: bool,
    pub(crate) created: Timestamp,
    pub(crate) first_epoch: EpochNumber,
    pub(crate) ended_epoch: Option<EpochNumber>,
    pub(crate) delivered: Hashes,
    pub(crate) cost_carry: Accrual,
    pub(crate) charged: i64,
    pub(crate) maintenance_due: Accrual,
    /// The minimum payout while it is not over.
    pub(crate) minimum: u64,
    /// Whether something was charged in the close under way.
    is_charged: bool,
}

impl Metered {
    pub(crate) fn read(row: &Row) -> Result<Metered> {
        let state: String = row.get("state")?;
        let state = MeteredState::ALL.into_iter().find(|s| s.name() == state);
        Ok(Metered {
            id: row.get("id")?,
            account: row.get("account")?,
            plan: row.get("plan")?,
            plan_version: row.get("plan_version")?,
            title: row.get("title")?,
            lane: row.get("lane")?,
            asset: row.get("asset")?,
            pay_asset: row.get("pay_asset")?,
            epoch_us: row.get("epoch_us")?,
            hashrate: row.get("hashrate")?,
            epoch_work: row.get("epoch_work")?,
            scheme: Scheme::stored(&row.get::<String>("scheme")?)?,
            fpps: read_fpps(&row.get::<String>("fpps")?)?,
            fee: row.get("fee_bps")?,
            maintenance: row.get("maintenance")?,
            maintenance_also: read_also(&row.get::<String>("maintenance_also")?)?,
            low_epochs: row.get("low_epochs")?,
            terms_hash: row.get("terms_hash")?,
            state: state.ok_or_else(|| MarketError::Broken("a metered contract's state".into()))?,
            is_low: row.get("is_low")?,
            created: row.get("created_at")?,
            first_epoch: row.get("first_epoch")?,
            ended_epoch: row.get("ended_epoch")?,
            delivered: row.get("delivered")?,
            cost_carry: row.get("cost_carry")?,
            charged: row.get("charged_minor")?,
            maintenance_due: row.get("maintenance_due")?,
            minimum: row.get("minimum_minor")?,
            is_charged: false,
        })
    }

    /// The contract of that id.
    pub(crate) async fn find(tx: &mut Tx, id: ContractId) -> Result<Metered> {
        let row = tx.fetch_optional(sql::FIND, &params![id]).await?;
        Metered::read(&row.ok_or(MarketError::UnknownContract)?)
    }

    /// Under whose name its earnings stand.
    pub(crate) const fn earner(&self) -> crate::Beneficiary {
        match self.scheme {
            Scheme::Fpps => crate::Beneficiary::Fpps(self.id),
            Scheme::Pplns | Scheme::Solo => crate::Beneficiary::Contract(self.id),
        }
    }

    /// Puts it into another state.
    async fn enter(
        &mut self,
        tx: &mut Tx,
        state: MeteredState,
        ended: Option<EpochNumber>,
    ) -> Result<()> {
        (self.state, self.ended_epoch) = (state, ended);
        tx.execute(sql::SET_STATE, &params![self.id, state.name(), ended]).await?;
        Ok(())
    }

    async fn notify(
        &self,
        tx: &mut Tx,
        kind: NoticeKind,
        epoch: EpochNumber,
        at: Timestamp,
    ) -> Result<()> {
        let row = tx.fetch_one(sql::COUNT_NOTICES, &params![self.id]).await?;
        let number = row.get::<i64>("n")? + 1;
        let given = params![self.id, number, kind.name(), epoch, at, kind.is_written()];
        tx.execute(sql::INSERT_NOTICE, &given).await?;
        Ok(())
    }

    fn also(&self) -> String {
        write_also(&self.maintenance_also)
    }
}
