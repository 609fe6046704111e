//! What a customer keeps of a contract: the signed terms, and the statement as JSON, CSV and on paper.

use crate::api::contracts::Span;
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::layout::page;
use crate::money::{amount, rate, time, work};
use crate::state::AppState;
use crate::visitor::Visitor;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gruve_market::statement::{Line, Statement, csv};
use gruve_units::{Amount, Asset, ContractId, Timestamp};
use maud::{Markup, html};

/// Epochs on one printed page of the site: a week of ten-minute ones, some 300 KB.
const EPOCHS_PRINTED: usize = 1_008;

/// `GET /contracts/{id}/terms.json`
pub(crate) async fn terms(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
) -> Result<Response, Failure> {
    let file = state.signed_terms(customer.account, id).await?;
    Ok(download(&format!("terms-{id}.json"), "application/json", json_text(&file)?))
}

/// `GET /contracts/{id}/statement.json?from=`
pub(crate) async fn statement_json(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(span): Params<Span>,
) -> Result<Response, Failure> {
    let page = state.contract_statement(customer.account, id, &span).await?;
    let name = format!("statement-{id}-{}.json", page.from_epoch);
    Ok(download(&name, "application/json", json_text(&page)?))
}

/// `GET /contracts/{id}/statement.csv?from=`
pub(crate) async fn statement_csv(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(span): Params<Span>,
) -> Result<Response, Failure> {
    let page = state.contract_statement(customer.account, id, &span).await?;
    let name = format!("statement-{id}-{}.csv", page.from_epoch);
    Ok(download(&name, "text/csv; charset=utf-8", csv(&page)))
}

/// One field a line would make a month of epochs twenty megabytes: it is written without spaces.
fn json_text(file: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(file).map_err(|_| Failure::busy("The file cannot be written."))
}

/// A file to be kept. The name is made here and has no character that a header must escape.
fn download(name: &str, kind: &'static str, body: String) -> Response {
    let shown = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, shown)], body)
        .into_response()
}

