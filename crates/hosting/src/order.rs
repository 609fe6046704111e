//! Ordering a machine by a plan: the customer's own, without a person of the house.
//!
//! In one transaction a machine of the plan's model is taken out of stock, paid for from the balance, the account's from an
//! epoch's border ahead, and certified. What is in stock is in it once: two orders that saw the same machine do not
//! both get it, on either database. The operator may still offer machines by hand.
//!
//! Or the machine is kept for the account until an invoice is paid ([`Hosting::reserve_in`]): then it becomes the account's
//! as if it had been ordered at that moment ([`Hosting::order_paid`]), at the price of the order. If the machine has gone
//! meanwhile the money stays in the balance. Who pays nothing keeps little from others: a new account one machine, all new
//! ones together half of what is there, anybody [`UNPAID_MAX`].

use crate::contract::{Contract, HostingState, OfPlan, OfferTerms};
use crate::service::{Hosting, NewOffer, find, holder, is_nobodys};
use crate::{HostingError, Result, sql};
use gruve_farm::{Inventory, MachineState};
use gruve_ledger::Account;
use gruve_store::{Tx, Value, params};
use gruve_units::{AccountId, Amount, ContractId, EpochNumber, LaneId, MachineId};

/// Machines of the store room looked at in one go.
const PAGE: u32 = 100;

/// Machines in stock that are counted for whoever looks at a plan: beyond that there are "so many or more". Everybody
/// may look, so that looking costs little.
pub const STOCK_COUNTED_MAX: u32 = 20;

/// Machines that wait for one account's invoices at most.
pub const UNPAID_MAX: i64 = 5;

/// The same of an account that never had a machine.
const UNPAID_NEW_MAX: i64 = 1;

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

/// A machine that waits for an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The contract.
    pub contract: ContractId,
    /// Whether the account never had a machine.
    pub is_first: bool,
    /// Whether it was ordered before, by the same key: nothing has changed.
    pub before: bool,
}

