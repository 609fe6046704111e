//! A second factor that is lost, codes for a lost device and all: asked for where a code would be, begun by the link in
//! a message, told on every page, and stopped there. What it promises stands with [`Accounts::begin_dropping_factor`].
//!
//! [`Accounts::begin_dropping_factor`]: gruve_accounts::Accounts::begin_dropping_factor

use crate::extract::{Customer, Form, Params};
use crate::failure::Failure;
use crate::layout::{page, token};
use crate::money::{span_text, time};
use crate::pages::letters::{Held, press, told};
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{LostFactor, Ticket};
use maud::{Markup, html};

/// On the page that asks for a code: the way for who has none left.
pub(crate) fn offer(state: &AppState, visitor: &Visitor, ticket: &str) -> Markup {
    html! { @if let Some(delay) = state.accounts().recovery_delay() {
        details {
            summary { (t("I have neither my device nor a code")) }
            p.small { (say!("We send a link to the address of your account. It takes the second factor off after {delay}; until then you are told each day, nothing is paid out, and whoever is signed in can stop it.", delay = span_text(delay))) }
            form method="post" action="/sign-in/lost" {
                (token(visitor))
                input type="hidden" name="ticket" value=(ticket);
                button.quiet type="submit" { (t("Send the link")) }
            }
        }
    } }
}

/// `POST /sign-in/lost`
pub(crate) async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<Held>,
) -> Result<Markup, Failure> {
    let asked = state.accounts().ask_to_drop_factor(&Ticket(form.ticket)).await;
    asked.map_err(|e| accounts_failure(&e))?;
    let text =
        "A message with a link is on its way to the address of your account. It is good for a day.";
    Ok(told(&visitor, "Look into your mail", text, ("/sign-in", "Sign in")))
}

/// `GET /lost-factor`
pub(crate) async fn begin_form(visitor: Visitor, Params(q): Params<Held>) -> Markup {
    press(
        &visitor,
        "Take the second factor off",
        "You have come by a link in our message. It is not done at once: you are told each day until then, and can stop it.",
        "/lost-factor",
        &q.ticket,
    )
}

/// `POST /lost-factor`
pub(crate) async fn begin(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<Held>,
) -> Result<Markup, Failure> {
    let lost = state.accounts().begin_dropping_factor(&Ticket(form.ticket)).await;
    let lost = lost.map_err(|e| accounts_failure(&e))?;
    let content = html! {
        div.lead {
            h1 { (t("The wait has begun")) }
            p { (say!("The second factor is taken off {due}. Then sign in with the password alone, and set a new one up. Payouts go again from {free} on.", due = time(lost.due), free = time(lost.free))) }
            p { (t("If you find your device or a code meanwhile, sign in with it: that stops it.")) }
        }
    };
    Ok(page(&visitor, t("The wait has begun"), false, &content))
}

/// Above every page of an account whose factor is said to be lost.
pub(crate) fn banner(visitor: &Visitor, lost: &LostFactor) -> Markup {
    html! {
        aside.warning aria-label=(t("Second factor")) { div.inner {
            @if lost.done.is_none() {
                p { (say!("Somebody who has your password and reads your mail said that the second factor of this account is lost. It is taken off {due}, and nothing is paid out until then. If it was not you, keep it and set a new password.", due = time(lost.due))) }
                form method="post" action="/account/factor/keep" {
                    (token(visitor)) button type="submit" { (t("Keep the factor")) }
                }
            } @else {
                p { (say!("The second factor of this account was taken off because it was said to be lost. Nothing is paid out before {free}. If it was not you, set a new password and write to us.", free = time(lost.free))) }
            }
        } }
    }
}

/// `POST /account/factor/keep`
pub(crate) async fn keep(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Redirect, Failure> {
    let kept = state.accounts().keep_factor(None, customer.account).await;
    kept.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/security"))
}
