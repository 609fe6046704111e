//! What standings and the journal hold, against the settlements, holds and payments that it came from.

use super::ContractAudit;
use crate::pages::Pages;
use crate::reward::beneficiary;
use crate::settle::Standing;
use crate::{Beneficiary, Market, MarketError, Result};
use gruve_ledger::{Account, AccountKind, sums_of_kind};
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{AccountId, Accrual, Asset, EpochNumber};
use std::collections::BTreeMap;

statements! {
    SETTLED_BY = "SELECT kind, beneficiary, CAST(SUM(gross_minor) AS BIGINT) AS gross,
        CAST(SUM(net_minor) AS BIGINT) AS net, COUNT(*) AS n, MAX(number) AS last, MAX(to_epoch) AS to_epoch,
        CAST(SUM(CASE WHEN gross_minor > 0 THEN net_minor ELSE 0 END) AS BIGINT) AS credited,
        CAST(SUM(CASE WHEN gross_minor = fee_minor + maintenance_minor + net_minor THEN 0 ELSE 1 END) AS BIGINT) AS odd
        FROM market_settlements WHERE lane = $1 AND asset = $2 AND (kind, beneficiary) > ($3, $4)
        GROUP BY kind, beneficiary ORDER BY kind, beneficiary LIMIT $5";
    STANDINGS_IN_FULL = "SELECT kind, beneficiary, account, matured, settled_minor, net_minor, waiting_minor,
        settlements, settled_to FROM market_standings WHERE lane = $1 AND asset = $2
        AND (kind, beneficiary) > ($3, $4) ORDER BY kind, beneficiary LIMIT $5";
    HELD_BY = "SELECT m.account AS account, m.pay_asset AS asset,
        CAST(SUM(CASE WHEN h.is_open = 1 THEN h.held_minor ELSE 0 END) AS BIGINT) AS held,
        CAST(SUM(h.charged_minor) AS BIGINT) AS charged
        FROM market_metered m JOIN market_holds h ON h.contract = m.id
        WHERE (m.account, m.pay_asset) > ($1, $2)
        GROUP BY m.account, m.pay_asset ORDER BY m.account, m.pay_asset LIMIT $3";
    SOLD_TO = "SELECT account, price_asset AS asset, CAST(SUM(price_minor) AS BIGINT) AS minor
        FROM market_contracts WHERE paid_at IS NOT NULL AND (account, price_asset) > ($1, $2)
        GROUP BY account, price_asset ORDER BY account, price_asset LIMIT $3";
    BACK_TO = "SELECT account, price_asset AS asset, CAST(SUM(refunded_minor) AS BIGINT) AS minor
        FROM market_contracts WHERE refunded_minor > 0 AND (account, price_asset) > ($1, $2)
        GROUP BY account, price_asset ORDER BY account, price_asset LIMIT $3";
    WAIVED_ELSEWHERE = "SELECT COUNT(*) AS n FROM market_settlements
        WHERE kind NOT IN (1, 6) AND (waived_minor <> 0 OR maintenance_minor <> 0)";
    OWED_BY = "SELECT c.account AS account, o.asset AS asset, CAST(SUM(o.minor) AS BIGINT) AS minor
        FROM market_owed_paid o JOIN market_contracts c ON c.id = o.contract
        WHERE (c.account, o.asset) > ($1, $2)
        GROUP BY c.account, o.asset ORDER BY c.account, o.asset LIMIT $3";
}

/// Rows of an answer at most.
const ROWS: u32 = 1_000;

/// Minor units by whose and which.
type Sums = BTreeMap<(Account, Asset), i64>;

fn add(sums: &mut Sums, account: Account, asset: Asset, minor: i64) {
    let sum = sums.entry((account, asset)).or_default();
    *sum = sum.saturating_add(minor);
}

/// What a beneficiary's settlements come to.
struct Settled {
    gross: i64,
    net: i64,
    count: u64,
    last: u64,
    to: EpochNumber,
    credited: i64,
    odd: i64,
}

impl Settled {
    fn read(row: &Row) -> Result<Settled> {
        Ok(Settled {
            gross: row.get("gross")?,
            net: row.get("net")?,
            count: row.get("n")?,
            last: row.get("last")?,
            to: row.get("to_epoch")?,
            credited: row.get("credited")?,
            odd: row.get("odd")?,
        })
    }
}

