//! What a customer keeps of a contract: the signed terms, and the statement as JSON, CSV and on paper.

use crate::api::contracts::Span;
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::layout::{page, parties};
use crate::money::{amount, day_text, local, rate, time, work};
use crate::pages::machines::electricity;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::http::{StatusCode, header};
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
    let (title, lane, place) = match state.contract(customer.account, id).await {
        Ok(c) => (c.title, c.lane, format!("/contracts/{id}")),
        Err(f) if f.status == StatusCode::NOT_FOUND => {
            let c = state.metered(customer.account, id).await?;
            (c.title, c.lane, format!("/metered/{id}"))
        }
        Err(f) => return Err(f),
    };
    let span =
        Span { limit: Some(span.limit.unwrap_or(EPOCHS_PRINTED).min(EPOCHS_PRINTED)), ..span };
    let s = state.contract_statement(customer.account, id, &span).await?;
    let from = format!("?from={}", s.from_epoch);
    let (footprint, powers) = (state.footprint_of_page(&lane, &s).await?, state.powers().await?);
    let content = html! {
        div.lead {
            p.crumbs { a href=(place) { (title) } }
            h1 { (t("Statement of a contract")) }
            (parties(&visitor))
            p { (say!("Every line of this contract, with the numbers it was computed from. Keep the signed terms and the statement: {code} recomputes each line from them, without us.", code = html! { code { "gruve statement check" } })) }
        }
        section.sheet aria-labelledby="head-h" {
            header { h2 #head-h { (title) } }
            dl.pairs {
                dt { (t("Contract")) } dd { code { (id) } }
                dt { (t("Terms (SHA-256)")) } dd { code { (s.terms_sha256) } }
                dt { (t("Epochs")) } dd { (say!("{from_epoch} to {to_epoch}", from_epoch = s.from_epoch, to_epoch = s.to_epoch)) }
                dt { (t("Written")) } dd { (time(Timestamp(s.made_at_us))) }
                dt { (t("Signature")) } dd { @match &s.signature { Some(hex) => code { (hex) }, None => (t("none")) } }
                dt { (t("To keep")) } dd {
                    a href={ "/contracts/" (id) "/terms.json" } download { (t("Signed terms")) } ", "
                    a href={ "/contracts/" (id) "/statement.json" (from) } download { (t("statement as JSON")) } ", "
                    a href={ "/contracts/" (id) "/statement.csv" (from) } download { (t("as CSV")) }
                }
            }
            @if let Some(next) = s.next_epoch {
                p.actions { a.button.quiet href={ "/contracts/" (id) "/statement?from=" (next) } { (t("Next page")) } }
            }
        }
        (days(&s))
        section.sheet #energy aria-labelledby="energy-h" {
            header { h2 #energy-h { (t("Electricity")) } span.soft.small { (t("of the epochs on this page, as measured")) } }
            (electricity(&footprint, &powers))
            p.small.soft { (t("These figures decide no amount and are no part of the signed statement.")) }
        }
        (events(&s))
        @if s.lines.iter().any(|l| matches!(l.line, Line::Epoch(_))) { (epochs(&s)) }
    };
    Ok(page(&visitor, t("Statement of a contract"), true, &content))
}

