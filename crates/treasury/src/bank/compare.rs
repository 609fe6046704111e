//! What the bank's statements say that an account has, held against the books.
//!
//! What stood at the bank before the first statement that says its balances, and in the books by then, is taken as it
//! was, with what waited for a person then: compared is what moved since. Entries that were taken before and stand in a
//! statement given later are not counted twice. Nothing is adjusted.

use super::camt::LEFT;
use super::import::{DOUBTS, Seen, places};
use super::{BankEntryView, BankStatement};
use crate::{BankAccount, Method, Result, Treasury, sql};
use gruve_ledger::balance;
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Amount, Asset};
use std::collections::BTreeSet;

/// Statements of an account that are looked at: a day each for fifty years.
const STATEMENTS_MAX: u32 = 20_000;
/// Gaps between statements that are told.
const GAPS_MAX: usize = 20;
/// Doubtful entries of which each is tried as one that moved money and as one that did not.
const DOUBTS_MAX: u32 = 12;

/// A bank account and the books side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankComparison {
    /// The account.
    pub bank: String,
    /// The day of the newest statement.
    pub on: String,
    /// What the bank says that it had then.
    pub there: Amount,
    /// What the account had before the first statement, less what the books had at it by then.
    pub beside: Amount,
    /// What the books have at it.
    pub books: Amount,
    /// What the bank has less what the books have, and what stood beside: zero, or what is not booked.
    pub difference: Amount,
    /// What waits for a person's word and is not booked. What may be the same as another is left out where the
    /// difference says that it is.
    pub undecided: Amount,
    /// How many entries that is.
    pub undecided_count: u64,
    /// Where a statement does not begin with what the one before ended with.
    pub gaps: Vec<String>,
}

impl BankComparison {
    /// Whether all of the difference is what waits for a person, if there is any.
    #[must_use]
    pub const fn is_explained(&self) -> bool {
        self.difference.minor == 0 || self.difference.minor == self.undecided.minor
    }
}

struct Statement {
    name: String,
    opening: i64,
    opened_on: String,
    closing: i64,
    closed_on: String,
    books: i64,
    known: i64,
    may_begin: bool,
}

impl Treasury {
    /// Keeps what a statement says of its balances, before its entries are taken.
    pub(super) async fn note_balances(&self, statement: &BankStatement) -> Result<()> {
        let balances = match &statement.balances {
            Ok(balances) => balances,
            Err(why) => {
                tracing::warn!(statement = statement.id, why, "a statement is not compared");
                return Ok(());
            }
        };
        let asset = balances.opening.asset;
        let is_its = |b: &BankAccount| b.iban == statement.account && b.asset == asset;
        if !self.0.banks.iter().any(is_its) {
            tracing::warn!(statement = statement.id, %asset, "a statement in another currency is not compared");
            return Ok(());
        }
        transact!(self.0.store, tx -> Result<()> => {
            // What the books had when the first statement was given is the same for all that follow.
            let of = params![statement.account.as_str(), asset];
            let noted = tx.fetch_optional(sql::BANK_BOOKS_BEFORE, &of).await?;
            let books: i64 = match &noted {
                Some(row) => row.get("books")?,
                None => {
                    tx.execute(sql::MARK_AT_START, &of).await?;
                    let waiting: i64 = tx.fetch_one(sql::BANK_UNDECIDED, &of).await?.get("minor")?;
                    let booked = balance(tx, &Method::Bank.clearing(), asset).await?;
                    booked.checked_add(Amount::new(asset, waiting))?.minor
                }
            };
            let (known, has_new) = known_at_start(tx, statement, asset).await?;
            // A day within a month that was told before says nothing of what the account had first.
            let within = params![
                statement.account.as_str(),
                asset,
                balances.opened_on.as_str(),
                balances.closed_on.as_str(),
                statement.id.as_str()
            ];
            let is_within = tx.fetch_optional(sql::BANK_STATEMENT_AROUND, &within).await?.is_some();
            let may_begin = noted.is_none() || (has_new && !is_within);
            let values = params![
                statement.account.as_str(),
                statement.id.as_str(),
                asset,
                balances.opening.minor,
                balances.opened_on.as_str(),
                balances.closing.minor,
                balances.closed_on.as_str(),
                books,
                self.now(),
                known,
                may_begin
            ];
            tx.execute(sql::PUT_BANK_STATEMENT, &values).await?;
            Ok(())
        })
    }

    /// Each bank account of which a statement said its balances, and the books.
    ///
    /// # Errors
    /// The database's.
    pub async fn compare_banks(&self, tx: &mut Tx) -> Result<Vec<BankComparison>> {
        let mut all = Vec::new();
        for bank in &self.0.banks {
            all.extend(compare(tx, bank).await?);
        }
        Ok(all)
    }

