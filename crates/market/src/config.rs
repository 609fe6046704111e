//! What the operator offers: lanes and plans, as read from the configuration file.

use crate::MarketError;
use crate::rules::{PlanLife, PriceRules, QuoteRules};
use crate::scheme::{FppsConfig, Scheme};
use gruve_units::{AccountId, Algorithm, Asset, Bps, Duration, EpochRule, Hashrate, LaneId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Plans at most: a page of offers, not a catalogue.
pub const PLANS_MAX: usize = 200;
/// Terms a plan may name at most.
pub const TERMS_MAX: usize = 24;
/// Epochs of a term and its extension together at most: five years of ten-second epochs.
pub const TERM_EPOCHS_MAX: u64 = 16_000_000;
/// Epochs of the capacity window at most: each sale reads so many rows.
pub const CAPACITY_WINDOW_MAX: u64 = 4_096;
/// Epochs a PPLNS window may reach back at most, a year of ten-minute epochs: what one found block reads
/// is bounded by it, and a farm too small to fill eight blocks' work in that time should not sell PPLNS.
pub const PPLNS_EPOCHS_MAX: u64 = 52_560;

/// The usual part of what is free that unpaid orders of accounts which never paid may hold together:
/// three quarters. Throw-away accounts then leave known customers a quarter to buy, and a first customer
/// of a new operator can still buy most of it at once.
pub const UNPAID_NEW_BPS: Bps = match Bps::new(7_500) {
    Some(part) => part,
    None => Bps::ZERO,
};
/// Unpaid contracts that an account which never paid for one may have at once.
pub const UNPAID_NEW_ACCOUNT_MAX: u32 = 2;

/// Everything the market is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketConfig {
    /// The lanes, each with its own epochs and books.
    pub lanes: Vec<LaneConfig>,
    /// What is for sale.
    #[serde(default)]
    pub plans: Vec<PlanConfig>,
    /// How long a quote stands, in seconds.
    #[serde(default = "defaults::quote_secs")]
    pub quote_secs: u32,
    /// Contracts awaiting payment that one account may have at once: each holds capacity unpaid.
    #[serde(default = "defaults::unpaid_max")]
    pub unpaid_per_account_max: u32,
    /// Of what a lane would have for sale if no order of theirs were open, the part that the unpaid
    /// orders of all accounts which never paid for a contract may hold together.
    #[serde(default = "defaults::unpaid_new_bps")]
    pub unpaid_new_bps: Bps,
    /// Accounts of the operator's own, for its stock and trials: their contracts come last when work is short.
    #[serde(default)]
    pub operator_accounts: BTreeSet<AccountId>,
    /// What a quote may outlive.
    #[serde(default)]
    pub quotes: QuoteRules,
    /// Whose prices count.
    #[serde(default)]
    pub prices: PriceRules,
}

/// One lane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneConfig {
    /// Its name.
    pub lane: LaneId,
    /// What its blocks pay.
    pub asset: Asset,
    /// What its machines compute.
    pub algorithm: Algorithm,
    /// The coins that are merge-mined with it: the same work earns them too.
    #[serde(default)]
    pub aux: Vec<AuxConfig>,
    /// How its time is cut.
    pub epoch_rule: EpochRule,
    /// Confirmations after which a block's reward may be spent; a chain rule.
    pub coinbase_maturity: u64,
    /// A settlement is made every so many epochs.
    #[serde(default = "defaults::settle_every")]
    pub settle_every_epochs: u64,
    /// Closed epochs over which capacity is proven; missing ones count as zero.
    #[serde(default = "defaults::capacity_window")]
    pub capacity_window_epochs: u64,
    /// How many standard deviations the proven capacity stays below the work done, in tenths.
    #[serde(default = "defaults::confidence")]
    pub capacity_confidence_tenths: u32,
    /// The part of the proven capacity that is never sold.
    #[serde(default = "defaults::reserve")]
    pub capacity_reserve_bps: Bps,
    /// The operator's part of what outside and hosted machines earn.
    #[serde(default)]
    pub outside_fee_bps: Bps,
    /// Epochs a PPLNS window may reach back.
    #[serde(default = "defaults::pplns_epochs")]
    pub pplns_epochs_max: u64,
    /// A quote is void once the network difficulty of the lane's own chain has moved by more than this since
    /// it was given. Zero, a retarget voids it, where difficulty stands between retargets; where it moves
    /// with every block, what a quote bears.
    #[serde(default)]
    pub quote_difficulty_bps: Bps,
}

