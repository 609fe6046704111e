//! `gruve admin export` and `import`: the books of all rooms as a file, and into an empty database of either engine.
//!
//! The file is one state of the database, also while the house runs. What is kept beside the database (share logs,
//! the wallets' seed, keys) is copied with the data folder, not by this.

use crate::house::{StartError, has_tables};
use crate::serve::read_config;
use gruve_store::transfer::{self, Transferred};
use gruve_store::{Migration, Store, StoreError, Tx};
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// All rooms with tables, in the order in which the house makes them.
pub const ROOMS: [(&str, &[Migration]); 24] = [
    ("ledger", gruve_ledger::MIGRATIONS),
    ("treasury", gruve_treasury::MIGRATIONS),
    ("accounts", gruve_accounts::MIGRATIONS),
    ("accounts_passkeys", gruve_accounts::PASSKEY_MIGRATIONS),
    ("accounts_closings", gruve_accounts::CLOSING_MIGRATIONS),
    ("farm", gruve_farm::MIGRATIONS),
    ("farm_luck", gruve_farm::LUCK_MIGRATIONS),
    ("farm_days", gruve_farm::DAY_MIGRATIONS),
    ("market", gruve_market::MIGRATIONS),
    ("market_chain", gruve_market::CHAIN_MIGRATIONS),
    ("market_metered", gruve_market::METERED_MIGRATIONS),
    ("market_pages", gruve_market::PAGE_MIGRATIONS),
    ("market_papers", gruve_market::PAPER_MIGRATIONS),
    ("market_life", gruve_market::LIFE_MIGRATIONS),
    ("market_bulk", gruve_market::BULK_MIGRATIONS),
    ("market_happenings", gruve_market::HAPPENING_MIGRATIONS),
    ("market_record", gruve_market::RECORD_MIGRATIONS),
    ("market_offers", gruve_market::OFFER_MIGRATIONS),
    ("hosting", gruve_hosting::MIGRATIONS),
    ("web", gruve_web::MIGRATIONS),
    ("web_watch", gruve_web::WATCH_MIGRATIONS),
    ("web_reviews", gruve_web::REVIEW_MIGRATIONS),
    ("web_once", gruve_web::ONCE_MIGRATIONS),
    ("web_webhooks", gruve_web::WEBHOOK_MIGRATIONS),
];

/// What a transfer came to.
struct Done {
    transferred: Transferred,
    journal_head: [u8; 32],
    entries: u64,
}

/// Writes the books into a new file, readable by its owner only: addresses and password hashes are in it.
///
/// # Errors
/// When the file is there, the database cannot be read, or the journal does not hold.
pub async fn export(config: PathBuf, file: PathBuf) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let store = Store::open(&config.database_url()).await.map_err(|e| e.to_string())?;
    let done = export_store(&store, &file).await;
    store.close().await;
    tell("wrote", &file, &done?);
    Ok(ExitCode::SUCCESS)
}

/// Reads a file into the configuration's database, which must have no tables.
///
/// # Errors
/// When it has some, the file is damaged or another version's, or the journal does not hold. Nothing is kept then.
pub async fn import(config: PathBuf, file: PathBuf) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let store = Store::open(&config.database_url()).await.map_err(|e| e.to_string())?;
    let done = import_store(&store, &file).await;
    store.close().await;
    tell("read", &file, &done?);
    Ok(ExitCode::SUCCESS)
}

fn tell(did: &str, file: &Path, done: &Done) {
    let rows: u64 = done.transferred.rows.values().sum();
    let tables = done.transferred.rows.len();
    println!("{did} {}: {rows} rows of {tables} tables", file.display());
    println!("journal: {} entries, head {}", done.entries, hex::encode(done.journal_head));
}

async fn export_store(store: &Store, file: &Path) -> Result<Done, String> {
    let mut options = std::fs::OpenOptions::new();
    let out = options.write(true).create_new(true).mode(0o600).open(file);
    let out = out.map_err(|e| format!("{}: {e}", file.display()))?;
    let done = write_books(store, BufWriter::new(out)).await;
    if done.is_err() {
        // Half a file would be taken for a whole one by its name. It was made here.
        let _ = std::fs::remove_file(file);
    }
    done
}

async fn write_books(store: &Store, mut out: BufWriter<std::fs::File>) -> Result<Done, String> {
    if !has_tables(store).await.map_err(|e| e.to_string())? {
        return Err("the database is empty: is database.url, or house.data, right?".into());
    }
    let mut tx = store.read().await.map_err(|e| e.to_string())?;
    if let Some(room) = unknown_room(&mut tx).await.map_err(|e| e.to_string())? {
        return Err(StartError::Newer(room).to_string());
    }
    let transferred = transfer::export(&mut tx, &mut out).await.map_err(|e| e.to_string())?;
    let (journal_head, entries) = audited(&mut tx).await?;
    out.flush().map_err(|e| e.to_string())?;
    out.get_ref().sync_all().map_err(|e| e.to_string())?;
    Ok(Done { transferred, journal_head, entries })
}

/// A room that a database has tables of and this program does not know: a newer one made them. What it booked there
/// would be missed here, and a file of it could not be read back.
pub(crate) async fn unknown_room(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    let sql = "SELECT DISTINCT room FROM store_migrations ORDER BY room";
    for row in tx.fetch_all(sql, &[]).await? {
        let room: String = row.get("room")?;
        if !ROOMS.iter().any(|(name, _)| *name == room) {
            return Ok(Some(room));
        }
    }
    Ok(None)
}

async fn import_store(store: &Store, file: &Path) -> Result<Done, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", file.display());
    let mut input = BufReader::new(std::fs::File::open(file).map_err(failed)?);
    for (room, migrations) in ROOMS {
        store.migrate(room, migrations).await.map_err(|e| e.to_string())?;
    }
    let mut tx = store.begin().await.map_err(|e| e.to_string())?;
    let read = transfer::import(&mut tx, &mut input).await.map_err(|e| e.to_string())?;
    let there = transfer::count_rows(&mut tx).await.map_err(|e| e.to_string())?;
    if there != read {
        return Err("the database does not have the rows of the file".into());
    }
    let (journal_head, entries) = audited(&mut tx).await?;
    tx.commit().await.map_err(|e| e.to_string())?;
    Ok(Done { transferred: read, journal_head, entries })
}

/// The journal's head as recomputed from its entries, and their number.
async fn audited(tx: &mut Tx) -> Result<([u8; 32], u64), String> {
    let report = gruve_ledger::audit(tx).await.map_err(|e| e.to_string())?;
    match report.findings.first() {
        None => Ok((report.head, report.entries)),
        Some(finding) => Err(format!("the journal does not hold: {finding}")),
    }
}

#[cfg(test)]
mod tests;
