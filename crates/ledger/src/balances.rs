//! Reading balances and an account's lines.

use crate::post::{
    BALANCES, BALANCES_OF_ACCOUNT, BALANCES_OF_KIND, LINES_OF_ACCOUNT, MOVED_BEFORE, MOVED_LATELY,
    SUMS_OF_KIND, TOTALS, read_balance,
};
use crate::{Account, AccountKind, LedgerError, Result, Side};
use gruve_store::{Row, Tx, params};
use gruve_units::{AccountId, Amount, Asset, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of one page at most.
pub const PAGE_MAX: u32 = 1_000;

/// An account's balance in its normal direction; zero when nothing was ever posted to it.
///
/// # Errors
/// The database's.
pub async fn balance(tx: &mut Tx, account: &Account, asset: Asset) -> Result<Amount> {
    let minor = read_balance(tx, &account.key(), asset).await?.unwrap_or(0);
    Ok(Amount::new(asset, minor))
}

/// The same of many accounts, in the order given; an account may stand there more than once.
///
/// # Errors
/// The database's.
pub async fn balances(tx: &mut Tx, accounts: &[Account], asset: Asset) -> Result<Vec<Amount>> {
    let keys: BTreeSet<String> = accounts.iter().map(Account::key).collect();
    let given = keys.into_iter().flat_map(|key| params![key, asset]).collect();
    let mut found: HashMap<String, i64> = HashMap::new();
    for row in tx.fetch_many(&BALANCES, given).await? {
        found.insert(row.get("account")?, row.get("minor")?);
    }
    let of = |account: &Account| found.get(&account.key()).copied().unwrap_or(0);
    Ok(accounts.iter().map(|account| Amount::new(asset, of(account))).collect())
}

/// All balances of a customer, available and held, in every asset ever posted.
///
/// # Errors
/// The database's.
pub async fn customer_balances(tx: &mut Tx, customer: AccountId) -> Result<Vec<(Account, Amount)>> {
    let mut all = Vec::new();
    for account in [Account::CustomerAvailable(customer), Account::CustomerHeld(customer)] {
        let rows = tx.fetch_all(BALANCES_OF_ACCOUNT, &params![account.key()]).await?;
        for row in rows {
            all.push((account.clone(), Amount::new(row.get("asset")?, row.get("minor")?)));
        }
    }
    Ok(all)
}

/// The balances of all accounts of a kind in one asset, ordered by key: one page of at most
/// [`PAGE_MAX`] after the account `after`.
///
/// # Errors
/// The database's.
pub async fn balances_of(
    tx: &mut Tx,
    kind: AccountKind,
    asset: Asset,
    after: Option<&Account>,
) -> Result<Vec<(Account, Amount)>> {
    let after = after.map(Account::key).unwrap_or_default();
    let rows =
        tx.fetch_all(BALANCES_OF_KIND, &params![kind.name(), asset, after, PAGE_MAX]).await?;
    rows.iter().map(|row| Ok((account_of(row)?, Amount::new(asset, row.get("minor")?)))).collect()
}

/// The sum over each kind of account that has balances in an asset, in its normal direction.
///
/// # Errors
/// The database's, also when a sum does not fit 64 bits.
pub async fn totals(tx: &mut Tx, asset: Asset) -> Result<Vec<(AccountKind, Amount)>> {
    let rows = tx.fetch_all(TOTALS, &params![asset]).await?;
    rows.iter()
        .map(|row| {
            let kind = row.get::<String>("kind")?.parse().map_err(LedgerError::Damaged)?;
            Ok((kind, Amount::new(asset, row.get("minor")?)))
        })
        .collect()
}

/// What all entries of a kind have posted to each account: debits positive, credits negative. For audits: it reads
/// the kind's whole journal, and its answer has a line for each account and asset.
///
/// # Errors
/// The database's, also when a sum does not fit 64 bits.
pub async fn sums_of_kind(tx: &mut Tx, kind: &str) -> Result<BTreeMap<(Account, Asset), i64>> {
    let mut all = BTreeMap::new();
    let (mut account, mut asset) = (String::new(), String::new());
    loop {
        let given = params![kind, account.as_str(), asset.as_str(), PAGE_MAX];
        let rows = tx.fetch_all(SUMS_OF_KIND, &given).await?;
        for row in &rows {
            (account, asset) = (row.get("account")?, row.get("asset")?);
            all.insert((account_of(row)?, row.get("asset")?), row.get("minor")?);
        }
        if rows.len() < PAGE_MAX as usize {
            return Ok(all);
        }
    }
}

/// One posting to an account, with the entry it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The entry's number.
    pub seq: i64,
    /// Which of the entry's lines it is: an entry may have several of one account.
    pub line: i64,
    /// The entry's reason.
    pub reason: String,
    /// The entry's kind.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// What it moved, in the account's normal direction.
    pub amount: Amount,
}

