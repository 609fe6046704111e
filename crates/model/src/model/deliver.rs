//! What an epoch gives to whom.

use super::{Model, TERAHASH_DAY};
use crate::allocation::{Claim, allocate};
use crate::books::Account;
use crate::contract::{Contract, Line, NOT_YET, Scheme, State};
use crate::numbers::{ceil, floor, int, less, nearest, sum};
use crate::window::{Units, units_of};
use crate::{Id, Who, Wrong};
use num_bigint::BigInt;
use std::collections::BTreeMap;

impl Model {
    /// A line for each contract that may get something, without its shortfall.
    pub(super) fn allocate(&mut self, epoch: u64) -> BTreeMap<Id, Line> {
        let work = self.epochs.entry(epoch).or_default().work.iter();
        let done = sum(work.filter(|((a, o, _), _)| *a == 0 && o.is_none()).map(|(_, w)| w));
        let runs = |c: &&Contract| {
            let works = !c.is_paused(epoch) || self.wrong == Some(Wrong::PausedGetsWork);
            let works = works && (!c.is_frozen(epoch) || self.wrong == Some(Wrong::FrozenGetsWork));
            let is_due = c.begin() <= epoch && epoch < c.hard_end(self.wrong);
            c.state == State::Running && works && is_due
        };
        let mut claims: Vec<Claim> = self
            .contracts
            .values()
            .filter(runs)
            .map(|c| {
                let (entitled, catch_up) = c.claim(epoch, self.wrong);
                let is_operators = self.lane.operator_accounts.contains(&c.account);
                Claim { id: c.id, entitled, catch_up, short_since: c.short_since, is_operators }
            })
            .collect();
        claims.extend(self.meter_claims(epoch));
        let (got, surplus) = allocate(&done, &claims, self.wrong);
        let all: BigInt = got.iter().map(|(n, _)| n.clone()).sum();
        assert_eq!(all + &surplus, done, "the model's allocation does not add up");
        self.surplus.insert(epoch, (surplus, done));
        let is_short = claims.iter().zip(&got).any(|(c, (delivered, _))| *delivered < c.entitled);
        self.may_be_caused = is_short
            && self.acts.iter().any(|act| act.holds_in(epoch))
            && self.wrong != Some(Wrong::OperatorNeverAtFault);
        let line = |(c, (delivered, made_good)): (Claim, (BigInt, BigInt))| {
            let (shortfall, units) = (int(0), int(0));
            (c.id, Line { epoch, entitled: c.entitled, delivered, made_good, shortfall, units })
        };
        claims.into_iter().zip(got).map(line).collect()
    }

    /// How a contract of either kind earns.
    pub(super) fn scheme(&self, id: Id) -> &Scheme {
        match self.contracts.get(&id) {
            Some(c) => &c.terms.scheme,
            None => &self.meters[&id].terms.scheme,
        }
    }

    /// Whether an account's own machines' blocks are its own.
    fn is_solo(&self, account: Id, epoch: u64) -> bool {
        let mut of = self.own_schemes.range((account, 0)..=(account, epoch));
        of.next_back().is_some_and(|(_, solo)| *solo)
    }

    pub(super) fn share_units(&mut self, epoch: u64, got: &BTreeMap<Id, Line>) {
        let done = self.surplus[&epoch].1.clone();
        let wrong = self.wrong;
        let keeps_solo = wrong == Some(Wrong::SoloInWindow);
        let work = self.epochs.entry(epoch).or_default().work.clone();
        let mut all = vec![Units::new(); self.lane.maturity.len()];
        let mut owners = std::collections::BTreeSet::new();
        for ((asset, owner, bits), work) in &work {
            let who = owner.map_or(Who::Operator, Who::Account);
            if let Some(o) = owner.filter(|o| self.is_solo(*o, epoch)) {
                owners.insert(o);
                if !keeps_solo {
                    continue;
                }
            }
            *all[*asset].entry(who).or_default() += units_of(work, *bits, wrong);
        }
        for units in &mut all {
            let house = units.get(&Who::Operator).cloned().unwrap_or_default();
            let mut rest = house.clone();
            for (id, line) in got.iter().filter(|(_, l)| l.delivered > int(0)) {
                let exact = &house * &line.delivered;
                let part = if wrong == Some(Wrong::UnitPartsToNearest) {
                    nearest(&exact, &done).min(rest.clone())
                } else {
                    floor(&exact, &done)
                };
                rest -= &part;
                let who = match self.scheme(*id) {
                    Scheme::Pplns => Who::Contract(*id),
                    Scheme::Fpps(_) if wrong == Some(Wrong::FppsNotInWindow) => continue,
                    Scheme::Fpps(_) => Who::FppsReserve,
                    Scheme::Solo if keeps_solo => Who::Contract(*id),
                    Scheme::Solo => continue,
                };
                *units.entry(who).or_default() += part;
            }
            units.insert(Who::Operator, rest);
        }
        let solo = got.iter().filter(|(id, _)| *self.scheme(**id) == Scheme::Solo);
        let solo = solo.map(|(id, line)| (*id, line.delivered.clone())).collect();
        let e = self.epochs.entry(epoch).or_default();
        (e.units, e.solo, e.solo_owners) = (all, solo, owners);
    }

