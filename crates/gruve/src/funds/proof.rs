//! A customer's proof, from the public files and the trees kept beside.

use super::Places;
use gruve_proof::Hash;
use gruve_proof::funds::{FundsEntry, OwedProof, OwedSibling};
use gruve_proof::liabilities::{self, Of, Whose};
use gruve_proof::log::Entry;
use gruve_proof::logged::Logged;
use gruve_proof::merkle;
use gruve_proof::note::Checkpoint;
use gruve_proof::publish::CHECKPOINT_FILE;
use gruve_proof::sum_tree::SumNode;
use gruve_proof::tiles;
use gruve_units::AccountId;
use gruve_web::FundsShelf;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What is published of funds. The log is read again only when its checkpoint is another.
#[derive(Debug)]
pub(crate) struct Shelf {
    places: Places,
    secret: [u8; 32],
    seen: Mutex<Option<Arc<Seen>>>,
}

/// The log as it was read.
#[derive(Debug)]
struct Seen {
    note: String,
    leaves: Vec<Hash>,
    /// The last statement: its place, bytes, meaning.
    last: Option<(u64, Vec<u8>, FundsEntry)>,
}

impl Shelf {
    pub(super) fn new(places: Places, secret: [u8; 32]) -> Shelf {
        Shelf { places, secret, seen: Mutex::new(None) }
    }

    /// The log; `None` before it is published.
    fn seen(&self) -> Result<Option<Arc<Seen>>, String> {
        let path = self.places.public.join(CHECKPOINT_FILE);
        let note = match fs::read_to_string(&path) {
            Ok(note) => note,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(super::at(&path)(e)),
        };
        // One at a time: the others then find it read.
        let mut kept = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = kept.as_ref().filter(|seen| seen.note == note) {
            return Ok(Some(seen.clone()));
        }
        match self.read(note) {
            Ok(seen) => Ok(Some(kept.insert(Arc::new(seen)).clone())),
            // The log grows while it is read, and what is overtaken is taken away: what was read before still holds.
            Err(why) => kept.clone().map(Some).ok_or(why),
        }
    }

    fn read(&self, note: String) -> Result<Seen, String> {
        let head = Checkpoint::read(&note).map_err(|e| e.to_string())?;
        let (mut leaves, mut last) = (Vec::new(), None);
        for (n, width) in tiles::pieces(head.size) {
            let path = self.places.public.join(tiles::bundle_path(n, width));
            let bytes = fs::read(&path).map_err(super::at(&path))?;
            let entries = tiles::decode_bundle(&bytes, width)
                .ok_or_else(|| format!("{}: a bundle of another size", path.display()))?;
            for bytes in entries {
                let place = leaves.len() as u64;
                leaves.push(merkle::leaf_hash(&bytes));
                if let Ok(Entry::Funds(entry)) = Entry::parse(&bytes) {
                    last = Some((place, bytes, *entry));
                }
            }
        }
        Ok(Seen { note, leaves, last })
    }

    fn kept(&self, root: &SumNode) -> PathBuf {
        self.places.kept.join(hex::encode(root.hash))
    }
}

impl FundsShelf for Shelf {
    fn last(&self) -> Result<Option<(u64, FundsEntry)>, String> {
        let seen = self.seen()?;
        Ok(seen.and_then(|s| s.last.as_ref().map(|(place, _, entry)| (*place, entry.clone()))))
    }

    fn proof(&self, account: AccountId, asset: &str) -> Result<Option<OwedProof>, String> {
        let Some(seen) = self.seen()? else { return Ok(None) };
        let Some((place, bytes, entry)) = &seen.last else { return Ok(None) };
        let Some(part) = entry.asset(asset) else { return Ok(None) };
        let of = Of { statement: entry.statement, asset };
        let salt = of.salt(&self.secret, &Whose::Customer(account));
        let path = self.kept(&part.owed);
        let file = File::open(&path).map_err(super::at(&path))?;
        // Read in small pieces all over the file.
        let mut kept = BufReader::with_capacity(4_096, file);
        let found = liabilities::find(&mut kept, &of, &salt, account).map_err(super::at(&path))?;
        let Some(found) = found else { return Ok(None) };
        let logged = Logged::new(&seen.leaves, *place, bytes, &seen.note);
        let sibling = |n: &SumNode| OwedSibling { sum: n.sum, hash: n.hash };
        Ok(Some(OwedProof {
            version: 1,
            statement: entry.statement,
            asset: asset.to_owned(),
            account,
            salt,
            owed: found.owed,
            leaf_index: found.index,
            owed_proof: found.proof.iter().map(sibling).collect(),
            logged: logged.ok_or("the public log is cut")?,
        }))
    }
}
