//! A customer's own bytes in the leaf of his contract.

use super::sql;
use crate::contract::Contract;
use crate::pages::Pages;
use crate::{LaneConfig, Market, MarketError, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, ContractId};
use std::collections::BTreeMap;

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

/// The nonces of a lane's contracts.
pub(super) async fn of_lane(
    tx: &mut Tx,
    lane: &LaneConfig,
) -> Result<BTreeMap<ContractId, [u8; 32]>> {
    let mut all = BTreeMap::new();
    let mut pages = Pages::by_id(sql::NONCES, &params![lane.lane.clone()]);
    while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            all.insert(row.get("id")?, row.get("nonce")?);
        }
    }
    Ok(all)
}
