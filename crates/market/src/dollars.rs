//! Maintenance in dollars: counted up to each scheduled settlement, converted at that instant's price.
//!
//! What a contract owes is a function of the work delivered to it, so that nothing is lost between two
//! instants. Each scheduled instant closes a due; it becomes minor units of the coin when that instant has a
//! price, whenever the settlement is made. Until all its dues have one, a contract is not settled.

use crate::close::Delivered;
use crate::contract::Contract;
use crate::price::in_coin;
use crate::read::NO_EPOCH;
use crate::settle::maintenance;
use crate::settlement::Owing;
use crate::{ContractState, LaneConfig, Market, MarketError, Result, bulk, life_sql};
use gruve_store::{Batch, Row, Tx, Value, params};
use gruve_units::{Accrual, Amount, Asset, ContractId, EpochNumber, Timestamp};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Dues looked at together: a megabyte or two.
const AT_ONCE: usize = 10_000;

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
    let owes = |c: &&Contract| {
        (is_scheduled || c.state != ContractState::Active)
            && c.life.rules.maintenance_usd_micro_per_th_day > 0
    };
    let all: Vec<&Contract> = deliveries.iter().map(|d| &d.contract).filter(owes).collect();
    for page in all.chunks(AT_ONCE) {
        close_page(tx, lane, page, epoch).await?;
    }
    Ok(())
}

/// Closes the dues of some contracts.
async fn close_page(
    tx: &mut Tx,
    lane: &LaneConfig,
    page: &[&Contract],
    epoch: EpochNumber,
) -> Result<()> {
    let ids = page.iter().map(|c| Value::from(c.id)).collect();
    let mut before: HashMap<ContractId, Accrual> = HashMap::new();
    for row in tx.fetch_many(&bulk::sql::LAST_USD_DUES, ids).await? {
        before.insert(row.get("contract")?, row.get("total")?);
    }
    let mut dues = Batch::new(&bulk::sql::INSERT_USD_DUES);
    for c in page {
        let total = maintenance(c.delivered, c.life.rules.maintenance_usd_micro_per_th_day)?;
        let due = total
            .checked_sub(before.get(&c.id).copied().unwrap_or(Accrual::ZERO))
            .ok_or_else(|| MarketError::Broken("less work was delivered than before".into()))?;
        if due > Accrual::ZERO {
            let instant = lane.epoch_rule.end(epoch);
            let row = params![c.id, epoch, lane.lane.clone(), instant, total, due];
            dues.push(tx, row).await?;
        }
    }
    dues.finish(tx).await?;
    Ok(())
}

/// Converts some dues; contracts with one that has no price go to `waiting`.
async fn convert_page(
    tx: &mut Tx,
    lane: &LaneConfig,
    rows: &[Row],
    prices: &BTreeMap<Timestamp, Option<i64>>,
    running: &mut [Owing],
    waiting: &mut BTreeSet<ContractId>,
) -> Result<()> {
    let position =
        |running: &[Owing], id: ContractId| running.binary_search_by_key(&id, |c| c.id).ok();
    let ids = rows.iter().map(|row| row.get::<ContractId>("contract"));
    let ids = ids.collect::<std::result::Result<BTreeSet<_>, _>>()?;
    let apart = ids.into_iter().filter(|id| position(running, *id).is_none());
    let mut ended: BTreeMap<ContractId, Accrual> = BTreeMap::new();
    for row in tx.fetch_many(&bulk::sql::PARTIES, apart.map(Value::from).collect()).await? {
        ended.insert(row.get("id")?, row.get("maintenance_due")?);
    }
    let mut converted = Batch::new(&bulk::sql::CONVERT_USD_DUES);
    for row in rows {
        let (id, instant): (ContractId, Timestamp) = (row.get("contract")?, row.get("instant")?);
        let Some(price) = prices.get(&instant).copied().flatten() else {
            waiting.insert(id);
            continue;
        };
        let before = match position(running, id) {
            Some(at) => &mut running[at].due,
            None => ended.get_mut(&id).ok_or(MarketError::UnknownContract)?,
        };
        let due = before.checked_add(in_coin(row.get("due")?, lane.asset, price)?);
        *before = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
        let to_epoch: EpochNumber = row.get("to_epoch")?;
        converted.push(tx, params![id, to_epoch, price]).await?;
    }
    converted.finish(tx).await?;
    // What running contracts owe stands with their progress.
    let mut owed = Batch::new(&bulk::sql::SET_MAINTENANCE);
    for (id, due) in ended {
        owed.push(tx, params![id, due]).await?;
    }
    owed.finish(tx).await?;
    Ok(())
}

impl Market {
    /// Converts every due of a lane whose instant has a price, and gives the contracts that have one without:
    /// they are not settled yet.
    pub(crate) async fn convert_dues(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        running: &mut [Owing],
    ) -> Result<BTreeSet<ContractId>> {
        let mut waiting = BTreeSet::new();
        let mut prices: BTreeMap<Timestamp, Option<i64>> = BTreeMap::new();
        let mut after = (Timestamp(i64::MIN), Vec::new(), -1_i64);
        loop {
            let most = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
            let given = params![lane.lane.clone(), after.0, after.1, after.2, most];
            let rows = tx.fetch_all(life_sql::OPEN_USD_DUES, &given).await?;
            for row in &rows {
                let instant: Timestamp = row.get("instant")?;
                if let Entry::Vacant(new) = prices.entry(instant) {
                    new.insert(self.price_at(tx, lane.asset, instant).await?);
                }
            }
            convert_page(tx, lane, &rows, &prices, running, &mut waiting).await?;
            match rows.last() {
                Some(last) if rows.len() == AT_ONCE => {
                    after = (last.get("instant")?, last.get("contract")?, last.get("to_epoch")?);
                }
                _ => return Ok(waiting),
            }
        }
    }

    /// A contract's dues in dollars, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn usd_dues(&self, contract: ContractId, limit: u32) -> Result<Vec<UsdDue>> {
        self.usd_dues_before(contract, None, limit).await
    }

    /// A page of it: those up to epochs before one.
    ///
    /// # Errors
    /// The database's.
    pub async fn usd_dues_before(
        &self,
        contract: ContractId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<UsdDue>> {
        let mut tx = self.store().read().await?;
        let before = before.unwrap_or(NO_EPOCH);
        let given = params![contract, before, limit.min(crate::ROWS_MAX)];
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
