//! Reading the folder at start: checks the last segment and cuts its torn tail. Of the closed ones only
//! the summary is read (see [`crate::summary`]); one without a summary that fits is read and checked whole
//! and gets one. What is wrong inside a closed segment is told by who reads it.

use crate::frame::{self, FRAME_HEADER, FRAME_MAGIC, Format, SEGMENT_HEADER};
use crate::records::Cursor;
use crate::{LogError, Position, Record, summary};
use gruve_units::{EpochNumber, JobId, Timestamp};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What the records so far add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sealed: Option<EpochNumber>,
    pub(crate) last_job: Option<JobId>,
    /// The latest time of a job or a seal.
    pub(crate) latest: Option<Timestamp>,
    /// Found blocks without an outcome, by hash, and where they stand.
    pub(crate) unconfirmed: BTreeMap<[u8; 32], Position>,
}

impl Tally {
    pub(crate) fn note(&mut self, at: Position, record: &Record) {
        match record {
            Record::Job(j) => self.note_job(j.job, j.issued_at),
            Record::EthWork(w) => self.note_job(w.job, w.issued_at),
            Record::Block(b) => {
                self.unconfirmed.entry(b.block_hash).or_insert(at);
            }
            Record::AuxBlock(b) => {
                self.unconfirmed.entry(b.found.block_hash).or_insert(at);
            }
            Record::BlockOutcome { block_hash, .. } => {
                self.unconfirmed.remove(block_hash);
            }
            Record::Seal { epoch, at } => {
                self.sealed = self.sealed.max(Some(*epoch));
                self.latest = self.latest.max(Some(*at));
            }
            Record::Share(_) | Record::AuxJob(_) => {}
        }
    }

    fn note_job(&mut self, job: JobId, at: Timestamp) {
        self.last_job = self.last_job.max(Some(job));
        self.latest = self.latest.max(Some(at));
    }
}

/// The folder as found and mended.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tally: Tally,
    pub(crate) first_segment: u64,
    pub(crate) file: File,
    pub(crate) end: Position,
    /// What the last segment may hold.
    pub(crate) format: Format,
}

pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.seg"))
}

pub(crate) fn io<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> LogError + 'a {
    move |source| LogError::Io { doing, path: path.to_owned(), source }
}

/// Writes a new segment aside and renames it, so that its header is never torn.
pub(crate) fn create_segment(
    dir: &Path,
    number: u64,
    sealed: Option<EpochNumber>,
) -> Result<File, LogError> {
    let aside = dir.join("next.tmp");
    let file = create_aside(&aside, number, sealed)?;
    put_in_place(dir, number, &aside)?;
    sync_dir(dir)?;
    Ok(file)
}

/// Writes the beginning of a segment to a file of its own, which counts for nothing yet; it is on the disk then.
pub(crate) fn create_aside(
    aside: &Path,
    number: u64,
    sealed: Option<EpochNumber>,
) -> Result<File, LogError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(aside)
        .map_err(io("creating", aside))?;
    file.write_all(&frame::segment_header(number, sealed, Format::Short))
        .map_err(io("writing", aside))?;
    file.sync_all().map_err(io("syncing", aside))?;
    Ok(file)
}

/// Makes it the segment; that it is one is on the disk after [`sync_dir`].
pub(crate) fn put_in_place(dir: &Path, number: u64, aside: &Path) -> Result<(), LogError> {
    fs::rename(aside, segment_path(dir, number)).map_err(io("renaming", aside))
}

pub(crate) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(io("syncing", dir))
}