/// `GET /contracts/{id}/statement?from=`: to be read and printed.
pub(crate) async fn statement(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
    Params(span): Params<Span>,
) -> Result<Markup, Failure> {
    let c = state.contract(customer.account, id).await?;
    let span =
        Span { limit: Some(span.limit.unwrap_or(EPOCHS_PRINTED).min(EPOCHS_PRINTED)), ..span };
    let s = state.contract_statement(customer.account, id, &span).await?;
    let from = format!("?from={}", s.from_epoch);
    let content = html! {
        div.lead {
            p.crumbs { a href={ "/contracts/" (id) } { (c.title) } }
            h1 { "Statement of a contract" }
            p { "Every line of this contract, with the numbers it was computed from. Keep the signed terms and the statement: "
                code { "gruve statement check" } " recomputes each line from them, without us." }
        }
        section.sheet aria-labelledby="head-h" {
            header { h2 #head-h { (c.title) } }
            dl.pairs {
                dt { "Contract" } dd { code { (id) } }
                dt { "Terms (SHA-256)" } dd { code { (s.terms_sha256) } }
                dt { "Epochs" } dd { (s.from_epoch) " to " (s.to_epoch) }
                dt { "Written" } dd { (time(Timestamp(s.made_at_us))) }
                dt { "Signature" } dd { @match &s.signature { Some(hex) => code { (hex) }, None => "none" } }
                dt { "To keep" } dd {
                    a href={ "/contracts/" (id) "/terms.json" } download { "Signed terms" } ", "
                    a href={ "/contracts/" (id) "/statement.json" (from) } download { "statement as JSON" } ", "
                    a href={ "/contracts/" (id) "/statement.csv" (from) } download { "as CSV" }
                }
            }
            @if let Some(next) = s.next_epoch {
                p.actions { a.button.quiet href={ "/contracts/" (id) "/statement?from=" (next) } { "Next page" } }
            }
        }
        (days(&s))
        (events(&s))
        (epochs(&s))
    };
    Ok(page(&visitor, "Statement of a contract", true, &content))
}

fn days(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="days-h" {
            header { h2 #days-h { "By day" } span.soft.small { "UTC" } }
            table {
                thead { tr { th scope="col" { "Day" } th.r scope="col" { "Entitled" } th.r scope="col" { "Delivered" }
                    th.r scope="col" { "Settled" } th.r scope="col" { "Fee" } th.r scope="col" { "Maintenance" }
                    th.r scope="col" { "Waived" } th.r scope="col" { "To the balance" } } }
                tbody { @for d in &s.days { @for a in &d.assets { tr {
                    td { (d.date) } td.r { (work(d.entitled)) } td.r { (work(d.delivered)) }
                    td.r { (minor(a.asset, a.gross_minor)) } td.r { (minor(a.asset, a.fee_minor)) }
                    td.r { (minor(a.asset, a.maintenance_minor)) } td.r { (minor(a.asset, a.waived_minor)) }
                    td.r { (minor(a.asset, a.net_minor)) }
                } } } }
            }
        }
    }
}

fn minor(asset: Asset, n: i64) -> Markup {
    amount(Amount::new(asset, n))
}

/// Whole and fraction of an amount in fixed point, in minor units with six places.
fn fixed(asset: Asset, v: u128) -> Markup {
    let millionths = ((v & u128::from(u64::MAX)) * 1_000_000) >> 64;
    let whole = i64::try_from(v >> 64).unwrap_or(i64::MAX);
    html! { (minor(asset, whole)) small.soft { " + 0." (format!("{millionths:06}")) " of a minor unit" } }
}

fn events(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="events-h" {
            header { h2 #events-h { "Blocks and settlements" } }
            table {
                thead { tr { th scope="col" { "Line" } th scope="col" { "Epoch" } th scope="col" { "What" } th.r scope="col" { "Amount" } } }
                tbody { @for (n, l) in (1usize..).zip(&s.lines) { @if let Some((what, sum)) = event(&l.line) { tr {
                    td { (n) } td { (l.line.epoch()) } td { (what) } td.r { (sum) }
                } } } }
            }
        }
    }
}

/// A line other than an epoch's, in words, with its amount.
fn event(line: &Line) -> Option<(Markup, Markup)> {
    Some(match line {
        Line::Epoch(_) => return None,
        Line::End(l) if l.complete => {
            (html! { "All work delivered: the contract is complete" }, html! { "–" })
        }
        Line::End(l) => (
            html! { "Hard end: refund for what was not delivered" },
            minor(l.refund.asset, l.refund.minor),
        ),
        Line::Accrual(l) => (
            html! { "Block " (l.height) " of " (l.asset) " pays " (minor(l.asset, l.reward_minor))
            "; your part of its window " code.small { (l.block) } },
            fixed(l.asset, l.accrual.0),
        ),
        Line::Credit(l) => {
            (html! { "Block is mature " code.small { (l.block) } }, fixed(l.asset, l.accrual.0))
        }
        Line::Settlement(l) => (
            html! { "Settlement " (l.number) ": " (minor(l.asset, l.gross_minor)) " less fee " (minor(l.asset, l.fee_minor))
            ", less maintenance " (minor(l.asset, l.maintenance_minor))
            @if l.waived_minor > 0 { " (" (minor(l.asset, l.waived_minor)) " waived)" } },
            minor(l.asset, l.net_minor),
        ),
        Line::Reversal(l) => (
            html! { "Block left the chain " code.small { (l.block) } },
            html! { "−" (fixed(l.asset, l.accrual.0)) },
        ),
        Line::TakeBack(l) => (
            html! { "Settlement " (l.number) ": taken back of what that block had paid" },
            minor(l.asset, -l.net_minor),
        ),
        Line::Priced(l) => (
            html! { "Work of epoch " (l.of_epoch) " paid at its expectation" },
            fixed(l.asset, l.earned.0),
        ),
        Line::Found(l) => (
            html! { "Block " (l.height) " of " (l.asset) " is yours, whole " code.small { (l.block) } },
            fixed(l.asset, l.accrual.0),
        ),
        Line::Usage(l) => (
            html! { (work(l.delivered)) " at " (l.price_minor) " minor units for " (rate(l.price_hashrate)) " and a day" },
            html! { (l.charged_minor) " minor units" },
        ),
        _ => return Some(happening(line)),
    })
}

/// What happened beside delivery and earnings.
fn happening(line: &Line) -> (Markup, Markup) {
    let none = || html! { "–" };
    match line {
        Line::Aside(l) => (html! { (work(l.hashes)) " missed, set aside until judged" }, none()),
        Line::Judgement(l) => (
            html! { "Of what was missed in epoch " (l.of_epoch) ", " (work(l.part)) " was the operator's doing" },
            none(),
        ),
        Line::Choice(l) => (
            html! { "Choice about epoch " (l.of_epoch) ": " (l.choice.name()) " (" (work(l.hashes)) ")" },
            none(),
        ),
        Line::Owed(l) => (
            html! { "Paid for " (work(l.hashes)) " of epoch " (l.of_epoch) " (" (l.why.name()) ")" },
            minor(l.asset, l.paid_minor),
        ),
        Line::Decision(l) => (
            html! { "A TH·day earns " (l.earns_micro) " and costs " (l.costs_micro) " millionths of a dollar: "
            (l.decision.name()) " from epoch " (l.effective_epoch) },
            none(),
        ),
        Line::Pause(l) => (
            html! { "Paused from epoch " (l.from_epoch) " on: " (l.epochs) " epochs do not count" },
            none(),
        ),
        Line::Dollars(l) => (
            html! { "Upkeep in dollars up to here"
            @if l.price_micro.is_none() { ", waiting for a price" } },
            html! { (l.coins.0 >> 64) " minor units" },
        ),
        _ => (html! {}, none()),
    }
}

fn epochs(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="epochs-h" {
            header { h2 #epochs-h { "Epoch by epoch" } }
            table {
                thead { tr { th scope="col" { "Line" } th scope="col" { "Epoch" } th scope="col" { "Began" } th.r scope="col" { "Entitled" }
                    th.r scope="col" { "Delivered" } th.r scope="col" { "Made good" } th.r scope="col" { "Shortfall" }
                    th.r scope="col" { "Units (blocks)" } } }
                tbody { @for (n, l) in (1usize..).zip(&s.lines) { @if let Line::Epoch(e) = &l.line { tr {
                    td { (n) } td { (e.epoch) } td { (time(Timestamp(e.began_us))) } td.r { (work(e.entitled)) }
                    td.r { (work(e.delivered)) } td.r { (work(e.made_good)) } td.r { (work(e.shortfall)) }
                    td.r { @for u in &e.units { div { (blocks(u.own.0)) " " (u.asset) } } }
                } } } }
            }
        }
    }
}

/// Units as blocks' work, nine places.
fn blocks(units: u128) -> String {
    let whole = units >> 64;
    let rest = ((units & u128::from(u64::MAX)) * 1_000_000_000) >> 64;
    format!("{whole}.{rest:09}")
}
