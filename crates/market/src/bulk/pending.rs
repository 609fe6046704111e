//! What came to standings since they were written last.
//!
//! A block that is shared out, or has matured, adds to the standing of everyone in its window. Standings are rows of
//! some width with two indexes; what is added to them gathers here, tens of beneficiaries to a row, and goes into
//! the rows together, in the settlement, which reads and writes them anyway, each once. Whatever reads a standing
//! adds what is here, so nobody sees a difference.
//!
//! Promises: sums only grow; whatever takes something back folds before ([`fold`]).
//!
//! # A page's bytes
//! | bytes | what |
//! |---|---|
//! | 1 | form, 1 |
//! | until the end, for each beneficiary | 1 of kind and 16 of id; numbers: accrued, matured |

use super::accruals::{PAGES_AT_ONCE, Part, key, read_key};
use super::coding::{Reader, broken, put};
use super::{PENDING_PAGE, sql};
use crate::book::Book;
use crate::standing::StandingRow;
use crate::{Beneficiary, MarketError, Result};
use gruve_store::{Batch, Tx, Value, params};
use gruve_units::{Accrual, Asset, LaneId};
use std::collections::{HashMap, VecDeque};

const FORM: u8 = 1;

/// Beneficiaries whose pages are looked for page by page; of more all pages between the first and the last are read. One
/// customer's contracts are far apart: between the oldest and the newest stand those of everybody else.
#[cfg(not(test))]
pub(crate) const STEPPED_MAX: usize = 1_000;
#[cfg(test)]
pub(crate) const STEPPED_MAX: usize = 100;

/// Beneficiaries whose rows are written at once.
#[cfg(not(test))]
const AT_ONCE: usize = 10_000;
#[cfg(test)]
const AT_ONCE: usize = 3;

/// What came to a standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) accrued: Accrual,
    pub(crate) matured: Accrual,
}

impl Pending {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Pending::default()
    }

    fn add(&mut self, what: What, amount: Accrual) -> Result<()> {
        let sum = match what {
            What::Accrued => &mut self.accrued,
            What::Matured => &mut self.matured,
        };
        let more = sum.checked_add(amount);
        *sum = more.ok_or(MarketError::Overflow("all earnings of a beneficiary"))?;
        Ok(())
    }
}

/// What is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Accrued,
    Matured,
}

type Entry = (Beneficiary, Pending);

fn read_page(body: &[u8], mut each: impl FnMut(Entry)) -> Result<()> {
    let mut r = Reader::new(body);
    let [form] = r.bytes()?;
    if form != FORM {
        return Err(broken());
    }
    while !r.is_at_end() {
        let who = read_key(&mut r)?;
        let (accrued, matured) = (Accrual(r.number()?), Accrual(r.number()?));
        each((who, Pending { accrued, matured }));
    }
    Ok(())
}

fn write_page(page: &[Entry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + page.len() * 46);
    body.push(FORM);
    for (who, p) in page {
        body.extend(key(*who));
        put(&mut body, p.accrued.0);
        put(&mut body, p.matured.0);
    }
    body
}

/// Pages in order, as they are read. Nothing may be added meanwhile.
pub(crate) struct Reading {
    lane: LaneId,
    asset: Asset,
    after: Option<Vec<u8>>,
    ahead: VecDeque<Entry>,
}

impl Reading {
    pub(crate) fn of(lane: &LaneId, asset: Asset) -> Reading {
        let (after, ahead) = (Some(Vec::new()), VecDeque::new());
        Reading { lane: lane.clone(), asset, after, ahead }
    }

    /// Some more of them, if there are any.
    async fn fill(&mut self, tx: &mut Tx) -> Result<bool> {
        let Some(after) = self.after.take() else { return Ok(false) };
        let given = params![self.lane.clone(), self.asset, after, PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::PENDING_PAGES, &given).await?;
        for row in &rows {
            read_page(&row.get::<Vec<u8>>("body")?, |entry| self.ahead.push_back(entry))?;
        }
        if let (Some(last), true) = (rows.last(), rows.len() == PAGES_AT_ONCE as usize) {
            self.after = Some(last.get("first")?);
        }
        Ok(!rows.is_empty())
    }

