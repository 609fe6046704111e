//! Blocks that paid owners themselves, held against the chain and against what was published before.
//!
//! | what | is held against |
//! |---|---|
//! | output, amount, address, the whole block | the block as the lane's node has it, at its height |
//! | what the house got, and what each of several partners | the published fee of the whole, and their parts of the rest |
//! | the owner's place, or the partners' in their parts | the lists that the log named two epochs before the block's, or earlier |
//!
//! Looked at are a lane's newest [`gruve_hosting::OWN_BLOCKS_AUDITED`] that their owners' machines found. A node that does not answer
//! is no finding, nor is a chain that was reorganised while the house stood still: it takes back what was replaced when it runs.

use crate::config::{Config, LaneConfig};
use crate::house::record::folder_of;
use crate::house::{Parts, nodes};
use gruve_chain::follow::{BlockChain, Followable as _};
use gruve_chain::{BlockRef, ChainParams, Family, LeanBlock, hash_to_text, script_for_address};
use gruve_hosting::{OWN_BLOCKS_AUDITED, OwnBlock};
use gruve_proof::places::{HouseFee, Payees, Places};
use gruve_proof::publish::data_path;
use gruve_proof::summary::FileRef;
use gruve_store::Tx;
use gruve_units::{AccountId, Bps, EpochNumber};
use std::fs;

/// Entries before a block's that may name the owner's place: a job holds the checkpoint of one of the last few.
const ENTRIES_BACK: usize = 64;

/// What was looked at.
#[derive(Default)]
pub(super) struct Audited {
    /// Blocks.
    pub(super) blocks: u64,
    /// What is wrong.
    pub(super) findings: Vec<String>,
    /// Why the chain was not asked.
    pub(super) not_compared: Option<String>,
    /// What is to be held against the chain yet.
    to_ask: Vec<OwnBlock>,
    /// The newest block that the house follows.
    followed: Option<BlockRef>,
}

/// Looks at a lane's in the books.
pub(super) async fn audit(
    parts: &Parts,
    config: &Config,
    lane: &LaneConfig,
    tx: &mut Tx,
) -> Result<Audited, String> {
    let mut audited = Audited::default();
    let params = nodes::chain_params(lane).map_err(|e| e.to_string())?;
    if params.family() != Family::Bitcoin {
        return Ok(audited);
    }
    let followed = parts.treasury.known_blocks(tx, params.asset, 1).await;
    audited.followed = followed.map_err(|e| e.to_string())?.first().copied();
    let newest = parts.hosting.newest_own_blocks(tx, &lane.id).await.map_err(|e| e.to_string())?;
    let mut lists = None;
    for (owner, block) in newest.iter().filter(|(_, block)| !block.is_orphaned) {
        let found = parts.market.found(tx, &lane.id, &block.block_hash).await;
        let Some((Some(finder), epoch)) = found.map_err(|e| e.to_string())? else { continue };
        if finder != *owner {
            continue;
        }
        audited.blocks += 1;
        let shown = hash_to_text(&block.block_hash);
        let mut find =
            |what: &str| audited.findings.push(format!("lane {}: block {shown}: {what}", lane.id));
        if let Err(what) = is_shared(block) {
            find(&what);
        }
        let paid = match payees(&params, &newest, (*owner, block)) {
            Ok(Some(paid)) => paid,
            // The others are beyond those that are looked at.
            Ok(None) => continue,
            Err(what) => {
                find(&what);
                continue;
            }
        };
        if lists.is_none() {
            let all = parts.market.published_places(tx, &lane.id).await;
            lists = Some(all.map_err(|e| e.to_string())?);
        }
        let named = lists.as_deref().unwrap_or_default();
        if let Err(what) = was_published(config, named, epoch, (*owner, &paid, block)) {
            find(&what);
        }
        audited.to_ask.push(block.clone());
    }
    Ok(audited)
}

/// Asks the lane's node for them. To be called without a transaction: its caller would hold it for as long as the node
/// takes.
pub(super) async fn ask_node(
    parts: &Parts,
    lane: &LaneConfig,
    audited: &mut Audited,
) -> Result<(), String> {
    let params = nodes::chain_params(lane).map_err(|e| e.to_string())?;
    for block in std::mem::take(&mut audited.to_ask) {
        let found = match on_chain(parts, lane, params, &block, audited.followed.as_ref()).await {
            Ok(found) => found,
            Err(why) => {
                audited.not_compared = Some(why);
                break;
            }
        };
        if let Err(what) = found.and_then(|chain| is_as(&chain, &params, &block)) {
            let shown = hash_to_text(&block.block_hash);
            audited.findings.push(format!("lane {}: block {shown}: {what}", lane.id));
        }
    }
    Ok(())
}

/// Whether the house got the fee that it took this for.
fn is_shared(block: &OwnBlock) -> Result<(), String> {
    let fee = block.fee.ok_or("the house got another part of it than any published fee")?;
    let negative = |_| "a fee or an amount is negative".to_owned();
    let least = u64::try_from(fee.least).map_err(negative)?;
    let whole = u64::try_from(block.whole).map_err(negative)?;
    let house = u64::try_from(block.house).map_err(negative)?;
    let due = HouseFee { bps: fee.bps, least }.of(whole);
    if house != due {
        return Err(format!("the house got {house} of {whole} and its fee is {due}"));
    }
    // Neither is negative.
    let rest = block.whole - block.house;
    let part = block.part.as_ref().map_or(Ok(rest), |part| part.of(rest))?;
    match block.amount.minor == part {
        true => Ok(()),
        false => Err(format!("an output pays {} and its part is {part}", block.amount.minor)),
    }
}

