//! Tickets about machines, for the operator's programs.

use crate::api::page::Page;
use crate::api::talk::{NoteBody, Say, TicketBody, TicketMade, note_body, ticket_body};
use crate::extract::{Id, Json, Params, Staff};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use gruve_farm::{Speaker, TicketId};

answers! {
    /// A ticket, and what was said on it.
    struct TicketSeen {
        /// The ticket.
        ticket: TicketBody,
        /// Oldest first.
        notes: Vec<NoteBody>,
    }
}

requests! {
    /// A new ticket.
    struct TicketOf {
        /// The machine's serial number.
        serial: String,
        /// In a line.
        title: String,
        /// At length.
        text: String,
    }
}

/// `GET /api/v1/console/tickets`: the open ones, oldest first.
pub(crate) async fn tickets(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<TicketBody>>, Failure> {
    let open = state.farm().open_tickets_after(page.behind()?, page.wanted()?).await;
    page.give(open.map_err(|e| farm_failure(&e))?, |t| t.id, ticket_body)
}

/// `GET /api/v1/console/tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    Id(id): Id<TicketId>,
) -> Result<Fine<TicketSeen>, Failure> {
    let found = state.farm().ticket(id, Speaker::Operator).await;
    let (ticket, notes) = found.map_err(|e| farm_failure(&e))?;
    let notes = notes.iter().map(note_body).collect();
    Ok(Answer(TicketSeen { ticket: ticket_body(&ticket), notes }))
}

/// `POST /api/v1/console/tickets`
pub(crate) async fn open(
    State(state): State<AppState>,
    staff: Staff,
    Json(new): Json<TicketOf>,
) -> Result<Made<TicketMade>, Failure> {
    let ticket = state.staff_ticket(staff, (&new.serial, &new.title, &new.text)).await?;
    Ok(Answer(TicketMade { ticket }))
}

/// `POST /api/v1/console/tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
    Json(said): Json<Say>,
) -> Result<Done, Failure> {
    state.answer_ticket(staff, id, &said.text).await?;
    Ok(Done)
}

/// `POST /api/v1/console/tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
) -> Result<Done, Failure> {
    state.shut_ticket(staff, id).await?;
    Ok(Done)
}
