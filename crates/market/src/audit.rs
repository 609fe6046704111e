//! The share log against the closed epochs: every share in exactly one, and units as its work gives them.

mod contracts;
mod sums;
mod units;

pub use contracts::ContractAudit;

use crate::close::LaneState;
use crate::record::thresholds;
use crate::sql;
use crate::tally::{Counted, JobTargets, Tally, Targets, WorkKey, WorkSum, tally};
use crate::{LaneConfig, Market, MarketError, Result, late, opened};
use gruve_sharelog::{BlockRecord, JobRecord, Position, Record, ShareLog, ShareRecord, counts_in};
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{AccountId, Algorithm, Asset, EpochNumber, Hashes, JobId, LaneId, MachineId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

statements! {
    FOUND = "SELECT block_hash, epoch, height, machine FROM market_found WHERE lane = $1
        AND block_hash > $2 ORDER BY block_hash LIMIT $3";
}

/// Findings kept at most; more of the same tell nothing new.
pub const FINDINGS_MAX: usize = 100;

/// What an audit of a share log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogAudit {
    /// Closed epochs that were recomputed and compared.
    pub epochs: u64,
    /// Shares in them by the log, each distinct one once.
    pub shares: u64,
    /// Sums of an epoch's units of one asset that were recomputed and compared.
    pub unit_sums: u64,
    /// Shares in the log that stand in no closed epoch yet.
    pub open_shares: u64,
    /// Closed epochs that are older than what the log still holds.
    pub trimmed_epochs: u64,
    /// What is wrong, in words; empty is good.
    pub findings: Vec<String>,
}

impl LogAudit {
    fn find(&mut self, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }
}

/// What the log alone says.
#[derive(Default)]
struct FromLog {
    /// Everything up to the last seal.
    epochs: BTreeMap<EpochNumber, Tally>,
    open: BTreeMap<EpochNumber, Vec<Counted>>,
    /// What the jobs are for whose work may still count.
    targets: BTreeMap<EpochNumber, JobTargets>,
    /// Where those epochs' first jobs stand.
    began: BTreeMap<EpochNumber, Position>,
    sealed: Option<EpochNumber>,
    /// Where the last seal stands.
    sealed_at: Position,
    whole: bool,
    /// Which shares are opened, by the epoch whose entry fixed it.
    thresholds: BTreeMap<EpochNumber, u8>,
    /// The jobs of which not all are.
    records: HashMap<JobId, JobRecord>,
    /// Epochs with work on jobs that the log holds no more.
    in_part: BTreeSet<EpochNumber>,
    /// Found blocks: in which epoch, at which height, by which machine.
    blocks: HashMap<[u8; 32], (EpochNumber, u64, MachineId)>,
    wrong: Vec<String>,
}

impl Market {
    /// Recomputes every closed epoch of a lane from its log: number of shares, work of every owner at every
    /// network target, share root, units of every asset; and looks for shares that stand in no epoch.
    ///
    /// # Errors
    /// The log's and the database's.
    pub async fn audit_log(&self, lane: &LaneId, log: &ShareLog) -> Result<LogAudit> {
        let mut tx = self.store().read().await?;
        let audit = self.audit_log_in(&mut tx, lane, log).await?;
        tx.rollback().await?;
        Ok(audit)
    }

    /// The same within a transaction.
    ///
    /// # Errors
    /// As [`Market::audit_log`].
    pub async fn audit_log_in(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        log: &ShareLog,
    ) -> Result<LogAudit> {
        let lane = self.lane(lane)?;
        // The rows first: an epoch closed while the log is read is then only not compared.
        let closed = LaneState::read(tx, &lane.lane).await?.closed;
        let aux = lane.aux.iter().map(|aux| aux.asset).collect();
        let thresholds = thresholds(tx, &lane.lane, None).await?;
        let (log, algorithm) = (log.clone(), lane.algorithm);
        let read = tokio::task::spawn_blocking(move || {
            let all = FromLog { thresholds, ..FromLog::default() };
            read_log(&log, algorithm, &aux, all)
        })
        .await;
        let from_log =
            read.map_err(|e| MarketError::Broken(format!("reading the share log: {e}")))??;
        compare(tx, lane, closed, from_log).await
    }
}

/// Of open jobs: epoch, network target, and which of the epoch's sets of targets.
type Jobs = HashMap<JobId, (EpochNumber, u32, u32)>;

