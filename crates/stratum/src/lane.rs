//! A lane's work: templates from the node, stamped jobs to the sessions, seals to the log.
//!
//! | event | what happens |
//! |---|---|
//! | the chain's tip changes, by the node's notice | a job without transactions on the new tip; miners drop the old ones |
//! | the template on it is there (or, without notices, a long poll tells of it) | a job with its transactions |
//! | every `refresh` | a job with the newest transactions |
//! | an auxiliary chain has another block | a job for it; the old ones live on |
//! | an epoch border | a job with the new stamp; the old ones live on |
//! | border and grace | the log is sealed: no share of the past epoch enters any more |
//! | start | blocks without an answer are sent again; with the first template past epochs are sealed, then the first job is made |
//!
//! Promises: a job's record is in the log before any miner sees the job; job numbers never come
//! again, not in a later life either; two jobs never make the same header, because the number
//! stands in the coinbase (so that the same hash cannot be two shares); no job is stamped with a
//! sealed epoch, even if the clock goes back.
//!
//! A seal cannot be taken back, and contracts end by it, so a wrong clock must not bring one. The house's
//! clock does not believe jumps forward ([`gruve_units::SteadyClock`]); what the machine's clock said at
//! the start is held against the node's: until a template has come that is not more than
//! [`AHEAD_OF_NODE_MAX`] behind it, nothing is sealed and no job is made.

