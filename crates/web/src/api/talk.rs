//! Tickets about hosted machines, and what sites' agents report.

use crate::api::page::Page;
use crate::api::papers::ReportTaken;
use crate::api::{Time, time};
use crate::extract::{Customer, Id, Json, Large, Params, SiteAgent};
use crate::failure::Failure;
use crate::hosted::farm_failure;
use crate::lookout::Topic;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use gruve_farm::{Note, Report, Ticket, TicketId};
use gruve_units::{ContractId, MachineId};

answers! {
    /// A ticket.
    struct TicketBody {
        /// Its id.
        id: TicketId,
        /// About which machine.
        machine_id: MachineId,
        /// What it is about.
        title: String,
        /// When it was opened.
        opened_at: Time,
        /// When it was closed.
        closed_at: Option<Time>,
    }

    /// A ticket and what was said on it.
    struct TicketDetail: base: TicketBody {
        /// Oldest first.
        notes: Vec<NoteBody>,
    }

    /// What somebody said.
    struct NoteBody {
        /// When.
        at: Time,
        /// `owner` or `operator`.
        author: String,
        /// It.
        text: String,
    }

    /// A ticket opened.
    struct TicketMade {
        /// Its id.
        ticket: TicketId,
    }

    /// Where an agent goes on.
    struct Place {
        /// All samples below it are taken.
        next: u64,
    }
}

requests! {
    /// What a ticket is about, and what there is to say.
    struct NewTicket {
        /// In a line.
        title: String,
        /// At length.
        text: String,
    }

    /// What there is to say.
    struct Say {
        /// It.
        text: String,
    }
}

/// `GET /api/v1/machines/{id}/tickets`
pub(crate) async fn tickets(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<TicketBody>>, Failure> {
    let contract = state.own_hosting(customer.account, id).await?;
    let by = gruve_farm::Speaker::Owner(customer.account);
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.farm().tickets_before(contract.machine, by, before, wanted).await;
    page.give(all.map_err(|e| farm_failure(&e))?, |t| t.id, ticket_body)
}

pub(crate) fn ticket_body(t: &Ticket) -> TicketBody {
    TicketBody {
        id: t.id,
        machine_id: t.machine,
        title: t.title.clone(),
        opened_at: time(t.opened_at),
        closed_at: t.closed_at.map(time),
    }
}

pub(crate) fn note_body(n: &Note) -> NoteBody {
    NoteBody { at: time(n.at), author: n.author.clone(), text: n.text.clone() }
}

/// `POST /api/v1/machines/{id}/tickets`
pub(crate) async fn open_ticket(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(new): Json<NewTicket>,
) -> Result<Made<TicketMade>, Failure> {
    let ticket = state.open_ticket(customer.account, id, &new.title, &new.text).await?;
    Ok(Answer(TicketMade { ticket }))
}

/// `GET /api/v1/tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<Fine<TicketDetail>, Failure> {
    let (ticket, notes) = state.ticket_of(customer.account, id).await?;
    let notes = notes.iter().map(note_body).collect();
    Ok(Answer(TicketDetail { base: ticket_body(&ticket), notes }))
}

/// `POST /api/v1/tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
    Json(said): Json<Say>,
) -> Result<Done, Failure> {
    let by = gruve_farm::Speaker::Owner(customer.account);
    state.farm().say_on_ticket(id, by, &said.text).await.map_err(|e| farm_failure(&e))?;
    state.pulse().tell(&[Topic::Farm]);
    Ok(Done)
}

/// `POST /api/v1/tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<Done, Failure> {
    let by = gruve_farm::Speaker::Owner(customer.account);
    state.farm().close_ticket(id, by).await.map_err(|e| farm_failure(&e))?;
    state.pulse().tell(&[Topic::Farm]);
    Ok(Done)
}

/// `GET /api/v1/site/telemetry`: where an agent that has lost its own count goes on.
pub(crate) async fn telemetry_place(SiteAgent(agent): SiteAgent) -> Fine<Place> {
    Answer(Place { next: agent.next })
}

/// `POST /api/v1/site/telemetry`: sent again, it changes nothing.
pub(crate) async fn telemetry(
    State(state): State<AppState>,
    SiteAgent(agent): SiteAgent,
    Large(report): Large<Report>,
) -> Result<Fine<ReportTaken>, Failure> {
    let taken = state.farm().take_report(agent.site, &report).await;
    let taken = taken.map_err(|e| farm_failure(&e))?;
    let (next, refused) = (taken.next, taken.refused);
    Ok(Answer(ReportTaken { next, taken: taken.taken, refused }))
}
