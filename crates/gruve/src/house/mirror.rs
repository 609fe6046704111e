//! The public record copied to where the public reads it: another folder, or a bucket of any S3-compatible service.
//!
//! The folder of the house stays the first: it is written and synced before an epoch is closed. This follows it through
//! the `object_store` crate, as late as it must, and can be pointed anywhere at any time. Promises: what a head stands for
//! is there before the head is; files that are there stay; a head is never replaced by one that it is not a beginning of.

use super::receipts::{RecordShelf, Snapshot};
use crate::config::MirrorConfig;
use gruve_proof::acceptance::{FOLDER, LEAVES, range_path, read_range};
use gruve_proof::note::{Checkpoint, NOTE_BYTES_MAX};
use gruve_proof::publish::{CHECKPOINT_FILE, KEY_FILE};
use gruve_units::LaneId;
use object_store::path::Path as Place;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

/// Files up to this size go in one request, longer ones in pieces of it: no more of a file is in memory.
const PIECE_BYTES: usize = 8 << 20;
/// How long until a place that could not be reached is tried again.
const AGAIN: Duration = Duration::from_secs(15);

/// Why a copy is not made.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The place holds another history.
    #[error(
        "{0} holds a public record that is not this one's beginning; it is left alone: give the mirror an empty place"
    )]
    Contradicts(String),
    /// It cannot be used now.
    #[error("{0}")]
    Store(#[from] object_store::Error),
    /// The house's own folder.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
}

/// A copy of the record.
pub struct Mirror {
    store: Arc<dyn ObjectStore>,
    prefix: Place,
    shelf: Arc<RecordShelf>,
    /// Entries whose files are there, once that is known.
    done: Option<u64>,
    /// The last acceptance note of each lane that was copied in this life.
    accepted: BTreeMap<String, u64>,
}

impl Mirror {
    /// As configured.
    ///
    /// # Errors
    /// In words, when the place cannot be opened.
    pub fn open(config: &MirrorConfig, shelf: Arc<RecordShelf>) -> Result<Mirror, String> {
        let (store, prefix) = super::bucket::open(config)?;
        Ok(Mirror { store, prefix, shelf, done: None, accepted: BTreeMap::new() })
    }

    /// Copies whatever is published and not there yet.
    ///
    /// # Errors
    /// [`MirrorError`]; all but [`MirrorError::Contradicts`] may pass by themselves.
    pub async fn catch_up(&mut self) -> Result<(), MirrorError> {
        // Before the publisher has read the log in, any head would seem to contradict it.
        if *self.shelf.published().borrow() == 0 {
            return Ok(());
        }
        let done = match self.done {
            Some(done) => done,
            None => self.is_there().await?,
        };
        self.copy_accepted().await?;
        let (shelf, from) = (self.shelf.clone(), done);
        let snapshot = tokio::task::spawn_blocking(move || shelf.since(from)).await;
        let snapshot: Snapshot = snapshot.map_err(std::io::Error::other)??;
        if snapshot.size == done {
            self.done = Some(done);
            return Ok(());
        }
        for file in snapshot.data.iter().chain(&snapshot.log) {
            self.copy(file).await?;
        }
        self.copy(KEY_FILE).await?;
        let head = PutPayload::from(snapshot.note.into_bytes());
        self.store.put(&self.place(CHECKPOINT_FILE), head).await?;
        self.done = Some(snapshot.size);
        Ok(())
    }

