//! What is agreed when a metered contract is started, as bytes that both sides can recompute. Pure.

use crate::{MarketError, Plan, Result, Scheme};
use gruve_statement::metered::{METERED_FORMAT, MeterRule, MeteredRules, MeteredTerms, StopRule};
use gruve_statement::terms::{AllocationRule, FeeRule, MaintenanceRule, OrphanRule, Upkeep};
use gruve_units::{ContractId, Hashes, Hashrate, Timestamp};

/// What the terms say beside their plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    pub(super) contract: ContractId,
    pub(super) at: Timestamp,
    pub(super) hashrate: Hashrate,
    pub(super) epoch_work: Hashes,
}

/// The canonical bytes of the terms.
pub(super) fn canonical(plan: &Plan, agreed: &Agreed, settle_every: u64) -> Result<Vec<u8>> {
    let terms = MeteredTerms {
        format: METERED_FORMAT.to_owned(),
        contract: agreed.contract,
        started_at_us: agreed.at.0,
        plan: plan.id.clone(),
        plan_version: plan.version,
        title: plan.title.clone(),
        lane: plan.lane.clone(),
        earns: std::iter::once(plan.asset).chain(plan.also_earns.iter().copied()).collect(),
        hashrate: agreed.hashrate,
        epoch_us: plan.epoch_us,
        epoch_work: agreed.epoch_work,
        pay_asset: plan.price.asset,
        low_balance_epochs: plan.low_balance_epochs,
        rules: rules(plan, settle_every),
    };
    terms.canonical().map_err(|e| MarketError::Broken(format!("terms: {e}")))
}

fn rules(plan: &Plan, settle_every: u64) -> MeteredRules {
    let own = (plan.asset, plan.maintenance_minor_per_th_day);
    let order = std::iter::once(own).chain(plan.maintenance_also.iter().copied());
    MeteredRules {
        meter: MeterRule::HeldBefore {
            minor: plan.price.minor.unsigned_abs(),
            hashrate: plan.price_hashrate,
        },
        stop: StopRule::AtAnyBorder,
        scheme: crate::terms::scheme(plan),
        allocation: AllocationRule::ProRata,
        fee: FeeRule::PartOfEarnings {
            // With FPPS it is in the price of the work.
            bps: if plan.scheme == Scheme::Fpps { 0 } else { plan.fee_bps.get() },
        },
        maintenance: MaintenanceRule::PerDelivered {
            order: order
                .map(|(asset, minor_per_th_day)| Upkeep { asset, minor_per_th_day })
                .collect(),
        },
        settlement: crate::terms::settlement(plan, settle_every),
        orphan: OrphanRule::TakenBack,
    }
}
