//! Hosting contracts, for the operator's programs.

use crate::api::answer;
use crate::api::machines::{bill_body, contract_body};
use crate::extract::{Id, Json, Staff};
use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::operating::OfferMachine;
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_hosting::{BILLS_MAX, Contract, HostingKind, PayFrom, Scheme};
use gruve_units::{Asset, ContractId};
use serde::Deserialize;
use serde_json::{Value, json};

fn body(state: &AppState, c: &Contract) -> Value {
    let mut body = contract_body(state, c);
    if let Value::Object(map) = &mut body {
        map.insert("account".to_owned(), json!(c.account));
    }
    body
}

/// `GET /api/v1/console/hosting`
pub(crate) async fn contracts(State(state): State<AppState>) -> Result<Response, Failure> {
    let all = state.hosting().all_contracts().await.map_err(|e| hosting_failure(&e))?;
    Ok(answer(StatusCode::OK, all.iter().map(|c| body(&state, c)).collect()))
}

/// `GET /api/v1/console/hosting/{id}`: with its bills and its certificate.
pub(crate) async fn contract(
    State(state): State<AppState>,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let hosting = state.hosting();
    let c = hosting.contract(None, id).await.map_err(|e| hosting_failure(&e))?;
    let bills = hosting.bills(id, BILLS_MAX).await.map_err(|e| hosting_failure(&e))?;
    let certificates = hosting.certificates(c.machine).await.map_err(|e| hosting_failure(&e))?;
    let mut body = body(&state, &c);
    if let Value::Object(map) = &mut body {
        let bills: Vec<Value> = bills.iter().map(|b| bill_body(b, c.terms.asset)).collect();
        map.insert("bills".to_owned(), json!(bills));
        map.insert("certificates".to_owned(), json!(certificates));
    }
    Ok(answer(StatusCode::OK, body))
}

/// What is offered; prices in whole coins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    serial: String,
    to: String,
    kind: HostingKind,
    scheme: Scheme,
    pays_from: PayFrom,
    asset: Asset,
    energy_per_kwh: String,
    fee_per_day: String,
    service_level_bps: u16,
    price: String,
    price_asset: Asset,
}

/// `POST /api/v1/console/hosting`: the account must accept.
pub(crate) async fn offer(
    State(state): State<AppState>,
    staff: Staff,
    Json(o): Json<Offer>,
) -> Result<Response, Failure> {
    let new = OfferMachine {
        serial: o.serial,
        to: o.to,
        kind: o.kind,
        scheme: o.scheme,
        pay_from: o.pays_from,
        asset: o.asset,
        energy: o.energy_per_kwh,
        fee: o.fee_per_day,
        level: o.service_level_bps,
        price: o.price,
        price_asset: o.price_asset,
    };
    let id = state.offer_machine(staff, new).await?;
    Ok(answer(StatusCode::CREATED, json!({ "id": id })))
}

/// `DELETE /api/v1/console/hosting/{id}`: takes an offer back.
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<StatusCode, Failure> {
    state.take_offer_back(staff, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/console/hosting/{id}/end`: the machine is the house's from the epoch answered on.
pub(crate) async fn end(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let until = state.end_hosting(staff, id).await?;
    Ok(answer(StatusCode::OK, json!({ "id": id, "until_epoch": until })))
}
