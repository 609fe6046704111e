//! Payouts for the operator's programs: what waits for a person, and what is decided. Two people and nobody's own, as
//! on the pages: the rules stand with the deeds.

use crate::api::page::Page;
use crate::api::payouts::{PayoutBody, body};
use crate::api::{Money, Time, amount, time};
use crate::extract::{Id, Json, Params, Staff};
use crate::failure::Failure;
use crate::openapi::{Answer, Fine, List, answers, requests};
use crate::routes::Access::StaffBearer;
use crate::routes::Routes;
use crate::state::AppState;
use crate::trade::treasury_failure;
use axum::extract::State;
use gruve_accounts::Permission::{DecidePayouts, SeeBooks};
use gruve_treasury::{Lock, Payout, PayoutState};
use gruve_units::{AccountId, Asset, PayoutId};

requests! {
    /// Which payouts, and which page of them.
    struct PayoutsIn {
        /// `requested` if left out: those that wait for a person.
        state: Option<String>,
        /// Rows at most, 1 to 500; 100 if left out.
        limit: Option<u32>,
        /// `next` of the page before.
        after: Option<String>,
    }

    /// Why a payout is refused.
    struct PayoutRefusal {
        /// For the customer to read.
        reason: String,
    }
}

answers! {
    /// A payout as staff sees it.
    struct StaffPayout: base: PayoutBody {
        /// Whose.
        account: AccountId,
        /// The account's name.
        customer: String,
        /// How many people have approved it.
        approvals: u64,
        /// How many must.
        approvals_needed: u32,
    }

    /// Why payouts of a coin wait for a person at the machine.
    struct PayoutLock {
        /// Of which coin.
        asset: Asset,
        /// `unexplained`: a transaction that nothing in the house's tables explains; `doubted`: a coin that may be spent;
        /// `held`: the house began far behind its chain, or somebody has payouts wait; `paid`: a block that was caught up with
        /// pays what payouts that wait would, and these alone wait.
        kind: &'static str,
        /// The transaction, or the coin, or of `held` how many blocks it was behind; empty where somebody has them wait.
        what: String,
        /// The block that it stands in.
        height: Option<u64>,
        /// What it spends of the house's.
        spent: Option<Money>,
        /// When it was seen.
        seen_at: Time,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/console/payouts",
            StaffBearer(SeeBooks),
            "Payouts in a state, oldest first.",
            payouts,
        )
        .api_get("/api/v1/console/payouts/{id}", StaffBearer(SeeBooks), "A payout.", payout)
        .api_post(
            "/api/v1/console/payouts/{id}/approve",
            StaffBearer(DecidePayouts),
            "Approves a payout that waits; large ones take two people.",
            approve,
        )
        .api_post(
            "/api/v1/console/payouts/{id}/refuse",
            StaffBearer(DecidePayouts),
            "Refuses a payout that is not signed.",
            refuse,
        )
        .api_get(
            "/api/v1/console/payout-locks",
            StaffBearer(SeeBooks),
            "Why payouts wait for a person at the machine.",
            locks,
        )
}

async fn seen(state: &AppState, p: &Payout) -> Result<StaffPayout, Failure> {
    let by = state.treasury().approvers(p.id).await.map_err(|e| treasury_failure(&e))?;
    let name = state.accounts().name_of(p.account).await?;
    Ok(StaffPayout {
        base: body(p),
        account: p.account,
        customer: name.unwrap_or_else(|| p.account.to_string()),
        approvals: u64::try_from(by.len()).unwrap_or(u64::MAX),
        approvals_needed: state.treasury().approvals_needed(p),
    })
}

/// `GET /api/v1/console/payouts?state=`
async fn payouts(
    State(state): State<AppState>,
    Params(q): Params<PayoutsIn>,
) -> Result<Fine<List<StaffPayout>>, Failure> {
    let of = match &q.state {
        None => PayoutState::Requested,
        Some(word) => word.parse().map_err(|_| Failure::refused("There is no such state."))?,
    };
    let page = Page { limit: q.limit, after: q.after };
    let (after, wanted) = (page.behind()?, page.wanted()?);
    let all = state.treasury().payouts_in_state_after(of, after, wanted).await?;
    let mut rows = Vec::with_capacity(all.len());
    for p in &all {
        rows.push(seen(&state, p).await?);
    }
    page.give(rows, |p| p.base.payout, StaffPayout::clone)
}

/// `GET /api/v1/console/payouts/{id}`
async fn payout(
    State(state): State<AppState>,
    Id(id): Id<PayoutId>,
) -> Result<Fine<StaffPayout>, Failure> {
    Ok(Answer(seen(&state, &state.any_payout(id).await?).await?))
}

/// `POST /api/v1/console/payouts/{id}/approve`: the same person again changes nothing.
async fn approve(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PayoutId>,
) -> Result<Fine<StaffPayout>, Failure> {
    state.approve_payout(staff, id).await?;
    Ok(Answer(seen(&state, &state.any_payout(id).await?).await?))
}

/// `POST /api/v1/console/payouts/{id}/refuse`
async fn refuse(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<PayoutId>,
    Json(refusal): Json<PayoutRefusal>,
) -> Result<Fine<StaffPayout>, Failure> {
    state.refuse_payout(staff, id, &refusal.reason).await?;
    Ok(Answer(seen(&state, &state.any_payout(id).await?).await?))
}

/// `GET /api/v1/console/payout-locks`: 50 of a coin at most.
async fn locks(State(state): State<AppState>) -> Result<Fine<List<PayoutLock>>, Failure> {
    let mut all = Vec::new();
    for asset in state.treasury().assets() {
        all.extend(state.treasury().payout_locks(asset).await?.into_iter().map(|l| lock(asset, l)));
    }
    Ok(List::whole(all))
}

fn lock(asset: Asset, lock: Lock) -> PayoutLock {
    match lock {
        Lock::Unexplained { txid, height, spent, seen } => PayoutLock {
            asset,
            kind: "unexplained",
            what: txid,
            height,
            spent: Some(amount(spent)),
            seen_at: time(seen),
        },
        Lock::Paid { txid, height, payouts: _, seen } => {
            PayoutLock { asset, kind: "paid", what: txid, height, spent: None, seen_at: time(seen) }
        }
        Lock::Held { behind, seen } => PayoutLock {
            asset,
            kind: "held",
            what: behind.map_or_else(String::new, |blocks| blocks.to_string()),
            height: None,
            spent: None,
            seen_at: time(seen),
        },
        Lock::Doubted { coin, seen } => PayoutLock {
            asset,
            kind: "doubted",
            what: coin,
            height: None,
            spent: None,
            seen_at: time(seen),
        },
    }
}
