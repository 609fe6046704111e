//! Payouts: the list, one of them, and taking one back.

use crate::extract::{Customer, Id};
use crate::failure::Failure;
use crate::layout::{cell, page, token};
use crate::money::{amount, short_hash, time};
use crate::state::AppState;
use crate::view::payout_state;
use crate::visitor::Visitor;
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
            h1 { "Payouts" }
            p { "What you have withdrawn, and where each payment is on its way." }
            p.actions { a.button href="/withdraw" { "Withdraw" } }
        }
        section.sheet #payouts data-live="payouts" aria-label="Payouts" { (payout_table(&all)) }
    };
    Ok(page(&visitor, "Payouts", true, &content))
}

/// Payouts, newest first.
pub(crate) fn payout_table(payouts: &[Payout]) -> Markup {
    html! {
        @if payouts.is_empty() {
            p.empty { "No payout yet." }
        } @else {
            table.cards {
                caption.visually-hidden { "Payouts, newest first" }
                thead { tr {
                    th scope="col" { "Requested" } th.r scope="col" { "Amount" } th scope="col" { "To" }
                    th scope="col" { "State" } th scope="col" { "Transaction" }
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
            p.crumbs { a href="/payouts" { "Payouts" } }
            h1 { "Payout" }
        }
        section.sheet #payout data-live="payout" aria-labelledby="payout-h" {
            header { h2 #payout-h { (amount(p.amount)) } (payout_state(p.state).tag()) }
            @if let Some(why) = &p.reason { p.note { (why) } }
            dl.pairs {
                dt { "Leaves your balance" } dd { (amount(p.amount)) }
                @match p.fee {
                    Some(fee) => { dt { "Network fee" } dd { (amount(fee)) } },
                    None => { dt { "Network fee, at most" } dd { (amount(p.fee_max)) } },
                }
                @if let Some(arrives) = p.receives() {
                    dt { "Arrives" } dd { (amount(arrives)) }
                }
                dt { "To" } dd { code { (p.address) } }
                dt { "Requested" } dd { (time(p.created)) }
                dt { "Transaction" } dd { @match &p.txid { Some(t) => { code { (t) } }, None => "not signed yet" } }
                @if let Some(h) = p.height { dt { "In block" } dd { (h) } }
            }
            @if p.state.is_revocable() {
                form method="post" action={ "/payouts/" (p.id) "/cancel" } {
                    (token(&visitor))
                    button.quiet type="submit" { "Cancel this payout" }
                }
                p.small.soft { "A payout can be taken back until its transaction is signed." }
            }
        }
    };
    Ok(page(&visitor, "Payout", true, &content))
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
