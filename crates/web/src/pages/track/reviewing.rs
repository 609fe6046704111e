//! Reviews of a plan: written by who holds or held a contract of it, read by everybody, answered by the operator.

use crate::api::{Time, time as api_time};
use crate::extract::{Customer, Form, Id, Json, Staff};
use crate::failure::Failure;
use crate::layout::{page, token};
use crate::money::time;
use crate::openapi::{Answer, Made, answers, requests};
use crate::reviews::{Ground, Review, TEXT_CHARS_MAX};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_units::{ContractId, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

/// The addresses of this place.
pub(super) fn routes(routes: Routes) -> Routes {
    use Access::{Bearer, Customer, CustomerForm, StaffForm};
    routes
        .get("/contracts/{id}/review", Customer, review_form)
        .post("/contracts/{id}/review", CustomerForm, review)
        .api_post(
            "/api/v1/contracts/{id}/review",
            Bearer,
            "Reviews the plan of an own contract: a lease, one by the meter, or a machine's.",
            review_json,
        )
        .post("/console/reviews/{id}/answer", StaffForm(Permission::AnswerTickets), reply)
        .post("/console/reviews/{id}/hide", StaffForm(Permission::SetPlans), hide)
}

/// The stars in figures.
pub(super) fn heard(stars: &[u64; 5]) -> Markup {
    let n: u64 = stars.iter().sum();
    let sum: u64 = stars.iter().zip(1_u64..).map(|(n, stars)| n * stars).sum();
    html! { @if n > 0 {
        p { strong { (crate::money::local(&format!("{}.{}", sum / n, sum * 10 / n % 10))) }
            " " (text!("of 5 stars from {n} reviews:", n = n)) " "
            @for (i, count) in stars.iter().enumerate().rev() { (i + 1) "★ " (count) "\u{2003}" } }
    } }
}

pub(super) fn shown(visitor: &Visitor, r: &Review) -> Markup {
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
    let held = state.held_plan(customer.account, id).await?;
    let (plan, said) = (held.plan, state.review_of(id).await?);
    let content = html! {
        div.lead {
            p.crumbs { a href={ (held.place) "/" (id) } { (t("Contract")) } }
            h1 { (t("Review this contract")) }
            p { (t("Everybody reads it beside the plan, without your name. It is written once and cannot be changed.")) }
        }
        @if let Some(r) = said { section.sheet.narrow { (shown(&Visitor::default(), &r)) p { a href={ "/plans/" (crate::gate::percent_encoded(&plan)) "/record" } { (t("All reviews")) } } } }
        @else {
            section.sheet.narrow { form.stack method="post" action={ "/contracts/" (id) "/review" } {
                (token(&visitor))
                div.field { label for="stars" { (t("Stars")) }
                    select #stars name="stars" required { option value="" { (t("Choose")) } @for n in (1..=5).rev() { option value=(n) { (n) } } } }
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
