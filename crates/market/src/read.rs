//! What the market shows, read from its tables.

use crate::book::Book;
use crate::bulk::lines::{self, LineOf};
use crate::close::LaneState;
use crate::contract::Contract;
use crate::delivery::Delivery;
use crate::papers;
use crate::sale::Capacity;
use crate::sql;
use crate::standing::StandingRow;
use crate::{
    AuxStats, Beneficiary, BlockState, BlockView, ContractView, EPOCH_LINES_MAX, Earnings,
    EpochLine, EpochView, LaneConfig, LaneStats, Market, MarketError, Result, SettlementLine,
};
use gruve_statement::SignedTerms;
use gruve_store::{Row, Tx, params};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, ContractId, Duration, EpochNumber, EpochRule, Hashes,
    Hashrate, LaneId,
};
use std::collections::BTreeMap;

/// Rows one question gives at most.
pub const ROWS_MAX: u32 = 1_000;
/// Contracts of one account shown at most.
pub const CONTRACTS_MAX: u32 = 500;

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

    /// An account's contracts, newest first, at most [`CONTRACTS_MAX`], without epoch lines.
    ///
    /// # Errors
    /// The database's.
    pub async fn contracts(&self, account: AccountId) -> Result<Vec<ContractView>> {
        let mut tx = self.store().read().await?;
        let mut views = Vec::new();
        for c in Contract::of_account(&mut tx, account, CONTRACTS_MAX).await? {
            views.push(self.view(&mut tx, &c).await?);
        }
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

    /// The same as the file a customer keeps: with their hash, and the operator's signature under it.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn signed_terms(&self, account: AccountId, id: ContractId) -> Result<SignedTerms> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(sql::TERMS_OF_CONTRACT, &params![id, account]).await?;
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

    /// The settlements of an account's own machines on a lane, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn account_settlements(
        &self,
        account: AccountId,
        lane: &LaneId,
        limit: u32,
    ) -> Result<Vec<SettlementLine>> {
        let mut tx = self.store().read().await?;
        settlement_lines(&mut tx, self.lane(lane)?, Beneficiary::Account(account), limit).await
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
        tx.rollback().await?;
        let whole = |a: Accrual| a.split().map_err(|_| MarketError::Overflow("earnings"));
        open.into_iter().map(|(asset, a)| Ok(Amount::new(asset, whole(a)?.0))).collect()
    }

    /// All lanes in numbers.
    ///
    /// # Errors
    /// The database's.
    pub async fn lane_stats(&self) -> Result<Vec<LaneStats>> {
        let mut tx = self.store().read().await?;
        let mut all = Vec::new();
        for lane in &self.config().lanes {
            all.push(stats(&mut tx, lane).await?);
        }
        tx.rollback().await?;
        Ok(all)
    }

    /// Found blocks of all chains of a lane, the newest first, `limit` at most (and [`ROWS_MAX`]).
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn blocks(&self, lane: &LaneId, limit: u32) -> Result<Vec<BlockView>> {
        let lane = self.lane(lane)?;
        let limit = limit.min(ROWS_MAX);
        let mut tx = self.store().read().await?;
        let given = params![lane.lane.clone(), limit];
        let mut blocks = Vec::new();
        for row in tx.fetch_all(sql::FOUND_BLOCKS, &given).await? {
            blocks.push(found_block(&row, lane)?);
        }
        for row in tx.fetch_all(sql::OTHER_BLOCKS, &given).await? {
            blocks.push(other_block(&row, lane)?);
        }
        tx.rollback().await?;
        // Heights of different chains say nothing of each other.
        blocks.sort_by_key(|b| std::cmp::Reverse((b.at, b.height)));
        blocks.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(blocks)
    }

    /// Closed epochs of a lane, newest first, `limit` at most (and [`ROWS_MAX`]).
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`]; the database's.
    pub async fn epochs(&self, lane: &LaneId, limit: u32) -> Result<Vec<EpochView>> {
        let lane = self.lane(lane)?;
        let mut tx = self.store().read().await?;
        let given = params![lane.lane.clone(), limit.min(ROWS_MAX)];
        let rows = tx.fetch_all(sql::EPOCHS, &given).await?;
        tx.rollback().await?;
        rows.iter().map(|row| epoch_view(row, lane)).collect()
    }

    async fn view(&self, tx: &mut Tx, c: &Contract) -> Result<ContractView> {
        let who = c.earner();
        let mut earnings = Vec::new();
        for book in self.lane(&c.lane)?.books() {
            earnings.push(earned(&StandingRow::find(tx, book, who).await?, book)?);
        }
        let own = *earnings.iter().find(|e| e.asset == c.asset).ok_or_else(|| {
            MarketError::Broken("a contract of an asset its lane does not earn".into())
        })?;
        let closed = LaneState::read(tx, &c.lane).await?.closed;
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
            plan: c.plan.clone(),
            plan_version: c.plan_version,
            title: c.title.clone(),
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
}

/// What a beneficiary has of one asset.
pub(crate) fn earned(row: &StandingRow, book: Book<'_>) -> Result<Earnings> {
    let amount = |minor| Amount::new(book.asset, minor);
    let open = unsettled(row.accrued, row.standing.settled);
    let (maturing, _) = open.split().map_err(|_| MarketError::Overflow("earnings"))?;
    Ok(Earnings {
        asset: book.asset,
        earned: row.accrued,
        settled: amount(row.standing.settled),
        credited: amount(row.standing.net),
        maturing: amount(maturing),
    })
}

/// The settlements of all assets, newest first; of one time, the lane's own asset first.
pub(crate) async fn settlement_lines(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    limit: u32,
) -> Result<Vec<SettlementLine>> {
    let mut lines = Vec::new();
    for book in lane.books() {
        lines.extend(settlements_of(tx, book, who, limit.min(ROWS_MAX)).await?);
    }
    lines.sort_by_key(|l| std::cmp::Reverse((l.at, l.to_epoch)));
    lines.truncate(usize::try_from(limit.min(ROWS_MAX)).unwrap_or(usize::MAX));
    Ok(lines)
}

async fn settlements_of(
    tx: &mut Tx,
    book: Book<'_>,
    who: Beneficiary,
    limit: u32,
) -> Result<Vec<SettlementLine>> {
    let (kind, id) = who.columns();
    let given = params![book.id(), book.asset, kind, id, limit];
    let rows = tx.fetch_all(sql::SETTLEMENTS, &given).await?;
    let line = |row: &Row| {
        let amount = |column| Ok::<_, MarketError>(Amount::new(book.asset, row.get(column)?));
        Ok(SettlementLine {
            from_epoch: row.get("from_epoch")?,
            to_epoch: row.get("to_epoch")?,
            gross: amount("gross_minor")?,
            fee: amount("fee_minor")?,
            maintenance: amount("maintenance_minor")?,
            waived: amount("waived_minor")?,
            net: amount("net_minor")?,
            at: row.get("at")?,
        })
    };
    rows.iter().map(line).collect()
}

/// What is accrued and not settled.
fn unsettled(accrued: Accrual, settled: i64) -> Accrual {
    let settled = Accrual::from_minor(settled).unwrap_or_default();
    accrued.checked_sub(settled).unwrap_or_default()
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

async fn stats(tx: &mut Tx, lane: &LaneConfig) -> Result<LaneStats> {
    let capacity = Capacity::read(tx, lane).await?;
    let state = LaneState::read(tx, &lane.lane).await?;
    let mut chains = Vec::new();
    for book in lane.books() {
        chains.push(chain_stats(tx, book).await?);
    }
    let own = chains.remove(0);
    Ok(LaneStats {
        lane: lane.lane.clone(),
        asset: lane.asset,
        algorithm: lane.algorithm,
        epoch_us: lane.epoch_rule.length_us,
        hashrate: capacity.hashrate,
        house_hashrate: capacity.house,
        proven_capacity: capacity.proven,
        sold: capacity.sold,
        available: capacity.available(),
        oversold: capacity.oversold(),
        last_closed: state.closed,
        network_bits: own.network_bits,
        height: own.height,
        shares: state.shares,
        blocks_found: own.blocks_found,
        aux: chains,
    })
}

/// One chain of a lane.
async fn chain_stats(tx: &mut Tx, book: Book<'_>) -> Result<AuxStats> {
    let key = params![book.id(), book.asset];
    let (network_bits, height) = match tx.fetch_optional(sql::LAST_JOB, &key).await? {
        Some(row) => (Some(row.get("network_bits")?), row.get("height")?),
        None => (None, None),
    };
    let blocks_found = tx.fetch_one(sql::COUNT_BLOCKS, &key).await?.get("n")?;
    Ok(AuxStats { asset: book.asset, network_bits, height, blocks_found })
}

/// The asset of a block's row, and after how many blocks its reward may be spent.
fn chain_of(row: &Row, lane: &LaneConfig) -> Result<(Asset, u64)> {
    let asset: Asset = row.get("asset")?;
    let book = lane.books().find(|b| b.asset == asset);
    // An asset that the lane earned before the configuration changed.
    Ok((asset, book.map_or(lane.coinbase_maturity, |b| b.maturity)))
}

fn state_of(reward: Option<&str>, accepted: Option<bool>) -> BlockState {
    match (reward, accepted) {
        (Some("maturing"), _) => BlockState::Maturing,
        (Some("mature"), _) => BlockState::Mature,
        (Some(_), _) => BlockState::Orphaned,
        (None, Some(false)) => BlockState::Refused,
        (None, _) => BlockState::Found,
    }
}

fn found_block(row: &Row, lane: &LaneConfig) -> Result<BlockView> {
    let state: Option<String> = row.get("state")?;
    let minor: Option<i64> = row.get("minor")?;
    let height: u64 = row.get("height")?;
    let (asset, maturity) = chain_of(row, lane)?;
    Ok(BlockView {
        lane: lane.lane.clone(),
        asset,
        block_hash: row.get("block_hash")?,
        height,
        epoch: row.get("epoch")?,
        at: row.get("found_at")?,
        state: state_of(state.as_deref(), row.get("accepted")?),
        reward: minor.map(|m| Amount::new(asset, m)),
        matures_at: height.saturating_add(maturity),
    })
}

fn other_block(row: &Row, lane: &LaneConfig) -> Result<BlockView> {
    let height: u64 = row.get("height")?;
    let at = row.get("block_time")?;
    let epoch: Option<EpochNumber> = row.get("window_epoch")?;
    let (asset, maturity) = chain_of(row, lane)?;
    Ok(BlockView {
        lane: lane.lane.clone(),
        asset,
        block_hash: row.get("block_hash")?,
        height,
        epoch: epoch.unwrap_or_else(|| lane.epoch_rule.at(at)),
        at,
        state: state_of(Some(&row.get::<String>("state")?), None),
        reward: Some(Amount::new(asset, row.get("minor")?)),
        matures_at: height.saturating_add(maturity),
    })
}

fn epoch_view(row: &Row, lane: &LaneConfig) -> Result<EpochView> {
    let epoch: EpochNumber = row.get("epoch")?;
    let (house_work, other_work): (Hashes, Hashes) =
        (row.get("house_work")?, row.get("other_work")?);
    let all = house_work.checked_add(other_work).unwrap_or(house_work);
    let length = Duration::from_micros(lane.epoch_rule.length_us);
    Ok(EpochView {
        lane: lane.lane.clone(),
        epoch,
        start: lane.epoch_rule.start(epoch),
        closed_at: row.get("closed_at")?,
        skipped: row.get("skipped")?,
        shares: row.get("shares")?,
        house_work,
        other_work,
        allocated: row.get("allocated")?,
        surplus: row.get("surplus")?,
        hashrate: Hashrate::of(all, length),
        share_root: row.get("share_root")?,
        checkpoint: row.get("checkpoint")?,
    })
}
