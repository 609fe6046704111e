//! What went wrong, for the one who asked: the same refusal as a page or as problem+json.
//!
//! A handler returns a [`Failure`]; the outermost layer writes it in the form of the surface it
//! was asked through. What the house itself got wrong is logged under a reference and told as
//! that reference only.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gruve_units::{Amount, Blame, Blamed};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Every failure's word: they stay, and docs/api.md says what each means.
pub(crate) const KINDS: [&str; 59] = [
    "account-in-use",
    "bad-request",
    "balance-too-low",
    "busy",
    "converted",
    "disputed",
    "factor-is-on",
    "factor-lost",
    "fault",
    "forbidden",
    "foreign-form",
    "has-begun",
    "held-unpaid",
    "idempotency-key-done",
    "idempotency-key-reused",
    "idempotency-key-running",
    "idempotency-key-too-long",
    "insufficient-funds",
    "invoice-closed",
    "last-owner",
    "method-not-allowed",
    "needs-a-look",
    "no-passkeys",
    "no-price",
    "no-statement",
    "not-confirmed",
    "not-found",
    "not-in-book",
    "not-now",
    "not-on-sale",
    "not-yours",
    "nothing-to-decide",
    "nothing-to-stop",
    "offer-open",
    "out-of-scope",
    "password-needed",
    "plan-changed",
    "quote-expired",
    "quote-used",
    "quote-void",
    "refused",
    "reviewed",
    "second-factor-needed",
    "sold-out",
    "staff-factor-needed",
    "taken",
    "ticket-closed",
    "ticket-void",
    "too-early",
    "too-large",
    "too-late",
    "too-many",
    "unauthorised",
    "unsupported-media-type",
    "webhook-ended",
    "wrong-code",
    "wrong-credentials",
    "wrong-passkey",
    "wrong-state",
];

