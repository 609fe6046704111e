//! Quote, buy, pay: from an offer to a contract that holds capacity.
//!
//! Capacity is checked and taken in the transaction of the sale: one row a lane is compared and swapped,
//! so that of two sales that saw the same rest only one goes through, on both engines. Every function
//! decides before it writes: after a refusal the transaction holds nothing and can go on.

use crate::capacity::{WindowWork, for_sale, proven_rate};
use crate::config::UNPAID_NEW_ACCOUNT_MAX;
use crate::contract::{Contract, write_also};
use crate::fpps_pay;
use crate::marks::Marks;
use crate::outlook;
use crate::scheme::write_fpps;
use crate::terms::{self, Sale};
use crate::{
    ContractState, LaneConfig, Market, MarketError, Paid, Plan, Purchase, Quote, Result, life,
    renew, sql,
};
use gruve_ledger::{Account, Entry, LedgerError};
use gruve_store::{Tx, params, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, ContractId, Duration, EpochNumber, Hashes, HashesSum,
    Hashrate, LaneId, QuoteId, Timestamp,
};
use ruint::aliases::U256;

/// Open quotes an account may have at once; expired ones are deleted when a new one is given.
pub(crate) const QUOTES_MAX: u32 = 20;

/// A lane's hashrate by the books of its closed epochs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// All work over the window.
    pub(crate) hashrate: Hashrate,
    /// The house's.
    pub(crate) house: Hashrate,
    /// What of the house's is proven.
    pub(crate) proven: Hashrate,
    /// What of that may be sold at all.
    pub(crate) for_sale: Hashrate,
    /// What is sold or held.
    pub(crate) sold: Hashrate,
    version: i64,
}

impl Capacity {
    /// What is sold and not proven any more.
    pub(crate) fn oversold(&self) -> Hashrate {
        Hashrate(self.sold.0.saturating_sub(self.for_sale.0))
    }

    pub(crate) fn available(&self) -> Hashrate {
        Hashrate(self.for_sale.0.saturating_sub(self.sold.0))
    }

    /// Reads the window of closed epochs and the row that sales race for.
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneConfig) -> Result<Capacity> {
        let row = tx.fetch_one(sql::CAPACITY, &params![lane.lane.clone()]).await?;
        let (sold, version) = (row.get("sold")?, row.get("version")?);
        let row = tx.fetch_one(sql::LANE, &params![lane.lane.clone()]).await?;
        let closed: Option<EpochNumber> = row.get("closed_epoch")?;
        let (mut window, mut other) = (WindowWork::default(), Hashes::ZERO);
        if let Some(last) = closed {
            let before = i64::try_from(last.0).unwrap_or(i64::MAX)
                - i64::try_from(lane.capacity_window_epochs).unwrap_or(i64::MAX);
            let given = params![lane.lane.clone(), before, last];
            for row in tx.fetch_all(sql::WINDOW_WORK, &given).await? {
                let sum = [window.work, row.get("house_work")?].into_iter().checked_sum();
                window.work = sum.ok_or(MarketError::Overflow("the work of a window"))?;
                let squares = U256::from_be_bytes(row.get::<[u8; 32]>("house_squares")?);
                window.squares = window.squares.saturating_add(squares);
                let sum = [other, row.get("other_work")?].into_iter().checked_sum();
                other = sum.ok_or(MarketError::Overflow("the work of a window"))?;
            }
        }
        // Epochs that are missing have no work but their time counts.
        let micros = lane.epoch_rule.length_us.saturating_mul(lane.capacity_window_epochs);
        let length = Duration::from_micros(micros);
        let proven = proven_rate(window, lane.capacity_confidence_tenths, length);
        let all = window.work.checked_add(other).unwrap_or(window.work);
        Ok(Capacity {
            hashrate: Hashrate::of(all, length),
            house: Hashrate::of(window.work, length),
            proven,
            for_sale: for_sale(proven, lane.capacity_reserve_bps),
            sold,
            version,
        })
    }

    pub(crate) async fn swap(&self, tx: &mut Tx, lane: &LaneId, sold: Hashrate) -> Result<()> {
        let given = params![lane.clone(), sold, self.version];
        match tx.execute(sql::SWAP_CAPACITY, &given).await? {
            1 => Ok(()),
            _ => Err(MarketError::CapacityMoved),
        }
    }
}

/// Gives back the capacity that a contract held.
pub(crate) async fn release(tx: &mut Tx, lane: &LaneConfig, hashrate: Hashrate) -> Result<()> {
    let capacity = Capacity::read(tx, lane).await?;
    let left = capacity.sold.0.checked_sub(hashrate.0).ok_or_else(|| {
        MarketError::Broken(format!("lane {} had less sold than a contract held", lane.lane))
    })?;
    capacity.swap(tx, &lane.lane, Hashrate(left)).await
}

/// A quote's row.
struct QuoteRow {
    plan: String,
    plan_version: u32,
    hashrate: Hashrate,
    term: u64,
    sale: Sale,
    expires: Timestamp,
    used: bool,
}

async fn find_quote(tx: &mut Tx, account: AccountId, id: QuoteId) -> Result<QuoteRow> {
    let row = tx.fetch_optional(sql::QUOTE, &params![id, account]).await?;
    let row = row.ok_or(MarketError::UnknownQuote)?;
    let price = Amount::new(row.get::<Asset>("price_asset")?, row.get("price_minor")?);
    Ok(QuoteRow {
        plan: row.get("plan")?,
        plan_version: row.get("plan_version")?,
        hashrate: row.get("hashrate")?,
        term: row.get("term_epochs")?,
        sale: Sale { epoch_work: row.get("epoch_work")?, work: row.get("work")?, price },
        expires: row.get("expires_at")?,
        used: row.get("used")?,
    })
}

