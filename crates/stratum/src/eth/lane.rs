//! A lane's work: from the node to the sessions, seals to the log.
//!
//! | event | what happens |
//! |---|---|
//! | the node has another header (asked every `poll`, and when it tells of a block) | a work; miners leave the old one |
//! | an epoch border | the same header under a new number and epoch; miners notice nothing. A stamped header goes on under the epoch in its stamp until the node makes one with the next stamp, half an epoch at the most |
//! | border and grace | the log is sealed: no share of the past epoch enters any more |
//! | an epoch of the algorithm ends soon | its successor's cache is made |
//! | start | solutions without an answer are sent again; what was counted before is read from the log |
//!
//! Promises: a work's record is in the log before any miner sees it; numbers never come again, not
//! in a later life either; a header hash that was given before is not given again, or with all that
//! was counted of it; no work is of a sealed epoch, even if the clock goes back.
//!
//! As on other lanes ([`crate::LaneWork`]) nothing is given and nothing sealed before the clock was
//! held against the node's, where the node says its time.

use super::form::EpochForm;
use super::past::Past;
use super::solutions::SolutionNode;
use super::stamped::{Stamped, Stamper};
use super::verify::Caches;
use super::work::{EthState, EthWork};
use crate::blocks::BlockSender;
use crate::epochs::Epochs;
use crate::error::StratumError;
use crate::limits::ETH_WORKS_MAX;
use crate::machines::Stamps;
use crate::outage::Outage;
use crate::protocol::{Lane, Work};
use crate::seldom::Seldom;
use gruve_chain::{EthNode, NodeError, NodeWork};
use gruve_pow::ethash::EthashEpoch;
use gruve_sharelog::{BlockRecord, Record, ShareLog};
use gruve_units::{
    Algorithm, Blame, Blamed as _, Clock, Duration, Entropy, EpochNumber, EpochRule, LaneId,
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a stop waits for solutions under way.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The first and the longest wait after a node's failure; it doubles.
const BACK_OFF_FIRST: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// When the node is asked again after it told of a new block: it needs a moment to make work on it.
const AFTER_NEWS: [Duration; 5] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
];

/// How often it is asked because of what it tells, at most: blocks are seconds apart, and a node that
/// tells without end is to be asked no more than it would be by polling.
const BETWEEN_NEWS: Duration = Duration::from_millis(250);

/// A clock further ahead of the node's than this is wrong, or the node's is.
const AHEAD_OF_NODE_MAX: Duration = Duration::from_secs(2 * 3_600);

/// What a lane of the Ethash family needs.
pub struct EthLaneOptions {
    /// The lane's name.
    pub lane: LaneId,
    /// Where work comes from and solutions go. It makes the blocks and pays the address it was
    /// started with.
    pub node: Arc<dyn EthNode>,
    /// How the chain cuts its blocks into the algorithm's epochs.
    pub form: EpochForm,
    /// How time is cut.
    pub epoch_rule: EpochRule,
    /// How often the node is asked for work; 250 ms is usual.
    pub poll: Duration,
    /// What shares are hashed with. Lanes of one chain may share it.
    pub caches: Caches,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where works, shares, solutions and seals are written.
    pub share_log: ShareLog,
}

/// A lane's running work. Cloning is cheap; when the last clone is dropped it stops.
#[derive(Clone)]
pub struct EthLane {
    inner: Arc<Inner>,
}

struct Inner {
    lane: LaneId,
    algorithm: Algorithm,
    jobs: watch::Receiver<Option<Work>>,
    blocks: Arc<BlockSender>,
    log: ShareLog,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
    }
}

impl EthLane {
    /// Reads what earlier lives have left, sends unanswered solutions again and begins to ask for
    /// work. Call it within the runtime.
    ///
    /// # Errors
    /// [`StratumError::Log`] when the log cannot be read.
    pub fn start(options: EthLaneOptions) -> Result<EthLane, StratumError> {
        EthLane::start_with(options, None)
    }

