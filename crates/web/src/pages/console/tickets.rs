//! Tickets about machines, from the operator's side.

use super::{button, field, frame, live_sheet, sheet, table};
use crate::extract::{Form, Id, Staff};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::layout::{text_area, token};
use crate::money::time;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_farm::{NOTE_CHARS_MAX, Speaker, TicketId};
use maud::{Markup, html};
use serde::Deserialize;

/// `GET /console/tickets`
pub(crate) async fn tickets(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let open = state.farm().open_tickets().await?;
    let rows: Vec<_> = open
        .iter()
        .map(|t| {
            let about = html! { a href={ "/console/tickets/" (t.id) } { (t.title) } };
            vec![time(t.opened_at), about, html! { (t.machine) }]
        })
        .collect();
    let content = html! {
        (live_sheet("open", "Open", "farm", &table("Open tickets", &["Opened", "About", "Machine"], &rows)))
        @if staff.role.may(Permission::AnswerTickets) { (sheet("new", "Open a ticket", &html! {
            form.stack method="post" action="/console/tickets" {
                (token(&visitor))
                (field("ticket", "serial", "Serial number", "Of the machine; its owner sees the ticket."))
                (field("ticket", "title", "What it is about", "One line."))
                (text_area(("ticket-text", "text"), "What there is to say", "Up to 2,000 characters.", NOTE_CHARS_MAX))
                button type="submit" { (t("Open it")) }
            }
        })) }
    };
    Ok(frame(&visitor, staff, "Tickets", "What waits for an answer, oldest first.", &content))
}

/// `GET /console/tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Id(id): Id<TicketId>,
) -> Result<Markup, Failure> {
    let found = state.farm().ticket(id, Speaker::Operator).await;
    let (ticket, notes) = found.map_err(|e| farm_failure(&e))?;
    let rows: Vec<_> = notes
        .iter()
        .map(|n| vec![time(n.at), html! { (heard(&n.author)) }, html! { span.said { (n.text) } }])
        .collect();
    let may = staff.role.may(Permission::AnswerTickets) && ticket.closed_at.is_none();
    let content = html! {
        @if let Some(at) = ticket.closed_at { p.note { (say!("Closed {at}", at = time(at))) } }
        (live_sheet("notes", "What was said", "farm", &table("Notes", &["When", "Who", "What"], &rows)))
        @if may { (sheet("answer", "Answer", &html! {
            form.stack method="post" action={ "/console/tickets/" (id) "/notes" } {
                (token(&visitor))
                (text_area(("answer-text", "text"), "Answer", "The machine's owner reads it.", NOTE_CHARS_MAX))
                button type="submit" { (t("Send")) }
            }
            (button(&visitor, &format!("/console/tickets/{id}/close"), "Close this ticket", &[]))
        })) }
    };
    Ok(frame(&visitor, staff, &ticket.title, "A ticket about a machine.", &content))
}

/// A new ticket.
#[derive(Deserialize)]
pub(crate) struct New {
    serial: String,
    title: String,
    text: String,
}

/// `POST /console/tickets`
pub(crate) async fn open(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<New>,
) -> Result<Redirect, Failure> {
    let said = (form.serial.as_str(), form.title.as_str(), form.text.as_str());
    let id = state.staff_ticket(staff, said).await?;
    Ok(Redirect::to(&format!("/console/tickets/{id}")))
}

/// An answer.
#[derive(Deserialize)]
pub(crate) struct Say {
    text: String,
}

/// `POST /console/tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
    Form(form): Form<Say>,
) -> Result<Redirect, Failure> {
    state.answer_ticket(staff, id, &form.text).await?;
    Ok(Redirect::to(&format!("/console/tickets/{id}")))
}

/// `POST /console/tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<TicketId>,
) -> Result<Redirect, Failure> {
    state.shut_ticket(staff, id).await?;
    Ok(Redirect::to("/console/tickets"))
}