impl FromLog {
    fn take_job(
        &mut self,
        jobs: &mut Jobs,
        at: Position,
        (job, epoch): (JobId, EpochNumber),
        seen: (u32, u64),
    ) {
        self.began.entry(epoch).or_insert(at);
        let targets = self.targets.entry(epoch).or_default();
        let number = targets.number(Targets { own: seen, aux: Vec::new() });
        jobs.insert(job, (epoch, seen.0, number));
    }

    fn take_block(&mut self, b: &BlockRecord) {
        self.blocks.insert(b.block_hash, (b.share.epoch, b.height, b.share.machine));
    }

    fn take_share(&mut self, jobs: &Jobs, at: Position, s: &ShareRecord) {
        let Some(counts_in) = counts_in(self.sealed, s.epoch) else {
            self.wrong.push(format!("the share at {at} came too late for any epoch"));
            return;
        };
        match jobs.get(&s.job).copied() {
            Some((epoch, bits, number)) if epoch == s.epoch => {
                let late = counts_in.0 - epoch.0;
                let number = match self.targets.get(&epoch).and_then(|t| t.of(number)).cloned() {
                    Some(set) if late > 0 => self.targets.entry(counts_in).or_default().number(set),
                    _ => number,
                };
                let one = Counted::new(s, bits, number).late(late);
                self.open.entry(counts_in).or_default().push(one);
            }
            // The job may stand in a segment that is gone.
            None if !self.whole => {
                self.in_part.insert(counts_in);
            }
            _ => self.wrong.push(format!("the share at {at} has no job of its epoch")),
        }
    }

    /// Counts what a seal closes.
    fn seal(
        &mut self,
        (log, algorithm): (&ShareLog, Algorithm),
        jobs: &mut Jobs,
        sealed: EpochNumber,
        at: Position,
    ) -> Result<()> {
        let from = self.began.values().copied().min().unwrap_or(Position::START);
        let before = late::Before { from, to: self.sealed_at };
        let later = self.open.split_off(&sealed.next());
        for (e, mut shares) in std::mem::replace(&mut self.open, later) {
            let targets = self.targets.get(&e).cloned().unwrap_or_default();
            let again = late::drop_counted(log, before, &mut shares)?;
            opened::open(algorithm, &self.records, &self.thresholds, &mut shares)?;
            let mut tally = tally(&mut shares, &targets)?;
            tally.duplicates += again;
            self.epochs.insert(e, tally);
        }
        (self.sealed, self.sealed_at) = (self.sealed.max(Some(sealed)), at);
        self.targets.retain(|e, _| late::may_come(*e, sealed));
        self.began.retain(|e, _| late::may_come(*e, sealed));
        jobs.retain(|_, (e, ..)| late::may_come(*e, sealed));
        self.records.retain(|_, j| late::may_come(j.epoch, sealed));
        Ok(())
    }
}

fn read_log(
    log: &ShareLog,
    algorithm: Algorithm,
    earned: &BTreeSet<Asset>,
    mut all: FromLog,
) -> Result<FromLog> {
    let mut jobs = Jobs::new();
    let start = log.start();
    all.whole = start.segment <= 1;
    let mut reader = log.reader(Position::START);
    while let Some((at, record)) = reader.next()? {
        match record {
            Record::Job(j) => {
                all.take_job(&mut jobs, at, (j.job, j.epoch), (j.bits, j.height));
                if all.thresholds.contains_key(&j.checkpoint_epoch) {
                    all.records.insert(j.job, j);
                }
            }
            Record::EthWork(w) => {
                let seen = (w.network_target.to_compact(), w.height.unwrap_or(0));
                all.take_job(&mut jobs, at, (w.job, w.epoch), seen);
            }
            Record::Share(s) => all.take_share(&jobs, at, &s),
            Record::Seal { epoch, .. } => all.seal((log, algorithm), &mut jobs, epoch, at)?,
            Record::AuxJob(j) => {
                if let Some((epoch, _, aux)) = jobs.get_mut(&j.job) {
                    let chains = j.chains.iter().filter(|c| earned.contains(&c.asset));
                    let chains = chains.map(|c| (c.asset, c.bits, c.height)).collect();
                    let targets = all.targets.entry(*epoch).or_default();
                    let own = targets.of(*aux).map(|t| t.own).unwrap_or_default();
                    *aux = targets.number(Targets { own, aux: chains });
                }
            }
            Record::Block(b) => all.take_block(&b),
            Record::AuxBlock(b) => all.take_block(&b.found),
            Record::BlockOutcome { .. } => {}
        }
    }
    Ok(all)
}

