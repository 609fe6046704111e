//! Machines on sale: side by side, and ordered without asking anybody.

use crate::client::Client;
use crate::extract::{Customer, Form, Id, Params};
use crate::failure::Failure;
use crate::hosted::{Again, Asker, HostedOffer, hosting_failure};
use crate::layout::{cell, page, token};
use crate::machine_sale::Placed;
use crate::money::{amount, rate, span_text};
use crate::pages::estimate;
use crate::pages::plans::risk;
use crate::pages::security::proof;
use crate::pages::track::in_a_line;
use crate::routes::{Access, Routes};
use crate::state::AppState;
use crate::view::{basis_points, rule_of};
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::Factors;
use gruve_hosting::STOCK_COUNTED_MAX;
use gruve_market::{Ask, HostedConfig, Ownership, PaysFrom, Plan};
use gruve_units::{Amount, Asset, ContractId};
use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Plans whose record is looked up for the table; of more there is the link alone.
const TRACKED_MAX: usize = 30;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::{Customer, CustomerForm, Public};
    routes
        .get("/hosted", Public, compare)
        .get("/hosted/{name}", Customer, choose)
        .post("/hosted/{name}", CustomerForm, order)
        .get("/machines/{id}/terms.json", Customer, terms_json)
        .get("/machines/{id}/statement.json", Customer, statement_json)
}

/// `GET /hosted`
async fn compare(State(state): State<AppState>, visitor: Visitor) -> Result<Markup, Failure> {
    let all = state.hosted_offers().await?;
    let mut records = BTreeMap::new();
    for o in all.iter().take(TRACKED_MAX) {
        match in_a_line(&state, &o.plan.id).await {
            Ok(said) => drop(records.insert(o.plan.id.clone(), said)),
            // Withdrawn in this very moment: its row is shown once more, without a record.
            Err(f) if f.status.is_client_error() => {}
            Err(f) => return Err(f),
        }
    }
    let content = html! {
        div.lead {
            h1 { (t("Machines of your own")) }
            p { (t("A machine that is yours, or yours to use, and stands in the operator's site. What its work earns is yours, less the fee on earnings; electricity and hosting are billed to you.")) }
        }
        section.sheet aria-label=(t("Machines on sale")) {
            @if all.is_empty() { p.empty { (t("No machines are on sale at the moment.")) } } @else { (table(&all, &records)) }
        }
        (risk(all.iter().map(|o| &o.plan)))
    };
    Ok(page(&visitor, t("Machines of your own"), true, &content))
}

fn bills_in(p: &Plan, h: &HostedConfig) -> Asset {
    h.bill_asset.unwrap_or(p.asset)
}

fn money(asset: Asset, minor: u64) -> Markup {
    amount(Amount::new(asset, i64::try_from(minor).unwrap_or(i64::MAX)))
}

/// What a day costs at the nameplate: its electricity and the fee.
fn a_day(p: &Plan, h: &HostedConfig, watts: u32) -> Markup {
    let energy = u128::from(h.energy_minor_per_kwh) * u128::from(watts) * 24 / 1_000;
    let sum = energy.saturating_add(h.fee_minor_per_day.into());
    money(bills_in(p, h), u64::try_from(sum).unwrap_or(u64::MAX))
}

fn term(p: &Plan, h: &HostedConfig) -> Markup {
    let epochs = u32::try_from(h.term_epochs).unwrap_or(u32::MAX);
    html! {
        @if h.term_epochs == 0 { (t("without end")) }
        @else { (span_text(rule_of(p.epoch_us).length().saturating_mul(epochs))) }
    }
}

fn in_stock(n: u32) -> Markup {
    html! { (n) @if n >= STOCK_COUNTED_MAX { "+" } }
}

fn ownership(h: &HostedConfig) -> &'static str {
    match h.ownership {
        Ownership::Sold => "sold",
        Ownership::Leased => "leased",
    }
}

fn record_link(p: &Plan, record: Option<&Markup>) -> Markup {
    html! { a href={ "/plans/" (crate::gate::percent_encoded(&p.id)) "/record" } {
    @match record { Some(r) => (r), None => (t("Track record and reviews")) } } }
}

fn table(all: &[HostedOffer], records: &BTreeMap<String, Markup>) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { (t("Plan")) } th scope="col" { (t("Machine")) } th.r scope="col" { (t("Price")) }
                th.r scope="col" { (t("Nameplate")) } th.r scope="col" { (t("A kilowatt-hour")) } th.r scope="col" { (t("A day of hosting")) }
                th.r scope="col" { (t("A day at the nameplate")) } th.r scope="col" { (t("Fee on earnings")) } th.r scope="col" { (t("Promised to be up")) }
                th scope="col" { (t("Term")) } th scope="col" { (t("Track record")) } th.r scope="col" { (t("In stock")) }
            } }
            tbody { @for o in all { @if let Some(h) = &o.plan.hosted { (row(o, h, records.get(&o.plan.id))) } } }
        }
    }
}

