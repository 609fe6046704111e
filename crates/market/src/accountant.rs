//! Reading a lane's share log and closing its epochs.
//!
//! # The cursor
//! The log's records of an epoch stand between the first of them and its seal, mixed with those of the
//! next epoch (they overlap by the grace). Closing epoch *n* stores, in the same transaction as everything
//! else, the place of the first record of a later epoch, or the place after the seal when there is none
//! yet. After a crash reading begins there again, and what belongs to closed epochs is passed over: a job is
//! always logged before its shares and has their epoch, so every job that is still needed stands after the
//! cursor. Before the transaction the log is synced up to the seal: a power cut must not leave books of
//! shares that the log has lost.
//!
//! # Gaps
//! After downtime one seal may cover many epochs. Those with work are closed one by one; a run of empty ones
//! is closed one by one up to [`EMPTY_ROWS_MAX`] and beyond that skipped: the next row counts them and its
//! summary names the epoch before the gap. Missing epochs count as zero work everywhere, and contracts are
//! owed their work for them.

use crate::close::{BlockNews, Closing, LaneState};
use crate::stamps::StampSource;
use crate::tally::{Counted, JobTargets, Targets, tally};
use crate::{LaneConfig, Market, MarketError, Result};
use gruve_sharelog::{AuxJobRecord, LogReader, Position, Record, ShareLog, ShareRecord};
use gruve_store::transact;
use gruve_units::{Asset, Blame, Blamed, Duration, EpochNumber, JobId, LaneId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Empty epochs in a row that still get a row of their own; a longer run is skipped.
pub const EMPTY_ROWS_MAX: u64 = 12;

/// Records read at once: some hundred kilobytes of shares.
const BATCH: usize = 2_048;

/// The longest wait before trying again when database or disk are not available.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Turns share logs into closed epochs. Cloning is cheap. One accountant a lane is enough; the guard on the
/// lane's row sees to it that a second one only wastes its work.
#[derive(Clone)]
pub struct Accountant {
    market: Market,
}

impl Accountant {
    /// The accountant of a market.
    #[must_use]
    pub fn new(market: Market) -> Accountant {
        Accountant { market }
    }

    /// The checkpoints in memory, for stamping jobs.
    #[must_use]
    pub fn stamp_source(&self) -> Arc<StampSource> {
        self.market.stamp_source()
    }

    /// Where reading a lane's log goes on after a restart: what stands before it is in closed epochs
    /// and is read again by nobody but an audit.
    ///
    /// # Errors
    /// The database's.
    pub async fn cursor(&self, lane: &LaneId) -> Result<Position> {
        let mut tx = self.market.store().read().await?;
        let state = LaneState::read(&mut tx, lane).await?;
        tx.rollback().await?;
        Ok(state.cursor)
    }

    /// Reads a lane's log for ever, closing each epoch that is sealed; ends when `shutdown` does. While
    /// database or disk are not available it waits and tries again.
    ///
    /// # Errors
    /// The first fatal error: the log or the books contradict themselves.
    pub async fn run(
        &self,
        lane: LaneId,
        log: ShareLog,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        tokio::pin!(shutdown);
        let mut wait = Duration::from_millis(100);
        loop {
            let outcome = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                outcome = self.follow(&lane, &log) => outcome,
            };
            match outcome {
                Err(e) if e.blame() == Blame::Transient => {
                    tracing::warn!(%lane, error = %e, "the accountant tries again");
                    tokio::select! {
                        biased;
                        () = &mut shutdown => return Ok(()),
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(WAIT_MAX);
                }
                other => return other,
            }
        }
    }

    /// Reads what stands in a lane's log, from the stored cursor to the end, closing each epoch that is
    /// sealed, and returns.
    ///
    /// # Errors
    /// As [`Accountant::run`], and transient ones.
    pub async fn catch_up(&self, lane: &LaneId, log: &ShareLog) -> Result<()> {
        let mut reading = Reading::begin(&self.market, lane, log).await?;
        while reading.step().await? {}
        Ok(())
    }

    async fn follow(&self, lane: &LaneId, log: &ShareLog) -> Result<()> {
        let mut reading = Reading::begin(&self.market, lane, log).await?;
        loop {
            while reading.step().await? {}
            log.wait_past(reading.position).await;
        }
    }
}

/// An epoch whose seal has not been read.
struct OpenEpoch {
    /// Where its first record stands.
    first_at: Position,
    /// Network target of its jobs, and the number of what they were for.
    jobs: HashMap<JobId, (u32, u32)>,
    last_job: Option<(u32, u64)>,
    targets: JobTargets,
    /// Target and height by its last job of each merge-mined chain.
    last_aux: BTreeMap<Asset, (u32, u64)>,
    shares: Vec<Counted>,
}

/// Reading one lane's log.
struct Reading<'a> {
    market: &'a Market,
    lane: LaneConfig,
    log: ShareLog,
    /// Handed to a blocking thread and back.
    reader: Option<LogReader>,
    position: Position,
    closed: Option<EpochNumber>,
    open: BTreeMap<EpochNumber, OpenEpoch>,
    blocks: Vec<BlockNews>,
}

