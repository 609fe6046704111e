//! The book of addresses that payouts may go to. Only a session reaches it: it is what holds a thief of one up.

use crate::api::{Time, time};
use crate::client::Client;
use crate::extract::{Customer, Json};
use crate::failure::{Failure, sentence};
use crate::openapi::{Answer, Done, Fine, Made, answers, requests};
use crate::protecting::{NewBookAddress, owner_text};
use crate::routes::Access::Bearer;
use crate::routes::Routes;
use crate::state::{AppState, accounts_failure};
use axum::extract::State;
use gruve_accounts::BookAddress;
use gruve_units::Asset;

answers! {
    /// The book of payout addresses.
    struct AddressBookBody {
        /// Its entries.
        addresses: Vec<BookAddressBody>,
        /// Whether payouts go nowhere else.
        only: bool,
        /// Until when they do after that was asked to end.
        only_until: Option<Time>,
        /// Whether an address comes in only with a signature of its key.
        signature_needed: bool,
        /// What the owner of an address signs with it, the address in place of the dots.
        to_sign: String,
    }

    /// An address of the book.
    struct BookAddressBody {
        /// For payouts of what.
        asset: Asset,
        /// It.
        address: String,
        /// What it is called.
        label: String,
        /// From when on it counts.
        usable_at: Time,
    }

    /// An address put into the book.
    struct AddressAdded {
        /// For payouts of what.
        asset: Asset,
        /// It.
        address: String,
        /// From when on it counts.
        usable_at: Time,
    }
}

requests! {
    /// An address for the book, with the proof of who asks.
    struct AddressOrder {
        /// `BTC`, …
        asset: String,
        /// One of your own.
        address: String,
        /// To know it by.
        label: String = default,
        /// Of the book's `to_sign` by the address (BIP-322); needed where the book says so.
        signature: String = default,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// Which address.
    struct AddressNamed {
        /// `BTC`, …
        asset: String,
        /// It.
        address: String,
    }

    /// Whether payouts go to the book alone, with the proof of who asks.
    struct BookOnly {
        /// Whether. What is ended counts on until the delay is over.
        only: bool,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_get("/api/v1/account/addresses", Bearer, "The book of payout addresses.", book)
        .api_post(
            "/api/v1/account/addresses",
            Bearer,
            "Puts an address into the book, to be paid to after the delay.",
            add,
        )
        .api_post(
            "/api/v1/account/addresses/remove",
            Bearer,
            "Takes an address out of the book, at once.",
            remove,
        )
        .api_post(
            "/api/v1/account/addresses/only",
            Bearer,
            "Has payouts go to the book alone, at once; or, after the delay, no longer.",
            set_only,
        )
}

fn asset_of(text: &str) -> Result<Asset, Failure> {
    text.parse().map_err(|e| Failure::refused(sentence(&format!("{e}"))))
}

/// `GET /api/v1/account/addresses`: the book of payout addresses.
async fn book(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<AddressBookBody>, Failure> {
    Ok(Answer(standing(&state, &customer).await?))
}

async fn standing(state: &AppState, customer: &Customer) -> Result<AddressBookBody, Failure> {
    let book = state.accounts().address_book(customer.account).await?;
    let one = |a: BookAddress| BookAddressBody {
        asset: a.asset,
        address: a.address,
        label: a.label,
        usable_at: time(a.usable),
    };
    Ok(AddressBookBody {
        addresses: book.addresses.into_iter().map(one).collect(),
        only: book.only,
        only_until: book.only_until.map(time),
        signature_needed: state.accounts().wants_owner_signatures(),
        to_sign: owner_text(customer.account, "…"),
    })
}

/// `POST /api/v1/account/addresses`
async fn add(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(o): Json<AddressOrder>,
) -> Result<Made<AddressAdded>, Failure> {
    let (asset, address) = (asset_of(&o.asset)?, o.address.trim());
    let new = NewBookAddress { asset, address, label: &o.label, signature: &o.signature };
    let usable = state.add_to_book(customer.account, (&o.password, &o.code), new, from).await?;
    Ok(Answer(AddressAdded { asset, address: address.to_owned(), usable_at: time(usable) }))
}

/// `POST /api/v1/account/addresses/remove`: an address is no name for a path, and takes no proof, as it only narrows
/// where coins may go.
async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Json(named): Json<AddressNamed>,
) -> Result<Done, Failure> {
    let asset = asset_of(&named.asset)?;
    let gone = state.accounts().remove_address(customer.account, asset, &named.address).await;
    match gone.map_err(|e| accounts_failure(&e))? {
        true => Ok(Done),
        false => Err(Failure::not_found("address")),
    }
}

/// `POST /api/v1/account/addresses/only`
async fn set_only(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(wish): Json<BookOnly>,
) -> Result<Fine<AddressBookBody>, Failure> {
    let proof = (wish.password.as_str(), Some(wish.code.as_str()));
    let set = state.accounts().pay_to_book_only(customer.account, wish.only, proof, from).await;
    set.map_err(|e| accounts_failure(&e))?;
    Ok(Answer(standing(&state, &customer).await?))
}
