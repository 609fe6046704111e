//! A contract's statement, put together from the tables.
//!
//! What was booked is read, not computed again: whoever checks it does that. Only running totals are added up here,
//! from the contract's first epoch on, and the last page is given out only when they end where the books stand.

mod life;
mod neighbours;
mod rows;
mod running;
mod schemes;
mod usage;

use crate::close::LaneState;
use crate::contract::Contract;
use crate::metered::Metered;
use crate::standing::StandingRow;
use crate::{Beneficiary, ContractState, LaneConfig, Market, MarketError, Result};
pub use gruve_statement::csv::csv;
pub use gruve_statement::document::{Line, Statement};

use gruve_statement::document::{Big, EPOCHS_MAX, FORMAT, Holding, Position, chained};
use gruve_statement::metered::METERED_FORMAT;
use gruve_statement::terms::FeeRule;
use gruve_statement::{Terms, by_day, by_hour};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Asset, Bps, ContractId, EpochNumber, LaneId};
pub(crate) use neighbours::{Neighbours, Span};
use running::Running;
use std::collections::VecDeque;

/// Epochs with work that a statement reads at most: four and a half years of ten-minute ones. All those before
/// a page are read for its opening position.
pub const STATEMENT_EPOCHS_MAX: usize = 250_000;

/// A contract of either kind.
pub(crate) enum Kind {
    Lease(Contract),
    Metered(Metered),
}

/// A contract whose statement is written.
pub(crate) struct Subject {
    pub(crate) id: ContractId,
    pub(crate) lane: LaneId,
    /// Under whose name its earnings stand.
    pub(crate) who: Beneficiary,
    pub(crate) start: Option<EpochNumber>,
    /// The operator's part at settlements.
    pub(crate) fee: Bps,
    /// Upkeep of a TH·day, minor units of its own asset.
    pub(crate) maintenance: u64,
    /// Where upkeep is taken from.
    pub(crate) order: Vec<Asset>,
    pub(crate) terms: Terms,
    pub(crate) kind: Kind,
    /// The last epoch that there is.
    pub(crate) closed: Option<EpochNumber>,
}

impl Subject {
    async fn find(tx: &mut Tx, account: AccountId, id: ContractId) -> Result<Subject> {
        let kind = match Contract::find(tx, id).await {
            Err(MarketError::UnknownContract) => Kind::Metered(Metered::find(tx, id).await?),
            other => Kind::Lease(other?),
        };
        let sql = match &kind {
            Kind::Lease(_) => crate::sql::TERMS_OF_CONTRACT,
            Kind::Metered(_) => crate::metered::sql::TERMS,
        };
        let row = tx.fetch_optional(sql, &params![id, account]).await?;
        let bytes: Vec<u8> = row.ok_or(MarketError::UnknownContract)?.get("terms")?;
        let (lane, who, maintenance) = match &kind {
            Kind::Lease(c) => (c.lane.clone(), c.earner(), c.maintenance),
            Kind::Metered(c) => (c.lane.clone(), c.earner(), c.maintenance),
        };
        let terms = match Terms::parse(&bytes) {
            Ok(terms) => terms,
            Err(_) if matches!(kind, Kind::Metered(_)) => {
                return Err(MarketError::NoStatement("its terms are from before they had rules"));
            }
            Err(e) => return Err(MarketError::Broken(e.to_string())),
        };
        let FeeRule::PartOfEarnings { bps } = terms.rules.fee;
        let (start, also) = match &kind {
            // What was taken back before its first epoch never began: nothing of it has lines.
            Kind::Lease(c) if c.state == ContractState::Cancelled => (None, &c.maintenance_also),
            Kind::Lease(c) => (c.start, &c.maintenance_also),
            Kind::Metered(c) => (Some(c.first_epoch), &c.maintenance_also),
        };
        let own = terms.earns.first().copied();
        let order = own.into_iter().chain(also.iter().map(|(asset, _)| *asset)).collect();
        let closed = LaneState::read(tx, &lane).await?.closed;
        Ok(Subject {
            id,
            lane,
            who,
            start,
            fee: Bps::new(bps).unwrap_or(Bps::ZERO),
            maintenance,
            order,
            terms,
            kind,
            closed,
        })
    }

    /// Before which epoch everything must have been delivered, with so many epochs paused.
    fn hard_end(&self, paused_epochs: u64) -> Option<u64> {
        let Kind::Lease(c) = &self.kind else { return None };
        let start = self.start?.0.saturating_add(paused_epochs);
        Some(start.saturating_add(c.term).saturating_add(c.extension))
    }
}

