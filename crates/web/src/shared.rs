//! Pages that a thousand visitors refresh at once: what everybody sees alike is written once for each change.
//!
//! # What is shared
//! The answer to a *refresh* (the live pages' script says that it is one) of one of the public pages that refresh
//! themselves ([`is_shared`]), for visitors who are not signed in, in one language. It is as fresh as the change that they
//! heard of. Whoever opens or reloads a page has it written anew, and so has whoever is signed in.
//!
//! # Promises
//! - Nothing of a session is shared, nor a page with a form that is guarded before there is one.
//! - One writes, the others wait for it: a change costs one page for each address and language, however many look.
//! - Kept until the next change, each [`PAGE_BYTES_MAX`] at most, and so many as there are such pages and languages: an
//!   address that somebody makes up has no place, and so takes none from a page that others look at.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Bytes of a page that is shared at most; longer ones are written for each.
const PAGE_BYTES_MAX: usize = 512 * 1024;

/// The public pages that refresh themselves, beside each lane's own.
const LIVE: [&str; 4] = ["/", "/plans", "/books", "/status"];

/// What a page is kept under: the address, the language.
type Place = (String, &'static str);

/// A page once it is written; nothing where it cannot be shared.
type Page = Arc<OnceCell<Option<(HeaderMap, Bytes)>>>;

/// The pages of the last change.
#[derive(Default)]
pub(crate) struct Shared(Mutex<(u64, HashMap<Place, Page>)>);

/// Whether a request is the refresh of a page that is open.
pub(crate) fn is_refresh(headers: &HeaderMap) -> bool {
    headers.contains_key("gruve-refresh")
}

/// Whether an address, with its query, is that of a public page that refreshes itself.
pub(crate) fn is_shared(address: &str, is_lane: impl FnOnce(&str) -> bool) -> bool {
    LIVE.contains(&address) || address.strip_prefix("/lanes/").is_some_and(is_lane)
}

impl Shared {
    /// The page as it is after the `change`th change: written by the first who asks, given to the others.
    pub(crate) async fn page<W, F>(&self, change: u64, place: Place, write: W) -> Response
    where
        W: FnOnce() -> F,
        F: Future<Output = Response>,
    {
        let page = self.kept(change, place);
        let (mut write, mut own) = (Some(write), None);
        let kept = page
            .get_or_init(async || {
                let write = write.take()?;
                match copied(write().await).await {
                    Ok((headers, body)) => Some((headers, body)),
                    Err(response) => {
                        own = Some(response);
                        None
                    }
                }
            })
            .await;
        match (kept, own, write) {
            (Some((headers, body)), _, _) => {
                let mut response = Body::from(body.clone()).into_response();
                *response.headers_mut() = headers.clone();
                response
            }
            (None, Some(own), _) => own,
            (None, None, Some(write)) => write().await,
            // Who wrote has the answer; nobody is left without.
            (None, None, None) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }

    fn kept(&self, change: u64, place: Place) -> Page {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, pages) = &mut *kept;
        if *of != change {
            (*of, *pages) = (change, HashMap::new());
        }
        Arc::clone(pages.entry(place).or_default())
    }
}

/// A page that others may have, too: found, HTML, without a cookie, not too long. Else the answer as it is.
async fn copied(response: Response) -> Result<(HeaderMap, Bytes), Response> {
    let headers = response.headers();
    let is_page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let is_everybodys = !headers.contains_key(header::SET_COOKIE);
    let length = axum::body::HttpBody::size_hint(response.body()).upper();
    let is_short = length.is_some_and(|bytes| bytes <= PAGE_BYTES_MAX as u64);
    if response.status() != StatusCode::OK || !is_page || !is_everybodys || !is_short {
        return Err(response);
    }
    let (parts, body) = response.into_parts();
    match to_bytes(body, PAGE_BYTES_MAX).await {
        Ok(bytes) => Ok((parts.headers, bytes)),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE.into_response()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn html(text: &'static str) -> Response {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
    }

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_change_costs_one_page_however_many_look_and_the_next_one_another() {
        let (shared, written) = (Arc::new(Shared::default()), Arc::new(AtomicUsize::new(0)));
        for change in [1, 2] {
            let looks: Vec<_> = (0..100)
                .map(|_| {
                    let (shared, written) = (Arc::clone(&shared), Arc::clone(&written));
                    tokio::spawn(async move {
                        let write = || async move {
                            written.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                            html("page")
                        };
                        text(shared.page(change, ("/".to_owned(), "en"), write).await).await
                    })
                })
                .collect();
            for look in looks {
                assert_eq!(look.await.unwrap(), "page");
            }
        }
        assert_eq!(written.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn other_addresses_and_languages_are_other_pages() {
        let shared = Shared::default();
        for (path, language, said) in
            [("/", "en", "one"), ("/", "nb", "two"), ("/books", "en", "three"), ("/", "en", "one")]
        {
            let answer = shared.page(1, (path.to_owned(), language), || async { html(said) }).await;
            assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(text(answer).await, said);
        }
    }

    #[tokio::test]
    async fn what_is_no_page_for_everybody_is_answered_to_who_asked_alone() {
        let shared = Shared::default();
        let cookie = || async {
            ([(header::CONTENT_TYPE, "text/html"), (header::SET_COOKIE, "a=b")], "mine")
                .into_response()
        };
        let missing = || async { StatusCode::NOT_FOUND.into_response() };
        let place = |path: &str| (path.to_owned(), "en");
        assert_eq!(text(shared.page(1, place("/a"), cookie).await).await, "mine");
        assert_eq!(
            text(shared.page(1, place("/a"), || async { html("yours") }).await).await,
            "yours"
        );
        assert_eq!(shared.page(1, place("/b"), missing).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(shared.page(1, place("/b"), missing).await.status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn addresses_that_somebody_makes_up_have_no_place() {
        let is_lane = |name: &str| name == "btc";
        for place in ["/", "/plans", "/books", "/status", "/lanes/btc"] {
            assert!(is_shared(place, is_lane), "{place}");
        }
        for place in
            ["/?1", "/plans?x=1", "/lanes/nowhere", "/lanes/btc?1", "/lanes/", "/proof/btc/1"]
        {
            assert!(!is_shared(place, is_lane), "{place}");
        }
    }
}