async fn compare(
    tx: &mut Tx,
    config: &LaneConfig,
    closed: Option<EpochNumber>,
    mut log: FromLog,
) -> Result<LogAudit> {
    let lane = &config.lane;
    let mut audit = LogAudit::default();
    compare_blocks(tx, lane, &mut log, &mut audit).await?;
    for what in std::mem::take(&mut log.wrong) {
        audit.find(what);
    }
    // The first epoch of a trimmed log may be there in part only, and so may the next, which begins
    // in the grace of the first.
    let first = log.epochs.keys().next().copied().or(log.sealed).or(closed);
    let in_part = first.filter(|_| !log.whole).map(EpochNumber::next);
    let mut after = -1i64;
    loop {
        let rows = tx.fetch_all(sql::EPOCHS_FROM, &params![lane.clone(), after, 1_000_u32]).await?;
        for row in &rows {
            after = row.get("epoch")?;
            let epoch: EpochNumber = row.get("epoch")?;
            if in_part.is_some_and(|last| epoch <= last) || log.in_part.contains(&epoch) {
                log.epochs.remove(&epoch);
                audit.trimmed_epochs += 1;
                continue;
            }
            let said = log
                .epochs
                .remove(&epoch)
                .map_or_else(|| tally(&mut [], &JobTargets::default()), Ok)?;
            let work = tx.fetch_all(sql::WORK_OF_EPOCH, &params![lane.clone(), epoch]).await?;
            audit.epochs += 1;
            audit.shares += said.shares;
            if let Some(what) = difference(row, &work, &said)? {
                audit.find(format!("epoch {epoch}: {what}"));
            } else {
                units::compare(tx, config, epoch, (&said, row.get("units")?), &mut audit).await?;
                let shared = (row.get("house_work")?, row.get("allocated")?, row.get("surplus")?);
                units::compare_work(tx, config, epoch, shared, &mut audit).await?;
            }
        }
        if rows.len() < 1_000 {
            break;
        }
    }
    for (epoch, t) in log.epochs {
        if closed.is_some_and(|last| epoch <= last) {
            audit.find(format!("epoch {epoch}: {} shares of the log in no epoch", t.shares));
        } else {
            audit.open_shares += t.shares;
        }
    }
    audit.open_shares += log.open.values().map(|s| s.len() as u64).sum::<u64>();
    Ok(audit)
}

/// The found blocks of a lane against its log: a block's epoch says who earns of it.
async fn compare_blocks(
    tx: &mut Tx,
    lane: &LaneId,
    log: &mut FromLog,
    audit: &mut LogAudit,
) -> Result<()> {
    let mut after = Vec::new();
    loop {
        let rows = tx.fetch_all(FOUND, &params![lane.clone(), after.clone(), 1_000_u32]).await?;
        for row in &rows {
            let hash: [u8; 32] = row.get("block_hash")?;
            let stored: (EpochNumber, u64, MachineId) =
                (row.get("epoch")?, row.get("height")?, row.get("machine")?);
            after = hash.to_vec();
            match log.blocks.remove(&hash) {
                Some(said) if said == stored => {}
                None if !log.whole => {}
                _ => audit.find(format!("block {}: the log has it otherwise", hex::encode(hash))),
            }
        }
        if rows.len() < 1_000 {
            return Ok(());
        }
    }
}

/// What differs between an epoch's rows and what the log says, if anything.
fn difference(row: &Row, work: &[Row], said: &Tally) -> Result<Option<String>> {
    let (house, other) = said.house_and_other()?;
    let shares: u64 = row.get("shares")?;
    if shares != said.shares {
        return Ok(Some(format!("{shares} shares in its row, {} in the log", said.shares)));
    }
    if row.get::<u64>("duplicates")? != said.duplicates {
        return Ok(Some("another number of duplicates in its row than in the log".into()));
    }
    if (row.get::<Hashes>("house_work")?, row.get::<Hashes>("other_work")?) != (house, other) {
        return Ok(Some("other work in its row than in the log".into()));
    }
    if row.get::<[u8; 32]>("share_root")? != said.share_root {
        return Ok(Some("another share root in its row than over the log".into()));
    }
    let mut stored: BTreeMap<WorkKey, WorkSum> = BTreeMap::new();
    for w in work {
        let owner: Vec<u8> = w.get("owner")?;
        let owner = <[u8; 16]>::try_from(owner).ok().map(AccountId::from_bytes);
        let key = WorkKey { owner, bits: w.get("bits")? };
        stored.insert(key, WorkSum { shares: w.get("shares")?, work: w.get("work")? });
    }
    if stored != said.work {
        return Ok(Some("work is credited to other owners than in the log".into()));
    }
    Ok(None)
}
