//! Energy of epochs that nothing more can come of, as sums of days: what would otherwise grow without end.
//!
//! # The rule
//! A row of a machine and epoch stands for [`EPOCHS_KEPT`]: samples are taken of it for [`LATE_MAX`](crate::LATE_MAX),
//! and bills and pages look back less. After that its energy is added to its machine's day (UTC) and owner, to the
//! microjoule, and the row goes; with it what its shares proved, which the public record keeps. For the
//! electricity behind work, the lane's day keeps what its measured machines drew, site by site, and proved
//! together. Rows that a bill still needs are left, however old.
//!
//! One epoch of one lane goes in one transaction, so that every epoch's sum is whole in one of the two places.

use crate::{Farm, MachineOwner, Result};
use gruve_store::{Migration, Tx, params, statements};
use gruve_units::{Duration, EpochNumber, EpochRule, Hashes, LaneId, MachineId, SiteId, Timestamp};
use std::collections::BTreeMap;

/// How long rows of single epochs stand: longer than samples are taken, by ten days for bills that are late.
pub const EPOCHS_KEPT: Duration = Duration::from_secs(40 * 86_400);

/// Days in one answer: a hundred years of them.
const DAYS_MAX: i64 = 36_525;

const DAY_US: i64 = 86_400_000_000;

/// The tables of days, counted by themselves.
pub const DAY_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "days",
    sqlite: include_str!("../migrations/0001_days.sqlite.sql"),
    postgres: include_str!("../migrations/0001_days.postgres.sql"),
}];

statements! {
    OLDEST_OF_HOUSE = "SELECT MIN(epoch) AS epoch FROM farm_energy WHERE lane = $1 AND owner = 'house'";
    OLDEST_OF_OWNERS = "SELECT MIN(epoch) AS epoch FROM farm_energy WHERE lane = $1 AND owner <> 'house'";
    OLDEST_PROVEN_OF_HOUSE = "SELECT MIN(epoch) AS epoch FROM farm_proven WHERE lane = $1 AND owner = 'house'";
    OLDEST_PROVEN_OF_OWNERS = "SELECT MIN(epoch) AS epoch FROM farm_proven WHERE lane = $1 AND owner <> 'house'";
    ADD_HOUSE_DAYS = "INSERT INTO farm_energy_days (machine, day, owner, lane, site, epochs, energy_uj, billed_uj,
        power_us, claimed_us, down_us) SELECT machine, CAST($3 AS BIGINT), owner, lane, site, 1, energy_uj,
        billed_uj, power_us, claimed_us, down_us FROM farm_energy
        WHERE lane = $1 AND epoch = $2 AND owner = 'house'
        ON CONFLICT (machine, day, owner) DO UPDATE SET epochs = farm_energy_days.epochs + 1,
        energy_uj = farm_energy_days.energy_uj + excluded.energy_uj,
        billed_uj = farm_energy_days.billed_uj + excluded.billed_uj,
        power_us = farm_energy_days.power_us + excluded.power_us,
        claimed_us = farm_energy_days.claimed_us + excluded.claimed_us,
        down_us = farm_energy_days.down_us + excluded.down_us";
    ADD_OWNERS_DAYS = "INSERT INTO farm_energy_days (machine, day, owner, lane, site, epochs, energy_uj, billed_uj,
        power_us, claimed_us, down_us) SELECT machine, CAST($3 AS BIGINT), owner, lane, site, 1, energy_uj,
        billed_uj, power_us, claimed_us, down_us FROM farm_energy
        WHERE lane = $1 AND epoch = $2 AND owner <> 'house'
        ON CONFLICT (machine, day, owner) DO UPDATE SET epochs = farm_energy_days.epochs + 1,
        energy_uj = farm_energy_days.energy_uj + excluded.energy_uj,
        billed_uj = farm_energy_days.billed_uj + excluded.billed_uj,
        power_us = farm_energy_days.power_us + excluded.power_us,
        claimed_us = farm_energy_days.claimed_us + excluded.claimed_us,
        down_us = farm_energy_days.down_us + excluded.down_us";
    DROP_HOUSE = "DELETE FROM farm_energy WHERE lane = $1 AND epoch = $2 AND owner = 'house'";
    DROP_OWNERS = "DELETE FROM farm_energy WHERE lane = $1 AND epoch = $2 AND owner <> 'house'";
    DROP_HOUSE_PROVEN = "DELETE FROM farm_proven WHERE lane = $1 AND epoch = $2 AND owner = 'house'";
    DROP_OWNERS_PROVEN = "DELETE FROM farm_proven WHERE lane = $1 AND epoch = $2 AND owner <> 'house'";
    LANE_DAY = "SELECT energy_uj FROM farm_lane_days WHERE lane = $1 AND day = $2 AND site = $3";
    SET_LANE_DAY = "INSERT INTO farm_lane_days (lane, day, site, energy_uj) VALUES ($1, $2, $3, $4)
        ON CONFLICT (lane, day, site) DO UPDATE SET energy_uj = excluded.energy_uj";
    LANE_DAYS = "SELECT day, site, energy_uj FROM farm_lane_days WHERE lane = $1 AND day >= $2 AND day <= $3
        ORDER BY day, site LIMIT $4";
    DAY_WORK = "SELECT work FROM farm_lane_day_work WHERE lane = $1 AND day = $2";
    SET_DAY_WORK = "INSERT INTO farm_lane_day_work (lane, day, work) VALUES ($1, $2, $3)
        ON CONFLICT (lane, day) DO UPDATE SET work = excluded.work";
    DAY_WORKS = "SELECT day, work FROM farm_lane_day_work WHERE lane = $1 AND day >= $2 AND day <= $3
        ORDER BY day LIMIT $4";
    ENERGY_DAYS = "SELECT day, owner, epochs, energy_uj, billed_uj, power_us, down_us FROM farm_energy_days
        WHERE machine = $1 ORDER BY day, owner LIMIT $2";
}

