//! Found blocks: journalled, sent at once, sent again until the node has answered.
//!
//! Promises: a block that was found is in the log before the network sees it (so that a crash
//! cannot lose it), it is sent even if the log cannot take it, and its outcome is written once the
//! node gives one. Sending twice does no harm: nodes answer *duplicate*.

use crate::seldom::Seldom;
use async_trait::async_trait;
use gruve_chain::{Node, NodeError, SubmitOutcome, hash_to_text};
use gruve_sharelog::{AuxBlockRecord, BlockRecord, Record, ShareLog};
use gruve_units::{Asset, Blame, Blamed as _, Clock, LaneId};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// The first wait before a block is sent again; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Tries until the next start of the house: about an hour. By then the chain has moved on.
const TRIES_MAX: u32 = 360;

/// Blocks sent at once. There are more under way only where nearly every share is a block: on a chain for tests, or on a
/// development chain that has rested. A node closes connections that are too many, and then neither those blocks come
/// through nor anything else that it is asked.
const SENDING_MAX: usize = 8;

/// Blocks remembered: more than jobs that live can bring, on any chain that is not made for tests.
const RECENT_MAX: usize = 256;

/// Where a lane's blocks go.
#[async_trait]
pub(crate) trait Destination: Send + Sync {
    /// Sends what a [`BlockRecord`] holds.
    async fn submit(&self, block: &BlockRecord) -> Result<SubmitOutcome, NodeError>;
}

/// A node that takes whole blocks.
pub(crate) struct BlockNode(pub(crate) Arc<dyn Node>);

#[async_trait]
impl Destination for BlockNode {
    async fn submit(&self, block: &BlockRecord) -> Result<SubmitOutcome, NodeError> {
        self.0.submit_block(&block.block).await
    }
}

/// Sends blocks to one lane's node.
pub(crate) struct BlockSender {
    lane: LaneId,
    node: Arc<dyn Destination>,
    log: ShareLog,
    clock: Arc<dyn Clock>,
    /// The auxiliary chain's coin, where the blocks are such a chain's.
    aux: Option<Asset>,
    /// Rung when the node has taken a block: there is a new template.
    nudge: Arc<Notify>,
    found: AtomicU64,
    /// The last blocks that were found: the same solution again is not journalled again. An auxiliary block has its
    /// hash before its proof, so several shares may solve the same one; the first proof is as good as any.
    recent: Mutex<VecDeque<[u8; 32]>>,
    /// Blocks under way; they are few.
    under_way: Mutex<JoinSet<()>>,
    /// Who is sending.
    turns: Semaphore,
    /// A full disk meets every block: it is told once in a while.
    log_faults: Mutex<Seldom>,
}

impl BlockSender {
    pub(crate) fn new(
        lane: LaneId,
        node: Arc<dyn Destination>,
        log: ShareLog,
        clock: Arc<dyn Clock>,
        nudge: Arc<Notify>,
    ) -> BlockSender {
        BlockSender {
            lane,
            node,
            log,
            clock,
            aux: None,
            nudge,
            found: AtomicU64::new(0),
            recent: Mutex::default(),
            under_way: Mutex::default(),
            turns: Semaphore::new(SENDING_MAX),
            log_faults: Mutex::default(),
        }
    }

    /// The same for an auxiliary chain.
    pub(crate) fn for_aux(mut self, asset: Asset) -> BlockSender {
        self.aux = Some(asset);
        self
    }