/// Whom a block paid beside the house, by all outputs of it that are written; `None` where some may be beyond those looked at.
fn payees(
    params: &ChainParams,
    newest: &[(AccountId, OwnBlock)],
    (owner, block): (AccountId, &OwnBlock),
) -> Result<Option<Payees>, String> {
    let script = |address: &str| script_for_address(params, address).map_err(|e| e.to_string());
    let Some(part) = &block.part else { return Ok(Some(Payees::one(script(&block.address)?))) };
    let is_its = |other: &&OwnBlock| {
        other.block_hash == block.block_hash
            && other.part.as_ref().is_some_and(|p| p.others_bps == part.others_bps)
    };
    let all = newest.iter().filter(|(of, _)| *of == owner).map(|(_, other)| other);
    let mut all: Vec<&OwnBlock> = all.filter(is_its).collect();
    all.sort_by_key(|other| other.part.as_ref().map(|p| p.number));
    let numbers = all.iter().filter_map(|other| other.part.as_ref().map(|p| p.number));
    if !numbers.map(usize::from).eq(0..=part.others_bps.len()) {
        let is_cut = newest.len() >= usize::try_from(OWN_BLOCKS_AUDITED).unwrap_or(usize::MAX)
            && newest.last().is_some_and(|(_, last)| last.block_hash == block.block_hash);
        let what = "not all of the addresses that shared it are written";
        return if is_cut { Ok(None) } else { Err(what.to_owned()) };
    }
    let mut scripts = Vec::with_capacity(all.len());
    for other in all {
        scripts.push(script(&other.address)?);
    }
    let first = scripts.remove(0);
    let parts = part.others_bps.iter().map(|bps| Bps::new(*bps).ok_or("a part of more than all"));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Payees { script: first, others: scripts.into_iter().zip(parts).collect() }))
}

/// Whether the owner's place stood in a list before the block's work, with the fee.
fn was_published(
    config: &Config,
    named: &[(EpochNumber, FileRef)],
    epoch: EpochNumber,
    (owner, paid, block): (AccountId, &Payees, &OwnBlock),
) -> Result<(), String> {
    let end = named.partition_point(|(of, _)| *of <= epoch.back(2));
    let mut seen = None;
    for (_, file) in named[..end].iter().rev().take(ENTRIES_BACK) {
        if seen == Some(file.hash) {
            continue;
        }
        seen = Some(file.hash);
        let path = folder_of(config).join(data_path(&file.hash));
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let list = Places::read(bytes.as_slice(), &block.lane);
        let list = list.map_err(|e| format!("{}: {e}", path.display()))?;
        let is_its_fee = block.fee.is_some_and(|fee| fee.bps == list.fee().bps);
        if list.has_payees(owner, paid) && is_its_fee {
            return Ok(());
        }
    }
    Err("its owner's place was not published before, in other parts or with another fee".to_owned())
}

/// The block as the node has it, or that it is not where it should be; why the node could not be asked.
async fn on_chain(
    parts: &Parts,
    lane: &LaneConfig,
    params: ChainParams,
    block: &OwnBlock,
    followed: Option<&BlockRef>,
) -> Result<Result<LeanBlock, String>, String> {
    let node = parts.nodes.get(&lane.id).ok_or("the lane has no node")?;
    let chain = BlockChain { node: node.clone(), params };
    let at = chain.block_hash(block.height).await.map_err(|e| e.to_string())?;
    match at {
        None => return Err("its node's chain ends below the last of them".to_owned()),
        Some(hash) if hash != block.block_hash => {
            let newest = followed.ok_or("no block of its chain is followed")?;
            let there = chain.block_hash(newest.height).await.map_err(|e| e.to_string())?;
            if !is_followed(newest, there) {
                return Err(
                    "its node's chain was reorganised while the house stood still".to_owned()
                );
            }
            return Ok(Err(format!(
                "at height {} the chain has {}",
                block.height,
                hash_to_text(&hash)
            )));
        }
        Some(_) => {}
    }
    let asked = BlockRef { height: block.height, hash: block.block_hash };
    let (there, _) = chain.block(&asked).await.map_err(|e| e.to_string())?;
    Ok(Ok(there.block))
}

/// Whether the house has followed the node's chain up to its newest block: if the node has another one there, or none,
/// the house will take back what was replaced when it runs.
fn is_followed(newest: &BlockRef, there: Option<[u8; 32]>) -> bool {
    there == Some(newest.hash)
}

/// Whether the chain's block paid what is written.
fn is_as(chain: &LeanBlock, params: &ChainParams, block: &OwnBlock) -> Result<(), String> {
    let script = script_for_address(params, &block.address).map_err(|e| e.to_string())?;
    let coinbase =
        chain.txs.iter().find(|t| t.coinbase).ok_or("the chain's block has no coinbase")?;
    let output = usize::try_from(block.vout).ok().and_then(|n| coinbase.outputs.get(n));
    let paid = output.ok_or("the chain's block has no such output")?;
    if paid.script != script {
        return Err("on the chain the output pays somebody else".to_owned());
    }
    if paid.value != block.amount.minor {
        return Err(format!(
            "the output pays {} on the chain, not {}",
            paid.value, block.amount.minor
        ));
    }
    let whole = coinbase.outputs.iter().try_fold(0_i64, |sum, o| sum.checked_add(o.value));
    // What partners got is held against the whole as their parts of it.
    let is_all =
        block.part.is_some() || block.amount.minor.checked_add(block.house) == Some(block.whole);
    match whole == Some(block.whole) && is_all {
        true => Ok(()),
        false => Err("its outputs are together not what owner and house got".to_owned()),
    }
}

#[cfg(test)]
mod tests;
