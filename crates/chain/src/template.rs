//! What a node offers to be mined, read strictly from `getblocktemplate` (BIP 22, BIP 23,
//! BIP 145; Litecoin's `mweb` field).
//!
//! Promises: what comes out can be built into a block of bounded size, its numbers are in range,
//! its hexadecimal was exact, it needs no rule we do not know, and its witness commitment is
//! that of its transactions. `coinbaseaux` is left out: Bitcoin Core has sent it empty for years.

use crate::hash_text::{bytes_from_hex, hash_from_text};
use crate::room::{self, Cost, Room};
use crate::{ChainParams, hash_to_text};
use gruve_units::{Blame, Blamed, Target};
use serde_json::Value;

/// Most transactions in a template: four million weight units hold fewer than 17,000.
pub const MAX_TXS: usize = 20_000;
/// Most bytes of transactions and extension block together: a block has at most four million,
/// and Litecoin's extension block stays far below as much again.
pub const MAX_BYTES: usize = 8_000_000;
/// Longest `longpollid`: Bitcoin Core's has about 74 characters.
pub const MAX_LONGPOLL_ID_BYTES: usize = 256;
/// Highest height, with room to count on.
const MAX_HEIGHT: u64 = 1 << 40;
/// What a witness commitment's script begins with (BIP 141).
pub const WITNESS_COMMITMENT_HEADER: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
/// Bytes in a witness commitment's script.
const WITNESS_COMMITMENT_BYTES: usize = 38;

/// A block to be, without its coinbase.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Template {
    /// Height of the block to be.
    pub height: u64,
    /// The block it stands on, internal byte order.
    pub prev_hash: [u8; 32],
    /// Header version, as the header holds it.
    pub version: u32,
    /// Network target in compact form.
    pub bits: u32,
    /// Earliest header time allowed, seconds.
    pub min_time: u32,
    /// The node's time, seconds.
    pub cur_time: u32,
    /// What the coinbase may pay: subsidy and fees, minor units.
    pub coinbase_value: i64,
    /// Transactions after the coinbase, in block order.
    pub txs: Vec<TemplateTx>,
    /// Output script of the witness commitment, when the block needs one.
    pub witness_commitment: Option<Vec<u8>>,
    /// Litecoin's extension block as it goes to the end of the block.
    pub mweb: Option<Vec<u8>>,
    /// What to send back to wait for the next template.
    pub longpoll_id: Option<String>,
}

/// A transaction of a template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TemplateTx {
    /// As it goes into the block.
    pub data: Vec<u8>,
    /// Id without witness, internal byte order: the merkle leaf.
    pub txid: [u8; 32],
    /// Id with witness, internal byte order.
    pub wtxid: [u8; 32],
}

/// What a node offers, as it stands in its answer.
pub(crate) struct Offer<'a> {
    /// Everything but the transactions.
    pub(crate) head: Value,
    pub(crate) txs: Vec<OfferedTx<'a>>,
}

/// A transaction as it stands in a node's answer.
#[derive(serde::Deserialize)]
pub(crate) struct OfferedTx<'a> {
    data: &'a str,
    txid: Option<&'a str>,
    hash: &'a str,
    fee: Option<i64>,
    sigops: Option<u64>,
    weight: Option<u64>,
}

type OfferedTxs = (Vec<TemplateTx>, Vec<Cost>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Offer<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OfferVisitor)
    }
}

struct OfferVisitor;

impl<'de> serde::de::Visitor<'de> for OfferVisitor {
    type Value = Offer<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a template")
    }

    fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Offer<'de>, M::Error> {
        let (mut head, mut txs) = (serde_json::Map::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            if key == "transactions" {
                txs = Some(map.next_value()?);
            } else {
                head.insert(key, map.next_value()?);
            }
        }
        let txs = txs.ok_or(serde::de::Error::missing_field("transactions"))?;
        Ok(Offer { head: Value::Object(head), txs })
    }
}

