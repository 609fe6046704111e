//! Where a mirror is: a folder, or a bucket reached over a connection of our own.
//!
//! `object_store` brings its own HTTP client with a second TLS provider; this hands it one over the house's (`ring`). A
//! request has a connection to itself: there are some few for each epoch.

use crate::config::MirrorConfig;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{ClientOptions, ObjectStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The longest answer that is read: what this asks for is a head of a log and words about failures.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long one request may take: a piece of eight megabytes over a slow line.
const PATIENCE: Duration = Duration::from_secs(120);

/// The place that a configuration names, and where in it the record stands.
pub(super) fn open(config: &MirrorConfig) -> Result<(Arc<dyn ObjectStore>, Place), String> {
    let said = |e: &dyn std::fmt::Display| format!("record.mirror: {e}");
    if let Some(folder) = config.url.strip_prefix("file://") {
        std::fs::create_dir_all(folder).map_err(|e| said(&e))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|e| said(&e))?;
        return Ok((Arc::new(store.with_fsync(true)), Place::default()));
    }
    let rest = config
        .url
        .strip_prefix("s3://")
        .ok_or("record.mirror: url is file://… or s3://BUCKET/…")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let keys = config.keys().map_err(|e| said(&e))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(config.region.clone().unwrap_or_else(|| "us-east-1".to_owned()))
        .with_access_key_id(keys.0)
        .with_secret_access_key(keys.1)
        .with_http_connector(Connector { tls: tls(config).map_err(|e| said(&e))? });
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    let store = builder.build().map_err(|e| said(&e))?;
    Ok((Arc::new(store), Place::from(prefix)))
}

/// The authorities that the system trusts.
fn tls(config: &MirrorConfig) -> Result<Option<TlsConnector>, String> {
    if config.endpoint.as_ref().is_some_and(|e| e.starts_with("http://")) {
        return Ok(None);
    }
    trusting(&config.authorities()).map(Some)
}

/// Connections to whom these authorities (PEM) vouch for.
pub(super) fn trusting(file: &Path) -> Result<TlsConnector, String> {
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

#[derive(Clone)]
struct Connector {
    tls: Option<TlsConnector>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector {{ tls: {} }}", self.tls.is_some())
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match tokio::time::timeout(PATIENCE, self.ask(request)).await {
            Ok(answer) => answer,
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        }
    }
}

impl Connector {
    async fn ask(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let connect = |e| HttpError::new_boxed(HttpErrorKind::Connect, e);
        let uri = request.uri().clone();
        let host = uri.host().unwrap_or_default().to_owned();
        let is_plain = uri.scheme_str() == Some("http");
        let port = uri.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let stream =
            TcpStream::connect((host.as_str(), port)).await.map_err(|e| connect(e.into()))?;
        // A server wants the path alone, and the host beside it.
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        if let Ok(value) = authority.parse() {
            request.headers_mut().entry(hyper::header::HOST).or_insert(value);
        }
        if let Some(path) = uri.path_and_query() {
            *request.uri_mut() = path.clone().into();
        }
        match (&self.tls, is_plain) {
            (_, true) => send(stream, request).await,
            (Some(tls), false) => {
                let name = ServerName::try_from(host).map_err(|e| connect(e.into()))?;
                send(tls.connect(name, stream).await.map_err(|e| connect(e.into()))?, request).await
            }
            (None, false) => Err(connect("an answer leads from http to https".into())),
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let failed = |e: hyper::Error| HttpError::new(HttpErrorKind::Request, e);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(failed)?;
    let (head, body) = answer.into_parts();
    let all = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let all = all.map_err(|e| HttpError::new_boxed(HttpErrorKind::Decode, e))?.to_bytes();
    driving.abort();
    let body = Full::<Bytes>::new(all).map_err(|never| match never {});
    Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
}
