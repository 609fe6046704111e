//! What a publisher is heard by, without a socket: for fuzzing only.

use super::wire::{Frames, KEPT_BYTES};
use super::{Heard, Hearing, news};
use crate::said::{Said, run};
use bitcoin::consensus::serialize;
use tokio::sync::watch;

/// What was heard of a publisher that said these bytes and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZmqHeard {
    /// Reasons to look at the node.
    pub wakes: u64,
    /// The header of the newest block.
    pub header: Option<Vec<u8>>,
    /// The hash of the newest.
    pub hash: Option<[u8; 32]>,
    /// Messages that were missing.
    pub missing: u64,
    /// Why it was left.
    pub fault: String,
    /// Whether the greeting was taken.
    pub has_begun: bool,
    /// The most that was kept of a frame.
    pub kept: usize,
    /// What was sent to it.
    pub sent: Vec<u8>,
}

/// How much of a frame may be kept, bytes.
pub const KEPT_MAX: usize = KEPT_BYTES;

/// Hears a publisher whose bytes come in pieces of this size.
///
/// # Errors
/// When the machine has no timer.
pub fn hear(bytes: &[u8], piece: usize) -> std::io::Result<ZmqHeard> {
    let heard = watch::Sender::new(Heard::default());
    let mut said = Said::new(bytes, piece, None);
    let (fault, has_begun, kept) = run(async {
        match Frames::begin(&mut said, &news::TOPICS).await {
            Err(fault) => (fault, false, 0),
            Ok(frames) => {
                let mut hearing = Hearing::new(frames, &heard);
                let fault = hearing.go().await;
                (fault, true, hearing.frames.kept().len())
            }
        }
    })?;
    let last = heard.borrow().clone();
    Ok(ZmqHeard {
        wakes: last.wakes,
        header: last.header.map(|h| serialize(&*h)),
        hash: last.hash,
        missing: last.missing,
        fault: fault.to_string(),
        has_begun,
        kept,
        sent: said.sent,
    })
}
