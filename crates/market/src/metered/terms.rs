//! What is agreed when a metered contract is started, as bytes that both sides can recompute. Pure.

use crate::{MarketError, Plan, Result};
use gruve_statement::terms::SchemeRule;
use gruve_units::{Hashes, Hashrate};
use serde::Serialize;

/// The canonical bytes are its JSON with the fields in this order and no spaces.
#[derive(Serialize)]
struct Terms<'a> {
    format: &'static str,
    plan: &'a str,
    plan_version: u32,
    title: &'a str,
    lane: &'a str,
    scheme: SchemeRule,
    earns: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_earns: Vec<&'static str>,
    hashrate: Hashrate,
    epoch_us: u64,
    epoch_work: Hashes,
    price_asset: &'static str,
    price_minor: i64,
    price_hashrate: Hashrate,
    price_rule: &'static str,
    hold_rule: &'static str,
    stop_rule: &'static str,
    low_balance_epochs: u64,
    fee_bps: u16,
    maintenance_minor_per_th_day: u64,
    maintenance_rule: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintenance_also: Vec<(&'static str, u64)>,
}

const PRICE_RULE: &str = "price_minor and price_hashrate are those of the start; for each epoch they are the plan's \
    when its hold is made, before it begins, and do not change after it; an epoch costs floor(2^64 * delivered * \
    price_minor / (price_hashrate * 86400)) of 2^-64 minor units, whole minor units are charged, the rest is carried";

const HOLD_RULE: &str = "ceil(epoch_work * price_minor / (price_hashrate * 86400)) of the balance is held for an epoch \
    before it begins; when there is less, all there is, and no more work is given than floor(held * price_hashrate * \
    86400 / price_minor); what is not charged comes back at its close; no hold, no work";

const STOP_RULE: &str = "either side may end it at an epoch border; holds of epochs that have not begun come back at \
    once; it stops by itself without a balance and goes on after a top-up while its rate is for sale";

/// The canonical bytes of the terms.
pub(super) fn canonical(plan: &Plan, hashrate: Hashrate, epoch_work: Hashes) -> Result<Vec<u8>> {
    let terms = Terms {
        format: "gruve metered terms 1",
        plan: &plan.id,
        plan_version: plan.version,
        title: &plan.title,
        lane: plan.lane.as_str(),
        scheme: crate::terms::scheme(plan),
        earns: plan.asset.code(),
        also_earns: plan.also_earns.iter().map(|a| a.code()).collect(),
        hashrate,
        epoch_us: plan.epoch_us,
        epoch_work,
        price_asset: plan.price.asset.code(),
        price_minor: plan.price.minor,
        price_hashrate: plan.price_hashrate,
        price_rule: PRICE_RULE,
        hold_rule: HOLD_RULE,
        stop_rule: STOP_RULE,
        low_balance_epochs: plan.low_balance_epochs,
        fee_bps: plan.fee_bps.get(),
        maintenance_minor_per_th_day: plan.maintenance_minor_per_th_day,
        maintenance_rule: "floor(delivered * maintenance / 86400e12 hashes), taken from earnings, never below zero",
        maintenance_also: plan.maintenance_also.iter().map(|(a, m)| (a.code(), *m)).collect(),
    };
    serde_json::to_vec(&terms).map_err(|e| MarketError::Broken(format!("terms: {e}")))
}
