//! Paying an invoice in a coin that is not its currency: what is offered now and at what rate, or why it is not.
//!
//! The market says what money is worth, the treasury what a rate makes of an invoice; here they meet, in one
//! transaction, so that the rate that is fixed is the one of that moment.

use crate::failure::Failure;
use crate::state::AppState;
use crate::trade::treasury_failure;
use gruve_market::MarketError;
use gruve_store::{StoreError, Tx, transact};
use gruve_treasury::{Invoice, LockedRate, NewConversion, TreasuryError};
use gruve_units::{AccountId, Amount, Asset, Blame, Blamed, Bps, Duration, InvoiceId};
use std::collections::BTreeMap;

/// The operator's rules for coins that pay what is priced in another currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversionRules {
    /// What is added to the amount.
    pub spread: Bps,
    /// How long a rate counts.
    pub lock: Duration,
}

/// A coin in which an invoice could be paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) coin: Asset,
    /// How much, and at what rate, if it were fixed now; nothing where a price is missing.
    pub(crate) now: Option<(Amount, LockedRate)>,
}

/// Rates of this moment, each looked up once: for a coin and a currency, nothing where a price is missing.
#[derive(Default)]
pub(crate) struct Rates(BTreeMap<(Asset, Asset), Option<LockedRate>>);

/// Why a coin is not offered at the moment, in words.
pub(crate) const NO_PRICE: &str =
    "Not offered at the moment: too few sources have told a price lately.";

#[derive(Debug, thiserror::Error)]
enum ConvertError {
    #[error("{}", NO_PRICE)]
    NoPrice,
    #[error(transparent)]
    Market(#[from] MarketError),
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Blamed for ConvertError {
    fn blame(&self) -> Blame {
        match self {
            ConvertError::NoPrice => Blame::Rejected,
            ConvertError::Market(e) => e.blame(),
            ConvertError::Treasury(e) => e.blame(),
            ConvertError::Store(e) => e.blame(),
        }
    }
}

impl AppState {
    /// Whether a price of it can be known at all.
    fn has_price(&self, asset: Asset) -> bool {
        let prices = &self.market().config().prices;
        asset == Asset::Usd || !prices.names(asset).is_empty() && prices.covers(asset)
    }

    /// The coins in which an invoice can be paid though it is priced in another currency: none where the operator has
    /// set no rules, or asks nobody for the prices.
    pub(crate) async fn conversion_offers(&self, invoice: &Invoice) -> Result<Vec<Offer>, Failure> {
        self.offers_at(invoice, &mut Rates::default()).await
    }

    /// The same, at rates that were looked up for invoices before.
    pub(crate) async fn offers_at(
        &self,
        invoice: &Invoice,
        rates: &mut Rates,
    ) -> Result<Vec<Offer>, Failure> {
        let Some(rules) = self.config().conversion else { return Ok(Vec::new()) };
        let mut coins = self.treasury().convertible(invoice);
        coins.retain(|coin| self.has_price(*coin) && self.has_price(invoice.asset()));
        if coins.is_empty() || invoice.rest().minor <= 0 {
            return Ok(Vec::new());
        }
        let mut offers = Vec::new();
        for coin in coins {
            let pair = (coin, invoice.asset());
            let rate = match rates.0.get(&pair) {
                Some(rate) => *rate,
                None => {
                    let mut tx = self.store().read().await?;
                    let rate = self.rate_now(&mut tx, coin, invoice.asset(), rules.spread).await;
                    tx.rollback().await?;
                    let rate = rate.map_err(|e| Failure::of(&e))?;
                    rates.0.insert(pair, rate);
                    rate
                }
            };
            let amount = rate.map(|r| r.coins_for(invoice.rest(), coin)).transpose();
            let amount = amount.map_err(|e| treasury_failure(&e))?;
            offers.push(Offer { coin, now: amount.zip(rate) });
        }
        Ok(offers)
    }

    async fn rate_now(
        &self,
        tx: &mut Tx,
        coin: Asset,
        currency: Asset,
        spread: Bps,
    ) -> Result<Option<LockedRate>, MarketError> {
        let Some(of_coin) = self.market().spot_price(tx, coin).await? else { return Ok(None) };
        let Some(of_price) = self.market().spot_price(tx, currency).await? else { return Ok(None) };
        Ok(Some(LockedRate {
            coin_usd_micro: of_coin.usd_micro,
            price_usd_micro: of_price.usd_micro,
            spread,
            priced_at: of_coin.told.min(of_price.told),
        }))
    }

    /// Fixes the rate of this moment for an invoice of the account, and gives the invoice in the coin.
    pub(crate) async fn convert(
        &self,
        account: AccountId,
        invoice: InvoiceId,
        coin: Asset,
    ) -> Result<Invoice, Failure> {
        let paid = self.invoice(account, invoice).await?;
        let Some(rules) = self.config().conversion.filter(|_| {
            paid.asset() == coin || self.has_price(coin) && self.has_price(paid.asset())
        }) else {
            return Err(Failure::refused("This house takes no such coin for that currency."));
        };
        let made = transact!(self.store(), tx -> Result<Invoice, ConvertError> => {
            let rate = self.rate_now(tx, coin, paid.asset(), rules.spread).await?;
            let rate = rate.ok_or(ConvertError::NoPrice)?;
            let new = NewConversion { account, invoice, coin, rate, lock: rules.lock };
            Ok(self.treasury().convert_invoice(tx, new).await?)
        });
        made.map_err(|e| match e {
            ConvertError::NoPrice => Failure::conflict("no-price", NO_PRICE.to_owned()),
            ConvertError::Treasury(e) => treasury_failure(&e),
            other => Failure::of(&other),
        })
    }
}
