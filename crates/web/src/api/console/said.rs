//! What staff says to everybody, for programs: bulletins, answers to reviews, and which texts are hidden.

use crate::api::page::{Page, Pair};
use crate::api::{Time, time};
use crate::extract::{Id, Json, Params, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, List, answers, requests};
use crate::pages::console::alerts::id_of;
use crate::pages::track::{ReviewBody, review_body};
use crate::reviews::Review;
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use crate::watch::Bulletin;
use axum::extract::State;
use gruve_accounts::Permission::{AnswerTickets, RunMachines, SeeFarm, SetPlans};
use gruve_units::{ContractId, Timestamp};

requests! {
    /// What is to be said to everybody.
    struct BulletinSaid {
        /// In a line: 1 to 100 characters.
        title: String,
        /// At length: 1 to 2,000 characters.
        body: String,
    }

    /// What the operator answers to a review, once.
    struct ReviewReply {
        /// 1 to 1,000 characters.
        text: String,
    }

    /// Why a review's text is hidden.
    struct ReviewGround {
        /// `personal-data`, `abuse`, `advertising` or `ordered`.
        ground: String,
    }
}

answers! {
    /// What the operator said to everybody, as staff sees it.
    struct BulletinStanding {
        /// Its id.
        id: String,
        /// In a line.
        title: String,
        /// At length.
        body: String,
        /// When it was said.
        made_at: Time,
        /// When it was over.
        ended_at: Option<Time>,
    }

    /// That it is over.
    struct BulletinEnded {
        /// Whether it was not before.
        is_new: bool,
    }

    /// A review as staff sees it.
    struct StaffReview: base: ReviewBody {
        /// The contract that it speaks of, by which it is answered and hidden.
        contract: ContractId,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/console/bulletins",
            StaffBearer(SeeFarm),
            "What was said to everybody in ninety days, newest first.",
            bulletins,
        )
        .api_post(
            "/api/v1/console/bulletins",
            StaffBearer(RunMachines),
            "Says something to everybody.",
            say,
        )
        .api_post(
            "/api/v1/console/bulletins/{id}/end",
            StaffBearer(RunMachines),
            "What was said is over.",
            end,
        )
        .api_get(
            "/api/v1/console/plans/{name}/reviews",
            StaffBearer(SeeFarm),
            "The newest hundred reviews of a plan.",
            reviews,
        )
        .api_post(
            "/api/v1/console/reviews/{id}/answer",
            StaffBearer(AnswerTickets),
            "Answers a review, once and for all.",
            reply,
        )
        .api_post(
            "/api/v1/console/reviews/{id}/hide",
            StaffBearer(SetPlans),
            "Hides a review's text; its stars count all the same.",
            hide,
        )
}

/// `GET /api/v1/console/bulletins`
async fn bulletins(State(state): State<AppState>) -> Result<Fine<List<BulletinStanding>>, Failure> {
    let body = |b: Bulletin| BulletinStanding {
        id: hex::encode(b.id),
        title: b.title,
        body: b.body,
        made_at: time(b.made),
        ended_at: b.ended.map(time),
    };
    Ok(List::whole(state.bulletins().await?.into_iter().map(body)))
}

/// `POST /api/v1/console/bulletins`
async fn say(
    State(state): State<AppState>,
    staff: Staff,
    Json(said): Json<BulletinSaid>,
) -> Result<Done, Failure> {
    state.say_bulletin(staff, &said.title, &said.body).await?;
    Ok(Done)
}

/// `POST /api/v1/console/bulletins/{id}/end`
async fn end(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<String>,
) -> Result<Fine<BulletinEnded>, Failure> {
    Ok(Answer(BulletinEnded { is_new: state.end_said(staff, id_of(&id)?).await? }))
}

/// `GET /api/v1/console/plans/{name}/reviews`
async fn reviews(
    State(state): State<AppState>,
    Id(name): Id<String>,
    Params(page): Params<Page>,
) -> Result<Fine<List<StaffReview>>, Failure> {
    let body = |r: &Review| StaffReview { base: review_body(r), contract: r.contract };
    let before = page.behind::<Pair<ContractId>>()?.map(|p| (Timestamp(p.0), p.1));
    let all = state.reviews_before(&name, before, page.wanted()?).await?;
    page.give(all, |r| Pair(r.made.0, r.contract), body)
}

/// `POST /api/v1/console/reviews/{id}/answer`
async fn reply(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
    Json(said): Json<ReviewReply>,
) -> Result<Done, Failure> {
    state.reply_to_review(staff, id, &said.text).await?;
    Ok(Done)
}

/// `POST /api/v1/console/reviews/{id}/hide`
async fn hide(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
    Json(why): Json<ReviewGround>,
) -> Result<Done, Failure> {
    state.hide_said(staff, id, &why.ground).await?;
    Ok(Done)
}
