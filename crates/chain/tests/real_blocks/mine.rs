//! Blocks of ours from a real node's templates, as the house makes them, with a search of our own.

use crate::locks::{Coin, Holder, Lock};
use crate::real_node::{Program, RealNode};
use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use gruve_chain::{
    BlockRef, ChainParams, Job, JobSpec, Node, RpcNode, SendOutcome, SubmitOutcome, Template,
    parse_block,
};
use gruve_pow::pow_hash;
use gruve_units::{Class, EpochNumber, JobId};
use serde_json::json;
use std::sync::Arc;

pub const EXTRANONCE: [u8; 12] = *b"extra-nonce!";
/// The longest tag a lane may have: 32 bytes of the operator's and the job's number of 8.
const TAG: [u8; 40] = *b"/a tag of thirty-two characters/12345678";

pub fn class() -> Class {
    Class::new(1).unwrap()
}

pub fn job(template: Template, pay_to: Vec<(Vec<u8>, i64)>) -> Job {
    let spec = JobSpec {
        id: JobId(7),
        epoch: EpochNumber(3),
        checkpoint_epoch: EpochNumber(1),
        commitment: [0xc0; 32],
        tag: TAG.to_vec(),
        pay_to,
        extranonce_len: EXTRANONCE.len(),
    };
    Job::build(Arc::new(template), spec).unwrap()
}

/// The block of the first nonce whose hash meets the target.
pub fn solve(job: &Job, params: &ChainParams) -> Vec<u8> {
    let header = (0..)
        .map(|nonce| job.header(class(), &EXTRANONCE, job.version(), job.ntime(), nonce))
        .find(|h| job.network_target().is_met_by(&pow_hash(params.algorithm, h)));
    job.block(class(), &EXTRANONCE, &header.unwrap())
}

/// A miner with a node, and a holder of coins.
pub struct Mine {
    pub real: RealNode,
    pub node: RpcNode,
    pub params: ChainParams,
    pub holder: Holder,
    /// Sent, and not in a block yet.
    pub expected: Vec<Txid>,
}

/// A block of ours that the node took.
pub struct Mined {
    pub job: Job,
    pub at: BlockRef,
    /// What the coinbase pays, the commitments left out.
    pub coins: Vec<Coin>,
}

impl Mined {
    /// Weight of the transactions, by the crate `bitcoin`'s word.
    pub fn weight(&self) -> u64 {
        self.txs().iter().map(|tx| tx.weight().to_wu()).sum()
    }

    pub fn txs(&self) -> Vec<Transaction> {
        let txs = self.job.template().txs.iter();
        txs.map(|tx| bitcoin::consensus::deserialize(&tx.data).unwrap()).collect()
    }
}

impl Mine {
    pub fn new(program: impl Into<Program>, real: RealNode) -> Mine {
        let (params, node) = (program.into().params(), real.rpc());
        Mine { real, node, params, holder: Holder::new(), expected: Vec::new() }
    }

    /// The coinbase of a block that the node mined for the holder.
    pub async fn coinbase(&self, height: u64) -> Coin {
        let hash = self.node.block_hash(height).await.unwrap().unwrap();
        let block = parse_block(&self.node.block(&hash).await.unwrap(), &self.params).unwrap();
        self.coin(block.txs[0].txid, 0, block.txs[0].outputs[0].value.unsigned_abs(), Lock::P2wpkh)
    }

    fn coin(&self, txid: [u8; 32], vout: usize, value: u64, lock: Lock) -> Coin {
        let point = OutPoint::new(Txid::from_byte_array(txid), u32::try_from(vout).unwrap());
        Coin { point, out: self.holder.output(lock, value), lock }
    }

    /// Has the node itself mine blocks that pay the holder.
    pub async fn generate(&self, blocks: u32) {
        let script = self.holder.script(Lock::P2wpkh);
        let address = gruve_chain::address_for_script(&self.params, script.as_bytes()).unwrap();
        self.real.generate(blocks, &address).await;
    }

