//! Where a public record is read from.

use super::accepted;
use super::budget::Budget;
use super::entries::Log;
use super::{VerifyError, lie};
use crate::publish::{CHECKPOINT_FILE, KEY_FILE, data_path};
use crate::tiles;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// What the name of a file takes in a list beside its own bytes (which stand there twice while names are compared), bytes.
const NAME_COST: u64 = 128;

/// Public files by their paths.
pub trait Source {
    /// A file from its beginning; `None` when there is none. What breaks off while it is read is an error of the reader, of
    /// whatever kind, and never its end: an end is the file's.
    ///
    /// # Errors
    /// When it cannot be told.
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>>;

    /// The paths of all files, where that can be known, as long as they take no more than so many bytes.
    ///
    /// # Errors
    /// When they cannot be listed; [`io::ErrorKind::OutOfMemory`] when they take more.
    fn list(&self, bytes_max: u64) -> io::Result<Option<Vec<String>>>;
}

/// A folder.
#[derive(Clone, Debug)]
pub struct FolderSource(pub PathBuf);

impl Source for FolderSource {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let path = self.0.join(path);
        // A pipe or a device would be waited for.
        if std::fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("not a file"));
        }
        match File::open(path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn list(&self, bytes_max: u64) -> io::Result<Option<Vec<String>>> {
        let (mut all, mut todo) = (Vec::new(), vec![self.0.clone()]);
        let mut left = bytes_max;
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                let bytes = NAME_COST + 2 * entry.path().as_os_str().len() as u64;
                left = left.checked_sub(bytes).ok_or(io::ErrorKind::OutOfMemory)?;
                if entry.file_type()?.is_dir() {
                    todo.push(entry.path());
                } else if let Ok(path) = entry.path().strip_prefix(&self.0) {
                    all.push(path.to_string_lossy().into_owned());
                }
            }
        }
        all.sort();
        Ok(Some(all))
    }
}

/// A whole file of at most `max` bytes; a lie called `missing` when there is none.
pub(super) fn whole(
    source: &dyn Source,
    path: &str,
    max: usize,
    missing: &'static str,
) -> Result<Vec<u8>, VerifyError> {
    match if_there(source, path, max)? {
        Some(bytes) => Ok(bytes),
        None => lie(missing, path, "the file is not there"),
    }
}

/// A whole file of at most `max` bytes. It is asked for once: what may go at any time is not there, or is.
pub(super) fn if_there(
    source: &dyn Source,
    path: &str,
    max: usize,
) -> Result<Option<Vec<u8>>, VerifyError> {
    let unreadable = |source| VerifyError::Unreadable { path: path.to_owned(), source };
    let Some(file) = source.open(path).map_err(unreadable)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > max {
        return lie("file-too-long", path, format!("longer than {max} bytes"));
    }
    Ok(Some(bytes))
}

/// The paths of all files, where that can be known and there is room for them.
pub(super) fn listed(
    source: &dyn Source,
    budget: &Budget,
) -> Result<Option<Vec<String>>, VerifyError> {
    const AT: &str = "the list of files";
    match source.list(budget.left()) {
        Err(e) if e.kind() == io::ErrorKind::OutOfMemory => Err(budget.spent(AT)),
        listed => listed.map_err(|source| VerifyError::Unreadable { path: AT.to_owned(), source }),
    }
}

/// Files that no entry and no tile of the log names: no part of what was verified, and told. They must still be what
/// their names say: a file below `data/` is stored before its entry has a place, a part of a tile may be older than the
/// head, or newer.
pub(super) fn unknown_files(
    source: &dyn Source,
    log: &Log,
    budget: &Budget,
) -> Result<Vec<String>, VerifyError> {
    let Some(files) = listed(source, budget)? else { return Ok(Vec::new()) };
    let mut known: BTreeSet<String> = [KEY_FILE, CHECKPOINT_FILE].map(str::to_owned).into();
    for e in &log.epochs {
        known.insert(data_path(&e.summary.sold.hash));
        known.insert(data_path(&e.summary.record.hash));
        known.insert(data_path(&e.summary.places.hash));
    }
    known.extend(log.funds.iter().map(|(_, f)| data_path(&f.reserves.hash)));
    let (mut count, mut level) = (log.checkpoint.size, 0);
    while count > 0 {
        for (n, width) in tiles::pieces(count) {
            known.insert(tiles::tile_path(level, n, width));
            if level == 0 {
                known.insert(tiles::bundle_path(n, width));
            }
        }
        (count, level) = (count / tiles::WIDTH, level + 1);
    }
    let mut rest = Vec::new();
    // What is being written has a name with a dot.
    let is_hidden = |f: &str| f.split('/').any(|part| part.starts_with('.'));
    for file in
        files.iter().filter(|f| !known.contains(*f) && !is_hidden(f) && !accepted::is_own(f))
    {
        if !is_part(source, file, &known)? {
            is_named(source, file)?;
            rest.push(file);
        }
    }
    let (unknown, first) = (rest.len(), rest.first());
    Ok(first
        .map(|f| {
            format!("{unknown} files are no part of the record and were not looked at, as {f:?}")
        })
        .into_iter()
        .collect())
}

