//! Jobs to hand a session, and the rules it goes by.

use gruve_chain::{Job, JobSpec, Template};
use gruve_stratum::LiveJob;
use gruve_stratum::session::SessionRules;
use gruve_units::{Algorithm, Class, EpochNumber, JobId, MachineId};
use std::sync::Arc;

/// Difficulty one: no test ever finds a block by chance.
pub(crate) const HARD: u32 = 0x1d00_ffff;
/// Every other hash is a block.
pub(crate) const EASY: u32 = 0x207f_ffff;
pub(crate) const NTIME: u32 = 0x6600_0000;

pub(crate) fn class(k: u8) -> Class {
    Class::new(k).unwrap()
}

pub(crate) fn template(prev: u8, bits: u32) -> Template {
    Template {
        height: 100 + u64::from(prev),
        prev_hash: std::array::from_fn(|i| prev.wrapping_add(u8::try_from(i).unwrap())),
        version: 0x2000_0000,
        bits,
        min_time: NTIME - 600,
        cur_time: NTIME,
        coinbase_value: 5_000_000_000,
        txs: Vec::new(),
        witness_commitment: None,
        mweb: None,
        longpoll_id: None,
    }
}

pub(crate) fn job(id: u64, template: Template) -> Arc<LiveJob> {
    let spec = JobSpec {
        id: JobId(id),
        epoch: EpochNumber(7),
        checkpoint_epoch: EpochNumber(5),
        commitment: [0xcd; 32],
        tag: id.to_be_bytes().to_vec(),
        pay_to: vec![(vec![0x51], template.coinbase_value)],
        extranonce_len: 12,
    };
    Arc::new(LiveJob::new(Job::build(Arc::new(template), spec).unwrap()))
}

pub(crate) fn rules() -> SessionRules {
    SessionRules::new(Algorithm::Sha256d, (class(0), class(60)), class(0))
}

pub(crate) fn machine(user: &str) -> MachineId {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(user.bytes()) {
        *to = from;
    }
    MachineId::from_bytes(id)
}
