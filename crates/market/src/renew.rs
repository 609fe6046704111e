//! Renewal without a gap, and earnings that buy more work.
//!
//! A renewal is a sale like any other, by a quote at today's price, of the same plan and rate. What is different
//! is its capacity: it takes over that of the contract it follows, in the close that ends that one, and
//! begins with the next epoch. Until then it holds none, so that nothing is sold twice. One contract has one
//! follower at a time, and it is sold near the end only: until its first epoch a sale can be taken back for its
//! whole price, so that one made long before the end would be a price for nothing to choose from.
//!
//! For the same reason a contract whose renewal is paid for is not paused, and a pause of it ends ([`crate::pause`]): its clock
//! would stand still, and the price with it. A wish waits while it is paused. One that is frozen for a dispute cannot be renewed.
//!
//! With a customer's standing wish, both are done from the balance: a renewal when little of the work is left
//! and the price is not above the customer's limit; a purchase of the same plan when a contract's credited
//! earnings since the wish suffice for the least of it. Never more than was earned is spent, and never more
//! than the balance holds.

use crate::bulk;
use crate::close::LaneState;
use crate::contract::Contract;
use crate::notices::{Notice, NoticeKind, tell};
use crate::pages::Pages;
use crate::pause::{is_over, is_paused};
use crate::standing::StandingRow;
use crate::wishes::Wishes;
use crate::{
    Beneficiary, ContractState, LaneConfig, Market, MarketError, Paid, Plan, Quote, Result,
    end_near, life_sql, terms,
};
use gruve_ledger::Account;
use gruve_store::{Tx, Value, params, transact};
use gruve_units::{AccountId, Amount, Asset, Blame, Blamed, ContractId, EpochNumber, Hashrate};
use std::collections::BTreeMap;

/// A contract is renewed by a standing wish when at most so many epochs' work is left of it.
pub const RENEW_AHEAD_EPOCHS: u64 = 3;

/// So many epochs behind the longest window a contract that is over is credited nothing more: a month of ten-minute ones,
/// longer than any chain's blocks mature.
const EARNS_ON_EPOCHS: u64 = 4_320;

/// A contract that waits for the end of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Follower {
    id: ContractId,
    hashrate: Hashrate,
    is_paid: bool,
}

/// Those that follow some contracts, by the contract they follow.
pub(crate) async fn followers(
    tx: &mut Tx,
    of: impl Iterator<Item = ContractId>,
) -> Result<BTreeMap<ContractId, Follower>> {
    let mut all = BTreeMap::new();
    for row in tx.fetch_many(&bulk::sql::FOLLOWERS, of.map(Value::from).collect()).await? {
        let follower = Follower {
            id: row.get("id")?,
            hashrate: row.get("hashrate")?,
            is_paid: row.get::<String>("state")? == ContractState::Starting.name(),
        };
        all.insert(row.get("renews")?, follower);
    }
    Ok(all)
}

/// Hands the capacity of a contract that ends to its follower: what of it is kept.
pub(crate) async fn follow(
    tx: &mut Tx,
    follower: Option<&Follower>,
    ended: EpochNumber,
) -> Result<Hashrate> {
    let Some(f) = follower else { return Ok(Hashrate::ZERO) };
    // One that is not paid yet begins when it is.
    let start = f.is_paid.then(|| ended.next());
    tx.execute(life_sql::FOLLOW, &params![f.id, start]).await?;
    Ok(f.hashrate)
}

/// Whether a quote's contract can still be followed.
pub(crate) async fn can_follow(
    tx: &mut Tx,
    account: AccountId,
    renews: Option<ContractId>,
) -> Result<Option<Contract>> {
    let Some(id) = renews else { return Ok(None) };
    let c = Contract::find(tx, id).await?;
    let is_free = tx.fetch_all(life_sql::FOLLOWER, &params![id]).await?.is_empty();
    let fits = c.account == account && c.state == ContractState::Active && is_free;
    let fits = fits && c.life.frozen_since.is_none();
    Ok(fits.then_some(c))
}

