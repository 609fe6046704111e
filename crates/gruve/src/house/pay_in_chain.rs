//! Chains with accounts that no lane mines: followed for what comes to the house's addresses, paid on as any other.
//!
//! They go beside the lanes under names of their own (`pay-in-eth`), in metrics and health. Their nodes make blocks for
//! others: nothing of a block is the house's but what its transactions move.

use super::StartError;
use super::error::HouseError;
use super::eth_sink::receipts_of;
use super::ethash::open_node;
use super::following::{self, Held};
use super::lane::Checking;
use super::nodes::{network_name, node_name};
use super::parts::Parts;
use crate::config::{Fault, NetworkConfig, NodeConfig, PayInChainConfig};
use async_trait::async_trait;
use gruve_chain::eth::{
    AccountChain, AccountNode, EthExpected, EthFullNode, EthNodeGroup, FollowedEthBlock, internal,
};
use gruve_chain::follow::{Options, SinkError, Start};
use gruve_chain::{
    BlockRef, ChainError, ChainSink, ChainStanding, Follower, GroupOptions, hash_from_text,
    params_for,
};
use gruve_store::{Store, transact};
use gruve_treasury::{AccountBlock, AccountChainWallet, Treasury};
use gruve_units::{Asset, Duration, LaneId};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Blocks that a pay-in needs on Ethereum's networks: two epochs of thirty-two, after which a block is final.
const FINAL_AFTER: u64 = 64;

/// On a chain of one's own.
const OWN_CONFIRMATIONS: u64 = 2;

/// How many blocks can be taken back: twice what is final, and twenty-five minutes. On Classic as many as its table says.
const REORG_LIMIT: u64 = 128;

/// How often the node is asked for a new block.
const POLL: Duration = Duration::from_secs(2);

/// First blocks of Ethereum's networks: the main one, which Classic shares, and Sepolia.
const FIRST: &str = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3";
const FIRST_OF_SEPOLIA: &str = "25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9";

/// A chain that is taken and paid on, and mined nowhere.
#[derive(Clone)]
pub struct PayInParts {
    /// What it goes by beside the lanes.
    pub name: LaneId,
    /// Its coin.
    pub asset: Asset,
    /// Its nodes.
    pub nodes: Arc<EthNodeGroup>,
    title: String,
    reorg_limit: u64,
}

/// What is known of a chain.
struct Known {
    confirmations: u64,
    reorg_limit: u64,
    /// Blocks that tell it from others, by height, as they are written.
    blocks: Vec<(&'static str, u64)>,
}

fn known(set: &PayInChainConfig) -> Result<Known, ChainError> {
    let network = network_name(set.network);
    if set.asset == Asset::Etc {
        let params = params_for(set.asset, network)?;
        let first = params.genesis.iter().map(|first| (*first, 0));
        return Ok(Known {
            confirmations: params.confirmations,
            reorg_limit: params.coinbase_maturity.max(REORG_LIMIT),
            blocks: first.chain(params.landmark.map(|(at, block)| (block, at))).collect(),
        });
    }
    // That another chain has the same first block, its number says.
    let (confirmations, first) = match set.network {
        NetworkConfig::Mainnet => (FINAL_AFTER, Some(FIRST)),
        NetworkConfig::Testnet => (FINAL_AFTER, Some(FIRST_OF_SEPOLIA)),
        NetworkConfig::Regtest | NetworkConfig::Dev => (OWN_CONFIRMATIONS, None),
    };
    let blocks = first.into_iter().map(|first| (first, 0)).collect();
    Ok(Known { confirmations, reorg_limit: REORG_LIMIT, blocks })
}

/// The nodes of a chain and the wallet over them. Nothing is asked of them yet but how they stand.
///
/// # Errors
/// When an address of the configuration cannot be used.
pub(super) fn open(set: &PayInChainConfig) -> Result<(PayInParts, AccountChainWallet), StartError> {
    let (asset, network) = (set.asset, network_name(set.network));
    let name = set.name().ok_or(ChainError::NoSuchChain { asset, network })?;
    let known = known(set)?;
    let mut nodes: Vec<(String, Arc<dyn EthFullNode>)> = Vec::new();
    for (_, node) in set.nodes() {
        nodes.push((node_name(node), Arc::new(open_node(node)?)));
    }
    let title = format!("{} {network}", asset.name());
    let as_written = |(text, at): &(&str, u64)| Some((*at, internal(hash_from_text(text)?)));
    let expected = EthExpected {
        title: title.clone(),
        chain_id: set.number(),
        blocks: known.blocks.iter().filter_map(as_written).collect(),
        pays: None,
    };
    let nodes = Arc::new(EthNodeGroup::start(expected, nodes, GroupOptions::default()));
    let real = set.network == NetworkConfig::Mainnet;
    let mut wallet = AccountChainWallet::new(asset, set.number(), real, nodes.clone());
    wallet.confirmations = set.confirmations.unwrap_or(known.confirmations);
    wallet.reorg_limit = known.reorg_limit;
    wallet.payouts.auto_approve_max = set.auto_approve_minor;
    let parts = PayInParts { name, asset, nodes, title, reorg_limit: known.reorg_limit };
    Ok((parts, wallet))
}

/// What is wrong with the addresses of the nodes; `place` is the chain's.
pub(super) fn faults(set: &PayInChainConfig, place: &str) -> Vec<Fault> {
    let bad = |(key, node): (String, &NodeConfig)| {
        let what = open_node(node).err()?.to_string();
        Some(Fault { place: format!("{place}.{key}.url"), what })
    };
    set.nodes().filter_map(bad).collect()
}

/// Follows a chain in `tasks`, once its node was found to be of it; they end when `stopped` turns true.
pub(super) fn start(
    chain: &PayInParts,
    parts: &Parts,
    tasks: &mut JoinSet<Result<(), String>>,
    stopped: &watch::Receiver<bool>,
) -> watch::Receiver<ChainStanding> {
    let sink = CoinSink {
        store: parts.store.clone(),
        treasury: parts.treasury.clone(),
        asset: chain.asset,
        node: chain.nodes.clone(),
    };
    let options = Options {
        reorg_limit: usize::try_from(chain.reorg_limit).unwrap_or(usize::MAX),
        poll: POLL,
        start: Start::NearTip,
    };
    let followed = AccountChain { node: chain.nodes.clone(), title: chain.title.clone() };
    let follower = Follower::of(followed, Arc::new(sink), options);
    let node = chain.nodes.clone();
    let check = move || -> Checking {
        let node = node.clone();
        Box::pin(async move { node.check_chain().await })
    };
    let held = Held {
        lane: chain.name.clone(),
        asset: chain.asset,
        market: parts.market.clone(),
        treasury: parts.treasury.clone(),
    };
    following::start(held, check, follower, tasks, stopped)
}

/// What a block of such a chain means to the house: coins that come and go.
struct CoinSink {
    store: Store,
    treasury: Treasury,
    asset: Asset,
    node: Arc<dyn AccountNode>,
}

impl CoinSink {
    /// Receipts are asked for of those transactions alone that concern us: a block of Ethereum's has hundreds.
    async fn connected(&self, at: &FollowedEthBlock) -> Result<(), HouseError> {
        let wanted = {
            let mut tx = self.store.read().await?;
            self.treasury.receipts_wanted(&mut tx, self.asset, &at.block).await?
        };
        let receipts = receipts_of(self.node.as_ref(), &wanted, &at.block).await?;
        let block = AccountBlock { block: &at.block, receipts: &receipts, earned: &[] };
        transact!(self.store, tx -> Result<(), HouseError> => {
            self.treasury.connect_account_block(tx, self.asset, &block).await?;
            Ok(())
        })
    }

