//! Rules that need no coins: what a transaction and a block must be by themselves and at their
//! place in the chain of headers. Pure; the order of the checks and the reasons are those of
//! Bitcoin Core's `CheckTransaction`, `CheckBlock`, `ContextualCheckBlockHeader` and
//! `ContextualCheckBlock`, so that a block wrong in two ways gets the same answer from both.

use super::difficulty;
use super::params::DevParams;
use super::reject::Reject;
use crate::auxpow::AuxProof;
use bitcoin::block::Header;
use bitcoin::hashes::Hash;
use bitcoin::script::Builder;
use bitcoin::{Block, Transaction, VarInt};
use gruve_units::Target;
use std::collections::HashSet;

/// Most weight of a block (BIP 141).
pub const MAX_BLOCK_WEIGHT: usize = 4_000_000;
/// Most signature operations of a block, weighed (BIP 141).
pub const MAX_BLOCK_SIGOPS_COST: usize = 80_000;
/// Bytes of a transaction outside its witness weigh this much.
pub const WITNESS_SCALE: usize = 4;
/// Lock times below this are heights.
const LOCKTIME_THRESHOLD: u32 = 500_000_000;
/// The commitment output's first bytes: `OP_RETURN`, push of 36, `aa21a9ed` (BIP 141).
const COMMITMENT_HEAD: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Outputs as signed numbers, as Core sees them.
pub(crate) fn value_of(out: &bitcoin::TxOut) -> i64 {
    i64::from_ne_bytes(out.value.to_sat().to_ne_bytes())
}

/// The sum of a checked transaction's outputs.
pub(crate) fn value_out(tx: &Transaction) -> i64 {
    tx.output.iter().fold(0i64, |sum, o| sum.saturating_add(value_of(o)))
}

/// What every transaction must be.
///
/// # Errors
/// Core's reason.
pub fn check_transaction(tx: &Transaction, params: &DevParams) -> Result<(), Reject> {
    if tx.input.is_empty() {
        return Err(Reject::new("bad-txns-vin-empty"));
    }
    if tx.output.is_empty() {
        return Err(Reject::new("bad-txns-vout-empty"));
    }
    if tx.base_size() * WITNESS_SCALE > MAX_BLOCK_WEIGHT {
        return Err(Reject::new("bad-txns-oversize"));
    }
    let mut total = 0i64;
    for out in &tx.output {
        let value = value_of(out);
        if value < 0 {
            return Err(Reject::new("bad-txns-vout-negative"));
        }
        if value > params.max_money {
            return Err(Reject::new("bad-txns-vout-toolarge"));
        }
        total = total.saturating_add(value);
        if total > params.max_money {
            return Err(Reject::new("bad-txns-txouttotal-toolarge"));
        }
    }
    let mut seen = HashSet::with_capacity(tx.input.len());
    if !tx.input.iter().all(|i| seen.insert(i.previous_output)) {
        return Err(Reject::new("bad-txns-inputs-duplicate"));
    }
    if tx.is_coinbase() {
        if !(2..=100).contains(&tx.input[0].script_sig.len()) {
            return Err(Reject::new("bad-cb-length"));
        }
    } else if tx.input.iter().any(|i| i.previous_output.is_null()) {
        return Err(Reject::new("bad-txns-prevout-null"));
    }
    Ok(())
}

/// The merkle root of `leaves` and whether the list could be a repetition of a shorter one with
/// the same root (CVE-2012-2459).
#[must_use]
pub fn merkle_root(leaves: &[[u8; 32]]) -> ([u8; 32], bool) {
    let mut level = leaves.to_vec();
    let mut repeated = false;
    while level.len() > 1 {
        repeated |= level.chunks_exact(2).any(|pair| pair[0] == pair[1]);
        level = level
            .chunks(2)
            .map(|pair| {
                let mut both = [0u8; 64];
                both[..32].copy_from_slice(&pair[0]);
                both[32..].copy_from_slice(pair.last().unwrap_or(&pair[0]));
                gruve_pow::sha256d(&both)
            })
            .collect();
    }
    (level.first().copied().unwrap_or_default(), repeated)
}

/// The header's 80 bytes.
#[must_use]
pub fn header_bytes(header: &Header) -> [u8; 80] {
    let mut bytes = [0u8; 80];
    let encoded = bitcoin::consensus::encode::serialize(header);
    bytes.copy_from_slice(&encoded);
    bytes
}

