//! Hashrate by the meter: starting it, what it costs, ending it.

use crate::client::Client;
use crate::extract::{Customer, Form, Id, Params};
use crate::failure::Failure;
use crate::layout::{Field, cell, page, token};
use crate::money::{
    amount, date_text, exact_rate, local, rate, rate_text, rfc3339, time, time_text, work,
    work_text,
};
use crate::pages::agreed;
use crate::pages::estimate;
use crate::pages::machines::electricity;
use crate::pages::plans::{plan_terms, risk};
use crate::plot::{Plot, Point, marks};
use crate::state::AppState;
use crate::view::rule_of;
use crate::visitor::Visitor;
use crate::words::{heard, say, t, text};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_market::metered::{MeteredState, MeteredView, NoticeKind, Period, UsageLine};
use gruve_market::{Ask, EPOCH_LINES_MAX, Plan, PlanKind, SignedTerms};
use gruve_units::{
    Amount, ContractId, Duration, EpochNumber, EpochRule, Hashes, Hashrate, Timestamp,
};
use maud::{Markup, html};
use serde::Deserialize;
use std::net::IpAddr;

/// Days of usage on the page; the API gives more.
const DAYS_SHOWN: u64 = 31;

/// Epochs drawn: as many as of a lease.
const EPOCHS_DRAWN: u32 = EPOCH_LINES_MAX;

/// Which plan.
#[derive(Deserialize)]
pub(crate) struct Choice {
    plan: String,
    hashrate: Option<String>,
    days: Option<u32>,
}

/// What is started; the key makes it happen once.
#[derive(Deserialize)]
pub(crate) struct Order {
    plan: String,
    #[serde(default)]
    hashrate: String,
    days: Option<u32>,
    once: String,
}

fn metered_plan(state: &AppState, id: &str) -> Result<Plan, Failure> {
    let found = state.market().plan(id).ok().filter(|p| p.kind == PlanKind::Metered);
    found.ok_or_else(|| Failure::not_found("plan"))
}

/// `GET /metered?plan=`
pub(crate) async fn choose(
    State(state): State<AppState>,
    visitor: Visitor,
    _: Customer,
    Client(from): Client,
    Params(choice): Params<Choice>,
) -> Result<Markup, Failure> {
    let plan = metered_plan(&state, &choice.plan)?;
    let wish = Wish {
        hashrate: choice.hashrate.unwrap_or_else(|| estimate::field_rate(plan.hashrate_min)),
        days: choice.days.unwrap_or(estimate::DAYS_USUAL),
        from: from.address,
    };
    choose_page(&state, &visitor, &plan, &wish, None).await
}

/// What is looked at: how much, over how many days, and who looks.
struct Wish {
    hashrate: String,
    days: u32,
    from: Option<IpAddr>,
}

