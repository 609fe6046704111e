//! Everyone's part of a block that was shared out.
//!
//! A block is shared out over all contracts of a window: here tens of them stand in a row. The parts of a life
//! of a block are written once and never changed; that it was reversed says the row of that life
//! (`market_lives`). Blocks shared out before there were pages have rows in `market_accruals`, a reversal with the
//! sign turned.
//!
//! # A page's bytes
//! | bytes | what |
//! |---|---|
//! | 1 | form, 1 |
//! | until the end, for each beneficiary | 1 of kind and 16 of id (see [`Beneficiary::columns`]); a number (see `coding`): the part, in 2^-64 minor units |

use super::coding::{Reader, broken, put};
use super::{ACCRUALS_PAGE, sql};
use crate::book::Book;
use crate::pages::Pages;
use crate::reward::{Life, beneficiary, from_columns};
use crate::{Beneficiary, MarketError, Result};
use gruve_store::{Batch, Row, Tx, params};
use gruve_units::{Accrual, Asset};

const FORM: u8 = 1;

/// Pages read at once: a megabyte as bytes and some three as they are read. In the unit tests so few that everything is read in several goes.
#[cfg(not(test))]
pub(super) const PAGES_AT_ONCE: u32 = 500;
#[cfg(test)]
pub(super) const PAGES_AT_ONCE: u32 = 2;

/// Somebody's part.
pub(crate) type Part = (Beneficiary, Accrual);

/// A beneficiary as a key by which pages are found: kind and id.
pub(super) fn key(who: Beneficiary) -> [u8; 17] {
    let (kind, id) = who.columns();
    let mut key = [0; 17];
    key[0] = u8::try_from(kind).unwrap_or(u8::MAX);
    key[1..].copy_from_slice(&id);
    key
}

pub(super) fn read_key(r: &mut Reader<'_>) -> Result<Beneficiary> {
    let [kind] = r.bytes()?;
    Beneficiary::from_columns(kind.into(), r.bytes()?).ok_or_else(broken)
}

fn read_page(body: &[u8], mut each: impl FnMut(Part)) -> Result<()> {
    let mut r = Reader::new(body);
    let [form] = r.bytes()?;
    if form != FORM {
        return Err(broken());
    }
    while !r.is_at_end() {
        each((read_key(&mut r)?, Accrual(r.number()?)));
    }
    Ok(())
}

/// A beneficiary's part on a page, if it has one there.
pub(crate) fn part_of(body: &[u8], who: Beneficiary) -> Result<Option<Accrual>> {
    let mut found = None;
    read_page(body, |(other, part)| found = found.or((other == who).then_some(part)))?;
    Ok(found)
}

/// The key of the page on which a beneficiary's part stands.
pub(crate) fn page_key(who: Beneficiary) -> [u8; 17] {
    key(who)
}

/// Writes everyone's part of a block's life, in the order of beneficiaries.
pub(crate) struct Writing {
    life: Life,
    first: Option<Beneficiary>,
    count: usize,
    body: Vec<u8>,
    batch: Batch,
}

impl Writing {
    pub(crate) const fn of(life: Life) -> Writing {
        let batch = Batch::new(&sql::INSERT_ACCRUAL_PAGES);
        Writing { life, first: None, count: 0, body: Vec::new(), batch }
    }

    pub(crate) async fn push(&mut self, tx: &mut Tx, (who, part): Part) -> Result<()> {
        if self.first.is_none() {
            self.first = Some(who);
            self.body.push(FORM);
        }
        self.body.extend(key(who));
        put(&mut self.body, part.0);
        self.count += 1;
        if self.count == ACCRUALS_PAGE { self.end_page(tx).await } else { Ok(()) }
    }

    async fn end_page(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        self.count = 0;
        let (life, body) = (self.life, std::mem::take(&mut self.body));
        let row = params![life.amount.asset, life.block_hash, life.generation, key(first), body];
        self.batch.push(tx, row).await?;
        Ok(())
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        self.end_page(tx).await?;
        self.batch.finish(tx).await?;
        Ok(())
    }
}

/// Everyone's part of a block's life as it is read, sorted by beneficiary.
pub(crate) struct Reading {
    life: Life,
    after: Option<Vec<u8>>,
    /// Of a block shared out before there were pages.
    old: Option<Pages>,
}

impl Reading {
    pub(crate) const fn of(life: Life) -> Reading {
        Reading { life, after: Some(Vec::new()), old: None }
    }

    /// Some more of them; `None` after the last.
    pub(crate) async fn next(&mut self, tx: &mut Tx) -> Result<Option<Vec<Part>>> {
        if let Some(first) = self.after.take() {
            let life = self.life;
            let is_begin = first.is_empty();
            let given =
                params![life.amount.asset, life.block_hash, life.generation, first, PAGES_AT_ONCE];
            let rows = tx.fetch_all(sql::ACCRUAL_PAGES, &given).await?;
            let mut some = Vec::new();
            for row in &rows {
                read_page(&row.get::<Vec<u8>>("body")?, |part| some.push(part))?;
            }
            if let (Some(last), true) = (rows.last(), rows.len() == PAGES_AT_ONCE as usize) {
                self.after = Some(last.get("first")?);
            }
            if !some.is_empty() {
                return Ok(Some(some));
            }
            if is_begin {
                let given = params![life.amount.asset, life.block_hash, life.generation];
                self.old = Some(Pages::by_beneficiary(crate::sql::ACCRUALS_OF_BLOCK, &given));
            }
        }
        let Some(old) = &mut self.old else { return Ok(None) };
        let Some(rows) = old.next(tx).await? else { return Ok(None) };
        rows.iter()
            .map(|row| Ok((beneficiary(row)?, old_part(row)?)))
            .collect::<Result<_>>()
            .map(Some)
    }
}

