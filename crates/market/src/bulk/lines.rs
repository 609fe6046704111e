//! What each contract got in each epoch.
//!
//! # A page's bytes
//! | bytes | what |
//! |---|---|
//! | 1 | form, 1 |
//! | 1, then for each 1 and *n* | number of assets, and of each the length and letters of its code |
//! | until the end, for each contract | 16 bytes of id; numbers (see `coding`): entitled, delivered, made good, shortfall, and the units of each asset in that order |

use super::coding::{Reader, broken, put};
use super::{PAGE, sql};
use crate::Result;
use gruve_store::{Batch, Row, Tx, params};
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, LaneId};

/// The form of a page's bytes.
const FORM: u8 = 1;

/// Pages read at once: a megabyte as bytes and some three as they are read. In the unit tests so few that everything is read in several goes.
#[cfg(not(test))]
const PAGES_AT_ONCE: u32 = 500;
#[cfg(test)]
const PAGES_AT_ONCE: u32 = 2;

/// What a contract got in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) contract: ContractId,
    pub(crate) entitled: Hashes,
    pub(crate) delivered: Hashes,
    pub(crate) made_good: Hashes,
    pub(crate) shortfall: Hashes,
    /// PPLNS units of each asset of the lane, its own first.
    pub(crate) units: Vec<(Asset, u128)>,
}

/// A line with its epoch.
pub(crate) type LineOf = (EpochNumber, Line);

/// Writes an epoch's lines, which must come in the order of their contracts' ids.
pub(crate) struct Lines {
    lane: LaneId,
    epoch: EpochNumber,
    head: Vec<u8>,
    first: Option<ContractId>,
    count: usize,
    body: Vec<u8>,
    batch: Batch,
}

impl Lines {
    /// Of a lane that earns these assets.
    pub(crate) fn of(lane: &LaneId, epoch: EpochNumber, assets: &[Asset]) -> Lines {
        let mut head = vec![FORM, u8::try_from(assets.len()).unwrap_or(0)];
        for asset in assets {
            head.push(u8::try_from(asset.code().len()).unwrap_or(0));
            head.extend(asset.code().as_bytes());
        }
        let batch = Batch::new(&sql::INSERT_LINE_PAGES);
        let (lane, body) = (lane.clone(), Vec::new());
        Lines { lane, epoch, head, first: None, count: 0, body, batch }
    }

    /// Adds a line; `units` are those of each asset in the order given before.
    pub(crate) async fn push(&mut self, tx: &mut Tx, line: &Line) -> Result<()> {
        if self.first.is_none() {
            self.first = Some(line.contract);
            self.body.clone_from(&self.head);
        }
        self.body.extend(line.contract.to_bytes());
        for hashes in [line.entitled, line.delivered, line.made_good, line.shortfall] {
            put(&mut self.body, hashes.0);
        }
        for (_, units) in &line.units {
            put(&mut self.body, *units);
        }
        self.count += 1;
        if self.count == PAGE { self.end_page(tx).await } else { Ok(()) }
    }

    async fn end_page(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        self.count = 0;
        let body = std::mem::take(&mut self.body);
        self.batch.push(tx, params![self.lane.clone(), self.epoch, first, body]).await?;
        Ok(())
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        self.end_page(tx).await?;
        self.batch.finish(tx).await?;
        Ok(())
    }
}

/// Reads a page.
pub(crate) fn read_page(body: &[u8], mut each: impl FnMut(Line) -> Result<()>) -> Result<()> {
    let mut r = Reader::new(body);
    let [form, count] = r.bytes()?;
    if form != FORM {
        return Err(broken());
    }
    let mut assets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let [len] = r.bytes()?;
        let code = r.some(usize::from(len))?;
        let asset = Asset::ALL.into_iter().find(|a| a.code().as_bytes() == code);
        assets.push(asset.ok_or_else(broken)?);
    }
    while !r.is_at_end() {
        let contract = ContractId::from_bytes(r.bytes()?);
        let mut hashes = || Ok::<_, crate::MarketError>(Hashes(r.number()?));
        let (entitled, delivered) = (hashes()?, hashes()?);
        let (made_good, shortfall) = (hashes()?, hashes()?);
        let units = assets.iter().map(|a| Ok((*a, r.number()?))).collect::<Result<_>>()?;
        each(Line { contract, entitled, delivered, made_good, shortfall, units })?;
    }
    Ok(())
}

