//! Makes a lane's jobs: which template asks for one, and when; holds the clock against the node's.

use super::LaneWorkOptions;
use crate::epochs::Epochs;
use crate::error::StratumError;
use crate::limits::{DESTINATIONS_MAX, EXTRANONCE1_BYTES, EXTRANONCE2_BYTES, LIVE_JOBS_MAX};
use crate::machines::Destination;
use crate::merged::{self, AUX_JOB_EVERY_MIN, Offers};
use crate::protocol::Work;
use crate::seldom::Seldom;
use crate::templates::{Fetched, Why};
use crate::work::{LiveJob, OwnJob, WorkState};
use gruve_chain::{Job, JobSpec, Template};
use gruve_sharelog::{JobRecord, Position, Record};
use gruve_units::{Algorithm, Duration, JobId, Timestamp};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// A clock further ahead of the node's than this is wrong, or the node's is: by the chains' own rule
/// blocks may be at most two hours ahead of the clocks of those who check them.
const AHEAD_OF_NODE_MAX: Duration = Duration::from_secs(2 * 3_600);

/// A clock further behind the log's last job than this is told as an error.
const BEHIND_LOG_MAX: Duration = Duration::from_secs(60);

/// Makes the jobs.
pub(super) struct Maker {
    options: LaneWorkOptions,
    algorithm: Algorithm,
    jobs: watch::Sender<Option<Arc<WorkState>>>,
    /// The same, as gateways see it.
    work: watch::Sender<Option<Work>>,
    /// What jobs are made of.
    newest: Option<Fetched>,
    epochs: Epochs,
    /// What the auxiliary chains offer.
    offers: watch::Receiver<Offers>,
    /// Held so that a lane without auxiliary chains waits for none.
    _offers: Arc<watch::Sender<Offers>>,
    /// Whether what they offer is another than the newest job's, and when that was made.
    aux_news: bool,
    last_job_at: Option<Instant>,
    /// Who is paid by the block itself under the newest job.
    destinations: Arc<[Destination]>,
    /// Whether the last attempt to publish failed and must be repeated.
    owed: bool,
    /// Whether a template has come whose time agrees with the clock's.
    is_clock_checked: bool,
    /// Faults as they are told: they come again with every look.
    clock_faults: Seldom,
    seal_faults: Seldom,
    job_faults: Seldom,
}

impl Maker {
    pub(super) fn new(
        options: LaneWorkOptions,
        jobs: watch::Sender<Option<Arc<WorkState>>>,
        work: watch::Sender<Option<Work>>,
        offers: &Arc<watch::Sender<Offers>>,
    ) -> Result<Maker, StratumError> {
        let mut reader = options.share_log.reader(Position::START);
        let mut first_epoch = None;
        while let (None, Some((_, record))) = (first_epoch, reader.next()?) {
            first_epoch = match record {
                Record::Job(job) => Some(job.epoch),
                Record::EthWork(work) => Some(work.epoch),
                Record::Share(share) => Some(share.epoch),
                Record::Seal { epoch, .. } => Some(epoch.next()),
                Record::AuxJob(_)
                | Record::Block(_)
                | Record::AuxBlock(_)
                | Record::BlockOutcome { .. } => None,
            };
        }
        Ok(Maker {
            algorithm: options.node.params().algorithm,
            epochs: Epochs::new(
                options.epoch_rule,
                Arc::clone(&options.clock),
                Arc::clone(&options.entropy),
                options.share_log.clone(),
                first_epoch,
            ),
            options,
            jobs,
            work,
            newest: None,
            offers: offers.subscribe(),
            _offers: Arc::clone(offers),
            aux_news: false,
            last_job_at: None,
            destinations: Arc::default(),
            owed: false,
            is_clock_checked: false,
            clock_faults: Seldom::default(),
            seal_faults: Seldom::default(),
            job_faults: Seldom::default(),
        })
    }

