//! What to mine next: choosing transactions and laying a block out. Pure.

use super::check::{MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT, commitment_script, height_push};
use super::mempool::{Mempool, PoolEntry};
use super::params::DevParams;
use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn,
    TxMerkleNode, TxOut, Txid, Witness,
};
use std::collections::{HashMap, HashSet};

/// Weight and signature operations kept free for the header and the miner's coinbase.
const RESERVED_WEIGHT: u64 = 8_000;
const RESERVED_SIGOPS: usize = 400;

/// Chooses waiting transactions for a block, best fee rate first, parents before children.
pub(crate) fn choose(pool: &Mempool) -> Vec<&PoolEntry> {
    let mut by_rate: Vec<&PoolEntry> = pool.iter().collect();
    // a/b > c/d as a·d > c·b; arrival decides between equals.
    by_rate.sort_by(|a, b| {
        let left = i128::from(a.fee) * i128::from(b.weight);
        let right = i128::from(b.fee) * i128::from(a.weight);
        right.cmp(&left).then(a.sequence.cmp(&b.sequence))
    });
    let mut chosen: Vec<&PoolEntry> = Vec::new();
    let mut taken: HashSet<Txid> = HashSet::new();
    let mut weight = RESERVED_WEIGHT;
    let mut sigops = RESERVED_SIGOPS;
    // A pass takes what has its parents; chains are short, so passes are few.
    loop {
        let before = chosen.len();
        by_rate.retain(|entry| {
            if !entry.parents.iter().all(|p| taken.contains(p)) {
                return true;
            }
            if weight + entry.weight <= MAX_BLOCK_WEIGHT as u64
                && sigops + entry.sigops <= MAX_BLOCK_SIGOPS_COST
            {
                weight += entry.weight;
                sigops += entry.sigops;
                taken.insert(entry.txid);
                chosen.push(entry);
            }
            false
        });
        if chosen.len() == before {
            return chosen;
        }
    }
}

/// For each chosen transaction, which earlier ones (counted from 1) it needs.
pub(crate) fn depends(chosen: &[&PoolEntry]) -> Vec<Vec<usize>> {
    let places: HashMap<Txid, usize> =
        chosen.iter().enumerate().map(|(i, entry)| (entry.txid, i + 1)).collect();
    chosen
        .iter()
        .map(|entry| entry.parents.iter().filter_map(|p| places.get(p).copied()).collect())
        .collect()
}

/// What a block is laid out from.
pub(crate) struct Layout {
    pub(crate) height: u32,
    pub(crate) prev: BlockHash,
    pub(crate) time: u32,
    pub(crate) bits: u32,
    pub(crate) value: i64,
    pub(crate) pay_to: ScriptBuf,
    /// Bytes after the height in the coinbase's input.
    pub(crate) extra: Vec<u8>,
    pub(crate) txs: Vec<Transaction>,
}

/// A block with everything but its proof of work.
pub(crate) fn lay_out(layout: Layout, params: &DevParams) -> Block {
    let mut script_sig = height_push(layout.height);
    let room = 100 - script_sig.len();
    script_sig.extend(layout.extra.iter().copied().chain([0, 0]).take(room));
    let value = Amount::from_sat(u64::try_from(layout.value).unwrap_or(0));
    let mut coinbase = Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: ScriptBuf::from_bytes(script_sig),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value, script_pubkey: layout.pay_to }],
    };
    if params.segwit {
        coinbase.input[0].witness.push([0u8; 32]);
        coinbase.output.push(TxOut {
            value: Amount::ZERO,
            script_pubkey: ScriptBuf::from_bytes(commitment_script(&layout.txs)),
        });
    }
    let txdata: Vec<Transaction> = std::iter::once(coinbase).chain(layout.txs).collect();
    let mut block = Block {
        header: Header {
            version: Version::from_consensus(params.block_version()),
            prev_blockhash: layout.prev,
            merkle_root: TxMerkleNode::all_zeros(),
            time: layout.time,
            bits: CompactTarget::from_consensus(layout.bits),
            nonce: 0,
        },
        txdata,
    };
    set_merkle_root(&mut block);
    block
}

/// Sets the header's merkle root to that of the transactions.
pub(crate) fn set_merkle_root(block: &mut Block) {
    let leaves: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    block.header.merkle_root = TxMerkleNode::from_byte_array(super::check::merkle_root(&leaves).0);
}

/// Tries nonces until the header has its work; `false` after `tries`.
pub(crate) fn grind(header: &mut Header, params: &DevParams, tries: u32) -> bool {
    for nonce in 0..tries {
        header.nonce = nonce;
        if super::check::has_work(header, params) {
            return true;
        }
    }
    false
}
