//! Hosted machines: the list, and one of them.

use crate::api::machines::price_of;
use crate::client::Client;
use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::hosted::in_block::partners;
use crate::hosted::{Again, Asker, farm_failure, hosting_failure};
use crate::layout::{Field, cell, page, token};
use crate::money::{amount, local, percent, rate, span_text, time};
use crate::pages::in_block;
use crate::pages::own_earnings;
use crate::pages::security::proof;
use crate::pages::tickets::{ticket_form, ticket_table};
use crate::state::AppState;
use crate::view::basis_points;
use crate::visitor::Visitor;
use crate::words::{counted, say, t};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::Factors;
use gruve_farm::{MachineOwner, SitePower};
use gruve_hosting::footprint::Footprint;
use gruve_hosting::honesty::{TOLERANCE_PERCENT, Verdict};
use gruve_hosting::{Bill, Contract, EndedBy, HostedMachine, HostingState, PayFrom, Scheme};
use gruve_units::{Amount, Asset, ContractId, Duration, Hashes, InvoiceId, Timestamp};
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
            h1 { (t("Hosted machines")) }
            p { (t("Machines of your own that stand in the operator's sites: what they earn is yours, less the fee on earnings.")) }
        }
        section.sheet #machines data-live="lanes money" aria-label=(t("Machines")) {
            @if all.is_empty() {
                p.empty { (say!("You have no machine here. {link}, or have the operator offer you one.", link = html! { a href="/hosted" { (t("Order one")) } })) }
            } @else {
                table.cards {
                    thead { tr { th scope="col" { (t("Machine")) } th scope="col" { (t("Offered")) } th scope="col" { (t("Lane")) }
                        th scope="col" { (t("Kind")) } th scope="col" { (t("State")) } } }
                    tbody { @for c in &all { tr {
                        (cell!("Machine", html! { a href={ "/machines/" (c.id) } { (c.machine_name()) } }))
                        (cell!("Offered", time(c.offered_at)))
                        (cell!("Lane", c.lane))
                        (cell!("Kind", t(c.terms.kind.name())))
                        (cell!("State", html! { span.tag { (t(state_text(c))) } }))
                    } } }
                }
            }
        }
    };
    Ok(page(&visitor, t("Hosted machines"), true, &content))
}

