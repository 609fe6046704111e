//! Contracts of all accounts, for the operator's people.

use crate::contract::Contract;
use crate::{ContractState, Market, Result, sql};
use gruve_store::params;
use gruve_units::{
    AccountId, Amount, ContractId, EpochNumber, Hashes, Hashrate, LaneId, Timestamp,
};

/// Contracts of a page at most.
pub const SOLD_MAX: u32 = 200;

/// A contract in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldContract {
    /// Its id; ids are in the order of buying.
    pub id: ContractId,
    /// Whose.
    pub account: AccountId,
    /// The plan's title when it was sold.
    pub title: String,
    /// The lane.
    pub lane: LaneId,
    /// Where it stands.
    pub state: ContractState,
    /// The bought rate.
    pub hashrate: Hashrate,
    /// What was paid or is due.
    pub price: Amount,
    /// When it was bought.
    pub created: Timestamp,
    /// Work bought.
    pub bought: Hashes,
    /// Work delivered.
    pub delivered: Hashes,
    /// From which epoch on it gets nothing, because its payment is disputed.
    pub frozen_since: Option<EpochNumber>,
}

impl Market {
    /// Contracts of all accounts before one, newest first: at most `limit`, at most [`SOLD_MAX`].
    ///
    /// # Errors
    /// The database's.
    pub async fn latest_contracts(
        &self,
        before: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<SoldContract>> {
        let before = before.unwrap_or(ContractId::from_bytes([0xff; 16]));
        let mut tx = self.store().read().await?;
        let given = params![before, limit.min(SOLD_MAX)];
        let rows = tx.fetch_all(sql::LATEST_CONTRACTS, &given).await?;
        let mut found = rows.iter().map(Contract::read).collect::<Result<Vec<_>>>()?;
        Contract::catch_up_all(&mut tx, &mut found).await?;
        let mut all = Vec::with_capacity(found.len());
        for c in found {
            all.push(SoldContract {
                id: c.id,
                account: c.account,
                title: c.title.to_string(),
                lane: c.lane,
                state: c.state,
                hashrate: c.hashrate,
                price: c.price,
                created: c.created,
                bought: c.work,
                delivered: c.delivered,
                frozen_since: c.life.frozen_since,
            });
        }
        tx.rollback().await?;
        Ok(all)
    }
}
