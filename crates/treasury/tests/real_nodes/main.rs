//! Payouts on real nodes: an older backup, six blocks taken back before it and after it, a pay-in among them, and a higher fee, each with the node's chain as
//! the judge of who was paid how often; and pay-ins that wait in a pool.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

mod pool;
#[path = "../../../chain/tests/real_node/mod.rs"]
mod real_node;
mod story;

use async_trait::async_trait;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, ecdsa,
    transaction,
};
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::{
    BlockRef, ChainCoin, ChainInfo, ChainParams, ChainSink, FeeRate, FollowedBlock, Follower, Node,
    NodeCoins, NodeError, RpcNode, SendOutcome, SinkError, SubmitOutcome, Template,
    TransactionPlace, address_for_script, script_for_address,
};
use gruve_ledger::{Account, AccountKind, Entry, post};
use gruve_store::{Store, testing, transact, transfer};
use gruve_treasury::{
    ChainWallet, Invoice, InvoiceState, Lock, NewInvoice, NewPayout, Payer, PayoutState, Purpose,
    Seed, SweepPolicy, Treasury, TreasuryConfig, TreasuryError,
};
use gruve_units::{
    AccountId, Amount, Asset, Clock, ManualClock, PayoutId, SeededEntropy, SystemClock,
};
use real_node::{Mweb, Program, RealNode};
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The real node, which has no estimate of fees on such a chain, with one.
struct Priced {
    real: RpcNode,
    rate: Mutex<i64>,
}

#[async_trait]
impl Node for Priced {
    fn params(&self) -> &ChainParams {
        self.real.params()
    }
    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        self.real.template(longpoll).await
    }
    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        self.real.submit_block(block).await
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.real.tip().await
    }
    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.real.block_hash(height).await
    }
    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.real.block(hash).await
    }
    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        self.real.send_transaction(bytes).await
    }
    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        self.real.transaction_in_mempool_or_block(txid).await
    }
    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        self.real.coin_is_unspent(txid, vout).await
    }
    async fn coins_of(&self, scripts: &[Vec<u8>]) -> Result<Option<NodeCoins>, NodeError> {
        self.real.coins_of(scripts).await
    }
    async fn chain_coin(&self, txid: &[u8; 32], vout: u32) -> Result<ChainCoin, NodeError> {
        self.real.chain_coin(txid, vout).await
    }
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        self.real.pool().await
    }
    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        self.real.pool_transaction(txid).await
    }
    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(Some(FeeRate { minor_per_kvb: *self.rate.lock().unwrap() }))
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.real.info().await
    }
}

struct Sink {
    store: Mutex<Store>,
    treasury: Mutex<Treasury>,
    asset: Asset,
}

impl Sink {
    fn parts(&self) -> (Store, Treasury) {
        (self.store.lock().unwrap().clone(), self.treasury.lock().unwrap().clone())
    }
}

#[async_trait]
impl ChainSink for Sink {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let (store, treasury) = self.parts();
        let mut tx = store.read().await.map_err(SinkError::new)?;
        let known = treasury.known_blocks(&mut tx, self.asset, limit as u64).await;
        known.map_err(SinkError::new)
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        let (store, treasury) = self.parts();
        transact!(store, tx -> Result<(), TreasuryError> => {
            treasury.connect_block(tx, self.asset, block.height, &block.block).await?;
            Ok(())
        })
        .map_err(SinkError::new)
    }

    async fn disconnect(&self, block: &BlockRef) -> Result<(), SinkError> {
        let (store, treasury) = self.parts();
        transact!(store, tx -> Result<(), TreasuryError> => {
            treasury.disconnect_block(tx, self.asset, block).await?;
            Ok(())
        })
        .map_err(SinkError::new)
    }
}

struct Bench {
    real: RealNode,
    node: Arc<Priced>,
    clock: Arc<ManualClock>,
    sink: Arc<Sink>,
    follower: Arc<Follower>,
    payer: Payer,
    params: ChainParams,
    sweep: Option<SweepPolicy>,
}

const NOBODY: [u8; 22] = [0, 20, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];

