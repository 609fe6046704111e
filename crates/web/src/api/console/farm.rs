//! Sites and the inventory, for the operator's programs.

use crate::api::machines::machine_body;
use crate::api::{amount, answer, rate, time};
use crate::extract::{Id, Json, Staff};
use crate::failure::Failure;
use crate::hosted::{farm_failure, hosting_failure};
use crate::operating::{AddMachine, StatePower};
use crate::state::AppState;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gruve_farm::{Inventory, MachineOwner, MachineState};
use gruve_units::{Amount, Asset, Hashrate, LaneId};
use serde::Deserialize;
use serde_json::{Value, json};

/// `GET /api/v1/console/sites`
pub(crate) async fn sites(State(state): State<AppState>) -> Result<Response, Failure> {
    let farm = state.farm();
    let powers = farm.site_powers().await.map_err(|e| farm_failure(&e))?;
    let mut list = Vec::new();
    for site in farm.sites().await.map_err(|e| farm_failure(&e))? {
        let power = powers.iter().find(|p| p.site == site.id).map(|p| {
            json!({
                "co2_g_per_kwh": p.co2_g_per_kwh,
                "price_per_kwh": amount(Amount::new(p.price_asset, p.price_minor_per_kwh)),
                "source": p.source,
            })
        });
        let agent = farm.agent_of(site.id).await.map_err(|e| farm_failure(&e))?.map(|a| {
            json!({ "samples": a.next, "lost": a.lost, "refused": a.refused, "seen_at": a.seen_at.map(time) })
        });
        list.push(json!({ "site": site.name, "electricity": power, "agent": agent }));
    }
    Ok(answer(StatusCode::OK, json!(list)))
}

/// A site's electricity.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Power {
    co2_g_per_kwh: u32,
    asset: Asset,
    price_per_kwh: String,
    source: String,
}

/// `POST /api/v1/console/sites/{name}/power`
pub(crate) async fn state_power(
    State(state): State<AppState>,
    staff: Staff,
    Id(site): Id<String>,
    Json(said): Json<Power>,
) -> Result<StatusCode, Failure> {
    let Power { co2_g_per_kwh, asset, price_per_kwh: price, source } = said;
    state.state_power(staff, StatePower { site, co2_g_per_kwh, asset, price, source }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/console/sites/{name}/token`: the earlier one is void from then on.
pub(crate) async fn new_token(
    State(state): State<AppState>,
    staff: Staff,
    Id(site): Id<String>,
) -> Result<Response, Failure> {
    let token = state.site_token(staff, &site).await?;
    Ok(answer(StatusCode::CREATED, json!({ "token": token })))
}

fn inventory_body(m: &Inventory) -> Value {
    json!({
        "machine_id": m.machine,
        "serial": m.serial,
        "model": m.model,
        "site": m.site_name,
        "rack": m.rack,
        "name": m.name,
        "lane": m.lane,
        "nameplate": rate(m.nameplate),
        "nameplate_watts": m.watts,
        "state": m.state.name(),
    })
}

/// `GET /api/v1/console/machines`
pub(crate) async fn machines(State(state): State<AppState>) -> Result<Response, Failure> {
    let all = state.farm().inventory().await.map_err(|e| farm_failure(&e))?;
    Ok(answer(StatusCode::OK, all.iter().map(inventory_body).collect()))
}

/// `GET /api/v1/console/machines/{name}`, by serial number: what it says, what its shares prove, whose it was.
pub(crate) async fn machine(
    State(state): State<AppState>,
    Id(serial): Id<String>,
) -> Result<Response, Failure> {
    let machine = state.machine_of(&serial).await?;
    let seen = state.hosting().machine(machine, None).await.map_err(|e| hosting_failure(&e))?;
    let history = state.farm().history(machine).await.map_err(|e| farm_failure(&e))?;
    let owners = state.farm().owners_of(machine).await.map_err(|e| farm_failure(&e))?;
    let powers = state.powers().await?;
    let owner = |o: MachineOwner| match o {
        MachineOwner::House => json!("house"),
        MachineOwner::Account(id) => json!(id),
    };
    let mut body = inventory_body(&seen.thing);
    if let Value::Object(map) = &mut body {
        map.insert("now".to_owned(), machine_body(&seen, &powers));
        map.insert("owner".to_owned(), owner(seen.owner));
        let owners = owners.iter().map(|(from, who, at)| {
            json!({ "from_epoch": from, "owner": owner(*who), "written_at": time(*at) })
        });
        map.insert("owners".to_owned(), owners.collect());
        let history = history.iter().map(|(at, what)| json!({ "at": time(*at), "event": what }));
        map.insert("history".to_owned(), history.collect());
    }
    Ok(answer(StatusCode::OK, body))
}

/// A machine for the inventory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMachine {
    site: String,
    lane: LaneId,
    name: String,
    serial: String,
    model: String,
    rack: String,
    hashrate: Hashrate,
    watts: u32,
}

/// `POST /api/v1/console/machines`
pub(crate) async fn add(
    State(state): State<AppState>,
    staff: Staff,
    Json(new): Json<NewMachine>,
) -> Result<Response, Failure> {
    let NewMachine { site, lane, name, serial, model, rack, hashrate, watts } = new;
    let new = AddMachine { site, lane, name, serial, model, rack, hashrate, watts };
    let machine = state.add_machine(staff, new).await?;
    Ok(answer(StatusCode::CREATED, json!({ "machine_id": machine })))
}

/// A machine's new state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewState {
    state: String,
}

/// `POST /api/v1/console/machines/{name}/state`
pub(crate) async fn set_state(
    State(state): State<AppState>,
    staff: Staff,
    Id(serial): Id<String>,
    Json(new): Json<NewState>,
) -> Result<StatusCode, Failure> {
    let wanted: MachineState =
        crate::console::typed(&new.state, "write stock, running, maintenance or returned")?;
    state.set_machine(staff, &serial, wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}