/// A coin that is merge-mined with a lane's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuxConfig {
    /// What its blocks pay.
    pub asset: Asset,
    /// Confirmations after which a block's reward may be spent; a chain rule.
    pub coinbase_maturity: u64,
}

/// Maintenance in another asset than the lane's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceIn {
    /// The asset.
    pub asset: Asset,
    /// The whole fee for each TH·day *delivered*, in minor units of it.
    pub minor_per_th_day: u64,
}

/// What a plan sells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanKind {
    /// A quantity of work, paid at the start.
    #[default]
    Lease,
    /// A hashrate by the meter, out of the balance.
    Metered,
    /// A machine of the inventory, that stands in the operator's site.
    Hosted,
}

impl PlanKind {
    /// As shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PlanKind::Lease => "lease",
            PlanKind::Metered => "metered",
            PlanKind::Hosted => "hosted",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    fn is_lease(&self) -> bool {
        *self == PlanKind::Lease
    }
}

/// What the customer has of a hosted machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// The machine itself; at the end it is handed out.
    #[default]
    Sold,
    /// The use of it; at the end it is the house's again.
    Leased,
}

/// What a hosted machine's bills are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaysFrom {
    /// Only from what it earns; what that does not cover is waived.
    #[default]
    Earnings,
    /// From the owner's balance; what that does not cover is owed.
    Balance,
}

/// What a hosted plan says beside its price, which is that of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedConfig {
    /// The model, as it stands in the inventory: machines of it in stock on the lane are what is sold.
    pub model: String,
    /// Sold or leased.
    #[serde(default)]
    pub ownership: Ownership,
    /// What bills are in; the lane's own asset when left out.
    #[serde(default)]
    pub bill_asset: Option<Asset>,
    /// A kilowatt-hour, in minor units of it.
    pub energy_minor_per_kwh: u64,
    /// A day of hosting, in minor units of it.
    pub fee_minor_per_day: u64,
    /// The promised part of the time that the machine is up. It promises something: until the machine is put to work,
    /// the credit for it gives the hosting fee back.
    pub level_bps: Bps,
    /// What bills are taken from.
    #[serde(default)]
    pub pays_from: PaysFrom,
    /// After so many epochs it ends by itself; with none when the operator ends it, or the owner hands it on.
    #[serde(default)]
    pub term_epochs: u64,
}

/// An offer: work from the farm, pro rata, or a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanConfig {
    /// A short name, stable over versions: 1 to 32 of `a`–`z`, `0`–`9`, `-`.
    pub id: String,
    /// The lane whose work is sold.
    pub lane: LaneId,
    /// A title for people.
    pub title: String,
    /// What it sells; a lease when left out.
    #[serde(default, skip_serializing_if = "PlanKind::is_lease")]
    pub kind: PlanKind,
    /// The least hashrate one contract may have; left out of a hosted plan, as all three are.
    #[serde(default = "defaults::no_rate")]
    pub hashrate_min: Hashrate,
    /// The most.
    #[serde(default = "defaults::no_rate")]
    pub hashrate_max: Hashrate,
    /// Hashrates are multiples of this.
    #[serde(default = "defaults::no_rate")]
    pub hashrate_step: Hashrate,
    /// Terms to choose from, in epochs; none in a metered plan.
    #[serde(default)]
    pub terms_epochs: Vec<u64>,
    /// What the customer pays in; the lane's own asset when left out.
    #[serde(default)]
    pub pay_asset: Option<Asset>,
    /// The price of `price_hashrate` for a day of 86,400 seconds, in minor units of the asset paid; of a hosted plan that
    /// of the machine, paid once.
    pub price_minor: u64,
    /// The hashrate the price is for.
    #[serde(default = "defaults::no_rate")]
    pub price_hashrate: Hashrate,
    /// How the work earns; PPLNS when left out.
    #[serde(default, skip_serializing_if = "Scheme::is_usual")]
    pub scheme: Scheme,
    /// In a metered plan, for how many epochs the balance must last not to be called low; 144 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_balance_epochs: Option<u64>,
    /// What FPPS is reckoned by; given with that scheme and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fpps: Option<FppsConfig>,
    /// The operator's part of the earnings.
    #[serde(default)]
    pub fee_bps: Bps,
    /// Maintenance for each TH·day (8.64 × 10¹⁶ hashes) *delivered*, in minor units of the asset earned.
    #[serde(default)]
    pub maintenance_minor_per_th_day: u64,
    /// On a merge-mined lane, the assets that maintenance is taken from after the lane's own, in this order:
    /// what the earnings in one do not cover is taken from the next, in the proportion of the fees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance_also: Vec<MaintenanceIn>,
    /// How far above the bought rate shortfalls may be made good in an epoch, in hundredths of a percent
    /// of the rate; 10,000 is up to twice the rate.
    #[serde(default = "defaults::catch_up")]
    pub catch_up_bps: u32,
    /// Epochs after the term in which undelivered work is still delivered; what is missing then is
    /// refunded. As long as the shortest term when left out.
    #[serde(default)]
    pub extension_epochs: Option<u64>,
    /// The rules of its contracts' life.
    #[serde(default, skip_serializing_if = "PlanLife::is_default")]
    pub life: PlanLife,
    /// The machine and its hosting; given with that kind and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted: Option<HostedConfig>,
}

