//! Contracts that stand still while they do not pay, and what the work of the house earns for them meanwhile.

use super::{BlockState, Model, TERAHASH_DAY};
use crate::books::Account;
use crate::contract::{NOT_YET, State};
use crate::numbers::{ceil, floor, int, less, power_of_two, sum};
use crate::window::units_of;
use crate::{Id, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeSet;

/// Blocks whose pay is averaged.
const PAY_BLOCKS: usize = 144;

/// Work of an epoch that a contract is paid for: the house's while it was paused, or what it missed by the
/// operator's doing.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    contract: Id,
    epoch: u64,
    hashes: BigInt,
    energy_micro: u64,
    /// The operator's part, in ten-thousandths.
    fee_bps: u16,
    payer: Account,
    /// By asset.
    paid: Vec<BigInt>,
    is_final: bool,
}

impl Owed {
    pub(super) fn missed(
        (contract, epoch): (Id, u64),
        hashes: BigInt,
        fee_bps: u16,
        assets: usize,
    ) -> Owed {
        let paid = vec![int(0); assets];
        let payer = Account::Loss;
        Owed { contract, epoch, hashes, energy_micro: 0, fee_bps, payer, paid, is_final: false }
    }
}

/// What of a surplus that contracts in a pause share is one's that would get `rate` of `all`.
#[must_use]
pub fn part_of_surplus(
    shared: &BigInt,
    rate: &BigInt,
    all: &BigInt,
    wrong: Option<Wrong>,
) -> BigInt {
    let round = if wrong == Some(Wrong::PausedPartRoundedUp) { ceil } else { floor };
    round(&(shared * rate), all)
}

impl Model {
    /// Work that contracts are or were owed for: whose, of which epoch, whether of a pause, and how much.
    pub fn owed(&self) -> impl Iterator<Item = (Id, u64, bool, &BigInt)> {
        let paused = self.owed.iter().filter(|o| o.payer == Account::Revenue);
        let paused = paused.map(|o| (o.contract, o.epoch, true, &o.hashes));
        let missed = self.contracts.values().flat_map(|c| c.missed.iter().map(move |m| (c.id, m)));
        paused.chain(missed.map(|(id, m)| (id, m.epoch, false, &m.hashes)))
    }

    /// Contracts that are paid for and not over, before an epoch's close.
    pub(super) fn running(&self) -> Vec<Id> {
        let running = self.contracts.values().filter(|c| c.state == State::Running);
        running.map(|c| c.id).collect()
    }

    pub(super) fn stop_clocks(&mut self, epoch: u64, skipped: u64) {
        let pauses = self.wrong != Some(Wrong::ClockRunsWhilePaused);
        let freezes = self.wrong != Some(Wrong::ClockRunsWhileFrozen);
        for c in self.contracts.values_mut().filter(|c| c.state == State::Running) {
            let is_paused = c.is_paused(epoch);
            for e in epoch - skipped..=epoch {
                // Paused at its close, and since when.
                let paused = pauses && is_paused && c.is_paused(e);
                c.stood += u64::from(paused || (freezes && c.is_frozen(e)));
            }
        }
    }

    /// The surplus of an epoch goes to those who stand still in it, pro rata of their rates.
    pub(super) fn owe_paused(&mut self, epoch: u64) {
        let (surplus, _) = self.surplus[&epoch].clone();
        let still = self.contracts.values().filter(|c| c.state == State::Running);
        let still: Vec<_> = still
            .filter(|c| c.is_paused(epoch) && !c.is_frozen(epoch))
            .map(|c| (c, c.epoch_work.clone().min(less(&c.work, &c.spoken_for()))))
            .collect();
        let all = sum(still.iter().map(|(_, rate)| rate));
        let shared = surplus.min(all.clone());
        let mut new = Vec::new();
        for (c, rate) in still {
            let part = match all == int(0) {
                true => int(0),
                false => part_of_surplus(&shared, &rate, &all, self.wrong),
            };
            if part > int(0) {
                new.push(Owed {
                    contract: c.id,
                    epoch,
                    hashes: part,
                    energy_micro: c.terms.pause.map_or(0, |p| p.energy_micro),
                    fee_bps: 0,
                    payer: Account::Revenue,
                    paid: vec![int(0); self.lane.maturity.len()],
                    is_final: false,
                });
            }
        }
        self.owed.extend(new);
    }

