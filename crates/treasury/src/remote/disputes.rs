//! Card payments given back, and disputed.
//!
//! A refund takes the money from the customer's balance first and asks the service then, by a key that
//! makes it happen once; what the service refuses goes back to the balance. Refunds and lost disputes
//! that were not asked for here are counted by what the service says in all. While a dispute is open
//! nothing leaves the account: what was bought with the payment, and what that earns, stays here.

use super::checkouts::service_error;
use super::client::Failed;
use crate::payments::payment_by_name;
use crate::{Method, Payment, Result, Treasury, TreasuryError, sql};
use gruve_ledger::{Account, Entry, LedgerError, Posting, balance};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, Amount, PaymentId};

/// Refunds asked for in one round.
const ROUND_MAX: u32 = 20;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 200;
/// What takings by refund are called, so that they can be told from lost disputes.
const REFUND: &str = "refund:";

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
            let own = Account::CustomerAvailable(account);
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
            let once = format!("gruve-refund-{refund}");
            let answer = stripe.refund(&intent, minor / asset.payable(), once).await;
            self.passing("refund answered")?;
            let state = match &answer {
                Ok(()) => "done",
                Err(Failed::Refused { .. }) => "refused",
                Err(Failed::NoAnswer(why)) => {
                    tracing::warn!(%refund, why, "a refund is not answered; it is asked again");
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
            if let Err(error) = answer {
                tracing::error!(%refund, %error, "a refund was refused; it is back in the balance");
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
                Posting::credit(Account::CustomerAvailable(account), amount),
            ],
        };
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    }

    /// Something was given back of a charge: what is not counted yet is taken back.
    pub(super) async fn look_at_charge(&self, charge: &str) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let seen = stripe.charge(charge).await.map_err(|e| service_error(Method::Card, &e))?;
        transact!(self.0.store, tx -> Result<()> => {
            let found = payment_by_name(tx, Method::Card, &seen.payment_intent).await?;
            let Some(payment) = found else { return Ok(()) };
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
        transact!(self.0.store, tx -> Result<()> => {
            let found = payment_by_name(tx, Method::Card, &seen.payment_intent).await?;
            let Some(payment) = found else { return Ok(()) };
            let Some(account) = payment.account else { return Ok(()) };
            let minor = seen.amount.saturating_mul(payment.amount.asset.payable());
            let now = self.now();
            let values = params![dispute, payment.id, account, payment.amount.asset, minor, now];
            tx.execute(sql::OPEN_DISPUTE, &values).await?;
            let Some(is_lost) = seen.lost else { return Ok(()) };
            let state = if is_lost { "lost" } else { "won" };
            let closed = tx.execute(sql::CLOSE_DISPUTE, &params![dispute, state, now]).await?;
            if is_lost && closed == 1 {
                self.take_back(tx, payment.id, minor, &format!("dispute:{dispute}")).await?;
            }
            self.passing("dispute booked, before commit")?;
            Ok(())
        })
    }

    /// Whether a dispute about a payment of the account is open.
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
