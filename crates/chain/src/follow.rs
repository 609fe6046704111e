//! Following a chain block by block, with its reorganisations.
//!
//! One follower a lane. It asks the node for the block after the last one its sink has, checks
//! that it stands on it, and hands it over; when the node's chain has another block where the
//! sink has one, it takes the sink back to the fork, newest block first, and goes on from there.
//!
//! Promises: the sink sees every block of the best chain exactly once and in order, between a
//! connect and its disconnect nothing else of that height; where it stands is the sink's own
//! knowledge ([`ChainSink::known`]), so a crash at any instant costs nothing; a node that is
//! merely behind (restarted, downloading) takes nothing back; a reorganisation deeper than the
//! limit takes nothing back either and halts: it is told by [`Follower::standing`], looked at again
//! now and then, and gone on with by itself once the node's chain is one that can be followed. Only a
//! sink that cannot store ends [`Follower::run`].
//!
//! What a chain's blocks are is [`Followable`]'s: a [`BlockChain`] reads bytes as Bitcoin and its
//! descendants have them, [`crate::eth::follow`] the blocks of account chains.
//!
//! What this module must not know: what the sink does with a block.

use crate::walk::parse_block;
use crate::{
    BlockRef, ChainParams, ChainStanding, LeanBlock, Node, NodeError, ParseError, hash_to_text,
};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed, Duration};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, watch};

/// How far under the tip a follower with an empty sink begins, so that the first blocks it sees
/// are not ones that may yet be replaced.
const START_MARGIN: u64 = 6;

/// How often a chain that cannot be followed is looked at again: a person mends it, or a node comes
/// back to the right chain.
pub const HALTED_LOOK: Duration = Duration::from_secs(15);

/// A block with its height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedBlock {
    /// Its height.
    pub height: u64,
    /// What it holds.
    pub block: LeanBlock,
}

impl FollowedBlock {
    /// Height and hash.
    #[must_use]
    pub const fn to_ref(&self) -> BlockRef {
        BlockRef { height: self.height, hash: self.block.hash }
    }
}

/// An error of a sink: whatever its room calls it, and whose it is.
#[derive(Debug)]
pub struct SinkError {
    blame: Blame,
    error: Box<dyn std::error::Error + Send + Sync>,
}

impl SinkError {
    /// Wraps a room's error.
    pub fn new<E: Blamed + Send + Sync + 'static>(error: E) -> Self {
        SinkError { blame: error.blame(), error: Box::new(error) }
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Blamed for SinkError {
    fn blame(&self) -> Blame {
        self.blame
    }
}

/// A chain that can be followed.
#[async_trait]
pub trait Followable: Send + Sync {
    /// A block as the sink gets it.
    type Block: Send + Sync;

    /// The chain's name, for the log.
    fn title(&self) -> String;

    /// The best block.
    async fn tip(&self) -> Result<BlockRef, NodeError>;

    /// The hash at a height of the best chain, internal byte order; `None` above its tip.
    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError>;

    /// The block of that height and hash, and the hash of the block before it.
    async fn block(&self, at: &BlockRef) -> Result<(Self::Block, [u8; 32]), FollowError>;
}

/// The chain of a node whose blocks are bytes.
pub struct BlockChain {
    /// Where blocks come from.
    pub node: Arc<dyn Node>,
    /// How they are read.
    pub params: ChainParams,
}

#[async_trait]
impl Followable for BlockChain {
    type Block = FollowedBlock;

    fn title(&self) -> String {
        self.params.title()
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.node.tip().await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.node.block_hash(height).await
    }

    async fn block(&self, at: &BlockRef) -> Result<(FollowedBlock, [u8; 32]), FollowError> {
        let BlockRef { height, hash } = *at;
        let bytes = self.node.block(&hash).await?;
        let bad = |problem| FollowError::BadBlock { height, hash: hash_to_text(&hash), problem };
        let block = parse_block(&bytes, &self.params).map_err(bad)?;
        if block.hash != hash {
            return Err(bad(ParseError::Shape("it is another block than was asked for")));
        }
        let prev = block.prev;
        Ok((FollowedBlock { height, block }, prev))
    }
}

/// Who is told of blocks. Each call's effects and the block itself are stored in one
/// transaction, so that [`ChainSink::known`] never disagrees with the effects.
#[async_trait]
pub trait ChainSink<B = FollowedBlock>: Send + Sync {
    /// The newest `limit` blocks connected and not disconnected, newest first, without gaps; fewer
    /// only when there are no more, so none at first start.
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError>;

