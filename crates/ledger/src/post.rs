//! Posting entries: decide first, then write.

mod sql;

use crate::entry::{Line, lines};
use crate::journal::hash_lines;
use crate::{Account, Entry, Floor, LedgerError, Posted, Result, Side};
use gruve_store::{Batch, Tx, Value, params};
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
    let posted = post_all(tx, std::slice::from_ref(entry)).await?;
    Ok(posted.first().copied().unwrap_or(Posted::Already))
}

/// Posts entries in this order, as [`post`] would one after the other, in a few statements for all. All of
/// them are in memory at once: hand over some thousands at a time.
///
/// # Errors
/// As [`post`], at the first entry that cannot be posted; then nothing of any has been written.
pub async fn post_all(tx: &mut Tx, entries: &[Entry]) -> Result<Vec<Posted>> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        all.push((entry, lines(entry)?));
    }
    let known = known(tx, &all).await?;
    let mut posted = Vec::with_capacity(all.len());
    let mut new: Vec<(&Entry, Vec<Line>)> = Vec::with_capacity(all.len());
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for (entry, lines) in all {
        let reused = || LedgerError::ReasonReused { reason: entry.reason.clone() };
        if let Some(stored) = known.get(entry.reason.as_str()) {
            if !stored.is(entry, &lines) {
                return Err(reused());
            }
            posted.push(Posted::Already);
        } else if let Some(before) = at.get(entry.reason.as_str()) {
            let (first, stored) = &new[*before];
            if first.kind != entry.kind || *stored != lines {
                return Err(reused());
            }
            posted.push(Posted::Already);
        } else {
            at.insert(&entry.reason, new.len());
            new.push((entry, lines));
            posted.push(Posted::New);
        }
    }
    if new.is_empty() {
        return Ok(posted);
    }
    let moves = plan(tx, &new).await?;
    // From here on half an entry stands in the transaction until all is done.
    let outcome = write(tx, &new, &moves).await;
    if outcome.is_err() {
        tx.abandon();
    }
    outcome.map(|()| posted)
}

/// An entry that stands in the books.
struct Stored {
    kind: String,
    lines: Vec<Line>,
}

impl Stored {
    fn is(&self, entry: &Entry, lines: &[Line]) -> bool {
        self.kind == entry.kind && self.lines == lines
    }
}

/// Those of the entries' reasons that are in the books, with what they stand for.
async fn known(tx: &mut Tx, all: &[(&Entry, Vec<Line>)]) -> Result<BTreeMap<String, Stored>> {
    let reasons = all.iter().map(|(entry, _)| Value::from(entry.reason.as_str())).collect();
    let mut known = BTreeMap::new();
    for found in tx.fetch_many(&ENTRIES_BY_REASON, reasons).await? {
        let seq: i64 = found.get("seq")?;
        let mut lines = Vec::new();
        for row in tx.fetch_all(POSTINGS_OF_ENTRY, &params![seq]).await? {
            lines.push(Line {
                account: row.get("account")?,
                asset: row.get("asset")?,
                minor: row.get("minor")?,
            });
        }
        known.insert(found.get("reason")?, Stored { kind: found.get("kind")?, lines });
    }
    Ok(known)
}

/// How one balance moves.
struct Move {
    kind: &'static str,
    /// The balance read before; `None` when the account has none yet.
    from: Option<i64>,
    to: i64,
}

/// Balances by the account's key and the asset.
type Moves = BTreeMap<(String, Asset), Move>;

/// Reads the balances that the entries move, and checks where each entry would leave them.
async fn plan(tx: &mut Tx, new: &[(&Entry, Vec<Line>)]) -> Result<Moves> {
    let mut moves = Moves::new();
    for (entry, _) in new {
        // Zero postings are not in the journal, so neither is a balance that only they would touch.
        for posting in entry.postings.iter().filter(|p| p.amount.minor != 0) {
            let kind = posting.account.kind().name();
            let key = (posting.account.key(), posting.amount.asset);
            moves.entry(key).or_insert(Move { kind, from: None, to: 0 });
        }
    }
    let keys = moves.keys().flat_map(|(account, asset)| params![account.as_str(), *asset]);
    for row in tx.fetch_many(&BALANCES, keys.collect()).await? {
        if let Some(m) = moves.get_mut(&(row.get("account")?, row.get("asset")?)) {
            m.to = row.get("minor")?;
            m.from = Some(m.to);
        }
    }
    for (entry, _) in new {
        for (key, (account, by)) in sums(entry) {
            let m = moves.get_mut(&key);
            let m = m.ok_or_else(|| LedgerError::Damaged("a balance was not planned".into()))?;
            m.to = moved(&key, &account, m.to, by)?;
        }
    }
    Ok(moves)
}

