//! How a contract is to go on: what its owner wants done by itself, and what he can do now.

use crate::close::LaneState;
use crate::contract::Contract;
use crate::renew::can_follow;
use crate::wishes::Wishes;
use crate::{Market, MarketError, Result, end_near, life_sql};
use gruve_store::params;
use gruve_units::{AccountId, ContractId};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoingOn {
    /// It runs although it does not pay.
    pub keep_running: bool,
    /// It is renewed from the balance for at most so many minor units of what its plan is paid in.
    pub renew_max_minor: Option<i64>,
    /// Its earnings buy more of its plan.
    pub reinvest: bool,
    /// The contract that follows it, paid or not.
    pub follower: Option<ContractId>,
    /// How many epochs of work or time may be left of it when it is renewed by hand.
    pub renewable_epochs: u64,
    /// Whether it can be renewed by hand now.
    pub is_renewable: bool,
}

impl Market {
    /// How a contract of an account is to go on.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn going_on(&self, account: AccountId, contract: ContractId) -> Result<GoingOn> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, contract).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let wishes = Wishes::find(&mut tx, contract).await?;
        let followers = tx.fetch_all(life_sql::FOLLOWER, &params![contract]).await?;
        let is_free = can_follow(&mut tx, account, Some(contract)).await?.is_some();
        let closed = LaneState::read(&mut tx, &c.lane).await?.closed;
        tx.rollback().await?;
        let renewable_epochs = end_near::renewable(c.term);
        Ok(GoingOn {
            keep_running: wishes.keep_running,
            renew_max_minor: wishes.renew_max_minor,
            reinvest: wishes.reinvest,
            follower: followers.first().map(|row| row.get("id")).transpose()?,
            renewable_epochs,
            is_renewable: is_free && end_near::is_within(&c, renewable_epochs, closed),
        })
    }
}
