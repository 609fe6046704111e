//! What becomes of shares that are not simply counted: machines that are cut off over the close of an epoch come back with
//! its work, and none of it is lost or counts twice; and where only a sample is opened, it stands for all.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use gruve::demo::Api;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use record::{python_says, said};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);

fn config(http: u16, more: &str) -> String {
    let (stratum, node) = (http + 1, http + 2);
    format!(
        r#"
[house]
name = "House at the end of a long line"
origin = "late.gruve.example/log"
data = "house"
machine_password = "sixteen characters"
[http]
listen = "127.0.0.1:{http}"
{more}
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
epoch = "4s"
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
share_interval = "200ms"
[[site]]
name = "bench"
[[site.machine]]
name = "rig"
lane = "btc"
nameplate = "100 kH/s"
"#
    )
}

/// A house on a chain of its own, and a machine.
struct Site {
    dir: tempfile::TempDir,
    _node: DevServer,
    http: u16,
    file: String,
    log: PathBuf,
    house: Running,
    miner: Option<Running>,
}

impl Site {
    async fn open(more: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let http = free_ports(3);
        // Blocks so seldom that none makes old work stale.
        let params =
            DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(1 << 40));
        let chain = dir.path().join("chain");
        std::fs::create_dir_all(&chain).unwrap();
        let chain =
            DevChain::open(&chain, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", http + 2)).unwrap();
        let node = chain.serve(listener, "user", "secret").unwrap();
        let file = dir.path().join("gruve.toml");
        std::fs::write(&file, config(http, more)).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let log = dir.path().join("house.log");
        let house = Running::start(&["serve", "--config", &file], &log);
        let site = Site { dir, _node: node, http, file, log, house, miner: None };
        let api = site.api();
        until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", tail(&site.log)));
        site
    }

    fn api(&self) -> Api {
        Api::new(format!("http://127.0.0.1:{}", self.http))
    }

    /// Starts the machine, which reaches the house by this port.
    async fn mine(&mut self, port: u16) {
        let url = format!("stratum+tcp://127.0.0.1:{port}");
        let accepted = self.accepted();
        let miner =
            ["miner", "--url", &url, "--user", "house.rig", "--password", "sixteen characters"];
        let more = ["--threads", "1", "--limit", "100 kH/s", "--accepted-log", &accepted];
        let log = self.dir.path().join("miner.log");
        self.miner = Some(Running::start(&[&miner[..], &more].concat(), &log));
        self.acknowledged(4).await;
    }

    fn accepted(&self) -> String {
        self.dir.path().join("accepted").to_str().unwrap().to_owned()
    }

    /// How many shares the machine was told are accepted.
    fn lines(&self) -> usize {
        std::fs::read_to_string(self.accepted()).unwrap_or_default().lines().count()
    }

    async fn acknowledged(&self, shares: usize) {
        let are = async || (self.lines() >= shares).then_some(());
        until("shares are acknowledged", MINUTE, are).await.unwrap_or_else(|e| self.fail(&e));
    }

    /// The last closed epoch.
    async fn epoch(&self) -> Option<u64> {
        let epochs = self.api().get("/api/v1/epochs?lane=btc&limit=1").await.ok()?;
        epochs["items"][0]["epoch"].as_u64()
    }

    /// Waits until this epoch is closed.
    async fn closed(&self, epoch: u64) {
        let is = async || self.epoch().await.filter(|now| *now >= epoch);
        until("an epoch is closed", MINUTE, is).await.unwrap_or_else(|e| self.fail(&e));
    }

    fn fail<T>(&self, what: &str) -> T {
        panic!("{what}\n{}\n{}", tail(&self.dir.path().join("miner.log")), tail(&self.log))
    }

    fn record(&self) -> PathBuf {
        self.dir.path().join("house/record")
    }

    /// What the verifier says of the record now, which must be yes.
    fn verdict(&self) -> Value {
        let (is_true, verdict) = said(&self.record(), &[]);
        assert!(is_true, "{verdict:#}");
        verdict
    }

