//! `gruve verify`: checks a public record, or a receipt, from the files alone.

mod web;

use crate::cli::VerifyArgs;
use gruve_proof::funds::OwedProof;
use gruve_proof::note::{NOTE_BYTES_MAX, NoteKey};
use gruve_proof::receipt::{self, Receipt};
use gruve_proof::series;
use gruve_proof::sold::SoldLeaf;
use gruve_proof::verify::{
    FolderSource, HEADERS_MAX, Headers, Options, Progress, ReceiptChecker, Source, Verdict,
    VerifyError, Visit, coins, utc, verify,
};
use gruve_proof::witness::WitnessKey;
use gruve_units::{Clock as _, Hashrate, LaneId, SystemClock};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::io::{self, BufRead as _, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use web::WebSource;

/// Bytes of a file of receipts at most: one has some ten thousand, a year of them half a gigabyte.
const RECEIPT_BYTES_MAX: u64 = 1 << 32;
/// Bytes of one of them, or of a page of the API, at most: a page has some two million. Read as JSON it takes some thirty times as much.
const RECEIPT_CHARS_MAX: u64 = 8 << 20;
/// Bytes of a proof of what is owed at most: one has some five thousand.
const OWED_BYTES_MAX: u64 = 1 << 20;

/// Does what the command line asks: 0 when everything holds, 1 for a lie, 2 when it cannot be read.
///
/// # Errors
/// What cannot be used, in words.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, String> {
    let key = args.key.as_deref().map(NoteKey::parse).transpose().map_err(|e| e.to_string())?;
    let state = state_file(args);
    let last = match &state {
        Some(path) if path.exists() => Some(read_visit(path)?),
        _ => None,
    };
    let seen: Result<Vec<String>, String> = args.seen.iter().map(read_note).collect();
    let source: Box<dyn Source> = match args.record.split_once("://") {
        Some(("http", rest)) => Box::new(WebSource::plain(rest)?),
        Some(("https", rest)) => Box::new(WebSource::secure(rest, args.authorities.as_deref())?),
        Some((scheme, _)) => {
            return Err(format!(
                "{scheme}: is not spoken here: copy the folder (aws s3 sync) and verify the copy, or use https"
            ));
        }
        // A slip in the path is nothing that the operator is to blame for.
        None if !Path::new(&args.record).is_dir() => {
            return Err(format!("{}: there is no such folder", args.record));
        }
        None if !has_record(Path::new(&args.record)) => {
            return Err(format!("{}: this folder holds no public record", args.record));
        }
        None => Box::new(FolderSource(PathBuf::from(&args.record))),
    };
    let from_entry = match (&last, args.new_only) {
        (Some(last), true) => last.checkpoint.size,
        _ => 0,
    };
    let headers = read_headers(&args.headers)?;
    let witnesses: Result<Vec<_>, _> = args.witness.iter().map(|w| WitnessKey::parse(w)).collect();
    let witnesses = witnesses.map_err(|e| format!("--witness: {e}"))?;
    let options = Options {
        key,
        last,
        headers,
        destinations: read_destinations(&args.pays)?,
        seen_elsewhere: seen?,
        witnesses_min: args.witnesses.unwrap_or(witnesses.len()),
        witnesses,
        from_entry,
        now_us: now_us(),
        threads: args.threads,
        memory_max: args.memory.saturating_mul(1 << 20),
    };
    let mut shown = Shown::new(args.json);
    match verify(source.as_ref(), &options, &mut |p| shown.progress(p)) {
        Ok(verdict) => {
            shown.clear();
            let mut receipts = Receipts::default();
            if let Some(path) = &args.receipt {
                match check_receipts(path, &verdict, args.json)? {
                    Ok(found) => receipts = found,
                    Err(e) => return Ok(refuse(&e, args.json)),
                }
            }
            if let Some(path) = &args.owed
                && let Err(e) = check_owed(path, &verdict, args.json)?
            {
                return Ok(refuse(&e, args.json));
            }
            let remembered =
                state.as_ref().map_or(Ok(()), |path| write_visit(path, &verdict.visit));
            print(&verdict, &receipts, args.json)?;
            remembered.map_err(|e| {
                format!(
                    "{e}; it holds, but what was seen cannot be remembered for the next time: \
                     name a file with --state, or remember nothing with --forget"
                )
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            shown.clear();
            Ok(refuse(&e, args.json))
        }
    }
}

/// Whether a folder has anything that every public record begins with: one that lacks some of it is a lie, one that lacks
/// all of it another folder.
fn has_record(folder: &Path) -> bool {
    ["checkpoint", "key", "tile"].iter().any(|name| folder.join(name).exists())
}

fn print(verdict: &Verdict, receipts: &Receipts, json: bool) -> Result<(), String> {
    if json {
        let mut said = serde_json::to_value(verdict).map_err(|e| e.to_string())?;
        said["holds"] = true.into();
        said["receipts"] = receipts.checked.into();
        said["receipt_gaps"] = receipts.gaps.clone().into();
        said["receipt_debts_cut"] = receipts.debts_cut.clone().into();
        println!("{}", serde_json::to_string_pretty(&said).map_err(|e| e.to_string())?);
    } else {
        println!("{}", plain(verdict));
        if receipts.checked > 0 {
            println!("{} receipts hold", receipts.checked);
        }
        let told = receipts.gaps.iter().chain(&receipts.debts_cut);
        told.for_each(|what| println!("remark: {}", plain(what)));
    }
    Ok(())
}

fn refuse(error: &VerifyError, json: bool) -> ExitCode {
    let (lie, code) = match error {
        VerifyError::Lie(lie) => (Some(lie), 1),
        VerifyError::Unreadable { .. }
        | VerifyError::TooLarge { .. }
        | VerifyError::TooLong { .. } => (None, 2),
    };
    if json {
        let at = lie.map(|l| (l.name, &l.at));
        let said = serde_json::json!({
            "holds": false, "lie": at.map(|a| a.0), "at": at.map(|a| a.1), "what": error.to_string(),
        });
        println!("{said}");
    } else {
        // It is one line: what stands in it makes no second one that says yes.
        let said = plain(error).replace('\n', "\u{fffd}");
        println!("{}: {said}", if lie.is_some() { "NO" } else { "NOT VERIFIED" });
    }
    ExitCode::from(code)
}

/// What the record, a file's name or a server says, without anything that a terminal would obey or not show.
fn plain(said: &impl fmt::Display) -> String {
    said.to_string().split('\n').map(gruve_proof::verify::plain).collect::<Vec<_>>().join("\n")
}

/// What there is to say of receipts that hold.
#[derive(Default)]
struct Receipts {
    checked: u64,
    /// Epochs that a contract has none of.
    gaps: Vec<String>,
    /// Debts that fell by more than the work.
    debts_cut: Vec<String>,
}

impl Receipts {
    fn of(checked: u64, checker: &ReceiptChecker) -> Receipts {
        Receipts { checked, gaps: checker.gaps(), debts_cut: checker.debts_cut() }
    }
}

/// Checks receipts against the log that was just verified. Each is told in words on its own line.
fn check_receipts(
    path: &Path,
    verdict: &Verdict,
    json: bool,
) -> Result<Result<Receipts, VerifyError>, String> {
    let file = fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut checker = verdict.receipts();
    let mut n = 0;
    let mut read = BufReader::new(file.take(RECEIPT_BYTES_MAX));
    let begins = read.fill_buf().map_err(|e| format!("{}: {e}", path.display()))?;
    // Receipts as text begin with a brace.
    if begins.first() == series::MAGIC.first() {
        let told = checker.check_series(read, |one| {
            if !json {
                tell(verdict, &one.leaf, &one.shown);
            }
        });
        return match told {
            Ok(0) => Err(format!("{}: no receipt in it", path.display())),
            Ok(checked) => Ok(Ok(Receipts::of(checked, &checker))),
            Err(e) => Ok(Err(e)),
        };
    }
    for value in Values::of(read) {
        let receipts = value.and_then(receipts_in);
        let receipts = receipts.map_err(|e| format!("{}: not a receipt: {e}", path.display()))?;
        for receipt in receipts {
            let shown = match checker.check(&receipt) {
                Ok(shown) => shown,
                Err(e) => return Ok(Err(e)),
            };
            n += 1;
            if !json {
                tell(verdict, &receipt.leaf(), &shown);
            }
        }
    }
    if n == 0 {
        return Err(format!("{}: no receipt in it", path.display()));
    }
    Ok(Ok(Receipts::of(n, &checker)))
}

/// Values of JSON one behind the other, each of a bounded length: whoever hands out the file may be who should not be trusted.
struct Values<R: Read> {
    read: serde_json::StreamDeserializer<
        'static,
        serde_json::de::IoRead<Rationed<R>>,
        serde_json::Value,
    >,
    left: Rc<Cell<u64>>,
}

/// What may be read until somebody allows more.
struct Rationed<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Values<R> {
    fn of(from: R) -> Values<R> {
        let left = Rc::new(Cell::new(0));
        let rationed = Rationed { inner: from, left: Rc::clone(&left) };
        Values { read: serde_json::Deserializer::from_reader(rationed).into_iter(), left }
    }
}

impl<R: Read> Iterator for Values<R> {
    type Item = serde_json::Result<serde_json::Value>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left.set(RECEIPT_CHARS_MAX);
        self.read.next()
    }
}

impl<R: Read> Read for Rationed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(to.len());
        if most == 0 && !to.is_empty() {
            return Err(io::Error::other(format!("longer than {RECEIPT_CHARS_MAX} bytes")));
        }
        let n = self.inner.read(&mut to[..most])?;
        self.left.set(self.left.get().saturating_sub(n as u64));
        Ok(n)
    }
}

