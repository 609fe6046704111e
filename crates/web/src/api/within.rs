//! Lists within a contract, a machine or a plan, page by page: where their own answers tell the newest so many.

use crate::api::contracts::{EpochLineBody, SettlementBody, line, settlement};
use crate::api::in_block::{PaidBody, paid_body};
use crate::api::life::{DecisionBody, DueBody, LossBody, OwedBody, decision, due, loss, owed_line};
use crate::api::machines::{BillBody, bill_body};
use crate::api::page::{Page, Pair};
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::hosted::in_block::PaidInBlock;
use crate::openapi::{Fine, List};
use crate::routes::Access::{Bearer, StaffBearer};
use crate::routes::Routes;
use crate::state::AppState;
use crate::trade::market_failure;
use axum::extract::State;
use gruve_accounts::Permission::SeeFarm;
use gruve_hosting::{Contract, HostingError, OwnBlockPlace};
use gruve_market::SettlementPlace;
use gruve_units::{AccountId, ContractId, EpochNumber, Timestamp};

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get(
            "/api/v1/contracts/{id}/epochs",
            Bearer,
            "What a contract got in each epoch, newest first.",
            epochs,
        )
        .api_get(
            "/api/v1/contracts/{id}/settlements",
            Bearer,
            "Settlements of a contract in all assets, newest first.",
            settlements,
        )
        .api_get(
            "/api/v1/contracts/{id}/owed",
            Bearer,
            "Work that a contract missed or was paused for, newest first.",
            owed,
        )
        .api_get(
            "/api/v1/contracts/{id}/decisions",
            Bearer,
            "Whether a contract paid, epoch by epoch, newest first.",
            decisions,
        )
        .api_get(
            "/api/v1/contracts/{id}/losses",
            Bearer,
            "When a contract cost more than it earned and ran on, as its plan says, newest first.",
            losses,
        )
        .api_get(
            "/api/v1/contracts/{id}/dues",
            Bearer,
            "Maintenance in dollars and the price that each was taken at, newest first.",
            dues,
        )
        .api_get(
            "/api/v1/machines/{id}/settlements",
            Bearer,
            "What the owner's machines on a machine's lane earned, settlement by settlement, newest first.",
            own_settlements,
        )
        .api_get("/api/v1/machines/{id}/bills", Bearer, "Bills of a machine, newest first.", bills)
        .api_get(
            "/api/v1/machines/{id}/in-block/payments",
            Bearer,
            "What blocks that a machine found have paid to its owner, newest first.",
            payments,
        )
        .api_get(
            "/api/v1/console/hosting/{id}/bills",
            StaffBearer(SeeFarm),
            "Bills of a hosting contract, newest first.",
            bills_of,
        )
}

/// The epoch behind which a page begins.
fn epoch_behind(page: &Page) -> Result<Option<EpochNumber>, Failure> {
    Ok(page.behind::<u64>()?.map(EpochNumber))
}

