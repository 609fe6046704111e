//! What closing an epoch does to metered contracts.

use super::price::UnitPrice;
use super::{MeterGot, Metered, MeteredEpoch, MeteredState, NoticeKind, sql};
use crate::config::PlanKind;
use crate::pages::Pages;
use crate::sale::{Capacity, release};
use crate::settle::maintenance;
use crate::{LaneConfig, Market, MarketError, Result, fpps_pay};
use gruve_ledger::{Account, Entry, Posting, balances};
use gruve_store::{Batch, Row, Tx, Value, params};
use gruve_units::{AccountId, Amount, Asset, ContractId, EpochNumber, Hashes, Hashrate, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// Entries posted at once: some three thousand postings.
const ENTRIES_AT_ONCE: usize = 1_000;

/// What is held for an epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) epoch: EpochNumber,
    pub(super) price: UnitPrice,
    /// No more work than this.
    pub(super) cap: Hashes,
    pub(super) held: i64,
}

impl Hold {
    fn read(row: &Row) -> Result<Hold> {
        Ok(Hold {
            epoch: row.get("epoch")?,
            price: UnitPrice {
                minor: row.get("price_minor")?,
                hashrate: row.get("price_hashrate")?,
            },
            cap: row.get("cap")?,
            held: row.get("held_minor")?,
        })
    }
}

/// The open holds of a contract, oldest first.
pub(super) async fn open_holds(tx: &mut Tx, contract: ContractId) -> Result<Vec<Hold>> {
    let rows = tx.fetch_all(sql::OPEN_HOLDS, &params![contract]).await?;
    rows.iter().map(Hold::read).collect()
}

/// The open holds of many contracts, each one's oldest first.
pub(super) async fn open_holds_of(
    tx: &mut Tx,
    page: &[Metered],
) -> Result<HashMap<ContractId, Vec<Hold>>> {
    let mut all: HashMap<ContractId, Vec<Hold>> = HashMap::new();
    let ids = page.iter().map(|c| Value::from(c.id)).collect();
    for row in tx.fetch_many(&sql::OPEN_HOLDS_OF, ids).await? {
        all.entry(row.get("id")?).or_default().push(Hold::read(&row)?);
    }
    Ok(all)
}

impl MeteredEpoch<'_> {
    /// Charges what was delivered, gives the rest back, and holds for the next epoch. The journal is the same as if
    /// each contract's entries were posted alone.
    pub(crate) async fn settle(
        self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        got: &mut MeterGot<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let mut got = got.read()?;
        let mut pages = Pages::by_id(sql::LIVE, &params![lane.lane.clone()]);
        while let Some(rows) = pages.next(tx).await? {
            let page = rows.iter().map(Metered::read).collect::<Result<Vec<_>>>()?;
            let mut holds = open_holds_of(tx, &page).await?;
            let mut writing = Writing::begin(tx, &page, now).await?;
            for mut c in page {
                let holds = holds.remove(&c.id).unwrap_or_default();
                let got = got.find(c.id)?.unwrap_or(Hashes::ZERO);
                let mut left = Vec::new();
                for hold in holds {
                    if hold.epoch > self.epoch {
                        left.push(hold.epoch);
                        continue;
                    }
                    // Of an epoch that was never closed nothing was delivered.
                    let got = if hold.epoch == self.epoch { got } else { Hashes::ZERO };
                    c.charge(tx, &mut writing, &hold, got).await?;
                }
                c.go_on(market, tx, lane, (self.epoch, &left), &mut writing).await?;
            }
            writing.finish(tx).await?;
        }
        Ok(())
    }
}

/// What is written of a page of contracts, together.
struct Writing {
    now: Timestamp,
    entries: Vec<Entry>,
    closed: Batch,
    delivered: Batch,
    held: Batch,
    /// What customers have, with the entries that are not posted yet.
    available: HashMap<(AccountId, Asset), i64>,
}

impl Writing {
    async fn begin(tx: &mut Tx, page: &[Metered], now: Timestamp) -> Result<Writing> {
        let mut available = HashMap::new();
        let assets: BTreeSet<Asset> = page.iter().map(|c| c.pay_asset).collect();
        for asset in assets {
            let own = page.iter().filter(|c| c.pay_asset == asset);
            let whose: Vec<Account> = own.map(|c| Account::CustomerAvailable(c.account)).collect();
            let there = balances(tx, &whose, asset).await?;
            for (account, amount) in whose.iter().zip(there) {
                if let Account::CustomerAvailable(id) = account {
                    available.insert((*id, asset), amount.minor);
                }
            }
        }
        Ok(Writing {
            now,
            entries: Vec::new(),
            closed: Batch::new(&sql::CLOSE_HOLDS),
            delivered: Batch::new(&sql::DELIVER),
            held: Batch::new(&sql::INSERT_HOLDS),
            available,
        })
    }

