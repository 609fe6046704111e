//! A coin for an invoice in another currency, at a rate that is fixed when the customer chooses it.
//!
//! Such a payment is an invoice of its own, in the coin and with an address of its own
//! ([`crate::Purpose::Conversion`]); all that holds for invoices holds for it:
//!
//! | what comes | outcome |
//! |---|---|
//! | the amount, seen in a block while the rate counts | deep enough, it is the operator's, and the other invoice is paid |
//! | less | held while the rate counts; then it goes to the customer's balance, as the coin that it is |
//! | more | the excess goes to the balance, as coin |
//! | later, or again | goes to the balance, as coin: never at a rate that is over |
//! | the amount, when the other invoice is closed | goes to the balance, as coin |
//!
//! *Seen* is the moment at which this house connected the first block that had the payment, by its own clock. A
//! block's own time is whatever its miner wrote, and a payment that only waits in nodes' pools may wait there until
//! the price has moved: either would be a free option.
//!
//! | moment | debit | credit |
//! |---|---|---|
//! | converted | customer available, in the coin; clearing of conversions, in the other currency | clearing of conversions, in the coin; customer held, in the other currency |
//! | what it paid for is refunded ([`convert_back`]) | customer available, in the other currency; clearing of conversions, in the coin | clearing of conversions, in the other currency; customer available, in the coin |
//!
//! So the clearing account holds, asset by asset, what the operator has bought of coins and owes himself for it.
//! Promises: whole minor units, rounded up by less than one; one conversion pays once. What this module must not know:
//! whose prices these are.

mod back;
pub(crate) mod sql;

pub use back::{Refunded, convert_back};

use crate::books::at_most;
use crate::payments::payment_by_name;
use crate::{Invoice, InvoiceState, Method, NewInvoice, Purpose, Result, Treasury, TreasuryError};
use gruve_ledger::{Account, Entry, Posted, Posting, balance, post};
use gruve_store::{Row, Tx, Value, params};
use gruve_units::{AccountId, Amount, AmountError, Asset, Bps, InvoiceId, PaymentId, Timestamp};
use ruint::aliases::U256;
use std::collections::BTreeMap;
use std::time::Duration;

/// Hundredths of a percent in a whole.
const WHOLE_BPS: u64 = 10_000;
/// Conversions of one invoice that are shown at most.
const SHOWN_MAX: u32 = 50;
/// Conversions that an audit reads at a time.
const PAGE: u32 = 500;

/// At what a coin is taken for another currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockedRate {
    /// The coin's price in millionths of a dollar.
    pub coin_usd_micro: i64,
    /// The other currency's.
    pub price_usd_micro: i64,
    /// What the operator adds, of the amount.
    pub spread: Bps,
    /// When the oldest word was told that the prices are made of.
    pub priced_at: Timestamp,
}

impl LockedRate {
    /// The coins that pay a price: rounded up, by less than a minor unit.
    ///
    /// # Errors
    /// [`TreasuryError::NotPositive`] for a price that is none; [`AmountError::Overflow`].
    pub fn coins_for(&self, price: Amount, coin: Asset) -> Result<Amount> {
        let with_spread = WHOLE_BPS + u64::from(self.spread.get());
        let from = [price.minor, self.price_usd_micro, coin.unit()];
        let by = [price.asset.unit(), self.coin_usd_micro];
        let (whole, rest) = product(&from, with_spread)?.div_rem(product(&by, WHOLE_BPS)?);
        minor(if rest.is_zero() { whole } else { whole.saturating_add(U256::from(1u8)) }, coin)
    }

    /// What a whole coin counts for, spread taken off; rounded down. For people: amounts are made by
    /// [`LockedRate::coins_for`].
    ///
    /// # Errors
    /// As [`LockedRate::coins_for`].
    pub fn a_coin_counts(&self, currency: Asset) -> Result<Amount> {
        let with_spread = WHOLE_BPS + u64::from(self.spread.get());
        let from = product(&[self.coin_usd_micro, currency.unit()], WHOLE_BPS)?;
        let by = product(&[self.price_usd_micro], with_spread)?;
        minor(from.div_rem(by).0, currency)
    }
}

/// The product of some numbers above zero: three of 63 bits and one of 15 at most.
fn product(factors: &[i64], times: u64) -> Result<U256> {
    let mut all = U256::from(times);
    for factor in factors {
        let factor = u64::try_from(*factor).ok().filter(|f| *f > 0);
        all = all.saturating_mul(U256::from(factor.ok_or(TreasuryError::NotPositive)?));
    }
    Ok(all)
}

fn minor(of: U256, asset: Asset) -> Result<Amount> {
    let minor = u64::try_from(of).ok().and_then(|m| i64::try_from(m).ok());
    Ok(Amount::new(asset, minor.ok_or(AmountError::Overflow)?))
}

