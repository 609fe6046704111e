//! Sites and the inventory, for the operator's programs.

use crate::api::machines::{MachineBody, machine_body};
use crate::api::page::Page;
use crate::api::{Money, Rate, Time, amount, rate, time};
use crate::extract::{Id, Json, Params, Staff};
use crate::failure::Failure;
use crate::hosted::{farm_failure, hosting_failure};
use crate::once::Secret;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::operating::{AddMachine, StatePower};
use crate::state::AppState;
use axum::extract::State;
use gruve_farm::{Inventory, MachineOwner, MachineState};
use gruve_units::{Amount, Asset, EpochNumber, Hashrate, LaneId, MachineId};

answers! {
    /// A site.
    struct SiteBody {
        /// Its name.
        site: String,
        /// What is stated of its electricity.
        electricity: Option<SiteElectricity>,
        /// Its agent.
        agent: Option<AgentBody>,
    }

    /// A site's electricity.
    struct SiteElectricity {
        /// Grams of CO₂.
        co2_g_per_kwh: u32,
        /// Its price.
        price_per_kwh: Money,
        /// From where the operator has that.
        source: String,
    }

    /// A site's agent.
    struct AgentBody {
        /// Samples heard of.
        samples: u64,
        /// Of them lost on the way.
        lost: u64,
        /// Of them refused.
        refused: u64,
        /// When it was last heard.
        seen_at: Option<Time>,
    }

    /// A site's new token: the earlier one is void.
    struct SiteToken {
        /// It. It is not shown again.
        token: String,
    }

    /// A machine of the inventory.
    struct InventoryBody {
        /// Its id.
        machine_id: MachineId,
        /// Its serial number.
        serial: String,
        /// Its model.
        model: String,
        /// Where it stands.
        site: String,
        /// In which rack.
        rack: String,
        /// By which it logs in.
        name: String,
        /// Where it mines.
        lane: LaneId,
        /// By its nameplate.
        nameplate: Rate,
        /// By its nameplate.
        nameplate_watts: u32,
        /// `stock`, `running`, `maintenance` or `returned`.
        state: &'static str,
    }

    /// A machine with what it says, what its shares prove, and whose it was.
    struct MachineSeen: base: InventoryBody {
        /// As it runs.
        now: MachineBody,
        /// `house`, or an account's id.
        owner: String,
        /// Whose it was.
        owners: Vec<OwnerFrom>,
        /// What became of it.
        history: Vec<MachineEvent>,
    }

    /// Whose a machine was.
    struct OwnerFrom {
        /// From which epoch on.
        from_epoch: EpochNumber,
        /// `house`, or an account's id.
        owner: String,
        /// When that was written.
        written_at: Time,
    }

    /// What became of a machine.
    struct MachineEvent {
        /// When.
        at: Time,
        /// What.
        event: String,
    }

    /// A machine taken into the inventory.
    struct MachineMade {
        /// Its id.
        machine_id: MachineId,
    }
}

requests! {
    /// A site's electricity.
    struct Power {
        /// Grams of CO₂.
        co2_g_per_kwh: u32,
        /// What the price is in.
        asset: Asset,
        /// In whole units, as decimal text.
        price_per_kwh: String,
        /// From where the operator has that.
        source: String,
    }

    /// A machine for the inventory.
    struct NewMachine {
        /// The site's name.
        site: String,
        /// Where it mines.
        lane: LaneId,
        /// By which it logs in.
        name: String,
        /// Its serial number.
        serial: String,
        /// Its model.
        model: String,
        /// In which rack.
        rack: String,
        /// By its nameplate.
        hashrate: Hashrate,
        /// By its nameplate.
        watts: u32,
    }

    /// A machine's new state.
    struct NewState {
        /// `stock`, `running`, `maintenance` or `returned`.
        state: String,
    }
}

/// `GET /api/v1/console/sites`
pub(crate) async fn sites(State(state): State<AppState>) -> Result<Fine<List<SiteBody>>, Failure> {
    let farm = state.farm();
    let powers = farm.site_powers().await.map_err(|e| farm_failure(&e))?;
    let mut list = Vec::new();
    for site in farm.sites().await.map_err(|e| farm_failure(&e))? {
        let power = powers.iter().find(|p| p.site == site.id).map(|p| SiteElectricity {
            co2_g_per_kwh: p.co2_g_per_kwh,
            price_per_kwh: amount(Amount::new(p.price_asset, p.price_minor_per_kwh)),
            source: p.source.clone(),
        });
        let agent = farm.agent_of(site.id).await.map_err(|e| farm_failure(&e))?;
        let agent = agent.map(|a| AgentBody {
            samples: a.next,
            lost: a.lost,
            refused: a.refused,
            seen_at: a.seen_at.map(time),
        });
        list.push(SiteBody { site: site.name, electricity: power, agent });
    }
    Ok(List::whole(list))
}

