//! Being paid by the block itself: a machine's part of its page, and its form.

use crate::client::Client;
use crate::extract::{Customer, Form, Id};
use crate::failure::Failure;
use crate::hosted::in_block::PaidInBlock;
use crate::hosted::{Again, Asker};
use crate::layout::{cell, token};
use crate::money::{amount, short_hash, shown_hash, time};
use crate::pages::security::proof;
use crate::state::AppState;
use crate::view::basis_points;
use crate::visitor::Visitor;
use crate::words::{say, t};
use axum::extract::State;
use axum::response::Redirect;
use gruve_accounts::Factors;
use gruve_hosting::{Contract, PayFrom, Scheme, Split};
use gruve_units::ContractId;
use maud::{Markup, html};
use serde::Deserialize;

/// What is shown of it, where the contract allows it or blocks have paid.
pub(crate) fn section(
    visitor: &Visitor,
    c: &Contract,
    (wanted, paid): (bool, &[PaidInBlock]),
    splits: &[Split],
    factors: Factors,
) -> Markup {
    let may = c.terms.scheme == Scheme::Solo && c.terms.pay_from == PayFrom::Balance;
    html! {
        @if may || !paid.is_empty() {
            section.sheet.narrow aria-labelledby="in-block-h" {
                header { h2 #in-block-h { (t("Paid by the block")) } }
                @if wanted {
                    p { (t("Blocks that this machine finds pay your address themselves; the house never has these coins.")) }
                } @else {
                    p { (t("Blocks that this machine finds pay the house, which credits you.")) }
                }
                p.note { (t("It counts for work of later epochs, once your address is published; until then, and while a bill is unpaid, the house is paid. Your address then stands in the public record with every share, not only in blocks.")) }
                (shares(splits))
                (blocks(paid))
                @if may {
                    form.stack method="post" action={ "/machines/" (c.id) "/in-block" } {
                        (token(visitor))
                        input type="hidden" name="wanted" value=(!wanted);
                        (proof("in-block", factors))
                        button.quiet type="submit" { @if wanted { (t("Let the house be paid")) } @else { (t("Let the block pay me")) } }
                    }
                }
            }
        }
    }
}

/// With whom it is shared.
fn shares(splits: &[Split]) -> Markup {
    html! {
        @for split in splits {
            p { (say!("From {time} they share what the house leaves of a block:", time = time(split.from))) }
            ul { @for part in &split.parts { li { code { (part.address) } " " (basis_points(part.bps)) } } }
        }
    }
}

fn blocks(paid: &[PaidInBlock]) -> Markup {
    html! {
        @if !paid.is_empty() {
            table.cards {
                thead { tr { th scope="col" { (t("Found")) } th scope="col" { (t("Block")) } th.r scope="col" { (t("Output")) }
                    th.r scope="col" { (t("Amount")) } th scope="col" { (t("State")) } } }
                tbody { @for p in paid { tr {
                    (cell!("Found", time(p.block.at)))
                    (cell!("Block", html! { (p.block.height) " " (short_hash(&shown_hash(&p.block.block_hash))) }))
                    (cell!(r "Output", html! { (p.block.vout) }))
                    (cell!(r "Amount", amount(p.block.amount)))
                    (cell!("State", html! { (t(state(p.state))) }))
                } } }
            }
        }
    }
}

fn state(name: &str) -> &'static str {
    match name {
        "mature" => "Mature",
        "orphaned" => "Orphaned",
        _ => "Maturing",
    }
}

/// The form of the wish.
#[derive(Deserialize)]
pub(crate) struct Wish {
    wanted: bool,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// `POST /machines/{id}/in-block`
pub(crate) async fn wish(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<ContractId>,
    Form(form): Form<Wish>,
) -> Result<Redirect, Failure> {
    let again = Again { password: form.password, code: form.code };
    let asker = Asker { customer: &customer, again: &again, from };
    state.set_in_block(&asker, id, form.wanted).await?;
    Ok(Redirect::to(&format!("/machines/{id}")))
}