    /// Who comes next.
    pub(crate) async fn peek(&mut self, tx: &mut Tx) -> Result<Option<Beneficiary>> {
        while self.ahead.is_empty() {
            if !self.fill(tx).await? {
                return Ok(None);
            }
        }
        Ok(self.ahead.front().map(|(who, _)| *who))
    }

    /// Goes past somebody, if he comes next.
    pub(crate) fn pass(&mut self, who: Beneficiary) {
        if self.ahead.front().is_some_and(|(next, _)| *next == who) {
            self.ahead.pop_front();
        }
    }
}

/// Adds everyone's part of a block, in the order of beneficiaries. All pages are written anew, behind what was read of them:
/// nearly everyone has a part in every block.
pub(crate) struct Adding {
    lane: LaneId,
    asset: Asset,
    what: What,
    /// The last one that was read, after which the next page begins: what is written anew meanwhile stands before it.
    after: Option<Vec<u8>>,
    ahead: VecDeque<Entry>,
    page: Vec<Entry>,
    batch: Batch,
}

impl Adding {
    pub(crate) fn of(book: Book<'_>, what: What) -> Adding {
        let (lane, asset) = (book.lane.lane.clone(), book.asset);
        let (after, ahead, page) = (Some(Vec::new()), VecDeque::new(), Vec::new());
        Adding { lane, asset, what, after, ahead, page, batch: Batch::new(&sql::INSERT_PENDING) }
    }

    async fn fill(&mut self, tx: &mut Tx) -> Result<()> {
        while self.ahead.is_empty() {
            let Some(after) = self.after.take() else { return Ok(()) };
            let given = params![self.lane.clone(), self.asset, after.clone(), PAGES_AT_ONCE];
            let rows = tx.fetch_all(sql::PENDING_PAGES, &given).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            for row in &rows {
                read_page(&row.get::<Vec<u8>>("body")?, |entry| self.ahead.push_back(entry))?;
            }
            let first: Vec<u8> = last.get("first")?;
            let given = params![self.lane.clone(), self.asset, after, first];
            tx.execute(sql::DELETE_PENDING, &given).await?;
            if rows.len() == PAGES_AT_ONCE as usize {
                let last = self.ahead.back().map(|(who, _)| key(*who).to_vec());
                self.after = Some(last.ok_or_else(broken)?);
            }
        }
        Ok(())
    }

    pub(crate) async fn push(&mut self, tx: &mut Tx, (who, amount): Part) -> Result<()> {
        let mut pending = Pending::default();
        loop {
            if self.ahead.is_empty() {
                self.fill(tx).await?;
            }
            let Some(before) = self.ahead.pop_front_if(|(other, _)| *other <= who) else { break };
            if before.0 == who {
                pending = before.1;
                break;
            }
            self.put(tx, before).await?;
        }
        pending.add(self.what, amount)?;
        self.put(tx, (who, pending)).await
    }

    async fn put(&mut self, tx: &mut Tx, entry: Entry) -> Result<()> {
        self.page.push(entry);
        if self.page.len() == PENDING_PAGE { self.end_page(tx).await } else { Ok(()) }
    }

    async fn end_page(&mut self, tx: &mut Tx) -> Result<()> {
        let Some((first, _)) = self.page.first() else { return Ok(()) };
        let row = params![self.lane.clone(), self.asset, key(*first), write_page(&self.page)];
        self.page.clear();
        self.batch.push(tx, row).await?;
        Ok(())
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        loop {
            self.fill(tx).await?;
            let Some(entry) = self.ahead.pop_front() else { break };
            self.put(tx, entry).await?;
        }
        self.end_page(tx).await?;
        self.batch.finish(tx).await?;
        Ok(())
    }
}

