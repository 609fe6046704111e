//! The books in plain words: where every coin of every block is, and that the wallet holds it.

use crate::failure::Failure;
use crate::layout::{cell, page};
use crate::money::{amount, asset_name};
use crate::state::AppState;
use crate::view::{BookLine, BooksView};
use crate::visitor::Visitor;
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
            h1 { "Books" }
            p {
                "Double entry, in whole minor units. Every coin that a block brought stands in exactly one "
                "of the lines below it, and the lines add up to the last unit. Nobody's balance is shown: only sums."
            }
        }
        div #books data-live="books" {
            @if books.is_empty() { p.empty { "Nothing is booked yet." } }
            @for b in &books { (one(b)) }
        }
    };
    Ok(page(&visitor, "Books", true, &content))
}

fn one(b: &BooksView) -> Markup {
    let heading = format!("books-{}", b.asset);
    html! {
        section.sheet.book aria-labelledby=(heading) {
            header {
                h2 id=(heading) { (asset_name(b.asset)) }
                @if b.adds_up {
                    span.tag.good { "Adds up" }
                } @else {
                    span.tag.bad { "Does not add up" }
                }
            }
            @if !b.differences.is_empty() {
                ul.message.bad { @for d in &b.differences { li { (d) } } }
            }
            h3 { "Where the blocks' coins are" }
            (lines(&b.parts, "All block rewards", b.rewards))
            h3 { "Wallet against books" }
            (lines(&b.wallet, "On the chain", b.wallet_on_chain))
            @if let Some(wei) = b.wei_below {
                p.small { "Beside this the wallet holds " (wei) " wei. A wei is the billionth part of this coin's "
                    "smallest booked unit; they are counted, and booked when they make a whole one." }
            }
            @if !b.accounts.is_empty() {
                details {
                    summary { "Every account kind" }
                    (plain_lines(&b.accounts))
                }
            }
        }
    }
}

fn lines(parts: &[BookLine], sum_label: &str, sum: Amount) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Line" } th scope="col" { "What it is" } th.r scope="col" { "Amount" } } }
            tbody { @for l in parts { tr {
                (cell!("Line", l.label))
                (cell!("What it is", l.meaning))
                (cell!(r "Amount", amount(l.amount)))
            } } }
            tfoot { tr { th scope="row" colspan="2" { (sum_label) } (cell!(r "Sum", amount(sum))) } }
        }
    }
}

fn plain_lines(parts: &[BookLine]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Account" } th.r scope="col" { "Sum" } } }
            tbody { @for l in parts { tr {
                (cell!("Account", html! { (l.label) " " code.soft { (l.code) } }))
                (cell!(r "Sum", amount(l.amount)))
            } } }
        }
    }
}
