//! The public record of a house that ran: what the verifiers say of it, and of one that is changed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use gruve_proof::summary::EpochSummary;
use gruve_proof::tiles;
use gruve_proof::verify::{FolderSource, Options, VerifyError, verify};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut all, mut todo) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { todo.push(path) } else { all.push(path) }
        }
    }
    all.sort();
    all
}

/// `gruve verify FOLDER --json`, remembering nothing: whether it says yes, and what.
pub fn said(folder: &Path, more: &[&str]) -> (bool, serde_json::Value) {
    let mut args = vec!["verify", folder.to_str().unwrap(), "--forget", "--json"];
    args.extend(more);
    let out = super::support::run(&args);
    let said = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| {
        panic!("{}", String::from_utf8_lossy(&out.stderr));
    });
    (out.status.success(), said)
}

/// What the second verifier says, which follows the format's document.
pub fn python_says(folder: &Path) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../proof/tests/python/verify.py");
    let out = Command::new("python3").arg(script).arg(folder).output();
    let out = out.expect("python3 is needed: apt-get install python3");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// The name of the lie, `none`, or `unreadable`.
pub fn lie(folder: &Path) -> String {
    let source = FolderSource(folder.to_owned());
    match verify(&source, &Options::default(), &mut |_| ()) {
        Ok(_) => "none".to_owned(),
        Err(VerifyError::Lie(lie)) => lie.name.to_owned(),
        Err(
            VerifyError::Unreadable { .. }
            | VerifyError::TooLarge { .. }
            | VerifyError::TooLong { .. },
        ) => "unreadable".to_owned(),
    }
}

/// The last epoch that the log has of each lane.
pub fn last_epochs(folder: &Path) -> BTreeMap<String, u64> {
    let mut last = BTreeMap::new();
    for path in files(&folder.join("tile/entries")) {
        let parts = path.parent().is_some_and(|p| p.extension().is_some_and(|e| e == "p"));
        let name = path.file_name().unwrap().to_str().unwrap();
        // A file that is being written has a name with a dot; one that has grown may be gone by now.
        let width = if parts { name.parse().ok() } else { Some(tiles::WIDTH) };
        let Some(width) = width.filter(|_| !name.starts_with('.')) else { continue };
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for entry in tiles::decode_bundle(&bytes, width).unwrap_or_default() {
            if let Ok(Some(s)) = EpochSummary::parse(&entry) {
                let of: &mut u64 = last.entry(s.lane.to_string()).or_default();
                *of = s.epoch.0.max(*of);
            }
        }
    }
    last
}

/// Changes single bits at random places, of every kind of files by turns, and wants each to be called a lie.
pub fn every_changed_bit_is_a_lie(folder: &Path, flips: u64, mut below: impl FnMut(u64) -> u64) {
    let mut kinds: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in files(folder) {
        let kind = path.strip_prefix(folder).unwrap().iter().take(2).collect();
        // What is named by its hash is of one kind.
        let kind = if path.starts_with(folder.join("data")) { "data".into() } else { kind };
        kinds.entry(kind).or_default().push(path);
    }
    let kinds: Vec<_> = kinds.into_values().collect();
    for n in 0..flips {
        let of = &kinds[usize::try_from(n).unwrap() % kinds.len()];
        let path = &of[usize::try_from(below(of.len() as u64)).unwrap()];
        let bytes = std::fs::read(path).unwrap();
        let at = usize::try_from(below(bytes.len() as u64)).unwrap();
        let mut changed = bytes.clone();
        changed[at] ^= 1 << below(8);
        std::fs::write(path, changed).unwrap();
        let name = lie(folder);
        std::fs::write(path, bytes).unwrap();
        assert!(name != "none" && name != "unreadable", "{}, byte {at}: {name}", path.display());
    }
}
