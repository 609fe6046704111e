//! A small operator, honest until told otherwise: mines real shares at low classes, closes epochs, publishes.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use ed25519_dalek::SigningKey;
use gruve_proof::log::LogHead;
use gruve_proof::note::Checkpoint;
use gruve_proof::publish::{Publisher, data_path};
use gruve_proof::record::{RecordJob, RecordOf, write_record};
use gruve_proof::share::{self, Canonical, ShareLeaf};
use gruve_proof::sold::{Private, SoldLeaf, SoldTree, Sums};
use gruve_proof::summary::{AllocationLeaf, EpochSummary, FileRef, GENESIS, Rules};
use gruve_proof::verify::{Options, Source, Verdict, VerifyError, verify};
use gruve_proof::{merkle, sold, stamp, sum_tree};
use gruve_units::{AccountId, Algorithm, Class, ContractId, EpochNumber, Hashes, JobId, LaneId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

pub const ORIGIN: &str = "log.gruve.example";
pub const CLASS: u8 = 6;
/// An ordinary script: a push of four bytes, then room for twelve.
pub const SCRIPT: [u8; 5] = [4, 1, 2, 3, 4];

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Source for Files {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let bytes = self.0.get(path).cloned();
        Ok(bytes.map(|b| Box::new(io::Cursor::new(b)) as Box<dyn Read + Send>))
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(Some(self.0.keys().cloned().collect()))
    }
}

