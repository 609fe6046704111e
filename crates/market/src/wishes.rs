//! What a customer wants of a contract: to run on, to be renewed, to have its earnings buy more.

use crate::{Result, life_sql};
use gruve_store::{Tx, params};
use gruve_units::ContractId;

/// What a customer wants of a contract; without a row, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// To run although it does not pay.
    pub(crate) keep_running: bool,
    /// To be renewed from the balance, for at most so many minor units of what its plan is paid in.
    pub(crate) renew_max_minor: Option<i64>,
    /// That its earnings buy more of its plan.
    pub(crate) reinvest: bool,
    /// What it had been credited when that was first wanted: earlier earnings stay the customer's.
    pub(crate) reinvest_from: i64,
    /// What was spent so since.
    pub(crate) reinvested: i64,
}

impl Wishes {
    pub(crate) async fn find(tx: &mut Tx, contract: ContractId) -> Result<Wishes> {
        let row = tx.fetch_optional(life_sql::WISHES, &params![contract]).await?;
        let Some(row) = row else { return Ok(Wishes::default()) };
        Ok(Wishes {
            keep_running: row.get("keep_running")?,
            renew_max_minor: row.get("renew_max_minor")?,
            reinvest: row.get("reinvest")?,
            reinvest_from: row.get("reinvest_from_minor")?,
            reinvested: row.get("reinvested_minor")?,
        })
    }

    pub(crate) async fn put(self, tx: &mut Tx, contract: ContractId) -> Result<()> {
        let row = params![
            contract,
            self.keep_running,
            self.renew_max_minor,
            self.reinvest,
            self.reinvest_from,
            self.reinvested
        ];
        tx.execute(life_sql::PUT_WISHES, &row).await?;
        Ok(())
    }
}
