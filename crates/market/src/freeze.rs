//! Contracts whose payment is disputed.
//!
//! | word about a payment | outcome |
//! |---|---|
//! | disputed | from the next epoch on the contract gets no work: its clock and its hard end stand still, and it holds its capacity |
//! | the dispute is won | from the next epoch on it goes on where it stood |
//! | the dispute is lost | with the close of the next epoch the contract ends. Of what was paid for work never delivered as much is kept as the loss came to, the rest goes to the balance |
//! | the same again, or late | nothing changes: a dispute is known by its name, and what has an end keeps it |
//!
//! Words come within the transaction that books the dispute, so that both stand or neither does. The next epoch is the
//! one after the running one, by the clock and by the books: as nobody buys into an epoch whose blocks may be known,
//! nobody is taken out of one either. While several payments of a contract are disputed it is frozen until the last is
//! settled. A contract that only waits for the end of the one it follows is frozen with its own beginning. One with
//! work about which its owner may still choose ends when that is decided, and one of whose payments another is still
//! disputed when that is settled. Nobody is refunded at a hard end while frozen.
//!
//! What it must not know: payments, and what of them the balance gave.

use crate::close::{Delivered, LaneState};
use crate::contract::Contract;
use crate::notices::{NoticeKind, tell_of};
use crate::pause::is_over;
use crate::{ContractState, LaneConfig, Market, Result};
use gruve_store::{Row, Tx, params, statements};
use gruve_units::{Amount, ContractId, EpochNumber, LaneId, Timestamp};
use std::collections::BTreeMap;

statements! {
    PUT_FREEZE = "INSERT INTO market_freezes (contract, cause, lane, from_epoch, is_open, asked_at)
        VALUES ($1, $2, $3, $4, 1, $5) ON CONFLICT (contract, cause) DO NOTHING";
    FREEZE = "SELECT from_epoch FROM market_freezes WHERE contract = $1 AND cause = $2
        AND until_epoch IS NULL AND end_epoch IS NULL";
    THAW = "UPDATE market_freezes SET until_epoch = $3 WHERE contract = $1 AND cause = $2";
    LOSE = "UPDATE market_freezes SET end_epoch = $3, lost_minor = $4
        WHERE contract = $1 AND cause = $2";
    SHOW_FROZEN = "UPDATE market_contracts SET frozen_since = (SELECT MIN(f.from_epoch)
        FROM market_freezes f WHERE f.contract = $1 AND f.is_open = 1 AND f.until_epoch IS NULL)
        WHERE id = $1";
    DISPUTED_SINCE = "SELECT from_epoch FROM market_freezes WHERE contract = $1 AND asked_at >= $2 LIMIT 1";
    IS_FROZEN = "SELECT frozen_since FROM market_contracts WHERE id = $1";
    OPEN_FREEZES = "SELECT contract, cause, from_epoch, until_epoch, end_epoch, lost_minor
        FROM market_freezes WHERE lane = $1 AND is_open = 1 AND (contract, cause) > ($2, $3)
        ORDER BY contract, cause LIMIT $4";
    /// Those that no later epoch is touched by.
    CLOSE_THAWED = "UPDATE market_freezes SET is_open = 0
        WHERE lane = $1 AND is_open = 1 AND until_epoch <= $2";
    CLOSE_OF = "UPDATE market_freezes SET is_open = 0 WHERE contract = $1 AND is_open = 1";
    LOST_BY = "SELECT CAST(COALESCE(SUM(lost_minor), 0) AS BIGINT) AS minor FROM market_freezes
        WHERE contract = $1 AND end_epoch <= $2";
    LENGTHEN = "UPDATE market_frozen SET to_epoch = $3 WHERE contract = $1 AND to_epoch = $2";
    PUT_STRETCH = "INSERT INTO market_frozen (contract, from_epoch, to_epoch) VALUES ($1, $2, $3)";
    STRETCHES = "SELECT from_epoch, to_epoch FROM market_frozen WHERE contract = $1
        ORDER BY from_epoch LIMIT $2";
}

/// Disputes read at once.
const ROWS: u32 = 1_000;

/// What is said of a contract's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentDispute {
    /// It is disputed.
    Open,
    /// It stands.
    Won,
    /// It was taken back; this much the balance no longer had.
    Lost(Amount),
}

/// What a word about a payment did to its contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentWord {
    /// From this epoch on it gets nothing.
    Freezes(EpochNumber),
    /// From this epoch on it goes on.
    Thaws(EpochNumber),
    /// With the close of this epoch it ends.
    Ends(EpochNumber),
    /// Nothing: it was said before, the contract is over, or another dispute about it is open.
    Nothing,
}

