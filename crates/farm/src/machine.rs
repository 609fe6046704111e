//! Sites and machines.

use crate::{FarmError, Result};
use gruve_store::{FromValue, Kind, Row, Storable, Unfit, Value};
use gruve_units::{AccountId, Hashrate, LaneId, MachineId, SiteId, Timestamp};
use serde::{Deserialize, Serialize};

/// Bytes of a machine's or site's name at most: what miners' own fields hold.
pub const MACHINE_NAME_BYTES_MAX: usize = 64;

/// What a machine is called whose login names none.
pub const UNNAMED_MACHINE: &str = "default";

/// Whose a machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineOwner {
    /// The operator's.
    House,
    /// A customer's, in a site or elsewhere.
    Account(AccountId),
}

/// Stored as `house` or the account's id.
impl Storable for MachineOwner {
    const KIND: Kind = Kind::Text;
    fn into_value(self) -> Value {
        match self {
            MachineOwner::House => "house".into(),
            MachineOwner::Account(id) => id.to_string().into(),
        }
    }
}

impl FromValue for MachineOwner {
    fn from_value(value: Value) -> std::result::Result<Self, Unfit> {
        let text = String::from_value(value)?;
        match text.as_str() {
            "house" => Ok(MachineOwner::House),
            id => id.parse().map(MachineOwner::Account).map_err(|_| Unfit { wanted: "an owner" }),
        }
    }
}

/// A facility.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its name.
    pub name: String,
}

/// A machine to be added to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMachine {
    /// Where it stands.
    pub site: SiteId,
    /// Its name, unique in the site and among its owner's machines on the lane.
    pub name: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// Whose it is.
    pub owner: MachineOwner,
    /// What its maker says it does.
    pub nameplate: Hashrate,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its id, under which its work is recorded.
    pub id: MachineId,
    /// Where it stands; `None` when outside the house's sites.
    pub site: Option<SiteId>,
    /// Whose it is.
    pub owner: MachineOwner,
    /// Its name.
    pub name: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// What its maker says it does; zero when unknown. Never what is paid for or sold.
    pub nameplate: Hashrate,
    /// When it was first seen.
    pub created_at: Timestamp,
}

pub(crate) fn read(row: &Row) -> Result<Machine> {
    Ok(Machine {
        id: row.get("id")?,
        site: row.get("site")?,
        owner: row.get("owner")?,
        name: row.get("name")?,
        lane: row.get("lane")?,
        nameplate: row.get("nameplate")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=MACHINE_NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(plain) { Ok(()) } else { Err(FarmError::BadName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_paths_markup_or_control_characters_are_refused() {
        for good in ["rig-1", "S19.a_7", &"m".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a/b", "a b", "<b>", "a\n", "a\0", "é", &"m".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
