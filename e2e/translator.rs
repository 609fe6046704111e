//! V1 miners behind the real `translator_sv2` on our V2 port, on a development chain: shares come
//! through, blocks are found, classes and epochs change, and nobody is dropped for it.
//!
//! The translator answers V1 miners before it has our answer, so what the house took is read from
//! the translator's own log.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use gruve::demo::Api;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_stratum::v2::AuthorityKey;
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use rustix::process::{Signal, kill_process};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use support::{Running, free_ports, tail, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const MACHINE_PASSWORD: &str = "0123456789abcdef0123";
const MINUTE: Duration = Duration::from_secs(60);

/// A house, its chain, and room for a translator.
struct Place {
    dir: tempfile::TempDir,
    chain: DevChain,
    _node: DevServer,
    base: u16,
    key: AuthorityKey,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let base = free_ports(5);
        let mut params =
            DevParams::new(Asset::Btc, Algorithm::Sha256d).with_start_work(Hashes(1 << 19));
        params.spacing_secs = 3;
        params.coinbase_maturity = 5;
        let chain_dir = dir.path().join("chain");
        std::fs::create_dir_all(&chain_dir).unwrap();
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let chain = DevChain::open(&chain_dir, params, clock, entropy).unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", base + 3)).unwrap();
        let node = chain.serve(listener, "gruve", "secret").unwrap();
        let key = AuthorityKey::generate(&SystemEntropy);
        std::fs::write(dir.path().join("authority.key"), key.secret_text()).unwrap();
        let place = Place { dir, chain, _node: node, base, key };
        std::fs::write(place.path("gruve.toml"), place.config()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        let (http, v1, v2, node) = (self.base, self.base + 1, self.base + 2, self.base + 3);
        format!(
            r#"
[house]
name = "V2 house"
origin = "v2.gruve.example/log"
data = "house"
machine_password = "{MACHINE_PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
maturity = 5
epoch = "2s"
grace = "500ms"
capacity_epochs = 5
settle_every = 1
[lane.node]
url = "http://127.0.0.1:{node}"
user = "gruve"
password = "secret"
[lane.stratum]
listen = "127.0.0.1:{v1}"
class_min = 8
class_max = 40
class_start = 10
share_interval = "500ms"
[lane.stratum.v2]
listen = "127.0.0.1:{v2}"
key_file = "authority.key"
[[site]]
name = "hall"
[[site.machine]]
name = "rack1"
lane = "btc"
nameplate = "200 kH/s"
[[site.machine]]
name = "translator-proxy"
lane = "btc"
nameplate = "200 kH/s"
"#
        )
    }

    async fn house(&self) -> (Running, Api) {
        let config = self.path("gruve.toml");
        let house = Running::start(
            &["serve", "--config", config.to_str().unwrap()],
            &self.path("house.log"),
        );
        let api = Api::new(format!("http://127.0.0.1:{}", self.base));
        until("the house answers", MINUTE, async || api.get("/api/v1/lanes").await.ok())
            .await
            .unwrap_or_else(|e| self.fail(&e));
        (house, api)
    }

    /// A translator in front of the house; its V1 port is the fifth.
    fn translator(&self, user: &str, aggregate: bool, pinned: &str) -> Translator {
        // It leaves an upstream that closed for good: the same again is another one.
        self.translator_to(self.base + 2, 6, user, aggregate, pinned)
    }

    /// The same to a port of this machine, as so many upstreams.
    fn translator_to(
        &self,
        port: u16,
        upstreams: usize,
        user: &str,
        aggregate: bool,
        pinned: &str,
    ) -> Translator {
        let config = self.path("translator.toml");
        let mut text = format!(
            r#"
downstream_address = "127.0.0.1"
downstream_port = {}
max_supported_version = 2
min_supported_version = 2
downstream_extranonce2_size = 4
aggregate_channels = {aggregate}
supported_extensions = [0x0002]
[downstream_difficulty_config]
min_individual_miner_hashrate = 1000.0
shares_per_minute = 120.0
enable_vardiff = false
job_keepalive_interval_secs = 60
"#,
            self.base + 4
        );
        for _ in 0..upstreams {
            text += &format!(
                "[[upstreams]]\naddress = \"127.0.0.1\"\nport = {port}\nauthority_pubkey = \"{pinned}\"\n\
                 user_identity = \"{user}\"\n"
            );
        }
        std::fs::write(&config, text).unwrap();
        Translator::start(&config, &self.path("translator.log"))
    }

    fn miner(&self, name: &str, limit: &str) -> Running {
        self.miner_of(self.base + 4, name, name, limit)
    }

    /// The same with a login, to a port of this machine.
    fn miner_of(&self, port: u16, user: &str, name: &str, limit: &str) -> Running {
        let url = format!("stratum+tcp://127.0.0.1:{port}");
        let accepted = self.path(&format!("{name}.accepted"));
        Running::start(
            &[
                "miner",
                "--url",
                &url,
                "--user",
                user,
                "--algorithm",
                "sha256d",
                "--threads",
                "1",
                "--limit",
                limit,
                "--accepted-log",
                accepted.to_str().unwrap(),
            ],
            &self.path(&format!("{name}.log")),
        )
    }

    /// Shares that a miner was told are accepted.
    fn accepted(&self, name: &str) -> usize {
        let file = self.path(&format!("{name}.accepted"));
        std::fs::read_to_string(file).unwrap_or_default().lines().count()
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        until(what, 2 * MINUTE, async || is_so().then_some(()))
            .await
            .unwrap_or_else(|e| self.fail(&e));
    }

    fn said(&self, log: &str, text: &str) -> usize {
        std::fs::read_to_string(self.path(log)).unwrap_or_default().matches(text).count()
    }

    fn translator_said(&self, text: &str) -> usize {
        self.said("translator.log", text)
    }

    /// Shares that the house acknowledged to the translator.
    fn acknowledged(&self) -> u64 {
        let log = std::fs::read_to_string(self.path("translator.log")).unwrap();
        let counts = log.split("new_submits_accepted_count=").skip(1);
        counts.map(|c| c.split(',').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until at least so many shares are in closed epochs; the numbers of those with any.
    async fn counted(&self, api: &Api, told: u64) -> Vec<u64> {
        until("all that was acknowledged is in closed epochs", MINUTE, async || {
            let epochs = api.get("/api/v1/epochs?lane=btc&limit=100").await.ok()?;
            let shares = |e: &serde_json::Value| e["shares"].as_u64().unwrap_or(0);
            let with_work: Vec<_> =
                epochs["items"].as_array()?.iter().map(shares).filter(|s| *s > 0).collect();
            (with_work.iter().sum::<u64>() >= told).then_some(with_work)
        })
        .await
        .unwrap_or_else(|e| self.fail(&format!("{e}: {told} acknowledged")))
    }

    fn fail<T>(&self, why: &str) -> T {
        let mut text = why.to_owned();
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "log") {
                text += &format!("\n--- {}\n{}", path.display(), tail(&path));
            }
        }
        panic!("{text}");
    }
}

/// What happens to a connection between translator and house. Places are counted in bytes from its beginning: the client's
/// part of the handshake has 64, the answer 234.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It ends when so much has come from the client, before the house sees any of it.
    CutOnTheWay(usize),
    /// It ends when so much has come from the house.
    CutFromHouse(usize),
    /// A bit of the byte at this place is another, on the way from the house.
    FlipFromHouse(usize),
    /// The same on the way to it.
    FlipToHouse(usize),
}

