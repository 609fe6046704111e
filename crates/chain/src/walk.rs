//! Reading blocks leanly: what pays whom, and nothing more.
//!
//! Reads Bitcoin's, Litecoin's and Dogecoin's blocks: witnesses are passed over, Litecoin's
//! transaction flag `0x08` is known (in a block only the integrating transaction, the HogEx,
//! carries it, without data), the extension block after the last transaction is left alone, and a
//! merge-mining proof after the header is passed over.
//!
//! Promises: never panics; memory stays within a small multiple of the bytes given; what comes
//! out agrees with the header's merkle root, so a misread or damaged block is an error and not a
//! wrong payment. It does *not* check proof of work or any rule of consensus: that is the node's.

use crate::ChainParams;
use crate::job::merkle_root;
use crate::wire::Reader;
use gruve_pow::sha256d;
use gruve_units::{Blame, Blamed};

/// Largest block looked at: four million bytes of block and Litecoin's extension block.
pub const MAX_BLOCK_BYTES: usize = 16_000_000;

/// Fewest bytes of a transaction: version, an input and an output of no script, lock time. (One
/// without inputs does not occur in blocks.)
const LEAST_TX_BYTES: usize = 4 + 1 + 41 + 1 + 9 + 4;
/// Fewest bytes of an input.
const LEAST_INPUT_BYTES: usize = 41;
/// Fewest bytes of an output.
const LEAST_OUTPUT_BYTES: usize = 9;
const FLAG_WITNESS: u8 = 0x01;
const FLAG_MWEB: u8 = 0x08;
/// Header version bit of a merge-mining proof.
const VERSION_AUXPOW: u32 = 0x100;
/// Longest merkle branch in a merge-mining proof (Dogecoin Core allows 30).
const MAX_BRANCH: usize = 32;

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeanBlock {
    /// The 80 bytes.
    pub header: [u8; 80],
    /// SHA-256d of the header, internal byte order.
    pub hash: [u8; 32],
    /// The block before it, internal byte order.
    pub prev: [u8; 32],
    /// Header time, seconds.
    pub time: u32,
    /// Target in compact form.
    pub bits: u32,
    /// All transactions, the coinbase first.
    pub txs: Vec<LeanTx>,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeanTx {
    /// Id without witness, internal byte order.
    pub txid: [u8; 32],
    /// Whether it is the block's coinbase.
    pub coinbase: bool,
    /// Whether it is Litecoin's integrating transaction, whose outputs (peg-outs) may be spent
    /// only six blocks later.
    pub hogex: bool,
    /// What it spends: transaction id and output number. A coinbase's one input names no output.
    pub inputs: Vec<([u8; 32], u32)>,
    /// What it pays.
    pub outputs: Vec<LeanOutput>,
}

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeanOutput {
    /// Minor units, never negative.
    pub value: i64,
    /// To whom.
    pub script: Vec<u8>,
}

/// Why bytes are not a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end too early, or a count promises more than follows.
    #[error("the bytes end in the middle of something that begins at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
    },
    /// A number is not in its shortest form.
    #[error("the number at byte {at} is not in its shortest form")]
    LongForm {
        /// Where.
        at: usize,
    },
    /// More than a block can have.
    #[error("{bytes} bytes are more than a block can have")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// Not a block.
    #[error("not a block of this chain: {0}")]
    Shape(&'static str),
}

impl Blamed for ParseError {
    fn blame(&self) -> Blame {
        Blame::Rejected
    }
}

/// Reads a whole block.
///
/// # Errors
/// When the bytes are not one block of the chain, or disagree with its merkle root.
pub fn parse_block(bytes: &[u8], params: &ChainParams) -> Result<LeanBlock, ParseError> {
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(ParseError::TooLarge { bytes: bytes.len() });
    }
    let mut r = Reader::new(bytes);
    let header: [u8; 80] = r.array()?;
    let mut fields = Reader::new(&header);
    let version = fields.u32()?;
    let prev: [u8; 32] = fields.array()?;
    let root: [u8; 32] = fields.array()?;
    let (time, bits) = (fields.u32()?, fields.u32()?);
    if params.auxpow.is_some() && version & VERSION_AUXPOW != 0 {
        skip_auxpow(&mut r)?;
    }
    let count = r.count(LEAST_TX_BYTES)?;
    let mut txs = Vec::with_capacity(count);
    for i in 0..count {
        let tx = parse_tx(&mut r, Form::of(params))?;
        if tx.coinbase != (i == 0) {
            return Err(ParseError::Shape("the coinbase is not exactly the first transaction"));
        }
        if tx.hogex && i + 1 != count {
            return Err(ParseError::Shape("the integrating transaction is not the last"));
        }
        txs.push(tx);
    }
    let has_extension = txs.last().is_some_and(|tx| tx.hogex);
    if r.remaining() > 0 && !has_extension {
        return Err(ParseError::Shape("bytes follow the last transaction"));
    }
    if txs.is_empty() || merkle_root(txs.iter().map(|tx| tx.txid).collect()) != root {
        return Err(ParseError::Shape("the merkle root is not that of the transactions"));
    }
    Ok(LeanBlock { hash: sha256d(&header), header, prev, time, bits, txs })
}

/// One transaction of a block, without witnesses: the bytes that its id is the hash of. `None` when it is not there.
///
/// # Errors
/// When the bytes are not a block of the chain up to it.
pub fn transaction_in_block(
    bytes: &[u8],
    params: &ChainParams,
    txid: &[u8; 32],
) -> Result<Option<Vec<u8>>, ParseError> {
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(ParseError::TooLarge { bytes: bytes.len() });
    }
    let mut r = Reader::new(bytes);
    let version = Reader::new(&r.array::<80>()?).u32()?;
    if params.auxpow.is_some() && version & VERSION_AUXPOW != 0 {
        skip_auxpow(&mut r)?;
    }
    for _ in 0..r.count(LEAST_TX_BYTES)? {
        let (tx, plain) = parse_tx_and_body(&mut r, Form::of(params))?;
        if tx.txid == *txid {
            return Ok(Some(plain.concat()));
        }
    }
    Ok(None)
}

