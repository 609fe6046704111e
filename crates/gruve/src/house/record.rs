//! The public record of a running house: files as epochs close, log and checkpoint behind them.

use super::in_block::{InBlock, house_fee};
use super::receipts::RecordShelf;
use super::witnesses;
use super::{Parts, StartError, begun, keys, lane, nodes};
use crate::config::Config;
use ed25519_dalek::SigningKey;
use gruve_chain::Family;
use gruve_market::opened::Sampling;
use gruve_market::{Market, RecordSink};
use gruve_proof::acceptance::{Acceptance, AcceptedRange};
use gruve_proof::note::NoteKey;
use gruve_proof::places::{HouseFee, PLACES_MAX, Places};
use gruve_proof::publish::{self, Cosign, DataFolder, PublishError, Publisher, data_path};
use gruve_proof::summary::FileRef;
use gruve_treasury::Treasury;
use gruve_units::LaneId;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long until a folder that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// What makes the salts of sold trees, in the data folder.
const SALT_FILE: &str = "record.salt";

/// Where the private parts of sold trees are kept, in the data folder.
const KEPT_FOLDER: &str = "receipts";

/// The public folder of a house.
pub struct Publishing {
    folder: PathBuf,
    data: DataFolder,
    /// What receipts are made of.
    kept: PathBuf,
    shelf: Arc<RecordShelf>,
    origin: String,
    key: SigningKey,
    secret: [u8; 32],
    sampling: BTreeMap<LaneId, Sampling>,
    /// The house's place for the blocks of each stamped lane, and its fee of those that pay owners.
    places: BTreeMap<LaneId, (Vec<u8>, HouseFee)>,
    /// Whether files may be lost for good.
    lost_files: bool,
    /// Owners' places.
    in_block: Arc<InBlock>,
    witnesses: Arc<dyn Cosign>,
    grown: Notify,
}

impl Publishing {
    /// The record for pages and receipts.
    #[must_use]
    pub fn shelf(&self) -> Arc<RecordShelf> {
        self.shelf.clone()
    }

    /// The log's name.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Where its public files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn open_acceptance(&self, note: &str) -> Option<Acceptance> {
        let key = NoteKey::new(&self.origin, self.key.verifying_key().to_bytes())?;
        Acceptance::open(note, &key).ok()
    }

    pub(super) fn sign_acceptance(&self, accepted: &Acceptance) -> String {
        accepted.sign(&self.key)
    }

    pub(super) fn sign_accepted_range(&self, range: &AcceptedRange) -> String {
        range.sign(&self.key)
    }
}

impl RecordSink for Publishing {
    fn put(&self, bytes: &[u8]) -> Result<FileRef, String> {
        self.data.put(bytes).map_err(|e| e.to_string())
    }

    fn keep(&self, sold: &FileRef, bytes: &[u8]) -> Result<(), String> {
        publish::put(&self.kept, &hex::encode(sold.hash), bytes).map_err(|e| e.to_string())
    }

    /// In the data folder: what goes through it is as large as what is published of an epoch, and part of it private.
    fn scratch(&self) -> Result<File, String> {
        publish::scratch(&self.kept).map_err(|e| format!("{}: {e}", self.kept.display()))
    }

    fn put_from(&self, file: &mut File) -> Result<FileRef, String> {
        self.data.put_from(file).map_err(|e| e.to_string())
    }

    fn keep_from(&self, sold: &FileRef, file: &mut File) -> Result<(), String> {
        publish::put_from(&self.kept, &hex::encode(sold.hash), file).map_err(|e| e.to_string())
    }

    fn read(&self, file: &FileRef) -> Result<Vec<u8>, String> {
        let path = self.folder.join(data_path(&file.hash));
        fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
    }

    fn is_lost(&self, file: &FileRef) -> bool {
        let path = self.folder.join(data_path(&file.hash));
        self.lost_files && path.try_exists().is_ok_and(|is_there| !is_there)
    }