    /// An owner's word about running on: what has not begun does not begin.
    pub(super) fn keep(&mut self, id: Id, keeps: bool, now: u64) {
        let is_deaf = self.wrong == Some(Wrong::KeepForgotten);
        let Some(c) = self.contracts.get_mut(&id) else { return };
        c.keeps = keeps && !is_deaf;
        if c.keeps && c.paused_since.is_some_and(|since| since > now) {
            c.paused_since = None;
        }
    }

    /// Contracts whose owners want them to run: who said so, and who has paid for what begins at their end.
    fn kept(&self) -> BTreeSet<Id> {
        let renews = self.wrong != Some(Wrong::PausedThoughRenewed);
        let follow = self.contracts.values().filter(|c| c.state == State::Running && renews);
        let followed = follow.filter(|c| c.start == NOT_YET).filter_map(|c| c.follows);
        let said = self.contracts.values().filter(|c| c.keeps).map(|c| c.id);
        said.chain(followed).collect()
    }

    /// With the epoch ends the pause of those whose owners want them to run.
    pub(super) fn heed_owners(&mut self, epoch: u64) {
        let waits = self.wrong == Some(Wrong::KeepHeardAfterThaw);
        let kept = self.kept();
        let running = self.contracts.values_mut().filter(|c| c.state == State::Running);
        for c in running.filter(|c| kept.contains(&c.id)) {
            if c.is_paused(epoch) && !(waits && c.is_frozen(epoch)) {
                c.paused_since = None;
            }
        }
    }

    /// Looks at contracts that may pause, with the price of the settlement before.
    pub(super) fn decide(&mut self, epoch: u64, running: &[Id]) {
        let back =
            if self.wrong == Some(Wrong::PauseByTodaysPrice) { 0 } else { self.lane.settle_every };
        let instant = self.end_of(epoch.saturating_sub(back));
        if !running.iter().any(|id| self.contracts[id].terms.pause.is_some()) {
            return;
        }
        let Some(price) = self.prices.at(instant, self.lane.prices, self.wrong) else { return };
        let blocks: Vec<_> = self.chains[0].values().rev().take(PAY_BLOCKS).collect();
        let Some((_, _, work)) = blocks.first() else { return };
        let paid: u64 = blocks.iter().map(|(subsidy, fees, _)| subsidy + fees).sum();
        let average = int(paid / blocks.len() as u64);
        let pays = floor(&(average * TERAHASH_DAY), &int(*work));
        let kept_on = self.kept();
        for id in running {
            let (coin, wrong) = (int(self.lane.coin), self.wrong);
            let Some(c) = self.contracts.get_mut(id) else { continue };
            let (Some(terms), State::Running) = (c.terms.pause, c.state) else { continue };
            if c.start > epoch {
                continue;
            }
            let value = |minor: &BigInt| floor(&(minor * price), &coin);
            let kept = int(10_000 - u32::from(c.terms.fee_bps));
            let earns = floor(&(value(&pays) * kept), &int(10_000));
            let coins = int(c.terms.maintenance.first().map_or(0, |(_, fee)| *fee));
            let costs = value(&coins) + c.terms.usd_micro;
            let h = if wrong == Some(Wrong::NoHysteresis) {
                0
            } else {
                u32::from(terms.hysteresis_bps)
            };
            let earns = earns * 10_000;
            let is_below = earns < &costs * (10_000 - h);
            if is_below && c.paused_since.is_none() && !kept_on.contains(id) {
                let notice = if wrong == Some(Wrong::PausedAtOnce) { 0 } else { terms.notice };
                c.paused_since = Some(epoch + 1 + notice);
            } else if earns >= costs * (10_000 + h) {
                c.paused_since = None;
            }
        }
    }

