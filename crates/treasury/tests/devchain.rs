//! The treasury against the development chain, through a node client and the follower: an
//! independent judge of addresses, scripts, signatures, fees and dust, with and without SegWit.
#![allow(clippy::unwrap_used, missing_docs)]

use async_trait::async_trait;
use gruve_chain::devchain::{DevChain, DevParams, Difficulty, POW_LIMIT_BITS};
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::{BlockRef, ChainSink, FollowedBlock, Follower, RpcNode, SinkError};
use gruve_ledger::{Account, Entry, post};
use gruve_store::{Store, testing, transact};
use gruve_treasury::{
    ChainWallet, ExternalSigner, FolderDoor, InvoiceState, NewInvoice, NewPayout, Payer,
    PayoutState, Purpose, ScriptForm, Seed, Treasury, TreasuryConfig, TreasuryError, WalletKeys,
    order,
};
use gruve_units::{AccountId, Algorithm, Amount, Asset, Clock, SeededEntropy, SystemClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

struct Sink {
    store: Store,
    treasury: Treasury,
    asset: Asset,
}

#[async_trait]
impl ChainSink for Sink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let mut tx = self.store.read().await.map_err(SinkError::new)?;
        let known = self.treasury.known_blocks(&mut tx, self.asset, limit as u64).await;
        known.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            let effects =
                self.treasury.connect_block(tx, self.asset, block.height, &block.block).await?;
            for reward in effects.rewards {
                // In place of the market: matured at once, as capital.
                let reason = format!("test:reward:{}", reward.height);
                let (debit, credit) = (Account::ChainHot, Account::Capital);
                let at = SystemClock.now();
                post(tx, &Entry::transfer(reason, "test", at, debit, credit, reward.value)).await?;
            }
            Ok(())
        })
        .map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        transact!(self.store, tx -> Result<(), TreasuryError> => {
            self.treasury.disconnect_block(tx, self.asset, block).await?;
            Ok(())
        })
        .map_err(SinkError::new)
    }
}

struct Bench {
    chain: DevChain,
    follower: Arc<Follower>,
    treasury: Treasury,
    store: Store,
    asset: Asset,
}

impl Bench {
    fn call(&self, method: &str, params: &Value) -> Value {
        self.chain.call(method, params).unwrap_or_else(|e| panic!("{method} {params}: {e}"))
    }

    fn own_address(&self) -> String {
        self.call("getnewaddress", &json!([])).as_str().unwrap().to_owned()
    }

    async fn mine(&self, blocks: u32, to: &str) {
        self.call("generatetoaddress", &json!([blocks, to, 10_000_000]));
        while !matches!(self.follower.step().await.unwrap(), Progress::UpToDate(_)) {}
        let mut tx = self.store.read().await.unwrap();
        assert!(self.treasury.reconcile(&mut tx, self.asset).await.unwrap().agrees());
    }

    async fn payout(&self, amount: i64, address: &str) -> gruve_units::PayoutId {
        let new = NewPayout {
            account: AccountId::from_bytes([1; 16]),
            amount: Amount::new(self.asset, amount),
            address: address.to_owned(),
            request_key: None,
        };
        self.treasury.request_payout(new).await.unwrap()
    }
}

/// Where orders are signed, beside the house.
struct Elsewhere {
    folder: std::path::PathBuf,
    keys: WalletKeys,
}

impl Elsewhere {
    /// Signs what lies in the folder; how many orders that were.
    fn sign_all(&self) -> usize {
        let mut signed = 0;
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let answer = path.with_extension("signed.psbt");
            if path.to_str().unwrap().ends_with(".signed.psbt") || answer.exists() {
                continue;
            }
            let order = std::fs::read(&path).unwrap();
            std::fs::write(answer, order::answer(&order, &self.keys).unwrap()).unwrap();
            signed += 1;
        }
        signed
    }
}

/// One step that signs `count` transactions and sends them, whoever signs.
async fn pay(treasury: &Treasury, elsewhere: Option<&Elsewhere>, count: u32) {
    if let Some(elsewhere) = elsewhere {
        let done = Payer::new(treasury.clone()).step().await.unwrap();
        assert_eq!((done.signed, done.sent), (0, 0));
        assert_eq!(elsewhere.sign_all(), count as usize);
    }
    // Started anew, it asks at once.
    let done = Payer::new(treasury.clone()).step().await.unwrap();
    assert_eq!((done.signed, done.sent, done.refused), (count, count, 0));
    if let Some(elsewhere) = elsewhere {
        let left = std::fs::read_dir(&elsewhere.folder).unwrap().count();
        assert_eq!(left, 0, "what is signed is cleared away");
    }
}

