//! What a node publishes of new blocks over ZeroMQ, heard beside the waits by RPC.
//!
//! | the publisher | what becomes of it |
//! |---|---|
//! | is dead or not there | tried again after [`BACK_OFF_FIRST`], which doubles up to [`BACK_OFF_MAX`] |
//! | begins a message and stalls | left after [`MESSAGE_MAX`], tried again |
//! | is silent about a block that came by another way | left after [`MISSED_AFTER`], tried again |
//! | sends more than [`BURST`] frames or bytes | left, tried again |
//! | leaves out numbers | the node is asked for its tip |
//! | says what is not so | see `crate::rpc`: nothing is believed without work or the node's word |
//!
//! Promises: what is heard is the newest only, so nothing waits in memory; whoever listens is never
//! kept from hearing the node by other ways.
//!
//! What this module must not know: templates, miners.

mod address;
#[cfg(feature = "fuzzing")]
pub mod doors;
mod news;
mod wire;

pub use address::{BadZmqAddress, ZmqAddress};

use crate::allowance::Allowance;
use bitcoin::block::Header;
use gruve_units::Duration;
use news::{News, Numbers};
use std::future::Future;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use wire::{Fault, Frames};

const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// Connecting, greeting and subscribing.
const BEGIN_MAX: Duration = Duration::from_secs(10);
/// From a message's first byte to its last: a block of four million bytes over a slow line.
const MESSAGE_MAX: Duration = Duration::from_secs(20);
/// How long after another way told of a block the publisher may tell of it.
const MISSED_AFTER: Duration = Duration::from_secs(10);
/// How often the log is told that messages are missing, at most.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Frames (three a message) and bytes at once: a node's backlog after a stall, with every transaction of its pool
/// under `sequence`.
const BURST: (f64, f64) = (60_000.0, 64e6);
/// And each second from then on. A busy node has some ten transactions a second; a core reads
/// a hundred times this.
const EACH_SECOND: (f64, f64) = (6_000.0, 4e6);

/// The newest that was heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Rises with every reason to look at the node.
    pub(crate) wakes: u64,
    /// The header of the newest block, where the node publishes blocks.
    pub(crate) header: Option<Box<Header>>,
    /// The hash of the newest, where it publishes hashes only.
    pub(crate) hash: Option<[u8; 32]>,
    /// Whether a publisher is being heard.
    pub(crate) is_up: bool,
    /// Messages that were missing, by their numbers.
    pub(crate) missing: u64,
}

impl Heard {
    fn note(&mut self, news: News) {
        self.wakes += 1;
        match news {
            News::Header(header) => (self.header, self.hash) = (Some(header), None),
            News::Hash(hash) => (self.header, self.hash) = (None, Some(hash)),
            News::Changed => (self.header, self.hash) = (None, None),
        }
    }
}

/// Finds out where the node publishes, as often as it is to be connected to.
pub(crate) type Where =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<ZmqAddress, String>> + Send>> + Send + Sync>;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Listens for ever. `owed` holds the hash of the newest block that was heard of otherwise.
pub(crate) async fn listen(
    name: String,
    find: Where,
    heard: watch::Sender<Heard>,
    owed: watch::Receiver<Option<[u8; 32]>>,
) {
    let mut back_off = BACK_OFF_FIRST;
    let mut was_up = true;
    loop {
        let begun = Instant::now();
        let fault = match find().await {
            Ok(address) => hear(&address, &heard, owed.clone()).await,
            Err(why) => Fault::Nowhere(why),
        };
        let is_up = heard.borrow().is_up;
        heard.send_if_modified(|h| std::mem::take(&mut h.is_up));
        // A word about every change, not about every attempt.
        if is_up || was_up {
            tracing::info!(node = name, %fault, "the node's notifications are not heard; its RPC is waited on");
        }
        was_up = is_up;
        if is_up && begun.elapsed() > BACK_OFF_MAX {
            back_off = BACK_OFF_FIRST;
        }
        tokio::time::sleep(back_off).await;
        back_off = (back_off * 2).min(BACK_OFF_MAX);
    }
}