fn state_text(c: &Contract) -> &'static str {
    match (c.state, c.until) {
        (HostingState::Offered, _) => "Offered",
        (HostingState::Ordered, _) => "Waits for its payment",
        (HostingState::Active, None) => "Yours",
        (HostingState::Active, Some(_)) if c.ended.is_none() && c.term_end.is_some() => {
            "Yours for its term"
        }
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
    let earned = own_earnings::lately(&state, &c).await?;
    let tickets = state.tickets_of(customer.account, &c).await?;
    let powers = state.powers().await?;
    let in_block = state.in_block(&c).await?;
    let splits = state.splits(&c).await?;
    let factors = state.accounts().factors(customer.account).await?;
    // Only what would be taken is offered: until its first epoch the machine is not the account's yet.
    let is_owner =
        c.state == HostingState::Active && m.owner == MachineOwner::Account(customer.account);
    let rule = state.farm().rule(&c.lane).map_err(|e| farm_failure(&e))?;
    let begins = c.from.filter(|_| c.state == HostingState::Active);
    let begins = begins.map(|e| (e, rule.start(e))).filter(|(_, at)| *at > state.now());
    let own = state.market().lane(&c.lane).map_err(|e| Failure::of(&e))?.asset;
    let invoice = state.invoice_of_contract(customer.account, id).await?;
    let invoice = invoice.filter(|i| i.state.is_open()).map(|i| i.id);
    let border = state.farm().next_border(&c.lane).map_err(|e| farm_failure(&e))?;
    let goes_on = is_owner && c.runs_beyond(border);
    let may_review = state.may_review(customer.account, id).await?;
    let title = format!("{} {}", m.thing.model, m.thing.serial);
    let content = html! {
        div.lead {
            p.crumbs { a href="/machines" { (t("Hosted machines")) } }
            h1 { (title) }
        }
        @if c.state == HostingState::Offered { (offer(&state, &visitor, &c, factors)) }
        @if c.state == HostingState::Ordered { (unpaid(&visitor, &c, invoice)) }
        section.sheet #figures data-live="farm lanes" aria-labelledby="figures-h" {
            header { h2 #figures-h { (t("Now")) } span.tag { (t(state_text(&c))) } }
            @if m.verdict == Verdict::ClaimsTooMuch {
                p.message.bad role="alert" {
                    (t("This machine claims more than its shares prove. The chance that an honest machine looks so is below one in a thousand million."))
                }
            }
            (now(&m))
            @if may_review { p.small { a href={ "/contracts/" (c.id) "/review" } { (t("Review this contract")) } } }
        }
        section.sheet #energy data-live="farm lanes" aria-labelledby="energy-h" {
            header { h2 #energy-h { (t("Electricity")) } span.soft.small { (t("the last day of epochs, as measured")) } }
            (electricity(&m.footprint, &powers))
        }
        @if c.accepted_at.is_some() { (own_earnings::section(rule, &earned)) }
        section.sheet #bills data-live="lanes money" aria-labelledby="bills-h" {
            header { h2 #bills-h { (t("Bills")) } span.soft.small { (t("newest first")) } }
            (bill_table(&c, &bills))
            @if c.from.is_some() { p.small {
                (say!("To recompute every line without us ({code}): {link}, {link2}", code = html! { code { "gruve statement check" } }, link = html! { a href={ "/machines/" (c.id) "/terms.json" } { (t("signed terms")) } }, link2 = html! { a href={ "/machines/" (c.id) "/statement.json" } { (t("statement")) } }))
            } }
        }
        section.sheet #tickets data-live="farm lanes" aria-labelledby="tickets-h" {
            header { h2 #tickets-h { (t("Tickets")) } }
            (ticket_table(&tickets))
            @if is_owner { (ticket_form(&visitor, id)) }
            @else if let Some((epoch, at)) = begins { p.note { (say!("It is yours from epoch {epoch} on ({at}); from then on you can open a ticket and hand it on.", epoch = epoch, at = time(at))) } }
        }
        section.sheet #terms data-live="lanes money" aria-labelledby="terms-h" {
            header { h2 #terms-h { (t("What is agreed")) } }
            (terms(&c, &m, own))
        }
        @if c.state == HostingState::Active {
            div.columns #wishes data-live="farm lanes" {
                (wishes(&visitor, &c, (state.now(), goes_on), factors))
                (in_block::section(&visitor, &c, (in_block.0, &in_block.1), &splits, factors))
            }
        }
    };
    Ok(page(&visitor, &title, true, &content))
}

fn offer(state: &AppState, visitor: &Visitor, c: &Contract, factors: Factors) -> Markup {
    let after = state.taken_after(c);
    let waits = after.filter(|at| *at > state.now());
    let delay = state.accounts().payout_delay();
    html! {
        section.sheet.narrow aria-label=(t("Offer")) {
            p { (say!("This machine is offered to you for {strong}, on the terms below. The price is taken from your balance; the machine is yours from an epoch about to begin.", strong = html! { strong { (amount(c.price)) } })) }
            @if let Some(at) = waits {
                p.note { (say!("You have agreed. You can take it from {at} on; until then you may refuse it, and its owner may take the offer back.", at = time(at))) }
            } @else {
                @if c.replaces.is_some() && after.is_none() && !delay.is_zero() {
                    p { (say!("Another customer hands it on. First you agree; {span} later you can take it. Both of you are told, and until then either may take it back.", span = span_text(delay))) }
                }
                form method="post" action={ "/machines/" (c.id) "/accept" } {
                    (token(visitor))
                    @if c.price.minor > 0 { (proof("accept", factors)) }
                    button type="submit" { @if after.is_some() { (t("Take it")) } @else { (t("Accept")) } }
                }
            }
            form method="post" action={ "/machines/" (c.id) "/refuse" } {
                (token(visitor)) button.quiet type="submit" { (t("Refuse")) }
            }
        }
    }
}

