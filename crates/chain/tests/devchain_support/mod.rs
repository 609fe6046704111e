//! Building blocks and transactions against a development chain from what its RPC says, as a
//! miner and a wallet of somebody else would.
#![allow(
    dead_code,
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    missing_docs
)]

pub mod merge;
pub mod wrong;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, CompressedPublicKey, OutPoint, PublicKey, ScriptBuf,
    Sequence, Transaction, TxIn, TxMerkleNode, TxOut, Txid, Witness, ecdsa,
};
use gruve_chain::devchain::check::{commitment_script, has_work, height_push, merkle_root};
use gruve_chain::devchain::{DevChain, DevParams, Difficulty, POW_LIMIT_BITS, RpcError};
use gruve_chain::template::WITNESS_COMMITMENT_HEADER as COMMITMENT_HEADER;
use gruve_units::{Algorithm, Asset, Clock, ManualClock, SeededEntropy, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

pub const START: i64 = 1_700_000_000;

/// Trivial difficulty, early maturity, no premine: for tests that mine every block themselves.
pub fn easy_params() -> DevParams {
    let mut params = DevParams::new(Asset::Btc, Algorithm::Sha256d);
    params.difficulty = Difficulty::Fixed { bits: POW_LIMIT_BITS };
    params.coinbase_maturity = 5;
    params.premine_coins = 0;
    params
}

pub fn open(dir: &Path, params: DevParams) -> (DevChain, Arc<ManualClock>) {
    open_at(dir, params, Timestamp::from_secs(START))
}

fn open_at(dir: &Path, params: DevParams, now: Timestamp) -> (DevChain, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(now));
    let entropy = Arc::new(SeededEntropy::new(1));
    let chain = DevChain::open(dir, params, Arc::<ManualClock>::clone(&clock), entropy).unwrap();
    (chain, clock)
}

/// A chain in a folder of its own.
pub struct Bench {
    pub chain: DevChain,
    pub clock: Arc<ManualClock>,
    pub params: DevParams,
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new(params: DevParams) -> Bench {
        Bench::new_at(params, Timestamp::from_secs(START))
    }

    /// A chain whose clock stands at a time.
    pub fn new_at(params: DevParams, now: Timestamp) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (chain, clock) = open_at(dir.path(), params.clone(), now);
        Bench { chain, clock, params, dir }
    }

    /// A chain with blocks paying to a key.
    pub fn with_blocks(count: u32, key: &Key) -> Bench {
        let bench = Bench::new(easy_params());
        for _ in 0..count {
            bench.mine(&key.wpkh(), &[]);
        }
        bench
    }

    pub fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.chain.call(method, &params)
    }

    /// A call that must succeed.
    pub fn get(&self, method: &str, params: Value) -> Value {
        self.call(method, params.clone()).unwrap_or_else(|e| panic!("{method} {params}: {e}"))
    }

    pub fn template(&self) -> Value {
        self.get("getblocktemplate", json!([{ "rules": ["segwit"] }]))
    }

    pub fn tip(&self) -> String {
        self.get("getbestblockhash", json!([])).as_str().unwrap().to_owned()
    }

    /// Null, as `None`, or the reason.
    pub fn submit(&self, block: &Block) -> Option<String> {
        let answer = self.get("submitblock", json!([hex_of(block)]));
        answer.as_str().map(str::to_owned)
    }

    /// Mines a block on the tip with these transactions in it.
    pub fn mine(&self, pay_to: &ScriptBuf, txs: &[Transaction]) -> Block {
        let block = self.block(pay_to, txs);
        assert_eq!(self.submit(&block), None);
        assert_eq!(self.tip(), block.block_hash().to_string());
        block
    }

    /// A good block on the tip, with the template's own transactions when none are given.
    pub fn block(&self, pay_to: &ScriptBuf, txs: &[Transaction]) -> Block {
        let template = self.template();
        let offered: Vec<Transaction> = template["transactions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tx| from_hex(tx["data"].as_str().unwrap()))
            .collect();
        let txs = if txs.is_empty() { offered } else { txs.to_vec() };
        let mut block = unsolved(&template, pay_to, txs);
        solve(&mut block, &self.params);
        block
    }

    pub fn send(&self, tx: &Transaction) -> Result<Value, RpcError> {
        self.call("sendrawtransaction", json!([hex_of(tx)]))
    }

    pub fn mempool(&self) -> Vec<String> {
        serde_json::from_value(self.get("getrawmempool", json!([]))).unwrap()
    }

    /// The best chain's block at a height.
    pub fn block_at(&self, height: u32) -> Block {
        let hash = self.get("getblockhash", json!([height]));
        from_hex(self.get("getblock", json!([hash, 0])).as_str().unwrap())
    }

    pub fn now(&self) -> i64 {
        self.clock.now().secs()
    }
}

pub fn hex_of(what: &impl bitcoin::consensus::Encodable) -> String {
    bitcoin::consensus::encode::serialize_hex(what)
}

pub fn from_hex<T: bitcoin::consensus::Decodable>(text: &str) -> T {
    bitcoin::consensus::encode::deserialize_hex(text).unwrap()
}