/// A receipt, or those of a page as the API gives them.
fn receipts_in(mut value: serde_json::Value) -> serde_json::Result<Vec<Receipt>> {
    match value.get_mut("receipts") {
        Some(page) => serde_json::from_value(page.take()),
        None => Ok(vec![serde_json::from_value(value)?]),
    }
}

/// What a receipt that holds says, in words.
fn tell(verdict: &Verdict, leaf: &SoldLeaf, shown: &receipt::Shown) {
    let lane = verdict.lanes.iter().find(|l| l.lane == shown.lane);
    let began = lane.map(|l| utc(shown.epoch.0.saturating_mul(l.epoch_us) / 1_000_000));
    let length = Duration::from_micros(lane.map_or(0, |l| l.epoch_us));
    let rate = Hashrate(leaf.sums.hashrate);
    println!(
        "receipt: contract {} of {} got {} of {} hashes that it had a claim on, in epoch {}{} of lane {} ({}); {} hashes are still owed",
        leaf.contract,
        rate,
        leaf.sums.allocated,
        leaf.entitled,
        shown.epoch,
        began.map_or_else(String::new, |began| format!(" (from {began})")),
        shown.lane,
        if shown.is_proven { "proven work" } else { "unproven work" },
        leaf.sums.owed
    );
    // A claim below the rate may be honest (its first and last epoch, a pause), or a way to give the work to another.
    let whole = rate.work_in(length).0;
    if leaf.entitled < whole {
        println!("  its rate makes {whole} hashes in such an epoch: ask why the claim was on less");
    }
}