fn open(
    store: &Store,
    clock: &Arc<ManualClock>,
    node: &Arc<Priced>,
    sweep: Option<SweepPolicy>,
) -> Treasury {
    let params = *node.params();
    let mut wallet = ChainWallet::new(params, node.clone());
    wallet.confirmations = 2;
    wallet.payouts.auto_approve_max = 1_000 * params.asset.unit();
    wallet.payouts.bump_after = Duration::from_secs(600);
    wallet.sweep = sweep;
    let config = TreasuryConfig::new(Seed::from_bytes([5; 32])).with_chain(wallet);
    let entropy = Arc::new(SeededEntropy::new(SystemClock.now().0.unsigned_abs()));
    Treasury::new(store.clone(), clock.clone(), entropy, config).unwrap()
}

fn follower(node: &Arc<Priced>, sink: &Arc<Sink>) -> Arc<Follower> {
    let params = *node.params();
    let options = Options { start: Start::Height(0), ..Options::for_chain(&params) };
    Follower::new(node.clone(), params, sink.clone(), options)
}

async fn new_store(dir: &testing::TestDir) -> Store {
    let store = testing::sqlite(dir.path()).await;
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    store
}

impl Bench {
    /// A wallet with ripe coins, and a customer with twenty of them.
    async fn new(program: Program, dir: &testing::TestDir) -> Bench {
        // Litecoin's nodes replace nothing unless they are told to; the first form confirms there.
        let replaces: &[&str] = match program {
            Program::Litecoind(_) => &["-mempoolreplacement=1"],
            Program::Bitcoind => &[],
        };
        let real = RealNode::start_with(program, None, replaces).await;
        let params = program.params();
        let node = Arc::new(Priced { real: real.rpc(), rate: Mutex::new(2_000) });
        let store = new_store(dir).await;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let treasury = open(&store, &clock, &node, None);
        let asset = params.asset;
        let sink = Sink { store: Mutex::new(store), treasury: Mutex::new(treasury.clone()), asset };
        let sink = Arc::new(sink);
        let follower = follower(&node, &sink);
        let payer = Payer::new(treasury.clone());
        let bench = Bench { real, node, clock, sink, follower, payer, params, sweep: None };
        let own = treasury.capital_address(asset).unwrap();
        bench.real.generate(3, &own).await;
        bench.mine(101).await;
        let (store, at) = (bench.sink.parts().0, bench.clock.now());
        let (debit, credit) = (Account::Capital, Account::CustomerAvailable(customer()));
        let given = Amount::new(asset, 20 * asset.unit());
        let entry = Entry::transfer("test:given".to_owned(), "test", at, debit, credit, given);
        transact!(store, tx -> Result<(), TreasuryError> => {
            post(tx, &entry).await?;
            Ok(())
        })
        .unwrap();
        bench
    }

    fn treasury(&self) -> Treasury {
        self.sink.parts().1
    }

    fn address(&self, n: u8) -> String {
        let mut script = NOBODY;
        script[21] = n;
        address_for_script(&self.params, &script).unwrap()
    }

    async fn follow(&self) {
        while !matches!(self.follower.step().await.unwrap(), Progress::UpToDate(_)) {}
        let (store, treasury) = self.sink.parts();
        let mut tx = store.read().await.unwrap();
        assert!(treasury.reconcile(&mut tx, self.params.asset).await.unwrap().agrees());
        drop(tx);
        let compared = treasury.compare_coins_with_node(self.params.asset).await.unwrap();
        assert_eq!((compared.differences, compared.left_out), (Vec::new(), None));
    }

    async fn mine(&self, blocks: u32) {
        self.real.generate(blocks, &self.address(200)).await;
        self.follow().await;
    }

    fn restart(&mut self) {
        let treasury = open(&self.sink.parts().0, &self.clock, &self.node, self.sweep.clone());
        *self.sink.treasury.lock().unwrap() = treasury.clone();
        self.payer = Payer::new(treasury);
    }

    async fn backup(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let store = self.sink.parts().0;
        let mut tx = store.read().await.unwrap();
        transfer::export(&mut tx, &mut out).await.unwrap();
        out
    }

    async fn restore(&mut self, backup: &[u8], dir: &testing::TestDir) {
        let store = new_store(dir).await;
        let mut tx = store.begin().await.unwrap();
        transfer::import(&mut tx, &mut std::io::Cursor::new(backup)).await.unwrap();
        tx.commit().await.unwrap();
        *self.sink.store.lock().unwrap() = store;
        self.restart();
        // What followed the chain before knows blocks that this database has never seen.
        self.follower = follower(&self.node, &self.sink);
        self.follow().await;
    }

