//! Where templates come from: one task waits for the tip, one fetches fresh transactions.
//!
//! | the node | what the first task does when there is a new tip |
//! |---|---|
//! | tells of it at once (`waitfornewblock`) | hands over the empty block on it, then the template |
//! | has long polling only, or a chain whose blocks cannot be foreseen | hands over the template |
//! | has neither | asks for the tip every `poll`, and for the template when it is another |
//!
//! Both feed one queue. A refresh that was asked for before the tip changed may arrive after it and
//! is dropped, so that a slow answer never brings an old tip back.

use crate::outage::Outage;
use gruve_chain::{Node, NodeError, Template, TipNotice};
use gruve_units::{Blame, Blamed as _, Duration, LaneId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The first wait after a failure; it doubles.
const BACK_OFF_FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a node that comes back is used within this time.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A node whose long poll answers at once, again and again, is not asked more often than this.
const BETWEEN_POLLS: Duration = Duration::from_millis(100);
/// How often a template that stands on an older block than the node has told of is asked for again;
/// then the chain went back, and it is taken.
const BEHIND_MAX: u32 = 10;
/// A template with more transactions has its merkle branch computed off the runtime's own threads.
const BRANCH_HERE_MAX: usize = 256;

/// Why a template came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is something new to mine.
    News,
    /// The empty block on a new tip, until the node's own template is there.
    Empty,
    /// For its transactions: always worth a job.
    Refresh,
}

/// A template, ready for jobs.
pub(crate) struct Fetched {
    pub(crate) template: Arc<Template>,
    /// The coinbase's branch in it.
    pub(crate) branch: Vec<[u8; 32]>,
    pub(crate) why: Why,
}

impl Fetched {
    /// A full block's branch takes milliseconds, during which no job may wait.
    async fn of(template: Arc<Template>, why: Why) -> Fetched {
        let branch = if template.txs.len() <= BRANCH_HERE_MAX {
            template.coinbase_branch()
        } else {
            let shared = Arc::clone(&template);
            let branch = tokio::task::spawn_blocking(move || shared.coinbase_branch()).await;
            // The task fails only when the runtime ends: nobody will see this branch.
            branch.unwrap_or_default()
        };
        Fetched { template, branch, why }
    }
}

/// Starts both tasks; they end when aborted or when nobody takes templates any more.
pub(crate) fn spawn(
    lane: &LaneId,
    node: &Arc<dyn Node>,
    refresh: Duration,
    poll: Duration,
    nudge: &Arc<Notify>,
    out: &mpsc::Sender<Fetched>,
) -> Vec<JoinHandle<()>> {
    let faults = Arc::new(Mutex::new(Outage::default()));
    let source = || Source {
        lane: lane.clone(),
        node: Arc::clone(node),
        out: out.clone(),
        back_off: BACK_OFF_FIRST,
        faults: Arc::clone(&faults),
    };
    let tips = Arc::new(AtomicU64::new(0));
    let watcher = source().watch_tip(Arc::clone(&tips), poll);
    let refresher = source().refresh(tips, refresh, Arc::clone(nudge));
    vec![tokio::spawn(watcher), tokio::spawn(refresher)]
}

struct Source {
    lane: LaneId,
    node: Arc<dyn Node>,
    out: mpsc::Sender<Fetched>,
    back_off: Duration,
    /// Of both tasks, which ask the same node.
    faults: Arc<Mutex<Outage>>,
}

/// The watcher's last whole template.
struct Last {
    template: Arc<Template>,
    at: Instant,
}

/// Nobody takes templates any more.
struct Over;