/// Whose rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The house's machines'.
    House,
    /// Those of machines that customers own.
    Owners,
}

/// A day of a machine under one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnergyDay {
    /// Days since 1970.
    pub day: i64,
    /// Whose its work was.
    pub owner: MachineOwner,
    /// Epochs that are summed up here.
    pub epochs: u64,
    /// Their energy in microjoules.
    pub energy_uj: u64,
    /// Of it, what stands on a bill.
    pub billed_uj: u64,
    /// Time that power is known for, in microseconds.
    pub power_us: u64,
    /// Time with a claim below half its nameplate, in microseconds.
    pub down_us: u64,
}

/// What the measured machines of a lane's day drew and proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneDay {
    /// Their work.
    pub work: Hashes,
    /// Their energy in microjoules, by site.
    pub energy: BTreeMap<SiteId, u128>,
}

/// The day (UTC, since 1970) that an epoch begins in.
#[must_use]
pub fn day_of(rule: EpochRule, epoch: EpochNumber) -> i64 {
    rule.start(epoch).0.div_euclid(DAY_US)
}

impl Farm {
    /// The first epoch that stands for itself at this time, whatever is there of earlier ones.
    ///
    /// # Errors
    /// [`FarmError::NoLane`](crate::FarmError::NoLane).
    pub fn kept_from(&self, lane: &LaneId, now: Timestamp) -> Result<EpochNumber> {
        Ok(self.rule(lane)?.at(now.minus(EPOCHS_KEPT)))
    }

    /// The oldest epoch of a lane before `until` that still has rows of its own.
    ///
    /// # Errors
    /// The database's.
    pub async fn oldest_epoch(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        whose: Whose,
        until: EpochNumber,
    ) -> Result<Option<EpochNumber>> {
        let both = match whose {
            Whose::House => [OLDEST_OF_HOUSE, OLDEST_PROVEN_OF_HOUSE],
            Whose::Owners => [OLDEST_OF_OWNERS, OLDEST_PROVEN_OF_OWNERS],
        };
        let mut oldest: Option<EpochNumber> = None;
        for sql in both {
            let found: Option<EpochNumber> =
                tx.fetch_one(sql, &params![lane]).await?.get("epoch")?;
            oldest = [oldest, found].into_iter().flatten().min();
        }
        Ok(oldest.filter(|e| *e < until))
    }

