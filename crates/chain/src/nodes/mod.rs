//! Several nodes of one chain, used as one.
//!
//! | call | whom it goes to |
//! |---|---|
//! | template, tip, blocks, transactions | the chosen node; the next best when it fails |
//! | a wait for a new tip | all of them: the first that has a higher block becomes the chosen one |
//! | a found block | all of them at once: taken by any is taken |
//!
//! Every node is looked at every [`GroupOptions::look`]: its chain (until it is known), height,
//! peers, whether it still downloads. One that fails, or does not answer within
//! [`GroupOptions::look_within`], is looked at again after a wait that doubles up to
//! [`GroupOptions::back_off_max`].
//!
//! A node may also be alive and silent (stopped, swapping, its disk gone). When it has not answered
//! a call within [`GroupOptions::patience`], the next one is asked beside it; the first good answer
//! counts, and who was asked before and is still silent is passed over until a look finds it
//! answering. A call to the last node left has the client's own time.
//!
//! Promises: no node is asked for work before its chain was found to be the configured one; no
//! template comes from a node that is far behind another of ours; a node that dies costs at most the
//! call that finds it dead, one that falls silent [`GroupOptions::patience`] once.
//!
//! What this module must not know: miners, jobs, what a block pays.

pub(crate) mod health;
mod seat;

pub use health::{BEHIND_MAX, NodeHealth, Standing};

use crate::{
    BlockRef, ChainCoin, ChainInfo, ChainParams, FeeRate, Node, NodeCoins, NodeError, SendOutcome,
    SubmitOutcome, Template, TipNotice, TransactionPlace,
};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed, Duration};
use seat::{Group, Seat};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Most nodes of one lane: each costs a look every few seconds and a copy of every found block.
pub const NODES_MAX: usize = 8;

/// How often nodes are looked at, and how long they are waited for.
#[derive(Clone, Copy, Debug)]
pub struct GroupOptions {
    /// Between two looks at a node that answers.
    pub look: Duration,
    /// The first wait after a failure; it doubles.
    pub back_off_first: Duration,
    /// The longest wait after a failure: a node that is back is used within this time.
    pub back_off_max: Duration,
    /// How long a look may take: a few small calls.
    pub look_within: Duration,
    /// How long a node is waited for before the next one is asked as well. A template of a busy
    /// node takes up to a second.
    pub patience: Duration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        GroupOptions {
            look: Duration::from_secs(5),
            back_off_first: Duration::from_millis(500),
            back_off_max: Duration::from_secs(20),
            look_within: Duration::from_secs(8),
            patience: Duration::from_secs(2),
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
        let group = Arc::new(Group::new(seats, options.look_within));
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

    /// Asks the chosen node, and the others in their order while the ones before fail or are silent.
    async fn on_best<'a, T>(
        &'a self,
        method: &'static str,
        call: impl Fn(&'a dyn Node) -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T, NodeError> {
        let call = Arc::new(call);
        let ask = |at: usize| -> Answer<'a, T> {
            let call = Arc::clone(&call);
            Box::pin(async move { call(self.group.checked(at).await?).await })
        };
        // That the call itself was wrong, another node would only repeat.
        let is_final = |e: &NodeError| e.blame() == Blame::Rejected;
        self.hedged(method, ask, is_final).await.map(|(_, answer)| answer)
    }

