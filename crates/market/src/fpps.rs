//! FPPS: each piece of work is paid at its expectation, whatever is found.
//!
//! | step | when |
//! |---|---|
//! | [`Recording`] | the epoch is closed: the house's work by height and target of its jobs, and what each FPPS contract got of it |
//! | [`price_open`] | at every close: epochs whose heights lie deep enough under the chain's tip are priced, and the earnings stand in the contracts' accounts, mature at once |
//! | [`crate::fpps_pay`] | at a settlement: paid out of the FPPS reserve |
//!
//! The reserve stands in the PPLNS window for the work that it pays ([`Beneficiary::FppsReserve`]); so it
//! gains when luck is good and loses when it is bad, and every orphan is its own.
//!
//! Where a block's fees are not known the epoch stays open. Nothing is guessed.

use crate::book::Book;
use crate::bulk;
use crate::chain_figures::{Figure, figure};
use crate::close::Closing;
use crate::contract::Contract;
use crate::pages::Pages;
use crate::reward::columns;
use crate::scheme::{FppsAsset, read_fpps};
use crate::scheme_sql as sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, MarketError, Result, Scheme};
use gruve_store::{Batch, Tx, params};
use gruve_units::{Accrual, Asset, Bps, ContractId, EpochNumber, Hashes, Target};
use ruint::Uint;
use std::collections::BTreeMap;

/// Open epochs looked at in one close: what a day's outage of the chain's follower leaves of five-minute
/// epochs; the rest comes with the next closes. Each costs a statement for each height of its jobs.
const OPEN_MAX: u32 = 300;

/// Contracts' earnings that are priced in one close, and then no further epoch is begun: what a million contracts
/// earn in one, so that the close after an outage takes no more than some ordinary ones.
const LINES_AT_ONCE: u64 = 1_000_000;

/// Work × reward × work × 2^64 × fee: below 2^400.
type Wide = Uint<512, 8>;

/// The house's work of an epoch under jobs of one height and network target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobWork {
    /// Height of the block that the jobs were for.
    pub height: u64,
    /// Their network target, compact.
    pub bits: u32,
    /// The work done under them.
    pub work: Hashes,
}

/// What `allocated` of an epoch's `done` hashes earns: `blocks` has each height's work and what a block was
/// worth there (subsidy and capped average of fees, minor units). One floor for each network target.
///
/// # Errors
/// [`MarketError::Broken`] when `bits` is no target or more was allocated than done, [`MarketError::Overflow`].
pub fn earned(
    allocated: Hashes,
    done: Hashes,
    blocks: &[(JobWork, i64)],
    fee: Bps,
) -> Result<Accrual> {
    if allocated > done || done == Hashes::ZERO {
        return Err(MarketError::Broken("work was paid that was not done".into()));
    }
    let mut by_target: BTreeMap<u32, Wide> = BTreeMap::new();
    for (job, worth) in blocks {
        let worth = u64::try_from(*worth)
            .map_err(|_| MarketError::Broken("a block of a negative worth".into()))?;
        let value = Wide::from(job.work.0) * Wide::from(worth);
        *by_target.entry(job.bits).or_default() += value;
    }
    let kept = Wide::from(10_000 - u32::from(fee.get().min(10_000)));
    let mut sum = Accrual::ZERO;
    for (bits, value) in by_target {
        let target = Target::from_compact(bits)
            .ok_or_else(|| MarketError::Broken(format!("{bits:08x} is not a network target")))?;
        let above = (Wide::from(allocated.0) * value * kept) << 64usize;
        let below =
            Wide::from(done.0) * Wide::from(target.expected_hashes().0) * Wide::from(10_000u32);
        let part = u128::try_from(above / below).map(Accrual).ok();
        sum = part
            .and_then(|p| sum.checked_add(p))
            .ok_or(MarketError::Overflow("what an epoch earns"))?;
    }
    Ok(sum)
}

/// Stores an epoch's FPPS work, contract by contract; nothing where there is none.
pub(crate) struct Recording<'a> {
    lane: &'a LaneConfig,
    closing: &'a Closing,
    /// The house's work.
    done: Hashes,
    has_begun: bool,
    lines: Batch,
}

impl<'a> Recording<'a> {
    pub(crate) const fn of(lane: &'a LaneConfig, closing: &'a Closing, done: Hashes) -> Self {
        let lines = Batch::new(&bulk::sql::INSERT_FPPS_LINES);
        Recording { lane, closing, done, has_begun: false, lines }
    }

    async fn begin(&self, tx: &mut Tx) -> Result<()> {
        let (id, epoch) = (&self.lane.lane, self.closing.epoch);
        for asset in self.lane.assets() {
            let given = params![id.clone(), asset, epoch, self.done];
            tx.execute(sql::INSERT_FPPS_EPOCH, &given).await?;
            for job in self.closing.tally.jobs_of((asset != self.lane.asset).then_some(asset)) {
                let given = params![id.clone(), asset, epoch, job.height, job.bits, job.work];
                tx.execute(sql::INSERT_FPPS_WORK, &given).await?;
            }
        }
        Ok(())
    }

