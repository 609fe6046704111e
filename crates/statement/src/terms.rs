//! What is agreed at a sale: a document of rules by name, as exact bytes that the operator signs.
//!
//! The canonical bytes are the JSON of [`Terms`] with the fields in their order here and no spaces; but whoever reads
//! terms takes the bytes as they are and computes their hash, so that no two writers need to agree on more.
//! A rule is one object: `"rule"` names it, the other fields are its numbers. What each rule computes is
//! written at its variant; `docs/statements.md` says the same for other programs.
//!
//! | format | what it is |
//! |---|---|
//! | `gruve lease terms 1` | sold before terms were signed: the same lease with its rules as sentences. Read, never written |
//! | `gruve lease terms 2` | this document |
//! | `gruve metered terms 1` | a metered contract of before there were rules by name. Not read |
//! | `gruve metered terms 2` | [`crate::metered`]: read as the rules it has in common with a lease |

mod signed;

pub use signed::{SIGNED_FORMAT, SignedTerms, hash, sign};

use crate::metered::{METERED_FORMAT, MeteredTerms};
use gruve_units::{Amount, Asset, ContractId, Hashes, Hashrate, LaneId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The format that is written.
pub const FORMAT: &str = "gruve lease terms 2";
/// The format of sales before terms were signed.
pub const FORMAT_1: &str = "gruve lease terms 1";
/// Bytes that terms may have: a hundred times what any plan makes.
pub const BYTES_MAX: usize = 256 << 10;

/// Why terms cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// They are not what is read here.
    #[error("the terms cannot be read: {0}")]
    Unreadable(String),
    /// The hash in the file is another one than that of the bytes.
    #[error("the terms' SHA-256 is not the one in the file")]
    WrongHash,
    /// The signature is not the key's over these bytes.
    #[error("the signature is not the key's over these terms")]
    WrongSignature,
    /// They are signed, but not by the key that was asked for.
    #[error("the terms are signed by the key {0}, not by the one asked for")]
    OtherKey(String),
}

/// The terms of one sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// [`FORMAT`].
    pub format: String,
    /// The contract they are of; terms of the first format do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    /// When it was sold, microseconds UTC since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold_at_us: Option<i64>,
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
    /// The rate bought.
    pub hashrate: Hashrate,
    /// Length of an epoch, microseconds; epoch *n* begins at *n* times this.
    pub epoch_us: u64,
    /// `⌊hashrate · epoch⌋`.
    pub epoch_work: Hashes,
    /// Epochs of the term.
    pub term_epochs: u64,
    /// `epoch_work · term_epochs`: what is bought.
    pub work: Hashes,
    /// What it costs.
    pub price: Money,
    /// By what everything else is computed.
    pub rules: Rules,
}

/// An amount as terms and statements write it: whole minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Of what.
    pub asset: Asset,
    /// How many.
    pub minor: i64,
}

impl From<Amount> for Money {
    fn from(a: Amount) -> Money {
        Money { asset: a.asset, minor: a.minor }
    }
}

/// Everything that is computed in a contract's life, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// How the price came about.
    pub price: PriceRule,
    /// How work becomes earnings.
    pub scheme: SchemeRule,
    /// How an epoch's work is shared out.
    pub allocation: AllocationRule,
    /// What happens to work that was not delivered in its epoch.
    pub shortfall: ShortfallRule,
    /// The operator's part of the earnings.
    pub fee: FeeRule,
    /// What the machines' upkeep costs.
    pub maintenance: MaintenanceRule,
    /// When earnings become balance.
    pub settlement: SettlementRule,
    /// What happens when a block is taken off its chain.
    pub orphan: OrphanRule,
    /// What is given back for work never delivered.
    pub refund: RefundRule,
    /// What happens while the earnings do not cover the upkeep.
    pub unprofitable: UnprofitableRule,
    /// What else may happen in a contract's life; sales from before do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<LifeRules>,
}

/// How the price came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PriceRule {
    /// `max(1, ⌈work · minor / (hashrate · 86,400 s)⌉)`: `minor` is the price of `hashrate` for a day.
    PerHashrateDay {
        /// Minor units of the asset paid.
        minor: u64,
        /// For how much for a day.
        hashrate: Hashrate,
    },
    /// As [`Money`] says; the first format does not say more.
    AsStated,
}