/// In the handshake, in the setup right after it, and while there are shares under way.
const FAULTS: [Fault; 7] = [
    Fault::CutOnTheWay(63),
    Fault::CutFromHouse(1),
    Fault::CutFromHouse(233),
    Fault::FlipFromHouse(150),
    Fault::FlipFromHouse(234 + 10),
    Fault::FlipToHouse(64 + 30),
    Fault::FlipToHouse(64 + 700),
];

/// Stands before the house and does one fault after the other, a connection each; all later ones it passes on.
struct Wire {
    port: u16,
    struck: watch::Sender<usize>,
}

impl Wire {
    async fn before(house: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Wire { port, struck: watch::Sender::new(0) };
        let struck = wire.struck.clone();
        tokio::spawn(async move {
            // One after the other: a fault is over before the next begins.
            while let Ok((client, _)) = listener.accept().await {
                let fault = FAULTS.get(*struck.borrow()).copied();
                let is_struck = pass(client, house, fault).await.unwrap_or(false);
                struck.send_modify(|n| *n += usize::from(is_struck));
            }
        });
        wire
    }
}

/// Passes a connection on until it ends, or its fault ends it; whether the fault has struck.
async fn pass(client: TcpStream, house: u16, fault: Option<Fault>) -> std::io::Result<bool> {
    let house = TcpStream::connect(("127.0.0.1", house)).await?;
    let ((mut from_client, mut to_client), (mut from_house, mut to_house)) =
        (client.into_split(), house.into_split());
    let (mut inward, mut outward) = (0, 0);
    let (mut a, mut b) = ([0; 4096], [0; 4096]);
    let mut is_struck = false;
    loop {
        tokio::select! {
            n = from_client.read(&mut a) => {
                let n = n.ok().filter(|n| *n > 0);
                let Some(n) = n else { return Ok(is_struck) };
                match fault {
                    Some(Fault::CutOnTheWay(at)) if inward + n > at => return Ok(true),
                    Some(Fault::FlipToHouse(at)) if (inward..inward + n).contains(&at) => {
                        a[at - inward] ^= 0x10;
                        is_struck = true;
                    }
                    _ => {}
                }
                inward += n;
                to_house.write_all(&a[..n]).await?;
            }
            n = from_house.read(&mut b) => {
                let n = n.ok().filter(|n| *n > 0);
                let Some(n) = n else { return Ok(is_struck) };
                match fault {
                    Some(Fault::CutFromHouse(at)) if outward + n > at => {
                        to_client.write_all(&b[..at - outward]).await?;
                        return Ok(true);
                    }
                    Some(Fault::FlipFromHouse(at)) if (outward..outward + n).contains(&at) => {
                        b[at - outward] ^= 0x10;
                        is_struck = true;
                    }
                    _ => {}
                }
                outward += n;
                to_client.write_all(&b[..n]).await?;
            }
        }
    }
}

