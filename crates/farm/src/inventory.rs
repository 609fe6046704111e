//! Machines as things: what is written on them, where they stand, and what state they are in.
//!
//! A machine of the inventory logs in as the house's other machines do (`house.NAME`), and only while it is
//! running or being mended: one in stock or returned has no business on the line.

use crate::statements::{
    ADD_HISTORY, COUNT_HISTORY, HISTORY, IN_STOCK, INSERT_INVENTORY, INVENTORY, INVENTORY_AFTER,
    INVENTORY_ALL, INVENTORY_BY_SERIAL, SET_STATE,
};
use crate::{Farm, FarmError, HOUSE_MACHINES_MAX, MachineOwner, Result, machine, sql};
use gruve_store::{FromValue, Kind, Row, Storable, Tx, Unfit, Value, params, transact};
use gruve_units::{Hashrate, LaneId, MachineId, SiteId, Timestamp};
use serde::Serialize;

/// Characters of a serial number, model or rack at most: what labels hold.
pub const LABEL_CHARS_MAX: usize = 64;

/// Watts of one machine at most: above the largest that are made, immersed containers' included.
pub const WATTS_MAX: u32 = 100_000;

/// Lines of a machine's history at most: three changes a day for three years.
pub const HISTORY_MAX: i64 = 3_650;

/// What state a machine is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// In the store room, for sale.
    Stock,
    /// In its rack, at work.
    Running,
    /// Being mended; it may be connected for a trial.
    Maintenance,
    /// Gone: to its owner, or out of the house.
    Returned,
}

impl MachineState {
    /// Every state.
    pub const ALL: [MachineState; 4] = [
        MachineState::Stock,
        MachineState::Running,
        MachineState::Maintenance,
        MachineState::Returned,
    ];

    /// The stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MachineState::Stock => "stock",
            MachineState::Running => "running",
            MachineState::Maintenance => "maintenance",
            MachineState::Returned => "returned",
        }
    }

    /// Whether a machine in this state is let in.
    #[must_use]
    pub const fn may_work(self) -> bool {
        matches!(self, MachineState::Running | MachineState::Maintenance)
    }

    /// Whether it can become `next` from here.
    #[must_use]
    pub const fn may_become(self, next: MachineState) -> bool {
        use MachineState::{Maintenance, Returned, Running, Stock};
        matches!(
            (self, next),
            (Stock, Running | Maintenance | Returned)
                | (Running, Maintenance | Stock | Returned)
                | (Maintenance, Running | Stock | Returned)
                | (Returned, Stock)
        )
    }
}

impl std::str::FromStr for MachineState {
    type Err = String;
    fn from_str(s: &str) -> std::result::Result<Self, String> {
        let found = MachineState::ALL.into_iter().find(|state| state.name() == s);
        found.ok_or_else(|| "write stock, running, maintenance or returned".to_owned())
    }
}

impl Storable for MachineState {
    const KIND: Kind = Kind::Text;
    fn into_value(self) -> Value {
        self.name().into()
    }
}

impl FromValue for MachineState {
    fn from_value(value: Value) -> std::result::Result<Self, Unfit> {
        let text = String::from_value(value)?;
        text.parse().map_err(|_| Unfit { wanted: "a machine's state" })
    }
}

/// A machine to be taken into the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInventory {
    /// Where it stands.
    pub site: SiteId,
    /// Its name: it logs in as `house.NAME`. A machine of that name that the configuration has put there is
    /// the same machine.
    pub name: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// The maker's number, unique in the house.
    pub serial: String,
    /// The maker's name for it.
    pub model: String,
    /// Where in the site.
    pub rack: String,
    /// What its maker promises.
    pub nameplate: Hashrate,
    /// What its maker says it draws, in watts.
    pub watts: u32,
}

