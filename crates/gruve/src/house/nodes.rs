//! The chains of lanes by the configuration, and clients of their nodes.

use super::error::StartError;
use super::ethash;
use crate::config::{Fault, LaneConfig, NetworkConfig, NodeConfig};
use gruve_chain::auxpow::{AuxGroup, AuxNode};
use gruve_chain::{
    ChainError, ChainParams, Family, GroupOptions, NetworkName, Node, NodeError, NodeGroup,
    RpcNode, params_for,
};
use gruve_units::Asset;
use std::sync::Arc;

/// A merge-mined chain of a lane.
#[derive(Clone)]
pub struct AuxParts {
    /// Its rules.
    pub params: ChainParams,
    /// Its nodes: to follow the chain, to pay.
    pub nodes: Arc<NodeGroup>,
    /// The same nodes: blocks to be proven, proofs.
    pub proofs: Arc<AuxGroup>,
}

/// The parameters of a lane's chain.
///
/// # Errors
/// When the coin has none.
pub fn chain_params(lane: &LaneConfig) -> Result<ChainParams, ChainError> {
    let known = params_for(lane.asset, network_name(lane.network))?;
    if known.family() == Family::Ethash {
        return Ok(ethash::described(known, lane));
    }
    params_of(lane.asset, lane.network, lane.maturity)
}

/// The parameters of a lane's merge-mined chains, in their order.
///
/// # Errors
/// When a coin has none.
pub fn aux_params(lane: &LaneConfig) -> Result<Vec<ChainParams>, ChainError> {
    lane.aux.iter().map(|aux| params_of(aux.asset, lane.network, aux.maturity)).collect()
}

pub(super) const fn network_name(network: NetworkConfig) -> NetworkName {
    match network {
        NetworkConfig::Mainnet => NetworkName::Mainnet,
        NetworkConfig::Testnet => NetworkName::Testnet,
        NetworkConfig::Regtest => NetworkName::Regtest,
        NetworkConfig::Dev => NetworkName::Dev,
    }
}

fn params_of(
    asset: Asset,
    network: NetworkConfig,
    maturity: Option<u64>,
) -> Result<ChainParams, ChainError> {
    let network = network_name(network);
    let mut params = params_for(asset, network)?;
    if params.family() == Family::Ethash {
        return Err(ChainError::NoSuchChain { asset, network });
    }
    if network == NetworkName::Dev {
        params.mweb = false;
        params.coinbase_maturity = maturity.unwrap_or(params.coinbase_maturity);
    }
    Ok(params)
}

pub(super) fn open_aux(lane: &LaneConfig) -> Result<Vec<AuxParts>, StartError> {
    let mut opened = Vec::new();
    for (aux, params) in lane.aux.iter().zip(aux_params(lane)?) {
        let mut nodes: Vec<(String, Arc<dyn Node>)> = Vec::new();
        let mut proofs: Vec<(String, Arc<dyn AuxNode>)> = Vec::new();
        for (_, node) in aux.nodes() {
            let (name, client) = (node_name(node), Arc::new(open_node(node, params)?));
            nodes.push((name.clone(), client.clone()));
            proofs.push((name, client));
        }
        let nodes = Arc::new(NodeGroup::start(params, nodes, GroupOptions::default()));
        opened.push(AuxParts { params, nodes, proofs: Arc::new(AuxGroup::new(proofs)) });
    }
    Ok(opened)
}

pub(super) fn node_name(node: &NodeConfig) -> String {
    node.url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

pub(super) fn open_nodes(
    lane: &LaneConfig,
    params: ChainParams,
) -> Result<Arc<NodeGroup>, StartError> {
    let mut nodes: Vec<(String, Arc<dyn Node>)> = Vec::new();
    for (_, node) in lane.nodes() {
        nodes.push((node_name(node), Arc::new(open_node(node, params)?)));
    }
    Ok(Arc::new(NodeGroup::start(params, nodes, GroupOptions::default())))
}

/// What is wrong with the addresses of a lane's nodes; `place` is the lane's own.
pub(super) fn faults(lane: &LaneConfig, place: &str) -> Result<Vec<Fault>, ChainError> {
    let params = chain_params(lane)?;
    let own = lane.nodes().map(|(key, node)| {
        let opened = match params.family() {
            Family::Ethash => ethash::open_node(node).map(drop),
            Family::Bitcoin => open_node(node, params).map(drop),
        };
        (format!("{place}.{key}.url"), opened)
    });
    let mut looked_at: Vec<_> = own.collect();
    for (i, (aux, params)) in lane.aux.iter().zip(aux_params(lane)?).enumerate() {
        let nodes = aux.nodes().map(|(key, node)| {
            (format!("{place}.aux[{i}].{key}.url"), open_node(node, params).map(drop))
        });
        looked_at.extend(nodes);
    }
    let fault = |(place, opened): (String, Result<(), NodeError>)| {
        Some(Fault { place, what: opened.err()?.to_string() })
    };
    Ok(looked_at.into_iter().filter_map(fault).collect())
}

fn open_node(node: &NodeConfig, params: ChainParams) -> Result<RpcNode, NodeError> {
    let client = match &node.cookie_file {
        None => RpcNode::new(&node.url, &node.user, &node.password, params)?,
        Some(path) => RpcNode::with_cookie(&node.url, path.clone(), params)?,
    };
    // What cannot be read was refused with the configuration.
    Ok(client.with_push(node.push().unwrap_or_default()))
}
