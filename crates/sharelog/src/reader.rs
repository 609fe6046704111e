//! Reading records in order, from any record's position.

use crate::frame::{self, FRAME_HEADER, FRAME_MAGIC, MAX_FRAME_BYTES, SEGMENT_HEADER};
use crate::records::Cursor;
use crate::{LogError, Position, Record, ShareLog};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

/// How much is read ahead: enough that small frames share a read.
const READ_AHEAD: usize = 64 << 10;

/// A cursor over the log. Reads block for as long as the disk needs; it never waits for writers.
#[derive(Debug)]
pub struct LogReader {
    log: ShareLog,
    /// Where the next record stands, or the end.
    next: Position,
    file: Option<(u64, File)>,
    /// Bytes read ahead and where in the segment they begin.
    chunk: Vec<u8>,
    chunk_at: u64,
    /// The frame being read out: its offset, its payload's place in `chunk`, checked.
    frame: Option<(u64, usize, usize)>,
    /// The place in the payload of the next record.
    within: Cursor,
}

impl LogReader {
    pub(crate) fn new(log: ShareLog, from: Position) -> Self {
        LogReader {
            log,
            next: from,
            file: None,
            chunk: Vec::new(),
            chunk_at: 0,
            frame: None,
            within: Cursor::default(),
        }
    }

    /// Where the next call to [`LogReader::next`] will look: after the last record given.
    #[must_use]
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next record and where it begins; `None` at the end, for now.
    ///
    /// # Errors
    /// [`LogError::Damaged`], [`LogError::Trimmed`], [`LogError::NoRecord`], [`LogError::Io`].
    #[allow(clippy::should_implement_trait)] // it can fail, and its `None` is not for ever
    pub fn next(&mut self) -> Result<Option<(Position, Record)>, LogError> {
        if self.frame.is_none() && !self.find_frame()? {
            return Ok(None);
        }
        let Some((frame_at, start, len)) = self.frame else { return Ok(None) };
        let payload = self.chunk.get(start..start + len).unwrap_or_default();
        let here = self.next;
        let damaged = |what| LogError::Damaged {
            path: self.log.segment_path(here.segment),
            offset: here.offset,
            what,
        };
        let (_, record) = self
            .within
            .next(payload)
            .and_then(|r| r.ok_or("a frame ends before its record"))
            .map_err(damaged)?;
        self.next.offset = frame_at + (FRAME_HEADER + self.within.at()) as u64;
        if self.within.at() >= len {
            self.frame = None;
        }
        Ok(Some((here, record)))
    }

    /// Makes `frame` and `within` stand at `next`; false at the end.
    fn find_frame(&mut self) -> Result<bool, LogError> {
        let from_start = self.next == Position::START;
        if from_start {
            self.next = self.log.start();
        }
        self.next.offset = self.next.offset.max(SEGMENT_HEADER as u64);
        loop {
            let end = self.log.end();
            if self.next >= end {
                return Ok(false);
            }
            let limit = match self.open_segment(end) {
                // Whoever wants whatever there is gets it from where it begins now.
                Err(LogError::Trimmed { start, .. }) if from_start => {
                    (self.next, self.file) = (start, None);
                    self.next.offset = self.next.offset.max(SEGMENT_HEADER as u64);
                    continue;
                }
                limit => limit?,
            };
            if self.next.offset < limit {
                return self.load_frame(limit);
            }
            if self.next.offset > limit {
                return Err(LogError::NoRecord(self.next));
            }
            self.next = Position { segment: self.next.segment + 1, offset: SEGMENT_HEADER as u64 };
        }
    }