async fn pays_in_and_out(asset: Asset, is_signed_elsewhere: bool) {
    let dir = testing::TestDir::new();
    let store = testing::sqlite(dir.path()).await;
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    let mut dev = DevParams::new(asset, Algorithm::Sha256d);
    dev.difficulty = Difficulty::Fixed { bits: POW_LIMIT_BITS };
    let params = dev.chain_params().unwrap();
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SeededEntropy::new(7));
    let chain_dir = dir.path().join("chain");
    std::fs::create_dir(&chain_dir).unwrap();
    let chain = DevChain::open(&chain_dir, dev, clock.clone(), entropy.clone()).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = chain.serve(listener, "user", "password").unwrap();
    let node = Arc::new(RpcNode::new(&server.url(), "user", "password", params).unwrap());
    let mut wallet = ChainWallet::new(params, node.clone());
    wallet.confirmations = 2;
    wallet.payouts.auto_approve_max = 1_000 * asset.unit();
    let form = if params.segwit { ScriptForm::Wpkh } else { ScriptForm::Pkh };
    let elsewhere = is_signed_elsewhere.then(|| {
        let folder = dir.path().join("orders");
        std::fs::create_dir(&folder).unwrap();
        let keys = WalletKeys::new(&Seed::from_bytes([6; 32]), asset, form, false).unwrap();
        Elsewhere { folder, keys }
    });
    wallet.signer = elsewhere.as_ref().map(|e| ExternalSigner {
        account_key: e.keys.account_key(),
        door: Arc::new(FolderDoor::open(&e.folder).unwrap()),
    });
    let config = TreasuryConfig::new(Seed::from_bytes([5; 32])).with_chain(wallet);
    let treasury = Treasury::new(store.clone(), clock, entropy, config).unwrap();
    let sink = Sink { store: store.clone(), treasury: treasury.clone(), asset };
    let options = Options { start: Start::NearTip, ..Options::for_chain(&params) };
    let follower = Follower::new(node, params, Arc::new(sink), options);
    let bench = Bench { chain, follower, treasury, store, asset };
    let somewhere = bench.own_address();
    bench.mine(1, &somewhere).await;

    let new = NewInvoice {
        account: AccountId::from_bytes([1; 16]),
        amount: Amount::new(asset, 10 * asset.unit()),
        purpose: Purpose::TopUp,
        ttl: Duration::from_secs(3600),
    };
    let invoice = transact!(bench.store, tx => { bench.treasury.create_invoice(tx, new).await });
    let invoice = invoice.unwrap();
    for _ in 0..3 {
        bench.call("sendtoaddress", &json!([invoice.address, "4.00000000"]));
    }
    bench.mine(2, &somewhere).await;
    let paid = bench.treasury.invoice(invoice.id).await.unwrap().unwrap();
    assert_eq!(paid.state, InvoiceState::Confirmed);
    assert_eq!(paid.confirmed, Amount::new(asset, 12 * asset.unit()));

    // Three coins of four: one payout needs three inputs, the others fit in with it or follow.
    let mut payouts = Vec::new();
    for coins in [9, 1, 1] {
        let to = bench.own_address();
        payouts.push((bench.payout(coins * asset.unit(), &to).await, to));
    }
    pay(&bench.treasury, elsewhere.as_ref(), 1).await;
    bench.mine(1, &somewhere).await;
    for (id, address) in &payouts {
        let payout = bench.treasury.payout(*id).await.unwrap().unwrap();
        assert_eq!(payout.state, PayoutState::Confirmed);
        let received = bench.call("getreceivedbyaddress", &json!([address, 1]));
        let expected = payout.receives().unwrap();
        assert_eq!(received.to_string(), expected.decimal());
    }

    // A block's reward is spent once it is ripe, and the node takes that too.
    let script = bench.treasury.coinbase_script(asset).unwrap();
    let house = gruve_chain::address_for_script(&params, &script).unwrap();
    bench.mine(1, &house).await;
    let to = bench.own_address();
    let id = bench.payout(asset.unit() / 2, &to).await;
    bench.mine(u32::try_from(params.coinbase_maturity).unwrap(), &somewhere).await;
    pay(&bench.treasury, elsewhere.as_ref(), 1).await;
    bench.mine(1, &somewhere).await;
    let payout = bench.treasury.payout(id).await.unwrap().unwrap();
    assert_eq!(payout.state, PayoutState::Confirmed);
    server.stop().await;
}

#[tokio::test]
async fn coins_come_and_go_on_a_chain_with_segwit() {
    pays_in_and_out(Asset::Btc, false).await;
}

#[tokio::test]
async fn coins_come_and_go_on_a_chain_without_segwit() {
    pays_in_and_out(Asset::Doge, false).await;
}

#[tokio::test]
async fn coins_are_signed_for_elsewhere_on_a_chain_with_segwit() {
    pays_in_and_out(Asset::Btc, true).await;
}

#[tokio::test]
async fn coins_are_signed_for_elsewhere_on_a_chain_without_segwit() {
    pays_in_and_out(Asset::Doge, true).await;
}