/// What an invoice in a coin pays, and at what rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The invoice that it pays.
    pub pays: InvoiceId,
    /// What of that: what was still to be paid when the rate was fixed.
    pub price: Amount,
    /// The rate.
    pub rate: LockedRate,
    /// Until when a payment must be in a block to count at it.
    pub until: Timestamp,
}

/// A wish to pay an invoice in a coin.
#[derive(Clone, Copy, Debug)]
pub struct NewConversion {
    /// Whose invoice it is.
    pub account: AccountId,
    /// The invoice.
    pub invoice: InvoiceId,
    /// The coin.
    pub coin: Asset,
    /// Today's rate.
    pub rate: LockedRate,
    /// How long it counts, at most as long as the invoice is open.
    pub lock: Duration,
}

impl Treasury {
    /// The coins in which an invoice can be paid at a rate: all whose chains we follow, of open invoices of contracts
    /// in another currency. Filling a balance is not among it: that is what the coin's own invoices do.
    #[must_use]
    pub fn convertible(&self, invoice: &Invoice) -> Vec<Asset> {
        let is_one = invoice.state.is_open() && matches!(invoice.purpose, Purpose::Contract(_));
        let coins = self.assets().into_iter().filter(|a| is_one && *a != invoice.asset());
        coins.collect()
    }

    /// An invoice in a coin that pays another, at a rate; while it is open, the same again.
    ///
    /// # Errors
    /// [`TreasuryError::NoInvoice`]; [`TreasuryError::Closed`] when it cannot be paid so, or its time is over; as
    /// [`Treasury::create_invoice`].
    pub async fn convert_invoice(&self, tx: &mut Tx, new: NewConversion) -> Result<Invoice> {
        let found = self.invoice_row(tx, new.invoice).await?.filter(|i| i.account == new.account);
        let paid = found.ok_or(TreasuryError::NoInvoice)?;
        let now = self.now();
        if !self.convertible(&paid).contains(&new.coin) || paid.expires <= now {
            return Err(TreasuryError::Closed);
        }
        let given = params![new.invoice, new.coin, now];
        if let Some(row) = tx.fetch_optional(sql::OPEN_CONVERSION, &given).await? {
            return self.invoice_row(tx, row.get("id")?).await?.ok_or(TreasuryError::NoInvoice);
        }
        let price = paid.rest();
        if price.minor == 0 {
            return Err(TreasuryError::Closed);
        }
        let until = now.plus(new.lock).min(paid.expires);
        let conversion = Conversion { pays: paid.id, price, rate: new.rate, until };
        let invoice = NewInvoice {
            account: new.account,
            amount: new.rate.coins_for(price, new.coin)?,
            purpose: Purpose::Conversion(conversion),
            ttl: until.since(now),
        };
        self.create_invoice(tx, invoice).await
    }

    pub(crate) async fn store_conversion(
        &self,
        tx: &mut Tx,
        invoice: InvoiceId,
        c: &Conversion,
    ) -> Result<()> {
        let values = params![
            invoice,
            c.pays,
            c.price.asset,
            c.price.minor,
            c.rate.coin_usd_micro,
            c.rate.price_usd_micro,
            c.rate.spread,
            c.rate.priced_at,
            c.until
        ];
        tx.execute(sql::INSERT_CONVERSION, &values).await?;
        Ok(())
    }