/// Whether the header's hash meets its own target.
#[must_use]
pub fn has_work(header: &Header, params: &DevParams) -> bool {
    let Some(target) = Target::from_compact(header.bits.to_consensus()) else { return false };
    target <= super::params::pow_limit()
        && target.is_met_by(&gruve_pow::pow_hash(params.algorithm, &header_bytes(header)))
}

/// Signature operations counted without coins (before P2SH).
pub(crate) fn legacy_sigops(tx: &Transaction) -> usize {
    let inputs: usize = tx.input.iter().map(|i| i.script_sig.count_sigops_legacy()).sum();
    let outputs: usize = tx.output.iter().map(|o| o.script_pubkey.count_sigops_legacy()).sum();
    inputs + outputs
}

/// Which proof of work a block has.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// It is not looked at: a block read back from the chain's own file, or one only proposed.
    Unseen,
    /// Its own header's, unless there is a merge-mining proof.
    Shown(Option<&'a AuxProof>),
}

/// What a block must be by itself.
///
/// # Errors
/// Core's reason.
pub fn check_block(block: &Block, params: &DevParams, work: Work<'_>) -> Result<(), Reject> {
    if let Work::Shown(proof) = work {
        super::merged::check_work(&block.header, proof, params)?;
    }
    let leaves: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    let (root, repeated) = merkle_root(&leaves);
    if root != block.header.merkle_root.to_byte_array() {
        return Err(Reject::with("bad-txnmrklroot", "hashMerkleRoot mismatch".into()));
    }
    if repeated {
        return Err(Reject::with("bad-txns-duplicate", "duplicate transaction".into()));
    }
    let count_size = VarInt::from(block.txdata.len()).size();
    let stripped: usize =
        80 + count_size + block.txdata.iter().map(Transaction::base_size).sum::<usize>();
    if block.txdata.is_empty()
        || block.txdata.len() * WITNESS_SCALE > MAX_BLOCK_WEIGHT
        || stripped * WITNESS_SCALE > MAX_BLOCK_WEIGHT
    {
        return Err(Reject::with("bad-blk-length", "size limits failed".into()));
    }
    if !block.txdata[0].is_coinbase() {
        return Err(Reject::with("bad-cb-missing", "first tx is not coinbase".into()));
    }
    if block.txdata[1..].iter().any(Transaction::is_coinbase) {
        return Err(Reject::with("bad-cb-multiple", "more than one coinbase".into()));
    }
    for tx in &block.txdata {
        check_transaction(tx, params)?;
    }
    let sigops: usize = block.txdata.iter().map(legacy_sigops).sum();
    if sigops * WITNESS_SCALE > MAX_BLOCK_SIGOPS_COST {
        return Err(Reject::with("bad-blk-sigops", "out-of-bounds SigOpCount".into()));
    }
    Ok(())
}

/// Where a header is to stand.
#[derive(Clone, Copy, Debug)]
pub struct HeaderPlace {
    /// Its height.
    pub height: u32,
    /// The base of its target; see [`super::difficulty`].
    pub base_bits: u32,
    /// Its parent's time.
    pub parent_time: u32,
    /// The median of the eleven times before it.
    pub median_time: u32,
    /// The clock's time in seconds; `None` when it does not matter (a block read back).
    pub now: Option<i64>,
}

/// What a header must be at its place.
///
/// # Errors
/// Core's reason.
pub fn check_header_at(
    header: &Header,
    place: &HeaderPlace,
    params: &DevParams,
) -> Result<(), Reject> {
    let bits = header.bits.to_consensus();
    if !difficulty::is_allowed(params, place.base_bits, bits, place.parent_time, header.time) {
        return Err(Reject::with("bad-diffbits", "incorrect proof of work".into()));
    }
    if header.time <= place.median_time {
        return Err(Reject::with("time-too-old", "block's timestamp is too early".into()));
    }
    if place.now.is_some_and(|now| i64::from(header.time) > now + i64::from(params.max_future_secs))
    {
        let detail = "block timestamp too far in the future".into();
        return Err(Reject::with("time-too-new", detail));
    }
    // BIP 34, 66 and 65 are active from the first block on.
    let version = header.version.to_consensus();
    // The upper bits of a merge-mined chain's version are its id.
    let base = if params.aux_chain_id.is_some() { version & 0xff } else { version };
    if base < 4 {
        return Err(Reject::said(format!("bad-version(0x{version:08x})")));
    }
    Ok(())
}

