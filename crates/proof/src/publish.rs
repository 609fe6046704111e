//! Putting the record where everybody can read it: a folder that any web server can serve.
//!
//! ```text
//! FOLDER/key                    the operator's first key, as name+hash+base64
//! FOLDER/checkpoint             the signed head
//! FOLDER/tile/…                 the log's tiles and entries
//! FOLDER/data/SHA256            records and sold trees, each named by its hash
//! ```
//!
//! Promises: a file appears whole or not at all; what a checkpoint stands for is on the disk before the checkpoint
//! is; a checkpoint is never signed that contradicts the one on the disk.

use crate::log::Entry;
use crate::note::{Checkpoint, NOTE_BYTES_MAX, NoteKey};
use crate::summary::FileRef;
use crate::tiles::{self, ENTRY_MAX, WIDTH};
use crate::{Hash, merkle, sha256};
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sizes of the log whose partial tiles stay: hours of ten-minute epochs.
const PARTS_KEPT: u64 = 16;

/// The name of the file with the first key.
pub const KEY_FILE: &str = "key";
/// The name of the signed head.
pub const CHECKPOINT_FILE: &str = "checkpoint";

/// The path of a file named by its hash.
#[must_use]
pub fn data_path(hash: &Hash) -> String {
    format!("data/{}", hex::encode(hash))
}

/// Why something was not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The disk's refusal.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds a checkpoint that what is to be published contradicts.
    #[error("the public log in {} says something else: {what}; nothing is signed, because a log \
             must have one history", path.display())]
    Contradicts {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// An origin that cannot name a key.
    #[error("house.origin {0:?} cannot name a log: no white space, no plus, at most 255 bytes")]
    Origin(String),
    /// An entry that is too long.
    #[error("an entry of {0} bytes is too long for the log")]
    Entry(usize),
}

/// A public folder.
#[derive(Clone, Debug)]
pub struct DataFolder {
    folder: PathBuf,
}

impl DataFolder {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> Result<DataFolder, PublishError> {
        let data = folder.join("data");
        fs::create_dir_all(&data).map_err(|source| PublishError::Io { path: data, source })?;
        Ok(DataFolder { folder: folder.to_owned() })
    }

    /// Stores a file under its hash; on the disk when this returns. What is there already stays.
    ///
    /// # Errors
    /// The disk's.
    pub fn put(&self, bytes: &[u8]) -> Result<FileRef, PublishError> {
        let hash = sha256(&[bytes]);
        put(&self.folder, &data_path(&hash), bytes)?;
        Ok(FileRef { hash, bytes: bytes.len() as u64 })
    }

    /// The same of what another file holds, which is read through twice and not held.
    ///
    /// # Errors
    /// The disk's.
    pub fn put_from(&self, from: &mut File) -> Result<FileRef, PublishError> {
        let (hash, bytes) = hash_of(from)
            .map_err(|source| PublishError::Io { path: self.folder.clone(), source })?;
        put_from(&self.folder, &data_path(&hash), from)?;
        Ok(FileRef { hash, bytes })
    }
}

/// The hash and length of a file, from its beginning on.
fn hash_of(file: &mut File) -> io::Result<(Hash, u64)> {
    let (mut hasher, mut bytes, mut part) = (Sha256::new(), 0, vec![0; 1 << 16]);
    file.rewind()?;
    loop {
        match file.read(&mut part)? {
            0 => return Ok((hasher.finalize().into(), bytes)),
            n => {
                hasher.update(&part[..n]);
                bytes += n as u64;
            }
        }
    }
}

