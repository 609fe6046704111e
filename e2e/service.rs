//! `gruve serve` under a supervisor, by the unit file that comes with it: started when it serves, restarted in
//! place, stopped when it says so.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use rustix::process::{Signal, kill_process};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use support::{Running, free_ports, tail};

const UNIT: &str = include_str!("../packaging/gruve.service");
const MINUTE: Duration = Duration::from_secs(60);

/// The one value of a setting in the unit file.
fn of_unit(key: &str) -> &'static str {
    let mut values = UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("the unit has no {key}"));
    assert_eq!(values.next(), None, "{key}");
    value
}

/// The next word to the supervisor.
fn heard(socket: &UnixDatagram, log: &Path) -> String {
    let mut word = [0; 256];
    let length = socket.recv(&mut word).unwrap_or_else(|e| panic!("{e}\n{}", tail(log)));
    String::from_utf8(word[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn the_units_command_says_when_it_serves_restarts_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let http = free_ports(3);
    let (stratum, node) = (http + 1, http + 2);
    let file = dir.path().join("gruve.toml");
    // Its node is not there: a house serves its pages all the same.
    let config = format!(
        r#"
[house]
name = "Supervised house"
origin = "service.gruve.example/log"
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
"#
    );
    std::fs::write(&file, config).unwrap();
    let supervisor = dir.path().join("notify");
    let socket = UnixDatagram::bind(&supervisor).unwrap();
    socket.set_read_timeout(Some(MINUTE)).unwrap();
    let log = dir.path().join("house.log");

    assert_eq!(of_unit("Type"), "notify");
    let mut words = of_unit("ExecStart").split(' ');
    assert!(words.next().unwrap().ends_with("/gruve"));
    let file = file.to_str().unwrap();
    let args: Vec<_> =
        words.map(|word| if word.ends_with("/gruve.toml") { file } else { word }).collect();
    assert!(args.contains(&file), "{args:?}");
    let mut house = Running::start_with(&args, &[("NOTIFY_SOCKET", &supervisor)], &log);
    assert_eq!(heard(&socket, &log), "READY=1\n");
    let serves = || TcpStream::connect(("127.0.0.1", http)).is_ok();
    assert!(serves(), "{}", tail(&log));

    assert_eq!(of_unit("ExecReload"), "/bin/kill -USR2 $MAINPID");
    kill_process(house.pid(), Signal::USR2).unwrap();
    let said = heard(&socket, &log);
    assert!(said.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said}");
    assert_eq!(heard(&socket, &log), "READY=1\n");
    assert!(serves() && house.is_running(), "{}", tail(&log));

    // What the unit leaves to systemd's default.
    assert!(!UNIT.contains("\nKillSignal="));
    kill_process(house.pid(), Signal::TERM).unwrap();
    assert_eq!(heard(&socket, &log), "STOPPING=1\n");
    assert!(house.ended(MINUTE).await.success(), "{}", tail(&log));
}
