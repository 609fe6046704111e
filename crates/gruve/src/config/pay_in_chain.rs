//! `[[pay_in_chain]]`: chains with accounts whose coin is taken and paid out here and mined nowhere: Ether, above all.

use super::ethash::CHAIN_ID_MAX;
use super::{
    Fault, LaneConfig, NetworkConfig, NodeConfig, default_auto_approve, named_nodes, node_faults,
};
use gruve_units::{Asset, LaneId};
use serde::Deserialize;

/// Blocks at most, as of lanes with accounts.
const CONFIRMATIONS_MAX: u64 = 100_000;

/// `[[pay_in_chain]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayInChainConfig {
    /// Its coin: `ETH`, or `ETC` where no lane mines it.
    pub asset: Asset,
    /// Which of the coin's networks; `testnet` is Sepolia for ETH and Mordor for ETC.
    #[serde(default)]
    pub network: NetworkConfig,
    /// The chain's number (EIP-155); known on the main and test networks, 1337 elsewhere if unset.
    #[serde(default)]
    pub chain_id: Option<u64>,
    /// The node, where there is one.
    #[serde(default)]
    pub node: Option<NodeConfig>,
    /// The nodes, where there are several: the first is preferred at the start.
    #[serde(default)]
    pub nodes: Vec<NodeConfig>,
    /// Blocks before a pay-in counts as confirmed; by the chain if unset.
    #[serde(default)]
    pub confirmations: Option<u64>,
    /// Payouts up to this many minor units are approved without a person.
    #[serde(default = "default_auto_approve")]
    pub auto_approve_minor: i64,
}

/// The number of a coin's chain on a network, where it is known.
const fn known_id(asset: Asset, network: NetworkConfig) -> Option<u64> {
    match (asset, network) {
        (Asset::Eth, NetworkConfig::Mainnet) => Some(1),
        (Asset::Eth, NetworkConfig::Testnet) => Some(11_155_111),
        (Asset::Etc, NetworkConfig::Mainnet) => Some(61),
        (Asset::Etc, NetworkConfig::Testnet) => Some(63),
        _ => None,
    }
}

/// The number of a chain of one's own that says none.
const OWN_ID: u64 = 1_337;

impl PayInChainConfig {
    /// The chain's number.
    #[must_use]
    pub fn number(&self) -> u64 {
        known_id(self.asset, self.network).or(self.chain_id).unwrap_or(OWN_ID)
    }

    /// What it is called beside the lanes, in metrics and health: `pay-in-eth`. Codes of coins are short and plain.
    #[must_use]
    pub fn name(&self) -> Option<LaneId> {
        format!("pay-in-{}", self.asset.code().to_lowercase()).parse().ok()
    }

    /// Its nodes with the keys they stand at.
    pub fn nodes(&self) -> impl Iterator<Item = (String, &NodeConfig)> {
        named_nodes(self.node.as_ref(), &self.nodes)
    }
}

/// The network of a coin's wallet: its lane's, or its pay-in chain's.
pub(crate) fn network_of(
    asset: Asset,
    lanes: &[LaneConfig],
    chains: &[PayInChainConfig],
) -> Option<NetworkConfig> {
    let earns = |l: &&LaneConfig| l.asset == asset || l.aux.iter().any(|a| a.asset == asset);
    let lane = lanes.iter().find(earns).map(|l| l.network);
    lane.or_else(|| chains.iter().find(|c| c.asset == asset).map(|c| c.network))
}

/// What is wrong with them.
pub(super) fn faults(chains: &[PayInChainConfig], lanes: &[LaneConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, set) in chains.iter().enumerate() {
        let mut fault = |key: &str, what: String| {
            faults.push(Fault { place: format!("pay_in_chain[{at}].{key}"), what });
        };
        if !matches!(set.asset, Asset::Eth | Asset::Etc) {
            let what = format!("only chains with accounts (ETH, ETC): {} needs a lane", set.asset);
            fault("asset", what);
        } else if network_of(set.asset, lanes, &[]).is_some() {
            fault("asset", format!("a lane has a wallet of {} already", set.asset));
        } else if chains.iter().take(at).any(|c| c.asset == set.asset) {
            fault("asset", format!("{} stands here twice", set.asset));
        }
        if set.name().is_some_and(|name| lanes.iter().any(|l| l.id == name)) {
            fault("asset", "a lane has the name that this chain goes by: rename the lane".into());
        }
        match (known_id(set.asset, set.network), set.chain_id) {
            (Some(known), Some(id)) if id != known => {
                let what = format!("{} on this network is chain {known}: leave it out", set.asset);
                fault("chain_id", what);
            }
            (None, Some(id)) if !(1..=CHAIN_ID_MAX).contains(&id) => {
                fault("chain_id", format!("write the chain's number: 1 to {CHAIN_ID_MAX}"));
            }
            (None, Some(id)) if is_public(id) => {
                let what = format!(
                    "{id} is a public chain's number: set network = \"mainnet\" or \"testnet\", or give \
                     your own chain another"
                );
                fault("chain_id", what);
            }
            _ => {}
        }
        if !(1..=CONFIRMATIONS_MAX).contains(&set.confirmations.unwrap_or(1)) {
            fault("confirmations", format!("write 1 to {CONFIRMATIONS_MAX}"));
        }
        if set.auto_approve_minor < 0 {
            fault("auto_approve_minor", "write 0 (every payout waits) or more".into());
        }
        let section = "pay_in_chain";
        node_faults(section, set.node.as_ref(), &set.nodes, false, |key, what| fault(&key, what));
    }
    faults
}

