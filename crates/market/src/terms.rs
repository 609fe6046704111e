//! What is agreed at a sale, as bytes that both sides can recompute. Pure.

use crate::{MarketError, Plan, Scheme, Unprofitable, pplns};
use gruve_statement::terms::{
    AllocationRule, CancelRule, FORMAT, FeeRule, LifeRules, MaintenanceRule, OperatorShortfallRule,
    OrphanRule, PriceRule, PricesRule, RefundRule, Rules, SchemeRule, SettlementRule,
    ShortfallRule, Terms, UnprofitableRule, Upkeep, UsdMaintenanceRule,
};
use gruve_units::{Amount, ContractId, Duration, Hashes, Hashrate, Timestamp};
use ruint::aliases::U256;

/// What a sale comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Work of one epoch at the bought rate, rounded down.
    pub epoch_work: Hashes,
    /// Work of the whole term.
    pub work: Hashes,
    /// The price, rounded up to a whole minor unit.
    pub price: Amount,
}

/// Prices a hashrate over a term.
///
/// # Errors
/// [`MarketError::HashrateNotOffered`], [`MarketError::TermNotOffered`], [`MarketError::PriceTooLarge`].
pub fn price(plan: &Plan, hashrate: Hashrate, term_epochs: u64) -> Result<Sale, MarketError> {
    let (min, max, step) = (plan.hashrate_min, plan.hashrate_max, plan.hashrate_step);
    let epoch_work = hashrate.work_in(Duration::from_micros(plan.epoch_us));
    if hashrate < min
        || hashrate > max
        || !hashrate.0.is_multiple_of(step.0)
        || epoch_work == Hashes::ZERO
    {
        return Err(MarketError::HashrateNotOffered { min, max, step });
    }
    if !plan.terms_epochs.contains(&term_epochs) {
        return Err(MarketError::TermNotOffered);
    }
    let too_large = || MarketError::PriceTooLarge;
    let work = epoch_work.0.checked_mul(u128::from(term_epochs)).ok_or_else(too_large)?;
    let unit = U256::from(plan.price_hashrate.0) * U256::from(86_400u32);
    let per_unit = u128::try_from(plan.price.minor).map_err(|_| too_large())?;
    let minor = (U256::from(work) * U256::from(per_unit)).div_ceil(unit);
    let minor = i64::try_from(minor).map_err(|_| too_large())?;
    let price = Amount::new(plan.price.asset, minor.max(1));
    Ok(Sale { epoch_work, work: Hashes(work), price })
}

/// What the terms of a sale say beside its plan.
#[derive(Clone, Copy, Debug)]
pub struct Agreed<'a> {
    /// The contract's id.
    pub contract: ContractId,
    /// When it is sold.
    pub at: Timestamp,
    /// The rate.
    pub hashrate: Hashrate,
    /// The term.
    pub term_epochs: u64,
    /// What it comes to.
    pub sale: &'a Sale,
    /// Epochs between settlements.
    pub settle_every: u64,
}

/// The document that is agreed.
#[must_use]
pub fn document(plan: &Plan, agreed: &Agreed<'_>) -> Terms {
    Terms {
        format: FORMAT.to_owned(),
        contract: Some(agreed.contract),
        sold_at_us: Some(agreed.at.0),
        plan: plan.id.clone(),
        plan_version: plan.version,
        title: plan.title.clone(),
        lane: plan.lane.clone(),
        earns: std::iter::once(plan.asset).chain(plan.also_earns.iter().copied()).collect(),
        hashrate: agreed.hashrate,
        epoch_us: plan.epoch_us,
        epoch_work: agreed.sale.epoch_work,
        term_epochs: agreed.term_epochs,
        work: agreed.sale.work,
        price: agreed.sale.price.into(),
        rules: rules(plan, agreed.settle_every),
    }
}

