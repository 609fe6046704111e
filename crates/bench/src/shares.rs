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

/// The target of a wire difficulty; `None` when every hash is a share.
pub(crate) fn target_of(difficulty: f64) -> Option<Target> {
    if is_trivial(difficulty) {
        return None;
    }
    target_of_wire_difficulty(Algorithm::Sha256d, difficulty)
}

/// What a connection mines a job with.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) job: Arc<ClientJob>,
    /// The merkle root, where the server has made it: headers only. What else would be an extranonce is then rolled into the time.
    pub(crate) root: Option<[u8; 32]>,
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_size: usize,
    /// `None` when every hash is a share.
    pub(crate) target: Option<Target>,
}

/// One connection's shares of one job.
#[derive(Debug)]
pub(crate) struct Shares {
    ground: Ground,
    /// Numbers the extranonces of a connection, over all jobs.
    next_extranonce2: u64,
    /// Numbers the headers of a job whose root the server has made.
    next_rolled: u64,
    /// The header being scanned, its extranonce 2, and the next nonce.
    scanner: Option<(HeaderScanner, u64, u32)>,
    good: VecDeque<Try>,
    low: VecDeque<Try>,
    /// Hashes tried.
    pub(crate) hashes: u64,
}

impl Shares {
    pub(crate) fn new(ground: Ground, next_extranonce2: u64) -> Shares {
        Shares {
            ground,
            next_extranonce2,
            next_rolled: 0,
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
        &self.ground.job.id
    }

    pub(crate) fn ntime(&self) -> u32 {
        self.ground.job.ntime
    }

    pub(crate) fn version(&self) -> u32 {
        self.ground.job.version
    }

    /// Hashes expected for one share.
    pub(crate) fn expected_hashes(&self) -> u128 {
        self.ground.target.map_or(1, |t| t.expected_hashes().0)
    }

    /// Whether a share below the target can be made at all.
    pub(crate) fn has_low(&self) -> bool {
        self.ground.target.is_some()
    }

    /// Mines until there are this many good and this many low shares.
    pub(crate) fn mine(&mut self, good: usize, low: usize) {
        let Some(target) = self.ground.target else { return };
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
        if let Some(target) = self.ground.target {
            self.scan(CHUNK, &target, 0);
        }
        self.hashes - before
    }

    /// The next good share; mined on the spot when there is none in stock.
    pub(crate) fn good(&mut self) -> Try {
        if self.ground.target.is_none() {
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
        let nonce = u32::try_from(extranonce2 & 0xffff_ffff).unwrap_or(0);
        let is_rolled = self.ground.root.is_none();
        Try { extranonce2: if is_rolled { extranonce2 } else { 0 }, nonce }
    }

    fn next_header(&mut self) -> (HeaderScanner, u64, u32) {
        let (extranonce2, root, rolled) = match self.ground.root {
            Some(root) => {
                let rolled = self.next_rolled;
                self.next_rolled += 1;
                (rolled, root, u32::try_from(rolled).unwrap_or(u32::MAX))
            }
            None => {
                let extranonce2 = self.any().extranonce2;
                (extranonce2, self.root(extranonce2), 0)
            }
        };
        let job = &self.ground.job;
        let mut header = [0; 80];
        header[..4].copy_from_slice(&job.version.to_le_bytes());
        header[4..36].copy_from_slice(&job.prev_hash);
        header[36..68].copy_from_slice(&root);
        header[68..72].copy_from_slice(&job.ntime.saturating_add(rolled).to_le_bytes());
        header[72..76].copy_from_slice(&job.bits.to_le_bytes());
        (HeaderScanner::new(Algorithm::Sha256d, header), extranonce2, 0)
    }

    fn root(&self, extranonce2: u64) -> [u8; 32] {
        let Ground { job, extranonce1, extranonce2_size, .. } = &self.ground;
        let bytes = extranonce2_bytes(extranonce2, *extranonce2_size);
        let coinbase =
            [&job.coinbase_prefix[..], extranonce1, &bytes, &job.coinbase_suffix].concat();
        gruve_pow::merkle_root_from_branch(gruve_pow::sha256d(&coinbase), &job.branch)
    }
}
