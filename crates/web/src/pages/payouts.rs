//! Payouts: the list, one of them, and taking one back.

use crate::extract::{Customer, Id};
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
use gruve_units::PayoutId;
use maud::{Markup, html};

/// `GET /payouts`
pub(crate) async fn payouts(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let all = state.treasury().payouts(customer.account).await?;
    let content = html! {
        div.lead {
            h1 { (t("Payouts")) }
            p { (t("What you have withdrawn, and where each payment is on its way.")) }
            p.actions { a.button href="/withdraw" { (t("Withdraw")) } }
        }
        section.sheet #payouts data-live="money" aria-label=(t("Payouts")) { (payout_table(&all)) }
    };
    Ok(page(&visitor, t("Payouts"), true, &content))
}

/// Payouts, newest first.
pub(crate) fn payout_table(payouts: &[Payout]) -> Markup {
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
                    (cell!("State", payout_state(p.state).tag()))
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