/// A contract's lines before an epoch (all without one), newest first, `limit` at most.
pub(crate) async fn of_contract(
    tx: &mut Tx,
    contract: ContractId,
    own: Asset,
    before: Option<EpochNumber>,
    limit: u32,
) -> Result<Vec<LineOf>> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut lines = Vec::new();
    let span = tx.fetch_one(sql::SPAN_OF, &params![contract]).await?;
    let (lane, start): (LaneId, Option<EpochNumber>) =
        (span.get("lane")?, span.get("start_epoch")?);
    let ended: Option<EpochNumber> = span.get("ended_epoch")?;
    let Some(start) = start else { return Ok(lines) };
    // The largest number a column holds.
    let end = ended.map_or(EpochNumber(i64::MAX.cast_unsigned()), EpochNumber::next);
    let mut before = before.map_or(end, |b| b.min(end));
    let all = before;
    while lines.len() < most {
        let given = params![lane.clone(), contract, start, before, limit];
        let rows = tx.fetch_all(sql::LINE_PAGES_OF, &given).await?;
        let Some(last) = rows.last() else { break };
        before = last.get("epoch")?;
        for row in &rows {
            let Some(body) = row.get::<Option<Vec<u8>>>("body")? else { continue };
            let epoch = row.get("epoch")?;
            read_page(&body, |line| {
                if line.contract == contract {
                    lines.push((epoch, line));
                }
                Ok(())
            })?;
        }
    }
    lines.truncate(most);
    let oldest = lines.last().map_or(all, |(epoch, _)| *epoch);
    let left = limit.saturating_sub(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    lines.extend(of_before_pages(tx, contract, own, oldest, left).await?);
    Ok(lines)
}

/// A contract's lines of before there were pages that are older than an epoch, newest first, `limit` at most.
pub(crate) async fn of_before_pages(
    tx: &mut Tx,
    contract: ContractId,
    own: Asset,
    oldest: EpochNumber,
    limit: u32,
) -> Result<Vec<LineOf>> {
    let rows = tx.fetch_all(sql::OLD_LINES, &params![contract, oldest, limit]).await?;
    rows.iter().map(|row| old_line(row, contract, own)).collect()
}

/// All lines of contracts between two ids, both included, in the epochs `from..before`, in order; how many pages were read: each
/// once, however many of the contracts stand on it.
pub(crate) async fn of_neighbours(
    tx: &mut Tx,
    lane: &LaneId,
    (least, greatest): (ContractId, ContractId),
    (from, before): (EpochNumber, EpochNumber),
    mut each: impl FnMut(EpochNumber, Line),
) -> Result<u64> {
    let (mut after, mut first) = (i64::try_from(from.0).unwrap_or(i64::MAX) - 1, vec![0xff_u8; 17]);
    let mut pages = 0;
    // What stands on the page before, until it is known where the next one begins: behind that nobody looks for it there.
    let mut held: (EpochNumber, Vec<Line>) = Default::default();
    let mut give = |(epoch, lines): (EpochNumber, Vec<Line>), end: Option<ContractId>| {
        let is_its = |line: &Line| end.is_none_or(|end| line.contract < end);
        lines.into_iter().filter(is_its).for_each(|line| each(epoch, line));
    };
    loop {
        let given =
            params![lane.clone(), before, after, first.clone(), greatest, least, PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::LINE_PAGES_BETWEEN, &given).await?;
        for row in &rows {
            let (epoch, begins): (EpochNumber, ContractId) = (row.get("epoch")?, row.get("first")?);
            let mut lines = Vec::new();
            read_page(&row.get::<Vec<u8>>("body")?, |line| {
                if line.contract >= least.max(begins) && line.contract <= greatest {
                    lines.push(line);
                }
                Ok(())
            })?;
            let end = (epoch == held.0).then_some(begins);
            give(std::mem::replace(&mut held, (epoch, lines)), end);
            pages += 1;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGES_AT_ONCE as usize => {
                (after, first) = (last.get("epoch")?, last.get("first")?);
            }
            _ => break,
        }
    }
    give(held, None);
    Ok(pages)
}

fn old_line(row: &Row, contract: ContractId, own: Asset) -> Result<LineOf> {
    let line = Line {
        contract,
        entitled: row.get("entitled")?,
        delivered: row.get("delivered")?,
        made_good: row.get("made_good")?,
        shortfall: row.get("shortfall")?,
        units: vec![(own, u128::from_be_bytes(row.get("units")?))],
    };
    Ok((row.get("epoch")?, line))
}

