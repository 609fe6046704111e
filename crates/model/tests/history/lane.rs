//! What is sold on the history's lane, and what the model is told of it.

use super::{OPERATOR, SOURCES};
use crate::observed::ASSETS;
use crate::world::{self, EPOCH_SECS, someone};
use gruve_market::{
    AuxConfig, FppsAsset, FppsConfig, MaintenanceIn, MarketConfig, PlanConfig, PlanKind, PlanLife,
    PriceRules, PriceSourceConfig, Scheme, Unprofitable,
};
use gruve_model::{FppsTerms, Lane, PauseTerms, Terms};
use gruve_units::{Bps, Hashrate};

const AUX_MATURITY: u64 = world::MATURITY + 3;
const OUTSIDE_FEE_BPS: u16 = 130;
const STALENESS_SECS: u32 = 15;
const QUORUM: u32 = 2;
/// Of the prices that are told some are farther than this from the middle one.
const OUTLIER_BPS: u32 = 8_000;

pub(crate) fn config(settle_every: u64) -> MarketConfig {
    let mut config = world::config();
    config.lanes[0].aux = vec![AuxConfig { asset: ASSETS[1], coinbase_maturity: AUX_MATURITY }];
    config.lanes[0].settle_every_epochs = settle_every;
    config.lanes[0].outside_fee_bps = Bps::new(OUTSIDE_FEE_BPS).unwrap();
    config.operator_accounts = [someone(OPERATOR)].into();
    config.lanes[0].capacity_window_epochs = 8;
    config.unpaid_per_account_max = 20;
    let source = |name: &&str| PriceSourceConfig {
        name: (*name).into(),
        asset: ASSETS[0],
        url: None,
        pointer: String::new(),
    };
    let sources = SOURCES.iter().map(source).collect();
    config.prices = PriceRules {
        quorum: QUORUM,
        staleness_secs: STALENESS_SECS,
        outlier_bps: Some(OUTLIER_BPS),
        sources,
        ..PriceRules::default()
    };
    config.plans = plans();
    config
}

/// What must wait of a contract of the other plan before it is paid.
const MINIMUM: u64 = 100_000;

/// What is agreed of every contract's life: little time to choose in.
fn life() -> PlanLife {
    PlanLife { choice_epochs: 4, ..PlanLife::default() }
}

fn plans() -> Vec<PlanConfig> {
    let lease = PlanConfig {
        price_minor: 86_399_999,
        price_hashrate: Hashrate(100_000),
        fee_bps: Bps::new(233).unwrap(),
        // So that no epoch's work makes a whole hash of it.
        catch_up_bps: 5_001,
        maintenance_minor_per_th_day: 900_000_000_000_000,
        maintenance_also: vec![MaintenanceIn {
            asset: ASSETS[1],
            minor_per_th_day: 1_700_000_000_000_001,
        }],
        life: life(),
        ..world::plan()
    };
    let other = PlanConfig {
        id: "other".into(),
        pay_asset: Some(ASSETS[1]),
        price_minor: 7_777_777,
        terms_epochs: vec![5, 11],
        fee_bps: Bps::new(77).unwrap(),
        maintenance_minor_per_th_day: 90_000_000_000_001,
        catch_up_bps: 20_000,
        extension_epochs: Some(2),
        // Some settlements come to it, some wait.
        life: PlanLife { minimum_payout_minor: MINIMUM, ..life() },
        ..world::plan()
    };
    let asset = |asset, fee_window_blocks, fee_cap_minor, depth_blocks| FppsAsset {
        asset,
        fee_window_blocks,
        fee_cap_minor,
        depth_blocks,
    };
    let assets = vec![asset(ASSETS[0], 10, 50_001, 2), asset(ASSETS[1], 7, 30_003, 3)];
    let fpps = PlanConfig {
        id: "fpps".into(),
        scheme: Scheme::Fpps,
        fpps: Some(FppsConfig { ruin_ppm: 100_000, assets }),
        fee_bps: Bps::new(1_013).unwrap(),
        ..lease.clone()
    };
    let solo = PlanConfig { id: "solo".into(), scheme: Scheme::Solo, ..lease.clone() };
    let dollars = PlanConfig {
        id: "dollars".into(),
        maintenance_minor_per_th_day: 900_000_000_000,
        life: PlanLife { maintenance_usd_micro_per_th_day: 999_999_999_999, ..life() },
        ..lease.clone()
    };
    let pausing = PlanConfig {
        id: "pausing".into(),
        life: PlanLife {
            unprofitable: Unprofitable::Pause,
            hysteresis_bps: Bps::new(4_000).unwrap(),
            notice_epochs: 2,
            energy_usd_micro_per_th_day: 987_654_321_098,
            ..life()
        },
        ..lease.clone()
    };
    let by_meter = |id: &str, of: &PlanConfig| PlanConfig {
        id: id.into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        price_minor: 77_777_777,
        ..of.clone()
    };
    let meters = [by_meter("m", &lease), by_meter("m-fpps", &fpps), by_meter("m-solo", &solo)];
    [lease, other, fpps, solo, dollars, pausing].into_iter().chain(meters).collect()
}

