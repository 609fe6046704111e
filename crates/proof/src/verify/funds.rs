//! Statements of funds: what is owed, what is shown to be there.

use super::entries::Log;
use super::source::{Source, whole};
use super::{Options, VerifyError, coins, lie, utc};
use crate::funds::{FundsEntry, ShownBy};
use crate::merkle::GrownTree;
use crate::publish::data_path;
use crate::reserves::{AssetReserves, FILE_MAX, Holding, Reserves};
use crate::sha256;
use serde::Serialize;
use std::fmt;

/// How much older than its statement the block of reserves may be before it is remarked on, seconds: a day. Coins of a block of
/// long ago may have been spent since, and whoever has their keys can still sign.
const BLOCK_AGE_SECS: u64 = 86_400;

/// The last statement of a log.
#[derive(Clone, Debug, Serialize)]
pub struct FundsVerdict {
    /// Its number.
    pub statement: u64,
    /// Of when it speaks, microseconds since 1970.
    pub at_us: u64,
    /// Each asset.
    pub assets: Vec<AssetVerdict>,
    /// What is no lie and still to be known, beside sums.
    #[serde(skip)]
    told: Vec<String>,
}

/// An asset of a statement.
#[derive(Clone, Debug, Serialize)]
pub struct AssetVerdict {
    /// Its name.
    pub asset: String,
    /// All that is owed, minor units.
    #[serde(with = "crate::sold::decimal")]
    pub owed: u128,
    /// How reserves are shown.
    pub shown: ShownBy,
    /// What is shown, minor units.
    #[serde(with = "crate::sold::decimal")]
    pub reserves: u128,
    /// At which block; 0 when nothing is shown.
    pub height: u64,
    /// Its hash, as explorers write it; empty when nothing is shown.
    pub block: String,
    /// When that was found, seconds since 1970, where it is among the headers at hand.
    pub block_secs: Option<u64>,
    /// Outputs or accounts.
    pub holdings: u64,
}

/// Checks every statement that is to be checked; the last one's verdict.
pub(super) fn check(
    source: &dyn Source,
    log: &Log,
    options: &Options,
) -> Result<Option<FundsVerdict>, VerifyError> {
    let mut last = None;
    // Grown once: each statement asks for the root of another beginning.
    let mut tree = GrownTree::default();
    if !log.funds.is_empty() {
        log.leaves.iter().for_each(|leaf| tree.push(*leaf));
    }
    let count = log.funds.len();
    let before = [0].into_iter().chain(log.funds.iter().map(|(at, _)| *at));
    for ((n, (at, entry)), before) in log.funds.iter().enumerate().zip(before) {
        // The last is always looked at, and the one before: the verdict speaks of what they say.
        if *at >= options.from_entry || n + 2 >= count {
            let mut own = one(source, log, &tree, (before, *at), entry, options)?;
            own.told = told(last.as_ref(), &own);
            if n + 1 == count {
                own.told.extend(spoken_late(log, *at, &own));
            }
            last = Some(own);
        }
    }
    Ok(last)
}

fn one(
    source: &dyn Source,
    log: &Log,
    tree: &GrownTree,
    (before, at): (u64, u64),
    entry: &FundsEntry,
    options: &Options,
) -> Result<FundsVerdict, VerifyError> {
    let place = format!("statement {}", entry.statement);
    let path = data_path(&entry.reserves.hash);
    let bytes = whole(source, &path, FILE_MAX, "reserves-missing")?;
    if sha256(&[&bytes]) != entry.reserves.hash || bytes.len() as u64 != entry.reserves.bytes {
        return lie("file-altered", path, "the file is not the one that the log names");
    }
    let reserves = match Reserves::parse(&bytes) {
        Ok(reserves) => reserves,
        Err(e) => return lie("reserves-malformed", place, e),
    };
    let part = usize::try_from(reserves.head_size).ok().and_then(|n| tree.root_of_first(n));
    if reserves.head_size > at || part != Some(reserves.head_root) {
        return lie("reserves-head", place, "they were signed for another history of this log");
    }
    // Else coins that were there for an hour could sign for all statements to come.
    if before > 0 && reserves.head_size <= before {
        return lie(
            "reserves-head",
            place,
            "they were signed before the statement before was in the log",
        );
    }
    if let Err(e) = reserves.check(&log.head.origin, entry) {
        return lie("reserves", place, e);
    }
    let assets = entry.assets.iter().map(|a| {
        let own = reserves.assets.iter().find(|r| r.asset == a.asset);
        let holdings = own.map_or(0, |r| r.holders.iter().map(|h| count(&h.holding)).sum());
        // A block is on one chain, whatever the lanes are called.
        let found = |r: &AssetReserves| options.headers.values().find_map(|h| h.found_at(&r.block));
        AssetVerdict {
            asset: a.asset.clone(),
            owed: a.owed.sum,
            shown: a.shown,
            reserves: a.reserves,
            height: own.map_or(0, |r| r.height),
            block: own.map_or_else(String::new, block_of),
            block_secs: own.and_then(found),
            holdings,
        }
    });
    let (statement, at_us, assets) = (entry.statement, entry.at_us, assets.collect());
    Ok(FundsVerdict { statement, at_us, assets, told: Vec::new() })
}

/// The hash of the block at which reserves stood, as explorers write it.
fn block_of(reserves: &AssetReserves) -> String {
    let mut block = reserves.block;
    if reserves.shown == ShownBy::Coins {
        block.reverse();
    }
    hex::encode(block)
}

