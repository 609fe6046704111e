//! Sessions and keys of an account. Only a session reaches these, never a key.

use crate::api::{answer, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json};
use crate::failure::Failure;
use crate::state::{AppState, accounts_failure};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_accounts::{ApiKey, KeyId, Scope};
use gruve_units::Duration;
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/v1/sessions`
pub(crate) async fn sessions(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.accounts().sessions(customer.account, &customer.token).await?;
    let body: Vec<Value> = all
        .iter()
        .map(|s| {
            json!({
                "session": s.id.to_string(),
                "created_at": time(s.created),
                "seen_at": time(s.seen),
                "expires_at": time(s.expires),
                "about": s.about,
                "is_own": s.is_own,
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!(body)))
}

/// `DELETE /api/v1/sessions/{id}`
pub(crate) async fn end_session(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<String>,
) -> Result<StatusCode, Failure> {
    match state.accounts().end_session(customer.account, &id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Failure::not_found("session")),
    }
}

fn body(k: &ApiKey) -> Value {
    let scopes: Vec<&str> = k.scopes.iter().map(|s| s.name()).collect();
    json!({
        "id": k.id.to_string(),
        "name": k.name,
        "scopes": scopes,
        "created_at": time(k.created),
        "expires_at": time(k.expires),
        "used_at": k.used.map(time),
    })
}

/// `GET /api/v1/keys`
pub(crate) async fn keys(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.accounts().keys(customer.account).await?;
    Ok(answer(StatusCode::OK, json!(all.iter().map(body).collect::<Vec<_>>())))
}

/// A key to be made, with the proof of who asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    name: String,
    scopes: Vec<String>,
    days: u32,
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /api/v1/keys`
pub(crate) async fn make_key(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(new): Json<NewKey>,
) -> Result<Response, Failure> {
    let scopes: Result<Vec<Scope>, String> = new.scopes.iter().map(|s| s.parse()).collect();
    let scopes = scopes.map_err(|e| Failure::refused(crate::failure::sentence(&e)))?;
    let accounts = state.accounts();
    let proof = accounts.prove(customer.account, &new.password, Some(&new.code), from).await;
    proof.map_err(|e| accounts_failure(&e))?;
    let life = Duration::from_secs(u64::from(new.days) * 86_400);
    let made = accounts.make_key(customer.account, &new.name, &scopes, life).await;
    let (key, secret) = made.map_err(|e| accounts_failure(&e))?;
    let mut made = body(&key);
    made["key"] = Value::String(secret);
    Ok(answer(StatusCode::CREATED, made))
}

/// `DELETE /api/v1/keys/{id}`
pub(crate) async fn end_key(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<String>,
) -> Result<StatusCode, Failure> {
    let id: KeyId = id.parse().map_err(|()| Failure::not_found("key"))?;
    match state.accounts().end_key(customer.account, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Failure::not_found("key")),
    }
}