/// A machine of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Its id, under which its work is recorded.
    pub machine: MachineId,
    /// Where it stands.
    pub site: SiteId,
    /// The site's name.
    pub site_name: String,
    /// Its name: it logs in as `house.NAME`.
    pub name: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// The maker's number.
    pub serial: String,
    /// The maker's name for it.
    pub model: String,
    /// Where in the site.
    pub rack: String,
    /// What its maker promises.
    pub nameplate: Hashrate,
    /// What its maker says it draws, in watts.
    pub watts: u32,
    /// What state it is in.
    pub state: MachineState,
    /// Since when.
    pub changed_at: Timestamp,
}

fn read(row: &Row) -> Result<Inventory> {
    Ok(Inventory {
        machine: row.get("machine")?,
        site: row.get("site")?,
        site_name: row.get("site_name")?,
        name: row.get("name")?,
        lane: row.get("lane")?,
        serial: row.get("serial")?,
        model: row.get("model")?,
        rack: row.get("rack")?,
        nameplate: row.get("nameplate")?,
        watts: row.get("watts")?,
        state: row.get("state")?,
        changed_at: row.get("changed_at")?,
    })
}

/// A label is 1 to [`LABEL_CHARS_MAX`] characters, none of control, none beside at the ends.
fn check_label(what: &'static str, text: &str) -> Result<()> {
    let fits = (1..=LABEL_CHARS_MAX).contains(&text.chars().count());
    if fits && text.trim() == text && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(FarmError::BadLabel { what })
    }
}

impl Farm {
    /// Takes a machine into the inventory, in stock.
    ///
    /// # Errors
    /// [`FarmError::BadName`], [`FarmError::BadLabel`], [`FarmError::BadWatts`], [`FarmError::NoSite`],
    /// [`FarmError::TooMany`]; [`FarmError::Differs`] when the name is taken by another machine or the serial
    /// number stands in the inventory.
    pub async fn add_inventory(&self, new: NewInventory) -> Result<MachineId> {
        machine::check_name(&new.name)?;
        check_label("serial number", &new.serial)?;
        check_label("model", &new.model)?;
        check_label("rack", &new.rack)?;
        if new.watts == 0 || new.watts > WATTS_MAX {
            return Err(FarmError::BadWatts);
        }
        let now = self.clock.now();
        let fresh = MachineId::new(now, self.entropy.as_ref());
        transact!(self.store, tx -> Result<_> => {
            let id = self.machine_to_keep(tx, &new, fresh).await?;
            let given = params![
                id, &new.serial, &new.model, &new.rack, new.watts, MachineState::Stock, now
            ];
            if tx.execute(INSERT_INVENTORY, &given).await? == 0 {
                return Err(FarmError::Differs { name: new.serial.clone() });
            }
            note(tx, id, now, &format!("taken into the inventory as {}", new.serial)).await?;
            Ok(id)
        })
    }

    /// The machine of that name in the site, written down now if it is not there.
    async fn machine_to_keep(
        &self,
        tx: &mut Tx,
        new: &NewInventory,
        fresh: MachineId,
    ) -> Result<MachineId> {
        let differs = || FarmError::Differs { name: new.name.clone() };
        let there = tx.fetch_optional(sql::MACHINE_IN_SITE, &params![new.site, &new.name]).await?;
        if let Some(row) = there {
            let old = machine::read(&row)?;
            if old.owner != MachineOwner::House || old.lane != new.lane {
                return Err(differs());
            }
            tx.execute(sql::SET_NAMEPLATE, &params![old.id, new.nameplate]).await?;
            return Ok(old.id);
        }
        if tx.fetch_optional(sql::SITE, &params![new.site]).await?.is_none() {
            return Err(FarmError::NoSite);
        }
        let count: i64 = tx.fetch_one(sql::COUNT_IN_SITES, &[]).await?.get("n")?;
        if count >= HOUSE_MACHINES_MAX {
            return Err(FarmError::TooMany { max: HOUSE_MACHINES_MAX });
        }
        let owner = MachineOwner::House;
        let row =
            params![fresh, new.site, owner, &new.name, &new.lane, new.nameplate, self.clock.now()];
        match tx.execute(sql::INSERT_MACHINE, &row).await? {
            0 => Err(differs()),
            _ => Ok(fresh),
        }
    }

