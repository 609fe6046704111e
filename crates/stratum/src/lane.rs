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
//! two hours behind it, nothing is sealed and no job is made.

mod maker;

use crate::blocks::{BlockNode, BlockSender};
use crate::error::StratumError;
use crate::kept_jobs;
use crate::machines::Stamps;
use crate::merged::{self, AuxChain, ProofNodes};
use crate::protocol::{Lane, Work};
use crate::templates;
use crate::work::WorkState;
use gruve_chain::Node;
use gruve_sharelog::{AuxBlockRecord, BlockRecord, ShareLog};
use gruve_units::{Algorithm, Asset, Clock, Duration, Entropy, EpochRule, LaneId};
use maker::Maker;
use std::sync::{Arc, Mutex, PoisonError};
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
