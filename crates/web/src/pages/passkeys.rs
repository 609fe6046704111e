//! Passkeys: their page under the account's security, and signing in with one. The only pages beside the
//! check of receipts that need a script: browsers give passkeys to nothing else.

use crate::assets::PASSKEYS_JS;
use crate::client::Client;
use crate::extract::{Customer, Form, Replaced};
use crate::failure::Failure;
use crate::layout::{Field, cell, page, token};
use crate::money::time;
use crate::pages::security::{Proof, Which, proof, recovery_page};
use crate::pages::session::signed_in;
use crate::passkeys::{Made, Signed, assertion, creation, failure};
use crate::security::local_path;
use crate::state::{AppState, Opened};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::{Passkey, Session, Ticket};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

/// The script, wherever a page offers passkeys.
pub(crate) fn script() -> Markup {
    html! { script src=(PASSKEYS_JS.path()) defer {} }
}

/// Where the script says what went wrong.
fn said() -> Markup {
    html! { p.error data-passkey-said=(t("The passkey was not given. Try again.")) role="alert" hidden {} }
}

/// Beside the field of a code: a passkey in its place.
pub(crate) fn instead_of_code() -> Markup {
    html! {
        div data-passkeys hidden {
            button.quiet type="button" data-passkey-proof { (t("Use a passkey as the code")) }
            (said())
        }
        (script())
    }
}

/// The fields that the script fills with a passkey's answer.
fn answer_fields() -> Markup {
    html! { @for name in ["id", "client", "authenticator", "signature", "user"] {
        input type="hidden" name=(name) value="";
    } }
}

/// Below the form of name and password: a passkey in place of both.
pub(crate) fn sign_in_button(state: &AppState, visitor: &Visitor, next: Option<&str>) -> Markup {
    html! { @if state.accounts().passkey_rules().is_some() {
        div data-passkeys hidden {
            form.stack #passkey-form method="post" action="/sign-in/passkey" data-passkey="get" data-options="/sign-in/passkey/options" {
                (token(visitor)) (answer_fields())
                @if let Some(n) = next { input type="hidden" name="next" value=(n); }
                details {
                    summary { (t("My passkey is on a security key")) }
                    div.field {
                        label for="passkey-login" { (t("Name")) }
                        input #passkey-login name="login" type="text" maxlength="256" autocomplete="username" autocapitalize="none" spellcheck="false"
                            aria-describedby="passkey-login-hint";
                        p.hint #passkey-login-hint { (t("Some security keys need to be told whose passkey is asked for. Others do not.")) }
                    }
                }
                div.actions { button.quiet type="submit" { (t("Sign in with a passkey")) } }
                (said())
            }
        }
        (script())
    } }
}

/// On the page that asks for a code: a passkey in its place.
pub(crate) fn second_step(
    state: &AppState,
    visitor: &Visitor,
    ticket: &str,
    next: Option<&str>,
) -> Markup {
    html! { @if state.accounts().passkey_rules().is_some() {
        div data-passkeys hidden {
            form #passkey-form method="post" action="/sign-in/passkey" data-passkey="get" data-options="/sign-in/passkey/options" {
                (token(visitor)) (answer_fields())
                input type="hidden" name="ticket" value=(ticket);
                @if let Some(n) = next { input type="hidden" name="next" value=(n); }
                button.quiet type="submit" { (t("Use a passkey")) }
                (said())
            }
        }
        (script())
    } }
}

/// What is signed in with.
#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    login: String,
    /// Where the password was right already.
    ticket: Option<String>,
}

/// `POST /sign-in/passkey/options`: what the authenticator is to sign.
pub(crate) async fn sign_in_options(
    State(state): State<AppState>,
    Form(form): Form<Begin>,
) -> Result<Response, Failure> {
    let accounts = state.accounts();
    let asked = match form.ticket {
        Some(ticket) => accounts.begin_passkey_second(&Ticket(ticket)).await,
        None => accounts.begin_passkey_sign_in(Some(&form.login)).await,
    };
    Ok(axum::Json(assertion(&asked.map_err(|e| failure(&e))?)).into_response())
}

/// A passkey's answer, and where to go on.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    id: String,
    client: String,
    authenticator: String,
    signature: String,
    #[serde(default)]
    user: String,
    ticket: Option<String>,
    next: Option<String>,
}

/// `POST /sign-in/passkey`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Client(from): Client,
    old: Replaced,
    Form(form): Form<SignIn>,
) -> Result<Response, Failure> {
    let SignIn { id, client, authenticator, signature, user, ticket, next } = form;
    let signed = Signed { id, client, authenticator, signature, user, _csrf: String::new() };
    let (given, accounts) = (signed.read()?, state.accounts());
    let session = match ticket {
        Some(t) => accounts.sign_in_second_by_passkey(&Ticket(t), &given, from).await,
        None => accounts.sign_in_by_passkey(&given, from).await,
    };
    let Session { token, expires, .. } = session.map_err(|e| failure(&e))?;
    signed_in(&state, &Opened { token, expires }, old, local_path(next.as_deref())).await
}

