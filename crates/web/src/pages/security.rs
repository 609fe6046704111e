//! How an account is protected: password, second factor, sessions, keys for programs.

use crate::client::Client;
use crate::extract::{Customer, Form};
use crate::failure::Failure;
use crate::layout::{Field, cell, page, token};
use crate::money::time;
use crate::qr;
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{ApiKey, Factors, Scope, SessionRow};
use gruve_units::Duration;
use maud::{Markup, html};
use serde::Deserialize;

/// Days that a key is good, as offered.
const KEY_DAYS: [u32; 4] = [7, 30, 90, 365];

/// `GET /account/security`
pub(crate) async fn security(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let factors = state.accounts().factors(customer.account).await?;
    let sessions = state.accounts().sessions(customer.account, &customer.token).await?;
    let keys = state.accounts().keys(customer.account).await?;
    let change = state.accounts().email_change(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { "Overview" } }
            h1 { "Security" }
            p { "How you sign in, where you are signed in, and what programs may do in your name." }
        }
        section.sheet.narrow aria-labelledby="factor-h" {
            header { h2 #factor-h { "Second factor" } (factor_tag(factors)) }
            (factor(&visitor, factors))
        }
        section.sheet.narrow aria-labelledby="password-h" {
            header { h2 #password-h { "Password" } }
            (password_form(&visitor, factors))
        }
        @if state.accounts().mail_rules().is_some() {
            section.sheet.narrow aria-labelledby="email-h" {
                header { h2 #email-h { "E-mail" } }
                @if let Some((email, due, is_confirmed)) = &change {
                    p.note { (email) " counts from " (time(*due)) " on"
                        @if !is_confirmed { ", once it is confirmed by the message to it" } "." }
                }
                details { summary { "Change the address" } (email_form(&visitor, factors)) }
            }
        }
        section.sheet.narrow aria-labelledby="book-h" {
            header { h2 #book-h { "Payout addresses" } }
            p { a href="/account/addresses" { "Address book" } ": where your payouts may go." }
        }
        section.sheet aria-labelledby="sessions-h" {
            header { h2 #sessions-h { "Where you are signed in" } }
            (session_table(&visitor, &sessions))
        }
        section.sheet aria-labelledby="keys-h" {
            header { h2 #keys-h { "Keys for programs" } }
            (key_table(&visitor, &keys))
            details { summary { "Make a key" } (key_form(&visitor, factors)) }
        }
    };
    Ok(page(&visitor, "Security", false, &content))
}

fn factor_tag(f: Factors) -> Markup {
    html! { @if f.is_needed() { span.tag.good { "On" } } @else { span.tag.warn { "Off" } } }
}

fn factor(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        @if let Some(since) = f.totp_since {
            p { "Codes are asked for since " (time(since)) ". " (f.recovery_left) " codes for a lost device are left." }
            details { summary { "New codes for a lost device" }
                form.stack method="post" action="/account/recovery" {
                    (token(visitor)) (proof("recovery", f)) button.quiet type="submit" { "Make ten new codes" }
                }
            }
            details { summary { "Turn it off" }
                form.stack method="post" action="/account/totp/off" {
                    (token(visitor)) (proof("off", f)) button.quiet type="submit" { "Turn it off" }
                }
            }
        } @else {
            p { "With a second factor a stolen password opens nothing. You need a program that shows codes by time." }
            form method="post" action="/account/totp" {
                (token(visitor)) button type="submit" { "Set it up" }
            }
        }
    }
}

/// Password and, where there is a second factor, a code: for what a stolen session must not do.
pub(crate) fn proof(form: &str, f: Factors) -> Markup {
    let (password, code) = (format!("{form}-password"), format!("{form}-code"));
    html! {
        div.field {
            label for=(password) { "Your password" }
            input id=(password) name="password" type="password" required maxlength="1024" autocomplete="current-password";
        }
        @if f.is_needed() {
            div.field {
                label for=(code) { "Code" }
                input id=(code) name="code" type="text" required maxlength="40" autocomplete="one-time-code" autocapitalize="none" spellcheck="false";
            }
        }
    }
}

fn password_form(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        details { summary { "Change it" }
            form.stack method="post" action="/account/password" {
                (token(visitor))
                (proof("change", f))
                (Field { id: "new", label: "New password", kind: "password", value: "",
                    hint: "At least 8 characters. Everywhere else you are signed out.",
                    error: None, autocomplete: "new-password", inputmode: None }.draw())
                button type="submit" { "Change the password" }
            }
        }
    }
}

fn email_form(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        form.stack method="post" action="/account/email" {
            (token(visitor))
            (proof("email", f))
            (Field { id: "email", label: "New address", kind: "email", value: "",
                hint: "It is asked to confirm; the old one is told, and can stop it.",
                error: None, autocomplete: "email", inputmode: Some("email") }.draw())
            button type="submit" { "Change the address" }
        }
    }
}

fn session_table(visitor: &Visitor, sessions: &[SessionRow]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Where" } th scope="col" { "Since" } th scope="col" { "Last used" } th scope="col" { "Do" } } }
            tbody { @for s in sessions { tr {
                (cell!("Where", html! { (if s.about.is_empty() { "unknown" } else { s.about.as_str() })
                    @if s.is_own { " " span.tag.good { "here" } } }))
                (cell!("Since", time(s.created)))
                (cell!("Last used", time(s.seen)))
                (cell!("Do", html! { @if !s.is_own {
                    form method="post" action="/account/sessions/end" {
                        (token(visitor)) input type="hidden" name="id" value=(s.id);
                        button.plain type="submit" { "Sign out" }
                    }
                } }))
            } } }
        }
        @if sessions.len() > 1 {
            form method="post" action="/account/sessions/end-others" {
                (token(visitor)) button.quiet type="submit" { "Sign out everywhere else" }
            }
        }
    }
}