    async fn disconnected(&self, at: &BlockRef) -> Result<(), HouseError> {
        transact!(self.store, tx -> Result<(), HouseError> => {
            self.treasury.disconnect_block(tx, self.asset, at).await?;
            Ok(())
        })
    }
}

#[async_trait]
impl ChainSink<FollowedEthBlock> for CoinSink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut tx = self.store.read().await.map_err(SinkError::new)?;
        self.treasury.known_blocks(&mut tx, self.asset, limit).await.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedEthBlock) -> Result<(), SinkError> {
        self.connected(block).await.map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        self.disconnected(block).await.map_err(SinkError::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    fn set(asset: &str, keys: &str) -> PayInChainConfig {
        let node = "[pay_in_chain.node]\nurl = \"http://127.0.0.1:1\"\n";
        let text = format!("{SAMPLE}\n[[pay_in_chain]]\nasset = \"{asset}\"\n{keys}\n{node}");
        Config::parse(&text, Path::new("/base")).unwrap().pay_in_chains.remove(0)
    }

    #[test]
    fn a_chain_is_known_by_its_first_blocks_and_counted_on_when_others_count_on_it() {
        let of = |asset, keys| {
            let known = known(&set(asset, keys)).unwrap();
            (known.confirmations, known.reorg_limit, known.blocks)
        };
        // Two epochs of 32 slots are final; the first blocks are geth's `MainnetGenesisHash` and `SepoliaGenesisHash`.
        assert_eq!(of("ETH", ""), (64, 128, vec![(FIRST, 0)]));
        assert_eq!(of("ETH", "network = \"testnet\""), (64, 128, vec![(FIRST_OF_SEPOLIA, 0)]));
        let own = "network = \"regtest\"\nchain_id = 4242";
        assert_eq!(of("ETH", own), (2, 128, Vec::new()));

        let classic = params_for(Asset::Etc, network_name(NetworkConfig::Mainnet)).unwrap();
        let (confirmations, reorg_limit, blocks) = of("ETC", "");
        assert_eq!(confirmations, classic.confirmations);
        assert_eq!(reorg_limit, classic.coinbase_maturity, "it has been reorganised by thousands");
        let (at, parted) = classic.landmark.unwrap();
        assert_eq!(blocks, [(FIRST, 0), (parted, at)], "the first block is Ethereum's, too");
    }

    #[tokio::test]
    async fn the_wallet_of_such_a_chain_goes_by_its_number_and_by_what_is_configured() {
        let (parts, wallet) = open(&set("ETH", "")).unwrap();
        assert_eq!((wallet.confirmations, wallet.reorg_limit, wallet.chain_id), (64, 128, 1));
        assert_eq!((parts.asset, parts.reorg_limit), (Asset::Eth, 128));
        let keys = "confirmations = 7\nauto_approve_minor = 5";
        let (_, wallet) = open(&set("ETH", keys)).unwrap();
        assert_eq!((wallet.confirmations, wallet.payouts.auto_approve_max), (7, 5));
    }
}
