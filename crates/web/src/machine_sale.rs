//! Machines ordered by plans: out of the balance at once, or by an invoice that is paid like any other.
//!
//! What happens when an invoice is paid or ends happens within the transaction that closes it
//! ([`machine_paid`], [`machine_expired`]); the house wires them.

use crate::failure::Failure;
use crate::hosted::{Asker, HandError, order_of};
use crate::state::AppState;
use crate::trade::{FIRST_INVOICE_TTL, INSERT_PURCHASE, INVOICE_OF_CONTRACT};
use gruve_accounts::Accounts;
use gruve_farm::Farm;
use gruve_hosting::{Contract, Hosting, HostingError, Order, Ordered, PaidOrder};
use gruve_market::{Market, Scheme};
use gruve_store::{Tx, params, transact};
use gruve_treasury::{Invoice, NewInvoice, Purpose, Refunded, TreasuryError};
use gruve_units::{AccountId, Amount, ContractId, EpochNumber, InvoiceId, Timestamp};

/// The rooms that a machine's sale concerns.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations)] // they are services
pub struct SaleRooms<'a> {
    /// How the account's machines earn.
    pub market: &'a Market,
    /// Whose machine it is.
    pub hosting: &'a Hosting,
    /// Its serial number.
    pub farm: &'a Farm,
    /// Who is told.
    pub accounts: &'a Accounts,
}

/// What became of a paid invoice's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachinePaid {
    /// The machine is the account's from that epoch on.
    Begins(EpochNumber),
    /// The machine has gone, or the order: the money stays in the balance, and the account is told.
    LeftInBalance,
    /// It was paid for before.
    Already,
}

/// A contract's invoice was credited to its account's balance. Gives `None` where the contract is not of a machine.
///
/// # Errors
/// The rooms'.
pub async fn machine_paid(
    tx: &mut Tx,
    rooms: SaleRooms<'_>,
    invoice: &Invoice,
    contract: ContractId,
) -> Result<Option<MachinePaid>, HandError> {
    match rooms.hosting.order_paid(tx, contract).await? {
        None => Ok(None),
        Some(PaidOrder::Already) => Ok(Some(MachinePaid::Already)),
        Some(PaidOrder::LeftInBalance) => {
            let told = format!(
                "The machine that you ordered for {} has gone meanwhile: what you paid is in your balance.",
                invoice.amount
            );
            rooms.accounts.tell_owner(tx, invoice.account, &told).await?;
            Ok(Some(MachinePaid::LeftInBalance))
        }
        Some(PaidOrder::Begins(c, from)) => {
            rooms.earn_as_agreed(tx, &c).await?;
            rooms.tell_taken(tx, &c, None).await?;
            Ok(Some(MachinePaid::Begins(from)))
        }
    }
}

/// A contract's invoice ended without being paid. Gives whether the contract is of a machine.
///
/// # Errors
/// The rooms'.
pub async fn machine_expired(
    tx: &mut Tx,
    hosting: &Hosting,
    contract: ContractId,
) -> Result<bool, HostingError> {
    hosting.order_expired(tx, contract).await
}

impl SaleRooms<'_> {
    /// The account's own machines on the lane earn from the next epoch on as the contract says: within the
    /// transaction that makes it.
    pub(crate) async fn earn_as_agreed(self, tx: &mut Tx, c: &Contract) -> Result<(), HandError> {
        let scheme = match c.terms.scheme {
            gruve_hosting::Scheme::Pplns => Scheme::Pplns,
            gruve_hosting::Scheme::Solo => Scheme::Solo,
        };
        let (now, _) = self.market.own_scheme_in(tx, c.account, &c.lane).await?;
        if now != scheme {
            self.market.set_own_scheme(tx, c.account, &c.lane, scheme).await?;
        }
        Ok(())
    }

    /// Tells both sides that a machine will change hands.
    pub(crate) async fn tell_agreed(
        self,
        tx: &mut Tx,
        offer: &Contract,
        seller: AccountId,
        after: Timestamp,
    ) -> Result<(), HandError> {
        let serial = self.farm.inventory_of(tx, offer.machine).await?.serial;
        let (price, when) = (offer.price, gruve_accounts::date_text(after));
        let buys = format!(
            "Your account has agreed to take the machine {serial} of another customer for {price}, from {when} on. If that was \
             not you, refuse it until then, and set a new password."
        );
        self.accounts.tell_owner(tx, offer.account, &buys).await?;
        let sells = format!(
            "Your machine {serial} can be taken for {price} from {when} on, by whom you offered it to. If that was not you, take \
             the offer back until then, and set a new password."
        );
        self.accounts.tell_owner(tx, seller, &sells).await?;
        Ok(())
    }

    /// Tells both sides that a machine has changed hands.
    pub(crate) async fn tell_taken(
        self,
        tx: &mut Tx,
        offer: &Contract,
        seller: Option<AccountId>,
    ) -> Result<(), HandError> {
        let serial = self.farm.inventory_of(tx, offer.machine).await?.serial;
        let taken = format!("You have taken the machine {serial} for {}.", offer.price);
        self.accounts.tell_owner(tx, offer.account, &taken).await?;
        if let Some(seller) = seller {
            let given = format!("Your machine {serial} was handed on for {}.", offer.price);
            self.accounts.tell_owner(tx, seller, &given).await?;
        }
        Ok(())
    }
}

