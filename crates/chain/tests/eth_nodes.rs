//! Several nodes of an account chain as one: which is asked, what a solution's *no* is worth.
#![allow(clippy::unwrap_used, missing_docs)]

use async_trait::async_trait;
use gruve_chain::eth::{
    AccountAt, AccountNode, EthAddress, EthBlock, EthExpected, EthFullNode, EthHeader, EthNode,
    EthNodeGroup, EthReceipt,
};
use gruve_chain::{GroupOptions, NodeError, NodeWork, SendOutcome, Standing};
use gruve_units::{Duration, Hashrate, Target, Timestamp};
use ruint::aliases::U256;
use std::sync::{Arc, Mutex};

const CHAIN: u64 = 61;
const OURS: EthAddress = EthAddress([7; 20]);

/// What a test says of a node.
#[derive(Clone, Copy)]
struct Says {
    is_up: bool,
    is_syncing: bool,
    chain_id: u64,
    height: u64,
    pays: Option<EthAddress>,
    takes: bool,
}

struct Fake {
    name: u8,
    says: Mutex<Says>,
}

impl Fake {
    fn new(name: u8) -> Arc<Fake> {
        let says = Says {
            is_up: true,
            is_syncing: false,
            chain_id: CHAIN,
            height: 100,
            pays: Some(OURS),
            takes: false,
        };
        Arc::new(Fake { name, says: Mutex::new(says) })
    }

    fn change(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    fn says(&self) -> Result<Says, NodeError> {
        let says = *self.says.lock().unwrap();
        let problem = "Connection refused".to_owned();
        let gone = NodeError::Unreachable { host: self.name.to_string(), problem };
        says.is_up.then_some(says).ok_or(gone)
    }
}

#[async_trait]
impl EthNode for Fake {
    async fn get_work(&self) -> Result<NodeWork, NodeError> {
        let says = self.says()?;
        let (header_hash, height) = ([self.name; 32], Some(says.height + 1));
        Ok(NodeWork { header_hash, seed_hash: [0; 32], target: Target::MAX, height })
    }

    async fn pending_time(&self) -> Result<Option<Timestamp>, NodeError> {
        self.says().map(|_| None)
    }

    async fn submit_work(&self, _: u64, _: &[u8; 32], _: &[u8; 32]) -> Result<bool, NodeError> {
        self.says().map(|s| s.takes)
    }

