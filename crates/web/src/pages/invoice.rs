//! An invoice: where to pay, how much, and where the payment is.

use crate::conversion::{NO_PRICE, Offer};
use crate::extract::{Customer, Form, Id};
use crate::failure::{Failure, sentence};
use crate::layout::{page, parties, token};
use crate::money::{amount, local, span_text, time};
use crate::qr;
use crate::state::AppState;
use crate::view::{basis_points, invoice_state, seen_unconfirmed};
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_treasury::bank::written_reference;
use gruve_treasury::{
    BankAccount, Conversion, Invoice, InvoiceState, Method, Purpose, Unconfirmed,
};
use gruve_units::{Amount, Asset, InvoiceId};
use maud::{Markup, html};
use serde::Deserialize;

/// `GET /invoices/{id}`
pub(crate) async fn invoice(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Markup, Failure> {
    let inv = state.invoice(customer.account, id).await?;
    let balances = state.balances(customer.account).await?;
    let balance = balances.iter().find(|b| b.asset == inv.asset()).map(|b| b.available);
    let balance = balance.unwrap_or(Amount::zero(inv.asset()));
    let of = match inv.purpose {
        Purpose::Contract(c) => Some(state.path_of(customer.account, c).await?),
        Purpose::TopUp => None,
        Purpose::Conversion(c) => Some(format!("/invoices/{}", c.pays)),
    };
    let offers = state.conversion_offers(&inv).await?;
    let made = state.treasury().conversions(id).await?;
    let waiting = state.treasury().unconfirmed(&inv).await?;
    let content = html! {
        div.lead {
            p.crumbs {
                a href="/account" { (t("Overview")) }
                @if let Some(of) = &of { " / " a href=(of) { (of_what(&inv)) } }
            }
            h1 { (t("Invoice")) }
            (parties(&visitor))
        }
        section.sheet #invoice data-live="money prices" aria-labelledby="invoice-h" {
            header { h2 #invoice-h { (amount(inv.amount)) } (tag(&inv, waiting.as_ref())) }
            (body(&state, &visitor, (&inv, of.as_deref(), waiting.as_ref()), balance))
            (in_coins(&state, &visitor, &inv, (&offers, &made)))
        }
    };
    Ok(page(&visitor, t("Invoice"), true, &content))
}

/// What an invoice leads back to.
fn of_what(inv: &Invoice) -> &'static str {
    match inv.purpose {
        Purpose::Conversion(_) => t("Invoice in the other currency"),
        Purpose::Contract(_) | Purpose::TopUp => t("Contract"),
    }
}

/// Its state; where nothing stands in a block, that something was seen all the same.
fn tag(inv: &Invoice, waiting: Option<&Unconfirmed>) -> Markup {
    match waiting {
        Some(u) if inv.state == InvoiceState::New && !u.marks.is_empty() => {
            seen_unconfirmed().tag()
        }
        _ => invoice_state(inv.state).tag(),
    }
}

fn body(
    state: &AppState,
    visitor: &Visitor,
    (inv, of, waiting): (&Invoice, Option<&str>, Option<&Unconfirmed>),
    balance: Amount,
) -> Markup {
    html! {
        @if inv.state.is_open() {
            @if inv.asset().is_fiat() {
                @if let Some(bank) = state.treasury().bank(inv.asset()) { (by_bank(bank, inv)) }
            } @else {
                (on_chain(inv, waiting))
            }
            @if let Purpose::Conversion(c) = &inv.purpose { (rate_of(inv, c)) }
            (elsewhere(state, visitor, inv))
            @if inv.purpose != Purpose::TopUp { (from_balance(visitor, inv, balance)) }
        } @else {
            dl.pairs {
                dt { (t("State")) } dd { (t(invoice_state(inv.state).text)) }
                dt { (t("Amount")) } dd { (amount(inv.amount)) }
                dt { (t("Confirmed")) } dd { (amount(inv.confirmed)) }
                dt { @if inv.asset().is_fiat() { (t("Reference")) } @else { (t("Address")) } } dd { code { (inv.address) } }
            }
            @if let Purpose::Conversion(c) = &inv.purpose { (rate_of(inv, c)) }
            div.actions {
                @if let Some(of) = of {
                    a.button href=(of) {
                        @if let Purpose::Conversion(_) = inv.purpose { (t("To the invoice")) } @else { (t("To the contract")) }
                    }
                }
                a.button.quiet href="/account" { (t("To the overview")) }
            }
        }
    }
}