fn unpaid(visitor: &Visitor, c: &Contract, invoice: Option<InvoiceId>) -> Markup {
    html! {
        section.sheet.narrow aria-label=(t("Order")) {
            p { (say!("This machine waits for you until {price} are paid.", price = html! { strong { (amount(c.price)) } })) }
            @if let Some(id) = invoice { div.actions { a.button href={ "/invoices/" (id) } { (t("To the invoice")) } } }
            form method="post" action={ "/machines/" (c.id) "/refuse" } {
                (token(visitor)) button.quiet type="submit" { (t("Take the order back")) }
            }
        }
    }
}

pub(crate) fn now(m: &HostedMachine) -> Markup {
    let (proven, low, high) = m.proven_rate();
    html! {
        dl.figures {
            div { dt { (t("Claimed by the machine")) } dd {
                @if m.reading.is_none() { (t("nothing yet")) } @else { (rate(m.claimed_rate())) }
                small { (say!("nameplate {nameplate}", nameplate = rate(m.thing.nameplate))) } } }
            div { dt { (t("Proven by its shares")) } dd {
                @if m.proof.shares == 0 { (t("nothing yet")) } @else {
                    (rate(proven))
                    small { (say!("between {low} and {high}, 95 in 100; {shares} shares", low = rate(low), high = rate(high), shares = m.proof.shares)) }
                } } }
            div { dt { (t("Up")) } dd {
                @if m.span.span_us == 0 { (t("nothing yet")) } @else {
                    (percent(u128::from(m.span.up_us), u128::from(m.span.span_us)))
                    small { (say!("of {span_us}", span_us = span_text(Duration::from_micros(m.span.span_us)))) }
                } } }
            @match &m.reading {
                None => { div { dt { (t("Telemetry")) } dd { (t("none yet")) } } },
                Some(r) => {
                    div { dt { (t("Power")) } dd { @match r.watts { Some(w) => { (w) " W" }, None => (t("not said")) }
                        small { (say!("nameplate {watts} W", watts = m.thing.watts)) } } }
                    div { dt { (t("Temperature")) } dd { @match r.temperature_c {
                        Some(degrees) => { (degrees) " °C" }, None => (t("not said")) } } }
                    div { dt { (t("Fans")) } dd { @if r.fans_rpm.is_empty() { (t("not said")) } @else {
                        @for (n, f) in r.fans_rpm.iter().enumerate() { @if n > 0 { " · " } (f) } " " (t("rpm")) } } }
                    div { dt { (t("Running for")) } dd { @match r.uptime_s {
                        Some(s) => (span_text(Duration::from_secs(s))), None => (t("not said")) }
                        @if r.restarts > 0 { small { (counted!("began anew {n} time", "began anew {n} times", r.restarts)) } } } }
                    div { dt { (t("Last heard of")) } dd { (time(r.at))
                        @if let Some(f) = &r.fault { small { (f) } } } }
                },
            }
        }
        p.small.soft {
            (say!("Claimed and proven are of the same epochs. A machine is flagged when its shares prove so much less than its claim (less {tolerance_percent} %) that chance explains it less than once in 10⁹ looks.", tolerance_percent = TOLERANCE_PERCENT))
        }
    }
}

