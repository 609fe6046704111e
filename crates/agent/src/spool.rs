//! Samples on their way to the house, on disk until it has them.
//!
//! A folder of files named by their first sample's number, each of lines of JSON, appended and synced before
//! anything is sent. What the house has is taken away file by file; when there is more than the spool may hold
//! the oldest file goes, and the house counts what is missing. A line that a crash cut is not read, nor are
//! those after it in the file; numbers go on after the last whole one.

use gruve_farm::Sample;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of one file, after which the next begins.
const FILE_BYTES: u64 = 1 << 20;

/// Bytes that a spool may hold unless told otherwise: a hundred machines for a week.
pub const SPOOL_BYTES: u64 = 256 << 20;

/// See the module.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    /// Files by their first number, with their bytes.
    files: BTreeMap<u64, u64>,
    /// Where new lines go; `None` until the first of this life, which begins a file of its own.
    open: Option<(u64, File)>,
    next: u64,
}

impl Spool {
    /// Opens a spool, making the folder if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path, bytes_max: u64) -> io::Result<Spool> {
        std::fs::create_dir_all(folder)?;
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|n| n.strip_suffix(".spool"));
            if let Some(first) = number.and_then(|n| n.parse().ok()) {
                files.insert(first, entry.metadata()?.len());
            }
        }
        let mut spool = Spool { folder: folder.to_owned(), bytes_max, files, open: None, next: 0 };
        if let Some(first) = spool.files.keys().next_back().copied() {
            let last = spool.lines(first)?.last().map_or(first, |s| s.seq.saturating_add(1));
            spool.next = last;
        }
        Ok(spool)
    }

    /// The number that the next sample gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// What the house expects next: all before it is taken away, and numbers never fall below it.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn confirmed(&mut self, next: u64) -> io::Result<()> {
        self.next = self.next.max(next);
        let firsts: Vec<u64> = self.files.keys().copied().collect();
        for (i, first) in firsts.iter().enumerate() {
            let end = firsts.get(i + 1).copied().unwrap_or(self.next);
            if end > next {
                break;
            }
            self.remove(*first)?;
        }
        Ok(())
    }

    fn remove(&mut self, first: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == first) {
            self.open = None;
        }
        self.files.remove(&first);
        match std::fs::remove_file(self.path(first)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}.spool"))
    }

    /// Numbers samples and puts them on disk.
    ///
    /// # Errors
    /// The disk's. Then none of them is in the spool; their numbers may be missing.
    pub fn append(&mut self, samples: Vec<Sample>) -> io::Result<()> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        let first_new = self.next;
        for (sample, seq) in samples.into_iter().zip(first_new..) {
            serde_json::to_writer(&mut text, &Sample { seq, ..sample })?;
            text.push(b'\n');
            self.next = seq + 1;
        }
        let added = text.len() as u64;
        let full = |files: &BTreeMap<u64, u64>, first: &u64| {
            files.get(first).copied().unwrap_or(0) >= FILE_BYTES
        };
        if self.open.as_ref().is_none_or(|(first, _)| full(&self.files, first)) {
            let path = self.path(first_new);
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            self.files.entry(first_new).or_insert(0);
            self.open = Some((first_new, file));
        }
        if let Some((first, file)) = &mut self.open {
            if let Err(e) = file.write_all(&text).and_then(|()| file.sync_data()) {
                // What of it is on disk ends in half a line: the next begins a file.
                self.open = None;
                return Err(e);
            }
            *self.files.entry(*first).or_insert(0) += added;
        }
        self.make_room()
    }

    fn make_room(&mut self) -> io::Result<()> {
        while self.files.len() > 1 && self.files.values().sum::<u64>() > self.bytes_max {
            let Some(first) = self.files.keys().next().copied() else { break };
            tracing::warn!(first, "the spool is full: its oldest samples are given up");
            self.remove(first)?;
        }
        Ok(())
    }

    /// Whole lines of a file, up to the first that cannot be read.
    fn lines(&self, first: u64) -> io::Result<Vec<Sample>> {
        let file = match File::open(self.path(first)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut all: Vec<Sample> = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            let Ok(sample) = serde_json::from_slice::<Sample>(&line?) else { break };
            if all.last().is_some_and(|last| last.seq >= sample.seq) {
                break;
            }
            all.push(sample);
        }
        Ok(all)
    }

    /// The oldest samples from a number on, `count` at most.
    ///
    /// # Errors
    /// The disk's.
    pub fn oldest(&self, from: u64, count: usize) -> io::Result<Vec<Sample>> {
        let mut all = Vec::new();
        // A file before `from` may reach beyond it.
        let begin = self.files.range(..=from).next_back().map_or(0, |(first, _)| *first);
        for (first, _) in self.files.range(begin..) {
            let lines = self.lines(*first)?;
            all.extend(lines.into_iter().filter(|s| s.seq >= from).take(count - all.len()));
            if all.len() == count {
                break;
            }
        }
        Ok(all)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(n: u64) -> Vec<Sample> {
        let one = |at| Sample {
            seq: 0,
            at_us: i64::try_from(at).unwrap(),
            serial: "SN1".to_owned(),
            said: None,
            fault: Some("x".repeat(100)),
        };
        (0..n).map(one).collect()
    }

    fn numbers(spool: &Spool, from: u64, count: usize) -> Vec<u64> {
        spool.oldest(from, count).unwrap().iter().map(|s| s.seq).collect()
    }

    #[test]
    fn what_is_not_confirmed_is_there_after_a_restart_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
        spool.append(samples(5)).unwrap();
        spool.append(samples(5)).unwrap();
        drop(spool);
        let mut spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
        assert_eq!(spool.next(), 10);
        spool.append(samples(3)).unwrap();
        assert_eq!(numbers(&spool, 0, 100), (0..13).collect::<Vec<_>>());
        assert_eq!(numbers(&spool, 8, 3), [8, 9, 10]);
        spool.confirmed(10).unwrap();
        assert_eq!(numbers(&spool, 10, 100), [10, 11, 12]);
        spool.confirmed(13).unwrap();
        assert_eq!((spool.bytes(), spool.next()), (0, 13));
        // A folder that was lost: the house says where to go on.
        let fresh = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(fresh.path(), SPOOL_BYTES).unwrap();
        spool.confirmed(13).unwrap();
        spool.append(samples(1)).unwrap();
        assert_eq!(numbers(&spool, 0, 9), [13]);
    }

    #[test]
    fn a_line_that_a_crash_cut_is_not_read_and_nothing_after_it_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
        spool.append(samples(3)).unwrap();
        drop(spool);
        let path = dir.path().join(format!("{:020}.spool", 0));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let mut spool = Spool::open(dir.path(), SPOOL_BYTES).unwrap();
        assert_eq!(spool.next(), 2);
        spool.append(samples(2)).unwrap();
        assert_eq!(numbers(&spool, 0, 9), [0, 1, 2, 3]);
    }

    #[test]
    fn a_full_spool_gives_up_its_oldest_and_stays_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let most = 3 * FILE_BYTES;
        let mut spool = Spool::open(dir.path(), most).unwrap();
        for _ in 0..40 {
            spool.append(samples(1_000)).unwrap();
            assert!(spool.bytes() <= most + FILE_BYTES, "{}", spool.bytes());
        }
        let left = numbers(&spool, 0, 40_000);
        assert!(left[0] > 0 && left.last() == Some(&39_999));
        assert!(left.windows(2).all(|w| w[1] == w[0] + 1));
    }
}