    pub(super) async fn run(mut self, mut templates: mpsc::Receiver<Fetched>) {
        loop {
            let until_next = self.epochs.until_next();
            let fetched = tokio::select! {
                fetched = templates.recv() => match fetched {
                    Some(fetched) => Some(fetched),
                    None => return,
                },
                _ = self.offers.changed() => {
                    self.aux_news = true;
                    None
                }
                () = tokio::time::sleep(until_next) => None,
            };
            let is_news = fetched.is_some_and(|fetched| self.take(fetched));
            self.tell_jump();
            if !self.is_clock_checked {
                self.owed |= is_news;
                continue;
            }
            if let Err(e) = self.epochs.seal_due()
                && let Some(times) = self.seal_faults.due()
            {
                tracing::error!(lane = %self.options.lane, error = %e, times, "cannot seal the epoch");
            }
            let is_due = is_news
                || self.owed
                || self.epoch_is_over()
                || self.aux_is_due()
                || self.pays_others();
            if is_due && self.newest.is_some() {
                self.owed = self.publish().is_err_and(|e| {
                    if let Some(times) = self.job_faults.due() {
                        tracing::error!(lane = %self.options.lane, error = %e, times, "cannot make a job");
                    }
                    true
                });
            }
        }
    }

    /// Whether this template asks for a job.
    fn take(&mut self, fetched: Fetched) -> bool {
        let stands_on = |f: &Fetched| f.template.prev_hash;
        if fetched.why == Why::Empty
            && self.newest.as_ref().map(stands_on) == Some(stands_on(&fetched))
        {
            return false; // a refresh was there before it
        }
        let is_news = self.newest.as_ref().is_none_or(|newest| {
            let (old, new) = (&newest.template, &fetched.template);
            fetched.why == Why::Refresh
                || old.prev_hash != new.prev_hash
                || old.coinbase_value != new.coinbase_value
                || old.bits != new.bits
                // What was foreseen gives way to what the node says, unless it is the same block.
                || (newest.why == Why::Empty
                    && (old.version != new.version || !new.txs.is_empty()))
        });
        self.is_clock_checked |= self.agrees_with_clock(&fetched.template);
        self.newest = Some(fetched);
        is_news
    }

    /// Whether the clock is not too far ahead of the node's. A clock behind the node's is let pass:
    /// it ends nothing early, and chains made for tests run ahead of all clocks.
    fn agrees_with_clock(&mut self, template: &Template) -> bool {
        let node = Timestamp::from_secs(i64::from(template.cur_time));
        let ahead = self.options.clock.now().since(node);
        let agrees = ahead <= AHEAD_OF_NODE_MAX;
        if !agrees
            && !self.is_clock_checked
            && let Some(times) = self.clock_faults.due()
        {
            tracing::error!(lane = %self.options.lane, ahead_s = ahead.as_secs(), times,
                "this machine's clock is more than two hours ahead of the node's: nothing is sealed \
                 and no job is made; set the clock that is wrong and start again");
        }
        agrees
    }

    /// Tells of a jump of the machine's clock that is not believed.
    fn tell_jump(&mut self) {
        let ahead = self.options.clock.held_back();
        if ahead > Duration::ZERO
            && let Some(times) = self.clock_faults.due()
        {
            tracing::error!(lane = %self.options.lane, ahead_s = ahead.as_secs(), times,
                "the machine's clock jumped forward and is not believed: epochs go on at the pace of \
                 real time; set the clock back, or, if it is right now, start again");
        }
    }

    /// At the start: tells of a clock that is behind what the log already holds. Jobs then stay in
    /// the first epoch that is not sealed until it has caught up.
    pub(super) fn look_at_clock(&self) {
        let behind = self.epochs.last_given_at().since(self.options.clock.now());
        if behind > BEHIND_LOG_MAX {
            tracing::error!(lane = %self.options.lane, behind_s = behind.as_secs(),
                "this machine's clock is behind the last job in the share log: set it");
        }
    }

    fn epoch_is_over(&self) -> bool {
        let current = self.jobs.borrow().as_ref().map(|s| s.current.job().epoch());
        current.is_some_and(|e| self.epochs.is_over(e))
    }

    /// Whether another auxiliary block asks for a job, and the last one is not too fresh.
    fn aux_is_due(&self) -> bool {
        self.aux_news && self.last_job_at.is_none_or(|at| at.elapsed() >= AUX_JOB_EVERY_MIN)
    }

    /// Whether others are to be paid by the block itself than the newest job says.
    fn pays_others(&self) -> bool {
        let jobs = self.jobs.borrow();
        let Some(job) = jobs.as_ref().map(|s| s.current.job()) else { return false };
        let (lane, stamps) = (&self.options.lane, &self.options.stamps);
        stamps.destinations(lane, job.epoch(), job.checkpoint_epoch()) != self.destinations
    }

