//! Tickets about machines, for the operator's programs.

use crate::api::answer;
use crate::api::machines::{note_body, ticket_body};
use crate::extract::{Id, Json, Staff};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_farm::{Speaker, TicketId};
use serde::Deserialize;
use serde_json::json;

/// `GET /api/v1/console/tickets`: the open ones, oldest first.
pub(crate) async fn tickets(State(state): State<AppState>) -> Result<Response, Failure> {
    let open = state.farm().open_tickets().await.map_err(|e| farm_failure(&e))?;
    Ok(answer(StatusCode::OK, open.iter().map(ticket_body).collect()))
}

/// `GET /api/v1/console/tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    Id(id): Id<TicketId>,
) -> Result<Response, Failure> {
    let found = state.farm().ticket(id, Speaker::Operator).await;
    let (ticket, notes) = found.map_err(|e| farm_failure(&e))?;
    let notes: Vec<_> = notes.iter().map(note_body).collect();
    Ok(answer(StatusCode::OK, json!({ "ticket": ticket_body(&ticket), "notes": notes })))
}

/// A new ticket.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    serial: String,
    title: String,
    text: String,
}

/// `POST /api/v1/console/tickets`
pub(crate) async fn open(
    State(state): State<AppState>,
    staff: Staff,
    Json(new): Json<New>,
) -> Result<Response, Failure> {
    let id = state.staff_ticket(staff, (&new.serial, &new.title, &new.text)).await?;
    Ok(answer(StatusCode::CREATED, json!({ "ticket": id })))
}

/// An answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Say {
    text: String,
}

/// `POST /api/v1/console/tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
    Json(said): Json<Say>,
) -> Result<StatusCode, Failure> {
    state.answer_ticket(staff, id, &said.text).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/console/tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
) -> Result<StatusCode, Failure> {
    state.shut_ticket(staff, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
