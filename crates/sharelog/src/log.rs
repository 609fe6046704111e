//! The log as rooms know it: appends, seals, waits, trimming. What writes stands in [`crate::writer`].

use crate::frame::{self, FRAME_HEADER, MAX_FRAME_BYTES};
use crate::recovery::{self, io, segment_path};
use crate::sync;
use crate::writer::{Shared, Synced};
use crate::{
    AuxBlockRecord, BlockRecord, LogError, LogReader, Position, Record, ShareRecord, counts_in,
    records, summary,
};
use gruve_units::{Duration, EpochNumber, HistogramCounts, JobId, Timestamp};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
#[cfg(test)]
use tokio::sync::watch;

/// When an accepted share may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the write; the sync follows within the interval. `kill -9` loses nothing, power loss
    /// at most the interval.
    Group(Duration),
    /// After the sync: wait for [`ShareLog::synced`].
    Fsync,
}

/// How to keep a log.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment that has grown to this size is closed and a new one begun. An append may pass it
    /// by one frame.
    pub segment_bytes: u64,
    /// When shares may be acknowledged.
    pub durability: Durability,
}

impl Default for Options {
    /// 64 MiB (700,000 shares that came alone, some millions that came in crowds; the last one is read whole at start) and 10 ms.
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            durability: Durability::Group(Duration::from_millis(10)),
        }
    }
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Holds the folder's lock.
    _lock: File,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.bell.stop();
        if let Some(thread) = self.thread.take() {
            // The thread only syncs; it cannot be waiting for us.
            let _ = thread.join();
        }
    }
}

/// One lane's log. Cloning is cheap; the last clone (readers count) syncs and closes it.
#[derive(Clone, Debug)]
pub struct ShareLog {
    handle: Arc<Handle>,
}

