//! A job as a miner holds it.

use crate::hexes;
use gruve_pow::{merkle_root_from_branch, sha256d};
use serde_json::Value;

/// Siblings at most: a block of 2^32 transactions is far above any chain's limit.
const BRANCH_MAX: usize = 32;

/// A job with the difficulty and extranonce it is to be mined with.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientJob {
    /// The server's name for it; opaque.
    pub id: String,
    /// Hash of the block before, internal byte order.
    pub prev_hash: [u8; 32],
    /// The coinbase before the extranonces.
    pub coinbase_prefix: Vec<u8>,
    /// The coinbase after the extranonces.
    pub coinbase_suffix: Vec<u8>,
    /// Merkle siblings of the coinbase, internal byte order.
    pub branch: Vec<[u8; 32]>,
    /// Header version.
    pub version: u32,
    /// The network's target, compact form.
    pub bits: u32,
    /// Header time.
    pub ntime: u32,
    /// Whether earlier jobs are worthless now.
    pub clean: bool,
    /// The wire difficulty in force when the job came.
    pub difficulty: f64,
    /// Extranonce 1.
    pub extranonce1: Vec<u8>,
    /// How many bytes extranonce 2 has.
    pub extranonce2_size: usize,
}

impl ClientJob {
    /// From the parameters of `mining.notify`.
    ///
    /// # Errors
    /// In words, what is wrong with them.
    pub fn from_notify(params: &[Value]) -> Result<ClientJob, &'static str> {
        const SHAPE: &str = "mining.notify of an unknown shape";
        // At least eight; `clean` is the last.
        if params.len() < 8 {
            return Err(SHAPE);
        }
        let text = |i: usize| params.get(i).and_then(Value::as_str).ok_or(SHAPE);
        let word = |i| text(i).and_then(|t| hexes::word(t).ok_or(SHAPE));
        let siblings = params.get(4).and_then(Value::as_array).ok_or(SHAPE)?;
        if siblings.len() > BRANCH_MAX {
            return Err("mining.notify with too many siblings");
        }
        let sibling = |v: &Value| v.as_str().and_then(hexes::array).ok_or(SHAPE);
        Ok(ClientJob {
            id: text(0)?.to_owned(),
            prev_hash: hexes::swap_words(&hexes::array(text(1)?).ok_or(SHAPE)?),
            coinbase_prefix: hex::decode(text(2)?).map_err(|_| SHAPE)?,
            coinbase_suffix: hex::decode(text(3)?).map_err(|_| SHAPE)?,
            branch: siblings.iter().map(sibling).collect::<Result<_, _>>()?,
            version: word(5)?,
            bits: word(6)?,
            ntime: word(7)?,
            clean: params.last().and_then(Value::as_bool).unwrap_or(false),
            difficulty: 1.0,
            extranonce1: Vec::new(),
            extranonce2_size: 0,
        })
    }

    /// The whole coinbase transaction.
    #[must_use]
    pub fn coinbase(&self, extranonce2: &[u8]) -> Vec<u8> {
        [&self.coinbase_prefix, &self.extranonce1, extranonce2, &self.coinbase_suffix].concat()
    }

    /// The 80-byte header.
    #[must_use]
    pub fn header(&self, extranonce2: &[u8], version: u32, ntime: u32, nonce: u32) -> [u8; 80] {
        let leaf = sha256d(&self.coinbase(extranonce2));
        let root = merkle_root_from_branch(leaf, &self.branch);
        let mut header = [0; 80];
        header[..4].copy_from_slice(&version.to_le_bytes());
        header[4..36].copy_from_slice(&self.prev_hash);
        header[36..68].copy_from_slice(&root);
        header[68..72].copy_from_slice(&ntime.to_le_bytes());
        header[72..76].copy_from_slice(&self.bits.to_le_bytes());
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        header
    }
}
