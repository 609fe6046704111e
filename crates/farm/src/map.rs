//! All machines in sites by site and rack, with no more of each than a map shows.

use crate::{Farm, MachineState, Result};
use gruve_units::{Hashrate, LaneId, MachineId};

/// A machine's place on the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapPlace {
    /// The machine.
    pub machine: MachineId,
    /// Its site's name.
    pub site: String,
    /// Its rack; empty where nobody has said.
    pub rack: String,
    /// Its name.
    pub name: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// What its maker promises; zero when unknown.
    pub nameplate: Hashrate,
    /// What the inventory says of it; a machine that only the configuration knows is there to work.
    pub state: Option<MachineState>,
}

impl Farm {
    /// All machines in sites in the order of site, rack and name.
    ///
    /// # Errors
    /// The database's.
    pub async fn map(&self) -> Result<Vec<MapPlace>> {
        let rows = self.store.read().await?.fetch_all(crate::statements::MAP, &[]).await?;
        let place = |row: &gruve_store::Row| {
            Ok(MapPlace {
                machine: row.get("id")?,
                site: row.get("site_name")?,
                rack: row.get::<Option<String>>("rack")?.unwrap_or_default(),
                name: row.get("name")?,
                lane: row.get("lane")?,
                nameplate: row.get("nameplate")?,
                state: row.get("state")?,
            })
        };
        rows.iter().map(place).collect()
    }
}
