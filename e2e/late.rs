//! Machines that are cut off over the close of an epoch and come back with its work: none of it is lost, none counts
//! twice, and everybody can see in the public record where it went.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/record.rs"]
mod record;
mod support;

use gruve::demo::Api;
use gruve_chain::devchain::{DevChain, DevParams};
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use record::{python_says, said};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);

fn config(http: u16, stratum: u16, node: u16) -> String {
    format!(
        r#"
[house]
name = "House at the end of a long line"
origin = "late.gruve.example/log"
data = "house"
machine_password = "sixteen characters"
[http]
listen = "127.0.0.1:{http}"
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
share_interval = "500ms"
[[site]]
name = "bench"
[[site.machine]]
name = "rig"
lane = "btc"
nameplate = "100 kH/s"
"#
    )
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
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(3);
    // Blocks so seldom that none makes old work stale.
    let params = DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(1 << 40));
    let chain = dir.path().join("chain");
    std::fs::create_dir_all(&chain).unwrap();
    let chain =
        DevChain::open(&chain, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", http + 2)).unwrap();
    let _node = chain.serve(listener, "user", "secret").unwrap();
    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, config(http, http + 1, http + 2)).unwrap();
    let file = file.to_str().unwrap();
    let log = dir.path().join("house.log");
    let house = Running::start(&["serve", "--config", file], &log);
    let api = Api::new(format!("http://127.0.0.1:{http}"));
    until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));

    let line = Line::default();
    let url = format!("stratum+tcp://127.0.0.1:{}", line.lay(http + 1));
    let accepted = dir.path().join("accepted");
    let accepted_arg = accepted.to_str().unwrap();
    let miner_log = dir.path().join("miner.log");
    let miner = ["miner", "--url", &url, "--user", "house.rig", "--password", "sixteen characters"];
    let more = ["--threads", "1", "--limit", "100 kH/s", "--accepted-log", accepted_arg];
    let miner = Running::start(&[&miner[..], &more].concat(), &miner_log);
    let lines = || std::fs::read_to_string(&accepted).unwrap_or_default().lines().count();
    let words = || format!("{}\n{}", tail(&miner_log), tail(&log));
    let epoch = async || {
        let epochs = api.get("/api/v1/epochs?lane=btc&limit=1").await.ok()?;
        epochs[0]["epoch"].as_u64()
    };
    let record = dir.path().join("house/record");
    until("shares are acknowledged", MINUTE, async || (lines() > 3).then_some(()))
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", words()));

    // On a crowded machine a cut may last too long for its work to count: then there is another.
    let is_late = async || {
        let before = until("an epoch", MINUTE, epoch).await.unwrap();
        let had = lines();
        line.cut(true);
        let closed = async || epoch().await.filter(|now| *now > before);
        until("an epoch is closed meanwhile", MINUTE, closed)
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", words()));
        line.cut(false);
        until("shares are acknowledged again", MINUTE, async || (lines() > had + 3).then_some(()))
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", words()));
        let back = epoch().await?;
        until("two more are closed", MINUTE, async || epoch().await.filter(|e| *e > back + 1))
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", words()));
        let (is_true, verdict) = said(&record, &[]);
        assert!(is_true, "{verdict:#}");
        verdict["lanes"][0]["late"].as_u64().filter(|late| *late > 0)
    };
    let late = until("late work in the record", MINUTE * 2, is_late)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", words()));
    assert!(miner.stop().await.success());
    let at_end = epoch().await.unwrap();
    until("the last work is closed", MINUTE, async || epoch().await.filter(|e| *e >= at_end + 2))
        .await
        .unwrap();
    assert!(house.stop().await.success(), "{}", tail(&log));

    let out = run(&["admin", "audit", "--json", "--config", file, "--accepted", accepted_arg]);
    let report: Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    assert!(out.status.success(), "{report:#}");
    assert_eq!(report["accepted"]["in_exactly_one_epoch"], lines(), "{report:#}");
    let (is_true, verdict) = said(&record, &[]);
    assert!(is_true, "{verdict:#}");
    assert!(verdict["lanes"][0]["late"].as_u64() >= Some(late), "{verdict:#}");
    // The last acknowledgement may have been under way when the miner was stopped.
    assert!(verdict["shares"].as_u64() >= Some(lines() as u64), "{verdict:#}");
    assert!(python_says(&record).starts_with("yes"), "{}", python_says(&record));
}
