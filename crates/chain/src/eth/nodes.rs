//! Several nodes of one account chain, used as one.
//!
//! | call | whom it goes to |
//! |---|---|
//! | work, blocks, balances, prices | the chosen node; the next best when it fails |
//! | a solution, a transaction | all of them at once: taken by any is taken |
//!
//! A solution is known only to the node that made its header. So *no* is an answer only when every
//! node has given one: while one cannot be asked the solution is kept and sent again.
//!
//! Promises: no node is asked for work before its chain was found to be the configured one, and, where
//! it says so, its blocks to pay the house; no work comes from a node that is far behind another of
//! ours or still downloads.
//!
//! What this module must not know: miners, jobs, what a block earns.

use super::{
    AccountAt, AccountNode, EthAddress, EthBlock, EthHeader, EthNode, EthReceipt, EthTransaction,
    NodeWork,
};
use crate::nodes::health::{Heard, choose, highest};
use crate::nodes::{GroupOptions, NodeHealth, Standing};
use crate::{ChainInfo, NodeError, SendOutcome};
use async_trait::async_trait;
use gruve_units::{Blame, Blamed as _, Hashrate, Timestamp};
use ruint::aliases::U256;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// A node that gives work and knows accounts.
pub trait EthFullNode: EthNode + AccountNode {}

impl<N: EthNode + AccountNode> EthFullNode for N {}

/// What a node must be to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EthExpected {
    /// The chain, for people.
    pub title: String,
    /// Its number (EIP-155).
    pub chain_id: u64,
    /// Hashes of blocks by height, as written, that tell it from others of the same number.
    pub blocks: Vec<(u64, [u8; 32])>,
    /// Whom its blocks must pay, where it says whom they pay.
    pub pays: Option<EthAddress>,
}

impl EthExpected {
    /// Whether a node is of the chain, and pays us.
    ///
    /// # Errors
    /// [`NodeError::WrongChain`] when it is another, [`NodeError::PaysElsewhere`] when it pays others,
    /// or the node's.
    pub async fn check(&self, name: &str, node: &dyn EthFullNode) -> Result<(), NodeError> {
        let wrong = |found: String| NodeError::WrongChain {
            host: name.to_owned(),
            found,
            want: format!("{} (chain id {})", self.title, self.chain_id),
        };
        let chain_id = node.chain_id().await?;
        if chain_id != self.chain_id {
            return Err(wrong(format!("chain id {chain_id}")));
        }
        for (height, want) in &self.blocks {
            // A node that is not that far yet says nothing.
            if let Some(found) = node.hash_at(*height).await?.filter(|found| found != want) {
                return Err(wrong(format!("block {height} 0x{}", hex::encode(found))));
            }
        }
        let Some(want) = self.pays else { return Ok(()) };
        match node.pays_to().await? {
            Some(found) if found != want => {
                Err(NodeError::PaysElsewhere { host: name.to_owned(), found, want })
            }
            _ => Ok(()),
        }
    }
}

struct Seat {
    name: String,
    node: Arc<dyn EthFullNode>,
    /// Its chain was found to be ours. Asked again after every failure.
    is_checked: AtomicBool,
}

struct Group {
    expected: EthExpected,
    seats: Vec<Seat>,
    heard: Mutex<Vec<Heard>>,
    work_at: Mutex<Vec<Option<Instant>>>,
    chosen: AtomicUsize,
}

/// Several nodes of one account chain. Dropped, it stops looking at them.
pub struct EthNodeGroup {
    group: Arc<Group>,
    looking: Vec<JoinHandle<()>>,
}

