//! What the market shows, read from its tables.

mod lanes;
mod settled;
mod standings;

pub use settled::SettlementPlace;
use settled::settlements_before;
pub(crate) use settled::{earned, settled_between, settlement_lines, unsettled};

use crate::bulk::lines::{self, LineOf};
use crate::close::LaneState;
use crate::contract::Contract;
use crate::delivery::Delivery;
use crate::papers;
use crate::sql;
use crate::standing::StandingRow;
use crate::{
    Beneficiary, ContractView, EPOCH_LINES_MAX, Earnings, EpochLine, Market, MarketError, Result,
    SettlementLine,
};
use gruve_statement::SignedTerms;
use gruve_store::{Tx, params};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, ContractId, EpochNumber, EpochRule, Hashes, LaneId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Rows one question gives at most.
pub const ROWS_MAX: u32 = 1_000;

/// After all epochs: the largest number that a column holds.
pub(crate) const NO_EPOCH: EpochNumber = EpochNumber(i64::MAX.cast_unsigned());
/// Contracts of one account shown at most.
pub const CONTRACTS_MAX: u32 = 500;

/// Contracts whose earnings are asked for at once: as many as have what is pending looked up one by one.
const VIEWED_AT_ONCE: usize = 64;

/// Epochs of a contract's deliveries in one answer: a month of ten-minute ones.
pub const DELIVERED_MAX: u32 = 5_000;

