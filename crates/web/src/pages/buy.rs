//! Buying: choose, see the whole price, confirm, pay.

use crate::client::Client;
use crate::extract::{Customer, Form, Params};
use crate::failure::Failure;
use crate::gate::percent_encoded;
use crate::layout::{Field, page, token};
use crate::money::{amount, rate, term_text, time, work};
use crate::pages::estimate::{self, Figures};
use crate::pages::plans::{
    NOT_PROVEN, has_upkeep, plan_terms, risk, upkeep, while_it_does_not_pay,
};
use crate::state::AppState;
use crate::view::{LaneView, basis_points, rule_of};
use crate::visitor::Visitor;
use crate::words::{counted, heard, say, t};
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_market::{Ask, Plan, Quote, QuoteForecast, Unprofitable};
use gruve_units::QuoteId;
use maud::{Markup, html};
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// The query of the form: the plan, and what is chosen of it so far.
#[derive(Deserialize)]
pub(crate) struct Which {
    plan: String,
    hashrate: Option<String>,
    term: Option<String>,
}

/// What the buyer chose, as typed.
#[derive(Deserialize)]
pub(crate) struct Choice {
    plan: String,
    hashrate: String,
    term: String,
}

async fn plan_and_lane(state: &AppState, id: &str) -> Result<(Plan, Option<LaneView>), Failure> {
    let plan = state.market().plans().into_iter().find(|p| p.id == id);
    let plan = plan.ok_or_else(|| Failure::not_found("plan"))?;
    let lane = state.lanes().await?.into_iter().find(|l| l.stats.lane == plan.lane);
    Ok((plan, lane))
}

/// `GET /buy?plan=…`
pub(crate) async fn choose(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    Params(q): Params<Which>,
) -> Result<Markup, Failure> {
    let (plan, lane) = plan_and_lane(&state, &q.plan).await?;
    let first = plan.terms_epochs.first().map(u64::to_string);
    let start = Choice {
        plan: plan.id.clone(),
        hashrate: q.hashrate.unwrap_or_else(|| estimate::field_rate(plan.hashrate_min)),
        term: q.term.or(first).unwrap_or_default(),
    };
    let ahead = estimate::sheet(estimated(&state, &plan, &start, from.address).await)?;
    Ok(choose_page(&visitor, &plan, lane.as_ref(), &start, None, &ahead))
}

fn typed_term(choice: &Choice) -> Result<u64, Failure> {
    choice.term.trim().parse().map_err(|_| Failure::refused("Choose one of the terms."))
}

async fn estimated(
    state: &AppState,
    plan: &Plan,
    choice: &Choice,
    from: Option<IpAddr>,
) -> Result<Arc<Figures>, Failure> {
    let ask = Ask::Lease(estimate::typed_rate(&choice.hashrate)?, typed_term(choice)?);
    state.estimate(plan, ask, from).await
}

