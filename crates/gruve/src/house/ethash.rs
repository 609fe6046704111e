//! A lane of the Ethash family: its chain, its nodes, its work, its follower.
//!
//! What miners, share log and accountant see is the same as on any lane. Otherwise: the nodes make the
//! blocks and pay the address that they were started with, which must be the wallet's hot address; the
//! stamp stands in the blocks' `extraData`, where a node lets it be set, and the lane is *unproven* where not; rewards are
//! found by whom a block pays.

use super::eth_sink::EthSink;
use super::parts::Parts;
use super::{StartError, rules};
use crate::config::{LaneConfig, NodeConfig};
use gruve_chain::eth::reward::RewardRule;
use gruve_chain::eth::{
    AccountChain, EthAddress, EthExpected, EthFullNode, EthNodeGroup, EthRpcNode, EthRpcOptions,
    internal,
};
use gruve_chain::follow::Options as FollowOptions;
use gruve_chain::params::{AddressForm, SubsidyRule};
use gruve_chain::{ChainParams, Follower, GroupOptions, NetworkName, NodeError, hash_from_text};
use gruve_sharelog::ShareLog;
use gruve_stratum::eth::verify::{Caches, FullDataset};
use gruve_stratum::eth::{EpochForm, EthLane, EthLaneOptions};
use gruve_treasury::{AccountChainWallet, AccountKeys, Keychain, Seed, TreasuryError};
use gruve_units::{Algorithm, Duration};
use ruint::aliases::U256;
use std::sync::Arc;

/// How often a node is asked for work where the configuration does not say.
const POLL: Duration = Duration::from_millis(250);

/// What pages say of such a lane beside its network.
const UNPROVEN: &str = "unproven: its node makes the blocks, so the work carries no stamp";
/// The same where the stamp is put into its blocks.
const BY_EPOCH: &str = "stamped in its blocks' extraData where its node allows it; each epoch says whether it is proven";

/// The rules of the lane's chain: the table's, and what the configuration says of a chain of one's own.
/// The configuration's check has refused what cannot be.
pub(super) fn described(mut params: ChainParams, lane: &LaneConfig) -> ChainParams {
    let own = &lane.ethash;
    if let Some(chain_id) = own.chain_id {
        params.address = AddressForm::Account { chain_id };
    }
    match own.algorithm {
        Some(Algorithm::Ethash) => {
            (params.algorithm, params.etchash_from) = (Algorithm::Ethash, None);
        }
        Some(_) => {
            (params.algorithm, params.etchash_from) =
                (Algorithm::Etchash, Some(own.etchash_from.unwrap_or(0)));
        }
        None => {}
    }
    if let Ok(Some(first)) = own.reward_wei() {
        let rule = RewardRule { first: U256::from(first), era_blocks: own.era_blocks };
        params.subsidy_rule = SubsidyRule::Eras(rule);
    }
    params.coinbase_maturity = lane.maturity.unwrap_or(params.coinbase_maturity);
    params
}

/// The chain's name for pages.
pub(super) fn title(params: &ChainParams, lane: &LaneConfig) -> String {
    let name = lane.ethash.name.clone().unwrap_or_else(|| params.title());
    let said = if lane.ethash.stamp.unwrap_or(true) { BY_EPOCH } else { UNPROVEN };
    format!("{name} · {said}")
}

fn expected(params: &ChainParams, lane: &LaneConfig, pays: EthAddress) -> EthExpected {
    // A genesis block that several chains share says nothing that is wrong.
    let genesis = match params.genesis {
        [one] => Some((0, *one)),
        _ => None,
    };
    let known = genesis.into_iter().chain(params.landmark);
    let blocks = known.filter_map(|(height, text)| Some((height, internal(hash_from_text(text)?))));
    EthExpected {
        title: lane.ethash.name.clone().unwrap_or_else(|| params.title()),
        chain_id: params.chain_id().unwrap_or_default(),
        blocks: blocks.collect(),
        pays: Some(pays),
    }
}

