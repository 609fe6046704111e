//! What anybody may read: lanes, plans, blocks, epochs, the books.

use crate::api::{amount, answer, rate, time};
use crate::extract::Params;
use crate::failure::Failure;
use crate::money::shown_hash;
use crate::network;
use crate::state::AppState;
use crate::view::{BookLine, block_state};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_units::{LaneId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rows of a list when none are asked for.
const LIMIT_USUAL: u32 = 100;
/// Rows of a list at most: about 300 kB.
const LIMIT_MAX: u32 = 1000;

/// `GET /api/v1/lanes`
pub(crate) async fn lanes(State(state): State<AppState>) -> Result<Response, Failure> {
    let list: Vec<Value> = state
        .lanes()
        .await?
        .into_iter()
        .map(|l| {
            let s = &l.stats;
            json!({
                "lane": s.lane,
                "asset": s.asset,
                "assets": l.assets(),
                "aux": l.aux_figures(),
                "algorithm": s.algorithm,
                "network": l.network,
                "stratum": l.stratum,
                "epoch_seconds": s.epoch_us / 1_000_000,
                "epoch_micros": s.epoch_us,
                "hashrate": rate(s.hashrate),
                "house_hashrate": rate(s.house_hashrate),
                "proven_capacity": rate(s.proven_capacity),
                "sold": rate(s.sold),
                "available": rate(s.available),
                "oversold": rate(s.oversold),
                "difficulty": l.difficulty(),
                "height": s.height,
                "last_closed_epoch": s.last_closed,
                "shares": s.shares,
                "blocks_found": s.blocks_found,
                "machines": l.machines,
                "chain": l.network(s.asset).map(|n| network::json(s.asset, n)),
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!(list)))
}

/// `GET /api/v1/plans`
pub(crate) async fn plans(State(state): State<AppState>) -> Response {
    let list: Vec<Value> = state
        .market()
        .plans()
        .into_iter()
        .map(|p| {
            json!({
                "plan": p.id,
                "version": p.version,
                "title": p.title,
                "lane": p.lane,
                "asset": p.asset,
                "also_earns": p.also_earns,
                "pay_asset": p.pay_asset,
                "kind": p.kind.name(),
                "scheme": p.scheme,
                "hashrate_min": rate(p.hashrate_min),
                "hashrate_max": rate(p.hashrate_max),
                "hashrate_step": rate(p.hashrate_step),
                "terms_epochs": p.terms_epochs,
                "term_epochs_min": p.terms_epochs.iter().min(),
                "term_epochs_max": p.terms_epochs.iter().max(),
                "epoch_micros": p.epoch_us,
                "price": amount(p.price),
                "price_hashrate": rate(p.price_hashrate),
                "fee_bps": p.fee_bps,
                "maintenance_minor_per_th_day": p.maintenance_minor_per_th_day,
                "maintenance_also": p.maintenance_also.iter().map(|(asset, minor)| json!({
                    "asset": asset, "minor_per_th_day": minor,
                })).collect::<Vec<_>>(),
                "catch_up_bps": p.catch_up_bps,
                "extension_epochs": p.extension_epochs,
            })
        })
        .collect();
    answer(StatusCode::OK, json!(list))
}

/// Which lane, how many.
#[derive(Deserialize)]
pub(crate) struct Of {
    lane: Option<LaneId>,
    limit: Option<u32>,
}

impl Of {
    fn limit(&self) -> Result<u32, Failure> {
        match self.limit.unwrap_or(LIMIT_USUAL) {
            n @ 1..=LIMIT_MAX => Ok(n),
            _ => Err(Failure::bad_request(format!("`limit` must be 1 to {LIMIT_MAX}."))),
        }
    }

    /// The lane asked for, or all of them.
    fn lanes(&self, state: &AppState) -> Result<Vec<LaneId>, Failure> {
        let all = state.market().config().lanes.iter().map(|l| l.lane.clone());
        match &self.lane {
            None => Ok(all.collect()),
            Some(wanted) => {
                let found: Vec<LaneId> = all.filter(|l| l == wanted).collect();
                if found.is_empty() { Err(Failure::not_found("lane")) } else { Ok(found) }
            }
        }
    }
}

/// `GET /api/v1/blocks?lane=&limit=`, newest first.
pub(crate) async fn blocks(
    State(state): State<AppState>,
    Params(of): Params<Of>,
) -> Result<Response, Failure> {
    let limit = of.limit()?;
    let mut list: Vec<(Timestamp, Value)> = Vec::new();
    for lane in of.lanes(&state)? {
        for b in state.market().blocks(&lane, limit).await? {
            let body = json!({
                "lane": b.lane,
                "asset": b.asset,
                "height": b.height,
                "hash": shown_hash(&b.block_hash),
                "epoch": b.epoch,
                "found_at": time(b.at),
                "reward": b.reward.map(amount),
                "state": block_state(b.state).code,
                "matures_at_height": b.matures_at,
            });
            list.push((b.at, body));
        }
    }
    Ok(answer(StatusCode::OK, newest_first(list, limit)))
}

/// `GET /api/v1/epochs?lane=&limit=`, newest first.
pub(crate) async fn epochs(
    State(state): State<AppState>,
    Params(of): Params<Of>,
) -> Result<Response, Failure> {
    let limit = of.limit()?;
    let mut list: Vec<(Timestamp, Value)> = Vec::new();
    for lane in of.lanes(&state)? {
        for e in state.market().epochs(&lane, limit).await? {
            let body = json!({
                "lane": e.lane,
                "epoch": e.epoch,
                "started_at": time(e.start),
                "closed_at": time(e.closed_at),
                "skipped": e.skipped,
                "shares": e.shares,
                "house_work": e.house_work,
                "other_work": e.other_work,
                "allocated": e.allocated,
                "surplus": e.surplus,
                "hashrate": rate(e.hashrate),
                "share_root": hex::encode(e.share_root),
                "checkpoint": hex::encode(e.checkpoint),
            });
            list.push((e.start, body));
        }
    }
    Ok(answer(StatusCode::OK, newest_first(list, limit)))
}

fn newest_first(mut list: Vec<(Timestamp, Value)>, limit: u32) -> Value {
    list.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Value::Array(list.into_iter().take(limit).map(|(_, v)| v).collect())
}

/// `GET /api/v1/reconciliation`
pub(crate) async fn reconciliation(State(state): State<AppState>) -> Result<Response, Failure> {
    let books = state.books().await?;
    let lines = |of: &[BookLine]| -> Value {
        of.iter()
            .map(|l| (l.code.to_owned(), amount(l.amount)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let assets: Vec<Value> = books
        .iter()
        .map(|b| {
            json!({
                "asset": b.asset,
                "block_rewards": amount(b.rewards),
                "parts": lines(&b.parts),
                "wallet_on_chain": amount(b.wallet_on_chain),
                "wei_below": b.wei_below,
                "wallet_in_books": lines(&b.wallet),
                "accounts": lines(&b.accounts),
                "adds_up": b.adds_up,
                "differences": b.differences,
            })
        })
        .collect();
    let adds_up = books.iter().all(|b| b.adds_up);
    Ok(answer(StatusCode::OK, json!({ "adds_up": adds_up, "assets": assets })))
}
