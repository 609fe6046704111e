//! Whether jobs would have paid only where the entry of their checkpoint had said beforehand.

use super::budget::Budget;
use super::data::{is_file, open_data, read};
use super::source::Source;
use super::work::read_job;
use super::{VerifyError, lie};
use crate::Hash;
use crate::places::{PAYEES_MAX, PLACES_MAX, Payees, Places};
use crate::publish::data_path;
use crate::record::RecordJob;
use crate::summary::FileRef;
use gruve_units::{AccountId, Algorithm, LaneId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a script of a job takes beside its own bytes while a record is read, bytes.
const SCRIPT_COST: u64 = 128;
/// What a list takes while a record is read, bytes.
const LIST_COST: u64 = 64 * PLACES_MAX as u64;

/// Reads the file that an entry names.
pub(super) fn read_places(
    source: &dyn Source,
    lane: &LaneId,
    named: FileRef,
) -> Result<Places, VerifyError> {
    let path = data_path(&named.hash);
    let mut file = open_data(source, named, "places-missing")?;
    let places = read!("places-malformed", &path, Places::read(&mut file, lane));
    is_file(file, named)?;
    Ok(places)
}

/// The lists that bind jobs of one record.
#[derive(Default)]
pub(super) struct Lists {
    read: BTreeMap<Hash, Arc<Places>>,
    /// What they take, to be given back.
    pub(super) taken: u64,
}

impl Lists {
    /// The list of an entry; `None` where it names none.
    pub(super) fn of(
        &mut self,
        source: &dyn Source,
        lane: &LaneId,
        named: FileRef,
        budget: &mut Budget,
    ) -> Result<Option<Arc<Places>>, VerifyError> {
        if named == FileRef::default() {
            return Ok(None);
        }
        if let Some(known) = self.read.get(&named.hash) {
            return Ok(Some(Arc::clone(known)));
        }
        budget.take(LIST_COST, &data_path(&named.hash))?;
        self.taken += LIST_COST;
        let places = Arc::new(read_places(source, lane, named)?);
        self.read.insert(named.hash, Arc::clone(&places));
        Ok(Some(places))
    }
}

/// The scripts of a job that are not the house's: whoever has shares of it must be the one whose they are.
pub(super) struct ForOwner {
    places: Arc<Places>,
    scripts: BTreeSet<Vec<u8>>,
    /// The partners of one owner that they may be.
    shared: Option<Payees>,
    /// Whose shares were seen, by their places among the record's owners.
    seen: BTreeSet<u32>,
}

impl ForOwner {
    /// Of a job that pays to these; `None` when all are the house's.
    pub(super) fn of(
        places: &Arc<Places>,
        (paid, values): (&[Vec<u8>], &[u64]),
        at: &str,
    ) -> Result<Option<ForOwner>, VerifyError> {
        let mut scripts = BTreeSet::new();
        let (mut house, mut own) = (0u128, Vec::new());
        for (place, script) in paid.iter().enumerate() {
            if places.has(None, script) {
                house += u128::from(values.get(place).copied().unwrap_or_default());
                continue;
            }
            if own.len() <= PAYEES_MAX {
                own.push((script.as_slice(), values.get(place).copied().unwrap_or_default()));
            }
            scripts.insert(script.clone());
            // So many are not in any list.
            if scripts.len() > PLACES_MAX {
                return unpublished(script, at);
            }
        }
        let is_any = !scripts.is_empty();
        let whole: u128 = values.iter().map(|v| u128::from(*v)).sum();
        // More than any chain pays is no amount that a list could mean.
        let fee = u64::try_from(whole).map(|whole| u128::from(places.fee().of(whole)));
        if is_any && !values.is_empty() && fee != Ok(house) {
            let what = format!(
                "a block would have paid {house} of {whole} to the house and the rest to an owner, which is not what was \
                 published before"
            );
            return lie("fee-unpublished", at, what);
        }
        let shared = if places.has_parts() { Payees::of_outputs(&own) } else { None };
        let (places, seen) = (Arc::clone(places), BTreeSet::new());
        Ok(is_any.then_some(ForOwner { places, scripts, shared, seen }))
    }

    /// What it takes while a record is read, bytes.
    pub(super) fn cost(&self) -> u64 {
        self.scripts.iter().map(|script| SCRIPT_COST + script.len() as u64).sum()
    }

    /// Holds whose shares there are against it.
    pub(super) fn check(
        &mut self,
        names: &[AccountId],
        owner: u32,
        at: &str,
    ) -> Result<(), VerifyError> {
        if !self.seen.insert(owner) {
            return Ok(());
        }
        let place = usize::try_from(owner).ok().and_then(|o| o.checked_sub(1));
        let whose = place.and_then(|place| names.get(place)).copied();
        let other = self.scripts.iter().find(|script| !self.places.allow(whose, script));
        let Some(script) = other else { return Ok(()) };
        match (whose, &self.shared) {
            (Some(owner), Some(shared)) if self.places.has_payees(owner, shared) => Ok(()),
            _ => unpublished(script, at),
        }
    }
}

fn unpublished<T>(script: &[u8], at: &str) -> Result<T, VerifyError> {
    let what = format!(
        "a block would have paid to {}, which was not published before as a place of whoever did the work, or not in this part",
        hex::encode(script)
    );
    lie("paid-unpublished", at, what)
}

/// The scripts that a block of this job would pay with what each gets, an address of the Ethash family's and nothing; `None`
/// when it is no job.
#[must_use]
pub fn paid(algorithm: Algorithm, job: &RecordJob) -> Option<Vec<(Vec<u8>, u64)>> {
    let says = read_job(algorithm, job, false).ok()?;
    let values = says.values.into_iter().chain(std::iter::repeat(0));
    Some(says.paid.into_iter().zip(values).collect())
}
