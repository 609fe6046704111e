//! A lane with many contracts, from epoch to epoch.

use crate::meter::{Meter, print};
use crate::pure::id;
use gruve_ledger::{Account, Entry, Posting, post_all};
use gruve_market::{Accountant, Market, MarketConfig, RecordSink, Result, RewardSeen};
use gruve_proof::publish::{self, DataFolder};
use gruve_proof::summary::FileRef;
use gruve_sharelog::{
    BlockRecord, Extranonce, JobRecord, Options, Owner, Record, ShareLog, ShareRecord,
};
use gruve_store::{Batch, Kind, Many, Store, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Class, EpochNumber, Hashes, Hashrate, JobId, LaneId,
    MachineId, ManualClock, SeededEntropy, Timestamp,
};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Seconds of an epoch.
const EPOCH_SECS: u64 = 600;
/// The first epoch: settlements come every sixth.
const FIRST: u64 = 6_000;
/// 2^57 hashes a block: an epoch of this farm is some five blocks' work, a window two epochs.
const BITS: u32 = 0x1a00_8000;
/// Of each contract, hashes a second.
const RATE: u128 = 1_000_000_000;
const PRICE: i64 = 144_000;
const TERM: u64 = 144;

/// Contracts as a sale leaves them, paid; a million sales would take a day.
const CONTRACTS: Many = Many {
    columns: &[
        ("id", Kind::Bytes),
        ("account", Kind::Bytes),
        ("work16", Kind::Bytes),
        ("all16", Kind::Bytes),
        ("rate16", Kind::Bytes),
        ("zero16", Kind::Bytes),
        ("terms", Kind::Bytes),
        ("hash", Kind::Bytes),
        ("start", Kind::Int),
    ],
    sql: "INSERT INTO market_contracts (id, account, quote, plan, plan_version, title, lane, asset,
        epoch_us, hashrate, term_epochs, extension_epochs, catch_up_bps, epoch_work, work, price_asset,
        price_minor, fee_bps, maintenance, terms, terms_hash, state, created_at, paid_at, start_epoch,
        delivered, maintenance_due, recognised_minor, refunded_minor)
        SELECT id, account, id, 'lease', 1, 'A lease', 'ltc', 'LTC', 600000000, rate16, 144, 144, 5000,
        work16, all16, 'LTC', 144000, 200, 90, terms, hash, 'starting', 0, 0, start, zero16, zero16,
        0, 0 FROM given",
};

fn lane() -> LaneId {
    "ltc".parse().unwrap()
}

fn config() -> MarketConfig {
    let text = r#"{"lanes": [{"lane": "ltc", "asset": "LTC", "algorithm": "scrypt",
        "epoch_rule": {"length_us": 600000000, "grace_us": 1000000}, "coinbase_maturity": 1,
        "settle_every_epochs": 6}], "plans": []}"#;
    serde_json::from_str(text).unwrap()
}

fn start_of(epoch: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(epoch * EPOCH_SECS).unwrap())
}

/// The public record in a folder, as a house keeps it.
struct Published {
    data: DataFolder,
    kept: PathBuf,
}

impl RecordSink for Published {
    fn put(&self, bytes: &[u8]) -> std::result::Result<FileRef, String> {
        self.data.put(bytes).map_err(|e| e.to_string())
    }

    fn keep(&self, sold: &FileRef, bytes: &[u8]) -> std::result::Result<(), String> {
        publish::put(&self.kept, &hex::encode(sold.hash), bytes).map_err(|e| e.to_string())
    }

    fn scratch(&self) -> std::result::Result<File, String> {
        publish::scratch(&self.kept).map_err(|e| e.to_string())
    }

    fn put_from(&self, file: &mut File) -> std::result::Result<FileRef, String> {
        self.data.put_from(file).map_err(|e| e.to_string())
    }

    fn keep_from(&self, sold: &FileRef, file: &mut File) -> std::result::Result<(), String> {
        publish::put_from(&self.kept, &hex::encode(sold.hash), file).map_err(|e| e.to_string())
    }

    fn read(&self, _: &FileRef) -> std::result::Result<Vec<u8>, String> {
        Err("nobody asks".into())
    }

    fn secret(&self) -> [u8; 32] {
        [3; 32]
    }

    fn grown(&self) {}
}

struct Farm {
    store: Store,
    market: Market,
    accountant: Accountant,
    log: ShareLog,
    clock: Arc<ManualClock>,
    epoch: u64,
    nonce: u32,
    _dir: tempfile::TempDir,
}

impl Farm {
    async fn new(store: &Store, contracts: u64) -> Farm {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        let clock = Arc::new(ManualClock::new(start_of(FIRST)));
        let entropy = Arc::new(SeededEntropy::new(7));
        let market = Market::new(store.clone(), clock.clone(), entropy, config()).unwrap();
        market.prepare().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
        let data = DataFolder::open(&dir.path().join("public")).unwrap();
        market.publish_to(Arc::new(Published { data, kept: dir.path().join("kept") }));
        let accountant = Accountant::new(market.clone());
        let (store, epoch, nonce) = (store.clone(), FIRST, 0);
        let farm = Farm { store, market, accountant, log, clock, epoch, nonce, _dir: dir };
        farm.sell(contracts).await;
        farm.job();
        farm
    }