    /// The invoices in coins by which an invoice was or can be paid, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn conversions(&self, id: InvoiceId) -> Result<Vec<Invoice>> {
        let mut tx = self.0.store.read().await?;
        let mut all = Vec::new();
        for row in tx.fetch_all(sql::CONVERSIONS_OF, &params![id, SHOWN_MAX]).await? {
            all.extend(self.invoice_row(&mut tx, row.get("invoice")?).await?);
        }
        Ok(all)
    }

    /// The ids of what [`Treasury::conversions`] gives, of many invoices at once; those without any are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn conversions_of(
        &self,
        ids: &[InvoiceId],
    ) -> Result<BTreeMap<InvoiceId, Vec<InvoiceId>>> {
        let mut all: BTreeMap<InvoiceId, Vec<InvoiceId>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(all);
        }
        let given = ids.iter().map(|id| Value::from(*id)).collect();
        let mut tx = self.0.store.read().await?;
        for row in tx.fetch_many(&sql::CONVERSIONS_OF_MANY, given).await? {
            let of = all.entry(row.get("pays")?).or_default();
            if of.len() < SHOWN_MAX as usize {
                of.push(row.get("invoice")?);
            }
        }
        Ok(all)
    }

    /// Whether a conversion that pays an invoice stands in blocks whole and waits to be deep enough, or has been paid in
    /// time by something that a reorganisation may have taken out of its block.
    pub(crate) async fn waits_for_conversion(&self, tx: &mut Tx, id: InvoiceId) -> Result<bool> {
        Ok(tx.fetch_optional(sql::CONVERSION_WAITS, &params![id]).await?.is_some())
    }

    /// A conversion's amount is confirmed and stands in the customer's balance: it becomes the operator's, and the
    /// price the other invoice's. Where that one is closed the coin stays where it is.
    pub(crate) async fn convert(
        &self,
        tx: &mut Tx,
        invoice: &Invoice,
        c: &Conversion,
        now: Timestamp,
    ) -> Result<()> {
        let paid = self.invoice_row(tx, c.pays).await?;
        let paid = paid.ok_or(TreasuryError::Damaged("a conversion of an invoice that is none"))?;
        let (account, coin) = (invoice.account, invoice.amount);
        let available = Account::CustomerAvailable(account);
        let has = at_most(tx, &available, coin.asset, coin.minor).await?;
        if !paid.state.is_open() || has < coin.minor {
            tracing::info!(invoice = %invoice.id, "what it was to pay is closed; the coin is in the balance");
            return Ok(());
        }
        let payment = PaymentId::new(now, self.0.entropy.as_ref());
        let (asset, external) = (c.price.asset, invoice.id.to_string());
        let values = params![
            payment,
            Method::Conversion.word(),
            external.as_str(),
            asset,
            c.price.minor,
            c.pays,
            account,
            "held",
            now
        ];
        tx.execute(crate::sql::INSERT_PAYMENT, &values).await?;
        let clearing = Method::Conversion.clearing();
        let entry = Entry {
            reason: format!("treasury:conversion:{}", invoice.id),
            kind: "treasury-conversion",
            at: now,
            postings: vec![
                Posting::debit(available, coin),
                Posting::credit(clearing.clone(), coin),
                Posting::debit(clearing, c.price),
                Posting::credit(Account::CustomerHeld(account), c.price),
            ],
        };
        if post(tx, &entry).await? != Posted::New {
            return Err(TreasuryError::Damaged("a conversion was booked twice"));
        }
        // It closes the other invoice, as any payment may.
        Box::pin(self.refresh_invoice(tx, c.pays, now)).await?;
        Ok(())
    }

    /// What is wrong with the conversions: amounts that do not follow from their rates, payments that are no
    /// conversion's, a clearing account that is not their sum.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_conversions(&self, tx: &mut Tx) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        let mut sums: BTreeMap<Asset, i128> = Asset::ALL.into_iter().map(|a| (a, 0)).collect();
        let (mut after, mut payments) = (InvoiceId::from_bytes([0; 16]), 0u64);
        loop {
            let rows = tx.fetch_all(sql::CONVERSIONS_AFTER, &params![after, PAGE]).await?;
            for row in &rows {
                let id: InvoiceId = row.get("invoice")?;
                let invoice = self.invoice_row(tx, id).await?;
                let (Some(invoice), c) = (invoice, read_conversion(row)?) else {
                    findings.push(format!("conversion {id}: it has no invoice"));
                    continue;
                };
                let paid = self.invoice_row(tx, c.pays).await?;
                findings.extend(wrong_with(&invoice, &c, paid.as_ref()));
                let payment = payment_by_name(tx, Method::Conversion, &id.to_string()).await?;
                let Some(payment) = payment else { continue };
                payments += 1;
                if invoice.state != InvoiceState::Confirmed
                    || (payment.invoice, payment.amount) != (Some(c.pays), c.price)
                {
                    findings.push(format!("conversion {id}: its payment is not what it says"));
                }
                let (price, coins) = (row.get("back_price")?, row.get("back_coin")?);
                findings.extend(back::wrong_with(&invoice, &c, (price, coins)));
                let stands = |whole: i64, back: i64| i128::from(whole) - i128::from(back);
                *sums.entry(payment.amount.asset).or_default() +=
                    stands(payment.amount.minor, price);
                *sums.entry(invoice.asset()).or_default() -= stands(invoice.amount.minor, coins);
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE as usize => after = last.get("invoice")?,
                _ => break,
            }
        }
        let method = params![Method::Conversion.word()];
        let there: u64 = tx.fetch_one(sql::COUNT_PAYMENTS_BY, &method).await?.get("n")?;
        if there != payments {
            findings.push(format!("conversions: {there} payments by {payments} of them"));
        }
        for (asset, sum) in sums {
            let books = balance(tx, &Method::Conversion.clearing(), asset).await?;
            if i128::from(books.minor) != sum {
                let books = books.minor;
                findings.push(format!(
                    "conversions: clearing has {books} minor units of {asset}, they come to {sum}"
                ));
            }
        }
        Ok(findings)
    }
}

