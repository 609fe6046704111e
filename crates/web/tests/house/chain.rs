//! The chains of the test's house: their blocks are made by hand, and followed as the house follows a node's.

use super::{House, Lane};
use async_trait::async_trait;
use bitcoin::hashes::Hash;
use gruve_chain::walk::{LeanBlock, LeanOutput, LeanTx};
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, Node, NodeError, SendOutcome, SubmitOutcome,
    Template, TransactionPlace, script_for_address,
};
use gruve_market::{MarketError, RewardSeen};
use gruve_store::{StoreError, transact};
use gruve_treasury::TreasuryError;
use gruve_units::{Amount, Blame, Blamed, Clock};
use std::sync::{Arc, Mutex};

pub(super) struct Chain {
    pub(super) height: u64,
    pub(super) tip: [u8; 32],
    pub(super) waiting: Vec<LeanTx>,
}

/// A node that only takes transactions: blocks are handed to the house by the test.
pub(super) struct QuietNode {
    pub(super) params: ChainParams,
    pub(super) sent: Mutex<Vec<Vec<u8>>>,
    pub(super) chain: Arc<Mutex<Chain>>,
}

fn quiet<T>() -> Result<T, NodeError> {
    Err(NodeError::NotReady("a test's node".into()))
}

#[async_trait]
impl Node for QuietNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }
    async fn template(&self, _: Option<&str>) -> Result<Template, NodeError> {
        quiet()
    }
    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        quiet()
    }
    async fn tip(&self) -> Result<BlockRef, NodeError> {
        let chain = self.chain.lock().unwrap();
        Ok(BlockRef { height: chain.height, hash: chain.tip })
    }
    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        quiet()
    }
    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        quiet()
    }
    async fn send_transaction(&self, bytes: &[u8]) -> Result<SendOutcome, NodeError> {
        self.sent.lock().unwrap().push(bytes.to_vec());
        Ok(SendOutcome::Accepted)
    }
    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        Ok(TransactionPlace::Unknown)
    }
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        Ok(Some(self.chain.lock().unwrap().waiting.iter().map(|t| t.txid).collect()))
    }
    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        let chain = self.chain.lock().unwrap();
        Ok(chain.waiting.iter().find(|t| t.txid == *txid).map(written))
    }
    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(Some(FeeRate { minor_per_kvb: 2_000 }))
    }
    async fn info(&self) -> Result<ChainInfo, NodeError> {
        quiet()
    }
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Market(#[from] MarketError),
    #[error(transparent)]
    Treasury(#[from] TreasuryError),
}

impl Blamed for FollowError {
    fn blame(&self) -> Blame {
        match self {
            FollowError::Store(e) => e.blame(),
            FollowError::Market(e) => e.blame(),
            FollowError::Treasury(e) => e.blame(),
        }
    }
}

impl House {
    /// A block on a lane's chain with all that waits; `ours` pays its reward to the house.
    pub async fn block(&self, lane: &Lane, ours: bool) -> [u8; 32] {
        let hash = self.unique();
        let (height, prev, waiting) = {
            let mut chain = lane.chain.lock().unwrap();
            chain.height += 1;
            let prev = std::mem::replace(&mut chain.tip, hash);
            (chain.height, prev, std::mem::take(&mut chain.waiting))
        };
        let script =
            if ours { self.treasury.coinbase_script(lane.asset).unwrap() } else { vec![0x51] };
        let coinbase = LeanTx {
            txid: self.unique(),
            coinbase: true,
            hogex: false,
            inputs: Vec::new(),
            outputs: vec![LeanOutput { value: 5_000_000_000, script }],
        };
        let txs = std::iter::once(coinbase).chain(waiting).collect();
        let time = u32::try_from(self.clock.now().secs()).unwrap();
        let block = LeanBlock { header: [0; 80], hash, prev, time, bits: 0, txs };
        let done: Result<(), FollowError> = transact!(self.store, tx -> Result<(), FollowError> => {
            let effects = self.treasury.connect_block(tx, lane.asset, height, &block).await?;
            for r in effects.rewards {
                let seen = RewardSeen {
                    block_hash: r.block_hash,
                    height: r.height,
                    amount: r.value,
                    block_time: r.block_time,
                };
                self.market.reward_seen(tx, &lane.id, seen).await?;
            }
            Ok(self.market.chain_height(tx, &lane.id, height).await?)
        });
        done.unwrap();
        hash
    }

    /// Pays an amount to an address: it stands in the lane's next block.
    pub fn pay(&self, lane: &Lane, address: &str, amount: Amount) {
        let script = script_for_address(&lane.params, address).unwrap();
        let tx = LeanTx {
            txid: self.unique(),
            coinbase: false,
            hogex: false,
            inputs: vec![(self.unique(), 0)],
            outputs: vec![LeanOutput { value: amount.minor, script }],
        };
        lane.chain.lock().unwrap().waiting.push(tx);
    }

    /// An address of somebody outside.
    pub fn stranger(&self, lane: &Lane) -> String {
        let mut script = vec![0, 20];
        script.extend(&self.unique()[..20]);
        gruve_chain::address_for_script(&lane.params, &script).unwrap()
    }

    /// What the payer sent goes into the lane's next block.
    pub async fn pay_out(&self, lane: &Lane) {
        self.payer.step().await.unwrap();
        for bytes in std::mem::take(&mut *lane.node.sent.lock().unwrap()) {
            let tx = lean(&bytes);
            lane.chain.lock().unwrap().waiting.push(tx);
        }
        self.block(lane, false).await;
    }
}

/// A waiting transaction's outputs in the form that nodes write, behind an input of no matter.
fn written(tx: &LeanTx) -> Vec<u8> {
    let output = |o: &LeanOutput| bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(o.value.unsigned_abs()),
        script_pubkey: bitcoin::ScriptBuf::from_bytes(o.script.clone()),
    };
    bitcoin::consensus::serialize(&bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn::default()],
        output: tx.outputs.iter().map(output).collect(),
    })
}

/// What the follower keeps of a transaction.
fn lean(bytes: &[u8]) -> LeanTx {
    let tx: bitcoin::Transaction = bitcoin::consensus::deserialize(bytes).unwrap();
    LeanTx {
        txid: tx.compute_txid().to_byte_array(),
        coinbase: false,
        hogex: false,
        inputs: tx
            .input
            .iter()
            .map(|i| (i.previous_output.txid.to_byte_array(), i.previous_output.vout))
            .collect(),
        outputs: tx
            .output
            .iter()
            .map(|o| LeanOutput {
                value: i64::try_from(o.value.to_sat()).unwrap(),
                script: o.script_pubkey.to_bytes(),
            })
            .collect(),
    }
}
