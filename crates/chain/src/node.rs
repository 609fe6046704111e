//! What the house asks of a node, and how a node can fail it.
//!
//! Every call may be repeated: a block or transaction that is already known is an outcome, not an
//! error. A time-out means *unknown*, never *failed*.

use crate::eth::{BadHeader, EthAddress};
use crate::{ChainParams, Template, TemplateError, TipNotice};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed, Duration};

/// A block by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Height; the genesis block has 0.
    pub height: u64,
    /// Hash, internal byte order.
    pub hash: [u8; 32],
}

/// What became of a block that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// Valid, and taken into the chain or onto a side branch.
    Accepted,
    /// The node had it already.
    Duplicate,
    /// Not valid (or not known to be): the node's reason, as `high-hash` or `bad-cb-amount`.
    Rejected(String),
}

/// What became of a transaction that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// In the node's memory pool now, and on its way to others.
    Accepted,
    /// It was in the memory pool or a block before.
    AlreadyKnown,
    /// The node refuses it: its reason.
    Rejected(String),
}

/// Where a node sees a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionPlace {
    /// Waiting in the memory pool.
    Mempool,
    /// In a block of the best chain.
    Block {
        /// Its hash, internal byte order.
        hash: [u8; 32],
    },
    /// Not in the memory pool, and not in a block as far as this node can say. A node without a
    /// transaction index cannot look into old blocks: whoever must know follows the chain.
    Unknown,
}

/// An unspent output, as a node has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCoin {
    /// Its transaction, in internal byte order.
    pub txid: [u8; 32],
    /// Which of its outputs.
    pub vout: u32,
    /// Minor units.
    pub value: i64,
    /// The height of its block.
    pub height: u64,
}

/// The unspent outputs of some scripts, all at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCoins {
    /// The best block when they were looked for.
    pub at: BlockRef,
    /// The outputs, in no order.
    pub coins: Vec<NodeCoin>,
}

/// An output in the best chain, whatever waits in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainCoin {
    /// It is there: minor units.
    Unspent(i64),
    /// It is spent, or never was.
    Gone,
    /// The node cannot say.
    Untold,
}

/// A fee rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeeRate {
    /// Minor units for a thousand virtual bytes.
    pub minor_per_kvb: i64,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainInfo {
    /// The network as the node names it (`main`, `regtest`, …).
    pub chain: String,
    /// Height of its best block.
    pub blocks: u64,
    /// Height of the best header it knows.
    pub headers: u64,
    /// Whether it is still downloading the chain.
    pub ibd: bool,
    /// Difficulty, for people.
    pub difficulty: f64,
    /// Connected peers.
    pub peers: u64,
}

/// A full node of one chain.
#[async_trait]
pub trait Node: Send + Sync {
    /// The chain it is asked for.
    fn params(&self) -> &ChainParams;

    /// What to mine. With a long-poll id, answers as soon as there is something else than the
    /// template with that id, or after a while with what there is.
    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError>;

    /// Makes sure that the node is of the configured chain; a node that cannot be another one says
    /// so by this default.
    async fn check_chain(&self) -> Result<(), NodeError> {
        Ok(())
    }

    /// Waits until the best block is another than `known`, and tells of it long before a
    /// template could be made. `None` where this is not to be had (the node does not know the
    /// call), or is of no use because no block can be built without a template: then a long poll
    /// tells as early.
    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        let _ = known;
        Ok(None)
    }

    /// Sends a block.
    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError>;

    /// The best block.
    async fn tip(&self) -> Result<BlockRef, NodeError>;

    /// The hash at a height of the best chain; `None` above its tip.
    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError>;

    /// A block's bytes.
    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError>;

    /// Sends a transaction.
    async fn send_transaction(&self, transaction: &[u8]) -> Result<SendOutcome, NodeError>;

    /// Where the node sees a transaction.
    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError>;

    /// Ids of all transactions in the memory pool, in no order; `None` where the node does not tell.
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        Ok(None)
    }

    /// The bytes of a transaction in the memory pool; `None` when it is there no more.
    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        let _ = txid;
        Ok(None)
    }

    /// Whether an output of the best chain is spent neither there nor by what the node has in its pool; `None`
    /// when it cannot say.
    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        let _ = (txid, vout);
        Ok(None)
    }

    /// How an output stands in the best chain itself.
    async fn chain_coin(&self, txid: &[u8; 32], vout: u32) -> Result<ChainCoin, NodeError> {
        let _ = (txid, vout);
        Ok(ChainCoin::Untold)
    }

    /// All unspent outputs of these scripts in the best chain; `None` where the node cannot look for them. It reads
    /// all outputs that there are: minutes on a large chain.
    async fn coins_of(&self, scripts: &[Vec<u8>]) -> Result<Option<NodeCoins>, NodeError> {
        let _ = scripts;
        Ok(None)
    }

    /// The fee rate at which a transaction should confirm within `blocks`; `None` when the node
    /// has seen too little to say.
    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError>;

    /// How the node stands.
    async fn info(&self) -> Result<ChainInfo, NodeError>;
}

