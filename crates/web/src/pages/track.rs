//! The track record of a plan: figures that nobody writes, and what holders of its contracts say.

use crate::api::{Money, Time, amount as api_amount, time as api_time};
use crate::extract::{Customer, Form, Id, Json, Staff};
use crate::failure::Failure;
use crate::layout::{page, token};
use crate::money::{amount, percent, time, work};
use crate::openapi::{Answer, Fine, Made, answers, requests};
use crate::reviews::{Ground, Review, TEXT_CHARS_MAX};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_market::{METERED_TRACKED_MAX, MeteredTrack, PlanKind, TRACKED_MAX, TrackRecord};
use gruve_units::{Amount, ContractId, Duration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::{Bearer, Customer, CustomerForm, Public, StaffForm};
    routes
        .get("/plans/{name}/record", Public, record)
        .api_get(
            "/api/v1/plans/{name}/record",
            Public,
            "What became of a plan's contracts, and what their holders say.",
            record_json,
        )
        .get("/contracts/{id}/review", Customer, review_form)
        .post("/contracts/{id}/review", CustomerForm, review)
        .api_post(
            "/api/v1/contracts/{id}/review",
            Bearer,
            "Reviews the plan of an own contract.",
            review_json,
        )
        .post("/console/reviews/{id}/answer", StaffForm(Permission::AnswerTickets), reply)
        .post("/console/reviews/{id}/hide", StaffForm(Permission::SetPlans), hide)
}

/// How long a record is shown before it is computed anew: a thousand contracts are read for it, for whoever asks.
const SHOWN_FOR: Duration = Duration::from_secs(10);
/// Records remembered: far more plans than a house has. Names that no plan ever had are not.
const REMEMBERED: usize = 200;

/// A record that was shown, and when it was computed.
type Shown = (Timestamp, Known);

/// The records shown last. One is computed at a time, however many ask.
#[derive(Default)]
pub(crate) struct Records(Mutex<BTreeMap<String, Shown>>);

/// What is known of a plan, at most [`SHOWN_FOR`] old.
async fn known(state: &AppState, name: &str) -> Result<Known, Failure> {
    let mut all = state.records().0.lock().await;
    let now = state.now();
    if let Some((at, known)) = all.get(name)
        && now.since(*at) < SHOWN_FOR
        && *at <= now
    {
        return Ok(known.clone());
    }
    let known = computed(state, name).await?;
    if all.len() >= REMEMBERED {
        all.retain(|_, (at, _)| now.since(*at) < SHOWN_FOR);
    }
    if all.len() < REMEMBERED {
        all.insert(name.to_owned(), (now, known.clone()));
    }
    Ok(known)
}

/// A plan's title, on sale or from the past of its contracts; a name that no plan ever had is not found.
async fn computed(state: &AppState, name: &str) -> Result<Known, Failure> {
    let track = state.market().track_record(name).await?;
    let on_sale = state.market().plans().into_iter().find(|p| p.id == name);
    let metered = match &on_sale {
        Some(p) if p.kind == PlanKind::Metered => {
            Some(state.market().metered_track(name, &p.lane).await?)
        }
        _ => None,
    };
    match on_sale.map(|p| p.title) {
        Some(title) => Ok(Known { title, track, metered }),
        None if track.sold > 0 => Ok(Known { title: name.to_owned(), track, metered }),
        None => Err(Failure::not_found("plan")),
    }
}

/// The record of a plan in a line: what of the work that was due was delivered, and by how many contracts.
pub(crate) async fn in_a_line(state: &AppState, plan: &str) -> Result<Markup, Failure> {
    let Known { track, metered, .. } = known(state, plan).await?;
    let (n, done, due) = match metered {
        Some(m) => (m.started, m.delivered, m.sold),
        None => (track.sold, track.delivered, track.entitled),
    };
    Ok(html! {
        @if n == 0 { (t("none sold yet")) }
        @else { (say!("{percent} delivered, {n} sold", percent = percent(done.0.min(due.0), due.0), n = n)) }
    })
}