impl Market {
    /// A page of a contract's statement, of whatever kind, that begins with the epoch `from`, or with the contract,
    /// and has at most so many epochs with work (and [`EPOCHS_MAX`]).
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
        let page = self.statement_in(&mut tx, account, id, (from, epochs_max), None).await;
        tx.rollback().await?;
        page
    }

    /// The same within a transaction, of lines that were read with those of its neighbours where there are some.
    pub(crate) async fn statement_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        id: ContractId,
        (from, epochs_max): (Option<EpochNumber>, usize),
        near: Option<&Neighbours>,
    ) -> Result<Statement> {
        let subject = Subject::find(tx, account, id).await?;
        if self.config().operator_accounts.contains(&account) {
            return Err(MarketError::NoStatement("it is the operator's own and comes last"));
        }
        let mut page = self.empty_page(&subject);
        if let (Some(start), Some(closed)) = (subject.start, subject.closed)
            && closed >= start
        {
            let from = from.unwrap_or(start).max(start);
            let lane = self.lane(&subject.lane)?;
            let most = epochs_max.clamp(1, EPOCHS_MAX);
            Writing::begin(lane, &subject, from, most).write(tx, &mut page, near).await?;
        }
        self.sign_statement(&mut page)?;
        Ok(page)
    }

    fn empty_page(&self, subject: &Subject) -> Statement {
        let (start, terms) = (subject.start.map(|e| e.0), &subject.terms);
        let hash = match &subject.kind {
            Kind::Lease(c) => c.terms_hash,
            Kind::Metered(c) => c.terms_hash,
        };
        Statement {
            format: FORMAT.to_owned(),
            contract: subject.id,
            terms_sha256: hex::encode(hash),
            made_at_us: self.now().0,
            start_epoch: start,
            hard_end_epoch: subject.hard_end(0),
            from_epoch: start.unwrap_or(0),
            to_epoch: start.unwrap_or(0),
            next_epoch: None,
            opening: Position::begin(&terms.earns),
            lines: Vec::new(),
            closing: Position::begin(&terms.earns),
            days: Vec::new(),
            hours: Vec::new(),
            operator_key: None,
            signature: None,
        }
    }
}

/// A page being written.
struct Writing<'a> {
    lane: &'a LaneConfig,
    epochs_max: usize,
    subject: &'a Subject,
    from: EpochNumber,
    running: Running<'a>,
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
        let running = Running::begin(subject);
        let (opening, lines, epochs) = (None, Vec::new(), 0);
        Writing { lane, epochs_max, subject, from, running, opening, lines, epochs }
    }

    /// Everything in its order: the work of each epoch, then what else happened in its closing or after it.
    async fn write(
        mut self,
        tx: &mut Tx,
        page: &mut Statement,
        near: Option<&Neighbours>,
    ) -> Result<()> {
        let mut events: VecDeque<Line> = rows::events(tx, self.subject).await?.into();
        let work = match &self.subject.kind {
            Kind::Lease(c) => rows::epochs(tx, self.subject, c, near).await?,
            Kind::Metered(c) => usage::epochs(tx, self.subject, c).await?,
        };
        let (mut last, mut cut) = (self.from.0.saturating_sub(1), None);
        for line in work {
            if self.epochs == self.epochs_max {
                cut = Some(last);
                break;
            }
            self.take_until(&mut events, line.epoch())?;
            last = line.epoch();
            self.take(line)?;
        }
        let closed = self.subject.closed.unwrap_or_default();
        let to = cut.unwrap_or(closed.0.max(self.from.0));
        self.take_until(&mut events, to.saturating_add(1))?;
        page.from_epoch = self.from.0;
        page.to_epoch = to;
        page.next_epoch = cut.map(|last| last.saturating_add(1));
        let position = self.running.position;
        page.opening = self.opening.take().unwrap_or_else(|| position.clone());
        if cut.is_none() {
            agree(tx, self.lane, self.subject, &position).await?;
        }
        page.hard_end_epoch = self.subject.hard_end(position.paused_epochs);
        page.closing = position;
        let terms = &self.subject.terms;
        let days = by_day(terms.epoch_us, &terms.earns, self.lines.iter());
        page.days = days.map_err(MarketError::Broken)?;
        if terms.format == METERED_FORMAT {
            let hours = by_hour(terms.epoch_us, &terms.earns, self.lines.iter());
            page.hours = hours.map_err(MarketError::Broken)?;
        }
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
            self.opening = Some(self.running.position.clone());
        }
        self.running.add_up(&mut line)?;
        if is_shown {
            self.epochs += usize::from(matches!(line, Line::Epoch(_) | Line::Usage(_)));
            self.lines.push(line);
        }
        Ok(())
    }
}

/// Whether what the lines come to is what the books have.
async fn agree(
    tx: &mut Tx,
    lane: &LaneConfig,
    subject: &Subject,
    closing: &Position,
) -> Result<()> {
    let mut wanted = match &subject.kind {
        Kind::Lease(c) => Position {
            delivered: c.delivered,
            upkeep_due: Big(c.maintenance_due.0),
            refunded_minor: c.refunded,
            compensated: c.life.compensated,
            undecided: c.life.undecided,
            paused_epochs: c.life.paused_epochs,
            dollars: Big(life::dollars(tx, c.id).await?.0),
            ..Position::default()
        },
        Kind::Metered(c) => Position {
            delivered: c.delivered,
            upkeep_due: Big(c.maintenance_due.0),
            charged_minor: c.charged,
            cost_carry: Big(c.cost_carry.0),
            ..Position::default()
        },
    };
    // What was not written down when it happened cannot be told.
    let kept = (wanted.compensated, wanted.undecided, wanted.paused_epochs);
    if kept != (closing.compensated, closing.undecided, closing.paused_epochs) {
        return Err(rows::missing());
    }
    for asset in &subject.terms.earns {
        let book = lane.books().find(|b| b.asset == *asset);
        let book = book.ok_or(MarketError::NoStatement("its lane earns other coins now"))?;
        let row = StandingRow::find(tx, book, subject.who).await?;
        wanted.assets.push(Holding {
            asset: *asset,
            accrued: Big(row.accrued.0),
            matured: Big(row.standing.matured.0),
            settled_minor: row.standing.settled,
            net_minor: row.standing.net,
            fee_carry: row.standing.fee_carry,
            settlements: row.settlements,
            owed_paid_minor: life::owed_paid(tx, subject.id, *asset).await?,
        });
    }
    if wanted == *closing {
        return Ok(());
    }
    Err(MarketError::Broken(format!(
        "the statement of contract {} ends at {closing:?}, the books at {wanted:?}",
        subject.id
    )))
}