    /// Blocks found in this life.
    pub(crate) fn count(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Whether this block was not among the last that were found.
    fn is_new(&self, block_hash: [u8; 32]) -> bool {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !recent.contains(&block_hash);
        if is_new {
            recent.truncate(RECENT_MAX - 1);
            recent.push_front(block_hash);
        }
        is_new
    }

    /// A block was found: writes it and sends it, once. Sessions that had to forget a job's shares
    /// cannot tell that its block was sent already.
    pub(crate) fn found(self: &Arc<Self>, block: BlockRecord) {
        if !self.is_new(block.block_hash) {
            return;
        }
        self.found.fetch_add(1, Ordering::Relaxed);
        tracing::info!(lane = %self.lane, height = block.height, aux = self.aux.map(Asset::code),
            hash = hash_to_text(&block.block_hash), "found a block");
        let record = match self.aux {
            None => Record::Block(block),
            Some(asset) => Record::AuxBlock(AuxBlockRecord { asset, found: block }),
        };
        if let Err(e) = self.log.append(std::slice::from_ref(&record))
            && let Some(times) = self.log_fault()
        {
            tracing::error!(lane = %self.lane, error = %e, times,
                "a found block could not be written; sending it all the same");
        }
        match record {
            Record::Block(block) | Record::AuxBlock(AuxBlockRecord { found: block, .. }) => {
                self.send(block);
            }
            _ => {}
        }
    }

    /// Sends what an earlier life found and got no answer for.
    pub(crate) fn resend(self: &Arc<Self>) -> Result<(), gruve_sharelog::LogError> {
        let blocks = match self.aux {
            None => self.log.unconfirmed_blocks()?,
            Some(asset) => {
                let all = self.log.unconfirmed_aux_blocks()?.into_iter();
                all.filter(|b| b.asset == asset).map(|b| b.found).collect()
            }
        };
        for block in blocks {
            self.is_new(block.block_hash);
            tracing::info!(lane = %self.lane, height = block.height,
                hash = hash_to_text(&block.block_hash), "sending a block again");
            self.send(block);
        }
        Ok(())
    }

    fn send(self: &Arc<Self>, block: BlockRecord) {
        let own = Arc::clone(self);
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move {
            if let Some(accepted) = own.until_answered(&block).await {
                if accepted {
                    own.nudge.notify_one();
                }
                own.write_outcome(block.block_hash, accepted).await;
            }
        });
    }