/// All lines of the epochs `from..before`, in order.
pub(crate) async fn of_epochs(
    tx: &mut Tx,
    lane: &LaneId,
    from: EpochNumber,
    before: EpochNumber,
    mut each: impl FnMut(EpochNumber, Line) -> Result<()>,
) -> Result<()> {
    let (mut after, mut first) = (i64::try_from(from.0).unwrap_or(i64::MAX) - 1, vec![0xff_u8; 17]);
    loop {
        let given = params![lane.clone(), before, after, first.clone(), PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::LINE_PAGES, &given).await?;
        for row in &rows {
            let epoch: EpochNumber = row.get("epoch")?;
            read_page(&row.get::<Vec<u8>>("body")?, |line| each(epoch, line))?;
        }
        match rows.last() {
            Some(last) if rows.len() == PAGES_AT_ONCE as usize => {
                (after, first) = (last.get("epoch")?, last.get("first")?);
            }
            _ => return Ok(()),
        }
    }
}

/// The lines of the epochs `from..before`, of contracts from an id on, as they are read: some pages at a time, each with others
/// at its ends.
pub(crate) struct Within {
    lane: LaneId,
    before: EpochNumber,
    start: Option<ContractId>,
    /// The epoch that is read, or the last one that was.
    epoch: i64,
    /// The page of it that was read last, above all when it is through.
    first: Vec<u8>,
    is_over: bool,
}

/// Above every id.
const END: [u8; 17] = [0xff; 17];

impl Within {
    pub(crate) fn of(
        lane: &LaneId,
        (from, before): (EpochNumber, EpochNumber),
        start: Option<ContractId>,
    ) -> Within {
        let epoch = i64::try_from(from.0).unwrap_or(i64::MAX) - 1;
        Within { lane: lane.clone(), before, start, epoch, first: END.to_vec(), is_over: false }
    }

    /// Some more of them, none of pages that begin at `end` or after it; `None` after the last.
    pub(crate) async fn next(
        &mut self,
        tx: &mut Tx,
        end: Option<ContractId>,
    ) -> Result<Option<Vec<LineOf>>> {
        if self.is_over {
            return Ok(None);
        }
        let end = end.map_or_else(|| END.to_vec(), |id| id.to_bytes().to_vec());
        match self.start {
            None => self.all_epochs(tx, end).await,
            Some(start) => self.one_epoch(tx, start, end).await,
        }
    }

    /// All epochs together.
    async fn all_epochs(&mut self, tx: &mut Tx, end: Vec<u8>) -> Result<Option<Vec<LineOf>>> {
        let (lane, first) = (self.lane.clone(), self.first.clone());
        let given = params![lane, self.before, self.epoch, first, end, PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::LINE_PAGES_BELOW, &given).await?;
        let mut some = Vec::new();
        for row in &rows {
            let epoch: EpochNumber = row.get("epoch")?;
            some.extend(lines_of(epoch, row)?);
        }
        match rows.last() {
            Some(last) if rows.len() == PAGES_AT_ONCE as usize => {
                (self.epoch, self.first) = (last.get("epoch")?, last.get("first")?);
            }
            _ => self.is_over = true,
        }
        Ok(Some(some))
    }

    /// One epoch after the other, because in each the first page is another.
    async fn one_epoch(
        &mut self,
        tx: &mut Tx,
        start: ContractId,
        end: Vec<u8>,
    ) -> Result<Option<Vec<LineOf>>> {
        let mut some = Vec::new();
        if self.first == END {
            let given = params![self.lane.clone(), self.epoch, self.before];
            let Some(row) = tx.fetch_optional(sql::NEXT_LINES, &given).await? else {
                self.is_over = true;
                return Ok(None);
            };
            (self.epoch, self.first) = (row.get("epoch")?, start.to_bytes().to_vec());
            let given = params![self.lane.clone(), self.epoch, start];
            if let Some(row) = tx.fetch_optional(sql::LINE_PAGE, &given).await? {
                some.extend(lines_of(row_epoch(self.epoch)?, &row)?);
            }
        }
        let (lane, first) = (self.lane.clone(), self.first.clone());
        let given = params![lane, self.epoch, first, end, PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::LINE_PAGES_WITHIN, &given).await?;
        for row in &rows {
            some.extend(lines_of(row_epoch(self.epoch)?, row)?);
        }
        self.first = match rows.last() {
            Some(last) if rows.len() == PAGES_AT_ONCE as usize => last.get("first")?,
            _ => END.to_vec(),
        };
        Ok(Some(some))
    }
}

