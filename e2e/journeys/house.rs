//! The house of all journeys: `gruve serve` on a development chain, with machines, a mail server, a bank account and a
//! card desk. It is opened by the first journey and ends with the test's program.

use crate::chromium::PATIENCE;
use crate::desk::{self, Desk};
use crate::letters::Letters;
use crate::people::email;
use crate::support::{free_ports, program, tail, until};
use gruve::demo::{Api, Rpc};
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_miner::{Miner, MinerHandle, MinerOptions};
use gruve_units::{Algorithm, Asset, Duration, Hashrate, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

const MACHINE_PASSWORD: &str = "sixteen characters";
const RPC_PASSWORD: &str = "secret";

/// Blocks of the chain come about so often.
const SPACING: Duration = Duration::from_secs(3);

/// The house's machines, held to so little that they leave the processor to the browsers.
const MACHINES: [(&str, Hashrate); 2] =
    [("rack1-01", Hashrate(600_000)), ("rack1-02", Hashrate(400_000))];

static HOUSE: OnceCell<House> = OnceCell::const_new();

pub struct House {
    /// Where it is.
    pub home: String,
    pub letters: Letters,
    pub desk: Desk,
    /// The folder of everything, with the configuration.
    pub folder: PathBuf,
    pub config: String,
    node: u16,
    stratum: u16,
    log: PathBuf,
    // What lives as long as the house.
    _machines: Vec<MinerHandle>,
    _chain: DevServer,
    _background: Runtime,
    _program: Child,
}

/// What the house of all journeys asks of accounts.
const ACCOUNTS: &str = "change_delay = \"3s\"\npayout_delay = \"0s\"";

fn toml(http: u16, accounts: &str) -> String {
    let (stratum, node, mail, desk) = (http + 1, http + 2, http + 3, http + 4);
    let mut toml = format!(
        r#"
[house]
name = "Nordlys Mining"
origin = "journeys.gruve.example/log"
data = "house"
machine_password = "{MACHINE_PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
origin = "http://127.0.0.1:{http}"
staff_second_factor = true
[mail]
host = "127.0.0.1"
port = {mail}
security = "none"
from = "Nordlys Mining <post@nordlys.example>"
[accounts]
{accounts}
[[bank]]
asset = "EUR"
iban = "DE89 3704 0044 0532 0130 00"
holder = "Nordlys Mining"
[stripe]
url = "http://127.0.0.1:{desk}"
secret_key = "{key}"
webhook_secret = "{secret}"
assets = ["EUR"]
[[payout_limit]]
asset = "BTC"
two_approvals_above_minor = 100000000
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
epoch = "2s"
grace = "400ms"
tag = "/Nordlys/"
confirmations = 1
maturity = 2
capacity_epochs = 8
settle_every = 1
auto_approve_minor = 100000000
[lane.node]
url = "http://127.0.0.1:{node}"
user = "gruve"
password = "{RPC_PASSWORD}"
[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 8
class_max = 40
class_start = 17
share_interval = "300ms"
[[plan]]
id = "btc-lease"
lane = "btc"
title = "Bitcoin lease"
hashrate_min = "50 kH/s"
hashrate_max = "500 kH/s"
hashrate_step = "10 kH/s"
terms_epochs = [300, 1800]
price_minor = 24000000000
price_hashrate = "100 kH/s"
fee_bps = 200
[[plan]]
id = "btc-meter"
lane = "btc"
kind = "metered"
title = "Bitcoin by the meter"
hashrate_min = "50 kH/s"
hashrate_max = "200 kH/s"
hashrate_step = "10 kH/s"
pay_asset = "EUR"
price_minor = 21600000000
price_hashrate = "100 kH/s"
low_balance_epochs = 3
fee_bps = 200
[[site]]
name = "narvik"
"#,
        key = desk::KEY,
        secret = desk::WEBHOOK_SECRET,
    );
    for (name, rate) in MACHINES {
        toml.push_str(&format!(
            "[[site.machine]]\nname = \"{name}\"\nlane = \"btc\"\nnameplate = \"{}\"\n",
            rate.0
        ));
    }
    toml
}

/// A program that is killed, and its folder removed, when this one ends, however it ends: the shell's standard input
/// is a pipe that closes then. A value that is never dropped cannot do it.
fn kept_while_this_runs(folder: &Path, args: &[&str], log: &Path) -> Child {
    const KEEP: &str = r#"folder="$1"; shift; "$@" </dev/null & cat >/dev/null; kill -9 $!; wait $!; rm -rf "$folder""#;
    let out = File::options().create(true).append(true).open(log).unwrap();
    Command::new("sh")
        .args(["-c", KEEP, "sh"])
        .arg(folder)
        .arg(program())
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap()
}

impl House {
    /// The house, opened by whoever asks first.
    pub async fn open() -> &'static House {
        HOUSE.get_or_init(|| House::begin(ACCOUNTS)).await
    }

    /// Another one, for who leaves things behind that others' journeys would find. It ends with the test's program, too.
    pub async fn of_its_own() -> &'static House {
        House::with_accounts(ACCOUNTS).await
    }

    /// The same with other rules for accounts, as the configuration says them.
    pub async fn with_accounts(rules: &str) -> &'static House {
        Box::leak(Box::new(House::begin(rules).await))
    }

    async fn begin(accounts: &str) -> House {
        let folder = tempfile::tempdir().unwrap().keep();
        let http = free_ports(5);
        let home = format!("http://127.0.0.1:{http}");
        // Tests come and go, each with a runtime of its own.
        let background = Runtime::new().unwrap();
        let _in_background = background.enter();
        let mut params = DevParams::new(Asset::Btc, Algorithm::Sha256d)
            .with_start_work(Hashrate(MACHINES.iter().map(|m| m.1.0).sum()).work_in(SPACING));
        params.spacing_secs = u32::try_from(SPACING.as_secs()).unwrap();
        // Figures as one sees them elsewhere: a tenth of a coin a block.
        params.subsidy = 10_000_000;
        params.premine_coins = 200;
        params.coinbase_maturity = 2;
        let dir = folder.join("chain");
        std::fs::create_dir_all(&dir).unwrap();
        let chain =
            DevChain::open(&dir, params, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", http + 2)).unwrap();
        let chain = chain.serve(listener, "gruve", RPC_PASSWORD).unwrap();
        let letters = Letters::taken_at(http + 3);
        let (at, house) = (http + 4, home.clone());
        let desk = background.spawn(async move { Desk::open(at, &house).await }).await.unwrap();
        let config = folder.join("gruve.toml");
        std::fs::write(&config, toml(http, accounts)).unwrap();
        let config = config.to_str().unwrap().to_owned();
        let log = folder.join("house.log");
        let running = kept_while_this_runs(&folder, &["serve", "--config", &config], &log);
        let api = Api::new(home.clone());
        until("the house answers", PATIENCE, async || api.get("/api/v1/lanes").await.ok())
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", tail(&log)));
        let mut house = House {
            home,
            letters,
            desk,
            folder,
            config,
            node: http + 2,
            stratum: http + 1,
            log,
            _machines: Vec::new(),
            _chain: chain,
            _background: background,
            _program: running,
        };
        house._machines = MACHINES.map(|(name, rate)| house.machine(name, rate)).into();
        house
    }

    /// Connects a machine of the inventory.
    pub fn machine(&self, name: &str, rate: Hashrate) -> MinerHandle {
        let url = format!("stratum+tcp://127.0.0.1:{}", self.stratum);
        let mut options = MinerOptions::new(url, format!("house.{name}"), Algorithm::Sha256d);
        options.password = MACHINE_PASSWORD.to_owned();
        options.limit = Some(rate);
        Miner::start(options).unwrap()
    }

    /// The public API, for somebody who is not signed in.
    pub fn api(&self) -> Api {
        Api::new(self.home.clone())
    }

    /// The API for somebody who has confirmed the address and has no second factor.
    pub async fn signed_in(&self, name: &str, password: &str) -> Api {
        let api = self.api();
        let login = json!({ "login": name, "password": password });
        let session = api.post("/api/v1/sessions", &login).await.unwrap();
        api.signed_in(session["token"].as_str().unwrap())
    }

    /// The chain's node, with somebody else's wallet in it.
    pub fn wallet(&self) -> Rpc {
        Rpc::new(format!("http://127.0.0.1:{}", self.node), "gruve", RPC_PASSWORD)
    }

    /// Pays so many whole coins, written with a point.
    pub async fn pay(&self, address: &str, coins: &str) {
        let coins: Value = serde_json::from_str(coins).unwrap();
        self.wallet().call("sendtoaddress", json!([address, coins])).await.unwrap();
    }

    /// An address of somebody else's wallet.
    pub async fn address(&self) -> String {
        let new = self.wallet().call("getnewaddress", json!([])).await.unwrap();
        new.as_str().unwrap().to_owned()
    }

    /// Whole coins that such an address has got.
    pub async fn received(&self, address: &str) -> f64 {
        let got = self.wallet().call("getreceivedbyaddress", json!([address, 1])).await.unwrap();
        got.as_f64().unwrap()
    }

    /// Opens an account for somebody who works here, as one does at the machine itself.
    pub fn hires(&self, name: &str, role: &str, password: &str) {
        let email = email(name);
        let mut child = Command::new(program())
            .args(["admin", "staff", "--config", &self.config, "add", "--name", name])
            .args(["--email", &email, "--role", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// The house's last words, for a failure's text.
    pub fn says(&self) -> String {
        tail(&self.log)
    }
}