    /// The inventory, by site, rack and name.
    ///
    /// # Errors
    /// The database's.
    pub async fn inventory(&self) -> Result<Vec<Inventory>> {
        let rows = self.store.read().await?.fetch_all(INVENTORY_ALL, &[]).await?;
        rows.iter().map(read).collect()
    }

    /// A page of the inventory by the machines' ids: those after one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn inventory_after(
        &self,
        after: Option<MachineId>,
        limit: u32,
    ) -> Result<Vec<Inventory>> {
        let after = after.unwrap_or(MachineId::from_bytes([0; 16]));
        let mut tx = self.store.read().await?;
        let rows = tx.fetch_all(INVENTORY_AFTER, &params![after, limit]).await?;
        rows.iter().map(read).collect()
    }

    /// The machine with that serial number.
    ///
    /// # Errors
    /// [`FarmError::NoMachine`].
    pub async fn inventory_by_serial(&self, serial: &str) -> Result<Inventory> {
        let mut tx = self.store.read().await?;
        let row = tx.fetch_optional(INVENTORY_BY_SERIAL, &params![serial]).await?;
        read(&row.ok_or(FarmError::NoMachine)?)
    }

    /// A machine of the inventory, within the caller's transaction.
    ///
    /// # Errors
    /// [`FarmError::NoMachine`].
    pub async fn inventory_of(&self, tx: &mut Tx, machine: MachineId) -> Result<Inventory> {
        let row = tx.fetch_optional(INVENTORY, &params![machine]).await?;
        read(&row.ok_or(FarmError::NoMachine)?)
    }

    /// Machines of a model in stock on a lane, by their ids: those after one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_stock(
        &self,
        tx: &mut Tx,
        (lane, model): (&LaneId, &str),
        after: Option<MachineId>,
        limit: u32,
    ) -> Result<Vec<Inventory>> {
        let after = after.unwrap_or(MachineId::from_bytes([0; 16]));
        let rows = tx.fetch_all(IN_STOCK, &params![lane, model, after, limit]).await?;
        rows.iter().map(read).collect()
    }

    /// Brings a machine into another state.
    ///
    /// # Errors
    /// [`FarmError::NoMachine`]; [`FarmError::NotFrom`] when it cannot become that from where it is.
    pub async fn set_state(&self, machine: MachineId, state: MachineState) -> Result<()> {
        transact!(self.store, tx -> Result<_> => { self.set_state_in(tx, machine, state).await })
    }

    /// The same within the caller's transaction. Setting what is set does nothing.
    ///
    /// # Errors
    /// As [`Farm::set_state`].
    pub async fn set_state_in(
        &self,
        tx: &mut Tx,
        machine: MachineId,
        state: MachineState,
    ) -> Result<()> {
        let old = self.inventory_of(tx, machine).await?.state;
        if old == state {
            return Ok(());
        }
        if !old.may_become(state) {
            return Err(FarmError::NotFrom { from: old, to: state });
        }
        let now = self.clock.now();
        tx.execute(SET_STATE, &params![machine, state, now]).await?;
        note(tx, machine, now, &format!("{} -> {}", old.name(), state.name())).await
    }

    /// A machine's history, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn history(&self, machine: MachineId) -> Result<Vec<(Timestamp, String)>> {
        let rows = self.store.read().await?.fetch_all(HISTORY, &params![machine]).await?;
        rows.iter().map(|r| Ok((r.get("at")?, r.get("event")?))).collect()
    }

    /// Adds a line to a machine's history, within the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn note(&self, tx: &mut Tx, machine: MachineId, event: &str) -> Result<()> {
        note(tx, machine, self.clock.now(), event).await
    }
}

/// A history that is full takes no more lines: what is refused for it is nothing that counts.
pub(crate) async fn note(
    tx: &mut Tx,
    machine: MachineId,
    now: Timestamp,
    event: &str,
) -> Result<()> {
    let n: i64 = tx.fetch_one(COUNT_HISTORY, &params![machine]).await?.get("n")?;
    if n < HISTORY_MAX {
        tx.execute(ADD_HISTORY, &params![machine, n, now, event]).await?;
    }
    Ok(())
}
