//! Whose an epoch's units are, asset by asset.

use crate::bulk;
use crate::units::HouseUnits;
use crate::{Beneficiary, LaneConfig, MarketError, Result, Scheme, sql};
use gruve_store::{Batch, Tx, params};
use gruve_units::{AccountId, Asset, EpochNumber, Hashes};
use std::collections::BTreeMap;

/// The units of one asset while they are shared out, and the chain as its last job saw it. Those of leases stand in their
/// lines and are only added up.
pub(super) struct EarnedUnits {
    pub(super) asset: Asset,
    last_job: Option<(u32, u64)>,
    house: HouseUnits,
    /// Those that stand in rows, but for metered contracts', which are written as they are given.
    rows: BTreeMap<Beneficiary, u128>,
    total: u128,
}

/// The units of the house's own work.
pub(super) fn house_of(by_owner: &BTreeMap<Option<AccountId>, u128>) -> u128 {
    by_owner.get(&None).copied().unwrap_or(0)
}

impl EarnedUnits {
    /// Of an epoch with so much of the house's work, which earned so many.
    pub(super) fn of(
        asset: Asset,
        last_job: Option<(u32, u64)>,
        house: u128,
        done: Hashes,
    ) -> EarnedUnits {
        let house = HouseUnits::of(house, done);
        EarnedUnits { asset, last_job, house, rows: BTreeMap::new(), total: 0 }
    }

    /// The window's units of a contract's part of the house's work. What FPPS pays stands there for the reserve; SOLO's work stands
    /// in no window.
    pub(super) fn part(&mut self, scheme: Scheme, work: Hashes) -> Result<u128> {
        let part = self.house.part(work)?;
        match scheme {
            Scheme::Solo => return Ok(0),
            Scheme::Fpps => self.add_row(Beneficiary::FppsReserve, part)?,
            Scheme::Pplns => {
                self.count(part)?;
                return Ok(part);
            }
        }
        Ok(0)
    }

    /// What is left after all contracts is the operator's; own machines' work is whole, but for that of owners whose blocks are
    /// their own.
    pub(super) fn close(
        &mut self,
        by_owner: &BTreeMap<Option<AccountId>, u128>,
        solo: &BTreeMap<AccountId, Hashes>,
    ) -> Result<()> {
        self.add_row(Beneficiary::Operator, self.house.rest)?;
        for (owner, own) in by_owner {
            if let Some(account) = owner.filter(|account| !solo.contains_key(account)) {
                self.add_row(Beneficiary::Account(account), *own)?;
            }
        }
        Ok(())
    }

    fn add_row(&mut self, who: Beneficiary, units: u128) -> Result<()> {
        if units > 0 {
            self.count(units)?;
            // No more than all of them, which fit.
            *self.rows.entry(who).or_default() += units;
        }
        Ok(())
    }

    fn count(&mut self, units: u128) -> Result<()> {
        let total = self.total.checked_add(units);
        self.total = total.ok_or(MarketError::Overflow("an epoch's units"))?;
        Ok(())
    }

    /// All of them together.
    pub(super) const fn total(&self) -> u128 {
        self.total
    }
}

/// Stores the units of one asset that are nobody's contract's.
pub(super) async fn write_units(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    earned: &EarnedUnits,
) -> Result<()> {
    let (lane, asset) = (&lane.lane, earned.asset);
    let mut rows = Batch::new(&bulk::sql::INSERT_UNITS);
    for (who, own) in &earned.rows {
        let (kind, id) = who.columns();
        rows.push(tx, params![lane.clone(), asset, epoch, kind, id, own.to_be_bytes()]).await?;
    }
    rows.finish(tx).await?;
    let row = params![
        lane.clone(),
        asset,
        epoch,
        earned.total.to_be_bytes(),
        earned.last_job.map(|(bits, _)| bits),
        earned.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_WINDOW, &row).await?;
    Ok(())
}
