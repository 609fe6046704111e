//! The room's public face.

use crate::machine::{self, Machine, MachineOwner, NewMachine, Site};
use crate::sql::{
    COUNT_IN_SITES, COUNT_OUTSIDE_OF, COUNT_SITES, FORGET_OUTSIDE, INSERT_MACHINE, INSERT_SITE,
    MACHINE, MACHINE_IN_SITE, MACHINE_OF_OWNER, MACHINES_IN_SITES, MACHINES_OF_OWNER, RETIRE,
    SET_NAMEPLATE, SITE, SITE_BY_NAME, SITES, WORKED,
};
use crate::statements::STATE_OF;
use crate::{
    DAY_MIGRATIONS, FarmError, HouseSecret, LUCK_MIGRATIONS, MIGRATIONS, MachineState, Result,
    UNNAMED_MACHINE,
};
use gruve_store::{Store, params, transact};
use gruve_units::{
    AccountId, Clock, Entropy, EpochRule, Hashrate, LaneId, MachineId, SiteId, Timestamp,
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Machines of an account outside the sites that are remembered at most: what one large home or
/// container holds. Names come from whoever connects, so without a bound they could fill the table.
pub const OUTSIDE_MACHINES_MAX: i64 = 1_000;

/// Machines in all sites at most: below the rows that one answer can have.
pub const HOUSE_MACHINES_MAX: i64 = 50_000;

/// Sites at most.
pub const SITES_MAX: i64 = 1_000;

/// The operator's sites and all machines. Cloning it is cheap and gives the same one.
#[derive(Clone)]
pub struct Farm {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    secret: Option<HouseSecret>,
    pub(crate) rules: Arc<BTreeMap<LaneId, EpochRule>>,
}

impl fmt::Debug for Farm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Farm").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Farm {
    /// The service over a store whose tables are in place (see [`Farm::migrate`]). Machines of the
    /// house are not admitted until it is given their secret.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Farm {
        Farm { store, clock, entropy, secret: None, rules: Arc::default() }
    }

    /// The same, admitting machines of the house by `secret`.
    #[must_use]
    pub fn with_house_secret(self, secret: HouseSecret) -> Farm {
        Farm { secret: Some(secret), ..self }
    }

    /// The same, knowing how the lanes' time is cut: owners change at epochs' borders, and energy is
    /// counted by epochs.
    #[must_use]
    pub fn with_rules(self, rules: BTreeMap<LaneId, EpochRule>) -> Farm {
        Farm { rules: Arc::new(rules), ..self }
    }

    /// Puts the room's tables in place.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(store: &Store) -> Result<()> {
        store.migrate("farm", MIGRATIONS).await?;
        store.migrate("farm_luck", LUCK_MIGRATIONS).await?;
        Ok(store.migrate("farm_days", DAY_MIGRATIONS).await?)
    }

    /// Adds a site; the same name gives the same site.
    ///
    /// # Errors
    /// [`FarmError::BadName`], [`FarmError::TooMany`].
    pub async fn add_site(&self, name: &str) -> Result<SiteId> {
        machine::check_name(name)?;
        let now = self.clock.now();
        let id = SiteId::new(now, self.entropy.as_ref());
        transact!(self.store, tx -> Result<_> => {
            if let Some(row) = tx.fetch_optional(SITE_BY_NAME, &params![name]).await? {
                return Ok(row.get("id")?);
            }
            let count: i64 = tx.fetch_one(COUNT_SITES, &[]).await?.get("n")?;
            if count >= SITES_MAX {
                return Err(FarmError::TooMany { max: SITES_MAX });
            }
            tx.execute(INSERT_SITE, &params![id, name, now]).await?;
            Ok(id)
        })
    }

    /// Adds a machine to a site. The same name in the same site gives the same machine, with its
    /// nameplate brought up to date.
    ///
    /// # Errors
    /// [`FarmError::BadName`], [`FarmError::NoSite`], [`FarmError::TooMany`];
    /// [`FarmError::Differs`] when one of that name is somebody else's or works elsewhere.
    pub async fn add_machine(&self, new: NewMachine) -> Result<MachineId> {
        machine::check_name(&new.name)?;
        let now = self.clock.now();
        let id = MachineId::new(now, self.entropy.as_ref());
        transact!(self.store, tx -> Result<_> => {
            let there = tx.fetch_optional(MACHINE_IN_SITE, &params![new.site, &new.name]).await?;
            if let Some(row) = there {
                let old = machine::read(&row)?;
                if old.owner != new.owner || old.lane != new.lane {
                    return Err(FarmError::Differs { name: new.name.clone() });
                }
                let retired: Option<Timestamp> = row.get("retired_at")?;
                if old.nameplate != new.nameplate || retired.is_some() {
                    tx.execute(SET_NAMEPLATE, &params![old.id, new.nameplate]).await?;
                }
                return Ok(old.id);
            }
            if tx.fetch_optional(SITE, &params![new.site]).await?.is_none() {
                return Err(FarmError::NoSite);
            }
            let count: i64 = tx.fetch_one(COUNT_IN_SITES, &[]).await?.get("n")?;
            if count >= HOUSE_MACHINES_MAX {
                return Err(FarmError::TooMany { max: HOUSE_MACHINES_MAX });
            }
            let row = params![id, new.site, new.owner, &new.name, &new.lane, new.nameplate, now];
            if tx.execute(INSERT_MACHINE, &row).await? == 0 {
                return Err(FarmError::Differs { name: new.name.clone() });
            }
            Ok(id)
        })
    }

    /// Takes the house's machines that are not among `kept` out of service: they are known for the
    /// work they did, but do not log in and are not listed. Adding one again puts it back.
    ///
    /// # Errors
    /// The database's.
    pub async fn retire_others(&self, kept: &BTreeSet<MachineId>) -> Result<()> {
        let now = self.clock.now();
        transact!(self.store, tx -> Result<_> => {
            for row in tx.fetch_all(MACHINES_IN_SITES, &[]).await? {
                let machine = machine::read(&row)?;
                let is_own = machine.owner == MachineOwner::House && !kept.contains(&machine.id);
                // The inventory's are added and taken out by hand, not by the configuration.
                if is_own && tx.fetch_optional(STATE_OF, &params![machine.id]).await?.is_none() {
                    tx.execute(RETIRE, &params![machine.id, now]).await?;
                }
            }
            Ok(())
        })
    }

    /// These machines' work was seen: of an account's machines outside, those that worked last are
    /// remembered longest. Unknown ones are passed over.
    ///
    /// # Errors
    /// The database's.
    pub async fn worked(&self, machines: &[MachineId]) -> Result<()> {
        let now = self.clock.now();
        // Sorted: two writers then never wait for each other in a ring.
        let sorted: BTreeSet<MachineId> = machines.iter().copied().collect();
        transact!(self.store, tx -> Result<_> => {
            for id in &sorted {
                tx.execute(WORKED, &params![*id, now]).await?;
            }
            Ok(())
        })
    }

    /// All sites, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn sites(&self) -> Result<Vec<Site>> {
        let rows = self.store.read().await?.fetch_all(SITES, &[]).await?;
        rows.iter().map(|r| Ok(Site { id: r.get("id")?, name: r.get("name")? })).collect()
    }

    /// All machines that stand in sites: the house's own and hosted ones.
    ///
    /// # Errors
    /// The database's.
    pub async fn machines(&self) -> Result<Vec<Machine>> {
        let rows = self.store.read().await?.fetch_all(MACHINES_IN_SITES, &[]).await?;
        rows.iter().map(machine::read).collect()
    }

    /// All machines of an owner, in sites and outside.
    ///
    /// # Errors
    /// The database's.
    pub async fn machines_of(&self, owner: MachineOwner) -> Result<Vec<Machine>> {
        let rows = self.store.read().await?.fetch_all(MACHINES_OF_OWNER, &params![owner]).await?;
        rows.iter().map(machine::read).collect()
    }

    /// One machine, if it exists.
    ///
    /// # Errors
    /// The database's.
    pub async fn machine(&self, id: MachineId) -> Result<Option<Machine>> {
        let row = self.store.read().await?.fetch_optional(MACHINE, &params![id]).await?;
        row.as_ref().map(machine::read).transpose()
    }

    /// Whether `password` is that of the house's machines.
    #[must_use]
    pub fn admits_house(&self, password: &str) -> bool {
        self.secret.as_ref().is_some_and(|s| s.admits(password))
    }

    /// The machine that logs in as `house.<name>`.
    ///
    /// # Errors
    /// [`FarmError::WrongSecret`], [`FarmError::UnknownMachine`].
    pub async fn house_login(
        &self,
        password: &str,
        name: &str,
        lane: &LaneId,
    ) -> Result<MachineId> {
        if !self.admits_house(password) {
            return Err(FarmError::WrongSecret);
        }
        self.machine_for_login(MachineOwner::House, name, lane).await
    }

    /// The machine of `owner` called `name` on `lane`. A customer's that is not known yet is
    /// written down as one outside, in the place of the one longest without work when the account has
    /// [`OUTSIDE_MACHINES_MAX`]; without a name it is called [`UNNAMED_MACHINE`].
    ///
    /// # Errors
    /// [`FarmError::BadName`]; [`FarmError::UnknownMachine`] when the house has none of that name;
    /// [`FarmError::NotInService`] when it is in stock or returned.
    pub async fn machine_for_login(
        &self,
        owner: MachineOwner,
        name: &str,
        lane: &LaneId,
    ) -> Result<MachineId> {
        let name = if name.is_empty() { UNNAMED_MACHINE } else { name };
        machine::check_name(name)?;
        let key = params![owner, name, lane];
        // Nearly always it is known; then no writer is kept waiting.
        let mut tx = self.store.read().await?;
        if let Some(row) = tx.fetch_optional(MACHINE_OF_OWNER, &key).await? {
            let id: MachineId = row.get("id")?;
            let state = tx.fetch_optional(STATE_OF, &params![id]).await?;
            return match state.map(|r| r.get::<MachineState>("state")).transpose()? {
                Some(state) if !state.may_work() => {
                    Err(FarmError::NotInService { name: name.to_owned(), state })
                }
                _ => Ok(id),
            };
        }
        drop(tx);
        match owner {
            MachineOwner::House => {
                Err(FarmError::UnknownMachine { name: name.to_owned(), lane: lane.clone() })
            }
            MachineOwner::Account(account) => self.first_sight(account, name, lane).await,
        }
    }

    async fn first_sight(
        &self,
        account: AccountId,
        name: &str,
        lane: &LaneId,
    ) -> Result<MachineId> {
        let (now, owner) = (self.clock.now(), MachineOwner::Account(account));
        let id = outside_id(account, name, lane);
        transact!(self.store, tx -> Result<_> => {
            // Another connection of the same machine may have been faster.
            let there = tx.fetch_optional(MACHINE_OF_OWNER, &params![owner, name, lane]).await?;
            if let Some(row) = there {
                return Ok(row.get("id")?);
            }
            let count: i64 = tx.fetch_one(COUNT_OUTSIDE_OF, &params![owner]).await?.get("n")?;
            if count >= OUTSIDE_MACHINES_MAX {
                tx.execute(FORGET_OUTSIDE, &params![owner]).await?;
            }
            let (nowhere, unknown) = (None::<SiteId>, Hashrate::ZERO);
            let row = params![id, nowhere, owner, name, lane, unknown, now];
            tx.execute(INSERT_MACHINE, &row).await?;
            Ok(id)
        })
    }
}

/// The id of a customer's machine outside: 16 bytes of a hash, marked as a UUID of version 8 (RFC 9562).
/// Lanes' names have no zero byte, so no two machines have the same text.
fn outside_id(account: AccountId, name: &str, lane: &LaneId) -> MachineId {
    let text = Sha256::new()
        .chain_update(b"gruve outside machine\0")
        .chain_update(account.to_bytes())
        .chain_update(lane.as_str())
        .chain_update([0])
        .chain_update(name);
    let mut id = [0; 16];
    id.copy_from_slice(&text.finalize()[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    MachineId::from_bytes(id)
}
