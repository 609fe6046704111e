//! Bytes as a node that publishes over ZeroMQ: greeting, frames, messages.
//!
//! What must hold: no panic; what is heard is the same in whatever pieces the bytes come, and is what a second, naive
//! reader of the frames counts; no more than the stated part of a frame is kept; what is sent back is the greeting and one
//! short answer for each heartbeat.

use crate::input::Input;
use gruve_chain::zmq::doors::{KEPT_MAX, hear};

/// Greeting, READY and three subscriptions.
const FIRST_BYTES_MAX: usize = 64 + 32 + 3 * 16;

/// A publisher's honest beginning.
fn beginning() -> Vec<u8> {
    let mut said = vec![0; 64];
    (said[0], said[9], said[10], said[11]) = (0xff, 0x7f, 3, 1);
    said[12..16].copy_from_slice(b"NULL");
    said.extend(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB");
    said
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (is_honest, piece) = (input.flag(), 1 + usize::from(input.byte()));
    let mut said = if is_honest { beginning() } else { Vec::new() };
    said.extend(input.rest());
    let whole = hear(&said, usize::MAX).unwrap();
    let pieces = hear(&said, piece).unwrap();
    assert_eq!(whole, pieces, "heard otherwise in pieces of {piece}");
    assert!(whole.kept <= KEPT_MAX);
    let (frames, heartbeats) = frames(said.get(64..).unwrap_or_default());
    let most = FIRST_BYTES_MAX + heartbeats * 24;
    assert!(
        whole.sent.len() <= most,
        "{} bytes sent for {heartbeats} heartbeats",
        whole.sent.len()
    );
    // News and what is missing, one reason each a message of two parts or three.
    assert!(whole.wakes <= frames as u64, "{} wakes of {frames} frames", whole.wakes);
    assert!(whole.has_begun || whole.wakes == 0);
    assert!(!is_honest || whole.has_begun, "an honest publisher is refused: {}", whole.fault);
}

/// Frames and heartbeats in bytes, read the plain way.
fn frames(mut bytes: &[u8]) -> (usize, usize) {
    let (mut count, mut heartbeats) = (0, 0);
    while let Some((flags, rest)) = bytes.split_first() {
        let (len, rest) = if flags & 2 == 0 {
            let Some((len, rest)) = rest.split_first() else { break };
            (u64::from(*len), rest)
        } else {
            let Some((len, rest)) = rest.split_first_chunk() else { break };
            (u64::from_be_bytes(*len), rest)
        };
        let whole = usize::try_from(len).unwrap_or(usize::MAX);
        let body = &rest[..rest.len().min(whole)];
        count += 1;
        heartbeats += usize::from(flags & 4 != 0 && body.starts_with(b"\x04PING"));
        let Some(next) = rest.get(whole..) else { break };
        bytes = next;
    }
    (count, heartbeats)
}