mod defaults {
    use super::Bps;

    pub(super) const fn no_rate() -> super::Hashrate {
        super::Hashrate::ZERO
    }
    pub(super) const fn quote_secs() -> u32 {
        300
    }
    pub(super) const fn unpaid_new_bps() -> Bps {
        super::UNPAID_NEW_BPS
    }
    pub(super) const fn unpaid_max() -> u32 {
        5
    }
    /// A day of ten-minute epochs.
    pub(super) const fn settle_every() -> u64 {
        144
    }
    /// A day of ten-minute epochs.
    pub(super) const fn capacity_window() -> u64 {
        144
    }
    /// Three standard deviations: an honest farm's work lies below once in some 740 windows.
    pub(super) const fn confidence() -> u32 {
        30
    }
    pub(super) fn reserve() -> Bps {
        Bps::new(1_000).unwrap_or(Bps::ZERO)
    }
    pub(super) const fn pplns_epochs() -> u64 {
        super::PPLNS_EPOCHS_MAX
    }
    pub(super) const fn catch_up() -> u32 {
        10_000
    }
}

impl PlanConfig {
    /// For how many epochs the balance must last not to be called low.
    #[must_use]
    pub fn low_balance(&self) -> u64 {
        // A day of ten-minute epochs.
        self.low_balance_epochs.unwrap_or(144)
    }

    /// Epochs after the term in which undelivered work is still delivered.
    #[must_use]
    pub fn extension(&self) -> u64 {
        self.extension_epochs
            .unwrap_or_else(|| self.terms_epochs.iter().copied().min().unwrap_or(0))
    }
}

const NAME_RULE: &str = "id must be 1 to 32 of a-z, 0-9 and -";
const TITLE_RULE: &str = "title must say what is sold: 1 to 100 bytes, in one line";

/// Whether customers can read what they buy.
fn is_title(title: &str) -> bool {
    !title.trim().is_empty() && title.len() <= 100 && !title.contains(char::is_control)
}