/// How work becomes earnings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SchemeRule {
    /// PPLNS in unit form. The house's units of an epoch are the sum of `⌊work · 2^64 / hashes per block⌋` over its
    /// shares' network targets; a contract has `⌊house units · delivered / house work⌋` of them. A block of reward
    /// *B* pays over the last `X = window_blocks · 2^64` units before its stamp's epoch, back at most
    /// `window_epochs_max` epochs: `⌊B · 2^64 · (own after · t + own in the first epoch · taken) / (X · t)⌋` with *t* all units
    /// of the window's first epoch and *taken* those of them that fill it.
    PplnsUnits {
        /// Blocks' work in a window.
        window_blocks: u64,
        /// How far back it may reach.
        window_epochs_max: u64,
    },
    /// FPPS: an epoch's work is paid at its expectation. For each asset and each network target *T* of the epoch's
    /// jobs `⌊2^64 · A · Σ(W·(S + F)) · (10,000 − fee_bps) / (D · N · 10,000)⌋` of 2^-64 minor units, *A* the work
    /// delivered, *D* the house's, *W* that of it under jobs of a height *h* at *T*, `N = ⌊2^256 / (T + 1)⌋`. *S* is
    /// the subsidy of the block at *h*, `F = ⌊Σ min(fees, fee_cap_minor) / blocks⌋` over the public chain's blocks
    /// `max(1, h − fee_window_blocks)` to `h − 1`, both taken when the chain has `depth_blocks` above *h*. No
    /// later reorganisation and no block found or orphaned changes it.
    Fpps {
        /// The operator's part, within the price.
        fee_bps: u16,
        /// Every asset that the work earns.
        assets: Vec<FppsFigures>,
    },
    /// SOLO: a block that the house finds in an epoch is that of whoever stands at the place
    /// `⌊SHA-256("gruve solo 1" ‖ block hash) · D / 2^256⌋` of the house's work *D* of that epoch (hash in internal byte
    /// order, the digest read as a big-endian number), where SOLO contracts stand first, by id, each with the work
    /// delivered to it: the whole reward. A block at a later place is none of theirs; others share it by PPLNS units.
    Solo {
        /// Blocks' work in the others' window, in which this work does not stand.
        window_blocks: u64,
        /// How far back it may reach.
        window_epochs_max: u64,
    },
}

/// What FPPS is reckoned by in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FppsFigures {
    /// Which.
    pub asset: Asset,
    /// Blocks before a height whose fees are averaged.
    pub fee_window_blocks: u64,
    /// What a block's fees count up to, minor units.
    pub fee_cap_minor: u64,
    /// Blocks above a height after which its price is taken.
    pub depth_blocks: u64,
}

/// How an epoch's work is shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AllocationRule {
    /// With *D* the house's work and *E* the entitlements, each the least of `epoch_work` and what is still undelivered:
    /// everyone gets *E* where `D ≥ ΣE`; else `⌊D·E/ΣE⌋` and the hashes left over one each to the largest remainders.
    /// Contracts of the operator's own come after all others.
    ProRata,
}

/// What happens to work that was not delivered in its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ShortfallRule {
    /// Made good from what the house has beyond all entitlements, before the operator takes any of it: at most
    /// `⌊epoch_work · catch_up_bps / 10,000⌋` an epoch, the oldest shortfall first; until `extension_epochs` after the term.
    MadeGood {
        /// Hundredths of a percent of the rate.
        catch_up_bps: u32,
        /// Epochs after the term.
        extension_epochs: u64,
    },
}

/// The operator's part of the earnings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FeeRule {
    /// At each settlement of each asset `⌊(gross · bps + carried) / 10,000⌋`, at most the gross; the rest of the division
    /// is carried to the next.
    PartOfEarnings {
        /// Hundredths of a percent.
        bps: u16,
    },
}

/// What the machines' upkeep costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaintenanceRule {
    /// Owed is `⌊delivered · fee · 2^64 / (86,400 · 10^12)⌋` of 2^-64 minor units an epoch, `fee` the first of `order`. Of what
    /// is owed the whole minor units are taken at a settlement, after the fee and never below zero: from the first
    /// asset; `⌊rest · its fee / the first fee⌋` from each further one that is settled too; what the last of them does
    /// not cover is waived for ever. Taken from an asset in part, `⌈taken · first fee / its fee⌉` of the rest is covered.
    PerDelivered {
        /// The assets in order, with the minor units of each for a TH·day.
        order: Vec<Upkeep>,
    },
}

