//! Settling everyone on a lane: page by page, many settlements in one entry of the ledger.
//!
//! Those who wait by their rows and those to whom something came since these were written are gone through together, so
//! that each standing is read once and written once, with what came to it and what is settled of it.
//!
//! Promises: memory does not grow with the number of those settled, nor of running contracts, which are gone through beside
//! them ([`owing`]); how many are read at once changes neither a
//! balance nor the journal's hash, because entries are filled in the order of the beneficiaries and not of
//! pages. All of it stands in the close's transaction: a crash leaves nothing or everything, and the entry's
//! reason (lane, asset, last epoch, number) and the guard of the epoch keep it from being done twice.
//!
//! Must not know: what epochs are, or where accruals come from.

mod owing;

use super::{Line, earner, line_row};
use crate::book::Book;
use crate::bulk;
use crate::bulk::pending;
use crate::contract::read_also;
use crate::fpps_pay::{Means, note_capital};
use crate::pages::{self, Pages};
use crate::reward::beneficiary;
use crate::settle::{Settlement, take_maintenance};
use crate::sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, MarketError, Result};
use gruve_ledger::POSTINGS_MAX;
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Batch, Tx, Value, params};
use gruve_units::{AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Timestamp};
use owing::{Owing, Owings};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Settlements of an entry at most: each has a posting of its own, beside two or three for all. In the unit
/// tests so few that every settlement has several entries.
#[cfg(not(test))]
const PER_ENTRY: usize = POSTINGS_MAX / 2;
#[cfg(test)]
const PER_ENTRY: usize = 4;

const _: () = assert!(PER_ENTRY + 3 <= POSTINGS_MAX);

/// Entries that are posted at once: ten thousand postings, some megabytes.
const ENTRIES_AT_ONCE: usize = 10;

/// Who is settled now.
pub(crate) struct Everyone<'a> {
    /// The first epoch of which contracts wait for a price: those that do are not settled.
    pub(crate) waiting_since: Option<EpochNumber>,
    /// The most that is kept of what accounts' own machines earn, of those that have agreed on it; at most the lane's fee.
    pub(crate) agreed_fees: &'a BTreeMap<AccountId, Bps>,
}

/// Settles everyone who has something whole waiting, up to and with the epoch `to`. Gives what accounts are
/// credited for their own machines' work.
pub(crate) async fn settle_lane(
    tx: &mut Tx,
    lane: &LaneConfig,
    to: EpochNumber,
    everyone: Everyone<'_>,
    now: Timestamp,
) -> Result<Vec<(AccountId, Amount)>> {
    settle_in_pages(tx, lane, to, everyone, now, pages::ROWS).await
}

/// The same, with so many read at once.
async fn settle_in_pages(
    tx: &mut Tx,
    lane: &LaneConfig,
    to: EpochNumber,
    everyone: Everyone<'_>,
    now: Timestamp,
    rows: u32,
) -> Result<Vec<(AccountId, Amount)>> {
    let row = tx.fetch_one(sql::FIRST_EPOCH, &params![lane.lane.clone()]).await?;
    let first = row.get::<Option<EpochNumber>>("epoch")?.unwrap_or(to);
    let mut means = BTreeMap::new();
    for book in lane.books() {
        // What FPPS owes is never pending: it goes into its rows at once.
        let counted = Means::count(tx, book).await?;
        counted.note(tx, book, to).await?;
        means.insert(book.asset, counted);
    }
    let entries = Entries::new(lane, to, now);
    let (running, credited) = (Vec::new(), Vec::new());
    let mut run = Run { lane, first, to, now, everyone, running, means, entries, credited };
    let mut everybody = Everybody::of(lane);
    for (beside, last) in STAGES {
        run.settle_up_to(tx, (&mut everybody, rows), beside, last).await?;
    }
    for book in lane.books() {
        // It stands in the rows now.
        pending::clear(tx, book).await?;
    }
    run.entries.finish(tx).await?;
    Ok(run.credited)
}

/// The last id that a contract can have.
const LAST: ContractId = ContractId::from_bytes([0xff; 16]);

/// As what contracts stand among beneficiaries.
type Named = fn(ContractId) -> Beneficiary;

