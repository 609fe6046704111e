//! The earning schemes that a plan may name, and the figures that FPPS needs in its terms.

use crate::{MarketError, Result};
use gruve_statement::terms::FppsFigures;
use gruve_units::Asset;
use serde::{Deserialize, Serialize};

/// Blocks that fees may be averaged over at most: half of what is kept of a chain, so that an epoch priced
/// late still finds its window.
pub const FEE_WINDOW_MAX: u64 = 2_016;
/// Blocks above a height before its price is taken, at most: with the widest window they fit what is kept.
pub const PRICE_DEPTH_MAX: u64 = 1_000;
/// The greatest chance of ruin that the reserve may be laid out for, in millionths: beyond one half the
/// bound says nothing.
pub const RUIN_PPM_MAX: u32 = 500_000;
/// The greatest fee of an FPPS plan. Beyond a half nobody mines for it, and below it the reserve's equation
/// has its root where it is looked for.
pub const FPPS_FEE_MAX_BPS: u16 = 5_000;

/// How work earns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// A found block pays the last eight blocks' work.
    #[default]
    Pplns,
    /// Each piece of work is paid at its expectation; the operator carries the luck.
    Fpps,
    /// A found block pays its finder, whole.
    Solo,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Scheme; 3] = [Scheme::Pplns, Scheme::Fpps, Scheme::Solo];

    /// As stored, signed and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Pplns => "pplns",
            Scheme::Fpps => "fpps",
            Scheme::Solo => "solo",
        }
    }

    /// The scheme of that name.
    pub(crate) fn stored(name: &str) -> Result<Scheme> {
        Scheme::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| MarketError::Broken(format!("the unknown earning scheme {name:?}")))
    }

    /// Serde's: what is usual is not written, so that older plans stay as they were.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(crate) fn is_usual(&self) -> bool {
        *self == Scheme::Pplns
    }
}

/// What FPPS needs to know of one asset, as signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FppsAsset {
    /// The asset.
    pub asset: Asset,
    /// Blocks before a height whose fees are averaged, 1 to [`FEE_WINDOW_MAX`].
    pub fee_window_blocks: u64,
    /// A block's fees count up to this, minor units.
    pub fee_cap_minor: u64,
    /// Blocks above a height after which its price is taken, 1 to [`PRICE_DEPTH_MAX`].
    #[serde(default = "usual_depth")]
    pub depth_blocks: u64,
}

impl From<FppsAsset> for FppsFigures {
    fn from(f: FppsAsset) -> FppsFigures {
        FppsFigures {
            asset: f.asset,
            fee_window_blocks: f.fee_window_blocks,
            fee_cap_minor: f.fee_cap_minor,
            depth_blocks: f.depth_blocks,
        }
    }
}

/// The usual burial of a block that nobody expects to leave the chain any more.
const fn usual_depth() -> u64 {
    6
}

/// The chance of ruin that a reserve is usually laid out for: one in a thousand.
pub(crate) const fn usual_ruin_ppm() -> u32 {
    1_000
}

/// What an FPPS plan says besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FppsConfig {
    /// The chance, in millionths, that the reserve does not last; see [`crate::ruin`]. No part of the terms.
    #[serde(default = "usual_ruin_ppm")]
    pub ruin_ppm: u32,
    /// Every asset that the lane earns, once.
    pub assets: Vec<FppsAsset>,
}

impl FppsConfig {
    /// What is wrong with it on a lane that earns `earned`, if anything.
    pub(crate) fn fault(&self, earned: &[Asset], fee_bps: u16) -> Option<&'static str> {
        let all_named = earned.len() == self.assets.len()
            && earned.iter().all(|a| self.assets.iter().any(|f| f.asset == *a));
        let in_bounds = |f: &FppsAsset| {
            (1..=FEE_WINDOW_MAX).contains(&f.fee_window_blocks)
                && (1..=PRICE_DEPTH_MAX).contains(&f.depth_blocks)
                && i64::try_from(f.fee_cap_minor).is_ok()
        };
        let checks = [
            (
                !earned.iter().any(|a| matches!(a, Asset::Etc | Asset::Eth)),
                "scheme fpps pays every share for a whole block, and on Ethash chains part of the work \
                 ends in uncles, which pay less; use pplns or solo",
            ),
            (all_named, "fpps.assets must name every asset that the lane earns, once"),
            (
                self.assets.iter().all(in_bounds),
                "fpps.assets: fee_window_blocks must be 1 to 2016, depth_blocks 1 to 1000, \
                 fee_cap_minor must fit 63 bits",
            ),
            (
                (1..=FPPS_FEE_MAX_BPS).contains(&fee_bps),
                "scheme fpps needs a fee_bps of 1 to 5000: without a fee any reserve is lost in the end",
            ),
            ((1..=RUIN_PPM_MAX).contains(&self.ruin_ppm), "fpps.ruin_ppm must be 1 to 500000"),
        ];
        checks.iter().find(|(ok, _)| !ok).map(|(_, what)| *what)
    }
}

/// The figures as a contract's column: `CODE:WINDOW:CAP:DEPTH,…`.
pub(crate) fn write_fpps(assets: &[FppsAsset]) -> String {
    let one = |f: &FppsAsset| {
        format!("{}:{}:{}:{}", f.asset, f.fee_window_blocks, f.fee_cap_minor, f.depth_blocks)
    };
    assets.iter().map(one).collect::<Vec<_>>().join(",")
}

pub(crate) fn read_fpps(text: &str) -> Result<Vec<FppsAsset>> {
    let one = |part: &str| {
        let mut parts = part.split(':');
        let read = FppsAsset {
            asset: parts.next()?.parse().ok()?,
            fee_window_blocks: parts.next()?.parse().ok()?,
            fee_cap_minor: parts.next()?.parse().ok()?,
            depth_blocks: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(read)
    };
    let all: Option<Vec<_>> = text.split(',').filter(|p| !p.is_empty()).map(one).collect();
    all.ok_or_else(|| MarketError::Broken(format!("a contract's FPPS figures {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> FppsConfig {
        let one =
            |asset| FppsAsset { asset, fee_window_blocks: 144, fee_cap_minor: 5, depth_blocks: 6 };
        FppsConfig { ruin_ppm: 1_000, assets: vec![one(Asset::Ltc), one(Asset::Doge)] }
    }

    #[test]
    fn a_contracts_figures_are_read_back() {
        let all = figures().assets;
        assert_eq!(read_fpps(&write_fpps(&all)).unwrap(), all);
        assert_eq!(read_fpps("").unwrap(), []);
        for bad in ["BTC", "BTC:1:2", "BTC:1:2:3:4", "NONE:1:2:3", "BTC:-1:2:3"] {
            assert!(read_fpps(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn figures_that_cannot_be_had_are_refused_in_words() {
        let both = [Asset::Ltc, Asset::Doge];
        assert_eq!(figures().fault(&both, 100), None);
        let fault = |c: &FppsConfig, earned: &[Asset], fee| c.fault(earned, fee).unwrap_or("");
        assert!(fault(&figures(), &[Asset::Ltc], 100).contains("every asset"));
        assert!(fault(&figures(), &[Asset::Etc], 100).contains("Ethash"));
        assert!(fault(&figures(), &both, 0).contains("without a fee"));
        let mut c = figures();
        c.assets[1].fee_window_blocks = 0;
        assert!(fault(&c, &both, 100).contains("fee_window_blocks"));
        c = FppsConfig { ruin_ppm: 0, ..figures() };
        assert!(fault(&c, &both, 100).contains("ruin_ppm"));
    }
}