impl Files {
    pub fn of(folder: &Path) -> Files {
        let (mut all, mut todo) = (BTreeMap::new(), vec![folder.to_owned()]);
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    all.insert(name, std::fs::read(path).unwrap());
                }
            }
        }
        Files(all)
    }

    pub fn write(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    pub fn verify(&self, options: &Options) -> Result<Verdict, VerifyError> {
        let options = Options { threads: 1, ..options.clone() };
        verify(self, &options, &mut |_| ())
    }

    /// What the second verifier says: `yes …` or `no …`.
    pub fn second(&self) -> String {
        self.second_with(&[])
    }

    /// What it says of these receipts, too: names of files and what is in them.
    pub fn second_with(&self, receipts: &[(&str, &[u8])]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/verify.py");
        let (dir, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        self.write(dir.path());
        let mut command = std::process::Command::new("python3");
        command.arg(script).arg(dir.path());
        for (name, bytes) in receipts {
            std::fs::write(beside.path().join(name), bytes).unwrap();
            command.arg(beside.path().join(name));
        }
        let out = command.output();
        let out = out.expect("python3 is needed: apt-get install python3");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// The name of the lie.
    pub fn lie(&self, options: &Options) -> String {
        match self.verify(options) {
            Ok(_) => "none".to_owned(),
            Err(VerifyError::Lie(lie)) => lie.name.to_owned(),
            Err(e) => e.to_string(),
        }
    }
}

/// What an epoch is closed with; a liar changes what he likes.
#[derive(Clone)]
pub struct Closing {
    pub epoch: EpochNumber,
    pub jobs: Vec<RecordJob>,
    pub sections: Vec<(EpochNumber, Vec<Canonical>)>,
    pub contracts: Vec<SoldLeaf>,
    pub algorithm: Algorithm,
    pub rules: Rules,
    /// The file of places to which later jobs may pay.
    pub places: Option<Vec<u8>>,
    /// The threshold that shares are opened and counted by.
    pub opened: u8,
    /// Changes the record's bytes before they are named.
    pub edit_record: fn(&mut Vec<u8>),
    /// Changes the sold tree's bytes before they are named.
    pub edit_sold: fn(&mut Vec<u8>),
    /// Changes the summary last.
    pub edit: fn(&mut EpochSummary),
}

pub struct World {
    pub key: SigningKey,
    pub origin: String,
    pub lane: LaneId,
    pub entries: Vec<Vec<u8>>,
    pub chain: Vec<(EpochNumber, [u8; 32])>,
    /// Chains of the other lanes.
    pub others: BTreeMap<LaneId, Vec<(EpochNumber, [u8; 32])>>,
    pub data: BTreeMap<String, Vec<u8>>,
    pub number: u64,
}

impl World {
    pub fn new() -> World {
        let key = SigningKey::from_bytes(&[7; 32]);
        let recovery = SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes();
        let operator_key = key.verifying_key().to_bytes();
        let head = LogHead { origin: ORIGIN.into(), operator_key, recovery_key: recovery };
        World {
            key,
            origin: ORIGIN.into(),
            lane: "btc".parse().unwrap(),
            entries: vec![head.canonical()],
            chain: Vec::new(),
            others: BTreeMap::new(),
            data: BTreeMap::new(),
            number: 0,
        }
    }

    /// Three honest epochs, 10 to 12.
    pub fn honest() -> World {
        let mut w = World::new();
        for epoch in 10..13 {
            let closing = w.epoch(epoch);
            w.close(&closing);
        }
        w
    }

    /// Goes on with another lane.
    pub fn on(&mut self, lane: &str) {
        let before = std::mem::replace(&mut self.lane, lane.parse().unwrap());
        let chain = std::mem::take(&mut self.chain);
        self.others.insert(before, chain);
        self.chain = self.others.remove(&self.lane).unwrap_or_default();
    }

    pub fn commitment(&self, epoch: u64) -> (EpochNumber, [u8; 32]) {
        let of = self.chain.iter().rev().find(|(e, _)| e.0 + 2 <= epoch).copied();
        let (at, checkpoint) = of.unwrap_or((EpochNumber(0), GENESIS));
        let key = self.key.verifying_key().to_bytes();
        (at, stamp::commitment(&self.origin, &key, &self.lane, EpochNumber(epoch), &checkpoint))
    }

    /// A job as the house makes it.
    pub fn job(&mut self, epoch: u64) -> RecordJob {
        let (checkpoint_epoch, commitment) = self.commitment(epoch);
        let zero = Class::ZERO;
        self.job_with(epoch, checkpoint_epoch, &SCRIPT, &[stamp::output_script(&commitment, zero)])
    }

    pub fn job_with(
        &mut self,
        epoch: u64,
        checkpoint_epoch: EpochNumber,
        script: &[u8],
        stamps: &[Vec<u8>],
    ) -> RecordJob {
        self.number += 1;
        let mut prefix = vec![2, 0, 0, 0, 1];
        prefix.extend([0; 32]);
        prefix.extend([0xff; 4]);
        prefix.push(u8::try_from(script.len() + 12).unwrap());
        prefix.extend(script);
        let mut suffix = vec![0xff; 4];
        suffix.push(u8::try_from(1 + stamps.len()).unwrap());
        suffix.extend(5_000_000_000u64.to_le_bytes());
        suffix.extend([2, 0x51, u8::try_from(self.number % 100).unwrap()]);
        for s in stamps {
            suffix.extend([0; 8]);
            suffix.push(u8::try_from(s.len()).unwrap());
            suffix.extend(s);
        }
        suffix.extend([0; 4]);
        RecordJob {
            job: JobId(epoch * 1_000 + self.number),
            epoch: EpochNumber(epoch),
            checkpoint_epoch,
            issued_us: epoch * 1_000_000,
            height: 100,
            prev_hash: [8; 32],
            bits: 0x1f7f_ffff,
            version: 0x2000_0000,
            ntime: 1_000,
            extranonce_len: 12,
            prefix,
            suffix,
            branch: vec![[3; 32], [4; 32]],
            aux: Vec::new(),
        }
    }

    /// An honest epoch: two jobs, house and an owner, one contract that got all of the house's but 64 hashes.
    pub fn epoch(&mut self, epoch: u64) -> Closing {
        let jobs = vec![self.job(epoch), self.job(epoch)];
        let mut shares = mine(&jobs[0], CLASS, 0..4, None);
        shares.extend(mine(&jobs[0], CLASS + 1, 0..2, Some(owner(2))));
        shares.extend(mine(&jobs[1], CLASS, 0..3, None));
        closing(epoch, jobs, shares)
    }

    pub fn close(&mut self, c: &Closing) {
        let jobs: BTreeMap<JobId, RecordJob> = c.jobs.iter().map(|j| (j.job, j.clone())).collect();
        let of = RecordOf { lane: self.lane.clone(), epoch: c.epoch };
        let sections: Vec<_> = c.sections.iter().map(|(e, s)| (*e, s.iter())).collect();
        let mut record = Vec::new();
        write_record(&mut record, &of, &jobs, &sections).unwrap();
        (c.edit_record)(&mut record);
        let mut sold_file = sold::encode(&self.lane, c.epoch, &c.contracts);
        (c.edit_sold)(&mut sold_file);
        let all: Vec<&Canonical> = c.sections.iter().flat_map(|(_, s)| s).collect();
        let mut works: BTreeMap<AllocationLeaf, Hashes> = BTreeMap::new();
        let (mut house, mut other) = (Hashes::ZERO, Hashes::ZERO);
        for s in &all {
            let class = share::class(s).unwrap().max(Class::new(c.opened).unwrap());
            let work = class.work();
            match share::owner(s) {
                None => house = house.checked_add(work).unwrap(),
                Some(a) => {
                    other = other.checked_add(work).unwrap();
                    let sum = works.entry(AllocationLeaf::Account(a)).or_default();
                    *sum = sum.checked_add(work).unwrap();
                }
            }
        }
        let allocated: u128 = c.contracts.iter().map(|l| l.sums.allocated).sum();
        let surplus = house.saturating_sub(Hashes(allocated));
        works.insert(AllocationLeaf::Surplus, surplus);
        for l in &c.contracts {
            works.insert(AllocationLeaf::Contract(l.contract), Hashes(l.sums.allocated));
        }
        works.retain(|_, w| w.0 > 0);
        let nodes: Vec<_> = works.iter().map(|(l, w)| l.node(*w)).collect();
        let leaves: Vec<_> = all.iter().map(|s| merkle::leaf_hash(&s[..])).collect();
        let before = self.chain.last().copied().unwrap_or((EpochNumber(0), GENESIS));
        let mut s = EpochSummary {
            lane: self.lane.clone(),
            algorithm: c.algorithm,
            is_proven: true,
            epoch: c.epoch,
            prev_epoch: before.0,
            prev_checkpoint: before.1,
            length_us: 600_000_000,
            shares: all.len() as u64,
            house_work: house,
            other_work: other,
            share_root: merkle::root(&leaves),
            allocation_root: sum_tree::root(&nodes).unwrap(),
            surplus,
            contracts: c.contracts.len() as u64,
            sold_root: SoldTree::new(c.contracts.iter().map(SoldLeaf::node).collect())
                .unwrap()
                .root(),
            record: self.put(record),
            sold: self.put(sold_file),
            rules: c.rules,
            places: c.places.clone().map_or(FileRef::default(), |file| self.put(file)),
        };
        (c.edit)(&mut s);
        self.chain.push((s.epoch, s.checkpoint()));
        self.entries.push(s.canonical());
    }

    fn put(&mut self, bytes: Vec<u8>) -> FileRef {
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let file = FileRef { hash, bytes: bytes.len() as u64 };
        self.data.insert(data_path(&hash), bytes);
        file
    }

    pub fn publish(&self) -> Files {
        self.publish_by(&[self.entries.len()])
    }

    /// Published when the log had each of these sizes, so that parts of tiles are left that have grown since.
    pub fn publish_by(&self, sizes: &[usize]) -> Files {
        let dir = tempfile::tempdir().unwrap();
        for size in sizes {
            let (key, some) = (self.key.clone(), &self.entries[..*size]);
            Publisher::open(dir.path(), &self.origin, key, some).unwrap();
        }
        let mut files = Files::of(dir.path());
        files.0.extend(self.data.clone());
        files
    }

    pub fn leaves(&self) -> Vec<[u8; 32]> {
        self.entries.iter().map(|e| merkle::leaf_hash(e)).collect()
    }

    pub fn checkpoint(&self) -> Checkpoint {
        let root = merkle::root(&self.leaves());
        Checkpoint { origin: self.origin.clone(), size: self.entries.len() as u64, root }
    }
}

/// Shares and what follows from them.
pub fn closing(epoch: u64, jobs: Vec<RecordJob>, mut shares: Vec<Canonical>) -> Closing {
    shares.sort_unstable();
    let house: u128 = shares
        .iter()
        .filter(|s| share::owner(s).is_none())
        .map(|s| share::class(s).unwrap().work().0)
        .sum();
    let mut own = contract(1, house.saturating_sub(64));
    // What its rate makes in an epoch; whatever is above makes a shortfall good.
    own.entitled = own.entitled.min(own.sums.hashrate * 600);
    Closing {
        epoch: EpochNumber(epoch),
        jobs,
        sections: vec![(EpochNumber(epoch), shares)],
        contracts: vec![own],
        algorithm: Algorithm::Sha256d,
        rules: Rules { class_min: 1, class_max: 20, opened: 0 },
        places: None,
        opened: 0,
        edit_record: |_| (),
        edit_sold: |_| (),
        edit: |_| (),
    }
}

pub fn owner(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub fn private(n: u8) -> Private {
    Private {
        salt: [n; 32],
        nonce: [n + 1; 32],
        terms: [n + 2; 32],
        units: 77,
        refund_minor: 1_000,
        refund_asset: "BTC".into(),
    }
}

pub fn contract(n: u8, allocated: u128) -> SoldLeaf {
    SoldLeaf {
        contract: ContractId::from_bytes([n; 16]),
        kind: 0,
        sums: Sums { hashrate: 3, allocated, owed: 5_000 },
        entitled: allocated,
        private: private(n).hash(),
    }
}

/// The header of a share.
pub fn header(job: &RecordJob, class: u8, extranonce: &[u8], nonce: u32) -> [u8; 80] {
    let mut coinbase = [&job.prefix[..], extranonce, &job.suffix].concat();
    if let Ok(found) = stamp::locate(&coinbase) {
        coinbase[found.class_at] = class;
    }
    let root = gruve_pow::merkle_root_from_branch(gruve_pow::sha256d(&coinbase), &job.branch);
    let mut h = [0; 80];
    h[..4].copy_from_slice(&job.version.to_le_bytes());
    h[4..36].copy_from_slice(&job.prev_hash);
    h[36..68].copy_from_slice(&root);
    h[68..72].copy_from_slice(&job.ntime.to_le_bytes());
    h[72..76].copy_from_slice(&job.bits.to_le_bytes());
    h[76..].copy_from_slice(&nonce.to_le_bytes());
    h
}

pub fn leaf(
    job: &RecordJob,
    class: u8,
    extranonce: &[u8],
    nonce: u32,
    owner: Option<AccountId>,
) -> Canonical {
    let class = Class::new(class).unwrap();
    let (ntime, version) = (job.ntime, job.version);
    ShareLeaf { job: job.job, class, extranonce, ntime, nonce, version, owner }.canonical()
}

/// Finds shares: the extranonces count up.
pub fn mine(
    job: &RecordJob,
    class: u8,
    n: std::ops::Range<u64>,
    whose: Option<AccountId>,
) -> Vec<Canonical> {
    mine_by(Algorithm::Sha256d, job, class, n, whose)
}

pub fn mine_by(
    algorithm: Algorithm,
    job: &RecordJob,
    class: u8,
    n: std::ops::Range<u64>,
    whose: Option<AccountId>,
) -> Vec<Canonical> {
    let target = Class::new(class).unwrap().target();
    let one = |n: u64| {
        let extranonce = [&[0, 0, 0, 7][..], &n.to_be_bytes()].concat();
        let good = |nonce: &u32| {
            target.is_met_by(&gruve_pow::pow_hash(
                algorithm,
                &header(job, class, &extranonce, *nonce),
            ))
        };
        leaf(job, class, &extranonce, (0..).find(good).unwrap(), whose)
    };
    n.map(one).collect()
}
