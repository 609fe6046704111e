//! The JSON API under `/api/v1`.
//!
//! Amounts are `{"asset","minor","decimal"}`, hashrates `{"hashes_per_second","text"}` with the
//! number as a decimal string, work a decimal string, times RFC 3339 in UTC. Failures are
//! `application/problem+json` (RFC 9457). Bodies are read strictly: an unknown field is refused,
//! so that a misspelt one is not silently ignored. Cookies are not taken: `Authorization: Bearer`.
//! Lists are pages ([`page`]). The calls stand in [`list`], and what is answered is declared with its
//! schema ([`crate::openapi`]).

pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod book;
pub(crate) mod console;
pub(crate) mod contracts;
pub(crate) mod energy;
pub(crate) mod events;
pub(crate) mod forms;
pub(crate) mod funds;
pub(crate) mod hosted;
pub(crate) mod in_block;
pub(crate) mod leaving;
pub(crate) mod letters;
pub(crate) mod life;
pub(crate) mod list;
pub(crate) mod machines;
pub(crate) mod metered;
pub(crate) mod overview;
pub(crate) mod page;
pub(crate) mod papers;
pub(crate) mod passkeys;
pub(crate) mod payins;
pub(crate) mod payouts;
pub(crate) mod protection;
pub(crate) mod public;
pub(crate) mod receipts;
pub(crate) mod reserve;
pub(crate) mod talk;
pub(crate) mod webhooks;
pub(crate) mod within;

pub(crate) use forms::{Hex, Money, Rate, Time, amount, hexed, rate, time};

use crate::failure::Failure;
use axum::http::HeaderMap;
use gruve_treasury::REQUEST_KEY_BYTES_MAX;

/// Longest idempotency key: what is promised to programs, whatever more the rooms below would keep.
const KEY_CHARS_MAX: usize = 64;
const _: () = assert!(KEY_CHARS_MAX <= REQUEST_KEY_BYTES_MAX, "the treasury keeps every key taken");

/// The key by which a client makes a request safe to repeat; 1 to 64 visible ASCII characters.
pub(crate) fn idempotency_key(text: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(key) = text else { return Ok(None) };
    if key.len() > KEY_CHARS_MAX {
        return Err(Failure::key_too_long(KEY_CHARS_MAX));
    }
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::bad_request(
            "The Idempotency-Key must be 1 to 64 visible ASCII characters.",
        ));
    }
    Ok(Some(key.to_owned()))
}

/// The key in a request's headers.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    match headers.get("idempotency-key") {
        None => Ok(None),
        Some(v) => idempotency_key(Some(v.to_str().unwrap_or_default())),
    }
}