fn choose_page(
    visitor: &Visitor,
    plan: &Plan,
    lane: Option<&LaneView>,
    choice: &Choice,
    error: Option<&str>,
    ahead: &Markup,
) -> Markup {
    let hint = estimate::rate_hint(plan);
    let rate_chosen = estimate::typed_rate(&choice.hashrate).ok();
    let content = html! {
        div.lead {
            p.crumbs { a href="/plans" { (t("Plans")) } }
            h1 { (say!("Buy: {title}", title = plan.title)) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        div.two.order {
            section.sheet aria-labelledby="choose-h" {
                header { h2 #choose-h { (t("Choose")) } }
                form.stack method="post" action="/buy" data-estimate="/buy" data-fields="plan hashrate term" {
                    input type="hidden" name="plan" value=(plan.id);
                    (Field { id: "hashrate", label: "Hashrate", kind: "text", value: &choice.hashrate, hint: &hint,
                        error: None, autocomplete: "off", inputmode: None }.draw())
                    (estimate::rate_range(plan, rate_chosen))
                    div.field {
                        label for="term" { (t("Term")) }
                        select #term name="term" required {
                            @for t in &plan.terms_epochs {
                                option value=(t) selected[choice.term == t.to_string()] {
                                    (term_text(*t, rule_of(plan.epoch_us)))
                                }
                            }
                        }
                        (estimate::list_range("term", t("Term, by steps"), plan.terms_epochs.len()))
                    }
                    // The token goes with the button that needs it, never into an address.
                    div.actions {
                        button type="submit" name="csrf" value=(visitor.csrf) { (t("Show the total")) }
                        (estimate::recompute("/buy"))
                    }
                    p.small.soft { (t("Nothing is bought yet: the next page shows the whole price.")) }
                }
            }
            (ahead)
            section.sheet aria-labelledby="terms-h" {
                header { h2 #terms-h { (t("Terms")) } }
                (plan_terms(plan))
                @if let Some(l) = lane {
                    p.small.soft #on-sale data-live="lanes" {
                        @if l.is_proven() { (say!("On sale now: {available}.", available = rate(l.stats.available))) } @else { (t(NOT_PROVEN)) }
                    }
                }
            }
        }
        (risk([plan]))
    };
    page(visitor, t("Buy"), true, &content)
}

/// `POST /buy`: makes a quote and shows it.
pub(crate) async fn quote(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(choice): Form<Choice>,
) -> Result<Response, Failure> {
    let (plan, lane) = plan_and_lane(&state, &choice.plan).await?;
    let asked = estimate::typed_rate(&choice.hashrate).and_then(|r| Ok((r, typed_term(&choice)?)));
    let quoted = match asked {
        Ok((rate, term)) => state.quote(customer.account, &plan.id, rate, term).await,
        Err(f) => Err(f),
    };
    match quoted {
        Ok(q) => Ok(quote_page(&state, &visitor, &plan, &q).await.into_response()),
        Err(f) if f.status.is_client_error() => {
            let ahead = estimate::sheet(estimated(&state, &plan, &choice, from.address).await)?;
            let why = Some(f.detail.as_str());
            let page = choose_page(&visitor, &plan, lane.as_ref(), &choice, why, &ahead);
            Ok((f.status, page).into_response())
        }
        Err(f) => Err(f),
    }
}

/// A quote, with all that it comes to and the button that buys it.
pub(crate) async fn quote_page(
    state: &AppState,
    visitor: &Visitor,
    plan: &Plan,
    q: &Quote,
) -> Markup {
    let figures = state.figures_of(plan, q).await;
    let content = html! {
        div.lead {
            p.crumbs { a href="/plans" { (t("Plans")) } " / " a href={ "/buy?plan=" (percent_encoded(&plan.id)) } { (plan.title) } }
            h1 { (t("Your total")) }
        }
        div.two.order {
            section.sheet aria-labelledby="total-h" {
                header { h2 #total-h { (plan.title) } }
                dl.pairs {
                    dt { (t("Hashrate")) } dd { (rate(q.hashrate)) }
                    dt { (t("Term")) } dd { (term_text(q.term_epochs, rule_of(plan.epoch_us))) }
                    dt { (t("Work bought")) } dd { (work(q.work)) }
                    dt { (t("Fee on earnings")) } dd { (say!("{fee_bps}, taken when earnings are settled", fee_bps = basis_points(plan.fee_bps))) }
                    dt { (t("Maintenance")) } dd { (upkeep(plan)) }
                    @if plan.life.unprofitable == Unprofitable::Pause { dt { (t("If it does not pay")) } dd { (while_it_does_not_pay(plan)) } }
                    dt.total { (t("Total to pay now")) } dd.total { (amount(q.price)) }
                    dt { (t("Price holds until")) } dd { (time(q.expires)) }
                }
                p.small.soft {
                    @if has_upkeep(plan) { (t("Only the total is paid now; fee and maintenance come out of earnings and never exceed them.")) }
                    @else { (t("Only the total is paid now; the fee comes out of earnings.")) }
                    " " (t("The network fees of your own payment and of your payouts come on top; they go to the network, not to us. There are no other costs."))
                }
                form.actions method="post" action="/contracts" {
                    (token(visitor))
                    input type="hidden" name="quote" value=(q.id);
                    button type="submit" { (t("Buy and show the invoice")) }
                    a.button.quiet href={ "/buy?plan=" (percent_encoded(&plan.id)) } { (t("Change")) }
                }
            }
            (forecast(q.forecast.as_ref()))
            section.sheet aria-labelledby="costs-h" {
                header { h2 #costs-h { (t("All costs in one total")) } }
                (estimate::costs_in_all(&figures))
            }
            (risk([plan]))
        }
    };
    page(visitor, t("Your total"), false, &content)
}

/// What the purchase may earn, and the plain sentence where the buyer should expect to lose.
fn forecast(of: Option<&QuoteForecast>) -> Markup {
    html! {
        section.sheet #forecast aria-labelledby="forecast-h" {
            header { h2 #forecast-h { (t("What it may earn")) } }
            @match of {
                None => p { (t("No forecast: this lane has no job yet, or no block of its chain is known.")) },
                Some(f) => {
                    @if f.expects_loss == Some(true) { p.message.bad { (t("You should expect to lose money on this purchase.")) } }
                    @for w in &f.words { p { (heard(w)) } }
                    @if let Some(secs) = f.break_even_secs {
                        p { (say!("Where the price comes back, it does so after {secs} (the middle of those futures).", secs = span_text(secs))) }
                    }
                    p.small.soft { (say!("{scenarios} futures drawn by the model “{model}”, seed {code}. It is kept with the contract, to be held against what it really earns.", scenarios = f.given.scenarios, model = f.model, code = html! { code { (f.given.seed) } })) }
                }
            }
        }
    }
}

/// A time in days, or in minutes where it is shorter.
pub(crate) fn span_text(secs: u64) -> String {
    if secs >= 2 * 86_400 {
        counted!("{n} day", "{n} days", secs.div_ceil(86_400))
    } else {
        counted!("{n} minute", "{n} minutes", secs.div_ceil(60))
    }
}

/// The confirmation.
#[derive(Deserialize)]
pub(crate) struct Confirm {
    quote: QuoteId,
}

/// `POST /contracts`: buys; pressing twice buys once.
pub(crate) async fn buy(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Confirm>,
) -> Result<Redirect, Failure> {
    let bought = state.buy(customer.account, form.quote).await?;
    Ok(Redirect::to(&format!("/invoices/{}", bought.invoice)))
}
