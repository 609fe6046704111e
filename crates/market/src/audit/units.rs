//! The units of an epoch, of the lane's own coin and of every one merge-mined with it, against those that the
//! share log gives.

use super::LogAudit;
use crate::bulk::lines;
use crate::pages::Pages;
use crate::tally::Tally;
use crate::{Beneficiary, LaneConfig, MarketError, Result};
use gruve_store::{Tx, params, statements};
use gruve_units::{Asset, EpochNumber, Hashes};
use std::collections::BTreeMap;

statements! {
    WINDOW_OF = "SELECT units FROM market_windows WHERE lane = $1 AND asset = $2 AND epoch = $3";
    SOLO_OF_EPOCH = "SELECT COUNT(*) AS n FROM market_solo WHERE lane = $1 AND epoch = $2";
    /// Leases have had rows here before their lines had pages.
    HAD_WORK = "SELECT (SELECT COUNT(*) FROM market_holds WHERE contract = $1 AND epoch = $2)
        + (SELECT COUNT(*) FROM market_contracts WHERE id = $1) AS n";
    BY_METER = "SELECT contract AS id, delivered FROM market_holds
        WHERE lane = $1 AND epoch = $2 AND contract > $3 ORDER BY contract LIMIT $4";
    UNITS_OF_EPOCH = "SELECT kind, beneficiary, units FROM market_units
        WHERE lane = $1 AND asset = $2 AND epoch = $3";
}

/// Compares the stored units of an epoch with what its shares come to at the targets of their jobs: all together, each
/// account's own, and the house's as it was shared out.
pub(super) async fn compare(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    (said, in_row): (&Tally, [u8; 16]),
    audit: &mut LogAudit,
) -> Result<()> {
    let contracts = of_contracts(tx, lane, epoch).await?;
    let solo: i64 =
        tx.fetch_one(SOLO_OF_EPOCH, &params![lane.lane.clone(), epoch]).await?.get("n")?;
    // Work that earns by finding blocks stands in no window.
    let is_whole = solo == 0;
    for asset in lane.assets() {
        let mut by_owner = if asset == lane.asset {
            said.units_by_owner()?
        } else {
            said.aux_units_by_owner(asset)?
        };
        let house = by_owner.remove(&None).unwrap_or(0);
        let mut accounts: BTreeMap<Beneficiary, u128> = by_owner
            .into_iter()
            .filter_map(|(owner, units)| Some((Beneficiary::Account(owner?), units)))
            .filter(|(_, units)| *units > 0)
            .collect();
        let total = accounts.values().try_fold(house, |sum, u| sum.checked_add(*u));
        let total = total.ok_or(MarketError::Overflow("the units of an epoch"))?;
        let key = params![lane.lane.clone(), asset, epoch];
        let row = tx.fetch_optional(WINDOW_OF, &key).await?;
        let stored = row.map(|r| r.get::<[u8; 16]>("units")).transpose()?;
        let stored = stored.map_or(0, u128::from_be_bytes);
        if asset == lane.asset && stored != u128::from_be_bytes(in_row) {
            audit.find(format!("epoch {epoch}: other units in its row than in its window"));
        }
        if stored > total || (is_whole && stored != total) {
            audit.find(format!("epoch {epoch}: {stored} units of {asset}, {total} by the log"));
        }
        let mut shared = contracts.get(&asset).copied().unwrap_or(0);
        for row in tx.fetch_all(UNITS_OF_EPOCH, &key).await? {
            let who = Beneficiary::from_columns(row.get("kind")?, row.get("beneficiary")?);
            let units = u128::from_be_bytes(row.get("units")?);
            match who {
                Some(who @ Beneficiary::Account(_)) => {
                    let own = accounts.remove(&who).unwrap_or(0);
                    if own != units {
                        let who = who.key();
                        audit.find(format!(
                            "epoch {epoch}: {who} has {units} units of {asset}, {own} by the log"
                        ));
                    }
                }
                Some(Beneficiary::Contract(id)) => {
                    shared = shared.saturating_add(units);
                    let known = tx.fetch_one(HAD_WORK, &params![id, epoch]).await?;
                    if known.get::<i64>("n")? == 0 {
                        audit.find(format!(
                            "epoch {epoch}: units of contract {id}, which had no work"
                        ));
                    }
                }
                Some(Beneficiary::Operator | Beneficiary::FppsReserve) => {
                    shared = shared.saturating_add(units);
                }
                _ => audit.find(format!("epoch {epoch}: units of somebody who does no work")),
            }
        }
        if let (Some((who, own)), true) = (accounts.first_key_value(), is_whole) {
            let who = who.key();
            audit.find(format!("epoch {epoch}: {who} has no units of {asset}, {own} by the log"));
        }
        if shared > house || (is_whole && shared != house) {
            audit.find(format!(
                "epoch {epoch}: {shared} units of {asset} are shared out, {house} are the house's"
            ));
        }
        audit.unit_sums += 1;
    }
    Ok(())
}

/// Compares the work that an epoch says it gave with what contracts say they got, and both with what there was.
pub(super) async fn compare_work(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    (house, allocated, surplus): (Hashes, Hashes, Hashes),
    audit: &mut LogAudit,
) -> Result<()> {
    let overflow = || MarketError::Overflow("the work of an epoch");
    let mut got = 0u128;
    lines::of_epochs(tx, &lane.lane, epoch, epoch.next(), |_, line| {
        got = got.checked_add(line.delivered.0).ok_or_else(overflow)?;
        Ok(())
    })
    .await?;
    let mut pages = Pages::by_id(BY_METER, &params![lane.lane.clone(), epoch]);
    while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            got = got.checked_add(row.get::<Hashes>("delivered")?.0).ok_or_else(overflow)?;
        }
    }
    if got != allocated.0 || allocated.0.checked_add(surplus.0) != Some(house.0) {
        audit.find(format!(
            "epoch {epoch}: {allocated} hashes given and {surplus} over of {house}, contracts got {got}"
        ));
    }
    Ok(())
}

/// Units of all contracts, by asset.
async fn of_contracts(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
) -> Result<BTreeMap<Asset, u128>> {
    let mut sums: BTreeMap<Asset, u128> = BTreeMap::new();
    lines::of_epochs(tx, &lane.lane, epoch, epoch.next(), |_, line| {
        for (asset, units) in line.units {
            let sum = sums.entry(asset).or_default();
            *sum = sum.checked_add(units).ok_or(MarketError::Overflow("the units of an epoch"))?;
        }
        Ok(())
    })
    .await?;
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