fn row(o: &HostedOffer, h: &HostedConfig, record: Option<&Markup>) -> Markup {
    let (p, asset) = (&o.plan, bills_in(&o.plan, h));
    html! { tr {
        (cell!("Plan", html! { a href={ "/hosted/" (crate::gate::percent_encoded(&p.id)) } { (p.title) } }))
        (cell!("Machine", html! { (h.model) ", " (t(ownership(h))) }))
        (cell!(r "Price", amount(p.price)))
        (cell!(r "Nameplate", html! { @match &o.machine { Some(m) => { (rate(m.nameplate)) ", " (m.watts) " W" }, None => "–" } }))
        (cell!(r "A kilowatt-hour", money(asset, h.energy_minor_per_kwh)))
        (cell!(r "A day of hosting", money(asset, h.fee_minor_per_day)))
        (cell!(r "A day at the nameplate", html! { @match &o.machine { Some(m) => (a_day(p, h, m.watts)), None => "–" } }))
        (cell!(r "Fee on earnings", basis_points(p.fee_bps)))
        (cell!(r "Promised to be up", basis_points(h.level_bps)))
        (cell!("Term", term(p, h)))
        (cell!("Track record", record_link(p, record)))
        (cell!(r "In stock", in_stock(o.in_stock)))
    } }
}

/// `GET /hosted/{name}`
async fn choose(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Id(name): Id<String>,
    Params(over): Params<Over>,
) -> Result<Markup, Failure> {
    let factors = state.accounts().factors(customer.account).await?;
    let ahead = ahead(&state, &name, over.days, from.address).await?;
    page_with(&state, &visitor, &name, factors, None, &ahead).await
}

/// Over how many days one looks ahead.
#[derive(Deserialize)]
struct Over {
    days: Option<u32>,
}

