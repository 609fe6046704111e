//! Every posting that changed what a customer has.

use crate::api::page::Pair;
use crate::console::cursor;
use crate::extract::{Customer, Params};
use crate::failure::Failure;
use crate::layout::{cell, page, parties};
use crate::money::{amount, time};
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

/// Lines on the page: about 60 KB.
const LINES_SHOWN: u32 = 300;

/// Where a page of the statement begins.
#[derive(Default, Deserialize)]
pub(crate) struct Place {
    before: Option<String>,
}

/// `GET /statement`
pub(crate) async fn statement(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Params(q): Params<Place>,
) -> Result<Markup, Failure> {
    let before = cursor::<Pair<i64>>(q.before.as_deref());
    let lines = state.statement(customer.account, before, LINES_SHOWN).await?;
    let is_full = lines.len() == usize::try_from(LINES_SHOWN).unwrap_or(usize::MAX);
    let next = lines.last().filter(|_| is_full).map(|l| l.place);
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (t("Statement")) }
            p { (t("Every entry in our books that changed your available balance, newest first.")) }
            (parties(&visitor))
            p.small { (say!("Contracts and machines have statements of their own, which can be recomputed; {link} has all of it for programs.", link = html! { a href="/account/data" { (t("the export")) } })) }
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
                @if let Some(place) = next { p.actions { a.button.quiet href={ "/statement?before=" (place) } { (t("More")) } } }
            }
        }
    };
    Ok(page(&visitor, t("Statement"), true, &content))
}
