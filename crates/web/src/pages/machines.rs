//! Hosted machines: the list, and one of them.

use crate::api::machines::price_of;
use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::hosted::hosting_failure;
use crate::layout::{Field, cell, page, token};
use crate::money::{amount, grouped, percent, rate, span_text, time};
use crate::pages::tickets::{ticket_form, ticket_table};
use crate::state::AppState;
use crate::view::basis_points;
use crate::visitor::Visitor;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_farm::SitePower;
use gruve_hosting::footprint::Footprint;
use gruve_hosting::honesty::{TOLERANCE_PERCENT, Verdict};
use gruve_hosting::{Bill, Contract, HostedMachine, HostingState, PayFrom};
use gruve_units::{Amount, ContractId, Duration, Hashes, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

/// Bills on the page; the API gives more.
const BILLS_SHOWN: u32 = 30;

/// `GET /machines`
pub(crate) async fn machines(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let all = state.hosting().contracts(customer.account).await;
    let all = all.map_err(|e| hosting_failure(&e))?;
    let content = html! {
        div.lead {
            h1 { "Hosted machines" }
            p { "Machines of your own that stand in the operator's sites: what they find is yours, whole." }
        }
        section.sheet aria-label="Machines" {
            @if all.is_empty() {
                p.empty { "You have no machine here. The operator offers machines to accounts by name." }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { "Contract" } th scope="col" { "Lane" }
                        th scope="col" { "Kind" } th scope="col" { "State" } } }
                    tbody { @for c in &all { tr {
                        (cell!("Contract", html! { a href={ "/machines/" (c.id) } { (time(c.offered_at)) } }))
                        (cell!("Lane", c.lane))
                        (cell!("Kind", c.terms.kind.name()))
                        (cell!("State", html! { span.tag { (state_text(c)) } }))
                    } } }
                }
            }
        }
    };
    Ok(page(&visitor, "Hosted machines", false, &content))
}

fn state_text(c: &Contract) -> &'static str {
    match (c.state, c.until) {
        (HostingState::Offered, _) => "Offered",
        (HostingState::Active, None) => "Yours",
        (HostingState::Active, Some(_)) => "Ending",
        (HostingState::Closing, _) => "Over; late energy is still billed",
        (HostingState::Ended, _) => "Ended",
        (HostingState::Withdrawn, _) => "Withdrawn",
    }
}

