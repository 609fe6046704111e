//! The `OpenAPI` document: whole, checked in, and true.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use axum::http::StatusCode;
use gruve_web::{Access, document, document_text, routes};
use house::House;
use house::browser::Program;
use serde_json::Value;
use std::path::Path;

#[tokio::test]
async fn every_call_of_the_api_stands_in_the_document_with_who_may_make_it() {
    let house = House::new().await;
    let document = document();
    let mut described = 0;
    for r in routes(&house.state).iter().filter(|r| r.path.starts_with("/api/")) {
        let method = r.method.as_str().to_ascii_lowercase();
        let operation = &document["paths"][r.path][&method];
        assert!(
            operation.is_object(),
            "{} {} is not described: use Routes::api_…",
            r.method,
            r.path
        );
        assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{}", r.path);
        let security = operation["security"].as_array().unwrap();
        assert_eq!(security.is_empty(), r.access == Access::Public, "{} {}", r.method, r.path);
        let named = r.path.contains('{');
        let empty = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&empty);
        assert_eq!(named, parameters.iter().any(|p| p["in"] == "path"), "{}", r.path);
        let key = parameters.iter().any(|p| p["name"] == "Idempotency-Key");
        let changes = r.method != axum::http::Method::GET;
        let by_somebody = matches!(r.access, Access::Bearer | Access::StaffBearer(_));
        assert_eq!(key, changes && by_somebody, "{} {}", r.method, r.path);
        described += 1;
    }
    let all = document["paths"].as_object().unwrap().values();
    assert_eq!(all.map(|item| item.as_object().unwrap().len()).sum::<usize>(), described);
}

#[tokio::test]
async fn the_document_checked_in_and_the_one_given_out_are_the_one_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("GRUVE_WRITE_OPENAPI").is_some() {
        std::fs::write(&file, document_text()).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == document_text(),
        "docs/openapi.json is old: gruve admin openapi > docs/openapi.json"
    );
    let house = House::new().await;
    let given = Program::new(&house.app).get("/api/v1/openapi.json").await;
    assert_eq!((given.status, given.body), (StatusCode::OK, kept));
}

/// References that lead nowhere, and identifiers that stand twice, would be refused by every reader.
#[test]
fn the_document_refers_to_nothing_that_is_not_in_it_and_names_no_operation_twice() {
    fn references<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                all.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|v| references(v, all));
            }
            Value::Array(items) => items.iter().for_each(|v| references(v, all)),
            _ => {}
        }
    }
    let document = document();
    let mut all = Vec::new();
    references(&document, &mut all);
    assert!(all.len() > 100);
    for name in all {
        assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    }
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let mut names: Vec<_> = operations.map(|o| o["operationId"].as_str().unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_failure_has_its_line_in_the_documentation() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let document = document();
    let kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"].clone();
    for kind in kinds.as_array().unwrap() {
        let word = kind.as_str().unwrap().trim_start_matches("urn:gruve:problem:");
        assert!(docs.contains(&format!("`{word}`")), "{word}");
    }
}

#[tokio::test]
async fn an_answer_that_the_document_does_not_have_is_noticed() {
    let document = document();
    let schema = &document["components"]["schemas"]["Money"];
    let fine = serde_json::json!({ "asset": "BTC", "minor": 1, "decimal": "0.00000001" });
    assert_eq!(house::document::wrong(schema, &fine, ""), None);
    for (member, value) in [("asset", "XYZ"), ("minor", "1"), ("more", "1")] {
        let mut other = fine.clone();
        other[member] = value.into();
        assert!(house::document::wrong(schema, &other, "").is_some(), "{member}");
    }
    let mut other = fine;
    other.as_object_mut().unwrap().remove("decimal");
    assert!(house::document::wrong(schema, &other, "").is_some());
}

/// What a room writes, read from text by the room itself and written again.
fn written<T: serde::Serialize + serde::de::DeserializeOwned>(text: Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(text).unwrap()).unwrap()
}