/// What the machine costs and may earn over some days, electricity and hosting included.
async fn ahead(
    state: &AppState,
    name: &str,
    days: Option<u32>,
    from: Option<IpAddr>,
) -> Result<Markup, Failure> {
    let o = state.hosted_offer(name).await?;
    let days = days.unwrap_or(estimate::DAYS_USUAL);
    let Some(m) = &o.machine else { return Ok(html! {}) };
    let asked = Ask::Machine(m.nameplate, m.watts, days);
    let sheet = estimate::sheet(state.estimate(&o.plan, asked, from).await)?;
    let to = format!("/hosted/{}", crate::gate::percent_encoded(&o.plan.id));
    Ok(html! {
        (sheet)
        section.sheet aria-labelledby="ahead-h" {
            header { h2 #ahead-h { (t("Looking ahead")) } }
            form.stack method="get" action=(to) data-estimate=(to) data-fields="days" {
                (estimate::days_field(days))
                div.actions { (estimate::recompute(&to)) }
            }
            p.small.soft { (t("At its nameplate, all the time. Electricity and hosting at today's prices.")) }
        }
    })
}

async fn choose_page(
    state: &AppState,
    visitor: &Visitor,
    name: &str,
    factors: Factors,
    error: Option<&str>,
) -> Result<Markup, Failure> {
    let ahead = ahead(state, name, None, None).await?;
    page_with(state, visitor, name, factors, error, &ahead).await
}

async fn page_with(
    state: &AppState,
    visitor: &Visitor,
    name: &str,
    factors: Factors,
    error: Option<&str>,
    ahead: &Markup,
) -> Result<Markup, Failure> {
    let o = state.hosted_offer(name).await?;
    let h = o.plan.hosted.as_ref().ok_or_else(|| Failure::not_found("plan"))?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/hosted" { (t("Machines of your own")) } }
            h1 { (o.plan.title) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        div.two {
            section.sheet aria-labelledby="order-h" {
                header { h2 #order-h { (t("Order")) } }
                @if o.in_stock == 0 { p { span.tag.warn { (t("Sold out")) } } } @else { (order_form(state, visitor, &o.plan, factors)) }
            }
            section.sheet aria-labelledby="terms-h" {
                header { h2 #terms-h { (t("Terms")) } }
                (terms(&o, h))
            }
            (ahead)
        }
        (risk([&o.plan]))
    };
    Ok(page(visitor, &o.plan.title, true, &content))
}

fn order_form(state: &AppState, visitor: &Visitor, p: &Plan, factors: Factors) -> Markup {
    let to = format!("/hosted/{}", crate::gate::percent_encoded(&p.id));
    html! {
        p { (say!("{price} is taken from your balance at once. A machine of the model is then assigned to you, and is yours from an epoch about to begin; the certificate names it.", price = html! { strong { (amount(p.price)) } })) }
        form.stack method="post" action=(to) {
            (token(visitor))
            input type="hidden" name="version" value=(p.version);
            input type="hidden" name="once" value=(state.fresh_key());
            @if p.price.minor > 0 { (proof("order", factors)) }
            div.actions {
                button type="submit" { (t("Order it")) }
                @if p.price.minor > 0 { button.quiet type="submit" name="pay" value="invoice" formnovalidate { (t("Pay by invoice")) } }
            }
            @if p.price.minor > 0 { p.small.soft { (t("By invoice a machine waits for you until it is paid, by any way of paying; neither password nor code are needed. If it has gone by then, what you paid is in your balance.")) } }
            p.small.soft { (say!("Too little in your balance? {link}", link = html! { a href="/top-up" { (t("Pay in")) } })) }
        }
    }
}

fn terms(o: &HostedOffer, h: &HostedConfig) -> Markup {
    let (p, asset) = (&o.plan, bills_in(&o.plan, h));
    html! {
        dl.pairs {
            dt { (t("Machine")) } dd { (h.model) ", " (t(ownership(h))) @if let Some(m) = &o.machine { p { (rate(m.nameplate)) ", " (m.watts) " W" } } }
            dt { (t("Lane")) } dd { (p.lane) }
            dt { (t("Price")) } dd { (amount(p.price)) }
            dt { (t("Scheme")) } dd { (p.scheme.name()) }
            dt { (t("A kilowatt-hour")) } dd { (money(asset, h.energy_minor_per_kwh)) }
            dt { (t("A day of hosting")) } dd { (money(asset, h.fee_minor_per_day)) }
            @if let Some(m) = &o.machine { dt { (t("A day at the nameplate")) } dd { (a_day(p, h, m.watts)) } }
            dt { (t("Fee on earnings")) } dd { (basis_points(p.fee_bps)) }
            dt { (t("Promised to be up")) } dd { (basis_points(h.level_bps)) }
            dt { (t("Bills are taken")) } dd { @match h.pays_from {
                PaysFrom::Earnings => (t("from what it earns; what that does not cover is waived")),
                PaysFrom::Balance => (t("from your balance; what that does not cover is owed")),
            } }
            dt { (t("Term")) } dd { (term(p, h)) }
            @if p.life.minimum_payout_minor > 0 {
                dt { (t("Minimum payout")) } dd { (say!("to your payout address once {minimum} wait", minimum = money(p.asset, p.life.minimum_payout_minor))) }
            }
            dt { (t("In stock")) } dd { (in_stock(o.in_stock)) }
            dt { (t("Track record")) } dd { (record_link(p, None)) }
        }
    }
}

/// What is ordered: the version that was seen; the key makes it happen once.
#[derive(Deserialize)]
struct OrderForm {
    version: u32,
    once: String,
    #[serde(default)]
    pay: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /hosted/{name}`
async fn order(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Id(name): Id<String>,
    Form(form): Form<OrderForm>,
) -> Result<Response, Failure> {
    let key = crate::api::idempotency_key(Some(&form.once))?;
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let plan = (name.as_str(), form.version);
    let placed = if form.pay == "invoice" {
        state.reserve_hosted(&asker, plan, key).await
    } else {
        state.order_hosted(&asker, plan, key).await
    };
    match placed {
        Ok(Placed { invoice: Some(invoice), .. }) => {
            Ok(Redirect::to(&format!("/invoices/{invoice}")).into_response())
        }
        Ok(o) => Ok(Redirect::to(&format!("/machines/{}", o.contract)).into_response()),
        Err(f) if f.status.is_client_error() && f.status != StatusCode::NOT_FOUND => {
            let factors = state.accounts().factors(customer.account).await?;
            let body = choose_page(&state, &visitor, &name, factors, Some(&f.detail)).await?;
            Ok((f.status, body).into_response())
        }
        Err(f) => Err(f),
    }
}

/// From which bill on.
#[derive(Deserialize)]
struct FromBill {
    #[serde(default)]
    from: Option<u32>,
}

fn file<T: serde::Serialize>(name: &str, body: &T) -> Result<Response, Failure> {
    let body = serde_json::to_string(body).map_err(|e| Failure::fault(&e))?;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.json\"")),
    ];
    Ok((headers, body).into_response())
}

/// `GET /machines/{id}/terms.json`
async fn terms_json(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let c = state.own_hosting(customer.account, id).await?;
    let signed = state.hosting().signed_terms(&c).map_err(|e| hosting_failure(&e))?;
    file(&format!("hosting-terms-{id}"), &signed)
}

/// `GET /machines/{id}/statement.json?from=`
async fn statement_json(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Query(of): Query<FromBill>,
) -> Result<Response, Failure> {
    let statement = state.hosting_statement(customer.account, id, of.from).await?;
    file(&format!("hosting-statement-{id}"), &statement)
}