fn segment_numbers(dir: &Path) -> Result<Vec<u64>, LogError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io("listing", dir))? {
        let name = entry.map_err(io("listing", dir))?.file_name();
        if let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".seg"))
            && stem.len() == 20
            && let Ok(n) = stem.parse()
        {
            numbers.push(n);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn recover(dir: &Path) -> Result<Recovered, LogError> {
    let numbers = segment_numbers(dir)?;
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else {
        let file = create_segment(dir, 1, None)?;
        let end = Position { segment: 1, offset: SEGMENT_HEADER as u64 };
        let (tally, format) = (Tally::default(), Format::Short);
        return Ok(Recovered { tally, first_segment: 1, file, end, format });
    };
    let mut tally = Tally::default();
    let (mut end, mut format) = (Position::START, Format::Whole);
    let mut is_torn = false;
    for (number, expected) in numbers.iter().copied().zip(first..) {
        let path = segment_path(dir, expected);
        if number != expected {
            return Err(LogError::Damaged { path, offset: 0, what: "the segment is missing" });
        }
        if number != last
            && let Some(known) = summary::load(dir, number)
        {
            tally = known;
            continue;
        }
        let bytes = fs::read(&path).map_err(io("reading", &path))?;
        let found = bytes.len() as u64;
        if number != last && summary::length_when_closed(dir, number).is_some_and(|l| found < l) {
            let what = "the segment is shorter than it was when it was closed";
            return Err(LogError::Damaged { path, offset: found, what });
        }
        (end, format) = scan(&path, number, &bytes, number == last, &mut tally)?;
        // Zeros are room that the last life had made (see `room`).
        let behind = usize::try_from(end.offset).ok().and_then(|at| bytes.get(at..));
        is_torn = behind.is_some_and(|rest| rest.iter().any(|b| *b != 0));
        if number != last {
            summarise(dir, number, &tally);
        }
    }
    let path = segment_path(dir, last);
    let file =
        OpenOptions::new().read(true).write(true).open(&path).map_err(io("opening", &path))?;
    let found = file.metadata().map_err(io("reading", &path))?.len();
    if found > end.offset {
        if is_torn {
            tracing::warn!(path = %path.display(), at = end.offset, bytes = found - end.offset,
                "cut a torn tail off the share log");
        }
        file.set_len(end.offset).map_err(io("cutting", &path))?;
    }
    // What the last life wrote may not be synced yet; from here on it counts as synced.
    file.sync_all().map_err(io("syncing", &path))?;
    Ok(Recovered { tally, first_segment: first, file, end, format })
}

/// Gives a closed segment its summary. Without one the next start reads the segment: no reason to
/// stop.
fn summarise(dir: &Path, number: u64, tally: &Tally) {
    let path = segment_path(dir, number);
    let stored = File::open(&path)
        .map_err(io("opening", &path))
        .and_then(|file| summary::store(dir, number, &file, tally));
    if let Err(e) = stored {
        tracing::warn!(error = %e, "a segment of the share log has no summary");
    }
}

/// Reads one segment; gives the end of its whole frames, and what it may hold.
fn scan(
    path: &Path,
    number: u64,
    bytes: &[u8],
    is_last: bool,
    tally: &mut Tally,
) -> Result<(Position, Format), LogError> {
    let damaged = |offset: u64, what| LogError::Damaged { path: path.to_owned(), offset, what };
    let (sealed, format) =
        frame::check_segment_header(bytes, number).map_err(|what| damaged(0, what))?;
    tally.sealed = tally.sealed.max(sealed);
    let mut at = SEGMENT_HEADER;
    while at < bytes.len() {
        let offset = at as u64;
        let frame = match frame::parse(&bytes[at..], number, offset) {
            Ok(frame) => frame,
            Err(what) if !is_last || synced_after(bytes, at, number) => {
                return Err(damaged(offset, what));
            }
            Err(_) => break,
        };
        let mut cursor = Cursor::default();
        loop {
            let here = offset + (FRAME_HEADER + cursor.at()) as u64;
            let one = cursor.next(frame.payload).map_err(|what| damaged(here, what))?;
            let Some((distance, record)) = one else { break };
            let place = Position {
                segment: number,
                offset: if distance == FRAME_HEADER { offset } else { here },
            };
            tally.note(place, &record);
        }
        at += FRAME_HEADER + frame.payload.len();
    }
    Ok((Position { segment: number, offset: at as u64 }, format))
}

/// Whether a later whole frame knows that the byte at `bad` had been synced: then it is not a torn
/// tail but damage.
fn synced_after(bytes: &[u8], bad: usize, number: u64) -> bool {
    let mut at = bad + 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| rest.windows(FRAME_MAGIC.len()).position(|w| w == FRAME_MAGIC))
    {
        at += found;
        if let Ok(frame) = frame::parse(&bytes[at..], number, at as u64)
            && frame.synced > bad as u64
        {
            return true;
        }
        at += 1;
    }
    false
}