/// What a paid invoice was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaidOrder {
    /// The machine is the account's from that epoch on.
    Begins(Box<Contract>, EpochNumber),
    /// The machine has gone, or the order: the money stays in the balance.
    LeftInBalance,
    /// It was paid for before.
    Already,
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
        let machine = free.pop().ok_or(HostingError::SoldOut)?.machine;
        let contract = self.insert_order(tx, account, machine, order).await?;
        let c = find(tx, contract).await?;
        let from = self.put_to_work(tx, &c).await?;
        Ok(Ordered { contract, from, before: false })
    }

    async fn insert_order(
        &self,
        tx: &mut Tx,
        account: AccountId,
        machine: MachineId,
        order: &Order,
    ) -> Result<ContractId> {
        let new = NewOffer {
            machine,
            to: account,
            terms: order.terms,
            price: order.price,
            replaces: None,
            rest: None,
            order: Some(order),
            state: HostingState::Ordered,
        };
        self.insert_offer(tx, &new).await
    }

    /// Makes an ordered machine its account's, for its price.
    async fn put_to_work(&self, tx: &mut Tx, c: &Contract) -> Result<EpochNumber> {
        // To be put into its rack: until then the service-level credit gives the fee back.
        self.farm.set_state_in(tx, c.machine, MachineState::Running).await?;
        let plan = c.plan.as_ref().map_or("", |p| p.id.as_str());
        let what = format!("ordered by plan {plan}: to be put to work");
        self.farm.note(tx, c.machine, &what).await?;
        self.take_over(tx, c).await
    }

    /// Keeps a machine for the account until an invoice of the order's price is paid or ends, within the caller's
    /// transaction, which makes the invoice.
    ///
    /// # Errors
    /// [`HostingError::SoldOut`], [`HostingError::HeldUnpaid`]; [`HostingError::KeyReused`] for another order under the
    /// same key; [`HostingError::TooMany`].
    pub async fn reserve_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        order: &Order,
    ) -> Result<Reserved> {
        let count = async |tx: &mut Tx, sql, of: &[Value]| -> Result<i64> {
            Ok(tx.fetch_one(sql, of).await?.get("n")?)
        };
        let is_first = count(tx, sql::COUNT_HAD, &params![account]).await? == 0;
        if let Some(key) = &order.request_key
            && let Some(row) = tx.fetch_optional(sql::OF_REQUEST, &params![account, key]).await?
        {
            let c = Contract::read(&row)?;
            if c.plan.as_ref() != Some(&order.plan) {
                return Err(HostingError::KeyReused);
            }
            return Ok(Reserved { contract: c.id, is_first, before: true });
        }
        let most = if is_first { UNPAID_NEW_MAX } else { UNPAID_MAX };
        if count(tx, sql::COUNT_ORDERED, &params![account]).await? >= most {
            return Err(HostingError::HeldUnpaid);
        }
        let by_new = if is_first {
            count(tx, sql::ORDERED_BY_NEW, &params![order.plan.id.as_str()]).await?
        } else {
            0
        };
        // Of what is there without them, those that were never paid for may keep half; one of them may always.
        let wanted = if by_new == 0 { 1 } else { by_new.saturating_add(2) };
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let free = self.free(tx, (&order.lane, &order.model), wanted, u32::MAX).await?;
        let machine = free.first().ok_or(HostingError::SoldOut)?.machine;
        if free.len() < usize::try_from(wanted).unwrap_or(usize::MAX) {
            return Err(HostingError::HeldUnpaid);
        }
        let contract = self.insert_order(tx, account, machine, order).await?;
        Ok(Reserved { contract, is_first, before: false })
    }

    /// An order's invoice was credited to its account's balance: the machine is the account's, for the order's price.
    /// Gives `None` where there is no such order. Doing it again does nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_paid(&self, tx: &mut Tx, contract: ContractId) -> Result<Option<PaidOrder>> {
        let c = match find(tx, contract).await {
            Err(HostingError::NoContract) => return Ok(None),
            found => found?,
        };
        match c.state {
            HostingState::Ordered => {}
            HostingState::Withdrawn | HostingState::Offered => {
                return Ok(Some(PaidOrder::LeftInBalance));
            }
            _ => return Ok(Some(PaidOrder::Already)),
        }
        let border = self.farm.next_border(&c.lane)?;
        let held = Account::CustomerAvailable(c.account);
        let held = gruve_ledger::balance(tx, &held, c.price.asset).await?;
        // All that could refuse it, before anything is written.
        let is_there = self.farm.inventory_of(tx, c.machine).await?.state == MachineState::Stock
            && self.farm.is_free(tx, c.machine, &c.lane).await?
            && holder(tx, c.machine, border).await?.is_none();
        if !is_there || held.minor < c.price.minor {
            tx.execute(sql::WITHDRAW, &params![contract]).await?;
            return Ok(Some(PaidOrder::LeftInBalance));
        }
        let from = self.put_to_work(tx, &c).await?;
        Ok(Some(PaidOrder::Begins(Box::new(c), from)))
    }

    /// An order's invoice ended without being paid: the machine waits no longer. Gives whether there is such an order.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_expired(&self, tx: &mut Tx, contract: ContractId) -> Result<bool> {
        match find(tx, contract).await {
            Err(HostingError::NoContract) => Ok(false),
            Err(e) => Err(e),
            Ok(c) => {
                if c.state == HostingState::Ordered {
                    tx.execute(sql::WITHDRAW, &params![contract]).await?;
                }
                Ok(true)
            }
        }
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
        let border = self.farm.next_border(lane)?;
        for _ in 0..pages {
            let page = self.farm.in_stock(tx, (lane, model), after, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            after = page.last().map(|m| m.machine);
            for one in page {
                let is_free = self.farm.is_free(tx, one.machine, lane).await?;
                if is_free && is_nobodys(tx, one.machine, border).await? {
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
