//! Hosted machines, their tickets, and what sites' agents report.

use crate::api::{amount, answer, rate, time};
use crate::extract::{Customer, Id, Json, Params, SiteAgent};
use crate::failure::{Failure, sentence};
use crate::hosted::{farm_failure, hosting_failure};
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use gruve_farm::{Note, Report, SitePower, Ticket, TicketId};
use gruve_hosting::footprint::Footprint;
use gruve_hosting::{Bill, Contract, HostedMachine};
use gruve_units::{Amount, Asset, ContractId, EpochNumber, Hashes, SiteId};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bills listed with a machine.
const BILLS_SHOWN: u32 = 100;

/// Bytes of a report at most: 256 samples of 300 bytes, and as much again.
const REPORT_BYTES_MAX: usize = 128 << 10;

/// `GET /api/v1/machines`
pub(crate) async fn machines(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let all = state.hosting().contracts(customer.account).await;
    let all = all.map_err(|e| hosting_failure(&e))?;
    Ok(answer(StatusCode::OK, all.iter().map(|c| contract_body(&state, c)).collect()))
}

/// `GET /api/v1/machines/{id}`
pub(crate) async fn machine(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let (contract, machine) = state.hosted(customer.account, id).await?;
    let bills = state.hosting().bills(id, BILLS_SHOWN).await.map_err(|e| hosting_failure(&e))?;
    let mut body = contract_body(&state, &contract);
    if let Value::Object(map) = &mut body {
        let asset = contract.terms.asset;
        map.insert("machine".to_owned(), machine_body(&machine, &state.powers().await?));
        let bills: Vec<Value> = bills.iter().map(|b| bill_body(b, asset)).collect();
        map.insert("bills".to_owned(), json!(bills));
    }
    Ok(answer(StatusCode::OK, body))
}

pub(crate) fn contract_body(state: &AppState, c: &Contract) -> Value {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    json!({
        "id": c.id,
        "machine_id": c.machine,
        "lane": c.lane,
        "state": c.state.name(),
        "kind": c.terms.kind.name(),
        "scheme": c.terms.scheme.name(),
        "pays_from": c.terms.pay_from.name(),
        "energy_per_kwh": of(c.terms.energy_minor_per_kwh),
        "fee_per_day": of(c.terms.fee_minor_per_day),
        "service_level_bps": c.terms.level.get(),
        "price": amount(c.price),
        "terms_sha256": hex::encode(c.terms_hash),
        "replaces": c.replaces,
        "offered_at": time(c.offered_at),
        "accepted_at": c.accepted_at.map(time),
        "from_epoch": c.from,
        "until_epoch": c.until,
        "address": c.address.at(state.now()),
        "next_address": c.address.next.as_ref().map(|(a, from)| json!({ "address": a, "from": time(*from) })),
        "owed": of(c.arrears),
    })
}

pub(crate) fn machine_body(m: &HostedMachine, powers: &[SitePower]) -> Value {
    let (proven, low, high) = m.proven_rate();
    let reading = m.reading.as_ref().map(|r| {
        json!({
            "at": time(r.at),
            "hashrate": r.hashrate.map(rate),
            "watts": r.watts,
            "temperature_c": r.temperature_c,
            "fans_rpm": r.fans_rpm,
            "uptime_s": r.uptime_s,
            "restarts": r.restarts,
            "fault": r.fault,
        })
    });
    json!({
        "serial": m.thing.serial,
        "model": m.thing.model,
        "site": m.thing.site_name,
        "rack": m.thing.rack,
        "state": m.thing.state.name(),
        "nameplate": rate(m.thing.nameplate),
        "nameplate_watts": m.thing.watts,
        "reading": reading,
        "claimed": rate(m.claimed_rate()),
        "proven": { "hashrate": rate(proven), "low": rate(low), "high": rate(high),
            "shares": m.proof.shares, "work": m.proof.work },
        "claim": m.verdict.name(),
        "uptime_us": m.span.up_us,
        "span_us": m.span.span_us,
        "energy": footprint_body(&m.footprint, powers),
    })
}

pub(crate) fn bill_body(b: &Bill, asset: Asset) -> Value {
    let of = |minor| amount(Amount::new(asset, minor));
    json!({
        "number": b.number,
        "at": time(b.at),
        "from_epoch": b.from,
        "until_epoch": b.until,
        "energy_uj": b.span.energy_uj,
        "span_us": b.span.span_us,
        "up_us": b.span.up_us,
        "energy": of(b.energy),
        "fee": of(b.fee),
        "credit": of(b.credit),
        "due": of(b.due),
        "paid": of(b.paid),
        "waived": of(b.waived),
        "owed": of(b.arrears),
    })
}

