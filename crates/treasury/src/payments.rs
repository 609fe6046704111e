//! Payments by other methods than our own addresses: taken once, credited, taken back.
//!
//! | moment | debit | credit |
//! |---|---|---|
//! | for an open invoice of a contract | clearing of the method | customer held |
//! | for another invoice, or for an account | clearing of the method | customer available |
//! | for nobody yet | clearing of the method | unmatched receipts |
//! | a person says whose | unmatched receipts | customer held or available |
//! | a person sends it back | unmatched receipts | under way |
//! | from the balance | customer available | customer held |
//! | by a coin at a fixed rate | see [`crate::conversion`] | |
//! | the method takes it back | customer available, the rest charge-backs | clearing of the method |
//!
//! What the invoice's closing does with what is held is as for receipts on a chain
//! ([`crate::invoice`]). Promises: a payment is known by (method, its name there) and taken once,
//! whatever is told twice, late or out of order; amounts are whole minor units of the currency that
//! came; nothing is converted but by a conversion. What this module must not know: files, HTTP, and who asks.

use crate::books::{Draft, at_most};
use crate::remote::turnover::under_way;
use crate::sql;
use crate::{Invoice, Purpose, Result, Treasury, TreasuryError};
use gruve_ledger::{Account, LedgerError};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, InvoiceId, PaymentId, Timestamp};
use std::fmt;
use std::str::FromStr;

/// A way of paying in beside our own addresses on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A transfer to the operator's bank account.
    Bank,
    /// A card, by Stripe Checkout.
    Card,
    /// Coins or Lightning, by a BTCPay Server.
    BtcPay,
    /// What the customer has here already.
    Balance,
    /// A coin, at a rate that was fixed before; its name there is the coin's invoice.
    Conversion,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 5] =
        [Method::Bank, Method::Card, Method::BtcPay, Method::Balance, Method::Conversion];

    /// The word for it, as stored; also the name of its clearing account.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Method::Bank => "bank",
            Method::Card => "card",
            Method::BtcPay => "btcpay",
            Method::Balance => "balance",
            Method::Conversion => "conversion",
        }
    }

    pub(crate) fn clearing(self) -> Account {
        Account::Clearing(self.word().to_owned())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Method {
    type Err = TreasuryError;
    fn from_str(s: &str) -> Result<Self, TreasuryError> {
        let found = Method::ALL.into_iter().find(|m| m.word() == s);
        found.ok_or(TreasuryError::Damaged("unknown pay-in method"))
    }
}

/// Whose a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayInFor {
    /// It pays an invoice; what is too much or too late goes to its account's balance.
    Invoice(InvoiceId),
    /// An account's balance.
    Account(AccountId),
    /// Nobody knows yet.
    Nobody,
}

/// A payment by such a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its id here.
    pub id: PaymentId,
    /// How it came.
    pub method: Method,
    /// Its name there.
    pub external: String,
    /// How much came.
    pub amount: Amount,
    /// What of that the method has taken back.
    pub taken: Amount,
    /// The invoice it is for.
    pub invoice: Option<InvoiceId>,
    /// Whose it is.
    pub account: Option<AccountId>,
    /// When it was told.
    pub arrived: Timestamp,
    /// Where the money was put: `none`, `held` or `available`.
    credit: String,
}

impl Payment {
    /// Whether its money is held for an invoice that is not closed.
    pub(crate) fn is_held(&self) -> bool {
        self.credit == "held"
    }
}

impl Treasury {
    /// Takes a payment, once; says whether it is new.
    ///
    /// # Errors
    /// [`TreasuryError::NoInvoice`], [`TreasuryError::NotPositive`], [`TreasuryError::OtherAsset`]
    /// when the invoice is in another asset; the books' and the database's.
    pub async fn take_payment(
        &self,
        tx: &mut Tx,
        method: Method,
        external: &str,
        amount: Amount,
        whose: PayInFor,
    ) -> Result<(PaymentId, bool)> {
        if let Some(known) = payment_by_name(tx, method, external).await? {
            return Ok((known.id, false));
        }
        if amount.minor <= 0 {
            return Err(TreasuryError::NotPositive);
        }
        let now = self.now();
        let id = PaymentId::new(now, self.0.entropy.as_ref());
        let place = self.place(tx, amount.asset, whose).await?;
        let values = params![
            id,
            method.word(),
            external,
            amount.asset,
            amount.minor,
            place.invoice,
            place.account,
            place.credit,
            now
        ];
        tx.execute(sql::INSERT_PAYMENT, &values).await?;
        Draft::new(amount.asset)
            .debit(method.clearing(), amount.minor)
            .credit(place.books, amount.minor)
            .post(tx, "treasury-payment", format!("treasury:payment:{id}"), now)
            .await?;
        if let Some(invoice) = place.invoice {
            self.refresh_invoice(tx, invoice, now).await?;
        }
        Ok((id, true))
    }

