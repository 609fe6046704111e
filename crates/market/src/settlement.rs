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
//! made when something whole waits; its reason names the asset, the beneficiary and the range of epochs since
//! its last one. Fractions stay in the lane's rewards as the beneficiary's carry.

use crate::book::Book;
use crate::contract::Contract;
use crate::fpps_pay::{Means, note_capital, sources};
use crate::pages::Pages;
use crate::papers;
use crate::parties::{set_maintenance, terms_of};
use crate::reward::{Life, beneficiary};
use crate::settle::{Settlement, take_maintenance};
use crate::sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, MarketError, Result};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

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

/// What a lane's settlement carries from one beneficiary to the next.
struct UnderWay<'a> {
    running: &'a mut [Contract],
    /// What FPPS can pay.
    means: BTreeMap<Asset, Means>,
}

/// Settles everyone who has something whole waiting, up to and with the epoch `to`; contracts in `waiting` not.
/// Gives what accounts are credited for their own machines' work.
pub(crate) async fn settle_lane(
    tx: &mut Tx,
    lane: &LaneConfig,
    to: EpochNumber,
    (running, waiting): (&mut [Contract], &BTreeSet<ContractId>),
    now: Timestamp,
) -> Result<Vec<(AccountId, Amount)>> {
    let mut credited = Vec::new();
    let row = tx.fetch_one(sql::FIRST_EPOCH, &params![lane.lane.clone()]).await?;
    let first = row.get::<Option<EpochNumber>>("epoch")?.unwrap_or(to);
    let mut means = BTreeMap::new();
    for book in lane.books() {
        means.insert(book.asset, Means::count(tx, book).await?);
    }
    let mut under_way = UnderWay { running, means };
    // Who is settled waits no longer, which takes nothing from the pages after his own.
    let mut pages = Pages::by_beneficiary(sql::WAITING, &params![lane.lane.clone()]);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            let who = beneficiary(&row)?;
            // What is owed in dollars has no price yet: later.
            if let Beneficiary::Contract(id) | Beneficiary::Fpps(id) = who
                && waiting.contains(&id)
            {
                continue;
            }
            let net = settle_one(tx, lane, who, (first, to), &mut under_way, now).await?;
            if let Beneficiary::Account(account) = who {
                credited.extend(net.into_iter().map(|net| (account, net)));
            }
        }
    }
    Ok(credited)
}

/// Settles a beneficiary's earnings of all assets together, because maintenance is taken out of them together.
async fn settle_one(
    tx: &mut Tx,
    lane: &LaneConfig,
    who: Beneficiary,
    (first, to): (EpochNumber, EpochNumber),
    under_way: &mut UnderWay<'_>,
    now: Timestamp,
) -> Result<Vec<Amount>> {
    let (fee, due, order, began) = match who {
        Beneficiary::Contract(id) => {
            let c = terms_of(tx, id).await?;
            (c.fee, c.maintenance_due, c.maintenance_order, c.start.unwrap_or(first))
        }
        // The fee is in the price already.
        Beneficiary::Fpps(id) => {
            let c = terms_of(tx, id).await?;
            (Bps::ZERO, c.maintenance_due, c.maintenance_order, c.start.unwrap_or(first))
        }
        Beneficiary::Account(_) => (lane.outside_fee_bps, Accrual::ZERO, Vec::new(), first),
        _ => (Bps::ZERO, Accrual::ZERO, Vec::new(), first),
    };
    let (mut rows, mut parts) = (Vec::new(), Vec::new());
    for book in lane.books() {
        let row = StandingRow::find(tx, book, who).await?;
        // Maintenance is taken below, from all of them.
        let mut settled = row.standing.settle(fee, Accrual::ZERO)?;
        if let (Beneficiary::Fpps(_), Some(s)) = (who, settled) {
            settled = under_way.means.get(&book.asset).map_or(Ok(None), |m| m.limit(s))?;
        }
        if let Some(settled) = settled {
            rows.push((book, row));
            parts.push((book.asset, settled));
        }
    }
    let carry = take_maintenance(&mut parts, due, &order)?;
    if let (Beneficiary::Contract(id) | Beneficiary::Fpps(id), Some(carry)) = (who, carry) {
        let running = &mut under_way.running;
        if let Ok(at) = running.binary_search_by_key(&id, |c| c.id) {
            running[at].maintenance_due = carry;
        }
        set_maintenance(tx, id, carry).await?;
    }
    let net = parts.iter().map(|(asset, s)| Amount::new(*asset, s.net)).collect();
    for ((book, row), (_, s)) in rows.into_iter().zip(&parts) {
        // A contract may earn after its end: the range then begins after the last one.
        let from = row.settled_to.map_or(began, EpochNumber::next).min(to);
        write_settlement(tx, book, row, s, (from, to), now).await?;
    }
    Ok(net)
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
    let reason = format!("market/settle/{lane}/{asset}/{}/{from}-{to}", row.who.key());
    let mut postings = vec![
        Posting::credit(earner(row)?, amount(s.net)),
        Posting::credit(Account::OperatorRevenue, amount(operator)),
    ];
    if matches!(row.who, Beneficiary::Fpps(_)) {
        let (reserve, own) = sources(tx, asset, s.gross).await?;
        postings.push(Posting::debit(Account::FppsReserve, amount(reserve)));
        postings.push(Posting::debit(Account::OperatorRevenue, amount(own)));
        if own > 0 {
            note_capital(tx, asset, &reason, own, now).await?;
        }
    } else {
        postings.push(Posting::debit(Account::Rewards(lane), amount(s.gross)));
    }
    let entry = Entry { reason, kind: "market-settlement", at: now, postings };
    gruve_ledger::post(tx, &entry).await?;
    Ok(())
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
