//! Receipts: made from the public files and what is kept beside them, when a customer asks.

use gruve_proof::log::Entry;
use gruve_proof::merkle::{GrownTree, leaf_hash};
use gruve_proof::note::{Checkpoint, NoteKey};
use gruve_proof::publish::{CHECKPOINT_FILE, data_path};
use gruve_proof::receipt::{Receipt, Sibling};
use gruve_proof::sold::{self, Private};
use gruve_proof::summary::EpochSummary;
use gruve_proof::tiles::{self, WIDTH};
use gruve_units::{EpochNumber, LaneId};
use gruve_web::{PublicRecord, ReceiptOf, Receipts};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use tokio::sync::watch;

/// What is published and not copied elsewhere yet.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Entries.
    pub(super) size: u64,
    /// The signed head.
    pub(super) note: String,
    /// Records and sold trees of entries since.
    pub(super) data: Vec<String>,
    /// Tiles and bundles that changed since.
    pub(super) log: Vec<String>,
}

/// What is published of the log, for finding and proving entries.
#[derive(Debug, Default)]
struct Published {
    tree: GrownTree,
    places: BTreeMap<(LaneId, EpochNumber), u64>,
    /// The signed head that the tree is of.
    note: String,
    keys: Vec<String>,
    /// Entries behind the last full bundle.
    tail: Vec<Vec<u8>>,
}

/// The public record of this house, as pages and receipts need it.
#[derive(Debug)]
pub struct RecordShelf {
    folder: PathBuf,
    kept: PathBuf,
    origin: String,
    secret: [u8; 32],
    published: RwLock<Published>,
    /// Entries that are published, for whoever follows.
    grown: watch::Sender<u64>,
}

impl RecordShelf {
    pub(super) fn new(
        folder: PathBuf,
        kept: PathBuf,
        origin: String,
        secret: [u8; 32],
    ) -> RecordShelf {
        let published = RwLock::default();
        RecordShelf { folder, kept, origin, secret, published, grown: watch::Sender::new(0) }
    }

    /// Takes what was published: entries from place `from` on, and the checkpoint in the folder.
    pub(super) fn take(&self, from: u64, entries: &[Vec<u8>]) -> io::Result<()> {
        let note = std::fs::read_to_string(self.folder.join(CHECKPOINT_FILE))?;
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if from == 0 {
            *published = Published::default();
        }
        for (at, bytes) in (from..).zip(entries) {
            published.tree.push(leaf_hash(bytes));
            published.tail.push(bytes.clone());
            if (published.tree.size() as u64).is_multiple_of(WIDTH) {
                published.tail.clear();
            }
            let key = match Entry::parse(bytes) {
                Ok(Entry::Epoch(s)) => {
                    published.places.insert((s.lane, s.epoch), at);
                    continue;
                }
                Ok(Entry::Funds(_)) => continue,
                Ok(Entry::Head(head)) => head.operator_key,
                Ok(Entry::Keys(change)) => change.to,
                Err(e) => return Err(io::Error::other(e.to_string())),
            };
            let key = NoteKey { name: self.origin.clone(), key };
            // A change counts for what stands behind it.
            published.keys.push(if at == 0 {
                key.to_string()
            } else {
                format!("{key} {}", at + 1)
            });
        }
        published.note = note;
        self.grown.send_replace(published.tree.size() as u64);
        Ok(())
    }

    /// Tells when more is published.
    pub(super) fn published(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Where a file of the record stands.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Whether this log begins as another head says.
    pub(super) fn has_beginning(&self, other: &Checkpoint) -> bool {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let root = usize::try_from(other.size).ok().and_then(|n| published.tree.root_of_first(n));
        other.origin == self.origin && root == Some(other.root)
    }

    /// The files that entries from place `from` on brought or changed.
    pub(super) fn since(&self, from: u64) -> io::Result<Snapshot> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let size = published.tree.size() as u64;
        let (mut data, mut log, mut cache) = (Vec::new(), Vec::new(), (None, Vec::new()));
        for at in from..size {
            let files = match Entry::parse(&self.entry(&published, at, &mut cache)?) {
                Ok(Entry::Epoch(s)) => vec![s.record, s.sold, s.places],
                Ok(Entry::Funds(f)) => vec![f.reserves],
                _ => continue,
            };
            data.extend(files.iter().filter(|f| f.bytes > 0).map(|f| data_path(&f.hash)));
        }
        let (mut count, mut before, mut level) = (size, from, 0);
        while count > 0 {
            for (n, width) in
                tiles::pieces(count).into_iter().filter(|(n, w)| n * WIDTH + w > before)
            {
                log.push(tiles::tile_path(level, n, width));
                if level == 0 {
                    log.push(tiles::bundle_path(n, width));
                }
            }
            (count, before, level) = (count / WIDTH, before / WIDTH, level + 1);
        }
        Ok(Snapshot { size, note: published.note.clone(), data, log })
    }