    /// What a dismissed entry means for the start of the comparison.
    pub(super) async fn leave_out(
        &self,
        tx: &mut Tx,
        entry: &BankEntryView,
        is_at_start: bool,
    ) -> Result<()> {
        let Some(amount) = entry.amount else { return Ok(()) };
        let (bank, asset) = (entry.bank.as_str(), amount.asset);
        let minor = amount.checked_neg()?.minor;
        let given = params![bank, asset, minor];
        if is_at_start {
            // It was counted as what would be booked yet.
            tx.execute(sql::UNMARK_AT_START, &params![entry.id]).await?;
            tx.execute(sql::MOVE_BANK_START, &given).await?;
        } else if entry.reason == LEFT && tx.execute(sql::FIND_SENT_AT_ONCE, &given).await? == 1 {
            // The books had let it go before the start, and the bank had not.
            tx.execute(sql::MOVE_BANK_START, &given).await?;
        }
        Ok(())
    }
}

/// How much of a statement was in the books when the first was given, and whether there is anything else in it. What
/// is counted here is so once.
async fn known_at_start(
    tx: &mut Tx,
    statement: &BankStatement,
    asset: Asset,
) -> Result<(i64, bool)> {
    let of = params![statement.account.as_str(), asset];
    if tx.fetch_optional(sql::BANK_AT_START, &of).await?.is_none() {
        return Ok((0, true));
    }
    let (mut known, mut has_new) = (Amount::zero(asset), false);
    for (place, _) in places(statement) {
        let Seen::Before(id) = place.seen(tx).await? else {
            has_new = true;
            continue;
        };
        if let Some(row) = tx.fetch_optional(sql::ENTRY_AT_START, &params![id, asset]).await? {
            known = known.checked_add(Amount::new(asset, row.get("amount")?))?;
            tx.execute(sql::UNMARK_AT_START, &params![id]).await?;
        }
    }
    Ok((known.minor, has_new))
}

async fn compare(tx: &mut Tx, bank: &BankAccount) -> Result<Option<BankComparison>> {
    let (iban, asset) = (bank.iban.as_str(), bank.asset);
    let rows = tx.fetch_all(sql::BANK_STATEMENTS, &params![iban, asset, STATEMENTS_MAX]).await?;
    let all = rows.iter().map(read).collect::<Result<Vec<Statement>>>()?;
    let start = all.iter().position(|s| s.may_begin).unwrap_or_default();
    let (Some(first), Some(newest)) = (all.get(start), all.last()) else { return Ok(None) };
    let waiting = tx.fetch_one(sql::BANK_UNDECIDED, &params![iban, asset]).await?;
    let minor = |minor: i64| Amount::new(asset, minor);
    let mut before = minor(first.books);
    for statement in all.iter().skip(start) {
        before = before.checked_sub(minor(statement.known))?;
    }
    let beside = minor(first.opening).checked_sub(before)?;
    let books = balance(tx, &Method::Bank.clearing(), asset).await?;
    let there = minor(newest.closing);
    let difference = there.checked_sub(books)?.checked_sub(beside)?;
    let undecided = minor(waiting.get("minor")?);
    let possible = without_doubts(tx, bank, undecided).await?;
    let undecided = if possible.contains(&difference.minor) { difference } else { undecided };
    Ok(Some(BankComparison {
        bank: bank.iban.clone(),
        on: newest.closed_on.clone(),
        there,
        beside,
        books,
        difference,
        undecided,
        undecided_count: waiting.get("n")?,
        gaps: gaps(&all, asset),
    }))
}

/// What may have moved at the bank of what waits, with or without each entry that may be the same as another.
async fn without_doubts(
    tx: &mut Tx,
    bank: &BankAccount,
    undecided: Amount,
) -> Result<BTreeSet<i64>> {
    let [a, b, c] = DOUBTS;
    let given = params![bank.iban.as_str(), bank.asset, a, b, c, DOUBTS_MAX];
    let mut sums = BTreeSet::from([undecided.minor]);
    for row in tx.fetch_all(sql::BANK_DOUBTS, &given).await? {
        let minor: i64 = row.get("amount")?;
        let without: Vec<i64> = sums.iter().filter_map(|s| s.checked_sub(minor)).collect();
        sums.extend(without);
    }
    Ok(sums)
}

fn gaps(all: &[Statement], asset: Asset) -> Vec<String> {
    let between = all.windows(2).filter(|w| w[0].closing != w[1].opening).map(|w| {
        let (closing, opening) = (Amount::new(asset, w[0].closing), Amount::new(asset, w[1].opening));
        format!(
            "statement {} of {} ends with {closing}, {} of {} begins with {opening}: one between them is missing",
            w[0].name, w[0].closed_on, w[1].name, w[1].opened_on
        )
    });
    between.take(GAPS_MAX).collect()
}

fn read(row: &Row) -> Result<Statement> {
    Ok(Statement {
        name: row.get("statement")?,
        opening: row.get("opening")?,
        opened_on: row.get("opened_on")?,
        closing: row.get("closing")?,
        closed_on: row.get("closed_on")?,
        books: row.get("books")?,
        known: row.get("known")?,
        may_begin: row.get("may_begin")?,
    })
}
