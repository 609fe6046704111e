//! Places to pay, as the books know them: opened, looked at, counted.

use super::client::Failed;
use super::stripe::{About, Stripe, read_event};
use super::{Looked, Wants};
use crate::payments::payment_by_name;
use crate::{Invoice, Method, PayInFor, Purpose, Result, Treasury, TreasuryError, sql};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Duration, InvoiceId, Timestamp};

/// Places of one invoice at most: each costs the service's time.
const ATTEMPTS_MAX: u32 = 10;
/// An open place is looked at after a minute, and then ever more rarely: after a tenth of its age.
const LOOK_AFTER: Duration = Duration::from_secs(60);
const LOOK_PART: u32 = 10;
/// A place of which nothing came is given up after so long; a webhook is heard all the same.
const GIVE_UP_AFTER: Duration = Duration::from_secs(4 * 86_400);
/// No place takes payments for longer.
const OPEN_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Places looked at in one round.
const ROUND_MAX: u32 = 50;
/// How long an event's id is remembered: longer than any service delivers again.
const REMEMBER: Duration = Duration::from_secs(30 * 86_400);

/// What a webhook came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was taken, now or before, or is nothing of ours: the service need not say it again.
    Yes,
    /// Its signature is not right, or it is too old.
    NotSigned,
    /// It is signed and cannot be read.
    Unreadable,
    /// What it is about could not be looked at: the service should say it again.
    Later,
}

/// What one round of looking came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polled {
    /// Places looked at.
    pub looked: u32,
    /// Payments booked.
    pub booked: u32,
    /// Places that could not be looked at.
    pub failed: u32,
}

/// A place that is known.
struct Known {
    method: Method,
    external: String,
    invoice: InvoiceId,
    state: String,
    came: i64,
    opened: Timestamp,
}

impl Treasury {
    /// The methods at other services by which an invoice can be paid now.
    #[must_use]
    pub fn checkouts_for(&self, invoice: &Invoice) -> Vec<Method> {
        let mut methods = Vec::new();
        // What is paid elsewhere is told late: a rate that counts for minutes would be over.
        if !invoice.state.is_open() || matches!(invoice.purpose, Purpose::Conversion(_)) {
            return methods;
        }
        if self.0.services.stripe.as_ref().is_some_and(|s| s.takes(invoice.asset())) {
            methods.push(Method::Card);
        }
        if self.0.services.btcpay.as_ref().is_some_and(|b| b.takes(invoice.asset())) {
            methods.push(Method::BtcPay);
        }
        methods
    }

