//! Epochs in which the house's work did not suffice, and what of that was the operator's doing.
//!
//! The operator may not move machines to another lane of the same algorithm, or idle them, while leases are
//! short, without the customers having a say: else selling work and delivering it later, when it is cheap,
//! would be a free option. Two things tell of it:
//!
//! - *declared*: what the operator himself recorded as idled or moved ([`Market::record_act`]);
//! - *elsewhere*: what house work on other lanes of the algorithm has risen since. A lane's habit is its mean
//!   over its own capacity window before the leases here became short; what an epoch proves above it (by the
//!   lane's own confidence, so that luck is not taken for machines) is counted. Names of machines play no
//!   part: they can be changed.
//!
//! Both together, but no more than what was missing, are *caused*; every contract's part is pro rata of what
//! it missed. An outage of which neither tells is nobody's doing: it is made good or refunded, as ever.
//!
//! An epoch is judged when every other lane of the algorithm has closed the time it covers. A lane that stands
//! still does not keep customers waiting for ever: when their time to choose has passed since the epoch, all that
//! was missing counts as caused, so that the operator gains nothing by keeping a lane from closing.

use crate::capacity::{WindowWork, proven_work};
use crate::close::LaneState;
use crate::{LaneConfig, Market, MarketError, Result, life_sql, owed};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{
    Duration, EpochNumber, Hashes, HashesSum, Hashrate, LaneId, Timestamp, mul_div_floor,
};
use ruint::aliases::U256;

/// Epochs judged in one transaction at most; the rest follow with the next close.
const JUDGED_AT_ONCE: u32 = 64;
/// Epochs that are waited for other lanes at least.
const SIBLINGS_WAIT_EPOCHS: u64 = 3;
/// A note's length at most, bytes.
pub const NOTE_MAX: usize = 500;

/// What the operator did with machines of the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// Switched off, or taken out of service.
    Idle,
    /// Moved to another lane.
    Move,
}

impl ActKind {
    /// As stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ActKind::Idle => "idle",
            ActKind::Move => "move",
        }
    }
}

/// An act of the operator, by his own record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its number on the lane.
    pub id: u64,
    /// `idle` or `move`.
    pub what: String,
    /// The rate that is missing by it.
    pub hashrate: Hashrate,
    /// The first epoch it counts in.
    pub from: EpochNumber,
    /// The first epoch it counts in no more.
    pub until: Option<EpochNumber>,
    /// Why, in the operator's words.
    pub note: String,
    /// When it was recorded.
    pub recorded: Timestamp,
}

/// An epoch in which leases were short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortEpoch {
    /// The epoch.
    pub epoch: EpochNumber,
    /// Since when leases were short without a break.
    pub since: EpochNumber,
    /// What all contracts together missed.
    pub missing: Hashes,
    /// What of it the operator caused; `None` before it is judged.
    pub caused: Option<Hashes>,
    /// By his own record, before the bound of what was missing.
    pub declared: Hashes,
    /// By what other lanes rose.
    pub elsewhere: Hashes,
}

/// What a lane's work rose above its habit. Pure.
fn risen(
    now: WindowWork,
    z_tenths: u32,
    before: Hashes,
    window: Duration,
    span: Duration,
) -> Hashes {
    let (span, window) = (span.as_micros(), window.as_micros().max(1));
    // Rounded down, in the customers' favour by less than a hash.
    let habit = mul_div_floor(before.0, span, window).map_or(u128::MAX, |(habit, _)| habit);
    proven_work(now, z_tenths).saturating_sub(Hashes(habit))
}

/// The part of an epoch's work that falls into a span of time, both in microseconds. Pure.
fn weighted(work: Hashes, squares: U256, overlap: u64, length: u64) -> Result<WindowWork> {
    let (part, _) = mul_div_floor(work.0, overlap.into(), length.into())
        .map_err(|_| MarketError::Overflow("the work of a span"))?;
    let squares = squares.saturating_mul(U256::from(overlap)) / U256::from(length.max(1));
    Ok(WindowWork { work: Hashes(part), squares })
}

fn read_act(row: &Row) -> Result<Act> {
    Ok(Act {
        id: row.get("id")?,
        what: row.get("what")?,
        hashrate: row.get("hashrate")?,
        from: row.get("from_epoch")?,
        until: row.get("until_epoch")?,
        note: row.get("note")?,
        recorded: row.get("recorded_at")?,
    })
}

