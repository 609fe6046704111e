//! `gruve statement check`: a customer's two files, one against the other, with nothing else at hand.

use gruve_statement::hosting::{HostingChecker, HostingReport, HostingStatement, HostingTerms};
use gruve_statement::{Checker, Report, SignedTerms, Statement, Wrong, document, terms};
use serde::Serialize;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `gruve statement check`
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The signed terms, as downloaded.
    pub terms: PathBuf,
    /// The statement: all its pages, in order.
    #[arg(required = true)]
    pub statement: Vec<PathBuf>,
    /// The operator's key (64 hexadecimal digits): terms and statement must be signed by it, or by one of several.
    #[arg(long, value_name = "HEX", value_parser = parse_key)]
    pub key: Vec<[u8; 32]>,
    /// Print the finding as JSON.
    #[arg(long)]
    pub json: bool,
}

fn parse_key(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).map_err(|e| format!("not a key: {e}"))?;
    Ok(key)
}

/// What is printed for machines.
#[derive(Serialize)]
struct Finding<'a> {
    holds: bool,
    wrong: Option<&'a Wrong>,
    report: Option<&'a Report>,
}

/// The terms are not what they say they are: as false as a wrong line, and on no page.
fn no_terms(args: &CheckArgs, why: String) -> Result<ExitCode, String> {
    if args.json {
        let wrong = Wrong { page: 0, line: None, place: "terms".into(), why };
        print(args, &Finding { holds: false, wrong: Some(&wrong), report: None })?;
    } else {
        eprintln!("gruve: {why}");
    }
    Ok(ExitCode::FAILURE)
}

