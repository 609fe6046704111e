//! A machine goes from an owner to another.
//!
//! | step | who | what |
//! |---|---|---|
//! | [`Hosting::offer_transfer_in`] | its owner | offers it to an account, for a price or for nothing |
//! | [`Hosting::agree_in`] | that account | agrees; nothing moves yet |
//! | [`Hosting::accept_in`] | that account, after the house's wait | price, machine and certificate change hands |
//! | [`Hosting::withdraw_in`] | either, until then | it was not offered |
//! | [`Hosting::drop_handing`] | whoever has a new password | own offers are taken back, what was agreed counts no more |
//!
//! How long the wait is, and who is told, is the caller's: a machine that is handed on and a price that is paid are as gone as
//! coins that left the account.

use crate::contract::{Contract, HostingState, OfferTerms, Rest};
use crate::service::{Hosting, NewOffer, find, own};
use crate::sql;
use crate::{HostingError, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, ContractId, Timestamp};

impl Hosting {
    /// The present owner offers a machine to another account, with the contract as it is; the price, if any,
    /// goes to the owner when the other accepts. A leased machine may be handed on as it may be kept; of a term, what
    /// is left of it then.
    ///
    /// # Errors
    /// [`HostingError::NoContract`], [`HostingError::NotYours`], [`HostingError::SameOwner`],
    /// [`HostingError::OfferOpen`], [`HostingError::TooMany`].
    pub async fn offer_transfer(
        &self,
        owner: AccountId,
        contract: ContractId,
        to: AccountId,
        price: Amount,
    ) -> Result<ContractId> {
        transact!(self.store, tx -> Result<_> => {
            self.offer_transfer_in(tx, owner, contract, to, price).await
        })
    }

    /// [`Hosting::offer_transfer`] within the caller's transaction. Who asks for the owner has to know that it is
    /// the owner: what is handed on for nothing is gone.
    ///
    /// # Errors
    /// As [`Hosting::offer_transfer`].
    pub async fn offer_transfer_in(
        &self,
        tx: &mut Tx,
        owner: AccountId,
        contract: ContractId,
        to: AccountId,
        price: Amount,
    ) -> Result<ContractId> {
        if owner == to {
            return Err(HostingError::SameOwner);
        }
        let old = own(find(tx, contract).await?, owner)?;
        if !old.runs_beyond(self.farm.next_border(&old.lane)?) {
            return Err(HostingError::NotYours);
        }
        if old.is_frozen {
            return Err(HostingError::Disputed);
        }
        let back = old.agreed()?.back;
        let rest = old.term_end.map(|until| Rest { until, back });
        let new = NewOffer {
            machine: old.machine,
            to,
            terms: OfferTerms { term_epochs: 0, ..old.terms },
            price,
            replaces: Some(old.id),
            rest,
            order: None,
            state: HostingState::Offered,
        };
        self.insert_offer(tx, &new).await
    }

    /// The account that an owner offers a machine to agrees. Gives since when it has, and whether that is new: what was agreed
    /// stays so.
    ///
    /// # Errors
    /// [`HostingError::NotNow`], also of what no owner offers; the database's.
    pub async fn agree_in(&self, tx: &mut Tx, offer: &Contract) -> Result<(Timestamp, bool)> {
        if offer.state != HostingState::Offered || offer.replaces.is_none() {
            return Err(HostingError::NotNow(offer.state.name()));
        }
        if let Some(since) = offer.agreed_at {
            return Ok((since, false));
        }
        let now = self.clock.now();
        match tx.execute(sql::AGREE, &params![offer.id, now]).await? {
            1 => Ok((now, true)),
            _ => Err(HostingError::NotNow(offer.state.name())),
        }
    }

    /// Takes back what somebody with an account's old password may have had wait: its open offers to others, and what it
    /// has agreed to take.
    ///
    /// # Errors
    /// The database's.
    pub async fn drop_handing(&self, account: AccountId) -> Result<()> {
        transact!(self.store, tx -> Result<()> => {
            tx.execute(sql::DROP_HANDED, &params![account]).await?;
            tx.execute(sql::DROP_AGREED, &params![account]).await?;
            Ok(())
        })
    }

    /// A contract of the account within a transaction, and who gets its price: the owner that offers the machine,
    /// the house where there is none.
    ///
    /// # Errors
    /// [`HostingError::NoContract`].
    pub async fn offered(
        &self,
        tx: &mut Tx,
        account: AccountId,
        contract: ContractId,
    ) -> Result<(Contract, Option<AccountId>)> {
        let offer = own(find(tx, contract).await?, account)?;
        let seller = match offer.replaces {
            Some(old) => Some(find(tx, old).await?.account),
            None => None,
        };
        Ok((offer, seller))
    }

    /// What went from customers to other customers for machines since an instant, in minor units of an asset: an
    /// account's part, and everybody's.
    ///
    /// # Errors
    /// The database's.
    pub async fn handed_over_since(
        &self,
        tx: &mut Tx,
        account: AccountId,
        asset: Asset,
        since: Timestamp,
    ) -> Result<(i64, i64)> {
        let row = tx.fetch_one(sql::HANDED_OVER, &params![asset, since, account]).await?;
        Ok((row.get("own")?, row.get("everybody")?))
    }
}
