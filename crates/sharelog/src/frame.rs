//! Frames and segment headers: lengths and checksums around the records. Pure.

use gruve_units::EpochNumber;

/// The most bytes one append may have: 16 MiB. The largest record is a found block, and the largest
/// block of a served chain is 4 MB (plus extension data, plus a share); a reader's buffer is
/// bounded by this.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

pub(crate) const SEGMENT_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 20;
pub(crate) const RECORD_HEADER: usize = 8;
/// A short share's: its distance alone, for its bytes say how long it is.
pub(crate) const SHORT_HEADER: usize = 4;

/// Set in a short share's distance, which is far smaller by itself.
const SHORT: u32 = 1 << 31;

/// What a segment may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Every record stands for itself.
    Whole,
    /// Shares may be in the short form.
    Short,
}

impl Format {
    const fn magic(self) -> [u8; 8] {
        match self {
            Format::Whole => *b"GRUVELG1",
            Format::Short => *b"GRUVELG2",
        }
    }
}

/// `GVFR`; as an integer it is far above any distance inside a frame and below those with [`SHORT`] set,
/// so that the first four bytes at a position tell a frame's beginning from a record's.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"GVFR";

pub(crate) fn segment_header(
    number: u64,
    sealed: Option<EpochNumber>,
    format: Format,
) -> [u8; SEGMENT_HEADER] {
    let mut h = [0; SEGMENT_HEADER];
    h[..8].copy_from_slice(&format.magic());
    h[8..16].copy_from_slice(&number.to_le_bytes());
    h[16..24].copy_from_slice(&sealed.map_or(0, |e| e.0.saturating_add(1)).to_le_bytes());
    let crc = crc32c::crc32c(&h[..28]);
    h[28..].copy_from_slice(&crc.to_le_bytes());
    h
}

/// The epoch sealed before the segment and what it may hold, or what is wrong.
pub(crate) fn check_segment_header(
    bytes: &[u8],
    number: u64,
) -> Result<(Option<EpochNumber>, Format), &'static str> {
    let h: &[u8; SEGMENT_HEADER] = bytes
        .get(..SEGMENT_HEADER)
        .and_then(|b| b.try_into().ok())
        .ok_or("the segment's header is cut short")?;
    let sealed = u64::from_le_bytes([h[16], h[17], h[18], h[19], h[20], h[21], h[22], h[23]])
        .checked_sub(1)
        .map(EpochNumber);
    [Format::Short, Format::Whole]
        .into_iter()
        .find(|format| *h == segment_header(number, sealed, *format))
        .map(|format| (sealed, format))
        .ok_or("the segment's header does not match its checksum or its name")
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

/// Adds a share in the short form, which `write` appends.
pub(crate) fn push_short(buf: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let distance = u32::try_from(buf.len()).unwrap_or(u32::MAX);
    buf.extend((distance | SHORT).to_le_bytes());
    write(buf);
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

/// A record as its first bytes have it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Head<'a> {
    /// The body of a record that stands for itself.
    Whole(&'a [u8]),
    /// A share in the short form begins these bytes.
    Short(&'a [u8]),
}

/// The record at the beginning of `rest`, which must say its distance.
pub(crate) fn head(rest: &[u8], distance: usize) -> Result<Head<'_>, &'static str> {
    const BAD: &str = "a record's header does not fit its frame";
    let (said, behind) = rest.split_first_chunk().ok_or(BAD)?;
    let (back, is_short) = distance_said(*said);
    if usize::try_from(back) != Ok(distance) {
        return Err(BAD);
    }
    if is_short {
        return Ok(Head::Short(behind));
    }
    let (len, body) = behind.split_first_chunk().ok_or(BAD)?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| BAD)?;
    body.get(..len).map(Head::Whole).ok_or(BAD)
}

/// What a record's first bytes say: how far its frame begins before it, and whether it is short.
pub(crate) fn distance_said(first: [u8; 4]) -> (u32, bool) {
    let said = u32::from_le_bytes(first);
    (said & !SHORT, said & SHORT != 0)
}
