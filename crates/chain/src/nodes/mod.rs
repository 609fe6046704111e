//! Several nodes of one chain, used as one.
//!
//! | call | whom it goes to |
//! |---|---|
//! | template, tip, blocks, transactions | the chosen node; the next best when it fails |
//! | a wait for a new tip | all of them: the first that has a higher block becomes the chosen one |
//! | a found block | all of them at once: taken by any is taken |
//!
//! Every node is looked at every [`GroupOptions::look`]: its chain (until it is known), height,
//! peers, whether it still downloads. One that fails is looked at again after a wait that doubles up
//! to [`GroupOptions::back_off_max`].
//!
//! Promises: no node is asked for work before its chain was found to be the configured one; no
//! template comes from a node that is far behind another of ours; a node that dies costs at most the
//! call that finds it dead.
//!
//! What this module must not know: miners, jobs, what a block pays.

pub(crate) mod health;
mod seat;

pub use health::{BEHIND_MAX, NodeHealth, Standing};

use crate::{
    BlockRef, ChainInfo, ChainParams, FeeRate, Node, NodeError, SendOutcome, SubmitOutcome,
    Template, TipNotice, TransactionPlace,
};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed, Duration};
use seat::{Group, Seat};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Most nodes of one lane: each costs a look every few seconds and a copy of every found block.
pub const NODES_MAX: usize = 8;

/// How often nodes are looked at.
#[derive(Clone, Copy, Debug)]
pub struct GroupOptions {
    /// Between two looks at a node that answers.
    pub look: Duration,
    /// The first wait after a failure; it doubles.
    pub back_off_first: Duration,
    /// The longest wait after a failure: a node that is back is used within this time.
    pub back_off_max: Duration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        GroupOptions {
            look: Duration::from_secs(5),
            back_off_first: Duration::from_millis(500),
            back_off_max: Duration::from_secs(20),
        }
    }
}

/// Several nodes of one chain. Dropped, it stops looking at them.
pub struct NodeGroup {
    params: ChainParams,
    group: Arc<Group>,
    options: GroupOptions,
    looking: Vec<JoinHandle<()>>,
}