fn key_table(visitor: &Visitor, keys: &[ApiKey]) -> Markup {
    html! {
        @if keys.is_empty() { p.empty { "No key." } } @else {
            table.cards {
                thead { tr { th scope="col" { "Name" } th scope="col" { "May" } th scope="col" { "Ends" }
                    th scope="col" { "Last used" } th scope="col" { "Do" } } }
                tbody { @for k in keys { tr {
                    (cell!("Name", k.name))
                    (cell!("May", scope_words(&k.scopes)))
                    (cell!("Ends", time(k.expires)))
                    (cell!("Last used", match k.used { Some(at) => time(at), None => html! { "never" } }))
                    (cell!("Do", html! { form method="post" action="/account/keys/end" {
                        (token(visitor)) input type="hidden" name="id" value=(k.id);
                        button.plain type="submit" { "End it" }
                    } }))
                } } }
            }
        }
    }
}

fn scope_words(scopes: &[Scope]) -> String {
    scopes.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
}

const fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Read everything of the account",
        Scope::Trade => "Buy and end contracts",
        Scope::Withdraw => "Withdraw, and change where coins go",
        Scope::Machines => "Machines and tickets",
    }
}

fn key_form(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        form.stack method="post" action="/account/keys" {
            (token(visitor))
            (Field { id: "name", label: "Name", kind: "text", value: "", hint: "To know it by.", error: None,
                autocomplete: "off", inputmode: None }.draw())
            fieldset {
                legend { "What it may do" }
                @for s in Scope::ALL {
                    label { input type="checkbox" name=(s.name()) value="yes" checked[s == Scope::Read]; " " (scope_text(s)) }
                }
            }
            div.field {
                label for="days" { "Good for" }
                select #days name="days" { @for d in KEY_DAYS { option value=(d) { (d) " days" } } }
            }
            (proof("key", f))
            button type="submit" { "Make the key" }
        }
    }
}

/// Under which name the program shows it: the site's.
fn issuer(state: &AppState) -> String {
    let origin = state.config().origin.as_deref().unwrap_or("https://Gruve");
    let host = origin.split("//").nth(1).unwrap_or("Gruve");
    host.split(':').next().unwrap_or("Gruve").to_owned()
}

/// `POST /account/totp`: a new secret, shown once, counted when a code of it comes back.
pub(crate) async fn begin_totp(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let issuer = issuer(&state);
    let setup = state.accounts().begin_totp(customer.account, &issuer).await;
    let setup = setup.map_err(|e| accounts_failure(&e))?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { "Security" } }
            h1 { "Set up codes" }
            p { "Scan the picture with your program, or type the secret. Then write the code that it shows." }
        }
        section.sheet.narrow {
            div.pay { @if let Some(code) = qr::svg(&setup.uri, "The secret as a picture") { (code) } p.copy #secret { (setup.secret) } }
            form.stack method="post" action="/account/totp/confirm" {
                (token(&visitor))
                (Field { id: "code", label: "Code", kind: "text", value: "", hint: "Six digits.", error: None,
                    autocomplete: "one-time-code", inputmode: Some("numeric") }.draw())
                button type="submit" { "Turn it on" }
            }
        }
    };
    Ok(page(&visitor, "Set up codes", false, &content))
}