/// Recomputes every line. Fails with the first wrong one.
///
/// # Errors
/// When a file cannot be read, or the terms are not the operator's.
pub fn check(args: &CheckArgs) -> Result<ExitCode, String> {
    let file = SignedTerms::parse(&read(&args.terms, 2 * terms::BYTES_MAX as u64)?);
    let said = |e: &dyn std::fmt::Display| format!("{}: {e}", args.terms.display());
    let file = file.map_err(|e| said(&e))?;
    // Of several, the one that the terms name; if they name another one they are not the operator's.
    let named = |key: &&[u8; 32]| file.operator_key == Some(hex::encode(key));
    let key = args.key.iter().find(named).or(args.key.first()).copied();
    if HostingTerms::are_in(&file.terms) {
        return match HostingChecker::begin(file, key) {
            Ok(checker) => check_bills(args, checker.or_by(args.key.iter().copied())),
            Err(e) => no_terms(args, said(&e)),
        };
    }
    let mut checker = match Checker::begin(file, key) {
        Ok(checker) => checker.or_by(args.key.iter().copied()),
        Err(e) => return no_terms(args, said(&e)),
    };
    for path in &args.statement {
        let page = Statement::parse(&read(path, document::BYTES_MAX)?);
        let page = page.map_err(|e| format!("{}: {e}", path.display()))?;
        if let Err(wrong) = checker.page(&page) {
            print(args, &Finding { holds: false, wrong: Some(&wrong), report: None })?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let report = checker.finish();
    print(args, &Finding { holds: true, wrong: None, report: Some(&report) })?;
    Ok(ExitCode::SUCCESS)
}

/// The same of a hosted machine's bills.
fn check_bills(args: &CheckArgs, mut checker: HostingChecker) -> Result<ExitCode, String> {
    let print = |wrong: Option<&Wrong>, report: Option<&HostingReport>| -> Result<(), String> {
        if args.json {
            let finding = BillFinding { holds: wrong.is_none(), wrong, report };
            println!("{}", serde_json::to_string_pretty(&finding).map_err(|e| e.to_string())?);
            return Ok(());
        }
        if let Some(wrong) = wrong {
            println!("WRONG: {wrong}");
        }
        if let Some(report) = report {
            print!("{}", told_bills(report, !args.key.is_empty()));
        }
        Ok(())
    };
    for path in &args.statement {
        let page = HostingStatement::parse(&read(path, document::BYTES_MAX)?);
        let page = page.map_err(|e| format!("{}: {e}", path.display()))?;
        if let Err(wrong) = checker.page(&page) {
            print(Some(&wrong), None)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    print(None, Some(&checker.finish()))?;
    Ok(ExitCode::SUCCESS)
}

/// What is printed for machines, of bills.
#[derive(Serialize)]
struct BillFinding<'a> {
    holds: bool,
    wrong: Option<&'a Wrong>,
    report: Option<&'a HostingReport>,
}

fn told_bills(r: &HostingReport, by_key: bool) -> String {
    let amount = |minor| gruve_units::Amount::new(r.asset, minor).to_string();
    let mut out = vec![format!("hosting contract {}, machine {}", r.contract, r.serial)];
    if let Some(key) = &r.terms_signed_by {
        out.push(format!("terms {} signed by {key}", r.terms_sha256));
    }
    if !by_key {
        out.push(ANY_KEY.into());
    }
    out.push(format!(
        "{} bills recomputed on {} signed pages, up to epoch {}",
        r.bills, r.pages, r.closing.billed_until
    ));
    if r.blocks > 0 {
        out.push(format!(
            "{} outputs of blocks paid the owner themselves, each what the published fee leaves of it, or its part of that (the chain has them)",
            r.blocks
        ));
    }
    if let Some(next) = r.next_bill {
        out.push(format!("there is more: the next page begins with bill {next}"));
    }
    out.push(format!(
        "paid {}, waived {}, owed {}",
        amount(r.closing.paid_minor),
        amount(r.closing.waived_minor),
        amount(r.closing.arrears_minor)
    ));
    out.push("every bill follows from the terms and the bills before it".into());
    out.push(
        "taken as given: energy and time up as measured, and what the balance held (docs/hosting.md)"
            .into(),
    );
    out.join("\n") + "\n"
}

fn read(path: &Path, bytes_max: u64) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{} cannot be read: {e}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(bytes_max + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > bytes_max {
        return Err(format!("{} is larger than {bytes_max} bytes", path.display()));
    }
    Ok(text)
}

fn print(args: &CheckArgs, finding: &Finding<'_>) -> Result<(), String> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(finding).map_err(|e| e.to_string())?);
        return Ok(());
    }
    if let Some(wrong) = finding.wrong {
        println!("WRONG: {wrong}");
    }
    if let Some(report) = finding.report {
        print!("{}", told(report, !args.key.is_empty()));
    }
    Ok(())
}

/// Said where nobody was asked for: a forger signs with a key of its own.
const ANY_KEY: &str = "the key stands in the file itself: give the operator's with --key, from a place that you trust, to know that it is not a \
    forger's";

fn told(r: &Report, by_key: bool) -> String {
    let mut out = vec![format!("contract {}", r.contract)];
    out.push(match &r.terms_signed_by {
        Some(key) => format!("terms {} signed by {key}", r.terms_sha256),
        None => format!("terms {}, from before terms were signed", r.terms_sha256),
    });
    if !by_key && r.terms_signed_by.is_some() {
        out.push(ANY_KEY.into());
    }
    out.push(format!(
        "{} lines recomputed on {} pages ({} signed), up to epoch {}",
        r.lines, r.pages, r.signed_pages, r.to_epoch
    ));
    if let Some(next) = r.next_epoch {
        out.push(format!("there is more: the next page begins with epoch {next}"));
    }
    out.push(format!("delivered {} hashes", r.closing.delivered));
    for h in &r.closing.assets {
        let amount = |minor| gruve_units::Amount::new(h.asset, minor).to_string();
        out.push(format!(
            "{}: settled {}, to the balance {}",
            h.asset,
            amount(h.settled_minor),
            amount(h.net_minor)
        ));
    }
    out.push("every line follows from the terms and the lines before it".into());
    out.push(
        "taken as given: the lane's work, units and windows, and the chain's blocks (docs/statements.md)".into(),
    );
    out.join("\n") + "\n"
}