async fn count(tx: &mut Tx, sql: &'static str, params: &[gruve_store::Value]) -> Result<u32> {
    let n: i64 = tx.fetch_one(sql, params).await?.get("n")?;
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

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

    /// Whether an account may hold so much more of a lane unpaid.
    async fn check_free(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        account: AccountId,
        available: Hashrate,
        wanted: Hashrate,
    ) -> Result<()> {
        if available < wanted {
            return Err(MarketError::SoldOut { available });
        }
        if count(tx, sql::COUNT_PAID, &params![account]).await? == 0 {
            self.check_held_by_new(tx, &lane.lane, available, wanted).await?;
        }
        self.check_held_by_account(tx, &lane.lane, account, available, wanted).await
    }

    /// Whether another unpaid order may hold capacity whose account has never paid. Accounts cost nothing,
    /// so their orders together hold only a part of what would be free without them.
    async fn check_held_by_new(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        available: Hashrate,
        wanted: Hashrate,
    ) -> Result<()> {
        let mut held = 0u128;
        for row in tx.fetch_all(sql::HELD_BY_NEW, &params![lane.clone()]).await? {
            held = held.saturating_add(row.get::<Hashrate>("hashrate")?.0);
        }
        let most = self.config().unpaid_new_bps.of(available.0.saturating_add(held));
        let left = Hashrate(most.saturating_sub(held));
        if wanted > left { Err(MarketError::HeldUnpaid { available: left }) } else { Ok(()) }
    }

    /// A contract's invoice was credited to its owner's balance: the price becomes prepaid work and the
    /// contract starts at the next epoch border, so that nobody buys into an epoch whose blocks are
    /// known. Doing it again does nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`] and the database's.
    pub async fn invoice_paid(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        at: Timestamp,
    ) -> Result<Paid> {
        let c = Contract::find(tx, contract).await?;
        match c.state {
            ContractState::AwaitingPayment => {}
            ContractState::Expired | ContractState::Cancelled => return Ok(Paid::LeftInBalance),
            _ => return Ok(Paid::Already),
        }
        let entry = Entry::transfer(
            format!("market/sale/{contract}"),
            "market-sale",
            at,
            Account::CustomerAvailable(c.account),
            Account::PrepaidWork(contract),
            c.price,
        );
        match gruve_ledger::post(tx, &entry).await {
            Ok(_) => {}
            Err(LedgerError::InsufficientFunds { .. }) => {
                tracing::warn!(%contract, "a paid invoice did not cover its contract's price");
                return Ok(Paid::LeftInBalance);
            }
            Err(e) => return Err(e.into()),
        }
        if !c.holds {
            // It begins with the end of the one it follows.
            let start: Option<EpochNumber> = None;
            if tx.execute(sql::PAY_CONTRACT, &params![contract, at, start]).await? != 1 {
                return Err(MarketError::Broken("a contract changed under its payment".into()));
            }
            return Ok(Paid::Follows);
        }
        let lane = self.lane(&c.lane)?;
        let row = tx.fetch_one(sql::LANE, &params![c.lane.clone()]).await?;
        let closed: Option<EpochNumber> = row.get("closed_epoch")?;
        let next = lane.epoch_rule.at(self.now()).next();
        let start = closed.map_or(next, |last| next.max(last.next()));
        if tx.execute(sql::PAY_CONTRACT, &params![contract, at, start]).await? != 1 {
            return Err(MarketError::Broken("a contract changed under its payment".into()));
        }
        Ok(Paid::Starts(start))
    }

    /// A contract's invoice ran out: the capacity is released. A contract that is not waiting for its
    /// payment is left alone.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`] and the database's.
    pub async fn invoice_expired(&self, tx: &mut Tx, contract: ContractId) -> Result<()> {
        let c = Contract::find(tx, contract).await?;
        if tx.execute(sql::EXPIRE_CONTRACT, &params![contract]).await? == 1 && c.holds {
            release(tx, self.lane(&c.lane)?, c.hashrate).await?;
        }
        Ok(())
    }
}

async fn insert_quote(tx: &mut Tx, q: &Quote, sale: &Sale) -> Result<()> {
    let row = params![
        q.id,
        q.account,
        q.plan.as_str(),
        q.plan_version,
        q.hashrate,
        q.term_epochs,
        sale.epoch_work,
        q.work,
        q.price.asset,
        q.price.minor,
        q.created,
        q.expires
    ];
    tx.execute(sql::INSERT_QUOTE, &row).await?;
    Ok(())
}

/// Writes the contract; the hash of its terms.
async fn insert_contract(
    tx: &mut Tx,
    account: AccountId,
    quote: QuoteId,
    plan: &Plan,
    agreed: &terms::Agreed<'_>,
) -> Result<[u8; 32]> {
    let terms = terms::canonical(plan, agreed)?;
    let hash = terms::hash(&terms);
    let row = params![
        agreed.contract,
        account,
        quote,
        plan.id.as_str(),
        plan.version,
        plan.title.as_str(),
        plan.lane.clone(),
        plan.asset,
        plan.epoch_us,
        agreed.hashrate,
        agreed.term_epochs,
        plan.extension_epochs,
        plan.catch_up_bps,
        agreed.sale.epoch_work,
        agreed.sale.work,
        agreed.sale.price.asset,
        agreed.sale.price.minor,
        plan.fee_bps,
        plan.maintenance_minor_per_th_day,
        terms,
        hash,
        ContractState::AwaitingPayment.name(),
        agreed.at,
        Hashes::ZERO,
        Accrual::ZERO,
        write_also(&plan.maintenance_also),
        plan.scheme.name(),
        write_fpps(&plan.fpps)
    ];
    tx.execute(sql::INSERT_CONTRACT, &row).await?;
    Ok(hash)
}
