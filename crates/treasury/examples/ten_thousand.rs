//! Measures the treasury with many pay-ins and payouts at once, on a database of its own:
//!
//! ```sh
//! cargo run --release -p gruve-treasury --example ten_thousand -- 10000 /tmp/gruve-ten-thousand
//! ```
//!
//! | figure | what it is |
//! |---|---|
//! | invoices made | addresses derived, rows written, a transaction each |
//! | a block of pay-ins found | from a block that pays all invoices to its commit |
//! | credited | the block at which all of them are deep enough |
//! | payouts asked for | held and written, a transaction each |
//! | planned and signed | transactions of fifty payouts: coins chosen, reserved, signed, stored |
//! | a block of payouts found | from a block that has all of them to its commit |
//!
//! The node answers at once and takes everything: what is measured is the house. At the end the chain's own account of
//! who was paid is held against the books; a figure of a run that does not balance is not printed.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // a measurement, not a part of the house

use async_trait::async_trait;
use bitcoin::hashes::Hash as _;
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, LeanBlock, LeanOutput, LeanTx, NetworkName, Node,
    NodeError, SendOutcome, SubmitOutcome, Template, TransactionPlace, params_for,
    script_for_address,
};
use gruve_store::{Store, transact};
use gruve_treasury::{
    BlockEffects, ChainWallet, NewInvoice, NewPayout, Payer, Purpose, Seed, Treasury,
    TreasuryConfig, TreasuryError,
};
use gruve_units::{AccountId, Amount, Asset, ManualClock, SeededEntropy, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ASSET: Asset = Asset::Btc;
const PAY_IN: i64 = 200_000;
const PAYOUT: i64 = 100_000;
const CONFIRMATIONS: u64 = 2;

/// A chain that takes everything.
struct Chain {
    params: ChainParams,
    blocks: Mutex<Vec<LeanBlock>>,
    waiting: Mutex<Vec<LeanTx>>,
}

fn not_asked<T>() -> Result<T, NodeError> {
    Err(NodeError::NotReady("not asked for here".into()))
}

impl Chain {
    /// A block on the tip with these and all that waits.
    fn mine(&self, mut txs: Vec<LeanTx>) -> (u64, LeanBlock) {
        let mut blocks = self.blocks.lock().unwrap();
        txs.append(&mut self.waiting.lock().unwrap());
        let height = blocks.len() as u64;
        let hash_of = |height: u64| {
            let mut hash = [0xb1; 32];
            hash[24..].copy_from_slice(&height.to_be_bytes());
            hash
        };
        let prev = height.checked_sub(1).map_or([0; 32], hash_of);
        let block = LeanBlock {
            header: [0; 80],
            hash: hash_of(height),
            prev,
            time: 1,
            bits: 0x207f_ffff,
            txs,
        };
        blocks.push(block.clone());
        (height, block)
    }
}

#[async_trait]
impl Node for Chain {
    fn params(&self) -> &ChainParams {
        &self.params
    }
    async fn template(&self, _: Option<&str>) -> Result<Template, NodeError> {
        not_asked()
    }
    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        not_asked()
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        let blocks = self.blocks.lock().unwrap();
        let top = blocks.last().ok_or_else(|| NodeError::NotReady("no block yet".into()))?;
        Ok(BlockRef { height: blocks.len() as u64 - 1, hash: top.hash })
    }
    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        not_asked()
    }
    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        not_asked()
    }
    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        let tx: bitcoin::Transaction = bitcoin::consensus::deserialize(bytes).unwrap();
        let point =
            |i: &bitcoin::TxIn| (i.previous_output.txid.to_byte_array(), i.previous_output.vout);
        let pays = |o: &bitcoin::TxOut| LeanOutput {
            value: i64::try_from(o.value.to_sat()).unwrap(),
            script: o.script_pubkey.to_bytes(),
        };
        self.waiting.lock().unwrap().push(LeanTx {
            txid: tx.compute_txid().to_byte_array(),
            coinbase: false,
            hogex: false,
            inputs: tx.input.iter().map(point).collect(),
            outputs: tx.output.iter().map(pays).collect(),
        });
        Ok(SendOutcome::Accepted)
    }
    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        not_asked()
    }
    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(Some(FeeRate { minor_per_kvb: 2_000 }))
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        not_asked()
    }
}

struct Bench {
    store: Store,
    chain: Arc<Chain>,
    clock: Arc<ManualClock>,
    treasury: Treasury,
}

impl Bench {
    async fn connect(&self, txs: Vec<LeanTx>) -> BlockEffects {
        let (height, block) = self.chain.mine(txs);
        let connected = transact!(self.store, tx -> Result<BlockEffects, TreasuryError> => {
            self.treasury.connect_block(tx, ASSET, height, &block).await
        });
        connected.unwrap()
    }

    /// Chain and books agree, and the journal is whole.
    async fn check(&self) {
        let mut tx = self.store.read().await.unwrap();
        assert!(self.treasury.reconcile(&mut tx, ASSET).await.unwrap().agrees());
        assert!(gruve_ledger::audit(&mut tx).await.unwrap().findings.is_empty());
    }
}

