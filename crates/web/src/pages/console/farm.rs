//! Sites and machines: electricity, agents, inventory, and what is on record as idled or moved.

use super::{button, choice, field, frame, sheet, table};
use crate::console::{figure, typed};
use crate::deciding;
use crate::extract::{Form, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::{amount, rate, time};
use crate::operating::{AddMachine, StatePower};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t, text};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_farm::{Inventory, MachineState};
use gruve_market::{Act, ActKind};
use gruve_units::{Amount, Asset, Hashrate, LaneId};
use maud::{Markup, html};
use serde::Deserialize;

/// Records of idled and moved machines shown of a lane.
const ACTS_SHOWN: u32 = 20;

/// `GET /console/sites`
pub(crate) async fn sites(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let content = sites_content(&state, &visitor, staff).await?;
    Ok(frame(&visitor, staff, "Sites", "Facilities, their electricity, their agents.", &content))
}

async fn sites_content(
    state: &AppState,
    visitor: &Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let farm = state.farm();
    let powers = farm.site_powers().await?;
    let machines = farm.inventory().await?;
    let may = staff.role.may(Permission::RunSites);
    let mut rows = Vec::new();
    let sites = farm.sites().await?;
    for site in &sites {
        let power = powers.iter().find(|p| p.site == site.id);
        let agent = farm.agent_of(site.id).await?;
        let here = machines.iter().filter(|m| m.site == site.id);
        let running = here.clone().filter(|m| m.state == MachineState::Running).count();
        rows.push(vec![
            html! { (site.name) },
            html! { (say!("{running} of {here} running", running = running, here = here.count())) },
            html! { @match power { Some(p) => { (say!("{price_minor_per_kwh} a kWh, {co2_g_per_kwh} g CO₂ ({source})", price_minor_per_kwh = amount(Amount::new(p.price_asset, p.price_minor_per_kwh)), co2_g_per_kwh = p.co2_g_per_kwh, source = p.source)) }, None => (t("not stated")) } },
            html! { @match agent { Some(a) => {
                @match a.seen_at { Some(at) => (say!("last report {at};", at = time(at))), None => (t("no report yet;")) }
                " " (say!("{lost} lost, {refused} refused", lost = a.lost, refused = a.refused)) }, None => (t("none")) } },
            html! { @if may { (button(visitor, "/console/sites/token", "New agent token",
                &[("site", &site.name)])) } },
        ]);
    }
    let columns = ["Site", "Machines", "Electricity", "Agent", "Action"];
    Ok(html! {
        (sheet("sites", "Sites", &table("Sites", &columns, &rows)))
        @if may { (sheet("power", "State a site's electricity", &html! {
            form.stack method="post" action="/console/sites/power" {
                (token(visitor))
                (choice("power", "site", "Site", sites.iter().map(|s| (s.name.as_str(), s.name.as_str()))))
                (field("power", "co2", "Grams of CO₂ equivalent of a kilowatt-hour", "A whole number."))
                (field("power", "asset", "Paid in", "As USD."))
                (field("power", "price", "A kilowatt-hour costs", "As 0.045."))
                (field("power", "source", "Where the figures come from", "Customers see it."))
                button type="submit" { (t("State it")) }
            }
        })) }
    })
}

/// Which site.
#[derive(Deserialize)]
pub(crate) struct OfSite {
    site: String,
}

/// `POST /console/sites/token`: shows the new token, once.
pub(crate) async fn new_token(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Form(form): Form<OfSite>,
) -> Result<Markup, Failure> {
    let secret = state.site_token(staff, &form.site).await?;
    let content = sheet(
        "token",
        &form.site,
        &html! {
            p.copy { (secret) }
            p.note { (t("Write it into the agent's token file. It is not shown again, and the earlier one is void.")) }
        },
    );
    Ok(frame(&visitor, staff, "New agent token", "For the agent at the site.", &content))
}

/// A site's electricity.
#[derive(Deserialize)]
pub(crate) struct Power {
    site: String,
    co2: String,
    asset: String,
    price: String,
    source: String,
}

/// `POST /console/sites/power`
pub(crate) async fn state_power(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Power>,
) -> Result<Redirect, Failure> {
    let new = StatePower {
        co2_g_per_kwh: typed(&form.co2, "write the grams as a whole number")?,
        asset: typed::<Asset>(&form.asset, "write an asset as USD")?,
        site: form.site,
        price: figure(&form.price)?,
        source: form.source,
    };
    state.state_power(staff, new).await?;
    Ok(Redirect::to("/console/sites"))
}

