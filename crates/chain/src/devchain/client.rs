//! One RPC call to a served chain, for whoever plays a wallet's owner: the demonstration's customer,
//! a test. The house itself asks nodes through [`crate::RpcNode`].

use super::rpc::RpcError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gruve_units::{Blame, Blamed, Duration};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// The longest answer read: a block of 4 MB in hexadecimal with its wrapping.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The node refuses it.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// No answer.
    #[error("no answer from {url}: {problem}")]
    Unreachable {
        /// Where.
        url: String,
        /// What stood in the way.
        problem: String,
    },
}

impl Blamed for CallError {
    fn blame(&self) -> Blame {
        match self {
            CallError::Refused(_) => Blame::Rejected,
            CallError::Unreachable { .. } => Blame::Transient,
        }
    }
}

/// Calls one method of the node at `url` (`http://host:port`).
///
/// # Errors
/// When there is no answer or the answer is an error.
pub async fn rpc_call(
    url: &str,
    user: &str,
    password: &str,
    method: &str,
    params: Value,
) -> Result<Value, CallError> {
    let failed = |problem: String| CallError::Unreachable { url: url.to_owned(), problem };
    let body = json!({ "jsonrpc": "1.0", "id": 1, "method": method, "params": params });
    let request = Request::post(url)
        .header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| failed(e.to_string()))?;
    let exchange = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.map_err(|e| failed(e.to_string()))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|e| failed(e.to_string()))?.to_bytes();
        serde_json::from_slice::<Value>(&body).map_err(|_| failed(format!("HTTP {status}")))
    };
    let reply = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| failed(format!("nothing within {} s", TIMEOUT.as_secs())))??;
    match reply.get("error").filter(|e| !e.is_null()) {
        None => Ok(reply.get("result").cloned().unwrap_or(Value::Null)),
        Some(error) => {
            let code = error.get("code").and_then(Value::as_i64).unwrap_or(-1);
            let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason");
            let code = i32::try_from(code).unwrap_or(RpcError::MISC);
            Err(RpcError::new(code, message).into())
        }
    }
}
