//! How an account is protected, for programs: e-mail address, password, second factor, sessions. Only a session
//! reaches these, never a key, and what a stolen session must not do takes the password and a code besides, as on
//! the pages.

use crate::api::passkeys::Proof;
use crate::api::{Time, time};
use crate::client::Client;
use crate::extract::{Customer, Json};
use crate::failure::Failure;
use crate::once::Secret;
use crate::openapi::{Answer, Done, Fine, Made, answers, requests};
use crate::routes::Access::Bearer;
use crate::routes::Routes;
use crate::state::{AppState, accounts_failure};
use axum::extract::State;

requests! {
    /// A new e-mail address, with the proof of who asks.
    struct EmailWanted {
        /// It.
        email: String,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// A new password, with the proof of who asks.
    struct PasswordWanted {
        /// It: 12 characters to 1,024 bytes.
        new: String,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// A code that the new secret shows, with the proof of who asks.
    struct TotpShown {
        /// The code.
        shown: String,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has another second factor already.
        code: String = default,
    }
}

answers! {
    /// An e-mail address asked for.
    struct EmailAsked {
        /// From when on it counts, once it is confirmed by the message to it.
        due_at: Time,
    }

    /// A secret for a program that shows codes by time. It counts once a code of it was shown.
    struct TotpSecret {
        /// The secret, base32. It is not shown again.
        secret: String,
        /// The same as an address, to be made a picture of.
        uri: String,
    }

    /// Codes for a lost device: each signs in once in place of a code.
    struct RecoveryCodes {
        /// They are not shown again.
        recovery_codes: Vec<String>,
    }

    /// Sessions ended.
    struct SessionsEnded {
        /// How many.
        ended: u64,
    }
}

/// The addresses of this place.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .api_post(
            "/api/v1/account/email",
            Bearer,
            "Asks for another e-mail address, which counts once confirmed and after the delay.",
            change_email,
        )
        .api_post(
            "/api/v1/account/password",
            Bearer,
            "Sets a new password; all other sessions, keys and webhooks end.",
            change_password,
        )
        .api_post(
            "/api/v1/account/totp",
            Bearer,
            "Makes a secret for a program that shows codes.",
            begin_totp,
        )
        .api_post(
            "/api/v1/account/totp/confirm",
            Bearer,
            "Turns the second factor on, by a code of its secret.",
            confirm_totp,
        )
        .api_post("/api/v1/account/totp/off", Bearer, "Asks for codes no more.", end_totp)
        .api_post(
            "/api/v1/account/recovery-codes",
            Bearer,
            "Makes new codes for a lost device; the old ones are void.",
            new_recovery,
        )
        .api_post(
            "/api/v1/sessions/end-others",
            Bearer,
            "Ends all sessions but the one that asks.",
            end_other_sessions,
        )
}

/// `POST /api/v1/account/email`
async fn change_email(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(wanted): Json<EmailWanted>,
) -> Result<Fine<EmailAsked>, Failure> {
    let proof = (wanted.password.as_str(), Some(wanted.code.as_str()));
    let asked = state.accounts().ask_for_email(customer.account, proof, &wanted.email, from).await;
    Ok(Answer(EmailAsked { due_at: time(asked.map_err(|e| accounts_failure(&e))?) }))
}

/// `POST /api/v1/account/password`
async fn change_password(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(wanted): Json<PasswordWanted>,
) -> Result<Done, Failure> {
    let who = (customer.account, customer.token.as_str());
    state.change_password(who, (&wanted.password, &wanted.code), &wanted.new, from).await?;
    Ok(Done)
}

/// `POST /api/v1/account/totp`
async fn begin_totp(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Secret<Made<TotpSecret>>, Failure> {
    let setup = state.begin_totp(customer.account).await?;
    Ok(Secret(Answer(TotpSecret { secret: setup.secret, uri: setup.uri })))
}

/// `POST /api/v1/account/totp/confirm`
async fn confirm_totp(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(shown): Json<TotpShown>,
) -> Result<Secret<Fine<RecoveryCodes>>, Failure> {
    let proof = (shown.password.as_str(), Some(shown.code.as_str()));
    let codes = state.accounts().confirm_totp(customer.account, proof, &shown.shown, from).await;
    let recovery_codes = codes.map_err(|e| accounts_failure(&e))?;
    Ok(Secret(Answer(RecoveryCodes { recovery_codes })))
}

/// `POST /api/v1/account/totp/off`
async fn end_totp(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(proof): Json<Proof>,
) -> Result<Done, Failure> {
    let accounts = state.accounts();
    let ended = accounts.end_totp(customer.account, &proof.password, &proof.code, from).await;
    ended.map_err(|e| accounts_failure(&e))?;
    Ok(Done)
}

/// `POST /api/v1/account/recovery-codes`
async fn new_recovery(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(proof): Json<Proof>,
) -> Result<Secret<Fine<RecoveryCodes>>, Failure> {
    let (account, accounts) = (customer.account, state.accounts());
    let codes = accounts.new_recovery_codes(account, &proof.password, &proof.code, from).await;
    let recovery_codes = codes.map_err(|e| accounts_failure(&e))?;
    Ok(Secret(Answer(RecoveryCodes { recovery_codes })))
}

/// `POST /api/v1/sessions/end-others`
async fn end_other_sessions(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<SessionsEnded>, Failure> {
    let ended = state.accounts().end_other_sessions(customer.account, &customer.token).await?;
    Ok(Answer(SessionsEnded { ended }))
}
