//! Whose a machine's work is, epoch by epoch.
//!
//! An owner changes at the border of an epoch of the machine's lane, never within one, so that each
//! epoch's work of a machine has one owner. Gateways ask for every share and are answered from memory
//! ([`OwnerTable`]); a change is written at least [`OWNER_LEAD`] ahead of its border, so that every process
//! has it before it counts.

use crate::inventory::note;
use crate::statements::{INSERT_OWNER, LAST_OWNER, OWNERS, OWNERS_OF, TAKE_BACK_OWNER};
use crate::{Farm, FarmError, MachineOwner, Result};
use gruve_store::{Tx, params};
use gruve_units::{Duration, EpochNumber, EpochRule, LaneId, MachineId, Timestamp};
use std::collections::HashMap;

/// How long before its border a change of owner is written: many times what gateways take to hear of it.
pub const OWNER_LEAD: Duration = Duration::from_secs(30);

/// Changes of owner of one machine at most: one a month for forty years.
pub const OWNERS_MAX: i64 = 500;

/// Owners by machine and epoch, as far as they are not the house.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerTable(HashMap<MachineId, Vec<(EpochNumber, MachineOwner)>>);

impl OwnerTable {
    /// Whether every machine is the house's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes down that a machine is somebody's from an epoch on. Of two changes with one border the later
    /// told counts.
    pub fn put(&mut self, machine: MachineId, from: EpochNumber, owner: MachineOwner) {
        let all = self.0.entry(machine).or_default();
        let place = all.partition_point(|(e, _)| *e <= from);
        all.insert(place, (from, owner));
    }

    /// Whose the work of a machine in an epoch is; `None` for one that was never anybody's but the house's.
    #[must_use]
    pub fn owner_in(&self, machine: MachineId, epoch: EpochNumber) -> Option<MachineOwner> {
        let all = self.0.get(&machine)?;
        let place = all.partition_point(|(e, _)| *e <= epoch);
        Some(place.checked_sub(1).and_then(|i| all.get(i)).map_or(MachineOwner::House, |o| o.1))
    }
}

impl Farm {
    /// How a lane's time is cut.
    ///
    /// # Errors
    /// [`FarmError::NoLane`].
    pub fn rule(&self, lane: &LaneId) -> Result<EpochRule> {
        self.rules.get(lane).copied().ok_or_else(|| FarmError::NoLane { lane: lane.clone() })
    }

    /// The first epoch that a change of owner made now can begin with.
    ///
    /// # Errors
    /// [`FarmError::NoLane`].
    pub fn next_border(&self, lane: &LaneId) -> Result<EpochNumber> {
        Ok(self.rule(lane)?.at(self.clock.now().plus(OWNER_LEAD)).next())
    }

    /// All owners but the house, for gateways.
    ///
    /// # Errors
    /// The database's.
    pub async fn owners(&self) -> Result<OwnerTable> {
        let mut table = OwnerTable::default();
        for row in self.store.read().await?.fetch_all(OWNERS, &[]).await? {
            table.put(row.get("machine")?, row.get("from_epoch")?, row.get("owner")?);
        }
        Ok(table)
    }

    /// The owners that a machine has had, oldest first: from which epoch, who, and when it was written.
    ///
    /// # Errors
    /// The database's.
    pub async fn owners_of(
        &self,
        machine: MachineId,
    ) -> Result<Vec<(EpochNumber, MachineOwner, Timestamp)>> {
        let rows = self.store.read().await?.fetch_all(OWNERS_OF, &params![machine]).await?;
        rows.iter().map(|r| Ok((r.get("from_epoch")?, r.get("owner")?, r.get("at")?))).collect()
    }