/// That each kind of line is the document's, with its types, and that one member more or less, or of another type, is
/// noticed: that no member is forgotten is checked where it is compiled.
#[test]
fn papers_of_other_rooms_are_written_as_the_document_says() {
    use gruve_statement::document::Line;
    let hash = "ab".repeat(32);
    let units = serde_json::json!([{ "asset": "BTC", "all": "3", "house": "2", "own": "1" }]);
    let lines = serde_json::json!([
        { "is": "epoch", "epoch": 7, "began_us": 70, "house_work": "9", "entitled_all": "8", "surplus": "1",
          "entitled": "4", "made_good": "1", "delivered": "5", "delivered_sum": "5", "shortfall": "0",
          "upkeep": "6", "upkeep_due": "6", "units": units },
        { "is": "end", "epoch": 7, "complete": false, "refund": { "asset": "BTC", "minor": 0 },
          "charged_back": { "lost_minor": 5, "kept_minor": 4 } },
        { "is": "accrual", "epoch": 7, "asset": "BTC", "block": hash, "life": 0, "height": 9, "reward_minor": 50,
          "before_epoch": 8, "first_epoch": null, "first_units": "0", "after_units": "1", "own_first": "0",
          "own_after": "1", "accrual": "18446744073709551616" },
        { "is": "credit", "epoch": 7, "asset": "BTC", "block": hash, "life": 0, "accrual": "1" },
        { "is": "settlement", "epoch": 7, "from_epoch": 6, "at_us": 80, "asset": "BTC", "number": 1, "gross_minor": 5,
          "fee_minor": 1, "maintenance_minor": 1, "waived_minor": 0, "net_minor": 3, "fee_carry": 9_999, "carried": "0",
          "limited": { "due_minor": 5, "there_minor": 4 } },
        { "is": "reversal", "epoch": 7, "at_us": 80, "asset": "BTC", "block": hash, "life": 0, "accrual": "1" },
        { "is": "take-back", "epoch": 7, "asset": "BTC", "number": 2, "block": hash, "life": 0, "gross_minor": 5,
          "fee_minor": 1, "net_minor": 4 },
        { "is": "priced", "epoch": 7, "of_epoch": 6, "asset": "BTC", "delivered": "5", "house_work": "9", "earned": "1",
          "jobs": [{ "height": 9, "bits": 486_604_799, "work": "9", "subsidy_minor": 50, "fee_average_minor": 1 }] },
        { "is": "found", "epoch": 7, "asset": "BTC", "block": hash, "life": 0, "height": 9, "reward_minor": 50,
          "stamp_epoch": 7, "house_work": "9", "before": "0", "own": "5", "place": "4", "accrual": "1" },
        { "is": "usage", "epoch": 7, "began_us": 70, "price_minor": 5, "price_hashrate": "1000", "held_minor": 9,
          "cap": "9", "house_work": null, "entitled_all": "8", "entitled": "4", "delivered": "5", "delivered_sum": "5",
          "cost": "1", "charged_minor": 1, "released_minor": 8, "cost_carry": "0", "upkeep": "6", "upkeep_due": "6",
          "units": [] },
        { "is": "meter", "epoch": 7, "at_us": 80, "what": "stopped", "delivered_sum": "5", "charged_minor": 1,
          "cost_carry": "0" },
        { "is": "aside", "epoch": 7, "hashes": "3" },
        { "is": "judgement", "epoch": 7, "of_epoch": 6, "missing": "9", "caused": "3", "aside": "3", "part": "1" },
        { "is": "choice", "epoch": 7, "at_us": 80, "of_epoch": 6, "choice": "lapsed", "hashes": "1" },
        { "is": "owed", "epoch": 7, "of_epoch": 6, "why": "missed", "asset": "BTC", "hashes": "1", "bits": 1,
          "per_block": "1", "price_micro": 5, "energy_usd_micro_per_th_day": 4, "due": "1", "paid_minor": 0 },
        { "is": "decision", "epoch": 7, "instant_us": 80, "price_micro": 1, "earns_micro": 1, "costs_micro": 2,
          "decision": "override", "effective_epoch": 8 },
        { "is": "pause", "epoch": 9, "from_epoch": 7, "epochs": 3 },
        { "is": "freeze", "epoch": 9, "from_epoch": 7 },
        { "is": "dollars", "epoch": 7, "instant_us": 80, "total": "2", "due": "1", "price_micro": 5, "coins": "1",
          "upkeep_due": "6" },
    ]);
    let document = document();
    let schemas = &document["components"]["schemas"];
    let holds = |name: &str, value: &Value| {
        assert_eq!(house::document::wrong(&schemas[name], value, ""), None, "{name}: {value}");
        for member in value.as_object().unwrap().keys() {
            let mut other = value.clone();
            other[member] = serde_json::json!([{}]);
            let found = house::document::wrong(&schemas[name], &other, "");
            assert!(found.is_some(), "{name}: {member} may be anything");
        }
        let mut more = value.clone();
        more["more"] = Value::Null;
        assert!(house::document::wrong(&schemas[name], &more, "").is_some(), "{name}: one more");
    };
    let kinds = schemas["StatementLine"]["anyOf"].as_array().unwrap().len();
    assert_eq!(kinds, lines.as_array().unwrap().len());
    for line in lines.as_array().unwrap() {
        holds("StatementLine", &written::<Line>(line.clone()));
    }
    let sums = serde_json::json!({ "hashrate": "5", "allocated": "4", "owed": "3" });
    let mut sibling = sums.clone();
    sibling["hash"] = hash.as_str().into();
    let receipt = serde_json::json!({
        "version": 1, "origin": "gruve.test/log", "contract": "0190a5d0-0000-7000-8000-000000000000", "kind": 0,
        "work": sums, "entitled": "340282366920938463463374607431768211455",
        "private": { "salt": hash, "nonce": hash, "terms": hash, "units": "1", "refund_minor": 5, "refund_asset": "BTC" },
        "leaf_index": 1, "sold_proof": [sibling], "entry": "00", "entry_index": 2, "log_proof": [hash],
        "checkpoint": "gruve.test/log\n3\n",
    });
    holds("Receipt", &written::<gruve_proof::receipt::Receipt>(receipt));
    let owed = serde_json::json!({
        "version": 1, "statement": 2, "asset": "BTC", "account": "0190a5d0-0000-7000-8000-000000000000", "salt": hash,
        "owed": { "available": "1", "held": "0", "maturing": "2", "prepaid": "3" }, "leaf_index": 0,
        "owed_proof": [{ "sum": "5", "hash": hash }],
        "logged": { "origin": "gruve.test/log", "entry": "00", "entry_index": 2, "log_proof": [hash], "checkpoint": "" },
    });
    holds("FundsProof", &written::<gruve_proof::funds::OwedProof>(owed));
    let life = serde_json::to_value(gruve_market::PlanLife::default()).unwrap();
    holds("PlanLife", &life);
}
