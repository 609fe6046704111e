//! Payouts: the list, one of them, and taking one back.

use crate::console::cursor;
use crate::extract::{Customer, Id, Params};
use crate::failure::Failure;
use crate::layout::{cell, page, token};
use crate::money::{amount, short_hash, time};
use crate::state::AppState;
use crate::view::payout_state;
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_treasury::Payout;
use gruve_units::{PayoutId, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

/// Payouts on a page of all of them.
const PAYOUTS_OF_PAGE: u32 = 100;

/// Where a page of payouts begins.
#[derive(Default, Deserialize)]
pub(crate) struct Place {
    before: Option<String>,
}

/// `GET /payouts`
pub(crate) async fn payouts(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let before = cursor::<PayoutId>(q.before.as_deref());
    let all = state.treasury().payouts_before(customer.account, before, PAYOUTS_OF_PAGE).await?;
    let is_full = all.len() == usize::try_from(PAYOUTS_OF_PAGE).unwrap_or(usize::MAX);
    let next = all.last().filter(|_| is_full).map(|p| p.id);
    let content = html! {
        div.lead {
            h1 { (t("Payouts")) }
            p { (t("What you have withdrawn, and where each payment is on its way.")) }
            p.actions { a.button href="/withdraw" { (t("Withdraw")) } }
        }
        section.sheet #payouts data-live="money" aria-label=(t("Payouts")) {
            (payout_table(&all, state.now()))
            @if let Some(id) = next { p.actions { a.button.quiet href={ "/payouts?before=" (id) } { (t("More")) } } }
        }
    };
    Ok(page(&visitor, t("Payouts"), true, &content))
}

/// Until when one waits that goes where nothing of its account has gone before.
fn waits(p: &Payout, now: Timestamp) -> Markup {
    html! { @if let Some(until) = p.held(now) {
        span.small.soft { (say!("waits until {time}", time = time(until))) }
    } }
}

/// Payouts, newest first.
pub(crate) fn payout_table(payouts: &[Payout], now: Timestamp) -> Markup {
    html! {
        @if payouts.is_empty() {
            p.empty { (t("No payout yet.")) }
        } @else {
            table.cards {
                caption.visually-hidden { (t("Payouts, newest first")) }
                thead { tr {
                    th scope="col" { (t("Requested")) } th.r scope="col" { (t("Amount")) } th scope="col" { (t("To")) }
                    th scope="col" { (t("State")) } th scope="col" { (t("Transaction")) }
                } }
                tbody { @for p in payouts { tr {
                    (cell!("Requested", html! { a href={ "/payouts/" (p.id) } { (time(p.created)) } }))
                    (cell!(r "Amount", amount(p.amount)))
                    (cell!("To", short_hash(&p.address)))
                    (cell!("State", html! { (payout_state(p.state).tag()) " " (waits(p, now)) }))
                    (cell!("Transaction", match &p.txid { Some(t) => short_hash(t), None => html! { "–" } }))
                } } }
            }
        }
    }
}

/// `GET /payouts/{id}`
pub(crate) async fn payout(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Markup, Failure> {
    let p = state.payout(customer.account, id).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/payouts" { (t("Payouts")) } }
            h1 { (t("Payout")) }
        }
        section.sheet #payout data-live="money" aria-labelledby="payout-h" {
            header { h2 #payout-h { (amount(p.amount)) } (payout_state(p.state).tag()) }
            @if let Some(why) = &p.reason { p.note { (heard(why)) } }
            @if let Some(until) = p.held(state.now()) {
                p.note { (say!("It goes where nothing of yours has gone before, so it waits until {time}. Until then you can cancel it.", time = time(until))) }
            }
            dl.pairs {
                dt { (t("Leaves your balance")) } dd { (amount(p.amount)) }
                @match p.fee {
                    Some(fee) => { dt { (t("Network fee")) } dd { (amount(fee)) } },
                    None => { dt { (t("Network fee, at most")) } dd { (amount(p.fee_max)) } },
                }
                @if let Some(arrives) = p.receives() {
                    dt { (t("Arrives")) } dd { (amount(arrives)) }
                }
                dt { (t("To")) } dd { code { (p.address) } }
                dt { (t("Requested")) } dd { (time(p.created)) }
                dt { (t("Transaction")) } dd { @match &p.txid { Some(t) => { code { (t) } }, None => (t("not signed yet")) } }
                @if let Some(h) = p.height { dt { (t("In block")) } dd { (h) } }
            }
            @if p.state.is_revocable() {
                form method="post" action={ "/payouts/" (p.id) "/cancel" } {
                    (token(&visitor))
                    button.quiet type="submit" { (t("Cancel this payout")) }
                }
                p.small.soft { (t("A payout can be taken back until its transaction is signed.")) }
            }
        }
    };
    Ok(page(&visitor, t("Payout"), true, &content))
}

/// `POST /payouts/{id}/cancel`
pub(crate) async fn cancel(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<PayoutId>,
) -> Result<Redirect, Failure> {
    state.cancel_payout(customer.account, id).await?;
    Ok(Redirect::to(&format!("/payouts/{id}")))
}
