//! The hashes of a round's candidates, side by side in the processor's lanes.
//!
//! Candidates are taken job by job: those of one job have coinbases of one length, whose beginning
//! is hashed once a job, and merkle branches of one depth. Ethash's wait for their cache.

use crate::check::HeaderParts;
use crate::eth::verify;
use crate::protocol::{Candidate, Puzzle, Solved};
use crate::work::LiveJob;
use gruve_pow::lanes::{self, ScryptLanes};
use gruve_units::Algorithm;
use std::borrow::Borrow;
use std::sync::Arc;

/// Hashes candidates; kept for its memory.
pub(super) struct Solver {
    /// The candidates' places, job by job.
    order: Vec<usize>,
    /// Coinbases without their common beginning, one after the other.
    rests: Vec<u8>,
    coinbase: Vec<u8>,
    nodes: Vec<[u8; 32]>,
    headers: Vec<[u8; 80]>,
    hashes: Vec<[u8; 32]>,
    /// Where it is needed: its memory is large.
    scrypt: Option<ScryptLanes>,
}

impl Solver {
    pub(super) fn new(algorithm: Algorithm) -> Solver {
        Solver {
            order: Vec::new(),
            rests: Vec::new(),
            coinbase: Vec::new(),
            nodes: Vec::new(),
            headers: Vec::new(),
            hashes: Vec::new(),
            scrypt: (algorithm == Algorithm::Scrypt).then(ScryptLanes::new),
        }
    }

    /// Appends one answer for each candidate, in order.
    pub(super) fn solve<C: Borrow<Candidate>>(
        &mut self,
        candidates: &[C],
        solved: &mut Vec<Solved>,
    ) {
        self.solve_between(candidates, solved, &mut || {});
    }

    /// The same, with `between` done on the way again and again where hashes are slow (Ethash).
    pub(super) fn solve_between<C: Borrow<Candidate>>(
        &mut self,
        candidates: &[C],
        solved: &mut Vec<Solved>,
        between: &mut dyn FnMut(),
    ) {
        let first = solved.len();
        solved.resize(first + candidates.len(), Solved::NOTHING);
        let solved = &mut solved[first..];
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..candidates.len());
        let of = |i: &usize| job_of(candidates[*i].borrow());
        order.sort_unstable_by_key(|i| of(i).map(std::ptr::from_ref));
        for group in order.chunk_by(|a, b| is_same_job(of(a), of(b))) {
            if let Some(job) = group.first().and_then(of) {
                self.roots(job, candidates, group);
                self.hash(job, candidates, group, solved);
            } else {
                ethash(candidates, group, solved, between);
            }
        }
        self.order = order;
    }

    /// The merkle roots of a job's candidates, into the nodes.
    fn roots<C: Borrow<Candidate>>(&mut self, live: &LiveJob, candidates: &[C], group: &[usize]) {
        let common = live.coinbase_beginning();
        self.rests.clear();
        for i in group {
            let share = &candidates[*i].borrow().share;
            let parts = HeaderParts::of(live.job(), share.class);
            parts.coinbase(share.extranonce.as_slice(), &mut self.coinbase);
            self.rests.extend_from_slice(&self.coinbase[common.len()..]);
        }
        self.nodes.clear();
        self.nodes.resize(group.len(), [0; 32]);
        let rest_len = self.coinbase.len() - common.len();
        common.sha256d_equal(&self.rests, rest_len, &mut self.nodes);
        lanes::merkle_branch(&mut self.nodes, live.job().branch());
    }

    /// The headers on those roots, and their hashes.
    fn hash<C: Borrow<Candidate>>(
        &mut self,
        live: &LiveJob,
        candidates: &[C],
        group: &[usize],
        solved: &mut [Solved],
    ) {
        let job = live.job();
        self.headers.clear();
        self.headers.extend(group.iter().zip(&self.nodes).map(|(i, root)| {
            let s = &candidates[*i].borrow().share;
            let (prev_hash, bits) = (job.prev_hash(), job.bits());
            gruve_chain::job::header_bytes(s.version, prev_hash, root, s.ntime, bits, s.nonce)
        }));
        self.hashes.clear();
        self.hashes.resize(group.len(), [0; 32]);
        match &mut self.scrypt {
            None => lanes::sha256d_headers_into(&self.headers, &mut self.hashes),
            Some(scrypt) => scrypt.hash(&self.headers, &mut self.hashes),
        }
        for ((i, header), pow_hash) in group.iter().zip(&self.headers).zip(&self.hashes) {
            solved[*i] = Solved { pow_hash: *pow_hash, header: *header, mix: [0; 32] };
        }
    }
}

