//! What has to wait for a price: work under FPPS, and fees in dollars.

use super::Model;
use crate::contract::{Line, Scheme};
use crate::fpps::{Open, earned};
use crate::numbers::{floor, int};
use crate::{Id, Who, Wrong};
use num_bigint::BigInt;
use std::collections::{BTreeMap, BTreeSet};

impl Model {
    /// Notes what FPPS pays of an epoch's work.
    pub(super) fn note_fpps(&mut self, epoch: u64, got: &BTreeMap<Id, Line>) {
        let mut paid = Vec::new();
        for (id, line) in got {
            if matches!(self.scheme(*id), Scheme::Fpps(_)) && line.delivered > int(0) {
                paid.push((*id, line.delivered.clone()));
            }
        }
        if paid.is_empty() {
            return;
        }
        let done = self.surplus[&epoch].1.clone();
        for asset in 0..self.lane.maturity.len() {
            let jobs = self.epochs[&epoch].jobs.iter().filter(|((a, ..), _)| *a == asset);
            let jobs = jobs.map(|((_, height, bits), work)| (*height, *bits, work.clone()));
            let (jobs, done, got) = (jobs.collect(), done.clone(), paid.clone());
            self.open.push(Open { asset, done, jobs, got });
        }
    }

    /// Prices what can be priced: an epoch's contracts all or none.
    pub(super) fn price_open(&mut self) {
        for open in std::mem::take(&mut self.open) {
            let mut all = Vec::new();
            for (id, work) in &open.got {
                let Scheme::Fpps(terms) = self.scheme(*id) else { continue };
                let of = terms.iter().find(|t| t.asset == open.asset);
                let fee = self.fee_of(*id);
                let chain = &self.chains[open.asset];
                let n = of.and_then(|t| earned(&open, work, chain, (t, fee), self.wrong));
                all.push(n.map(|n| (*id, n)));
            }
            let Some(all) = all.into_iter().collect::<Option<Vec<(Id, BigInt)>>>() else {
                self.open.push(open);
                continue;
            };
            for (id, n) in all {
                let s = self.standings.entry((open.asset, Who::Fpps(id))).or_default();
                s.accrued += &n;
                s.matured += n;
            }
        }
    }

    pub(super) fn fee_of(&self, id: Id) -> u16 {
        match self.contracts.get(&id) {
            Some(c) => c.terms.fee_bps,
            None => self.meters[&id].terms.fee_bps,
        }
    }

    /// Turns fees in dollars into coins where their instant has a price; contracts with one that has none.
    pub(super) fn convert(&mut self) -> BTreeSet<Id> {
        let mut waiting = BTreeSet::new();
        let (rules, wrong) = (self.lane.prices, self.wrong);
        let ends: Vec<(Id, usize, i64)> = self
            .contracts
            .iter()
            .flat_map(|(id, c)| (0..c.dues.len()).map(|at| (*id, at, self.end_of(c.dues[at].0))))
            .collect();
        for (id, at, instant) in ends {
            let Some(c) = self.contracts.get_mut(&id) else { continue };
            let (_, due, is_done) = &mut c.dues[at];
            if *is_done {
                continue;
            }
            let Some(price) = self.prices.at(instant, rules, wrong) else {
                if wrong != Some(Wrong::SettledWithoutPrice) {
                    waiting.insert(id);
                }
                continue;
            };
            *is_done = true;
            let mut coins = floor(&(&*due * self.lane.coin), &int(price));
            if wrong == Some(Wrong::DollarsInWholeUnits) {
                coins = (coins >> 64) << 64;
            }
            c.maintenance_due += coins;
        }
        waiting
    }
}
