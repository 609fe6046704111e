//! Tickets about hosted machines.

use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::layout::{Field, cell, page, text_area, token};
use crate::lookout::Topic;
use crate::money::{rfc3339, time};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_farm::{NOTE_CHARS_MAX, Speaker, Ticket, TicketId};
use gruve_units::ContractId;
use maud::{Markup, html};
use serde::Deserialize;

/// A machine's tickets, newest first.
pub(crate) fn ticket_table(tickets: &[Ticket]) -> Markup {
    html! {
        @if tickets.is_empty() { p.empty { (t("No ticket.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Opened")) } th scope="col" { (t("About")) } th scope="col" { (t("Closed")) } } }
                tbody { @for ticket in tickets { tr {
                    (cell!("Opened", time(ticket.opened_at)))
                    (cell!("About", html! { a href={ "/tickets/" (ticket.id) } { (ticket.title) } }))
                    (cell!("Closed", match ticket.closed_at { Some(at) => time(at), None => html! { (t("open")) } }))
                } } }
            }
        }
    }
}

/// The form of a new one.
pub(crate) fn ticket_form(visitor: &Visitor, id: ContractId) -> Markup {
    html! {
        form.stack method="post" action={ "/machines/" (id) "/tickets" } {
            (token(visitor))
            (Field { id: "title", label: "What is it about?", kind: "text", value: "",
                hint: "The operator is told.", error: None, autocomplete: "off", inputmode: None }.draw())
            (text_area(("text", "text"), "What there is to say", "Up to 2,000 characters.", NOTE_CHARS_MAX))
            button.quiet type="submit" { (t("Open a ticket")) }
        }
    }
}

/// The form of a ticket.
#[derive(Deserialize)]
pub(crate) struct NewTicket {
    title: String,
    text: String,
}

/// `POST /machines/{id}/tickets`
pub(crate) async fn open_ticket(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(form): Form<NewTicket>,
) -> Result<Redirect, Failure> {
    let ticket = state.open_ticket(customer.account, id, &form.title, &form.text).await?;
    Ok(Redirect::to(&format!("/tickets/{ticket}")))
}

/// `GET /tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<Markup, Failure> {
    let (ticket, notes) = state.ticket_of(customer.account, id).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/machines" { (t("Hosted machines")) } }
            h1 { (ticket.title) }
        }
        section.sheet #ticket data-live="farm" aria-label=(t("Ticket")) {
            @if let Some(at) = ticket.closed_at { p.note { (say!("Closed {at}", at = time(at))) } }
            table.cards {
                thead { tr { th scope="col" { (t("When")) } th scope="col" { (t("Who")) } th scope="col" { (t("What")) } } }
                tbody { @for n in &notes { tr {
                    (cell!("When", html! { time datetime=(rfc3339(n.at)) { (time(n.at)) } }))
                    (cell!("Who", heard(&n.author)))
                    (cell!("What", html! { span.said { (n.text) } }))
                } } }
            }
            @if ticket.closed_at.is_none() {
                form.stack method="post" action={ "/tickets/" (id) "/notes" } {
                    (token(&visitor))
                    (text_area(("text", "text"), "Answer", "Up to 2,000 characters.", NOTE_CHARS_MAX))
                    button type="submit" { (t("Send")) }
                }
                form method="post" action={ "/tickets/" (id) "/close" } {
                    (token(&visitor))
                    button.quiet type="submit" { (t("Close this ticket")) }
                }
            }
        }
    };
    Ok(page(&visitor, &ticket.title, true, &content))
}

/// The form of an answer.
#[derive(Deserialize)]
pub(crate) struct Say {
    text: String,
}

/// `POST /tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
    Form(form): Form<Say>,
) -> Result<Redirect, Failure> {
    let by = Speaker::Owner(customer.account);
    state.farm().say_on_ticket(id, by, &form.text).await.map_err(|e| farm_failure(&e))?;
    state.pulse().tell(&[Topic::Farm]);
    Ok(Redirect::to(&format!("/tickets/{id}")))
}

/// `POST /tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<Redirect, Failure> {
    let by = Speaker::Owner(customer.account);
    state.farm().close_ticket(id, by).await.map_err(|e| farm_failure(&e))?;
    state.pulse().tell(&[Topic::Farm]);
    Ok(Redirect::to(&format!("/tickets/{id}")))
}
