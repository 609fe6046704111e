//! A request sent again under the same `Idempotency-Key` is done once, and answered as it was the first time.
//!
//! This stands in front of every call of the API that changes something in somebody's name
//! ([`crate::routes`]). Kept are account, key, a hash of the request, and the answer.
//!
//! | the key was sent before | answer |
//! |---|---|
//! | never, or more than [`KEPT`] ago | the request is done |
//! | with the same request, which is done | the same answer, with `Idempotency-Replayed: true` |
//! | with the same request, begun less than [`RUNS`] ago | 409 `idempotency-key-running` |
//! | with another request | 422 `idempotency-key-reused` |
//!
//! Only what succeeded is kept: a refusal changed nothing, and the same request may do better later.
//!
//! # When the process dies between the effect and the answer
//! Then the key stands as begun, and after [`RUNS`] the request is done again. So what must not happen twice
//! may not rely on this table alone. Payouts and work by the meter are handed the key and keep it with their
//! effect; a contract is bought once by its quote; refunds, choices, endings and everything that only sets
//! something say themselves that they were done. What may then stand there twice costs nothing: a quote, a
//! top-up's invoice, a ticket, a note, a key or a token nobody was told, what staff says to everybody; a record of
//! machines taken away stands in a list, where staff ends the second.
//!
//! # Secrets
//! The answers to some requests hold a secret that stands nowhere else (a key for programs, a site's token;
//! [`Secret`]). They are kept sealed by the token that the request came with, of which the house has only a
//! hash: whoever reads the table cannot read them. Sent again with another token, such a request is answered
//! with 409 `idempotency-key-done`. A request may hold a password: its hash is one under the key of the house's
//! vault, so that whoever reads the table cannot guess at it.

use crate::api::key_of;
use crate::extract::{Customer, body_bytes};
use crate::failure::Failure;
use crate::openapi::{Gives, Operation, Shapes};
use crate::state::AppState;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gruve_store::{Migration, StoreError, params, statements, transact};
use gruve_units::{AccountId, Duration, Timestamp};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use sha2::{Digest, Sha256};

/// This part's tables.
pub const ONCE_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "answers",
    sqlite: include_str!("../migrations/once_0001_answers.sqlite.sql"),
    postgres: include_str!("../migrations/once_0001_answers.postgres.sql"),
}];

/// A key is known so long: a program that was down over night may still ask again.
pub(crate) const KEPT: Duration = Duration::from_secs(86_400);

/// A request that began longer ago and has no answer died with its process: three times as long as a request
/// may take.
const RUNS: Duration = Duration::from_secs(60);

/// Keys of an account within [`KEPT`]: one each seventeen seconds, and of usual answers some ten megabytes.
const KEYS_MAX: i64 = 5_000;

/// Bytes of an answer that is kept. The largest, an invoice with all ways to pay it, has four thousand.
const ANSWER_BYTES_MAX: usize = 64 << 10;

statements! {
    /// What is known of a key.
    KNOWN = "SELECT asked, begun_at, status, answer, sealed FROM web_once \
        WHERE account = $1 AND request_key = $2";
    /// How many keys an account has.
    COUNT = "SELECT COUNT(*) AS n FROM web_once WHERE account = $1";
    /// A request begins.
    BEGIN = "INSERT INTO web_once (account, request_key, asked, begun_at, sealed) \
        VALUES ($1, $2, $3, $4, 0)";
    /// A request whose process died begins again.
    AGAIN = "UPDATE web_once SET begun_at = $3 WHERE account = $1 AND request_key = $2";
    /// It is done.
    END = "UPDATE web_once SET status = $3, answer = $4, sealed = $5 \
        WHERE account = $1 AND request_key = $2 AND status IS NULL";
    /// It did nothing.
    FORGET = "DELETE FROM web_once WHERE account = $1 AND request_key = $2 AND status IS NULL";
    /// Keys that are no longer kept.
    FORGET_OLD = "DELETE FROM web_once WHERE begun_at < $1";
}

/// An answer that holds a secret which stands nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secret<T>(pub(crate) T);

#[derive(Clone, Copy)]
struct IsSecret;

impl<T: IntoResponse> IntoResponse for Secret<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(IsSecret);
        response
    }
}

impl<T: Gives> Gives for Secret<T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        T::tell(op, shapes);
    }
}

/// A request with its key.
struct Keyed {
    account: AccountId,
    key: String,
    asked: [u8; 32],
}

/// What is known of one.
enum Known {
    /// Nothing: it has begun now.
    New,
    /// It was done.
    Done { status: u16, answer: Vec<u8>, is_sealed: bool },
    /// It is being done.
    Running,
    /// The key was another request's.
    Other,
    /// There are too many keys.
    TooMany,
}

