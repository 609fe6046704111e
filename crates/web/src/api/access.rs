//! Sessions and keys of an account. Only a session reaches these, never a key.

use crate::api::{Time, time};
use crate::client::Client;
use crate::extract::{Customer, Id, Json};
use crate::failure::Failure;
use crate::once::Secret;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::state::{AppState, accounts_failure};
use axum::extract::State;
use gruve_accounts::{ApiKey, KeyId, Scope};
use gruve_units::Duration;

answers! {
    /// A session of the account.
    struct SessionBody {
        /// Its id, by which it can be ended.
        session: String,
        /// When it was opened.
        created_at: Time,
        /// When it was last used, to ten minutes.
        seen_at: Time,
        /// When it ends if it is not used.
        expires_at: Time,
        /// Network and program, as told when it was opened.
        about: String,
        /// Whether it is the one that asks.
        is_own: bool,
    }

    /// A key for programs.
    struct KeyBody {
        /// Its id.
        id: String,
        /// What its owner calls it.
        name: String,
        /// What it may do: `read`, `trade`, `withdraw`, `machines`.
        scopes: Vec<&'static str>,
        /// When it was made.
        created_at: Time,
        /// When it ends.
        expires_at: Time,
        /// When it was last used, to ten minutes.
        used_at: Option<Time>,
    }

    /// A key just made.
    struct KeyMade: base: KeyBody {
        /// The key itself, sent as a bearer's token. It is not shown again.
        key: String,
    }
}

/// `GET /api/v1/sessions`
pub(crate) async fn sessions(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<List<SessionBody>>, Failure> {
    let all = state.accounts().sessions(customer.account, &customer.token).await?;
    Ok(List::whole(all.into_iter().map(|s| SessionBody {
        session: s.id.to_string(),
        created_at: time(s.created),
        seen_at: time(s.seen),
        expires_at: time(s.expires),
        about: s.about,
        is_own: s.is_own,
    })))
}

/// `DELETE /api/v1/sessions/{id}`
pub(crate) async fn end_session(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<String>,
) -> Result<Done, Failure> {
    match state.accounts().end_session(customer.account, &id).await? {
        true => Ok(Done),
        false => Err(Failure::not_found("session")),
    }
}

fn body(k: &ApiKey) -> KeyBody {
    KeyBody {
        id: k.id.to_string(),
        name: k.name.clone(),
        scopes: k.scopes.iter().map(|s| s.name()).collect(),
        created_at: time(k.created),
        expires_at: time(k.expires),
        used_at: k.used.map(time),
    }
}

/// `GET /api/v1/keys`
pub(crate) async fn keys(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<List<KeyBody>>, Failure> {
    let all = state.accounts().keys(customer.account).await?;
    Ok(List::whole(all.iter().map(body)))
}

requests! {
    /// A key to be made, with the proof of who asks.
    struct NewKey {
        /// What to call it.
        name: String,
        /// What it may do: `read`, `trade`, `withdraw`, `machines`.
        scopes: Vec<String>,
        /// For how many days, 1 to 366.
        days: u32,
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }
}

/// `POST /api/v1/keys`
pub(crate) async fn make_key(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(new): Json<NewKey>,
) -> Result<Secret<Made<KeyMade>>, Failure> {
    let scopes: Result<Vec<Scope>, String> = new.scopes.iter().map(|s| s.parse()).collect();
    let scopes = scopes.map_err(|e| Failure::refused(crate::failure::sentence(&e)))?;
    let accounts = state.accounts();
    let proof = accounts.prove(customer.account, &new.password, Some(&new.code), from).await;
    proof.map_err(|e| accounts_failure(&e))?;
    let life = Duration::from_secs(u64::from(new.days) * 86_400);
    let made = accounts.make_key(customer.account, &new.name, &scopes, life).await;
    let (made, key) = made.map_err(|e| accounts_failure(&e))?;
    Ok(Secret(Answer(KeyMade { base: body(&made), key })))
}

/// `DELETE /api/v1/keys/{id}`
pub(crate) async fn end_key(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<String>,
) -> Result<Done, Failure> {
    let id: KeyId = id.parse().map_err(|()| Failure::not_found("key"))?;
    match state.accounts().end_key(customer.account, id).await? {
        true => Ok(Done),
        false => Err(Failure::not_found("key")),
    }
}
