//! Acceptance roots: every minute a lane's gateway signs what it has accepted since the last one.
//!
//! Read from the share log, where a share stands before its miner hears of it. The place up to which was signed is kept
//! in the data folder and written last; a note that stands beyond it after a crash stays as it is. Notes stay for [`KEPT`] numbers, so that whoever asks within a day finds his shares in them and keeps what he
//! needs; they are no part of the record for ever.

use super::record::Publishing;
use gruve_proof::acceptance::{
    Acceptance, AcceptedLeaf, AcceptedRange, FOLDER, LEAVES, LEAVES_MAX, range_path, root,
};
use gruve_proof::merkle;
use gruve_proof::publish::put;
use gruve_proof::share::ShareLeaf;
use gruve_sharelog::{Owner, Position, Record, ShareLog, ShareRecord};
use gruve_units::{Clock, Duration, EpochNumber, EpochRule, LaneId, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// How often; more often only where epochs are shorter.
const EVERY: Duration = Duration::from_secs(60);
/// Notes that stay: a day of minutes.
const KEPT: u64 = 1_440;

/// A lane's gateway, as it signs.
pub(super) struct Signing {
    record: Arc<Publishing>,
    lane: LaneId,
    log: ShareLog,
    rule: EpochRule,
    clock: Arc<dyn Clock>,
    /// Where it is kept how far was signed.
    place: PathBuf,
}

/// How far was signed.
#[derive(Clone, Copy)]
struct Place {
    /// Number of the next note.
    number: u64,
    position: Position,
    at: Timestamp,
}

impl Signing {
    pub(super) fn new(
        record: Arc<Publishing>,
        lane: LaneId,
        log: ShareLog,
        rule: EpochRule,
        clock: Arc<dyn Clock>,
        data: &Path,
    ) -> Signing {
        let place = data.join(place_name(&lane));
        Signing { record, lane, log, rule, clock, place }
    }

    /// Signs until the house stops, and once more then.
    ///
    /// # Errors
    /// None: the form is that of the house's parts.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) -> Result<(), String> {
        let every = EVERY.min(Duration::from_micros(self.rule.length_us));
        if let Err(error) = self.place() {
            tracing::warn!(lane = %self.lane, error, "acceptance roots cannot be signed");
        }
        let own = Arc::new(self);
        loop {
            let is_over = tokio::select! {
                () = tokio::time::sleep(every) => false,
                _ = stopped.wait_for(|s| *s) => true,
            };
            let signing = own.clone();
            let signed = tokio::task::spawn_blocking(move || signing.sign()).await;
            if let Err(error) = signed.map_err(|e| e.to_string()).and_then(|s| s) {
                tracing::warn!(lane = %own.lane, error, "no acceptance root was signed; trying again");
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// Signs what was accepted since the last note, in several where it is much.
    fn sign(&self) -> Result<(), String> {
        let mut place = self.place()?;
        while let Some(next) = self.sign_one(place)? {
            place = next;
        }
        Ok(())
    }

    fn sign_one(&self, from: Place) -> Result<Option<Place>, String> {
        let mut reader = self.log.reader(from.position.max(self.log.start()));
        let (mut leaves, mut oldest, mut newest) = (Vec::new(), None, EpochNumber(0));
        // One that stands already, because a crash came before its place was kept, stays as it is.
        let stands = self.standing(from.number);
        let most = stands.as_ref().map_or(LEAVES_MAX as u64, |own| own.shares);
        while (leaves.len() as u64) < most {
            let next = reader.next().map_err(|e| e.to_string())?;
            let Some((_, record)) = next else { break };
            if let Record::Share(share) = record {
                oldest = Some(oldest.map_or(share.epoch, |o: EpochNumber| o.min(share.epoch)));
                newest = newest.max(share.epoch);
                leaves.push(leaf(&share));
            }
        }
        let Some(oldest) = oldest else { return Ok(None) };
        let now = self.clock.now();
        let next = Place { number: from.number + 1, position: reader.position(), at: now };
        // What is signed must outlive a power cut: else the root of shares that nobody has any more would
        // stand against the house, and the place to go on at in the middle of other records.
        let synced = self.log.synced(next.position);
        tokio::runtime::Handle::current().block_on(synced).map_err(|e| e.to_string())?;
        if stands.is_some() {
            self.keep(next)?;
            return Ok(Some(next));
        }
        // Late work counts in the epoch sealed next.
        let sealed = self.log.sealed().map_or(EpochNumber(0), EpochNumber::next);
        let own = Acceptance {
            has_levels: true,
            origin: self.record.origin().to_owned(),
            lane: self.lane.clone(),
            number: from.number,
            epochs: (oldest, newest.max(sealed).max(self.rule.at(now))),
            time_us: (micros(from.at), micros(now)),
            shares: leaves.len() as u64,
            root: root(&leaves),
        };
        let folder = self.record.folder();
        let said = |e: gruve_proof::publish::PublishError| e.to_string();
        // The leaves first: no root stands without them.
        let bytes: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.to_bytes()).collect();
        put(folder, &format!("{}{LEAVES}", own.path()), &bytes).map_err(said)?;
        put(folder, &own.path(), self.record.sign_acceptance(&own).as_bytes()).map_err(said)?;
        // For whoever cannot list the folder. The first one goes now.
        let first = own.number.saturating_sub(KEPT - 1).max(1);
        let (origin, lane) = (own.origin.clone(), own.lane.clone());
        let range = AcceptedRange { origin, lane, first, last: own.number };
        let range = self.record.sign_accepted_range(&range);
        put(folder, &range_path(&self.lane), range.as_bytes()).map_err(said)?;
        self.keep(next)?;
        self.forget(own.number);
        Ok(Some(next))
    }

    /// The note of a number, where it stands.
    fn standing(&self, number: u64) -> Option<Acceptance> {
        let folder = self.record.folder().join(FOLDER).join(self.lane.as_str());
        let note = std::fs::read_to_string(folder.join(number.to_string())).ok()?;
        self.record.open_acceptance(&note)
    }

    /// How far was signed; a lane without a note begins with what is accepted from now on.
    fn place(&self) -> Result<Place, String> {
        let kept = std::fs::read_to_string(&self.place).unwrap_or_default();
        let (kept, end) = (read(&kept), self.log.end());
        if let Some(place) = kept.filter(|place| place.position <= end) {
            return Ok(place);
        }
        if let Some(place) = kept {
            tracing::warn!(lane = %self.lane, signed = %place.position, %end,
                "the share log ends before what was signed of it: signing goes on at its end");
        }
        let first = begin(kept, end, self.clock.now());
        self.keep(first).map(|()| first)
    }

    fn keep(&self, next: Place) -> Result<(), String> {
        let (segment, offset) = next.position.to_i64s();
        let text = format!("{} {segment} {offset} {}\n", next.number, next.at.0);
        let (folder, name) = (self.place.parent(), self.place.file_name());
        let (Some(folder), Some(name)) = (folder, name.and_then(|n| n.to_str())) else {
            return Err(format!("{}: not a file's path", self.place.display()));
        };
        put(folder, name, text.as_bytes()).map_err(|e| e.to_string())
    }

    /// Removes the note that is too old now.
    fn forget(&self, number: u64) {
        let Some(old) = number.checked_sub(KEPT) else { return };
        let folder = self.record.folder().join(FOLDER).join(self.lane.as_str());
        // The note first: a root without leaves would be one that nobody can check.
        let _ = std::fs::remove_file(folder.join(old.to_string()));
        let _ = std::fs::remove_file(folder.join(format!("{old}{LEAVES}")));
    }
}

/// The file in the data folder that keeps how far was signed of a lane's log.
pub(super) fn place_name(lane: &LaneId) -> String {
    format!("accepted.{lane}")
}

/// The place kept there; nothing where nothing was signed yet, or where that cannot be read: then signing begins at the log's end.
pub(super) fn signed_to(place: &Path) -> Option<Position> {
    read(&std::fs::read_to_string(place).unwrap_or_default()).map(|place| place.position)
}

/// Where signing begins in a log that does not have the place kept, or where none was kept. An older copy of
/// the log may have been put back: numbers go on all the same, because notes of them are out.
fn begin(kept: Option<Place>, end: Position, now: Timestamp) -> Place {
    match kept {
        Some(place) => Place { position: end, ..place },
        None => Place { number: 1, position: end, at: now },
    }
}

fn read(kept: &str) -> Option<Place> {
    let mut parts = kept.split_whitespace();
    let number = parts.next()?.parse().ok()?;
    let position = Position::from_i64s(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)?;
    Some(Place { number, position, at: Timestamp(parts.next()?.parse().ok()?) })
}

/// A share's leaf. It was accepted, so its hash reached its class; how far it went beyond is not in the log.
fn leaf(share: &ShareRecord) -> AcceptedLeaf {
    let leaf = ShareLeaf {
        job: share.job,
        class: share.class,
        extranonce: share.extranonce.as_slice(),
        ntime: share.ntime,
        nonce: share.nonce,
        version: share.version,
        owner: match share.owner {
            Owner::House => None,
            Owner::Account(id) => Some(id),
        },
    };
    AcceptedLeaf { hash: merkle::leaf_hash(&leaf.canonical()), level: share.class.k() }
}

fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ends_before_what_was_signed_is_signed_from_its_end_under_the_next_number() {
        let at = |segment, offset| Position::from_i64s(segment, offset).unwrap();
        let kept = read("7 3 900 1000000\n").unwrap();
        let begun = begin(Some(kept), at(2, 500), Timestamp(5));
        assert_eq!((begun.number, begun.position, begun.at), (7, at(2, 500), Timestamp(1_000_000)));
        let first = begin(None, at(2, 500), Timestamp(5));
        assert_eq!((first.number, first.position, first.at), (1, at(2, 500), Timestamp(5)));
    }
}
