//! The books in plain words: where every coin of every block is, and that the wallet holds it.

use crate::failure::Failure;
use crate::layout::{cell, page};
use crate::money::{amount, asset_name};
use crate::state::AppState;
use crate::view::{BookLine, BooksView};
use crate::visitor::Visitor;
use crate::words::{heard, say, t};
use axum::extract::State;
use gruve_units::Amount;
use maud::{Markup, html};

/// `GET /books`
pub(crate) async fn books(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Markup, Failure> {
    let books = state.books().await?;
    let content = html! {
        div.lead {
            h1 { (t("Books")) }
            p {
                (t("Double entry, in whole minor units. Every coin that a block brought stands in exactly one of the lines below it, and the lines add up to the last unit. Nobody's balance is shown: only sums."))
            }
        }
        div #books data-live="lanes money" {
            @if books.is_empty() { p.empty { (t("Nothing is booked yet.")) } }
            @for b in &books { (one(b)) }
        }
    };
    Ok(page(&visitor, t("Books"), true, &content))
}

fn one(b: &BooksView) -> Markup {
    let heading = format!("books-{}", b.asset);
    html! {
        section.sheet.book aria-labelledby=(heading) {
            header {
                h2 id=(heading) { (asset_name(b.asset)) }
                @if b.adds_up {
                    span.tag.good { (t("Adds up")) }
                } @else {
                    span.tag.bad { (t("Does not add up")) }
                }
            }
            @if !b.differences.is_empty() {
                ul.message.bad { @for d in &b.differences { li { (heard(d)) } } }
            }
            h3 { (t("Where the blocks' coins are")) }
            (lines(&b.parts, "All block rewards", b.rewards))
            h3 { (t("Wallet against books")) }
            (lines(&b.wallet, "On the chain", b.wallet_on_chain))
            @if let Some(wei) = b.wei_below {
                p.small { (say!("Beside this the wallet holds {wei} wei. A wei is the billionth part of this coin's smallest booked unit; they are counted, and booked when they make a whole one.", wei = wei)) }
            }
            @if !b.accounts.is_empty() {
                details {
                    summary { (t("Every account kind")) }
                    (plain_lines(&b.accounts))
                }
            }
        }
    }
}

fn lines(parts: &[BookLine], sum_label: &str, sum: Amount) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t("Line")) } th scope="col" { (t("What it is")) } th.r scope="col" { (t("Amount")) } } }
            tbody { @for l in parts { tr {
                (cell!("Line", t(l.label)))
                (cell!("What it is", t(l.meaning)))
                (cell!(r "Amount", amount(l.amount)))
            } } }
            tfoot { tr { th scope="row" colspan="2" { (t(sum_label)) } (cell!(r "Sum", amount(sum))) } }
        }
    }
}

fn plain_lines(parts: &[BookLine]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t("Account")) } th.r scope="col" { (t("Sum")) } } }
            tbody { @for l in parts { tr {
                (cell!("Account", html! { (t(l.label)) " " code.soft { (l.code) } }))
                (cell!(r "Sum", amount(l.amount)))
            } } }
        }
    }
}
