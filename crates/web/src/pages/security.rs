//! How an account is protected: password, second factor, sessions, keys for programs.

use crate::client::Client;
use crate::device::device;
use crate::extract::{Customer, Form};
use crate::failure::Failure;
use crate::layout::{Field, cell, page, token};
use crate::money::time;
use crate::pages::passkeys;
use crate::qr;
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{counted, say, t};
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
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (t("Security")) }
            p { (t("How you sign in, where you are signed in, and what programs may do in your name.")) }
        }
        div.columns {
            section.sheet.narrow aria-labelledby="factor-h" {
                header { h2 #factor-h { (t("Second factor")) } (factor_tag(factors)) }
                (factor(&visitor, factors))
            }
            section.sheet.narrow aria-labelledby="passkeys-h" {
                header { h2 #passkeys-h { (t("Passkeys")) } }
                p { (say!("{link}: sign in with a finger, a face or a key.", link = html! { a href="/account/passkeys" { (t("Passkeys")) } }))
                    @if factors.passkeys > 0 { " " (counted!("You have {n}.", "You have {n} of them.", factors.passkeys)) } }
            }
            section.sheet.narrow aria-labelledby="webhooks-h" {
                header { h2 #webhooks-h { (t("Webhooks")) } }
                p { (say!("{link}: a program of yours is told what happens.", link = html! { a href="/account/webhooks" { (t("Webhooks")) } })) }
            }
            section.sheet.narrow aria-labelledby="data-h" {
                header { h2 #data-h { (crate::words::t("Your data")) } }
                p { a href="/account/data" { (crate::words::t("Export everything, or close the account")) } }
            }
            section.sheet.narrow aria-labelledby="password-h" {
                header { h2 #password-h { (t("Password")) } }
                (password_form(&visitor, factors))
            }
            @if state.accounts().mail_rules().is_some() {
                section.sheet.narrow aria-labelledby="email-h" {
                    header { h2 #email-h { (t("E-mail")) } }
                    @if let Some((email, due, is_confirmed)) = &change {
                        p.note {
                            @if *is_confirmed { (say!("{email} counts from {due} on.", email = email, due = time(*due))) }
                            @else { (say!("{email} counts from {due} on, once it is confirmed by the message to it.", email = email, due = time(*due))) }
                        }
                    }
                    details { summary { (t("Change the address")) } (email_form(&visitor, factors)) }
                }
            }
            section.sheet.narrow aria-labelledby="book-h" {
                header { h2 #book-h { (t("Payout addresses")) } }
                p { (say!("{link}: where your payouts may go.", link = html! { a href="/account/addresses" { (t("Address book")) } })) }
            }
        }
        section.sheet aria-labelledby="sessions-h" {
            header { h2 #sessions-h { (t("Where you are signed in")) } }
            (session_table(&visitor, &sessions))
        }
        section.sheet aria-labelledby="keys-h" {
            header { h2 #keys-h { (t("Keys for programs")) } }
            (key_table(&visitor, &keys))
            details { summary { (t("Make a key")) } (key_form(&visitor, factors)) }
            p.small { a href="/docs/api" { (t("HTTP API")) } }
        }
    };
    Ok(page(&visitor, t("Security"), false, &content))
}

fn factor_tag(f: Factors) -> Markup {
    html! { @if f.is_needed() { span.tag.good { (t("On")) } } @else { span.tag.warn { (t("Off")) } } }
}

fn factor(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        @if f.totp_since.is_none() && f.passkeys > 0 {
            p { (say!("A passkey is asked for besides the password. {recovery_left} codes for a lost device are left.", recovery_left = f.recovery_left)) }
            details { summary { (t("New codes for a lost device")) }
                form.stack method="post" action="/account/recovery" {
                    (token(visitor)) (proof("recovery", f)) button.quiet type="submit" { (t("Make ten new codes")) }
                }
            }
        }
        @if let Some(since) = f.totp_since {
            p { (say!("Codes are asked for since {since}. {recovery_left} codes for a lost device are left.", since = time(since), recovery_left = f.recovery_left)) }
            details { summary { (t("New codes for a lost device")) }
                form.stack method="post" action="/account/recovery" {
                    (token(visitor)) (proof("recovery", f)) button.quiet type="submit" { (t("Make ten new codes")) }
                }
            }
            details { summary { (t("Turn it off")) }
                form.stack method="post" action="/account/totp/off" {
                    (token(visitor)) (proof("off", f)) button.quiet type="submit" { (t("Turn it off")) }
                }
            }
        } @else {
            p { (t("With a second factor a stolen password opens nothing. You need a program that shows codes by time.")) }
            form method="post" action="/account/totp" {
                (token(visitor)) button type="submit" { (t("Set it up")) }
            }
        }
    }
}

/// Password and, where there is a second factor, a code: for what a stolen session must not do.
pub(crate) fn proof(form: &str, f: Factors) -> Markup {
    let (password, code) = (format!("{form}-password"), format!("{form}-code"));
    html! {
        div.field {
            label for=(password) { (t("Your password")) }
            input id=(password) name="password" type="password" required maxlength="1024" autocomplete="current-password";
        }
        @if f.is_needed() {
            div.field {
                label for=(code) { (t("Code")) }
                input id=(code) name="code" type="text" required maxlength="64" autocomplete="one-time-code" autocapitalize="none" spellcheck="false";
                @if f.passkeys > 0 { (passkeys::instead_of_code()) }
            }
        }
    }
}

fn password_form(visitor: &Visitor, f: Factors) -> Markup {
    html! {
        details { summary { (t("Change it")) }
            form.stack method="post" action="/account/password" {
                (token(visitor))
                (proof("change", f))
                (Field { id: "new", label: "New password", kind: "password", value: "",
                    hint: "At least 12 characters. Everywhere else you are signed out, and your keys for programs end.",
                    error: None, autocomplete: "new-password", inputmode: None }.draw())
                button type="submit" { (t("Change the password")) }
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
            button type="submit" { (t("Change the address")) }
        }
    }
}

fn session_table(visitor: &Visitor, sessions: &[SessionRow]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { (t("Where")) } th scope="col" { (t("Since")) } th scope="col" { (t("Last used")) } th scope="col" { (t("Action")) } } }
            tbody { @for s in sessions { tr {
                (cell!("Where", html! { (device(&s.about))
                    @if s.is_own { " " span.tag.good { (t("here")) } } }))
                (cell!("Since", time(s.created)))
                (cell!("Last used", time(s.seen)))
                (cell!("Action", html! { @if s.is_own { "–" } @else {
                    form method="post" action="/account/sessions/end" {
                        (token(visitor)) input type="hidden" name="id" value=(s.id);
                        button.plain type="submit" { (t("Sign out")) }
                    }
                } }))
            } } }
        }
        @if sessions.len() > 1 {
            form method="post" action="/account/sessions/end-others" {
                (token(visitor)) button.quiet type="submit" { (t("Sign out everywhere else")) }
            }
        }
    }
}

fn key_table(visitor: &Visitor, keys: &[ApiKey]) -> Markup {
    html! {
        @if keys.is_empty() { p.empty { (t("No key.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Name")) } th scope="col" { (t("May")) } th scope="col" { (t("Ends")) }
                    th scope="col" { (t("Last used")) } th scope="col" { (t("Action")) } } }
                tbody { @for k in keys { tr {
                    (cell!("Name", k.name))
                    (cell!("May", html! { code { (scope_words(&k.scopes)) } }))
                    (cell!("Ends", time(k.expires)))
                    (cell!("Last used", match k.used { Some(at) => time(at), None => html! { (t("never")) } }))
                    (cell!("Action", html! { form method="post" action="/account/keys/end" {
                        (token(visitor)) input type="hidden" name="id" value=(k.id);
                        button.plain type="submit" { (t("End it")) }
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
                legend { (t("What it may do")) }
                @for s in Scope::ALL {
                    label { input type="checkbox" name=(s.name()) value="yes" checked[s == Scope::Read]; " " (t(scope_text(s))) }
                }
            }
            div.field {
                label for="days" { (t("Good for")) }
                select #days name="days" { @for d in KEY_DAYS { option value=(d) { (counted!("{n} day", "{n} days", d)) } } }
            }
            (proof("key", f))
            button type="submit" { (t("Make the key")) }
        }
    }
}

/// `POST /account/totp`: a new secret, shown once, counted when a code of it comes back.
pub(crate) async fn begin_totp(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let setup = state.begin_totp(customer.account).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (t("Set up codes")) }
            p { (t("Scan the picture with your program, or type the secret. Then write the code that it shows.")) }
        }
        section.sheet.narrow {
            div.pay { @if let Some(code) = qr::svg(&setup.uri, t("The secret as a picture")) { (code) } p.copy #secret { (setup.secret) } }
            form.stack method="post" action="/account/totp/confirm" {
                (token(&visitor))
                (proof("totp", factors))
                (Field { id: "shown", label: "Code", kind: "text", value: "", hint: "Six digits.", error: None,
                    autocomplete: "one-time-code", inputmode: Some("numeric") }.draw())
                button type="submit" { (t("Turn it on")) }
            }
        }
    };
    Ok(page(&visitor, t("Set up codes"), false, &content))
}

/// Proof of who sits there, and the code that the program shows.
#[derive(Deserialize)]
pub(crate) struct Code {
    password: String,
    #[serde(default)]
    code: String,
    shown: String,
}

/// `POST /account/totp/confirm`
pub(crate) async fn confirm_totp(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Code>,
) -> Result<Markup, Failure> {
    let (account, accounts) = (customer.account, state.accounts());
    let proof = (form.password.as_str(), Some(form.code.as_str()));
    let codes = accounts.confirm_totp(account, proof, &form.shown, from).await;
    Ok(recovery_page(&visitor, &codes.map_err(|e| accounts_failure(&e))?))
}

pub(crate) fn recovery_page(visitor: &Visitor, codes: &[String]) -> Markup {
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (t("Codes for a lost device")) }
            p { (t("Keep them on paper, away from the device. Each signs in once in place of a code. They are not shown again.")) }
        }
        section.sheet.narrow {
            ul #codes { @for c in codes { li { code { (c) } } } }
            p.actions { a.button href="/account/security" { (t("I have written them down")) } }
        }
    };
    page(visitor, t("Codes for a lost device"), false, &content)
}

/// Proof of who sits there.
#[derive(Deserialize)]
pub(crate) struct Proof {
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) code: String,
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
    let (who, proof) =
        ((customer.account, customer.token.as_str()), (&*form.password, &*form.code));
    state.change_password(who, proof, &form.new, from).await?;
    Ok(Redirect::to("/account/security"))
}

/// Which session or key.
#[derive(Deserialize)]
pub(crate) struct Which {
    pub(crate) id: String,
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
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (say!("Key {key}", key = key.name)) }
            p { (say!("Send it as {code}. It is not shown again.", code = html! { code { "Authorization: Bearer" } })) }
        }
        section.sheet.narrow {
            p.copy #key { (secret) }
            dl.pairs { dt { (t("May")) } dd { code { (scope_words(&key.scopes)) } } dt { (t("Ends")) } dd { (time(key.expires)) } }
        }
    };
    Ok(page(&visitor, t("A new key"), false, &content))
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
