//! Records to write, made or generated.

use gruve_sharelog::{
    AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, EthWorkRecord, Extranonce,
    JobRecord, LogError, Options, Owner, Position, Record, ShareLog, ShareRecord,
};
use gruve_units::{AccountId, Asset, Class, EpochNumber, JobId, MachineId, Target, Timestamp};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

pub(crate) fn share(n: u32, epoch: u64) -> ShareRecord {
    ShareRecord {
        job: JobId(7),
        epoch: EpochNumber(epoch),
        class: Class::new(20).unwrap(),
        owner: Owner::House,
        machine: MachineId::from_bytes([3; 16]),
        extranonce: Extranonce::new(&[1; 12]).unwrap(),
        ntime: 1_700_000_000,
        nonce: n,
        version: 0x2000_0000,
        at: Timestamp(i64::from(n)),
    }
}

pub(crate) fn block(n: u8) -> Record {
    Record::Block(BlockRecord {
        share: share(u32::from(n), 1),
        block_hash: [n; 32],
        height: u64::from(n),
        block: vec![n; 300],
    })
}

pub(crate) fn outcome(n: u8) -> Record {
    Record::BlockOutcome { block_hash: [n; 32], accepted: true, at: Timestamp(1) }
}

pub(crate) fn open(dir: &Path) -> ShareLog {
    ShareLog::open(dir, Options::default()).unwrap()
}

pub(crate) fn small_segments(bytes: u64) -> Options {
    Options { segment_bytes: bytes, ..Options::default() }
}

pub(crate) fn read_from(
    log: &ShareLog,
    from: Position,
) -> Result<Vec<(Position, Record)>, LogError> {
    let mut reader = log.reader(from);
    let mut all = Vec::new();
    while let Some(one) = reader.next()? {
        all.push(one);
    }
    Ok(all)
}

pub(crate) fn records(log: &ShareLog) -> Vec<Record> {
    read_from(log, Position::START).unwrap().into_iter().map(|(_, r)| r).collect()
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seg"))
        .collect();
    all.sort();
    all
}

fn any_share() -> impl Strategy<Value = ShareRecord> {
    let place = (any::<u64>(), any::<u64>(), 0u8..=Class::MAX, any::<Option<[u8; 16]>>());
    let proof = (proptest::collection::vec(any::<u8>(), 0..=12), any::<[u32; 3]>());
    (place, any::<[u8; 16]>(), proof, any::<i64>()).prop_map(
        |((job, epoch, class, owner), machine, (extranonce, [ntime, nonce, version]), at)| {
            ShareRecord {
                job: JobId(job),
                epoch: EpochNumber(epoch),
                class: Class::new(class).unwrap(),
                owner: owner.map_or(Owner::House, |a| Owner::Account(AccountId::from_bytes(a))),
                machine: MachineId::from_bytes(machine),
                extranonce: Extranonce::new(&extranonce).unwrap(),
                ntime,
                nonce,
                version,
                at: Timestamp(at),
            }
        },
    )
}

/// Shares of one append, most of whose fields are those of the share before.
pub(crate) fn alike() -> impl Strategy<Value = Vec<Record>> {
    let others = proptest::collection::vec((any_share(), any::<u8>(), 0usize..=12), 1..5);
    (any_share(), others).prop_map(|(first, others)| {
        let mut all = vec![first];
        for (other, differs, kept) in others {
            let mut share = all.last().copied().unwrap_or(first);
            let is = |bit: u8| differs & (1 << bit) != 0;
            let kept = &share.extranonce.as_slice()[..kept.min(share.extranonce.as_slice().len())];
            let rest = other.extranonce.as_slice();
            let extranonce = [kept, &rest[..rest.len().min(12 - kept.len())]].concat();
            share.extranonce = Extranonce::new(&extranonce).unwrap();
            share.nonce = other.nonce;
            if is(0) {
                (share.job, share.epoch) = (other.job, other.epoch);
            }
            share.class = if is(1) { other.class } else { share.class };
            share.owner = if is(2) { other.owner } else { share.owner };
            share.machine = if is(3) { other.machine } else { share.machine };
            share.ntime = if is(4) { other.ntime } else { share.ntime };
            share.version = if is(5) { other.version } else { share.version };
            share.at = if is(6) { other.at } else { share.at };
            all.push(share);
        }
        all.into_iter().map(Record::Share).collect()
    })
}

