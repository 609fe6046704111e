//! The folders in which bank statements are laid.
//!
//! Files are only read: which were taken, the books know. A file that cannot be read is told once and tried
//! again when it has changed, so that one that is still being written does no harm. What this must not know:
//! what stands in a statement.

use gruve_treasury::bank::FILE_BYTES_MAX;
use gruve_treasury::{Imported, Treasury};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How often a folder is looked into: statements come once a day.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Files of a folder that are looked at: ten years of daily statements. Above that the newest names count.
const FILES_MAX: usize = 4_000;

/// What a file looked like when it was last read.
type Look = (u64, Option<SystemTime>);

/// Takes what is laid into the folders until the house stops.
pub(super) async fn watch_folders(
    treasury: Treasury,
    folders: Vec<PathBuf>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    if folders.is_empty() {
        return Ok(());
    }
    let mut read: HashMap<PathBuf, Look> = HashMap::new();
    loop {
        for folder in &folders {
            for (file, look) in listed(folder).await {
                if read.get(&file) == Some(&look) {
                    continue;
                }
                if take(&treasury, &file).await {
                    read.insert(file, look);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

/// The statements in a folder, by name.
async fn listed(folder: &Path) -> Vec<(PathBuf, Look)> {
    let mut files = Vec::new();
    let mut entries = match tokio::fs::read_dir(folder).await {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "no bank statements can be read");
            return files;
        }
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let path = entry.path();
        let is_xml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("xml"));
        if let Ok(about) = entry.metadata().await
            && is_xml
            && about.is_file()
        {
            files.push((path, (about.len(), about.modified().ok())));
        }
    }
    files.sort();
    let old = files.len().saturating_sub(FILES_MAX);
    files.split_off(old)
}

/// Takes a file; whether it need not be looked at again as it is.
async fn take(treasury: &Treasury, file: &Path) -> bool {
    match import_file(treasury, file).await {
        Ok(done) => {
            if !done.is_known {
                tracing::info!(
                    file = %file.display(), matched = done.matched, waiting = done.waiting,
                    known = done.known, failed = done.failed.len(), "bank statement read"
                );
            }
            done.failed.is_empty()
        }
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "bank statement not taken");
            true
        }
    }
}

/// Reads a file and takes its entries.
///
/// # Errors
/// In words, when it is no statement of an account of ours, or cannot be read.
pub async fn import_file(treasury: &Treasury, file: &Path) -> Result<Imported, String> {
    let size = tokio::fs::metadata(file).await.map_err(|e| e.to_string())?.len();
    if size > FILE_BYTES_MAX as u64 {
        return Err(format!("it is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let bytes = tokio::fs::read(file).await.map_err(|e| e.to_string())?;
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    treasury.import_statement(&name, &bytes).await.map_err(|e| e.to_string())
}