/// `GET /api/v1/contracts/{id}/epochs`
async fn epochs(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<EpochLineBody>>, Failure> {
    let (before, wanted) = (epoch_behind(&page)?, page.wanted()?);
    let all = state.market().contract_epochs(customer.account, id, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |e| e.epoch.0, line)
}

/// `GET /api/v1/contracts/{id}/settlements`
async fn settlements(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<SettlementBody>>, Failure> {
    let (before, wanted) = (settlement_behind(&page)?, page.wanted()?);
    let all = state.market().settlements_before(customer.account, id, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |(at, _)| key_of(at), |(_, l)| settlement(l))
}

/// The settlement behind which a page begins.
fn settlement_behind(page: &Page) -> Result<Option<SettlementPlace>, Failure> {
    let behind = page.behind::<Pair<Pair<i64>>>()?;
    Ok(behind.map(|Pair(at, Pair(book, number))| SettlementPlace {
        at: Timestamp(at),
        book,
        number,
    }))
}

fn key_of(p: &SettlementPlace) -> Pair<Pair<i64>> {
    Pair(p.at.0, Pair(p.book, p.number))
}

/// `GET /api/v1/machines/{id}/settlements`
async fn own_settlements(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<SettlementBody>>, Failure> {
    let (before, wanted) = (settlement_behind(&page)?, page.wanted()?);
    let c = state.own_hosting(customer.account, id).await?;
    let all = state.market().account_settlements(c.account, &c.lane, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |(at, _)| key_of(at), |(_, l)| settlement(l))
}

/// `GET /api/v1/contracts/{id}/owed`
async fn owed(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<OwedBody>>, Failure> {
    let behind = page.behind::<Pair<String>>()?;
    let before = behind.map(|Pair(epoch, kind)| (EpochNumber(epoch.unsigned_abs()), kind));
    let wanted = page.wanted()?;
    let all = state.market().owed_before(customer.account, id, before, wanted).await;
    let key = |epoch: EpochNumber| i64::try_from(epoch.0).unwrap_or(i64::MAX);
    let all = all.map_err(|e| market_failure(&e))?;
    page.give(all, |o| Pair(key(o.epoch), o.kind.clone()), owed_line)
}

/// `GET /api/v1/contracts/{id}/decisions`
async fn decisions(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<DecisionBody>>, Failure> {
    state.contract(customer.account, id).await?;
    let (before, wanted) = (epoch_behind(&page)?, page.wanted()?);
    let all = state.market().pause_decisions_before(id, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |d| d.epoch.0, decision)
}

/// `GET /api/v1/contracts/{id}/losses`
async fn losses(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<LossBody>>, Failure> {
    state.contract(customer.account, id).await?;
    let (before, wanted) = (epoch_behind(&page)?, page.wanted()?);
    let all = state.market().losing_stretches(id, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |l| l.from.0, loss)
}

/// `GET /api/v1/contracts/{id}/dues`
async fn dues(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<DueBody>>, Failure> {
    state.contract(customer.account, id).await?;
    let (before, wanted) = (epoch_behind(&page)?, page.wanted()?);
    let all = state.market().usd_dues_before(id, before, wanted).await;
    page.give(all.map_err(|e| market_failure(&e))?, |d| d.to_epoch.0, due)
}

/// `GET /api/v1/machines/{id}/bills`
async fn bills(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<BillBody>>, Failure> {
    billed(&state, Some(customer.account), id, &page).await
}

/// `GET /api/v1/console/hosting/{id}/bills`
async fn bills_of(
    State(state): State<AppState>,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<BillBody>>, Failure> {
    billed(&state, None, id, &page).await
}

async fn billed(
    state: &AppState,
    by: Option<AccountId>,
    id: ContractId,
    page: &Page,
) -> Result<Fine<List<BillBody>>, Failure> {
    let (hosting, before, wanted) = (state.hosting(), page.behind::<i64>()?, page.wanted()?);
    let read = async {
        let contract: Contract = hosting.contract(by, id).await?;
        let bills = hosting.bills_before(id, before, wanted).await?;
        Ok::<_, HostingError>((contract.terms.asset, bills))
    };
    let (asset, all) = read.await.map_err(|e| hosting_failure(&e))?;
    page.give(all, |b| b.number, |b| bill_body(b, asset))
}

/// `GET /api/v1/machines/{id}/in-block/payments`
async fn payments(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(page): Params<Page>,
) -> Result<Fine<List<PaidBody>>, Failure> {
    let contract = state.own_hosting(customer.account, id).await?;
    let wrong = || Failure::bad_request("`after` is the `next` of a page of the same list.");
    let behind = page.behind::<Pair<Pair<String>>>()?;
    let place = |Pair(height, Pair(vout, hash)): Pair<Pair<String>>| {
        let mut block_hash = [0; 32];
        hex::decode_to_slice(hash, &mut block_hash).ok()?;
        let vout = u32::try_from(vout).ok()?;
        Some(OwnBlockPlace { height: u64::try_from(height).ok()?, block_hash, vout })
    };
    let before = behind.map(|p| place(p).ok_or_else(wrong)).transpose()?;
    let paid = state.paid_before(&contract, before, page.wanted()?).await?;
    let key = |p: &PaidInBlock| {
        let height = i64::try_from(p.block.height).unwrap_or(i64::MAX);
        Pair(height, Pair(p.block.vout.into(), hex::encode(p.block.block_hash)))
    };
    page.give(paid, key, paid_body)
}
