//! Whether the coins that the tables have are those that the chain has: the node is asked.
//!
//! [`Treasury::reconcile`] holds one table of ours against another. A coin that was never seen, or one that never was,
//! stands in both or in neither; only the chain tells.
//!
//! | the node | what is compared |
//! |---|---|
//! | has `scantxoutset` (Bitcoin Core, Litecoin Core) | all unspent outputs of our scripts, both ways |
//! | has not (Dogecoin Core) | each coin of the tables; coins that these lack cannot be looked for, and that is said |
//! | is ahead of the tables | what is younger than their newest block is left out; what was spent since is looked for in the blocks since |
//! | is behind them, or on another branch | nothing: that is an error |
//!
//! Nothing of the database is held meanwhile.

use crate::blocks::newest;
use crate::keys::Keychain;
use crate::payouts::written_id;
use crate::treasury::Wallet;
use crate::{Result, Treasury, sql};
use gruve_chain::{BlockRef, ChainCoin, NodeCoin, NodeCoins, NodeError, parse_block};
use gruve_store::params;
use gruve_units::{Amount, Asset};
use std::collections::{BTreeMap, BTreeSet};

/// Scripts that are looked for at most: some 25 megabytes of a request, and nodes take 32.
const SCRIPTS_MAX: u64 = 400_000;

/// Coins that a node without `scantxoutset` is asked for at most, the largest first: a minute's worth of questions.
const ASKED_MAX: usize = 50_000;

/// Blocks that are read to find what was spent since the tables' newest one: a week of Bitcoin, a day of Dogecoin.
const SINCE_MAX: u64 = 1_500;

/// Differences that are told.
const TOLD_MAX: usize = 100;

/// Addresses behind the last one watched that are looked at too.
const BEHIND: u32 = 1_000;

type Point = ([u8; 32], u32);

/// A coin of which the node says something else than the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinDifference {
    /// The coin, as `id:output`.
    pub coin: String,
    /// What the tables say it holds; none when they do not have it.
    pub in_books: Option<Amount>,
    /// What the node says; none when the chain has no such unspent output.
    pub at_node: Option<Amount>,
}

impl std::fmt::Display for CoinDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CoinDifference { coin, in_books, at_node } = self;
        match (in_books, at_node) {
            (Some(books), None) => write!(f, "coin {coin} of {books} is not in the chain"),
            (None, Some(node)) => {
                write!(
                    f,
                    "coin {coin} of {node} is the wallet's in the chain, and not in the books"
                )
            }
            _ => {
                let said = |a: &Option<Amount>| a.map_or("nothing".to_owned(), |a| a.to_string());
                write!(f, "coin {coin} holds {} by the books and ", said(in_books))?;
                write!(f, "{} in the chain", said(at_node))
            }
        }
    }
}

/// The coins of a wallet held against the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoinComparison {
    /// The height compared at.
    pub height: u64,
    /// Coins of the tables that the node was asked for.
    pub coins: usize,
    /// Those that differ, 100 at most.
    pub differences: Vec<CoinDifference>,
    /// What could not be compared, in words.
    pub left_out: Option<String>,
}

/// A wallet's coins as the tables have them.
struct Books {
    top: BlockRef,
    /// The largest first.
    coins: Vec<(Point, i64)>,
    /// The last address watched of pay-ins and of change.
    last: [(Keychain, u32); 2],
}

impl Treasury {
    /// Asks the node of a chain with coins for the wallet's unspent outputs at the newest block connected. It may
    /// take minutes: for an audit.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`]; the node's, also when it is behind the tables, on another branch, or too far
    /// ahead; the database's.
    pub async fn compare_coins_with_node(&self, asset: Asset) -> Result<CoinComparison> {
        let wallet = self.wallet(asset)?;
        let Some(books) = self.coins_in_books(asset).await? else {
            let (differences, left_out) = (Vec::new(), None);
            return Ok(CoinComparison { height: 0, coins: 0, differences, left_out });
        };
        // A look takes minutes, and what is seen from further behind is no difference when the node has come further.
        stands_on(wallet, &books.top).await?;
        let scripts = looked_for(wallet, &books.last)?;
        match wallet.node.coins_of(&scripts).await? {
            Some(found) => compare_all(wallet, &books, &found).await,
            None => compare_each(wallet, &books).await,
        }
    }

    async fn coins_in_books(&self, asset: Asset) -> Result<Option<Books>> {
        let mut tx = self.0.store.read().await?;
        let Some((top, _)) = newest(&mut tx, asset).await? else { return Ok(None) };
        let mut coins = Vec::new();
        for row in tx.fetch_all(sql::UNSPENT, &params![asset]).await? {
            coins.push(((row.get("txid")?, row.get("vout")?), row.get("value")?));
        }
        coins.sort_by_key(|(_, value): &(Point, i64)| std::cmp::Reverse(*value));
        let mut last = [(Keychain::PayIn, 0), (Keychain::Change, 0)];
        for (keychain, last) in &mut last {
            let key = params![asset, keychain.number()];
            let at: i64 = tx.fetch_one(sql::LAST_ADDRESS, &key).await?.get("last")?;
            *last = u32::try_from(at).unwrap_or(0);
        }
        Ok(Some(Books { top, coins, last }))
    }
}

