//! The operator's side for programs: plans; sites and machines, hosting and tickets beside. By a session of somebody whose role allows it; no key for
//! programs reaches it.

pub(crate) mod farm;
pub(crate) mod hosting;
pub(crate) mod tickets;

use crate::api::{answer, time};
use crate::extract::{Id, Json, Staff};
use crate::failure::Failure;
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_market::{Offer, OfferStanding, PlanConfig};
use serde_json::{Value, json};

fn offer_body(o: &Offer) -> Value {
    let why = match o.standing {
        OfferStanding::Unfit(why) => Some(why),
        _ => None,
    };
    json!({
        "plan": o.plan,
        "standing": o.standing.name(),
        "why": why,
        "version": o.version,
        "is_filed": o.is_filed,
        "changed_at": o.changed_at.map(time),
    })
}

/// `GET /api/v1/console/plans`
pub(crate) async fn plans(State(state): State<AppState>) -> Result<Response, Failure> {
    let all = state.market().offers().await.map_err(|e| market_failure(&e))?;
    Ok(answer(StatusCode::OK, all.iter().map(offer_body).collect()))
}

/// `POST /api/v1/console/plans`: makes a plan, or changes the one of that name; as in the file.
pub(crate) async fn put_plan(
    State(state): State<AppState>,
    staff: Staff,
    Json(plan): Json<PlanConfig>,
) -> Result<Response, Failure> {
    let plan = state.put_plan(staff, plan).await?;
    Ok(answer(StatusCode::OK, json!({ "plan": plan.id, "version": plan.version })))
}

/// `DELETE /api/v1/console/plans/{name}`
pub(crate) async fn withdraw_plan(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<StatusCode, Failure> {
    state.withdraw_plan(staff, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/console/plans/{name}/as-filed`
pub(crate) async fn plan_as_filed(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<StatusCode, Failure> {
    state.plan_as_filed(staff, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
