//! A node's notifications, beside the waits by RPC: what is believed of them.
//!
//! | told | what it is worth |
//! |---|---|
//! | a block's header | a new tip at once, without a question to the node, if it stands on the tip we know, has the target that the chain's rules give there, and its hash meets it |
//! | a header that does not, or at a retarget | its hash |
//! | a hash | a new tip, if the node says that it is |
//! | that something changed | a question for the tip |
//!
//! So a publisher that lies wastes at most the node's time, and no more often than every
//! [`BETWEEN_LOOKS`]; to have machines work on nothing it must have done a block's work (on the
//! networks made for tests, where a block is no work, it is not believed again for [`DISTRUST`]).

use super::http::Endpoint;
use super::{RpcNode, hash, malformed, number, tip};
use crate::zmq::{self, Heard, Where, ZmqAddress, hash_of};
use crate::{BlockRef, NodeError, TipNotice, hash_to_text};
use bitcoin::block::Header;
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Duration, Target};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often what is told is looked up, at most.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// How long headers are looked up after one that the node did not have. Two blocks at the same height
/// at two nodes look the same, so not for ever.
const DISTRUST: Duration = Duration::from_secs(3_600);

/// Blocks whose times make the median that the next block's time must be above (BIP 113), less the
/// newest.
const TIMES_BEFORE: usize = 10;

/// Whether and where a node's notifications are heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Push {
    /// They are not.
    #[default]
    Off,
    /// Where the node itself says that it publishes (`getzmqnotifications`), if it does.
    Ask,
    /// Here.
    At(ZmqAddress),
}

/// How a node's notifications stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushFigures {
    /// Whether a publisher is being heard.
    pub is_up: bool,
    /// New tips taken from a header without asking the node.
    pub by_header: u64,
    /// New tips that the node confirmed when it was asked because of a notification.
    pub by_look: u64,
    /// Messages that were missing, by their numbers.
    pub missing: u64,
}

