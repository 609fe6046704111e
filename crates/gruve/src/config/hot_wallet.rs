//! `[[hot_wallet]]`: how much of a coin the house may hold under its own keys, and what it does with the rest.

use super::{Fault, LaneConfig, NetworkConfig, PayInChainConfig, network_of as network_of_wallet};
use gruve_chain::eth::EthAddress;
use gruve_chain::{NetworkName, params_for, script_for_address};
use gruve_treasury::{GatherPolicy, Rate, SweepPolicy};
use gruve_units::Asset;
use serde::Deserialize;

/// `[[hot_wallet]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HotWalletConfig {
    /// The coin.
    pub asset: Asset,
    /// The cold address; without one nothing is swept.
    #[serde(default)]
    pub sweep_to: Option<String>,
    /// Minor units above which a sweep is made, beside what pending payouts need.
    #[serde(default)]
    pub sweep_above_minor: i64,
    /// Minor units that a sweep leaves, beside what pending payouts need.
    #[serde(default)]
    pub sweep_keep_minor: i64,
    /// From so many spendable coins small ones are made one; never, if not given.
    #[serde(default)]
    pub gather_from_coins: Option<u32>,
    /// Only while the network asks for no more than this, minor units per 1000 virtual bytes.
    #[serde(default)]
    pub gather_below_rate: i64,
    /// Minutes that a transaction waits before it is signed again with a higher fee.
    #[serde(default)]
    pub bump_after_minutes: Option<u64>,
}

/// What a cold address is on the chain of `asset`.
fn script_of(asset: Asset, network: NetworkName, address: &str) -> Result<Vec<u8>, String> {
    if matches!(asset, Asset::Etc | Asset::Eth) {
        let address: EthAddress = address.parse().map_err(|e| format!("{e}"))?;
        return Ok(address.0.to_vec());
    }
    let params = params_for(asset, network).map_err(|e| e.to_string())?;
    script_for_address(&params, address).map_err(|e| e.to_string())
}

const fn network_of(network: NetworkConfig) -> NetworkName {
    match network {
        NetworkConfig::Mainnet => NetworkName::Mainnet,
        NetworkConfig::Testnet => NetworkName::Testnet,
        NetworkConfig::Regtest | NetworkConfig::Dev => NetworkName::Regtest,
    }
}

impl HotWalletConfig {
    /// The cap, on a network.
    ///
    /// # Errors
    /// When the address is none of that network.
    pub fn sweep(&self, network: NetworkConfig) -> Result<Option<SweepPolicy>, String> {
        let Some(address) = &self.sweep_to else { return Ok(None) };
        let script = script_of(self.asset, network_of(network), address)?;
        let (above, keep) = (self.sweep_above_minor, self.sweep_keep_minor);
        Ok(Some(SweepPolicy { address: address.clone(), script, above, keep }))
    }

    /// When small coins are made one.
    #[must_use]
    pub fn gather(&self) -> Option<GatherPolicy> {
        let rate_max = Rate(self.gather_below_rate);
        self.gather_from_coins.map(|coins_min| GatherPolicy { coins_min, rate_max })
    }
}

/// What is wrong with them.
pub(super) fn faults(
    hot: &[HotWalletConfig],
    lanes: &[LaneConfig],
    chains: &[PayInChainConfig],
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, set) in hot.iter().enumerate() {
        let mut fault = |key: &str, what: String| {
            faults.push(Fault { place: format!("hot_wallet[{at}].{key}"), what });
        };
        if hot.iter().take(at).any(|h| h.asset == set.asset) {
            fault("asset", "has a section already".to_owned());
        }
        let Some(network) = network_of_wallet(set.asset, lanes, chains) else {
            fault("asset", "no lane earns it, so it has no wallet".to_owned());
            continue;
        };
        if let Err(why) = set.sweep(network) {
            fault("sweep_to", why);
        }
        if set.sweep_keep_minor < 0 || set.sweep_keep_minor > set.sweep_above_minor {
            fault("sweep_keep_minor", "write 0 up to sweep_above_minor".to_owned());
        }
        if set.gather_from_coins.is_some_and(|n| n < 2) {
            fault("gather_from_coins", "write 2 or more".to_owned());
        }
        if set.gather_from_coins.is_some() && set.gather_below_rate <= 0 {
            fault("gather_below_rate", "write the rate below which fees count as low".to_owned());
        }
        if set.bump_after_minutes == Some(0) {
            fault("bump_after_minutes", "write 1 or more".to_owned());
        }
    }
    faults
}