/// Why a template cannot be mined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A field is missing or has the wrong shape.
    #[error("the node's template has no good {field}: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The template needs a rule this house does not know (BIP 9: a leading `!`).
    #[error("the node's template needs rule {0:?}, which is not known here: upgrade gruve")]
    UnknownRule(String),
    /// The witness commitment is not that of the transactions.
    #[error("the template commits to witness root {found}, its transactions to {expected}")]
    WitnessCommitment {
        /// In the template.
        found: String,
        /// Of its transactions.
        expected: String,
    },
    /// More than a block can hold.
    #[error("the node's template is larger than a block can be: {0}")]
    TooLarge(&'static str),
}

impl Blamed for TemplateError {
    fn blame(&self) -> Blame {
        match self {
            TemplateError::UnknownRule(_) => Blame::Fatal,
            _ => Blame::Transient,
        }
    }
}

fn field(field: &'static str, problem: &'static str) -> TemplateError {
    TemplateError::Field { field, problem }
}

impl Template {
    /// Reads the `result` of `getblocktemplate`.
    ///
    /// # Errors
    /// When a field is missing, malformed, out of range or contradicts another.
    pub fn from_gbt(gbt: &Value, params: &ChainParams) -> Result<Template, TemplateError> {
        Template::read(gbt, params, |bytes_left| txs_of(gbt, bytes_left))
    }

    /// As [`Template::from_gbt`], with the transactions as they stand in the answer's own bytes:
    /// no copy of megabytes of text is made on the way.
    pub(crate) fn from_offer(
        offer: &Offer<'_>,
        params: &ChainParams,
    ) -> Result<Template, TemplateError> {
        Template::read(&offer.head, params, |bytes_left| {
            check_count(offer.txs.len())?;
            let read = |tx| Ok((tx_of(tx, bytes_left)?, cost_of(tx)));
            offer.txs.iter().map(read).collect()
        })
    }

    fn read(
        gbt: &Value,
        params: &ChainParams,
        txs: impl FnOnce(&mut usize) -> Result<OfferedTxs, TemplateError>,
    ) -> Result<Template, TemplateError> {
        check_rules(gbt, params)?;
        let height = u64_of(gbt, "height")?;
        if height == 0 || height > MAX_HEIGHT {
            return Err(field("height", "out of range"));
        }
        let bits = bits_of(gbt)?;
        let (min_time, cur_time) = (u32_of(gbt, "mintime")?, u32_of(gbt, "curtime")?);
        let coinbase_value = i64::try_from(u64_of(gbt, "coinbasevalue")?)
            .map_err(|_| field("coinbasevalue", "does not fit 63 bits"))?;
        let mut bytes_left = MAX_BYTES;
        let (txs, costs) = txs(&mut bytes_left)?;
        let mweb = match optional(gbt, "mweb") {
            Some(_) if !params.mweb => return Err(field("mweb", "this chain has none")),
            Some(text) => Some(hex_of(text, "mweb", &mut bytes_left)?),
            None => None,
        };
        let mut template = Template {
            height,
            prev_hash: hash_of(gbt, "previousblockhash")?,
            version: version_of(gbt)?,
            bits,
            min_time,
            cur_time,
            coinbase_value,
            witness_commitment: witness_commitment_of(gbt, params, &txs)?,
            txs,
            mweb,
            longpoll_id: longpoll_id_of(gbt)?,
        };
        let kept = Room::of(gbt, params.segwit).fitting(&costs);
        template.keep(kept, &costs[kept..])?;
        Ok(template)
    }

    /// Leaves out all transactions but the first so many; the others' fees are not earned then.
    fn keep(&mut self, kept: usize, others: &[Cost]) -> Result<(), TemplateError> {
        // Transactions may belong to the extension block. The nodes of such chains always keep the
        // usual room, and leave it whole here.
        if kept == self.txs.len() || self.mweb.is_some() {
            return Ok(());
        }
        self.coinbase_value = self
            .coinbase_value
            .checked_sub(room::fees(others)?)
            .filter(|value| *value >= 0)
            .ok_or(field("coinbasevalue", "less than the fees"))?;
        self.txs.truncate(kept);
        if self.witness_commitment.is_some() {
            let wtxids: Vec<_> = self.txs.iter().map(|tx| tx.wtxid).collect();
            self.witness_commitment = Some(witness_commitment_script(&wtxids));
        }
        Ok(())
    }

