//! Starting and ending metered contracts, and what their owners see.

use super::close::{Hold, next_epoch, open_holds};
use super::price::UnitPrice;
use super::{
    METERED_PER_ACCOUNT_MAX, Metered, MeteredState, MeteredView, NOTICES_MAX, Notice, NoticeKind,
    sql,
};
use crate::close::LaneState;
use crate::config::PlanKind;
use crate::read::earned;
use crate::sale::{Capacity, release};
use crate::scheme::write_fpps;
use crate::standing::StandingRow;
use crate::{Market, MarketError, Plan, Result, fpps_pay, terms};
use gruve_ledger::{Account, Entry, LedgerError};
use gruve_store::{Tx, params};
use gruve_units::{
    AccountId, Accrual, Amount, ContractId, Duration, EpochNumber, Hashes, Hashrate,
};

/// What was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The contract.
    pub contract: ContractId,
    /// Its first epoch.
    pub first_epoch: EpochNumber,
    /// What is held for it.
    pub held: Amount,
}

impl Market {
    /// Starts a metered contract with the next epoch: takes capacity and holds that epoch's worst case. The same
    /// key again gives the same contract.
    ///
    /// # Errors
    /// [`MarketError::UnknownPlan`] (also for a plan that is not metered), [`MarketError::HashrateNotOffered`],
    /// [`MarketError::SoldOut`], [`MarketError::TooMany`], [`MarketError::BalanceTooLow`], [`MarketError::KeyReused`], those of an FPPS
    /// sale; nothing was written then. [`MarketError::CapacityMoved`] and the database's.
    pub async fn start_metered(
        &self,
        tx: &mut Tx,
        account: AccountId,
        plan: &str,
        hashrate: Hashrate,
        request_key: Option<&str>,
    ) -> Result<Started> {
        if let Some(key) = request_key
            && let Some(before) = started_before(tx, account, key, plan, hashrate).await?
        {
            return Ok(before);
        }
        let plan = self.plan(plan)?;
        if plan.kind != PlanKind::Metered {
            return Err(MarketError::UnknownPlan);
        }
        let epoch_work = epoch_work(&plan, hashrate)?;
        let price = UnitPrice { minor: plan.price.minor, hashrate: plan.price_hashrate };
        let held = price.hold(epoch_work)?;
        let (now, lane) = (self.now(), self.lane(&plan.lane)?);
        let row = tx.fetch_one(sql::COUNT_LIVE, &params![account]).await?;
        if row.get::<i64>("n")? >= i64::from(METERED_PER_ACCOUNT_MAX) {
            let limit = METERED_PER_ACCOUNT_MAX;
            return Err(MarketError::TooMany { what: "metered contracts", limit });
        }
        let capacity = Capacity::read(tx, lane).await?;
        if capacity.available() < hashrate {
            return Err(MarketError::SoldOut { available: capacity.available() });
        }
        fpps_pay::check_sale(self, tx, &plan).await?;
        let available = Account::CustomerAvailable(account);
        let there = gruve_ledger::balance(tx, &available, plan.price.asset).await?;
        if there.minor < held {
            let needed = Amount::new(plan.price.asset, held);
            return Err(MarketError::BalanceTooLow { needed, available: there });
        }
        let closed = LaneState::read(tx, &plan.lane).await?.closed;
        let first = next_epoch(lane, closed.unwrap_or_default(), now);
        let id = ContractId::new(now, self.entropy());
        let agreed = super::terms::Agreed { contract: id, at: now, hashrate, epoch_work };
        let terms = super::terms::canonical(&plan, &agreed, lane.settle_every_epochs)?;
        let c = Metered {
            id,
            account,
            plan: plan.id.clone(),
            plan_version: plan.version,
            title: plan.title.clone(),
            lane: plan.lane.clone(),
            asset: plan.asset,
            pay_asset: plan.price.asset,
            epoch_us: plan.epoch_us,
            hashrate,
            epoch_work,
            scheme: plan.scheme,
            fpps: plan.fpps.clone(),
            fee: plan.fee_bps,
            maintenance: plan.maintenance_minor_per_th_day,
            maintenance_also: plan.maintenance_also.clone(),
            low_epochs: plan.low_balance_epochs,
            terms_hash: terms::hash(&terms),
            state: MeteredState::Active,
            is_low: false,
            created: now,
            first_epoch: first,
            ended_epoch: None,
            delivered: Hashes::ZERO,
            cost_carry: Accrual::ZERO,
            charged: 0,
            maintenance_due: Accrual::ZERO,
            minimum: plan.life.minimum_payout_minor,
            is_charged: false,
        };
        let sold = Hashrate(capacity.sold.0.saturating_add(hashrate.0));
        let written = async {
            capacity.swap(tx, &plan.lane, sold).await?;
            insert(tx, &c, terms, request_key).await?;
            self.write_signature(tx, c.id, &c.terms_hash).await?;
            c.hold(tx, Hold { epoch: first, price, cap: epoch_work, held }, plan.version, now).await
        };
        let outcome = written.await;
        if outcome.is_err() {
            tx.abandon();
        }
        let held = Amount::new(plan.price.asset, held);
        match outcome {
            Err(MarketError::Ledger(LedgerError::InsufficientFunds { available, .. })) => {
                Err(MarketError::BalanceTooLow { needed: held, available })
            }
            other => other.map(|()| Started { contract: c.id, first_epoch: first, held }),
        }
    }