/// `GET /machines/{id}`
pub(crate) async fn machine(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Markup, Failure> {
    let (c, m) = state.hosted(customer.account, id).await?;
    let bills = state.hosting().bills(id, BILLS_SHOWN).await.map_err(|e| hosting_failure(&e))?;
    let tickets = state.tickets_of(customer.account, &c).await?;
    let powers = state.powers().await?;
    let title = format!("{} {}", m.thing.model, m.thing.serial);
    let content = html! {
        div.lead {
            p.crumbs { a href="/machines" { "Hosted machines" } }
            h1 { (title) }
        }
        @if c.state == HostingState::Offered { (offer(&visitor, &c)) }
        section.sheet #figures data-live="figures" aria-labelledby="figures-h" {
            header { h2 #figures-h { "Now" } span.tag { (state_text(&c)) } }
            @if m.verdict == Verdict::ClaimsTooMuch {
                p.message.bad role="alert" {
                    "This machine claims more than its shares prove. The chance that an honest machine looks so is \
                     below one in a thousand million."
                }
            }
            (now(&m))
        }
        section.sheet aria-labelledby="energy-h" {
            header { h2 #energy-h { "Electricity" } span.soft.small { "the last day of epochs, as measured" } }
            (electricity(&m.footprint, &powers))
        }
        section.sheet aria-labelledby="bills-h" {
            header { h2 #bills-h { "Bills" } span.soft.small { "newest first" } }
            (bill_table(&c, &bills))
        }
        section.sheet aria-labelledby="tickets-h" {
            header { h2 #tickets-h { "Tickets" } }
            (ticket_table(&tickets))
            @if c.state == HostingState::Active { (ticket_form(&visitor, id)) }
        }
        @if c.state == HostingState::Active { (wishes(&visitor, &c, state.now())) }
        section.sheet aria-labelledby="terms-h" {
            header { h2 #terms-h { "What is agreed" } }
            (terms(&c, &m))
        }
    };
    Ok(page(&visitor, &title, true, &content))
}

fn offer(visitor: &Visitor, c: &Contract) -> Markup {
    html! {
        section.sheet.narrow aria-label="Offer" {
            p { "This machine is offered to you for " strong { (amount(c.price)) }
                ", on the terms below. The price is taken from your balance; the machine is yours from an epoch \
                 about to begin." }
            form method="post" action={ "/machines/" (c.id) "/accept" } {
                (token(visitor)) button type="submit" { "Accept" }
            }
            form method="post" action={ "/machines/" (c.id) "/refuse" } {
                (token(visitor)) button.quiet type="submit" { "Refuse" }
            }
        }
    }
}

pub(crate) fn now(m: &HostedMachine) -> Markup {
    let (proven, low, high) = m.proven_rate();
    html! {
        dl.figures {
            div { dt { "Claimed by the machine" } dd { (rate(m.claimed_rate()))
                small { "nameplate " (rate(m.thing.nameplate)) } } }
            div { dt { "Proven by its shares" } dd {
                @if m.proof.shares == 0 { "nothing yet" } @else {
                    (rate(proven))
                    small { "between " (rate(low)) " and " (rate(high)) ", 95 in 100; " (m.proof.shares) " shares" }
                } } }
            div { dt { "Up" } dd { (percent(u128::from(m.span.up_us), u128::from(m.span.span_us)))
                small { "of " (span_text(Duration::from_micros(m.span.span_us))) } } }
            @match &m.reading {
                None => { div { dt { "Telemetry" } dd { "none yet" } } },
                Some(r) => {
                    div { dt { "Power" } dd { @match r.watts { Some(w) => { (w) " W" }, None => "not said" }
                        small { "nameplate " (m.thing.watts) " W" } } }
                    div { dt { "Temperature" } dd { @match r.temperature_c {
                        Some(t) => { (t) " °C" }, None => "not said" } } }
                    div { dt { "Fans" } dd { @if r.fans_rpm.is_empty() { "not said" } @else {
                        @for (n, f) in r.fans_rpm.iter().enumerate() { @if n > 0 { " · " } (f) } " rpm" } } }
                    div { dt { "Running for" } dd { @match r.uptime_s {
                        Some(s) => (span_text(Duration::from_secs(s))), None => "not said" }
                        small { "began anew " (r.restarts) " times" } } }
                    div { dt { "Last heard of" } dd { (time(r.at))
                        @if let Some(f) = &r.fault { small { (f) } } } }
                },
            }
        }
        p.small.soft {
            "Claimed and proven are of the same epochs. A machine is flagged when its shares prove so much less than \
             its claim (less " (TOLERANCE_PERCENT) " %) that chance explains it less than once in 10⁹ looks."
        }
    }
}

/// Electricity in words, for leases and hosted machines alike.
pub(crate) fn electricity(f: &Footprint, powers: &[SitePower]) -> Markup {
    if f.covered == Hashes::ZERO && f.energy_uj == 0 {
        return html! { p.empty { "No measured power is known for this work." } };
    }
    html! {
        dl.figures {
            div { dt { "Energy" } dd { (kilowatt_hours(f.watt_hours())) } }
            @if let Some(mj) = f.millijoules_per_terahash() {
                div { dt { "For each terahash" } dd { (thousandths(mj)) " J" } }
            }
            div { dt { "CO₂, by the sites' stated factors" } dd { (thousandths(f.co2_mg / 1_000)) " kg"
                @if f.unstated_uj > 0 { small { "without sites that state none" } } } }
            @for (asset, minor) in &f.cost {
                div { dt { "What the operator pays for it" }
                    dd { (amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX)))) } }
            }
        }
        table.cards {
            caption.visually-hidden { "By site" }
            thead { tr { th scope="col" { "Site" } th.r scope="col" { "Energy" } th.r scope="col" { "A kWh costs" }
                th.r scope="col" { "CO₂ of a kWh" } th scope="col" { "By" } } }
            tbody { @for (site, uj) in &f.by_site { (site_row(*uj, powers.iter().find(|p| p.site == *site))) } }
        }
        @if f.uncovered > Hashes::ZERO {
            p.small.soft { "Of " (percent(f.covered.0, f.covered.0.saturating_add(f.uncovered.0)))
                " of this work the power was measured; the rest is not guessed." }
        }
    }
}

fn site_row(energy_uj: u128, stated: Option<&SitePower>) -> Markup {
    let energy = kilowatt_hours(energy_uj / 3_600_000_000);
    html! { tr {
        (cell!("Site", html! { @match stated { Some(p) => (p.name), None => "one that states nothing" } }))
        (cell!(r "Energy", energy))
        (cell!(r "A kWh costs", html! { @match stated {
            Some(p) => (amount(Amount::new(p.price_asset, p.price_minor_per_kwh))), None => "–" } }))
        (cell!(r "CO₂ of a kWh", html! { @match stated { Some(p) => { (p.co2_g_per_kwh) " g" }, None => "–" } }))
        (cell!("By", html! { @match stated { Some(p) => (p.source), None => "–" } }))
    } }
}

fn kilowatt_hours(watt_hours: u128) -> Markup {
    html! { (thousandths(watt_hours)) " kWh" }
}

/// A number of thousandths with three decimals.
fn thousandths(n: u128) -> String {
    format!("{}.{:03}", grouped(n / 1_000), n % 1_000)
}

pub(crate) fn bill_table(c: &Contract, bills: &[Bill]) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    html! {
        @if c.arrears > 0 { p.message.bad { "You owe " (of(c.arrears)) "; it is taken from your balance with the next bill." } }
        @if bills.is_empty() { p.empty { "No bill yet. Bills are written with settlements." } } @else {
            table.cards {
                thead { tr { th scope="col" { "Written" } th.r scope="col" { "kWh" } th.r scope="col" { "Energy" }
                    th.r scope="col" { "Hosting" } th.r scope="col" { "Up" } th.r scope="col" { "Credit" }
                    th.r scope="col" { "Paid" } th.r scope="col" { "Waived" } } }
                tbody { @for b in bills { tr {
                    (cell!("Written", time(b.at)))
                    (cell!(r "kWh", thousandths(u128::from(b.span.energy_uj / 3_600_000_000))))
                    (cell!(r "Energy", of(b.energy)))
                    (cell!(r "Hosting", of(b.fee)))
                    (cell!(r "Up", percent(u128::from(b.span.up_us), u128::from(b.span.span_us))))
                    (cell!(r "Credit", of(b.credit)))
                    (cell!(r "Paid", of(b.paid)))
                    (cell!(r "Waived", of(b.waived)))
                } } }
            }
        }
    }
}

fn wishes(visitor: &Visitor, c: &Contract, now: Timestamp) -> Markup {
    html! {
        section.sheet.narrow aria-labelledby="address-h" {
            header { h2 #address-h { "Payout address" } }
            p { @match c.address.at(now) { Some(a) => code { (a) }, None => "none set: what you earn stays in your balance" } }
            @if let Some((next, from)) = c.address.next.as_ref().filter(|(_, from)| *from > now) {
                p.note { "From " (time(*from)) ": " code { (next) } }
            }
            form.stack method="post" action={ "/machines/" (c.id) "/address" } {
                (token(visitor))
                (Field { id: "address", label: "Address", kind: "text", value: "",
                    hint: "A change counts after a day.", error: None, autocomplete: "off", inputmode: None }.draw())
                button.quiet type="submit" { "Set the address" }
            }
        }
        @if c.until.is_none() {
            section.sheet.narrow aria-labelledby="transfer-h" {
                header { h2 #transfer-h { "Hand it on" } }
                form.stack method="post" action={ "/machines/" (c.id) "/transfer" } {
                    (token(visitor))
                    (Field { id: "to", label: "Account", kind: "text", value: "",
                        hint: "The other must accept; until then you can take the offer back.", error: None,
                        autocomplete: "off", inputmode: None }.draw())
                    (Field { id: "price", label: "Price", kind: "text", value: "0",
                        hint: "In the asset of the bills; it goes to your balance.", error: None,
                        autocomplete: "off", inputmode: Some("decimal") }.draw())
                    button.quiet type="submit" { "Offer" }
                }
            }
        }
    }
}

fn terms(c: &Contract, m: &HostedMachine) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    html! {
        dl.pairs {
            dt { "Machine" } dd { (m.thing.model) ", serial number " (m.thing.serial) ", site " (m.thing.site_name)
                ", rack " (m.thing.rack) }
            dt { "Kind" } dd { (c.terms.kind.name()) ", " (c.terms.scheme.name()) }
            dt { "A kilowatt-hour" } dd { (of(c.terms.energy_minor_per_kwh)) }
            dt { "A day of hosting" } dd { (of(c.terms.fee_minor_per_day)) }
            dt { "Promised to be up" } dd { (basis_points(c.terms.level)) }
            dt { "Bills are taken" } dd { @match c.terms.pay_from {
                PayFrom::Earnings => "from what it earns; what that does not cover is waived",
                PayFrom::Balance => "from your balance; what that does not cover is owed",
            } }
            @if let Some(from) = c.from { dt { "Yours from epoch" } dd { (from) } }
            @if let Some(until) = c.until { dt { "Until epoch" } dd { (until) } }
            dt { "Terms (SHA-256)" } dd { code { (hex::encode(c.terms_hash)) } }
            @if c.accepted_at.is_some() {
                dt { "Certificate" } dd { a href={ "/machines/" (c.id) "/certificate" } { "Download" }
                    ", signed by the operator" }
            }
        }
    }
}

/// `GET /machines/{id}/certificate`
pub(crate) async fn certificate(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    state.own_hosting(customer.account, id).await?;
    let signed = state.hosting().certificate(id).await.map_err(|e| hosting_failure(&e))?;
    let body = serde_json::to_string_pretty(&signed).map_err(|e| Failure::fault(&e))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"certificate-{id}.json\"")),
    ];
    Ok((headers, body).into_response())
}

