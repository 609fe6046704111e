//! One machine, and one hosting contract, as the operator sees them.

use super::{frame, sheet, table};
use crate::extract::{Id, Staff};
use crate::failure::Failure;
use crate::hosted::{farm_failure, hosting_failure};
use crate::money::{amount, rate_text, time};
use crate::pages::machines::{bill_table, earnings_fee, electricity, now};
use crate::state::AppState;
use crate::view::basis_points;
use crate::visitor::Visitor;
use crate::words::{heard, say, t, text};
use axum::extract::State;
use gruve_farm::{MachineOwner, Speaker};
use gruve_hosting::honesty::Verdict;
use gruve_hosting::{BILLS_MAX, Contract};
use gruve_units::{AccountId, Amount, ContractId};
use maud::{Markup, html};
use std::collections::BTreeMap;

fn whose(owner: MachineOwner, names: &BTreeMap<AccountId, String>) -> Markup {
    html! { @match owner {
        MachineOwner::House => (t("the house")),
        MachineOwner::Account(id) => (names.get(&id).map_or_else(|| id.to_string(), Clone::clone)),
    } }
}

/// `GET /console/machines/{name}`, by serial number.
pub(crate) async fn machine(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Id(serial): Id<String>,
) -> Result<Markup, Failure> {
    let machine = state.machine_of(&serial).await?;
    let m = state.hosting().machine(machine, None).await.map_err(|e| hosting_failure(&e))?;
    let history = state.farm().history(machine).await.map_err(|e| farm_failure(&e))?;
    let owners = state.farm().owners_of(machine).await.map_err(|e| farm_failure(&e))?;
    let contracts = state.hosting().contracts_of_machine(machine).await;
    let contracts = contracts.map_err(|e| hosting_failure(&e))?;
    let tickets = state.farm().tickets(machine, Speaker::Operator).await;
    let tickets = tickets.map_err(|e| farm_failure(&e))?;
    let accounts = owners.iter().filter_map(|(_, o, _)| match o {
        MachineOwner::House => None,
        MachineOwner::Account(id) => Some(*id),
    });
    let names = state.names(accounts.chain(contracts.iter().map(|c| c.account))).await?;
    let owned: Vec<_> = owners
        .iter()
        .map(|(from, who, at)| vec![html! { (from) }, whose(*who, &names), time(*at)])
        .collect();
    let of_contracts: Vec<_> = contracts
        .iter()
        .map(|c| {
            vec![
                html! { a href={ "/console/hosting/" (c.id) } { (c.id) } },
                html! { (names[&c.account]) },
                html! { (t(c.terms.kind.name())) },
                html! { (t(c.state.name())) },
            ]
        })
        .collect();
    let talked: Vec<_> = tickets
        .iter()
        .map(|ticket| {
            let closed =
                html! { @match ticket.closed_at { Some(at) => (time(at)), None => (t("open")) } };
            vec![
                html! { a href={ "/console/tickets/" (ticket.id) } { (ticket.title) } },
                time(ticket.opened_at),
                closed,
            ]
        })
        .collect();
    let happened: Vec<_> =
        history.iter().rev().map(|(at, what)| vec![time(*at), html! { (heard(what)) }]).collect();
    let content = html! {
        @if m.verdict == Verdict::ClaimsTooMuch {
            p.message.bad role="alert" { (t("It claims more than its shares prove.")) }
        }
        (sheet("now", "Now", &now(&m)))
        (sheet("energy", "Electricity of the last day of epochs", &electricity(&m.footprint, &state.powers().await?)))
        (sheet("owners", "Owners", &table("Owners", &["From epoch", "Whose", "Written"], &owned)))
        (sheet("contracts", "Hosting contracts",
            &table("Hosting contracts", &["Contract", "Customer", "Kind", "State"], &of_contracts)))
        (sheet("tickets", "Tickets", &table("Tickets", &["About", "Opened", "Closed"], &talked)))
        (sheet("history", "History", &table("History, newest first", &["When", "What"], &happened)))
    };
    let it = &m.thing;
    let lead = text!(
        "{model}, {site} {rack}, lane {lane}, {nameplate} and {watts} W by its maker, {state}.",
        model = it.model,
        site = it.site_name,
        rack = it.rack,
        lane = it.lane,
        nameplate = rate_text(it.nameplate),
        watts = it.watts,
        state = t(it.state.name())
    );
    Ok(frame(&visitor, staff, &it.serial, &lead, &content))
}

/// `GET /console/hosting/{id}`
pub(crate) async fn contract(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Id(id): Id<ContractId>,
) -> Result<Markup, Failure> {
    let hosting = state.hosting();
    let c = hosting.contract(None, id).await.map_err(|e| hosting_failure(&e))?;
    let m = hosting.machine(c.machine, Some(&c)).await.map_err(|e| hosting_failure(&e))?;
    let bills = hosting.bills(id, BILLS_MAX).await.map_err(|e| hosting_failure(&e))?;
    let names = state.names(std::iter::once(c.account)).await?;
    let content = html! {
        (sheet("agreed", "What is agreed", &agreed(&c)))
        (sheet("bills", "Bills, newest first", &bill_table(&c, &bills)))
    };
    let lead = text!(
        "{kind}, of {customer}: {state}.",
        kind = t(c.terms.kind.name()),
        customer = names[&c.account],
        state = t(c.state.name())
    );
    Ok(frame(&visitor, staff, &m.thing.serial, &lead, &content))
}

fn agreed(c: &Contract) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    html! {
        dl.pairs {
            dt { (t("Machine")) } dd { (say!("{code}, lane {lane}", code = html! { code { (c.machine) } }, lane = c.lane)) }
            dt { (t("Kind")) } dd { (t(c.terms.kind.name())) ", " (c.terms.scheme.name()) }
            dt { (t("Paid at once")) } dd { (amount(c.price)) }
            dt { (t("A kilowatt-hour")) } dd { (of(c.terms.energy_minor_per_kwh)) }
            dt { (t("A day of hosting")) } dd { (of(c.terms.fee_minor_per_day)) }
            dt { (t("Fee on earnings")) } dd { (earnings_fee(c)) }
            dt { (t("Promised to be up")) } dd { (basis_points(c.terms.level)) }
            dt { (t("Bills are taken from")) } dd { (t(c.terms.pay_from.name())) }
            @if let Some(from) = c.from { dt { (t("From epoch")) } dd { (from) } }
            @if let Some(until) = c.until { dt { (t("Until epoch")) } dd { (until) } }
            dt { (t("Owed")) } dd { (of(c.arrears)) }
            dt { (t("Terms (SHA-256)")) } dd { code { (hex::encode(c.terms_hash)) } }
        }
    }
}