    /// Sends a transaction that is to stand in the next block.
    pub async fn send(&mut self, tx: &Transaction) {
        let bytes = bitcoin::consensus::serialize(tx);
        let sent = self.node.send_transaction(&bytes).await.unwrap();
        assert_eq!(sent, SendOutcome::Accepted, "{}", tx.compute_txid());
        self.expected.push(tx.compute_txid());
    }

    /// The node's word on a transaction that it should not take yet, or no more.
    pub async fn refusal(&self, tx: &Transaction) -> Option<String> {
        let bytes = bitcoin::consensus::serialize(tx);
        match self.node.send_transaction(&bytes).await.unwrap() {
            SendOutcome::Rejected(why) => Some(why),
            SendOutcome::Accepted | SendOutcome::AlreadyKnown => None,
        }
    }

    /// A job on the node's template that pays to locks in equal parts.
    pub async fn job(&self, locks: &[Lock]) -> Job {
        let template = self.node.template(None).await.unwrap();
        let parts = i64::try_from(locks.len()).unwrap();
        let part = template.coinbase_value / parts;
        let mut pay_to: Vec<_> =
            locks.iter().map(|lock| (self.holder.script(*lock).into_bytes(), part)).collect();
        pay_to[0].1 += template.coinbase_value - parts * part;
        job(template, pay_to)
    }

    /// Mines a block with everything expected in it.
    pub async fn mine(&mut self, locks: &[Lock]) -> Mined {
        let mined = self.mine_some(locks).await;
        assert_eq!(self.expected, [], "not in the template of block {}", mined.at.height);
        mined
    }

    /// Mines a block; what was expected may stand in a later one.
    pub async fn mine_some(&mut self, locks: &[Lock]) -> Mined {
        let job = self.job(locks).await;
        let block = solve(&job, &self.params);
        let outcome = self.node.submit_block(&block).await.unwrap();
        assert_eq!(outcome, SubmitOutcome::Accepted, "at {}", job.height());
        let parsed = parse_block(&block, &self.params).unwrap();
        let at = BlockRef { height: job.height(), hash: parsed.hash };
        assert_eq!(self.node.tip().await.unwrap(), at);
        assert_eq!(self.node.block(&at.hash).await.unwrap(), block, "kept byte for byte");
        let is_in = |id: &Txid| job.template().txs.iter().any(|tx| tx.txid == id.to_byte_array());
        self.expected.retain(|id| !is_in(id));
        let outputs = parsed.txs[0].outputs.iter().zip(locks).enumerate();
        let coins = outputs
            .map(|(n, (out, lock))| {
                self.coin(parsed.txs[0].txid, n, out.value.unsigned_abs(), *lock)
            })
            .collect();
        Mined { job, at, coins }
    }

    pub async fn node_height(&self) -> u64 {
        self.node.tip().await.unwrap().height
    }

    pub async fn set_time(&self, secs: u64) {
        self.real.call("setmocktime", json!([secs])).await;
    }
}

/// The coins a transaction makes, for locks in the order of its outputs.
pub fn coins_of(tx: &Transaction, locks: &[Lock]) -> Vec<Coin> {
    let txid = tx.compute_txid();
    let outputs = (0..).zip(&tx.output).zip(locks);
    outputs
        .map(|((vout, out), lock)| Coin {
            point: OutPoint { txid, vout },
            out: out.clone(),
            lock: *lock,
        })
        .collect()
}

pub fn value_of(coins: &[Coin]) -> u64 {
    coins.iter().map(|coin| coin.out.value.to_sat()).sum()
}

/// An output of data that nobody can spend.
pub fn data_output(bytes: usize) -> TxOut {
    let data = bitcoin::script::PushBytesBuf::try_from(vec![0xda; bytes]).unwrap();
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::new_op_return(data) }
}
