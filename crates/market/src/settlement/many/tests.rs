//! However many are read at once, the journal and all else is the same; and the same is credited as when
//! everyone is settled and posted alone.

use super::{Everyone, settle_in_pages};
use crate::book::Book;
use crate::bulk::pending::{self, What};
use crate::bulk::progress::Rewriting;
use crate::contract::Contract;
use crate::fpps_pay::{Means, note_capital};
use crate::metered::Metered;
use crate::settle::take_maintenance;
use crate::settlement::{earner, line_row};
use crate::standing::StandingRow;
use crate::world::{World, btc, config, lane, plan, someone};
use crate::{AuxConfig, Beneficiary, MaintenanceIn, PlanConfig, PlanKind, Result};
use gruve_ledger::{Account, Entry, Posting, post};
use gruve_store::{Row, Store, Tx, laws, params, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Hashrate, LaneId, Timestamp,
};
use std::collections::BTreeMap;

const ASSETS: [Asset; 2] = [Asset::Btc, Asset::Doge];
const NOW: Timestamp = Timestamp(77);

/// A lane of two assets whose settlements come when the test says so.
fn unsettled() -> crate::MarketConfig {
    let mut config = config();
    config.lanes[0].aux = vec![AuxConfig { asset: Asset::Doge, coinbase_maturity: 5 }];
    config.lanes[0].settle_every_epochs = 1_000_000;
    config.unpaid_per_account_max = 100;
    let lease = PlanConfig {
        fee_bps: Bps::new(233).unwrap(),
        maintenance_minor_per_th_day: 900_000_000_000_000,
        maintenance_also: vec![MaintenanceIn {
            asset: Asset::Doge,
            minor_per_th_day: 1_700_000_000_000_001,
        }],
        ..plan()
    };
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..lease.clone()
    };
    config.plans = vec![lease, meter];
    config
}