impl Source {
    async fn watch_tip(mut self, tips: Arc<AtomicU64>, poll: Duration) {
        let mut last: Option<Last> = None;
        loop {
            let asked_at = Instant::now();
            match self.next(last.as_ref(), &tips, poll).await {
                Err(Over) => return,
                Ok(Ok(template)) => {
                    self.worked();
                    let known = last.as_ref().map(|l| l.template.prev_hash);
                    if known != Some(template.prev_hash) {
                        tips.fetch_add(1, Ordering::SeqCst);
                    }
                    let template = Arc::new(template);
                    last = Some(Last { template: Arc::clone(&template), at: Instant::now() });
                    let fetched = Fetched::of(template, Why::News).await;
                    if self.out.send(fetched).await.is_err() {
                        return;
                    }
                    tokio::time::sleep_until(asked_at + BETWEEN_POLLS).await;
                }
                Ok(Err(e)) => {
                    // What changed meanwhile is fetched at once when the node is back.
                    last = None;
                    self.failed(&e).await;
                }
            }
        }
    }

    /// The next template; on the way there the empty block, where there can be one.
    async fn next(
        &self,
        last: Option<&Last>,
        tips: &AtomicU64,
        poll: Duration,
    ) -> Result<Result<Template, NodeError>, Over> {
        let Some(last) = last else { return Ok(self.node.template(None).await) };
        match self.node.next_tip(&last.template.tip()).await {
            Ok(Some(notice)) => self.on_notice(last, &notice, tips).await,
            Ok(None) => Ok(self.by_polling(&last.template, poll).await),
            Err(e) => Ok(Err(e)),
        }
    }

    async fn on_notice(
        &self,
        last: &Last,
        notice: &TipNotice,
        tips: &AtomicU64,
    ) -> Result<Result<Template, NodeError>, Over> {
        let empty = last.template.empty_on(notice, last.at.elapsed(), self.node.params());
        if let Some(empty) = empty {
            tips.fetch_add(1, Ordering::SeqCst);
            let fetched = Fetched::of(Arc::new(empty), Why::Empty).await;
            self.out.send(fetched).await.map_err(|_| Over)?;
        }
        // Another node than the one that told of the block may not have it yet.
        for _ in 0..BEHIND_MAX {
            match self.node.template(None).await {
                Ok(template) if template.height <= notice.tip.height => {
                    tokio::time::sleep(BETWEEN_POLLS).await;
                }
                answer => return Ok(answer),
            }
        }
        Ok(self.node.template(None).await)
    }

    /// Long-polls, or polls the tip where the node has no long polling.
    async fn by_polling(&self, last: &Template, poll: Duration) -> Result<Template, NodeError> {
        if let Some(id) = &last.longpoll_id {
            return self.node.template(Some(id)).await;
        }
        loop {
            tokio::time::sleep(poll).await;
            if self.node.tip().await?.hash != last.prev_hash {
                return self.node.template(None).await;
            }
        }
    }

    /// Fetches every `interval`, and at once when nudged (a block of ours was taken).
    async fn refresh(mut self, tips: Arc<AtomicU64>, interval: Duration, nudge: Arc<Notify>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = nudge.notified() => {}
            }
            let tips_before = tips.load(Ordering::SeqCst);
            match self.node.template(None).await {
                Ok(template) => {
                    self.worked();
                    let fetched = Fetched::of(Arc::new(template), Why::Refresh).await;
                    let is_late = tips.load(Ordering::SeqCst) != tips_before;
                    if !is_late && self.out.send(fetched).await.is_err() {
                        return;
                    }
                }
                Err(e) => self.failed(&e).await,
            }
        }
    }

    fn worked(&mut self) {
        self.back_off = BACK_OFF_FIRST;
        if self.outage().worked(Instant::now()) {
            tracing::info!(lane = %self.lane, "the node gives templates again");
        }
    }

    async fn failed(&mut self, error: &NodeError) {
        let is_news = self.outage().failed(&error.to_string(), Instant::now());
        match error.blame() {
            _ if !is_news => {}
            Blame::Transient => {
                tracing::warn!(lane = %self.lane, %error, "no template");
            }
            Blame::Rejected | Blame::Fatal => {
                tracing::error!(lane = %self.lane, %error, "no template: the node needs attention");
            }
        }
        tokio::time::sleep(self.back_off).await;
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        // Every step under the lock is whole.
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