    /// A contract got so much.
    pub(crate) async fn push(
        &mut self,
        tx: &mut Tx,
        contract: ContractId,
        work: Hashes,
    ) -> Result<()> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin(tx).await?;
        }
        let (id, epoch) = (&self.lane.lane, self.closing.epoch);
        for asset in self.lane.assets() {
            self.lines.push(tx, params![id.clone(), asset, epoch, contract, work]).await?;
        }
        Ok(())
    }

    /// Stores what is left.
    pub(crate) async fn finish(self, tx: &mut Tx) -> Result<()> {
        self.lines.finish(tx).await?;
        Ok(())
    }
}

/// Prices the open epochs of an asset as far as their blocks are known.
pub(crate) async fn price_open(tx: &mut Tx, book: Book<'_>) -> Result<()> {
    let rows =
        tx.fetch_all(sql::OPEN_FPPS_EPOCHS, &params![book.id(), book.asset, OPEN_MAX]).await?;
    let mut pricing = Pricing { book, figures: BTreeMap::new() };
    let mut priced = 0;
    for row in rows {
        let epoch: EpochNumber = row.get("epoch")?;
        let lines = pricing.epoch(tx, epoch, row.get("house_work")?).await?;
        priced += lines.unwrap_or(0);
        if lines.is_some() {
            let given = params![book.id(), book.asset, epoch];
            tx.execute(sql::CLOSE_FPPS_EPOCH, &given).await?;
        }
        if priced >= LINES_AT_ONCE {
            break;
        }
    }
    Ok(())
}

/// Pricing the open epochs of one asset.
struct Pricing<'a> {
    book: Book<'a>,
    /// What is known of an epoch's height by somebody's terms (window, cap and depth); `None`: not yet.
    figures: BTreeMap<(u64, u64, [u64; 3]), Option<Figure>>,
}

impl Pricing<'_> {
    /// Prices what every contract of an epoch earned, a page at a time; how many they were, or `None` while a
    /// block is missing: then nothing of it is priced.
    async fn epoch(
        &mut self,
        tx: &mut Tx,
        epoch: EpochNumber,
        done: Hashes,
    ) -> Result<Option<u64>> {
        let given = params![self.book.id(), self.book.asset, epoch];
        let mut jobs = Vec::new();
        for row in tx.fetch_all(sql::FPPS_WORK, &given).await? {
            jobs.push(JobWork {
                height: row.get("height")?,
                bits: row.get("bits")?,
                work: row.get("work")?,
            });
        }
        // Few: one for each version of a plan.
        let mut by_terms = BTreeMap::new();
        for row in tx.fetch_all(sql::FPPS_TERMS_OF_EPOCH, &given).await? {
            let terms: String = row.get("fpps")?;
            let blocks = self.blocks(tx, epoch, &jobs, &read_fpps(&terms)?).await?;
            let Some(blocks) = blocks else { return Ok(None) };
            by_terms.insert(terms, blocks);
        }
        let (mut pages, mut count) = (Pages::by_id(sql::FPPS_LINES_OF_EPOCH, &given), 0);
        while let Some(rows) = pages.next(tx).await? {
            let mut lines = Vec::with_capacity(rows.len());
            for row in &rows {
                let missing = || MarketError::Broken("FPPS terms of an epoch are missing".into());
                let blocks = by_terms.get(&row.get::<String>("fpps")?).ok_or_else(missing)?;
                let earned = earned(row.get("work")?, done, blocks, row.get("fee_bps")?)?;
                lines.push((row.get("id")?, earned));
            }
            self.credit(tx, epoch, &lines).await?;
            count += lines.len() as u64;
        }
        Ok(Some(count))
    }

    /// The jobs with what a block was worth at their height by these terms.
    async fn blocks(
        &mut self,
        tx: &mut Tx,
        epoch: EpochNumber,
        jobs: &[JobWork],
        terms: &[FppsAsset],
    ) -> Result<Option<Vec<(JobWork, i64)>>> {
        let of_asset = terms.iter().find(|t| t.asset == self.book.asset);
        let terms = *of_asset.ok_or_else(|| {
            MarketError::Broken("an FPPS contract whose terms lack an asset it earns".into())
        })?;
        let mut blocks = Vec::new();
        for job in jobs {
            let Some(figure) = self.figure(tx, epoch, job.height, &terms).await? else {
                return Ok(None);
            };
            blocks.push((*job, figure.worth()?));
        }
        Ok(Some(blocks))
    }

    async fn figure(
        &mut self,
        tx: &mut Tx,
        epoch: EpochNumber,
        height: u64,
        terms: &FppsAsset,
    ) -> Result<Option<Figure>> {
        let rules = [terms.fee_window_blocks, terms.fee_cap_minor, terms.depth_blocks];
        let key = (epoch.0, height, rules);
        if let Some(known) = self.figures.get(&key) {
            return Ok(*known);
        }
        let found = figure(tx, self.book, height, terms).await?;
        if let Some(f) = found {
            let row = params![
                self.book.id(),
                self.book.asset,
                epoch,
                height,
                terms.fee_window_blocks,
                terms.fee_cap_minor,
                f.subsidy,
                f.fee_average
            ];
            tx.execute(sql::INSERT_FPPS_PRICE, &row).await?;
        }
        self.figures.insert(key, found);
        Ok(found)
    }

    /// Puts contracts' earnings of an epoch into their accounts: they are their own from now on.
    async fn credit(
        &self,
        tx: &mut Tx,
        epoch: EpochNumber,
        lines: &[(ContractId, Accrual)],
    ) -> Result<()> {
        let mut priced = Batch::new(&bulk::sql::PRICE_FPPS_LINES);
        for (contract, earned) in lines {
            let [minor, high, low] = columns(*earned)?;
            let (lane, asset) = (self.book.id(), self.book.asset);
            let row = params![lane, asset, epoch, *contract, minor, high, low];
            priced.push(tx, row).await?;
        }
        priced.finish(tx).await?;
        let everyone: Vec<_> = lines.iter().map(|(c, _)| Beneficiary::Fpps(*c)).collect();
        let mut standings = StandingRow::find_all(tx, self.book, &everyone).await?;
        for (standing, (_, earned)) in standings.iter_mut().zip(lines) {
            standing.accrue(*earned)?;
            standing.mature(*earned)?;
        }
        StandingRow::put_all(tx, self.book, &standings).await
    }
}

