//! What an epoch does to each lease: what it may get, and how it stands after what it got. Pure.

use crate::allocate::{Entitlement, Share};
use crate::contract::Contract;
use crate::delivery::Delivery;
use crate::freeze::Freezes;
use crate::settle::{earned_of_price, maintenance};
use crate::{ContractState, MarketError, Result, pause};
use gruve_units::{AccountId, Asset, EpochNumber, Hashes};
use std::collections::BTreeSet;

/// What a lease should get of an epoch, if it has a claim on it.
pub(super) fn claim_of(
    c: &Contract,
    epoch: EpochNumber,
    operators: &BTreeSet<AccountId>,
    freezes: &Freezes,
) -> Result<Option<Entitlement>> {
    let stands = pause::is_paused(c, epoch) || freezes.is_frozen(c, epoch);
    let Some(delivery) = c.delivery().filter(|_| !stands) else { return Ok(None) };
    let claim = delivery.claim(epoch)?;
    let has_claim = epoch >= delivery.start && epoch < delivery.hard_end();
    Ok(has_claim.then(|| Entitlement {
        contract: c.id,
        entitled: claim.entitled,
        catch_up: claim.catch_up,
        short_since: c.short_since,
        is_operators: operators.contains(&c.account),
    }))
}

/// What an epoch did to a contract.
pub(crate) struct Delivered {
    /// As it is afterwards.
    pub(crate) contract: Contract,
    /// What of the house's work it got.
    pub(super) share: Option<Share>,
    /// The PPLNS units of it, of each asset of the lane, its own first; until they are written.
    pub(super) units: Vec<(Asset, u128)>,
    /// What is missing so far.
    pub(super) shortfall: Hashes,
    /// Minor units of the price that are earned now.
    pub(super) recognise: i64,
    /// Minor units of it that are kept for a payment that was taken back.
    pub(super) kept: i64,
    /// Whether more changed than its progress.
    pub(super) is_changed: bool,
    /// What it missed and is not owed until it is known whose doing that was.
    pub(super) aside: Hashes,
}

impl Delivered {
    /// The work it got in this epoch.
    pub(crate) fn got(&self) -> Hashes {
        self.share.map_or(Hashes::ZERO, |s| s.allocated)
    }

    /// What it missed in this epoch that may be the operator's doing, and since when it is short.
    pub(super) fn missed(&self) -> (Hashes, Option<EpochNumber>) {
        (self.aside, self.contract.short_since)
    }
}

/// How an epoch is closed.
#[derive(Clone, Copy)]
pub(super) struct Close<'a> {
    /// The epoch.
    pub(super) epoch: EpochNumber,
    /// Whether a settlement falls on it.
    pub(super) settle: bool,
    /// Whether the operator may have caused that the work did not suffice.
    pub(super) may_be_caused: bool,
    /// What these miss he owes to nobody but himself: it takes no part of what others are compensated.
    pub(super) operators: &'a BTreeSet<AccountId>,
    /// Disputed payments of contracts.
    pub(super) freezes: &'a Freezes,
}

/// What an epoch does to a contract that has begun.
pub(super) fn deliver_one(
    mut c: Contract,
    share: Option<Share>,
    close: Close<'_>,
) -> Result<Delivered> {
    let epoch = close.epoch;
    let broken = || MarketError::Broken("a contract without a start is running".into());
    let before = (c.state, c.refunded);
    let got = share.map_or(Hashes::ZERO, |s| s.allocated);
    c.delivered = c.delivered.checked_add(got).ok_or(MarketError::Overflow("delivered work"))?;
    let due = c.maintenance_due.checked_add(maintenance(got, c.maintenance)?);
    c.maintenance_due = due.ok_or(MarketError::Overflow("a maintenance fee"))?;
    let missed = share.map_or(Hashes::ZERO, |s| s.entitled.saturating_sub(s.allocated));
    let left = c.work.saturating_sub(c.spoken_for());
    let is_owed = close.may_be_caused && !close.operators.contains(&c.account);
    let aside = if is_owed { missed.min(left) } else { Hashes::ZERO };
    c.life.undecided = Hashes(c.life.undecided.0.saturating_add(aside.0));
    let delivery = c.delivery().ok_or_else(broken)?;
    // What waits for a choice is short, too.
    let shortfall = Delivery { delivered: c.given(), ..delivery }.shortfall(epoch)?;
    c.short_since = (shortfall > Hashes::ZERO).then_some(c.short_since.unwrap_or(epoch));
    let lost = close.freezes.lost(&c, epoch).filter(|_| c.life.undecided == Hashes::ZERO);
    c.state = if c.given() == c.work {
        ContractState::Completed
    } else if lost.is_some() {
        ContractState::ChargedBack
    } else if epoch.next() >= delivery.hard_end()
        && c.life.undecided == Hashes::ZERO
        && !close.freezes.is_frozen(&c, epoch)
    {
        ContractState::Refunded
    } else {
        ContractState::Active
    };
    let ended = c.state != ContractState::Active;
    let mut recognise = 0;
    if close.settle || ended {
        let earned = earned_of_price(c.price.minor, c.given(), c.work)?;
        recognise = earned - c.recognised;
        c.recognised = earned;
    }
    if c.state == ContractState::Refunded {
        c.refunded = c.price.minor - c.recognised;
    }
    let mut kept = 0;
    if c.state == ContractState::ChargedBack {
        // What was paid for by money that is gone is not refunded out of ours.
        let rest = c.price.minor - c.recognised;
        kept = rest.min(lost.unwrap_or(0));
        c.refunded = rest - kept;
    }
    // One that is not on the roll comes onto it, or has ended.
    let is_changed = (c.state, c.refunded) != before || !c.enrolled;
    let units = Vec::new();
    Ok(Delivered { contract: c, share, units, shortfall, recognise, kept, is_changed, aside })
}