    pub(super) fn deliver(&mut self, id: Id, epoch: u64, line: Option<&Line>, settles: bool) {
        let (wrong, may_be_caused) = (self.wrong, self.may_be_caused);
        let operators = &self.lane.operator_accounts;
        let Some(c) = self.contracts.get_mut(&id) else { return };
        if c.state != State::Running || c.start > epoch {
            return;
        }
        let got = line.map_or(int(0), |l| l.delivered.clone());
        let delivered = c.delivered() + &got;
        let whole_fee = c.terms.maintenance.first().map_or(0, |(_, fee)| *fee);
        let mut due = floor(&((&got * whole_fee) << 64), &int(TERAHASH_DAY));
        if wrong == Some(Wrong::MaintenanceInWholeUnits) {
            due = (due >> 64) << 64;
        }
        c.maintenance_due += due;
        let given = &delivered + &c.compensated;
        let missed = line.map_or(int(0), |l| less(&l.entitled, &l.delivered));
        if may_be_caused && !operators.contains(&c.account) {
            let left = less(&c.work, &(&given + &c.undecided));
            c.set_aside(epoch, missed.min(left));
        }
        let shortfall = c.shortfall(epoch, &given);
        c.short_since = (shortfall > int(0)).then(|| c.short_since.unwrap_or(epoch));
        if let Some(line) = line {
            let units = &self.epochs[&epoch].units[0];
            let units = units.get(&Who::Contract(id)).cloned().unwrap_or_default();
            c.lines.push(Line { shortfall, units, ..line.clone() });
        }
        let waits = c.undecided > int(0) && wrong != Some(Wrong::EndedWhileUndecided);
        if given == c.work {
            c.state = State::Completed;
        } else if c.lost(epoch).is_some() && c.undecided == int(0) {
            c.state = State::ChargedBack;
        } else if epoch + 1 >= c.hard_end(wrong) && !waits && !c.is_frozen(epoch) {
            c.state = State::Refunded;
        }
        let (asset, prepaid) = (c.terms.price_asset, Account::Prepaid(id));
        if settles || c.state != State::Running {
            let exact = &c.price * &given;
            let earned = if wrong == Some(Wrong::EarnedPriceRoundedUp) {
                ceil(&exact, &c.work)
            } else {
                floor(&exact, &c.work)
            };
            let now = &earned - &c.recognised;
            c.recognised = earned;
            self.books.post(asset, &[(prepaid, now.clone())], &[(Account::Revenue, now)]);
        }
        if c.terms.usd_micro > 0 && (settles || c.state != State::Running) {
            let total = floor(&((&delivered * c.terms.usd_micro) << 64), &int(TERAHASH_DAY));
            let before: BigInt = c.dues.iter().map(|(_, due, _)| due.clone()).sum();
            if total > before {
                c.dues.push((epoch, total - before, false));
            }
        }
        if c.state == State::Refunded {
            c.refunded = &c.price - &c.recognised;
            let (n, to) = (c.refunded.clone(), Account::Available(c.account));
            self.books.post(asset, &[(prepaid, n.clone())], &[(to, n)]);
        }
        if c.state == State::ChargedBack {
            let rest = &c.price - &c.recognised;
            let lost = c.lost(epoch).unwrap_or_default();
            let kept = match wrong {
                Some(Wrong::LossForgotten) => int(0),
                Some(Wrong::LossKeepsAll) => rest.clone(),
                _ => rest.clone().min(lost),
            };
            c.refunded = &rest - &kept;
            let credits =
                [(Account::ChargeBacks, kept), (Account::Available(c.account), c.refunded.clone())];
            self.books.post(asset, &[(prepaid, rest)], &credits);
        }
        if self.contracts[&id].state != State::Running {
            self.let_follow(id, epoch);
        }
    }

    /// Whoever follows a contract that ended begins with the next epoch.
    fn let_follow(&mut self, ended: Id, epoch: u64) {
        let late = u64::from(self.wrong == Some(Wrong::FollowsWithGap));
        let paid = self.contracts.values_mut().filter(|c| c.state == State::Running);
        for c in paid.filter(|c| c.follows == Some(ended) && c.start == NOT_YET) {
            c.start = epoch + 1 + late;
        }
    }
}
