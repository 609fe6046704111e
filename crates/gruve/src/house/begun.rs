//! Whether a folder has a house, and whether the database is that house's.
//!
//! A wrong path, or a disk that is not mounted, must not become another, empty house with keys of its own beside the
//! one that there is: its wallet would take money that no book tells of.

use super::error::StartError;
use super::files::{FileError, Folder};
use crate::books::unknown_room;
use crate::config::{Config, LaneConfig, NetworkConfig};
use gruve_store::{Engine, Store, StoreError};
use gruve_units::Asset;
use std::path::Path;

/// The wallets' secret, in the data folder.
pub(super) const SEED_FILE: &str = "wallet.seed";

/// The key in every stamp, in the data folder.
pub(super) const OPERATOR_FILE: &str = "operator.key";

/// A coin of a main network whose keys come from the house's own seed, where the operator has not said that this may lie
/// on the disk as it is.
pub(crate) fn real_coin(config: &Config) -> Option<Asset> {
    if config.keys.plain_on_mainnet {
        return None;
    }
    let is_real = |network: &NetworkConfig| matches!(network, NetworkConfig::Mainnet);
    let lanes = config.lanes.iter().filter(|lane| is_real(&lane.network));
    let mined = lanes
        .flat_map(|lane| std::iter::once(lane.asset).chain(lane.aux.iter().map(|aux| aux.asset)));
    let paid_in = config.pay_in_chains.iter().filter(|chain| is_real(&chain.network));
    let here = |asset: &Asset| config.signers.iter().all(|signer| signer.asset != *asset);
    mined.chain(paid_in.map(|chain| chain.asset)).find(here)
}

/// Finds the house in a folder, for commands that must not make one.
///
/// # Errors
/// [`StartError::NoHouse`]; [`StartError::File`] when the folder cannot be looked into.
pub(super) fn find(data: &Path) -> Result<(), StartError> {
    // Either alone will do: a key may be lost (`gruve admin rotate-key`), or kept elsewhere.
    for file in [SEED_FILE, OPERATOR_FILE] {
        if is_there(&data.join(file))? {
            return Ok(());
        }
    }
    Err(StartError::NoHouse(data.to_owned()))
}

/// Holds folder and database against each other, before anything is made in either.
///
/// # Errors
/// [`StartError::NoBooks`] when the folder had a database and this one is empty, [`StartError::Newer`] when a later
/// version made tables in it, [`StartError::NoSeed`] when it has books and the folder not the keys to their coins.
pub(super) async fn compare(
    config: &Config,
    folder: &Folder,
    store: &Store,
) -> Result<(), StartError> {
    let has_books = has_tables(store).await?;
    if folder.has_books() && !has_books {
        return Err(StartError::NoBooks(config.house.data.clone()));
    }
    if has_books && let Some(room) = unknown_room(&mut store.read().await?).await? {
        return Err(StartError::Newer(room));
    }
    if has_books && needs_seed(config) && !is_there(&folder.join(SEED_FILE))? {
        return Err(StartError::NoSeed(config.house.data.clone()));
    }
    Ok(())
}

/// Whether any coin is signed for with the seed: one whose keys are all elsewhere may have left this machine.
fn needs_seed(config: &Config) -> bool {
    let is_elsewhere = |asset: Asset| config.signers.iter().any(|s| s.asset == asset);
    let assets = |lane: &LaneConfig| {
        std::iter::once(lane.asset).chain(lane.aux.iter().map(|aux| aux.asset)).collect::<Vec<_>>()
    };
    !config.pay_in_chains.is_empty()
        || config.lanes.iter().flat_map(assets).any(|asset| !is_elsewhere(asset))
}

/// Whether any room has made tables in a database.
///
/// # Errors
/// When it cannot be asked.
pub(crate) async fn has_tables(store: &Store) -> Result<bool, StoreError> {
    let sql = match store.engine() {
        Engine::Sqlite => {
            "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'store_migrations'"
        }
        Engine::Postgres => {
            "SELECT COUNT(*) AS n FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_name = 'store_migrations'"
        }
    };
    let mut tx = store.read().await?;
    let row = tx.fetch_one(sql, &[]).await?;
    Ok(row.get::<i64>("n")? > 0)
}

pub(super) fn is_there(path: &Path) -> Result<bool, FileError> {
    path.try_exists().map_err(|source| FileError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
