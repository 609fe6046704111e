//! Pages that messages lead to: confirming an address, a new password, stopping a change. Opening one
//! changes nothing, because mail programs open links by themselves; its button does.

use crate::client::Client;
use crate::extract::{Customer, Form, Params};
use crate::failure::Failure;
use crate::layout::{Field, page, token};
use crate::money::time;
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{Confirmed, Ticket};
use maud::{Markup, html};
use serde::Deserialize;

/// A ticket in a link.
#[derive(Default, Deserialize)]
pub(crate) struct Held {
    #[serde(default)]
    pub(crate) ticket: String,
}

pub(crate) fn told(visitor: &Visitor, title: &str, text: &str, to: (&str, &str)) -> Markup {
    let content = html! {
        div.lead { h1 { (t(title)) } p { (t(text)) } }
        p.actions { a.button href=(to.0) { (t(to.1)) } }
    };
    page(visitor, t(title), false, &content)
}

pub(crate) fn press(
    visitor: &Visitor,
    title: &str,
    text: &str,
    action: &str,
    ticket: &str,
) -> Markup {
    let content = html! {
        div.lead { h1 { (t(title)) } p { (t(text)) } }
        form method="post" action=(action) {
            (token(visitor))
            input type="hidden" name="ticket" value=(ticket);
            button type="submit" { (t(title)) }
        }
    };
    page(visitor, t(title), false, &content)
}

/// `GET /confirm`
pub(crate) async fn confirm_form(visitor: Visitor, Params(q): Params<Held>) -> Markup {
    press(
        &visitor,
        "Confirm your address",
        "You have come by a link in our message.",
        "/confirm",
        &q.ticket,
    )
}

/// `POST /confirm`
pub(crate) async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<Held>,
) -> Result<Markup, Failure> {
    let done = state.accounts().confirm(&Ticket(form.ticket)).await;
    Ok(match done.map_err(|e| accounts_failure(&e))? {
        Confirmed::SignUp => {
            told(&visitor, "Confirmed", "Your account is open.", ("/sign-in", "Sign in"))
        }
        Confirmed::NewAddress(at) => {
            let content = html! {
                div.lead { h1 { (t("Confirmed")) } p { (say!("The new address counts from {at} on.", at = time(at))) } }
            };
            page(&visitor, t("Confirmed"), false, &content)
        }
    })
}

/// `GET /undo`
pub(crate) async fn undo_form(visitor: Visitor, Params(q): Params<Held>) -> Markup {
    press(
        &visitor,
        "Stop this change",
        "You have come by a link in our message.",
        "/undo",
        &q.ticket,
    )
}

/// `POST /undo`
pub(crate) async fn undo(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<Held>,
) -> Result<Markup, Failure> {
    state.undo(form.ticket).await?;
    let text = "If it was not you who asked for it, set a new password now.";
    Ok(told(&visitor, "Stopped", text, ("/forgot", "Set a new password")))
}

/// `GET /forgot`
pub(crate) async fn forgot_form(visitor: Visitor) -> Markup {
    let content = html! {
        div.lead { h1 { (t("A new password")) } p { (t("We send a link to the address of your account.")) } }
        section.sheet.narrow {
            form.stack method="post" action="/forgot" {
                (token(&visitor))
                (Field { id: "email", label: "E-mail", kind: "email", value: "",
                    hint: "The one that your account has.", error: None, autocomplete: "email",
                    inputmode: Some("email") }.draw())
                button type="submit" { (t("Send the link")) }
            }
        }
    };
    page(&visitor, t("A new password"), false, &content)
}

/// An address.
#[derive(Deserialize)]
pub(crate) struct Address {
    email: String,
}

/// `POST /forgot`: the same answer whether there is such an account.
pub(crate) async fn forgot(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    Form(form): Form<Address>,
) -> Result<Markup, Failure> {
    let asked = state.accounts().ask_for_reset_from(&form.email, from.address).await;
    asked.map_err(|e| accounts_failure(&e))?;
    let text = "If an account has this address, a message is on its way to it. The link is good for an hour.";
    Ok(told(&visitor, "Look into your mail", text, ("/sign-in", "Sign in")))
}

/// `GET /reset`
pub(crate) async fn reset_form(visitor: Visitor, Params(q): Params<Held>) -> Markup {
    let content = html! {
        div.lead { h1 { (t("Set a new password")) } p { (t("You are signed out everywhere by it.")) } }
        section.sheet.narrow {
            form.stack method="post" action="/reset" {
                (token(&visitor))
                input type="hidden" name="ticket" value=(q.ticket);
                (Field { id: "new", label: "New password", kind: "password", value: "",
                    hint: "At least 12 characters. A few unrelated words are good.",
                    error: None, autocomplete: "new-password", inputmode: None }.draw())
                button type="submit" { (t("Set it")) }
            }
        }
    };
    page(&visitor, t("Set a new password"), false, &content)
}

/// A new password by a ticket.
#[derive(Deserialize)]
pub(crate) struct Reset {
    ticket: String,
    new: String,
}

/// `POST /reset`
pub(crate) async fn reset(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<Reset>,
) -> Result<Markup, Failure> {
    state.reset_password(form.ticket, &form.new).await?;
    let text = "Sign in with the new password; a second factor is asked for as ever.";
    Ok(told(&visitor, "The password is set", text, ("/sign-in", "Sign in")))
}

/// A new address of the account, with the proof of who asks.
#[derive(Deserialize)]
pub(crate) struct NewEmail {
    password: String,
    #[serde(default)]
    code: String,
    email: String,
}

/// `POST /account/email`
pub(crate) async fn change_email(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<NewEmail>,
) -> Result<Redirect, Failure> {
    let proof = (form.password.as_str(), Some(form.code.as_str()));
    let asked = state.accounts().ask_for_email(customer.account, proof, &form.email, from).await;
    asked.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/security"))
}
