//! What waits for a person, and that person's word.

use crate::books::Draft;
use crate::remote::turnover::{operators_own, under_way};
use crate::{Method, PayInFor, Result, Treasury, TreasuryError, sql};
use gruve_ledger::Account;
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{AccountId, Amount, Asset, BankEntryId, PaymentId, Timestamp};

/// Entries of one list at most.
const LIST_MAX: u32 = 200;
/// Characters of a person's reason.
const REASON_CHARS_MAX: usize = 200;

/// An entry as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankEntryView {
    /// Its id.
    pub id: BankEntryId,
    /// The operator's account.
    pub bank: String,
    /// The statement it stood in.
    pub statement: String,
    /// The bank's reference.
    pub own_ref: Option<String>,
    /// How much, below zero where it left the account; none where it could not be read.
    pub amount: Option<Amount>,
    /// The booking's day.
    pub booked_on: String,
    /// Who paid, or was paid.
    pub payer: String,
    /// From which account, or to which.
    pub payer_account: String,
    /// What the payer wrote.
    pub text: String,
    /// Why it waits.
    pub reason: String,
    /// When it was read.
    pub arrived: Timestamp,
    payment: Option<PaymentId>,
}

/// A person's word on an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BankWord {
    /// It is this invoice's or this account's.
    Belongs(PayInFor),
    /// The bank takes this payment back, by so much as the entry says.
    TakesBack(PaymentId),
    /// The money goes back to whoever sent it; the transfer is made at the bank, and its entry is under way then.
    SentBack,
    /// The bank's own: its charges, or interest.
    Charges,
    /// The operator's own money, that he has put into the account or taken out of it.
    Own,
    /// Money that the books have under way: a service's payout, or what was sent back.
    UnderWay,
    /// This account's balance was paid out by it.
    PaidOut(AccountId),
    /// There is nothing to do about it: it was the same as another, or concerns nobody's balance.
    Dismissed,
}

