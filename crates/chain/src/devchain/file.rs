//! The chain's file: frames of length, CRC-32C and payload, appended and never changed.
//!
//! A frame is written before its block is acknowledged, with one `write` and a sync, so a killed
//! process loses no accepted block. What a crash can leave is an incomplete last frame; it is cut
//! off when the file is opened. Damage anywhere else is not repaired but reported.
//!
//! Knows nothing of what blocks mean.

use super::error::DevChainError;
use bitcoin::BlockHash;
use bitcoin::hashes::Hash;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of length and checksum before a payload.
const HEAD_BYTES: u64 = 8;
/// The largest payload: a block of 4,000,000 weight units is at most 4 MB, and a kind byte.
const MAX_PAYLOAD_BYTES: u32 = 4_000_100;
/// The largest chain: the index and the coins are in memory, in proportion to the file; at a
/// block of 1 kB every 20 seconds this is fifteen years.
pub(crate) const MAX_CHAIN_BYTES: u64 = 1 << 33;

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The rules the chain was made with; the first frame.
    Rules(String),
    /// A block.
    Block(Vec<u8>),
    /// A block was declared invalid by the operator.
    Invalidate(BlockHash),
    /// That was taken back.
    Reconsider(BlockHash),
}

/// Where a block's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    offset: u64,
    len: u32,
}

/// The open file; the lock on it is held as long as this lives.
pub(crate) struct ChainFile {
    file: File,
    path: PathBuf,
    end: u64,
    broken: bool,
}

impl ChainFile {
    /// Opens or creates the file and hands every whole frame, with where its content is, to
    /// `each`, oldest first.
    pub(crate) fn open(
        path: &Path,
        mut each: impl FnMut(Frame, Spot) -> Result<(), DevChainError>,
    ) -> Result<ChainFile, DevChainError> {
        let io = |what| {
            let path = path.to_owned();
            move |source| DevChainError::Io { what, path, source }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("opening"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DevChainError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io("locking")(source)),
        }
        let size = file.metadata().map_err(io("reading"))?.len();
        let mut reader = BufReader::new(&file);
        let mut end = 0;
        while end < size {
            match next_frame(&mut reader, size - end).map_err(io("reading"))? {
                Read1::Frame(frame, len) => {
                    let spot = Spot { offset: end + HEAD_BYTES + 1, len: len - 1 };
                    each(frame, spot)?;
                    end += HEAD_BYTES + u64::from(len);
                }
                Read1::Torn => break,
                Read1::Damaged(what) => {
                    let path = path.to_owned();
                    return Err(DevChainError::Damaged { path, offset: end, what: what.into() });
                }
            }
        }
        if end < size {
            tracing::warn!(path = %path.display(), at = end, cut = size - end, "torn tail cut off");
            file.set_len(end).map_err(io("cutting"))?;
            file.sync_data().map_err(io("syncing"))?;
        }
        Ok(ChainFile { file, path: path.to_owned(), end, broken: false })
    }

    /// Bytes in the file.
    pub(crate) const fn size(&self) -> u64 {
        self.end
    }

    /// Appends a frame; `sync` waits until the disk has it.
    pub(crate) fn append(&mut self, frame: &Frame, sync: bool) -> Result<Spot, DevChainError> {
        if self.broken {
            return Err(DevChainError::Broken);
        }
        let bytes = encode(frame);
        let new_end = self.end + bytes.len() as u64;
        if new_end > MAX_CHAIN_BYTES {
            return Err(DevChainError::Full { limit: MAX_CHAIN_BYTES });
        }
        let written = self
            .file
            .write_all_at(&bytes, self.end)
            .and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        if let Err(source) = written {
            // What is there of the frame must not stand before a later one.
            self.broken = self.file.set_len(self.end).is_err();
            return Err(DevChainError::Io { what: "writing", path: self.path.clone(), source });
        }
        let len = u32::try_from(bytes.len() as u64 - HEAD_BYTES - 1).unwrap_or(u32::MAX);
        let spot = Spot { offset: self.end + HEAD_BYTES + 1, len };
        self.end = new_end;
        Ok(spot)
    }

    /// Waits until the disk has all of it.
    pub(crate) fn sync(&self) -> Result<(), DevChainError> {
        let path = self.path.clone();
        (&self.file)
            .flush()
            .and_then(|()| self.file.sync_data())
            .map_err(|source| DevChainError::Io { what: "syncing", path, source })
    }

    /// Reads back what [`ChainFile::append`] wrote.
    pub(crate) fn read(&self, spot: Spot) -> Result<Vec<u8>, DevChainError> {
        let mut bytes = vec![0u8; spot.len as usize];
        self.file.read_exact_at(&mut bytes, spot.offset).map_err(|source| DevChainError::Io {
            what: "reading",
            path: self.path.clone(),
            source,
        })?;
        Ok(bytes)
    }

    /// The file's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

enum Read1 {
    Frame(Frame, u32),
    Torn,
    Damaged(&'static str),
}

fn next_frame(reader: &mut impl Read, left: u64) -> std::io::Result<Read1> {
    if left < HEAD_BYTES {
        return Ok(Read1::Torn);
    }
    let mut head = [0u8; 8];
    reader.read_exact(&mut head)?;
    let [a, b, c, d, e, f, g, h] = head;
    let (len, crc) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    if len == 0 {
        // A file grown but not filled before the power went.
        let mut rest = Vec::new();
        reader.take(u64::from(MAX_PAYLOAD_BYTES)).read_to_end(&mut rest)?;
        let empty = crc == 0 && rest.iter().all(|&b| b == 0);
        return Ok(if empty { Read1::Torn } else { Read1::Damaged("an empty frame") });
    }
    if len > MAX_PAYLOAD_BYTES {
        return Ok(Read1::Damaged("a frame longer than any block"));
    }
    if HEAD_BYTES + u64::from(len) > left {
        return Ok(Read1::Torn);
    }
    let mut payload = vec![0u8; len as usize];
    match reader.read_exact(&mut payload) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(Read1::Torn),
        Err(e) => return Err(e),
    }
    if crc32c::crc32c(&payload) != crc {
        let last = HEAD_BYTES + u64::from(len) == left;
        return Ok(if last { Read1::Torn } else { Read1::Damaged("checksum mismatch") });
    }
    Ok(decode(&payload)
        .map_or(Read1::Damaged("an unknown frame"), |frame| Read1::Frame(frame, len)))
}

fn encode(frame: &Frame) -> Vec<u8> {
    let (kind, body): (u8, &[u8]) = match frame {
        Frame::Rules(text) => (0, text.as_bytes()),
        Frame::Block(bytes) => (1, bytes),
        Frame::Invalidate(hash) => (2, hash.as_byte_array()),
        Frame::Reconsider(hash) => (3, hash.as_byte_array()),
    };
    let mut payload = Vec::with_capacity(body.len() + 9);
    let len = u32::try_from(body.len() + 1).unwrap_or(u32::MAX);
    payload.extend_from_slice(&len.to_le_bytes());
    payload.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&[kind]), body).to_le_bytes());
    payload.push(kind);
    payload.extend_from_slice(body);
    payload
}

fn decode(payload: &[u8]) -> Option<Frame> {
    let (&kind, body) = payload.split_first()?;
    match kind {
        0 => String::from_utf8(body.to_vec()).ok().map(Frame::Rules),
        1 => Some(Frame::Block(body.to_vec())),
        2 => BlockHash::from_slice(body).ok().map(Frame::Invalidate),
        3 => BlockHash::from_slice(body).ok().map(Frame::Reconsider),
        _ => None,
    }
}
