//! Opening an account, signing in and out.

use crate::client::Client;
use crate::extract::{Customer, Form, Params, Replaced};
use crate::failure::{Failure, sentence};
use crate::layout::{Field, page, token};
use crate::pages::{lost, passkeys};
use crate::security::{Cookie, local_path};
use crate::state::{AppState, SignedIn, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{find, heard, say, spoken, t};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::Ticket;
use maud::{Markup, html};
use serde::Deserialize;

/// The query of the sign-in page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

/// `GET /sign-in`
pub(crate) async fn sign_in_form(
    State(state): State<AppState>,
    visitor: Visitor,
    Params(q): Params<Next>,
) -> Response {
    if visitor.name.is_some() {
        return Redirect::to(local_path(q.next.as_deref())).into_response();
    }
    sign_in_page(&state, &visitor, "", q.next.as_deref(), None).into_response()
}

fn sign_in_page(
    state: &AppState,
    visitor: &Visitor,
    login: &str,
    next: Option<&str>,
    error: Option<&str>,
) -> Markup {
    let can_reset = state.accounts().mail_rules().is_some();
    let content = html! {
        div.lead { h1 { (t("Sign in")) } }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        section.sheet.narrow {
            form.stack method="post" action="/sign-in" {
                (token(visitor))
                @if let Some(n) = next { input type="hidden" name="next" value=(n); }
                (Field { id: "login", label: "Name or e-mail", kind: "text", value: login, hint: "As you gave it when you opened the account.",
                    error: None, autocomplete: "username", inputmode: None }.draw())
                (Field { id: "password", label: "Password", kind: "password", value: "", hint: "After too many wrong tries you have to wait a little.",
                    error: None, autocomplete: "current-password", inputmode: None }.draw())
                div.actions { button type="submit" { (t("Sign in")) } }
            }
            (passkeys::sign_in_button(state, visitor, next))
            @if can_reset { p.small { a href="/forgot" { (t("Forgotten your password?")) } } }
            p.small { (say!("No account yet? {link}.", link = html! { a href="/sign-up" { (t("Open one")) } })) }
        }
    };
    page(visitor, t("Sign in"), false, &content)
}

/// The sign-in form.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    login: String,
    password: String,
    next: Option<String>,
}

/// `POST /sign-in`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    old: Replaced,
    Form(form): Form<SignIn>,
) -> Result<Response, Failure> {
    match state.sign_in(&form.login, &form.password, from).await {
        Ok(SignedIn::Yes(opened)) => {
            signed_in(&state, &opened, old, local_path(form.next.as_deref())).await
        }
        Ok(SignedIn::CodeNeeded(ticket)) => {
            Ok(code_page(&state, &visitor, &ticket.0, form.next.as_deref(), None).into_response())
        }
        Err(f) if f.status.is_client_error() => {
            let next = form.next.as_deref();
            let body = sign_in_page(&state, &visitor, &form.login, next, Some(&f.detail));
            let mut response = (f.status, body).into_response();
            if let Some(after) = f.retry_after {
                let after = HeaderValue::from(after.as_secs());
                response.headers_mut().insert(header::RETRY_AFTER, after);
            }
            Ok(response)
        }
        Err(f) => Err(f),
    }
}

fn code_page(
    state: &AppState,
    visitor: &Visitor,
    ticket: &str,
    next: Option<&str>,
    error: Option<&str>,
) -> Markup {
    let content = html! {
        div.lead { h1 { (t("Your code")) } p { (t("The password was right. Your account asks for a code besides.")) } }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        section.sheet.narrow {
            form.stack method="post" action="/sign-in/code" {
                (token(visitor))
                input type="hidden" name="ticket" value=(ticket);
                @if let Some(n) = next { input type="hidden" name="next" value=(n); }
                (Field { id: "code", label: "Code", kind: "text", value: "",
                    hint: "From your program, or one of the codes for a lost device.",
                    error: None, autocomplete: "one-time-code", inputmode: None }.draw())
                div.actions { button type="submit" { (t("Sign in")) } }
            }
            (passkeys::second_step(state, visitor, ticket, next))
            (lost::offer(state, visitor, ticket))
        }
    };
    page(visitor, t("Your code"), false, &content)
}

/// The form of a code.
#[derive(Deserialize)]
pub(crate) struct SecondStep {
    ticket: String,
    code: String,
    next: Option<String>,
}

/// `POST /sign-in/code`
pub(crate) async fn sign_in_code(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    old: Replaced,
    Form(form): Form<SecondStep>,
) -> Result<Response, Failure> {
    let next = form.next.as_deref();
    let ticket = Ticket(form.ticket);
    match state.sign_in_second(&ticket, &form.code, from).await {
        Ok(opened) => signed_in(&state, &opened, old, local_path(next)).await,
        Err(f) if f.status.is_client_error() => {
            let body = code_page(&state, &visitor, &ticket.0, next, Some(&f.detail));
            Ok((f.status, body).into_response())
        }
        Err(f) => Err(f),
    }
}

