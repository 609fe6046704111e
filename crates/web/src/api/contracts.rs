//! Quotes, contracts and their invoices.

use crate::api::{amount, answer, key_of, rate, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gruve_market::{ContractView, Earnings, EpochLine, Quote, SettlementLine};
use gruve_treasury::{Invoice, Purpose};
use gruve_units::{Amount, ContractId, Hashrate, InvoiceId, QuoteId};
use serde::Deserialize;
use serde_json::{Value, json};

/// Settlements listed with a contract.
const SETTLEMENTS_MAX: u32 = 500;

/// What to quote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    plan: String,
    hashrate: String,
    term_epochs: u64,
}

/// `POST /api/v1/quotes`
pub(crate) async fn quote(
    State(state): State<AppState>,
    customer: Customer,
    Json(order): Json<Order>,
) -> Result<Response, Failure> {
    let wanted: Hashrate =
        order.hashrate.parse().map_err(|e: String| Failure::refused(sentence(&e)))?;
    let q = state.quote(customer.account, &order.plan, wanted, order.term_epochs).await?;
    Ok(answer(StatusCode::CREATED, quote_body(&q)))
}

/// A quote.
pub(crate) fn quote_body(q: &Quote) -> Value {
    json!({
        "quote": q.id,
        "plan": q.plan,
        "plan_version": q.plan_version,
        "hashrate": rate(q.hashrate),
        "term_epochs": q.term_epochs,
        "work": q.work,
        "price": amount(q.price),
        "expires_at": time(q.expires),
        "forecast": q.forecast,
    })
}

/// Which quote to buy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    quote: QuoteId,
    /// 64 hex digits of the customer's own, to stand in the contract's leaf.
    nonce: Option<String>,
}

impl Confirm {
    fn nonce(&self) -> Result<Option<[u8; 32]>, Failure> {
        let Some(text) = &self.nonce else { return Ok(None) };
        let mut nonce = [0; 32];
        hex::decode_to_slice(text, &mut nonce)
            .map_err(|_| Failure::refused("The nonce has 64 hexadecimal digits."))?;
        Ok(Some(nonce))
    }
}

/// `POST /api/v1/contracts`: a quote is bought once; asking again, with or without an
/// `Idempotency-Key`, gives the same contract and invoice.
pub(crate) async fn buy(
    State(state): State<AppState>,
    customer: Customer,
    headers: HeaderMap,
    Json(order): Json<Confirm>,
) -> Result<Response, Failure> {
    // The quote is the key; a client's own is only checked to be one.
    key_of(&headers)?;
    let nonce = order.nonce()?;
    let bought = state.buy(customer.account, order.quote).await?;
    if let Some(nonce) = nonce {
        let put = state.market().set_nonce(customer.account, bought.contract, nonce).await;
        put.map_err(|e| market_failure(&e))?;
    }
    let inv = state.invoice(customer.account, bought.invoice).await?;
    let body = json!({ "contract": bought.contract, "invoice": invoice_body(&state, &inv) });
    Ok(answer(StatusCode::CREATED, body))
}

/// `GET /api/v1/contracts`
pub(crate) async fn contracts(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.market().contracts(customer.account).await?;
    let list: Vec<Value> = all.iter().map(summary).collect();
    Ok(answer(StatusCode::OK, json!(list)))
}

/// `GET /api/v1/contracts/{id}`
pub(crate) async fn contract(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let c = state.contract(customer.account, id).await?;
    let settlements = state.market().settlements(customer.account, id, SETTLEMENTS_MAX).await?;
    let mut body = summary(&c);
    if let Value::Object(map) = &mut body {
        map.insert("epochs".to_owned(), c.epochs.iter().map(line).collect());
        map.insert("settlements".to_owned(), settlements.iter().map(settlement).collect());
        let invoice = state.invoice_of_contract(customer.account, id).await?;
        map.insert("invoice".to_owned(), invoice.map_or(Value::Null, |i| json!(i.id)));
        let forecast = state.market().forecast_of(customer.account, id).await?;
        map.insert("forecast".to_owned(), json!(forecast));
    }
    Ok(answer(StatusCode::OK, body))
}

/// Which part of a statement, and in which form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    /// The first epoch; the contract's when left out.
    pub(crate) from: Option<u64>,
    /// Epochs with work at most.
    pub(crate) limit: Option<usize>,
    /// `json` or `csv`.
    pub(crate) format: Option<String>,
}