/// Electricity in words, for leases and hosted machines alike.
pub(crate) fn electricity(f: &Footprint, powers: &[SitePower]) -> Markup {
    if f.covered == Hashes::ZERO && f.energy_uj == 0 {
        return html! { p.empty { (t("No measured power is known for this work.")) } };
    }
    html! {
        dl.figures {
            div { dt { (t("Energy")) } dd { (kilowatt_hours(f.watt_hours())) } }
            @if let Some(mj) = f.millijoules_per_terahash() {
                div { dt { (t("For each terahash")) } dd { (joules(mj)) } }
            }
            div { dt { (t("CO₂, by the sites' stated factors")) } dd { (say!("{co2_mg} kg", co2_mg = thousandths(f.co2_mg / 1_000)))
                @if f.unstated_uj > 0 { small { (t("without sites that state none")) } } } }
            @for (asset, minor) in &f.cost {
                div { dt { (t("What the operator pays for it")) }
                    dd { (amount(Amount::new(*asset, i64::try_from(*minor).unwrap_or(i64::MAX)))) } }
            }
        }
        table.cards {
            caption.visually-hidden { (t("By site")) }
            thead { tr { th scope="col" { (t("Site")) } th.r scope="col" { (t("Energy")) } th.r scope="col" { (t("A kWh costs")) }
                th.r scope="col" { (t("CO₂ of a kWh")) } th scope="col" { (t("By")) } } }
            tbody { @for (site, uj) in &f.by_site { (site_row(*uj, powers.iter().find(|p| p.site == *site))) } }
        }
        @if f.uncovered > Hashes::ZERO {
            p.small.soft { (say!("Of {uncovered} of this work the power was measured; the rest is not guessed.", uncovered = percent(f.covered.0, f.covered.0.saturating_add(f.uncovered.0)))) }
        }
    }
}

fn site_row(energy_uj: u128, stated: Option<&SitePower>) -> Markup {
    let energy = kilowatt_hours(energy_uj / 3_600_000_000);
    html! { tr {
        (cell!("Site", html! { @match stated { Some(p) => (p.name), None => (t("one that states nothing")) } }))
        (cell!(r "Energy", energy))
        (cell!(r "A kWh costs", html! { @match stated {
            Some(p) => (amount(Amount::new(p.price_asset, p.price_minor_per_kwh))), None => "–" } }))
        (cell!(r "CO₂ of a kWh", html! { @match stated { Some(p) => { (p.co2_g_per_kwh) " g" }, None => "–" } }))
        (cell!("By", html! { @match stated { Some(p) => (p.source), None => "–" } }))
    } }
}

fn kilowatt_hours(watt_hours: u128) -> Markup {
    html! { (say!("{watt_hours} kWh", watt_hours = thousandths(watt_hours))) }
}