/// `GET /account/passkeys`
pub(crate) async fn passkeys(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let all = state.accounts().passkeys(customer.account).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (t("Passkeys")) }
            p { (t("A passkey is a key that your phone, computer or security key keeps. It signs you in with a finger, a face or a PIN, works on this site alone, and cannot be read aloud to a thief.")) }
        }
        section.sheet aria-labelledby="list-h" {
            header { h2 #list-h { (t("Your passkeys")) } }
            (table(&visitor, &all, factors))
        }
        @if let Some(rules) = state.accounts().passkey_rules() {
            section.sheet.narrow aria-labelledby="add-h" {
                header { h2 #add-h { (t("Add one")) } }
                p { (say!("It will be bound to {strong}. From then on the password alone does not sign in.", strong = html! { strong.wrap { (rules.host()) } })) }
                form.stack method="post" action="/account/passkeys" data-passkey="create" data-options="/account/passkeys/options" {
                    (token(&visitor))
                    @for name in ["client", "authenticator", "transports"] { input type="hidden" name=(name) value=""; }
                    (Field { id: "name", label: "Name", kind: "text", value: "", hint: "To know it by: the device, say. At most 40 characters.",
                        error: None, autocomplete: "off", inputmode: None }.draw())
                    (proof("passkey", factors))
                    div data-passkeys hidden { button type="submit" { (t("Add a passkey")) } (said()) }
                    noscript { p.note { (t("Passkeys need JavaScript: browsers offer them to scripts alone.")) } }
                }
                (script())
            }
        } @else {
            p.note { (t("This house takes no new passkeys: its operator has not set a public https address with a name, which they are bound to.")) }
        }
    };
    Ok(page(&visitor, t("Passkeys"), false, &content))
}

fn table(visitor: &Visitor, all: &[Passkey], factors: gruve_accounts::Factors) -> Markup {
    html! {
        @if all.is_empty() { p.empty { (t("None yet.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Name")) } th scope="col" { (t("Kept")) } th scope="col" { (t("Added")) }
                    th scope="col" { (t("Last used")) } th scope="col" { (t("Action")) } } }
                tbody { @for (n, p) in all.iter().enumerate() { tr {
                    (cell!("Name", p.name))
                    (cell!("Kept", if p.is_synced { t("in several devices") } else { t("in one device") }))
                    (cell!("Added", time(p.made)))
                    (cell!("Last used", match p.used { Some(at) => time(at), None => html! { (t("never")) } }))
                    (cell!("Action", html! {
                        details {
                            summary { (t("Rename")) span.visually-hidden { " " (p.name) } }
                            form.stack method="post" action="/account/passkeys/rename" {
                                (token(visitor)) input type="hidden" name="id" value=(p.id);
                                div.field {
                                    label for={ "rename-" (n) } { (t("Name")) }
                                    input id={ "rename-" (n) } name="name" type="text" required maxlength="40" value=(p.name) autocomplete="off";
                                }
                                button.quiet type="submit" { (t("Rename it")) }
                            }
                        }
                        details {
                            summary { (t("Remove")) span.visually-hidden { " " (p.name) } }
                            form.stack method="post" action="/account/passkeys/remove" {
                                (token(visitor)) input type="hidden" name="id" value=(p.id);
                                (proof(&format!("remove-{n}"), factors))
                                button.quiet type="submit" { (t("Remove it")) }
                            }
                        }
                    }))
                } } }
            }
        }
    }
}

/// `POST /account/passkeys/options`: what the authenticator is to make, after proof of who asks.
pub(crate) async fn add_options(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Response, Failure> {
    let proof = (form.password.as_str(), form.code.as_str());
    let asked = state.accounts().begin_passkey(customer.account, proof, from).await;
    Ok(axum::Json(creation(&asked.map_err(|e| failure(&e))?)).into_response())
}

/// `POST /account/passkeys`: with the first factor the codes for a lost device are shown.
pub(crate) async fn add(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Form(form): Form<Made>,
) -> Result<Response, Failure> {
    let codes = state.accounts().add_passkey(customer.account, &form.read()?).await;
    let codes = codes.map_err(|e| failure(&e))?;
    if codes.is_empty() {
        return Ok(Redirect::to("/account/passkeys").into_response());
    }
    Ok(recovery_page(&visitor, &codes).into_response())
}

/// A new name.
#[derive(Deserialize)]
pub(crate) struct Renamed {
    id: String,
    name: String,
}

/// `POST /account/passkeys/rename`
pub(crate) async fn rename(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Renamed>,
) -> Result<Redirect, Failure> {
    let renamed = state.accounts().rename_passkey(customer.account, &form.id, &form.name).await;
    renamed.map_err(|e| failure(&e))?;
    Ok(Redirect::to("/account/passkeys"))
}

/// Which one, with proof of who asks.
#[derive(Deserialize)]
pub(crate) struct Removed {
    #[serde(flatten)]
    which: Which,
    #[serde(flatten)]
    proof: Proof,
}

/// `POST /account/passkeys/remove`
pub(crate) async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Removed>,
) -> Result<Redirect, Failure> {
    let (id, proof) = (form.which.id, (form.proof.password.as_str(), form.proof.code.as_str()));
    let removed = state.accounts().remove_passkey(customer.account, &id, proof, from).await;
    removed.map_err(|e| failure(&e))?;
    Ok(Redirect::to("/account/passkeys"))
}

/// `POST /account/passkeys/proof/options`
pub(crate) async fn proof_options(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    let asked = state.accounts().begin_passkey_proof(customer.account).await;
    Ok(axum::Json(assertion(&asked.map_err(|e| failure(&e))?)).into_response())
}

/// `POST /account/passkeys/proof`: what stands in for a code, once.
pub(crate) async fn prove(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Signed>,
) -> Result<Response, Failure> {
    let proof = state.accounts().prove_by_passkey(customer.account, &form.read()?).await;
    Ok(axum::Json(json!({ "code": proof.map_err(|e| failure(&e))?.0 })).into_response())
}