fn is_name(id: &str) -> bool {
    (1..=32).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl MarketConfig {
    /// The lane of that name.
    #[must_use]
    pub fn lane(&self, lane: &LaneId) -> Option<&LaneConfig> {
        self.lanes.iter().find(|l| l.lane == *lane)
    }

    /// How long a quote stands.
    #[must_use]
    pub fn quote_ttl(&self) -> Duration {
        Duration::from_secs(self.quote_secs.into())
    }

    /// Says what is wrong, naming the place as in the file.
    ///
    /// # Errors
    /// [`MarketError::Config`] with the first fault.
    pub fn check(&self) -> Result<(), MarketError> {
        let fault = |m: String| Err(MarketError::Config(m));
        let (mut names, mut assets) = (BTreeSet::new(), BTreeSet::new());
        for l in &self.lanes {
            let at = format!("lanes: {}", l.lane);
            if !names.insert(&l.lane) {
                return fault(format!("{at}: named twice"));
            }
            for asset in l.assets() {
                // A reward is known by its chain's asset: it could not be told whose it is.
                if !assets.insert(asset) {
                    return fault(format!("{at}: another lane earns {asset} already"));
                }
            }
            if l.epoch_rule.length_us == 0 || l.epoch_rule.grace_us >= l.epoch_rule.length_us {
                return fault(format!("{at}: an epoch must be longer than its grace"));
            }
            if l.settle_every_epochs == 0 {
                return fault(format!("{at}: settle_every_epochs must be at least 1"));
            }
            if !(1..=CAPACITY_WINDOW_MAX).contains(&l.capacity_window_epochs) {
                return fault(format!(
                    "{at}: capacity_window_epochs must be 1 to {CAPACITY_WINDOW_MAX}"
                ));
            }
            if !(1..=PPLNS_EPOCHS_MAX).contains(&l.pplns_epochs_max) {
                return fault(format!("{at}: pplns_epochs_max must be 1 to {PPLNS_EPOCHS_MAX}"));
            }
            if l.capacity_confidence_tenths > 1_000 {
                return fault(format!("{at}: capacity_confidence_tenths must be at most 1000"));
            }
        }
        if let Err(what) = self.prices.check() {
            return fault(format!("prices: {what}"));
        }
        if self.plans.len() > PLANS_MAX {
            return fault(format!("plans: at most {PLANS_MAX}"));
        }
        let mut ids = BTreeSet::new();
        for p in &self.plans {
            if !ids.insert(&p.id) {
                return fault(format!("plans: {}: named twice", p.id));
            }
            if let Err(what) = self.check_plan(p) {
                return fault(format!("plans: {}: {what}", p.id));
            }
        }
        Ok(())
    }

    fn maintenance_is_told(&self, p: &PlanConfig) -> bool {
        let mut seen = BTreeSet::new();
        let aux = self.lane(&p.lane).map(|l| &l.aux[..]).unwrap_or_default();
        p.maintenance_also.is_empty()
            || (p.maintenance_minor_per_th_day > 0
                && p.maintenance_also.iter().all(|m| {
                    m.minor_per_th_day > 0
                        && i64::try_from(m.minor_per_th_day).is_ok()
                        && aux.iter().any(|a| a.asset == m.asset)
                        && seen.insert(m.asset)
                }))
    }

    /// What is wrong with a hosted plan beside its name, title and lane.
    fn hosted_fault(&self, p: &PlanConfig, h: &HostedConfig) -> Option<&'static str> {
        let none = [p.hashrate_min, p.hashrate_max, p.hashrate_step, p.price_hashrate];
        let fits = |minor: u64| i64::try_from(minor).is_ok();
        let label = h.model.trim() == h.model
            && (1..=64).contains(&h.model.chars().count())
            && !h.model.chars().any(char::is_control);
        let lane = self.lane(&p.lane)?;
        let bills = h.bill_asset.unwrap_or(lane.asset);
        let life = PlanLife { minimum_payout_minor: 0, ..p.life.clone() };
        let checks = [
            (
                none.iter().all(|r| *r == Hashrate::ZERO),
                "a hosted plan names a model, no hashrates",
            ),
            (p.terms_epochs.is_empty(), "a hosted plan has hosted.term_epochs, no terms_epochs"),
            (label, "hosted.model must be 1 to 64 characters, as in the inventory"),
            (
                p.scheme != Scheme::Fpps && p.fpps.is_none(),
                "a hosted machine earns by pplns or solo",
            ),
            (
                p.fee_bps == Bps::ZERO
                    && p.maintenance_minor_per_th_day == 0
                    && p.maintenance_also.is_empty(),
                "of a hosted machine's earnings the lane's outside_fee_bps is kept, no other fee",
            ),
            (life.is_default(), "of life a hosted plan has minimum_payout_minor only"),
            (
                fits(p.price_minor) && fits(h.energy_minor_per_kwh) && fits(h.fee_minor_per_day),
                "prices must fit 63 bits",
            ),
            (h.level_bps > Bps::ZERO, "hosted.level_bps must promise something"),
            (
                h.pays_from == PaysFrom::Balance || lane.assets().any(|a| a == bills),
                "the lane does not earn hosted.bill_asset: bills cannot be taken from that",
            ),
            (h.term_epochs <= TERM_EPOCHS_MAX, "hosted.term_epochs must be at most 16000000"),
        ];
        checks.iter().find(|(ok, _)| !ok).map(|(_, what)| *what)
    }

    /// What is wrong with a plan, if anything.
    pub(crate) fn check_plan(&self, p: &PlanConfig) -> Result<(), &'static str> {
        match (p.kind, &p.hosted) {
            (PlanKind::Hosted, Some(hosted)) => self.check_hosted(p, hosted),
            (PlanKind::Hosted, None) => Err("a hosted plan needs [plan.hosted]"),
            (_, Some(_)) => Err("hosted is given, but its kind is another"),
            (_, None) => self.check_work(p),
        }
    }

    fn check_hosted(&self, p: &PlanConfig, hosted: &HostedConfig) -> Result<(), &'static str> {
        let checks = [
            (is_name(&p.id), NAME_RULE),
            (is_title(&p.title), TITLE_RULE),
            (self.lane(&p.lane).is_some(), "lane is not among the lanes"),
        ];
        checks.iter().find(|(ok, _)| !ok).map_or(Ok(()), |(_, what)| Err(*what))?;
        self.hosted_fault(p, hosted).map_or(Ok(()), Err)?;
        let asset = self.lane(&p.lane).map_or(Asset::Btc, |l| l.asset);
        p.life.check(&self.prices, asset)
    }

    /// The same of a plan of work.
    fn check_work(&self, p: &PlanConfig) -> Result<(), &'static str> {
        let rates = [p.hashrate_min, p.hashrate_max, p.hashrate_step, p.price_hashrate];
        let term_max = p.terms_epochs.iter().copied().max().unwrap_or(0);
        let checks = [
            (is_name(&p.id), NAME_RULE),
            (is_title(&p.title), TITLE_RULE),
            (self.lane(&p.lane).is_some(), "lane is not among the lanes"),
            // Far above any farm, and far below where a product with a term would overflow.
            (rates.iter().all(|r| (1..=1 << 80).contains(&r.0)), "hashrates must be 1 to 2^80"),
            (p.hashrate_min <= p.hashrate_max, "hashrate_min must not be above hashrate_max"),
            (
                p.kind == PlanKind::Metered || (1..=TERMS_MAX).contains(&p.terms_epochs.len()),
                "terms_epochs must name 1 to 24 terms",
            ),
            (
                p.kind == PlanKind::Lease || p.terms_epochs.is_empty(),
                "a metered plan has no terms_epochs: it runs until it is ended",
            ),
            (
                p.kind == PlanKind::Metered || p.low_balance_epochs.is_none(),
                "low_balance_epochs is for metered plans",
            ),
            (
                p.low_balance_epochs.is_none_or(|n| n <= TERM_EPOCHS_MAX),
                "low_balance_epochs must be at most 16000000",
            ),
            (p.terms_epochs.iter().all(|t| *t > 0), "a term must be at least one epoch"),
            (
                term_max.saturating_add(p.extension()) <= TERM_EPOCHS_MAX,
                "term and extension must be at most 16000000 epochs",
            ),
            (p.price_minor > 0, "price_minor must be above zero"),
            (
                i64::try_from(p.maintenance_minor_per_th_day).is_ok(),
                "maintenance_minor_per_th_day must fit 63 bits",
            ),
            (
                self.maintenance_is_told(p),
                "maintenance_also must name coins merge-mined on the lane, each once and above zero, \
                 after a maintenance_minor_per_th_day above zero",
            ),
            (p.catch_up_bps <= 1_000_000, "catch_up_bps must be at most 1000000"),
        ];
        checks.iter().find(|(ok, _)| !ok).map_or(Ok(()), |(_, what)| Err(*what))?;
        let asset = self.lane(&p.lane).map_or(Asset::Btc, |l| l.asset);
        p.life.check(&self.prices, asset)?;
        self.scheme_fault(p).map_or(Ok(()), Err)
    }

    fn scheme_fault(&self, p: &PlanConfig) -> Option<&'static str> {
        match (p.scheme, &p.fpps) {
            (Scheme::Fpps, Some(fpps)) => {
                let earned: Vec<_> = self.lane(&p.lane)?.assets().collect();
                fpps.fault(&earned, p.fee_bps.get())
            }
            (Scheme::Fpps, None) => Some(
                "scheme fpps needs fpps.assets: of each asset fee_window_blocks and fee_cap_minor",
            ),
            (_, Some(_)) => Some("fpps is given, but its scheme is another"),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
