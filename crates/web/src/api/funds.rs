//! Statements of funds: what the house owes and shows to have, and each customer's proof that he is counted.

use crate::api::papers::receipt::FundsProof;
use crate::api::{Hex, hexed};
use crate::extract::{Customer, Params};
use crate::failure::Failure;
use crate::openapi::{Answer, Fine, Sheet, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use gruve_proof::funds::{FundsEntry, OwedProof, ShownBy};
use gruve_units::{AccountId, Asset};
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

answers! {
    /// The last statement of funds in the public log.
    struct FundsBody {
        /// Its number.
        statement: u64,
        /// Of when it speaks, microseconds since 1970.
        at_us: u64,
        /// Its place in the log.
        log_index: u64,
        /// Hash of the file with the proofs of reserves.
        reserves: Hex,
        /// The assets, ascending by name.
        assets: Vec<FundsOfAsset>,
    }

    /// One asset of it.
    struct FundsOfAsset {
        /// Which.
        asset: String,
        /// What is owed to all customers, minor units as text.
        owed_minor: String,
        /// The root of the tree of what is owed.
        owed_root: Hex,
        /// Leaves of that tree.
        leaves: u64,
        /// What is shown to be there: `nothing`, `coins` or `accounts`.
        shown: ShownBy,
        /// How much of it, minor units as text.
        reserves_minor: String,
    }
}

requests! {
    /// Of which asset.
    struct OfCoin {
        /// `BTC`, …
        asset: Asset,
    }
}

/// `GET /api/v1/funds`: the last statement.
pub(crate) async fn funds(State(state): State<AppState>) -> Result<Fine<FundsBody>, Failure> {
    let last = waited(&state, |shelf| shelf.last()).await?;
    let (place, entry) = last.ok_or_else(|| Failure::not_found("statement"))?;
    let assets = entry.assets.iter().map(|a| FundsOfAsset {
        asset: a.asset.clone(),
        owed_minor: a.owed.sum.to_string(),
        owed_root: hexed(a.owed.hash),
        leaves: a.leaves,
        shown: a.shown,
        reserves_minor: a.reserves.to_string(),
    });
    Ok(Answer(FundsBody {
        statement: entry.statement,
        at_us: entry.at_us,
        log_index: place,
        reserves: hexed(entry.reserves.hash),
        assets: assets.collect(),
    }))
}

/// `GET /api/v1/funds/proof?asset=BTC`: the customer's own, as a file.
pub(crate) async fn proof(
    State(state): State<AppState>,
    customer: Customer,
    Params(wanted): Params<OfCoin>,
) -> Result<Sheet<FundsProof>, Failure> {
    let asset = wanted.asset.to_string();
    let (account, of) = (customer.account, asset.clone());
    let made = waited(&state, move |shelf| shelf.proof(account, &of)).await?;
    let made = made.ok_or_else(|| Failure::not_found("proof"))?;
    let name = format!("attachment; filename=\"funds-{}-{asset}.json\"", made.statement);
    Ok(Sheet::new(([(header::CONTENT_DISPOSITION, name)], axum::Json(made))))
}
