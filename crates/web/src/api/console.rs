//! The operator's side for programs: plans; the rest of what the console's pages do beside. By a session of somebody
//! whose role allows it; no key for programs reaches it.

pub(crate) mod books;
pub(crate) mod customers;
pub(crate) mod farm;
pub(crate) mod hosting;
pub(crate) mod luck;
pub(crate) mod payouts;
pub(crate) mod people;
pub(crate) mod running;
pub(crate) mod said;
pub(crate) mod tickets;

use crate::api::life::{ThDayBody, th_day};
use crate::api::papers;
use crate::api::{Time, time};
use crate::extract::{Id, Json, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, List, answers};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use gruve_market::{Offer, OfferStanding, PlanConfig};
use gruve_units::{EpochNumber, LaneId};

answers! {
    /// A plan with how it stands.
    struct PlanStanding {
        /// As it stands in the configuration.
        plan: papers::PlanSaid,
        /// `filed`, `said`, `withdrawn` or `unfit`.
        standing: &'static str,
        /// Why it is unfit.
        why: Option<String>,
        /// Where it is on offer.
        version: Option<u32>,
        /// Whether the file has a plan of that name.
        is_filed: bool,
        /// When it was last changed in the console.
        changed_at: Option<Time>,
    }

    /// Contracts of one version of a plan that cost more than they earn, and run on as the plan says.
    struct LosingPlanBody {
        /// Of which lane.
        lane: LaneId,
        /// Which plan.
        plan: String,
        /// Which version of it they were sold under.
        version: u32,
        /// How many of them were found so at the last settlement.
        contracts: u64,
        /// The epoch at whose end the first of them was.
        since_epoch: EpochNumber,
        /// What a TH/s earns and costs a day now; null where that cannot be said.
        now: Option<ThDayBody>,
    }

    /// A plan put on offer.
    struct PlanPut {
        /// Its id.
        plan: String,
        /// Its version.
        version: u32,
    }
}

fn offer_body(o: Offer) -> PlanStanding {
    let standing = o.standing.name();
    let why = match o.standing {
        OfferStanding::Unfit(why) => Some(why.to_owned()),
        _ => None,
    };
    PlanStanding {
        plan: papers::PlanSaid(o.plan),
        standing,
        why,
        version: o.version,
        is_filed: o.is_filed,
        changed_at: o.changed_at.map(time),
    }
}

/// `GET /api/v1/console/plans`
pub(crate) async fn plans(
    State(state): State<AppState>,
) -> Result<Fine<List<PlanStanding>>, Failure> {
    let all = state.market().offers().await.map_err(|e| market_failure(&e))?;
    Ok(List::whole(all.into_iter().map(offer_body)))
}

/// `GET /api/v1/console/losing-plans`
pub(crate) async fn losing_plans(
    State(state): State<AppState>,
) -> Result<Fine<List<LosingPlanBody>>, Failure> {
    let all = state.market().losing_plans().await.map_err(|e| market_failure(&e))?;
    Ok(List::whole(all.into_iter().map(|p| LosingPlanBody {
        lane: p.lane,
        plan: p.plan,
        version: p.version,
        contracts: p.contracts,
        since_epoch: p.since,
        now: p.now.as_ref().map(th_day),
    })))
}

/// `POST /api/v1/console/plans`: makes a plan, or changes the one of that name; as in the file.
pub(crate) async fn put_plan(
    State(state): State<AppState>,
    staff: Staff,
    Json(plan): Json<PlanConfig>,
) -> Result<Fine<PlanPut>, Failure> {
    let plan = state.put_plan(staff, plan).await?;
    Ok(Answer(PlanPut { plan: plan.id, version: plan.version }))
}

/// `DELETE /api/v1/console/plans/{name}`
pub(crate) async fn withdraw_plan(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<Done, Failure> {
    state.withdraw_plan(staff, &name).await?;
    Ok(Done)
}

/// `POST /api/v1/console/plans/{name}/as-filed`
pub(crate) async fn plan_as_filed(
    State(state): State<AppState>,
    staff: Staff,
    Id(name): Id<String>,
) -> Result<Done, Failure> {
    state.plan_as_filed(staff, &name).await?;
    Ok(Done)
}
