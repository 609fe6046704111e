//! Several nodes as one: which is asked, what a death costs, and whose word on a block counts.
#![allow(clippy::unwrap_used, missing_docs)]

use async_trait::async_trait;
use gruve_chain::{
    BlockRef, ChainInfo, ChainParams, FeeRate, GroupOptions, NetworkName, Node, NodeError,
    NodeGroup, SendOutcome, Standing, SubmitOutcome, Template, TipNotice, TransactionPlace,
    params_for,
};
use gruve_units::{Asset, Blame, Blamed, Duration};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const BITS: u32 = 0x207f_ffff;

fn block(height: u64) -> BlockRef {
    BlockRef { height, hash: [u8::try_from(height).unwrap(); 32] }
}

/// A node that stands where a test puts it.
struct Stand {
    params: ChainParams,
    tip: watch::Sender<BlockRef>,
    is_up: watch::Sender<bool>,
    is_foreign: AtomicBool,
    is_downloading: AtomicBool,
    tells: AtomicBool,
    cannot_write: AtomicBool,
    verdict: Mutex<SubmitOutcome>,
    blocks: AtomicUsize,
    templates: AtomicUsize,
}

impl Stand {
    fn at(height: u64) -> Arc<Stand> {
        Arc::new(Stand {
            params: params_for(Asset::Btc, NetworkName::Regtest).unwrap(),
            tip: watch::Sender::new(block(height)),
            is_up: watch::Sender::new(true),
            is_foreign: AtomicBool::new(false),
            is_downloading: AtomicBool::new(false),
            tells: AtomicBool::new(true),
            cannot_write: AtomicBool::new(false),
            verdict: Mutex::new(SubmitOutcome::Accepted),
            blocks: AtomicUsize::new(0),
            templates: AtomicUsize::new(0),
        })
    }

    fn check_up(&self) -> Result<(), NodeError> {
        if *self.is_up.borrow() {
            return Ok(());
        }
        Err(NodeError::Unreachable { host: "stand-in".into(), problem: "down".into() })
    }

    /// Waits for another tip than the known one, or for the end.
    async fn another(&self, known: [u8; 32]) -> Result<BlockRef, NodeError> {
        let (mut tip, mut up) = (self.tip.subscribe(), self.is_up.subscribe());
        tokio::select! {
            found = tip.wait_for(|t| t.hash != known) => Ok(*found.unwrap()),
            _ = up.wait_for(|up| !up) => Err(self.check_up().unwrap_err()),
        }
    }
}

#[async_trait]
impl Node for Stand {
    fn params(&self) -> &ChainParams {
        &self.params
    }

    async fn check_chain(&self) -> Result<(), NodeError> {
        self.check_up()?;
        let (host, found, want) = ("stand-in".into(), "other".into(), "this".into());
        let wrong = NodeError::WrongChain { host, found, want };
        if self.is_foreign.load(Ordering::SeqCst) { Err(wrong) } else { Ok(()) }
    }

    async fn next_tip(&self, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
        if !self.tells.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.check_up()?;
        let tip = self.another(known.hash).await?;
        Ok(Some(TipNotice { tip, bits: BITS, median_time: 1 }))
    }

    async fn template(&self, longpoll: Option<&str>) -> Result<Template, NodeError> {
        self.check_up()?;
        if let Some(id) = longpoll {
            self.another(hex::decode(id).unwrap().try_into().unwrap()).await?;
        }
        self.templates.fetch_add(1, Ordering::SeqCst);
        if self.is_downloading.load(Ordering::SeqCst) {
            return Err(NodeError::NotReady("in initial sync".into()));
        }
        let tip = *self.tip.borrow();
        Ok(Template {
            height: tip.height + 1,
            prev_hash: tip.hash,
            version: 4,
            bits: BITS,
            min_time: 1,
            cur_time: 2,
            coinbase_value: 1,
            txs: Vec::new(),
            witness_commitment: None,
            mweb: None,
            longpoll_id: Some(hex::encode(tip.hash)),
        })
    }

    async fn submit_block(&self, _: &[u8]) -> Result<SubmitOutcome, NodeError> {
        self.check_up()?;
        if self.cannot_write.load(Ordering::SeqCst) {
            let message = "Database error".to_owned();
            return Err(NodeError::Rpc { method: "submitblock", code: -20, message });
        }
        self.blocks.fetch_add(1, Ordering::SeqCst);
        Ok(self.verdict.lock().unwrap().clone())
    }

    async fn tip(&self) -> Result<BlockRef, NodeError> {
        self.check_up()?;
        Ok(*self.tip.borrow())
    }

    async fn block_hash(&self, _: u64) -> Result<Option<[u8; 32]>, NodeError> {
        unreachable!("not asked here")
    }

    async fn block(&self, _: &[u8; 32]) -> Result<Vec<u8>, NodeError> {
        unreachable!("not asked here")
    }