fn rules(plan: &Plan, settle_every: u64) -> Rules {
    let own = (plan.asset, plan.maintenance_minor_per_th_day);
    let order = std::iter::once(own).chain(plan.maintenance_also.iter().copied());
    Rules {
        price: PriceRule::PerHashrateDay {
            minor: plan.price.minor.unsigned_abs(),
            hashrate: plan.price_hashrate,
        },
        scheme: scheme(plan),
        allocation: AllocationRule::ProRata,
        shortfall: ShortfallRule::MadeGood {
            catch_up_bps: plan.catch_up_bps,
            extension_epochs: plan.extension_epochs,
        },
        fee: FeeRule::PartOfEarnings {
            // With FPPS it is in the price of the work.
            bps: if plan.scheme == Scheme::Fpps { 0 } else { plan.fee_bps.get() },
        },
        maintenance: MaintenanceRule::PerDelivered {
            order: order
                .map(|(asset, minor_per_th_day)| Upkeep { asset, minor_per_th_day })
                .collect(),
        },
        settlement: settlement(plan, settle_every),
        orphan: OrphanRule::TakenBack,
        refund: RefundRule::Undelivered,
        unprofitable: unprofitable(plan),
        life: Some(life(plan)),
    }
}

pub(crate) const fn settlement(plan: &Plan, epochs: u64) -> SettlementRule {
    SettlementRule::EveryEpochs { epochs, minimum_minor: plan.life.minimum_payout_minor }
}

fn unprofitable(plan: &Plan) -> UnprofitableRule {
    match plan.life.unprofitable {
        Unprofitable::Run => UnprofitableRule::Run,
        Unprofitable::Pause => UnprofitableRule::Pause {
            hysteresis_bps: plan.life.hysteresis_bps.get(),
            notice_epochs: plan.life.notice_epochs,
            energy_usd_micro_per_th_day: plan.life.energy_usd_micro_per_th_day,
        },
    }
}

fn life(plan: &Plan) -> LifeRules {
    let usd = plan.life.maintenance_usd_micro_per_th_day;
    LifeRules {
        cancel: CancelRule::BeforeStart,
        operator_shortfall: OperatorShortfallRule::Choice { epochs: plan.life.choice_epochs },
        maintenance_usd: (usd > 0)
            .then_some(UsdMaintenanceRule::PerDelivered { micro_per_th_day: usd }),
        prices: plan.prices.as_ref().map(|p| PricesRule::Median {
            sources: p.sources.clone(),
            quorum: p.quorum,
            staleness_secs: p.staleness_secs,
            outlier_bps: p.outlier_bps,
        }),
    }
}

pub(crate) fn scheme(plan: &Plan) -> SchemeRule {
    match plan.scheme {
        Scheme::Pplns => SchemeRule::PplnsUnits {
            window_blocks: pplns::WINDOW_BLOCKS,
            window_epochs_max: plan.window_epochs_max,
        },
        Scheme::Fpps => SchemeRule::Fpps {
            fee_bps: plan.fee_bps.get(),
            assets: plan.fpps.iter().map(|a| (*a).into()).collect(),
        },
        Scheme::Solo => SchemeRule::Solo {
            window_blocks: pplns::WINDOW_BLOCKS,
            window_epochs_max: plan.window_epochs_max,
        },
    }
}

/// The canonical bytes of the terms of a sale; what they hold stands at [`gruve_statement::terms`].
///
/// # Errors
/// [`MarketError::Broken`] when they cannot be written, which no plan causes.
pub fn canonical(plan: &Plan, agreed: &Agreed<'_>) -> Result<Vec<u8>, MarketError> {
    document(plan, agreed).canonical().map_err(|e| MarketError::Broken(e.to_string()))
}