    fn available(&mut self, c: &Metered) -> &mut i64 {
        self.available.entry((c.account, c.pay_asset)).or_default()
    }

    async fn entry(&mut self, tx: &mut Tx, entry: Entry) -> Result<()> {
        self.entries.push(entry);
        if self.entries.len() >= ENTRIES_AT_ONCE { self.post(tx).await } else { Ok(()) }
    }

    async fn post(&mut self, tx: &mut Tx) -> Result<()> {
        gruve_ledger::post_all(tx, &std::mem::take(&mut self.entries)).await?;
        Ok(())
    }

    async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        self.post(tx).await?;
        self.closed.finish(tx).await?;
        self.delivered.finish(tx).await?;
        self.held.finish(tx).await?;
        Ok(())
    }
}

impl Metered {
    /// Takes the price of delivered work out of a hold and releases the rest.
    async fn charge(
        &mut self,
        tx: &mut Tx,
        writing: &mut Writing,
        hold: &Hold,
        work: Hashes,
    ) -> Result<()> {
        let overflow = || MarketError::Overflow("a cost");
        let cost = hold.price.cost(work)?.checked_add(self.cost_carry).ok_or_else(overflow)?;
        let (charged, carry) = cost.split().map_err(|_| overflow())?;
        if charged > hold.held {
            return Err(MarketError::Broken("an epoch cost more than was held for it".into()));
        }
        let (amount, back) = (|minor| Amount::new(self.pay_asset, minor), hold.held - charged);
        let entry = Entry {
            reason: format!("market/metered/{}/{}", self.id, hold.epoch),
            kind: "market-metered",
            at: writing.now,
            postings: vec![
                Posting::debit(Account::CustomerHeld(self.account), amount(hold.held)),
                Posting::credit(Account::OperatorRevenue, amount(charged)),
                Posting::credit(Account::CustomerAvailable(self.account), amount(back)),
            ],
        };
        writing.entry(tx, entry).await?;
        let available = writing.available(self);
        *available = available.checked_add(back).ok_or_else(overflow)?;
        writing.closed.push(tx, params![self.id, hold.epoch, work, charged]).await?;
        self.cost_carry = carry;
        self.charged = self.charged.checked_add(charged).ok_or_else(overflow)?;
        let delivered = self.delivered.checked_add(work);
        self.delivered = delivered.ok_or(MarketError::Overflow("delivered work"))?;
        let due = self.maintenance_due.checked_add(maintenance(work, self.maintenance)?);
        self.maintenance_due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
        self.is_charged = true;
        Ok(())
    }

    /// After an epoch: the next hold, or the end. Holds of the later epochs `left` are open.
    async fn go_on(
        &mut self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        (epoch, left): (EpochNumber, &[EpochNumber]),
        writing: &mut Writing,
    ) -> Result<()> {
        if self.is_charged {
            let (charged, due) = (self.charged, self.maintenance_due);
            let row = params![self.id, self.delivered, self.cost_carry, charged, due];
            writing.delivered.push(tx, row).await?;
        }
        let (now, last) = (writing.now, left.last().copied());
        let held = match self.state {
            MeteredState::Active => {
                self.hold_next(market, tx, lane, (epoch, last), writing).await?
            }
            MeteredState::Stopped => return self.resume(market, tx, lane, epoch, writing).await,
            MeteredState::Ending | MeteredState::Ended => false,
        };
        if held || !left.is_empty() {
            return Ok(());
        }
        release(tx, lane, self.hashrate).await?;
        if self.state == MeteredState::Ending {
            self.enter(tx, MeteredState::Ended, Some(epoch)).await?;
            self.notify(tx, NoticeKind::Ended, epoch, now).await
        } else {
            self.enter(tx, MeteredState::Stopped, None).await?;
            self.notify(tx, NoticeKind::Stopped, epoch, now).await
        }
    }