/// A node's client; nothing is asked of it yet.
///
/// # Errors
/// When its address cannot be used.
pub(super) fn open_node(node: &NodeConfig) -> Result<EthRpcNode, NodeError> {
    let login = (node.user.as_str(), node.password.as_str());
    let login = (!node.user.is_empty()).then_some(login);
    let client = EthRpcNode::new(&node.url, login, EthRpcOptions::default())?;
    match &node.websocket {
        Some(websocket) => client.with_heads(websocket, login),
        None => Ok(client),
    }
}

/// The nodes of a lane and the wallet over them. Nothing is asked of them yet but how they stand.
///
/// # Errors
/// When an address of the configuration cannot be used.
pub(super) fn open(
    lane: &LaneConfig,
    params: &ChainParams,
    seed: &Seed,
) -> Result<(Arc<EthNodeGroup>, AccountChainWallet), StartError> {
    let real = params.network == NetworkName::Mainnet;
    let keys = AccountKeys::new(seed, lane.asset, real).map_err(TreasuryError::from)?;
    let hot = keys.address(Keychain::Capital, 0).map_err(TreasuryError::from)?;
    let mut nodes: Vec<(String, Arc<dyn EthFullNode>)> = Vec::new();
    for (_, node) in lane.nodes() {
        let name = node.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        nodes.push((name, Arc::new(open_node(node)?)));
    }
    let expected = expected(params, lane, hot);
    let chain_id = expected.chain_id;
    let group = Arc::new(EthNodeGroup::start(expected, nodes, GroupOptions::default()));
    let mut wallet = AccountChainWallet::new(lane.asset, chain_id, real, group.clone());
    wallet.confirmations = lane.confirmations.unwrap_or(params.confirmations);
    wallet.reorg_limit = params.coinbase_maturity.max(100);
    wallet.payouts.auto_approve_max = lane.auto_approve_minor;
    Ok((group, wallet))
}

/// The lane's work.
///
/// # Errors
/// When the share log cannot be read.
pub(super) fn work(
    config: &LaneConfig,
    params: &ChainParams,
    parts: &Parts,
    share_log: ShareLog,
) -> Result<EthLane, StartError> {
    let own = &config.ethash;
    let form = params.etchash_from.map_or(EpochForm::ETHASH, EpochForm::etchash_from);
    let mut dataset = own.dataset_bytes_max.map(FullDataset::within);
    if let (Some(full), Some(threads)) = (&mut dataset, own.dataset_threads) {
        full.threads = threads;
    }
    let options = EthLaneOptions {
        lane: config.id.clone(),
        node: parts.eth_nodes[&config.id].clone(),
        form,
        epoch_rule: rules::epoch_rule(config),
        poll: own.poll.map_or(POLL, |span| span.0),
        caches: dataset.map_or_else(Caches::default, Caches::with_dataset),
        clock: parts.clock.clone(),
        entropy: parts.entropy.clone(),
        share_log,
    };
    let lane = match own.stamp.unwrap_or(true) {
        true => EthLane::start_stamped(options, parts.stamps.clone()),
        false => EthLane::start(options),
    };
    lane.map_err(|e| StartError::Stratum(config.id.clone(), e))
}

/// The lane's follower.
///
/// # Errors
/// When the treasury has no such wallet.
pub(super) fn follower(
    config: &LaneConfig,
    params: &ChainParams,
    parts: &Parts,
) -> Result<Arc<Follower<AccountChain>>, StartError> {
    let node = parts.eth_nodes[&config.id].clone();
    let sink = EthSink {
        store: parts.store.clone(),
        treasury: parts.treasury.clone(),
        market: parts.market.clone(),
        lane: config.id.clone(),
        params: *params,
        miner: parts.treasury.hot_address(config.asset)?,
        rule: params.eras().unwrap_or(RewardRule { first: U256::ZERO, era_blocks: None }),
        node: node.clone(),
    };
    let title = config.ethash.name.clone().unwrap_or_else(|| params.title());
    let chain = AccountChain { node, title };
    Ok(Follower::of(chain, Arc::new(sink), FollowOptions::for_chain(params)))
}
