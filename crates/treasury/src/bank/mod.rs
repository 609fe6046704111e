//! Bank accounts of the operator: where customers transfer money to, and reading what came.
//!
//! An invoice in money that banks keep has a reference ([`reference`]) in place of an address. The bank's statements say what came
//! ([`camt`]); an entry that names exactly one reference, in the invoice's currency, is that
//! invoice's, whatever its amount: less, more and late are the invoice's outcomes
//! ([`crate::invoice`]). Everything else waits for a person ([`Treasury::bank_entries_waiting`])
//! with its reason, its money on the account of unmatched receipts. What left the account waits, too, until a person
//! has said what it was; nothing is booked of it before.
//!
//! | a person's word on an entry that nobody paid an invoice with | the other side of what came or left |
//! |---|---|
//! | the bank's charges, or interest | fees |
//! | the operator's own transfer | the operator's own |
//! | a service's payout, a sending back: money that the books have under way | under way |
//! | a customer's balance was paid out | customer available |
//!
//! What statements say of the account's balance is held against the books ([`Treasury::compare_banks`]).
//!
//! # Promises
//! - An entry is taken once, however often and in whichever files it comes: by the bank's own
//!   reference where there is one, else by what it says and where in which statement it stood. What
//!   may be the same as another and may not be waits for a person.
//! - One entry that cannot be read, matched or booked holds up no other.
//! - A file that broke off in the middle is finished by giving it again.
//!
//! # What this must not know
//! Where files come from.

mod camt;
mod compare;
mod desk;
mod import;
mod reference;
mod xml;

pub use camt::{Balances, BankEntry, BankStatement, FILE_BYTES_MAX, Read, read_statements};
pub use compare::BankComparison;
pub use desk::{BankEntryView, BankWord};
pub use import::Imported;
pub use reference::written_reference;

use crate::{Invoice, Keychain, NewInvoice, Purpose, Result, Treasury, TreasuryError, sql};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset, InvoiceId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Characters that a bank's form has room for in a name (EPC069-12).
const HOLDER_CHARS_MAX: usize = 70;

/// One of the operator's bank accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankAccount {
    /// Its currency.
    pub asset: Asset,
    /// Its number.
    pub iban: String,
    /// Whose it is, as the bank has it.
    pub holder: String,
    /// The bank's code, where payers need it.
    pub bic: Option<String>,
    /// How long an invoice that fills the balance stays open: transfers take days.
    pub open_for: Duration,
}

impl BankAccount {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// In words, after the key that is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.asset.is_fiat() {
            return Err(("asset", "write EUR or USD: no bank keeps another".into()));
        }
        reference::iban(&self.iban).map_err(|e| ("iban", e))?;
        if !(1..=HOLDER_CHARS_MAX).contains(&self.holder.chars().count()) {
            return Err((
                "holder",
                format!("write the account's holder in at most {HOLDER_CHARS_MAX} characters"),
            ));
        }
        let is_bic = |b: &String| {
            matches!(b.len(), 8 | 11)
                && b.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        };
        if !self.bic.iter().all(is_bic) {
            return Err(("bic", "write 8 or 11 capital letters and digits".into()));
        }
        Ok(())
    }

    pub(crate) fn checked(banks: Vec<BankAccount>) -> Result<Vec<BankAccount>> {
        let mut checked: Vec<BankAccount> = Vec::with_capacity(banks.len());
        for mut bank in banks {
            let fault = |(key, what)| TreasuryError::Method(format!("bank account: {key} {what}"));
            bank.check().map_err(fault)?;
            bank.iban = reference::iban(&bank.iban).map_err(|e| fault(("iban", e)))?;
            if checked.iter().any(|b| b.asset == bank.asset) {
                let what = format!("there is one for {} already", bank.asset);
                return Err(fault(("asset", what)));
            }
            checked.push(bank);
        }
        Ok(checked)
    }

    /// What a banking app reads from a QR code: the European Payments Council's form (EPC069-12) for
    /// transfers in euros. `None` in other currencies.
    #[must_use]
    pub fn transfer_code(&self, invoice: &Invoice) -> Option<String> {
        if self.asset != Asset::Eur {
            return None;
        }
        let cents = invoice.to_pay().minor / Asset::Eur.payable();
        let (bic, holder) = (self.bic.as_deref().unwrap_or_default(), &self.holder);
        Some(format!(
            "BCD\n002\n1\nSCT\n{bic}\n{holder}\n{}\nEUR{}.{:02}\n\n{}\n\n",
            self.iban,
            cents / 100,
            cents % 100,
            invoice.address
        ))
    }
}

impl Treasury {
    /// The bank account for a currency.
    #[must_use]
    pub fn bank(&self, asset: Asset) -> Option<&BankAccount> {
        self.0.banks.iter().find(|b| b.asset == asset)
    }

    /// The currencies that invoices may be in beside coins.
    #[must_use]
    pub fn fiat_assets(&self) -> Vec<Asset> {
        let banks = self.0.banks.iter().map(|b| b.asset);
        let all: BTreeSet<Asset> = banks.chain(self.0.services.fiat()).collect();
        all.into_iter().collect()
    }

    /// The same with those that only coins pay.
    pub(crate) fn fiat_prices(&self) -> BTreeSet<Asset> {
        self.fiat_assets().into_iter().chain(self.0.converted.iter().copied()).collect()
    }

    /// Contracts may be priced in what only coins pay; a balance cannot be filled with it.
    pub(crate) fn least_fiat(&self, asset: Asset, purpose: &Purpose) -> Result<i64> {
        let is_taken = match purpose {
            Purpose::Contract(_) => self.fiat_prices().contains(&asset),
            Purpose::TopUp | Purpose::Conversion(_) => self.fiat_assets().contains(&asset),
        };
        if is_taken { Ok(asset.payable()) } else { Err(TreasuryError::NoWallet(asset)) }
    }

    /// The next reference of a currency, and its number.
    pub(crate) async fn new_reference(&self, tx: &mut Tx, asset: Asset) -> Result<(u32, String)> {
        let key = params![asset, Keychain::PayIn.number(), 0_i64];
        let number: u32 = tx.fetch_one(sql::NEXT_INDEX, &key).await?.get("next_index")?;
        let text = reference::reference(asset, number);
        Ok((number, text.ok_or(TreasuryError::Damaged("no reference is left"))?))
    }

    /// An invoice that fills the balance by a bank stays open as long as transfers take.
    pub(crate) fn with_time_for_banks(&self, mut new: NewInvoice) -> NewInvoice {
        if let (Some(bank), Purpose::TopUp) = (self.bank(new.amount.asset), new.purpose) {
            new.ttl = new.ttl.max(bank.open_for);
        }
        new
    }

    /// The invoice of a reference, if there is one.
    pub(crate) async fn invoice_by_reference(
        &self,
        tx: &mut Tx,
        (asset, number): (Asset, u32),
    ) -> Result<Option<InvoiceId>> {
        let row = tx.fetch_optional(sql::INVOICE_BY_INDEX, &params![asset, number]).await?;
        Ok(row.map(|r| r.get("id")).transpose()?)
    }

    /// Open invoices whose amount is what came, to a cent; five at most. What a person may look at.
    pub(crate) async fn invoices_of_amount(
        &self,
        tx: &mut Tx,
        amount: Amount,
    ) -> Result<Vec<InvoiceId>> {
        let above = amount.minor - amount.asset.payable();
        let given = params![amount.asset, above, amount.minor];
        let rows = tx.fetch_all(sql::OPEN_INVOICES_OF, &given).await?;
        rows.iter().map(|r| Ok(r.get("id")?)).collect()
    }
}
