//! What the card service books on the account that we have there: payments, what it takes for them, what is given
//! back, disputes, and what it pays out to the bank.
//!
//! A payment stands in the clearing account of cards when the service tells of it ([`crate::payments`]); what
//! the service then does with it is read from its account, line by line, and moves it on:
//!
//! | line | debit | credit |
//! |---|---|---|
//! | a customer's payment | at the service, less the fee; fees | clearing of cards |
//! | given back, or taken by a dispute | clearing of cards; fees | at the service |
//! | paid out to the bank | under way | at the service |
//! | what the service takes for itself | fees | at the service |
//! | anything else | the operator's own | at the service |
//!
//! In the other direction each the other way round. A customer's payment that arrives in another currency goes
//! over an account of exchange, which holds in each currency what came of it and what was due. Of a line in a
//! currency that the books do not keep only what it is in the customer's is booked. A payment made in such a currency
//! is none of ours, whose places to pay ask for currencies of the books: it is the operator's own.
//!
//! Lines are read newest first, page by page, and booked when the list is through, the oldest first: whether a
//! payment given back was a customer's is known by the payment. What is read again is known by its name.
//!
//! # Promises
//! - A line is booked once, whole, however often, late or in whichever order it is told.
//! - One that cannot be read or booked holds up no other, and is tried again. Nothing is adjusted: what the
//!   service has and the books do not is a difference that is told ([`Treasury::compare_services`]).
//!
//! # What this must not know
//! What was bought.

mod compare;
mod line;
pub(crate) mod sql;

pub use compare::{ServiceComparison, ServicesCompared};

use super::missed::{AGAIN_AFTER, Reading};
use crate::{Method, Result, Treasury, TreasuryError};
use gruve_ledger::{Account, Entry, Posted, Posting, post};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Amount, Asset, Duration, Timestamp};
use line::{Kind, Line, read_line};
use serde_json::Value;

/// How often the list is read: fees and payouts are wanted in the books by the day.
const READ_EVERY: Duration = Duration::from_secs(3_600);
/// What was made shortly before the newest that was read is read once more: a line may be shown a little late.
const OVERLAP: Duration = Duration::from_secs(6 * 3_600);
/// Pages of one reading: a million lines, for an account that has a history when it is first read.
const PAGES_MAX: u32 = 50_000;
/// Lines booked without looking for more: each is a transaction of the database.
const BOOKED_AT_ONCE: u32 = 200;

/// How far the list is read in this life.
#[derive(Debug, Default)]
pub(crate) struct Turnover {
    reading: Reading,
    /// The newest line of it.
    newest: Timestamp,
    /// Not before is it read once more for a difference.
    compare_next: Timestamp,
}

/// What stands at the service.
fn at_service() -> Account {
    Account::Clearing("stripe".to_owned())
}

/// Between services, banks and whoever money is sent back to.
pub(crate) fn under_way() -> Account {
    Account::Clearing("transit".to_owned())
}

/// What the operator has put in and taken out of his own.
pub(crate) fn operators_own() -> Account {
    Account::Clearing("operator".to_owned())
}

fn exchange() -> Account {
    Account::Clearing("exchange".to_owned())
}