/// `GET /console/machines`
pub(crate) async fn machines(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::RunMachines);
    let inventory = state.farm().inventory().await?;
    let rows: Vec<_> = inventory.iter().map(|m| machine_row(&visitor, may, m)).collect();
    let columns = ["Serial", "Model", "Where", "Name", "Lane", ">Nameplate", "State"];
    let mut acts = Vec::new();
    for lane in &state.market().config().lanes {
        for act in state.market().acts(&lane.lane, ACTS_SHOWN).await? {
            acts.push(act_row(&visitor, may, &lane.lane, &act));
        }
    }
    let sites = state.farm().sites().await?;
    let lanes: Vec<&str> = state.market().config().lanes.iter().map(|l| l.lane.as_str()).collect();
    let content = html! {
        (sheet("inventory", "Inventory", &table("Machines", &columns, &rows)))
        (sheet("acts", "Idled and moved machines", &table("Records", &["Lane", "What", ">Rate", "Epochs", "Why", "Action"], &acts)))
        @if may {
            (sheet("away", "Record machines that are switched off or moved", &html! {
                form.stack method="post" action="/console/acts" {
                    (token(&visitor))
                    (choice("act", "lane", "Lane", lanes.iter().map(|l| (*l, *l))))
                    (choice("act", "what", "What", [("idle", "Switched off"), ("move", "Moved to another lane")].into_iter()))
                    (field("act", "rate", "Rate", "As 110 TH/s."))
                    (field("act", "note", "Why", "Customers whose contracts are short see it."))
                    button type="submit" { (t("Record it from now on")) }
                }
            }))
            (sheet("add", "Take a machine into the inventory", &html! {
                form.stack method="post" action="/console/machines" {
                    (token(&visitor))
                    (choice("add", "site", "Site", sites.iter().map(|s| (s.name.as_str(), s.name.as_str()))))
                    (choice("add", "lane", "Lane", lanes.iter().map(|l| (*l, *l))))
                    (field("add", "name", "Name", "It logs in as house.NAME."))
                    (field("add", "serial", "Serial number", "The maker's."))
                    (field("add", "model", "Model", "The maker's name for it."))
                    (field("add", "rack", "Rack", "Where in the site."))
                    (field("add", "hashrate", "Nameplate hashrate", "As 110 TH/s."))
                    (field("add", "watts", "Nameplate power in watts", "A whole number."))
                    button type="submit" { (t("Add it")) }
                }
            }))
        }
    };
    Ok(frame(&visitor, staff, "Machines", "The inventory, and what is on record.", &content))
}

fn machine_row(visitor: &Visitor, may: bool, m: &Inventory) -> Vec<Markup> {
    let state = html! {
        @if !may { (t(m.state.name())) } @else {
            form.inline method="post" action="/console/machines/state" {
                (token(visitor))
                input type="hidden" name="serial" value=(m.serial);
                select name="state" aria-label=(text!("State of {serial}", serial = m.serial)) {
                    @for s in MachineState::ALL { option value=(s.name()) selected[s == m.state] { (t(s.name())) } }
                }
                button.quiet type="submit" { (t("Set")) }
            }
        }
    };
    vec![
        html! { a href={ "/console/machines/" (crate::gate::percent_encoded(&m.serial)) } { (m.serial) } },
        html! { (m.model) },
        html! { (m.site_name) " " (m.rack) },
        html! { (m.name) },
        html! { (m.lane) },
        html! { (rate(m.nameplate)) ", " (m.watts) " W" },
        state,
    ]
}

fn act_row(visitor: &Visitor, may: bool, lane: &LaneId, a: &Act) -> Vec<Markup> {
    let id = a.id.to_string();
    let back = [("lane", lane.as_str()), ("id", id.as_str())];
    vec![
        html! { (lane) },
        html! { (a.what) },
        rate(a.hashrate),
        html! { (a.from) " – " @match a.until { Some(e) => (e), None => (t("now")) } },
        html! { (a.note) },
        html! { @if may && a.until.is_none() { (button(visitor, "/console/acts/back", "Works again", &back)) } },
    ]
}

/// A machine's new state.
#[derive(Deserialize)]
pub(crate) struct SetState {
    serial: String,
    state: String,
}

/// `POST /console/machines/state`
pub(crate) async fn set_state(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<SetState>,
) -> Result<Redirect, Failure> {
    let wanted: MachineState = typed(&form.state, "choose one of the states")?;
    state.set_machine(staff, &form.serial, wanted).await?;
    Ok(Redirect::to("/console/machines"))
}

/// A machine to be added.
#[derive(Deserialize)]
pub(crate) struct NewMachine {
    site: String,
    lane: String,
    name: String,
    serial: String,
    model: String,
    rack: String,
    hashrate: String,
    watts: String,
}

/// `POST /console/machines`
pub(crate) async fn add(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<NewMachine>,
) -> Result<Redirect, Failure> {
    let new = AddMachine {
        lane: typed(&form.lane, "choose a lane")?,
        hashrate: typed::<Hashrate>(&figure(&form.hashrate)?, "write a hashrate as 110 TH/s")?,
        watts: typed(&form.watts, "write the watts as a whole number")?,
        site: form.site,
        name: form.name,
        serial: form.serial,
        model: form.model,
        rack: form.rack,
    };
    state.add_machine(staff, new).await?;
    Ok(Redirect::to("/console/machines"))
}

/// Machines that are away.
#[derive(Deserialize)]
pub(crate) struct Away {
    lane: String,
    what: String,
    rate: String,
    note: String,
}

/// `POST /console/acts`
pub(crate) async fn away(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Away>,
) -> Result<Redirect, Failure> {
    let lane: LaneId = typed(&form.lane, "choose a lane")?;
    let what = if form.what == "move" { ActKind::Move } else { ActKind::Idle };
    let rate: Hashrate = typed(&form.rate, "write a hashrate as 110 TH/s")?;
    state.record_away(staff, deciding::Away { lane, what, rate, note: &form.note }).await?;
    Ok(Redirect::to("/console/machines"))
}

/// Which record ends.
#[derive(Deserialize)]
pub(crate) struct Back {
    lane: String,
    id: u64,
}

/// `POST /console/acts/back`
pub(crate) async fn back(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Back>,
) -> Result<Redirect, Failure> {
    let lane: LaneId = typed(&form.lane, "choose a lane")?;
    state.record_back(staff, &lane, form.id).await?;
    Ok(Redirect::to("/console/machines"))
}