/// Leases that run and that ended, metered contracts: everyone who can have a standing.
async fn world(store: Store) -> (World, Vec<Beneficiary>) {
    let w = World::with(store, unsettled()).await;
    w.prove(100_000).await;
    let mut all = vec![
        Beneficiary::Operator,
        Beneficiary::WindowReserve,
        Beneficiary::Remainder,
        Beneficiary::FppsReserve,
    ];
    for n in 0..9_u8 {
        let term = if n < 4 { 3 } else { 20 };
        let id = w.lease(someone(n % 4), 1_000, term).await;
        all.push(if n % 3 == 0 { Beneficiary::Fpps(id) } else { Beneficiary::Contract(id) });
    }
    for n in 0..4_u8 {
        w.fund(someone(n), 1_000_000).await;
        let market = &w.market;
        let started = transact!(w.store, tx -> Result<_> => {
            market.start_metered(tx, someone(n), "meter", Hashrate(700), None).await
        });
        let id = started.unwrap().contract;
        all.push(if n == 0 { Beneficiary::Fpps(id) } else { Beneficiary::Contract(id) });
        all.push(Beneficiary::Account(someone(n)));
    }
    for _ in 0..5 {
        w.epoch_at(90_000).await;
    }
    all.sort_unstable();
    (w, all)
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

async fn fill(tx: &mut Tx, account: Account, asset: Asset, minor: i64) {
    let reason = format!("fill/{}/{asset}", account.key());
    let amount = Amount::new(asset, minor);
    let entry = Entry::transfer(reason, "test", NOW, Account::ChainHot, account, amount);
    post(tx, &entry).await.unwrap();
}

/// Gives everyone something, or nothing, or less than a whole unit.
async fn earn(tx: &mut Tx, w: &World, all: &[Beneficiary], seed: u64) {
    let mut random = Random(seed);
    let config = w.market.lane(&lane()).unwrap();
    for book in config.books() {
        fill(tx, Account::Rewards(lane()), book.asset, 1 << 50).await;
        // Sometimes less than FPPS owes, with and without an operator who can help.
        let reserve = 1 + random.below(2_000_000);
        fill(tx, Account::FppsReserve, book.asset, i64::try_from(reserve).unwrap()).await;
        let revenue = 1 + random.below(300_000);
        fill(tx, Account::OperatorRevenue, book.asset, i64::try_from(revenue).unwrap()).await;
        for who in all {
            let mut row = StandingRow::find(tx, book, *who).await.unwrap();
            let minor = match random.below(5) {
                0 => 0,
                1 => 1 + random.below(3),
                _ => random.below(1_000_000),
            };
            let fraction = u128::from(random.below(u64::MAX));
            let amount = Accrual((u128::from(minor) << 64) + fraction);
            row.accrue(amount).unwrap();
            row.mature(amount).unwrap();
            row.put(tx, book).await.unwrap();
        }
        // To some something came since, also to such as nothing waits for, and less than a whole unit.
        for what in [What::Accrued, What::Matured] {
            let mut came = Random(seed);
            let is_row = |who: &&Beneficiary| !matches!(who, Beneficiary::Fpps(_));
            let part = |who: &Beneficiary| {
                let minor = came.below(3) * came.below(500_000);
                let fraction = u128::from(came.below(u64::MAX));
                (came.below(2) == 0)
                    .then_some((*who, Accrual((u128::from(minor) << 64) + fraction)))
            };
            let parts: Vec<_> = all.iter().filter(is_row).filter_map(part).collect();
            pending::add(tx, book, &parts, what).await.unwrap();
        }
    }
}

/// Everything that a settlement changes, but the journal.
async fn books(tx: &mut Tx) -> Vec<String> {
    let running = Contract::running(tx, &lane()).await.unwrap();
    assert!(running.len() < 9 && running.len() > crate::pages::ROWS as usize);
    let show = |c: &Contract| format!("{} {:?}", c.id, c.maintenance_due);
    let mut shown: Vec<String> = running.iter().map(show).collect();
    let ended = "SELECT id, maintenance_due FROM market_contracts
        WHERE state NOT IN ('starting', 'active') ORDER BY id";
    let metered = "SELECT id, maintenance_due FROM market_metered ORDER BY id";
    for sql in [ended, metered] {
        for row in tx.fetch_all(sql, &[]).await.unwrap() {
            let id: ContractId = row.get("id").unwrap();
            shown.push(format!("{id} {:?}", row.get::<Accrual>("maintenance_due").unwrap()));
        }
    }
    let sql = "SELECT account, asset, minor FROM ledger_balances WHERE minor <> 0
        ORDER BY account, asset";
    for row in tx.fetch_all(sql, &[]).await.unwrap() {
        let (account, asset): (String, Asset) =
            (row.get("account").unwrap(), row.get("asset").unwrap());
        shown.push(format!("{account} {asset} {}", row.get::<i64>("minor").unwrap()));
    }
    let sql = "SELECT asset, kind, beneficiary, settled_minor AS a, net_minor AS b, fee_carry AS c,
        waiting_minor AS d, settlements AS e, settled_to AS f FROM market_standings
        ORDER BY asset, kind, beneficiary";
    let standings = tx.fetch_all(sql, &[]).await.unwrap();
    shown.extend(standings.iter().map(|row| numbers(row, &["a", "b", "c", "d", "e", "f"])));
    let sql = "SELECT asset, kind, beneficiary, number AS a, from_epoch AS b, to_epoch AS c,
        gross_minor AS d, fee_minor AS e, maintenance_minor AS f, waived_minor AS g, net_minor AS h
        FROM market_settlements ORDER BY asset, kind, beneficiary, number";
    let lines = tx.fetch_all(sql, &[]).await.unwrap();
    let columns = ["a", "b", "c", "d", "e", "f", "g", "h"];
    shown.extend(lines.iter().map(|row| numbers(row, &columns)));
    let sql = "SELECT asset, CAST(SUM(minor) AS BIGINT) AS a, 0 AS kind, '' AS beneficiary
        FROM market_fpps_capital GROUP BY asset ORDER BY asset";
    for row in tx.fetch_all(sql, &[]).await.unwrap() {
        let asset: Asset = row.get("asset").unwrap();
        shown.push(format!("capital {asset} {}", row.get::<i64>("a").unwrap()));
    }
    shown
}

fn numbers(row: &Row, columns: &[&str]) -> String {
    let who = crate::reward::beneficiary(row).unwrap();
    let asset: Asset = row.get("asset").unwrap();
    let all: Vec<_> = columns.iter().map(|c| row.get::<Option<i64>>(c).unwrap()).collect();
    format!("{asset} {} {all:?}", who.key())
}

async fn head(tx: &mut Tx) -> [u8; 32] {
    let row = tx.fetch_one("SELECT hash FROM ledger_head", &[]).await.unwrap();
    row.get("hash").unwrap()
}

/// Less than the lane's fee, and more.
fn agreed_fees() -> BTreeMap<AccountId, Bps> {
    [(someone(1), 37), (someone(2), 900)].map(|(who, bps)| (who, Bps::new(bps).unwrap())).into()
}

/// Everyone alone, an entry for each settlement: the plainest way.
async fn one_by_one(
    tx: &mut Tx,
    w: &World,
    to: EpochNumber,
    waiting: Option<ContractId>,
    all: &[Beneficiary],
) {
    let config = w.market.lane(&lane()).unwrap();
    for book in config.books() {
        pending::fold(tx, book).await.unwrap();
    }
    let row = tx.fetch_one(crate::sql::FIRST_EPOCH, &params![lane()]).await.unwrap();
    let first: EpochNumber = row.get("epoch").unwrap();
    let mut means = BTreeMap::new();
    for book in config.books() {
        means.insert(book.asset, Means::count(tx, book).await.unwrap());
    }
    for who in all {
        let (mut fee, mut due, mut order, mut began) = (Bps::ZERO, Accrual::ZERO, vec![], first);
        if let Beneficiary::Contract(id) | Beneficiary::Fpps(id) = who {
            if waiting == Some(*id) {
                continue;
            }
            (fee, due, order, began) = terms_of(tx, *id).await;
            if matches!(who, Beneficiary::Fpps(_)) {
                fee = Bps::ZERO;
            }
        } else if let Beneficiary::Account(id) = who {
            let agreed = agreed_fees().get(id).copied();
            fee = config.outside_fee_bps.min(agreed.unwrap_or(config.outside_fee_bps));
        }
        let (mut rows, mut parts) = (Vec::new(), Vec::new());
        for book in config.books() {
            let row = StandingRow::find(tx, book, *who).await.unwrap();
            let mut settled = row.standing.settle(fee, Accrual::ZERO).unwrap();
            if let (Beneficiary::Fpps(_), Some(s)) = (who, settled) {
                settled = means[&book.asset].limit(s).unwrap();
            }
            if let Some(s) = settled {
                rows.push((book, row));
                parts.push((book.asset, s));
            }
        }
        let carry = take_maintenance(&mut parts, due, &order).unwrap();
        if let (Beneficiary::Contract(id) | Beneficiary::Fpps(id), Some(carry)) = (who, carry) {
            set_due(tx, *id, carry).await;
            for table in [LEASES, METERED] {
                tx.execute(table, &params![*id, carry]).await.unwrap();
            }
        }
        for ((book, mut row), (asset, s)) in rows.into_iter().zip(parts) {
            let from = row.settled_to.map_or(began, EpochNumber::next).min(to);
            post_one(tx, &row, (asset, &s), (from, to)).await;
            let line = super::take(&mut row, &s, (from, to));
            store_line(tx, book, &mut row, line).await;
        }
    }
}

const LEASES: &str = "UPDATE market_contracts SET maintenance_due = $2 WHERE id = $1";
const METERED: &str = "UPDATE market_metered SET maintenance_due = $2 WHERE id = $1";

/// Notes what a contract owes, if it runs.
async fn set_due(tx: &mut Tx, id: ContractId, due: Accrual) {
    let mut progress = Rewriting::of(&lane());
    while let Some(mut p) = progress.next(tx).await.unwrap() {
        if p.contract == id {
            p.maintenance_due = due;
        }
        progress.push(tx, p).await.unwrap();
    }
    progress.finish(tx).await.unwrap();
}

/// A due in dollars that has no price.
async fn wait(tx: &mut Tx, id: ContractId, epoch: EpochNumber) {
    let one = Accrual::from_minor(1).unwrap();
    let due = params![id, epoch, lane(), NOW, one, one].to_vec();
    tx.execute_many(&crate::bulk::sql::INSERT_USD_DUES, due).await.unwrap();
}

/// Fee, maintenance due, what it is taken from, and the first epoch.
async fn terms_of(tx: &mut Tx, id: ContractId) -> (Bps, Accrual, Vec<(Asset, u64)>, EpochNumber) {
    if let Ok(c) = Contract::find(tx, id).await {
        return (c.fee, c.maintenance_due, c.maintenance_order(), c.start.unwrap());
    }
    let m = Metered::find(tx, id).await.unwrap();
    let own = std::iter::once((m.asset, m.maintenance));
    (m.fee, m.maintenance_due, own.chain(m.maintenance_also).collect(), m.first_epoch)
}

async fn store_line(tx: &mut Tx, book: Book<'_>, row: &mut StandingRow, line: super::Line) {
    let given = line_row(book, row, line, NOW);
    tx.execute_many(&crate::bulk::sql::INSERT_SETTLEMENTS, given.to_vec()).await.unwrap();
    row.put(tx, book).await.unwrap();
}

async fn post_one(
    tx: &mut Tx,
    row: &StandingRow,
    (asset, s): (Asset, &crate::settle::Settlement),
    (from, to): (EpochNumber, EpochNumber),
) {
    let amount = |minor| Amount::new(asset, minor);
    let id: LaneId = lane();
    let reason = format!("market/settle/{id}/{asset}/{}/{from}-{to}", row.who.key());
    let mut postings = vec![
        Posting::credit(earner(row).unwrap(), amount(s.net)),
        Posting::credit(Account::OperatorRevenue, amount(s.fee + s.maintenance)),
    ];
    if matches!(row.who, Beneficiary::Fpps(_)) {
        let there = gruve_ledger::balance(tx, &Account::FppsReserve, asset).await.unwrap();
        let reserve = s.gross.min(there.minor);
        let own = s.gross - reserve;
        postings.push(Posting::debit(Account::FppsReserve, amount(reserve)));
        postings.push(Posting::debit(Account::OperatorRevenue, amount(own)));
        if own > 0 {
            note_capital(tx, asset, &reason, own, NOW).await.unwrap();
        }
    } else {
        postings.push(Posting::debit(Account::Rewards(id), amount(s.gross)));
    }
    let entry = Entry { reason, kind: "market-settlement", at: NOW, postings };
    post(tx, &entry).await.unwrap();
}

async fn pages_change_nothing_and_everyone_alone_gets_the_same(store: Store) {
    let (w, all) = world(store).await;
    let to = w.now().back(1);
    let config = w.market.lane(&lane()).unwrap();
    let mut entries = 0;
    for seed in 0..6_u64 {
        let waiting = all.iter().find_map(|who| super::contract_of(*who));
        let (mut expected, mut journal) = (None, None);
        // Alone first, then by pages of one, two and three.
        for rows in [0, 1, 2, 3] {
            let mut tx = w.store.begin().await.unwrap();
            wait(&mut tx, waiting.unwrap(), to).await;
            earn(&mut tx, &w, &all, seed).await;
            if rows == 0 {
                one_by_one(&mut tx, &w, to, waiting, &all).await;
            } else {
                let agreed_fees = agreed_fees();
                let everyone = Everyone { waiting_since: Some(to), agreed_fees: &agreed_fees };
                settle_in_pages(&mut tx, config, to, everyone, NOW, rows).await.unwrap();
                let head = head(&mut tx).await;
                assert_eq!(*journal.get_or_insert(head), head, "pages of {rows}, seed {seed}");
                let sql =
                    "SELECT COUNT(*) AS n FROM ledger_entries WHERE kind = 'market-settlement'";
                let row = tx.fetch_one(sql, &[]).await.unwrap();
                entries = entries.max(row.get::<i64>("n").unwrap());
            }
            let books = books(&mut tx).await;
            for book in config.books() {
                let left = pending::all(&mut tx, &lane(), book.asset).await.unwrap();
                assert!(left.is_empty(), "{left:?} is still pending");
            }
            let expected = expected.get_or_insert_with(|| books.clone());
            for (one, other) in expected.iter().zip(&books) {
                assert_eq!(one, other, "pages of {rows}, seed {seed}");
            }
            assert_eq!(expected.len(), books.len());
            tx.rollback().await.unwrap();
        }
    }
    // Two assets, two kinds of means, and never all in one.
    assert!(entries > 6, "{entries}");
    assert_eq!(ASSETS.len(), config.books().count());
    assert!(w.holds(&Account::CustomerAvailable(someone(0))).await >= btc(0).minor);
    w.assert_sound().await;
}

laws! { settling: [pages_change_nothing_and_everyone_alone_gets_the_same] }
