//! What writes: frames, rotation, syncs. One at a time, under one lock.

use crate::ahead::Ahead;
use crate::cost::Cost;
use crate::frame::{self, FRAME_HEADER, Format, MAX_FRAME_BYTES, SEGMENT_HEADER};
use crate::log::Options;
use crate::recovery::{Recovered, Tally, create_segment, io, segment_path};
use crate::room::Room;
use crate::sync::SyncBell;
use crate::{LogError, Position, Record, codec, counts_in, records, summary};
use gruve_units::{Histogram, TIME_BOUNDS_NS};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What is under the writer's lock.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) file: Arc<File>,
    /// Where the next frame goes.
    pub(crate) end: Position,
    /// How far the file may be written without asking for room.
    pub(crate) room_end: u64,
    /// What the segment may hold: one that an earlier version of the program began is ended in its form.
    pub(crate) format: Format,
    pub(crate) tally: Tally,
    /// The frame being built; kept for its capacity.
    pub(crate) buf: Vec<u8>,
    /// Set by a failure that leaves the file in an unknown state.
    pub(crate) stopped: Option<&'static str>,
    /// Bytes a write may still take, for tests of the full disk.
    #[cfg(test)]
    pub(crate) disk_left: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Synced {
    pub(crate) position: Position,
    pub(crate) failed: bool,
}

/// What handles, readers and the sync thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) end: watch::Sender<Position>,
    pub(crate) synced: watch::Sender<Synced>,
    pub(crate) bell: SyncBell,
    pub(crate) room: Room,
    pub(crate) ahead: Ahead,
    /// How long syncs took.
    pub(crate) sync_times: Histogram,
    pub(crate) cost: Cost,
    pub(crate) first_segment: AtomicU64,
}

