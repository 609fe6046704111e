//! What the test's house sells, and by which rules its lanes run.

use super::{EPOCH, MATURITY};
use gruve_market::{LaneConfig, MarketConfig, PlanConfig};
use gruve_units::{Algorithm, Asset, Bps, Duration, EpochRule, Hashrate, LaneId};

pub(super) fn rule() -> EpochRule {
    EpochRule::new(EPOCH, Duration::from_secs(1)).unwrap()
}

pub(super) fn lane_config(lane: &LaneId, asset: Asset, algorithm: Algorithm) -> LaneConfig {
    LaneConfig {
        lane: lane.clone(),
        asset,
        aux: Vec::new(),
        algorithm,
        epoch_rule: rule(),
        coinbase_maturity: MATURITY,
        settle_every_epochs: 1,
        capacity_window_epochs: 6,
        capacity_confidence_tenths: 30,
        capacity_reserve_bps: Bps::new(1_000).unwrap(),
        outside_fee_bps: Bps::new(100).unwrap(),
        pplns_epochs_max: 1_000,
        quote_difficulty_bps: Bps::ZERO,
    }
}

fn plan(id: &str, title: &str, lane: &LaneId, fee: u16) -> PlanConfig {
    PlanConfig {
        id: id.to_owned(),
        lane: lane.clone(),
        title: title.to_owned(),
        hashrate_min: Hashrate(10_000),
        hashrate_max: Hashrate(1_000_000),
        hashrate_step: Hashrate(10_000),
        terms_epochs: vec![6, 30, 60],
        pay_asset: None,
        price_minor: 40_000_000_000,
        price_hashrate: Hashrate(1_000_000),
        kind: gruve_market::PlanKind::Lease,
        low_balance_epochs: None,
        scheme: gruve_market::Scheme::Pplns,
        fpps: None,
        fee_bps: Bps::new(fee).unwrap(),
        maintenance_minor_per_th_day: 0,
        maintenance_also: Vec::new(),
        catch_up_bps: 10_000,
        extension_epochs: Some(12),
        life: gruve_market::PlanLife::default(),
        hosted: None,
    }
}

/// A plan of machines.
fn machine_plan(lane: &LaneId) -> PlanConfig {
    let none = Hashrate::ZERO;
    PlanConfig {
        kind: gruve_market::PlanKind::Hosted,
        hashrate_min: none,
        hashrate_max: none,
        hashrate_step: none,
        price_hashrate: none,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        price_minor: 1_000_000,
        life: gruve_market::PlanLife {
            minimum_payout_minor: 5_000,
            ..gruve_market::PlanLife::default()
        },
        hosted: Some(gruve_market::HostedConfig {
            model: "S21".to_owned(),
            ownership: gruve_market::Ownership::Sold,
            bill_asset: None,
            energy_minor_per_kwh: 100,
            fee_minor_per_day: 2_000,
            level_bps: Bps::new(9_500).unwrap(),
            pays_from: gruve_market::PaysFrom::Earnings,
            term_epochs: 60,
        }),
        ..plan("btc-s21", "Bitcoin S21", lane, 0)
    }
}

/// What the house sells on a lane each of Bitcoin and Litecoin.
pub(super) fn on_offer(btc: &LaneId, ltc: &LaneId) -> MarketConfig {
    MarketConfig {
        lanes: vec![
            lane_config(btc, Asset::Btc, Algorithm::Sha256d),
            lane_config(ltc, Asset::Ltc, Algorithm::Scrypt),
        ],
        plans: vec![
            plan("btc-lease", "Bitcoin lease", btc, 250),
            PlanConfig {
                maintenance_minor_per_th_day: 1_000,
                ..plan("ltc-lease", "Litecoin lease", ltc, 300)
            },
            PlanConfig {
                kind: gruve_market::PlanKind::Metered,
                terms_epochs: Vec::new(),
                extension_epochs: None,
                ..plan("btc-meter", "Bitcoin by the meter", btc, 250)
            },
            machine_plan(btc),
        ],
        quote_secs: 300,
        unpaid_per_account_max: 5,
        unpaid_new_bps: gruve_market::UNPAID_NEW_BPS,
        operator_accounts: std::collections::BTreeSet::new(),
        quotes: gruve_market::QuoteRules::default(),
        prices: gruve_market::PriceRules::default(),
    }
}