/// A dispute that a close has to look at.
#[derive(Clone, Copy, Debug)]
struct Freeze {
    from: EpochNumber,
    /// Before which epoch it ends.
    until: Option<EpochNumber>,
    /// With which epoch the contract ends for it, and what was lost.
    lost: Option<(EpochNumber, i64)>,
}

/// Whether something was said against a contract's payment at some time or later, however that ended.
pub(crate) async fn was_disputed_since(
    tx: &mut Tx,
    contract: ContractId,
    at: Timestamp,
) -> Result<bool> {
    Ok(tx.fetch_optional(DISPUTED_SINCE, &params![contract, at]).await?.is_some())
}

/// Epochs from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    first: EpochNumber,
    last: EpochNumber,
}

impl Stretch {
    pub(crate) const fn epochs(self) -> u64 {
        self.last.0 - self.first.0 + 1
    }

    /// The epoch after the last.
    pub(crate) const fn end(self) -> EpochNumber {
        self.last.next()
    }
}

/// The disputes of a lane's contracts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freezes(BTreeMap<ContractId, Vec<Freeze>>);

impl Freezes {
    /// Those that a close may have to look at: as many as payers dispute at a time.
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneId) -> Result<Freezes> {
        let mut all = Freezes::default();
        let (mut contract, mut cause) = (Vec::new(), String::new());
        loop {
            let given = params![lane.clone(), contract, cause.as_str(), ROWS];
            let rows = tx.fetch_all(OPEN_FREEZES, &given).await?;
            for row in &rows {
                all.0.entry(row.get("contract")?).or_default().push(Freeze::read(row)?);
            }
            match rows.last() {
                Some(last) if rows.len() == ROWS as usize => {
                    (contract, cause) = (last.get("contract")?, last.get("cause")?);
                }
                _ => break,
            }
        }
        for of in all.0.values_mut() {
            of.sort_by_key(|f| f.from);
        }
        Ok(all)
    }

    /// Whether a contract gets nothing in an epoch.
    pub(crate) fn is_frozen(&self, c: &Contract, epoch: EpochNumber) -> bool {
        !self.stretches(c, epoch, epoch).is_empty()
    }

    /// In which epochs between two (both included) a contract is frozen, from its first one on: apart from each other,
    /// oldest first.
    pub(crate) fn stretches(
        &self,
        c: &Contract,
        from: EpochNumber,
        to: EpochNumber,
    ) -> Vec<Stretch> {
        match (c.start, self.0.get(&c.id)) {
            (Some(start), Some(all)) => stretches(all, from.max(start), to),
            _ => Vec::new(),
        }
    }

    /// What was lost of the payments of a contract that ends for that with an epoch. While another of them is disputed
    /// it does not end: what is refunded could be lost, too.
    pub(crate) fn lost(&self, c: &Contract, epoch: EpochNumber) -> Option<i64> {
        let begun = c.start.is_some_and(|start| start <= epoch);
        let all = self.0.get(&c.id).filter(|_| begun)?;
        let is_open = |f: &Freeze| f.until.is_none() && f.lost.is_none_or(|(end, _)| end > epoch);
        if all.iter().any(is_open) {
            return None;
        }
        all.iter().filter_map(|f| f.lost).map(|(_, minor)| minor).reduce(i64::saturating_add)
    }

    /// Stops the clocks of frozen contracts for an epoch and those skipped before it.
    pub(crate) fn stop_clocks(&self, contracts: &mut [Contract], epoch: EpochNumber, skipped: u64) {
        if self.0.is_empty() {
            return;
        }
        for c in contracts.iter_mut() {
            for s in self.stretches(c, epoch.back(skipped), epoch) {
                c.life.paused_epochs = c.life.paused_epochs.saturating_add(s.epochs());
            }
        }
    }

    /// Writes down that they stood still; once for an epoch.
    pub(crate) async fn note(
        &self,
        tx: &mut Tx,
        contracts: &[Contract],
        epoch: EpochNumber,
        skipped: u64,
    ) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        for c in contracts {
            let stretches = self.stretches(c, epoch.back(skipped), epoch);
            for s in &stretches {
                let longer = params![c.id, s.first.back(1), s.last];
                if tx.execute(LENGTHEN, &longer).await? == 0 {
                    tx.execute(PUT_STRETCH, &params![c.id, s.first, s.last]).await?;
                }
            }
            if !stretches.is_empty() {
                c.store_life(tx).await?;
            }
        }
        Ok(())
    }

    /// After contracts' deliveries: what has ended is frozen no more, and what was charged back is told of.
    pub(crate) async fn end(
        &self,
        tx: &mut Tx,
        deliveries: &[Delivered],
        epoch: EpochNumber,
        now: Timestamp,
    ) -> Result<()> {
        let frozen = deliveries.iter().map(|d| &d.contract).filter(|c| self.0.contains_key(&c.id));
        for c in frozen.filter(|c| is_over(c.state)) {
            tx.execute(CLOSE_OF, &params![c.id]).await?;
            tx.execute(SHOW_FROZEN, &params![c.id]).await?;
            if c.state == ContractState::ChargedBack {
                tell_of(tx, c, NoticeKind::ChargedBack, epoch, now).await?;
            }
        }
        Ok(())
    }

    /// After an epoch's deliveries: who is thawed by then is looked at no more.
    pub(crate) async fn close_thawed(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<()> {
        if !self.0.is_empty() {
            tx.execute(CLOSE_THAWED, &params![lane.lane.clone(), epoch.next()]).await?;
        }
        Ok(())
    }
}