    async fn ask(&self, coins: i64, to: &str) -> PayoutId {
        let amount = Amount::new(self.params.asset, coins * self.params.asset.unit());
        let (account, address) = (customer(), to.to_owned());
        let new = NewPayout { account, amount, address, request_key: None };
        self.treasury().request_payout(new).await.unwrap()
    }

    async fn state(&self, id: PayoutId) -> PayoutState {
        self.treasury().payout(id).await.unwrap().unwrap().state
    }

    /// What an address has on the node's chain, and by how many outputs.
    async fn received(&self, address: &str) -> (i64, usize) {
        let what = json!(["start", [format!("addr({address})")]]);
        let found = self.real.call("scantxoutset", what).await;
        let decimal = found["total_amount"].to_string();
        let amount = Amount::parse_decimal(self.params.asset, &decimal).unwrap();
        (amount.minor, found["unspents"].as_array().unwrap().len())
    }

    async fn waiting(&self) -> Vec<String> {
        let pool = self.real.call("getrawmempool", json!([])).await;
        pool.as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect()
    }

    async fn total(&self, kind: AccountKind) -> i64 {
        let store = self.sink.parts().0;
        let mut tx = store.read().await.unwrap();
        let totals = gruve_ledger::totals(&mut tx, self.params.asset).await.unwrap();
        totals.iter().find(|(k, _)| *k == kind).map_or(0, |(_, a)| a.minor)
    }
}

fn customer() -> AccountId {
    AccountId::from_bytes([1; 16])
}

async fn pays_once(program: Program) {
    let (first, second) = (testing::TestDir::new(), testing::TestDir::new());
    let mut bench = Bench::new(program, &first).await;
    let (asset, to) = (bench.params.asset, bench.address(1));

    // A backup, a payout, the backup again: first without a block, then with one.
    let id = bench.ask(3, &to).await;
    let backup = bench.backup().await;
    bench.payer.step().await.unwrap();
    let sent = bench.waiting().await;
    assert_eq!(sent.len(), 1);
    bench.restore(&backup, &second).await;
    *bench.node.rate.lock().unwrap() = 3_000;
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await, sent, "paid again");
    let locks = bench.treasury().payout_locks(asset).await.unwrap();
    assert!(matches!(locks[..], [Lock::Doubted { .. }]), "{locks:?}");
    bench.mine(1).await;
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await.len(), 0, "paid again");
    let locks = bench.treasury().payout_locks(asset).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    assert_eq!(*txid, sent[0]);
    let explained = bench.treasury().explain(asset, txid, "somebody").await.unwrap();
    assert_eq!(explained.payouts, [id]);

    // A payout that waits is signed again at a rate that the node takes in place of the first.
    let other = bench.address(2);
    let next = bench.ask(2, &other).await;
    bench.payer.step().await.unwrap();
    let before = bench.waiting().await;
    *bench.node.rate.lock().unwrap() = 20_000;
    bench.clock.advance(Duration::from_secs(601));
    bench.payer.step().await.unwrap();
    let after = bench.waiting().await;
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after, "replaced");
    bench.mine(1).await;
    assert_eq!(bench.state(next).await, PayoutState::Confirmed);

    // What is above the cap goes to the cold address.
    let cold = bench.address(3);
    let mut script = NOBODY.to_vec();
    script[21] = 3;
    let (above, keep) = (30 * asset.unit(), 25 * asset.unit());
    bench.sweep = Some(SweepPolicy { address: cold.clone(), script, above, keep });
    bench.restart();
    bench.mine(2).await;
    bench.payer.step().await.unwrap();
    bench.mine(1).await;
    let swept = bench.received(&cold).await;
    assert!(swept.0 > 0);

    // Six blocks leave the chain and others come in their place; everything stands in those again.
    let tip = bench.node.tip().await.unwrap().height;
    let first = bench.real.call("getblockhash", json!([tip - 5])).await;
    bench.real.call("invalidateblock", json!([first])).await;
    bench.mine(7).await;
    bench.clock.advance(Duration::from_secs(601));
    bench.payer.step().await.unwrap();
    bench.mine(2).await;
    for (id, to, coins) in [(id, &to, 3), (next, &other, 2)] {
        let payout = bench.treasury().payout(id).await.unwrap().unwrap();
        assert_eq!(payout.state, PayoutState::Confirmed);
        assert_eq!(payout.amount.minor, coins * asset.unit());
        let received = bench.received(to).await;
        assert_eq!(received, (payout.receives().unwrap().minor, 1), "paid once");
    }
    assert_eq!(bench.received(&cold).await, swept);
    assert_eq!(bench.total(AccountKind::ChainCold).await, swept.0);
    for kind in [AccountKind::Loss, AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
        assert_eq!(bench.total(kind).await, 0, "{kind}");
    }
}