    fn places(&self, lane: &LaneId) -> Option<Places> {
        let (house, fee) = self.places.get(lane)?;
        let own = self.in_block.places(lane);
        let own = own.iter().map(|(owner, payees)| (*owner, payees));
        // Owners' places are few, and beyond what the list holds beside the house's none are added.
        let house = Places::new(lane, [(None, house.as_slice())])?;
        let places = house.paying(own.take(PLACES_MAX - 1))?;
        // Of a fee of all there is nothing for owners, and there are none.
        places.clone().charging(*fee).or(Some(places))
    }

    fn secret(&self) -> [u8; 32] {
        self.secret
    }

    fn sampling(&self, lane: &LaneId) -> Sampling {
        self.sampling.get(lane).copied().unwrap_or_default()
    }

    fn grown(&self) {
        self.grown.notify_one();
    }
}

/// The folder that a configuration names.
#[must_use]
pub fn folder_of(config: &Config) -> PathBuf {
    config.record.folder.clone().unwrap_or_else(|| config.house.data.join("record"))
}

/// Opens the public folder and has the market publish to it; begins the log if there is none.
///
/// # Errors
/// When the folder cannot be used or lacks what the log names, or the log was begun with another key or name.
pub async fn open(
    config: &Config,
    parts: &Parts,
    key: SigningKey,
) -> Result<Arc<Publishing>, StartError> {
    let Parts { folder, market, treasury, entropy, in_block, .. } = parts;
    let origin = config.house.origin.clone();
    let public = folder_of(config);
    keys::begin(config, &key, market).await?;
    look_for_files(&public, market, config.record.lost_files).await?;
    let (secret, kept) = (folder.secret(SALT_FILE, entropy.as_ref())?, folder.join(KEPT_FOLDER));
    let shelf = RecordShelf::new(public.clone(), kept.clone(), origin.clone(), secret);
    let record = Arc::new(Publishing {
        data: DataFolder::open(&public)?,
        folder: public,
        kept,
        shelf: Arc::new(shelf),
        origin,
        key,
        secret,
        sampling: sampling(config)?,
        places: places(config, treasury)?,
        lost_files: config.record.lost_files,
        in_block: in_block.clone(),
        witnesses: witnesses::open(&config.record).map_err(StartError::Witnesses)?,
        grown: Notify::new(),
    });
    if record.lost_files {
        // A list of places that is as it was need not stay lost.
        for lane in &market.config().lanes {
            if let Some(places) = record.places(&lane.lane) {
                record.data.put(&places.encode())?;
            }
        }
    }
    market.publish_to(record.clone());
    Ok(record)
}

/// Sees that the files are there which the log's newest entries name: nothing makes them again, and without the lists of places
/// among them no epoch can be closed. A log without epochs names none.
async fn look_for_files(
    public: &Path,
    market: &Market,
    may_be_lost: bool,
) -> Result<(), StartError> {
    for lane in &market.config().lanes {
        let mut lost = 0_u64;
        for (epoch, file) in market.newest_files(&lane.lane).await? {
            let path = public.join(data_path(&file.hash));
            if begun::is_there(&path)? {
                continue;
            }
            if !may_be_lost {
                let (folder, lane) = (public.to_owned(), lane.lane.clone());
                return Err(StartError::RecordGone { folder, path, lane, epoch });
            }
            lost += 1;
        }
        if lost > 0 {
            tracing::warn!(lane = %lane.lane, lost, "files that the newest entries of the public log name are lost");
        }
    }
    Ok(())
}

