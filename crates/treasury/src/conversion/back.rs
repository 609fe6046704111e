//! What becomes of a conversion when what it paid for is refunded: the coin that was paid comes back, pro rata, by the
//! amount that was fixed when it was taken.
//!
//! No price enters, so nobody wins by waiting for one: not the operator, who might refund what has become cheap, and
//! not the customer, whose refund would be money at a rate of long ago. Taking the whole contract back is another thing:
//! that the customer chooses, at a moment that he chooses, and either asset would then be an option on the other. It is
//! refused from the moment on when a payment that counts at the rate stands in a block ([`Treasury::refuse_if_converted`]).
//!
//! Of a contract that was paid in several ways each way bears what is not given pro rata; only what is kept for a payment
//! that was taken back is first borne by those that were none of a coin.

use super::{Conversion, sql};
use crate::payments::payment_by_name;
use crate::{Invoice, Method, Result, Treasury, TreasuryError};
use gruve_ledger::{Account, Entry, Posted, Posting, post};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Amount, Asset, ContractId, InvoiceId, Timestamp};

/// That a part of a contract's price came back to its owner's balance, in this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refunded {
    /// The contract.
    pub contract: ContractId,
    /// Its owner.
    pub account: AccountId,
    /// The whole price.
    pub price: Amount,
    /// What of it was for what was not given, in minor units.
    pub undelivered: i64,
    /// What of that came back; less where something was kept for a payment that was taken back.
    pub refunded: i64,
    /// The time.
    pub now: Timestamp,
}

/// `⌈a · b / c⌉` of numbers that are not negative.
fn part(a: i64, b: i64, c: i64) -> Result<i64> {
    let whole = i128::from(a) * i128::from(b);
    let c = i128::from(c);
    if whole < 0 || c <= 0 {
        return Err(TreasuryError::NotPositive);
    }
    i64::try_from((whole + c - 1) / c).map_err(|_| TreasuryError::NotPositive)
}

/// Turns what came back of a contract into the coins that its price was paid with, as far as it was: within the transaction
/// that refunds, after the refund is in the balance. Gives the coins.
///
/// # Errors
/// The books' and the database's.
pub async fn convert_back(tx: &mut Tx, back: &Refunded) -> Result<Vec<Amount>> {
    let (mut left, mut coins) = (back.refunded.min(back.undelivered), Vec::new());
    let given = params![back.contract, back.account, back.price.asset];
    for row in tx.fetch_all(sql::PAID_CONTRACT, &given).await? {
        let id: InvoiceId = row.get("id")?;
        let coin: Asset = row.get("coin")?;
        let (whole, price): (i64, i64) = (row.get("coins")?, row.get("price")?);
        // A coin that came when its invoice was closed bought nothing.
        let is_one = payment_by_name(tx, Method::Conversion, &id.to_string()).await?.is_some();
        if !is_one || row.get::<i64>("back_price")? != 0 {
            continue;
        }
        let of_price = part(price, back.undelivered, back.price.minor)?.min(price).min(left);
        if of_price <= 0 {
            continue;
        }
        left -= of_price;
        let amount = Amount::new(coin, part(whole, of_price, price)?);
        let set = params![id, of_price, amount.minor];
        if tx.execute(sql::BACK, &set).await? != 1 {
            return Err(TreasuryError::Damaged("a conversion was undone twice"));
        }
        let priced = Amount::new(back.price.asset, of_price);
        let (clearing, available) =
            (Method::Conversion.clearing(), Account::CustomerAvailable(back.account));
        let entry = Entry {
            reason: format!("treasury:conversion-back:{id}"),
            kind: "treasury-conversion-back",
            at: back.now,
            postings: vec![
                Posting::debit(available.clone(), priced),
                Posting::credit(clearing.clone(), priced),
                Posting::debit(clearing, amount),
                Posting::credit(available, amount),
            ],
        };
        if post(tx, &entry).await? != Posted::New {
            return Err(TreasuryError::Damaged("a conversion was undone twice"));
        }
        coins.push(amount);
    }
    Ok(coins)
}

/// What does not hold of what was undone of a conversion: coins that are not the price's.
pub(super) fn wrong_with(
    invoice: &Invoice,
    c: &Conversion,
    (price, coins): (i64, i64),
) -> Option<String> {
    let is_part = (0..=c.price.minor).contains(&price);
    let is_right = is_part && part(invoice.amount.minor, price, c.price.minor).ok() == Some(coins);
    (!is_right).then(|| format!("conversion {}: what came back of it is not its part", invoice.id))
}

impl Treasury {
    /// Refuses where a coin was taken for an invoice at a fixed rate, or stands in blocks and will be.
    ///
    /// # Errors
    /// [`TreasuryError::Converted`]; the database's.
    pub async fn refuse_if_converted(&self, tx: &mut Tx, invoice: InvoiceId) -> Result<()> {
        if self.waits_for_conversion(tx, invoice).await? {
            return Err(TreasuryError::Converted);
        }
        match tx.fetch_optional(sql::HAS_CONVERTED, &params![invoice]).await? {
            Some(_) => Err(TreasuryError::Converted),
            None => Ok(()),
        }
    }
}