impl ShareLog {
    /// Opens or begins the log in `dir`, recovering it: the torn tail of the last segment is cut.
    ///
    /// # Errors
    /// [`LogError::InUse`] while another handle writes the folder; [`LogError::Damaged`] where
    /// bytes that had been synced are not what was written.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<ShareLog, LogError> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(io("creating", dir))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(io("creating", &lock_path))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| LogError::InUse(dir.to_owned()))?;
        let found = recovery::recover(dir)?;
        let shared = Arc::new(Shared::begin(dir, options, found));
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sharelog-sync".to_owned())
            .spawn(move || sync::run(&for_thread, options.durability))
            .map_err(io("starting the sync thread for", dir))?;
        Ok(ShareLog { handle: Arc::new(Handle { shared, thread: Some(thread), _lock: lock }) })
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// How this log acknowledges.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared().options.durability
    }

    /// Appends records in one write and makes them visible; gives the end after them.
    ///
    /// # Errors
    /// Nothing is written on any error. [`LogError::Sealed`] when a share comes too late;
    /// [`LogError::SealInAppend`] for a seal; [`LogError::TooLarge`]; [`LogError::Io`] on a full
    /// disk.
    pub fn append(&self, records: &[Record]) -> Result<Position, LogError> {
        self.shared().append(records)
    }

    /// Appends the shares that still count in an epoch ([`crate::counts_in`]), in one write. `accepted` is cleared and
    /// filled with one answer a share.
    ///
    /// # Errors
    /// As [`ShareLog::append`]; then no share was written and none may be acknowledged.
    pub fn append_shares<'a>(
        &self,
        shares: impl IntoIterator<Item = &'a ShareRecord>,
        accepted: &mut Vec<bool>,
    ) -> Result<Position, LogError> {
        accepted.clear();
        let shared = self.shared();
        let begun = shared.cost.begin();
        let mut w = shared.lock();
        let sealed = w.tally.sealed;
        let mut buf = std::mem::take(&mut w.buf);
        frame::begin(&mut buf);
        let mut before = None;
        for share in shares {
            let open = counts_in(sealed, share.epoch).is_some();
            accepted.push(open);
            if open && buf.len() <= MAX_FRAME_BYTES + FRAME_HEADER {
                records::push_share(&mut buf, before.filter(|_| w.is_short()), share);
                before = Some(share);
            }
        }
        let result = shared.write(&mut w, &mut buf);
        w.buf = buf;
        drop(w);
        if result.is_err() {
            accepted.clear();
        }
        shared.cost.appended(begun);
        result
    }

    /// Seals an epoch: a share of it or an earlier one that enters afterwards is late. Doing it again, or for
    /// an earlier epoch, does nothing.
    ///
    /// # Errors
    /// As [`ShareLog::append`].
    pub fn seal(&self, epoch: EpochNumber, at: Timestamp) -> Result<(), LogError> {
        let shared = self.shared();
        let mut w = shared.lock();
        if w.tally.sealed.is_some_and(|s| s >= epoch) {
            return Ok(());
        }
        shared.write_records(&mut w, &[Record::Seal { epoch, at }]).map(|_| ())
    }

    /// The last sealed epoch.
    #[must_use]
    pub fn sealed(&self) -> Option<EpochNumber> {
        self.shared().lock().tally.sealed
    }

    /// The highest job number in the log, so that a new life can go on above it.
    #[must_use]
    pub fn last_job(&self) -> Option<JobId> {
        self.shared().lock().tally.last_job
    }

    /// Where the next record will stand.
    #[must_use]
    pub fn end(&self) -> Position {
        *self.shared().end.borrow()
    }

    /// Where the oldest record held stands.
    #[must_use]
    pub fn start(&self) -> Position {
        self.shared().start()
    }

    /// The same, after the trimming that is under way.
    pub(crate) fn start_when_trimmed(&self) -> Position {
        let shared = self.shared();
        let _trimming_holds_it = shared.lock();
        shared.start()
    }

    /// Waits until everything before `position` is on the disk, and asks for it at once.
    ///
    /// # Errors
    /// [`LogError::Stopped`] when syncing failed.
    pub async fn synced(&self, position: Position) -> Result<(), LogError> {
        let mut seen = self.shared().synced.subscribe();
        let done = |s: &Synced| s.failed || s.position >= position;
        if !done(&seen.borrow_and_update()) {
            self.shared().bell.urgent();
        }
        let failed = seen.wait_for(done).await.map_or(true, |s| s.failed);
        if failed { Err(LogError::Stopped("sync")) } else { Ok(()) }
    }

    /// How long the syncs of this log's life took, nanoseconds each.
    #[must_use]
    pub fn sync_times(&self) -> HistogramCounts {
        self.shared().sync_times.read()
    }

    /// Counts from now on what the log takes of the processor: see [`ShareLog::cost`].
    pub fn count_cost(&self) {
        self.shared().cost.count();
    }

    /// What the log has taken of the processor: appends of shares since [`ShareLog::count_cost`], and the thread that syncs in
    /// all its life, as far as its last sync since then.
    #[must_use]
    pub fn cost(&self) -> (Duration, Duration) {
        self.shared().cost.read()
    }

    /// Waits until there is something at or after `position`. Who waits hears of the first append that a sync owes at
    /// once, and of those behind it with that sync: to be woken for each of a thousand rounds a second costs whoever
    /// appends more than the append.
    pub async fn wait_past(&self, position: Position) {
        let mut seen = self.shared().end.subscribe();
        // The sender lives in the handle that we hold.
        let _ = seen.wait_for(|end| *end > position).await;
    }

    /// A reader from `from`: the position of a record, an end, or [`Position::START`].
    #[must_use]
    pub fn reader(&self, from: Position) -> LogReader {
        LogReader::new(self.clone(), from)
    }

    /// The found blocks whose outcome is not written, oldest first: send them again.
    ///
    /// # Errors
    /// As reading.
    pub fn unconfirmed_blocks(&self) -> Result<Vec<BlockRecord>, LogError> {
        let own = |record| if let Record::Block(block) = record { Some(block) } else { None };
        Ok(self.unconfirmed()?.into_iter().filter_map(own).collect())
    }

    /// As [`ShareLog::unconfirmed_blocks`], of auxiliary chains.
    ///
    /// # Errors
    /// As reading.
    pub fn unconfirmed_aux_blocks(&self) -> Result<Vec<AuxBlockRecord>, LogError> {
        let aux = |record| if let Record::AuxBlock(block) = record { Some(block) } else { None };
        Ok(self.unconfirmed()?.into_iter().filter_map(aux).collect())
    }

    fn unconfirmed(&self) -> Result<Vec<Record>, LogError> {
        let mut places: Vec<Position> =
            self.shared().lock().tally.unconfirmed.values().copied().collect();
        places.sort_unstable();
        let mut blocks = Vec::with_capacity(places.len());
        for place in places {
            match self.reader(place).next()? {
                Some((_, block @ (Record::Block(_) | Record::AuxBlock(_)))) => blocks.push(block),
                _ => return Err(LogError::NoRecord(place)),
            }
        }
        Ok(blocks)
    }

    /// Deletes whole segments before `position`'s. Kept regardless: the last segment, and
    /// everything from the oldest block without an outcome.
    ///
    /// # Errors
    /// [`LogError::Io`]; what was deleted before stays deleted.
    pub fn trim_before(&self, position: Position) -> Result<(), LogError> {
        let shared = self.shared();
        let w = shared.lock();
        let keep_from = w
            .tally
            .unconfirmed
            .values()
            .map(|p| p.segment)
            .fold(position.segment.min(w.end.segment), u64::min);
        let mut first = shared.first_segment.load(Ordering::SeqCst);
        while first < keep_from {
            let path = segment_path(&shared.dir, first);
            // Oldest first, so that a crash between leaves no gap.
            std::fs::remove_file(&path).map_err(io("deleting", &path))?;
            summary::remove(&shared.dir, first);
            first += 1;
            shared.first_segment.store(first, Ordering::SeqCst);
        }
        drop(w);
        recovery::sync_dir(&shared.dir)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.shared().dir
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        segment_path(&self.shared().dir, number)
    }

    /// As after a failed write that could not be cut off.
    #[cfg(test)]
    pub(crate) fn stop_writing(&self) {
        self.shared().lock().stopped = Some("cut after a failed write");
    }

    /// And as if it had never been.
    #[cfg(test)]
    pub(crate) fn go_on_writing(&self) {
        self.shared().lock().stopped = None;
    }

    /// What the thread that syncs does after each sync.
    #[cfg(test)]
    pub(crate) fn look_ahead(&self) {
        self.shared().look_ahead();
    }

    /// What wakes readers that wait.
    #[cfg(test)]
    pub(crate) fn wakes(&self) -> watch::Receiver<Position> {
        self.shared().end.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn owes_name(&self) -> bool {
        self.shared().ahead.owes_name()
    }

    #[cfg(test)]
    pub(crate) fn names_seen_to(&self) -> u32 {
        self.shared().ahead.names_seen_to()
    }

    #[cfg(test)]
    pub(crate) fn leave_on_disk(&self, bytes: Option<u64>) {
        self.shared().lock().disk_left = bytes;
    }
}
