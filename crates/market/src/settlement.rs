//! Settlements: accrued earnings and fees become ledger postings.
//!
//! | who | debit | credit |
//! |---|---|---|
//! | contract | rewards | customer's balance; operator's revenue for fee and maintenance |
//! | account (own machines) | rewards | customer's balance; operator's revenue for the lane's fee |
//! | contract under FPPS | FPPS reserve | customer's balance; operator's revenue for maintenance |
//! | operator, reserves, remainder | rewards | operator's revenue, window reserve, FPPS reserve, remainder |
//!
//! Each asset of a merge-mined lane is settled by itself, all of a beneficiary's at the same time. A settlement is
//! made when something whole waits; its row names the asset, the beneficiary and the range of epochs since its
//! last one. In the ledger many settlements of one asset stand in an entry ([`many`]), each with a posting of
//! its own. Fractions stay in the lane's rewards as the beneficiary's carry.

mod many;

pub(crate) use many::{Everyone, settle_lane};

use crate::book::Book;
use crate::bulk;
use crate::fpps_pay::note_capital;
use crate::papers;
use crate::reward::Life;
use crate::standing::StandingRow;
use crate::{Beneficiary, MarketError, Result};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Tx, Value, params};
use gruve_units::{AccountId, Amount, EpochNumber, Timestamp};

/// A settlement's row.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: EpochNumber,
    to: EpochNumber,
    gross: i64,
    fee: i64,
    maintenance: i64,
    waived: i64,
    net: i64,
}

fn owner(row: &StandingRow) -> Result<AccountId> {
    row.account.ok_or_else(|| MarketError::Broken("earnings of nobody".into()))
}

/// The ledger account a beneficiary's earnings go to.
fn earner(row: &StandingRow) -> Result<Account> {
    Ok(match row.who {
        Beneficiary::Contract(_) | Beneficiary::Account(_) | Beneficiary::Fpps(_) => {
            Account::CustomerAvailable(owner(row)?)
        }
        Beneficiary::Operator => Account::OperatorRevenue,
        Beneficiary::WindowReserve => Account::WindowReserve,
        Beneficiary::Remainder => Account::Remainder,
        Beneficiary::FppsReserve => Account::FppsReserve,
    })
}

/// Takes back what an orphaned block had paid: from where it went, as far as that holds it; what is missing
/// is the operator's loss.
pub(crate) async fn take_back(
    tx: &mut Tx,
    book: Book<'_>,
    life: Life,
    row: &mut StandingRow,
    now: Timestamp,
) -> Result<()> {
    let Some(back) = row.standing.take_back()? else { return Ok(()) };
    let amount = |minor| Amount::new(book.asset, minor);
    let earner = earner(row)?;
    // The operator's own revenue has no floor.
    let held = match row.who {
        Beneficiary::Operator => back.net,
        _ => gruve_ledger::balance(tx, &earner, book.asset).await?.minor.clamp(0, back.net),
    };
    let reason = format!("{}/{}", life.reason("take-back"), row.who.key());
    if row.who == Beneficiary::FppsReserve && held < back.net {
        // It has been paid out already: the operator's loss fills it up.
        note_capital(tx, book.asset, &reason, back.net - held, now).await?;
    }
    let entry = Entry {
        reason,
        kind: "market-take-back",
        at: now,
        postings: vec![
            Posting::debit(earner, amount(held)),
            Posting::debit(Account::Loss, amount(back.net - held)),
            Posting::debit(Account::OperatorRevenue, amount(back.gross - back.net)),
            Posting::credit(Account::Rewards(book.id()), amount(back.gross)),
        ],
    };
    gruve_ledger::post(tx, &entry).await?;
    row.standing.settled -= back.gross;
    row.standing.net -= back.net;
    if row.standing.settled == 0 {
        row.standing.fee_carry = 0;
    }
    let to = row.settled_to.unwrap_or_default();
    let line = Line {
        from: to,
        to,
        gross: -back.gross,
        fee: -(back.gross - back.net),
        maintenance: 0,
        waived: 0,
        net: -back.net,
    };
    insert_line(tx, book, row, line, now).await?;
    papers::write_take_back(tx, book, row, life).await
}

async fn insert_line(
    tx: &mut Tx,
    book: Book<'_>,
    row: &mut StandingRow,
    line: Line,
    now: Timestamp,
) -> Result<()> {
    let given = line_row(book, row, line, now);
    tx.execute_many(&bulk::sql::INSERT_SETTLEMENTS, given.to_vec()).await?;
    Ok(())
}

/// The next settlement's row of a beneficiary.
fn line_row(book: Book<'_>, row: &mut StandingRow, line: Line, now: Timestamp) -> [Value; 13] {
    row.settlements += 1;
    let (kind, id) = row.who.columns();
    params![
        book.id(),
        book.asset,
        kind,
        id,
        row.settlements,
        line.from,
        line.to,
        line.gross,
        line.fee,
        line.maintenance,
        line.waived,
        line.net,
        now
    ]
}