impl Market {
    pub(super) async fn audit_sums(&self, tx: &mut Tx, audit: &mut ContractAudit) -> Result<()> {
        let mut credited = Sums::new();
        for lane in &self.config().lanes {
            for book in lane.books() {
                let given = params![book.id(), book.asset];
                let mut settled: BTreeMap<Beneficiary, Settled> = BTreeMap::new();
                let mut pages = Pages::by_beneficiary(SETTLED_BY, &given);
                while let Some(rows) = pages.next(tx).await? {
                    for row in &rows {
                        settled.insert(beneficiary(row)?, Settled::read(row)?);
                    }
                }
                let mut pages = Pages::by_beneficiary(STANDINGS_IN_FULL, &given);
                while let Some(rows) = pages.next(tx).await? {
                    for row in &rows {
                        let who = beneficiary(row)?;
                        let own = settled.remove(&who);
                        let account: Option<AccountId> = row.get("account")?;
                        if let (Some(own), Some(account)) = (&own, account) {
                            let to = Account::CustomerAvailable(account);
                            add(&mut credited, to, book.asset, own.credited);
                        }
                        if let Some(what) = standing_differs(row, own.as_ref())? {
                            let (lane, who) = (&lane.lane, who.key());
                            audit.find(format!("lane {lane}: {who}: {what} of {}", book.asset));
                        }
                    }
                }
                for who in settled.into_keys() {
                    let (lane, who) = (&lane.lane, who.key());
                    audit.find(format!("lane {lane}: {who}: settled and has no standing"));
                }
            }
        }
        compare(tx, audit, &["market-settlement"], AccountKind::CustomerAvailable, credited)
            .await?;
        let (mut held, mut charged) = (Sums::new(), Sums::new());
        each(tx, HELD_BY, |account, asset, row| {
            add(&mut held, Account::CustomerHeld(account), asset, row.get("held")?);
            add(&mut charged, Account::OperatorRevenue, asset, row.get("charged")?);
            Ok(())
        })
        .await?;
        let kinds = ["market-hold", "market-metered", "market-unhold"];
        compare(tx, audit, &kinds, AccountKind::CustomerHeld, held).await?;
        compare(tx, audit, &["market-metered"], AccountKind::OperatorRevenue, charged).await?;
        let odd: i64 = tx.fetch_one(WAIVED_ELSEWHERE, &params![]).await?.get("n")?;
        if odd != 0 {
            audit.find(format!("{odd} settlements take upkeep of somebody who has no contract"));
        }
        let back: &[&str] = &["market-refund", "market-cancel"];
        for (sql, kinds, sign) in [(SOLD_TO, &["market-sale"][..], -1), (BACK_TO, back, 1)] {
            let mut sums = Sums::new();
            each(tx, sql, |account, asset, row| {
                let minor: i64 = row.get("minor")?;
                add(&mut sums, Account::CustomerAvailable(account), asset, minor * sign);
                Ok(())
            })
            .await?;
            compare(tx, audit, kinds, AccountKind::CustomerAvailable, sums).await?;
        }
        let mut owed = Sums::new();
        each(tx, OWED_BY, |account, asset, row| {
            add(&mut owed, Account::CustomerAvailable(account), asset, row.get("minor")?);
            Ok(())
        })
        .await?;
        compare(tx, audit, &["market-owed"], AccountKind::CustomerAvailable, owed).await
    }
}

/// What of a standing does not follow from its settlements.
fn standing_differs(row: &Row, own: Option<&Settled>) -> Result<Option<&'static str>> {
    let settled_to: Option<EpochNumber> = row.get("settled_to")?;
    let standing = Standing {
        matured: row.get::<Accrual>("matured")?,
        settled: row.get("settled_minor")?,
        net: row.get("net_minor")?,
        fee_carry: 0,
    };
    let waiting = standing.unsettled().map(|(whole, _)| whole);
    let none = (0, 0, 0, 0, None, 0);
    let (gross, net, count, last, to, odd) =
        own.map_or(none, |s| (s.gross, s.net, s.count, s.last, Some(s.to), s.odd));
    let checks = [
        (odd == 0, "fee, upkeep and net of a settlement are not the whole"),
        (standing.settled == gross, "another sum was settled than the settlements"),
        (standing.net == net, "another sum was credited than the settlements"),
        (
            row.get::<u64>("settlements")? == count && count == last,
            "the settlements are not numbered",
        ),
        (settled_to == to, "it is settled up to another epoch than the settlements"),
        (
            waiting.is_ok_and(|w| Some(w) == row.get::<i64>("waiting_minor").ok()),
            "another amount waits",
        ),
    ];
    Ok(checks.into_iter().find(|(same, _)| !same).map(|(_, what)| what))
}

/// Goes through an answer by account and asset.
async fn each(
    tx: &mut Tx,
    sql: &'static str,
    mut take: impl FnMut(AccountId, Asset, &Row) -> Result<()>,
) -> Result<()> {
    let (mut account, mut asset): (Vec<u8>, String) = (Vec::new(), String::new());
    loop {
        let rows = tx.fetch_all(sql, &params![account, asset.as_str(), ROWS]).await?;
        for row in &rows {
            take(row.get("account")?, row.get("asset")?, row)?;
        }
        match rows.last() {
            Some(last) if rows.len() == ROWS as usize => {
                (account, asset) = (last.get("account")?, last.get("asset")?);
            }
            _ => return Ok(()),
        }
    }
}

/// Holds what entries of some kinds have credited to accounts of a kind, less what they debited, against what it should be.
async fn compare(
    tx: &mut Tx,
    audit: &mut ContractAudit,
    kinds: &[&str],
    of: AccountKind,
    wanted: Sums,
) -> Result<()> {
    let mut posted = Sums::new();
    for kind in kinds {
        for ((account, asset), minor) in sums_of_kind(tx, kind).await? {
            if account.kind() == of {
                add(
                    &mut posted,
                    account,
                    asset,
                    minor.checked_neg().ok_or(MarketError::Overflow("a sum"))?,
                );
            }
        }
    }
    let mut find = |(account, asset): &(Account, Asset), said: i64, wanted: i64| {
        let kinds = kinds.join(", ");
        audit.find(format!(
            "{kinds}: the journal has {said} minor units of {asset} for {account}, the tables {wanted}"
        ));
    };
    for (key, minor) in &wanted {
        let said = posted.remove(key).unwrap_or(0);
        if said != *minor {
            find(key, said, *minor);
        }
    }
    for (key, minor) in posted.iter().filter(|(_, minor)| **minor != 0) {
        find(key, *minor, 0);
    }
    Ok(())
}
