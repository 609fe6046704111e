//! Maintenance in dollars: counted up to each scheduled settlement, converted at that instant's price.
//!
//! What a contract owes is a function of the work delivered to it, so that nothing is lost between two
//! instants. Each scheduled instant closes a due; it becomes minor units of the coin when that instant has a
//! price, whenever the settlement is made. Until all its dues have one, a contract is not settled.

use crate::close::Delivered;
use crate::contract::Contract;
use crate::price::in_coin;
use crate::settle::maintenance;
use crate::{ContractState, LaneConfig, Market, MarketError, Result, life_sql, sql};
use gruve_store::{Tx, params};
use gruve_units::{Accrual, Amount, Asset, ContractId, EpochNumber, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Dues converted in one transaction at most; the rest follow with the next settlement.
const AT_ONCE: u32 = 10_000;

/// A due of maintenance in dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsdDue {
    /// The last epoch whose work it is for.
    pub to_epoch: EpochNumber,
    /// The instant whose price counts.
    pub instant: Timestamp,
    /// Millionths of a dollar, whole ones; the fraction is carried.
    pub usd: Amount,
    /// The price it was converted at, millionths of a dollar for a coin; `None` while it has none.
    pub usd_micro: Option<i64>,
}

/// Closes the dues of contracts at a scheduled instant, and of those that came to their end at it.
pub(crate) async fn close_dues(
    tx: &mut Tx,
    lane: &LaneConfig,
    deliveries: &[Delivered],
    is_scheduled: bool,
    epoch: EpochNumber,
) -> Result<()> {
    for c in deliveries.iter().map(|d| &d.contract) {
        if is_scheduled || c.state != ContractState::Active {
            close_due(tx, lane, c, epoch).await?;
        }
    }
    Ok(())
}

/// Closes one contract's.
async fn close_due(tx: &mut Tx, lane: &LaneConfig, c: &Contract, epoch: EpochNumber) -> Result<()> {
    let fee = c.life.rules.maintenance_usd_micro_per_th_day;
    if fee == 0 {
        return Ok(());
    }
    let total = maintenance(c.delivered, fee)?;
    let before = tx.fetch_optional(life_sql::LAST_USD_DUE, &params![c.id]).await?;
    let before: Accrual = before.map_or(Ok(Accrual::ZERO), |row| row.get("total"))?;
    let due = total
        .checked_sub(before)
        .ok_or_else(|| MarketError::Broken("less work was delivered than before".into()))?;
    if due > Accrual::ZERO {
        let instant = lane.epoch_rule.end(epoch);
        let row = params![c.id, epoch, lane.lane.clone(), instant, total, due];
        tx.execute(life_sql::PUT_USD_DUE, &row).await?;
    }
    Ok(())
}

impl Market {
    /// Converts every due of a lane whose instant has a price, and gives the contracts that have one without:
    /// they are not settled yet.
    pub(crate) async fn convert_dues(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        running: &mut [Contract],
    ) -> Result<BTreeSet<ContractId>> {
        let mut waiting = BTreeSet::new();
        let mut prices: BTreeMap<Timestamp, Option<i64>> = BTreeMap::new();
        let given = params![lane.lane.clone(), AT_ONCE];
        for row in tx.fetch_all(life_sql::OPEN_USD_DUES, &given).await? {
            let (id, instant): (ContractId, Timestamp) =
                (row.get("contract")?, row.get("instant")?);
            let price = match prices.get(&instant) {
                Some(price) => *price,
                None => {
                    let price = self.price_at(tx, lane.asset, instant).await?;
                    prices.insert(instant, price);
                    price
                }
            };
            let Some(price) = price else {
                waiting.insert(id);
                continue;
            };
            let at = running.binary_search_by_key(&id, |c| c.id);
            let before = match at {
                Ok(at) => running[at].maintenance_due,
                Err(_) => Contract::find(tx, id).await?.maintenance_due,
            };
            let coins = in_coin(row.get("due")?, lane.asset, price)?;
            let due = before.checked_add(coins);
            let due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
            if let Ok(at) = at {
                running[at].maintenance_due = due;
            }
            tx.execute(sql::SET_MAINTENANCE, &params![id, due]).await?;
            let to_epoch: EpochNumber = row.get("to_epoch")?;
            tx.execute(life_sql::CONVERT_USD_DUE, &params![id, to_epoch, price]).await?;
        }
        Ok(waiting)
    }

    /// A contract's dues in dollars, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn usd_dues(&self, contract: ContractId, limit: u32) -> Result<Vec<UsdDue>> {
        let mut tx = self.store().read().await?;
        let given = params![contract, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::USD_DUES, &given).await?;
        tx.rollback().await?;
        let read = |row: &gruve_store::Row| {
            let (whole, _) = row
                .get::<Accrual>("due")?
                .split()
                .map_err(|_| MarketError::Overflow("a maintenance fee"))?;
            Ok(UsdDue {
                to_epoch: row.get("to_epoch")?,
                instant: row.get("instant")?,
                usd: Amount::new(Asset::Usd, whole),
                usd_micro: row.get("usd_micro")?,
            })
        };
        rows.iter().map(read).collect()
    }
}