    /// The network target.
    #[must_use]
    pub fn target(&self) -> Target {
        // Bits were checked when the template was read; one made by hand with bad bits gets a
        // target that nothing meets.
        Target::from_compact(self.bits).unwrap_or(Target(ruint::aliases::U256::ZERO))
    }
}

/// The script of the witness commitment of a block whose coinbase has the usual all-zero reserved
/// value, from the witness ids of the transactions after the coinbase (BIP 141).
#[must_use]
pub fn witness_commitment_script(wtxids: &[[u8; 32]]) -> Vec<u8> {
    let mut leaves = Vec::with_capacity(wtxids.len() + 1);
    leaves.push([0u8; 32]); // the coinbase's own witness id is taken as zero
    leaves.extend_from_slice(wtxids);
    let root = crate::job::merkle_root(leaves);
    let commitment = gruve_pow::sha256d(&[root, [0u8; 32]].concat());
    [&WITNESS_COMMITMENT_HEADER[..], &commitment].concat()
}

fn optional<'a>(gbt: &'a Value, name: &str) -> Option<&'a Value> {
    gbt.get(name).filter(|v| !v.is_null())
}

fn u64_of(gbt: &Value, name: &'static str) -> Result<u64, TemplateError> {
    gbt.get(name).and_then(Value::as_u64).ok_or(field(name, "not a whole number"))
}

fn u32_of(gbt: &Value, name: &'static str) -> Result<u32, TemplateError> {
    u32::try_from(u64_of(gbt, name)?).map_err(|_| field(name, "does not fit 32 bits"))
}

fn hash_of(gbt: &Value, name: &'static str) -> Result<[u8; 32], TemplateError> {
    let text = gbt.get(name).and_then(Value::as_str);
    text.and_then(hash_from_text).ok_or(field(name, "not 64 hexadecimal digits"))
}

fn hex_of(value: &Value, name: &'static str, left: &mut usize) -> Result<Vec<u8>, TemplateError> {
    let text = value.as_str().ok_or(field(name, "not a string"))?;
    hex_text_of(text, name, left)
}

fn hex_text_of(text: &str, name: &'static str, left: &mut usize) -> Result<Vec<u8>, TemplateError> {
    *left = left.checked_sub(text.len() / 2).ok_or(TemplateError::TooLarge("too many bytes"))?;
    bytes_from_hex(text).ok_or(field(name, "not hexadecimal"))
}

fn version_of(gbt: &Value) -> Result<u32, TemplateError> {
    // A signed 32-bit number in the header; some nodes write it as unsigned.
    let version = gbt.get("version").and_then(Value::as_i64).ok_or(field("version", "missing"))?;
    i32::try_from(version)
        .map(i32::cast_unsigned)
        .or_else(|_| u32::try_from(version))
        .map_err(|_| field("version", "does not fit 32 bits"))
}

fn bits_of(gbt: &Value) -> Result<u32, TemplateError> {
    let text = gbt.get("bits").and_then(Value::as_str).unwrap_or_default();
    let mut bytes = [0u8; 4];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| field("bits", "not 8 hex digits"))?;
    let bits = u32::from_be_bytes(bytes);
    let target = Target::from_compact(bits).ok_or(field("bits", "no target"))?;
    match optional(gbt, "target").map(Value::as_str) {
        None => Ok(bits),
        Some(text) if text == Some(hex::encode(target.to_be_bytes()).as_str()) => Ok(bits),
        Some(_) => Err(field("target", "differs from bits")),
    }
}

fn longpoll_id_of(gbt: &Value) -> Result<Option<String>, TemplateError> {
    let Some(id) = optional(gbt, "longpollid") else { return Ok(None) };
    let id = id.as_str().ok_or(field("longpollid", "not a string"))?;
    if id.len() > MAX_LONGPOLL_ID_BYTES {
        return Err(field("longpollid", "too long"));
    }
    Ok(Some(id.to_owned()))
}

