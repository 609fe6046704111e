//! What was signed with a key, in a file beside it: a line each, `SECONDS ASSET TRANSACTION MINOR`.
//!
//! Promises: a line is on disk before the signature that it tells of leaves; looking and writing are one step, also
//! where several signers have the same key, so that no two of them spend what is left of a day's limit twice.

use super::DAY_SECS;
use gruve_chain::hash_to_text;
use gruve_treasury::order::Shown;
use gruve_units::{Asset, Timestamp};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Transactions signed in 24 hours at most: some fifty thousand payouts. What costs nothing could otherwise be asked
/// for until the disk is full.
const DAY_MAX: usize = 1_000;

/// What left the wallet in the last day, by the journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// Minor units, without the transaction that is asked for now: signing it again takes nothing more.
    pub(super) left: i64,
    /// Whether that one was signed in this day already.
    pub(super) has_it: bool,
    transactions: usize,
}

pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn beside(key: &Path) -> Journal {
        let mut name = key.as_os_str().to_owned();
        name.push(".signed");
        Journal(PathBuf::from(name))
    }

    fn said(&self, e: &dyn std::fmt::Display) -> String {
        format!("{}: {e}", self.0.display())
    }

    pub(super) fn day(&self, asset: Asset, now: Timestamp, id: &[u8; 32]) -> Result<Day, String> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Day::default()),
            Err(e) => return Err(self.said(&e)),
        };
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(self.said(&"its last line is torn: complete or remove it"));
        }
        let own = hash_to_text(id);
        let (mut day, mut seen) = (Day::default(), BTreeSet::new());
        for (at, line) in text.lines().enumerate() {
            let odd = || format!("{}, line {}: it cannot be read", self.0.display(), at + 1);
            let words: Vec<&str> = line.split(' ').collect();
            let [secs, of, id, minor] = words.as_slice() else { return Err(odd()) };
            let secs: i64 = secs.parse().map_err(|_| odd())?;
            let minor: i64 = minor.parse().map_err(|_| odd())?;
            let of: Asset = of.parse().map_err(|_| odd())?;
            // What seems to come later counts: a clock that went back opens no new day.
            let is_young = secs > now.secs().saturating_sub(DAY_SECS);
            if of != asset || !is_young || !seen.insert(*id) {
                continue;
            }
            day.transactions += 1;
            if *id == own {
                day.has_it = true;
            } else {
                day.left = day.left.saturating_add(minor);
            }
        }
        Ok(day)
    }

    /// Looks at the day and, where `sign` gives something to it, writes the transaction down; nobody else looks or
    /// writes meanwhile.
    pub(super) fn with<T>(
        &self,
        (asset, now, shown): (Asset, Timestamp, &Shown),
        sign: impl FnOnce(&Day) -> Result<T, String>,
    ) -> Result<T, String> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.0);
        let mut file = file.map_err(|e| self.said(&e))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|e| self.said(&e))?;
        let day = self.day(asset, now, &shown.id)?;
        if day.transactions >= DAY_MAX && !day.has_it {
            return Err(format!("not signed: {DAY_MAX} transactions were signed in 24 hours"));
        }
        let signed = sign(&day)?;
        // Once in a day: asking again and again writes nothing more.
        if !day.has_it {
            let line =
                format!("{} {asset} {} {}\n", now.secs(), hash_to_text(&shown.id), shown.leaves());
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_all());
            written.and_then(|()| self.sync_name()).map_err(|e| self.said(&e))?;
        }
        Ok(signed)
    }

    /// That the file is there at all survives a loss of power.
    fn sync_name(&self) -> std::io::Result<()> {
        let folder = self.0.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}