/// Adds everyone's part of a block; sorted by beneficiary.
#[cfg(test)]
pub(crate) async fn add(tx: &mut Tx, book: Book<'_>, parts: &[Part], what: What) -> Result<()> {
    let mut adding = Adding::of(book, what);
    for part in parts {
        adding.push(tx, *part).await?;
    }
    adding.finish(tx).await
}

/// What came to one standing.
pub(crate) async fn of(tx: &mut Tx, book: Book<'_>, who: Beneficiary) -> Result<Pending> {
    let given = params![book.id(), book.asset, key(who)];
    let mut found = Pending::default();
    if let Some(row) = tx.fetch_optional(sql::PENDING_PAGE, &given).await? {
        read_page(&row.get::<Vec<u8>>("body")?, |(other, pending)| {
            if other == who {
                found = pending;
            }
        })?;
    }
    Ok(found)
}

/// A page as it is stored; nothing where there is none.
async fn page(tx: &mut Tx, sql: &'static str, given: &[Value]) -> Result<Vec<Entry>> {
    let mut page = Vec::new();
    if let Some(row) = tx.fetch_optional(sql, given).await? {
        read_page(&row.get::<Vec<u8>>("body")?, |entry| page.push(entry))?;
    }
    Ok(page)
}

/// The same of some, sorted: a page that more of them stand on is read once, and those that none of them stands on are passed
/// over.
async fn stepped(
    tx: &mut Tx,
    book: Book<'_>,
    asked: &[Beneficiary],
) -> Result<HashMap<Beneficiary, Pending>> {
    let (mut all, mut here): (_, Vec<Entry>) = (HashMap::new(), Vec::new());
    for who in asked {
        if here.last().is_none_or(|(last, _)| last < who) {
            let given = params![book.id(), book.asset, key(*who)];
            here = page(tx, sql::PENDING_PAGE, &given).await?;
            if here.last().is_none_or(|(last, _)| last < who) {
                // It has nothing: who comes next stands on the page behind, or has nothing, too.
                let given = params![book.id(), book.asset, key(*who), 1_u32];
                here = page(tx, sql::PENDING_PAGES, &given).await?;
                if here.is_empty() {
                    break;
                }
            }
        }
        if let Ok(n) = here.binary_search_by_key(who, |(other, _)| *other) {
            all.insert(*who, here[n].1);
        }
    }
    Ok(all)
}

/// The same of many.
pub(crate) async fn of_many(
    tx: &mut Tx,
    book: Book<'_>,
    everyone: &[Beneficiary],
) -> Result<HashMap<Beneficiary, Pending>> {
    let mut all = HashMap::new();
    let mut asked: Vec<Beneficiary> = everyone.to_vec();
    asked.sort_unstable();
    let (Some(least), Some(most)) = (asked.first(), asked.last()) else { return Ok(all) };
    if asked.len() <= STEPPED_MAX {
        return stepped(tx, book, &asked).await;
    }
    let mut from = key(*least).to_vec();
    let given = params![book.id(), book.asset, from.clone()];
    if let Some(row) = tx.fetch_optional(sql::PENDING_PAGE, &given).await? {
        from = row.get("first")?;
    }
    let mut from = Some(from);
    while let Some(first) = from.take() {
        let given = params![book.id(), book.asset, first, key(*most), PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::PENDING_BETWEEN, &given).await?;
        for row in &rows {
            read_page(&row.get::<Vec<u8>>("body")?, |(who, pending)| {
                if asked.binary_search(&who).is_ok() {
                    all.insert(who, pending);
                }
            })?;
        }
        if let (Some(last), true) = (rows.last(), rows.len() == PAGES_AT_ONCE as usize) {
            // The first page that comes after it.
            let mut next: Vec<u8> = last.get("first")?;
            next.push(0);
            from = Some(next);
        }
    }
    Ok(all)
}

