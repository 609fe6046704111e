//! A customer's data: the export, and closing the account.

use crate::client::Client;
use crate::extract::{Customer, Form};
use crate::failure::Failure;
use crate::layout::{page, token};
use crate::leaving::export;
use crate::money::time;
use crate::pages::security::{Proof, proof};
use crate::routes::{Access, Routes};
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::{Redirect, Response};
use maud::{Markup, html};

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get("/account/data", Access::Customer, data)
        .get("/account/data/export.json", Access::Customer, file)
        .post("/account/closing", Access::CustomerForm, ask)
        .post("/account/closing/undo", Access::CustomerForm, undo)
}

/// `GET /account/data`
async fn data(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let closing = state.accounts().closing(customer.account).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let obstacles = state.obstacles(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/account" { (t("Overview")) } }
            h1 { (t("Your data")) }
            p { (t("What the house has of you, and how to leave it.")) }
        }
        section.sheet.narrow aria-labelledby="export-h" {
            header { h2 #export-h { (t("Export")) } }
            p { (t("One JSON file with everything: account, sessions, keys, passkeys, contracts with terms and statements, invoices, payments, payouts, machines, tickets, notices. It is made while you download it.")) }
            p.actions { a.button href="/account/data/export.json" download { (t("Download everything")) } }
        }
        section.sheet.narrow aria-labelledby="closing-h" {
            header { h2 #closing-h { (t("Close the account")) } }
            @if let Some(closing) = closing {
                p.note { (say!("The account will be closed on {time}. Until then nothing changes, and you can keep it.", time = time(closing.due))) }
                form method="post" action="/account/closing/undo" {
                    (token(&visitor)) button type="submit" { (t("Keep the account")) }
                }
            } @else {
                p { (t("Name, e-mail address, password, passkeys, keys, address book and the log of what you did are erased. Contracts, invoices, payments and payouts stay under a number without a name, because the books must go on adding up and the law wants them kept.")) }
                @if obstacles.is_empty() {
                    details { summary { (t("Close it")) }
                        form.stack method="post" action="/account/closing" {
                            (token(&visitor)) (proof("closing", factors))
                            button.quiet type="submit" { (t("Close the account")) }
                        }
                    }
                } @else {
                    p { (t("It cannot be closed yet. There are:")) }
                    ul { @for o in &obstacles { li { a href=(o.page) { (t(o.text)) } } } }
                }
            }
        }
    };
    Ok(page(&visitor, t("Your data"), false, &content))
}

/// `GET /account/data/export.json`
async fn file(State(state): State<AppState>, customer: Customer) -> Result<Response, Failure> {
    export::begin(&state, &customer).await
}

/// `POST /account/closing`
async fn ask(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Proof>,
) -> Result<Redirect, Failure> {
    state.ask_to_close(customer.account, (&form.password, &form.code), from).await?;
    Ok(Redirect::to("/account/data"))
}

/// `POST /account/closing/undo`
async fn undo(State(state): State<AppState>, customer: Customer) -> Result<Redirect, Failure> {
    state.accounts().keep_open(customer.account, None).await.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/data"))
}
