//! No secret of a wallet is ever logged: all that a run tells, of every level, is searched for them.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fake;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::bip32::Xpriv;
use bitcoin::{NetworkKind, PrivateKey};
use fake::{ASSET, CONFIRMATIONS, House, stranger};
use gruve_store::testing::{TestDir, sqlite};
use gruve_treasury::{Keychain, Purpose, ScriptForm, Seed, SweepPolicy, WalletKeys};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const COIN: i64 = 1_000_000;
/// The seed of the rig's wallets.
const SEED: [u8; 32] = [42; 32];

/// All that is told.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0, "{}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut Line(&mut self.0.lock().unwrap()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A secret as it may be written.
fn written(bytes: &[u8; 32]) -> Vec<String> {
    let list = format!("{bytes:?}");
    vec![hex::encode(bytes), hex::encode_upper(bytes), STANDARD.encode(bytes), list]
}

/// The seed, and all private keys that a run of this length uses.
fn secrets() -> Vec<String> {
    let mut all = written(&SEED);
    for network in [NetworkKind::Main, NetworkKind::Test] {
        all.push(Xpriv::new_master(network, &SEED).unwrap().to_string());
    }
    let keys = WalletKeys::new(&Seed::from_bytes(SEED), ASSET, ScriptForm::Wpkh, false).unwrap();
    for keychain in Keychain::ALL {
        for index in 0..40 {
            let key = keys.with_secret_key(keychain, index, |_, secret, _| *secret).unwrap();
            all.extend(written(&key.secret_bytes()));
            all.push(PrivateKey::new(key, NetworkKind::Test).to_wif());
        }
    }
    all
}

#[test]
fn no_secret_is_ever_logged() {
    let heard = Heard::default();
    tracing::subscriber::set_global_default(heard.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run());
    let told = heard.0.lock().unwrap().clone();
    assert!(told.contains("an invoice was closed") || told.lines().count() > 20, "{told}");
    assert!(told.contains("nothing in its tables explains it"), "the theft was told: {told}");
    for secret in secrets() {
        assert!(!told.contains(&secret), "a secret stands in the log");
    }
    // What is looked for would be found.
    tracing::error!(key = ?SEED, "as a careless line would have it");
    let told = heard.0.lock().unwrap().clone();
    assert!(secrets().iter().any(|secret| told.contains(secret)));
}

/// Money comes and goes, a node fails, coins are stolen, the house is killed.
async fn run() {
    let dir = TestDir::new();
    let mut house = House::new(sqlite(dir.path()).await, 1).await;
    let (address, script) = stranger(77);
    let (above, keep) = (20 * COIN, 15 * COIN);
    house.policies.sweep = Some(SweepPolicy { address, script, above, keep });
    tracing::info!(seed = ?Seed::from_bytes(SEED), config = "of the rig", "a secret's own form");
    house.fill(&[5 * COIN, 7 * COIN]).await;
    house.top_up(1, 20 * COIN).await;
    let late = house.invoice(2, COIN, Purpose::TopUp).await;
    for n in 0..6 {
        house.request(1, COIN, &stranger(n).0).await.unwrap();
        house.node.set_faults(Some(fake::chain::Dice(u64::from(n))));
        let _ = house.payer.step().await;
        house.restart();
        house.clock.advance(Duration::from_secs(1_900));
        house.mine(1).await;
    }
    house.node.set_faults(None);
    house.pay(&late.address, COIN);
    house.mine(CONFIRMATIONS).await;
    house.chain.rewind(2);
    house.mine(4).await;
    let keys =
        house.treasury.holdings(&mut house.store.read().await.unwrap(), ASSET).await.unwrap();
    let coin = keys.unwrap().parts[0].coins[0];
    house.chain.steal((coin.txid, coin.vout));
    house.mine(1).await;
    let _ = house.payer.step().await;
}
