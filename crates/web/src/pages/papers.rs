//! What a customer keeps of a contract: the signed terms, as a file.

use crate::extract::{Customer, Id};
use crate::failure::Failure;
use crate::state::AppState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gruve_units::ContractId;

/// `GET /contracts/{id}/terms.json`
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let file = state.signed_terms(customer.account, id).await?;
    Ok(download(&format!("terms-{id}.json"), "application/json", json_text(&file)?))
}

/// JSON for people too: one field a line.
fn json_text(file: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(file).map_err(|_| Failure::busy("The file cannot be written."))
}

/// A file to be kept. The name is made here and has no character that a header must escape.
fn download(name: &str, kind: &'static str, body: String) -> Response {
    let shown = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, shown)], body)
        .into_response()
}