    /// Adds an epoch's rows to their days and lets them go; `measured` is what the measured machines of the
    /// house drew and proved in it, and goes to the lane's day.
    ///
    /// # Errors
    /// The database's.
    pub async fn roll_up(
        &self,
        tx: &mut Tx,
        (lane, epoch): (&LaneId, EpochNumber),
        whose: Whose,
        measured: &LaneDay,
    ) -> Result<()> {
        let day = day_of(self.rule(lane)?, epoch);
        let (add, drop, drop_proven) = match whose {
            Whose::House => (ADD_HOUSE_DAYS, DROP_HOUSE, DROP_HOUSE_PROVEN),
            Whose::Owners => (ADD_OWNERS_DAYS, DROP_OWNERS, DROP_OWNERS_PROVEN),
        };
        tx.execute(add, &params![lane, epoch, day]).await?;
        tx.execute(drop, &params![lane, epoch]).await?;
        tx.execute(drop_proven, &params![lane, epoch]).await?;
        for (site, energy) in &measured.energy {
            let key = params![lane, day, *site];
            let there = tx.fetch_optional(LANE_DAY, &key).await?;
            let before: u128 = there.map(|r| read_u128(&r, "energy_uj")).transpose()?.unwrap_or(0);
            let sum = before.saturating_add(*energy).to_be_bytes();
            tx.execute(SET_LANE_DAY, &params![lane, day, *site, sum]).await?;
        }
        if measured.work > Hashes::ZERO {
            let there = tx.fetch_optional(DAY_WORK, &params![lane, day]).await?;
            let before: Hashes = there.map(|r| r.get("work")).transpose()?.unwrap_or(Hashes::ZERO);
            let sum = Hashes(before.0.saturating_add(measured.work.0));
            tx.execute(SET_DAY_WORK, &params![lane, day, sum]).await?;
        }
        Ok(())
    }

    /// The days of a lane that are summed up, from the first to the last asked for.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_days(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        (first, last): (i64, i64),
    ) -> Result<BTreeMap<i64, LaneDay>> {
        let mut days: BTreeMap<i64, LaneDay> = BTreeMap::new();
        let given = params![lane, first, last, DAYS_MAX];
        for row in tx.fetch_all(DAY_WORKS, &given).await? {
            days.entry(row.get("day")?).or_default().work = row.get("work")?;
        }
        for row in tx.fetch_all(LANE_DAYS, &given).await? {
            let day = days.entry(row.get("day")?).or_default();
            day.energy.insert(row.get("site")?, read_u128(&row, "energy_uj")?);
        }
        Ok(days)
    }

    /// The days of a machine that are summed up, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn energy_days(&self, tx: &mut Tx, machine: MachineId) -> Result<Vec<EnergyDay>> {
        let rows = tx.fetch_all(ENERGY_DAYS, &params![machine, DAYS_MAX]).await?;
        rows.iter()
            .map(|r| {
                Ok(EnergyDay {
                    day: r.get("day")?,
                    owner: r.get("owner")?,
                    epochs: r.get("epochs")?,
                    energy_uj: r.get("energy_uj")?,
                    billed_uj: r.get("billed_uj")?,
                    power_us: r.get("power_us")?,
                    down_us: r.get("down_us")?,
                })
            })
            .collect()
    }
}

fn read_u128(row: &gruve_store::Row, column: &str) -> Result<u128> {
    Ok(u128::from_be_bytes(row.get(column)?))
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, matches_on_both_engines, testing};

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in super::DAY_MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("farm", crate::MIGRATIONS).await.unwrap();
        store.migrate("farm_days", super::DAY_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { day_statements: [every_statement_prepares] }
}