/// Whether a transaction may stand in a block at `height` whose parent's median time is `time`
/// (BIP 113).
#[must_use]
pub fn is_final(tx: &Transaction, height: u32, time: u32) -> bool {
    let lock = tx.lock_time.to_consensus_u32();
    let now = if lock < LOCKTIME_THRESHOLD { height } else { time };
    lock == 0 || lock < now || tx.input.iter().all(|i| !i.enables_lock_time())
}

/// How a coinbase must begin at `height` (BIP 34, as Core's `CScript() << height`).
#[must_use]
pub fn height_push(height: u32) -> Vec<u8> {
    Builder::new().push_int(i64::from(height)).into_bytes()
}

/// The last output that commits to the witnesses, if one does.
fn commitment_position(coinbase: &Transaction) -> Option<usize> {
    coinbase.output.iter().rposition(|o| {
        o.script_pubkey.len() >= 38 && o.script_pubkey.as_bytes().starts_with(&COMMITMENT_HEAD)
    })
}

/// The merkle root of the witness ids, the coinbase's being zero.
fn witness_root(block_txs_after_coinbase: &[Transaction]) -> [u8; 32] {
    let leaves: Vec<[u8; 32]> = std::iter::once([0u8; 32])
        .chain(block_txs_after_coinbase.iter().map(|tx| tx.compute_wtxid().to_byte_array()))
        .collect();
    merkle_root(&leaves).0
}

/// The script of the output that commits to the witnesses of `txs` (all but the coinbase), the
/// coinbase's own reserved value being 32 zero bytes.
#[must_use]
pub fn commitment_script(txs: &[Transaction]) -> Vec<u8> {
    let mut script = COMMITMENT_HEAD.to_vec();
    script.extend_from_slice(&commitment(&witness_root(txs), &[0u8; 32]));
    script
}

fn commitment(root: &[u8; 32], reserved: &[u8]) -> [u8; 32] {
    let mut both = root.to_vec();
    both.extend_from_slice(reserved);
    gruve_pow::sha256d(&both)
}

/// Gives a coinbase that commits to witnesses but carries no reserved value the usual one, as
/// Core's `submitblock` does for miners that send the coinbase without its witness.
pub fn complete_coinbase(block: &mut Block, params: &DevParams) {
    let Some(coinbase) = block.txdata.first_mut() else { return };
    if params.segwit
        && commitment_position(coinbase).is_some()
        && coinbase.is_coinbase()
        && coinbase.input[0].witness.is_empty()
    {
        coinbase.input[0].witness.push([0u8; 32]);
    }
}

/// What a block must be at its height, coins aside.
///
/// # Errors
/// Core's reason.
pub fn check_block_at(
    block: &Block,
    height: u32,
    median_time: u32,
    params: &DevParams,
) -> Result<(), Reject> {
    if !block.txdata.iter().all(|tx| is_final(tx, height, median_time)) {
        return Err(Reject::with("bad-txns-nonfinal", "non-final transaction".into()));
    }
    let Some(coinbase) = block.txdata.first() else { return Err(Reject::new("bad-cb-missing")) };
    let script_sig = &coinbase.input[0].script_sig;
    if !script_sig.as_bytes().starts_with(&height_push(height)) {
        return Err(Reject::with("bad-cb-height", "block height mismatch in coinbase".into()));
    }
    let commitment_at = if params.segwit { commitment_position(coinbase) } else { None };
    if let Some(position) = commitment_at {
        let witness = &coinbase.input[0].witness;
        let reserved = witness.nth(0).filter(|r| r.len() == 32 && witness.len() == 1);
        let Some(reserved) = reserved else {
            let detail = "invalid witness reserved value size".into();
            return Err(Reject::with("bad-witness-nonce-size", detail));
        };
        let found = commitment(&witness_root(&block.txdata[1..]), reserved);
        if coinbase.output[position].script_pubkey.as_bytes()[6..38] != found {
            let detail = "witness merkle commitment mismatch".into();
            return Err(Reject::with("bad-witness-merkle-match", detail));
        }
    } else if block.txdata.iter().any(|tx| tx.input.iter().any(|i| !i.witness.is_empty())) {
        return Err(Reject::with("unexpected-witness", "unexpected witness data found".into()));
    }
    if block.weight().to_wu() > MAX_BLOCK_WEIGHT as u64 {
        return Err(Reject::with("bad-blk-weight", "weight limit failed".into()));
    }
    Ok(())
}