/// Checks a proof that a statement of funds counts what is owed, against the log that was just verified.
fn check_owed(
    path: &Path,
    verdict: &Verdict,
    json: bool,
) -> Result<Result<(), VerifyError>, String> {
    let file = fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let read = BufReader::new(file.take(OWED_BYTES_MAX));
    let proof: OwedProof = serde_json::from_reader(read)
        .map_err(|e| format!("{}: not a proof of what is owed: {e}", path.display()))?;
    let shown = match verdict.receipts().check_owed(&proof) {
        Ok(shown) => shown,
        Err(e) => return Ok(Err(e)),
    };
    if !json {
        let (told, owed) = (|sum| coins(&proof.asset, sum), &proof.owed);
        let told = format!(
            "owed: statement {} counts account {} with {} available, {} held, {} maturing and {} prepaid, among {} owed in all",
            proof.statement,
            proof.account,
            told(owed.available),
            told(owed.held),
            told(owed.maturing),
            told(owed.prepaid),
            told(shown.all)
        );
        println!("{}", plain(&told));
    }
    Ok(Ok(()))
}

/// Headers by lane, from `LANE=FILE`.
fn read_headers(all: &[String]) -> Result<BTreeMap<LaneId, Headers>, String> {
    let one = |text: &String| -> Result<(LaneId, Headers), String> {
        let split = text.split_once('=').ok_or("--headers takes LANE=FILE, as btc=headers.bin")?;
        let lane =
            split.0.parse().map_err(|_| format!("{:?} is not the name of a lane", split.0))?;
        let mut bytes = Vec::new();
        let file = fs::File::open(split.1).map_err(|e| format!("{}: {e}", split.1))?;
        // Hexadecimal and a line's end are twice as long and one more.
        let max = 161 * HEADERS_MAX as u64;
        file.take(max).read_to_end(&mut bytes).map_err(|e| format!("{}: {e}", split.1))?;
        let headers = Headers::parse(&bytes).map_err(|e| format!("{}: {e}", split.1))?;
        Ok((lane, headers))
    };
    all.iter().map(one).collect()
}

