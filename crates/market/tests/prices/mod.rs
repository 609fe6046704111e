//! A house that records a coin's price, and what its sources say.
#![allow(dead_code)] // each test file uses its part

use crate::world::{self, BITS, World};
use gruve_market::units::{ONE_BLOCK, units_of};
use gruve_market::{MarketConfig, PriceSourceConfig};
use gruve_units::{Asset, Clock as _, Hashes, mul_div_floor};

/// An epoch's work at a rate of one hash per second.
pub(crate) const EPOCH: u128 = world::EPOCH_SECS as u128;
/// What a block pays.
pub(crate) const REWARD: i64 = 5_000_000_000;

/// The house with two sources of Bitcoin's price, both of which must speak.
pub(crate) fn priced() -> MarketConfig {
    let mut config = world::config();
    let source = |name: &str| PriceSourceConfig {
        name: name.into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    };
    config.prices.sources = vec![source("desk"), source("mirror")];
    config.prices.quorum = 2;
    config.prices.staleness_secs = 30;
    config
}

/// Both sources say this many dollars, now.
pub(crate) async fn price(w: &World, dollars: i64) {
    for source in ["desk", "mirror"] {
        let now = w.clock.now();
        w.market.report_price(source, Asset::Btc, now, dollars * 1_000_000).await.unwrap();
    }
}

/// What this work would have earned of a block in an underfilled window, after the plan's two percent.
pub(crate) fn would_have_earned(work: u128) -> i64 {
    let units = units_of(Hashes(work), BITS).unwrap();
    let reward = u128::try_from(REWARD).unwrap();
    let (gross, _) = mul_div_floor(reward, units, 8 * ONE_BLOCK).unwrap();
    i64::try_from(gross * 98 / 100).unwrap()
}

pub(crate) fn near(a: i64, b: i64) -> bool {
    a.abs_diff(b) <= 2
}