fn account(n: u32) -> AccountId {
    let mut bytes = [1; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    AccountId::from_bytes(bytes)
}

/// Somebody's script outside, one for each number.
fn outside(n: u32) -> Vec<u8> {
    let mut script = vec![0, 20];
    script.extend([0x77; 16]);
    script.extend(n.to_be_bytes());
    script
}

fn told(what: &str, count: u32, took: Duration) {
    let each = took.as_micros() / u128::from(count.max(1));
    println!("{what:<28} {count:>7}   {:>9} ms   {each:>7} µs each", took.as_millis());
}

async fn measure(count: u32, folder: &std::path::Path) {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join("ten-thousand.db");
    assert!(!file.exists(), "{} is there already: give an empty folder", file.display());
    let store = Store::open(&format!("sqlite://{}", file.display())).await.unwrap();
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("treasury", gruve_treasury::MIGRATIONS).await.unwrap();
    let params = params_for(ASSET, NetworkName::Regtest).unwrap();
    let (blocks, waiting) = (Mutex::default(), Mutex::default());
    let chain = Arc::new(Chain { params, blocks, waiting });
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
    let mut wallet = ChainWallet::new(params, chain.clone());
    wallet.confirmations = CONFIRMATIONS;
    let config = TreasuryConfig::new(Seed::from_bytes([7; 32])).with_chain(wallet);
    let entropy = Arc::new(SeededEntropy::new(1));
    let treasury = Treasury::new(store.clone(), clock.clone(), entropy, config).unwrap();
    let b = Bench { store, chain, clock, treasury };
    b.connect(Vec::new()).await;

    let began = Instant::now();
    let mut scripts = Vec::new();
    for n in 0..count {
        let amount = Amount::new(ASSET, PAY_IN);
        let ttl = Duration::from_secs(86_400);
        let new = NewInvoice { account: account(n), amount, purpose: Purpose::TopUp, ttl };
        let invoice = transact!(b.store, tx -> Result<_, TreasuryError> => {
            b.treasury.create_invoice(tx, new).await
        });
        scripts.push(script_for_address(&params, &invoice.unwrap().address).unwrap());
    }
    told("invoices made", count, began.elapsed());

    let pay_in = |(n, script): (u32, Vec<u8>)| {
        let mut txid = [0xdd; 32];
        txid[28..].copy_from_slice(&n.to_be_bytes());
        let outputs = vec![LeanOutput { value: PAY_IN, script }];
        LeanTx { txid, coinbase: false, hogex: false, inputs: vec![([0xee; 32], n)], outputs }
    };
    let txs: Vec<LeanTx> = (0..count).zip(scripts).map(pay_in).collect();
    let began = Instant::now();
    b.connect(txs).await;
    told("a block of pay-ins found", count, began.elapsed());
    let began = Instant::now();
    let credited = b.connect(Vec::new()).await.invoices.len();
    told("credited", count, began.elapsed());
    assert_eq!(credited, count as usize);
    b.check().await;

    let began = Instant::now();
    for n in 0..count {
        let address = gruve_chain::address_for_script(&params, &outside(n)).unwrap();
        let amount = Amount::new(ASSET, PAYOUT);
        let new = NewPayout { account: account(n), amount, address, request_key: None };
        // No two are asked for in the same microsecond.
        b.clock.advance(Duration::from_millis(1));
        b.treasury.request_payout(new).await.unwrap();
    }
    told("payouts asked for", count, began.elapsed());

    let payer = Payer::new(b.treasury.clone());
    let (began, mut signed, mut blocks, mut found) = (Instant::now(), 0, 0, Duration::ZERO);
    let mut planned = Duration::ZERO;
    let mut paid: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut confirmed = 0;
    while confirmed < count as usize {
        let begun = Instant::now();
        let mut here = 0;
        loop {
            b.clock.advance(Duration::from_secs(1));
            let done = payer.step().await.unwrap();
            if done.signed == 0 {
                break;
            }
            here += done.signed;
        }
        planned += begun.elapsed();
        assert!(here > 0, "payouts wait, and nothing is planned");
        signed += here;
        for output in b.chain.waiting.lock().unwrap().iter().flat_map(|t| &t.outputs) {
            *paid.entry(output.script.clone()).or_default() += 1;
        }
        let begun = Instant::now();
        confirmed += b.connect(Vec::new()).await.payouts.len();
        found += begun.elapsed();
        blocks += 1;
        // What came back is spendable two blocks later.
        b.connect(Vec::new()).await;
    }
    told("planned and signed", count, planned);
    println!("{:<28} {signed:>7} transactions in {blocks} blocks", "");
    told("blocks of payouts found", count, found);
    println!("all of it {:>53} ms", began.elapsed().as_millis());
    let once = |n| paid.get(&outside(n)) == Some(&1);
    assert!((0..count).all(once), "somebody was paid twice, or not at all");
    b.check().await;
}

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1);
    let count = words.next().and_then(|n| n.parse().ok());
    let (Some(count), Some(folder)) = (count, words.next()) else {
        println!("ten_thousand COUNT FOLDER");
        return;
    };
    measure(count, std::path::Path::new(&folder)).await;
}