impl Market {
    /// A quote for going on with a contract's plan and rate without a gap, at today's price.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; [`MarketError::WrongState`] for one that does not run, is frozen or has a follower
    /// already; [`MarketError::TooEarly`] before its end is near; as [`Market::quote`].
    pub async fn quote_renewal(
        &self,
        account: AccountId,
        contract: ContractId,
        term_epochs: u64,
    ) -> Result<Quote> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, contract).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let free = can_follow(&mut tx, account, Some(contract)).await?;
        let closed = LaneState::read(&mut tx, &c.lane).await?.closed;
        tx.rollback().await?;
        let state = match c.state {
            ContractState::Active if c.life.frozen_since.is_some() => "frozen",
            ContractState::Active => "renewed",
            other => other.name(),
        };
        let c = free.ok_or(MarketError::WrongState { state })?;
        // The quote lives some minutes, and an end that is near does not go away: buying asks no second time.
        let ahead = end_near::renewable(c.term);
        if !end_near::is_within(&c, ahead, closed) {
            return Err(MarketError::TooEarly { epochs: ahead });
        }
        self.quote_for(account, &c.plan, c.hashrate, term_epochs, Some(contract)).await
    }

    /// What a customer wants of a contract: to be renewed from the balance for at most so many minor units
    /// (`None`: not), and that its earnings from now on buy more.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], [`MarketError::WrongState`] for one that has ended;
    /// [`MarketError::BadPrice`] for a limit that is none; the database's.
    pub async fn wish(
        &self,
        account: AccountId,
        contract: ContractId,
        renew_max_minor: Option<i64>,
        reinvest: bool,
    ) -> Result<()> {
        if renew_max_minor.is_some_and(|max| max <= 0) {
            return Err(MarketError::BadPrice("a limit is above zero"));
        }
        transact!(self.store(), tx -> Result<()> => {
            let c = Contract::find(tx, contract).await?;
            if c.account != account {
                return Err(MarketError::UnknownContract);
            }
            let mut wishes = Wishes::find(tx, contract).await?;
            // What was wished before may be taken back even then.
            let is_new = renew_max_minor.is_some() || (reinvest && !wishes.reinvest);
            if is_over(c.state) && is_new {
                return Err(MarketError::WrongState { state: c.state.name() });
            }
            if reinvest && !wishes.reinvest {
                // What it earned before stays the customer's.
                wishes.reinvest_from = self.credited(tx, &c).await?;
                wishes.reinvested = 0;
            }
            (wishes.renew_max_minor, wishes.reinvest) = (renew_max_minor, reinvest);
            wishes.put(tx, contract).await
        })
    }

    /// What a contract was credited of its lane's own coin, after fees.
    async fn credited(&self, tx: &mut Tx, c: &Contract) -> Result<i64> {
        let book = self.book(&c.lane, c.asset)?;
        let mut net = 0i64;
        for who in [Beneficiary::Contract(c.id), Beneficiary::Fpps(c.id)] {
            net = net.saturating_add(StandingRow::find(tx, book, who).await?.standing.net);
        }
        Ok(net)
    }

    /// Does what customers want of a lane's contracts, after an epoch was closed. What is refused concerns one
    /// contract and is told its owner; other errors are logged and tried again after the next close.
    pub(crate) async fn grant_wishes(&self, lane: &LaneConfig) {
        for is_renewal in [true, false] {
            if let Err(error) = self.grant(lane, is_renewal).await {
                tracing::warn!(lane = %lane.lane, %error, "customers' standing wishes wait");
            }
        }
    }

    async fn grant(&self, lane: &LaneConfig, is_renewal: bool) -> Result<()> {
        let mut tx = self.store().read().await?;
        let mut wishing: Vec<ContractId> = Vec::new();
        let mut pages = if is_renewal {
            Pages::by_id(life_sql::TO_RENEW, &params![lane.lane.clone()])
        } else {
            // Work that was delivered before the end may still be in a window, or a block of it not mature.
            let closed = LaneState::read(&mut tx, &lane.lane).await?.closed.unwrap_or_default();
            let since = closed.back(lane.pplns_epochs_max.saturating_add(EARNS_ON_EPOCHS));
            Pages::by_id(life_sql::TO_REINVEST, &params![lane.lane.clone(), since])
        };
        while let Some(rows) = pages.next(&mut tx).await? {
            for row in rows {
                wishing.push(row.get("id")?);
            }
        }
        tx.rollback().await?;
        for id in wishing {
            let done = if is_renewal {
                Box::pin(self.renew(id)).await
            } else {
                Box::pin(self.reinvest(id)).await
            };
            match done {
                Ok(()) => {}
                Err(e) if e.blame() == Blame::Rejected => {
                    tracing::info!(contract = %id, error = %e, "a standing wish was not granted");
                    if is_renewal {
                        self.tell_not_renewed(id, e.to_string()).await?;
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    async fn renew(&self, id: ContractId) -> Result<()> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        let wishes = Wishes::find(&mut tx, id).await?;
        let is_free = can_follow(&mut tx, c.account, Some(id)).await?.is_some();
        let balance = available(&mut tx, c.account, c.price.asset).await?;
        let closed = LaneState::read(&mut tx, &c.lane).await?.closed;
        tx.rollback().await?;
        let is_paused = closed.is_some_and(|last| is_paused(&c, last.next()));
        let is_near = !is_paused && end_near::is_within(&c, RENEW_AHEAD_EPOCHS, closed);
        let (Some(max), true, true) = (wishes.renew_max_minor, is_near, is_free) else {
            return Ok(());
        };
        let price = self.plan(&c.plan).and_then(|p| terms::price(&p, c.hashrate, c.term));
        let fits = price.as_ref().is_ok_and(|sale| {
            sale.price.asset == c.price.asset && sale.price.minor <= max.min(balance)
        });
        if !fits {
            return self.tell_not_renewed(id, String::new()).await;
        }
        let quote = self.quote_for(c.account, &c.plan, c.hashrate, c.term, Some(id)).await?;
        self.buy_from_balance(&c, &quote, Granted::Renewal { max }).await
    }

    async fn reinvest(&self, id: ContractId) -> Result<()> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        let wishes = Wishes::find(&mut tx, id).await?;
        let earned = self.credited(&mut tx, &c).await? - wishes.reinvest_from - wishes.reinvested;
        let balance = available(&mut tx, c.account, c.asset).await?;
        tx.rollback().await?;
        let plan = self.plan(&c.plan)?;
        if plan.pay_asset != c.asset {
            return Ok(());
        }
        let Some((rate, _)) = most_for(&plan, c.term, earned.min(balance)) else { return Ok(()) };
        let quote = self.quote(c.account, &plan.id, rate, c.term).await?;
        self.buy_from_balance(&c, &quote, Granted::Reinvestment).await
    }

    /// Buys a quote for the owner of a contract who wished for it, pays it from the balance, writes down what
    /// the wish is from then on and tells the owner; or does nothing of it.
    ///
    /// # Errors
    /// As [`Market::buy`]; [`MarketError::PriceNotCovered`].
    async fn buy_from_balance(&self, c: &Contract, quote: &Quote, granted: Granted) -> Result<()> {
        let now = self.now();
        transact!(self.store(), tx -> Result<()> => {
            // What was looked at before may have changed: the wish taken back, the contract renewed by hand,
            // the same earnings spent by another accountant. Then nothing is bought.
            if !self.still_wished(tx, c, quote.price, granted).await? {
                return Ok(());
            }
            let bought = self.buy(tx, c.account, quote.id).await?;
            if self.invoice_paid(tx, bought.contract, now).await? == Paid::LeftInBalance {
                return Err(MarketError::PriceNotCovered { price: bought.due });
            }
            let (kind, about, detail) = match granted {
                Granted::Renewal { max } => {
                    // The wish goes on with the contract.
                    let next = Wishes { renew_max_minor: Some(max), ..Wishes::default() };
                    next.put(tx, bought.contract).await?;
                    let about = c.start.map_or(0, |start| start.0);
                    (NoticeKind::Renewed, about, format!("{}", quote.price))
                }
                Granted::Reinvestment => {
                    let mut wishes = Wishes::find(tx, c.id).await?;
                    let about = u64::try_from(wishes.reinvested).unwrap_or(0);
                    wishes.reinvested = wishes.reinvested.saturating_add(bought.due.minor);
                    wishes.put(tx, c.id).await?;
                    (NoticeKind::Reinvested, about, format!("{} of {}", quote.price, quote.hashrate))
                }
            };
            let detail = format!("{detail}, contract {}", bought.contract);
            tell(tx, c.account, &Notice { contract: c.id, kind, about, at: now, detail }).await
        })
    }

    /// Whether a wish stands within the granting transaction, and carries so much.
    async fn still_wished(
        &self,
        tx: &mut Tx,
        c: &Contract,
        price: Amount,
        granted: Granted,
    ) -> Result<bool> {
        let wishes = Wishes::find(tx, c.id).await?;
        Ok(match granted {
            Granted::Renewal { .. } => {
                let fits = wishes.renew_max_minor.is_some_and(|max| price.minor <= max);
                fits && can_follow(tx, c.account, Some(c.id)).await?.is_some()
            }
            Granted::Reinvestment => {
                let spent = wishes.reinvest_from.saturating_add(wishes.reinvested);
                let left = self.credited(tx, c).await?.saturating_sub(spent);
                wishes.reinvest && price.minor <= left
            }
        })
    }

    /// Tells a contract's owner, once, that it is not renewed as wished.
    async fn tell_not_renewed(&self, id: ContractId, detail: String) -> Result<()> {
        let (kind, at) = (NoticeKind::NotRenewed, self.now());
        transact!(self.store(), tx -> Result<()> => {
            let c = Contract::find(tx, id).await?;
            let about = c.start.map_or(0, |start| start.0);
            let notice = Notice { contract: id, kind, about, at, detail: detail.clone() };
            tell(tx, c.account, &notice).await
        })
    }
}

/// A standing wish that is being granted.
#[derive(Clone, Copy)]
enum Granted {
    /// A renewal for at most so many minor units.
    Renewal {
        /// The limit.
        max: i64,
    },
    /// More of the plan, from earnings.
    Reinvestment,
}

async fn available(tx: &mut Tx, account: AccountId, asset: Asset) -> Result<i64> {
    let of = Account::CustomerAvailable(account);
    Ok(gruve_ledger::balance(tx, &of, asset).await?.minor)
}

/// The most of a plan that an amount buys for a term, and its price; `None` when not even the least. Pure.
fn most_for(plan: &Plan, term: u64, minor: i64) -> Option<(Hashrate, Amount)> {
    let price = |rate: u128| {
        let sale = terms::price(plan, Hashrate(rate), term).ok()?;
        (sale.price.minor <= minor).then_some((Hashrate(rate), sale.price))
    };
    let step = plan.hashrate_step.0.max(1);
    // The rates offered are multiples of the step; prices grow with them.
    let (mut low, mut high) = (plan.hashrate_min.0.div_ceil(step), plan.hashrate_max.0 / step);
    let mut best = price(low.checked_mul(step)?)?;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match price(middle.checked_mul(step)?) {
            Some(found) => (best, low) = (found, middle),
            None => high = middle - 1,
        }
    }
    Some(best)
}

#[cfg(test)]
mod tests;
