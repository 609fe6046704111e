//! Every posting that changed what a customer has.

use crate::extract::Customer;
use crate::failure::Failure;
use crate::layout::{cell, page, parties};
use crate::money::{amount, time};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use maud::{Markup, html};

/// Lines on the page: about 60 KB.
const LINES_SHOWN: usize = 300;

/// `GET /statement`
pub(crate) async fn statement(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let lines = state.statement(customer.account, LINES_SHOWN).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (t("Statement")) }
            p { (t("Every entry in our books that changed your available balance, newest first.")) }
            (parties(&visitor))
        }
        section.sheet #lines data-live="money" aria-label=(t("Statement")) {
            @if lines.is_empty() {
                p.empty { (t("Nothing yet.")) }
            } @else {
                table.cards {
                    caption.visually-hidden { (t("Statement, newest first")) }
                    thead { tr { th scope="col" { (t("When")) } th scope="col" { (t("What")) } th.r scope="col" { (t("Change")) } th.r scope="col" { (t("Balance after")) } } }
                    tbody { @for l in &lines { tr {
                        (cell!("When", time(l.at)))
                        (cell!("What", l.what))
                        (cell!(r "Change", html! { @if l.change.minor > 0 { "+" } (amount(l.change)) }))
                        (cell!(r "Balance after", amount(l.after)))
                    } } }
                }
                @if lines.len() == LINES_SHOWN { p.small.soft { (say!("The newest {lines_shown} entries.", lines_shown = LINES_SHOWN)) } }
            }
        }
    };
    Ok(page(&visitor, t("Statement"), true, &content))
}
