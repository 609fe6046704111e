//! Card payments given back, and disputed.
//!
//! A refund takes the money from the customer's balance first and asks the service then, by a key that
//! makes it happen once; what the service refuses goes back to the balance. Refunds and lost disputes
//! that were not asked for here are counted by what the service says in all. While a dispute is open
//! nothing leaves the account, and the room above is told: it freezes what was bought with the payment.
//! A payment that came after its invoice was closed bought nothing, and freezes nothing.

use super::checkouts::service_error;
use super::client::Failed;
use super::stripe::Stripe;
use crate::payments::payment_by_name;
use crate::{Dispute, DisputeStands, Method, Payment, Result, Treasury, TreasuryError, sql};
use gruve_ledger::{Account, Entry, LedgerError, Posting, balance};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Amount, Blame, Duration, PaymentId};

/// An open dispute is looked at so often, webhook or not: they take weeks.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 3_600);
/// Refunds asked for, and disputes looked at, in one round.
const ROUND_MAX: u32 = 20;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 200;
/// What takings by refund are called, so that they can be told from lost disputes.
const REFUND: &str = "refund:";

/// How long the service surely remembers a key by which a thing is made once: Stripe states 24 hours.
const KEYS_KEPT: Duration = Duration::from_secs(20 * 3_600);

/// Where a payment's money was put, and is taken from.
fn place_of(payment: &Payment, account: AccountId) -> Account {
    if payment.is_held() {
        Account::CustomerHeld(account)
    } else {
        Account::CustomerAvailable(account)
    }
}

async fn is_open(tx: &mut Tx, dispute: &str) -> Result<bool> {
    let row = tx.fetch_one(sql::DISPUTE, &params![dispute]).await?;
    Ok(row.get::<String>("state")? == "open")
}

fn not_booked() -> TreasuryError {
    let why = "the payment it is about is not booked yet".into();
    TreasuryError::Service { method: Method::Card, why, is_refused: false }
}

/// Asks for a refund that may have been asked for before: what the service says of it now. Its no to a
/// second asking is none to the first, whose answer may have been lost.
async fn ask_once(
    stripe: &Stripe,
    intent: &str,
    name: &str,
    cents: i64,
    is_old: bool,
) -> std::result::Result<bool, Failed> {
    if is_old && let Some(is_given) = stripe.refund_named(intent, name).await? {
        return Ok(is_given);
    }
    match stripe.refund(intent, cents, name).await {
        Err(refused @ Failed::Refused { .. }) => {
            stripe.refund_named(intent, name).await?.ok_or(refused)
        }
        answer => answer,
    }
}

impl Treasury {
    /// Gives a card payment back, in part or whole, out of its account's balance; `reason` is kept.
    /// `taken` is what was taken back of it before, as whoever asks has seen it: asked twice it is
    /// given once.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayment`] when it is no card payment, less is left of it, or something was
    /// taken back meanwhile;
    /// [`LedgerError::InsufficientFunds`] when the balance has not so much; the database's. The
    /// service's trouble is none: it is asked again.
    pub async fn refund(
        &self,
        id: PaymentId,
        amount: Amount,
        taken: Amount,
        reason: &str,
    ) -> Result<()> {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        transact!(self.0.store, tx -> Result<()> => {
            let payment = self.payment_row(tx, id).await?.ok_or(TreasuryError::NoPayment)?;
            let left = payment.amount.minor - payment.taken.minor;
            let fits = amount.asset == payment.amount.asset
                && taken == payment.taken
                && amount.minor % amount.asset.payable() == 0
                && (1..=left).contains(&amount.minor);
            let account = payment.account.filter(|_| payment.method == Method::Card && fits);
            let account = account.ok_or(TreasuryError::NoPayment)?;
            let own = place_of(&payment, account);
            let has = balance(tx, &own, amount.asset).await?;
            if has.minor < amount.minor {
                let missing = Amount::new(amount.asset, amount.minor - has.minor);
                let account = own.key();
                return Err(LedgerError::InsufficientFunds { account, available: has, missing }.into());
            }
            let refund = PaymentId::new(self.now(), self.0.entropy.as_ref());
            let values = params![refund, id, amount.minor, reason.as_str(), self.now()];
            tx.execute(sql::INSERT_REFUND, &values).await?;
            self.take_back(tx, id, amount.minor, &format!("{REFUND}{refund}")).await?;
            self.passing("refund asked, before commit")?;
            Ok(())
        })?;
        self.passing("refund asked, after commit")?;
        self.ask_refunds().await
    }