    /// A person says whose a payment is that nobody was found for.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayment`] unless it waits; as [`Treasury::take_payment`].
    pub(crate) async fn match_payment(
        &self,
        tx: &mut Tx,
        id: PaymentId,
        whose: PayInFor,
    ) -> Result<()> {
        let payment = unmatched(tx, id).await?;
        let place = self.place(tx, payment.amount.asset, whose).await?;
        if place.account.is_none() {
            return Err(TreasuryError::NoInvoice);
        }
        let now = self.now();
        let values = params![id, place.invoice, place.account, place.credit];
        if tx.execute(sql::MATCH_PAYMENT, &values).await? != 1 {
            return Err(TreasuryError::NoPayment);
        }
        Draft::new(payment.amount.asset)
            .debit(Account::UnmatchedReceipts, payment.amount.minor)
            .credit(place.books, payment.amount.minor)
            .post(tx, "treasury-payment-matched", format!("treasury:matched:{id}"), now)
            .await?;
        if let Some(invoice) = place.invoice {
            self.refresh_invoice(tx, invoice, now).await?;
        }
        Ok(())
    }

    /// A payment that nobody was found for is nobody's any more, once; what becomes of its money the caller books.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayment`] unless it waits; the database's.
    pub(crate) async fn close_unmatched(&self, tx: &mut Tx, id: PaymentId) -> Result<Amount> {
        let all = unmatched(tx, id).await?.amount;
        if tx.execute(sql::TAKE_BACK, &params![id, 0_i64, all.minor]).await? != 1 {
            return Err(TreasuryError::NoPayment);
        }
        Ok(all)
    }

    /// A payment that nobody was found for goes back to whoever sent it: under way until the method's own books
    /// show that it left.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayment`] unless it waits; the books' and the database's.
    pub(crate) async fn send_back(&self, tx: &mut Tx, id: PaymentId) -> Result<()> {
        let all = self.close_unmatched(tx, id).await?;
        Draft::new(all.asset)
            .debit(Account::UnmatchedReceipts, all.minor)
            .credit(under_way(), all.minor)
            .post(tx, "treasury-sent-back", format!("treasury:sent-back:{id}"), self.now())
            .await
    }

    /// The method has taken `minor` of a payment back. What the customer no longer has is the
    /// operator's, on the account of charge-backs. `event` is the method's name for the taking;
    /// told twice it counts once, and never more is taken than had come.
    ///
    /// # Errors
    /// The books' and the database's.
    pub async fn take_back(
        &self,
        tx: &mut Tx,
        id: PaymentId,
        minor: i64,
        event: &str,
    ) -> Result<TakenBack> {
        let row = tx.fetch_optional(sql::PAYMENT, &params![id]).await?;
        let payment = read_payment(&row.ok_or(TreasuryError::NoPayment)?)?;
        let reason = format!("treasury:taken-back:{id}:{event}");
        let left = payment.amount.minor - payment.taken.minor;
        let minor = minor.clamp(0, left);
        let asset = payment.amount.asset;
        let nothing = TakenBack { from_customer: Amount::zero(asset), lost: Amount::zero(asset) };
        let is_known = tx.fetch_optional(sql::TAKING, &params![id, event]).await?.is_some();
        if is_known || minor == 0 {
            return Ok(nothing);
        }
        let before = payment.taken.minor;
        if tx.execute(sql::TAKE_BACK, &params![id, before, before + minor]).await? != 1 {
            return Err(TreasuryError::Damaged("a payment changed under its taking back"));
        }
        let now = self.now();
        tx.execute(sql::INSERT_TAKING, &params![id, event, minor, now]).await?;
        let Some(account) = payment.account else {
            Draft::new(asset)
                .debit(Account::UnmatchedReceipts, minor)
                .credit(payment.method.clearing(), minor)
                .post(tx, "treasury-taken-back", reason, now)
                .await?;
            return Ok(nothing);
        };
        let place = if payment.is_held() {
            Account::CustomerHeld(account)
        } else {
            Account::CustomerAvailable(account)
        };
        let taken = at_most(tx, &place, asset, minor).await?;
        Draft::new(asset)
            .debit(place, taken)
            .debit(Account::ChargeBacks, minor - taken)
            .credit(payment.method.clearing(), minor)
            .post(tx, "treasury-taken-back", reason, now)
            .await?;
        let (from_customer, lost) = (Amount::new(asset, taken), Amount::new(asset, minor - taken));
        Ok(TakenBack { from_customer, lost })
    }

