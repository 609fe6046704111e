//! The book of addresses that payouts may go to.

use crate::client::Client;
use crate::extract::{Customer, Form};
use crate::failure::{Failure, sentence};
use crate::layout::{Field, cell, page, token};
use crate::money::time;
use crate::pages::security::proof;
use crate::protecting::{NewBookAddress, owner_text};
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::{AddressBook, Factors};
use gruve_proof::bip322::SIGNATURE_CHARS_MAX;
use gruve_units::Asset;
use maud::{Markup, html};
use serde::Deserialize;

/// `GET /account/addresses`
pub(crate) async fn book(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
) -> Result<Markup, Failure> {
    let book = state.accounts().address_book(customer.account).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let assets = state.treasury().assets();
    let content = html! {
        div.lead {
            p.crumbs { a href="/account/security" { (t("Security")) } }
            h1 { (t("Address book")) }
            p { (t("Addresses that your payouts may go to. A new one may be used after a delay, and you are told of it.")) }
        }
        section.sheet aria-labelledby="book-h" {
            header { h2 #book-h { (t("Addresses")) } }
            (table(&visitor, &book))
        }
        section.sheet.narrow aria-labelledby="only-h" {
            header { h2 #only-h { (t("Payouts to the book alone")) } }
            (only(&visitor, &book, factors))
        }
        section.sheet.narrow aria-labelledby="add-h" {
            header { h2 #add-h { (t("Add an address")) } }
            form.stack method="post" action="/account/addresses" {
                (token(&visitor))
                div.field {
                    label for="asset" { (t("Coin")) }
                    select #asset name="asset" { @for a in &assets { option value=(a) { (a) } } }
                }
                (Field { id: "address", label: "Address", kind: "text", value: "", hint: "One of your own.",
                    error: None, autocomplete: "off", inputmode: None }.draw())
                (Field { id: "label", label: "Name", kind: "text", value: "", hint: "To know it by.",
                    error: None, autocomplete: "off", inputmode: None }.draw())
                @let wanted = state.accounts().wants_owner_signatures();
                p.hint { @if wanted { (t("Prove that the address is yours: sign this text with it in your wallet (BIP-322), the address in place of the dots.")) }
                    @else { (t("If you like, prove that the address is yours: sign this text with it in your wallet (BIP-322), the address in place of the dots.")) } }
                p { code { (owner_text(customer.account, "…")) } }
                (Field { id: "signature", label: "Signature", kind: "text", value: "", hint: "As your wallet shows it.",
                    error: None, autocomplete: "off", inputmode: None }.draw_with(wanted, SIGNATURE_CHARS_MAX))
                (proof("add", factors))
                button type="submit" { (t("Add it")) }
            }
        }
    };
    Ok(page(&visitor, t("Address book"), false, &content))
}

fn table(visitor: &Visitor, book: &AddressBook) -> Markup {
    html! {
        @if book.addresses.is_empty() { p.empty { (t("No address yet.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Coin")) } th scope="col" { (t("Name")) } th scope="col" { (t("Address")) }
                    th scope="col" { (t("Usable from")) } th scope="col" { (t("Action")) } } }
                tbody { @for a in &book.addresses { tr {
                    (cell!("Coin", a.asset))
                    (cell!("Name", a.label))
                    (cell!("Address", html! { code { (a.address) } }))
                    (cell!("Usable from", time(a.usable)))
                    (cell!("Action", html! { form method="post" action="/account/addresses/remove" {
                        (token(visitor))
                        input type="hidden" name="asset" value=(a.asset);
                        input type="hidden" name="address" value=(a.address);
                        button.plain type="submit" { (t("Take it out")) }
                    } }))
                } } }
            }
        }
    }
}

fn only(visitor: &Visitor, book: &AddressBook, factors: Factors) -> Markup {
    let (text, value, label) = if book.only {
        ("Your payouts go to this book alone. To end that takes the delay, too.", "no", "End it")
    } else {
        (
            "Your payouts may go anywhere. Bound to the book, a thief of your session has to wait.",
            "yes",
            "Bind them to the book",
        )
    };
    html! {
        p { (t(text)) @if let Some(at) = book.only_until { " " (say!("It ends {at}.", at = time(at))) } }
        form.stack method="post" action="/account/addresses/only" {
            (token(visitor))
            input type="hidden" name="only" value=(value);
            (proof("only", factors))
            button.quiet type="submit" { (t(label)) }
        }
    }
}

/// An address to be added.
#[derive(Deserialize)]
pub(crate) struct New {
    asset: String,
    address: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    signature: String,
    password: String,
    #[serde(default)]
    code: String,
}

fn asset_of(text: &str) -> Result<Asset, Failure> {
    text.parse().map_err(|e| Failure::refused(sentence(&format!("{e}"))))
}

/// `POST /account/addresses`
pub(crate) async fn add(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<New>,
) -> Result<Redirect, Failure> {
    let (asset, address) = (asset_of(&form.asset)?, form.address.as_str());
    let new = NewBookAddress { asset, address, label: &form.label, signature: &form.signature };
    state.add_to_book(customer.account, (&form.password, &form.code), new, from).await?;
    Ok(Redirect::to("/account/addresses"))
}

/// Which address.
#[derive(Deserialize)]
pub(crate) struct Which {
    asset: String,
    address: String,
}

/// `POST /account/addresses/remove`
pub(crate) async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Form(form): Form<Which>,
) -> Result<Redirect, Failure> {
    let asset = asset_of(&form.asset)?;
    let gone = state.accounts().remove_address(customer.account, asset, &form.address).await;
    match gone.map_err(|e| accounts_failure(&e))? {
        true => Ok(Redirect::to("/account/addresses")),
        false => Err(Failure::not_found("address")),
    }
}

/// Whether payouts go to the book alone.
#[derive(Deserialize)]
pub(crate) struct Only {
    only: String,
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /account/addresses/only`
pub(crate) async fn set_only(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Form(form): Form<Only>,
) -> Result<Redirect, Failure> {
    let proof = (form.password.as_str(), Some(form.code.as_str()));
    let only = form.only == "yes";
    let set = state.accounts().pay_to_book_only(customer.account, only, proof, from).await;
    set.map_err(|e| accounts_failure(&e))?;
    Ok(Redirect::to("/account/addresses"))
}
