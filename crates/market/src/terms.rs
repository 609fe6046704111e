//! What is agreed at a sale, as bytes that both sides can recompute. Pure.

use crate::{MarketError, Plan, pplns};
use gruve_units::{Amount, Duration, Hashes, Hashrate};
use ruint::aliases::U256;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The terms of one sale. The canonical bytes are its JSON with the fields in this order and no spaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Terms<'a> {
    format: &'static str,
    plan: &'a str,
    plan_version: u32,
    title: &'a str,
    lane: &'a str,
    scheme: &'static str,
    window_blocks: u128,
    window_epochs_max: u64,
    earns: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also_earns: Vec<&'static str>,
    hashrate: Hashrate,
    epoch_us: u64,
    epoch_work: Hashes,
    term_epochs: u64,
    work: Hashes,
    price_asset: &'static str,
    price_minor: i64,
    fee_bps: u16,
    maintenance_minor_per_th_day: u64,
    maintenance_rule: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    maintenance_also: Vec<(&'static str, u64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance_order_rule: Option<&'static str>,
    catch_up_bps: u32,
    extension_epochs: u64,
    refund_rule: &'static str,
    unprofitable_rule: &'static str,
}

/// How maintenance is taken from several assets.
const ORDER_RULE: &str = "taken first from what is settled of the asset earned, then from each asset of \
    maintenance_also in this order: floor(rest * its fee / the first fee); what the last does not cover is waived";

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

/// The canonical bytes of the terms of a sale.
///
/// # Errors
/// [`MarketError::Broken`] when they cannot be written, which no plan causes.
pub fn canonical(
    plan: &Plan,
    hashrate: Hashrate,
    term_epochs: u64,
    sale: &Sale,
) -> Result<Vec<u8>, MarketError> {
    let terms = Terms {
        format: "gruve lease terms 1",
        plan: &plan.id,
        plan_version: plan.version,
        title: &plan.title,
        lane: plan.lane.as_str(),
        scheme: plan.scheme,
        window_blocks: pplns::WINDOW_BLOCKS,
        window_epochs_max: plan.window_epochs_max,
        earns: plan.asset.code(),
        also_earns: plan.also_earns.iter().map(|a| a.code()).collect(),
        hashrate,
        epoch_us: plan.epoch_us,
        epoch_work: sale.epoch_work,
        term_epochs,
        work: sale.work,
        price_asset: sale.price.asset.code(),
        price_minor: sale.price.minor,
        fee_bps: plan.fee_bps.get(),
        maintenance_minor_per_th_day: plan.maintenance_minor_per_th_day,
        maintenance_rule: "floor(delivered * maintenance / 86400e12 hashes), taken from earnings, never below zero",
        maintenance_also: plan.maintenance_also.iter().map(|(a, m)| (a.code(), *m)).collect(),
        maintenance_order_rule: (!plan.maintenance_also.is_empty()).then_some(ORDER_RULE),
        catch_up_bps: plan.catch_up_bps,
        extension_epochs: plan.extension_epochs,
        refund_rule: "price - floor(price * delivered / work) at the hard end",
        unprofitable_rule: "run",
    };
    serde_json::to_vec(&terms).map_err(|e| MarketError::Broken(format!("terms: {e}")))
}

/// SHA-256 of the canonical bytes.
#[must_use]
pub fn hash(canonical: &[u8]) -> [u8; 32] {
    Sha256::digest(canonical).into()
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
            scheme: "pplns",
            window_epochs_max: 1_000,
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

    #[test]
    fn terms_name_every_rule_and_change_with_each() {
        let p = plan();
        let sale = price(&p, Hashrate(1_000), 12).unwrap();
        let bytes = canonical(&p, Hashrate(1_000), 12, &sale).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.starts_with(r#"{"format":"gruve lease terms 1","plan":"small""#), "{text}");
        let other = Plan { fee_bps: Bps::new(201).unwrap(), ..p };
        let changed = canonical(&other, Hashrate(1_000), 12, &sale).unwrap();
        assert_ne!(hash(&bytes), hash(&changed));
    }

    #[test]
    fn terms_of_a_merge_mined_lane_name_all_it_earns_and_the_order_of_fees() {
        let p = plan();
        let sale = price(&p, Hashrate(1_000), 12).unwrap();
        let text = |p: &Plan| {
            String::from_utf8(canonical(p, Hashrate(1_000), 12, &sale).unwrap()).unwrap()
        };
        assert!(!text(&p).contains("also"), "terms of before are the same bytes");
        let both = Plan {
            also_earns: vec![Asset::Doge],
            maintenance_also: vec![(Asset::Doge, 2_000)],
            ..p
        };
        let told = text(&both);
        assert!(told.contains(r#""earns":"BTC","also_earns":["DOGE"],"#), "{told}");
        assert!(
            told.contains(r#""maintenance_also":[["DOGE",2000]],"maintenance_order_rule":"#),
            "{told}"
        );
    }
}