fn on_chain(inv: &Invoice, waiting: Option<&Unconfirmed>) -> Markup {
    html! {
        div.pay {
            div {
                @if let Some(code) = qr::svg(&inv.uri(), t("Payment link as a QR code")) { (code) }
            }
            div.sheet {
                dl.pairs {
                    dt { (t("Pay exactly")) } dd { (amount(inv.amount)) }
                    dt { (t("To this address")) } dd.copy { (inv.address) }
                    dt { (t("Before")) } dd { (time(inv.expires)) }
                    dt { (t("Seen in blocks")) } dd { (amount(inv.received)) }
                    dt { (t("Confirmed")) } dd { (amount(inv.confirmed)) }
                    @if let Some(u) = waiting { dt { (t("Blocks that a payment needs")) } dd { (u.blocks) } }
                }
                @if let Some(u) = waiting { (in_no_block(u)) }
                div.actions { a.button href=(inv.uri()) { (t("Open in a wallet")) } }
                @if matches!(inv.asset(), Asset::Etc | Asset::Eth) { p.small.soft {
                    (t("Pay from an ordinary account: what a contract pays (an exchange's batch, a wallet of several signatures) is not seen by itself. Write to us if you paid like that."))
                } }
                @if !matches!(inv.purpose, Purpose::Conversion(_)) { p.small.soft {
                    (t("The address is for this invoice only. Less than the amount is kept for you and can be topped up until the time is over; more, or anything late, goes to your balance. Nothing is lost."))
                } }
            }
        }
    }
}

/// What the network has passed on and no block holds yet.
fn in_no_block(waiting: &Unconfirmed) -> Markup {
    html! {
        @if !waiting.marks.is_empty() {
            h3 { (t("Seen, unconfirmed")) }
            dl.pairs {
                @for mark in &waiting.marks {
                    dt { (amount(mark.amount)) }
                    dd { (time(mark.seen_at)) br; code { (mark.transaction()) } }
                }
            }
            p.small.soft {
                (t("It is on its way and in no block yet: nothing counts before it stands in as many blocks as are written above. What is replaced, or never comes into a block, goes from here again. Do not pay once more."))
            }
        }
    }
}

/// What an invoice in a coin pays, at what rate and until when.
fn rate_of(inv: &Invoice, c: &Conversion) -> Markup {
    html! {
        dl.pairs {
            dt { (t("Pays")) } dd { (amount(c.price)) }
            @if let Ok(counts) = c.rate.a_coin_counts(c.price.asset) {
                dt { (t("Fixed rate")) } dd { (one_counts(inv.asset(), counts)) }
            }
            dt { (t("Spread in it")) } dd { (basis_points(c.rate.spread)) }
            dt { (t("By prices of")) } dd { (time(c.rate.priced_at)) }
            dt { (t("Counts for what is in a block by")) } dd { (time(c.until)) }
            @if inv.late.minor > 0 { dt { (t("Came too late for it")) } dd { (amount(inv.late)) } }
        }
        p.small.soft { (t("What is in a block by then counts at this rate. Less than the amount, more, or anything later goes to your balance as the coin that it is, never at a rate that is over. Nothing is lost.")) }
    }
}

fn one_counts(coin: Asset, counts: Amount) -> Markup {
    say!("1 {coin} counts for {amount}", coin = coin.code(), amount = amount(counts))
}

/// The coins in which it can be paid besides, and those that were chosen.
fn in_coins(
    state: &AppState,
    visitor: &Visitor,
    inv: &Invoice,
    (offers, made): (&[Offer], &[Invoice]),
) -> Markup {
    html! {
        @if let Some(rules) = state.config().conversion.filter(|_| !offers.is_empty()) {
            h3 { (t("Pay in a coin")) }
            p.small.soft { (say!("Your choice fixes the rate for {lock}: the median of the prices that we ask for, and {spread} on the amount.", lock = span_text(rules.lock), spread = basis_points(rules.spread))) }
            @for offer in offers {
                @if let Some((coins, rate)) = &offer.now {
                    form.actions method="post" action={ "/invoices/" (inv.id) "/convert" } {
                        (token(visitor))
                        input type="hidden" name="asset" value=(offer.coin.code());
                        button.quiet type="submit" { (say!("Pay {amount}", amount = amount(*coins))) }
                        @if let Ok(counts) = rate.a_coin_counts(inv.asset()) { span.small.soft { (one_counts(offer.coin, counts)) } }
                    }
                } @else {
                    p.small { (offer.coin.code()) ": " (t(NO_PRICE)) }
                }
            }
        }
        @if !made.is_empty() {
            h3 { (t("Chosen coins")) }
            dl.pairs {
                @for chosen in made {
                    dt { a href={ "/invoices/" (chosen.id) } { (amount(chosen.amount)) } }
                    dd { (invoice_state(chosen.state).tag()) }
                }
            }
        }
    }
}

/// In which coin.
#[derive(Deserialize)]
pub(crate) struct InCoin {
    asset: String,
}