    /// The same, with the stamps that its node is to put into its blocks' `extraData`.
    ///
    /// # Errors
    /// As [`EthLane::start`].
    pub fn start_stamped(
        options: EthLaneOptions,
        stamps: Arc<dyn Stamps>,
    ) -> Result<EthLane, StratumError> {
        EthLane::start_with(options, Some(stamps))
    }

    fn start_with(
        options: EthLaneOptions,
        stamps: Option<Arc<dyn Stamps>>,
    ) -> Result<EthLane, StratumError> {
        let (jobs_in, jobs) = watch::channel(None);
        let nudge = Arc::new(Notify::new());
        let log = options.share_log.clone();
        let blocks = Arc::new(BlockSender::new(
            options.lane.clone(),
            Arc::new(SolutionNode(Arc::clone(&options.node))),
            log.clone(),
            Arc::clone(&options.clock),
            Arc::clone(&nudge),
        ));
        let (lane, algorithm) = (options.lane.clone(), options.form.algorithm());
        let (node, poll) = (Arc::clone(&options.node), options.poll);
        let past = Past::read(&log)?;
        let maker = Maker {
            epochs: Epochs::new(
                options.epoch_rule,
                Arc::clone(&options.clock),
                Arc::clone(&options.entropy),
                log.clone(),
                past.first_epoch,
            ),
            past,
            options,
            jobs: jobs_in,
            state: None,
            last_epoch: None,
            faults: Seldom::default(),
            seal_faults: Seldom::default(),
        };
        blocks.resend()?;
        let (works_in, works) = mpsc::channel(1);
        let (rule, clock) = (maker.options.epoch_rule, Arc::clone(&maker.options.clock));
        let stamper = stamps.map(|stamps| {
            let (node, clock) = (Arc::clone(&node), Arc::clone(&clock));
            Stamper::new(lane.clone(), node, stamps, rule, clock)
        });
        let source = Source { lane: lane.clone(), node, clock, stamper };
        let tasks =
            vec![tokio::spawn(source.run(poll, nudge, works_in)), tokio::spawn(maker.run(works))];
        let tasks = Mutex::new(tasks);
        Ok(EthLane { inner: Arc::new(Inner { lane, algorithm, jobs, blocks, log, tasks }) })
    }

    /// Solutions found since the start.
    #[must_use]
    pub fn blocks_found(&self) -> u64 {
        self.inner.blocks.count()
    }

    /// Stops, waits (five seconds at most) for solutions under way, and lets go of the log. Stop the
    /// gateway first.
    pub async fn stop(&self) {
        let tasks =
            std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            // Aborted or done, it is over.
            let _ = task.await;
        }
        self.inner.blocks.stop(STOP_MAX).await;
    }
}

impl Lane for EthLane {
    fn id(&self) -> &LaneId {
        &self.inner.lane
    }

    fn algorithm(&self) -> Algorithm {
        self.inner.algorithm
    }

    fn jobs(&self) -> watch::Receiver<Option<Work>> {
        self.inner.jobs.clone()
    }

    fn share_log(&self) -> &ShareLog {
        &self.inner.log
    }

    fn found(&self, block: BlockRecord) {
        self.inner.blocks.found(block);
    }
}

/// Asks the node.
struct Source {
    lane: LaneId,
    node: Arc<dyn EthNode>,
    clock: Arc<dyn Clock>,
    stamper: Option<Stamper>,
}

/// A work, with its header where that is stamped.
type Given = (NodeWork, Option<Stamped>);

