//! Where a connection's shares come from.
//!
//! At the easiest difficulty every hash is a share and none has to be looked for: each submit has
//! an extranonce 2 of its own. At any other the shares are mined, honestly, ahead of the run: one
//! extranonce 2 after the other, and all nonces of its header until there are enough.

use crate::wire::{Try, extranonce2_bytes};
use gruve_pow::HeaderScanner;
use gruve_stratum::client::ClientJob;
use gruve_stratum::target_of_wire_difficulty;
use gruve_units::{Algorithm, Target};
use std::collections::VecDeque;
use std::sync::Arc;

/// Nonces scanned at a time.
const CHUNK: u32 = 1 << 16;

/// The wire difficulty from which on (downwards) every hash is a share: 2^-32, but for the 2^-16 of
/// all hashes that the wire's rounding leaves out.
fn is_trivial(difficulty: f64) -> bool {
    difficulty <= 2f64.powi(-32)
}

/// One connection's shares of one job.
#[derive(Debug)]
pub(crate) struct Shares {
    job: Arc<ClientJob>,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
    /// `None` when every hash is a share.
    target: Option<Target>,
    /// Numbers the extranonces of a connection, over all jobs.
    next_extranonce2: u64,
    /// The header being scanned, its extranonce 2, and the next nonce.
    scanner: Option<(HeaderScanner, u64, u32)>,
    good: VecDeque<Try>,
    low: VecDeque<Try>,
    /// Hashes tried.
    pub(crate) hashes: u64,
}

impl Shares {
    pub(crate) fn new(
        job: Arc<ClientJob>,
        extranonce1: Vec<u8>,
        extranonce2_size: usize,
        difficulty: f64,
        next_extranonce2: u64,
    ) -> Shares {
        let target = if is_trivial(difficulty) {
            None
        } else {
            target_of_wire_difficulty(Algorithm::Sha256d, difficulty)
        };
        Shares {
            job,
            extranonce1,
            extranonce2_size,
            target,
            next_extranonce2,
            scanner: None,
            good: VecDeque::new(),
            low: VecDeque::new(),
            hashes: 0,
        }
    }

    pub(crate) fn next_extranonce2(&self) -> u64 {
        self.next_extranonce2
    }

    pub(crate) fn job_id(&self) -> &str {
        &self.job.id
    }

    pub(crate) fn ntime(&self) -> u32 {
        self.job.ntime
    }

    /// Hashes expected for one share.
    pub(crate) fn expected_hashes(&self) -> u128 {
        self.target.map_or(1, |t| t.expected_hashes().0)
    }

    /// Whether a share below the target can be made at all.
    pub(crate) fn has_low(&self) -> bool {
        self.target.is_some()
    }

    /// Mines until there are this many good and this many low shares.
    pub(crate) fn mine(&mut self, good: usize, low: usize) {
        let Some(target) = self.target else { return };
        // Where a share takes few hashes there is no need for a long scan.
        let wanted = self.expected_hashes().saturating_mul(good.max(1) as u128);
        let count = u32::try_from(wanted).unwrap_or(CHUNK).clamp(64, CHUNK);
        while self.good.len() < good || self.low.len() < low {
            self.scan(count, &target, low);
        }
    }

    /// Tries the next `count` nonces; keeps what is good, and of the others until there are `low`.
    fn scan(&mut self, count: u32, target: &Target, low: usize) {
        let (mut scanner, extranonce2, from) =
            self.scanner.take().unwrap_or_else(|| self.next_header());
        let mut found = Vec::new();
        scanner.scan(from, count, target, &mut found);
        self.hashes += u64::from(count);
        self.good.extend(found.iter().map(|(nonce, _)| Try { extranonce2, nonce: *nonce }));
        let mut good = found.iter().map(|(nonce, _)| *nonce).peekable();
        for nonce in from..from + count {
            if self.low.len() >= low {
                break;
            }
            if good.next_if_eq(&nonce).is_none() {
                self.low.push_back(Try { extranonce2, nonce });
            }
        }
        if let Some(next) = from.checked_add(count).filter(|n| n.checked_add(CHUNK).is_some()) {
            self.scanner = Some((scanner, extranonce2, next));
        }
    }

    /// Scans a chunk of nonces as mining does and keeps what it finds; gives how many it tried.
    pub(crate) fn scan_for_speed(&mut self) -> u64 {
        let before = self.hashes;
        if let Some(target) = self.target {
            self.scan(CHUNK, &target, 0);
        }
        self.hashes - before
    }

    /// The next good share; mined on the spot when there is none in stock.
    pub(crate) fn good(&mut self) -> Try {
        if self.target.is_none() {
            return self.any();
        }
        self.mine(1, 0);
        self.good.pop_front().unwrap_or_else(|| self.any())
    }

    /// The next share below the target; call it only when there can be one.
    pub(crate) fn low(&mut self) -> Try {
        self.mine(0, 1);
        self.low.pop_front().unwrap_or_else(|| self.any())
    }

    /// A try with an extranonce of its own, whatever its hash.
    pub(crate) fn any(&mut self) -> Try {
        let extranonce2 = self.next_extranonce2;
        self.next_extranonce2 += 1;
        // The low bits of the number again: any nonce will do.
        Try { extranonce2, nonce: u32::try_from(extranonce2 & 0xffff_ffff).unwrap_or(0) }
    }

    fn next_header(&mut self) -> (HeaderScanner, u64, u32) {
        let extranonce2 = self.any().extranonce2;
        let bytes = extranonce2_bytes(extranonce2, self.extranonce2_size);
        let job = &self.job;
        let coinbase =
            [&job.coinbase_prefix[..], &self.extranonce1, &bytes, &job.coinbase_suffix].concat();
        let leaf = gruve_pow::sha256d(&coinbase);
        let root = gruve_pow::merkle_root_from_branch(leaf, &job.branch);
        let mut header = [0; 80];
        header[..4].copy_from_slice(&job.version.to_le_bytes());
        header[4..36].copy_from_slice(&job.prev_hash);
        header[36..68].copy_from_slice(&root);
        header[68..72].copy_from_slice(&job.ntime.to_le_bytes());
        header[72..76].copy_from_slice(&job.bits.to_le_bytes());
        (HeaderScanner::new(Algorithm::Sha256d, header), extranonce2, 0)
    }
}
