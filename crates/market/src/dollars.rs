//! Maintenance in dollars: counted up to each scheduled settlement, converted at that instant's price.
//!
//! What a contract owes is a function of the work delivered to it, so that nothing is lost between two
//! instants. Each scheduled instant closes a due; it becomes minor units of the coin when that instant has a
//! price, whenever the settlement is made. Until all its dues have one, a contract is not settled.

use crate::bulk::progress::{Progress, Rewriting};
use crate::close::Delivered;
use crate::contract::Contract;
use crate::price::in_coin;
use crate::read::NO_EPOCH;
use crate::settle::maintenance;
use crate::{ContractState, LaneConfig, Market, MarketError, Result, bulk, life_sql};
use gruve_store::{Batch, Row, Tx, Value, params};
use gruve_units::{Accrual, Amount, Asset, ContractId, EpochNumber, Timestamp};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

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

/// What running contracts owe, while dues of one instant are added to it in the order of their ids.
struct Adding {
    instant: Timestamp,
    progress: Rewriting,
    next: Option<Progress>,
}

impl Adding {
    async fn of(tx: &mut Tx, lane: &LaneConfig, instant: Timestamp) -> Result<Adding> {
        let mut progress = Rewriting::of(&lane.lane);
        let next = progress.next(tx).await?;
        Ok(Adding { instant, progress, next })
    }

    /// How far a contract is, if it runs.
    async fn find(&mut self, tx: &mut Tx, id: ContractId) -> Result<Option<&mut Progress>> {
        while let Some(before) = self.next.take_if(|p| p.contract < id) {
            self.progress.push(tx, before).await?;
            self.next = self.progress.next(tx).await?;
        }
        Ok(self.next.as_mut().filter(|p| p.contract == id))
    }

    async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        while let Some(p) = self.next.take() {
            self.progress.push(tx, p).await?;
            self.next = self.progress.next(tx).await?;
        }
        self.progress.finish(tx).await
    }
}

/// Converting a lane's open dues.
struct Converting<'a> {
    lane: &'a LaneConfig,
    /// Of the instants there are.
    prices: BTreeMap<Timestamp, Option<i64>>,
    adding: Option<Adding>,
    /// The first epoch of a due that has no price.
    waiting_since: Option<EpochNumber>,
}

impl Converting<'_> {
    /// Converts some dues, sorted by instant and contract.
    async fn page(&mut self, tx: &mut Tx, rows: &[Row]) -> Result<()> {
        let mut converted = Batch::new(&bulk::sql::CONVERT_USD_DUES);
        let mut ended: BTreeMap<ContractId, Accrual> = BTreeMap::new();
        for row in rows {
            let (id, instant): (ContractId, Timestamp) =
                (row.get("contract")?, row.get("instant")?);
            let to_epoch: EpochNumber = row.get("to_epoch")?;
            let Some(price) = self.prices.get(&instant).copied().flatten() else {
                let since = self.waiting_since.map_or(to_epoch, |since| since.min(to_epoch));
                self.waiting_since = Some(since);
                continue;
            };
            let due = in_coin(row.get("due")?, self.lane.asset, price)?;
            let owed = match self.adding_at(tx, instant).await?.find(tx, id).await? {
                Some(p) => &mut p.maintenance_due,
                None => ended.entry(id).or_default(),
            };
            let sum = owed.checked_add(due);
            *owed = sum.ok_or(MarketError::Overflow("a maintenance fee"))?;
            converted.push(tx, params![id, to_epoch, price]).await?;
        }
        converted.finish(tx).await?;
        add_to_ended(tx, &ended).await
    }

    /// Running contracts, from the first of an instant's on.
    async fn adding_at(&mut self, tx: &mut Tx, instant: Timestamp) -> Result<&mut Adding> {
        if let Some(before) = self.adding.take_if(|a| a.instant != instant) {
            before.finish(tx).await?;
        }
        if self.adding.is_none() {
            self.adding = Some(Adding::of(tx, self.lane, instant).await?);
        }
        self.adding.as_mut().ok_or_else(|| MarketError::Broken("nobody's dues".into()))
    }
}

/// What running contracts owe stands with their progress, and what others do in their rows.
async fn add_to_ended(tx: &mut Tx, ended: &BTreeMap<ContractId, Accrual>) -> Result<()> {
    let asked = ended.keys().map(|id| Value::from(*id)).collect();
    let (mut owed, mut found) = (Batch::new(&bulk::sql::SET_MAINTENANCE), 0);
    for row in tx.fetch_many(&bulk::sql::PARTIES, asked).await? {
        let (id, before): (ContractId, Accrual) = (row.get("id")?, row.get("maintenance_due")?);
        let due = ended.get(&id).and_then(|due| before.checked_add(*due));
        let due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
        owed.push(tx, params![id, due]).await?;
        found += 1;
    }
    owed.finish(tx).await?;
    if found == ended.len() { Ok(()) } else { Err(MarketError::UnknownContract) }
}

impl Market {
    /// Converts every due of a lane whose instant has a price, and gives the first epoch of those that have none: contracts
    /// with one are not settled yet.
    pub(crate) async fn convert_dues(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
    ) -> Result<Option<EpochNumber>> {
        let prices = BTreeMap::new();
        let mut converting = Converting { lane, prices, adding: None, waiting_since: None };
        let mut after = (Timestamp(i64::MIN), Vec::new(), -1_i64);
        loop {
            let most = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
            let given = params![lane.lane.clone(), after.0, after.1, after.2, most];
            let rows = tx.fetch_all(life_sql::OPEN_USD_DUES, &given).await?;
            for row in &rows {
                let instant: Timestamp = row.get("instant")?;
                if let Entry::Vacant(new) = converting.prices.entry(instant) {
                    new.insert(self.price_at(tx, lane.asset, instant).await?);
                }
            }
            converting.page(tx, &rows).await?;
            match rows.last() {
                Some(last) if rows.len() == AT_ONCE => {
                    after = (last.get("instant")?, last.get("contract")?, last.get("to_epoch")?);
                }
                _ => break,
            }
        }
        if let Some(last) = converting.adding {
            last.finish(tx).await?;
        }
        Ok(converting.waiting_since)
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
