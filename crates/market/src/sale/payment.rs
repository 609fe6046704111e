//! A sale's payment, or that it never came.

use super::{release, touch};
use crate::contract::Contract;
use crate::{ContractState, Market, MarketError, Paid, Result, sql};
use gruve_ledger::{Account, Entry, LedgerError};
use gruve_store::{Tx, params};
use gruve_units::{ContractId, EpochNumber, Timestamp};

impl Market {
    /// A contract's invoice was credited to its owner's balance: the price becomes prepaid work and the
    /// contract starts at the next epoch border, so that nobody buys into an epoch whose blocks are
    /// known. Doing it again does nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`] and the database's.
    pub async fn invoice_paid(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        at: Timestamp,
    ) -> Result<Paid> {
        let c = Contract::find(tx, contract).await?;
        match c.state {
            ContractState::AwaitingPayment => {}
            ContractState::Expired | ContractState::Cancelled => return Ok(Paid::LeftInBalance),
            _ => return Ok(Paid::Already),
        }
        let entry = Entry::transfer(
            format!("market/sale/{contract}"),
            "market-sale",
            at,
            Account::CustomerAvailable(c.account),
            Account::PrepaidWork(contract),
            c.price,
        );
        match gruve_ledger::post(tx, &entry).await {
            Ok(_) => {}
            Err(LedgerError::InsufficientFunds { .. }) => {
                tracing::warn!(%contract, "a paid invoice did not cover its contract's price");
                return Ok(Paid::LeftInBalance);
            }
            Err(e) => return Err(e.into()),
        }
        if !c.holds {
            // It begins with the end of the one it follows.
            let start: Option<EpochNumber> = None;
            if tx.execute(sql::PAY_CONTRACT, &params![contract, at, start]).await? != 1 {
                return Err(MarketError::Broken("a contract changed under its payment".into()));
            }
            return Ok(Paid::Follows);
        }
        let lane = self.lane(&c.lane)?;
        let row = tx.fetch_one(sql::LANE, &params![c.lane.clone()]).await?;
        let closed: Option<EpochNumber> = row.get("closed_epoch")?;
        let next = lane.epoch_rule.at(self.now()).next();
        let start = closed.map_or(next, |last| next.max(last.next()));
        if tx.execute(sql::PAY_CONTRACT, &params![contract, at, start]).await? != 1 {
            return Err(MarketError::Broken("a contract changed under its payment".into()));
        }
        Ok(Paid::Starts(start))
    }

    /// A contract's invoice ran out: the capacity is released. A contract that is not waiting for its
    /// payment is left alone.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`] and the database's.
    pub async fn invoice_expired(&self, tx: &mut Tx, contract: ContractId) -> Result<()> {
        let c = Contract::find(tx, contract).await?;
        if c.state != ContractState::AwaitingPayment {
            return Ok(());
        }
        // Before the contract's row, which a close may want.
        if c.holds {
            release(tx, self.lane(&c.lane)?, c.hashrate).await?;
        } else {
            touch(tx, &c.lane).await?;
        }
        if tx.execute(sql::EXPIRE_CONTRACT, &params![contract]).await? != 1 {
            return Err(MarketError::Broken("a contract changed under its expiry".into()));
        }
        Ok(())
    }
}