fn row_epoch(epoch: i64) -> Result<EpochNumber> {
    u64::try_from(epoch).map(EpochNumber).map_err(|_| broken())
}

fn lines_of(epoch: EpochNumber, row: &Row) -> Result<Vec<LineOf>> {
    let mut some = Vec::with_capacity(PAGE);
    read_page(&row.get::<Vec<u8>>("body")?, |line| {
        some.push((epoch, line));
        Ok(())
    })?;
    Ok(some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use gruve_store::{Store, laws, transact};
    use proptest::prelude::*;

    fn line(n: u8) -> Line {
        Line {
            contract: ContractId::from_bytes([n; 16]),
            entitled: Hashes(u128::MAX - u128::from(n)),
            delivered: Hashes(n.into()),
            made_good: Hashes(0),
            shortfall: Hashes(1 << 100),
            units: vec![(Asset::Ltc, 5), (Asset::Doge, u128::from(n) << 64)],
        }
    }

    async fn lines_come_back_in_order_page_by_page(store: Store) {
        let w = World::new(store).await;
        let lane = crate::world::lane();
        let written = transact!(w.store, tx -> Result<()> => {
            for epoch in [5, 6, 8] {
                let mut lines = Lines::of(&lane, EpochNumber(epoch), &[Asset::Ltc, Asset::Doge]);
                for n in 0..u8::try_from(PAGE * 2 + 1).unwrap_or(u8::MAX) {
                    lines.push(tx, &line(n)).await?;
                }
                lines.finish(tx).await?;
            }
            Ok(())
        });
        written.unwrap();
        let mut tx = w.store.read().await.unwrap();
        let mut got = Vec::new();
        of_epochs(&mut tx, &lane, EpochNumber(6), EpochNumber(9), |epoch, line| {
            got.push((epoch.0, line));
            Ok(())
        })
        .await
        .unwrap();
        let of = |epoch| (0..u8::try_from(PAGE * 2 + 1).unwrap()).map(move |n| (epoch, line(n)));
        assert_eq!(got, of(6).chain(of(8)).collect::<Vec<_>>());
    }

    async fn lines_of_neighbours_come_from_each_page_once(store: Store) {
        const COUNT: &str = "SELECT COUNT(*) AS n FROM market_line_pages";
        let w = World::new(store).await;
        let lane = crate::world::lane();
        let count = u8::try_from(PAGE * 3 + 1).unwrap();
        let written = transact!(w.store, tx -> Result<()> => {
            for epoch in [5, 6, 8] {
                let mut lines = Lines::of(&lane, EpochNumber(epoch), &[Asset::Ltc, Asset::Doge]);
                // Not the same contracts on a page in each epoch.
                for n in u8::try_from(epoch % 3).unwrap_or(0)..count {
                    lines.push(tx, &line(n)).await?;
                }
                lines.finish(tx).await?;
            }
            Ok(())
        });
        written.unwrap();
        let mut tx = w.store.read().await.unwrap();
        let all: i64 = tx.fetch_one(COUNT, &[]).await.unwrap().get("n").unwrap();
        let epochs = (EpochNumber(5), EpochNumber(8));
        for least in 0..count {
            for greatest in least..count {
                let (mut got, mut wanted) = (Vec::new(), Vec::new());
                let ids = (line(least).contract, line(greatest).contract);
                let take = |epoch: EpochNumber, line| got.push((epoch.0, line));
                let pages = of_neighbours(&mut tx, &lane, ids, epochs, take).await.unwrap();
                for epoch in [5u8, 6] {
                    let there = (least.max(epoch % 3)..=greatest).map(|n| (epoch.into(), line(n)));
                    wanted.extend(there);
                }
                assert_eq!(got, wanted, "{least} to {greatest}");
                // At most a page more at each end than they fill, in each of the two epochs.
                let fill = u64::from(greatest - least) / PAGE as u64 + 2;
                assert!(pages <= 2 * fill, "{least} to {greatest}: {pages} pages");
            }
        }
        let ends = (line(0).contract, line(count).contract);
        let epochs = (EpochNumber(0), EpochNumber(9));
        let pages = of_neighbours(&mut tx, &lane, ends, epochs, |_, _| ()).await.unwrap();
        assert_eq!(i64::try_from(pages).unwrap(), all, "each page once");
    }

    laws! { lines: [
        lines_come_back_in_order_page_by_page,
        lines_of_neighbours_come_from_each_page_once,
    ] }

    proptest! {
        #[test]
        fn damaged_pages_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_page(&bytes, |_| Ok(()));
        }
    }
}
