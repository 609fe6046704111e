//! Whose a contract is, whatever its kind.

use crate::contract::Contract;
use crate::metered::Metered;
use crate::{MarketError, Result};
use gruve_store::Tx;
use gruve_units::{AccountId, ContractId};

/// The owner of the contract of that id, a lease or a metered one.
pub(crate) async fn owner_of(tx: &mut Tx, id: ContractId) -> Result<AccountId> {
    match Contract::find(tx, id).await {
        Err(MarketError::UnknownContract) => Ok(Metered::find(tx, id).await?.account),
        other => Ok(other?.account),
    }
}