/// A code.
#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// `POST /account/totp/confirm`
pub(crate) async fn confirm_totp(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Form(form): Form<Code>,
) -> Result<Markup, Failure> {
    let codes = state.accounts().confirm_totp(customer.account, &form.code).await;
    let codes = codes.map_err(|e| accounts_failure(&e))?;
    Ok(recovery_page(&visitor, &codes))
}

fn recovery_page(visitor: &Visitor, codes: &[String]) -> Markup {
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { "Security" } }
            h1 { "Codes for a lost device" }
            p { "Keep them on paper, away from the device. Each signs in once in place of a code. They are not shown again." }
        }
        section.sheet.narrow {
            ul #codes { @for c in codes { li { code { (c) } } } }
            p.actions { a.button href="/account/security" { "I have written them down" } }
        }
    };
    page(visitor, "Codes for a lost device", false, &content)
}

/// Proof of who sits there.
#[derive(Deserialize)]
pub(crate) struct Proof {
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /account/totp/off`
pub(crate) async fn end_totp(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Redirect, Failure> {
    let ended = state.accounts().end_totp(customer.account, &form.password, &form.code, from).await;
    ended.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/security"))
}

/// `POST /account/recovery`
pub(crate) async fn new_recovery(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Markup, Failure> {
    let (account, accounts) = (customer.account, state.accounts());
    let codes = accounts.new_recovery_codes(account, &form.password, &form.code, from).await;
    Ok(recovery_page(&visitor, &codes.map_err(|e| accounts_failure(&e))?))
}

/// A new password.
#[derive(Deserialize)]
pub(crate) struct NewPassword {
    password: String,
    #[serde(default)]
    code: String,
    new: String,
}

/// `POST /account/password`
pub(crate) async fn change_password(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<NewPassword>,
) -> Result<Redirect, Failure> {
    let proof = (form.password.as_str(), Some(form.code.as_str()));
    let changed = state
        .accounts()
        .change_password(customer.account, proof, &form.new, &customer.token, from)
        .await;
    changed.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/security"))
}

/// Which session or key.
#[derive(Deserialize)]
pub(crate) struct Which {
    id: String,
}

/// `POST /account/sessions/end`
pub(crate) async fn end_session(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Which>,
) -> Result<Redirect, Failure> {
    if !state.accounts().end_session(customer.account, &form.id).await? {
        return Err(Failure::not_found("session"));
    }
    Ok(Redirect::to("/account/security"))
}

/// `POST /account/sessions/end-others`
pub(crate) async fn end_other_sessions(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Redirect, Failure> {
    state.accounts().end_other_sessions(customer.account, &customer.token).await?;
    Ok(Redirect::to("/account/security"))
}

/// A key to be made: its boxes come by their scopes' names.
#[derive(Deserialize)]
pub(crate) struct NewKey {
    name: String,
    days: u32,
    password: String,
    #[serde(default)]
    code: String,
    read: Option<String>,
    trade: Option<String>,
    withdraw: Option<String>,
    machines: Option<String>,
}

impl NewKey {
    fn scopes(&self) -> Vec<Scope> {
        let boxes = [&self.read, &self.trade, &self.withdraw, &self.machines];
        Scope::ALL.into_iter().zip(boxes).filter(|(_, b)| b.is_some()).map(|(s, _)| s).collect()
    }
}

/// `POST /account/keys`: shows the secret, once.
pub(crate) async fn make_key(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<NewKey>,
) -> Result<Markup, Failure> {
    let accounts = state.accounts();
    let proof = accounts.prove(customer.account, &form.password, Some(&form.code), from).await;
    proof.map_err(|e| accounts_failure(&e))?;
    let life = Duration::from_secs(u64::from(form.days) * 86_400);
    let made = accounts.make_key(customer.account, &form.name, &form.scopes(), life).await;
    let (key, secret) = made.map_err(|e| accounts_failure(&e))?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { "Security" } }
            h1 { "Key " (key.name) }
            p { "Send it as " code { "Authorization: Bearer" } ". It is not shown again." }
        }
        section.sheet.narrow {
            p.copy #key { (secret) }
            dl.pairs { dt { "May" } dd { (scope_words(&key.scopes)) } dt { "Ends" } dd { (time(key.expires)) } }
        }
    };
    Ok(page(&visitor, "A new key", false, &content))
}

/// `POST /account/keys/end`
pub(crate) async fn end_key(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Which>,
) -> Result<Redirect, Failure> {
    let id = form.id.parse().map_err(|()| Failure::not_found("key"))?;
    if !state.accounts().end_key(customer.account, id).await? {
        return Err(Failure::not_found("key"));
    }
    Ok(Redirect::to("/account/security"))
}
