//! What the house owes to everybody, asset by asset, for a public statement of funds; and the statements made.
//!
//! Promises: everything in the books that is owed to somebody is counted, to the minor unit: what can be given to a
//! customer is given to him, the rest stands under the name of its account of the books, so that the sum is the ledger's.
//! Must not know what there is to pay it with: that is the treasury's.

use crate::bulk::pending;
use crate::read::unsettled;
use crate::{Beneficiary, MarketError, Result, record};
use gruve_ledger::{Account, AccountKind, PAGE_MAX, balances_of};
use gruve_proof::funds::FundsEntry;
use gruve_proof::liabilities::{Owed, Whose};
use gruve_proof::log::Entry as LogEntry;
use gruve_store::{Tx, Value, params};
use gruve_units::{AccountId, Accrual, Asset, ContractId, EpochNumber};
use std::collections::{BTreeMap, HashMap};

pub(crate) mod sql {
    use gruve_store::statements;

    statements! {
        LANES = "SELECT lane FROM market_lanes ORDER BY lane";
        UNSETTLED_PAGE = "SELECT account, lane, kind, beneficiary, accrued, settled_minor
            FROM market_standings WHERE asset = $1 AND account IS NOT NULL
            AND (lane, kind, beneficiary) > ($2, $3, $4)
            ORDER BY lane, kind, beneficiary LIMIT $5";
    }
}

/// Under what the log's table has statements, which are of no lane; their number stands for the epoch.
const STATEMENTS: &str = "#funds";

/// Accounts of the books that are owed to people outside, none of them a single customer's. What is earned and not
/// settled stands in the first two.
const UNSETTLED: [AccountKind; 2] = [AccountKind::Rewards, AccountKind::FppsReserve];
const OTHERS: [AccountKind; 5] = [
    AccountKind::WindowReserve,
    AccountKind::Remainder,
    AccountKind::TaxPayable,
    AccountKind::UnmatchedReceipts,
    AccountKind::PayoutsInFlight,
];

/// What is owed in one asset.
type ByWhom = BTreeMap<Whose, Owed>;

/// Everything owed in an asset, as the books stand in this transaction.
///
/// # Errors
/// [`MarketError::Broken`] when a balance is below zero: then there is no statement to be made. The database's.
pub async fn owed_in(tx: &mut Tx, asset: Asset) -> Result<Vec<(Whose, Owed)>> {
    let mut all = ByWhom::new();
    for (kind, put) in [
        (AccountKind::CustomerAvailable, available as fn(u128) -> Owed),
        (AccountKind::CustomerHeld, held),
    ] {
        for (account, minor) in balances(tx, kind, asset).await? {
            if let Account::CustomerAvailable(id) | Account::CustomerHeld(id) = account {
                add(&mut all, Whose::Customer(id), put(minor))?;
            }
        }
    }
    prepaid(tx, asset, &mut all).await?;
    let given = maturing(tx, asset, &mut all).await?;
    let mut earned = 0u128;
    for kind in UNSETTLED {
        earned += balances(tx, kind, asset).await?.iter().map(|(_, v)| v).sum::<u128>();
    }
    // What blocks have earned and nobody's account shows: the operator's part of windows, fractions, what is not
    // shared out yet. More given than earned can only be FPPS above its reserve, which is owed nonetheless.
    let rest = Owed { maturing: earned.saturating_sub(given), ..Owed::default() };
    add(&mut all, Whose::House("rewards".to_owned()), rest)?;
    for kind in OTHERS {
        let sum = balances(tx, kind, asset).await?.iter().map(|(_, v)| v).sum();
        add(&mut all, Whose::House(kind.name().to_owned()), available(sum))?;
    }
    all.retain(|_, owed| *owed != Owed::default());
    Ok(all.into_iter().collect())
}