/// The figures of the contract's terms.
impl Contract {
    /// Under whose name its earnings of an asset stand.
    pub(crate) const fn earner(&self) -> Beneficiary {
        match self.scheme {
            Scheme::Fpps => Beneficiary::Fpps(self.id),
            Scheme::Pplns | Scheme::Solo => Beneficiary::Contract(self.id),
        }
    }
}

/// What an FPPS contract earned of one asset in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FppsLine {
    /// The asset.
    pub asset: Asset,
    /// The epoch.
    pub epoch: EpochNumber,
    /// The work it got.
    pub work: Hashes,
    /// What that earned after the operator's fee; `None` while the fees of a block are not known.
    pub earned: Option<Accrual>,
}

/// What a block was worth at one height of an epoch, and the house's work there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FppsPrice {
    /// The work, its height and target.
    pub job: JobWork,
    /// Blocks that fees were averaged over.
    pub fee_window_blocks: u64,
    /// What a block's fees counted up to.
    pub fee_cap_minor: u64,
    /// New coins of the block at that height, minor units.
    pub subsidy: i64,
    /// The average of fees before it, minor units.
    pub fee_average: i64,
}

impl crate::Market {
    /// What an FPPS contract of an account earned, epoch by epoch, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn fpps_lines(
        &self,
        account: gruve_units::AccountId,
        contract: ContractId,
        limit: u32,
    ) -> Result<Vec<FppsLine>> {
        let mut tx = self.store().read().await?;
        if crate::parties::owner_of(&mut tx, contract).await? != account {
            return Err(MarketError::UnknownContract);
        }
        let given = params![contract, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(sql::FPPS_LINES, &given).await?;
        tx.rollback().await?;
        let line = |row: &gruve_store::Row| {
            let minor: Option<i64> = row.get("minor")?;
            let (high, low): (Option<i64>, Option<i64>) =
                (row.get("fraction_high")?, row.get("fraction_low")?);
            let earned = match (minor, high, low) {
                (Some(m), Some(h), Some(l)) => crate::reward::from_columns(m, h, l),
                _ => None,
            };
            Ok(FppsLine {
                asset: row.get("asset")?,
                epoch: row.get("epoch")?,
                work: row.get("work")?,
                earned,
            })
        };
        rows.iter().map(line).collect()
    }

    /// What an epoch's FPPS work was priced at; empty while it is open and where there was none.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::WrongAsset`]; the database's.
    pub async fn fpps_prices(
        &self,
        lane: &gruve_units::LaneId,
        asset: Asset,
        epoch: EpochNumber,
    ) -> Result<Vec<FppsPrice>> {
        let book = self.book(lane, asset)?;
        let mut tx = self.store().read().await?;
        let given = params![book.id(), asset, epoch, crate::ROWS_MAX];
        let rows = tx.fetch_all(sql::FPPS_PRICES, &given).await?;
        tx.rollback().await?;
        let price = |row: &gruve_store::Row| {
            Ok(FppsPrice {
                job: JobWork {
                    height: row.get("height")?,
                    bits: row.get("bits")?,
                    work: row.get("work")?,
                },
                fee_window_blocks: row.get("window_blocks")?,
                fee_cap_minor: row.get("cap_minor")?,
                subsidy: row.get("subsidy")?,
                fee_average: row.get("fee_average")?,
            })
        };
        rows.iter().map(price).collect()
    }
}

#[cfg(test)]
mod tests;
