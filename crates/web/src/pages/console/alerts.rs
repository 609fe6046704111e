//! What the operator is told of: open and past alerts, and what the house says to everybody on `/status`.

use super::{button, field, frame, live_sheet, more, sheet, table};
use crate::api::page::{Page, Pair};
use crate::api::{Time, time as api_time};
use crate::console::cursor;
use crate::extract::{Form, Id, Params, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::time;
use crate::openapi::{Answer, Done, Fine, List, answers};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::watch::{Alert, Bulletin, Rule};
use crate::words::t;
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_units::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

/// Past alerts on a page.
const SHOWN: u32 = 100;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::{Staff, StaffBearer, StaffForm};
    routes
        .get("/console/alerts", Staff(Permission::SeeFarm), alerts)
        .post("/console/alerts/{id}/seen", StaffForm(Permission::RunMachines), seen)
        .post("/console/bulletins", StaffForm(Permission::RunMachines), say)
        .post("/console/bulletins/{id}/end", StaffForm(Permission::RunMachines), end)
        .api_get(
            "/api/v1/console/alerts",
            StaffBearer(Permission::SeeFarm),
            "What ails, and the newest hundred alerts.",
            alerts_json,
        )
        .api_get(
            "/api/v1/console/alerts/all",
            StaffBearer(Permission::SeeFarm),
            "All alerts, open or not, newest first.",
            all_json,
        )
        .api_post(
            "/api/v1/console/alerts/{id}/seen",
            StaffBearer(Permission::RunMachines),
            "Says that somebody has seen an alert.",
            seen_json,
        )
}

/// Where a page begins.
#[derive(Default, Deserialize)]
pub(crate) struct Before {
    before: Option<String>,
}

/// An alert's place in the list: when it began, and its id.
fn place(a: &Alert) -> Pair<String> {
    Pair(a.opened.0, hex::encode(a.id))
}

/// The alert of that place; nothing where the id is none.
fn behind(place: &Pair<String>) -> Option<(Timestamp, [u8; 16])> {
    Some((Timestamp(place.0), id_of(&place.1).ok()?))
}

/// `GET /console/alerts`
async fn alerts(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Before>,
) -> Result<Markup, Failure> {
    let open = state.open_alerts().await?;
    let before = cursor::<Pair<String>>(q.before.as_deref()).and_then(|p| behind(&p));
    let past = state.alerts_before(before, SHOWN).await?;
    let next = past.last().filter(|_| past.len() >= usize::try_from(SHOWN).unwrap_or(0));
    let next = next.map(|a| place(a).to_string());
    let row = |a: &Alert| row(&visitor, staff, a, about(&state, a));
    let over: Vec<_> = past.iter().filter(|a| a.closed.is_some()).map(row).collect();
    let open: Vec<_> = open.iter().map(row).collect();
    let columns = ["What", "Where", "Since", "Until", ">Reading", ">Worst", "Seen"];
    let bulletins = state.bulletins().await?;
    let content = html! {
        (live_sheet("open", "Open", "health", &table("Open alerts, oldest first", &columns, &open)))
        (live_sheet("past", "Past", "health", &table("Past alerts, newest first", &columns, &over)))
        (more("/console/alerts?before=", next))
        (sheet("bulletins", "Said to everybody", &said(&visitor, staff, &bulletins)))
    };
    let lead = "What goes wrong is told once, when it begins and when it is over.";
    Ok(frame(&visitor, staff, "Alerts", lead, &content))
}

/// What is to be said of an open alert besides its figure: as it stands now.
fn about(state: &AppState, a: &Alert) -> Option<String> {
    if a.rule != Rule::LogUnread || a.closed.is_some() {
        return None;
    }
    let reader = state.live().log_readers().into_iter().find(|r| r.subject() == a.subject)?;
    Some(reader.text(state.now())).filter(|text| !text.is_empty())
}

fn row(visitor: &Visitor, staff: Staff, a: &Alert, about: Option<String>) -> Vec<Markup> {
    let id = hex::encode(a.id);
    let seen = html! {
        @match a.seen {
            Some((at, _)) => (time(at)),
            None => @if staff.role.may(Permission::RunMachines) {
                (button(visitor, &format!("/console/alerts/{id}/seen"), "Seen", &[]))
            } @else { "–" },
        }
    };
    let figure = |n: i64| html! { (n) " " (t(a.rule.unit())) };
    vec![
        html! {
            span.tag.bad[a.closed.is_none()] { (t(a.rule.text())) }
            @if let Some(about) = about { span.small { " " (about) } }
        },
        html! { (t(&a.subject)) },
        time(a.opened),
        html! { @match a.closed { Some(at) => (time(at)), None => "–" } },
        figure(a.reading),
        figure(a.worst),
        seen,
    ]
}