use crate::blocks::{BlockNode, BlockSender};
use crate::epochs::Epochs;
use crate::error::StratumError;
use crate::kept_jobs;
use crate::limits::{EXTRANONCE1_BYTES, EXTRANONCE2_BYTES, LIVE_JOBS_MAX};
use crate::machines::Stamps;
use crate::merged::{self, AUX_JOB_EVERY_MIN, AuxChain, Offers, ProofNodes};
use crate::protocol::{Lane, Work};
use crate::seldom::Seldom;
use crate::templates::{self, Fetched, Why};
use crate::work::{LiveJob, WorkState};
use gruve_chain::{Job, JobSpec, Node, Template};
use gruve_sharelog::{AuxBlockRecord, BlockRecord, JobRecord, Position, Record, ShareLog};
use gruve_units::{Algorithm, Asset, Clock, Duration, Entropy, EpochRule, LaneId, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// Free text in the coinbase at most: one push of 75 bytes less the job's number.
pub const TAG_BYTES_MAX: usize = 75 - JOB_NUMBER_BYTES;
const JOB_NUMBER_BYTES: usize = 8;
/// The same on a merge-mined lane: the script's 100 bytes less height (5), merge-mining tag (45), job's number and
/// both pushes (10), and extranonces (12).
pub const TAG_BYTES_MERGED_MAX: usize = 100 - 5 - 45 - (JOB_NUMBER_BYTES + 2) - 12;

/// How long a stop waits for blocks under way.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A clock further ahead of the node's than this is wrong, or the node's is: by the chains' own rule
/// blocks may be at most two hours ahead of the clocks of those who check them.
const AHEAD_OF_NODE_MAX: Duration = Duration::from_secs(2 * 3_600);

/// A clock further behind the log's last job than this is told as an error.
const BEHIND_LOG_MAX: Duration = Duration::from_secs(60);

/// What a lane's work needs.
pub struct LaneWorkOptions {
    /// The lane's name.
    pub lane: LaneId,
    /// Where templates come from and blocks go.
    pub node: Arc<dyn Node>,
    /// How time is cut.
    pub epoch_rule: EpochRule,
    /// What to stamp.
    pub stamps: Arc<dyn Stamps>,
    /// The output script that rewards go to.
    pub pay_to: Vec<u8>,
    /// Free text in the coinbase, at most [`TAG_BYTES_MAX`] bytes.
    pub tag: Vec<u8>,
    /// How often a job with the newest transactions is made; 30 s is usual.
    pub refresh: Duration,
    /// How often a node without long polling is asked for its tip; 1 s is usual.
    pub poll: Duration,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where jobs, shares, blocks and seals are written.
    pub share_log: ShareLog,
    /// The chains that are merge-mined by the same work, at most one a coin.
    pub aux: Vec<AuxChain>,
    /// What [`LaneWork::keep`] of the program before this one gave.
    pub kept_jobs: Option<Vec<u8>>,
}

/// A lane's running work. Cloning is cheap; when the last clone is dropped it stops.
#[derive(Clone)]
pub struct LaneWork {
    inner: Arc<Inner>,
}

struct Inner {
    lane: LaneId,
    algorithm: Algorithm,
    jobs: watch::Receiver<Option<Arc<WorkState>>>,
    work: watch::Receiver<Option<Work>>,
    blocks: Arc<BlockSender>,
    aux: Vec<(Asset, Arc<BlockSender>)>,
    log: ShareLog,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}

impl LaneWork {
    /// Sends unanswered blocks again and begins to seal and to make jobs, once the node has given a
    /// template whose time agrees with the clock. Call it within the runtime.
    ///
    /// # Errors
    /// [`StratumError::Options`] for a tag too long or no destination; [`StratumError::Log`] when
    /// the log cannot be read.
    pub fn start(options: LaneWorkOptions) -> Result<LaneWork, StratumError> {
        if options.tag.len() > TAG_BYTES_MAX {
            return Err(StratumError::Options("the coinbase tag is too long"));
        }
        if !options.aux.is_empty() && options.tag.len() > TAG_BYTES_MERGED_MAX {
            return Err(StratumError::Options(
                "the coinbase tag is too long beside a merge-mining tag",
            ));
        }
        if options.pay_to.is_empty() {
            return Err(StratumError::Options("rewards need an address to go to"));
        }
        let (jobs_in, jobs) = watch::channel(None);
        let (work_in, work) = watch::channel(None);
        let nudge = Arc::new(Notify::new());
        let algorithm = options.node.params().algorithm;
        let blocks = Arc::new(BlockSender::new(
            options.lane.clone(),
            Arc::new(BlockNode(Arc::clone(&options.node))),
            options.share_log.clone(),
            Arc::clone(&options.clock),
            Arc::clone(&nudge),
        ));
        blocks.resend()?;
        let (lane, log) = (options.lane.clone(), options.share_log.clone());
        let node = Arc::clone(&options.node);
        let (refresh, poll) = (options.refresh, options.poll);
        let kept = options.kept_jobs.as_deref().and_then(|k| kept_jobs::resume(k, algorithm));
        let (offers, chains) =
            (Arc::new(watch::Sender::new(vec![None; options.aux.len()])), options.aux.clone());
        let aux_senders =
            chains.iter().map(|chain| aux_sender(&options, chain)).collect::<Vec<_>>();
        let maker = Maker::new(options, jobs_in, work_in, &offers)?;
        if let Some(state) = kept {
            maker.show(state);
        }
        maker.look_at_clock();
        // Two templates may wait: the newest of each source. A slow maker slows the sources.
        let (templates_in, templates) = mpsc::channel(2);
        let mut tasks = templates::spawn(&lane, &node, refresh, poll, &nudge, &templates_in);
        tasks.push(tokio::spawn(maker.run(templates)));
        let mut aux = Vec::new();
        for (at, (chain, (sender, nudge))) in chains.into_iter().zip(aux_senders).enumerate() {
            sender.resend()?;
            aux.push((chain.asset, sender));
            let watching = merged::watch_chain(lane.clone(), at, chain, nudge, Arc::clone(&offers));
            tasks.push(tokio::spawn(watching));
        }
        let tasks = Mutex::new(tasks);
        let inner = Inner { lane, algorithm, jobs, work, blocks, aux, log, tasks };
        Ok(LaneWork { inner: Arc::new(inner) })
    }

    /// The lane's name.
    #[must_use]
    pub fn lane(&self) -> &LaneId {
        &self.inner.lane
    }

    /// What is hashed.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.inner.algorithm
    }

    /// The jobs as they change; `None` until the node has given the first template.
    #[must_use]
    pub fn jobs(&self) -> watch::Receiver<Option<Arc<WorkState>>> {
        self.inner.jobs.clone()
    }

    /// The jobs now.
    #[must_use]
    pub fn current(&self) -> Option<Arc<WorkState>> {
        self.inner.jobs.borrow().clone()
    }

    /// The lane's log.
    #[must_use]
    pub fn share_log(&self) -> &ShareLog {
        &self.inner.log
    }

    /// Blocks found since the start.
    #[must_use]
    pub fn blocks_found(&self) -> u64 {
        self.inner.blocks.count()
    }

    /// The jobs, for the program that takes this one's place: see
    /// [`LaneWorkOptions::kept_jobs`].
    #[must_use]
    pub fn keep(&self) -> Option<Vec<u8>> {
        self.current().map(|work| kept_jobs::keep(&work))
    }

    /// Stops making jobs, waits (five seconds at most) for blocks under way, and lets go of the
    /// log. Stop the gateway first.
    pub async fn stop(&self) {
        let tasks =
            std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Aborted or done, it is over.
            let _ = task.await;
        }
        self.inner.blocks.stop(STOP_MAX).await;
        for (_, sender) in &self.inner.aux {
            sender.stop(STOP_MAX).await;
        }
    }
}

