//! What happens to a contract beside delivery, and what its owner decides: notices, work missed by the operator's
//! doing, pauses; and what everybody may see of it.

use crate::api::contracts::quote_body;
use crate::api::{amount, answer, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_market::{Choice, Notice, OwedLine, PauseDecision, UsdDue};
use gruve_units::{Asset, ContractId, EpochNumber, LaneId};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rows of each kind listed.
const ROWS: u32 = 500;

/// `GET /api/v1/contracts/{id}/life`
pub(crate) async fn life(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let c = state.contract(customer.account, id).await?;
    let failed = |e| market_failure(&e);
    let market = state.market();
    let owed = market.owed(customer.account, id, ROWS).await.map_err(failed)?;
    let notices = market.notices(customer.account, Some(id), ROWS).await.map_err(failed)?;
    let decisions = market.pause_decisions(id, ROWS).await.map_err(failed)?;
    let dues = market.usd_dues(id, ROWS).await.map_err(failed)?;
    let body = json!({
        "contract": id,
        "state": c.state.name(),
        "renews": c.life.renews,
        "compensated": c.life.compensated,
        "undecided": c.life.undecided,
        "paused_since": c.life.paused_since,
        "paused_epochs": c.life.paused_epochs,
        "rules": c.life.rules,
        "owed": owed.iter().map(owed_line).collect::<Vec<_>>(),
        "decisions": decisions.iter().map(decision).collect::<Vec<_>>(),
        "usd_dues": dues.iter().map(due).collect::<Vec<_>>(),
        "notices": notices.iter().map(notice).collect::<Vec<_>>(),
    });
    Ok(answer(StatusCode::OK, body))
}

fn owed_line(o: &OwedLine) -> Value {
    json!({
        "epoch": o.epoch,
        "kind": o.kind,
        "work": o.hashes,
        "state": o.state,
        "deadline_epoch": o.deadline,
        "decided_at": o.decided.map(time),
        "paid": o.paid.iter().map(|a| amount(*a)).collect::<Vec<_>>(),
    })
}

fn decision(d: &PauseDecision) -> Value {
    json!({
        "epoch": d.epoch,
        "price_instant": time(d.price_instant),
        "earns_usd_micro_per_th_day": d.earns_micro,
        "costs_usd_micro_per_th_day": d.costs_micro,
        "decision": d.decision,
        "effective_epoch": d.effective,
    })
}

fn due(d: &UsdDue) -> Value {
    json!({
        "to_epoch": d.to_epoch,
        "instant": time(d.instant),
        "usd": amount(d.usd),
        "price_usd_micro": d.usd_micro,
    })
}

fn notice(n: &Notice) -> Value {
    json!({
        "contract": n.contract,
        "kind": n.kind.key(),
        "about": n.about,
        "at": time(n.at),
        "text": n.kind.sentence(),
        "detail": n.detail,
    })
}

/// What is decided about which epoch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decided {
    epoch: EpochNumber,
    choice: String,
}

/// The choice of that name.
pub(crate) fn choice_of(name: &str) -> Result<Choice, Failure> {
    let known = [Choice::Later, Choice::Earnings].into_iter().find(|c| c.name() == name);
    known.ok_or_else(|| Failure::refused("The choice is later or earnings.".to_owned()))
}

/// `POST /api/v1/contracts/{id}/choices`: about work missed by the operator's doing. The same again gives the same.
pub(crate) async fn choose(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(decided): Json<Decided>,
) -> Result<Response, Failure> {
    let choice = choice_of(&decided.choice)?;
    state.choose(customer.account, id, decided.epoch, choice).await?;
    let body = json!({ "contract": id, "epoch": decided.epoch, "choice": choice.name() });
    Ok(answer(StatusCode::OK, body))
}

/// Whether it is to run on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    keep: bool,
}

