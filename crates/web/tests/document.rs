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