    /// The next block of the best chain.
    async fn connect(&self, block: &B) -> Result<(), SinkError>;

    /// The newest known block has left the best chain.
    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError>;
}

/// Where a follower with an empty sink begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A few blocks under the present tip: nothing before concerns us.
    NearTip,
    /// At a height.
    Height(u64),
}

/// How a chain is followed.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Deepest reorganisation that is followed, in blocks.
    pub reorg_limit: usize,
    /// How often the node is asked when nothing else happens.
    pub poll: Duration,
    /// Where to begin with an empty sink.
    pub start: Start,
}

impl Options {
    /// The usual ones: as deep as coinbases mature (deeper would take back spent rewards), asked
    /// every two seconds.
    #[must_use]
    pub fn for_chain(params: &ChainParams) -> Self {
        Options {
            reorg_limit: usize::try_from(params.coinbase_maturity).unwrap_or(usize::MAX).max(6),
            poll: Duration::from_secs(2),
            start: Start::NearTip,
        }
    }
}

/// Why a chain cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The sink.
    #[error("a block could not be stored: {0}")]
    Sink(#[from] SinkError),
    /// The node gave something that is not the block asked for.
    #[error(
        "block {hash} at height {height} cannot be read ({problem}): check the node's disk and \
         version"
    )]
    BadBlock {
        /// Its height.
        height: u64,
        /// Its hash as text.
        hash: String,
        /// What is wrong with it.
        problem: ParseError,
    },
    /// The sink's blocks are not a chain.
    #[error("the stored blocks have a gap at height {0}: restore the database from a backup")]
    Gap(u64),
    /// The chain was replaced further back than is followed.
    #[error(
        "the node's chain differs from ours in {depth} blocks or more, down to height {height}, \
         and at most {limit} are taken back: make sure that the node is on the right chain; if \
         the chain really was replaced this deep, settle by hand and start with a higher \
         reorg_limit"
    )]
    ReorgTooDeep {
        /// How many blocks were compared.
        depth: usize,
        /// The oldest of them.
        height: u64,
        /// The limit.
        limit: usize,
    },
}

impl FollowError {
    /// Whether the chain or its node is at fault, not what the sink has: the house can go on without
    /// this chain.
    #[must_use]
    pub const fn is_of_the_chain(&self) -> bool {
        match self {
            FollowError::Node(_)
            | FollowError::BadBlock { .. }
            | FollowError::ReorgTooDeep { .. } => true,
            FollowError::Sink(_) | FollowError::Gap(_) => false,
        }
    }
}

impl Blamed for FollowError {
    fn blame(&self) -> Blame {
        match self {
            // A node that refuses the follower's own questions is a wrong node or a wrong house.
            FollowError::Node(e) => match e.blame() {
                Blame::Transient => Blame::Transient,
                Blame::Rejected | Blame::Fatal => Blame::Fatal,
            },
            FollowError::Sink(e) => match e.blame() {
                Blame::Transient => Blame::Transient,
                Blame::Rejected | Blame::Fatal => Blame::Fatal,
            },
            FollowError::BadBlock { .. }
            | FollowError::Gap(_)
            | FollowError::ReorgTooDeep { .. } => Blame::Fatal,
        }
    }
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The sink has one block more.
    Connected(BlockRef),
    /// The sink has one block less.
    Disconnected(BlockRef),
    /// Nothing to do: the sink has the node's tip.
    UpToDate(BlockRef),
    /// The node has less than the sink, of the same chain.
    NodeBehind {
        /// The node's height.
        node: u64,
        /// The sink's.
        ours: u64,
    },
    /// The node's chain does not reach the height to begin at.
    Waiting,
}

/// Follows one chain for one sink.
pub struct Follower<C: Followable = BlockChain> {
    chain: C,
    sink: Arc<dyn ChainSink<C::Block>>,
    options: Options,
    state: Mutex<State>,
    standing: watch::Sender<ChainStanding>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    /// What the sink has, oldest first; `None` when it must be asked.
    known: Option<VecDeque<BlockRef>>,
    /// Where to go on when everything known was taken back.
    resume_at: Option<u64>,
}

