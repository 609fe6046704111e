//! Filling the balance: how much of what, then an invoice.

use crate::extract::{Customer, Form};
use crate::failure::{Failure, sentence};
use crate::layout::{Field, page, token};
use crate::money::typed_figure;
use crate::state::AppState;
use crate::visitor::Visitor;
use crate::words::{heard, t};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_units::{Amount, Asset};
use maud::{Markup, html};
use serde::Deserialize;

/// What was typed.
#[derive(Default, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    asset: String,
    #[serde(default)]
    amount: String,
}

/// `GET /top-up`
pub(crate) async fn ask(State(state): State<AppState>, visitor: Visitor, _: Customer) -> Markup {
    form(&state, &visitor, &Wish::default(), None)
}

fn form(state: &AppState, visitor: &Visitor, wish: &Wish, error: Option<&str>) -> Markup {
    let treasury = state.treasury();
    let assets = treasury.assets().into_iter().chain(treasury.fiat_assets());
    let content = html! {
        div.lead {
            h1 { (t("Fill your balance")) }
            p { (t("For contracts that are paid from it, and for pay as you go. What you do not spend stays yours.")) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        section.sheet.narrow {
            form.stack method="post" action="/top-up" {
                (token(visitor))
                div.field {
                    label for="asset" { (t("In")) }
                    select #asset name="asset" required {
                        @for a in assets {
                            option value=(a) selected[wish.asset == a.code()] { (a.name()) " (" (a) ")" }
                        }
                    }
                }
                (Field { id: "amount", label: "Amount", kind: "text", value: &wish.amount,
                    hint: "As in 0.5.", error: None, autocomplete: "off", inputmode: Some("decimal") }.draw())
                div.actions { button type="submit" { (t("Show how to pay")) } }
            }
        }
    };
    page(visitor, t("Fill your balance"), false, &content)
}

/// `POST /top-up`
pub(crate) async fn make(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Form(wish): Form<Wish>,
) -> Result<Response, Failure> {
    let refused = |text: &str| {
        let body = form(&state, &visitor, &wish, Some(text));
        Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
    };
    let asset: Asset = match wish.asset.parse() {
        Ok(asset) => asset,
        Err(e) => return refused(&sentence(&format!("{e}"))),
    };
    let figure = match typed_figure(&wish.amount) {
        Ok(figure) => figure,
        Err(unclear) => return refused(&unclear),
    };
    let what = match Amount::parse_decimal(asset, &figure) {
        Ok(what) => what,
        Err(e) => return refused(&sentence(&e.to_string())),
    };
    match state.top_up(customer.account, what).await {
        Ok(inv) => Ok(Redirect::to(&format!("/invoices/{}", inv.id)).into_response()),
        Err(f) if f.status.is_client_error() => refused(&f.detail),
        Err(f) => Err(f),
    }
}
