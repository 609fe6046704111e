//! What the tests of statements have in common: checking one as its customer would, and changing every number of it.
#![allow(dead_code)] // each test file uses its part

use ed25519_dalek::{Signer, SigningKey};
use gruve_statement::document::chained;
use gruve_statement::{Checker, Report, SignedTerms, Statement, Wrong};
use serde_json::Value;

pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub(crate) fn check(
    terms: &SignedTerms,
    pages: &[Statement],
) -> std::result::Result<Report, Wrong> {
    let mut checker =
        Checker::begin(terms.clone(), Some(key().verifying_key().to_bytes())).unwrap();
    for page in pages {
        // By way of the file, as the customer has it.
        checker.page(&Statement::parse(&serde_json::to_string(page).unwrap()).unwrap())?;
    }
    Ok(checker.finish())
}

/// What the lane says of itself and of its chains, which terms cannot recompute; the public record can.
const FACTS: &[&str] = &[
    "house_work",
    "entitled_all",
    "surplus",
    "all",
    "house",
    "height",
    "reward_minor",
    "before_epoch",
    "first_epoch",
    "first_units",
    "after_units",
    "at_us",
    "made_at_us",
    "to_epoch",
    "epoch",
    "life",
    // FPPS and SOLO
    "subsidy_minor",
    "fee_average_minor",
    "bits",
    "before",
    "stamp_epoch",
    "of_epoch",
    "due_minor",
    "there_minor",
    // Life
    "missing",
    "caused",
    "per_block",
    "earns_micro",
    "price_micro",
    "lost_minor",
    // The meter
    "price_minor",
    "price_hashrate",
    "held_minor",
];

/// Every number of a document with one more and one less in its place: the way to it, and the document.
fn changed(whole: &Value) -> Vec<(String, Value)> {
    fn paths(at: &Value, path: String, all: &mut Vec<String>) {
        match at {
            Value::Object(map) => {
                for (name, v) in map {
                    paths(v, format!("{path}/{name}"), all);
                }
            }
            Value::Array(list) => {
                for (i, v) in list.iter().enumerate() {
                    paths(v, format!("{path}/{i}"), all);
                }
            }
            Value::Number(_) => all.push(path),
            Value::String(s)
                if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && s.len() < 40 =>
            {
                all.push(path);
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    paths(whole, String::new(), &mut all);
    let mut out = Vec::new();
    for path in all {
        for by in [1i128, -1] {
            let mut copy = whole.clone();
            let leaf = copy.pointer_mut(&path).unwrap();
            let new = match &*leaf {
                Value::String(s) => Value::String((s.parse::<i128>().unwrap() + by).to_string()),
                n => Value::from(i64::try_from(i128::from(n.as_i64().unwrap()) + by).unwrap()),
            };
            *leaf = new;
            out.push((path.clone(), copy));
        }
    }
    out
}

/// Every number of a statement, one more and one less: each is found at its line, and where it is no fact of the lane,
/// also when the operator chains and signs it.
pub(crate) fn every_change_is_found(terms: &SignedTerms, page: &Statement) -> (u32, u32) {
    check(terms, std::slice::from_ref(page)).unwrap_or_else(|e| panic!("{e}"));
    let whole = serde_json::to_value(page).unwrap();
    let verdict = |page: &Statement| {
        let mut checker = Checker::begin(terms.clone(), None).unwrap();
        checker.page(page)
    };
    let (mut tried, mut lies, mut facts) = (0, 0, 0);
    for (path, copy) in changed(&whole) {
        // What cannot be read is found as well.
        let Ok(read) = Statement::parse(&copy.to_string()) else { continue };
        tried += 1;
        let wrong = verdict(&read).expect_err(&format!("{path} was changed"));
        if let Some(line) = path.strip_prefix("/lines/").and_then(|p| p.split('/').next()) {
            assert_eq!(wrong.line, Some(line.parse::<usize>().unwrap() + 1), "{path}: {wrong}");
        }
        // An operator who lies chains and signs the lie.
        let lie = signed(read);
        lies += 1;
        if verdict(&lie).is_ok() {
            let name = path.rsplit('/').next().unwrap();
            assert!(FACTS.contains(&name), "{path} was changed and signed, and nothing was found");
            facts += 1;
        }
    }
    assert_eq!(lies, tried);
    (tried, facts)
}

/// As an operator chains and signs what he changed.
pub(crate) fn signed(mut page: Statement) -> Statement {
    page.lines = chained(page.lines.into_iter().map(|l| l.line).collect()).unwrap();
    let signature = key().sign(&page.signed_message().unwrap());
    page.signature = Some(hex::encode(signature.to_bytes()));
    page
}
