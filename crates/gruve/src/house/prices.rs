//! Asking the price sources that have an address, now and then.
//!
//! An answer is a JSON document; the configuration says where in it the price stands. What cannot be asked or
//! read is logged and missing: the market's quorum decides what that means. An answer is at most 64 KiB and
//! is waited for ten seconds.

use super::outgoing;
use bytes::Bytes;
use gruve_market::{Market, PriceSourceConfig};
use gruve_units::{Amount, Asset, Clock};
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{ACCEPT, USER_AGENT};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

/// How often each source is asked: several times within the usual staleness limit.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An answer's length at most.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Asks until the house stops.
pub(super) async fn ask_sources(
    market: Market,
    clock: Arc<dyn Clock>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let sources: Vec<PriceSourceConfig> =
        market.config().prices.sources.iter().filter(|s| s.url.is_some()).cloned().collect();
    if sources.is_empty() {
        return Ok(());
    }
    let tls = authorities(&sources, market.config().prices.authorities_file.as_deref())?;
    loop {
        let asked = sources.iter().map(|source| ask(tls.as_ref(), source, ANSWER_WITHIN));
        let answers = futures_util::future::join_all(asked).await;
        for (source, answer) in sources.iter().zip(answers) {
            let told = match answer {
                Ok(micro) => {
                    let now = clock.now();
                    let told = market.report_price(&source.name, source.asset, now, micro).await;
                    told.map_err(|e| e.to_string())
                }
                Err(e) => Err(e),
            };
            if let Err(error) = told {
                tracing::warn!(source = %source.name, asset = %source.asset, %error, "no price");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

/// What sources over TLS are known by.
fn authorities(
    sources: &[PriceSourceConfig],
    given: Option<&Path>,
) -> Result<Option<TlsConnector>, String> {
    let is_safe = |s: &PriceSourceConfig| s.url.as_ref().is_some_and(|u| u.starts_with("https://"));
    if !sources.iter().any(is_safe) {
        return Ok(None);
    }
    let tls = outgoing::trusting(&outgoing::authorities(given));
    tls.map(Some).map_err(|e| format!("prices.authorities_file: {e}"))
}

/// A source's price in millionths of a dollar, if it tells it within a time.
async fn ask(
    tls: Option<&TlsConnector>,
    source: &PriceSourceConfig,
    within: Duration,
) -> Result<i64, String> {
    let url = source.url.as_deref().unwrap_or_default();
    // Exchanges refuse who does not say what it is.
    let request = Request::get(url).header(ACCEPT, "application/json").header(USER_AGENT, "gruve");
    let request = request.body(Empty::<Bytes>::new()).map_err(|e| format!("{url:?}: {e}"))?;
    let asked = outgoing::ask(tls, request, ANSWER_BYTES_MAX);
    let answer = tokio::time::timeout(within, asked).await;
    let answer = answer.map_err(|_| "it did not answer in time".to_owned())?;
    let answer = answer.map_err(|e| e.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()));
    }
    read_price(answer.body(), &source.pointer)
}

/// The price that stands at a place of a document.
fn read_price(document: &[u8], pointer: &str) -> Result<i64, String> {
    let value: Value = serde_json::from_slice(document).map_err(|e| format!("no JSON: {e}"))?;
    let text = match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        // Written as the shortest decimal that is the same number: what stood there, to fifteen digits.
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(format!("no price at {pointer:?}")),
    };
    dollars(&text)
}

/// Dollars as millionths; decimals beyond the sixth are dropped.
pub(crate) fn dollars(text: &str) -> Result<i64, String> {
    // Where the cut would split a character there is no price anyway.
    let cut = text.find('.').and_then(|dot| text.get(..text.len().min(dot + 7))).unwrap_or(text);
    let amount = Amount::parse_decimal(Asset::Usd, cut);
    amount.map(|a| a.minor).map_err(|_| format!("{text:?} is no price"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// One that takes the connection and says nothing, and one that stops in the middle of its answer.
    #[tokio::test]
    async fn a_source_that_never_answers_is_given_up_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let halting = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = [&silent, &halting].map(|l| format!("http://{}/btc", l.local_addr().unwrap()));
        let serving = tokio::spawn(async move {
            let (mut stream, _) = halting.accept().await.unwrap();
            // Answered before it is asked, it would be no answer. Whoever asked may have gone by now.
            let _ = stream.read(&mut [0; 64]).await;
            let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"p\"";
            let _ = stream.write_all(begun).await;
            std::future::pending::<()>().await;
        });
        for url in places {
            let (name, url) = ("a".to_owned(), Some(url));
            let source =
                PriceSourceConfig { name, asset: Asset::Btc, url, pointer: "/p".to_owned() };
            let answer = ask(None, &source, Duration::from_millis(50)).await;
            assert_eq!(answer, Err("it did not answer in time".to_owned()));
        }
        serving.abort();
    }

    #[test]
    fn a_price_is_read_from_its_place_as_a_number_or_as_text() {
        let doc = br#"{"data": {"amount": "64000.51", "n": 64000.5, "list": [1, 0.1234567]}}"#;
        assert_eq!(read_price(doc, "/data/amount"), Ok(64_000_510_000));
        assert_eq!(read_price(doc, "/data/n"), Ok(64_000_500_000));
        assert_eq!(read_price(doc, "/data/list/1"), Ok(123_456));
        for (doc, at) in [(&doc[..], "/data"), (b"{", ""), (b"[\"1e5\"]", "/0"), (b"[null]", "/0")]
        {
            assert!(read_price(doc, at).is_err(), "{at}");
        }
        assert!(
            dollars("1.00000é").is_err()
                && dollars("").is_err()
                && dollars("NaN").is_err()
                && dollars("1.2.3").is_err()
        );
    }
}