    /// Copies what gateways signed for since the last time. Notes go from the house's folder after a day; here they stay.
    async fn copy_accepted(&mut self) -> Result<(), MirrorError> {
        let mut lanes = match tokio::fs::read_dir(self.shelf.path(FOLDER)).await {
            Ok(lanes) => lanes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        while let Some(lane) = lanes.next_entry().await? {
            let Ok(lane) = lane.file_name().to_string_lossy().parse::<LaneId>() else { continue };
            let path = range_path(&lane);
            let text = tokio::fs::read_to_string(self.shelf.path(&path)).await.unwrap_or_default();
            let Some((first, last)) = read_range(&text) else { continue };
            let done = self.accepted.get(lane.as_str()).copied().unwrap_or(0);
            if done == last {
                continue;
            }
            for number in first.max(done + 1)..=last {
                // The leaves first, as they are written. The oldest may go while this looks at them.
                for file in [format!("{number}{LEAVES}"), number.to_string()] {
                    match self.copy(&format!("{FOLDER}/{lane}/{file}")).await {
                        Err(MirrorError::Folder(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                        }
                        copied => copied?,
                    }
                }
            }
            let told = PutPayload::from(text.into_bytes());
            self.store.put(&self.place(&path), told).await?;
            self.accepted.insert(lane.to_string(), last);
        }
        Ok(())
    }

    fn place(&self, file: &str) -> Place {
        Place::from(format!("{}/{file}", self.prefix))
    }

    /// How many entries are there already.
    async fn is_there(&self) -> Result<u64, MirrorError> {
        let head = match self.store.get(&self.place(CHECKPOINT_FILE)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(0),
            Err(e) => return Err(e.into()),
        };
        let text = std::str::from_utf8(&head).ok().filter(|t| t.len() <= NOTE_BYTES_MAX);
        let other = text.and_then(|t| Checkpoint::read(t).ok());
        let other = other.filter(|o| self.shelf.has_beginning(o));
        let contradicts = || MirrorError::Contradicts(self.store.to_string());
        Ok(other.ok_or_else(contradicts)?.size)
    }

    /// Copies a file of the house's folder; one that never changes and is there stays.
    async fn copy(&self, file: &str) -> Result<(), MirrorError> {
        let (path, place) = (self.shelf.path(file), self.place(file));
        let size = tokio::fs::metadata(&path).await?.len();
        if let Ok(found) = self.store.head(&place).await
            && found.size == size
            && (file.starts_with("data/") || file.starts_with(FOLDER))
        {
            return Ok(());
        }
        if size <= PIECE_BYTES as u64 {
            let bytes = tokio::fs::read(&path).await?;
            self.store.put(&place, PutPayload::from(bytes)).await?;
            return Ok(());
        }
        self.copy_in_pieces(&path, &place).await
    }

    async fn copy_in_pieces(&self, path: &Path, place: &Place) -> Result<(), MirrorError> {
        let upload = self.store.put_multipart(place).await?;
        let mut to = WriteMultipart::new_with_chunk_size(upload, PIECE_BYTES);
        let mut from = tokio::fs::File::open(path).await?;
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            if (&mut from).take(PIECE_BYTES as u64).read_to_end(&mut piece).await? == 0 {
                break;
            }
            to.wait_for_capacity(1).await?;
            to.write(&piece);
        }
        to.finish().await?;
        Ok(())
    }
}

/// Follows what is published until stopped, or until the place is found to hold another history.
///
/// # Errors
/// None: the form is that of the house's parts.
pub async fn run(mut mirror: Mirror, mut stopped: watch::Receiver<bool>) -> Result<(), String> {
    let mut published = mirror.shelf.published();
    let over = async move { drop(stopped.wait_for(|s| *s).await) };
    tokio::pin!(over);
    loop {
        published.mark_unchanged();
        let wait = match mirror.catch_up().await {
            Ok(()) => None,
            Err(error @ MirrorError::Contradicts(_)) => {
                // The house's own record is sound: it goes on, without this copy, until somebody decides.
                tracing::error!(%error, "the public record is not copied");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(%error, "the public record is not copied; trying again");
                mirror.done = None;
                Some(AGAIN)
            }
        };
        tokio::select! {
            biased;
            () = &mut over => return Ok(()),
            changed = published.changed(), if wait.is_none() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

#[cfg(test)]
mod tests;
