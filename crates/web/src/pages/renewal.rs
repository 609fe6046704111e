//! Going on with a contract: a renewal by an ordinary quote, and what its owner wishes to be done by itself.

use crate::extract::{Customer, Form, Id};
use crate::failure::{Failure, sentence};
use crate::layout::token;
use crate::pages::buy::quote_page;
use crate::state::AppState;
use crate::trade::market_failure;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_market::{ContractState, ContractView};
use gruve_units::{Amount, ContractId};
use maud::{Markup, html};
use serde::Deserialize;

/// The forms, while the contract runs.
pub(crate) fn sheet(visitor: &Visitor, c: &ContractView, terms: &[u64]) -> Markup {
    if c.state != ContractState::Active {
        return html! {};
    }
    html! {
        section.sheet #renewal aria-labelledby="renewal-h" {
            header { h2 #renewal-h { (t("Going on")) } }
            div.columns {
                @if !terms.is_empty() {
                    form.stack method="post" action={ "/contracts/" (c.id) "/renew" } {
                        (token(visitor))
                        div.field {
                            label for="renew-term" { (t("Renew for so many epochs, at today's price")) }
                            select #renew-term name="term" aria-describedby="renew-hint" { @for t in terms {
                                option value=(t) selected[*t == c.term_epochs] { (t) }
                            } }
                            p.hint #renew-hint {
                                (t("Bought, it begins with the epoch after this contract's last one and takes its machines over: no gap, nothing sold twice."))
                            }
                        }
                        button.quiet type="submit" { (t("See the price")) }
                    }
                }
                form.stack method="post" action={ "/contracts/" (c.id) "/wishes" } {
                    (token(visitor))
                    div.field {
                        label for="wish-max" { (say!("Renew it from my balance, for at most ({asset}; empty: do not)", asset = c.price.asset)) }
                        input #wish-max name="max" inputmode="decimal" autocomplete="off" aria-describedby="wish-hint";
                        p.hint #wish-hint { (t("What is kept here takes the place of what was wished before.")) }
                    }
                    label { input type="checkbox" name="reinvest" value="yes"; " " (t("Let its earnings buy more of the plan")) }
                    button.quiet type="submit" { (t("Keep these wishes")) }
                }
            }
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
    Ok(quote_page(&visitor, &plan, &quote))
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