/// What a TH·day costs in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upkeep {
    /// In which.
    pub asset: Asset,
    /// How much for `86,400 · 10^12` hashes delivered.
    pub minor_per_th_day: u64,
}

/// When earnings become balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SettlementRule {
    /// When an epoch whose successor's number is a multiple of `epochs` is closed (or such a one was passed over), all whole
    /// minor units of mature blocks that are not settled; fractions of 2^-64 wait. Later while the chain cannot be followed.
    /// With `minimum_minor` above zero nothing is settled of a contract that has not ended, of any asset, while fewer whole
    /// minor units of the lane's own coin wait than that; its upkeep waits as well. At its end all is settled.
    EveryEpochs {
        /// How many.
        epochs: u64,
        /// The minimum payout, in minor units of the lane's own coin.
        #[serde(default, skip_serializing_if = "is_zero")]
        minimum_minor: u64,
    },
    /// The first format does not say when.
    NotStated,
}

/// What happens when a block is taken off its chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OrphanRule {
    /// Its accruals are taken out again. Was more settled than is left, the missing whole minor units (rounded up) come
    /// back, of them `⌊net so far · missing / settled so far⌋` from the customer; what the balance does not hold is the
    /// operator's loss.
    TakenBack,
}

/// What is given back for work never delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RefundRule {
    /// At the hard end `price − ⌊price · delivered / work⌋`, in the asset paid.
    Undelivered,
}

/// What happens while the earnings do not cover the upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum UnprofitableRule {
    /// It mines on; what the upkeep is above the earnings is waived.
    Run,
    /// At every settlement, with the price of the one before: where a TH·day's expected earnings after the fee are below
    /// `upkeep · (1 − hysteresis)`, notice is given and after `notice_epochs` the contract's clock and hard end stand
    /// still; from `upkeep · (1 + hysteresis)` on it runs again. The customer may have it run on. Work that the house
    /// does meanwhile with what the contract would have had is the customer's as far as it earns more than its measured
    /// energy, of which no more than `energy_usd_micro_per_th_day` counts, epoch by epoch.
    Pause {
        /// Hundredths of a percent.
        hysteresis_bps: u16,
        /// Epochs from the notice on.
        notice_epochs: u64,
        /// The most that counts of measured energy, millionths of a dollar for a TH·day.
        energy_usd_micro_per_th_day: u64,
    },
}

/// What else may happen in a contract's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifeRules {
    /// Until when the sale can be taken back.
    pub cancel: CancelRule,
    /// What work is worth that was missed by the operator's doing.
    pub operator_shortfall: OperatorShortfallRule,
    /// Upkeep in dollars, beside that in coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_usd: Option<UsdMaintenanceRule>,
    /// Whose prices count, where dollars are converted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<PricesRule>,
}

/// Until when a sale can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CancelRule {
    /// By the customer, until its first epoch begins: the whole price comes back, in the asset paid. Then not.
    BeforeStart,
}

/// What work is worth that was missed by the operator's doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OperatorShortfallRule {
    /// Of an epoch's missing work the operator's doing is what he recorded as idled or moved, and what the house's work
    /// on other lanes of the algorithm (less the lane's confidence) was above its mean over its own capacity window
    /// before the shortfall began; at most what is missing; each contract's part pro rata of what it missed, rounded
    /// down. For `epochs` from the judgement on the customer chooses: delivered later (also without a choice), or
    /// what it would have earned: for every mature reward *B* whose window holds the epoch `⌊B · part / 8⌋` for each block's
    /// units, less the fee; that work counts as delivered then.
    Choice {
        /// How long.
        epochs: u64,
    },
}

/// Upkeep in dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum UsdMaintenanceRule {
    /// `⌊delivered · micro · 2^64 / (86,400 · 10^12)⌋` of 2^-64 millionths of a dollar in all; what it grew by up to a
    /// settlement's instant is converted at that instant's price, `⌊due · minor units of a coin / price⌋`, and added to
    /// the upkeep in coins, whenever it is made.
    PerDelivered {
        /// Millionths of a dollar for a TH·day.
        micro_per_th_day: u64,
    },
}

