//! `gruve inspect`: recomputes what follows from a share, a block, a header or an Ethash seal.
//!
//! For support people, and for checking us from outside. The input has the form of the test
//! vectors in `testdata/`: an entry, a list of entries, or an object of such lists; the answer
//! with `--json` has the same shape, under the keys those files use for what is derived.
//!
//! | module | for |
//! |---|---|
//! | `member` | reading members strictly, with errors that name them |
//! | `work` | shares, blocks, headers |
//! | `seal` | Ethash and Etchash |
//! | `facts` | what follows, in order, as JSON and as text |
//!
//! Promises: nothing is computed from a stated result, only from the parts a miner or node was
//! given; a stated result is compared (`agrees`). Bad input is answered with the member that is
//! wrong and what is expected there, and exit code 2; nothing panics.

mod facts;
mod member;
mod seal;
#[cfg(test)]
mod tests;
mod work;

use facts::{Answer, Facts};
use gruve_pow::Difficulty;
use member::{InputError, Member};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of input at most: thousands of blocks with their coinbases; beyond it is a mistake.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Recompute everything that follows from a share, a block, a header or an Ethash seal.
#[derive(Clone, Debug, clap::Args)]
pub struct InspectArgs {
    /// What the file holds.
    #[arg(value_enum)]
    pub kind: InspectKind,
    /// A JSON file: one entry, a list of entries, or an object of such lists; `-` for standard
    /// input.
    pub file: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    pub json: bool,
    /// Also say whether each proof of work reaches this difficulty, compared exactly. Difficulty
    /// 1 is the target 0xffff·2^208 for sha256d, 0xffff·2^224 for scrypt (as pools count), and
    /// one expected hash for ethash (as nodes count).
    #[arg(long, value_name = "D")]
    pub difficulty: Option<String>,
}

/// What an inspected file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum InspectKind {
    /// A Stratum V1 share: `notify`, `extranonce1`, `extranonce2`, `submit`; `algo` if not sha256d.
    Share,
    /// A block's job in its member `stratum`; `algo` if not sha256d.
    Block,
    /// An 80-byte `header`; `algo` if not sha256d.
    Header,
    /// An Ethash seal: `epoch` or `block_number`, `header_hash`, `nonce`; `epoch_length` 60000 or
    /// `algo` for Etchash.
    Ethash,
}

/// Runs the command; exit code 2 for input that cannot be used.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // the command line is handed over whole
pub(crate) fn run(args: InspectArgs) -> ExitCode {
    match inspect(&args) {
        Ok(answer) => {
            let text = if args.json { answer.to_json_text() } else { answer.to_text() };
            // A reader that has closed the pipe wants no more.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            // Silence would look like entries that were checked and found good.
            if let Some(note) = emptiness(&answer) {
                let _ = writeln!(std::io::stderr(), "gruve inspect: {note}");
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "gruve inspect: {message}");
            ExitCode::from(2)
        }
    }
}

fn inspect(args: &InspectArgs) -> Result<Answer, String> {
    let difficulty = match &args.difficulty {
        None => None,
        Some(text) => {
            Some(text.parse::<Difficulty>().map_err(|e| format!("--difficulty {text:?}: {e}"))?)
        }
    };
    let name = args.file.display();
    let bytes = read(&args.file).map_err(|e| format!("cannot read {name}: {e}"))?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|e| format!("{name} is not JSON: {e}"))?;
    derive(args.kind, &value, difficulty.as_ref()).map_err(|e| format!("{name}: {e}"))
}

/// What to say of an answer about nothing.
fn emptiness(answer: &Answer) -> Option<&'static str> {
    match answer {
        Answer::Many(all) if all.is_empty() => Some("the list is empty: nothing was inspected"),
        _ => None,
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(path)?)
    };
    source.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(std::io::Error::other(format!("longer than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// All that follows from what was read.
fn derive(
    kind: InspectKind,
    value: &Value,
    difficulty: Option<&Difficulty>,
) -> Result<Answer, InputError> {
    let mut seals = seal::Caches::default();
    let mut one = |entry: &Member<'_>| derive_one(kind, entry, difficulty, &mut seals);
    let root = Member::root(value);
    match value {
        Value::Array(_) => {
            Ok(Answer::Many(root.list()?.iter().map(one).collect::<Result<_, _>>()?))
        }
        Value::Object(members) if !is_entry(kind, value) => {
            let mut named = Vec::new();
            for (key, list) in members {
                if is_list_of_objects(list) {
                    let facts =
                        root.get(key).list()?.iter().map(&mut one).collect::<Result<_, _>>()?;
                    named.push((key.clone(), facts));
                }
            }
            // With nothing of that form it is meant as an entry, and the error says what it lacks.
            if named.is_empty() { one(&root).map(Answer::One) } else { Ok(Answer::Named(named)) }
        }
        _ => one(&root).map(Answer::One),
    }
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|l| !l.is_empty() && l.iter().all(Value::is_object))
}

/// Whether an object has a member that only an entry of the kind has.
fn is_entry(kind: InspectKind, value: &Value) -> bool {
    let marks: &[&str] = match kind {
        InspectKind::Share => &["notify", "submit", "extranonce1", "extranonce2"],
        InspectKind::Block => &["stratum"],
        InspectKind::Header => &["header", "derived"],
        InspectKind::Ethash => &["epoch", "block_number", "header_hash", "nonce"],
    };
    marks.iter().any(|key| value.get(key).is_some())
}

fn derive_one(
    kind: InspectKind,
    entry: &Member<'_>,
    difficulty: Option<&Difficulty>,
    seals: &mut seal::Caches,
) -> Result<Facts, InputError> {
    entry.object()?;
    let mut facts = Facts::default();
    if let Some(name) = entry.value().get("name").and_then(Value::as_str) {
        facts.label("name", name);
    }
    match kind {
        InspectKind::Share => work::share(entry, difficulty, &mut facts)?,
        InspectKind::Block => work::block(entry, difficulty, &mut facts)?,
        InspectKind::Header => work::header(entry, difficulty, &mut facts)?,
        InspectKind::Ethash => seal::seal(entry, difficulty, seals, &mut facts)?,
    }
    facts.compare_with(entry.value());
    Ok(facts)
}