/// The last statement of funds.
///
/// # Errors
/// The database's; [`MarketError::Broken`] when what stands there is none.
pub async fn last_statement(tx: &mut Tx) -> Result<Option<FundsEntry>> {
    let row = tx.fetch_optional(record::sql::LAST_OF_LANE, &params![STATEMENTS]).await?;
    let Some(row) = row else { return Ok(None) };
    match LogEntry::parse(&row.get::<Vec<u8>>("entry")?) {
        Ok(LogEntry::Funds(entry)) => Ok(Some(*entry)),
        _ => Err(MarketError::Broken("a statement of funds that is none".into())),
    }
}

/// The place of a statement in the public log; `None` when it has none yet.
///
/// # Errors
/// The database's.
pub async fn statement_place(tx: &mut Tx, statement: u64) -> Result<Option<u64>> {
    let key = params![STATEMENTS, EpochNumber(statement)];
    let row = tx.fetch_optional(record::sql::PLACE_OF, &key).await?;
    Ok(row.map(|row| row.get::<Option<u64>>("seq")).transpose()?.flatten())
}

/// Writes a statement down: it gets its place in the public log with the next epoch's entry. Its number must be the next:
/// of two made at once, one fails.
///
/// # Errors
/// [`MarketError::Broken`] when it is not; the database's.
pub async fn put_statement(tx: &mut Tx, entry: &FundsEntry) -> Result<()> {
    let last = last_statement(tx).await?.map_or(0, |last| last.statement);
    if entry.statement != last + 1 {
        let number = entry.statement;
        return Err(MarketError::Broken(format!("statement {number} of funds follows {last}")));
    }
    let given = params![STATEMENTS, EpochNumber(entry.statement), entry.canonical()];
    tx.execute(record::sql::INSERT_ENTRY, &given).await?;
    Ok(())
}

fn available(minor: u128) -> Owed {
    Owed { available: minor, ..Owed::default() }
}

fn held(minor: u128) -> Owed {
    Owed { held: minor, ..Owed::default() }
}

fn add(all: &mut ByWhom, whose: Whose, owed: Owed) -> Result<()> {
    let sum = all.entry(whose).or_default();
    *sum = sum.checked_add(&owed).ok_or(MarketError::Overflow("what is owed"))?;
    Ok(())
}

/// All balances of a kind that are not nothing.
async fn balances(tx: &mut Tx, kind: AccountKind, asset: Asset) -> Result<Vec<(Account, u128)>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = balances_of(tx, kind, asset, after.as_ref()).await?;
        let is_last = page.len() < PAGE_MAX as usize;
        for (account, amount) in page {
            let minor = u128::try_from(amount.minor)
                .map_err(|_| MarketError::Broken(format!("{account} is below zero: {amount}")))?;
            after = Some(account.clone());
            if minor > 0 {
                all.push((account, minor));
            }
        }
        if is_last {
            return Ok(all);
        }
    }
}

/// What was paid for work that is not delivered, to the contracts' owners.
async fn prepaid(tx: &mut Tx, asset: Asset, all: &mut ByWhom) -> Result<()> {
    let contracts = balances(tx, AccountKind::PrepaidWork, asset).await?;
    let id = |account: &Account| match account {
        Account::PrepaidWork(id) => Some(*id),
        _ => None,
    };
    let given = contracts.iter().filter_map(|(a, _)| id(a)).map(Value::from).collect();
    let mut owners: HashMap<ContractId, AccountId> = HashMap::new();
    for row in tx.fetch_many(&crate::bulk::sql::OWNERS, given).await? {
        owners.insert(row.get("id")?, row.get("account")?);
    }
    for (account, minor) in &contracts {
        // A hosting contract's price is not the market's to give to anybody: it stays under its own name.
        let owner = id(account).and_then(|id| owners.get(&id));
        let whose =
            owner.map_or_else(|| Whose::House(account.key()), |owner| Whose::Customer(*owner));
        add(all, whose, Owed { prepaid: *minor, ..Owed::default() })?;
    }
    Ok(())
}

