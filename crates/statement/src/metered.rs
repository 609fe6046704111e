//! The terms of a metered contract, as exact bytes that the operator signs.
//!
//! What they have in common with a lease's (who gets what of an epoch, schemes, fee, upkeep, settlement, orphans) stands there
//! under the same rules; what a lease has besides (a quantity bought, shortfalls, refunds) they have not.

use crate::terms::{
    AllocationRule, FeeRule, MaintenanceRule, Money, OrphanRule, PriceRule, RefundRule, Rules,
    SchemeRule, SettlementRule, ShortfallRule, Terms, UnprofitableRule,
};
use gruve_units::{Asset, ContractId, Hashes, Hashrate, LaneId};
use serde::{Deserialize, Serialize};

/// The format that is written.
pub const METERED_FORMAT: &str = "gruve metered terms 2";

/// The terms of one metered contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeteredTerms {
    /// [`METERED_FORMAT`].
    pub format: String,
    /// The contract they are of.
    pub contract: ContractId,
    /// When it was started, microseconds UTC since 1970.
    pub started_at_us: i64,
    /// The plan.
    pub plan: String,
    /// Its version.
    pub plan_version: u32,
    /// Its title then.
    pub title: String,
    /// The lane whose work is sold.
    pub lane: LaneId,
    /// What the work earns, the lane's own coin first.
    pub earns: Vec<Asset>,
    /// The rate asked for.
    pub hashrate: Hashrate,
    /// Length of an epoch, microseconds; epoch *n* begins at *n* times this.
    pub epoch_us: u64,
    /// `⌊hashrate · epoch⌋`.
    pub epoch_work: Hashes,
    /// What work is paid in.
    pub pay_asset: Asset,
    /// For how many epochs the balance must last not to be called low.
    pub low_balance_epochs: u64,
    /// By what everything else is computed.
    pub rules: MeteredRules,
}

/// Everything that is computed in a metered contract's life, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeteredRules {
    /// What work costs.
    pub meter: MeterRule,
    /// How it ends.
    pub stop: StopRule,
    /// How work becomes earnings.
    pub scheme: SchemeRule,
    /// How an epoch's work is shared out.
    pub allocation: AllocationRule,
    /// The operator's part of the earnings.
    pub fee: FeeRule,
    /// What the machines' upkeep costs.
    pub maintenance: MaintenanceRule,
    /// When earnings become balance.
    pub settlement: SettlementRule,
    /// What happens when a block is taken off its chain.
    pub orphan: OrphanRule,
}

/// What work costs by the meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MeterRule {
    /// Before each epoch `⌈epoch_work · minor / (hashrate · 86,400)⌉` of the balance is held at the plan's price of that
    /// moment, which does not change for that epoch any more; where there is less, all there is, and the work is at most
    /// `⌊held · hashrate · 86,400 / minor⌋`. An epoch costs `⌊2^64 · delivered · minor / (hashrate · 86,400)⌋` of 2^-64 minor units;
    /// whole minor units are charged out of its hold, the fraction is carried, the rest of the hold comes back. No
    /// hold, no work; nothing missed is made good.
    HeldBefore {
        /// The plan's price at the start, minor units …
        minor: u64,
        /// … for how much for a day.
        hashrate: Hashrate,
    },
}

/// How a metered contract ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StopRule {
    /// Either side may end it at an epoch border; holds of epochs that have not begun come back at once. It stops by itself
    /// without a balance, and goes on after a top-up while its rate is for sale.
    AtAnyBorder,
}

impl MeteredTerms {
    /// The canonical bytes: its JSON with the fields in their order here and no spaces.
    ///
    /// # Errors
    /// When they cannot be written, which no terms cause.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The rules that it has in common with a lease, as a lease of nothing. Only what meters reads is used of it.
    #[must_use]
    pub(crate) fn as_terms(&self) -> Terms {
        let MeterRule::HeldBefore { minor, hashrate } = self.rules.meter;
        Terms {
            format: self.format.clone(),
            contract: Some(self.contract),
            sold_at_us: Some(self.started_at_us),
            plan: self.plan.clone(),
            plan_version: self.plan_version,
            title: self.title.clone(),
            lane: self.lane.clone(),
            earns: self.earns.clone(),
            hashrate: self.hashrate,
            epoch_us: self.epoch_us,
            epoch_work: self.epoch_work,
            term_epochs: 0,
            work: Hashes::ZERO,
            price: Money { asset: self.pay_asset, minor: 0 },
            rules: Rules {
                price: PriceRule::PerHashrateDay { minor, hashrate },
                scheme: self.rules.scheme.clone(),
                allocation: self.rules.allocation.clone(),
                shortfall: ShortfallRule::MadeGood { catch_up_bps: 0, extension_epochs: 0 },
                fee: self.rules.fee.clone(),
                maintenance: self.rules.maintenance.clone(),
                settlement: self.rules.settlement.clone(),
                orphan: self.rules.orphan.clone(),
                refund: RefundRule::Undelivered,
                unprofitable: UnprofitableRule::Run,
                life: None,
            },
        }
    }
}
