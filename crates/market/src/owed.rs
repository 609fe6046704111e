//! Work of an epoch whose earnings a contract is owed, and the choice that stands before it.
//!
//! | state | meaning |
//! |---|---|
//! | `open` | missed in a short epoch that is not judged yet |
//! | `undecided` | missed by the operator's doing; its owner may choose until the deadline |
//! | `later` | to be delivered later, as any shortfall (chosen, or the deadline passed) |
//! | `earnings` | paid as it would have earned, and counted as given: neither delivered nor refunded again |
//! | `paused` | worked by the house while the contract was paused; what it earned above its energy is paid |
//!
//! While a contract has open or undecided work it is not ended: at its hard end the choice is between those
//! earnings and the refund.
//!
//! What is owed for work is paid as rewards mature, each time the difference to what was paid: nothing is
//! taken back when a block is orphaned later. Missed work is paid from the operator's loss, less the
//! plan's fee; work of a pause from the operator's revenue, whose surplus has earned it.

use crate::book::Book;
use crate::close::LaneState;
use crate::contract::Contract;
use crate::happenings::note as note_line;
use crate::notices::{Notice, NoticeKind, tell};
use crate::pages::Pages;
use crate::price::in_coin;
use crate::read::NO_EPOCH;
use crate::settle::maintenance;
use crate::worth::Worth;
use crate::{LaneConfig, Market, MarketError, Result, life_sql};
use gruve_ledger::{Account, Entry};
use gruve_statement::document::{
    self, AsideLine, Big, ChoiceLine, JudgementLine, Line, OwedLine as PaidLine, Why,
};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Timestamp,
    mul_div_floor,
};
use std::collections::BTreeMap;

/// Rows paid from one question.
const PAGE: u32 = 1_000;

/// What a customer chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The hashes, later.
    Later,
    /// What the missed epoch would have earned.
    Earnings,
}

impl Choice {
    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Choice::Later => "later",
            Choice::Earnings => "earnings",
        }
    }
}

/// Why work is owed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Missed,
    Paused,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Missed => "missed",
            Kind::Paused => "paused",
        }
    }
}

/// Work of an epoch that a contract is owed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedLine {
    /// The epoch.
    pub epoch: EpochNumber,
    /// `missed` or `paused`.
    pub kind: String,
    /// The work.
    pub hashes: Hashes,
    /// See the module's table.
    pub state: String,
    /// Until the end of which epoch its owner may choose.
    pub deadline: EpochNumber,
    /// When it was decided.
    pub decided: Option<Timestamp>,
    /// What was paid so far, asset by asset.
    pub paid: Vec<Amount>,
}

/// A row to be written for a contract's work of an epoch.
pub(crate) struct NewOwed {
    pub(crate) kind: Kind,
    pub(crate) hashes: Hashes,
    pub(crate) state: &'static str,
    pub(crate) fee: Bps,
    pub(crate) energy_micro: u64,
}

pub(crate) async fn put(
    tx: &mut Tx,
    c: &Contract,
    epoch: EpochNumber,
    new: &NewOwed,
) -> Result<()> {
    let deadline = EpochNumber(epoch.0.saturating_add(c.life.rules.choice_epochs));
    let row = params![
        c.id,
        epoch,
        new.kind.name(),
        c.lane.clone(),
        new.hashes,
        new.state,
        deadline,
        new.fee,
        new.energy_micro
    ];
    tx.execute(life_sql::PUT_OWED, &row).await?;
    Ok(())
}

/// What changes in a row.
struct Change {
    state: &'static str,
    hashes: Hashes,
    deadline: EpochNumber,
    decided: Option<Timestamp>,
}

async fn set(tx: &mut Tx, id: ContractId, epoch: EpochNumber, to: &Change) -> Result<()> {
    let given =
        params![id, epoch, Kind::Missed.name(), to.state, to.hashes, to.deadline, to.decided];
    tx.execute(life_sql::SET_OWED, &given).await?;
    Ok(())
}

