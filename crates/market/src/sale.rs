//! Quote, buy, pay: from an offer to a contract that holds capacity.
//!
//! Capacity is checked and taken in the transaction of the sale: one row a lane is compared and swapped,
//! so that of two sales that saw the same rest only one goes through, on both engines. Every function
//! decides before it writes: after a refusal the transaction holds nothing and can go on.

mod limits;
mod payment;
mod rows;
mod stock;

pub(crate) use stock::{Capacity, release, touch};

use crate::config::UNPAID_NEW_ACCOUNT_MAX;
use crate::marks::Marks;
use crate::terms;
use crate::{Market, MarketError, Purchase, Quote, Result, fpps_pay, life, outlook, renew, sql};
use gruve_store::{Tx, params, transact};
use gruve_units::{AccountId, ContractId, Hashrate, QuoteId};
use limits::count;
use rows::{find_quote, insert_contract, insert_quote};

/// Open quotes an account may have at once; expired ones are deleted when a new one is given.
pub(crate) const QUOTES_MAX: u32 = 20;

impl Market {
    /// A price for an account, that stands for the configured time. Reserves nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`], [`MarketError::HashrateNotOffered`],
    /// [`MarketError::TermNotOffered`], [`MarketError::SoldOut`], [`MarketError::HeldUnpaid`],
    /// [`MarketError::TooMany`] and the database's.
    pub async fn quote(
        &self,
        account: AccountId,
        plan: &str,
        hashrate: Hashrate,
        term_epochs: u64,
    ) -> Result<Quote> {
        self.quote_for(account, plan, hashrate, term_epochs, None).await
    }

    /// The same; one that follows a contract takes over that one's capacity.
    pub(crate) async fn quote_for(
        &self,
        account: AccountId,
        plan: &str,
        hashrate: Hashrate,
        term_epochs: u64,
        renews: Option<ContractId>,
    ) -> Result<Quote> {
        let plan = self.plan(plan)?;
        let sale = terms::price(&plan, hashrate, term_epochs)?;
        let now = self.now();
        let mut quote = Quote {
            id: QuoteId::new(now, self.entropy()),
            account,
            plan: plan.id.clone(),
            plan_version: plan.version,
            hashrate,
            term_epochs,
            work: sale.work,
            price: sale.price,
            created: now,
            expires: now.plus(self.config().quote_ttl()),
            forecast: None,
        };
        quote.forecast = self.foretold(&plan, &quote).await?;
        let lane = self.lane(&plan.lane)?;
        transact!(self.store(), tx -> Result<()> => {
            // Nothing is quoted that could not be ordered.
            fpps_pay::check_sale(self, tx, &plan).await?;
            if renews.is_none() {
                let available = Capacity::read(tx, lane).await?.available();
                self.check_free(tx, lane, account, available, hashrate).await?;
            }
            outlook::write_forecast(tx, &quote, now).await?;
            tx.execute(sql::DELETE_OLD_QUOTES, &params![account, now]).await?;
            if count(tx, sql::COUNT_QUOTES, &params![account, now]).await? >= QUOTES_MAX {
                return Err(MarketError::TooMany { what: "quotes", limit: QUOTES_MAX });
            }
            insert_quote(tx, &quote, &sale).await?;
            Marks::now(tx, self, lane).await?.store(tx, quote.id, renews).await
        })?;
        Ok(quote)
    }

    /// Buys a quote: takes the capacity and makes a contract that awaits its payment.
    ///
    /// # Errors
    /// [`MarketError::UnknownQuote`], [`MarketError::QuoteExpired`] (also when the plan has changed),
    /// [`MarketError::QuoteUsed`], [`MarketError::QuoteVoid`], [`MarketError::SoldOut`],
    /// [`MarketError::HeldUnpaid`], [`MarketError::HeldByYou`],
    /// [`MarketError::TooMany`]; nothing was written then. [`MarketError::CapacityMoved`] and the database's.
    pub async fn buy(&self, tx: &mut Tx, account: AccountId, quote: QuoteId) -> Result<Purchase> {
        let now = self.now();
        let found = find_quote(tx, account, quote).await?;
        if found.used {
            return Err(MarketError::QuoteUsed);
        }
        let plan = self.plan(&found.plan).map_err(|_| MarketError::QuoteExpired)?;
        if found.expires <= now || plan.version != found.plan_version {
            return Err(MarketError::QuoteExpired);
        }
        let renews = self.check_marks(tx, self.lane(&plan.lane)?, quote).await?;
        // One that has ended meanwhile, or is followed already, leaves an ordinary sale.
        let renews = renew::can_follow(tx, account, renews).await?.map(|c| c.id);
        let is_first = count(tx, sql::COUNT_PAID, &params![account]).await? == 0;
        let all = self.config().unpaid_per_account_max;
        let limit = if is_first { all.min(UNPAID_NEW_ACCOUNT_MAX) } else { all };
        if count(tx, sql::COUNT_UNPAID, &params![account]).await? >= limit {
            return Err(MarketError::TooMany { what: "unpaid contracts", limit });
        }
        let lane = self.lane(&plan.lane)?;
        let capacity = Capacity::read(tx, lane).await?;
        fpps_pay::check_sale(self, tx, &plan).await?;
        if renews.is_none() {
            self.check_free(tx, lane, account, capacity.available(), found.hashrate).await?;
        }
        let id = ContractId::new(now, self.entropy());
        let sold = Hashrate(capacity.sold.0.saturating_add(found.hashrate.0));
        let written = async {
            if renews.is_none() {
                capacity.swap(tx, &plan.lane, sold).await?;
            } else {
                touch(tx, &plan.lane).await?;
            }
            if tx.execute(sql::USE_QUOTE, &params![quote]).await? != 1 {
                return Err(MarketError::QuoteUsed);
            }
            let agreed = terms::Agreed {
                contract: id,
                at: now,
                hashrate: found.hashrate,
                term_epochs: found.term,
                sale: &found.sale,
                settle_every: lane.settle_every_epochs,
            };
            let hash = insert_contract(tx, account, quote, &plan, &agreed).await?;
            self.write_signature(tx, id, &hash).await?;
            life::store_rules(tx, id, &plan.life, renews).await
        };
        let outcome = written.await;
        if outcome.is_err() {
            tx.abandon();
        }
        outcome.map(|()| Purchase { contract: id, due: found.sale.price, is_first })
    }
}