/// The running translator; killed when dropped.
struct Translator(Child);

impl Translator {
    fn start(config: &Path, log: &Path) -> Translator {
        let out = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
            PathBuf::from,
        );
        let cached = cache.join("gruve/bin/translator_sv2");
        let program = if cached.exists() { cached } else { PathBuf::from("translator_sv2") };
        let child = Command::new(&program)
            .args(["-c", config.to_str().unwrap()])
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn();
        Translator(child.unwrap_or_else(|e| {
            panic!(
                "{}: {e}; install it with `cargo install --debug --locked --root {} \
                 translator_sv2 --version 0.6.0`",
                program.display(),
                cache.join("gruve").display()
            )
        }))
    }

    fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_miners_on_one_channel_mine_through_classes_and_epochs_and_none_is_dropped() {
    let place = Place::new();
    let (house, api) = place.house().await;
    let user = format!("house:{MACHINE_PASSWORD}");
    let mut translator = place.translator(&user, true, &place.key.public_text());
    let slow = place.miner("slow", "20 kH/s");
    place.until("shares come through", || place.accepted("slow") > 5).await;
    let fast = place.miner("fast", "400 kH/s");
    place.until("both have shares", || place.accepted("fast") > 20).await;
    let height = place.chain.height();
    place.until("the class went up", || place.translator_said("Received: SetTarget") > 1).await;
    place.until("blocks are found", || place.chain.height() > height + 2).await;

    // The fast one leaves: the class must come down, and the slow one must bear it.
    assert!(fast.stop().await.success());
    let (targets, before) = (place.translator_said("Received: SetTarget"), place.accepted("slow"));
    let eased = || place.translator_said("Received: SetTarget") > targets;
    place.until("the class came down", eased).await;
    place.until("the slow one goes on", || place.accepted("slow") > before + 20).await;
    assert!(slow.stop().await.success());
    assert!(translator.is_running());
    // One connection each: neither had to come again.
    assert_eq!(place.said("slow.log", "INFO connected"), 1);
    assert_eq!(place.said("fast.log", "INFO connected"), 1);
    assert_eq!(place.translator_said("Received: SetExtranoncePrefix"), 0);
    let refused = place.translator_said("Received: SubmitSharesError");
    let stale = place.translator_said("error_code=stale-share");
    assert_eq!(refused, stale, "what is refused was under way when a block came");

    // What was acknowledged is in the epochs: no more, no less, and in more than one.
    let acknowledged = place.acknowledged();
    let epochs = place.counted(&api, acknowledged).await;
    assert_eq!(epochs.iter().sum::<u64>(), acknowledged);
    assert!(epochs.len() > 3, "{epochs:?}");
    assert!(house.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_v1_miner_has_its_channel_and_nothing_acknowledged_is_lost_by_a_restart_or_a_kill() {
    let place = Place::new();
    let (house, api) = place.house().await;

    // Who pins another key turns away, at every try, and the house does not mind.
    let other = AuthorityKey::generate(&SystemEntropy).public_text();
    let mut deceived = place.translator("siv.rack", false, &other);
    place.until("it turned away", || !deceived.is_running()).await;
    assert!(
        place.translator_said("InvalidCertificate") > 0,
        "{}",
        place.fail::<String>("no reason")
    );

    let account =
        json!({"name": "siv", "email": "siv@example.org", "password": "correct horse battery"});
    api.post("/api/v1/accounts", &account).await.unwrap();
    let mut translator = place.translator("siv.rack", false, &place.key.public_text());
    let miners = [place.miner("one", "100 kH/s"), place.miner("two", "50 kH/s")];
    let both = |more: usize| place.accepted("one").min(place.accepted("two")) > more;
    place.until("both have shares", || both(20)).await;
    place
        .until("both channels had a change", || place.translator_said("Received: SetTarget") > 1)
        .await;

    // The new program has no key of the old one's connections: they end without a word, and are made anew.
    kill_process(house.pid(), Signal::USR2).unwrap();
    place.until("the program is a new one", || place.said("house.log", "dashboards on") > 1).await;
    let go_on = async || {
        let before = place.accepted("one").max(place.accepted("two"));
        place.until("both go on", || both(before + 10)).await;
    };
    go_on().await;
    house.kill();
    let (house, api) = place.house().await;
    go_on().await;
    assert!(translator.is_running());
    for miner in miners {
        assert!(miner.stop().await.success());
    }
    place.counted(&api, place.acknowledged()).await;
    assert!(house.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_handshakes_and_broken_encryption_cost_a_connection_and_never_a_share_that_was_acknowledged()
 {
    let place = Place::new();
    let (house, api) = place.house().await;
    let account =
        json!({"name": "siv", "email": "siv@example.org", "password": "correct horse battery"});
    api.post("/api/v1/accounts", &account).await.unwrap();
    // Straight to the house: whatever happens to others is nothing to it.
    let beside = place.miner_of(place.base + 1, "siv.beside", "beside", "50 kH/s");
    let wire = Wire::before(place.base + 2).await;
    let pinned = place.key.public_text();
    let start = || place.translator_to(wire.port, 4, "siv.rack", true, &pinned);
    let mut translator = start();
    let miner = place.miner("one", "50 kH/s");
    let all_struck = || {
        // It gives up when it has left every upstream: whoever runs it has it restarted.
        if !translator.is_running() {
            translator = start();
        }
        *wire.struck.borrow() == FAULTS.len()
    };
    place.until("every fault has struck", all_struck).await;
    let before = place.accepted("one");
    let goes_on = || {
        if !translator.is_running() {
            translator = start();
        }
        place.accepted("one") > before + 20
    };
    place.until("shares come through after all", goes_on).await;
    for miner in [miner, beside] {
        assert!(miner.stop().await.success());
    }
    assert_eq!(place.said("beside.log", "INFO connected"), 1, "never disturbed");

    // A share may be taken whose answer was lost; one that was answered is never lost.
    let told = place.acknowledged() + u64::try_from(place.accepted("beside")).unwrap();
    place.counted(&api, told).await;
    assert!(house.stop().await.success());
}
