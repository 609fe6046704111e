//! Where templates come from: one task waits for the tip, one fetches fresh transactions.
//!
//! Both feed one queue. A refresh that was asked for before the tip changed may arrive after it and
//! is dropped, so that a slow answer never brings an old tip back.

use gruve_chain::{Node, NodeError, Template};
use gruve_units::{Blame, Blamed as _, Duration, LaneId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The first wait after a failure; it doubles.
const BACK_OFF_FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a node that comes back is used within this time.
const BACK_OFF_MAX: Duration = Duration::from_secs(10);
/// A node whose long poll answers at once, again and again, is not asked more often than this.
const BETWEEN_POLLS: Duration = Duration::from_millis(100);

/// A template and why it came.
pub(crate) struct Fetched {
    pub(crate) template: Template,
    /// Fetched for its transactions: always worth a job.
    pub(crate) is_refresh: bool,
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
    let source = || Source {
        lane: lane.clone(),
        node: Arc::clone(node),
        out: out.clone(),
        back_off: BACK_OFF_FIRST,
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
}

impl Source {
    /// Long-polls, or polls the tip where the node has no long polling.
    async fn watch_tip(mut self, tips: Arc<AtomicU64>, poll: Duration) {
        let mut last: Option<Template> = None;
        loop {
            let asked_at = Instant::now();
            let longpoll = last.as_ref().and_then(|t| t.longpoll_id.clone());
            let answer = match (&last, longpoll) {
                (Some(last), None) => {
                    tokio::time::sleep(poll).await;
                    match self.node.tip().await {
                        Ok(tip) if tip.hash == last.prev_hash => continue,
                        Ok(_) => self.node.template(None).await,
                        Err(e) => Err(e),
                    }
                }
                (_, longpoll) => self.node.template(longpoll.as_deref()).await,
            };
            match answer {
                Ok(template) => {
                    self.back_off = BACK_OFF_FIRST;
                    if last.as_ref().is_none_or(|l| l.prev_hash != template.prev_hash) {
                        tips.fetch_add(1, Ordering::SeqCst);
                    }
                    last = Some(template.clone());
                    if self.out.send(Fetched { template, is_refresh: false }).await.is_err() {
                        return;
                    }
                    tokio::time::sleep_until(asked_at + BETWEEN_POLLS).await;
                }
                Err(e) => {
                    // What changed meanwhile is fetched at once when the node is back.
                    if let Some(last) = &mut last {
                        last.prev_hash = [0; 32];
                        last.longpoll_id = None;
                    }
                    self.failed(&e).await;
                }
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
                    self.back_off = BACK_OFF_FIRST;
                    let is_late = tips.load(Ordering::SeqCst) != tips_before;
                    let fetched = Fetched { template, is_refresh: true };
                    if !is_late && self.out.send(fetched).await.is_err() {
                        return;
                    }
                }
                Err(e) => self.failed(&e).await,
            }
        }
    }

    async fn failed(&mut self, error: &NodeError) {
        match error.blame() {
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
}
