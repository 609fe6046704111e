//! Posting an entry: decide first, then write.

mod sql;

use crate::entry::{Line, lines};
use crate::journal::hash_lines;
use crate::{Account, Entry, Floor, LedgerError, Posted, Result, Side};
use gruve_store::{Tx, params};
use gruve_units::{Amount, Asset};
use std::collections::BTreeMap;

pub(crate) use sql::*;

/// Posts an entry in the caller's transaction.
///
/// # Errors
/// [`LedgerError::InsufficientFunds`] when an account would pass its floor: nothing has then been
/// written and the transaction can go on. All other errors but the database's transient ones are
/// the house's own mistakes.
pub async fn post(tx: &mut Tx, entry: &Entry) -> Result<Posted> {
    let lines = lines(entry)?;
    if is_posted(tx, entry, &lines).await? {
        return Ok(Posted::Already);
    }
    let moves = plan(tx, entry).await?;
    // From here on half an entry stands in the transaction until all is done.
    let outcome = write(tx, entry, &lines, &moves).await;
    if outcome.is_err() {
        tx.abandon();
    }
    outcome.map(|()| Posted::New)
}

/// Whether the same entry stands in the books.
async fn is_posted(tx: &mut Tx, entry: &Entry, lines: &[Line]) -> Result<bool> {
    let Some(found) = tx.fetch_optional(ENTRY_BY_REASON, &params![entry.reason.as_str()]).await?
    else {
        return Ok(false);
    };
    let seq: i64 = found.get("seq")?;
    let rows = tx.fetch_all(POSTINGS_OF_ENTRY, &params![seq]).await?;
    let mut same = found.get::<String>("kind")? == entry.kind && rows.len() == lines.len();
    for (row, line) in rows.iter().zip(lines) {
        same &= row.get::<String>("account")? == line.account
            && row.get::<Asset>("asset")? == line.asset
            && row.get::<i64>("minor")? == line.minor;
    }
    if same { Ok(true) } else { Err(LedgerError::ReasonReused { reason: entry.reason.clone() }) }
}

/// How one balance moves.
struct Move {
    account: Account,
    asset: Asset,
    /// In the account's normal direction.
    by: i64,
    /// The balance read before; `None` when the account has none yet.
    from: Option<i64>,
    to: i64,
}

/// Reads the balances that the entry moves, in sorted order, and checks where they would end.
async fn plan(tx: &mut Tx, entry: &Entry) -> Result<Vec<Move>> {
    let mut sums: BTreeMap<(String, Asset), (Account, i128)> = BTreeMap::new();
    // Zero postings are not in the journal, so neither is a balance that only they would touch.
    for posting in entry.postings.iter().filter(|p| p.amount.minor != 0) {
        let minor = i128::from(posting.amount.minor);
        let by = match posting.account.kind().side() {
            Side::Debit => minor,
            Side::Credit => -minor,
        };
        sums.entry((posting.account.key(), posting.amount.asset))
            .or_insert_with(|| (posting.account.clone(), 0))
            .1 += by;
    }

    let mut moves = Vec::with_capacity(sums.len());
    for ((key, asset), (account, by)) in sums {
        let from = read_balance(tx, &key, asset).await?;
        let overflow = || LedgerError::Overflow { account: key.clone(), asset };
        let to = i128::from(from.unwrap_or(0)) + by;
        if by < 0 && to < 0 && account.kind().floor() == Floor::Zero {
            let minor = |v: i128| i64::try_from(v).map_err(|_| overflow());
            return Err(LedgerError::InsufficientFunds {
                available: Amount::new(asset, from.unwrap_or(0)),
                missing: Amount::new(asset, minor(-to)?),
                account: key,
            });
        }
        let (by, to) = match (i64::try_from(by), i64::try_from(to)) {
            (Ok(by), Ok(to)) => (by, to),
            _ => return Err(overflow()),
        };
        moves.push(Move { account, asset, by, from, to });
    }
    Ok(moves)
}

pub(crate) async fn read_balance(tx: &mut Tx, key: &str, asset: Asset) -> Result<Option<i64>> {
    let row = tx.fetch_optional(BALANCE, &params![key, asset]).await?;
    Ok(row.map(|r| r.get("minor")).transpose()?)
}

async fn write(tx: &mut Tx, entry: &Entry, lines: &[Line], moves: &[Move]) -> Result<()> {
    let (last, before) = read_head(tx).await?;
    let seq = last
        .checked_add(1)
        .ok_or_else(|| LedgerError::Damaged("the journal's numbers are used up".to_owned()))?;
    let hash = hash_lines(&before, seq, entry.at, &entry.reason, entry.kind, lines);
    let advanced = if last == 0 {
        tx.execute(START_HEAD, &params![seq, hash]).await?
    } else {
        tx.execute(ADVANCE_HEAD, &params![seq, hash, last, before]).await?
    };
    if advanced != 1 {
        return Err(LedgerError::Damaged("the journal's head moved under a post".to_owned()));
    }
    let row = params![seq, entry.reason.as_str(), entry.kind, entry.at, hash];
    tx.execute(INSERT_ENTRY, &row).await?;
    for (number, line) in (0_i64..).zip(lines) {
        let row = params![seq, number, line.account.as_str(), line.asset, line.minor];
        tx.execute(INSERT_POSTING, &row).await?;
    }
    for m in moves {
        let key = m.account.key();
        let moved = match m.from {
            None => {
                let kind = m.account.kind().name();
                tx.execute(INSERT_BALANCE, &params![key.as_str(), m.asset, kind, m.to]).await?
            }
            // Guarded by what was decided on: a balance that is no longer that is not moved.
            Some(from) => {
                tx.execute(MOVE_BALANCE, &params![key.as_str(), m.asset, m.by, from]).await?
            }
        };
        if moved != 1 {
            return Err(LedgerError::Damaged(format!("the balance of {key} moved under a post")));
        }
    }
    Ok(())
}

/// The last entry's number and hash.
pub(crate) async fn read_head(tx: &mut Tx) -> Result<(i64, [u8; 32])> {
    match tx.fetch_optional(HEAD, &[]).await? {
        Some(row) => Ok((row.get("seq")?, row.get("hash")?)),
        None => Ok((0, crate::GENESIS)),
    }
}