impl Drop for EthNodeGroup {
    fn drop(&mut self) {
        self.looking.iter().for_each(JoinHandle::abort);
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, NodeError>> + Send + 'a>>;

impl Group {
    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        // Every change under the lock is whole.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work_times(&self) -> MutexGuard<'_, Vec<Option<Instant>>> {
        self.work_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chosen node, then the others from the best to the worst.
    fn in_order(&self) -> Vec<usize> {
        let heard = self.heard();
        let (highest, chosen) = (highest(&heard), self.chosen.load(Ordering::Relaxed));
        let mut order: Vec<usize> = (0..self.seats.len()).collect();
        order.sort_by_key(|&at| {
            (at != chosen, std::cmp::Reverse((heard[at].standing(highest), heard[at].height)), at)
        });
        order
    }

    fn standing(&self, at: usize) -> Standing {
        let heard = self.heard();
        heard[at].standing(highest(&heard))
    }

    async fn checked(&self, at: usize) -> Result<&dyn EthFullNode, NodeError> {
        let seat = &self.seats[at];
        if !seat.is_checked.load(Ordering::Acquire) {
            self.look(at).await?;
        }
        Ok(seat.node.as_ref())
    }

    async fn look(&self, at: usize) -> Result<(), NodeError> {
        let seat = &self.seats[at];
        let node = seat.node.as_ref();
        let looking = async {
            if !seat.is_checked.load(Ordering::Acquire) {
                self.expected.check(&seat.name, node).await?;
            }
            let blocks = node.height().await?;
            Ok(ChainInfo {
                chain: String::new(),
                blocks,
                headers: blocks,
                ibd: node.is_syncing().await?,
                difficulty: 0.0,
                // One that does not say has some as far as we know.
                peers: node.peers().await?.unwrap_or(1),
            })
        };
        match looking.await {
            Ok(info) => {
                seat.is_checked.store(true, Ordering::Release);
                self.change(at, |heard| heard.info(&info));
                Ok(())
            }
            Err(e) => {
                self.failed(at, &e);
                Err(e)
            }
        }
    }

    /// A node did not do what was asked. That it refused one call says nothing of the next.
    fn failed(&self, at: usize, error: &NodeError) {
        if matches!(error, NodeError::Rpc { .. } | NodeError::BadBlock { .. }) {
            return;
        }
        self.seats[at].is_checked.store(false, Ordering::Release);
        self.change(at, |heard| heard.failure(error));
    }

    /// Notes something of one node, chooses anew, and tells the log what changed.
    fn change(&self, at: usize, note: impl FnOnce(&mut Heard)) {
        let mut all = self.heard();
        let before = all[at].standing(highest(&all));
        note(&mut all[at]);
        let (after, problem) = (all[at].standing(highest(&all)), all[at].problem.clone());
        let present = self.chosen.load(Ordering::Relaxed);
        let chosen = choose(&all, present);
        self.chosen.store(chosen, Ordering::Relaxed);
        drop(all);
        let name = &self.seats[at].name;
        match (before == after, after) {
            (true, _) => {}
            (false, Standing::Ready) => tracing::info!(node = name, "the node is ready"),
            (false, Standing::Unusable) => {
                tracing::error!(node = name, problem, "the node cannot be used");
            }
            (false, other) => {
                let standing = other.name();
                tracing::warn!(node = name, standing, problem, "the node is not ready");
            }
        }
        if chosen != present {
            tracing::info!(node = self.seats[chosen].name, "work comes from another node now");
        }
    }

    async fn keep_looking(self: Arc<Self>, at: usize, options: GroupOptions) {
        let mut back_off = options.back_off_first;
        loop {
            let wait = match self.look(at).await {
                Ok(()) => {
                    back_off = options.back_off_first;
                    options.look
                }
                Err(_) => {
                    let wait = back_off;
                    back_off = (back_off * 2).min(options.back_off_max);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }
}

impl EthNodeGroup {
    /// Begins to look at `nodes`, each with a name for people; the first is preferred at the start.
    /// Call it within the runtime, with 1 to [`crate::NODES_MAX`] nodes.
    #[must_use]
    pub fn start(
        expected: EthExpected,
        nodes: Vec<(String, Arc<dyn EthFullNode>)>,
        options: GroupOptions,
    ) -> EthNodeGroup {
        let is_new = || AtomicBool::new(false);
        let seats: Vec<Seat> = nodes
            .into_iter()
            .map(|(name, node)| Seat { name, node, is_checked: is_new() })
            .collect();
        let count = seats.len();
        let group = Arc::new(Group {
            expected,
            seats,
            heard: Mutex::new(vec![Heard::default(); count]),
            work_at: Mutex::new(vec![None; count]),
            chosen: AtomicUsize::new(0),
        });
        let looking = (0..count)
            .map(|at| tokio::spawn(Arc::clone(&group).keep_looking(at, options)))
            .collect();
        EthNodeGroup { group, looking }
    }

    /// How each node stands, in the order of the configuration.
    #[must_use]
    pub fn health(&self) -> Vec<NodeHealth> {
        let heard = self.group.heard().clone();
        let (highest, chosen) = (highest(&heard), self.group.chosen.load(Ordering::Relaxed));
        let times = self.group.work_times().clone();
        let seats = self.group.seats.iter().zip(heard).zip(times).enumerate();
        seats
            .map(|(at, ((seat, heard), work_at))| NodeHealth {
                name: seat.name.clone(),
                standing: heard.standing(highest),
                is_chosen: at == chosen,
                height: heard.height,
                headers: heard.headers,
                peers: heard.peers,
                template_age: work_at.map(|at| at.elapsed()),
                failures: heard.failures,
                problem: heard.problem,
            })
            .collect()
    }

    /// Whether at least one node is of the chain and pays us.
    ///
    /// # Errors
    /// Why none is; one that may come yet weighs more than one that never will.
    pub async fn check_chain(&self) -> Result<(), NodeError> {
        let mut failure: Option<NodeError> = None;
        for at in 0..self.group.seats.len() {
            match self.group.checked(at).await {
                Ok(_) => return Ok(()),
                Err(e) if failure.is_none() || e.blame() == Blame::Transient => failure = Some(e),
                Err(_) => {}
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Asks the chosen node, and the others in their order while the one before fails.
    async fn on_best<'a, T>(
        &'a self,
        call: impl Fn(&'a dyn EthFullNode) -> Answer<'a, T> + Send,
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
        Err(failure.unwrap_or_else(nobody))
    }

    /// Tells every node at once; the answers as they come.
    fn on_all<T: Send + 'static>(
        &self,
        call: impl Fn(Arc<dyn EthFullNode>) -> Answer<'static, T>,
    ) -> JoinSet<Result<T, NodeError>> {
        let mut calls = JoinSet::new();
        let usable = |at: &usize| self.group.standing(*at) != Standing::Unusable;
        for at in (0..self.group.seats.len()).filter(usable) {
            let answer = call(Arc::clone(&self.group.seats[at].node));
            let group = Arc::clone(&self.group);
            calls.spawn(async move { answer.await.inspect_err(|e| group.failed(at, e)) });
        }
        calls
    }
}

fn nobody() -> NodeError {
    NodeError::NotReady("there is no node".to_owned())
}

#[async_trait]
impl EthNode for EthNodeGroup {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        let mut failure = None;
        for at in self.group.in_order() {
            let answer = match self.group.checked(at).await {
                Ok(_) if self.group.standing(at) < Standing::Ready => {
                    let (name, standing) = (&self.group.seats[at].name, self.group.standing(at));
                    Err(NodeError::NotReady(format!("{name} is {}", standing.name())))
                }
                Ok(node) => node.get_work().await.inspect_err(|e| {
                    // That it has no work yet does not make it a bad node for everything else.
                    if !matches!(e, NodeError::NotReady(_)) {
                        self.group.failed(at, e);
                    }
                }),
                Err(e) => Err(e),
            };
            match answer {
                Ok(work) => {
                    self.group.work_times()[at] = Some(Instant::now());
                    return Ok(work);
                }
                Err(e) => {
                    failure.get_or_insert(e);
                }
            }
        }
        Err(failure.unwrap_or_else(nobody))
    }

    /// Of any of them: the first that has a block is the one that the others soon follow.
    async fn news(&self) {
        let all = self.group.seats.iter().map(|seat| seat.node.news());
        futures_util::future::select_all(all).await;
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        self.on_best(|n| n.pending_time()).await
    }

    /// On all of them: work may come from any. Yes only where each that can be used has taken it.
    async fn set_extra(&self, words: &str) -> Result<bool, NodeError> {
        let words: Arc<str> = words.into();
        let mut answers = self.on_all(move |node| {
            let words = Arc::clone(&words);
            Box::pin(async move { node.set_extra(&words).await })
        });
        let mut all = !answers.is_empty();
        while let Some(answer) = answers.join_next().await {
            all &= answer.unwrap_or_else(|_| Err(nobody()))?;
        }
        Ok(all)
    }

    async fn pending_header(&self) -> Result<Option<EthHeader>, NodeError> {
        self.on_best(|n| n.pending_header()).await
    }

    async fn submit_work(
        &self,
        nonce: u64,
        header_hash: &[u8; 32],
        mix_hash: &[u8; 32],
    ) -> Result<bool, NodeError> {
        let (header, mix) = (*header_hash, *mix_hash);
        let mut answers = self.on_all(move |node| {
            Box::pin(async move { node.submit_work(nonce, &header, &mix).await })
        });
        let mut failure = None;
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok(Ok(true)) => {
                    // The others are told to the end, though one has taken it.
                    answers.detach_all();
                    return Ok(true);
                }
                Ok(Ok(false)) => {}
                Ok(Err(e)) => failure = Some(e),
                Err(_) => failure = Some(nobody()),
            }
        }
        let standings = || (0..self.group.seats.len()).map(|at| self.group.standing(at));
        // One that is not used has no say; where there is no other, nobody was asked.
        let is_unasked = standings().any(|s| s == Standing::Down)
            || standings().all(|s| s == Standing::Unusable);
        let unasked = is_unasked.then(nobody);
        failure.or(unasked).map_or(Ok(false), Err)
    }

    async fn submit_hashrate(&self, rate: Hashrate, id: &[u8; 32]) -> Result<bool, NodeError> {
        let id = *id;
        self.on_best(move |n| Box::pin(async move { n.submit_hashrate(rate, &id).await })).await
    }
}

#[async_trait]
impl AccountNode for EthNodeGroup {
    async fn chain_id(&self) -> Result<u64, NodeError> {
        Ok(self.group.expected.chain_id)
    }

    async fn height(&self) -> Result<u64, NodeError> {
        self.on_best(|n| n.height()).await
    }

    async fn is_syncing(&self) -> Result<bool, NodeError> {
        self.on_best(|n| n.is_syncing()).await
    }

    async fn peers(&self) -> Result<Option<u64>, NodeError> {
        self.on_best(|n| n.peers()).await
    }

    async fn block_at(&self, height: u64) -> Result<Option<EthBlock>, NodeError> {
        self.on_best(move |n| n.block_at(height)).await
    }

    async fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.on_best(move |n| n.hash_at(height)).await
    }

    async fn block(&self, hash: &[u8; 32]) -> Result<Option<EthBlock>, NodeError> {
        let hash = *hash;
        self.on_best(move |n| Box::pin(async move { n.block(&hash).await })).await
    }

    async fn uncle(
        &self,
        block_hash: &[u8; 32],
        index: usize,
    ) -> Result<Option<(EthHeader, [u8; 32])>, NodeError> {
        let hash = *block_hash;
        self.on_best(move |n| Box::pin(async move { n.uncle(&hash, index).await })).await
    }

    async fn receipt(&self, transaction: &[u8; 32]) -> Result<Option<EthReceipt>, NodeError> {
        let hash = *transaction;
        self.on_best(move |n| Box::pin(async move { n.receipt(&hash).await })).await
    }

    async fn balance(&self, account: &EthAddress, at: AccountAt) -> Result<U256, NodeError> {
        let account = *account;
        self.on_best(move |n| Box::pin(async move { n.balance(&account, at).await })).await
    }

    async fn transaction_count(
        &self,
        account: &EthAddress,
        at: AccountAt,
    ) -> Result<u64, NodeError> {
        let account = *account;
        self.on_best(move |n| Box::pin(async move { n.transaction_count(&account, at).await }))
            .await
    }

    async fn pending(&self) -> Result<Option<Vec<EthTransaction>>, NodeError> {
        // Of the chosen one alone: that it shows no such block says nothing of its others.
        let at = self.group.chosen.load(Ordering::Relaxed);
        self.group.checked(at).await?.pending().await
    }

    /// Taken by any is taken; refused only where nobody takes it and all have answered.
    async fn send_transaction(&self, raw: &[u8]) -> Result<SendOutcome, NodeError> {
        let raw: Arc<[u8]> = raw.into();
        let mut answers = self.on_all(move |node| {
            let raw = Arc::clone(&raw);
            Box::pin(async move { node.send_transaction(&raw).await })
        });
        let (mut known, mut refused, mut failure) = (false, None, None);
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok(Ok(SendOutcome::Accepted)) => {
                    answers.detach_all();
                    return Ok(SendOutcome::Accepted);
                }
                Ok(Ok(SendOutcome::AlreadyKnown)) => known = true,
                Ok(Ok(SendOutcome::Rejected(why))) => refused = Some(why),
                Ok(Err(e)) => failure = Some(e),
                Err(_) => failure = Some(nobody()),
            }
        }
        if known {
            return Ok(SendOutcome::AlreadyKnown);
        }
        match (failure, refused) {
            (None, Some(why)) => Ok(SendOutcome::Rejected(why)),
            (Some(e), _) => Err(e),
            (None, None) => Err(nobody()),
        }
    }

    async fn gas_price(&self) -> Result<U256, NodeError> {
        self.on_best(|n| n.gas_price()).await
    }

    async fn next_base_fee(&self) -> Result<Option<U256>, NodeError> {
        self.on_best(|n| n.next_base_fee()).await
    }

    async fn pays_to(&self) -> Result<Option<EthAddress>, NodeError> {
        self.on_best(|n| n.pays_to()).await
    }
}
