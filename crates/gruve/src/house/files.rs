//! The house's folder: its lock and its secrets, each a file that only its owner may read.

use gruve_units::{Entropy, LaneId};
use rustix::fs::FlockOperation;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest secret file read: they hold one short line.
const SECRET_BYTES_MAX: u64 = 256;

/// The file in a folder that is locked while somebody holds it alone.
pub(crate) const LOCK_FILE: &str = "lock";

/// A file or folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system's refusal.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("{} is in use by another gruve process; stop that one or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The file holds something else than it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
    },
}

/// The file that keeps the length of a lane's epochs. The database has tables when it is written.
pub(crate) fn epoch_file(lane: &LaneId) -> String {
    format!("lane-{lane}.epoch")
}

fn is_epoch_file(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"lane-") && name.ends_with(b".epoch")
}

/// How a folder is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// For this process alone: it will run the house, or read what must not move meanwhile.
    Alone,
    /// Beside a house that may be running: only the database is touched, by its own transactions.
    Beside,
}

/// The folder; held alone until dropped (or killed) if so opened.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    has_books: bool,
    _lock: Option<File>,
}

impl Folder {
    /// Makes the folder if need be and takes its lock, if it is to be held alone.
    ///
    /// # Errors
    /// When it cannot be made or another process has it.
    pub fn open(path: &Path, holding: Holding) -> Result<Folder, FileError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| FileError::Io { path, source }
        };
        if path.is_file() {
            let what = "is a file; choose a folder";
            return Err(FileError::Content { path: path.to_owned(), what });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let mut has_books = false;
        for entry in std::fs::read_dir(path).map_err(io(path))? {
            has_books |= is_epoch_file(&entry.map_err(io(path))?.file_name());
        }
        if holding == Holding::Beside {
            return Ok(Folder { path: path.to_owned(), has_books, _lock: None });
        }
        let lock_path = path.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io(&lock_path))?;
        lock_alone(&lock).map_err(|_| FileError::InUse(path.to_owned()))?;
        Ok(Folder { path: path.to_owned(), has_books, _lock: Some(lock) })
    }

    /// Whether the house of this folder has had a database with tables.
    #[must_use]
    pub fn has_books(&self) -> bool {
        self.has_books
    }

    /// A place in the folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// 32 secret bytes kept in a file, which a house has from its beginning; made when there is none.
    ///
    /// # Errors
    /// As [`Folder::new_secret`].
    pub fn secret(&self, name: &str, entropy: &dyn Entropy) -> Result<[u8; 32], FileError> {
        let path = self.join(name);
        if self.has_books && matches!(path.try_exists(), Ok(false)) {
            // An older version of the program may not have had it.
            tracing::warn!(
                file = %path.display(),
                "this secret was not there and is made anew: if the house had one, stop it and put that back"
            );
        }
        self.new_secret(name, entropy)
    }

    /// The same of a secret that a house need not have: nobody is warned.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn new_secret(&self, name: &str, entropy: &dyn Entropy) -> Result<[u8; 32], FileError> {
        let path = self.join(name);
        let text = match read_secret(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                entropy.fill(&mut bytes);
                let text = hex::encode(bytes);
                write_secret(&path, &text)
                    .map_err(|source| FileError::Io { path: path.clone(), source })?;
                text
            }
            Err(source) => return Err(FileError::Io { path, source }),
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes)
            .map_err(|_| FileError::Content { path, what: "must hold 64 hex digits" })?;
        Ok(bytes)
    }
}

/// How long a process that was killed may take to end: the kernel gives back its memory before its locks.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// Takes a lock, which another process may be giving back.
#[expect(clippy::disallowed_methods, reason = "a lock has no wait with a deadline")]
fn lock_alone(file: &File) -> rustix::io::Result<()> {
    let until = Instant::now() + ENDING_MAX;
    loop {
        let taken = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        if taken.is_ok() || Instant::now() >= until {
            return taken;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Folder {
    /// Keeps a value for ever: written the first time, compared afterwards.
    ///
    /// # Errors
    /// [`FileError::Content`] with `what` when another value was kept.
    pub fn keep(&self, name: &str, value: &str, what: &'static str) -> Result<(), FileError> {
        let path = self.join(name);
        let failed = |source| FileError::Io { path: path.clone(), source };
        match read_secret(&path) {
            Ok(kept) if kept.trim() == value => Ok(()),
            Ok(_) => Err(FileError::Content { path, what }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                write_secret(&path, value).map_err(failed)
            }
            Err(e) => Err(failed(e)),
        }
    }
}

/// Reads a short secret text that an operator keeps elsewhere.
///
/// # Errors
/// When it cannot be read.
pub fn read_secret_text(path: &Path) -> Result<String, FileError> {
    read_secret(path).map_err(|source| FileError::Io { path: path.to_owned(), source })
}

fn read_secret(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SECRET_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Written beside and renamed, so that a crash leaves the whole secret or none.
pub(crate) fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(folder_of(path))?.sync_all()
}

/// Where a file stands: a bare name stands in the working folder.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::SeededEntropy;

    #[test]
    fn a_secret_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("house"), Holding::Alone).unwrap();
        let entropy = SeededEntropy::new(1);
        let first = folder.secret("key", &entropy).unwrap();
        assert_eq!(folder.secret("key", &entropy).unwrap(), first);
        assert_ne!(folder.secret("other", &entropy).unwrap(), first);
        std::fs::write(folder.join("key"), "short").unwrap();
        assert!(matches!(folder.secret("key", &entropy), Err(FileError::Content { .. })));
    }

    #[test]
    fn a_file_is_not_taken_for_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let opened = Folder::open(&path, Holding::Beside).unwrap_err();
        assert!(opened.to_string().contains("is a file"), "{opened}");
    }

    #[test]
    fn a_kept_value_cannot_change() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), Holding::Alone).unwrap();
        folder.keep("epoch", "600", "must stay").unwrap();
        folder.keep("epoch", "600", "must stay").unwrap();
        assert!(matches!(folder.keep("epoch", "60", "must stay"), Err(FileError::Content { .. })));
    }

    #[test]
    fn two_processes_cannot_have_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Folder::open(dir.path(), Holding::Alone).unwrap();
        assert!(matches!(Folder::open(dir.path(), Holding::Alone), Err(FileError::InUse(_))));
    }
}
