//! Frames: 2 bytes of extension (the top bit says that a channel is addressed), 1 of type, 3 of
//! length, all least significant first; then the payload.

use crate::limits;
use binary_sv2::{GetSize, Serialize, to_writer};

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 6;

/// The bit of the extension field that says that the payload begins with a channel's number.
const CHANNEL_BIT: u16 = 0x8000;

/// A frame at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The extension, without the channel bit; 0 for the protocol itself.
    pub(crate) extension: u16,
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
}

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front<'a> {
    /// A whole frame, and its length with the header.
    Whole(Frame<'a>, usize),
    /// Not yet a whole one.
    Partial,
    /// One longer than any honest client's.
    TooLong,
}

/// Looks at the front of the input.
pub(crate) fn front(input: &[u8]) -> Front<'_> {
    let Some([e0, e1, kind, a, b, c]) = input.first_chunk::<HEADER_BYTES>() else {
        return Front::Partial;
    };
    let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
    if length > limits::V2_FRAME_BYTES_MAX {
        return Front::TooLong;
    }
    let end = HEADER_BYTES + length;
    let Some(payload) = input.get(HEADER_BYTES..end) else { return Front::Partial };
    let extension = u16::from_le_bytes([*e0, *e1]) & !CHANNEL_BIT;
    Front::Whole(Frame { extension, kind: *kind, payload }, end)
}

/// Appends a message of the protocol itself. One that cannot be encoded (none of ours) is left out.
pub(crate) fn put<T: Serialize + GetSize>(out: &mut Vec<u8>, kind: u8, channel: bool, message: T) {
    let start = out.len();
    let size = message.get_size();
    put_header(out, if channel { CHANNEL_BIT } else { 0 }, kind, size);
    out.resize(start + HEADER_BYTES + size, 0);
    let written = out.get_mut(start + HEADER_BYTES..).map(|body| to_writer(message, body).is_ok());
    if written != Some(true) {
        out.truncate(start);
    }
}

/// Appends a header.
pub(crate) fn put_header(out: &mut Vec<u8>, extension: u16, kind: u8, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&extension.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&length[..3]);
}
