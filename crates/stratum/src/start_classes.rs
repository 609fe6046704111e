//! The class that each machine was last found to have, so that one that comes back (after its own
//! restart or ours) begins where it was and nothing is searched for again.
//!
//! | bound | why |
//! |---|---|
//! | [`MACHINES_MAX`] machines, 3 MB | what one lane's gateway ever serves; then the oldest quarter goes |
//! | [`AGE_MAX`] | longer away, a machine has likely been changed |
//! | one file of 1.6 MB at most, written when something changed, about once a minute | |
//!
//! Promises: losing any of it costs one search of half a minute a machine. The file is written
//! beside and renamed; one that is damaged is told of and not used.

use gruve_units::{Class, Duration, MachineId, Timestamp};
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Machines remembered.
pub const MACHINES_MAX: usize = 65_536;

/// How long a class is remembered.
pub const AGE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// What the file begins with: its kind and version.
const MAGIC: &[u8; 8] = b"gruvesc1";

/// Machine, class, seconds of its time.
const ENTRY_BYTES: usize = 16 + 1 + 8;

const CHECKSUM_BYTES: usize = 4;

/// The memory; shared by a gateway's threads.
#[derive(Debug, Default)]
pub struct StartClasses {
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Class and the second it was last known.
    machines: HashMap<MachineId, (Class, i64)>,
    changed: bool,
}

impl StartClasses {
    /// What the file holds; nothing, with a warning, if it cannot be used.
    #[must_use]
    pub fn open(file: &Path) -> StartClasses {
        let machines = match read(file) {
            Ok(machines) => machines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => {
                let file = file.display();
                tracing::warn!(%error, %file, "machines begin anew: their classes cannot be read");
                HashMap::new()
            }
        };
        let inner = Mutex::new(Inner { machines, changed: false });
        StartClasses { file: Some(file.to_owned()), inner }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The class a machine was last found to have.
    #[must_use]
    pub fn get(&self, machine: MachineId, now: Timestamp) -> Option<Class> {
        let (class, at) = *self.inner().machines.get(&machine)?;
        // A clock that went back makes nothing old.
        let age = now.since(Timestamp::from_secs(at));
        (age <= AGE_MAX).then_some(class)
    }

    /// A machine was found to have this class.
    pub fn note(&self, machine: MachineId, class: Class, now: Timestamp) {
        let mut inner = self.inner();
        if inner.machines.len() >= MACHINES_MAX && !inner.machines.contains_key(&machine) {
            inner.forget_oldest();
        }
        inner.changed |=
            inner.machines.insert(machine, (class, now.secs())) != Some((class, now.secs()));
    }

    /// Machines remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner().machines.len()
    }

    /// Writes the file if something has changed since; blocks.
    ///
    /// # Errors
    /// When it cannot be written: nothing is lost but the next start's memory.
    pub fn save(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut bytes = MAGIC.to_vec();
        {
            let mut inner = self.inner();
            if !std::mem::take(&mut inner.changed) {
                return Ok(());
            }
            bytes.reserve_exact(inner.machines.len() * ENTRY_BYTES + CHECKSUM_BYTES);
            for (machine, (class, at)) in &inner.machines {
                bytes.extend_from_slice(&machine.to_bytes());
                bytes.push(class.k());
                bytes.extend_from_slice(&at.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        let fresh = file.with_extension("new");
        let written = std::fs::File::create(&fresh)
            .and_then(|mut out| out.write_all(&bytes))
            .and_then(|()| std::fs::rename(&fresh, file));
        if written.is_err() {
            self.inner().changed = true;
        }
        written
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        // Of one second any: which, the machines' names say.
        let age = |(machine, (_, at)): (&MachineId, &(Class, i64))| (*at, machine.to_bytes());
        let mut ages: Vec<_> = self.machines.iter().map(age).collect();
        let quarter = ages.len() / 4;
        if quarter >= ages.len() {
            return;
        }
        let (_, limit, _) = ages.select_nth_unstable(quarter);
        let limit = *limit;
        self.machines.retain(|machine, seen| age((machine, &*seen)) > limit);
    }
}

fn read(file: &Path) -> io::Result<HashMap<MachineId, (Class, i64)>> {
    let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let most = MAGIC.len() + MACHINES_MAX * ENTRY_BYTES + CHECKSUM_BYTES;
    if std::fs::metadata(file)?.len() > most as u64 {
        return Err(damaged("it is longer than it can be"));
    }
    let bytes = std::fs::read(file)?;
    let (body, checksum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("it is cut short"))?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*checksum) {
        return Err(damaged("its checksum is wrong"));
    }
    let entries = body.strip_prefix(MAGIC).ok_or_else(|| damaged("it is of another kind"))?;
    let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
    if !rest.is_empty() {
        return Err(damaged("it is cut short"));
    }
    entries
        .iter()
        .map(|entry| {
            let (machine, rest) = entry.split_first_chunk::<16>()?;
            let (class, at) = rest.split_first()?;
            let at = i64::from_be_bytes(at.try_into().ok()?);
            Some((MachineId::from_bytes(*machine), (Class::new(*class)?, at)))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("it names a class that there is not"))
}
