//! The stamp in a header's `extraData`: set before each epoch's work, found again in the header that the node makes.
//!
//! A node of this family makes the header and hands out its hash. Where it lets its blocks' words be set and shows the block
//! that it is making, the work is stamped as other lanes' is: the words are the stamp of the epoch, and the header whose hash was
//! given out goes into the log. Nothing is taken on trust: a header counts as stamped when it hashes to the work and holds one
//! of the stamps that are right for it. Any other work is given as ever, and what is found on it is unproven.

use crate::machines::Stamps;
use crate::seldom::Seldom;
use gruve_chain::eth::EthHeader;
use gruve_chain::{EthNode, NodeWork, stamp};
use gruve_units::{Class, Clock, EpochNumber, EpochRule, LaneId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// When the node is asked again for the block that it is making, if it shows another than it gave out: it makes the
/// new one visible a moment later. Miners wait meanwhile.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40)];
/// When a node that did not take the words is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// When one that does not let anybody set them is: its operator may have opened the call meanwhile.
const AGAIN_AFTER_NO: Duration = Duration::from_secs(60);
/// Stamps that a header may hold: those of this epoch and of two before it, whose work may still come.
const KEPT: usize = 3;

/// A stamp that headers may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    epoch: EpochNumber,
    checkpoint_of: EpochNumber,
    commitment: [u8; 32],
}

/// A header that holds its epoch's stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    /// The epoch in the stamp.
    pub(crate) epoch: EpochNumber,
    /// The epoch whose checkpoint it holds.
    pub(crate) checkpoint_of: EpochNumber,
    /// What it commits to.
    pub(crate) commitment: [u8; 32],
    /// The hardest class that was fixed for it.
    pub(crate) class_max: Class,
    /// The header, whose hash was given out.
    pub(crate) header: EthHeader,
}

/// Sets stamps and finds them.
pub(super) struct Stamper {
    pub(super) lane: LaneId,
    pub(super) node: Arc<dyn EthNode>,
    pub(super) stamps: Arc<dyn Stamps>,
    pub(super) rule: EpochRule,
    pub(super) clock: Arc<dyn Clock>,
    /// What the node was told, newest last; whether it is still to be told the newest.
    told: VecDeque<Stamp>,
    is_told: bool,
    not_before: Instant,
    faults: Seldom,
}

impl Stamper {
    pub(super) fn new(
        lane: LaneId,
        node: Arc<dyn EthNode>,
        stamps: Arc<dyn Stamps>,
        rule: EpochRule,
        clock: Arc<dyn Clock>,
    ) -> Stamper {
        let (told, not_before, faults) = (VecDeque::new(), Instant::now(), Seldom::default());
        Stamper { lane, node, stamps, rule, clock, told, is_told: false, not_before, faults }
    }

    fn stamp(&self, epoch: EpochNumber) -> Stamp {
        let (checkpoint_of, commitment) = self.stamps.stamp(&self.lane, epoch);
        Stamp { epoch, checkpoint_of, commitment }
    }

    /// Has the node's next blocks hold this epoch's stamp.
    pub(super) async fn set(&mut self) {
        let now = self.stamp(self.rule.at(self.clock.now()));
        if self.told.back() != Some(&now) {
            self.told.push_back(now);
            self.told.drain(..self.told.len().saturating_sub(KEPT));
            (self.is_told, self.not_before) = (false, Instant::now());
        }
        if self.is_told || Instant::now() < self.not_before {
            return;
        }
        let answer = self.node.set_extra(&stamp::extra_words(&now.commitment)).await;
        self.is_told = matches!(answer, Ok(true));
        let wait = if matches!(answer, Ok(false)) { AGAIN_AFTER_NO } else { AGAIN };
        self.not_before = Instant::now() + wait;
        if let (false, Some(times)) = (self.is_told, self.faults.due()) {
            let why = answer.map_or_else(|e| e.to_string(), |_| "it does not let it be set".into());
            tracing::warn!(lane = %self.lane, why, times,
                "the node did not take the stamp as its blocks' extraData: what is mined now is unproven");
        }
    }

    /// The header of a work, when the node shows it and it holds a stamp.
    pub(super) async fn find(&mut self, work: &NodeWork) -> Option<Stamped> {
        for wait in LOOKS {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            let header = match self.node.pending_header().await {
                Ok(Some(header)) if header.seal_hash() == work.header_hash => header,
                Ok(Some(_)) => continue,
                Ok(None) | Err(_) => return None,
            };
            return self.read(header);
        }
        None
    }

    fn read(&mut self, header: EthHeader) -> Option<Stamped> {
        let now = self.rule.at(self.clock.now());
        // Those of an earlier life as well: what they were made of is the same.
        let earlier =
            (1..=2).filter_map(|n| now.0.checked_sub(n)).map(|n| self.stamp(EpochNumber(n)));
        let known = self.told.iter().rev().copied().chain(earlier);
        let found = { known }.find(|s| {
            s.epoch <= now && header.extra_data == stamp::extra_words(&s.commitment).as_bytes()
        });
        let Some(Stamp { epoch, checkpoint_of, commitment }) = found else {
            // It was started again, or somebody else has told it something.
            self.is_told = false;
            return None;
        };
        let class_max = self.stamps.class_max(&self.lane, checkpoint_of);
        Some(Stamped { epoch, checkpoint_of, commitment, class_max, header })
    }
}
