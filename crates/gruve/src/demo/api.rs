//! Small clients of the platform's public HTTP API and of a node's wallet: all that the demo's
//! customer may touch.

use bytes::Bytes;
use gruve_chain::devchain::{CallError, rpc_call};
use gruve_units::{Entropy as _, SystemEntropy};
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

/// How often a write is tried. On a machine that compiles besides, signing in or asking for a payout may take longer than the
/// house lets a request take; what it has begun under a key it ends all the same, and then tells of it.
const WRITE_ATTEMPTS_MAX: u32 = 6;

/// How long to wait before a write is tried again.
const AGAIN: Duration = Duration::from_secs(2);

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
        /// The problem's kind.
        kind: String,
        /// The problem's detail.
        detail: String,
    },
}

/// A client, signed in or not.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    /// How long to wait before a write is tried again.
    again: Duration,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Api {
    /// A client for the server at `base`, as `http://127.0.0.1:7400`.
    pub fn new(base: String) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Api { base, token: None, again: AGAIN, http }
    }

    /// The same client, signed in with a session's token.
    pub fn signed_in(&self, token: &str) -> Self {
        Api { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Reads a resource, asking again if no answer comes.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let mut attempt = 1;
        loop {
            match self.request(Method::GET, path, None, None).await {
                Err(ApiError::NoAnswer { .. }) if attempt < READ_ATTEMPTS_MAX => attempt += 1,
                answer => return answer,
            }
        }
    }

    /// Creates a resource: once, however often it is asked for until there is an answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        // A key belongs to an account. What is asked in nobody's name says by itself that it was done.
        let key = self.token.as_ref().map(|_| {
            let mut random = [0; 16];
            SystemEntropy.fill(&mut random);
            hex::encode(random)
        });
        let mut attempt = 1;
        loop {
            let answer = self.request(Method::POST, path, Some(body), key.as_deref()).await;
            let may_be_asked_again = match &answer {
                Err(ApiError::NoAnswer { .. }) => key.is_some(),
                Err(ApiError::Refused { status, kind, .. }) => {
                    *status == StatusCode::SERVICE_UNAVAILABLE || kind == "idempotency-key-running"
                }
                Ok(_) => false,
            };
            if !may_be_asked_again || attempt == WRITE_ATTEMPTS_MAX {
                return answer;
            }
            attempt += 1;
            tokio::time::sleep(self.again).await;
        }
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Value, ApiError> {
        let failed =
            |why: String| ApiError::NoAnswer { method: method.clone(), path: path.to_owned(), why };
        let mut request = Request::builder().method(&method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
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
        let kind = json["type"].as_str().and_then(|t| t.rsplit(':').next()).unwrap_or("");
        let (path, detail, kind) = (path.to_owned(), detail.to_owned(), kind.to_owned());
        Err(ApiError::Refused { method, path, status, kind, detail })
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
    async fn a_write_in_nobodys_name_without_an_answer_is_never_asked_again() {
        let refused = late_once().await.post("/", &Value::Null).await;
        assert!(matches!(refused, Err(ApiError::NoAnswer { .. })), "{refused:?}");
    }

    /// A server that answers each connection with the next of these, and what it was asked.
    async fn answering(
        all: &'static [&'static str],
    ) -> (Api, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in all {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut read = vec![0; 4096];
                let n = stream.read(&mut read).await.unwrap();
                asked.push(String::from_utf8_lossy(&read[..n]).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (Api { again: Duration::ZERO, ..Api::new(base) }, asked)
    }

    #[tokio::test]
    async fn a_write_that_the_house_has_no_time_for_is_asked_again_under_its_key_until_it_is_told_of()
     {
        let (api, asked) = answering(&[
            "",
            "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 409 Conflict\r\ncontent-length: 52\r\nconnection: close\r\n\r\n\
             {\"type\":\"urn:gruve:problem:idempotency-key-running\"}",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"n\":2}",
        ])
        .await;
        assert_eq!(api.signed_in("t").post("/", &Value::Null).await.unwrap()["n"], 2);
        let asked = asked.await.unwrap();
        let key = |request: &String| {
            let line = request.lines().find(|l| l.starts_with("idempotency-key: ")).unwrap();
            line.to_owned()
        };
        let keys: std::collections::BTreeSet<String> = asked.iter().map(key).collect();
        assert_eq!((asked.len(), keys.len()), (4, 1), "{asked:?}");
        // Another thing has another key, and what is refused is not asked again.
        let (api, asked) =
            answering(&["HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"])
                .await;
        assert!(api.signed_in("t").post("/", &Value::Null).await.is_err());
        assert!(!keys.contains(&key(&asked.await.unwrap()[0])));
    }
}
