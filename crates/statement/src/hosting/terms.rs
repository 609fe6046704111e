//! What is agreed of a hosted machine, as exact bytes that the operator signs.

use crate::terms::TermsError;
use gruve_units::{Asset, Bps, Hashrate, LaneId};
use serde::{Deserialize, Serialize};

/// The form of the terms that is written.
pub const HOSTING_TERMS: &str = "gruve-hosting-terms-3";
/// The form from before contracts could be ended within their term.
pub const HOSTING_TERMS_2: &str = "gruve-hosting-terms-2";
/// The form from before there were plans of machines: without a term, a minimum and the epoch's length.
pub const HOSTING_TERMS_1: &str = "gruve-hosting-terms-1";

/// How energy is counted and priced.
pub const ENERGY_RULE: &str = "each reading of watts counts until the next one, at most 300 s; what no reading covers is \
    not billed; floor(price * microjoules / 3.6e12) with the fraction carried";
/// How the fee is priced.
pub const FEE_RULE: &str = "floor(fee * microseconds / 8.64e10) with the fraction carried";
/// What a machine that stands still costs the operator.
pub const LEVEL_RULE: &str = "half is floor(nameplate * seconds / 2) of an epoch, work what the machine's shares prove in it, \
    luck floor(sqrt(9 * floor(half * sum of the squares of the shares' work / work))); an epoch is up for floor(its length * \
    min(half, work + luck) / half), at most its length less the time it claimed under half its nameplate, and not if \
    work is 0; credit = ceil(fee * (level - up) / level) of each bill";
/// The same from before work was held against the nameplate; contracts that have it keep it.
pub const LEVEL_RULE_1: &str = "an epoch is up if the machine's shares prove any work in it, less the time it claimed under \
    half its nameplate; credit = ceil(fee * (level - up) / level) of each bill";

/// How a contract ends, and what becomes of what is owed then.
pub const END_RULE: &str = "either side may end it at any border of epochs; ended by the operator, ceil(back * epochs left / \
    epochs of the term) comes back; what is owed at the end is taken from the balance for 365 days";

/// What of a machine's earnings the operator keeps.
pub const EARNINGS_RULE: &str = "of what the owner's machines on the lane earn floor((gross * fee + carried) / 10000) is kept at \
    most, of a block that pays the owner itself floor(block * fee / 10000), while the contract runs and of what is credited in the 365 days after";

/// What is agreed of a machine. Its canonical bytes are its JSON with the fields in this order and no spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostingTerms {
    /// [`HOSTING_TERMS`].
    pub format: String,
    /// The maker's number.
    pub serial: String,
    /// The maker's name for it.
    pub model: String,
    /// The lane it works for.
    pub lane: LaneId,
    /// What its maker promises.
    pub nameplate: Hashrate,
    /// What its maker says it draws, in watts.
    pub nameplate_watts: u32,
    /// `sold` or `leased`.
    pub kind: String,
    /// `pplns` or `solo`.
    pub scheme: String,
    /// `earnings` or `balance`: what bills are taken from.
    pub pay_from: String,
    /// What bills are in. From earnings: an asset that the lane earns.
    pub asset: Asset,
    /// A kilowatt-hour, in minor units.
    pub energy_minor_per_kwh: i64,
    /// [`ENERGY_RULE`].
    pub energy_rule: String,
    /// A day of hosting, in minor units.
    pub fee_minor_per_day: i64,
    /// [`FEE_RULE`].
    pub fee_rule: String,
    /// The promised part of the time; zero promises nothing.
    pub service_level_bps: u16,
    /// [`LEVEL_RULE`] or [`LEVEL_RULE_1`].
    pub service_level_rule: String,
    /// What the price is in.
    pub price_asset: Asset,
    /// What is paid at once.
    pub price_minor: i64,
    /// Length of an epoch of the lane, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_us: Option<u64>,
    /// After so many epochs it ends by itself; without, when the operator ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term_epochs: Option<u64>,
    /// Earnings go to the payout address once so many minor units of the lane's own coin wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_payout_minor: Option<i64>,
    /// The plan that it was ordered by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_version: Option<u32>,
    /// It ends before this epoch: of a contract with a term that was handed on, in place of the term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_epoch: Option<u64>,
    /// [`END_RULE`]; without it only a contract without a term is ended, by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_rule: Option<String>,
    /// What the operator was paid for a lease's whole term, of which he gives back what is left when he ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Back>,
    /// The fee of [`EARNINGS_RULE`]; without it, in contracts from before, the lane's that stands at each settlement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earnings_fee_bps: Option<u16>,
    /// [`EARNINGS_RULE`], with the fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earnings_rule: Option<String>,
}

