//! Whose an epoch's units are, asset by asset.

use crate::allocate::Allocation;
use crate::bulk;
use crate::units::share_house_units;
use crate::{Beneficiary, LaneConfig, MarketError, Result, Scheme, sql};
use gruve_store::{Batch, Tx, params};
use gruve_units::{AccountId, Asset, ContractId, EpochNumber, Hashes};
use std::collections::{BTreeMap, BTreeSet};

/// The units of one asset, and the chain as its last job saw it.
pub(super) struct EarnedUnits {
    pub(super) asset: Asset,
    pub(super) last_job: Option<(u32, u64)>,
    pub(super) units: BTreeMap<Beneficiary, u128>,
}

/// The units of the house's own work.
pub(super) fn house_of(by_owner: &BTreeMap<Option<AccountId>, u128>) -> u128 {
    by_owner.get(&None).copied().unwrap_or(0)
}

/// Whose work of an epoch earns how.
pub(super) struct Pool<'a> {
    pub(super) house: Hashes,
    pub(super) allocation: &'a Allocation,
    /// Contracts that do not earn by PPLNS.
    pub(super) schemes: &'a BTreeMap<ContractId, Scheme>,
    /// Owners whose machines' blocks are their own.
    pub(super) solo: &'a BTreeMap<AccountId, Hashes>,
}

impl Pool<'_> {
    /// The window's units of everyone's work: house work by allocation, own machines' whole. What FPPS pays
    /// stands there for the reserve; SOLO's work stands in no window.
    pub(super) fn units(
        &self,
        mut by_owner: BTreeMap<Option<AccountId>, u128>,
    ) -> Result<BTreeMap<Beneficiary, u128>> {
        let house_units = by_owner.remove(&None).unwrap_or(0);
        let standing = |id: ContractId| match self.schemes.get(&id) {
            Some(Scheme::Fpps) => Beneficiary::FppsReserve,
            _ => Beneficiary::Contract(id),
        };
        let shares = self.allocation.shares.iter();
        let allocated: Vec<_> = shares.map(|s| (standing(s.contract), s.allocated)).collect();
        let mut units = share_house_units(house_units, self.house, &allocated)?;
        for (id, _) in self.schemes.iter().filter(|(_, s)| **s == Scheme::Solo) {
            units.remove(&Beneficiary::Contract(*id));
        }
        for (owner, own) in by_owner {
            if let (Some(account), true) = (owner, own > 0)
                && !self.solo.contains_key(&account)
            {
                units.insert(Beneficiary::Account(account), own);
            }
        }
        Ok(units)
    }
}

/// All units of an epoch together.
pub(super) fn all_units(units: &BTreeMap<Beneficiary, u128>) -> Result<u128> {
    let sum = units.values().try_fold(0u128, |sum, own| sum.checked_add(*own));
    sum.ok_or(MarketError::Overflow("an epoch's units"))
}

/// Stores the units of one asset: those of contracts stand in their lines.
pub(super) async fn write_units(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    earned: &EarnedUnits,
    by_meter: &BTreeSet<ContractId>,
) -> Result<()> {
    let (lane, asset) = (&lane.lane, earned.asset);
    let mut rows = Batch::new(&bulk::sql::INSERT_UNITS);
    for (who, own) in &earned.units {
        // Leases have theirs in their lines.
        if matches!(who, Beneficiary::Contract(id) if !by_meter.contains(id)) {
            continue;
        }
        let (kind, id) = who.columns();
        rows.push(tx, params![lane.clone(), asset, epoch, kind, id, own.to_be_bytes()]).await?;
    }
    rows.finish(tx).await?;
    let row = params![
        lane.clone(),
        asset,
        epoch,
        all_units(&earned.units)?.to_be_bytes(),
        earned.last_job.map(|(bits, _)| bits),
        earned.last_job.map(|(_, height)| height)
    ];
    tx.execute(sql::INSERT_WINDOW, &row).await?;
    Ok(())
}
