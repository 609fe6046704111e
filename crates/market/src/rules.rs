//! The rules of a contract's life that an operator sets: what a quote may outlive, whose prices count, what
//! happens when a plan does not pay, and how long a customer may decide.
//!
//! Promises: a contract keeps the rules it was sold under ([`PlanLife`] stands in its row and its terms);
//! the house's own ([`QuoteRules`], [`PriceRules`]) are checked when the configuration is read.

use gruve_units::{Asset, Bps, Duration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Price sources at most: each is asked for every instant, and a median needs no more.
pub const PRICE_SOURCES_MAX: usize = 32;
/// A fee in dollars at most, millionths for a TH·day: a million dollars, far above any and far below what
/// would not fit.
pub const USD_MICRO_MAX: u64 = 1_000_000_000_000;
/// Epochs a customer may take to decide at most: a year of ten-minute epochs.
pub const CHOICE_EPOCHS_MAX: u64 = 52_560;

/// What a quote may outlive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuoteRules {
    /// A quote is void once the coin's recorded price has moved by more than this since.
    pub price_bps: Bps,
    /// Of what a lane would have for sale without the account's own unpaid orders, the part that they
    /// may hold together.
    pub held_per_account_bps: Bps,
}

impl Default for QuoteRules {
    fn default() -> Self {
        let bps = |n| Bps::new(n).unwrap_or(Bps::ZERO);
        // Two percent: what a coin moves within a quote's minutes on a wild day. And as much as new customers
        // may hold together.
        QuoteRules { price_bps: bps(200), held_per_account_bps: crate::UNPAID_NEW_BPS }
    }
}

/// Whose prices count, and how old they may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceRules {
    /// Sources that must have told a price for an instant to have one.
    pub quorum: u32,
    /// How long before an instant a source may have told it, in seconds.
    pub staleness_secs: u32,
    /// How far from the median of all a source may be to count, in hundredths of a percent of it. Without it all count.
    pub outlier_bps: Option<u32>,
    /// Certificate authorities (PEM) by which sources with `https` are known; the system's without it.
    pub authorities_file: Option<PathBuf>,
    /// The sources.
    #[serde(rename = "source")]
    pub sources: Vec<PriceSourceConfig>,
}

impl Default for PriceRules {
    fn default() -> Self {
        PriceRules {
            quorum: 1,
            staleness_secs: 900,
            outlier_bps: None,
            authorities_file: None,
            sources: Vec::new(),
        }
    }
}

/// One source of one coin's price in dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSourceConfig {
    /// Its name: 1 to 32 of `a`–`z`, `0`–`9`, `-`.
    pub name: String,
    /// The coin.
    pub asset: Asset,
    /// Where a JSON document tells it (`https://…`); without one it is told by hand (`gruve admin price set`).
    #[serde(default)]
    pub url: Option<String>,
    /// Where in the document (RFC 6901): a number, or text of one, in whole dollars for a whole coin.
    #[serde(default)]
    pub pointer: String,
}

impl PriceRules {
    /// How long before an instant a source may have told its price.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        Duration::from_secs(self.staleness_secs.into())
    }

    /// The names of a coin's sources, sorted.
    #[must_use]
    pub fn names(&self, asset: Asset) -> Vec<&str> {
        let of = self.sources.iter().filter(|s| s.asset == asset);
        let names: BTreeSet<&str> = of.map(|s| s.name.as_str()).collect();
        names.into_iter().collect()
    }

    /// Whether a coin can have a price at all.
    #[must_use]
    pub fn covers(&self, asset: Asset) -> bool {
        u32::try_from(self.names(asset).len()).unwrap_or(u32::MAX) >= self.quorum
    }

    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let named = |n: &str| {
            (1..=32).contains(&n.len())
                && n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let mut seen = BTreeSet::new();
        let checks = [
            (self.quorum >= 1, "quorum must be at least 1"),
            (self.staleness_secs >= 1, "staleness_secs must be at least 1"),
            (
                self.outlier_bps.is_none_or(|far| (1..=10_000).contains(&far)),
                "outlier_bps must be 1 to 10,000, or left out",
            ),
            (self.sources.len() <= PRICE_SOURCES_MAX, "at most 32 sources"),
            (
                self.sources.iter().all(|s| named(&s.name)),
                "a source's name must be 1 to 32 of a-z, 0-9 and -",
            ),
            (
                self.sources.iter().all(|s| seen.insert((s.asset, s.name.as_str()))),
                "a source is named twice for a coin",
            ),
            (
                self.sources.iter().all(|s| s.url.as_ref().is_none_or(|u| is_web(u))),
                "a source's url must begin with https:// or http://",
            ),
        ];
        checks.iter().find(|(ok, _)| !ok).map_or(Ok(()), |(_, what)| Err(what))
    }
}