/// That a statement speaks of a time long before what stands in the log before it: the coins of then may be gone, and with the
/// block of then, too, nothing else shows it.
fn spoken_late(log: &Log, at: u64, own: &FundsVerdict) -> Option<String> {
    let before = log.epochs.iter().filter(|e| e.at < at).map(|e| &e.summary);
    let ends = before.map(|s| s.epoch.next().0.saturating_mul(s.length_us) / 1_000_000).max()?;
    let secs = own.at_us / 1_000_000;
    (secs.saturating_add(BLOCK_AGE_SECS) < ends).then(|| {
        format!(
            "funds: statement {} speaks of {}, and stands in the log behind an epoch that ended {}: ask why of so long before",
            own.statement,
            utc(secs),
            utc(ends)
        )
    })
}

/// What a statement keeps to itself: an asset that the one before told of, or that its reserves are those of long ago.
fn told(before: Option<&FundsVerdict>, own: &FundsVerdict) -> Vec<String> {
    let mut all = Vec::new();
    let secs = own.at_us / 1_000_000;
    for a in &own.assets {
        if let Some(found) = a.block_secs.filter(|found| found + BLOCK_AGE_SECS < secs) {
            all.push(format!(
                "{}: the reserves of statement {} of {} stood at a block of {}: ask why at none of later",
                a.asset,
                own.statement,
                utc(secs),
                utc(found)
            ));
        }
    }
    let Some(before) = before else { return all };
    let is_later = secs.saturating_sub(before.at_us / 1_000_000) > BLOCK_AGE_SECS;
    for old in &before.assets {
        match own.assets.iter().find(|a| a.asset == old.asset) {
            None if old.owed > 0 => all.push(format!(
                "{}: statement {} says nothing of it, and of {} minor units that statement {} says were owed",
                old.asset, own.statement, old.owed, before.statement
            )),
            Some(a) if is_later && a.shown != ShownBy::Nothing && a.height <= old.height => {
                all.push(format!(
                    "{}: the reserves of statement {} stood at block {}, and those of statement {}, more than a day before, at block {}: \
                     ask why at none of later",
                    a.asset, own.statement, a.height, before.statement, old.height
                ));
            }
            _ => (),
        }
    }
    all
}

fn count(holding: &Holding) -> u64 {
    match holding {
        Holding::Coins(coins) => coins.len() as u64,
        Holding::Account(_) => 1,
    }
}

impl FundsVerdict {
    /// What is no lie and still to be known, beside sums.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }

    /// Assets of which less is shown than is owed.
    pub(super) fn short(&self) -> Vec<String> {
        self.short_assets()
            .map(|(a, missing)| {
                format!(
                    "{}: {} minor units are owed and {} are shown: {missing} are missing",
                    a.asset, a.owed, a.reserves
                )
            })
            .collect()
    }

    fn short_assets(&self) -> impl Iterator<Item = (&AssetVerdict, u128)> {
        let shown = self.assets.iter().filter(|a| a.shown != ShownBy::Nothing);
        shown.filter_map(|a| a.owed.checked_sub(a.reserves).filter(|n| *n > 0).map(|n| (a, n)))
    }

    fn unshown_assets(&self) -> impl Iterator<Item = &AssetVerdict> {
        let unshown = self.assets.iter().filter(|a| a.shown == ShownBy::Nothing && a.owed > 0);
        unshown.filter(|a| !a.asset.starts_with("work/"))
    }

    pub(super) fn not_proven(&self) -> Vec<String> {
        let mut all = vec![
            "that everybody to whom something is owed is counted: each customer checks his own proof".to_owned(),
            "that the coins shown stood unspent at their block (ask a node) and after it, and whose they are".to_owned(),
        ];
        all.extend(self.not_proven_sums());
        all
    }

    fn not_proven_sums(&self) -> impl Iterator<Item = String> {
        self.unshown_assets()
            .map(|a| format!("{}: that there is money for {} minor units owed", a.asset, a.owed))
    }

    /// What of these is told with sums in minor units, and the same in whole coins.
    pub(super) fn in_coins(&self) -> Vec<(String, String)> {
        let short = self.short_assets().map(|(a, missing)| {
            let [owed, shown, missing] = [a.owed, a.reserves, missing].map(|n| coins(&a.asset, n));
            format!("{owed} are owed and {shown} are shown: {missing} are missing")
        });
        let unshown = self
            .unshown_assets()
            .map(|a| format!("that there is money for {} owed", coins(&a.asset, a.owed)));
        let exact = self.short().into_iter().chain(self.not_proven_sums());
        exact.zip(short.chain(unshown)).collect()
    }
}

impl fmt::Display for FundsVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "funds, statement {}, of {}", self.statement, utc(self.at_us / 1_000_000))?;
        for a in &self.assets {
            write!(f, "  {:<9} owed {}", a.asset, coins(&a.asset, a.owed))?;
            match a.shown {
                ShownBy::Nothing => writeln!(f, ", nothing shown")?,
                ShownBy::Coins | ShownBy::Accounts => {
                    let sum = coins(&a.asset, a.reserves);
                    let when =
                        a.block_secs.map_or_else(String::new, |at| format!(" of {}", utc(at)));
                    writeln!(
                        f,
                        ", shown {sum} in {} signed holdings at height {}{when} (block {})",
                        a.holdings, a.height, a.block
                    )?;
                }
            }
        }
        Ok(())
    }
}