/// The epochs between two (both included) that freezes cover, which are sorted by their first. Pure.
fn stretches(all: &[Freeze], from: EpochNumber, to: EpochNumber) -> Vec<Stretch> {
    let (mut next, mut found) = (from, Vec::<Stretch>::new());
    for f in all {
        let first = f.from.max(next);
        let end = f.until.map_or(to.next(), |until| until.min(to.next()));
        if first >= end {
            continue;
        }
        let last = end.back(1);
        match found.last_mut() {
            Some(before) if before.last.next() == first => before.last = last,
            _ => found.push(Stretch { first, last }),
        }
        next = end;
    }
    found
}

impl Freeze {
    fn read(row: &Row) -> Result<Freeze> {
        let end: Option<EpochNumber> = row.get("end_epoch")?;
        let lost: Option<i64> = row.get("lost_minor")?;
        let (from, until) = (row.get("from_epoch")?, row.get("until_epoch")?);
        Ok(Freeze { from, until, lost: end.zip(lost) })
    }
}

/// What was lost of a contract's payments up to its end.
pub(crate) async fn lost_by(tx: &mut Tx, id: ContractId, ended: EpochNumber) -> Result<i64> {
    Ok(tx.fetch_one(LOST_BY, &params![id, ended]).await?.get("minor")?)
}

impl Market {
    /// What is said of a payment that paid for a contract; `cause` names the dispute. See the module's table.
    /// A contract that is over stays as it is.
    ///
    /// # Errors
    /// [`crate::MarketError::UnknownContract`] for what is no lease, [`crate::MarketError::UnknownLane`]; the
    /// database's.
    pub async fn payment_disputed(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        cause: &str,
        word: PaymentDispute,
    ) -> Result<PaymentWord> {
        let c = Contract::find(tx, contract).await?;
        let closed = LaneState::read(tx, &c.lane).await?.closed;
        let border = self.lane(&c.lane)?.epoch_rule.at(self.now()).next();
        let border = closed.map_or(border, |last| border.max(last.next()));
        let (mut does, runs) = (PaymentWord::Nothing, !is_over(c.state));
        if runs && word != PaymentDispute::Won {
            let row = params![c.id, cause, c.lane.clone(), border, self.now()];
            if tx.execute(PUT_FREEZE, &row).await? == 1 {
                does = PaymentWord::Freezes(border);
                tell_of(tx, &c, NoticeKind::Frozen, border, self.now()).await?;
            }
        }
        let Some(row) = tx.fetch_optional(FREEZE, &params![c.id, cause]).await? else {
            return Ok(PaymentWord::Nothing);
        };
        let until = border.max(row.get("from_epoch")?);
        match word {
            PaymentDispute::Open => {}
            // An order that other money has to pay for is not ended by it.
            PaymentDispute::Lost(lost) if has_been_paid(c.state) => {
                let lost = if lost.asset == c.price.asset { lost.minor.max(0) } else { 0 };
                tx.execute(LOSE, &params![c.id, cause, until, lost]).await?;
                does = PaymentWord::Ends(until);
            }
            PaymentDispute::Won | PaymentDispute::Lost(_) => {
                tx.execute(THAW, &params![c.id, cause, until]).await?;
                does = PaymentWord::Nothing;
            }
        }
        tx.execute(SHOW_FROZEN, &params![c.id]).await?;
        let shown = tx.fetch_one(IS_FROZEN, &params![c.id]).await?;
        let stays = shown.get::<Option<EpochNumber>>("frozen_since")?.is_some();
        if word == PaymentDispute::Won && !stays && runs {
            does = PaymentWord::Thaws(until);
            tell_of(tx, &c, NoticeKind::Thawed, until, self.now()).await?;
        }
        Ok(does)
    }
}

/// Whether what was sold was paid for, and runs or will.
const fn has_been_paid(state: ContractState) -> bool {
    matches!(state, ContractState::Starting | ContractState::Active)
}

#[cfg(test)]
mod tests;