    /// An entry's bytes: from the public files, or, of the bundle that is not full, from memory. Publishing replaces
    /// that bundle's file while receipts are made.
    fn entry(&self, published: &Published, at: u64, cache: &mut Bundle) -> io::Result<Vec<u8>> {
        let n = at / WIDTH;
        let within = usize::try_from(at % WIDTH).unwrap_or(usize::MAX);
        let entries = if n < published.tree.size() as u64 / WIDTH {
            if cache.0 != Some(n) {
                let bytes = std::fs::read(self.folder.join(tiles::bundle_path(n, WIDTH)))?;
                let entries = tiles::decode_bundle(&bytes, WIDTH);
                cache.1 = entries.ok_or_else(|| io::Error::other("a bundle of another size"))?;
                cache.0 = Some(n);
            }
            &cache.1
        } else {
            &published.tail
        };
        entries.get(within).cloned().ok_or_else(|| io::Error::other("no such entry"))
    }

    fn receipt(
        &self,
        of: &ReceiptOf,
        published: &Published,
        at: u64,
        cache: &mut Bundle,
    ) -> io::Result<Option<Receipt>> {
        let wrong = |what: &'static str| io::Error::other(what);
        let entry = self.entry(published, at, cache)?;
        let Ok(Entry::Epoch(s)) = Entry::parse(&entry) else {
            return Err(wrong("not an epoch's entry"));
        };
        let open = |path: &Path| -> io::Result<BufReader<File>> {
            // A proof is read in small pieces all over the files.
            Ok(BufReader::with_capacity(4_096, File::open(path)?))
        };
        let mut sold = open(&self.folder.join(data_path(&s.sold.hash)))?;
        let mut kept = open(&self.kept.join(hex::encode(s.sold.hash)))?;
        let Some(found) = sold::find(&mut sold, &mut kept, of.contract)? else { return Ok(None) };
        let private = Private {
            salt: sold::salt(&self.secret, &s.lane, s.epoch, of.contract),
            nonce: of.nonce,
            terms: of.terms,
            units: found.units,
            refund_minor: found.refund_minor,
            refund_asset: of.refund_asset.clone(),
        };
        if private.hash() != found.leaf.private {
            return Err(wrong("what is kept of the contract is not what was published"));
        }
        let index = usize::try_from(at).map_err(|_| wrong("too long a log"))?;
        let proof = published.tree.proof(index).ok_or_else(|| wrong("no such entry"))?;
        Ok(Some(Receipt {
            version: 1,
            origin: self.origin.clone(),
            contract: of.contract,
            kind: found.leaf.kind,
            work: found.leaf.sums,
            entitled: found.leaf.entitled,
            private,
            leaf_index: found.index,
            sold_proof: found
                .proof
                .iter()
                .map(|n| Sibling { sums: n.sums, hash: n.hash })
                .collect(),
            entry: hex::encode(&entry),
            entry_index: at,
            log_proof: proof.iter().map(hex::encode).collect(),
            checkpoint: published.note.clone(),
        }))
    }
}

/// The last full bundle read: its number and entries.
type Bundle = (Option<u64>, Vec<Vec<u8>>);

impl PublicRecord for RecordShelf {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn keys(&self) -> Vec<String> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    fn receipts(
        &self,
        of: &ReceiptOf,
        from: EpochNumber,
        limit: usize,
    ) -> Result<Receipts, String> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let (mut cache, mut receipts) = ((None, Vec::new()), Vec::new());
        let span = (of.lane.clone(), from.max(of.first))..=(of.lane.clone(), EpochNumber(u64::MAX));
        let (mut next, mut looked_at) = (None, 0);
        for ((_, epoch), at) in published.places.range(span) {
            if looked_at == limit {
                next = Some(*epoch);
                break;
            }
            looked_at += 1;
            let one = self.receipt(of, &published, *at, &mut cache);
            receipts.extend(one.map_err(|e| format!("epoch {epoch}: {e}"))?);
        }
        Ok(Receipts { receipts, next })
    }

    fn head(&self) -> String {
        self.published.read().unwrap_or_else(PoisonError::into_inner).note.clone()
    }

    fn node(&self, from: u64, entries: u64) -> Option<[u8; 32]> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.tree.over(usize::try_from(from).ok()?, usize::try_from(entries).ok()?)
    }

    fn epoch(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
    ) -> Result<Option<(u64, EpochSummary)>, String> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = published.places.get(&(lane.clone(), epoch)).copied() else {
            return Ok(None);
        };
        let bytes = self.entry(&published, at, &mut (None, Vec::new()));
        let bytes = bytes.map_err(|e| e.to_string())?;
        match Entry::parse(&bytes) {
            Ok(Entry::Epoch(s)) => Ok(Some((at, *s))),
            _ => Err("not an epoch's entry".to_owned()),
        }
    }

    fn last(&self, lane: &LaneId, limit: usize) -> Vec<EpochNumber> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        let span = (lane.clone(), EpochNumber(0))..=(lane.clone(), EpochNumber(u64::MAX));
        published.places.range(span).rev().take(limit).map(|((_, e), _)| *e).collect()
    }
}