/// Thousandths of a joule in the unit in which fewer than ten thousand stand before the mark.
fn joules(thousandths_of: u128) -> String {
    let (mut n, mut units) = (thousandths_of, ["J", "kJ", "MJ", "GJ"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while n >= 10_000_000
        && let Some(next) = units.next()
    {
        (n, unit) = (n / 1_000, next);
    }
    format!("{} {unit}", thousandths(n))
}

/// A number of thousandths with three decimals.
fn thousandths(n: u128) -> String {
    local(&format!("{}.{:03}", n / 1_000, n % 1_000))
}

pub(crate) fn bill_table(c: &Contract, bills: &[Bill]) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    html! {
        @if c.arrears > 0 { p.message.bad { (say!("You owe {arrears}; it is taken from your balance with the next bill.", arrears = of(c.arrears))) } }
        @if bills.is_empty() { p.empty { (t("No bill yet. Bills are written with settlements.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Written")) } th.r scope="col" { (t("kWh")) } th.r scope="col" { (t("Energy")) }
                    th.r scope="col" { (t("Hosting")) } th.r scope="col" { (t("Up")) } th.r scope="col" { (t("Credit")) }
                    th.r scope="col" { (t("Paid")) } th.r scope="col" { (t("Waived")) } } }
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

fn wishes(
    visitor: &Visitor,
    c: &Contract,
    (now, goes_on): (Timestamp, bool),
    factors: Factors,
) -> Markup {
    html! {
        section.sheet.narrow aria-labelledby="address-h" {
            header { h2 #address-h { (t("Payout address")) } }
            p { @match c.address.at(now) { Some(a) => code { (a) }, None => (t("none set: what you earn stays in your balance")) } }
            @if let Some((next, from)) = c.address.next.as_ref().filter(|(_, from)| *from > now) {
                p.note { (say!("From {time}: {code}", time = time(*from), code = html! { code { (next) } })) }
            }
            form.stack method="post" action={ "/machines/" (c.id) "/address" } {
                (token(visitor))
                (Field { id: "address", label: "Address", kind: "text", value: "",
                    hint: "A change counts after a day.", error: None, autocomplete: "off", inputmode: None }.draw())
                @if c.terms.scheme == Scheme::Solo && c.terms.pay_from == PayFrom::Balance {
                    div.field { label for="partners" { (t("Partners, where the block pays you")) }
                        textarea #partners name="partners" maxlength="2000" rows="3" spellcheck="false" autocomplete="off" aria-describedby="partners-hint" {}
                        p.hint #partners-hint { (t("Of each a line: address and part in percent, as 30 or 12.5. They share what blocks pay you; the address above gets the rest. Those set before share no more.")) } }
                }
                (proof("address", factors))
                button.quiet type="submit" { (t("Set the address")) }
            }
        }
        @if goes_on {
            section.sheet.narrow aria-labelledby="transfer-h" {
                header { h2 #transfer-h { (t("Hand it on")) } }
                form.stack method="post" action={ "/machines/" (c.id) "/transfer" } {
                    (token(visitor))
                    (Field { id: "to", label: "Account", kind: "text", value: "",
                        hint: "The other must accept; until then you can take the offer back.", error: None,
                        autocomplete: "off", inputmode: None }.draw())
                    (Field { id: "price", label: "Price", kind: "text", value: "0",
                        hint: "In the asset of the bills; it goes to your balance.", error: None,
                        autocomplete: "off", inputmode: Some("decimal") }.draw())
                    (proof("transfer", factors))
                    button.quiet type="submit" { (t("Offer")) }
                }
            }
            section.sheet.narrow aria-labelledby="end-h" {
                header { h2 #end-h { (t("End it")) } }
                p { (t("The contract ends at the next border of epochs. Nothing that you paid for the machine comes back; one that is yours is then handed out to you.")) }
                form.stack method="post" action={ "/machines/" (c.id) "/end" } {
                    (token(visitor))
                    (proof("end", factors))
                    button.quiet type="submit" { (t("End it")) }
                }
            }
        }
    }
}

fn terms(c: &Contract, m: &HostedMachine, own: Asset) -> Markup {
    let of = |minor| amount(Amount::new(c.terms.asset, minor));
    let minimum = amount(Amount::new(own, c.terms.minimum_payout_minor));
    html! {
        dl.pairs {
            dt { (t("Machine")) } dd { (say!("{model}, serial number {serial}, site {site_name}, rack {rack}", model = m.thing.model, serial = m.thing.serial, site_name = m.thing.site_name, rack = m.thing.rack)) }
            dt { (t("Kind")) } dd { (t(c.terms.kind.name())) ", " (c.terms.scheme.name()) }
            @if c.is_frozen { dt { (t("State")) } dd { (t("Frozen: payment disputed")) } }
            dt { (t("A kilowatt-hour")) } dd { (of(c.terms.energy_minor_per_kwh)) }
            dt { (t("A day of hosting")) } dd { (of(c.terms.fee_minor_per_day)) }
            dt { (t("Fee on earnings")) } dd { (earnings_fee(c)) }
            dt { (t("Promised to be up")) } dd { (basis_points(c.terms.level)) }
            dt { (t("Bills are taken")) } dd { @match c.terms.pay_from {
                PayFrom::Earnings => (t("from what it earns; what that does not cover is waived")),
                PayFrom::Balance => (t("from your balance; what that does not cover is owed")),
            } }
            @if let Some(from) = c.from { dt { (t("Yours from epoch")) } dd { (from) } }
            @if let Some(until) = c.until { dt { (t("Until epoch")) } dd { (until) } }
            @if let Some((by, at, back)) = c.ended {
                dt { (t("Ended by")) } dd { (t(ended_text(by))) ", " (time(at)) @if back > 0 { p { (say!("{back} came back to the balance", back = amount(Amount::new(c.back_asset(), back)))) } } }
            }
            @if c.terms.minimum_payout_minor > 0 {
                dt { (t("Minimum payout")) } dd { (say!("to your payout address once {minimum} wait", minimum = minimum)) }
            }
            dt { (t("Terms (SHA-256)")) } dd { code { (hex::encode(c.terms_hash)) } }
            @if c.accepted_at.is_some() {
                dt { (t("Certificate")) } dd { (say!("{link}, signed by the operator", link = html! { a href={ "/machines/" (c.id) "/certificate" } { (t("Download")) } })) }
            }
        }
    }
}

/// What the operator keeps of what the machine earns, as agreed.
pub(crate) fn earnings_fee(c: &Contract) -> Markup {
    match c.terms.earnings_fee {
        Some(fee) => say!("at most {fee}", fee = basis_points(fee)),
        None => html! { (t("that of the lane; this contract is from before it was agreed")) },
    }
}

fn ended_text(by: EndedBy) -> &'static str {
    match by {
        EndedBy::Owner => "its owner",
        EndedBy::Operator => "the operator",
        EndedBy::HandedOn => "its owner, who handed it on",
        EndedBy::ChargedBack => "its payment, which was taken back",
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

/// The form of an acceptance: proof of who sits there, where there is a price.
#[derive(Deserialize)]
pub(crate) struct Accept {
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /machines/{id}/accept`
pub(crate) async fn accept(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Form(form): Form<Accept>,
) -> Result<Redirect, Failure> {
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    state.accept_hosting(&asker, id).await?;
    Ok(back(id))
}

/// `POST /machines/{id}/refuse`
pub(crate) async fn refuse(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.withdraw_hosting(Some(customer.account), id).await?;
    Ok(Redirect::to("/machines"))
}

/// The form of an address.
#[derive(Deserialize)]
pub(crate) struct NewAddress {
    address: String,
    #[serde(default)]
    partners: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /machines/{id}/address`
pub(crate) async fn address(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Form(form): Form<NewAddress>,
) -> Result<Redirect, Failure> {
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    let partners = partners(&form.partners)?;
    state.address_hosting(&asker, id, form.address.trim(), &partners).await?;
    Ok(back(id))
}

/// The form of a transfer.
#[derive(Deserialize)]
pub(crate) struct Transfer {
    to: String,
    price: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /machines/{id}/transfer`
pub(crate) async fn transfer(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Form(form): Form<Transfer>,
) -> Result<Redirect, Failure> {
    let c = state.own_hosting(customer.account, id).await?;
    let price = price_of(c.terms.asset.code(), form.price.trim())?;
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    state.transfer_hosting(&asker, id, form.to.trim(), price).await?;
    Ok(back(id))
}

/// `POST /machines/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Form(form): Form<Accept>,
) -> Result<Redirect, Failure> {
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    state.end_own_hosting(&asker, id).await?;
    Ok(back(id))
}

#[cfg(test)]
mod tests {
    use super::joules;

    #[test]
    fn energy_is_said_in_a_unit_that_can_be_read() {
        assert_eq!(joules(17_500), "17.500 J");
        assert_eq!(joules(9_999_999), "9\u{202f}999.999 J");
        assert_eq!(joules(10_000_000), "10.000 kJ");
        assert_eq!(joules(29_171_214_384_191), "29.171 GJ");
        assert_eq!(
            joules(29_171_214_384_191_000_000),
            "29\u{202f}171\u{202f}214.384 GJ",
            "there is none above"
        );
    }
}
