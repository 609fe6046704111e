//! Statements of funds: what the house owes and shows to have, and each customer's proof that he is counted.

use crate::extract::{Customer, Params};
use crate::failure::Failure;
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gruve_proof::funds::{FundsEntry, OwedProof};
use gruve_units::{AccountId, Asset};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// What is published of funds. Everything here may read files: it is called where waiting is allowed.
pub trait FundsShelf: std::fmt::Debug + Send + Sync {
    /// The last statement in the public log, and its place there.
    ///
    /// # Errors
    /// In words.
    fn last(&self) -> Result<Option<(u64, FundsEntry)>, String>;

    /// The proof that it counts what was owed to a customer; `None` when nothing was.
    ///
    /// # Errors
    /// In words.
    fn proof(&self, account: AccountId, asset: &str) -> Result<Option<OwedProof>, String>;
}

async fn waited<T: Send + 'static>(
    state: &AppState,
    ask: impl FnOnce(Arc<dyn FundsShelf>) -> Result<Option<T>, String> + Send + 'static,
) -> Result<Option<T>, Failure> {
    let Some(shelf) = state.config().funds.clone() else { return Ok(None) };
    let asked = tokio::task::spawn_blocking(move || ask(shelf)).await;
    asked.map_err(|e| e.to_string()).and_then(|answer| answer).map_err(|why| {
        tracing::error!(%why, "what is published of funds cannot be read");
        Failure::busy("The statement cannot be read now. Try again.")
    })
}

/// `GET /api/v1/funds`: the last statement.
pub(crate) async fn funds(State(state): State<AppState>) -> Result<Response, Failure> {
    let last = waited(&state, |shelf| shelf.last()).await?;
    let (place, entry) = last.ok_or_else(|| Failure::not_found("statement"))?;
    let assets: Vec<_> = entry
        .assets
        .iter()
        .map(|a| {
            json!({
                "asset": a.asset,
                "owed_minor": a.owed.sum.to_string(),
                "owed_root": hex::encode(a.owed.hash),
                "leaves": a.leaves,
                "shown": a.shown,
                "reserves_minor": a.reserves.to_string(),
            })
        })
        .collect();
    let body = json!({
        "statement": entry.statement,
        "at_us": entry.at_us,
        "log_index": place,
        "reserves": hex::encode(entry.reserves.hash),
        "assets": assets,
    });
    Ok(axum::Json(body).into_response())
}

/// Of which asset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    asset: Asset,
}

/// `GET /api/v1/funds/proof?asset=BTC`: the customer's own, as a file.
pub(crate) async fn proof(
    State(state): State<AppState>,
    customer: Customer,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Failure> {
    let asset = wanted.asset.to_string();
    let (account, of) = (customer.account, asset.clone());
    let made = waited(&state, move |shelf| shelf.proof(account, &of)).await?;
    let made = made.ok_or_else(|| Failure::not_found("proof"))?;
    let name = format!("attachment; filename=\"funds-{}-{asset}.json\"", made.statement);
    Ok(([(header::CONTENT_DISPOSITION, name)], axum::Json(made)).into_response())
}