/// What the operator was paid for the use of a machine for a whole term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Back {
    /// In which asset.
    pub asset: Asset,
    /// How much.
    pub minor: i64,
    /// For how many epochs.
    pub epochs: u64,
}

impl Back {
    /// What comes back for so many epochs that are left of the term: `⌈minor · left / epochs⌉`.
    ///
    /// # Errors
    /// When more is left than there was, or nothing was sold.
    pub fn of(&self, left: u64) -> Result<i64, String> {
        if self.epochs == 0 || left > self.epochs {
            return Err("more is left than the whole term".to_owned());
        }
        let minor = u128::try_from(self.minor).map_err(|_| "a price is negative".to_owned())?;
        let back = (minor * u128::from(left)).div_ceil(u128::from(self.epochs));
        // At most the whole price.
        i64::try_from(back).map_err(|_| "an amount does not fit".to_owned())
    }
}

impl HostingTerms {
    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`TermsError::Unreadable`], also for rules that are not known here.
    pub fn parse(bytes: &[u8]) -> Result<HostingTerms, TermsError> {
        let unreadable = |why: String| TermsError::Unreadable(why);
        let terms: HostingTerms =
            serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
        if ![HOSTING_TERMS, HOSTING_TERMS_2, HOSTING_TERMS_1].contains(&terms.format.as_str()) {
            return Err(unreadable(format!("the format {:?} is not known here", terms.format)));
        }
        let level = match terms.service_level_rule.as_str() {
            LEVEL_RULE_1 => LEVEL_RULE_1,
            _ => LEVEL_RULE,
        };
        let rules = [
            (&terms.energy_rule, ENERGY_RULE),
            (&terms.fee_rule, FEE_RULE),
            (&terms.service_level_rule, level),
        ];
        if let Some((said, _)) = rules.iter().find(|(said, known)| said.as_str() != *known) {
            return Err(unreadable(format!("the rule {said:?} is not known here")));
        }
        if let Some(said) = terms.end_rule.as_ref().filter(|said| *said != END_RULE) {
            return Err(unreadable(format!("the rule {said:?} is not known here")));
        }
        match (terms.earnings_fee_bps, terms.earnings_rule.as_deref()) {
            (None, None) => {}
            (Some(fee), Some(EARNINGS_RULE)) if fee <= Bps::ONE => {}
            (fee, said) => {
                let fee = fee.map_or("none".to_owned(), |fee| fee.to_string());
                return Err(unreadable(format!(
                    "the fee {fee} by the rule {said:?} is not known here"
                )));
            }
        }
        if terms.energy_minor_per_kwh < 0 || terms.fee_minor_per_day < 0 {
            return Err(unreadable("a price is negative".into()));
        }
        if !["earnings", "balance"].contains(&terms.pay_from.as_str()) {
            return Err(unreadable(format!("bills are taken from {:?}", terms.pay_from)));
        }
        if let Some(back) = &terms.back {
            let own = (terms.price_asset, terms.price_minor);
            let is_whole = terms
                .term_epochs
                .is_none_or(|term| (back.asset, back.minor, back.epochs) == (own.0, own.1, term));
            if terms.kind != "leased" || back.minor < 0 || back.epochs == 0 || !is_whole {
                return Err(unreadable("what would come back is not what was paid".into()));
            }
        }
        Ok(terms)
    }

    /// Whether these are bytes of such terms, of whatever form.
    #[must_use]
    pub fn are_in(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Form {
            format: String,
        }
        serde_json::from_str::<Form>(text)
            .is_ok_and(|f| f.format.starts_with("gruve-hosting-terms-"))
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// When they cannot be written, which no terms cause.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Before which epoch it ends by itself, beginning with `start`.
    #[must_use]
    pub fn term_end(&self, start: u64) -> Option<u64> {
        self.until_epoch.or(self.term_epochs.map(|term| start.saturating_add(term)))
    }
}
