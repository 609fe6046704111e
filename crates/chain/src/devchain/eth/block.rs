//! A block of an account chain with all that is in it.

use crate::eth::header::uncles_hash;
use crate::eth::rlp::{self, Reader, RlpError};
use crate::eth::trie::list_root;
use crate::eth::{EthHeader, SignedTx, TRANSFER_GAS, TxError};

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) header: EthHeader,
    pub(super) txs: Vec<SignedTx>,
    pub(super) uncles: Vec<EthHeader>,
}

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockError {
    #[error("a block's encoding: {0}")]
    Rlp(#[from] RlpError),
    #[error("a block's transaction: {0}")]
    Tx(#[from] TxError),
}

impl Block {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut items = self.header.encode();
        let txs: Vec<u8> = self.txs.iter().flat_map(|tx| tx.raw.iter().copied()).collect();
        rlp::put_list(&mut items, &txs);
        let uncles: Vec<u8> = self.uncles.iter().flat_map(EthHeader::encode).collect();
        rlp::put_list(&mut items, &uncles);
        rlp::list(&items)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Block, BlockError> {
        let mut parts = Reader::of_list(bytes)?;
        let header = EthHeader::decode(parts.raw()?)?;
        let (mut tx_items, mut uncle_items) = (parts.list()?, parts.list()?);
        parts.end()?;
        let (mut txs, mut uncles) = (Vec::new(), Vec::new());
        while !tx_items.is_at_end() {
            txs.push(SignedTx::decode(tx_items.raw()?)?);
        }
        while !uncle_items.is_at_end() {
            uncles.push(EthHeader::decode(uncle_items.raw()?)?);
        }
        Ok(Block { header, txs, uncles })
    }

    /// Whether the header speaks of these transactions and uncles.
    pub(super) fn body_is_the_headers(&self) -> bool {
        transactions_root(&self.txs) == self.header.transactions_root
            && uncles_hash(&self.uncles) == self.header.uncles_hash
    }
}

pub(super) fn transactions_root(txs: &[SignedTx]) -> [u8; 32] {
    let raw: Vec<&[u8]> = txs.iter().map(|tx| &tx.raw[..]).collect();
    list_root(&raw)
}

/// Gas used up to and with the transaction at a place: all here are plain transfers.
pub(super) const fn gas_through(place: usize) -> u64 {
    (place as u64 + 1).saturating_mul(TRANSFER_GAS)
}

/// The root of the receipts of so many plain transfers: each succeeded, without logs (EIP-658).
pub(super) fn receipts_root(count: usize) -> [u8; 32] {
    let receipt = |place| {
        let mut items = Vec::with_capacity(270);
        rlp::put_u64(&mut items, 1);
        rlp::put_u64(&mut items, gas_through(place));
        rlp::put_bytes(&mut items, &[0; crate::eth::header::BLOOM_BYTES]);
        rlp::put_list(&mut items, &[]);
        rlp::list(&items)
    };
    list_root(&(0..count).map(receipt).collect::<Vec<_>>())
}
