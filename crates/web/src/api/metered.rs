//! Metered contracts: start, see, end; the usage statement; top-ups of the balance.

use crate::api::contracts::{earnings, invoice_body};
use crate::api::{amount, answer, key_of, rate, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use gruve_market::metered::{MeteredView, Period, UsageLine};
use gruve_units::{Amount, ContractId, Duration, Hashrate, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// Usage shown when no time is asked for.
const USAGE_USUAL: Duration = Duration::from_secs(31 * 86_400);

/// What to start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    plan: String,
    hashrate: String,
}

/// `POST /api/v1/metered`; with an `Idempotency-Key` the same request again gives the same contract.
pub(crate) async fn start(
    State(state): State<AppState>,
    customer: Customer,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failure> {
    let key = key_of(&headers)?;
    let wanted: Hashrate =
        order.hashrate.parse().map_err(|e: String| Failure::refused(sentence(&e)))?;
    let s = state.start_metered(customer.account, &order.plan, wanted, key).await?;
    let body = json!({
        "contract": s.contract,
        "first_epoch": s.first_epoch,
        "held": amount(s.held),
    });
    Ok(answer(StatusCode::CREATED, body))
}

/// `GET /api/v1/metered`
pub(crate) async fn list(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.market().metered_contracts(customer.account).await?;
    Ok(answer(StatusCode::OK, all.iter().map(body).collect()))
}

/// `GET /api/v1/metered/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    Ok(answer(StatusCode::OK, body(&state.metered(customer.account, id).await?)))
}

/// `GET /api/v1/metered/{id}/terms`: the exact bytes agreed at the start, their hash and the operator's signature.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let file = state.signed_terms(customer.account, id).await?;
    Ok(answer(StatusCode::OK, json!(file)))
}

/// `DELETE /api/v1/metered/{id}`: ends it at the next epoch border.
pub(crate) async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    state.end_metered(customer.account, id).await?;
    Ok(answer(StatusCode::OK, body(&state.metered(customer.account, id).await?)))
}

/// Of which time, and how fine.
#[derive(Deserialize)]
pub(crate) struct Of {
    period: Option<String>,
    /// Seconds since 1970.
    from: Option<u32>,
    until: Option<u32>,
}

/// `GET /api/v1/metered/{id}/usage?period=day&from=&until=`, newest first.
pub(crate) async fn usage(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(of): Params<Of>,
) -> Result<Response, Failure> {
    let period = match of.period.as_deref() {
        None | Some("day") => Period::Day,
        Some("hour") => Period::Hour,
        Some("epoch") => Period::Epoch,
        Some(_) => return Err(Failure::bad_request("`period` is `epoch`, `hour` or `day`.")),
    };
    let instant = |secs: u32| Timestamp::from_secs(secs.into());
    // The running hold is of an epoch to come.
    let until = of.until.map_or_else(|| state.now().plus(Duration::from_secs(86_400)), instant);
    let usual = Timestamp(until.0.saturating_sub_unsigned(micros(USAGE_USUAL)));
    let from = of.from.map_or(usual, instant);
    let lines = state.market().metered_usage(customer.account, id, (from, until), period).await;
    let lines = lines.map_err(|e| crate::trade::market_failure(&e))?;
    Ok(answer(StatusCode::OK, lines.iter().map(line).collect()))
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

fn line(l: &UsageLine) -> Value {
    let earned: Vec<Value> = l
        .earnings
        .iter()
        .map(|(asset, s)| {
            let of = |minor| amount(Amount::new(*asset, minor));
            json!({
                "asset": asset,
                "gross": of(s.gross_minor),
                "fee": of(s.fee_minor),
                "maintenance": of(s.maintenance_minor),
                "net": of(s.net_minor),
            })
        })
        .collect();
    let price = |minor| amount(Amount::new(l.charged.asset, minor));
    json!({
        "from": time(l.from),
        "first_epoch": l.epochs.0,
        "last_epoch": l.epochs.1,
        "closed_epochs": l.closed,
        "capped": l.capped,
        "delivered": l.delivered,
        "price_least": price(l.price_minor.0),
        "price_most": price(l.price_minor.1),
        "price_hashrate": rate(l.price_hashrate),
        "held": amount(l.held),
        "charged": amount(l.charged),
        "settled": earned,
    })
}

fn body(c: &MeteredView) -> Value {
    json!({
        "contract": c.id,
        "plan": c.plan,
        "plan_version": c.plan_version,
        "title": c.title,
        "lane": c.lane,
        "asset": c.asset,
        "scheme": c.scheme,
        "state": c.state.name(),
        "is_low": c.is_low,
        "hashrate": rate(c.hashrate),
        "terms_sha256": hex::encode(c.terms_hash),
        "created_at": time(c.created),
        "first_epoch": c.first_epoch,
        "ended_epoch": c.ended_epoch,
        "delivered": c.delivered,
        "charged": amount(c.charged),
        "held": amount(c.held),
        "price": c.price.map(|p| amount(Amount::new(c.charged.asset, p.minor))),
        "price_hashrate": c.price.map(|p| rate(p.hashrate)),
        "earnings": c.earnings.iter().map(earnings).collect::<Vec<_>>(),
        "notices": c.notices.iter().map(|n| json!({
            "kind": n.kind.name(), "epoch": n.epoch, "at": time(n.at),
        })).collect::<Vec<_>>(),
    })
}

/// How much to pay in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopUp {
    asset: String,
    amount: String,
}

/// `POST /api/v1/top-ups`: an invoice that fills the balance.
pub(crate) async fn top_up(
    State(state): State<AppState>,
    customer: Customer,
    Json(order): Json<TopUp>,
) -> Result<Response, Failure> {
    let what = crate::api::payouts::amount_of(&order.asset, &order.amount)?;
    let inv = state.top_up(customer.account, what).await?;
    Ok(answer(StatusCode::CREATED, invoice_body(&state, &inv)))
}