    async fn send_transaction(&self, _: &[u8]) -> Result<SendOutcome, NodeError> {
        unreachable!("not asked here")
    }

    async fn transaction_in_mempool_or_block(
        &self,
        _: &[u8; 32],
    ) -> Result<TransactionPlace, NodeError> {
        unreachable!("not asked here")
    }

    async fn fee_rate(&self, _: u16) -> Result<Option<FeeRate>, NodeError> {
        unreachable!("not asked here")
    }

    async fn info(&self) -> Result<ChainInfo, NodeError> {
        self.check_up()?;
        let blocks = self.tip.borrow().height;
        let (chain, ibd) = ("regtest".to_owned(), self.is_downloading.load(Ordering::SeqCst));
        Ok(ChainInfo { chain, blocks, headers: blocks, ibd, difficulty: 0.0, peers: 1 })
    }
}

fn group(nodes: &[&Arc<Stand>]) -> NodeGroup {
    let options = GroupOptions {
        look: Duration::from_millis(5),
        back_off_first: Duration::from_millis(1),
        back_off_max: Duration::from_millis(20),
        ..GroupOptions::default()
    };
    let named = nodes.iter().enumerate();
    let named = named.map(|(i, n)| (format!("node {i}"), Arc::clone(n) as Arc<dyn Node>));
    NodeGroup::start(nodes[0].params, named.collect(), options)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("nothing happened in time")
}

async fn until(group: &NodeGroup, holds: impl Fn(&NodeGroup) -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    soon(async {
        while !holds(group) {
            ticks.tick().await;
        }
    })
    .await;
}

fn standing(group: &NodeGroup, at: usize) -> Standing {
    group.health()[at].standing
}

#[tokio::test]
async fn the_first_node_to_tell_of_a_block_gives_the_template_on_it() {
    let (near, far) = (Stand::at(10), Stand::at(10));
    let group = group(&[&near, &far]);
    let first = group.template(None).await.unwrap();
    assert_eq!((first.height, near.templates.load(Ordering::SeqCst)), (11, 1));
    let known = block(10);
    let wait = group.next_tip(&known);
    far.tip.send_replace(block(11));
    let notice = soon(wait).await.unwrap().unwrap();
    assert_eq!(notice.tip, block(11));
    assert_eq!(group.template(None).await.unwrap().prev_hash, block(11).hash);
    assert_eq!(near.templates.load(Ordering::SeqCst), 1, "it has not got the block yet");
    assert!(group.health()[1].is_chosen && group.health()[1].template_age.is_some());

    // The other one arrives at a block that is known: no news.
    let known = block(11);
    let wait = group.next_tip(&known);
    near.tip.send_replace(block(11));
    near.tip.send_replace(block(12));
    assert_eq!(soon(wait).await.unwrap().unwrap().tip, block(12));
}

#[tokio::test]
async fn a_node_that_dies_costs_no_template_and_is_used_again_when_it_is_back() {
    let (one, two) = (Stand::at(10), Stand::at(10));
    let group = group(&[&one, &two]);
    group.template(None).await.unwrap();
    one.is_up.send_replace(false);
    assert_eq!(group.template(None).await.unwrap().height, 11);
    assert_eq!(two.templates.load(Ordering::SeqCst), 1);
    let health = group.health();
    assert!(!health[0].is_chosen && health[1].is_chosen, "{health:?}");
    assert!(
        health[0].problem.as_ref().is_some_and(|p| p.contains("down")) && health[0].failures > 0
    );

    one.is_up.send_replace(true);
    until(&group, |g| standing(g, 0) == Standing::Ready).await;
    two.is_up.send_replace(false);
    assert_eq!(group.template(None).await.unwrap().height, 11);
    one.is_up.send_replace(false);
    assert_eq!(group.template(None).await.unwrap_err().blame(), Blame::Transient);
}

#[tokio::test]
async fn a_long_poll_on_a_node_that_dies_is_answered_by_the_other() {
    let (one, two) = (Stand::at(10), Stand::at(10));
    one.tells.store(false, Ordering::SeqCst);
    let group = group(&[&one, &two]);
    let first = group.template(None).await.unwrap();
    assert_eq!(group.next_tip(&block(10)).await.unwrap(), None, "the chosen one tells nothing");
    let id = first.longpoll_id.unwrap();
    let poll = group.template(Some(&id));
    let die = async {
        two.tip.send_replace(block(11));
        one.is_up.send_replace(false);
    };
    let (answer, ()) = soon(async { tokio::join!(poll, die) }).await;
    // It either fails at once or comes from the other; a failed one is asked again plainly.
    let template = match answer {
        Ok(template) => template,
        Err(_) => group.template(None).await.unwrap(),
    };
    assert_eq!(template.prev_hash, block(11).hash);
}