/// `POST /invoices/{id}/convert`: fixes the rate and leads to the invoice in the coin.
pub(crate) async fn convert(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
    Form(form): Form<InCoin>,
) -> Result<Redirect, Failure> {
    let coin = form.asset.parse::<Asset>();
    let coin = coin.map_err(|e| Failure::refused(sentence(&e.to_string())))?;
    let made = state.convert(customer.account, id, coin).await?;
    Ok(Redirect::to(&format!("/invoices/{}", made.id)))
}

fn by_bank(bank: &BankAccount, inv: &Invoice) -> Markup {
    html! {
        div.pay {
            div {
                @if let Some(text) = bank.transfer_code(inv)
                    && let Some(code) = qr::svg(&text, t("Transfer as a QR code for banking apps")) { (code) }
            }
            div.sheet {
                h3 { (t("By bank transfer")) }
                dl.pairs {
                    dt { (t("Pay")) } dd { (cents(inv.to_pay())) }
                    dt { (t("To")) } dd { (bank.holder) }
                    dt { (t("IBAN")) } dd.copy { (written_reference(&bank.iban)) }
                    @if let Some(bic) = &bank.bic { dt { (t("BIC")) } dd.copy { (bic) } }
                    dt { (t("Reference")) } dd.copy { (written_reference(&inv.address)) }
                    dt { (t("Before")) } dd { (time(inv.expires)) }
                    dt { (t("Booked so far")) } dd { (amount(inv.confirmed)) }
                }
                p.small.soft {
                    (t("Write the reference into the transfer: by it we know that the money is yours. A transfer counts when our bank has booked it and its statement is read, which takes a day or more.")) " "
                    @if let Purpose::Contract(_) = inv.purpose {
                        (say!("If that is too long for this invoice, {link} first and pay contracts from it.", link = html! { a href="/top-up" { (t("fill your balance")) } }))
                    }
                    " " (t("Less is kept for you; more, or anything late, goes to your balance. Nothing is lost."))
                }
            }
        }
    }
}

/// Buttons for the services by which it can be paid.
fn elsewhere(state: &AppState, visitor: &Visitor, inv: &Invoice) -> Markup {
    html! {
        @for method in state.treasury().checkouts_for(inv) {
            form.actions method="post" action={ "/invoices/" (inv.id) "/checkout" } {
                (token(visitor))
                input type="hidden" name="method" value=(method.word());
                button.quiet type="submit" { (t(name_of(method))) }
            }
        }
    }
}

const fn name_of(method: Method) -> &'static str {
    match method {
        Method::Card => "Pay by card",
        Method::BtcPay => "Pay with Lightning or coins",
        Method::Bank | Method::Balance | Method::Conversion => "Pay",
    }
}

/// By which service.
#[derive(Deserialize)]
pub(crate) struct By {
    method: String,
}

/// `POST /invoices/{id}/checkout`: leads to the service. A link and not a redirect, since our pages' rules let
/// no form lead elsewhere.
pub(crate) async fn checkout(
    State(state): State<AppState>,
    visitor: Visitor,
    customer: Customer,
    Id(id): Id<InvoiceId>,
    Form(by): Form<By>,
) -> Result<Markup, Failure> {
    let url = state.open_checkout(customer.account, id, &by.method).await?;
    let host = url.split('/').nth(2).unwrap_or_default();
    let content = html! {
        div.lead { h1 { (t("Pay elsewhere")) } }
        section.sheet.narrow {
            p { (say!("You pay at {code}. Come back afterwards: the invoice shows the payment within a minute or two.", code = html! { code { (host) } })) }
            div.actions {
                a.button href=(url) rel="noreferrer" { (say!("Go on to {host}", host = host)) }
                a.button.quiet href={ "/invoices/" (id) } { (t("Back to the invoice")) }
            }
        }
    };
    Ok(page(&visitor, t("Pay elsewhere"), false, &content))
}

fn from_balance(visitor: &Visitor, inv: &Invoice, balance: Amount) -> Markup {
    let rest = inv.amount.minor - inv.confirmed.minor;
    html! {
        @if balance.minor >= rest {
            form.actions method="post" action={ "/invoices/" (inv.id) "/balance" } {
                (token(visitor))
                button.quiet type="submit" { (say!("Pay {rest} from your balance of {balance}", rest = amount(Amount::new(balance.asset, rest)), balance = amount(balance))) }
            }
        }
    }
}

/// An amount as banks write it.
fn cents(a: Amount) -> Markup {
    let cents = a.minor / a.asset.payable();
    html! { span.amount { span.num { (local(&format!("{}.{:02}", cents / 100, cents % 100))) } " " span.unit { (a.asset.code()) } } }
}

/// `POST /invoices/{id}/balance`
pub(crate) async fn pay_from_balance(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<InvoiceId>,
) -> Result<Redirect, Failure> {
    state.pay_from_balance(customer.account, id).await?;
    Ok(Redirect::to(&format!("/invoices/{id}")))
}
