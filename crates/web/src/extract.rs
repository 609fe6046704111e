//! Reading requests strictly: what cannot be read is refused with a sentence saying why.

use crate::failure::Failure;
use crate::visitor::Visitor;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::header;
use axum::http::request::Parts;
use gruve_accounts::{KEY_PREFIX, Role};
use gruve_farm::AgentStanding;
use gruve_units::AccountId;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Largest body any request here needs: the longest is a sign-up of a few hundred bytes.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(req: Request, _: &S) -> Result<Self, Failure> {
        let kind = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let json = kind.is_some_and(|k| {
            let essence = k.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        });
        let has_type = kind.is_some();
        let bytes = body_bytes(req).await?;
        if bytes.is_empty()
            && !has_type
            && let Ok(v) = serde_json::from_slice(b"{}")
        {
            // Nothing at all says nothing: enough where all may be left out.
            return Ok(Json(v));
        }
        if !json {
            return Err(Failure::wrong_type());
        }
        // The reader would take a list of values in the order of the members, too.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b != b'{') {
            return Err(Failure::bad_request("The body cannot be read: write a JSON object."));
        }
        match serde_json::from_slice(&bytes) {
            Ok(v) => Ok(Json(v)),
            Err(e) => Err(Failure::bad_request(format!("The body cannot be read: {e}."))),
        }
    }
}

/// Bytes of a site's report at most: 256 samples of 300 bytes, and as much again.
const LARGE_BYTES_MAX: usize = 128 << 10;

/// A larger JSON body: a site's report.
pub(crate) struct Large<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Large<T> {
    type Rejection = Failure;

    async fn from_request(req: Request, _: &S) -> Result<Self, Failure> {
        let bytes = axum::body::to_bytes(req.into_body(), LARGE_BYTES_MAX).await;
        let bytes = bytes.map_err(|_| Failure::too_large())?;
        let read = serde_json::from_slice(&bytes);
        read.map(Large)
            .map_err(|e| Failure::bad_request(format!("The report cannot be read: {e}.")))
    }
}

/// A request whose body the handler reads itself: it is signed as it came.
pub(crate) struct Unread(pub(crate) Request);

impl<S: Send + Sync> FromRequest<S> for Unread {
    type Rejection = Failure;

    async fn from_request(req: Request, _: &S) -> Result<Self, Failure> {
        Ok(Unread(req))
    }
}

/// The last event that whoever connects again has heard.
pub(crate) struct LastEvent(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEvent {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let given = parts.headers.get("last-event-id");
        Ok(LastEvent(given.map(|v| v.to_str().unwrap_or_default().to_owned())))
    }
}

/// The whole body within the limit.
pub(crate) async fn body_bytes(req: Request) -> Result<bytes::Bytes, Failure> {
    axum::body::to_bytes(req.into_body(), BODY_BYTES_MAX).await.map_err(|_| Failure::too_large())
}

/// A form body, already checked to come from the house's own page.
pub(crate) struct Form<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Failure;

    async fn from_request(req: Request, state: &S) -> Result<Self, Failure> {
        match axum::extract::Form::<T>::from_request(req, state).await {
            Ok(axum::extract::Form(v)) => Ok(Form(v)),
            Err(e) => {
                Err(Failure::bad_request(format!("The form cannot be read: {}.", e.body_text())))
            }
        }
    }
}

/// The query of the address.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(v)) => Ok(Params(v)),
            Err(e) => Err(Failure::bad_request(format!("The query cannot be read: {e}."))),
        }
    }
}

/// The first name in the path, as an id; anything that is no id of the kind is simply not found.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let missing = || Failure::not_found("page");
        let params =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| missing())?;
        let (_, text) = params.iter().next().ok_or_else(missing)?;
        text.parse().map(Id).map_err(|_| missing())
    }
}

/// Whoever is signed in, by cookie on pages and by bearer token in the API. Routes that use it
/// are declared with an access that guarantees there is somebody.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) account: AccountId,
    /// What the account is to the house, if anything.
    pub(crate) role: Option<Role>,
    /// The session's secret, for signing out.
    pub(crate) token: String,
}

impl Customer {
    /// Whether a key for programs asks. Password and code were given when it was made, and its scope says what it
    /// may do: it is not asked for them again, and cannot have them.
    pub(crate) fn is_key(&self) -> bool {
        self.token.starts_with(KEY_PREFIX)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Customer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        // A route that takes a customer without requiring one would be a hole: closed here too.
        parts.extensions.get::<Customer>().cloned().ok_or_else(Failure::unauthorised)
    }
}

/// The session that was live when somebody signed in again: the new one takes its place.
pub(crate) struct Replaced(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Replaced {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Replaced(parts.extensions.get::<Customer>().map(|c| c.token.clone())))
    }
}

/// One of the staff; only behind the gate that asks for a permission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staff {
    pub(crate) account: AccountId,
    pub(crate) role: Role,
}

impl<S: Send + Sync> FromRequestParts<S> for Staff {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Staff>().copied().ok_or_else(|| Failure::not_found("page"))
    }
}

/// The agent of a site; only behind the gate that asks for its token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SiteAgent(pub(crate) AgentStanding);

impl<S: Send + Sync> FromRequestParts<S> for SiteAgent {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<SiteAgent>().copied().ok_or_else(Failure::unauthorised)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(parts.extensions.get::<Visitor>().cloned().unwrap_or_default())
    }
}
