//! Webhooks: where an account has its news posted, and what came of each message.

use crate::client::Client;
use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::layout::{cell, page, token};
use crate::money::time;
use crate::pages::security::{Proof, proof};
use crate::routes::{Access, Routes};
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::webhooks::{ABOUT, Attempt, Message, NewWebhook, Webhook, WebhookId};
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{Device, Factors};
use maud::{Markup, html};
use serde::Deserialize;

/// Messages on the page of a webhook; programs read the rest.
const SHOWN: u32 = 50;

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    use Access::CustomerForm;
    routes
        .get("/account/webhooks", Access::Customer, list)
        .post("/account/webhooks", CustomerForm, make)
        .get("/account/webhooks/{id}", Access::Customer, show)
        .post("/account/webhooks/{id}/test", CustomerForm, test)
        .post("/account/webhooks/{id}/resend", CustomerForm, resend)
        .post("/account/webhooks/{id}/secret", CustomerForm, new_secret)
        .post("/account/webhooks/{id}/end", CustomerForm, end)
        .post("/account/webhooks/{id}/begin", CustomerForm, begin)
        .post("/account/webhooks/{id}/remove", CustomerForm, remove)
}

/// How it stands, in words.
fn tag(w: &Webhook) -> Markup {
    html! {
        @match &w.ended {
            Some((_, why)) => span.tag.bad { (t(ended_text(why))) },
            None if w.failing_since.is_some() => span.tag.warn { (t("Takes nothing")) },
            None => span.tag.good { (t("On")) },
        }
    }
}

fn ended_text(why: &str) -> &'static str {
    match why {
        "by-owner" => "Ended by you",
        "new-password" => "Ended by a new password",
        "gone" => "Ended: the address is gone",
        _ => "Ended: it took nothing for days",
    }
}

fn events_text(w: &Webhook) -> String {
    if w.events.is_empty() { t("everything").to_owned() } else { w.events.join(", ") }
}

/// `GET /account/webhooks`
async fn list(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let all = state.webhooks(customer.account).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (t("Webhooks")) }
            p { (t("A program of yours is told what happens in your account: each message is signed, tried again over three days, and written down here.")) }
        }
        section.sheet aria-labelledby="webhooks-h" {
            header { h2 #webhooks-h { (t("Addresses")) } }
            @if all.is_empty() { p.empty { (t("No webhook yet.")) } } @else {
                table.cards {
                    thead { tr { th scope="col" { (t("Address")) } th scope="col" { (t("Told of")) }
                        th scope="col" { (t("Since")) } th scope="col" { (t("State")) } } }
                    tbody { @for w in &all { tr {
                        (cell!("Address", html! { a.wrap href={ "/account/webhooks/" (w.id) } { (if w.label.is_empty() { &w.url } else { &w.label }) } }))
                        (cell!("Told of", events_text(w)))
                        (cell!("Since", time(w.made)))
                        (cell!("State", tag(w)))
                    } } }
                }
            }
        }
        section.sheet.narrow aria-labelledby="new-h" {
            header { h2 #new-h { (t("Add a webhook")) } }
            (new_form(&visitor, factors))
        }
    };
    Ok(page(&visitor, t("Webhooks"), false, &content))
}

fn new_form(visitor: &Visitor, factors: Factors) -> Markup {
    html! {
        form.stack method="post" action="/account/webhooks" {
            (token(visitor))
            div.field {
                label for="url" { (t("Address")) }
                input #url name="url" type="url" required maxlength="500" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="url-hint";
                p.hint #url-hint { (t("One that begins with https:// and is reached from the internet.")) }
            }
            div.field {
                label for="label" { (t("Name")) }
                input #label name="label" type="text" maxlength="40" autocomplete="off" aria-describedby="label-hint";
                p.hint #label-hint { (t("To know it by.")) }
            }
            fieldset {
                legend { (t("What it is told of")) }
                @for (word, text) in ABOUT {
                    label { input type="checkbox" name=(word) value="yes" checked; " " (t(text)) }
                }
            }
            (proof("webhook", factors))
            button type="submit" { (t("Add it")) }
        }
    }
}

/// One to be made, with the proof of who asks.
#[derive(Deserialize)]
struct New {
    url: String,
    #[serde(default)]
    label: String,
    payout: Option<String>,
    invoice: Option<String>,
    contract: Option<String>,
    password: String,
    #[serde(default)]
    code: String,
}

async fn proven(
    state: &AppState,
    customer: &Customer,
    (password, code): (&str, &str),
    from: Device,
) -> Result<(), Failure> {
    let proof = state.accounts().prove(customer.account, password, Some(code), from).await;
    proof.map_err(|e| accounts_failure(&e))
}

/// `POST /account/webhooks`
async fn make(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<New>,
) -> Result<Markup, Failure> {
    proven(&state, &customer, (&form.password, &form.code), from).await?;
    let told = [(&form.payout, "payout"), (&form.invoice, "invoice"), (&form.contract, "contract")];
    let events: Vec<String> =
        told.iter().filter(|(is, _)| is.is_some()).map(|(_, word)| (*word).to_owned()).collect();
    if events.is_empty() {
        return Err(Failure::refused("Choose at least one thing that it is told of."));
    }
    let new = NewWebhook { url: &form.url, label: &form.label, events: &events };
    let (made, secret) = state.make_webhook(customer.account, new).await?;
    Ok(secret_page(&visitor, made.id, &secret.text()))
}

fn secret_page(visitor: &Visitor, id: WebhookId, secret: &str) -> Markup {
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/webhooks" { (t("Webhooks")) } }
            h1 { (t("The secret of your webhook")) }
            p { (t("Your program knows our messages by it. Keep it where the program runs; it is not shown again.")) }
        }
        section.sheet.narrow {
            p.copy #secret { (secret) }
            p.actions { a.button href={ "/account/webhooks/" (id) } { (t("I have kept it")) } }
        }
    };
    page(visitor, t("The secret of your webhook"), false, &content)
}