/// What an order led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) contract: ContractId,
    /// From when on the machine is the account's; none while an invoice is to be paid first.
    pub(crate) from: Option<EpochNumber>,
    /// The invoice.
    pub(crate) invoice: Option<InvoiceId>,
}

impl AppState {
    pub(crate) fn sale_rooms(&self) -> SaleRooms<'_> {
        let (market, hosting) = (self.market(), self.hosting());
        SaleRooms { market, hosting, farm: self.farm(), accounts: self.accounts() }
    }

    /// An order by a plan, in the version that was seen.
    fn order_by(
        &self,
        (plan, version): (&str, u32),
        key: Option<String>,
    ) -> Result<Order, Failure> {
        let found = self.market().hosted_plans().into_iter().find(|p| p.id == plan);
        let plan = found.ok_or_else(|| Failure::not_found("plan"))?;
        if plan.version != version {
            let why = "This plan has changed meanwhile: look at it again.";
            return Err(Failure::conflict("plan-changed", why.to_owned()));
        }
        order_of(&plan, key)
    }

    /// Orders a machine by a plan: the price goes out of the balance to the operator, and a
    /// machine in stock becomes the account's, in one transaction. The same key again is the same order.
    pub(crate) async fn order_hosted(
        &self,
        asker: &Asker<'_>,
        plan: (&str, u32),
        key: Option<String>,
    ) -> Result<Placed, Failure> {
        let account = asker.customer.account;
        let order = self.order_by(plan, key)?;
        if order.price.minor > 0 {
            self.prove_again(asker).await?;
        }
        let ordered = transact!(self.store(), tx -> Result<Ordered, HandError> => {
            if order.price.minor > 0 {
                self.treasury().refuse_if_disputed(tx, account).await?;
            }
            let ordered = self.hosting().order_in(tx, account, &order).await?;
            if !ordered.before {
                let (c, _) = self.hosting().offered(tx, account, ordered.contract).await?;
                self.sale_rooms().earn_as_agreed(tx, &c).await?;
                self.sale_rooms().tell_taken(tx, &c, None).await?;
            }
            Ok(ordered)
        });
        let o = ordered.map_err(|e| e.failure())?;
        self.pulse().beat();
        Ok(Placed { contract: o.contract, from: Some(o.from), invoice: None })
    }

    /// Orders a machine by a plan and an invoice: a machine in stock waits for the account until the invoice is paid, by
    /// any way, or ends. Nothing leaves the balance, so that nothing is asked again. The same key again is the same
    /// order. What costs nothing has no invoice, and is the account's at once.
    pub(crate) async fn reserve_hosted(
        &self,
        asker: &Asker<'_>,
        plan: (&str, u32),
        key: Option<String>,
    ) -> Result<Placed, Failure> {
        let account = asker.customer.account;
        let order = self.order_by(plan, key.clone())?;
        if order.price.minor == 0 {
            return self.order_hosted(asker, plan, key).await;
        }
        let placed = transact!(self.store(), tx -> Result<Placed, HandError> => {
            let kept = self.hosting().reserve_in(tx, account, &order).await?;
            let contract = kept.contract;
            if kept.before {
                let row = tx.fetch_optional(INVOICE_OF_CONTRACT, &params![contract, account]).await?;
                let invoice = row.map(|row| row.get("invoice")).transpose()?;
                return Ok(Placed { contract, from: None, invoice });
            }
            let ttl = self.invoice_ttl();
            let ttl = if kept.is_first { ttl.min(FIRST_INVOICE_TTL) } else { ttl };
            let purpose = Purpose::Contract(contract);
            let new = NewInvoice { account, amount: order.price, purpose, ttl };
            let invoice = self.treasury().create_invoice(tx, new).await?.id;
            // There is no quote: the order is its own.
            let row = params![contract, account, contract, invoice, self.now()];
            tx.execute(INSERT_PURCHASE, &row).await?;
            Ok(Placed { contract, from: None, invoice: Some(invoice) })
        });
        let placed = placed.map_err(|e| e.failure())?;
        self.pulse().beat();
        Ok(placed)
    }

    /// Refuses what is offered, takes an own offer back, or an order that is not paid, with its invoice.
    pub(crate) async fn withdraw_hosting(
        &self,
        by: Option<AccountId>,
        id: ContractId,
    ) -> Result<(), Failure> {
        let done = transact!(self.store(), tx -> Result<(), HandError> => {
            self.hosting().withdraw_in(tx, id, by).await?;
            let c = self.hosting().contract_in(tx, id).await?;
            let row = tx.fetch_optional(INVOICE_OF_CONTRACT, &params![id, c.account]).await?;
            if let Some(row) = row {
                let invoice = row.get("invoice")?;
                // The operator may: the customer would choose between the coin and its price of before.
                if by.is_some() {
                    self.treasury().refuse_if_converted(tx, invoice).await?;
                }
                self.treasury().end_invoice(tx, invoice).await?;
            }
            Ok(())
        });
        self.pulse().beat();
        done.map_err(|e| e.failure())
    }

    /// Where the page of a contract of the account is, of work or of a machine.
    pub(crate) async fn path_of(
        &self,
        account: AccountId,
        id: ContractId,
    ) -> Result<String, Failure> {
        match self.hosting().contract(Some(account), id).await {
            Ok(_) => Ok(format!("/machines/{id}")),
            Err(HostingError::NoContract) => Ok(format!("/contracts/{id}")),
            Err(e) => Err(crate::hosted::hosting_failure(&e)),
        }
    }

    /// Ends an own contract at the next border of epochs; gives from when on the machine is the house's.
    pub(crate) async fn end_own_hosting(
        &self,
        asker: &Asker<'_>,
        id: ContractId,
    ) -> Result<EpochNumber, Failure> {
        let account = asker.customer.account;
        self.own_hosting(account, id).await?;
        self.prove_again(asker).await?;
        let ended = transact!(self.store(), tx -> Result<EpochNumber, HandError> => {
            let ended = self.hosting().end_in(tx, id, Some(account)).await?;
            let c = self.hosting().contract_in(tx, id).await?;
            let serial = self.serial_of(tx, c.machine).await?;
            let told = format!("You have ended the contract of your machine {serial}.");
            self.accounts().tell_owner(tx, account, &told).await?;
            Ok(ended.until)
        });
        self.pulse().beat();
        ended.map_err(|e| e.failure())
    }

    /// The operator ends a contract, and its owner is told.
    pub(crate) async fn end_hosting_for(&self, id: ContractId) -> Result<EpochNumber, Failure> {
        let ended = transact!(self.store(), tx -> Result<EpochNumber, HandError> => {
            let ended = self.hosting().end_in(tx, id, None).await?;
            let c = self.hosting().contract_in(tx, id).await?;
            if let Some(back) = ended.back {
                coins_back(tx, &c, back, self.now()).await?;
            }
            let serial = self.serial_of(tx, c.machine).await?;
            let mut told =
                vec![format!("The operator has ended the contract of your machine {serial}.")];
            let back = ended.back.iter();
            told.extend(back.map(|b| format!("{b} of its price came back to your balance.")));
            self.accounts().tell_owner(tx, c.account, &told.join("\n")).await?;
            Ok(ended.until)
        });
        self.pulse().beat();
        ended.map_err(|e| e.failure())
    }
}

/// What came back of a machine's price becomes the coins that it was paid with, as far as it was.
async fn coins_back(
    tx: &mut Tx,
    c: &Contract,
    back: Amount,
    now: Timestamp,
) -> Result<(), TreasuryError> {
    let (undelivered, refunded) = (back.minor, back.minor);
    let (contract, account, price) = (c.id, c.account, c.price);
    let back = Refunded { contract, account, price, undelivered, refunded, now };
    gruve_treasury::convert_back(tx, &back).await.map(drop)
}
