//! `[[pay_in_depth]]`: how deep larger pay-ins must be.

use super::Fault;
use gruve_treasury::DepthStep;
use gruve_units::Asset;
use serde::Deserialize;

/// Blocks at most: a week of the slowest chain served.
const CONFIRMATIONS_MAX: u64 = 1_008;

/// `[[pay_in_depth]]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DepthConfig {
    /// The coin.
    pub asset: Asset,
    /// Minor units that a customer has waiting together, from this on.
    pub from_minor: i64,
    /// Blocks, the one that a pay-in stands in counted.
    pub confirmations: u64,
}

/// The steps of a coin.
pub fn steps_of(all: &[DepthConfig], asset: Asset) -> Vec<DepthStep> {
    let own = all.iter().filter(|d| d.asset == asset);
    own.map(|d| DepthStep { from: d.from_minor, confirmations: d.confirmations }).collect()
}

/// What is wrong with them.
pub(super) fn faults(all: &[DepthConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, set) in all.iter().enumerate() {
        let mut fault = |key: &str, what: &str| {
            faults
                .push(Fault { place: format!("pay_in_depth[{at}].{key}"), what: what.to_owned() });
        };
        let is_same = |d: &DepthConfig| d.asset == set.asset && d.from_minor == set.from_minor;
        if all.iter().take(at).any(is_same) {
            fault("from_minor", "has a depth already");
        }
        if set.asset.is_fiat() {
            fault("asset", "money of banks stands in no blocks");
        }
        if set.from_minor < 1 {
            fault(
                "from_minor",
                "write 1 or more; what every pay-in needs is the lane's confirmations",
            );
        }
        // Ethash blocks are some forty times as many.
        let most =
            if matches!(set.asset, Asset::Etc | Asset::Eth) { 50_000 } else { CONFIRMATIONS_MAX };
        if !(1..=most).contains(&set.confirmations) {
            fault("confirmations", &format!("write 1 to {most}"));
        }
    }
    faults
}