    /// Where an invoice is paid by a method: the place that is open, or a new one.
    ///
    /// # Errors
    /// [`TreasuryError::NoInvoice`], [`TreasuryError::Closed`] also when the method is not offered for
    /// it, [`TreasuryError::BegunOften`], [`TreasuryError::Service`]; the database's.
    pub async fn open_checkout(
        &self,
        account: AccountId,
        id: InvoiceId,
        method: Method,
    ) -> Result<String> {
        let (invoice, open, attempt) = {
            let mut tx = self.0.store.read().await?;
            let found = self.invoice_row(&mut tx, id).await?.filter(|i| i.account == account);
            let invoice = found.ok_or(TreasuryError::NoInvoice)?;
            let rows = tx.fetch_all(sql::CHECKOUTS_OF, &params![method.word(), id]).await?;
            let open: Option<String> =
                still_open(&rows, self.now()).map(|r| r.get("url")).transpose()?;
            (invoice, open, u32::try_from(rows.len()).unwrap_or(u32::MAX))
        };
        if !self.checkouts_for(&invoice).contains(&method) {
            return Err(TreasuryError::Closed);
        }
        if let Some(url) = open {
            return Ok(url);
        }
        if attempt >= ATTEMPTS_MAX {
            return Err(TreasuryError::BegunOften { limit: ATTEMPTS_MAX });
        }
        let now = self.now();
        let rest = Invoice {
            amount: Amount::new(
                invoice.asset(),
                invoice.amount.minor - invoice.received.minor.min(invoice.amount.minor - 1),
            ),
            ..invoice.clone()
        };
        let wants = Wants {
            invoice: id,
            attempt,
            amount: rest.to_pay(),
            reference: invoice.address.clone(),
            expires: invoice.expires,
        };
        let place = match (method, &self.0.services.stripe, &self.0.services.btcpay) {
            (Method::Card, Some(stripe), _) => stripe.open(&wants, now).await,
            (Method::BtcPay, _, Some(btcpay)) => btcpay.open(&wants, now).await,
            _ => return Err(TreasuryError::Closed),
        };
        let place = place.map_err(|e| service_error(method, &e))?;
        self.passing("checkout opened, before commit")?;
        let values = params![
            method.word(),
            place.external.as_str(),
            id,
            attempt,
            place.url.as_str(),
            now,
            now.plus(LOOK_AFTER)
        ];
        transact!(self.0.store, tx -> Result<()> => {
            tx.execute(sql::INSERT_CHECKOUT, &values).await?;
            Ok(())
        })?;
        // Who opened at the same time leads to the place that stands.
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::CHECKOUTS_OF, &params![method.word(), id]).await?;
        Ok(still_open(&rows, now).map(|r| r.get("url")).transpose()?.unwrap_or(place.url))
    }

    /// Hears a webhook of the card service: its header `Stripe-Signature` and its body.
    ///
    /// # Errors
    /// The books' and the database's.
    pub async fn hear_card(&self, signature: &str, body: &[u8]) -> Result<Heard> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(Heard::NotSigned) };
        if !stripe.has_signed(signature, body, self.now()) {
            return Ok(Heard::NotSigned);
        }
        let Ok((event, about)) = read_event(body) else { return Ok(Heard::Unreadable) };
        if self.has_heard(Method::Card, &event).await? {
            return Ok(Heard::Yes);
        }
        let done = match &about {
            About::Nothing => Ok(()),
            About::Session(session) => self.look_at(Method::Card, session).await.map(drop),
            About::Charge(charge) => self.look_at_charge(charge).await,
            About::Refund(refund) => self.look_at_refund(refund).await,
            About::Dispute(dispute) => self.look_at_dispute(dispute).await,
        };
        self.heard(Method::Card, &event, done).await
    }

    /// Hears a webhook of the BTCPay Server: its header `BTCPay-Sig` and its body.
    ///
    /// # Errors
    /// The books' and the database's.
    pub async fn hear_btcpay(&self, signature: &str, body: &[u8]) -> Result<Heard> {
        let Some(btcpay) = &self.0.services.btcpay else { return Ok(Heard::NotSigned) };
        if !btcpay.has_signed(signature, body) {
            return Ok(Heard::NotSigned);
        }
        let Ok((event, about)) = btcpay.read_event(body) else { return Ok(Heard::Unreadable) };
        if self.has_heard(Method::BtcPay, &event).await? {
            return Ok(Heard::Yes);
        }
        let done = match &about {
            Some(invoice) => self.look_at(Method::BtcPay, invoice).await.map(drop),
            None => Ok(()),
        };
        self.heard(Method::BtcPay, &event, done).await
    }

    async fn has_heard(&self, method: Method, event: &str) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        Ok(tx.fetch_optional(sql::HEARD, &params![method.word(), event]).await?.is_some())
    }

    async fn heard(&self, method: Method, event: &str, done: Result<()>) -> Result<Heard> {
        match done {
            Ok(()) => {}
            Err(TreasuryError::Service { why, .. }) => {
                tracing::warn!(%method, event, why, "a webhook is heard later");
                return Ok(Heard::Later);
            }
            Err(e) => return Err(e),
        }
        let now = self.now();
        transact!(self.0.store, tx -> Result<()> => {
            tx.execute(sql::HEAR, &params![method.word(), event, now]).await?;
            tx.execute(sql::FORGET_HEARD, &params![now.minus(REMEMBER)]).await?;
            Ok(())
        })?;
        Ok(Heard::Yes)
    }

    /// Looks at the places that are due, whatever webhooks said or did not say, and asks again for
    /// refunds that were not answered.
    ///
    /// # Errors
    /// The books' and the database's.
    pub async fn poll_checkouts(&self) -> Result<Polled> {
        let mut polled = Polled::default();
        let due = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_all(sql::CHECKOUTS_DUE, &params![self.now(), ROUND_MAX]).await?
        };
        for row in due {
            let (method, external): (String, String) = (row.get("method")?, row.get("external")?);
            let (method, opened): (Method, Timestamp) = (method.parse()?, row.get("opened_at")?);
            polled.looked += 1;
            match self.look_at(method, &external).await {
                Ok(booked) => polled.booked += u32::from(booked),
                Err(e @ TreasuryError::BrokenOff(_)) => return Err(e),
                Err(error) => {
                    polled.failed += 1;
                    tracing::warn!(%method, %error, "a checkout could not be looked at");
                    // One that never answers neither fills every round nor is asked for ever.
                    let age = self.now().since(opened);
                    let next = self.now().plus(LOOK_AFTER.max(age / LOOK_PART));
                    let state = if age > GIVE_UP_AFTER { "over" } else { "open" };
                    let values = params![method.word(), external.as_str(), next, state];
                    transact!(self.0.store, tx -> Result<()> => {
                        tx.execute(sql::LOOK_LATER, &values).await?;
                        Ok(())
                    })?;
                }
            }
        }
        self.ask_refunds().await?;
        self.look_at_disputes().await?;
        self.read_missed().await?;
        self.read_turnover().await?;
        Ok(polled)
    }

    /// Whether a card payment was made at a place of ours. One that is not booked yet is looked at first,
    /// so that what is told of it in another order finds it booked.
    pub(super) async fn is_ours(&self, stripe: &Stripe, payment_intent: &str) -> Result<bool> {
        let is_booked = {
            let mut tx = self.0.store.read().await?;
            payment_by_name(&mut tx, Method::Card, payment_intent).await?.is_some()
        };
        if is_booked {
            return Ok(true);
        }
        let failed = |e: Failed| service_error(Method::Card, &e);
        let Some(session) = stripe.session_of(payment_intent).await.map_err(failed)? else {
            return Ok(false);
        };
        let known = {
            let mut tx = self.0.store.read().await?;
            find(&mut tx, Method::Card, &session).await?
        };
        if known.is_none() {
            return Ok(false);
        }
        self.look_at(Method::Card, &session).await?;
        Ok(true)
    }

    /// Asks the service how a place stands and books what is new; whether anything was.
    async fn look_at(&self, method: Method, external: &str) -> Result<bool> {
        let known = {
            let mut tx = self.0.store.read().await?;
            find(&mut tx, method, external).await?
        };
        // Places that others have opened with the same keys are none of ours.
        if known.is_none() {
            return Ok(false);
        }
        let looked = match (method, &self.0.services.stripe, &self.0.services.btcpay) {
            (Method::Card, Some(stripe), _) => stripe.look(external).await,
            (Method::BtcPay, _, Some(btcpay)) => btcpay.look(external).await,
            _ => {
                let why = "it stands in the configuration no more".into();
                return Err(TreasuryError::Service { method, why, is_refused: false });
            }
        };
        let looked = looked.map_err(|e| service_error(method, &e))?;
        self.passing("checkout looked at")?;
        let booked = transact!(self.0.store, tx -> Result<bool> => {
            let Some(known) = find(tx, method, external).await? else { return Ok(false) };
            let booked = self.count(tx, &known, &looked).await?;
            self.passing("checkout booked, before commit")?;
            Ok(booked)
        })?;
        self.passing("checkout booked, after commit")?;
        Ok(booked)
    }

    /// Books what came beyond what is booked.
    async fn count(&self, tx: &mut Tx, known: &Known, looked: &Looked) -> Result<bool> {
        let now = self.now();
        let mut came = known.came;
        let mut booked = false;
        if let Some((amount, name)) = &looked.came
            && amount.minor > came
        {
            let invoice = self.invoice_row(tx, known.invoice).await?;
            let invoice = invoice.ok_or(TreasuryError::NoInvoice)?;
            let new = Amount::new(amount.asset, amount.minor - came);
            // In another currency than was asked for it is the customer's all the same.
            let whose = if invoice.asset() == amount.asset {
                PayInFor::Invoice(invoice.id)
            } else {
                tracing::error!(invoice = %invoice.id, %amount, "paid in another currency");
                PayInFor::Account(invoice.account)
            };
            // The first keeps the service's name: by it refunds and disputes find it.
            let external = if came == 0 { name.clone() } else { format!("{name}/{came}") };
            booked = self.take_payment(tx, known.method, &external, new, whose).await?.1;
            came = amount.minor;
        }
        let age = now.since(known.opened);
        let is_over = looked.is_over || (known.state == "open" && age > GIVE_UP_AFTER);
        let state = if is_over { "over" } else { known.state.as_str() };
        let look_at = now.plus(LOOK_AFTER.max(age / LOOK_PART));
        let values =
            params![known.method.word(), known.external.as_str(), known.came, came, state, look_at];
        if tx.execute(sql::COUNT_CHECKOUT, &values).await? != 1 {
            return Err(TreasuryError::Damaged("a checkout changed under its counting"));
        }
        Ok(booked)
    }
}

/// The place where one can still pay: the newest that is open and younger than a day, the longest that
/// either service keeps one. An older one is only looked at, for what came late.
fn still_open(rows: &[Row], now: Timestamp) -> Option<&Row> {
    let is_open = |r: &&Row| {
        r.get::<String>("state").is_ok_and(|s| s == "open")
            && r.get::<Timestamp>("opened_at").is_ok_and(|at| now.since(at) < OPEN_MAX)
    };
    rows.iter().rev().find(is_open)
}

async fn find(tx: &mut Tx, method: Method, external: &str) -> Result<Option<Known>> {
    let row = tx.fetch_optional(sql::CHECKOUT, &params![method.word(), external]).await?;
    row.map(|row: Row| {
        Ok(Known {
            method,
            external: external.to_owned(),
            invoice: row.get("invoice")?,
            state: row.get("state")?,
            came: row.get("came")?,
            opened: row.get("opened_at")?,
        })
    })
    .transpose()
}

pub(super) fn service_error(method: Method, e: &Failed) -> TreasuryError {
    let is_refused = matches!(e, Failed::Refused { .. });
    TreasuryError::Service { method, why: e.to_string(), is_refused }
}
