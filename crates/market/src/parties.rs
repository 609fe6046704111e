//! Whose a contract is and what is taken of its earnings, whatever its kind.

use crate::contract::Contract;
use crate::metered::{self, Metered};
use crate::scheme::FppsAsset;
use crate::{MarketError, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Asset, Bps, ContractId, EpochNumber};

/// What a settlement and an FPPS price need to know of a contract.
pub(crate) struct Party {
    pub(crate) account: AccountId,
    /// The operator's part of its earnings.
    pub(crate) fee: Bps,
    /// Its FPPS figures; none under another scheme.
    pub(crate) fpps: Vec<FppsAsset>,
    pub(crate) start: Option<EpochNumber>,
    pub(crate) maintenance_due: Accrual,
    /// The assets that maintenance is taken from, with the whole fee in each.
    pub(crate) maintenance_order: Vec<(Asset, u64)>,
}

/// The contract of that id.
pub(crate) async fn terms_of(tx: &mut Tx, id: ContractId) -> Result<Party> {
    let c = match Contract::find(tx, id).await {
        Err(MarketError::UnknownContract) => return Ok(Metered::find(tx, id).await?.party()),
        other => other?,
    };
    let maintenance_order = c.maintenance_order();
    Ok(Party {
        account: c.account,
        fee: c.fee,
        fpps: c.fpps,
        start: c.start,
        maintenance_due: c.maintenance_due,
        maintenance_order,
    })
}

/// Stores the maintenance that a contract carries on.
pub(crate) async fn set_maintenance(tx: &mut Tx, id: ContractId, carry: Accrual) -> Result<()> {
    if tx.execute(sql::SET_MAINTENANCE, &params![id, carry]).await? == 0 {
        tx.execute(metered::sql::SET_MAINTENANCE, &params![id, carry]).await?;
    }
    Ok(())
}