fn days(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="days-h" {
            header { h2 #days-h { (t("By day")) } span.soft.small { (t("UTC")) } }
            div.scroll role="group" tabindex="0" aria-labelledby="days-h" {
            table {
                thead { tr { th scope="col" { (t("Day")) } th.r scope="col" { (t("Entitled")) } th.r scope="col" { (t("Delivered")) }
                    th.r scope="col" { (t("Settled")) } th.r scope="col" { (t("Fee")) } th.r scope="col" { (t("Maintenance")) }
                    th.r scope="col" { (t("Waived")) } th.r scope="col" { (t("To the balance")) } } }
                tbody { @for d in &s.days { @for a in &d.assets { tr {
                    td { (day_text(&d.date)) } td.r { (work(d.entitled)) } td.r { (work(d.delivered)) }
                    td.r { (minor(a.asset, a.gross_minor)) } td.r { (minor(a.asset, a.fee_minor)) }
                    td.r { (minor(a.asset, a.maintenance_minor)) } td.r { (minor(a.asset, a.waived_minor)) }
                    td.r { (minor(a.asset, a.net_minor)) }
                } } } }
            }
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
    html! { (minor(asset, whole)) small.soft { " " (say!("+ {local} of a minor unit", local = local(&format!("0.{millionths:06}")))) } }
}

fn events(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="events-h" {
            header { h2 #events-h { (t("Blocks and settlements")) } }
            div.scroll role="group" tabindex="0" aria-labelledby="events-h" {
            table {
                thead { tr { th scope="col" { (t("Line")) } th scope="col" { (t("Epoch")) } th scope="col" { (t("What")) } th.r scope="col" { (t("Amount")) } } }
                tbody { @for (n, l) in (1usize..).zip(&s.lines) { @if let Some((what, sum)) = event(&l.line) { tr {
                    td { (n) } td { (l.line.epoch()) } td { (what) } td.r { (sum) }
                } } } }
            }
            }
        }
    }
}

/// A line other than an epoch's, in words, with its amount.
fn event(line: &Line) -> Option<(Markup, Markup)> {
    Some(match line {
        Line::Epoch(_) => return None,
        Line::End(l) if l.complete => {
            (html! { (t("All work delivered: the contract is complete")) }, html! { "–" })
        }
        Line::End(l) if l.charged_back.is_some() => (
            html! { (t("Payment taken back: the contract has ended; what was lost of it is kept of the price")) },
            minor(l.refund.asset, l.refund.minor),
        ),
        Line::End(l) => (
            html! { (t("Hard end: refund for what was not delivered")) },
            minor(l.refund.asset, l.refund.minor),
        ),
        Line::Meter(l) => (
            html! { @match l.what.name() {
                "stopped" => (t("Stopped: nothing could be held")),
                "resumed" => (t("Went on")),
                _ => (t("Ended by its owner")),
            } },
            html! { "–" },
        ),
        Line::Accrual(l) => (
            html! { (say!("Block {height} of {asset} pays {reward_minor}; your part of its window {code}", height = l.height, asset = l.asset, reward_minor = minor(l.asset, l.reward_minor), code = html! { code.small { (l.block) } })) },
            fixed(l.asset, l.accrual.0),
        ),
        Line::Credit(l) => (
            html! { (say!("Block is mature {code}", code = html! { code.small { (l.block) } })) },
            fixed(l.asset, l.accrual.0),
        ),
        Line::Settlement(l) => (
            html! { p { (say!("Settlement {number}: {gross_minor} less fee {fee_minor}, less maintenance {maintenance_minor}", number = l.number, gross_minor = minor(l.asset, l.gross_minor), fee_minor = minor(l.asset, l.fee_minor), maintenance_minor = minor(l.asset, l.maintenance_minor))) }
            @if l.waived_minor > 0 { p { (say!("Waived: {waived_minor}", waived_minor = minor(l.asset, l.waived_minor))) } } },
            minor(l.asset, l.net_minor),
        ),
        Line::Reversal(l) => (
            html! { (say!("Block left the chain {code}", code = html! { code.small { (l.block) } })) },
            html! { "−" (fixed(l.asset, l.accrual.0)) },
        ),
        Line::TakeBack(l) => (
            html! { (say!("Settlement {number}: taken back of what that block had paid", number = l.number)) },
            minor(l.asset, -l.net_minor),
        ),
        Line::Priced(l) => (
            html! { (say!("Work of epoch {of_epoch} paid at its expectation", of_epoch = l.of_epoch)) },
            fixed(l.asset, l.earned.0),
        ),
        Line::Found(l) => (
            html! { (say!("Block {height} of {asset} is yours, whole {code}", height = l.height, asset = l.asset, code = html! { code.small { (l.block) } })) },
            fixed(l.asset, l.accrual.0),
        ),
        Line::Usage(l) => (
            html! { (say!("{delivered} at {price_minor} minor units for {price_hashrate} and a day", delivered = work(l.delivered), price_minor = l.price_minor, price_hashrate = rate(l.price_hashrate))) },
            html! { (say!("{charged_minor} minor units", charged_minor = l.charged_minor)) },
        ),
        _ => return Some(happening(line)),
    })
}

/// What happened beside delivery and earnings.
fn happening(line: &Line) -> (Markup, Markup) {
    let none = || html! { "–" };
    match line {
        Line::Aside(l) => (
            html! { (say!("{hashes} missed, set aside until judged", hashes = work(l.hashes))) },
            none(),
        ),
        Line::Judgement(l) => (
            html! { (say!("Of what was missed in epoch {of_epoch}, {part} was the operator's doing", of_epoch = l.of_epoch, part = work(l.part))) },
            none(),
        ),
        Line::Choice(l) => (
            html! { (say!("Choice about epoch {of_epoch}: {choice} ({hashes})", of_epoch = l.of_epoch, choice = t(l.choice.name()), hashes = work(l.hashes))) },
            none(),
        ),
        Line::Owed(l) => (
            html! { (say!("Paid for {hashes} of epoch {of_epoch} ({why})", hashes = work(l.hashes), of_epoch = l.of_epoch, why = t(l.why.name()))) },
            minor(l.asset, l.paid_minor),
        ),
        Line::Decision(l) => (
            html! { (say!("A TH·day earns {earns_micro} and costs {costs_micro} millionths of a dollar: {decision} from epoch {effective_epoch}", earns_micro = l.earns_micro, costs_micro = l.costs_micro, decision = t(l.decision.name()), effective_epoch = l.effective_epoch)) },
            none(),
        ),
        Line::Pause(l) => (
            html! { (say!("Paused from epoch {from_epoch} on: {epochs} epochs do not count", from_epoch = l.from_epoch, epochs = l.epochs)) },
            none(),
        ),
        Line::Freeze(l) => (
            html! { (say!("Payment disputed from epoch {from_epoch} to {epoch}: these epochs do not count", from_epoch = l.from_epoch, epoch = l.epoch)) },
            none(),
        ),
        Line::Dollars(l) => (
            html! { @if l.price_micro.is_some() { (t("Upkeep in dollars up to here")) }
            @else { (t("Upkeep in dollars up to here, waiting for a price")) } },
            html! { (say!("{coins} minor units", coins = l.coins.0 >> 64)) },
        ),
        _ => (html! {}, none()),
    }
}

fn epochs(s: &Statement) -> Markup {
    html! {
        section.sheet aria-labelledby="epochs-h" {
            header { h2 #epochs-h { (t("Epoch by epoch")) } }
            div.scroll role="group" tabindex="0" aria-labelledby="epochs-h" {
            table {
                thead { tr { th scope="col" { (t("Line")) } th scope="col" { (t("Epoch")) } th scope="col" { (t("Began")) } th.r scope="col" { (t("Entitled")) }
                    th.r scope="col" { (t("Delivered")) } th.r scope="col" { (t("Made good")) } th.r scope="col" { (t("Shortfall")) }
                    th.r scope="col" { (t("Units (blocks)")) } } }
                tbody { @for (n, l) in (1usize..).zip(&s.lines) { @if let Line::Epoch(e) = &l.line { tr {
                    td { (n) } td { (e.epoch) } td { (time(Timestamp(e.began_us))) } td.r { (work(e.entitled)) }
                    td.r { (work(e.delivered)) } td.r { (work(e.made_good)) } td.r { (work(e.shortfall)) }
                    td.r { @for u in &e.units { div { (blocks(u.own.0)) " " (u.asset) } } }
                } } } }
            }
            }
        }
    }
}

/// Units as blocks' work, nine places.
fn blocks(units: u128) -> String {
    let whole = units >> 64;
    let rest = ((units & u128::from(u64::MAX)) * 1_000_000_000) >> 64;
    local(&format!("{whole}.{rest:09}"))
}
