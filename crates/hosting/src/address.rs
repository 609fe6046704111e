//! Where an owner's coins go.

use crate::contract::HostingState;
use crate::parts::{self, Part};
use crate::service::{Hosting, find, own};
use crate::sql;
use crate::{HostingError, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, ContractId, Duration, Timestamp};

/// How long a new payout address waits, so that whoever has stolen a session is noticed before coins leave.
pub const ADDRESS_WAIT: Duration = Duration::from_secs(86_400);

/// Bytes of an address at most.
const ADDRESS_BYTES_MAX: usize = 128;

impl Hosting {
    /// Sets where an owner's coins go. The first address counts at once, a change after [`ADDRESS_WAIT`]. The
    /// caller has checked that it is an address of the chain. Gives from when on it counts.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotNow`], [`HostingError::BadTerms`].
    pub async fn set_address(
        &self,
        account: AccountId,
        contract: ContractId,
        address: &str,
    ) -> Result<Timestamp> {
        transact!(self.store, tx -> Result<_> => {
            self.set_address_in(tx, account, contract, (address, &[]), Duration::ZERO).await
        })
    }

    /// [`Hosting::set_address`] within the caller's transaction, where a first address waits, too, with partners who share
    /// what blocks pay to it: those of before share no more, once it counts.
    ///
    /// # Errors
    /// As [`Hosting::set_address`].
    pub async fn set_address_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        contract: ContractId,
        (address, partners): (&str, &[Part]),
        wait: Duration,
    ) -> Result<Timestamp> {
        let is_one = |a: &str| !a.is_empty() && a.len() <= ADDRESS_BYTES_MAX && a.is_ascii();
        if !is_one(address) || !partners.iter().all(|p| is_one(&p.address)) {
            return Err(HostingError::BadTerms("this is no address"));
        }
        let parts = parts::whole(address, partners)?;
        let now = self.clock.now();
        let c = own(find(tx, contract).await?, account)?;
        // What an ended contract's work still earns goes to the address too.
        if !matches!(c.state, HostingState::Active | HostingState::Closing) {
            return Err(HostingError::NotNow(c.state.name()));
        }
        let (given, from) = match c.address.at(now) {
            None if wait.is_zero() => {
                (params![contract, Some(address), None::<String>, None::<Timestamp>], now)
            }
            None => {
                let from = now.plus(wait);
                (params![contract, None::<String>, Some(address.to_owned()), Some(from)], from)
            }
            Some(old) => {
                let from = now.plus(ADDRESS_WAIT);
                (params![contract, Some(old), Some(address.to_owned()), Some(from)], from)
            }
        };
        tx.execute(sql::SET_NEXT_ADDRESS, &given).await?;
        parts::set(tx, contract, (now, from), &parts).await?;
        Ok(from)
    }
}
