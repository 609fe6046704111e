//! What shares say of whoever may be keeping blocks back: each share's job is remembered, its hash made again.
//!
//! Must not decide anything: it counts, the test is `gruve_farm::withholding`'s.

use gruve_farm::withholding::Tail;
use gruve_farm::{Luck, MachineOwner, Miner};
use gruve_pow::pow_hash;
use gruve_sharelog::{JobRecord, Owner, Record, ShareRecord};
use gruve_stratum::check::HeaderParts;
use gruve_units::{Algorithm, JobId, MachineId, Target};
use std::collections::{BTreeMap, BTreeSet};

/// Jobs remembered: those of some hours. A share under a forgotten one, or one from before the reading began, is not
/// counted, and neither is a block of it.
const JOBS_MAX: usize = 4_096;

/// Shares of scrypt whose hashes are made again: one in so many. It costs what a share cost to check.
const SCRYPT_EVERY: u64 = 8;

/// A job, as far as it matters here.
enum Job {
    /// One whose header can be made again.
    Built(Box<JobRecord>),
    /// One of the Ethash family: its hashes are not made again.
    Ethash(Target),
}

/// Counts as records come by.
#[derive(Default)]
pub(super) struct Gauge {
    algorithm: Option<Algorithm>,
    jobs: BTreeMap<JobId, Job>,
    luck: BTreeMap<Miner, Luck>,
    shares: u64,
    scratch: Vec<u8>,
}

impl Gauge {
    pub(super) fn new(algorithm: Algorithm) -> Gauge {
        Gauge { algorithm: Some(algorithm), ..Gauge::default() }
    }

    /// What was counted since the last time.
    pub(super) fn taken(&mut self) -> BTreeMap<Miner, Luck> {
        std::mem::take(&mut self.luck)
    }

    /// One more record of the lane's log; machines that are not `known` count for their owners only.
    pub(super) fn take(&mut self, record: &Record, known: &BTreeSet<MachineId>) {
        match record {
            Record::Job(job) => self.remember(job.job, Job::Built(Box::new(job.clone()))),
            Record::EthWork(work) => self.remember(work.job, Job::Ethash(work.network_target)),
            Record::Share(share) => self.share(share, known),
            Record::Block(block) if self.jobs.contains_key(&block.share.job) => {
                for miner in miners(&block.share, known) {
                    self.luck.entry(miner).or_default().found += 1;
                }
            }
            _ => {}
        }
    }

    fn remember(&mut self, id: JobId, job: Job) {
        self.jobs.insert(id, job);
        if self.jobs.len() > JOBS_MAX {
            self.jobs.pop_first();
        }
    }

    fn share(&mut self, s: &ShareRecord, known: &BTreeSet<MachineId>) {
        let (network, zeros) = match self.jobs.get(&s.job) {
            None => return,
            Some(Job::Ethash(target)) => (Some(*target), None),
            Some(Job::Built(job)) => {
                self.shares += 1;
                let is_scrypt = self.algorithm == Some(Algorithm::Scrypt);
                let is_hashed = !is_scrypt || self.shares.is_multiple_of(SCRYPT_EVERY);
                let zeros = is_hashed.then(|| zeros(self.algorithm, job, s, &mut self.scratch));
                (Target::from_compact(job.bits), zeros)
            }
        };
        let Some(network) = network else { return };
        let mut one = Luck::default();
        one.add_work(s.class.work(), network);
        for miner in miners(s, known) {
            let sum = self.luck.entry(miner).or_default();
            sum.expected = sum.expected.saturating_add(one.expected);
            if let Some(zeros) = zeros {
                Tail::add(&mut sum.tail, s.class, zeros);
            }
        }
    }
}

/// Leading zero bits of a share's hash as a number.
fn zeros(
    algorithm: Option<Algorithm>,
    job: &JobRecord,
    s: &ShareRecord,
    scratch: &mut Vec<u8>,
) -> u8 {
    let parts = HeaderParts {
        coinbase_prefix: &job.coinbase_prefix,
        coinbase_suffix: &job.coinbase_suffix,
        class: Some((usize::try_from(job.class_offset).unwrap_or(usize::MAX), s.class)),
        branch: &job.branch,
        prev_hash: &job.prev_hash,
        bits: job.bits,
    };
    let header = parts.header(s.extranonce.as_slice(), s.version, s.ntime, s.nonce, scratch);
    let hash = pow_hash(algorithm.unwrap_or(Algorithm::Sha256d), &header);
    let mut zeros = 0u8;
    for byte in hash.iter().rev() {
        zeros = zeros.saturating_add(u8::try_from(byte.leading_zeros()).unwrap_or(8));
        if *byte != 0 {
            break;
        }
    }
    zeros
}

