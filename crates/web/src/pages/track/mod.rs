//! The track record of a plan: figures that nobody writes, and what holders of its contracts say.

mod figures;
mod reviewing;

pub(crate) use reviewing::{ReviewBody, review_body};

use crate::api::page::{Page, Pair};
use crate::api::{Money, Time, amount as api_amount, time as api_time};
use crate::extract::{Id, Params};
use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::layout::page;
use crate::money::percent;
use crate::openapi::{Answer, Fine, List, answers};
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use figures::{figures, machine_figures, metered_figures};
use gruve_hosting::HostedTrack;
use gruve_market::{MeteredTrack, PlanKind, TrackRecord};
use gruve_units::{Amount, ContractId, Duration, Timestamp};
use maud::{Markup, html};
use std::collections::BTreeMap;
use tokio::sync::Mutex;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::Public;
    let routes = routes.get("/plans/{name}/record", Public, record).api_get(
        "/api/v1/plans/{name}/record",
        Public,
        "What became of a plan's contracts, and what their holders say.",
        record_json,
    );
    let routes = routes.api_get(
        "/api/v1/plans/{name}/reviews",
        Public,
        "What holders of a plan's contracts say, newest first.",
        reviews_json,
    );
    reviewing::routes(routes)
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
    let hosted = state.hosting().track_record(name).await.map_err(|e| hosting_failure(&e))?;
    let mut plans = state.market().plans().into_iter().chain(state.market().hosted_plans());
    let on_sale = plans.find(|p| p.id == name);
    let is_hosted =
        hosted.taken > 0 || on_sale.as_ref().is_some_and(|p| p.kind == PlanKind::Hosted);
    let machines = is_hosted.then_some(hosted);
    let lane = match &on_sale {
        Some(p) => (p.kind == PlanKind::Metered).then(|| p.lane.clone()),
        None => state.market().metered_lane(name).await?,
    };
    let metered = match lane {
        Some(lane) => Some(state.market().metered_track(name, &lane).await?),
        None => None,
    };
    match on_sale.map(|p| p.title) {
        Some(title) => Ok(Known { title, track, metered, machines }),
        None if track.sold > 0 || metered.is_some() || machines.is_some() => {
            Ok(Known { title: name.to_owned(), track, metered, machines })
        }
        None => Err(Failure::not_found("plan")),
    }
}

/// The record of a plan in a line: what of the work that was due was delivered, and by how many contracts.
pub(crate) async fn in_a_line(state: &AppState, plan: &str) -> Result<Markup, Failure> {
    let Known { track, metered, machines, .. } = known(state, plan).await?;
    if let Some(m) = machines {
        return Ok(html! {
            @if m.taken == 0 { (t("none taken yet")) }
            @else if m.billed_us == 0 { (say!("{n} taken", n = m.taken)) }
            @else { (say!("{percent} up, {n} taken", percent = percent(m.up_us.into(), m.billed_us.into()), n = m.taken)) }
        });
    }
    let (n, done, due) = match metered {
        Some(m) => (m.started, m.delivered, m.sold),
        None => (track.sold, track.delivered, track.entitled),
    };
    Ok(html! {
        @if n == 0 { (t("none sold yet")) }
        @else { (say!("{percent} delivered, {n} sold", percent = percent(done.0.min(due.0), due.0), n = n)) }
    })
}

/// A plan's title and what became of its contracts: leases, beside them those by the meter, and those of machines.
#[derive(Clone)]
struct Known {
    title: String,
    track: TrackRecord,
    metered: Option<MeteredTrack>,
    machines: Option<HostedTrack>,
}

