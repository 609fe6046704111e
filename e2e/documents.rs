//! What the documents say is there: commands, settings, files and headings.
#![allow(clippy::unwrap_used, missing_docs)]

use clap::{CommandFactory as _, Parser as _};
use gruve::cli::Cli;
use gruve::config::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A document, its frames of code apart from its running text.
struct Document {
    /// Its place below the house's folder.
    name: String,
    /// Without the frames.
    text: String,
    /// Each with what stands behind the opening marks.
    frames: Vec<(String, Vec<String>)>,
}

/// Every document that a reader may type from.
fn documents() -> Vec<Document> {
    let mut names: Vec<String> =
        ["README.md", "SECURITY.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned).into();
    for folder in ["docs", "docs/nb"] {
        let entries = std::fs::read_dir(house().join(folder)).unwrap();
        let found = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.extend(found.filter(|n| n.ends_with(".md")).map(|n| format!("{folder}/{n}")));
    }
    names.into_iter().map(read).collect()
}

fn read(name: String) -> Document {
    let whole = std::fs::read_to_string(house().join(&name)).unwrap();
    let mut document = Document { name, text: String::new(), frames: Vec::new() };
    let mut is_code = false;
    for line in whole.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            is_code = !is_code;
            if is_code {
                document.frames.push((kind.to_owned(), Vec::new()));
            }
        } else if is_code {
            document.frames.last_mut().unwrap().1.push(line.trim().to_owned());
        } else {
            document.text.push_str(line);
            document.text.push('\n');
        }
    }
    assert!(!is_code, "{}: a frame without an end", document.name);
    document
}

impl Document {
    /// The lines of its frames, those that end in a backslash joined with the next.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (_, frame) in &self.frames {
            let mut goes_on = false;
            for line in frame {
                let part = line.trim_end_matches('\\').trim();
                match lines.last_mut().filter(|_| goes_on) {
                    Some(last) => *last = format!("{last} {part}"),
                    None => lines.push(part.to_owned()),
                }
                goes_on = line.ends_with('\\');
            }
        }
        lines
    }

    /// What its running text says in letters of the same width.
    fn spans(&self) -> Vec<String> {
        let of_paragraph = |paragraph: &str| {
            let spans = paragraph.split('`').skip(1).step_by(2);
            spans.map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        self.text.split("\n\n").flat_map(of_paragraph).collect()
    }
}

/// A command's words after the program's name; what stands for the reader's own value gets one.
fn words(line: &str) -> Option<Vec<String>> {
    let programs =
        ["gruve ", "target/release/gruve ", "cargo run --release -- ", "sudo -u gruve gruve "];
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
        "ID" | "PAYMENT" | "ACCOUNT" => "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        "N" => "1".to_owned(),
        _ => word,
    };
    Some(words.into_iter().map(own).collect())
}

#[test]
fn the_program_takes_every_command_that_the_documents_show() {
    let mut commands = 0;
    for document in documents() {
        for line in document.lines() {
            let Some(words) = words(&line) else { continue };
            commands += 1;
            if let Err(e) = Cli::try_parse_from(&words) {
                assert!(!e.use_stderr(), "{}: {line}\n{e}", document.name);
            }
        }
    }
    assert!(commands > 70, "only {commands} commands found");
}

/// The word of a command named in running text that the program does not know. Values are often left out there, so names
/// alone count.
fn unknown_word(named: &str) -> Option<String> {
    let mut at = Cli::command();
    at.build();
    for word in named.split([' ', '[', ']', '|']).filter(|w| !w.is_empty()).skip(1) {
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            if !at.get_arguments().any(|a| a.get_long() == Some(flag)) {
                return Some(word.to_owned());
            }
        } else if at.has_subcommands() && word != "…" {
            let Some(next) = at.find_subcommand(word).cloned() else {
                return Some(word.to_owned());
            };
            at = next;
        }
    }
    None
}

#[test]
fn commands_and_their_options_that_running_text_names_are_there() {
    assert_eq!(unknown_word("gruve verify RECORD --seen FILE"), None);
    assert_eq!(unknown_word("gruve verify RECORD --sehen FILE").unwrap(), "--sehen");
    assert_eq!(unknown_word("gruve admin payout").unwrap(), "payout");
    let mut commands = 0;
    for document in documents() {
        for span in document.spans() {
            // The names of forms begin alike and end in a number: `gruve lease terms 2`.
            let is_form = |s: &str| s.ends_with(|c: char| c.is_ascii_digit()) && !s.contains("--");
            if span.starts_with("gruve ") && !is_form(&span) {
                commands += 1;
                let unknown = unknown_word(&span);
                assert_eq!(unknown, None, "{}: `{span}`", document.name);
            }
        }
    }
    assert!(commands > 80, "only {commands} commands found");
}

