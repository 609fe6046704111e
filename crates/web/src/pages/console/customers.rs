//! Customers, and what is theirs.

use super::{button, frame, more, sheet, table};
use crate::console::cursor;
use crate::deciding::may_sign_out;
use crate::extract::{Id, Params, Staff};
use crate::failure::Failure;
use crate::money::{amount, percent, rate, time};
use crate::pages::payouts::payout_table;
use crate::state::AppState;
use crate::view::{contract_stands, invoice_state};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{CustomerRow, Permission};
use gruve_treasury::Invoice;
use gruve_units::{AccountId, ContractId, InvoiceId, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

/// Rows of a page.
const SHOWN: u32 = 100;

/// A page is full when it has this many rows.
const FULL: usize = SHOWN as usize;

/// Lines of an account's log on its page.
const LOG_SHOWN: u32 = 20;

/// Where a page begins.
#[derive(Default, Deserialize)]
pub(crate) struct Place {
    after: Option<String>,
    before: Option<String>,
}

/// `GET /console/customers`
pub(crate) async fn customers(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let all = state.accounts().customers(cursor(q.after.as_deref()), SHOWN).await?;
    let row = |c: &CustomerRow| {
        let name = html! { a href={ "/console/customers/" (c.account) } { (c.name) } };
        let role = html! { @match c.role { Some(r) => (t(r.name())), None => "–" } };
        vec![name, html! { (c.email) }, time(c.created), role]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let next = all.last().filter(|_| all.len() == FULL).map(|c| c.account.to_string());
    let columns = ["Name", "E-mail", "Opened", "Role"];
    let lost = state.accounts().lost_factors().await?;
    let lost: Vec<_> = lost
        .iter()
        .map(|(l, name)| {
            let name = html! { a href={ "/console/customers/" (l.account) } { (name) } };
            vec![name, time(l.asked), time(l.due)]
        })
        .collect();
    let content = html! {
        @if !lost.is_empty() {
            (sheet("lost", "Second factors said to be lost", &table("Second factors said to be lost",
                &["Name", "Since", "Taken off"], &lost)))
        }
        (sheet("customers", "Accounts", &table("Accounts", &columns, &rows)))
        (more("/console/customers?after=", next))
    };
    Ok(frame(&visitor, staff, "Customers", "In the order in which they came.", &content))
}

/// `GET /console/customers/{id}`
pub(crate) async fn customer(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Id(id): Id<AccountId>,
) -> Result<Markup, Failure> {
    let c = state.customer_row(id).await?;
    let balances = state.balances(id).await?;
    let balances: Vec<_> = balances
        .iter()
        .map(|b| vec![html! { (b.asset) }, amount(b.available), amount(b.held), amount(b.maturing)])
        .collect();
    let contracts = state.market().contracts(id).await?;
    let contracts: Vec<_> = contracts
        .iter()
        .map(|c| {
            vec![
                time(c.created),
                html! { (c.title) },
                rate(c.hashrate),
                amount(c.price),
                contract_stands(c.state, c.life.frozen_since).tag(),
                html! { (percent(c.delivered.0, c.bought.0)) },
            ]
        })
        .collect();
    let invoices = state.treasury().invoices(id).await?;
    let payments = state.treasury().payments(id).await?;
    let may_refund = staff.role.may(Permission::PlacePayIns);
    let payouts = state.treasury().payouts(id).await?;
    let log = state.accounts().audit_log(id, LOG_SHOWN).await?;
    let log: Vec<_> = log
        .iter()
        .map(|l| vec![time(l.at), html! { code { (l.action) } }, html! { code { (l.detail) } }])
        .collect();
    let out = format!("/console/customers/{id}/sign-out");
    let lost = state.accounts().lost_factor(id).await?;
    let keep = format!("/console/customers/{id}/keep-factor");
    let content = html! {
        (sheet("who", "Account", &html! {
            dl.pairs {
                dt { (t("Id")) } dd { code { (id) } }
                dt { (t("E-mail")) } dd { (c.email) }
                dt { (t("Opened")) } dd { (time(c.created)) }
                dt { (t("Role")) } dd { @match c.role { Some(r) => (t(r.name())), None => (t("customer")) } }
            }
            @match lost {
                Some(l) if l.done.is_none() => {
                    p.note { (say!("The second factor is said to be lost, and is taken off {due}. Nothing is paid out before {free}.", due = time(l.due), free = time(l.free))) }
                    @if staff.role.may(Permission::EndSessions) { (button(&visitor, &keep, "Keep the factor", &[])) }
                }
                Some(l) => p.note { (say!("A lost second factor was taken off. Nothing is paid out before {free}.", free = time(l.free))) },
                None => {}
            }
            @if may_sign_out(staff, &c) { (button(&visitor, &out, "Sign out everywhere", &[])) }
        }))
        (sheet("balances", "Balances", &table("Balances", &["Asset", ">Available", ">Held", ">Maturing"], &balances)))
        (sheet("contracts", "Contracts", &table("Contracts",
            &["Bought", "Plan", ">Hashrate", ">Price", "State", ">Delivered"], &contracts)))
        (sheet("invoices", "Invoices", &table("Invoices", &INVOICE_COLUMNS[1..], &invoices.iter().map(|i| invoice_row(i, None)).collect::<Vec<_>>())))
        (sheet("payments", "Payments by other methods", &super::payins::payments(&visitor, may_refund, &payments)))
        (sheet("payouts", "Payouts", &own_links_removed(&payouts, state.now())))
        (sheet("log", "Security log", &table("Log", &["When", "What", "More"], &log)))
    };
    Ok(frame(&visitor, staff, &c.name, "All that the house has of this customer.", &content))
}

/// The customer's own list, without links to pages that only the customer may see.
fn own_links_removed(payouts: &[gruve_treasury::Payout], now: Timestamp) -> Markup {
    if payouts.is_empty() {
        return payout_table(payouts, now);
    }
    let rows: Vec<_> = payouts
        .iter()
        .map(|p| {
            let state = crate::view::payout_state(p.state).tag();
            let to = html! { code { (p.address) } (super::money::held(p, now)) };
            vec![time(p.created), amount(p.amount), to, state]
        })
        .collect();
    table("Payouts", &["Requested", ">Amount", "To", "State"], &rows)
}

const INVOICE_COLUMNS: [&str; 6] = ["Customer", "Made", ">Due", ">Received", "State", "Address"];

fn invoice_row(i: &Invoice, who: Option<&str>) -> Vec<Markup> {
    let mut row = vec![
        time(i.created),
        amount(i.amount),
        amount(i.received),
        invoice_state(i.state).tag(),
        html! { code { (i.address) } },
    ];
    if let Some(name) = who {
        row.insert(0, html! { a href={ "/console/customers/" (i.account) } { (name) } });
    }
    row
}

/// `POST /console/customers/{id}/sign-out`
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<AccountId>,
) -> Result<Redirect, Failure> {
    state.sign_customer_out(staff, id).await?;
    Ok(Redirect::to(&format!("/console/customers/{id}")))
}

/// `POST /console/customers/{id}/keep-factor`: the second factor is not taken off.
pub(crate) async fn keep_factor(
    State(state): State<AppState>,
    staff: Staff,
    Id(id): Id<AccountId>,
) -> Result<Redirect, Failure> {
    state.keep_customers_factor(staff, id).await?;
    Ok(Redirect::to(&format!("/console/customers/{id}")))
}

/// `GET /console/contracts`
pub(crate) async fn contracts(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let before: Option<ContractId> = cursor(q.before.as_deref());
    let all = state.market().latest_contracts(before, SHOWN).await?;
    let names = state.names(all.iter().map(|c| c.account)).await?;
    let rows: Vec<_> = all
        .iter()
        .map(|c| {
            vec![
                time(c.created),
                html! { a href={ "/console/customers/" (c.account) } { (names[&c.account]) } },
                html! { (c.title) },
                html! { (c.lane) },
                rate(c.hashrate),
                amount(c.price),
                contract_stands(c.state, c.frozen_since).tag(),
                html! { (percent(c.delivered.0, c.bought.0)) },
            ]
        })
        .collect();
    let next = all.last().filter(|_| all.len() == FULL).map(|c| c.id.to_string());
    let columns =
        ["Bought", "Customer", "Plan", "Lane", ">Hashrate", ">Price", "State", ">Delivered"];
    let content = html! {
        (sheet("contracts", "Contracts", &table("Contracts, newest first", &columns, &rows)))
        (more("/console/contracts?before=", next))
    };
    Ok(frame(&visitor, staff, "Contracts", "All that were sold, newest first.", &content))
}

/// `GET /console/invoices`
pub(crate) async fn invoices(
    State(state): State<AppState>,
    visitor: Visitor,
    staff: Staff,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let before: Option<InvoiceId> = cursor(q.before.as_deref());
    let all = state.treasury().latest_invoices(before, SHOWN).await?;
    let names = state.names(all.iter().map(|i| i.account)).await?;
    let rows: Vec<_> = all.iter().map(|i| invoice_row(i, Some(&names[&i.account]))).collect();
    let next = all.last().filter(|_| all.len() == FULL).map(|i| i.id.to_string());
    let content = html! {
        (sheet("invoices", "Invoices", &table("Invoices, newest first", &INVOICE_COLUMNS, &rows)))
        (more("/console/invoices?before=", next))
    };
    Ok(frame(&visitor, staff, "Invoices", "All of them, newest first.", &content))
}
