//! `gruve serve` while it runs: told to restart (SIGUSR2), so that the miners notice nothing and no share is
//! lost; told to say something to them; left by its node; and started again after its operator key was lost.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use ed25519_dalek::SigningKey;
use gruve::demo::Api;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_proof::note::Checkpoint;
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);

fn config(http: u16, stratum: u16, node: u16) -> String {
    let mut toml = String::new();
    write!(
        toml,
        r#"
[house]
name = "Restarting house"
origin = "restart.gruve.example/log"
data = "house"
machine_password = "sixteen characters"
[http]
listen = "127.0.0.1:{http}"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
epoch = "2s"
grace = "500ms"
[lane.node]
url = "http://127.0.0.1:{node}"
user = "user"
password = "secret"
[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 8
class_max = 40
class_start = 12
share_interval = "500ms"
[[site]]
name = "bench"
[[site.machine]]
name = "rig"
lane = "btc"
nameplate = "100 kH/s"
[[site.machine]]
name = "left"
lane = "btc"
nameplate = "100 kH/s"
"#
    )
    .unwrap();
    toml
}

/// A house on a chain of its own, which answers.
struct Site {
    dir: tempfile::TempDir,
    node: DevServer,
    http: u16,
    stratum: u16,
    file: String,
    log: PathBuf,
    house: Running,
}

impl Site {
    async fn open() -> Site {
        Site::with("").await
    }

    /// With more in its configuration.
    async fn with(more: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let http = free_ports(3);
        let (stratum, node) = (http + 1, http + 2);
        let node = serve(dir.path(), node, "secret");
        let file = dir.path().join("gruve.toml");
        std::fs::write(&file, config(http, stratum, http + 2) + more).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let log = dir.path().join("house.log");
        let house = Running::start(&["serve", "--config", &file], &log);
        let api = Api::new(format!("http://127.0.0.1:{http}"));
        until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
        Site { dir, node, http, stratum, file, log, house }
    }

    /// The node is gone; in its place there is one that the house has no password for.
    async fn lose_the_node(self) -> Site {
        self.node.stop().await;
        let node = serve(&self.dir.path().join("other"), self.http + 2, "another");
        Site { node, ..self }
    }

    /// Status and text of a page, as whoever watches the house asks for it.
    fn watch(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(MINUTE)).unwrap();
        let host = format!("host: 127.0.0.1:{}\r\nconnection: close", self.http);
        write!(stream, "GET {path} HTTP/1.1\r\n{host}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, text) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, text.to_owned()))
    }
}

/// A chain of its own in `dir`, with a node at this port.
fn serve(dir: &Path, port: u16, password: &str) -> DevServer {
    let params = DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(1 << 20));
    let dir = dir.join("chain");
    std::fs::create_dir_all(&dir).unwrap();
    let chain =
        DevChain::open(&dir, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    chain.serve(listener, "user", password).unwrap()
}

/// A miner's connection, by hand.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn login(stratum: u16, user: &str) -> Wire {
        let wire = BufReader::new(TcpStream::connect(("127.0.0.1", stratum)).unwrap());
        wire.get_ref().set_read_timeout(Some(MINUTE)).unwrap();
        let mut wire = Wire(wire);
        wire.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1"]}"#);
        let login = format!(
            r#"{{"id":2,"method":"mining.authorize","params":["{user}","sixteen characters"]}}"#
        );
        wire.say(&login);
        let answer = wire.hear(|said| said["id"] == 2);
        assert_eq!(answer["result"], true, "{answer}");
        wire
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next message that is of this kind.
    fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap() > 0 {
            let said = serde_json::from_str(&line).unwrap();
            if wanted(&said) {
                return said;
            }
            line.clear();
        }
        panic!("closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_says_is_shown_by_the_machines_it_is_for() {
    let site = Site::open().await;
    let mut first = Wire::login(site.stratum, "house.rig");
    let mut second = Wire::login(site.stratum, "house.left");
    let said = |to: &[&str], text: &str| {
        let out = run(&[&["admin", "say", "--config", &site.file][..], to, &[text]].concat());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    let shown = |wire: &mut Wire| {
        wire.hear(|m| m["method"] == "client.show_message")["params"][0]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(said(&[], "stopping at six"), "lane btc: sent to 2 connections\n");
    assert_eq!(shown(&mut first), "stopping at six");
    assert_eq!(shown(&mut second), "stopping at six");
    let only = said(&["--to", "house.left"], "look at the left one");
    assert_eq!(only, "lane btc: sent to 1 connections\n");
    said(&[], "all is well");
    assert_eq!(shown(&mut second), "look at the left one");
    // The other has not heard that: the next it hears is what came after.
    assert_eq!(shown(&mut first), "all is well");
    assert!(site.house.stop().await.success(), "{}", tail(&site.log));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_chain_is_halted_is_told_to_who_watches() {
    let site = Site::open().await;
    let well = async || site.watch("/healthz/lanes").filter(|(status, _)| *status == 200);
    let (_, text) = until("the lane is well", MINUTE, well)
        .await
        .unwrap_or_else(|e| panic!("{e}: {:?}\n{}", site.watch("/healthz/lanes"), tail(&site.log)));
    assert_eq!(text, "btc chain=following nodes_ready=1/1\n");
    let site = site.lose_the_node().await;
    let halted = async || {
        let (status, text) = site.watch("/healthz/lanes")?;
        (text.contains("chain=halted")).then_some((status, text))
    };
    let (status, text) = until("the chain is halted", MINUTE, halted)
        .await
        .unwrap_or_else(|e| panic!("{e}: {:?}\n{}", site.watch("/healthz/lanes"), tail(&site.log)));
    assert_eq!((status, text.as_str()), (503, "btc chain=halted nodes_ready=0/1\n"));
    assert_eq!(site.watch("/healthz").unwrap().0, 200, "the process itself is well");
    assert!(site.house.stop().await.success(), "{}", tail(&site.log));
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_notice_no_restart_and_every_acknowledged_share_counts_once() {
    let Site { dir, node: _node, http, stratum, file, log, mut house } = Site::open().await;
    let file = file.as_str();
    let api = Api::new(format!("http://127.0.0.1:{http}"));

    let accepted = dir.path().join("accepted");
    let accepted_arg = accepted.to_str().unwrap();
    let url = format!("stratum+tcp://127.0.0.1:{stratum}");
    let miner_log = dir.path().join("miner.log");
    let password = "sixteen characters";
    let miner = Running::start(
        &[
            "miner",
            "--url",
            &url,
            "--user",
            "house.rig",
            "--password",
            password,
            "--threads",
            "1",
            "--limit",
            "100 kH/s",
            "--accepted-log",
            accepted_arg,
        ],
        &miner_log,
    );
    let lines = || std::fs::read_to_string(&accepted).unwrap_or_default().lines().count();
    let said = || format!("{}\n{}", tail(&miner_log), tail(&log));

    // A connection that only listens: it would hear its end.
    let mut idle = BufReader::new(TcpStream::connect(("127.0.0.1", stratum)).unwrap());
    idle.get_ref().set_read_timeout(Some(MINUTE)).unwrap();
    let hello = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
    idle.get_mut().write_all(hello.as_bytes()).unwrap();
    let mut line = String::new();
    idle.read_line(&mut line).unwrap();

    for round in 1..=3 {
        let before = lines();
        until("shares are acknowledged", MINUTE, async || (lines() > before + 3).then_some(()))
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", said()));
        let mut other = Wire::login(stratum, "house.left");
        let notify = other.hear(|said| said["method"] == "mining.notify");
        kill_process(house.pid(), Signal::USR2).unwrap();
        until("the program is a new one", MINUTE, async || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            (text.matches("dashboards on").count() > round).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", said()));
        assert!(house.is_running(), "it is the same process\n{}", said());
        line.clear();
        idle.get_mut().write_all(b"{\"id\":7,\"method\":\"mining.ping\",\"params\":[]}\n").unwrap();
        idle.read_line(&mut line).unwrap();
        assert_eq!(line, "{\"id\":7,\"result\":\"pong\",\"error\":null}\n", "{}", said());
        // Login and job of before are known: whatever is wrong with this share, it is not that.
        let (job, ntime) = (&notify["params"][0], &notify["params"][7]);
        let params = json!(["house.left", job, "0000000000000000", ntime, "00000000"]);
        other.say(&json!({"id": 9, "method": "mining.submit", "params": params}).to_string());
        let answer = other.hear(|said| said["id"] == 9);
        let is_known = matches!(answer["error"][1].as_str(), Some("low difficulty" | "stale job"));
        assert!(is_known || answer["result"] == true, "{answer}\n{}", said());
    }
    let before = lines();
    until("shares are acknowledged at the end", MINUTE, async || {
        (lines() > before + 3).then_some(())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", said()));
    assert!(miner.stop().await.success());
    let heard = std::fs::read_to_string(&miner_log).unwrap();
    assert!(!heard.contains("not connected"), "{heard}");

    let epoch = async || {
        let epochs = api.get("/api/v1/epochs?lane=btc&limit=1").await.ok()?;
        epochs["items"][0]["epoch"].as_u64()
    };
    let at_end = until("an epoch", MINUTE, epoch).await.unwrap();
    until("two further epochs", MINUTE, async || epoch().await.filter(|e| *e >= at_end + 3))
        .await
        .unwrap();
    assert!(house.stop().await.success(), "{}", tail(&log));
    let out = run(&["admin", "audit", "--json", "--config", file, "--accepted", accepted_arg]);
    let report: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    assert!(out.status.success(), "{report:#}");
    assert_eq!(report["accepted"]["in_exactly_one_epoch"], lines(), "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_operator_key_gives_way_to_one_that_the_recovery_key_appoints() {
    let recovery = SigningKey::from_bytes(&[5; 32]);
    let public = hex::encode(recovery.verifying_key().to_bytes());
    let more = format!("[record]\nrecovery_key = \"{public}\"\n");
    let Site { dir, node: _node, stratum, file, log, house, .. } = Site::with(&more).await;
    let url = format!("stratum+tcp://127.0.0.1:{stratum}");
    let miner_log = dir.path().join("miner.log");
    let login = ["--user", "house.rig", "--password", "sixteen characters"];
    let effort = ["--threads", "1", "--limit", "100 kH/s"];
    let _miner =
        Running::start(&[&["miner", "--url", &url][..], &login, &effort].concat(), &miner_log);
    let folder = dir.path().join("house/record");
    let note = || std::fs::read_to_string(folder.join("checkpoint"));
    let grown = async |size: u64| {
        until("epochs are published", MINUTE, async || {
            let own: u64 = note().ok()?.lines().nth(1)?.parse().ok()?;
            (own > size).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", tail(&miner_log), tail(&log)));
    };
    grown(4).await;
    house.kill();
    let (yes, verdict) = record::said(&folder, &[]);
    assert!(yes, "{verdict:#}");

    // Lost: the house makes another at its start, which nobody has appointed, and stops.
    let key = dir.path().join("house/operator.key");
    let old = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let mut refused = Running::start(&["serve", "--config", &file], &log);
    assert!(!refused.ended(MINUTE).await.success(), "{}", tail(&log));
    let rotate = |secret: [u8; 32]| {
        let path = dir.path().join("recovery.secret");
        std::fs::write(&path, hex::encode(secret)).unwrap();
        let path = path.to_str().unwrap();
        run(&["admin", "rotate-key", "--config", &file, "--recovery", path])
    };
    let by_another = rotate([6; 32]);
    assert!(!by_another.status.success(), "{by_another:?}");
    let told = String::from_utf8(by_another.stderr).unwrap();
    assert!(told.contains("this key may not appoint another"), "{told}");
    let rotated = rotate([5; 32]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));

    let house = Running::start(&["serve", "--config", &file], &log);
    grown(verdict["entries"].as_u64().unwrap() + 4).await;
    house.kill();
    let (yes, verdict) = record::said(&folder, &[]);
    assert!(yes && verdict["keys"].as_array().unwrap().len() == 2, "{verdict:#}");
    let said = record::python_says(&folder);
    assert!(said.starts_with("yes "), "{said}");

    // Whoever has the old one can sign no head of this log any more.
    let mut secret = [0; 32];
    hex::decode_to_slice(old.trim(), &mut secret).unwrap();
    let head = Checkpoint::read(&note().unwrap()).unwrap();
    std::fs::write(folder.join("checkpoint"), head.sign(&SigningKey::from_bytes(&secret))).unwrap();
    assert_eq!(record::lie(&folder), "checkpoint-unsigned");
    let said = record::python_says(&folder);
    assert!(said.starts_with("no "), "{said}");
}

#[test]
fn a_configuration_with_a_fault_stops_no_house() {
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(3);
    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, config(http, http + 1, http + 2)).unwrap();
    let log = dir.path().join("house.log");
    let mut house = Running::start(&["serve", "--config", file.to_str().unwrap()], &log);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shows = |words: &'static str| {
        let waited = support::until(words, MINUTE, async || {
            std::fs::read_to_string(&log).unwrap_or_default().contains(words).then_some(())
        });
        runtime.block_on(waited).unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
    };
    shows("dashboards on");
    std::fs::write(&file, "[house]\nname = 7\n").unwrap();
    kill_process(house.pid(), Signal::USR2).unwrap();
    shows("not restarting");
    assert!(house.is_running());
    assert!(TcpStream::connect(("127.0.0.1", http)).is_ok());
}