/// Where blocks of a lane may pay to, from `LANE=SCRIPT`.
fn read_destinations(all: &[String]) -> Result<BTreeMap<LaneId, BTreeSet<Vec<u8>>>, String> {
    let mut by_lane: BTreeMap<LaneId, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for text in all {
        let bad = || format!("--pays takes LANE=SCRIPT, as btc=0014…, not {text:?}");
        let (lane, script) = text.split_once('=').ok_or_else(bad)?;
        let lane = lane.parse().map_err(|_| bad())?;
        by_lane.entry(lane).or_default().insert(hex::decode(script).map_err(|_| bad())?);
    }
    Ok(by_lane)
}

/// This machine's clock.
fn now_us() -> Option<u64> {
    u64::try_from(SystemClock.now().0).ok()
}

/// Where the last visit is remembered.
fn state_file(args: &VerifyArgs) -> Option<PathBuf> {
    if args.forget {
        return None;
    }
    if let Some(path) = &args.state {
        return Some(path.clone());
    }
    let base = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".local/state"));
    let name = gruve_pow::sha256(args.record.as_bytes());
    let base = base.or_else(home)?;
    Some(base.join("gruve").join(format!("verify-{}.json", hex::encode(&name[..8]))))
}

fn read_visit(path: &PathBuf) -> Result<Visit, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| {
        format!(
            "{}: {e}; this is what was seen last time: keep it safe, or name another with --state",
            path.display()
        )
    })
}

fn write_visit(path: &PathBuf, visit: &Visit) -> Result<(), String> {
    let failed = |e: io::Error| format!("{}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(visit).map_err(|e| e.to_string())?;
    let beside = path.with_extension("new");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(failed)
}

fn read_note(path: &PathBuf) -> Result<String, String> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let read = file.take(NOTE_BYTES_MAX as u64).read_to_string(&mut text);
    read.map(|_| text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Progress on a terminal.
struct Shown {
    is_on: bool,
    last: Option<Instant>,
}

impl Shown {
    fn new(json: bool) -> Shown {
        Shown { is_on: !json && io::stderr().is_terminal(), last: None }
    }

    fn progress(&mut self, p: Progress) {
        let due = self.last.is_none_or(|l| l.elapsed() > Duration::from_millis(100));
        if self.is_on && due {
            self.last = Some(Instant::now());
            eprint!("\r{} of {} epochs, {} shares ", p.epochs, p.of, p.shares);
            let _ = io::stderr().flush();
        }
    }

    fn clear(&self) {
        if self.is_on {
            eprint!("\r{:60}\r", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_of_the_api_is_read_as_its_receipts_are() {
        let kept = include_bytes!("../../../testdata/fuzz/record/receipt");
        let one: serde_json::Value = serde_json::from_slice(&kept[1..]).unwrap();
        let alone = receipts_in(one.clone()).unwrap();
        assert_eq!(alone.len(), 1);
        let page = receipts_in(json!({ "receipts": [one, one], "next_epoch": null })).unwrap();
        assert_eq!(page, [alone.clone(), alone].concat());
        assert!(receipts_in(json!({ "receipts": [{}] })).is_err());
        assert!(receipts_in(json!({})).is_err());
    }

    #[test]
    fn nothing_that_is_told_commands_the_terminal() {
        assert_eq!(plain(&"a\u{1b}[2J\r\nb\u{9b}31m"), "a\u{fffd}[2J\u{fffd}\nb\u{fffd}31m");
        // A name of a log may turn the direction of what stands behind it, or look like another.
        assert_eq!(plain(&"log \u{202e}x\u{200b}y: z"), "log \u{fffd}x\u{fffd}y: z");
    }

    #[test]
    fn a_receipt_that_never_ends_is_left() {
        let one = |n: usize| format!("{{\"receipts\":[{}1]}}", "1,".repeat(n / 2));
        for (bytes, is_read) in [(1_000, true), (RECEIPT_CHARS_MAX, false)] {
            let text = one(usize::try_from(bytes).unwrap());
            let said = Values::of(text.as_bytes()).next().unwrap();
            assert_eq!(said.is_ok(), is_read, "{bytes}");
        }
        // Many of them, each short, are no matter.
        let many = format!("\"{}\"\n", "a".repeat(1 << 20)).repeat(9);
        assert!(many.len() as u64 > RECEIPT_CHARS_MAX);
        assert!(Values::of(many.as_bytes()).all(|one| one.is_ok()));
    }
}
