//! A contract's statement, put together from the tables.
//!
//! What was booked is read, not computed again: whoever checks it does that. Only running totals are added up here,
//! from the contract's first epoch on, and the last page is given out only when they end where the books stand.

mod rows;

use crate::close::LaneState;
use crate::contract::Contract;
use crate::settle::maintenance;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, Market, MarketError, Result, Scheme};
pub use gruve_statement::csv::csv;
pub use gruve_statement::document::{Line, Statement};

use gruve_statement::document::{
    AccrualLine, Big, EPOCHS_MAX, EpochLine, FORMAT, Holding, Position, SettlementLine, chained,
};
use gruve_statement::{Terms, by_day};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Asset, ContractId, EpochNumber, Hashes};
use std::collections::{BTreeSet, VecDeque};

/// Epochs with work that a statement reads at most: four and a half years of ten-minute ones. All those before
/// a page are read for its opening position.
pub const STATEMENT_EPOCHS_MAX: usize = 250_000;

impl Market {
    /// A page of a contract's statement that begins with the epoch `from`, or with the contract, and has at most so
    /// many epochs with work (and [`EPOCHS_MAX`]).
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; [`MarketError::NoStatement`] where facts of its lines were not kept, or are
    /// too many; the database's.
    pub async fn statement(
        &self,
        account: AccountId,
        id: ContractId,
        from: Option<EpochNumber>,
        epochs_max: usize,
    ) -> Result<Statement> {
        let mut tx = self.store().read().await?;
        let contract = Contract::find(&mut tx, id).await?;
        if contract.account != account {
            return Err(MarketError::UnknownContract);
        }
        writable(&contract)?;
        if self.config().operator_accounts.contains(&account) {
            return Err(MarketError::NoStatement("it is the operator's own and comes last"));
        }
        let row = tx.fetch_one(crate::sql::TERMS_OF_CONTRACT, &params![id, account]).await?;
        let bytes: Vec<u8> = row.get("terms")?;
        let terms = Terms::parse(&bytes).map_err(|e| MarketError::Broken(e.to_string()))?;
        terms.check_statement_rules().map_err(MarketError::NoStatement)?;
        let closed = LaneState::read(&mut tx, &contract.lane).await?.closed;
        let mut page = self.empty_page(&contract, &terms);
        if let (Some(start), Some(closed)) = (contract.start, closed)
            && closed >= start
        {
            let from = from.unwrap_or(start).max(start);
            let subject = Subject { contract, terms, closed };
            let lane = self.lane(&subject.contract.lane)?;
            let most = epochs_max.clamp(1, EPOCHS_MAX);
            Writing::begin(lane, &subject, from, most).write(&mut tx, &mut page).await?;
        }
        tx.rollback().await?;
        self.sign_statement(&mut page)?;
        Ok(page)
    }

    fn empty_page(&self, c: &Contract, terms: &Terms) -> Statement {
        let start = c.start.map(|e| e.0);
        Statement {
            format: FORMAT.to_owned(),
            contract: c.id,
            terms_sha256: hex::encode(c.terms_hash),
            made_at_us: self.now().0,
            start_epoch: start,
            hard_end_epoch: c.delivery().map(|d| d.hard_end().0),
            from_epoch: start.unwrap_or(0),
            to_epoch: start.unwrap_or(0),
            next_epoch: None,
            opening: Position::begin(&terms.earns),
            lines: Vec::new(),
            closing: Position::begin(&terms.earns),
            days: Vec::new(),
            operator_key: None,
            signature: None,
        }
    }
}

/// Whether all that happened to a contract has lines of a statement.
fn writable(c: &Contract) -> Result<()> {
    if c.scheme != Scheme::Pplns {
        return Err(MarketError::NoStatement("it earns by another scheme than PPLNS"));
    }
    if c.life.paused_epochs > 0 || c.life.paused_since.is_some() {
        return Err(MarketError::NoStatement("it was paused"));
    }
    if c.life.compensated > Hashes::ZERO {
        return Err(MarketError::NoStatement("missed work of it was paid instead of delivered"));
    }
    Ok(())
}

/// A contract whose statement is written.
pub(crate) struct Subject {
    pub(crate) contract: Contract,
    pub(crate) terms: Terms,
    /// The last epoch that there is.
    pub(crate) closed: EpochNumber,
}

/// A page being written.
struct Writing<'a> {
    lane: &'a LaneConfig,
    epochs_max: usize,
    subject: &'a Subject,
    from: EpochNumber,
    position: Position,
    /// Own units up to and with each epoch, in the order of the terms.
    own: Vec<(u64, Vec<u128>)>,
    /// Lives of blocks that were credited.
    credited: BTreeSet<(Asset, String, u64)>,
    opening: Option<Position>,
    lines: Vec<Line>,
    epochs: usize,
}