/// What is wrong with a command that builds or runs a part of the workspace.
fn missing_part(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |option: &str| {
        let at = words.iter().position(|w| *w == option)?;
        words.get(at + 1).copied()
    };
    let package = after("-p")?;
    let short = package.strip_prefix("gruve-").unwrap_or(package);
    let folder = house().join("crates").join(short);
    let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else {
        return Some(format!("no package {package}"));
    };
    for (option, place) in [("--test", "tests"), ("--bench", "benches"), ("--example", "examples")]
    {
        let Some(name) = after(option) else { continue };
        let files = [format!("{place}/{name}.rs"), format!("{place}/{name}/main.rs")];
        let is_there = files.iter().any(|file| folder.join(file).is_file())
            || manifest.contains(&format!("name = \"{name}\""));
        if !is_there {
            return Some(format!("{package} has no {option} {name}"));
        }
    }
    None
}

#[test]
fn tests_benches_and_examples_that_the_documents_name_are_there() {
    assert!(missing_part("cargo test -p gruve-chain --test no_such").is_some());
    assert!(missing_part("cargo bench -p gruve-nowhere").is_some());
    let mut commands = 0;
    for document in documents() {
        let all = document.spans().into_iter().chain(document.lines());
        for command in all.filter(|c| c.contains("cargo ") && c.contains(" -p gruve")) {
            commands += 1;
            assert_eq!(missing_part(&command), None, "{}: {command}", document.name);
        }
    }
    assert!(commands > 15, "only {commands} commands found");
}

#[test]
fn files_that_the_documents_name_are_there() {
    const TOPS: [&str; 7] =
        ["crates/", "docs/", "scripts/", "e2e/", "testdata/", "packaging/", "fuzz/"];
    let mut files = 0;
    for document in documents() {
        for span in document.spans().into_iter().chain(document.lines()) {
            let word = span.split_whitespace().next().unwrap_or_default();
            let path = word.trim_start_matches("./");
            // What only a run leaves behind; what stands for many.
            let is_made = ["fuzz/corpus", "fuzz/artifacts"].iter().any(|p| path.starts_with(p));
            let is_any = path.contains(['*', '<', '…', '{'])
                || path.split(['/', '.']).any(|p| p.len() > 1 && p.chars().all(char::is_uppercase));
            if !TOPS.iter().any(|top| path.starts_with(top)) || is_made || is_any {
                continue;
            }
            files += 1;
            assert!(house().join(path).exists(), "{}: {path}", document.name);
        }
    }
    assert!(files > 60, "only {files} files found");
}

/// All that stands in the workspace's Rust files below a folder.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap()) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn tests_and_settings_that_the_documents_give_by_long_names_are_there() {
    let mut source = String::new();
    for folder in ["crates", "e2e"] {
        sources(&house().join(folder), &mut source);
    }
    let is_of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let known: BTreeSet<&str> =
        source.split(|c| !is_of_a_name(c)).filter(|name| name.matches('_').count() > 3).collect();
    let mut names = 0;
    for document in documents() {
        for span in document.spans() {
            let name = span.rsplit("::").next().unwrap_or_default();
            let (begin, is_cut) = name.strip_suffix('…').map_or((name, false), |n| (n, true));
            if begin.matches('_').count() < 4 || !begin.chars().all(is_of_a_name) {
                continue;
            }
            names += 1;
            let is_there = known.contains(begin)
                || is_cut && known.range(begin..).next().is_some_and(|n| n.starts_with(begin));
            assert!(is_there, "{}: {name}", document.name);
        }
    }
    assert!(names > 50, "only {names} names found");
}

/// The addresses of a document's headings, as forges make them.
fn headings(document: &Document) -> BTreeSet<String> {
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let titles = document.text.lines().filter(|l| l.starts_with('#'));
    let address = |title: &str| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    let numbered = |title| {
        let address: String = address(title);
        let times = taken.entry(address.clone()).or_default();
        *times += 1;
        if *times == 1 { address } else { format!("{address}-{}", *times - 1) }
    };
    titles.map(numbered).collect()
}