impl Drop for NodeGroup {
    fn drop(&mut self) {
        self.looking.iter().for_each(JoinHandle::abort);
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, NodeError>> + Send + 'a>>;

impl NodeGroup {
    /// Begins to look at `nodes`, each with a name for people; the first is preferred at the start.
    /// Call it within the runtime, with at least one node (and at most [`NODES_MAX`]), all of the
    /// chain that `params` describe.
    #[must_use]
    pub fn start(
        params: ChainParams,
        nodes: Vec<(String, Arc<dyn Node>)>,
        options: GroupOptions,
    ) -> NodeGroup {
        let seats = nodes.into_iter().map(|(name, node)| Seat::new(name, node)).collect();
        let group = Arc::new(Group::new(seats));
        let looking = (0..group.seats.len())
            .map(|at| tokio::spawn(Arc::clone(&group).keep_looking(at, options)))
            .collect();
        NodeGroup { params, group, options, looking }
    }

    /// How each node stands, in the order of the configuration.
    #[must_use]
    pub fn health(&self) -> Vec<NodeHealth> {
        self.group.health()
    }

    /// Asks the chosen node, and the others in their order while the one before fails.
    async fn on_best<'a, T>(
        &'a self,
        call: impl Fn(&'a dyn Node) -> Answer<'a, T> + Send,
    ) -> Result<T, NodeError> {
        let mut failure = None;
        for at in self.group.in_order() {
            let answer = match self.group.checked(at).await {
                Ok(node) => call(node).await,
                Err(e) => Err(e),
            };
            match answer {
                // That the call itself was wrong, another node would only repeat.
                Err(e) if e.blame() != Blame::Rejected => {
                    self.group.failed(at, &e);
                    failure.get_or_insert(e);
                }
                answer => return answer,
            }
        }
        Err(failure.unwrap_or_else(|| NodeError::NotReady("there is no node".to_owned())))
    }

    /// As [`NodeGroup::on_best`], of nodes that are not far behind.
    async fn fresh_template(&self) -> Result<Template, NodeError> {
        let mut failure = None;
        for at in self.group.in_order() {
            let answer = match self.group.checked(at).await {
                Ok(_) if self.group.is_behind(at) => Err(self.group.behind(at)),
                Ok(node) => node.template(None).await.inspect_err(|e| self.group.failed(at, e)),
                Err(e) => Err(e),
            };
            match answer {
                Ok(template) => {
                    self.group.gave_template(at, template.tip());
                    return Ok(template);
                }
                Err(e) => {
                    failure.get_or_insert(e);
                }
            }
        }
        Err(failure.unwrap_or_else(|| NodeError::NotReady("there is no node".to_owned())))
    }

    /// Long-polls the chosen node, until another one is chosen.
    async fn long_poll(&self, id: &str) -> Result<Template, NodeError> {
        let mut chosen = self.group.chosen.subscribe();
        let at = *chosen.borrow_and_update();
        let node = self.group.checked(at).await?;
        tokio::select! {
            answer = node.template(Some(id)) => {
                let template = answer.inspect_err(|e| self.group.failed(at, e))?;
                self.group.gave_template(at, template.tip());
                Ok(template)
            }
            // The sender lives as long as we do.
            _ = chosen.changed() => self.fresh_template().await,
        }
    }

    /// One round of waiting on all nodes; `None` when another one was chosen meanwhile.
    async fn first_to_tell(&self, known: &BlockRef) -> Option<Option<TipNotice>> {
        let mut chosen = self.group.chosen.subscribe();
        let present = *chosen.borrow_and_update();
        let mut waits = JoinSet::new();
        for at in 0..self.group.seats.len() {
            let wait = Arc::clone(&self.group).higher_tip(at, *known, self.options);
            waits.spawn(async move { (at, wait.await) });
        }
        loop {
            let told = tokio::select! {
                told = waits.join_next() => told,
                _ = chosen.changed() => return None,
            };
            match told {
                Some(Ok((at, Some(notice)))) => {
                    self.group.told(at, notice.tip);
                    return Some(Some(notice));
                }
                Some(Ok((at, None))) if at != present => {}
                // The chosen one tells nothing: it is to be long-polled.
                _ => return Some(None),
            }
        }
    }
}

#[async_trait]
impl Node for NodeGroup {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    /// Whether at least one is of the configured chain.
    async fn check_chain(&self) -> Result<(), NodeError> {
        let mut failure: Option<NodeError> = None;
        let mut is_any = false;
        for at in 0..self.group.seats.len() {
            match self.group.checked(at).await {
                Ok(_) => is_any = true,
                // One that may come yet weighs more than one that never will.
                Err(e) if failure.is_none() || e.blame() == Blame::Transient => failure = Some(e),
                Err(_) => {}
            }
        }
        failure.filter(|_| !is_any).map_or(Ok(()), Err)
    }

    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        if !self.params.foresees_blocks() {
            return Ok(None);
        }
        loop {
            if let Some(told) = self.first_to_tell(known).await {
                return Ok(told);
            }
        }
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        match longpoll {
            None => self.fresh_template().await,
            Some(id) => self.long_poll(id).await,
        }
    }

    async fn submit_block(&self, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        let block: Arc<[u8]> = block.into();
        let (answers_in, mut answers) = mpsc::channel(self.group.seats.len().max(1));
        for at in 0..self.group.seats.len() {
            let (group, block, answers) =
                (Arc::clone(&self.group), Arc::clone(&block), answers_in.clone());
            // Not bound to this call: the others get the block though one has taken it.
            tokio::spawn(async move {
                let answer = group.submit(at, &block).await;
                // Nobody listens any more once a node has taken it.
                let _ = answers.send(answer).await;
            });
        }
        drop(answers_in);
        let (mut refusal, mut failure) = (None, None);
        while let Some(answer) = answers.recv().await {
            match answer {
                Ok(SubmitOutcome::Rejected(why)) => {
                    refusal.get_or_insert(SubmitOutcome::Rejected(why));
                }
                Ok(taken) => return Ok(taken),
                Err(e) if e.blame() == Blame::Transient => failure = Some(e),
                Err(e) => {
                    failure.get_or_insert(e);
                }
            }
        }
        // While one may yet take it, a refusal by another is not the last word.
        match (refusal, failure) {
            (_, Some(e)) if e.blame() == Blame::Transient => Err(e),
            (Some(refusal), _) => Ok(refusal),
            (None, failure) => {
                Err(failure.unwrap_or_else(|| NodeError::NotReady("there is no node".to_owned())))
            }
        }
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.on_best(|node| node.tip()).await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.on_best(|node| node.block_hash(height)).await
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.on_best(|node| node.block(hash)).await
    }

    async fn send_transaction(&self, transaction: &[u8]) -> Result<SendOutcome, NodeError> {
        self.on_best(|node| node.send_transaction(transaction)).await
    }

    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        self.on_best(|node| node.transaction_in_mempool_or_block(txid)).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError> {
        self.on_best(|node| node.fee_rate(blocks)).await
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.on_best(|node| node.info()).await
    }
}

/// Ages are told by a clock that no one sets.
fn age(at: Option<Instant>) -> Option<Duration> {
    at.map(|at| at.elapsed())
}