/// The tip whose successor a header is checked against.
#[derive(Clone, Debug)]
struct Base {
    hash: [u8; 32],
    bits: u32,
    /// Times of it and the blocks before it, newest first.
    times: Vec<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Pushed {
    push: Push,
    heard: watch::Sender<Heard>,
    /// The newest block that another way told of.
    owed: watch::Sender<Option<[u8; 32]>>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// What was looked at.
    handled: AtomicU64,
    base: Mutex<Option<Base>>,
    /// The last tip taken from a header alone.
    given: Mutex<Option<BlockRef>>,
    /// A header was not true: until when none is taken without a look.
    distrusted_until: Mutex<Option<Instant>>,
    by_header: AtomicU64,
    by_look: AtomicU64,
}

impl Drop for Pushed {
    fn drop(&mut self) {
        if let Some(task) = locked(&self.task).take() {
            task.abort();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under the locks is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pushed {
    pub(super) fn new(push: Push) -> Pushed {
        let mut pushed = Pushed::default();
        pushed.push = push;
        pushed
    }

    /// What is heard; `None` where nothing is to be. The first call begins to listen.
    fn heard(&self, http: &Arc<Endpoint>, within: Duration) -> Option<watch::Receiver<Heard>> {
        if self.push == Push::Off {
            return None;
        }
        let mut task = locked(&self.task);
        if task.is_none() {
            let name = http.host().to_owned();
            let (find, heard) = (find(&self.push, http, within), self.heard.clone());
            *task = Some(tokio::spawn(zmq::listen(name, find, heard, self.owed.subscribe())));
        }
        Some(self.heard.subscribe())
    }

    pub(super) fn figures(&self) -> PushFigures {
        let heard = self.heard.borrow();
        PushFigures {
            is_up: heard.is_up,
            by_header: self.by_header.load(Ordering::Relaxed),
            by_look: self.by_look.load(Ordering::Relaxed),
            missing: heard.missing,
        }
    }

    /// Another way told of a block.
    pub(super) fn owes(&self, tip: &BlockRef) {
        self.owed.send_replace(Some(tip.hash));
    }

    /// Waits for what was not looked at yet.
    async fn next(&self, heard: &mut watch::Receiver<Heard>) -> Heard {
        let handled = |h: &Heard| h.wakes > self.handled.load(Ordering::Relaxed);
        let Ok(new) = heard.wait_for(handled).await.map(|h| h.clone()) else {
            return std::future::pending().await; // the sender lives as long as we do
        };
        self.handled.store(new.wakes, Ordering::Relaxed);
        new
    }

    /// Whether the tip that is known by now bears out the one that was taken from a header.
    fn hold_against(&self, known: &BlockRef, host: &str) {
        let mut given = locked(&self.given);
        if given.is_some_and(|g| g.height >= known.height && g.hash != known.hash) {
            *locked(&self.distrusted_until) = Some(Instant::now() + DISTRUST);
            tracing::warn!(
                node = host,
                "its notifications told of a block that it does not have: they are looked up for an hour"
            );
        }
        *given = None;
    }
}

/// Where to connect, found out anew for every connection.
fn find(push: &Push, http: &Arc<Endpoint>, within: Duration) -> Where {
    if let Push::At(address) = push {
        let address = address.clone();
        return Box::new(move || {
            let address = address.clone();
            Box::pin(async move { Ok(address) })
        });
    }
    let http = Arc::clone(http);
    Box::new(move || {
        let http = Arc::clone(&http);
        Box::pin(async move {
            const METHOD: &str = "getzmqnotifications";
            let answer = tokio::time::timeout(within, http.call(METHOD, json!([]))).await;
            let answer =
                answer.map_err(|_| "the node does not say where it publishes".to_owned())?;
            let all = answer.map_err(|e| e.to_string())?;
            let host = http.host().rsplit_once(':').map_or(http.host(), |(host, _)| host);
            told(&all, host).ok_or_else(|| "the node publishes nothing that is of use".to_owned())
        })
    })
}

/// The best of the addresses that a node names: one with blocks before one with hashes.
fn told(all: &Value, host: &str) -> Option<ZmqAddress> {
    let all = all.as_array()?;
    ["pubrawblock", "pubhashblock", "pubsequence"].iter().find_map(|kind| {
        let own = all.iter().filter(|one| one["type"].as_str() == Some(kind));
        own.filter_map(|one| ZmqAddress::told_by(one["address"].as_str()?, host)).next()
    })
}

/// Waits until a notification has told of a new tip; for ever where none does.
pub(super) async fn next(node: &RpcNode, known: &BlockRef) -> Result<TipNotice, NodeError> {
    let pushed = &node.pushed;
    let Some(mut heard) = pushed.heard(&node.http, node.options.look_timeout) else {
        return std::future::pending().await;
    };
    pushed.hold_against(known, node.http.host());
    if heard.borrow().is_up {
        // Where it fails the header is looked up.
        let _ = learn(node, known).await;
    }
    loop {
        let new = pushed.next(&mut heard).await;
        if let Some(notice) = new.header.as_ref().and_then(|h| believe(node, known, h)) {
            return Ok(notice);
        }
        // Behind its hash comes the block itself; and a true one is not kept waiting by lies before it.
        let mut newer = pushed.heard.subscribe();
        tokio::select! {
            found = look(node, known, &new) => if let Some(notice) = found {
                pushed.by_look.fetch_add(1, Ordering::Relaxed);
                return Ok(notice);
            },
            notice = by_header(node, known, &mut newer) => return Ok(notice),
        }
        let _ = learn(node, known).await;
        // Only the newest waits meanwhile.
        tokio::select! {
            () = tokio::time::sleep(BETWEEN_LOOKS) => {}
            notice = by_header(node, known, &mut newer) => return Ok(notice),
        }
    }
}

/// Waits for a header that is taken without a look; passes over all others.
async fn by_header(
    node: &RpcNode,
    known: &BlockRef,
    heard: &mut watch::Receiver<Heard>,
) -> TipNotice {
    loop {
        if heard.changed().await.is_err() {
            return std::future::pending().await; // the sender lives as long as we do
        }
        let new = heard.borrow_and_update().clone();
        if let Some(notice) = new.header.as_ref().and_then(|h| believe(node, known, h)) {
            node.pushed.handled.store(new.wakes, Ordering::Relaxed);
            return notice;
        }
    }
}

/// As [`foresee`], and remembers that it was believed.
fn believe(node: &RpcNode, known: &BlockRef, header: &Header) -> Option<TipNotice> {
    let notice = foresee(node, known, header)?;
    node.pushed.by_header.fetch_add(1, Ordering::Relaxed);
    *locked(&node.pushed.given) = Some(notice.tip);
    Some(notice)
}

/// Reads the headers that the check of the next one needs, down to those known from before.
async fn learn(node: &RpcNode, known: &BlockRef) -> Result<(), NodeError> {
    const METHOD: &str = "getblockheader";
    let before = locked(&node.pushed.base).clone();
    let (mut times, mut bits, mut at) = (Vec::new(), 0, known.hash);
    let mut heights = known.height;
    while times.len() < TIMES_BEFORE {
        if let Some(base) = before.as_ref().filter(|base| base.hash == at) {
            bits = if times.is_empty() { base.bits } else { bits };
            times.extend(&base.times);
            break;
        }
        let header = node.look(METHOD, json!([hash_to_text(&at)])).await?;
        let time = u32::try_from(number(&header["time"], METHOD)?);
        times.push(time.map_err(|_| malformed(METHOD, "a time beyond 32 bits"))?);
        if at == known.hash {
            bits = tip::bits(&header)?;
        }
        if heights == 0 {
            break;
        }
        heights -= 1;
        at = hash(&header["previousblockhash"], METHOD)?;
    }
    times.truncate(TIMES_BEFORE);
    *locked(&node.pushed.base) = Some(Base { hash: known.hash, bits, times });
    Ok(())
}

/// The new tip of a header, if nothing of it is to be taken on trust.
fn foresee(node: &RpcNode, known: &BlockRef, header: &Header) -> Option<TipNotice> {
    use bitcoin::hashes::Hash as _;
    let params = &node.params;
    let is_distrusted = locked(&node.pushed.distrusted_until).is_some_and(|t| t > Instant::now());
    if is_distrusted || params.algorithm != Algorithm::Sha256d {
        return None;
    }
    let mut base = locked(&node.pushed.base);
    let (height, bits) = (known.height.checked_add(1)?, header.bits.to_consensus());
    let parent = base.as_ref().filter(|b| b.hash == known.hash)?;
    let is_next = header.prev_blockhash.to_byte_array() == known.hash;
    if !is_next || params.bits_at(height, parent.bits) != Some(bits) {
        return None;
    }
    let bytes: [u8; 80] = bitcoin::consensus::serialize(header).try_into().ok()?;
    if !Target::from_compact(bits)?.is_met_by(&pow_hash(params.algorithm, &bytes)) {
        return None;
    }
    let mut times = parent.times.clone();
    times.insert(0, header.time);
    let notice = TipNotice {
        tip: BlockRef { height, hash: hash_of(header) },
        bits,
        median_time: median(&times),
    };
    times.truncate(TIMES_BEFORE);
    *base = Some(Base { hash: notice.tip.hash, bits, times });
    Some(notice)
}

/// As the chain's rule has it: of an even number the later of the two in the middle.
fn median(times: &[u32]) -> u32 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Asks the node about what it published; `None` when it is nothing new, or cannot be had.
async fn look(node: &RpcNode, known: &BlockRef, new: &Heard) -> Option<TipNotice> {
    let named = new.hash.or(new.header.as_ref().map(|h| hash_of(h)));
    let (tip, header) = match named.filter(|hash| *hash != known.hash) {
        Some(hash) => {
            let header = node.look("getblockheader", json!([hash_to_text(&hash)])).await.ok()?;
            // On the best chain, with nothing on it.
            if header["confirmations"].as_i64() != Some(1) {
                return None;
            }
            (BlockRef { height: header["height"].as_u64()?, hash }, header)
        }
        None => {
            let tip = crate::Node::tip(node).await.ok()?;
            if tip == *known {
                return None;
            }
            let text = hash_to_text(&tip.hash);
            (tip, node.look("getblockheader", json!([text])).await.ok()?)
        }
    };
    tip::read(tip, &header).ok()
}

/// Waits until a notification gives a reason to ask for a template that stands on another block than
/// `prev_hash`; for ever where none does.
pub(super) async fn other_tip(node: &RpcNode, prev_hash: &[u8; 32]) {
    let pushed = &node.pushed;
    let Some(mut heard) = pushed.heard(&node.http, node.options.look_timeout) else {
        return std::future::pending().await;
    };
    loop {
        let new = pushed.next(&mut heard).await;
        let named = new.hash.or(new.header.as_ref().map(|h| hash_of(h)));
        let named = named.filter(|hash| hash != prev_hash);
        let is_other = match named {
            Some(hash) => {
                let header = node.look("getblockheader", json!([hash_to_text(&hash)])).await;
                header.is_ok_and(|h| h["confirmations"].as_i64() == Some(1))
            }
            None => crate::Node::tip(node).await.is_ok_and(|tip| tip.hash != *prev_hash),
        };
        if is_other {
            pushed.by_look.fetch_add(1, Ordering::Relaxed);
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Waits until a notification tells of anything; for ever where none does.
pub(super) async fn news(node: &RpcNode) {
    match node.pushed.heard(&node.http, node.options.look_timeout) {
        Some(mut heard) => drop(node.pushed.next(&mut heard).await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_heard_before_hashes_where_a_node_publishes_both_at_different_places() {
        let all = json!([
            { "type": "pubhashtx", "address": "tcp://127.0.0.1:1", "hwm": 1000 },
            { "type": "pubhashblock", "address": "tcp://127.0.0.1:2", "hwm": 1000 },
            { "type": "pubrawblock", "address": "tcp://0.0.0.0:3", "hwm": 1000 },
        ]);
        let at = |place: &str| Some(ZmqAddress::Tcp(place.to_owned()));
        assert_eq!(told(&all, "127.0.0.1"), at("127.0.0.1:3"));
        assert_eq!(told(&json!([all[1]]), "127.0.0.1"), at("127.0.0.1:2"));
        assert_eq!(told(&json!([all[0]]), "127.0.0.1"), None);
        assert_eq!(told(&json!([all[1]]), "10.0.0.5"), None, "on another machine's loopback");
        assert_eq!(told(&json!({ "type": 3 }), "127.0.0.1"), None);
    }

    #[test]
    fn the_median_is_the_chains() {
        assert_eq!(median(&[5]), 5);
        assert_eq!(median(&[9, 1]), 9);
        assert_eq!(median(&[11, 1, 7, 5, 3, 9, 2, 4, 6, 8, 10]), 6);
    }
}
