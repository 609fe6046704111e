//! What is known of each node, and looking at it.

use super::health::{Heard, NodeHealth, Standing, choose, highest};
use super::{GroupOptions, age};
use crate::{BlockRef, Node, NodeError, SubmitOutcome, TipNotice};
use gruve_units::Duration;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// One node.
pub(super) struct Seat {
    name: String,
    node: Arc<dyn Node>,
    /// Its chain was found to be ours. Asked again after every failure: what listens at an address
    /// may be another node after a restart.
    is_checked: AtomicBool,
}

impl Seat {
    pub(super) fn new(name: String, node: Arc<dyn Node>) -> Seat {
        Seat { name, node, is_checked: AtomicBool::new(false) }
    }
}

/// All nodes and what was heard of them.
pub(super) struct Group {
    pub(super) seats: Vec<Seat>,
    look_within: Duration,
    heard: Mutex<Vec<Heard>>,
    template_at: Mutex<Vec<Option<Instant>>>,
    /// The node that is asked.
    pub(super) chosen: watch::Sender<usize>,
}

impl Group {
    pub(super) fn new(seats: Vec<Seat>, look_within: Duration) -> Group {
        let count = seats.len();
        Group {
            seats,
            look_within,
            heard: Mutex::new(vec![Heard::default(); count]),
            template_at: Mutex::new(vec![None; count]),
            chosen: watch::Sender::new(0),
        }
    }

    fn heard(&self) -> MutexGuard<'_, Vec<Heard>> {
        // Every change under the lock is whole.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn template_times(&self) -> MutexGuard<'_, Vec<Option<Instant>>> {
        self.template_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn health(&self) -> Vec<NodeHealth> {
        let heard = self.heard().clone();
        let (highest, chosen) = (highest(&heard), *self.chosen.borrow());
        let times = self.template_times().clone();
        let seats = self.seats.iter().zip(heard).zip(times).enumerate();
        seats
            .map(|(at, ((seat, heard), template_at))| NodeHealth {
                name: seat.name.clone(),
                standing: heard.standing(highest),
                is_chosen: at == chosen,
                height: heard.height,
                headers: heard.headers,
                peers: heard.peers,
                template_age: age(template_at),
                failures: heard.failures,
                problem: heard.problem,
            })
            .collect()
    }