impl<'a> Writing<'a> {
    fn begin(
        lane: &'a LaneConfig,
        subject: &'a Subject,
        from: EpochNumber,
        epochs_max: usize,
    ) -> Writing<'a> {
        Writing {
            lane,
            epochs_max,
            subject,
            from,
            position: Position::begin(&subject.terms.earns),
            own: Vec::new(),
            credited: BTreeSet::new(),
            opening: None,
            lines: Vec::new(),
            epochs: 0,
        }
    }

    /// Everything in its order: the work of each epoch, then what else happened in its closing or after it.
    async fn write(mut self, tx: &mut Tx, page: &mut Statement) -> Result<()> {
        let mut events: VecDeque<Line> = rows::events(tx, self.subject).await?.into();
        let (mut last, mut cut) = (self.from.0.saturating_sub(1), None);
        for line in rows::epochs(tx, self.subject).await? {
            if self.epochs == self.epochs_max {
                cut = Some(last);
                break;
            }
            self.take_until(&mut events, line.epoch)?;
            last = line.epoch;
            self.take(Line::Epoch(line))?;
        }
        let to = cut.unwrap_or(self.subject.closed.0.max(self.from.0));
        self.take_until(&mut events, to.saturating_add(1))?;
        page.from_epoch = self.from.0;
        page.to_epoch = to;
        page.next_epoch = cut.map(|last| last.saturating_add(1));
        page.opening = self.opening.take().unwrap_or_else(|| self.position.clone());
        if cut.is_none() {
            agree(tx, self.lane, self.subject, &self.position).await?;
        }
        page.closing = self.position;
        let terms = &self.subject.terms;
        let days = by_day(terms.epoch_us, &terms.earns, self.lines.iter());
        page.days = days.map_err(MarketError::Broken)?;
        page.lines = chained(self.lines).map_err(|e| MarketError::Broken(e.to_string()))?;
        Ok(())
    }

    /// All events of epochs before that one.
    fn take_until(&mut self, events: &mut VecDeque<Line>, before: u64) -> Result<()> {
        while events.front().is_some_and(|e| e.epoch() < before) {
            if let Some(event) = events.pop_front() {
                self.take(event)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, mut line: Line) -> Result<()> {
        let is_shown = line.epoch() >= self.from.0;
        if is_shown && self.opening.is_none() {
            self.opening = Some(self.position.clone());
        }
        self.add_up(&mut line)?;
        if is_shown {
            self.epochs += usize::from(matches!(line, Line::Epoch(_)));
            self.lines.push(line);
        }
        Ok(())
    }

    fn at(&self, asset: Asset) -> Result<usize> {
        let at = self.position.assets.iter().position(|h| h.asset == asset);
        at.ok_or_else(|| {
            MarketError::Broken(format!("a contract earned {asset} outside its terms"))
        })
    }

    /// Adds a line to the running totals, and writes into it those that it shows.
    fn add_up(&mut self, line: &mut Line) -> Result<()> {
        match line {
            Line::Epoch(l) => self.add_epoch(l),
            Line::End(l) => {
                self.position.refunded_minor = l.refund.minor;
                Ok(())
            }
            Line::Accrual(l) => self.add_accrual(l),
            Line::Credit(l) => {
                let at = self.at(l.asset)?;
                self.credited.insert((l.asset, l.block.clone(), l.life));
                plus(&mut self.position.assets[at].matured, l.accrual)
            }
            Line::Settlement(l) => self.add_settlement(l),
            Line::Reversal(l) => {
                let at = self.at(l.asset)?;
                if self.credited.contains(&(l.asset, l.block.clone(), l.life)) {
                    minus(&mut self.position.assets[at].matured, l.accrual)?;
                }
                minus(&mut self.position.assets[at].accrued, l.accrual)
            }
            Line::TakeBack(l) => {
                let at = self.at(l.asset)?;
                let h = &mut self.position.assets[at];
                h.settled_minor -= l.gross_minor;
                h.net_minor -= l.net_minor;
                h.settlements += 1;
                if h.settled_minor == 0 {
                    h.fee_carry = 0;
                }
                Ok(())
            }
        }
    }

    fn add_epoch(&mut self, l: &mut EpochLine) -> Result<()> {
        let overflow = || MarketError::Overflow("delivered work");
        let sum = self.position.delivered.checked_add(l.delivered).ok_or_else(overflow)?;
        self.position.delivered = sum;
        l.delivered_sum = sum;
        l.upkeep = Big(maintenance(l.delivered, self.subject.contract.maintenance)?.0);
        plus(&mut self.position.upkeep_due, l.upkeep)?;
        l.upkeep_due = self.position.upkeep_due;
        let mut own = match self.own.last() {
            Some((_, before)) => before.clone(),
            None => vec![0; l.units.len()],
        };
        for (sum, u) in own.iter_mut().zip(&l.units) {
            *sum = sum.checked_add(u.own.0).ok_or(MarketError::Overflow("units"))?;
        }
        self.own.push((l.epoch, own));
        Ok(())
    }

    /// Own units up to and without an epoch.
    fn own_before(&self, epoch: u64, at: usize) -> u128 {
        let n = self.own.partition_point(|(e, _)| *e < epoch);
        let sums = n.checked_sub(1).and_then(|i| self.own.get(i));
        sums.and_then(|(_, own)| own.get(at)).copied().unwrap_or(0)
    }

    fn add_accrual(&mut self, l: &mut AccrualLine) -> Result<()> {
        let at = self.at(l.asset)?;
        if let Some(first) = l.first_epoch {
            let (before, first, after) = (
                self.own_before(l.before_epoch, at),
                self.own_before(first, at),
                self.own_before(first.saturating_add(1), at),
            );
            l.own_first = Big(after.saturating_sub(first));
            l.own_after = Big(before.saturating_sub(after));
        }
        plus(&mut self.position.assets[at].accrued, l.accrual)
    }

    fn add_settlement(&mut self, l: &mut SettlementLine) -> Result<()> {
        let at = self.at(l.asset)?;
        let c = &self.subject.contract;
        if c.maintenance_order().iter().any(|(asset, _)| *asset == l.asset) {
            // What is owed whole is taken or waived.
            self.position.upkeep_due = Big(fraction(self.position.upkeep_due.0));
        }
        let h = &mut self.position.assets[at];
        let scaled = i128::from(l.gross_minor) * i128::from(c.fee.get()) + i128::from(h.fee_carry);
        h.fee_carry = u32::try_from(scaled % 10_000).unwrap_or(0);
        h.settled_minor += l.gross_minor;
        h.net_minor += l.net_minor;
        h.settlements += 1;
        l.fee_carry = h.fee_carry;
        let settled = Accrual::from_minor(h.settled_minor);
        let left = settled.and_then(|s| h.matured.0.checked_sub(s.0));
        l.carried = Big(left.ok_or_else(|| broken("more was settled than matured"))?);
        Ok(())
    }
}

/// The part of an amount in fixed point below one minor unit.
fn fraction(fixed: u128) -> u128 {
    fixed & u128::from(u64::MAX)
}

fn broken(what: &str) -> MarketError {
    MarketError::Broken(what.to_owned())
}

fn plus(sum: &mut Big, more: Big) -> Result<()> {
    let all = sum.0.checked_add(more.0).ok_or(MarketError::Overflow("a contract's earnings"))?;
    *sum = Big(all);
    Ok(())
}

fn minus(sum: &mut Big, less: Big) -> Result<()> {
    let rest = sum.0.checked_sub(less.0).ok_or_else(|| broken("more was reversed than accrued"))?;
    *sum = Big(rest);
    Ok(())
}

/// Whether what the lines come to is what the books have.
async fn agree(
    tx: &mut Tx,
    lane: &LaneConfig,
    subject: &Subject,
    closing: &Position,
) -> Result<()> {
    let c = &subject.contract;
    let mut wanted = Position {
        delivered: c.delivered,
        upkeep_due: Big(c.maintenance_due.0),
        assets: Vec::new(),
        refunded_minor: c.refunded,
    };
    for asset in &subject.terms.earns {
        let book = lane.books().find(|b| b.asset == *asset);
        let book = book.ok_or(MarketError::NoStatement("its lane earns other coins now"))?;
        let row = StandingRow::find(tx, book, Beneficiary::Contract(c.id)).await?;
        wanted.assets.push(Holding {
            asset: *asset,
            accrued: Big(row.accrued.0),
            matured: Big(row.standing.matured.0),
            settled_minor: row.standing.settled,
            net_minor: row.standing.net,
            fee_carry: row.standing.fee_carry,
            settlements: row.settlements,
        });
    }
    if wanted == *closing {
        return Ok(());
    }
    Err(MarketError::Broken(format!(
        "the statement of contract {} ends at {closing:?}, the books at {wanted:?}",
        c.id
    )))
}