/// Gives every contract its part of what the operator caused in an epoch, pro rata of what it missed, rounded
/// down; the rest of what it missed is an ordinary shortfall again.
pub(crate) async fn share_caused(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    missing: Hashes,
    caused: Hashes,
    now: Timestamp,
) -> Result<()> {
    let after = LaneState::read(tx, &lane.lane).await?.closed.unwrap_or(epoch);
    let mut pages = Pages::by_id(life_sql::OPEN_OWED, &params![lane.lane.clone(), epoch]);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            let (id, missed): (ContractId, Hashes) = (row.get("id")?, row.get("hashes")?);
            let (part, _) = mul_div_floor(missed.0, caused.0, missing.0)
                .map_err(|_| MarketError::Broken("a short epoch that missed nothing".into()))?;
            let part = Hashes(part).min(missed);
            let mut c = Contract::find(tx, id).await?;
            c.life.undecided = c.life.undecided.saturating_sub(missed.saturating_sub(part));
            c.store_life(tx).await?;
            // From the judgement on, not from the epoch: a lane that was late takes no time from anybody.
            let closed = lane.epoch_rule.at(now).max(epoch);
            let deadline = EpochNumber(closed.0.saturating_add(c.life.rules.choice_epochs));
            let is_caused = part > Hashes::ZERO;
            let state = if is_caused { "undecided" } else { Choice::Later.name() };
            let decided = (!is_caused).then_some(now);
            set(tx, id, epoch, &Change { state, hashes: part, deadline, decided }).await?;
            let line = JudgementLine {
                epoch: after.0,
                of_epoch: epoch.0,
                missing,
                caused,
                aside: missed,
                part,
            };
            note_line(tx, id, &Line::Judgement(line)).await?;
            if is_caused {
                let notice = Notice {
                    contract: id,
                    kind: NoticeKind::OperatorShortfall,
                    about: epoch.0,
                    at: now,
                    detail: format!("{part} hashes of epoch {epoch}"),
                };
                tell(tx, c.account, &notice).await?;
            }
        }
    }
    Ok(())
}

/// What nobody decided about by its deadline is delivered later.
pub(crate) async fn lapse(
    tx: &mut Tx,
    lane: &LaneConfig,
    closing: EpochNumber,
    now: Timestamp,
) -> Result<()> {
    for row in tx.fetch_all(life_sql::LAPSED_OWED, &params![lane.lane.clone(), closing]).await? {
        let (id, epoch): (ContractId, EpochNumber) = (row.get("id")?, row.get("epoch")?);
        let mut c = Contract::find(tx, id).await?;
        let hashes = row.get("hashes")?;
        c.life.undecided = c.life.undecided.saturating_sub(hashes);
        c.store_life(tx).await?;
        let change =
            Change { state: Choice::Later.name(), hashes, deadline: closing, decided: Some(now) };
        set(tx, id, epoch, &change).await?;
        // Before anything of the epoch being closed.
        let line = ChoiceLine {
            epoch: closing.0.saturating_sub(1),
            at_us: now.0,
            of_epoch: epoch.0,
            choice: document::Choice::Lapsed,
            hashes,
        };
        note_line(tx, id, &Line::Choice(line)).await?;
    }
    Ok(())
}

impl Market {
    /// Decides about work that a contract missed in an epoch by the operator's doing. The same again does
    /// nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; [`MarketError::NothingToDecide`] where nothing was missed so, it is
    /// not judged yet, or it was decided otherwise. The database's.
    pub async fn choose(
        &self,
        account: AccountId,
        contract: ContractId,
        epoch: EpochNumber,
        choice: Choice,
    ) -> Result<()> {
        let now = self.now();
        transact!(self.store(), tx -> Result<()> => {
            let mut c = Contract::find(tx, contract).await?;
            if c.account != account {
                return Err(MarketError::UnknownContract);
            }
            let key = params![contract, epoch, Kind::Missed.name()];
            let row = tx.fetch_optional(life_sql::OWED, &key).await?;
            let row = row.ok_or(MarketError::NothingToDecide)?;
            let (state, hashes): (String, Hashes) = (row.get("state")?, row.get("hashes")?);
            if state == choice.name() && hashes > Hashes::ZERO {
                return Ok(());
            }
            if state != "undecided" {
                return Err(MarketError::NothingToDecide);
            }
            let undecided = c.life.undecided.checked_sub(hashes);
            c.life.undecided = undecided
                .ok_or_else(|| MarketError::Broken("more is undecided than missed".into()))?;
            if choice == Choice::Earnings {
                c.life.compensated = Hashes(c.life.compensated.0.saturating_add(hashes.0));
            }
            let deadline = row.get("deadline_epoch")?;
            let change = Change { state: choice.name(), hashes, deadline, decided: Some(now) };
            // Before the contract's row: a close that runs is waited for here.
            set(tx, contract, epoch, &change).await?;
            c.store_life(tx).await?;
            let after = LaneState::read(tx, &c.lane).await?.closed.unwrap_or(epoch);
            let line = ChoiceLine {
                epoch: after.0,
                at_us: now.0,
                of_epoch: epoch.0,
                choice: match choice {
                    Choice::Later => document::Choice::Later,
                    Choice::Earnings => document::Choice::Earnings,
                },
                hashes,
            };
            note_line(tx, contract, &Line::Choice(line)).await
        })
    }

