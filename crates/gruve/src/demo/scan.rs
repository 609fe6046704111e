//! What the chain itself says a wallet holds: every block read from the node, judged by nothing
//! that the house wrote down.

use gruve_chain::eth::{AccountAt, AccountNode, EthAddress};
use gruve_chain::{Node, NodeError, ParseError, parse_block};
use ruint::aliases::U256;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Why the chain could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The node's answer.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A block that does not parse.
    #[error("block at height {0}: {1}")]
    Block(u64, ParseError),
    /// The chain moved below the height asked for while it was read.
    #[error("the chain has no block at height {0} any more")]
    Moved(u64),
}

/// Reads a chain and keeps the unspent outputs to some scripts.
#[derive(Default)]
pub struct Scan {
    next: u64,
    unspent: HashMap<([u8; 32], u32), i64>,
}

impl Scan {
    /// Minor units that `scripts` hold after the block at `height`; goes on from where it was.
    ///
    /// # Errors
    /// When the node does not answer or a block does not parse.
    pub async fn held_at(
        &mut self,
        node: &dyn Node,
        scripts: &HashSet<Vec<u8>>,
        height: u64,
    ) -> Result<i64, ScanError> {
        while self.next <= height {
            let at = self.next;
            let hash = node.block_hash(at).await?.ok_or(ScanError::Moved(at))?;
            let bytes = node.block(&hash).await?;
            let block = parse_block(&bytes, node.params()).map_err(|e| ScanError::Block(at, e))?;
            for tx in &block.txs {
                for input in &tx.inputs {
                    self.unspent.remove(input);
                }
                for (index, output) in (0u32..).zip(&tx.outputs) {
                    if scripts.contains(&output.script) {
                        self.unspent.insert((tx.txid, index), output.value);
                    }
                }
            }
            self.next += 1;
        }
        Ok(self.unspent.values().sum())
    }
}

/// Reads an account chain and keeps the addresses that something came to.
#[derive(Default)]
pub struct AccountScan {
    next: u64,
    paid: BTreeSet<EthAddress>,
}

impl AccountScan {
    /// Wei that `addresses` hold after the block at `height`, by the node's accounts; goes on from where
    /// it was.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn held_at(
        &mut self,
        node: &dyn AccountNode,
        addresses: &HashSet<EthAddress>,
        height: u64,
    ) -> Result<U256, ScanError> {
        while self.next <= height {
            let at = self.next;
            let block = node.block_at(at).await?.ok_or(ScanError::Moved(at))?;
            let mut to: Vec<EthAddress> = block.transactions.iter().filter_map(|t| t.to).collect();
            to.push(block.header.coinbase);
            for index in 0..block.uncle_hashes.len() {
                let uncle = node.uncle(&block.hash, index).await?.ok_or(ScanError::Moved(at))?;
                to.push(uncle.0.coinbase);
            }
            self.paid.extend(to.into_iter().filter(|address| addresses.contains(address)));
            self.next += 1;
        }
        let mut held = U256::ZERO;
        for address in &self.paid {
            held = held.saturating_add(node.balance(address, AccountAt::Height(height)).await?);
        }
        Ok(held)
    }
}
