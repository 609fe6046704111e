//! The folders in which bank statements are laid.
//!
//! Files are only read: which were taken, the books know. A file that cannot be read is told once and tried
//! again when it has changed, so that one that is still being written does no harm. What this must not know:
//! what stands in a statement.

use gruve_treasury::bank::FILE_BYTES_MAX;
use gruve_treasury::{Imported, Treasury};
use std::collections::{HashMap, HashSet};
use std::io;
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
    let mut missing: HashSet<&Path> = HashSet::new();
    loop {
        for folder in &folders {
            let files = match listed(folder).await {
                Ok(files) => {
                    missing.remove(folder.as_path());
                    files
                }
                Err(error) => {
                    if missing.insert(folder) {
                        let folder = folder.display();
                        tracing::warn!(%folder, %error, "no bank statements can be read; trying again");
                    }
                    continue;
                }
            };
            for (file, look) in files {
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

/// How often places to pay at other services are looked at.
const POLL_EVERY: Duration = Duration::from_secs(20);

/// Looks at invoices that are being paid elsewhere, until the house stops: webhooks may be lost.
pub(super) async fn poll_checkouts(
    treasury: Treasury,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        if let Err(error) = treasury.poll_checkouts().await {
            tracing::warn!(%error, "payments elsewhere are not looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_EVERY) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
    }
}

/// The statements in a folder, by name.
async fn listed(folder: &Path) -> io::Result<Vec<(PathBuf, Look)>> {
    let mut files = Vec::new();
    let mut entries = tokio::fs::read_dir(folder).await?;
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
    Ok(files.split_off(old))
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

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_store::Store;
    use gruve_store::testing::on_sqlite;
    use gruve_treasury::{BankAccount, Seed, TreasuryConfig};
    use gruve_units::{Asset, SystemClock, SystemEntropy};
    use std::sync::Arc;

    const STATEMENT: &str = "<Document><BkToCstmrStmt><Stmt><Id>1</Id><Acct><Id>\
        <IBAN>DE89370400440532013000</IBAN></Id></Acct><Ntry><Amt Ccy=\"EUR\">7.00</Amt>\
        <CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-20</Dt></BookgDt>\
        <AcctSvcrRef>a</AcctSvcrRef></Ntry></Stmt></BkToCstmrStmt></Document>";

    async fn treasury(store: &Store) -> Treasury {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
        let config = TreasuryConfig::new(Seed::from_bytes([1; 32])).with_bank(BankAccount {
            asset: Asset::Eur,
            iban: "DE89370400440532013000".to_owned(),
            holder: "Example Mining".to_owned(),
            bic: None,
            open_for: Duration::from_secs(1),
        });
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Treasury::new(store.clone(), clock, entropy, config).unwrap()
    }

    async fn a_statement_is_taken_when_it_is_whole_and_other_files_are_left_alone(store: Store) {
        let treasury = treasury(&store).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.XML");
        std::fs::write(&file, &STATEMENT[..100]).unwrap();
        std::fs::write(folder.path().join("a.pdf"), STATEMENT).unwrap();
        let found = listed(folder.path()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert!(take(&treasury, &file).await, "it is not read again as it is");
        assert_eq!(treasury.count_bank_entries_waiting().await.unwrap(), 0);
        std::fs::write(&file, STATEMENT).unwrap();
        assert_ne!(listed(folder.path()).await.unwrap(), found, "it looks different now");
        assert!(take(&treasury, &file).await);
        assert_eq!(treasury.count_bank_entries_waiting().await.unwrap(), 1);
        assert!(import_file(&treasury, &file).await.unwrap().is_known);
        assert!(listed(&folder.path().join("nowhere")).await.is_err());
    }

    #[test]
    fn a_folder_is_read() {
        on_sqlite(a_statement_is_taken_when_it_is_whole_and_other_files_are_left_alone);
    }
}
