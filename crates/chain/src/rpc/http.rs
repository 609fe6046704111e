//! One JSON-RPC call over HTTP/1.1, with basic authentication where it is asked for.

use super::shorten;
use crate::NodeError;
use crate::node::code;
use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Bitcoin Core's cookie is 75 bytes.
const COOKIE_BYTES_MAX: u64 = 256;

/// Where a node listens, and how it knows us.
pub(crate) struct Endpoint {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    host: String,
    authorization: RwLock<Option<HeaderValue>>,
    /// Where the node writes user and password anew at each start.
    cookie: Option<PathBuf>,
    /// What the calls say they are: `1.0` for Bitcoin Core, `2.0` for Ethereum's nodes.
    version: &'static str,
    max_answer_bytes: usize,
    next_id: AtomicU64,
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) method: &'static str,
    pub(super) id: u64,
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl fmt::Debug for Endpoint {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(super) fn new(
        url: &str,
        user: &str,
        password: &str,
        max_answer_bytes: usize,
    ) -> Result<Self, NodeError> {
        Self::of_version("1.0", url, Some((user, password)), max_answer_bytes)
    }

    pub(crate) fn of_version(
        version: &'static str,
        url: &str,
        login: Option<(&str, &str)>,
        max_answer_bytes: usize,
    ) -> Result<Self, NodeError> {
        let bad = |problem| NodeError::Address { url: without_password(url), problem };
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(bad("nodes speak plain HTTP: use http, through a tunnel if need be"));
            }
            _ => return Err(bad("write it as http://host:port")),
        }
        let authority = uri.authority().ok_or(bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("user and password have settings of their own"));
        }
        if uri.port_u16().is_none() {
            return Err(bad("it has no port"));
        }
        let host = authority.as_str().to_owned();
        let basic = |(user, password): (&str, &str)| {
            basic(&format!("{user}:{password}")).ok_or(bad("user or password cannot be sent"))
        };
        let authorization = RwLock::new(login.map(basic).transpose()?);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_keepalive(Some(gruve_units::Duration::from_secs(15)));
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let next_id = AtomicU64::new(1);
        let cookie = None;
        Ok(Endpoint {
            client,
            uri,
            host,
            authorization,
            cookie,
            version,
            max_answer_bytes,
            next_id,
        })
    }

    /// Takes user and password from the file in which the node writes them at its start: now, if it is
    /// there, and again whenever the node does not know them any more.
    pub(super) fn with_cookie(mut self, path: PathBuf) -> Self {
        if let Some(read) = read_cookie(&path) {
            self.authorization = RwLock::new(Some(read));
        }
        self.cookie = Some(path);
        self
    }

    fn authorization(&self) -> Option<HeaderValue> {
        // Every change under the lock is whole.
        self.authorization.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What to send in place of what was refused, where the node's file says something else by now.
    async fn another_authorization(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let path = self.cookie.clone()?;
        let read = tokio::task::spawn_blocking(move || read_cookie(&path)).await.ok().flatten()?;
        if Some(&read) == refused {
            return None;
        }
        *self.authorization.write().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        tracing::info!(node = self.host, "the node has another cookie: its file was read again");
        Some(read)
    }

    /// Host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// One call. Has no time-out of its own.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Value, NodeError> {
        self.read(&self.exchange(method, params).await?)
    }

    /// One call, its answer not read yet.
    pub(super) async fn exchange(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Answer, NodeError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": self.version, "id": id, "method": method, "params": params });
        let body = Bytes::from(body.to_string());
        let authorization = self.authorization();
        let mut response = self.send(body.clone(), authorization.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(another) = self.another_authorization(authorization.as_ref()).await
        {
            response = self.send(body, Some(another)).await?;
        }
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            let host = self.host.clone();
            return Err(NodeError::Unauthorised { host, status: status.as_u16() });
        }
        let limit_bytes = self.max_answer_bytes;
        let body = Limited::new(response.into_body(), limit_bytes).collect().await;
        let body = body.map_err(|e| {
            if e.is::<LengthLimitError>() {
                NodeError::TooLarge { method, limit_bytes }
            } else {
                self.unreachable(e.as_ref())
            }
        })?;
        Ok(Answer { method, id, status, body: body.to_bytes() })
    }

    async fn send(
        &self,
        body: Bytes,
        authorization: Option<HeaderValue>,
    ) -> Result<Response<Incoming>, NodeError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|e| self.unreachable(&e))?;
        self.client.request(request).await.map_err(|e| self.unreachable(&e))
    }

    /// The result in an answer.
    pub(super) fn read(&self, answer: &Answer) -> Result<Value, NodeError> {
        let Answer { method, id, status, ref body } = *answer;
        let malformed = |problem| NodeError::Malformed { method, problem };
        // Errors of a call come as JSON with status 404 or 500, errors of the server as text.
        let answer = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let Some(Value::Object(mut answer)) = answer else {
            if status.is_success() {
                return Err(malformed("it is no JSON object"));
            }
            let start = &body[..body.len().min(300)];
            let text = shorten(&String::from_utf8_lossy(start));
            let host = self.host.clone();
            return Err(NodeError::Http { host, method, status: status.as_u16(), text });
        };
        match answer.get("error") {
            None | Some(Value::Null) => {}
            Some(error) => return Err(rpc_error(method, error)),
        }
        if answer.get("id").and_then(Value::as_u64) != Some(id) {
            return Err(malformed("it answers another call"));
        }
        answer.remove("result").ok_or(malformed("it has neither result nor error"))
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> NodeError {
        // The innermost cause says what happened ("Connection refused"), the outer ones that it
        // did.
        let mut cause = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        NodeError::Unreachable { host: self.host.clone(), problem: shorten(&cause.to_string()) }
    }
}

/// HTTP's basic authentication; `None` for characters that a header cannot have.
fn basic(user_and_password: &str) -> Option<HeaderValue> {
    let token = base64::engine::general_purpose::STANDARD.encode(user_and_password);
    let mut value = HeaderValue::try_from(format!("Basic {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// User and password as the node writes them: one short line with a colon.
fn read_cookie(path: &Path) -> Option<HeaderValue> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(COOKIE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.contains(':').then(|| basic(text.trim())).flatten()
}

fn rpc_error(method: &'static str, error: &Value) -> NodeError {
    let Some(code) = error.get("code").and_then(Value::as_i64) else {
        return NodeError::Malformed { method, problem: "its error has no code" };
    };
    let message = shorten(error.get("message").and_then(Value::as_str).unwrap_or("no reason"));
    match code {
        code::IN_WARMUP | code::CLIENT_NOT_CONNECTED | code::CLIENT_IN_INITIAL_DOWNLOAD => {
            NodeError::NotReady(message)
        }
        _ => NodeError::Rpc { method, code, message },
    }
}

/// The URL without what may be a password in it.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}