fn any_job() -> impl Strategy<Value = JobRecord> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..120);
    let branch = proptest::collection::vec(any::<[u8; 32]>(), 0..5);
    (
        any::<[u64; 4]>(),
        any::<[[u8; 32]; 2]>(),
        any::<[u32; 4]>(),
        any::<i64>(),
        bytes(),
        bytes(),
        branch,
    )
        .prop_map(|(numbers, hashes, words, at, prefix, suffix, branch)| JobRecord {
            job: JobId(numbers[0]),
            epoch: EpochNumber(numbers[1]),
            checkpoint_epoch: EpochNumber(numbers[2]),
            commitment: hashes[0],
            issued_at: Timestamp(at),
            height: numbers[3],
            prev_hash: hashes[1],
            bits: words[0],
            version: words[1],
            ntime: words[2],
            coinbase_prefix: prefix,
            coinbase_suffix: suffix,
            class_offset: words[3],
            branch,
        })
}

fn any_eth_work() -> impl Strategy<Value = EthWorkRecord> {
    let place = (any::<u64>(), any::<u64>(), any::<i64>());
    let algorithm = (any::<bool>(), any::<u32>(), any::<Option<u64>>());
    (place, algorithm, any::<[[u8; 32]; 2]>()).prop_map(
        |((job, epoch, at), (is_etchash, algorithm_epoch, height), [header_hash, target])| {
            EthWorkRecord {
                job: JobId(job),
                epoch: EpochNumber(epoch),
                issued_at: Timestamp(at),
                is_etchash,
                algorithm_epoch,
                height,
                header_hash,
                network_target: Target::from_be_bytes(target),
            }
        },
    )
}

fn any_aux_job() -> impl Strategy<Value = AuxJobRecord> {
    let chain = (
        proptest::sample::select(&Asset::ALL[..]),
        any::<[u32; 3]>(),
        any::<[u8; 32]>(),
        any::<u64>(),
        proptest::collection::vec(any::<[u8; 32]>(), 0..5),
    )
        .prop_map(|(asset, [chain_id, bits, index], block_hash, height, branch)| {
            AuxChainRecord { asset, chain_id, block_hash, bits, height, index, branch }
        });
    (any::<u64>(), any::<u64>(), proptest::collection::vec(chain, 0..4)).prop_map(
        |(job, epoch, chains)| AuxJobRecord { job: JobId(job), epoch: EpochNumber(epoch), chains },
    )
}

/// Any record that `append` takes.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let block = || {
        (
            any_share(),
            any::<[u8; 32]>(),
            any::<u64>(),
            proptest::collection::vec(any::<u8>(), 0..200),
        )
            .prop_map(|(share, block_hash, height, block)| BlockRecord {
                share,
                block_hash,
                height,
                block,
            })
    };
    let aux_block = (proptest::sample::select(&Asset::ALL[..]), block())
        .prop_map(|(asset, found)| Record::AuxBlock(AuxBlockRecord { asset, found }));
    let outcome =
        (any::<[u8; 32]>(), any::<bool>(), any::<i64>()).prop_map(|(block_hash, accepted, at)| {
            Record::BlockOutcome { block_hash, accepted, at: Timestamp(at) }
        });
    prop_oneof![
        4 => any_share().prop_map(Record::Share),
        1 => any_job().prop_map(Record::Job),
        1 => any_eth_work().prop_map(Record::EthWork),
        1 => block().prop_map(Record::Block),
        1 => any_aux_job().prop_map(Record::AuxJob),
        1 => aux_block,
        1 => outcome,
    ]
}