/// Everybody in order: where contracts come, with running ones beside them, and the last of each stage.
const STAGES: [(Option<Named>, Beneficiary); 4] = [
    (None, Beneficiary::Operator),
    (Some(Beneficiary::Contract), Beneficiary::Contract(LAST)),
    (None, Beneficiary::FppsReserve),
    (Some(Beneficiary::Fpps), Beneficiary::Fpps(LAST)),
];

/// Everybody for whom something waits, or to whom something came, in order.
struct Everybody {
    /// By the rows. Who is settled waits no longer, which takes nothing from the pages after his own.
    waiting: Pages,
    ahead: VecDeque<Beneficiary>,
    /// Of each asset what came since.
    pending: Vec<pending::Reading>,
}

impl Everybody {
    fn of(lane: &LaneConfig) -> Everybody {
        let waiting = Pages::by_beneficiary(sql::WAITING, &params![lane.lane.clone()]);
        let reading = |book: Book<'_>| pending::Reading::of(&book.lane.lane, book.asset);
        let pending = lane.books().map(reading).collect();
        Everybody { waiting, ahead: VecDeque::new(), pending }
    }

    /// Who comes next.
    async fn peek(&mut self, tx: &mut Tx) -> Result<Option<Beneficiary>> {
        while self.ahead.is_empty() {
            let Some(rows) = self.waiting.next(tx).await? else { break };
            for row in &rows {
                self.ahead.push_back(beneficiary(row)?);
            }
        }
        let mut least = self.ahead.front().copied();
        for reading in &mut self.pending {
            least = least.into_iter().chain(reading.peek(tx).await?).min();
        }
        Ok(least)
    }

    /// Some more of them, `most` at most, as far as `last`; none after that.
    async fn next(
        &mut self,
        tx: &mut Tx,
        most: u32,
        last: Beneficiary,
    ) -> Result<Vec<Beneficiary>> {
        let mut page = Vec::new();
        while page.len() < most as usize {
            let Some(who) = self.peek(tx).await?.filter(|who| *who <= last) else { break };
            if self.ahead.front() == Some(&who) {
                self.ahead.pop_front();
            }
            for reading in &mut self.pending {
                reading.pass(who);
            }
            page.push(who);
        }
        Ok(page)
    }
}

fn contract_of(who: Beneficiary) -> Option<ContractId> {
    match who {
        Beneficiary::Contract(id) | Beneficiary::Fpps(id) => Some(id),
        _ => None,
    }
}

/// What is taken of someone's earnings.
struct Agreed {
    fee: Bps,
    due: Accrual,
    /// The assets that maintenance is taken from, with the whole fee in each.
    order: Arc<[(Asset, u64)]>,
    /// The first epoch that may have earned something.
    began: EpochNumber,
    /// What of the lane's own coin must wait before anything is settled.
    minimum: u64,
}

/// The same of a contract that does not run (or is no lease), and where its maintenance is kept.
struct Apart {
    agreed: Agreed,
    is_metered: bool,
}

/// A settlement of a lane under way.
struct Run<'a> {
    lane: &'a LaneConfig,
    first: EpochNumber,
    to: EpochNumber,
    now: Timestamp,
    everyone: Everyone<'a>,
    /// Running contracts among those that are settled now, sorted by id: what stays due of their maintenance is noted in them.
    running: Vec<Owing>,
    /// What FPPS can pay.
    means: BTreeMap<Asset, Means>,
    entries: Entries<'a>,
    credited: Vec<(AccountId, Amount)>,
}

