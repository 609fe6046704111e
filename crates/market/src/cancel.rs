//! Taking a contract back.
//!
//! | when | outcome |
//! |---|---|
//! | not paid | *cancelled*, its capacity is free at once; a payment that comes later stays in the balance |
//! | paid, its first epoch not begun | *cancelled*, the whole price is in the balance again, in the asset paid |
//! | its payment is disputed | refused until that is settled |
//! | it follows a contract whose payment was disputed since it was bought | refused: its price waited with that one's clock |
//! | its first epoch has begun | refused: it sells work, which is delivered or refunded pro rata at its end |
//! | cancelled before | nothing changes, the same answer |
//! | any other end | refused |
//!
//! Racing a payment, one of both comes first: a payment after the cancelling stays in the balance, a cancelling
//! after the payment gives it back; the balance is the same. Racing the close of its first epoch, the border
//! of the epoch decides, not the order of the transactions: nobody takes a contract back whose first blocks
//! are known.

use crate::close::LaneState;
use crate::contract::Contract;
use crate::{ContractState, Market, MarketError, Result, freeze, life_sql, sale};
use gruve_ledger::{Account, Entry};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, ContractId};

/// What taking a contract back gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// What went back to the balance.
    pub refunded: Amount,
    /// Whether it had been cancelled before: nothing changed.
    pub before: bool,
}

impl Market {
    /// Takes a contract of an account back, see the module's table. Doing it again does nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], [`MarketError::HasBegun`], [`MarketError::WrongState`]; nothing was
    /// written then. And the database's.
    pub async fn cancel(
        &self,
        tx: &mut Tx,
        account: AccountId,
        contract: ContractId,
    ) -> Result<Cancelled> {
        let c = Contract::find(tx, contract).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let refunded = |minor| Amount::new(c.price.asset, minor);
        match c.state {
            ContractState::Cancelled => {
                return Ok(Cancelled { refunded: refunded(c.refunded), before: true });
            }
            ContractState::AwaitingPayment => {}
            // Its price would be free to buy something else with.
            ContractState::Starting if c.life.frozen_since.is_some() => {
                return Err(MarketError::WrongState { state: "frozen" });
            }
            ContractState::Starting => {
                self.check_not_begun(tx, &c).await?;
                check_clock_ran(tx, &c).await?;
            }
            ContractState::Active => return Err(MarketError::HasBegun),
            state => return Err(MarketError::WrongState { state: state.name() }),
        }
        let was_paid = c.state == ContractState::Starting;
        let written = self.take_back(tx, &c, was_paid).await;
        if written.is_err() {
            tx.abandon();
        }
        written?;
        let back = if was_paid { c.price.minor } else { 0 };
        Ok(Cancelled { refunded: refunded(back), before: false })
    }

    async fn take_back(&self, tx: &mut Tx, c: &Contract, was_paid: bool) -> Result<()> {
        // In the order in which a close takes them: what is sold, the journal, contracts' rows.
        if c.holds {
            sale::release(tx, self.lane(&c.lane)?, c.hashrate).await?;
        } else {
            sale::touch(tx, &c.lane).await?;
        }
        if was_paid {
            let entry = Entry::transfer(
                format!("market/cancel/{}", c.id),
                "market-cancel",
                self.now(),
                Account::PrepaidWork(c.id),
                Account::CustomerAvailable(c.account),
                c.price,
            );
            gruve_ledger::post(tx, &entry).await?;
        }
        let change = if was_paid { life_sql::CANCEL_PAID } else { life_sql::CANCEL_UNPAID };
        if tx.execute(change, &params![c.id]).await? != 1 {
            return Err(MarketError::Broken("a contract changed under its cancelling".into()));
        }
        Ok(())
    }

    /// By the clock and by the books, of which either may be behind.
    async fn check_not_begun(&self, tx: &mut Tx, c: &Contract) -> Result<()> {
        // One that waits for the end of another has no first epoch yet.
        let Some(start) = c.start else { return Ok(()) };
        let lane = self.lane(&c.lane)?;
        let running = lane.epoch_rule.at(self.now());
        let closed = LaneState::read(tx, &c.lane).await?.closed;
        if running >= start || closed.is_some_and(|last| last.next() >= start) {
            return Err(MarketError::HasBegun);
        }
        Ok(())
    }
}

/// A renewal can be taken back until the contract that it follows ends. Who has that one's clock stopped meanwhile, by a dispute,
/// would have a price for as long as it lasts, to take or to leave.
async fn check_clock_ran(tx: &mut Tx, c: &Contract) -> Result<()> {
    let Some(before) = c.life.renews else { return Ok(()) };
    match freeze::was_disputed_since(tx, before, c.created).await? {
        true => Err(MarketError::WrongState { state: "waiting since a dispute" }),
        false => Ok(()),
    }
}
