//! Hosting contracts, for the operator's programs.

use crate::api::machines::{BillBody, HostingBody, bill_body, contract_body};
use crate::api::page::Page;
use crate::extract::{Id, Json, Params, Staff};
use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::operating::OfferMachine;
use crate::state::AppState;
use axum::extract::State;
use gruve_hosting::{BILLS_MAX, Contract, HostingKind, PayFrom, Scheme, Signed};
use gruve_units::{AccountId, Asset, ContractId, EpochNumber};

answers! {
    /// A hosting contract with whose it is.
    struct HostingOf: base: HostingBody {
        /// Whose it is.
        account: AccountId,
    }

    /// The same with its bills and its machine's certificates.
    struct HostingSeen: base: HostingOf {
        /// Newest first.
        bills: Vec<BillBody>,
        /// The machine's, oldest first.
        certificates: Vec<Signed>,
    }

    /// A machine offered.
    struct Offered {
        /// The contract's id.
        id: ContractId,
    }

    /// A hosting contract ended.
    struct EndedBody {
        /// Its id.
        id: ContractId,
        /// The machine is the house's from this epoch on.
        until_epoch: EpochNumber,
    }
}

requests! {
    /// What is offered; prices in whole coins.
    struct HostingOffer {
        /// The machine's serial number.
        serial: String,
        /// The account's name.
        to: String,
        /// Sold or leased.
        kind: HostingKind,
        /// How it earns.
        scheme: Scheme,
        /// What bills are paid from.
        pays_from: PayFrom,
        /// What bills are paid in.
        asset: Asset,
        /// Price of electricity.
        energy_per_kwh: String,
        /// The operator's fee.
        fee_per_day: String,
        /// Uptime below which fees are given back.
        service_level_bps: u16,
        /// Of the machine.
        price: String,
        /// What that is paid in.
        price_asset: Asset,
    }
}

fn body(state: &AppState, c: &Contract) -> HostingOf {
    HostingOf { base: contract_body(state, c), account: c.account }
}

/// `GET /api/v1/console/hosting`
pub(crate) async fn contracts(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<HostingOf>>, Failure> {
    let (before, wanted) = (page.behind()?, page.wanted()?);
    let all = state.hosting().contracts_before(None, before, wanted).await;
    page.give(all.map_err(|e| hosting_failure(&e))?, |c| c.id, |c| body(&state, c))
}

/// `GET /api/v1/console/hosting/{id}`: with its bills and its certificate.
pub(crate) async fn contract(
    State(state): State<AppState>,
    Id(id): Id<ContractId>,
) -> Result<Fine<HostingSeen>, Failure> {
    let hosting = state.hosting();
    let c = hosting.contract(None, id).await.map_err(|e| hosting_failure(&e))?;
    let bills = hosting.bills(id, BILLS_MAX).await.map_err(|e| hosting_failure(&e))?;
    let certificates = hosting.certificates(c.machine).await.map_err(|e| hosting_failure(&e))?;
    let bills = bills.iter().map(|b| bill_body(b, c.terms.asset)).collect();
    Ok(Answer(HostingSeen { base: body(&state, &c), bills, certificates }))
}

/// `POST /api/v1/console/hosting`: the account must accept.
pub(crate) async fn offer(
    State(state): State<AppState>,
    staff: Staff,
    Json(o): Json<HostingOffer>,
) -> Result<Made<Offered>, Failure> {
    let new = OfferMachine {
        serial: o.serial,
        to: o.to,
        kind: o.kind,
        scheme: o.scheme,
        pay_from: o.pays_from,
        asset: o.asset,
        energy: o.energy_per_kwh,
        fee: o.fee_per_day,
        level: o.service_level_bps,
        price: o.price,
        price_asset: o.price_asset,
    };
    let id = state.offer_machine(staff, new).await?;
    Ok(Answer(Offered { id }))
}

/// `DELETE /api/v1/console/hosting/{id}`: takes an offer back.
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Done, Failure> {
    state.take_offer_back(staff, id).await?;
    Ok(Done)
}

/// `POST /api/v1/console/hosting/{id}/end`: the machine is the house's from the epoch answered on.
pub(crate) async fn end(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Fine<EndedBody>, Failure> {
    let until_epoch = state.end_hosting(staff, id).await?;
    Ok(Answer(EndedBody { id, until_epoch }))
}