    /// Waits for the blocks under way, then lets go of those without an answer: the next start
    /// sends them again.
    pub(crate) async fn stop(&self, wait_max: Duration) {
        let mut under_way =
            std::mem::take(&mut *self.under_way.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(wait_max, all).await.is_err() {
            tracing::warn!(lane = %self.lane, "stopping with a block unanswered");
        }
        under_way.shutdown().await;
    }

    /// Whether the node took it; `None` when it could not be asked for an hour.
    async fn until_answered(&self, block: &BlockRecord) -> Option<bool> {
        let hash = hash_to_text(&block.block_hash);
        let mut wait = RETRY_FIRST;
        for _ in 0..TRIES_MAX {
            let turn = self.turns.acquire().await;
            let answer = self.node.submit(block).await;
            drop(turn);
            match answer {
                Ok(SubmitOutcome::Accepted | SubmitOutcome::Duplicate) => {
                    tracing::info!(lane = %self.lane, hash, "the node took the block");
                    return Some(true);
                }
                Ok(SubmitOutcome::Rejected(why)) => {
                    tracing::warn!(lane = %self.lane, hash, why, "the node rejected the block");
                    return Some(false);
                }
                Err(e) if e.blame() == Blame::Rejected => {
                    tracing::warn!(lane = %self.lane, hash, error = %e, "the node refused the block");
                    return Some(false);
                }
                Err(e) => {
                    tracing::error!(lane = %self.lane, hash, error = %e,
                        "the block could not be sent; trying again");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
        None
    }

    async fn write_outcome(&self, block_hash: [u8; 32], accepted: bool) {
        let mut wait = RETRY_FIRST;
        for _ in 0..TRIES_MAX {
            let at = self.clock.now();
            match self.log.append(&[Record::BlockOutcome { block_hash, accepted, at }]) {
                Ok(_) => return,
                // The next start sends it again and hears *duplicate*.
                Err(e) if e.blame() == Blame::Fatal => return,
                Err(e) => {
                    if let Some(times) = self.log_fault() {
                        tracing::error!(lane = %self.lane, error = %e, times,
                            "cannot write a block's outcome");
                    }
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    fn log_fault(&self) -> Option<u64> {
        self.log_faults.lock().unwrap_or_else(PoisonError::into_inner).due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_sharelog::{Extranonce, Options, Owner, ShareRecord};
    use gruve_units::{Class, EpochNumber, JobId, MachineId, SystemClock, Timestamp};

    fn share() -> ShareRecord {
        ShareRecord {
            job: JobId(7),
            epoch: EpochNumber(2),
            class: Class::new(20).unwrap(),
            owner: Owner::House,
            machine: MachineId::from_bytes([3; 16]),
            extranonce: Extranonce::new(&[1; 12]).unwrap(),
            ntime: 1_700_000_000,
            nonce: 5,
            version: 0x2000_0000,
            at: Timestamp(9),
        }
    }

    /// A node that answers when it is let, and counts who waits.
    struct Counting {
        waiting: Mutex<(usize, usize)>,
        let_in: Semaphore,
        came: Notify,
    }

    #[async_trait]
    impl Destination for Counting {
        async fn submit(&self, _: &BlockRecord) -> Result<SubmitOutcome, NodeError> {
            {
                let mut waiting = self.waiting.lock().unwrap();
                waiting.0 += 1;
                waiting.1 = waiting.1.max(waiting.0);
            }
            self.came.notify_one();
            self.let_in.acquire().await.unwrap().forget();
            self.waiting.lock().unwrap().0 -= 1;
            Ok(SubmitOutcome::Accepted)
        }
    }

    fn sender(node: Arc<dyn Destination>, log: &ShareLog) -> Arc<BlockSender> {
        let (lane, clock) = ("btc".parse().unwrap(), Arc::new(SystemClock));
        Arc::new(BlockSender::new(lane, node, log.clone(), clock, Arc::default()))
    }

    fn block(n: u32, bytes: usize) -> BlockRecord {
        let mut block_hash = [0; 32];
        block_hash[..4].copy_from_slice(&n.to_le_bytes());
        BlockRecord { share: share(), block_hash, height: 1, block: vec![7; bytes] }
    }

    /// A node that looks into the log when a block comes: how many came, and of how many the log knew nothing then.
    struct Looking {
        log: ShareLog,
        came: AtomicU64,
        unknown: AtomicU64,
    }

    #[async_trait]
    impl Destination for Looking {
        async fn submit(&self, block: &BlockRecord) -> Result<SubmitOutcome, NodeError> {
            let known = self.log.unconfirmed_blocks().unwrap();
            self.came.fetch_add(1, Ordering::Relaxed);
            if !known.iter().any(|b| b.block_hash == block.block_hash) {
                self.unknown.fetch_add(1, Ordering::Relaxed);
            }
            Ok(SubmitOutcome::Accepted)
        }
    }

    impl Looking {
        fn into(log: &ShareLog) -> Arc<Looking> {
            let (came, unknown) = (AtomicU64::new(0), AtomicU64::new(0));
            Arc::new(Looking { log: log.clone(), came, unknown })
        }
    }

    /// Written behind the sending, hundreds of blocks would not all be there in time: another thread sends.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_block_is_in_the_log_before_its_node_hears_of_it() {
        const ALL: u32 = 300;
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let node = Looking::into(&log);
        let sender = sender(node.clone(), &log);
        for n in 1..=ALL {
            sender.found(block(n, 20_000));
            // The other thread has it before the next is found.
            while node.came.load(Ordering::Relaxed) < u64::from(n) {
                tokio::task::yield_now().await;
            }
        }
        sender.stop(Duration::from_secs(30)).await;
        assert_eq!(node.unknown.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_block_that_the_log_cannot_take_is_sent_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let node = Looking::into(&log);
        let sender = sender(node.clone(), &log);
        let large = block(1, gruve_sharelog::MAX_FRAME_BYTES + 1);
        assert!(log.append(&[Record::Block(large.clone())]).is_err());
        sender.found(large);
        sender.stop(Duration::from_secs(30)).await;
        assert_eq!(node.came.load(Ordering::Relaxed), 1);
        assert_eq!(node.unknown.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_flood_of_blocks_is_sent_a_few_at_a_time_and_all_of_them() {
        const ALL: u32 = 40;
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let (waiting, came) = (Mutex::default(), Notify::new());
        let node = Arc::new(Counting { waiting, let_in: Semaphore::new(0), came });
        let sender = sender(node.clone(), &log);
        for n in 1..=ALL {
            sender.found(block(n, 1));
        }
        let first = async {
            while node.waiting.lock().unwrap().0 < SENDING_MAX {
                node.came.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), first).await.unwrap();
        node.let_in.add_permits(usize::try_from(ALL).unwrap());
        sender.stop(Duration::from_secs(30)).await;
        assert_eq!(*node.waiting.lock().unwrap(), (0, SENDING_MAX));
        assert_eq!(log.unconfirmed_blocks().unwrap(), []);
    }
}