/// The hashes of the Ethash family's.
fn ethash<C: Borrow<Candidate>>(
    candidates: &[C],
    group: &[usize],
    solved: &mut [Solved],
    between: &mut dyn FnMut(),
) {
    let tries = group.iter().filter_map(|i| match &candidates[*i].borrow().puzzle {
        Puzzle::Ethash(work, nonce) => Some((Arc::clone(work), *nonce)),
        Puzzle::Header(_) => None,
    });
    let tries: Vec<_> = tries.collect();
    for (i, answer) in group.iter().zip(verify::solve_many_between(&tries, between)) {
        solved[*i] = answer;
    }
}

fn job_of(candidate: &Candidate) -> Option<&LiveJob> {
    match &candidate.puzzle {
        Puzzle::Header(live) => Some(live),
        Puzzle::Ethash(..) => None,
    }
}

fn is_same_job(a: Option<&LiveJob>, b: Option<&LiveJob>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::check;
    use gruve_chain::{Job, JobSpec, Template, TemplateTx};
    use gruve_sharelog::{Extranonce, Owner, ShareRecord};
    use gruve_units::{Class, EpochNumber, JobId, MachineId, Target, Timestamp};
    use proptest::prelude::*;

    /// A job with so many transactions and a tag of so many bytes.
    fn job(id: u64, txs: u8, tag: usize) -> Arc<LiveJob> {
        let template = Template {
            height: 100,
            prev_hash: [u8::try_from(id).unwrap(); 32],
            version: 0x2000_0000,
            bits: 0x1d00_ffff,
            min_time: 1,
            cur_time: 2,
            coinbase_value: 5,
            txs: (0..txs)
                .map(|n| TemplateTx { data: vec![n], txid: [n; 32], wtxid: [n; 32] })
                .collect(),
            witness_commitment: None,
            mweb: None,
            longpoll_id: None,
        };
        let spec = JobSpec {
            id: JobId(id),
            epoch: EpochNumber(7),
            checkpoint_epoch: EpochNumber(5),
            commitment: [0xcd; 32],
            tag: vec![7; tag],
            pay_to: vec![(vec![0x51; 22], 5)],
            extranonce_len: 12,
        };
        Arc::new(LiveJob::new(Job::build(Arc::new(template), spec).unwrap()))
    }

    fn candidate(job: &Arc<LiveJob>, k: u8, extranonce: u64, nonce: u32) -> Candidate {
        Candidate {
            reply_at: 0,
            note: (0, 0),
            puzzle: Puzzle::Header(Arc::clone(job)),
            share: ShareRecord {
                job: job.job().id(),
                epoch: EpochNumber(7),
                class: Class::new(k).unwrap(),
                owner: Owner::House,
                machine: MachineId::from_bytes([1; 16]),
                extranonce: Extranonce::join(&[9; 4], &extranonce.to_be_bytes()).unwrap(),
                ntime: 3,
                nonce,
                version: 0x2000_0000,
                at: Timestamp(0),
            },
        }
    }

    /// Shares of one job.
    pub(in super::super) fn candidates(count: usize) -> Vec<Candidate> {
        let job = job(1, 3, 8);
        (0..count as u64).map(|n| candidate(&job, 0, n, 7)).collect()
    }

    proptest! {
        #[test]
        fn many_at_once_give_what_each_alone_gives(
            shares in proptest::collection::vec((0usize..3, 0u8..5, any::<u64>(), any::<u32>()), 0..70),
            is_scrypt in proptest::bool::weighted(0.05),
        ) {
            let algorithm = if is_scrypt { Algorithm::Scrypt } else { Algorithm::Sha256d };
            let jobs = [job(1, 0, 8), job(2, 5, 60), job(3, 17, 33)];
            let candidates: Vec<Candidate> = shares
                .iter()
                .map(|(n, k, extranonce, nonce)| candidate(&jobs[*n], *k, *extranonce, *nonce))
                .collect();
            let mut solver = Solver::new(algorithm);
            let mut solved = Vec::new();
            solver.solve(&candidates, &mut solved);
            prop_assert_eq!(solved.len(), candidates.len());
            for ((n, ..), (candidate, solved)) in shares.iter().zip(candidates.iter().zip(&solved)) {
                let share = &candidate.share;
                let header = jobs[*n].job().header(
                    share.class, share.extranonce.as_slice(), share.version, share.ntime, share.nonce,
                );
                prop_assert_eq!(header, solved.header);
                let alone = check::solve(algorithm, &header, share.class, Target::MAX);
                prop_assert_eq!(alone.pow_hash, solved.pow_hash);
            }
        }
    }
}