/// A block from a template, without its work; the coinbase takes `coinbasevalue`.
pub fn unsolved(template: &Value, pay_to: &ScriptBuf, txs: Vec<Transaction>) -> Block {
    let number = |name: &str| template[name].as_i64().unwrap();
    let height = u32::try_from(number("height")).unwrap();
    let mut script_sig = height_push(height);
    script_sig.extend_from_slice(b"\x05tests");
    let coinbase = Transaction {
        version: Version::ONE,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: ScriptBuf::from_bytes(script_sig),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[0u8; 32]]),
        }],
        output: vec![
            TxOut {
                value: Amount::from_sat(template["coinbasevalue"].as_u64().unwrap()),
                script_pubkey: pay_to.clone(),
            },
            TxOut { value: Amount::ZERO, script_pubkey: commitment_script(&txs).into() },
        ],
    };
    let bits = u32::from_str_radix(template["bits"].as_str().unwrap(), 16).unwrap();
    let mut block = Block {
        header: bitcoin::block::Header {
            version: bitcoin::block::Version::from_consensus(
                i32::try_from(number("version")).unwrap(),
            ),
            prev_blockhash: BlockHash::from_str(template["previousblockhash"].as_str().unwrap())
                .unwrap(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: u32::try_from(number("curtime")).unwrap(),
            bits: CompactTarget::from_consensus(bits),
            nonce: 0,
        },
        txdata: std::iter::once(coinbase).chain(txs).collect(),
    };
    set_root(&mut block);
    block
}

/// The merkle root of the transactions as they are.
pub fn set_root(block: &mut Block) {
    let ids: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    block.header.merkle_root = TxMerkleNode::from_byte_array(merkle_root(&ids).0);
}

/// The coinbase's output that commits to the witnesses.
pub fn commitment_output(block: &mut Block) -> &mut TxOut {
    let is_it = |out: &&mut TxOut| out.script_pubkey.as_bytes().starts_with(&COMMITMENT_HEADER);
    block.txdata[0].output.iter_mut().rfind(is_it).expect("a witness commitment")
}

/// The witness commitment of the transactions as they are.
pub fn set_commitment(block: &mut Block) {
    let script = commitment_script(&block.txdata[1..]);
    commitment_output(block).script_pubkey = script.into();
}

/// Searches a nonce.
pub fn solve(block: &mut Block, params: &DevParams) {
    block.header.nonce = 0;
    while !has_work(&block.header, params) {
        block.header.nonce += 1;
    }
}

/// Somebody's key.
#[derive(Clone)]
pub struct Key(SecretKey);

impl Key {
    pub fn new(seed: u8) -> Key {
        Key(SecretKey::from_slice(&[seed; 32]).unwrap())
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.0.public_key(&Secp256k1::new()))
    }

    pub fn wpkh(&self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&CompressedPublicKey(self.public().inner).wpubkey_hash())
    }

    pub fn pkh(&self) -> ScriptBuf {
        ScriptBuf::new_p2pkh(&self.public().pubkey_hash())
    }

    /// Signs every input of a transaction whose inputs spend `spent`, all this key's.
    pub fn sign(&self, mut tx: Transaction, spent: &[TxOut]) -> Transaction {
        let kind = EcdsaSighashType::All;
        let curve = Secp256k1::new();
        let unsigned = tx.clone();
        let mut cache = SighashCache::new(&unsigned);
        for (index, out) in spent.iter().enumerate() {
            let script = &out.script_pubkey;
            let digest = if script.is_p2wpkh() {
                cache.p2wpkh_signature_hash(index, script, out.value, kind).unwrap().to_byte_array()
            } else {
                cache.legacy_signature_hash(index, script, kind.to_u32()).unwrap().to_byte_array()
            };
            let signature = curve.sign_ecdsa(&Message::from_digest(digest), &self.0);
            let signature = ecdsa::Signature { signature, sighash_type: kind };
            if script.is_p2wpkh() {
                tx.input[index].witness = Witness::p2wpkh(&signature, &self.public().inner);
            } else {
                tx.input[index].script_sig = bitcoin::script::Builder::new()
                    .push_slice(signature.serialize())
                    .push_key(&self.public())
                    .into_script();
            }
        }
        tx
    }

    /// A signed payment of one output to `to`, `fee` going to the miner.
    pub fn pay(&self, coin: &Funds, to: &ScriptBuf, fee: u64) -> Transaction {
        self.sign(payment(coin, to, fee), std::slice::from_ref(&coin.out))
    }
}

/// An output somebody can spend.
#[derive(Clone, Debug)]
pub struct Funds {
    pub point: OutPoint,
    pub out: TxOut,
}

impl Funds {
    /// An output of a transaction.
    pub fn of(tx: &Transaction, vout: u32) -> Funds {
        let point = OutPoint { txid: tx.compute_txid(), vout };
        Funds { point, out: tx.output[vout as usize].clone() }
    }

    /// The coinbase of a block.
    pub fn mined(block: &Block) -> Funds {
        Funds::of(&block.txdata[0], 0)
    }
}

/// A payment without its signature.
pub fn payment(coin: &Funds, to: &ScriptBuf, fee: u64) -> Transaction {
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: coin.point,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_LOCKTIME_NO_RBF,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::from_sat(coin.out.value.to_sat() - fee),
            script_pubkey: to.clone(),
        }],
    }
}

pub fn nowhere() -> OutPoint {
    OutPoint { txid: Txid::from_byte_array([7; 32]), vout: 0 }
}
