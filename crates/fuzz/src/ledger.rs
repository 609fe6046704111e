//! What was counted, for all connections of one house: nothing twice, nothing that was not
//! answered so.

use gruve_sharelog::{BlockRecord, ShareRecord};
use std::collections::HashSet;

/// The log of a fuzzed house.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    shares: HashSet<String>,
    blocks: HashSet<String>,
}

fn key(share: &ShareRecord) -> String {
    let ShareRecord { job, class, extranonce, ntime, nonce, version, .. } = share;
    format!("{job:?} {class:?} {extranonce:?} {ntime} {nonce} {version}")
}

impl Counted {
    /// A share goes into the log.
    pub(crate) fn count(&mut self, share: &ShareRecord) {
        assert!(self.shares.insert(key(share)), "counted twice: {share:?}");
    }

    /// A block is sent to the node.
    pub(crate) fn send(&mut self, block: &BlockRecord) {
        assert!(self.blocks.insert(key(&block.share)), "sent twice: {:?}", block.share);
    }

    pub(crate) fn shares(&self) -> usize {
        self.shares.len()
    }
}
