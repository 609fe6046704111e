//! Frames and segment headers: lengths and checksums around the records. Pure.

use gruve_units::EpochNumber;

/// The most bytes one append may have: 16 MiB. The largest record is a found block, and the largest
/// block of a served chain is 4 MB (plus extension data, plus a share); a reader's buffer is
/// bounded by this.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

pub(crate) const SEGMENT_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 20;
pub(crate) const RECORD_HEADER: usize = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"GRUVELG1";
/// `GVFR`; as an integer it is far above any distance inside a frame, so that the first four bytes at
/// a position tell a frame's beginning from a record's.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"GVFR";

pub(crate) fn segment_header(number: u64, sealed: Option<EpochNumber>) -> [u8; SEGMENT_HEADER] {
    let mut h = [0; SEGMENT_HEADER];
    h[..8].copy_from_slice(&SEGMENT_MAGIC);
    h[8..16].copy_from_slice(&number.to_le_bytes());
    h[16..24].copy_from_slice(&sealed.map_or(0, |e| e.0.saturating_add(1)).to_le_bytes());
    let crc = crc32c::crc32c(&h[..28]);
    h[28..].copy_from_slice(&crc.to_le_bytes());
    h
}

/// The epoch sealed before the segment, or what is wrong.
pub(crate) fn check_segment_header(
    bytes: &[u8],
    number: u64,
) -> Result<Option<EpochNumber>, &'static str> {
    let h: &[u8; SEGMENT_HEADER] = bytes
        .get(..SEGMENT_HEADER)
        .and_then(|b| b.try_into().ok())
        .ok_or("the segment's header is cut short")?;
    let sealed = u64::from_le_bytes([h[16], h[17], h[18], h[19], h[20], h[21], h[22], h[23]])
        .checked_sub(1)
        .map(EpochNumber);
    if *h == segment_header(number, sealed) {
        Ok(sealed)
    } else {
        Err("the segment's header does not match its checksum or its name")
    }
}

fn checksum(segment: u64, offset: u64, head: &[u8], payload: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&segment.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    let crc = crc32c::crc32c(&place);
    crc32c::crc32c_append(crc32c::crc32c_append(crc, head), payload)
}

/// Makes room for a frame's header at the beginning of `buf`.
pub(crate) fn begin(buf: &mut Vec<u8>) {
    buf.clear();
    buf.resize(FRAME_HEADER, 0);
}

/// Adds one record, whose body `write` appends.
pub(crate) fn push_record(buf: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = buf.len();
    buf.extend(u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
    buf.extend([0; 4]);
    write(buf);
    let len = u32::try_from(buf.len() - at - RECORD_HEADER).unwrap_or(u32::MAX);
    buf[at + 4..at + 8].copy_from_slice(&len.to_le_bytes());
}

/// Completes the header of the frame in `buf`.
pub(crate) fn finish(buf: &mut [u8], segment: u64, offset: u64, synced: u64) {
    let (head, payload) = buf.split_at_mut(FRAME_HEADER);
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    head[..4].copy_from_slice(&FRAME_MAGIC);
    head[4..8].copy_from_slice(&len.to_le_bytes());
    head[8..16].copy_from_slice(&synced.to_le_bytes());
    let crc = checksum(segment, offset, &head[..16], payload);
    head[16..].copy_from_slice(&crc.to_le_bytes());
}

/// The payload's length from a frame's header, or what is wrong.
pub(crate) fn payload_len(header: &[u8]) -> Result<usize, &'static str> {
    let h: &[u8; FRAME_HEADER] = header
        .get(..FRAME_HEADER)
        .and_then(|b| b.try_into().ok())
        .ok_or("a frame's header is cut short")?;
    if h[..4] != FRAME_MAGIC {
        return Err("no frame begins here");
    }
    usize::try_from(u32::from_le_bytes([h[4], h[5], h[6], h[7]]))
        .ok()
        .filter(|l| (1..=MAX_FRAME_BYTES).contains(l))
        .ok_or("a frame's length is out of range")
}

/// A whole frame that matches its checksum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) payload: &'a [u8],
    /// What of the segment was synced when the frame was written.
    pub(crate) synced: u64,
}

/// The frame at the beginning of `bytes`, which stand at `offset` of `segment`.
pub(crate) fn parse(bytes: &[u8], segment: u64, offset: u64) -> Result<Frame<'_>, &'static str> {
    let len = payload_len(bytes)?;
    let (head, rest) = bytes.split_at(FRAME_HEADER);
    let payload = rest.get(..len).ok_or("a frame is cut short")?;
    let crc = u32::from_le_bytes([head[16], head[17], head[18], head[19]]);
    if checksum(segment, offset, &head[..16], payload) != crc {
        return Err("a frame does not match its checksum");
    }
    let synced = u64::from_le_bytes([
        head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
    ]);
    Ok(Frame { payload, synced })
}

/// The records of a frame: distance from the frame's beginning, and body.
pub(crate) struct Records<'a> {
    payload: &'a [u8],
    at: usize,
}

pub(crate) fn records(payload: &[u8]) -> Records<'_> {
    records_from(payload, 0)
}

/// From a place in the payload where a record is known to begin.
pub(crate) fn records_from(payload: &[u8], at: usize) -> Records<'_> {
    Records { payload, at }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(usize, &'a [u8]), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.payload.get(self.at..).filter(|r| !r.is_empty())?;
        let distance = self.at + FRAME_HEADER;
        let one = record_at(rest, distance);
        self.at = one.map_or(self.payload.len(), |body| self.at + RECORD_HEADER + body.len());
        Some(one.map(|body| (distance, body)))
    }
}

/// The body of the record at the beginning of `rest`, which must say its distance.
fn record_at(rest: &[u8], distance: usize) -> Result<&[u8], &'static str> {
    const BAD: &str = "a record's header does not fit its frame";
    let (head, rest) = rest.split_at_checked(RECORD_HEADER).ok_or(BAD)?;
    let said = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    if usize::try_from(said) != Ok(distance) {
        return Err(BAD);
    }
    usize::try_from(len).ok().and_then(|l| rest.get(..l)).ok_or(BAD)
}