/// The cookie of a new session and the way on. The one whose cookie it takes the place of ends: nobody could end it
/// from that browser any more.
pub(crate) async fn signed_in(
    state: &AppState,
    opened: &crate::state::Opened,
    Replaced(old): Replaced,
    to: &str,
) -> Result<Response, Failure> {
    if let Some(old) = old {
        state.accounts().sign_out(&old).await?;
    }
    let life = opened.expires.since(state.now()).as_secs();
    let cookie = Cookie::Session
        .set(&opened.token, state.config().secure_cookies, life)
        .ok_or_else(|| Failure::fault(&"a session token cannot stand in a cookie"))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(to)).into_response())
}

/// `GET /sign-up`
pub(crate) async fn sign_up_form(visitor: Visitor) -> Response {
    if visitor.name.is_some() {
        return Redirect::to("/account").into_response();
    }
    sign_up_page(&visitor, "", "", None).into_response()
}

fn sign_up_page(visitor: &Visitor, name: &str, email: &str, error: Option<&str>) -> Markup {
    let content = html! {
        div.lead {
            h1 { (t("Open an account")) }
            p { (t("A name, an address for messages and a password: that is all.")) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        section.sheet.narrow {
            form.stack method="post" action="/sign-up" {
                (token(visitor))
                (Field { id: "name", label: "Name", kind: "text", value: name,
                    hint: "3 to 32 of a–z, 0–9, - and _. Machines of your own log in with it too.",
                    error: None, autocomplete: "username", inputmode: None }.draw())
                (Field { id: "email", label: "E-mail", kind: "email", value: email,
                    hint: "Only for messages about your account.",
                    error: None, autocomplete: "email", inputmode: Some("email") }.draw())
                (Field { id: "password", label: "Password", kind: "password", value: "",
                    hint: "At least 12 characters. A few unrelated words are good.",
                    error: None, autocomplete: "new-password", inputmode: None }.draw())
                div.actions { button type="submit" { (t("Open the account")) } }
            }
            p.small { (say!("Already have one? {link}.", link = html! { a href="/sign-in" { (t("Sign in")) } })) }
        }
    };
    page(visitor, t("Open an account"), false, &content)
}

/// The sign-up form.
#[derive(Deserialize)]
pub(crate) struct SignUp {
    name: String,
    email: String,
    password: String,
}

/// `POST /sign-up`
pub(crate) async fn sign_up(
    State(state): State<AppState>,
    visitor: Visitor,
    Client(from): Client,
    headers: HeaderMap,
    old: Replaced,
    Form(form): Form<SignUp>,
) -> Result<Response, Failure> {
    let made = state.sign_up(&form.name, &form.email, &form.password, &from).await;
    if let Ok(account) = &made {
        let chosen = Cookie::Language.read(&headers, state.config().secure_cookies);
        // Of what no page causes the account is written to in the language in which it was opened.
        let read = || Some(spoken()).filter(|language| language.code != "en");
        if let Some(language) = chosen.and_then(find).or_else(read) {
            let set = state.accounts().set_language(*account, Some(language.code)).await;
            set.map_err(|e| accounts_failure(&e))?;
        }
    }
    let opened = match made {
        Ok(_) if state.accounts().mail_rules().is_some_and(|r| r.confirm_sign_up) => {
            let content = html! {
                div.lead {
                    h1 { (t("Look into your mail")) }
                    p { (say!("We have sent a link to {strong}. Open it to confirm the address; then sign in.", strong = html! { strong.wrap { (form.email) } })) }
                }
            };
            return Ok(page(&visitor, t("Look into your mail"), false, &content).into_response());
        }
        Ok(_) => match state.sign_in(&form.name, &form.password, from).await? {
            SignedIn::Yes(opened) => opened,
            SignedIn::CodeNeeded(_) => return Err(Failure::second_factor()),
        },
        Err(f) if f.status.is_client_error() => {
            let detail = sentence(&f.detail);
            let body = sign_up_page(&visitor, &form.name, &form.email, Some(&detail));
            return Ok((f.status, body).into_response());
        }
        Err(f) => return Err(f),
    };
    signed_in(&state, &opened, old, "/account").await
}

/// `POST /sign-out`
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Response, Failure> {
    state.accounts().sign_out(&customer.token).await?;
    let cookie = Cookie::Session.clear(state.config().secure_cookies);
    let cookie = cookie.ok_or_else(|| Failure::fault(&"an empty cookie cannot be written"))?;
    let to = [
        (header::SET_COOKIE, cookie),
        (header::LOCATION, "/".parse().map_err(|_| Failure::fault(&"a path"))?),
    ];
    Ok((StatusCode::SEE_OTHER, to).into_response())
}
