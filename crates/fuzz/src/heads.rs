//! Bytes as a node that tells of new heads over a WebSocket: handshake, frames, JSON.
//!
//! What must hold: no panic; after the handshake what is heard is the same in whatever pieces the bytes come; no more heads are told than
//! there are messages; a message above the bound is not kept (libFuzzer's own limits see to that).

use crate::input::Input;
use gruve_chain::eth::heads::doors::hear;

/// A text frame, as servers send it: not masked.
fn text(body: &str) -> Vec<u8> {
    let mut all = vec![0x81];
    match u8::try_from(body.len()) {
        Ok(len) if len < 126 => all.push(len),
        _ => {
            all.push(126);
            all.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        }
    }
    all.extend(body.as_bytes());
    all
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (is_agreed, is_subscribed) = (input.flag(), input.flag());
    let piece = 1 + usize::from(input.byte());
    let mut said = Vec::new();
    if is_subscribed {
        said.extend(text(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#));
    }
    // A frame takes two bytes, so this many are no flood.
    said.extend(input.take(2_000));
    let whole = hear(&said, usize::MAX, is_agreed).unwrap();
    let pieces = hear(&said, piece, is_agreed).unwrap();
    // A handshake in crumbs may be refused where a whole one is taken.
    if is_agreed {
        assert_eq!(
            (whole.has_begun, whole.told, whole.fault),
            (pieces.has_begun, pieces.told, pieces.fault),
            "heard otherwise in pieces of {piece}"
        );
    }
    assert!(whole.has_begun || whole.told == 0);
    assert!(!(is_agreed && is_subscribed) || whole.has_begun);
    // The beginning counts for one: what came before is to be looked at.
    let least = r#"{"method":"eth_subscription","params":{"subscription":""}}"#.len();
    let most = u64::from(whole.has_begun) + (said.len() / least) as u64;
    assert!(whole.told <= most, "{} heads", whole.told);
}