/// How an entry moves each balance, in the account's normal direction.
fn sums(entry: &Entry) -> BTreeMap<(String, Asset), (Account, i128)> {
    let mut sums = BTreeMap::new();
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
    sums
}

/// Where a balance ends.
fn moved((key, asset): &(String, Asset), account: &Account, from: i64, by: i128) -> Result<i64> {
    let overflow = || LedgerError::Overflow { account: key.clone(), asset: *asset };
    let minor = |v: i128| i64::try_from(v).map_err(|_| overflow());
    let to = i128::from(from) + by;
    if by < 0 && to < 0 && account.kind().floor() == Floor::Zero {
        return Err(LedgerError::InsufficientFunds {
            available: Amount::new(*asset, from),
            missing: Amount::new(*asset, minor(-to)?),
            account: key.clone(),
        });
    }
    minor(by)?;
    minor(to)
}

pub(crate) async fn read_balance(tx: &mut Tx, key: &str, asset: Asset) -> Result<Option<i64>> {
    let row = tx.fetch_optional(BALANCE, &params![key, asset]).await?;
    Ok(row.map(|r| r.get("minor")).transpose()?)
}

async fn write(tx: &mut Tx, new: &[(&Entry, Vec<Line>)], moves: &Moves) -> Result<()> {
    write_journal(tx, new).await?;
    let (mut fresh, mut changed) = (Batch::new(&INSERT_BALANCES), Batch::new(&MOVE_BALANCES));
    let mut wanted = (0, 0);
    for ((key, asset), m) in moves {
        match m.from {
            None => {
                wanted.0 += 1;
                fresh.push(tx, params![key.as_str(), *asset, m.kind, m.to]).await?;
            }
            // Guarded by what was decided on: a balance that is no longer that is not moved.
            Some(from) => {
                wanted.1 += 1;
                changed.push(tx, params![key.as_str(), *asset, from, m.to]).await?;
            }
        }
    }
    if (fresh.finish(tx).await?, changed.finish(tx).await?) != wanted {
        return Err(LedgerError::Damaged("a balance moved under a post".to_owned()));
    }
    Ok(())
}

/// Writes the entries behind the journal's head and moves that, once for all of them.
async fn write_journal(tx: &mut Tx, new: &[(&Entry, Vec<Line>)]) -> Result<()> {
    let (last, before) = read_head(tx).await?;
    let (mut seq, mut hash) = (last, before);
    let mut entries = Batch::new(&INSERT_ENTRIES);
    let mut rows = Vec::with_capacity(new.len());
    for (entry, lines) in new {
        seq = seq
            .checked_add(1)
            .ok_or_else(|| LedgerError::Damaged("the journal's numbers are used up".to_owned()))?;
        hash = hash_lines(&hash, seq, entry.at, &entry.reason, entry.kind, lines);
        rows.push((seq, hash));
    }
    let advanced = if last == 0 {
        tx.execute(START_HEAD, &params![seq, hash]).await?
    } else {
        tx.execute(ADVANCE_HEAD, &params![seq, hash, last, before]).await?
    };
    if advanced != 1 {
        return Err(LedgerError::Damaged("the journal's head moved under a post".to_owned()));
    }
    for ((seq, hash), (entry, _)) in rows.iter().zip(new) {
        let row = params![*seq, entry.reason.as_str(), entry.kind, entry.at, *hash];
        entries.push(tx, row).await?;
    }
    entries.finish(tx).await?;
    let mut postings = Batch::new(&INSERT_POSTINGS);
    for ((seq, _), (_, lines)) in rows.iter().zip(new) {
        for (number, line) in (0_i64..).zip(lines) {
            let row = params![*seq, number, line.account.as_str(), line.asset, line.minor];
            postings.push(tx, row).await?;
        }
    }
    postings.finish(tx).await?;
    Ok(())
}

/// The last entry's number and hash.
pub(crate) async fn read_head(tx: &mut Tx) -> Result<(i64, [u8; 32])> {
    match tx.fetch_optional(HEAD, &[]).await? {
        Some(row) => Ok((row.get("seq")?, row.get("hash")?)),
        None => Ok((0, crate::GENESIS)),
    }
}