/// `GET /account/webhooks/{id}`
async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Markup, Failure> {
    let w = state.webhook(customer.account, id).await?;
    let log = state.webhook_log(customer.account, id, None, SHOWN).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let title = if w.label.is_empty() { t("Webhook") } else { w.label.as_str() };
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/webhooks" { (t("Webhooks")) } }
            h1 { (title) }
        }
        section.sheet aria-labelledby="webhook-h" {
            header { h2 #webhook-h { (t("Address")) } (tag(&w)) }
            dl.pairs {
                dt { (t("Address")) } dd { code.wrap { (w.url) } }
                dt { (t("Told of")) } dd { (events_text(&w)) }
                dt { (t("Since")) } dd { (time(w.made)) }
                @if let Some(since) = w.failing_since { dt { (t("Takes nothing since")) } dd { (time(since)) } }
                @if let Some((at, _)) = &w.ended { dt { (t("Ended")) } dd { (time(*at)) } }
            }
            (acts(&visitor, &w, factors))
        }
        section.sheet aria-labelledby="log-h" {
            header { h2 #log-h { (t("Messages")) } span.soft.small { (say!("the newest {n}, of 30 days", n = SHOWN)) } }
            @if log.is_empty() { p.empty { (t("Nothing was sent yet.")) } }
            @for (m, tries) in &log { (sent(&visitor, &w, m, tries)) }
        }
    };
    Ok(page(&visitor, title, false, &content))
}

fn acts(visitor: &Visitor, w: &Webhook, factors: Factors) -> Markup {
    let to = |act: &str| format!("/account/webhooks/{}/{act}", w.id);
    let press = |act: &str, label: &'static str| {
        html! { form method="post" action=(to(act)) { (token(visitor)) button.quiet type="submit" { (t(label)) } } }
    };
    html! {
        div.actions {
            @if w.ended.is_none() { (press("test", "Send a test message")) (press("end", "End it")) }
            (press("remove", "Remove it"))
        }
        @if w.ended.is_some() {
            details { summary { (t("Begin again")) }
                p { (t("What happened since it ended is told first.")) }
                form.stack method="post" action=(to("begin")) {
                    (token(visitor)) (proof("begin", factors)) button type="submit" { (t("Begin again")) }
                } }
        }
        details { summary { (t("A new secret")) }
            p { (t("For a day messages are signed with the old one as well.")) }
            form.stack method="post" action=(to("secret")) {
                (token(visitor)) (proof("secret", factors)) button.quiet type="submit" { (t("Make a new secret")) }
            } }
    }
}

/// A message with what came of its tries.
fn sent(visitor: &Visitor, w: &Webhook, m: &Message, tries: &[Attempt]) -> Markup {
    let (text, tone) = match m.state() {
        "taken" => ("Taken", "good"),
        "waiting" => ("Waits", "warn"),
        _ => ("Given up", "bad"),
    };
    html! {
        article.part aria-label=(m.kind) {
            h3 { code { (m.kind) } " " span class={ "tag " (tone) } { (t(text)) } }
            p.small { (time(m.made))
                @if let Some(due) = m.due { " · " (say!("tried next at {time}", time = time(due))) } }
            @if !tries.is_empty() { ol.small { @for a in tries { li {
                (time(a.at)) ": "
                @match (&a.status, &a.fault) {
                    (Some(status), _) => { (say!("answered {status} in {ms} ms", status = status, ms = a.took_ms)) },
                    (None, Some(fault)) => { (heard(fault)) },
                    (None, None) => { "–" },
                }
            } } } }
            details { summary { (t("What was sent")) } p.small { code.wrap { (m.id) } } p { code.wrap { (m.body) } } }
            @if m.due.is_none() && w.ended.is_none() {
                form method="post" action={ "/account/webhooks/" (w.id) "/resend" } {
                    (token(visitor)) input type="hidden" name="message" value=(m.id);
                    button.plain type="submit" { (t("Send it again")) }
                }
            }
        }
    }
}

fn back(id: WebhookId) -> Redirect {
    Redirect::to(&format!("/account/webhooks/{id}"))
}

/// `POST /account/webhooks/{id}/test`
async fn test(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Redirect, Failure> {
    state.test_webhook(customer.account, id).await?;
    Ok(back(id))
}

/// Which message.
#[derive(Deserialize)]
struct Which {
    message: String,
}

/// `POST /account/webhooks/{id}/resend`
async fn resend(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Form(which): Form<Which>,
) -> Result<Redirect, Failure> {
    state.send_again(customer.account, id, &which.message).await?;
    Ok(back(id))
}

/// `POST /account/webhooks/{id}/secret`
async fn new_secret(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Markup, Failure> {
    proven(&state, &customer, (&form.password, &form.code), from).await?;
    let secret = state.new_webhook_secret(customer.account, id).await?;
    Ok(secret_page(&visitor, id, &secret.text()))
}

/// `POST /account/webhooks/{id}/end`
async fn end(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Redirect, Failure> {
    state.end_webhook(customer.account, id).await?;
    Ok(back(id))
}

/// `POST /account/webhooks/{id}/begin`
async fn begin(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Redirect, Failure> {
    proven(&state, &customer, (&form.password, &form.code), from).await?;
    state.begin_webhook(customer.account, id).await?;
    Ok(back(id))
}

/// `POST /account/webhooks/{id}/remove`
async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<WebhookId>,
) -> Result<Redirect, Failure> {
    state.remove_webhook(customer.account, id).await?;
    Ok(Redirect::to("/account/webhooks"))
}