    /// Stops machine and house when the last work is closed; every acknowledged share must stand in exactly one epoch, and
    /// both verifiers must say yes.
    async fn end(mut self) -> Value {
        assert!(self.miner.take().unwrap().stop().await.success());
        let at_end = self.epoch().await.unwrap();
        self.closed(at_end + 2).await;
        let (record, lines, accepted) = (self.record(), self.lines(), self.accepted());
        assert!(self.house.stop().await.success(), "{}", tail(&self.log));
        let args = ["admin", "audit", "--json", "--config", &self.file, "--accepted", &accepted];
        let out = run(&args);
        let report: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
        assert!(out.status.success(), "{report:#}");
        assert_eq!(report["accepted"]["in_exactly_one_epoch"], lines, "{report:#}");
        let (is_true, verdict) = said(&record, &[]);
        assert!(is_true, "{verdict:#}");
        let second = python_says(&record);
        assert!(second.starts_with("yes"), "{second}");
        verdict
    }
}

/// The line between the machines and the house: while it is cut, what is said on either side waits.
#[derive(Clone, Default)]
struct Line(Arc<(Mutex<bool>, Condvar)>);

impl Line {
    fn cut(&self, is_cut: bool) {
        *self.0.0.lock().unwrap() = is_cut;
        self.0.1.notify_all();
    }

    /// Carries bytes one way until either end hangs up.
    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let own = self.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                let is_cut = own.0.0.lock().unwrap();
                drop(own.0.1.wait_while(is_cut, |is_cut| *is_cut).unwrap());
                if to.write_all(&bytes[..n]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    /// Begins to carry connections to the house; the port where they are taken.
    fn lay(&self, house: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = self.clone();
        thread::spawn(move || {
            for here in listener.incoming() {
                let here = here.unwrap();
                let Ok(there) = TcpStream::connect(("127.0.0.1", house)) else { continue };
                own.carry(here.try_clone().unwrap(), there.try_clone().unwrap());
                own.carry(there, here);
            }
        });
        port
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_machines_cut_off_over_a_close_counts_once_and_the_record_says_where() {
    let mut site = Site::open("").await;
    let line = Line::default();
    let port = line.lay(site.http + 1);
    site.mine(port).await;
    // On a crowded machine a cut may last too long for its work to count: then there is another.
    let is_late = async || {
        let before = site.epoch().await?;
        let had = site.lines();
        line.cut(true);
        site.closed(before + 1).await;
        line.cut(false);
        site.acknowledged(had + 4).await;
        let back = site.epoch().await?;
        site.closed(back + 2).await;
        site.verdict()["lanes"][0]["late"].as_u64().filter(|late| *late > 0)
    };
    let late = until("late work in the record", MINUTE * 2, is_late)
        .await
        .unwrap_or_else(|e| site.fail(&e));
    let lines = site.lines() as u64;
    let verdict = site.end().await;
    assert!(verdict["lanes"][0]["late"].as_u64() >= Some(late), "{verdict:#}");
    assert!(verdict["shares"].as_u64() >= Some(lines), "{verdict:#}");
    let remarks = verdict["remarks"].to_string();
    assert!(
        remarks.contains("shares that its gateways signed for lately, none is missing"),
        "{verdict:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_was_fixed_before_stands_for_all_shares() {
    let mut site = Site::open("[record]\nshares_min = 4\nshares_max = 6").await;
    site.mine(site.http + 1).await;
    until("an epoch", MINUTE, async || site.epoch().await).await.unwrap_or_else(|e| site.fail(&e));
    let sampled = async || {
        let is = site.verdict()["lanes"][0]["sampled"].as_u64();
        is.filter(|sampled| *sampled > 0)
    };
    until("a sampled epoch", MINUTE * 2, sampled).await.unwrap_or_else(|e| site.fail(&e));
    let lines = site.lines() as u64;
    let verdict = site.end().await;
    assert!(verdict["shares"].as_u64() < Some(lines), "not all are opened: {verdict:#}");
    let remarks = verdict["remarks"].to_string();
    assert!(remarks.contains("stand for others that are not opened"), "{verdict:#}");
}