async fn choose_page(
    state: &AppState,
    visitor: &Visitor,
    plan: &Plan,
    wish: &Wish,
    error: Option<&str>,
) -> Result<Markup, Failure> {
    let (hint, chosen) = (estimate::rate_hint(plan), estimate::typed_rate(&wish.hashrate));
    let rate_chosen = chosen.as_ref().ok().copied();
    let estimated = match chosen {
        Ok(rate) => state.estimate(plan, Ask::Metered(rate, wish.days), wish.from).await,
        Err(f) => Err(f),
    };
    let ahead = estimate::sheet(estimated)?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/plans" { (t("Plans")) } }
            h1 { (say!("By the meter: {title}", title = plan.title)) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        div.two {
            section.sheet aria-labelledby="choose-h" {
                header { h2 #choose-h { (t("Start")) } }
                form.stack method="post" action="/metered" data-estimate="/metered" data-fields="plan hashrate days" {
                    input type="hidden" name="plan" value=(plan.id);
                    input type="hidden" name="once" value=(state.fresh_key());
                    (Field { id: "hashrate", label: "Hashrate", kind: "text", value: &wish.hashrate, hint: &hint,
                        error: None, autocomplete: "off", inputmode: None }.draw())
                    (estimate::rate_range(plan, rate_chosen))
                    (estimate::days_field(wish.days))
                    // The token goes with the button that needs it, never into an address.
                    div.actions {
                        button type="submit" name="csrf" value=(visitor.csrf) { (t("Start with the next epoch")) }
                        (estimate::recompute("/metered"))
                    }
                    p.small.soft { (t("Each epoch's highest cost is held from your balance before it begins; what is not used comes back. End it whenever you like: the running epoch is then the last.")) }
                }
            }
            (ahead)
            section.sheet.whole aria-labelledby="terms-h" {
                header { h2 #terms-h { (t("Terms")) } }
                (plan_terms(plan))
            }
        }
        (risk([plan]))
    };
    Ok(page(visitor, t("By the meter"), true, &content))
}

/// `POST /metered`
pub(crate) async fn start(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Order>,
) -> Result<Response, Failure> {
    let plan = metered_plan(&state, &form.plan)?;
    let key = crate::api::idempotency_key(Some(&form.once))?;
    let started = match estimate::typed_rate(&form.hashrate) {
        Ok(rate) => state.start_metered(customer.account, &plan.id, rate, key).await,
        Err(f) => Err(f),
    };
    match started {
        Ok(s) => Ok(Redirect::to(&format!("/metered/{}", s.contract)).into_response()),
        Err(f) if f.status.is_client_error() => {
            let days = form.days.unwrap_or(estimate::DAYS_USUAL);
            let wish = Wish { hashrate: form.hashrate, days, from: from.address };
            let body = choose_page(&state, &visitor, &plan, &wish, Some(&f.detail)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
        Err(f) => Err(f),
    }
}

/// `GET /metered/{id}`
pub(crate) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Markup, Failure> {
    let c = state.metered(customer.account, id).await?;
    let until = state.now().plus(Duration::from_secs(86_400));
    let back = DAYS_SHOWN.saturating_mul(86_400_000_000);
    let from = Timestamp(until.0.saturating_sub_unsigned(back));
    let market = state.market();
    let usage = market.metered_usage(customer.account, id, (from, until), Period::Day).await;
    let usage = usage.map_err(|e| crate::trade::market_failure(&e))?;
    let rule = rule_of(c.epoch_us);
    let shown_of = rule.length().saturating_mul(EPOCHS_DRAWN);
    let span = (state.now().minus(shown_of), until);
    let drawn = market.metered_usage(customer.account, id, span, Period::Epoch).await;
    let drawn = drawn.map_err(|e| crate::trade::market_failure(&e))?;
    let footprint = state.metered_footprint(customer.account, id).await?;
    let powers = state.powers().await?;
    let may_review = state.may_review(customer.account, id).await?;
    let signed = state.signed_terms(customer.account, id).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (c.title) }
        }
        section.sheet #figures data-live="lanes money" aria-labelledby="figures-h" {
            header {
                h2 #figures-h { (say!("{hashrate} on lane {lane}", hashrate = rate(c.hashrate), lane = c.lane)) }
                span.tag { (t(state_text(c.state))) }
            }
            @if c.is_low && c.state == MeteredState::Active {
                p.message.bad role="status" { (t("Your balance will soon be used up. Work stops then, and goes on after a top-up.")) }
            }
            (figures(&c))
            @if may_review { p.small { a href={ "/contracts/" (c.id) "/review" } { (t("Review this contract")) } } }
        }
        section.sheet #work-plot data-live="lanes money" aria-label=(t("Work per epoch")) {
            (work_plot(&drawn, rule))
        }
        section.sheet #usage data-live="lanes money" aria-labelledby="usage-h" {
            header { h2 #usage-h { (t("Day by day")) } span.soft.small { (t("UTC, newest first")) } }
            (usage_table(&usage))
        }
        section.sheet #energy data-live="lanes money" aria-labelledby="energy-h" {
            header { h2 #energy-h { (t("Electricity")) } span.soft.small { (t("of the last month's work, as measured")) } }
            (electricity(&footprint, &powers))
        }
        @if !c.notices.is_empty() {
            section.sheet #notices data-live="lanes money" aria-labelledby="notices-h" {
                header { h2 #notices-h { (t("Notices")) } }
                ul { @for n in &c.notices { li { (time(n.at)) ": " (t(notice_text(n.kind))) } } }
            }
        }
        section.sheet #terms data-live="lanes money" aria-labelledby="terms-h" {
            header { h2 #terms-h { (t("What is agreed")) } }
            (papers(&c, rule, &signed, (state.config().record.is_some(), proven(&drawn))))
        }
        @if matches!(c.state, MeteredState::Active | MeteredState::Stopped) {
            form.actions #end data-live="lanes money" method="post" action={ "/metered/" (c.id) "/end" } {
                (token(&visitor))
                button type="submit" { (t("End at the next epoch border")) }
            }
        }
    };
    Ok(page(&visitor, &c.title, true, &content))
}

