//! What the bank's statements say that an account has, held against the books.
//!
//! What stood at the bank before the first statement that says its balances, and in the books by then, is taken as it
//! was: compared is what moved since. Nothing is adjusted.

use super::BankStatement;
use crate::{BankAccount, Method, Result, Treasury};
use gruve_ledger::balance;
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Amount, Asset};

/// Statements of an account that are looked at: a day each for fifty years.
const STATEMENTS_MAX: u32 = 20_000;
/// Gaps between statements that are told.
const GAPS_MAX: usize = 20;

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
    /// What waits for a person's word and is not booked.
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
            let books: i64 = match tx.fetch_optional(crate::sql::BANK_BOOKS_BEFORE, &of).await? {
                Some(row) => row.get("books")?,
                None => balance(tx, &Method::Bank.clearing(), asset).await?.minor,
            };
            let values = params![
                statement.account.as_str(),
                statement.id.as_str(),
                asset,
                balances.opening.minor,
                balances.opened_on.as_str(),
                balances.closing.minor,
                balances.closed_on.as_str(),
                books,
                self.now()
            ];
            tx.execute(crate::sql::PUT_BANK_STATEMENT, &values).await?;
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
}

async fn compare(tx: &mut Tx, bank: &BankAccount) -> Result<Option<BankComparison>> {
    let (iban, asset) = (bank.iban.as_str(), bank.asset);
    let rows =
        tx.fetch_all(crate::sql::BANK_STATEMENTS, &params![iban, asset, STATEMENTS_MAX]).await?;
    let all = rows.iter().map(read).collect::<Result<Vec<Statement>>>()?;
    let (Some(first), Some(newest)) = (all.first(), all.last()) else { return Ok(None) };
    let waiting = tx.fetch_one(crate::sql::BANK_UNDECIDED, &params![iban, asset]).await?;
    let minor = |minor: i64| Amount::new(asset, minor);
    let beside = minor(first.opening).checked_sub(minor(first.books))?;
    let books = balance(tx, &Method::Bank.clearing(), asset).await?;
    let there = minor(newest.closing);
    let difference = there.checked_sub(books)?.checked_sub(beside)?;
    Ok(Some(BankComparison {
        bank: bank.iban.clone(),
        on: newest.closed_on.clone(),
        there,
        beside,
        books,
        difference,
        undecided: minor(waiting.get("minor")?),
        undecided_count: waiting.get("n")?,
        gaps: gaps(&all, asset),
    }))
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
    })
}
