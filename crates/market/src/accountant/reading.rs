//! Reading one lane's log: jobs, shares and blocks are kept until the seal of their epoch.

use super::gaps::epochs_to_close;
use crate::close::{BlockNews, Closing, LaneState};
use crate::record::{RecordSink, store_record, thresholds};
use crate::tally::{Counted, JobTargets, Targets, tally};
use crate::{LaneConfig, Market, MarketError, Result, late, opened, stamps};
use gruve_proof::record::RecordOf;
use gruve_sharelog::{
    AuxJobRecord, JobRecord, LogReader, Position, Record, ShareLog, ShareRecord, counts_in,
};
use gruve_store::transact;
use gruve_units::{Asset, EpochNumber, JobId, LaneId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Records read at once: some hundred kilobytes of shares.
const BATCH: usize = 2_048;

/// An epoch's jobs. They stay while work on them may still count.
struct EpochJobs {
    /// Where the epoch's first record stands.
    first_at: Position,
    /// Network target of its jobs, and the number of what they were for.
    jobs: HashMap<JobId, (u32, u32)>,
    targets: JobTargets,
    /// Its jobs as given out, where they are to be published.
    records: HashMap<JobId, JobRecord>,
    /// What those were merge-mined for.
    aux: HashMap<JobId, AuxJobRecord>,
}

impl EpochJobs {
    fn begin(first_at: Position) -> EpochJobs {
        let (jobs, targets) = (HashMap::new(), JobTargets::default());
        EpochJobs { first_at, jobs, targets, records: HashMap::new(), aux: HashMap::new() }
    }
}

/// An epoch whose seal has not been read.
struct OpenEpoch {
    own: EpochJobs,
    last_job: Option<(u32, u64)>,
    /// Target and height by its last job of each merge-mined chain.
    last_aux: BTreeMap<Asset, (u32, u64)>,
    shares: Vec<Counted>,
}

/// Reading one lane's log.
pub(super) struct Reading<'a> {
    market: &'a Market,
    lane: LaneConfig,
    log: ShareLog,
    /// Handed to a blocking thread and back.
    reader: Option<LogReader>,
    pub(super) position: Position,
    closed: Option<EpochNumber>,
    /// The last seal that was read, and where it stands.
    sealed: Option<(EpochNumber, Position)>,
    open: BTreeMap<EpochNumber, OpenEpoch>,
    /// The jobs of the last closed epochs.
    past: BTreeMap<EpochNumber, EpochJobs>,
    blocks: Vec<BlockNews>,
}

