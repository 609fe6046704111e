//! The works that live: what the lane publishes and every session looks at.

use super::claims::Claims;
use super::stamped::Stamped;
use super::verify::EpochPow;
use crate::protocol::Solved;
use gruve_chain::NodeWork;
use gruve_pow::ethash::EthashEpoch;
use gruve_sharelog::{BlockRecord, EthWorkRecord, JobRecord, ShareRecord};
use gruve_units::{Algorithm, Class, EpochNumber, JobId, Target, Timestamp};
use std::sync::Arc;

/// One piece of work as the node gave it (`eth_getWork`), under a number of ours.
#[derive(Clone, Debug)]
pub struct EthWork {
    /// Its number.
    pub id: JobId,
    /// The epoch its shares count in.
    pub epoch: EpochNumber,
    /// The hash of the header without nonce and mix.
    pub header_hash: [u8; 32],
    /// The seed of the algorithm's epoch.
    pub seed_hash: [u8; 32],
    /// Height of the block it would make, where the node says.
    pub height: Option<u64>,
    /// The network's target.
    pub network_target: Target,
    /// When it came.
    pub issued_at: Timestamp,
    /// What miners call it: the number that its header hash came under first.
    name: JobId,
    claims: Arc<Claims>,
    pow: Arc<EpochPow>,
    /// The header, where it holds its epoch's stamp.
    stamped: Option<Arc<Stamped>>,
}

impl EthWork {
    /// A work that no share has been found of.
    #[must_use]
    pub fn new(
        id: JobId,
        epoch: EpochNumber,
        node: &NodeWork,
        issued_at: Timestamp,
        pow: Arc<EpochPow>,
    ) -> EthWork {
        EthWork {
            id,
            epoch,
            header_hash: node.header_hash,
            seed_hash: node.seed_hash,
            height: node.height,
            network_target: node.target,
            issued_at,
            name: id,
            claims: Arc::default(),
            pow,
            stamped: None,
        }
    }

    /// The same header under a new number and epoch. Miners notice nothing, and what was claimed
    /// stays so.
    #[must_use]
    pub fn restated(&self, id: JobId, epoch: EpochNumber, issued_at: Timestamp) -> EthWork {
        EthWork { id, epoch, issued_at, stamped: None, ..self.clone() }
    }

    /// With the header that it was given out for, which holds the stamp of its epoch.
    pub(crate) fn with_stamp(self, stamped: Stamped) -> EthWork {
        EthWork { stamped: Some(Arc::new(stamped)), ..self }
    }

    /// Whether its header holds the stamp of its epoch.
    #[must_use]
    pub const fn is_stamped(&self) -> bool {
        self.stamped.is_some()
    }

    /// With what an earlier life counted of its header.
    pub(crate) fn claimed_before(self, claims: Claims) -> EthWork {
        EthWork { claims: Arc::new(claims), ..self }
    }

    /// What miners call it: the same as long as the header hash is.
    #[must_use]
    pub const fn name(&self) -> JobId {
        self.name
    }

    /// The algorithm's epoch.
    #[must_use]
    pub fn algorithm_epoch(&self) -> EthashEpoch {
        self.pow.epoch()
    }

    /// The hardest class that is not harder than a block, nor than its stamp allows.
    #[must_use]
    pub fn class_max(&self) -> Class {
        let block = Class::not_harder_than(self.network_target);
        self.stamped.as_ref().map_or(block, |s| block.min(s.class_max))
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What `eth_submitWork` takes, as the log keeps it.
    pub(crate) fn solution(&self, nonce: u64, share: ShareRecord, solved: &Solved) -> BlockRecord {
        BlockRecord {
            share,
            block_hash: solved.pow_hash,
            height: self.height.unwrap_or(0),
            block: [&nonce.to_be_bytes()[..], &self.header_hash, &solved.mix].concat(),
        }
    }

    pub(crate) fn pow(&self) -> &Arc<EpochPow> {
        &self.pow
    }

    /// What the log keeps of its header, where that is stamped: a job whose part after the extranonce is the header.
    #[must_use]
    pub fn job_record(&self) -> Option<JobRecord> {
        let own = self.stamped.as_deref()?;
        Some(JobRecord {
            job: self.id,
            epoch: self.epoch,
            checkpoint_epoch: own.checkpoint_of,
            commitment: own.commitment,
            issued_at: self.issued_at,
            height: own.header.number,
            prev_hash: own.header.parent_hash,
            bits: own.header.target().to_compact(),
            version: 0,
            ntime: 0,
            coinbase_prefix: Vec::new(),
            coinbase_suffix: own.header.unsealed(),
            class_offset: 0,
            branch: Vec::new(),
        })
    }

    /// What the log keeps of it.
    #[must_use]
    pub fn record(&self) -> EthWorkRecord {
        EthWorkRecord {
            job: self.id,
            epoch: self.epoch,
            issued_at: self.issued_at,
            is_etchash: self.algorithm_epoch().algorithm() == Algorithm::Etchash,
            algorithm_epoch: self.algorithm_epoch().number(),
            height: self.height,
            header_hash: self.header_hash,
            network_target: self.network_target,
        }
    }
}

/// The works that live at one moment; immutable, replaced as a whole.
#[derive(Clone, Debug)]
pub struct EthState {
    /// The newest; also the last of `live`.
    pub current: Arc<EthWork>,
    /// All works whose shares may still count or make a block (as uncles), oldest first, one a
    /// header hash.
    pub live: Vec<Arc<EthWork>>,
}

impl EthState {
    /// A state with one work.
    #[must_use]
    pub fn of(work: Arc<EthWork>) -> EthState {
        EthState { current: Arc::clone(&work), live: vec![work] }
    }

    /// The state after one more work, in place of one with the same header hash; the oldest beyond
    /// the limit falls out.
    #[must_use]
    pub fn with(&self, work: Arc<EthWork>, limit: usize) -> EthState {
        let mut live = self.live.clone();
        live.retain(|l| l.header_hash != work.header_hash);
        live.push(Arc::clone(&work));
        let surplus = live.len().saturating_sub(limit.max(1));
        live.drain(..surplus);
        EthState { current: work, live }
    }

    /// By what miners call it.
    #[must_use]
    pub fn named(&self, name: JobId) -> Option<&Arc<EthWork>> {
        self.live.iter().rev().find(|w| w.name == name)
    }

    /// By its header hash.
    #[must_use]
    pub fn on_header(&self, header_hash: &[u8; 32]) -> Option<&Arc<EthWork>> {
        self.live.iter().rev().find(|w| w.header_hash == *header_hash)
    }

    /// Whether a work is for another block than the newest: by height, or, where the node does not
    /// say it, by any other header.
    #[must_use]
    pub fn is_stale(&self, work: &EthWork) -> bool {
        match (work.height, self.current.height) {
            (Some(own), Some(current)) => own != current,
            _ => work.header_hash != self.current.header_hash,
        }
    }
}
