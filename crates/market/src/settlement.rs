//! Settlements: accrued earnings and fees become ledger postings.
//!
//! | who | debit | credit |
//! |---|---|---|
//! | contract | rewards | customer's balance; operator's revenue for fee and maintenance |
//! | account (own machines) | rewards | customer's balance; operator's revenue for the lane's fee |
//! | operator, window reserve, remainder | rewards | operator's revenue, window reserve, remainder |
//!
//! Each asset of a merge-mined lane is settled by itself, all of a beneficiary's at the same time. A settlement is
//! made when something whole waits; its reason names the asset, the beneficiary and the range of epochs since
//! its last one. Fractions stay in the lane's rewards as the beneficiary's carry.

use crate::book::Book;
use crate::contract::Contract;
use crate::pages::Pages;
use crate::papers;
use crate::reward::{Life, beneficiary};
use crate::settle::{Settlement, take_maintenance};
use crate::sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, MarketError, Result};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Amount, Bps, EpochNumber, Timestamp};

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

/// Settles everyone who has something whole waiting, up to and with the epoch `to`.
pub(crate) async fn settle_lane(
    tx: &mut Tx,
    lane: &LaneConfig,
    to: EpochNumber,
    running: &mut [Contract],
    now: Timestamp,
) -> Result<()> {
    let row = tx.fetch_one(sql::FIRST_EPOCH, &params![lane.lane.clone()]).await?;
    let first = row.get::<Option<EpochNumber>>("epoch")?.unwrap_or(to);
    // Who is settled waits no longer, which takes nothing from the pages after his own.
    let mut pages = Pages::by_beneficiary(sql::WAITING, &params![lane.lane.clone()]);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            settle_one(tx, lane, beneficiary(&row)?, (first, to), running, now).await?;
        }
    }
    Ok(())
}

/// Settles a beneficiary's earnings of all assets together, because maintenance is taken out of them together.
async fn settle_one(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    (first, to): (EpochNumber, EpochNumber),
    running: &mut [Contract],
    now: Timestamp,
) -> Result<()> {
    let (fee, due, order, began) = match who {
        Beneficiary::Contract(id) => {
            let c = Contract::find(tx, id).await?;
            (c.fee, c.maintenance_due, c.maintenance_order(), c.start.unwrap_or(first))
        }
        Beneficiary::Account(_) => (lane.outside_fee_bps, Accrual::ZERO, Vec::new(), first),
        _ => (Bps::ZERO, Accrual::ZERO, Vec::new(), first),
    };
    let (mut rows, mut parts) = (Vec::new(), Vec::new());
    for book in lane.books() {
        let row = StandingRow::find(tx, book, who).await?;
        // Maintenance is taken below, from all of them.
        if let Some(settled) = row.standing.settle(fee, Accrual::ZERO)? {
            rows.push((book, row));
            parts.push((book.asset, settled));
        }
    }
    let carry = take_maintenance(&mut parts, due, &order)?;
    if let (Beneficiary::Contract(id), Some(carry)) = (who, carry) {
        if let Ok(at) = running.binary_search_by_key(&id, |c| c.id) {
            running[at].maintenance_due = carry;
        }
        tx.execute(sql::SET_MAINTENANCE, &params![id, carry]).await?;
    }
    for ((book, row), (_, s)) in rows.into_iter().zip(&parts) {
        // A contract may earn after its end: the range then begins after the last one.
        let from = row.settled_to.map_or(began, EpochNumber::next).min(to);
        write_settlement(tx, book, row, s, (from, to), now).await?;
    }
    Ok(())
}

async fn write_settlement(
    tx: &mut Tx,
    book: Book<'_>,
    mut row: StandingRow,
    s: &Settlement,
    (from, to): (EpochNumber, EpochNumber),
    now: Timestamp,
) -> Result<()> {
    post(tx, book, &row, s, (from, to), now).await?;
    row.standing.settled += s.gross;
    row.standing.net += s.net;
    row.standing.fee_carry = s.fee_carry;
    row.settled_to = Some(to);
    let line = Line {
        from,
        to,
        gross: s.gross,
        fee: s.fee,
        maintenance: s.maintenance,
        waived: s.waived,
        net: s.net,
    };
    insert_line(tx, book, &mut row, line, now).await?;
    row.put(tx, book).await
}

async fn post(
    tx: &mut Tx,
    book: Book<'_>,
    row: &StandingRow,
    s: &Settlement,
    (from, to): (EpochNumber, EpochNumber),
    now: Timestamp,
) -> Result<()> {
    let amount = |minor| Amount::new(book.asset, minor);
    let operator = s.fee + s.maintenance;
    let (lane, asset) = (book.id(), book.asset);
    let entry = Entry {
        reason: format!("market/settle/{lane}/{asset}/{}/{from}-{to}", row.who.key()),
        kind: "market-settlement",
        at: now,
        postings: vec![
            Posting::debit(Account::Rewards(lane), amount(s.gross)),
            Posting::credit(earner(row)?, amount(s.net)),
            Posting::credit(Account::OperatorRevenue, amount(operator)),
        ],
    };
    gruve_ledger::post(tx, &entry).await?;
    Ok(())
}

fn owner(row: &StandingRow) -> Result<AccountId> {
    row.account.ok_or_else(|| MarketError::Broken("earnings of nobody".into()))
}

/// The ledger account a beneficiary's earnings go to.
fn earner(row: &StandingRow) -> Result<Account> {
    Ok(match row.who {
        Beneficiary::Contract(_) | Beneficiary::Account(_) => {
            Account::CustomerAvailable(owner(row)?)
        }
        Beneficiary::Operator => Account::OperatorRevenue,
        Beneficiary::WindowReserve => Account::WindowReserve,
        Beneficiary::Remainder => Account::Remainder,
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
    let entry = Entry {
        reason: format!("{}/{}", life.reason("take-back"), row.who.key()),
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
    row.settlements += 1;
    let (kind, id) = row.who.columns();
    let given = params![
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
    ];
    tx.execute(sql::INSERT_SETTLEMENT, &given).await?;
    Ok(())
}