    async fn submit_hashrate(&self, _: Hashrate, _: &[u8; 32]) -> Result<bool, NodeError> {
        self.says().map(|_| true)
    }
}

#[async_trait]
impl AccountNode for Fake {
    async fn chain_id(&self) -> Result<u64, NodeError> {
        self.says().map(|s| s.chain_id)
    }
    async fn height(&self) -> Result<u64, NodeError> {
        self.says().map(|s| s.height)
    }
    async fn is_syncing(&self) -> Result<bool, NodeError> {
        self.says().map(|s| s.is_syncing)
    }
    async fn peers(&self) -> Result<Option<u64>, NodeError> {
        self.says().map(|_| Some(5))
    }
    async fn block_at(&self, _: u64) -> Result<Option<EthBlock>, NodeError> {
        self.says().map(|_| None)
    }
    async fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, NodeError> {
        self.says().map(|_| (height == 0).then_some([1; 32]))
    }
    async fn block(&self, _: &[u8; 32]) -> Result<Option<EthBlock>, NodeError> {
        self.says().map(|_| None)
    }
    async fn uncle(
        &self,
        _: &[u8; 32],
        _: usize,
    ) -> Result<Option<(EthHeader, [u8; 32])>, NodeError> {
        self.says().map(|_| None)
    }
    async fn receipt(&self, _: &[u8; 32]) -> Result<Option<EthReceipt>, NodeError> {
        self.says().map(|_| None)
    }
    async fn balance(&self, _: &EthAddress, _: AccountAt) -> Result<U256, NodeError> {
        self.says().map(|_| U256::ZERO)
    }
    async fn transaction_count(&self, _: &EthAddress, _: AccountAt) -> Result<u64, NodeError> {
        self.says().map(|_| 0)
    }
    async fn send_transaction(&self, _: &[u8]) -> Result<SendOutcome, NodeError> {
        let says = self.says()?;
        let no = SendOutcome::Rejected("nonce too low".to_owned());
        Ok(if says.takes { SendOutcome::Accepted } else { no })
    }
    async fn gas_price(&self) -> Result<U256, NodeError> {
        self.says().map(|_| U256::ZERO)
    }
    async fn next_base_fee(&self) -> Result<Option<U256>, NodeError> {
        self.says().map(|_| None)
    }
    async fn pays_to(&self) -> Result<Option<EthAddress>, NodeError> {
        self.says().map(|s| s.pays)
    }
}

fn group(nodes: &[Arc<Fake>]) -> EthNodeGroup {
    let expected = EthExpected {
        title: "Test chain".to_owned(),
        chain_id: CHAIN,
        blocks: vec![(0, [1; 32]), (1_920_000, [2; 32])],
        pays: Some(OURS),
    };
    let seats = nodes.iter().map(|n| {
        let node: Arc<dyn EthFullNode> = n.clone();
        (n.name.to_string(), node)
    });
    let wait = Duration::from_millis(5);
    let options = GroupOptions {
        look: wait,
        back_off_first: wait,
        back_off_max: wait,
        ..GroupOptions::default()
    };
    EthNodeGroup::start(expected, seats.collect(), options)
}

/// Waits until the node of that place stands so.
async fn stands(group: &EthNodeGroup, at: usize, want: Standing) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        while group.health()[at].standing != want {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
}

async fn worker(group: &EthNodeGroup) -> u8 {
    group.get_work().await.unwrap().header_hash[0]
}

#[tokio::test]
async fn work_comes_from_another_node_when_one_dies_falls_behind_or_downloads() {
    let (a, b) = (Fake::new(1), Fake::new(2));
    let group = group(&[a.clone(), b.clone()]);
    assert_eq!(worker(&group).await, 1);
    a.change(|s| s.is_up = false);
    assert_eq!(worker(&group).await, 2);
    a.change(|s| s.is_up = true);
    stands(&group, 0, Standing::Ready).await;
    assert_eq!(worker(&group).await, 2, "equals do not take turns");
    b.change(|s| s.is_syncing = true);
    stands(&group, 1, Standing::Downloading).await;
    assert_eq!(worker(&group).await, 1);
    b.change(|s| (s.is_syncing, s.height) = (false, 200));
    stands(&group, 0, Standing::Behind).await;
    assert_eq!(worker(&group).await, 2);
    b.change(|s| s.is_up = false);
    stands(&group, 1, Standing::Down).await;
    assert!(group.get_work().await.is_err(), "work on an old block is for nothing");
}

#[tokio::test]
async fn a_node_of_another_chain_or_that_pays_others_is_not_used() {
    let (a, b) = (Fake::new(1), Fake::new(2));
    a.change(|s| s.pays = Some(EthAddress([8; 20])));
    b.change(|s| s.chain_id = 1);
    let group = group(&[a.clone(), b.clone()]);
    assert!(group.check_chain().await.is_err());
    stands(&group, 0, Standing::Unusable).await;
    stands(&group, 1, Standing::Unusable).await;
    let problem = group.health()[0].problem.clone().unwrap();
    assert!(problem.contains(&OURS.to_string()) && problem.contains("etherbase"), "{problem}");
    assert!(group.get_work().await.is_err());
    assert!(group.submit_work(1, &[2; 32], &[3; 32]).await.is_err(), "nobody has judged it");
    a.change(|s| s.pays = Some(OURS));
    stands(&group, 0, Standing::Ready).await;
    assert_eq!(worker(&group).await, 1);
    assert!(group.check_chain().await.is_ok());
}

#[tokio::test]
async fn a_solution_is_refused_only_when_every_node_has_said_no() {
    let (a, b) = (Fake::new(1), Fake::new(2));
    let group = group(&[a.clone(), b.clone()]);
    stands(&group, 0, Standing::Ready).await;
    stands(&group, 1, Standing::Ready).await;
    let submit = async || group.submit_work(1, &[2; 32], &[3; 32]).await;
    assert_eq!(submit().await, Ok(false));
    b.change(|s| s.takes = true);
    assert_eq!(submit().await, Ok(true), "taken by any is taken");
    b.change(|s| s.is_up = false);
    assert!(submit().await.is_err(), "the one that knows the header may be the one that is away");
    a.change(|s| s.takes = true);
    assert_eq!(submit().await, Ok(true));
    let sent = group.send_transaction(&[1]).await.unwrap();
    assert_eq!(sent, SendOutcome::Accepted);
    a.change(|s| s.takes = false);
    assert!(group.send_transaction(&[1]).await.is_err());
    b.change(|s| (s.is_up, s.takes) = (true, false));
    let refused = group.send_transaction(&[1]).await.unwrap();
    assert_eq!(refused, SendOutcome::Rejected("nonce too low".to_owned()));
}