fn back(id: ContractId) -> Redirect {
    Redirect::to(&format!("/machines/{id}"))
}

/// `POST /machines/{id}/accept`
pub(crate) async fn accept(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.accept_hosting(customer.account, id).await?;
    Ok(back(id))
}

/// `POST /machines/{id}/refuse`
pub(crate) async fn refuse(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.withdraw_hosting(customer.account, id).await?;
    Ok(Redirect::to("/machines"))
}

/// The form of an address.
#[derive(Deserialize)]
pub(crate) struct NewAddress {
    address: String,
}

/// `POST /machines/{id}/address`
pub(crate) async fn address(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(form): Form<NewAddress>,
) -> Result<Redirect, Failure> {
    state.address_hosting(customer.account, id, form.address.trim()).await?;
    Ok(back(id))
}

/// The form of a transfer.
#[derive(Deserialize)]
pub(crate) struct Transfer {
    to: String,
    price: String,
}

/// `POST /machines/{id}/transfer`
pub(crate) async fn transfer(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(form): Form<Transfer>,
) -> Result<Redirect, Failure> {
    let c = state.own_hosting(customer.account, id).await?;
    let price = price_of(c.terms.asset.code(), form.price.trim())?;
    state.transfer_hosting(customer.account, id, form.to.trim(), price).await?;
    Ok(back(id))
}
