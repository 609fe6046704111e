//! Machines that customers own: offers and contracts.

use super::{button, choice, field, frame, sheet, table};
use crate::console::{figure, typed};
use crate::extract::{Form, Id, Staff};
use crate::failure::Failure;
use crate::layout::token;
use crate::money::amount;
use crate::operating::OfferMachine;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::t;
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Permission;
use gruve_hosting::HostingState;
use gruve_units::{Amount, ContractId, MachineId};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET /console/hosting`
pub(crate) async fn hosting(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
) -> Result<Markup, Failure> {
    let may = staff.role.may(Permission::RunHosting);
    let all = state.hosting().all_contracts().await?;
    let names = state.names(all.iter().map(|c| c.account)).await?;
    let machines = state.farm().inventory().await?;
    let serials: BTreeMap<MachineId, String> =
        machines.into_iter().map(|m| (m.machine, m.serial)).collect();
    let mut rows = Vec::new();
    for c in &all {
        let (end, back) = (
            format!("/console/hosting/{}/end", c.id),
            format!("/console/hosting/{}/withdraw", c.id),
        );
        rows.push(vec![
            html! { (names[&c.account]) },
            html! { a href={ "/console/hosting/" (c.id) } { (serials.get(&c.machine).map_or_else(|| c.machine.to_string(), String::clone)) } },
            html! { (t(c.terms.kind.name())) ", " (c.terms.scheme.name()) },
            html! { (t(c.state.name())) },
            html! { @match c.from { Some(e) => (e), None => "–" } " – " @match c.until { Some(e) => (e), None => "–" } },
            amount(Amount::new(c.terms.asset, c.arrears)),
            html! { @if may {
                @if matches!(c.state, HostingState::Offered | HostingState::Ordered) { (button(&visitor, &back, "Take back", &[])) }
                @if c.state == HostingState::Active && c.ended.is_none() && c.until == c.term_end { (button(&visitor, &end, "End it", &[])) }
            } },
        ]);
    }
    let columns = ["Customer", "Machine", "Kind", "State", "Epochs", ">Owes", "Action"];
    let content = html! {
        (sheet("hosting", "Hosting contracts", &table("Hosting contracts", &columns, &rows)))
        @if may { (sheet("offer", "Offer a machine", &offer_form(&visitor))) }
    };
    Ok(frame(&visitor, staff, "Hosting", "Machines that customers own or lease.", &content))
}

fn offer_form(visitor: &Visitor) -> Markup {
    let kinds = [("sold", "Sold"), ("leased", "Leased")];
    let schemes = [("pplns", "PPLNS"), ("solo", "SOLO")];
    let sources = [("earnings", "Earnings"), ("balance", "Balance")];
    html! {
        form.stack method="post" action="/console/hosting" {
            (token(visitor))
            (field("offer", "serial", "Serial number", "Of a machine of the inventory."))
            (field("offer", "to", "To", "The account's name."))
            (choice("offer", "kind", "Kind", kinds.into_iter()))
            (choice("offer", "scheme", "Scheme", schemes.into_iter()))
            (choice("offer", "pay_from", "Bills are taken from", sources.into_iter()))
            (field("offer", "asset", "Bills are in", "As BTC."))
            (field("offer", "energy", "A kilowatt-hour", "As 0.00000100."))
            (field("offer", "fee", "A day of hosting", "As 0.00001."))
            (field("offer", "level", "Promised part of the time", "In basis points, as 9800; 0 promises nothing."))
            (field("offer", "price", "Paid at once", "0 for nothing; from the customer's balance."))
            (field("offer", "price_asset", "That is paid in", "As BTC."))
            button type="submit" { (t("Offer it")) }
        }
    }
}

/// What is offered.
#[derive(Deserialize)]
pub(crate) struct Offer {
    serial: String,
    to: String,
    kind: String,
    scheme: String,
    pay_from: String,
    asset: String,
    energy: String,
    fee: String,
    level: String,
    price: String,
    price_asset: String,
}

/// `POST /console/hosting`
pub(crate) async fn offer(
    State(state): State<AppState>,
    staff: Staff,
    Form(form): Form<Offer>,
) -> Result<Redirect, Failure> {
    let new = OfferMachine {
        kind: typed(&form.kind, "write sold or leased")?,
        scheme: typed(&form.scheme, "write pplns or solo")?,
        pay_from: typed(&form.pay_from, "write earnings or balance")?,
        asset: typed(&form.asset, "write what bills are in, as BTC")?,
        level: typed(&form.level, "write the level as 0 to 10000")?,
        price_asset: typed(&form.price_asset, "write what the price is in, as BTC")?,
        serial: form.serial,
        to: form.to,
        energy: figure(&form.energy)?,
        fee: figure(&form.fee)?,
        price: figure(&form.price)?,
    };
    state.offer_machine(staff, new).await?;
    Ok(Redirect::to("/console/hosting"))
}

/// `POST /console/hosting/{id}/withdraw`
pub(crate) async fn withdraw(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.take_offer_back(staff, id).await?;
    Ok(Redirect::to("/console/hosting"))
}

/// `POST /console/hosting/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.end_hosting(staff, id).await?;
    Ok(Redirect::to("/console/hosting"))
}