/// What does not hold between a conversion, its invoice and the one it pays.
fn wrong_with(invoice: &Invoice, c: &Conversion, paid: Option<&Invoice>) -> Option<String> {
    let id = invoice.id;
    let amount = c.rate.coins_for(c.price, invoice.asset());
    if !amount.is_ok_and(|a| a == invoice.amount) {
        return Some(format!("conversion {id}: its amount does not follow from its rate"));
    }
    let is_of = |p: &Invoice| {
        p.account == invoice.account
            && p.asset() == c.price.asset
            && p.asset() != invoice.asset()
            && c.price.minor <= p.amount.minor
    };
    if !paid.is_some_and(is_of) {
        return Some(format!("conversion {id}: what it pays is not its account's, or less"));
    }
    let in_time = invoice.created <= c.until && invoice.expires <= c.until;
    (!in_time || c.rate.priced_at > c.until)
        .then(|| format!("conversion {id}: its times are not in order"))
}

/// Reads the columns of a conversion.
pub(crate) fn read_conversion(row: &Row) -> Result<Conversion> {
    Ok(Conversion {
        pays: row.get("pays")?,
        price: Amount::new(row.get("price_asset")?, row.get("price")?),
        rate: LockedRate {
            coin_usd_micro: row.get("coin_usd_micro")?,
            price_usd_micro: row.get("price_usd_micro")?,
            spread: row.get("spread_bps")?,
            priced_at: row.get("priced_at")?,
        },
        until: row.get("counts_until")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(coin: i64, price: i64, spread: u16) -> LockedRate {
        LockedRate {
            coin_usd_micro: coin,
            price_usd_micro: price,
            spread: Bps::new(spread).unwrap(),
            priced_at: Timestamp(0),
        }
    }

    #[test]
    fn a_hundred_euros_are_so_many_coins() {
        // 100 EUR at 1.10 dollars are 110 dollars; at 55,000 dollars a coin 0.002; a percent more 0.00202.
        let r = rate(55_000_000_000, 1_100_000, 100);
        let eur = Amount::new(Asset::Eur, 100_000_000);
        assert_eq!(r.coins_for(eur, Asset::Btc).unwrap(), Amount::new(Asset::Btc, 202_000));
        // 55,000 / 1.1 / 1.01 = 49,504.950495…
        let counts = Amount::new(Asset::Eur, 49_504_950_495);
        assert_eq!(r.a_coin_counts(Asset::Eur).unwrap(), counts);
        // A thing that does not come out even costs the next whole unit: 10 / 3 = 3.33….
        let usd = Amount::new(Asset::Usd, 10);
        let third = rate(300_000_000, 1_000_000, 0);
        assert_eq!(third.coins_for(usd, Asset::Btc).unwrap().minor, 4);
    }

    #[test]
    fn prices_that_are_none_and_amounts_past_64_bits_are_refused() {
        let eur = |minor| Amount::new(Asset::Eur, minor);
        for (r, price) in [
            (rate(0, 1, 0), eur(1)),
            (rate(1, 0, 0), eur(1)),
            (rate(-1, 1, 0), eur(1)),
            (rate(1, 1, 0), eur(0)),
            (rate(1, 1, 0), eur(-1)),
        ] {
            assert!(matches!(r.coins_for(price, Asset::Btc), Err(TreasuryError::NotPositive)));
        }
        let far = rate(1, 1_000_000_000_000_000, 10_000).coins_for(eur(i64::MAX), Asset::Etc);
        assert!(matches!(far, Err(TreasuryError::Amount(AmountError::Overflow))), "{far:?}");
    }

    proptest! {
        #[test]
        fn what_is_asked_is_the_least_that_pays_the_price_and_less_than_a_unit_above_it(
            price in 1i64..1_000_000_000_000_000,
            coin_usd in 1i64..=1_000_000_000_000_000,
            price_usd in 1i64..=1_000_000_000_000_000,
            spread in 0u16..=10_000,
            coin in proptest::sample::select(vec![Asset::Btc, Asset::Ltc, Asset::Doge, Asset::Etc]),
            currency in proptest::sample::select(vec![Asset::Eur, Asset::Usd, Asset::Eth]),
        ) {
            let r = rate(coin_usd, price_usd, spread);
            let Ok(coins) = r.coins_for(Amount::new(currency, price), coin) else { return Ok(()) };
            // coins / coin unit · coin price · 10,000 ≥ price / unit · price's price · (10,000 + spread), both sides
            // times both units: 256 bits hold it.
            let wide = |n: i64| U256::from(n.unsigned_abs());
            let worth = |coins: i64| wide(coins) * wide(currency.unit()) * wide(coin_usd) * wide(10_000);
            let due = wide(price) * wide(coin.unit()) * wide(price_usd) * wide(10_000 + i64::from(spread));
            prop_assert!(worth(coins.minor) >= due);
            prop_assert!(worth(coins.minor - 1) < due);
        }
    }
}