    /// Whose a machine is in an epoch, within the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn owner_in(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        epoch: EpochNumber,
    ) -> Result<MachineOwner> {
        let row = tx.fetch_optional(LAST_OWNER, &params![machine, epoch]).await?;
        Ok(row.map(|r| r.get("owner")).transpose()?.unwrap_or(MachineOwner::House))
    }

    /// Whether a machine is the house's with no change of owner ahead, within the caller's transaction: it can be given
    /// to somebody from the next border on.
    ///
    /// # Errors
    /// [`FarmError::NoLane`]; the database's.
    pub async fn is_free(&self, tx: &mut Tx, machine: MachineId, lane: &LaneId) -> Result<bool> {
        let next = self.next_border(lane)?;
        let all = tx.fetch_all(OWNERS_OF, &params![machine]).await?;
        let Some(last) = all.last() else { return Ok(true) };
        let (from, owner): (EpochNumber, MachineOwner) =
            (last.get("from_epoch")?, last.get("owner")?);
        Ok(owner == MachineOwner::House && from < next)
    }

    /// Gives a machine to an owner from an epoch on, within the caller's transaction.
    ///
    /// # Errors
    /// [`FarmError::TooLate`] when the epoch is nearer than [`Farm::next_border`]; [`FarmError::Counted`];
    /// [`FarmError::ChangePending`] when a later or equal change is written already; [`FarmError::TooMany`].
    pub async fn give(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        owner: MachineOwner,
        from: EpochNumber,
    ) -> Result<()> {
        self.must_be_ahead(tx, machine, from).await?;
        let all = tx.fetch_all(OWNERS_OF, &params![machine]).await?;
        let last: Option<EpochNumber> = all.last().map(|r| r.get("from_epoch")).transpose()?;
        if last.is_some_and(|last| last >= from) {
            return Err(FarmError::ChangePending);
        }
        let n = i64::try_from(all.len()).unwrap_or(i64::MAX);
        if n >= OWNERS_MAX {
            return Err(FarmError::TooMany { max: OWNERS_MAX });
        }
        let now = self.clock.now();
        tx.execute(INSERT_OWNER, &params![machine, n, from, owner, now]).await?;
        let whose = match owner {
            MachineOwner::House => "the house's".to_owned(),
            MachineOwner::Account(id) => format!("account {id}'s"),
        };
        note(tx, machine, now, &format!("{whose} from epoch {from} on")).await
    }

    /// Owners change at borders ahead, of our clock and of what is counted: where the clock was set back, work of epochs ahead of it
    /// may be billed already.
    async fn must_be_ahead(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
    ) -> Result<()> {
        let lane = self.inventory_of(tx, machine).await?.lane;
        if from < self.next_border(&lane)? {
            return Err(FarmError::TooLate);
        }
        match self.proven_until(tx, &lane).await? {
            Some(counted) if from <= counted => Err(FarmError::Counted { epoch: from }),
            _ => Ok(()),
        }
    }

    /// Takes back a machine's last change of owner, that of the border `from`, before it has come: within the caller's
    /// transaction. It is as far ahead as a change is written at least, so that no process has counted by it.
    ///
    /// # Errors
    /// [`FarmError::TooLate`] when its border is nearer than [`Farm::next_border`] or it is not the last change;
    /// [`FarmError::Counted`].
    pub async fn take_back(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        from: EpochNumber,
    ) -> Result<()> {
        self.must_be_ahead(tx, machine, from).await?;
        let all = tx.fetch_all(OWNERS_OF, &params![machine]).await?;
        let last = i64::try_from(all.len()).unwrap_or(i64::MAX) - 1;
        if tx.execute(TAKE_BACK_OWNER, &params![machine, last, from]).await? != 1 {
            return Err(FarmError::TooLate);
        }
        let what = format!("the change of owner at epoch {from} is taken back");
        note(tx, machine, self.clock.now(), &what).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::AccountId;

    #[test]
    fn work_is_the_owners_from_the_border_on_and_of_two_at_one_border_the_later_counts() {
        let machine = MachineId::from_bytes([1; 16]);
        let owner = |n| MachineOwner::Account(AccountId::from_bytes([n; 16]));
        let mut table = OwnerTable::default();
        assert_eq!(table.owner_in(machine, EpochNumber(9)), None);
        table.put(machine, EpochNumber(20), MachineOwner::House);
        table.put(machine, EpochNumber(10), owner(1));
        table.put(machine, EpochNumber(15), owner(2));
        table.put(machine, EpochNumber(15), owner(3));
        for (epoch, whose) in [
            (9, MachineOwner::House),
            (10, owner(1)),
            (14, owner(1)),
            (15, owner(3)),
            (19, owner(3)),
            (20, MachineOwner::House),
        ] {
            assert_eq!(table.owner_in(machine, EpochNumber(epoch)), Some(whose), "{epoch}");
        }
    }
}