/// The scripts of the wallet, from its keys and not from the tables.
fn looked_for(wallet: &Wallet, last: &[(Keychain, u32); 2]) -> Result<Vec<Vec<u8>>> {
    let count: u64 = last.iter().map(|(_, last)| u64::from(*last) + u64::from(BEHIND)).sum();
    if count > SCRIPTS_MAX {
        let why = format!("{count} addresses are more than a node is asked for at once");
        return Err(NodeError::NotReady(why).into());
    }
    let mut scripts: Vec<Vec<u8>> = wallet.fixed.iter().map(|(_, s)| s.clone()).collect();
    for (keychain, last) in last {
        for index in 0..=last + BEHIND {
            scripts.push(wallet.keys.script(*keychain, index)?.into_bytes());
        }
    }
    Ok(scripts)
}

async fn compare_all(wallet: &Wallet, books: &Books, found: &NodeCoins) -> Result<CoinComparison> {
    let top = books.top;
    stands_on(wallet, &top).await?;
    let old = |c: &&NodeCoin| c.height <= top.height && c.value > 0;
    let mut at_node: BTreeMap<Point, i64> =
        found.coins.iter().filter(old).map(|c| ((c.txid, c.vout), c.value)).collect();
    let (mut differ, mut missing) = (Vec::new(), Vec::new());
    for (point, value) in &books.coins {
        match at_node.remove(point) {
            Some(said) if said == *value => {}
            Some(said) => differ.push((*point, Some(*value), Some(said))),
            None => missing.push((*point, *value)),
        }
    }
    differ.extend(not_spent_since(wallet, &top, &found.at, missing).await?);
    differ.extend(at_node.into_iter().map(|(point, value)| (point, None, Some(value))));
    Ok(told(wallet, books, books.coins.len(), differ, None))
}

async fn compare_each(wallet: &Wallet, books: &Books) -> Result<CoinComparison> {
    let top = books.top;
    stands_on(wallet, &top).await?;
    let (mut differ, mut missing) = (Vec::new(), Vec::new());
    let mut asked = 0;
    for (point, value) in books.coins.iter().take(ASKED_MAX) {
        match wallet.node.chain_coin(&point.0, point.1).await? {
            ChainCoin::Untold => {
                return Err(NodeError::NotReady("it cannot be asked for coins".to_owned()).into());
            }
            ChainCoin::Unspent(said) if said == *value => {}
            ChainCoin::Unspent(said) => differ.push((*point, Some(*value), Some(said))),
            ChainCoin::Gone => missing.push((*point, *value)),
        }
        asked += 1;
    }
    let at = wallet.node.tip().await?;
    differ.extend(not_spent_since(wallet, &top, &at, missing).await?);
    let mut left_out =
        "coins that the books lack: the node cannot look for them (it has no scantxoutset)"
            .to_owned();
    if asked < books.coins.len() {
        let more = books.coins.len() - asked;
        left_out = format!("{left_out}; {more} coins of the books, the smallest");
    }
    Ok(told(wallet, books, asked, differ, Some(left_out)))
}

/// Whether the node's chain has the newest block of the tables.
async fn stands_on(wallet: &Wallet, top: &BlockRef) -> Result<()> {
    let there = wallet.node.block_hash(top.height).await?;
    if there == Some(top.hash) {
        return Ok(());
    }
    let why = if there.is_some() { "on another branch than" } else { "behind" };
    let why = format!("it is {why} the books' newest block, {}", top.height);
    Err(NodeError::NotReady(why).into())
}

type Difference = (Point, Option<i64>, Option<i64>);

/// Of coins that the node has no more, those that no block behind the tables' newest one spends.
async fn not_spent_since(
    wallet: &Wallet,
    top: &BlockRef,
    at: &BlockRef,
    missing: Vec<(Point, i64)>,
) -> Result<Vec<Difference>> {
    let mut spent: BTreeSet<Point> = BTreeSet::new();
    let ahead = at.height.saturating_sub(top.height);
    if !missing.is_empty() && ahead > SINCE_MAX {
        let why = format!(
            "it is {ahead} blocks ahead of the books, and coins were spent since: have the house follow, and audit \
             again"
        );
        return Err(NodeError::NotReady(why).into());
    }
    let heights = if missing.is_empty() { 0..0 } else { top.height + 1..at.height + 1 };
    for height in heights {
        let Some(hash) = wallet.node.block_hash(height).await? else { break };
        let bytes = wallet.node.block(&hash).await?;
        let block = parse_block(&bytes, &wallet.params)
            .map_err(|e| NodeError::NotReady(format!("its block {height} cannot be read: {e}")))?;
        spent.extend(block.txs.iter().filter(|t| !t.coinbase).flat_map(|t| &t.inputs));
    }
    let left = missing.into_iter().filter(|(point, _)| !spent.contains(point));
    Ok(left.map(|(point, value)| (point, Some(value), None)).collect())
}

fn told(
    wallet: &Wallet,
    books: &Books,
    coins: usize,
    mut differ: Vec<Difference>,
    left_out: Option<String>,
) -> CoinComparison {
    let asset = wallet.asset();
    differ.sort_unstable();
    let one = |((txid, vout), in_books, at_node): Difference| CoinDifference {
        coin: format!("{}:{vout}", written_id(asset, &txid)),
        in_books: in_books.map(|minor| Amount::new(asset, minor)),
        at_node: at_node.map(|minor| Amount::new(asset, minor)),
    };
    let left_out = match differ.len().checked_sub(TOLD_MAX).filter(|n| *n > 0) {
        Some(more) => Some(format!("{more} more coins that differ")),
        None => left_out,
    };
    let differences = differ.into_iter().take(TOLD_MAX).map(one).collect();
    CoinComparison { height: books.top.height, coins, differences, left_out }
}