    /// As [`NodeGroup::on_best`], of nodes that are not far behind.
    async fn fresh_template(&self) -> Result<Template, NodeError> {
        let ask = |at: usize| -> Answer<'_, Template> {
            Box::pin(async move {
                let node = self.group.checked(at).await?;
                // What was heard of it may be a few seconds old, and the others on by then.
                if self.group.is_behind(at) {
                    self.group.look(at).await?;
                }
                if self.group.is_behind(at) {
                    return Err(self.group.behind(at));
                }
                node.template(None).await
            })
        };
        let (at, template) = self.hedged("getblocktemplate", ask, |_| false).await?;
        self.group.gave_template(at, template.tip());
        Ok(template)
    }

    /// The chosen node, once its chain is known to be ours.
    async fn chosen(&self) -> Result<&dyn Node, NodeError> {
        let at = *self.group.chosen.borrow();
        self.group.checked(at).await
    }

    /// Asks one node after the other, the next one as soon as those before have failed or been silent
    /// for too long; gives the first good answer and whose it is.
    async fn hedged<'a, T>(
        &'a self,
        method: &'static str,
        ask: impl Fn(usize) -> Answer<'a, T>,
        is_final: impl Fn(&NodeError) -> bool,
    ) -> Result<(usize, T), NodeError> {
        let patience = self.options.patience;
        let mut order = self.group.in_order().into_iter();
        let (mut waiting, mut failure) = (Vec::new(), None);
        loop {
            if let Some(at) = order.next() {
                waiting.push((at, ask(at)));
            } else if waiting.is_empty() {
                break;
            }
            while !waiting.is_empty() {
                let (at, answer) = if order.len() == 0 {
                    first_answer(&mut waiting).await
                } else {
                    match tokio::time::timeout(patience, first_answer(&mut waiting)).await {
                        Ok(answered) => answered,
                        Err(_) => break,
                    }
                };
                match answer {
                    Ok(answer) => {
                        for (silent, _) in &waiting {
                            self.group.was_silent(*silent, at, method, patience);
                        }
                        return Ok((at, answer));
                    }
                    Err(e) if is_final(&e) => return Err(e),
                    Err(e) => {
                        // That it is behind, or in its first sync, was seen before it was asked.
                        if !matches!(e, NodeError::NotReady(_)) || !self.group.is_catching_up(at) {
                            self.group.failed(at, &e);
                        }
                        failure.get_or_insert(e);
                    }
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
        // While one has not judged it, a refusal by another is not the last word.
        match (failure, refusal) {
            (Some(e), _) => Err(e),
            (None, Some(refusal)) => Ok(refusal),
            (None, None) => Err(NodeError::NotReady("there is no node".to_owned())),
        }
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.on_best("getblockchaininfo", |node| node.tip()).await
    }

    async fn block_hash(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.on_best("getblockhash", move |node| node.block_hash(height)).await
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        self.on_best("getblock", move |node| node.block(hash)).await
    }

    async fn send_transaction(&self, transaction: &[u8]) -> Result<SendOutcome, NodeError> {
        self.on_best("sendrawtransaction", move |node| node.send_transaction(transaction)).await
    }

    async fn transaction_in_mempool_or_block(
        &self,
        txid: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        self.on_best("getrawtransaction", move |node| node.transaction_in_mempool_or_block(txid))
            .await
    }

    /// Of the chosen one alone: a pool is that node's own, and one that fails to tell it is no worse for work and blocks.
    async fn pool(&self) -> Result<Option<Vec<[u8; 32]>>, NodeError> {
        self.chosen().await?.pool().await
    }

    async fn pool_transaction(&self, txid: &[u8; 32]) -> Result<Option<Vec<u8>>, NodeError> {
        self.chosen().await?.pool_transaction(txid).await
    }

    async fn coin_is_unspent(&self, txid: &[u8; 32], vout: u32) -> Result<Option<bool>, NodeError> {
        self.on_best("gettxout", move |node| node.coin_is_unspent(txid, vout)).await
    }

    async fn chain_coin(&self, txid: &[u8; 32], vout: u32) -> Result<ChainCoin, NodeError> {
        self.on_best("gettxout", move |node| node.chain_coin(txid, vout)).await
    }

    /// Of the chosen one alone: it takes minutes, and others would be asked meanwhile.
    async fn coins_of(&self, scripts: &[Vec<u8>]) -> Result<Option<NodeCoins>, NodeError> {
        self.chosen().await?.coins_of(scripts).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<Option<FeeRate>, NodeError> {
        self.on_best("estimatesmartfee", move |node| node.fee_rate(blocks)).await
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.on_best("getblockchaininfo", |node| node.info()).await
    }
}

/// The first of several answers, and whose it is; never, when nobody was asked.
async fn first_answer<T>(
    waiting: &mut Vec<(usize, Answer<'_, T>)>,
) -> (usize, Result<T, NodeError>) {
    std::future::poll_fn(|context| {
        for i in 0..waiting.len() {
            if let Poll::Ready(answer) = waiting[i].1.as_mut().poll(context) {
                let (at, _) = waiting.remove(i);
                return Poll::Ready((at, answer));
            }
        }
        Poll::Pending
    })
    .await
}

/// Ages are told by a clock that no one sets.
fn age(at: Option<Instant>) -> Option<Duration> {
    at.map(|at| at.elapsed())
}