/// Electricity as programs read it. Large numbers are decimal strings.
pub(crate) fn footprint_body(f: &Footprint, powers: &[SitePower]) -> Value {
    let sites: Vec<Value> =
        f.by_site.iter().map(|(site, uj)| site_body(*site, *uj, powers)).collect();
    let cost: Vec<Value> = f
        .cost
        .iter()
        .map(|(asset, minor)| {
            amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX)))
        })
        .collect();
    json!({
        "watt_hours": f.watt_hours().to_string(),
        "energy_uj": f.energy_uj.to_string(),
        "covered_work": f.covered,
        "uncovered_work": f.uncovered,
        "millijoules_per_terahash": f.millijoules_per_terahash().map(|m| m.to_string()),
        "co2_mg": f.co2_mg.to_string(),
        "cost": cost,
        "unstated_uj": f.unstated_uj.to_string(),
        "sites": sites,
    })
}

/// A site's part of the energy, by what is stated of it.
fn site_body(site: SiteId, energy_uj: u128, powers: &[SitePower]) -> Value {
    let stated = powers.iter().find(|p| p.site == site);
    json!({
        "site": stated.map_or_else(|| site.to_string(), |p| p.name.clone()),
        "energy_uj": energy_uj.to_string(),
        "co2_g_per_kwh": stated.map(|p| p.co2_g_per_kwh),
        "price_per_kwh": stated.map(|p| amount(Amount::new(p.price_asset, p.price_minor_per_kwh))),
        "source": stated.map(|p| p.source.as_str()),
    })
}

/// Which part of a contract's life.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    before: Option<u64>,
}

/// `GET /api/v1/contracts/{id}/energy?before=`: of all its epochs, or of the newest [`gruve_market::DELIVERED_MAX`]
/// before one; `next_before` then asks for the ones before those.
pub(crate) async fn contract_energy(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(part): Params<Part>,
) -> Result<Response, Failure> {
    let c = state.contract(customer.account, id).await?;
    let (f, next) = state.footprint_of(&c, part.before.map(EpochNumber)).await?;
    let mut body = footprint_body(&f, &state.powers().await?);
    if let Value::Object(map) = &mut body {
        // A coin's energy is that of all of the work that earned it.
        let is_whole = f.covered == c.delivered && f.covered > Hashes::ZERO;
        let coins: Vec<Value> = c
            .earnings
            .iter()
            .filter(|_| is_whole)
            .filter_map(|e| {
                let minor = u128::try_from(e.earned.split().ok()?.0).ok()?;
                let wh = f.watt_hours_per_coin(e.asset, minor)?;
                Some(json!({ "asset": e.asset, "watt_hours": wh.to_string() }))
            })
            .collect();
        map.insert("watt_hours_per_coin".to_owned(), json!(coins));
        map.insert("next_before".to_owned(), json!(next));
    }
    Ok(answer(StatusCode::OK, body))
}

/// `GET /api/v1/metered/{id}/energy`: of the work delivered since a month ago.
pub(crate) async fn metered_energy(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let f = state.metered_footprint(customer.account, id).await?;
    Ok(answer(StatusCode::OK, footprint_body(&f, &state.powers().await?)))
}

/// `GET /api/v1/energy`: what sites state of their electricity.
pub(crate) async fn sites(State(state): State<AppState>) -> Result<Response, Failure> {
    let all = state.farm().site_powers().await.map_err(|e| farm_failure(&e))?;
    let list: Vec<Value> = all
        .iter()
        .map(|p| {
            json!({
                "site": p.name,
                "co2_g_per_kwh": p.co2_g_per_kwh,
                "price_per_kwh": amount(Amount::new(p.price_asset, p.price_minor_per_kwh)),
                "source": p.source,
            })
        })
        .collect();
    Ok(answer(StatusCode::OK, json!(list)))
}

/// `POST /api/v1/machines/{id}/accept`
pub(crate) async fn accept(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let from = state.accept_hosting(customer.account, id).await?;
    Ok(answer(StatusCode::OK, json!({ "id": id, "from_epoch": from })))
}

/// `DELETE /api/v1/machines/{id}`: refuses an offer, or takes an own one back.
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<StatusCode, Failure> {
    state.withdraw_hosting(customer.account, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// To whom, and for how much.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transfer {
    to: String,
    asset: String,
    price: String,
}

/// `POST /api/v1/machines/{id}/transfer`
pub(crate) async fn transfer(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(order): Json<Transfer>,
) -> Result<Response, Failure> {
    let price = price_of(&order.asset, &order.price)?;
    let offer = state.transfer_hosting(customer.account, id, &order.to, price).await?;
    Ok(answer(StatusCode::CREATED, json!({ "offer": offer })))
}

/// A price as it is written.
pub(crate) fn price_of(asset: &str, text: &str) -> Result<Amount, Failure> {
    let asset: Asset = asset.parse().map_err(|e| Failure::refused(sentence(&format!("{e}"))))?;
    Amount::parse_decimal(asset, text).map_err(|e| Failure::refused(sentence(&e.to_string())))
}

/// Where coins go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAddress {
    address: String,
}

