//! Jobs and hashes for sessions of chains with 80-byte headers.

use crate::input::Input;
use gruve_chain::{Job, JobSpec, Template};
use gruve_stratum::LiveJob;
use gruve_stratum::check::HeaderParts;
use gruve_stratum::protocol::{Candidate, Puzzle, Solved};
use gruve_units::{Class, EpochNumber, JobId, MachineId};
use std::sync::Arc;

pub(crate) const NTIME: u32 = 0x6600_0000;

/// Network targets: no block ever, every other hash one, one in sixteen.
const BITS: [u32; 3] = [0x1d00_ffff, 0x207f_ffff, 0x200f_ffff];

pub(crate) fn class(k: u8) -> Class {
    Class::new(k).expect("a class")
}

/// A job of one of four blocks, with one of three targets.
pub(crate) fn job(id: u64, input: &mut Input<'_>) -> Arc<LiveJob> {
    let prev = u8::try_from(input.below(4)).unwrap_or(0);
    let template = Template {
        height: 100 + u64::from(prev),
        prev_hash: [prev; 32],
        version: 0x2000_0000,
        bits: input.pick(&BITS),
        min_time: NTIME - 600,
        cur_time: NTIME + u32::from(input.byte()),
        coinbase_value: 5_000_000_000,
        txs: Vec::new(),
        witness_commitment: None,
        mweb: None,
        longpoll_id: None,
    };
    let spec = JobSpec {
        id: JobId(id),
        epoch: EpochNumber(id / 8),
        checkpoint_epoch: EpochNumber((id / 8).saturating_sub(2)),
        commitment: [0xcd; 32],
        tag: id.to_be_bytes().to_vec(),
        pay_to: vec![(vec![0x51], template.coinbase_value)],
        extranonce_len: 12,
    };
    Arc::new(LiveJob::new(Job::build(Arc::new(template), spec).expect("a good job")))
}

/// What the hashes of a session come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// As they are.
    Real,
    /// Each meets every target.
    Best,
    /// None meets any target but class 0's.
    Worst,
}

impl Luck {
    pub(crate) const ALL: [Luck; 3] = [Luck::Real, Luck::Best, Luck::Worst];

    pub(crate) fn solve(self, candidate: &Candidate) -> Solved {
        let Puzzle::Header(live) = &candidate.puzzle else { panic!("{candidate:?}") };
        let share = &candidate.share;
        let header = HeaderParts::of(live.job(), share.class).header(
            share.extranonce.as_slice(),
            share.version,
            share.ntime,
            share.nonce,
            &mut Vec::new(),
        );
        let pow_hash = match self {
            Luck::Real => gruve_pow::sha256d(&header),
            Luck::Best => [0; 32],
            Luck::Worst => [0xff; 32],
        };
        Solved { pow_hash, header, mix: [0; 32] }
    }
}

pub(crate) fn machine(user: &str) -> MachineId {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(user.bytes()) {
        *to = from;
    }
    MachineId::from_bytes(id)
}
