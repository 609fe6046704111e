//! The choice of a language, kept in a cookie and, for who is signed in, in the account, so that messages and other
//! devices speak it, too; a link, so that it needs neither form nor script. One on another site's page leads here, but
//! changes nothing.

use crate::extract::Params;
use crate::failure::Failure;
use crate::security::{Cookie, comes_from_own_pages, local_path};
use crate::state::{AppState, accounts_failure};
use crate::visitor::Visitor;
use crate::words::find;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
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
    visitor: Visitor,
    headers: HeaderMap,
    Path(code): Path<String>,
    Params(q): Params<Back>,
) -> Result<Response, Failure> {
    let language = find(&code).ok_or_else(|| Failure::not_found("language"))?;
    let back = Redirect::to(local_path(Some(q.back.as_deref().unwrap_or("/"))));
    if !comes_from_own_pages(&headers, state.config().origin.as_deref()) {
        return Ok(back.into_response());
    }
    if let Some(account) = visitor.account {
        let set = state.accounts().set_language(account, Some(language.code)).await;
        set.map_err(|e| accounts_failure(&e))?;
    }
    let cookie = Cookie::Language.set(language.code, state.config().secure_cookies, KEPT_SECS);
    let cookie = cookie.ok_or_else(|| Failure::fault(&"a language cannot stand in a cookie"))?;
    Ok(([(header::SET_COOKIE, cookie)], back).into_response())
}