/// All of a lane's asset.
pub(crate) async fn all(
    tx: &mut Tx,
    lane: &LaneId,
    asset: Asset,
) -> Result<Vec<(Beneficiary, Pending)>> {
    let mut reading = Reading::of(lane, asset);
    while reading.fill(tx).await? {}
    Ok(reading.ahead.into())
}

/// Forgets what is pending, because it stands in the rows or is written anew.
pub(crate) async fn clear(tx: &mut Tx, book: Book<'_>) -> Result<()> {
    tx.execute(sql::CLEAR_PENDING, &params![book.id(), book.asset]).await?;
    Ok(())
}

/// Puts what came into the standings' rows, some of them at a time.
pub(crate) async fn fold(tx: &mut Tx, book: Book<'_>) -> Result<()> {
    let mut reading = Reading::of(&book.lane.lane, book.asset);
    loop {
        let mut some = Vec::new();
        while let (Some(who), true) = (reading.peek(tx).await?, some.len() < AT_ONCE) {
            reading.pass(who);
            some.push(who);
        }
        if some.is_empty() {
            // It stands in the rows now.
            return clear(tx, book).await;
        }
        let rows = StandingRow::take_all(tx, book, &some).await?;
        StandingRow::put_all(tx, book, &rows).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use gruve_store::{Store, laws, transact};
    use gruve_units::{AccountId, ContractId};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn who(n: u8) -> Beneficiary {
        match n % 3 {
            0 => Beneficiary::Contract(ContractId::from_bytes([n; 16])),
            _ => Beneficiary::Account(AccountId::from_bytes([n; 16])),
        }
    }

    async fn sums_are_those_of_a_map_whoever_is_asked_for(store: Store) {
        let w = World::new(store).await;
        let lane = w.market.config().lanes[0].clone();
        let lane = &lane;
        let mut want: BTreeMap<Beneficiary, Pending> = BTreeMap::new();
        let mut rounds = Vec::new();
        for round in 0_u8..6 {
            let what = if round % 2 == 0 { What::Accrued } else { What::Matured };
            let mut parts: Vec<Part> = (0..=200)
                .filter(|n| n % (round + 2) == 0)
                .map(|n| (who(n), Accrual((u128::from(n) << 70) + u128::from(round))))
                .collect();
            parts.sort_unstable_by_key(|(who, _)| *who);
            for (who, amount) in &parts {
                want.entry(*who).or_default().add(what, *amount).unwrap();
            }
            rounds.push((parts, what));
        }
        let (rounds, want) = (&rounds, &want);
        let outcome = transact!(w.store, tx -> Result<()> => {
            let book = lane.books().next().unwrap();
            for (parts, what) in rounds {
                add(tx, book, parts, *what).await?;
            }
            let got = all(tx, &lane.lane, book.asset).await?;
            assert_eq!(got, want.iter().map(|(w, p)| (*w, *p)).collect::<Vec<_>>());
            // A few, nobody, and all between two; most of those that are asked for have nothing.
            let lists = [(0, 255, 1), (3, 40, 1), (90, 180, 1), (7, 7, 1), (201, 255, 1), (0, 255, 37)];
            for (from, to, step) in lists {
                let asked: Vec<_> = (from..=to).rev().step_by(step).map(who).collect();
                let got = of_many(tx, book, &asked).await?;
                for who in asked {
                    let want = want.get(&who).copied().unwrap_or_default();
                    assert_eq!(got.get(&who).copied().unwrap_or_default(), want);
                    assert_eq!(of(tx, book, who).await?, want);
                }
            }
            Ok(())
        });
        outcome.unwrap();
    }

    laws! { pending: [sums_are_those_of_a_map_whoever_is_asked_for] }

    proptest! {
        #[test]
        fn damaged_pages_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_page(&bytes, |_| ());
        }
    }
}