impl Source {
    /// Hands on every work whose header differs from the last.
    async fn run(mut self, poll: Duration, nudge: Arc<Notify>, out: mpsc::Sender<Given>) {
        let mut last = None;
        let mut back_off = BACK_OFF_FIRST;
        let mut outage = Outage::default();
        let mut is_clock_checked = false;
        let (mut news_from, mut soon) = (Instant::now(), AFTER_NEWS[..0].iter());
        loop {
            let asked = async {
                if !is_clock_checked {
                    is_clock_checked = self.clock_agrees().await?;
                }
                if !is_clock_checked {
                    return Ok(None);
                }
                if let Some(stamper) = &mut self.stamper {
                    stamper.set().await;
                }
                self.node.get_work().await.map(Some)
            };
            let wait = match asked.await {
                Ok(work) => {
                    back_off = BACK_OFF_FIRST;
                    if outage.worked(Instant::now()) {
                        tracing::info!(lane = %self.lane, "the node gives work again");
                    }
                    if let Some(work) = work.filter(|w| last != Some(*w)) {
                        last = Some(work);
                        soon = AFTER_NEWS[..0].iter();
                        let stamped = match &mut self.stamper {
                            Some(stamper) => stamper.find(&work).await,
                            None => None,
                        };
                        if out.send((work, stamped)).await.is_err() {
                            return;
                        }
                    }
                    soon.next().map_or(poll, |soon| poll.min(*soon))
                }
                Err(error) => {
                    if outage.failed(&error.to_string(), Instant::now()) {
                        self.tell(&error);
                    }
                    let wait = back_off;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // The node has taken a solution: there is other work.
                () = nudge.notified() => {}
                () = self.news(news_from) => {
                    news_from = Instant::now() + BETWEEN_NEWS;
                    soon = AFTER_NEWS.iter();
                }
            }
        }
    }

    /// Waits until the node tells of a new block, and in any case until `from`.
    async fn news(&self, from: Instant) {
        tokio::time::sleep_until(from).await;
        self.node.news().await;
    }

    fn tell(&self, error: &NodeError) {
        match error.blame() {
            Blame::Transient => tracing::warn!(lane = %self.lane, %error, "no work"),
            Blame::Rejected | Blame::Fatal => {
                tracing::error!(lane = %self.lane, %error, "no work: the node needs attention");
            }
        }
    }

    /// Whether our clock is not too far ahead of the node's.
    async fn clock_agrees(&self) -> Result<bool, NodeError> {
        let Some(node) = self.node.pending_time().await? else { return Ok(true) };
        let agrees = self.clock.now().since(node) <= AHEAD_OF_NODE_MAX;
        if !agrees {
            return Err(NodeError::NotReady(
                "this machine's clock is more than two hours ahead of the node's: set the one that \
                 is wrong and start again"
                    .to_owned(),
            ));
        }
        Ok(agrees)
    }
}

/// Makes the works.
struct Maker {
    options: EthLaneOptions,
    jobs: watch::Sender<Option<Work>>,
    state: Option<Arc<EthState>>,
    past: Past,
    epochs: Epochs,
    /// The last work's epoch of the algorithm, and its seed.
    last_epoch: Option<(EthashEpoch, [u8; 32])>,
    faults: Seldom,
    seal_faults: Seldom,
}

impl Maker {
    async fn run(mut self, mut works: mpsc::Receiver<Given>) {
        // What could not be published, to be tried again.
        let mut owed: Option<Given> = None;
        loop {
            tokio::select! {
                work = works.recv() => match work {
                    Some(work) => owed = Some(work),
                    None => return,
                },
                () = tokio::time::sleep(self.epochs.until_next()) => {}
            }
            if let Err(e) = self.seal_due()
                && let Some(times) = self.seal_faults.due()
            {
                tracing::error!(lane = %self.options.lane, error = %e, times, "cannot seal the epoch");
            }
            let made = match &owed {
                Some((work, stamped)) => self.take(work, stamped.as_ref()).map(|()| owed = None),
                None if self.epoch_is_over() => self.restate(),
                None => Ok(()),
            };
            if let Err(e) = made
                && let Some(times) = self.faults.due()
            {
                tracing::error!(lane = %self.options.lane, error = %e, times, "cannot give work");
            }
        }
    }

