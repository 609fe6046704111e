//! What docs/security.md says is held against the code: each test that it names as evidence is there, and what it says of
//! an item of the standard it says once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of the functions of all rooms.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("fn ").skip(1);
            let name = |t: &str| {
                t.split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
            };
            names.extend(after.filter_map(name));
        }
    }
}

#[test]
fn every_test_that_the_security_document_names_is_there() {
    let mut names = BTreeSet::new();
    for folder in ["crates", "e2e"] {
        functions(&root().join(folder), &mut names);
    }
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (mut named, mut missing) = (0, Vec::new());
    for word in text.split('`').skip(1).step_by(2) {
        let (name, is_cut) = match word.strip_suffix('…') {
            Some(name) => (name, true),
            None => (word, false),
        };
        let is_claim = name.matches('_').count() >= 4
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_claim {
            continue;
        }
        named += 1;
        let found = if is_cut {
            names.range(name.to_owned()..).next().is_some_and(|n| n.starts_with(name))
        } else {
            names.contains(name)
        };
        if !found {
            missing.push(word);
        }
    }
    assert!(named > 60, "{named}");
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

/// The items that the list has a line for, and how many lines there are.
fn listed() -> (BTreeSet<String>, usize) {
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let list = text.split("## The list").nth(1).unwrap();
    let mut seen = BTreeSet::new();
    let mut lines = 0;
    for line in list.lines().filter(|l| l.starts_with("| ") && l.as_bytes()[2].is_ascii_digit()) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() >= 4, "{line}");
        assert!(["yes", "part", "no", "–"].contains(&cells[2]), "{line}");
        assert!(cells[3].len() > 3, "{line}");
        for item in cells[0].split(", ") {
            for one in spelt_out(item) {
                assert!(seen.insert(one.clone()), "{one} stands there twice");
            }
        }
        lines += 1;
    }
    (seen, lines)
}

#[test]
fn an_item_of_the_standard_has_one_line_and_a_state() {
    let (_, lines) = listed();
    assert!(lines > 100, "{lines}");
}

/// The items that version 4.0.3 wants of level 2, by section: up to a number, without those that it has struck out.
const LEVEL_TWO: [(&str, u32, &[u32]); 67] = [
    ("1.1", 7, &[]),
    ("1.2", 4, &[]),
    ("1.4", 5, &[2, 3]),
    ("1.5", 4, &[]),
    ("1.6", 4, &[]),
    ("1.7", 2, &[]),
    ("1.8", 2, &[]),
    ("1.9", 2, &[]),
    ("1.10", 1, &[]),
    ("1.11", 2, &[]),
    ("1.12", 2, &[1]),
    ("1.14", 6, &[]),
    ("2.1", 12, &[]),
    ("2.2", 3, &[]),
    ("2.3", 3, &[]),
    ("2.4", 5, &[]),
    ("2.5", 7, &[]),
    ("2.6", 3, &[]),
    ("2.7", 6, &[]),
    ("2.8", 7, &[]),
    ("2.9", 3, &[]),
    ("2.10", 4, &[]),
    ("3.1", 1, &[]),
    ("3.2", 4, &[]),
    ("3.3", 4, &[]),
    ("3.4", 5, &[]),
    ("3.5", 3, &[]),
    ("3.7", 1, &[]),
    ("4.1", 5, &[4]),
    ("4.2", 2, &[]),
    ("4.3", 3, &[]),
    ("5.1", 5, &[]),
    ("5.2", 8, &[]),
    ("5.3", 10, &[]),
    ("5.4", 3, &[]),
    ("5.5", 4, &[]),
    ("6.1", 3, &[]),
    ("6.2", 6, &[]),
    ("6.3", 2, &[]),
    ("6.4", 2, &[]),
    ("7.1", 4, &[]),
    ("7.2", 2, &[]),
    ("7.3", 4, &[2]),
    ("7.4", 3, &[]),
    ("8.1", 4, &[]),
    ("8.2", 3, &[]),
    ("8.3", 8, &[]),
    ("9.1", 3, &[]),
    ("9.2", 4, &[]),
    ("10.2", 2, &[]),
    ("10.3", 3, &[]),
    ("11.1", 8, &[]),
    ("12.1", 3, &[]),
    ("12.2", 1, &[]),
    ("12.3", 6, &[]),
    ("12.4", 2, &[]),
    ("12.5", 2, &[]),
    ("12.6", 1, &[]),
    ("13.1", 5, &[2]),
    ("13.2", 6, &[4]),
    ("13.3", 2, &[]),
    ("13.4", 2, &[]),
    ("14.1", 4, &[]),
    ("14.2", 6, &[]),
    ("14.3", 3, &[1]),
    ("14.4", 7, &[]),
    ("14.5", 4, &[]),
];

#[test]
fn the_list_has_every_item_of_the_standards_level_two() {
    let (seen, _) = listed();
    let items = LEVEL_TWO.iter().flat_map(|(section, last, struck)| {
        let left = (1..=*last).filter(|n| !struck.contains(n));
        left.map(move |n| format!("{section}.{n}"))
    });
    let missing: Vec<String> = items.filter(|item| !seen.contains(item)).collect();
    assert!(missing.is_empty(), "the list has no line for {missing:?}");
}

/// `5.1.1–5.1.4` as four.
fn spelt_out(item: &str) -> Vec<String> {
    let numbers =
        |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().unwrap()).collect() };
    let Some((from, to)) = item.split_once('–') else { return vec![item.to_owned()] };
    let (from, to) = (numbers(from), numbers(to));
    assert_eq!(from[..2], to[..2], "{item}: a span is within a section");
    (from[2]..=to[2]).map(|n| format!("{}.{}.{n}", from[0], from[1])).collect()
}
