//! Ordering a machine by a plan: the customer's own, without a person of the house.
//!
//! In one transaction a machine of the plan's model is taken out of stock, paid for from the balance, the account's from an
//! epoch's border ahead, and certified. What is in stock is in it once: two orders that saw the same machine do not
//! both get it, on either database. The operator may still offer machines by hand.

use crate::contract::{Contract, OfPlan, OfferTerms};
use crate::service::{Hosting, NewOffer, is_nobodys};
use crate::{HostingError, Result, sql};
use gruve_farm::{Inventory, MachineState};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, ContractId, EpochNumber, LaneId, MachineId};

/// Machines of the store room looked at in one go.
const PAGE: u32 = 100;

/// Machines in stock that are counted for whoever looks at a plan: beyond that there are "so many or more". Everybody
/// may look, so that looking costs little.
pub const STOCK_COUNTED_MAX: u32 = 20;

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The plan, in the version that the customer has seen.
    pub plan: OfPlan,
    /// Where the machine works.
    pub lane: LaneId,
    /// The model.
    pub model: String,
    /// What is agreed beside it.
    pub terms: OfferTerms,
    /// What is paid at once.
    pub price: Amount,
    /// The same key again is the same order.
    pub request_key: Option<String>,
}

/// What an order gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// The contract.
    pub contract: ContractId,
    /// The first epoch whose work is the owner's.
    pub from: EpochNumber,
    /// Whether it was ordered before, by the same key: nothing has changed.
    pub before: bool,
}

impl Hosting {
    /// Orders a machine, within the caller's transaction. Whether the price may leave the account is for the caller to
    /// find out, in the same transaction.
    ///
    /// # Errors
    /// [`HostingError::SoldOut`]; [`HostingError::KeyReused`] for another order under the same key;
    /// [`HostingError::TooMany`]; the ledger's when the balance does not suffice.
    pub async fn order_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        order: &Order,
    ) -> Result<Ordered> {
        if let Some(key) = &order.request_key
            && let Some(row) = tx.fetch_optional(sql::OF_REQUEST, &params![account, key]).await?
        {
            let c = Contract::read(&row)?;
            let from = c.from.filter(|_| c.plan.as_ref() == Some(&order.plan));
            let from = from.ok_or(HostingError::KeyReused)?;
            return Ok(Ordered { contract: c.id, from, before: true });
        }
        let mut free = self.free(tx, (&order.lane, &order.model), 1, u32::MAX).await?;
        let machine = free.pop().ok_or(HostingError::SoldOut)?;
        let new = NewOffer {
            machine: machine.machine,
            to: account,
            terms: order.terms,
            price: order.price,
            replaces: None,
            order: Some(order),
        };
        let contract = self.insert_offer(tx, &new).await?;
        // To be put into its rack: until then the service-level credit gives the fee back.
        self.farm.set_state_in(tx, machine.machine, MachineState::Running).await?;
        let what = format!("ordered by plan {}: to be put to work", order.plan.id);
        self.farm.note(tx, machine.machine, &what).await?;
        let from = self.accept_in(tx, account, contract).await?;
        Ok(Ordered { contract, from, before: false })
    }

    /// How many machines of a model could be ordered now, [`STOCK_COUNTED_MAX`] at most and of the first hundred in
    /// the store room, and the first of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn in_stock(&self, lane: &LaneId, model: &str) -> Result<(u32, Option<Inventory>)> {
        let mut tx = self.store.read().await?;
        let all = self.free(&mut tx, (lane, model), STOCK_COUNTED_MAX, 1).await?;
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        Ok((count, all.into_iter().next()))
    }

    /// The first machines of a model in stock that nobody has, is offered or is to get, of so many pages.
    async fn free(
        &self,
        tx: &mut Tx,
        (lane, model): (&LaneId, &str),
        wanted: u32,
        pages: u32,
    ) -> Result<Vec<Inventory>> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let (mut found, mut after): (Vec<Inventory>, Option<MachineId>) = (Vec::new(), None);
        for _ in 0..pages {
            let page = self.farm.in_stock(tx, (lane, model), after, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|m| m.machine);
            for one in page {
                let is_free = self.farm.is_free(tx, one.machine, lane).await?;
                if is_free && is_nobodys(tx, one.machine).await? {
                    found.push(one);
                }
                if found.len() >= wanted {
                    return Ok(found);
                }
            }
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}