impl Shared {
    /// Of a log as it was found.
    pub(crate) fn begin(dir: &Path, options: Options, found: Recovered) -> Shared {
        let file = Arc::new(found.file);
        Shared {
            dir: dir.to_owned(),
            options,
            room: Room::new(&file, found.end.offset),
            writer: Mutex::new(Writer {
                file,
                end: found.end,
                room_end: found.end.offset,
                format: found.format,
                tally: found.tally,
                buf: Vec::new(),
                stopped: None,
                #[cfg(test)]
                disk_left: None,
            }),
            end: watch::Sender::new(found.end),
            synced: watch::Sender::new(Synced { position: found.end, failed: false }),
            bell: SyncBell::default(),
            ahead: Ahead::default(),
            sync_times: Histogram::new(TIME_BOUNDS_NS),
            cost: Cost::default(),
            first_segment: AtomicU64::new(found.first_segment),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Writer> {
        // A panic under the lock would have been between whole steps: the state is still true.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(&self) -> Position {
        let segment = self.first_segment.load(Ordering::SeqCst);
        Position { segment, offset: SEGMENT_HEADER as u64 }
    }

    pub(crate) fn append(&self, records: &[Record]) -> Result<Position, LogError> {
        let mut w = self.lock();
        for record in records {
            match record {
                Record::Share(s) if counts_in(w.tally.sealed, s.epoch).is_none() => {
                    return Err(LogError::Sealed(s.epoch));
                }
                Record::Seal { .. } => return Err(LogError::SealInAppend),
                _ => {}
            }
        }
        self.write_records(&mut w, records)
    }

    pub(crate) fn write_records(
        &self,
        w: &mut Writer,
        records: &[Record],
    ) -> Result<Position, LogError> {
        let mut buf = std::mem::take(&mut w.buf);
        frame::begin(&mut buf);
        let mut distances = Vec::with_capacity(records.len());
        let mut before = None;
        for record in records {
            distances.push(if buf.len() == FRAME_HEADER { 0 } else { buf.len() as u64 });
            if let Record::Share(share) = record {
                records::push_share(&mut buf, before.filter(|_| w.is_short()), share);
                before = Some(share);
            } else {
                frame::push_record(&mut buf, |out| codec::encode(record, out));
            }
        }
        let result = self.write(w, &mut buf);
        let frame_bytes = buf.len() as u64;
        w.buf = buf;
        let end = result?;
        for (record, distance) in records.iter().zip(distances) {
            let offset = end.offset - frame_bytes + distance;
            w.tally.note(Position { segment: end.segment, offset }, record);
        }
        Ok(end)
    }

    /// Writes the frame in `buf` at the end, in one write; gives the end after it.
    pub(crate) fn write(&self, w: &mut Writer, buf: &mut [u8]) -> Result<Position, LogError> {
        if let Some(why) = w.stopped {
            return Err(LogError::Stopped(why));
        }
        if buf.len() == FRAME_HEADER {
            return Ok(w.end);
        }
        if buf.len() - FRAME_HEADER > MAX_FRAME_BYTES {
            return Err(LogError::TooLarge {
                bytes: buf.len() - FRAME_HEADER,
                limit: MAX_FRAME_BYTES,
            });
        }
        if w.end.offset >= self.options.segment_bytes && w.end.offset > SEGMENT_HEADER as u64 {
            self.rotate(w)?;
        }
        let synced = self.synced.borrow().position;
        let synced = if synced.segment == w.end.segment { synced.offset } else { 0 };
        frame::finish(buf, w.end.segment, w.end.offset, synced);
        let to = w.end.offset + buf.len() as u64;
        if to > w.room_end {
            w.room_end = self.room.reach(to);
        }
        if let Err(source) = w.put(buf) {
            let path = segment_path(&self.dir, w.end.segment);
            w.room_end = w.end.offset;
            if self.room.cut(w.end.offset).is_err() {
                w.stopped = Some("cut after a failed write");
            }
            return Err(LogError::Io { doing: "writing", path, source });
        }
        w.end.offset = to;
        let is_first = self.bell.dirty();
        self.end.send_if_modified(|end| {
            *end = w.end;
            is_first
        });
        Ok(w.end)
    }

    /// Closes the segment (synced: only the last one may ever be torn) and begins the next.
    fn rotate(&self, w: &mut Writer) -> Result<(), LogError> {
        let path = segment_path(&self.dir, w.end.segment);
        // Its length is what readers go by from now on.
        w.room_end = w.end.offset;
        self.room.cut(w.end.offset).map_err(io("cutting", &path))?;
        if let Err(source) = w.file.sync_all() {
            // After a failed sync nobody can tell what the disk holds.
            self.fail(w);
            return Err(LogError::Io { doing: "syncing", path, source });
        }
        if let Err(e) = self.ahead.see_to_name(&self.dir) {
            self.fail(w);
            return Err(e);
        }
        let (number, sealed) = (w.end.segment + 1, w.tally.sealed);
        let file = match self.ahead.take(&self.dir, number, sealed)? {
            Some(file) => file,
            None => create_segment(&self.dir, number, sealed)?,
        };
        if let Err(e) = summary::store(&self.dir, w.end.segment, &w.file, &w.tally) {
            tracing::warn!(error = %e, "a segment of the share log has no summary");
        }
        w.file = Arc::new(file);
        w.format = Format::Short;
        w.end = Position { segment: number, offset: SEGMENT_HEADER as u64 };
        w.room_end = w.end.offset;
        self.room.begin(&w.file, w.room_end);
        self.note_synced(w.end);
        Ok(())
    }

    fn note_synced(&self, position: Position) {
        self.synced.send_if_modified(|s| {
            let later = position > s.position;
            if later {
                s.position = position;
            }
            later
        });
    }

    fn fail(&self, w: &mut Writer) {
        w.stopped = Some("sync");
        self.synced.send_modify(|s| s.failed = true);
    }

    /// Wakes who waits for more: see [`ShareLog::wait_past`].
    pub(crate) fn tell_readers(&self) {
        self.end.send_modify(|_| {});
    }

    /// Nothing more will be written: a log at rest ends with its last frame.
    pub(crate) fn rest(&self) {
        let w = self.lock();
        // Left as it is, the next start cuts it.
        let _ = self.room.cut(w.end.offset);
    }

    /// Makes the next segment when it will soon be needed.
    pub(crate) fn look_ahead(&self) {
        let (end, sealed) = {
            let w = self.lock();
            (w.end, w.tally.sealed)
        };
        if Ahead::is_due(end.offset, self.options.segment_bytes) {
            self.ahead.make(&self.dir, end.segment + 1, sealed);
        }
    }

    /// Syncs what is written so far, and makes room for what will be.
    pub(crate) fn sync_now(&self) -> Result<(), LogError> {
        // A log that takes nothing more may still have what nobody has synced yet, and somebody waits for it:
        // only after a failed sync there is nothing to be done.
        let (file, end) = {
            let w = self.lock();
            (Arc::clone(&w.file), w.end)
        };
        let synced = *self.synced.borrow();
        if synced.failed {
            return Err(LogError::Stopped("sync"));
        }
        if synced.position >= end {
            return Ok(());
        }
        let before =
            if synced.position.segment == end.segment { synced.position.offset } else { 0 };
        let most = self.options.segment_bytes;
        self.room.make(&file, end.offset, end.offset - before, most);
        let begun = std::time::Instant::now();
        let done = file.sync_data().map_err(io("syncing", &self.dir));
        // What is in a segment is on the disk when its name is, too.
        let done = done.and_then(|()| self.ahead.see_to_name(&self.dir));
        self.sync_times.add_time(begun.elapsed());
        if let Err(e) = done {
            tracing::error!(error = %e, "the share log cannot be synced");
            self.fail(&mut self.lock());
            return Err(LogError::Stopped("sync"));
        }
        self.note_synced(end);
        Ok(())
    }
}

impl Writer {
    pub(crate) fn is_short(&self) -> bool {
        self.format == Format::Short
    }

    fn put(&self, buf: &[u8]) -> std::io::Result<()> {
        #[cfg(test)]
        if let Some(left) = self.disk_left
            && left < buf.len() as u64
        {
            let part = usize::try_from(left).unwrap_or(usize::MAX);
            self.file.write_all_at(&buf[..part], self.end.offset)?;
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        // One `pwrite` takes it whole; more only follow when the kernel took a part.
        self.file.write_all_at(buf, self.end.offset)
    }
}
