//! Passkeys for programs that have an authenticator at hand, apps among them. Only a session reaches what
//! changes an account, never a key.

use crate::api::accounts::SessionMade;
use crate::api::time;
use crate::client::Client;
use crate::extract::{Customer, Id, Json};
use crate::failure::Failure;
use crate::once::Secret;
use crate::openapi::{Answer, Done, Fine, List, Made, answers, requests};
use crate::passkeys::{
    self, PasskeyAssertion, PasskeyBody, PasskeyCreation, Signed, assertion, body, creation,
    failure,
};
use crate::state::AppState;
use axum::extract::State;

requests! {
    /// Proof of who asks.
    struct Proof {
        /// The account's password.
        password: String,
        /// The code of the moment, where the account has a second factor.
        code: String = default,
    }

    /// A new name.
    struct PasskeyName {
        /// It.
        name: String,
    }

    /// Whose passkeys to offer, where the authenticator does not list its own.
    struct PasskeyBegin {
        /// The account's name or e-mail address.
        login: String = default,
    }
}

answers! {
    /// A passkey added.
    struct PasskeyAdded {
        /// Codes to come in by without it, where there were none. They are not shown again.
        recovery_codes: Vec<String>,
    }

    /// That it was proven who asks.
    struct PasskeyProof {
        /// Sent where a code is asked for.
        code: String,
    }
}

/// `GET /api/v1/passkeys`
pub(crate) async fn list(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<List<PasskeyBody>>, Failure> {
    let all = state.accounts().passkeys(customer.account).await?;
    Ok(List::whole(all.iter().map(body)))
}

/// `POST /api/v1/passkeys/options`
pub(crate) async fn add_options(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Json(proof): Json<Proof>,
) -> Result<Fine<PasskeyCreation>, Failure> {
    let proof = (proof.password.as_str(), proof.code.as_str());
    let asked = state.accounts().begin_passkey(customer.account, proof, from).await;
    Ok(Answer(creation(&asked.map_err(|e| failure(&e))?)))
}

/// `POST /api/v1/passkeys`
pub(crate) async fn add(
    State(state): State<AppState>,
    customer: Customer,
    Json(made): Json<passkeys::Made>,
) -> Result<Secret<Made<PasskeyAdded>>, Failure> {
    let codes = state.accounts().add_passkey(customer.account, &made.read()?).await;
    let codes = codes.map_err(|e| failure(&e))?;
    Ok(Secret(Answer(PasskeyAdded { recovery_codes: codes })))
}

/// `POST /api/v1/passkeys/{id}/name`
pub(crate) async fn rename(
    State(state): State<AppState>,
    customer: Customer,
    Id(id): Id<String>,
    Json(new): Json<PasskeyName>,
) -> Result<Done, Failure> {
    let renamed = state.accounts().rename_passkey(customer.account, &id, &new.name).await;
    renamed.map_err(|e| failure(&e))?;
    Ok(Done)
}

/// `POST /api/v1/passkeys/{id}/remove`: with proof, which a `DELETE` has no body for.
pub(crate) async fn remove(
    State(state): State<AppState>,
    customer: Customer,
    Client(from): Client,
    Id(id): Id<String>,
    Json(proof): Json<Proof>,
) -> Result<Done, Failure> {
    let proof = (proof.password.as_str(), proof.code.as_str());
    let removed = state.accounts().remove_passkey(customer.account, &id, proof, from).await;
    removed.map_err(|e| failure(&e))?;
    Ok(Done)
}

/// `POST /api/v1/passkeys/proof/options`
pub(crate) async fn proof_options(
    State(state): State<AppState>,
    customer: Customer,
) -> Result<Fine<PasskeyAssertion>, Failure> {
    let asked = state.accounts().begin_passkey_proof(customer.account).await;
    Ok(Answer(assertion(&asked.map_err(|e| failure(&e))?)))
}

/// `POST /api/v1/passkeys/proof`
pub(crate) async fn prove(
    State(state): State<AppState>,
    customer: Customer,
    Json(signed): Json<Signed>,
) -> Result<Secret<Fine<PasskeyProof>>, Failure> {
    let proof = state.accounts().prove_by_passkey(customer.account, &signed.read()?).await;
    Ok(Secret(Answer(PasskeyProof { code: proof.map_err(|e| failure(&e))?.0 })))
}

/// `POST /api/v1/sessions/passkey/options`
pub(crate) async fn sign_in_options(
    State(state): State<AppState>,
    Json(begin): Json<PasskeyBegin>,
) -> Result<Fine<PasskeyAssertion>, Failure> {
    let asked = state.accounts().begin_passkey_sign_in(Some(&begin.login)).await;
    Ok(Answer(assertion(&asked.map_err(|e| failure(&e))?)))
}

/// `POST /api/v1/sessions/passkey`
pub(crate) async fn sign_in(
    State(state): State<AppState>,
    Client(from): Client,
    Json(signed): Json<Signed>,
) -> Result<Made<SessionMade>, Failure> {
    let session = state.accounts().sign_in_by_passkey(&signed.read()?, from).await;
    let session = session.map_err(|e| failure(&e))?;
    Ok(Answer(SessionMade { token: session.token, expires_at: time(session.expires) }))
}