/// `POST /api/v1/contracts/{id}/keep-running`
pub(crate) async fn keep_running(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(wish): Json<Keep>,
) -> Result<Response, Failure> {
    state.keep_running(customer.account, id, wish.keep).await?;
    Ok(answer(StatusCode::OK, json!({ "contract": id, "keep": wish.keep })))
}

/// For how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renewal {
    term_epochs: u64,
}

/// `POST /api/v1/contracts/{id}/renewals`: a quote for going on without a gap, to be bought like any other.
pub(crate) async fn renew(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(renewal): Json<Renewal>,
) -> Result<Response, Failure> {
    let quote = state.market().quote_renewal(customer.account, id, renewal.term_epochs).await;
    let quote = quote.map_err(|e| market_failure(&e))?;
    Ok(answer(StatusCode::CREATED, quote_body(&quote)))
}

/// What is wanted of a contract.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    renew_max_minor: Option<i64>,
    #[serde(default)]
    reinvest: bool,
}

/// `POST /api/v1/contracts/{id}/wishes`: to be renewed from the balance up to a price; that earnings buy more.
pub(crate) async fn wish(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(w): Json<Wish>,
) -> Result<Response, Failure> {
    let wished = state.market().wish(customer.account, id, w.renew_max_minor, w.reinvest).await;
    wished.map_err(|e| market_failure(&e))?;
    let body =
        json!({ "contract": id, "renew_max_minor": w.renew_max_minor, "reinvest": w.reinvest });
    Ok(answer(StatusCode::OK, body))
}

/// `GET /api/v1/notices`
pub(crate) async fn notices(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.market().notices(customer.account, None, ROWS).await;
    let all = all.map_err(|e| market_failure(&e))?;
    Ok(answer(StatusCode::OK, all.iter().map(notice).collect()))
}

/// Of which lane.
#[derive(Deserialize)]
pub(crate) struct OfLane {
    lane: LaneId,
}

/// `GET /api/v1/short-epochs?lane=…`: epochs in which leases were short, what of it the operator caused, and
/// what he recorded himself.
pub(crate) async fn short_epochs(
    State(state): State<AppState>,
    Params(q): Params<OfLane>,
) -> Result<Response, Failure> {
    let failed = |e| market_failure(&e);
    state.market().lane(&q.lane).map_err(failed)?;
    let short = state.market().short_epochs(&q.lane, ROWS).await.map_err(failed)?;
    let acts = state.market().acts(&q.lane, ROWS).await.map_err(failed)?;
    let epochs: Vec<Value> = short
        .iter()
        .map(|e| {
            json!({
                "epoch": e.epoch,
                "short_since": e.since,
                "missing": e.missing,
                "caused": e.caused,
                "declared": e.declared,
                "elsewhere": e.elsewhere,
            })
        })
        .collect();
    let acts: Vec<Value> = acts
        .iter()
        .map(|a| {
            json!({
                "number": a.id,
                "what": a.what,
                "hashrate": crate::api::rate(a.hashrate),
                "from_epoch": a.from,
                "until_epoch": a.until,
                "note": a.note,
                "recorded_at": time(a.recorded),
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!({ "epochs": epochs, "acts": acts })))
}

/// Of which coin.
#[derive(Deserialize)]
pub(crate) struct OfAsset {
    asset: String,
}

/// `GET /api/v1/prices?asset=BTC`: the recorded prices in dollars, newest first.
pub(crate) async fn prices(
    State(state): State<AppState>,
    Params(q): Params<OfAsset>,
) -> Result<Response, Failure> {
    let asset: Asset = q.asset.parse().map_err(|_| Failure::refused(sentence("no such asset")))?;
    let all = state.market().prices(asset, ROWS).await.map_err(|e| market_failure(&e))?;
    let list: Vec<Value> = all
        .iter()
        .map(|p| {
            json!({
                "instant": time(p.instant),
                "usd_micro": p.usd_micro,
                "sources": p.sources,
                "recorded_at": time(p.recorded),
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!(list)))
}