    /// The chosen node, then the others from the best to the worst.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let heard = self.heard();
        let (highest, chosen) = (highest(&heard), *self.chosen.borrow());
        let mut order: Vec<usize> = (0..self.seats.len()).collect();
        order.sort_by_key(|&at| {
            (at != chosen, std::cmp::Reverse((heard[at].standing(highest), heard[at].height)), at)
        });
        order
    }

    /// The node, once its chain is known to be ours.
    pub(super) async fn checked(&self, at: usize) -> Result<&dyn Node, NodeError> {
        let seat = &self.seats[at];
        if !seat.is_checked.load(Ordering::Acquire) {
            self.look(at).await?;
        }
        Ok(seat.node.as_ref())
    }

    /// Looks at a node once.
    pub(super) async fn look(&self, at: usize) -> Result<(), NodeError> {
        let seat = &self.seats[at];
        let looking = async {
            if !seat.is_checked.load(Ordering::Acquire) {
                seat.node.check_chain().await?;
            }
            seat.node.info().await
        };
        let looked = tokio::time::timeout(self.look_within, looking).await;
        let after = self.look_within;
        let silent = || NodeError::TimedOut { host: seat.name.clone(), method: "a look", after };
        match looked.unwrap_or_else(|_| Err(silent())) {
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

    /// A node did not do what was asked. That it refused one call, or that its template cannot be
    /// mined, says nothing of the next call.
    pub(super) fn failed(&self, at: usize, error: &NodeError) {
        if matches!(error, NodeError::Rpc { .. } | NodeError::Template(_)) {
            return;
        }
        self.seats[at].is_checked.store(false, Ordering::Release);
        self.change(at, |heard| heard.failure(error));
    }

    /// A node was asked before the one that answered, and has been silent longer than is waited. It is
    /// passed over until a look finds it answering.
    pub(super) fn was_silent(&self, at: usize, by: usize, method: &'static str, after: Duration) {
        let host = self.seats[at].name.clone();
        tracing::debug!(node = host, method, answered = self.seats[by].name, "it was silent");
        self.failed(at, &NodeError::TimedOut { host, method, after });
    }

    /// A node gave a template: its tip may be newer than the last look.
    pub(super) fn gave_template(&self, at: usize, tip: BlockRef) {
        self.template_times()[at] = Some(Instant::now());
        self.change(at, |heard| heard.height = heard.height.max(Some(tip.height)));
    }

    /// A node told of a new block before the others: it is the one to ask for a template on it.
    pub(super) fn told(&self, at: usize, tip: BlockRef) {
        self.change(at, |heard| {
            heard.is_up = true;
            heard.height = Some(tip.height);
        });
    }

    pub(super) fn is_behind(&self, at: usize) -> bool {
        let heard = self.heard();
        heard[at].standing(highest(&heard)) == Standing::Behind
    }

    /// Whether it was seen to have no work to give yet: that it gives none is no news.
    pub(super) fn is_catching_up(&self, at: usize) -> bool {
        let heard = self.heard();
        matches!(heard[at].standing(highest(&heard)), Standing::Behind | Standing::Downloading)
    }

    pub(super) fn behind(&self, at: usize) -> NodeError {
        let heard = self.heard();
        let by = highest(&heard).saturating_sub(heard[at].height.unwrap_or(0));
        NodeError::NotReady(format!("{} is {by} blocks behind our other node", self.seats[at].name))
    }

    /// Notes something of one node, chooses anew, and tells the log what changed.
    fn change(&self, at: usize, note: impl FnOnce(&mut Heard)) {
        let mut all = self.heard();
        let before = all[at].standing(highest(&all));
        note(&mut all[at]);
        let (after, problem) = (all[at].standing(highest(&all)), all[at].problem.clone());
        let present = *self.chosen.borrow();
        let chosen = choose(&all, present);
        drop(all);
        let name = &self.seats[at].name;
        match (before == after, after) {
            (true, _) => {}
            (false, Standing::Ready) => tracing::info!(node = name, "the node is ready"),
            (false, Standing::Unusable) => {
                tracing::error!(node = name, problem, "the node cannot be used");
            }
            (false, other) => {
                tracing::warn!(
                    node = name,
                    standing = other.name(),
                    problem,
                    "the node is not ready"
                );
            }
        }
        if chosen != present {
            tracing::info!(node = self.seats[chosen].name, "templates come from another node now");
            self.chosen.send_replace(chosen);
        }
    }

    /// Looks at a node again and again.
    pub(super) async fn keep_looking(self: Arc<Self>, at: usize, options: GroupOptions) {
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

    /// Waits until the node has a higher block than `known`, or, if it is the chosen one, another.
    /// `None` when it does not tell of new blocks.
    pub(super) async fn higher_tip(
        self: Arc<Self>,
        at: usize,
        known: BlockRef,
        options: GroupOptions,
    ) -> Option<TipNotice> {
        let mut seen = known;
        let mut back_off = options.back_off_first;
        loop {
            let told = match self.checked(at).await {
                Ok(node) => node.next_tip(&seen).await.inspect_err(|e| self.failed(at, e)),
                Err(e) => Err(e),
            };
            match told {
                Ok(None) => return None,
                Ok(Some(notice)) => {
                    back_off = options.back_off_first;
                    if notice.tip.height > known.height || *self.chosen.borrow() == at {
                        return Some(notice);
                    }
                    seen = notice.tip;
                }
                Err(_) => {
                    tokio::time::sleep(back_off).await;
                    back_off = (back_off * 2).min(options.back_off_max);
                }
            }
        }
    }

    pub(super) async fn submit(&self, at: usize, block: &[u8]) -> Result<SubmitOutcome, NodeError> {
        // A block of ours does no harm to a node of another chain, but its word on it is worthless.
        if self.heard()[at].is_unusable {
            // No verdict: where there is no other node, the block waits until the operator has put this one right.
            let problem = "it is not used: it is of another chain, or refuses us";
            return Err(NodeError::Address { url: self.seats[at].name.clone(), problem });
        }
        let outcome = self.seats[at].node.submit_block(block).await;
        match &outcome {
            Ok(outcome) => {
                tracing::debug!(node = self.seats[at].name, ?outcome, "sent a block");
            }
            Err(e) => self.failed(at, e),
        }
        outcome
    }
}