/// An empty file in a folder, without a name: it is gone when it is closed, whatever ends the process.
///
/// # Errors
/// The disk's.
pub fn scratch(folder: &Path) -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    loop {
        let (pid, n) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(format!(".scratch-{pid}-{n}"));
        match File::options().read(true).write(true).create_new(true).open(&path) {
            // Left by a process of that number that was killed in between.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            file => {
                let file = file?;
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

/// Who signs heads of the log beside the operator.
pub trait Cosign: Send + Sync + std::fmt::Debug {
    /// Lines to stand under this signed head of the log with these leaves: nothing where nobody signs it now. Called
    /// when what the head stands for is on the disk, and before the head is; may block.
    fn cosign(&self, leaves: &[Hash], note: &str) -> String;
}

/// Nobody.
impl Cosign for () {
    fn cosign(&self, _: &[Hash], _: &str) -> String {
        String::new()
    }
}

/// The public log in a folder.
#[derive(Debug)]
pub struct Publisher {
    folder: PathBuf,
    origin: NoteKey,
    key: SigningKey,
    witnesses: Arc<dyn Cosign>,
    /// The key that the log began with.
    first: NoteKey,
    leaves: Vec<Hash>,
    /// Entries of the last bundle that is not full.
    tail: Vec<Vec<u8>>,
    /// What is signed.
    published: u64,
}

impl Publisher {
    /// A log that begins with `entries` (all that there are), signed by `key`. Writes what the folder lacks of it.
    ///
    /// # Errors
    /// The disk's; [`PublishError::Contradicts`] when the folder's checkpoint is not of one of the log's
    /// beginnings.
    pub fn open(
        folder: &Path,
        origin: &str,
        key: SigningKey,
        entries: &[Vec<u8>],
    ) -> Result<Publisher, PublishError> {
        Publisher::open_with(folder, origin, key, Arc::new(()), entries)
    }

    /// The same, with others who sign.
    ///
    /// # Errors
    /// As [`Publisher::open`].
    pub fn open_with(
        folder: &Path,
        origin: &str,
        key: SigningKey,
        witnesses: Arc<dyn Cosign>,
        entries: &[Vec<u8>],
    ) -> Result<Publisher, PublishError> {
        let note = NoteKey::new(origin, key.verifying_key().to_bytes())
            .filter(|_| origin.len() <= crate::log::ORIGIN_MAX)
            .ok_or_else(|| PublishError::Origin(origin.to_owned()))?;
        DataFolder::open(folder)?;
        let first = match entries.first().map(|e| Entry::parse(e)) {
            Some(Ok(Entry::Head(head))) => {
                NoteKey { name: origin.to_owned(), key: head.operator_key }
            }
            _ => note.clone(),
        };
        let mut own = Publisher {
            folder: folder.to_owned(),
            first,
            origin: note,
            key,
            witnesses,
            leaves: Vec::new(),
            tail: Vec::new(),
            published: 0,
        };
        let before = own.on_disk()?;
        own.take(entries)?;
        if let Some(before) = before {
            let contradicts =
                |what| Err(PublishError::Contradicts { path: folder.to_owned(), what });
            let Some(part) = usize::try_from(before.size).ok().and_then(|n| own.leaves.get(..n))
            else {
                return contradicts("it has more entries than the books");
            };
            if merkle::root(part) != before.root {
                return contradicts("its entries are not those of the books");
            }
        }
        own.write(0, entries)?;
        Ok(own)
    }

    /// The checkpoint in the folder.
    fn on_disk(&self) -> Result<Option<Checkpoint>, PublishError> {
        let path = self.folder.join(CHECKPOINT_FILE);
        let mut note = String::new();
        let read =
            File::open(&path).and_then(|f| f.take(NOTE_BYTES_MAX as u64).read_to_string(&mut note));
        match read {
            // By whatever key it is signed: after a change of keys the history is still one.
            Ok(_) => Checkpoint::read(&note).map(Some).map_err(|_| PublishError::Contradicts {
                path: self.folder.clone(),
                what: "its checkpoint is not one",
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(PublishError::Io { path, source }),
        }
    }

    /// Entries that are signed.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.published
    }

    /// Adds the next entries and signs.
    ///
    /// # Errors
    /// The disk's. After an error the folder is to be opened again, which writes what is missing.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), PublishError> {
        if entries.is_empty() && self.published == self.leaves.len() as u64 {
            return Ok(());
        }
        let from = self.leaves.len() as u64;
        let tail = std::mem::take(&mut self.tail);
        let before = tail.len();
        self.take(entries)?;
        let known = from - before as u64;
        let all: Vec<Vec<u8>> = tail.into_iter().chain(entries.iter().cloned()).collect();
        self.write(known, &all)
    }

    fn take(&mut self, entries: &[Vec<u8>]) -> Result<(), PublishError> {
        if let Some(long) = entries.iter().find(|e| e.len() > ENTRY_MAX) {
            return Err(PublishError::Entry(long.len()));
        }
        self.leaves.extend(entries.iter().map(|e| merkle::leaf_hash(e)));
        Ok(())
    }

    /// Writes bundles from entry `from` on (a bundle's first), tiles, checkpoint.
    fn write(&mut self, from: u64, entries: &[Vec<u8>]) -> Result<(), PublishError> {
        let size = self.leaves.len() as u64;
        for (n, part) in entries.chunks(256).enumerate() {
            let path = tiles::bundle_path(from / WIDTH + n as u64, part.len() as u64);
            put(&self.folder, &path, &tiles::encode_bundle(part))?;
        }
        let full = entries.len() - entries.len() % 256;
        self.tail = entries[full..].to_vec();
        for (path, bytes) in tiles::tiles(&self.leaves, self.published) {
            put(&self.folder, &path, &bytes)?;
        }
        if !self.folder.join(KEY_FILE).exists() {
            put(&self.folder, KEY_FILE, format!("{}\n", self.first).as_bytes())?;
        }
        let checkpoint =
            Checkpoint { origin: self.origin.name.clone(), size, root: merkle::root(&self.leaves) };
        let mut note = checkpoint.sign(&self.key);
        let lines = self.witnesses.cosign(&self.leaves, &note);
        // What nobody could read any more would be no head.
        if note.len() + lines.len() <= NOTE_BYTES_MAX {
            note.push_str(&lines);
        }
        // Lines that stand there already are not taken away because a witness is out of reach now.
        let there = fs::read_to_string(self.folder.join(CHECKPOINT_FILE)).unwrap_or_default();
        if !there.starts_with(&note) {
            put(&self.folder, CHECKPOINT_FILE, note.as_bytes())?;
        }
        let before = std::mem::replace(&mut self.published, size);
        self.forget_parts(before);
        Ok(())
    }

    /// Removes partial tiles and bundles of heads long overtaken. Those of the last [`PARTS_KEPT`] sizes stay, so that
    /// whoever has just read a head finds what it stands for.
    fn forget_parts(&self, before: u64) {
        let to = self.published.saturating_sub(PARTS_KEPT);
        // What stands at one size longer than two bundles back was removed when it was overtaken.
        let from = before.saturating_sub(PARTS_KEPT).max(to.saturating_sub(2 * WIDTH));
        for size in from..to {
            for level in 0.. {
                // A part of a higher level is the same for many sizes: the oldest kept one may need it.
                let (count, kept) = (size >> (8 * level), to >> (8 * level));
                if count == 0 || count >= kept {
                    break;
                }
                let (n, width) = (count / WIDTH, count % WIDTH);
                if width != 0 {
                    let _ = fs::remove_file(self.folder.join(tiles::tile_path(level, n, width)));
                }
                if width != 0 && level == 0 {
                    let _ = fs::remove_file(self.folder.join(tiles::bundle_path(n, width)));
                }
            }
        }
    }
}

/// Writes a file aside and renames it, making its folder if need be; on the disk when this returns. A file that is
/// there with these bytes stays.
///
/// # Errors
/// The disk's.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), PublishError> {
    let path = folder.join(name);
    let is_there = fs::metadata(&path).is_ok_and(|m| m.len() == bytes.len() as u64);
    if is_there && fs::read(&path).is_ok_and(|b| b == bytes) {
        return Ok(());
    }
    put_by(&path, |file| file.write_all(bytes))
}

/// The same of what another file holds, which is not held.
///
/// # Errors
/// The disk's.
pub fn put_from(folder: &Path, name: &str, from: &mut File) -> Result<(), PublishError> {
    let path = folder.join(name);
    if let Ok(mut there) = File::open(&path)
        && let (Ok(there), Ok(new)) = (hash_of(&mut there), hash_of(from))
        && there == new
    {
        return Ok(());
    }
    put_by(&path, |file| {
        from.rewind()?;
        io::copy(from, file).map(|_| ())
    })
}

fn put_by(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), PublishError> {
    let failed = |source| PublishError::Io { path: path.to_owned(), source };
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(failed)?;
    let name = path.as_os_str().as_encoded_bytes();
    let beside = parent.join(format!(".new-{}", hex::encode(&sha256(&[name])[..8])));
    let mut file = File::create(&beside).map_err(failed)?;
    write(&mut file).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    File::open(parent).and_then(|d| d.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_is_put_as_its_bytes_are_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        for size in [0, 1, 65_536, 200_000] {
            let bytes: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
            let mut file = scratch(dir.path()).unwrap();
            file.write_all(&bytes).unwrap();
            let stored = folder.put_from(&mut file).unwrap();
            let path = dir.path().join(data_path(&stored.hash));
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(stored, FileRef { hash: sha256(&[&bytes]), bytes: bytes.len() as u64 });
            // Again, and over one that is damaged.
            folder.put_from(&mut file).unwrap();
            fs::write(&path, b"something else").unwrap();
            folder.put_from(&mut file).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        let left = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["data"]);
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 4);
    }

    fn entries(n: u32) -> Vec<Vec<u8>> {
        (0..n).map(|i| format!("entry {i}").into_bytes()).collect()
    }

    fn open(folder: &Path, entries: &[Vec<u8>]) -> Result<Publisher, PublishError> {
        Publisher::open(folder, "log.example", SigningKey::from_bytes(&[1; 32]), entries)
    }

    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        let mut todo = vec![folder.to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    all.push((name, fs::read(path).unwrap()));
                }
            }
        }
        all.sort();
        all
    }

    #[test]
    fn a_log_that_grew_step_by_step_is_the_one_written_at_once() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = entries(600);
        open(a.path(), &all).unwrap();
        let mut steps = open(b.path(), &all[..1]).unwrap();
        for part in [1..2, 2..255, 255..256, 256..257, 257..600] {
            steps.append(&all[part]).unwrap();
        }
        let (a, b) = (files(a.path()), files(b.path()));
        assert!(a.iter().all(|file| b.contains(file)), "every file of the one written at once");
    }

    #[test]
    fn parts_stay_for_whoever_has_read_the_head_before() {
        let dir = tempfile::tempdir().unwrap();
        let all = entries(300);
        let mut log = open(dir.path(), &all[..1]).unwrap();
        for n in 1..300 {
            log.append(&all[n..=n]).unwrap();
            let back = (n as u64).saturating_sub(PARTS_KEPT - 2).max(1);
            for size in back..=n as u64 + 1 {
                for (at, width) in tiles::pieces(size) {
                    let bundle = dir.path().join(tiles::bundle_path(at, width));
                    assert!(bundle.exists(), "{} entries are there, {size} were read of", n + 1);
                }
            }
        }
        let parts = files(dir.path()).into_iter().filter(|(name, _)| name.contains(".p/")).count();
        assert!(parts < 3 * 20, "{parts} partial files stay");
    }

    #[test]
    fn a_second_history_is_not_signed() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &entries(5)).unwrap();
        let shorter = open(dir.path(), &entries(4)).unwrap_err();
        assert!(matches!(shorter, PublishError::Contradicts { .. }), "{shorter}");
        let mut other = entries(6);
        other[2] = b"another".to_vec();
        assert!(matches!(open(dir.path(), &other), Err(PublishError::Contradicts { .. })));
        assert_eq!(open(dir.path(), &entries(6)).unwrap().size(), 6);
    }
}