    /// What a contract was or is owed for, newest first.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn owed(
        &self,
        account: AccountId,
        contract: ContractId,
        limit: u32,
    ) -> Result<Vec<OwedLine>> {
        self.owed_before(account, contract, None, limit).await
    }

    /// A page of it: what stands behind an epoch and a kind.
    ///
    /// # Errors
    /// [`MarketError::UnknownContract`]; the database's.
    pub async fn owed_before(
        &self,
        account: AccountId,
        contract: ContractId,
        before: Option<(EpochNumber, String)>,
        limit: u32,
    ) -> Result<Vec<OwedLine>> {
        let mut tx = self.store().read().await?;
        if Contract::find(&mut tx, contract).await?.account != account {
            return Err(MarketError::UnknownContract);
        }
        let (epoch, kind) = before.unwrap_or((NO_EPOCH, String::new()));
        let given = params![contract, epoch, kind, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::OWED_OF_CONTRACT, &given).await?;
        let mut paid: BTreeMap<(EpochNumber, String), Vec<Amount>> = BTreeMap::new();
        for row in tx.fetch_all(life_sql::OWED_PAID_OF_CONTRACT, &params![contract]).await? {
            let amount = Amount::new(row.get("asset")?, row.get("minor")?);
            paid.entry((row.get("epoch")?, row.get("kind")?)).or_default().push(amount);
        }
        tx.rollback().await?;
        let read = |row: &Row| {
            let (epoch, kind): (EpochNumber, String) = (row.get("epoch")?, row.get("kind")?);
            Ok(OwedLine {
                paid: paid.remove(&(epoch, kind.clone())).unwrap_or_default(),
                epoch,
                kind,
                hashes: row.get("hashes")?,
                state: row.get("state")?,
                deadline: row.get("deadline_epoch")?,
                decided: row.get("decided_at")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Pays what matured of what is owed for work that was not delivered.
    pub(crate) async fn pay_owed(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closing: EpochNumber,
    ) -> Result<()> {
        let (mut worth, mut energy) = (Worth::new(closing), None);
        // Before all others: no contract has an empty id.
        let mut after: (EpochNumber, Vec<u8>, String) = (EpochNumber(0), Vec::new(), String::new());
        loop {
            let (epoch, contract, kind) = after.clone();
            let given = params![lane.lane.clone(), epoch, contract, kind.as_str(), PAGE];
            let rows = tx.fetch_all(life_sql::PAYABLE, &given).await?;
            for row in &rows {
                self.pay_one(tx, lane, (&mut worth, &mut energy), row).await?;
                after = (row.get("epoch")?, row.get("contract")?, row.get("kind")?);
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(());
            }
        }
    }

    /// Pays for one row what it has not been paid.
    async fn pay_one(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        (worth, energy_of): (&mut Worth, &mut Option<(EpochNumber, u64)>),
        row: &Row,
    ) -> Result<()> {
        let contract: ContractId = row.get("contract")?;
        let (epoch, kind): (EpochNumber, String) = (row.get("epoch")?, row.get("kind")?);
        let (hashes, fee): (Hashes, Bps) = (row.get("hashes")?, row.get("fee_bps")?);
        let mut energy_micro: u64 = row.get("energy_micro")?;
        if energy_micro > 0 {
            // The plan's figure is the most; without a measurement nothing is kept.
            let measured = self.energy_micro(tx, lane, epoch, energy_of).await?;
            energy_micro = energy_micro.min(measured);
        }
        let (mut energy, mut price_micro) = (Accrual::ZERO, None);
        if energy_micro > 0 {
            // What the work cost at the price of its epoch's end; without one it waits.
            let instant = lane.epoch_rule.end(epoch);
            let Some(price) = self.price_at(tx, lane.asset, instant).await? else {
                return Ok(());
            };
            energy = in_coin(maintenance(hashes, energy_micro)?, lane.asset, price)?;
            price_micro = Some(price);
        }
        let mut is_final = true;
        for book in lane.books() {
            let (earned, done) = worth.of(tx, book, epoch, hashes).await?;
            is_final &= done;
            let earned = less(earned, fee)?;
            // Energy is taken from the lane's own coin.
            let costs = if book.asset == lane.asset { energy } else { Accrual::ZERO };
            let due = earned.checked_sub(costs).unwrap_or_default();
            let paid = pay(tx, &kind, (contract, epoch), book, due, self.now()).await?;
            if let (Some(paid_minor), Some((bits, per_block))) = (paid, worth.figures(book, epoch))
            {
                let is_paused = kind == Kind::Paused.name();
                let line = PaidLine {
                    epoch: worth.closing().0,
                    of_epoch: epoch.0,
                    why: if is_paused { Why::Paused } else { Why::Missed },
                    asset: book.asset,
                    hashes,
                    bits,
                    per_block: Big(per_block),
                    price_micro,
                    energy_usd_micro_per_th_day: price_micro.map(|_| energy_micro),
                    due: Big(due.0),
                    paid_minor,
                };
                note_line(tx, contract, &Line::Owed(line)).await?;
            }
        }
        if is_final {
            let given = params![contract, epoch, kind.as_str(), worth.closing()];
            tx.execute(life_sql::FINISH_OWED, &given).await?;
        }
        Ok(())
    }
}

/// An accrual less a fee, rounded down.
fn less(earned: Accrual, fee: Bps) -> Result<Accrual> {
    let kept = u128::from(10_000 - fee.get().min(10_000));
    let (net, _) = mul_div_floor(earned.0, kept, 10_000)
        .map_err(|_| MarketError::Overflow("what is owed for work"))?;
    Ok(Accrual(net))
}

/// Pays the whole minor units of `due` that were not paid before; how many, if any.
async fn pay(
    tx: &mut Tx,
    kind: &str,
    (contract, epoch): (ContractId, EpochNumber),
    book: Book<'_>,
    due: Accrual,
    now: Timestamp,
) -> Result<Option<i64>> {
    let (due, _) = due.split().map_err(|_| MarketError::Overflow("what is owed for work"))?;
    let key = params![contract, epoch, kind, book.asset];
    let row = tx.fetch_optional(life_sql::OWED_PAID, &key).await?;
    let (paid, payments) = match row {
        Some(row) => (row.get::<i64>("minor")?, row.get::<i64>("payments")?),
        None => (0, 0),
    };
    if due <= paid {
        return Ok(None);
    }
    let account = Contract::find(tx, contract).await?.account;
    let asset: Asset = book.asset;
    let payer = if kind == Kind::Paused.name() { Account::OperatorRevenue } else { Account::Loss };
    let entry = Entry::transfer(
        format!("market/owed/{kind}/{contract}/{epoch}/{asset}/{}", payments + 1),
        "market-owed",
        now,
        payer,
        Account::CustomerAvailable(account),
        Amount::new(asset, due - paid),
    );
    gruve_ledger::post(tx, &entry).await?;
    let row = params![contract, epoch, kind, asset, due, payments + 1];
    tx.execute(life_sql::PUT_OWED_PAID, &row).await?;
    Ok(Some(due - paid))
}

/// Writes down what a contract missed that is set aside until it is known whose doing that was; the contract
/// counts it as undecided already.
pub(crate) async fn set_aside(
    tx: &mut Tx,
    c: &Contract,
    epoch: EpochNumber,
    hashes: Hashes,
) -> Result<()> {
    let new = NewOwed { kind: Kind::Missed, hashes, state: "open", fee: c.fee, energy_micro: 0 };
    put(tx, c, epoch, &new).await?;
    note_line(tx, c.id, &Line::Aside(AsideLine { epoch: epoch.0, hashes })).await?;
    c.store_life(tx).await
}