    /// Opens `next`'s segment, unless it is open: what is open is read to its end, trimmed or not. Gives the end of what may
    /// be read in it.
    fn open_segment(&mut self, end: Position) -> Result<u64, LogError> {
        let number = self.next.segment;
        let path = self.log.segment_path(number);
        if self.file.as_ref().is_none_or(|(n, _)| *n != number) {
            let file = match File::open(&path) {
                // A file goes before the log's beginning does, so the latter is asked for once no trimming is under way.
                Err(e) if e.kind() == ErrorKind::NotFound => match self.log.start_when_trimmed() {
                    start if start.segment > number => {
                        return Err(LogError::Trimmed { asked: self.next, start });
                    }
                    _ => Err(e),
                },
                opened => opened,
            };
            self.file = Some((number, file.map_err(io(&path))?));
            self.chunk.clear();
        }
        if number == end.segment {
            return Ok(end.offset);
        }
        let (_, file) = self.file.as_ref().ok_or(LogError::NoRecord(self.next))?;
        Ok(file.metadata().map_err(io(&path))?.len())
    }

    fn load_frame(&mut self, limit: u64) -> Result<bool, LogError> {
        let Position { segment, offset } = self.next;
        let path = self.log.segment_path(segment);
        let damaged = |offset, what| LogError::Damaged { path: path.clone(), offset, what };
        let first = self.bytes(offset, 4, limit)?;
        let first = self.chunk.get(first..first + 4).unwrap_or_default();
        let mut frame_at = offset;
        if first != FRAME_MAGIC {
            // A record inside a frame says how far back the frame begins.
            let back: [u8; 4] = first.try_into().map_err(|_| LogError::NoRecord(self.next))?;
            let back = u64::from(frame::distance_said(back).0);
            frame_at = offset
                .checked_sub(back)
                .filter(|at| {
                    *at >= SEGMENT_HEADER as u64
                        && back > FRAME_HEADER as u64
                        && back <= (FRAME_HEADER + MAX_FRAME_BYTES) as u64
                })
                .ok_or(LogError::NoRecord(self.next))?;
        }
        let at = self.bytes(frame_at, FRAME_HEADER, limit)?;
        let len = frame::payload_len(&self.chunk[at..at + FRAME_HEADER])
            .map_err(|what| damaged(frame_at, what))?;
        let at = self.bytes(frame_at, FRAME_HEADER + len, limit)?;
        let whole = &self.chunk[at..at + FRAME_HEADER + len];
        let frame =
            frame::parse(whole, segment, frame_at).map_err(|what| damaged(frame_at, what))?;
        let distance = usize::try_from(offset - frame_at).unwrap_or(usize::MAX);
        self.within = Cursor::default();
        // A short share is read from those before it.
        while distance > self.within.at() + FRAME_HEADER {
            let one = self.within.next(frame.payload).map_err(|what| damaged(frame_at, what))?;
            one.ok_or(LogError::NoRecord(self.next))?;
        }
        if distance > 0 && distance != self.within.at() + FRAME_HEADER {
            return Err(LogError::NoRecord(self.next));
        }
        self.frame = Some((frame_at, at + FRAME_HEADER, len));
        Ok(true)
    }

    /// Makes `len` bytes from `offset` stand in `chunk`; gives where in it they begin.
    fn bytes(&mut self, offset: u64, len: usize, limit: u64) -> Result<usize, LogError> {
        let held = self.chunk_at + self.chunk.len() as u64;
        if offset >= self.chunk_at && offset + len as u64 <= held {
            return Ok(usize::try_from(offset - self.chunk_at).unwrap_or(usize::MAX));
        }
        let path: PathBuf = self.log.segment_path(self.next.segment);
        let there = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        if there < len {
            let what = "a frame runs past the end of what was written";
            return Err(LogError::Damaged { path, offset, what });
        }
        self.chunk.clear();
        self.chunk.resize(len.max(READ_AHEAD).min(there), 0);
        self.chunk_at = offset;
        let (_, file) = self.file.as_ref().ok_or(LogError::NoRecord(self.next))?;
        if let Err(e) = file.read_exact_at(&mut self.chunk, offset) {
            self.chunk.clear();
            return Err(io(&path)(e));
        }
        Ok(0)
    }
}

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> LogError + '_ {
    move |source| LogError::Io { doing: "reading", path: path.to_owned(), source }
}