    /// The same job for each owner who is paid by the block itself, numbered behind it. One that cannot be made is left
    /// out: the house pays that owner, and nobody else waits.
    fn own_jobs<'a>(&self, of: &Job, all: &'a [Destination]) -> Vec<(Job, &'a Destination)> {
        let mut jobs = Vec::new();
        for destination in all {
            let id = JobId(of.id().0.saturating_add(1 + jobs.len() as u64));
            let template = Arc::clone(of.template());
            let paid = destination.outputs(&self.options.pay_to, template.coinbase_value);
            let Some(pay_to) = paid else { continue };
            let spec = JobSpec {
                id,
                tag: [&self.options.tag[..], &id.0.to_be_bytes()].concat(),
                pay_to,
                ..of.spec().clone()
            };
            match Job::build_merged(template, of.branch().to_vec(), spec, of.aux().cloned()) {
                Ok(job) => jobs.push((job, destination)),
                Err(error) => {
                    tracing::warn!(lane = %self.options.lane, owner = %destination.owner, %error,
                        "no job can be made that pays this owner");
                }
            }
        }
        jobs
    }

    fn publish(&mut self) -> Result<(), StratumError> {
        let Some(newest) = &self.newest else { return Ok(()) };
        let (template, branch) = (Arc::clone(&newest.template), newest.branch.clone());
        let now = self.options.clock.now();
        let epoch = self.epochs.at(now);
        let (checkpoint_epoch, commitment) = self.options.stamps.stamp(&self.options.lane, epoch);
        let id = self.epochs.next_id(now);
        let spec = JobSpec {
            id,
            epoch,
            checkpoint_epoch,
            commitment,
            tag: [&self.options.tag[..], &id.0.to_be_bytes()].concat(),
            pay_to: vec![(self.options.pay_to.clone(), template.coinbase_value)],
            extranonce_len: EXTRANONCE1_BYTES + EXTRANONCE2_BYTES,
        };
        let aux = merged::work_of(&self.options.lane, &self.offers.borrow_and_update());
        let job = Job::build_merged(template, branch, spec, aux)?;
        let stamps = &self.options.stamps;
        let destinations = stamps.destinations(&self.options.lane, epoch, checkpoint_epoch);
        let paid = &destinations[..destinations.len().min(DESTINATIONS_MAX)];
        let own = self.own_jobs(&job, paid);
        let mut records = Vec::with_capacity(1 + own.len());
        for job in std::iter::once(&job).chain(own.iter().map(|(job, _)| job)) {
            records.push(Record::Job(record(job, now)));
            records.extend(merged::record(job).map(Record::AuxJob));
        }
        self.options.share_log.append(&records)?;
        (self.aux_news, self.last_job_at) = (false, Some(Instant::now()));
        self.epochs.begin(epoch);
        let class_max = self.options.stamps.class_max(&self.options.lane, checkpoint_epoch);
        let live = |job| LiveJob::new(job).capped(class_max);
        let paying = |(job, to): (Job, &Destination)| OwnJob {
            machines: to.machines.clone(),
            job: Arc::new(live(job).paying(to.owner)),
        };
        let own: Vec<OwnJob> = own.into_iter().map(paying).collect();
        self.epochs.give_more(own.len());
        let job = Arc::new(live(job).with_own(own));
        self.destinations = Arc::clone(&destinations);
        let state = match self.jobs.borrow().as_ref() {
            Some(old) => old.with(job, LIVE_JOBS_MAX),
            None => WorkState::of(self.algorithm, job),
        };
        tracing::debug!(lane = %self.options.lane, job = %id, %epoch,
            height = state.current.job().height(), "made a job");
        self.show(state);
        Ok(())
    }

    pub(super) fn show(&self, state: WorkState) {
        let state = Arc::new(state);
        self.work.send_replace(Some(Work::Header(Arc::clone(&state))));
        self.jobs.send_replace(Some(state));
    }
}

/// What the log keeps of a job.
fn record(job: &Job, now: Timestamp) -> JobRecord {
    JobRecord {
        job: job.id(),
        epoch: job.epoch(),
        checkpoint_epoch: job.checkpoint_epoch(),
        commitment: *job.commitment(),
        issued_at: now,
        height: job.height(),
        prev_hash: *job.prev_hash(),
        bits: job.bits(),
        version: job.version(),
        ntime: job.ntime(),
        coinbase_prefix: job.coinbase_prefix().to_vec(),
        coinbase_suffix: job.coinbase_suffix_class_zero().to_vec(),
        // A coinbase is far below 4 GiB.
        class_offset: u32::try_from(job.class_offset()).unwrap_or(u32::MAX),
        branch: job.branch().to_vec(),
    }
}