/// Where the rewards of each stamped lane go: to the house's wallet.
fn places(
    config: &Config,
    treasury: &Treasury,
) -> Result<BTreeMap<LaneId, (Vec<u8>, HouseFee)>, StartError> {
    let mut all = BTreeMap::new();
    for lane in &config.lanes {
        let params = nodes::chain_params(lane)?;
        let is_account = params.family() == Family::Ethash;
        let script = match is_account {
            // The node makes the header, and the stamp in it makes the lane provable.
            true if !lane::stamps_headers(lane)? => continue,
            true => treasury.hot_address(lane.asset)?.0.to_vec(),
            false => treasury.coinbase_script(lane.asset)?,
        };
        // There the node makes the blocks, and none pays an owner.
        let fee = match is_account {
            true => HouseFee::default(),
            false => house_fee(&params, lane.outside_fee_bps),
        };
        all.insert(lane.id.clone(), (script, fee));
    }
    Ok(all)
}

/// What is wanted of each stamped lane's shares.
fn sampling(config: &Config) -> Result<BTreeMap<LaneId, Sampling>, StartError> {
    let shares_min = config.record.shares_min;
    let mut all = BTreeMap::new();
    for lane in &config.lanes {
        let one_class = lane::stamps_headers(lane)?.then(|| lane::first(lane)).transpose()?;
        let shares_max = config.record.opened_at_most(one_class.is_some());
        if shares_min > 0 || shares_max > 0 || one_class.is_some() {
            let class_min = lane::easiest(lane)?;
            let wanted = Sampling { class_min, shares_min, shares_max, one_class };
            all.insert(lane.id.clone(), wanted);
        }
    }
    Ok(all)
}

/// Publishes entries as they come, until stopped.
///
/// # Errors
/// When the folder holds another history: nothing is signed then.
pub async fn run(
    record: Arc<Publishing>,
    market: Market,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let over = async move { drop(stopped.wait_for(|s| *s).await) };
    tokio::pin!(over);
    let mut publisher = None;
    loop {
        let step = publish(&record, &market, &mut publisher).await;
        let wait = match step {
            Ok(()) => None,
            Err(Failure::Fatal(why)) => return Err(why),
            Err(Failure::Again(why)) => {
                tracing::warn!("the public log is not written: {why}; trying again");
                publisher = None;
                Some(AGAIN)
            }
        };
        tokio::select! {
            biased;
            () = &mut over => {
                // What is closed by now is published before the end, if it can be.
                let _ = publish(&record, &market, &mut publisher).await;
                return Ok(());
            }
            () = record.grown.notified(), if wait.is_none() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

enum Failure {
    /// Another history.
    Fatal(String),
    /// Disk or database.
    Again(String),
}

async fn publish(
    record: &Arc<Publishing>,
    market: &Market,
    publisher: &mut Option<Publisher>,
) -> Result<(), Failure> {
    let again = |e: &dyn std::fmt::Display| Failure::Again(e.to_string());
    let (from, own) = match publisher.take() {
        Some(own) => (own.size(), Some(own)),
        None => (0, None),
    };
    market.place_entries().await.map_err(|e| again(&e))?;
    let mut entries = Vec::new();
    loop {
        let some = market.log_entries(from + entries.len() as u64).await.map_err(|e| again(&e))?;
        if some.is_empty() {
            break;
        }
        entries.extend(some);
    }
    let record = record.clone();
    let written = tokio::task::spawn_blocking(move || write(&record, own, &entries)).await;
    *publisher = Some(written.map_err(|e| again(&e))?.map_err(|e| match e {
        PublishError::Io { .. } => Failure::Again(e.to_string()),
        other => Failure::Fatal(other.to_string()),
    })?);
    Ok(())
}

fn write(
    record: &Publishing,
    own: Option<Publisher>,
    entries: &[Vec<u8>],
) -> Result<Publisher, PublishError> {
    let folder: &Path = &record.folder;
    let from = own.as_ref().map_or(0, Publisher::size);
    let own = match own {
        None => Publisher::open_with(
            folder,
            &record.origin,
            record.key.clone(),
            record.witnesses.clone(),
            entries,
        ),
        Some(mut own) => own.append(entries).map(|()| own),
    }?;
    let taken = record.shelf.take(from, entries);
    taken.map_err(|source| PublishError::Io { path: folder.to_owned(), source })?;
    Ok(own)
}
