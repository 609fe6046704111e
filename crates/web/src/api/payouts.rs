//! Payouts.

use crate::api::{amount, answer, key_of, time};
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::layout::ETH_NOTE;
use crate::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use gruve_treasury::Payout;
use gruve_units::{Amount, Asset, PayoutId};
use serde::Deserialize;
use serde_json::{Value, json};

fn asset_of(text: &str) -> Result<Asset, Failure> {
    match text.parse() {
        Ok(Asset::Eth) => Err(Failure::refused(ETH_NOTE)),
        Ok(asset) => Ok(asset),
        Err(e) => Err(Failure::refused(sentence(&format!("{e}")))),
    }
}

pub(crate) fn amount_of(asset: &str, text: &str) -> Result<Amount, Failure> {
    Amount::parse_decimal(asset_of(asset)?, text)
        .map_err(|e| Failure::refused(sentence(&e.to_string())))
}

/// What to pay where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    asset: String,
    amount: String,
    address: String,
}

/// `POST /api/v1/payouts`; with an `Idempotency-Key` the same request again gives the same payout.
pub(crate) async fn request(
    State(state): State<AppState>,
    customer: Customer,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Failure> {
    let key = key_of(&headers)?;
    let what = amount_of(&order.asset, &order.amount)?;
    let p = state.request_payout(customer.account, what, &order.address, key).await?;
    Ok(answer(StatusCode::CREATED, body(&p)))
}

/// `GET /api/v1/payouts`
pub(crate) async fn payouts(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let list: Vec<Value> =
        state.treasury().payouts(customer.account).await?.iter().map(body).collect();
    Ok(answer(StatusCode::OK, json!(list)))
}

/// `GET /api/v1/payouts/{id}`
pub(crate) async fn payout(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Response, Failure> {
    let p = state.payout(customer.account, id).await?;
    Ok(answer(StatusCode::OK, body(&p)))
}

/// `DELETE /api/v1/payouts/{id}`: takes it back while nothing is signed.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Response, Failure> {
    state.cancel_payout(customer.account, id).await?;
    let p = state.payout(customer.account, id).await?;
    Ok(answer(StatusCode::OK, body(&p)))
}

/// Which asset's fee.
#[derive(Deserialize)]
pub(crate) struct FeeOf {
    asset: String,
}

/// `GET /api/v1/payouts/fee?asset=BTC`: most the network fee of a payout requested now can be.
pub(crate) async fn fee(
    State(state): State<AppState>,
    _: Customer,
    Params(q): Params<FeeOf>,
) -> Result<Response, Failure> {
    let fee = state.payout_fee(asset_of(&q.asset)?).await?;
    Ok(answer(StatusCode::OK, json!({ "asset": fee.asset, "fee": amount(fee) })))
}

fn body(p: &Payout) -> Value {
    json!({
        "payout": p.id,
        "state": p.state.word(),
        "amount": amount(p.amount),
        "fee_max": amount(p.fee_max),
        "fee": p.fee.map(amount),
        "receives": p.receives().map(amount),
        "address": p.address,
        "reason": p.reason,
        "txid": p.txid,
        "height": p.height,
        "created_at": time(p.created),
        "updated_at": time(p.updated),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_eth_is_told_since_when_it_is_not_mined() {
        let failure = asset_of("ETH").unwrap_err();
        assert!(failure.detail.contains("2022-09-15 (block 15,537,393)"), "{}", failure.detail);
        assert_eq!(asset_of("ETC").unwrap(), Asset::Etc);
    }
}