/// Somebody outside, with a key and one coin.
struct Somebody {
    key: SecretKey,
    coin: (OutPoint, i64),
}

impl Somebody {
    fn script(key: &SecretKey) -> ScriptBuf {
        let public = CompressedPublicKey(key.public_key(&Secp256k1::new()));
        ScriptBuf::new_p2wpkh(&public.wpubkey_hash())
    }

    /// Who is given a block's coins.
    async fn with_coins(bench: &Bench) -> Somebody {
        let key = SecretKey::from_slice(&[7; 32]).unwrap();
        let own = Somebody::script(&key);
        bench.real.generate(1, &address_for_script(&bench.params, own.as_bytes()).unwrap()).await;
        let best = bench.real.call("getbestblockhash", json!([])).await;
        let block = bench.real.call("getblock", json!([best, 2])).await;
        let made = &block["tx"][0];
        let txid = made["txid"].as_str().unwrap().parse().unwrap();
        let value = made["vout"][0]["value"].to_string();
        let value = Amount::parse_decimal(bench.params.asset, &value).unwrap().minor;
        Somebody { key, coin: (OutPoint { txid, vout: 0 }, value) }
    }

    /// A transaction that pays so much to a script and the rest back, less a fee.
    fn pay(&self, script: &[u8], minor: i64, fee: i64) -> Vec<u8> {
        let rest = self.coin.1 - minor - fee;
        let own = Somebody::script(&self.key).into_bytes();
        self.spend(self.coin, &[(script.to_vec(), minor), (own, rest)])
    }

    /// A transaction that spends a coin of this key and may be replaced (BIP 125).
    fn spend(&self, coin: (OutPoint, i64), outputs: &[(Vec<u8>, i64)]) -> Vec<u8> {
        let sat = |minor: i64| bitcoin::Amount::from_sat(minor.unsigned_abs());
        let (previous_output, value) = coin;
        let own = Somebody::script(&self.key);
        let output = |(script, minor): &(Vec<u8>, i64)| TxOut {
            value: sat(*minor),
            script_pubkey: ScriptBuf::from(script.clone()),
        };
        let sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;
        let mut tx = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn { previous_output, sequence, ..TxIn::default() }],
            output: outputs.iter().map(output).collect(),
        };
        let sighash_type = EcdsaSighashType::All;
        let hash = SighashCache::new(&tx).p2wpkh_signature_hash(0, &own, sat(value), sighash_type);
        let message = Message::from_digest(hash.unwrap().to_byte_array());
        let secp = Secp256k1::new();
        let signature = secp.sign_ecdsa(&message, &self.key);
        let signature = ecdsa::Signature { signature, sighash_type };
        tx.input[0].witness = Witness::p2wpkh(&signature, &self.key.public_key(&secp));
        serialize(&tx)
    }
}

impl Bench {
    async fn available(&self) -> i64 {
        let store = self.sink.parts().0;
        let mut tx = store.read().await.unwrap();
        let account = Account::CustomerAvailable(customer());
        gruve_ledger::balance(&mut tx, &account, self.params.asset).await.unwrap().minor
    }
}