/// Whether a number is that of a network that others use: keys of test chains must not sign there.
fn is_public(id: u64) -> bool {
    [Asset::Eth, Asset::Etc].into_iter().any(|asset| {
        [NetworkConfig::Mainnet, NetworkConfig::Testnet]
            .into_iter()
            .any(|network| known_id(asset, network) == Some(id))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    const ETHER: &str =
        "[[pay_in_chain]]\nasset = \"ETH\"\n[pay_in_chain.node]\nurl = \"http://127.0.0.1:8545\"\n";

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let told =
            |faults: Vec<crate::config::Fault>| faults.iter().map(ToString::to_string).collect();
        Config::parse(text, Path::new("/base")).map_err(told)
    }

    fn with(section: &str) -> Result<Config, Vec<String>> {
        read(&format!("{SAMPLE}\n{section}"))
    }

    fn keys(keys: &str) -> String {
        ETHER.replace("[pay_in_chain.node]", &format!("{keys}\n[pay_in_chain.node]"))
    }

    #[test]
    fn ether_needs_a_node_only_and_plans_may_be_priced_in_it() {
        let config = with(ETHER).unwrap();
        crate::house::check(&config).unwrap();
        assert_eq!(config.pay_in_chains[0].number(), 1);
        assert_eq!(config.pay_in_chains[0].name().unwrap().as_str(), "pay-in-eth");
        assert_eq!(with(&keys("chain_id = 1")).unwrap().pay_in_chains[0].number(), 1);
        let own = with(&keys("network = \"regtest\"\nchain_id = 4242")).unwrap();
        assert_eq!(own.pay_in_chains[0].number(), 4_242);
        assert!(with(&keys("network = \"dev\"\nchain_id = 9223372036854775771")).is_ok());
        let hot = "[[hot_wallet]]\nasset = \"ETH\"\nsweep_above_minor = 5\n\
                   sweep_to = \"0x1E6fb5295C1fCD535163bdf7E682d876C327f665\"\n";
        assert!(with(&[ETHER, hot].concat()).is_ok());
        assert!(with(hot).unwrap_err()[0].starts_with("hot_wallet"));

        let priced = SAMPLE.replacen("[[plan]]\n", "[[plan]]\npay_asset = \"ETH\"\n", 1);
        let alone = read(&priced).unwrap_err();
        assert!(alone.len() == 1 && alone[0].contains("[[pay_in_chain]]"), "{alone:?}");
        let both = read(&format!("{priced}\n{ETHER}")).unwrap();
        crate::house::check(&both).unwrap();
    }

    #[test]
    fn a_chain_that_cannot_be_is_refused_with_its_place() {
        let lane = "[[lane]]\nid = \"etc\"\nasset = \"ETC\"\n[lane.node]\nurl = \"http://127.0.0.1:8546\"\n\
                    [lane.stratum]\nlisten = \"0.0.0.0:3337\"\n";
        let classic = ETHER.replace("\"ETH\"", "\"ETC\"");
        assert!(with(&classic).is_ok(), "without a lane");
        for (section, place) in [
            (keys("chain_id = 61"), "pay_in_chain[0].chain_id: ETH on this network is chain 1"),
            (keys("network = \"testnet\"\nchain_id = 1"), "pay_in_chain[0].chain_id"),
            (
                keys("network = \"regtest\"\nchain_id = 1"),
                "pay_in_chain[0].chain_id: 1 is a public",
            ),
            (keys("network = \"dev\"\nchain_id = 0"), "pay_in_chain[0].chain_id"),
            (
                keys("network = \"dev\"\nchain_id = 9223372036854775772"),
                "pay_in_chain[0].chain_id: write the chain's number: 1 to 9223372036854775771",
            ),
            (ETHER.replace("ETH", "BTC"), "pay_in_chain[0].asset"),
            (ETHER.replace("ETH", "EUR"), "pay_in_chain[0].asset"),
            ([ETHER, ETHER].concat(), "pay_in_chain[1].asset: ETH stands here twice"),
            ([lane, &classic].concat(), "pay_in_chain[0].asset: a lane has a wallet"),
            ([&lane.replace("\"etc\"", "\"pay-in-eth\""), ETHER].concat(), "pay_in_chain[0].asset"),
            (keys("confirmations = 0"), "pay_in_chain[0].confirmations"),
            (keys("auto_approve_minor = -1"), "pay_in_chain[0].auto_approve_minor"),
            ("[[pay_in_chain]]\nasset = \"ETH\"\n".to_owned(), "pay_in_chain[0].nodes"),
            (ETHER.replace("http:", "https:"), "pay_in_chain[0].node.url"),
            (format!("{ETHER}zmq = \"off\"\n"), "pay_in_chain[0].node.zmq"),
        ] {
            let found = with(&section).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with(place), "{section}: {found:?}");
        }
    }

    #[test]
    fn a_node_whose_address_cannot_be_used_is_found_before_the_start() {
        let config = with(&ETHER.replace("127.0.0.1:8545", "127.0.0.1")).unwrap();
        let found = crate::house::check(&config).unwrap_err();
        assert!(found.len() == 1 && found[0].place == "pay_in_chain[0].node.url", "{found:?}");
    }
}