/// How a node failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// The address in the configuration is not one this client speaks to.
    #[error("node address {url:?} cannot be used: {problem}")]
    Address {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No connection, or it broke.
    #[error("no answer from the node at {host}: {problem}; is it running, with server=1?")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The transport's words.
        problem: String,
    },
    /// No answer in time. What was asked may have been done.
    #[error("the node at {host} did not answer {method} within {after:?}")]
    TimedOut {
        /// Host and port.
        host: String,
        /// The call.
        method: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The node refuses user and password, or our address.
    #[error(
        "the node at {host} refuses us (HTTP {status}): check user and password, and the node's \
         rpcallowip"
    )]
    Unauthorised {
        /// Host and port.
        host: String,
        /// 401 or 403.
        status: u16,
    },
    /// An HTTP answer that carries no JSON-RPC.
    #[error("the node at {host} answered {method} with HTTP {status}: {text}")]
    Http {
        /// Host and port.
        host: String,
        /// The call.
        method: &'static str,
        /// Status code.
        status: u16,
        /// The first characters of the body.
        text: String,
    },
    /// An answer that is not what the call gives.
    #[error("the node's answer to {method} is malformed: {problem}")]
    Malformed {
        /// The call.
        method: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An answer larger than any good one.
    #[error("the node's answer to {method} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The call.
        method: &'static str,
        /// The bound.
        limit_bytes: usize,
    },
    /// Loading its chain (-28), without peers (-9) or still downloading (-10).
    #[error("the node is not ready: {0}")]
    NotReady(String),
    /// Any other JSON-RPC error.
    #[error("the node refuses {method}: {message} (code {code})")]
    Rpc {
        /// The call.
        method: &'static str,
        /// Bitcoin Core's `RPCErrorCode`.
        code: i64,
        /// Its words, shortened.
        message: String,
    },
    /// The node is of another chain.
    #[error("the node at {host} is of {found}; {want} is configured")]
    WrongChain {
        /// Host and port.
        host: String,
        /// Its network or genesis block.
        found: String,
        /// What it should be.
        want: String,
    },
    /// The node's blocks would pay others.
    #[error(
        "the node at {host} pays its blocks to {found}, the house's address is {want}: start the \
         node with that one (geth and core-geth: --miner.etherbase)"
    )]
    PaysElsewhere {
        /// Host and port.
        host: String,
        /// Whom they pay.
        found: EthAddress,
        /// Whom they should.
        want: EthAddress,
    },
    /// Its template cannot be mined.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A block of an account chain that cannot be read.
    #[error("the node at {host} answered {method} with a block that cannot be read: {problem}")]
    BadBlock {
        /// Host and port.
        host: String,
        /// The call.
        method: &'static str,
        /// What is wrong with it.
        problem: BadHeader,
    },
}

/// JSON-RPC and Bitcoin Core error codes that decide something here.
pub(crate) mod code {
    pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
    pub(crate) const MISC: i64 = -1;
    pub(crate) const INVALID_ADDRESS_OR_KEY: i64 = -5;
    pub(crate) const OUT_OF_MEMORY: i64 = -7;
    pub(crate) const INVALID_PARAMETER: i64 = -8;
    pub(crate) const CLIENT_NOT_CONNECTED: i64 = -9;
    pub(crate) const CLIENT_IN_INITIAL_DOWNLOAD: i64 = -10;
    pub(crate) const DATABASE: i64 = -20;
    pub(crate) const DESERIALIZATION: i64 = -22;
    pub(crate) const VERIFY_ERROR: i64 = -25;
    pub(crate) const VERIFY_REJECTED: i64 = -26;
    pub(crate) const VERIFY_ALREADY_IN_CHAIN: i64 = -27;
    pub(crate) const IN_WARMUP: i64 = -28;
}

impl Blamed for NodeError {
    fn blame(&self) -> Blame {
        match self {
            NodeError::Unreachable { .. }
            | NodeError::TimedOut { .. }
            | NodeError::Http { .. }
            | NodeError::Malformed { .. }
            | NodeError::TooLarge { .. }
            | NodeError::NotReady(_) => Blame::Transient,
            NodeError::Address { .. }
            | NodeError::Unauthorised { .. }
            | NodeError::WrongChain { .. } => Blame::Fatal,
            NodeError::Rpc { code, .. } => match *code {
                code::MISC | code::OUT_OF_MEMORY => Blame::Transient,
                code::METHOD_NOT_FOUND | code::DATABASE => Blame::Fatal,
                _ => Blame::Rejected,
            },
            NodeError::Template(e) => e.blame(),
            // An operator starts the node again with the right address.
            NodeError::PaysElsewhere { .. } | NodeError::BadBlock { .. } => Blame::Transient,
        }
    }
}
