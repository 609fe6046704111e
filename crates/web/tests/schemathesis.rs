//! The running API against its document, by a program that makes up requests: no fault of ours, and no answer
//! that the document does not have.
#![allow(clippy::unwrap_used, missing_docs)]

mod house;

use gruve_accounts::Role;
use house::House;
use house::browser::Program;
use serde_json::json;
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

/// Seconds for each who asks.
fn seconds() -> String {
    let is_long = std::env::var_os("GRUVE_LONG").is_some();
    if is_long { "300" } else { "40" }.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_made_up_from_the_document_find_no_fault_and_no_answer_that_it_does_not_have() {
    let house = House::new().await;
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
    let program = schemathesis();
    for (who, token) in [("a customer", kari.token.unwrap()), ("an owner", owner.token.unwrap())] {
        let out = Command::new(&program)
            .current_dir(place.path())
            .args(["run", &format!("{base}/api/v1/openapi.json"), "--url", &base])
            .args(["-H", &format!("Authorization: Bearer {token}")])
            .args(["--phases", "coverage,fuzzing", "--max-examples", "20"])
            // Two threads of Python 3.11 trip over each other where it reads sources (python/cpython#106905).
            .args(["--max-time", &seconds(), "--workers", "1", "--seed", "7"])
            .args(["--generation-database", "none", "--no-color", "--warnings", "off"])
            .args(["--suppress-health-check", "all"])
            .args(["--checks", CHECKS])
            // The session that asks is needed to the end, and a stream has none.
            .args(["--exclude-path", "/api/v1/sessions/current"])
            .args(["--exclude-path", "/api/v1/events"])
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&out.stdout);
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "as {who}: {told}\n{errors}");
        if std::env::var_os("GRUVE_TELL").is_some() {
            println!("as {who}: {told}");
        }
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}
