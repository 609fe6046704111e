//! Records to bytes and back. Pure; decoding accepts exactly what encoding writes.

use crate::{
    AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, EthWorkRecord, Extranonce,
    JobRecord, Owner, Record, ShareRecord,
};
use gruve_units::{AccountId, Asset, Class, EpochNumber, JobId, MachineId, Target, Timestamp};

const VERSION: u8 = 1;
const JOB: u8 = 1;
const SHARE: u8 = 2;
const BLOCK: u8 = 3;
const OUTCOME: u8 = 4;
const SEAL: u8 = 5;
const ETH_WORK: u8 = 6;
const AUX_JOB: u8 = 7;
const AUX_BLOCK: u8 = 8;

pub(crate) fn encode(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::Job(j) => encode_job(j, out),
        Record::EthWork(w) => encode_eth_work(w, out),
        Record::Share(s) => encode_share(s, out),
        Record::Block(b) => {
            out.extend([VERSION, BLOCK]);
            block_fields(b, out);
        }
        Record::AuxJob(j) => encode_aux_job(j, out),
        Record::AuxBlock(b) => {
            out.extend([VERSION, AUX_BLOCK]);
            asset_field(b.asset, out);
            block_fields(&b.found, out);
        }
        Record::BlockOutcome { block_hash, accepted, at } => {
            out.extend([VERSION, OUTCOME]);
            out.extend(block_hash);
            out.push(u8::from(*accepted));
            out.extend(at.0.to_le_bytes());
        }
        Record::Seal { epoch, at } => {
            out.extend([VERSION, SEAL]);
            out.extend(epoch.0.to_le_bytes());
            out.extend(at.0.to_le_bytes());
        }
    }
}

fn block_fields(b: &BlockRecord, out: &mut Vec<u8>) {
    share_fields(&b.share, out);
    out.extend(b.block_hash);
    out.extend(b.height.to_le_bytes());
    bytes(&b.block, out);
}

fn asset_field(asset: Asset, out: &mut Vec<u8>) {
    let code = asset.code().as_bytes();
    // Codes have a handful of letters.
    out.push(u8::try_from(code.len()).unwrap_or(0));
    out.extend(code);
}