    /// Pays the rest of an open invoice from its account's balance. One that is closed stays as it
    /// is.
    ///
    /// # Errors
    /// [`TreasuryError::NoInvoice`], [`TreasuryError::Closed`],
    /// [`LedgerError::InsufficientFunds`]; the books' and the database's.
    pub async fn pay_from_balance(&self, account: AccountId, id: InvoiceId) -> Result<Invoice> {
        let paid = transact!(self.0.store, tx -> Result<Invoice> => {
            let found = self.invoice_row(tx, id).await?.filter(|i| i.account == account);
            let invoice = found.ok_or(TreasuryError::NoInvoice)?;
            let now = self.now();
            // At a rate that is over nothing is paid, whether or not somebody has closed it yet.
            let is_over = matches!(invoice.purpose, Purpose::Conversion(c) if c.until < now);
            if !invoice.state.is_open() || invoice.purpose == Purpose::TopUp || is_over {
                return Err(TreasuryError::Closed);
            }
            let (asset, rest) = (invoice.asset(), invoice.amount.minor - invoice.confirmed.minor);
            let external = id.to_string();
            let payment = PaymentId::new(now, self.0.entropy.as_ref());
            let has = gruve_ledger::balance(tx, &Account::CustomerAvailable(account), asset).await?;
            if has.minor < rest {
                let missing = Amount::new(asset, rest - has.minor);
                let account = Account::CustomerAvailable(account).key();
                return Err(LedgerError::InsufficientFunds { account, available: has, missing }.into());
            }
            let values = params![
                payment, Method::Balance.word(), external.as_str(), asset, rest, id, account, "held", now
            ];
            tx.execute(sql::INSERT_PAYMENT, &values).await?;
            Draft::new(asset)
                .debit(Account::CustomerAvailable(account), rest)
                .credit(Account::CustomerHeld(account), rest)
                .post(tx, "treasury-from-balance", format!("treasury:from-balance:{id}"), now)
                .await?;
            self.refresh_invoice(tx, id, now).await?;
            self.passing("invoice paid from balance, before commit")?;
            self.invoice_row(tx, id).await?.ok_or(TreasuryError::NoInvoice)
        })?;
        self.passing("invoice paid from balance, after commit")?;
        Ok(paid)
    }

    /// A payment. Whose it is, the caller checks.
    ///
    /// # Errors
    /// The database's.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<Payment>> {
        let mut tx = self.0.store.read().await?;
        let row = tx.fetch_optional(sql::PAYMENT, &params![id]).await?;
        row.as_ref().map(read_payment).transpose()
    }

    /// An account's payments by these methods, newest first, 200 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn payments(&self, account: AccountId) -> Result<Vec<Payment>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::PAYMENTS_OF, &params![account]).await?;
        rows.iter().map(read_payment).collect()
    }

    /// A page of an account's payments: those that came before one of them, the newest first by their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn payments_before(
        &self,
        account: AccountId,
        before: Option<PaymentId>,
        limit: u32,
    ) -> Result<Vec<Payment>> {
        let before = before.unwrap_or(PaymentId::from_bytes([0xff; 16]));
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::PAYMENTS_BEFORE, &params![account, before, limit]).await?;
        rows.iter().map(read_payment).collect()
    }

    /// Where a payment goes.
    async fn place(&self, tx: &mut Tx, asset: Asset, whose: PayInFor) -> Result<Place> {
        let id = match whose {
            PayInFor::Nobody => {
                let books = Account::UnmatchedReceipts;
                return Ok(Place { invoice: None, account: None, credit: "none", books });
            }
            PayInFor::Account(account) => {
                let books = Account::CustomerAvailable(account);
                let account = Some(account);
                return Ok(Place { invoice: None, account, credit: "available", books });
            }
            PayInFor::Invoice(id) => id,
        };
        let invoice = self.invoice_row(tx, id).await?.ok_or(TreasuryError::NoInvoice)?;
        if invoice.asset() != asset {
            return Err(TreasuryError::OtherAsset { wanted: invoice.asset(), came: asset });
        }
        let is_held = matches!(invoice.purpose, Purpose::Contract(_)) && invoice.state.is_open();
        let (credit, books) = if is_held {
            ("held", Account::CustomerHeld(invoice.account))
        } else {
            ("available", Account::CustomerAvailable(invoice.account))
        };
        Ok(Place { invoice: Some(id), account: Some(invoice.account), credit, books })
    }
}

/// What a taking back came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// What the customer's balance gave.
    pub from_customer: Amount,
    /// What it no longer had.
    pub lost: Amount,
}

struct Place {
    invoice: Option<InvoiceId>,
    account: Option<AccountId>,
    credit: &'static str,
    books: Account,
}

pub(crate) async fn payment_by_name(
    tx: &mut Tx,
    method: Method,
    external: &str,
) -> Result<Option<Payment>> {
    let given = params![method.word(), external];
    tx.fetch_optional(sql::PAYMENT_BY_NAME, &given).await?.as_ref().map(read_payment).transpose()
}

async fn unmatched(tx: &mut Tx, id: PaymentId) -> Result<Payment> {
    let row = tx.fetch_optional(sql::PAYMENT, &params![id]).await?;
    let payment = row.as_ref().map(read_payment).transpose()?;
    let waits = |p: &Payment| p.account.is_none() && p.taken.minor == 0;
    payment.filter(waits).ok_or(TreasuryError::NoPayment)
}

pub(crate) fn read_payment(row: &Row) -> Result<Payment> {
    let asset: Asset = row.get("asset")?;
    Ok(Payment {
        id: row.get("id")?,
        method: row.get::<String>("method")?.parse()?,
        external: row.get("external")?,
        amount: Amount::new(asset, row.get("amount")?),
        taken: Amount::new(asset, row.get("taken")?),
        invoice: row.get("invoice")?,
        account: row.get("account")?,
        arrived: row.get("arrived_at")?,
        credit: row.get("credit")?,
    })
}