impl Run<'_> {
    /// Settles everybody who comes next, as far as `last`; contracts among them with what the running ones owe.
    async fn settle_up_to(
        &mut self,
        tx: &mut Tx,
        (everybody, rows): (&mut Everybody, u32),
        beside: Option<Named>,
        last: Beneficiary,
    ) -> Result<()> {
        if everybody.peek(tx).await?.is_none_or(|who| who > last) {
            return Ok(());
        }
        if let Some(named) = beside {
            let mut owings = Owings::of(&self.lane.lane);
            while let Some(page) = owings.next(tx).await? {
                let Some(end) = page.last().map(|o| named(o.id())) else { continue };
                self.running = page;
                self.settle_pages(tx, (everybody, rows), end).await?;
                owings.put(tx, std::mem::take(&mut self.running)).await?;
            }
            owings.finish(tx).await?;
        }
        self.settle_pages(tx, (everybody, rows), last).await
    }

    async fn settle_pages(
        &mut self,
        tx: &mut Tx,
        (everybody, rows): (&mut Everybody, u32),
        last: Beneficiary,
    ) -> Result<()> {
        loop {
            let page = everybody.next(tx, rows, last).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.settle(tx, &page).await?;
        }
    }

    /// Those contracts of a page that wait for a price.
    async fn waiting(&self, tx: &mut Tx, page: &[Beneficiary]) -> Result<BTreeSet<ContractId>> {
        let mut waiting = BTreeSet::new();
        let Some(since) = self.everyone.waiting_since else { return Ok(waiting) };
        let asked = page.iter().filter_map(|who| contract_of(*who));
        let asked = asked.flat_map(|id| params![id, since]).collect();
        for row in tx.fetch_many(&bulk::sql::WAITING_USD_DUES, asked).await? {
            waiting.insert(row.get("id")?);
        }
        Ok(waiting)
    }

    /// Settles some beneficiaries' earnings of all assets together, because maintenance is taken out of them
    /// together.
    async fn settle(&mut self, tx: &mut Tx, page: &[Beneficiary]) -> Result<()> {
        let mut books = Vec::new();
        for book in self.lane.books() {
            let standings = StandingRow::take_all(tx, book, page).await?;
            books.push((book, standings.into_iter(), Vec::new()));
        }
        let (mut apart, waiting) = (self.apart(tx, page).await?, self.waiting(tx, page).await?);
        let mut carries = Carries::new();
        let mut lines = Batch::new(&bulk::sql::INSERT_SETTLEMENTS);
        for who in page {
            let agreed = self.agreed(*who, &mut apart)?;
            let (mut rows, mut parts) = (Vec::new(), Vec::new());
            // What is owed in dollars has no price yet: later.
            let waits = contract_of(*who).is_some_and(|id| waiting.contains(&id));
            let mut is_below = waits;
            for (at, (book, standings, written)) in books.iter_mut().enumerate() {
                let broken = || MarketError::Broken("a standing is missing".into());
                let row = standings.next().ok_or_else(broken)?;
                // The lane's own coin is the first of its books.
                if at == 0 && !waits {
                    let (waiting, _) = row.standing.unsettled()?;
                    is_below = i128::from(waiting) < i128::from(agreed.minimum);
                }
                if is_below {
                    written.extend(row.is_taken_in.then_some(row));
                    continue;
                }
                // Maintenance is taken below, from all of them.
                let mut settled = row.standing.settle(agreed.fee, Accrual::ZERO)?;
                if let (Beneficiary::Fpps(_), Some(s)) = (who, settled) {
                    settled = self.means.get(&book.asset).map_or(Ok(None), |m| m.limit(s))?;
                }
                match settled {
                    Some(settled) => {
                        rows.push((at, row));
                        parts.push((book.asset, settled));
                    }
                    None => written.extend(row.is_taken_in.then_some(row)),
                }
            }
            let carry = take_maintenance(&mut parts, agreed.due, &agreed.order)?;
            if let (Some(id), Some(carry)) = (contract_of(*who), carry) {
                match self.position(id) {
                    Some(at) => self.running[at].progress.maintenance_due = carry,
                    None => carries.push(tx, id, &apart, carry).await?,
                }
            }
            for ((at, mut row), (asset, s)) in rows.into_iter().zip(parts) {
                if let Beneficiary::Account(account) = who {
                    self.credited.push((*account, Amount::new(asset, s.net)));
                }
                let (book, _, settled) = &mut books[at];
                // A contract may earn after its end: the range then begins after the last one.
                let from = row.settled_to.map_or(agreed.began, EpochNumber::next).min(self.to);
                self.entries.add(tx, &row, asset, &s).await?;
                let line = take(&mut row, &s, (from, self.to));
                lines.push(tx, line_row(*book, &mut row, line, self.now)).await?;
                settled.push(row);
            }
        }
        carries.finish(tx).await?;
        lines.finish(tx).await?;
        for (book, _, settled) in books {
            StandingRow::put_all(tx, book, &settled).await?;
        }
        Ok(())
    }

    fn position(&self, id: ContractId) -> Option<usize> {
        self.running.binary_search_by_key(&id, Owing::id).ok()
    }

    fn agreed(&self, who: Beneficiary, apart: &mut HashMap<ContractId, Apart>) -> Result<Agreed> {
        let nothing = |fee| Agreed {
            fee,
            due: Accrual::ZERO,
            order: [].into(),
            began: self.first,
            minimum: 0,
        };
        let Some(id) = contract_of(who) else {
            return Ok(match who {
                Beneficiary::Account(id) => {
                    let lanes = self.lane.outside_fee_bps;
                    nothing(self.everyone.agreed_fees.get(&id).map_or(lanes, |own| lanes.min(*own)))
                }
                _ => nothing(Bps::ZERO),
            });
        };
        let mut agreed = match self.position(id) {
            Some(at) => {
                let c = &self.running[at];
                Agreed {
                    fee: c.fee,
                    due: c.progress.maintenance_due,
                    order: c.order.clone(),
                    began: c.start.unwrap_or(self.first),
                    minimum: c.minimum,
                }
            }
            None => {
                let found = apart.get_mut(&id).ok_or(MarketError::UnknownContract)?;
                std::mem::replace(&mut found.agreed, nothing(Bps::ZERO))
            }
        };
        if matches!(who, Beneficiary::Fpps(_)) {
            // The fee is in the price already.
            agreed.fee = Bps::ZERO;
        }
        Ok(agreed)
    }

    /// Those contracts of a page that are not among the running ones.
    async fn apart(&self, tx: &mut Tx, page: &[Beneficiary]) -> Result<HashMap<ContractId, Apart>> {
        let ids = page.iter().filter_map(|who| contract_of(*who));
        let ids = ids.filter(|id| self.position(*id).is_none()).map(Value::from).collect();
        let mut all = HashMap::new();
        for row in tx.fetch_many(&bulk::sql::PARTIES, ids).await? {
            let own = (row.get("asset")?, row.get("maintenance")?);
            let also = read_also(&row.get::<String>("maintenance_also")?)?;
            let agreed = Agreed {
                fee: row.get("fee_bps")?,
                due: row.get("maintenance_due")?,
                order: std::iter::once(own).chain(also).collect(),
                began: row.get::<Option<EpochNumber>>("start_epoch")?.unwrap_or(self.first),
                minimum: row.get("minimum_minor")?,
            };
            all.insert(row.get("id")?, Apart { agreed, is_metered: row.get("is_metered")? });
        }
        Ok(all)
    }
}