/// `GET /api/v1/contracts/{id}/statement?from=&limit=&format=`
pub(crate) async fn statement(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(span): Params<Span>,
) -> Result<Response, Failure> {
    let page = state.contract_statement(customer.account, id, &span).await?;
    match span.format.as_deref() {
        None | Some("json") => Ok((StatusCode::OK, axum::Json(page)).into_response()),
        Some("csv") => {
            let kind = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
            Ok(([kind], gruve_market::statement::csv(&page)).into_response())
        }
        Some(_) => Err(Failure::bad_request("The format is json or csv.")),
    }
}

/// `GET /api/v1/contracts/{id}/terms`: the exact bytes agreed at the sale, their hash and the operator's signature.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let file = state.signed_terms(customer.account, id).await?;
    Ok(answer(StatusCode::OK, json!(file)))
}

/// `POST /api/v1/contracts/{id}/cancel`: takes it back, unpaid or until its first epoch begins. Asking again
/// gives the same.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let cancelled = state.cancel_contract(customer.account, id).await?;
    let body = json!({
        "contract": id,
        "state": "cancelled",
        "refunded": amount(cancelled.refunded),
        "before": cancelled.before,
    });
    Ok(answer(StatusCode::OK, body))
}

fn summary(c: &ContractView) -> Value {
    let earned = c.earned.split().map_or(i64::MAX, |(minor, _)| minor);
    json!({
        "contract": c.id,
        "plan": c.plan,
        "plan_version": c.plan_version,
        "title": c.title,
        "lane": c.lane,
        "asset": c.asset,
        "state": c.state.name(),
        "hashrate": rate(c.hashrate),
        "term_epochs": c.term_epochs,
        "price": amount(c.price),
        "terms_sha256": hex::encode(c.terms_hash),
        "created_at": time(c.created),
        "paid_at": c.paid.map(time),
        "start_epoch": c.start_epoch,
        "hard_end_epoch": c.hard_end,
        "bought": c.bought,
        "entitled": c.entitled,
        "delivered": c.delivered,
        "shortfall": c.shortfall,
        "earned": amount(Amount::new(c.asset, earned)),
        "settled": amount(c.settled),
        "credited": amount(c.credited),
        "maturing": amount(c.maturing),
        "earnings": c.earnings.iter().map(earnings).collect::<Vec<_>>(),
        "refunded": amount(c.refunded),
    })
}

/// One asset's, the lane's own first.
pub(crate) fn earnings(e: &Earnings) -> Value {
    let earned = e.earned.split().map_or(i64::MAX, |(minor, _)| minor);
    json!({
        "asset": e.asset,
        "earned": amount(Amount::new(e.asset, earned)),
        "settled": amount(e.settled),
        "credited": amount(e.credited),
        "maturing": amount(e.maturing),
    })
}

fn line(e: &EpochLine) -> Value {
    json!({
        "epoch": e.epoch,
        "started_at": time(e.start),
        "entitled": e.entitled,
        "delivered": e.delivered,
        "made_good": e.made_good,
        "shortfall": e.shortfall,
    })
}

fn settlement(l: &SettlementLine) -> Value {
    json!({
        "from_epoch": l.from_epoch,
        "to_epoch": l.to_epoch,
        "gross": amount(l.gross),
        "fee": amount(l.fee),
        "maintenance": amount(l.maintenance),
        "waived": amount(l.waived),
        "net": amount(l.net),
        "at": time(l.at),
    })
}

/// `GET /api/v1/invoices/{id}`
pub(crate) async fn invoice(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Response, Failure> {
    let inv = state.invoice(customer.account, id).await?;
    Ok(answer(StatusCode::OK, invoice_body(&state, &inv)))
}

/// States: `new`, `seen`, `underpaid`, `paid` (in blocks, not deep enough yet), `confirmed`,
/// `expired`.
pub(crate) fn invoice_body(state: &AppState, inv: &Invoice) -> Value {
    json!({
        "id": inv.id,
        "state": inv.state.word(),
        "open": inv.state.is_open(),
        "amount": amount(inv.amount),
        "received": amount(inv.received),
        "confirmed": amount(inv.confirmed),
        "to_pay": amount(inv.to_pay()),
        "address": inv.address,
        "uri": inv.uri(),
        "methods": super::payins::methods(state, inv),
        "created_at": time(inv.created),
        "expires_at": time(inv.expires),
        "contract": match inv.purpose { Purpose::Contract(c) => json!(c), Purpose::TopUp => Value::Null },
    })
}