    /// Pays what has matured of what is owed.
    pub(super) fn pay_owed(&mut self, closing: u64) {
        for at in 0..self.owed.len() {
            let o = self.owed[at].clone();
            if o.is_final {
                continue;
            }
            let mut energy = int(0);
            if o.energy_micro > 0 {
                let instant = self.end_of(o.epoch);
                let price = self.prices.at(instant, self.lane.prices, self.wrong);
                let Some(price) = price else { continue };
                let dollars = floor(&((&o.hashes * o.energy_micro) << 64), &int(TERAHASH_DAY));
                energy = floor(&(dollars * self.lane.coin), &int(price));
            }
            if self.wrong == Some(Wrong::EnergyForgotten) {
                energy = int(0);
            }
            let mut is_final = true;
            for asset in 0..self.lane.maturity.len() {
                let (earned, ended) = self.worth(asset, o.epoch, &o.hashes, closing);
                is_final &= ended;
                let earned = floor(&(earned * (10_000 - u32::from(o.fee_bps))), &int(10_000));
                let costs = if asset == 0 { energy.clone() } else { int(0) };
                let due = floor(&less(&earned, &costs), &power_of_two(64));
                let more = less(&due, &o.paid[asset]);
                let is_kept =
                    o.payer == Account::Revenue && self.wrong == Some(Wrong::PausedWorkKept);
                if more > int(0) && !is_kept {
                    let to = Account::Available(self.owner(o.contract));
                    self.books.post(asset, &[(o.payer, more.clone())], &[(to, more)]);
                    self.owed[at].paid[asset] = due;
                }
            }
            self.owed[at].is_final = is_final;
        }
    }

    /// What work of an epoch would have earned so far, and whether that is all.
    fn worth(&self, asset: usize, epoch: u64, work: &BigInt, closing: u64) -> (BigInt, bool) {
        let closed = self.closed.iter().rev().filter(|e| **e <= epoch);
        let mut bits = closed.filter_map(|e| self.epochs.get(e)?.last_bits.get(&asset));
        let Some(bits) = bits.next() else { return (int(0), true) };
        let whole = power_of_two(64);
        let size = &whole * 8;
        let total = |e: &u64| {
            sum(self
                .epochs
                .get(e)
                .and_then(|x| x.units.get(asset))
                .into_iter()
                .flat_map(|u| u.values()))
        };
        let own = total(&epoch);
        let mut newer: Vec<(u64, BigInt)> = Vec::new();
        for e in self.closed.iter().filter(|e| **e > epoch) {
            let before = newer.last().map_or(int(0), |(_, n)| n.clone());
            newer.push((*e, before + total(e)));
        }
        let oldest = epoch + self.lane.window_epochs_max;
        let last = newer.iter().find(|(_, n)| *n >= size).map_or(oldest, |(e, _)| *e).min(oldest);
        let mut per_block = int(0);
        let mut is_open = false;
        for b in self.blocks.iter().filter(|b| b.asset == asset) {
            if b.state == BlockState::Orphaned {
                continue;
            }
            let in_reach = b.window.is_none_or(|end| end > epoch && end <= last);
            is_open |= !b.credited && in_reach;
            let Some(end) = b.window.filter(|_| b.credited && in_reach) else { continue };
            let after = newer.iter().rev().find(|(e, _)| *e < end);
            let room = less(&size, &after.map_or(int(0), |(_, n)| n.clone()));
            let part = if own == int(0) || self.wrong == Some(Wrong::OwedEdgeWhole) {
                if room > int(0) { whole.clone() } else { int(0) }
            } else {
                floor(&(&whole * room.min(own.clone())), &own)
            };
            per_block += floor(&(&b.reward * part), &int(8));
        }
        let earned = floor(&(units_of(work, *bits, None) * per_block), &whole);
        let passed = last + self.lane.settle_every + 2;
        (earned, !is_open && closing > passed)
    }
}
