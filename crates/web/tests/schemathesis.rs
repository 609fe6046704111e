//! The running API against its document, by a program that makes up requests: no fault of ours, and no answer
//! that the document does not have.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use gruve_accounts::Role;
use gruve_units::Duration;
use gruve_web::{CallPace, WebConfig};
use house::House;
use house::browser::Program;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::oneshot;

/// What is looked at: faults of ours, and whether the document has the answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_schema_conformance";

/// The program, installed into the cache where it is not there yet.
fn schemathesis() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/schemathesis-for-tests");
    let out = std::process::Command::new(script).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
}

/// Operations that no request is made up for, and why.
const LEFT_OUT: [(&str, &str, &str); 2] = [
    ("get", "/api/v1/events", "a stream has no end"),
    ("delete", "/api/v1/sessions/current", "the session that asks is needed to the end"),
];

/// Calls of staff, left out for who is none: each is answered alike, which the authorisation's table looks at.
const OF_STAFF: &str = "/api/v1/console/";

/// Seconds of requests at random for each who asks, after those that the document calls for.
fn seconds() -> String {
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    if is_long { "300" } else { "20" }.to_owned()
}

/// The operations of the document, as method and path, without those that are left out.
fn operations(with_staffs: bool) -> (usize, usize) {
    let document = gruve_web::document();
    let (mut all, mut left_out) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let named = LEFT_OUT.iter().any(|(m, p, _)| m == method && p == path);
            all += 1;
            left_out += usize::from(named || (!with_staffs && path.starts_with(OF_STAFF)));
        }
    }
    (all, left_out)
}

/// One run of the program; gives its own report of it.
async fn run(place: &Path, base: &str, token: &str, with_staffs: bool, phase: &[&str]) -> Value {
    // Read from a file: of a document that it fetches it leaves out the call that gives it.
    let (document, report) = (place.join("openapi.json"), place.join("report.json"));
    std::fs::write(&document, gruve_web::document_text()).unwrap();
    let mut program = Command::new(schemathesis());
    program
        .current_dir(place)
        .args(["run", document.to_str().unwrap(), "--url", base])
        .args(["-H", &format!("Authorization: Bearer {token}")])
        .args(phase)
        // Two threads of Python 3.11 trip over each other where it reads sources (python/cpython#106905).
        .args(["--workers", "1", "--seed", "7"])
        .args(["--generation-database", "none", "--no-color", "--warnings", "off"])
        .args(["--suppress-health-check", "all"])
        .args(["--checks", CHECKS])
        .args(["--report-json-path", report.to_str().unwrap()]);
    for (_, path, _) in LEFT_OUT {
        program.args(["--exclude-path", path]);
    }
    if !with_staffs {
        program.args(["--exclude-path-regex", &format!("^{OF_STAFF}")]);
    }
    let out = program.output().await.unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{phase:?}: {told}\n{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap()
}

#[test]
fn what_no_request_is_made_up_for_is_named_with_the_reason_and_exists() {
    let document = gruve_web::document();
    for (method, path, why) in LEFT_OUT {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
        assert!(why.len() > 10, "{path}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_made_up_from_the_document_find_no_fault_and_no_answer_that_it_does_not_have() {
    // As many calls as there are: the pace has its own test.
    let calls = CallPace { at_once: u32::MAX, interval: Duration::from_micros(1) };
    let house = House::with(WebConfig { calls, ..WebConfig::default() }).await;
    house.epochs(8).await;
    let kari = Program::signed_up(&house.app, "kari").await;
    let order = json!({ "plan": "btc-lease", "hashrate": "100 kH/s", "term_epochs": 6 });
    let quote = kari.post("/api/v1/quotes", order).await.json()["quote"].clone();
    kari.post("/api/v1/contracts", json!({ "quote": quote })).await;
    Program::signed_up(&house.app, "eier").await;
    house.accounts.set_role(None, "eier", Some(Role::Owner)).await.unwrap();
    let owner = Program::signed_in(&house.app, "eier").await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(gruve_web::serve(listener, house.state.clone(), async {
        let _ = stopped.await;
    }));
    let place = gruve_store::testing::TestDir::new();
    for (who, token, is_staff) in
        [("a customer", kari.token.unwrap(), false), ("an owner", owner.token.unwrap(), true)]
    {
        // What the document calls for: every operation, in all the time that it takes.
        let phase = ["--phases", "coverage"];
        let report = run(place.path(), &base, &token, is_staff, &phase).await;
        let told = &report["operations"];
        let (all, left_out) = operations(is_staff);
        assert_eq!(report["stop_reason"], "completed", "as {who}: {report:#}");
        assert_eq!(report["phases"]["coverage"]["status"], "success", "as {who}: {report:#}");
        assert_eq!(told["total"], all, "as {who}: {told}");
        assert_eq!(told["selected"], all - left_out, "as {who}: {told}");
        assert_eq!(told["tested"], all - left_out, "as {who}: {told}");
        let made = report["test_cases"]["generated"].as_u64().unwrap();
        assert!(made > 5 * (all - left_out) as u64, "as {who}: {made} requests");
        println!(
            "as {who}: {} operations, {made} requests, {} s",
            told["tested"], report["running_time"]
        );
        // And as many at random as there is time for.
        let seconds = seconds();
        let phase = ["--phases", "fuzzing", "--max-examples", "20", "--max-time", &seconds];
        let report = run(place.path(), &base, &token, is_staff, &phase).await;
        println!("as {who}, at random: {}", report["test_cases"]);
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