/// What customers have earned and not been credited, rounded down for each; all of it together.
async fn maturing(tx: &mut Tx, asset: Asset, all: &mut ByWhom) -> Result<u128> {
    let mut open: BTreeMap<AccountId, Accrual> = BTreeMap::new();
    let mut from: (String, i64, Vec<u8>) = (String::new(), -1, Vec::new());
    loop {
        let given = params![asset, from.0.clone(), from.1, from.2.clone(), PAGE_MAX];
        let page = tx.fetch_all(sql::UNSETTLED_PAGE, &given).await?;
        for row in &page {
            let part = unsettled(row.get("accrued")?, row.get("settled_minor")?);
            let sum = open.entry(row.get("account")?).or_default();
            *sum = sum.checked_add(part).ok_or(MarketError::Overflow("earnings"))?;
            from = (row.get("lane")?, row.get("kind")?, row.get("beneficiary")?);
        }
        if page.len() < PAGE_MAX as usize {
            break;
        }
    }
    add_pending(tx, asset, &mut open).await?;
    let mut given = 0u128;
    for (account, accrual) in open {
        let (whole, _) = accrual.split().map_err(|_| MarketError::Overflow("earnings"))?;
        let minor = u128::try_from(whole).unwrap_or(0);
        given += minor;
        add(all, Whose::Customer(account), Owed { maturing: minor, ..Owed::default() })?;
    }
    Ok(given)
}

/// What came to customers' standings since they were written.
async fn add_pending(
    tx: &mut Tx,
    asset: Asset,
    open: &mut BTreeMap<AccountId, Accrual>,
) -> Result<()> {
    for row in tx.fetch_all(sql::LANES, &params![]).await? {
        let entries = pending::all(tx, &row.get("lane")?, asset).await?;
        let contract = |who: &Beneficiary| match who {
            Beneficiary::Contract(id) => Some(Value::from(*id)),
            _ => None,
        };
        let mut owners: HashMap<ContractId, AccountId> = HashMap::new();
        let given = entries.iter().filter_map(|(who, _)| contract(who)).collect::<Vec<_>>();
        for some in given.chunks(OWNERS_AT_ONCE) {
            for row in tx.fetch_many(&crate::bulk::sql::OWNERS, some.to_vec()).await? {
                owners.insert(row.get("id")?, row.get("account")?);
            }
        }
        for (who, more) in entries {
            let account = match who {
                Beneficiary::Account(id) => id,
                Beneficiary::Contract(id) => {
                    *owners.get(&id).ok_or(MarketError::UnknownContract)?
                }
                _ => continue,
            };
            let sum = open.entry(account).or_default();
            let more = sum.checked_add(more.accrued);
            *sum = more.ok_or(MarketError::Overflow("earnings"))?;
        }
    }
    Ok(())
}

