//! A house without the key of its coin, a real node, and `gruve signer` as another process: by folder and by HTTP, away,
//! killed, lied to and lying. The node says at the end who was paid what.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../crates/chain/tests/devchain_support/mod.rs"]
mod devchain_support;
mod line;
mod purse;
#[path = "../crates/chain/tests/real_node/mod.rs"]
mod real_node;
mod relay;
mod support;

use bitcoin::psbt::Psbt;
use gruve::demo::Api;
use gruve_units::{Amount, Asset};
use purse::Purse;
use real_node::{Program, RealNode};
use relay::{Mood, Relay};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use support::{Running, free_ports, run, tail, until};

const MINUTE: Duration = Duration::from_secs(60);
const COIN: i64 = 100_000_000;
/// What the signer's command line allows: a transaction, and a day.
const MOST: i64 = 60_000_000;
const DAY: i64 = 90_000_000;
const TOKEN: &str = "a token of the house";

struct Rig {
    node: RealNode,
    dir: tempfile::TempDir,
    config: String,
    log: PathBuf,
    liv: Api,
    http: u16,
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

impl Rig {
    /// A chain with a customer who has two coins, in a house whose `[[signer]]` is `way`.
    async fn new(way: &str) -> (Rig, Running) {
        let node = RealNode::start(Program::Bitcoind, None).await;
        let purse = Purse::new(Program::Bitcoind, &node).await;
        purse.fill(&node).await;
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("orders")).unwrap();
        std::fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let (http, log) = (free_ports(2), dir.path().join("house.log"));
        let config = dir.path().join("gruve.toml").to_str().unwrap().to_owned();
        let liv = Api::new(format!("http://127.0.0.1:{http}"));
        let mut rig = Rig { node, dir, config, log, liv, http };
        let key = rig.path("btc.key");
        assert!(run(&["signer", "new", "--key", &key]).status.success());
        let account_key = rig.account_key("btc.key");
        let text = line::config(Asset::Btc, &[&rig.node], http, http + 1);
        let signer =
            format!("[[signer]]\nasset = \"BTC\"\naccount_key = \"{account_key}\"\n{way}\n");
        std::fs::write(&rig.config, text + &signer).unwrap();
        let house = rig.house().await;
        // What the house has of its own is a seed that is nothing to these coins.
        assert_ne!(rig.account_key("house/wallet.seed"), account_key);
        rig.sign_up().await;
        let order = json!({"asset": "BTC", "amount": "2"});
        let invoice = rig.liv.post("/api/v1/top-ups", &order).await.unwrap();
        let to = invoice["address"].as_str().unwrap();
        purse.pay(&rig.node, to, Amount::new(Asset::Btc, 2 * COIN)).await;
        rig.mine().await;
        rig.until("the pay-in is there", async |rig| {
            let balances = rig.liv.get("/api/v1/balances").await.ok()?;
            let btc = balances["items"].as_array()?.iter().find(|b| b["asset"] == "BTC")?.clone();
            (btc["available"]["minor"] == 2 * COIN).then_some(())
        })
        .await;
        (rig, house)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn account_key(&self, file: &str) -> String {
        let key = self.path(file);
        let shown = ["signer", "show", "--key", &key, "--asset", "BTC", "--network", "regtest"];
        let shown = run(&shown);
        assert!(shown.status.success(), "{}", said(&shown));
        String::from_utf8(shown.stdout).unwrap().trim().to_owned()
    }

    async fn house(&self) -> Running {
        let house = Running::start(&["serve", "--config", &self.config], &self.log);
        let api = Api::new(format!("http://127.0.0.1:{}", self.http));
        self.until("the house answers", async |_| api.get("/api/v1/lanes").await.ok()).await;
        house
    }

    async fn sign_up(&mut self) {
        let account =
            json!({"name": "liv", "email": "liv@example.org", "password": "correct horse battery"});
        self.liv.post("/api/v1/accounts", &account).await.unwrap();
        let login = json!({"login": "liv", "password": "correct horse battery"});
        let session = self.liv.post("/api/v1/sessions", &login).await.unwrap();
        self.liv = self.liv.signed_in(session["token"].as_str().unwrap());
    }

