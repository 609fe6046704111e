//! `[[payout_limit]]`: what leaves in a day without a person, and what takes two.

use super::Fault;
use gruve_treasury::PayoutLimits;
use gruve_units::Asset;
use serde::Deserialize;

/// `[[payout_limit]]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// The asset.
    pub asset: Asset,
    /// Minor units that one customer may ask for in 24 hours without a person's approval.
    #[serde(default)]
    pub customer_day_minor: Option<i64>,
    /// The same of all customers together.
    #[serde(default)]
    pub house_day_minor: Option<i64>,
    /// Payouts above so many minor units take the approval of two people.
    #[serde(default)]
    pub two_approvals_above_minor: Option<i64>,
}

impl LimitConfig {
    /// As the treasury knows it.
    #[must_use]
    pub const fn limits(&self) -> PayoutLimits {
        PayoutLimits {
            asset: self.asset,
            customer_day: self.customer_day_minor,
            house_day: self.house_day_minor,
            two_above: self.two_approvals_above_minor,
        }
    }
}

/// What is wrong with them.
pub(super) fn faults(limits: &[LimitConfig]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, limit) in limits.iter().enumerate() {
        let mut fault = |key: &str, what: &str| {
            faults
                .push(Fault { place: format!("payout_limit[{at}].{key}"), what: what.to_owned() });
        };
        if limits.iter().take(at).any(|l| l.asset == limit.asset) {
            fault("asset", "has limits already");
        }
        let all = [
            ("customer_day_minor", limit.customer_day_minor),
            ("house_day_minor", limit.house_day_minor),
            ("two_approvals_above_minor", limit.two_approvals_above_minor),
        ];
        for (key, minor) in all {
            if minor.is_some_and(|m| m < 0) {
                fault(key, "write 0 (every payout waits) or more");
            }
        }
    }
    faults
}