impl Follower {
    /// A follower; nothing happens before [`Follower::run`] or [`Follower::step`].
    #[must_use]
    pub fn new(
        node: Arc<dyn Node>,
        params: ChainParams,
        sink: Arc<dyn ChainSink>,
        options: Options,
    ) -> Arc<Self> {
        Follower::of(BlockChain { node, params }, sink, options)
    }
}

impl<C: Followable> Follower<C> {
    /// A follower of any chain.
    #[must_use]
    pub fn of(chain: C, sink: Arc<dyn ChainSink<C::Block>>, options: Options) -> Arc<Self> {
        let state = Mutex::new(State::default());
        let standing = watch::Sender::new(ChainStanding::Starting);
        Arc::new(Follower { chain, sink, options, state, standing, wake: Notify::new() })
    }

    /// How the following stands, and every change of it, while [`Follower::run`] runs.
    pub fn standing(&self) -> watch::Receiver<ChainStanding> {
        self.standing.subscribe()
    }

    /// Has the node asked at once (a block was found, a template changed). Never lost: a nudge
    /// during a step leads to another.
    pub fn nudge(&self) {
        self.wake.notify_one();
    }

    /// Follows until `shutdown` holds true or its sender is gone. Transient failures are logged
    /// and tried again at the next poll; a chain that cannot be followed is looked at again every
    /// [`HALTED_LOOK`].
    ///
    /// # Errors
    /// When the sink cannot store: what it has is not to be trusted.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
        loop {
            if *shutdown.borrow() {
                return Ok(());
            }
            // A step is never abandoned half-way: its sink's transaction ends first.
            let wait = match self.step().await {
                Ok(progress) => {
                    self.goes_on(progress);
                    if matches!(progress, Progress::Connected(_) | Progress::Disconnected(_)) {
                        continue;
                    }
                    self.options.poll
                }
                Err(e) if e.blame() == Blame::Transient => {
                    self.fails(&e);
                    self.options.poll
                }
                Err(e) if e.is_of_the_chain() => {
                    self.halts(&e);
                    self.options.poll.max(HALTED_LOOK)
                }
                Err(e) => {
                    self.halts(&e);
                    return Err(e);
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.wake.notified() => {}
                changed = shutdown.changed() => if changed.is_err() { return Ok(()); },
            }
        }
    }

    fn goes_on(&self, progress: Progress) {
        let at = match progress {
            Progress::Connected(at) | Progress::UpToDate(at) => Some(at),
            Progress::Disconnected(_) | Progress::Waiting => None,
            // A node that has less says nothing of what it does not have.
            Progress::NodeBehind { .. } if !self.standing.borrow().is_sound() => return,
            Progress::NodeBehind { .. } => self.standing.borrow().at(),
        };
        let before = self.standing.send_replace(ChainStanding::Following { at });
        if before.problem().is_some() {
            tracing::info!(chain = %self.chain.title(), "the chain is followed again");
        }
    }

    /// Told once when it begins, then quietly: a node may be away for hours.
    fn fails(&self, error: &FollowError) {
        let why = error.to_string();
        let is_halted = matches!(*self.standing.borrow(), ChainStanding::Halted { .. });
        // Where it never was found sound, or found unsound, a node that is away changes nothing.
        let is_known = self.standing.borrow().is_sound();
        if is_halted || !is_known {
            tracing::debug!(chain = %self.chain.title(), "still not followed: {why}");
            return;
        }
        let before = self.standing.send_replace(ChainStanding::Failing { why });
        if before.problem().is_none() {
            tracing::warn!(chain = %self.chain.title(), "cannot follow: {error}");
        } else {
            tracing::debug!(chain = %self.chain.title(), "still not followed: {error}");
        }
    }

    fn halts(&self, error: &FollowError) {
        let halted = ChainStanding::Halted { why: error.to_string() };
        let before = self.standing.send_replace(halted.clone());
        if before == halted {
            tracing::debug!(chain = %self.chain.title(), "still halted: {error}");
        } else {
            tracing::error!(chain = %self.chain.title(), "HALTED, nothing of this chain is settled: {error}");
        }
    }

    /// One step: at most one block connected or disconnected.
    ///
    /// # Errors
    /// When the node or the sink fails, or the chain cannot be followed. After any error the sink
    /// is asked anew where it stands.
    pub async fn step(&self) -> Result<Progress, FollowError> {
        let mut state = self.state.lock().await;
        let result = self.step_inner(&mut state).await;
        if result.is_err() {
            state.known = None;
        }
        result
    }