/// What happens while a plan does not pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unprofitable {
    /// It goes on.
    #[default]
    Run,
    /// Its clock stands still until it pays again.
    Pause,
}

impl Unprofitable {
    /// As written in terms.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unprofitable::Run => "run",
            Unprofitable::Pause => "pause",
        }
    }
}

/// A plan's rules of life; a contract keeps those it was sold under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanLife {
    /// What happens while it does not pay.
    pub unprofitable: Unprofitable,
    /// How far earnings must pass the costs, below or above, before that is decided anew.
    pub hysteresis_bps: Bps,
    /// Epochs between the notice of a pause and its beginning.
    pub notice_epochs: u64,
    /// Maintenance for each TH·day delivered in millionths of a dollar, converted at the recorded price of
    /// the scheduled settlement; beside what is charged in coins.
    pub maintenance_usd_micro_per_th_day: u64,
    /// The most that is kept of a TH·day's work during a pause for its measured energy, in millionths of a dollar: what it
    /// earns above that energy is the customer's. What is not measured is not kept.
    pub energy_usd_micro_per_th_day: u64,
    /// Epochs a customer may decide in about work that was missed by the operator's doing.
    pub choice_epochs: u64,
    /// The minimum payout: nothing of a running contract is settled while fewer minor units of the lane's own coin
    /// wait. At its end all is.
    #[serde(skip_serializing_if = "is_zero")]
    pub minimum_payout_minor: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The largest minimum payout: a hundredth of a coin. Earnings are the customer's as soon as they are mature, and
/// leave the house at any time above the network's fee; a minimum may save entries, and hold nothing back that
/// anybody would withdraw.
#[must_use]
pub fn minimum_payout_max(asset: Asset) -> u64 {
    asset.unit().unsigned_abs() / 100
}

impl Default for PlanLife {
    fn default() -> Self {
        PlanLife {
            unprofitable: Unprofitable::Run,
            // Five percent: a day's usual move of price does not stop and start a farm.
            hysteresis_bps: Bps::new(500).unwrap_or(Bps::ZERO),
            // A day of ten-minute epochs, both.
            notice_epochs: 144,
            maintenance_usd_micro_per_th_day: 0,
            energy_usd_micro_per_th_day: 0,
            choice_epochs: 144,
            minimum_payout_minor: 0,
        }
    }
}

impl PlanLife {
    /// Whether nothing differs from what plans without these rules had.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == PlanLife::default()
    }

    /// Whether it needs the coin's price in dollars.
    #[must_use]
    pub const fn needs_price(&self) -> bool {
        self.maintenance_usd_micro_per_th_day > 0
            || matches!(self.unprofitable, Unprofitable::Pause)
    }

    /// As stored with a contract.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As stored; rows from before have none.
    pub(crate) fn read(text: &str) -> Result<PlanLife, crate::MarketError> {
        if text.is_empty() {
            return Ok(PlanLife::default());
        }
        serde_json::from_str(text)
            .map_err(|e| crate::MarketError::Broken(format!("a contract's rules: {e}")))
    }

    pub(crate) fn check(&self, prices: &PriceRules, asset: Asset) -> Result<(), &'static str> {
        let usd = [self.maintenance_usd_micro_per_th_day, self.energy_usd_micro_per_th_day];
        let checks = [
            (usd.iter().all(|u| *u <= USD_MICRO_MAX), "life: a fee in dollars is at most 10^12"),
            (
                (1..=CHOICE_EPOCHS_MAX).contains(&self.choice_epochs),
                "life: choice_epochs must be 1 to 52560",
            ),
            (
                self.minimum_payout_minor <= minimum_payout_max(asset),
                "life: minimum_payout_minor must be at most a hundredth of the lane's own coin",
            ),
            (self.notice_epochs <= CHOICE_EPOCHS_MAX, "life: notice_epochs must be at most 52560"),
            (
                !self.needs_price() || prices.covers(asset),
                "life: it needs the coin's price in dollars: name a quorum of [[prices.source]]",
            ),
        ];
        checks.iter().find(|(ok, _)| !ok).map_or(Ok(()), |(_, what)| Err(what))
    }
}