#[tokio::test]
async fn no_template_comes_from_a_node_far_behind_or_of_another_chain() {
    let (ahead, behind, foreign) = (Stand::at(20), Stand::at(10), Stand::at(90));
    foreign.is_foreign.store(true, Ordering::SeqCst);
    let group = group(&[&behind, &foreign, &ahead]);
    group.check_chain().await.unwrap();
    until(&group, |g| standing(g, 2) == Standing::Ready).await;
    assert_eq!(group.template(None).await.unwrap().height, 21);
    ahead.is_up.send_replace(false);
    let error = group.template(None).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Transient);
    let health = group.health();
    assert_eq!((health[0].standing, health[1].standing), (Standing::Behind, Standing::Unusable));
    assert_eq!(
        behind.templates.load(Ordering::SeqCst) + foreign.templates.load(Ordering::SeqCst),
        0
    );

    behind.tip.send_replace(block(19));
    until(&group, |g| standing(g, 0) == Standing::Ready).await;
    assert_eq!(group.template(None).await.unwrap().height, 20);
}

#[tokio::test]
async fn a_node_in_its_first_sync_is_not_taken_for_one_that_died_because_it_gives_no_template() {
    let node = Stand::at(10);
    node.is_downloading.store(true, Ordering::SeqCst);
    let group = group(&[&node]);
    for asked in 1..=3 {
        let error = group.template(None).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Transient);
        assert_eq!(node.templates.load(Ordering::SeqCst), asked);
        // At once, before another look could have mended it.
        let health = &group.health()[0];
        assert_eq!((health.standing, health.failures), (Standing::Downloading, 0));
    }
    node.is_downloading.store(false, Ordering::SeqCst);
    until(&group, |g| standing(g, 0) == Standing::Ready).await;
    assert_eq!(group.template(None).await.unwrap().height, 11);
}

#[tokio::test]
async fn nodes_of_another_chain_only_are_a_fault_of_the_configuration() {
    let foreign = Stand::at(10);
    foreign.is_foreign.store(true, Ordering::SeqCst);
    let alone = group(&[&foreign]);
    assert_eq!(alone.check_chain().await.unwrap_err().blame(), Blame::Fatal);
    // Nobody has judged the block: it is not refused, and comes again when the node has been put right.
    let waits = alone.submit_block(&[1]).await.unwrap_err();
    assert_eq!(waits.blame(), Blame::Fatal, "{waits}");
    let down = Stand::at(10);
    down.is_up.send_replace(false);
    let both = group(&[&foreign, &down]);
    assert_eq!(both.check_chain().await.unwrap_err().blame(), Blame::Transient);
}

#[tokio::test]
async fn a_block_is_taken_when_any_node_takes_it_and_refused_when_none_may() {
    let nodes = [Stand::at(10), Stand::at(10), Stand::at(10)];
    let group = group(&nodes.each_ref());
    group.check_chain().await.unwrap();
    let refused = || SubmitOutcome::Rejected("high-hash".into());
    *nodes[0].verdict.lock().unwrap() = refused();
    nodes[1].is_up.send_replace(false);
    *nodes[2].verdict.lock().unwrap() = SubmitOutcome::Duplicate;
    assert_eq!(group.submit_block(&[1]).await.unwrap(), SubmitOutcome::Duplicate);

    *nodes[2].verdict.lock().unwrap() = refused();
    let unknown = group.submit_block(&[2]).await.unwrap_err();
    assert_eq!(unknown.blame(), Blame::Transient, "the one that is down may take it yet");
    nodes[1].is_up.send_replace(true);
    *nodes[1].verdict.lock().unwrap() = refused();
    assert_eq!(group.submit_block(&[3]).await.unwrap(), refused());
    assert_eq!(nodes[1].blocks.load(Ordering::SeqCst), 1);
    *nodes[1].verdict.lock().unwrap() = SubmitOutcome::Accepted;
    assert_eq!(group.submit_block(&[4]).await.unwrap(), SubmitOutcome::Accepted);
}

#[tokio::test]
async fn a_block_is_not_refused_while_a_node_could_not_judge_it() {
    let (judge, broken, foreign) = (Stand::at(10), Stand::at(10), Stand::at(10));
    let refused = SubmitOutcome::Rejected("high-hash".into());
    *judge.verdict.lock().unwrap() = refused.clone();
    broken.cannot_write.store(true, Ordering::SeqCst);
    foreign.is_foreign.store(true, Ordering::SeqCst);
    for other in [&broken, &foreign] {
        let group = group(&[&judge, other]);
        group.check_chain().await.unwrap();
        let waits = group.submit_block(&[1]).await.unwrap_err();
        assert_eq!(waits.blame(), Blame::Fatal, "{waits}");
        *judge.verdict.lock().unwrap() = SubmitOutcome::Accepted;
        assert_eq!(group.submit_block(&[1]).await.unwrap(), SubmitOutcome::Accepted);
        *judge.verdict.lock().unwrap() = refused.clone();
    }
    let alone = group(&[&judge]);
    assert_eq!(alone.submit_block(&[1]).await.unwrap(), refused);
}
