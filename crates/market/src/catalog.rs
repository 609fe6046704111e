//! The plans on offer: from the file and what was said since to numbered versions.

use crate::sql;
use crate::{LaneConfig, Market, MarketError, Plan, PlanConfig, PlanPrices, PriceRules, Result};
use gruve_store::{Tx, params, transact};
use gruve_units::{Amount, Asset, Bps, Timestamp};
use serde::Serialize;

/// A configured plan as version `version`.
fn plan_of(
    config: &PlanConfig,
    lane: &LaneConfig,
    prices: &PriceRules,
    version: u32,
) -> Result<Plan> {
    let pay_asset = config.pay_asset.unwrap_or(lane.asset);
    let minor = i64::try_from(config.price_minor).map_err(|_| MarketError::PriceTooLarge)?;
    Ok(Plan {
        id: config.id.clone(),
        version,
        lane: lane.lane.clone(),
        asset: lane.asset,
        also_earns: lane.assets().skip(1).collect(),
        pay_asset,
        title: config.title.clone(),
        hashrate_min: config.hashrate_min,
        hashrate_max: config.hashrate_max,
        hashrate_step: config.hashrate_step,
        terms_epochs: config.terms_epochs.clone(),
        epoch_us: lane.epoch_rule.length_us,
        price: Amount::new(pay_asset, minor),
        price_hashrate: config.price_hashrate,
        // Of what own machines earn the lane's fee is kept: the same for all of its plans.
        fee_bps: if config.hosted.is_some() { lane.outside_fee_bps } else { config.fee_bps },
        maintenance_minor_per_th_day: config.maintenance_minor_per_th_day,
        maintenance_also: config
            .maintenance_also
            .iter()
            .map(|m| (m.asset, m.minor_per_th_day))
            .collect(),
        catch_up_bps: config.catch_up_bps,
        extension_epochs: config.extension(),
        kind: config.kind,
        low_balance_epochs: config.low_balance(),
        scheme: config.scheme,
        fpps: config.fpps.as_ref().map(|f| f.assets.clone()).unwrap_or_default(),
        fpps_ruin_ppm: config.fpps.as_ref().map_or(0, |f| f.ruin_ppm),
        window_epochs_max: lane.pplns_epochs_max,
        life: config.life.clone(),
        prices: config.life.needs_price().then(|| prices_of(prices, lane.asset)),
        hosted: config.hosted.clone(),
    })
}

fn prices_of(prices: &PriceRules, asset: Asset) -> PlanPrices {
    PlanPrices {
        sources: prices.names(asset).into_iter().map(str::to_owned).collect(),
        quorum: prices.quorum,
        staleness_secs: prices.staleness_secs,
        outlier_bps: prices.outlier_bps,
    }
}

/// What a plan says, as stored: two alike are the same version.
#[derive(Serialize)]
struct Body<'a> {
    plan: &'a PlanConfig,
    earns: Asset,
    #[serde(skip_serializing_if = "<[Asset]>::is_empty")]
    also_earns: &'a [Asset],
    paid_in: Asset,
    epoch_us: u64,
    extension_epochs: u64,
    window_epochs_max: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    prices: Option<(&'a [String], u32, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outlier_bps: Option<u32>,
    /// Of a machine's earnings; bodies from before it was agreed with a machine have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    earnings_fee_bps: Option<Bps>,
}

fn body(config: &PlanConfig, plan: &Plan) -> Result<Vec<u8>> {
    let body = Body {
        plan: config,
        earns: plan.asset,
        also_earns: &plan.also_earns,
        paid_in: plan.pay_asset,
        epoch_us: plan.epoch_us,
        extension_epochs: plan.extension_epochs,
        window_epochs_max: plan.window_epochs_max,
        prices: plan.prices.as_ref().map(|p| (&p.sources[..], p.quorum, p.staleness_secs)),
        outlier_bps: plan.prices.as_ref().and_then(|p| p.outlier_bps),
        earnings_fee_bps: plan.hosted.as_ref().map(|_| plan.fee_bps),
    };
    serde_json::to_vec(&body).map_err(|e| MarketError::Broken(format!("a plan: {e}")))
}

/// Stores a plan, as a new version where it says something new.
async fn store_plan(
    tx: &mut Tx,
    config: &PlanConfig,
    lane: &LaneConfig,
    prices: &PriceRules,
    now: Timestamp,
) -> Result<Plan> {
    let mut plan = plan_of(config, lane, prices, 0)?;
    let body = body(config, &plan)?;
    let last = tx.fetch_optional(sql::LATEST_PLAN, &params![plan.id.as_str()]).await?;
    let mut version = 0;
    if let Some(row) = last {
        version = row.get("version")?;
        if row.get::<Vec<u8>>("body")? == body {
            plan.version = version;
            return Ok(plan);
        }
    }
    plan.version = version.saturating_add(1);
    let row = params![plan.id.as_str(), plan.version, body, now];
    tx.execute(sql::INSERT_PLAN, &row).await?;
    Ok(plan)
}

/// Rows from before lanes earned several assets are their own coin's.
const NAMING: [&str; 5] = [
    sql::NAME_UNITS,
    sql::NAME_WINDOWS,
    sql::NAME_STANDINGS,
    sql::NAME_SETTLEMENTS,
    sql::NAME_FOUND,
];

impl Market {
    /// Makes the rows of the configured lanes, stores the plans and gives them with their versions.
    pub(crate) async fn store_catalog(&self) -> Result<Vec<Plan>> {
        let now = self.now();
        transact!(self.store(), tx -> Result<Vec<Plan>> => {
            for lane in &self.config().lanes {
                let genesis = gruve_proof::summary::GENESIS;
                tx.execute(sql::INSERT_LANE, &params![lane.lane.clone(), genesis]).await?;
                let none = gruve_units::Hashrate::ZERO;
                tx.execute(sql::INSERT_CAPACITY, &params![lane.lane.clone(), none]).await?;
                for name in NAMING {
                    tx.execute(name, &params![lane.lane.clone(), lane.asset]).await?;
                }
            }
            self.store_plans(tx, now).await
        })
    }

    /// Stores what is on sale and gives it with its versions.
    pub(crate) async fn store_plans(&self, tx: &mut Tx, now: Timestamp) -> Result<Vec<Plan>> {
        let mut plans = Vec::new();
        for config in &self.on_sale(tx).await? {
            let lane = self.lane(&config.lane)?;
            plans.push(store_plan(tx, config, lane, &self.config().prices, now).await?);
        }
        Ok(plans)
    }
}
