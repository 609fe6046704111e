//! What is asked of an auxiliary chain's nodes, and several of them used as one.
//!
//! An auxiliary block lives in the node that made it, until that node's tip changes: only it can be given
//! the proof. So a proof goes to all nodes, and *refused* is said only when every one of them said it.

use super::AuxBlock;
use crate::{Node, NodeError, SubmitOutcome};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A full node of a merge-mined chain.
#[async_trait]
pub trait AuxNode: Node {
    /// The chain's next block, its rewards going to the address `pay_to`. The same until there is a new
    /// tip (or, after a while, other transactions), so it may be asked often.
    async fn aux_block(&self, pay_to: &str) -> Result<AuxBlock, NodeError>;

    /// Waits until the node tells that there may be another block. For ever where it does not tell: it is
    /// asked every now and then all the same.
    async fn news(&self) {
        std::future::pending::<()>().await;
    }

    /// Hands in the proof for a block the node gave before. May be repeated.
    async fn submit_aux_block(
        &self,
        hash: &[u8; 32],
        proof: &[u8],
    ) -> Result<SubmitOutcome, NodeError>;
}

struct Seat {
    name: String,
    node: Arc<dyn AuxNode>,
    /// Its chain was found to be the configured one.
    is_checked: AtomicBool,
}

impl Seat {
    async fn block(&self, pay_to: &str) -> Result<AuxBlock, NodeError> {
        if !self.is_checked.load(Ordering::Acquire) {
            self.node.check_chain().await?;
            self.is_checked.store(true, Ordering::Release);
        }
        let block = self.node.aux_block(pay_to).await;
        if block.is_err() {
            // What listens there may be another node after a restart.
            self.is_checked.store(false, Ordering::Release);
        }
        block
    }
}

/// Several nodes of one merge-mined chain: the one that gave the last block is asked first, the others
/// while it fails.
pub struct AuxGroup {
    seats: Vec<Seat>,
    chosen: AtomicUsize,
}

impl AuxGroup {
    /// A group of at least one node, each with a name for people; the first is asked first.
    #[must_use]
    pub fn new(nodes: Vec<(String, Arc<dyn AuxNode>)>) -> AuxGroup {
        let seat = |(name, node)| Seat { name, node, is_checked: AtomicBool::new(false) };
        AuxGroup { seats: nodes.into_iter().map(seat).collect(), chosen: AtomicUsize::new(0) }
    }

    /// The chain's next block.
    ///
    /// # Errors
    /// The first node's failure, when all failed.
    pub async fn block(&self, pay_to: &str) -> Result<AuxBlock, NodeError> {
        let chosen = self.chosen.load(Ordering::Relaxed);
        let mut failure = None;
        for step in 0..self.seats.len() {
            let at = (chosen + step) % self.seats.len();
            match self.seats[at].block(pay_to).await {
                Ok(block) => {
                    if at != chosen {
                        let node = &self.seats[at].name;
                        tracing::info!(%node, "auxiliary blocks come from another node now");
                        self.chosen.store(at, Ordering::Relaxed);
                    }
                    return Ok(block);
                }
                Err(e) => {
                    tracing::debug!(node = self.seats[at].name, error = %e, "no auxiliary block");
                    failure.get_or_insert(e);
                }
            }
        }
        Err(failure.unwrap_or_else(|| NodeError::NotReady("there is no node".to_owned())))
    }

    /// Waits until one of the nodes tells that there may be another block.
    pub async fn news(&self) {
        futures_util::future::select_all(self.seats.iter().map(|seat| seat.node.news())).await;
    }

    /// Hands a proof to all nodes; taken by any is taken.
    ///
    /// # Errors
    /// While a node has not judged it.
    pub async fn submit(&self, hash: &[u8; 32], proof: &[u8]) -> Result<SubmitOutcome, NodeError> {
        let (mut refusal, mut failure) = (None, None);
        let chosen = self.chosen.load(Ordering::Relaxed);
        for step in 0..self.seats.len() {
            let seat = &self.seats[(chosen + step) % self.seats.len()];
            match seat.node.submit_aux_block(hash, proof).await {
                Ok(SubmitOutcome::Rejected(why)) => {
                    refusal.get_or_insert(SubmitOutcome::Rejected(why));
                }
                Ok(taken) => return Ok(taken),
                Err(e) if e.blame() == Blame::Transient => failure = Some(e),
                Err(e) => {
                    failure.get_or_insert(e);
                }
            }
        }
        match (failure, refusal) {
            (Some(e), _) => Err(e),
            (None, Some(refusal)) => Ok(refusal),
            (None, None) => Err(NodeError::NotReady("there is no node".to_owned())),
        }
    }
}
