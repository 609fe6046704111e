//! What a node's new heads are heard by, without a socket: for fuzzing only.

use super::{Fault, begin, follow};
use crate::said::{Said, run};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What was heard of a node that said these bytes and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadsHeard {
    /// Whether it has subscribed us.
    pub has_begun: bool,
    /// Heads told.
    pub told: u64,
    /// What kind of fault it was left for.
    pub fault: &'static str,
    /// How many bytes were sent to it.
    pub sent: usize,
}

/// Agrees to the handshake as an honest node does.
fn agree(sent: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(sent);
    let mut lines = text.lines().filter_map(|l| l.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    let accept = derive_accept_key(key.map_or("", |(_, key)| key.trim()).as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// Hears a node whose bytes come in pieces of this size, after an honest handshake or in its place.
///
/// # Errors
/// When the machine has no timer.
pub fn hear(bytes: &[u8], piece: usize, is_agreed: bool) -> std::io::Result<HeadsHeard> {
    let request = "ws://node.invalid:1/".into_client_request().map_err(std::io::Error::other)?;
    let told = watch::Sender::new(0);
    let mut said = Said::new(bytes, piece, is_agreed.then_some(agree as fn(&[u8]) -> Vec<u8>));
    let (has_begun, fault) = run(async {
        match begin(&request, &mut said).await {
            Err(fault) => (false, fault),
            Ok(begun) => (true, follow(begun, &told).await.err().unwrap_or(Fault::Over)),
        }
    })?;
    let fault = match fault {
        // A socket that ends tells so in several ways, by where it was cut.
        Fault::Socket(_) | Fault::Io(_) | Fault::Over => "over",
        Fault::Refused(_) => "refused",
        Fault::Silent => "silent",
        Fault::Floods => "floods",
    };
    let heard = HeadsHeard { has_begun, told: *told.borrow(), fault, sent: said.sent.len() };
    Ok(heard)
}