/// `GET /plans/{name}/record`
async fn record(
    State(state): State<AppState>,
    visitor: Visitor,
    Id(name): Id<String>,
) -> Result<Markup, Failure> {
    let Known { title, track, metered, machines } = known(&state, &name).await?;
    let (reviews, stars) = (state.reviews(&name).await?, state.stars(&name).await?);
    let content = html! {
        div.lead {
            p.crumbs {
                @if machines.is_some() { a href="/hosted" { (t("Machines of your own")) } }
                @else { a href="/plans" { (t("Plans")) } }
            }
            h1 { (title) }
            p { (t("What became of its contracts, computed from the books a moment ago, and what their holders say.")) }
        }
        section.sheet aria-labelledby="record-h" {
            header { h2 #record-h { (t("Track record")) } }
            @if let Some(m) = &machines { (machine_figures(m)) }
            @else { @match &metered { Some(m) => (metered_figures(m)), None => (figures(&track)) } }
        }
        section.sheet aria-labelledby="reviews-h" {
            header { h2 #reviews-h { (t("Reviews")) } }
            (reviewing::heard(&stars))
            @if reviews.is_empty() { p.empty { (t("Nobody has written one yet.")) } }
            @for r in &reviews { (reviewing::shown(&visitor, r)) }
            p.small.soft { (t("Only who holds or held a contract may write, once for each. We may answer, and can delete nothing. A text is hidden only where it tells of a private person, insults, advertises, or where a court orders it; its stars count all the same, and the ground stands in its place.")) }
        }
    };
    Ok(page(&visitor, &title, false, &content))
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
        /// Of contracts by the meter; null for other plans.
        metered: Option<MeteredRecord>,
        /// Of machines; null for other plans.
        machines: Option<MachinesRecord>,
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

    /// What became of the newest machines that a plan sold or leased.
    struct MachinesRecord {
        /// Machines taken.
        taken: u64,
        /// Of these still with their owners.
        running: u64,
        /// At the end of their term.
        ended_by_term: u64,
        /// Ended by their owners.
        ended_by_owner: u64,
        /// Ended by the operator.
        ended_by_operator: u64,
        /// Handed on to somebody else.
        handed_on: u64,
        /// When the first was taken.
        since: Option<Time>,
        /// The time that is billed, in microseconds.
        billed_micros: u64,
        /// Of it, the time that the machines were up.
        up_micros: u64,
        /// Hosting fees of it, before credits.
        fees: Vec<Money>,
        /// What was credited for time below the promised level.
        credited: Vec<Money>,
        /// What bills could not take from earnings, and nobody owes.
        waived: Vec<Money>,
        /// What was paid for machines.
        paid: Vec<Money>,
        /// What of it came back where the operator ended a lease.
        given_back: Vec<Money>,
        /// Epochs of machines in the last day of epochs.
        epochs: u64,
        /// Work of machines at their nameplate in them, in hashes.
        nameplate: String,
        /// Work that shares prove in them.
        proven: String,
    }
}

/// `GET /api/v1/plans/{name}/reviews`
async fn reviews_json(
    State(state): State<AppState>,
    Id(name): Id<String>,
    Params(page): Params<Page>,
) -> Result<Fine<List<ReviewBody>>, Failure> {
    known(&state, &name).await?;
    let before = page.behind::<Pair<ContractId>>()?.map(|p| (Timestamp(p.0), p.1));
    let all = state.reviews_before(&name, before, page.wanted()?).await?;
    page.give(all, |r| Pair(r.made.0, r.contract), review_body)
}

/// `GET /api/v1/plans/{name}/record`
async fn record_json(
    State(state): State<AppState>,
    Id(name): Id<String>,
) -> Result<Fine<PlanRecord>, Failure> {
    let Known { title, track: r, metered, machines } = known(&state, &name).await?;
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
        machines: machines.map(|m| MachinesRecord {
            taken: m.taken,
            running: m.running,
            ended_by_term: m.by_term,
            ended_by_owner: m.by_owner,
            ended_by_operator: m.by_operator,
            handed_on: m.handed_on,
            since: m.since.map(api_time),
            billed_micros: m.billed_us,
            up_micros: m.up_us,
            fees: amounts(&m.fees),
            credited: amounts(&m.credited),
            waived: amounts(&m.waived),
            paid: amounts(&m.paid),
            given_back: amounts(&m.given_back),
            epochs: m.epochs,
            nameplate: m.nameplate.0.to_string(),
            proven: m.proven.0.to_string(),
        }),
        stars,
        reviews,
    }))
}