fn check_rules(gbt: &Value, params: &ChainParams) -> Result<(), TemplateError> {
    let Some(rules) = optional(gbt, "rules") else { return Ok(()) };
    for rule in rules.as_array().ok_or(field("rules", "not a list"))? {
        let rule = rule.as_str().ok_or(field("rules", "not strings"))?;
        if let Some(needed) = rule.strip_prefix('!')
            && !params.gbt_rules.contains(&needed)
        {
            return Err(TemplateError::UnknownRule(needed.chars().take(32).collect()));
        }
    }
    Ok(())
}

fn txs_of(gbt: &Value, bytes_left: &mut usize) -> Result<OfferedTxs, TemplateError> {
    let list = gbt.get("transactions").and_then(Value::as_array);
    let list = list.ok_or(field("transactions", "not a list"))?;
    check_count(list.len())?;
    let text = |tx: &Value, name| tx.get(name).and_then(Value::as_str).map(str::to_owned);
    let offered = |tx: &Value| {
        let data = text(tx, "data").ok_or(field("transaction data", "missing or not a string"))?;
        let hash = text(tx, "hash").unwrap_or_default();
        // What is there and no string is no id.
        let txid = optional(tx, "txid").map(|id| id.as_str().unwrap_or_default());
        let number = |name| tx.get(name).and_then(Value::as_u64);
        let fee = tx.get("fee").and_then(Value::as_i64);
        let (sigops, weight) = (number("sigops"), number("weight"));
        let tx = OfferedTx { data: &data, txid, hash: &hash, fee, sigops, weight };
        Ok((tx_of(&tx, bytes_left)?, cost_of(&tx)))
    };
    list.iter().map(offered).collect()
}

fn cost_of(tx: &OfferedTx<'_>) -> Cost {
    let bytes = u64::try_from(tx.data.len() / 2).unwrap_or(u64::MAX);
    Cost { bytes, weight: tx.weight, sigops: tx.sigops, fee: tx.fee }
}

fn check_count(txs: usize) -> Result<(), TemplateError> {
    let fits = txs <= MAX_TXS;
    fits.then_some(()).ok_or(TemplateError::TooLarge("too many transactions"))
}

fn tx_of(tx: &OfferedTx<'_>, bytes_left: &mut usize) -> Result<TemplateTx, TemplateError> {
    let data = hex_text_of(tx.data, "transaction data", bytes_left)?;
    if data.len() < 10 {
        return Err(field("transaction data", "too short for a transaction"));
    }
    let id = |text, name| hash_from_text(text).ok_or(field(name, "not 64 hexadecimal digits"));
    let wtxid = id(tx.hash, "hash")?;
    // Before BIP 145, and on chains without witnesses, `hash` is the only id.
    let txid = tx.txid.map_or(Ok(wtxid), |text| id(text, "txid"))?;
    Ok(TemplateTx { data, txid, wtxid })
}

fn witness_commitment_of(
    gbt: &Value,
    params: &ChainParams,
    txs: &[TemplateTx],
) -> Result<Option<Vec<u8>>, TemplateError> {
    const NAME: &str = "default_witness_commitment";
    let Some(text) = optional(gbt, NAME) else {
        if params.segwit && txs.iter().any(|tx| tx.txid != tx.wtxid) {
            return Err(field(NAME, "missing beside transactions with witnesses"));
        }
        return Ok(None);
    };
    if !params.segwit {
        return Err(field(NAME, "this chain has no witnesses"));
    }
    let script = hex_of(text, NAME, &mut WITNESS_COMMITMENT_BYTES.clone())?;
    if script.len() != WITNESS_COMMITMENT_BYTES || !script.starts_with(&WITNESS_COMMITMENT_HEADER) {
        return Err(field(NAME, "not a witness commitment"));
    }
    let wtxids: Vec<_> = txs.iter().map(|tx| tx.wtxid).collect();
    let expected = witness_commitment_script(&wtxids);
    if script != expected {
        let root = |s: &[u8]| s[6..].try_into().map_or_else(|_| String::new(), hash_text);
        return Err(TemplateError::WitnessCommitment {
            found: root(&script),
            expected: root(&expected),
        });
    }
    Ok(Some(script))
}

fn hash_text(hash: &[u8; 32]) -> String {
    hash_to_text(hash)
}
