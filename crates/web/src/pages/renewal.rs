//! Going on with a contract: a renewal by an ordinary quote, and what its owner wishes to be done by itself.

use crate::extract::{Customer, Form, Id};
use crate::failure::{Failure, sentence};
use crate::layout::token;
use crate::money::{amount, local, term_text};
use crate::pages::buy::quote_page;
use crate::state::AppState;
use crate::trade::market_failure;
use crate::view::rule_of;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_market::{ContractState, ContractView, GoingOn};
use gruve_units::{Amount, ContractId};
use maud::{Markup, html};
use serde::Deserialize;

/// The forms, while the contract runs, and what holds by now.
pub(crate) fn sheet(visitor: &Visitor, c: &ContractView, terms: &[u64], on: &GoingOn) -> Markup {
    if c.state != ContractState::Active {
        return html! {};
    }
    html! {
        section.sheet #renewal data-live="lanes money" aria-labelledby="renewal-h" {
            header { h2 #renewal-h { (t("Going on")) } }
            (as_it_is(c, on))
            div.columns {
                @if !terms.is_empty() && on.follower.is_none() { (by_hand(visitor, c, terms, on)) }
                (by_itself(visitor, c, on))
            }
        }
    }
}

/// What will happen without anybody's doing.
fn as_it_is(c: &ContractView, on: &GoingOn) -> Markup {
    let max = on.renew_max_minor.map(|minor| Amount::new(c.price.asset, minor));
    html! {
        @if let Some(id) = on.follower {
            p { (say!("{link} follows it without a gap, as soon as it is paid.", link = html! { a href={ "/contracts/" (id) } { (t("Its renewal")) } })) }
        } @else if let Some(max) = max {
            p { (say!("It is renewed from your balance shortly before its end, for at most {max}.", max = amount(max))) }
        } @else {
            p { (t("It is not renewed by itself.")) }
        }
        @if on.reinvest { p { (t("What it is credited buys more of the plan, as soon as it suffices for the least of it.")) } }
    }
}

/// A renewal at today's price, from some time before the end on.
fn by_hand(visitor: &Visitor, c: &ContractView, terms: &[u64], on: &GoingOn) -> Markup {
    let rule = rule_of(c.epoch_us);
    html! {
        form.stack method="post" action={ "/contracts/" (c.id) "/renew" } {
            (token(visitor))
            div.field {
                label for="renew-term" { (t("Renew it at today's price, for")) }
                select #renew-term name="term" aria-describedby="renew-hint" { @for t in terms {
                    option value=(t) selected[*t == c.term_epochs] { (term_text(*t, rule)) }
                } }
                p.hint #renew-hint {
                    @if on.is_renewable { (t("Bought, it begins with the epoch after this contract's last one and takes its machines over: no gap, nothing sold twice.")) }
                    @else { (say!("Possible when at most {epochs} are left of its work or time.", epochs = term_text(on.renewable_epochs, rule))) }
                }
            }
            button.quiet type="submit" disabled[!on.is_renewable] { (t("See the price")) }
        }
    }
}

/// What is to be done of itself, as it is wished now.
fn by_itself(visitor: &Visitor, c: &ContractView, on: &GoingOn) -> Markup {
    let max = on.renew_max_minor.map(|minor| Amount::new(c.price.asset, minor));
    let written = max.map(|max| local(&max.decimal())).unwrap_or_default();
    html! {
        form.stack method="post" action={ "/contracts/" (c.id) "/wishes" } {
            (token(visitor))
            div.field {
                label for="wish-max" { (say!("Renew it from my balance, for at most ({asset}; empty: do not)", asset = c.price.asset)) }
                input #wish-max name="max" value=(written) inputmode="decimal" autocomplete="off" maxlength="40" aria-describedby="wish-hint";
                p.hint #wish-hint { (t("What is kept here takes the place of what was wished before.")) }
            }
            // Only what is paid in the coin that it earns can be bought from its earnings.
            @if c.price.asset == c.asset {
                label { input type="checkbox" name="reinvest" value="yes" checked[on.reinvest]; " " (t("Let its earnings buy more of the plan")) }
            }
            button.quiet type="submit" { (t("Keep these wishes")) }
        }
    }
}

/// For how long, as a form.
#[derive(Deserialize)]
pub(crate) struct Renewal {
    term: u64,
}

/// `POST /contracts/{id}/renew`: a quote, to be bought like any other.
pub(crate) async fn renew(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(renewal): Form<Renewal>,
) -> Result<Markup, Failure> {
    let quote = state.market().quote_renewal(customer.account, id, renewal.term).await;
    let quote = quote.map_err(|e| market_failure(&e))?;
    let plan = state.market().plan(&quote.plan).map_err(|e| market_failure(&e))?;
    Ok(quote_page(&state, &visitor, &plan, &quote).await)
}

/// What is wished, as a form.
#[derive(Deserialize)]
pub(crate) struct Wish {
    max: String,
    reinvest: Option<String>,
}

/// `POST /contracts/{id}/wishes`
pub(crate) async fn wish(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<ContractId>,
    Form(w): Form<Wish>,
) -> Result<Redirect, Failure> {
    let c = state.contract(customer.account, id).await?;
    let max = match w.max.trim() {
        "" => None,
        text => {
            let amount = Amount::parse_decimal(c.price.asset, &crate::console::figure(text)?);
            Some(amount.map_err(|e| Failure::refused(sentence(&e.to_string())))?.minor)
        }
    };
    let wished = state.market().wish(customer.account, id, max, w.reinvest.is_some()).await;
    wished.map_err(|e| market_failure(&e))?;
    Ok(Redirect::to(&format!("/contracts/{id}")))
}