/// `POST /metered/{id}/end`
pub(crate) async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Redirect, Failure> {
    state.end_metered(customer.account, id).await?;
    Ok(Redirect::to(&format!("/metered/{id}")))
}

pub(crate) const fn state_text(state: MeteredState) -> &'static str {
    match state {
        MeteredState::Active => "Active",
        MeteredState::Stopped => "Stopped: no balance",
        MeteredState::Ending => "Ending",
        MeteredState::Ended => "Ended",
    }
}

const fn notice_text(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Low => "the balance will soon be used up",
        NoticeKind::Stopped => "stopped: nothing could be held for the next epoch",
        NoticeKind::Resumed => "work goes on",
        NoticeKind::Ended => "ended",
    }
}

fn figures(c: &MeteredView) -> Markup {
    html! {
        dl.figures {
            div { dt { (t("Delivered")) } dd { (work(c.delivered)) } }
            div { dt { (t("Charged")) } dd { (amount(c.charged)) } }
            div { dt { (t("Held for open epochs")) } dd { (amount(c.held)) } }
            @if let Some(p) = c.price {
                div { dt { (t("Price now")) } dd { (amount(Amount::new(c.charged.asset, p.minor)))
                    small { (say!("for {hashrate} a day", hashrate = local(&exact_rate(p.hashrate)))) } } }
            }
            div { dt { (t("Credited to your balance")) } @for e in &c.earnings { dd { (amount(e.credited)) } } }
            div { dt { (t("Maturing")) } @for e in &c.earnings { dd { (amount(e.maturing)) } } }
        }
    }
}

/// Epochs that were held for, oldest first, and what of each was delivered.
fn work_plot(drawn: &[UsageLine], rule: EpochRule) -> Markup {
    let held_for: Vec<&UsageLine> =
        drawn.iter().rev().filter(|l| l.closed > 0 && l.capped > Hashes::ZERO).collect();
    let ends = held_for.first().zip(held_for.last());
    let mark = marks(ends.map(|(first, last)| (first.from, last.from)));
    let point = |l: &&UsageLine| Point {
        label: time_text(l.from),
        mark: mark(l.from),
        bar: l.delivered.0 as f64,
        line: Some(l.capped.0 as f64),
        tip: text!(
            "{delivered} delivered of {entitled}",
            delivered = work_text(l.delivered),
            entitled = work_text(l.capped)
        ),
    };
    let points: Vec<Point> = held_for.iter().map(point).collect();
    let secs = rule.length().as_secs_f64().max(1e-6);
    // For the axis only.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let axis = |v: f64| rate_text(Hashrate((v / secs) as u128));
    Plot {
        id: "work",
        title: t("Hashrate delivered per epoch"),
        description: t(
            "Bars: work delivered in each epoch, as hashrate. Line: what was asked for. What is not delivered is not charged.",
        ),
        bars: t("delivered"),
        line: Some(t("asked for")),
        points: &points,
        axis: &axis,
        tone: "work",
    }
    .draw()
}

/// The newest epoch of which there is a receipt.
fn proven(drawn: &[UsageLine]) -> Option<EpochNumber> {
    drawn.iter().find(|l| l.closed > 0 && l.delivered > Hashes::ZERO).map(|l| l.epochs.1)
}