async fn connect(address: &ZmqAddress) -> std::io::Result<Box<dyn Stream>> {
    Ok(match address {
        ZmqAddress::Tcp(place) => Box::new(TcpStream::connect(place.as_str()).await?),
        ZmqAddress::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

async fn hear(
    address: &ZmqAddress,
    heard: &watch::Sender<Heard>,
    owed: watch::Receiver<Option<[u8; 32]>>,
) -> Fault {
    let beginning = async {
        let stream = BufReader::with_capacity(16 << 10, connect(address).await?);
        Frames::begin(stream, &news::TOPICS).await
    };
    match timeout(BEGIN_MAX, beginning).await {
        Err(_) => Fault::Stalled,
        Ok(Err(fault)) => fault,
        Ok(Ok(frames)) => {
            tracing::info!(?address, "a node's notifications are heard");
            // What came before it was connected is to be looked at.
            heard.send_modify(|h| {
                h.is_up = true;
                h.note(News::Changed);
            });
            let mut hearing = Hearing::new(frames, heard);
            tokio::select! {
                fault = hearing.go() => fault,
                () = missed(heard.subscribe(), owed) => Fault::Missed,
            }
        }
    }
}

/// Ends when the publisher has not told of a block that came by another way.
async fn missed(heard: watch::Receiver<Heard>, mut owed: watch::Receiver<Option<[u8; 32]>>) {
    owed.mark_unchanged();
    loop {
        let changed = owed.changed().await;
        let wakes = heard.borrow().wakes;
        let due = *owed.borrow_and_update();
        let (Ok(()), Some(due)) = (changed, due) else { return std::future::pending().await };
        let tells =
            |h: &Heard| h.hash == Some(due) || h.header.as_ref().is_some_and(|h| hash_of(h) == due);
        if tells(&heard.borrow()) {
            continue;
        }
        tokio::time::sleep(MISSED_AFTER).await;
        // Anything it has said since is a sign of life.
        if !tells(&heard.borrow()) && heard.borrow().wakes == wakes {
            return;
        }
    }
}

pub(crate) fn hash_of(header: &Header) -> [u8; 32] {
    use bitcoin::hashes::Hash as _;
    header.block_hash().to_byte_array()
}

/// One connection's messages.
struct Hearing<'a, S> {
    frames: Frames<S>,
    heard: &'a watch::Sender<Heard>,
    numbers: Numbers,
    /// Whether it publishes blocks: then hashes alone say nothing more.
    has_raw: bool,
    /// When missing messages were last told of.
    warned_at: Option<Instant>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Hearing<'a, S> {
    fn new(frames: Frames<S>, heard: &'a watch::Sender<Heard>) -> Hearing<'a, S> {
        Hearing { frames, heard, numbers: Numbers::default(), has_raw: false, warned_at: None }
    }

    async fn go(&mut self) -> Fault {
        let mut allowance = Allowance::new(BURST, EACH_SECOND);
        loop {
            if let Err(fault) = self.message(&mut allowance).await {
                return fault;
            }
            // A flood is read to its bound without a pause; others want the thread too.
            tokio::task::yield_now().await;
        }
    }

    async fn message(&mut self, allowance: &mut Allowance) -> Result<(), Fault> {
        let first = self.frames.next().await?;
        let due = Instant::now() + MESSAGE_MAX;
        let reading = async {
            if first.is_command {
                allow(allowance, first.bytes)?;
                return self.frames.obey().await;
            }
            let topic = self.frames.kept().to_vec();
            let (mut head, mut part) = (first, 0);
            let mut bytes = first.bytes;
            while !head.is_last {
                head = self.frames.next().await?;
                bytes = bytes.saturating_add(head.bytes);
                allow(allowance, head.bytes)?;
                part += 1;
                match part {
                    // Told before the rest of the block is here.
                    1 => self.body(&topic, head.bytes),
                    2 => self.number(&topic),
                    _ => return Err(Fault::Protocol("it sends messages of many parts")),
                }
            }
            allow(allowance, first.bytes)
        };
        tokio::select! {
            done = reading => done,
            () = sleep_until(due) => Err(Fault::Stalled),
        }
    }

    fn body(&mut self, topic: &[u8], bytes: u64) {
        let Some(news) = news::read(topic, self.frames.kept(), bytes) else { return };
        self.has_raw |= matches!(news, News::Header(_));
        if !(self.has_raw && matches!(news, News::Hash(_))) {
            self.heard.send_modify(|h| h.note(news));
        }
    }

    fn number(&mut self, topic: &[u8]) {
        let missing = self.numbers.missing(topic, self.frames.kept());
        if missing > 0 {
            if self.warned_at.is_none_or(|at| at.elapsed() > WARN_EVERY) {
                self.warned_at = Some(Instant::now());
                tracing::warn!(
                    missing,
                    "notifications of a node are missing; it is asked for its tip"
                );
            }
            self.heard.send_modify(|h| {
                h.missing = h.missing.saturating_add(u64::from(missing));
                // What was just told stands; the node is asked besides.
                h.wakes += 1;
            });
        }
    }
}

fn allow(allowance: &mut Allowance, bytes: u64) -> Result<(), Fault> {
    if allowance.allows(bytes) { Ok(()) } else { Err(Fault::Floods) }
}
