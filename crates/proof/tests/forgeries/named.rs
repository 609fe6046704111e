//! Every lie that the verifier can name is told by a test, and to both verifiers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Lies that the second verifier is not told, and why.
const OURS_ALONE: [(&str, &str); 15] = [
    ("history-cut", "an earlier visit shows it"),
    ("history-rewritten", "an earlier visit shows it"),
    ("other-log", "an earlier visit shows it"),
    ("split-view", "an earlier visit, or what others were shown"),
    ("not-on-the-chain", "headers show it"),
    ("not-the-tip", "headers show it"),
    ("other-target", "headers show it"),
    ("not-yet", "a clock shows it"),
    ("paid-elsewhere", "the reader's own list of places shows it"),
    ("witness-forged", "witnesses that the reader names"),
    ("witnesses-missing", "witnesses that the reader names"),
    ("owed", "told with a customer's own proof: tests/funds.rs, to both"),
    ("receipt", "told with files of receipts: receipts.rs and series.rs, to both"),
    ("overflow", "it takes shares of 2^100 hashes"),
    ("verifier-broke", "ours, when one of its threads ends early: no record brings it about"),
];

/// The sources below a folder, by their paths.
fn sources(folder: &Path, to: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, to);
        } else if path.extension().is_some_and(|e| e == "rs") {
            to.insert(path.display().to_string(), fs::read_to_string(&path).unwrap());
        }
    }
}

/// Texts of lower-case letters and hyphens in quotes, with what stands before and behind each.
fn quoted(code: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    code.match_indices('"').filter_map(move |(at, _)| {
        let rest = &code[at + 1..];
        let len = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-'))?;
        let is_whole = len > 0 && rest[len..].starts_with('"');
        is_whole.then(|| (code[..at].trim_end(), &rest[..len], &rest[len + 1..]))
    })
}

/// The names that the verifier's sources give to lies: hyphens are in no other text there.
fn lies() -> BTreeSet<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = BTreeMap::new();
    sources(&own.join("verify"), &mut all);
    all.insert("verify.rs".into(), fs::read_to_string(own.join("verify.rs")).unwrap());
    let code = all.values().map(|text| text.split("#[cfg(test)]").next().unwrap());
    let is_lie = |before: &str, name: &str| {
        let is_hyphened = name.trim_matches('-').contains('-');
        is_hyphened || before.ends_with("lie(") || before.ends_with("read!(")
    };
    code.flat_map(quoted).filter(|(b, n, _)| is_lie(b, n)).map(|(_, n, _)| n.to_owned()).collect()
}

#[test]
fn every_lie_is_named_by_a_test_and_told_to_both_verifiers() {
    let lies = lies();
    assert!(lies.len() > 75 && lies.contains("overflow") && lies.contains("below-target"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeMap::new();
    sources(&here.join("tests"), &mut tests);
    tests.retain(|path, _| !path.ends_with("named.rs"));
    let mut within = BTreeMap::new();
    sources(&here.join("src"), &mut within);
    let units = within.values().filter_map(|text| text.split_once("#[cfg(test)]"));
    let mut named: BTreeSet<&str> =
        units.flat_map(|(_, test)| quoted(test)).map(|(_, name, _)| name).collect();
    let mut told = BTreeSet::new();
    for (before, name, behind) in tests.values().flat_map(|text| quoted(text)) {
        named.insert(name);
        // `told("lie", "words of the second", …)`, or a line of `lies!`.
        let is_told = before.ends_with("told(") || before.ends_with(':');
        if is_told && behind.trim_start_matches(',').trim_start().starts_with(['"', 's', '&']) {
            told.insert(name);
        }
    }
    let ours: BTreeMap<&str, &str> = OURS_ALONE.into();
    for lie in &lies {
        let lie = lie.as_str();
        assert!(named.contains(lie) || lie == "verifier-broke", "no test names {lie:?}");
        assert!(told.contains(lie) != ours.contains_key(lie), "{lie:?} and the second verifier");
    }
    let gone: Vec<_> = ours.keys().filter(|lie| !lies.contains(**lie)).collect();
    assert!(gone.is_empty(), "no verifier says {gone:?}");
}