/// What was agreed, and what of it can be kept and checked: where there is a record, the receipts, and the newest of late.
fn papers(
    c: &MeteredView,
    rule: EpochRule,
    signed: &SignedTerms,
    (has_record, newest): (bool, Option<EpochNumber>),
) -> Markup {
    html! {
        dl.pairs {
            dt { (t("Runs from")) } dd { (time(rule.start(c.first_epoch))) }
            @if let Some(last) = c.ended_epoch { dt { (t("Ended")) } dd { (time(rule.end(last))) } }
            (agreed::rules(signed))
            dt { (t("Terms (SHA-256)")) } dd { code { (hex::encode(c.terms_hash)) } }
            dt { (t("To keep")) } dd { a href={ "/contracts/" (c.id) "/terms.json" } download { (t("Signed terms")) }
                ", " a href={ "/contracts/" (c.id) "/statement" } { (t("statement")) }
                @if has_record && c.delivered > Hashes::ZERO {
                    ", " a href={ "/contracts/" (c.id) "/receipts.bin" } download { (t("a receipt of every epoch")) }
                    " (" a href={ "/contracts/" (c.id) "/receipts.jsonl" } download { (t("as text")) } ")"
                }
            }
            @if let Some(epoch) = newest.filter(|_| has_record) {
                dt { (t("Check it yourself")) } dd { a href={ "/proof/receipt?contract=" (c.id) "&epoch=" (epoch) } { (t("The newest receipt against the public record")) } }
            }
            dt { (t("Contract")) } dd { code { (c.id) } }
        }
    }
}

fn usage_table(lines: &[UsageLine]) -> Markup {
    html! {
        @if lines.is_empty() { p.empty { (t("Nothing was used yet.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Day")) } th.r scope="col" { (t("Work")) } th.r scope="col" { (t("Unit price")) }
                    th.r scope="col" { (t("Charged")) } th.r scope="col" { (t("Fees")) } th.r scope="col" { (t("Credited")) } } }
                tbody { @for l in lines { tr {
                    (cell!("Day", html! { time datetime=(rfc3339(l.from)) { (date_text(l.from)) } }))
                    (cell!(r "Work", work(l.delivered)))
                    (cell!(r "Unit price", html! {
                        @let price = |minor| amount(Amount::new(l.charged.asset, minor));
                        @let hashrate = local(&exact_rate(l.price_hashrate));
                        @if l.price_hashrate == Hashrate::ZERO { "–" }
                        @else if l.price_minor.0 == l.price_minor.1 { (say!("{price_minor} for {hashrate} a day", price_minor = price(l.price_minor.0), hashrate = hashrate)) }
                        @else { (say!("{price_minor} to {price_minor2} for {hashrate} a day", price_minor = price(l.price_minor.0), price_minor2 = price(l.price_minor.1), hashrate = hashrate)) }
                    }))
                    (cell!(r "Charged", amount(l.charged)))
                    (cell!(r "Fees", html! { @for (asset, s) in &l.earnings {
                        (amount(Amount::new(*asset, s.fee_minor.saturating_add(s.maintenance_minor)))) " " } }))
                    (cell!(r "Credited", html! { @for (asset, s) in &l.earnings {
                        (amount(Amount::new(*asset, s.net_minor))) " " } }))
                } } }
            }
        }
    }
}

/// The metered contracts of an account, as a table.
pub(crate) fn table(contracts: &[MeteredView]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t("Contract")) } th scope="col" { (t("State")) }
                th.r scope="col" { (t("Hashrate")) } th.r scope="col" { (t("Charged")) } } }
            tbody { @for c in contracts { tr {
                (cell!("Contract", html! { a href={ "/metered/" (c.id) } { (c.title) } }))
                (cell!("State", t(state_text(c.state))))
                (cell!(r "Hashrate", rate(c.hashrate)))
                (cell!(r "Charged", amount(c.charged)))
            } } }
        }
    }
}