/// What the model is told of the same lane.
pub(crate) fn model_lane(settle_every: u64) -> Lane {
    Lane {
        maturity: vec![world::MATURITY, AUX_MATURITY],
        epoch_us: EPOCH_SECS * 1_000_000,
        settle_every,
        outside_fee_bps: OUTSIDE_FEE_BPS,
        window_epochs_max: 1_000,
        operator_accounts: vec![someone(OPERATOR).to_bytes()],
        prices: gruve_model::PriceRules {
            quorum: QUORUM as usize,
            staleness: i64::from(STALENESS_SECS) * 1_000_000,
            outlier_bps: Some(OUTLIER_BPS),
        },
        coin: 100_000_000,
    }
}

pub(super) fn scheme(plan: &PlanConfig) -> gruve_model::Scheme {
    let terms = |t: &FppsAsset| FppsTerms {
        asset: usize::from(t.asset == ASSETS[1]),
        window: t.fee_window_blocks,
        cap: t.fee_cap_minor,
        depth: t.depth_blocks,
    };
    match plan.scheme {
        Scheme::Pplns => gruve_model::Scheme::Pplns,
        Scheme::Solo => gruve_model::Scheme::Solo,
        Scheme::Fpps => {
            gruve_model::Scheme::Fpps(plan.fpps.iter().flat_map(|f| &f.assets).map(terms).collect())
        }
    }
}

pub(super) fn maintenance(plan: &PlanConfig) -> Vec<(usize, u64)> {
    let also = plan.maintenance_also.iter().map(|m| (1, m.minor_per_th_day));
    std::iter::once((0, plan.maintenance_minor_per_th_day)).chain(also).collect()
}

pub(super) fn model_terms(plan: &PlanConfig, rate: u128, term: u64) -> Terms {
    Terms {
        scheme: scheme(plan),
        usd_micro: plan.life.maintenance_usd_micro_per_th_day,
        pause: (plan.life.unprofitable == Unprofitable::Pause).then_some(PauseTerms {
            hysteresis_bps: plan.life.hysteresis_bps.get(),
            notice: plan.life.notice_epochs,
            energy_micro: plan.life.energy_usd_micro_per_th_day,
        }),
        hashrate: rate,
        term,
        extension: plan.extension(),
        catch_up_bps: plan.catch_up_bps,
        price_asset: usize::from(plan.pay_asset.is_some()),
        price_minor: plan.price_minor,
        price_hashrate: plan.price_hashrate.0,
        fee_bps: plan.fee_bps.get(),
        maintenance: maintenance(plan),
        choice_epochs: plan.life.choice_epochs,
        minimum_minor: plan.life.minimum_payout_minor,
    }
}