impl<'a> Reading<'a> {
    pub(super) async fn begin(
        market: &'a Market,
        lane: &LaneId,
        log: &ShareLog,
    ) -> Result<Reading<'a>> {
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
            sealed: None,
            open: BTreeMap::new(),
            past: BTreeMap::new(),
            blocks: Vec::new(),
        })
    }

    /// Reads and accounts one batch; false at the end of the log.
    pub(super) async fn step(&mut self) -> Result<bool> {
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
            Record::Job(job) => {
                self.take_job(at, job.epoch, job.job, (job.bits, job.height));
                self.keep_record(at, job);
            }
            Record::EthWork(w) => {
                let seen = (w.network_target.to_compact(), w.height.unwrap_or(0));
                self.take_job(at, w.epoch, w.job, seen);
            }
            Record::Share(share) => self.take_share(at, &share)?,
            Record::AuxJob(job) => self.take_aux_job(at, &job),
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
            own: EpochJobs::begin(at),
            last_job: None,
            last_aux: BTreeMap::new(),
            shares: Vec::new(),
        }))
    }

    /// The epoch's jobs; `None` when no work of it can count any more.
    fn jobs_of(&mut self, epoch: EpochNumber, at: Position) -> Option<&mut EpochJobs> {
        match self.closed {
            Some(last) if epoch <= last => late::may_come(epoch, last)
                .then(|| self.past.entry(epoch).or_insert_with(|| EpochJobs::begin(at))),
            _ => self.open_epoch(epoch, at).map(|open| &mut open.own),
        }
    }

    /// A job's network target, compact, and its height.
    fn take_job(&mut self, at: Position, epoch: EpochNumber, job: JobId, seen: (u32, u64)) {
        if let Some(of) = self.jobs_of(epoch, at) {
            let number = of.targets.number(Targets { own: seen, aux: Vec::new() });
            of.jobs.insert(job, (seen.0, number));
        }
        if let Some(open) = self.open.get_mut(&epoch) {
            open.last_job = Some(seen);
        }
    }

    /// Keeps a job for the public record, if there is one.
    fn keep_record(&mut self, at: Position, job: JobRecord) {
        if self.market.publishes(&self.lane).is_some()
            && let Some(of) = self.jobs_of(job.epoch, at)
        {
            of.records.insert(job.job, job);
        }
    }

    /// What a job is merge-mined for, as far as the lane earns it.
    fn take_aux_job(&mut self, at: Position, record: &AuxJobRecord) {
        let earned: Vec<Asset> = self.lane.aux.iter().map(|aux| aux.asset).collect();
        let chains = || record.chains.iter().filter(|c| earned.contains(&c.asset));
        let Some(of) = self.jobs_of(record.epoch, at) else { return };
        if of.records.contains_key(&record.job) {
            of.aux.insert(record.job, record.clone());
        }
        let aux = chains().map(|c| (c.asset, c.bits, c.height)).collect();
        let Some(job) = of.jobs.get_mut(&record.job) else { return };
        let own = of.targets.of(job.1).map(|t| t.own).unwrap_or_default();
        job.1 = of.targets.number(Targets { own, aux });
        if let Some(open) = self.open.get_mut(&record.epoch) {
            open.last_aux.extend(chains().map(|c| (c.asset, (c.bits, c.height))));
        }
    }

    fn take_share(&mut self, at: Position, share: &ShareRecord) -> Result<()> {
        let lane = self.lane.lane.clone();
        if self.closed.is_some_and(|last| share.epoch <= last) {
            self.take_late(at, share);
            return Ok(());
        }
        let Some(open) = self.open_epoch(share.epoch, at) else { return Ok(()) };
        let Some((bits, aux)) = open.own.jobs.get(&share.job).copied() else {
            let what = format!("the share at {at} is of job {}, which is not before it", share.job);
            return Err(MarketError::BadLog { lane, what });
        };
        open.shares.push(Counted::new(share, bits, aux));
        Ok(())
    }

    /// A share of a closed epoch: late when the last closed epoch's seal stands before it, else counted already.
    fn take_late(&mut self, at: Position, share: &ShareRecord) {
        let Some((sealed, _)) = self.sealed.filter(|(s, _)| Some(*s) == self.closed) else {
            return;
        };
        let counts_in = counts_in(Some(sealed), share.epoch);
        let known = self.past.get(&share.epoch).and_then(|of| {
            let (bits, number) = of.jobs.get(&share.job).copied()?;
            let targets = of.targets.of(number)?.clone();
            let kept = of.records.get(&share.job).cloned();
            Some((bits, targets, kept, of.aux.get(&share.job).cloned()))
        });
        let (Some(epoch), Some((bits, targets, record, aux))) = (counts_in, known) else {
            let (lane, of) = (&self.lane.lane, share.epoch);
            tracing::error!(%lane, %of, %at, "late work of a job that is not known any more: not counted");
            return;
        };
        let Some(open) = self.open_epoch(epoch, at) else { return };
        let number = open.own.targets.number(targets);
        open.own.records.extend(record.map(|job| (share.job, job)));
        open.own.aux.extend(aux.map(|aux| (share.job, aux)));
        let by = epoch.0.saturating_sub(share.epoch.0);
        open.shares.push(Counted::new(share, bits, number).late(by));
    }

    /// Closes everything up to the sealed epoch. The seal stands at `at` and ends at `after`.
    async fn close_up_to(
        &mut self,
        sealed: EpochNumber,
        at: Position,
        after: Position,
    ) -> Result<()> {
        if self.closed.is_none_or(|last| sealed > last) {
            self.log.synced(after).await?;
            let with_work: Vec<EpochNumber> = self.open.range(..=sealed).map(|(e, _)| *e).collect();
            for (epoch, skipped) in epochs_to_close(self.closed, &with_work, sealed) {
                self.close(epoch, skipped, at).await?;
            }
        }
        self.sealed = Some((sealed, at));
        Ok(())
    }

    /// The thresholds that jobs may be bound to whose work can count now.
    async fn thresholds(&self) -> Result<BTreeMap<EpochNumber, u8>> {
        let mut tx = self.market.store().read().await?;
        let all = thresholds(&mut tx, &self.lane.lane, Some(stamps::KEPT)).await?;
        tx.rollback().await?;
        Ok(all)
    }

    /// Closes one epoch; the seal that lets it stands at `seal`.
    async fn close(&mut self, epoch: EpochNumber, skipped: u64, seal: Position) -> Result<()> {
        let open = self.open.remove(&epoch);
        let (own, last_job, last_aux, mut shares) = match open {
            Some(open) => (Some(open.own), open.last_job, open.last_aux, open.shares),
            None => (None, None, BTreeMap::new(), Vec::new()),
        };
        let targets = own.as_ref().map(|own| own.targets.clone()).unwrap_or_default();
        let records = own.as_ref().map(|own| own.records.clone()).unwrap_or_default();
        let aux = own.as_ref().map(|own| own.aux.clone()).unwrap_or_default();
        // Those that late work may still come on; reading goes on from the first of them after a restart, and finds
        // this seal again, so that it is known which work is late.
        self.past.extend(own.map(|own| (epoch, own)));
        let before = late::Before {
            from: self.past.values().map(|of| of.first_at).fold(seal, Position::min),
            to: self.sealed.map_or(Position::START, |(_, at)| at),
        };
        self.past.retain(|e, _| late::may_come(*e, epoch));
        let first_at = self.past.values().map(|of| of.first_at);
        let later = self.open.range(epoch.next()..).map(|(_, o)| o.own.first_at);
        let cursor = first_at.chain(later).fold(seal, Position::min);
        // Sorting and hashing millions of shares takes a while: not on the threads that serve others.
        let sink = self.market.publishes(&self.lane).cloned();
        let of = RecordOf { lane: self.lane.lane.clone(), epoch };
        let (log, algorithm) = (self.log.clone(), self.lane.algorithm);
        let thresholds = match &sink {
            Some(_) => self.thresholds().await?,
            None => BTreeMap::new(),
        };
        let counted = tokio::task::spawn_blocking(move || -> Result<_> {
            let again = late::drop_counted(&log, before, &mut shares)?;
            let accepted = opened::by_class(&shares);
            opened::open(algorithm, &records, &thresholds, &mut shares)?;
            let mut tally = tally(&mut shares, &targets)?;
            tally.duplicates += again;
            let store = |sink: Arc<dyn RecordSink>| {
                store_record(&*sink, algorithm, &of, &records, &aux, &shares)
            };
            Ok((tally, accepted, sink.map(store).transpose()?.flatten()))
        })
        .await;
        let (tally, accepted, record) =
            counted.map_err(|e| MarketError::Broken(format!("counting an epoch: {e}")))??;
        if tally.duplicates > 0 {
            let (lane, n) = (&self.lane.lane, tally.duplicates);
            tracing::error!(%lane, %epoch, n, "work stands in the share log twice; counted once");
        }
        let closing = Closing {
            epoch,
            skipped,
            tally,
            accepted,
            last_job,
            last_aux,
            record,
            blocks: self.blocks.clone(),
            cursor,
        };
        let (market, lane) = (self.market, &self.lane);
        let checkpoint = transact!(market.store(), tx -> Result<[u8; 32]> => {
            market.close_epoch(tx, lane, &closing).await
        })?;
        // Only now: after a failure everything is read again from the stored cursor.
        self.blocks.clear();
        self.closed = Some(epoch);
        // What it fixes first: no job is stamped with it before its bounds are known.
        let mut tx = market.store().read().await?;
        market.load_rules(&mut tx, &self.lane.lane, 1).await?;
        tx.rollback().await?;
        market.stamps().put(&self.lane.lane, epoch, checkpoint);
        if let Err(e) = market.watch_capacity(lane).await {
            tracing::warn!(lane = %lane.lane, error = %e, "capacity was not looked at");
        }
        if let Some(sink) = market.record_sink() {
            sink.grown();
        }
        let shares = closing.tally.shares;
        tracing::debug!(lane = %self.lane.lane, %epoch, shares, "closed an epoch");
        Box::pin(market.grant_wishes(&self.lane)).await;
        Ok(())
    }
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
