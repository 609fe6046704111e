//! New heads that a node tells of over a WebSocket (`eth_subscribe`, `newHeads`): a reason to ask for
//! work before its time. What is told is not believed, and not even read: whoever waits asks the node.
//!
//! | the node | what becomes of it |
//! |---|---|
//! | does not listen there, refuses, breaks off | tried again after [`BACK_OFF_FIRST`], which doubles up to [`BACK_OFF_MAX`] |
//! | is silent, to our pings too | left after [`SILENCE_MAX`], tried again |
//! | tells more than [`BURST`] | left, tried again |
//!
//! Promises: no more than a number waits in memory; whoever polls is never kept from it.

use crate::NodeError;
use crate::allowance::Allowance;
use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use gruve_units::Duration;
use hyper::Uri;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

#[cfg(feature = "fuzzing")]
pub mod doors;

const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Connecting, the handshake and the subscription.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// A ping goes out after this long a silence,
const PING_AFTER: Duration = Duration::from_secs(20);
/// and after this long the node is left.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A header with its bloom filter is two thousand characters.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Messages and bytes at once: a node that catches up tells of every block.
const BURST: (f64, f64) = (2_000.0, 8e6);
/// And each second from then on.
const EACH_SECOND: (f64, f64) = (100.0, 400e3);

