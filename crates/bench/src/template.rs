//! The template that all servers here are measured with: 4,095 transactions, so a branch of twelve.

use gruve_chain::{Template, TemplateTx};
use gruve_pow::sha256d;

/// Transactions beside the coinbase: with it 4,096, a merkle branch of twelve.
pub(crate) const TXS: u32 = 4_095;

/// Bytes of a transaction: a block of 1 MB.
const TX_BYTES: usize = 250;

/// A difficulty that no run ever meets by chance (about that of the main network in 2023), so that
/// finding blocks does not disturb what is measured.
pub(crate) const BITS: u32 = 0x1705_6ecf;

/// A template on the `tip`th stand-in block, with the time of it in seconds.
#[must_use]
pub(crate) fn template(tip: u64, time: u32) -> Template {
    let id = |n: u32, which: &[u8]| sha256d(&[&n.to_le_bytes(), which].concat());
    let tx =
        |n| TemplateTx { data: vec![0x5a; TX_BYTES], txid: id(n, b"txid"), wtxid: id(n, b"wtxid") };
    of(tip, time, (0..TXS).map(tx).collect())
}

/// The same with transactions that were made before.
pub(crate) fn of(tip: u64, time: u32, txs: Vec<TemplateTx>) -> Template {
    Template {
        height: 800_001 + tip,
        prev_hash: tip_hash(tip),
        version: 0x2000_0000,
        bits: BITS,
        min_time: time.saturating_sub(600),
        cur_time: time,
        coinbase_value: 312_500_000,
        txs,
        witness_commitment: Some([&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed][..], &[7; 32]].concat()),
        mweb: None,
        longpoll_id: Some(tip.to_string()),
    }
}

/// The hash of the `tip`th stand-in block.
#[must_use]
pub(crate) fn tip_hash(tip: u64) -> [u8; 32] {
    sha256d(&tip.to_le_bytes())
}