    /// Another work of the node's.
    fn take(&mut self, node: &NodeWork, stamped: Option<&Stamped>) -> Result<(), StratumError> {
        if self.state.as_ref().is_some_and(|s| s.current.header_hash == node.header_hash) {
            return Ok(());
        }
        let counted_before = self.past.has_counted(&node.header_hash);
        if !counted_before && self.past.headers.has(&node.header_hash) {
            // What was counted of it may be forgotten, so it is not worked on again.
            let header = hex::encode(node.header_hash);
            tracing::warn!(lane = %self.options.lane, header, "the node gave work that it had given before");
            return Ok(());
        }
        let epoch = self.options.form.epoch_of(node, &mut self.last_epoch)?;
        let pow = self.options.caches.of(epoch).ok_or(StratumError::Options(
            "the node's work jumps between more of the algorithm's epochs than caches are held for",
        ))?;
        let now = self.options.clock.now();
        let id = self.epochs.next_id(now);
        // The record knows one form of the algorithm's epochs for a lane.
        let is_provable = epoch.algorithm() == self.options.form.algorithm();
        let stamped = stamped.filter(|s| is_provable && !self.is_worn(s.epoch));
        let mut work = match stamped {
            Some(own) => EthWork::new(id, own.epoch, node, now, pow).with_stamp(own.clone()),
            None => EthWork::new(id, self.epochs.at(now), node, now, pow),
        };
        if counted_before {
            work = work.claimed_before(self.past.claims_of(&node.header_hash));
        }
        if let Some(height) = node.height {
            self.options.caches.look_ahead(epoch, height);
        }
        self.options.caches.work_on(work.pow());
        self.publish(work)?;
        self.past.forget(&node.header_hash);
        Ok(())
    }

    /// The same header in a new epoch.
    fn restate(&mut self) -> Result<(), StratumError> {
        let Some(state) = self.state.clone() else { return Ok(()) };
        let now = self.options.clock.now();
        let (id, epoch) = (self.epochs.next_id(now), self.epochs.at(now));
        self.publish(state.current.restated(id, epoch, now))
    }

    fn publish(&mut self, work: EthWork) -> Result<(), StratumError> {
        // The header first: whoever wants the work's own record has it last.
        let header = work.job_record().map(Record::Job);
        let records: Vec<Record> =
            header.into_iter().chain([Record::EthWork(work.record())]).collect();
        self.options.share_log.append(&records)?;
        self.epochs.begin(work.epoch);
        self.past.headers.note(work.header_hash);
        tracing::debug!(lane = %self.options.lane, work = %work.id, epoch = %work.epoch,
            height = work.height, "gave work");
        let work = Arc::new(work);
        let state = match &self.state {
            Some(old) => old.with(work, ETH_WORKS_MAX),
            None => EthState::of(work),
        };
        let state = Arc::new(state);
        self.state = Some(Arc::clone(&state));
        self.jobs.send_replace(Some(Work::Ethash(state)));
        Ok(())
    }

    fn epoch_is_over(&self) -> bool {
        self.state.as_ref().is_some_and(|s| {
            let own = &s.current;
            self.epochs.is_over(own.epoch) && (!own.is_stamped() || self.is_worn(own.epoch))
        })
    }

    /// Whether a header with this epoch's stamp is none to begin with any more. Nodes take the next words with their next
    /// block, which may take a while; until then the work is the stamp's epoch's, and comes late. Not for long: what
    /// comes too late counts nowhere.
    fn is_worn(&self, epoch: EpochNumber) -> bool {
        let rule = self.options.epoch_rule;
        let half = Duration::from_micros(rule.length_us / 2);
        self.options.clock.now().since(rule.end(epoch)) >= half
    }

    /// Seals what is due; nothing before the first work of this life: until then the clock was not held
    /// against the node's.
    fn seal_due(&self) -> Result<(), StratumError> {
        if self.state.is_none() { Ok(()) } else { self.epochs.seal_due() }
    }
}