    async fn step_inner(&self, state: &mut State) -> Result<Progress, FollowError> {
        if state.known.is_none() {
            state.known = Some(self.load().await?);
        }
        let last = state.known.as_ref().and_then(|k| k.back().copied());
        let Some(last) = last else {
            let height = match state.resume_at {
                Some(height) => height,
                None => self.first_height().await?,
            };
            return match self.chain.block_hash(height).await? {
                Some(hash) => self.connect(state, height, hash, None).await,
                None => Ok(Progress::Waiting),
            };
        };
        let next_height = last.height + 1;
        match self.chain.block_hash(next_height).await? {
            Some(hash) => self.connect(state, next_height, hash, Some(last)).await,
            None => self.at_the_tip(state, last).await,
        }
    }

    async fn load(&self) -> Result<VecDeque<BlockRef>, FollowError> {
        let mut known: VecDeque<BlockRef> = self.sink.known(self.kept()).await?.into();
        known.truncate(self.kept());
        known.make_contiguous().reverse();
        let gap = known.iter().zip(known.iter().skip(1)).find(|(a, b)| a.height + 1 != b.height);
        match gap {
            Some((before, _)) => Err(FollowError::Gap(before.height + 1)),
            None => Ok(known),
        }
    }

    /// Blocks remembered: as many as may be taken back, and one more to stand on.
    fn kept(&self) -> usize {
        self.options.reorg_limit.saturating_add(1)
    }

    async fn first_height(&self) -> Result<u64, FollowError> {
        match self.options.start {
            Start::Height(height) => Ok(height),
            Start::NearTip => Ok(self.chain.tip().await?.height.saturating_sub(START_MARGIN)),
        }
    }

    async fn connect(
        &self,
        state: &mut State,
        height: u64,
        hash: [u8; 32],
        last: Option<BlockRef>,
    ) -> Result<Progress, FollowError> {
        let this = BlockRef { height, hash };
        let (block, prev) = self.chain.block(&this).await?;
        if let Some(last) = last
            && prev != last.hash
        {
            return self.take_back(state, last).await;
        }
        self.sink.connect(&block).await?;
        let known = state.known.get_or_insert_default();
        known.push_back(this);
        while known.len() > self.kept() {
            known.pop_front();
        }
        state.resume_at = None;
        Ok(Progress::Connected(this))
    }

    /// The node has nothing above our last block.
    async fn at_the_tip(&self, state: &mut State, last: BlockRef) -> Result<Progress, FollowError> {
        match self.chain.block_hash(last.height).await? {
            Some(hash) if hash == last.hash => Ok(Progress::UpToDate(last)),
            Some(_) => self.take_back(state, last).await,
            None => {
                let tip = self.chain.tip().await?;
                let known = state.known.get_or_insert_default();
                let ours = known.iter().find(|b| b.height == tip.height).map(|b| b.hash);
                let below_all = known.front().is_none_or(|oldest| tip.height < oldest.height);
                if below_all || ours == Some(tip.hash) {
                    // Restarted or downloading: it will come.
                    return Ok(Progress::NodeBehind { node: tip.height, ours: last.height });
                }
                self.take_back(state, last).await
            }
        }
    }

    /// Takes back the last block, once it is sure that the fork is within the limit.
    async fn take_back(&self, state: &mut State, last: BlockRef) -> Result<Progress, FollowError> {
        let known = state.known.get_or_insert_default();
        let mut depth = 0;
        let mut fork_found = false;
        for block in known.iter().rev() {
            if self.chain.block_hash(block.height).await? == Some(block.hash) {
                fork_found = true;
                break;
            }
            depth += 1;
        }
        if depth == 0 {
            // The chain moved between two questions and our last block is on it again.
            return Ok(Progress::UpToDate(last));
        }
        let limit = self.options.reorg_limit;
        let oldest = known.front().map_or(last.height, |b| b.height);
        // With fewer known than are kept, these are all blocks ever connected: their first may go.
        let all_known = known.len() < self.kept();
        if depth > limit || !(fork_found || all_known) {
            return Err(FollowError::ReorgTooDeep { depth, height: oldest, limit });
        }
        self.sink.disconnect(&last).await?;
        if known.len() == 1 {
            state.resume_at = Some(last.height);
        }
        // Asked anew, the sink gives an older block for the one gone, so that `all_known` holds.
        state.known = None;
        Ok(Progress::Disconnected(last))
    }
}