    async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut(&Rig) -> Option<T>) -> T {
        let found = until(what, MINUTE * 2, async || ask(self).await).await;
        found.unwrap_or_else(|e| {
            let signer = tail(&self.dir.path().join("signer.log"));
            panic!("{e}\n{}\nthe signer:\n{signer}", tail(&self.log))
        })
    }

    /// As many blocks as a coin needs to be spent.
    async fn mine(&self) {
        self.node.generate(3, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080").await;
    }

    /// A payout of so much to this address, approved by a person; its id.
    async fn payout(&self, minor: i64, to: &str) -> String {
        let amount = Amount::new(Asset::Btc, minor).decimal();
        let password = "correct horse battery";
        let order = json!({"asset": "BTC", "amount": amount, "address": to, "password": password});
        let asked = self.liv.post("/api/v1/payouts", &order).await.unwrap();
        let id = asked["payout"].as_str().unwrap();
        assert_eq!(asked["state"], "requested");
        let approved = run(&["admin", "payouts", "--config", &self.config, "--approve", id]);
        assert!(approved.status.success(), "{}", said(&approved));
        id.to_owned()
    }

    async fn reaches(&self, id: &str, state: &str) -> Value {
        let path = format!("/api/v1/payouts/{id}");
        self.until(&format!("the payout is {state}"), async |rig| {
            rig.liv.get(&path).await.ok().filter(|p| p["state"] == state)
        })
        .await
    }

    /// The node has the payout's transaction; blocks confirm it, and make its change spendable.
    async fn confirms(&self, id: &str) -> Value {
        self.reaches(id, "broadcast").await;
        assert_eq!(self.waiting().await, 1);
        self.mine().await;
        self.reaches(id, "confirmed").await
    }

    /// Transactions in the node's pool.
    async fn waiting(&self) -> usize {
        self.node.call("getrawmempool", json!([])).await.as_array().unwrap().len()
    }

    async fn received(&self, address: &str) -> i64 {
        let what = json!(["start", [format!("addr({address})")]]);
        let found = self.node.call("scantxoutset", what).await;
        assert!(found["unspents"].as_array().unwrap().len() <= 1, "paid twice: {found}");
        Amount::parse_decimal(Asset::Btc, &found["total_amount"].to_string()).unwrap().minor
    }

    /// What the house says of its orders.
    fn orders(&self) -> String {
        let listed = run(&["admin", "orders", "--config", &self.config]);
        assert!(listed.status.success(), "{}", said(&listed));
        said(&listed)
    }

    async fn orders_say(&self, what: &str) {
        self.until(&format!("the orders say: {what}"), async |rig| {
            rig.orders().contains(what).then_some(())
        })
        .await;
    }

    fn serve(&self, way: &[&str], day: i64) -> Running {
        let key = self.path("btc.key");
        let (most, day) = (MOST.to_string(), day.to_string());
        let own = ["signer", "serve", "--key", &key, "--asset", "BTC", "--network", "regtest"];
        let limits = ["--most-minor", &most, "--day-minor", &day];
        let log = self.dir.path().join("signer.log");
        Running::start(&[&own[..], &limits, way].concat(), &log)
    }

    /// One order by hand, with a copy of the key that has a journal of its own.
    fn sign(&self, order: &Path, out: &Path) -> Output {
        std::fs::copy(self.path("btc.key"), self.path("copy.key")).unwrap();
        let (key, most, day) = (self.path("copy.key"), MOST.to_string(), (10 * COIN).to_string());
        let own = ["signer", "sign", order.to_str().unwrap(), "--key", &key, "--asset", "BTC"];
        let limits = ["--network", "regtest", "--most-minor", &most, "--day-minor", &day];
        run(&[&own[..], &limits, &["--out", out.to_str().unwrap()]].concat())
    }

    fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("btc.key.signed")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Everybody has got exactly what was said, once, and the books say so.
    async fn ends(self, house: Running, paid: &[(&str, &Value)]) {
        for (address, payout) in paid {
            let fee = payout["fee"]["minor"].as_i64().unwrap();
            let amount = payout["amount"]["minor"].as_i64().unwrap();
            assert_eq!(self.received(address).await, amount - fee, "{payout}");
        }
        let books = self.liv.get("/api/v1/reconciliation").await.unwrap();
        assert_eq!(books["adds_up"], true, "{books:#}");
        assert!(house.stop().await.success(), "{}", tail(&self.log));
        let audit = run(&["admin", "audit", "--config", &self.config]);
        assert!(audit.status.success(), "{}", said(&audit));
    }
}

/// Addresses of somebody else.
const STRANGERS: [&str; 3] = [
    "bcrt1q6rz28mcfaxtmd6v789l9rrlrusdprr9pz3cppk",
    "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
    "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6",
];

fn orders_in(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let is_order = |p: &PathBuf| {
        let name = p.file_name().unwrap().to_str().unwrap().to_owned();
        name.starts_with("BTC-") && name.matches('.').count() == 1 && name.ends_with(".psbt")
    };
    files.filter(is_order).collect()
}

/// An order as somebody has changed it who broke into the house.
fn changed(order: &Path, name: &str, change: impl FnOnce(&mut Psbt, usize)) -> PathBuf {
    let mut psbt = Psbt::deserialize(&std::fs::read(order).unwrap()).unwrap();
    let is_payment = |o: &bitcoin::TxOut| o.value.to_sat() < 51_000_000;
    let at = psbt.unsigned_tx.output.iter().position(is_payment).unwrap();
    change(&mut psbt, at);
    let path = order.with_file_name(name);
    std::fs::write(&path, psbt.serialize()).unwrap();
    path
}

fn sat(n: u64) -> bitcoin::Amount {
    bitcoin::Amount::from_sat(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_folder_every_payout_is_paid_once_whoever_is_away_killed_or_lies() {
    let (rig, house) = Rig::new("folder = \"../orders\"").await;
    let folder = rig.dir.path().join("orders");
    let first = rig.payout(50_000_000, STRANGERS[0]).await;
    let waits = rig.reaches(&first, "signed").await;
    assert!(waits["reason"].as_str().unwrap().contains("elsewhere"), "{waits}");
    let order = rig.until("the order lies there", async |_| orders_in(&folder).pop()).await;
    let bytes = std::fs::read(&order).unwrap();

    // The signer is away, the house is killed, and the chain goes on meanwhile.
    house.kill();
    for _ in 0..4 {
        rig.mine().await;
    }
    let house = rig.house().await;
    rig.reaches(&first, "signed").await;
    let cancelled = rig.liv.post(&format!("/api/v1/payouts/{first}/cancel"), &json!({})).await;
    assert!(cancelled.is_err(), "the signer may send it at any time");

    // What breaks the signer's limits is not signed, whatever the house says of it.
    let away = tempfile::tempdir().unwrap();
    let out = away.path().join("signed.psbt");
    let dear = changed(&order, "dear.psbt", |p, at| {
        let change = &mut p.unsigned_tx.output[1 - at].value;
        *change -= sat(1_000_000);
    });
    let large = changed(&order, "large.psbt", |p, at| {
        p.unsigned_tx.output[1 - at].value -= sat(100_000_000);
        p.unsigned_tx.output[at].value += sat(100_000_000);
    });
    let lying = changed(&order, "lying.psbt", |p, _| {
        p.inputs[0].non_witness_utxo = None;
    });
    for (order, why) in
        [(&dear, "rate"), (&large, "more than"), (&lying, "without its transaction")]
    {
        let told = rig.sign(order, &out);
        assert!(!told.status.success() && said(&told).contains(why), "{why}: {}", said(&told));
        assert!(!out.exists());
    }
    assert!(rig.journal().is_empty());

    // A signature of the right key over something else is not taken, nor sent.
    let answer = order.with_extension("signed.psbt");
    let other = changed(&order, "other.psbt", |p, at| {
        p.unsigned_tx.output[at].value -= sat(1);
    });
    assert!(rig.sign(&other, &out).status.success());
    std::fs::copy(&out, &answer).unwrap();
    rig.orders_say("signs another transaction").await;
    let grafted = {
        let mut psbt = Psbt::deserialize(&bytes).unwrap();
        let signed = Psbt::deserialize(&std::fs::read(&out).unwrap()).unwrap();
        psbt.inputs[0].final_script_witness = signed.inputs[0].final_script_witness.clone();
        psbt.serialize()
    };
    std::fs::write(&answer, grafted).unwrap();
    rig.orders_say("the signature of input 0 is not right").await;
    assert_eq!(rig.waiting().await, 0);
    for file in [dear, large, lying, other] {
        std::fs::remove_file(file).unwrap();
    }

    // Killed between its journal and its answer, which cannot be written where a folder stands in its place.
    std::fs::remove_file(&answer).unwrap();
    let name = answer.file_name().unwrap().to_str().unwrap();
    let in_the_way = folder.join(format!(".{name}.draft"));
    std::fs::create_dir(&in_the_way).unwrap();
    let way = ["--folder", folder.to_str().unwrap()];
    let signer = rig.serve(&way, DAY);
    rig.until("the order is written down", async |rig| rig.journal().pop()).await;
    signer.kill();
    assert!(!answer.exists());
    let journal = rig.journal();
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(std::fs::read(&order).unwrap(), bytes, "the same order is the same bytes");
    let signer = rig.serve(&way, DAY);
    let first = rig.confirms(&first).await;
    assert_eq!(rig.journal(), journal, "signing it again takes nothing more");
    assert!(orders_in(&folder).is_empty() && !answer.exists(), "what is over is tidied up");

    // Within the day's limit it goes by itself; above it the order waits with its reason, and loses nothing.
    let second = rig.payout(30_000_000, STRANGERS[1]).await;
    let second = rig.confirms(&second).await;
    let third = rig.payout(20_000_000, STRANGERS[2]).await;
    rig.orders_say("in 24 hours already").await;
    rig.reaches(&third, "signed").await;
    assert_eq!(rig.waiting().await, 0);
    assert!(signer.stop().await.success());
    let signer = rig.serve(&way, 2 * COIN);
    let third = rig.confirms(&third).await;
    assert!(signer.stop().await.success());
    assert_eq!(rig.journal().len(), 3);
    let paid = [(STRANGERS[0], &first), (STRANGERS[1], &second), (STRANGERS[2], &third)];
    rig.ends(house, &paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_every_payout_is_paid_once_though_answers_are_lost_and_both_sides_are_killed() {
    let port = free_ports(1);
    let relay = Relay::before(port).await;
    let way = format!("url = \"{}\"\ntoken = \"{TOKEN}\"", relay.url);
    let (rig, house) = Rig::new(&way).await;
    let address = format!("127.0.0.1:{port}");
    let serve = |token: &str| {
        let token = rig.path(token);
        rig.serve(&["--listen", &address, "--token-file", &token], DAY)
    };

    // Nobody is there; then somebody who does not know the house.
    let first = rig.payout(50_000_000, STRANGERS[0]).await;
    rig.reaches(&first, "signed").await;
    relay.asked(1).await;
    std::fs::write(rig.path("other"), "a token of another house").unwrap();
    let signer = serve("other");
    let asked = relay.answered(1).await;
    assert!(asked.starts_with("HTTP/1.1 401"), "{asked}");
    assert!(signer.stop().await.success());
    assert!(rig.journal().is_empty());

    // It signs, and the answer is lost: first on the way, then with the house that was to take it.
    relay.is(Mood::Loses);
    let signer = serve("token");
    let lost = relay.answered(2).await;
    assert!(lost.starts_with("HTTP/1.1 200"), "{lost}");
    house.kill();
    let house = rig.house().await;
    relay.answered(3).await;
    signer.kill();
    assert_eq!(rig.waiting().await, 0);
    let journal = rig.journal();
    assert_eq!(journal.len(), 1);
    relay.is(Mood::Passes);
    let signer = serve("token");
    let first = rig.confirms(&first).await;
    assert_eq!(rig.journal(), journal);

    // No is an answer in words, and the order waits.
    let second = rig.payout(MOST + 1, STRANGERS[1]).await;
    rig.orders_say("more than 60000000 minor units").await;
    let waits = rig.reaches(&second, "signed").await;
    assert!(waits["txid"].is_null() && rig.waiting().await == 0, "{waits}");
    assert!(signer.stop().await.success());
    rig.ends(house, &[(STRANGERS[0], &first)]).await;
}