/// Reads one transaction that stands alone, as a wallet sends it.
///
/// # Errors
/// When the bytes are not exactly one transaction.
pub fn parse_transaction(bytes: &[u8], params: &ChainParams) -> Result<LeanTx, ParseError> {
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(ParseError::TooLarge { bytes: bytes.len() });
    }
    let mut r = Reader::new(bytes);
    let tx = parse_tx(&mut r, Form::of(params))?;
    if r.remaining() > 0 {
        return Err(ParseError::Shape("bytes follow the transaction"));
    }
    Ok(tx)
}

/// What a transaction that waits in a node's memory pool pays. What follows its outputs is left alone: there
/// Litecoin's transactions carry their extension data, which in blocks stands elsewhere.
///
/// # Errors
/// When the bytes do not begin as a transaction of the chain does.
pub fn outputs_of_waiting(
    bytes: &[u8],
    params: &ChainParams,
) -> Result<Vec<LeanOutput>, ParseError> {
    if bytes.len() > MAX_BLOCK_BYTES {
        return Err(ParseError::TooLarge { bytes: bytes.len() });
    }
    let mut r = Reader::new(bytes);
    r.take(4)?; // version
    read_flags(&mut r, Form::of(params))?;
    parse_inputs(&mut r)?;
    parse_outputs(&mut r)
}

/// Which extensions a transaction's bytes may have.
#[derive(Clone, Copy)]
struct Form {
    witness: bool,
    mweb: bool,
}

impl Form {
    const fn of(params: &ChainParams) -> Self {
        Form { witness: params.segwit, mweb: params.mweb }
    }
}

fn parse_tx(r: &mut Reader<'_>, form: Form) -> Result<LeanTx, ParseError> {
    parse_tx_and_body(r, form).map(|(tx, _)| tx)
}

/// A transaction, and the pieces of it that its id is the hash of.
fn parse_tx_and_body<'a>(
    r: &mut Reader<'a>,
    form: Form,
) -> Result<(LeanTx, [&'a [u8]; 3]), ParseError> {
    let start = r.position();
    r.take(4)?; // version
    let version = r.since(start);
    let flags = read_flags(r, form)?;
    let body_start = r.position();
    let inputs = parse_inputs(r)?;
    let outputs = parse_outputs(r)?;
    let body = r.since(body_start);
    if flags & FLAG_WITNESS != 0 {
        for _ in 0..inputs.len() {
            for _ in 0..r.count(1)? {
                r.bytes()?;
            }
        }
    }
    if flags & FLAG_MWEB != 0 && r.u8()? != 0 {
        return Err(ParseError::Shape("extension data stands inside a transaction of a block"));
    }
    let lock_time = r.take(4)?;
    if inputs.is_empty() {
        return Err(ParseError::Shape("a transaction has no inputs"));
    }
    let txid = if flags == 0 {
        sha256d(r.since(start))
    } else {
        sha256d(&[version, body, lock_time].concat())
    };
    let coinbase = inputs.as_slice() == [([0; 32], u32::MAX)];
    let tx = LeanTx { txid, coinbase, hogex: flags & FLAG_MWEB != 0, inputs, outputs };
    Ok((tx, [version, body, lock_time]))
}

/// The extensions that a transaction's bytes say they have, after its version.
fn read_flags(r: &mut Reader<'_>, form: Form) -> Result<u8, ParseError> {
    // No inputs where inputs should be: the marker of the extended form (BIP 144).
    let flags = if form.witness && r.peek() == Some(0) {
        r.take(1)?;
        r.u8()?
    } else {
        0
    };
    let known = FLAG_WITNESS | if form.mweb { FLAG_MWEB } else { 0 };
    if flags & !known != 0 {
        return Err(ParseError::Shape("a transaction has an unknown flag"));
    }
    Ok(flags)
}

fn parse_inputs(r: &mut Reader<'_>) -> Result<Vec<([u8; 32], u32)>, ParseError> {
    let count = r.count(LEAST_INPUT_BYTES)?;
    let mut inputs = Vec::with_capacity(count);
    for _ in 0..count {
        let txid = r.array()?;
        let vout = r.u32()?;
        r.bytes()?; // script
        r.take(4)?; // sequence
        inputs.push((txid, vout));
    }
    Ok(inputs)
}

fn parse_outputs(r: &mut Reader<'_>) -> Result<Vec<LeanOutput>, ParseError> {
    let count = r.count(LEAST_OUTPUT_BYTES)?;
    let mut outputs = Vec::with_capacity(count);
    for _ in 0..count {
        let value = r.i64()?;
        if value < 0 {
            return Err(ParseError::Shape("an output is negative"));
        }
        outputs.push(LeanOutput { value, script: r.bytes()?.to_vec() });
    }
    Ok(outputs)
}

/// Passes over a merge-mining proof: the parent's coinbase, its block hash, two branches with
/// their indexes, the parent's header.
fn skip_auxpow(r: &mut Reader<'_>) -> Result<(), ParseError> {
    parse_tx(r, Form { witness: false, mweb: false })?;
    r.take(32)?;
    for _ in 0..2 {
        let siblings = r.count(32)?;
        if siblings > MAX_BRANCH {
            return Err(ParseError::Shape("a merge-mining branch is too long"));
        }
        r.take(32 * siblings + 4)?;
    }
    r.take(80)?;
    Ok(())
}