/// Does what stands behind it once for each key.
pub(crate) async fn once(
    State(state): State<AppState>,
    req: Request,
    next: Next,
) -> Result<Response, Failure> {
    let Some(key) = key_of(req.headers())? else { return Ok(next.run(req).await) };
    let customer = req.extensions().get::<Customer>().cloned();
    let customer = customer.ok_or_else(Failure::unauthorised)?;
    let (parts, body) = req.into_parts();
    let body = body_bytes(Request::new(body)).await?;
    let asked = hash_of(&parts, &body);
    let asked = state.accounts().vault().map_or(asked, |vault| vault.digest(&asked));
    let keyed = Keyed { account: customer.account, key, asked };
    match begin(&state, &keyed).await? {
        Known::New => {}
        Known::Running => {
            return Err(Failure::key_running().after(Some(std::time::Duration::from_secs(1))));
        }
        Known::Other => return Err(Failure::key_reused()),
        Known::TooMany => {
            return Err(Failure::too_many(format!(
                "An account uses {KEYS_MAX} idempotency keys a day at most."
            )));
        }
        Known::Done { status, answer, is_sealed } => {
            let answer = if is_sealed {
                opened(&answer, &keyed, &customer.token).ok_or_else(Failure::key_done)?
            } else {
                answer
            };
            return Ok(again(status, answer));
        }
    }
    let req = Request::from_parts(parts, Body::from(body));
    // Whoever hangs up does not stop what has begun.
    let work = tokio::spawn(async move {
        let response = next.run(req).await;
        ended(&state, &keyed, &customer.token, response).await
    });
    work.await.unwrap_or_else(|e| Err(Failure::fault(&e)))
}

/// What was asked, as one hash.
fn hash_of(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let place = parts.uri.path_and_query().map_or("", |p| p.as_str());
    for part in [parts.method.as_str().as_bytes(), place.as_bytes(), body] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

async fn begin(state: &AppState, k: &Keyed) -> Result<Known, Failure> {
    let now = state.now();
    let known: Result<Known, StoreError> = transact!(state.store(), tx -> Result<Known, StoreError> => {
        tx.execute(FORGET_OLD, &params![earlier(now, KEPT)]).await?;
        let row = tx.fetch_optional(KNOWN, &params![k.account, &k.key]).await?;
        let Some(row) = row else {
            if tx.fetch_one(COUNT, &params![k.account]).await?.get::<i64>("n")? >= KEYS_MAX {
                return Ok(Known::TooMany);
            }
            tx.execute(BEGIN, &params![k.account, &k.key, k.asked, now]).await?;
            return Ok(Known::New);
        };
        if row.get::<[u8; 32]>("asked")? != k.asked {
            return Ok(Known::Other);
        }
        if let Some(status) = row.get::<Option<u16>>("status")? {
            let answer: Option<Vec<u8>> = row.get("answer")?;
            let is_sealed = row.get::<i64>("sealed")? != 0;
            return Ok(Known::Done { status, answer: answer.unwrap_or_default(), is_sealed });
        }
        if row.get::<Timestamp>("begun_at")? > earlier(now, RUNS) {
            return Ok(Known::Running);
        }
        tx.execute(AGAIN, &params![k.account, &k.key, now]).await?;
        Ok(Known::New)
    });
    Ok(known?)
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_sub(by))
}

/// Keeps the answer, if it is one to be kept.
async fn ended(
    state: &AppState,
    k: &Keyed,
    token: &str,
    response: Response,
) -> Result<Response, Failure> {
    let status = response.status();
    let is_secret = response.extensions().get::<IsSecret>().is_some();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|e| Failure::fault(&e))?;
    let keep = status.is_success() && body.len() <= ANSWER_BYTES_MAX;
    let kept = if !keep {
        let done: Result<(), StoreError> = transact!(state.store(), tx -> Result<(), StoreError> => {
            tx.execute(FORGET, &params![k.account, &k.key]).await.map(drop)
        });
        done
    } else {
        let answer = if is_secret { sealed(state, &body, k, token) } else { body.to_vec() };
        let done: Result<(), StoreError> = transact!(state.store(), tx -> Result<(), StoreError> => {
            let given = params![
                k.account, &k.key, status.as_u16(), answer.clone(), i64::from(is_secret)
            ];
            tx.execute(END, &given).await.map(drop)
        });
        done
    };
    if let Err(e) = kept {
        // It is done all the same; sent again it is done again, as after a crash.
        tracing::warn!(error = %e, "an answer could not be kept under its key");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// An answer that was given before.
fn again(status: u16, answer: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let is_empty = answer.is_empty();
    let mut response = (status, Bytes::from(answer)).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let replayed = HeaderName::from_static("idempotency-replayed");
    headers.insert(replayed, HeaderValue::from_static("true"));
    response
}

/// The key that only whoever has the token can make.
fn sealing_key(k: &Keyed, token: &str) -> Option<LessSafeKey> {
    let mut of = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()));
    of.update(b"gruve kept answer 1");
    of.update(&k.account.to_bytes());
    of.update(k.key.as_bytes());
    UnboundKey::new(&CHACHA20_POLY1305, of.sign().as_ref()).ok().map(LessSafeKey::new)
}

fn sealed(state: &AppState, answer: &[u8], k: &Keyed, token: &str) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    state.entropy().fill(&mut nonce);
    let mut text = answer.to_vec();
    let done = sealing_key(k, token).and_then(|key| {
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::from(k.asked), &mut text).ok()
    });
    // Without it there is nothing to open.
    if done.is_none() {
        return Vec::new();
    }
    [nonce.to_vec(), text].concat()
}

fn opened(sealed: &[u8], k: &Keyed, token: &str) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut text = text.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let key = sealing_key(k, token)?;
    Some(key.open_in_place(nonce, Aad::from(k.asked), &mut text).ok()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{ONCE_MIGRATIONS, STATEMENTS};
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws, matches_on_both_engines};

    #[test]
    fn both_engines_get_the_same_tables() {
        ONCE_MIGRATIONS.iter().for_each(|m| matches_on_both_engines(m).unwrap());
    }

    async fn every_statement_prepares(store: Store) {
        store.migrate("web_once", ONCE_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
    }

    laws! { once: [every_statement_prepares] }
}