/// A backup, then a payout and a pay-in that is credited, then six blocks that leave the chain and the pay-in's coins with them,
/// and only then the backup: nothing is paid twice, and nothing is credited that is not there.
async fn restores_after_a_reorganisation(program: Program) {
    let (first, second) = (testing::TestDir::new(), testing::TestDir::new());
    let mut bench = Bench::new(program, &first).await;
    let (asset, to) = (bench.params.asset, bench.address(1));
    let coin = asset.unit();
    let somebody = Somebody::with_coins(&bench).await;
    bench.mine(101).await;

    let new = NewInvoice {
        account: customer(),
        amount: Amount::new(asset, 2 * coin),
        purpose: Purpose::TopUp,
        ttl: Duration::from_secs(86_400),
    };
    let (store, treasury) = bench.sink.parts();
    let invoice = transact!(store, tx -> Result<Invoice, TreasuryError> => {
        treasury.create_invoice(tx, new).await
    })
    .unwrap();
    let id = bench.ask(3, &to).await;
    let backup = bench.backup().await;
    let before = bench.available().await;
    bench.payer.step().await.unwrap();
    let sent = bench.waiting().await;
    assert_eq!(sent.len(), 1);
    let script = script_for_address(&bench.params, &invoice.address).unwrap();
    let paid_in = bench.node.send_transaction(&somebody.pay(&script, 2 * coin, 10_000)).await;
    assert_eq!(paid_in.unwrap(), SendOutcome::Accepted);
    // Both stand in the first of six blocks, and are final by the last.
    bench.mine(6).await;
    assert_eq!(bench.state(id).await, PayoutState::Confirmed);
    assert_eq!(bench.available().await, before + 2 * coin, "the pay-in is credited");
    let paid = bench.treasury().payout(id).await.unwrap().unwrap().receives().unwrap().minor;
    assert_eq!(bench.received(&to).await, (paid, 1));

    // The six leave. The first of seven others spends the pay-in's coins elsewhere.
    let elsewhere = script_for_address(&bench.params, &bench.address(9)).unwrap();
    let other_way = hex::encode(somebody.pay(&elsewhere, 2 * coin, 10_000));
    let tip = bench.node.tip().await.unwrap().height;
    let sixth = bench.real.call("getblockhash", json!([tip - 5])).await;
    bench.real.call("invalidateblock", json!([sixth])).await;
    let nobody = bench.address(200);
    bench.real.call("generateblock", json!([nobody, [other_way]])).await;
    for _ in 0..6 {
        bench.real.call("generateblock", json!([nobody, []])).await;
    }
    assert_eq!(bench.waiting().await, sent, "the payout waits again, the pay-in never will");

    // Here the house has followed, and has lost nothing.
    bench.follow().await;
    assert_eq!(bench.available().await, before, "what was credited is taken back");
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await, sent, "paid again");

    // There it comes back from the backup, while the payout waits for a block ...
    bench.restore(&backup, &second).await;
    assert_eq!(bench.available().await, before);
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await, sent, "paid again");
    let locks = bench.treasury().payout_locks(asset).await.unwrap();
    assert!(matches!(locks[..], [Lock::Doubted { .. }]), "{locks:?}");
    // ... and when it has one.
    bench.mine(6).await;
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await.len(), 0, "paid again");
    let locks = bench.treasury().payout_locks(asset).await.unwrap();
    let [Lock::Unexplained { txid, .. }] = &locks[..] else { panic!("{locks:?}") };
    assert_eq!(*txid, sent[0]);
    // Nothing else is paid until somebody has looked.
    let next = bench.ask(1, &bench.address(2)).await;
    bench.payer.step().await.unwrap();
    assert_eq!(bench.waiting().await.len(), 0, "it is locked");
    let explained = bench.treasury().explain(asset, &sent[0], "somebody").await.unwrap();
    assert_eq!(explained.payouts, [id]);
    bench.payer.step().await.unwrap();
    bench.mine(2).await;
    for (id, to) in [(id, &to), (next, &bench.address(2))] {
        let payout = bench.treasury().payout(id).await.unwrap().unwrap();
        assert_eq!(payout.state, PayoutState::Confirmed);
        let receives = payout.receives().unwrap().minor;
        assert_eq!(bench.received(to).await, (receives, 1), "paid once");
    }
    assert_eq!(bench.available().await, before - coin);
    assert_ne!(
        bench.treasury().invoice(invoice.id).await.unwrap().unwrap().state,
        InvoiceState::Confirmed
    );
    for kind in [AccountKind::Loss, AccountKind::PayoutsInFlight, AccountKind::CustomerHeld] {
        assert_eq!(bench.total(kind).await, 0, "{kind}");
    }
}

#[tokio::test]
async fn on_litecoind_a_backup_from_before_a_reorganisation_pays_nothing_twice() {
    restores_after_a_reorganisation(Program::Litecoind(Mweb::Never)).await;
}

#[tokio::test]
async fn on_bitcoind_a_backup_from_before_a_reorganisation_pays_nothing_twice() {
    restores_after_a_reorganisation(Program::Bitcoind).await;
}

#[tokio::test]
async fn on_litecoind_an_older_backup_and_a_reorganisation_pay_nothing_twice() {
    pays_once(Program::Litecoind(Mweb::Never)).await;
}

#[tokio::test]
async fn on_bitcoind_an_older_backup_and_a_reorganisation_pay_nothing_twice() {
    pays_once(Program::Bitcoind).await;
}