/// `POST /api/v1/machines/{id}/address`
pub(crate) async fn address(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(new): Json<NewAddress>,
) -> Result<Response, Failure> {
    state.address_hosting(customer.account, id, &new.address).await?;
    let contract = state.own_hosting(customer.account, id).await?;
    Ok(answer(StatusCode::OK, contract_body(&state, &contract)))
}

/// `GET /api/v1/machines/{id}/certificate`
pub(crate) async fn certificate(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    state.own_hosting(customer.account, id).await?;
    let signed = state.hosting().certificate(id).await.map_err(|e| hosting_failure(&e))?;
    Ok(answer(StatusCode::OK, json!(signed)))
}

/// `GET /api/v1/machines/{id}/terms`: the canonical bytes, of which the contract has the hash.
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    use axum::response::IntoResponse as _;
    let contract = state.own_hosting(customer.account, id).await?;
    let kind = [(axum::http::header::CONTENT_TYPE, "application/json")];
    Ok((StatusCode::OK, kind, contract.terms_bytes).into_response())
}

/// `GET /api/v1/machines/{id}/tickets`
pub(crate) async fn tickets(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let contract = state.own_hosting(customer.account, id).await?;
    let all = state.tickets_of(customer.account, &contract).await?;
    Ok(answer(StatusCode::OK, all.iter().map(ticket_body).collect()))
}

pub(crate) fn ticket_body(t: &Ticket) -> Value {
    json!({
        "id": t.id,
        "machine_id": t.machine,
        "title": t.title,
        "opened_at": time(t.opened_at),
        "closed_at": t.closed_at.map(time),
    })
}

pub(crate) fn note_body(n: &Note) -> Value {
    json!({ "at": time(n.at), "author": n.author, "text": n.text })
}

/// What it is about, and what there is to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTicket {
    title: String,
    text: String,
}

/// `POST /api/v1/machines/{id}/tickets`
pub(crate) async fn open_ticket(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Json(new): Json<NewTicket>,
) -> Result<Response, Failure> {
    let ticket = state.open_ticket(customer.account, id, &new.title, &new.text).await?;
    Ok(answer(StatusCode::CREATED, json!({ "ticket": ticket })))
}

/// `GET /api/v1/tickets/{id}`
pub(crate) async fn ticket(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<Response, Failure> {
    let (ticket, notes) = state.ticket_of(customer.account, id).await?;
    let mut body = ticket_body(&ticket);
    if let Value::Object(map) = &mut body {
        map.insert("notes".to_owned(), notes.iter().map(note_body).collect());
    }
    Ok(answer(StatusCode::OK, body))
}

/// What there is to say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Say {
    text: String,
}

/// `POST /api/v1/tickets/{id}/notes`
pub(crate) async fn say(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
    Json(said): Json<Say>,
) -> Result<StatusCode, Failure> {
    let by = gruve_farm::Speaker::Owner(customer.account);
    state.farm().say_on_ticket(id, by, &said.text).await.map_err(|e| farm_failure(&e))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/tickets/{id}/close`
pub(crate) async fn close(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<TicketId>,
) -> Result<StatusCode, Failure> {
    let by = gruve_farm::Speaker::Owner(customer.account);
    state.farm().close_ticket(id, by).await.map_err(|e| farm_failure(&e))?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/site/telemetry`: where an agent that has lost its own count goes on.
pub(crate) async fn telemetry_place(SiteAgent(agent): SiteAgent) -> Response {
    answer(StatusCode::OK, json!({ "next": agent.next }))
}

/// `POST /api/v1/site/telemetry`: sent again, it changes nothing.
pub(crate) async fn telemetry(
    State(state): State<AppState>,
    SiteAgent(agent): SiteAgent,
    request: Request,
) -> Result<Response, Failure> {
    let bytes = axum::body::to_bytes(request.into_body(), REPORT_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| Failure::too_large())?;
    let report: Report = serde_json::from_slice(&bytes)
        .map_err(|e| Failure::bad_request(format!("The report cannot be read: {e}.")))?;
    let receipt = state.farm().take_report(agent.site, &report).await;
    Ok(answer(StatusCode::OK, json!(receipt.map_err(|e| farm_failure(&e))?)))
}
