//! Contracts by the meter, from epoch to epoch.

use super::Model;
use crate::allocation::Claim;
use crate::books::Account;
use crate::contract::Line;
use crate::meter::{Meter, MeterState, MeterTerms};
use crate::numbers::{floor, int};
use crate::{Id, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

impl Model {
    /// The next epoch that has neither begun nor been closed.
    fn next(&self, now: u64) -> u64 {
        self.closed.last().map_or(now + 1, |last| (now + 1).max(last + 1))
    }

    pub(super) fn start(&mut self, id: Id, account: Id, terms: MeterTerms, now: u64) {
        let first = self.next(now);
        let m = Meter::new(account, terms, self.lane.epoch_us, first);
        self.meters.insert(id, m);
        assert!(self.hold(id, first), "a contract was started that nothing is held for");
    }

    /// Holds for an epoch what may be held; whether that is anything.
    fn hold(&mut self, id: Id, epoch: u64) -> bool {
        let m = &self.meters[&id];
        let (account, asset) = (m.account, m.terms.price_asset);
        let there = self.books.of(Account::Available(account), asset);
        let Some((cap, held)) = m.hold(&there, self.wrong) else { return false };
        let (from, to) = (Account::Available(account), Account::Held(account));
        self.books.post(asset, &[(from, held.clone())], &[(to, held.clone())]);
        if let Some(m) = self.meters.get_mut(&id) {
            m.holds.insert(epoch, (cap, held));
        }
        true
    }

    pub(super) fn end(&mut self, id: Id, now: u64) {
        let Some(m) = self.meters.get_mut(&id) else { return };
        if m.state == MeterState::Stopped {
            m.state = MeterState::Ended;
        }
        if m.state != MeterState::Active {
            return;
        }
        let later = m.holds.split_off(&(now + 1));
        m.state = if m.holds.is_empty() { MeterState::Ended } else { MeterState::Ending };
        let (account, asset) = (m.account, m.terms.price_asset);
        for (_, held) in later.into_values() {
            let (from, to) = (Account::Held(account), Account::Available(account));
            self.books.post(asset, &[(from, held.clone())], &[(to, held)]);
        }
    }

    /// What they should get of an epoch.
    pub(super) fn meter_claims(&self, epoch: u64) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (id, m) in &self.meters {
            let Some((cap, _)) = m.holds.get(&epoch) else { continue };
            claims.push(Claim {
                id: *id,
                entitled: m.epoch_work.clone().min(cap.clone()),
                catch_up: int(0),
                short_since: None,
                is_operators: self.lane.operator_accounts.contains(&m.account),
            });
        }
        claims
    }

    pub(super) fn charge_all(&mut self, epoch: u64, now: u64, got: &BTreeMap<Id, Line>) {
        for id in self.meters.keys().copied().collect::<Vec<_>>() {
            let work = got.get(&id).map_or(int(0), |l| l.delivered.clone());
            self.charge(id, epoch, &work);
            self.go_on(id, epoch, now);
        }
    }

    fn charge(&mut self, id: Id, epoch: u64, got: &BigInt) {
        let wrong = self.wrong;
        let Some(m) = self.meters.get_mut(&id) else { return };
        let later = m.holds.split_off(&(epoch + 1));
        for (of, (_, held)) in std::mem::replace(&mut m.holds, later) {
            let work = if of == epoch { got.clone() } else { int(0) };
            let cost = m.cost(&work, wrong);
            m.charged += &cost;
            m.delivered += &work;
            let whole_fee = m.terms.maintenance.first().map_or(0, |(_, fee)| *fee);
            m.maintenance_due += floor(&((&work * whole_fee) << 64), &int(super::TERAHASH_DAY));
            let back = if wrong == Some(Wrong::HoldKept) { int(0) } else { &held - &cost };
            let earned = &held - &back;
            let credits = [(Account::Revenue, earned), (Account::Available(m.account), back)];
            self.books.post(m.terms.price_asset, &[(Account::Held(m.account), held)], &credits);
        }
    }

    fn go_on(&mut self, id: Id, epoch: u64, now: u64) {
        let next = self.next(now);
        let m = &self.meters[&id];
        let has_next = m.holds.keys().any(|e| *e >= next);
        let (state, is_empty) = (m.state, m.holds.is_empty());
        let to = match state {
            MeterState::Active => {
                if has_next || self.hold(id, next) || !is_empty {
                    return;
                }
                MeterState::Stopped
            }
            MeterState::Stopped if self.resumed.contains(&(epoch, id)) => {
                self.hold(id, next);
                MeterState::Active
            }
            MeterState::Ending if is_empty => MeterState::Ended,
            _ => return,
        };
        if let Some(m) = self.meters.get_mut(&id) {
            m.state = to;
        }
    }
}
