//! Where a mirror is: a folder, or a bucket reached over a connection of our own.
//!
//! `object_store` brings its own HTTP client with a second TLS provider; this hands it one over the house's (`ring`). A
//! request has a connection to itself: there are some few for each epoch.

use super::outgoing::{self, Failed};
use crate::config::MirrorConfig;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Place;
use object_store::{ClientOptions, ObjectStore};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

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
    outgoing::trusting(&outgoing::authorities(config.authorities_file.as_deref())).map(Some)
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
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = outgoing::ask(self.tls.as_ref(), request, ANSWER_BYTES_MAX).await;
        let (head, body) = answer
            .map_err(|e| match e {
                Failed::Connect(e) => HttpError::new_boxed(HttpErrorKind::Connect, e),
                Failed::Request(e) => HttpError::new(HttpErrorKind::Request, e),
                Failed::Answer(e) => HttpError::new_boxed(HttpErrorKind::Decode, e),
            })?
            .into_parts();
        let body = Full::<Bytes>::new(body).map_err(|never| match never {});
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}
