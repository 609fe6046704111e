//! A draft becomes a statement.

use super::draft::{ENTRY_FILE, RESERVES_FILE, tree_file};
use super::{Desk, at, cold};
use gruve_market::MarketError;
use gruve_market::funds::{last_statement, put_statement};
use gruve_proof::funds::FundsEntry;
use gruve_proof::log::Entry;
use gruve_proof::publish::DataFolder;
use gruve_proof::reserves::Reserves;
use gruve_store::transact;
use std::fs;
use std::path::Path;

impl Desk {
    /// Publishes the draft; its number.
    pub(super) async fn publish(&self, signatures: Option<&Path>) -> Result<u64, String> {
        let (mut entry, mut reserves) = self.read_draft()?;
        if self.is_written_down(&entry).await? {
            // The process was stopped between the two.
            self.discard()?;
            return Ok(entry.statement);
        }
        if let Some(path) = signatures {
            cold::fill_in(&mut reserves, &self.origin, path)?;
        }
        let open = cold::unsigned(&reserves, &self.origin).len();
        if open > 0 {
            return Err(format!("{open} scripts are not signed yet; give --signatures"));
        }
        let bytes = reserves.to_bytes();
        Reserves::parse(&bytes).map_err(|e| format!("the reserves cannot be written: {e}"))?;
        reserves.check(&self.origin, &entry).map_err(|e| e.to_string())?;
        let public = DataFolder::open(&self.places.public).map_err(|e| e.to_string())?;
        entry.reserves = public.put(&bytes).map_err(|e| e.to_string())?;
        if entry.canonical().len() > gruve_proof::tiles::ENTRY_MAX {
            return Err("the statement is too long for the log".to_owned());
        }
        self.keep_trees(&entry)?;
        self.write_down(&entry).await?;
        self.discard()?;
        Ok(entry.statement)
    }

    async fn is_written_down(&self, draft: &FundsEntry) -> Result<bool, String> {
        let mut tx = self.store.read().await.map_err(|e| e.to_string())?;
        let last = last_statement(&mut tx).await.map_err(|e| e.to_string())?;
        tx.rollback().await.map_err(|e| e.to_string())?;
        Ok(last.is_some_and(|last| last.statement >= draft.statement))
    }

    async fn write_down(&self, entry: &FundsEntry) -> Result<(), String> {
        let written = async {
            transact!(self.store, tx -> Result<(), MarketError> => { put_statement(tx, entry).await })
        };
        written.await.map_err(|e| e.to_string())
    }

    pub(super) fn read_draft(&self) -> Result<(FundsEntry, Reserves), String> {
        let path = self.places.draft.join(ENTRY_FILE);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let Ok(Entry::Funds(entry)) = Entry::parse(&bytes) else {
            return Err(format!("{}: not a draft", path.display()));
        };
        let path = self.places.draft.join(RESERVES_FILE);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let reserves = Reserves::parse(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((*entry, reserves))
    }

    /// Moves the draft's trees to where proofs are made from. Done again after a crash it finds them there.
    fn keep_trees(&self, entry: &FundsEntry) -> Result<(), String> {
        let kept = &self.places.kept;
        fs::create_dir_all(kept).map_err(at(kept))?;
        for a in &entry.assets {
            let (from, to) =
                (self.places.draft.join(tree_file(&a.asset)), kept.join(hex::encode(a.owed.hash)));
            if from.exists() || !to.exists() {
                fs::File::open(&from).and_then(|f| f.sync_all()).map_err(at(&from))?;
                fs::rename(&from, &to).map_err(at(&to))?;
            }
        }
        fs::File::open(kept).and_then(|d| d.sync_all()).map_err(at(kept))
    }
}
