//! Withdrawing: address and amount, the fee shown before, then a confirmation.

use crate::client::Client;
use crate::extract::{Customer, Form, Params};
use crate::failure::{Failure, sentence};
use crate::gate::percent_encoded;
use crate::layout::{Field, cell, page, token};
use crate::money::{amount, local, time, typed_figure};
use crate::pages::passkeys;
use crate::state::AppState;
use crate::view::BalanceView;
use crate::visitor::Visitor;
use crate::withdrawing::Given;
use crate::words::{heard, say, t};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use gruve_accounts::AddressBook;
use gruve_treasury::PayoutQuote;
use gruve_units::{AccountId, Amount, Asset};
use maud::{Markup, html};
use serde::Deserialize;

/// The query of the form, and what was typed.
#[derive(Default, Deserialize)]
pub(crate) struct Wish {
    #[serde(default)]
    asset: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    address: String,
}

/// The confirmation: the wish and the key that makes it happen once.
#[derive(Deserialize)]
pub(crate) struct Confirm {
    asset: String,
    amount: String,
    address: String,
    once: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `GET /withdraw`
pub(crate) async fn ask(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Params(wish): Params<Wish>,
) -> Result<Markup, Failure> {
    ask_page(&state, &visitor, customer.account, &wish, None).await
}

async fn ask_page(
    state: &AppState,
    visitor: &Visitor,
    account: AccountId,
    wish: &Wish,
    error: Option<&str>,
) -> Result<Markup, Failure> {
    let balances = state.balances(account).await?;
    let book = state.accounts().address_book(account).await?;
    let usable: Vec<&BalanceView> =
        balances.iter().filter(|b| b.available.minor > 0 && !b.asset.is_fiat()).collect();
    let has_fiat = balances.iter().any(|b| b.available.minor > 0 && b.asset.is_fiat());
    let content = html! {
        div.lead {
            h1 { (t("Withdraw")) }
            p { (t("Your coins, to an address of your own, at any time above the network fee.")) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        @if has_fiat { p.note { (t("What you have in a bank's money is paid out by the operator's people: write to them.")) } }
        section.sheet.narrow {
            @if usable.is_empty() {
                p.empty { (t("Nothing is available to withdraw yet. What is maturing becomes available at a settlement.")) }
            } @else {
                form.stack method="post" action="/withdraw" {
                    (token(visitor))
                    div.field {
                        label for="asset" { (t("Asset")) }
                        select #asset name="asset" required {
                            @for b in &usable {
                                option value=(b.asset) selected[wish.asset.eq_ignore_ascii_case(b.asset.code())] {
                                    (say!("{asset}: {decimal} available", asset = b.asset, decimal = local(&b.available.decimal())))
                                }
                            }
                        }
                    }
                    (Field { id: "amount", label: "Amount", kind: "text", value: &wish.amount,
                        hint: "In whole coins, as in 0.5. The network fee is taken out of it.",
                        error: None, autocomplete: "off", inputmode: Some("decimal") }.draw())
                    (Field { id: "address", label: "Address", kind: "text", value: &wish.address,
                        hint: "Check it twice: what is sent cannot be called back.",
                        error: None, autocomplete: "off", inputmode: None }.draw())
                    div.actions { button type="submit" { (t("Show the fee")) } }
                }
            }
        }
        @if !usable.is_empty() {
            (limits(state, &usable))
            section.sheet aria-labelledby="book-h" {
                header { h2 #book-h { (t("Address book")) } a.small href="/account/addresses" { (t("Manage the addresses")) } }
                (entries(state, &book))
            }
        }
    };
    Ok(page(visitor, t("Withdraw"), false, &content))
}

/// Up to what payouts go out without anybody's look.
fn limits(state: &AppState, usable: &[&BalanceView]) -> Markup {
    let of = |b: &&&BalanceView| Some((b.asset, state.treasury().payout_bounds(b.asset)?));
    let all: Vec<_> = usable.iter().filter_map(|b| of(&b)).collect();
    html! { @if !all.is_empty() {
        section.sheet aria-labelledby="limits-h" {
            header { h2 #limits-h { (t("Limits")) } }
            table.cards {
                thead { tr { th scope="col" { (t("Asset")) } th.r scope="col" { (t("One payout, up to")) }
                    th.r scope="col" { (t("All of 24 hours, up to")) } th.r scope="col" { (t("Two people look above")) } } }
                tbody { @for (asset, b) in &all {
                    @let bound = |n: Option<i64>| html! { @match n { Some(n) => (amount(Amount::new(*asset, n))), None => (t("no limit")) } };
                    tr {
                        (cell!("Asset", asset))
                        (cell!(r "One payout, up to", bound(Some(b.one))))
                        (cell!(r "All of 24 hours, up to", bound(b.day)))
                        (cell!(r "Two people look above", bound(b.two_above)))
                    }
                } }
            }
            p.small.soft { (t("Up to here a payout goes out by itself. Above it one of the operator's people looks at it first, or two of them; it stays yours and can be called back meanwhile.")) }
        }
    } }
}

/// The addresses of the book, each a link that fills the form.
fn entries(state: &AppState, book: &AddressBook) -> Markup {
    let now = state.now();
    html! {
        @if book.addresses.is_empty() { p.empty { (t("No address yet.")) } } @else {
            table.cards {
                thead { tr { th scope="col" { (t("Coin")) } th scope="col" { (t("Name")) } th scope="col" { (t("Address")) }
                    th scope="col" { span.visually-hidden { (t("Action")) } } } }
                tbody { @for a in &book.addresses { tr {
                    (cell!("Coin", a.asset))
                    (cell!("Name", a.label))
                    (cell!("Address", html! { code { (a.address) } }))
                    td.r { @if a.usable <= now {
                        a href={ "/withdraw?asset=" (a.asset) "&address=" (percent_encoded(&a.address)) } { (t("Withdraw to it")) span.visually-hidden { " " (a.label) } }
                    } @else { span.small.soft { (say!("usable from {time}", time = time(a.usable))) } } }
                } } }
            }
        }
        @if book.only { p.note { (t("Your payouts go to this book alone.")) } }
    }
}

fn read_amount(asset: &str, text: &str) -> Result<Amount, Failure> {
    let asset: Asset = asset.parse().map_err(|e| Failure::refused(sentence(&format!("{e}"))))?;
    let text = typed_figure(text).map_err(Failure::refused)?;
    Amount::parse_decimal(asset, &text).map_err(|e| Failure::refused(sentence(&e.to_string())))
}

async fn offer(
    state: &AppState,
    account: AccountId,
    asset: &str,
    text: &str,
    address: &str,
) -> Result<PayoutQuote, Failure> {
    state.payout_offer(account, read_amount(asset, text)?, address.trim()).await
}

/// `POST /withdraw`: shows what it costs; nothing moves yet.
pub(crate) async fn review(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Form(wish): Form<Wish>,
) -> Result<Response, Failure> {
    match offer(&state, customer.account, &wish.asset, &wish.amount, &wish.address).await {
        Ok(o) => {
            let address = wish.address.trim();
            let once = state.fresh_key();
            let body = review_page(&state, (&visitor, &customer), (&o, address), &once, None);
            Ok(body.await?.into_response())
        }
        Err(f) if f.status.is_client_error() => {
            let why = Some(f.detail.as_str());
            let body = ask_page(&state, &visitor, customer.account, &wish, why).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
        Err(f) => Err(f),
    }
}

/// What it costs, and whatever is asked for before it goes out; `once` is the key that makes it happen once.
async fn review_page(
    state: &AppState,
    (visitor, customer): (&Visitor, &Customer),
    (o, address): (&PayoutQuote, &str),
    once: &str,
    error: Option<&str>,
) -> Result<Markup, Failure> {
    let needed = state.payout_needs(customer, o.amount.asset, address).await?;
    let factors = state.accounts().factors(customer.account).await?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/withdraw" { (t("Withdraw")) } }
            h1 { (t("Confirm the payout")) }
        }
        @if let Some(e) = error { p.message.bad role="alert" { (heard(e)) } }
        section.sheet.narrow {
            dl.pairs {
                dt { (t("Leaves your balance")) } dd { (amount(o.amount)) }
                dt { (t("Network fee, at most")) } dd { (amount(o.fee_max)) }
                dt.total { (t("Arrives, at least")) } dd.total { (amount(o.receives_min)) }
                dt { (t("To")) } dd.copy { (address) }
            }
            @if let Some(until) = needed.held_until {
                p.note { (say!("Nothing of yours has gone to this address before, so the payout waits until {time}. Until then you can cancel it; the message that tells you of it says how, too.", time = time(until))) }
            }
            p.small.soft { (t("The fee goes to the network. Payouts are sent together, so it is often less; what is left of it stays yours.")) }
            form.actions method="post" action="/payouts" {
                (token(visitor))
                input type="hidden" name="asset" value=(o.amount.asset);
                input type="hidden" name="amount" value=(o.amount.decimal());
                input type="hidden" name="address" value=(address);
                input type="hidden" name="once" value=(once);
                @if needed.password {
                    div.field {
                        label for="password" { (t("Your password")) }
                        input #password name="password" type="password" required maxlength="1024" autocomplete="current-password" aria-describedby="password-hint";
                        p.hint #password-hint { (t("This address is new here, so your password is asked for.")) }
                    }
                }
                @if needed.code {
                    div.field {
                        label for="code" { (t("Code")) }
                        input #code name="code" type="text" required maxlength="64" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" aria-describedby="code-hint";
                        p.hint #code-hint { (t("This address is not in your address book, so a code is asked for.")) }
                        @if factors.passkeys > 0 { (passkeys::instead_of_code()) }
                    }
                }
                button type="submit" { (say!("Withdraw {amount}", amount = amount(o.amount))) }
                a.button.quiet href="/withdraw" { (t("Change")) }
            }
        }
    };
    Ok(page(visitor, t("Confirm the payout"), false, &content))
}

/// `POST /payouts`: requests it; pressing twice requests once. Where password or code are wrong, what was chosen stays.
pub(crate) async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    from: Client,
    Form(form): Form<Confirm>,
) -> Result<Response, Failure> {
    let what = read_amount(&form.asset, &form.amount)?;
    let (key, address) = (crate::api::idempotency_key(Some(&form.once))?, form.address.trim());
    let given = Given { password: Some(&form.password), code: Some(&form.code) };
    match state.request_payout(&customer, (what, address), key, given, from).await {
        Ok(p) => Ok(Redirect::to(&format!("/payouts/{}", p.id)).into_response()),
        Err(f) if f.status == StatusCode::UNAUTHORIZED => {
            let o = state.payout_offer(customer.account, what, address).await?;
            let (who, why) = ((&visitor, &customer), Some(f.detail.as_str()));
            let body = review_page(&state, who, (&o, address), &form.once, why).await?;
            Ok((f.status, body).into_response())
        }
        Err(f) => Err(f),
    }
}