fn branch_field(branch: &[[u8; 32]], out: &mut Vec<u8>) {
    out.extend(u32::try_from(branch.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(branch.iter().flatten());
}

fn encode_aux_job(j: &AuxJobRecord, out: &mut Vec<u8>) {
    out.extend([VERSION, AUX_JOB]);
    out.extend(j.job.0.to_le_bytes());
    out.extend(j.epoch.0.to_le_bytes());
    out.extend(u32::try_from(j.chains.len()).unwrap_or(u32::MAX).to_le_bytes());
    for c in &j.chains {
        asset_field(c.asset, out);
        out.extend(c.chain_id.to_le_bytes());
        out.extend(c.block_hash);
        out.extend(c.bits.to_le_bytes());
        out.extend(c.height.to_le_bytes());
        out.extend(c.index.to_le_bytes());
        branch_field(&c.branch, out);
    }
}

pub(crate) fn encode_share(share: &ShareRecord, out: &mut Vec<u8>) {
    out.extend([VERSION, SHARE]);
    share_fields(share, out);
}

fn share_fields(s: &ShareRecord, out: &mut Vec<u8>) {
    out.extend(s.job.0.to_le_bytes());
    out.extend(s.epoch.0.to_le_bytes());
    out.push(s.class.k());
    owner_field(s.owner, out);
    out.extend(s.machine.to_bytes());
    let extranonce = s.extranonce.as_slice();
    // At most 12 by the type.
    out.push(u8::try_from(extranonce.len()).unwrap_or(0));
    out.extend(extranonce);
    out.extend(s.ntime.to_le_bytes());
    out.extend(s.nonce.to_le_bytes());
    out.extend(s.version.to_le_bytes());
    out.extend(s.at.0.to_le_bytes());
}

fn owner_field(owner: Owner, out: &mut Vec<u8>) {
    match owner {
        Owner::House => out.push(0),
        Owner::Account(a) => {
            out.push(1);
            out.extend(a.to_bytes());
        }
    }
}

fn encode_job(j: &JobRecord, out: &mut Vec<u8>) {
    out.extend([VERSION, JOB]);
    out.extend(j.job.0.to_le_bytes());
    out.extend(j.epoch.0.to_le_bytes());
    out.extend(j.checkpoint_epoch.0.to_le_bytes());
    out.extend(j.commitment);
    out.extend(j.issued_at.0.to_le_bytes());
    out.extend(j.height.to_le_bytes());
    out.extend(j.prev_hash);
    out.extend(j.bits.to_le_bytes());
    out.extend(j.version.to_le_bytes());
    out.extend(j.ntime.to_le_bytes());
    bytes(&j.coinbase_prefix, out);
    bytes(&j.coinbase_suffix, out);
    out.extend(j.class_offset.to_le_bytes());
    branch_field(&j.branch, out);
}

fn encode_eth_work(w: &EthWorkRecord, out: &mut Vec<u8>) {
    out.extend([VERSION, ETH_WORK]);
    out.extend(w.job.0.to_le_bytes());
    out.extend(w.epoch.0.to_le_bytes());
    out.extend(w.issued_at.0.to_le_bytes());
    out.push(u8::from(w.is_etchash));
    out.extend(w.algorithm_epoch.to_le_bytes());
    match w.height {
        None => out.push(0),
        Some(height) => {
            out.push(1);
            out.extend(height.to_le_bytes());
        }
    }
    out.extend(w.header_hash);
    out.extend(w.network_target.to_be_bytes());
}

fn bytes(b: &[u8], out: &mut Vec<u8>) {
    // An append of more than the frame limit (far below 4 GiB) is refused before it is written.
    out.extend(u32::try_from(b.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(b);
}

/// The record, or what is wrong with the bytes.
pub(crate) fn decode(body: &[u8]) -> Result<Record, &'static str> {
    let mut r = Fields(body);
    if r.u8()? != VERSION {
        return Err("a record of a version this program does not know");
    }
    let record = match r.u8()? {
        JOB => Record::Job(job(&mut r)?),
        SHARE => Record::Share(share(&mut r)?),
        BLOCK => Record::Block(block(&mut r)?),
        AUX_JOB => Record::AuxJob(aux_job(&mut r)?),
        AUX_BLOCK => Record::AuxBlock(AuxBlockRecord { asset: r.asset()?, found: block(&mut r)? }),
        OUTCOME => Record::BlockOutcome {
            block_hash: r.array()?,
            accepted: r.flag("an outcome that is neither yes nor no")?,
            at: r.time()?,
        },
        SEAL => Record::Seal { epoch: EpochNumber(r.u64()?), at: r.time()? },
        ETH_WORK => Record::EthWork(eth_work(&mut r)?),
        _ => return Err("a record of an unknown kind"),
    };
    if r.0.is_empty() { Ok(record) } else { Err("a record with bytes left over") }
}

fn share(r: &mut Fields<'_>) -> Result<ShareRecord, &'static str> {
    Ok(ShareRecord {
        job: JobId(r.u64()?),
        epoch: EpochNumber(r.u64()?),
        class: r.class()?,
        owner: r.owner()?,
        machine: MachineId::from_bytes(r.array()?),
        extranonce: {
            let len = usize::from(r.u8()?);
            Extranonce::new(r.take(len)?).ok_or("an extranonce too long")?
        },
        ntime: r.u32()?,
        nonce: r.u32()?,
        version: r.u32()?,
        at: r.time()?,
    })
}

fn block(r: &mut Fields<'_>) -> Result<BlockRecord, &'static str> {
    Ok(BlockRecord {
        share: share(r)?,
        block_hash: r.array()?,
        height: r.u64()?,
        block: r.bytes()?.to_vec(),
    })
}

fn aux_job(r: &mut Fields<'_>) -> Result<AuxJobRecord, &'static str> {
    let (job, epoch) = (JobId(r.u64()?), EpochNumber(r.u64()?));
    let count = r.u32()?;
    // As with siblings, the count is not trusted for the allocation.
    let mut chains = Vec::new();
    for _ in 0..count {
        chains.push(AuxChainRecord {
            asset: r.asset()?,
            chain_id: r.u32()?,
            block_hash: r.array()?,
            bits: r.u32()?,
            height: r.u64()?,
            index: r.u32()?,
            branch: r.branch()?,
        });
    }
    Ok(AuxJobRecord { job, epoch, chains })
}

fn job(r: &mut Fields<'_>) -> Result<JobRecord, &'static str> {
    Ok(JobRecord {
        job: JobId(r.u64()?),
        epoch: EpochNumber(r.u64()?),
        checkpoint_epoch: EpochNumber(r.u64()?),
        commitment: r.array()?,
        issued_at: r.time()?,
        height: r.u64()?,
        prev_hash: r.array()?,
        bits: r.u32()?,
        version: r.u32()?,
        ntime: r.u32()?,
        coinbase_prefix: r.bytes()?.to_vec(),
        coinbase_suffix: r.bytes()?.to_vec(),
        class_offset: r.u32()?,
        branch: r.branch()?,
    })
}

fn eth_work(r: &mut Fields<'_>) -> Result<EthWorkRecord, &'static str> {
    Ok(EthWorkRecord {
        job: JobId(r.u64()?),
        epoch: EpochNumber(r.u64()?),
        issued_at: r.time()?,
        is_etchash: r.flag("an algorithm of an unknown kind")?,
        algorithm_epoch: r.u32()?,
        height: if r.flag("a height neither there nor missing")? { Some(r.u64()?) } else { None },
        header_hash: r.array()?,
        network_target: Target::from_be_bytes(r.array()?),
    })
}

/// What is still to be decoded.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], &'static str> {
        let (head, rest) = self.0.split_at_checked(n).ok_or("a record cut short")?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| "a record cut short")
    }

    pub(crate) fn u8(&mut self) -> Result<u8, &'static str> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn class(&mut self) -> Result<Class, &'static str> {
        Class::new(self.u8()?).ok_or("a class out of range")
    }

    pub(crate) fn owner(&mut self) -> Result<Owner, &'static str> {
        match self.u8()? {
            0 => Ok(Owner::House),
            1 => Ok(Owner::Account(AccountId::from_bytes(self.array()?))),
            _ => Err("an owner of an unknown kind"),
        }
    }

    fn flag(&mut self, otherwise: &'static str) -> Result<bool, &'static str> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(otherwise),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_le_bytes)
    }

    fn branch(&mut self) -> Result<Vec<[u8; 32]>, &'static str> {
        let count = self.u32()?;
        // The count is not trusted for the allocation: each sibling must be there.
        let mut branch = Vec::new();
        for _ in 0..count {
            branch.push(self.array()?);
        }
        Ok(branch)
    }

    fn asset(&mut self) -> Result<Asset, &'static str> {
        let len = usize::from(self.u8()?);
        let code = self.take(len)?;
        // Only the spelling that is written, so that what is read is written again alike.
        let known = Asset::ALL.into_iter().find(|a| a.code().as_bytes() == code);
        known.ok_or("a coin this program does not know")
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, &'static str> {
        self.array().map(|b| Timestamp(i64::from_le_bytes(b)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let n = self.u32()?;
        self.take(usize::try_from(n).map_err(|_| "a record cut short")?)
    }
}
