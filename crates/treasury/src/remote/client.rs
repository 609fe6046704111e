//! Asking other services over HTTP: one request, one bounded answer, within a time.

use super::Secret;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// An answer's length at most. Most objects have some ten kilobytes; a dispute's evidence may have 150,000 characters,
/// told twice, of six bytes each where they are escaped.
const ANSWER_BYTES_MAX: usize = 2 << 20;
/// How long an answer is waited for as a rule; below the time that a page of ours may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The service has decided against it: asking again gives the same.
    #[error("the service refused: {status}{}", .code.as_ref().map_or(String::new(), |c| format!(" ({c})")))]
    Refused {
        /// The status.
        status: StatusCode,
        /// The service's word for it, if it gave one.
        code: Option<String>,
    },
    /// Nothing is known of what it did.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer has more bytes than are read: whoever asked for a list may ask for less of it.
    #[error("the answer is too long")]
    TooLong,
}

/// A service at one address.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    uri: Uri,
    /// What stands before the key: `Bearer` or `token`.
    scheme: &'static str,
    key: Secret,
    tls: Option<TlsConnector>,
    patience: Duration,
}

/// What is asked.
pub(crate) struct Asked<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    pub(crate) once: Option<String>,
}

impl<'a> Asked<'a> {
    pub(crate) fn get(path: &'a str) -> Asked<'a> {
        Asked {
            method: Method::GET,
            path,
            kind: "application/json",
            body: String::new(),
            once: None,
        }
    }
}

impl Client {
    /// # Errors
    /// In words, when the address is none or there are no authorities to know it by.
    pub(crate) fn new(
        base: &str,
        scheme: &'static str,
        key: Secret,
        authorities: &Path,
    ) -> Result<Client, String> {
        let base = base.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|e| format!("{base:?} is no address: {e}"))?;
        let tls = match uri.scheme_str() {
            Some("https") => Some(tls(authorities)?),
            Some("http") => None,
            _ => return Err(format!("{base:?} is no address: write https://…")),
        };
        if uri.host().is_none() {
            return Err(format!("{base:?} is no address: it has no host"));
        }
        Ok(Client { base, uri, scheme, key, tls, patience: PATIENCE })
    }

    /// The same, with another time to wait.
    pub(crate) fn within(self, patience: Duration) -> Client {
        Client { patience, ..self }
    }

    /// Asks, and reads the answer as JSON.
    pub(crate) async fn ask(&self, asked: Asked<'_>) -> Result<serde_json::Value, Failed> {
        let answer = tokio::time::timeout(self.patience, self.send(asked)).await;
        let (status, body) = answer.map_err(|_| Failed::NoAnswer("it took too long".into()))??;
        let read: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return read.ok_or_else(|| Failed::NoAnswer("the answer is no JSON".into()));
        }
        // Asked too often, too early, at a bad time, or with keys that are being changed (401, 403) or that
        // lead to another account (404): none of it says that a thing was not done.
        let may_pass = status.is_server_error()
            || matches!(status.as_u16(), 401 | 403 | 404 | 408 | 409 | 425 | 429)
            || status.is_redirection();
        if may_pass {
            return Err(Failed::NoAnswer(format!("it answered {status}")));
        }
        let code = read.as_ref().and_then(|v| {
            let code = v.pointer("/error/code").or_else(|| v.pointer("/code"))?;
            code.as_str().map(|c| c.chars().filter(|c| !c.is_control()).take(60).collect())
        });
        Err(Failed::Refused { status, code })
    }

    /// Hands bytes over under a name and gives the answer as it is, up to `most` bytes of it.
    pub(crate) async fn hand_over(
        &self,
        name: &str,
        bytes: &[u8],
        most: usize,
    ) -> Result<(StatusCode, Bytes), String> {
        let request =
            self.request(Method::POST, "").header(CONTENT_TYPE, "application/octet-stream");
        let request = request.header("x-gruve-order", name);
        let request = request.body(Full::new(Bytes::copy_from_slice(bytes)));
        let request = request.map_err(|e| e.to_string())?;
        let answer = tokio::time::timeout(self.patience, self.carry(request, most)).await;
        answer.map_err(|_| "it took too long".to_owned())?.map_err(|e| match e {
            Failed::NoAnswer(why) => why,
            e => e.to_string(),
        })
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        let path = format!("{}{path}", self.uri.path().trim_end_matches('/'));
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let authority = self.uri.authority().map(ToString::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, authority)
            .header(AUTHORIZATION, format!("{} {}", self.scheme, self.key.text()))
    }

    async fn carry(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let said = |e: &dyn std::fmt::Display| Failed::NoAnswer(e.to_string());
        let host = self.uri.host().unwrap_or_default().to_owned();
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|e| said(&e))?;
        match &self.tls {
            None => exchange(stream, request, most).await,
            Some(tls) => {
                let name = ServerName::try_from(host).map_err(|e| said(&e))?;
                let stream = tls.connect(name, stream).await.map_err(|e| said(&e))?;
                exchange(stream, request, most).await
            }
        }
    }

    async fn send(&self, asked: Asked<'_>) -> Result<(StatusCode, Bytes), Failed> {
        let mut request = self.request(asked.method, asked.path).header(CONTENT_TYPE, asked.kind);
        if let Some(once) = asked.once {
            request = request.header("idempotency-key", once);
        }
        let request = request.body(Full::new(Bytes::from(asked.body)));
        let request = request.map_err(|e| Failed::NoAnswer(e.to_string()))?;
        self.carry(request, ANSWER_BYTES_MAX).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<(StatusCode, Bytes), Failed> {
    let said = |e: hyper::Error| Failed::NoAnswer(e.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(said)?;
    let (head, body) = answer.into_parts();
    let all = Limited::new(body, most).collect().await;
    driving.abort();
    let all = all.map_err(|e| {
        let is_too_long = e.is::<LengthLimitError>();
        if is_too_long { Failed::TooLong } else { Failed::NoAnswer(e.to_string()) }
    })?;
    Ok((head.status, all.to_bytes()))
}

/// The authorities of a file, over the house's provider.
fn tls(file: &Path) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let all =
        CertificateDer::pem_file_iter(file).map_err(|e| format!("{}: {e}", file.display()))?;
    for certificate in all.flatten() {
        // A bundle has some that a strict reader refuses; those that it takes are enough.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(format!("{}: no certificate authority in it", file.display()));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let with = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let with = with.map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(with)))
}

/// Fields as a form, with everything but letters, digits and `-._~` escaped.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for b in text.bytes() {
            match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(b));
                }
                _ => {
                    out.push('%');
                    out.push_str(&hex::encode_upper([b]));
                }
            }
        }
        out
    };
    let pairs: Vec<String> =
        fields.iter().map(|(k, v)| format!("{}={}", escaped(k), escaped(v))).collect();
    pairs.join("&")
}