/// `POST /api/v1/console/sites/{name}/power`
pub(crate) async fn state_power(
    State(state): State<AppState>,
    staff: Staff,
    Id(site): Id<String>,
    Json(said): Json<Power>,
) -> Result<Done, Failure> {
    let Power { co2_g_per_kwh, asset, price_per_kwh: price, source } = said;
    state.state_power(staff, StatePower { site, co2_g_per_kwh, asset, price, source }).await?;
    Ok(Done)
}

/// `POST /api/v1/console/sites/{name}/token`: the earlier one is void from then on.
pub(crate) async fn new_token(
    State(state): State<AppState>,
    staff: Staff,
    Id(site): Id<String>,
) -> Result<Secret<Made<SiteToken>>, Failure> {
    let token = state.site_token(staff, &site).await?;
    Ok(Secret(Answer(SiteToken { token })))
}

fn inventory_body(m: &Inventory) -> InventoryBody {
    InventoryBody {
        machine_id: m.machine,
        serial: m.serial.clone(),
        model: m.model.clone(),
        site: m.site_name.clone(),
        rack: m.rack.clone(),
        name: m.name.clone(),
        lane: m.lane.clone(),
        nameplate: rate(m.nameplate),
        nameplate_watts: m.watts,
        state: m.state.name(),
    }
}

/// `GET /api/v1/console/machines`
pub(crate) async fn machines(
    State(state): State<AppState>,
    Params(page): Params<Page>,
) -> Result<Fine<List<InventoryBody>>, Failure> {
    let all = state.farm().inventory_after(page.behind()?, page.wanted()?).await;
    page.give(all.map_err(|e| farm_failure(&e))?, |m| m.machine, inventory_body)
}

fn owner(o: MachineOwner) -> String {
    match o {
        MachineOwner::House => "house".to_owned(),
        MachineOwner::Account(id) => id.to_string(),
    }
}

/// `GET /api/v1/console/machines/{name}`, by serial number: what it says, what its shares prove, whose it was.
pub(crate) async fn machine(
    State(state): State<AppState>,
    Id(serial): Id<String>,
) -> Result<Fine<MachineSeen>, Failure> {
    let machine = state.machine_of(&serial).await?;
    let seen = state.hosting().machine(machine, None).await.map_err(|e| hosting_failure(&e))?;
    let history = state.farm().history(machine).await.map_err(|e| farm_failure(&e))?;
    let owners = state.farm().owners_of(machine).await.map_err(|e| farm_failure(&e))?;
    let powers = state.powers().await?;
    let owners = owners.iter().map(|(from, who, at)| OwnerFrom {
        from_epoch: *from,
        owner: owner(*who),
        written_at: time(*at),
    });
    let history =
        history.iter().map(|(at, what)| MachineEvent { at: time(*at), event: what.clone() });
    Ok(Answer(MachineSeen {
        base: inventory_body(&seen.thing),
        now: machine_body(&seen, &powers),
        owner: owner(seen.owner),
        owners: owners.collect(),
        history: history.collect(),
    }))
}

/// `POST /api/v1/console/machines`
pub(crate) async fn add(
    State(state): State<AppState>,
    staff: Staff,
    Json(new): Json<NewMachine>,
) -> Result<Made<MachineMade>, Failure> {
    let NewMachine { site, lane, name, serial, model, rack, hashrate, watts } = new;
    let new = AddMachine { site, lane, name, serial, model, rack, hashrate, watts };
    let machine = state.add_machine(staff, new).await?;
    Ok(Answer(MachineMade { machine_id: machine }))
}

/// `POST /api/v1/console/machines/{name}/state`
pub(crate) async fn set_state(
    State(state): State<AppState>,
    staff: Staff,
    Id(serial): Id<String>,
    Json(new): Json<NewState>,
) -> Result<Done, Failure> {
    let wanted: MachineState =
        crate::console::typed(&new.state, "write stock, running, maintenance or returned")?;
    state.set_machine(staff, &serial, wanted).await?;
    Ok(Done)
}