/// One node's new heads.
#[derive(Debug)]
pub(super) struct Heads {
    request: Request,
    place: String,
    told: watch::Sender<u64>,
    /// What was answered for.
    handled: AtomicU64,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Heads {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Heads {
    /// Does not connect yet.
    pub(super) fn new(url: &str, login: Option<(&str, &str)>) -> Result<Heads, NodeError> {
        let bad = |problem| NodeError::Address { url: url.to_owned(), problem };
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        if uri.scheme_str() != Some("ws") {
            return Err(bad("write it as ws://host:port"));
        }
        let authority = uri.authority().ok_or(bad("it has no host"))?;
        if authority.as_str().contains('@') || authority.port_u16().is_none() {
            return Err(bad("write it as ws://host:port, user and password by themselves"));
        }
        let place = authority.as_str().to_owned();
        let mut request = url.into_client_request().map_err(|_| bad("it is no URL"))?;
        if let Some((user, password)) = login {
            let token =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let value = HeaderValue::try_from(format!("Basic {token}"));
            let mut value = value.map_err(|_| bad("user or password cannot be sent"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let (told, handled) = (watch::Sender::new(0), AtomicU64::new(0));
        Ok(Heads { request, place, told, handled, task: Mutex::default() })
    }

    /// Waits for the next head. The first call begins to listen.
    pub(super) async fn next(&self) {
        {
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if task.is_none() {
                let (request, place) = (self.request.clone(), self.place.clone());
                *task = Some(tokio::spawn(listen(request, place, self.told.clone())));
            }
        }
        let mut told = self.told.subscribe();
        let is_new = |n: &u64| *n > self.handled.load(Ordering::Relaxed);
        // The sender lives as long as we do.
        let newest = told.wait_for(is_new).await.map_or(0, |n| *n);
        self.handled.store(newest, Ordering::Relaxed);
    }
}

/// Why a node was left.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Socket(#[from] tokio_tungstenite::tungstenite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it does not subscribe us: {0}")]
    Refused(String),
    #[error("it is silent")]
    Silent,
    #[error("it tells more than a node has to tell")]
    Floods,
    #[error("it ended the connection")]
    Over,
}

async fn listen(request: Request, place: String, told: watch::Sender<u64>) {
    let mut back_off = BACK_OFF_FIRST;
    let mut was_up = true;
    loop {
        let (begun, mut is_up) = (Instant::now(), false);
        let fault = hear(&request, &place, &told, &mut is_up).await.err().unwrap_or(Fault::Over);
        // A word about every change, not about every attempt.
        if is_up || was_up {
            tracing::info!(node = place, %fault, "new blocks are not told by this node; it is polled");
        }
        was_up = is_up;
        if is_up && begun.elapsed() > BACK_OFF_MAX {
            back_off = BACK_OFF_FIRST;
        }
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

async fn hear(
    request: &Request,
    place: &str,
    told: &watch::Sender<u64>,
    is_up: &mut bool,
) -> Result<(), Fault> {
    let beginning = async { begin(request, TcpStream::connect(place).await?).await };
    let begun = timeout(BEGIN_MAX, beginning).await.map_err(|_| Fault::Silent)??;
    tracing::info!(node = place, "new blocks are told by this node");
    *is_up = true;
    follow(begun, told).await
}

/// Tells of every head until there is a fault.
async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    (mut socket, id): (WebSocketStream<S>, Value),
    told: &watch::Sender<u64>,
) -> Result<(), Fault> {
    // What came before is to be looked at.
    told.send_modify(|n| *n += 1);
    let mut allowance = Allowance::new(BURST, EACH_SECOND);
    let mut heard_at = Instant::now();
    loop {
        let message = match timeout(PING_AFTER, socket.next()).await {
            Ok(None) => return Err(Fault::Over),
            Ok(Some(message)) => message?,
            Err(_) if heard_at.elapsed() > SILENCE_MAX => return Err(Fault::Silent),
            Err(_) => {
                let ping = socket.send(Message::Ping(Bytes::new()));
                timeout(BEGIN_MAX, ping).await.map_err(|_| Fault::Silent)??;
                continue;
            }
        };
        heard_at = Instant::now();
        if !allowance.allows(message.len() as u64) {
            return Err(Fault::Floods);
        }
        if is_head(&message, &id) {
            told.send_modify(|n| *n += 1);
        }
        // What is there already is read without a pause; others want the thread too.
        tokio::task::yield_now().await;
    }
}

/// Greets and subscribes; gives the subscription's name too.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    request: &Request,
    stream: S,
) -> Result<(WebSocketStream<S>, Value), Fault> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(16 << 10);
    let (mut socket, _) = client_async_with_config(request.clone(), stream, Some(config)).await?;
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"] });
    socket.send(Message::text(call.to_string())).await?;
    let mut allowance = Allowance::new(BURST, EACH_SECOND);
    while let Some(message) = socket.next().await {
        let message = message?;
        if !allowance.allows(message.len() as u64) {
            return Err(Fault::Floods);
        }
        let Some(mut answer) = read(&message).filter(|answer| answer["id"] == 1) else { continue };
        let id = answer["result"].take();
        if id.is_string() {
            return Ok((socket, id));
        }
        let why = answer["error"]["message"].as_str().unwrap_or("no reason");
        return Err(Fault::Refused(why.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    Err(Fault::Over)
}

fn read(message: &Message) -> Option<Value> {
    serde_json::from_str(message.to_text().ok().filter(|_| message.is_text())?).ok()
}

fn is_head(message: &Message, id: &Value) -> bool {
    read(message).is_some_and(|said| {
        said["method"] == "eth_subscription" && said["params"]["subscription"] == *id
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_form_are_taken_and_a_password_is_not_shown() {
        for bad in ["http://n:1", "ws://n", "wss://n:1", "ws://u:p@n:1", "", "ws://"] {
            assert!(matches!(Heads::new(bad, None), Err(NodeError::Address { .. })), "{bad}");
        }
        let heads = Heads::new("ws://n:8546/path", Some(("user", "a secret"))).unwrap();
        let shown = format!("{heads:?}");
        assert!(!shown.contains("secret") && !shown.contains("dXNlcj"), "{shown}");
        assert_eq!(heads.place, "n:8546");
    }

    #[test]
    fn heads_of_our_subscription_are_told_apart_from_everything_else() {
        let id = json!("0x1");
        let said = |text: &str| is_head(&Message::text(text), &id);
        assert!(said(
            r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":{}}}"#
        ));
        assert!(!said(r#"{"method":"eth_subscription","params":{"subscription":"0x2"}}"#));
        assert!(!said(r#"{"id":1,"result":"0x1"}"#));
        assert!(!said("[1, 2") && !said("null") && !is_head(&Message::Binary(Bytes::new()), &id));
    }
}
