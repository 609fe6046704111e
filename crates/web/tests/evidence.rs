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

#[test]
fn an_item_of_the_standard_has_one_line_and_a_state() {
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
    assert!(lines > 100, "{lines}");
    // Those that belong to every level-2 check of the first chapter, which were left out once.
    for item in ["1.1.1", "1.1.3", "1.1.5", "1.1.7", "1.9.2", "1.11.1", "5.2.6", "7.4.3", "13.2.3"]
    {
        assert!(seen.contains(item), "{item} is missing");
    }
}

/// `5.1.1–5.1.4` as four.
fn spelt_out(item: &str) -> Vec<String> {
    let numbers =
        |text: &str| -> Vec<u32> { text.split('.').map(|n| n.parse().unwrap()).collect() };
    match item.split_once('–') {
        // A span over sections stands for itself.
        Some((from, to)) if numbers(from)[..2] == numbers(to)[..2] => {
            let (from, to) = (numbers(from), numbers(to));
            (from[2]..=to[2]).map(|n| format!("{}.{}.{n}", from[0], from[1])).collect()
        }
        _ => vec![item.to_owned()],
    }
}
