//! One machine, and one hosting contract, as the operator sees them.

use super::{frame, sheet, table};
use crate::extract::{Id, Staff};
use crate::failure::Failure;
use crate::hosted::{farm_failure, hosting_failure};
use crate::money::{amount, time};
use crate::pages::machines::{bill_table, electricity, now};
use crate::state::AppState;
use crate::view::basis_points;
use crate::visitor::Visitor;
use axum::extract::State;
use gruve_farm::{MachineOwner, Speaker};
use gruve_hosting::honesty::Verdict;
use gruve_hosting::{BILLS_MAX, Contract};
use gruve_units::{AccountId, Amount, ContractId};
use maud::{Markup, html};
use std::collections::BTreeMap;

fn whose(owner: MachineOwner, names: &BTreeMap<AccountId, String>) -> Markup {
    html! { @match owner {
        MachineOwner::House => "the house",
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
                html! { (c.terms.kind.name()) },
                html! { (c.state.name()) },
            ]
        })
        .collect();
    let talked: Vec<_> = tickets
        .iter()
        .map(|t| {
            let closed = html! { @match t.closed_at { Some(at) => (time(at)), None => "open" } };
            vec![
                html! { a href={ "/console/tickets/" (t.id) } { (t.title) } },
                time(t.opened_at),
                closed,
            ]
        })
        .collect();
    let happened: Vec<_> =
        history.iter().rev().map(|(at, what)| vec![time(*at), html! { (what) }]).collect();
    let content = html! {
        @if m.verdict == Verdict::ClaimsTooMuch {
            p.message.bad role="alert" { "It claims more than its shares prove." }
        }
        (sheet("now", "Now", &now(&m)))
        (sheet("energy", "Electricity of the last day of epochs", &electricity(&m.footprint, &state.powers().await?)))
        (sheet("owners", "Owners", &table("Owners", &["From epoch", "Whose", "Written"], &owned)))
        (sheet("contracts", "Hosting contracts",
            &table("Hosting contracts", &["Contract", "Customer", "Kind", "State"], &of_contracts)))
        (sheet("tickets", "Tickets", &table("Tickets", &["About", "Opened", "Closed"], &talked)))
        (sheet("history", "History", &table("History, newest first", &["When", "What"], &happened)))
    };
    let t = &m.thing;
    let lead = format!(
        "{}, {} {}, lane {}, {} and {} W by its maker, {}.",
        t.model,
        t.site_name,
        t.rack,
        t.lane,
        t.nameplate,
        t.watts,
        t.state.name()
    );
    Ok(frame(&visitor, staff, &t.serial, &lead, &content))
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
    let lead = format!("{} of {}, {}.", c.terms.kind.name(), names[&c.account], c.state.name());
    Ok(frame(&visitor, staff, &m.thing.serial, &lead, &content))
}

fn agreed(c: &Contract) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    html! {
        dl.pairs {
            dt { "Machine" } dd { code { (c.machine) } ", lane " (c.lane) }
            dt { "Kind" } dd { (c.terms.kind.name()) ", " (c.terms.scheme.name()) }
            dt { "Paid at once" } dd { (amount(c.price)) }
            dt { "A kilowatt-hour" } dd { (of(c.terms.energy_minor_per_kwh)) }
            dt { "A day of hosting" } dd { (of(c.terms.fee_minor_per_day)) }
            dt { "Promised to be up" } dd { (basis_points(c.terms.level)) }
            dt { "Bills are taken from" } dd { (c.terms.pay_from.name()) }
            @if let Some(from) = c.from { dt { "From epoch" } dd { (from) } }
            @if let Some(until) = c.until { dt { "Until epoch" } dd { (until) } }
            dt { "Owed" } dd { (of(c.arrears)) }
            dt { "Terms (SHA-256)" } dd { code { (hex::encode(c.terms_hash)) } }
        }
    }
}
