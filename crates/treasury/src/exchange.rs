//! Files in a folder that others may write to as well: the house and its signer need not trust each other.
//!
//! Promises: what is put there is whole or not there, and goes nowhere else; what is taken is a file of the folder
//! itself. Somebody who may write there could leave a link to a file of ours, which would be written over or read, or a
//! pipe, on which reading would wait for ever. It must not know what the files say.

use rustix::fs::{Mode, OFlags};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::path::{Path, PathBuf};

/// Beside it, under a name that says what it is.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.draft"))
}

/// Puts a file there, whole or not at all, in place of one that is there.
///
/// # Errors
/// The system's.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = draft_of(path);
    remove(&draft)?;
    // Only a file that this call makes: a link is never followed.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// What a file of the folder says; `None` where there is none.
///
/// # Errors
/// The system's; when it is no file, or has more than `most` bytes.
pub fn take(path: &Path, most: u64) -> Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidData, "it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(ErrorKind::InvalidData, "it is too large"));
    }
    Ok(Some(bytes))
}

/// Takes a file away; one that is not there is none.
///
/// # Errors
/// The system's.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