    async fn sell(&self, contracts: u64) {
        let m = Meter::begin();
        let work = RATE * u128::from(EPOCH_SECS);
        for from in (0..contracts).step_by(50_000) {
            let mut tx = self.store.begin().await.unwrap();
            let mut rows = Batch::new(&CONTRACTS);
            let mut prepaid = Vec::new();
            for n in from..contracts.min(from + 50_000) {
                let row = gruve_store::params![
                    id(n),
                    AccountId::from_bytes(id(n / 3).to_bytes()),
                    Hashes(work),
                    Hashes(work * u128::from(TERM)),
                    Hashrate(RATE),
                    Accrual::ZERO,
                    vec![7_u8; 600],
                    [7_u8; 32],
                    FIRST
                ];
                rows.push(&mut tx, row).await.unwrap();
                let price = Amount::new(Asset::Ltc, PRICE);
                prepaid.push(Posting::debit(Account::ChainHot, price));
                prepaid.push(Posting::credit(Account::PrepaidWork(id(n)), price));
            }
            rows.finish(&mut tx).await.unwrap();
            let entry = |(n, postings): (usize, &[Posting])| Entry {
                reason: format!("sold/{from}/{n}"),
                kind: "sale",
                at: Timestamp(0),
                postings: postings.to_vec(),
            };
            let entries: Vec<Entry> = prepaid.chunks(1_000).enumerate().map(entry).collect();
            post_all(&mut tx, &entries).await.unwrap();
            tx.commit().await.unwrap();
        }
        print(&format!("{contracts} contracts put in, with their prices in the ledger"), m.taken());
    }

    fn job(&self) {
        let job = JobRecord {
            job: JobId(self.epoch),
            epoch: EpochNumber(self.epoch),
            checkpoint_epoch: EpochNumber(self.epoch - 2),
            commitment: [1; 32],
            issued_at: start_of(self.epoch),
            height: self.epoch,
            prev_hash: [2; 32],
            bits: BITS,
            version: 0x2000_0000,
            ntime: 5,
            coinbase_prefix: vec![1],
            coinbase_suffix: vec![2],
            class_offset: 0,
            branch: vec![],
        };
        self.log.append(&[Record::Job(job)]).unwrap();
    }

    fn share(&mut self, class: u8) -> ShareRecord {
        self.nonce += 1;
        ShareRecord {
            job: JobId(self.epoch),
            epoch: EpochNumber(self.epoch),
            class: Class::new(class).unwrap(),
            owner: Owner::House,
            machine: MachineId::from_bytes([4; 16]),
            extranonce: Extranonce::new(&[1, 2, 3]).unwrap(),
            ntime: 5,
            nonce: self.nonce,
            version: 0x2000_0000,
            at: start_of(self.epoch),
        }
    }

    /// House work of the running epoch, exactly.
    fn work(&mut self, hashes: u128) {
        let bits = (0..100_u8).filter(|k| hashes >> k & 1 == 1);
        let shares: Vec<_> = bits.map(|k| self.share(k)).collect();
        self.log.append_shares(&shares, &mut Vec::new()).unwrap();
    }

    /// Seals the running epoch and closes it.
    async fn close(&mut self, what: &str) {
        self.epoch += 1;
        self.clock.set(start_of(self.epoch));
        self.job();
        let sealed = EpochNumber(self.epoch - 1);
        self.log.seal(sealed, start_of(self.epoch)).unwrap();
        let m = Meter::begin();
        self.accountant.catch_up(&lane(), &self.log).await.unwrap();
        print(&format!("close of {what}"), m.taken());
    }

    /// Has the database count the rows anew, as a server does by itself some minutes after a million have changed.
    async fn count(&self) {
        let mut tx = self.store.begin().await.unwrap();
        tx.execute("ANALYZE market_contracts", &[]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn find_block(&mut self) -> RewardSeen {
        let block_hash = [9; 32];
        let found =
            BlockRecord { share: self.share(57), block_hash, height: 500, block: vec![0; 100] };
        self.log.append(&[Record::Block(found)]).unwrap();
        let amount = Amount::new(Asset::Ltc, 625_000_000_000);
        RewardSeen { block_hash, height: 500, amount, block_time: start_of(self.epoch) }
    }

    async fn see(&self, seen: RewardSeen) {
        let (market, lane) = (&self.market, lane());
        transact!(self.store, tx -> Result<_> => { market.reward_seen(tx, &lane, seen).await })
            .unwrap();
    }

    async fn mature(&self) {
        let (market, lane) = (&self.market, lane());
        transact!(self.store, tx -> Result<_> => { market.chain_height(tx, &lane, 600).await })
            .unwrap();
    }
}

pub(crate) async fn measure(store: &Store, contracts: u64) {
    let mut farm = Farm::new(store, contracts).await;
    let sold = RATE * u128::from(EPOCH_SECS) * u128::from(contracts);
    let (short, enough) = (sold / 10 * 9 + 1, sold / 10 * 11);
    farm.work(short);
    farm.close("their first epoch (every row changes its state)").await;
    farm.count().await;
    farm.work(short);
    farm.close("an epoch with too little work").await;
    farm.work(enough);
    farm.close("an epoch with work to make shortfalls good").await;
    farm.work(short);
    let seen = farm.find_block().await;
    farm.see(seen).await;
    farm.close("an epoch in which a block is shared out").await;
    farm.mature().await;
    farm.work(short);
    farm.close("an epoch in which a block has matured").await;
    farm.work(short);
    farm.close("an epoch with a settlement of everyone").await;
}