    /// Ends a metered contract at the next epoch border: what is held for later epochs comes back now, the
    /// running one is its last. One that is over stays so.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn end_metered(
        &self,
        tx: &mut Tx,
        account: AccountId,
        id: ContractId,
    ) -> Result<MeteredState> {
        let mut c = Metered::find(tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let (now, lane) = (self.now(), self.lane(&c.lane)?);
        let running = lane.epoch_rule.at(now);
        match c.state {
            MeteredState::Ending | MeteredState::Ended => return Ok(c.state),
            MeteredState::Stopped => {
                c.enter(tx, MeteredState::Ended, Some(running)).await?;
                c.notify(tx, NoticeKind::Ended, running, now).await?;
                return Ok(c.state);
            }
            MeteredState::Active => {}
        }
        let holds = open_holds(tx, id).await?;
        let is_last = holds.iter().all(|hold| hold.epoch > running);
        if is_last {
            // Before the journal, as a close takes them.
            release(tx, lane, c.hashrate).await?;
        }
        for hold in holds.iter().filter(|hold| hold.epoch > running) {
            let reason = format!("market/unhold/{id}/{}", hold.epoch);
            let from = Account::CustomerHeld(account);
            let to = Account::CustomerAvailable(account);
            let amount = Amount::new(c.pay_asset, hold.held);
            let entry = Entry::transfer(reason, "market-unhold", now, from, to, amount);
            gruve_ledger::post(tx, &entry).await?;
            let none = params![id, hold.epoch, Hashes::ZERO, 0_i64];
            tx.execute(sql::CLOSE_HOLD, &none).await?;
        }
        if is_last {
            c.enter(tx, MeteredState::Ended, Some(running)).await?;
            c.notify(tx, NoticeKind::Ended, running, now).await?;
        } else {
            c.enter(tx, MeteredState::Ending, None).await?;
        }
        Ok(c.state)
    }

    /// An account's metered contracts, newest first, at most [`crate::CONTRACTS_MAX`].
    ///
    /// # Errors
    /// The database's.
    pub async fn metered_contracts(&self, account: AccountId) -> Result<Vec<MeteredView>> {
        let mut tx = self.store().read().await?;
        let given = params![account, crate::CONTRACTS_MAX];
        let mut views = Vec::new();
        for row in tx.fetch_all(sql::OF_ACCOUNT, &given).await? {
            views.push(self.metered_view(&mut tx, Metered::read(&row)?).await?);
        }
        tx.rollback().await?;
        Ok(views)
    }

    /// A page of them: those made before one of them, the newest first by their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn metered_before(
        &self,
        account: AccountId,
        before: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<MeteredView>> {
        let mut tx = self.store().read().await?;
        let given = params![account, before.unwrap_or(ContractId::from_bytes([0xff; 16])), limit];
        let mut views = Vec::new();
        for row in tx.fetch_all(sql::OF_ACCOUNT_BEFORE, &given).await? {
            views.push(self.metered_view(&mut tx, Metered::read(&row)?).await?);
        }
        tx.rollback().await?;
        Ok(views)
    }

    /// A metered contract of an account.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn metered(&self, account: AccountId, id: ContractId) -> Result<MeteredView> {
        let mut tx = self.store().read().await?;
        let c = Metered::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let view = self.metered_view(&mut tx, c).await?;
        tx.rollback().await?;
        Ok(view)
    }

    /// The canonical bytes of the terms a metered contract was started under.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn metered_terms(&self, account: AccountId, id: ContractId) -> Result<Vec<u8>> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(sql::TERMS, &params![id, account]).await?;
        Ok(row.ok_or(MarketError::UnknownContract)?.get("terms")?)
    }

    async fn metered_view(&self, tx: &mut Tx, c: Metered) -> Result<MeteredView> {
        let mut earnings = Vec::new();
        for book in self.lane(&c.lane)?.books() {
            earnings.push(earned(&StandingRow::find(tx, book, c.earner()).await?, book)?);
        }
        let held: i64 = tx.fetch_one(sql::HELD_OF, &params![c.id]).await?.get("minor")?;
        let mut notices = Vec::new();
        for row in tx.fetch_all(sql::NOTICES, &params![c.id, NOTICES_MAX]).await? {
            let kind: String = row.get("kind")?;
            let kind = NoticeKind::ALL.into_iter().find(|k| k.name() == kind);
            notices.push(Notice {
                kind: kind.ok_or_else(|| MarketError::Broken("an unknown notice".into()))?,
                epoch: row.get("epoch")?,
                at: row.get("at")?,
            });
        }
        let price = c.price_now(self).map(|(_, price)| price);
        Ok(MeteredView {
            id: c.id,
            account: c.account,
            plan: c.plan,
            plan_version: c.plan_version,
            title: c.title,
            lane: c.lane,
            asset: c.asset,
            scheme: c.scheme,
            state: c.state,
            is_low: c.is_low,
            hashrate: c.hashrate,
            epoch_us: c.epoch_us,
            terms_hash: c.terms_hash,
            created: c.created,
            first_epoch: c.first_epoch,
            ended_epoch: c.ended_epoch,
            delivered: c.delivered,
            charged: Amount::new(c.pay_asset, c.charged),
            held: Amount::new(c.pay_asset, held),
            price,
            earnings,
            notices,
        })
    }
}