pub(crate) fn old_part(row: &Row) -> Result<Accrual> {
    let amount =
        from_columns(row.get("minor")?, row.get("fraction_high")?, row.get("fraction_low")?);
    amount.ok_or_else(|| MarketError::Broken("a negative accrual".into()))
}

/// All parts on pages of blocks of a book that are not reversed.
pub(crate) async fn each_live(
    tx: &mut Tx,
    book: Book<'_>,
    mut each: impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    let (mut hash, mut generation, mut first) = (Vec::<u8>::new(), -1_i64, Vec::<u8>::new());
    loop {
        let asset: Asset = book.asset;
        let given =
            params![book.id(), asset, hash.clone(), generation, first.clone(), PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::LIVE_ACCRUAL_PAGES, &given).await?;
        for row in &rows {
            let mut outcome = Ok(());
            read_page(&row.get::<Vec<u8>>("body")?, |part| {
                if outcome.is_ok() {
                    outcome = each(part);
                }
            })?;
            outcome?;
        }
        let Some(last) = rows.last().filter(|_| rows.len() == PAGES_AT_ONCE as usize) else {
            return Ok(());
        };
        (hash, generation, first) =
            (last.get("block_hash")?, last.get("generation")?, last.get("first")?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use gruve_store::{Store, laws, transact};
    use gruve_units::{Amount, ContractId};
    use proptest::prelude::*;

    fn contract(n: u8) -> Beneficiary {
        Beneficiary::Contract(ContractId::from_bytes([n; 16]))
    }

    async fn write(tx: &mut Tx, life: Life, parts: &[Part]) -> Result<()> {
        let mut writing = Writing::of(life);
        for part in parts {
            writing.push(tx, *part).await?;
        }
        writing.finish(tx).await
    }

    async fn read(tx: &mut Tx, life: Life) -> Result<Vec<Part>> {
        let (mut all, mut reading) = (Vec::new(), Reading::of(life));
        while let Some(some) = reading.next(tx).await? {
            all.extend(some);
        }
        Ok(all)
    }

    async fn parts_come_back_in_order_page_by_page(store: Store) {
        let w = World::new(store).await;
        let mut parts = vec![(Beneficiary::Operator, Accrual(1 << 127))];
        parts.extend((0..20).map(|n| (contract(n * 5), Accrual(u128::from(n) << 64 | 3))));
        parts.push((Beneficiary::Remainder, Accrual(1)));
        let life = |generation| Life {
            block_hash: [8; 32],
            generation,
            amount: Amount::new(Asset::Btc, 1),
        };
        let all = &parts;
        let outcome = transact!(w.store, tx -> Result<()> => {
            write(tx, life(2), all).await?;
            write(tx, life(3), &all[1..4]).await?;
            assert_eq!(read(tx, life(2)).await?, *all);
            assert_eq!(read(tx, life(3)).await?, all[1..4]);
            assert_eq!(read(tx, life(1)).await?, vec![]);
            Ok(())
        });
        outcome.unwrap();
    }

    /// Puts the parts of a block as rows, as they were before there were pages.
    async fn as_before(tx: &mut Tx, life: Life) -> Result<()> {
        const ROW: &str = "INSERT INTO market_accruals (asset, block_hash, generation, reversal,
            kind, beneficiary, lane, minor, fraction_high, fraction_low, at)
            VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8, $9, 1)";
        let parts = read(tx, life).await?;
        assert!(parts.len() > ACCRUALS_PAGE);
        for (who, part) in parts {
            let (kind, id) = who.columns();
            let [minor, high, low] = crate::reward::columns(part)?;
            let row = params![
                life.amount.asset,
                life.block_hash,
                life.generation,
                kind,
                id,
                crate::world::lane(),
                minor,
                high,
                low
            ];
            tx.execute(ROW, &row).await?;
        }
        tx.execute("DELETE FROM market_accrual_pages", &[]).await?;
        Ok(())
    }

    async fn blocks_from_before_there_were_pages_are_credited_stated_and_reversed(store: Store) {
        const LEFT: &str = "SELECT CAST(SUM(minor) AS BIGINT) AS minor, COUNT(*) AS n
            FROM market_accruals";
        let w = World::new(store).await;
        w.prove(1_000_000).await;
        for n in 0..4 {
            w.lease(crate::world::someone(n), 10_000, 20).await;
        }
        for _ in 0..2 {
            w.epoch_at(100_000).await;
        }
        let block_hash = w.find_block(100);
        w.see(block_hash, 100, 5_000_000_000).await;
        w.epoch_at(100_000).await;
        let amount = Amount::new(Asset::Btc, 5_000_000_000);
        let life = Life { block_hash, generation: 0, amount };
        transact!(w.store, tx -> Result<()> => { as_before(tx, life).await }).unwrap();
        w.assert_all_sound().await;
        w.height(200).await;
        w.epoch_at(100_000).await;
        w.assert_all_sound().await;
        w.orphan(block_hash).await;
        w.assert_all_sound().await;
        let row = w.store.read().await.unwrap().fetch_one(LEFT, &[]).await.unwrap();
        assert_eq!(row.get::<i64>("minor").unwrap(), 0);
        assert!(row.get::<i64>("n").unwrap() > 0);
    }

    laws! { accruals: [
        parts_come_back_in_order_page_by_page,
        blocks_from_before_there_were_pages_are_credited_stated_and_reversed,
    ] }

    proptest! {
        #[test]
        fn damaged_pages_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_page(&bytes, |_| ());
        }
    }
}