    /// Holds for the next epoch that has not begun; true when something is held for it. `last` is the last one that
    /// something is held for: what is held for an epoch to come stays open until its close.
    async fn hold_next(
        &mut self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        (epoch, last): (EpochNumber, Option<EpochNumber>),
        writing: &mut Writing,
    ) -> Result<bool> {
        let now = writing.now;
        let next = next_epoch(lane, epoch, now);
        if last.is_some_and(|e| e >= next) {
            return Ok(true);
        }
        let Some((version, price)) = self.price_now(market) else { return Ok(false) };
        let worst = price.hold(self.epoch_work)?;
        let there = *writing.available(self);
        let held = worst.min(there);
        let cap = if held == worst { self.epoch_work } else { price.covered(held)? };
        if held <= 0 || cap == Hashes::ZERO {
            return Ok(false);
        }
        let hold = Hold { epoch: next, price, cap, held };
        writing.entry(tx, self.hold_entry(&hold, now)).await?;
        writing.held.push(tx, self.hold_row(&hold, version)).await?;
        *writing.available(self) -= held;
        self.tell_low(tx, there - held, worst, epoch, now).await?;
        Ok(true)
    }

    /// Says once that the balance will soon be used up; again only after it was filled.
    async fn tell_low(
        &mut self,
        tx: &mut Tx,
        left: i64,
        worst: i64,
        epoch: EpochNumber,
        now: Timestamp,
    ) -> Result<()> {
        let enough = i128::from(worst) * i128::from(self.low_epochs);
        let is_low = i128::from(left) < enough;
        if is_low == self.is_low {
            return Ok(());
        }
        self.is_low = is_low;
        tx.execute(sql::SET_LOW, &params![self.id, is_low]).await?;
        if is_low { self.notify(tx, NoticeKind::Low, epoch, now).await } else { Ok(()) }
    }

    /// A stopped contract goes on when a whole epoch is paid for and its rate is for sale.
    async fn resume(
        &mut self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        writing: &mut Writing,
    ) -> Result<()> {
        let now = writing.now;
        let Some((_, price)) = self.price_now(market) else { return Ok(()) };
        if *writing.available(self) < price.hold(self.epoch_work)? {
            return Ok(());
        }
        let capacity = Capacity::read(tx, lane).await?;
        if capacity.available() < self.hashrate {
            return Ok(());
        }
        if let Ok(plan) = market.plan(&self.plan) {
            match fpps_pay::check_sale(market, tx, &plan).await {
                Ok(()) => {}
                Err(MarketError::FppsFigures { .. } | MarketError::FppsReserve { .. }) => {
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        let sold = Hashrate(capacity.sold.0.saturating_add(self.hashrate.0));
        capacity.swap(tx, &lane.lane, sold).await?;
        self.enter(tx, MeteredState::Active, None).await?;
        self.notify(tx, NoticeKind::Resumed, epoch, now).await?;
        self.hold_next(market, tx, lane, (epoch, None), writing).await?;
        Ok(())
    }

    /// The plan's price now, and its version; `None` when the plan is not on offer as it was.
    pub(super) fn price_now(&self, market: &Market) -> Option<(u32, UnitPrice)> {
        let plan = market.plan(&self.plan).ok()?;
        let same = plan.kind == PlanKind::Metered
            && plan.lane == self.lane
            && plan.price.asset == self.pay_asset
            && plan.scheme == self.scheme
            && plan.epoch_us == self.epoch_us;
        let price = UnitPrice { minor: plan.price.minor, hashrate: plan.price_hashrate };
        same.then_some((plan.version, price))
    }

    /// Moves the money and writes the hold down.
    pub(super) async fn hold(
        &self,
        tx: &mut Tx,
        hold: Hold,
        version: u32,
        now: Timestamp,
    ) -> Result<()> {
        gruve_ledger::post(tx, &self.hold_entry(&hold, now)).await?;
        tx.execute_many(&sql::INSERT_HOLDS, self.hold_row(&hold, version).to_vec()).await?;
        Ok(())
    }

    fn hold_entry(&self, hold: &Hold, now: Timestamp) -> Entry {
        let amount = Amount::new(self.pay_asset, hold.held);
        let reason = format!("market/hold/{}/{}", self.id, hold.epoch);
        let from = Account::CustomerAvailable(self.account);
        let to = Account::CustomerHeld(self.account);
        Entry::transfer(reason, "market-hold", now, from, to, amount)
    }

    fn hold_row(&self, hold: &Hold, version: u32) -> [Value; 9] {
        params![
            self.id,
            hold.epoch,
            self.lane.clone(),
            version,
            hold.price.minor,
            hold.price.hashrate,
            hold.cap,
            hold.held,
            Hashes::ZERO
        ]
    }
}

/// The next epoch that has not begun, and is not closed.
pub(super) fn next_epoch(lane: &LaneConfig, closed: EpochNumber, now: Timestamp) -> EpochNumber {
    lane.epoch_rule.at(now).next().max(closed.next())
}
