//! Accounts, sessions, balances.

use crate::api::{Money, Time, amount, time};
use crate::client::Client;
use crate::extract::{Customer, Json};
use crate::failure::Failure;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::state::{AppState, SignedIn};
use crate::view::BalanceView;
use axum::extract::State;
use gruve_units::{AccountId, Asset};

requests! {
    /// A new account.
    struct SignUp {
        /// 3 to 32 of `a`–`z`, `0`–`9`, `_` and `-`.
        name: String,
        /// An e-mail address.
        email: String,
        /// 12 characters to 1,024 bytes, and none that is easily guessed.
        password: String,
    }

    /// Name or e-mail and password.
    struct Login {
        /// The account's name or e-mail address.
        login: String,
        /// Its password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: Option<String>,
    }
}

answers! {
    /// An account just opened.
    struct AccountMade {
        /// Its id.
        account: AccountId,
        /// Its name.
        name: String,
    }

    /// A session just opened.
    struct SessionMade {
        /// What proves it: sent as a bearer's token.
        token: String,
        /// When it ends if it is not used.
        expires_at: Time,
    }

    /// What an account has of one asset.
    struct Balance {
        /// Which.
        asset: Asset,
        /// Free to be spent and withdrawn.
        available: Money,
        /// Held for payouts, part-paid invoices and work by the meter.
        held: Money,
        /// Earned, not settled.
        maturing: Money,
    }
}

/// `POST /api/v1/accounts`
pub(crate) async fn sign_up(
    State(state): State<AppState>,
    Client(from): Client,
    Json(new): Json<SignUp>,
) -> Result<Made<AccountMade>, Failure> {
    let account = state.sign_up(&new.name, &new.email, &new.password, &from).await?;
    Ok(Answer(AccountMade { account, name: new.name }))
}

/// `POST /api/v1/sessions`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Client(from): Client,
    Json(login): Json<Login>,
) -> Result<Made<SessionMade>, Failure> {
    let opened = match state.sign_in(&login.login, &login.password, from.clone()).await? {
        SignedIn::Yes(opened) => opened,
        SignedIn::CodeNeeded(ticket) => {
            let code = login.code.as_deref().ok_or_else(Failure::second_factor)?;
            state.sign_in_second(&ticket, code, from).await?
        }
    };
    Ok(Answer(SessionMade { token: opened.token, expires_at: time(opened.expires) }))
}

/// `DELETE /api/v1/sessions/current`
pub(crate) async fn sign_out(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Done, Failure> {
    state.accounts().sign_out(&customer.token).await?;
    Ok(Done)
}

/// `GET /api/v1/balances`
pub(crate) async fn balances(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<List<Balance>>, Failure> {
    let all = state.balances(customer.account).await?;
    Ok(List::whole(all.iter().map(balance)))
}

/// What an account has of one asset.
pub(crate) fn balance(b: &BalanceView) -> Balance {
    Balance {
        asset: b.asset,
        available: amount(b.available),
        held: amount(b.held),
        maturing: amount(b.maturing),
    }
}
