//! JSON-RPC over HTTP/1.1 as Core serves it: basic authentication, one call or a batch in a
//! bounded body, Core's status codes. Nodes of the Ethash family speak the second version of the same.
//!
//! Limits: a body of [`MAX_BODY_BYTES`], [`MAX_CONNECTIONS`] at once, [`MAX_BATCH`] calls in a
//! batch, [`HEADER_TIME`] for the head of a request, [`BODY_TIME`] for its body.

use super::error::DevChainError;
use super::rpc::RpcError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gruve_units::Duration;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// A block of 4 MB is 8 MB of hexadecimal.
const MAX_BODY_BYTES: usize = 9 << 20;
/// Each costs a task and at most a body; the house needs one or two a lane.
const MAX_CONNECTIONS: usize = 64;
/// Calls in a batch.
const MAX_BATCH: usize = 100;
/// For a client that opens a connection and says nothing.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// For a client that stops in the middle of its request.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What is behind the HTTP: a chain that carries out calls.
pub(super) trait Service: Clone + Send + Sync + 'static {
    /// Carries out one call; may wait.
    fn carry_out(
        &self,
        method: &str,
        params: Value,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send;
}

/// A chain's HTTP server. It ends when this is dropped.
pub struct DevServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl DevServer {
    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The address a client is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops serving: no new connections, calls under way are dropped. Returns when all has ended.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(e) = (&mut self.task).await {
            tracing::warn!(error = %e, "the development chain's server ended badly");
        }
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.task.abort();
    }
}

/// Starts serving on a listener, to whoever knows `login`: user and password; to everybody without
/// one.
pub(super) fn serve(
    chain: impl Service,
    listener: TcpListener,
    login: Option<(&str, &str)>,
) -> Result<DevServer, DevChainError> {
    listener.set_nonblocking(true).map_err(DevChainError::Serve)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(DevChainError::Serve)?;
    let address = listener.local_addr().map_err(DevChainError::Serve)?;
    let (stop, mut stopped) = watch::channel(false);
    let secret = login.map(|(user, password)| {
        Arc::new(gruve_pow::sha256(format!("{user}:{password}").as_bytes()))
    });
    let task = tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => {
                    let stream = match accepted {
                        Ok((stream, _)) => stream,
                        Err(e) => {
                            // Out of file handles, most likely: let some go first.
                            tracing::warn!(error = %e, "accepting a connection");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            continue;
                        }
                    };
                    let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
                    let (chain, secret) = (chain.clone(), secret.clone());
                    connections.spawn(async move {
                        let service = service_fn(move |request| {
                            let (chain, secret) = (chain.clone(), secret.clone());
                            async move {
                                let secret = secret.as_deref();
                                Ok::<_, Infallible>(answer(&chain, secret, request).await)
                            }
                        });
                        let served = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(HEADER_TIME)
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                        if let Err(e) = served {
                            tracing::debug!(error = %e, "a connection ended");
                        }
                        drop(permit);
                    });
                }
            }
        }
        connections.shutdown().await;
    });
    Ok(DevServer { address, stop, task })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}

fn in_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{value}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the request knows user and password. Digests are compared, so that how long it takes
/// tells nothing about how much of the password was right.
fn is_known(request: &Request<Incoming>, secret: &[u8; 32]) -> bool {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|value| STANDARD.decode(value.trim()).ok());
    given.is_some_and(|given| gruve_pow::sha256(&given) == *secret)
}

async fn answer(
    chain: &impl Service,
    secret: Option<&[u8; 32]>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "JSONRPC server handles only POST requests");
    }
    if secret.is_some_and(|secret| !is_known(&request, secret)) {
        let mut response = plain(StatusCode::UNAUTHORIZED, "");
        let realm = HeaderValue::from_static("Basic realm=\"jsonrpc\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        return response;
    }
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    let body = match tokio::time::timeout(BODY_TIME, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "request too large"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "request too slow"),
    };
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        let error = RpcError::new(RpcError::PARSE, "Parse error");
        return in_json(StatusCode::INTERNAL_SERVER_ERROR, &reply(Err(error), &Value::Null, false));
    };
    match request {
        Value::Array(calls) if calls.len() <= MAX_BATCH => {
            let mut replies = Vec::with_capacity(calls.len());
            for call in &calls {
                replies.push(one(chain, call).await.1);
            }
            in_json(StatusCode::OK, &Value::Array(replies))
        }
        call => {
            let (status, reply) = one(chain, &call).await;
            in_json(status, &reply)
        }
    }
}

/// Carries out one call, with the status it has when it stands alone.
async fn one(chain: &impl Service, call: &Value) -> (StatusCode, Value) {
    let id = call.get("id").cloned().unwrap_or(Value::Null);
    let second_version = call.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    let result = match call.get("method").and_then(Value::as_str) {
        Some(method) if call.is_object() => {
            let params = call.get("params").cloned().unwrap_or(Value::Null);
            chain.carry_out(method, params).await
        }
        Some(_) | None => {
            let message =
                if call.is_object() { "Missing method" } else { "Invalid Request object" };
            Err(RpcError::new(RpcError::INVALID_REQUEST, message))
        }
    };
    // Since version 2.0 of JSON-RPC an error of a call is not one of HTTP.
    let status = match &result {
        Err(_) if second_version => StatusCode::OK,
        Ok(_) => StatusCode::OK,
        Err(e) if e.code == RpcError::INVALID_REQUEST => StatusCode::BAD_REQUEST,
        Err(e) if e.code == RpcError::NO_METHOD => StatusCode::NOT_FOUND,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, reply(result, &id, second_version))
}

fn reply(result: Result<Value, RpcError>, id: &Value, second_version: bool) -> Value {
    match (result, second_version) {
        (Ok(result), false) => json!({ "result": result, "error": null, "id": id }),
        (Err(e), false) => {
            let error = json!({ "code": e.code, "message": e.message });
            json!({ "result": null, "error": error, "id": id })
        }
        (Ok(result), true) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        (Err(e), true) => {
            let error = json!({ "code": e.code, "message": e.message });
            json!({ "jsonrpc": "2.0", "error": error, "id": id })
        }
    }
}