    /// Asks the service for refunds it has not answered.
    pub(super) async fn ask_refunds(&self) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let asked = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_all(sql::REFUNDS_ASKED, &params![ROUND_MAX]).await?
        };
        for row in asked {
            let (refund, id): (PaymentId, PaymentId) = (row.get("id")?, row.get("payment")?);
            let minor: i64 = row.get("amount")?;
            let name: String = row.get("external")?;
            let asset: gruve_units::Asset = row.get("asset")?;
            let intent = name.split('/').next().unwrap_or_default().to_owned();
            let is_old = self.now().since(row.get("asked_at")?) > KEYS_KEPT;
            let cents = minor / asset.payable();
            let answer = ask_once(stripe, &intent, &refund.to_string(), cents, is_old).await;
            self.passing("refund answered")?;
            let state = match &answer {
                Ok(true) => "done",
                Ok(false) | Err(Failed::Refused { .. }) => "refused",
                Err(error @ (Failed::NoAnswer(_) | Failed::TooLong)) => {
                    tracing::warn!(%refund, %error, "a refund is not answered; it is asked again");
                    continue;
                }
            };
            transact!(self.0.store, tx -> Result<()> => {
                if tx.execute(sql::END_REFUND, &params![refund, state]).await? == 1
                    && state == "refused"
                {
                    self.undo_refund(tx, refund, id, Amount::new(asset, minor)).await?;
                }
                Ok(())
            })?;
            if state == "refused" {
                tracing::error!(%refund, ?answer, "a refund was refused; its money is back here");
            }
        }
        Ok(())
    }

    /// What the service would not give back is the customer's again.
    async fn undo_refund(
        &self,
        tx: &mut Tx,
        refund: PaymentId,
        id: PaymentId,
        amount: Amount,
    ) -> Result<()> {
        let payment = self.payment_row(tx, id).await?.ok_or(TreasuryError::NoPayment)?;
        let account = payment.account.ok_or(TreasuryError::NoPayment)?;
        let before = payment.taken.minor;
        tx.execute(sql::TAKE_BACK, &params![id, before, before - amount.minor]).await?;
        let event = format!("{REFUND}{refund}");
        tx.execute(sql::DELETE_TAKING, &params![id, event.as_str()]).await?;
        let entry = Entry {
            reason: format!("treasury:refund-undone:{refund}"),
            kind: "treasury-refund-undone",
            at: self.now(),
            postings: vec![
                Posting::debit(Account::Clearing(payment.method.word().to_owned()), amount),
                // Where it was taken from: for an open invoice it is held again.
                Posting::credit(place_of(&payment, account), amount),
            ],
        };
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    }

    /// A refund changed: one of ours that the service took on may fail later, and its money is back.
    pub(super) async fn look_at_refund(&self, refund: &str) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let seen = stripe.refund_at(refund).await.map_err(|e| service_error(Method::Card, &e))?;
        let (Some(name), false) = seen else { return Ok(()) };
        let Ok(refund) = name.parse::<PaymentId>() else { return Ok(()) };
        transact!(self.0.store, tx -> Result<()> => {
            if tx.execute(sql::FAIL_REFUND, &params![refund]).await? == 1 {
                let row = tx.fetch_one(sql::REFUND, &params![refund]).await?;
                let (asset, minor) = (row.get("asset")?, row.get("amount")?);
                let amount = Amount::new(asset, minor);
                self.undo_refund(tx, refund, row.get("payment")?, amount).await?;
                tracing::error!(%refund, "a refund failed at the service; its money is back here");
            }
            Ok(())
        })
    }

    /// Something was given back of a charge: what is not counted yet is taken back.
    pub(super) async fn look_at_charge(&self, charge: &str) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let seen = stripe.charge(charge).await.map_err(|e| service_error(Method::Card, &e))?;
        if !self.is_ours(stripe, &seen.payment_intent).await? {
            return Ok(());
        }
        transact!(self.0.store, tx -> Result<()> => {
            let found = payment_by_name(tx, Method::Card, &seen.payment_intent).await?;
            let payment = found.ok_or_else(not_booked)?;
            let all = seen.given_back.saturating_mul(payment.amount.asset.payable());
            let like = format!("{REFUND}%");
            let row = tx.fetch_one(sql::TAKEN_SO_FAR, &params![payment.id, like.as_str()]).await?;
            let counted: i64 = row.get("minor")?;
            if all > counted {
                let event = format!("{REFUND}{charge}:{all}");
                self.take_back(tx, payment.id, all - counted, &event).await?;
            }
            Ok(())
        })
    }

    /// A dispute was opened, changed or closed.
    pub(super) async fn look_at_dispute(&self, dispute: &str) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let seen = stripe.dispute(dispute).await.map_err(|e| service_error(Method::Card, &e))?;
        if !self.is_ours(stripe, &seen.payment_intent).await? {
            return Ok(());
        }
        transact!(self.0.store, tx -> Result<()> => {
            let found = payment_by_name(tx, Method::Card, &seen.payment_intent).await?;
            let payment = found.ok_or_else(not_booked)?;
            let Some(account) = payment.account else { return Ok(()) };
            let minor = seen.amount.saturating_mul(payment.amount.asset.payable());
            let now = self.now();
            let values = params![dispute, payment.id, account, payment.amount.asset, minor, now];
            tx.execute(sql::OPEN_DISPUTE, &values).await?;
            let stands = match seen.lost {
                // One that has an end here keeps it, whatever an old answer says.
                None => is_open(tx, dispute).await?.then_some(DisputeStands::Open),
                Some(is_lost) => self.close_dispute(tx, (dispute, &payment), minor, is_lost).await?,
            };
            if let Some(stands) = stands {
                self.tell_of_dispute(tx, &payment, Dispute { name: dispute, stands }).await?;
            }
            self.passing("dispute booked, before commit")?;
            Ok(())
        })
    }

    /// Books a dispute's end, once; what that was if it is new.
    async fn close_dispute(
        &self,
        tx: &mut Tx,
        (dispute, payment): (&str, &Payment),
        minor: i64,
        is_lost: bool,
    ) -> Result<Option<DisputeStands>> {
        let state = if is_lost { "lost" } else { "won" };
        let closed = tx.execute(sql::CLOSE_DISPUTE, &params![dispute, state, self.now()]).await?;
        match (closed, is_lost) {
            (1, false) => Ok(Some(DisputeStands::Won)),
            (1, true) => {
                let event = format!("dispute:{dispute}");
                let taken = self.take_back(tx, payment.id, minor, &event).await?;
                if taken.lost.minor > 0 {
                    // What was delivered for it still earns: nothing leaves until somebody decides so.
                    tx.execute(sql::OWE_DISPUTE, &params![dispute]).await?;
                }
                Ok(Some(DisputeStands::Lost(taken.lost)))
            }
            _ => Ok(None),
        }
    }

    /// Tells the room above of a dispute about what an invoice was paid with.
    async fn tell_of_dispute(
        &self,
        tx: &mut Tx,
        payment: &Payment,
        dispute: Dispute<'_>,
    ) -> Result<()> {
        let Some(sink) = self.0.sink.get() else { return Ok(()) };
        let Some(row) = tx.fetch_optional(sql::PAID_WITH, &params![payment.id]).await? else {
            return Ok(());
        };
        let Some(invoice) = self.invoice_row(tx, row.get("id")?).await? else { return Ok(()) };
        tx.execute(sql::SAVE, &[]).await?;
        match sink.disputed(tx, &invoice, &dispute).await {
            Ok(()) => {}
            Err(e) if e.blame == Blame::Rejected => {
                tracing::error!(
                    invoice = %invoice.id, dispute = dispute.name, error = %e,
                    "a payment is disputed, and what it paid for goes on"
                );
                tx.execute(sql::BACK_TO_SAVED, &[]).await?;
            }
            Err(e) => return Err(TreasuryError::Sink(e)),
        }
        tx.execute(sql::FORGET_SAVED, &[]).await?;
        Ok(())
    }

    /// Asks how the open disputes stand that nothing was heard of for a while: one whose end nobody told would
    /// hold its account for ever.
    pub(super) async fn look_at_disputes(&self) -> Result<()> {
        if self.0.services.stripe.is_none() {
            return Ok(());
        }
        let now = self.now();
        let due = {
            let mut tx = self.0.store.read().await?;
            tx.fetch_all(sql::DISPUTES_DUE, &params![now.minus(LOOK_EVERY), ROUND_MAX]).await?
        };
        for row in due {
            let dispute: String = row.get("external")?;
            // Noted before: one that cannot be looked at does not fill every round.
            transact!(self.0.store, tx -> Result<()> => {
                tx.execute(sql::DISPUTE_LOOKED_AT, &params![dispute.as_str(), now]).await?;
                Ok(())
            })?;
            match self.look_at_dispute(&dispute).await {
                Err(TreasuryError::Service { why, .. }) => {
                    tracing::warn!(dispute, why, "a dispute could not be looked at");
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Lets an account whose lost disputes were more than it had withdraw again; whether there were any.
    ///
    /// # Errors
    /// The database's.
    pub async fn release_disputes(&self, account: AccountId) -> Result<bool> {
        let released = transact!(self.0.store, tx -> Result<u64> => {
            Ok(tx.execute(sql::RELEASE_DISPUTES, &params![account]).await?)
        })?;
        Ok(released > 0)
    }

    /// Whether a dispute about a payment of the account is open, or was lost for more than the account
    /// had and is not released.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_disputed(&self, account: AccountId) -> Result<bool> {
        let mut tx = self.0.store.read().await?;
        Ok(tx.fetch_optional(sql::DISPUTED, &params![account]).await?.is_some())
    }

    async fn payment_row(&self, tx: &mut Tx, id: PaymentId) -> Result<Option<Payment>> {
        let row = tx.fetch_optional(sql::PAYMENT, &params![id]).await?;
        row.as_ref().map(crate::payments::read_payment).transpose()
    }
}
