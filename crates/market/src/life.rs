//! What of a contract's row is its life beside delivery: what it follows, what was settled otherwise than by
//! delivery, how long its clock stood still, and the rules it was sold under.

use crate::contract::Contract;
use crate::life_sql;
use crate::rules::PlanLife;
use crate::{LifeView, Result};
use gruve_store::{Row, Tx, params};
use gruve_units::{ContractId, Hashes};

/// Reads it from a contract's row.
pub(crate) fn read(row: &Row) -> Result<LifeView> {
    Ok(LifeView {
        renews: row.get("renews")?,
        compensated: row.get::<Option<Hashes>>("compensated")?.unwrap_or_default(),
        undecided: row.get::<Option<Hashes>>("undecided")?.unwrap_or_default(),
        paused_since: row.get("paused_since")?,
        paused_epochs: row.get("paused_epochs")?,
        frozen_since: row.get("frozen_since")?,
        rules: PlanLife::read(&row.get::<String>("rules")?)?,
    })
}

impl Contract {
    /// Work that is not owed any more: delivered, or paid for in coins instead.
    pub(crate) fn given(&self) -> Hashes {
        // Each is at most the work bought, which fits with the factor of two to spare.
        Hashes(self.delivered.0.saturating_add(self.life.compensated.0))
    }

    /// Work that is not to be delivered now: given, or waiting for its owner's choice.
    pub(crate) fn spoken_for(&self) -> Hashes {
        Hashes(self.given().0.saturating_add(self.life.undecided.0))
    }

    /// Stores what of its life changed.
    pub(crate) async fn store_life(&self, tx: &mut Tx) -> Result<()> {
        let life = &self.life;
        let given = params![
            self.id,
            life.compensated,
            life.undecided,
            life.paused_epochs,
            life.paused_since
        ];
        tx.execute(life_sql::SET_LIFE, &given).await?;
        Ok(())
    }
}

/// Stores what a sale fixes beside the contract's row.
pub(crate) async fn store_rules(
    tx: &mut Tx,
    id: ContractId,
    rules: &PlanLife,
    renews: Option<ContractId>,
) -> Result<()> {
    // One that follows another holds no capacity before the other's end.
    let given = params![id, rules.write(), renews.is_none(), renews];
    tx.execute(life_sql::SET_RULES, &given).await?;
    Ok(())
}