/// A refusal or a fault, on its way to the one who asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// A stable word for programs: the last part of the problem's type.
    pub(crate) kind: &'static str,
    pub(crate) title: &'static str,
    /// A sentence for the one who asked, with what to do next where that is known.
    pub(crate) detail: String,
    /// When the same request may succeed, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: String) -> Self {
        debug_assert!(KINDS.contains(&kind), "{kind} stands in no list");
        Failure { status, kind, title, detail, retry_after: None }
    }

    /// The same, with the time after which to try again.
    pub(crate) fn after(self, retry_after: Option<Duration>) -> Self {
        Failure { retry_after, ..self }
    }

    /// There is no such thing, or it is somebody else's: the answer is the same.
    pub(crate) fn not_found(what: &str) -> Self {
        let detail = format!("There is no such {what}.");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// No or no valid bearer token.
    pub(crate) fn unauthorised() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "Sign in first",
            "Send `Authorization: Bearer <token>` with a token from POST /api/v1/sessions. \
             Cookies are not taken here."
                .to_owned(),
        )
    }

    /// One of the staff asks for what the role does not allow.
    pub(crate) fn forbidden(role: gruve_accounts::Role) -> Self {
        let detail = format!("The role {role} does not allow this. An owner gives roles.");
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// The house demands a second factor of its staff.
    pub(crate) fn staff_factor() -> Self {
        let detail =
            "Who works for this house needs a second factor: set it up under Account, Security.";
        Self::new(StatusCode::FORBIDDEN, "staff-factor-needed", "Not allowed", detail.to_owned())
    }

    /// A key for programs asks for what it was not made for.
    pub(crate) fn out_of_scope(needed: Option<gruve_accounts::Scope>) -> Self {
        let detail = match needed {
            Some(scope) => format!("This key has not the scope {:?}.", scope.name()),
            None => "No key does this: sign in.".to_owned(),
        };
        Self::new(StatusCode::FORBIDDEN, "out-of-scope", "Not allowed", detail)
    }

    /// The password is right; a code is missing.
    pub(crate) fn second_factor() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "second-factor-needed",
            "A code is needed",
            "This account asks for a code besides the password: send it as `code`.".to_owned(),
        )
    }

    /// Coins are to go where the account's book does not lead, and a code is missing.
    pub(crate) fn payout_code() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "second-factor-needed",
            "A code is needed",
            "This address is not in your address book: a payout to it asks for a code, sent as `code`."
                .to_owned(),
        )
    }

    /// Coins are to go where nothing of the account has gone before, and the password is missing.
    pub(crate) fn payout_password() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "password-needed",
            "Your password is needed",
            "Nothing of yours has gone to this address before: a payout to it asks for your password, sent as `password`."
                .to_owned(),
        )
    }

    /// The address of the account is not confirmed.
    pub(crate) fn not_confirmed() -> Self {
        let detail =
            "Confirm your e-mail address first: a message with a link is on its way to it.";
        Self::new(StatusCode::FORBIDDEN, "not-confirmed", "Not signed in", detail.to_owned())
    }

    /// The code is not the one of this moment.
    pub(crate) fn wrong_code() -> Self {
        let detail = "The code is wrong, or was used before.".to_owned();
        Self::new(StatusCode::UNAUTHORIZED, "wrong-code", "Not signed in", detail)
    }

    /// A passkey's answer does not count.
    pub(crate) fn wrong_passkey(detail: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong-passkey", "Not signed in", detail)
    }

    /// The form does not come from the house's own page.
    pub(crate) fn foreign_form() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-form",
            "Form not accepted",
            "This form did not come from one of our own pages, or the page was too old. Nothing \
             was changed. Go back, load the page again and repeat."
                .to_owned(),
        )
    }

    /// The request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Request not understood", detail.into())
    }

    /// The request was read, but what it asks for cannot be done.
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "Not possible", detail.into())
    }

    /// What is asked for clashes with what is there.
    pub(crate) fn conflict(kind: &'static str, detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, kind, "Not possible now", detail)
    }

    /// The balance does not suffice.
    pub(crate) fn insufficient(available: Amount) -> Self {
        let detail = format!("Your available balance is {available}; that is too little.");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "insufficient-funds", "Too little", detail)
    }

    /// The same key was used for something else.
    pub(crate) fn key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This Idempotency-Key was used for a different request. Use a new one.".to_owned(),
        )
    }

    /// A key of more characters than are kept: nothing was looked up by it, and nothing done.
    pub(crate) fn key_too_long(most: usize) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency-key-too-long",
            "Idempotency key too long",
            format!("An Idempotency-Key has {most} characters at most. Nothing was done."),
        )
    }

    /// The request with this key is being worked on.
    pub(crate) fn key_running() -> Self {
        Self::conflict(
            "idempotency-key-running",
            "The first request with this Idempotency-Key is still being worked on. Ask again."
                .to_owned(),
        )
    }

    /// The request with this key is done, and its answer holds a secret that only whoever asked with the same
    /// token is told again.
    pub(crate) fn key_done() -> Self {
        Self::conflict(
            "idempotency-key-done",
            "This was done before with another token, and the answer was for that one alone."
                .to_owned(),
        )
    }

    /// The body is larger than any request needs.
    pub(crate) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "Request too large",
            "The body is larger than any request here needs.".to_owned(),
        )
    }

    /// The body is not of the stated or wanted type.
    pub(crate) fn wrong_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "Not JSON",
            "Send the body as JSON with `Content-Type: application/json`.".to_owned(),
        )
    }

    /// The path is known, the method is not.
    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            "This address does not take that method.".to_owned(),
        )
    }

    /// Too many at once; the same request may succeed later.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Try again shortly", detail.into())
    }

    /// Too many tries.
    pub(crate) fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many tries", detail.into())
    }

    /// Name and password do not go together.
    pub(crate) fn wrong_credentials() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "wrong-credentials",
            "Not signed in",
            "That name and password do not go together.".to_owned(),
        )
    }

    /// A fault of the house: logged with all that is known, told as a reference.
    pub(crate) fn fault(what: &dyn std::fmt::Display) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        tracing::error!(reference = n, error = %what, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "fault",
            "Something broke on our side",
            format!(
                "It is in our log under reference {n}. Your money and contracts are not touched by a page that fails."
            ),
        )
    }

    /// Whose page or call failed: by the error's blame.
    pub(crate) fn of<E: Blamed + ?Sized>(e: &E) -> Self {
        match e.blame() {
            Blame::Rejected => Self::refused(sentence(&e.to_string())),
            Blame::Transient => {
                tracing::warn!(error = %e, "a request met something that was not ready");
                Self::busy("Something we depend on was not ready. Try again in a moment.")
            }
            Blame::Fatal => Self::fault(&e.to_string()),
        }
    }
}

/// A message with a capital and a full stop.
pub(crate) fn sentence(s: &str) -> String {
    let mut chars = s.chars();
    let mut out: String = match chars.next() {
        Some(c) => c.to_uppercase().chain(chars).collect(),
        None => String::new(),
    };
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

impl<E: Blamed> From<E> for Failure {
    fn from(e: E) -> Self {
        Failure::of(&e)
    }
}

impl IntoResponse for Failure {
    /// Only the status and the failure itself; [`crate::finish`] writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The body of an `application/problem+json` answer (RFC 9457).
pub(crate) fn problem_json(f: &Failure) -> serde_json::Value {
    serde_json::json!({
        "type": format!("urn:gruve:problem:{}", f.kind),
        "title": f.title,
        "status": f.status.as_u16(),
        "detail": f.detail,
    })
}
