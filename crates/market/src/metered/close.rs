//! What closing an epoch does to metered contracts.

use super::price::UnitPrice;
use super::{Metered, MeteredState, NoticeKind, sql};
use crate::allocate::{Allocation, Entitlement};
use crate::config::PlanKind;
use crate::pages::Pages;
use crate::sale::{Capacity, release};
use crate::settle::maintenance;
use crate::{LaneConfig, Market, MarketError, Result, Scheme, fpps_pay};
use gruve_ledger::{Account, Entry, Posting, balance};
use gruve_store::{Row, Tx, params};
use gruve_units::{Amount, ContractId, EpochNumber, Hashes, Hashrate, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

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

/// The metered contracts of a lane in an epoch that is being closed.
pub(crate) struct MeteredEpoch {
    epoch: EpochNumber,
    contracts: Vec<(Metered, Vec<Hold>)>,
}

impl MeteredEpoch {
    /// Reads them with their open holds.
    pub(crate) async fn read(
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<MeteredEpoch> {
        let mut contracts = Vec::new();
        let mut pages = Pages::by_id(sql::LIVE, &params![lane.lane.clone()]);
        while let Some(rows) = pages.next(tx).await? {
            for row in &rows {
                let c = Metered::read(row)?;
                let holds = open_holds(tx, c.id).await?;
                contracts.push((c, holds));
            }
        }
        Ok(MeteredEpoch { epoch, contracts })
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> BTreeSet<ContractId> {
        self.contracts.iter().map(|(c, _)| c.id).collect()
    }

    /// What they should get: the rate asked for, and no more than is held for.
    pub(crate) fn claims(&self, market: &Market) -> Vec<Entitlement> {
        let mut claims = Vec::new();
        for (c, holds) in &self.contracts {
            if let Some(hold) = holds.iter().find(|h| h.epoch == self.epoch) {
                claims.push(Entitlement {
                    contract: c.id,
                    entitled: c.epoch_work.min(hold.cap),
                    catch_up: Hashes::ZERO,
                    short_since: None,
                    is_operators: market.config().operator_accounts.contains(&c.account),
                });
            }
        }
        claims
    }

    /// Those that do not earn by PPLNS.
    pub(crate) fn other_schemes(&self) -> impl Iterator<Item = (ContractId, Scheme)> {
        let others = self.contracts.iter().filter(|(c, _)| c.scheme != Scheme::Pplns);
        others.map(|(c, _)| (c.id, c.scheme))
    }

    /// Charges what was delivered, gives the rest back, and holds for the next epoch.
    pub(crate) async fn settle(
        self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        allocation: &Allocation,
        now: Timestamp,
    ) -> Result<()> {
        let epoch = self.epoch;
        let got: BTreeMap<ContractId, Hashes> =
            allocation.shares.iter().map(|s| (s.contract, s.allocated)).collect();
        for (mut c, holds) in self.contracts {
            let mut left = 0;
            for hold in holds {
                if hold.epoch > epoch {
                    left += 1;
                    continue;
                }
                // Of an epoch that was never closed nothing was delivered.
                let work = if hold.epoch == epoch { got.get(&c.id).copied() } else { None };
                c.charge(tx, &hold, work.unwrap_or(Hashes::ZERO), now).await?;
            }
            c.go_on(market, tx, lane, (epoch, left), now).await?;
        }
        Ok(())
    }
}

impl Metered {
    /// Takes the price of delivered work out of a hold and releases the rest.
    async fn charge(
        &mut self,
        tx: &mut Tx,
        hold: &Hold,
        work: Hashes,
        now: Timestamp,
    ) -> Result<()> {
        let overflow = || MarketError::Overflow("a cost");
        let cost = hold.price.cost(work)?.checked_add(self.cost_carry).ok_or_else(overflow)?;
        let (charged, carry) = cost.split().map_err(|_| overflow())?;
        if charged > hold.held {
            return Err(MarketError::Broken("an epoch cost more than was held for it".into()));
        }
        let amount = |minor| Amount::new(self.pay_asset, minor);
        let entry = Entry {
            reason: format!("market/metered/{}/{}", self.id, hold.epoch),
            kind: "market-metered",
            at: now,
            postings: vec![
                Posting::debit(Account::CustomerHeld(self.account), amount(hold.held)),
                Posting::credit(Account::OperatorRevenue, amount(charged)),
                Posting::credit(
                    Account::CustomerAvailable(self.account),
                    amount(hold.held - charged),
                ),
            ],
        };
        gruve_ledger::post(tx, &entry).await?;
        tx.execute(sql::CLOSE_HOLD, &params![self.id, hold.epoch, work, charged]).await?;
        self.cost_carry = carry;
        self.charged = self.charged.checked_add(charged).ok_or_else(overflow)?;
        let delivered = self.delivered.checked_add(work);
        self.delivered = delivered.ok_or(MarketError::Overflow("delivered work"))?;
        let due = self.maintenance_due.checked_add(maintenance(work, self.maintenance)?);
        self.maintenance_due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
        let changed =
            params![self.id, self.delivered, self.cost_carry, self.charged, self.maintenance_due];
        tx.execute(sql::DELIVER, &changed).await?;
        Ok(())
    }

    /// After an epoch: the next hold, or the end. `left` holds of later epochs are open.
    async fn go_on(
        &mut self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        (epoch, left): (EpochNumber, u32),
        now: Timestamp,
    ) -> Result<()> {
        let held = match self.state {
            MeteredState::Active => self.hold_next(market, tx, lane, epoch, now).await?,
            MeteredState::Stopped => return self.resume(market, tx, lane, epoch, now).await,
            MeteredState::Ending | MeteredState::Ended => false,
        };
        if held || left > 0 {
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

    /// Holds for the next epoch that has not begun; true when something is held for it.
    async fn hold_next(
        &mut self,
        market: &Market,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        now: Timestamp,
    ) -> Result<bool> {
        let next = next_epoch(lane, epoch, now);
        let last = tx.fetch_one(sql::LAST_HOLD, &params![self.id]).await?;
        if last.get::<Option<EpochNumber>>("epoch")?.is_some_and(|e| e >= next) {
            return Ok(true);
        }
        let Some((version, price)) = self.price_now(market) else { return Ok(false) };
        let worst = price.hold(self.epoch_work)?;
        let there = self.available(tx).await?;
        let held = worst.min(there);
        let cap = if held == worst { self.epoch_work } else { price.covered(held)? };
        if held <= 0 || cap == Hashes::ZERO {
            return Ok(false);
        }
        self.hold(tx, Hold { epoch: next, price, cap, held }, version, now).await?;
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
        now: Timestamp,
    ) -> Result<()> {
        let Some((_, price)) = self.price_now(market) else { return Ok(()) };
        if self.available(tx).await? < price.hold(self.epoch_work)? {
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
        self.hold_next(market, tx, lane, epoch, now).await?;
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

    async fn available(&self, tx: &mut Tx) -> Result<i64> {
        let account = Account::CustomerAvailable(self.account);
        Ok(balance(tx, &account, self.pay_asset).await?.minor)
    }

    /// Moves the money and writes the hold down.
    pub(super) async fn hold(
        &self,
        tx: &mut Tx,
        hold: Hold,
        version: u32,
        now: Timestamp,
    ) -> Result<()> {
        let amount = Amount::new(self.pay_asset, hold.held);
        let reason = format!("market/hold/{}/{}", self.id, hold.epoch);
        let from = Account::CustomerAvailable(self.account);
        let to = Account::CustomerHeld(self.account);
        let entry = Entry::transfer(reason, "market-hold", now, from, to, amount);
        gruve_ledger::post(tx, &entry).await?;
        let row = params![
            self.id,
            hold.epoch,
            self.lane.clone(),
            version,
            hold.price.minor,
            hold.price.hashrate,
            hold.cap,
            hold.held,
            Hashes::ZERO
        ];
        tx.execute(sql::INSERT_HOLD, &row).await?;
        Ok(())
    }
}

/// The next epoch that has not begun, and is not closed.
pub(super) fn next_epoch(lane: &LaneConfig, closed: EpochNumber, now: Timestamp) -> EpochNumber {
    lane.epoch_rule.at(now).next().max(closed.next())
}
