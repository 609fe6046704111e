//! Small clients of the platform's public HTTP API and of a node's wallet: all that the demo's
//! customer may touch.

use bytes::Bytes;
use gruve_chain::devchain::{CallError, rpc_call};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// Largest answer read: the API's own pages are far below it.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(20);

/// How often a read is tried when no answer comes: a machine that is busy with other things (the
/// mining, a compiler) can be late once, and asking again changes nothing at the server.
const READ_ATTEMPTS_MAX: u32 = 3;

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server could not be reached or did not answer in time.
    #[error("{method} {path}: no answer: {why}")]
    NoAnswer {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// What happened.
        why: String,
    },
    /// The server said no.
    #[error("{method} {path}: {status}: {detail}")]
    Refused {
        /// The request's method.
        method: Method,
        /// The request's path.
        path: String,
        /// The status.
        status: StatusCode,
        /// The problem's detail.
        detail: String,
    },
}

/// A client, signed in or not.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    /// A client for the server at `base`, as `http://127.0.0.1:7400`.
    pub fn new(base: String) -> Self {
        Api { base, token: None, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The same client, signed in with a session's token.
    pub fn signed_in(&self, token: &str) -> Self {
        Api { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Reads a resource, asking again if no answer comes.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let mut attempt = 1;
        loop {
            match self.request(Method::GET, path, None).await {
                Err(ApiError::NoAnswer { .. }) if attempt < READ_ATTEMPTS_MAX => attempt += 1,
                answer => return answer,
            }
        }
    }

    /// Creates a resource.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let failed =
            |why: String| ApiError::NoAnswer { method: method.clone(), path: path.to_owned(), why };
        let mut request = Request::builder().method(&method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bytes = body.map(|b| b.to_string()).unwrap_or_default();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|e| failed(format!("malformed request: {e}")))?;
        let (status, body) = exchange(&self.http, request).await.map_err(failed)?;
        let json: Value = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(|e| failed(format!("not JSON: {e}")))?
        };
        if status.is_success() {
            return Ok(json);
        }
        let detail = json["detail"].as_str().or(json["title"].as_str()).unwrap_or("");
        Err(ApiError::Refused { method, path: path.to_owned(), status, detail: detail.to_owned() })
    }
}

/// One request and its whole answer, bounded in time and size.
async fn exchange(
    http: &Client<HttpConnector, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let exchange = async {
        let answer = http.request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, body))
    };
    tokio::time::timeout(REQUEST_TIME_MAX, exchange).await.map_err(|_| "timed out".to_owned())?
}

/// A node's JSON-RPC, for the wallet in it.
#[derive(Clone)]
pub struct Rpc {
    url: String,
    user: String,
    password: String,
}

impl Rpc {
    /// A client for the node at `url`, as `http://127.0.0.1:7403`.
    pub fn new(url: String, user: &str, password: &str) -> Self {
        Rpc { url, user: user.to_owned(), password: password.to_owned() }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// What the node or the transport says.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        rpc_call(&self.url, &self.user, &self.password, method, params).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that hangs up on its first connection and answers `{"n":2}` on the second.
    async fn late_once() -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut asked = [0; 4096];
            let (mut first, _) = listener.accept().await.unwrap();
            assert_ne!(first.read(&mut asked).await.unwrap(), 0);
            drop(first);
            let (mut second, _) = listener.accept().await.unwrap();
            assert_ne!(second.read(&mut asked).await.unwrap(), 0);
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"n\":2}";
            second.write_all(answer).await.unwrap();
        });
        Api::new(base)
    }

    #[tokio::test]
    async fn a_read_without_an_answer_is_asked_again() {
        assert_eq!(late_once().await.get("/").await.unwrap()["n"], 2);
    }

    #[tokio::test]
    async fn a_write_without_an_answer_is_never_asked_again() {
        let refused = late_once().await.post("/", &Value::Null).await;
        assert!(matches!(refused, Err(ApiError::NoAnswer { .. })), "{refused:?}");
    }
}