impl<'a> Reading<'a> {
    async fn begin(market: &'a Market, lane: &LaneId, log: &ShareLog) -> Result<Reading<'a>> {
        let lane = market.lane(lane)?.clone();
        let mut tx = market.store().read().await?;
        let state = LaneState::read(&mut tx, &lane.lane).await?;
        // An epoch whose commit was not heard of (a connection broke, another process closed it) is never
        // closed again from here: without this its checkpoint would stay out of memory.
        market.load_stamps(&mut tx, &lane.lane).await?;
        tx.rollback().await?;
        Ok(Reading {
            market,
            lane,
            log: log.clone(),
            reader: Some(log.reader(state.cursor)),
            position: state.cursor,
            closed: state.closed,
            open: BTreeMap::new(),
            blocks: Vec::new(),
        })
    }

    /// Reads and accounts one batch; false at the end of the log.
    async fn step(&mut self) -> Result<bool> {
        let from = self.position;
        let reader = self.reader.take().unwrap_or_else(|| self.log.reader(from));
        let read = tokio::task::spawn_blocking(move || read_batch(reader)).await;
        let (reader, batch) =
            read.map_err(|e| MarketError::Broken(format!("reading the share log: {e}")))?;
        let batch = batch?;
        let more = !batch.is_empty();
        for (at, record, after) in batch {
            self.take(at, record, after).await?;
            self.position = after;
        }
        self.position = self.position.max(reader.position());
        self.reader = Some(reader);
        Ok(more)
    }

    async fn take(&mut self, at: Position, record: Record, after: Position) -> Result<()> {
        match record {
            Record::Job(job) => self.take_job(at, job.epoch, job.job, (job.bits, job.height)),
            Record::EthWork(w) => {
                let seen = (w.network_target.to_compact(), w.height.unwrap_or(0));
                self.take_job(at, w.epoch, w.job, seen);
            }
            Record::Share(share) => self.take_share(at, &share)?,
            Record::AuxJob(job) => self.take_aux_job(&job),
            Record::Block(b) => self.blocks.push(BlockNews::found(self.lane.asset, &b)),
            Record::AuxBlock(b) => self.blocks.push(BlockNews::found(b.asset, &b.found)),
            Record::BlockOutcome { block_hash, accepted, .. } => {
                self.blocks.push(BlockNews::Outcome { block_hash, accepted });
            }
            Record::Seal { epoch, .. } => self.close_up_to(epoch, at, after).await?,
        }
        Ok(())
    }

    /// The epoch's collection; `None` when it is closed.
    fn open_epoch(&mut self, epoch: EpochNumber, at: Position) -> Option<&mut OpenEpoch> {
        if self.closed.is_some_and(|last| epoch <= last) {
            return None;
        }
        Some(self.open.entry(epoch).or_insert_with(|| OpenEpoch {
            first_at: at,
            jobs: HashMap::new(),
            last_job: None,
            targets: JobTargets::default(),
            last_aux: BTreeMap::new(),
            shares: Vec::new(),
        }))
    }

    /// A job's network target, compact, and its height.
    fn take_job(&mut self, at: Position, epoch: EpochNumber, job: JobId, seen: (u32, u64)) {
        if let Some(open) = self.open_epoch(epoch, at) {
            let number = open.targets.number(Targets { own: seen, aux: Vec::new() });
            open.jobs.insert(job, (seen.0, number));
            open.last_job = Some(seen);
        }
    }

    /// What a job is merge-mined for, as far as the lane earns it.
    fn take_aux_job(&mut self, record: &AuxJobRecord) {
        let earned: Vec<Asset> = self.lane.aux.iter().map(|aux| aux.asset).collect();
        let Some(open) = self.open.get_mut(&record.epoch) else { return };
        let chains = || record.chains.iter().filter(|c| earned.contains(&c.asset));
        let aux = chains().map(|c| (c.asset, c.bits, c.height)).collect();
        if let Some(job) = open.jobs.get_mut(&record.job) {
            let own = open.targets.of(job.1).map(|t| t.own).unwrap_or_default();
            job.1 = open.targets.number(Targets { own, aux });
            open.last_aux.extend(chains().map(|c| (c.asset, (c.bits, c.height))));
        }
    }

    fn take_share(&mut self, at: Position, share: &ShareRecord) -> Result<()> {
        let lane = self.lane.lane.clone();
        let Some(open) = self.open_epoch(share.epoch, at) else { return Ok(()) };
        let Some((bits, aux)) = open.jobs.get(&share.job).copied() else {
            let what = format!("the share at {at} is of job {}, which is not before it", share.job);
            return Err(MarketError::BadLog { lane, what });
        };
        open.shares.push(Counted::new(share, bits, aux));
        Ok(())
    }

    /// Closes everything up to the sealed epoch. The seal stands at `at` and ends at `after`.
    async fn close_up_to(
        &mut self,
        sealed: EpochNumber,
        at: Position,
        after: Position,
    ) -> Result<()> {
        if self.closed.is_some_and(|last| sealed <= last) {
            return Ok(());
        }
        self.log.synced(after).await?;
        let with_work: Vec<EpochNumber> = self.open.range(..=sealed).map(|(e, _)| *e).collect();
        for (epoch, skipped) in epochs_to_close(self.closed, &with_work, sealed) {
            // Until the last one is closed, reading must find the seal again.
            let end = if epoch == sealed { after } else { at };
            self.close(epoch, skipped, end).await?;
        }
        Ok(())
    }

    async fn close(&mut self, epoch: EpochNumber, skipped: u64, end: Position) -> Result<()> {
        let (mut shares, last_job, last_aux, targets) = match self.open.get_mut(&epoch) {
            Some(open) => (
                std::mem::take(&mut open.shares),
                open.last_job,
                std::mem::take(&mut open.last_aux),
                std::mem::take(&mut open.targets),
            ),
            None => (Vec::new(), None, BTreeMap::new(), JobTargets::default()),
        };
        // Sorting and hashing millions of shares takes a while: not on the threads that serve others.
        let counted = tokio::task::spawn_blocking(move || tally(&mut shares, &targets)).await;
        let tally =
            counted.map_err(|e| MarketError::Broken(format!("counting an epoch: {e}")))??;
        if tally.duplicates > 0 {
            let (lane, n) = (&self.lane.lane, tally.duplicates);
            tracing::error!(%lane, %epoch, n, "work stands in the share log twice; counted once");
        }
        let later = self.open.range(epoch.next()..).map(|(_, o)| o.first_at).min();
        let closing = Closing {
            epoch,
            skipped,
            tally,
            last_job,
            last_aux,
            blocks: self.blocks.clone(),
            cursor: later.map_or(end, |p| p.min(end)),
        };
        let (market, lane) = (self.market, &self.lane);
        let checkpoint = transact!(market.store(), tx -> Result<[u8; 32]> => {
            market.close_epoch(tx, lane, &closing).await
        })?;
        // Only now: after a failure everything is read again from the stored cursor.
        self.blocks.clear();
        self.open.remove(&epoch);
        self.closed = Some(epoch);
        market.stamps().put(&self.lane.lane, epoch, checkpoint);
        if let Err(e) = market.watch_capacity(lane).await {
            tracing::warn!(lane = %lane.lane, error = %e, "capacity was not looked at");
        }
        let shares = closing.tally.shares;
        tracing::debug!(lane = %self.lane.lane, %epoch, shares, "closed an epoch");
        Box::pin(market.grant_wishes(&self.lane)).await;
        Ok(())
    }
}

/// Which epochs get a row when `sealed` is sealed, each with the number skipped before it. `with_work` is
/// sorted and not above `sealed`.
fn epochs_to_close(
    closed: Option<EpochNumber>,
    with_work: &[EpochNumber],
    sealed: EpochNumber,
) -> Vec<(EpochNumber, u64)> {
    let mut all = Vec::new();
    let mut last = closed;
    let end = (with_work.last() != Some(&sealed)).then_some(sealed);
    for epoch in with_work.iter().copied().chain(end) {
        let mut skipped = 0;
        if let Some(before) = last {
            let empty = epoch.0.saturating_sub(before.0).saturating_sub(1);
            if empty <= EMPTY_ROWS_MAX {
                all.extend((before.0 + 1..epoch.0).map(|e| (EpochNumber(e), 0)));
            } else {
                skipped = empty;
            }
        }
        all.push((epoch, skipped));
        last = Some(epoch);
    }
    all
}

type Batch = Vec<(Position, Record, Position)>;

fn read_batch(mut reader: LogReader) -> (LogReader, Result<Batch>) {
    let mut batch = Vec::new();
    while batch.len() < BATCH {
        match reader.next() {
            Ok(Some((at, record))) => {
                // A found block is large: it ends the batch.
                let large = matches!(record, Record::Block(_) | Record::AuxBlock(_));
                batch.push((at, record, reader.position()));
                if large {
                    break;
                }
            }
            Ok(None) => break,
            Err(e) => return (reader, Err(e.into())),
        }
    }
    (reader, Ok(batch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(closed: Option<u64>, work: &[u64], sealed: u64) -> Vec<(u64, u64)> {
        let work: Vec<_> = work.iter().copied().map(EpochNumber).collect();
        epochs_to_close(closed.map(EpochNumber), &work, EpochNumber(sealed))
            .into_iter()
            .map(|(e, s)| (e.0, s))
            .collect()
    }

    #[test]
    fn every_epoch_of_a_running_lane_gets_a_row() {
        assert_eq!(rows(Some(6), &[7], 7), [(7, 0)]);
        assert_eq!(rows(Some(6), &[], 7), [(7, 0)]);
        assert_eq!(rows(Some(6), &[8], 9), [(7, 0), (8, 0), (9, 0)]);
    }

    #[test]
    fn the_first_epoch_of_a_lane_has_nothing_before_it() {
        assert_eq!(rows(None, &[], 1_000_000), [(1_000_000, 0)]);
        assert_eq!(rows(None, &[500], 502), [(500, 0), (501, 0), (502, 0)]);
    }

    #[test]
    fn a_long_gap_is_one_row() {
        assert_eq!(rows(Some(6), &[7, 8], 1_000_000), [(7, 0), (8, 0), (1_000_000, 999_991)]);
        let most = rows(Some(6), &[], 6 + EMPTY_ROWS_MAX + 1);
        assert_eq!(most.len(), usize::try_from(EMPTY_ROWS_MAX).unwrap() + 1);
        assert_eq!(rows(Some(6), &[], 6 + EMPTY_ROWS_MAX + 2).len(), 1);
    }
}