/// Sends one auxiliary chain's proofs; rings when a node has taken one.
fn aux_sender(options: &LaneWorkOptions, chain: &AuxChain) -> (Arc<BlockSender>, Arc<Notify>) {
    let nudge = Arc::new(Notify::new());
    let sender = BlockSender::new(
        options.lane.clone(),
        Arc::new(ProofNodes(Arc::clone(&chain.nodes))),
        options.share_log.clone(),
        Arc::clone(&options.clock),
        Arc::clone(&nudge),
    );
    (Arc::new(sender.for_aux(chain.asset)), nudge)
}

impl Lane for LaneWork {
    fn id(&self) -> &LaneId {
        self.lane()
    }

    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm
    }

    fn jobs(&self) -> watch::Receiver<Option<Work>> {
        self.inner.work.clone()
    }

    fn share_log(&self) -> &ShareLog {
        &self.inner.log
    }

    fn found(&self, block: BlockRecord) {
        self.inner.blocks.found(block);
    }

    fn found_aux(&self, block: AuxBlockRecord) {
        if let Some((_, sender)) = self.inner.aux.iter().find(|(asset, _)| *asset == block.asset) {
            sender.found(block.found);
        }
    }
}

/// Makes the jobs.
struct Maker {
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
    fn new(
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
            owed: false,
            is_clock_checked: false,
            clock_faults: Seldom::default(),
            seal_faults: Seldom::default(),
            job_faults: Seldom::default(),
        })
    }

    async fn run(mut self, mut templates: mpsc::Receiver<Fetched>) {
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
            let is_due = is_news || self.owed || self.epoch_is_over() || self.aux_is_due();
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
    fn look_at_clock(&self) {
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
        let mut records = vec![Record::Job(record(&job, now))];
        records.extend(merged::record(&job).map(Record::AuxJob));
        self.options.share_log.append(&records)?;
        (self.aux_news, self.last_job_at) = (false, Some(Instant::now()));
        self.epochs.begin(epoch);
        let job = Arc::new(LiveJob::new(job));
        let state = match self.jobs.borrow().as_ref() {
            Some(old) => old.with(job, LIVE_JOBS_MAX),
            None => WorkState::of(self.algorithm, job),
        };
        tracing::debug!(lane = %self.options.lane, job = %id, %epoch,
            height = state.current.job().height(), "made a job");
        self.show(state);
        Ok(())
    }

    fn show(&self, state: WorkState) {
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