impl Market {
    /// Whether the operator could have caused a shortfall of this epoch: another lane has the same algorithm,
    /// or he recorded an act.
    pub(crate) async fn may_be_caused(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<bool> {
        if self.siblings(lane).next().is_some() {
            return Ok(true);
        }
        Ok(!tx.fetch_all(life_sql::ACTS_AT, &params![lane.lane.clone(), epoch]).await?.is_empty())
    }

    fn siblings(&self, lane: &LaneConfig) -> impl Iterator<Item = &LaneConfig> {
        let (name, algorithm) = (lane.lane.clone(), lane.algorithm);
        self.config().lanes.iter().filter(move |l| l.lane != name && l.algorithm == algorithm)
    }

    /// Judges what can be judged now that this lane has closed an epoch: epochs of its own and of its siblings.
    pub(crate) async fn judge_around(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closed: EpochNumber,
    ) -> Result<()> {
        self.judge_lane(tx, lane, Some((lane, closed))).await?;
        let siblings: Vec<&LaneConfig> = self.siblings(lane).collect();
        for sibling in siblings {
            self.judge_lane(tx, sibling, Some((lane, closed))).await?;
        }
        Ok(())
    }

    async fn judge_lane(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        closing: Option<(&LaneConfig, EpochNumber)>,
    ) -> Result<()> {
        let given = params![lane.lane.clone(), JUDGED_AT_ONCE];
        let open = tx.fetch_all(life_sql::UNJUDGED, &given).await?;
        if open.is_empty() {
            return Ok(());
        }
        // The time that every sibling has closed; the one being closed has its row already.
        let mut known = Timestamp(i64::MAX);
        for sibling in self.siblings(lane) {
            let closed = match closing {
                Some((l, epoch)) if l.lane == sibling.lane => Some(epoch),
                _ => LaneState::read(tx, &sibling.lane).await?.closed,
            };
            let Some(closed) = closed else { continue };
            known = known.min(sibling.epoch_rule.end(closed));
        }
        for row in open {
            let epoch: EpochNumber = row.get("epoch")?;
            let (since, missing) = (row.get("since_epoch")?, row.get("missing")?);
            if lane.epoch_rule.end(epoch) <= known {
                self.judge(tx, lane, epoch, since, missing).await?;
            } else if is_overdue(tx, lane, epoch, closing).await? {
                tracing::warn!(lane = %lane.lane, %epoch, "another lane stands still: what was missing counts as the operator's doing");
                self.judge_blind(tx, lane, epoch, missing).await?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Judges an epoch of which another lane does not say what it did: against the operator.
    async fn judge_blind(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        missing: Hashes,
    ) -> Result<()> {
        let declared = self.declared(tx, lane, epoch).await?;
        let elsewhere = missing.saturating_sub(declared);
        let given = params![lane.lane.clone(), epoch, declared, elsewhere, missing];
        tx.execute(life_sql::JUDGE, &given).await?;
        owed::share_caused(tx, lane, epoch, missing, missing, self.now()).await
    }

    async fn judge(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
        since: EpochNumber,
        missing: Hashes,
    ) -> Result<()> {
        let declared = self.declared(tx, lane, epoch).await?;
        let mut elsewhere = Hashes::ZERO;
        for sibling in self.siblings(lane) {
            let rose = rose(tx, sibling, lane, epoch, since).await?;
            elsewhere = Hashes(elsewhere.0.saturating_add(rose.0));
        }
        let caused = missing.min(Hashes(declared.0.saturating_add(elsewhere.0)));
        let given = params![lane.lane.clone(), epoch, declared, elsewhere, caused];
        tx.execute(life_sql::JUDGE, &given).await?;
        owed::share_caused(tx, lane, epoch, missing, caused, self.now()).await
    }

    async fn declared(&self, tx: &mut Tx, lane: &LaneConfig, epoch: EpochNumber) -> Result<Hashes> {
        let mut sum = Hashes::ZERO;
        for row in tx.fetch_all(life_sql::ACTS_AT, &params![lane.lane.clone(), epoch]).await? {
            let work = row.get::<Hashrate>("hashrate")?.work_in(lane.epoch_rule.length());
            sum = Hashes(sum.0.saturating_add(work.0));
        }
        Ok(sum)
    }

    /// Records that the operator idles or moves machines of the house: from an epoch on, until another or
    /// until it is ended. Its number.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::BadAct`] for a rate of nothing, a note too long, or an
    /// epoch that is closed already; the database's.
    pub async fn record_act(
        &self,
        lane: &LaneId,
        what: ActKind,
        hashrate: Hashrate,
        (from, until): (EpochNumber, Option<EpochNumber>),
        note: &str,
    ) -> Result<u64> {
        let config = self.lane(lane)?;
        if hashrate == Hashrate::ZERO || hashrate.0 > 1 << 80 {
            return Err(MarketError::BadAct("the rate must be above zero and at most 2^80"));
        }
        if note.len() > NOTE_MAX || until.is_some_and(|until| until <= from) {
            return Err(MarketError::BadAct("the note is too long, or it ends before it begins"));
        }
        let now = self.now();
        transact!(self.store(), tx -> Result<u64> => {
            let closed = LaneState::read(tx, &config.lane).await?.closed;
            if closed.is_some_and(|last| from <= last) {
                return Err(MarketError::BadAct("that epoch is closed: record it from the next one"));
            }
            let row = tx.fetch_one(life_sql::NEXT_ACT, &params![lane.clone()]).await?;
            let id: u64 = row.get("id")?;
            let row = params![id, lane.clone(), what.name(), hashrate, from, until, note, now];
            tx.execute(life_sql::PUT_ACT, &row).await?;
            Ok(id)
        })
    }

    /// Ends an act with an epoch that is not closed: from it on the machines work again.
    ///
    /// # Errors
    /// [`MarketError::BadAct`] when there is no such act open, or the epoch is closed; the database's.
    pub async fn end_act(&self, lane: &LaneId, id: u64, until: EpochNumber) -> Result<()> {
        let config = self.lane(lane)?;
        transact!(self.store(), tx -> Result<()> => {
            let closed = LaneState::read(tx, &config.lane).await?.closed;
            let ended = params![lane.clone(), id, until];
            let is_open = closed.is_none_or(|last| until > last);
            if !is_open || tx.execute(life_sql::END_ACT, &ended).await? != 1 {
                return Err(MarketError::BadAct("no such act is open, or that epoch is closed"));
            }
            Ok(())
        })
    }

    /// What the operator recorded on a lane, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn acts(&self, lane: &LaneId, limit: u32) -> Result<Vec<Act>> {
        let mut tx = self.store().read().await?;
        let given = params![lane.clone(), limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::ACTS, &given).await?;
        tx.rollback().await?;
        rows.iter().map(read_act).collect()
    }

    /// A page of them: those before one of them, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn acts_before(
        &self,
        lane: &LaneId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Act>> {
        let mut tx = self.store().read().await?;
        // The database counts no further.
        let most = u64::MAX >> 1;
        let before = before.map_or(most, |b| b.min(most));
        let given = params![lane.clone(), before, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::ACTS_BEFORE, &given).await?;
        tx.rollback().await?;
        rows.iter().map(read_act).collect()
    }

    /// Epochs of a lane in which leases were short, newest first; public like all of a lane's epochs.
    ///
    /// # Errors
    /// The database's.
    pub async fn short_epochs(&self, lane: &LaneId, limit: u32) -> Result<Vec<ShortEpoch>> {
        let mut tx = self.store().read().await?;
        let given = params![lane.clone(), limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::SHORT_EPOCHS, &given).await?;
        tx.rollback().await?;
        rows.iter().map(ShortEpoch::read).collect()
    }

    /// A page of them: those before one of them, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn short_epochs_before(
        &self,
        lane: &LaneId,
        before: Option<EpochNumber>,
        limit: u32,
    ) -> Result<Vec<ShortEpoch>> {
        let mut tx = self.store().read().await?;
        // The database counts no further.
        let most = EpochNumber(u64::MAX >> 1);
        let before = before.map_or(most, |b| b.min(most));
        let given = params![lane.clone(), before, limit.min(crate::ROWS_MAX)];
        let rows = tx.fetch_all(life_sql::SHORT_EPOCHS_BEFORE, &given).await?;
        tx.rollback().await?;
        rows.iter().map(ShortEpoch::read).collect()
    }
}

impl ShortEpoch {
    fn read(row: &Row) -> Result<ShortEpoch> {
        Ok(ShortEpoch {
            epoch: row.get("epoch")?,
            since: row.get("since_epoch")?,
            missing: row.get("missing")?,
            caused: row.get("caused")?,
            declared: row.get::<Option<Hashes>>("declared")?.unwrap_or_default(),
            elsewhere: row.get::<Option<Hashes>>("elsewhere")?.unwrap_or_default(),
        })
    }
}

/// Whether an epoch's judgement has waited for other lanes for as long as its customers have time to choose.
async fn is_overdue(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    closing: Option<(&LaneConfig, EpochNumber)>,
) -> Result<bool> {
    let closed = match closing {
        Some((l, closed)) if l.lane == lane.lane => Some(closed),
        _ => LaneState::read(tx, &lane.lane).await?.closed,
    };
    let given = params![lane.lane.clone(), epoch];
    let chosen: Option<EpochNumber> =
        tx.fetch_one(life_sql::OPEN_UNTIL, &given).await?.get("epoch")?;
    let least = EpochNumber(epoch.0.saturating_add(SIBLINGS_WAIT_EPOCHS));
    Ok(closed >= Some(chosen.unwrap_or(least).max(least)))
}

/// What contracts missed in an epoch that may be the operator's doing.
pub(crate) struct Missed {
    missing: u128,
    since: EpochNumber,
}

impl Missed {
    pub(crate) const fn in_epoch(epoch: EpochNumber) -> Missed {
        Missed { missing: 0, since: epoch }
    }

    /// One contract's: how much, and since when it is short.
    pub(crate) fn add(&mut self, hashes: Hashes, short_since: Option<EpochNumber>) {
        self.missing = self.missing.saturating_add(hashes.0);
        self.since = short_since.map_or(self.since, |since| self.since.min(since));
    }

    /// Writes it down, if it is anything.
    pub(crate) async fn note(
        self,
        tx: &mut Tx,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<()> {
        if self.missing > 0 {
            let row = params![lane.lane.clone(), epoch, self.since, Hashes(self.missing)];
            tx.execute(life_sql::PUT_SHORT, &row).await?;
        }
        Ok(())
    }
}

/// What `other` rose in the time of an epoch of `lane`, above its habit before `since`.
async fn rose(
    tx: &mut Tx,
    other: &LaneConfig,
    lane: &LaneConfig,
    epoch: EpochNumber,
    since: EpochNumber,
) -> Result<Hashes> {
    let (from, to) = (lane.epoch_rule.start(epoch), lane.epoch_rule.end(epoch));
    let now = work_between(tx, other, from, to).await?;
    let length = other.epoch_rule.length_us.saturating_mul(other.capacity_window_epochs);
    let window = Duration::from_micros(length);
    let began = lane.epoch_rule.start(since);
    let before = work_between(tx, other, began.minus(window), began).await?;
    let z = other.capacity_confidence_tenths;
    Ok(risen(now, z, before.work, window, lane.epoch_rule.length()))
}

/// A lane's house work in a span of time; of epochs that lie in it in part, that part.
async fn work_between(
    tx: &mut Tx,
    lane: &LaneConfig,
    from: Timestamp,
    to: Timestamp,
) -> Result<WindowWork> {
    let rule = lane.epoch_rule;
    let given = params![lane.lane.clone(), rule.at(from), rule.at(Timestamp(to.0 - 1))];
    let mut sum = WindowWork::default();
    for row in tx.fetch_all(life_sql::WORK_BETWEEN, &given).await? {
        let epoch: EpochNumber = row.get("epoch")?;
        let (start, end) = (rule.start(epoch).max(from), rule.end(epoch).min(to));
        let overlap = u64::try_from(end.since(start).as_micros()).unwrap_or(u64::MAX);
        let squares = U256::from_be_bytes(row.get::<[u8; 32]>("house_squares")?);
        let part = weighted(row.get("house_work")?, squares, overlap, rule.length_us)?;
        let work = [sum.work, part.work].into_iter().checked_sum();
        sum.work = work.ok_or(MarketError::Overflow("the work of a span"))?;
        sum.squares = sum.squares.saturating_add(part.squares);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(work: u128) -> WindowWork {
        WindowWork { work: Hashes(work), squares: U256::ZERO }
    }

    #[test]
    fn what_a_lane_always_did_is_no_rise() {
        let (window, span) = (Duration::from_secs(40), Duration::from_secs(10));
        let rise = |now, before| risen(done(now), 0, Hashes(before), window, span).0;
        assert_eq!((rise(100, 400), rise(90, 400), rise(160, 400)), (0, 0, 60));
        // A lane without a past has no habit.
        assert_eq!(rise(100, 0), 100);
    }

    #[test]
    fn luck_is_not_taken_for_machines() {
        let (window, span) = (Duration::from_secs(40), Duration::from_secs(10));
        // One hundred shares of 1: ten is a standard deviation.
        let now = WindowWork { work: Hashes(125), squares: U256::from(125u8) };
        assert_eq!(risen(now, 30, Hashes(400), window, span), Hashes::ZERO);
        assert!(risen(now, 10, Hashes(400), window, span) > Hashes::ZERO);
    }

    #[test]
    fn an_epoch_that_lies_in_a_span_in_part_counts_in_part() {
        let half = weighted(Hashes(101), U256::from(50u8), 5, 10).unwrap();
        assert_eq!((half.work, half.squares), (Hashes(50), U256::from(25u8)));
    }
}