/// The latest postings to an account in one asset, newest first, before the one of that entry and line: at most `limit`,
/// at most [`PAGE_MAX`].
///
/// # Errors
/// The database's.
pub async fn lines_of(
    tx: &mut Tx,
    account: &Account,
    asset: Asset,
    before: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<Line>> {
    let (seq, line) = before.unwrap_or((i64::MAX, i64::MAX));
    let given = params![account.key(), asset, seq, line, limit.min(PAGE_MAX)];
    let rows = tx.fetch_all(LINES_OF_ACCOUNT, &given).await?;
    let line = |row: &Row| {
        Ok(Line {
            seq: row.get("seq")?,
            line: row.get("line")?,
            reason: row.get("reason")?,
            kind: row.get("kind")?,
            at: row.get("at")?,
            amount: in_normal_direction(account, asset, row.get("minor")?),
        })
    };
    rows.iter().map(line).collect()
}

/// What all postings to an account before one of them have moved in one asset: its balance then.
///
/// # Errors
/// The database's, also when the sum does not fit 64 bits.
pub async fn balance_before(
    tx: &mut Tx,
    account: &Account,
    asset: Asset,
    (seq, line): (i64, i64),
) -> Result<Amount> {
    let row = tx.fetch_one(MOVED_BEFORE, &params![account.key(), asset, seq, line]).await?;
    Ok(in_normal_direction(account, asset, row.get("minor")?))
}

/// What entries have moved on an account lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// By the entries' kind: the sum after each of the moments asked for, in the account's normal direction.
    pub sums: BTreeMap<String, [Amount; 3]>,
    /// Nothing after the earliest of those moments was left out.
    pub is_whole: bool,
}

/// What the latest `lines_max` postings to an account have moved in one asset after each of three moments, by the kind of
/// entry. The database adds it up: thousands of lines are one row for a kind.
///
/// # Errors
/// The database's, also when a sum does not fit 64 bits.
pub async fn moved_since(
    tx: &mut Tx,
    account: &Account,
    asset: Asset,
    since: [Timestamp; 3],
    lines_max: u32,
) -> Result<Moved> {
    let given = params![account.key(), asset, since[0], since[1], since[2], lines_max];
    let (mut sums, mut lines, mut oldest) = (BTreeMap::new(), 0, None);
    for row in tx.fetch_all(MOVED_LATELY, &given).await? {
        let sum = |minor| in_normal_direction(account, asset, minor);
        let of_kind = [sum(row.get("a")?), sum(row.get("b")?), sum(row.get("c")?)];
        sums.insert(row.get("kind")?, of_kind);
        lines += row.get::<i64>("lines")?;
        let at: Timestamp = row.get("oldest")?;
        oldest = Some(oldest.map_or(at, |earlier: Timestamp| earlier.min(at)));
    }
    let is_whole = lines < i64::from(lines_max) || oldest <= since.into_iter().min();
    Ok(Moved { sums, is_whole })
}

/// A posting's amount, debits positive, as the account's own.
fn in_normal_direction(account: &Account, asset: Asset, minor: i64) -> Amount {
    let minor = match account.kind().side() {
        Side::Debit => minor,
        Side::Credit => minor.saturating_neg(),
    };
    Amount::new(asset, minor)
}

fn account_of(row: &Row) -> Result<Account> {
    row.get::<String>("account")?.parse().map_err(LedgerError::Damaged)
}