/// Contracts whose owners are asked for at once.
const OWNERS_AT_ONCE: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_ledger::{Entry, post};
    use gruve_proof::funds::{AssetFunds, ShownBy};
    use gruve_proof::sum_tree::SumNode;
    use gruve_proof::summary::FileRef;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws, transact};
    use gruve_units::{Amount, LaneId, Timestamp};

    async fn tables(store: &Store) {
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        store.migrate("market", crate::MIGRATIONS).await.unwrap();
        store.migrate("market_metered", crate::METERED_MIGRATIONS).await.unwrap();
        store.migrate("market_pages", crate::PAGE_MIGRATIONS).await.unwrap();
        store.migrate("market_papers", crate::PAPER_MIGRATIONS).await.unwrap();
        store.migrate("market_life", crate::LIFE_MIGRATIONS).await.unwrap();
        store.migrate("market_bulk", crate::BULK_MIGRATIONS).await.unwrap();
        store.migrate("market_record", crate::RECORD_MIGRATIONS).await.unwrap();
    }

    async fn every_statement_prepares(store: Store) {
        tables(&store).await;
        prepare_all(&store, sql::STATEMENTS).await;
    }

    fn who(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    const STANDING: &str =
        "INSERT INTO market_standings (lane, asset, kind, beneficiary, account, accrued,
        matured, settled_minor, net_minor, fee_carry, waiting_minor, settlements, settled_to)
        VALUES ('btc', 'BTC', $1, $2, $3, $4, $4, $5, 0, 0, 0, 0, NULL)";

    async fn books(store: &Store) {
        let lane: LaneId = "btc".parse().unwrap();
        let contract = ContractId::from_bytes([9; 16]);
        let credits = [
            (Account::CustomerAvailable(who(1)), 100),
            (Account::CustomerAvailable(who(2)), 40),
            (Account::CustomerHeld(who(1)), 7),
            (Account::PrepaidWork(contract), 60),
            (Account::Rewards(lane), 500),
            (Account::PayoutsInFlight, 11),
            (Account::Capital, 1_000),
            (Account::OperatorRevenue, 300),
        ];
        transact!(store, tx -> Result<()> => {
            for (n, (credit, minor)) in credits.iter().cloned().enumerate() {
                let amount = Amount::new(Asset::Btc, minor);
                let (reason, at) = (format!("test:{n}"), Timestamp(1));
                let entry = Entry::transfer(reason, "test", at, Account::ChainHot, credit, amount);
                post(tx, &entry).await?;
            }
            // Two standings of one customer: 30, of which 12 are settled, and 6.
            let rows = [(1i64, 1u8, 30i64, 12i64), (1, 2, 6, 0)];
            for (kind, id, accrued, settled) in rows {
                let accrued = Accrual::from_minor(accrued).unwrap();
                let given = params![kind, vec![id; 16], Some(who(1)), accrued, settled];
                tx.execute(STANDING, &given).await?;
            }
            Ok(())
        })
        .unwrap();
    }

    async fn all_that_is_owed_is_counted_and_nothing_that_is_the_operators(store: Store) {
        tables(&store).await;
        books(&store).await;
        let mut tx = store.read().await.unwrap();
        let owed: ByWhom = owed_in(&mut tx, Asset::Btc).await.unwrap().into_iter().collect();
        let one = Owed { available: 100, held: 7, maturing: 24, prepaid: 0 };
        assert_eq!(owed[&Whose::Customer(who(1))], one);
        assert_eq!(owed[&Whose::Customer(who(2))], available(40));
        let house = |name: &str| owed[&Whose::House(name.to_owned())];
        assert_eq!(house("rewards").maturing, 500 - 24);
        assert_eq!(house("payouts-in-flight"), available(11));
        let contract = ContractId::from_bytes([9; 16]);
        let unknown = Account::PrepaidWork(contract).key();
        assert_eq!(house(&unknown).prepaid, 60, "of a contract that is not the market's");
        let sum: u128 = owed.values().map(|o| o.sum().unwrap()).sum();
        assert_eq!(sum, 100 + 40 + 7 + 60 + 500 + 11, "the ledger's, without capital and revenue");
        assert!(owed_in(&mut tx, Asset::Ltc).await.unwrap().is_empty());
        tx.rollback().await.unwrap();
    }

    fn statement(number: u64) -> FundsEntry {
        let asset = AssetFunds {
            asset: "BTC".into(),
            owed: SumNode { sum: 1, hash: [1; 32] },
            leaves: 64,
            shown: ShownBy::Nothing,
            reserves: 0,
        };
        let reserves = FileRef::default();
        FundsEntry { statement: number, at_us: number, reserves, assets: vec![asset] }
    }

    async fn statements_are_numbered_without_gaps(store: Store) {
        tables(&store).await;
        let put = async |number| transact!(store, tx -> Result<()> => { put_statement(tx, &statement(number)).await });
        assert!(put(2).await.is_err());
        put(1).await.unwrap();
        assert!(put(1).await.is_err());
        put(2).await.unwrap();
        let mut tx = store.read().await.unwrap();
        assert_eq!(last_statement(&mut tx).await.unwrap(), Some(statement(2)));
        tx.rollback().await.unwrap();
    }

    laws! {
        funds: [
            every_statement_prepares,
            all_that_is_owed_is_counted_and_nothing_that_is_the_operators,
            statements_are_numbered_without_gaps,
        ]
    }
}