impl Treasury {
    /// Reads a page of the service's account, if it is due; when it was the last one, books what was read, and holds what the
    /// service has against the books.
    pub(super) async fn read_turnover(&self) -> Result<()> {
        let Some(stripe) = &self.0.services.stripe else { return Ok(()) };
        let mut turnover = self.0.turnover.lock().await;
        let now = self.now();
        if now < turnover.reading.next {
            return Ok(());
        }
        let since = self.turnover_since().await?;
        let after = turnover.reading.after.clone();
        let (entries, has_more) = match stripe.turnover(since, after.as_deref()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "the card service's account is read later");
                turnover.reading.next = now.plus(AGAIN_AFTER);
                return Ok(());
            }
        };
        let (lines, last, has_failed) = lines_of(&entries);
        turnover.reading.has_failed |= has_failed;
        let newest = lines.iter().map(|l| l.made).max().unwrap_or_default();
        turnover.newest = turnover.newest.max(newest);
        transact!(self.0.store, tx -> Result<()> => {
            for line in &lines {
                store_line(tx, line).await?;
            }
            self.passing("turnover read, before commit")
        })?;
        self.passing("turnover read, after commit")?;
        turnover.reading.pages += 1;
        let pages = turnover.reading.pages;
        if has_more && pages < PAGES_MAX && last.is_some() && last != after {
            turnover.reading.after = last;
            return Ok(());
        }
        // Whether a line is of a customer's payment may be said by one further down.
        let is_booked = !has_more && self.book_turnover().await?;
        let is_whole = !has_more && !turnover.reading.has_failed;
        if is_whole {
            let until = turnover.newest.max(since.plus(OVERLAP));
            transact!(self.0.store, tx -> Result<()> => {
                let values = params![Method::Card.word(), until];
                tx.execute(sql::PUT_READ_UNTIL, &values).await?;
                Ok(())
            })?;
        }
        let wait = if is_whole && is_booked { READ_EVERY } else { AGAIN_AFTER };
        let compare_next = turnover.compare_next;
        *turnover = Turnover { compare_next, ..Turnover::default() };
        turnover.reading.next = now.plus(wait);
        // Many pages may be asked for.
        drop(turnover);
        self.compare_for_later(stripe, now).await
    }

    /// From when on the list is to be read: from its beginning at first.
    async fn turnover_since(&self) -> Result<Timestamp> {
        let mut tx = self.0.store.read().await?;
        let row = tx.fetch_optional(sql::READ_UNTIL, &params![Method::Card.word()]).await?;
        let until: Timestamp = row.map(|r| r.get("read_until")).transpose()?.unwrap_or_default();
        Ok(until.minus(OVERLAP).max(Timestamp::default()))
    }

    /// Books what is read, the oldest first; whether all of it could be.
    async fn book_turnover(&self) -> Result<bool> {
        let (mut behind, mut is_whole) = ((Timestamp(i64::MIN), String::new()), true);
        loop {
            let rows = {
                let mut tx = self.0.store.read().await?;
                let given =
                    params![Method::Card.word(), behind.0, behind.1.as_str(), BOOKED_AT_ONCE];
                tx.fetch_all(sql::UNBOOKED, &given).await?
            };
            for row in &rows {
                let line = stored_line(row)?;
                let booked = transact!(self.0.store, tx -> Result<()> => {
                    self.book_line(tx, &line).await?;
                    self.passing("turnover booked, before commit")
                });
                match booked {
                    Ok(()) => self.passing("turnover booked, after commit")?,
                    Err(e @ (TreasuryError::BrokenOff(_) | TreasuryError::Store(_))) => {
                        return Err(e);
                    }
                    Err(error) => {
                        is_whole = false;
                        tracing::error!(line = line.name, %error, "a line of the card service is not booked");
                    }
                }
                behind = (line.made, line.name);
            }
            if u32::try_from(rows.len()).unwrap_or(u32::MAX) < BOOKED_AT_ONCE {
                return Ok(is_whole);
            }
        }
    }

    async fn book_line(&self, tx: &mut Tx, line: &Line) -> Result<()> {
        let kind = match (line.kind, &line.about) {
            (Kind::Customer, Some(about)) => {
                let given = params![Method::Card.word(), about.as_str()];
                let is_ours = tx.fetch_optional(sql::IS_OURS, &given).await?.is_some();
                if is_ours { Kind::Customer } else { Kind::Own }
            }
            // Of a payment that no place of ours can have made.
            (Kind::Customer, None) => Kind::Own,
            (kind, _) => kind,
        };
        let values = params![Method::Card.word(), line.name.as_str(), kind.word()];
        if tx.execute(sql::BOOKED, &values).await? != 1 {
            return Ok(());
        }
        let postings = postings_of(line, kind)?;
        if postings.is_empty() {
            return Ok(());
        }
        let entry = Entry {
            reason: format!("treasury:turnover:{}:{}", Method::Card, line.name),
            kind: "treasury-turnover",
            at: self.now(),
            postings,
        };
        match post(tx, &entry).await? {
            Posted::New => Ok(()),
            Posted::Already => Err(TreasuryError::Damaged("a service's line was booked twice")),
        }
    }
}

/// A page's lines, the name of its last entry, and whether one could not be read.
fn lines_of(entries: &[Value]) -> (Vec<Line>, Option<String>, bool) {
    let (mut lines, mut last, mut has_failed) = (Vec::with_capacity(entries.len()), None, false);
    for entry in entries {
        let name = super::stripe::id(entry, "/id").ok();
        match read_line(entry) {
            Ok(line) => lines.extend(line),
            Err(error) => {
                has_failed = true;
                let line = name.as_deref();
                tracing::warn!(line, %error, "a line of the card service is passed over");
            }
        }
        last = name.or(last);
    }
    (lines, last, has_failed)
}

async fn store_line(tx: &mut Tx, line: &Line) -> Result<()> {
    let values = params![
        Method::Card.word(),
        line.name.as_str(),
        line.kind.word(),
        line.about.as_deref(),
        line.invoice,
        line.amount.asset,
        line.amount.minor,
        line.fee.minor,
        line.price.map(|p| p.asset),
        line.price.map(|p| p.minor),
        line.made
    ];
    tx.execute(sql::INSERT, &values).await?;
    Ok(())
}

fn stored_line(row: &Row) -> Result<Line> {
    let asset: Asset = row.get("asset")?;
    let price: (Option<Asset>, Option<i64>) = (row.get("price_asset")?, row.get("price")?);
    let kind = Kind::of(&row.get::<String>("kind")?);
    Ok(Line {
        name: row.get("external")?,
        kind: kind.ok_or(TreasuryError::Damaged("a line of an unknown kind"))?,
        about: row.get("about")?,
        invoice: None,
        amount: Amount::new(asset, row.get("amount")?),
        fee: Amount::new(asset, row.get("fee")?),
        price: price.0.zip(price.1).map(|(asset, minor)| Amount::new(asset, minor)),
        made: row.get("made_at")?,
    })
}

/// What a line moves: none where it comes to nothing.
fn postings_of(line: &Line, kind: Kind) -> Result<Vec<Posting>> {
    let net = line.amount.checked_sub(line.fee)?;
    let mut postings =
        vec![Posting::debit(at_service(), net), Posting::debit(Account::NetworkFees, line.fee)];
    match (kind, line.price) {
        (Kind::Customer, Some(price)) => postings.extend([
            Posting::credit(exchange(), line.amount),
            Posting::debit(exchange(), price),
            Posting::credit(Method::Card.clearing(), price),
        ]),
        (Kind::Customer, None) => {
            postings.push(Posting::credit(Method::Card.clearing(), line.amount));
        }
        (Kind::UnderWay, _) => postings.push(Posting::credit(under_way(), line.amount)),
        (Kind::Fee, _) => postings.push(Posting::credit(Account::NetworkFees, line.amount)),
        (Kind::Own, _) => postings.push(Posting::credit(operators_own(), line.amount)),
    }
    postings.retain(|p| p.amount.minor != 0);
    Ok(postings)
}
