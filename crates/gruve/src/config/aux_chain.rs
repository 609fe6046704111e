//! `[[lane.aux]]`: chains that are merge-mined with a lane's own.

use super::{
    Fault, LaneConfig, NetworkConfig, NodeConfig, default_auto_approve, named_nodes, node_faults,
};
use crate::config::lane::DEV_MATURITY_MAX;
use gruve_chain::{NetworkName, params_for};
use gruve_stratum::TAG_BYTES_MERGED_MAX;
use gruve_units::Asset;
use serde::Deserialize;

/// One chain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxConfig {
    /// Its coin.
    pub asset: Asset,
    /// Its node, where there is one.
    #[serde(default)]
    pub node: Option<NodeConfig>,
    /// Its nodes, where there are several: the first is preferred at the start.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
    /// Blocks before a pay-in counts as confirmed.
    #[serde(default = "default_confirmations")]
    pub confirmations: u64,
    /// Blocks before a reward may be spent; only the `dev` network may set it.
    #[serde(default)]
    pub maturity: Option<u64>,
    /// Payouts up to this many minor units are approved without a person.
    #[serde(default = "default_auto_approve")]
    pub auto_approve_minor: i64,
}

/// An hour of a chain with a block a minute.
const fn default_confirmations() -> u64 {
    60
}

impl AuxConfig {
    /// Its nodes with the keys they stand at.
    pub fn nodes(&self) -> impl Iterator<Item = (String, &NodeConfig)> {
        named_nodes(self.node.as_ref(), &self.nodes)
    }
}

/// Whether one coin's blocks may be proven by another's.
fn is_merged(parent: Asset, aux: Asset) -> bool {
    let of = |asset| params_for(asset, NetworkName::Mainnet);
    matches!((of(parent), of(aux)), (Ok(parent), Ok(aux))
        if parent.auxpow.is_none() && aux.auxpow.is_some() && parent.algorithm == aux.algorithm)
}

/// What is wrong with a lane's auxiliary chains.
pub(super) fn faults(lane: &LaneConfig, number: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, what: String| {
        faults.push(Fault { place: format!("lane[{number}].{key}"), what });
    };
    if !lane.aux.is_empty() && lane.tag.len() > TAG_BYTES_MERGED_MAX {
        let what = format!("write at most {TAG_BYTES_MERGED_MAX} characters on a merge-mined lane");
        fault("tag", what);
    }
    for (n, aux) in lane.aux.iter().enumerate() {
        let at = |key: &str| format!("aux[{n}].{key}");
        if !is_merged(lane.asset, aux.asset) {
            let what = format!("{} is not merge-mined with {}", aux.asset, lane.asset);
            fault(&at("asset"), what);
        }
        if lane.aux[..n].iter().any(|other| other.asset == aux.asset) {
            fault(&at("asset"), format!("{} stands here twice", aux.asset));
        }
        node_faults("lane.aux", aux.node.as_ref(), &aux.nodes, true, |key, what| {
            fault(&at(&key), what);
        });
        if aux.confirmations == 0 || aux.confirmations > 1000 {
            fault(&at("confirmations"), "write 1 to 1000".into());
        }
        if aux.maturity.is_some() && lane.network != NetworkConfig::Dev {
            let what = "only the dev network may set it: elsewhere it is the chain's rule";
            fault(&at("maturity"), what.into());
        } else if !(1..=DEV_MATURITY_MAX).contains(&aux.maturity.unwrap_or(1)) {
            fault(&at("maturity"), format!("write 1 to {DEV_MATURITY_MAX}"));
        }
        if aux.auto_approve_minor < 0 {
            fault(&at("auto_approve_minor"), "write 0 (every payout waits) or more".into());
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    fn with(aux: &str) -> Vec<String> {
        let at = SAMPLE.find("# Offers to customers").unwrap();
        let text = [&SAMPLE[..at], aux, "\n", &SAMPLE[at..]].concat();
        let faults = Config::parse(&text, Path::new("/")).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dogecoin_stands_under_litecoin_with_nodes_of_its_own() {
        let good =
            "[[lane.aux]]\nasset = \"DOGE\"\n[lane.aux.node]\nurl = \"http://127.0.0.1:22555\"\n";
        assert!(with(good).is_empty(), "{:?}", with(good));
        let none = with("[[lane.aux]]\nasset = \"DOGE\"\n");
        assert!(none[0].starts_with("lane[1].aux[0].nodes"), "{none:?}");
        let wrong = with(&good.replace("DOGE", "BTC"));
        assert!(wrong[0].starts_with("lane[1].aux[0].asset: BTC is not"), "{wrong:?}");
        let twice = with(&[good, good].concat());
        assert!(twice.iter().any(|f| f.contains("stands here twice")), "{twice:?}");
        let rule = with(&good.replace("[lane.aux.node]", "maturity = 2\n[lane.aux.node]"));
        assert!(rule[0].starts_with("lane[1].aux[0].maturity"), "{rule:?}");
    }
}