impl Treasury {
    /// Entries that wait, oldest first, 200 at most.
    ///
    /// # Errors
    /// The database's.
    pub async fn bank_entries_waiting(&self) -> Result<Vec<BankEntryView>> {
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::BANK_ENTRIES_WAITING, &params![LIST_MAX]).await?;
        rows.iter().map(read_view).collect()
    }

    /// A page of them by their ids: those after one of them.
    ///
    /// # Errors
    /// The database's.
    pub async fn bank_entries_after(
        &self,
        after: Option<BankEntryId>,
        limit: u32,
    ) -> Result<Vec<BankEntryView>> {
        let after = after.unwrap_or(BankEntryId::from_bytes([0; 16]));
        let mut tx = self.0.store.read().await?;
        let rows = tx.fetch_all(sql::BANK_ENTRIES_AFTER, &params![after, limit]).await?;
        rows.iter().map(read_view).collect()
    }

    /// How many wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn count_bank_entries_waiting(&self) -> Result<u64> {
        let mut tx = self.0.store.read().await?;
        Ok(tx.fetch_one(sql::COUNT_BANK_WAITING, &[]).await?.get("n")?)
    }

    /// Carries a person's word out. `why` is kept with the entry.
    ///
    /// # Errors
    /// [`TreasuryError::NoPayment`] when it waits no more, or could not be read and so has no money
    /// to place; as [`Treasury::take_payment`].
    pub async fn decide_bank_entry(
        &self,
        id: BankEntryId,
        word: &BankWord,
        why: &str,
    ) -> Result<()> {
        let why: String = why.chars().take(REASON_CHARS_MAX).collect();
        transact!(self.0.store, tx -> Result<()> => {
            let row = tx.fetch_optional(sql::BANK_ENTRY, &params![id]).await?;
            let row = row.ok_or(TreasuryError::NoPayment)?;
            if row.get::<String>("state")? != "waiting" {
                return Err(TreasuryError::NoPayment);
            }
            let entry = read_view(&row)?;
            let mut payment = entry.payment;
            let state = match word {
                BankWord::Belongs(whose) => {
                    match payment {
                        Some(known) => self.match_payment(tx, known, *whose).await?,
                        None => {
                            let amount = entry.amount.ok_or(TreasuryError::NoPayment)?;
                            let external = id.to_string();
                            let taken = self
                                .take_payment(tx, Method::Bank, &external, amount, *whose)
                                .await?;
                            payment = Some(taken.0);
                        }
                    }
                    "matched"
                }
                BankWord::TakesBack(from) => {
                    let minor = entry.amount.map_or(0, |a| a.minor);
                    let row = tx.fetch_optional(sql::PAYMENT, &params![*from]).await?;
                    let row = row.ok_or(TreasuryError::NoPayment)?;
                    let of: (String, Asset) = (row.get("method")?, row.get("asset")?);
                    let is_banks = of.0 == Method::Bank.word()
                        && entry.amount.is_some_and(|a| a.asset == of.1);
                    // More than is left of it was not of this payment alone: the rest would be booked nowhere.
                    let payment = crate::payments::read_payment(&row)?;
                    let left = payment.amount.minor - payment.taken.minor;
                    if minor >= 0 || !is_banks || minor.saturating_neg() > left {
                        return Err(TreasuryError::NoPayment);
                    }
                    self.take_back(tx, *from, minor.saturating_neg(), &id.to_string()).await?;
                    "taken-back"
                }
                BankWord::SentBack => {
                    self.send_back(tx, payment.ok_or(TreasuryError::NoPayment)?).await?;
                    "sent-back"
                }
                BankWord::Dismissed if payment.is_some() => return Err(TreasuryError::NoPayment),
                BankWord::Dismissed => {
                    self.leave_out(tx, &entry, row.get("at_start")?).await?;
                    "dismissed"
                }
                BankWord::Charges => {
                    self.settle_entry(tx, &entry, Account::NetworkFees).await?;
                    "charges"
                }
                BankWord::Own => {
                    self.settle_entry(tx, &entry, operators_own()).await?;
                    "own"
                }
                BankWord::UnderWay => {
                    self.settle_entry(tx, &entry, under_way()).await?;
                    "under-way"
                }
                BankWord::PaidOut(account) => {
                    if entry.amount.is_none_or(|a| a.minor >= 0) {
                        return Err(TreasuryError::NoPayment);
                    }
                    let whose = Account::CustomerAvailable(*account);
                    self.settle_entry(tx, &entry, whose).await?;
                    "paid-out"
                }
            };
            let values = params![id, state, payment, why.as_str(), self.now()];
            if tx.execute(sql::DECIDE_BANK_ENTRY, &values).await? != 1 {
                return Err(TreasuryError::NoPayment);
            }
            Ok(())
        })
    }
}

impl Treasury {
    /// Books an entry that is no customer's pay-in against what it was: what came waits among unmatched receipts,
    /// what left is not booked yet.
    async fn settle_entry(&self, tx: &mut Tx, entry: &BankEntryView, with: Account) -> Result<()> {
        let amount = entry.amount.ok_or(TreasuryError::NoPayment)?;
        let minor = amount.minor.saturating_abs();
        // What came stands on the credit side of unmatched receipts; of the rest the bank's side is posted, too.
        let (debit, credit) = match (entry.payment, amount.minor > 0) {
            (Some(payment), _) => {
                self.close_unmatched(tx, payment).await?;
                (Account::UnmatchedReceipts, with)
            }
            (None, true) => (Method::Bank.clearing(), with),
            (None, false) => (with, Method::Bank.clearing()),
        };
        let draft = Draft::new(amount.asset).debit(debit, minor).credit(credit, minor);
        let reason = format!("treasury:bank-entry:{}", entry.id);
        draft.post(tx, "treasury-bank-entry", reason, self.now()).await
    }
}

fn read_view(row: &Row) -> Result<BankEntryView> {
    let asset: Option<Asset> = row.get("asset")?;
    let minor: Option<i64> = row.get("amount")?;
    Ok(BankEntryView {
        id: row.get("id")?,
        bank: row.get("bank")?,
        statement: row.get("statement")?,
        own_ref: row.get("own_ref")?,
        amount: asset.zip(minor).map(|(asset, minor)| Amount::new(asset, minor)),
        booked_on: row.get("booked_on")?,
        payer: row.get("payer")?,
        payer_account: row.get("payer_account")?,
        text: row.get("note")?,
        reason: row.get::<Option<String>>("reason")?.unwrap_or_default(),
        arrived: row.get("arrived_at")?,
        payment: row.get("payment")?,
    })
}
