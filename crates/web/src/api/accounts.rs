//! Accounts, sessions, balances.

use crate::api::{amount, answer, time};
use crate::client::Client;
use crate::extract::{Customer, Json};
use crate::failure::Failure;
use crate::state::{AppState, SignedIn};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    name: String,
    email: String,
    password: String,
}

/// `POST /api/v1/accounts`
pub(crate) async fn sign_up(
    State(state): State<AppState>,
    Json(new): Json<NewAccount>,
) -> Result<Response, Failure> {
    let account = state.sign_up(&new.name, &new.email, &new.password).await?;
    Ok(answer(StatusCode::CREATED, json!({ "account": account, "name": new.name })))
}

/// Name or e-mail and password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    login: String,
    password: String,
    /// Where the account has a second factor.
    code: Option<String>,
}

/// `POST /api/v1/sessions`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Client(from): Client,
    Json(login): Json<Login>,
) -> Result<Response, Failure> {
    let opened = match state.sign_in(&login.login, &login.password, from.clone()).await? {
        SignedIn::Yes(opened) => opened,
        SignedIn::CodeNeeded(ticket) => {
            let code = login.code.as_deref().ok_or_else(Failure::second_factor)?;
            state.sign_in_second(&ticket, code, from).await?
        }
    };
    let body = json!({ "token": opened.token, "expires_at": time(opened.expires) });
    Ok(answer(StatusCode::CREATED, body))
}

/// `DELETE /api/v1/sessions/current`
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<StatusCode, Failure> {
    state.accounts().sign_out(&customer.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/balances`
pub(crate) async fn balances(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let list: Vec<_> = state
        .balances(customer.account)
        .await?
        .into_iter()
        .map(|b| {
            json!({
                "asset": b.asset,
                "available": amount(b.available),
                "held": amount(b.held),
                "maturing": amount(b.maturing),
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!(list)))
}
