//! A customer's own bytes in the leaf of his contract.

use super::sql;
use crate::contract::Contract;
use crate::pages::Pages;
use crate::{LaneConfig, Market, MarketError, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, ContractId};
use std::collections::VecDeque;

/// Of contracts that have none.
pub(super) const NONE: [u8; 32] = [0; 32];

impl Market {
    /// Puts a nonce into the leaf of a contract of the account, for good. The same again changes nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; [`MarketError::HasBegun`] when the contract runs or has another.
    pub async fn set_nonce(
        &self,
        account: AccountId,
        contract: ContractId,
        nonce: [u8; 32],
    ) -> Result<()> {
        transact!(self.store(), tx -> Result<()> => {
            let c = Contract::find(tx, contract).await?;
            if c.account != account {
                return Err(MarketError::UnknownContract);
            }
            if let Some(row) = tx.fetch_optional(sql::NONCE, &params![contract]).await? {
                let is_same = row.get::<[u8; 32]>("nonce")? == nonce;
                return if is_same { Ok(()) } else { Err(MarketError::HasBegun) };
            }
            if c.start.is_some() {
                return Err(MarketError::HasBegun);
            }
            tx.execute(sql::INSERT_NONCE, &params![contract, c.lane, nonce]).await?;
            Ok(())
        })
    }

    /// A contract's nonce, zeros when it has none.
    ///
    /// # Errors
    /// The database's.
    pub async fn nonce(&self, contract: ContractId) -> Result<[u8; 32]> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(sql::NONCE, &params![contract]).await?;
        tx.rollback().await?;
        Ok(row.map(|r| r.get("nonce")).transpose()?.unwrap_or(NONE))
    }
}

/// The nonces of a lane's contracts, as far as they are asked for.
pub(super) struct Reading {
    pages: Pages,
    ahead: VecDeque<(ContractId, [u8; 32])>,
    is_over: bool,
}

impl Reading {
    pub(super) fn of(lane: &LaneConfig) -> Reading {
        let pages = Pages::by_id(sql::NONCES, &params![lane.lane.clone()]);
        Reading { pages, ahead: VecDeque::new(), is_over: false }
    }

    /// A contract's nonce, zeros when it has none; contracts must be asked for in the order of their ids.
    pub(super) async fn find(&mut self, tx: &mut Tx, id: ContractId) -> Result<[u8; 32]> {
        loop {
            while self.ahead.pop_front_if(|(other, _)| *other < id).is_some() {}
            if let Some((other, nonce)) = self.ahead.front() {
                return Ok(if *other == id { *nonce } else { NONE });
            }
            if self.is_over {
                return Ok(NONE);
            }
            match self.pages.next(tx).await? {
                None => self.is_over = true,
                Some(rows) => {
                    for row in &rows {
                        self.ahead.push_back((row.get("id")?, row.get("nonce")?));
                    }
                }
            }
        }
    }
}