impl Market {
    /// A contract of an account, with its last epochs.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn contract(&self, account: AccountId, id: ContractId) -> Result<ContractView> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let mut view = self.view(&mut tx, &c).await?;
        let rule = self.lane(&c.lane)?.epoch_rule;
        let lines = lines::of_contract(&mut tx, id, c.asset, None, EPOCH_LINES_MAX).await?;
        view.epochs = lines.iter().map(|l| epoch_line(l, c.asset, rule)).collect();
        tx.rollback().await?;
        Ok(view)
    }

    /// What a lease got in each epoch before `before` (of all without one), newest first, `limit` at most and
    /// never more than [`DELIVERED_MAX`].
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn delivered(
        &self,
        account: AccountId,
        id: ContractId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<(EpochNumber, Hashes)>> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let most = limit.min(DELIVERED_MAX);
        let lines = lines::of_contract(&mut tx, id, c.asset, before, most).await?;
        tx.rollback().await?;
        Ok(lines.iter().map(|(epoch, line)| (*epoch, line.delivered)).collect())
    }

    /// A page of a lease's epochs: those before one of them, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`], also for another account's; the database's.
    pub async fn contract_epochs(
        &self,
        account: AccountId,
        id: ContractId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<EpochLine>> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        let rule = self.lane(&c.lane)?.epoch_rule;
        let most = limit.min(ROWS_MAX);
        let lines = lines::of_contract(&mut tx, id, c.asset, before, most).await?;
        tx.rollback().await?;
        Ok(lines.iter().map(|l| epoch_line(l, c.asset, rule)).collect())
    }

    /// An account's contracts, newest first, at most [`CONTRACTS_MAX`], without epoch lines.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts(&self, account: AccountId) -> Result<Vec<ContractView>> {
        let mut tx = self.store().read().await?;
        let all = Contract::of_account(&mut tx, account, None, CONTRACTS_MAX).await?;
        let views = self.views(&mut tx, &all).await?;
        tx.rollback().await?;
        Ok(views)
    }

    /// A page of them: those made before one of them, the newest first by their ids.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts_before(
        &self,
        account: AccountId,
        before: Option<ContractId>,
        limit: u32,
    ) -> Result<Vec<ContractView>> {
        let mut tx = self.store().read().await?;
        let before = Some(before.unwrap_or(ContractId::from_bytes([0xff; 16])));
        let all = Contract::of_account(&mut tx, account, before, limit).await?;
        let views = self.views(&mut tx, &all).await?;
        tx.rollback().await?;
        Ok(views)
    }

    /// The canonical bytes of the terms a contract was sold under; their SHA-256 is its terms hash.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn terms(&self, account: AccountId, id: ContractId) -> Result<Vec<u8>> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(sql::TERMS_OF_CONTRACT, &params![id, account]).await?;
        Ok(row.ok_or(MarketError::UnknownContract)?.get("terms")?)
    }

    /// The same, of a contract of either kind, as the file a customer keeps: with their hash, and the operator's
    /// signature under it.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn signed_terms(&self, account: AccountId, id: ContractId) -> Result<SignedTerms> {
        let mut tx = self.store().read().await?;
        let mut row = tx.fetch_optional(sql::TERMS_OF_CONTRACT, &params![id, account]).await?;
        if row.is_none() {
            row = tx.fetch_optional(crate::metered::sql::TERMS, &params![id, account]).await?;
        }
        let bytes = row.ok_or(MarketError::UnknownContract)?.get("terms")?;
        let signed = papers::signature(&mut tx, id).await?;
        tx.rollback().await?;
        SignedTerms::new(id, bytes, signed).map_err(|e| MarketError::Broken(e.to_string()))
    }

    /// A contract's settlements, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn settlements(
        &self,
        account: AccountId,
        id: ContractId,
        limit: u32,
    ) -> Result<Vec<SettlementLine>> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        settlement_lines(&mut tx, self.lane(&c.lane)?, c.earner(), limit).await
    }

    /// A page of them: those behind one of them, with their places.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn settlements_before(
        &self,
        account: AccountId,
        id: ContractId,
        before: Option<SettlementPlace>,
        limit: u32,
    ) -> Result<Vec<(SettlementPlace, SettlementLine)>> {
        let mut tx = self.store().read().await?;
        let c = Contract::find(&mut tx, id).await?;
        if c.account != account {
            return Err(MarketError::UnknownContract);
        }
        settlements_before(&mut tx, self.lane(&c.lane)?, c.earner(), before, limit).await
    }

    /// A page of the settlements of an account's own machines on a lane, newest first: those behind one of them, with their
    /// places.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn account_settlements(
        &self,
        account: AccountId,
        lane: &LaneId,
        before: Option<SettlementPlace>,
        limit: u32,
    ) -> Result<Vec<(SettlementPlace, SettlementLine)>> {
        let mut tx = self.store().read().await?;
        let (lane, who) = (self.lane(lane)?, Beneficiary::Account(account));
        settlements_before(&mut tx, lane, who, before, limit).await
    }

    /// Earnings of an account that are not settled yet, by asset, rounded down; its contracts and its own
    /// machines together.
    ///
    /// # Errors
    /// The database's.
    pub async fn maturing(&self, account: AccountId) -> Result<Vec<Amount>> {
        let mut tx = self.store().read().await?;
        let mut open: BTreeMap<_, Accrual> = BTreeMap::new();
        for row in tx.fetch_all(sql::STANDINGS_OF_ACCOUNT, &params![account]).await? {
            let part = unsettled(row.get("accrued")?, row.get("settled_minor")?);
            let sum = open.entry(row.get("asset")?).or_default();
            *sum = sum.checked_add(part).ok_or(MarketError::Overflow("an account's earnings"))?;
        }
        for (asset, part) in self.pending_of(&mut tx, account).await? {
            let sum = open.entry(asset).or_default();
            *sum = sum.checked_add(part).ok_or(MarketError::Overflow("an account's earnings"))?;
        }
        tx.rollback().await?;
        let whole = |a: Accrual| a.split().map_err(|_| MarketError::Overflow("earnings"));
        open.into_iter().map(|(asset, a)| Ok(Amount::new(asset, whole(a)?.0))).collect()
    }

    /// What was ever credited to an account for work, fees off and what was taken back after an orphaned block too, by
    /// asset: its contracts and its own machines together, with what is owed to it beside delivery.
    ///
    /// # Errors
    /// The database's, also when a sum does not fit 64 bits.
    pub async fn earned_in_all(&self, account: AccountId) -> Result<Vec<Amount>> {
        let mut tx = self.store().read().await?;
        let rows = tx.fetch_all(sql::EARNED_OF_ACCOUNT, &params![account]).await?;
        tx.rollback().await?;
        rows.iter().map(|row| Ok(Amount::new(row.get("asset")?, row.get("minor")?))).collect()
    }

    pub(crate) async fn view(&self, tx: &mut Tx, c: &Contract) -> Result<ContractView> {
        let mut earnings = Vec::new();
        for book in self.lane(&c.lane)?.books() {
            earnings.push(earned(&StandingRow::find(tx, book, c.earner()).await?, book)?);
        }
        let closed = LaneState::read(tx, &c.lane).await?.closed;
        shown(c, earnings, closed)
    }

    /// Several at once, in their order: what they earned is asked for by lane and asset, not one by one.
    pub(crate) async fn views(
        &self,
        tx: &mut Tx,
        contracts: &[Contract],
    ) -> Result<Vec<ContractView>> {
        let mut closed = BTreeMap::new();
        let mut views = Vec::with_capacity(contracts.len());
        for some in contracts.chunks(VIEWED_AT_ONCE) {
            let mut earnings: BTreeMap<ContractId, Vec<Earnings>> = BTreeMap::new();
            let lanes: BTreeSet<&LaneId> = some.iter().map(|c| &c.lane).collect();
            for lane in lanes {
                let of: Vec<&Contract> = some.iter().filter(|c| c.lane == *lane).collect();
                let earners: Vec<Beneficiary> = of.iter().map(|c| c.earner()).collect();
                for book in self.lane(lane)?.books() {
                    let rows = StandingRow::find_all(tx, book, &earners).await?;
                    for (c, row) in of.iter().zip(&rows) {
                        earnings.entry(c.id).or_default().push(earned(row, book)?);
                    }
                }
                if !closed.contains_key(lane) {
                    closed.insert(lane.clone(), LaneState::read(tx, lane).await?.closed);
                }
            }
            for c in some {
                let last = closed.get(&c.lane).copied().flatten();
                views.push(shown(c, earnings.remove(&c.id).unwrap_or_default(), last)?);
            }
        }
        Ok(views)
    }
}