/// SHA-256 of the canonical bytes.
#[must_use]
pub fn hash(canonical: &[u8]) -> [u8; 32] {
    gruve_statement::terms::hash(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::{Asset, Bps};

    fn plan() -> Plan {
        Plan {
            id: "small".into(),
            version: 1,
            lane: "btc".parse().unwrap(),
            asset: Asset::Btc,
            also_earns: Vec::new(),
            maintenance_also: Vec::new(),
            pay_asset: Asset::Btc,
            title: "Small".into(),
            hashrate_min: Hashrate(1_000),
            hashrate_max: Hashrate(1_000_000),
            hashrate_step: Hashrate(500),
            terms_epochs: vec![12, 24],
            epoch_us: 600_000_000,
            price: Amount::new(Asset::Btc, 1_000),
            price_hashrate: Hashrate(1_000),
            fee_bps: Bps::new(200).unwrap(),
            maintenance_minor_per_th_day: 3,
            catch_up_bps: 10_000,
            extension_epochs: 12,
            kind: crate::PlanKind::Lease,
            low_balance_epochs: 144,
            scheme: crate::Scheme::Pplns,
            fpps: Vec::new(),
            fpps_ruin_ppm: 0,
            window_epochs_max: 1_000,
            life: crate::PlanLife::default(),
            prices: None,
            hosted: None,
        }
    }

    #[test]
    fn a_day_at_the_priced_rate_costs_the_price() {
        let p = Plan { terms_epochs: vec![144], ..plan() };
        let sale = price(&p, Hashrate(1_000), 144).unwrap();
        assert_eq!(sale.price.minor, 1_000);
        assert_eq!(sale.work, Hashes(86_400_000));
        assert_eq!(price(&p, Hashrate(2_000), 144).unwrap().price.minor, 2_000);
    }

    #[test]
    fn parts_of_a_minor_unit_are_rounded_up() {
        assert_eq!(price(&plan(), Hashrate(1_000), 12).unwrap().price.minor, 84);
        let cheap = Plan { price: Amount::new(Asset::Btc, 1), ..plan() };
        assert_eq!(price(&cheap, Hashrate(1_000), 12).unwrap().price.minor, 1);
    }

    #[test]
    fn only_what_the_plan_offers_is_sold() {
        let refused = |h, t| price(&plan(), Hashrate(h), t).is_err();
        assert!(refused(999, 12) && refused(1_000_500, 12) && refused(1_001, 12));
        assert!(refused(0, 12) && refused(u128::MAX, 12) && refused(1_000, 13));
        let dear = Plan { price: Amount::new(Asset::Btc, i64::MAX), ..plan() };
        assert!(matches!(price(&dear, Hashrate(1_000_000), 24), Err(MarketError::PriceTooLarge)));
    }

    fn written(p: &Plan) -> String {
        let sale = price(p, Hashrate(1_000), 12).unwrap();
        let agreed = Agreed {
            contract: ContractId::from_bytes([5; 16]),
            at: Timestamp(77),
            hashrate: Hashrate(1_000),
            term_epochs: 12,
            sale: &sale,
            settle_every: 144,
        };
        String::from_utf8(canonical(p, &agreed).unwrap()).unwrap()
    }

    #[test]
    fn terms_name_every_rule_and_change_with_each() {
        let text = written(&plan());
        assert!(text.starts_with(r#"{"format":"gruve lease terms 2","contract":""#), "{text}");
        let other = Plan { fee_bps: Bps::new(201).unwrap(), ..plan() };
        assert_ne!(hash(text.as_bytes()), hash(written(&other).as_bytes()));
        let read = Terms::parse(text.as_bytes()).unwrap();
        assert_eq!(
            read.rules.settlement,
            SettlementRule::EveryEpochs { epochs: 144, minimum_minor: 0 }
        );
        assert!(!text.contains("minimum_minor"), "terms without a minimum are what they were");
        assert_eq!(read.canonical().unwrap(), text.as_bytes());
    }

    #[test]
    fn terms_of_a_merge_mined_lane_name_all_it_earns_and_the_order_of_fees() {
        let both = Plan {
            also_earns: vec![Asset::Doge],
            maintenance_also: vec![(Asset::Doge, 2_000)],
            ..plan()
        };
        let told = written(&both);
        assert!(told.contains(r#""earns":["BTC","DOGE"],"#), "{told}");
        let order = r#""order":[{"asset":"BTC","minor_per_th_day":3},{"asset":"DOGE","minor_per_th_day":2000}]"#;
        assert!(told.contains(order), "{told}");
    }
}