fn said(visitor: &Visitor, staff: Staff, all: &[Bulletin]) -> Markup {
    let may = staff.role.may(Permission::RunMachines);
    let rows: Vec<_> = all
        .iter()
        .map(|b| {
            let end = html! { @match b.ended {
                Some(at) => (time(at)),
                None => @if may { (button(visitor, &format!("/console/bulletins/{}/end", hex::encode(b.id)), "It is over", &[])) },
            } };
            vec![html! { strong { (b.title) } " " (b.body) }, time(b.made), end]
        })
        .collect();
    html! {
        (table("What was said", &["What", "Since", "Over"], &rows))
        @if may {
            form.stack method="post" action="/console/bulletins" {
                (token(visitor))
                (field("bulletin", "title", "Title", "At most 100 characters; everybody reads it on /status."))
                (field("bulletin", "body", "What is to be known", "At most 2,000 characters."))
                button type="submit" { (t("Say it")) }
            }
        }
    }
}

/// The id of an alert or a bulletin, as written.
pub(crate) fn id_of(text: &str) -> Result<[u8; 16], Failure> {
    let bytes = hex::decode(text).ok().and_then(|b| b.try_into().ok());
    bytes.ok_or_else(|| Failure::not_found("page"))
}

/// `POST /console/alerts/{id}/seen`
async fn seen(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<String>,
) -> Result<Redirect, Failure> {
    see(&state, staff, &id).await?;
    Ok(Redirect::to("/console/alerts"))
}

async fn see(state: &AppState, staff: Staff, id: &str) -> Result<bool, Failure> {
    let bytes = id_of(id)?;
    let done = async { state.see_alert(bytes, staff.account).await };
    state.act(staff, None, "alert.seen", id, done).await
}

/// What is to be said to everybody.
#[derive(Deserialize)]
struct Said {
    title: String,
    body: String,
}

/// `POST /console/bulletins`
async fn say(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Said>,
) -> Result<Redirect, Failure> {
    state.say_bulletin(staff, &form.title, &form.body).await?;
    Ok(Redirect::to("/console/alerts"))
}

/// `POST /console/bulletins/{id}/end`
async fn end(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<String>,
) -> Result<Redirect, Failure> {
    state.end_said(staff, id_of(&id)?).await?;
    Ok(Redirect::to("/console/alerts"))
}

answers! {
    /// An alert.
    struct AlertBody {
        /// Its id.
        id: String,
        /// What it is about.
        rule: &'static str,
        /// Of what: a lane, a wallet; empty where there is one of it.
        subject: String,
        /// It in words.
        text: String,
        /// What more there is to say while it is open, and what to do; most alerts say enough by their figure.
        about: Option<String>,
        /// The unit of what is measured.
        unit: String,
        /// What is measured now, or was last.
        reading: i64,
        /// The worst so far.
        worst: i64,
        /// When it began.
        opened_at: Time,
        /// When it was over.
        closed_at: Option<Time>,
        /// When somebody had seen it.
        seen_at: Option<Time>,
        /// Who.
        seen_by: Option<gruve_units::AccountId>,
    }

    /// Alerts.
    struct Alerts {
        /// Those that are open.
        open: Vec<AlertBody>,
        /// The newest, open or not.
        newest: Vec<AlertBody>,
    }
}

fn body(state: &AppState, a: &Alert) -> AlertBody {
    AlertBody {
        id: hex::encode(a.id),
        rule: a.rule.name(),
        subject: a.subject.clone(),
        text: a.rule.text().to_string(),
        about: about(state, a),
        unit: a.rule.unit().to_string(),
        reading: a.reading,
        worst: a.worst,
        opened_at: api_time(a.opened),
        closed_at: a.closed.map(api_time),
        seen_at: a.seen.map(|(at, _)| api_time(at)),
        seen_by: a.seen.map(|(_, by)| by),
    }
}

/// `GET /api/v1/console/alerts`: what is open, and the newest hundred.
async fn alerts_json(State(state): State<AppState>, _: Staff) -> Result<Fine<Alerts>, Failure> {
    let open = state.open_alerts().await?;
    let newest = state.alerts_before(None, SHOWN).await?;
    Ok(Answer(Alerts {
        open: open.iter().map(|a| body(&state, a)).collect(),
        newest: newest.iter().map(|a| body(&state, a)).collect(),
    }))
}

/// `GET /api/v1/console/alerts/all`
async fn all_json(
    State(state): State<AppState>,
    _: Staff,
    Params(page): Params<Page>,
) -> Result<Fine<List<AlertBody>>, Failure> {
    let wrong = || Failure::bad_request("`after` is the `next` of a page of the same list.");
    let before = match page.behind::<Pair<String>>()? {
        Some(at) => Some(behind(&at).ok_or_else(wrong)?),
        None => None,
    };
    page.give(state.alerts_before(before, page.wanted()?).await?, place, |a| body(&state, a))
}

/// `POST /api/v1/console/alerts/{id}/seen`
async fn seen_json(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<String>,
) -> Result<Done, Failure> {
    see(&state, staff, &id).await?;
    Ok(Done)
}