/// A contract as it is shown: with what it earned in each asset of its lane, as of the last closed epoch.
fn shown(
    c: &Contract,
    earnings: Vec<Earnings>,
    closed: Option<EpochNumber>,
) -> Result<ContractView> {
    let own = *earnings.iter().find(|e| e.asset == c.asset).ok_or_else(|| {
        MarketError::Broken("a contract of an asset its lane does not earn".into())
    })?;
    let (entitled, shortfall) = match (c.delivery(), closed) {
        (Some(d), Some(last)) if last >= d.start => {
            let given = Delivery { delivered: c.given(), ..d };
            (d.due_by(last)?.max(c.delivered), given.shortfall(last)?)
        }
        _ => (Hashes::ZERO, Hashes::ZERO),
    };
    Ok(ContractView {
        id: c.id,
        account: c.account,
        plan: c.plan.to_string(),
        plan_version: c.plan_version,
        title: c.title.to_string(),
        lane: c.lane.clone(),
        asset: c.asset,
        state: c.state,
        hashrate: c.hashrate,
        term_epochs: c.term,
        scheme: c.scheme,
        epoch_us: c.epoch_us,
        price: c.price,
        terms_hash: c.terms_hash,
        created: c.created,
        paid: c.paid,
        start_epoch: c.start,
        hard_end: c.delivery().map(|d| d.hard_end()),
        bought: c.work,
        entitled,
        delivered: c.delivered,
        shortfall,
        earned: own.earned,
        settled: own.settled,
        credited: own.credited,
        maturing: own.maturing,
        earnings,
        refunded: Amount::new(c.price.asset, c.refunded),
        life: c.life.clone(),
        epochs: Vec::new(),
    })
}

fn epoch_line((epoch, line): &LineOf, own: Asset, rule: EpochRule) -> EpochLine {
    EpochLine {
        epoch: *epoch,
        start: rule.start(*epoch),
        entitled: line.entitled,
        delivered: line.delivered,
        made_good: line.made_good,
        shortfall: line.shortfall,
        units: line.units.iter().find(|(asset, _)| *asset == own).map_or(0, |(_, units)| *units),
    }
}
