//! What a gateway needs around it and what a measurement must not depend on: a node, stamps, logins.

use crate::template::{self, tip_hash};
use async_trait::async_trait;
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, NetworkName, Node, NodeError, SendOutcome,
    SubmitOutcome, Template, TemplateTx, TransactionPlace, params_for,
};
use gruve_pow::sha256d;
use gruve_sharelog::Owner;
use gruve_stratum::{Authorized, Machines, Refused, Stamps};
use gruve_units::{AccountId, Asset, Clock, EpochNumber, LaneId, MachineId, SystemClock};
use tokio::sync::watch;

/// A node that has a full template in hand and whose tip moves when it is told to.
pub(crate) struct StandInNode {
    params: ChainParams,
    tip: watch::Sender<u64>,
    txs: Vec<TemplateTx>,
}

impl StandInNode {
    /// `None` when the table of chains has no Bitcoin.
    pub(crate) fn new() -> Option<StandInNode> {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).ok()?;
        let txs = template::template(0, 0).txs;
        Some(StandInNode { params, tip: watch::Sender::new(0), txs })
    }

    /// Somebody else found a block.
    pub(crate) fn move_tip(&self) {
        self.tip.send_modify(|tip| *tip += 1);
    }

    fn reference(tip: u64) -> BlockRef {
        BlockRef { height: 800_000 + tip, hash: tip_hash(tip) }
    }
}

const NOT_HERE: &str = "the stand-in node only gives templates";

#[async_trait]
impl Node for StandInNode {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        let known: Option<u64> = longpoll.and_then(|id| id.parse().ok());
        let mut tips = self.tip.subscribe();
        let gone = |_| NodeError::NotReady("gone".to_owned());
        let tip = *tips.wait_for(|tip| known != Some(*tip)).await.map_err(gone)?;
        let time = u32::try_from(SystemClock.now().secs()).unwrap_or(u32::MAX);
        Ok(template::of(tip, time, self.txs.clone()))
    }

    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        Ok(SubmitOutcome::Rejected(NOT_HERE.to_owned()))
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        Ok(Self::reference(*self.tip.borrow()))
    }

    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        Ok(None)
    }

    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        Err(NodeError::NotReady(NOT_HERE.to_owned()))
    }

    async fn send_transaction(&self, _: &[u8]) -> Result<SendOutcome, NodeError> {
        Ok(SendOutcome::Rejected(NOT_HERE.to_owned()))
    }

    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        Ok(TransactionPlace::Unknown)
    }

    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        Ok(None)
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        Err(NodeError::NotReady(NOT_HERE.to_owned()))
    }
}

/// One commitment for all epochs.
pub(crate) struct OneStamp;

impl Stamps for OneStamp {
    fn stamp(&self, _: &LaneId, epoch: EpochNumber) -> (EpochNumber, [u8; 32]) {
        (epoch.back(2), [0xcd; 32])
    }
}

/// Lets everybody in: `house.…` for the house, others for the account of that name.
pub(crate) struct Everybody;

#[async_trait]
impl Machines for Everybody {
    async fn authorize(&self, _: &LaneId, user: &str, _: &str) -> Result<Authorized, Refused> {
        let owner = match user.split('.').next() {
            Some("house") => Owner::House,
            name => Owner::Account(AccountId::from_bytes(id_of(name.unwrap_or_default()))),
        };
        Ok(Authorized { owner, machine: MachineId::from_bytes(id_of(user)) })
    }
}

fn id_of(name: &str) -> [u8; 16] {
    let hash = sha256d(name.as_bytes());
    std::array::from_fn(|i| hash[i])
}