#[test]
fn links_between_the_documents_lead_to_files_and_headings_there_are() {
    let all = documents();
    let headings: BTreeMap<&str, BTreeSet<String>> =
        all.iter().map(|d| (d.name.as_str(), headings(d))).collect();
    let mut links = 0;
    for document in &all {
        for to in document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if to.contains("://") {
                continue;
            }
            links += 1;
            let (path, anchor) = to.split_once('#').unwrap_or((to, ""));
            let mut place: Vec<&str> = document.name.split('/').collect();
            if !path.is_empty() {
                place.pop();
                for part in path.split('/') {
                    match part {
                        ".." => drop(place.pop()),
                        part => place.push(part),
                    }
                }
            }
            let place = place.join("/");
            assert!(house().join(&place).exists(), "{}: {to}", document.name);
            // A translation's headings have the English ones' addresses, which the house's own pages give them.
            if let Some(there) = headings.get(place.as_str()).filter(|_| !place.contains("/nb/")) {
                let is_there = anchor.is_empty() || there.contains(anchor);
                assert!(is_there, "{}: {to} is no heading there", document.name);
            }
        }
    }
    assert!(links > 200, "only {links} links found");
}

/// A section of the configuration: its name, and whether there may be several.
type Section = (String, bool);

/// What the program says that it knows in a section, when it is given what it does not; `None` where it is none.
fn settings_in(sections: &[Section]) -> Option<Vec<String>> {
    let (mut text, mut path) = (String::new(), String::new());
    for (at, (name, is_list)) in sections.iter().enumerate() {
        path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if *is_list {
            text.push_str(&format!("[[{path}]]\n"));
        } else if at + 1 == sections.len() {
            text.push_str(&format!("[{path}]\n"));
        }
    }
    text.push_str("nobody = 1\n");
    let faults = Config::parse(&text, Path::new("/")).unwrap_err();
    let said = faults.iter().find_map(|f| f.what.split_once("unknown field `nobody`"))?.1;
    Some(said.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Every setting, by its section.
fn settings() -> BTreeMap<String, Vec<String>> {
    let (mut all, mut todo) = (BTreeMap::new(), vec![Vec::<Section>::new()]);
    while let Some(at) = todo.pop() {
        let Some(keys) = settings_in(&at) else { continue };
        for key in &keys {
            for is_list in [false, true] {
                let inside = [at.clone(), vec![(key.clone(), is_list)]].concat();
                todo.extend(settings_in(&inside).map(|_| inside));
            }
        }
        let path: Vec<&str> = at.iter().map(|(name, _)| name.as_str()).collect();
        all.insert(path.join("."), keys);
    }
    all
}

#[test]
fn every_setting_is_named_in_the_documents_for_operators() {
    let of_operators = ["docs/operators.md", "docs/hosting.md", "docs/funds.md"];
    let mut named = BTreeSet::new();
    for document in documents().iter().filter(|d| of_operators.contains(&d.name.as_str())) {
        for text in document.spans().into_iter().chain(document.lines()) {
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            named.extend(words.map(str::to_owned));
        }
    }
    let settings = settings();
    assert!(settings.contains_key("lane.stratum.v2") && settings.contains_key("plan.fpps.assets"));
    for (section, keys) in settings {
        for key in keys {
            assert!(named.contains(&key), "[{section}] {key} stands in none of {of_operators:?}");
        }
    }
}

#[test]
fn every_setting_that_the_documents_show_is_there() {
    /// Sections of other programs' files.
    const OTHERS: [&str; 3] = ["machine", "asic_rs_login", "template_provider_type.Sv2Tp"];
    let settings = settings();
    let mut shown = 0;
    for document in documents() {
        for (_, frame) in document.frames.iter().filter(|(kind, _)| kind == "toml") {
            let mut section = None;
            for line in frame {
                if line.starts_with('[') {
                    let name = line.split('#').next().unwrap_or_default();
                    section = Some(name.trim().trim_matches(['[', ']']).to_owned());
                }
                let Some(section) = section.as_deref().filter(|s| !OTHERS.contains(s)) else {
                    continue;
                };
                let keys = settings.get(section);
                let keys = keys.unwrap_or_else(|| panic!("{}: [{section}]", document.name));
                // A setting that is commented out is shown as well.
                let line = line.trim_start_matches("# ");
                let key = line.split_once(" = ").map(|(key, _)| key);
                let is_key = |k: &&str| k.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                if let Some(key) = key.filter(is_key) {
                    shown += 1;
                    let is_there = keys.iter().any(|k| k == key);
                    assert!(is_there, "{}: [{section}] {key}", document.name);
                }
            }
        }
    }
    assert!(shown > 40, "only {shown} settings found");
}
