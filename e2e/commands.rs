//! What the documents tell people to type.
#![allow(clippy::unwrap_used, missing_docs)]

use clap::Parser;
use gruve::cli::Cli;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "support/mod.rs"]
mod support;

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run_in(folder: &Path, args: &[&str]) -> Output {
    Command::new(support::program()).args(args).current_dir(folder).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn a_newcomer_gets_a_sample_in_the_folder_he_stands_in_and_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let made = run_in(dir.path(), &["config", "init", "gruve.toml"]);
    assert!(made.status.success(), "{}", told(&made));
    let checked = run_in(dir.path(), &["config", "check", "--config", "gruve.toml"]);
    assert!(checked.status.success(), "{}", told(&checked));

    let kept = std::fs::read(dir.path().join("gruve.toml")).unwrap();
    let again = run_in(dir.path(), &["config", "init", "gruve.toml"]);
    assert!(!again.status.success() && told(&again).contains("--force"), "{}", told(&again));
    assert_eq!(std::fs::read(dir.path().join("gruve.toml")).unwrap(), kept);
}

#[test]
fn a_share_of_the_readme_is_inspected() {
    let args = ["inspect", "share", "testdata/shares-sha256d.json"];
    let output = run_in(&house(), &args);
    assert!(output.status.success(), "{}", told(&output));
}

/// Every document that a reader may type from.
fn documents() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(house().join("docs")).unwrap().map(|e| e.unwrap().path());
    let top = ["README.md", "SECURITY.md", "ARCHITECTURE.md"].map(|name| house().join(name));
    let is_text = |path: &PathBuf| path.extension().is_some_and(|e| e == "md");
    docs.chain(top).filter(is_text).collect()
}

/// The lines of a document's code blocks, those that end in a backslash joined with the next.
fn code_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut is_code, mut goes_on) = (false, false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            let part = line.trim().trim_end_matches('\\').trim().to_owned();
            match lines.last_mut() {
                Some(last) if goes_on => *last = format!("{last} {part}"),
                _ => lines.push(part),
            }
            goes_on = line.trim_end().ends_with('\\');
        }
    }
    lines
}

/// A command's words after the program's name; what stands for the reader's own value gets one.
fn words(line: &str) -> Option<Vec<String>> {
    let programs = ["gruve ", "target/release/gruve ", "cargo run --release -- "];
    let rest = programs.iter().find_map(|program| line.strip_prefix(program))?;
    let rest =
        rest.split(" # ").next().unwrap_or(rest).replace(['[', ']'], " ").replace("...", " ");
    let mut words = vec!["gruve".to_owned()];
    let mut is_quoted = false;
    for part in rest.split('"') {
        if is_quoted {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
        is_quoted = !is_quoted;
    }
    let own = |word: String| match word.as_str() {
        "ID" => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        "N" => "1".to_owned(),
        _ => word,
    };
    Some(words.into_iter().map(own).collect())
}

#[test]
fn the_program_takes_every_command_that_the_documents_show() {
    let mut commands = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in code_lines(&text) {
            let Some(words) = words(&line) else { continue };
            commands += 1;
            if let Err(e) = Cli::try_parse_from(&words) {
                assert!(!e.use_stderr(), "{}: {line}\n{e}", document.display());
            }
        }
    }
    assert!(commands > 12, "only {commands} commands found");
}