/// A plan's title and what became of its contracts, those by the meter beside leases.
#[derive(Clone)]
struct Known {
    title: String,
    track: TrackRecord,
    metered: Option<MeteredTrack>,
}

/// `GET /plans/{name}/record`
async fn record(
    State(state): State<AppState>,
    visitor: Visitor,
    Id(name): Id<String>,
) -> Result<Markup, Failure> {
    let Known { title, track, metered } = known(&state, &name).await?;
    let (reviews, stars) = (state.reviews(&name).await?, state.stars(&name).await?);
    let content = html! {
        div.lead {
            p.crumbs { a href="/plans" { (t("Plans")) } }
            h1 { (title) }
            p { (t("What became of its contracts, computed from the books a moment ago, and what their holders say.")) }
        }
        section.sheet aria-labelledby="record-h" {
            header { h2 #record-h { (t("Track record")) } }
            @match &metered { Some(m) => (metered_figures(m)), None => (figures(&track)) }
        }
        section.sheet aria-labelledby="reviews-h" {
            header { h2 #reviews-h { (t("Reviews")) } }
            (heard(&stars))
            @if reviews.is_empty() { p.empty { (t("Nobody has written one yet.")) } }
            @for r in &reviews { (shown(&visitor, r)) }
            p.small.soft { (t("Only who holds or held a contract may write, once for each. We may answer, and can delete nothing. A text is hidden only where it tells of a private person, insults, advertises, or where a court orders it; its stars count all the same, and the ground stands in its place.")) }
        }
    };
    Ok(page(&visitor, &title, false, &content))
}

fn figures(r: &TrackRecord) -> Markup {
    html! {
        @if r.sold == 0 { p.empty { (t("No contract of it has been sold yet.")) } } @else {
            dl.figures {
                div { dt { (t("Contracts sold")) } dd { (r.sold) small { (text!("{running} run, {completed} delivered all, {refunded} ended with work missing",
                    running = r.running, completed = r.completed, refunded = r.refunded)) } } }
                div { dt { (t("Delivered of what was due")) } dd { (percent(r.delivered.0.min(r.entitled.0), r.entitled.0))
                    small { (work(r.delivered)) " / " (work(r.entitled)) } } }
                @if r.epochs > 0 { div { dt { (t("Epochs with work")) } dd { (percent(r.epochs_worked.into(), r.epochs.into()))
                    small { (text!("{worked} of {epochs} of its lane since the first was sold, of the last week at most", worked = r.epochs_worked, epochs = r.epochs)) } } } }
                div { dt { (t("Given back for missing work")) } dd {
                    @if r.given_back.is_empty() { (t("nothing")) }
                    @for a in &r.given_back { div { (amount(*a)) } }
                    small { (t("of")) " " @for a in &r.paid { (amount(*a)) " " } } } }
                div { dt { (t("Foretold and come true")) } dd {
                    @if r.foretold == 0 { "–" small { (t("no contract has ended yet")) } } @else {
                        (percent(u128::try_from(r.brought_minor).unwrap_or(0), u128::try_from(r.foretold_minor).unwrap_or(0)))
                        small { (text!("of the mean foretold; contracts that ended: {n}; {below} brought less than nine in ten futures' range, {above} more",
                            n = r.foretold, below = r.below, above = r.above)) }
                    } } }
            }
            @if let Some(since) = r.since { p.small.soft { (say!("Since {time}; the newest {n} contracts at most.", time = time(since), n = TRACKED_MAX)) } }
        }
    }
}

fn metered_figures(m: &MeteredTrack) -> Markup {
    html! {
        @if m.started == 0 { p.empty { (t("No contract of it has been started yet.")) } } @else {
            dl.figures {
                div { dt { (t("Contracts started")) } dd { (m.started) small { (text!("{running} run, {stopped} stopped for want of a balance, {ended} ended",
                    running = m.running, stopped = m.stopped, ended = m.ended)) } } }
                div { dt { (t("Delivered of what was sold")) } dd { (percent(m.delivered.0.min(m.sold.0), m.sold.0))
                    small { (work(m.delivered)) " / " (work(m.sold)) } } }
                div { dt { (t("Epochs with work")) } dd { (percent(m.epochs_worked.into(), m.epochs.into()))
                    small { (text!("{worked} of {epochs} that were paid for", worked = m.epochs_worked, epochs = m.epochs)) } } }
                div { dt { (t("Charged")) } dd { @if m.charged.is_empty() { (t("nothing")) } @for a in &m.charged { div { (amount(*a)) } } } }
            }
            @if let Some(since) = m.since { p.small.soft { (say!("Since {time}; the newest {n} contracts at most, and their epochs of the last week.", time = time(since), n = METERED_TRACKED_MAX)) } }
        }
    }
}

/// The stars in figures.
fn heard(stars: &[u64; 5]) -> Markup {
    let n: u64 = stars.iter().sum();
    let sum: u64 = stars.iter().zip(1_u64..).map(|(n, stars)| n * stars).sum();
    html! { @if n > 0 {
        p { strong { (crate::money::local(&format!("{}.{}", sum / n, sum * 10 / n % 10))) }
            " " (text!("of 5 stars from {n} reviews:", n = n)) " "
            @for (i, count) in stars.iter().enumerate().rev() { (i + 1) "★ " (count) "\u{2003}" } }
    } }
}

fn shown(visitor: &Visitor, r: &Review) -> Markup {
    let may = |p| visitor.role.is_some_and(|role| role.may(p));
    let id = r.contract;
    html! {
        article.part aria-label=(text!("{n} of 5 stars", n = r.stars)) {
            p { strong aria-hidden="true" { @for n in 1..=5 { @if n <= r.stars { "★" } @else { "☆" } } } " " span.small.soft { (time(r.made)) } }
            @match &r.hidden {
                None => p { (r.body) },
                Some((ground, at)) => p.note { (say!("The text was hidden on {time}, because {why}.", time = time(*at), why = t(ground.text()))) },
            }
            @if let Some((text, at)) = &r.answer { blockquote { p { (text) } p.small.soft { (t("The operator")) ", " (time(*at)) } } }
            @else if may(Permission::AnswerTickets) {
                details { summary { (t("Answer")) } form.stack method="post" action={ "/console/reviews/" (id) "/answer" } {
                    (token(visitor))
                    div.field { label for={ "answer-" (id) } { (t("Answer, once and for all")) }
                        textarea id={ "answer-" (id) } name="text" required maxlength=(TEXT_CHARS_MAX) {} }
                    button.quiet type="submit" { (t("Answer")) } } }
            }
            @if r.hidden.is_none() && may(Permission::SetPlans) {
                details { summary { (t("Hide the text")) } form.stack method="post" action={ "/console/reviews/" (id) "/hide" } {
                    (token(visitor))
                    div.field { label for={ "ground-" (id) } { (t("Because")) }
                        select id={ "ground-" (id) } name="ground" { @for g in Ground::ALL { option value=(g.word()) { (t(g.text())) } } } }
                    button.quiet type="submit" { (t("Hide it")) } } }
            }
        }
    }
}

/// `GET /contracts/{id}/review`
async fn review_form(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Markup, Failure> {
    let plan = state.held_plan(customer.account, id).await?;
    let said = state.review_of(id).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href={ "/contracts/" (id) } { (t("Contract")) } }
            h1 { (t("Review this contract")) }
            p { (t("Everybody reads it beside the plan, without your name. It is written once and cannot be changed.")) }
        }
        @if let Some(r) = said { section.sheet.narrow { (shown(&Visitor::default(), &r)) p { a href={ "/plans/" (plan) "/record" } { (t("All reviews")) } } } }
        @else {
            section.sheet.narrow { form.stack method="post" action={ "/contracts/" (id) "/review" } {
                (token(&visitor))
                div.field { label for="stars" { (t("Stars")) }
                    select #stars name="stars" { @for n in (1..=5).rev() { option value=(n) { (n) } } } }
                div.field { label for="text" { (t("What you would tell a friend")) }
                    textarea #text name="text" required maxlength=(TEXT_CHARS_MAX) rows="6" aria-describedby="text-hint" {}
                    p.hint #text-hint { (t("At most 1,000 characters. Tell of no private person.")) } }
                button type="submit" { (t("Publish it")) }
            } }
        }
    };
    Ok(page(&visitor, t("Review this contract"), false, &content))
}

requests! {
    /// A review.
    struct ReviewSaid {
        /// One to five.
        stars: u8,
        /// What there is to say.
        text: String,
    }
}

/// The same by a form, with its token.
#[derive(Deserialize)]
struct ReviewForm {
    stars: u8,
    text: String,
}

/// `POST /contracts/{id}/review`
async fn review(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(said): Form<ReviewForm>,
) -> Result<Redirect, Failure> {
    let plan = state.review(customer.account, id, said.stars, &said.text).await?;
    Ok(Redirect::to(&format!("/plans/{}/record", crate::gate::percent_encoded(&plan))))
}

/// `POST /api/v1/contracts/{id}/review`
async fn review_json(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(said): Json<ReviewSaid>,
) -> Result<Made<ReviewMade>, Failure> {
    let plan = state.review(customer.account, id, said.stars, &said.text).await?;
    Ok(Answer(ReviewMade { plan }))
}

/// An answer.
#[derive(Deserialize)]
struct Reply {
    text: String,
}

async fn back(state: &AppState, id: ContractId) -> Result<Redirect, Failure> {
    let _ = state.review_of(id).await?;
    Ok(Redirect::to("/plans"))
}

/// `POST /console/reviews/{id}/answer`
async fn reply(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
    Form(form): Form<Reply>,
) -> Result<Redirect, Failure> {
    state.reply_to_review(staff, id, &form.text).await?;
    back(&state, id).await
}

/// Why a text is hidden.
#[derive(Deserialize)]
struct Hidden {
    ground: String,
}

/// `POST /console/reviews/{id}/hide`
async fn hide(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
    Form(form): Form<Hidden>,
) -> Result<Redirect, Failure> {
    state.hide_said(staff, id, &form.ground).await?;
    back(&state, id).await
}

answers! {
    /// What became of a plan's contracts, and what their holders say.
    struct PlanRecord {
        /// Its name.
        plan: String,
        /// Its title.
        title: String,
        /// Contracts sold.
        sold: u64,
        /// Of these still running.
        running: u64,
        /// Delivered in full.
        completed: u64,
        /// Ended with work missing.
        refunded: u64,
        /// When the first began.
        since: Option<Time>,
        /// Work bought, in hashes.
        bought: String,
        /// Work due so far.
        entitled: String,
        /// Work delivered.
        delivered: String,
        /// Epochs of its lane since the first was sold, of the last week at most.
        epochs: u64,
        /// Of these, those in which the house's machines proved work.
        epochs_worked: u64,
        /// What was paid for them.
        paid: Vec<Money>,
        /// What was given back for missing work.
        given_back: Vec<Money>,
        /// What was foretold of those that ended, and what they brought.
        foretold: Foretold,
        /// Of contracts by the meter; null for a plan of leases.
        metered: Option<MeteredRecord>,
        /// How many gave one star, two, to five.
        stars: Vec<u64>,
        /// What their holders say, newest first.
        reviews: Vec<ReviewBody>,
    }

    /// What became of a plan's newest contracts by the meter, in the last week.
    struct MeteredRecord {
        /// Contracts started.
        started: u64,
        /// Of these, those that work.
        running: u64,
        /// That stand still for want of a balance.
        stopped: u64,
        /// That were ended.
        ended: u64,
        /// When the first was started.
        since: Option<Time>,
        /// Epochs that work was held for.
        epochs: u64,
        /// Of these, those in which any was delivered.
        epochs_worked: u64,
        /// Work held for, in hashes.
        sold: String,
        /// Work delivered.
        delivered: String,
        /// What was charged, from the beginning on.
        charged: Vec<Money>,
    }

    /// Forecasts and outcomes of ended contracts.
    struct Foretold {
        /// How many.
        contracts: u64,
        /// That brought less than nine in ten futures' range.
        below: u64,
        /// That brought more.
        above: u64,
        /// The sum of the means foretold, in minor units.
        mean_minor: String,
        /// The sum of what they brought.
        brought_minor: String,
    }

    /// A review.
    struct ReviewBody {
        /// One to five.
        stars: u8,
        /// What is said; null when it is hidden.
        text: Option<String>,
        /// When.
        made_at: Time,
        /// What the operator answered.
        answer: Option<ReviewAnswer>,
        /// Why the text is hidden.
        hidden: Option<ReviewHidden>,
    }

    /// The operator's answer.
    struct ReviewAnswer {
        /// It.
        text: String,
        /// When.
        at: Time,
    }

    /// That a text is hidden.
    struct ReviewHidden {
        /// Because.
        ground: &'static str,
        /// When.
        at: Time,
    }

    /// A review made.
    struct ReviewMade {
        /// Of which plan.
        plan: String,
    }
}

/// A review as everybody may read it.
pub(crate) fn review_body(r: &Review) -> ReviewBody {
    let answer =
        |(text, at): &(String, Timestamp)| ReviewAnswer { text: text.clone(), at: api_time(*at) };
    ReviewBody {
        stars: r.stars,
        text: r.hidden.is_none().then(|| r.body.clone()),
        made_at: api_time(r.made),
        answer: r.answer.as_ref().map(answer),
        hidden: r.hidden.map(|(g, at)| ReviewHidden { ground: g.word(), at: api_time(at) }),
    }
}

/// `GET /api/v1/plans/{name}/record`
async fn record_json(
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<Fine<PlanRecord>, Failure> {
    let Known { title, track: r, metered } = known(&state, &name).await?;
    let amounts = |all: &[Amount]| all.iter().map(|a| api_amount(*a)).collect::<Vec<_>>();
    let stars = state.stars(&name).await?.to_vec();
    let reviews = state.reviews(&name).await?.iter().map(review_body).collect();
    Ok(Answer(PlanRecord {
        plan: name,
        title,
        sold: r.sold,
        running: r.running,
        completed: r.completed,
        refunded: r.refunded,
        since: r.since.map(api_time),
        bought: r.bought.0.to_string(),
        entitled: r.entitled.0.to_string(),
        delivered: r.delivered.0.to_string(),
        epochs: r.epochs,
        epochs_worked: r.epochs_worked,
        paid: amounts(&r.paid),
        given_back: amounts(&r.given_back),
        foretold: Foretold {
            contracts: r.foretold,
            below: r.below,
            above: r.above,
            mean_minor: r.foretold_minor.to_string(),
            brought_minor: r.brought_minor.to_string(),
        },
        metered: metered.map(|m| MeteredRecord {
            started: m.started,
            running: m.running,
            stopped: m.stopped,
            ended: m.ended,
            since: m.since.map(api_time),
            epochs: m.epochs,
            epochs_worked: m.epochs_worked,
            sold: m.sold.0.to_string(),
            delivered: m.delivered.0.to_string(),
            charged: amounts(&m.charged),
        }),
        stars,
        reviews,
    }))
}
