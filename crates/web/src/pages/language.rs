//! The choice of a language, kept in a cookie; a link, so that it needs neither form nor script.

use crate::extract::Params;
use crate::failure::Failure;
use crate::security::{Cookie, local_path};
use crate::state::AppState;
use crate::words::find;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Life of the choice: a year.
const KEPT_SECS: u64 = 365 * 86_400;

/// Where to go on.
#[derive(Deserialize)]
pub(crate) struct Back {
    back: Option<String>,
}

/// `GET /language/{code}?back=`: back to a page of the house, never elsewhere.
pub(crate) async fn choose(
    State(state): State<AppState>,
    Path(code): Path<String>,
    Params(q): Params<Back>,
) -> Result<Response, Failure> {
    let language = find(&code).ok_or_else(|| Failure::not_found("language"))?;
    let cookie = Cookie::Language.set(language.code, state.config().secure_cookies, KEPT_SECS);
    let cookie = cookie.ok_or_else(|| Failure::fault(&"a language cannot stand in a cookie"))?;
    let to = Redirect::to(local_path(Some(q.back.as_deref().unwrap_or("/"))));
    Ok(([(header::SET_COOKIE, cookie)], to).into_response())
}
