//! Random input made from real input by fixed seeds, so that what fails once fails again.

use crate::Target;
use gruve_units::{Entropy as _, SeededEntropy};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// The longest input.
const BYTES_MAX: usize = 64 << 10;

/// Random choices of one case.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % n.max(1) as u64).unwrap()
    }

    fn byte(&self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    /// Cuts, doubles, flips, replaces and splices until it is something else.
    fn mutate(&self, bytes: &mut Vec<u8>, words: &[&[u8]]) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(8) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => bytes[at] = self.byte(),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                4 => bytes.insert(at, self.byte()),
                5 if !words.is_empty() => {
                    let word = words[self.below(words.len())];
                    bytes.splice(at..at, word.iter().copied());
                }
                6 => bytes.extend((0..self.below(64)).map(|_| self.byte())),
                _ => {
                    let to = at + self.below(bytes.len() - at + 1);
                    let piece = bytes[at..to].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes.truncate(BYTES_MAX);
    }
}

/// The files of a target's seeds.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn seeds(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/fuzz");
    let folder = folder.join(target.name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = files.map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no seeds", folder.display());
    files.into_iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect()
}

/// Runs every seed as it is, and then `rounds` changed ones.
///
/// # Panics
/// When a promise does not hold: the message says for which file, or which number of a case.
pub fn run(target: &Target, rounds: u64) {
    let seeds = seeds(target);
    for (file, bytes) in &seeds {
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
        assert!(outcome.is_ok(), "{} fails", file.display());
    }
    for case in 0..rounds {
        let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&changed(target, case))));
        assert!(outcome.is_ok(), "{}: case {case} fails", target.name);
    }
}

/// The input of one case.
///
/// # Panics
/// When the target has no seeds.
#[must_use]
pub fn changed(target: &Target, case: u64) -> Vec<u8> {
    thread_local! {
        static SEEDS: std::cell::RefCell<std::collections::HashMap<&'static str, [Vec<Vec<u8>>; 2]>> =
            std::cell::RefCell::default();
    }
    let dice = Dice(SeededEntropy::new(case));
    let mut bytes = SEEDS.with_borrow_mut(|all| {
        let [made, grown] = all.entry(target.name).or_insert_with(|| {
            let is_grown = |file: &Path| {
                file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("grown-"))
            };
            let (grown, made): (Vec<_>, Vec<_>) =
                seeds(target).into_iter().partition(|(file, _)| is_grown(file.as_path()));
            [made, grown].map(|files| files.into_iter().map(|(_, bytes)| bytes).collect())
        });
        // Those made by hand are few and hold whole things: every second case is of one of them.
        let own = if grown.is_empty() || (case.is_multiple_of(2) && !made.is_empty()) {
            made
        } else {
            grown
        };
        own[dice.below(own.len())].clone()
    });
    dice.mutate(&mut bytes, target.words);
    bytes
}