/// Adds a settlement to what someone has had; its line.
fn take(row: &mut StandingRow, s: &Settlement, (from, to): (EpochNumber, EpochNumber)) -> Line {
    row.standing.settled += s.gross;
    row.standing.net += s.net;
    row.standing.fee_carry = s.fee_carry;
    row.settled_to = Some(to);
    let (gross, fee, maintenance) = (s.gross, s.fee, s.maintenance);
    Line { from, to, gross, fee, maintenance, waived: s.waived, net: s.net }
}

/// Maintenance that contracts carry on which do not run: leases and metered ones.
struct Carries {
    leases: Batch,
    metered: Batch,
}

impl Carries {
    const fn new() -> Carries {
        Carries {
            leases: Batch::new(&bulk::sql::SET_MAINTENANCE),
            metered: Batch::new(&bulk::sql::SET_MAINTENANCE_METERED),
        }
    }

    async fn push(
        &mut self,
        tx: &mut Tx,
        id: ContractId,
        apart: &HashMap<ContractId, Apart>,
        carry: Accrual,
    ) -> Result<()> {
        let is_metered = apart.get(&id).is_some_and(|a| a.is_metered);
        let batch = if is_metered { &mut self.metered } else { &mut self.leases };
        batch.push(tx, params![id, carry]).await?;
        Ok(())
    }