/// Whose prices count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PricesRule {
    /// The median (of an even number the lower of the middle two) of what each source said last in the `staleness_secs`
    /// before the instant, where at least `quorum` did; written down once. Without a quorum what needs it waits. With
    /// `outlier_bps`, sources farther than that from this median are left out, and the same holds for those that stay.
    Median {
        /// The sources.
        sources: Vec<String>,
        /// How many of them.
        quorum: u32,
        /// How old.
        staleness_secs: u32,
        /// How far from the median of all a source may be, in hundredths of a percent of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outlier_bps: Option<u32>,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Terms of the first format, as far as they are needed.
#[derive(Deserialize)]
struct Terms1 {
    plan: String,
    plan_version: u32,
    title: String,
    lane: LaneId,
    scheme: String,
    window_blocks: u64,
    window_epochs_max: u64,
    earns: Asset,
    #[serde(default)]
    also_earns: Vec<Asset>,
    hashrate: Hashrate,
    epoch_us: u64,
    epoch_work: Hashes,
    term_epochs: u64,
    work: Hashes,
    price_asset: Asset,
    price_minor: i64,
    fee_bps: u16,
    maintenance_minor_per_th_day: u64,
    #[serde(default)]
    maintenance_also: Vec<(Asset, u64)>,
    catch_up_bps: u32,
    extension_epochs: u64,
}

impl Terms1 {
    fn terms(self) -> Result<Terms, TermsError> {
        if self.scheme != "pplns" {
            let why = format!("the scheme {:?} is not known here", self.scheme);
            return Err(TermsError::Unreadable(why));
        }
        let own = Upkeep { asset: self.earns, minor_per_th_day: self.maintenance_minor_per_th_day };
        let also = self
            .maintenance_also
            .into_iter()
            .map(|(asset, minor_per_th_day)| Upkeep { asset, minor_per_th_day });
        Ok(Terms {
            format: FORMAT_1.to_owned(),
            contract: None,
            sold_at_us: None,
            plan: self.plan,
            plan_version: self.plan_version,
            title: self.title,
            lane: self.lane,
            earns: std::iter::once(self.earns).chain(self.also_earns).collect(),
            hashrate: self.hashrate,
            epoch_us: self.epoch_us,
            epoch_work: self.epoch_work,
            term_epochs: self.term_epochs,
            work: self.work,
            price: Money { asset: self.price_asset, minor: self.price_minor },
            rules: Rules {
                price: PriceRule::AsStated,
                scheme: SchemeRule::PplnsUnits {
                    window_blocks: self.window_blocks,
                    window_epochs_max: self.window_epochs_max,
                },
                allocation: AllocationRule::ProRata,
                shortfall: ShortfallRule::MadeGood {
                    catch_up_bps: self.catch_up_bps,
                    extension_epochs: self.extension_epochs,
                },
                fee: FeeRule::PartOfEarnings { bps: self.fee_bps },
                maintenance: MaintenanceRule::PerDelivered {
                    order: std::iter::once(own).chain(also).collect(),
                },
                settlement: SettlementRule::NotStated,
                orphan: OrphanRule::TakenBack,
                refund: RefundRule::Undelivered,
                unprofitable: UnprofitableRule::Run,
                life: None,
            },
        })
    }
}

fn unreadable(why: &impl std::fmt::Display) -> TermsError {
    TermsError::Unreadable(why.to_string())
}

impl Terms {
    /// Reads canonical bytes of any format there ever was.
    ///
    /// # Errors
    /// [`TermsError::Unreadable`].
    pub fn parse(bytes: &[u8]) -> Result<Terms, TermsError> {
        if bytes.len() > BYTES_MAX {
            return Err(unreadable(&format!("they have more than {BYTES_MAX} bytes")));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| unreadable(&e))?;
        match value.get("format").and_then(Value::as_str) {
            Some(FORMAT) => serde_json::from_value(value).map_err(|e| unreadable(&e)),
            Some(METERED_FORMAT) => {
                let read: Result<MeteredTerms, _> = serde_json::from_value(value);
                Ok(read.map_err(|e| unreadable(&e))?.as_terms())
            }
            Some(FORMAT_1) => {
                serde_json::from_value::<Terms1>(value).map_err(|e| unreadable(&e))?.terms()
            }
            Some(other) => Err(unreadable(&format!("the format {other:?} is not known here"))),
            None => Err(unreadable(&"they name no format")),
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`TermsError::Unreadable`] when they cannot be written, which no terms cause.
    pub fn canonical(&self) -> Result<Vec<u8>, TermsError> {
        serde_json::to_vec(self).map_err(|e| unreadable(&e))
    }
}

#[cfg(test)]
mod tests;