fn miners(s: &ShareRecord, known: &BTreeSet<MachineId>) -> impl Iterator<Item = Miner> {
    let owner = match s.owner {
        Owner::House => MachineOwner::House,
        Owner::Account(id) => MachineOwner::Account(id),
    };
    let machine = known.contains(&s.machine).then_some(Miner::Machine(s.machine));
    machine.into_iter().chain([Miner::Owner(owner)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_sharelog::{BlockRecord, Extranonce};
    use gruve_units::{AccountId, Class, EpochNumber, Timestamp};

    fn job(n: u64) -> JobRecord {
        JobRecord {
            job: JobId(n),
            epoch: EpochNumber(7),
            checkpoint_epoch: EpochNumber(5),
            commitment: [0; 32],
            issued_at: Timestamp(0),
            height: 9,
            prev_hash: [3; 32],
            bits: 0x1f7f_ffff,
            version: 0x2000_0000,
            ntime: 1_000,
            coinbase_prefix: vec![1, 2, 3],
            coinbase_suffix: vec![4, 0, 5],
            class_offset: 1,
            branch: vec![[6; 32]],
        }
    }

    fn share(job: u64, nonce: u32) -> ShareRecord {
        ShareRecord {
            job: JobId(job),
            epoch: EpochNumber(7),
            class: Class::new(8).unwrap(),
            owner: Owner::Account(AccountId::from_bytes([4; 16])),
            machine: MachineId::from_bytes([1; 16]),
            extranonce: Extranonce::new(&[1, 2]).unwrap(),
            ntime: 1_000,
            nonce,
            version: 0x2000_0000,
            at: Timestamp(0),
        }
    }

    #[test]
    fn work_blocks_and_hashes_are_counted_for_machine_and_owner_of_known_jobs() {
        let machine = MachineId::from_bytes([1; 16]);
        let known = BTreeSet::from([machine]);
        let mut gauge = Gauge::new(Algorithm::Sha256d);
        gauge.take(&Record::Share(share(1, 0)), &known);
        assert!(gauge.taken().is_empty(), "its job is not known");
        gauge.take(&Record::Job(job(1)), &known);
        for nonce in 0..4_096 {
            gauge.take(&Record::Share(share(1, nonce)), &known);
        }
        for n in [1, 2] {
            let block_hash = [9; 32];
            let found =
                BlockRecord { share: share(n, 1), block_hash, height: 9, block: Vec::new() };
            gauge.take(&Record::Block(found), &known);
        }
        let luck = gauge.taken();
        let owner = Miner::Owner(MachineOwner::Account(AccountId::from_bytes([4; 16])));
        assert_eq!(luck.keys().copied().collect::<Vec<_>>(), [Miner::Machine(machine), owner]);
        for sum in luck.values() {
            let worked = sum.worked();
            // 4,096 shares of 2^8 hashes at a target of 2^9 of them.
            assert!((worked.expected - 2_048.0).abs() < 1.0, "{}", worked.expected);
            assert_eq!((worked.found, worked.tail.shares()), (1, 4_096));
            // These nonces were not chosen for their hashes, so none is of its class by work: each is taken as just that,
            // and the tail is as thin as a withholder's.
            assert!(sum.worked().chances().tail < 1e-6);
        }
        let mut scrypt = Gauge::new(Algorithm::Scrypt);
        scrypt.take(&Record::Job(job(1)), &known);
        for nonce in 0..16 {
            scrypt.take(&Record::Share(share(1, nonce)), &known);
        }
        let luck = scrypt.taken();
        let worked = luck[&owner].worked();
        assert_eq!(worked.tail.shares(), 2, "one in eight is hashed");
        assert!((worked.expected - 8.0).abs() < 0.01, "all work counts");
    }
}