/// An epoch's work at a rate that the plan offers.
fn epoch_work(plan: &Plan, hashrate: Hashrate) -> Result<Hashes> {
    let (min, max, step) = (plan.hashrate_min, plan.hashrate_max, plan.hashrate_step);
    let work = hashrate.work_in(Duration::from_micros(plan.epoch_us));
    let offered = hashrate >= min && hashrate <= max && hashrate.0.is_multiple_of(step.0);
    if !offered || work == Hashes::ZERO {
        return Err(MarketError::HashrateNotOffered { min, max, step });
    }
    Ok(work)
}

/// What the same request led to before.
async fn started_before(
    tx: &mut Tx,
    account: AccountId,
    key: &str,
    plan: &str,
    hashrate: Hashrate,
) -> Result<Option<Started>> {
    let Some(row) = tx.fetch_optional(sql::OF_REQUEST, &params![account, key]).await? else {
        return Ok(None);
    };
    if row.get::<String>("plan")? != plan || row.get::<Hashrate>("hashrate")? != hashrate {
        return Err(MarketError::KeyReused);
    }
    Ok(Some(Started {
        contract: row.get("id")?,
        first_epoch: row.get("first_epoch")?,
        held: Amount::new(row.get("pay_asset")?, row.get("held_minor")?),
    }))
}

async fn insert(tx: &mut Tx, c: &Metered, terms: Vec<u8>, request_key: Option<&str>) -> Result<()> {
    let row = params![
        c.id,
        c.account,
        c.plan.as_str(),
        c.plan_version,
        c.title.as_str(),
        c.lane.clone(),
        c.asset,
        c.pay_asset,
        c.epoch_us,
        c.hashrate,
        c.epoch_work,
        c.scheme.name(),
        write_fpps(&c.fpps),
        c.fee,
        c.maintenance,
        c.also(),
        c.low_epochs,
        terms,
        c.terms_hash,
        c.created,
        c.first_epoch,
        c.delivered,
        c.cost_carry,
        request_key.map(str::to_owned),
        c.minimum
    ];
    tx.execute(sql::INSERT, &row).await?;
    Ok(())
}
