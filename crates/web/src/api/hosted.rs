//! Machines on sale, ordered by programs; their signed terms and statements.

use crate::api::papers::hosting::HostingStatementPage;
use crate::api::{Money, Rate, amount, key_of, rate};
use crate::client::Client;
use crate::extract::{Customer, Id, Json, Params};
use crate::failure::Failure;
use crate::hosted::{Again, Asker, HostedOffer, hosting_failure};
use crate::machine_sale::Placed;
use crate::openapi::{Answer, Fine, List, Made, Sheet, answers, requests};
use crate::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use gruve_market::{Ownership, PaysFrom, Scheme, SignedTerms};
use gruve_units::{Amount, Asset, ContractId, EpochNumber, InvoiceId, LaneId};

answers! {
    /// A plan of machines.
    struct HostedPlanBody {
        /// Its id.
        plan: String,
        /// Its version: an order names it.
        version: u32,
        /// Its title.
        title: String,
        /// Where the machine works.
        lane: LaneId,
        /// The lane's own asset.
        asset: Asset,
        /// Which machine.
        model: String,
        /// `sold` or `leased`.
        ownership: String,
        /// Paid once, out of the balance or by an invoice.
        price: Money,
        /// How it earns.
        scheme: Scheme,
        /// A kilowatt-hour.
        energy_per_kwh: Money,
        /// A day of hosting.
        fee_per_day: Money,
        /// What is kept of what it earns, hundredths of a percent.
        earnings_fee_bps: u16,
        /// The promised part of the time.
        service_level_bps: u16,
        /// `earnings` or `balance`.
        pays_from: String,
        /// It ends by itself then; none: without end.
        term_epochs: Option<u64>,
        /// Length of an epoch.
        epoch_micros: u64,
        /// What must wait before it goes to the payout address.
        minimum_payout: Money,
        /// Machines that could be ordered now, 20 at most.
        in_stock: u32,
        /// Of the first of them.
        nameplate: Option<Rate>,
        /// Of the first of them.
        nameplate_watts: Option<u32>,
    }

    /// A machine ordered.
    struct HostedOrdered {
        /// The hosting contract.
        contract: ContractId,
        /// The first epoch whose work is the owner's; none while an invoice is to be paid first.
        from_epoch: Option<EpochNumber>,
        /// The invoice that is to be paid, where one was asked for.
        invoice: Option<InvoiceId>,
    }
}

requests! {
    /// What to order.
    struct HostedOrder {
        /// The plan's id.
        plan: String,
        /// Its version, as seen.
        version: u32,
        /// `balance` (the usual) or `invoice`: by any way of paying, for which neither password nor code are asked.
        pay: String = default,
        /// The account's password; keys for programs leave it out.
        password: String = default,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// From which bill on.
    struct FromBill {
        /// Its number; the first if left out.
        from: Option<u32>,
    }
}

/// `GET /api/v1/hosted-plans`
pub(crate) async fn plans(
    State(state): State<AppState>,
) -> Result<Fine<List<HostedPlanBody>>, Failure> {
    let all = state.hosted_offers().await?;
    Ok(List::whole(all.iter().filter_map(body)))
}

fn body(o: &HostedOffer) -> Option<HostedPlanBody> {
    let (p, h) = (&o.plan, o.plan.hosted.as_ref()?);
    let bills = h.bill_asset.unwrap_or(p.asset);
    let money =
        |asset, minor: u64| amount(Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)));
    Some(HostedPlanBody {
        plan: p.id.clone(),
        version: p.version,
        title: p.title.clone(),
        lane: p.lane.clone(),
        asset: p.asset,
        model: h.model.clone(),
        ownership: match h.ownership {
            Ownership::Sold => "sold".to_owned(),
            Ownership::Leased => "leased".to_owned(),
        },
        price: amount(p.price),
        scheme: p.scheme,
        energy_per_kwh: money(bills, h.energy_minor_per_kwh),
        fee_per_day: money(bills, h.fee_minor_per_day),
        earnings_fee_bps: p.fee_bps.get(),
        service_level_bps: h.level_bps.get(),
        pays_from: match h.pays_from {
            PaysFrom::Earnings => "earnings".to_owned(),
            PaysFrom::Balance => "balance".to_owned(),
        },
        term_epochs: (h.term_epochs > 0).then_some(h.term_epochs),
        epoch_micros: p.epoch_us,
        minimum_payout: money(p.asset, p.life.minimum_payout_minor),
        in_stock: o.in_stock,
        nameplate: o.machine.as_ref().map(|m| rate(m.nameplate)),
        nameplate_watts: o.machine.as_ref().map(|m| m.watts),
    })
}

/// `POST /api/v1/hosted-orders`
pub(crate) async fn order(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    headers: HeaderMap,
    Json(order): Json<HostedOrder>,
) -> Result<Made<HostedOrdered>, Failure> {
    let key = key_of(&headers)?;
    let again = Again { password: order.password, code: order.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let plan = (order.plan.as_str(), order.version);
    let made = match order.pay.as_str() {
        "" | "balance" => state.order_hosted(&asker, plan, key).await?,
        "invoice" => state.reserve_hosted(&asker, plan, key).await?,
        _ => return Err(Failure::refused("`pay` is balance or invoice.")),
    };
    let Placed { contract, from, invoice } = made;
    Ok(Answer(HostedOrdered { contract, from_epoch: from, invoice }))
}

/// `GET /api/v1/machines/{id}/signed-terms`
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Fine<SignedTerms>, Failure> {
    let c = state.own_hosting(customer.account, id).await?;
    Ok(Answer(state.hosting().signed_terms(&c).map_err(|e| hosting_failure(&e))?))
}

/// `GET /api/v1/machines/{id}/statement?from=`
pub(crate) async fn statement(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(of): Params<FromBill>,
) -> Result<Sheet<HostingStatementPage>, Failure> {
    let page = state.hosting_statement(customer.account, id, of.from).await?;
    let body = serde_json::to_string(&page).map_err(|e| Failure::fault(&e))?;
    Ok(Sheet::new(([(header::CONTENT_TYPE, "application/json")], body)))
}
