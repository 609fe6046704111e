//! Telling customers that a lease comes to its end, in time to renew it without a gap.
//!
//! Once, in the close in which what is left of its work, or of its time, falls to a tenth of the term (at least
//! [`RENEW_AHEAD_EPOCHS`], at most a week of ten-minute epochs). One that has a follower is not told.

use crate::close::Delivered;
use crate::contract::Contract;
use crate::notices::NoticeKind;
use crate::renew::{self, RENEW_AHEAD_EPOCHS};
use crate::{ContractState, Result, bulk};
use gruve_store::{Batch, Tx, params};
use gruve_units::{EpochNumber, Hashes, Timestamp};

/// Epochs before the end at which it is told, at most: a week of ten-minute ones.
pub const END_NEAR_EPOCHS_MAX: u64 = 1_008;

/// How many epochs before its end a contract of this term is told of it.
fn ahead(term: u64) -> u64 {
    (term / 10).clamp(RENEW_AHEAD_EPOCHS, END_NEAR_EPOCHS_MAX)
}

/// How many epochs before its end, by work or by time, a contract of this term can be renewed: some time before
/// its owner is told, and two weeks of ten-minute epochs at most.
pub(crate) fn renewable(term: u64) -> u64 {
    ahead(term).saturating_mul(2)
}

/// Whether at most so many epochs are left of a contract's work, or of its time when the lane has closed so far.
/// Pure.
pub(crate) fn is_within(c: &Contract, epochs: u64, closed: Option<EpochNumber>) -> bool {
    let left = c.work.saturating_sub(c.spoken_for()).0;
    let by_work = left <= c.epoch_work.0.saturating_mul(epochs.into());
    let next = closed.map_or(0, |last| last.next().0);
    by_work || c.delivery().is_some_and(|d| d.hard_end().0.saturating_sub(next) <= epochs)
}

/// Whether the end came near in this epoch, in which it got so much, after `skipped` that had no row. Pure.
fn came_near(c: &Contract, got: Hashes, epoch: EpochNumber, skipped: u64) -> bool {
    let ahead = ahead(c.term);
    let near = c.epoch_work.0.saturating_mul(ahead.into());
    let left = c.work.saturating_sub(c.spoken_for()).0;
    let is_first = c.delivered == got;
    let by_work = got > Hashes::ZERO && left <= near && (is_first || left + got.0 > near);
    let by_time = c.delivery().is_some_and(|d| {
        let from = d.hard_end().0.saturating_sub(ahead);
        let next = epoch.next().0;
        next >= from && next.saturating_sub(skipped.saturating_add(1)) < from
    });
    by_work || by_time
}

/// Those whose end came near in this epoch, after `skipped` that had no row.
pub(crate) fn came_near_now(
    deliveries: &[Delivered],
    (epoch, skipped): (EpochNumber, u64),
) -> Vec<&Contract> {
    deliveries
        .iter()
        .filter(|d| d.contract.state == ContractState::Active)
        .filter(|d| came_near(&d.contract, d.got(), epoch, skipped))
        .map(|d| &d.contract)
        .collect()
}

/// Tells them, but for those that somebody follows.
pub(crate) async fn tell_all(tx: &mut Tx, near: Vec<&Contract>, now: Timestamp) -> Result<()> {
    let followed = renew::followers(tx, near.iter().map(|c| c.id)).await?;
    let mut notices = Batch::new(&bulk::sql::INSERT_LETTERS);
    for c in near.into_iter().filter(|c| !followed.contains_key(&c.id)) {
        let about = c.start.unwrap_or_default();
        let row = params![c.account, c.id, NoticeKind::EndNear.key(), about, now, ""];
        notices.push(tx, row).await?;
    }
    notices.finish(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_terms_are_told_a_week_before_and_short_ones_a_few_epochs() {
        assert_eq!((ahead(3), ahead(144), ahead(52_560)), (3, 14, 1_008));
    }
}
