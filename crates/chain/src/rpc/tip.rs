//! Waiting for the tip by the calls that Bitcoin Core has for it (hidden from its help until 0.29).
//!
//! | node | call | what a block between two calls does |
//! |---|---|---|
//! | Bitcoin Core 29 and newer | `waitfornewblock` with the tip we know | answers at once |
//! | older, Litecoin Core, Dogecoin Core | `waitforblockheight` with the next height | answers at once |
//! | neither, or forbidden by `rpcwhitelist` | none | a long poll is used |
//!
//! The second does not hear of another block at the same height before the wait is over: that is rare
//! (the tip was invalidated by hand), and costs at most [`WAIT_OLD_MS`].
//!
//! What the node publishes is heard beside them ([`push`]).

use super::{RpcNode, hash, malformed, number, push};
use crate::node::code;
use crate::{BlockRef, NodeError, TipNotice, hash_to_text};
use gruve_units::Duration;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::time::Instant;

const METHOD: &str = "getblockheader";

/// How long one call waits where the node is told which tip we know.
const WAIT_MS: u64 = 30_000;
/// How long one call waits where it is told a height only.
const WAIT_OLD_MS: u64 = 10_000;
/// A node that answers sooner than this without news is not asked again before it is over.
const BETWEEN_CALLS: Duration = Duration::from_millis(500);

const NEW_BLOCK: u8 = 0;
const BLOCK_HEIGHT: u8 = 1;

/// Which call the node knows, as far as it was tried.
#[derive(Debug, Default)]
pub(super) struct TipCall(AtomicU8);

impl TipCall {
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn give_up(&self, call: u8) {
        // Whoever is second finds it done.
        let _ = self.0.compare_exchange(call, call + 1, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Waits until the best block is another than `known`, by the node's calls and its notifications:
/// whichever tells first.
pub(super) async fn next(node: &RpcNode, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
    tokio::select! {
        biased;
        told = push::next(node, known) => told.map(Some),
        called = by_call(node, known) => {
            if let Ok(Some(notice)) = &called {
                node.pushed.owes(&notice.tip);
            }
            called
        }
    }
}

async fn by_call(node: &RpcNode, known: &BlockRef) -> Result<Option<TipNotice>, NodeError> {
    loop {
        let asked_at = Instant::now();
        let call = node.tip_call.get();
        let answer = match call {
            NEW_BLOCK => {
                let params = json!([WAIT_MS, hash_to_text(&known.hash)]);
                wait(node, "waitfornewblock", params, WAIT_MS).await
            }
            BLOCK_HEIGHT => {
                let params = json!([known.height.saturating_add(1), WAIT_OLD_MS]);
                wait(node, "waitforblockheight", params, WAIT_OLD_MS).await
            }
            _ => return Ok(None), // neither
        };
        match answer {
            Ok(tip) if tip == *known => tokio::time::sleep_until(asked_at + BETWEEN_CALLS).await,
            Ok(tip) => return notice(node, tip).await.map(Some),
            // Older nodes answer a call with one argument too many by its help text, under -1.
            Err(NodeError::Rpc { code: code::METHOD_NOT_FOUND | code::MISC, .. }) => {
                node.tip_call.give_up(call);
            }
            // By `rpcwhitelist`, or because we are refused altogether: the template will tell.
            Err(NodeError::Unauthorised { .. }) => return Ok(None),
            Err(other) => return Err(other),
        }
    }
}

async fn wait(
    node: &RpcNode,
    method: &'static str,
    params: Value,
    wait_ms: u64,
) -> Result<BlockRef, NodeError> {
    let within = Duration::from_millis(wait_ms) + node.options.timeout;
    let answer = node.call_within(method, params, within).await?;
    Ok(BlockRef {
        height: number(&answer["height"], method)?,
        hash: hash(&answer["hash"], method)?,
    })
}

async fn notice(node: &RpcNode, tip: BlockRef) -> Result<TipNotice, NodeError> {
    read(tip, &node.call(METHOD, json!([hash_to_text(&tip.hash)])).await?)
}

/// What a header says of the tip.
pub(super) fn read(tip: BlockRef, header: &Value) -> Result<TipNotice, NodeError> {
    let median_time = u32::try_from(number(&header["mediantime"], METHOD)?)
        .map_err(|_| malformed(METHOD, "a time beyond 32 bits"))?;
    Ok(TipNotice { tip, bits: bits(header)?, median_time })
}

pub(super) fn bits(header: &Value) -> Result<u32, NodeError> {
    let bits = header["bits"].as_str().and_then(|text| u32::from_str_radix(text, 16).ok());
    bits.ok_or(malformed(METHOD, "no bits"))
}
