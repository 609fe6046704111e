//! The records of a frame, one after the other. Pure.

use crate::frame::{self, FRAME_HEADER, Head};
use crate::{Record, ShareRecord, codec, short};

/// Where in a frame's payload reading stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    at: usize,
    /// The last share so far, which a short one builds on.
    before: Option<ShareRecord>,
}

impl Cursor {
    /// Where in the payload the next record begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next record of the payload, and its distance from the frame's beginning; `None` at the end.
    /// After an error it stands where it stood.
    pub(crate) fn next(&mut self, payload: &[u8]) -> Result<Option<(usize, Record)>, &'static str> {
        let Some(rest) = payload.get(self.at..).filter(|r| !r.is_empty()) else {
            return Ok(None);
        };
        let distance = self.at + FRAME_HEADER;
        let (record, bytes) = match frame::head(rest, distance)? {
            Head::Whole(body) => (codec::decode(body)?, frame::RECORD_HEADER + body.len()),
            Head::Short(body) => {
                let before = self.before.as_ref().ok_or("a short share that none stands before")?;
                let (share, bytes) = short::decode(before, body)?;
                (Record::Share(share), frame::SHORT_HEADER + bytes)
            }
        };
        if let Record::Share(share) = &record {
            self.before = Some(*share);
        }
        self.at += bytes;
        Ok(Some((distance, record)))
    }
}

/// Appends a share to the frame in `buf`: shortly where there is a share before it.
pub(crate) fn push_share(buf: &mut Vec<u8>, before: Option<&ShareRecord>, share: &ShareRecord) {
    match before {
        Some(before) => frame::push_short(buf, |out| short::encode(before, share, out)),
        None => frame::push_record(buf, |out| codec::encode_share(share, out)),
    }
}