    async fn finish(self, tx: &mut Tx) -> Result<()> {
        self.leases.finish(tx).await?;
        self.metered.finish(tx).await?;
        Ok(())
    }
}

/// An entry being filled.
#[derive(Default)]
struct Open {
    credits: Vec<Posting>,
    gross: i64,
    /// Fees and maintenance.
    operator: i64,
}

/// Settlements on their way into the ledger.
struct Entries<'a> {
    lane: &'a LaneConfig,
    to: EpochNumber,
    now: Timestamp,
    /// What is being filled of each asset.
    open: BTreeMap<Asset, Open>,
    written: BTreeMap<Asset, u64>,
    full: Vec<Entry>,
    /// What the FPPS reserves hold, once FPPS is being paid: they come after all others.
    reserves: Option<BTreeMap<Asset, i64>>,
}

impl<'a> Entries<'a> {
    fn new(lane: &'a LaneConfig, to: EpochNumber, now: Timestamp) -> Entries<'a> {
        let (open, written, full) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Entries { lane, to, now, open, written, full, reserves: None }
    }

    /// A settlement, in the order of beneficiaries.
    async fn add(
        &mut self,
        tx: &mut Tx,
        row: &StandingRow,
        asset: Asset,
        s: &Settlement,
    ) -> Result<()> {
        if matches!(row.who, Beneficiary::Fpps(_)) && self.reserves.is_none() {
            // Of what the reserve itself was credited with, FPPS is paid.
            self.flush(tx).await?;
            let mut reserves = BTreeMap::new();
            for asset in self.lane.assets() {
                let there = gruve_ledger::balance(tx, &Account::FppsReserve, asset).await?;
                reserves.insert(asset, there.minor.max(0));
            }
            self.reserves = Some(reserves);
        }
        let overflow = || MarketError::Overflow("the settlements of an entry");
        let open = self.open.entry(asset).or_default();
        open.gross = open.gross.checked_add(s.gross).ok_or_else(overflow)?;
        let operator = s.fee.checked_add(s.maintenance);
        let operator = operator.and_then(|o| open.operator.checked_add(o));
        open.operator = operator.ok_or_else(overflow)?;
        open.credits.push(Posting::credit(earner(row)?, Amount::new(asset, s.net)));
        if open.credits.len() >= PER_ENTRY {
            self.close(tx, asset).await?;
        }
        Ok(())
    }

    /// Makes an entry of what is there of an asset.
    async fn close(&mut self, tx: &mut Tx, asset: Asset) -> Result<()> {
        let Some(open) = self.open.remove(&asset) else { return Ok(()) };
        let number = self.written.entry(asset).or_default();
        *number += 1;
        let lane = &self.lane.lane;
        let reason = format!("market/settle/{lane}/{asset}/{}/{number}", self.to);
        let amount = |minor| Amount::new(asset, minor);
        let mut postings = open.credits;
        postings.push(Posting::credit(Account::OperatorRevenue, amount(open.operator)));
        match &mut self.reserves {
            None => {
                postings.push(Posting::debit(Account::Rewards(lane.clone()), amount(open.gross)));
            }
            Some(reserves) => {
                let there = reserves.entry(asset).or_default();
                let from = open.gross.min(*there);
                *there -= from;
                let own = open.gross - from;
                postings.push(Posting::debit(Account::FppsReserve, amount(from)));
                postings.push(Posting::debit(Account::OperatorRevenue, amount(own)));
                if own > 0 {
                    note_capital(tx, asset, &reason, own, self.now).await?;
                }
            }
        }
        self.full.push(Entry { reason, kind: "market-settlement", at: self.now, postings });
        if self.full.len() >= ENTRIES_AT_ONCE { self.post(tx).await } else { Ok(()) }
    }

    async fn post(&mut self, tx: &mut Tx) -> Result<()> {
        gruve_ledger::post_all(tx, &std::mem::take(&mut self.full)).await?;
        Ok(())
    }

    /// Posts all that was added.
    async fn flush(&mut self, tx: &mut Tx) -> Result<()> {
        for asset in self.lane.assets() {
            self.close(tx, asset).await?;
        }
        self.post(tx).await
    }

    async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        self.flush(tx).await
    }
}

#[cfg(test)]
mod tests;
