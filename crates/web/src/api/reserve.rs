//! What stands behind FPPS, and whose prices count: figures for everybody.

use crate::api::{amount, answer};
use crate::extract::Params;
use crate::failure::Failure;
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_market::{FppsPlanStatus, FppsStatus};
use gruve_units::LaneId;
use serde::Deserialize;
use serde_json::{Value, json};

/// Of which lane.
#[derive(Deserialize)]
pub(crate) struct OfLane {
    lane: LaneId,
}

/// `GET /api/v1/fpps?lane=btc`: for each asset the reserve, what it owes, and for each plan the floor and whether it is sold.
pub(crate) async fn fpps(
    State(state): State<AppState>,
    Params(q): Params<OfLane>,
) -> Result<Response, Failure> {
    let mut tx = state.store().read().await?;
    let all = state.market().fpps_status(&mut tx, &q.lane).await;
    let all = all.map_err(|e| market_failure(&e))?;
    tx.rollback().await?;
    Ok(answer(StatusCode::OK, all.iter().map(reserve).collect()))
}

fn reserve(s: &FppsStatus) -> Value {
    json!({
        "asset": s.reserve.asset,
        "reserve": amount(s.reserve),
        "maturing": amount(s.maturing),
        "owed": amount(s.owed),
        "cover_minor": s.cover.to_string(),
        "open_epochs": s.open_epochs,
        "plans": s.plans.iter().map(plan).collect::<Vec<_>>(),
    })
}

fn plan(p: &FppsPlanStatus) -> Value {
    json!({
        "plan": p.plan,
        "theta": p.theta,
        "ruin_ppm": p.ruin_ppm,
        "block_minor": p.block_minor,
        "floor_minor": p.floor_minor,
        "is_sold": p.is_sold,
    })
}

/// `GET /api/v1/price-sources`: who tells prices, how many must, and how old a word may be.
pub(crate) async fn sources(State(state): State<AppState>) -> Result<Response, Failure> {
    let rules = &state.market().config().prices;
    let sources: Vec<Value> = rules
        .sources
        .iter()
        .map(|s| json!({ "name": s.name, "asset": s.asset, "by_hand": s.url.is_none() }))
        .collect();
    let body = json!({
        "quorum": rules.quorum,
        "staleness_secs": rules.staleness_secs,
        "sources": sources,
    });
    Ok(answer(StatusCode::OK, body))
}
