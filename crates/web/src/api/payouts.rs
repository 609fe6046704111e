//! Payouts.

use crate::api::page::Page;
use crate::api::{Money, Time, amount, key_of, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::{Failure, sentence};
use crate::layout::ETH_NOTE;
use crate::openapi::{Answer, Fine, List, Made, answers, requests};
use crate::state::AppState;
use crate::withdrawing::Given;
use axum::extract::State;
use axum::http::HeaderMap;
use gruve_treasury::Payout;
use gruve_units::{Amount, Asset, PayoutId};

requests! {
    /// What to pay where.
    struct PayoutOrder {
        /// `BTC`, …
        asset: String,
        /// In whole coins, as decimal text; the network fee is taken out of it.
        amount: String,
        /// Where to.
        address: String,
        /// The account's password: of a session, where nothing of the account has gone to the address before and its book
        /// does not have it.
        password: Option<String>,
        /// The code of the moment: of a session, where the account has a second factor and the address is not in its
        /// book.
        code: Option<String>,
    }

    /// Which asset's fee.
    struct FeeOf {
        /// `BTC`, …
        asset: String,
    }
}

answers! {
    /// A payout.
    struct PayoutBody {
        /// Its id.
        payout: PayoutId,
        /// `requested`, `approved`, `funded`, `signed`, `broadcast`, `confirmed`, `cancelled` or `refused`.
        state: &'static str,
        /// What leaves the balance.
        amount: Money,
        /// The most that the network fee can be.
        fee_max: Money,
        /// The network fee; null until coins are chosen.
        fee: Option<Money>,
        /// What arrives; null until coins are chosen.
        receives: Option<Money>,
        /// Where to.
        address: String,
        /// Until when it waits because it goes where nothing of the account has gone before; null where it does not.
        held_until: Option<Time>,
        /// Why it was refused, or what it waits for.
        reason: Option<String>,
        /// The transaction.
        txid: Option<String>,
        /// The block that it stands in.
        height: Option<u64>,
        /// When it was asked for.
        created_at: Time,
        /// When its state changed last.
        updated_at: Time,
    }

    /// Up to what payouts of an asset go out without anybody's look.
    struct LimitsBody {
        /// Which asset.
        asset: Asset,
        /// A single one.
        one: Money,
        /// All of 24 hours together; null where there is no such bound.
        day: Option<Money>,
        /// Above which two people look; null where one does.
        two_above: Option<Money>,
    }

    /// A fee.
    struct FeeBody {
        /// Of which asset.
        asset: Asset,
        /// The most that it can be.
        fee: Money,
    }
}

/// An asset by its code; who asks for Ether where there is no wallet of it is told why.
fn asset_of(text: &str, wallets: &[Asset]) -> Result<Asset, Failure> {
    match text.parse() {
        Ok(Asset::Eth) if !wallets.contains(&Asset::Eth) => Err(Failure::refused(ETH_NOTE)),
        Ok(asset) => Ok(asset),
        Err(e) => Err(Failure::refused(sentence(&format!("{e}")))),
    }
}

pub(crate) fn amount_of(state: &AppState, asset: &str, text: &str) -> Result<Amount, Failure> {
    Amount::parse_decimal(asset_of(asset, &state.treasury().assets())?, text)
        .map_err(|e| Failure::refused(sentence(&e.to_string())))
}

/// `POST /api/v1/payouts`; with an `Idempotency-Key` the same request again gives the same payout.
pub(crate) async fn request(
    State(state): State<AppState>,
    customer: Customer,
    from: Client,
    headers: HeaderMap,
    Json(order): Json<PayoutOrder>,
) -> Result<Made<PayoutBody>, Failure> {
    let key = key_of(&headers)?;
    let what = amount_of(&state, &order.asset, &order.amount)?;
    let given = Given { password: order.password.as_deref(), code: order.code.as_deref() };
    let what = (what, order.address.as_str());
    let p = state.request_payout(&customer, what, key, given, from).await?;
    Ok(Answer(body(&p)))
}

/// `GET /api/v1/payouts`
pub(crate) async fn payouts(
    State(state): State<AppState>,
    customer: Customer,
    Params(page): Params<Page>,
) -> Result<Fine<List<PayoutBody>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.treasury().payouts_before(customer.account, before, wanted).await?;
    page.give(all, |p| p.id, body)
}

/// `GET /api/v1/payouts/{id}`
pub(crate) async fn payout(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Fine<PayoutBody>, Failure> {
    let p = state.payout(customer.account, id).await?;
    Ok(Answer(body(&p)))
}

/// `DELETE /api/v1/payouts/{id}`: takes it back while nothing is signed.
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Fine<PayoutBody>, Failure> {
    state.cancel_payout(customer.account, id).await?;
    let p = state.payout(customer.account, id).await?;
    Ok(Answer(body(&p)))
}

/// `GET /api/v1/payouts/fee?asset=BTC`: most the network fee of a payout requested now can be.
pub(crate) async fn fee(
    State(state): State<AppState>,
    _: Customer,
    Params(q): Params<FeeOf>,
) -> Result<Fine<FeeBody>, Failure> {
    let fee = state.payout_fee(asset_of(&q.asset, &state.treasury().assets())?).await?;
    Ok(Answer(FeeBody { asset: fee.asset, fee: amount(fee) }))
}

/// `GET /api/v1/payouts/limits`
pub(crate) async fn limits(
    State(state): State<AppState>,
    _: Customer,
) -> Result<Fine<List<LimitsBody>>, Failure> {
    let treasury = state.treasury();
    let of = |asset: Asset| {
        let bounds = treasury.payout_bounds(asset)?;
        let money = |minor| amount(Amount::new(asset, minor));
        Some(LimitsBody {
            asset,
            one: money(bounds.one),
            day: bounds.day.map(money),
            two_above: bounds.two_above.map(money),
        })
    };
    Ok(List::whole(treasury.assets().into_iter().filter_map(of)))
}

/// A payout.
pub(crate) fn body(p: &Payout) -> PayoutBody {
    PayoutBody {
        payout: p.id,
        state: p.state.word(),
        amount: amount(p.amount),
        fee_max: amount(p.fee_max),
        fee: p.fee.map(amount),
        receives: p.receives().map(amount),
        address: p.address.clone(),
        held_until: p.held_until.map(time),
        reason: p.reason.clone(),
        txid: p.txid.clone(),
        height: p.height,
        created_at: time(p.created),
        updated_at: time(p.updated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_eth_is_told_since_when_it_is_not_mined() {
        let failure = asset_of("ETH", &[Asset::Etc]).unwrap_err();
        assert!(failure.detail.contains("2022-09-15 (block 15,537,393)"), "{}", failure.detail);
        assert_eq!(asset_of("ETC", &[]).unwrap(), Asset::Etc);
        assert_eq!(asset_of("ETH", &[Asset::Eth]).unwrap(), Asset::Eth, "where it is taken");
    }
}