/// Refuses a file whose name is a hash, and not that of its bytes.
fn is_named(source: &dyn Source, path: &str) -> Result<(), VerifyError> {
    let is_lower = |n: &&str| n.len() == 64 && !n.contains(|c: char| c.is_ascii_uppercase());
    let named = path.strip_prefix("data/").filter(is_lower);
    let Some(Ok(named)) = named.map(hex::decode) else { return Ok(()) };
    let unreadable = |source| VerifyError::Unreadable { path: path.to_owned(), source };
    let Some(mut file) = source.open(path).map_err(unreadable)? else { return Ok(()) };
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    match hash.finalize()[..] == named {
        true => Ok(()),
        false => lie("file-altered", path, "its bytes are not those of its hash"),
    }
}

/// Whether a file is part of a tile or bundle that has grown since; it must be its beginning. One that is ahead of the
/// head must begin as the head's.
fn is_part(source: &dyn Source, file: &str, known: &BTreeSet<String>) -> Result<bool, VerifyError> {
    let Some((stem, width)) = file.rsplit_once(".p/") else { return Ok(false) };
    let number = width.parse::<u64>().ok().filter(|n| n.to_string() == width);
    let Some(width) = number.filter(|n| (1..tiles::WIDTH).contains(n)) else { return Ok(false) };
    let part = format!("{stem}.p/");
    let begins = known.range(part.clone()..).next().filter(|k| k.starts_with(&part));
    let now = known.get(stem).or(begins);
    let Some(now) = now.filter(|_| stem.starts_with("tile/")) else { return Ok(false) };
    let own = whole(source, file, tiles::BUNDLE_MAX, "tile-missing")?;
    let grown = whole(source, now, tiles::BUNDLE_MAX, "tile-missing")?;
    let is_whole = if stem.starts_with("tile/entries/") {
        tiles::decode_bundle(&own, width).is_some()
    } else {
        own.len() as u64 == 32 * width
    };
    if is_whole && grown.starts_with(&own) {
        return Ok(true);
    }
    if is_whole && own.starts_with(&grown) {
        return Ok(false);
    }
    lie("tile-wrong", file, "it is not the beginning of what it has grown to")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One file that never ends.
    struct Endless;

    impl Source for Endless {
        fn open(&self, _: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
            Ok(Some(Box::new(io::repeat(b'7'))))
        }

        fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
            Ok(None)
        }
    }

    #[test]
    fn a_file_is_read_a_byte_further_than_it_may_be_long_and_no_more() {
        let said = whole(&Endless, "checkpoint", 1_000, "checkpoint-missing").unwrap_err();
        let VerifyError::Lie(lie) = said else { panic!("{said}") };
        assert_eq!((lie.name, lie.at.as_str()), ("file-too-long", "checkpoint"));
        let dir = tempfile::tempdir().unwrap();
        let folder = FolderSource(dir.path().to_owned());
        for (len, is_good) in [(999, true), (1_000, true), (1_001, false)] {
            std::fs::write(dir.path().join("key"), vec![7; len]).unwrap();
            let read = whole(&folder, "key", 1_000, "key-missing");
            assert_eq!(read.is_ok(), is_good, "{len} bytes");
        }
    }

    #[test]
    fn files_without_end_are_listed_as_far_as_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FolderSource(dir.path().to_owned());
        std::fs::create_dir(dir.path().join("data")).unwrap();
        for n in 0..50 {
            std::fs::write(dir.path().join(format!("data/{n}")), "").unwrap();
            std::fs::create_dir(dir.path().join(format!("{n}"))).unwrap();
        }
        let all = folder.list(1 << 20).unwrap().unwrap();
        assert_eq!((all.len(), all[0].as_str()), (50, "data/0"));
        // Folders count as well: nobody comes to the end of those either.
        let refused = folder.list(51 * NAME_COST).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::OutOfMemory);
        let budget = Budget::new(51 * NAME_COST);
        let said = listed(&folder, &budget).unwrap_err();
        assert!(matches!(said, VerifyError::TooLarge { .. }), "{said}");
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FolderSource(dir.path().to_owned());
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("key")).unwrap();
        for path in ["data", "key"] {
            let said = folder.open(path).map(|_| ()).unwrap_err();
            assert_eq!(said.to_string(), "not a file", "{path}");
        }
        assert!(folder.open("checkpoint").unwrap().is_none(), "nothing is there");
    }
}
