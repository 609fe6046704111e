//! The load generator, the floor and the gateway measured by it agree on what happened.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use support::{program, run};

/// A server of `gruve bench stratum`; it ends with its input.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mode: &[&str]) -> Server {
        let mut child = Command::new(program())
            .args(["bench", "stratum"])
            .args(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Server { child, address: said["listening"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn bench(args: &[&str]) -> Value {
    let out = run(&[&["bench", "stratum", "--json"], args].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn side_by_side_the_acknowledged_shares_are_those_in_the_log() {
    let columns = "submit-20x4,job-20";
    let args = ["compare", "--columns", columns, "--rounds", "1", "--warmup", "100ms"];
    let report = bench(&[&args[..], &["--duration", "500ms", "--unpinned"]].concat());
    assert_eq!(report["format"], 2);
    let columns = report["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 2);
    for server in ["floor", "gateway"] {
        let sample = &columns[0]["rounds"][0][server];
        assert!(sample["acknowledged"].as_u64().unwrap() > 0, "{report:#}");
        assert_eq!(sample["acknowledged"], sample["counted"], "{server}: {report:#}");
        assert_eq!(sample["fault"], Value::Null);
        assert!(columns[1][server].as_f64().unwrap() > 0.0, "{report:#}");
    }
}

#[test]
fn every_kind_of_submit_is_answered_as_it_should_be() {
    // 256 hashes a share, so that there are hashes that are none.
    let server = Server::start(&["gateway", "--class", "8"]);
    let mix = "accepted=80,stale=5,duplicate=5,low=5,malformed=5";
    let args = ["submit", &server.address, "--clients", "20", "--in-flight", "2", "--mix", mix];
    let report = bench(&[&args[..], &["--warmup", "100ms", "--duration", "1s"]].concat());
    assert_eq!(
        (&report["unexpected"], &report["out_of_order"]),
        (&0.into(), &0.into()),
        "{report:#}"
    );
    for kind in ["accepted", "stale", "duplicate", "low", "malformed"] {
        assert!(report["answers"][kind].is_object(), "{kind}: {report:#}");
    }
    assert!(report["acknowledged"].as_u64().unwrap() > 0);
}

#[test]
fn a_storm_ends_with_every_client_mining() {
    let server = Server::start(&["gateway"]);
    let report = bench(&["storm", &server.address, "--clients", "300", "--within", "1s"]);
    assert_eq!(report["mining"], 300, "{report:#}");
}
