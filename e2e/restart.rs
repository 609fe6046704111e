//! `gruve serve` told to restart (SIGUSR2): the miners notice nothing, and no share is lost.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use gruve::demo::Api;
use gruve_chain::devchain::{DevChain, DevParams};
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
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
"#
    )
    .unwrap();
    toml
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_notice_no_restart_and_every_acknowledged_share_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(3);
    let (stratum, node) = (http + 1, http + 2);
    let params = DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(1 << 20));
    let chain_dir = dir.path().join("chain");
    std::fs::create_dir_all(&chain_dir).unwrap();
    let chain =
        DevChain::open(&chain_dir, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", node)).unwrap();
    let _node = chain.serve(listener, "user", "secret").unwrap();

    let file = dir.path().join("gruve.toml");
    std::fs::write(&file, config(http, stratum, node)).unwrap();
    let file = file.to_str().unwrap();
    let log = dir.path().join("house.log");
    let mut house = Running::start(&["serve", "--config", file], &log);
    let api = Api::new(format!("http://127.0.0.1:{http}"));
    until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));

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
        epochs[0]["epoch"].as_u64()
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
